/*
 * standing.sql: what a member may say at a point of its own chain.
 *
 * Authority is judged by position first and by time second.  A chain has one
 * order, which its author cannot change once it is signed and sent, while the
 * times in it are his own word.  So each event that changes what a member may do
 * is tied to an entry or a block of that member's chain: the countersignature of
 * a contract and a new key by where they stand on it; what the data centre decides
 * by the last block of it that the data centre had verified by then, which its entry names.
 * Whoever has the entries comes to the same result, in whatever order they came.
 *
 * About names without schema: see authority.sql.
 */

-- The certificate with which a member can present itself at that time, whichever contract or change
-- of key it is from.
CREATE FUNCTION medchain.certified_at(p_member text, p_at timestamptz) RETURNS boolean
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN EXISTS (SELECT FROM member_certificate c WHERE c.member = p_member AND c.valid @> p_at);
END
$$;
COMMENT ON FUNCTION medchain.certified_at(text, timestamptz) IS
    'internal: has the member a certificate that is valid at that time?';

-- May a peer take this block as sealed by that member?  Not without a certificate for that time,
-- nor once a revocation list has stopped the chain before it; then it waits, as what allows it may
-- not have arrived.
CREATE FUNCTION medchain.may_seal(p_member text, p_first bigint, p_sealed timestamptz)
    RETURNS boolean
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (NOT EXISTS (SELECT FROM member_certificate c WHERE c.member = p_member)
            OR EXISTS (SELECT FROM member_certificate c WHERE c.member = p_member
                AND c.period @> p_sealed))
        AND NOT EXISTS (SELECT FROM exclusion x JOIN claim c ON c.seq = x.cause AND c.kind = 'crl'
            AND c.effective
                        WHERE x.member = p_member AND x.to_seq IS NULL AND x.from_seq <= p_first);
END
$$;
COMMENT ON FUNCTION medchain.may_seal(text, bigint, timestamptz) IS
    'internal: may this member have sealed a block then that begins with that entry?';

-- A member that takes part now, with a contract and a certificate for this time, and whose contract
-- allows that.
CREATE FUNCTION medchain.member_may(p_member text, p_capability text, p_at timestamptz)
    RETURNS boolean
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN EXISTS (SELECT FROM member m WHERE m.name = p_member AND m.takes_part
                   AND m.valid @> p_at AND (p_capability IS NULL
                       OR p_capability = ANY (m.capabilities)));
END
$$;
COMMENT ON FUNCTION medchain.member_may(text, text, timestamptz) IS
    'internal: does this member take part, by the newest state, with this capability at that time?';

-- The CA vouches for names: a certificate is a member's if it is made out to the name in one of its
-- contracts (of the data centre, in genesis); up to an entry of the data centre's chain, if that is
-- given.
CREATE FUNCTION medchain.certificate_is_of(p_certificate text, p_member text, p_seq bigint)
    RETURNS boolean
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN EXISTS (SELECT FROM medchain.certificate_facts(p_certificate) f, claim c
        CROSS JOIN LATERAL medchain.certificate_facts(c.body ->> 'certificate') g
                   WHERE c.kind IN ('genesis', 'contract') AND c.effective AND c.about = p_member
                       AND c.seq < coalesce(p_seq, c.seq + 1)
                   AND f.subject = g.subject);
END
$$;
COMMENT ON FUNCTION medchain.certificate_is_of(text, text, bigint) IS
    'internal: is a certificate made out to the name in one of that member''s contracts?';

CREATE FUNCTION medchain.exclusion_reason(p_member text, p_seq bigint, p_time timestamptz)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT x.reason FROM exclusion x WHERE x.member = p_member AND p_seq >= x.from_seq
            AND (x.to_seq IS NULL OR p_seq < x.to_seq OR x.during @> p_time)
            ORDER BY x.cause LIMIT 1);
END
$$;
COMMENT ON FUNCTION medchain.exclusion_reason(text, bigint, timestamptz) IS
    'internal: why an entry of that chain has no effect whatever it says';

-- May the author of this entry use that capability in it?  Null if so; p_denied: the words for a
-- contract without it. Without a capability: is his contract in force there?
CREATE FUNCTION medchain.standing_reason(p_origin text, p_seq bigint, p_time timestamptz,
    p_sealed timestamptz,
                                         p_capability text, p_denied text) RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    k record;
    c record;
