/*
 * part.sql: single records and columns that examinees grant.
 *
 * None of these stands in a policy that protect() makes: the server adds them to the queries of
 * tables that are opened to such grants (question.c, column_mask.c), whatever policies are there.
 */

CREATE FUNCTION medchain_internal.may_query_record(subject anyelement, relation regclass,
    record record) RETURNS boolean
    LANGUAGE c STABLE PARALLEL RESTRICTED COST 100
        AS 'MODULE_PATHNAME', 'medchain_may_query_record';
COMMENT ON FUNCTION medchain_internal.may_query_record(anyelement, regclass, record) IS
    'internal: may the current member query this record, or some columns of it, by the clock of '
    'the statement?';
CREATE FUNCTION medchain_internal.may_update_record(subject anyelement, relation regclass,
    record record, whole boolean) RETURNS boolean
    LANGUAGE c STABLE PARALLEL RESTRICTED COST 100
        AS 'MODULE_PATHNAME', 'medchain_may_update_record';
COMMENT ON FUNCTION medchain_internal.may_update_record(anyelement, regclass, record, boolean) IS
    'internal: may the current member update this record (whole: all of it), by the clock of the '
    'statement?';
CREATE FUNCTION medchain_internal.may_query_columns(subject anyelement, relation regclass,
    record record, columns text[]) RETURNS boolean
    LANGUAGE c STABLE PARALLEL RESTRICTED COST 100
        AS 'MODULE_PATHNAME', 'medchain_may_query_columns';
COMMENT ON FUNCTION medchain_internal.may_query_columns(anyelement, regclass, record, text[]) IS
    'internal: may the current member query all of these columns of this record, by the clock of '
    'the statement?';
-- Volatile, so that it is asked for the rows that are changed, and not before.
CREATE FUNCTION medchain_internal.require_update_of(subject anyelement, relation regclass,
    record record, columns text[], reads boolean) RETURNS boolean
    LANGUAGE c VOLATILE PARALLEL RESTRICTED COST 100
        AS 'MODULE_PATHNAME', 'medchain_require_update_of';
COMMENT ON FUNCTION medchain_internal.require_update_of(anyelement, regclass, record, text[],
    boolean) IS
    'internal: error (insufficient_privilege) unless the current member may change these columns '
    'of this record, and read them where the new value is made of the old one';
CREATE FUNCTION medchain_internal.columns_granted(subject anyelement, relation regclass,
    record record) RETURNS boolean
    LANGUAGE c VOLATILE PARALLEL RESTRICTED COST 100
        AS 'MODULE_PATHNAME', 'medchain_columns_granted';
COMMENT ON FUNCTION medchain_internal.columns_granted(anyelement, regclass, record) IS
    'internal: stands for the question which columns of a record are granted, until the query is '
    'planned; error (feature_not_supported) where it was not';
