# Destroying a ledger takes the right to, and is never an accident: whatever the road, the extension goes by DROP
# EXTENSION alone, and a protected table whose policies or extension are gone shows nothing.  What is left of a
# protection is taken over, and "Taking it away" of doc/operations.md leads out, as it is printed there.
use strict;
use warnings;

use Medchain::Alliance;
use PostgreSQL::Test::Utils;
use Test::More;

my ($dc, $en, $ha) = qw(data-centre end-node hospital-a);
my $alliance = Medchain::Alliance->new($dc => 'data_center', $en => 'end_node', $ha => 'chain_node');
my $tmp      = PostgreSQL::Test::Utils::tempdir();

$alliance->establish;
$alliance->sql($ha, q{
	CREATE ROLE owner LOGIN IN ROLE medchain_admin;
	CREATE ROLE app_a LOGIN;
	CREATE ROLE app_c LOGIN;
	ALTER DATABASE postgres OWNER TO owner;
	CREATE SCHEMA clinic AUTHORIZATION owner;
	SET ROLE owner;
	CREATE TABLE clinic.diagnosis (case_no int PRIMARY KEY, patient_id text NOT NULL, finding text);
	INSERT INTO clinic.diagnosis SELECT i, 'P' || i, 'benign' FROM generate_series(1, 20) i;
	CREATE TABLE clinic.visit (id int PRIMARY KEY, patient_id text) PARTITION BY RANGE (id);
	CREATE TABLE clinic.visit_1 PARTITION OF clinic.visit FOR VALUES FROM (0) TO (10);
	CREATE TABLE clinic.visit_2 PARTITION OF clinic.visit FOR VALUES FROM (10) TO (20);
	INSERT INTO clinic.visit SELECT i, 'P' || i FROM generate_series(1, 19) i;
	CREATE TABLE clinic.device_log (id int PRIMARY KEY, what text);
	SELECT medchain.protect('clinic.diagnosis', 'patient_id');
	SELECT medchain.protect('clinic.visit', 'patient_id');
	SELECT medchain.ledger_table('clinic.device_log');
	GRANT USAGE ON SCHEMA clinic TO app_a, app_c;
	GRANT SELECT, UPDATE, DELETE ON ALL TABLES IN SCHEMA clinic TO app_a, app_c;
	RESET ROLE;
	SELECT medchain.bind_role('app_a', 'hospital-a')});
$alliance->sql($en, qq{SELECT medchain.issue_protocol('P1', 'text', '[{"grantee": "$ha", "operations": ["query", "update"]}]')});
$alliance->wait_for_equal_heads;

my $cluster = $alliance->cluster($ha);

# How many rows of each table app_c, who acts for nobody, sees after some statements that are rolled back.
sub seen
{
	my ($before, %options) = @_;
	my @counts = map { "SELECT count(*) FROM clinic.$_;" } split(/ /, $options{tables} || 'diagnosis visit visit_1 visit_2');
	my ($rc, $out, $err) = $cluster->psql($options{dbname} || 'postgres', "BEGIN; $before; SET ROLE app_c; @counts ROLLBACK;");
	my @lines = split(/\n/, $out);
	return $rc == 0 ? join(' ', splice(@lines, -@counts)) : "error: $err";
}

is(seen(''), '0 0 0 0', 'who acts for nobody sees nothing');
is($cluster->safe_psql('postgres', 'SELECT (SELECT count(*) FROM clinic.diagnosis), (SELECT count(*) FROM clinic.visit_1)', extra_params => [ '-U', 'app_a' ]),
	'1|1', 'who acts for the member sees what was granted');

# ----- roads along which the extension must not go

