/*
 * peer.sql: subscribing to each other's chains, one call each.
 */

CREATE FUNCTION medchain_internal.remote_call(conninfo text, query text) RETURNS text
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'medchain_remote_call';
COMMENT ON FUNCTION medchain_internal.remote_call(text, text) IS
    'internal: run a query in a peer''s database; its one value';
CREATE FUNCTION medchain_internal.remote_create_slot(conninfo text, slot text, leftovers text[])
    RETURNS void
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'medchain_remote_create_slot';
COMMENT ON FUNCTION medchain_internal.remote_create_slot(text, text, text[]) IS
    'internal: make a logical replication slot in a peer''s database; leftovers: names of ours to '
    'drop if nobody uses them';

CREATE FUNCTION medchain_internal.create_subscription(name name, conninfo text, publication text,
    failover boolean, is_binary boolean) RETURNS void
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'medchain_create_subscription';
COMMENT ON FUNCTION medchain_internal.create_subscription(name, text, text, boolean, boolean) IS
    'internal: CREATE SUBSCRIPTION to a peer''s publication, through the slot of the same name; no '
    'statement has the connection string in it';

CREATE FUNCTION medchain_internal.payload_kinds(payloads text[]) RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN payloads <> '{all}'
        THEN array_remove(medchain_internal.fold_kinds() || 'witness'::text || payloads,
            'governance') END;
COMMENT ON FUNCTION medchain_internal.payload_kinds(text[]) IS
    'internal: kinds of entries whose payloads are taken; null: of all';

-- Slots share one namespace per server: the readable part is cut, the hash keeps them apart.  The
-- spare is for resync(),
-- which needs the new one before the old one is gone.
CREATE FUNCTION medchain_internal.slot_name(alliance text, subscriber text, publisher text,
    spare boolean
    DEFAULT false) RETURNS name
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
        SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT 'medchain_' || left(regexp_replace(lower(subscriber COLLATE "C"), '[^a-z0-9]', '_',
        'g'), 20)
        || '_' || left(encode(sha256(convert_to(alliance || '/' || subscriber || '/' || publisher,
            'UTF8')), 'hex'), 8)
        || CASE WHEN spare THEN '_r' ELSE '' END
$$;
COMMENT ON FUNCTION medchain_internal.slot_name(text, text, text, boolean) IS
    'internal: name of the slot through which one member follows another''s chain';

-- What followers compute themselves is not sent: the columns that are an index over payload or
-- note, and, to those who take all payloads, the leaf hashes.
CREATE FUNCTION medchain_internal.drop_publications(base name) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    publication name;
BEGIN
    FOR publication IN SELECT p.pubname FROM pg_publication p
            WHERE p.pubname = drop_publications.base
                OR p.pubname ~ ('^' || left(drop_publications.base, 54) || '_[0-9a-f]{8}$') LOOP
        EXECUTE format('DROP PUBLICATION %I', publication);
    END LOOP;
END
$$;
COMMENT ON FUNCTION medchain_internal.drop_publications(name) IS
    'internal: drop this publication, and those of parts of it';

CREATE FUNCTION medchain_internal.publish_chains(publication name, chains text, kinds text[])
    RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
AS $$
BEGIN
    EXECUTE format('CREATE PUBLICATION %I FOR TABLE medchain.entry (origin, seq, payload) '
        'WHERE (%s), medchain.block (origin, height, note, kinds, kinds_note%s) WHERE (%s) '
        'WITH (publish = ''insert'')', publish_chains.publication,
        concat_ws(' AND ', publish_chains.chains,
            'kind = ANY (' || quote_literal(publish_chains.kinds) || '::text[])'),
        CASE WHEN publish_chains.kinds IS NULL THEN '' ELSE ', leaves' END, publish_chains.chains);
END
$$;
COMMENT ON FUNCTION medchain_internal.publish_chains(name, text, text[]) IS
    'internal: a publication of the chains that this condition chooses, with the payloads of these '
    'kinds, or (null) all';

