--
-- Statements about many rows whose triggers, foreign keys and functions change rows of the same
-- table, or of others: sets as well, in the order in which each row was changed.
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
-- What came on the ledger since: entries and rows; and what is wrong with them.
CREATE FUNCTION test.came(since bigint, tables regclass[]) RETURNS TABLE (relation text,
    sets bigint, singles bigint, items bigint, faults bigint)
    LANGUAGE plpgsql AS $$
BEGIN
    PERFORM medchain.seal();
    RETURN QUERY SELECT t::text,
        (SELECT count(*) FROM test.words(since, t) w WHERE w.kind = 'row.set'),
        (SELECT count(*) FROM test.words(since, t) w WHERE w.kind <> 'row.set'),
        (SELECT sum(w.number)::bigint FROM test.words(since, t) w),
        (SELECT count(*) FROM medchain.verify_table(t))
            + (SELECT count(*) FROM medchain.verify('data-centre', since) v WHERE NOT v.ok)
        FROM unnest(tables) WITH ORDINALITY x (t, i) ORDER BY x.i;
END $$;
CREATE FUNCTION test.words(since bigint, t regclass) RETURNS TABLE (kind text, number bigint)
    LANGUAGE sql AS $$
    SELECT e.kind, coalesce((e.payload::jsonb -> 'body' ->> 'number')::bigint, 1)
    FROM medchain.entry e WHERE e.origin = 'data-centre' AND e.seq >= since AND e.kind ~ '^row[.]'
        AND e.payload::jsonb -> 'body' ->> 'relation' = 'public.' || t::text $$;
-- Of one row: what was done, and how many of the entries do not fit each other.
CREATE FUNCTION test.done(t regclass, id int) RETURNS TABLE (done text, faults bigint)
    LANGUAGE sql AS $$
    SELECT string_agg(h.operation, ' '), count(h.fault) FROM medchain.row_history(t, id) h $$;
CREATE FUNCTION test.proves(t regclass, id int) RETURNS boolean LANGUAGE sql AS $$
    SELECT medchain.verify_inclusion(medchain.leaf_hash(
               convert_to(upper(left(s ->> 'operation', 1)), 'UTF8') || decode(s ->> 'row', 'hex')
               || sha256(decode(r ->> 'salt', 'hex') || convert_to(r ->> 'content', 'UTF8'))
               || coalesce(decode(s ->> 'previous', 'hex'), '')),
               (s ->> 'index')::bigint, (b ->> 'number')::bigint,
               ARRAY(SELECT decode(h, 'hex') FROM jsonb_array_elements_text(s -> 'hashes')
                   WITH ORDINALITY x (h, i) ORDER BY i), decode(b ->> 'root', 'hex'))
    FROM medchain.row_proof(t, id) p, LATERAL (
        SELECT p -> 'row' AS r, p -> 'row' -> 'set' AS s,
               (p ->> 'payload')::jsonb -> 'body' AS b) x $$;
-- All that was before is sealed.
CREATE FUNCTION test.mark() RETURNS TABLE (size bigint) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM medchain.seal();
    RETURN QUERY SELECT c.size FROM medchain.chain c WHERE c.origin = 'data-centre';
END $$;

-- Triggers that touch the row they are fired for, or another one; before medchain's own, or behind
CREATE TABLE touched (id int PRIMARY KEY, v int DEFAULT 0, n int DEFAULT 0, at timestamptz);
SELECT medchain.ledger_table('touched');
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE touched SET n = n + 1, at = '2026-01-01Z' WHERE id = NEW.id + TG_ARGV[0]::int;
    RETURN NULL;
END $$;
CREATE TRIGGER zz_touch AFTER INSERT OR UPDATE ON touched FOR EACH ROW
    WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION touch(0);
SELECT size AS mark FROM test.mark() \gset
INSERT INTO touched SELECT generate_series(1, 1000);
UPDATE touched SET v = v + 1;
COPY touched (id) FROM PROGRAM 'seq 1001 1500';
INSERT INTO touched SELECT i FROM generate_series(1401, 1600) i
    ON CONFLICT (id) DO UPDATE SET v = 7;
MERGE INTO touched t USING generate_series(1501, 1700) i ON t.id = i
    WHEN MATCHED AND i < 1510 THEN DELETE WHEN MATCHED THEN UPDATE SET v = 8
    WHEN NOT MATCHED THEN INSERT (id) VALUES (i);
