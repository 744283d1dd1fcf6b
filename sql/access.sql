--
-- Protected tables: who sees and changes what is on the ledger, and so is every change.
--
\set SHOW_CONTEXT never
SELECT current_database() AS data_centre, current_user AS superuser \gset
CREATE ROLE regress_a LOGIN;
CREATE ROLE regress_dc LOGIN;
CREATE ROLE regress_owner LOGIN IN ROLE medchain_admin;
GRANT regress_owner TO regress_a;	-- shall gain it nothing
GRANT CREATE ON SCHEMA public TO regress_owner;

--
-- What can be protected
--
SET ROLE regress_owner;
CREATE TABLE diagnosis (case_no int PRIMARY KEY, patient_id text NOT NULL, result text);
CREATE TABLE visit (id int, at date, patient_id varchar(20),
    PRIMARY KEY (at, id)) PARTITION BY RANGE (at);
CREATE TABLE visit_2025 PARTITION OF visit FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE visit_2026 PARTITION OF visit FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE numbered (id int PRIMARY KEY, patient int);
CREATE TEMP TABLE temporary (id int PRIMARY KEY, patient_id text);
CREATE VIEW a_view AS SELECT * FROM diagnosis;
SELECT t AS relation, e.field, e.content
    FROM unnest(ARRAY['temporary', 'a_view', 'visit_2025'])
        WITH ORDINALITY x (t, i),
    LATERAL test.error_of(format('SELECT medchain.protect(%L, ''patient_id'')', t)) e ORDER BY i,
        field DESC;
SELECT t AS relation, test.state_of(format('SELECT medchain.protect(%L, ''patient_id'')', t))
    FROM unnest('{pg_class, medchain.entry}'::text[]) t;
SELECT medchain.protect('diagnosis', 'nobody');
\set VERBOSITY sqlstate
SELECT medchain.protect('nothing', 'patient_id');
\set VERBOSITY default
SELECT medchain.protect(NULL, 'patient_id');
SELECT * FROM medchain.verify_table('diagnosis');
SELECT medchain.unprotect('diagnosis');
RESET ROLE;
DROP VIEW a_view;
DROP TABLE temporary;

INSERT INTO diagnosis SELECT i, 'P' || 1000 + i, 'open' FROM generate_series(1, 9) i;
INSERT INTO visit SELECT i, date '2025-10-01' + 20 * i, 'P' || 1000 + i
    FROM generate_series(1, 9) i;
INSERT INTO numbered SELECT i, 40 + i FROM generate_series(1, 3) i;
-- only the owner, and a superuser
\c - regress_nobody
\set VERBOSITY sqlstate
SELECT medchain.protect('diagnosis', 'patient_id');
\set VERBOSITY default
\c - regress_owner
SELECT medchain.protect('diagnosis', subject => 'patient_id');
SELECT medchain.protect('visit', 'patient_id');
SELECT medchain.protect('numbered', 'patient');
SELECT medchain.protect('diagnosis', 'patient_id');
SELECT count(*) AS owner_sees FROM diagnosis;
TRUNCATE diagnosis;
TRUNCATE visit_2025;
GRANT SELECT, INSERT, UPDATE, DELETE ON diagnosis, visit, visit_2025, numbered TO regress_a,
    regress_dc, regress_nobody;
\c - :superuser
SELECT medchain.seal();
SELECT kind, count(*), count(subject) AS with_subject FROM medchain.entry
    WHERE kind ~ '^(row[.]|protect)' GROUP BY 1 ORDER BY 1;
SELECT * FROM medchain.verify_table('diagnosis') UNION ALL SELECT *
    FROM medchain.verify_table('visit') UNION ALL SELECT * FROM medchain.verify_table('numbered');
SELECT medchain.bind_role('regress_a', 'nobody');
SELECT medchain.bind_role(0, 'hospital-a');
SELECT medchain.protect(0, 'patient_id');
SELECT medchain.bind_role('regress_a', 'hospital-a') IS NOT NULL
    AND medchain.bind_role('regress_dc', 'data-centre') IS NOT NULL AS bound;

