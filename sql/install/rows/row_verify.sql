/*
 * row_verify.sql: comparing ledger tables with the ledger.
 */

CREATE FUNCTION medchain_internal.table_start(p_node text, p_relation text, OUT late boolean,
    OUT seq bigint)
    LANGUAGE sql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT w.late, w.seq FROM (
        SELECT false AS late, e.seq, e.kind, e.payload FROM sealed e WHERE e.origin = p_node
            AND e.kind IN ('protect', 'table.ledger', 'table.alter')
        UNION ALL
        SELECT true, e.seq, e.kind, e.payload FROM pending e
            WHERE e.kind IN ('protect', 'table.ledger', 'table.alter')) w
    WHERE w.payload::jsonb -> 'body' ->> 'relation' = p_relation AND (w.kind <> 'table.alter'
        OR w.payload::jsonb -> 'body' ? 'baseline')
    ORDER BY w.late DESC, w.seq DESC LIMIT 1
$$;
COMMENT ON FUNCTION medchain_internal.table_start(text, text) IS
    'internal: where the newest baseline of a table is announced, whose rows stand behind it; the '
    'name may have been another table''s before';

CREATE FUNCTION medchain_internal.row_more(kind text) RETURNS int
    LANGUAGE sql IMMUTABLE STRICT SET search_path = medchain, medchain_internal, pg_temp
    AS $$ SELECT CASE $1 WHEN 'row.update' THEN 0 WHEN 'row.delete' THEN -1 ELSE 1 END $$;
COMMENT ON FUNCTION medchain_internal.row_more(text) IS
    'internal: how many rows more there are after what an entry of this kind says of one';

-- A text, as it has to be part of the statement that compares the words with the rows.
CREATE FUNCTION medchain_internal.table_words() RETURNS text
    LANGUAGE sql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT format($query$
        WITH start AS MATERIALIZED (
            SELECT s.late, s.seq FROM table_start($1, $2) s WHERE s.late IS NOT NULL),
        word AS (
            SELECT w.late, w.seq, NULL::bigint AS place, w.id, w.kind, r.row_id, r.version,
                r.commitment, r.previous FROM (
                SELECT false AS late, e.seq, e.id, e.kind, e.payload FROM sealed e
                    WHERE e.origin = $1 AND e.kind = ANY (%1$L::text[])
                    AND NOT EXISTS (SELECT FROM start s WHERE s.late)
                        AND e.seq > coalesce((SELECT s.seq FROM start s), -1)
                UNION ALL
                SELECT true, e.seq, e.id, e.kind, e.payload FROM pending e
                    WHERE e.kind = ANY (%1$L::text[])
                    AND e.seq > coalesce((SELECT s.seq FROM start s WHERE s.late), -1)) w,
                LATERAL row_entry(w.payload) r WHERE r.relation = $2
            UNION ALL
            SELECT w.late, w.seq, s.number::bigint * 16384 + i.place, w.id, 'row.' || i.operation,
                i.row_id, r.version, i.commitment, i.previous FROM (
                SELECT false AS late, e.seq, e.id, e.payload FROM sealed e
                    WHERE e.origin = $1 AND e.kind = 'row.set'
                    AND NOT EXISTS (SELECT FROM start s WHERE s.late)
                        AND e.seq > coalesce((SELECT s.seq FROM start s), -1)
                UNION ALL
                SELECT true, e.seq, e.id, e.payload FROM pending e WHERE e.kind = 'row.set'
                    AND e.seq > coalesce((SELECT s.seq FROM start s WHERE s.late), -1)) w
                JOIN row_set s ON s.entry = w.id LEFT JOIN row_item x ON x.part = s.part,
                LATERAL row_set_entry(w.payload) r,
                LATERAL row_item_list(coalesce(s.items, x.items)) i
                WHERE r.relation = $2)$query$, row_kinds())
$$;
COMMENT ON FUNCTION medchain_internal.table_words() IS
    'internal: the first part of a query: what the ledger says of rows of a table of node $1, '
    'called $2 there, since all of them were put on it: WITH ... word (late, seq, place, id, kind, '
    'row_id, version, commitment, previous)';

