--
-- Smart protocols: issued by the end node, of effect everywhere.
--
\set SHOW_CONTEXT never
SELECT current_database() AS data_centre \gset
\c regress_end_node

--
-- Errors name what is wrong
--
SELECT g AS grants, e.content
    FROM unnest(ARRAY['{}', '"x"', '[1]', '[[]]', '[{}]', '[{"grantee": 1}]',
        '[{"grantee": "nobody", "operations": ["query"]}]',
    '[{"grantee": "hospital-a"}]', '[{"grantee": "hospital-a", "operations": []}]',
        '[{"grantee": "hospital-a", "operations": "query"}]',
    '[{"grantee": "hospital-a", "operations": ["query"]}, {"grantee": "hospital-a", "operations": '
    '["query", "delete"]}]',
    '[{"grantee": "hospital-a", "operations": [1]}]',
    '[{"grantee": "hospital-a", "operations": ["query"], "colour": "red"}]',
    '[{"grantee": "hospital-a", "operations": ["query"], "purpose": 1}]',
    '[{"grantee": "hospital-a", "operations": ["query"], "records": []}]',
        '[{"grantee": "hospital-a", "operations": ["query"], "records": ["diagnosis"]}]',
    '[{"grantee": "hospital-a", "operations": ["query"], "records": "public.diagnosis"}]',
        '[{"grantee": "hospital-a", "operations": ["query"], "records": [1]}]',
    '[{"grantee": "hospital-a", "operations": ["query"], "valid": "empty"}]',
        '[{"grantee": "hospital-a", "operations": ["query"], "valid": "[2026-01-01, 2026-01-01)"}]',
    '[{"grantee": "hospital-a", "operations": ["query"], "valid": "[2026-02-01, 2026-01-01)"}]',
        '[{"grantee": "hospital-a", "operations": ["query"], "valid": "soon"}]',
    '[{"grantee": "hospital-a", "operations": ["query"], "valid": 7}]',
        '[{"grantee": "hospital-a", "operations": ["query"], "valid": {"until": "2026-01-01"}}]',
    '[{"grantee": "hospital-a", "operations": ["query"], "valid": {"from": "2026-02-01", "to": '
    '"2026-01-01"}}]',
    '[{"grantee": "hospital-a", "operations": ["query"], "valid": {"from": "someday"}}]'
    ]) WITH ORDINALITY x (g, i),
        LATERAL test.error_of(format('SELECT medchain.issue_protocol(''P0001'', ''text'', %L)',
            g)) e
    WHERE field = 'error' OR content ~ '^For' ORDER BY i, field;
SELECT d AS data_index, e.content
    FROM unnest(ARRAY['{}', '[1]', '[{}]',
        '[{"holder": "nobody", "relation": "public.diagnosis"}]', '[{"holder": "data-centre"}]',
    '[{"holder": "data-centre", "relation": "public.diagnosis"}, {"holder": "data-centre", '
    '"relation": 1}]',
    '[{"holder": "data-centre", "relation": "public.diagnosis", "row": 1}]']) WITH ORDINALITY x (d,
        i),
    LATERAL test.error_of(format('SELECT medchain.issue_protocol(''P0001'', ''text'', ''[]'', %L)',
        d)) e WHERE field = 'error' ORDER BY i;
SELECT medchain.issue_protocol(NULL, 'text', '[]');
SELECT medchain.issue_protocol('P0001', NULL, '[]');
SELECT medchain.issue_protocol('P0001', 'text', NULL);
SELECT medchain.issue_protocol('P0001', 'text', '[]', '[]', 'empty');
-- what is empty or blank is a variable that was not set
SELECT call, content FROM test.errors_of($$issue_protocol('', 'text', '[]')$$,
    $$issue_protocol(E' \t\n', 'text', '[]')$$,
    $$issue_protocol(U&'\3000\00A0\200B', 'text', '[]')$$,
    $$issue_protocol('P0001', ' ', '[]')$$, $$protocol_envelope('', 'text', '[]')$$,
    $$issue_protocol('P0001', 'text', '[{"grantee": "", "operations": ["query"]}]')$$,
    $$issue_protocol('P0001', 'text',
        '[{"grantee": "hospital-a", "operations": ["query"], "purpose": ""}]')$$,
    $$issue_protocol('P0001', 'text', '[]', '[{"holder": "data-centre", "relation": " "}]')$$,
    $$issue_protocol('P0001', 'text', '[]', '[{"holder": "", "relation": "public.x"}]')$$,
    $$amend_protocol(gen_random_uuid(), '', 'text', '[]')$$, $$append('visit', '{}', '')$$,
    $$append('visit', '{}', ' ')$$, $$examinee_key_envelope('', 'key')$$,
    $$register_examinee_key(' ', 'key', 'proof')$$);