BEGIN
    IF p_origin = (SELECT n.data_center FROM medchain.local_node n) THEN
        IF p_capability IS NOT NULL
            AND NOT p_capability = ANY (medchain.default_capabilities('data_center')) THEN
            RETURN p_denied;
        ELSIF NOT medchain.certified_at(p_origin, p_time) THEN
            RETURN 'the data centre''s certificate was not valid then';
        END IF;
        RETURN NULL;
    END IF;
    SELECT * INTO k FROM contract x WHERE x.member = p_origin AND x.accepted_seq < p_seq
        ORDER BY x.offered_seq DESC LIMIT 1;
    IF NOT FOUND OR (p_capability IS NOT NULL AND NOT p_capability = ANY (k.capabilities))
        OR NOT EXISTS (SELECT FROM ledger_key l WHERE l.member = p_origin) THEN
        RETURN p_denied;
    ELSIF k.ended_seq <= p_seq THEN
        RETURN 'the author''s contract was ended';
    ELSIF NOT k.valid @> p_time OR NOT k.valid @> p_sealed THEN
        RETURN 'the author''s contract was not valid then';
    END IF;
    SELECT * INTO c FROM member_certificate x WHERE x.member = p_origin AND x.from_seq <= p_seq
        ORDER BY x.from_seq DESC, x.cause_seq DESC LIMIT 1;
    IF c.revoked <= p_time OR c.revoked <= p_sealed THEN
        RETURN 'the author''s certificate was revoked';
    ELSIF NOT EXISTS (SELECT FROM member_certificate x WHERE x.member = p_origin
        AND x.from_seq <= p_seq AND x.valid @> p_time)
       OR NOT EXISTS (SELECT FROM member_certificate x WHERE x.member = p_origin
           AND x.from_seq <= p_seq AND x.valid @> p_sealed) THEN
        RETURN 'the author''s certificate was not valid then';
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION medchain.standing_reason(text, bigint, timestamptz, timestamptz, text, text) IS
    'internal: why the author of an entry had not that capability there; null if it had';

-- The envelope an entry carries, against each key that its author's ledger has had up to there.
CREATE FUNCTION medchain.author_signed_reason(p_origin text, p_seq bigint, p_height bigint,
    p_type text) RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    k record;
    opened record;
    envelope jsonb := medchain.claim_envelope(p_origin, p_seq);
BEGIN
    FOR k IN SELECT x.public_key FROM ledger_key x WHERE x.member = p_origin
        AND x.from_height <= p_height ORDER BY x.from_height DESC LOOP
        SELECT * INTO opened FROM medchain.open_envelope(envelope, k.public_key, p_type);
        IF opened.reason IS NULL THEN
            RETURN NULL;
        END IF;
    END LOOP;
    RETURN coalesce(opened.reason, 'the author''s ledger is not configured');
END
$$;
COMMENT ON FUNCTION medchain.author_signed_reason(text, bigint, bigint, text) IS
    'internal: why the envelope in an entry does not carry its author''s signature; null if it '
    'does';

-- A point of a member's chain as the data centre names it: {"height", "hash", "size"}; height -1:
-- before the first block.
CREATE FUNCTION medchain.point_valid(p_point jsonb) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN coalesce(pg_catalog.jsonb_typeof($1) = 'object'
        AND $1 ->> 'height' ~ '^(-1|[0-9]{1,18})$'
        AND $1 ->> 'size' ~ '^[0-9]{1,18}$'
           AND CASE WHEN $1 ->> 'height' = '-1' THEN $1 ->> 'size' = '0' AND NOT $1 ? 'hash'
               ELSE $1 ->> 'hash' ~ '^[0-9a-f]{64}$' END, false);
COMMENT ON FUNCTION medchain.point_valid(jsonb) IS 'internal: is that a point of a chain?';

-- What only the data centre does, about a member.
CREATE FUNCTION medchain.governor_reason(p_origin text, p_seq bigint, p_about text,
    p_time timestamptz, p_what text) RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    IF p_origin IS DISTINCT FROM (SELECT n.data_center FROM medchain.local_node n) THEN
        RETURN 'only the data centre ' || p_what;
    ELSIF NOT medchain.certified_at(p_origin, p_time) THEN
        RETURN 'the data centre''s certificate was not valid then';
    ELSIF p_about IS NULL THEN
        RETURN NULL;
    ELSIF p_about = p_origin THEN
        RETURN 'the data centre is a member by genesis';
    ELSIF NOT EXISTS (SELECT FROM claim c WHERE c.about = p_about AND c.kind = 'contract'
        AND c.effective AND c.origin = p_origin AND c.seq < p_seq) THEN
        RETURN 'there is no such member';
    ELSIF EXISTS (SELECT FROM claim c WHERE c.about = p_about AND c.kind = 'expel' AND c.effective
        AND c.seq < p_seq) THEN
        RETURN 'the member was expelled before';
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION medchain.governor_reason(text, bigint, text, timestamptz, text) IS
    'internal: why this is not for the author to say';

-- suspend, reinstate, expel.
CREATE FUNCTION medchain.discipline_reason(p_origin text, p_seq bigint, p_kind text, p_about text,
    p_body jsonb, p_time timestamptz) RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    reason text := medchain.governor_reason(p_origin, p_seq, p_about, p_time, p_kind
        || 's members');
    previous record;
