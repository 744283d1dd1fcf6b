--
-- What this node keeps of its ledger tables, edited by hand: verify() and verify_table() say so,
-- and fail because of none of it.
--
\set SHOW_CONTEXT never
CREATE ROLE regress_local LOGIN IN ROLE medchain_admin;
CREATE ROLE regress_else;
CREATE ROLE regress_reading LOGIN IN ROLE medchain_member;
GRANT CREATE ON SCHEMA public TO regress_local;
SELECT current_user AS superuser \gset
\c - regress_local
CREATE TABLE kept (id int PRIMARY KEY, v text);
CREATE TABLE base (id int PRIMARY KEY, v text);
CREATE TABLE heir (PRIMARY KEY (id)) INHERITS (base);
CREATE TABLE parted (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10);
SELECT medchain.ledger_table(r) FROM unnest('{kept, base, parted}'::regclass[]) r;
CREATE POLICY for_some ON kept TO regress_else;
-- a migration that goes down and up
ALTER TABLE kept ADD COLUMN z int DEFAULT 3;
ALTER TABLE kept DROP COLUMN z;
ALTER TABLE kept ADD COLUMN z int DEFAULT 3;
INSERT INTO kept VALUES (1, 'v');
ALTER TABLE kept DROP COLUMN z, ADD COLUMN z text;
INSERT INTO kept VALUES (2, 'v');
SELECT * FROM medchain.verify_table('kept');
SELECT medchain.seal();
\c - :superuser
SELECT * FROM medchain_internal.local_faults();