CREATE FUNCTION medchain_internal.is_truncate_captured(part regclass) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT EXISTS (
        SELECT FROM pg_trigger g
        WHERE g.tgrelid = $1 AND g.tgname = 'medchain_truncate' AND g.tgenabled = 'A'
        AND g.tgfoid = 'medchain_internal.capture_truncate()'::regprocedure
        -- BEFORE TRUNCATE, statement: catalog/pg_trigger.h
        AND g.tgtype = 2 + 32 AND g.tgqual IS NULL)
$$;
COMMENT ON FUNCTION medchain_internal.is_truncate_captured(regclass) IS
    'internal: does every TRUNCATE of this relation call capture_truncate()?';

CREATE FUNCTION medchain_internal.table_faults(relation regclass, OUT row_key text, OUT fault text,
    OUT detail text)
    RETURNS SETOF record
    -- VOLATILE: by a snapshot as of when the table is locked, as one from before a TRUNCATE or
    -- rewrite would show it empty
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
        SET row_security = off
        SET jit = off
AS $$
DECLARE
    t row_table;
    local text := (SELECT node FROM local_node);
    kinds CONSTANT text[] :=
        '{protect, unprotect, table.ledger, table.alter, table.end, table.drop}';
    name text := (SELECT n.nspname || '.' || c.relname FROM pg_class c
        JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = table_faults.relation);
    word uuid;
    is_known boolean;
    changes jsonb;
