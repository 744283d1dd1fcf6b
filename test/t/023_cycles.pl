# A thousand databases that come with the extension, get workers and go, in four sessions side by side, on a server that
# has room for twelve: nothing of them is left, neither slots nor workers nor log lines.
use strict;
use warnings;

use IPC::Run;
use Medchain::Alliance;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $cycles   = 1000;
my $sessions = 4;

# Small, as each database is copied and each DROP DATABASE is a checkpoint.  Nothing is sealed here: no key.
my $cluster = Medchain::Alliance->new_cluster('house', conf => q{
medchain.max_databases = 12
max_worker_processes = 20
shared_buffers = 16MB
wal_level = minimal
max_wal_senders = 0
max_logical_replication_workers = 0
autovacuum = off
log_checkpoints = off
log_statement = none
});

$cluster->start;
$cluster->safe_psql('postgres', q{CREATE ROLE owner LOGIN CREATEDB});
$cluster->safe_psql('postgres', 'CREATE DATABASE house IS_TEMPLATE true');
$cluster->safe_psql('house', 'CREATE EXTENSION medchain CASCADE');
$cluster->safe_psql('house', 'GRANT USAGE ON SCHEMA medchain TO owner; GRANT EXECUTE ON FUNCTION medchain.start_workers() TO owner');
$cluster->safe_psql('house', 'SELECT medchain.start_workers()');

my $workers = q{SELECT coalesce(string_agg(DISTINCT datname || ' ' || backend_type, ', '), 'none') FROM pg_stat_activity
	WHERE backend_type IN ('medchain sealer', 'medchain keeper')};
$cluster->poll_query_until('postgres', $workers, 'house medchain keeper, house medchain sealer') or die 'no workers';
my $offset = -s $cluster->logfile;

# Each session goes through its own databases as their owner, from one to the next.  Every twentieth gets its
# extension by CREATE EXTENSION, every tenth is dropped by force.
my @running;
foreach my $session (1 .. $sessions)
{
	my $script = '';
	foreach my $n (1 .. $cycles / $sessions)
	{
		my $database = "d${session}_$n";
		my $force = $n % 10 == 0 ? ' WITH (FORCE)' : '';

		$script .= $n % 20 == 0
		  ? "CREATE DATABASE $database TEMPLATE template0 STRATEGY file_copy;\n\\c $database postgres\nCREATE EXTENSION medchain CASCADE;\n"
		  . "SELECT medchain.start_workers();\n\\c postgres owner\nALTER DATABASE $database OWNER TO owner;\n"
		  : "CREATE DATABASE $database TEMPLATE house STRATEGY file_copy;\n\\c $database owner\nSELECT medchain.start_workers();\n\\c postgres owner\n";
		$script =~ s/(.*)\\c postgres owner\nALTER/$1\\c postgres postgres\nALTER/s;
		# the superuser's session is gone, or its owner may not drop the database by force
		$script .= "DO 'BEGIN FOR i IN 1 .. 6000 LOOP PERFORM pg_stat_clear_snapshot(); EXIT WHEN NOT EXISTS (SELECT FROM pg_stat_activity"
		  . " WHERE datname = ''$database'' AND backend_type = ''client backend''); PERFORM pg_sleep(0.01); END LOOP; END';\n\\c postgres owner\n"
		  if $n % 20 == 0;
		$script .= "DROP DATABASE $database$force;\n";
	}
	my $file = PostgreSQL::Test::Utils::tempdir() . "/$session.sql";
	PostgreSQL::Test::Utils::append_to_file($file, "SET client_min_messages = warning;\n$script");
	my ($out, $err) = ('', '');
	my $run = IPC::Run::start([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $cluster->connstr('postgres') . ' user=owner', '-f', $file ],
		'<', \'', '>', \$out, '2>', \$err);
	push @running, { run => $run, err => \$err };
}
foreach my $session (@running)
{
	$session->{run}->finish;
	is($session->{run}->result(0), 0, 'a session went through its cycles') or diag(${ $session->{err} });
}

is($cluster->safe_psql('postgres', 'SELECT count(*) FROM pg_database'), '4', 'every database is gone');
ok($cluster->poll_query_until('postgres', $workers, 'house medchain keeper, house medchain sealer'), 'and with it its workers; those that are wanted are there');
is($cluster->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'medchain%'}), '3', 'none of them twice');

# eleven more have room beside the one that stays
foreach my $n (1 .. 11)
{
	$cluster->safe_psql('postgres', "CREATE DATABASE last$n TEMPLATE house");
	$cluster->safe_psql("last$n", 'SELECT * FROM medchain.sealer_status()');
}
pass('no slot has leaked');
$cluster->safe_psql('postgres', 'CREATE DATABASE last12 TEMPLATE house');
my (undef, undef, $err) = $cluster->psql('last12', 'SELECT * FROM medchain.sealer_status()');
like($err, qr/medchain has no room for another database/, 'and the limit is what it was');

my @lines = split /\n/, PostgreSQL::Test::Utils::slurp_file($cluster->logfile, $offset);
cmp_ok(scalar(@lines), '<', $cycles / 5, 'the log is quiet') or diag(join "\n", @lines[ 0 .. 50 ]);
Medchain::Alliance->check_logs($cluster);
$cluster->stop;
done_testing();
