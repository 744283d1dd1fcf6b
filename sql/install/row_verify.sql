/*
 * row_verify.sql: comparing ledger tables with the ledger, and proving one row.
 */

CREATE FUNCTION medchain.verify_table(relation regclass, OUT row_key text, OUT fault text,
    OUT detail text)
    RETURNS SETOF record
    -- VOLATILE: by a snapshot as of when the table is locked, as one from before a TRUNCATE or
    -- rewrite would show it empty
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = medchain, pg_temp
        SET row_security = off
AS $$
DECLARE
    t row_table;
    local text := (SELECT node FROM local_node);
    kinds CONSTANT text[] :=
        '{protect, unprotect, table.ledger, table.alter, table.end, table.drop}';
    name text := (SELECT n.nspname || '.' || c.relname FROM pg_class c
        JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = verify_table.relation);
    word uuid;
    is_known boolean;
    changes jsonb;
BEGIN
    IF EXISTS (SELECT FROM row_table x WHERE x.relation = verify_table.relation) THEN
        EXECUTE format('LOCK TABLE %s IN ACCESS SHARE MODE', verify_table.relation);
        -- by a snapshot from before a TRUNCATE, its rows from then are gone, and those that COPY
        -- FREEZE has brought are there already: neither is anybody's fault
        IF EXISTS (SELECT FROM table_and_partitions(verify_table.relation) p
                   JOIN pg_class c ON c.oid = p AND c.relkind = 'r'
                   WHERE c.relfilenode IS DISTINCT FROM pg_relation_filenode(p)) THEN
            RAISE serialization_failure USING
                MESSAGE = format('%s has been emptied or rewritten since this transaction began',
                                 verify_table.relation),
                HINT = 'Run the transaction again.';
        END IF;
    END IF;
    SELECT * INTO t FROM row_table x WHERE x.relation = verify_table.relation;
    IF NOT FOUND THEN
        -- unless the ledger says otherwise: somebody has made medchain forget the table
        SELECT w.id, w.kind IN ('protect', 'table.ledger', 'table.alter') INTO word, is_known FROM (
            SELECT false AS late, e.seq, e.id, e.kind, e.payload FROM entry e
                WHERE e.origin = local AND e.kind = ANY (kinds)
            UNION ALL
            SELECT true, e.seq, e.id, e.kind, e.payload FROM pending e WHERE e.kind = ANY (kinds)) w
            WHERE w.payload::jsonb -> 'body' ->> 'relation' = name
            ORDER BY w.late DESC, w.seq DESC LIMIT 1;
        IF is_known AND NOT EXISTS (SELECT FROM row_table x JOIN pg_class c ON c.oid = x.relation
                                    WHERE x.ledger_name = name) THEN
            RETURN QUERY SELECT NULL::text, 'not captured'::text,
                format('by entry %s its rows are on the ledger, but medchain.row_table does not '
                    'know it', word);
            RETURN;
        END IF;
        RAISE undefined_object USING
            MESSAGE = format('rows of table %s are not on the ledger', verify_table.relation),
            HINT = 'Call medchain.ledger_table() or medchain.protect() first.';
    END IF;

    -- DDL on a function or a type, which does not lock the table, may have committed between the
    -- two looks
    FOR attempt IN 1 .. 3 LOOP
        changes := row_changes(known_description(t), row_description(t.relation));
        EXIT WHEN changes = '[]';
        SELECT * INTO t FROM row_table x WHERE x.relation = verify_table.relation;
    END LOOP;

    -- what keeps changes from being seen in the first place
    RETURN QUERY
    SELECT NULL::text, 'not captured'::text, format('trigger medchain_capture on %s is %s', p, CASE
        WHEN g.oid IS NULL THEN 'missing' ELSE 'not enabled always' END)
        FROM table_and_partitions(t.relation) p LEFT JOIN pg_trigger g ON g.tgrelid = p
            AND g.tgname = 'medchain_capture' AND g.tgfoid = 'medchain.capture'::regproc
        WHERE g.tgenabled IS DISTINCT FROM 'A' ORDER BY 3;
    RETURN QUERY
    SELECT NULL::text, 'not protected'::text, f
        FROM protection_faults(t.relation, t.subject_column) f
        WHERE t.subject_column IS NOT NULL ORDER BY 3;
    RETURN QUERY
    SELECT NULL::text, 'not watched'::text,
        'the table is not what it was when it was dumped: DDL is not recorded'::text
            WHERE at_home() AND NOT is_watched(t)
    UNION ALL
    SELECT NULL, 'not watched', format('event trigger %s is not enabled always', n)
        FROM unnest(ARRAY['medchain_observe_ddl', 'medchain_observe_drop',
                             'medchain_observe_rewrite']) n
        LEFT JOIN pg_event_trigger g ON g.evtname = n
        WHERE g.evtenabled IS DISTINCT FROM 'A'
    UNION ALL
    (SELECT NULL, 'changed', format('%s: %s', c ->> 'item', c ->> 'change')
        FROM jsonb_array_elements(changes) c
     WHERE is_watched(t) ORDER BY 3);

    -- One statement, and so one snapshot: entries are sealed all the time.
    RETURN QUERY EXECUTE format($query$
        -- the newest word about the table as a whole; the name may have been another table's before
        WITH start AS MATERIALIZED (
            SELECT w.late, w.seq FROM (
                SELECT false AS late, e.seq, e.kind, e.payload FROM entry e WHERE e.origin = $1
                    AND e.kind IN ('protect', 'table.ledger', 'table.alter')
                UNION ALL
                SELECT true, e.seq, e.kind, e.payload FROM pending e
                    WHERE e.kind IN ('protect', 'table.ledger', 'table.alter')) w
            WHERE w.payload::jsonb -> 'body' ->> 'relation' = $2 AND (w.kind <> 'table.alter'
                OR w.payload::jsonb -> 'body' ? 'baseline')
            ORDER BY w.late DESC, w.seq DESC LIMIT 1),
        word AS (
            SELECT w.late, w.seq, w.id, w.kind, r.row_id, r.version, r.commitment, r.previous FROM (
                SELECT false AS late, e.seq, e.id, e.kind, e.payload FROM entry e
                    WHERE e.origin = $1 AND e.kind = ANY (%1$L::text[])
                    AND NOT EXISTS (SELECT FROM start s WHERE s.late)
                        AND e.seq > coalesce((SELECT s.seq FROM start s), -1)
                UNION ALL
                SELECT true, e.seq, e.id, e.kind, e.payload FROM pending e
                    WHERE e.kind = ANY (%1$L::text[])
                    AND e.seq > coalesce((SELECT s.seq FROM start s WHERE s.late), -1)) w,
                LATERAL row_entry(w.payload) r WHERE r.relation = $2),
        told AS MATERIALIZED (
            SELECT w.*, lag(w.kind) OVER history AS before_kind,
                   lag(w.commitment) OVER history AS before, lag(w.id) OVER history AS before_id,
                   lead(w.id) OVER history IS NULL AS newest
            FROM word w WINDOW history AS (PARTITION BY w.row_id ORDER BY w.late, w.seq)),
        -- FULL JOIN, as that is never done by comparing each row with each entry, however few the
        -- planner takes them for
        live AS MATERIALIZED (
            SELECT coalesce(d.row_id, s.row_id) AS row_id, d.row_key, d.row_id IS NOT NULL
                AS is_there, s.id, s.kind, s.commitment,
                   CASE WHEN s.version = $4 THEN d.commitment
                       ELSE (row_digest($3, d.whole, s.version)).commitment END AS found
            -- x.*, as x alone would be a column where there is one of that name
            FROM (SELECT (x.*)::%2$s AS whole, g.* FROM %2$s x CROSS JOIN LATERAL row_digest($3,
                x.*, $4) g) d
                 FULL JOIN (SELECT * FROM told WHERE newest) s ON s.row_id = d.row_id),
        faults AS (
            SELECT l.row_id, l.row_key,
                   CASE WHEN NOT l.is_there THEN 'removed' WHEN l.id IS NULL
                       OR l.kind = 'row.delete' THEN 'added' ELSE 'changed' END AS fault,
                   CASE WHEN NOT l.is_there THEN format('entry %%s says that there is such a row',
                       l.id)
                        WHEN l.id IS NULL THEN 'the ledger knows nothing of this row'
                        WHEN l.kind = 'row.delete'
                            THEN format('entry %%s says that the row was deleted', l.id)
                        ELSE format('content differs from the commitment in entry %%s', l.id) END
                            AS detail
            FROM live l
            WHERE CASE WHEN l.is_there THEN l.id IS NULL OR l.kind = 'row.delete' OR l.commitment
                IS DISTINCT FROM l.found ELSE l.kind <> 'row.delete' END
            UNION ALL
            -- what was covered up since by a change that was seen
            SELECT s.row_id, NULL,
                   CASE WHEN s.kind = 'row.insert' THEN 'removed' WHEN s.before_kind IS NULL
                       OR s.before_kind = 'row.delete' THEN 'added' ELSE 'changed' END,
                   CASE WHEN s.kind = 'row.insert' THEN format('between entries %%s and %%s',
                       s.before_id, s.id)
                        WHEN s.before_id IS NULL THEN format('before entry %%s', s.id)
                        ELSE format('between entries %%s and %%s', s.before_id, s.id) END
            FROM told s
            WHERE (s.kind = 'row.insert' AND s.before_kind <> 'row.delete')
               OR (s.kind IN ('row.update', 'row.delete') AND (s.before_kind IS NULL
                   OR s.before_kind = 'row.delete'
                   OR s.previous IS DISTINCT FROM s.before)))
        SELECT coalesce(f.row_key, l.row_key, k.row_key, encode(f.row_id, 'hex')), f.fault, f.detail
        FROM faults f LEFT JOIN live l ON f.row_key IS NULL AND l.is_there AND l.row_id = f.row_id
             LEFT JOIN (SELECT DISTINCT ON (x.row_id) x.row_id, x.row_key FROM row_key x
                        WHERE x.relation = $3 AND x.row_id IN (SELECT g.row_id FROM faults g
                            WHERE g.row_key IS NULL)) k ON k.row_id = f.row_id
        ORDER BY 1, 2, 3$query$, row_kinds(), t.relation)
        USING local, t.ledger_name, t.relation, t.version;
