/*
 * pure.sql: functions that need no alliance, no worker and no table.
 */

CREATE FUNCTION medchain_internal.shown(value text) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'medchain_shown';
COMMENT ON FUNCTION medchain_internal.shown(text) IS
    'internal: what somebody gave, as an error shows it: of more than 128 bytes the beginning';

CREATE FUNCTION medchain.leaf_hash(data bytea) RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'medchain_leaf_hash';
COMMENT ON FUNCTION medchain.leaf_hash(bytea) IS
    'RFC 6962 leaf hash of an entry: SHA-256(0x00 || data)';

CREATE FUNCTION medchain.merkle_root(leaves bytea[]) RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'medchain_merkle_root';
COMMENT ON FUNCTION medchain.merkle_root(bytea[]) IS
    'RFC 6962 Merkle tree hash over entries (their data, not their hashes); of none, SHA-256 of '
    'nothing';

CREATE FUNCTION medchain.verify_inclusion(leaf_hash bytea, index bigint, tree_size bigint,
    proof bytea[], root bytea) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'medchain_verify_inclusion';
COMMENT ON FUNCTION medchain.verify_inclusion(bytea, bigint, bigint, bytea[], bytea) IS
    'does the proof show that the leaf is at this index (from 0) of the tree? RFC 9162, 2.1.3.2; '
    'error if a hash is not 32 bytes long';

CREATE FUNCTION medchain.verify_consistency(size1 bigint, size2 bigint, proof bytea[], root1 bytea,
    root2 bytea) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'medchain_verify_consistency';
COMMENT ON FUNCTION medchain.verify_consistency(bigint, bigint, bytea[], bytea, bytea) IS
    'does the proof show that the second tree continues the first? RFC 9162, 2.1.4.2; error if a '
    'hash is not 32 bytes long';

CREATE FUNCTION medchain.verify_signature(message bytea, signature bytea, public_key text,
    algorithm text DEFAULT NULL) RETURNS boolean
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'medchain_verify_signature';
COMMENT ON FUNCTION medchain.verify_signature(bytea, bytea, text, text) IS
    'signature by a public key (PEM: SubjectPublicKeyInfo or certificate); algorithm by key, or '
    'ed25519, ecdsa-p256-sha256 (DER), sm2-sm3, rsa-pkcs1-sha256, rsa-pss-sha256; a malformed '
    'signature is false, a malformed key an error';

CREATE FUNCTION medchain.verify_note(note text, public_key text) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'medchain_verify_note';
COMMENT ON FUNCTION medchain.verify_note(text, text) IS
    'does this C2SP signed note carry a valid signature by the key? Error if it is not a signed '
    'note';

CREATE FUNCTION medchain.verify_certificate(certificate text, trust_anchors text, crls text
    DEFAULT NULL, at timestamptz DEFAULT now(),
                                            crl_policy text DEFAULT NULL, OUT ok boolean,
                                                OUT reason text)
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'medchain_verify_certificate';
COMMENT ON FUNCTION medchain.verify_certificate(text, text, text, timestamptz, text) IS
    'X.509 path (RFC 5280) from a certificate, intermediates behind it, to one of the trust '
    'anchors, and not revoked by a list of its issuer, all PEM; reason: what is wrong with which '
    'certificate of the path, in words that do not depend on OpenSSL''s version. '
    'crl_policy: what a revocation list says outside of its own period: strict (nothing, so its '
    'issuer''s certificates are not accepted), last_known (its revocations); null: '
    'medchain.crl_policy';

-- Files as they are: pg_read_binary_file(), or what a driver sends.
CREATE FUNCTION medchain.verify_certificate(certificate bytea, trust_anchors bytea, crls bytea
    DEFAULT NULL, at timestamptz DEFAULT now(),
                                            crl_policy text DEFAULT NULL, OUT ok boolean,
                                                OUT reason text)
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'medchain_verify_certificate';
COMMENT ON FUNCTION medchain.verify_certificate(bytea, bytea, bytea, timestamptz, text) IS
    'the same for certificates and revocation lists each in DER, or in PEM';

