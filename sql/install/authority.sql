/*
 * authority.sql: who may say what.  authority_reason() judges one claim by the
 * others; null means it has effect.
 *
 * These functions run inside the fold, over what other hospitals sent: nothing
 * in here may raise an error because of the data.  They have no search_path of
 * their own: the fold's is "pg_catalog, medchain, pg_temp", and verify() runs
 * them over temporary copies of the state tables by putting pg_temp first.  So tables
 * of the fold (those that fold_tables() names, and entry) stand without schema
 * here and everything else with it.
 */

CREATE FUNCTION medchain.fold_kinds() RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ARRAY['genesis', 'contract', 'acceptance', 'configure', 'protocol', 'amendment',
        'revocation', 'note', 'bind_role',
                      'suspend', 'reinstate', 'expel', 'ending', 'rekey', 'crl', 'policy',
                          'examinee_key', 'examinee_withdrawal'];
COMMENT ON FUNCTION medchain.fold_kinds() IS 'kinds of entries that the state depends on';

-- They are few among many: to fold anew must not cost a look at each entry.  A constant, as whoever
-- reads entries would need the right to call the function.
DO $$
BEGIN
    EXECUTE pg_catalog.format('CREATE INDEX entry_governance ON medchain.entry (origin, seq) WHERE '
        'kind = ANY (%L::text[])', medchain.fold_kinds());
END
$$;

CREATE FUNCTION medchain.default_capabilities(kind medchain.member_kind) RETURNS text[]
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN CASE kind::text
        WHEN 'data_center' THEN ARRAY['admit', 'query', 'update', 'audit']
        WHEN 'end_node' THEN ARRAY['configure', 'issue']
        ELSE ARRAY['query', 'update'] END;
COMMENT ON FUNCTION medchain.default_capabilities(medchain.member_kind) IS
    'what a contract allows a member of this kind when it says nothing';

-- Times on the ledger have one spelling, so that no node's settings decide what they mean.
CREATE FUNCTION medchain.ledger_time(value timestamptz) RETURNS text
    LANGUAGE sql STABLE STRICT PARALLEL SAFE
    RETURN pg_catalog.to_char(value AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');
COMMENT ON FUNCTION medchain.ledger_time(timestamptz) IS
    'internal: a time as RFC 3339, UTC, microseconds';

-- Half-open, as {"from": time, "to": time}; a bound that is missing or null is open.
CREATE FUNCTION medchain.ledger_period(period tstzrange) RETURNS jsonb
    LANGUAGE sql STABLE STRICT PARALLEL SAFE
    RETURN pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(
        'from', medchain.ledger_time(nullif(pg_catalog.lower(period), '-infinity') + CASE
            WHEN pg_catalog.lower_inc(period) THEN interval '0' ELSE interval '1 microsecond' END),
        'to', medchain.ledger_time(nullif(pg_catalog.upper(period), 'infinity') + CASE
            WHEN pg_catalog.upper_inc(period) THEN interval '1 microsecond'
            ELSE interval '0' END)));
COMMENT ON FUNCTION medchain.ledger_period(tstzrange) IS
    'internal: a period as the ledger spells it';

CREATE FUNCTION medchain.period_of(value jsonb) RETURNS tstzrange
    LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    form CONSTANT text := '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[.][0-9]{6}Z$';
BEGIN
    IF value IS NULL OR pg_catalog.jsonb_typeof(value) = 'null' THEN
        RETURN '(,)';
    END IF;
    IF pg_catalog.jsonb_typeof(value) <> 'object' OR value - 'from' - 'to' <> '{}'
       OR coalesce(value ->> 'from', '0001-01-01T00:00:00.000000Z') !~ form
       OR coalesce(value ->> 'to', '0001-01-01T00:00:00.000000Z') !~ form THEN
        RETURN NULL;
    END IF;
    RETURN pg_catalog.tstzrange((value ->> 'from')::timestamptz, (value ->> 'to')::timestamptz);
