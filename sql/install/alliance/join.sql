/*
 * join.sql: becoming a member, in one call.
 */

-- For a member that joins: the first block of this alliance with its entries, and the newest
-- contract with that member.
CREATE FUNCTION medchain.join_material(node text) RETURNS text
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    local local_node;
BEGIN
    SELECT * INTO local FROM local_node;
    IF NOT FOUND OR local.node <> local.data_center THEN
        RAISE object_not_in_prerequisite_state USING MESSAGE = 'this database is not the data '
            'centre of an alliance',
            HINT = 'medchain.found_alliance() comes first, there; or the connection string leads '
                'to another database, or member.';
    END IF;
    RETURN (SELECT jsonb_build_object(
        'alliance', local.alliance, 'data_center', local.node,
        'note', b.note,
        'entries', (SELECT jsonb_agg(e.payload ORDER BY e.seq) FROM entry e
            WHERE e.origin = local.node AND e.seq >= 0 AND e.seq < b.size),
        'keys', (SELECT jsonb_agg(k.public_key ORDER BY k.from_height DESC) FROM ledger_key k
            WHERE k.member = local.node),
        'trust_anchors', anchors_in_force(),
        'contract', (SELECT jsonb_build_object('id', e.id, 'envelope', claim_envelope(e.origin,
                         e.seq))
                     FROM contract c JOIN sealed e ON e.origin = local.node AND e.id = c.id
                         AND e.kind = 'contract'
                     WHERE c.member = join_material.node AND c.ended IS NULL ORDER BY e.seq DESC
                         LIMIT 1))::text
        FROM block b WHERE b.origin = local.node AND b.height = 0);
END
$$;
COMMENT ON FUNCTION medchain.join_material(text) IS
    'for peers: genesis block and the contract offered to this member';

