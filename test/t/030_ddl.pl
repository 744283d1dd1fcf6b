# DDL and ledger tables: what concerns none of them costs and locks nothing; what concerns one is on the ledger, put down to
# who did it, or said to have been found.
use strict;
use warnings;

use Medchain::Alliance;
use PostgreSQL::Test::Utils;
use Test::More;

my $alliance = Medchain::Alliance->new(dc => 'data_center');

$alliance->start('dc', conf => "track_functions = all\n");
$alliance->found;
my $cluster = $alliance->cluster('dc');

sub sql { my ($sql) = @_; return $alliance->sql('dc', "SET client_min_messages = warning; $sql"); }

# What the ledger says about tables since the last time it was asked: command or "found", and the items.
my $mark = 0;
sub said
{
	my $said = sql(qq{
		SELECT string_agg(concat_ws(' ', kind, body ->> 'relation', coalesce(body ->> 'command', CASE WHEN body ? 'found' THEN 'FOUND' END),
				(SELECT string_agg(c ->> 'item', ', ' ORDER BY c ->> 'item' COLLATE "C") FROM jsonb_array_elements(body -> 'changes') c
				 WHERE c ->> 'item' !~ '^definition of')), '; ' ORDER BY late, seq)
			FROM (SELECT false AS late, seq, kind, payload::jsonb -> 'body' AS body FROM medchain.entry WHERE seq >= $mark
				  UNION ALL SELECT true, seq, kind, payload::jsonb -> 'body' FROM medchain.pending) e
			WHERE kind IN ('table.alter', 'table.drop')});
	sql('SELECT medchain.seal()');
	$mark = sql(q{SELECT size FROM medchain.chain WHERE origin = 'dc'});
	return $said;
}

# How often tables were described, and observed, by these statements, one transaction each.
sub looks
{
	my ($sql) = @_;
	my $count = q{SELECT coalesce(sum(calls), 0) FROM pg_stat_user_functions WHERE schemaname = 'medchain_internal' AND funcname IN ('row_description', 'observe_table');};
	sql('SELECT pg_stat_reset()');
	sql("DO \$do\$ BEGIN END \$do\$; $sql");
	return sql($count);
}

