/*
 * rules.sql: faces of the rules, which are in src/rules: what calls ask before they say something
 * that nobody would take; what an auditor asks; and how the ledger spells times.
 */

CREATE FUNCTION medchain_internal.fold_kinds() RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ARRAY['genesis', 'contract', 'acceptance', 'configure', 'protocol', 'amendment',
        'revocation', 'note', 'bind_role',
                      'suspend', 'reinstate', 'expel', 'ending', 'rekey', 'crl',
                          'anchors', 'fork', 'policy',
                          'examinee_key', 'examinee_withdrawal', 'break_glass', 'justification',
                          'address'];
COMMENT ON FUNCTION medchain_internal.fold_kinds() IS 'kinds of entries that the state depends on';

-- They are few among many: to fold anew must not cost a look at each entry.  A constant, as whoever
-- reads entries would need the right to call the function.
DO $$
BEGIN
    EXECUTE pg_catalog.format('CREATE INDEX entry_governance ON medchain.entry (origin, seq) WHERE '
        'kind = ANY (%L::text[])', medchain_internal.fold_kinds());
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
CREATE FUNCTION medchain_internal.ledger_time(value timestamptz) RETURNS text
    LANGUAGE sql STABLE STRICT PARALLEL SAFE
    RETURN pg_catalog.to_char(value AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');
COMMENT ON FUNCTION medchain_internal.ledger_time(timestamptz) IS
    'internal: a time as RFC 3339, UTC, microseconds';

-- Half-open, as {"from": time, "to": time}; a bound that is missing or null is open.
CREATE FUNCTION medchain_internal.ledger_period(period tstzrange) RETURNS jsonb
    LANGUAGE sql STABLE STRICT PARALLEL SAFE
    RETURN pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(
        'from', medchain_internal.ledger_time(nullif(pg_catalog.lower(period), '-infinity') + CASE
            WHEN pg_catalog.lower_inc(period) THEN interval '0' ELSE interval '1 microsecond' END),
        'to', medchain_internal.ledger_time(nullif(pg_catalog.upper(period), 'infinity') + CASE
            WHEN pg_catalog.upper_inc(period) THEN interval '1 microsecond'
            ELSE interval '0' END)));
COMMENT ON FUNCTION medchain_internal.ledger_period(tstzrange) IS
    'internal: a period as the ledger spells it';

CREATE FUNCTION medchain_internal.ledger_key_of(member text) RETURNS text
    LANGUAGE sql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$ SELECT m.ledger_key FROM member m WHERE m.name = ledger_key_of.member $$;
COMMENT ON FUNCTION medchain_internal.ledger_key_of(text)
    IS 'internal: the newest key of a ledger, PEM';

CREATE FUNCTION medchain_internal.claim_envelope(origin text, seq bigint) RETURNS jsonb
    LANGUAGE sql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT object_or_null(entry_body(e.payload), false) FROM entry e
    WHERE e.origin = claim_envelope.origin AND e.seq = claim_envelope.seq
$$;
COMMENT ON FUNCTION medchain_internal.claim_envelope(text, bigint) IS
    'internal: body of the entry a claim was made from';

CREATE FUNCTION medchain_internal.anchors_in_force() RETURNS text
    LANGUAGE sql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT c.body ->> 'trust_anchors' FROM claim c JOIN local_node n ON c.origin = n.data_center
    WHERE c.kind = 'genesis' AND c.seq = 0 OR c.kind = 'anchors' AND c.effective
    ORDER BY c.seq DESC LIMIT 1
$$;
COMMENT ON FUNCTION medchain_internal.anchors_in_force() IS
    'internal: trust anchors of the alliance now, PEM: those of genesis, until they are renewed';

CREATE FUNCTION medchain_internal.anchors_ever() RETURNS text
    LANGUAGE sql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT string_agg(s.anchors, E'\n' ORDER BY s.seq) FROM (
        SELECT c.body ->> 'trust_anchors' AS anchors, max(c.seq) AS seq
        FROM claim c JOIN local_node n ON c.origin = n.data_center
        WHERE c.kind = 'genesis' AND c.seq = 0 OR c.kind = 'anchors' AND c.effective
        GROUP BY 1) s