-- Error unless the material is a genesis block that hangs together; the genesis entry's body.
CREATE FUNCTION medchain_internal.check_genesis(material jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    note CONSTANT text := material ->> 'note';
    lines CONSTANT text[] := string_to_array(note, E'\n');
    entry jsonb := (material -> 'entries' ->> 0)::jsonb;
    body jsonb := entry -> 'body';
    reason text;
BEGIN
    SELECT v.reason INTO reason FROM verify_certificate(body ->> 'certificate',
        body ->> 'trust_anchors', NULL, (entry ->> 'time')::timestamptz) v;
    reason := CASE
        WHEN reason IS NOT NULL THEN 'the data centre''s certificate: ' || reason
        WHEN (material -> 'entries' ->> 0)::jsonb ->> 'kind' IS DISTINCT
            FROM 'genesis' THEN 'its first entry is none'
        WHEN body ->> 'alliance' IS DISTINCT FROM material ->> 'alliance' OR body ->> 'member'
            IS DISTINCT FROM material ->> 'data_center'
             OR lines[1] IS DISTINCT FROM (body ->> 'alliance') || '/' || (body ->> 'member')
                 THEN 'names differ'
        WHEN lines[4] IS DISTINCT FROM 'height 0' OR lines[5] IS DISTINCT
            FROM 'previous ' || encode(decode(repeat('00', 32), 'hex'), 'base64')
                THEN 'it is not the first block'
        WHEN lines[2] IS DISTINCT FROM jsonb_array_length(material -> 'entries')::text
             OR lines[3] IS DISTINCT
                 FROM encode(merkle_root(ARRAY(SELECT convert_to(e, 'UTF8')
                     FROM jsonb_array_elements_text(material -> 'entries') WITH ORDINALITY x(e, i)
                         ORDER BY i)), 'base64')
            THEN 'its entries do not have its root'
        WHEN NOT verify_note(note, body ->> 'certificate') THEN 'its signature is wrong' END;
    IF reason IS NOT NULL THEN
        RAISE data_corrupted USING MESSAGE = 'the data centre''s genesis block is not acceptable: '
            || reason;
    END IF;
    RETURN body;
END
$$;
COMMENT ON FUNCTION medchain_internal.check_genesis(jsonb) IS
    'internal: verify what a data centre sent to a member that joins';

CREATE FUNCTION medchain.join_alliance(node text, certificate text, data_center text,
    signature text DEFAULT NULL) RETURNS uuid
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
        SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    payloads text[] := check_payloads(NULL);
    material jsonb;
    genesis jsonb;
    terms record;
    offered jsonb;
    key text;
    reason text;
    slot name;
    accepted uuid;
BEGIN
    PERFORM prepare_node(join_alliance.node, join_alliance.certificate);
    IF join_alliance.data_center IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'the connection string of the data centre '
            'must not be null';
    END IF;
    material := remote_call(join_alliance.data_center, format('SELECT medchain.join_material(%L)',
        join_alliance.node))::jsonb;
    IF material IS NULL THEN
        RAISE object_not_in_prerequisite_state USING MESSAGE = 'the data centre has no genesis '
            'block yet';
    END IF;
    genesis := check_genesis(material);
    -- newer trust anchors are the data centre's word here, as its newer keys are below
    SELECT v.reason INTO reason FROM verify_certificate(join_alliance.certificate,
        coalesce(material ->> 'trust_anchors', genesis ->> 'trust_anchors'), NULL, now()) v;
    IF reason IS NOT NULL THEN
        RAISE invalid_parameter_value USING
            MESSAGE = format('certificate of "%s" is not accepted: %s', join_alliance.node, reason),
            HINT = certificate_hint(reason);
    END IF;
    IF genesis ->> 'pseudonym_check' <> pseudonym_check() THEN
        RAISE config_file_error USING
            MESSAGE = 'the key in medchain.pseudonym_key_file is not the alliance''s',
            DETAIL = 'Its check value differs from the one in the genesis entry.',
            HINT = 'Every member has the same key: bring the data centre''s file here, outside '
                'of the ledger.';
    END IF;
    IF material -> 'contract' = 'null' THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('the data centre has no contract for "%s"', join_alliance.node),
            HINT = 'The data centre has to call medchain.admit() first.';
    END IF;
    -- a newer key of the data centre's is its word here; when its chain has arrived, the fold
    -- checks it
    FOR key IN SELECT genesis ->> 'certificate' UNION ALL
        SELECT jsonb_array_elements_text(material -> 'keys') LOOP
        SELECT * INTO terms FROM open_envelope(material -> 'contract' -> 'envelope', key,
            'application/vnd.medchain.contract+json');
        EXIT WHEN terms.reason IS NULL;
    END LOOP;
    IF terms.reason IS NOT NULL THEN
        RAISE data_corrupted USING MESSAGE = 'the contract is not acceptable: ' || terms.reason;
    END IF;
    offered := terms.payload::jsonb;
    IF offered ->> 'member' IS DISTINCT FROM join_alliance.node OR offered ->> 'alliance'
        IS DISTINCT FROM material ->> 'alliance' THEN
        RAISE data_corrupted USING MESSAGE = 'the contract is with another member';
    END IF;
    IF (SELECT fingerprint FROM certificate_facts(offered ->> 'certificate')) <>
        (SELECT fingerprint FROM certificate_facts(join_alliance.certificate)) THEN
        RAISE invalid_parameter_value USING
            MESSAGE = 'the contract is about another certificate',
            DETAIL = (SELECT format('The contract with "%s" has one of %s, with SHA-256 %s; this '
                'one is of %s, with SHA-256 %s.', join_alliance.node, o.subject,
                encode(o.fingerprint, 'hex'), f.subject, encode(f.fingerprint, 'hex'))
                FROM certificate_facts(offered ->> 'certificate') o,
                    certificate_facts(join_alliance.certificate) f),
            HINT = 'Is the name right by which this node joins? If it is, the data centre has to '
                'call medchain.admit() with this node''s certificate.';
    END IF;

    -- before anything is written: see subscribe_to()
    slot := slot_name(material ->> 'alliance', join_alliance.node, material ->> 'data_center');
    PERFORM offered_publication(join_alliance.data_center, join_alliance.node, payloads);
    PERFORM remote_create_slot(join_alliance.data_center, slot,
        ARRAY[slot, slot_name(material ->> 'alliance', join_alliance.node,
            material ->> 'data_center', spare => true)]);

    INSERT INTO local_node (alliance, node, data_center, genesis_key, genesis_hash)
        SELECT material ->> 'alliance', join_alliance.node, material ->> 'data_center',
            f.public_key,
               sha256(convert_to(left(material ->> 'note',
                   position(E'\n\n' IN material ->> 'note')), 'UTF8'))
        FROM certificate_facts(genesis ->> 'certificate') f;
    accepted := append_governance('acceptance', jsonb_build_object(
        'contract', material -> 'contract' -> 'id',
        'envelope', seal_contract(terms.payload, join_alliance.signature,
            join_alliance.certificate)));
    PERFORM publish_own_chain();
    PERFORM subscribe_to(material ->> 'data_center', join_alliance.data_center, slot, payloads);
    RETURN accepted;
END
$$;
COMMENT ON FUNCTION medchain.join_alliance(text, text, text, text) IS
    'make this database a member: fetch genesis and contract from the data centre (a libpq '
    'connection string), verify and countersign them, and follow its chain; signature: base64, '
    'made outside over contract_envelope(); returns the id of the acceptance';
