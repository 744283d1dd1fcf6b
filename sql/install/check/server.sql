/*
 * check/server.sql: what can be wrong with the server and this node's place on it: settings,
 * keys, certificates, workers.
 */

CREATE FUNCTION medchain_internal.some_of(names text[]) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT string_agg(n, ', ' ORDER BY n COLLATE "C") FILTER (WHERE i <= 5)
        || CASE WHEN max(i) > 5 THEN format(' and %s more', max(i) - 5) ELSE '' END
    FROM (SELECT n, row_number() OVER (ORDER BY n COLLATE "C") AS i FROM unnest($1) n) x
$$;
COMMENT ON FUNCTION medchain_internal.some_of(text[]) IS
    'internal: names as one text, the first five and how many more';

-- What of this database is a node at all; and what cannot be judged because of it.
CREATE FUNCTION medchain_internal.check_node(OUT subject text, OUT severity text,
    OUT finding text, OUT hint text) RETURNS SETOF record
    LANGUAGE sql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT current_database()::text, 'notice', 'this database is not a node of an alliance',
           'Call medchain.found_alliance() or medchain.join_alliance().'
    WHERE NOT EXISTS (SELECT FROM local_node)
    UNION ALL
    SELECT current_database(), 'warning',
           format('this database is a copy of node "%s": it seals nothing and follows nobody',
                  n.node),
           'medchain.take_over() makes it the node, medchain.detach_copy() something else.'
    FROM local_node n WHERE is_copy() AND n.home IS DISTINCT FROM 'private'
    UNION ALL
    SELECT current_database(), 'notice',
           format('this database is a private copy of node "%s": it seals nothing and follows '
                  'nobody', n.node), 'medchain.detach_copy(keep_ledger => false) removes the '
           'ledger in it.'
    FROM local_node n WHERE is_copy() AND n.home = 'private'
    UNION ALL
    SELECT current_database(), 'notice', 'this server is a standby: workers, slots and '
           'subscriptions are at its primary, and were not looked at',
           'Call medchain.check() at the primary as well.'
    WHERE pg_is_in_recovery()
    UNION ALL
    SELECT n.node, CASE WHEN m.state IN ('admitted', 'accepted') THEN 'notice' ELSE 'error' END,
           format('this node is %s', m.state) || coalesce(': ' || m.reason, ''),
           CASE m.state WHEN 'admitted' THEN 'It countersigns its contract by '
                            'medchain.accept_contract().'
                        WHEN 'accepted' THEN 'An end node has to call '
                            'medchain.configure_ledger() for it.'
                        WHEN 'expired' THEN 'See medchain.rekey(), and for its contract '
                            'medchain.amend_contract().'
                        WHEN 'revoked' THEN 'It needs another certificate: see medchain.rekey().'
                        ELSE 'What it says has no effect: ask the data centre.' END
    FROM local_node n JOIN members m ON m.member = n.node WHERE m.state <> 'active'
$$;
COMMENT ON FUNCTION medchain_internal.check_node() IS
    'internal, check(): is this database a node, at home, in good standing, on a primary?';