my $refused = qr/extension "medchain" cannot be dropped in part, or along with something else.*HINT:.*DROP EXTENSION medchain first/s;
foreach my $road (
	'DROP SCHEMA medchain CASCADE',
	'DROP SCHEMA clinic, medchain CASCADE',
	'DROP EXTENSION plpgsql CASCADE',
	q{DO $$ BEGIN EXECUTE 'DROP SCHEMA medchain CASCADE'; END $$},
	'ALTER EXTENSION medchain DROP FUNCTION medchain.may_query(text, regclass)',
	'ALTER EXTENSION medchain DROP FUNCTION medchain_internal.capture()',
	'ALTER EXTENSION medchain DROP SCHEMA medchain_internal',
	'ALTER EXTENSION medchain DROP TABLE medchain.entry',
	'ALTER EXTENSION medchain DROP EVENT TRIGGER medchain_observe_drop',
	'DROP INDEX medchain.entry_row',
	'ALTER TABLE medchain.entry DROP COLUMN payload CASCADE',
	'ALTER TABLE medchain.entry DROP CONSTRAINT entry_pkey CASCADE')
{
	$alliance->fails_like($ha, "BEGIN; $road; ROLLBACK", $refused, "$road is refused");
}
$alliance->fails_like($ha, 'BEGIN; ALTER SCHEMA medchain RENAME TO other; ROLLBACK', qr/schema "medchain" cannot be renamed/, 'and so is another name for the schema');
$alliance->fails_like($ha, 'BEGIN; ALTER SCHEMA medchain_internal RENAME TO other; ROLLBACK', qr/schema "medchain_internal" cannot be renamed/,
	'or for that of the functions nobody is to call');
foreach my $road (
	'DROP LANGUAGE plpgsql CASCADE',
	'DROP FUNCTION medchain.may_query(text, regclass) CASCADE',
	'DROP FUNCTION medchain_internal.capture() CASCADE',
	'DROP SCHEMA medchain_internal CASCADE',
	'DROP TABLE medchain.entry CASCADE',
	'DROP VIEW medchain.chains CASCADE',
	'DROP EVENT TRIGGER medchain_observe_drop',
	'DROP ROLE medchain_admin',
	'ALTER EXTENSION medchain SET SCHEMA public')
{
	my ($rc, undef, $err) = $alliance->try($ha, "BEGIN; $road; ROLLBACK");
	isnt($rc, 0, "PostgreSQL itself refuses $road");
}

# the usual reset of a database by its owner, who is no superuser
my ($rc, $out, $err) = $alliance->cluster($ha)->psql('postgres', 'BEGIN; DROP SCHEMA public CASCADE; SELECT count(*) FROM pg_extension WHERE extname = \'medchain\'; ROLLBACK',
	extra_params => [ '-U', 'owner' ]);
is("$rc $out", '0 1', 'DROP SCHEMA public CASCADE by the owner of the database does not take medchain along');
is(seen('DROP SCHEMA public CASCADE'), '0 0 0 0', 'nor the protection');
$alliance->sql($ha, 'CREATE EXTENSION IF NOT EXISTS pgcrypto');
is(seen('DROP EXTENSION pgcrypto CASCADE'), '0 0 0 0', 'medchain does not hang on pgcrypto');
is($alliance->sql($ha, q{SELECT count(*) FROM pg_depend d WHERE d.classid = 'pg_extension'::regclass AND d.refclassid = 'pg_extension'::regclass
	AND d.objid = (SELECT oid FROM pg_extension WHERE extname = 'medchain')}), '0', 'nor on any other extension');

# all that its installer owns
$alliance->sql($ha, 'CREATE ROLE installer SUPERUSER LOGIN');
$alliance->sql($ha, 'CREATE DATABASE other');
$cluster->safe_psql('other', 'CREATE EXTENSION medchain CASCADE', extra_params => [ '-U', 'installer' ]);
foreach my $road ('DROP OWNED BY installer', 'DROP OWNED BY installer CASCADE')
{
	($rc, $out, $err) = $cluster->psql('other', "BEGIN; $road; ROLLBACK");
	isnt($rc, 0, $road);
	like($err, $refused, '... is refused');
}

# who has no right to is not told what is here
($rc, $out, $err) = $cluster->psql('postgres', 'DROP EXTENSION medchain', extra_params => [ '-U', 'owner' ]);
like($err, qr/must be owner of extension medchain/, 'DROP EXTENSION is for the owner of the extension');
unlike($err, qr/subscription|clinic/, 'and shows others nothing');

