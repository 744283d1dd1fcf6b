--
-- Ledger tables: every change of a row is on the ledger, and what was done past it is found.
--
\set SHOW_CONTEXT never
CREATE ROLE regress_keeper LOGIN IN ROLE medchain_admin;
CREATE ROLE regress_reader LOGIN IN ROLE medchain_member;
GRANT CREATE ON SCHEMA public TO regress_keeper;
SELECT current_user AS superuser \gset
CREATE FUNCTION test.said(since bigint) RETURNS TABLE (kind text, relation text, version text,
    commitment boolean, previous boolean) LANGUAGE sql AS $$
    SELECT e.kind, e.body ->> 'relation', e.body ->> 'version', e.body ? 'commitment',
        e.body ? 'previous'
    FROM (SELECT x.kind, x.seq, x.payload::jsonb -> 'body' AS body FROM medchain.entry x
        WHERE x.origin = 'data-centre' AND x.seq >= since AND x.kind ~ '^(row|table)[.]') e
            ORDER BY e.seq $$;
CREATE VIEW test.size AS SELECT size FROM medchain.chain WHERE origin = 'data-centre';
GRANT SELECT ON test.size TO PUBLIC;

-- What can be one
SET ROLE regress_keeper;
CREATE TYPE mood AS ENUM ('calm', 'tense');
CREATE TABLE visit (id int PRIMARY KEY, name text, at timestamptz, feeling mood, weight float8,
    double int GENERATED ALWAYS AS (id * 2) STORED);
CREATE TABLE no_key (id int);
CREATE VIEW a_view AS SELECT 1 AS id;
CREATE MATERIALIZED VIEW a_copy AS SELECT 1 AS id;
SELECT t AS relation, e.field, e.content FROM unnest('{a_view, a_copy, visit_pkey}'::text[])
    WITH ORDINALITY x (t, i),
    LATERAL test.error_of(format('SELECT medchain.ledger_table(%L)', t)) e ORDER BY i, field DESC;
SELECT test.state_of($$ SELECT medchain.ledger_table('pg_class') $$);
SELECT medchain.ledger_table(NULL);
SELECT medchain.ledger_table(0);
SELECT medchain.ledger_table('visit', append_only => true, record_truncate => true);
SELECT medchain.end_ledger_table('visit');
SELECT * FROM medchain.verify_table('visit');
SELECT * FROM medchain.verify_table('a_copy');
INSERT INTO visit VALUES (1, 'one', '2026-01-01 10:00+00', 'calm', 1.5),
    (2, NULL, NULL, NULL, NULL), (3, 'three', 'infinity', 'tense', '-0');
SELECT medchain.ledger_table('visit');
SELECT medchain.ledger_table('visit');
SELECT medchain.protect('visit', 'name');
SELECT medchain.unprotect('visit');
\c - regress_reader
\set VERBOSITY sqlstate
SELECT medchain.ledger_table('visit');
\set VERBOSITY default
\c - regress_keeper

-- Every way to write
SELECT medchain.seal();
SELECT size AS mark FROM test.size \gset
INSERT INTO visit (id, name) VALUES (4, 'four') ON CONFLICT DO NOTHING;
INSERT INTO visit (id, name) VALUES (4, 'again') ON CONFLICT (id) DO UPDATE SET name = visit.name
    || ' ' || EXCLUDED.name;
COPY visit (id, name) FROM STDIN;
5	five
6	\N
\.
MERGE INTO visit v USING (VALUES (5), (7)) s (id) ON v.id = s.id WHEN MATCHED THEN UPDATE
    SET name = 'merged' WHEN NOT MATCHED THEN INSERT (id, name) VALUES (s.id, 'merged');
UPDATE visit SET id = 60 WHERE id = 6;
DELETE FROM visit WHERE id = 7;
BEGIN;
INSERT INTO visit (id) VALUES (8);
ROLLBACK;
TRUNCATE visit;
SELECT medchain.seal();
\c - :superuser
SELECT * FROM test.said(:mark);
SELECT row_key, fault FROM medchain.verify_table('visit');
-- by settings of all kinds
SET datestyle = 'German';
SET timezone = 'Asia/Shanghai';
SET extra_float_digits = -5;
SET intervalstyle = 'sql_standard';
SELECT count(*) AS faults FROM medchain.verify_table('visit');
UPDATE visit SET name = 'by other settings' WHERE id = 1;
SELECT to_char(at, 'HH24:MI') AS shown_as_before FROM visit WHERE id = 1;
RESET ALL;
SELECT count(*) AS faults FROM medchain.verify_table('visit');

-- History and proof of a row
SELECT medchain.seal();
SELECT operation, actor, role = session_user AS mine, sealed IS NOT NULL AS sealed,
    length(commitment), fault FROM medchain.row_history('visit', 1);