CREATE FUNCTION medchain_internal.check_settings(OUT subject text, OUT severity text,
    OUT finding text, OUT hint text) RETURNS SETOF record
    LANGUAGE sql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT 'shared_preload_libraries', 'error', 'the server was started without medchain',
           'Add medchain to shared_preload_libraries in postgresql.conf and restart the server.'
    WHERE NOT is_preloaded()
    UNION ALL
    SELECT 'wal_level', 'error', format('it is "%s": no peer can follow', s.value),
           'Set wal_level = logical in postgresql.conf and restart the server.'
    FROM (SELECT current_setting('wal_level')) s (value), local_node
    WHERE s.value <> 'logical'
    UNION ALL
    SELECT s.name, s.severity, format('it is off: %s', s.why),
           format('Set %s = on in postgresql.conf and reload.', s.name)
    FROM (VALUES ('fsync', 'error', 'a crash can take back blocks that others have, and what is '
                      'sealed then contradicts them'),
                 ('full_page_writes', 'warning', 'a crash can leave pages of the ledger torn'))
         s (name, severity, why), local_node
    WHERE current_setting(s.name) = 'off'
    UNION ALL
    SELECT x.setting, CASE WHEN bool_or(x.side = 'subscriber') THEN 'error' ELSE 'warning' END,
           format('it is %s, and %s are needed for all peers', x.value, max(x.needed)),
           format('Set %s = %s, or more, in postgresql.conf and restart the server.', x.setting,
                  max(x.needed))
    FROM shortages() x GROUP BY x.setting, x.value
    UNION ALL
    -- what workers take that are there now and then
    SELECT 'max_worker_processes', 'warning',
           format('it is %s, and %s can be needed: the workers that record reads and fetch what '
                  'is missing may find no room', w.value, w.needed),
           format('Set max_worker_processes = %s, or more, in postgresql.conf and restart the '
                  'server.', w.needed)
    FROM (SELECT current_setting('max_worker_processes')::int AS value, 3
              + 4 * greatest(1, (SELECT count(*) FROM pg_stat_activity a
                                 WHERE a.backend_type = 'medchain sealer'))
              + (SELECT count(*) FROM pg_subscription s WHERE s.subenabled)
              + current_setting('medchain.auto_follow')::bool::int AS needed) w,
         local_node
    WHERE w.value < w.needed AND NOT EXISTS (SELECT FROM shortages() x
                                             WHERE x.setting = 'max_worker_processes')
    UNION ALL
    SELECT 'max_slot_wal_keep_size', 'warning',
           'it is -1: a peer that is away fills this server''s disk',
           'Set it to what the disk can spare, in postgresql.conf, and reload. A peer whose slot '
           'is lost fetches its chains anew.'
    WHERE current_setting('max_slot_wal_keep_size') = '-1'
        AND EXISTS (SELECT FROM pg_replication_slots s
                    WHERE s.slot_name ^@ 'medchain_' AND s.database = current_database())
    UNION ALL
    SELECT 'medchain.read_audit' || r.whose, CASE r.value WHEN 'off' THEN 'warning'
               ELSE 'notice' END,
           CASE r.value WHEN 'off' THEN 'it is off: who reads protected rows is not recorded'
               ELSE 'it is async: what a crash takes of the last moments, nobody has read' END,
           'Reset it: strict is the default.'
    FROM (SELECT '' AS whose, s.reset_val AS value FROM pg_settings s
          WHERE s.name = 'medchain.read_audit'
          UNION ALL
          SELECT concat(' of role ' || quote_ident(o.rolname), ' in database '
                     || quote_ident(d.datname)), split_part(c, '=', 2)
          FROM pg_db_role_setting s CROSS JOIN unnest(s.setconfig) c
               LEFT JOIN pg_roles o ON o.oid = s.setrole
               LEFT JOIN pg_database d ON d.oid = s.setdatabase
          WHERE c ^@ 'medchain.read_audit=' AND s.setrole <> 0
              AND (d.oid IS NULL OR d.datname = current_database())) r
    WHERE r.value IN ('off', 'async')
        AND EXISTS (SELECT FROM row_table t WHERE t.subject_column IS NOT NULL)
$$;
COMMENT ON FUNCTION medchain_internal.check_settings() IS
    'internal, check(): settings that keep the node from its work, or peers from following it';

CREATE FUNCTION medchain_internal.signing_key_status() RETURNS text
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'medchain_signing_key_status';
COMMENT ON FUNCTION medchain_internal.signing_key_status() IS
    'internal: fine, or why the file of medchain.signing_key cannot be used';

CREATE FUNCTION medchain_internal.check_keys(OUT subject text, OUT severity text,
    OUT finding text, OUT hint text) RETURNS SETOF record
    LANGUAGE sql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT 'medchain.signing_key', CASE WHEN pg_is_in_recovery() THEN 'warning' ELSE 'error' END,
           k.status, 'Mend the file or the setting, then SELECT pg_reload_conf(). Until then '
           'nothing is sealed once the sealer starts anew.'
    FROM (SELECT signing_key_status()) k (status), local_node
    WHERE k.status <> 'fine' AND NOT is_copy()
    UNION ALL
    SELECT 'medchain.signing_key', 'error', s.error,
           'Nothing is lost: entries wait until the key is the one that the ledger knows.'
    FROM sealer_status() s, local_node
    WHERE s.state = 'failed' AND NOT is_copy() AND signing_key_status() = 'fine'
        AND s.error ~ 'signing_key'
    UNION ALL
    SELECT 'medchain.pseudonym_key_file', 'error', k.status,
           'Mend the file or the setting; new sessions take it up.'
    FROM (SELECT pseudonym_status()) k (status), local_node
    WHERE k.status <> 'fine' AND NOT is_copy()
$$;
COMMENT ON FUNCTION medchain_internal.check_keys() IS
    'internal, check(): can the keys be used, and are they those of this node and alliance?';

