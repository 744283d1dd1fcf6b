--
-- Nothing runs as somebody else: whatever users have planted where medchain reads or changes their
-- tables runs as whoever calls, or not at all.
--
\set SHOW_CONTEXT never
SELECT current_user AS superuser \gset
SET client_min_messages = warning;
CREATE ROLE regress_planter LOGIN IN ROLE medchain_admin;
CREATE ROLE regress_caller LOGIN IN ROLE medchain_admin, medchain_member, medchain_auditor;
CREATE SCHEMA planted AUTHORIZATION regress_planter;
GRANT USAGE ON SCHEMA planted TO PUBLIC;

-- Sequences remember, whatever is rolled back: how often something planted ran, how often as
-- another role than it should, and as which.
CREATE SEQUENCE planted.runs;
CREATE SEQUENCE planted.foreign_runs;
CREATE SEQUENCE planted.foreign_role;
GRANT ALL ON ALL SEQUENCES IN SCHEMA planted TO PUBLIC;
CREATE FUNCTION planted.spy(x int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    PERFORM nextval('planted.runs');
    IF current_user <> current_setting('planted.caller') THEN
        PERFORM nextval('planted.foreign_runs');
        PERFORM setval('planted.foreign_role', current_user::regrole::oid::bigint);
    END IF;
    RETURN x;
END
$$;
CREATE FUNCTION test.foreign_runs() RETURNS TABLE (ran boolean, foreign_runs bigint, role text)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT nextval('planted.runs') > 1, nextval('planted.foreign_runs') - 1,
        (SELECT r.rolname::pg_catalog.text FROM pg_catalog.pg_roles r, planted.foreign_role s
         WHERE r.oid = s.last_value);
    PERFORM setval('planted.runs', 1, false), setval('planted.foreign_runs', 1, false),
        setval('planted.foreign_role', 1);
END
$$;
GRANT USAGE ON SCHEMA test TO PUBLIC;

-- A type whose operators, casts and operator classes are somebody's code; what can be made by
-- superusers alone is blessed by one here, as when an extension of the user's is installed.
CREATE TYPE planted.num;
CREATE FUNCTION planted.num_in(cstring) RETURNS planted.num LANGUAGE internal IMMUTABLE STRICT
    AS 'int4in';
CREATE FUNCTION planted.num_out(planted.num) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT
    AS 'int4out';
CREATE TYPE planted.num (INPUT = planted.num_in, OUTPUT = planted.num_out, LIKE = int4);
CREATE CAST (planted.num AS int) WITHOUT FUNCTION;
CREATE CAST (int AS planted.num) WITHOUT FUNCTION;
DO $$
DECLARE
    op record;
BEGIN
    FOR op IN SELECT * FROM (VALUES ('<', 'lt'), ('<=', 'le'), ('=', 'eq'), ('>=', 'ge'),
                                    ('>', 'gt')) o (sign, name) LOOP
        EXECUTE format('CREATE FUNCTION planted.num_%2$s(a planted.num, b planted.num)
            RETURNS boolean LANGUAGE plpgsql IMMUTABLE
            AS ''BEGIN RETURN a::int %1$s b::int + 0 * planted.spy(1); END''', op.sign, op.name);
        EXECUTE format('CREATE OPERATOR planted.%s (FUNCTION = planted.num_%s,
            LEFTARG = planted.num, RIGHTARG = planted.num, HASHES, MERGES)', op.sign, op.name);
    END LOOP;
END
$$;
CREATE FUNCTION planted.num_cmp(a planted.num, b planted.num) RETURNS int LANGUAGE plpgsql IMMUTABLE
    AS 'BEGIN RETURN sign(a::int - b::int + 0 * planted.spy(1)); END';
CREATE FUNCTION planted.num_hash(a planted.num) RETURNS int LANGUAGE plpgsql IMMUTABLE
    AS 'BEGIN RETURN a::int + 0 * planted.spy(1); END';
CREATE FUNCTION planted.num_hash(a planted.num, seed bigint) RETURNS bigint
    LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN a::int + seed + 0 * planted.spy(1); END';
CREATE OPERATOR CLASS planted.num_btree DEFAULT FOR TYPE planted.num USING btree AS
    OPERATOR 1 planted.<, OPERATOR 2 planted.<=, OPERATOR 3 planted.=, OPERATOR 4 planted.>=,
    OPERATOR 5 planted.>, FUNCTION 1 planted.num_cmp(planted.num, planted.num);
CREATE OPERATOR CLASS planted.num_hash DEFAULT FOR TYPE planted.num USING hash AS
    OPERATOR 1 planted.=, FUNCTION 1 planted.num_hash(planted.num),
    FUNCTION 2 planted.num_hash(planted.num, bigint);
CREATE FUNCTION planted.num_text(a planted.num) RETURNS text LANGUAGE plpgsql IMMUTABLE
    AS 'BEGIN RETURN a::int + 0 * planted.spy(1); END';
CREATE FUNCTION planted.num_json(a planted.num) RETURNS json LANGUAGE plpgsql IMMUTABLE
    AS 'BEGIN RETURN to_json(a::int + 0 * planted.spy(1)); END';
CREATE CAST (planted.num AS text) WITH FUNCTION planted.num_text(planted.num) AS IMPLICIT;
CREATE CAST (planted.num AS json) WITH FUNCTION planted.num_json(planted.num);
ALTER TYPE planted.num OWNER TO regress_planter;
ALTER FUNCTION planted.spy(int) OWNER TO regress_planter;

ALTER ROLE regress_planter SET planted.caller = 'regress_planter';
ALTER ROLE regress_caller SET planted.caller = 'regress_caller';
ALTER ROLE regress_planter SET client_min_messages = error;
ALTER ROLE regress_caller SET client_min_messages = error;

-- What no superuser is needed for.
\c - regress_planter
CREATE DOMAIN planted.checked AS int CHECK (VALUE < 1000000 + planted.spy(0));
CREATE TYPE planted.pair AS (a planted.checked, b text);
CREATE TYPE planted.span AS RANGE (subtype = planted.checked);
CREATE FUNCTION planted.trigger() RETURNS trigger LANGUAGE plpgsql
    AS 'BEGIN PERFORM planted.spy(1); RETURN NEW; END';
CREATE FUNCTION planted.plant(name text, partition_by text DEFAULT '') RETURNS void
    LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE TABLE planted.%1$s (id planted.num PRIMARY KEY,
        patient text DEFAULT planted.spy(1), c planted.checked DEFAULT planted.spy(2),
        p planted.pair, s planted.span, n planted.num[],
        g int GENERATED ALWAYS AS (planted.spy(3)) STORED,
        CONSTRAINT %1$s_c CHECK (planted.spy(0) < 1 OR c > planted.spy(1))) %2$s',
        name, partition_by);
    EXECUTE format('CREATE INDEX ON planted.%s ((c + planted.spy(1)))', name);
    EXECUTE format('CREATE INDEX ON planted.%s (c) WHERE c > planted.spy(0) - 100', name);
    EXECUTE format('CREATE STATISTICS planted.%1$s_s ON (c + planted.spy(1)), patient
        FROM planted.%1$s', name);
    EXECUTE format('CREATE TRIGGER theirs BEFORE INSERT OR UPDATE ON planted.%1$s FOR EACH ROW
        WHEN (NEW.c > planted.spy(0) - 100) EXECUTE FUNCTION planted.trigger()', name);
END
$$;
SELECT planted.plant('plain'), planted.plant('late'), planted.plant('spare');
SELECT planted.plant('parts', 'PARTITION BY RANGE (id)'),
    planted.plant('hashed', 'PARTITION BY HASH (id)');
CREATE TABLE planted.parts_1 PARTITION OF planted.parts FOR VALUES FROM ('0') TO ('10');
CREATE TABLE planted.parts_2 PARTITION OF planted.parts FOR VALUES FROM ('10') TO ('20')
    PARTITION BY RANGE (id);
CREATE TABLE planted.parts_21 PARTITION OF planted.parts_2 FOR VALUES FROM ('10') TO ('15');
CREATE TABLE planted.parts_22 PARTITION OF planted.parts_2 DEFAULT;
CREATE TABLE planted.hashed_0 PARTITION OF planted.hashed FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE planted.hashed_1 PARTITION OF planted.hashed FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE planted.keys (id planted.span PRIMARY KEY, p planted.pair);
INSERT INTO planted.plain (id, patient, p, s, n)
    SELECT i::planted.num, 'P' || i, ROW(i, 'b'::text)::planted.pair, planted.span(i, i + 1),
        ARRAY[i::planted.num]
    FROM generate_series(1, 15) i;
INSERT INTO planted.parts (id, patient, p, s, n) SELECT id, patient, p, s, n FROM planted.plain;
INSERT INTO planted.hashed (id, patient, p, s, n) SELECT id, patient, p, s, n FROM planted.plain;
INSERT INTO planted.keys VALUES ('[1,2)', (1, 'b'));
GRANT ALL ON ALL TABLES IN SCHEMA planted TO regress_caller;
SELECT * FROM test.foreign_runs();

--
-- Putting tables on the ledger, each in a session that knows nothing of them yet
--
\c - regress_planter
SELECT medchain.ledger_table('planted.plain', record_truncate => true);
\c - regress_planter
SELECT medchain.protect('planted.parts', 'patient');
\c - regress_planter
SELECT medchain.protect('planted.hashed', 'patient');
\c - regress_planter
SELECT medchain.ledger_table('planted.keys');
SELECT * FROM test.foreign_runs();

-- ... by a superuser, too, with whose rights nothing of it runs
\c - :superuser
SET client_min_messages = error;
SET planted.caller = 'regress_planter';
SELECT medchain.unprotect('planted.hashed');
SELECT medchain.end_ledger_table('planted.plain');
SELECT * FROM test.foreign_runs();
\c - :superuser
SET client_min_messages = error;
SET planted.caller = 'regress_planter';
SELECT medchain.protect('planted.hashed', 'patient');
SELECT medchain.ledger_table('planted.plain', record_truncate => true);
SELECT * FROM medchain.verify_table('planted.hashed');
SELECT * FROM medchain.verify_table('planted.plain');
SELECT * FROM test.foreign_runs();

-- Changing them
\c - regress_planter
INSERT INTO planted.plain (id) VALUES ('20');
UPDATE planted.plain SET c = 5, p = (7, 'c') WHERE id = '20'::planted.num;
DELETE FROM planted.plain WHERE id = '20'::planted.num;
SELECT * FROM test.foreign_runs();

-- Altering them
\c - regress_planter
ALTER TABLE planted.plain ADD COLUMN more planted.checked DEFAULT planted.spy(4);
\c - regress_planter
ALTER TABLE planted.plain ALTER COLUMN more DROP DEFAULT,
    ALTER COLUMN more TYPE bigint USING planted.spy(more::int);
\c - regress_planter
ALTER TABLE planted.parts ADD COLUMN more planted.checked DEFAULT planted.spy(4);
\c - regress_planter
CREATE TABLE planted.parts_3 PARTITION OF planted.parts FOR VALUES FROM ('20') TO ('30')
    PARTITION BY RANGE (id);
\c - regress_planter
CREATE TABLE planted.parts_31 PARTITION OF planted.parts_3 FOR VALUES FROM ('20') TO ('25');
\c - regress_planter
ALTER TABLE planted.late ADD COLUMN more planted.checked;
ALTER TABLE planted.late RENAME CONSTRAINT late_c TO parts_c;
DROP TRIGGER theirs ON planted.late;
ALTER TABLE planted.parts ATTACH PARTITION planted.late FOR VALUES FROM ('40') TO ('50');
\c - regress_planter
ALTER TABLE planted.parts DETACH PARTITION planted.parts_2;
\c - regress_planter
TRUNCATE planted.plain;
\c - regress_planter
INSERT INTO planted.plain (id) SELECT i::planted.num FROM generate_series(1, 5) i;
SELECT * FROM test.foreign_runs();

-- Looking at them
\c - regress_planter
SELECT * FROM medchain.verify_table('planted.plain');
\c - regress_planter
SELECT * FROM medchain.verify_table('planted.parts');
\c - regress_planter
SELECT * FROM medchain.verify_table('planted.keys');
SELECT * FROM test.foreign_runs();

-- Naming a row, where planted code finds something else in the caller's temporary schema
\c - regress_planter
CREATE TABLE planted.codes (code int);
CREATE FUNCTION planted.known(x int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE
    AS 'BEGIN RETURN (SELECT count(*) FROM codes) >= 0; END';
GRANT SELECT ON planted.codes TO PUBLIC;
CREATE DOMAIN planted.code AS int CHECK (planted.known(VALUE));
CREATE TYPE planted.codes_span AS RANGE (subtype = planted.code);
SET search_path = planted, public;
CREATE TABLE coded (id planted.code PRIMARY KEY, v text);
CREATE TABLE spanned (id planted.codes_span PRIMARY KEY, v text);
INSERT INTO coded VALUES (1, 'one');
INSERT INTO spanned VALUES ('[1,2)', 'one');
SELECT medchain.ledger_table('coded');
SELECT medchain.ledger_table('spanned');
GRANT SELECT ON coded, spanned TO regress_caller;
SELECT medchain.seal();
\c - regress_caller
SELECT operation FROM medchain.row_history('planted.coded', 1);
SET search_path = planted;
SELECT operation FROM medchain.row_history('spanned', '[1,2)');
SELECT medchain.row_proof('spanned', id) -> 'row' ->> 'content' AS content FROM spanned;
SELECT medchain.row_proof('coded', 1) -> 'row' ->> 'content' AS content;
RESET search_path;
CREATE FUNCTION pg_temp.shadow() RETURNS int LANGUAGE sql AS 'SELECT planted.spy(1)';
CREATE TEMP VIEW codes AS SELECT pg_temp.shadow();
GRANT SELECT ON codes TO PUBLIC;
SELECT operation FROM medchain.row_history('planted.spanned', '[1,2)');
SELECT operation FROM medchain.row_history_of('planted.spanned', '{"[1,2)"}');
SELECT operation FROM medchain.row_history('planted.spanned', int4range(1, 2));
SELECT medchain.row_proof('planted.spanned', '[1,2)') IS NOT NULL AS proven;
SELECT * FROM test.foreign_runs();

--
-- All functions of medchain, with arguments of all kinds, in a session that has something of its
-- own behind every name.  Whatever they say, it is no internal error.
--
\c - :superuser
SET client_min_messages = warning;
CREATE TABLE test.names AS
    SELECT c.relname::text AS name, 'view' AS kind FROM pg_class c
        WHERE c.relnamespace IN ('medchain'::regnamespace, 'pg_catalog'::regnamespace)
        AND c.relkind IN ('r', 'v')
    UNION ALL
    SELECT t.typname, 'type' FROM pg_type t
        WHERE t.typnamespace IN ('medchain'::regnamespace, 'pg_catalog'::regnamespace)
        AND t.typtype IN ('b', 'e', 'd', 'r', 'm') AND t.typname !~ '^_';
-- Arguments to try, by type.  A type that is not here makes the test fail.
CREATE TABLE test.samples AS SELECT * FROM (VALUES
    ('regclass', ARRAY['planted.plain', 'planted.parts', 'planted.parts_1', 'planted.spare', '0',
                       '4294967295', 'planted.plain_pkey', 'pg_catalog.pg_class',
                       'medchain.members', 'medchain.entry', 'planted.runs']),
    ('anyelement', ARRAY['1']), ('text', ARRAY['1', 'patient', '']), ('name', ARRAY['patient']),
    ('text[]', ARRAY['{1}', '{}', '{NULL}']), ('jsonb', ARRAY['{"id": 1}', '[]']),
    ('json', ARRAY['{}']), ('uuid', ARRAY['00000000-0000-0000-0000-000000000000']),
    ('uuid[]', ARRAY['{}', '{00000000-0000-0000-0000-000000000000}']),
    ('bytea', ARRAY['\x01']), ('bytea[]', ARRAY['{}', '{"\\\\x01"}']),
    ('bigint', ARRAY['1', '-1']), ('bigint[]', ARRAY['{0}', '{-1}']), ('integer', ARRAY['1', '-1']),
    ('boolean', ARRAY['true', 'false']),
    ('timestamp with time zone', ARRAY['2026-01-01', 'infinity']),
    ('tstzrange', ARRAY['[2026-01-01,2027-01-01)', 'empty']),
    ('regrole', ARRAY['0', 'regress_caller']),
    ('interval', ARRAY['1 day']), ('xid', ARRAY['3']), ('tid', ARRAY['(0,1)']), ('oid', ARRAY['0']),
    ('oid[]', ARRAY['{0}']), ('regclass[]', ARRAY['{}', '{planted.plain,planted.parts}']),
    ('pg_node_tree', ARRAY[NULL]), ('record', ARRAY[NULL]),
    ('medchain.member_kind', ARRAY['end_node']), ('medchain.member_kind[]', ARRAY['{end_node}']),
    ('medchain.row_table', ARRAY[NULL]), ('medchain.local_node', ARRAY[NULL]),
    ('medchain.quarantine', ARRAY[NULL])) s (type, samples);
CREATE TABLE test.calls AS
    WITH functions AS (
        SELECT p.oid, p.pronamespace, p.proname, p.prorettype, p.proretset,
               ARRAY(SELECT format_type(t, NULL) FROM unnest(p.proargtypes) WITH ORDINALITY a (t, n)
                     ORDER BY n) AS types,
               ARRAY(SELECT CASE WHEN y.typname = 'anyelement' THEN 'planted.num'
                                 ELSE format('%I.%I', y.typnamespace::regnamespace, y.typname) END
                     FROM unnest(p.proargtypes) WITH ORDINALITY a (t, n) JOIN pg_type y ON y.oid = t
                     ORDER BY n) AS names
        FROM pg_proc p WHERE p.pronamespace = ANY ('{medchain,medchain_internal}'::regnamespace[])
        AND 'internal'::regtype <> ALL (p.proargtypes)
        -- it drops replication slots, which no rollback brings back
        AND p.proname <> 'leave_alliance'),
    -- all nulls, then the first sample of each argument, and of one argument each of its samples
    choices AS (
        SELECT f.*, c.argument, c.sample FROM functions f CROSS JOIN LATERAL (
            SELECT 0 AS argument, 0 AS sample
            UNION ALL SELECT 0, 1
            UNION ALL SELECT a.n, i FROM unnest(f.types) WITH ORDINALITY a (type, n)
                JOIN test.samples s ON s.type = a.type,
                generate_series(2, cardinality(s.samples)) i) c)
    SELECT c.proname::text AS name,
           format('SELECT %s %s.%I(%s)', CASE WHEN c.proretset THEN '* FROM' END,
               c.pronamespace::regnamespace, c.proname,
               (SELECT string_agg(format('%L::%s', CASE WHEN c.sample > 0 THEN s.samples[
                           CASE WHEN a.n = c.argument THEN c.sample ELSE 1 END] END,
                           c.names[a.n]), ', ' ORDER BY a.n)
                FROM unnest(c.types) WITH ORDINALITY a (type, n)
                     LEFT JOIN test.samples s ON s.type = a.type)) AS call
    FROM choices c;
GRANT SELECT ON test.names, test.calls TO PUBLIC;
SELECT p.proname AS "has an argument nobody tries", format_type(t, NULL) AS type
    FROM pg_proc p CROSS JOIN LATERAL unnest(p.proargtypes) t
    WHERE p.pronamespace = ANY ('{medchain,medchain_internal}'::regnamespace[])
        AND t <> 'internal'::regtype
    AND format_type(t, NULL) NOT IN (SELECT type FROM test.samples) ORDER BY 1, 2;
CREATE FUNCTION test.shadow() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    n record;
BEGIN
    CREATE FUNCTION pg_temp.shadow() RETURNS int LANGUAGE sql AS 'SELECT planted.spy(1)';
    CREATE FUNCTION pg_temp.shadow(pg_catalog.text) RETURNS boolean LANGUAGE sql
        AS 'SELECT planted.spy(1) = 1';
    FOR n IN SELECT * FROM test.names LOOP
        EXECUTE CASE n.kind
            WHEN 'view' THEN
                pg_catalog.format('CREATE VIEW pg_temp.%I AS SELECT pg_temp.shadow()', n.name)
            ELSE pg_catalog.format('CREATE DOMAIN pg_temp.%I AS pg_catalog.text
                CHECK (pg_temp.shadow(VALUE))', n.name) END;
    END LOOP;
END
$$;
-- ... and operators that fit better than those of the catalogue where types differ
DO $$
DECLARE
    o record;
BEGIN
    FOR o IN SELECT s.sign, l.type AS l, r.type AS r
        FROM unnest('{=,<>,<,||,->>}'::text[]) s (sign),
             unnest('{text,varchar,name,integer,bigint,uuid,bytea,jsonb,regclass,oid}'::regtype[])
                 l (type),
             unnest('{text,varchar,name,integer,bigint,uuid,bytea,jsonb,regclass,oid}'::regtype[])
                 r (type)
        WHERE NOT EXISTS (SELECT FROM pg_operator p WHERE p.oprname = s.sign
                          AND p.oprleft = l.type AND p.oprright = r.type) LOOP
        EXECUTE format('CREATE OR REPLACE FUNCTION planted.meets(%s, %s) RETURNS boolean
            LANGUAGE sql AS ''SELECT planted.spy(1) = 1''', o.l, o.r);
        EXECUTE format('CREATE OPERATOR planted.%s (FUNCTION = planted.meets, LEFTARG = %s,
            RIGHTARG = %s)', o.sign, o.l, o.r);
    END LOOP;
END
$$;
ALTER ROLE regress_caller SET search_path = planted, public;
CREATE FUNCTION test.outcome(call text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    BEGIN
        EXECUTE call;
        RAISE assert_failure;
    EXCEPTION WHEN assert_failure THEN
        RETURN 'fine';
    END;
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END
$$;
\c - regress_caller
SELECT test.shadow();
SELECT DISTINCT c.name, o.* FROM test.calls c, LATERAL test.outcome(c.call) o
    WHERE o IN ('XX000', 'XX001', 'XX002') ORDER BY 1;
SELECT * FROM test.foreign_runs();
-- what those calls did not get far with
SELECT ok FROM medchain.verify('data-centre');
SELECT count(*) > 0 AS exported FROM medchain.export('data-centre');
SELECT medchain.append('x.note', pg_catalog.json_build_object('a', 1)) IS NOT NULL AS appended;
INSERT INTO planted.plain (id) VALUES ('6');
UPDATE planted.plain SET c = 5, p = ROW(7, 'c'::pg_catalog.text)::planted.pair WHERE id = '6';
SELECT medchain.seal();
SELECT operation, medchain.receipt(entry) IS NOT NULL AS received
    FROM medchain.row_history('planted.plain', 6);
SELECT medchain.row_proof('planted.plain', 6) IS NOT NULL AS proven;
SELECT count(*) FROM planted.parts;
SELECT * FROM test.foreign_runs();
\c - regress_planter
SELECT test.shadow();
INSERT INTO planted.spare (id) VALUES ('1');
SELECT medchain.protect('planted.spare', 'patient');
ALTER TABLE planted.spare ADD COLUMN more planted.checked DEFAULT planted.spy(4);
SELECT * FROM medchain.verify_table('planted.spare');
SELECT medchain.unprotect('planted.spare');
SELECT medchain.unprotect('planted.parts');
SELECT medchain.end_ledger_table('planted.plain');
DROP TABLE planted.hashed;
SELECT * FROM test.foreign_runs();
\c - :superuser
SET client_min_messages = warning;
DROP SCHEMA planted CASCADE;
DROP OWNED BY regress_planter, regress_caller;
DROP ROLE regress_planter, regress_caller;
DROP TABLE test.names, test.samples, test.calls;
DROP FUNCTION test.shadow(), test.outcome(text), test.foreign_runs();
SELECT medchain.seal();
