/*
 * check/data.sql: what can be wrong with roles, ledger tables, the chains and the accesses.
 */

CREATE FUNCTION medchain_internal.check_roles(OUT subject text, OUT severity text,
    OUT finding text, OUT hint text) RETURNS SETOF record
    LANGUAGE sql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
    WITH login AS MATERIALIZED (
        SELECT r.*, pg_has_role(r.oid, 'medchain_admin', 'MEMBER') AS is_admin
        FROM pg_roles r WHERE r.rolcanlogin AND r.oid <> 10)
    SELECT l.rolname::text, 'notice', 'it is a superuser: it reads every row, and can change the '
           'ledger here (which verify() shows)',
           format('ALTER ROLE %I NOSUPERUSER; unless it has to be one.', l.rolname)
    FROM login l WHERE l.rolsuper
    UNION ALL
    SELECT l.rolname, 'warning', 'it has BYPASSRLS: it reads protected rows without any protocol',
           format('ALTER ROLE %I NOBYPASSRLS;', l.rolname)
    FROM login l WHERE l.rolbypassrls AND NOT l.rolsuper
    UNION ALL
    SELECT 'medchain_admin', 'notice', format('several logins have it: %s',
               some_of(array_agg(l.rolname::text))), 'Each can speak for this node.'
    FROM login l WHERE l.is_admin AND NOT l.rolsuper HAVING count(*) > 1
    UNION ALL
    SELECT l.rolname, 'warning', format('it acts for "%s", and as medchain_admin for this node',
               b.member), format('REVOKE medchain_admin FROM %I;', l.rolname)
    FROM login l JOIN role_binding b ON b.role = l.rolname
         JOIN local_node n ON n.node <> b.member
    WHERE l.is_admin AND NOT l.rolsuper
    UNION ALL
    SELECT l.rolname, 'warning', format('it may replicate, and more than a peer has to: %s',
               concat_ws(', ', CASE WHEN l.rolcreaterole THEN 'CREATEROLE' END,
                         CASE WHEN l.rolcreatedb THEN 'CREATEDB' END, g.groups,
                         'reads ' || t.tables)),
           'A login for peers has REPLICATION, and is in medchain_peer; no more.'
    FROM login l
         CROSS JOIN LATERAL (SELECT 'member of ' || some_of(array_agg(o.rolname::text))
             FROM pg_auth_members a JOIN pg_roles o ON o.oid = a.roleid
             WHERE a.member = l.oid AND o.rolname <> 'medchain_peer') g (groups)
         CROSS JOIN LATERAL (SELECT some_of(array_agg(t.relation::text)) FROM row_table t
             WHERE has_table_privilege(l.oid, t.relation, 'SELECT, INSERT, UPDATE, DELETE'))
             t (tables)
    WHERE l.rolreplication AND NOT l.rolsuper
        AND (l.rolcreaterole OR l.rolcreatedb OR g.groups IS NOT NULL OR t.tables IS NOT NULL)
$$;
COMMENT ON FUNCTION medchain_internal.check_roles() IS
    'internal, check(): roles that can do more than they should have to';