CREATE FUNCTION medchain_internal.publish_own_chain() RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    self text := (SELECT node FROM local_node);
BEGIN
    IF current_setting('wal_level') <> 'logical' THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = 'wal_level must be "logical" to share the ledger with other members',
            HINT = 'Set wal_level = logical in postgresql.conf and restart the server.';
    END IF;
    -- what comes of a dump of the schema alone
    IF EXISTS (SELECT FROM pg_publication p WHERE p.pubname = 'medchain' AND NOT p.puballtables
               AND NOT EXISTS (SELECT FROM pg_publication_rel r WHERE r.prpubid = p.oid)) THEN
        DROP PUBLICATION medchain;
    END IF;
    PERFORM publish_chains('medchain', format('origin = %L', self), NULL);
END
$$;
COMMENT ON FUNCTION medchain_internal.publish_own_chain() IS
    'internal: publish this node''s chain, and nothing else, for peers to subscribe to';

-- A hub's publication for one of those who follow it is called like his slot: so he finds it.
CREATE FUNCTION medchain.relay(member text, enabled boolean DEFAULT true) RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
        SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    local local_node := require_node(NULL, 'relay()');
    publication name;
BEGIN
    PERFORM require_writable();
    IF relay.member IS NULL OR relay.enabled IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'member and enabled must not be null';
    END IF;
    IF relay.member = local.node
        OR NOT EXISTS (SELECT FROM member m WHERE m.name = relay.member) THEN
        RAISE invalid_parameter_value USING
            MESSAGE = format('"%s" is no other member of the alliance', shown(relay.member));
    END IF;
    publication := slot_name(local.alliance, relay.member, local.node);
    PERFORM drop_publications(publication);
    IF relay.enabled THEN
        PERFORM publish_chains(publication, format('origin <> %L', relay.member), NULL);
    END IF;
    RAISE NOTICE USING
        MESSAGE = format('"%s" gets %s as soon as it connects, or calls medchain.resync(%L)',
            relay.member, CASE WHEN relay.enabled THEN 'all chains but its own' ELSE
            'the chain of this node alone' END, local.node);
END
$$;
COMMENT ON FUNCTION medchain.relay(text, boolean) IS
    'be the hub of a member that follows this node: pass on to it all chains that are here, but '
    'its own; enabled => false: this node''s own chain alone, as before';

-- What pg_dump leaves of a publication is its name.
CREATE FUNCTION medchain_internal.renew_publications() RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    relay record;
    relays jsonb := (SELECT jsonb_object_agg(p.pubname, m.name)
        FROM pg_publication p CROSS JOIN local_node n
             JOIN member m ON p.pubname = slot_name(n.alliance, m.name, n.node));
BEGIN
    DROP PUBLICATION IF EXISTS medchain;
    PERFORM drop_relays();
    PERFORM publish_own_chain();
    FOR relay IN SELECT r.key AS publication, r.value AS member FROM jsonb_each_text(relays) r LOOP
        PERFORM publish_chains(relay.publication::name, format('origin <> %L', relay.member), NULL);
    END LOOP;
END
$$;
COMMENT ON FUNCTION medchain_internal.renew_publications() IS
    'internal: after a restore: publish this node''s chain, and pass on all others to those whose '
    'hub it was; parts of them are offered when they are asked for';

CREATE FUNCTION medchain_internal.drop_relays() RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    publication name;
BEGIN
    FOR publication IN SELECT p.pubname FROM pg_publication p CROSS JOIN local_node n
            JOIN member m ON p.pubname = slot_name(n.alliance, m.name, n.node) LOOP
        PERFORM drop_publications(publication);
    END LOOP;
    PERFORM drop_publications('medchain');
END
$$;
COMMENT ON FUNCTION medchain_internal.drop_relays() IS
    'internal: pass nothing on any more, and offer no part of this node''s own chain';

