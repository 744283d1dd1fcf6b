/*
 * binding.sql: login roles that act for members.
 *
 * The ledger has a role's name, for people.  The node knows which role that is, by its number: who
 * gets a name that was somebody else's does not get what goes with it, and who is renamed keeps it.
 */

CREATE FUNCTION medchain_internal.server_identifier() RETURNS text
    LANGUAGE sql STABLE SET search_path = medchain, medchain_internal, pg_temp
    AS $$ SELECT split_part(here(), '/', 1) $$;
COMMENT ON FUNCTION medchain_internal.server_identifier() IS
    'internal: system identifier of this server, whose roles have their numbers here alone';

-- What people are told that a role is called; null: it is gone.  A role can be named in another
-- database, with another encoding, by what is no text here.
CREATE FUNCTION medchain_internal.role_called(p_role oid) RETURNS text
    LANGUAGE sql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT coalesce('base64:' || text_base64(r.rolname::text), r.rolname::text)
    FROM pg_roles r WHERE r.oid = p_role
$$;
COMMENT ON FUNCTION medchain_internal.role_called(oid) IS
    'internal: name of a role as the ledger has it; null if there is no such role';

-- What the ledger is told of a role: what it is called now, for whom it acts (null: nobody), and
-- which entries about it that ends.
CREATE FUNCTION medchain_internal.say_binding(p_name text, p_member text, p_replaces uuid[],
    p_cause text DEFAULT NULL) RETURNS uuid
    LANGUAGE sql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT append_raw('bind_role', (jsonb_build_object('role', p_name, 'member', p_member,
        'replaces', p_replaces)
        || CASE WHEN p_cause IS NULL THEN '{}' ELSE jsonb_build_object('cause', p_cause) END)::text,
        NULL, p_cause IS NULL)
$$;
COMMENT ON FUNCTION medchain_internal.say_binding(text, text, uuid[], text) IS
    'internal: put a binding of a role on the ledger; cause: what was noticed, null if somebody '
    'wants it so, who then waits until it is sealed';

CREATE FUNCTION medchain.bind_role(role regrole, member text) RETURNS uuid
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
        SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    before uuid[];
    id uuid;
BEGIN
    PERFORM require_node(NULL, 'bind_role()');
    PERFORM require_writable();
    IF bind_role.role IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'role must not be null';
    ELSIF role_called(bind_role.role) IS NULL THEN
        -- a regrole can be any number
        RAISE undefined_object USING
            MESSAGE = format('there is no role with oid %s', bind_role.role::oid),
            HINT = 'Give its name; see pg_roles.';
    END IF;
    PERFORM await_members(ARRAY[bind_role.member]);
    IF bind_role.member IS NOT NULL AND NOT EXISTS (SELECT FROM medchain.member m
        WHERE m.name = bind_role.member) THEN
        RAISE undefined_object USING MESSAGE = format('there is no member "%s"',
            shown(bind_role.member));
    END IF;
    -- one at a time for a role, so that who comes later ends what was said before
    INSERT INTO bound_role (server, role) VALUES (server_identifier(), bind_role.role)
        ON CONFLICT DO NOTHING;
    SELECT o.entries INTO STRICT before FROM bound_role o
        WHERE o.server = server_identifier() AND o.role = bind_role.role FOR UPDATE;
    id := say_binding(role_called(bind_role.role), bind_role.member, before);
    IF bind_role.member IS NULL THEN
        DELETE FROM bound_role o WHERE o.server = server_identifier() AND o.role = bind_role.role;
    ELSE
        UPDATE bound_role o SET entries = before || id
            WHERE o.server = server_identifier() AND o.role = bind_role.role;
    END IF;
    RETURN id;
END
$$;
COMMENT ON FUNCTION medchain.bind_role(regrole, text) IS
    'sessions that log in as this role act for the member from now on (null: for nobody); on the '
    'ledger, of effect in this database. The role may be renamed, and stays bound; another one '
    'that gets its name is not';

-- Of entries that bind a role, oldest first, those that have not ended: some may not be sealed yet.
CREATE FUNCTION medchain_internal.live_bindings(p_entries uuid[]) RETURNS uuid[]
    LANGUAGE sql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT ARRAY(SELECT e.id FROM unnest(p_entries) WITH ORDINALITY e (id, n)
        WHERE EXISTS (SELECT FROM role_binding r WHERE r.entry = e.id)
        OR NOT EXISTS (SELECT FROM claim c CROSS JOIN local_node l
                       WHERE c.origin = l.node AND c.kind = 'bind_role' AND c.id = e.id)
        ORDER BY e.n)
$$;
COMMENT ON FUNCTION medchain_internal.live_bindings(uuid[]) IS
    'internal: entries that bind a role without those that others have ended';

-- Roles that act for a member and are called otherwise than the ledger says, or are gone.  What is
-- said of them and not sealed yet will be known in a moment.
CREATE FUNCTION medchain_internal.unsettled_roles() RETURNS TABLE (role oid, said text, name text)
    LANGUAGE sql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT o.role, r.role, role_called(o.role) FROM bound_role o
    JOIN role_binding r ON r.entry = o.entries[cardinality(o.entries)]
    WHERE o.server = server_identifier() AND r.role IS DISTINCT FROM role_called(o.role)
$$;
COMMENT ON FUNCTION medchain_internal.unsettled_roles() IS
    'internal: roles that act for a member of which the ledger does not say what they are called '
    'now, or that they are gone';

