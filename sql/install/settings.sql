/*
 * settings.sql: functions do the same whatever the database, the role or the session has set.
 *
 * Every function that fixes its search_path fixes with it the other settings that change what its
 * statements mean, or how values become text; src/node/trusted_settings.c has the list.
 * Functions without a search_path have no names to look up: a body in SQL that was parsed when it
 * was created.
 */

CREATE FUNCTION medchain_internal.fixed_settings(OUT name text, OUT value text) RETURNS SETOF record
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'medchain_fixed_settings';
COMMENT ON FUNCTION medchain_internal.fixed_settings() IS
    'internal: settings that each function of medchain fixes beside search_path';

DO $$
DECLARE
    f regprocedure;
    clauses text := (
        SELECT pg_catalog.string_agg(pg_catalog.format('SET %I = %L', s.name, s.value), ' ')
        FROM medchain_internal.fixed_settings() s);
BEGIN
    FOR f IN SELECT p.oid FROM pg_catalog.pg_proc p
             WHERE p.pronamespace = ANY ('{medchain,medchain_internal}'::regnamespace[])
             AND EXISTS (SELECT FROM pg_catalog.unnest(p.proconfig) c
                         WHERE c ~ '^search_path=') LOOP
        EXECUTE pg_catalog.format('ALTER FUNCTION %s %s', f, clauses);
    END LOOP;
END
$$;
