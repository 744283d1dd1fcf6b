# Logical replication of an application's tables into ledger tables and protected ones: the apply worker's rows are on the ledger.
use strict;
use warnings;

use Medchain::Application;
use Test::More;

my $app = Medchain::Application->new;
my $alliance = $app->alliance;
my $publisher = Medchain::Alliance->new_cluster('publisher', conf => "shared_preload_libraries = ''\nlogical_decoding_work_mem = 64kB");
$publisher->start;
my $tables = q{
	CREATE SCHEMA IF NOT EXISTS clinic;
	CREATE TABLE clinic.visit (id int PRIMARY KEY, patient text NOT NULL, note text);
	CREATE TABLE clinic.record (id int PRIMARY KEY, patient text NOT NULL, note text);
	CREATE TABLE clinic.part (id int, patient text NOT NULL, note text, PRIMARY KEY (id)) PARTITION BY RANGE (id);
	CREATE TABLE clinic.part_1 PARTITION OF clinic.part FOR VALUES FROM (0) TO (100);
	CREATE TABLE clinic.part_2 PARTITION OF clinic.part FOR VALUES FROM (100) TO (1000)};
$publisher->safe_psql('postgres', qq{$tables;
	INSERT INTO clinic.visit SELECT i, 'P' || (1 + i % 2), 'copied' FROM generate_series(1, 20) i;
	INSERT INTO clinic.record SELECT * FROM clinic.visit; INSERT INTO clinic.part SELECT * FROM clinic.visit;
	CREATE PUBLICATION clinic FOR TABLES IN SCHEMA clinic WITH (publish_via_partition_root = true)});
