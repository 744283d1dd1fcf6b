# Tables as real schemas have them, of owners who administer nothing: heirs of protected tables and what they show to whom, tables
# named by an index, tables without a key; and all of them after a dump.
use strict;
use warnings;

use Medchain::Alliance;
use PostgreSQL::Test::Utils;
use Test::More;

my $alliance = Medchain::Alliance->new(dc => 'data_center', en => 'end_node', ha => 'chain_node');
$alliance->establish;
my $cluster = $alliance->cluster('dc');

sub sql { my ($sql, $role) = @_; return $alliance->sql('dc', "SET client_min_messages = warning; $sql", $role ? (extra_params => [ '-U', $role ]) : ()); }

sub error
{
	my ($sql, $role) = @_;
	my ($rc, $out, $err) = $cluster->psql('postgres', $sql, $role ? (extra_params => [ '-U', $role ]) : ());
	return $rc == 0 ? "no error: $out" : $err;
}

sub faults { my ($table) = @_; return sql("SELECT coalesce(string_agg(concat_ws(' ', row_key, fault, detail), '; ' ORDER BY row_key, detail), 'none') FROM medchain.verify_table('$table')"); }

sql(q{
	CREATE ROLE clinic LOGIN IN ROLE medchain_admin;
	CREATE ROLE stranger LOGIN;
	CREATE ROLE reader LOGIN;
	GRANT CREATE ON SCHEMA public TO clinic;
	SELECT medchain.bind_role('reader', 'ha');
	SET ROLE clinic;
	CREATE TABLE audit (version int DEFAULT 0);
	CREATE TABLE item (id int PRIMARY KEY, patient text NOT NULL, said text);
	CREATE TABLE note (PRIMARY KEY (id)) INHERITS (item, audit);
	INSERT INTO item VALUES (1, 'P1', 'item'), (2, 'P2', 'item');
	INSERT INTO note VALUES (1, 'P1', 'note'), (2, 'P2', 'note');
	CREATE TABLE stay (id int NOT NULL, ward text);
	CREATE UNIQUE INDEX stay_id ON stay (id);
	INSERT INTO stay VALUES (1, 'a');
	CREATE TABLE death (person int, cause text);
	INSERT INTO death VALUES (1, 'x'), (1, 'x'), (2, NULL);
	GRANT ALL ON item, note, audit, stay, death TO reader, stranger});
sql(q{SELECT medchain.protect('item', 'patient'), medchain.ledger_table('stay'), medchain.ledger_table('death')}, 'clinic');
sql(q{REVOKE medchain_admin FROM clinic});
$alliance->sql('en', q{SELECT medchain.issue_protocol('P1', 'text', '[{"grantee": "ha", "operations": ["query", "update"]}]')});
$alliance->sql('en', q{SELECT medchain.issue_protocol('P2', 'text', '[{"grantee": "ha", "operations": ["query"], "records": ["public.note"]}]')});
$alliance->wait_for_equal_heads;

# ----- what who sees of a protected table and its heirs
my $seen = q{SELECT tableoid::regclass || '/' || string_agg(patient, ',' ORDER BY patient) FROM %s GROUP BY tableoid ORDER BY tableoid::regclass::text};
sub seen { my ($table, $role) = @_; return join(' ', split(/\n/, sql(sprintf($seen, $table), $role))); }
is(seen('item', 'reader'), 'item/P1 note/P1', 'a table shows the rows of its heirs by its own policies');
is(seen('note', 'reader'), 'note/P1,P2', 'and an heir by its own: a grant is for records of what is queried');
is(seen('item', 'stranger') . seen('note', 'stranger') . seen('item', 'clinic'), '', 'others see nothing, the owner neither');
like(error(q{SELECT * FROM audit}, 'reader'), qr/table "note" is protected, and "audit", from which it inherits, is not.*ONLY "audit"/s, 'by way of a table that nobody protects it is not to be had');
like(error(q{SELECT count(*) FROM (SELECT version FROM audit UNION ALL SELECT 1) x}, 'stranger'), qr/is protected/, 'nor in a part of a query');
like(error(q{DELETE FROM audit}, 'stranger'), qr/is protected/, 'nor to be deleted');
like(error(q{CREATE VIEW seen AS SELECT * FROM audit; GRANT SELECT ON seen TO stranger; SELECT * FROM seen}, 'clinic'), qr/is protected/, 'nor through a view');
is(sql(q{SELECT count(*) FROM ONLY audit}, 'stranger'), '0', 'but for its own rows');
is(sql(q{SELECT count(*) FROM audit}), '2', 'superusers read all, as everywhere');
sql(q{UPDATE item SET said = 'read'}, 'reader');
is(sql(q{SELECT string_agg(tableoid::regclass || ' ' || patient || ' ' || said, ', ' ORDER BY tableoid::regclass::text, patient) FROM item}), 'item P1 read, item P2 item, note P1 read, note P2 note', 'what is changed by way of the table');
is(sql(q{SELECT string_agg(operation, ',') FROM medchain.row_history('note', 1)}), 'baseline,update', 'is on the ledger of the heir');

