/*
 * protocol.sql: smart protocols: text, grants and data index; the diagnosis log.
 */

CREATE FUNCTION medchain_internal.reject_element(argument text, ordinal bigint, problem text,
    state text
    DEFAULT '22023') RETURNS void
    LANGUAGE plpgsql IMMUTABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = state, MESSAGE = format('%s, element %s: %s', argument,
        ordinal, problem);
END
$$;
COMMENT ON FUNCTION medchain_internal.reject_element(text, bigint, text, text) IS
    'internal: error about one element of a JSON array';

-- An object with these fields and no others, one of which names a member.
CREATE FUNCTION medchain_internal.require_element(argument text, ordinal bigint, element jsonb,
    fields text[], member_field text) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    unknown text;
BEGIN
    IF jsonb_typeof(element) <> 'object' THEN
        PERFORM reject_element(argument, ordinal, format('must be an object, not %s',
            shown(element::text)));
    END IF;
    SELECT k INTO unknown FROM jsonb_object_keys(element) k WHERE k <> ALL (fields) LIMIT 1;
    IF FOUND THEN
        PERFORM reject_element(argument, ordinal, format('unknown field "%s"', shown(unknown)));
    END IF;
    IF jsonb_typeof(element -> member_field) IS DISTINCT FROM 'string' THEN
        PERFORM reject_element(argument, ordinal, format('"%s" must be the name of a member',
            member_field));
    ELSIF NOT EXISTS (SELECT FROM member m WHERE m.name = element ->> member_field) THEN
        PERFORM reject_element(argument, ordinal, format('there is no member "%s"',
            shown(element ->> member_field)), '42704');
    END IF;
END
$$;
COMMENT ON FUNCTION medchain_internal.require_element(text, bigint, jsonb, text[], text) IS
    'internal: error for an element of a JSON array that is not an object with these fields, one '
    'of which names a member';

-- A period in a user's spelling: text of a range, or {"from": ..., "to": ...} with either bound
-- left out.
CREATE FUNCTION medchain_internal.read_period(argument text, ordinal bigint, value jsonb)
    RETURNS tstzrange
    LANGUAGE plpgsql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    period tstzrange;
