/*
 * local_verify.sql: what this node knows for itself, compared with what it has said on the ledger.
 *
 * Whoever can write to our tables could have a ledger table's rows taken for what they are not: as
 * made by another version's columns, as those of other examinees.  Each fact about it that
 * decides something was an entry once.
 */

-- What the entries of this node, sealed or not, say about each of its ledger tables now.
CREATE FUNCTION medchain.row_tables_told() RETURNS TABLE (ledger_name text, entry uuid,
    subject text, key text[], append_only boolean, record_truncate boolean, version int,
    columns text[], known text)
    LANGUAGE sql STABLE SET search_path = medchain, pg_temp
AS $$
    WITH word AS MATERIALIZED (
        SELECT e.id, e.kind, e.late, e.seq, b.body, b.body ->> 'relation' AS name
        FROM (SELECT x.id, x.kind, false AS late, x.seq, x.payload FROM sealed x
                  WHERE x.origin = (SELECT n.node FROM local_node n)
              UNION ALL SELECT x.id, x.kind, true, x.seq, x.payload FROM pending x) e
             CROSS JOIN LATERAL object_or_null(entry_body(e.payload), false) b (body)
        WHERE e.kind IN ('protect', 'table.ledger', 'table.alter', 'unprotect', 'table.end',
            'table.drop')),
    start AS MATERIALIZED (
        SELECT DISTINCT ON (w.name) w.* FROM word w WHERE w.kind <> 'table.alter'
        ORDER BY w.name, w.late DESC, w.seq DESC),
    change AS MATERIALIZED (
        SELECT w.name, w.late, w.seq, (w.body ->> 'version')::int AS version,
               w.body -> 'columns' AS columns, w.body -> 'key' AS key, w.body ->> 'known' AS known,
               row_number() OVER (PARTITION BY w.name ORDER BY w.late DESC, w.seq DESC) AS nth
        FROM word w JOIN start s ON s.name = w.name AND (w.late, w.seq) > (s.late, s.seq)
        WHERE w.kind = 'table.alter' AND w.body ->> 'version' ~ '^[0-9]{1,9}$'
            AND jsonb_typeof(w.body -> 'columns') = 'array')
    SELECT s.name, s.id, s.body ->> 'subject',
           -- where there was none at first, there may be one since
           ARRAY(SELECT jsonb_array_elements_text(coalesce((SELECT c.key FROM change c
               WHERE c.name = s.name AND jsonb_typeof(c.key) = 'array'
               ORDER BY c.late DESC, c.seq DESC LIMIT 1), s.body -> 'key'))),
           s.body -> 'append_only' = 'true', s.body -> 'record_truncate' = 'true',
           coalesce(n.version, 1),
           ARRAY(SELECT jsonb_array_elements_text(coalesce(n.columns, s.body -> 'columns'))),
           CASE WHEN n.name IS NULL THEN s.body ->> 'known' ELSE n.known END
    FROM start s LEFT JOIN change n ON n.name = s.name AND n.nth = 1
    WHERE s.kind IN ('protect', 'table.ledger') AND jsonb_typeof(s.body -> 'columns') = 'array'
        AND jsonb_typeof(s.body -> 'key') = 'array'
$$;
COMMENT ON FUNCTION medchain.row_tables_told() IS
    'internal: ledger tables as the entries about them describe them; columns: their names on the '
    'ledger; known: as row_known() was';

CREATE FUNCTION medchain.sorted_names(names text[]) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = medchain, pg_temp
    AS $$ SELECT string_agg(n, ', ' ORDER BY n COLLATE "C") FROM unnest($1) n $$;
COMMENT ON FUNCTION medchain.sorted_names(text[]) IS 'internal: names as one text, in one order';

CREATE FUNCTION medchain.row_table_faults() RETURNS SETOF text
    LANGUAGE sql STABLE SET search_path = medchain, pg_temp
