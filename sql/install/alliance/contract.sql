/*
 * contract.sql: smart contracts: what the data centre offers and the member countersigns.
 */

-- For functions that only one kind of member calls: error unless this node is one and nobody else's
-- session calls.
CREATE FUNCTION medchain_internal.require_node(kinds medchain.member_kind[], what text)
    RETURNS medchain.local_node
    LANGUAGE plpgsql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    local local_node;
    acting text := session_member();   -- who is suspended must not pass for this node's own
    own_kind member_kind;
BEGIN
    PERFORM require_home();
    SELECT * INTO local FROM local_node;
    -- a superuser runs this database, whatever member his sessions are bound to
    IF acting <> local.node AND NOT (SELECT r.rolsuper FROM pg_roles r
        WHERE r.rolname = session_user) THEN
        RAISE insufficient_privilege USING
            MESSAGE = format('%s is for "%s" itself', what, local.node),
            DETAIL = format(CASE WHEN current_member() IS NULL THEN 'This session is that of "%s", '
                'who takes no part now.' ELSE 'This session acts for "%s".' END, acting);
    END IF;
    SELECT m.kind INTO own_kind FROM member m WHERE m.name = local.node;
    IF kinds IS NOT NULL AND own_kind IS NULL THEN
        RAISE insufficient_privilege USING
            MESSAGE = format('%s is for members of kind %s', what, array_to_string(kinds, ' or ')),
            DETAIL = format('"%s" is no member yet.', local.node),
            HINT = 'Its contract comes with the data centre''s chain: see medchain.peers, '
                'medchain.chains and the server log.';
    ELSIF kinds IS NOT NULL AND own_kind <> ALL (kinds) THEN
        RAISE insufficient_privilege USING
            MESSAGE = format('%s is for members of kind %s', what, array_to_string(kinds, ' or ')),
            DETAIL = format('"%s" is of kind %s.', local.node, own_kind);
    END IF;
    RETURN local;
END
$$;
COMMENT ON FUNCTION medchain_internal.require_node(medchain.member_kind[], text) IS
    'internal: this database as a node; error unless it is of one of these kinds';

CREATE FUNCTION medchain_internal.require_capability(capability text, what text) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    m member;
BEGIN
    SELECT x.* INTO m FROM member x WHERE x.name = (SELECT n.node FROM local_node n);
    IF m.name IS NOT NULL AND NOT m.accepted THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('%s has to wait: the contract of "%s" is not countersigned yet',
                what, m.name),
            HINT = 'The member does so by join_alliance(), or accept_contract(); is the sealer '
                'running (medchain.stat)?';
    ELSIF m.name IS NOT NULL AND m.ledger_key IS NULL THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('%s has to wait: the ledger of "%s" is not configured yet', what,
                m.name),
            HINT = 'An end node calls medchain.configure_ledger(); whether its chain is here is '
                'in medchain.peers and medchain.chains.';
    ELSIF coalesce(m.expelled, m.ended, m.suspended) IS NOT NULL THEN
        RAISE insufficient_privilege USING
            MESSAGE = format('"%s" %s', m.name, CASE WHEN m.expelled IS NOT NULL
                THEN 'was expelled' WHEN m.ended IS NOT NULL THEN 'has no contract any more'
                    ELSE 'is suspended' END),
            DETAIL = 'Reason: ' || coalesce(nullif(m.departure, ''), 'none was given') || '.';
    ELSIF m.revoked <= clock_timestamp() OR NOT m.takes_part THEN
        RAISE insufficient_privilege USING MESSAGE = format('the certificate of "%s" was revoked',
            m.name),
            HINT = 'It needs a new certificate, and the data centre''s rekey().';
    ELSIF (m.valid @> clock_timestamp() AND require_capability.capability = ANY (m.capabilities))
        IS NOT TRUE THEN
        RAISE insufficient_privilege USING
            MESSAGE = format('the contract of "%s" does not allow %s',
                coalesce(m.name, (SELECT node FROM local_node)), what),
            DETAIL = format('It would need the capability "%s", within the contract''s validity.',
                require_capability.capability);
    END IF;
