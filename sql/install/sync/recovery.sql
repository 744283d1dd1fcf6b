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
