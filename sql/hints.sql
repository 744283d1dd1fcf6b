--
-- What is refused about tables on the ledger says which object it is about and what to do, and who
-- does it gets on.
--
\set SHOW_CONTEXT never
SET client_min_messages = error;
-- Runs a statement that must fail, and does what its hint says: instead, or first, and then runs it
-- again; all of it is rolled back.
CREATE FUNCTION test.follow(statement text) RETURNS TABLE (refusal text, step text, outcome text)
    LANGUAGE plpgsql AS $$
DECLARE
    hint text;
BEGIN
    BEGIN
        BEGIN
            EXECUTE statement;
            refusal := 'not refused';
        EXCEPTION WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS refusal = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
        END;
        step := substring(replace(replace(hint, '(...)', '(id)'), '...', 'renamed')
            FROM '(?:medchain\.|ALTER |DROP |DELETE ).*$');
        step := CASE WHEN step ^@ 'medchain.'
            THEN 'SELECT ' || substring(step FROM '^medchain\.\w+\(''[^'']*''\)')
            ELSE (regexp_split_to_array(step, ' first|, | or |;|\.$'))[1] END;
        EXECUTE step;
        outcome := 'done instead';
        IF hint ~ '\mfirst\M|^Rename it' THEN
            EXECUTE statement;
            outcome := 'done';
        END IF;
        RAISE assert_failure;
    EXCEPTION WHEN assert_failure THEN
        NULL;
    WHEN OTHERS THEN
        outcome := SQLERRM;
    END;
    RETURN NEXT;
END
$$;

CREATE SCHEMA ward;
SET search_path = ward, public;
CREATE FUNCTION theirs() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TABLE plain (id int PRIMARY KEY, patient text);
CREATE TABLE indexed (id int NOT NULL, patient text);
CREATE UNIQUE INDEX indexed_id ON indexed (id);
CREATE UNLOGGED TABLE unlogged (id int PRIMARY KEY, patient text);
CREATE TABLE named (id int PRIMARY KEY, patient text);
CREATE POLICY medchain_select ON named USING (true);
CREATE TABLE triggered (id int PRIMARY KEY, patient text);
CREATE TRIGGER medchain_capture AFTER INSERT ON triggered EXECUTE FUNCTION theirs();
CREATE TABLE entered (id int PRIMARY KEY, patient text);
CREATE TABLE elder (id int PRIMARY KEY, patient text);
CREATE TABLE heir () INHERITS (elder);
CREATE TABLE logs (id int PRIMARY KEY, patient text);
CREATE TABLE plain_heir (id int PRIMARY KEY, patient text);
CREATE TABLE "Protected" (id int PRIMARY KEY, patient text);
CREATE TABLE parts (id int PRIMARY KEY, patient text) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
CREATE TABLE open_parts (id int PRIMARY KEY, patient text) PARTITION BY RANGE (id);
CREATE TABLE parent (id int, patient text);
CREATE TABLE left_over (id int PRIMARY KEY, patient text);
INSERT INTO entered VALUES (1, 'P1');
SELECT medchain.ledger_table('entered'), medchain.ledger_table('logs', append_only => true),
    medchain.ledger_table('left_over'), medchain.ledger_table('indexed'),
    medchain.ledger_table('plain_heir'), medchain.ledger_table('elder');
SELECT medchain.protect('"Protected"', 'patient'), medchain.protect('parts', 'patient');
-- as restored from elsewhere
DO $$ BEGIN
    ALTER TABLE medchain.row_table DISABLE TRIGGER guard_insert;
    DELETE FROM medchain.row_table WHERE relation = 'ward.left_over'::regclass;
    DELETE FROM medchain.row_part WHERE relation = 'ward.left_over'::regclass;
    ALTER TABLE medchain.row_table ENABLE ALWAYS TRIGGER guard_insert;
END $$;
RESET search_path;
SELECT s.statement, f.* FROM (VALUES
    ($$SELECT medchain.protect('ward.unlogged', 'patient')$$),
    ($$SELECT medchain.protect('ward.named', 'patient')$$),
    ($$SELECT medchain.ledger_table('ward.triggered')$$),
    ($$SELECT medchain.protect('ward.entered', 'patient')$$),
    ($$SELECT medchain.end_ledger_table('ward."Protected"')$$),
    ($$TRUNCATE ward.entered$$),
    ($$TRUNCATE ward.logs$$),
    ($$INSERT INTO ward.left_over VALUES (1)$$),
    ($$ALTER TABLE ward."Protected" DROP COLUMN patient CASCADE$$),
    ($$ALTER TABLE ward."Protected" DROP COLUMN patient$$),
    ($$ALTER TABLE ward."Protected" ADD COLUMN more int, ALTER COLUMN patient TYPE varchar$$),
    ($$ALTER TABLE ward."Protected" SET UNLOGGED$$),
    ($$ALTER TABLE ward.entered SET UNLOGGED$$),
    ($$ALTER TABLE ward.entered DROP COLUMN id$$),
    ($$ALTER TABLE ward.entered DROP CONSTRAINT entered_pkey$$),
    ($$DROP INDEX ward.indexed_id$$),
    ($$ALTER TABLE ward."Protected" INHERIT ward.parent$$),
    ($$SELECT medchain.end_ledger_table('ward.heir')$$),
    ($$ALTER TABLE ward.plain_heir INHERIT ward."Protected"$$),
    ($$ALTER TABLE ward.open_parts ATTACH PARTITION ward."Protected" FOR VALUES FROM (0) TO (9)$$),
    ($$ALTER TABLE ward.open_parts ATTACH PARTITION ward.entered FOR VALUES FROM (0) TO (9)$$),
    ($$SELECT medchain.unprotect('ward.parts_1')$$),
    ($$SELECT medchain.verify_table('ward.plain')$$)) s (statement),
    LATERAL test.follow(s.statement) f;
DROP SCHEMA ward CASCADE;
DROP FUNCTION test.follow(text);
SELECT medchain.seal();
