=pod

=head1 NAME

Rig - one data centre under load, and the arithmetic of ratios

=head1 DESCRIPTION

The machines this runs on are noisy, so figures are compared only with figures taken beside them: alternatives take
turns in short slices, each round gives one ratio, and the median of the rounds is shown with the lowest and highest.

=cut

package Rig;

use strict;
use warnings;

use List::Util qw(max min sum);
use Medchain::Alliance;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

# Durable means durable: PostgreSQL::Test::Cluster turns fsync off.  A server that has run for a while writes into
# WAL segments that it used before; a new one makes each of them first, and writes twice.  See recycle_wal().
my $conf = q{
fsync = on
full_page_writes = on
synchronous_commit = on
shared_buffers = 1GB
max_wal_size = 8GB
min_wal_size = 2GB
checkpoint_timeout = 1h
max_connections = 50
max_parallel_workers = 8
log_statement = none
log_min_messages = warning
};

sub conf { return $conf; }

sub new
{
	my ($class, %params) = @_;
	my $alliance = Medchain::Alliance->new(dc => 'data_center');
	my $self     = bless { alliance => $alliance, summary => [] }, $class;

	$alliance->start('dc', conf => $conf);
	$alliance->found;
	# ten bytes of WAL in each: enough that there is something to switch from
	$self->sql(q{SELECT pg_logical_emit_message(false, 'bench', ''); SELECT pg_switch_wal()}) foreach 1 .. $params{wal_segments};
	$self->recycle_wal;
	return $self;
}

# Before figures are taken: what WAL was written becomes room for more.
sub recycle_wal { my ($self) = @_; $self->sql('CHECKPOINT'); return; }

sub sql
{
	my ($self, $sql) = @_;
	return $self->{alliance}->sql('dc', $sql);
}

sub stop { my ($self) = @_; $self->{alliance}->cluster('dc')->stop; return; }

# Milliseconds that each of these statements takes.
sub times_of
{
	my ($self, @sql) = @_;
	my ($rc, $out, $err) = $self->{alliance}->try('dc', join("\n", '\timing on', map { "$_;" } @sql));
	die $err if $rc;
	return $out =~ /^Time: ([0-9.]+) ms/mg;
}

# Seconds that the last statement takes, the connection not included; or all of them together.
sub seconds        { my ($self, @sql) = @_; return ($self->times_of(@sql))[-1] / 1000; }
sub seconds_of_all { my ($self, @sql) = @_; return sum($self->times_of(@sql)) / 1000; }

# Seconds that SQL takes in another database of the server.
sub seconds_in
{
	my ($self, $dbname, $sql) = @_;
	my $out = $self->{alliance}->cluster('dc')->safe_psql($dbname, "SET client_min_messages = warning;\n\\timing on\n$sql;");
	my @times = $out =~ /^Time: ([0-9.]+) ms/mg;
	return $times[-1] / 1000;
}

# A server beside it, of the same settings, that does not know of medchain.
sub start_bare
{
	my ($self) = @_;
	my $bare = PostgreSQL::Test::Cluster->new('bare');

	$bare->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
	$bare->append_conf('postgresql.conf', "wal_level = logical\n$conf");
	$bare->start;
	return $bare;
}

# Transactions per second of a script for pgbench.  async: commits do not wait for the disk; cluster: not ours; schema: where
# its tables are; role: who asks.
sub tps
{
	my ($self, $script, %params) = @_;
	my $file = PostgreSQL::Test::Utils::tempdir() . '/script.sql';
	my ($clients, $seconds) = ($params{clients} || 1, $params{seconds});

	PostgreSQL::Test::Utils::append_to_file($file, '');
	open(my $out, '>', $file) or die "$file: $!";
	print $out $script;
	close($out);
	local $ENV{PGOPTIONS} = '-c synchronous_commit=' . ($params{async} ? 'off' : 'on') . ($params{schema} ? " -c search_path=$params{schema}" : '');
	my $cluster = $params{cluster} || $self->{alliance}->cluster('dc');
	my ($stdout, $stderr) = PostgreSQL::Test::Utils::run_command(
		[
			'pgbench', '-n', '-M', 'prepared', '-h', $cluster->host, '-p', $cluster->port,
			($params{role} ? ('-U', $params{role}) : ()),
			'-c', $clients, '-j', min(2, $clients), '-T', $seconds, '-f', $file, 'postgres'
		]);
	$stdout =~ /tps = ([0-9.]+)/ or die "pgbench failed: $stderr";
	return $1;
}

sub median
{
	my @sorted = sort { $a <=> $b } @_;
	my $middle = int(@sorted / 2);
	return @sorted % 2 ? $sorted[$middle] : ($sorted[ $middle - 1 ] + $sorted[$middle]) / 2;
}

# "0.93 (0.88 to 1.04)"
sub spread
{
	my (@ratios) = @_;
	return sprintf('%.2f (%.2f to %.2f)', median(@ratios), min(@ratios), max(@ratios));
}

# Alternatives in turn: names and what gives a figure.  Returns { name => [figure of each round] }.
sub rounds
{
	my ($self, $rounds, @alternatives) = @_;
	my %figures;

	$self->recycle_wal;
	for my $round (1 .. $rounds)
	{
		my @names = @alternatives[ grep { $_ % 2 == 0 } 0 .. $#alternatives ];
		my %measure = @alternatives;

		# of two, who comes first finds the machine otherwise than who comes last; more build on each other
		@names = reverse @names if @names == 2 && $round % 2 == 0;
		push @{ $figures{$_} }, $measure{$_}->() foreach @names;
	}
	return \%figures;
}

# The ratio of two alternatives, round by round.
sub ratios
{
	my ($figures, $this, $that) = @_;
	return map { $figures->{$this}[$_] / $figures->{$that}[$_] } 0 .. $#{ $figures->{$this} };
}

# Remember for the summary, and say at once.
sub target
{
	my ($self, $what, $target, $measured, $met) = @_;
	push @{ $self->{summary} }, [ $what, $target, $measured, $met ? 'met' : 'missed' ];
	return;
}

sub summary
{
	my ($self, $out) = @_;

	printf $out "\n%-58s %-18s %-30s %s\n", 'target', '', 'measured', '';
	printf $out "%-58s %-18s %-30s %s\n", @$_ foreach @{ $self->{summary} };
	return;
}

1;