END
$$;
COMMENT ON FUNCTION medchain.verify_table(regclass) IS
    'compare a ledger table with the commitments on the ledger: a row for each row that was '
    'changed, added or removed behind medchain''s back, also where a later change has covered it '
    'up, and for what keeps changes from being seen (row_key null); none if all is well';

-- Texts of the key's values in the order of its columns' names on the ledger.  One column: the
-- value itself, unless it is given as jsonb; several: a JSON object.
CREATE FUNCTION medchain.row_key_values(relation regclass, key text, as_object boolean)
    RETURNS text[]
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = medchain, pg_temp
AS $$
DECLARE
    t row_table;
    given jsonb;
BEGIN
    SELECT * INTO t FROM row_table x WHERE x.relation = row_key_values.relation;
    IF NOT FOUND THEN
        RAISE undefined_object USING
            MESSAGE = format('rows of table %s are not on the ledger', row_key_values.relation),
            HINT = 'Call medchain.ledger_table() or medchain.protect() first.';
    ELSIF cardinality(t.key_columns) = 1 AND NOT as_object THEN
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
COMMENT ON FUNCTION medchain.row_key_values(regclass, text, boolean) IS
    'internal: values of a primary key as row_id_of() and row_proof_of() take them';

CREATE FUNCTION medchain.row_digest(relation regclass, "row" record, version int, OUT row_id bytea,
    OUT row_key text, OUT commitment bytea)
    LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'medchain_row_digest';
