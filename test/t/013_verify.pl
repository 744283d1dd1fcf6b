# verify() at work: in parallel, canceled, read-only, and on a standby.
use strict;
use warnings;

use Medchain::Alliance;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $alliance = Medchain::Alliance->new(dc => 'data_center');
$alliance->start('dc');
$alliance->found;
my $node = $alliance->cluster('dc');
$alliance->sql('dc', q{SELECT count(medchain.append('visit', to_json(i))) FROM generate_series(1, 20000) i});
$alliance->sql('dc', 'SELECT medchain.seal()');
is($alliance->sql('dc', "SET medchain.verify_workers = $_; SELECT entries, ok FROM medchain.verify()"), '20001|t', "with $_ workers") foreach 0, 1, 3;

# ----- canceled, while it waits for a table that somebody else has locked

my ($in, $out, $err) = ('', '', '');
sub session
{
	my ($name, $sql) = @_;
	return IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr($alliance->dbname('dc')) . " application_name='$name'", '-c', $sql ],
		'<', \$in, '>', \$out, '2>', \$err, IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
}
sub cancel { return $alliance->sql('dc', "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = '$_[0]' AND backend_type = 'client backend'"); }

my $holder = session('holding', 'BEGIN; LOCK TABLE medchain.entry IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(600)');
$alliance->wait_for('dc', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE application_name = 'holding' AND wait_event = 'PgSleep'});
my $run = session('verifying', 'SET medchain.verify_workers = 2; BEGIN READ ONLY; SELECT * FROM medchain.verify()');
$alliance->wait_for('dc', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE application_name = 'verifying' AND wait_event_type = 'Lock'});
cancel('verifying');
$run->finish;
like($err, qr/canceling statement due to user request/, 'it can be canceled');
$alliance->wait_for('dc', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'parallel worker'});
is($alliance->sql('dc', 'SELECT count(*) FROM medchain.verify_progress'), 0, 'nothing of it stays');
cancel('holding');
$holder->finish;
is($alliance->sql('dc', 'SET medchain.verify_workers = 2; SELECT ok FROM medchain.verify()'), 't', 'and it can start again');

# ----- canceled, while its workers are at work: by somebody who looks for them a thousand times a second

$alliance->sql('dc', q{SELECT count(medchain.append('visit', to_json(i))) FROM generate_series(1, 180000) i});
$alliance->sql('dc', 'SELECT medchain.seal()');
my $watcher = q{
	DO $$
	BEGIN
		FOR i IN 1 .. 60000 LOOP
			PERFORM pg_cancel_backend(leader_pid) FROM pg_stat_activity WHERE backend_type = 'parallel worker' AND leader_pid IS NOT NULL LIMIT 1;
			EXIT WHEN FOUND;
			PERFORM pg_sleep(0.001);
			PERFORM pg_stat_clear_snapshot();
		END LOOP;
	END$$};
foreach my $try (1 .. 10)
{
	my $canceler = session('watching', $watcher);
	$alliance->wait_for('dc', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE application_name = 'watching'});
	$err = '';
	session('verifying', 'SET medchain.verify_workers = 2; SELECT * FROM medchain.verify()')->finish;
	$canceler->finish;
	# it may have been through before the other had its turn
	last if $err =~ /canceling/;
}
like($err, qr/canceling statement due to user request/, 'it can be canceled while its workers are at work');
$alliance->wait_for('dc', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'parallel worker'});
is($alliance->sql('dc', 'SELECT count(*) FROM medchain.verify_progress'), 0, 'which end, and nothing stays');
is($alliance->sql('dc', 'SET medchain.verify_workers = 2; SELECT entries, ok FROM medchain.verify()'), '200001|t', 'and it starts again');

# ----- read-only

is($alliance->sql('dc', 'BEGIN READ ONLY; SELECT entries, ok, detail FROM medchain.verify()'), '200001|t|', 'read-only');
is($alliance->sql('dc', 'BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT entries, ok FROM medchain.verify()'), '200001|t', 'in a serializable transaction');

$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$alliance->sql('dc', q{SELECT medchain.append('visit', '"streamed"')});
$alliance->sql('dc', 'SELECT medchain.seal()');
$node->wait_for_catchup($standby);
my $checkpoint = $alliance->sql('dc', 'SELECT medchain.checkpoint()');
is($standby->safe_psql($alliance->dbname('dc'), 'SET medchain.verify_workers = 2; SELECT entries, ok, detail FROM medchain.verify()'), '200002|t|', 'on a standby');
is($standby->safe_psql($alliance->dbname('dc'), "SELECT ok FROM medchain.verify(checkpoints => ARRAY['$checkpoint'])"), 't', 'which has the checkpoint of its primary');
is($standby->safe_psql($alliance->dbname('dc'), 'SELECT medchain.checkpoint()'), $checkpoint, 'and gives the same');
is($standby->safe_psql($alliance->dbname('dc'), q{SELECT jsonb_array_length(medchain.receipt(id) -> 'hashes') FROM medchain.entry WHERE payload ~ 'streamed'}), 7,
	'receipts come from there, too');

$alliance->check_logs;
done_testing();