EXCEPTION WHEN data_exception THEN
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION medchain.period_of(jsonb) IS
    'internal: the period that the ledger spells so; null if it is none';

CREATE FUNCTION medchain.ledger_key_of(p_member text) RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT m.ledger_key FROM member m WHERE m.name = p_member);
END
$$;
COMMENT ON FUNCTION medchain.ledger_key_of(text) IS 'internal: the newest key of a ledger, PEM';

CREATE FUNCTION medchain.claim_envelope(p_origin text, p_seq bigint) RETURNS jsonb
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT medchain.object_or_null(medchain.entry_body(e.payload), false) FROM entry e
        WHERE e.origin = p_origin AND e.seq = p_seq);
END
$$;
COMMENT ON FUNCTION medchain.claim_envelope(text, bigint) IS
    'internal: body of the entry a claim was made from';

CREATE FUNCTION medchain.genesis_anchors() RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT c.body ->> 'trust_anchors' FROM claim c, medchain.local_node n
            WHERE c.origin = n.data_center AND c.seq = 0 AND c.kind = 'genesis');
END
$$;
COMMENT ON FUNCTION medchain.genesis_anchors() IS
    'internal: trust anchors of the alliance, PEM, from genesis';

-- A certificate under the alliance's anchors, as OpenSSL says; malformed ones are a reason as well,
-- and so is a key of a kind that nothing is signed with here.
CREATE FUNCTION medchain.certificate_reason(p_certificate text, p_anchors text, p_at timestamptz)
    RETURNS text
    LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    PERFORM medchain.certificate_facts(p_certificate);
    RETURN (SELECT v.reason FROM medchain.verify_certificate(p_certificate, p_anchors, NULL,
        p_at) v);
EXCEPTION WHEN data_exception OR feature_not_supported THEN
    RETURN SQLERRM;
END
$$;
COMMENT ON FUNCTION medchain.certificate_reason(text, text, timestamptz) IS
    'internal: why a certificate is not accepted; null if it is';

CREATE FUNCTION medchain.genesis_reason(p_origin text, p_seq bigint, p_body jsonb,
    p_time timestamptz) RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    local record;
    reason text;
BEGIN
    SELECT * INTO local FROM medchain.local_node;
    IF p_origin IS DISTINCT FROM local.data_center OR p_seq <> 0 THEN
        RETURN 'only the first entry of the data centre''s chain founds an alliance';
    END IF;
    IF p_body ->> 'alliance' IS DISTINCT FROM local.alliance OR p_body ->> 'member' IS DISTINCT
        FROM p_origin THEN
        RETURN 'genesis is of another alliance or member';
    END IF;
    reason := medchain.certificate_reason(p_body ->> 'certificate', p_body ->> 'trust_anchors',
        p_time);
    RETURN 'certificate is not accepted: ' || reason;
END
$$;
COMMENT ON FUNCTION medchain.genesis_reason(text, bigint, jsonb, timestamptz) IS
    'internal: why a genesis entry has no effect';

-- What is wrong with the terms of a contract; null: nothing.
CREATE FUNCTION medchain.contract_terms_reason(p_terms jsonb, p_at timestamptz) RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    period tstzrange;
    reason text;