-- Called by followers, before they make their slots: what is decoded from a slot on needs the
-- publication to have been there.
CREATE FUNCTION medchain.offer_payloads(member text, kinds text[]) RETURNS name
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
        SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    local local_node := require_node(NULL, 'offer_payloads()');
    relayed name := slot_name(local.alliance, offer_payloads.member, local.node);
    is_relayed boolean := EXISTS (SELECT FROM pg_publication p WHERE p.pubname = relayed);
    base name := CASE WHEN is_relayed THEN relayed ELSE 'medchain' END;
    chosen text[] := ARRAY(SELECT DISTINCT k COLLATE "C" FROM unnest(offer_payloads.kinds) k
        WHERE k IS NOT NULL ORDER BY 1);
    -- one of those who may follow us cannot use up what others may choose
    most CONSTANT int := CASE WHEN is_relayed THEN 10 ELSE 100 END;
    whose CONSTANT text := format('medchain: payloads chosen by "%s"', session_user);
    publication name;
BEGIN
    -- a slot of somebody's would hold back the WAL of a server that has left, or is about to
    IF current_setting('transaction_read_only') = 'off' THEN
        PERFORM FROM local_node FOR KEY SHARE;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_publication p WHERE p.pubname = base) THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('"%s" publishes no chain', local.node),
            HINT = 'It has left its alliance, and can be disconnected, or it is a copy that has '
                'not taken over.';
    END IF;
    IF offer_payloads.kinds IS NULL THEN
        RETURN base;
    END IF;
    IF cardinality(chosen) > 200 OR EXISTS (SELECT FROM unnest(chosen) k WHERE k !~
            '^[a-z][a-z0-9_.-]{0,62}$') THEN
        RAISE invalid_parameter_value USING
            MESSAGE = 'these are not kinds of entries',
            HINT = 'At most 200, each of up to 63 lower-case letters, digits, "_", "." and "-".';
    END IF;
    -- names are cut at 63 bytes
    publication := left(base, 54) || '_' || left(encode(sha256(convert_to(
        array_to_string(chosen, ',') || base, 'UTF8')), 'hex'), 8);
    IF NOT EXISTS (SELECT FROM pg_publication p WHERE p.pubname = publication) THEN
        PERFORM require_writable();
        IF (SELECT count(*) FROM pg_publication p WHERE p.pubname ~ ('^' || left(base, 54)
            || '_[0-9a-f]{8}$') AND obj_description(p.oid, 'pg_publication') = whose) >= most THEN
            RAISE configuration_limit_exceeded USING
                MESSAGE = format('"%s" has chosen payloads of publication "%s" in %s ways already',
                    session_user, base, most),
                HINT = format('At that server: drop those called %s_... that nobody subscribes to.',
                    left(base, 54));
        END IF;
        PERFORM publish_chains(publication, format(CASE WHEN is_relayed THEN 'origin <> %L'
            ELSE 'origin = %L' END, CASE WHEN is_relayed THEN offer_payloads.member
            ELSE local.node END), chosen);
        EXECUTE format('COMMENT ON PUBLICATION %I IS %L', publication, whose);
    END IF;
    RETURN publication;
END
$$;
COMMENT ON FUNCTION medchain.offer_payloads(text, text[]) IS
    'for peers: the publication by which a follower gets the chain with its leaf hashes, and the '
    'payloads of these kinds of entries alone; null: all';

CREATE FUNCTION medchain.peer_identity() RETURNS text
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = medchain, medchain_internal, pg_temp
    AS $$ SELECT jsonb_build_object('alliance', n.alliance, 'node', n.node, 'height',
        c.height)::text
          FROM local_node n LEFT JOIN chain c ON c.origin = n.node $$;
COMMENT ON FUNCTION medchain.peer_identity() IS 'for peers: which node this is, and the height '
    'of its newest block';

CREATE FUNCTION medchain_internal.offered_publication(conninfo text, node text, payloads text[])
    RETURNS name
    LANGUAGE sql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT remote_call(offered_publication.conninfo, format(
        'SELECT medchain.offer_payloads(%L, %L)::pg_catalog.text', offered_publication.node,
        payload_kinds(offered_publication.payloads)))::name
$$;
COMMENT ON FUNCTION medchain_internal.offered_publication(text, text, text[]) IS
    'internal: have a peer publish what is to be taken of its chain';

