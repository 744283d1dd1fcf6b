/*
 * check/peers.sql: what can be wrong between this node and the others: slots, subscriptions, and
 * what a login for replication could do beside following.
 */

CREATE FUNCTION medchain_internal.output_plugins() RETURNS SETOF text
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'medchain_output_plugins';
COMMENT ON FUNCTION medchain_internal.output_plugins() IS
    'internal: libraries of this server that are output plugins of logical decoding, beside '
    'PostgreSQL''s own pgoutput';

CREATE FUNCTION medchain_internal.check_slots(OUT subject text, OUT severity text,
    OUT finding text, OUT hint text) RETURNS SETOF record
    LANGUAGE sql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
    WITH slot AS MATERIALIZED (
        SELECT s.slot_name, s.active, s.wal_status, m.name AS member,
               m.expelled IS NOT NULL OR m.ended IS NOT NULL AS left,
               coalesce(pg_size_pretty(pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn)),
                        'no WAL any more') AS retained
        FROM pg_replication_slots s
             LEFT JOIN (member m JOIN local_node n ON true)
                 ON s.slot_name IN (slot_name(n.alliance, m.name, n.node),
                                    slot_name(n.alliance, m.name, n.node, spare => true))
        WHERE s.database = current_database() AND s.slot_name ^@ 'medchain_'
            AND s.plugin = 'pgoutput' AND NOT s.temporary AND NOT pg_is_in_recovery())
    SELECT s.slot_name::text, 'warning',
           format('%s follows this node by it, and holds back %s', CASE WHEN s.member IS NULL
               THEN 'nobody who is a member' ELSE format('"%s", who is no member any more,',
                   s.member) END, s.retained),
           format('SELECT pg_drop_replication_slot(%L);', s.slot_name)
    FROM slot s WHERE s.member IS NULL OR s.left
    UNION ALL
    SELECT s.slot_name, CASE s.wal_status WHEN 'lost' THEN 'error' ELSE 'warning' END,
           CASE WHEN s.wal_status = 'lost' THEN format('"%s" was away so long that it cannot go '
                    'on from here: the WAL is gone', s.member)
                WHEN s.wal_status = 'unreserved' THEN format('"%s" is about to lose its place: '
                    'the WAL that it needs is beyond max_slot_wal_keep_size', s.member)
                ELSE format('"%s" is away; its slot holds back %s', s.member, s.retained) END,
           CASE s.wal_status WHEN 'lost' THEN format('At "%s": SELECT medchain.resync(%L);',
                                    s.member, (SELECT node FROM local_node))
               ELSE format('Look why "%s" does not connect; its medchain.check() says more.',
                           s.member) END
    FROM slot s
    WHERE s.member IS NOT NULL AND NOT s.left
        AND (NOT s.active OR s.wal_status IN ('lost', 'unreserved'))
    UNION ALL
    SELECT s.slot_name, 'warning',
           format('output plugin "%s" decodes every change in this database, protected rows '
                  'included', s.plugin),
           format('If it is nobody''s you trust: SELECT pg_drop_replication_slot(%L);',
                  s.slot_name)
    FROM pg_replication_slots s
    WHERE s.database = current_database() AND s.plugin <> 'pgoutput'
$$;
COMMENT ON FUNCTION medchain_internal.check_slots() IS
    'internal, check(): slots by which others follow this node';