--
-- Grants
--
\c regress_end_node
CREATE FUNCTION test.grant_a(subject text, terms jsonb, valid tstzrange DEFAULT NULL) RETURNS uuid
    LANGUAGE sql AS $$
    SELECT medchain.issue_protocol(subject, 'access', jsonb_build_array('{"grantee": "hospital-a"}'
        || terms), '[]', valid) $$;
SELECT count(test.grant_a(s, t)) AS issued FROM (VALUES
    ('P1001', '{"operations": ["query", "update"]}'::jsonb), ('P1002', '{"operations": ["query"]}'),
    ('P1003', '{"operations": ["query", "update"], "valid": "[2020-01-01, 2021-01-01)"}'),
        ('P1004', '{"operations": ["query", "update"], "valid": "[2999-01-01,)"}'),
    ('P1006', '{"operations": ["query", "update"], "records": ["public.visit"]}'),
        ('P1007', '{"operations": ["update"]}'), ('42', '{"operations": ["query"]}')) g (s, t);
SELECT count(test.grant_a('P1003', '{"operations": ["query"]}', '[2020-01-01, 2021-01-01)'))
    AS issued;
SELECT test.grant_a('P1005', '{"operations": ["query", "update"]}') AS p5 \gset
SELECT medchain.revoke_protocol(:'p5', 'over') AS revocation \gset
SELECT medchain.issue_protocol('P1008', 'to somebody who takes no part yet',
    '[{"grantee": "hospital-b", "operations": ["query"]}]') IS NOT NULL AS issued;
SELECT medchain.append('remark', '"grants end"') IS NOT NULL AS appended;
SELECT medchain.seal();
\c :data_centre
CALL test.wait_for($$ SELECT EXISTS (SELECT FROM medchain.entry WHERE payload ~ '"grants end"') $$);

-- as nobody's member
\c - regress_nobody
SELECT medchain.current_member() IS NULL AS nobody, (SELECT count(*) FROM diagnosis) AS diagnoses,
    (SELECT count(*) FROM visit) AS visits, medchain.granted_subjects();
\set VERBOSITY sqlstate
INSERT INTO diagnosis VALUES (100, 'P1001', 'forged');
\set VERBOSITY default

-- the data centre's own people: they enter records, and see by grants like everybody else
\c - regress_dc
SELECT medchain.current_member(), medchain.own_member(), (SELECT count(*) FROM diagnosis)
    AS diagnoses;
INSERT INTO diagnosis VALUES (10, 'P1010', 'open');
UPDATE diagnosis SET result = 'forged';

-- hospital-a
\c - regress_a
SELECT medchain.current_member(), medchain.own_member();
-- a subject is text unless it has another type: a literal, a parameter of a driver without types
SELECT min(s.subject) AS granted FROM unnest(medchain.granted_subjects()) s (subject) \gset
SELECT medchain.may_query('nobody') AS nobody, medchain.may_query(NULL) AS "null",
    medchain.may_query('P0042', 'diagnosis') AS literal,
    medchain.may_update('nobody', 'visit') AS update;
PREPARE may AS SELECT medchain.may_query($1, $2), medchain.may_update($1);
EXECUTE may('nobody', 'diagnosis');
DEALLOCATE may;
SELECT medchain.may_query(:'granted') AS literal, medchain.may_query(:'granted'::text) AS text,
    medchain.may_query(:'granted'::varchar(20)) AS varchar,
    medchain.may_query(:'granted'::name) AS name,
    medchain.may_query(:'granted'::char(20)) AS padded,
    medchain.may_query(42) AS number, medchain.may_query(gen_random_uuid()) AS uuid,
    medchain.may_query('2026-01-31'::date) AS date, medchain.may_query('\x00'::bytea) AS bytea;
SELECT * FROM diagnosis ORDER BY 1;
SELECT * FROM visit ORDER BY 1;
SELECT * FROM visit_2025 ORDER BY 1;
SELECT * FROM numbered ORDER BY 1;
SELECT ARRAY(SELECT unnest(medchain.granted_subjects()) ORDER BY 1) AS query,
    ARRAY(SELECT unnest(medchain.granted_subjects('update')) ORDER BY 1) AS update,
       ARRAY(SELECT unnest(medchain.granted_subjects('update', 'visit')) ORDER BY 1)
           AS update_visits;
