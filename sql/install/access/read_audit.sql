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
    width    int NOT NULL CHECK (width IN (32, 56)),    -- of a leaf, in bytes
    subjects bytea,                         -- of few, all leaves; of many, see read_item
    CHECK (length(subjects) = width * number)
);
ALTER TABLE medchain.read_set ALTER subjects SET STORAGE EXTERNAL;
COMMENT ON TABLE medchain.read_set IS
    'local: whose records were read by one access, and under which protocols, the pseudonyms in '
    'byte order; never leaves this database';

CREATE TABLE medchain.read_item (
    entry    uuid NOT NULL,
    bucket   int NOT NULL,                  -- what their pseudonyms begin with
    place    bigint NOT NULL,               -- of the first one in the set
    subjects bytea NOT NULL,
    PRIMARY KEY (entry, bucket)
);
ALTER TABLE medchain.read_item ALTER subjects SET STORAGE EXTERNAL;
COMMENT ON TABLE medchain.read_item IS
    'local: whose records were read by accesses to those of many; never leaves this database';

CREATE FUNCTION medchain_internal.read_set_parts(entry uuid)
    RETURNS TABLE (first bigint, width int, subjects bytea)
    LANGUAGE sql STABLE ROWS 100 SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT 0::bigint, s.width, s.subjects FROM read_set s
    WHERE s.entry = $1 AND s.subjects IS NOT NULL
    UNION ALL
    SELECT i.place, s.width, i.subjects FROM read_set s JOIN read_item i ON i.entry = s.entry
    WHERE s.entry = $1
$$;
COMMENT ON FUNCTION medchain_internal.read_set_parts(uuid) IS
    'internal: the leaves of an access, as they are stored: so many from one place on';

CREATE FUNCTION medchain_internal.read_set_starts(subjects bytea, width int) RETURNS bigint[]
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'medchain_read_set_starts';
COMMENT ON FUNCTION medchain_internal.read_set_starts(bytea, int) IS
    'internal: first 64 bits of each pseudonym';

CREATE INDEX read_set_subject ON medchain.read_set
    USING gin (medchain_internal.read_set_starts(subjects, width)) WITH (fastupdate = off);
CREATE INDEX read_set_large ON medchain.read_set (bits) WHERE subjects IS NULL;

CREATE FUNCTION medchain_internal.read_set_leaves(entry uuid)
    RETURNS TABLE (place bigint, leaf bytea)
    LANGUAGE sql STABLE ROWS 100 SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT p.first + n, substr(p.subjects, p.width * n + 1, p.width)
    FROM read_set_parts($1) p, generate_series(0, length(p.subjects) / p.width - 1) n
$$;
COMMENT ON FUNCTION medchain_internal.read_set_leaves(uuid) IS
    'internal: the leaves of the tree of an access to records of several examinees';

CREATE FUNCTION medchain_internal.leaf_paths(leaves bytea[], places bigint[])
    RETURNS TABLE (place bigint, hashes text[])
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'medchain_leaf_paths';
COMMENT ON FUNCTION medchain_internal.leaf_paths(bytea[], bigint[]) IS
    'internal: RFC 6962 inclusion proofs of some of these leaves, from the leaf up, in hex';

CREATE FUNCTION medchain_internal.read_set_own(entry uuid, issuer text)
    RETURNS TABLE (place bigint, leaf bytea, hashes text[])
    LANGUAGE sql STABLE ROWS 100 SET search_path = medchain, medchain_internal, pg_temp
AS $$
    WITH leaf AS MATERIALIZED (SELECT l.place, l.leaf FROM read_set_leaves($1) l),
    own AS MATERIALIZED (
        SELECT l.place, l.leaf FROM leaf l WHERE EXISTS (SELECT FROM protocol p
            WHERE p.subject = substr(l.leaf, 1, 32) AND p.issuer = $2))
    SELECT o.place, o.leaf, p.hashes
    FROM leaf_paths((SELECT array_agg(l.leaf ORDER BY l.place) FROM leaf l
             WHERE EXISTS (SELECT FROM own)), (SELECT array_agg(o.place) FROM own o)) p
         JOIN own o ON o.place = p.place
$$;
COMMENT ON FUNCTION medchain_internal.read_set_own(uuid, text) IS
    'internal: of the leaves of an access those of examinees about whom this member has issued '
    'protocols, with their proofs';

