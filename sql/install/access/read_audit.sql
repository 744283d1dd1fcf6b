/*
 * read_audit.sql: the subjects of accesses to records of several examinees, and finding them.
 *
 * The entry, kind access, has their number and the root of their tree.  src/access/read_store.h
 * says how they are stored, and found by subject.
 */

CREATE TABLE medchain.read_set (
    entry    uuid PRIMARY KEY,
    number   bigint NOT NULL CHECK (number > 0),
    bits     int NOT NULL CHECK (bits BETWEEN 0 AND 24),    -- it has 2^bits buckets
    subjects bytea,                         -- of few, all of them; of many, see read_item
    CHECK (length(subjects) = 32 * number)
);
ALTER TABLE medchain.read_set ALTER subjects SET STORAGE EXTERNAL;
COMMENT ON TABLE medchain.read_set IS
    'local: whose records were read by one access, the pseudonyms in byte order; never leaves this '
    'database';

CREATE TABLE medchain.read_item (
    entry    uuid NOT NULL,
    bucket   int NOT NULL,                  -- what the pseudonyms begin with
    place    bigint NOT NULL,               -- of the first one in the set
    subjects bytea NOT NULL,
    PRIMARY KEY (entry, bucket)
);
ALTER TABLE medchain.read_item ALTER subjects SET STORAGE EXTERNAL;
COMMENT ON TABLE medchain.read_item IS
    'local: whose records were read by accesses to those of many; never leaves this database';

CREATE FUNCTION medchain_internal.read_set_starts(subjects bytea) RETURNS bigint[]
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'medchain_read_set_starts';
COMMENT ON FUNCTION medchain_internal.read_set_starts(bytea) IS
    'internal: first 64 bits of each pseudonym';

CREATE INDEX read_set_subject ON medchain.read_set
    USING gin (medchain_internal.read_set_starts(subjects)) WITH (fastupdate = off);
CREATE INDEX read_set_large ON medchain.read_set (bits) WHERE subjects IS NULL;

CREATE FUNCTION medchain.read_set_subjects(entry uuid) RETURNS TABLE (place bigint, subject bytea)
    LANGUAGE sql STABLE ROWS 100 SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT p.place + n, substr(p.subjects, 32 * n + 1, 32)
    FROM (SELECT 0::bigint AS place, s.subjects FROM read_set s
          WHERE s.entry = $1 AND s.subjects IS NOT NULL
          UNION ALL
          SELECT i.place, i.subjects FROM read_item i WHERE i.entry = $1) p,
         generate_series(0, length(p.subjects) / 32 - 1) n
$$;
COMMENT ON FUNCTION medchain.read_set_subjects(uuid) IS
    'the pseudonyms of the examinees whose records an access read, in the order of its tree';

CREATE FUNCTION medchain.reads_of(subject bytea) RETURNS TABLE (entry uuid, place bigint)
    LANGUAGE sql STABLE ROWS 100 SET search_path = medchain, medchain_internal, pg_temp
AS $$
    WITH wanted AS MATERIALIZED (
        SELECT ('x' || encode(substr($1, 1, 8), 'hex'))::bit(64)::bigint AS start,
               ('x' || encode(substr($1, 1, 4), 'hex'))::bit(32) AS bits),
    found AS (
        SELECT s.entry, 0::bigint AS place, s.subjects FROM wanted w, read_set s
        WHERE read_set_starts(s.subjects) @> ARRAY[w.start]
        UNION ALL
        SELECT i.entry, i.place, i.subjects FROM wanted w, read_set s, read_item i
        WHERE s.subjects IS NULL AND i.entry = s.entry
        AND i.bucket = (w.bits >> (32 - s.bits))::int)
    SELECT f.entry, f.place + n FROM found f, generate_series(0, length(f.subjects) / 32 - 1) n
    WHERE substr(f.subjects, 32 * n + 1, 32) = $1
$$;
COMMENT ON FUNCTION medchain.reads_of(bytea) IS
    'internal: accesses to records of several examinees that this one is among, and its place '
    'in the tree of each; those to its records alone are entries about it';

-- As read_store.c keeps them: who looks for a subject goes by bits, buckets and places.
CREATE FUNCTION medchain_internal.read_sets_misplaced() RETURNS SETOF uuid
    LANGUAGE sql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT s.entry FROM read_set s
    WHERE (s.subjects IS NULL) <> (s.number > 1024)
        OR s.bits <> CASE WHEN s.number <= 1024 THEN 0 ELSE (SELECT min(b)
            FROM generate_series(0, 24) b WHERE s.number >> b <= 64 OR b = 24) END
    UNION
    SELECT i.entry FROM (
        SELECT x.entry, x.bucket, x.place, x.subjects, s.bits, sum(length(x.subjects) / 32)
            OVER (PARTITION BY x.entry ORDER BY x.place) - length(x.subjects) / 32 AS due
        FROM read_item x LEFT JOIN read_set s ON s.entry = x.entry) i
    WHERE i.bits IS NULL OR i.place <> i.due OR length(i.subjects) % 32 > 0 OR EXISTS (
        SELECT FROM generate_series(0, length(i.subjects) / 32 - 1) n
        WHERE ('x' || encode(substr(i.subjects, 32 * n + 1, 4), 'hex'))::bit(32)::bigint
            >> (32 - i.bits) <> i.bucket)
$$;
COMMENT ON FUNCTION medchain_internal.read_sets_misplaced() IS
    'internal: accesses whose subjects are kept, and would not be found';

CREATE FUNCTION medchain.read_set_faults() RETURNS TABLE (entry uuid, fault text)
    LANGUAGE sql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
    WITH said AS (
        SELECT e.id, b.body FROM (SELECT x.id, x.payload FROM entry x
            WHERE x.kind = 'access' AND x.origin = (SELECT node FROM local_node)
            UNION ALL SELECT x.id, x.payload FROM pending x WHERE x.kind = 'access') e,
            LATERAL (SELECT e.payload::jsonb -> 'body') b (body)
        WHERE (b.body -> 'subjects')::bigint > 1),
    kept AS (
        SELECT s.entry, s.number, (
            SELECT encode(merkle_root(array_agg(r.subject ORDER BY r.place)), 'hex')
            FROM read_set_subjects(s.entry) r) AS root
        FROM read_set s)
    SELECT coalesce(a.id, k.entry),
           CASE WHEN k.entry IS NULL THEN 'the subjects are missing'
                WHEN a.id IS NULL THEN 'subjects of no access'
                ELSE 'the subjects are not those of the access' END
    FROM said a FULL JOIN kept k ON k.entry = a.id
    WHERE (k.root, k.number) IS DISTINCT FROM (a.body ->> 'root', (a.body -> 'subjects')::bigint)
    UNION ALL
    SELECT m, 'the subjects are not where they are looked for' FROM read_sets_misplaced() m
$$;
COMMENT ON FUNCTION medchain.read_set_faults() IS
    'accesses of this node to records of several examinees whose subjects are not, or not any '
    'more, as the ledger has them';