-- nor is what nobody can see, or look up, anybody's name
SELECT call, field, content FROM test.errors_of($$issue_protocol(E'P\x01', 'text', '[]')$$,
    $$issue_protocol(U&'P\0085', 'text', '[]')$$, $$append('visit', '{}', E'P1\n')$$,
    $$issue_protocol(repeat('P', 1001), 'text', '[]')$$,
    $$append('visit', '{}', repeat('P', 1001))$$,
    $$examinee_key_envelope(E'P\x7f', 'key')$$);
SELECT medchain.append('visit', '{}', repeat('P', 1000)) IS NOT NULL AS appended;
SELECT * FROM test.error_of($$ SELECT medchain.issue_protocol('P0001', 'text', '[]',
    signature => 'AAAA') $$);
SELECT * FROM test.error_of($$ SELECT medchain.issue_protocol('P0001', 'text', '[]',
    signature => 'no base64') $$);
SELECT count(*) FROM medchain.protocols;

--
-- Issuing; read again in the same session at once
--
SELECT medchain.issue_protocol('P0001', 'Station A may read and update my records.',
    '[{"grantee": "hospital-a", "operations": ["query", "update"], "purpose": "screening", '
    '"valid": "[2026-01-01Z, 2040-01-01Z)", "records": ["public.diagnosis"]},
      {"grantee": "hospital-b", "operations": ["query"], "valid": {"to": "2027-01-01Z"}}]',
    '[{"holder": "data-centre", "relation": "public.diagnosis", "key": {"patient_id": "P0001"}}, '
    '{"holder": "hospital-a", "relation": "public.note"}]') AS p1 \gset