COMMENT ON FUNCTION medchain.row_digest(regclass, record, int) IS
    'internal: what stands for a row on the ledger, its primary key, and the commitment to its '
    'content';

CREATE FUNCTION medchain.row_id_of(relation regclass, key text[]) RETURNS bytea
    LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'medchain_row_id';
COMMENT ON FUNCTION medchain.row_id_of(regclass, text[]) IS
    'internal: what stands on the ledger for the row with this primary key';

CREATE FUNCTION medchain.row_proof_of(relation regclass, key text[]) RETURNS jsonb
    LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'medchain_row_proof';
COMMENT ON FUNCTION medchain.row_proof_of(regclass, text[]) IS
    'row_proof() by the values of the primary key in the order of its columns'' names';

CREATE FUNCTION medchain.row_proof(relation regclass, key text) RETURNS jsonb
    LANGUAGE sql STABLE STRICT SET search_path = medchain, pg_temp
    AS $$ SELECT row_proof_of(relation, row_key_values(relation, key, false)) $$;
COMMENT ON FUNCTION medchain.row_proof(regclass, text) IS
    'proof of what one row says now, for somebody who has no access to the database: the receipt '
    'of its newest entry, with the row''s content and the salt that open the commitment; null if '
    'there is no such row that the caller may read. key: value of the primary key; of one with '
    'several columns a JSON object';