SELECT operation, sealed IS NOT NULL AS sealed FROM medchain.row_history('visit', '7');
SELECT operation FROM medchain.row_history('visit', 99);
BEGIN;
UPDATE visit SET name = 'not sealed yet' WHERE id = 1;
SELECT operation, sealed FROM medchain.row_history('visit', 1) WHERE sealed IS NULL;
SELECT medchain.row_proof('visit', 1);
ROLLBACK;
SELECT p -> 'row' -> 'relation' AS relation, p -> 'row' -> 'content' AS content,
       encode(sha256(decode(p -> 'row' ->> 'salt', 'hex') || convert_to(p -> 'row' ->> 'content',
           'UTF8')), 'hex') = (p ->> 'payload')::jsonb -> 'body' ->> 'commitment' AS opens,
       medchain.verify_inclusion(medchain.leaf_hash(convert_to(p ->> 'payload', 'UTF8')),
           (p ->> 'index')::bigint, (p ->> 'tree_size')::bigint,
           ARRAY(SELECT decode(h, 'hex') FROM jsonb_array_elements_text(p -> 'hashes')
               WITH ORDINALITY x (h, i) ORDER BY i),
           decode(split_part(p ->> 'checkpoint', E'\n', 3), 'base64')) AS included
    FROM medchain.row_proof('visit', 1) p;
SELECT medchain.row_proof('visit', 99) IS NULL AS no_such_row;
\set VERBOSITY sqlstate
SELECT medchain.row_proof('visit', 'x');
\set VERBOSITY default
SELECT medchain.row_proof('visit', '{"nothing": 1}'::jsonb);
SELECT medchain.row_proof('no_key', 1);
\c - regress_reader
\set VERBOSITY sqlstate
SELECT medchain.row_proof('visit', 1);
\set VERBOSITY default
SELECT * FROM medchain.row_history('visit', 1);
\set VERBOSITY sqlstate
SELECT medchain_internal.row_digest('visit', '(0,1)', 1);
SELECT * FROM medchain_internal.row_digests('visit', 1);
SELECT * FROM medchain_internal.row_words('visit', '');
\set VERBOSITY default
\c - :superuser
GRANT SELECT ON visit TO regress_reader;
\c - regress_reader
SELECT medchain.row_proof('visit', '1') ->> 'type' AS type;
SELECT count(*) FROM medchain.row_history('visit', 1);
\c - :superuser

-- Past the trigger
BEGIN;
ALTER TABLE visit DISABLE TRIGGER medchain_capture;
UPDATE visit SET weight = 99 WHERE id = 1;
DELETE FROM visit WHERE id = 2;
INSERT INTO visit (id) VALUES (100);
SELECT row_key, fault, test.masked(detail) AS detail FROM medchain.verify_table('visit');
SELECT e.* FROM test.error_of($$ SELECT medchain.row_proof('visit', 1) $$) e;
SELECT e.* FROM test.error_of($$ SELECT medchain.row_proof('visit', 100) $$) e;
ALTER TABLE visit ENABLE ALWAYS TRIGGER medchain_capture;
-- covered up by what is seen
UPDATE visit SET weight = 1 WHERE id = 1;
INSERT INTO visit (id) VALUES (2);
UPDATE visit SET name = 'known' WHERE id = 100;
SELECT row_key, fault, test.masked(detail) AS detail FROM medchain.verify_table('visit');
SELECT operation, fault FROM medchain.row_history('visit', 1);
ROLLBACK;
SELECT count(*) AS faults FROM medchain.verify_table('visit');

-- What DDL does
SELECT medchain.seal();
SELECT size AS mark FROM test.size \gset
ALTER TABLE visit ADD COLUMN remark text DEFAULT 'none', ADD COLUMN empty int;
SELECT count(*) AS faults FROM medchain.verify_table('visit');
UPDATE visit SET empty = 1 WHERE id = 1;
ALTER TABLE visit RENAME COLUMN name TO called;
ALTER TABLE visit RENAME COLUMN id TO number;
SELECT count(*) AS faults FROM medchain.verify_table('visit');
UPDATE visit SET called = 'renamed' WHERE number = 1;
SELECT operation, fault FROM medchain.row_history('visit', 1);
ALTER TABLE visit ALTER COLUMN remark TYPE varchar(10);
ALTER TABLE visit DROP COLUMN weight;
ALTER TYPE mood ADD VALUE 'glad';
ALTER TYPE mood RENAME VALUE 'tense' TO 'anxious';
ALTER TABLE visit ALTER COLUMN empty TYPE int USING empty + 1;
ALTER TABLE visit DROP COLUMN double;
ALTER TABLE visit DROP COLUMN number;
SELECT count(*) AS faults FROM medchain.verify_table('visit');
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER theirs BEFORE INSERT ON visit FOR EACH ROW EXECUTE FUNCTION nothing();
CREATE INDEX ON visit (called);
COMMENT ON TABLE visit IS 'nothing to the ledger';
ALTER TABLE visit RENAME TO visits;
ALTER TABLE visits OWNER TO regress_reader;
SELECT medchain.seal();
SELECT payload::jsonb -> 'body' ->> 'command' AS command, payload::jsonb -> 'body' ->> 'version'
    AS version, payload::jsonb -> 'body' ->> 'baseline' AS baseline, payload::jsonb -> 'body' ->
        'changes' AS changes
    FROM medchain.entry WHERE origin = 'data-centre' AND seq >= :mark AND kind = 'table.alter'
        ORDER BY seq;
