/*
 * row_proof.sql: what the ledger says about one row, and what the row says now, for who may read
 * it.
 *
 * What callers call is C, and has no SET clauses: a key is read as the caller, in the caller's own
 * surroundings, as whoever made its type may have had code run when a value is read (row_key.c).
 * It is VOLATILE, as it appends what was captured of a statement that is still at work.
 */

-- Of a table without a key: what is not there is null.
CREATE FUNCTION medchain_internal.row_content_values(p_table medchain.row_table, p_content text)
    RETURNS text[]
    LANGUAGE plpgsql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    given json;         -- whose strings may be longer than those of jsonb
BEGIN
    BEGIN
        given := p_content::json;
    EXCEPTION WHEN data_exception THEN
        given := 'null';
    END;
    IF json_typeof(given) <> 'object'
       OR EXISTS (SELECT FROM json_object_keys(given) k WHERE NOT EXISTS (
           SELECT FROM row_column c WHERE c.relation = p_table.relation AND c.attribute = k)) THEN
        RAISE invalid_parameter_value USING
            MESSAGE = format('key does not name columns of %s', p_table.relation),
            DETAIL = 'The table has no key: its rows are named by all that they say.',
            HINT = 'Give a row of the table, or a JSON object of its columns that are not null.';
    END IF;
    -- what is computed when it is read says nothing of its own
    RETURN ARRAY(SELECT given ->> c.attribute FROM row_column c
        JOIN pg_attribute a ON a.attrelid = c.relation AND a.attname = c.attribute
        WHERE c.relation = p_table.relation AND a.attgenerated <> 'v'
        ORDER BY c.name COLLATE "C");
END
$$;
COMMENT ON FUNCTION medchain_internal.row_content_values(medchain.row_table, text) IS
    'internal: row_key_values() of a table without a key';

-- Texts of the key's values in the order of its columns' names on the ledger.  One column: the
-- value itself, unless it is given as jsonb; several: a JSON object.
CREATE FUNCTION medchain_internal.row_key_values(relation regclass, key text, as_object boolean)
    RETURNS text[]
    LANGUAGE plpgsql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    t row_table;
    given jsonb;
