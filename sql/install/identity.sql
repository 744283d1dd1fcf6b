/*
 * identity.sql: on whose behalf a session acts.
 */

CREATE FUNCTION medchain.current_member() RETURNS text
    LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'medchain_current_member';
COMMENT ON FUNCTION medchain.current_member() IS
    'the member this session acts for: by the client certificate of its TLS connection, else by '
    'the role that logged in (bind_role); null if none. SET ROLE changes nothing';

CREATE FUNCTION medchain.session_member() RETURNS text
    LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'medchain_session_member';
COMMENT ON FUNCTION medchain.session_member() IS
    'internal: the member whose certificate or role this session has, even if it takes no part now '
    'and current_member() is null';

CREATE FUNCTION medchain.own_member() RETURNS boolean
    LANGUAGE sql STABLE PARALLEL RESTRICTED SECURITY DEFINER
    RETURN EXISTS (SELECT FROM medchain.local_node n WHERE n.node = medchain.current_member());
COMMENT ON FUNCTION medchain.own_member() IS
    'does this session act for the member whose database this is?';

CREATE FUNCTION medchain.bind_role(role regrole, member text) RETURNS uuid
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = medchain, pg_temp
AS $$
BEGIN
    PERFORM require_node(NULL, 'bind_role()');
    IF bind_role.role IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'role must not be null';
    ELSIF NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = bind_role.role) THEN
        -- a regrole can be any number
        RAISE undefined_object USING
            MESSAGE = format('there is no role with oid %s', bind_role.role::oid);
    END IF;
    PERFORM await_members(ARRAY[bind_role.member]);
    IF bind_role.member IS NOT NULL AND NOT EXISTS (SELECT FROM medchain.member m
        WHERE m.name = bind_role.member) THEN
        RAISE undefined_object USING MESSAGE = format('there is no member "%s"',
            shown(bind_role.member));
    END IF;
    RETURN append_governance('bind_role', jsonb_build_object(
        'role', (SELECT rolname FROM pg_roles WHERE oid = bind_role.role), 'member',
            bind_role.member));
END
$$;
COMMENT ON FUNCTION medchain.bind_role(regrole, text) IS
    'sessions that log in as this role act for the member from now on (null: for nobody); on the '
    'ledger, of effect in this database';