BEGIN
    IF reason IS NOT NULL THEN
        RETURN reason;
    ELSIF NOT medchain.point_valid(p_body -> 'last') THEN
        RETURN 'it names no block of the member''s chain';
    END IF;
    SELECT c.kind, c.body INTO previous FROM claim c WHERE c.about = p_about
        AND c.kind IN ('suspend', 'reinstate') AND c.effective
        AND c.origin = p_origin AND c.seq < p_seq ORDER BY c.seq DESC LIMIT 1;
    IF p_kind = 'suspend' AND previous.kind = 'suspend' THEN
        RETURN 'the member is suspended already';
    ELSIF p_kind = 'reinstate' AND previous.kind IS DISTINCT FROM 'suspend' THEN
        RETURN 'the member is not suspended';
    ELSIF p_kind <> 'expel' AND (previous.body -> 'last' ->> 'size')::bigint >
        (p_body -> 'last' ->> 'size')::bigint THEN
        RETURN 'the entry before names a later block';
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION medchain.discipline_reason(text, bigint, text, text, jsonb, timestamptz) IS
    'internal: why a suspension, its end, or an expulsion has no effect';

CREATE FUNCTION medchain.ending_reason(p_origin text, p_seq bigint, p_body jsonb,
    p_time timestamptz) RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    reason text;
BEGIN
    IF p_origin IS DISTINCT FROM p_body ->> 'member' THEN
        reason := medchain.governor_reason(p_origin, p_seq, coalesce(p_body ->> 'member', ''),
            p_time, 'and the member itself end its contract');
        IF reason IS NOT NULL THEN
            RETURN reason;
        ELSIF NOT medchain.point_valid(p_body -> 'last') THEN
            RETURN 'it names no block of the member''s chain';
        END IF;
    END IF;
    IF NOT EXISTS (SELECT FROM claim c WHERE c.kind = 'contract' AND c.effective
        AND c.about = p_body ->> 'member' AND c.id::text = p_body ->> 'contract') THEN
        RETURN 'the contract is not known';
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION medchain.ending_reason(text, bigint, jsonb, timestamptz) IS
    'internal: why the end of a contract has no effect';

-- A change of key by the member: by what is on its own chain alone, as the blocks behind it have to
-- be judged by it at once, whatever else has arrived.  p_key: the key that this block was signed
-- with.
CREATE FUNCTION medchain.rekey_reason(p_origin text, p_seq bigint, p_body jsonb,
    p_time timestamptz, p_key text) RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    type CONSTANT text := 'application/vnd.medchain.rekey+json';
    envelope jsonb := medchain.claim_envelope(p_origin, p_seq);
    reason text;
BEGIN
    IF p_body ->> 'alliance' IS DISTINCT FROM (SELECT n.alliance FROM medchain.local_node n) THEN
        RETURN 'change of key is of another alliance';
    ELSIF p_key IS NOT NULL AND p_body ->> 'previous' IS DISTINCT FROM (SELECT f.key_fingerprint
        FROM medchain.key_facts(p_key) f) THEN
        RETURN 'change of key does not follow the key in force';
    END IF;
    SELECT o.reason INTO reason FROM medchain.open_envelope(envelope, p_key, type) o
        WHERE p_key IS NOT NULL;
    IF reason IS NOT NULL THEN
        RETURN 'old key: ' || reason;
    END IF;
    PERFORM medchain.key_facts(p_body ->> 'public_key');
    SELECT o.reason INTO reason
        FROM medchain.open_envelope(envelope, coalesce(p_body ->> 'public_key', ''), type) o;
    IF reason IS NOT NULL THEN
        RETURN 'new key: ' || reason;
    ELSIF p_body ->> 'certificate' IS NULL THEN
        RETURN 'certificate is not accepted: it is missing';
    END IF;
    reason := medchain.certificate_reason(p_body ->> 'certificate', medchain.genesis_anchors(),
        p_time);
    IF reason IS NOT NULL THEN
        RETURN 'certificate is not accepted: ' || reason;
    END IF;
    -- whose certificate it is has signed too: nobody takes that of another
    SELECT o.reason INTO reason FROM medchain.open_envelope(envelope, p_body ->> 'certificate',
        type) o;
    RETURN 'key of the certificate: ' || reason;
EXCEPTION WHEN data_exception OR feature_not_supported THEN
    RETURN SQLERRM;
END
$$;
COMMENT ON FUNCTION medchain.rekey_reason(text, bigint, jsonb, timestamptz, text) IS
    'internal: why a change of key has no effect';

