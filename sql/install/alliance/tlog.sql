/*
 * tlog.sql: chains and their witnesses for outsiders, in the standards' forms: C2SP signed-note,
 * tlog-policy, tlog-proof.
 */

-- The key of a member's blocks of that height; null: of those to come.
CREATE FUNCTION medchain_internal.ledger_key_at(member text, height bigint) RETURNS text
    LANGUAGE sql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT coalesce((SELECT k.public_key FROM ledger_key k WHERE k.member = $1
                         AND k.from_height <= coalesce($2, 9223372036854775807)
                     ORDER BY k.from_height DESC LIMIT 1),
                    (SELECT n.genesis_key FROM local_node n WHERE n.data_center = $1))
$$;
COMMENT ON FUNCTION medchain_internal.ledger_key_at(text, bigint) IS
    'internal: the key that a block of that height is signed with; null: the newest one';

-- Signature lines under the blocks of a chain that were cosigned: of the newest, and of those that
-- most say that they have cosigned.  What somebody says is looked at: a false line in an export
-- makes all of it worthless.
CREATE FUNCTION medchain_internal.cosignatures(of_chain text) RETURNS TABLE (origin text,
    height bigint, lines text)
    LANGUAGE sql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
    WITH said AS MATERIALIZED (
        SELECT DISTINCT ON (x.chain, x.height, x.witness) x.chain, x.height, x.witness, x.seq,
               x.cosignature, b.note
        FROM (SELECT (witness_head(e.payload)).*, e.origin AS witness, e.seq FROM sealed e
              WHERE e.kind = 'witness'
                  AND witness_chain(e.payload) = coalesce($1, witness_chain(e.payload))) x
             JOIN block b ON b.origin = x.chain AND b.height = x.height AND b.hash = x.hash
        WHERE x.cosignature IS NOT NULL
        ORDER BY x.chain, x.height, x.witness, x.seq DESC),
    candidate AS (
        SELECT c.chain, c.height
        FROM (SELECT s.chain, s.height,
                     row_number() OVER (PARTITION BY s.chain ORDER BY s.height DESC) AS newest,
                     row_number() OVER (PARTITION BY s.chain ORDER BY count(*) DESC,
                                        s.height DESC) AS most
              FROM said s GROUP BY s.chain, s.height) c
        WHERE c.newest <= 8 OR c.most <= 8),
    line AS (
        SELECT s.chain, s.height, s.witness, s.cosignature, row_number() OVER
                   (PARTITION BY s.chain, s.height ORDER BY s.witness COLLATE "C") AS n
        FROM candidate c JOIN said s ON s.chain = c.chain AND s.height = c.height
             CROSS JOIN local_node l
        WHERE cosigned_at(s.note, l.alliance || '/' || s.witness, ledger_key_at(s.witness,
            (SELECT min(x.height) FROM block x WHERE x.origin = s.witness AND x.size > s.seq)),
            s.cosignature) IS NOT NULL)
    SELECT l.chain, l.height, string_agg(l.cosignature || E'\n', '' ORDER BY l.witness COLLATE "C")
    FROM line l
    WHERE l.n <= 60         -- what reads notes takes no more than 64 signatures
    GROUP BY l.chain, l.height
$$;
COMMENT ON FUNCTION medchain_internal.cosignatures(text) IS
    'internal: cosignatures of the blocks of one chain or all, as signature lines of their notes';

CREATE FUNCTION medchain.vkey(member text DEFAULT NULL, cosigner boolean DEFAULT false)
    RETURNS text
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    whose text := coalesce(vkey.member, (SELECT n.node FROM local_node n));
    key text;
    algorithm text;