CREATE FUNCTION medchain_internal.check_tables(OUT subject text, OUT severity text,
    OUT finding text, OUT hint text) RETURNS SETOF record
    LANGUAGE sql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
    WITH here AS MATERIALIZED (
        SELECT t, t.relation, t.ledger_name, t.subject_column FROM row_table t
        WHERE EXISTS (SELECT FROM pg_class c WHERE c.oid = t.relation))
    SELECT h.ledger_name, 'error', format('trigger %s on %s is missing, disabled or changed: '
               'what happens to its rows is not recorded', w.name, p),
           format('SELECT medchain.renew_table(%L, ''why'');', h.ledger_name)
    FROM here h CROSS JOIN LATERAL table_and_partitions(h.relation) p
         CROSS JOIN (VALUES ('medchain_capture'), ('medchain_truncate')) w (name)
    WHERE CASE w.name WHEN 'medchain_capture' THEN NOT is_captured(p)
                      ELSE NOT is_truncate_captured(p) END
    UNION ALL
    SELECT h.ledger_name, 'error', f,
           format('SELECT medchain.protect(%L, %L); makes its policies anew.', h.ledger_name,
                  h.subject_column)
    FROM here h CROSS JOIN LATERAL protection_faults(h.relation, h.subject_column) f
    WHERE h.subject_column IS NOT NULL
    UNION ALL
    SELECT h.ledger_name, 'warning', format('its owner, %s, has BYPASSRLS: he reads all of it '
               'without any protocol', o.rolname),
           format('ALTER ROLE %I NOBYPASSRLS; or give the table to another role.', o.rolname)
    FROM here h JOIN pg_class c ON c.oid = h.relation JOIN pg_roles o ON o.oid = c.relowner
    WHERE h.subject_column IS NOT NULL AND o.rolbypassrls AND NOT o.rolsuper
    UNION ALL
    SELECT h.ledger_name, 'error', 'the table is not what it was when it was dumped: changes of '
           'it by DDL are not recorded', format('SELECT medchain.renew_table(%L, ''why'');',
               h.ledger_name)
    FROM here h WHERE at_home() AND NOT is_watched(h.t)
    UNION ALL
    SELECT t.ledger_name, 'error', 'this ledger table is gone, and the ledger knows nothing of it',
           'medchain.verify() says more.'
    FROM row_table t WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = t.relation)
    UNION ALL
    SELECT n, 'error', 'this event trigger is missing or not enabled always: DDL on ledger tables '
           'is not recorded', CASE WHEN g.oid IS NULL THEN 'Restore it from a dump, or the '
               'extension.' ELSE format('ALTER EVENT TRIGGER %I ENABLE ALWAYS;', n) END
    FROM unnest(ARRAY['medchain_observe_ddl', 'medchain_observe_drop',
                      'medchain_observe_rewrite']) n
         LEFT JOIN pg_event_trigger g ON g.evtname = n
    WHERE g.evtenabled IS DISTINCT FROM 'A'
    UNION ALL
    SELECT format('medchain.%I', c.relname), 'error',
           format('medchain''s trigger %s on it is not enabled always', g.tgname),
           format('ALTER TABLE medchain.%I ENABLE ALWAYS TRIGGER %I; then medchain.verify().',
                  c.relname, g.tgname)
    FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid
    WHERE c.relnamespace = 'medchain'::regnamespace AND NOT g.tgisinternal AND g.tgenabled <> 'A'
        AND g.tgname IN ('arrive', 'guard_insert')
    UNION ALL
    SELECT x.relation, 'error', 'its trigger arrive is missing: what peers send is not verified',
           'Restore the extension''s schema; then medchain.verify().'
    FROM (VALUES ('medchain.entry'), ('medchain.block')) x (relation)
    WHERE NOT EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = x.relation::regclass
                      AND g.tgname = 'arrive')
$$;
COMMENT ON FUNCTION medchain_internal.check_tables() IS
    'internal, check(): ledger tables, and medchain''s own, of which something is switched off';

-- Who passes on what another has signed can send other entries with it.
CREATE FUNCTION medchain_internal.is_carriers(refused medchain.quarantine) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT refused.source <> refused.origin AND refused.reason IN ('bad entry', 'bad root',
            'bad tree size')
        OR EXISTS (SELECT FROM block b WHERE b.origin = refused.origin
            AND b.height = refused.height AND b.hash = note_hash(refused.note))
$$;
COMMENT ON FUNCTION medchain_internal.is_carriers(medchain.quarantine) IS
    'internal: is it the fault of whoever sent it, although its note is signed by the author?';