CREATE FUNCTION medchain_internal.check_peers(OUT subject text, OUT severity text,
    OUT finding text, OUT hint text) RETURNS SETOF record
    LANGUAGE sql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
    WITH peer_now AS MATERIALIZED (
        SELECT p.* FROM peers p WHERE at_home() AND NOT pg_is_in_recovery())
    SELECT p.member, CASE p.state WHEN 'disabled' THEN 'warning' ELSE 'error' END,
           CASE p.state WHEN 'subscription missing' THEN 'its subscription was dropped by hand'
                WHEN 'disabled' THEN 'its subscription is disabled'
                WHEN 'down' THEN 'it is not being followed'
                ELSE 'what it sends cannot be applied' END || coalesce(': ' || p.last_error, ''),
           CASE p.state WHEN 'disabled' THEN 'ALTER SUBSCRIPTION ... ENABLE, of that in '
                            'medchain.peer.'
                WHEN 'down' THEN 'See medchain.peers (shortage), and the server log.'
                ELSE format('SELECT medchain.resync(%L); or medchain.disconnect_peer().',
                            p.member) END
    FROM peer_now p WHERE p.state IN ('subscription missing', 'disabled', 'down', 'failing')
    UNION ALL
    SELECT p.member, 'warning', format('what it sends has waited %s', p.blocked),
           'End that process''s transaction.'
    FROM peer_now p WHERE p.blocked IS NOT NULL
    UNION ALL
    SELECT p.member, 'warning', format('it is asked again for %s', left(p.missing, 300)),
           'If it does not pass: medchain.resync(), or connect to the chain''s own member.'
    FROM peer_now p WHERE p.missing IS NOT NULL
    UNION ALL
    SELECT p.member, 'notice', format('%s entries and blocks that it sent were not kept',
               p.dropped),
           'Nothing, as long as it is asked for nothing again; see medchain.dropped.'
    FROM peer_now p WHERE p.dropped > 0 AND p.missing IS NULL
    UNION ALL
    SELECT p.member, 'warning', format('its chain is %s blocks and %s s behind', p.lag_blocks,
               p.lag_seconds::bigint),
           'See medchain.chains: state and blocked.'
    FROM peer_now p WHERE p.state = 'streaming' AND p.lag_seconds > 60
    UNION ALL
    SELECT p.member, 'warning', format('it is %s, and still followed', m.state),
           format('SELECT medchain.disconnect_peer(%L);', p.member)
    FROM peer p JOIN members m ON m.member = p.member
    WHERE m.state IN ('expelled', 'ended')
    UNION ALL
    SELECT n.node, 'warning', 'it follows nobody: what others say does not arrive',
           'See medchain.connect_peer().'
    FROM local_node n
    WHERE at_home() AND NOT EXISTS (SELECT FROM peer)
        AND EXISTS (SELECT FROM member m WHERE m.name <> n.node AND m.expelled IS NULL
                    AND m.ended IS NULL AND m.ledger_key IS NOT NULL)
    UNION ALL
    SELECT d.member, 'warning', CASE WHEN d.leave THEN 'it is no member any more, and still '
               'followed' ELSE 'medchain.auto_follow is on, and it is not followed where it says '
               'that it is' END,
           'The server log says why; SELECT medchain.follow(...) does it, or says so.'
    FROM follow_due() d
    WHERE at_home() AND NOT pg_is_in_recovery() AND current_setting('medchain.auto_follow')::bool
    UNION ALL
    SELECT p.member, 'warning', 'the connection to it does not make sure that it is with that '
           'member: sslmode is not verify-full',
           'Disconnect, and connect again with sslmode=verify-full and sslrootcert.'
    FROM peer p CROSS JOIN LATERAL (
        SELECT jsonb_object_agg(o.keyword, o.value) AS set FROM conninfo_options(p.conninfo) o) c
    WHERE c.set ->> 'sslmode' IS DISTINCT FROM 'verify-full' AND NOT c.set ? 'service'
        AND (c.set ? 'hostaddr' OR c.set ->> 'host' !~ '^(/|@|$)')
    UNION ALL
    SELECT p.member, 'warning', 'its connection string has a password in it, which superusers '
           'and dumps read', 'Use a certificate; or passfile=..., a file of the server''s user.'
    FROM peer p
    WHERE EXISTS (SELECT FROM conninfo_options(p.conninfo) o
                  WHERE o.keyword IN ('password', 'sslpassword'))
$$;
COMMENT ON FUNCTION medchain_internal.check_peers() IS
    'internal, check(): how this node follows the others';

