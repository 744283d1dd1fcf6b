/*
 * shortage.sql: settings of the server that have no room for all its peers.
 *
 * PostgreSQL says so in its log alone, again and again, while a subscription just
 * stays "down".
 */

-- As far as this database can know: the other databases of the server count with what they use.
CREATE FUNCTION medchain_internal.shortages(OUT side text, OUT setting text, OUT value int,
    OUT needed int) RETURNS SETOF record
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = medchain, medchain_internal, pg_temp
AS $$
    WITH used AS (
        SELECT (SELECT count(*) FROM pg_subscription s WHERE s.subenabled)::int AS subscriptions,
               (SELECT count(*) FROM pg_replication_slots)::int AS slots,
               (SELECT count(*) FROM pg_stat_replication)::int AS senders,
               (SELECT count(*) FROM pg_stat_activity a WHERE a.backend_type = 'medchain '
                   'sealer')::int AS nodes,
               (SELECT count(*) FROM member m JOIN local_node n ON n.node <> m.name
                WHERE m.expelled IS NULL AND m.ended IS NULL AND NOT EXISTS (
                    SELECT FROM pg_replication_slots s WHERE s.slot_name IN (
                        slot_name(n.alliance, m.name, n.node), slot_name(n.alliance, m.name,
                            n.node, spare => true))))::int AS strangers,
               (SELECT count(*) FROM pg_replication_slots s WHERE s.slot_name ^@ 'medchain_'
                   AND NOT s.active)::int AS away)
    SELECT x.side, x.setting, current_setting(x.setting)::int, x.needed
    FROM used u CROSS JOIN LATERAL (VALUES
        -- an apply worker for each subscription, and one that copies
        ('subscriber', 'max_logical_replication_workers', u.subscriptions + 1, true),
        ('subscriber', 'max_sync_workers_per_subscription', 1, true),
        -- those, the two launchers, and two for each node
        ('subscriber', 'max_worker_processes', u.subscriptions + 3 + 2 * greatest(u.nodes, 1),
            true),
        -- how far each subscription, and each copy, has got
        ('subscriber', CASE WHEN current_setting('max_active_replication_origins', true) IS NULL
            THEN 'max_replication_slots'
                            ELSE 'max_active_replication_origins' END, u.subscriptions + 1, true),
        ('publisher', 'max_replication_slots', u.slots + u.strangers, u.strangers > 0),
        ('publisher', 'max_wal_senders', u.senders + u.away + u.strangers,
            u.away + u.strangers > 0)) x (side, setting, needed, wanted)
    WHERE (x.side = 'publisher' OR u.subscriptions > 0) AND x.wanted
        AND current_setting(x.setting)::int < x.needed
$$;
COMMENT ON FUNCTION medchain_internal.shortages() IS
    'internal: settings that are too small for what follows our peers (side subscriber), or for '
    'peers that follow us (publisher)';

CREATE FUNCTION medchain_internal.warn_of_shortages() RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    s record;
BEGIN
    FOR s IN SELECT * FROM shortages() x WHERE x.side = 'subscriber' LOOP
        RAISE WARNING USING
            MESSAGE = format('%s is too small to follow all peers of this server', s.setting),
            DETAIL = format('It is %s, and %s are needed.', s.value, s.needed),
            HINT = format('Set %s = %s, or more, in postgresql.conf, and restart the server.',
                s.setting, s.needed);
    END LOOP;
END
$$;
COMMENT ON FUNCTION medchain_internal.warn_of_shortages()
    IS 'internal: warn of settings that have no '
    'room for one more subscription';