BEGIN
    IF pg_catalog.jsonb_typeof(p_terms) IS DISTINCT FROM 'object' THEN
        RETURN 'contract is not a JSON object';
    END IF;
    IF p_terms ->> 'alliance' IS DISTINCT FROM (SELECT n.alliance FROM medchain.local_node n) THEN
        RETURN 'contract is of another alliance';
    END IF;
    IF medchain.name_valid(p_terms ->> 'member') IS NOT TRUE THEN
        RETURN 'contract has no valid member name';
    END IF;
    IF (p_terms ->> 'kind') IS NULL OR p_terms ->> 'kind' NOT IN ('end_node', 'chain_node') THEN
        RETURN 'a contract is for an end_node or a chain_node';
    END IF;
    IF pg_catalog.jsonb_typeof(p_terms -> 'capabilities') IS DISTINCT FROM 'array'
       OR NOT p_terms -> 'capabilities' <@ '["admit", "configure", "issue", "query", "update", '
           '"audit"]' THEN
        RETURN 'capabilities are admit, configure, issue, query, update and audit';
    END IF;
    period := medchain.period_of(p_terms -> 'valid');
    IF period IS NULL OR pg_catalog.isempty(period) THEN
        RETURN 'contract has no valid period';
    END IF;
    reason := medchain.certificate_reason(p_terms ->> 'certificate', medchain.genesis_anchors(),
        p_at);
    IF p_terms ->> 'certificate' IS NULL THEN
        reason := 'it is missing';
    END IF;
    RETURN 'certificate is not accepted: ' || reason;
END
$$;
COMMENT ON FUNCTION medchain.contract_terms_reason(jsonb, timestamptz) IS
    'internal: what is wrong with the terms of a contract';

CREATE FUNCTION medchain.contract_reason(p_origin text, p_seq bigint, p_height bigint,
    p_body jsonb, p_time timestamptz) RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    IF p_origin IS DISTINCT FROM (SELECT n.data_center FROM medchain.local_node n) THEN
        RETURN 'only the data centre admits members';
    END IF;
    IF p_body ->> 'member' = p_origin THEN
        RETURN 'the data centre is a member by genesis';
    END IF;
    IF NOT medchain.certified_at(p_origin, p_time) THEN
        RETURN 'the data centre''s certificate was not valid then';
    END IF;
    RETURN coalesce(medchain.author_signed_reason(p_origin, p_seq, p_height,
        'application/vnd.medchain.contract+json'),
                    medchain.contract_terms_reason(p_body, p_time),
                    (SELECT 'the member was expelled before' FROM claim c WHERE c.kind = 'expel'
                        AND c.effective AND c.origin = p_origin
                     AND c.about = p_body ->> 'member' AND c.seq < p_seq LIMIT 1));
END
$$;
COMMENT ON FUNCTION medchain.contract_reason(text, bigint, bigint, jsonb, timestamptz) IS
    'internal: why a contract entry has no effect';

-- Countersigned with the certificate that the contract names, or with a key that the member's
-- ledger has had by then.
CREATE FUNCTION medchain.acceptance_reason(p_origin text, p_height bigint, p_body jsonb)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    offer record;
    opened record;
    offered record;
    key text;
BEGIN
    SELECT c.origin, c.seq, c.body INTO offer FROM claim c
        WHERE c.id::text = p_body ->> 'contract' AND c.kind = 'contract' AND c.effective;
    IF NOT FOUND THEN
        RETURN 'the contract is not known';
    END IF;
    IF offer.body ->> 'member' IS DISTINCT FROM p_origin THEN
        RETURN 'the contract is with another member';
    END IF;
    FOR key IN SELECT offer.body ->> 'certificate' UNION ALL
               (SELECT k.public_key FROM ledger_key k WHERE k.member = p_origin
                   AND k.from_height <= p_height ORDER BY k.from_height DESC) LOOP
        SELECT * INTO opened FROM medchain.open_envelope(p_body -> 'envelope', key,
            'application/vnd.medchain.contract+json');
        EXIT WHEN opened.reason IS NULL;
    END LOOP;
    IF opened.reason IS NOT NULL THEN
        RETURN opened.reason;
    END IF;
    SELECT * INTO offered FROM medchain.open_envelope(medchain.claim_envelope(offer.origin,
        offer.seq), NULL,
                                                      'application/vnd.medchain.contract+json');
    IF opened.payload IS DISTINCT FROM offered.payload THEN
        RETURN 'what was countersigned is not the contract';
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION medchain.acceptance_reason(text, bigint, jsonb) IS
    'internal: why a countersignature has no effect';