-- After loss, by the data centre: the CA vouches for the new key, in a certificate with the name of
-- an earlier one.
CREATE FUNCTION medchain.lost_key_reason(p_origin text, p_seq bigint, p_height bigint,
    p_about text, p_body jsonb, p_time timestamptz) RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    facts record;
    reason text := coalesce(medchain.governor_reason(p_origin, p_seq, p_about, p_time,
        'and the member itself change its key'),
                            medchain.author_signed_reason(p_origin, p_seq, p_height,
                                'application/vnd.medchain.rekey+json'),
                            medchain.rekey_reason(p_origin, p_seq, p_body, p_time, NULL));
BEGIN
    IF reason IS NOT NULL THEN
        RETURN reason;
    ELSIF NOT medchain.point_valid(p_body -> 'last') THEN
        RETURN 'it names no block of the member''s chain';
    END IF;
    SELECT * INTO facts FROM medchain.certificate_facts(p_body ->> 'certificate');
    IF facts.public_key IS DISTINCT FROM (SELECT f.public_key
        FROM medchain.key_facts(p_body ->> 'public_key') f) THEN
        RETURN 'the new key is not the certificate''s';
    ELSIF NOT medchain.certificate_is_of(p_body ->> 'certificate', p_about, p_seq) THEN
        RETURN 'the certificate is for another name than the member''s contract';
    ELSIF EXISTS (SELECT FROM claim c WHERE c.kind = 'rekey' AND c.effective
        AND c.origin = p_origin AND c.about = p_about AND c.seq < p_seq
                  AND (c.body -> 'last' ->> 'height')::bigint >
                      (p_body -> 'last' ->> 'height')::bigint) THEN
        RETURN 'the entry before names a later block';
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION medchain.lost_key_reason(text, bigint, bigint, text, jsonb, timestamptz) IS
    'internal: why the data centre''s change of a member''s key has no effect';

-- Signed by a CA of the alliance: one of the anchors, or one that issued a certificate that the
-- data centre took before.
CREATE FUNCTION medchain.crl_reason(p_origin text, p_seq bigint, p_body jsonb, p_time timestamptz)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    reason text := medchain.governor_reason(p_origin, p_seq, NULL, p_time, 'adds revocation lists');
    point record;
BEGIN
    IF reason IS NOT NULL THEN
        RETURN reason;
    ELSIF p_body ->> 'crl' IS NULL OR pg_catalog.jsonb_typeof(p_body -> 'last') IS DISTINCT
        FROM 'object' THEN
        RETURN 'there is no revocation list in it';
    END IF;
    FOR point IN SELECT x.value FROM pg_catalog.jsonb_each(p_body -> 'last') x LOOP
        IF NOT medchain.point_valid(point.value) THEN
            RETURN 'it names no block of a member''s chain';
        END IF;
    END LOOP;
    PERFORM medchain.crl_facts(p_body ->> 'crl', medchain.crl_issuers(p_seq));
    RETURN NULL;
EXCEPTION WHEN data_exception OR feature_not_supported THEN
    RETURN 'revocation list is not accepted: ' || SQLERRM;
END
$$;
COMMENT ON FUNCTION medchain.crl_reason(text, bigint, jsonb, timestamptz) IS
    'internal: why a revocation list has no effect';

CREATE FUNCTION medchain.crl_issuers(p_seq bigint) RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    -- what comes first in a certificate's text is no CA; the same intermediates come with many
    RETURN medchain.genesis_anchors()
        || coalesce(E'\n' || (SELECT pg_catalog.string_agg(DISTINCT b.pem[1] COLLATE "C", E'\n')
            FROM claim c CROSS JOIN medchain.local_node n
        CROSS JOIN LATERAL pg_catalog.regexp_matches(c.body ->> 'certificate',
            '-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----', 'g') WITH ORDINALITY b (pem,
                i)
        WHERE c.origin = n.data_center AND c.kind IN ('genesis', 'contract', 'rekey')
            AND c.effective AND c.seq < p_seq AND b.i > 1), '');
END
$$;
COMMENT ON FUNCTION medchain.crl_issuers(bigint) IS
    'internal: certificates of the CAs whose revocation lists count: the trust anchors, and the '
    'intermediates that came with certificates';

-- When a certificate, or a CA on its path, was revoked by what is on the ledger; null: it was not.
CREATE FUNCTION medchain.certificate_revocation(p_certificate text, OUT revoked timestamptz,
    OUT reason text)
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    SELECT r.revoked, r.reason INTO revoked, reason
        FROM claim c CROSS JOIN LATERAL medchain.crl_revocation(c.body ->> 'crl', p_certificate,
            medchain.genesis_anchors()) r
        WHERE c.kind = 'crl' AND c.effective AND r.revoked IS NOT NULL ORDER BY r.revoked, c.seq
            LIMIT 1;
END
$$;
COMMENT ON FUNCTION medchain.certificate_revocation(text) IS
    'internal: when and why a certificate was revoked';