-- Roles belong to the server: they are renamed and dropped in any database of it, and nothing there
-- knows of us.  So the keeper looks, when there may be something to see.  It waits for nobody: what
-- a session is about to bind anew it looks at again.
CREATE FUNCTION medchain_internal.settle_roles() RETURNS boolean
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    b bound_role;
    r role_binding;
    called text;
BEGIN
    IF NOT at_home() THEN
        RETURN true;
    END IF;
    FOR b IN SELECT * FROM bound_role o WHERE o.server = server_identifier()
        AND (o.role IN (SELECT u.role FROM unsettled_roles() u)
             OR o.entries <> live_bindings(o.entries))
        ORDER BY o.role FOR UPDATE SKIP LOCKED
    LOOP
        b.entries := live_bindings(b.entries);
        called := role_called(b.role);
        SELECT * INTO r FROM role_binding x WHERE x.entry = b.entries[cardinality(b.entries)];
        IF r.role <> called THEN
            b.entries := b.entries || say_binding(called, r.member, b.entries, 'renamed');
        ELSIF r.role IS NOT NULL AND called IS NULL THEN
            PERFORM say_binding(r.role, NULL, b.entries, 'dropped');
            b.entries := '{}';
        END IF;
        IF b.entries = '{}' THEN
            DELETE FROM bound_role o WHERE o.server = b.server AND o.role = b.role;
        ELSE
            UPDATE bound_role o SET entries = b.entries
                WHERE o.server = b.server AND o.role = b.role;
        END IF;
    END LOOP;
    RETURN NOT EXISTS (SELECT FROM unsettled_roles());
END
$$;
COMMENT ON FUNCTION medchain_internal.settle_roles() IS
    'internal: put on the ledger that roles which act for a member were renamed, or are gone; '
    'false: not all of them could be looked at';

-- What verify() has to say of them.  What has happened in this moment the keeper is about to say.
CREATE FUNCTION medchain_internal.bound_role_faults() RETURNS TABLE (fault text)
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    give_up CONSTANT timestamptz := clock_timestamp() + interval '5 s';
BEGIN
    WHILE EXISTS (SELECT FROM unsettled_roles()) AND at_home() AND clock_timestamp() < give_up
        AND current_setting('transaction_isolation') = 'read committed' LOOP
        PERFORM pg_sleep(0.1);
    END LOOP;
    RETURN QUERY
    SELECT format('bound_role %s: the ledger knows no entry %s that binds it', o.role, e.id)
        FROM bound_role o CROSS JOIN local_node n CROSS JOIN unnest(o.entries) e (id)
        WHERE NOT EXISTS (SELECT FROM claim c WHERE c.origin = n.node AND c.kind = 'bind_role'
                          AND c.id = e.id AND c.body ->> 'member' IS NOT NULL)
        AND NOT EXISTS (SELECT FROM pending p WHERE p.id = e.id AND p.kind = 'bind_role')
    UNION ALL
    SELECT format('role_binding %s, entry %s: it is not known which role that is', r.role, r.entry)
        FROM role_binding r
        WHERE at_home() AND NOT EXISTS (SELECT FROM bound_role o
            WHERE o.server = server_identifier() AND r.entry = ANY (o.entries))
        AND NOT EXISTS (SELECT FROM pending p WHERE p.kind = 'bind_role'
            AND object_or_null(entry_body(p.payload), true) -> 'replaces' @> to_jsonb(r.entry))
    UNION ALL
    SELECT format('bound_role %s: by the ledger it is called %s, here %s', u.role, u.said,
                  coalesce(u.name, 'no role has this number'))
        FROM unsettled_roles() u;
END
$$;
COMMENT ON FUNCTION medchain_internal.bound_role_faults() IS
    'internal: where roles that act for a member are not those that the ledger names';

-- Where the node is now, roles have other numbers: those of the same names take their places.
CREATE FUNCTION medchain_internal.take_over_roles() RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    b role_binding;
    bound text[] := '{}';
    missing text[] := '{}';
BEGIN
    DELETE FROM bound_role o WHERE o.server <> server_identifier();
    FOR b IN SELECT * FROM role_binding r
        WHERE NOT EXISTS (SELECT FROM bound_role o WHERE r.entry = ANY (o.entries))
        ORDER BY r.seq DESC LOOP
        -- of two with one name, the first was gone when the second was bound
        INSERT INTO bound_role (server, role, entries)
            SELECT server_identifier(), a.oid, ARRAY[b.entry] FROM pg_roles a
            WHERE role_called(a.oid) = b.role
            ON CONFLICT DO NOTHING;
        IF FOUND THEN
            bound := bound || format('%I', b.role);
        ELSE
            PERFORM say_binding(b.role, NULL, ARRAY[b.entry], 'missing');
            missing := missing || format('%I', b.role);
        END IF;
    END LOOP;
    IF bound <> '{}' THEN
        RAISE NOTICE USING
            MESSAGE = format('these roles of this server act for members: %s',
                (SELECT string_agg(x, ', ' ORDER BY x COLLATE "C") FROM unnest(bound) x)),
            HINT = 'Are they the same as where the node was? SELECT medchain.bind_role(role, NULL) '
                   'ends what is not to be.';
    END IF;
    IF missing <> '{}' THEN
        RAISE NOTICE 'these roles acted for members and are not here: %',
            (SELECT string_agg(x, ', ' ORDER BY x COLLATE "C") FROM unnest(missing) x);
    END IF;
END
$$;
COMMENT ON FUNCTION medchain_internal.take_over_roles() IS
    'internal: the roles of this server that have the names of those that were bound';