# ----- an owner with no role of medchain's
is(error(q{CREATE TABLE page () INHERITS (note); GRANT ALL ON page TO reader, stranger}, 'clinic'), 'no error: ', 'who owns a table makes heirs');
sql(q{INSERT INTO page (id, patient) VALUES (3, 'P1')});
is(seen('item', 'reader'), 'item/P1 note/P1 page/P1', 'which are what it is');
is(seen('page', 'stranger'), '', 'closed');
sql(q{ALTER TABLE page NO INHERIT note; UPDATE page SET said = 'not unseen'}, 'clinic');
is(seen('page', 'stranger') . sql(q{SELECT with_parent FROM medchain.row_table WHERE relation = 'page'::regclass}), 'f', 'and stay so when they are heirs no more');
sql(q{ALTER TABLE page INHERIT note}, 'clinic');
like(error(q{CREATE TABLE open (LIKE item); ALTER TABLE item INHERIT open}, 'clinic'), qr/cannot inherit from public\.open, which is not/, 'it cannot be had by way of another one');
like(error(q{ALTER TABLE note DISABLE ROW LEVEL SECURITY; SELECT count(*) FROM item}, 'clinic'), qr/^no error/, 'row security of an heir can be switched off');
like(faults('item'), qr/public\.note: row security on public\.note is off/, 'which is seen, from the table as well');
sql(q{ALTER TABLE note ENABLE ROW LEVEL SECURITY}, 'clinic');
is(faults('item'), 'none', 'and mended');

# ----- who only has rights on a table
is(error(q{DELETE FROM death WHERE ctid = (SELECT ctid FROM death WHERE person = 1 LIMIT 1); INSERT INTO death VALUES (2, NULL); UPDATE stay SET id = 3}, 'stranger'), 'no error: ', 'anybody with privileges changes rows');
is(faults('death') . faults('stay'), 'nonenone', 'all of it is captured');
like(error(qq{SELECT medchain.renew_table('death')}, $_), qr/permission denied/, "$_ cannot renew a table") foreach qw(stranger clinic);
like(error(q{DROP INDEX stay_id}, 'clinic'), qr/unique index of public\.stay cannot be dropped/, 'an owner cannot take the key away');
like(error(q{DROP INDEX CONCURRENTLY stay_id}, 'stranger'), qr/must be owner/, 'and somebody else is told so by PostgreSQL');

# ----- changed past the trigger: one of several equal rows, in an heir that is away for a while
sql(q{ALTER TABLE death DISABLE TRIGGER medchain_capture; INSERT INTO death VALUES (2, NULL); ALTER TABLE death ENABLE ALWAYS TRIGGER medchain_capture}, 'clinic');
is(faults('death'), 'person=2 added rows that say this: 2 by the ledger, 3 in the table', 'another one of what is there already');
sql(q{DELETE FROM death WHERE ctid = (SELECT ctid FROM death WHERE person = 2 LIMIT 1)}, 'stranger');
is(faults('death'), 'person=2 added rows that say this: 1 by the ledger, 2 in the table', 'what is done to it afterwards does not cover it up');
sql(q{ALTER TABLE page NO INHERIT note; ALTER TABLE page DISABLE TRIGGER medchain_capture; INSERT INTO page (id, patient) VALUES (4, 'P1');
	ALTER TABLE page ENABLE ALWAYS TRIGGER medchain_capture; ALTER TABLE page INHERIT note});
like(faults('item'), qr/^public\.page: .*added the ledger knows nothing of this row$/, 'a row that was put into an heir while it was none');
sql(q{SELECT medchain.renew_table('death', 'of the tests'), medchain.renew_table('item', 'of the tests')});
is(faults('death') . faults('item'), 'nonenone', 'the way back');
$alliance->sql('dc', 'SELECT medchain.seal()');
is(sql(q{SELECT string_agg((body -> 'relation')::text || ' ' || (body -> 'faults')::text, ', ' ORDER BY seq) FROM (SELECT seq, payload::jsonb -> 'body' AS body FROM medchain.entry WHERE kind = 'table.alter') e WHERE body ? 'faults'}),
	'"public.death" {"added": 1}, "public.page" {"added": 1}', 'is on the ledger, with what was found');

# ----- a dump
my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump';
command_ok([ 'pg_dump', '-Fc', '--no-subscriptions', '--no-publications', '-f', $dump, $cluster->connstr('postgres') ], 'the node is dumped');
$cluster->safe_psql('postgres', 'CREATE DATABASE restored');
$cluster->safe_psql('postgres', "ALTER DATABASE restored SET $_ = '" . $alliance->sql('dc', "SHOW $_") . "'")
  foreach qw(medchain.signing_key medchain.pseudonym_key_file);
command_ok([ 'pg_restore', '-j2', '--exit-on-error', '-d', $cluster->connstr('restored'), $dump ], 'and restored');
my $all = q{SELECT count(*) FROM medchain.row_table t, medchain.verify_table(t.relation) f};
is($cluster->safe_psql('restored', $all), '0', 'all tables are as the ledger says');
$cluster->safe_psql('restored', q{SELECT medchain.start_workers();
	CREATE FUNCTION go_on() RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = medchain, medchain_internal, pg_temp
	AS 'UPDATE local_node SET home = here(); SELECT take_over_tables(false)'; SELECT go_on(); DROP FUNCTION go_on()});
is($cluster->safe_psql('restored', $all), '0', 'also where they go on');
is($cluster->safe_psql('restored', q{SELECT count(*) FROM medchain.pending WHERE kind ~ '^table'}), '0', 'nothing has changed on the way');
my (undef, undef, $err) = $cluster->psql('restored', 'DROP INDEX stay_id');
like($err, qr/unique index of public\.stay cannot be dropped/, 'the key stays');
$cluster->safe_psql('restored', q{SET client_min_messages = warning; INSERT INTO death VALUES (9); CREATE TABLE later (PRIMARY KEY (id)) INHERITS (item); INSERT INTO later VALUES (7, 'P1')});
is($cluster->safe_psql('restored', $all), '0', 'and what comes is captured');
is($cluster->safe_psql('restored', q{SELECT count(*) FROM medchain.row_table WHERE with_parent}), '2', 'with new heirs');
$alliance->check_logs;
done_testing();
