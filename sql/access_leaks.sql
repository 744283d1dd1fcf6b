--
-- What row security keeps from whom: each way to learn of rows that are not granted is closed, or
-- doc/access.md has it, with the reason.  hospital-a may query P1001 and P1002, and update P1001.
--
\set SHOW_CONTEXT never
SELECT current_user AS superuser \gset
CREATE ROLE regress_reader LOGIN;
CREATE ROLE regress_m LOGIN;
SELECT medchain.bind_role('regress_m', 'hospital-a') IS NOT NULL AS bound;
GRANT CREATE ON SCHEMA public TO regress_m;
\c - regress_owner
CREATE TABLE leaky (id int PRIMARY KEY, patient_id text NOT NULL, result text,
    measured int NOT NULL) PARTITION BY RANGE (id);
CREATE TABLE leaky_1 PARTITION OF leaky FOR VALUES FROM (1) TO (6);
CREATE TABLE leaky_2 PARTITION OF leaky FOR VALUES FROM (6) TO (100);
CREATE TABLE plain (id int PRIMARY KEY, patient_id text NOT NULL, result text, measured int);
CREATE INDEX plain_patient ON plain (patient_id);
INSERT INTO leaky SELECT i, 'P' || 1000 + i, 'secret ' || i, i FROM generate_series(1, 9) i;
INSERT INTO plain SELECT i, 'P' || 1000 + i, 'secret ' || i, i FROM generate_series(1, 9) i;
CREATE STATISTICS plain_together (mcv, dependencies) ON patient_id, result FROM plain;
SELECT medchain.protect('leaky', 'patient_id');
SELECT medchain.protect('plain', 'patient_id');
ANALYZE leaky;
ANALYZE plain;
GRANT SELECT, INSERT, UPDATE, DELETE ON leaky, leaky_1, leaky_2, plain TO regress_m, regress_reader;

-- views, and functions with the owner's rights: the member of the session is asked for, not they
CREATE VIEW owners_view AS SELECT * FROM plain;
CREATE VIEW barrier WITH (security_barrier) AS SELECT * FROM plain WHERE measured > 0;
CREATE VIEW invokers_view WITH (security_invoker) AS SELECT * FROM plain;
CREATE MATERIALIZED VIEW kept AS SELECT * FROM plain;
CREATE FUNCTION as_owner() RETURNS SETOF plain LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = public, pg_temp AS 'SELECT * FROM plain';
GRANT SELECT ON owners_view, barrier, invokers_view, kept TO regress_m, regress_reader;
CREATE VIEW seen AS
    SELECT 'plain' AS way, id FROM plain UNION ALL SELECT 'partitioned', id FROM leaky
    UNION ALL SELECT 'a partition', id FROM leaky_1 UNION ALL SELECT 'ONLY', id FROM ONLY leaky
    UNION ALL SELECT 'owner''s view', id FROM owners_view
    UNION ALL SELECT 'barrier', id FROM barrier UNION ALL SELECT 'invoker''s', id FROM invokers_view
    UNION ALL SELECT 'materialized', id FROM kept UNION ALL SELECT 'definer', id FROM as_owner()
    UNION ALL SELECT 'sample', id FROM plain TABLESAMPLE bernoulli (100)
    UNION ALL SELECT 'sample of pages', id FROM leaky_1 TABLESAMPLE system (100)
    UNION ALL SELECT 'by place', id FROM plain WHERE ctid = ANY (ARRAY(
        SELECT format('(0,%s)', i)::tid FROM generate_series(1, 20) i))
    UNION ALL SELECT 'behind a place', id FROM plain WHERE ctid > '(0,0)'
    UNION ALL SELECT 'in a subquery', p.id FROM generate_series(1, 9) i
        JOIN LATERAL (SELECT id FROM plain WHERE id = i OFFSET 0) p ON true
    UNION ALL SELECT 'outer join', p.id FROM generate_series(1, 9) i LEFT JOIN plain p ON p.id = i
        WHERE p IS NOT NULL;
GRANT SELECT ON seen TO regress_m, regress_reader;
\c - regress_m
SELECT way, array_agg(id ORDER BY id) AS ids FROM seen GROUP BY way ORDER BY way;
\c - regress_reader
SELECT way, array_agg(id ORDER BY id) AS ids FROM seen GROUP BY way ORDER BY way;
SELECT count(*) FROM plain;

-- what commands say of rows
\c - regress_m
COPY plain TO STDOUT;
COPY (TABLE leaky) TO STDOUT;
\set VERBOSITY sqlstate
SET row_security = off;
SELECT count(*) FROM plain;
COPY plain TO STDOUT;
RESET row_security;
SELECT id FROM plain FOR UPDATE;
SELECT id FROM plain WHERE id < 5 FOR SHARE;
UPDATE plain SET result = 'changed' WHERE measured > 0 RETURNING id;
UPDATE plain SET measured = 0 WHERE id = 9 RETURNING *;
DELETE FROM plain WHERE id > 1 RETURNING *;
UPDATE plain SET patient_id = 'P1009' WHERE id = 1;
INSERT INTO plain VALUES (20, 'P1009', 'mine', 1) RETURNING *;
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM plain WHERE id < 3 FOR UPDATE;
FETCH ALL FROM c;
ROLLBACK;
-- a key that is taken is taken: the message has no values
INSERT INTO plain VALUES (9, 'P1001', 'mine', 1);
INSERT INTO plain VALUES (9, 'P1001', 'mine', 1) ON CONFLICT DO NOTHING RETURNING id;
INSERT INTO plain VALUES (9, 'P1001', 'mine', 1) ON CONFLICT (id) DO UPDATE SET result = 'mine'
    RETURNING plain.*;
