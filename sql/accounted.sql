--
-- Every row of every table of medchain is accounted for: of those that only this node has each
-- column is edited, by somebody who can switch triggers off, rows are taken away and added, and
-- verify() says so.  What is left has its reason in doc/ledger.md.  A column that comes later makes
-- this test fail, in whatever table.
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE TABLE counted (id int PRIMARY KEY, patient text, v text);
CREATE TABLE indexed (id int NOT NULL, v text);
CREATE UNIQUE INDEX indexed_id ON indexed (id);
CREATE TABLE parted (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10);
SELECT medchain.protect('counted', 'patient');
SELECT medchain.ledger_table(r) FROM unnest('{indexed, parted}'::regclass[]) r;
-- entries of their own, a set of few, and a large one
INSERT INTO counted SELECT i, 'Accounted ' || i, 'v' FROM generate_series(1, 3) i;
INSERT INTO counted SELECT i, 'Accounted ' || i, 'v' FROM generate_series(4, 30) i;
INSERT INTO counted SELECT i, 'Accounted ' || i % 7, 'v' FROM generate_series(31, 1200) i;
INSERT INTO indexed VALUES (1, 'v');
CREATE ROLE regress_accounted LOGIN;
SELECT medchain.bind_role('regress_accounted', 'data-centre') IS NOT NULL AS bound;
SELECT medchain.seal();
SELECT count(*) AS faults FROM medchain.verify() WHERE NOT ok;

-- What verify() says of local tables and of the state; and one edit: is it said then, and was not
-- before?
CREATE TABLE test.before (said text);
CREATE FUNCTION test.said() RETURNS SETOF text LANGUAGE sql AS $$
    SELECT f FROM medchain_internal.local_faults() f UNION ALL SELECT f.detail
        FROM medchain_internal.fold_faults() f
