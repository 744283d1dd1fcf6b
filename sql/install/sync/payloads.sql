/*
 * payloads.sql: payloads that were not taken when their blocks were, had from others later.
 */

CREATE FUNCTION medchain_internal.keep_payload(origin text, seq bigint, payload text)
    RETURNS boolean
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'medchain_keep_payload';
COMMENT ON FUNCTION medchain_internal.keep_payload(text, bigint, text) IS
    'internal: put a payload in its place in the ledger, if none is there and it has the leaf hash '
    'that its block carries; false: it is not put there';

-- What one peer has of these, put in place; how many.  Rows of a peer that answers nonsense are
-- not taken, and it is not asked again.
CREATE FUNCTION medchain_internal.take_payloads(conninfo text, origin text, first bigint,
    last bigint, most bigint, but_for text[]) RETURNS bigint
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    batch CONSTANT int := 1000;
    answer json;
    came bigint := 0;
    at bigint := take_payloads.first;
    newest bigint;
    item json;
BEGIN
    WHILE at <= take_payloads.last AND came < take_payloads.most LOOP
        answer := remote_call(take_payloads.conninfo, format(
            'SELECT pg_catalog.json_agg(pg_catalog.json_build_array(e.seq, e.payload))'
            '::pg_catalog.text FROM (SELECT x.seq, x.payload, '
            'pg_catalog.sum(pg_catalog.octet_length(x.payload)) OVER (ORDER BY x.seq) AS bytes '
            'FROM (SELECT seq, payload FROM medchain.entry WHERE origin OPERATOR(pg_catalog.=) %L '
            'AND seq OPERATOR(pg_catalog.>=) %s AND seq OPERATOR(pg_catalog.<=) %s '
            'AND kind OPERATOR(pg_catalog.<>) ALL (%L::pg_catalog.text[]) ORDER BY seq LIMIT %s) '
            'x) e WHERE e.bytes OPERATOR(pg_catalog.-) pg_catalog.octet_length(e.payload) '
            'OPERATOR(pg_catalog.<) 4194304', take_payloads.origin, at, take_payloads.last,
            take_payloads.but_for, batch))::json;
        EXIT WHEN answer IS NULL;
        newest := at - 1;
        FOR item IN SELECT * FROM json_array_elements(answer) LOOP
            EXIT WHEN (item ->> 0)::bigint <= newest OR (item ->> 0)::bigint > take_payloads.last;
            newest := (item ->> 0)::bigint;
            IF keep_payload(take_payloads.origin, newest, item ->> 1) THEN
                came := came + 1;
            ELSIF NOT EXISTS (SELECT FROM entry e WHERE e.origin = take_payloads.origin
                    AND e.seq = newest) THEN
                RAISE data_exception USING
                    MESSAGE = format('what it sent as entry %s is something else', newest);
            END IF;
        END LOOP;
        EXIT WHEN newest < at;
        at := newest + 1;
    END LOOP;
    RETURN came;
END
$$;
COMMENT ON FUNCTION medchain_internal.take_payloads(text, text, bigint, bigint, bigint, text[]) IS
    'internal: ask a peer for payloads of a chain that are not here; but_for: kinds that are';

CREATE FUNCTION medchain.fetch_payloads(origin text, from_seq bigint DEFAULT NULL,
    to_seq bigint DEFAULT NULL) RETURNS bigint
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
        SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    first bigint := greatest(coalesce(fetch_payloads.from_seq, 0), 0);
    last bigint;
    missing bigint;
    there bigint;
    came bigint := 0;
    governance CONSTANT text[] := payload_kinds('{governance}');
    p record;
    failures text := '';
