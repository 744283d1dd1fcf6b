--
-- medchain.verify_certificate(): paths, revocation lists, DER, and what is no certificate.
-- Certificates and lists are those of test/pki.
--
\getenv srcdir PG_ABS_SRCDIR
\set helpers :srcdir '/test/regress/helpers.sql'
\set ECHO none
\i :helpers
\set ECHO all
CREATE FUNCTION pg_temp.crl(VARIADIC names text[]) RETURNS text LANGUAGE sql
    AS $$ SELECT string_agg(pg_read_file(current_setting('medchain_test.pki') || '/' || n
        || '.crl'), '' ORDER BY i) FROM unnest(names) WITH ORDINALITY x (n, i) $$;
CREATE FUNCTION pg_temp.der(pem text) RETURNS bytea LANGUAGE sql
    AS $$ SELECT decode((regexp_match(pem, '-----BEGIN [^-]*-----\n([^-]*)-----END'))[1],
        'base64') $$;

-- paths
SELECT name, v.ok, v.reason FROM unnest('{below, issued, within, outside}'::text[])
    WITH ORDINALITY n (name, i),
    LATERAL medchain.verify_certificate(test.pem(name), test.pem('ca')) v ORDER BY i;
-- intermediates in any order, anchors of others beside; the leaf comes first
SELECT (regexp_match(test.pem('chained'), '^(.*?-----END CERTIFICATE-----\n)'))[1] AS leaf \gset
SELECT v.ok, v.reason FROM (VALUES (:'leaf' || test.pem('confined') || test.pem('intermediate'),
    test.pem('sm2-ca') || test.pem('ca')),
    (:'leaf', test.pem('ca')), (test.pem('intermediate') || :'leaf', test.pem('ca'))) x
        (certificate, anchors), LATERAL medchain.verify_certificate(certificate, anchors) v;
SELECT "position", subject, issuer, serial ~ '^([0-9A-F]{2}){8,20}$' AS serial,
    not_after > now() AS current, length(fingerprint), is_anchor
    FROM medchain.certificate_path(test.pem('below'), test.pem('rogue-ca') || test.pem('ca'));
SELECT "position", subject, is_anchor FROM medchain.certificate_path(test.pem('below'),
    test.pem('sm2-ca'));
SELECT "position", subject, not_after, is_anchor
    FROM medchain.certificate_path(test.pem('expired'), test.pem('ca')) WHERE "position" = 0;

-- revocation lists
SELECT name, crls, v.ok, test.masked(v.reason) AS reason FROM (VALUES ('revoked', '{ca}'::text[]),
    ('data-centre', '{ca}'), ('chained', '{intermediate}'),
        ('chained', '{ca, intermediate-chained}'),
    ('chained', '{intermediate, ca-intermediate}'), ('data-centre', '{intermediate, sm2-ca}'),
        ('ec', '{rogue-ca}')) x (name, crls),
    LATERAL medchain.verify_certificate(test.pem(name), test.pem('ca'),
        pg_temp.crl(VARIADIC crls)) v;
SELECT v.ok, test.masked(v.reason) AS reason FROM unnest('{sm2-ca, sm2-ca-empty}'::text[])
    WITH ORDINALITY c (crl, i),
    LATERAL medchain.verify_certificate(test.pem('sm'), test.pem('sm2-ca'), pg_temp.crl(crl)) v
        ORDER BY i;
SELECT f.certificates, r.reason FROM medchain.crl_facts(pg_temp.crl('sm2-ca'),
    test.pem('sm2-ca')) f,
    medchain.crl_revocation(pg_temp.crl('sm2-ca'), test.pem('sm'), test.pem('sm2-ca')) r;
-- expired ones: by argument, or by the setting, which is the superuser's
SELECT name, policy, v.ok, test.masked(v.reason) AS reason
    FROM unnest('{data-centre, revoked}'::text[]) name,
        unnest('{strict, last_known, NULL}'::text[]) policy,
    LATERAL medchain.verify_certificate(test.pem(name), test.pem('ca'), pg_temp.crl('ca-old'),
        crl_policy => policy) v ORDER BY 1, 2;
SELECT current_setting('medchain.crl_policy') AS policy;
SET medchain.crl_policy = last_known;
SELECT v.ok FROM medchain.verify_certificate(test.pem('data-centre'), test.pem('ca'),
    pg_temp.crl('ca-old')) v;
SELECT v.ok FROM medchain.verify_certificate(test.pem('data-centre'), test.pem('ca'),
    pg_temp.crl('ca-old'), crl_policy => 'strict') v;
RESET medchain.crl_policy;
CREATE ROLE regress_anybody;
SET ROLE regress_anybody;
\set VERBOSITY sqlstate
SET medchain.crl_policy = last_known;
\set VERBOSITY default
RESET ROLE;
DROP ROLE regress_anybody;
SELECT medchain.verify_certificate(test.pem('ca'), test.pem('ca'), crl_policy => 'lenient');

-- DER
SELECT v.ok, test.masked(v.reason) AS reason FROM (VALUES ('data-centre'), ('sm2'), ('revoked'),
    ('expired')) x (name),
    LATERAL medchain.verify_certificate(pg_temp.der(test.pem(name)), pg_temp.der(test.pem('ca')),
        pg_temp.der(pg_temp.crl('ca'))) v;
SELECT v.ok FROM medchain.verify_certificate(convert_to(test.pem('chained'), 'UTF8'),
    pg_temp.der(test.pem('ca'))) v;
