=pod

=head1 NAME

AuditBench - what it costs that each access is on the ledger before its rows leave

=head1 DESCRIPTION

The records and grants of L<AccessBench>, read by one member in three ways: C<strict>, C<async> and C<off>, which are three
login roles, as a member does not choose. What one durable commit costs is measured beside it: C<strict> can't do
with less than that.

=cut

package AuditBench;

use strict;
use warnings;

use AccessBench;
use PostgreSQL::Test::Utils;
use Rig;

use parent -norequire, 'AccessBench';

my $member   = 'many';
my @ways     = qw(strict async off);
my $accounts = 100000;    # of pgbench, one examinee's each hundred

sub new
{
	my ($class, $out, $rig, $rows) = @_;
	my $self = AccessBench::new($class, $out, $rig, $rows, 'udc');

	$self->sql(qq{
		CREATE TABLE account (aid int PRIMARY KEY, patient text NOT NULL, abalance int NOT NULL);
		INSERT INTO account SELECT i, 'P' || lpad((i / 100)::text, 8, '0'), 0 FROM generate_series(1, $accounts) i;
		SELECT medchain.protect('account', 'patient');
		CREATE TABLE durable (id int);
		SELECT format('ALTER TABLE %s DISABLE TRIGGER %I', tgrelid::regclass, tgname) FROM pg_trigger
			WHERE tgrelid = ANY ('{medchain.role_binding, medchain.bound_role}'::regclass[]) \\gexec});
	foreach my $way (@ways)
	{
		$self->sql(qq{
			CREATE ROLE $way LOGIN;
			ALTER ROLE $way SET medchain.read_audit = $way;
			GRANT SELECT ON record, account TO $way;
			GRANT INSERT ON durable TO $way;
			INSERT INTO medchain.role_binding VALUES ('$way', '$member', 1000, md5('$way')::uuid);
			INSERT INTO medchain.bound_role VALUES ((SELECT system_identifier::text FROM pg_control_system()), '$way'::regrole, ARRAY[md5('$way')::uuid])});
	}
	$self->settle;
	return $self;
}

# Milliseconds of a script in one of several sessions that run it again and again.
sub each_ms
{
	my ($self, $role, $script, %load) = @_;
	return 1000 * ($load{clients} || 1) / $self->{rig}->tps($script, %load, cluster => $self->{alliance}->cluster($self->{node}), role => $role);
}

# Milliseconds of one statement in a session that has asked it before.
sub once_ms { my ($self, $role, $sql) = @_; return ($self->times($role, ($sql) x 3))[-1]; }

sub compare
{
	my ($self, $what, $limit, $ratios, $ms) = @_;

	printf { $self->{out} } "  %-40s %s\n", $what, join(', ', map { sprintf('%s %.3f', $_, Rig::median(@{ $ms->{$_} })) } sort keys %$ms);
	$self->{rig}->target("reads, $what", $limit ? "at most $limit" : '', Rig::spread(@$ratios), !$limit || Rig::median(@$ratios) <= $limit);
	return;
}

sub one_row
{
	my ($self, $rounds, $seconds) = @_;
	my $read   = sprintf("\\set id random(1, %d)\nSELECT * FROM record r WHERE r.id = :id;", $self->{rows});
	my $commit = 'INSERT INTO durable VALUES (1);';
	my %load   = (seconds => $seconds);
	my $ms     = $self->{rig}->rounds($rounds,
		strict => sub { $self->each_ms('strict', $read,   %load) },
		async  => sub { $self->each_ms('async',  $read,   %load) },
		off    => sub { $self->each_ms('off',    $read,   %load) },
		commit => sub { $self->each_ms('off',    $commit, %load) });

	$self->compare('one row, strict to off and a commit', 1.3, [ map { $ms->{strict}[$_] / ($ms->{off}[$_] + $ms->{commit}[$_]) } 0 .. $rounds - 1 ], $ms);
	$self->compare('one row, async to off', 1.1, [ Rig::ratios($ms, 'async', 'off') ], { map { $_ => $ms->{$_} } qw(async off) });

	# accesses share commits, as those of PostgreSQL's sessions do
	$load{clients} = 8;
	$ms = $self->{rig}->rounds($rounds,
		strict => sub { $self->each_ms('strict', $read,   %load) },
		commit => sub { $self->each_ms('off',    $commit, %load) });
	my @rates = Rig::ratios($ms, 'commit', 'strict');
	printf { $self->{out} } "  %-40s %8.0f to %8.0f commits a second\n", 'accesses of 8 clients', map { 8000 / Rig::median(@{ $ms->{$_} }) } qw(strict commit);
	$self->{rig}->target('accesses a second, 8 clients, to durable commits', 'at least 0.7', Rig::spread(@rates), Rig::median(@rates) >= 0.7);
	return;
}

sub many_rows
{
	my ($self, $rounds) = @_;
	my $patients = sub { my ($n) = @_; return sprintf(q{r.patient < 'P%08d'}, $n); };
	# each examinee has ten records
	my %query = (
		'10,000 rows of 1,000 examinees' => [ 1.3, sprintf('SELECT r.* FROM record r WHERE %s', $patients->(1000)) ],
		'10,000 rows of 10,000 examinees' => [ 1.3, 'SELECT r.* FROM record r WHERE r.id <= 10000' ],
		'aggregate over 50,000 examinees' => [ 1.5, sprintf('SELECT count(*), avg(r.value) FROM record r WHERE %s', $patients->(50000)) ]);

	foreach my $what (sort keys %query)
	{
		my ($limit, $sql) = @{ $query{$what} };
		my $ms = $self->{rig}->rounds(3 * $rounds, map { my $way = $_; ($way => sub { $self->once_ms($way, $sql) }) } @ways);

		$self->compare("$what, strict to off", $limit, [ Rig::ratios($ms, 'strict', 'off') ], $ms);
	}
	return;
}

# What a read-only load on nothing but protected rows comes down to.
sub pgbench
{
	my ($self, $rounds, $seconds) = @_;
	my $script = "\\set aid random(1, $accounts)\nSELECT abalance FROM account WHERE aid = :aid;";

	foreach my $clients (1, 8)
	{
		my %load = (clients => $clients, seconds => $seconds);
		my $ms = $self->{rig}->rounds($rounds, map { my $way = $_; ($way => sub { $self->each_ms($way, $script, %load) }) } @ways);

		$self->compare("pgbench -S, $clients client" . ($clients > 1 ? 's' : '') . ', off to strict', undef, [ Rig::ratios($ms, 'off', 'strict') ], $ms);
		$self->compare("the same, off to async", undef, [ Rig::ratios($ms, 'off', 'async') ], { map { $_ => $ms->{$_} } qw(async off) });
	}
	return;
}

sub run
{
	my ($self, $rounds, $seconds) = @_;

	$self->one_row($rounds, $seconds);
	$self->many_rows($rounds);
	$self->pgbench($rounds, $seconds);
	return;
}

1;
