/*
 * home.sql: is this database the one that its node is at home in, or a copy of it?
 *
 * local_node.home says where the node is at home.  A restored dump, a database made from another
 * as its template, and a cluster made by pg_upgrade are elsewhere: there nothing is written on the
 * chain and nothing signed, until take_over() or detach_copy() (copy.sql) says what it is for.
 */

CREATE FUNCTION medchain_internal.here() RETURNS text
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'medchain_here';
COMMENT ON FUNCTION medchain_internal.here() IS
    'internal: this place as local_node.home has it: system identifier of the server, oid of the '
    'database, major version';
CREATE FUNCTION medchain_internal.at_home() RETURNS boolean
    LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'medchain_at_home';
COMMENT ON FUNCTION medchain_internal.at_home() IS
    'internal: is this database a node of an alliance, and no copy of one?';
CREATE FUNCTION medchain.is_copy() RETURNS boolean
    LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'medchain_is_copy';
COMMENT ON FUNCTION medchain.is_copy() IS
    'is this database a copy of a node (restored, copied or upgraded), which neither writes nor '
    'signs anything until take_over() or detach_copy() is called?';
CREATE FUNCTION medchain_internal.require_home() RETURNS void
    LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'medchain_require_home';
COMMENT ON FUNCTION medchain_internal.require_home() IS
    'internal: error unless this database is a node of an alliance, and no copy of one';

CREATE FUNCTION medchain_internal.home_arrives() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'medchain_home_arrives';
COMMENT ON FUNCTION medchain_internal.home_arrives() IS
    'trigger: who founds or joins is at home here, who comes with a dump is not';
CREATE FUNCTION medchain_internal.home_changed() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'medchain_home_changed';
COMMENT ON FUNCTION medchain_internal.home_changed() IS
    'trigger: what sessions know of this node is outdated';
CREATE TRIGGER arrive BEFORE INSERT ON medchain.local_node
    FOR EACH ROW EXECUTE FUNCTION medchain_internal.home_arrives();
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON medchain.local_node
    FOR EACH STATEMENT EXECUTE FUNCTION medchain_internal.home_changed();
ALTER TABLE medchain.local_node ENABLE ALWAYS TRIGGER arrive, ENABLE ALWAYS TRIGGER changed;
