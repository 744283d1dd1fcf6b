-- Results depend on no setting: every function has a rule that says why, and what needs no alliance
-- is asked under hostile settings here.  (test/t/024_settings.pl does so with a whole one.)

-- Each function in SQL and PL/pgSQL fixes search_path and, with it, the settings that its
-- statements depend on ...
SELECT p.oid::regprocedure AS function, s.name AS not_fixed
FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang CROSS
    JOIN medchain_internal.fixed_settings() s
WHERE p.pronamespace = ANY ('{medchain,medchain_internal}'::regnamespace[])
    AND l.lanname IN ('sql', 'plpgsql')
AND EXISTS (SELECT FROM unnest(p.proconfig) c WHERE c ~ '^search_path=')
AND NOT p.proconfig @> ARRAY[s.name || '=' || s.value]
ORDER BY 1, 2;

-- ... but for those whose body was parsed when they were created, which have no names to look up
-- any more ...
SELECT proname FROM pg_proc
WHERE pronamespace = ANY ('{medchain,medchain_internal}'::regnamespace[]) AND prosqlbody
    IS NOT NULL ORDER BY 1;

-- ... and there are no others.
SELECT p.oid::regprocedure AS function
FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
WHERE p.pronamespace = ANY ('{medchain,medchain_internal}'::regnamespace[])
    AND l.lanname IN ('sql', 'plpgsql')
AND p.prosqlbody IS NULL
AND NOT EXISTS (SELECT FROM unnest(p.proconfig) c WHERE c ~ '^search_path=');

-- A string says the same whatever standard_conforming_strings is: a backslash stands in E'' only.
SELECT p.oid::regprocedure AS function, m[1] AS literal
FROM pg_proc p CROSS JOIN LATERAL regexp_matches(p.prosrc, '(E?''(?:[^'']|'''')*'')', 'g') m
WHERE p.pronamespace = ANY ('{medchain,medchain_internal}'::regnamespace[]) AND m[1] ~ '\\'
    AND m[1] !~ '^E'
AND p.prolang IN (SELECT oid FROM pg_language WHERE lanname IN ('sql', 'plpgsql'));

-- Nothing is compared with null, which transform_null_equals would change, and no class of
-- characters depends on a collation.
SELECT p.oid::regprocedure AS function FROM pg_proc p
WHERE p.pronamespace = ANY ('{medchain,medchain_internal}'::regnamespace[])
AND (p.prosrc ~* '\m(where|and|or|if|when|on)\M[^,;]*[^:]= *null\M'
     OR p.prosrc ~ '\[:[a-z]+:\]|[~] *E?''[^'']*\\\\?[dswDSW]')
AND p.prolang IN (SELECT oid FROM pg_language WHERE lanname IN ('sql', 'plpgsql'));

-- Pure functions, and what the ledger's spelling is made with, under one setting after the other.
CREATE FUNCTION pure_results() RETURNS text LANGUAGE plpgsql AS $function$
BEGIN
    RETURN pg_catalog.concat_ws(E'\n',
        pg_catalog.encode(medchain.leaf_hash(pg_catalog.convert_to('x', 'UTF8')), 'hex'),
        pg_catalog.encode(medchain_internal.envelope_bytes('t', 'p'), 'hex'),
        medchain_internal.ledger_time('2026-02-03T04:05:06.789Z'),
        medchain_internal.ledger_period(pg_catalog.tstzrange('2026-02-03T04:05:06Z', NULL)),
        pg_catalog.to_char(pg_catalog.lower(
            medchain_internal.read_period('grants', 1, '"[2026-02-03 04:05,)"')) AT TIME ZONE 'UTC',
            'YYYY-MM-DD HH24:MI:SS'),
        medchain.default_capabilities('end_node'),
        medchain_internal.row_changes('{"a": 1}', '{"a": 2, "b": 3}'),
        medchain.name_valid('ward 1'));
END
$function$;
SELECT pure_results() AS expected \gset
\echo :expected
CREATE TABLE hostile (setting text, value text);
INSERT INTO hostile VALUES
    ('DateStyle', 'SQL, DMY'), ('DateStyle', 'German'), ('IntervalStyle', 'sql_standard'),
    ('TimeZone', '<Z>5'), ('TimeZone', 'Asia/Kathmandu'), ('bytea_output', 'escape'),
    ('extra_float_digits', '-15'), ('quote_all_identifiers', 'on'), ('array_nulls', 'off'),
    ('transform_null_equals', 'on'), ('xmloption', 'document'), ('row_security', 'off'),
    ('plpgsql.variable_conflict', 'use_variable'), ('plpgsql.extra_errors', 'all'),
    ('search_path', 'hostile, pg_catalog, public'), ('enable_sort', 'off');
CREATE SCHEMA hostile;
CREATE FUNCTION hostile.to_char(timestamp, text) RETURNS text
    LANGUAGE sql AS $$ SELECT 'never'::text $$;
CREATE FUNCTION hostile.never(text, text) RETURNS boolean
    LANGUAGE sql AS $$ SELECT NULL::boolean $$;
CREATE OPERATOR hostile.= (LEFTARG = text, RIGHTARG = text, FUNCTION = hostile.never);
CREATE OPERATOR hostile.~ (LEFTARG = text, RIGHTARG = text, FUNCTION = hostile.never);
DO $$
DECLARE
    h record;
    expected text := pure_results();
    got text;
BEGIN
    FOR h IN SELECT * FROM public.hostile LOOP
        PERFORM set_config(h.setting, h.value, true);
        got := public.pure_results();
        PERFORM pg_catalog.set_config('search_path', 'public', true);
        IF got <> expected THEN
            RAISE WARNING '% = %: %', h.setting, h.value, got;
        END IF;
        EXECUTE format('SET LOCAL %s TO DEFAULT', h.setting);
    END LOOP;
END
$$;

-- A transaction that may not write is told so, and how to get another.
\set SHOW_CONTEXT never
BEGIN READ ONLY;
SELECT medchain.append('visit', '{}');
ROLLBACK;
BEGIN READ ONLY;
SELECT medchain.issue_protocol('P1', 'text', '[]');
ROLLBACK;
BEGIN READ ONLY;
SELECT medchain.connect_peer('nobody', 'dbname=nowhere');
ROLLBACK;

SET client_min_messages = warning;
DROP SCHEMA hostile CASCADE;
\set SHOW_CONTEXT errors
RESET client_min_messages;
DROP TABLE hostile;
DROP FUNCTION pure_results();

-- What catches errors is not for parallel plans, which have no subtransactions.
SELECT p.oid::regprocedure AS function FROM pg_proc p
WHERE p.pronamespace = ANY ('{medchain,medchain_internal}'::regnamespace[]) AND p.proparallel <> 'u'
AND p.prosrc ~ '\mEXCEPTION\s+WHEN\M';
