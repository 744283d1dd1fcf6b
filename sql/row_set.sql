--
-- Statements about many rows: one entry about a set, whose items stay here.
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE VIEW test.own_size AS SELECT size FROM medchain.chain WHERE origin = 'data-centre';
-- What came on the ledger since: how many entries of a kind, or about how many rows.
CREATE FUNCTION test.entries(since bigint) RETURNS TABLE (kind text, relation text,
    number bigint)
    LANGUAGE sql AS $$
    SELECT e.kind, e.relation, CASE WHEN e.kind = 'row.set' THEN max(e.number) ELSE count(*) END
    FROM (SELECT x.kind, x.seq, x.payload::jsonb -> 'body' ->> 'relation' AS relation,
                 (x.payload::jsonb -> 'body' ->> 'number')::bigint AS number FROM medchain.entry x
          WHERE x.origin = 'data-centre' AND x.seq >= since AND x.kind ~ '^row[.]') e
    GROUP BY e.kind, e.relation, CASE WHEN e.kind = 'row.set' THEN e.seq END
    ORDER BY min(e.seq) $$;
-- Items of a set in their order, and the bytes of each.
CREATE FUNCTION test.items(entry uuid) RETURNS TABLE (place bigint, operation text, row_id bytea,
    row_key text, item bytea) LANGUAGE sql AS $$
    SELECT s.number::bigint * 16384 + i.place, i.operation, i.row_id, k.row_key,
           convert_to(upper(left(i.operation, 1)), 'UTF8') || i.row_id
               || coalesce(i.commitment, '') || coalesce(i.previous, '')
    FROM (medchain.row_set s LEFT JOIN medchain.row_item x USING (part)
         CROSS JOIN LATERAL medchain_internal.row_item_list(coalesce(s.items, x.items)) i) LEFT
             JOIN (
             SELECT t.part, y.* FROM medchain.row_set t, medchain_internal.row_key_list(t.keys) y
             WHERE t.entry = items.entry) k ON k.part = s.part AND k.place = i.place
    WHERE s.entry = items.entry ORDER BY 1 $$;

-- From the sixteenth row on
CREATE TABLE stay (id int PRIMARY KEY, v text);
SELECT medchain.ledger_table('stay');
SELECT medchain.seal();
SELECT size AS mark FROM test.own_size \gset
INSERT INTO stay SELECT i, 'one' FROM generate_series(1, 15) i;
INSERT INTO stay SELECT i, 'two' FROM generate_series(16, 31) i;
SELECT medchain.seal();
SELECT * FROM test.entries(:mark);
SELECT e.id, e.payload::jsonb - '{id, time}'::text[] #- '{body,root}' AS payload
    FROM medchain.entry e WHERE e.origin = 'data-centre' AND e.kind = 'row.set'
    AND e.seq >= :mark \gset
SELECT :'payload' AS payload;
SELECT i.operation, i.row_key, length(i.item) FROM test.items(:'id') i LIMIT 3;
-- in the order in which they came, and nothing but them
SELECT (e.payload::jsonb -> 'body' ->> 'root') = encode((
    SELECT medchain.merkle_root(array_agg(i.item ORDER BY i.place)) FROM test.items(e.id) i),
    'hex') AS "is their root", (r).relation, (r).version, (r).number
    FROM medchain.entry e, medchain.row_set_entry(e.payload) r WHERE e.id = :'id';
SELECT operation, seq >= :mark AS here, sealed IS NOT NULL AS sealed, fault
    FROM medchain.row_history('stay', 16);
SELECT row_key, fault FROM medchain.verify_table('stay');

-- Every way to write
SELECT size AS mark FROM test.own_size \gset
COPY stay FROM PROGRAM 'seq -f "%g	copied" 101 120';
UPDATE stay SET v = v || ' again' WHERE id <= 20;
DELETE FROM stay WHERE id > 100;
INSERT INTO stay SELECT i, 'three' FROM generate_series(21, 40) i
    ON CONFLICT (id) DO UPDATE SET v = EXCLUDED.v;
MERGE INTO stay s USING generate_series(31, 50) i ON s.id = i
    WHEN MATCHED AND i < 35 THEN DELETE WHEN MATCHED THEN UPDATE SET v = 'merged'
    WHEN NOT MATCHED THEN INSERT VALUES (i, 'new');
UPDATE stay SET id = id + 1000 WHERE id <= 20;
WITH gone AS (DELETE FROM stay WHERE id BETWEEN 21 AND 40 RETURNING *)
    INSERT INTO stay SELECT id + 500, v FROM gone;