-- What is taken of a chain: everything, or governance and, by their kinds, other entries.
CREATE FUNCTION medchain_internal.check_payloads(payloads text[]) RETURNS text[]
    LANGUAGE plpgsql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    chosen text[] := ARRAY(SELECT DISTINCT k COLLATE "C" FROM unnest(coalesce(
        check_payloads.payloads, regexp_split_to_array(btrim(
            coalesce(current_setting('medchain.payloads', true), 'all')), ' *, *'))) k
        WHERE k IS DISTINCT FROM '' ORDER BY 1);
BEGIN
    IF chosen = '{all}' THEN
        RETURN chosen;
    END IF;
    IF cardinality(chosen) = 0 OR 'all' = ANY (chosen) OR cardinality(chosen) > 100
        OR EXISTS (SELECT FROM unnest(chosen) k WHERE k IS NULL
            OR k !~ '^[a-z][a-z0-9_.-]{0,62}$') THEN
        RAISE invalid_parameter_value USING
            MESSAGE = 'payloads must be {all}, {governance}, or kinds of entries',
            DETAIL = format('It is %s.', shown(chosen::text)),
            HINT = 'For example {access,row.set}; those of governance are taken in any case.';
    END IF;
    RETURN ARRAY['governance'] || array_remove(chosen, 'governance');
END
$$;
COMMENT ON FUNCTION medchain_internal.check_payloads(text[]) IS
    'internal: what payloads are to be taken, in one spelling; null: as medchain.payloads says';

-- Subscribe to a member's chain; it was checked before that this is the member.  Its slot is there
-- already: the caller makes it before he writes anything, as a slot waits for the transactions
-- under way on its server, and a server can hold several nodes.
CREATE FUNCTION medchain_internal.subscribe_to(member text, conninfo text, slot name,
    payloads text[]) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    -- since 17 a standby of the peer can keep the slot, and be followed when it takes over; it
    -- takes a subscriber that knows of it
    publication name;
    failover boolean := least(current_setting('server_version_num')::int,
        remote_call(subscribe_to.conninfo,
            'SELECT pg_catalog.current_setting(''server_version_num'')')::int) >= 170000;
    foreign_tables text;
BEGIN
    INSERT INTO peer (member, conninfo, subscription, slot, payloads) VALUES (subscribe_to.member,
        subscribe_to.conninfo, subscribe_to.slot, subscribe_to.slot, subscribe_to.payloads);
    publication := offered_publication(subscribe_to.conninfo, (SELECT node FROM local_node),
        subscribe_to.payloads);
    IF publication IS NULL OR publication !~ '^medchain' THEN
        RAISE protocol_violation USING
            MESSAGE = format('"%s" offers no publication of its chain', subscribe_to.member);
    END IF;
    -- as texts, leaf hashes would have twice their length
    PERFORM create_subscription(subscribe_to.slot, subscribe_to.conninfo, publication::text,
        failover, subscribe_to.payloads <> '{all}');

    -- the peer decides what its publication holds, and the subscription would write it with a
    -- superuser's rights
    SELECT string_agg(r.srrelid::regclass::text, ', ') INTO foreign_tables
        FROM pg_subscription_rel r JOIN pg_subscription s ON s.oid = r.srsubid
        WHERE s.subname = subscribe_to.slot AND s.subdbid = (SELECT d.oid FROM pg_database d
            WHERE d.datname = current_database())
        AND r.srrelid NOT IN ('medchain.entry'::regclass, 'medchain.block'::regclass);
    IF foreign_tables IS NOT NULL THEN
        RAISE insufficient_privilege USING
            MESSAGE = format('"%s" publishes more than its chain', subscribe_to.member),
            DETAIL = format('Its publication "medchain" would also write into %s.', foreign_tables);
    END IF;
    PERFORM warn_of_shortages();
END
$$;
COMMENT ON FUNCTION medchain_internal.subscribe_to(text, text, name, text[]) IS
    'internal: subscription and peer for a member''s chain';