-- Lines of pg_hba.conf that would let one of these logins in here, up to one that turns it away.
CREATE FUNCTION medchain_internal.peer_login_rules() RETURNS TABLE (file text, line int,
    type text, method text, login name, loopback boolean, certificate boolean, physical boolean)
    LANGUAGE sql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
    WITH rule AS MATERIALIZED (
        SELECT h.type, h.auth_method, h.options, h.user_name, h.database, h.address, h.line_number,
               to_jsonb(h) ->> 'file_name' AS file, row_number() OVER () AS number,
               'local' = h.type OR h.address IN ('127.0.0.1', '::1', 'localhost') AS loopback
        FROM pg_hba_file_rules h WHERE h.error IS NULL),
    login AS MATERIALIZED (
        SELECT a.rolname, a.oid, a.rolpassword IS NOT NULL AS has_password FROM pg_authid a
        WHERE a.rolreplication AND a.rolcanlogin AND NOT a.rolsuper),
    fits AS MATERIALIZED (
        SELECT r.*, l.rolname, l.has_password FROM rule r JOIN login l ON EXISTS (
            SELECT FROM unnest(r.user_name) u
            WHERE u IN ('all', l.rolname) OR u ^@ '+' AND pg_has_role(l.oid,
                (SELECT g.oid FROM pg_roles g WHERE g.rolname = substr(u, 2)), 'MEMBER')
               OR CASE WHEN u ^@ '/' THEN l.rolname ~ substr(u, 2) END)
        WHERE r.database && ARRAY['all', 'replication', current_database()::text]
            OR 'sameuser' = ANY (r.database) AND l.rolname = current_database()
            OR EXISTS (SELECT FROM unnest(r.database) d
                       WHERE d ^@ '/' AND current_database()::text ~ substr(d, 2)))
    SELECT coalesce(f.file, 'pg_hba.conf'), f.line_number, f.type, f.auth_method, f.rolname,
           f.loopback, EXISTS (SELECT FROM unnest(f.options) o WHERE o ^@ 'clientcert=')
               OR f.auth_method = 'cert', 'replication' = ANY (f.database)
    FROM fits f
    WHERE f.auth_method <> 'reject'
        AND (f.has_password OR f.auth_method NOT IN ('password', 'md5', 'scram-sha-256'))
        AND NOT EXISTS (SELECT FROM fits x
            WHERE x.rolname = f.rolname AND x.number < f.number AND x.auth_method = 'reject'
            AND x.type = CASE f.type WHEN 'local' THEN 'local' ELSE 'host' END
            AND coalesce(x.address, 'all') = 'all' AND x.database @> f.database)
$$;
COMMENT ON FUNCTION medchain_internal.peer_login_rules() IS
    'internal: lines of pg_hba.conf that let logins with REPLICATION into this database; physical: '
    'or have the whole server copied';

CREATE FUNCTION medchain_internal.check_pg_hba(OUT subject text, OUT severity text,
    OUT finding text, OUT hint text) RETURNS SETOF record
    LANGUAGE sql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT format('%s, line %s', coalesce(to_jsonb(h) ->> 'file_name', 'pg_hba.conf'),
                  h.line_number), 'error', h.error,
           'Until it is mended, the server goes on with what it read before, and does not start.'
    FROM pg_hba_file_rules h WHERE h.error IS NOT NULL
    UNION ALL
    SELECT format('%s, line %s', r.file, r.line), f.severity,
           format('%s %s', some_of(array_agg(r.login::text)), f.finding), f.hint
    FROM peer_login_rules() r CROSS JOIN LATERAL (VALUES
        (r.method = 'trust' AND NOT r.certificate AND NOT r.loopback, 'error',
         'may log in from elsewhere without any proof',
         'Use method cert, in a line that begins with hostssl.'),
        (r.method = 'trust' AND NOT r.certificate AND r.loopback, 'warning',
         'may log in without any proof, whoever it is on this machine',
         'Use method peer, or a password, for those of this machine.'),
        (r.type IN ('host', 'hostnossl') AND NOT r.loopback AND r.method = 'password', 'error',
         'may send a password that everybody on the way reads',
         'Use method cert, in a line that begins with hostssl.'),
        (r.type IN ('host', 'hostnossl') AND NOT r.loopback
             AND r.method NOT IN ('trust', 'password'), 'warning',
         'may follow this node without TLS', 'Let the line begin with hostssl.'),
        (r.physical AND (r.certificate OR r.method IN ('trust', 'password', 'md5',
             'scram-sha-256')) AND NOT (r.method = 'trust' AND NOT r.certificate), 'warning',
         'may have the whole server copied, with all its databases',
         'Peers need no line for "replication".')) f (holds, severity, finding, hint)
    WHERE f.holds AND EXISTS (SELECT FROM local_node)
    GROUP BY r.file, r.line, f.severity, f.finding, f.hint