SELECT * FROM test.came(:mark, '{touched}');
SELECT id, d.*, test.proves('touched', id) FROM unnest('{1, 1000, 1450, 1550, 1700}'::int[]) id,
    test.done('touched', id) d;
DROP TRIGGER zz_touch ON touched;
CREATE TRIGGER aa_touch AFTER INSERT OR UPDATE ON touched FOR EACH ROW
    WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION touch(0);
SELECT size AS mark FROM test.mark() \gset
UPDATE touched SET v = v + 1;
INSERT INTO touched SELECT generate_series(2001, 3000);
SELECT * FROM test.came(:mark, '{touched}');
SELECT id, d.*, test.proves('touched', id) FROM unnest('{1, 1450, 3000}'::int[]) id,
    test.done('touched', id) d;
DROP TRIGGER aa_touch ON touched;
CREATE TRIGGER aa_next AFTER UPDATE ON touched FOR EACH ROW
    WHEN (pg_trigger_depth() < 3) EXECUTE FUNCTION touch(1);
CREATE TRIGGER zz_last AFTER UPDATE ON touched FOR EACH ROW
    WHEN (pg_trigger_depth() < 2) EXECUTE FUNCTION touch('-3');
SELECT size AS mark FROM test.mark() \gset
UPDATE touched SET v = v + 1 WHERE id <= 300;
SELECT * FROM test.came(:mark, '{touched}');
SELECT id, d.faults, test.proves('touched', id) FROM unnest('{1, 150, 303}'::int[]) id,
    test.done('touched', id) d;
DROP TRIGGER aa_next ON touched;
DROP TRIGGER zz_last ON touched;

-- within subtransactions, some of which are rolled back, and with a look at what is there
CREATE FUNCTION try() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    BEGIN
        UPDATE touched SET n = n + 10 WHERE id = NEW.id;
        BEGIN
            UPDATE touched SET n = n + 100 WHERE id = NEW.id;
            IF NEW.id % 2 = 0 THEN
                RAISE EXCEPTION 'never mind';
            END IF;
        EXCEPTION WHEN raise_exception THEN
            UPDATE touched SET n = n + 1000 WHERE id = NEW.id;
        END;
        IF NEW.id % 3 = 0 THEN
            RAISE EXCEPTION 'never mind';
        END IF;
    EXCEPTION WHEN raise_exception THEN
        UPDATE touched SET n = n + 10000 WHERE id = NEW.id;
    END;
    RETURN NULL;
END $$;
CREATE TRIGGER zz_try AFTER UPDATE ON touched FOR EACH ROW
    WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION try();
SELECT size AS mark FROM test.mark() \gset
UPDATE touched SET v = -1;
SELECT * FROM test.came(:mark, '{touched}');
SELECT id, n, d.faults, test.proves('touched', id) FROM touched, test.done('touched', id) d
    WHERE id BETWEEN 1 AND 6 ORDER BY id;
ALTER TRIGGER zz_try ON touched RENAME TO aa_try;
SELECT size AS mark FROM test.mark() \gset
UPDATE touched SET v = -2;
SELECT * FROM test.came(:mark, '{touched}');
SELECT id, n, d.faults, test.proves('touched', id) FROM touched, test.done('touched', id) d
    WHERE id BETWEEN 1 AND 6 ORDER BY id;
DROP TRIGGER aa_try ON touched;
-- more than is kept in mind of a subtransaction; kept, and given up
CREATE FUNCTION many() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO touched SELECT generate_series(100001, 120000);
    IF NEW.id = 2 THEN
        RAISE EXCEPTION 'never mind';
    END IF;
    RETURN NULL;
EXCEPTION WHEN raise_exception THEN
    RETURN NULL;
END $$;
CREATE TRIGGER zz_many AFTER UPDATE ON touched FOR EACH ROW WHEN (NEW.id IN (2, 100))
    EXECUTE FUNCTION many();
SELECT size AS mark FROM test.mark() \gset
UPDATE touched SET v = -3 WHERE id <= 200;
SELECT * FROM test.came(:mark, '{touched}');
DROP TRIGGER zz_many ON touched;
DELETE FROM touched WHERE id > 100000;
-- who looks at what has been said finds a history as far as it goes, and all of it later
CREATE TABLE said (id int, done text, faults bigint);
CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE touched SET n = 0 WHERE id = NEW.id;
    INSERT INTO said SELECT NEW.id, d.* FROM test.done('touched', NEW.id) d;
    RETURN NULL;