BEGIN
    PERFORM known_member(coalesce(whose, ''));
    key := ledger_key_at(whose, NULL);
    IF key IS NULL THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('the ledger of "%s" is not configured yet', shown(whose)),
            HINT = 'An end node does that: medchain.configure_ledger().';
    END IF;
    algorithm := (SELECT f.algorithm FROM key_facts(key) f);
    IF algorithm <> 'ed25519' AND cosigner THEN
        RAISE feature_not_supported USING
            MESSAGE = format('the ledger key of "%s" is one for %s, and no witness'' key', whose,
                algorithm),
            HINT = 'Witnesses have ed25519 keys (C2SP tlog-cosignature). medchain.rekey() gives '
                'the member another key.';
    ELSIF algorithm <> 'ed25519' THEN
        RAISE NOTICE USING
            MESSAGE = format('the ledger key of "%s" is one for %s: not for outside witnesses',
                whose, algorithm);
    END IF;
    RETURN vkey_text((SELECT n.alliance FROM local_node n) || '/' || whose, key,
        coalesce(cosigner, false));
END
$$;
COMMENT ON FUNCTION medchain.vkey(text, boolean) IS
    'C2SP verifier key (signed-note) of a member, by default our own: of its chain; cosigner: of '
    'the member as a witness of other chains, which ed25519 keys alone can be';

CREATE FUNCTION medchain.tlog_policy(quorum int DEFAULT NULL) RETURNS text
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    names text[];
    lines text;
    others text;
    threshold int := quorum;
BEGIN
    WITH active AS (
        SELECT m.member, m.ledger_algorithm, n.alliance || '/' || m.member AS name,
               m.member = n.data_center AS first
        FROM members m CROSS JOIN local_node n WHERE m.state = 'active'),
    word AS (
        SELECT a.*, a.ledger_algorithm = 'ed25519' AS fit FROM active a)
    SELECT array_agg(w.name ORDER BY w.first DESC, w.member COLLATE "C") FILTER (WHERE w.fit),
           string_agg(format(E'log %s\n', vkey(w.member)), ''
                      ORDER BY w.first DESC, w.member COLLATE "C") FILTER (WHERE w.fit)
           || string_agg(format(E'witness %s %s\n', w.name, vkey(w.member, true)), ''
                         ORDER BY w.first DESC, w.member COLLATE "C") FILTER (WHERE w.fit),
           string_agg(format(E'# %s: its key is one for %s, not for outside witnesses\n', w.name,
                             w.ledger_algorithm), '' ORDER BY w.member COLLATE "C")
               FILTER (WHERE NOT w.fit)
        INTO names, lines, others FROM word w;
    -- of those who can cosign a chain: its author does not
    threshold := coalesce(quorum, least((coalesce(cardinality(names), 0) - 1) / 2 + 1, 63,
                                        coalesce(cardinality(names), 0) - 1), 0);
    IF threshold < 0 OR threshold > coalesce(cardinality(names), 0) THEN
        RAISE invalid_parameter_value USING
            MESSAGE = format('a quorum is from 0 to %s here', coalesce(cardinality(names), 0)),
            HINT = 'So many members have keys that can cosign; see the view medchain.members.';
    END IF;
    RETURN coalesce(others, '') || coalesce(lines, '')
        || CASE WHEN threshold = 0 THEN E'quorum none\n'
               ELSE format(E'group members %s %s\nquorum members\n', threshold,
                   array_to_string(names, ' ')) END;
END
$$;
COMMENT ON FUNCTION medchain.tlog_policy(int) IS
    'a C2SP tlog-policy: chains and witnesses of the alliance, and how many witnesses must have '
    'cosigned (by default a majority of those who can: all but the chain''s author)';

CREATE FUNCTION medchain.witnessed(origin text, height bigint, OUT witness text,
    OUT height bigint, OUT "time" timestamptz, OUT agrees boolean, OUT cosigned boolean)
    RETURNS SETOF record
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT m.name, w.height, coalesce(w.cosigned, w."time"), w.agrees,
           CASE WHEN w.cosignature IS NOT NULL AND w.agrees THEN w.cosigned IS NOT NULL END
    FROM member m CROSS JOIN LATERAL (
        SELECT h.height, e."time", b.hash = h.hash AS agrees, h.cosignature,
               cosigned_at(b.note, n.alliance || '/' || m.name, ledger_key_at(m.name,
                   (SELECT min(x.height) FROM block x WHERE x.origin = m.name
                    AND x.size > e.seq)), h.cosignature) AS cosigned
        FROM local_node n CROSS JOIN sealed e CROSS JOIN LATERAL witness_head(e.payload) h
             LEFT JOIN block b ON b.origin = $1 AND b.height = h.height
        WHERE e.kind = 'witness' AND e.origin = m.name AND witness_chain(e.payload) = $1
            AND witness_height(e.payload) >= $2
        -- the first that covers it; of that block one with a cosignature
        ORDER BY witness_height(e.payload), h.cosignature IS NULL, e.seq LIMIT 1) w
    ORDER BY m.name COLLATE "C"
