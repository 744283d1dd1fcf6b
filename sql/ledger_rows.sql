--
-- Ledger tables: what could make verify_table() cry wolf, or keep silent: triggers that change rows
-- out of turn, types whose text changes, keys that move, DDL by the back door.
--
\set SHOW_CONTEXT never
CREATE ROLE regress_table_owner LOGIN IN ROLE medchain_admin;
GRANT CREATE ON SCHEMA public TO regress_table_owner;
SELECT current_user AS superuser \gset
SET client_min_messages = warning;

-- A column with the name that medchain's own queries give the table
CREATE TABLE coordinate (id int PRIMARY KEY, x int, d int, s text, l text);
INSERT INTO coordinate VALUES (1, 2);
SELECT medchain.ledger_table('coordinate');
INSERT INTO coordinate VALUES (2, 3);
SELECT medchain.seal();
SELECT row_key, fault FROM medchain.verify_table('coordinate');
SELECT medchain.row_proof('coordinate', 1) -> 'row' ->> 'content' AS content;
DROP TABLE coordinate;

-- The constraint of a key's type is nobody's to run: what it refuses is no row's key
\c - regress_table_owner
CREATE TABLE seen (who text);
CREATE FUNCTION look(t text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.seen
    VALUES (current_user); RETURN true; END $$;
CREATE DOMAIN looked_at AS text CHECK (look(VALUE));
CREATE TABLE trap (id looked_at PRIMARY KEY);
SELECT medchain.ledger_table('trap');
SELECT count(*) FROM medchain.row_history('trap', 'a');
SELECT DISTINCT who FROM seen;
\c - :superuser
SET client_min_messages = warning;
SELECT count(*) FROM medchain.row_history('trap', 'a');
SELECT medchain.row_proof('trap', 'a') IS NULL AS no_such_row;
SELECT DISTINCT who FROM seen;
DROP TABLE trap, seen;
DROP DOMAIN looked_at;

-- Triggers that change rows whose own turn is still to come
CREATE TABLE turn (id int PRIMARY KEY, first boolean, n int DEFAULT 0);
SELECT medchain.ledger_table('turn');
CREATE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF pg_trigger_depth() < 3 THEN
        UPDATE turn SET n = n + 1 WHERE id = NEW.id;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER again AFTER INSERT OR UPDATE ON turn FOR EACH ROW EXECUTE FUNCTION again();
INSERT INTO turn VALUES (1);
SELECT operation, fault FROM medchain.row_history('turn', 1);
UPDATE turn SET first = true;
COPY turn (id, first) FROM STDIN;
2	f
3	f
\.
INSERT INTO turn VALUES (2, true) ON CONFLICT (id) DO UPDATE SET first = EXCLUDED.first;
SELECT row_key, fault FROM medchain.verify_table('turn');
-- what was rolled back has no place
CREATE OR REPLACE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF pg_trigger_depth() < 2 THEN
        BEGIN
            UPDATE turn SET n = n + 10 WHERE id = NEW.id;
            RAISE EXCEPTION 'never mind';
        EXCEPTION WHEN raise_exception THEN
            UPDATE turn SET n = n + 100 WHERE id = NEW.id;
        END;
    END IF;
    RETURN NULL;
END $$;
UPDATE turn SET first = NOT first;
SELECT row_key, fault FROM medchain.verify_table('turn');
SELECT array_agg(operation), count(fault) AS faults FROM medchain.row_history('turn', 1);
DROP TRIGGER again ON turn;
-- other rows of the same statement; rows that come back
CREATE OR REPLACE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        INSERT INTO turn VALUES (OLD.id, false, OLD.n);
    ELSIF pg_trigger_depth() < 2 THEN
        UPDATE turn SET first = false WHERE id <> NEW.id AND first;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER zz_again AFTER INSERT OR UPDATE OR DELETE ON turn FOR EACH ROW
    EXECUTE FUNCTION again();
CREATE TRIGGER again AFTER DELETE ON turn FOR EACH ROW EXECUTE FUNCTION again();
INSERT INTO turn VALUES (11, true), (12, true), (13, true);
UPDATE turn SET first = true WHERE id > 10;
DROP TRIGGER zz_again ON turn;
DELETE FROM turn WHERE id IN (11, 12);
SELECT id, first FROM turn WHERE id > 10 ORDER BY id;
SELECT row_key, fault FROM medchain.verify_table('turn');
SELECT operation, fault FROM medchain.row_history('turn', 12);
DROP TRIGGER again ON turn;
-- a function in the statement itself
INSERT INTO turn VALUES (21), (22);
CREATE FUNCTION touch(i int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN UPDATE turn SET first = true
    WHERE id = 21 AND i = 22; RETURN i; END $$;
UPDATE turn SET n = touch(id) WHERE id IN (21, 22);
SELECT id, first, n FROM turn WHERE id > 20 ORDER BY id;
SELECT row_key, fault FROM medchain.verify_table('turn');
-- COPY FREEZE, whose rows do not say which transaction has written them: after changes of a table
-- that is truncated then, changed by a trigger before their own turn, and by a column's default
CREATE TABLE cold (id int PRIMARY KEY, first boolean, n int DEFAULT 0);
SELECT medchain.ledger_table('cold', record_truncate => true);
CREATE FUNCTION thaw() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE cold SET n = n + 1 WHERE id = 2 AND NEW.id = 1;
    RETURN NULL;
END $$;
CREATE TRIGGER again AFTER INSERT ON cold FOR EACH ROW EXECUTE FUNCTION thaw();
BEGIN;
INSERT INTO cold VALUES (1), (2);
TRUNCATE cold;
COPY cold (id) FROM STDIN (FREEZE);
1
2
\.
COMMIT;
SELECT row_key, fault FROM medchain.verify_table('cold');
SELECT operation, fault FROM medchain.row_history('cold', 2);
DROP TRIGGER again ON cold;
CREATE FUNCTION warm() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    UPDATE cold SET n = n + 10;
    RETURN true;
END $$;
ALTER TABLE cold ALTER first SET DEFAULT warm();
BEGIN;
TRUNCATE cold;
COPY cold (id) FROM STDIN (FREEZE);
1
2
3
\.
COMMIT;
SELECT * FROM cold ORDER BY id;
SELECT row_key, fault FROM medchain.verify_table('cold');
SELECT array_agg(operation), count(fault) AS faults FROM medchain.row_history('cold', 1);

-- and all that is in order once it is sealed
SELECT medchain.seal();
SELECT row_key, fault FROM medchain.verify_table('turn');
SELECT row_key, fault FROM medchain.verify_table('cold');
DROP TABLE turn, cold;

-- Keys
CREATE TABLE shift (id int, v text, PRIMARY KEY (id) DEFERRABLE);
SELECT e.* FROM test.error_of($$ SELECT medchain.ledger_table('shift') $$) e;
ALTER TABLE shift DROP CONSTRAINT shift_pkey, ADD PRIMARY KEY (id);
SELECT medchain.ledger_table('shift');
INSERT INTO shift VALUES (1, 'one'), (2, 'two');
SELECT s, e.* FROM unnest(ARRAY['ALTER TABLE shift DROP CONSTRAINT shift_pkey',
        'ALTER TABLE shift DROP CONSTRAINT shift_pkey, ADD PRIMARY KEY (id) DEFERRABLE',
        'ALTER TABLE shift DROP CONSTRAINT shift_pkey, ADD PRIMARY KEY (id, v)']) s,
    LATERAL test.error_of(s) e;
CREATE UNIQUE INDEX other ON shift (id);
ALTER TABLE shift DROP CONSTRAINT shift_pkey, ADD PRIMARY KEY USING INDEX other;
SELECT row_key, fault FROM medchain.verify_table('shift');
DROP TABLE shift;

-- Types that print otherwise all of a sudden
CREATE TYPE colour AS ENUM ('red', 'green');
CREATE DOMAIN shade AS colour;
CREATE TYPE pair AS (a int, c shade);
CREATE TYPE span AS RANGE (subtype = colour);
CREATE TABLE paint (id int PRIMARY KEY, a colour[], d shade, p pair, r span, m span_multirange,
    of regclass);
SELECT medchain.ledger_table('paint');
INSERT INTO paint VALUES (1, '{red,green}', 'red', '(1,red)', '[red,green]', '{[red,green]}',
    'pg_class');
ALTER TYPE colour RENAME VALUE 'red' TO 'rouge';
SELECT row_key, fault FROM medchain.verify_table('paint');
ALTER TYPE pair ADD ATTRIBUTE z int;
SELECT row_key, fault FROM medchain.verify_table('paint');
ALTER TYPE pair RENAME ATTRIBUTE z TO y;
ALTER TYPE pair DROP ATTRIBUTE y;
ALTER TYPE colour ADD VALUE 'blue';
SELECT row_key, fault FROM medchain.verify_table('paint');
SET quote_all_identifiers = on;
SELECT row_key, fault, detail FROM medchain.verify_table('paint');
ALTER TABLE paint ADD COLUMN e text;
RESET quote_all_identifiers;
SELECT row_key, fault, detail FROM medchain.verify_table('paint');
SELECT medchain.seal();
SELECT payload::jsonb -> 'body' ->> 'command' AS command, payload::jsonb -> 'body' ->> 'baseline'
    AS baseline, payload::jsonb -> 'body' -> 'changes' AS changes
    FROM medchain.entry WHERE origin = 'data-centre' AND kind = 'table.alter'
        AND payload::jsonb -> 'body' ->> 'relation' = 'public.paint' ORDER BY seq;
DROP TABLE paint;

-- What was done between a new column and the next change shows
CREATE TABLE grown (id int PRIMARY KEY, v text);
SELECT medchain.ledger_table('grown');
INSERT INTO grown VALUES (1, 'a'), (2, 'a'), (3, 'a');
ALTER TABLE grown ADD COLUMN w text;
ALTER TABLE grown DISABLE TRIGGER medchain_capture;
UPDATE grown SET v = 'unseen' WHERE id = 1;
ALTER TABLE grown ENABLE ALWAYS TRIGGER medchain_capture;
UPDATE grown SET w = 'seen' WHERE id < 3;
ALTER TABLE grown ADD COLUMN x text DEFAULT 'x';
UPDATE grown SET w = 'seen';
SELECT row_key, fault FROM medchain.verify_table('grown');
SELECT operation, fault FROM medchain.row_history('grown', 1);
-- also what is done to the values that a default has given
ALTER TABLE grown ADD COLUMN y text DEFAULT 'y', ADD COLUMN z text;
ALTER TABLE grown DISABLE TRIGGER medchain_capture;
UPDATE grown SET y = 'unseen' WHERE id < 3;
ALTER TABLE grown ENABLE ALWAYS TRIGGER medchain_capture;
UPDATE grown SET v = 'seen' WHERE id > 1;
SELECT row_key, fault FROM medchain.verify_table('grown');
SELECT operation, fault FROM medchain.row_history('grown', 2);
DROP TABLE grown;

-- Rows that a crash takes away are none for the ledger
CREATE UNLOGGED TABLE fleeting (id int PRIMARY KEY);
SELECT * FROM test.error_of($$ SELECT medchain.ledger_table('fleeting') $$);
ALTER TABLE fleeting SET LOGGED;
SELECT medchain.ledger_table('fleeting');
ALTER TABLE fleeting SET UNLOGGED;
DROP TABLE fleeting;

-- Many rows that are gone are named in one go
CREATE TABLE many (id int PRIMARY KEY);
SELECT medchain.ledger_table('many');
INSERT INTO many SELECT generate_series(1, 20000);
ALTER TABLE many DISABLE TRIGGER medchain_capture;
DELETE FROM many;
ALTER TABLE many ENABLE ALWAYS TRIGGER medchain_capture;
SET statement_timeout = '30s';
SELECT count(*), count(*) FILTER (WHERE row_key ~ '^id=') AS named
    FROM medchain.verify_table('many') WHERE fault = 'removed';
RESET statement_timeout;
DROP TABLE many;

-- DDL on what a table is made of
CREATE FUNCTION nothing_at_all() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE DOMAIN small AS int;
CREATE COLLATION mine FROM "C";
CREATE TABLE made (id int PRIMARY KEY, d small, k text COLLATE mine);
CREATE TRIGGER nothing BEFORE INSERT ON made FOR EACH ROW EXECUTE FUNCTION nothing_at_all();
SELECT medchain.ledger_table('made');
INSERT INTO made VALUES (1, 1, 'k');
ALTER FUNCTION nothing_at_all() RENAME TO nothing_much;
SELECT fault, detail FROM medchain.verify_table('made');
ALTER DOMAIN small RENAME TO tiny;
SELECT fault, detail FROM medchain.verify_table('made');
DROP COLLATION mine CASCADE;
SELECT fault, detail FROM medchain.verify_table('made');
INSERT INTO made VALUES (2, 2);
SELECT fault, detail FROM medchain.verify_table('made');
-- its owner has another name, and then is another one, which no event trigger sees
CREATE ROLE regress_first_owner;
CREATE ROLE regress_other_owner;
ALTER TABLE made OWNER TO regress_first_owner;
ALTER ROLE regress_first_owner RENAME TO regress_same_owner;
SELECT fault, detail FROM medchain.verify_table('made');
REASSIGN OWNED BY regress_same_owner TO regress_other_owner;
SELECT fault, detail FROM medchain.verify_table('made');
ALTER TABLE made ADD COLUMN z int;
SELECT fault, detail FROM medchain.verify_table('made');
DROP TABLE made;
DROP ROLE regress_same_owner;
DROP ROLE regress_other_owner;
-- a partition is one in whatever way names are quoted
CREATE TABLE quoted (id int PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE quoted_1 PARTITION OF quoted FOR VALUES FROM (0) TO (10);
SELECT medchain.ledger_table('quoted');
INSERT INTO quoted VALUES (1);
SET quote_all_identifiers = on;
DROP TABLE quoted_1;
RESET quote_all_identifiers;
SELECT * FROM medchain.verify_table('quoted');
SELECT operation FROM medchain.row_history('quoted', 1);
DROP TABLE quoted;

-- Dates and times are in it as PostgreSQL prints them, whatever the session's settings
CREATE TABLE moment (id int PRIMARY KEY, d date, t timestamp, z timestamptz);
SELECT medchain.ledger_table('moment');
SET timezone = 'Asia/Kathmandu';
SET datestyle = 'SQL, DMY';
INSERT INTO moment VALUES (1, 'infinity', '-infinity', 'infinity'),
    (2, '01/01/4713 BC', '24/11/4714 00:00:00 BC', '24/11/4714 00:00:00+00 BC'),
    (3, '31/12/5874897', '31/12/294276 23:59:59.999999', '31/12/294276 23:59:59.999999+00'),
    (4, '29/02/2000', '01/03/1900 12:00:00.5', '01/01/2026 00:00:00+05:45'),
    (5, '31/12/0001', '01/01/2000 00:00:00.000001', '30/03/2025 01:30:00.1234+00');
SELECT medchain.seal();
SELECT id, medchain.row_proof('moment', id) -> 'row' ->> 'content' AS content
    FROM moment ORDER BY id;
RESET timezone;
RESET datestyle;
SELECT count(*) AS faults FROM medchain.verify_table('moment');
SELECT medchain.end_ledger_table('moment');
DROP TABLE moment;

-- The identity behind a pseudonym was exchanged: grants would open somebody else's rows
BEGIN;
ALTER TABLE medchain.subject_identity DISABLE TRIGGER guard_insert;
INSERT INTO medchain.subject_identity (pseudonym, identity) VALUES (sha256('somebody'), 'somebody');
SELECT ok, fault, test.masked(detail) AS detail FROM medchain.verify('data-centre');
ROLLBACK;
-- medchain was made to forget a table
CREATE TABLE forgotten (id int PRIMARY KEY);
SELECT medchain.ledger_table('forgotten');
BEGIN;
DELETE FROM medchain.row_table WHERE relation = 'forgotten'::regclass;
SELECT row_key, fault, test.masked(detail) AS detail FROM medchain.verify_table('forgotten');
ROLLBACK;
SELECT medchain.end_ledger_table('forgotten');
SELECT * FROM medchain.verify_table('forgotten');
DROP TABLE forgotten;

DROP FUNCTION again(), touch(int), thaw(), warm(), nothing_much(), look(text) CASCADE;
DROP TYPE pair, span, shade, colour, tiny;
REVOKE CREATE ON SCHEMA public FROM regress_table_owner;
DROP ROLE regress_table_owner;
SELECT medchain.seal();
SELECT ok, fault FROM medchain.verify('data-centre');