-- doc/ledger.md, "Accesses": a leaf is a pseudonym, and what its access was decided on.
CREATE FUNCTION medchain_internal.read_leaf_protocol(leaf bytea) RETURNS uuid
    LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT CASE WHEN length(leaf) = 56 THEN nullif(encode(substr(leaf, 33, 16), 'hex')::uuid,
        '00000000-0000-0000-0000-000000000000') END
$$;
COMMENT ON FUNCTION medchain_internal.read_leaf_protocol(bytea) IS
    'internal: the protocol, or break-glass entry, in a leaf of an access';

CREATE FUNCTION medchain_internal.read_leaf_version(leaf bytea) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT CASE WHEN read_leaf_protocol(leaf) IS NOT NULL
        THEN ('x' || encode(substr(leaf, 49, 8), 'hex'))::bit(64)::bigint END
$$;
COMMENT ON FUNCTION medchain_internal.read_leaf_version(bytea) IS
    'internal: the version of the protocol in a leaf of an access';

CREATE FUNCTION medchain.read_set_subjects(entry uuid)
    RETURNS TABLE (place bigint, subject bytea, protocol uuid, version bigint)
    LANGUAGE sql STABLE ROWS 100 SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT l.place, substr(l.leaf, 1, 32), read_leaf_protocol(l.leaf), read_leaf_version(l.leaf)
    FROM read_set_leaves($1) l
$$;
COMMENT ON FUNCTION medchain.read_set_subjects(uuid) IS
    'the pseudonyms of the examinees whose records an access read, in the order of its tree, and '
    'the protocols, with their versions, that it was decided on';

CREATE FUNCTION medchain.reads_of(subject bytea)
    RETURNS TABLE (entry uuid, place bigint, protocol uuid, version bigint)
    LANGUAGE sql STABLE ROWS 100 SET search_path = medchain, medchain_internal, pg_temp
AS $$
    WITH wanted AS MATERIALIZED (
        SELECT ('x' || encode(substr($1, 1, 8), 'hex'))::bit(64)::bigint AS start,
               ('x' || encode(substr($1, 1, 4), 'hex'))::bit(32) AS bits),
    found AS (
        SELECT s.entry, 0::bigint AS place, s.width, s.subjects FROM wanted w, read_set s
        WHERE read_set_starts(s.subjects, s.width) @> ARRAY[w.start]
        UNION ALL
        SELECT i.entry, i.place, s.width, i.subjects FROM wanted w, read_set s, read_item i
        WHERE s.subjects IS NULL AND i.entry = s.entry
        AND i.bucket = (w.bits >> (32 - s.bits))::int)
    SELECT f.entry, f.place + n, read_leaf_protocol(l.leaf), read_leaf_version(l.leaf)
    FROM found f, generate_series(0, length(f.subjects) / f.width - 1) n,
         LATERAL (SELECT substr(f.subjects, f.width * n + 1, f.width)) l (leaf)
    WHERE substr(l.leaf, 1, 32) = $1
$$;
COMMENT ON FUNCTION medchain.reads_of(bytea) IS
    'internal: accesses to records of several examinees that this one is among, its place in the '
    'tree of each, and what it was decided on; those to its records alone are entries about it';

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
        SELECT x.entry, x.bucket, x.place, x.subjects, s.bits, s.width,
               sum(length(x.subjects) / s.width) OVER (PARTITION BY x.entry ORDER BY x.place)
                   - length(x.subjects) / s.width AS due
        FROM read_item x LEFT JOIN read_set s ON s.entry = x.entry) i
    WHERE i.bits IS NULL OR i.place <> i.due OR length(i.subjects) % i.width > 0 OR EXISTS (
        SELECT FROM generate_series(0, length(i.subjects) / i.width - 1) n
        WHERE ('x' || encode(substr(i.subjects, i.width * n + 1, 4), 'hex'))::bit(32)::bigint
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
            SELECT encode(merkle_root(array_agg(r.leaf ORDER BY r.place)), 'hex')
            FROM read_set_leaves(s.entry) r) AS root
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

-- Volatile, so that it is called for the rows that are met.
CREATE FUNCTION medchain_internal.read_met(subject anyelement, relation regclass) RETURNS boolean
    LANGUAGE c VOLATILE PARALLEL RESTRICTED COST 1
        AS 'MODULE_PATHNAME', 'medchain_read_met';
COMMENT ON FUNCTION medchain_internal.read_met(anyelement, regclass) IS
    'internal: the server has it called where INSERT ... ON CONFLICT DO UPDATE meets a row of a '
    'protected table; true';