-- Without the rule that the first one counts, which is fold_settle_members()'s.
CREATE FUNCTION medchain.configure_reason(p_origin text, p_seq bigint, p_body jsonb,
    p_time timestamptz, p_sealed timestamptz) RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    reason text;
BEGIN
    IF NOT EXISTS (SELECT FROM member m WHERE m.name = p_origin AND m.kind = 'end_node') THEN
        RETURN 'only an end node configures ledgers';
    END IF;
    reason := medchain.standing_reason(p_origin, p_seq, p_time, p_sealed, 'configure',
        'only an end node configures ledgers');
    IF reason IS NOT NULL THEN
        RETURN reason;
    END IF;
    IF NOT EXISTS (SELECT FROM member m WHERE m.name = p_body ->> 'member') THEN
        RETURN 'there is no such member';
    END IF;
    PERFORM medchain.key_facts(p_body ->> 'public_key');
    IF p_body ->> 'public_key' IS NULL THEN
        RETURN 'there is no public key in it';
    END IF;
    RETURN NULL;
EXCEPTION WHEN data_exception OR feature_not_supported THEN
    RETURN SQLERRM;
END
$$;
COMMENT ON FUNCTION medchain.configure_reason(text, bigint, jsonb, timestamptz, timestamptz) IS
    'internal: why the configuration of a ledger has no effect';

-- What a grantee, purpose, ... may look like on the ledger; null: fine.  Users' spelling is
-- normalised before, in protocol.sql.
CREATE FUNCTION medchain.protocol_terms_reason(p_terms jsonb) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    item jsonb;
    period tstzrange;
BEGIN
    IF pg_catalog.jsonb_typeof(p_terms -> 'text') IS DISTINCT FROM 'string' THEN
        RETURN 'protocol has no text';
    END IF;
    IF pg_catalog.jsonb_typeof(p_terms -> 'grants') IS DISTINCT FROM 'array'
       OR pg_catalog.jsonb_typeof(p_terms -> 'data_index') IS DISTINCT FROM 'array' THEN
        RETURN 'grants and data index must be arrays';
    END IF;
    period := medchain.period_of(p_terms -> 'valid');
    IF period IS NULL OR pg_catalog.isempty(period) THEN
        RETURN 'protocol has no valid period';
    END IF;
    FOR item IN SELECT pg_catalog.jsonb_array_elements(p_terms -> 'grants') LOOP
        period := medchain.period_of(item -> 'valid');
        IF pg_catalog.jsonb_typeof(item -> 'grantee') IS DISTINCT FROM 'string'
            OR medchain.name_valid(item ->> 'grantee') IS NOT TRUE
           OR pg_catalog.jsonb_typeof(item -> 'operations') IS DISTINCT FROM 'array'
           OR NOT item -> 'operations' <@ '["query", "update"]'
           OR period IS NULL OR pg_catalog.isempty(period)
           OR coalesce(pg_catalog.jsonb_typeof(item -> 'purpose'), 'string') <> 'string'
           OR coalesce(pg_catalog.jsonb_typeof(item -> 'records'), 'array') <> 'array' THEN
            RETURN 'malformed grant';
        END IF;
    END LOOP;
    FOR item IN SELECT pg_catalog.jsonb_array_elements(p_terms -> 'data_index') LOOP
        IF pg_catalog.jsonb_typeof(item -> 'holder') IS DISTINCT FROM 'string'
           OR pg_catalog.jsonb_typeof(item -> 'relation') IS DISTINCT FROM 'string' THEN
            RETURN 'malformed data index';
        END IF;
    END LOOP;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION medchain.protocol_terms_reason(jsonb) IS
    'internal: what is wrong with the terms of a protocol';

CREATE FUNCTION medchain.protocol_reason(p_origin text, p_seq bigint, p_height bigint, p_kind text,
    p_about text, p_subject bytea,
                                         p_body jsonb, p_time timestamptz, p_sealed timestamptz)
                                             RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    reason text := coalesce(medchain.standing_reason(p_origin, p_seq, p_time, p_sealed, 'issue',
        'the author may not issue protocols'),
                            medchain.author_signed_reason(p_origin, p_seq, p_height,
                                'application/vnd.medchain.protocol+json'));