# maintenance goes on
$alliance->sql($ha, 'REINDEX TABLE CONCURRENTLY medchain.entry');
$alliance->sql($ha, 'VACUUM FULL medchain.chain');
$alliance->sql($ha, q{CREATE FUNCTION public.mine() RETURNS int LANGUAGE sql AS 'SELECT 1';
	ALTER EXTENSION medchain ADD FUNCTION public.mine(); ALTER EXTENSION medchain DROP FUNCTION public.mine(); DROP FUNCTION public.mine()});
pass('indexes and tables are made anew, and what was added to the extension by mistake is taken out');

# ----- a schema that happens to have the name

$cluster->safe_psql('other', 'DROP EXTENSION medchain');
is($cluster->safe_psql('other', q{CREATE SCHEMA medchain; DROP EXTENSION IF EXISTS medchain; SELECT count(*) FROM pg_namespace WHERE nspname = 'medchain'}),
	'1', 'DROP EXTENSION IF EXISTS where there is none leaves the schema, which pg_upgrade needs');
$cluster->safe_psql('other', 'DROP SCHEMA IF EXISTS medchain');

# ----- part by part: what is gone shows nothing

my @policies = split(/\n/, $alliance->sql($ha, q{SELECT polname FROM pg_policy WHERE polrelid = 'clinic.diagnosis'::regclass ORDER BY 1}));
is(scalar(@policies), 8, 'a protected table has two policies for each command');
foreach my $policy (@policies)
{
	my $drop = join('; ', map { "DROP POLICY $policy ON clinic.$_" } qw(diagnosis visit visit_1 visit_2));
	is(seen($drop), '0 0 0 0', "without $policy nobody sees more");
	is($cluster->safe_psql('postgres', "BEGIN; $drop; SET ROLE app_c; WITH u AS (UPDATE clinic.diagnosis SET finding = 'x' RETURNING 1), d AS (DELETE FROM clinic.visit_1 RETURNING 1) SELECT (SELECT count(*) FROM u) + (SELECT count(*) FROM d)"),
		'0', '... nor changes any');
	like($alliance->sql($ha, "BEGIN; $drop; SELECT string_agg(fault || ': ' || detail, ', ') FROM medchain.verify_table('clinic.visit')"),
		qr/not protected: policy $policy on clinic\.visit is missing.*visit_1 is missing.*visit_2 is missing/, '... and verify_table() names it');
}
is(seen(join('; ', map { "DROP POLICY $_ ON clinic.diagnosis" } @policies), tables => 'diagnosis'), '0', 'without any nobody sees anything');
foreach my $alter ('DISABLE ROW LEVEL SECURITY', 'NO FORCE ROW LEVEL SECURITY')
{
	like($alliance->sql($ha, "BEGIN; ALTER TABLE clinic.visit_1 $alter; SELECT fault || ': ' || detail FROM medchain.verify_table('clinic.visit')"),
		qr/not protected: row security on clinic\.visit_1 is (off|not forced)/, "verify_table() names $alter");
}
like($alliance->sql($ha, q{BEGIN; ALTER POLICY medchain_select ON clinic.visit_1 USING (true); SELECT fault || ': ' || detail FROM medchain.verify_table('clinic.visit')}),
	qr/^not protected: policy medchain_select on clinic\.visit_1 is not as protect\(\) made it$/, 'and a policy that was changed');
is(seen('ALTER POLICY medchain_select ON clinic.visit_1 USING (true); ALTER POLICY medchain_select ON clinic.diagnosis USING (true)'), '0 0 0 0', 'which opens nothing alone');
is(seen('CREATE POLICY wide ON clinic.diagnosis USING (true)'), '0 0 0 0', 'nor does one that somebody adds');
is($alliance->sql($ha, q{SELECT count(*) FROM medchain.verify_table('clinic.visit')}), '0', 'there was no fault before');

