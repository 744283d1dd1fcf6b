/*
 * quarantine.sql: what was refused, and is looked at: let it go.
 */

CREATE FUNCTION medchain.release_quarantine(origin text DEFAULT NULL, source text DEFAULT NULL,
    signed boolean DEFAULT false) RETURNS bigint
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = medchain, medchain_internal, pg_temp
AS $$
    -- blocks that may still be the next ones are judged once more
    WITH released AS (
        DELETE FROM quarantine q
        WHERE q.origin = coalesce(release_quarantine.origin, q.origin)
            AND q.source = coalesce(release_quarantine.source, q.source)
            AND (NOT q.signed OR release_quarantine.signed)
        RETURNING q.source, q.origin, q.height, q.note),
    again AS (
        INSERT INTO held_block (source, origin, height, note)
        SELECT r.source, r.origin, r.height, r.note
        FROM released r JOIN known k ON k.name = r.origin LEFT JOIN chain c ON c.origin = r.origin
            CROSS JOIN local_node n
        WHERE r.note IS NOT NULL AND r.height > coalesce(c.height, -1) AND r.origin <> n.node
            AND EXISTS (SELECT FROM peer p WHERE p.member = r.source)
        RETURNING 1)
    SELECT count(*) FROM released
$$;
COMMENT ON FUNCTION medchain.release_quarantine(text, text, boolean) IS
    'remove what was refused of a chain, or of what a peer has sent, from quarantine, which then '
    'has room for more; blocks that may still be the next ones are judged once more. signed: also '
    'what has a valid signature of the chain''s key, which proves something. Returns how many rows';
