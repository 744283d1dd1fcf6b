/*
 * local_verify.sql: what this node knows for itself, compared with what it has said on the ledger.
 *
 * Whoever can write to our tables could have a ledger table's rows taken for what they are not: as
 * made by another version's columns, as those of other examinees.  Each fact about it that
 * decides something was an entry once.
 */

-- What the entries of this node, sealed or not, say about each of its ledger tables now.
CREATE FUNCTION medchain_internal.row_tables_told() RETURNS TABLE (ledger_name text, entry uuid,
    subject text, key text[], append_only boolean, record_truncate boolean, version int,
    columns text[], known text)
    LANGUAGE sql STABLE SET search_path = medchain, medchain_internal, pg_temp
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
COMMENT ON FUNCTION medchain_internal.row_tables_told() IS
    'internal: ledger tables as the entries about them describe them; columns: their names on the '
    'ledger; known: as row_known() was';

CREATE FUNCTION medchain_internal.sorted_names(names text[]) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = medchain, medchain_internal, pg_temp
    AS $$ SELECT string_agg(n, ', ' ORDER BY n COLLATE "C") FROM unnest($1) n $$;
COMMENT ON FUNCTION medchain_internal.sorted_names(text[])
    IS 'internal: names as one text, in one order';

CREATE FUNCTION medchain_internal.row_table_faults() RETURNS SETOF text
    LANGUAGE sql STABLE SET search_path = medchain, medchain_internal, pg_temp
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
          UNION SELECT 'row_index', i.relation FROM row_index i
          UNION SELECT 'row_part', p.relation FROM row_part p) x
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
    -- or what DDL does to it is compared with what is known of another one
    SELECT format('row_part %s: it is there as a partition of %s', t.ledger_name, p.relation)
    FROM row_table t JOIN row_part p ON p.part = t.relation WHERE p.relation <> p.part
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
COMMENT ON FUNCTION medchain_internal.row_table_faults() IS
    'internal: where row_table and row_column are not what the ledger says about ledger tables';

CREATE FUNCTION medchain_internal.pending_faults() RETURNS SETOF text
    LANGUAGE sql STABLE SET search_path = medchain, medchain_internal, pg_temp
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
COMMENT ON FUNCTION medchain_internal.pending_faults() IS
    'internal: rows of pending that are not what their payload says';

CREATE FUNCTION medchain_internal.is_signed_note(note text, public_key text) RETURNS boolean
    LANGUAGE plpgsql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
BEGIN
    RETURN verify_note(is_signed_note.note, is_signed_note.public_key);
EXCEPTION WHEN data_exception OR feature_not_supported THEN
    RETURN false;
END
$$;
COMMENT ON FUNCTION medchain_internal.is_signed_note(text, text) IS
    'internal: verify_note() for what may be neither a note nor a key';

-- Who says that a member has signed something shows that he has.  By any key that was ever said to
-- be that member's: which of them counts may be another one by now.
CREATE FUNCTION medchain_internal.quarantine_faults() RETURNS SETOF text
    LANGUAGE sql STABLE SET search_path = medchain, medchain_internal, pg_temp
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
COMMENT ON FUNCTION medchain_internal.quarantine_faults() IS
    'internal: rows of quarantine that say that a member signed what it did not sign';

-- Where peers are is known here alone, and kept twice: PostgreSQL goes by the subscription,
-- medchain by its own table when it asks for what is missing.  No connection string is told: it may
-- have a password.
CREATE FUNCTION medchain_internal.peer_faults() RETURNS SETOF text
    LANGUAGE sql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
    WITH here AS (SELECT s.* FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid
                  WHERE d.datname = current_database())
    SELECT format('peer %s: %s', p.member, x.fault)
    FROM peer p CROSS JOIN local_node n LEFT JOIN here s ON s.subname = p.subscription
         CROSS JOIN LATERAL (VALUES
             (p.slot NOT IN (slot_name(n.alliance, n.node, p.member),
                             slot_name(n.alliance, n.node, p.member, spare => true)),
              format('slot %s is not one for this member', p.slot)),
             (p.subscription <> p.slot,
              format('subscription %s is not called like its slot', p.subscription)),
             (s.subslotname <> p.slot,
              format('its subscription has slot %s, not %s', s.subslotname, p.slot)),
             (s.subconninfo <> p.conninfo,
              'conninfo is not that of its subscription')) x (is_wrong, fault)
    WHERE x.is_wrong
    UNION ALL
    SELECT format('peer: subscription %s is of no peer', s.subname)
    FROM here s WHERE s.subname ^@ 'medchain_' AND (ARRAY['medchain'] || ARRAY(
            SELECT slot_name(n.alliance, n.node, m.name)::text FROM member m, local_node n))
            && s.subpublications
        AND NOT EXISTS (SELECT FROM peer p WHERE p.subscription = s.subname)
$$;
COMMENT ON FUNCTION medchain_internal.peer_faults() IS
    'internal: where peer is not what its subscriptions are';

