/*
 * examinee_standing.sql: when an examinee's signature is needed, and when it counts.
 *
 * The data centre's policy says whether protocols need it; end nodes register and withdraw
 * examinees' keys.  All of it is judged by position first, as in standing.sql.
 *
 * About names without schema: see authority.sql.
 */

-- The alliance's policy for an entry of that chain: the newest that the data centre set before it
-- knew of the entry.
CREATE FUNCTION medchain.policy_at(p_name text, p_origin text, p_seq bigint) RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT c.body ->> 'value' FROM claim c WHERE c.kind = 'policy' AND c.effective
        AND c.about = p_name
            AND coalesce((c.body -> 'last' -> p_origin ->> 'size')::bigint, 0) <= p_seq
                ORDER BY c.seq DESC LIMIT 1);
END
$$;
COMMENT ON FUNCTION medchain.policy_at(text, text, bigint) IS
    'internal: the value of a policy that an entry is judged by';

CREATE FUNCTION medchain.policy_reason(p_origin text, p_seq bigint, p_body jsonb,
    p_time timestamptz) RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    reason text := medchain.governor_reason(p_origin, p_seq, NULL, p_time, 'sets policies');
    point record;
BEGIN
    IF reason IS NOT NULL THEN
        RETURN reason;
    ELSIF p_body ->> 'policy' IS DISTINCT FROM 'examinee_signature' OR p_body ->> 'value' IS NULL
        OR p_body ->> 'value' NOT IN ('required', 'optional') THEN
        RETURN 'there is no such policy or value';
    ELSIF pg_catalog.jsonb_typeof(p_body -> 'last') IS DISTINCT FROM 'object' THEN
        RETURN 'it names no blocks';
    END IF;
    FOR point IN SELECT x.value FROM pg_catalog.jsonb_each(p_body -> 'last') x LOOP
        IF NOT medchain.point_valid(point.value) THEN
            RETURN 'it names no block of a member''s chain';
        END IF;
    END LOOP;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION medchain.policy_reason(text, bigint, jsonb, timestamptz) IS
    'internal: why a policy has no effect';

-- A key of an examinee, or a newer one: which the one before has to have signed, unless the data
-- centre withdrew it.
CREATE FUNCTION medchain.examinee_key_reason(p_origin text, p_seq bigint, p_subject bytea,
    p_body jsonb, p_time timestamptz, p_sealed timestamptz) RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    type CONSTANT text := 'application/vnd.medchain.examinee+json';
    envelope jsonb := medchain.claim_envelope(p_origin, p_seq);
    older record;
    reason text := medchain.standing_reason(p_origin, p_seq, p_time, p_sealed, 'issue',
        'the author may not issue protocols');
BEGIN
    IF reason IS NOT NULL THEN
        RETURN reason;
    ELSIF p_body ->> 'alliance' IS DISTINCT FROM (SELECT n.alliance FROM medchain.local_node n)
        OR p_body ->> 'registrar' IS DISTINCT FROM p_origin THEN
        RETURN 'key is of another alliance or registrar';
    ELSIF p_subject IS NULL OR p_body ->> 'subject' IS DISTINCT
        FROM pg_catalog.encode(p_subject, 'hex') THEN
        RETURN 'key is of another subject';
    END IF;
    PERFORM medchain.key_facts(p_body ->> 'public_key');
    SELECT o.reason INTO reason
        FROM medchain.open_envelope(envelope, coalesce(p_body ->> 'public_key', ''), type) o;
    IF reason IS NOT NULL THEN
        RETURN 'new key: ' || reason;
    END IF;
    SELECT k.* INTO older FROM examinee_key k WHERE k.origin = p_origin AND k.subject = p_subject
        AND k.seq < p_seq ORDER BY k.seq DESC LIMIT 1;
    IF FOUND AND coalesce((older.withdrawn_at -> p_origin ->> 'size')::bigint,
        9223372036854775807) > p_seq THEN
        SELECT o.reason INTO reason FROM medchain.open_envelope(envelope, older.public_key, type) o;
        RETURN 'old key: ' || reason;
    END IF;
    RETURN NULL;
EXCEPTION WHEN data_exception OR feature_not_supported THEN
    RETURN SQLERRM;
END
$$;
COMMENT ON FUNCTION medchain.examinee_key_reason(text, bigint, bytea, jsonb, timestamptz,
    timestamptz) IS 'internal: why the registration of an examinee''s key has no effect';

CREATE FUNCTION medchain.withdrawal_reason(p_origin text, p_seq bigint, p_subject bytea,
    p_body jsonb, p_time timestamptz) RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    reason text := medchain.governor_reason(p_origin, p_seq, NULL, p_time,
        'withdraws keys of examinees');
    point record;
