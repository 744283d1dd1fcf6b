/*
 * proofs.sql: what shows somebody who has nothing of the ledger but a checkpoint that it holds an
 * entry, or only grew.
 */

CREATE FUNCTION medchain.inclusion_proof(entry uuid, tree_size bigint DEFAULT NULL, origin text
    DEFAULT NULL) RETURNS jsonb
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'medchain_inclusion_proof';
COMMENT ON FUNCTION medchain.inclusion_proof(uuid, bigint, text) IS
    'RFC 6962 inclusion proof of an entry in the tree of this size (by default the newest '
    'block''s): {origin, index, tree_size, leaf_hash, root_hash, hashes[], checkpoint}, hashes in '
    'hex, checkpoint null where no block has this tree size; origin: whose entry, where two chains '
    'use its id';

CREATE FUNCTION medchain_internal.inclusion_proof_at(origin text, seq bigint) RETURNS jsonb
    LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'medchain_inclusion_proof_at';
COMMENT ON FUNCTION medchain_internal.inclusion_proof_at(text, bigint) IS
    'internal: the same of the entry in that place of a chain, whose payload need not be here';

CREATE FUNCTION medchain.consistency_proof(origin text, size1 bigint, size2 bigint) RETURNS bytea[]
    LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'medchain_consistency_proof';
COMMENT ON FUNCTION medchain.consistency_proof(text, bigint, bigint) IS
    'RFC 6962 proof that the chain''s tree of size2 continues its tree of size1';

CREATE FUNCTION medchain.receipt(entry uuid, origin text DEFAULT NULL) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
        SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    proof jsonb;
    text_of_entry text;
    base64 text;
    holder record;
    absent record;
BEGIN
    SELECT f.* INTO absent FROM fetch_entry(receipt.entry, receipt.origin) f;
    text_of_entry := absent.payload;
    IF text_of_entry IS NOT NULL THEN
        proof := inclusion_proof_at(absent.origin, absent.seq);
    ELSE
        proof := inclusion_proof(receipt.entry, NULL, receipt.origin);
        IF proof IS NULL THEN
            RETURN NULL;
        END IF;
        SELECT e.payload INTO text_of_entry FROM entry e WHERE e.origin = proof ->> 'origin'
            AND e.seq = (proof ->> 'index')::bigint;
    END IF;
    IF encode(text_leaf_hash(text_of_entry), 'hex') IS DISTINCT FROM proof ->> 'leaf_hash' THEN
        RAISE data_corrupted USING MESSAGE = format('payload of entry %s of chain "%s" is not what '
            'was sealed', proof ->> 'index', proof ->> 'origin'),
            HINT = 'Run medchain.verify() to see what else is not.';
    END IF;
    base64 := text_base64(text_of_entry);
    -- the key of the height of the checkpoint, and of the member's certificates rather the one that
    -- is made out for this key
    SELECT coalesce((SELECT c.certificate FROM member_certificate c
        WHERE c.member = proof ->> 'origin'
                     AND (SELECT f.public_key FROM certificate_facts(c.certificate) f) =
                         k.public_key
                     ORDER BY c.from_seq DESC NULLS LAST, c.cause_seq DESC LIMIT 1), m.certificate)
                         AS certificate,
           coalesce(k.public_key, CASE WHEN n.data_center = proof ->> 'origin'
               THEN n.genesis_key END) AS ledger_key INTO holder
        FROM local_node n LEFT JOIN member m ON m.name = proof ->> 'origin'
             LEFT JOIN LATERAL (SELECT x.public_key FROM ledger_key x WHERE x.member = m.name
                                AND x.from_height <= substring(proof ->> 'checkpoint'
                                    FROM E'\nheight ([0-9]+)\n')::bigint ORDER BY x.from_height DESC
                                        LIMIT 1) k ON true;
    RETURN jsonb_build_object('type', 'receipt',
        CASE WHEN base64 IS NULL THEN 'payload' ELSE 'payload_base64' END,
        coalesce(base64, text_of_entry), 'certificate',
        certificate_pem(convert_to(holder.certificate, 'UTF8')), 'ledger_key', holder.ledger_key)
           || (proof - '{leaf_hash, root_hash}'::text[]);
END
$$;
COMMENT ON FUNCTION medchain.receipt(uuid, text) IS
    'all that is needed to check one entry alone: {type, origin, index, tree_size, payload (exact '
    'text), hashes[] in hex, checkpoint, certificate, ledger_key}; the last two null while the '
    'ledger is not configured. A payload that is not here is asked for at the peers, and not kept';

CREATE FUNCTION medchain.rebuild_tiles(origin text) RETURNS bigint
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'medchain_rebuild_tiles';
COMMENT ON FUNCTION medchain.rebuild_tiles(text) IS
    'make the tiles of a chain anew from its entries, when verify() found one bad; returns how '
    'many there are; error if the entries themselves do not hash to the chain''s root';