SELECT count(*) AS faults FROM medchain.verify_table('visits');
-- a description that is not what the table is: somebody made DDL invisible
BEGIN;
ALTER EVENT TRIGGER medchain_observe_ddl DISABLE;
ALTER TABLE visits ADD COLUMN smuggled text;
SELECT * FROM medchain.verify_table('visits');
ROLLBACK;
-- another table of the name
CREATE TABLE visit (id int PRIMARY KEY);
INSERT INTO visit VALUES (1);
SELECT medchain.ledger_table('visit');
SELECT ledger_name FROM medchain.row_table WHERE ledger_name ~ '^public[.]visit' ORDER BY 1;
SELECT count(*) AS faults FROM medchain.verify_table('visit');
DROP TABLE visit;
DROP TABLE visits;
SELECT count(*) AS left FROM medchain.row_table WHERE ledger_name ~ '^public[.]visit';

-- Append-only; truncated on the ledger; a key of two columns
CREATE TABLE log (at date, n int, what text, PRIMARY KEY (at, n));
SELECT medchain.ledger_table('log', append_only => true);
INSERT INTO log VALUES ('2026-01-31', 1, 'first');
UPDATE log SET what = 'changed';
DELETE FROM log;
TRUNCATE log;
INSERT INTO log VALUES ('2026-01-31', 1, 'x') ON CONFLICT (at, n) DO UPDATE SET what = 'changed';
SELECT operation FROM medchain.row_history('log', '{"at": "2026-01-31", "n": 1}');
SELECT operation FROM medchain.row_history('log', '{"n": "01", "at": "31 Jan 2026"}'::jsonb);
SELECT operation FROM medchain.row_history('log', '1');
SELECT operation FROM medchain.row_history('log', '{"n": 1}'::jsonb);
SELECT medchain.end_ledger_table('log');
SELECT medchain.ledger_table('log', record_truncate => true);
TRUNCATE log;
SELECT operation FROM medchain.row_history('log', '{"at": "2026-01-31", "n": 1}');
SELECT count(*) AS faults FROM medchain.verify_table('log');
INSERT INTO log VALUES ('2026-01-31', 1, 'again');
SELECT count(*) AS faults FROM medchain.verify_table('log');
DROP TABLE log;

-- Partitions
CREATE TABLE part (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
CREATE TABLE part_0 PARTITION OF part FOR VALUES FROM (0) TO (10);
INSERT INTO part VALUES (1, 'one');
SELECT medchain.ledger_table('part', record_truncate => true);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (10) TO (20);
CREATE TABLE part_2 (v text, id int NOT NULL);
INSERT INTO part_2 VALUES ('twenty', 20), ('twenty-one', 21);
ALTER TABLE part ATTACH PARTITION part_2 FOR VALUES FROM (20) TO (30);
INSERT INTO part VALUES (11, 'eleven'), (22, 'twenty-two');
UPDATE part_2 SET v = 'direct' WHERE id = 20;
UPDATE part SET id = 12 WHERE id = 21;
SELECT * FROM medchain.verify_table('part');
SELECT operation, fault FROM medchain.row_history('part', 20);
TRUNCATE part_1;
SELECT * FROM medchain.verify_table('part');
BEGIN;
DROP TABLE part_2;
SELECT * FROM medchain.verify_table('part');
SELECT operation, fault FROM medchain.row_history('part', 20);
ROLLBACK;
ALTER TABLE part DETACH PARTITION part_2;
SELECT * FROM medchain.verify_table('part');
SELECT operation, fault FROM medchain.row_history('part', 20);
SELECT count(*) AS triggers FROM pg_trigger WHERE tgrelid = 'part_2'::regclass AND NOT tgisinternal;
INSERT INTO part_2 VALUES ('free', 25);
ALTER TABLE part_1 DISABLE TRIGGER medchain_capture;
SELECT row_key, fault, detail FROM medchain.verify_table('part');
DROP TABLE part, part_2;

-- restored from a dump, as far as medchain knows: what it is changed to is recorded once it is what
-- it was
CREATE TABLE restored (id int PRIMARY KEY, v text);
SELECT medchain.ledger_table('restored');
UPDATE medchain.row_table SET watched = 0 WHERE relation = 'restored'::regclass;
SELECT fault, detail FROM medchain.verify_table('restored');
SELECT medchain.seal();
SELECT size AS mark FROM test.size \gset
ALTER TABLE restored DISABLE TRIGGER medchain_capture;
ALTER TABLE restored ENABLE ALWAYS TRIGGER medchain_capture;
SELECT fault, detail FROM medchain.verify_table('restored');
ALTER TABLE restored ADD COLUMN w text;
SELECT medchain.seal();
SELECT kind FROM test.said(:mark);
SELECT medchain.end_ledger_table('restored');
DROP TABLE restored, no_key;
DROP VIEW a_view;
SELECT medchain.seal();
SELECT ok, fault FROM medchain.verify('data-centre');
SELECT count(*) AS left FROM medchain.row_table t WHERE t.subject_column IS NULL;