SELECT medchain.granted_subjects('delete');
SELECT s, medchain.may_query(s) AS query, medchain.may_update(s) AS update,
    medchain.may_query(s, 'visit') AS query_visit, medchain.may_query(s, 'diagnosis')
        AS query_diagnosis
    FROM unnest('{P1001, P1002, P1003, P1004, P1005, P1006, P1007, P1008, "", NULL}'::text[]) s;
SELECT count(*), min(patient_id), bool_or(EXISTS (SELECT FROM visit v
    WHERE v.patient_id = d.patient_id)) AS visits FROM diagnosis d;

-- changes
UPDATE diagnosis SET result = 'benign' WHERE patient_id = 'P1001' RETURNING *;
UPDATE diagnosis SET result = 'forged' WHERE patient_id IN ('P1002', 'P1003', 'P1005', 'P1006',
    'P1007') RETURNING *;
UPDATE diagnosis SET result = 'all of mine' RETURNING case_no;
\set VERBOSITY sqlstate
UPDATE diagnosis SET patient_id = 'P1002' WHERE case_no = 1;
UPDATE diagnosis SET patient_id = NULL WHERE case_no = 1;
\set VERBOSITY default
INSERT INTO diagnosis VALUES (11, 'P1001', 'new'), (12, 'P1007', 'unread');
\set VERBOSITY sqlstate
INSERT INTO diagnosis VALUES (13, 'P1002', 'forged');
INSERT INTO diagnosis VALUES (13, 'P1007', 'returned') RETURNING *;
\set VERBOSITY default
INSERT INTO visit VALUES (11, '2026-05-05', 'P1006');
UPDATE visit SET at = '2025-05-05' WHERE id = 11 RETURNING *;	-- to another partition
DELETE FROM diagnosis WHERE case_no IN (2, 3, 4, 5) RETURNING *;
SELECT case_no FROM diagnosis WHERE case_no IN (1, 2) ORDER BY 1 FOR UPDATE;
INSERT INTO diagnosis VALUES (1, 'P1001', 'again') ON CONFLICT (case_no) DO UPDATE
    SET result = EXCLUDED.result || ' and again' RETURNING *;
\set VERBOSITY sqlstate
INSERT INTO diagnosis VALUES (2, 'P1001', 'again') ON CONFLICT (case_no) DO UPDATE
    SET result = 'forged';
\set VERBOSITY default
INSERT INTO diagnosis VALUES (2, 'P1001', 'again') ON CONFLICT DO NOTHING RETURNING *;
MERGE INTO diagnosis d USING (VALUES (1, 'P1001'), (14, 'P1001')) s (case_no, patient_id)
    ON d.case_no = s.case_no
    WHEN MATCHED THEN UPDATE SET result = 'merged' WHEN NOT MATCHED THEN INSERT
        VALUES (s.case_no, s.patient_id, 'merged');
\set VERBOSITY sqlstate
MERGE INTO diagnosis d USING (VALUES (2)) s (case_no) ON d.case_no = s.case_no WHEN MATCHED
    THEN UPDATE SET result = 'forged';
MERGE INTO diagnosis d USING (VALUES (15, 'P1002')) s (case_no, patient_id) ON d.case_no =
    s.case_no WHEN NOT MATCHED THEN INSERT VALUES (s.case_no, s.patient_id, 'forged');
\set VERBOSITY default
COPY diagnosis TO STDOUT;
\set VERBOSITY sqlstate
\copy diagnosis FROM '/dev/null'
\set VERBOSITY default
TRUNCATE diagnosis;
-- as the table's owner, whose member it is: the login decides
SET ROLE regress_owner;
SELECT medchain.current_member(), count(*), min(patient_id), max(patient_id) FROM diagnosis;
RESET ROLE;

-- a superuser who plays regress_a is not hospital-a
\c - :superuser
SET SESSION AUTHORIZATION regress_a;
SELECT medchain.current_member() IS NULL AS nobody, count(*) AS rows FROM diagnosis;
UPDATE diagnosis SET result = 'forged';
RESET SESSION AUTHORIZATION;
SET ROLE regress_a;
SELECT medchain.current_member() IS NULL AS nobody, count(*) AS rows FROM diagnosis;
RESET ROLE;

