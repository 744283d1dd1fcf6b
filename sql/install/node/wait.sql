/*
 * wait.sql: what the workers wait for longer than is good.
 */

CREATE FUNCTION medchain_internal.workers(OUT worker text, OUT pid int, OUT problem text,
    OUT since timestamptz, OUT origin text, OUT rounds bigint, OUT failures int)
    RETURNS SETOF record
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'medchain_workers';
COMMENT ON FUNCTION medchain_internal.workers() IS
    'internal: the launcher and the workers of this database, with what keeps them from their work '
    'and since when; origin: of the keeper, the chain that this is about; rounds: how often it has '
    'looked at all that had arrived, since the server started; failures: how often in a row one '
    'was started that did not last';

CREATE FUNCTION medchain_internal.is_preloaded() RETURNS boolean
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'medchain_is_preloaded';
COMMENT ON FUNCTION medchain_internal.is_preloaded() IS
    'internal: was medchain loaded when the server started?';

-- Processes as people know them.  PostgreSQL shows the login of each to everybody.
CREATE FUNCTION medchain_internal.blockers_of(pid int) RETURNS text
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT string_agg(CASE WHEN b.pid = 0 THEN 'a prepared transaction'
                           ELSE format('process %s (%s)', b.pid,
                                       coalesce(a.usename, a.backend_type)) END, ', '
                      ORDER BY b.pid)
    FROM unnest(pg_blocking_pids(blockers_of.pid)) b (pid) LEFT JOIN pg_stat_activity a USING (pid)
$$;
COMMENT ON FUNCTION medchain_internal.blockers_of(int) IS
    'internal: who holds the locks that a process waits for';

-- The limit of 5 s is that of wait.h.
CREATE FUNCTION medchain_internal.lock_waits(OUT worker text, OUT subscription oid, OUT origin text,
    OUT blocked text) RETURNS SETOF record
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = medchain, medchain_internal, pg_temp
AS $$
    WITH process AS MATERIALIZED (
        SELECT w.worker, NULL::oid AS subscription, w.pid FROM workers() w
            WHERE w.pid IS NOT NULL
        UNION ALL SELECT 'apply', s.subid, s.pid FROM pg_stat_subscription s
            WHERE s.pid IS NOT NULL)
    SELECT p.worker, p.subscription, NULL::text,
        format('for %s s by %s', floor(extract(epoch FROM clock_timestamp() - l.waitstart)),
               coalesce(blockers_of(p.pid), 'somebody who is gone'))
    FROM process p JOIN pg_locks l ON l.pid = p.pid AND NOT l.granted
    WHERE l.waitstart < clock_timestamp() - interval '5 s'
    UNION ALL
    SELECT w.worker, NULL, w.origin,
        format('for %s s: %s', floor(extract(epoch FROM clock_timestamp() - w.since)),
               w.problem)
    FROM workers() w WHERE w.since < clock_timestamp() - interval '5 s'
$$;
COMMENT ON FUNCTION medchain_internal.lock_waits() IS
    'internal: sealer, keeper and those who apply what peers send, as far as they have waited '
    'longer than 5 s, for whom, or are not there at all; origin: the chain that this is about, '
    'null: all of the worker''s';