BEGIN
    PERFORM require_node(NULL, 'fetch_payloads()'), require_writable();
    SELECT least(coalesce(fetch_payloads.to_seq, c.size - 1), c.size - 1), c.absent
        INTO last, missing FROM chain c WHERE c.origin = fetch_payloads.origin;
    IF NOT FOUND THEN
        RAISE undefined_object USING
            MESSAGE = format('there is no chain "%s" here', shown(fetch_payloads.origin)),
            HINT = 'See the view medchain.chains.';
    END IF;
    IF missing = 0 OR last < first THEN
        RETURN 0;
    END IF;
    SELECT count(*) INTO there FROM entry e WHERE e.origin = fetch_payloads.origin
        AND e.seq BETWEEN first AND last;
    missing := last - first + 1 - there;
    -- its author first; then whoever follows it.  What the state depends on is here, and is only
    -- asked for where its author has hidden some of it.
    FOR p IN SELECT x.member, x.conninfo, k.but_for FROM peer x
            CROSS JOIN (VALUES (1, governance), (2, '{}')) k (round, but_for)
            ORDER BY k.round, x.member <> fetch_payloads.origin, x.member COLLATE "C" LOOP
        EXIT WHEN came >= missing;
        BEGIN
            came := came + take_payloads(p.conninfo, fetch_payloads.origin, first, last,
                missing - came, p.but_for);
        EXCEPTION WHEN OTHERS THEN
            failures := failures || format('%s: %s. ', p.member, SQLERRM);
        END;
    END LOOP;
    IF came < missing THEN
        RAISE WARNING USING
            MESSAGE = format('payloads of %s entries of chain "%s" are still not here',
                missing - came, fetch_payloads.origin),
            DETAIL = concat('No peer that was asked has them. ', failures);
    END IF;
    RETURN came;
END
$$;
COMMENT ON FUNCTION medchain.fetch_payloads(text, bigint, bigint) IS
    'get payloads of a chain that were not taken (see connect_peer()) from its author, or from '
    'whoever has them, entries from_seq to to_seq, null: from the first, to the last; each is '
    'compared with its leaf hash. Returns how many came; a warning if others are still missing';

CREATE FUNCTION medchain_internal.fits_absent(origin text, seq bigint, payload text, entry uuid)
    RETURNS boolean
    LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'medchain_fits_absent';
COMMENT ON FUNCTION medchain_internal.fits_absent(text, bigint, text, uuid) IS
    'internal: is this the payload of that place in the ledger, by its leaf hash, which is not '
    'here, and of the entry of that id?';

-- An entry by its id, for receipt().  Nothing is written: whoever may ask for a receipt must not
-- hold up the chain with his transaction.
CREATE FUNCTION medchain_internal.fetch_entry(entry uuid, of_chain text, OUT origin text,
    OUT seq bigint, OUT payload text)
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    chains text[] := ARRAY(SELECT c.origin FROM chain c WHERE c.absent > 0
        AND c.origin = coalesce(of_chain, c.origin));
    p record;
    answer json;
BEGIN
    IF cardinality(chains) = 0 OR NOT at_home() OR EXISTS (SELECT FROM sealed e
        WHERE e.id = fetch_entry.entry AND e.origin = coalesce(of_chain, e.origin)) THEN
        RETURN;
    END IF;
    FOR p IN SELECT x.conninfo FROM peer x
            ORDER BY x.payloads = '{all}', x.member COLLATE "C" LOOP
        BEGIN
            answer := remote_call(p.conninfo, format(
                'SELECT pg_catalog.json_build_array(e.origin, e.seq, e.payload)::pg_catalog.text '
                'FROM medchain.entry e WHERE e.id OPERATOR(pg_catalog.=) %L AND e.origin '
                'OPERATOR(pg_catalog.=) ANY (%L::pg_catalog.text[]) LIMIT 1',
                fetch_entry.entry, chains))::json;
            origin := answer ->> 0;
            seq := (answer ->> 1)::bigint;
            payload := answer ->> 2;
            IF origin = ANY (chains) AND fits_absent(origin, seq, payload, fetch_entry.entry) THEN
                RETURN;
            END IF;
        EXCEPTION WHEN OTHERS THEN
            CONTINUE;       -- the next one may have it
        END;
    END LOOP;
    origin := NULL;
    seq := NULL;
    payload := NULL;
END
$$;
COMMENT ON FUNCTION medchain_internal.fetch_entry(uuid, text) IS
    'internal: an entry whose payload is not here, from whoever has it';
