/*
 * heal.sql: fetching a peer's chains anew when the slot there is lost, or the publication
 * (src/sync/heal.c).
 */

-- Subscriptions whose workers do not last, or do not come: the slot at the peer may be lost.  The
-- row of missing that says when this peer may be asked for anything counts for this as well.
CREATE VIEW medchain.to_heal AS
SELECT p.member
FROM medchain.peer p
     JOIN pg_catalog.pg_subscription s ON s.subname = p.subscription AND s.subenabled
         AND s.subdbid = (SELECT d.oid FROM pg_catalog.pg_database d
                          WHERE d.datname = pg_catalog.current_database())
     LEFT JOIN pg_catalog.pg_stat_subscription w ON w.subid = s.oid AND w.relid IS NULL
     LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = w.pid
     LEFT JOIN medchain.missing f ON f.source = p.member AND f.origin = ''
WHERE (a.pid IS NULL OR a.backend_start > pg_catalog.now() - interval '15 s')
    -- no pause is that long: the server's clock was put back
    AND coalesce(f.next NOT BETWEEN pg_catalog.clock_timestamp()
        AND pg_catalog.clock_timestamp() + interval '10 min', true)
    AND medchain_internal.at_home()
    AND EXISTS (SELECT FROM medchain_internal.peer_errors() e WHERE e.subscription = s.oid);
COMMENT ON VIEW medchain.to_heal IS
    'internal: peers that are to be asked whether our slot there is lost';

CREATE FUNCTION medchain_internal.heal_choose() RETURNS text
    LANGUAGE sql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
AS $$
    INSERT INTO missing AS f (source, origin, wanted, next)
        SELECT t.member, '', false, clock_timestamp() + interval '15 s' FROM to_heal t
        ORDER BY t.member COLLATE "C" LIMIT 1
        ON CONFLICT (source, origin) DO UPDATE SET next = EXCLUDED.next
        RETURNING f.source
$$;
COMMENT ON FUNCTION medchain_internal.heal_choose() IS
    'internal: the next of those, which is not asked for anything else for a moment';

CREATE FUNCTION medchain_internal.heal(member text) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    p peer;
    publications text[];
BEGIN
    SELECT * INTO p FROM peer x WHERE x.member = heal.member;
    SELECT s.subpublications INTO publications FROM pg_subscription s
        WHERE s.subname = p.subscription AND s.subdbid = (SELECT d.oid FROM pg_database d
            WHERE d.datname = current_database());
    IF NOT FOUND OR remote_call(p.conninfo, format(
            'SELECT ((SELECT pg_catalog.count(*) FROM pg_catalog.pg_replication_slots s '
            'WHERE s.slot_name OPERATOR(pg_catalog.=) %L AND s.wal_status IS NOT NULL '
            'AND s.wal_status OPERATOR(pg_catalog.<>) %L) OPERATOR(pg_catalog.>) 0 '
            'AND (SELECT pg_catalog.count(*) FROM pg_catalog.pg_publication b WHERE b.pubname '
            'OPERATOR(pg_catalog.=) ANY (%L::pg_catalog.name[])) OPERATOR(pg_catalog.=) %s)'
            '::pg_catalog.text', p.slot, 'lost', publications, cardinality(publications)))
            <> 'false' THEN
        RETURN false;
    END IF;
    -- a session that is about to disconnect it, or another one, is not waited for
    IF NOT lock_peers(wait => false) THEN
        RETURN false;
    END IF;
    PERFORM resync(heal.member);
    RETURN true;
END
$$;
COMMENT ON FUNCTION medchain_internal.heal(text) IS
    'internal: fetch this peer''s chains anew, if our slot there is lost, or the publication';