SELECT issuer, identity, protocol_text, state, lower_inf(valid) AND upper_inf(valid) AS for_ever,
    jsonb_pretty(grants #- '{0,valid}' #- '{1,valid}') AS grants FROM medchain.protocols
        WHERE protocol = :'p1';
SELECT ordinal, grantee, operations, purpose, records,
    valid = ANY ('{"[2026-01-01Z, 2040-01-01Z)", "[, 2027-01-01Z)"}'::tstzrange[]) AS valid
        FROM medchain.protocol_grant WHERE protocol = :'p1' ORDER BY 1;
SELECT protocol = :'p1' AS protocol, issuer, holder, relation, key, active
    FROM medchain.data_index('P0001');
SELECT count(*) FROM medchain.data_index('P0002');
SELECT count(*) FROM medchain.data_index(NULL);
-- the ledger has the terms in an envelope with the issuer's signature, and the examinee under a
-- pseudonym
SELECT kind, e.payload::jsonb -> 'body' ->> 'payloadType' AS type, o.reason,
    o.payload::jsonb -> 'text' AS text,
       o.payload::jsonb ->> 'subject' = encode(subject, 'hex') AS subject
    FROM medchain.entry e, LATERAL medchain_internal.open_envelope(e.payload::jsonb -> 'body',
        test.pem('end-node'), 'application/vnd.medchain.protocol+json') o WHERE e.id = :'p1';

-- signed outside, by the key itself and standard tools
\set terms '''P0002'', ''Signed at home.'', ''[{"grantee": "hospital-a", "operations": ["query"]}]'''
SELECT convert_from(medchain.protocol_envelope(:terms), 'UTF8') AS bytes \gset
SELECT :'bytes' ^@ 'DSSEv1 38 application/vnd.medchain.protocol+json ' AS dsse;
SELECT test.sign_outside('end-node', convert_to(:'bytes', 'UTF8')) AS signature \gset
SELECT medchain.issue_protocol('P0002', 'Signed elsewhere.',
    '[{"grantee": "hospital-a", "operations": ["query"]}]', signature => :'signature');
SELECT medchain.issue_protocol(:terms, signature => :'signature') AS p2 \gset
SELECT state, identity FROM medchain.protocols WHERE protocol = :'p2';

--
-- Amending
--
SELECT * FROM test.error_of(format($$ SELECT medchain.amend_protocol(%L, 'P0002', 'text', '[]') $$,
    :'p1'));
SELECT * FROM test.error_of($$ SELECT medchain.amend_protocol(gen_random_uuid(), 'P0001', 'text',
    '[]') $$);
SELECT medchain.amend_protocol(:'p1', 'P0001', 'text', '[{}]');
SELECT medchain.amend_protocol(:'p1', 'P0001', 'Station A may read my records.',
    '[{"grantee": "hospital-a", "operations": ["query"]}]',
    '[{"holder": "data-centre", "relation": "public.diagnosis"}]', '[2026-01-01Z,)') IS NOT NULL
        AS amended;
SELECT protocol_text, state, lower(valid) = '2026-01-01Z' AS since FROM medchain.protocols
    WHERE protocol = :'p1';
SELECT ordinal, grantee, operations, purpose, records FROM medchain.protocol_grant
    WHERE protocol = :'p1' ORDER BY 1;
SELECT holder, relation, key, active FROM medchain.data_index('P0001');
-- expired and future ones are told apart
SELECT medchain.issue_protocol('P0003', 'past',
    '[{"grantee": "hospital-a", "operations": ["query"]}]', '[{"holder": "data-centre", '
    '"relation": "public.diagnosis"}]', '[2020-01-01, 2021-01-01)') AS past \gset
SELECT medchain.issue_protocol('P0003', 'future',
    '[{"grantee": "hospital-a", "operations": ["query"]}]', '[]', '[2999-01-01,)') AS future \gset
SELECT protocol_text, state FROM medchain.protocols WHERE identity = 'P0003' ORDER BY issued;
SELECT holder, active FROM medchain.data_index('P0003');
SELECT holder, active FROM medchain.data_index('P0003', ended => true);

--
-- Notes, and the log of one examinee
--
SELECT medchain.log_diagnosis(:'p1', '{"finding": "benign"}') IS NOT NULL AS logged;
SELECT medchain.log_diagnosis(:'p1', NULL);
SELECT note, content
    FROM unnest(ARRAY['null', '""', '" "', '{}', '[]']) WITH ORDINALITY x (note, i),
    test.error_of(format('SELECT medchain.log_diagnosis(%L, %L)', :'p1', note)) ORDER BY i;
SELECT * FROM test.error_of($$ SELECT medchain.log_diagnosis(gen_random_uuid(), '{}') $$);
SELECT origin, actor, kind, protocol = :'p1' AS protocol, detail ->> 'text' AS text,
    detail -> 'note' AS note FROM medchain.diagnosis_log('P0001') WHERE origin = 'end-node'
        ORDER BY time;

-- at the hospital: known by now, or soon
SELECT format($$ SELECT EXISTS (SELECT FROM medchain.protocols WHERE protocol = %L) $$, :'future')
    AS arrived \gset
\c regress_hospital_a
CALL test.wait_for(:'arrived');
SELECT holder, relation, active FROM medchain.data_index('P0001');
-- the pseudonym is all that is known here
SELECT protocol_text, identity FROM medchain.protocols WHERE protocol = :'p1';
SELECT medchain.issue_protocol('P0001', 'text', '[]');
SELECT medchain.amend_protocol(:'p1', 'P0001', 'text', '[]');
SELECT * FROM test.error_of(format($$ SELECT medchain.revoke_protocol(%L, 'reason') $$, :'p1'));
SELECT medchain.log_diagnosis(:'p1', '{"finding": "seen"}') IS NOT NULL AS logged;
SELECT medchain.seal();

--
-- Revoking: by the issuer, and by the data centre
--
\c regress_end_node
CALL test.wait_for($$ SELECT EXISTS (SELECT FROM medchain.diagnosis_log('P0001')
    WHERE origin = 'hospital-a' AND kind = 'note') $$);
SELECT origin, kind, detail -> 'note' AS note FROM medchain.diagnosis_log('P0001')
    WHERE kind = 'note' ORDER BY time;
SELECT medchain.revoke_protocol(:'p2', 'treatment is over') IS NOT NULL AS revoked;
SELECT state, revoked_by, revoke_reason FROM medchain.protocols WHERE protocol = :'p2';
SELECT count(medchain.revoke_protocol(:'p2', 'again'));
SELECT medchain.amend_protocol(:'p2', 'P0002', 'text', '[]');
SELECT * FROM test.error_of($$ SELECT medchain.revoke_protocol(gen_random_uuid(), '') $$);
\c :data_centre
CALL test.wait_for(format($$ SELECT state = 'revoked' FROM medchain.protocols
    WHERE protocol = %L $$, :'p2'));
CALL test.wait_for(:'arrived');
SELECT medchain.amend_protocol(:'future', 'P0003', 'text', '[]');
SELECT medchain.revoke_protocol(:'future', NULL) IS NOT NULL AS revoked;
SELECT state, revoked_by, revoke_reason FROM medchain.protocols
    WHERE protocol IN (:'p1', :'p2', :'past', :'future') ORDER BY issued;
SELECT origin, ok, fault, detail FROM medchain.verify() ORDER BY 1;
SELECT count(*) AS rejections FROM medchain.rejections;