CREATE FUNCTION medchain.certificate_path(certificate text, trust_anchors text, at timestamptz
    DEFAULT now(), OUT "position" int, OUT subject text,
                                          OUT issuer text, OUT serial text,
                                              OUT not_before timestamptz, OUT not_after timestamptz,
                                          OUT fingerprint bytea, OUT is_anchor boolean)
                                              RETURNS SETOF record
    LANGUAGE c STABLE STRICT PARALLEL SAFE ROWS 3 AS 'MODULE_PATHNAME', 'medchain_certificate_path';
-- Where in the path it is says whose certificate is at fault.
CREATE FUNCTION medchain_internal.certificate_hint(reason text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
        SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT CASE WHEN $1 ~ '[(]depth [1-9]' THEN
        'It is the CA''s certificate: it must be valid now, and say that it is a CA''s: '
        'basicConstraints CA:TRUE and keyUsage keyCertSign,'
        || ' as openssl req -x509 -addext "keyUsage=critical,keyCertSign,cRLSign" makes it.'
    ELSE
        'It must lead to the alliance''s trust anchors, be valid now, and be for digital '
        'signatures (keyUsage, if it has one).'
        || ' The CA''s above it must say basicConstraints CA:TRUE and keyUsage keyCertSign.' END
$$;
COMMENT ON FUNCTION medchain_internal.certificate_hint(text)
    IS 'internal: what to do about a reason of '
    'verify_certificate()';
COMMENT ON FUNCTION medchain.certificate_path(text, text, timestamptz) IS
    'the certificates from this one (position 0) to its trust anchor, or as far as they are known, '
    'whether or not verify_certificate() accepts them; serial in hex, fingerprint is SHA-256 of '
    'the DER certificate';

CREATE FUNCTION medchain.certificate_pem(certificate bytea) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'medchain_certificate_pem';
COMMENT ON FUNCTION medchain.certificate_pem(bytea) IS
    'a certificate in DER, or several in PEM, as PEM and nothing else: what admit() and others '
    'take';

CREATE FUNCTION medchain.crl_pem(crl bytea) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'medchain_crl_pem';
COMMENT ON FUNCTION medchain.crl_pem(bytea) IS
    'the same for a revocation list in DER, or several in PEM';

-- Internal: facts of certificates, keys, names and envelopes.

CREATE FUNCTION medchain.certificate_facts(certificate text, OUT subject text, OUT issuer text,
    OUT not_before timestamptz,
                                           OUT not_after timestamptz, OUT fingerprint bytea,
                                               OUT public_key text, OUT key_fingerprint text)
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'medchain_certificate_facts';
COMMENT ON FUNCTION medchain.certificate_facts(text) IS
    'what is in the first certificate of a PEM text; fingerprint is SHA-256 of the DER '
    'certificate, key_fingerprint hex SHA-256 of its SubjectPublicKeyInfo';

CREATE FUNCTION medchain.key_facts(key text, OUT public_key text, OUT key_fingerprint text,
    OUT algorithm text)
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'medchain_key_facts';
COMMENT ON FUNCTION medchain.key_facts(text) IS
    'a public key as PEM, hex SHA-256 of its SubjectPublicKeyInfo, and the signature algorithm it '
    'is for';

CREATE FUNCTION medchain.name_valid(name text, alliance boolean DEFAULT false) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'medchain_name_valid';
COMMENT ON FUNCTION medchain.name_valid(text, boolean) IS
    'may a member (or an alliance) be called so: at most 63 (180) bytes, no white space, control '
    'character, "+", and for a member no "/"';

CREATE FUNCTION medchain_internal.open_envelope(envelope jsonb, public_key text, payload_type text,
    OUT payload text, OUT reason text)
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'medchain_open_envelope';
COMMENT ON FUNCTION medchain_internal.open_envelope(jsonb, text, text) IS
    'internal: payload of a DSSE envelope if a signature of it verifies under the key (null: not '
    'checked), else the reason; never an error for bad input';

CREATE FUNCTION medchain_internal.envelope_bytes(payload_type text, payload text) RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'medchain_envelope_bytes';
COMMENT ON FUNCTION medchain_internal.envelope_bytes(text, text) IS
    'internal: DSSE v1 pre-authentication encoding: the bytes that a signature is over';