$$;
CREATE FUNCTION test.is_found(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    changed bigint;
    more bigint;
BEGIN
    EXECUTE statement;
    GET DIAGNOSTICS changed = ROW_COUNT;
    IF changed > 0 THEN
        SELECT count(*) INTO more FROM test.said() s WHERE s NOT IN (SELECT said FROM test.before);
    END IF;
    RAISE SQLSTATE 'XE001' USING MESSAGE = CASE WHEN changed = 0 THEN 'no row'
        WHEN more = 0 THEN 'not found' ELSE 'found' END;
EXCEPTION WHEN SQLSTATE 'XE001' THEN
    RETURN SQLERRM;
WHEN OTHERS THEN
    RETURN 'refused, ' || SQLSTATE;
END
$$;

-- A value of the column's type that is another one.
CREATE FUNCTION test.other(name text, type regtype) RETURNS text LANGUAGE sql AS $$
    SELECT format(CASE
        WHEN type IN ('text'::regtype, 'name') THEN 'left(coalesce(%1$I, '''') || ''x'', 60)'
        WHEN type = 'bytea'::regtype THEN 'CASE WHEN length(%1$I) > 0 '
            'THEN set_byte(%1$I, 0, get_byte(%1$I, 0) # 1) ELSE ''\x00'' END'
        WHEN type IN ('bigint'::regtype, 'integer') THEN 'coalesce(%1$I, 0) + 1'
        WHEN type = 'boolean'::regtype THEN 'NOT coalesce(%1$I, false)'
        WHEN type = 'uuid'::regtype THEN 'gen_random_uuid()'
        WHEN type = 'timestamptz'::regtype THEN 'coalesce(%1$I, now()) + interval ''1 s'''
        WHEN type = 'jsonb'::regtype THEN 'jsonb_build_array(%1$I)'
        WHEN type = 'text[]'::regtype THEN 'coalesce(%1$I, ''{}'') || ''x''::text'
        WHEN type = 'uuid[]'::regtype THEN '%1$I || gen_random_uuid()'
        WHEN type IN ('oid'::regtype, 'regclass') THEN '''pg_catalog.pg_am''::regclass'
        WHEN type = 'tstzrange'::regtype THEN 'CASE WHEN isempty(%1$I) THEN ''(,)'' '
            'ELSE ''empty''::tstzrange END'
        WHEN type = 'medchain.member_kind'::regtype THEN
            'CASE %1$I WHEN ''end_node'' THEN ''chain_node'' ELSE ''end_node'' END'
            '::medchain.member_kind'
        END, name)
$$;
CREATE VIEW test.columns AS
    SELECT c.oid AS relation, c.relname::text AS "table", a.attname::text AS "column", a.attnum,
           -- far from the keys that there are
           replace(test.other(a.attname::text, a.atttypid), ' + 1',
               CASE WHEN x.id IS NULL THEN ' + 1' ELSE ' + 1000003' END) AS other,
           x.id IS NOT NULL AS is_key,
           a.attidentity <> '' AS is_identity
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
        AND NOT a.attisdropped
        LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
        LEFT JOIN LATERAL (SELECT a.attnum AS id WHERE a.attnum = ANY (i.indkey)) x ON true
    WHERE c.relnamespace = 'medchain'::regnamespace AND c.relkind = 'r';
-- Tables that are compared as a whole with the chains: tamper, row_set, and those of the state
-- (src/alliance/state_check.c).  Those of the last line are nothing that anybody relies on.
CREATE TABLE test.elsewhere AS SELECT unnest('{entry, block, chain, tile, row_set, row_item,
    row_about, claim, member, contract, ledger_key, member_certificate, exclusion, fork,
    examinee_key, protocol, protocol_grant, data_index, break_glass, role_binding, local_node,
    verified, held_entry, held_block, dropped, missing, fact, rules_state,
    witness_due}'::text[]) AS name;
SELECT c."table", string_agg(c."column", ', ' ORDER BY c.attnum) AS columns
    FROM test.columns c JOIN test.elsewhere e ON e.name = c."table" GROUP BY 1 ORDER BY 1;
SELECT "table", "column" AS "has a type that nobody tries" FROM test.columns WHERE other IS NULL;

-- The statements: of each column one row is edited, and of each table one is taken away, and one is
-- there twice, by another key where there is one.  Of our own chain, if there is a choice.
CREATE FUNCTION test.some_row(relation regclass) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce((SELECT 'origin = ''data-centre'' DESC, ' FROM pg_attribute a
        WHERE a.attrelid = relation AND a.attname = 'origin'), '') || 'ctid DESC LIMIT 1'
$$;
CREATE VIEW test.edits AS
    SELECT c."table", c."column", format('UPDATE medchain.%I SET %I = %s WHERE ctid = (SELECT ctid '
        'FROM medchain.%1$I ORDER BY %2$I IS NULL, %4$s)', c."table", c."column",
        c.other, test.some_row(c.relation)) AS statement
    FROM test.columns c WHERE NOT c.is_identity
        AND c."table" NOT IN (SELECT name FROM test.elsewhere)
    UNION ALL
    SELECT c."table", '(removed)', format('DELETE FROM medchain.%I WHERE ctid = (SELECT ctid '
        'FROM medchain.%1$I ORDER BY %s)', c."table", test.some_row(c.relation))
    FROM test.columns c WHERE c.attnum = 1
        AND c."table" NOT IN (SELECT name FROM test.elsewhere)
    UNION ALL
    SELECT c."table", '(added)', format('INSERT INTO medchain.%I (%s) SELECT %s FROM medchain.%1$I '
        'ORDER BY %s', c."table", string_agg(quote_ident(c."column"), ', ' ORDER BY c.attnum),
        string_agg(CASE WHEN c.is_key THEN c.other ELSE quote_ident(c."column") END, ', '
            ORDER BY c.attnum), test.some_row(c.relation))
    FROM test.columns c WHERE NOT c.is_identity
        AND c."table" NOT IN (SELECT name FROM test.elsewhere)
    GROUP BY c.relation, c."table";

BEGIN ISOLATION LEVEL REPEATABLE READ;
-- in the sealer's order, and before it locks a row
LOCK TABLE medchain.chain, medchain.pending, medchain.entry, medchain.block, medchain.claim
    IN EXCLUSIVE MODE;
SELECT medchain.append('remark', '"not sealed yet"', 'Accounted 1') IS NOT NULL AS appended;
DO $$
DECLARE
    statement text;
BEGIN
    -- those that keep rows from being changed; not those that tell sessions of it
    FOR statement IN SELECT format('ALTER TABLE %s DISABLE TRIGGER %I', tgrelid::regclass, tgname)
        FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
        WHERE c.relnamespace = 'medchain'::regnamespace AND NOT t.tgisinternal
        AND t.tgtype & 2 > 0 LOOP
        EXECUTE statement;
    END LOOP;
END
$$;
INSERT INTO medchain.quarantine (source, origin, height, reason, signed)
    VALUES ('hospital-a', 'hospital-a', 1000, 'test', false);
INSERT INTO test.before SELECT * FROM test.said();
SELECT * FROM test.before;
-- what is left: doc/ledger.md says why
SELECT e."table", f.outcome, string_agg(e."column", ', ' ORDER BY e."column") AS columns
    FROM test.edits e, LATERAL test.is_found(e.statement) f (outcome)
    WHERE f.outcome <> 'found' GROUP BY 1, 2 ORDER BY 1, 2;
-- verify() itself, where it begins with the first block
DELETE FROM medchain.subject_identity WHERE identity IN ('Accounted 1', 'Accounted 29');
UPDATE medchain.row_key SET row_key = 'id=77'
    WHERE row_key = 'id=2' AND relation = 'counted'::regclass;
SELECT fault, regexp_replace(detail, '[0-9a-f]{16,64}|[0-9]+', '<n>', 'g') AS detail
    FROM medchain.verify('data-centre') WHERE NOT ok;
ROLLBACK;
-- a memory that is larger than the chain
BEGIN;
UPDATE medchain.verified SET size = 100000000 WHERE origin = 'data-centre';
SELECT ok, fault, regexp_replace(detail, '[0-9]+', '<n>', 'g') AS detail
    FROM medchain.verify('data-centre', NULL);
ROLLBACK;
SELECT medchain.bind_role('regress_accounted', NULL) IS NOT NULL AS ended;
DROP TABLE counted, indexed, parted;
DROP VIEW test.edits, test.columns;
DROP FUNCTION test.said(), test.is_found(text), test.other(text, regtype), test.some_row(regclass);
DROP TABLE test.before, test.elsewhere;
DROP ROLE regress_accounted;
SELECT medchain.seal();