BEGIN
    SELECT * INTO t FROM row_table x WHERE x.relation = row_key_values.relation;
    IF t.key_columns = '{}' THEN
        RETURN row_content_values(t, key);
    END IF;
    IF cardinality(t.key_columns) = 1 AND NOT as_object THEN
        RETURN ARRAY[key];
    END IF;
    BEGIN
        given := key::jsonb;
    EXCEPTION WHEN data_exception THEN
        given := 'null';
    END;
    IF jsonb_typeof(given) IN ('string', 'number', 'boolean') AND cardinality(t.key_columns) = 1
        THEN
        RETURN ARRAY[given #>> '{}'];
    ELSIF jsonb_typeof(given) <> 'object'
       OR ARRAY(SELECT jsonb_object_keys(given) COLLATE "C" ORDER BY 1) <>
           ARRAY(SELECT k COLLATE "C" FROM unnest(t.key_columns) k ORDER BY 1) THEN
        RAISE invalid_parameter_value USING
            MESSAGE = 'key does not name the columns of the primary key',
            DETAIL = format('It consists of %s.', array_to_string(t.key_columns, ', ')),
            HINT = 'Give a JSON object, such as {"id": 1, "day": "2026-01-31"}.';
    END IF;
    RETURN ARRAY(SELECT given ->> c.attribute FROM row_column c WHERE c.relation = t.relation
        AND c.attribute = ANY (t.key_columns) ORDER BY c.name COLLATE "C");
END
$$;
COMMENT ON FUNCTION medchain_internal.row_key_values(regclass, text, boolean) IS
    'internal: values of a primary key as row_history_of() and row_proof_of() take them';

CREATE FUNCTION medchain_internal.row_copies(p_key bigint, p_relation text, p_row bytea)
    RETURNS bigint
    LANGUAGE sql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT coalesce(sum(row_more(e.kind)), 0)::bigint
    FROM local_node n, table_start(n.node, p_relation) s, row_entries(p_key, p_relation, p_row) e
    WHERE (e.late, e.seq) > (s.late, s.seq)
$$;
COMMENT ON FUNCTION medchain_internal.row_copies(bigint, text, bytea) IS
    'internal: how many rows of a table without a key there are that this stands for, as the '
    'ledger has it';

CREATE FUNCTION medchain_internal.row_words(relation regclass, id bytea, OUT "time" timestamptz,
    OUT operation text, OUT actor text, OUT role text, OUT entry uuid, OUT seq bigint,
    OUT sealed timestamptz, OUT commitment bytea, OUT fault text) RETURNS SETOF record
    LANGUAGE sql STABLE STRICT SET search_path = medchain, medchain_internal, pg_temp
AS $$
    WITH s AS MATERIALIZED (
        SELECT s.* FROM row_table t CROSS JOIN local_node n
             CROSS JOIN LATERAL table_start(n.node, t.ledger_name) s
        WHERE t.relation = $1 AND t.key_columns = '{}')
    SELECT e."time", substr(e.kind, 5), e.actor, e.payload::jsonb ->> 'role', e.id, CASE
        WHEN NOT e.late THEN e.seq END,
           (SELECT b.sealed FROM block b WHERE NOT e.late AND b.origin = n.node AND b.size > e.seq
               ORDER BY b.size, b.height LIMIT 1),
           e.commitment,
           CASE WHEN t.key_columns = '{}' THEN
                    CASE WHEN e.counts AND sum(e.more) OVER w < 0
                        THEN 'there had been more rows unseen' END
                WHEN e.kind IN ('row.update', 'row.delete') AND e.previous IS DISTINCT
               FROM lag(e.commitment) OVER w
                THEN 'the row had been changed unseen' END
    FROM row_table t CROSS JOIN local_node n
         CROSS JOIN LATERAL row_entries(row_bits($2),
             t.ledger_name, $2) r
         LEFT JOIN s ON true
         CROSS JOIN LATERAL (SELECT r.*, c.counts, CASE WHEN c.counts
             THEN row_more(r.kind) ELSE 0 END AS more
             FROM (SELECT (r.late, r.seq) > (s.late, s.seq) AS counts) c) e
    WHERE t.relation = $1
    WINDOW w AS (ORDER BY e.late, e.seq, e.place) ORDER BY e.late, e.seq, e.place
$$;
COMMENT ON FUNCTION medchain_internal.row_words(regclass, bytea) IS
    'internal: row_history() of the row that this stands for on the ledger';

CREATE FUNCTION medchain.row_proof_of(relation regclass, key text[]) RETURNS jsonb
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'medchain_row_proof_of';
COMMENT ON FUNCTION medchain.row_proof_of(regclass, text[]) IS
    'row_proof() by the values of the primary key in the order of its columns'' names';

CREATE FUNCTION medchain.row_proof(relation regclass, key text) RETURNS jsonb
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'medchain_row_proof';
COMMENT ON FUNCTION medchain.row_proof(regclass, text) IS
    'proof of what one row says now, for somebody who has no access to the database: the receipt '
    'of its newest entry, with the row''s content and the salt that open the commitment; null if '
    'there is no such row that the caller may read. key: value of the primary key; of one with '
    'several columns a JSON object';

CREATE FUNCTION medchain.row_proof(relation regclass, key anyelement) RETURNS jsonb
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'medchain_row_proof_of_value';
COMMENT ON FUNCTION medchain.row_proof(regclass, anyelement) IS
    'row_proof() for keys of other types; jsonb: an object of the key''s columns';

CREATE FUNCTION medchain.row_history_of(relation regclass, key text[], OUT "time" timestamptz,
    OUT operation text, OUT actor text, OUT role text, OUT entry uuid, OUT seq bigint,
    OUT sealed timestamptz, OUT commitment bytea, OUT fault text) RETURNS SETOF record
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'medchain_row_history_of';
COMMENT ON FUNCTION medchain.row_history_of(regclass, text[]) IS
    'row_history() by the values of the primary key in the order of its columns'' names';

CREATE FUNCTION medchain.row_history(relation regclass, key text, OUT "time" timestamptz,
    OUT operation text, OUT actor text, OUT role text, OUT entry uuid, OUT seq bigint,
    OUT sealed timestamptz, OUT commitment bytea, OUT fault text) RETURNS SETOF record
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'medchain_row_history';
COMMENT ON FUNCTION medchain.row_history(regclass, text) IS
    'what the ledger says about one row of a ledger table, oldest first, also of one that is gone: '
    'when, by whom, in which entry; sealed: time of its block, null while it waits; fault: what '
    'was done unseen before. key: as for row_proof()';

CREATE FUNCTION medchain.row_history(relation regclass, key anyelement, OUT "time" timestamptz,
    OUT operation text, OUT actor text, OUT role text, OUT entry uuid, OUT seq bigint,
    OUT sealed timestamptz, OUT commitment bytea, OUT fault text) RETURNS SETOF record
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'medchain_row_history_of_value';
COMMENT ON FUNCTION medchain.row_history(regclass, anyelement) IS
    'row_history() for keys of other types; jsonb: an object of the key''s columns';