$$;
COMMENT ON FUNCTION medchain_internal.anchors_ever() IS
    'internal: all trust anchors that the alliance has or had, PEM';

-- What follows is asked of an entry behind all that is on the member's chain.

CREATE FUNCTION medchain_internal.may_seal(member text, first bigint, sealed timestamptz)
    RETURNS boolean
    LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'medchain_may_seal';
COMMENT ON FUNCTION medchain_internal.may_seal(text, bigint, timestamptz) IS
    'internal: may this member have sealed a block then that begins with that entry?';

CREATE FUNCTION medchain_internal.certificate_is_of(certificate text, member text) RETURNS boolean
    LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'medchain_certificate_is_of';
COMMENT ON FUNCTION medchain_internal.certificate_is_of(text, text) IS
    'internal: is a certificate made out to the name in one of that member''s contracts?';

CREATE FUNCTION medchain_internal.certificate_revocation(certificate text, OUT revoked timestamptz,
    OUT reason text)
    LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'medchain_certificate_revocation';
COMMENT ON FUNCTION medchain_internal.certificate_revocation(text) IS
    'internal: when and why a certificate was revoked';

CREATE FUNCTION medchain_internal.crl_issuers() RETURNS text
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'medchain_crl_issuers';
COMMENT ON FUNCTION medchain_internal.crl_issuers() IS
    'internal: certificates of the CAs whose revocation lists count: the trust anchors, and the '
    'intermediates that came with certificates';

CREATE FUNCTION medchain_internal.contract_terms_reason(terms jsonb, at timestamptz) RETURNS text
    LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'medchain_contract_terms_reason';
COMMENT ON FUNCTION medchain_internal.contract_terms_reason(jsonb, timestamptz) IS
    'internal: what is wrong with the terms of a contract';

CREATE FUNCTION medchain_internal.fork_reason(terms jsonb, at timestamptz) RETURNS text
    LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'medchain_fork_reason';
COMMENT ON FUNCTION medchain_internal.fork_reason(jsonb, timestamptz) IS
    'internal: why that would prove no fork; null if it would';

CREATE FUNCTION medchain_internal.anchors_reason(terms jsonb, at timestamptz) RETURNS text
    LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'medchain_anchors_reason';
COMMENT ON FUNCTION medchain_internal.anchors_reason(jsonb, timestamptz) IS
    'internal: why the data centre cannot set these trust anchors then; null: it can';

CREATE FUNCTION medchain_internal.revocation_reason(member text, protocol text, at timestamptz)
    RETURNS text
    LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'medchain_revocation_reason';
COMMENT ON FUNCTION medchain_internal.revocation_reason(text, text, timestamptz) IS
    'internal: why a member''s revocation of a protocol would have no effect; null: it would';

CREATE FUNCTION medchain_internal.note_reason(member text, protocol text, at timestamptz)
    RETURNS text
    LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'medchain_note_reason';
COMMENT ON FUNCTION medchain_internal.note_reason(text, text, timestamptz) IS
    'internal: why a member''s note in a diagnosis log would not count; null: it would';

CREATE FUNCTION medchain_internal.break_glass_reason(author text, subject bytea, body jsonb,
    at timestamptz) RETURNS text
    LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'medchain_break_glass_reason';
COMMENT ON FUNCTION medchain_internal.break_glass_reason(text, bytea, jsonb, timestamptz) IS
    'internal: why an entry of that author which breaks the glass would have no effect; null: it '
    'would';

CREATE FUNCTION medchain_internal.policy_at(policy text, member text) RETURNS text
    LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'medchain_policy_at';
COMMENT ON FUNCTION medchain_internal.policy_at(text, text) IS
    'internal: the value of a policy that a member''s next entry is judged by';