AS $$
    WITH here AS MATERIALIZED (
        SELECT t.ledger_name, t.append_only, t.record_truncate, t.version,
               (SELECT c.name FROM row_column c WHERE c.relation = t.relation
                AND c.attribute = t.subject_column) AS subject, t.subject_column,
               ARRAY(SELECT c.name FROM row_column c WHERE c.relation = t.relation
                     AND c.attribute = ANY (t.key_columns)) AS key,
               ARRAY(SELECT c.name FROM row_column c WHERE c.relation = t.relation) AS columns,
               EXISTS (SELECT FROM row_secret s WHERE s.relation = t.relation) AS has_secret,
               row_known(t.relation) AS known, t.rewritten
        FROM row_table t),
    told AS MATERIALIZED (SELECT * FROM row_tables_told()),
    difference (item, here, told, ledger_name) AS MATERIALIZED (
        SELECT d.item, d.here, d.told, h.ledger_name
        FROM here h JOIN told t ON t.ledger_name = h.ledger_name
             CROSS JOIN LATERAL (VALUES
                 ('subject_column', coalesce(h.subject, h.subject_column), t.subject),
                 ('key_columns', sorted_names(h.key), sorted_names(t.key)),
                 ('append_only', h.append_only::text, coalesce(t.append_only, false)::text),
                 ('record_truncate', h.record_truncate::text,
                  coalesce(t.record_truncate, false)::text),
                 ('version', h.version::text, t.version::text),
                 ('columns', sorted_names(h.columns), sorted_names(t.columns)),
                 ('secret', CASE WHEN h.has_secret THEN 'there' END, 'there'),
                 ('rewritten', h.rewritten::text, 'false')) d (item, here, told)
        WHERE d.here IS DISTINCT FROM d.told)
    SELECT format('row_table %s: %s is %s, by the ledger %s', d.ledger_name, d.item,
                  coalesce(left(d.here, 300), 'missing'), coalesce(left(d.told, 300), 'missing'))
    FROM difference d
    UNION ALL
    SELECT format('row_table %s: what is known of it is not what it was when the ledger last '
                  'spoke of it', h.ledger_name)
    FROM here h JOIN told t ON t.ledger_name = h.ledger_name
    WHERE h.known <> t.known
        AND NOT EXISTS (SELECT FROM difference d WHERE d.ledger_name = h.ledger_name)
    UNION ALL
    SELECT format('row_table %s: the ledger knows nothing of this table', h.ledger_name)
    FROM here h WHERE NOT EXISTS (SELECT FROM told t WHERE t.ledger_name = h.ledger_name)
    UNION ALL
    SELECT format('row_table %s: missing, by entry %s it is a ledger table', t.ledger_name,
                  t.entry)
    FROM told t WHERE NOT EXISTS (SELECT FROM here h WHERE h.ledger_name = t.ledger_name)
    UNION ALL
    SELECT format('%s: rows of a table that row_table does not know', x.name)
    FROM (SELECT 'row_column' AS name, c.relation FROM row_column c
          UNION SELECT 'row_secret', s.relation FROM row_secret s
          UNION SELECT 'row_key', k.relation FROM row_key k
          UNION SELECT 'row_index', i.relation FROM row_index i) x
    WHERE NOT EXISTS (SELECT FROM row_table t WHERE t.relation = x.relation)
    UNION ALL
    SELECT format('row_column %s: column %s is not number %s of the table', t.ledger_name, c.name,
                  c.number)
    FROM row_column c JOIN row_table t ON t.relation = c.relation
    WHERE is_watched(t) AND NOT EXISTS (SELECT FROM pg_attribute a
        WHERE a.attrelid = c.relation AND a.attnum = c.number AND a.attname = c.attribute
        AND NOT a.attisdropped)
    UNION ALL
    SELECT format('row_part %s: partition %s is %s', t.ledger_name, p.name,
                  CASE WHEN p.is_here THEN 'not one that medchain knows' ELSE 'missing' END)
    FROM row_table t CROSS JOIN LATERAL (
        SELECT coalesce(r.name, k.name) AS name, r.name IS NOT NULL AS is_here
        FROM (SELECT x.name FROM row_part x
              WHERE x.relation = t.relation AND x.part <> x.relation) r
             FULL JOIN (SELECT substr(d, 11) AS name
                        FROM jsonb_object_keys(only_object(t.description)) d
                        WHERE d ^@ 'partition ') k ON k.name = r.name
        WHERE r.name IS NULL OR k.name IS NULL) p
    WHERE is_watched(t) AND t.description IS NOT NULL
    UNION ALL
    SELECT format('row_part %s: %s', t.ledger_name, CASE WHEN p.leaving
               THEN format('%s is about to be dropped, in no transaction', p.part)
               ELSE format('the name of %s is %s', p.part, quote_literal(left(p.name, 300))) END)
    FROM row_part p JOIN row_table t ON t.relation = p.relation
    WHERE is_watched(t) AND (p.name <> p.part::text OR p.leaving)
    UNION ALL
    -- the names are known (row_known()), which roles they are called by may have changed since
    SELECT format('row_table %s: %s is not %s', t.ledger_name, d.item, d.names)
    FROM row_table t CROSS JOIN LATERAL (
        SELECT coalesce(k.key, r.key) AS item,
               coalesce(k.value, 'part of its description') AS names
        FROM jsonb_each(only_object(t.roles)) r
             FULL JOIN (SELECT * FROM jsonb_each_text(only_object(t.description)) e
                        WHERE e.key ~ '^(owner|roles of policy .*)$' OR e.key ^@ 'owner on ') k
             ON k.key = r.key
        WHERE r.key IS NULL OR k.key IS NULL OR EXISTS (
            SELECT FROM string_to_array(k.value, ', ') n (names), unnest(n.names) x (name)
                JOIN pg_roles o ON quote_ident(o.rolname) = x.name
            WHERE NOT r.value @> to_jsonb(o.oid::bigint)
                AND NOT r.value @> to_jsonb(o.oid::text))) d
    WHERE is_watched(t) AND t.description IS NOT NULL
    UNION ALL
    SELECT format('row_table %s: it is on the ledger because of a table that it inherits from, '
                  'and inherits from none', t.ledger_name)
    FROM row_table t WHERE t.with_parent AND NOT EXISTS (SELECT FROM ledger_parents(t.relation))
    UNION ALL
    SELECT format('row_table %s: its changes by DDL are not recorded', t.ledger_name)
    FROM row_table t WHERE at_home() AND NOT is_watched(t)
