# Crashes and restarts while entries pour in: each committed entry is on the chain exactly once.
use strict;
use warnings;

use Medchain::Alliance;
use PostgreSQL::Test::Utils;
use Test::More;

my $alliance = Medchain::Alliance->new(dc => 'data_center', en => 'end_node', ha => 'chain_node');

$alliance->establish;
my $ha = $alliance->cluster('ha');
$ha->append_conf('postgresql.conf', "medchain.seal_interval = 20ms\nmax_prepared_transactions = 5\nrestart_after_crash = on");
$ha->restart;
# what a client knows to be committed: written in the same transaction, in a table of its own
$alliance->sql('ha', 'CREATE TABLE committed (id uuid PRIMARY KEY)');
my $script = PostgreSQL::Test::Utils::tempdir() . '/append.sql';
append_to_file($script, q{WITH a AS (SELECT medchain.append('visit', json_build_object('n', random())) AS id) INSERT INTO committed SELECT id FROM a;} . "\n");

# pgbench in the background; it ends with the server, or after its time
sub start_load
{
	my ($in, $out, $err) = ('', '', '');
	return IPC::Run::start([ 'pgbench', '-n', '-c', 4, '-T', 30, '-f', $script, $ha->connstr('postgres') ], '<', \$in, '>', \$out, '2>', \$err);
}

sub stop_load
{
	my ($load) = @_;
	$load->kill_kill(grace => 1);
	eval { $load->finish };
}

sub progress
{
	my $count = $alliance->sql('ha', 'SELECT count(*) FROM committed');
	$alliance->wait_for('ha', "SELECT count(*) > $count + 200 FROM committed");
}

sub exactly_once_ok
{
	my ($title) = @_;
	$alliance->sql('ha', 'SELECT medchain.start_workers()');
	$alliance->sql('ha', 'SELECT medchain.seal()');
	is($alliance->sql('ha', q{SELECT count(*) FROM committed c WHERE (SELECT count(*) FROM medchain.entry e WHERE e.origin = 'ha' AND e.id = c.id) <> 1}),
		'0', "$title: every committed entry is on the chain exactly once");
	is($alliance->sql('ha', q{SELECT count(*) FROM medchain.entry e WHERE e.origin = 'ha' AND e.kind = 'visit' AND NOT EXISTS (SELECT FROM committed c WHERE c.id = e.id)}),
		'0', "$title: and none that was not committed");
	is($alliance->sql('ha', q{SELECT ok FROM medchain.verify('ha')}), 't', "$title: the chain verifies");
}

sub worker_pid
{
	my ($type) = @_;
	return $alliance->sql('ha', "SELECT pid FROM pg_stat_activity WHERE backend_type = '$type'");
}

# ----- workers that are told to go come back

my $load = start_load();
foreach my $type ('medchain sealer', 'medchain keeper', 'medchain launcher')
{
	progress();
	my $pid = worker_pid($type);
	kill 'TERM', $pid;
	$alliance->wait_for('ha', "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = '$type' AND pid <> $pid)");
	pass("$type is replaced");
}
progress();

# ----- a worker that is killed takes the server through crash recovery

kill 'KILL', worker_pid('medchain sealer');
stop_load($load);
$ha->poll_query_until('postgres', 'SELECT true') or die 'the server did not come back';
exactly_once_ok('sealer killed');

# ----- the server stops at once

foreach my $round (1 .. 2)
{
	$load = start_load();
	progress();
	$ha->stop('immediate');
	stop_load($load);
	$ha->start;
	exactly_once_ok("immediate stop $round");
}

# ----- prepared transactions survive, and are sealed when they commit

$alliance->sql('ha', q{BEGIN; WITH a AS (SELECT medchain.append('visit', '{"n": "prepared"}') AS id) INSERT INTO committed SELECT id FROM a; PREPARE TRANSACTION 'one'});
$alliance->sql('ha', q{BEGIN; SELECT medchain.append('visit', '{"n": "never"}'); PREPARE TRANSACTION 'two'});
$ha->stop('immediate');
$ha->start;
$alliance->sql('ha', q{SELECT medchain.seal()});
is($alliance->sql('ha', q{SELECT count(*) FROM medchain.entry WHERE origin = 'ha' AND payload ~ 'prepared|never'}), '0', 'what is only prepared is not on the chain');
$alliance->sql('ha', q{COMMIT PREPARED 'one'});
$alliance->sql('ha', q{ROLLBACK PREPARED 'two'});
$alliance->wait_for('ha', q{SELECT count(*) FROM medchain.entry WHERE origin = 'ha' AND payload ~ 'prepared'}, '1');
exactly_once_ok('prepared transactions');

# ----- the others have caught up with all of it

$alliance->wait_for_equal_heads;
$alliance->equal_ok;
$alliance->verify_ok;
is($alliance->sql($_, 'SELECT count(*) FROM medchain.quarantine'), '0', "$_ has refused nothing") foreach qw(dc en);
done_testing();
