/*
 * row_set.sql: the items of sets: what statements about many rows did to each of them.
 *
 * The entry of a set, kind row.set, has its id, and says how many items it has and the root of
 * their tree.  src/rows/row_store.h says how they are stored, and how those about a row,
 * or about somebody, are found.
 */

CREATE TABLE medchain.row_set (
    part     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    entry    uuid NOT NULL,
    number   int NOT NULL,                  -- of the part in the set; each has 16384 items
    relation text NOT NULL,                 -- as the ledger calls the table
    bits     int CHECK (bits BETWEEN 0 AND 14),     -- it has 2^bits buckets
    hashes   bytea NOT NULL CHECK (length(hashes) <= 2048 AND length(hashes) % 32 = 0),
    items    bytea,                         -- of a set of few
    subjects bytea,                         -- of those; empty: they are in row_about
    keys     bytea,                         -- of rows that are new to the ledger, for people
    UNIQUE (entry, number),
    CHECK ((bits IS NULL) = (items IS NOT NULL))
);
-- hashes do not compress, and the keys would take longer than all the rest
ALTER TABLE medchain.row_set ALTER hashes SET STORAGE EXTERNAL, ALTER items SET STORAGE EXTERNAL,
    ALTER subjects SET STORAGE EXTERNAL, ALTER keys SET STORAGE EXTERNAL;
COMMENT ON TABLE medchain.row_set IS
    'local: sets, and of each tree the roots of 256 items each, as far as they are complete; never '
    'leaves this database';

CREATE TABLE medchain.row_item (
    part   bigint NOT NULL,
    bucket int NOT NULL,                    -- what the ids of the rows begin with
    items  bytea NOT NULL                   -- place in the part, and what doc/ledger.md has
);
ALTER TABLE medchain.row_item ALTER items SET STORAGE EXTERNAL;
COMMENT ON TABLE medchain.row_item IS
    'local: items of large sets; never leaves this database';

CREATE TABLE medchain.row_about (
    part     bigint NOT NULL,
    bucket   int NOT NULL,                  -- what the pseudonyms of the subjects begin with
    subjects bytea NOT NULL
);
ALTER TABLE medchain.row_about ALTER subjects SET STORAGE EXTERNAL;
COMMENT ON TABLE medchain.row_about IS
    'local: whom items of large sets are about; never leaves this database';

-- Of one row of either table.  Never an error: what verify() calls unreadable is nothing to the
-- others.
CREATE FUNCTION medchain_internal.row_item_list(items bytea)
    RETURNS TABLE (place int, operation text, row_id bytea, commitment bytea, previous bytea)
    LANGUAGE c IMMUTABLE PARALLEL SAFE ROWS 25 AS 'MODULE_PATHNAME', 'medchain_row_item_list';
COMMENT ON FUNCTION medchain_internal.row_item_list(bytea) IS
    'internal: items in a row of medchain.row_set or medchain.row_item; place: in the part';

CREATE FUNCTION medchain_internal.row_key_list(keys bytea) RETURNS TABLE (place int, row_key text)
    LANGUAGE c IMMUTABLE PARALLEL SAFE ROWS 10000 AS 'MODULE_PATHNAME', 'medchain_row_key_list';
COMMENT ON FUNCTION medchain_internal.row_key_list(bytea) IS
    'internal: primary keys of the rows that items of a part are about, as far as they are new '
    'there';

CREATE FUNCTION medchain_internal.row_item_rows(items bytea) RETURNS bigint[]
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'medchain_row_item_rows';
COMMENT ON FUNCTION medchain_internal.row_item_rows(bytea) IS
    'internal: first 64 bits of the ids of the rows that items are about';

CREATE FUNCTION medchain_internal.row_about_list(subjects bytea)
    RETURNS TABLE (place int, row_start bytea, subject bytea)
    LANGUAGE c IMMUTABLE PARALLEL SAFE ROWS 60 AS 'MODULE_PATHNAME', 'medchain_row_about_list';
COMMENT ON FUNCTION medchain_internal.row_about_list(bytea) IS
    'internal: whom items are about, in a row of medchain.row_set or medchain.row_about; '
    'row_start: what the ids of their rows begin with; subject: what the pseudonym does';

