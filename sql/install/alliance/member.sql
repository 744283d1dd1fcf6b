/*
 * member.sql: founding an alliance, configuring ledgers.
 */

-- What founding and joining have in common: error unless this database can become a node with that
-- certificate.
CREATE FUNCTION medchain_internal.prepare_node(node text, certificate text) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    local local_node;
    facts record;
    status record;
BEGIN
    PERFORM require_writable();
    IF prepare_node.node IS NULL OR prepare_node.certificate IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'node and certificate must not be null';
    END IF;
    SELECT * INTO local FROM local_node;
    IF FOUND THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('this database is node "%s" of alliance "%s" already', local.node,
                local.alliance),
            HINT = 'A database has one node. To begin anew, call medchain.leave_alliance(), and '
                'drop and create the extension; medchain.before_drop() says what else is in the '
                'way.';
    END IF;
    IF pg_catalog.getdatabaseencoding() <> 'UTF8' THEN
        RAISE feature_not_supported USING
            MESSAGE = format('a node''s database must have encoding UTF8, not %s',
                getdatabaseencoding()),
            DETAIL = 'The ledger''s hashes are over UTF-8 text.';
    END IF;
    IF NOT name_valid(prepare_node.node) THEN
        RAISE invalid_name USING
            MESSAGE = format('"%s" cannot be a member''s name', shown(prepare_node.node)),
            HINT = 'A name has up to 63 bytes and no white space, "+" or "/".';
    END IF;
    PERFORM start_workers();
    SELECT * INTO facts FROM certificate_facts(prepare_node.certificate);
    SELECT * INTO status FROM sealer_status();
    IF status.key_fingerprint IS NULL THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = 'the sealer has no signing key',
            DETAIL = coalesce(status.error, 'It is not running.'),
            HINT = 'Set medchain.signing_key to the file with the private key of the node''s '
                'certificate, and reload the configuration.';
    END IF;
    IF status.key_fingerprint <> facts.key_fingerprint THEN
        RAISE invalid_parameter_value USING
            MESSAGE = 'medchain.signing_key is not the private key of this certificate',
            DETAIL = format('The certificate''s public key has SHA-256 %s, the signing key''s %s. '
                'The certificate is made out to %s.', facts.key_fingerprint,
                status.key_fingerprint, facts.subject),
            HINT = 'Give the certificate that the CA made of this node''s own request, or set '
                'medchain.signing_key to the key of that request.';
    END IF;
END
$$;
COMMENT ON FUNCTION medchain_internal.prepare_node(text, text) IS
    'internal: error unless this database can become a node with that certificate';

CREATE FUNCTION medchain.found_alliance(alliance text, node text, certificate text,
    trust_anchors text) RETURNS uuid
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
        SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    reason text;
    founded uuid;
BEGIN
    IF found_alliance.alliance IS NULL OR found_alliance.trust_anchors IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'alliance and trust anchors must not be null';
    END IF;
    IF NOT name_valid(found_alliance.alliance, alliance => true) THEN
        RAISE invalid_name USING
            MESSAGE = format('"%s" cannot be an alliance''s name',
                shown(found_alliance.alliance)),
            HINT = 'A name has up to 180 bytes and no white space or "+".';
    END IF;
    PERFORM prepare_node(found_alliance.node, found_alliance.certificate);
    SELECT v.reason INTO reason FROM verify_certificate(found_alliance.certificate,
        found_alliance.trust_anchors, NULL, now()) v;
    IF reason IS NOT NULL THEN
        RAISE invalid_parameter_value USING
            MESSAGE = format('certificate of "%s" is not accepted: %s', found_alliance.node,
                reason),
            HINT = certificate_hint(reason);
    END IF;
    PERFORM warn_of_certificate(found_alliance.node, found_alliance.certificate,
        'call medchain.leave_alliance(), drop and create the extension, and found it anew.');
    INSERT INTO local_node (alliance, node, data_center, genesis_key)
        SELECT found_alliance.alliance, found_alliance.node, found_alliance.node, f.public_key
        FROM certificate_facts(found_alliance.certificate) f;
    founded := append_governance('genesis', jsonb_build_object(
        'alliance', found_alliance.alliance, 'member', found_alliance.node, 'kind', 'data_center',
        -- and nothing that stands beside or between them
        'certificate', certificate_pem(convert_to(found_alliance.certificate, 'UTF8')),
        'trust_anchors', certificate_pem(convert_to(found_alliance.trust_anchors, 'UTF8')),
        'pseudonym_check', pseudonym_check()));
    PERFORM publish_own_chain();
    RETURN founded;
END
$$;
COMMENT ON FUNCTION medchain.found_alliance(text, text, text, text) IS
    'make this database the data centre of a new alliance; certificate and trust anchors in PEM; '
    'medchain.signing_key must be the certificate''s private key; returns the id of the genesis '
    'entry';

CREATE FUNCTION medchain.configure_ledger(member text, public_key text DEFAULT NULL) RETURNS uuid
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
        SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    local local_node;
    m medchain.member;
    key text;
BEGIN
    PERFORM await_own_part();
    local := require_node('{end_node}', 'configure_ledger()');
    PERFORM require_capability('configure', 'configuring ledgers');
    PERFORM await_members(ARRAY[configure_ledger.member]);
    SELECT * INTO m FROM medchain.member x WHERE x.name = configure_ledger.member;
    IF NOT FOUND THEN
        RAISE undefined_object USING
            MESSAGE = format('there is no member "%s"', shown(configure_ledger.member)),
            HINT = 'The data centre admits members. Whether its chain is here is in '
                'medchain.peers and medchain.chains.';
    END IF;
    IF m.ledger_key IS NOT NULL THEN
        RAISE duplicate_object USING
            MESSAGE = format('the ledger of "%s" is configured already', m.name),
            DETAIL = format('It was configured by "%s".', m.configured_by);
    END IF;
    SELECT f.public_key INTO key
        FROM key_facts(coalesce(configure_ledger.public_key, m.certificate)) f;
    IF EXISTS (SELECT FROM ledger_key k WHERE k.public_key = key) THEN
        RAISE duplicate_object USING
            MESSAGE = 'this public key is that of another ledger',
            DETAIL = 'Every member''s ledger has its own, unique key.',
            HINT = format('It is that of "%s". The member makes a key of its own, and the data '
                'centre admits it with the certificate of that one.', (SELECT k.member
                    FROM ledger_key k WHERE k.public_key = key LIMIT 1));
    END IF;
    RETURN append_governance('configure', jsonb_build_object('member', m.name, 'public_key', key));
END
$$;
COMMENT ON FUNCTION medchain.configure_ledger(text, text) IS
    'end node: register the unique public key (PEM; by default the certificate''s) that a '
    'member''s ledger is signed with; peers accept its chain from then on';
