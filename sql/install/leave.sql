/*
 * leave.sql: what has to be taken away before DROP EXTENSION, as nothing of it goes with that.
 */

CREATE FUNCTION medchain.before_drop() RETURNS TABLE (what text, call text)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT x.what, x.call FROM (
        SELECT 1, format('table %s', t.relation),
               row_ending(t.relation, t.subject_column),
               -- what is inherited from comes first, as long as it is on the ledger its heirs are
               (WITH RECURSIVE up (relation) AS (
                    SELECT t.relation::oid
                    UNION SELECT i.inhparent FROM up u JOIN pg_inherits i
                        ON i.inhrelid = u.relation) SELECT count(*) FROM up)
            FROM row_table t JOIN pg_class c ON c.oid = t.relation WHERE NOT t.with_parent
        UNION ALL
        -- restored with another database's protection, or detached from a table that is protected
        SELECT 1, format('table %s', l.relation), format('medchain.unprotect(%L)', l.relation), 0
            FROM (SELECT DISTINCT p.polrelid::regclass AS relation FROM pg_policy p) l
            WHERE EXISTS (SELECT FROM own_policies(l.relation) o WHERE o.is_own)
            AND NOT EXISTS (SELECT FROM row_table t WHERE t.subject_column IS NOT NULL
                            AND t.relation = partition_root(l.relation))
        UNION ALL
        SELECT 1, format('table %s', l.relation),
               format('medchain.end_ledger_table(%L)', l.relation), 0
            FROM (SELECT DISTINCT t.tgrelid::regclass AS relation FROM pg_trigger t
                  WHERE t.tgfoid IN (SELECT row_trigger_functions()) AND t.tgparentid = 0) l
            WHERE NOT EXISTS (SELECT FROM own_policies(l.relation) o WHERE o.is_own)
            AND NOT EXISTS (SELECT FROM row_table t
                            WHERE t.relation = partition_root(l.relation))
        UNION ALL
        -- in a copy nothing else can be called before
        SELECT 0, format('tables of node "%s"', n.node),
            'medchain.detach_copy(keep_ledger => false)', 0 FROM local_node n
            WHERE is_copy() AND EXISTS (SELECT FROM row_table)
        UNION ALL
        SELECT 2, w.what, CASE WHEN is_copy() THEN 'medchain.detach_copy(keep_ledger => false)'
                               ELSE 'medchain.leave_alliance()' END, 0 FROM (
            -- a dump brings the peers, and not their subscriptions
            SELECT format('subscription "%s"', p.subscription) FROM peer p JOIN pg_subscription s
                ON s.subname = p.subscription AND s.subdbid = (
                    SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
            UNION ALL
            SELECT format('publication "%s"', p.pubname) FROM pg_publication p
                WHERE p.pubname = 'medchain' AND EXISTS (SELECT FROM local_node)
            UNION ALL
            SELECT format('replication slot "%s"', s.slot_name) FROM pg_replication_slots s
                WHERE s.database = current_database() AND s.plugin = 'pgoutput'
                AND s.slot_name ^@ 'medchain_') w (what)) x (turn, what, call, rank)
    ORDER BY x.turn, x.rank, x.what COLLATE "C", x.call COLLATE "C"
$$;
COMMENT ON FUNCTION medchain.before_drop() IS
    'what DROP EXTENSION would leave behind, and is refused for, with the calls that take it away, '
    'in their order. Before unprotect(), take the privileges on a table from whoever is not to see '
    'all of its rows';

-- For the error that DROP EXTENSION ends with.
CREATE FUNCTION medchain_internal.drop_refusal(OUT detail text, OUT hint text)
    LANGUAGE sql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
    WITH way AS MATERIALIZED (
        SELECT b.what, b.call, b.n FROM before_drop() WITH ORDINALITY b (what, call, n)),
    calls AS (
        SELECT w.call, row_number() OVER (ORDER BY min(w.n)) AS n FROM way w GROUP BY w.call)
    SELECT string_agg(w.what, ', ' ORDER BY w.n) FILTER (WHERE w.n <= 10)
           || CASE WHEN max(w.n) > 10 THEN format(', and %s more', max(w.n) - 10) ELSE '' END,
           'Call '
           || (SELECT string_agg(c.call, ', ' ORDER BY c.n) FILTER (WHERE c.n <= 10)
                      || CASE WHEN max(c.n) > 10 THEN ', and what else before_drop() lists,'
                              ELSE '' END FROM calls c)
           || ' first.'
           || CASE WHEN bool_or(w.call ^@ 'medchain.unprotect(') THEN
                   ' Whoever has privileges on a table sees all of its rows after unprotect(): '
                   'take them away before.' ELSE '' END
    FROM way w
$$;
COMMENT ON FUNCTION medchain_internal.drop_refusal() IS
    'internal: before_drop() as the error of DROP EXTENSION puts it; null if there is nothing';
