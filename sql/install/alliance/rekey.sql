/*
 * rekey.sql: new keys and new certificates for members.
 *
 * The private half of a new key never comes near SQL: that its holder has it is
 * proven by a signature that he makes outside, over rekey_envelope().
 */

-- What is signed; last: the last block that the lost key has signed, null where the old key signs
-- over the new one.
CREATE FUNCTION medchain_internal.rekey_terms(member text, certificate text, public_key text,
    last jsonb)
    RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    m medchain.member;
    key record;
    reason text;
BEGIN
    IF rekey_terms.member IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'member must not be null';
    END IF;
    SELECT * INTO m FROM medchain.member x WHERE x.name = rekey_terms.member;
    IF NOT FOUND THEN
        RAISE undefined_object USING MESSAGE = format('there is no member "%s"',
            shown(rekey_terms.member));
    ELSIF m.ledger_key IS NULL THEN
        RAISE object_not_in_prerequisite_state USING MESSAGE = format('the ledger of "%s" is not '
            'configured yet', m.name);
    ELSIF rekey_terms.certificate IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'certificate must not be null';
    END IF;
    SELECT v.reason INTO reason FROM verify_certificate(rekey_terms.certificate, anchors_in_force(),
        NULL, now()) v;
    IF reason IS NOT NULL THEN
        RAISE invalid_parameter_value USING MESSAGE = format('certificate of "%s" is not accepted: '
            '%s', m.name, reason),
            HINT = 'It must lead to the alliance''s trust anchors, be valid now, and be for '
                'digital signatures.';
    END IF;
    PERFORM refuse_revoked(m.name, rekey_terms.certificate);
    SELECT * INTO key FROM key_facts(coalesce(rekey_terms.public_key, rekey_terms.certificate));
    IF EXISTS (SELECT FROM ledger_key k WHERE k.public_key = key.public_key AND (k.member <> m.name
        OR key.public_key <> m.ledger_key)) THEN
        RAISE duplicate_object USING MESSAGE = 'this public key is, or was, that of a ledger',
            DETAIL = 'Every member''s ledger has its own, unique key.';
    END IF;
    RETURN jsonb_strip_nulls(jsonb_build_object('alliance', n.alliance, 'member', m.name,
        -- and nothing that stands beside it
        'certificate', certificate_pem(convert_to(rekey_terms.certificate, 'UTF8')),
        'public_key', key.public_key, 'last', rekey_terms.last,
        'previous', CASE WHEN rekey_terms.last IS NULL THEN (SELECT f.key_fingerprint
            FROM key_facts(m.ledger_key) f) END))::text FROM local_node n;
END
$$;
COMMENT ON FUNCTION medchain_internal.rekey_terms(text, text, text, jsonb) IS
    'internal: the JSON text of a change of key';

-- Error unless there is that block.
CREATE FUNCTION medchain_internal.rekey_point(member text, last_height bigint) RETURNS jsonb
    LANGUAGE plpgsql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    point jsonb := chain_point(rekey_point.member, rekey_point.last_height);
BEGIN
    IF (point ->> 'height')::bigint <> rekey_point.last_height THEN
        RAISE object_not_in_prerequisite_state
            USING MESSAGE = format('block %s of "%s" is not here', rekey_point.last_height,
                shown(rekey_point.member)),
            HINT = 'See the view medchain.chains; it may not have arrived yet.';
    END IF;
    RETURN point;
END
$$;
COMMENT ON FUNCTION medchain_internal.rekey_point(text, bigint) IS
    'internal: the last block that a lost key has signed';

CREATE FUNCTION medchain.rekey_envelope(member text, certificate text, public_key text
    DEFAULT NULL, last_height bigint DEFAULT NULL) RETURNS bytea
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = medchain, medchain_internal, pg_temp
AS $$
BEGIN
    PERFORM require_node(NULL, 'rekey_envelope()');
    RETURN envelope_bytes('application/vnd.medchain.rekey+json',
                          rekey_terms(rekey_envelope.member, rekey_envelope.certificate,
                              rekey_envelope.public_key,
                                      CASE WHEN rekey_envelope.last_height IS NOT NULL
                                          THEN rekey_point(rekey_envelope.member,
                                              rekey_envelope.last_height) END));
END
$$;
COMMENT ON FUNCTION medchain.rekey_envelope(text, text, text, bigint) IS
    'the bytes (DSSE pre-authentication encoding) to be signed with the new key for rekey(); '
    'last_height: after the loss of the old key, the last block that it has signed';

