--
-- By what the ledger names rows: unique indexes, and all that they say where there is no key.
--
\set SHOW_CONTEXT never
CREATE ROLE regress_indexer LOGIN IN ROLE medchain_admin;
GRANT CREATE ON SCHEMA public TO regress_indexer;
SELECT current_user AS superuser \gset
\c - regress_indexer
-- Which index it is
CREATE TABLE ward (a int NOT NULL, b text NOT NULL, c text, d text NOT NULL,
    CONSTRAINT ward_late UNIQUE (d) DEFERRABLE);
CREATE INDEX ward_some ON ward (a);
CREATE UNIQUE INDEX ward_null ON ward (a, c);
CREATE UNIQUE INDEX ward_part ON ward (a) WHERE a > 0;
CREATE UNIQUE INDEX ward_lower ON ward (lower(b));
CREATE UNIQUE INDEX ward_class ON ward (b text_pattern_ops);
SELECT i, e.* FROM unnest('{ward_some, ward_null, ward_part, ward_lower, ward_class, ward_late,
    nothing}'::name[]) i,
    LATERAL test.error_of(format('SELECT medchain.ledger_table(''ward'', key => %L)', i)) e;
-- the one that logical replication goes by would not do: the notice says why
ALTER TABLE ward REPLICA IDENTITY USING INDEX ward_class;
SELECT medchain.ledger_table('ward');
SELECT medchain.end_ledger_table('ward');
ALTER TABLE ward REPLICA IDENTITY DEFAULT;
CREATE UNIQUE INDEX ward_ba ON ward (b, a) INCLUDE (c);
SELECT e.* FROM test.error_of($$ SELECT medchain.ledger_table('ward', key => 'ward_null') $$) e;
CREATE UNIQUE INDEX ward_a ON ward (a);
SELECT e.* FROM test.error_of($$ SELECT medchain.ledger_table('ward') $$) e;
INSERT INTO ward VALUES (1, 'one', NULL, '1');
SELECT medchain.ledger_table('ward', key => 'ward_ba');
SELECT key_columns FROM medchain.row_table WHERE relation = 'ward'::regclass;
SELECT medchain.end_ledger_table('ward');
ALTER TABLE ward REPLICA IDENTITY USING INDEX ward_a;
SELECT medchain.ledger_table('ward');
SELECT key_columns FROM medchain.row_table WHERE relation = 'ward'::regclass;
SELECT medchain.end_ledger_table('ward');
DROP INDEX ward_a;
ALTER TABLE ward REPLICA IDENTITY DEFAULT;
SELECT medchain.ledger_table('ward');
INSERT INTO ward SELECT i, 'b' || i, NULL, i FROM generate_series(2, 20) i;
UPDATE ward SET c = 'changed' WHERE a = 2;
UPDATE ward SET b = 'another' WHERE a = 3;
SELECT operation, fault FROM medchain.row_history('ward', '{"a": 2, "b": "b2"}');
SELECT operation, fault FROM medchain.row_history('ward', '{"a": 3, "b": "b3"}');
SELECT operation, h.fault FROM ward w, medchain.row_history('ward', w) h WHERE w.a = 3;
SELECT medchain.seal();
SELECT medchain.row_proof('ward', w) -> 'row' ->> 'content' AS content FROM ward w WHERE a = 3;

-- and what becomes of it
SELECT s, e.* FROM unnest(ARRAY['DROP INDEX ward_ba', 'ALTER TABLE ward ALTER a DROP NOT NULL',
    'ALTER TABLE ward DROP COLUMN a']) s, LATERAL test.error_of(s) e;