END $$;
CREATE TRIGGER aa_look AFTER INSERT ON touched FOR EACH ROW EXECUTE FUNCTION look();
CREATE TRIGGER zz_look AFTER INSERT ON touched FOR EACH ROW EXECUTE FUNCTION look();
INSERT INTO touched SELECT generate_series(4001, 4020);
SELECT done, faults, count(*) FROM said GROUP BY 1, 2 ORDER BY 1;
SELECT d.*, count(*) FROM generate_series(4001, 4020) id, test.done('touched', id) d GROUP BY 1, 2;
SELECT row_key, fault FROM medchain.verify_table('touched');
DROP TRIGGER aa_look ON touched;
DROP TRIGGER zz_look ON touched;

-- Rows that come of rows: versions, before and after; other tables, one by one
CREATE TABLE version (id int, valid int DEFAULT 0, v text, PRIMARY KEY (id, valid));
CREATE TABLE audit (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, what text, person text);
SELECT medchain.ledger_table('version');
SELECT medchain.protect('audit', 'person');
CREATE FUNCTION keep_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO version VALUES (NEW.id, -1, 'before') ON CONFLICT DO NOTHING;
    ELSE
        INSERT INTO version VALUES (OLD.id, (SELECT max(valid) + 1 FROM version
            WHERE id = OLD.id), OLD.v);
    END IF;
    RETURN NEW;
END $$;
CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit (what, person) VALUES (TG_OP || ' ' || NEW.id, 'trigger ' || NEW.id % 10);
    RETURN NULL;
END $$;
CREATE TRIGGER keep BEFORE INSERT OR UPDATE ON version FOR EACH ROW
    WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION keep_version();
CREATE TRIGGER audit AFTER INSERT OR UPDATE ON version FOR EACH ROW
    WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION audit();
SELECT size AS mark FROM test.mark() \gset
INSERT INTO version SELECT i, 0, 'one' FROM generate_series(1, 1000) i;
SELECT * FROM test.came(:mark, '{version, audit}');
SELECT size AS mark FROM test.mark() \gset
UPDATE version SET v = 'two' WHERE valid = 0;
SELECT * FROM test.came(:mark, '{version, audit}');
DROP TRIGGER keep ON version;
CREATE TRIGGER zz_keep AFTER UPDATE ON version FOR EACH ROW
    WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION keep_version();
SELECT size AS mark FROM test.mark() \gset
UPDATE version SET v = 'three' WHERE valid = 0;
SELECT * FROM test.came(:mark, '{version, audit}');
SELECT count(*), sum((l.kind = 'row.insert')::int) FROM medchain.diagnosis_log('trigger 3') l
    WHERE l.kind ~ '^row[.]';
-- what functions do that a statement calls
CREATE FUNCTION note_one(i int) RETURNS int LANGUAGE sql AS $$
    INSERT INTO audit (what, person) VALUES ('called ' || i, 'call') RETURNING 1 $$;
CREATE TABLE counted (n int);
SELECT size AS mark FROM test.mark() \gset
INSERT INTO counted SELECT note_one(i) FROM generate_series(1, 100) i;
SELECT * FROM test.came(:mark, '{audit}');
-- but not those of a statement that changes nothing itself
SELECT size AS mark FROM test.mark() \gset
SELECT sum(note_one(i)) FROM generate_series(1, 20) i;
DO $$ BEGIN PERFORM note_one(i) FROM generate_series(1, 20) i; END $$;
SELECT * FROM test.came(:mark, '{audit}');

-- Foreign keys that come back to the table, and triggers that do more with those rows
CREATE TABLE tree (id int PRIMARY KEY, parent int, v text DEFAULT '', n int DEFAULT 0,
    CONSTRAINT up FOREIGN KEY (parent) REFERENCES tree ON DELETE CASCADE ON UPDATE CASCADE);
CREATE INDEX ON tree (parent);
SELECT medchain.ledger_table('tree');
CREATE FUNCTION touch_tree() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE tree SET n = n + 1 WHERE id = NEW.id;
    RETURN NULL;
END $$;
INSERT INTO tree SELECT i, nullif(i / 10, 0) FROM generate_series(1, 3000) i;
SELECT size AS mark FROM test.mark() \gset
UPDATE tree SET id = id + 10000 WHERE id < 100;
SELECT * FROM test.came(:mark, '{tree}');
SELECT count(*) FROM tree WHERE parent > 10000;
SELECT size AS mark FROM test.mark() \gset
DELETE FROM tree WHERE id = 10001;
SELECT * FROM test.came(:mark, '{tree}');
CREATE TRIGGER aa_touch AFTER UPDATE ON tree FOR EACH ROW WHEN (OLD.n = NEW.n)
    EXECUTE FUNCTION touch_tree();