SELECT medchain.certificate_pem(pg_temp.der(test.pem('ec'))) = test.pem('ec') AS certificate,
    medchain.crl_pem(pg_temp.der(pg_temp.crl('ca'))) = pg_temp.crl('ca') AS crl,
       medchain.certificate_pem(convert_to(E'my certificates\n' || test.pem('chained'), 'UTF8')) =
           test.pem('chained') AS several;
\set VERBOSITY terse
SELECT medchain.certificate_pem('\x3000');
SELECT medchain.crl_pem(pg_temp.der(test.pem('ca')));
\set VERBOSITY default

-- what is none is an error, however large or deep, and soon
SET statement_timeout = '20s';
CREATE FUNCTION pg_temp.outcome(certificate bytea, anchors bytea, crls bytea DEFAULT NULL)
    RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    RETURN CASE WHEN ok THEN 'valid' ELSE 'invalid' END
        FROM medchain.verify_certificate(certificate, anchors, crls);
EXCEPTION WHEN invalid_parameter_value OR feature_not_supported THEN
    RETURN SQLERRM;
END
$$;
SELECT test.error_of($$ SELECT medchain.verify_certificate(repeat('x', 1048577),
    test.pem('ca')) $$);
SELECT test.error_of($$ SELECT medchain.verify_certificate(test.pem('ca'), repeat(test.pem('ca'),
    101)) $$);
SELECT test.error_of($$ SELECT medchain.verify_certificate(test.pem('ca'), test.pem('ca'),
    repeat('x', 50000000)) $$);
WITH deep (what, data) AS (VALUES
    ('SEQUENCE of indefinite length', decode(repeat('3080', 500000), 'hex')),
    ('constructed OCTET STRING', decode('308206' || repeat('2480', 500000), 'hex')),
    ('longest lengths', decode(repeat('3084ffffffff', 170000), 'hex')),
    ('zeros', decode(repeat('00', 1048576), 'hex')),
    ('PEM header without end', convert_to(repeat(E'-----BEGIN CERTIFICATE-----\n', 30000), 'UTF8')),
    ('PEM line without end', convert_to(E'-----BEGIN CERTIFICATE-----\n' || repeat('A', 1000000),
        'UTF8')))
SELECT what, pg_temp.outcome(data, pg_temp.der(test.pem('ca'))) AS certificate,
    pg_temp.outcome(pg_temp.der(test.pem('ca')), data) AS anchor,
       pg_temp.outcome(pg_temp.der(test.pem('ca')), pg_temp.der(test.pem('ca')), data) AS crl
           FROM deep;
-- a hundred intermediates that all could be the issuer
SELECT v.ok, v.reason FROM medchain.verify_certificate(:'leaf' || repeat(test.pem('rogue-ca'), 99),
    test.pem('sm2-ca')) v;
-- cut anywhere, or with any byte altered: never valid, never anything but a verdict or an error
SELECT pg_temp.der(test.pem('data-centre')) AS member, pg_temp.der(test.pem('ca')) AS ca,
    pg_temp.der(pg_temp.crl('ca')) AS list \gset
SELECT count(*) FILTER (WHERE pg_temp.outcome(substring(:'member'::bytea FOR n),
    :'ca') LIKE 'invalid DER%') = count(*) AS cut
    FROM generate_series(1, length(:'member'::bytea) - 1) n;
SELECT count(*) FILTER (WHERE pg_temp.outcome(set_byte(:'member', n, get_byte(:'member', n) # 1),
    :'ca') = 'valid') AS altered
    FROM generate_series(0, length(:'member'::bytea) - 1) n;
SELECT count(*) FILTER (WHERE pg_temp.outcome(:'member', :'ca',
    substring(:'list'::bytea FOR n)) LIKE 'invalid DER%') = count(*) AS list_cut
    FROM generate_series(1, length(:'list'::bytea) - 1) n;
RESET statement_timeout;

-- names are whatever the author of a certificate put there: long, and cut between characters
SELECT length(subject) BETWEEN 150 AND 180 AS length, left(subject, 10) AS subject,
    octet_length(subject) < 512 AS bytes FROM medchain.certificate_facts(test.pem('long-name'));
SELECT v.ok, left(v.reason, 60) AS reason, octet_length(v.reason) < 256 AS bytes
    FROM medchain.verify_certificate(test.pem('long-name'), test.pem('sm2-ca')) v;
-- nor need they be UTF-8, whatever they say
\set VERBOSITY terse
SELECT subject, certificate_facts.issuer
    FROM medchain.certificate_facts((SELECT
        medchain.certificate_pem(decode(replace(encode(pg_temp.der(test.pem('long-name')), 'hex'),
            'e58cbb', 'fffefd'), 'hex'))));
\set VERBOSITY default

-- The certificates of trust anchors, one by one, whatever else is in the text
SELECT what, (SELECT count(*) FROM medchain_internal.anchor_facts(pem) f
              WHERE f.subject IS NOT NULL AND f.fingerprint IS NOT NULL) AS anchors
    FROM (VALUES ('two', test.pem('ca') || test.pem('rogue-ca')),
        ('a header', replace(test.pem('ca'), 'CATE-----' || chr(10) || 'M',
            'CATE-----' || chr(10) || 'X-Note: a-b' || chr(10) || chr(10) || 'M')),
        ('text', 'x-----BEGIN CERTIFICATE-----junk-----END CERTIFICATE-----' || chr(10)
            || test.pem('ca') || 'and more'),
        ('a damaged one', '-----BEGIN CERTIFICATE-----' || chr(10) || 'AAAA' || chr(10)
            || '-----END CERTIFICATE-----' || chr(10) || test.pem('ca')),
        ('nothing', ''), ('null', NULL)) c (what, pem);