-- Whoever puts an examinee on this chain tells the node who that is.  Nobody else's pseudonym has
-- the same first 64 bits.
CREATE FUNCTION medchain_internal.identity_faults() RETURNS SETOF text
    LANGUAGE sql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
    WITH said (subject, entry) AS (
        SELECT row_bits(e.subject), e.seq FROM sealed e JOIN local_node n ON n.node = e.origin
        WHERE e.subject IS NOT NULL
            AND (e.kind IN ('row.baseline', 'row.insert') OR EXISTS (
                SELECT FROM claim c WHERE c.origin = e.origin AND c.seq = e.seq AND c.effective
                AND c.kind IN ('protocol', 'examinee_key', 'break_glass')))
        UNION ALL
        SELECT unnest(row_about_subjects(coalesce(b.subjects, s.subjects))), e.seq
        FROM row_set s JOIN sealed e ON e.id = s.entry JOIN local_node n ON n.node = e.origin
             LEFT JOIN row_about b ON s.items IS NULL AND b.part = s.part
        WHERE s.subjects IS NOT NULL)
    SELECT format('subject_identity %s...: it is not known who that is, by entry %s it was',
                  lpad(to_hex(x.subject), 16, '0'), min(x.entry))
    FROM said x WHERE NOT EXISTS (SELECT FROM subject_identity s
                                  WHERE row_bits(s.pseudonym) = x.subject)
    GROUP BY x.subject ORDER BY min(x.entry), x.subject LIMIT 100
$$;
COMMENT ON FUNCTION medchain_internal.identity_faults() IS
    'internal: pseudonyms in entries of this node whose identities it has lost, up to a hundred';

-- What rows are called, for people: verify_table() has to name those that are gone.  Of sets
-- verify() sees to that where it reads them.  Of entries only those are read whose row seems to
-- have no name.
CREATE FUNCTION medchain_internal.row_name_faults() RETURNS SETOF text
    LANGUAGE sql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
    WITH t AS MATERIALIZED (
        SELECT x.relation, x.ledger_name, s.late, s.seq
        FROM row_table x CROSS JOIN local_node n
             CROSS JOIN LATERAL table_start(n.node, x.ledger_name) s
        WHERE is_watched(x) AND x.key_columns <> '{}'),
    nameless AS MATERIALIZED (
        SELECT e.seq, e.payload FROM sealed e JOIN local_node n ON n.node = e.origin
        WHERE e.kind IN ('row.baseline', 'row.insert') AND NOT EXISTS (
            SELECT FROM row_key k WHERE row_bits(k.row_id) = row_entry_guess(e.payload)))
    (SELECT format('row_key %s: the name of row %s is not its own', t.ledger_name,
                  encode(k.row_id, 'hex'))
     FROM t JOIN row_key k ON k.relation = t.relation
     WHERE NOT is_row_name(k.relation, k.row_id, k.row_key)
     ORDER BY t.ledger_name, k.row_id LIMIT 100)
    UNION ALL
    (SELECT format('row_key %s: there is no name of row %s, as by entry %s there should be',
                  t.ledger_name, encode(r.row_id, 'hex'), e.seq)
     FROM nameless e CROSS JOIN LATERAL row_entry(e.payload) r
          JOIN t ON t.ledger_name = r.relation
     WHERE NOT t.late AND e.seq > t.seq
        AND NOT EXISTS (SELECT FROM row_key k
                        WHERE k.relation = t.relation AND k.row_id = r.row_id)
     ORDER BY e.seq LIMIT 100)
$$;
COMMENT ON FUNCTION medchain_internal.row_name_faults() IS
    'internal: names of rows, for people, that are those of others or gone, up to a hundred each';

-- Nobody is told of the index by which such a table names its rows, if medchain does not look.
CREATE FUNCTION medchain_internal.row_index_faults() RETURNS SETOF text
    LANGUAGE sql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT format('row_index %s: %s, by its keys %s', t.ledger_name,
                  coalesce(sorted_names(x.columns), 'missing'),
                  coalesce(sorted_names(k.columns), 'there should be none'))
    FROM row_table t LEFT JOIN row_index x ON x.relation = t.relation
         CROSS JOIN LATERAL (SELECT CASE WHEN needs_row_index(t) THEN t.key_columns END) k (columns)
    WHERE is_watched(t) AND sorted_names(x.columns) IS DISTINCT FROM sorted_names(k.columns)
$$;
COMMENT ON FUNCTION medchain_internal.row_index_faults() IS
    'internal: where row_index is not what the keys of the tables say';

CREATE FUNCTION medchain_internal.local_faults(p_whole boolean DEFAULT true) RETURNS SETOF text
    LANGUAGE plpgsql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT f FROM (SELECT row_table_faults() UNION ALL SELECT row_index_faults()
                   UNION ALL SELECT pending_faults() UNION ALL SELECT quarantine_faults()
                   UNION ALL SELECT peer_faults()) x (f)
    ORDER BY f COLLATE "C";
    IF p_whole THEN
        RETURN QUERY SELECT f FROM identity_faults() f ORDER BY f COLLATE "C";
        RETURN QUERY SELECT format('read_set %s: %s', f.entry, f.fault) FROM read_set_faults() f
            ORDER BY 1;
        -- without the key nothing can be called its own
        IF pseudonym_status() = 'fine' THEN
            RETURN QUERY SELECT f FROM row_name_faults() f ORDER BY f COLLATE "C";
        END IF;
    END IF;
END
$$;
COMMENT ON FUNCTION medchain_internal.local_faults(boolean) IS
    'internal: where tables that only this node has differ from what it has said; whole: also '
    'those that have a row for each thing that was ever said';