CREATE TABLE fresh (id int PRIMARY KEY);
SELECT medchain.ledger_table('fresh', record_truncate => true);
BEGIN;
TRUNCATE fresh;
COPY fresh FROM PROGRAM 'seq 20' WITH (FREEZE);
UPDATE fresh SET id = id + 100 WHERE id < 4;
COMMIT;
BEGIN;
DO $$ BEGIN
    FOR i IN 1 .. 20 LOOP INSERT INTO stay VALUES (2000 + i, 'one by one'); END LOOP;
END $$;
ROLLBACK;
SELECT medchain.seal();
SELECT * FROM test.entries(:mark);
SELECT t, f.row_key, f.fault FROM unnest('{stay, fresh}'::regclass[]) t,
    medchain.verify_table(t) f;
SELECT operation, fault FROM medchain.row_history('stay', 31);
SELECT operation, fault FROM medchain.row_history('stay', 1001);
SELECT e.id FROM medchain.entry e WHERE e.origin = 'data-centre' AND e.kind = 'row.set'
    AND e.seq >= :mark ORDER BY e.seq OFFSET 4 LIMIT 1 \gset
SELECT operation, count(*), min(length(item)), max(length(item)) FROM test.items(:'id')
    GROUP BY 1 ORDER BY 1;

-- Proofs: of the item in the set, and of the set in the tree
CREATE FUNCTION test.proves(proof jsonb) RETURNS TABLE (operation text, index bigint,
    opens boolean, in_set boolean, in_tree boolean) LANGUAGE sql AS $$
    SELECT s ->> 'operation', (s ->> 'index')::bigint, NOT b ? 'commitment',
           medchain.verify_inclusion(medchain.leaf_hash(
               convert_to(upper(left(s ->> 'operation', 1)), 'UTF8') || decode(s ->> 'row', 'hex')
               || sha256(decode(r ->> 'salt', 'hex') || convert_to(r ->> 'content', 'UTF8'))
               || coalesce(decode(s ->> 'previous', 'hex'), '')),
               (s ->> 'index')::bigint, (b ->> 'number')::bigint,
               ARRAY(SELECT decode(h, 'hex') FROM jsonb_array_elements_text(s -> 'hashes')
                   WITH ORDINALITY x (h, i) ORDER BY i), decode(b ->> 'root', 'hex')),
           medchain.verify_inclusion(medchain.leaf_hash(convert_to(proof ->> 'payload', 'UTF8')),
               (proof ->> 'index')::bigint, (proof ->> 'tree_size')::bigint,
               ARRAY(SELECT decode(h, 'hex') FROM jsonb_array_elements_text(proof -> 'hashes')
                   WITH ORDINALITY x (h, i) ORDER BY i),
               decode(split_part(proof ->> 'checkpoint', E'\n', 3), 'base64'))
    FROM (SELECT proof -> 'row' AS r, proof -> 'row' -> 'set' AS s,
                 (proof ->> 'payload')::jsonb -> 'body' AS b) p $$;
SELECT t.* FROM unnest('{1001, 521, 36}'::int[]) k, test.proves(medchain.row_proof('stay', k)) t;
SELECT medchain.row_proof('stay', 21) IS NULL AS gone;
BEGIN;
UPDATE stay SET v = 'not sealed yet';
SELECT * FROM test.error_of($$ SELECT medchain.row_proof('stay', 1001) $$);
ROLLBACK;

-- Large sets are stored in another way
CREATE TABLE loads (id int PRIMARY KEY, v text);
SELECT medchain.ledger_table('loads');
SELECT medchain.seal();
SELECT size AS mark FROM test.own_size \gset
INSERT INTO loads SELECT i FROM generate_series(1, 1023) i;
INSERT INTO loads SELECT i FROM generate_series(1024, 2047) i;
INSERT INTO loads SELECT i FROM generate_series(2048, 18431) i;
INSERT INTO loads SELECT i FROM generate_series(18432, 34816) i;
INSERT INTO loads SELECT i FROM generate_series(34817, 70000) i;
SELECT medchain.seal();
SELECT s.*, medchain.merkle_root(ARRAY(SELECT i.item FROM test.items(e.id) i ORDER BY i.place))
        = decode(e.payload::jsonb -> 'body' ->> 'root', 'hex') AS "is their root"
    FROM medchain.entry e, LATERAL (
        SELECT count(*) AS parts, max(bits) AS bits, sum(length(hashes) / 32) AS nodes,
               count(items) AS few FROM medchain.row_set s WHERE s.entry = e.id) s
    WHERE e.origin = 'data-centre' AND e.kind = 'row.set' AND e.seq >= :mark ORDER BY e.seq;
