/*
 * fork.sql: two blocks of one height that a member has signed, as they come together here
 * (src/sync/fork.c).
 */

-- A note with no other signatures than those of the chain itself.
CREATE FUNCTION medchain_internal.bare_note(note text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT split_part(bare_note.note, E'\n\n', 1) || E'\n\n' || coalesce(string_agg(x.line || E'\n',
        '' ORDER BY x.n), '')
    FROM regexp_split_to_table(substr(bare_note.note, position(E'\n\n' IN bare_note.note) + 2),
        E'\n') WITH ORDINALITY x (line, n)
    WHERE x.line ^@ ('— ' || split_part(bare_note.note, E'\n', 1) || ' ')
$$;
COMMENT ON FUNCTION medchain_internal.bare_note(text) IS
    'internal: a block''s note without the cosignatures of others';

-- Is that known, by somebody who is not the member itself, nor has forked his own chain?
CREATE FUNCTION medchain_internal.fork_is_known(member text, height bigint) RETURNS boolean
    LANGUAGE sql STABLE STRICT SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT EXISTS (SELECT FROM fork f CROSS JOIN local_node n LEFT JOIN medchain.member m
            ON m.name = f.origin
        WHERE f.member = fork_is_known.member AND (f.origin = n.node OR m.takes_part)
            AND (f.height = fork_is_known.height OR (f.height < fork_is_known.height
                AND f.counts IS NULL)))
        OR EXISTS (SELECT FROM pending p WHERE p.kind = 'fork' AND p.payload::jsonb
            #>> '{body,member}' = fork_is_known.member)
$$;
COMMENT ON FUNCTION medchain_internal.fork_is_known(text, bigint) IS
    'internal: is it on the ledger, or about to be, that this member has forked its chain?';

-- What was refused of a chain, is signed with its key, and is another block than the one here, or
-- than another one that was refused: of each chain the first, as an entry that proves it.
CREATE FUNCTION medchain_internal.new_forks(after bigint, OUT member text, OUT height bigint,
    OUT body jsonb) RETURNS SETOF record
    LANGUAGE plpgsql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    found record;
BEGIN
    FOR member IN SELECT DISTINCT q.origin FROM quarantine q CROSS JOIN local_node n
        WHERE q.id > new_forks.after AND q.signed AND q.note IS NOT NULL AND q.origin <> n.node LOOP
        FOR found IN
            SELECT q.height, jsonb_strip_nulls(jsonb_build_object('member', q.origin,
                'notes', jsonb_build_array(bare_note(o.note), bare_note(q.note)),
                'before', bare_note(p.note))) AS body
            FROM quarantine q
                CROSS JOIN LATERAL (
                    SELECT b.note FROM block b WHERE b.origin = q.origin AND b.height = q.height
                    UNION ALL
                    (SELECT x.note FROM quarantine x WHERE x.origin = q.origin
                        AND x.height = q.height AND x.id < q.id AND x.signed
                        ORDER BY x.id LIMIT 3)) o
                LEFT JOIN block p ON p.origin = q.origin AND p.height = q.height - 1
            WHERE q.origin = new_forks.member AND q.signed
                AND note_hash(q.note) <> note_hash(o.note)
                AND (q.height = 0 OR position(E'\nprevious ' || encode(p.hash, 'base64') || E'\n'
                    IN q.note || o.note) > 0)
                AND NOT fork_is_known(q.origin, q.height)
            ORDER BY q.height, q.id LIMIT 100 LOOP
            IF fork_reason(found.body, clock_timestamp()) IS NULL THEN
                height := found.height;
                body := found.body;
                RETURN NEXT;
                EXIT;
            END IF;
        END LOOP;
    END LOOP;
END
$$;
COMMENT ON FUNCTION medchain_internal.new_forks(bigint) IS
    'internal: forks that nobody has proven yet, by what is in quarantine behind that row';