END
$$;
COMMENT ON FUNCTION medchain_internal.require_capability(text, text) IS
    'internal: error unless this node''s contract allows that now';

-- Error if a list on the ledger revokes this certificate.
CREATE FUNCTION medchain_internal.refuse_revoked(member text, certificate text) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    revocation record;
BEGIN
    SELECT * INTO revocation FROM certificate_revocation(refuse_revoked.certificate);
    IF revocation.revoked IS NOT NULL THEN
        RAISE invalid_parameter_value USING
            MESSAGE = format('certificate of "%s" is not accepted: it was revoked',
                refuse_revoked.member),
            DETAIL = format('A revocation list on the ledger says so, since %s: %s.',
                ledger_time(revocation.revoked), revocation.reason);
    END IF;
END
$$;
COMMENT ON FUNCTION medchain_internal.refuse_revoked(text, text) IS
    'internal: error if a certificate was revoked';

-- A certificate cannot be taken back from the ledger, so what looks like the wrong file is said
-- when it is given: a name that is not the member's, and a key that signs another ledger.
CREATE FUNCTION medchain_internal.warn_of_certificate(member text, certificate text, way_back text)
    RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    facts record;
    other text;
BEGIN
    SELECT * INTO facts FROM certificate_facts(warn_of_certificate.certificate);
    IF strpos(facts.subject, warn_of_certificate.member) = 0 THEN
        RAISE WARNING 'the certificate of "%" is made out to another name: %',
            warn_of_certificate.member, facts.subject
            USING HINT = 'Are file and name the right ones? If not, '
                || warn_of_certificate.way_back;
    END IF;
    SELECT l.member INTO other FROM ledger_key l
        WHERE l.public_key = facts.public_key AND l.member <> warn_of_certificate.member LIMIT 1;
    IF FOUND THEN
        RAISE WARNING 'the certificate of "%" is for a key that signs the ledger of "%"',
            warn_of_certificate.member, other
            USING HINT = 'Its ledger cannot be configured with that: every member makes a key, and '
                'a request for it, of its own.';
    END IF;
END
$$;
COMMENT ON FUNCTION medchain_internal.warn_of_certificate(text, text, text) IS
    'internal: a warning if a certificate looks like that of somebody else';

-- Terms of a contract; what is null is as in the member's contract in force, or else by its kind
-- and certificate.
CREATE FUNCTION medchain_internal.contract_terms(member text, kind medchain.member_kind,
    certificate text,
    capabilities text[], valid tstzrange) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    local local_node := require_node('{data_center}', 'a contract');
    current medchain.contract;
    m medchain.member;
    facts record;
    terms jsonb;
    reason text;