CREATE FUNCTION medchain_internal.row_about_subjects(subjects bytea) RETURNS bigint[]
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'medchain_row_about_subjects';
COMMENT ON FUNCTION medchain_internal.row_about_subjects(bytea) IS
    'internal: first 64 bits of the pseudonyms of those whom items are about';

CREATE FUNCTION medchain_internal.row_bucket(start bytea, bits int) RETURNS int
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'medchain_row_bucket';
COMMENT ON FUNCTION medchain_internal.row_bucket(bytea, int) IS
    'internal: the bucket in which a row or subject is, of 2^bits';

CREATE FUNCTION medchain_internal.row_bits(id bytea) RETURNS bigint
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'medchain_row_bits';
COMMENT ON FUNCTION medchain_internal.row_bits(bytea) IS
    'internal: the first 64 bits of a row''s id, or of a pseudonym, as indexes have them';

CREATE INDEX row_item_bucket ON medchain.row_item (part, bucket);
CREATE INDEX row_about_bucket ON medchain.row_about (part, bucket);
CREATE INDEX row_set_relation ON medchain.row_set (relation) WHERE items IS NULL;
CREATE INDEX row_set_about ON medchain.row_set (part) WHERE items IS NULL AND subjects IS NOT NULL;
-- no list of what is to come: it would be the next statement that has to wait for it
CREATE INDEX row_set_row ON medchain.row_set USING gin (medchain_internal.row_item_rows(items))
    WITH (fastupdate = off) WHERE items IS NOT NULL;
CREATE INDEX row_set_subject ON medchain.row_set
    USING gin (medchain_internal.row_about_subjects(subjects)) WITH (fastupdate = off)
    WHERE items IS NOT NULL AND subjects IS NOT NULL;
-- where the history of a table goes on
CREATE INDEX entry_set ON medchain.entry (origin, seq) WHERE kind = 'row.set';

CREATE FUNCTION medchain.row_set_entry(payload text, OUT relation text, OUT version int,
    OUT number bigint, OUT root bytea, OUT subjects bytea)
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'medchain_row_set_entry';
COMMENT ON FUNCTION medchain.row_set_entry(text) IS
    'what an entry of kind row.set says: how many items it has, the root of their tree and that of '
    'the tree of their subjects; null if it says nothing of the kind';

-- The items of this node about one row.  id: its id, and the first 64 bits of it.
CREATE FUNCTION medchain_internal.row_set_items(p_key bigint, p_relation text, p_row bytea)
    RETURNS TABLE (entry uuid, place bigint, operation text, commitment bytea, previous bytea)
    LANGUAGE sql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT c.entry, c.number::bigint * 16384 + i.place, i.operation, i.commitment, i.previous
    FROM (SELECT s.entry, s.number, s.items FROM row_set s
              WHERE s.items IS NOT NULL AND row_item_rows(s.items) @> ARRAY[p_key]
                  AND s.relation = p_relation
          UNION ALL
          SELECT s.entry, s.number, x.items
              FROM row_set s
                  JOIN row_item x ON x.part = s.part AND x.bucket = row_bucket(p_row, s.bits)
              WHERE s.items IS NULL AND s.relation = p_relation) c,
         LATERAL row_item_list(c.items) i
    WHERE i.row_id = p_row
$$;
COMMENT ON FUNCTION medchain_internal.row_set_items(bigint, text, bytea) IS
    'internal: what sets say about one row; place: in the set';

-- The items of this node about somebody.  key: the first 64 bits of his pseudonym.
CREATE FUNCTION medchain_internal.row_set_subject(p_key bigint, p_subject bytea)
    RETURNS TABLE (entry uuid, place bigint, operation text, row_id bytea, commitment bytea,
        previous bytea)
    LANGUAGE sql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT s.entry, s.number::bigint * 16384 + i.place, i.operation, i.row_id, i.commitment,
        i.previous
    FROM row_set s CROSS JOIN LATERAL row_about_list(s.subjects) a
        CROSS JOIN LATERAL row_item_list(s.items) i
    WHERE s.items IS NOT NULL AND s.subjects IS NOT NULL
        AND row_about_subjects(s.subjects) @> ARRAY[p_key]
        AND a.subject = substr(p_subject, 1, 16) AND i.place = a.place
    UNION ALL
    SELECT s.entry, s.number::bigint * 16384 + i.place, i.operation, i.row_id, i.commitment,
        i.previous
    FROM row_set s
        JOIN row_about b ON b.part = s.part AND b.bucket = row_bucket(p_subject, s.bits)
        CROSS JOIN LATERAL row_about_list(b.subjects) a
        JOIN row_item x ON x.part = s.part AND x.bucket = row_bucket(a.row_start, s.bits)
        CROSS JOIN LATERAL row_item_list(x.items) i
    WHERE s.items IS NULL AND s.subjects IS NOT NULL
        AND a.subject = substr(p_subject, 1, 16) AND i.place = a.place