--
-- On the ledger: every change, by whom, and what it did to the row
--
SELECT medchain.seal();
SELECT kind, actor, CASE payload::jsonb ->> 'role' WHEN session_user THEN 'superuser'
    ELSE payload::jsonb ->> 'role' END AS role, payload::jsonb -> 'body' ->> 'relation'
        AS relation, count(*), count(payload::jsonb -> 'body' ->> 'commitment') AS commitments,
       count(payload::jsonb -> 'body' ->> 'previous') AS previous
    FROM medchain.entry WHERE kind ~ '^row[.]' AND kind <> 'row.baseline' GROUP BY 1, 2, 3,
        4 ORDER BY 1, 2, 3, 4;
-- nothing of a row's content or key stands there
SELECT count(*) AS readable FROM medchain.entry WHERE kind ~ '^row[.]'
    AND payload ~ 'P10[0-9]{2}|benign|case_no|merged';
SELECT t AS relation, v.* FROM unnest('{diagnosis, visit, numbered}'::regclass[]) t,
    LATERAL medchain.verify_table(t) v;

-- behind medchain's back
BEGIN;
CALL test.disable_triggers('diagnosis');
UPDATE diagnosis SET result = 'tampered' WHERE case_no = 9;
DELETE FROM diagnosis WHERE case_no = 8;
INSERT INTO diagnosis VALUES (99, 'P1001', 'smuggled in');
CALL test.disable_triggers('visit');
UPDATE visit SET patient_id = 'P1001' WHERE id = 2;
SELECT row_key, fault, test.masked(detail) AS detail FROM medchain.verify_table('diagnosis');
SELECT row_key, fault, test.masked(detail) AS detail FROM medchain.verify_table('visit');
-- nobody remembers the keys of rows that are gone: they are named as the ledger names them
DELETE FROM medchain.row_key WHERE relation = 'diagnosis'::regclass;
SELECT test.masked(row_key) AS row_key, fault FROM medchain.verify_table('diagnosis')
    ORDER BY fault;
ROLLBACK;
SELECT count(*) AS faults FROM medchain.verify_table('diagnosis');
-- settings of the session that writes, or verifies, do not matter to the commitments
SET datestyle = 'German';
SET timezone = 'Asia/Shanghai';
SELECT count(*) AS faults FROM medchain.verify_table('visit');
UPDATE visit SET at = at + 1 WHERE id = 3;
RESET datestyle;
RESET timezone;
SELECT count(*) AS faults FROM medchain.verify_table('visit');
-- nor does a column more, as long as it is empty
BEGIN;
ALTER TABLE diagnosis ADD COLUMN remark text;
SELECT count(*) AS faults FROM medchain.verify_table('diagnosis');
UPDATE diagnosis SET remark = 'x' WHERE case_no = 9;
SELECT count(*) AS faults FROM medchain.verify_table('diagnosis');
ROLLBACK;