$$;
COMMENT ON FUNCTION medchain_internal.check_pg_hba() IS
    'internal, check(): how logins for replication may get in';

CREATE FUNCTION medchain_internal.check_replication(OUT subject text, OUT severity text,
    OUT finding text, OUT hint text) RETURNS SETOF record
    LANGUAGE sql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
    WITH login AS MATERIALIZED (
        SELECT array_agg(r.rolname::text) AS names FROM pg_roles r
        WHERE r.rolreplication AND r.rolcanlogin AND NOT r.rolsuper)
    SELECT format('output plugin %s', x), 'warning',
           format('by it %s can read every change in this database, protected rows included',
                  some_of(l.names)),
           format('Remove it: rm $(pg_config --pkglibdir)/%s.so, again after each update.', x)
    FROM login l CROSS JOIN output_plugins() x
    WHERE l.names IS NOT NULL AND EXISTS (SELECT FROM row_table t WHERE t.subject_column <> '')
    UNION ALL
    SELECT format('publication %s', p.pubname), 'warning',
           format('it publishes protected tables (%s): whoever may replicate reads them',
                  some_of(array_agg(DISTINCT format('%s.%s', p.schemaname, p.tablename)))),
           'Take them out, or let nobody have REPLICATION whom no protocol lets read.'
    FROM pg_publication_tables p
         JOIN row_part t ON t.part = format('%I.%I', p.schemaname, p.tablename)::regclass
         JOIN row_table r ON r.relation = t.relation AND r.subject_column IS NOT NULL
    WHERE p.pubname <> 'medchain' GROUP BY p.pubname
    UNION ALL
    SELECT 'publication medchain', 'error', CASE WHEN p.oid IS NULL THEN 'it is missing: no peer '
               'can follow' ELSE 'it is not as medchain made it' END,
           'DROP PUBLICATION IF EXISTS medchain; SELECT medchain_internal.publish_own_chain();'
    FROM local_node n LEFT JOIN pg_publication p ON p.pubname = 'medchain'
    WHERE at_home() AND (p.oid IS NULL OR p.puballtables OR NOT p.pubinsert OR p.pubupdate
        OR p.pubdelete OR p.pubtruncate
        OR ARRAY(SELECT r.prrelid FROM pg_publication_rel r WHERE r.prpubid = p.oid
                 ORDER BY r.prrelid)
           IS DISTINCT FROM ARRAY(SELECT x::oid FROM unnest(
               '{medchain.entry, medchain.block}'::regclass[]) x ORDER BY x)
        OR EXISTS (SELECT FROM pg_publication_rel r WHERE r.prpubid = p.oid AND r.prqual IS NULL)
        OR EXISTS (SELECT FROM pg_publication_namespace s WHERE s.pnpubid = p.oid))
$$;
COMMENT ON FUNCTION medchain_internal.check_replication() IS
    'internal, check(): what those who may replicate could read beside this node''s chain';