BEGIN
    IF reason IS NOT NULL THEN
        RETURN reason;
    ELSIF p_subject IS NULL OR pg_catalog.jsonb_typeof(p_body -> 'last') IS DISTINCT
        FROM 'object' THEN
        RETURN 'it names no subject, or no blocks';
    END IF;
    FOR point IN SELECT x.value FROM pg_catalog.jsonb_each(p_body -> 'last') x LOOP
        IF NOT medchain.point_valid(point.value) THEN
            RETURN 'it names no block of a member''s chain';
        END IF;
    END LOOP;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION medchain.withdrawal_reason(text, bigint, bytea, jsonb, timestamptz) IS
    'internal: why the withdrawal of an examinee''s keys has no effect';

-- A signature is consent once: what was revoked or amended since must not come back with it.  The
-- terms name the issuer, so that the entry which it was made for is on the same chain.
CREATE FUNCTION medchain.examinee_signed_before(p_origin text, p_seq bigint, p_subject bytea,
    p_body jsonb) RETURNS boolean
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN EXISTS (SELECT FROM claim c, examinee_key k
                   CROSS JOIN LATERAL medchain.open_envelope(medchain.claim_envelope(c.origin,
                       c.seq), k.public_key, 'application/vnd.medchain.protocol+json') o
                   WHERE c.kind IN ('protocol', 'amendment') AND c.origin = p_origin
                       AND c.subject = p_subject AND c.seq < p_seq AND c.body = p_body
                   AND k.subject = p_subject AND o.reason IS NULL);
END
$$;
COMMENT ON FUNCTION medchain.examinee_signed_before(text, bigint, bytea, jsonb) IS
    'internal: is there an earlier entry of these very terms with the examinee''s signature?';

-- Has an examinee signed who has keys?  Null: he has none.  A key that another end node registered
-- counts for earlier protocols too: their times are their author's word.
CREATE FUNCTION medchain.examinee_signed(p_origin text, p_seq bigint, p_subject bytea,
    p_envelope jsonb) RETURNS boolean
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    registrar record;
    signed boolean;
BEGIN
    FOR registrar IN SELECT k.origin, pg_catalog.array_agg(k.public_key ORDER BY k.seq DESC)
        AS keys FROM examinee_key k
                     WHERE k.subject = p_subject AND (k.origin <> p_origin OR k.seq < p_seq)
                     AND (k.withdrawn_at IS NULL
                         OR p_seq < coalesce((k.withdrawn_at -> p_origin ->> 'size')::bigint, 0))
                     GROUP BY k.origin LOOP
        -- on one's own chain the newest before it; of others, where no order says which was the
        -- newest, any
        signed := EXISTS (SELECT FROM pg_catalog.unnest(CASE WHEN registrar.origin = p_origin
            THEN registrar.keys[1:1] ELSE registrar.keys END) k(pem)
                          CROSS JOIN LATERAL medchain.open_envelope(p_envelope, k.pem,
                              'application/vnd.medchain.protocol+json') o WHERE o.reason IS NULL);
        EXIT WHEN NOT signed;
    END LOOP;
    RETURN signed;
END
$$;
COMMENT ON FUNCTION medchain.examinee_signed(text, bigint, bytea, jsonb) IS
    'internal: is the envelope of a protocol at that point of a chain signed with the examinee''s '
    'keys? null: there are none';

-- Where the policy says so: a protocol that gives somebody access needs the signature of an
-- examinee who has a key.
CREATE FUNCTION medchain.examinee_signed_reason(p_origin text, p_seq bigint, p_subject bytea,
    p_body jsonb) RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    signed boolean;
BEGIN
    IF p_body -> 'grants' = '[]' OR medchain.policy_at('examinee_signature', p_origin, p_seq)
        IS DISTINCT FROM 'required' THEN
        RETURN NULL;
    END IF;
    signed := medchain.examinee_signed(p_origin, p_seq, p_subject,
        medchain.claim_envelope(p_origin, p_seq));
    RETURN CASE WHEN NOT signed THEN 'the examinee has a key and has not signed'
                WHEN signed AND medchain.examinee_signed_before(p_origin, p_seq, p_subject, p_body)
                    THEN 'the examinee''s signature is that of an earlier entry' END;
END
$$;
COMMENT ON FUNCTION medchain.examinee_signed_reason(text, bigint, bytea, jsonb) IS
    'internal: why a protocol lacks the examinee''s signature; null if it needs none or has it';
