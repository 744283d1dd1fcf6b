--
-- Tables that inherit from ledger tables.
--
\set SHOW_CONTEXT never
CREATE ROLE regress_ancestor LOGIN IN ROLE medchain_admin;
CREATE ROLE regress_midwife LOGIN;
GRANT CREATE ON SCHEMA public TO regress_ancestor;
SELECT current_user AS superuser \gset
CREATE VIEW test.known AS SELECT relation::text, subject_column AS subject, key_columns AS key,
    with_parent FROM medchain.row_table
    WHERE ledger_name ~ '^public[.](item|note|scan|page|smuggled)'
    ORDER BY 1;
GRANT SELECT ON test.known TO regress_ancestor;
\c - regress_ancestor
CREATE TABLE audit (row_version int DEFAULT 0, modified_by name DEFAULT 'somebody');
CREATE TABLE item (id int PRIMARY KEY, patient text NOT NULL, v text);
CREATE TABLE note (w text, PRIMARY KEY (id)) INHERITS (item, audit);
CREATE TABLE scan (w text) INHERITS (item);
CREATE TABLE page (n int, PRIMARY KEY (id)) INHERITS (note);
INSERT INTO item VALUES (1, 'A', 'item');
INSERT INTO note (id, patient, v) VALUES (1, 'A', 'note');
INSERT INTO scan VALUES (1, 'B', 'scan'), (1, 'B', 'scan');
INSERT INTO page (id, patient, v) VALUES (1, 'C', 'page');

-- An heir alone, with its own
SELECT medchain.ledger_table('note');
SELECT * FROM test.known;
UPDATE item SET v = v || '!';
SELECT operation, fault FROM medchain.row_history('page', 1);
SELECT * FROM medchain.verify_table('note');
SELECT medchain.end_ledger_table('note');
SELECT * FROM test.known;

-- A table with all its heirs
SELECT medchain.ledger_table('page');
SELECT medchain.ledger_table('item');
SELECT * FROM test.known;
UPDATE item SET v = v || '?';
DELETE FROM item WHERE patient = 'B' AND tableoid = 'scan'::regclass;
SELECT operation, fault FROM medchain.row_history('note', 1);
SELECT operation, fault FROM medchain.row_history('item', 1);
SELECT * FROM medchain.verify_table('item');
-- asked for by itself as well
SELECT medchain.ledger_table('note');
SELECT e.* FROM test.error_of($$ SELECT medchain.ledger_table('note') $$) e;
SELECT e.* FROM test.error_of($$ SELECT medchain.end_ledger_table('note') $$) e;

-- They come and go
CREATE TABLE note_2 (id int NOT NULL, patient text NOT NULL, v text);
INSERT INTO note_2 VALUES (1, 'A', 'before');
ALTER TABLE note_2 INHERIT item;
CREATE TABLE note_3 (scan oid, PRIMARY KEY (id)) INHERITS (item);
INSERT INTO note_3 VALUES (3, 'A', 'three');
CREATE TEMP TABLE mine () INHERITS (item);
INSERT INTO mine VALUES (9, 'A', 'nobody else sees it');
DROP TABLE mine;
SELECT s, e.* FROM unnest(ARRAY['CREATE UNLOGGED TABLE note_4 () INHERITS (item)',
    'ALTER TABLE note_3 SET UNLOGGED']) s, LATERAL test.error_of(s) e;
SELECT * FROM test.known;
ALTER TABLE note_2 NO INHERIT item;
SELECT * FROM medchain.verify_table('item');
UPDATE note_2 SET v = 'seen';
ALTER TABLE note_2 INHERIT item;
SELECT operation, fault FROM medchain.row_history('note_2',
    '{"id": 1, "patient": "A", "v": "before"}');
SELECT * FROM medchain.verify_table('item');
-- what is done to one that is off the ledger meanwhile is not hidden by its coming back
ALTER TABLE note_2 NO INHERIT item;
SELECT medchain.end_ledger_table('note_2');
UPDATE note_2 SET v = 'unseen';
ALTER TABLE note_2 INHERIT item;
SELECT * FROM medchain.verify_table('item');
ALTER TABLE item ADD COLUMN x int DEFAULT 1;
ALTER TABLE item RENAME v TO said;
ALTER TABLE note_3 RENAME TO note_33;
DROP TABLE note_33;
SELECT * FROM medchain.verify_table('item');
SELECT medchain.seal();
SELECT kind, payload::jsonb -> 'body' ->> 'relation' AS relation,
    payload::jsonb -> 'body' ->> 'command' AS command,
    (SELECT jsonb_agg(c) FROM jsonb_array_elements(payload::jsonb -> 'body' -> 'changes') c
     WHERE c ->> 'item' ~ 'heir') AS heirs
    FROM medchain.entry WHERE origin = 'data-centre' AND kind ~ '^table[.]'
    AND payload::jsonb -> 'body' ->> 'relation' ~ '^public[.](item|note_)' ORDER BY seq;