-- For the subscription of a slot that is not ours any more.  While DROP SUBSCRIPTION waits, who
-- applies what other peers send, or starts to, waits behind it: so it waits for moments only.
CREATE FUNCTION medchain_internal.drop_subscription(name name) RETURNS void
    LANGUAGE plpgsql VOLATILE
        SET search_path = medchain, medchain_internal, pg_temp SET lock_timeout = '200ms'
AS $$
DECLARE
    holders text;
BEGIN
    EXECUTE format('ALTER SUBSCRIPTION %I DISABLE', drop_subscription.name);
    EXECUTE format('ALTER SUBSCRIPTION %I SET (slot_name = NONE)', drop_subscription.name);
    FOR try IN 1 .. 10 LOOP
        BEGIN
            EXECUTE format('DROP SUBSCRIPTION %I', drop_subscription.name);
            RETURN;
        EXCEPTION WHEN lock_not_available THEN
            PERFORM pg_sleep(0.2);
        END;
    END LOOP;
    SELECT string_agg(DISTINCT format('process %s (%s)', l.pid, a.usename), ', ') INTO holders
        FROM pg_locks l JOIN pg_stat_activity a USING (pid)
        WHERE l.relation = 'pg_subscription'::regclass AND l.granted
        AND l.pid <> pg_backend_pid();
    RAISE lock_not_available USING
        MESSAGE = format('subscription "%s" cannot be dropped while others look at '
            'pg_subscription', drop_subscription.name),
        DETAIL = format('These do: %s.', coalesce(holders, 'nobody any more')),
        HINT = 'Try again when their transactions have ended, or end them by '
            'pg_terminate_backend().';
END
$$;
COMMENT ON FUNCTION medchain_internal.drop_subscription(name) IS
    'internal: drop a subscription, without its slot at the peer';

CREATE FUNCTION medchain_internal.prepare_peer(member text, conninfo text, used name,
    payloads text[]) RETURNS name
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    local local_node := require_node(NULL, 'connect_peer()');
    answer jsonb;
    slot name;
BEGIN
    PERFORM require_writable();     -- before a slot is made there
    IF prepare_peer.member IS NULL OR prepare_peer.conninfo IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'member and conninfo must not be null';
    END IF;
    IF prepare_peer.member = local.node THEN
        RAISE invalid_parameter_value USING MESSAGE = 'a node does not connect to itself';
    END IF;
    IF NOT name_valid(prepare_peer.member) THEN
        RAISE invalid_name USING MESSAGE = format('"%s" cannot be a member''s name',
            shown(prepare_peer.member));
    END IF;
    IF prepare_peer.used IS NULL
        AND EXISTS (SELECT FROM peer p WHERE p.member = prepare_peer.member) THEN
        RAISE duplicate_object USING
            MESSAGE = format('"%s" is connected already', prepare_peer.member),
            HINT = 'Call medchain.disconnect_peer() first to change the connection.';
    END IF;
    answer := remote_call(prepare_peer.conninfo, 'SELECT medchain.peer_identity()')::jsonb;
    IF answer IS NULL THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = 'the peer''s database is not a node of an alliance',
            HINT = 'It has to call medchain.join_alliance() first; is dbname the right one?';
    ELSIF answer ->> 'alliance' IS DISTINCT FROM local.alliance OR answer ->> 'node' IS DISTINCT
        FROM prepare_peer.member THEN
        RAISE invalid_parameter_value USING
            MESSAGE = format('the peer is not "%s" of alliance "%s"', prepare_peer.member,
                local.alliance),
            DETAIL = format('It says that it is "%s" of alliance "%s".', shown(answer ->> 'node'),
                shown(answer ->> 'alliance'));
    END IF;
    slot := slot_name(local.alliance, local.node, prepare_peer.member,
        spare => coalesce(prepare_peer.used = slot_name(local.alliance, local.node,
            prepare_peer.member), false));
    PERFORM offered_publication(prepare_peer.conninfo, local.node, prepare_peer.payloads);
    PERFORM remote_create_slot(prepare_peer.conninfo, slot, CASE WHEN prepare_peer.used IS NULL
        THEN ARRAY[slot, slot_name(local.alliance, local.node, prepare_peer.member,
            spare => true)] ELSE ARRAY[slot] END);
    RETURN slot;