# a partition that was detached, and its parent dropped
is(seen('ALTER TABLE clinic.visit DETACH PARTITION clinic.visit_1; DROP TABLE clinic.visit CASCADE', tables => 'visit_1'), '0', 'a detached partition stays hidden when its parent is gone');
is(seen('ALTER TABLE clinic.visit DETACH PARTITION clinic.visit_1; ALTER TABLE clinic.visit ATTACH PARTITION clinic.visit_1 FOR VALUES FROM (0) TO (10)'), '0 0 0 0', 'and can come back');
is(seen(q{ALTER TABLE clinic.visit DETACH PARTITION clinic.visit_1; SELECT medchain.unprotect('clinic.visit_1')}, tables => 'visit_1 visit'), '9 0', 'or be set free by its owner');
$alliance->fails_like($ha, q{SELECT medchain.unprotect('clinic.visit_1')}, qr/clinic\.visit_1 is a partition of clinic\.visit, which is protected.*HINT:.*DETACH PARTITION clinic\.visit_1 first/s, 'which a partition is not');

# ----- leftovers

# to a database where there is no medchain
sub dumped
{
	my ($file, @options) = @_;
	command_ok([ 'pg_dump', '-f', "$tmp/$file", @options, $cluster->connstr('postgres') ], "$file is dumped");
	return "$tmp/$file";
}
my $diagnosis = dumped('diagnosis', '-t', 'clinic.diagnosis');
my $log       = dumped('log', '-t', 'clinic.device_log');
$cluster->safe_psql('other', 'CREATE SCHEMA clinic AUTHORIZATION owner; GRANT USAGE ON SCHEMA clinic TO app_c');
$cluster->psql('other', "\\i $diagnosis", on_error_stop => 0);
is($cluster->safe_psql('other', 'SELECT count(*) FROM clinic.diagnosis'), '20', 'a table restored where there is no medchain has its rows');
is($cluster->safe_psql('other', 'SET ROLE app_c; SELECT count(*) FROM clinic.diagnosis'), '0', 'and shows nothing');
$cluster->safe_psql('other', 'DROP TABLE clinic.diagnosis');

# to one with the extension, that is no node
$cluster->safe_psql('other', 'CREATE EXTENSION medchain CASCADE');
$cluster->safe_psql('other', "\\i $diagnosis\n\\i $log");
is(seen('', dbname => 'other', tables => 'diagnosis'), '0', 'restored where there is medchain it shows nothing either');
($rc, $out, $err) = $cluster->psql('other', q{INSERT INTO clinic.device_log VALUES (1, 'x')});
like($err, qr/has a trigger of medchain, which knows nothing of the table.*HINT:.*end_ledger_table\('clinic\.device_log'\).*ledger_table\(\)/s, 'it is not written to with triggers of another ledger');
($rc, $out, $err) = $cluster->psql('other', q{TRUNCATE clinic.device_log});
like($err, qr/has a trigger of medchain, which knows nothing of the table.*HINT:.*end_ledger_table\('clinic\.device_log'\).*ledger_table\(\)/s, 'nor truncated');
($rc, $out, $err) = $cluster->psql('other', 'DROP EXTENSION medchain');
like($err, qr/DETAIL:.*table clinic\.device_log, table clinic\.diagnosis\..*HINT:  Call medchain\.end_ledger_table\('clinic\.device_log'\), medchain\.unprotect\('clinic\.diagnosis'\) first/s,
	'DROP EXTENSION names the leftovers, and what to do');
$cluster->safe_psql('other', q{SELECT medchain.end_ledger_table('clinic.device_log'); SELECT medchain.unprotect('clinic.diagnosis')}, extra_params => [ '-U', 'owner' ]);
$cluster->safe_psql('other', q{INSERT INTO clinic.device_log VALUES (1, 'x'); DELETE FROM clinic.diagnosis WHERE case_no = 1; TRUNCATE clinic.device_log});
is($cluster->safe_psql('other', q{SELECT (SELECT count(*) FROM pg_trigger WHERE tgrelid = ANY ('{clinic.diagnosis, clinic.device_log}'::regclass[])), (SELECT count(*) FROM pg_policy)}),
	'0|0', 'their owner has them free');
$cluster->safe_psql('other', 'DROP EXTENSION medchain');