SELECT size AS mark FROM test.mark() \gset
UPDATE tree SET id = id + 10000 WHERE id < 300;
SELECT * FROM test.came(:mark, '{tree}');
ALTER TABLE tree DROP CONSTRAINT up, ADD CONSTRAINT up FOREIGN KEY (parent) REFERENCES tree
    ON DELETE SET NULL ON UPDATE SET NULL;
SELECT size AS mark FROM test.mark() \gset
UPDATE tree SET id = id - 10000, v = 'back' WHERE id > 10000;
DELETE FROM tree WHERE id IN (SELECT parent FROM tree WHERE parent IS NOT NULL);
SELECT * FROM test.came(:mark, '{tree}');
SELECT d.faults, count(*), bool_and(test.proves('tree', id)) FROM tree, test.done('tree', id) d
    WHERE id % 20 = 0 GROUP BY 1;
-- rows that their trigger puts there again
CREATE FUNCTION put_back() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO tree VALUES (OLD.id, NULL, 'again');
    RETURN NULL;
END $$;
CREATE TRIGGER aa_back AFTER DELETE ON tree FOR EACH ROW EXECUTE FUNCTION put_back();
SELECT size AS mark FROM test.mark() \gset
DELETE FROM tree WHERE id % 2 = 0;
SELECT * FROM test.came(:mark, '{tree}');
SELECT string_agg(DISTINCT right(d.done, 13), ', '), sum(d.faults)
    FROM tree, test.done('tree', id) d WHERE id % 40 = 0;

-- Rows that move to another key or subject meanwhile
CREATE TABLE moved (id int PRIMARY KEY, person text, n int DEFAULT 0);
SELECT medchain.protect('moved', 'person');
INSERT INTO moved SELECT i, 'moved ' || i % 5 FROM generate_series(1, 400) i;
CREATE FUNCTION move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE moved SET n = n + 1, person = 'moved on' WHERE id = NEW.id;
    UPDATE moved SET id = id + 1000, n = n + 1 WHERE id = NEW.id AND id % 2 = 0;
    UPDATE moved SET n = n + 1 WHERE id = NEW.id + 1000;
    RETURN NULL;
END $$;
CREATE TRIGGER aa_move AFTER UPDATE ON moved FOR EACH ROW WHEN (pg_trigger_depth() = 0)
    EXECUTE FUNCTION move();
SELECT size AS mark FROM test.mark() \gset
UPDATE moved SET person = 'moved away';
SELECT * FROM test.came(:mark, '{moved}');
SELECT id, d.* FROM unnest('{3, 4, 1004}'::int[]) id, test.done('moved', id) d;
ALTER TRIGGER aa_move ON moved RENAME TO zz_move;
SELECT size AS mark FROM test.mark() \gset
UPDATE moved SET person = 'moved once more', id = id + 20000;
SELECT * FROM test.came(:mark, '{moved}');
SELECT p, sum((l.kind = 'row.insert')::int), sum((l.kind = 'row.delete')::int)
    FROM unnest('{moved 1, moved away, moved on, moved once more}'::text[])
        WITH ORDINALITY x (p, i), medchain.diagnosis_log(p) l
    WHERE l.kind ~ '^row[.]' GROUP BY i, p ORDER BY i;

-- Partitions, and a table without a key
CREATE TABLE parted (id int, half int, n int DEFAULT 0, PRIMARY KEY (id, half))
    PARTITION BY LIST (half);
CREATE TABLE parted_0 PARTITION OF parted FOR VALUES IN (0);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
CREATE TABLE bare (id int, n int DEFAULT 0);
SELECT medchain.ledger_table(t) FROM unnest('{parted, bare}'::regclass[]) t;
CREATE FUNCTION other_half() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('UPDATE %I SET n = n + 1 WHERE id = $1', TG_ARGV[0]) USING NEW.id;
    IF TG_ARGV[0] = 'parted' THEN
        UPDATE parted SET half = 1 - half WHERE id = NEW.id AND id % 3 = 0;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER aa_half AFTER INSERT OR UPDATE ON parted FOR EACH ROW
    WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION other_half('parted');
CREATE TRIGGER aa_half AFTER INSERT OR UPDATE ON bare FOR EACH ROW
    WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION other_half('bare');