CREATE FUNCTION medchain_internal.check_ledger(OUT subject text, OUT severity text,
    OUT finding text, OUT hint text) RETURNS SETOF record
    LANGUAGE sql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
    WITH chain_now AS MATERIALIZED (SELECT * FROM chains)
    SELECT f.member, 'error', format('it has signed two blocks of height %s of its chain, as %s '
               'has proven: %s', f.height, f.proven_by, CASE f.state
                   WHEN 'open' THEN 'what follows them has no effect'
                   ELSE 'and the alliance rests on it' END),
           CASE f.state WHEN 'open' THEN 'See medchain.forks. The data centre has to call '
                    'medchain.reinstate(member, block), or medchain.rekey() with an earlier '
                    'last_height.'
                ELSE 'See medchain.forks, and ask the others which of them they have.' END
    FROM (SELECT DISTINCT ON (x.member) x.* FROM forks x WHERE x.state LIKE 'open%'
          ORDER BY x.member, x.height, x.proven, x.entry) f
    UNION ALL
    SELECT q.origin, CASE WHEN q.signed THEN 'error' ELSE 'warning' END,
           format('%s blocks in its name are in quarantine, from %s%s: %s', q.count, q.sources,
                  CASE WHEN q.signed THEN ', signed with its key' ELSE '' END, q.reason),
           CASE WHEN q.early THEN 'Its clock is ahead, or this server''s is behind: compare them. '
                    'They are taken when their time has come; see medchain.max_clock_skew.'
                WHEN q.signed THEN 'It contradicts itself, or its key is in other hands: see '
                    'medchain.quarantine, and tell the data centre.'
                ELSE 'See medchain.quarantine; ask whoever sent them.' END
    FROM (SELECT x.origin, x.signed, x.early, count(*),
                 some_of(array_agg(DISTINCT x.source)) AS sources,
                 left((array_agg(x.reason ORDER BY x.id DESC))[1], 200) AS reason
          FROM (SELECT y.origin, y.reason = 'sealed in the future' AS early, y.signed
                       AND y.reason <> 'sealed in the future' AND NOT is_carriers(y) AS signed,
                       y.source, y.reason, y.id, dense_rank() OVER (ORDER BY y.origin) AS rank
                FROM quarantine y) x
          WHERE x.rank <= 20 GROUP BY x.origin, x.signed, x.early) q
    UNION ALL
    SELECT c.origin, CASE c.state WHEN 'own' THEN 'error' ELSE 'warning' END,
           CASE c.state WHEN 'own' THEN format('its oldest entry has waited %s s to be sealed',
                        floor(extract(epoch FROM c.lag)))
                ELSE format('%s, for %s s', c.state, floor(extract(epoch FROM c.lag))) END,
           CASE c.state WHEN 'held, gap' THEN 'It mends itself when earlier blocks arrive; else '
                            'medchain.resync().'
                        WHEN 'held, not configured' THEN 'An end node has to call '
                            'medchain.configure_ledger().'
                        WHEN 'held, certificate' THEN 'The data centre''s chain has to arrive '
                            'that has its certificate.'
                        ELSE 'See medchain.stat.' END
    FROM chain_now c
    WHERE (c.state = 'own' OR c.state LIKE 'held%') AND c.lag > interval '1 minute'
        AND NOT pg_is_in_recovery()
    UNION ALL
    SELECT some_of(array_agg(c.origin)), 'notice',
           'verify() has not been through all of it in the last 31 days',
           'SELECT * FROM medchain.verify() WHERE NOT ok;'
    FROM chain_now c
    WHERE c.height IS NOT NULL AND NOT pg_is_in_recovery()
        AND coalesce(c.verified, '-infinity') < now() - interval '31 days'
    HAVING count(*) > 0
$$;
COMMENT ON FUNCTION medchain_internal.check_ledger() IS
    'internal, check(): chains that stand still, what was refused of them, and what nobody has '
    'verified';