CREATE FUNCTION medchain_internal.check_certificates(OUT subject text, OUT severity text,
    OUT finding text, OUT hint text) RETURNS SETOF record
    LANGUAGE sql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT n.node, CASE WHEN w.warning LIKE '% has ended' THEN 'error' ELSE 'warning' END,
           w.warning, w.hint
    FROM local_node n CROSS JOIN certificate_warnings() w
    UNION ALL
    SELECT n.node, CASE WHEN c.days_left < 0 THEN 'error' ELSE 'warning' END,
           format('the CA''s certificate "%s", which this node''s own leads to, %s', c.subject,
                  CASE WHEN c.days_left < 0 THEN 'has ended'
                       ELSE format('ends in %s days', c.days_left) END),
           'Ask the CA for a new one, then see medchain.rekey().'
    FROM local_node n JOIN certificates c ON c.member = n.node
    WHERE c."position" > 0 AND NOT c.is_anchor AND c.days_left < 90
    UNION ALL
    SELECT some_of(array_agg(m.name)), CASE WHEN e.ended THEN 'warning' ELSE 'notice' END,
           CASE WHEN e.ended THEN 'certificate or contract has ended'
                ELSE format('certificate or contract ends in %s days, or later',
                            floor(extract(epoch FROM min(upper(m.valid)) - now()) / 86400)) END,
           'Each of these members renews it by medchain.rekey(), or the data centre by '
           'medchain.amend_contract().'
    FROM member m JOIN local_node n ON n.node <> m.name
         CROSS JOIN LATERAL (SELECT upper(m.valid) < now()) e (ended)
    WHERE upper(m.valid) < now() + interval '90 days' AND m.expelled IS NULL AND m.ended IS NULL
    GROUP BY e.ended
    UNION ALL
    SELECT l.issuer, 'warning', format('its revocation list has ended on %s',
               ledger_time(l.next_update)),
           'Get a newer one of this CA, and let the data centre call medchain.add_crl().'
    FROM (SELECT DISTINCT ON (r.issuer) r.* FROM revocation_lists r
          ORDER BY r.issuer, r.next_update DESC) l
    WHERE l.expired
$$;
COMMENT ON FUNCTION medchain_internal.check_certificates() IS
    'internal, check(): certificates, trust anchors and revocation lists that have ended, or will '
    'within 90 days';

CREATE FUNCTION medchain_internal.check_workers(OUT subject text, OUT severity text,
    OUT finding text, OUT hint text) RETURNS SETOF record
    LANGUAGE sql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT w.worker, CASE WHEN w.worker IN ('fetcher', 'auditor') THEN 'warning' ELSE 'error' END,
           CASE WHEN w.pid IS NULL AND w.failures > 0
                THEN format('%s; it has failed %s times in a row', w.problem, w.failures)
                ELSE coalesce(w.problem, format('it was started %s times in a row, as it did not '
                    'last', w.failures)) END,
           CASE w.worker WHEN 'auditor' THEN 'Without it nobody reads protected rows: see the '
                             'server log.'
                         WHEN 'launcher' THEN 'See the server log; raise max_worker_processes, if '
                             'that was it, and restart the server.'
                         ELSE 'See the server log. SELECT medchain.start_workers() starts it, or '
                             'says what is in the way.' END
    FROM workers() w
    WHERE at_home() AND NOT pg_is_in_recovery() AND w.origin IS NULL
        AND (w.problem IS NOT NULL OR w.failures > 1)
    UNION ALL
    SELECT 'sealer', 'error', s.error, 'Entries wait in medchain.pending until it is mended.'
        || CASE WHEN recovering() THEN ' Where it is certain that nobody has more of this node''s '
            'chain than is here: SELECT medchain.take_over(without_peers => true);' ELSE '' END
    FROM sealer_status() s
    WHERE at_home() AND NOT pg_is_in_recovery() AND s.state = 'failed'
        AND s.error !~ 'signing_key'
    UNION ALL
    SELECT w.worker, 'warning', format('chain "%s" has to wait: %s', w.origin, w.problem),
           'It is tried again every second; the server log has more.'
    FROM workers() w WHERE w.origin IS NOT NULL AND at_home()
    UNION ALL
    SELECT l.worker, 'warning', format('it has waited %s', l.blocked),
           'End that process''s transaction.'
    FROM lock_waits() l WHERE l.worker <> 'apply' AND l.origin IS NULL
        AND l.blocked LIKE 'for % s by %'
    UNION ALL
    SELECT format('process %s', a.pid), 'warning',
           format('%s works in a database that is gone (%s)', a.backend_type, a.datid),
           format('SELECT pg_terminate_backend(%s);', a.pid)
    FROM pg_stat_activity a
    WHERE a.backend_type LIKE 'medchain %' AND a.datid <> 0
        AND NOT EXISTS (SELECT FROM pg_database d WHERE d.oid = a.datid)
    UNION ALL
    -- since 15.4 PostgreSQL marks them so
    SELECT d.datname, 'warning', 'DROP DATABASE was interrupted: nobody can use it any more, and '
           'it is still there', format('DROP DATABASE %I;', d.datname)
    FROM pg_database d WHERE d.datconnlimit = -2
$$;
COMMENT ON FUNCTION medchain_internal.check_workers() IS
    'internal, check(): workers that are not there, do not last or wait; and databases that are '
    'gone and still have some';
