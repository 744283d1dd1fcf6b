/*
 * export.sql: the ledger as text, for the offline verifier (src/bin/medchain-verify.c).
 *
 * One JSON object per line: what alliance it is; entries, each chain's in their
 * order, with the blocks that close over them; how much there was.  The data
 * centre's chain comes first, and each of the others behind that of the end node which says
 * what key signs it.
 */
CREATE FUNCTION medchain_internal.known_member(name text) RETURNS boolean
    LANGUAGE plpgsql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM member m WHERE m.name = $1) THEN
        RAISE undefined_object USING MESSAGE = format('there is no member "%s" here',
            shown($1)), HINT = 'See the view medchain.members.';
    END IF;
    RETURN true;
END
$$;
COMMENT ON FUNCTION medchain_internal.known_member(text) IS
    'internal: true; 42704 if nobody of that name was ever admitted';

CREATE FUNCTION medchain.export(origin text DEFAULT NULL, sets boolean DEFAULT false,
    examinees_of text DEFAULT NULL) RETURNS SETOF text
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = medchain, medchain_internal, pg_temp
AS $$
    WITH RECURSIVE configured AS (
        SELECT n.data_center AS name, 0 AS rank FROM local_node n
        UNION ALL
        SELECT m.name, c.rank + 1 FROM configured c JOIN member m ON m.configured_by = c.name
            AND m.name <> m.configured_by),
    chosen AS MATERIALIZED (
        SELECT c.origin, coalesce((SELECT k.rank FROM configured k WHERE k.name = c.origin),
            1000000) AS rank,
               least(c.height, m.last_height) AS height,
               CASE WHEN c.height > m.last_height THEN coalesce((SELECT b.size FROM block b
                   WHERE b.origin = c.origin AND b.height = m.last_height), 0)
                       ELSE c.size END AS size, c.absent > 0 AS light
        FROM local_node n CROSS JOIN chain c LEFT JOIN member m ON m.name = c.origin
        WHERE least(c.height, m.last_height) >= 0 AND (m.ledger_key IS NOT NULL
            OR c.origin = n.data_center)
        -- an error, if there is no such chain: the others would not be what was asked for
        AND ($1 IS NULL OR checkpoint($1) IS NOT NULL)
        AND ($3 IS NULL OR known_member($3))
        AND ($1 IS NULL OR c.origin = $1 OR c.origin = n.data_center OR m.kind = 'end_node')),
    -- how many entries of each block are here, of chains whose payloads are not all taken
    part AS MATERIALIZED (
        SELECT c.rank, b.origin, b.height, f.first, b.size - f.first - n.here AS absent, b.leaves,
               b.kinds, b.kinds_note
        FROM chosen c JOIN block b ON b.origin = c.origin AND b.height >= 0
            AND b.height <= c.height
            CROSS JOIN LATERAL (SELECT coalesce((SELECT p.size FROM block p
                WHERE p.origin = b.origin AND p.height = b.height - 1), 0)) f(first)
            CROSS JOIN LATERAL (SELECT count(*) FROM entry e WHERE e.origin = b.origin
                AND e.seq >= f.first AND e.seq < b.size) n(here)
        WHERE c.light AND n.here < b.size - f.first),
    missing AS MATERIALIZED (SELECT coalesce(sum(p.absent), 0) AS entries FROM part p),
    -- who cosigns a block stands for all before it: of each chain the newest such block, and those
    -- that most have cosigned
    cosigned AS MATERIALIZED (
        SELECT x.origin, x.height, x.lines FROM (
            SELECT s.*, row_number() OVER (PARTITION BY s.origin ORDER BY s.height DESC) AS newest,
                   row_number() OVER (PARTITION BY s.origin ORDER BY length(s.lines)
                       - length(replace(s.lines, E'\n', '')) DESC, s.height DESC) AS most
            FROM cosignatures($1) s) x
        WHERE x.newest = 1 OR x.most <= 3),
    line AS (
        SELECT c.rank, e.origin, e.seq AS position, 0::bigint AS part,
               jsonb_build_object('type', 'entry', 'origin', e.origin, 'seq', e.seq,
                   CASE WHEN x.base64 IS NULL THEN 'payload' ELSE 'payload_base64' END,
                   coalesce(x.base64, e.payload))::text AS content
        FROM chosen c JOIN entry e ON e.origin = c.origin AND e.seq >= 0 AND e.seq < c.size
            CROSS JOIN LATERAL text_base64(e.payload) x(base64)
        UNION ALL
        SELECT p.rank, p.origin, p.first, -1::bigint,
               jsonb_build_object('type', 'absent', 'origin', p.origin, 'first', p.first, 'leaves',
                   encode(p.leaves, 'hex'), 'kinds', p.kinds, 'kinds_note', p.kinds_note)::text
        FROM part p
        UNION ALL
        -- of this node's accesses: whose records they read
        SELECT c.rank, e.origin, e.seq, 1 + s.first,
               jsonb_build_object('type', 'set', 'origin', e.origin, 'seq', e.seq, 'first', s.first,
                   'width', s.width, 'leaves', encode(s.subjects, 'hex'))::text
        FROM chosen c JOIN local_node n ON n.node = c.origin JOIN entry e ON e.origin = c.origin
            AND e.seq >= 0 AND e.seq < c.size AND e.kind = 'access'
            JOIN LATERAL read_set_parts(e.id) s ON $2 AND $3 IS NULL
        UNION ALL
        -- or of these the leaves of one member's examinees, each with its proof
        SELECT c.rank, e.origin, e.seq, 1 + s.place,
               jsonb_build_object('type', 'set_leaf', 'origin', e.origin, 'seq', e.seq, 'leaf',
                   encode(s.leaf, 'hex'), 'index', s.place, 'hashes', s.hashes)::text
        FROM chosen c JOIN local_node n ON n.node = c.origin JOIN entry e ON e.origin = c.origin
            AND e.seq >= 0 AND e.seq < c.size AND e.kind = 'access'
            JOIN LATERAL read_set_own(e.id, $3) s ON $3 IS NOT NULL
        UNION ALL
        SELECT c.rank, b.origin, b.size - 1, 1000000000,
               jsonb_build_object('type', 'block', 'origin', b.origin, 'height', b.height, 'note',
                   concat(b.note, w.lines))::text
        FROM chosen c JOIN block b ON b.origin = c.origin AND b.height >= 0
            AND b.height <= c.height
            LEFT JOIN cosigned w ON w.origin = b.origin AND w.height = b.height
        UNION ALL
        SELECT -1, '', 0, 0, jsonb_build_object('type', 'export', 'alliance', n.alliance,
            'data_center', n.data_center)::text FROM local_node n
        UNION ALL
        SELECT 1000001, '', 0, 0, (jsonb_build_object('type', 'end', 'chains', count(*), 'entries',
            coalesce(sum(c.size), 0) - (SELECT m.entries FROM missing m), 'blocks',
            coalesce(sum(c.height + 1), 0)) || (SELECT CASE WHEN m.entries > 0
                THEN jsonb_build_object('absent', m.entries) ELSE '{}' END FROM missing m))::text
        FROM chosen c)
    SELECT content FROM line ORDER BY rank, origin COLLATE "C", position, part
$$;
COMMENT ON FUNCTION medchain.export(text, boolean, text) IS
    'all chains (or one, with those of the data centre and the end nodes, which name its key) as '
    'JSON lines for medchain-verify; empty while this database is no node. sets: with the sets of '
    'examinees whose records this node''s accesses have read, which are not for everybody''s eyes; '
    'examinees_of: of these, those about whom that member has issued protocols, each with its '
    'proof, for its own eyes. '
    'Of payloads that are not here it has the leaf hashes';
