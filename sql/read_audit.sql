--
-- Who reads rows of protected tables is on the ledger before they leave.
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SELECT current_database() AS data_centre, current_user AS superuser \gset
-- what was recorded since the last look, sealed or not, without what changes from run to run
CREATE FUNCTION test.accesses() RETURNS TABLE (actor text, role text, operation text,
    relation text, outcome text, basis text, "rows" int, subjects int, about boolean, root boolean)
    LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY
    WITH found AS (
        SELECT e.id, e.payload::jsonb AS p FROM (
            SELECT x.id, x.kind, x.payload FROM medchain.entry x WHERE x.origin = 'data-centre'
            UNION ALL SELECT x.id, x.kind, x.payload FROM medchain.pending x) e
        WHERE e.kind = 'access' AND NOT EXISTS (SELECT FROM test.shown s WHERE s.id = e.id)),
    kept AS (INSERT INTO test.shown SELECT f.id FROM found f)
    SELECT f.p ->> 'actor', f.p ->> 'role', b ->> 'operation', b ->> 'relation', b ->> 'outcome',
        b ->> 'basis', (b ->> 'rows')::int, (b ->> 'subjects')::int, f.p ? 'subject', b ? 'root'
    FROM found f, LATERAL (SELECT f.p -> 'body') x (b) ORDER BY f.id;
END
$$;
CREATE TABLE test.shown (id uuid PRIMARY KEY);
INSERT INTO test.shown SELECT id FROM medchain.entry WHERE kind = 'access'
    UNION SELECT id FROM medchain.pending WHERE kind = 'access';
CREATE TABLE chart (id int PRIMARY KEY, patient text, note text, grade int);
CREATE INDEX chart_grade ON chart (grade);
CREATE INDEX chart_patient ON chart (patient) INCLUDE (grade);
SELECT medchain.protect('chart', 'patient');
INSERT INTO chart SELECT i, 'R' || i % 10, 'note ' || i, i FROM generate_series(1, 100) i;
INSERT INTO chart VALUES (101, NULL, 'about nobody', 101);
ANALYZE chart;
GRANT SELECT, INSERT, UPDATE, DELETE ON chart TO regress_a;
\c regress_end_node
SELECT count(test.grant_a(s, '{"operations": ["query", "update"]}')) AS issued
    FROM unnest('{R1, R2}'::text[]) s;
SELECT medchain.append('remark', '"charts are granted"') IS NOT NULL AS appended;
SELECT medchain.seal();
\c :data_centre
CALL test.wait_for($$ SELECT EXISTS (SELECT FROM medchain.entry
    WHERE payload ~ '"charts are granted"') $$);
SET client_min_messages = warning;
-- a session's statements have a fingerprint from the first one on that may read protected rows
SHOW medchain.read_audit;
SELECT query_id IS NULL AS none FROM pg_stat_activity WHERE pid = pg_backend_pid();

--
-- Every way to read
--
SELECT note FROM chart WHERE id = 1;
SELECT query_id IS NOT NULL AS one FROM pg_stat_activity WHERE pid = pg_backend_pid();
SELECT e.payload::jsonb -> 'body' ? 'query_id' AS the_first_too FROM (
    SELECT id, payload FROM medchain.entry WHERE kind = 'access'
    UNION ALL SELECT id, payload FROM medchain.pending WHERE kind = 'access') e
    ORDER BY e.id DESC LIMIT 1;
SELECT * FROM test.accesses();
SELECT count(*), count(DISTINCT patient) FROM chart WHERE id <= 40;
SELECT * FROM test.accesses();
-- rows that nothing is about; nothing at all
SELECT note FROM chart WHERE patient IS NULL;
SELECT note FROM chart WHERE id = 1000;
SELECT * FROM test.accesses();
-- by each kind of scan
SET enable_seqscan = off;
SET enable_indexscan = off;
SET enable_bitmapscan = off;
SELECT grade FROM chart WHERE grade BETWEEN 1 AND 3;
SELECT count(*) FROM chart WHERE patient = 'R3';
SELECT * FROM test.accesses();
RESET enable_bitmapscan;
SET enable_indexonlyscan = off;
SELECT count(*) FROM chart WHERE grade < 5;
SELECT * FROM test.accesses();
RESET enable_indexscan;
SET enable_bitmapscan = off;
SELECT max(note) FROM chart WHERE grade = 7;
SELECT * FROM test.accesses();
RESET ALL;
SET client_min_messages = warning;
SELECT count(*) FROM chart WHERE ctid = '(0,1)';
SELECT count(*) > 0 AS sampled FROM chart TABLESAMPLE SYSTEM (100);
SELECT * FROM test.accesses();
-- joins, subqueries, sets, CTEs
SELECT count(*) FROM chart a JOIN chart b ON a.id = b.id + 1 WHERE a.id <= 3;
SELECT (SELECT note FROM chart WHERE id = 12), EXISTS (SELECT FROM chart WHERE id = 13);
WITH c AS MATERIALIZED (SELECT * FROM chart WHERE id = 14) SELECT count(*) FROM c;
SELECT * FROM test.accesses();
-- changes read as well
UPDATE chart SET grade = grade WHERE id = 5 RETURNING note;
DELETE FROM chart WHERE id = 100;
INSERT INTO chart VALUES (6, 'R0', 'again', 6) ON CONFLICT (id) DO UPDATE SET grade = 6
    RETURNING note;
