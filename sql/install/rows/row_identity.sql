/*
 * row_identity.sql: by what the ledger names the rows of a table.
 *
 * By the columns of a key: the primary key, or a unique index over columns that are not null.  Any
 * index over the same columns can take the place of the one that was chosen.  The rows of a table
 * without a key are named by all that they say (src/rows/row_commitment.c); its key has no
 * columns.
 */

-- fault: why rows cannot be named by it, null if they can.  Values that PostgreSQL takes for
-- different ones have to have different texts, which only the type's own operators promise.
CREATE FUNCTION medchain_internal.row_keys(relation regclass)
    RETURNS TABLE (index oid, name name, columns text[], is_primary boolean, is_identity boolean,
        fault text)
    LANGUAGE sql STABLE STRICT SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT i.indexrelid, c.relname, k.columns, i.indisprimary, i.indisreplident,
           CASE WHEN NOT i.indisunique THEN 'It is not unique.'
                WHEN NOT i.indisvalid OR NOT i.indisready OR NOT i.indislive
                    THEN 'It is not valid.'
                WHEN i.indpred IS NOT NULL THEN 'It does not have all rows.'
                WHEN k.expressions THEN 'It has an expression.'
                WHEN NOT i.indimmediate THEN 'It is deferrable: two rows could have the same key '
                    'for a while, and the ledger could not tell them apart.'
                WHEN k.nullable IS NOT NULL THEN format('Column "%s" may be null.', k.nullable)
                WHEN NOT k.common
                    THEN 'It compares by other operators than those of its columns'' types.' END
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid CROSS JOIN LATERAL (
        SELECT array_agg(a.attname::text ORDER BY a.attname COLLATE "C") AS columns,
               bool_or(a.attnum IS NULL) AS expressions,
               min(a.attname) FILTER (WHERE NOT a.attnotnull OR EXISTS (
                   SELECT FROM pg_constraint n WHERE n.conrelid = a.attrelid AND n.contype = 'n'
                   AND NOT n.convalidated AND n.conkey = ARRAY[a.attnum])) AS nullable,
               bool_and(coalesce(o.opcdefault, false)) AS common
        FROM generate_series(0, i.indnkeyatts - 1) n
             LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[n]
                 AND a.attnum <> 0
             LEFT JOIN pg_opclass o ON o.oid = i.indclass[n]) k
    WHERE i.indrelid = $1
$$;
COMMENT ON FUNCTION medchain_internal.row_keys(regclass) IS
    'internal: the indexes of a table, and whether the ledger can name rows by their columns';

-- Tables that nobody tells of when they lose the key that names their rows.
CREATE TABLE medchain.row_index (
    relation regclass PRIMARY KEY,
    columns  text[] NOT NULL
);
COMMENT ON TABLE medchain.row_index IS
    'local: ledger tables whose rows are named by an index that no constraint has';

CREATE FUNCTION medchain_internal.has_row_key(relation regclass, columns text[],
    going oid DEFAULT 0)
    RETURNS boolean
    LANGUAGE sql STABLE STRICT SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT $2 = '{}' OR EXISTS (
        SELECT FROM row_keys($1) k WHERE k.fault IS NULL AND k.index <> $3
        AND k.columns @> $2 AND k.columns <@ $2)
$$;
COMMENT ON FUNCTION medchain_internal.has_row_key(regclass, text[], oid) IS
    'internal: has a table an index by which rows can be named by these columns, if there are any? '
    'going: one that does not count';

-- The primary key, or none where that is deferrable; of the others the one that logical replication
-- goes by.
CREATE FUNCTION medchain_internal.default_row_key(relation regclass) RETURNS text[]
    LANGUAGE sql STABLE STRICT SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT coalesce((SELECT k.columns FROM row_keys($1) k WHERE k.fault IS NULL
        ORDER BY k.is_primary DESC, k.is_identity DESC, k.name LIMIT 1), '{}')
$$;
COMMENT ON FUNCTION medchain_internal.default_row_key(regclass) IS
    'internal: columns by which the ledger names the rows of a table of which nobody says more';

CREATE FUNCTION medchain_internal.row_key_names(p_table medchain.row_table) RETURNS text[]
    LANGUAGE sql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT ARRAY(SELECT c.name FROM row_column c WHERE c.relation = p_table.relation
        AND c.attribute = ANY (p_table.key_columns) ORDER BY c.name COLLATE "C")
$$;
COMMENT ON FUNCTION medchain_internal.row_key_names(medchain.row_table) IS
    'internal: what the columns of a ledger table''s key are called on the ledger';

CREATE FUNCTION medchain_internal.choose_row_key(relation regclass, key name) RETURNS text[]
    LANGUAGE plpgsql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    k record;
    others text;
    number int;
