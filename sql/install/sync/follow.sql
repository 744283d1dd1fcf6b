/*
 * follow.sql: members' addresses, and following them all.
 *
 * The ledger says where a member's database is (announce()), medchain.peer_options, which only
 * superusers see, as whom and with which certificate this node connects.
 */

CREATE FUNCTION medchain_internal.conninfo_options(conninfo text, OUT keyword text, OUT value text)
    RETURNS SETOF record
    LANGUAGE c IMMUTABLE STRICT AS 'MODULE_PATHNAME', 'medchain_conninfo_options';
COMMENT ON FUNCTION medchain_internal.conninfo_options(text) IS
    'internal: what a libpq connection string sets, by itself';

CREATE FUNCTION medchain_internal.conninfo_of(options jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT string_agg(format('%s=''%s''', o.key, replace(replace(o.value, E'\\', E'\\\\'),
                             '''', E'\\''')), ' ' ORDER BY o.key COLLATE "C")
    FROM jsonb_each_text(conninfo_of.options) o
$$;
COMMENT ON FUNCTION medchain_internal.conninfo_of(jsonb) IS
    'internal: a libpq connection string that sets this';

CREATE VIEW medchain.addresses AS
SELECT DISTINCT ON (c.origin) c.origin AS member, c.body ->> 'host' AS host,
       c.body ->> 'hostaddr' AS hostaddr, c.body ->> 'port' AS port, c.body ->> 'dbname' AS dbname,
       c."time" AS since, c.id AS entry
FROM medchain.claim c WHERE c.kind = 'address' AND c.effective
ORDER BY c.origin, c.seq DESC;
COMMENT ON VIEW medchain.addresses IS
    'where each member''s database is, as the member has said last (announce())';

CREATE FUNCTION medchain.announce(conninfo text) RETURNS uuid
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
        SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    allowed CONSTANT text[] := '{host, hostaddr, port, dbname}';
    options jsonb;
    others text;
BEGIN
    PERFORM require_node(NULL, 'announce()'), require_writable();
    IF announce.conninfo IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'conninfo must not be null';
    END IF;
    SELECT jsonb_object_agg(o.keyword, o.value), string_agg(o.keyword, ', '
            ORDER BY o.keyword COLLATE "C") FILTER (WHERE o.keyword <> ALL (allowed))
        INTO options, others FROM conninfo_options(announce.conninfo) o;
    IF others IS NOT NULL THEN
        RAISE invalid_parameter_value USING
            MESSAGE = format('%s does not belong into an address', others),
            DETAIL = 'The ledger goes to everybody, for ever. An address is host, hostaddr, port '
                'and dbname; how to log in is each follower''s own affair: '
                'medchain.peer_options.';
    END IF;
    IF NOT coalesce(options ? 'dbname' AND (options ? 'host' OR options ? 'hostaddr'), false) THEN
        RAISE invalid_parameter_value USING
            MESSAGE = 'an address has a dbname, and a host or hostaddr';
    END IF;
    -- the rule, in words: src/rules/address.c
    IF options ->> 'host' !~ '^[A-Za-z0-9_:][-A-Za-z0-9_.:]{0,252}$'
        OR options ->> 'hostaddr' !~ '^[0-9A-Fa-f:][0-9A-Fa-f.:]{0,252}$'
        OR options ->> 'port' !~ '^0*[1-9][0-9]{0,4}$' OR (options ->> 'port')::int > 65535
        OR length(options ->> 'port') > 5
        OR options ->> 'dbname' ~ ('[' || chr(1) || '-' || chr(31) || chr(127) || '=/"'''
            || repeat(chr(92), 2) || ']')
        OR octet_length(options ->> 'dbname') > 63 THEN
        RAISE invalid_parameter_value USING
            MESSAGE = 'this is no address that others can use',
            DETAIL = 'host is one name or address, not a directory or a list; port a number; '
                'dbname has at most 63 bytes, and no slash, backslash, quote or =.';
    END IF;
    RETURN append_governance('address', options);
END
$$;
COMMENT ON FUNCTION medchain.announce(text) IS
    'tell the alliance where this node''s database is: host, hostaddr, port and dbname, and never '
    'how to log in; the last one counts';

-- The address, what this node knows for all, and what it knows for this one: later ones win.
CREATE FUNCTION medchain_internal.follow_conninfo(member text, options text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    set jsonb := '{"sslmode": "verify-full", "connect_timeout": "10"}';
    address jsonb;
BEGIN
    SELECT jsonb_strip_nulls(jsonb_build_object('host', a.host, 'hostaddr', a.hostaddr, 'port',
            a.port, 'dbname', a.dbname)) INTO address
        FROM addresses a WHERE a.member = follow_conninfo.member;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    set := set || address || coalesce((SELECT jsonb_object_agg(o.keyword, o.value)
        FROM conninfo_options(nullif(btrim(current_setting('medchain.peer_options')), '')) o), '{}')
        || coalesce((SELECT jsonb_object_agg(o.keyword, o.value)
        FROM conninfo_options(nullif(btrim(follow_conninfo.options), '')) o), '{}');
    RETURN conninfo_of(set);
END
$$;
COMMENT ON FUNCTION medchain_internal.follow_conninfo(text, text) IS
    'internal: how this node connects to a member that has said where it is; null: it has not';

-- What others say of where they are may lead anywhere, to this very server too, and as a superuser
-- of it this node has no business there.
CREATE FUNCTION medchain_internal.prepare_follow(member text, conninfo text, used name,
    payloads text[]) RETURNS name
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
AS $$
BEGIN
    IF remote_call(prepare_follow.conninfo, 'SELECT r.rolsuper::pg_catalog.text FROM '
            'pg_catalog.pg_roles r WHERE r.rolname OPERATOR(pg_catalog.=) session_user')
            IS DISTINCT FROM 'false' THEN
        RAISE insufficient_privilege USING
            MESSAGE = 'the login at the peer is a superuser there',
            HINT = 'Name one in medchain.peer_options (user=...) that has REPLICATION, is a '
                'member of medchain_peer, and nothing else.';
    END IF;
    RETURN prepare_peer(prepare_follow.member, prepare_follow.conninfo, prepare_follow.used,
        prepare_follow.payloads);
END
$$;
COMMENT ON FUNCTION medchain_internal.prepare_follow(text, text, name, text[]) IS
    'internal: see prepare_peer(); for an address that the member has said itself';

CREATE FUNCTION medchain.follow(member text, payloads text[] DEFAULT NULL,
    options text DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
        SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    p peer;
    conninfo text;
    slot name;
    chosen text[] := check_payloads(follow.payloads);
BEGIN
    PERFORM require_node(NULL, 'follow()'), require_writable();
    IF follow.member IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'member must not be null';
    END IF;
    conninfo := follow_conninfo(follow.member, follow.options);
    IF conninfo IS NULL THEN
        RAISE undefined_object USING
            MESSAGE = format('"%s" has not said where its database is', shown(follow.member)),
            HINT = 'It calls medchain.announce(); or connect by medchain.connect_peer().';
    END IF;
    SELECT * INTO p FROM peer x WHERE x.member = follow.member;
    IF FOUND AND p.options IS NULL THEN
        RAISE duplicate_object USING
            MESSAGE = format('"%s" is connected already, by connect_peer()', follow.member),
            HINT = 'Call medchain.disconnect_peer() first to go by the member''s address.';
    ELSIF FOUND AND p.conninfo = conninfo AND p.payloads = chosen THEN
        RETURN;
    END IF;
    -- the old way stays until the new one is there
    slot := prepare_follow(follow.member, conninfo, p.slot, chosen);
    IF p.member IS NOT NULL THEN
        PERFORM disconnect_peer(follow.member);
    END IF;
    PERFORM subscribe_to(follow.member, conninfo, slot, chosen);
    UPDATE peer x SET options = coalesce(follow.options, '') WHERE x.member = follow.member;
END
$$;
COMMENT ON FUNCTION medchain.follow(text, text[], text) IS
    'follow a member''s chain, at the address that it has said last; payloads: see connect_peer(), '
    'null: as medchain.payloads says; options: a libpq connection string with what is another '
    'there than medchain.peer_options says. Called again, it takes up what has changed of these';

CREATE FUNCTION medchain_internal.may_be_followed(member text) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT EXISTS (SELECT FROM member m JOIN local_node n ON n.node <> m.name
                   WHERE m.name = may_be_followed.member AND m.ledger_key IS NOT NULL
                   AND m.expelled IS NULL AND m.ended IS NULL)
$$;
COMMENT ON FUNCTION medchain_internal.may_be_followed(text) IS
    'internal: has this member a chain, and more of it to come?';

-- Where somebody is stands on his chain, which may be with others by now.  In a transaction of a
-- worker's: the keeper writes there, and must not wait for a session.
CREATE FUNCTION medchain_internal.ask_for_chains() RETURNS void
    LANGUAGE sql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
AS $$
    WITH unknown AS MATERIALIZED (
        SELECT m.name FROM member m
        WHERE may_be_followed(m.name) AND NOT EXISTS (SELECT FROM peer p WHERE p.member = m.name)
            AND NOT EXISTS (SELECT FROM addresses a WHERE a.member = m.name))
    INSERT INTO missing AS f (source, origin, wanted)
    SELECT s.member, u.name, true
    FROM unknown u
         CROSS JOIN (SELECT p.member FROM peer p CROSS JOIN local_node n
                     ORDER BY p.member <> n.data_center, p.member COLLATE "C" LIMIT 3) s
    WHERE s.member <> u.name
    ON CONFLICT (source, origin) DO UPDATE SET wanted = true, next = clock_timestamp()
    -- the more there are, the less often
    WHERE NOT f.wanted AND (f.next < clock_timestamp() - interval '1 s' * greatest(10,
        (SELECT count(*) FROM unknown))
        -- the server's clock was put back
        OR f.next > clock_timestamp() + interval '10 min')
$$;
COMMENT ON FUNCTION medchain_internal.ask_for_chains() IS
    'internal: have up to three peers asked for the chains of members of whom it is not known '
    'where they are';
CREATE FUNCTION medchain_internal.call_follower() RETURNS void
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'medchain_call_follower';
COMMENT ON FUNCTION medchain_internal.call_follower() IS
    'internal: have ask_for_chains() done';

-- Slots first, as they wait for transactions of their server that write, and it may be this one.
CREATE FUNCTION medchain.follow_all(OUT member text, OUT result text) RETURNS SETOF record
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
        SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    names text[] := '{}';
    places text[] := '{}';
    slots name[] := '{}';
    conninfo text;
    chosen text[] := check_payloads(NULL);
BEGIN
    PERFORM require_node(NULL, 'follow_all()'), require_writable();
    FOR member, conninfo IN SELECT m.name, follow_conninfo(m.name, NULL) FROM member m
            WHERE may_be_followed(m.name)
            AND NOT EXISTS (SELECT FROM peer p WHERE p.member = m.name)
            ORDER BY m.name COLLATE "C" LOOP
        IF conninfo IS NULL THEN
            PERFORM call_follower();
            result := 'it is not known where its database is; peers are asked for its chain';
            RETURN NEXT;
            CONTINUE;
        END IF;
        BEGIN
            slots := slots || prepare_follow(member, conninfo, NULL, chosen);
            names := names || member;
            places := places || conninfo;
        EXCEPTION WHEN OTHERS THEN
            result := SQLERRM;
            RETURN NEXT;
        END;
    END LOOP;
    FOR i IN 1 .. cardinality(names) LOOP
        member := names[i];
        BEGIN
            PERFORM subscribe_to(member, places[i], slots[i], chosen);
            UPDATE peer p SET options = '' WHERE p.member = names[i];
            result := 'followed';
        EXCEPTION WHEN OTHERS THEN
            result := SQLERRM;
        END;
        RETURN NEXT;
    END LOOP;
END
$$;
COMMENT ON FUNCTION medchain.follow_all() IS
    'follow every member that takes part, has said where it is, and is not followed yet; a row for '
    'each: followed, or why not';

-- What medchain.auto_follow has to do, one thing at a time: see src/sync/follow.c.
CREATE FUNCTION medchain_internal.follow_due(OUT member text, OUT leave boolean)
    RETURNS SETOF record
    LANGUAGE sql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
    -- all that counts of those who are expelled is here
    SELECT m.name, true FROM peer p JOIN member m ON m.name = p.member
        LEFT JOIN chain c ON c.origin = m.name
    WHERE (m.expelled IS NOT NULL OR m.ended IS NOT NULL)
        AND coalesce(c.height, -1) >= coalesce(m.last_height, -1)
    UNION ALL
    SELECT m.name, false FROM member m JOIN addresses a ON a.member = m.name
        LEFT JOIN peer p ON p.member = m.name
    WHERE may_be_followed(m.name)
        AND (p.member IS NULL
             OR p.options IS NOT NULL AND p.conninfo <> follow_conninfo(m.name, p.options))
$$;
COMMENT ON FUNCTION medchain_internal.follow_due() IS
    'internal: members that are to be followed, or followed elsewhere, and those to let go';

CREATE FUNCTION medchain_internal.follow_one(member text, leave boolean) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
AS $$
BEGIN
    IF follow_one.leave THEN
        PERFORM disconnect_peer(follow_one.member);
    ELSE
        PERFORM follow(follow_one.member, p.payloads, p.options)
            FROM (SELECT follow_one.member) x(name) LEFT JOIN peer p ON p.member = x.name;
    END IF;
END
$$;
COMMENT ON FUNCTION medchain_internal.follow_one(text, boolean) IS
    'internal: do that';