SELECT count(*) AS differ FROM medchain.row_item x JOIN medchain.row_set s USING (part),
    medchain_internal.row_item_list(x.items) i
        WHERE x.bucket <> medchain_internal.row_bucket(i.row_id, s.bits);
SELECT k, t.* FROM unnest('{1, 1023, 1024, 2048, 18431, 18432, 34816, 34817, 51200, 51201, 70000}'
    ::int[]) k, test.proves(medchain.row_proof('loads', k)) t ORDER BY k;
UPDATE loads SET v = 'changed' WHERE id % 20 = 0;
DELETE FROM loads WHERE id % 30 = 0;
SELECT row_key, fault FROM medchain.verify_table('loads');
SELECT operation, fault FROM medchain.row_history('loads', 60000);
SELECT count(*) FROM medchain.verify('data-centre', 0) WHERE NOT ok;

-- What is rolled back leaves nothing, and what is not stays
CREATE TABLE undone (id int PRIMARY KEY, v int DEFAULT 0);
SELECT medchain.ledger_table('undone');
SELECT medchain.seal();
SELECT size AS mark FROM test.own_size \gset
SELECT count(*) AS parts FROM medchain.row_set \gset before_
BEGIN;
INSERT INTO undone SELECT generate_series(1, 20);
SAVEPOINT a;
UPDATE undone SET v = 1;
ROLLBACK TO a;
UPDATE undone SET v = 2 WHERE id < 18;
SAVEPOINT b;
DELETE FROM undone WHERE id > 18;
RELEASE b;
COMMIT;
BEGIN;
INSERT INTO undone SELECT generate_series(101, 20100);
ROLLBACK;
\set VERBOSITY sqlstate
INSERT INTO undone SELECT i % 19999 + 200 FROM generate_series(1, 20000) i;
\set VERBOSITY default
DO $$
BEGIN
    BEGIN
        UPDATE undone SET v = 3;
        RAISE EXCEPTION 'never mind';
    EXCEPTION WHEN raise_exception THEN
        UPDATE undone SET v = 4;
    END;
END $$;
SELECT medchain.seal();
SELECT * FROM test.entries(:mark);
SELECT count(*) - :before_parts AS parts FROM medchain.row_set;
SELECT row_key, fault FROM medchain.verify_table('undone');
-- nor do transactions that are prepared before they end
BEGIN;
UPDATE undone SET v = 5;
PREPARE TRANSACTION 'sets kept';
BEGIN;
INSERT INTO undone SELECT generate_series(201, 220);
PREPARE TRANSACTION 'sets dropped';
COMMIT PREPARED 'sets kept';
ROLLBACK PREPARED 'sets dropped';
SELECT row_key, fault FROM medchain.verify_table('undone');

-- What foreign keys do is of the statement that had them do it
CREATE TABLE mother (id int PRIMARY KEY);
CREATE TABLE daughter (id int PRIMARY KEY, mother int REFERENCES mother ON UPDATE CASCADE
    ON DELETE CASCADE);
CREATE INDEX ON daughter (mother);
INSERT INTO mother SELECT generate_series(1, 40);
INSERT INTO daughter SELECT i, (i + 2) / 3 FROM generate_series(1, 120) i;
SELECT medchain.ledger_table(t) FROM unnest('{mother, daughter}'::regclass[]) t;
SELECT medchain.seal();
SELECT size AS mark FROM test.own_size \gset
DELETE FROM mother WHERE id <= 20;
UPDATE mother SET id = id + 100;
SELECT medchain.seal();
SELECT * FROM test.entries(:mark);
SELECT t, f.row_key, f.fault FROM unnest('{mother, daughter}'::regclass[]) t,
    medchain.verify_table(t) f;

-- Triggers that change the same rows in the middle of it
CREATE TABLE turn (id int PRIMARY KEY, n int DEFAULT 0, seen int);
SELECT medchain.ledger_table('turn');
CREATE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF pg_trigger_depth() < 2 THEN
        UPDATE turn SET n = n + 1 WHERE id BETWEEN NEW.id AND NEW.id + TG_ARGV[0]::int;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER again AFTER INSERT OR UPDATE ON turn FOR EACH ROW WHEN (NEW.id % 10 = 5)
    EXECUTE FUNCTION again(2);
