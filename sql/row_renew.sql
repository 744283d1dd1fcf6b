--
-- Tools that switch triggers off, empty tables and load fixtures: the way back.
--
\set SHOW_CONTEXT never
CREATE ROLE regress_tester LOGIN IN ROLE medchain_admin;
GRANT CREATE ON SCHEMA public TO regress_tester;
SELECT current_user AS superuser \gset
\c - regress_tester
CREATE TABLE fixture (id int PRIMARY KEY, patient text, v text);
INSERT INTO fixture SELECT i, 'P' || i, 'v' FROM generate_series(1, 20) i;
SELECT medchain.ledger_table('fixture');
-- all at once, they come back as they were
ALTER TABLE fixture DISABLE TRIGGER ALL;
INSERT INTO fixture VALUES (21);
ALTER TABLE fixture ENABLE TRIGGER ALL;
ALTER TABLE fixture DISABLE TRIGGER USER, ENABLE TRIGGER USER;
SELECT * FROM medchain.verify_table('fixture');
SELECT medchain.renew_table('fixture');
-- each by its name, they do not
ALTER TABLE fixture DISABLE TRIGGER medchain_capture, DISABLE TRIGGER medchain_truncate;
TRUNCATE fixture;
INSERT INTO fixture SELECT i, 'P' || i, 'fixed' FROM generate_series(1, 5) i;
ALTER TABLE fixture ENABLE TRIGGER medchain_capture, ENABLE TRIGGER medchain_truncate;
SELECT row_key IS NULL AS whole, fault, CASE WHEN row_key IS NULL THEN detail END AS detail,
    count(*) FROM medchain.verify_table('fixture') GROUP BY 1, 2, 3 ORDER BY 1 DESC, 2, 3;
SELECT medchain.renew_table('fixture', 'fixtures of the tests');
SELECT * FROM medchain.verify_table('fixture');
UPDATE fixture SET v = 'seen' WHERE id = 1;
SELECT operation, fault FROM medchain.row_history('fixture', 1);
SELECT e.* FROM test.error_of('TRUNCATE fixture') e;
SELECT medchain.seal();
-- and the ledger says what it was
SELECT (payload::jsonb -> 'body') - '{columns, known, relation, version}'::text[] AS said
    FROM medchain.entry WHERE origin = 'data-centre' AND kind = 'table.alter'
    AND payload::jsonb -> 'body' ->> 'relation' = 'public.fixture' ORDER BY seq;
-- triggers that are gone, or somebody made of his own; columns that came unseen
\c - :superuser
DROP TRIGGER medchain_truncate ON fixture;
ALTER EVENT TRIGGER medchain_observe_ddl DISABLE;
ALTER TABLE fixture ADD COLUMN w int DEFAULT 7;
ALTER EVENT TRIGGER medchain_observe_ddl ENABLE ALWAYS;
\c - regress_tester
SELECT row_key, fault, detail FROM medchain.verify_table('fixture');
SELECT medchain.renew_table('fixture');
SELECT * FROM medchain.verify_table('fixture');
UPDATE fixture SET w = 8 WHERE id = 2;
SELECT operation, fault FROM medchain.row_history('fixture', 2);
SELECT * FROM medchain.verify_table('fixture');
-- the key that names the rows went past everything: it has to be made again
\c - :superuser
SET client_min_messages = warning;
BEGIN;
DO $$ BEGIN
    EXECUTE (SELECT string_agg(format('ALTER EVENT TRIGGER %I DISABLE;', evtname), ' ')
             FROM pg_event_trigger WHERE evtname ^@ 'medchain');
END $$;
ALTER TABLE fixture DROP CONSTRAINT fixture_pkey;
DO $$ BEGIN
    EXECUTE (SELECT string_agg(format('ALTER EVENT TRIGGER %I ENABLE ALWAYS;', evtname), ' ')
             FROM pg_event_trigger WHERE evtname ^@ 'medchain');
END $$;
COMMIT;
\c - regress_tester
INSERT INTO fixture VALUES (3, 'P3', 'twice');
SELECT * FROM test.errors_of($$renew_table('fixture')$$);
DELETE FROM fixture WHERE v = 'twice';
ALTER TABLE fixture ADD PRIMARY KEY (id);
SELECT medchain.renew_table('fixture', 'the key is back');
SELECT * FROM medchain.verify_table('fixture');
UPDATE fixture SET v = 'seen again' WHERE id = 3;
SELECT operation, fault FROM medchain.row_history('fixture', 3) ORDER BY entry DESC LIMIT 2;
-- protected, with partitions
CREATE TABLE parted (id int PRIMARY KEY, patient text) PARTITION BY RANGE (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (10) TO (20);
SELECT medchain.protect('parted', 'patient');
ALTER TABLE parted_1 DISABLE ROW LEVEL SECURITY;
DROP POLICY medchain_select ON parted_2;
ALTER TABLE parted_2 DISABLE TRIGGER medchain_capture;
SELECT * FROM medchain.verify_table('parted');
SELECT medchain.renew_table('parted');
SELECT * FROM medchain.verify_table('parted');
-- who may not, and what is none
SELECT * FROM test.errors_of($$renew_table(NULL)$$, $$renew_table(0)$$);
CREATE TABLE plain (id int);
SELECT * FROM test.errors_of($$renew_table('plain')$$);
\c - :superuser
CREATE TABLE theirs (id int PRIMARY KEY);
SELECT medchain.ledger_table('theirs');
\c - regress_tester
SELECT * FROM test.errors_of($$renew_table('theirs')$$);
\c - :superuser
DROP TABLE theirs, plain, parted, fixture;