$app->sql($tables =~ s/CREATE SCHEMA[^;]*;//r, 'keeper');
$app->sql(q{SELECT medchain.ledger_table('clinic.visit', record_truncate => true), medchain.protect('clinic.record', 'patient'), medchain.ledger_table('clinic.part')});
$app->permit('P1');

# who applies is the subscription's owner, a superuser: since 16 only where the subscription says so
my $options = $app->cluster->pg_version >= 16 ? ', run_as_owner = true' : '';
$app->sql(sprintf(q{CREATE SUBSCRIPTION clinic CONNECTION 'host=%s port=%d dbname=postgres' PUBLICATION clinic WITH (streaming = on%s)}, $publisher->host, $publisher->port, $options));
$publisher->wait_for_catchup('clinic');
$alliance->wait_for('dc', q{SELECT count(*) FROM pg_subscription_rel r JOIN pg_subscription s ON s.oid = r.srsubid WHERE s.subname = 'clinic' AND r.srsubstate <> 'r'}, '0');
is($app->changes($_), 'insert 20', "what the first copy brings to $_ is on the ledger") foreach qw(clinic.visit clinic.record clinic.part);
is($app->sql('SELECT count(*) FROM clinic.record', 'reader'), '10', 'and protected');
is($app->sql('SELECT count(*) FROM clinic.record', 'stranger'), '0', 'from who has no right');
$app->sound_ok('copied');

$publisher->safe_psql('postgres', q{
	INSERT INTO clinic.visit VALUES (21, 'P1', 'new'); INSERT INTO clinic.record VALUES (21, 'P1', 'new'); INSERT INTO clinic.part VALUES (21, 'P1', 'new');
	UPDATE clinic.visit SET note = 'changed' WHERE id <= 5; UPDATE clinic.record SET note = 'changed' WHERE id <= 5;
	UPDATE clinic.part SET id = id + 200 WHERE id <= 3;
	DELETE FROM clinic.visit WHERE id = 20; DELETE FROM clinic.record WHERE id = 19; DELETE FROM clinic.part WHERE id = 20;
	BEGIN; UPDATE clinic.visit SET note = 'undone'; ROLLBACK});
$publisher->wait_for_catchup('clinic');
is($app->changes('clinic.visit'), 'insert 1, update 5, delete 1', 'what is applied is on the ledger');
is($app->changes('clinic.record'), 'insert 1, update 5, delete 1', 'of protected rows, too');
is($app->changes('clinic.part'), 'insert 4, delete 4', 'a row that changes its partition goes and comes');
is($app->sql('SELECT count(*) FROM clinic.record', 'reader'), '11', 'the reader sees what has come');
$app->sound_ok('applied');
is($app->sql(q{SELECT DISTINCT actor, payload::jsonb ->> 'role' = (SELECT subowner::regrole::text FROM pg_subscription WHERE subname = 'clinic')
	FROM medchain.entry WHERE origin = 'dc' AND kind IN ('row.insert', 'row.update', 'row.delete', 'row.set') AND payload::jsonb #>> '{body,relation}' ~ '^clinic'}),
	'dc|t', 'its author is this node, and the owner of the subscription');

# one large transaction, streamed before it commits
$publisher->safe_psql('postgres', q{INSERT INTO clinic.visit SELECT i, 'P1', repeat('x', 100) FROM generate_series(1001, 3000) i});
$publisher->wait_for_catchup('clinic');
is($app->sql('SELECT count(*) FROM clinic.visit WHERE id > 1000'), '2000', 'a large transaction arrives');
is($app->changes('clinic.visit'), 'insert 2000', 'and is on the ledger');

# TRUNCATE, where it is recorded
$publisher->safe_psql('postgres', 'TRUNCATE clinic.visit');
$publisher->wait_for_catchup('clinic');
is($app->sql('SELECT count(*) FROM clinic.visit'), '0', 'TRUNCATE is applied where it is recorded');
$app->changes('clinic.visit');
$app->sound_ok('emptied');

# ... and where it is refused, the worker says so until somebody does what its hint says
my $place = -s $app->cluster->logfile;
$publisher->safe_psql('postgres', 'TRUNCATE clinic.record; INSERT INTO clinic.visit VALUES (1, \'P1\', \'after\')');
ok($app->cluster->poll_query_until('postgres', q{SELECT apply_error_count > 0 FROM pg_stat_subscription_stats WHERE subname = 'clinic'}), 'TRUNCATE is refused where it is not recorded');
my $log = substr(PostgreSQL::Test::Utils::slurp_file($app->cluster->logfile), $place);
like($log, qr/ERROR:  rows of table clinic\.record are on the ledger, it cannot be truncated/, 'with what is wrong');
my ($hint) = $log =~ /HINT:  (DELETE FROM clinic\.record)/;
ok($hint, 'and what to do') or diag($log);
# the rows go by DELETE, and TRUNCATE of an empty table is no loss: it is passed over by its place in the log
my ($lsn) = $log =~ m{in transaction \d+,? finished at ([0-9A-F/]+)};
$app->sql($hint) if $hint;
$app->sql("ALTER SUBSCRIPTION clinic DISABLE; ALTER SUBSCRIPTION clinic SKIP (lsn = '$lsn'); ALTER SUBSCRIPTION clinic ENABLE");
$publisher->wait_for_catchup('clinic');
is($app->sql(q{SELECT (SELECT count(*) FROM clinic.record), (SELECT note FROM clinic.visit)}), '0|after', 'then it goes on');
$app->sound_ok('skipped');

# the tables come to be on the ledger while rows arrive
$app->sql('SELECT medchain.end_ledger_table(\'clinic.part\')');
$publisher->safe_psql('postgres', q{UPDATE clinic.part SET note = 'unseen' WHERE id = 10});
$publisher->wait_for_catchup('clinic');
$app->sql('SELECT medchain.ledger_table(\'clinic.part\')');
$publisher->safe_psql('postgres', q{UPDATE clinic.part SET note = 'seen' WHERE id = 10});
$publisher->wait_for_catchup('clinic');
is($app->sql(q{SELECT string_agg(operation, ' ' ORDER BY seq) FROM (SELECT operation, seq FROM medchain.row_history('clinic.part', 10) ORDER BY seq DESC LIMIT 2) x}), 'baseline update', 'the worker notices that a table is on the ledger');
$app->sound_ok('again on the ledger');
$alliance->check_logs;
done_testing();