CREATE FUNCTION medchain.rekey(member text, certificate text, public_key text DEFAULT NULL,
    proof text DEFAULT NULL, last_height bigint DEFAULT NULL,
                               certificate_proof text DEFAULT NULL) RETURNS uuid
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
        SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    type CONSTANT text := 'application/vnd.medchain.rekey+json';
    local local_node := require_node(NULL, 'rekey()');
    own boolean := coalesce(rekey.member = local.node, false);
    terms text;
    envelope jsonb;
    reason text;
BEGIN
    -- as the sealer sees it, which stops a minute before the end
    IF own AND local.node <> local.data_center AND NOT may_seal(local.node, 9223372036854775807,
        clock_timestamp() + interval '1 minute') THEN
        RAISE object_not_in_prerequisite_state USING MESSAGE = format('the certificate of "%s" has '
            'expired or was revoked, and nothing is sealed with it any more', local.node),
            HINT = 'If it has expired, the data centre offers a contract with the new certificate, '
                'medchain.admit(), to be countersigned with medchain.accept_contract(); if it was '
                'revoked, the data centre calls medchain.rekey().';
    ELSIF own AND rekey.last_height IS NOT NULL THEN
        RAISE invalid_parameter_value USING MESSAGE = 'after the loss of a key, rekey() is for the '
            'data centre',
            HINT = 'Give the data centre''s administrator the certificate, last_height, and the '
                'proof over rekey_envelope() with that last_height.';
    ELSIF NOT own THEN
        PERFORM require_governor(rekey.member, 'rekey() of another member');
        IF rekey.last_height IS NULL THEN
            RAISE null_value_not_allowed USING MESSAGE = 'last_height must not be null for another '
                'member',
                DETAIL = 'It is the last block that the lost key has signed.';
        END IF;
    END IF;
    terms := rekey_terms(rekey.member, rekey.certificate, rekey.public_key,
                         CASE WHEN NOT own THEN rekey_point(rekey.member, rekey.last_height) END);
    envelope := sign_envelope(type, terms)::jsonb;
    envelope := jsonb_set(envelope, '{signatures}', envelope -> 'signatures'
        || (make_envelope(type, terms, ARRAY[rekey.proof, rekey.certificate_proof]) ->
            'signatures'));
    SELECT o.reason INTO reason FROM open_envelope(envelope, terms::jsonb ->> 'public_key', type) o;
    IF reason IS NOT NULL THEN
        RAISE invalid_parameter_value USING
            MESSAGE = CASE WHEN rekey.proof IS NULL
                THEN 'a new key needs a proof that its holder has it'
                    ELSE 'the proof is not a signature of the new key: ' || reason END,
            HINT = 'Sign the bytes that medchain.rekey_envelope() returns for the same arguments '
                'with the new key, and give the signature in base64.';
    END IF;
    SELECT o.reason INTO reason FROM open_envelope(envelope, rekey.certificate, type) o;
    IF reason IS NOT NULL THEN
        RAISE invalid_parameter_value USING MESSAGE = 'the certificate''s key, which is not the '
            'new one, has to sign too: ' || reason,
            HINT = 'Give its signature over medchain.rekey_envelope(), in base64, as '
                'certificate_proof.';
    END IF;
    IF NOT own AND (SELECT f.public_key FROM certificate_facts(rekey.certificate) f) <>
        terms::jsonb ->> 'public_key' THEN
        RAISE invalid_parameter_value USING MESSAGE = 'after the loss of a key, the new one must '
            'be the certificate''s';
    ELSIF NOT certificate_is_of(rekey.certificate, rekey.member) THEN
        RAISE invalid_parameter_value USING MESSAGE = 'the certificate is for another name than '
            'the member''s contract',
            DETAIL = (SELECT format('It is for "%s".', g.subject)
                FROM certificate_facts(rekey.certificate) g);
    END IF;
    RETURN append_governance('rekey', envelope);
END
$$;
COMMENT ON FUNCTION medchain.rekey(text, text, text, text, bigint, text) IS
    'the member itself: sign its blocks with a new key from the next one on (public_key; by '
    'default the certificate''s), or go on with the same key and a new certificate; data centre, '
    'after loss: from the block after last_height on. proof: base64, signature of a new key over '
    'rekey_envelope(); certificate_proof: the same by the certificate''s key, where that is '
    'another one';