--
-- The planner: few grants and a large table are an index scan
--
CREATE TABLE large (id int PRIMARY KEY, patient_id text, at int);
INSERT INTO large SELECT i, 'P' || 1000 + i, i FROM generate_series(1, 20000) i;
CREATE INDEX large_patient ON large (patient_id);
SET medchain.wait_for_seal = on;
-- as many entries, for those who verify them later
SELECT count(medchain.append('remark', to_json(i))) FROM generate_series(1, 20000) i;
SELECT medchain.protect('large', 'patient_id');
RESET medchain.wait_for_seal;
GRANT SELECT, UPDATE ON large TO regress_a, regress_nobody;
ANALYZE large;
-- How a query is read, but for what the planner was told that the search costs.
CREATE FUNCTION test.plan(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
        RETURN NEXT regexp_replace(line, '''\d+''::bigint', 'cost');
    END LOOP;
END
$$;
\c - regress_a
SELECT test.plan('SELECT * FROM large');
SELECT test.plan($$SELECT * FROM large WHERE patient_id = 'P1001'$$);
EXPLAIN (COSTS OFF) SELECT * FROM large WHERE id = 1;
SELECT test.plan('UPDATE large SET at = 0');
SELECT * FROM large ORDER BY 1;
SET enable_indexscan = off;
SET enable_bitmapscan = off;
SELECT * FROM large ORDER BY 1;	-- the same without
\c - regress_nobody
SELECT * FROM large;
\c - :superuser

--
-- What an identity can be; blanks that pad it mean nothing
--
CREATE TYPE patients AS ENUM ('P1001', 'P1002');
CREATE DOMAIN patient_no AS char(8);
CREATE TABLE padded (id int PRIMARY KEY, patient patient_no, several text[], at date, weight float8,
    document jsonb, is_one boolean, flags bit(3), other diagnosis, span int4range, bytes bytea,
    named patients, whole numeric(9), known uuid);
SELECT c AS "column", e.field, e.content
    FROM unnest('{several, at, weight, document, is_one, flags, other, span, bytes}'::name[])
        WITH ORDINALITY x (c, n),
    LATERAL test.error_of(format('SELECT medchain.protect(''padded'', %L)', c)) e
    ORDER BY n, e.field DESC;
SELECT count(medchain_internal.require_subject_column('padded', c)) AS possible
    FROM unnest('{patient, named, whole, known}'::name[]) c;
INSERT INTO padded VALUES (1, 'P1001'), (2, 'P1002'), (3, 'P1003');
SET medchain.wait_for_seal = on;
SELECT medchain.protect('padded', 'patient');
UPDATE padded SET at = '2026-01-01' WHERE id = 1;
RESET medchain.wait_for_seal;
SELECT kind, count(*) FROM medchain.entry WHERE kind ~ '^row[.]'
    AND subject = medchain.pseudonym('P1001')
    AND payload::jsonb -> 'body' ->> 'relation' = 'public.padded' GROUP BY 1 ORDER BY 1;
GRANT SELECT, UPDATE ON padded TO regress_a;
\c - regress_a
SELECT id, at FROM padded ORDER BY 1;
UPDATE padded SET weight = 1 RETURNING id;
SELECT medchain.may_query('P1001'::char(20)) AS padded, medchain.may_query('P1001 ') AS other;
SELECT s FROM unnest(medchain.granted_subjects()) s WHERE s ~ '^P1001';
\c - :superuser
DROP TABLE padded;
DROP DOMAIN patient_no;
DROP TYPE patients;

--
-- Unprotecting
--
\c - regress_dc
\set VERBOSITY sqlstate
SELECT medchain.unprotect('diagnosis');
\set VERBOSITY default
\c - :superuser
SELECT medchain.unprotect('large');
SELECT medchain.unprotect('large');
SELECT medchain.unprotect('visit');
SELECT relname, relrowsecurity, relforcerowsecurity FROM pg_class
    WHERE relname ~ '^(visit|large)(_20..)?$' ORDER BY 1;
SELECT count(*) AS policies FROM pg_policy
    WHERE polrelid = ANY ('{visit, visit_2025, visit_2026, large}'::regclass[]);
SELECT count(*) AS triggers FROM pg_trigger
    WHERE tgrelid = ANY ('{visit, visit_2025, visit_2026, large}'::regclass[]) AND NOT tgisinternal;
SELECT count(*) AS secrets FROM medchain.row_secret
    WHERE relation = ANY ('{visit, large}'::regclass[]);
TRUNCATE visit;
DROP TABLE large, visit;
SELECT medchain.seal();
SELECT kind, payload::jsonb -> 'body' AS body FROM medchain.entry WHERE kind = 'unprotect'
    ORDER BY seq;
-- and protected again: a new baseline, and what happened in between does not matter
SELECT medchain.unprotect('diagnosis');
DELETE FROM diagnosis WHERE case_no = 9;
UPDATE diagnosis SET result = 'meanwhile' WHERE case_no = 8;
SELECT medchain.protect('diagnosis', 'patient_id');
SELECT count(*) AS faults FROM medchain.verify_table('diagnosis');
SELECT origin, ok, fault, detail FROM medchain.verify('data-centre');