MERGE INTO plain p USING (SELECT i FROM generate_series(1, 9) i) s ON p.id = s.i
    WHEN MATCHED AND p.id <> 1 THEN DO NOTHING
    WHEN MATCHED THEN UPDATE SET result = 'merged ' || p.measured;
MERGE INTO plain p USING (SELECT i FROM generate_series(9, 9) i) s ON p.id = s.i
    WHEN NOT MATCHED THEN INSERT VALUES (s.i, 'P1001', 'mine', 1);
CREATE TABLE referring (id int REFERENCES plain);
\c - regress_owner
GRANT REFERENCES ON plain TO regress_m;
\c - regress_m
CREATE TABLE referring (id int REFERENCES plain);
-- whether there is such a row can be found out, what it says cannot
INSERT INTO referring VALUES (9);
INSERT INTO referring VALUES (99);
DROP TABLE referring;
\set VERBOSITY terse

-- functions and operators that tell of what they see are called for granted rows alone, and for
-- these after the question
CREATE FUNCTION tell(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$
BEGIN
    RAISE NOTICE 'seen: %', $1;
    RETURN true;
END
$$;
CREATE FUNCTION tell_of(text, text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$
BEGIN
    RAISE NOTICE 'compared: %', $1;
    RETURN $1 = $2;
END
$$;
CREATE OPERATOR <-?-> (LEFTARG = text, RIGHTARG = text, FUNCTION = tell_of, RESTRICT = eqsel);
SELECT id FROM plain WHERE tell(result) ORDER BY id;
SELECT id FROM leaky WHERE result OPERATOR(public.<-?->) 'secret 2';
SELECT count(*) FROM plain GROUP BY tell(result);
SELECT id FROM plain WHERE id = 9 AND tell(result);
SELECT id FROM plain WHERE 1 / (measured - 9) < 0;
SELECT id FROM plain p WHERE id > 2 AND row_to_json(p)::text::int > 0;
SELECT id FROM plain WHERE CASE WHEN patient_id = 'P1009' THEN 1 / (measured - 9) ELSE 0 END = 1;
\set VERBOSITY sqlstate
-- an error quotes what one may see
SELECT id FROM plain WHERE result::int > 0;
DROP OPERATOR <-?-> (text, text);
DROP FUNCTION tell(text), tell_of(text, text);

-- statistics
SELECT tablename, count(*) FROM pg_stats WHERE tablename ~ '^(plain|leaky)' GROUP BY 1;
SELECT count(*) FROM pg_stats_ext WHERE tablename = 'plain';
SELECT count(*) FROM pg_statistic;
-- plans of another role's
\c - :superuser
PREPARE all_rows AS SELECT count(*) FROM plain;
EXECUTE all_rows;
SET SESSION AUTHORIZATION regress_m;
EXECUTE all_rows;
SET SESSION AUTHORIZATION regress_owner;
EXECUTE all_rows;
RESET SESSION AUTHORIZATION;
EXECUTE all_rows;
DEALLOCATE all_rows;

-- triggers and rules: only the owner makes them, and whom he lets
\c - regress_m
CREATE FUNCTION note_row() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN RAISE NOTICE ''row %'', NEW.id; RETURN NEW; END';
CREATE TRIGGER noted BEFORE UPDATE ON plain FOR EACH ROW EXECUTE FUNCTION note_row();
CREATE RULE noted AS ON UPDATE TO plain DO ALSO SELECT 1;
CREATE POLICY open ON plain USING (true);
CREATE STATISTICS mine ON patient_id, result FROM plain;
CREATE TABLE heir () INHERITS (plain);
ALTER TABLE plain DISABLE ROW LEVEL SECURITY;
CREATE PUBLICATION mine FOR TABLE plain;
DROP FUNCTION note_row();
-- the owner's own policies open nothing
\c - regress_owner
CREATE POLICY wide ON plain USING (true);
CREATE RULE plain_told AS ON INSERT TO plain DO ALSO SELECT id FROM plain;
\c - regress_m
SELECT id FROM plain ORDER BY 1;
\c - regress_owner
DROP POLICY wide ON plain;
DROP RULE plain_told ON plain;

-- what PostgreSQL gives away: doc/access.md
\c - :superuser
CREATE FUNCTION test.plan_of(options text, query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE format('EXPLAIN (%s) %s', options, query);
END
$$;
CREATE VIEW superusers_view AS SELECT * FROM plain;
CREATE FUNCTION as_superuser() RETURNS bigint LANGUAGE sql SECURITY DEFINER
    AS 'SELECT count(*) FROM plain';
GRANT SELECT ON superusers_view TO regress_m;
\c - regress_m
SELECT count(*) FROM superusers_view;
SELECT as_superuser();
SELECT reltuples FROM pg_class WHERE oid = 'plain'::regclass;
SELECT count(*) AS told
    FROM test.plan_of('ANALYZE, COSTS OFF, TIMING OFF', 'SELECT id FROM plain') p (line)
    WHERE line ~ 'Removed';
\c - :superuser
DROP VIEW superusers_view;
DROP FUNCTION as_superuser(), test.plan_of(text, text);
\c - regress_owner
DROP VIEW seen, owners_view, barrier, invokers_view;
DROP MATERIALIZED VIEW kept;
DROP FUNCTION as_owner();
DROP TABLE leaky, plain;
\c - :superuser
REVOKE CREATE ON SCHEMA public FROM regress_m;
SELECT medchain.bind_role('regress_m', NULL) IS NOT NULL AS ended;
DROP ROLE regress_reader, regress_m;
SELECT medchain.seal();