BEGIN
    IF table_faults.relation IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'relation must not be null';
    END IF;
    PERFORM require_relation(table_faults.relation);
    PERFORM append_captured();
    IF EXISTS (SELECT FROM row_table x WHERE x.relation = table_faults.relation) THEN
        EXECUTE format('LOCK TABLE %s IN ACCESS SHARE MODE', table_faults.relation);
        -- by a snapshot from before a TRUNCATE, its rows from then are gone, and those that COPY
        -- FREEZE has brought are there already: neither is anybody's fault
        IF EXISTS (SELECT FROM table_and_partitions(table_faults.relation) p
                   JOIN pg_class c ON c.oid = p AND c.relkind = 'r'
                   WHERE c.relfilenode IS DISTINCT FROM pg_relation_filenode(p)) THEN
            RAISE serialization_failure USING
                MESSAGE = format('%s has been emptied or rewritten since this transaction began',
                                 table_faults.relation),
                HINT = 'Run the transaction again.';
        END IF;
    END IF;
    SELECT * INTO t FROM row_table x WHERE x.relation = table_faults.relation;
    IF NOT FOUND THEN
        -- unless the ledger says otherwise: somebody has made medchain forget the table
        SELECT w.id, w.kind IN ('protect', 'table.ledger', 'table.alter') INTO word, is_known FROM (
            SELECT false AS late, e.seq, e.id, e.kind, e.payload FROM sealed e
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
            MESSAGE = format('rows of table %s are not on the ledger', table_faults.relation),
            HINT = coalesce(row_beginning(table_faults.relation),
                'Only a table that a user has made, and not for one session, can be there.');
    END IF;

    PERFORM injection_point('medchain-verify-table');
    -- DDL on a function or a type, which does not lock the table, may have committed between the
    -- two looks
    FOR attempt IN 1 .. 3 LOOP
        changes := row_changes(known_description(t), row_description(t.relation));
        EXIT WHEN changes = '[]';
        SELECT * INTO t FROM row_table x WHERE x.relation = table_faults.relation;
    END LOOP;

    -- what keeps changes from being seen in the first place
    RETURN QUERY
    SELECT NULL::text, 'not captured'::text,
        format('trigger %s on %s is %s; medchain.renew_table(%L) puts it back', w.name, p, CASE
        WHEN g.oid IS NULL THEN 'missing' WHEN g.tgenabled <> 'A' THEN 'not enabled always'
        ELSE 'not as medchain made it' END, t.relation)
        FROM table_and_partitions(t.relation) p CROSS JOIN (VALUES
            ('medchain_capture', 'medchain_internal.capture'::regproc),
            ('medchain_truncate', 'medchain_internal.capture_truncate')) w (name, function)
        LEFT JOIN pg_trigger g ON g.tgrelid = p AND g.tgname = w.name AND g.tgfoid = w.function
        WHERE CASE w.name WHEN 'medchain_capture' THEN NOT is_captured(p)
                          ELSE NOT is_truncate_captured(p) END ORDER BY 3;
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
    IF t.key_columns = '{}' THEN
        RETURN QUERY EXECUTE table_words() || $query$,
        -- how often each content stands there; another content is another row
        told AS (
            SELECT w.row_id, sum(row_more(w.kind)) AS number FROM word w GROUP BY w.row_id),
        live AS (
            SELECT d.row_id, min(d.row_key) AS row_key, count(*) AS number
            FROM row_digests($3, $4) d GROUP BY d.row_id)
        SELECT coalesce(l.row_key, encode(s.row_id, 'hex')),
               CASE WHEN coalesce(l.number, 0) > coalesce(s.number, 0) THEN 'added'
                    ELSE 'removed' END,
               CASE WHEN s.number IS NULL THEN 'the ledger knows nothing of this row'
                    WHEN s.number < 0 THEN format('rows that say this: %s more were deleted than '
                        'the ledger knows of, %s in the table', -s.number, coalesce(l.number, 0))
                    ELSE format('rows that say this: %s by the ledger, %s in the table', s.number,
                        coalesce(l.number, 0)) END
        FROM live l FULL JOIN told s ON s.row_id = l.row_id
        WHERE coalesce(l.number, 0) <> coalesce(s.number, 0) ORDER BY 1, 2, 3$query$
            USING local, t.ledger_name, t.relation, t.version;
        RETURN;
    END IF;
    RETURN QUERY EXECUTE table_words() || $query$,
        told AS MATERIALIZED (
            SELECT w.*, lag(w.kind) OVER history AS before_kind,
                   lag(w.commitment) OVER history AS before, lag(w.id) OVER history AS before_id,
                   lead(w.id) OVER history IS NULL AS newest
            FROM word w WINDOW history AS (
                PARTITION BY w.row_id ORDER BY w.late, w.seq, w.place)),
        -- FULL JOIN here and below, as that is never done by comparing each row with each entry,
        -- however few the planner takes them for
        live AS MATERIALIZED (
            SELECT coalesce(d.row_id, s.row_id) AS row_id, d.row_key, d.row_id IS NOT NULL
                AS is_there, s.id, s.kind, s.commitment,
                   CASE WHEN s.version = $4 THEN d.commitment
                       ELSE row_digest(d.part, d.at, s.version) END AS found
            FROM row_digests($3, $4) d
                 FULL JOIN (SELECT * FROM told WHERE newest) s ON s.row_id = d.row_id),
        faults AS (
            SELECT l.row_id, l.row_key,
                   CASE WHEN NOT l.is_there THEN 'removed' WHEN l.id IS NULL
                       OR l.kind = 'row.delete' THEN 'added' ELSE 'changed' END AS fault,
                   CASE WHEN NOT l.is_there THEN format('entry %s says that there is such a row',
                       l.id)
                        WHEN l.id IS NULL THEN 'the ledger knows nothing of this row'
                        WHEN l.kind = 'row.delete'
                            THEN format('entry %s says that the row was deleted', l.id)
                        ELSE format('content differs from the commitment in entry %s', l.id) END
                            AS detail
            FROM live l
            WHERE CASE WHEN l.is_there THEN l.id IS NULL OR l.kind = 'row.delete' OR l.commitment
                IS DISTINCT FROM l.found ELSE l.kind <> 'row.delete' END
            UNION ALL
            -- what was covered up since by a change that was seen
            SELECT s.row_id, NULL,
                   CASE WHEN s.kind = 'row.insert' THEN 'removed' WHEN s.before_kind IS NULL
                       OR s.before_kind = 'row.delete' THEN 'added' ELSE 'changed' END,
                   CASE WHEN s.kind = 'row.insert' THEN format('between entries %s and %s',
                       s.before_id, s.id)
                        WHEN s.before_id IS NULL THEN format('before entry %s', s.id)
                        ELSE format('between entries %s and %s', s.before_id, s.id) END
            FROM told s
            WHERE (s.kind = 'row.insert' AND s.before_kind <> 'row.delete')
               OR (s.kind IN ('row.update', 'row.delete') AND (s.before_kind IS NULL
                   OR s.before_kind = 'row.delete'
                   OR s.previous IS DISTINCT FROM s.before))),
        -- what rows are called, if one has to be that is not there, or as it was
        names AS (
            SELECT DISTINCT ON (n.row_id) n.row_id, n.row_key FROM (
                SELECT 0 AS rank, l.row_id, l.row_key FROM live l WHERE l.is_there
                UNION ALL
                SELECT 1, y.row_id, y.row_key FROM row_key y WHERE y.relation = $3
                UNION ALL
                SELECT 1, q.row_id, q.row_key FROM (
                    SELECT y.row_id, k.row_key FROM told y FULL JOIN (
                        SELECT s.entry, s.number::bigint * 16384 + i.place AS place, i.row_key
                        FROM row_set s, row_key_list(s.keys) i WHERE s.relation = $2) k
                        ON k.entry = y.id AND k.place = y.place OFFSET 0) q
                WHERE q.row_id IS NOT NULL AND q.row_key IS NOT NULL) n
            WHERE n.row_id IN (SELECT f.row_id FROM faults f WHERE f.row_key IS NULL)
                AND (n.rank = 0 OR is_row_name($3, n.row_id, n.row_key))
            ORDER BY n.row_id, n.rank, n.row_key)
        SELECT coalesce(q.row_key, q.name, encode(q.row_id, 'hex')), q.fault, q.detail
        FROM (SELECT f.*, n.row_key AS name FROM faults f FULL JOIN names n ON n.row_id = f.row_id
              OFFSET 0) q
        WHERE q.fault IS NOT NULL
        ORDER BY 1, 2, 3$query$
        USING local, t.ledger_name, t.relation, t.version;
END
$$;
COMMENT ON FUNCTION medchain_internal.table_faults(regclass) IS
    'internal: what verify_table() finds of one table, without those that inherit from it';

CREATE FUNCTION medchain.verify_table(relation regclass, OUT row_key text, OUT fault text,
    OUT detail text)
    RETURNS SETOF record
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
        SET search_path = medchain, medchain_internal, pg_temp
        SET row_security = off
AS $$
DECLARE
    heir regclass;
BEGIN
    RETURN QUERY SELECT * FROM table_faults(verify_table.relation);
    FOR heir IN SELECT row_heirs(verify_table.relation) LOOP
        IF NOT EXISTS (SELECT FROM row_table t WHERE t.relation = heir) THEN
            RETURN QUERY SELECT NULL::text, 'not captured'::text,
                format('%s inherits from %s, and is not on the ledger; '
                    'medchain.renew_table(%L) puts it there', heir, verify_table.relation,
                    verify_table.relation);
            CONTINUE;
        END IF;
        RETURN QUERY SELECT heir || ': ' || f.row_key, f.fault,
            CASE WHEN f.row_key IS NULL THEN heir || ': ' ELSE '' END || f.detail
            FROM table_faults(heir) f;
    END LOOP;
END
$$;
COMMENT ON FUNCTION medchain.verify_table(regclass) IS
    'compare a ledger table, and those that inherit from it, with the commitments on the ledger: a '
    'row for each row that was changed, added or removed behind medchain''s back, also where a '
    'later change has covered it up, and for what keeps changes from being seen (row_key null); '
    'none if all is well. renew_table() is the way back';

-- Read as they lie in storage (row_scan.c), for a query would run the owner's code.
CREATE FUNCTION medchain_internal.row_digests(relation regclass, version int, OUT part regclass,
    OUT at tid,
    OUT row_id bytea, OUT row_key text, OUT commitment bytea) RETURNS SETOF record
    LANGUAGE c STABLE STRICT ROWS 100000 AS 'MODULE_PATHNAME', 'medchain_row_digests';
COMMENT ON FUNCTION medchain_internal.row_digests(regclass, int) IS
    'internal: all rows of a ledger table: where they are, what stands for them on the ledger, '
    'their primary keys, and the commitments to their content by the columns that version had';

CREATE FUNCTION medchain_internal.is_row_name(relation regclass, row_id bytea, name text)
    RETURNS boolean
    LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'medchain_is_row_name';
COMMENT ON FUNCTION medchain_internal.is_row_name(regclass, bytea, text) IS
    'internal: does a text name the row with that pseudonym? false of what was cut off';

CREATE FUNCTION medchain_internal.row_digest(part regclass, at tid, version int) RETURNS bytea
    LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'medchain_row_digest';
COMMENT ON FUNCTION medchain_internal.row_digest(regclass, tid, int) IS
    'internal: the commitment to one row that row_digests() has found, by another version';
