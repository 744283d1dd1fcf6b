/*
 * examinee.sql: examinees who sign their protocols themselves, with a key on their card or in their
 * app.
 */

CREATE FUNCTION medchain_internal.examinee_key_terms(subject text, public_key text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
BEGIN
    PERFORM require_subject(examinee_key_terms.subject), require_words('public key',
        examinee_key_terms.public_key);
    RETURN jsonb_build_object('alliance', n.alliance, 'registrar', n.node, 'subject',
        encode(pseudonym(examinee_key_terms.subject), 'hex'),
                              'public_key', (SELECT f.public_key
                                  FROM key_facts(examinee_key_terms.public_key) f))::text
                                      FROM local_node n;
END
$$;
COMMENT ON FUNCTION medchain_internal.examinee_key_terms(text, text) IS
    'internal: the JSON text of the registration of an examinee''s key';

CREATE FUNCTION medchain.examinee_key_envelope(subject text, public_key text) RETURNS bytea
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = medchain, medchain_internal, pg_temp
AS $$
BEGIN
    PERFORM require_node('{end_node}', 'examinee_key_envelope()');
    RETURN envelope_bytes('application/vnd.medchain.examinee+json',
        examinee_key_terms(examinee_key_envelope.subject, examinee_key_envelope.public_key));
END
$$;
COMMENT ON FUNCTION medchain.examinee_key_envelope(text, text) IS
    'the bytes (DSSE pre-authentication encoding) that an examinee signs with his key, and with '
    'the one it replaces, for register_examinee_key()';

-- Signatures made outside, in base64, as a DSSE envelope.
CREATE FUNCTION medchain_internal.make_envelope(type text, terms text, signatures text[])
    RETURNS jsonb
    LANGUAGE sql IMMUTABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT jsonb_build_object('payloadType', $1, 'payload',
        translate(encode(convert_to($2, 'UTF8'), 'base64'), E'\n', ''),
                              'signatures',
                                  (SELECT coalesce(jsonb_agg(jsonb_build_object('sig', s)
                                      ORDER BY i), '[]') FROM unnest($3) WITH ORDINALITY x(s, i)
                                          WHERE s IS NOT NULL))
$$;
COMMENT ON FUNCTION medchain_internal.make_envelope(text, text, text[]) IS
    'internal: DSSE envelope with these signatures';

CREATE FUNCTION medchain.register_examinee_key(subject text, public_key text, proof text,
    previous_proof text DEFAULT NULL) RETURNS uuid
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
        SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    type CONSTANT text := 'application/vnd.medchain.examinee+json';
    local local_node := require_node('{end_node}', 'register_examinee_key()');
    terms text := examinee_key_terms(register_examinee_key.subject,
        register_examinee_key.public_key);
    envelope jsonb := make_envelope(type, terms, ARRAY[register_examinee_key.proof,
        register_examinee_key.previous_proof]);
    reason text;
    older text;
BEGIN
    PERFORM require_capability('issue', 'registering keys of examinees');
    SELECT o.reason INTO reason FROM open_envelope(envelope, terms::jsonb ->> 'public_key', type) o;
    IF reason IS NOT NULL THEN
        RAISE invalid_parameter_value USING MESSAGE = 'the proof is not a signature of this key: '
            || reason,
            HINT = 'The examinee signs the bytes that medchain.examinee_key_envelope() returns; '
                'give the signature in base64.';
    END IF;
    SELECT k.public_key INTO older FROM examinee_key k WHERE k.origin = local.node
        AND k.subject = pseudonym(register_examinee_key.subject)
        AND k.withdrawn IS NULL ORDER BY k.seq DESC LIMIT 1;
    IF FOUND THEN
        SELECT o.reason INTO reason FROM open_envelope(envelope, older, type) o;
        IF reason IS NOT NULL THEN
            RAISE invalid_parameter_value USING MESSAGE = 'the examinee has a key, which has to '
                'sign over the new one: ' || reason,
                HINT = 'Give its signature over medchain.examinee_key_envelope() as '
                    'previous_proof. If the key is lost, the data centre calls '
                    'medchain.withdraw_examinee_key().';
        END IF;
    END IF;
    RETURN append_governance('examinee_key', envelope,
        remember_identity(register_examinee_key.subject));
END
$$;
COMMENT ON FUNCTION medchain.register_examinee_key(text, text, text, text) IS
    'end node: register the key (PEM) that an examinee signs his protocols with; proof: base64, '
    'its signature over examinee_key_envelope(); previous_proof: that of the key it replaces';

CREATE FUNCTION medchain.withdraw_examinee_key(subject text, reason text) RETURNS uuid
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
        SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    local local_node := require_node('{data_center}', 'withdraw_examinee_key()');
BEGIN
    PERFORM require_capability('admit', 'withdrawing keys of examinees');
    PERFORM require_subject(withdraw_examinee_key.subject);
    IF NOT EXISTS (SELECT FROM examinee_key k
        WHERE k.subject = pseudonym(withdraw_examinee_key.subject)) THEN
        PERFORM catch_up();
    END IF;
    IF NOT EXISTS (SELECT FROM examinee_key k
        WHERE k.subject = pseudonym(withdraw_examinee_key.subject) AND k.withdrawn IS NULL) THEN
        RAISE undefined_object USING MESSAGE = 'this examinee has no key';
    END IF;
    RETURN append_governance('examinee_withdrawal', jsonb_build_object('reason',
        coalesce(withdraw_examinee_key.reason, ''),
        'last', chain_points(ARRAY(SELECT m.name FROM member m WHERE m.kind = 'end_node'
            OR 'issue' = ANY (m.capabilities)))), pseudonym(withdraw_examinee_key.subject));
END
$$;
COMMENT ON FUNCTION medchain.withdraw_examinee_key(text, text) IS
    'data centre: an examinee''s keys are lost; for blocks after those that are verified here they '
    'do not count, and an end node can register a new one';