-- each edit, and what is said of it
CREATE FUNCTION test.edited(change text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    found text[];
    everywhere bigint;
BEGIN
    EXECUTE change;
    found := ARRAY(SELECT f FROM medchain_internal.local_faults() f);
    everywhere := count(*) FROM medchain.verify('data-centre') v WHERE NOT v.ok;
    PERFORM FROM unnest('{kept, heir, parted}'::regclass[]) r, medchain.verify_table(r);
    RAISE EXCEPTION USING ERRCODE = 'XE001';
EXCEPTION WHEN SQLSTATE 'XE001' THEN
    RETURN QUERY SELECT n FROM unnest(found) n UNION ALL SELECT format('verify(): %s', everywhere);
END
$$;
SELECT e.* FROM (VALUES
    (1, $$ UPDATE medchain.row_table SET description = '[]' WHERE relation = 'kept'::regclass $$),
    (2, $$ UPDATE medchain.row_table SET description = '5' WHERE relation = 'parted'::regclass $$),
    (3, $$ UPDATE medchain.row_table SET roles = 'null' WHERE relation = 'base'::regclass $$),
    (4, $$ UPDATE medchain.row_table SET roles = roles || '{"owner": ["x", -1, 99999999999]}'
        WHERE relation = 'kept'::regclass $$),
    (5, $$ UPDATE medchain.row_table SET roles = jsonb_set(roles, '{roles of policy for_some}',
        '[0]') WHERE relation = 'kept'::regclass $$),
    (6, $$ UPDATE medchain.row_table SET with_parent = true WHERE relation = 'kept'::regclass $$),
    (7, $$ UPDATE medchain.row_part SET name = 'elsewhere.x' WHERE part = 'kept'::regclass $$),
    (8, $$ UPDATE medchain.row_part SET leaving = true WHERE part = 'parted_1'::regclass $$),
    (9, $$ UPDATE medchain.row_column SET since = 2 WHERE relation = 'kept'::regclass
        AND attribute = 'z' $$),
    (10, $$ DELETE FROM medchain.row_column WHERE relation = 'kept'::regclass
        AND attribute = 'z' $$),
    (11, $$ UPDATE medchain.row_part SET relation = 'base'::regclass
        WHERE part = 'kept'::regclass $$),
    (12, $$ UPDATE medchain.row_part SET relation = 'pg_class'::regclass
        WHERE part = 'kept'::regclass $$)
    ) c (n, change), LATERAL (SELECT c.n, f FROM test.edited(c.change) f) e;

-- a policy is given to somebody else past the trigger, and who had it is edited as well
BEGIN;
ALTER EVENT TRIGGER medchain_observe_ddl DISABLE;
ALTER POLICY for_some ON kept TO regress_local;
ALTER EVENT TRIGGER medchain_observe_ddl ENABLE ALWAYS;
UPDATE medchain.row_table SET roles = jsonb_set(roles, '{roles of policy for_some}',
    to_jsonb(ARRAY['regress_local'::regrole::oid])) WHERE relation = 'kept'::regclass;
SELECT * FROM medchain_internal.local_faults();
ROLLBACK;
-- a role that is renamed is no edit
BEGIN;
ALTER ROLE regress_else RENAME TO regress_other;
SELECT * FROM medchain_internal.local_faults();
SELECT * FROM medchain.verify_table('kept');
ROLLBACK;

-- names of rows: one that has gone past the trigger is not called like another
INSERT INTO kept SELECT i, 'v' FROM generate_series(3, 22) i;
CREATE TABLE pair (a text, b text, PRIMARY KEY (a, b));
SELECT medchain.ledger_table('pair');
INSERT INTO pair VALUES ('x, b=y', 'z'), ('x', 'y, b=z'), ('1', '2');
INSERT INTO pair SELECT 'x, b=' || i, 'b=, b=' FROM generate_series(1, 20) i;
BEGIN;
ALTER TABLE kept DISABLE TRIGGER medchain_capture;
ALTER TABLE pair DISABLE TRIGGER medchain_capture;
DELETE FROM kept WHERE id IN (1, 13);
DELETE FROM pair WHERE a IN ('1', 'x, b=7', 'x, b=y');
ALTER TABLE kept ENABLE ALWAYS TRIGGER medchain_capture;
ALTER TABLE pair ENABLE ALWAYS TRIGGER medchain_capture;
SELECT row_key, fault FROM medchain.verify_table('kept');
SELECT row_key, fault FROM medchain.verify_table('pair');
UPDATE medchain.row_set SET keys = decode(replace(encode(keys, 'hex'), encode('id=13', 'hex'),
    encode('id=17', 'hex')), 'hex') WHERE relation = 'public.kept';
UPDATE medchain.row_key SET row_key = 'id=2' WHERE row_key = 'id=1';
UPDATE medchain.row_key SET row_key = 'a=x, b=y, b=z' WHERE row_key = 'a=1, b=2';
SELECT CASE WHEN row_key ~ '^[0-9a-f]{64}$' THEN 'its pseudonym' ELSE row_key END AS row_key, fault
    FROM medchain.verify_table('kept')
    ORDER BY row_key ~ '^[0-9a-f]{64}$', row_key COLLATE "C";
SELECT CASE WHEN row_key ~ '^[0-9a-f]{64}$' THEN 'its pseudonym' ELSE row_key END AS row_key, fault
    FROM medchain.verify_table('pair')
    ORDER BY row_key ~ '^[0-9a-f]{64}$', row_key COLLATE "C";
ROLLBACK;
-- rows of tables that inherit from it are none of a table's own
INSERT INTO base VALUES (1, 'base'), (2, 'base');
INSERT INTO heir VALUES (1, 'heir'), (3, 'heir');
SELECT medchain.seal();
SELECT r, k, medchain.row_proof(r, k) -> 'row' IS NOT NULL AS proven
    FROM unnest('{base, heir}'::regclass[]) r, generate_series(1, 3) k ORDER BY 1, 2;

-- the history of rows that row security hides
\c - regress_local
CREATE TABLE hidden (own name, v text);
ALTER TABLE hidden ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON hidden USING (own = current_user);
SELECT medchain.ledger_table('hidden');
INSERT INTO hidden VALUES ('somebody', 'this');
GRANT SELECT ON hidden TO regress_reading;
\c - regress_reading
SELECT e.* FROM unnest('{this, that}'::text[]) v, test.error_of(format(
    $$ SELECT * FROM medchain.row_history('hidden',
        '{"own": "somebody", "v": "%s"}'::text) $$, v)) e;
\c - regress_local
SELECT operation FROM medchain.row_history('hidden', '{"own": "somebody", "v": "this"}'::text);
\c - :superuser
DROP TABLE hidden;
-- a table without columns
\c - regress_local
CREATE TABLE nothing ();
CREATE TABLE something (id int PRIMARY KEY) INHERITS (nothing);
SELECT e.* FROM test.error_of($$ SELECT medchain.ledger_table('nothing') $$) e;
SELECT medchain.ledger_table('something');
SELECT e.* FROM test.error_of($$ ALTER TABLE something DROP id $$) e;
CREATE TABLE single (v text);
SELECT medchain.ledger_table('single');
SELECT e.* FROM test.error_of($$ ALTER TABLE single DROP v $$) e;
ALTER TABLE single DROP v, ADD w text;
INSERT INTO single VALUES ('x');
SELECT operation, fault FROM single s, medchain.row_history('single', s);
SELECT * FROM medchain.verify_table('single');
DROP TABLE something, nothing, single;
\c - :superuser
DROP TABLE kept, base, heir, parted, pair;
DROP FUNCTION test.edited(text);
REVOKE CREATE ON SCHEMA public FROM regress_local;
DROP ROLE regress_local, regress_else, regress_reading;