sql(q{
	CREATE ROLE other SUPERUSER LOGIN;
	CREATE ROLE nurse;
	CREATE ROLE doctor;
	CREATE SCHEMA ward;
	CREATE TABLE ward.plain (id int PRIMARY KEY, v text);
	CREATE TABLE ward.parts (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
	CREATE TABLE ward.parts_1 PARTITION OF ward.parts FOR VALUES FROM (0) TO (10);
	CREATE TABLE ward.parts_2 PARTITION OF ward.parts FOR VALUES FROM (10) TO (20);
	CREATE FUNCTION ward.nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
	CREATE FUNCTION ward.yes(int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
	CREATE TABLE elsewhere (id int PRIMARY KEY, v text);
	CREATE TYPE elsewhere_type AS ENUM ('a')});
sql(q{SELECT medchain.ledger_table('ward.parts')});
my $first = looks(q{SELECT medchain.ledger_table('ward.plain')});
cmp_ok($first, '>', 0, 'putting a table on the ledger looks at it');
sql(qq{CREATE TABLE ledger_$_ (id int PRIMARY KEY, v text); SELECT medchain.ledger_table('ledger_$_')}) foreach 1 .. 20;
sql(q{CREATE TABLE last_one (id int PRIMARY KEY, v text)});
is(looks(q{SELECT medchain.ledger_table('last_one')}), $first, 'and at no other, however many there are');
said();

# What concerns none of them
is( looks(q{
	CREATE TEMP TABLE t (id int PRIMARY KEY, v text);
	CREATE INDEX ON t (v);
	ALTER TABLE t ADD COLUMN w text DEFAULT 'w';
	DROP TABLE t;
	CREATE TEMP VIEW tv AS SELECT 1;
	CREATE INDEX elsewhere_v ON elsewhere (v);
	COMMENT ON TABLE elsewhere IS 'elsewhere';
	ANALYZE elsewhere;
	GRANT SELECT ON elsewhere TO nurse;
	ALTER TABLE elsewhere ADD COLUMN w text, ADD COLUMN x elsewhere_type;
	ALTER TABLE elsewhere ALTER COLUMN w TYPE int USING w::int;
	ALTER TABLE elsewhere RENAME COLUMN w TO y;
	CREATE TRIGGER nothing BEFORE INSERT ON elsewhere FOR EACH ROW EXECUTE FUNCTION ward.nothing();
	ALTER TABLE elsewhere DISABLE TRIGGER nothing;
	CREATE POLICY nothing ON elsewhere USING (ward.yes(id));
	ALTER TYPE elsewhere_type ADD VALUE 'b';
	ALTER TYPE elsewhere_type RENAME VALUE 'a' TO 'c';
	CREATE FUNCTION another() RETURNS int LANGUAGE sql AS 'SELECT 1';
	ALTER FUNCTION another() RENAME TO renamed;
	DROP FUNCTION renamed();
	CREATE VIEW seen AS SELECT id FROM elsewhere;
	ALTER VIEW seen RENAME TO unseen;
	CREATE TABLE split (id int) PARTITION BY RANGE (id);
	CREATE TABLE split_1 PARTITION OF split FOR VALUES FROM (0) TO (10);
	ALTER TABLE split DETACH PARTITION split_1;
	DROP VIEW unseen;
	DROP TRIGGER nothing ON elsewhere;
	DROP POLICY nothing ON elsewhere;
	ALTER TABLE elsewhere DROP COLUMN x;
	CREATE SCHEMA empty CREATE TABLE full_table (id int) CREATE VIEW v AS SELECT 1 AS one;
	DROP SCHEMA empty CASCADE;
	DROP TABLE split, split_1}),
	0, 'DDL on other things looks at no ledger table');
is( sql(q{
	BEGIN;
	ALTER TABLE elsewhere ADD COLUMN z int;
	CREATE TRIGGER nothing BEFORE INSERT ON elsewhere FOR EACH ROW EXECUTE FUNCTION ward.nothing();
	CREATE TEMP TABLE t (id int);
	DROP TABLE t;
	DROP TRIGGER nothing ON elsewhere;
	SELECT string_agg(DISTINCT l.relation::regclass::text, ', ') FROM pg_locks l JOIN medchain.row_table t
		ON l.relation IN (SELECT medchain_internal.table_and_partitions(t.relation)) WHERE l.pid = pg_backend_pid();
	COMMIT}),
	'', 'and locks none');
is( sql(q{
	BEGIN;
	ALTER TABLE ward.plain ADD COLUMN more text;
	ALTER FUNCTION ward.nothing() RENAME TO nothing_much;
	SELECT string_agg(DISTINCT l.relation::regclass::text, ', ') FROM pg_locks l JOIN medchain.row_table t
		ON l.relation IN (SELECT medchain_internal.table_and_partitions(t.relation)) WHERE l.pid = pg_backend_pid();
	COMMIT}),
	'ward.plain', 'DDL on a ledger table locks that table');
is(said(), 'table.alter ward.plain ALTER TABLE column more', 'it is on the ledger, and nothing else');

# DDL on other things, in an open transaction, holds no lock on anything of medchain's, be it the first of its session
foreach my $unrelated (
	[ 'ALTER TABLE', q{ALTER TABLE elsewhere ADD COLUMN lock_1 int} ],
	[ 'rewriting a table', q{ALTER TABLE elsewhere ALTER COLUMN z TYPE text} ],
	[ 'CREATE and DROP TABLE', q{CREATE TABLE short (id int PRIMARY KEY); DROP TABLE short} ],
	[ 'a temporary table', q{CREATE TEMP TABLE t (id int); ALTER TABLE t ADD COLUMN v text; DROP TABLE t} ],
	[ 'dropping what is on a table', q{CREATE POLICY p ON elsewhere USING (true); DROP POLICY p ON elsewhere; ALTER TABLE elsewhere DROP COLUMN v} ],
	[ 'partitions', q{CREATE TABLE split (id int) PARTITION BY RANGE (id); CREATE TABLE split_1 PARTITION OF split FOR VALUES FROM (0) TO (10);
		ALTER TABLE split DETACH PARTITION split_1; DROP TABLE split, split_1} ],
	[ 'types and functions', q{ALTER TYPE elsewhere_type RENAME VALUE 'b' TO 'd'; CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'; ALTER FUNCTION f() RENAME TO g; DROP FUNCTION g()} ],
	[ 'schemas', q{CREATE SCHEMA empty CREATE TABLE full_table (id int) CREATE VIEW v AS SELECT 1 AS one; ALTER SCHEMA empty RENAME TO full_one; DROP SCHEMA full_one CASCADE} ],
	[ 'owners', q{ALTER TABLE elsewhere OWNER TO nurse; REASSIGN OWNED BY nurse TO doctor; DROP OWNED BY nurse} ],
	[ 'switching triggers', q{ALTER TABLE elsewhere DISABLE TRIGGER ALL; ALTER TABLE elsewhere ENABLE TRIGGER ALL} ],
	[ 'TRUNCATE and COPY', q{TRUNCATE elsewhere; COPY elsewhere (id) FROM PROGRAM 'echo 1'} ],
	[ 'COMMENT, GRANT, an index', q{COMMENT ON TABLE elsewhere IS 'here'; GRANT SELECT ON elsewhere TO nurse; CREATE INDEX ON elsewhere (id); ANALYZE elsewhere} ],
	[ 'queries', q{INSERT INTO elsewhere (id) VALUES (7); UPDATE elsewhere SET id = 8 WHERE id = 7; DELETE FROM elsewhere; LOCK TABLE elsewhere} ],
	[ 'a view', q{CREATE MATERIALIZED VIEW mv AS SELECT 1 AS one; REFRESH MATERIALIZED VIEW mv; DROP MATERIALIZED VIEW mv} ])
{
	is( sql(qq{
		BEGIN;
		$unrelated->[1];
		SELECT string_agg(DISTINCT l.relation::regclass || ' ' || l.mode, ', ') FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
			WHERE l.pid = pg_backend_pid() AND c.relnamespace = 'medchain'::regnamespace;
		ROLLBACK}),
		'', "no lock on a relation of medchain's is left by $unrelated->[0]");
}

# What concerns one, by whatever way
my @ways = (
	[ 'a trigger and its function', q{CREATE TRIGGER t BEFORE INSERT ON ward.parts FOR EACH ROW EXECUTE FUNCTION ward.nothing_much()},
		'table.alter ward.parts CREATE TRIGGER trigger t, trigger t on ward.parts_1, trigger t on ward.parts_2' ],
	[ 'the function by another name', q{ALTER FUNCTION ward.nothing_much() RENAME TO nothing}, 'table.alter ward.parts ALTER FUNCTION ' ],
	[ 'a trigger of a partition', q{ALTER TABLE ward.parts_1 DISABLE TRIGGER t}, 'table.alter ward.parts ALTER TABLE trigger t on ward.parts_1' ],
	[ 'a trigger renamed', q{ALTER TRIGGER t ON ward.parts RENAME TO u},
		'table.alter ward.parts ALTER TRIGGER ' . join(', ', map { ("trigger $_", "trigger $_ on ward.parts_1", "trigger $_ on ward.parts_2") } qw(t u)) ],
	[ 'a function dropped with its trigger', q{DROP FUNCTION ward.nothing() CASCADE}, undef ],
	[ 'a policy for two roles', q{CREATE POLICY p ON ward.plain TO nurse, doctor USING (ward.yes(id))}, 'table.alter ward.plain CREATE POLICY policy p, roles of policy p' ],
	[ 'what a policy calls goes elsewhere', q{ALTER FUNCTION ward.yes(int) SET SCHEMA public}, 'table.alter ward.plain ALTER FUNCTION ' ],
	[ 'one role less', q{DROP OWNED BY nurse}, 'table.alter ward.plain DROP OWNED roles of policy p' ],
	[ 'a policy dropped with what it calls', q{DROP FUNCTION yes(int) CASCADE}, 'table.alter ward.plain DROP FUNCTION policy p, roles of policy p' ],
	[ 'a column of a view\'s type', q{CREATE VIEW shape AS SELECT 1 AS a; ALTER TABLE ward.plain ADD COLUMN s shape}, 'table.alter ward.plain ALTER TABLE attributes of public.shape, column s' ],
	[ 'the view', q{CREATE OR REPLACE VIEW shape AS SELECT 1 AS a, 2 AS b}, 'table.alter ward.plain CREATE VIEW attributes of public.shape' ],
	[ 'the view dropped', q{DROP VIEW shape CASCADE}, 'table.alter ward.plain DROP VIEW attributes of public.shape, column s' ],
	[ 'a type within types', q{
		CREATE TYPE inner_type AS ENUM ('x');
		CREATE DOMAIN domain_type AS inner_type;
		CREATE TYPE outer_type AS (a int, b domain_type[]);
		CREATE TABLE held (o outer_type);
		ALTER TABLE ward.plain ADD COLUMN deep held[]}, 'table.alter ward.plain ALTER TABLE attributes of public.held, attributes of public.outer_type, column deep, labels of public.inner_type' ],
	[ 'its label', q{ALTER TYPE inner_type RENAME VALUE 'x' TO 'y'}, 'table.alter ward.plain ALTER TYPE labels of public.inner_type' ],
	[ 'a label more', q{ALTER TYPE inner_type ADD VALUE 'z'}, 'table.alter ward.plain ALTER TYPE labels of public.inner_type' ],
	[ 'an attribute more', q{ALTER TYPE outer_type ADD ATTRIBUTE c int}, 'table.alter ward.plain ALTER TYPE attributes of public.outer_type' ],
	[ 'the table whose rows it has', q{ALTER TABLE held DROP COLUMN o}, 'table.alter ward.plain ALTER TABLE attributes of public.held, attributes of public.outer_type, labels of public.inner_type' ],
	[ 'a column dropped with its type', q{DROP TABLE held CASCADE}, 'table.alter ward.plain DROP TABLE column deep' ],
	[ 'an extension that moves', q{CREATE EXTENSION citext; ALTER TABLE ward.plain ADD COLUMN c citext; ALTER EXTENSION citext SET SCHEMA ward},
		'table.alter ward.plain ALTER TABLE column c; table.alter ward.plain ALTER EXTENSION column c' ],
	[ 'an extension dropped', q{DROP EXTENSION citext CASCADE}, 'table.alter ward.plain DROP EXTENSION column c' ],
	[ 'a partition made with a schema', q{CREATE SCHEMA annexe CREATE TABLE parts_3 (id int NOT NULL, v text); ALTER TABLE ward.parts ATTACH PARTITION annexe.parts_3 FOR VALUES FROM (20) TO (30)},
		'table.alter ward.parts ALTER TABLE partition annexe.parts_3, trigger medchain_capture on annexe.parts_3' ],
	[ 'and the schema by another name', q{ALTER SCHEMA annexe RENAME TO annex},
		'table.alter ward.parts ALTER SCHEMA partition annex.parts_3, partition annexe.parts_3, trigger medchain_capture on annex.parts_3, trigger medchain_capture on annexe.parts_3, trigger medchain_truncate on annex.parts_3, trigger medchain_truncate on annexe.parts_3' ],
	[ 'a partition detached', q{ALTER TABLE ward.parts DETACH PARTITION annex.parts_3},
		'table.alter ward.parts ALTER TABLE partition annex.parts_3, trigger medchain_capture on annex.parts_3, trigger medchain_truncate on annex.parts_3' ],
	[ 'a table moved', q{ALTER TABLE last_one SET SCHEMA ward}, 'table.alter public.last_one ALTER TABLE name' ],
	[ 'a table renamed', q{ALTER TABLE ward.last_one RENAME TO final}, 'table.alter public.last_one ALTER TABLE name' ],
	[ 'a column renamed', q{ALTER TABLE ward.final RENAME COLUMN v TO w}, 'table.alter public.last_one ALTER TABLE column v, column w' ],
	[ 'a table given away', q{ALTER TABLE ward.final OWNER TO doctor}, 'table.alter public.last_one ALTER TABLE owner' ],
	[ 'what a role has given away', q{REASSIGN OWNED BY doctor TO nurse}, 'table.alter public.last_one REASSIGN OWNED owner' ],
	[ 'row security', q{ALTER TABLE ward.final ENABLE ROW LEVEL SECURITY}, 'table.alter public.last_one ALTER TABLE row security' ],
	[ 'a schema dropped', q{ALTER TABLE ward.final SET SCHEMA annex; DROP SCHEMA annex CASCADE}, 'table.alter public.last_one ALTER TABLE name; table.drop public.last_one DROP SCHEMA' ]);
foreach my $way (@ways)
{
	my ($title, $sql, $expected) = @$way;
	sql($sql);
	my $said = said();
	if (defined $expected) { is($said, $expected =~ s/ $//r, $title); }
	else { like($said, qr/^table\.alter ward\.parts DROP FUNCTION .*trigger /, $title); }
	unlike($said, qr/FOUND/, "$title: this command has done it") unless defined $expected;
}
is(sql(q{SELECT string_agg(f.fault || ' ' || f.detail, ', ') FROM medchain.row_table t, medchain.verify_table(t.relation) f}), '', 'no table has a fault');

# A role by another name
sql(q{ALTER TABLE ledger_1 OWNER TO doctor; CREATE POLICY p ON ledger_1 TO nurse USING (true)});
said();
sql(q{ALTER ROLE doctor RENAME TO physician; ALTER ROLE nurse RENAME TO carer; ALTER TABLE ledger_1 ADD COLUMN x int});
is(said(), 'table.alter public.ledger_1 ALTER TABLE column x', 'that a role is called otherwise is nobody\'s doing');
is(sql(q{SELECT count(*) FROM medchain.verify_table('ledger_1')}), 0, 'and no fault');

# What no event trigger has seen is found: first by verify_table() alone
my $hide = sub { my ($sql) = @_; sql("ALTER EVENT TRIGGER medchain_observe_ddl DISABLE; ALTER EVENT TRIGGER medchain_observe_drop DISABLE; $sql; ALTER EVENT TRIGGER medchain_observe_ddl ENABLE ALWAYS; ALTER EVENT TRIGGER medchain_observe_drop ENABLE ALWAYS"); };
$hide->(q{ALTER TABLE ledger_2 ADD COLUMN smuggled text; ALTER TABLE ledger_2 OWNER TO carer; ALTER TABLE ledger_2 DISABLE TRIGGER medchain_truncate});
my $faults = 'column smuggled: added, owner: changed, trigger medchain_truncate: changed';
my $found  = q{SELECT string_agg(detail, ', ' ORDER BY detail) FROM medchain.verify_table('ledger_2') WHERE fault = 'changed' AND row_key IS NULL};
is(sql($found), $faults, 'what was hidden is a fault');
is(sql(q{SELECT ok FROM medchain.verify('dc'); CREATE TEMP TABLE t (id int); DROP TABLE t}), 't', 'an audit, and temporary tables');
is(said(), '', 'do not put it on the ledger as their own');
is(sql($found), $faults, 'it is still a fault');
$cluster->safe_psql('postgres', q{ALTER TABLE ledger_2 ADD COLUMN honest text}, extra_params => [ '-U', 'other' ]);
is(said(), 'table.alter public.ledger_2 FOUND column smuggled, owner, trigger medchain_truncate; table.alter public.ledger_2 ALTER TABLE column honest',
	'another one who alters the table has found it, and has done what is his own');
$hide->(q{DROP TRIGGER medchain_truncate ON ledger_3; ALTER TABLE ledger_3 DROP COLUMN v});
$cluster->safe_psql('postgres', q{ALTER TABLE ledger_3 SET (fillfactor = 50)}, extra_params => [ '-U', 'other' ]);
is(said(), 'table.alter public.ledger_3 FOUND column v, trigger medchain_truncate', 'or nothing but found it');

# A transaction that does not know yet that a table is on the ledger
sql('CREATE TABLE young (id int PRIMARY KEY)');
my $old = $cluster->background_psql('postgres', on_error_stop => 0);
$old->query_safe(q{BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1});
sql(q{SELECT medchain.ledger_table('young')});
my $said_to_it = $old->query(q{\set VERBOSITY sqlstate
ALTER TABLE young ADD COLUMN v text;});
$old->quit;
is(sql(q{SELECT count(*) FROM pg_attribute WHERE attrelid = 'young'::regclass AND attname = 'v'}), 0, 'does not alter it unseen');

# A ledger table that would be a part of another
$alliance->fails_like('dc', q{CREATE TABLE big (id int PRIMARY KEY, v text) PARTITION BY RANGE (id); ALTER TABLE big ATTACH PARTITION ledger_4 FOR VALUES FROM (0) TO (10)},
	qr/rows of public[.]ledger_4 are on the ledger, it cannot become a partition/, 'it is refused, as its rows would get lost to the ledger');

# A dump restored by several sessions: none waits for another over what is ours
sql(q{DROP TABLE ledger_2, ledger_3; ALTER TABLE ledger_1 ADD COLUMN gone int; ALTER TABLE ledger_1 DROP COLUMN gone});
sql(qq{ALTER TABLE ledger_$_ ADD FOREIGN KEY (id) REFERENCES ledger_1 (id); CREATE INDEX ON ledger_$_ (v)}) foreach 5 .. 20;
my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump';
command_ok([ 'pg_dump', '-Fd', '-f', $dump, '--no-subscriptions', '--no-publications', $cluster->connstr('postgres') ], 'the node is dumped');
$cluster->safe_psql('postgres', 'CREATE DATABASE restored');
command_ok([ 'pg_restore', '-e', "--section=$_->[0]", '-j', $_->[1], '-d', $cluster->connstr('restored'), $dump ], "$_->[0] is restored")
  foreach [ 'pre-data', 1 ], [ 'data', 1 ], [ 'post-data', 6 ];
# what take_over() does about tables; it refuses here, where the node itself is on the same server
$cluster->safe_psql('restored', q{CREATE FUNCTION go_on() RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = medchain, medchain_internal, pg_temp
	AS 'UPDATE local_node SET home = here(); SELECT take_over_tables(false)'; SELECT go_on(); DROP FUNCTION go_on()});
is($cluster->safe_psql('restored', q{SELECT string_agg(t.ledger_name, ', ') FROM medchain.row_table t WHERE NOT medchain_internal.is_watched(t)}), '', 'DDL on all its tables is recorded again');
is($cluster->safe_psql('restored', q{SELECT count(*) FROM medchain.pending}), 0, 'the restore itself was none');
is($cluster->safe_psql('restored', q{SELECT string_agg(f.fault || ' ' || f.detail, ', ') FROM medchain.row_table t, medchain.verify_table(t.relation) f}), '', 'no table has a fault');
unlike(PostgreSQL::Test::Utils::slurp_file($cluster->logfile), qr/deadlock detected/, 'there was no deadlock');

$alliance->check_logs;
done_testing();