DROP INDEX CONCURRENTLY ward_ba;
SELECT indisvalid FROM pg_index WHERE indexrelid = 'ward_ba'::regclass;
REINDEX INDEX CONCURRENTLY ward_ba;
SELECT e.* FROM test.error_of('DROP INDEX ward_ba') e;
CREATE UNIQUE INDEX CONCURRENTLY ward_other ON ward (a, b);
DROP INDEX CONCURRENTLY ward_ba;
ALTER TABLE ward RENAME a TO number;
SELECT e.* FROM test.error_of('DROP INDEX ward_other') e;
ALTER TABLE ward ADD CONSTRAINT ward_other UNIQUE USING INDEX ward_other;
SELECT e.* FROM test.error_of('ALTER TABLE ward DROP CONSTRAINT ward_other') e;
ALTER TABLE ward DROP CONSTRAINT ward_other, ADD PRIMARY KEY (b, number);
SELECT * FROM medchain.verify_table('ward');
ALTER TABLE ward DROP CONSTRAINT ward_pkey, ADD UNIQUE (number, b);
SELECT * FROM medchain.verify_table('ward');
SELECT medchain.seal();
SELECT payload::jsonb -> 'body' -> 'changes' AS changes,
    payload::jsonb -> 'body' -> 'found' AS found
    FROM medchain.entry WHERE origin = 'data-centre' AND kind = 'table.alter'
    AND payload::jsonb -> 'body' ->> 'relation' = 'public.ward' ORDER BY seq;
-- by way of what the index depends on, and where no event trigger sees it
\c - :superuser
BEGIN;
ALTER EVENT TRIGGER medchain_observe_ddl DISABLE;
ALTER EVENT TRIGGER medchain_observe_drop DISABLE;
ALTER TABLE ward DROP CONSTRAINT ward_number_b_key;
ALTER EVENT TRIGGER medchain_observe_ddl ENABLE ALWAYS;
ALTER EVENT TRIGGER medchain_observe_drop ENABLE ALWAYS;
SELECT * FROM medchain.verify_table('ward');
SELECT e.* FROM test.error_of('ALTER TABLE ward ADD COLUMN e int') e;
ROLLBACK;
DROP TABLE ward;

-- Protected, partitioned
\c - regress_indexer
CREATE TABLE stay (id int NOT NULL, patient text NOT NULL, v text) PARTITION BY RANGE (id);
CREATE TABLE stay_1 PARTITION OF stay FOR VALUES FROM (1) TO (10);
CREATE UNIQUE INDEX stay_id ON stay (id);
SELECT medchain.protect('stay', 'patient', key => 'stay_id');
CREATE TABLE stay_2 PARTITION OF stay FOR VALUES FROM (10) TO (20);
SELECT e.* FROM test.error_of('DROP INDEX stay_id') e;
SELECT * FROM medchain.verify_table('stay');
ALTER TABLE stay DETACH PARTITION stay_2;
SELECT key_columns, subject_column FROM medchain.row_table WHERE relation = 'stay_2'::regclass;
SELECT medchain.unprotect('stay');
DROP TABLE stay, stay_2;

-- No key at all: rows are counted
CREATE TABLE death (person int, day date, cause text, note json, at point);
INSERT INTO death SELECT 1, '2026-01-01', 'x', '{"a":  1}', '(1,2)' FROM generate_series(1, 2);
INSERT INTO death (person) VALUES (2);
SELECT medchain.ledger_table('death');
INSERT INTO death SELECT i, '2026-02-02', 'c' FROM generate_series(3, 40) i;
INSERT INTO death SELECT 1, '2026-01-01', 'x', '{"a":  1}', '(1,2)';
UPDATE death SET cause = 'd' WHERE person = 7;
UPDATE death SET cause = cause WHERE person = 8;
DELETE FROM death WHERE ctid IN (SELECT ctid FROM death WHERE person = 1 LIMIT 2);
-- in sets
INSERT INTO death SELECT 50 FROM generate_series(1, 20);
DELETE FROM death WHERE ctid IN (SELECT ctid FROM death WHERE person = 50 LIMIT 17);
UPDATE death SET day = '2026-03-03' WHERE person BETWEEN 20 AND 40;
SELECT operation, count(*), count(fault) AS faults
    FROM medchain.row_history('death', '{"person": 50}') GROUP BY 1 ORDER BY 1;
SELECT operation, count(*), count(h.fault) AS faults
    FROM death d, medchain.row_history('death', d) h WHERE person BETWEEN 20 AND 40 GROUP BY 1;