$$;
COMMENT ON FUNCTION medchain_internal.row_set_subject(bigint, bytea) IS
    'internal: what sets say about the rows of one subject; place: in the set';

CREATE FUNCTION medchain_internal.row_entries(p_key bigint, p_relation text, p_row bytea)
    RETURNS TABLE (id uuid, kind text, "time" timestamptz, actor text, payload text, late boolean,
        seq bigint, place bigint, version int, commitment bytea, previous bytea)
    LANGUAGE plpgsql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
BEGIN
    -- entries are looked for by all of the items at once: of one set there may be many of the row,
    -- and what is pending has no index
    RETURN QUERY EXECUTE format($query$
        WITH i AS MATERIALIZED (SELECT * FROM row_set_items($1, $2, $3)),
        s AS MATERIALIZED (
            SELECT x.*, r.version
            FROM (SELECT x.id, x."time", x.actor, x.payload, false AS late, x.seq FROM sealed x
                  WHERE x.id IN (SELECT i.entry FROM i) AND x.kind = 'row.set'
                      AND x.origin = (SELECT node FROM local_node)
                  UNION ALL
                  SELECT x.id, x."time", x.actor, x.payload, true, x.seq FROM pending x
                  WHERE x.id IN (SELECT i.entry FROM i) AND x.kind = 'row.set') x,
                 LATERAL row_set_entry(x.payload) r
            WHERE r.relation = $2)
        SELECT e.id, e.kind, e."time", e.actor, e.payload, e.late, e.seq, NULL::bigint, r.version,
            r.commitment, r.previous
        FROM (SELECT x.id, x.kind, x."time", x.actor, x.payload, false AS late, x.seq FROM sealed x
              WHERE x.kind = ANY (%1$L::text[]) AND row_entry_key(x.payload) = $1
                  AND x.origin = (SELECT node FROM local_node)
              UNION ALL
              SELECT x.id, x.kind, x."time", x.actor, x.payload, true, x.seq FROM pending x
              WHERE x.kind = ANY (%1$L::text[]) AND row_entry_key(x.payload) = $1) e,
                  LATERAL row_entry(e.payload) r
        WHERE r.relation = $2 AND r.row_id = $3
        UNION ALL
        SELECT s.id, 'row.' || i.operation, s."time", s.actor, s.payload, s.late, s.seq, i.place,
            s.version, i.commitment, i.previous
        FROM i JOIN s ON s.id = i.entry$query$, row_kinds()) USING p_key, p_relation, p_row;
END
$$;
COMMENT ON FUNCTION medchain_internal.row_entries(bigint, text, bytea) IS
    'internal: what entries of this node say about one row; late: not sealed yet; place: in the '
    'set that the entry is about, null if it is about this row alone';

CREATE FUNCTION medchain_internal.append_captured() RETURNS void
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'medchain_append_captured';
COMMENT ON FUNCTION medchain_internal.append_captured() IS
    'internal: append what was captured of a statement that is still at work, for somebody who is '
    'about to read it';

-- The items stay: the ledger says that they are there.
CREATE FUNCTION medchain_internal.forget_set_keys(ledger_name text) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
AS $$
BEGIN
    UPDATE row_set s SET keys = NULL
        WHERE s.relation = forget_set_keys.ledger_name AND s.keys IS NOT NULL;
END
$$;
COMMENT ON FUNCTION medchain_internal.forget_set_keys(text) IS
    'internal: remove the primary keys of a table''s rows from what is kept of its sets';