BEGIN
    PERFORM require_capability('admit', 'admitting members');
    IF NOT name_valid(contract_terms.member) THEN
        RAISE invalid_name USING
            MESSAGE = format('"%s" cannot be a member''s name', shown(contract_terms.member)),
            HINT = 'A name has up to 63 bytes and no white space, "+" or "/".';
    END IF;
    IF contract_terms.member = local.node OR contract_terms.kind = 'data_center' THEN
        RAISE invalid_parameter_value USING MESSAGE = 'an alliance has one data centre, which '
            'founded it';
    END IF;
    SELECT * INTO m FROM medchain.member x WHERE x.name = contract_terms.member;
    IF NOT FOUND AND (contract_terms.kind IS NULL OR contract_terms.certificate IS NULL) THEN
        RAISE undefined_object USING MESSAGE = format('there is no member "%s"',
            shown(contract_terms.member)),
            HINT = 'A contract with a new member needs its kind and certificate.';
    END IF;
    SELECT * INTO current FROM medchain.contract k WHERE k.id = m.contract;
    IF m.expelled IS NOT NULL THEN
        RAISE object_not_in_prerequisite_state USING MESSAGE = format('"%s" was expelled', m.name),
            HINT = 'Its chain is closed; the same organisation can be admitted under another name.';
    ELSIF current.kind <> contract_terms.kind THEN
        RAISE invalid_parameter_value USING MESSAGE = format('"%s" is of kind %s, which does not '
            'change', m.name, current.kind);
    END IF;
    contract_terms.kind := coalesce(contract_terms.kind, current.kind);
    contract_terms.certificate := coalesce(contract_terms.certificate, m.certificate);
    SELECT v.reason INTO reason FROM verify_certificate(contract_terms.certificate,
        anchors_in_force(), NULL, now()) v;
    IF reason IS NOT NULL THEN
        RAISE invalid_parameter_value USING
            MESSAGE = format('certificate of "%s" is not accepted: %s', contract_terms.member,
                reason),
            HINT = certificate_hint(reason);
    END IF;
    PERFORM refuse_revoked(contract_terms.member, contract_terms.certificate);
    -- and nothing that stands beside it, as the private key does in many a file
    contract_terms.certificate := certificate_pem(convert_to(contract_terms.certificate, 'UTF8'));
    SELECT * INTO facts FROM certificate_facts(contract_terms.certificate);
    IF EXISTS (SELECT FROM member_certificate c WHERE c.fingerprint = facts.fingerprint
        AND c.member <> contract_terms.member) THEN
        RAISE duplicate_object USING
            MESSAGE = 'this certificate is that of another member',
            DETAIL = (SELECT format('It belongs to "%s".', c.member) FROM member_certificate c
                WHERE c.fingerprint = facts.fingerprint LIMIT 1),
            HINT = 'Is it the right file? If it was offered to the other one by mistake, take that '
                'offer back with medchain.end_contract(); the CA makes another certificate of the '
                'same request, which is this member''s.';
    END IF;
    IF contract_terms.certificate IS DISTINCT FROM m.certificate THEN
        PERFORM warn_of_certificate(contract_terms.member, contract_terms.certificate,
            'take the offer back with medchain.end_contract(), and make another.');
    END IF;
    IF isempty(contract_terms.valid) THEN
        RAISE invalid_parameter_value USING MESSAGE = 'the contract''s period is empty';
    END IF;
    terms := jsonb_build_object(
        'alliance', local.alliance, 'member', contract_terms.member, 'kind', contract_terms.kind,
        'certificate', contract_terms.certificate, 'certificate_fingerprint',
            encode(facts.fingerprint, 'hex'),
        'capabilities', coalesce(contract_terms.capabilities, current.capabilities,
            default_capabilities(contract_terms.kind)),
        'valid', ledger_period(coalesce(contract_terms.valid, current.valid,
            tstzrange(facts.not_before, facts.not_after, '[]'))));
    reason := contract_terms_reason(terms, clock_timestamp());
    IF reason IS NOT NULL THEN
        RAISE invalid_parameter_value USING MESSAGE = reason;
    END IF;
    RETURN terms::text;
END
$$;
COMMENT ON FUNCTION medchain_internal.contract_terms(text, medchain.member_kind, text, text[],
    tstzrange) IS
    'internal: the JSON text of a contract';

-- The envelope of a contract: with the sealer's signature, or with one made outside by this key.
CREATE FUNCTION medchain_internal.seal_contract(terms text, signature text, key text) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    type CONSTANT text := 'application/vnd.medchain.contract+json';
    envelope jsonb;
    reason text;
BEGIN
    IF seal_contract.signature IS NULL THEN
        RETURN sign_envelope(type, terms)::jsonb;
    END IF;
    envelope := make_envelope(type, terms, ARRAY[seal_contract.signature]);
    SELECT o.reason INTO reason FROM open_envelope(envelope, seal_contract.key, type) o;
    IF reason IS NOT NULL THEN
        RAISE invalid_parameter_value USING
            MESSAGE = 'the signature is not one of this ledger''s key over the contract: '
                || reason,
            HINT = 'Sign the bytes that medchain.contract_envelope() returns for the same '
                'contract, and give the signature in base64.';
    END IF;
    RETURN envelope;
END
$$;
COMMENT ON FUNCTION medchain_internal.seal_contract(text, text, text) IS
    'internal: DSSE envelope of a contract';