CREATE FUNCTION medchain_internal.check_access(OUT subject text, OUT severity text,
    OUT finding text, OUT hint text) RETURNS SETOF record
    LANGUAGE plpgsql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT b.member, CASE WHEN min(b.until) < now() - interval '7 days' THEN 'warning'
               ELSE 'notice' END,
           format('it has broken the glass %s times without saying why since; first on %s',
                  count(*), ledger_time(min(b."from"))),
           format('"%s" has to call medchain.justify(); see medchain.unjustified.', b.member)
    FROM unjustified b GROUP BY b.member;

    RETURN QUERY
    SELECT some_of(array_agg(c.origin)), 'notice', format('payloads of %s entries are not here: '
               'accesses among them were not looked at', sum(c.absent)),
           'medchain.fetch_payloads() gets them; or follow these members with the payloads of '
           'access as well.'
    FROM chain c WHERE c.absent > 0 HAVING count(*) > 0;

    -- to judge accesses takes going through all of them
    IF (SELECT c.reltuples FROM pg_class c WHERE c.oid = 'entry'::regclass) > 200000 THEN
        subject := 'accesses';
        severity := 'notice';
        finding := 'there are so many that they were not looked at';
        hint := 'SELECT * FROM medchain.unauthorised;';
        RETURN NEXT;
        RETURN;
    END IF;
    RETURN QUERY
    SELECT u.origin, 'error', format('%s accesses to records that it holds, by %s, were covered '
               'by no protocol; the last one: %s', count(*), some_of(array_agg(DISTINCT u.member)),
               left((array_agg(u.reason ORDER BY u.seq DESC))[1], 200)),
           'See medchain.unauthorised.'
    FROM uncovered() u GROUP BY u.origin;
END
$$;
COMMENT ON FUNCTION medchain_internal.check_access() IS
    'internal, check(): accesses that nothing covered, or that nobody has justified';

CREATE FUNCTION medchain_internal.troubles(OUT area text, OUT subject text, OUT finding text)
    RETURNS SETOF record
    LANGUAGE sql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT t.area, coalesce(left(t.subject, 200), ''), left(t.finding, 500)
    FROM (SELECT 'workers' AS area, w.* FROM check_workers() w
          UNION ALL SELECT 'slots', s.* FROM check_slots() s
          UNION ALL SELECT 'peers', p.* FROM check_peers() p
          UNION ALL SELECT 'forks', f.member, 'error',
                        format('it has signed two blocks of height %s', f.height), NULL
              FROM (SELECT x.member, min(x.height) AS height FROM forks x
                    WHERE x.state LIKE 'open%' GROUP BY x.member) f
          UNION ALL SELECT 'quarantine', q.origin, 'error', format('from "%s": %s',
                        q.source, q.reason), NULL
              FROM (SELECT DISTINCT ON (x.origin) x.origin, x.source, x.reason FROM quarantine x
                    ORDER BY x.origin, x.id DESC) q) t
    WHERE t.severity <> 'notice' LIMIT 200
$$;
COMMENT ON FUNCTION medchain_internal.troubles() IS
    'internal: findings of check() that come from one moment to the next, for those who listen';

CREATE FUNCTION medchain.check(OUT area text, OUT subject text, OUT severity text,
    OUT finding text, OUT hint text) RETURNS SETOF record
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
        SET search_path = medchain, medchain_internal, pg_temp SET lock_timeout = '500ms'
AS $$
BEGIN
    FOREACH area IN ARRAY ARRAY['node', 'settings', 'keys', 'certificates', 'workers', 'slots',
            'peers', 'pg_hba', 'replication', 'roles', 'tables', 'ledger', 'access'] LOOP
        -- without the library, which is an error of the settings, there are neither
        CONTINUE WHEN area IN ('keys', 'workers') AND NOT is_preloaded();
        BEGIN
            RETURN QUERY EXECUTE format('SELECT %L::text, c.* FROM medchain_internal.check_%s() c '
                'ORDER BY array_position(''{error, warning, notice}'', c.severity), '
                'c.subject COLLATE "C", c.finding COLLATE "C"', area, area);
        EXCEPTION WHEN OTHERS THEN
            -- one thing that cannot be looked at must not hide the others
            subject := NULL;
            severity := 'warning';
            finding := format('it could not be looked at: %s', SQLERRM);
            hint := format('SELECT * FROM medchain_internal.check_%s(); as a superuser says more.',
                area);
            RETURN NEXT;
        END;
    END LOOP;
END
$$;
COMMENT ON FUNCTION medchain.check() IS
    'everything that can be seen to be wrong on this node, or soon will be, and what to do about '
    'it; severity: error (something does not work, or is open), warning (it will be, or could '
    'be), notice (to know). No row: all is well';
