# pg_dump of a node, restored elsewhere: the ledger, the state, the protection, and sealing goes on.
use strict;
use warnings;

use Medchain::Alliance;
use PostgreSQL::Test::Utils;
use Test::More;

my $alliance = Medchain::Alliance->new(dc => 'data_center', en => 'end_node', ha => 'chain_node');
my ($rc, $err);
my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump.sql';

$alliance->establish;
$alliance->sql('dc', q{
	CREATE TABLE diagnosis (case_no int PRIMARY KEY, patient_id text NOT NULL, finding text) PARTITION BY RANGE (case_no);
	CREATE TABLE diagnosis_1 PARTITION OF diagnosis FOR VALUES FROM (0) TO (100);
	INSERT INTO diagnosis SELECT i, 'P' || i, 'benign' FROM generate_series(1, 20) i;
	SELECT medchain.protect('diagnosis', 'patient_id');
	UPDATE diagnosis SET finding = 'malignant' WHERE case_no < 4;
	CREATE TABLE device_log (id int PRIMARY KEY, gone int, what text, at timestamptz DEFAULT now());
	INSERT INTO device_log (id, what) VALUES (1, 'installed');
	ALTER TABLE device_log DROP COLUMN gone;
	SELECT medchain.ledger_table('device_log', append_only => true);
	ALTER TABLE device_log ADD COLUMN remark text DEFAULT 'none';
	CREATE ROLE app_a LOGIN;
	GRANT SELECT ON diagnosis TO app_a;
	SELECT medchain.bind_role('app_a', 'ha')});
$alliance->sql('en', q{SELECT medchain.issue_protocol('P1', 'text', '[{"grantee": "ha", "operations": ["query"]}]')});
$alliance->wait_for_equal_heads;

my $cluster = $alliance->cluster('dc');
my $contents = join(' UNION ALL ', map { "SELECT '$_ ' || to_jsonb(x)::text FROM medchain.$_ x" }
	  qw(entry block chain claim member contract protocol protocol_grant data_index break_glass role_binding subject_identity peer));
my $content = qq{SET timezone = 'UTC'; SELECT count(*), md5(string_agg(r, ' ' ORDER BY r COLLATE "C")) FROM ($contents) x(r)};
my $before = $alliance->sql('dc', $content);

command_ok([ 'pg_dump', '--no-subscriptions', '--no-publications', '-f', $dump, $cluster->connstr('postgres') ], 'the node is dumped');
$cluster->safe_psql('postgres', 'CREATE DATABASE restored');
$cluster->safe_psql('postgres', "ALTER DATABASE restored SET $_ = '" . $alliance->sql('dc', "SHOW $_") . "'")
  foreach qw(medchain.signing_key medchain.pseudonym_key_file);
command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $dump, $cluster->connstr('restored') ], 'and restored into another database');

is($cluster->safe_psql('restored', $content), $before, 'ledger and state are what they were');
is($cluster->safe_psql('restored', 'SELECT count(*) FILTER (WHERE ok), count(*) FROM medchain.verify()'), '3|3', 'and verify');
is($cluster->safe_psql('restored', q{SELECT count(*) FROM medchain.verify_table('diagnosis')}), '0', 'the protected table agrees with the ledger');
is($cluster->safe_psql('restored', q{SELECT count(*) FROM medchain.verify_table('device_log')}), '0', 'and so does a ledger table, with columns dropped and added');
is($cluster->safe_psql('restored', q{SELECT count(*) FROM medchain.pending}), '0', 'restoring is not DDL for the ledger; what follows is');
$cluster->safe_psql('restored', 'ALTER DATABASE restored SET medchain.read_audit = off');
is($cluster->safe_psql('restored', 'SELECT string_agg(patient_id, \',\') FROM diagnosis', extra_params => [ '-U', 'app_a' ]), 'P1', 'row security holds');
$cluster->safe_psql('restored', 'ALTER DATABASE restored RESET medchain.read_audit');
is($cluster->safe_psql('restored', q{SELECT count(*) FROM pg_trigger WHERE tgname IN ('medchain_capture', 'medchain_truncate', 'guard_row', 'guard_truncate', 'arrive', 'pending_leaf') AND tgenabled <> 'A'}),
	'0', 'all triggers are there to stay');

# a copy, until it is said that it is the node (which here is in another database of this server: 027_copies.pl)
($rc, undef, $err) = $cluster->psql('restored', q{INSERT INTO device_log (id, what) VALUES (2, 'moved')});
like($err, qr/copy of node "dc"/, 'it is a copy, and does not go on by itself');
$cluster->safe_psql('restored', q{SELECT medchain.start_workers();
	CREATE FUNCTION go_on() RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = medchain, medchain_internal, pg_temp
	AS 'UPDATE local_node SET home = here(); SELECT take_over_tables(false)'; SELECT go_on(); DROP FUNCTION go_on()});

# what is added now is captured, sealed and verified as before
$cluster->safe_psql('restored', q{INSERT INTO device_log (id, what) VALUES (2, 'moved'); ALTER TABLE device_log ADD COLUMN place text});
is($cluster->safe_psql('restored', q{SELECT count(*) FROM medchain.verify_table('device_log')}), '0', 'a ledger table goes on');
is($cluster->safe_psql('restored', q{SELECT (SELECT count(*) FROM medchain.pending WHERE kind = 'table.alter') + (SELECT count(*) FROM medchain.entry WHERE kind = 'table.alter')}), 2, 'and its DDL is recorded');
($rc, undef, $err) = $cluster->psql('restored', q{UPDATE device_log SET what = 'x'});
like($err, qr/is append-only/, 'and it is append-only');
$cluster->safe_psql('restored', q{SELECT medchain.start_workers()});
$cluster->safe_psql('restored', q{UPDATE diagnosis SET finding = 'restored' WHERE case_no = 5});
$cluster->safe_psql('restored', q{SELECT medchain.seal()});
is($cluster->safe_psql('restored', q{SELECT count(*) FROM medchain.entry WHERE kind = 'row.update' AND payload ~ 'diagnosis'}), '4', 'the restored node goes on');
is($cluster->safe_psql('restored', q{SELECT count(*) FROM medchain.verify_table('diagnosis')}), '0', 'table and ledger agree');
# what pg_dump read is on the chain, which ha has all of; the set of these reads stood here alone, and came too late for the dump
is($cluster->safe_psql('restored', q{SELECT string_agg(DISTINCT coalesce(regexp_replace(detail, '[0-9a-f-]{36}', '<id>'), 'fine'), ', ') FROM medchain.verify('dc')}), 'read_set <id>: the subjects are missing',
	'the chain verifies, but for the set that the dump is too old for');
($rc, undef, $err) = $cluster->psql('restored', q{INSERT INTO medchain.block SELECT origin, height + 100, size, root, previous, hash, sealed, note FROM medchain.block LIMIT 1});
like($err, qr/written by medchain alone/, 'and is closed to rows from outside again');
$cluster->safe_psql('postgres', 'DROP DATABASE restored');
pass('a database with workers in it can be dropped');
$alliance->check_logs;
done_testing();