SELECT size AS mark FROM test.mark() \gset
INSERT INTO parted SELECT i, i % 2 FROM generate_series(1, 200) i;
UPDATE parted SET half = 1 - half WHERE id > 100;
COPY bare (id) FROM PROGRAM 'seq 30 && seq 20';
UPDATE bare SET n = n * 2;
SELECT * FROM test.came(:mark, '{parted, bare}');

-- At commit, triggers that were deferred do what they do together
CREATE TABLE late (id int PRIMARY KEY, n int DEFAULT 0);
SELECT medchain.ledger_table('late');
CREATE FUNCTION later() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE late SET n = n + 1 WHERE id = NEW.id;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER later AFTER INSERT ON late DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    EXECUTE FUNCTION later();
SELECT size AS mark FROM test.mark() \gset
INSERT INTO late SELECT generate_series(1, 100);
BEGIN;
INSERT INTO late SELECT generate_series(101, 200);
SET CONSTRAINTS later IMMEDIATE;
INSERT INTO late SELECT generate_series(201, 300);
COMMIT;
SELECT * FROM test.came(:mark, '{late}');
SELECT d.*, count(*) FROM late, test.done('late', id) d GROUP BY 1, 2;

-- A row that was there and gone again before the statement put it there, which replaces others
CREATE TABLE tried (id int PRIMARY KEY, n int DEFAULT 0);
SELECT medchain.ledger_table('tried');
CREATE FUNCTION try_out() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO tried VALUES (NEW.id, 100);
    UPDATE tried SET n = n + 1 WHERE id = NEW.id;
    DELETE FROM tried WHERE id = NEW.id;
    RETURN NEW;
END $$;
CREATE TRIGGER try_out BEFORE INSERT ON tried FOR EACH ROW WHEN (pg_trigger_depth() = 0)
    EXECUTE FUNCTION try_out();
CREATE FUNCTION try_again() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE tried SET n = n + 1 WHERE id = NEW.id;
    DELETE FROM tried WHERE id = NEW.id AND id % 4 = 0;
    INSERT INTO tried SELECT NEW.id, 200 WHERE NEW.id % 8 = 0;
    RETURN NULL;
END $$;
CREATE TRIGGER aa_try AFTER INSERT ON tried FOR EACH ROW WHEN (pg_trigger_depth() = 0)
    EXECUTE FUNCTION try_again();
CREATE TRIGGER zz_try AFTER INSERT ON tried FOR EACH ROW WHEN (pg_trigger_depth() = 0)
    EXECUTE FUNCTION try_again();
SELECT size AS mark FROM test.mark() \gset
INSERT INTO tried SELECT generate_series(1, 20);
MERGE INTO tried t USING generate_series(15, 40) i ON t.id = i
    WHEN MATCHED AND i % 2 = 0 THEN DELETE WHEN MATCHED THEN UPDATE SET n = 5
    WHEN NOT MATCHED THEN INSERT VALUES (i);
SELECT * FROM test.came(:mark, '{tried}');
WITH gone AS (DELETE FROM tried WHERE id < 10 RETURNING id)
    INSERT INTO tried SELECT id + 100 FROM gone;
SELECT * FROM test.came(:mark, '{tried}');
SELECT d.*, count(*) FROM generate_series(1, 110) id, test.done('tried', id) d
    GROUP BY 1, 2 ORDER BY 1;

-- Whatever triggers do to any row, on all sides of medchain's own
CREATE TABLE wild (id int PRIMARY KEY, parent int, person text, n int DEFAULT 0,
    FOREIGN KEY (parent) REFERENCES wild ON DELETE SET NULL ON UPDATE CASCADE);
SELECT medchain.protect('wild', 'person');
CREATE FUNCTION wild() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    own CONSTANT int := CASE WHEN TG_OP = 'DELETE' THEN OLD.id ELSE NEW.id END;
    other int;