MERGE INTO chart c USING (VALUES (7)) v (id) ON c.id = v.id WHEN MATCHED THEN
    UPDATE SET grade = 7;
SELECT * FROM test.accesses();
-- rows that an INSERT meets, whether they are changed or not, or it fails; nobody says that he has
-- met others
INSERT INTO chart VALUES (6, 'R0', 'again', 6) ON CONFLICT (id) DO UPDATE SET grade = 6
    WHERE chart.note = 'guessed';
SELECT test.state_of($$ INSERT INTO chart VALUES (6, 'R0', 'again', 6) ON CONFLICT (id)
    DO UPDATE SET grade = chart.note::int $$);
WITH met AS (INSERT INTO chart SELECT i, 'R0', 'again', 6 FROM generate_series(11, 13) i
    ON CONFLICT (id) DO UPDATE SET grade = 6 WHERE excluded.id = 0 RETURNING id) TABLE met;
INSERT INTO chart VALUES (6, 'R0', 'again', 6) ON CONFLICT (id) DO UPDATE SET grade = 6
    WHERE medchain_internal.read_met('R9'::text, 'chart') AND false;
SELECT medchain_internal.read_met('R9'::text, 'chart'), count(*) FROM chart WHERE id = 6;
SELECT * FROM test.accesses();
-- COPY, of a query and of the table
COPY (SELECT id FROM chart WHERE id = 8) TO STDOUT;
COPY chart (id, note) TO PROGRAM 'cat > /dev/null';
SELECT * FROM test.accesses();
-- cursors, fetch by fetch
BEGIN;
DECLARE c CURSOR FOR SELECT note FROM chart WHERE id BETWEEN 1 AND 22 ORDER BY id;
FETCH 1 FROM c;
FETCH 2 FROM c;
CLOSE c;
SET LOCAL enable_sort = off;
DECLARE c CURSOR FOR SELECT note FROM chart WHERE id BETWEEN 1 AND 22;
FETCH 2 FROM c;
FETCH 8 FROM c;
FETCH 2 FROM c;
ROLLBACK;
SELECT * FROM test.accesses();
-- functions, prepared statements
CREATE FUNCTION test.notes(first int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    r record;
    all_notes text := '';
BEGIN
    FOR r IN SELECT note FROM public.chart WHERE id BETWEEN first AND first + 2 LOOP
        all_notes := all_notes || r.note;
    END LOOP;
    RETURN all_notes;
END
$$;
SELECT test.notes(21);
PREPARE p (int) AS SELECT note FROM chart WHERE id = $1;
EXECUTE p (31);
EXECUTE p (32);
SELECT * FROM test.accesses();
-- nothing is undone
BEGIN;
SELECT note FROM chart WHERE id = 33;
ROLLBACK;
SET default_transaction_read_only = on;
SELECT note FROM chart WHERE id = 34;
RESET default_transaction_read_only;
SELECT test.state_of('SELECT 1 / (grade - 35) FROM chart WHERE id = 35');
SELECT * FROM test.accesses();
-- foreign keys look by themselves
CREATE TABLE detail (id int PRIMARY KEY, chart int REFERENCES chart);
INSERT INTO detail VALUES (1, 1);
SELECT * FROM test.accesses();
DROP TABLE detail;

--
-- What is said of an access, and about whom
--
SET medchain.end_user = 'dr. "house"';
SET medchain.request_id = 'r-1';
SET medchain.purpose = 'TREAT';
SET medchain.read_audit_query_text = on;
SET application_name = 'ward';
SELECT note FROM chart WHERE id = 41;
SELECT jsonb_pretty((payload::jsonb - '{id,time,subject}'::text[]) #- '{body,query_id}'
        #- '{body,decided}'
        #- '{body,address}')
    AS payload FROM (SELECT id, kind, payload FROM medchain.entry WHERE origin = 'data-centre'
    UNION ALL SELECT id, kind, payload FROM medchain.pending) e WHERE kind = 'access'
    ORDER BY id DESC LIMIT 1;
RESET medchain.read_audit_query_text;
SELECT * FROM test.accesses();
SELECT count(*) FROM chart WHERE id BETWEEN 42 AND 49;
SELECT medchain.seal();
SELECT e.id FROM medchain.entry e WHERE e.kind = 'access' AND e.origin = 'data-centre'
    ORDER BY seq DESC LIMIT 1 \gset
SELECT (e.payload::jsonb -> 'body' ->> 'root') = encode((
        SELECT medchain.merkle_root(array_agg(r.subject ORDER BY r.place))
        FROM medchain.read_set_subjects(e.id) r), 'hex') AS "is their root",
    (SELECT count(*) FROM medchain.read_set_subjects(e.id)) AS subjects
    FROM medchain.entry e WHERE e.id = :'id';
SELECT s.identity, EXISTS (SELECT FROM medchain.reads_of(s.pseudonym) r WHERE r.entry = :'id')
    AS was_read FROM medchain.subject_identity s WHERE s.identity ~ '^R.$' ORDER BY 1;
-- many
CREATE TABLE crowd (id int PRIMARY KEY, patient int);
SELECT medchain.protect('crowd', 'patient');
INSERT INTO crowd SELECT i, i FROM generate_series(1, 3000) i;
SELECT count(*) FROM crowd;
SELECT count(*), count(*) = (SELECT number FROM medchain.read_set ORDER BY number DESC LIMIT 1)
    AS "as many" FROM medchain.subject_identity s, medchain.reads_of(s.pseudonym) r
    WHERE s.identity ~ '^[0-9]+$' AND r.entry = (SELECT entry FROM medchain.read_set
        ORDER BY number DESC LIMIT 1);
SELECT count(*) AS faults FROM medchain.read_set_faults();
BEGIN;
UPDATE medchain.read_item SET subjects = substr(subjects, 33) WHERE bucket = 0;
SELECT fault FROM medchain.read_set_faults();
ROLLBACK;

--
-- Members, and what they may not
--
\c - regress_a
SELECT count(*) FROM chart;
SELECT grade FROM chart WHERE patient = 'R1' ORDER BY grade LIMIT 1;
SELECT test.state_of('SET medchain.read_audit = off');
SELECT test.state_of('UPDATE chart SET patient = ''R7'' WHERE id = 1');
\c - :superuser
SET client_min_messages = warning;
SELECT * FROM test.accesses();
-- and what it was decided on: protocol and version
SELECT medchain.seal();
SELECT e.payload::jsonb #>> '{body,operation}' AS operation, p.identity,
    e.payload::jsonb #> '{body,version}' = to_jsonb(p.version) AS version
    FROM medchain.entry e JOIN medchain.protocols p
    ON p.protocol::text = e.payload::jsonb #>> '{body,protocol}' AND p.subject = e.subject
    WHERE e.kind = 'access' AND e.payload::jsonb #>> '{body,relation}' = 'public.chart'
    ORDER BY e.seq;
SELECT e.id FROM medchain.entry e JOIN medchain.read_set s ON s.entry = e.id AND s.width = 56
    WHERE e.payload::jsonb #>> '{body,relation}' = 'public.chart'
    ORDER BY e.seq DESC LIMIT 1 \gset
SELECT p.identity, p.version = r.version AS version,
    EXISTS (SELECT FROM medchain.reads_of(r.subject) f
            WHERE (f.entry, f.place, f.protocol) = (:'id', r.place, r.protocol)) AS found
    FROM medchain.read_set_subjects(:'id') r JOIN medchain.protocols p
    ON p.protocol = r.protocol AND p.subject = r.subject ORDER BY 1;
SELECT e.payload::jsonb #>> '{body,root}' = encode((SELECT medchain.merkle_root(array_agg(
        r.subject || uuid_send(r.protocol) || int8send(r.version) ORDER BY r.place))
    FROM medchain.read_set_subjects(e.id) r), 'hex') AS "is their root"
    FROM medchain.entry e WHERE e.id = :'id';

--
-- Not recording is on the ledger
--
SET medchain.read_audit = off;
SELECT note FROM chart WHERE id = 51;
SELECT note FROM chart WHERE id = 52;
SET medchain.read_audit = async;
SELECT note FROM chart WHERE id BETWEEN 55 AND 57 ORDER BY id;
SET medchain.read_audit = strict;
SELECT note FROM chart WHERE id = 54;
SELECT * FROM test.accesses();
SELECT payload::jsonb ->> 'role' AS role, payload::jsonb #>> '{body,read_audit}' AS read_audit
    FROM (SELECT id, kind, payload FROM medchain.entry WHERE origin = 'data-centre'
    UNION ALL SELECT id, kind, payload FROM medchain.pending) e
    WHERE kind = 'access.setting' AND payload ~ :'superuser' ORDER BY id DESC LIMIT 3;

DROP TABLE chart, crowd;
DROP FUNCTION test.accesses;
DROP TABLE test.shown;
SELECT medchain.seal();
SELECT origin, ok, fault, detail FROM medchain.verify('data-centre');