END
$$;
COMMENT ON FUNCTION medchain_internal.prepare_peer(text, text, name, text[]) IS
    'internal: make sure that this is the member, and a slot there for subscribe_to(), beside the '
    'one that is used';

CREATE FUNCTION medchain.connect_peer(member text, conninfo text,
    payloads text[] DEFAULT '{all}') RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
        SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    chosen text[] := check_payloads(connect_peer.payloads);
BEGIN
    PERFORM subscribe_to(connect_peer.member, connect_peer.conninfo,
        prepare_peer(connect_peer.member, connect_peer.conninfo, NULL, chosen), chosen);
END
$$;
COMMENT ON FUNCTION medchain.connect_peer(text, text, text[]) IS
    'follow a member''s chain from now on; conninfo: a libpq connection string to its database, as '
    'a login with REPLICATION in medchain_peer; use sslmode=verify-full. payloads: {all}, '
    '{governance} (what the state depends on), or that and the kinds of entries named; of the '
    'others the leaf hashes come, with which all of the chain is verified';

CREATE FUNCTION medchain_internal.remote_drop_slots(conninfo text, slots text[]) RETURNS text
    LANGUAGE sql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT remote_call(remote_drop_slots.conninfo, format(
        'SELECT pg_catalog.count(pg_catalog.pg_drop_replication_slot(slot_name))'
        '::pg_catalog.text FROM pg_catalog.pg_replication_slots '
        'WHERE slot_name OPERATOR(pg_catalog.=) ANY (%L::pg_catalog.name[])',
        remote_drop_slots.slots))
$$;
COMMENT ON FUNCTION medchain_internal.remote_drop_slots(text, text[]) IS
    'internal: drop those of these slots that are in a peer''s database; how many';

CREATE FUNCTION medchain_internal.lock_peers(wait boolean) RETURNS boolean
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'medchain_lock_peers';
COMMENT ON FUNCTION medchain_internal.lock_peers(boolean) IS
    'internal: be the only one who makes and drops slots at peers, to the end of the transaction; '
    'false: another one is, and was not to be waited for';

-- The subscription goes at once; the slot at the peer when it can be reached.
CREATE FUNCTION medchain_internal.unsubscribe(member text, but_slot name) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    p peer;
    slots text[];
BEGIN
    -- or a resync() under way makes another slot there, which nobody drops
    PERFORM lock_peers(wait => true);
    SELECT * INTO p FROM peer x WHERE x.member = unsubscribe.member FOR UPDATE;
    IF NOT FOUND THEN
        RAISE undefined_object USING
            MESSAGE = format('"%s" is not connected', shown(unsubscribe.member)),
            HINT = 'See the view medchain.peers.';
    END IF;
    -- with what a resync() that failed may have left there
    SELECT array_remove(ARRAY[p.slot, slot_name(n.alliance, n.node, p.member),
        slot_name(n.alliance, n.node, p.member, spare => true)], but_slot) INTO slots
        FROM local_node n;
    IF EXISTS (SELECT FROM pg_subscription s WHERE s.subname = p.subscription
        AND s.subdbid = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())) THEN
        PERFORM drop_subscription(p.subscription);
    END IF;
    DELETE FROM peer x WHERE x.member = unsubscribe.member;
    BEGIN
        -- the walsender notices in a moment that its client is gone
        FOR i IN 1 .. 100 LOOP
            EXIT WHEN remote_call(p.conninfo, format(
                'SELECT count(*) FILTER (WHERE active)::text FROM pg_catalog.pg_replication_slots '
                'WHERE slot_name = ANY (%L)', slots)) = '0';
            PERFORM pg_sleep(0.1);
        END LOOP;
        PERFORM remote_drop_slots(p.conninfo, slots);
    EXCEPTION WHEN connection_exception OR object_in_use THEN
        RAISE WARNING USING
            MESSAGE = format('replication slot "%s" could not be dropped at "%s": %s', p.slot,
                p.member, SQLERRM),
            HINT = format('Until SELECT pg_drop_replication_slot(%L) is run there, it holds back '
                'that server''s WAL.', p.slot);
    END;