-- An heir whose changes are not seen
\c - :superuser
BEGIN;
ALTER TABLE note DISABLE TRIGGER medchain_capture;
UPDATE item SET said = 'unseen';
SELECT row_key, fault, test.masked(detail) AS detail FROM medchain.verify_table('item');
ROLLBACK;
BEGIN;
ALTER EVENT TRIGGER medchain_observe_ddl DISABLE;
CREATE TABLE smuggled (id int NOT NULL, patient text NOT NULL, said text, x int DEFAULT 1);
ALTER TABLE smuggled INHERIT item;
ALTER EVENT TRIGGER medchain_observe_ddl ENABLE ALWAYS;
SELECT * FROM medchain.verify_table('item');
SELECT medchain.renew_table('item', 'smuggled in');
SELECT * FROM medchain.verify_table('item');
SELECT * FROM test.known WHERE relation ~ 'smuggled';
ROLLBACK;
-- one that a foreign table is
CREATE FOREIGN DATA WRAPPER nowhere;
CREATE SERVER nowhere FOREIGN DATA WRAPPER nowhere;
SELECT e.* FROM test.error_of('CREATE FOREIGN TABLE far () INHERITS (item) SERVER nowhere') e;
DROP SERVER nowhere;
DROP FOREIGN DATA WRAPPER nowhere;
\c - regress_ancestor
-- truncated with the table that is named
SELECT e.* FROM test.error_of('TRUNCATE item') e;
SELECT medchain.end_ledger_table('item');
SELECT * FROM test.known;
SELECT medchain.end_ledger_table('note'), medchain.end_ledger_table('page');
SELECT medchain.ledger_table('item', record_truncate => true);
TRUNCATE item;
SELECT operation FROM medchain.row_history('page', 1) ORDER BY time DESC LIMIT 1;
SELECT * FROM medchain.verify_table('item');
SELECT medchain.end_ledger_table('item');
-- append-only
SELECT medchain.ledger_table('scan');
SELECT e.* FROM test.error_of($$ SELECT medchain.ledger_table('item', append_only => true) $$) e;
SELECT medchain.end_ledger_table('scan');
SELECT medchain.ledger_table('item', append_only => true);
INSERT INTO note (id, patient) VALUES (5, 'A');
SELECT e.* FROM test.error_of('UPDATE item SET x = 2') e;
SELECT medchain.end_ledger_table('item');
SELECT * FROM test.known;

-- Protected: queries by way of a table ask its policies, of which the heirs have the same
GRANT SELECT ON item, note, scan, page, audit TO regress_midwife;
SELECT medchain.protect('item', 'patient');
SELECT * FROM test.known;
\c - regress_midwife
SELECT count(*) FROM item;
SELECT count(*) FROM note;
SELECT count(*) FROM ONLY scan;
-- what has another parent, that nobody protects
SELECT count(*) FROM ONLY audit;
SELECT count(*) FROM audit;
\c - regress_ancestor
UPDATE audit SET row_version = 1;
SELECT * FROM medchain.verify_table('item');
SELECT s, e.* FROM unnest(ARRAY[
    $$SELECT medchain.unprotect('note')$$, $$SELECT medchain.end_ledger_table('note')$$,
    'CREATE TABLE opened (id int, patient text); ALTER TABLE item INHERIT opened',
    'CREATE TABLE late (id int NOT NULL, patient text NOT NULL, said text, x int); '
        'SELECT medchain.ledger_table(''late''); ALTER TABLE late INHERIT item',
    'CREATE TABLE late (id int NOT NULL, patient text NOT NULL, said text, x int, who text); '
        'SELECT medchain.protect(''late'', ''who''); ALTER TABLE late INHERIT item']) s,
    LATERAL test.error_of(s) e;
CREATE TABLE page_2 () INHERITS (page);
SELECT * FROM test.known;
-- asked for by itself as well, it stays so
SELECT medchain.protect('page', 'patient');
SELECT medchain.unprotect('item');
SELECT * FROM test.known;
SELECT count(*) AS policies FROM pg_policy WHERE polrelid
    IN ('item'::regclass, 'note'::regclass, 'scan'::regclass);
-- a plan that was made for somebody else
\c - :superuser
PREPARE counted AS SELECT count(*) FROM note;
SET plan_cache_mode = force_generic_plan;
EXECUTE counted;
SET ROLE regress_midwife;
EXECUTE counted;
RESET ROLE;
RESET plan_cache_mode;
\c - regress_ancestor
-- protected within a ledger table: opened, it stays on the ledger
SELECT medchain.ledger_table('note');
SELECT * FROM test.known;
SELECT medchain.unprotect('page');
SELECT * FROM test.known;
-- protected later than it came to the ledger, with its own heirs and because of another
SELECT medchain.ledger_table('item');
SELECT * FROM medchain.verify_table('item');
SELECT medchain.protect('note', 'patient');
SELECT * FROM test.known;
SELECT * FROM medchain.verify_table('item');
SELECT medchain.ledger_table('scan', append_only => true);
SELECT e.* FROM test.error_of($$ SELECT medchain.protect('item', 'patient') $$) e;
SELECT medchain.end_ledger_table('item');
SELECT * FROM test.known;
SELECT medchain.ledger_table('scan', append_only => true);
SELECT e.* FROM test.error_of($$ SELECT medchain.protect('item', 'patient') $$) e;
SELECT medchain.end_ledger_table('scan');
SELECT medchain.ledger_table('scan');
SELECT medchain.protect('item', 'patient');
SELECT * FROM test.known;
SELECT * FROM medchain.verify_table('item');
SELECT medchain.unprotect('item');
SELECT * FROM test.known;
DROP TABLE page_2, page, note, scan, note_2, item;
DROP TABLE audit;
SELECT * FROM test.known;
\c - :superuser
DROP VIEW test.known;