# to another node, which takes them over
$cluster = $alliance->cluster($en);
$cluster->safe_psql('postgres', 'CREATE ROLE owner LOGIN IN ROLE medchain_admin; CREATE ROLE app_a; CREATE ROLE app_c; CREATE SCHEMA clinic AUTHORIZATION owner; GRANT USAGE ON SCHEMA clinic TO app_c');
$cluster->safe_psql('postgres', "\\i $diagnosis\n\\i $log");
$cluster->safe_psql('postgres', q{SELECT medchain.protect('clinic.diagnosis', 'patient_id'); SELECT medchain.ledger_table('clinic.device_log', append_only => true)}, extra_params => [ '-U', 'owner' ]);
$cluster->safe_psql('postgres', q{UPDATE clinic.diagnosis SET finding = 'here' WHERE case_no = 1; INSERT INTO clinic.device_log VALUES (1, 'x')});
is($cluster->safe_psql('postgres', q{SELECT count(*) FROM medchain.verify_table('clinic.diagnosis')}) . $cluster->safe_psql('postgres', q{SELECT count(*) FROM medchain.verify_table('clinic.device_log')}),
	'00', 'protect() and ledger_table() take over what came from another database');
is($cluster->safe_psql('postgres', 'SET ROLE app_c; SELECT count(*) FROM clinic.diagnosis'), '0', 'and it is protected');
is($cluster->safe_psql('postgres', q{SELECT string_agg(format('%s %s', tgname, tgenabled), ',' ORDER BY tgname) FROM pg_trigger WHERE tgrelid = 'clinic.device_log'::regclass}), 'medchain_capture A,medchain_truncate A', 'with one trigger of each kind');

# what only has the name is somebody else's
$cluster->safe_psql('postgres', q{
	CREATE FUNCTION public.theirs() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
	CREATE TABLE clinic.third (id int PRIMARY KEY, patient_id text);
	ALTER TABLE clinic.third OWNER TO owner;
	CREATE TRIGGER medchain_capture AFTER INSERT ON clinic.third EXECUTE FUNCTION public.theirs()});