CREATE FUNCTION medchain.contract_envelope(contract uuid) RETURNS bytea
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    payload text;
BEGIN
    PERFORM require_node(NULL, 'contract_envelope()');
    IF contract_envelope.contract IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'contract must not be null';
    END IF;
    SELECT o.payload INTO payload FROM contract k JOIN local_node n ON true
        CROSS JOIN LATERAL open_envelope(claim_envelope(n.data_center, k.offered_seq), NULL,
            'application/vnd.medchain.contract+json') o
        WHERE k.id = contract_envelope.contract;
    IF NOT FOUND THEN
        RAISE undefined_object USING MESSAGE = format('there is no contract %s',
            contract_envelope.contract), HINT = 'See the view medchain.contracts.';
    END IF;
    RETURN envelope_bytes('application/vnd.medchain.contract+json', payload);
END
$$;
COMMENT ON FUNCTION medchain.contract_envelope(uuid) IS
    'the bytes (DSSE pre-authentication encoding) of an offered contract, for the member to '
    'countersign outside the database: join_alliance(), accept_contract()';

-- An id in quotes is text to PostgreSQL, and so ends here too.
CREATE FUNCTION medchain.contract_envelope(member text, kind medchain.member_kind DEFAULT NULL,
    certificate text DEFAULT NULL,
                                           capabilities text[] DEFAULT NULL, valid tstzrange
                                               DEFAULT NULL) RETURNS bytea
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = medchain, medchain_internal, pg_temp
AS $$
BEGIN
    IF contract_envelope.member IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'member, or contract, must not be null';
    ELSIF num_nonnulls(contract_envelope.kind, contract_envelope.certificate,
        contract_envelope.capabilities, contract_envelope.valid) = 0
          AND contract_envelope.member ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
          AND NOT EXISTS (SELECT FROM medchain.member m WHERE m.name = contract_envelope.member)
              THEN
        RETURN contract_envelope(contract_envelope.member::uuid);
    END IF;
    RETURN envelope_bytes('application/vnd.medchain.contract+json',
                          contract_terms(contract_envelope.member, contract_envelope.kind,
                              contract_envelope.certificate, contract_envelope.capabilities,
                                  contract_envelope.valid));
END
$$;
COMMENT ON FUNCTION medchain.contract_envelope(text, medchain.member_kind, text, text[], tstzrange)
    IS 'data centre: the bytes (DSSE pre-authentication encoding) to be signed outside the '
        'database for admit(), or for amend_contract() when kind and certificate are left out; '
        'given the id of a contract and nothing else, the same as contract_envelope(uuid)';

CREATE FUNCTION medchain.admit(member text, kind medchain.member_kind, certificate text,
    capabilities text[] DEFAULT NULL,
                               valid tstzrange DEFAULT NULL, signature text DEFAULT NULL)
                                   RETURNS uuid
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
        SET search_path = medchain, medchain_internal, pg_temp
AS $$
BEGIN
    PERFORM require_node('{data_center}', 'admit()');
    IF admit.member IS NULL OR admit.kind IS NULL OR admit.certificate IS NULL THEN
        RAISE null_value_not_allowed
            USING MESSAGE = 'member, kind and certificate must not be null';
    END IF;
    RETURN append_governance('contract', seal_contract(contract_terms(admit.member, admit.kind,
        admit.certificate,
        coalesce(admit.capabilities, default_capabilities(admit.kind)),
        coalesce(admit.valid, (SELECT tstzrange(f.not_before, f.not_after, '[]')
            FROM certificate_facts(admit.certificate) f))),
        admit.signature, (SELECT ledger_key_of(node) FROM local_node)));
END
$$;
COMMENT ON FUNCTION medchain.admit(text, medchain.member_kind, text, text[], tstzrange, text) IS
    'data centre: offer a contract to a member; its certificate (PEM) must lead to the alliance''s '
    'trust anchors; signature: base64, made outside over contract_envelope(); returns the '
    'contract''s id. The member countersigns with join_alliance()';

CREATE FUNCTION medchain.amend_contract(member text, capabilities text[] DEFAULT NULL,
    valid tstzrange DEFAULT NULL, signature text DEFAULT NULL) RETURNS uuid
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
        SET search_path = medchain, medchain_internal, pg_temp
