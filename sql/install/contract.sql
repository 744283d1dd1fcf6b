/*
 * contract.sql: smart contracts: what the data centre offers and the member countersigns.
 */

-- For functions that only one kind of member calls: error unless this node is one and nobody else's session calls.
CREATE FUNCTION medchain.require_node(kinds medchain.member_kind[], what text) RETURNS medchain.local_node
    LANGUAGE plpgsql STABLE SET search_path = medchain, pg_temp
AS $$
DECLARE
    local local_node;
    acting text := current_member();
    own_kind member_kind;
BEGIN
    SELECT * INTO local FROM local_node;
    IF NOT FOUND THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = 'this database is not a node of an alliance',
            HINT = 'Call medchain.found_alliance() or medchain.join_alliance() first.';
    END IF;
    -- a superuser runs this database, whatever member his sessions are bound to
    IF acting <> local.node AND NOT (SELECT r.rolsuper FROM pg_roles r WHERE r.rolname = session_user) THEN
        RAISE insufficient_privilege USING
            MESSAGE = format('%s is for "%s" itself', what, local.node),
            DETAIL = format('This session acts for "%s".', acting);
    END IF;
    SELECT m.kind INTO own_kind FROM member m WHERE m.name = local.node;
    IF kinds IS NOT NULL AND own_kind = ANY (kinds) IS NOT TRUE THEN
        RAISE insufficient_privilege USING
            MESSAGE = format('%s is for members of kind %s', what, array_to_string(kinds, ' or ')),
            DETAIL = format('"%s" is %s.', local.node, coalesce('of kind ' || own_kind, 'no member yet'));
    END IF;
    RETURN local;
END
$$;
COMMENT ON FUNCTION medchain.require_node(medchain.member_kind[], text) IS 'internal: this database as a node; error unless it is of one of these kinds';

CREATE FUNCTION medchain.require_capability(capability text, what text) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = medchain, pg_temp
AS $$
DECLARE
    m member;
BEGIN
    SELECT x.* INTO m FROM member x JOIN local_node n ON n.node = x.name;
    IF m.name IS NOT NULL AND NOT m.accepted THEN
        RAISE object_not_in_prerequisite_state USING MESSAGE = format('%s has to wait: the contract of "%s" is not countersigned yet', what, m.name);
    ELSIF m.name IS NOT NULL AND m.ledger_key IS NULL THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('%s has to wait: the ledger of "%s" is not configured yet', what, m.name),
            HINT = 'An end node calls medchain.configure_ledger().';
    ELSIF member_may(m.name, require_capability.capability, clock_timestamp()) IS NOT TRUE THEN
        RAISE insufficient_privilege USING
            MESSAGE = format('the contract of "%s" does not allow %s', coalesce(m.name, (SELECT node FROM local_node)), what),
            DETAIL = format('It would need the capability "%s", within the contract''s validity.', require_capability.capability);
    END IF;
END
$$;
COMMENT ON FUNCTION medchain.require_capability(text, text) IS 'internal: error unless this node''s contract allows that now';

CREATE FUNCTION medchain.admit(member text, kind medchain.member_kind, certificate text, capabilities text[] DEFAULT NULL,
                               valid tstzrange DEFAULT NULL) RETURNS uuid
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = medchain, pg_temp
AS $$
DECLARE
    local local_node := require_node('{data_center}', 'admit()');
    facts record;
    terms jsonb;
    reason text;
BEGIN
    IF admit.member IS NULL OR admit.kind IS NULL OR admit.certificate IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'member, kind and certificate must not be null';
    END IF;
    PERFORM require_capability('admit', 'admitting members');
    IF NOT name_valid(admit.member) THEN
        RAISE invalid_name USING
            MESSAGE = format('"%s" cannot be a member''s name', admit.member),
            HINT = 'A name has up to 63 bytes and no white space, "+" or "/".';
    END IF;
    IF admit.member = local.node OR admit.kind = 'data_center' THEN
        RAISE invalid_parameter_value USING MESSAGE = 'an alliance has one data centre, which founded it';
    END IF;
    SELECT v.reason INTO reason FROM verify_certificate(admit.certificate, genesis_anchors(), NULL, now()) v;
    IF reason IS NOT NULL THEN
        RAISE invalid_parameter_value USING
            MESSAGE = format('certificate of "%s" is not accepted: %s', admit.member, reason),
            HINT = 'It must lead to the alliance''s trust anchors, be valid now, and be for digital signatures.';
    END IF;
    SELECT * INTO facts FROM certificate_facts(admit.certificate);
    IF EXISTS (SELECT FROM medchain.member m WHERE m.fingerprint = facts.fingerprint AND m.name <> admit.member) THEN
        RAISE duplicate_object USING
            MESSAGE = 'this certificate is that of another member',
            DETAIL = (SELECT format('It belongs to "%s".', m.name) FROM medchain.member m WHERE m.fingerprint = facts.fingerprint LIMIT 1);
    END IF;
    IF isempty(admit.valid) THEN
        RAISE invalid_parameter_value USING MESSAGE = 'the contract''s period is empty';
    END IF;
    terms := jsonb_build_object(
        'alliance', local.alliance, 'member', admit.member, 'kind', admit.kind,
        'certificate', admit.certificate, 'certificate_fingerprint', encode(facts.fingerprint, 'hex'),
        'capabilities', coalesce(admit.capabilities, default_capabilities(admit.kind)),
        'valid', ledger_period(coalesce(admit.valid, tstzrange(facts.not_before, facts.not_after, '[]'))));
    reason := contract_terms_reason(terms, clock_timestamp());
    IF reason IS NOT NULL THEN
        RAISE invalid_parameter_value USING MESSAGE = reason;
    END IF;
    RETURN append_governance('contract', sign_envelope('application/vnd.medchain.contract+json', terms::text)::jsonb);
END
$$;
COMMENT ON FUNCTION medchain.admit(text, medchain.member_kind, text, text[], tstzrange) IS 'data centre: offer a contract to a member; its certificate (PEM) must lead to the alliance''s trust anchors; returns the contract''s id. The member countersigns with join_alliance()';
