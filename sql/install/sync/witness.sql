/*
 * witness.sql: what others have verified of a chain, compared with what is here.
 */

-- What others hold of a chain, and this database does not: by what stands on their chains, and by
-- what they answer now.
CREATE FUNCTION medchain_internal.witness_faults(of_chain text) RETURNS TABLE (origin text,
    height bigint, fault text, detail text)
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    p record;
    a record;
    question text;
BEGIN
    -- Blocks that were taken back when the data centre gave a chain another key were verified
    -- once: whoever has not yet verified one behind that point may have said so before.
    RETURN QUERY
    WITH head AS MATERIALIZED (
        SELECT e.origin AS witness, e.seq, e."time", h.* FROM sealed e
            CROSS JOIN LATERAL witness_head(e.payload) h
        WHERE e.kind = 'witness' AND witness_chain(e.payload) = coalesce($1,
            witness_chain(e.payload))),
    judged AS MATERIALIZED (
        SELECT h.witness, h.seq, h."time", h.chain, h.height, c.height AS here, b.hash IS NOT NULL
            AS known, b.hash = h.hash AS agrees, coalesce((SELECT max(k.from_height)
            FROM ledger_key k WHERE k.member = h.chain AND k.follows IS NOT NULL), -1) AS renewed
        FROM head h LEFT JOIN chain c ON c.origin = h.chain
            LEFT JOIN block b ON b.origin = h.chain AND b.height = h.height),
    wrong AS (
        SELECT DISTINCT ON (j.chain, j.witness) j.* FROM judged j CROSS JOIN local_node n
        WHERE (NOT j.agrees OR (NOT j.known AND j.height > coalesce(j.here, -1)
                                AND n.node IN (j.chain, j.witness)))
            AND (j.renewed < 0 OR j.height < j.renewed OR EXISTS (SELECT FROM judged x
                WHERE x.chain = j.chain AND x.witness = j.witness AND x.seq < j.seq
                    AND x.height >= j.renewed AND x.agrees))
        ORDER BY j.chain, j.witness, j.height, j.seq)
    SELECT w.chain, w.height, CASE WHEN w.known THEN 'differs from witness'
               ELSE 'missing block' END,
           format(CASE WHEN w.known THEN '"%s" has verified another block %s than the one that is '
                   'here, by its chain at %s: the chain was rewritten, or that is not true'
               ELSE '"%s" has verified block %s, by its chain at %s: the chain was cut off' END,
               w.witness, w.height, ledger_time(w."time"))
    FROM wrong w;

    SELECT format('SELECT pg_catalog.json_agg(x)::pg_catalog.text FROM (SELECT v.origin, '
               '(SELECT pg_catalog.array_agg(b.note ORDER BY b.height) FROM medchain.block b '
               'WHERE b.origin OPERATOR(pg_catalog.=) v.origin AND (b.height '
               'OPERATOR(pg_catalog.=) LEAST(v.height, (SELECT pg_catalog.max(c.height) FROM '
               'medchain.block c WHERE c.origin OPERATOR(pg_catalog.=) v.origin)) OR b.height '
               'OPERATOR(pg_catalog.=) v.next)) AS notes '
               'FROM (VALUES %s) v (origin, height, next)) x',
               string_agg(format('(%L, %s::bigint, %s::bigint)', o.name, coalesce(c.height, -1),
                   coalesce(c.height, -1) + 1), ', '))
        INTO question
        FROM (SELECT m.name FROM member m UNION SELECT n.node FROM local_node n) o
            LEFT JOIN chain c ON c.origin = o.name
        WHERE $1 IS NULL OR o.name = $1;
    FOR p IN SELECT x.member, x.conninfo FROM peer x ORDER BY x.member COLLATE "C" LOOP
        -- whatever it answers must not keep others from being heard
        BEGIN
            FOR a IN SELECT r.*, b.hash, substring(r.note FROM E'\nheight ([0-9]{1,18})\n')::bigint
                    AS at
                FROM (SELECT x ->> 'origin' AS chain, note.note
                      FROM json_array_elements(remote_call(p.conninfo, question)::json) x
                          CROSS JOIN LATERAL json_array_elements_text(CASE json_typeof(x -> 'notes')
                              WHEN 'array' THEN x -> 'notes' ELSE '[]' END) note (note)) r
                    LEFT JOIN block b ON b.origin = r.chain
                        AND b.height = substring(r.note FROM E'\nheight ([0-9]{1,18})\n')::bigint
                    LOOP
                CONTINUE WHEN a.at IS NULL OR a.hash = note_hash(a.note);
                -- what others have sealed may just not have come yet
                CONTINUE WHEN a.hash IS NULL AND a.chain <> (SELECT n.node FROM local_node n);
                CONTINUE WHEN NOT coalesce(note_is_of(a.note, a.chain, a.at), false);
                -- nor have we seen, by our snapshot, what was sealed since it was taken
                CONTINUE WHEN a.hash IS NULL AND substring(a.note
                    FROM E'\nsealed ([-0-9T:.]{23}Z)\n')::timestamptz >= now();
                origin := a.chain;
                height := a.at;
                fault := CASE WHEN a.hash IS NULL THEN 'missing block'
                              ELSE 'differs from witness' END;
                detail := format(CASE WHEN a.hash IS NULL THEN '"%s" has block %s, signed with '
                        'this chain''s key: the chain was cut off'
                    ELSE '"%s" has another block %s, signed with the same key: the chain was '
                        'rewritten' END, p.member, a.at);
                RETURN NEXT;
            END LOOP;
        EXCEPTION WHEN OTHERS THEN
            RAISE WARNING USING MESSAGE = format('what "%s" holds is not known: %s', p.member,
                SQLERRM);
        END;
    END LOOP;
END
$$;
COMMENT ON FUNCTION medchain_internal.witness_faults(text) IS
    'internal: of one chain or all, blocks that other members have verified and this database has '
    'not, or not the same';

CREATE FUNCTION medchain_internal.note_is_of(note text, origin text, height bigint)
    RETURNS boolean
    LANGUAGE plpgsql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    key text := ledger_key_at(note_is_of.origin, note_is_of.height);
BEGIN
    RETURN split_part(note, E'\n', 1) = (SELECT n.alliance FROM local_node n) || '/'
        || note_is_of.origin AND verify_note(note, key);
EXCEPTION WHEN OTHERS THEN
    RETURN false;       -- it is no note at all
END
$$;
COMMENT ON FUNCTION medchain_internal.note_is_of(text, text, bigint) IS
    'internal: is that a block of this chain, signed with the key of that height?';