$alliance->fails_like($en, q{SELECT medchain.ledger_table('clinic.third')}, qr/trigger "medchain_capture" on table clinic\.third is not medchain's.*HINT:.*ALTER TRIGGER medchain_capture ON clinic\.third RENAME/s, 'a trigger that only has our name');
$alliance->fails_like($en, q{SELECT medchain.end_ledger_table('clinic.third')}, qr/clinic\.third is not a ledger table/, '... is not taken for ours');
$alliance->sql($en, 'ALTER TRIGGER medchain_capture ON clinic.third RENAME TO theirs; CREATE POLICY medchain_select ON clinic.third USING (true)');
$alliance->fails_like($en, q{SELECT medchain.protect('clinic.third', 'patient_id')}, qr/policy "medchain_select" on table clinic\.third is not medchain's.*HINT:.*ALTER POLICY medchain_select ON clinic\.third RENAME/s, 'nor is a policy');
$alliance->fails_like($en, q{SELECT medchain.unprotect('clinic.third')}, qr/clinic\.third is not protected/, '... taken off');
$alliance->sql($en, q{ALTER POLICY medchain_select ON clinic.third RENAME TO theirs; SELECT medchain.protect('clinic.third', 'patient_id')});
# nor does another name hide ours
$alliance->sql($en, q{ALTER TRIGGER medchain_capture ON clinic.third RENAME TO hidden; SELECT medchain.unprotect('clinic.third')});
is($alliance->sql($en, q{SELECT string_agg(tgname, ',') FROM pg_trigger WHERE tgrelid = 'clinic.third'::regclass}), 'theirs', 'our triggers are known by what they call');

# ----- without the library the extension can go, and still nothing is shown

$cluster = $alliance->cluster($ha);
$cluster->append_conf('postgresql.conf', q{shared_preload_libraries = ''});
$cluster->restart;
like(seen(''), qr/error:.*Add shared_preload_libraries/s, 'without the library loaded nothing is shown');
foreach my $road ('DROP EXTENSION medchain CASCADE', 'DROP SCHEMA medchain CASCADE',
	'ALTER EVENT TRIGGER medchain_observe_ddl DISABLE; ALTER EVENT TRIGGER medchain_observe_drop DISABLE;
		ALTER EXTENSION medchain DROP FUNCTION medchain.may_query(text, regclass); DROP FUNCTION medchain.may_query(text, regclass) CASCADE')
{
	is(seen($road), '0 0 0 0', "nor after $road");
}
$cluster->append_conf('postgresql.conf', q{shared_preload_libraries = 'medchain'});
$cluster->restart;

# ----- taking it away, as doc/operations.md has it

my ($section) = PostgreSQL::Test::Utils::slurp_file('doc/operations.md') =~ /^## Taking it away\n(.*?)(?=^## |\z)/ms;
my @blocks = $section =~ /^ *```sql\n(.*?)^ *```$/msg;
is(scalar(@blocks), 5, 'the way out has five steps in SQL');
my ($tables, $contract, $others, $drop, $server) = @blocks;

$alliance->sql($ha, 'CREATE ROLE alliance LOGIN IN ROLE medchain_peer; DROP DATABASE other; DROP ROLE installer');
$alliance->fails_like($ha, 'DROP EXTENSION medchain',
	qr/cannot be dropped while this database uses it.*DETAIL:.*table clinic\.device_log, table clinic\.diagnosis, table clinic\.visit, publication "medchain".*subscription.*HINT:.*unprotect\('clinic\.diagnosis'\).*leave_alliance\(\) first\. Whoever has privileges/s,
	'DROP EXTENSION is refused with the calls to make');
$alliance->fails_like($ha, 'DROP EXTENSION medchain CASCADE', qr/cannot be dropped while this database uses it/, 'and so it is with CASCADE');
# the roles of this test, in the place of those that the README makes
$alliance->sql($ha, "SET search_path = clinic, public; $tables" =~ s/\brecords\b/app_c/r);
$alliance->sql($ha, q{SELECT medchain.unprotect('clinic.visit')});
is(seen('', tables => 'visit'), '19', 'what was not taken from a role before is open then');
like(seen('', tables => 'diagnosis'), qr/permission denied/, 'and what was is not');
$alliance->sql($ha, $contract);
$alliance->wait_for($_, "SELECT state FROM medchain.members WHERE member = '$ha'", 'ended') foreach $dc, $en;
is($alliance->sql($dc, q{SELECT string_agg(kind, ',' ORDER BY seq) FROM medchain.entry WHERE origin = 'hospital-a' AND kind IN ('unprotect', 'table.end', 'ending')}),
	'unprotect,table.end,unprotect,ending', 'the others have it on the ledger');
$alliance->sql($_, $others) foreach $dc, $en;
$alliance->sql($ha, $drop);
is($alliance->sql($ha, q{SELECT (SELECT count(*) FROM pg_extension WHERE extname = 'medchain'), (SELECT count(*) FROM pg_namespace WHERE nspname = 'medchain'),
	(SELECT count(*) FROM pg_policy), (SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal), (SELECT count(*) FROM pg_event_trigger), (SELECT count(*) FROM pg_subscription),
	(SELECT count(*) FROM pg_publication), (SELECT count(*) FROM pg_replication_slots), (SELECT count(*) FROM clinic.diagnosis)}), '0|0|0|0|0|0|0|0|20', 'the extension is gone, the records are there');
$alliance->sql($ha, $server);
is($alliance->sql($ha, q{SELECT count(*) FROM pg_roles WHERE rolname LIKE 'medchain%' OR rolname = 'alliance'}), '0', 'and so are the roles');
$cluster->append_conf('postgresql.conf', q{shared_preload_libraries = ''});
$cluster->restart;
$alliance->sql($dc, q{SELECT medchain.append('visit', '{}')});
$alliance->wait_for_equal_heads($dc, $en);
$alliance->verify_ok($dc, $en);

# make uninstall takes away what make install has put there
my @make = ('make', '-s', "DESTDIR=$tmp/root");
command_ok([ @make, 'install' ], 'make install');
isnt(`find $tmp/root -type f`, '', 'installs files');
command_ok([ @make, 'uninstall' ], 'make uninstall');
is(`find $tmp/root -type f -o -type l`, '', 'takes all of them away');

$alliance->check_logs;
done_testing();