BEGIN
    IF reason IS NOT NULL THEN
        RETURN reason;
    END IF;
    IF p_body ->> 'alliance' IS DISTINCT FROM (SELECT n.alliance FROM medchain.local_node n)
       OR p_body ->> 'issuer' IS DISTINCT FROM p_origin THEN
        RETURN 'protocol is of another alliance or issuer';
    END IF;
    IF p_subject IS NULL OR p_body ->> 'subject' IS DISTINCT
        FROM pg_catalog.encode(p_subject, 'hex') THEN
        RETURN 'protocol is about another subject';
    END IF;
    IF p_kind = 'protocol' THEN
        -- ids are the authors' choice: between two members, the earlier entry has it
        IF EXISTS (SELECT FROM claim c WHERE c.about = p_about AND c.kind = 'protocol'
            AND (c.origin, c.seq) <> (p_origin, p_seq)
                   AND (c.time, c.origin COLLATE "C", c.seq) < (p_time, p_origin COLLATE "C", p_seq)
                   AND medchain.exclusion_reason(c.origin, c.seq, c.time) IS NULL
                   AND medchain.standing_reason(c.origin, c.seq, c.time, c.sealed, 'issue', '')
                       IS NULL) THEN
            RETURN 'there is a protocol with this id already';
        END IF;
    ELSIF NOT EXISTS (SELECT FROM claim c WHERE c.about = p_about AND c.kind = 'protocol'
        AND c.effective
                      AND c.origin = p_origin AND c.seq < p_seq AND c.subject = p_subject) THEN
        RETURN 'there is no protocol of this issuer with this id and subject';
    END IF;
    RETURN coalesce(medchain.protocol_terms_reason(p_body),
        medchain.examinee_signed_reason(p_origin, p_seq, p_subject, p_body));
END
$$;
COMMENT ON FUNCTION medchain.protocol_reason(text, bigint, bigint, text, text, bytea, jsonb,
    timestamptz, timestamptz) IS 'internal: why a protocol or its amendment has no effect';

CREATE FUNCTION medchain.revocation_reason(p_origin text, p_seq bigint, p_about text,
    p_time timestamptz, p_sealed timestamptz) RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    target record;
BEGIN
    SELECT c.origin, c.subject INTO target FROM claim c
        WHERE c.about = p_about AND c.kind = 'protocol' AND c.effective;
    IF NOT FOUND THEN
        RETURN 'there is no such protocol';
    END IF;
    IF p_origin = target.origin OR p_origin = (SELECT n.data_center FROM medchain.local_node n) THEN
        RETURN NULL;
    END IF;
    IF EXISTS (SELECT FROM member m WHERE m.name = p_origin AND m.kind = 'end_node')
       AND medchain.standing_reason(p_origin, p_seq, p_time, p_sealed, 'issue', '') IS NULL
       AND EXISTS (SELECT FROM claim c WHERE c.origin = p_origin AND c.kind = 'protocol'
           AND c.effective
                   AND c.subject = target.subject) THEN
        RETURN NULL;
    END IF;
    RETURN 'only the issuer, the examinee''s end node and the data centre revoke a protocol';
END
$$;
COMMENT ON FUNCTION medchain.revocation_reason(text, bigint, text, timestamptz, timestamptz) IS
    'internal: why a revocation has no effect';

-- Who has a part in a protocol writes into its log, and an auditor into every one, while his
-- contract is in force.
CREATE FUNCTION medchain.note_reason(p_origin text, p_seq bigint, p_about text, p_time timestamptz,
    p_sealed timestamptz) RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    issuer text;
    reason text := medchain.standing_reason(p_origin, p_seq, p_time, p_sealed, NULL,
        'the author has no part in this protocol');
