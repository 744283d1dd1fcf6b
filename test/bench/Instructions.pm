# Instructions.pm: what a preloaded medchain costs those who don't use it, counted.
#
# A clock says little about a hundredth on a machine that others use as well.  callgrind
# (Debian package valgrind) counts the instructions of a server process: of PostgreSQL's
# single-user mode, in which there is no other process, once with so many statements and once with
# more, which leaves what start and end cost out of it.  Two runs differ by less than a thousandth.

package Instructions;

use strict;
use warnings;

use PostgreSQL::Test::Utils;

my %statements = (
	'SELECT by key' => sub { my ($n) = @_; return map { "SELECT abalance FROM pgbench_accounts WHERE aid = $_;" } 1 .. $n },
	'EXECUTE of it' => sub {
		my ($n) = @_;
		return ('PREPARE q(int) AS SELECT abalance FROM pgbench_accounts WHERE aid = $1;', map { "EXECUTE q($_);" } 1 .. $n);
	},
	'PL/pgSQL loop' => sub {
		my ($n) = @_;
		return "DO 'DECLARE a int; BEGIN FOR i IN 1..$n LOOP SELECT abalance INTO a FROM pgbench_accounts WHERE aid = i; END LOOP; END';";
	});

sub names { return sort keys %statements; }

sub possible { return system('valgrind --version >/dev/null 2>&1') == 0; }

# Of one statement, in a cluster that is stopped and has pgbench's tables.
sub count
{
	my ($cluster, $name, $preload) = @_;
	my ($few, $many) = (500, 4500);
	my %total;

	foreach my $n ($few, $many)
	{
		my $input = PostgreSQL::Test::Utils::tempdir() . "/statements";
		my ($output, $errors);
		open(my $file, '>', $input) or die "$input: $!";
		print $file map { "$_\n" } $statements{$name}->($n);
		close($file);
		IPC::Run::run(
			[
				'valgrind', '--tool=callgrind', '--callgrind-out-file=/dev/null',
				'postgres', '--single', '-D', $cluster->data_dir, '-c', "shared_preload_libraries=$preload",
				'-c', 'jit=off', '-c', 'autovacuum=off', 'postgres'
			],
			'<', $input, '>', \$output, '2>', \$errors) or die "postgres --single: $errors";
		($total{$n}) = $errors =~ /Collected\s*:\s*(\d+)/ or die "valgrind says: $errors";
	}
	return ($total{$many} - $total{$few}) / ($many - $few);
}

1;