BEGIN
    SELECT string_agg(format('%L', x.name), ', ' ORDER BY x.name COLLATE "C"), count(*)
        INTO others, number FROM row_keys(choose_row_key.relation) x WHERE x.fault IS NULL;
    IF choose_row_key.key IS NULL THEN
        SELECT * INTO k FROM row_keys(choose_row_key.relation) x WHERE x.is_primary;
        IF k.fault IS NOT NULL THEN
            RAISE feature_not_supported USING
                MESSAGE = format('primary key of table %s is deferrable', choose_row_key.relation),
                DETAIL =
                    'Two rows could have the same key for a while, and the ledger could not tell '
                    'them apart.',
                HINT = coalesce('Give another unique index as the argument "key": ' || others
                    || '.', 'Make it again without DEFERRABLE.');
        ELSIF k.index IS NULL AND number > 1
            AND NOT EXISTS (SELECT FROM row_keys(choose_row_key.relation) x
                            WHERE x.is_identity AND x.fault IS NULL) THEN
            RAISE ambiguous_parameter USING
                MESSAGE = format('table %s has no primary key, and several unique indexes',
                    choose_row_key.relation),
                DETAIL = format('Rows can be named by %s.', others),
                HINT = 'Give one of them as the argument "key".';
        END IF;
        RETURN default_row_key(choose_row_key.relation);
    END IF;
    SELECT * INTO k FROM row_keys(choose_row_key.relation) x WHERE x.name = choose_row_key.key;
    IF NOT FOUND THEN
        RAISE undefined_object USING
            MESSAGE = format('table %s has no index "%s"', choose_row_key.relation,
                choose_row_key.key),
            HINT = coalesce('Rows can be named by ' || others || '.',
                'Without the argument "key", rows are named by all that they say.');
    ELSIF k.fault IS NOT NULL THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('index "%s" of table %s cannot name rows', k.name,
                choose_row_key.relation),
            DETAIL = k.fault,
            HINT = coalesce('Rows can be named by ' || others || '.',
                'Without the argument "key", rows are named by all that they say.');
    END IF;
    RETURN k.columns;
END
$$;
COMMENT ON FUNCTION medchain_internal.choose_row_key(regclass, name) IS
    'internal: columns by which the ledger names the rows of a table: those of this index, or else '
    'of its primary key, its replica identity or its only unique index; none, where all that rows '
    'say has to name them';

CREATE FUNCTION medchain_internal.refuse_key_change(p_relation regclass, p_is_index boolean)
    RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
BEGIN
    RAISE dependent_objects_still_exist USING
        MESSAGE = format('%s of %s cannot be dropped or changed',
            CASE WHEN p_is_index THEN 'unique index' ELSE 'primary key' END, p_relation),
        DETAIL = 'The ledger names rows by it.',
        HINT = format('Call %s first. Another index on the same columns can take its place.',
            row_ending(p_relation, (SELECT t.subject_column FROM row_table t
                WHERE t.relation = p_relation)));
END
$$;
COMMENT ON FUNCTION medchain_internal.refuse_key_change(regclass, boolean) IS
    'internal: error: this ledger table would lose the key that names its rows';

CREATE FUNCTION medchain_internal.needs_row_index(p_table medchain.row_table) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT p_table.key_columns <> '{}' AND NOT EXISTS (
        SELECT FROM row_keys(p_table.relation) k JOIN pg_constraint o ON o.conindid = k.index
            AND o.conrelid = p_table.relation AND o.contype IN ('p', 'u')
        WHERE k.fault IS NULL
        AND k.columns @> p_table.key_columns AND k.columns <@ p_table.key_columns)
$$;
COMMENT ON FUNCTION medchain_internal.needs_row_index(medchain.row_table) IS
    'internal: are the rows of a ledger table named by an index that no constraint has?';

-- Nobody tells of an index that goes, unless a constraint had it.
CREATE FUNCTION medchain_internal.require_row_keys(p_relations oid[], p_going oid DEFAULT 0)
    RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = medchain, medchain_internal, pg_temp
        SET row_security = off
AS $$
DECLARE
    lost regclass;
BEGIN
    SELECT x.relation INTO lost FROM row_index x JOIN pg_class c ON c.oid = x.relation
        WHERE x.relation = ANY (p_relations) AND NOT has_row_key(x.relation, x.columns, p_going)
        ORDER BY x.relation LIMIT 1;
    IF FOUND THEN
        PERFORM refuse_key_change(lost, true);
    END IF;
END
$$;
COMMENT ON FUNCTION medchain_internal.require_row_keys(oid[], oid) IS
    'internal: error if one of these ledger tables has lost the index that names its rows, or will '
    'with the one that is going';