AS $$
BEGIN
    PERFORM require_governor(amend_contract.member, 'amend_contract()');
    RETURN append_governance('contract', seal_contract(
        contract_terms(amend_contract.member, NULL, NULL, amend_contract.capabilities,
            amend_contract.valid),
        amend_contract.signature, (SELECT ledger_key_of(node) FROM local_node)));
END
$$;
COMMENT ON FUNCTION medchain.amend_contract(text, text[], tstzrange, text) IS
    'data centre: offer a member a contract in place of its present one, which stays in force '
    'until the member countersigns: accept_contract(); what is left out stays as it is';

CREATE FUNCTION medchain.accept_contract(contract uuid DEFAULT NULL, signature text DEFAULT NULL)
    RETURNS uuid
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
        SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    local local_node := require_node(NULL, 'accept_contract()');
    k medchain.contract;
    terms text;
BEGIN
    -- the offer may be on its way
    IF NOT EXISTS (SELECT FROM medchain.contract x WHERE x.member = local.node
        AND x.accepted IS NULL AND x.ended IS NULL
                   AND x.id = coalesce(accept_contract.contract, x.id)) THEN
        PERFORM catch_up();
    END IF;
    SELECT * INTO k FROM medchain.contract x WHERE x.member = local.node
        AND x.id = coalesce(accept_contract.contract, x.id)
        ORDER BY x.ended IS NOT NULL, x.offered_seq DESC LIMIT 1;
    IF NOT FOUND THEN
        RAISE undefined_object USING MESSAGE = format('there is no such contract with "%s"',
            local.node), HINT = 'See the view medchain.contracts.';
    ELSIF k.accepted IS NOT NULL OR k.ended IS NOT NULL THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = CASE WHEN k.ended IS NOT NULL THEN 'the contract was ended'
                ELSE 'the contract is countersigned already' END,
            DETAIL = format('It is contract %s.', k.id);
    END IF;
    terms := (open_envelope(claim_envelope(local.data_center, k.offered_seq), NULL,
        'application/vnd.medchain.contract+json')).payload;
    RETURN append_governance('acceptance', jsonb_build_object('contract', k.id, 'envelope',
        seal_contract(terms, accept_contract.signature, coalesce(ledger_key_of(local.node),
            k.certificate))));
END
$$;
COMMENT ON FUNCTION medchain.accept_contract(uuid, text) IS
    'member: countersign a contract that the data centre offered (by default the newest); in force '
    'for what stands behind it on this chain. signature: base64, made outside over '
    'contract_envelope()';

CREATE FUNCTION medchain.end_contract(member text, reason text, contract uuid DEFAULT NULL)
    RETURNS uuid
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
        SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    local local_node := require_node(NULL, 'end_contract()');
    k medchain.contract;
BEGIN
    IF end_contract.member IS DISTINCT FROM local.node OR local.node = local.data_center THEN
        PERFORM require_governor(end_contract.member, 'end_contract() of another member');
    END IF;
    SELECT x.* INTO k FROM medchain.contract x JOIN medchain.member m ON m.name = x.member
        WHERE x.member = end_contract.member AND x.id = coalesce(end_contract.contract, m.contract);
    IF NOT FOUND THEN
        RAISE undefined_object USING MESSAGE = format('there is no such contract with "%s"',
            shown(end_contract.member)), HINT = 'See the view medchain.contracts.';
    ELSIF k.ended IS NOT NULL THEN
        RAISE object_not_in_prerequisite_state USING MESSAGE = 'the contract was ended already',
            DETAIL = format('By "%s".', k.ended_by);
    END IF;
    RETURN append_governance('ending', jsonb_strip_nulls(jsonb_build_object('member', k.member,
        'contract', k.id, 'reason', coalesce(end_contract.reason, ''),
        'last', CASE WHEN k.member <> local.node THEN chain_point(k.member) END)));
END
$$;
COMMENT ON FUNCTION medchain.end_contract(text, text, uuid) IS
    'data centre or the member itself: end a contract, by default the one in force; an offer that '
    'is not countersigned yet is taken back';
