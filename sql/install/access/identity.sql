/*
 * identity.sql: on whose behalf a session acts.
 */

CREATE FUNCTION medchain.current_member() RETURNS text
    LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'medchain_current_member';
COMMENT ON FUNCTION medchain.current_member() IS
    'the member this session acts for: by the client certificate of its TLS connection, else by '
    'the role that logged in (bind_role); null if none. SET ROLE changes nothing';

CREATE FUNCTION medchain_internal.session_member() RETURNS text
    LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'medchain_session_member';
COMMENT ON FUNCTION medchain_internal.session_member() IS
    'internal: the member whose certificate or role this session has, even if it takes no part now '
    'and current_member() is null';

CREATE FUNCTION medchain.own_member() RETURNS boolean
    LANGUAGE sql STABLE PARALLEL RESTRICTED SECURITY DEFINER
    RETURN EXISTS (SELECT FROM medchain.local_node n WHERE n.node = medchain.current_member());
COMMENT ON FUNCTION medchain.own_member() IS
    'does this session act for the member whose database this is?';