CREATE FUNCTION medchain.row_proof(relation regclass, key anyelement) RETURNS jsonb
    LANGUAGE sql STABLE STRICT SET search_path = medchain, pg_temp
    AS $$ SELECT row_proof_of(relation, row_key_values(relation, key::text,
        pg_typeof(key) = 'jsonb'::regtype)) $$;
COMMENT ON FUNCTION medchain.row_proof(regclass, anyelement) IS
    'row_proof() for keys of other types; jsonb: an object of the key''s columns';

CREATE FUNCTION medchain.row_history_of(relation regclass, key text[], OUT "time" timestamptz,
    OUT operation text, OUT actor text, OUT role text,
                                        OUT entry uuid, OUT seq bigint, OUT sealed timestamptz,
                                            OUT commitment bytea, OUT fault text)
    RETURNS SETOF record
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = medchain, pg_temp
AS $$
DECLARE
    id bytea := row_id_of(row_history_of.relation, row_history_of.key);
BEGIN
    -- Of a protected table, that there is a row and when it changed is nothing for everybody
    -- either.
    IF NOT has_table_privilege(session_user, row_history_of.relation, 'SELECT')
       OR (EXISTS (SELECT FROM row_table t WHERE t.relation = row_history_of.relation
           AND t.subject_column IS NOT NULL)
           AND NOT pg_has_role(session_user, 'medchain_admin', 'MEMBER')
               AND NOT pg_has_role(session_user, 'medchain_auditor', 'MEMBER')) THEN
        RAISE insufficient_privilege USING MESSAGE = format('permission denied for the history of '
            'table %s', row_history_of.relation);
    END IF;
    RETURN QUERY
    SELECT e."time", substr(e.kind, 5), e.actor, e.payload::jsonb ->> 'role', e.id, CASE
        WHEN NOT e.late THEN e.seq END,
           (SELECT b.sealed FROM block b WHERE NOT e.late AND b.origin = n.node AND b.size > e.seq
               ORDER BY b.size, b.height LIMIT 1),
           e.commitment,
           CASE WHEN e.kind IN ('row.update', 'row.delete') AND e.previous IS DISTINCT
               FROM lag(e.commitment) OVER w
                THEN 'the row had been changed unseen' END
    FROM row_table t CROSS JOIN local_node n
         CROSS JOIN LATERAL row_entries(('x' || encode(substr(id, 1, 8), 'hex'))::bit(64)::bigint,
             t.ledger_name, id) e
    WHERE t.relation = row_history_of.relation
    WINDOW w AS (ORDER BY e.late, e.seq) ORDER BY e.late, e.seq;
END
$$;
COMMENT ON FUNCTION medchain.row_history_of(regclass, text[]) IS
    'row_history() by the values of the primary key in the order of its columns'' names';

CREATE FUNCTION medchain.row_history(relation regclass, key text, OUT "time" timestamptz,
    OUT operation text, OUT actor text, OUT role text,
                                     OUT entry uuid, OUT seq bigint, OUT sealed timestamptz,
                                         OUT commitment bytea, OUT fault text)
    RETURNS SETOF record
    LANGUAGE sql STABLE STRICT SET search_path = medchain, pg_temp
    AS $$ SELECT * FROM row_history_of(relation, row_key_values(relation, key, false)) $$;
COMMENT ON FUNCTION medchain.row_history(regclass, text) IS
    'what the ledger says about one row of a ledger table, oldest first, also of one that is gone: '
    'when, by whom, in which entry; sealed: time of its block, null while it waits; fault: what '
    'was done unseen before. key: as for row_proof()';

CREATE FUNCTION medchain.row_history(relation regclass, key anyelement, OUT "time" timestamptz,
    OUT operation text, OUT actor text, OUT role text,
                                     OUT entry uuid, OUT seq bigint, OUT sealed timestamptz,
                                         OUT commitment bytea, OUT fault text)
    RETURNS SETOF record
    LANGUAGE sql STABLE STRICT SET search_path = medchain, pg_temp
    AS $$ SELECT * FROM row_history_of(relation, row_key_values(relation, key::text,
        pg_typeof(key) = 'jsonb'::regtype)) $$;
COMMENT ON FUNCTION medchain.row_history(regclass, anyelement) IS
    'row_history() for keys of other types; jsonb: an object of the key''s columns';