BEGIN
    BEGIN
        IF value IS NULL OR jsonb_typeof(value) = 'null' THEN
            RETURN '(,)';
        ELSIF jsonb_typeof(value) = 'string' THEN
            period := (value #>> '{}')::tstzrange;
        ELSIF jsonb_typeof(value) = 'object' AND value - 'from' - 'to' = '{}' THEN
            period := tstzrange((value ->> 'from')::timestamptz, (value ->> 'to')::timestamptz);
        END IF;
    EXCEPTION WHEN data_exception OR syntax_error THEN
        PERFORM reject_element(argument, ordinal, format('"valid" is not a period: %s',
            shown(value::text)));
    END;
    IF period IS NULL THEN
        PERFORM reject_element(argument, ordinal,
            '"valid" must be a range of times, as "[2026-01-01, 2026-02-01)", or {"from": ..., '
            '"to": ...}');
    ELSIF isempty(period) THEN
        PERFORM reject_element(argument, ordinal, format('"valid" is an empty period: %s',
            shown(value::text)));
    END IF;
    RETURN period;
END
$$;
COMMENT ON FUNCTION medchain_internal.read_period(text, bigint, jsonb) IS
    'internal: a period from user''s JSON';

-- CASE, as a cast of what is none must not be tried.
CREATE FUNCTION medchain_internal.records_valid(records jsonb) RETURNS boolean
    LANGUAGE sql IMMUTABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT CASE jsonb_typeof($1)
        WHEN 'string' THEN $1 #>> '{}' ~ '.[.].'
        WHEN 'object' THEN coalesce(jsonb_typeof($1 -> 'relation') = 'string'
            AND $1 ->> 'relation' ~ '.[.].', false)
            AND $1 - '{relation,key,columns,holder}'::text[] = '{}'
            AND coalesce(jsonb_typeof($1 -> 'holder') = 'string', true)
            AND CASE coalesce(jsonb_typeof($1 -> 'key'), '')
                WHEN '' THEN true
                WHEN 'object' THEN $1 -> 'key' <> '{}' AND NOT EXISTS (
                    SELECT FROM jsonb_each($1 -> 'key') k
                    WHERE jsonb_typeof(k.value) IN ('object', 'array', 'null'))
                ELSE false END
            AND CASE coalesce(jsonb_typeof($1 -> 'columns'), '')
                WHEN '' THEN true
                WHEN 'array' THEN $1 -> 'columns' <> '[]' AND NOT EXISTS (
                    SELECT FROM jsonb_array_elements($1 -> 'columns') c
                    WHERE jsonb_typeof(c) <> 'string' OR c = '""')
                ELSE false END
        ELSE false END
$$;
COMMENT ON FUNCTION medchain_internal.records_valid(jsonb) IS
    'internal: is this a relation, or the part of one, as grants name them?';

-- Grants as the ledger spells them; an error names the element that is wrong.
CREATE FUNCTION medchain_internal.read_grants(grants jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    g record;
    unknown text;
    result jsonb := '[]';
BEGIN
    IF jsonb_typeof(grants) IS DISTINCT FROM 'array' THEN
        RAISE invalid_parameter_value USING
            MESSAGE = 'grants must be a JSON array',
            HINT = 'For example: [{"grantee": "hospital-a", "operations": ["query", "update"], '
                '"purpose": "TREAT"}].';
    END IF;
    FOR g IN SELECT value, ordinality FROM jsonb_array_elements(grants) WITH ORDINALITY LOOP
        PERFORM require_element('grants', g.ordinality, g.value,
            '{grantee, operations, purpose, valid, records}', 'grantee');
        IF jsonb_typeof(g.value -> 'operations') IS DISTINCT FROM 'array'
            OR g.value -> 'operations' = '[]' THEN
            PERFORM reject_element('grants', g.ordinality,
                '"operations" must be an array of "query" and "update"');
        END IF;
        SELECT o::text INTO unknown FROM jsonb_array_elements(g.value -> 'operations') o
            WHERE o NOT IN ('"query"', '"update"') LIMIT 1;
        IF FOUND THEN
            PERFORM reject_element('grants', g.ordinality, format('unknown operation %s',
                shown(unknown)));
        END IF;
        IF coalesce(jsonb_typeof(g.value -> 'purpose'), 'string') NOT IN ('string', 'null')
            OR is_blank(g.value ->> 'purpose') THEN
            PERFORM reject_element('grants', g.ordinality, '"purpose" must be text, and not blank');
        END IF;
        IF coalesce(jsonb_typeof(g.value -> 'records'), 'null') <> 'null'
           AND (jsonb_typeof(g.value -> 'records') <> 'array' OR g.value -> 'records' = '[]'
                OR EXISTS (SELECT FROM jsonb_array_elements(g.value -> 'records') r
                    WHERE NOT records_valid(r))) THEN
            PERFORM reject_element('grants', g.ordinality,
                '"records" must be an array of relations, as "public.diagnosis", and of parts of '
                'them, as {"relation": "public.diagnosis", "key": {"id": 7}, "columns": ["code"]}; '
                'leave it out for all records');
        END IF;
        result := result || jsonb_build_array(jsonb_strip_nulls(jsonb_build_object(
            'grantee', g.value -> 'grantee', 'operations', g.value -> 'operations', 'purpose',
                g.value -> 'purpose',
            -- for ever is what most say
            'valid', CASE WHEN coalesce(jsonb_typeof(g.value -> 'valid'), 'null') = 'null'
                THEN '{}' ELSE ledger_period(read_period('grants', g.ordinality,
                    g.value -> 'valid')) END,
                'records', g.value -> 'records')));
    END LOOP;
    RETURN result;
END
$$;
COMMENT ON FUNCTION medchain_internal.read_grants(jsonb) IS
    'internal: check grants and spell them as the ledger does';

CREATE FUNCTION medchain_internal.read_data_index(data_index jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    d record;
BEGIN
    IF jsonb_typeof(data_index) IS DISTINCT FROM 'array' THEN
        RAISE invalid_parameter_value USING
            MESSAGE = 'data index must be a JSON array',
            HINT = 'For example: [{"holder": "data-centre", "relation": "public.diagnosis", "key": '
                '{"case_no": 7}}].';
    END IF;
    FOR d IN SELECT value, ordinality FROM jsonb_array_elements(data_index) WITH ORDINALITY LOOP
        PERFORM require_element('data index', d.ordinality, d.value, '{holder, relation, key}',
            'holder');
        IF jsonb_typeof(d.value -> 'relation') IS DISTINCT FROM 'string'
            OR is_blank(d.value ->> 'relation') THEN
            PERFORM reject_element('data index', d.ordinality,
                '"relation" must be the name of a table');
        END IF;
    END LOOP;
    RETURN data_index;
END
$$;
COMMENT ON FUNCTION medchain_internal.read_data_index(jsonb) IS 'internal: check a data index';

-- The terms of a protocol, the same text for the same arguments, so that a client can sign them
-- beforehand.
CREATE FUNCTION medchain_internal.protocol_terms(protocol uuid, subject text, protocol_text text,
    grants jsonb, data_index jsonb, valid tstzrange) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    local local_node;
BEGIN
    PERFORM require_subject(protocol_terms.subject), require_words('protocol text',
        protocol_terms.protocol_text);
    IF isempty(protocol_terms.valid) THEN
        RAISE invalid_parameter_value USING MESSAGE = 'the protocol''s period is empty';
    END IF;
    SELECT * INTO local FROM local_node;
    RETURN jsonb_strip_nulls(jsonb_build_object(
        'alliance', local.alliance, 'issuer', local.node, 'protocol', protocol_terms.protocol,
        'subject', encode(pseudonym(protocol_terms.subject), 'hex'), 'text',
            protocol_terms.protocol_text,
        'grants', read_grants(protocol_terms.grants), 'data_index',
            read_data_index(protocol_terms.data_index),
        'valid', CASE WHEN protocol_terms.valid IS NULL THEN '{}'
            ELSE ledger_period(protocol_terms.valid) END))::text;
END
$$;
COMMENT ON FUNCTION medchain_internal.protocol_terms(uuid, text, text, jsonb, jsonb, tstzrange) IS
    'internal: the JSON text of a protocol, or of an amendment to one';

CREATE FUNCTION medchain.protocol_envelope(subject text, protocol_text text, grants jsonb,
    data_index jsonb DEFAULT '[]',
                                           valid tstzrange DEFAULT NULL, protocol uuid
                                               DEFAULT NULL) RETURNS bytea
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
        SET search_path = medchain, medchain_internal, pg_temp
AS $$
BEGIN
    PERFORM await_own_part(), await_members(named_members(protocol_envelope.grants,
        protocol_envelope.data_index));
    PERFORM require_node('{end_node}', 'protocol_envelope()');
    RETURN envelope_bytes('application/vnd.medchain.protocol+json',
                          protocol_terms(protocol_envelope.protocol, protocol_envelope.subject,
                              protocol_envelope.protocol_text,
                                         protocol_envelope.grants, protocol_envelope.data_index,
                                             protocol_envelope.valid));
END
$$;
COMMENT ON FUNCTION medchain.protocol_envelope(text, text, jsonb, jsonb, tstzrange, uuid) IS
    'the bytes (DSSE pre-authentication encoding) to be signed outside the database for '
    'issue_protocol(), or for amend_protocol() when a protocol is given';

-- The envelope: with the sealer's signature, or with one made outside by the key of this ledger;
-- and the examinee's.
CREATE FUNCTION medchain_internal.seal_protocol(terms text, signature text, examinee_signature text)
    RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    type CONSTANT text := 'application/vnd.medchain.protocol+json';
    local local_node;
    envelope jsonb;
    reason text;
    keys text[];
BEGIN
    SELECT * INTO local FROM local_node;
    IF seal_protocol.signature IS NULL THEN
        envelope := sign_envelope(type, terms)::jsonb;
    ELSE
        envelope := make_envelope(type, terms, ARRAY[seal_protocol.signature]);
        SELECT o.reason INTO reason FROM open_envelope(envelope, ledger_key_of(local.node), type) o;
        IF reason IS NOT NULL THEN
            RAISE invalid_parameter_value USING
                MESSAGE = 'the signature is not one of this ledger''s key over the protocol: '
                    || reason,
                HINT = 'Sign the bytes that medchain.protocol_envelope() returns for the same '
                    'arguments, and give the signature in base64.';
        END IF;
    END IF;
    IF seal_protocol.examinee_signature IS NOT NULL THEN
        keys := ARRAY(SELECT k.public_key FROM examinee_key k
            WHERE k.subject = decode(terms::jsonb ->> 'subject', 'hex') AND k.withdrawn IS NULL);
        envelope := jsonb_set(envelope, '{signatures}', envelope -> 'signatures'
            || jsonb_build_array(jsonb_build_object('sig', seal_protocol.examinee_signature)));
        IF NOT EXISTS (SELECT FROM unnest(keys) k CROSS JOIN LATERAL open_envelope(envelope, k,
            type) o WHERE o.reason IS NULL) THEN
            RAISE invalid_parameter_value USING
                MESSAGE =
                    'the examinee''s signature is not one of a key registered for him over the '
                    'protocol',
                HINT = 'He signs the bytes that medchain.protocol_envelope() returns for the same '
                    'arguments; give the signature in base64.';
        ELSIF policy_at('examinee_signature', local.node) IS NOT DISTINCT FROM 'required'
              AND examinee_signed_before(local.node, decode(terms::jsonb ->> 'subject', 'hex'),
                  terms::jsonb) THEN
            RAISE invalid_parameter_value USING
                MESSAGE =
                    'the examinee has signed these very terms before, and his signature counts '
                    'once',
                HINT = 'Change the text or the period, and let him sign again.';
        END IF;
    END IF;
    IF terms::jsonb -> 'grants' <> '[]'
       AND policy_at('examinee_signature', local.node) IS NOT DISTINCT FROM 'required'
       AND NOT examinee_signed(local.node, decode(terms::jsonb ->> 'subject', 'hex'), envelope)
       THEN
        RAISE insufficient_privilege USING
            MESSAGE = 'the examinee has a key and has to sign this protocol with it',
            HINT = 'He signs the bytes that medchain.protocol_envelope() returns for the same '
                'arguments; give the signature in base64 as examinee_signature.';
    END IF;
    RETURN envelope;
END
$$;
COMMENT ON FUNCTION medchain_internal.seal_protocol(text, text, text) IS
    'internal: DSSE envelope of a protocol';

CREATE FUNCTION medchain_internal.identities_changed() RETURNS void
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'medchain_identities_changed';
COMMENT ON FUNCTION medchain_internal.identities_changed() IS
    'internal: once this transaction is committed, sessions look again who is behind pseudonyms';

-- The examinee's name behind the pseudonym is kept here, in the issuer's own database.
CREATE FUNCTION medchain_internal.remember_identity(identity text) RETURNS bytea
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    named CONSTANT bytea := medchain.pseudonym(remember_identity.identity);
BEGIN
    INSERT INTO subject_identity (pseudonym, identity) VALUES (named, remember_identity.identity)
        ON CONFLICT (pseudonym) DO NOTHING;
    IF FOUND THEN
        PERFORM identities_changed();
    END IF;
    RETURN named;
END
$$;
COMMENT ON FUNCTION medchain_internal.remember_identity(text) IS
    'internal: keep locally which identity a pseudonym stands for; returns the pseudonym';

CREATE FUNCTION medchain_internal.named_members(grants jsonb, data_index jsonb) RETURNS text[]
    LANGUAGE plpgsql IMMUTABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
BEGIN
    RETURN ARRAY(SELECT n #>> '{}' FROM jsonb_path_query(grants, 'lax $[*].grantee') n
                 UNION SELECT n #>> '{}' FROM jsonb_path_query(data_index, 'lax $[*].holder') n);
END
$$;
COMMENT ON FUNCTION medchain_internal.named_members(jsonb, jsonb)
    IS 'internal: members that a protocol '
    'names';
CREATE FUNCTION medchain.issue_protocol(subject text, protocol_text text, grants jsonb,
    data_index jsonb DEFAULT '[]',
                                        valid tstzrange DEFAULT NULL, signature text DEFAULT NULL,
                                        examinee_signature text DEFAULT NULL) RETURNS uuid
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
        SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    terms text;
BEGIN
    PERFORM require_writable();
    PERFORM require_node(NULL, 'issue_protocol()');
    PERFORM await_own_part(), await_members(named_members(issue_protocol.grants,
        issue_protocol.data_index));
    PERFORM require_capability('issue', 'issuing protocols');
    terms := protocol_terms(NULL, issue_protocol.subject, issue_protocol.protocol_text,
        issue_protocol.grants,
                            issue_protocol.data_index, issue_protocol.valid);
    RETURN append_governance('protocol', seal_protocol(terms, issue_protocol.signature,
        issue_protocol.examinee_signature), remember_identity(issue_protocol.subject));
END
$$;
COMMENT ON FUNCTION medchain.issue_protocol(text, text, jsonb, jsonb, tstzrange, text, text) IS
    'end node: issue a smart protocol about an examinee; grants: [{"grantee", "operations": '
    '["query", "update"], "purpose", "valid", "records"}]; data index: [{"holder", "relation", '
    '"key"}]; signature, examinee_signature: base64, made outside over protocol_envelope(); '
    'returns the protocol''s id';

CREATE FUNCTION medchain.amend_protocol(protocol uuid, subject text, protocol_text text,
    grants jsonb, data_index jsonb DEFAULT '[]',
                                        valid tstzrange DEFAULT NULL, signature text DEFAULT NULL,
                                        examinee_signature text DEFAULT NULL) RETURNS uuid
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
        SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    local local_node := require_node(NULL, 'amend_protocol()');
    p medchain.protocol;
BEGIN
    PERFORM await_own_part(), await_members(named_members(amend_protocol.grants,
        amend_protocol.data_index));
    PERFORM require_capability('issue', 'issuing protocols');
    PERFORM require_subject(amend_protocol.subject);
    SELECT * INTO p FROM medchain.protocol x WHERE x.id = amend_protocol.protocol;
    IF NOT FOUND OR p.subject IS DISTINCT FROM pseudonym(amend_protocol.subject) THEN
        RAISE undefined_object USING MESSAGE = format('there is no protocol %s about this subject',
            amend_protocol.protocol);
    ELSIF p.issuer <> local.node THEN
        RAISE insufficient_privilege USING MESSAGE = 'only the issuer amends a protocol',
            DETAIL = format('It was issued by "%s".', p.issuer);
    ELSIF p.revoked IS NOT NULL THEN
        RAISE object_not_in_prerequisite_state USING MESSAGE = 'the protocol is revoked',
            HINT = 'Issue a new one.';
    END IF;
    RETURN append_governance('amendment',
        seal_protocol(protocol_terms(p.id, amend_protocol.subject, amend_protocol.protocol_text,
            amend_protocol.grants,
                                     amend_protocol.data_index, amend_protocol.valid),
                                         amend_protocol.signature,
                                             amend_protocol.examinee_signature),
        p.subject);
END
$$;
COMMENT ON FUNCTION medchain.amend_protocol(uuid, text, text, jsonb, jsonb, tstzrange, text, text)
    IS 'issuer: replace text, grants, data index and period of a protocol; returns the id of the '
        'amendment';

CREATE FUNCTION medchain.revoke_protocol(protocol uuid, reason text) RETURNS uuid
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
        SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    local local_node := require_node(NULL, 'revoke_protocol()');
    p medchain.protocol;
    denied text;
    before uuid;
BEGIN
    PERFORM await_protocol(revoke_protocol.protocol);
    SELECT * INTO p FROM medchain.protocol x WHERE x.id = revoke_protocol.protocol;
    IF NOT FOUND THEN
        RAISE undefined_object USING MESSAGE = format('there is no protocol %s',
            revoke_protocol.protocol);
    END IF;
    denied := revocation_reason(local.node, p.id::text, clock_timestamp());
    IF denied IS NOT NULL THEN
        RAISE insufficient_privilege USING MESSAGE = denied,
            DETAIL = format('It was issued by "%s".', p.issuer);
    END IF;
    -- once is enough: who says it again, or of several rows at once, has what he wants
    SELECT x.id INTO before FROM (
        SELECT c.id, c."time" FROM claim c WHERE c.kind = 'revocation' AND c.effective
            AND c.about = p.id::text
        UNION ALL
        SELECT w.id, w."time" FROM pending w
        WHERE w.kind = 'revocation' AND w.subject = p.subject
            AND object_or_null(entry_body(w.payload), false) ->> 'protocol' = p.id::text) x
        ORDER BY x."time", x.id LIMIT 1;
    IF FOUND THEN
        RAISE NOTICE 'the protocol is revoked already';
        RETURN before;
    END IF;
    RETURN append_governance('revocation', jsonb_build_object('protocol', p.id, 'reason',
        coalesce(revoke_protocol.reason, '')), p.subject);
END
$$;
COMMENT ON FUNCTION medchain.revoke_protocol(uuid, text) IS
    'issuer, the examinee''s end node or data centre: end a protocol; binds every statement that '
    'starts after it is sealed. Of one that is revoked already: a notice, and the entry that did '
    'it';

CREATE FUNCTION medchain.log_diagnosis(protocol uuid, note json) RETURNS uuid
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
        SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    local local_node := require_node(NULL, 'log_diagnosis()');
    p medchain.protocol;
    denied text;
BEGIN
    IF log_diagnosis.note IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'note must not be null';
    END IF;
    PERFORM await_protocol(log_diagnosis.protocol);
    SELECT * INTO p FROM medchain.protocol x WHERE x.id = log_diagnosis.protocol;
    IF NOT FOUND THEN
        RAISE undefined_object USING MESSAGE = format('there is no protocol %s',
            log_diagnosis.protocol);
    END IF;
    IF log_diagnosis.note::text::jsonb IN ('null', '{}', '[]')
          OR (json_typeof(log_diagnosis.note) = 'string'
              AND is_blank(log_diagnosis.note #>> '{}')) THEN
        RAISE invalid_parameter_value USING MESSAGE = 'note must not be empty or blank';
    END IF;
    denied := note_reason(local.node, p.id::text, clock_timestamp());
    IF denied IS NOT NULL THEN
        RAISE insufficient_privilege USING MESSAGE = denied;
    END IF;
    RETURN append_governance('note', jsonb_build_object('protocol', p.id, 'note',
        log_diagnosis.note), p.subject);
END
$$;
COMMENT ON FUNCTION medchain.log_diagnosis(uuid, json) IS
    'issuer or grantee: write a note into the diagnosis log of a protocol';

-- Roles are looked at as those of who logged in: inside of a function of ours current_user is ours.
-- Who is bound to no member acts for the one whose database this is, as in what it appends.
CREATE FUNCTION medchain_internal.may_know(subject bytea) RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT pg_has_role(session_user, 'medchain_auditor', 'MEMBER')
        OR pg_has_role(session_user, 'medchain_admin', 'MEMBER')
        OR EXISTS (
            SELECT FROM coalesce(session_member(), (SELECT n.node FROM local_node n)) w (name)
            WHERE EXISTS (SELECT FROM member m WHERE m.name = w.name AND m.takes_part
                          AND m.kind = 'end_node')
            OR EXISTS (SELECT FROM claim c
                       WHERE c.subject = $1 AND c.kind IN ('protocol', 'amendment') AND c.effective
                       AND (c.origin = w.name
                            OR c.body -> 'grants' @> jsonb_build_array(
                                   jsonb_build_object('grantee', w.name))
                            OR c.body -> 'data_index' @> jsonb_build_array(
                                   jsonb_build_object('holder', w.name))))
            OR EXISTS (SELECT FROM break_glass b WHERE b.subject = $1 AND b.member = w.name))
$$;
COMMENT ON FUNCTION medchain_internal.may_know(bytea) IS
    'internal: may this session hear what the ledger says of that examinee: administrators, '
    'auditors and the end node do; another member if it has, or had, a part in a protocol about '
    'him, or has broken the glass';

CREATE FUNCTION medchain.data_index(subject text, ended boolean DEFAULT false, OUT protocol uuid,
    OUT issuer text, OUT holder text,
                                    OUT relation text, OUT key jsonb, OUT valid tstzrange,
                                        OUT active boolean)
    RETURNS SETOF record
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT p.id, p.issuer, d.holder, d.relation, d.key, p.valid, p.revoked IS NULL
        AND p.valid @> clock_timestamp()
    FROM protocol p LEFT JOIN data_index d ON d.protocol = p.id
    WHERE p.subject = pseudonym($1) AND may_know(p.subject)
    AND ($2 OR (p.revoked IS NULL AND NOT p.valid << tstzrange(clock_timestamp(), NULL)))
    ORDER BY p.issued, p.id, d.ordinal
$$;
COMMENT ON FUNCTION medchain.data_index(text, boolean) IS
    'where the records of an examinee are, by the protocols about him that are in force or will '
    'be (ended: and those that have been); without holder, relation and key: of a protocol that '
    'has no index. active: the protocol is neither revoked nor out of its period. A member sees '
    'what it has, or had, a part in; auditors and the end node everything';

-- What is not here is not left out in silence.
CREATE FUNCTION medchain_internal.warn_of_absent() RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    chains text;
    absent bigint;
BEGIN
    SELECT string_agg(format('"%s"', c.origin), ', ' ORDER BY c.origin COLLATE "C"), sum(c.absent)
        INTO chains, absent FROM chain c WHERE c.absent > 0;
    IF absent > 0 THEN
        RAISE WARNING USING
            MESSAGE = format('payloads of %s entries are not here', absent),
            DETAIL = format('They are on chains %s; what they say of this examinee is not shown.',
                chains),
            HINT = 'medchain.fetch_payloads() gets them.';
    END IF;
END
$$;
COMMENT ON FUNCTION medchain_internal.warn_of_absent() IS
    'internal: warn that payloads of entries were not taken, see connect_peer()';

CREATE FUNCTION medchain.diagnosis_log(subject text, OUT "time" timestamptz, OUT origin text,
    OUT actor text, OUT kind text,
                                       OUT protocol uuid, OUT detail jsonb, OUT entry uuid)
    RETURNS SETOF record
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT warn_of_absent();
    SELECT x."time", x.origin, x.actor, x.kind, x.protocol, x.detail, x.entry FROM (
    SELECT e."time", e.origin, e.actor, e.kind,
           CASE WHEN c.kind IN ('protocol', 'amendment', 'revocation', 'note')
                    AND c.about ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
               THEN c.about::uuid END AS protocol,
           coalesce(c.body, entry_body(e.payload)::jsonb,
               jsonb_build_object('unreadable', entry_fault(e.payload))) AS detail,
            e.id AS entry, e.seq, NULL::bigint AS place
    FROM sealed e LEFT JOIN claim c ON c.origin = e.origin AND c.seq = e.seq
    WHERE e.subject = pseudonym($1) AND coalesce(c.effective, true)
        AND may_know(pseudonym($1))
    UNION ALL
    -- rows of this node that were changed with many others
    SELECT e."time", e.origin, e.actor, 'row.' || i.operation, NULL, jsonb_strip_nulls(
               jsonb_build_object('relation', r.relation, 'row', encode(i.row_id, 'hex'),
                   'version', r.version, 'commitment', encode(i.commitment, 'hex'),
                   'previous', encode(i.previous, 'hex'), 'index', i.place)), e.id, e.seq, i.place
    FROM row_set_subject(row_bits(pseudonym($1)),
             pseudonym($1)) i
         JOIN entry e ON e.id = i.entry AND e.kind = 'row.set'
             AND e.origin = (SELECT node FROM local_node)
         CROSS JOIN LATERAL row_set_entry(e.payload) r
    WHERE may_know(pseudonym($1))) x
    ORDER BY x."time", x.origin COLLATE "C", x.seq, x.place
$$;
COMMENT ON FUNCTION medchain.diagnosis_log(text) IS
    'everything on the ledger about an examinee: protocols, accesses and notes, of every member, '
    'to auditors, the end node, and members who have, or had, a part in a protocol about him; '
    'of rows here also those that were changed with many others, with their index in that set; '
    'entries without effect are left out (see the view rejections). detail is {"unreadable": '
    'reason} for an entry that is on the ledger since a time when more was accepted';
