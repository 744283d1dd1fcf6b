/*
 * crl.sql: what a certificate revocation list says.
 *
 * Only what does not depend on when one asks: whose list, which certificates,
 * since when.  The state is folded from these, so that every node rejects alike.
 */

CREATE FUNCTION medchain.crl_facts(crl text, issuers text DEFAULT NULL, OUT issuer text,
    OUT this_update timestamptz, OUT next_update timestamptz,
                                   OUT certificates int)
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'medchain_crl_facts';
COMMENT ON FUNCTION medchain.crl_facts(text, text) IS
    'what is in a revocation list (PEM); with issuers (certificates, PEM): error unless one of '
    'them, a CA that may sign lists, has signed it';

CREATE FUNCTION medchain.crl_revocation(crl text, certificate text, trust_anchors text,
    OUT revoked timestamptz, OUT reason text)
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'medchain_crl_revocation';
COMMENT ON FUNCTION medchain.crl_revocation(text, text, text) IS
    'since when a certificate, or an intermediate CA that came with it, is revoked by a list that '
    'its issuer has signed; null if it is not; reason as RFC 5280, 5.3.1 names it';