BEGIN
    SELECT c.origin INTO issuer FROM claim c WHERE c.about = p_about AND c.kind = 'protocol'
        AND c.effective;
    IF NOT FOUND THEN
        RETURN 'there is no such protocol';
    END IF;
    IF reason IS NOT NULL THEN
        RETURN reason;
    END IF;
    IF p_origin = issuer OR medchain.standing_reason(p_origin, p_seq, p_time, p_sealed, 'audit',
        '') IS NULL
       OR EXISTS (SELECT FROM claim c, pg_catalog.jsonb_array_elements(c.body -> 'grants') g
                  WHERE c.about = p_about AND c.kind IN ('protocol', 'amendment') AND c.effective
                  AND g ->> 'grantee' = p_origin) THEN
        RETURN NULL;
    END IF;
    RETURN 'the author has no part in this protocol';
END
$$;
COMMENT ON FUNCTION medchain.note_reason(text, bigint, text, timestamptz, timestamptz) IS
    'internal: why a note in a diagnosis log does not count';

CREATE FUNCTION medchain.authority_reason(p_origin text, p_seq bigint) RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    c record;
    reason text;
BEGIN
    SELECT * INTO STRICT c FROM claim x WHERE x.origin = p_origin AND x.seq = p_seq;
    IF c.body = '{}' THEN
        RETURN 'malformed entry';
    END IF;
    -- a change of key by the member has to be judged by its own chain alone: see rekey_reason()
    IF c.kind NOT IN ('rekey', 'bind_role') THEN
        reason := medchain.exclusion_reason(c.origin, c.seq, c.time);
        IF reason IS NOT NULL THEN
            RETURN reason;
        END IF;
    END IF;
    CASE c.kind
        WHEN 'genesis' THEN RETURN medchain.genesis_reason(c.origin, c.seq, c.body, c.time);
        WHEN 'contract' THEN RETURN medchain.contract_reason(c.origin, c.seq, c.height, c.body,
            c.time);
        WHEN 'acceptance' THEN RETURN medchain.acceptance_reason(c.origin, c.height, c.body);
        WHEN 'configure' THEN RETURN medchain.configure_reason(c.origin, c.seq, c.body, c.time,
            c.sealed);
        WHEN 'suspend', 'reinstate', 'expel' THEN
            RETURN medchain.discipline_reason(c.origin, c.seq, c.kind, c.about, c.body, c.time);
        WHEN 'ending' THEN RETURN medchain.ending_reason(c.origin, c.seq, c.body, c.time);
        WHEN 'rekey' THEN RETURN medchain.lost_key_reason(c.origin, c.seq, c.height, c.about,
            c.body, c.time);
        WHEN 'crl' THEN RETURN medchain.crl_reason(c.origin, c.seq, c.body, c.time);
        WHEN 'policy' THEN RETURN medchain.policy_reason(c.origin, c.seq, c.body, c.time);
        WHEN 'examinee_key' THEN RETURN medchain.examinee_key_reason(c.origin, c.seq, c.subject,
            c.body, c.time, c.sealed);
        WHEN 'examinee_withdrawal' THEN RETURN medchain.withdrawal_reason(c.origin, c.seq,
            c.subject, c.body, c.time);
        WHEN 'protocol', 'amendment' THEN
            RETURN medchain.protocol_reason(c.origin, c.seq, c.height, c.kind, c.about, c.subject,
                c.body, c.time, c.sealed);
        WHEN 'revocation' THEN RETURN medchain.revocation_reason(c.origin, c.seq, c.about, c.time,
            c.sealed);
        WHEN 'note' THEN RETURN medchain.note_reason(c.origin, c.seq, c.about, c.time, c.sealed);
        WHEN 'bind_role' THEN RETURN NULL;    -- of effect on its own node alone
    END CASE;
END
$$;
COMMENT ON FUNCTION medchain.authority_reason(text, bigint) IS
    'internal: why a claim has no effect; null if it has';
