/*
 * await.sql: waiting for what other members have said.
 *
 * What a call needs may be on its way: the contract of this node in the moment it has
 * joined, a member or a protocol that somebody has just told of.  So before a call
 * fails for want of it, it asks its peers how far their chains go, and waits until they
 * are here: exactly as long as that takes, and where nothing is on its way not at all.
 */

-- Every chain that we follow is here as far as its member had it when we asked; at most
-- medchain.seal_timeout.
CREATE FUNCTION medchain_internal.catch_up() RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    patience CONSTANT interval := current_setting('medchain.seal_timeout')::interval;
    give_up CONSTANT timestamptz := clock_timestamp() + patience;
    started timestamptz;
    p record;
    height bigint;
BEGIN
    -- with one snapshot for all of it, or before its join is committed, a transaction would see
    -- nothing arrive
    IF current_setting('transaction_isolation') <> 'read committed'
       OR EXISTS (SELECT FROM local_node n
           WHERE n.xmin = pg_current_xact_id_if_assigned()::xid) THEN
        RETURN;
    END IF;
    FOR p IN SELECT x.member, x.conninfo, x.subscription FROM peer x CROSS JOIN local_node n
             ORDER BY x.member <> n.data_center, x.member COLLATE "C" LOOP
        BEGIN
            height := (remote_call(p.conninfo, 'SELECT '
                'medchain.peer_identity()')::jsonb ->> 'height')::bigint;
        EXCEPTION WHEN connection_exception OR insufficient_privilege THEN
            CONTINUE;       -- who cannot be reached cannot be waited for
        END;
        started := clock_timestamp();
        -- not for a chain that stands still: nobody has configured it, something is wrong with it,
        -- nobody fetches it
        WHILE chain_behind(p.member, height) AND (patience = interval '0'
            OR clock_timestamp() < give_up)
              AND (clock_timestamp() < started + interval '5 s'
                   OR EXISTS (SELECT FROM pg_stat_subscription s WHERE s.subname = p.subscription
                       AND s.pid IS NOT NULL)) LOOP
            PERFORM pg_sleep(0.02);
        END LOOP;
    END LOOP;
END
$$;
COMMENT ON FUNCTION medchain_internal.catch_up() IS
    'internal: wait until what peers have sealed by now is here, at most medchain.seal_timeout';

CREATE FUNCTION medchain_internal.chain_behind(origin text, height bigint) RETURNS boolean
    LANGUAGE sql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT coalesce((SELECT c.height FROM chain c WHERE c.origin = $1), -1) < $2
        AND ($1 = (SELECT n.data_center FROM local_node n)
             OR EXISTS (SELECT FROM member m WHERE m.name = $1 AND m.ledger_key IS NOT NULL
                 AND m.expelled IS NULL))
        AND NOT EXISTS (SELECT FROM quarantine q WHERE q.origin = $1)
$$;
COMMENT ON FUNCTION medchain_internal.chain_behind(text, bigint) IS
    'internal: is a chain that moves on here not here up to this height?';

CREATE FUNCTION medchain_internal.await_own_part() RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
AS $$
BEGIN
    -- by the key, whatever the planner knows of these tables: a thousand members are not read
    IF NOT EXISTS (SELECT FROM member m WHERE m.name = (SELECT n.node FROM local_node n)
        AND m.accepted AND m.ledger_key IS NOT NULL) THEN
        PERFORM catch_up();
    END IF;
END
$$;
COMMENT ON FUNCTION medchain_internal.await_own_part() IS
    'internal: where this node is no member with a ledger yet, wait for what the others have said';

CREATE FUNCTION medchain_internal.await_members(names text[]) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    wanted text;
BEGIN
    -- one by one: of an array the planner would make a new plan each time
    FOREACH wanted IN ARRAY await_members.names LOOP
        IF wanted <> '' AND NOT EXISTS (SELECT FROM member m WHERE m.name = wanted) THEN
            PERFORM catch_up();
            RETURN;
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION medchain_internal.await_members(text[]) IS
    'internal: where one of these is no member here, wait for what the others have said';

CREATE FUNCTION medchain_internal.await_protocol(protocol uuid) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
AS $$
BEGIN
    IF await_protocol.protocol IS NOT NULL
       AND NOT EXISTS (SELECT FROM medchain.protocol p WHERE p.id = await_protocol.protocol) THEN
        PERFORM catch_up();
    END IF;
END
$$;
COMMENT ON FUNCTION medchain_internal.await_protocol(uuid) IS
    'internal: where there is no such protocol here, wait for what the others have said';