BEGIN
    FOR i IN 1 .. 2 LOOP
        CONTINUE WHEN pg_trigger_depth() > 3 OR random() > CASE TG_WHEN WHEN 'BEFORE' THEN 0.1
            ELSE 0.4 END;
        other := CASE WHEN random() < 0.5 THEN own ELSE (random() * 40)::int END;
        CONTINUE WHEN TG_WHEN = 'BEFORE' AND TG_OP <> 'INSERT' AND other = OLD.id;
        BEGIN
            CASE (random() * 6)::int
            WHEN 0 THEN UPDATE wild SET n = n + 1 WHERE id = other;
            WHEN 1 THEN UPDATE wild SET person = 'wild ' || (random() * 3)::int WHERE id = other;
            WHEN 2 THEN UPDATE wild SET id = (random() * 40)::int WHERE id = other;
            WHEN 3 THEN DELETE FROM wild WHERE id = other;
            WHEN 4 THEN
                IF TG_WHEN = 'AFTER' OR other <> own THEN
                    INSERT INTO wild VALUES (other, NULL, 'wild ' || other % 3)
                        ON CONFLICT (id) DO UPDATE SET n = wild.n + 1;
                END IF;
            WHEN 5 THEN UPDATE wild SET n = n + 1 WHERE id BETWEEN other AND other + 5;
            ELSE
                UPDATE wild SET n = n + 1 WHERE id = other;
                PERFORM count(*) FROM medchain.row_history('wild', other);
                UPDATE wild SET n = n + 1 WHERE id = other;
            END CASE;
            IF random() < 0.2 THEN
                RAISE EXCEPTION 'never mind';
            END IF;
        EXCEPTION WHEN OTHERS THEN
            NULL;
        END;
    END LOOP;
    RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
END $$;
CREATE TRIGGER aa_wild AFTER INSERT OR UPDATE OR DELETE ON wild FOR EACH ROW
    EXECUTE FUNCTION wild();
CREATE TRIGGER mm_wild BEFORE INSERT OR UPDATE OR DELETE ON wild FOR EACH ROW
    EXECUTE FUNCTION wild();
CREATE TRIGGER zz_wild AFTER INSERT OR UPDATE OR DELETE ON wild FOR EACH ROW
    EXECUTE FUNCTION wild();
CREATE FUNCTION go_wild(rounds int) RETURNS TABLE (faults bigint) LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. rounds LOOP
        BEGIN
            CASE i % 5
            WHEN 0 THEN DELETE FROM wild WHERE id % 3 = 0;
            WHEN 1 THEN INSERT INTO wild SELECT k, NULL, 'wild' FROM generate_series(1, 30) k
                ON CONFLICT DO NOTHING;
            WHEN 2 THEN UPDATE wild SET parent = (SELECT min(id) FROM wild), person = 'tame';
            WHEN 3 THEN UPDATE wild SET id = id + 50 WHERE id < 10;
            ELSE MERGE INTO wild w USING generate_series(1, 30) k ON w.id = k
                WHEN MATCHED AND k % 4 = 0 THEN DELETE WHEN MATCHED THEN UPDATE SET n = n + 1
                WHEN NOT MATCHED THEN INSERT (id, person) VALUES (k, 'wild');
            END CASE;
        EXCEPTION WHEN OTHERS THEN
            NULL;
        END;
    END LOOP;
    RETURN QUERY SELECT count(*) FROM medchain.verify_table('wild');
END $$;
SELECT setseed(0.13);
SELECT go_wild(10) FROM generate_series(1, 3);
SELECT count(h.fault) FROM generate_series(1, 60) id, medchain.row_history('wild', id) h;

-- A table whose rows leave the ledger in the middle of it
CREATE TABLE left_over (id int PRIMARY KEY);
SELECT medchain.ledger_table('left_over');
CREATE FUNCTION leave() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO left_over VALUES (1), (2);
    PERFORM medchain.end_ledger_table('left_over');
    RETURN NULL;
END $$;
CREATE TRIGGER leave AFTER INSERT ON late FOR EACH STATEMENT EXECUTE FUNCTION leave();
INSERT INTO late VALUES (1000);
SELECT count(*) FROM medchain.row_key k WHERE NOT EXISTS (SELECT FROM medchain.row_table t
    WHERE t.relation = k.relation);

SELECT medchain.unprotect(t) FROM unnest('{audit, moved, wild}'::regclass[]) t;
SELECT medchain.end_ledger_table(t) FROM unnest('{touched, version, tree, parted, bare,
    late}'::regclass[]) t;
DROP TABLE touched, said, version, audit, counted, tree, moved, parted, bare, late, wild,
    left_over;
DROP FUNCTION touch(), try(), many(), look(), keep_version(), audit(), note_one(int),
    touch_tree(), put_back(), move(), other_half(), later(), wild(), go_wild(int), leave(),
    test.came(bigint, regclass[]), test.words(bigint, regclass), test.done(regclass, int),
    test.proves(regclass, int);
DROP FUNCTION test.mark;
SELECT medchain.seal();
SELECT ok, fault FROM medchain.verify('data-centre', 0);