$$;
COMMENT ON FUNCTION medchain.row_table_faults() IS
    'internal: where row_table and row_column are not what the ledger says about ledger tables';

CREATE FUNCTION medchain.pending_faults() RETURNS SETOF text
    LANGUAGE sql STABLE SET search_path = medchain, pg_temp
AS $$
    SELECT format('pending %s: %s', p.seq, coalesce(entry_fault(p.payload), CASE
               WHEN p.leaf_hash IS DISTINCT FROM text_leaf_hash(p.payload)
                   THEN 'leaf_hash is not the hash of payload'
               ELSE 'a column differs from the payload' END))
    FROM pending p CROSS JOIN local_node n
         CROSS JOIN LATERAL (SELECT CASE WHEN entry_fault(p.payload) IS NULL
                                         THEN p.payload::jsonb END AS said) j
    WHERE p.leaf_hash IS DISTINCT FROM text_leaf_hash(p.payload)
       OR (p.id::text, p.kind, ledger_time(p."time"), p.actor, encode(p.subject, 'hex'), n.node)
          IS DISTINCT FROM (j.said ->> 'id', j.said ->> 'kind', j.said ->> 'time',
                            j.said ->> 'actor', lower(j.said ->> 'subject'), j.said ->> 'origin')
$$;
COMMENT ON FUNCTION medchain.pending_faults() IS
    'internal: rows of pending that are not what their payload says';

CREATE FUNCTION medchain.is_signed_note(note text, public_key text) RETURNS boolean
    LANGUAGE plpgsql STABLE SET search_path = medchain, pg_temp
AS $$
BEGIN
    RETURN verify_note(is_signed_note.note, is_signed_note.public_key);
EXCEPTION WHEN data_exception OR feature_not_supported THEN
    RETURN false;
END
$$;
COMMENT ON FUNCTION medchain.is_signed_note(text, text) IS
    'internal: verify_note() for what may be neither a note nor a key';

-- Who says that a member has signed something shows that he has.  By any key that was ever said to
-- be that member's: which of them counts may be another one by now.
CREATE FUNCTION medchain.quarantine_faults() RETURNS SETOF text
    LANGUAGE sql STABLE SET search_path = medchain, pg_temp
AS $$
    SELECT format('quarantine %s: its note is not signed by %s, as it says', q.id,
                  quote_ident(left(q.origin, 100)))
    FROM quarantine q
    WHERE q.signed AND NOT EXISTS (
        SELECT FROM (SELECT k.public_key FROM ledger_key k WHERE k.member = q.origin
                     UNION SELECT c.body ->> 'public_key' FROM claim c
                         WHERE c.about = q.origin AND c.kind IN ('configure', 'rekey')
                     UNION SELECT n.genesis_key FROM local_node n
                         WHERE n.data_center = q.origin) k (public_key)
        WHERE k.public_key IS NOT NULL AND is_signed_note(q.note, k.public_key))
$$;
COMMENT ON FUNCTION medchain.quarantine_faults() IS
    'internal: rows of quarantine that say that a member signed what it did not sign';

CREATE FUNCTION medchain.local_faults() RETURNS SETOF text
    LANGUAGE sql STABLE SET search_path = medchain, pg_temp
AS $$
    SELECT f FROM (SELECT row_table_faults() UNION ALL SELECT pending_faults()
                   UNION ALL SELECT quarantine_faults()) x (f)
    ORDER BY f COLLATE "C"
$$;
COMMENT ON FUNCTION medchain.local_faults() IS
    'internal: where tables that only this node has differ from what it has said';
