/*
 * verify.sql: looking at the ledger without trusting it.
 */

CREATE FUNCTION medchain.verify(origin text DEFAULT NULL, since_height bigint DEFAULT 0,
                                OUT origin text, OUT blocks bigint, OUT entries bigint, OUT ok boolean,
                                OUT height bigint, OUT fault text, OUT detail text)
    RETURNS SETOF record
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'medchain_verify';
COMMENT ON FUNCTION medchain.verify(text, bigint) IS 'recompute leaf hashes, index columns, tree, links, signatures and state of one chain or all; a row per origin with what was checked and the first fault; blocks below since_height are only linked, not hashed and verified again';

CREATE FUNCTION medchain.checkpoint(origin text DEFAULT NULL) RETURNS text
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = medchain, pg_temp
AS $$
DECLARE
    chain text := coalesce(checkpoint.origin, (SELECT node FROM local_node));
    note text;
BEGIN
    SELECT b.note INTO note FROM block b WHERE b.origin = chain ORDER BY b.height DESC LIMIT 1;
    IF note IS NULL THEN
        RAISE undefined_object USING MESSAGE = format('there is no block of "%s" here', chain),
            HINT = 'See the view medchain.chains.';
    END IF;
    RETURN note;
END
$$;
COMMENT ON FUNCTION medchain.checkpoint(text) IS 'newest block header of a chain (by default our own): a C2SP signed note, to be kept elsewhere';