SELECT * FROM medchain.verify_table('death');
SELECT operation, fault FROM medchain.row_history('death',
    '{"person": 1, "day": "2026-01-01", "cause": "x", "note": "{\"a\":  1}", "at": "(1,2)"}');
SELECT h.operation, h.fault FROM death d, medchain.row_history('death', d) h WHERE person = 8;
SELECT operation FROM medchain.row_history_of('death', ARRAY[NULL, 'c', '2026-02-02', NULL, '7']);
SELECT medchain.seal();
SELECT person, medchain.row_proof('death', d) -> 'row' ->> 'content' AS content FROM death d
    WHERE person IN (1, 2, 7, 20, 50) ORDER BY 1;
SELECT fault, detail FROM medchain.verify('data-centre') WHERE fault = 'bad set';
SELECT p -> 'row' ->> 'relation' AS relation,
       medchain.verify_inclusion(medchain.leaf_hash(convert_to(p ->> 'payload', 'UTF8')),
           (p ->> 'index')::bigint, (p ->> 'tree_size')::bigint,
           ARRAY(SELECT decode(h, 'hex') FROM jsonb_array_elements_text(p -> 'hashes')
               WITH ORDINALITY x (h, i) ORDER BY i),
           decode(split_part(p ->> 'checkpoint', E'\n', 3), 'base64')) AS included
    FROM medchain.row_proof('death', '{"person": 2}'::jsonb) p;
SELECT medchain.row_proof('death', '{"person": 99}') IS NULL AS no_such_row;
SELECT * FROM test.errors_of($$row_proof('death', '{"persons": 99}')$$, $$row_history('death', 1)$$,
    $$row_history_of('death', ARRAY['1'])$$);
-- what nobody else can try out: the ids are made with a secret of the table
SELECT count(*) AS guessed FROM medchain.entry WHERE kind = 'row.insert'
    AND payload::jsonb -> 'body' ->> 'relation' = 'public.death'
    AND payload::jsonb -> 'body' ->> 'row'
    = encode(sha256(E'row\npublic.death\n6:person1:2'), 'hex');
\c - :superuser
SELECT count(*) AS copied FROM medchain.row_key WHERE relation = 'death'::regclass;
-- one of several that say the same, removed, added, changed past the trigger
INSERT INTO death (person) VALUES (2);
BEGIN;
ALTER TABLE death DISABLE TRIGGER medchain_capture;
DELETE FROM death WHERE ctid IN (SELECT ctid FROM death WHERE person = 2 LIMIT 1);
INSERT INTO death (person) VALUES (100);
UPDATE death SET cause = 'unseen' WHERE person = 9;
ALTER TABLE death ENABLE ALWAYS TRIGGER medchain_capture;
SELECT regexp_replace(row_key, '[0-9a-f]{64}', '<hash>') AS row_key, fault, detail
    FROM medchain.verify_table('death') ORDER BY 1, 3;
-- and covered up by what is seen
INSERT INTO death SELECT 9, '2026-02-02', 'c';
INSERT INTO death (person) VALUES (2);
DELETE FROM death WHERE person = 100;
SELECT regexp_replace(row_key, '[0-9a-f]{64}', '<hash>') AS row_key, fault, detail
    FROM medchain.verify_table('death') ORDER BY 1, 3;
SELECT operation, fault FROM medchain.row_history('death', '{"person": 100}');
SELECT e.* FROM test.error_of($$ SELECT medchain.row_proof('death', d) FROM death d
    WHERE cause = 'unseen' $$) e;
