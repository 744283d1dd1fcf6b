/*
 * access.sql: what the current member may do with whose records.
 */

-- Everything that decides about a grant, as of now or later; the grant cache applies the periods by
-- the clock, and the purpose by the session's.
CREATE VIEW medchain.active_grant AS
SELECT g.grantee, g.subject, g.protocol,
       'query' = ANY (g.operations) AND 'query' = ANY (m.capabilities) AS query,
       'update' = ANY (g.operations) AND 'update' = ANY (m.capabilities) AS update,
       g.records, g.valid, p.valid AS protocol_valid, m.valid AS member_valid,
           i.valid AS issuer_valid, g.purpose, p.version
FROM medchain.protocol_grant g
     JOIN medchain.protocol p ON p.id = g.protocol AND p.revoked IS NULL
     JOIN medchain.member m ON m.name = g.grantee AND m.takes_part
     JOIN medchain.member i ON i.name = p.issuer AND i.takes_part;
COMMENT ON VIEW medchain.active_grant IS
    'grants of protocols that are not revoked, between members who take part, with every period '
    'that has to contain the time of access, and the purpose that a session must state for it '
    '(null: any)';

-- Who has broken the glass needs no grant: by its own chain everywhere, by that of a record holder
-- there.
CREATE VIEW medchain.active_break_glass AS
SELECT b.member AS grantee, b.subject, b.id AS break_glass, b.valid, m.valid AS member_valid
FROM medchain.break_glass b
     JOIN medchain.member m ON m.name = b.member AND m.takes_part
         AND 'emergency' = ANY (m.capabilities)
WHERE b.origin = b.member
    OR b.origin = (SELECT n.node FROM medchain.local_node n WHERE n.singleton);
COMMENT ON VIEW medchain.active_break_glass IS
    'who may query an examinee''s records here without a grant, as the glass was broken, with '
    'every period that has to contain the time of access';

CREATE FUNCTION medchain_internal.may_query_support(internal) RETURNS internal
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'medchain_may_query_support';
COMMENT ON FUNCTION medchain_internal.may_query_support(internal)
    IS 'planner support of may_query()';
CREATE FUNCTION medchain_internal.may_update_support(internal) RETURNS internal
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'medchain_may_update_support';
COMMENT ON FUNCTION medchain_internal.may_update_support(internal)
    IS 'planner support of may_update()';

CREATE FUNCTION medchain.may_query(subject anyelement, relation regclass DEFAULT NULL)
    RETURNS boolean
    LANGUAGE c STABLE PARALLEL RESTRICTED SUPPORT medchain_internal.may_query_support
        AS 'MODULE_PATHNAME',
        'medchain_may_query';
COMMENT ON FUNCTION medchain.may_query(anyelement, regclass) IS
    'may the current member query records of this subject (in this relation), by the clock of the '
    'statement?';
-- A literal, or a parameter, without a type is text; and so is whatever PostgreSQL takes for it.
CREATE FUNCTION medchain.may_query(subject text, relation regclass DEFAULT NULL) RETURNS boolean
    LANGUAGE c STABLE PARALLEL RESTRICTED SUPPORT medchain_internal.may_query_support
        AS 'MODULE_PATHNAME',
        'medchain_may_query';
COMMENT ON FUNCTION medchain.may_query(text, regclass) IS
    'may the current member query records of this subject (in this relation), by the clock of the '
    'statement?';
CREATE FUNCTION medchain.may_update(subject text, relation regclass DEFAULT NULL) RETURNS boolean
    LANGUAGE c STABLE PARALLEL RESTRICTED SUPPORT medchain_internal.may_update_support
        AS 'MODULE_PATHNAME',
        'medchain_may_update';
COMMENT ON FUNCTION medchain.may_update(text, regclass) IS
    'may the current member update records of this subject (in this relation), by the clock of the '
    'statement?';
CREATE FUNCTION medchain.may_update(subject anyelement, relation regclass DEFAULT NULL)
    RETURNS boolean
    LANGUAGE c STABLE PARALLEL RESTRICTED SUPPORT medchain_internal.may_update_support
        AS 'MODULE_PATHNAME',
        'medchain_may_update';
COMMENT ON FUNCTION medchain.may_update(anyelement, regclass) IS
    'may the current member update records of this subject (in this relation), by the clock of the '
    'statement?';

CREATE FUNCTION medchain.grant_cache_loads() RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'medchain_grant_cache_loads';
COMMENT ON FUNCTION medchain.grant_cache_loads() IS
    'how often this session has begun anew to read what its member may do: at first, and each time '
    'that something which concerns that member has changed';

CREATE FUNCTION medchain.granted_subjects(operation text DEFAULT 'query', relation regclass
    DEFAULT NULL) RETURNS text[]
    LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'medchain_granted_subjects';
COMMENT ON FUNCTION medchain.granted_subjects(text, regclass) IS
    'subjects, as they stand in protected tables, whose records the current member may query (or '
    'update) now';
CREATE FUNCTION medchain_internal.granted_subjects_support(internal) RETURNS internal
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME',
        'medchain_granted_subjects_support';
COMMENT ON FUNCTION medchain_internal.granted_subjects_support(internal)
    IS 'planner support of granted_subjects_as()';
CREATE FUNCTION medchain_internal.granted_subjects_as(operation text, relation regclass,
    like_type anyelement, cost bigint) RETURNS anyarray
    LANGUAGE c VOLATILE PARALLEL RESTRICTED
        SUPPORT medchain_internal.granted_subjects_support
        AS 'MODULE_PATHNAME', 'medchain_granted_subjects_as';
COMMENT ON FUNCTION medchain_internal.granted_subjects_as(text, regclass, anyelement, bigint) IS
    'internal: the same as an index is asked for them, those that are values of the type text, '
    'bigint or uuid which like_type has; cost: what the planner is told that this, and the search '
    'for them, costs';
