/*
 * verify.sql: looking at the ledger without trusting it.
 */

CREATE FUNCTION medchain.verify(origin text DEFAULT NULL, since_height bigint DEFAULT 0,
    checkpoints text[] DEFAULT NULL,
                                max_faults int DEFAULT 100, witnesses boolean DEFAULT false,
                                OUT origin text, OUT blocks bigint, OUT entries bigint,
                                    OUT ok boolean,
                                OUT height bigint, OUT fault text, OUT detail text)
    RETURNS SETOF record
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'medchain_verify';
COMMENT ON FUNCTION medchain.verify(text, bigint, text[], int, boolean) IS
    'recompute leaf hashes, index columns, tree, tiles, links, signatures, sets and state of one '
    'chain or all: a row for each fault (up to max_faults), or one for a chain without, with the '
    'blocks and entries that were checked. since_height: first block to look at; null: the '
    'first after what was verified before. checkpoints: signed notes kept elsewhere, which the '
    'chains must contain. witnesses: compared also with what other members have verified of them, '
    'and with what the peers answer that they hold now';

CREATE FUNCTION medchain.verify_progress(OUT pid int, OUT started timestamptz, OUT phase text,
    OUT workers int, OUT chains int,
                                         OUT entries_total bigint, OUT entries_done bigint,
                                             OUT blocks_done bigint, OUT faults bigint,
                                         OUT items_done bigint)
    RETURNS SETOF record
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'medchain_verify_progress';
COMMENT ON FUNCTION medchain.verify_progress() IS
    'calls of verify() that are at work in this database, and how far they are';

CREATE FUNCTION medchain.checkpoint(origin text DEFAULT NULL) RETURNS text
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    chain text := coalesce(checkpoint.origin, (SELECT node FROM local_node));
    note text;
BEGIN
    SELECT b.note INTO note FROM block b WHERE b.origin = chain ORDER BY b.height DESC LIMIT 1;
    IF note IS NULL THEN
        RAISE undefined_object USING MESSAGE = format('there is no block of "%s" here',
            shown(chain)),
            HINT = 'See the view medchain.chains.';
    END IF;
    RETURN note;
END
$$;
COMMENT ON FUNCTION medchain.checkpoint(text) IS
    'newest block header of a chain (by default our own): a C2SP signed note, to be kept elsewhere';
