/*
 * anchors.sql: trust anchors that follow those of genesis.
 */

CREATE FUNCTION medchain.renew_anchors(trust_anchors text, grace_days int DEFAULT NULL)
    RETURNS uuid
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
        SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    local local_node := require_node('{data_center}', 'renew_anchors()');
    terms jsonb;
    reason text;
BEGIN
    IF renew_anchors.trust_anchors IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'trust anchors must not be null';
    END IF;
    terms := jsonb_strip_nulls(jsonb_build_object('alliance', local.alliance,
        'trust_anchors', renew_anchors.trust_anchors, 'grace_days', renew_anchors.grace_days,
        'last', chain_points(ARRAY(SELECT m.name FROM member m WHERE m.name <> local.node))));
    reason := anchors_reason(terms, clock_timestamp());
    IF reason LIKE 'the data centre''s certificate %' THEN
        RAISE object_not_in_prerequisite_state USING MESSAGE = reason,
            HINT = 'Without a certificate of its own the data centre can renew trust anchors for '
                'as many days as the last renewal said, or 90. What is left is a new alliance, '
                'founded with found_alliance() in another database.';
    ELSIF reason IS NOT NULL THEN
        RAISE invalid_parameter_value USING MESSAGE = reason,
            HINT = 'Give all anchors of the alliance from now on, in PEM: those that stay, and '
                'the new ones.';
    END IF;
    -- what stands between the certificates is nobody's business: a private key that was quoted, say
    terms := terms || jsonb_build_object('trust_anchors',
        certificate_pem(convert_to(renew_anchors.trust_anchors, 'UTF8')));
    RETURN append_governance('anchors', sign_envelope('application/vnd.medchain.anchors+json',
        terms::text)::jsonb);
END
$$;
COMMENT ON FUNCTION medchain.renew_anchors(text, int) IS
    'data centre: the alliance''s trust anchors from here on (PEM, all of them: what is missing is '
    'retired); before its certificate ends, or up to grace_days of the renewal before (90 if it '
    'did not say) after that; grace_days: the same for the next time; what was accepted stays so';

-- Blocks begin with a line, as OpenSSL reads them; other text between them means nothing.  Never an
-- error: a data centre may have put there what it likes, and who looks at the others has to see
-- them.
CREATE FUNCTION medchain_internal.anchor_facts(p_anchors text, OUT subject text, OUT issuer text,
    OUT not_before timestamptz, OUT not_after timestamptz, OUT fingerprint bytea, OUT pem text)
    RETURNS SETOF record
    LANGUAGE plpgsql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
BEGIN
    FOR pem IN SELECT b FROM regexp_split_to_table(p_anchors,
            '(?n)^(?=-----BEGIN CERTIFICATE-----)') b WHERE b ^@ '-----BEGIN CERTIFICATE-----' LOOP
        BEGIN
            SELECT f.subject, f.issuer, f.not_before, f.not_after, f.fingerprint
                INTO subject, issuer, not_before, not_after, fingerprint
                FROM medchain.certificate_facts(pem) f;
            RETURN NEXT;
        EXCEPTION WHEN OTHERS THEN
            CONTINUE;
        END;
    END LOOP;
END
$$;
COMMENT ON FUNCTION medchain_internal.anchor_facts(text) IS
    'internal: what is in each certificate of a PEM text that can be read by itself, and its part '
    'of the text';

CREATE VIEW medchain.trust_anchors AS
WITH sets AS (
    SELECT c.seq, c."time" AS since, lead(c."time") OVER (ORDER BY c.seq) AS until,
           c.body ->> 'trust_anchors' AS anchors
    FROM medchain.claim c JOIN medchain.local_node n ON c.origin = n.data_center
    WHERE c.effective AND (c.kind = 'genesis' AND c.seq = 0 OR c.kind = 'anchors')),
each AS (
    SELECT s.seq, s.since, s.until, f.*
    FROM sets s CROSS JOIN LATERAL medchain_internal.anchor_facts(s.anchors) f)
SELECT DISTINCT ON (e.fingerprint) e.subject, e.issuer, e.not_before, e.not_after,
       floor(extract(epoch FROM e.not_after - now()) / 86400)::int AS days_left,
       first_value(e.since) OVER (PARTITION BY e.fingerprint ORDER BY e.seq) AS since,
       e.until AS retired, encode(e.fingerprint, 'hex') AS fingerprint
FROM each e ORDER BY e.fingerprint, e.seq DESC;
COMMENT ON VIEW medchain.trust_anchors IS
    'the alliance''s trust anchors: since when each is one, and when it was retired, if it was; '
    'days_left: until its certificate ends';

CREATE FUNCTION medchain_internal.certificate_warnings(OUT warning text, OUT hint text)
    RETURNS SETOF record
    LANGUAGE sql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT format('trust anchor "%s" of the alliance %s', a.subject, CASE WHEN a.days_left < 0
               THEN 'has ended' ELSE format('ends in %s days', a.days_left) END),
           'Have the CA renew it, and the data centre call medchain.renew_anchors().'
    FROM trust_anchors a WHERE a.retired IS NULL AND a.days_left < 90
    UNION ALL
    SELECT format('the certificate of "%s" %s', n.node, CASE WHEN upper(m.valid) < now()
               THEN 'has ended' ELSE format('ends in %s days',
                   floor(extract(epoch FROM upper(m.valid) - now()) / 86400)) END),
           'See medchain.rekey().'
    FROM local_node n JOIN member m ON m.name = n.node
    WHERE upper(m.valid) < now() + interval '90 days'
$$;
COMMENT ON FUNCTION medchain_internal.certificate_warnings() IS
    'internal: trust anchors in force, and the node''s own certificate (or contract), that end '
    'within 90 days: what the keeper says in the log once a day';