END
$$;
COMMENT ON FUNCTION medchain_internal.unsubscribe(text, name) IS
    'internal: drop the subscription to a member''s chain, and our slots there but for one';

CREATE FUNCTION medchain.disconnect_peer(member text) RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
        SET search_path = medchain, medchain_internal, pg_temp
AS $$
BEGIN
    PERFORM require_writable();
    PERFORM require_home();     -- the slot is that of the node
    PERFORM unsubscribe(disconnect_peer.member, NULL);
END
$$;
COMMENT ON FUNCTION medchain.disconnect_peer(text) IS
    'stop following a member''s chain: drop the subscription, and the slot at the peer; what has '
    'arrived stays';

CREATE FUNCTION medchain.resync(origin text) RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
        SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    p peer;
    local local_node;
    slot name;
BEGIN
    PERFORM require_writable();
    PERFORM require_home();
    PERFORM lock_peers(wait => true);
    SELECT * INTO p FROM peer x WHERE x.member = resync.origin;
    IF NOT FOUND THEN
        RAISE undefined_object USING
            MESSAGE = format('"%s" is not connected', shown(resync.origin)),
            HINT = 'Call medchain.connect_peer().';
    END IF;
    SELECT * INTO local FROM local_node;
    slot := slot_name(local.alliance, local.node, p.member);
    IF p.slot = slot THEN
        slot := slot_name(local.alliance, local.node, p.member, spare => true);
    END IF;
    PERFORM offered_publication(p.conninfo, local.node, p.payloads);
    PERFORM remote_create_slot(p.conninfo, slot, ARRAY[slot]);
    BEGIN
        PERFORM unsubscribe(resync.origin, slot);
        PERFORM subscribe_to(p.member, p.conninfo, slot, p.payloads);
        UPDATE peer x SET options = p.options WHERE x.member = p.member;
    EXCEPTION WHEN OTHERS THEN
        -- slots do not take part in transactions
        BEGIN
            PERFORM remote_drop_slots(p.conninfo, ARRAY[slot]);
        EXCEPTION WHEN connection_exception OR object_in_use THEN
            NULL;       -- disconnect_peer() will try again
        END;
        RAISE;
    END;
END
$$;
COMMENT ON FUNCTION medchain.resync(text) IS
    'fetch a member''s chain anew from its database; what is known already is compared, not taken '
    'twice';

-- Until the peers disconnect as well, they come back after each try to throw them out.
CREATE FUNCTION medchain_internal.drop_slots() RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    slot name;
BEGIN
    FOR slot IN SELECT slot_name FROM pg_replication_slots
                WHERE database = current_database() AND plugin = 'pgoutput'
                    AND slot_name ^@ 'medchain_' LOOP
        FOR try IN 1 .. 100 LOOP
            BEGIN
                PERFORM pg_terminate_backend(s.active_pid, 10000) FROM pg_replication_slots s
                    WHERE s.slot_name = slot AND s.active_pid IS NOT NULL;
                PERFORM pg_drop_replication_slot(slot);
                EXIT;
            EXCEPTION WHEN object_in_use THEN
                IF try = 100 THEN
                    RAISE;
                END IF;
            END;
        END LOOP;
    END LOOP;
END
$$;
COMMENT ON FUNCTION medchain_internal.drop_slots() IS
    'internal: drop the slots through which peers follow this node';

CREATE FUNCTION medchain.leave_alliance() RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
        SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    name text;
BEGIN
    PERFORM require_writable();
    PERFORM require_node(NULL, 'leave_alliance()');
    FOR name IN SELECT member FROM peer LOOP
        PERFORM disconnect_peer(name);
    END LOOP;
    PERFORM FROM local_node FOR UPDATE;     -- see offer_payloads()
    PERFORM drop_relays();
    PERFORM drop_slots();
END
$$;
COMMENT ON FUNCTION medchain.leave_alliance() IS
    'drop all subscriptions, slots and the publication, so that DROP EXTENSION leaves nothing '
    'behind; the ledger stays here, and our chain with the others';
