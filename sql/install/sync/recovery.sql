/*
 * recovery.sql: a node that is older than it was asks its peers for its own chain before it seals
 * (src/sync/recovery.h).
 */

CREATE FUNCTION medchain_internal.begin_recovery(without_peers boolean) RETURNS void
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'medchain_begin_recovery';
COMMENT ON FUNCTION medchain_internal.begin_recovery(boolean) IS
    'internal: this database is the node from now on: peers are asked what they have of its chain '
    'before anything is sealed; without_peers: they are not';
CREATE FUNCTION medchain_internal.recovering() RETURNS boolean
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'medchain_recovering';
COMMENT ON FUNCTION medchain_internal.recovering() IS
    'internal: is nothing sealed, as peers are still asked what they have of this node''s chain?';
CREATE FUNCTION medchain_internal.timeline() RETURNS bigint
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'medchain_timeline';
COMMENT ON FUNCTION medchain_internal.timeline() IS
    'internal: the timeline of the WAL that this server writes: another one after a promotion, or '
    'a recovery to a point in time';

-- What a peer has of our chain: the newest height, and its block at the height of our last one.
CREATE FUNCTION medchain_internal.ask_for_own_chain(conninfo text, node text, height bigint)
    RETURNS jsonb
    LANGUAGE sql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT remote_call(conninfo, format(
        'SELECT pg_catalog.jsonb_build_object(''height'', (SELECT pg_catalog.max(b.height) '
        'FROM medchain.block b WHERE b.origin OPERATOR(pg_catalog.=) %1$L), ''note'', '
        '(SELECT b.note FROM medchain.block b WHERE b.origin OPERATOR(pg_catalog.=) %1$L '
        'AND b.height OPERATOR(pg_catalog.=) %2$s))::pg_catalog.text', node, height))::jsonb
$$;
COMMENT ON FUNCTION medchain_internal.ask_for_own_chain(text, text, bigint) IS
    'internal: the height of the newest block that a peer has of this node''s chain, and its block '
    'of that height';

-- That a node has gone on without its peers is looked up at each of its starts.
CREATE INDEX entry_take_over ON medchain.entry (origin, seq) WHERE kind = 'member.take_over';

-- For who has lost the end of its chain: members that have verified more of it, and where they have
-- said so.  Blocks that were taken back when the data centre gave the chain another key were
-- verified once: of who has not yet verified one behind that point it does not count.
CREATE FUNCTION medchain_internal.witness_claims(of_chain text, above bigint, since timestamptz)
    RETURNS TABLE (height bigint, witness text)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = medchain, medchain_internal, pg_temp
AS $$
    WITH renewed AS (SELECT coalesce(max(k.from_height), -1) AS height FROM ledger_key k
                     WHERE k.member = $1 AND k.follows IS NOT NULL)
    SELECT max(witness_height(e.payload)), e.origin
    FROM renewed r CROSS JOIN sealed e JOIN member m ON m.name = e.origin AND m.expelled IS NULL
    WHERE e.kind = 'witness' AND witness_chain(e.payload) = $1 AND e.origin <> $1
        AND witness_height(e.payload) > $2 AND ($3 IS NULL OR e."time" > $3)
        AND (witness_height(e.payload) < r.height OR r.height < 0 OR EXISTS (
            SELECT FROM sealed x CROSS JOIN LATERAL witness_head(x.payload) h
                JOIN block b ON b.origin = $1 AND b.height = h.height AND b.hash = h.hash
            WHERE x.kind = 'witness' AND witness_chain(x.payload) = $1 AND x.origin = e.origin
                AND x.seq < e.seq AND witness_height(x.payload) >= r.height))
    GROUP BY e.origin ORDER BY 1 DESC, e.origin COLLATE "C" LIMIT 1000
$$;
COMMENT ON FUNCTION medchain_internal.witness_claims(text, bigint, timestamptz) IS
    'internal: for the member whose chain that is, and its peers: who has verified a block of it '
    'above a height, as said on its own chain since then, and the highest of each';

-- Who follows us is where our WAL was, which is not where it is now: what is written on the way
-- there would not be sent.  Without a slot he fetches our chain anew.
CREATE FUNCTION medchain_internal.turn_followers_back() RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
AS $$
BEGIN
    PERFORM drop_slots();
EXCEPTION WHEN OTHERS THEN
    RAISE LOG USING
        MESSAGE = format('medchain: slots of peers could not be dropped: %s', SQLERRM),
        HINT = 'Each of them has to call medchain.resync() for this node.';
END
$$;
COMMENT ON FUNCTION medchain_internal.turn_followers_back() IS
    'internal: have peers fetch this node''s chain anew, as it has taken back what it had lost';