ROLLBACK;
\c - regress_indexer
-- DDL
ALTER TABLE death ADD COLUMN empty int;
ALTER TABLE death RENAME cause TO why;
ALTER TABLE death ADD COLUMN full_up int DEFAULT 3;
UPDATE death SET empty = 1 WHERE person = 2;
ALTER TABLE death DROP COLUMN note;
SELECT * FROM medchain.verify_table('death');
-- it gets a key
DELETE FROM death WHERE person < 3 OR person = 50;
ALTER TABLE death RENAME person TO whose;
ALTER TABLE death ADD PRIMARY KEY (whose);
UPDATE death SET empty = 2 WHERE whose = 3;
SELECT operation, fault FROM medchain.row_history('death', 3);
SELECT * FROM medchain.verify_table('death');
SELECT e.* FROM test.error_of('ALTER TABLE death DROP CONSTRAINT death_pkey') e;
SELECT medchain.seal();
SELECT payload::jsonb -> 'body' ->> 'command' AS command, payload::jsonb -> 'body' -> 'key' AS key,
    payload::jsonb -> 'body' -> 'baseline' AS baseline
    FROM medchain.entry WHERE origin = 'data-centre' AND kind IN ('table.ledger', 'table.alter')
    AND payload::jsonb -> 'body' ->> 'relation' = 'public.death' ORDER BY seq;
-- by which verify() compares what this node knows of the table
\c - :superuser
SELECT f FROM medchain_internal.row_table_faults() f WHERE f ~ 'public.death';
BEGIN;
UPDATE medchain.row_table SET key_columns = '{why}' WHERE relation = 'death'::regclass;
SELECT f FROM medchain_internal.row_table_faults() f WHERE f ~ 'public.death';
ROLLBACK;
\c - regress_indexer
DROP TABLE death;

-- protected, append-only, truncated
CREATE TABLE fact (patient text, what text);
SELECT medchain.protect('fact', 'patient');
\c - :superuser
INSERT INTO fact VALUES ('P0042', 'this'), ('P0042', 'this'), ('P0043', 'that');
SELECT operation FROM medchain.row_history('fact', '{"patient": "P0042", "what": "this"}');
SELECT * FROM medchain.verify_table('fact');
SELECT medchain.unprotect('fact');
SELECT medchain.ledger_table('fact', record_truncate => true);
TRUNCATE fact;
SELECT operation FROM medchain.row_history('fact', '{"patient": "P0042", "what": "this"}');
INSERT INTO fact VALUES ('P0042', 'this');
SELECT * FROM medchain.verify_table('fact');
SELECT operation, fault FROM medchain.row_history('fact', '{"patient": "P0042", "what": "this"}');
SELECT medchain.end_ledger_table('fact');
SELECT medchain.ledger_table('fact', append_only => true);
\c - regress_indexer
SELECT e.* FROM test.error_of('DELETE FROM fact') e;
SELECT * FROM medchain.verify_table('fact');
-- pgbench's, and what names large objects
CREATE TABLE history (tid int, bid int, aid int, delta int, mtime timestamp, filler char(22));
CREATE DOMAIN lo AS oid;
ALTER TABLE history ADD COLUMN scan oid, ADD COLUMN other lo;
SELECT medchain.ledger_table('history');
INSERT INTO history SELECT 1, 1, 1, i, '2026-01-01' FROM generate_series(1, 30) i;
-- what is not seen is not said to be seen: the row has the number, and no more
UPDATE history SET scan = lo_from_bytea(0, 'seen') WHERE delta = 1;
SELECT lo_put(scan, 0, 'unseen') FROM history WHERE delta = 1;
SELECT * FROM medchain.verify_table('history');
SELECT lo_unlink(scan) FROM history WHERE delta = 1;
ALTER TABLE history ADD COLUMN more int;
ALTER TABLE history ADD COLUMN "One more" lo;
DROP TABLE fact, history;
-- a row whose text nobody could hold
CREATE TABLE long (id int PRIMARY KEY, a bytea, b bytea, c bytea, d bytea, e bytea, f bytea);
SELECT medchain.ledger_table('long');
SELECT e.* FROM test.error_of($$ INSERT INTO long SELECT 1, v, v, v, v, v, v
    FROM (SELECT convert_to(repeat('x', 90000000), 'UTF8')) x (v) $$) e;
DROP TABLE long;
DROP DOMAIN lo;
\c - :superuser
SELECT count(*) AS left FROM medchain.row_index;