INSERT INTO turn SELECT generate_series(1, 40);
CREATE TRIGGER zz_again AFTER INSERT OR UPDATE ON turn FOR EACH ROW WHEN (NEW.id % 10 = 6)
    EXECUTE FUNCTION again(30);
INSERT INTO turn SELECT generate_series(41, 80);
UPDATE turn SET seen = 1;
SELECT row_key, fault FROM medchain.verify_table('turn');
-- within a subtransaction of the trigger, some of which are rolled back
CREATE OR REPLACE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF pg_trigger_depth() < 2 THEN
        BEGIN
            UPDATE turn SET n = n + 10 WHERE id BETWEEN NEW.id - 10 AND NEW.id + TG_ARGV[0]::int;
            -- what was changed up to here is there to be read
            PERFORM count(*) FROM medchain.row_history('turn', NEW.id);
            IF NEW.id % 20 < 10 THEN
                RAISE EXCEPTION 'never mind';
            END IF;
        EXCEPTION WHEN raise_exception THEN
            UPDATE turn SET n = n + 100 WHERE id = NEW.id;
        END;
    END IF;
    RETURN NULL;
END $$;
UPDATE turn SET seen = 2;
SELECT row_key, fault FROM medchain.verify_table('turn');
SELECT array_agg(operation), count(fault) AS faults FROM medchain.row_history('turn', 45);
DROP TRIGGER again ON turn;
DROP TRIGGER zz_again ON turn;
-- when it has changed all of them, or before; rows that come back, and some that never were there
CREATE OR REPLACE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        INSERT INTO turn SELECT i FROM generate_series(1, 80) i ON CONFLICT DO NOTHING;
    ELSE
        UPDATE turn SET n = n + 1;
        UPDATE turn SET n = n + 1;
        DELETE FROM turn WHERE id BETWEEN 30 AND 60;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER back AFTER DELETE ON turn FOR EACH STATEMENT WHEN (pg_trigger_depth() = 0)
    EXECUTE FUNCTION again();
DELETE FROM turn WHERE id <= 40;
SELECT row_key, fault FROM medchain.verify_table('turn');
DROP TRIGGER back ON turn;
CREATE TRIGGER front BEFORE INSERT ON turn FOR EACH STATEMENT EXECUTE FUNCTION again();
INSERT INTO turn SELECT generate_series(30, 60);
SELECT row_key, fault FROM medchain.verify_table('turn');
SELECT array_agg(operation), count(fault) AS faults FROM medchain.row_history('turn', 30);
DROP TRIGGER front ON turn;
CREATE OR REPLACE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM turn WHERE id = NEW.id;
    RETURN NEW;
END $$;
CREATE TRIGGER front BEFORE INSERT ON turn FOR EACH ROW EXECUTE FUNCTION again();
INSERT INTO turn SELECT generate_series(30, 60);
INSERT INTO turn VALUES (31);
SELECT row_key, fault FROM medchain.verify_table('turn');
DROP TRIGGER front ON turn;
-- a trigger that looks at what has been said so far
CREATE OR REPLACE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.id % 10 = 0 THEN
        UPDATE turn_said SET said = said || (SELECT count(*) FROM medchain.row_history('turn',
            NEW.id));
    END IF;
    RETURN NULL;
END $$;
CREATE TABLE turn_said (said bigint[]);
INSERT INTO turn_said VALUES ('{}');
CREATE TRIGGER zz_look AFTER INSERT ON turn FOR EACH ROW EXECUTE FUNCTION again();
INSERT INTO turn SELECT generate_series(1001, 1050);
TABLE turn_said;
SELECT row_key, fault FROM medchain.verify_table('turn');
SELECT medchain.seal();
SELECT row_key, fault FROM medchain.verify_table('turn');