CREATE FUNCTION medchain_internal.examinee_signed(member text, subject bytea, envelope jsonb)
    RETURNS boolean
    LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'medchain_examinee_signed';
COMMENT ON FUNCTION medchain_internal.examinee_signed(text, bytea, jsonb) IS
    'internal: is the envelope of a member''s next protocol signed with the examinee''s keys? '
    'null: there are none';

CREATE FUNCTION medchain_internal.examinee_signed_before(member text, subject bytea, terms jsonb)
    RETURNS boolean
    LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'medchain_examinee_signed_before';
COMMENT ON FUNCTION medchain_internal.examinee_signed_before(text, bytea, jsonb) IS
    'internal: is there an earlier entry of these very terms with the examinee''s signature?';

CREATE FUNCTION medchain_internal.fold_entries(origin text, first bigint, last bigint) RETURNS void
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'medchain_fold_entries';
COMMENT ON FUNCTION medchain_internal.fold_entries(text, bigint, bigint) IS
    'internal: fold the governance entries of this range into the state';

CREATE FUNCTION medchain_internal.fold_forget(origin text, first bigint) RETURNS void
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'medchain_fold_forget';
COMMENT ON FUNCTION medchain_internal.fold_forget(text, bigint) IS
    'internal: the state without the entries of that chain from this one on';

CREATE FUNCTION medchain.explain_entry(entry uuid, OUT condition text, OUT holds boolean,
    OUT judged_by text)
    RETURNS SETOF record
    LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'medchain_explain_entry';
COMMENT ON FUNCTION medchain.explain_entry(uuid) IS
    'what the rules say of an entry: its conditions in the order in which they are judged, whether '
    'each holds (null: not asked, as one before it does not) and what it was judged by; the last '
    'one is that it has effect';

CREATE FUNCTION medchain.state_hash() RETURNS bytea
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'medchain_state_hash';
COMMENT ON FUNCTION medchain.state_hash() IS
    'SHA-256 over the whole state: the same on all nodes that have the same chains, but for '
    'bindings of roles';

CREATE FUNCTION medchain_internal.state_faults(OUT origin text, OUT detail text)
    RETURNS SETOF record
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'medchain_state_faults';
COMMENT ON FUNCTION medchain_internal.state_faults() IS
    'internal: derive the state from the ledger again, aside, and tell where it differs';

-- What verify() says of the state, in an order that neither plans nor collations decide.  A row
-- that was made up, of a chain that there is not, is told of ours.
CREATE FUNCTION medchain_internal.fold_faults() RETURNS TABLE (origin text, detail text)
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    key_status CONSTANT text := pseudonym_status();
BEGIN
    RETURN QUERY
    SELECT f.origin, f.detail FROM (
        SELECT CASE WHEN EXISTS (SELECT FROM chain c WHERE c.origin = s.origin)
                    OR EXISTS (SELECT FROM member m WHERE m.name = s.origin)
               THEN s.origin ELSE n.node END AS origin, s.detail
        FROM state_faults() s CROSS JOIN local_node n
        UNION ALL
        -- not folded, but it decides whose rows a grant opens
        SELECT n.node, format('subject_identity %s: this is not the pseudonym of the identity',
            encode(s.pseudonym, 'hex'))
        FROM subject_identity s CROSS JOIN local_node n
        WHERE CASE WHEN key_status = 'fine' THEN pseudonym(s.identity) <> s.pseudonym END
        UNION ALL
        -- nor is it the ledger that knows which role a name was
        SELECT n.node, b.fault FROM bound_role_faults() b CROSS JOIN local_node n
        UNION ALL
        SELECT n.node, format('no pseudonym can be compared: %s', key_status)
        FROM local_node n
        WHERE key_status <> 'fine' AND current_setting('medchain.pseudonym_key_file') <> '') f
    ORDER BY f.origin COLLATE "C", f.detail COLLATE "C";
END
$$;
COMMENT ON FUNCTION medchain_internal.fold_faults() IS
    'internal: where the state differs from the ledger';