$$;
COMMENT ON FUNCTION medchain.witnessed(text, bigint) IS
    'which members have verified that block of a chain, or else the next one they have, by what '
    'stands on their own chains; agrees: it is the block that is here (null: there is none); '
    'cosigned: with a cosignature that verifies (null: without any)';

CREATE FUNCTION medchain.proof(entry uuid, origin text DEFAULT NULL) RETURNS text
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    proof jsonb := inclusion_proof(proof.entry, NULL, proof.origin);
    chain text := proof ->> 'origin';
    chosen bigint;
    lines text;
BEGIN
    IF proof IS NULL THEN
        RETURN NULL;
    END IF;
    PERFORM vkey(chain);
    -- of the newest blocks over the entry that are signed with the key of now, one that most
    -- witnesses have cosigned with theirs
    WITH key_from AS (
        SELECT coalesce(max(k.from_height), 0) AS height FROM ledger_key k WHERE k.member = chain),
    head AS MATERIALIZED (
        SELECT m.name AS witness, h.height, h.hash, h.cosignature
        FROM key_from f CROSS JOIN member m CROSS JOIN LATERAL (
            SELECT (witness_head(e.payload)).* FROM sealed e
            WHERE e.kind = 'witness' AND e.origin = m.name AND witness_chain(e.payload) = chain
                AND witness_height(e.payload) >= f.height
            ORDER BY witness_height(e.payload) DESC LIMIT 100) h
        WHERE h.cosignature IS NOT NULL),
    candidate AS (
        SELECT b.size, b.height, b.note FROM block b JOIN head h ON h.height = b.height
            AND h.hash = b.hash
        WHERE b.origin = chain AND b.size > (proof ->> 'index')::bigint
        GROUP BY b.size, b.height, b.note
        ORDER BY count(DISTINCT h.witness) DESC, b.height DESC LIMIT 8),
    line AS (
        SELECT DISTINCT ON (c.height, h.witness) c.size, c.height, h.witness, h.cosignature
        FROM candidate c JOIN head h ON h.height = c.height CROSS JOIN local_node n
        WHERE cosigned_at(c.note, n.alliance || '/' || h.witness, ledger_key_at(h.witness, NULL),
            h.cosignature) IS NOT NULL)
    SELECT l.size, string_agg(l.cosignature || E'\n', '' ORDER BY l.witness COLLATE "C")
        INTO chosen, lines
        FROM (SELECT x.*, row_number() OVER (PARTITION BY x.height
                  ORDER BY x.witness COLLATE "C") AS n FROM line x) l
        WHERE l.n <= 63     -- and the chain's own: more signatures are no note to some
        GROUP BY l.size, l.height ORDER BY count(*) DESC, l.height DESC LIMIT 1;
    IF chosen IS NOT NULL THEN
        proof := inclusion_proof(proof.entry, chosen, chain);
    END IF;
    RETURN format(E'c2sp.org/tlog-proof@v1\nindex %s\n%s\n%s%s', proof ->> 'index',
        (SELECT string_agg(encode(decode(x.hash, 'hex'), 'base64') || E'\n', '' ORDER BY x.n)
         FROM jsonb_array_elements_text(proof -> 'hashes') WITH ORDINALITY x(hash, n)),
        proof ->> 'checkpoint', lines);
END
$$;
COMMENT ON FUNCTION medchain.proof(uuid, text) IS
    'C2SP tlog-proof of an entry: its index, the inclusion proof, and the checkpoint with the '
    'cosignatures of the members that have verified it; origin: whose entry, where two chains use '
    'its id';