-- DDL: rows that come with their table, new columns, partitions, TRUNCATE
CREATE TABLE part (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
CREATE TABLE part_0 PARTITION OF part FOR VALUES FROM (0) TO (1000);
CREATE TABLE part_1 (v text, gone int, id int NOT NULL);
ALTER TABLE part_1 DROP COLUMN gone;
INSERT INTO part_1 SELECT 'came', i FROM generate_series(1001, 1020) i;
INSERT INTO part SELECT i, 'there' FROM generate_series(1, 20) i;
SELECT medchain.seal();
SELECT size AS mark FROM test.own_size \gset
SELECT medchain.ledger_table('part', record_truncate => true);
ALTER TABLE part ATTACH PARTITION part_1 FOR VALUES FROM (1000) TO (2000);
UPDATE part SET id = CASE WHEN id < 1000 THEN id + 1100 ELSE id - 900 END;
ALTER TABLE part ADD COLUMN w int DEFAULT 1;
ALTER TABLE part ALTER COLUMN w TYPE text;
ALTER TABLE part DETACH PARTITION part_1;
TRUNCATE part_0;
SELECT medchain.seal();
SELECT * FROM test.entries(:mark);
SELECT row_key, fault FROM medchain.verify_table('part');
SELECT operation, fault FROM medchain.row_history('part', 101);
DROP TABLE part, part_1;

-- Of protected tables the identities behind the subjects are remembered
CREATE TABLE patient (id int PRIMARY KEY, person text);
INSERT INTO patient SELECT i, 'set ' || i % 7 FROM generate_series(1, 50) i;
SELECT count(*) FROM medchain.subject_identity WHERE identity ~ '^set ';
SELECT medchain.protect('patient', 'person');
INSERT INTO patient SELECT i, nullif('set ' || i % 11, 'set 0') FROM generate_series(51, 100) i;
UPDATE patient SET person = 'set other' WHERE id % 2 = 0;
SELECT count(*) FROM medchain.subject_identity WHERE identity ~ '^set ';
SELECT row_key, fault FROM medchain.verify_table('patient');
SELECT operation, fault FROM medchain.row_history('patient', 2);
-- and their diagnosis logs have the items, of large sets as well
INSERT INTO patient SELECT i, 'set ' || i % 3000 FROM generate_series(1001, 21000) i;
DELETE FROM patient WHERE id BETWEEN 4001 AND 7500;
UPDATE patient SET person = 'set 3' WHERE id = 20000;
SELECT medchain.seal();
CREATE FUNCTION test.items_about(person text) RETURNS TABLE (kind text, relation text,
    number bigint, indices jsonb, bare boolean)
    LANGUAGE sql AS $$
    SELECT l.kind, l.detail ->> 'relation', count(*),
           jsonb_agg(l.detail -> 'index' ORDER BY (l.detail ->> 'index')::int),
           bool_or(l.detail ? 'commitment' = (l.kind = 'row.delete')
               OR l.detail ? 'previous' <> (l.kind IN ('row.update', 'row.delete')))
    FROM medchain.diagnosis_log(person) WITH ORDINALITY l WHERE l.kind ~ '^row[.]'
    GROUP BY l.entry, l.kind, l.detail ->> 'relation' ORDER BY min(l.ordinality) $$;
SELECT * FROM test.items_about('set 3');
SELECT * FROM test.items_about('set 2500');
SELECT * FROM test.items_about('set other');
-- what is appended for a trigger that looks, and rolled back, is appended once more
CREATE FUNCTION look_back() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM count(*) FROM medchain.row_history('patient', NEW.id);
    RAISE EXCEPTION 'never mind';
EXCEPTION WHEN raise_exception THEN
    RETURN NULL;
END $$;
CREATE TRIGGER zz_look AFTER INSERT ON patient FOR EACH ROW WHEN (NEW.id IN (30017, 30020))
    EXECUTE FUNCTION look_back();
INSERT INTO patient SELECT i, 'set back ' || i FROM generate_series(30001, 30020) i;
SELECT medchain.seal();
SELECT count(*) FROM medchain.subject_identity WHERE identity ~ '^set back ';
SELECT * FROM test.items_about('set back 30017');
SELECT row_key, fault FROM medchain.verify_table('patient');
SELECT count(*) FROM medchain.verify('data-centre', 0) WHERE NOT ok;

-- Rows that are gone are named, until the table is on the ledger no more
ALTER TABLE loads DISABLE TRIGGER medchain_capture;
DELETE FROM loads WHERE id IN (1, 1024, 70000);
ALTER TABLE loads ENABLE ALWAYS TRIGGER medchain_capture;
SELECT row_key, fault FROM medchain.verify_table('loads');
SELECT count(*) AS keys FROM medchain.row_set s WHERE s.relation = 'public.loads'
    AND s.keys IS NOT NULL;
SELECT medchain.end_ledger_table('loads');
SELECT count(*) AS keys FROM medchain.row_set s WHERE s.relation = 'public.loads'
    AND s.keys IS NOT NULL;
DELETE FROM loads WHERE id > 2000;
SELECT medchain.ledger_table('loads');
SELECT row_key, fault FROM medchain.verify_table('loads');
SELECT operation, fault FROM medchain.row_history('loads', 2);
-- a key of any length
CREATE TABLE wide (a text, b text, PRIMARY KEY (a, b));
SELECT medchain.ledger_table('wide');
INSERT INTO wide SELECT repeat('ä', 200), 'b' || i FROM generate_series(1, 20) i;
INSERT INTO wide VALUES (repeat('ä', 200), 'alone');
ALTER TABLE wide DISABLE TRIGGER medchain_capture;
DELETE FROM wide WHERE b IN ('b7', 'alone');
ALTER TABLE wide ENABLE ALWAYS TRIGGER medchain_capture;
-- what was cut off is no name; of the other, all of it was kept
SELECT length(row_key), octet_length(row_key), fault FROM medchain.verify_table('wide')
    ORDER BY 1;
SELECT DISTINCT length(k.row_key), octet_length(k.row_key) FROM medchain.row_set s,
    medchain_internal.row_key_list(s.keys) k WHERE s.relation = 'public.wide';
SELECT operation FROM medchain.row_history('wide', json_build_object('a', repeat('ä', 200), 'b',
    'b7')::text);
DROP TABLE wide;

-- What was done to the items
SELECT medchain.seal();
SELECT count(*) FROM medchain.verify('data-centre', 0) WHERE NOT ok;
CREATE FUNCTION test.spoilt(statement text) RETURNS TABLE (fault text, detail text)
    LANGUAGE plpgsql AS $$
DECLARE
    found jsonb;
BEGIN
    BEGIN
        EXECUTE statement;
        found := (SELECT jsonb_agg(v) FROM medchain.verify('data-centre', 0, NULL, 20) v
            WHERE NOT v.ok);
        RAISE EXCEPTION 'undo' USING ERRCODE = 'UNDO1';
    EXCEPTION WHEN SQLSTATE 'UNDO1' THEN
        NULL;
    END;
    -- where the items of large sets are depends on the alliance's key
    RETURN QUERY SELECT DISTINCT v.fault, regexp_replace(regexp_replace(test.masked(v.detail),
            '(entry|part|subject_identity) [0-9a-f]+', '\1 <n>', 'g'),
            '\m([0-9]{4,}|[0-9]+(?= items are))\M', '<n>', 'g')
        FROM jsonb_to_recordset(coalesce(found, '[]')) v (fault text, detail text) ORDER BY 1, 2;
END $$;
SELECT s.part AS few FROM medchain.row_set s JOIN medchain.entry e ON e.id = s.entry
    WHERE s.relation = 'public.stay' AND s.items IS NOT NULL ORDER BY e.seq LIMIT 1 \gset
SELECT s.part AS many FROM medchain.row_set s JOIN medchain.entry e ON e.id = s.entry
    WHERE s.relation = 'public.loads' AND s.number = 1 AND length(s.hashes) = 2048
    ORDER BY e.seq LIMIT 1 \gset
SELECT s.part AS few_about FROM medchain.row_set s JOIN medchain.entry e ON e.id = s.entry
    WHERE s.relation = 'public.patient' AND s.items IS NOT NULL ORDER BY e.seq LIMIT 1 \gset
SELECT s.part AS many_about FROM medchain.row_set s JOIN medchain.entry e ON e.id = s.entry
    WHERE s.relation = 'public.patient' AND s.items IS NULL AND s.number = 1 \gset
SELECT what, f.* FROM (VALUES
    ('a byte', format('UPDATE medchain.row_set SET items = set_byte(items, 50, 255 - '
        'get_byte(items, 50)) WHERE part = %s', :few)),
    ('a byte of many', format('UPDATE medchain.row_item SET items = set_byte(items, 50, 255 - '
        'get_byte(items, 50)) WHERE part = %s AND bucket = 3', :many)),
    ('the row of one of many', format('UPDATE medchain.row_item SET items = set_byte(items, 3, '
        '255 - get_byte(items, 3)) WHERE part = %s AND bucket = 0 AND ctid = (SELECT min(ctid) '
        'FROM medchain.row_item WHERE part = %1$s AND bucket = 0)', :many)),
    ('a letter', format('UPDATE medchain.row_set SET items = set_byte(items, 2, 0) '
        'WHERE part = %s', :few)),
    ('a place', format('UPDATE medchain.row_set SET items = set_byte(items, 1, 5) '
        'WHERE part = %s', :few)),
    ('a place beyond', format('UPDATE medchain.row_set SET items = set_byte(items, 1, 200) '
        'WHERE part = %s', :few)),
    ('cut', format('UPDATE medchain.row_set SET items = substr(items, 1, length(items) - 1) '
        'WHERE part = %s', :few)),
    ('two exchanged', format('UPDATE medchain.row_set SET items = substr(items, 1, 2) || '
        'substr(items, 70, 65) || substr(items, 68, 2) || substr(items, 3, 65) || '
        'substr(items, 135) WHERE part = %s', :few)),
    ('all', format('DELETE FROM medchain.row_set WHERE part = %s', :few)),
    ('a bucket', format('DELETE FROM medchain.row_item WHERE part = %s AND bucket = 7', :many)),
    ('another bucket', format('UPDATE medchain.row_item SET bucket = 8 WHERE part = %s AND bucket '
        '= 0 AND ctid = (SELECT min(ctid) FROM medchain.row_item WHERE part = %1$s '
        'AND bucket = 0)', :many)),
    ('twice', format('INSERT INTO medchain.row_item SELECT * FROM medchain.row_item WHERE part = '
        '%s AND bucket = 0 ORDER BY ctid LIMIT 1', :many)),
    ('a part', format('DELETE FROM medchain.row_set WHERE part = %s', :many)),
    ('a part more', format('INSERT INTO medchain.row_set (entry, number, relation, bits, hashes) '
        'SELECT entry, 77, relation, bits, hashes FROM medchain.row_set WHERE part = %s', :many)),
    ('a node', format('UPDATE medchain.row_set SET hashes = set_byte(hashes, 40, 255 - '
        'get_byte(hashes, 40)) WHERE part = %s', :many)),
    ('nodes', format('UPDATE medchain.row_set SET hashes = '''' WHERE part = %s', :many)),
    ('a node more', format('UPDATE medchain.row_set SET hashes = hashes || sha256(hashes) '
        'WHERE part = %s', :few)),
    ('made up', 'INSERT INTO medchain.row_set (entry, number, relation, hashes, items) SELECT '
        'gen_random_uuid(), 0, relation, hashes, items FROM medchain.row_set WHERE part = '
        || :few),
    ('items made up', 'INSERT INTO medchain.row_item SELECT 0, bucket, items FROM '
        'medchain.row_item LIMIT 3'),
    ('another name', format('UPDATE medchain.row_set SET keys = set_byte(keys, 5, '
        'get_byte(keys, 5) # 1) WHERE part = %s', :few)),
    ('one name less', format('UPDATE medchain.row_set SET keys = ''\x00''::bytea || '
        'substr(keys, get_byte(keys, 0) + 2) WHERE part = %s', :few)),
    ('names less', format('UPDATE medchain.row_set SET keys = substr(keys, 1, 10000) '
        'WHERE part = %s', :many_about)),
    ('no names', format('UPDATE medchain.row_set SET keys = NULL WHERE part = %s', :few)),
    ('another table', format('UPDATE medchain.row_set SET relation = ''public.loads'' '
        'WHERE part = %s', :few)),
    ('somebody', format('UPDATE medchain.row_set SET subjects = set_byte(subjects, 10, 255 - '
        'get_byte(subjects, 10)) WHERE part = %s', :few_about)),
    ('nobody', format('UPDATE medchain.row_set SET subjects = NULL WHERE part = %s', :few_about)),
    ('one less', format('UPDATE medchain.row_set SET subjects = substr(subjects, 21) '
        'WHERE part = %s', :few_about)),
    ('one twice', format('UPDATE medchain.row_set SET subjects = subjects || '
        'substr(subjects, 1, 20) WHERE part = %s', :few_about)),
    ('a remainder', format('UPDATE medchain.row_set SET subjects = subjects || ''\x00'' '
        'WHERE part = %s', :few_about)),
    ('somebody where there is none', format('UPDATE medchain.row_set SET subjects = '''' '
        'WHERE part = %s', :few)),
    ('where the item is', format('UPDATE medchain.row_about SET subjects = set_byte(subjects, 3, '
        '255 - get_byte(subjects, 3)) WHERE part = %s AND bucket = 3', :many_about)),
    ('less of many', format('DELETE FROM medchain.row_about WHERE part = %s AND bucket = 3',
        :many_about)),
    ('elsewhere', format('UPDATE medchain.row_about SET bucket = 5 WHERE part = %s '
        'AND bucket = 3', :many_about)),
    ('subjects made up', 'INSERT INTO medchain.row_about SELECT 0, bucket, subjects FROM '
        'medchain.row_about LIMIT 3'))
    c (what, statement), LATERAL test.spoilt('ALTER TABLE medchain.row_set DISABLE TRIGGER '
        'guard_insert; ALTER TABLE medchain.row_item DISABLE TRIGGER guard_insert; '
        'ALTER TABLE medchain.row_about DISABLE TRIGGER guard_insert; '
        || statement) f;
SELECT medchain.unprotect('patient');
DROP TABLE patient;
-- who looks at the rows notices as well
CREATE TABLE spoilt (id int PRIMARY KEY);
SELECT medchain.ledger_table('spoilt');
INSERT INTO spoilt SELECT generate_series(1, 20);
-- rows without a key have no names: whoever gives them some is found
CREATE TABLE unnamed (id int);
SELECT medchain.ledger_table('unnamed');
INSERT INTO unnamed SELECT generate_series(1, 20);
SELECT medchain.seal();
SELECT f.* FROM test.spoilt($$ ALTER TABLE medchain.row_set DISABLE TRIGGER guard_insert;
    UPDATE medchain.row_set SET keys = (SELECT keys FROM medchain.row_set
        WHERE relation = 'public.spoilt') WHERE relation = 'public.unnamed' $$) f;
BEGIN;
UPDATE medchain.row_set SET items = set_byte(items, 50, 255 - get_byte(items, 50))
    WHERE relation = 'public.spoilt';
SELECT row_key, fault FROM medchain.verify_table('spoilt');
SELECT e.field, test.masked(e.content) AS content FROM generate_series(1, 2) i,
    LATERAL test.error_of(format('SELECT medchain.row_proof(''spoilt'', %L)', i)) e;
ROLLBACK;
INSERT INTO medchain.row_set (entry, number, relation, hashes, items)
    VALUES (gen_random_uuid(), 0, 'public.stay', '', '');
INSERT INTO medchain.row_item (part, bucket, items) VALUES (0, 0, '');
INSERT INTO medchain.row_about (part, bucket, subjects) VALUES (0, 0, '');
-- what makes no sense to anybody
SELECT count(*)
    FROM unnest('{x,\\x0000,\\x00004900}'::bytea[]) b, medchain_internal.row_item_list(b);
SELECT count(*) FROM medchain_internal.row_item_list(NULL);
SELECT b, k.* FROM unnest('{NULL,\\x,\\x02ff,\\x02ffff0161,\\xff616263}'::bytea[]) b,
    medchain_internal.row_key_list(b) k;
SELECT count(*) FROM unnest('{x,\\x0000,NULL}'::bytea[]) b, medchain_internal.row_about_list(b);
SELECT medchain_internal.row_about_subjects('\x00');
SELECT medchain_internal.row_item_rows('\x00'), medchain_internal.row_bucket('\x00', 3),
    medchain_internal.row_bucket(sha256('a'), 99);
SELECT medchain_internal.row_bits('\x00'),
    to_hex(medchain_internal.row_bits('\x00112233445566778899'));
SELECT p, medchain_internal.row_entry_guess(p) FROM unnest('{x,\"row\":\"00,
    \"row\":\"000000000000001g\",\"row\":\"0000000000000010\"}'::text[]) p;
SELECT count(*) AS differ FROM medchain.entry e WHERE e.kind ~ '^row[.](insert|baseline)'
    AND medchain_internal.row_entry_guess(e.payload) IS DISTINCT
        FROM medchain_internal.row_entry_key(e.payload);
SELECT p, medchain.row_set_entry(p) IS NULL AS nothing FROM unnest(ARRAY['x',
    '{"body":{"relation":"r","version":1,"number":0,"root":"00"}}',
    format('{"body":{"relation":"r","version":1,"number":-1,"root":"%s"}}', repeat('0', 64)),
    format('{"body":{"relation":"r","version":1,"number":1e400000,"root":"%s"}}', repeat('0', 64)),
    format('{"body":{"relation":"r","number":99999999999999999999,"root":"%s"}}', repeat('0', 64))
    ]) p;

SELECT medchain.end_ledger_table(t) FROM unnest('{stay, fresh, loads, undone, mother, daughter,
    turn, spoilt, unnamed}'::regclass[]) t;
DROP TABLE stay, fresh, loads, undone, daughter, mother, turn, turn_said, spoilt, unnamed;
DROP FUNCTION again(), look_back();
SELECT medchain.seal();
SELECT ok, fault FROM medchain.verify('data-centre', 0);
