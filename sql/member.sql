--
-- The life of a member: suspended, reinstated, with new keys and certificates, revoked, expelled;
-- policies and keys of examinees.
--
\set SHOW_CONTEXT never
\getenv srcdir PG_ABS_SRCDIR
\set helpers :srcdir '/test/regress/helpers.sql'
SELECT current_database() AS data_centre, current_user AS superuser \gset
CREATE DATABASE regress_hospital_b TEMPLATE template0 ENCODING 'UTF8';
SELECT test.key_file('hospital-b') AS old_key, test.key_file('ec') AS new_key,
    test.key_file('hospital-b-tls') AS third_key \gset
ALTER DATABASE regress_hospital_b SET medchain.signing_key = :'old_key';
\c regress_hospital_b
\set ECHO none
\i :helpers
\set ECHO all
CREATE EXTENSION medchain CASCADE;
CALL test.use_key('hospital-b');
SELECT medchain.join_alliance('hospital-b', test.pem('hospital-b'), test.conninfo('regression'))
    IS NOT NULL AS joined;
SELECT medchain.connect_peer('end-node', test.conninfo('regress_end_node'));
\c regress_end_node
\set ECHO none
\i :helpers
\set ECHO all
CALL test.wait_for($$ SELECT EXISTS (SELECT FROM medchain.members WHERE member = 'hospital-b') $$);
SELECT medchain.connect_peer('hospital-b', test.conninfo('regress_hospital_b'));
SELECT medchain.configure_ledger('hospital-b') IS NOT NULL AS configured;
\c :data_centre
SELECT medchain.connect_peer('hospital-b', test.conninfo('regress_hospital_b'));
CALL test.wait_for($$ SELECT state = 'active' FROM medchain.members WHERE member = 'hospital-b' $$);

--
-- Refused: by privilege, by the kind of node, and for bad arguments
--
SET ROLE regress_nobody;
\set VERBOSITY sqlstate
SELECT medchain.suspend('hospital-b', 'x');
SELECT medchain.reinstate('hospital-b');
SELECT medchain.expel('hospital-b', 'x');
SELECT medchain.rekey('hospital-b', 'x');
SELECT medchain.rekey_envelope('hospital-b', 'x');
SELECT medchain.add_crl('x');
SELECT medchain.set_policy('examinee_signature', 'required');
SELECT medchain.register_examinee_key('P1', 'x', 'x');
SELECT medchain.examinee_key_envelope('P1', 'x');
SELECT medchain.withdraw_examinee_key('P1', 'x');
SELECT medchain.protocol_envelope('P1', 'text', '[]');
\set VERBOSITY default
RESET ROLE;
SELECT pg_read_file(current_setting('medchain_test.pki') || '/ca.crl') AS ca_crl,
    pg_read_file(current_setting('medchain_test.pki') || '/ca-old.crl') AS old_crl,
       pg_read_file(current_setting('medchain_test.pki') || '/rogue-ca.crl') AS rogue_crl,
           pg_read_file(current_setting('medchain_test.pki') || '/intermediate.crl')
               AS intermediate_crl \gset
SELECT * FROM test.errors_of($$suspend(NULL, 'x')$$, $$suspend('nobody', 'x')$$,
    $$suspend('data-centre', 'x')$$, $$reinstate(NULL)$$, $$reinstate('nobody')$$,
        $$reinstate('data-centre')$$, $$reinstate('hospital-b')$$,
    $$expel(NULL, 'x')$$, $$expel('nobody', 'x')$$, $$expel('data-centre', 'x')$$,
    $$set_policy(NULL, 'required')$$, $$set_policy('colour', 'red')$$,
        $$set_policy('examinee_signature', NULL)$$, $$set_policy('examinee_signature', 'perhaps')$$,
    $$add_crl(NULL)$$, $$add_crl('no list')$$, $$add_crl(test.pem('ca'))$$,
    $$withdraw_examinee_key(NULL, 'x')$$, $$withdraw_examinee_key('P1', 'x')$$,
    $$register_examinee_key('P1', test.pem('ec'), 'AAAA')$$,
        $$examinee_key_envelope('P1', test.pem('ec'))$$,
    $$rekey(NULL, test.pem('ec'))$$, $$rekey('nobody', test.pem('ec'))$$,
        $$rekey('hospital-b', test.pem('hospital-b-tls'))$$,
            $$rekey('hospital-b', NULL, last_height => 0)$$,
    $$rekey('hospital-b', test.pem('hospital-b-tls'), last_height => 100000)$$,
        $$rekey('hospital-b', test.pem('hospital-b-tls'), last_height => -2)$$,
            $$rekey('hospital-b', test.pem('hospital-b-tls'), last_height => 0)$$,
    $$rekey('sm2', test.pem('ec'), last_height => 0)$$, $$rekey('data-centre', NULL)$$,
        $$rekey('data-centre', test.pem('ec'), last_height => 0)$$,
            $$rekey('data-centre', 'no certificate')$$,
                $$rekey('data-centre', test.pem('expired'))$$,
    $$rekey('data-centre', test.pem('rogue'))$$, $$rekey('data-centre', test.pem('hospital-a'))$$,
        $$rekey('data-centre', test.pem('ec'), 'no key')$$,
            $$rekey('data-centre', test.pem('ec'), test.pem('hospital-a'))$$,
    $$rekey('data-centre', test.pem('ec'))$$,
        $$rekey('data-centre', test.pem('ec'), proof => 'AAAA')$$,
            $$rekey('data-centre', test.pem('ec'), proof => 'no base64')$$,
    $$rekey_envelope(NULL, test.pem('ec'))$$, $$rekey_envelope('nobody', test.pem('ec'))$$,
        $$rekey_envelope('hospital-b', NULL)$$,
            $$rekey_envelope('hospital-b', test.pem('nosign'))$$,
    $$rekey_envelope('hospital-b', test.pem('ec'), last_height => 100000)$$,
        $$rekey_envelope('hospital-b', test.pem('data-centre'))$$);
SELECT * FROM test.error_of(format('SELECT medchain.add_crl(%L)', :'rogue_crl'));
SELECT * FROM test.error_of(format('SELECT medchain.add_crl(%L)', :'ca_crl' || :'rogue_crl'));
\c regress_hospital_b
CALL test.wait_for($$ SELECT state = 'active' FROM medchain.members WHERE member = 'hospital-b' $$);
SELECT * FROM test.errors_of($$suspend('hospital-a', 'x')$$, $$reinstate('hospital-a')$$,
    $$expel('hospital-a', 'x')$$, $$set_policy('examinee_signature', 'required')$$,
        $$add_crl('x')$$,
    $$rekey('hospital-a', test.pem('ec'), last_height => 0)$$,
        $$rekey('hospital-b', test.pem('ec'), last_height => 0)$$,
            $$register_examinee_key('P1', test.pem('ec'), 'AAAA')$$,
                $$examinee_key_envelope('P1', test.pem('ec'))$$,
    $$withdraw_examinee_key('P1', 'x')$$);
CREATE DATABASE regress_alone TEMPLATE template0 ENCODING 'UTF8';
\c regress_alone
\set ECHO none
\i :helpers
\set ECHO all
CREATE EXTENSION medchain CASCADE;
SELECT * FROM test.errors_of($$suspend('a', 'x')$$, $$expel('a', 'x')$$, $$rekey('a', 'x')$$,
    $$rekey_envelope('a', 'x')$$, $$add_crl('x')$$,
        $$set_policy('examinee_signature', 'required')$$, $$accept_contract()$$,
            $$end_contract('a', 'x')$$,
    $$contract_envelope('a')$$, $$contract_envelope(gen_random_uuid())$$,
        $$examinee_key_envelope('P1', 'x')$$, $$withdraw_examinee_key('P1', 'x')$$);

--
-- Suspended and reinstated, by an administrator who is no superuser
--
\c :data_centre regress_governor
SELECT medchain.suspend('hospital-b', 'audit of its consents') IS NOT NULL AS suspended;
SELECT state, reason FROM medchain.members WHERE member = 'hospital-b';
SELECT medchain.suspend('hospital-b', 'x');
SELECT medchain.suspend('end-node', NULL) IS NOT NULL AS suspended;
SELECT state, reason = '' AS no_reason FROM medchain.members WHERE member = 'end-node';
SELECT member, reason, to_seq IS NULL AS open FROM medchain.exclusion ORDER BY 1;
\c regress_end_node :superuser
CALL test.wait_for($$ SELECT state = 'suspended' FROM medchain.members
    WHERE member = 'end-node' $$);
SELECT * FROM test.errors_of($$issue_protocol('P1', 'text', '[]')$$,
    $$configure_ledger('hospital-b')$$);
\c :data_centre regress_governor
SELECT medchain.reinstate('end-node') IS NOT NULL AS reinstated;
SELECT medchain.reinstate('hospital-b') IS NOT NULL AS reinstated;
SELECT medchain.reinstate('hospital-b');
SELECT member, state, reason FROM medchain.members WHERE member IN ('end-node', 'hospital-b')
    ORDER BY 1;
SELECT member, reason, to_seq IS NULL AS open FROM medchain.exclusion ORDER BY 1;

--
-- A new key: the old one signs over it, and the new one over the same bytes
--
\c regress_hospital_b :superuser
CALL test.wait_for($$ SELECT state = 'active' FROM medchain.members WHERE member = 'hospital-b' $$);
SELECT medchain.rekey_envelope('hospital-b', test.pem('ec')) AS other,
    medchain.rekey_envelope('hospital-b', test.pem('hospital-a'), test.pem('ec')) AS taken,
       medchain.rekey_envelope('hospital-b', test.pem('hospital-b-tls'), test.pem('ec'))
           AS envelope \gset
SELECT test.sign_outside('ec', :'other', '-digest sha256') AS other, test.sign_outside('ec',
    :'taken', '-digest sha256') AS taken,
       test.sign_outside('ec', :'envelope', '-digest sha256') AS proof,
           test.sign_outside('hospital-b-tls', :'envelope', '-digest sha256')
               AS by_certificate \gset
SELECT *
    FROM test.error_of(format($$ SELECT medchain.rekey('hospital-b', test.pem('sm2'),
        proof => %L) $$, :'proof'));
-- a certificate is for its member's name, and taken by who has its key
SELECT *
    FROM test.error_of(format($$ SELECT medchain.rekey('hospital-b', test.pem('ec'),
        proof => %L) $$, :'other'));
SELECT *
    FROM test.error_of(format($$ SELECT medchain.rekey('hospital-b', test.pem('hospital-a'),
        test.pem('ec'), %L) $$, :'taken'));
SELECT *
    FROM test.error_of(format($$ SELECT medchain.rekey('hospital-b', test.pem('hospital-b-tls'),
        test.pem('ec'), %L) $$, :'proof'));
SELECT *
    FROM test.error_of(format($$ SELECT medchain.rekey('hospital-b', test.pem('hospital-b-tls'),
        test.pem('ec'), %L, certificate_proof => 'AAAA') $$, :'proof'));
SELECT medchain.rekey('hospital-b', test.pem('hospital-b-tls'), test.pem('ec'), :'proof',
    certificate_proof => :'by_certificate') AS rekey \gset
SELECT test.pae(payload::jsonb -> 'body') = :'envelope'::bytea AS bytes,
    jsonb_array_length(payload::jsonb -> 'body' -> 'signatures') AS signatures FROM medchain.entry
        WHERE id = :'rekey';
SELECT member, from_height > 0 AS later, (medchain.key_facts(public_key)).algorithm
    FROM medchain.ledger_key WHERE member = 'hospital-b' ORDER BY from_height;
SELECT certificate_subject, ledger_algorithm FROM medchain.members WHERE member = 'hospital-b';
SELECT * FROM test.errors_of($$rekey('hospital-b', test.pem('hospital-b'))$$,
    $$rekey_envelope('hospital-b', test.pem('hospital-b'))$$);
-- it seals with the new one from now on
ALTER DATABASE regress_hospital_b SET medchain.signing_key = :'new_key';
SELECT count(pg_terminate_backend(pid, 60000)) FROM pg_stat_activity
    WHERE backend_type = 'medchain sealer' AND datname = current_database();
CALL test.use_key('ec');
SELECT medchain.append('remark', '"with the new key"') IS NOT NULL AS appended;
SELECT medchain.seal();
\c :data_centre
CALL test.wait_for($$ SELECT EXISTS (SELECT FROM medchain.entry
    WHERE payload ~ '"with the new key"') $$);
SELECT member, certificate_subject, certificate_days_left > 3600 AS long, ledger_algorithm
    FROM medchain.members WHERE member = 'hospital-b';
SELECT "position", subject, days_left > 3600 AS long, days_left = floor(extract(epoch
    FROM not_after - now()) / 86400) AS days, is_anchor FROM medchain.certificates
        WHERE member = 'hospital-b' ORDER BY 1;
SELECT ok, fault, detail FROM medchain.verify('hospital-b');

-- and after its loss, by the data centre, with a certificate for the same name
SELECT height AS height FROM medchain.chains WHERE origin = 'hospital-b' \gset
SELECT medchain.rekey_envelope('hospital-b', test.pem('hospital-b-tls'), last_height => :height)
    AS envelope, medchain.rekey_envelope('hospital-b', test.pem('sm2'), last_height => :height)
        AS other \gset
SELECT test.sign_outside('hospital-b-tls', :'envelope', '-digest sha256') AS proof,
    test.sign_outside('sm2', :'other', '-digest sm3 -pkeyopt distid:1234567812345678')
        AS other \gset
SELECT *
    FROM test.error_of(format($$ SELECT medchain.rekey('hospital-b', test.pem('sm2'), proof => %L,
        last_height => %s) $$, :'other', :'height'));
SELECT *
    FROM test.error_of(format($$ SELECT medchain.rekey('hospital-b', test.pem('hospital-b-tls'),
        last_height => %s) $$, :'height'));
SELECT *
    FROM test.error_of(format($$ SELECT medchain.rekey('hospital-b', test.pem('hospital-b-tls'),
        proof => %L, last_height => %s) $$, :'proof', :'height' - 1));
SELECT medchain.rekey('hospital-b', test.pem('hospital-b-tls'), proof => :'proof',
    last_height => :height) AS rekey \gset
SELECT test.pae(payload::jsonb -> 'body') = :'envelope'::bytea AS bytes FROM medchain.entry
    WHERE id = :'rekey';
SELECT from_height = :height + 1 AS next, follows IS NOT NULL AS named,
    (medchain.key_facts(public_key)).algorithm FROM medchain.ledger_key WHERE member = 'hospital-b'
        ORDER BY from_height DESC LIMIT 1;
\c regress_hospital_b
CALL test.wait_for($$ SELECT count(*) = 3 FROM medchain.ledger_key WHERE member = 'hospital-b' $$);
ALTER DATABASE regress_hospital_b SET medchain.signing_key = :'third_key';
SELECT count(pg_terminate_backend(pid, 60000)) FROM pg_stat_activity
    WHERE backend_type = 'medchain sealer' AND datname = current_database();
CALL test.use_key('hospital-b-tls');
SELECT medchain.append('remark', '"with the third key"') IS NOT NULL AS appended;
SELECT medchain.seal();

--
-- Examinees who sign themselves
--
\c :data_centre regress_governor
CALL test.wait_for($$ SELECT EXISTS (SELECT FROM medchain.entry
    WHERE payload ~ '"with the third key"') $$);
SELECT medchain.set_policy('examinee_signature', 'required') IS NOT NULL AS set;
SELECT policy, value, since <= now() AS since FROM medchain.policies;
\c regress_end_node :superuser
CALL test.wait_for($$ SELECT count(*) = 2 FROM medchain.policies $$);
SELECT medchain.examinee_key_envelope('P0042', test.pem('ec')) AS first_envelope,
    medchain.examinee_key_envelope('P0042', test.pem('sm2')) AS second_envelope,
       medchain.protocol_envelope('P0042', 'mine',
           '[{"grantee": "hospital-a", "operations": ["query"]}]') AS protocol_envelope \gset
SELECT test.sign_outside('ec', :'first_envelope', '-digest sha256') AS first,
    test.sign_outside('sm2', :'second_envelope', '-digest sm3 -pkeyopt distid:1234567812345678')
        AS second,
       test.sign_outside('ec', :'second_envelope', '-digest sha256') AS over_second,
           test.sign_outside('sm2', :'protocol_envelope',
               '-digest sm3 -pkeyopt distid:1234567812345678') AS signature,
       test.sign_outside('ec', :'protocol_envelope', '-digest sha256') AS old_signature \gset
CREATE ROLE regress_clerk LOGIN IN ROLE medchain_member;
\c - regress_clerk
SELECT medchain.register_examinee_key(NULL, 'x', 'x');
SELECT medchain.register_examinee_key('P0042', NULL, 'x');
SELECT medchain.register_examinee_key('P0042', 'no key', 'x');
SELECT medchain.examinee_key_envelope(NULL, 'x');
SELECT medchain.examinee_key_envelope('P0042', 'no key');
\c - :superuser
SELECT * FROM test.errors_of($$register_examinee_key('P0042', test.pem('ec'), NULL)$$,
    $$register_examinee_key('P0042', test.pem('ec'), 'AAAA')$$,
        $$register_examinee_key('P0042', test.pem('ec'), 'no base64')$$);
SET ROLE medchain_member;
SELECT medchain.issue_protocol('P0042', 'mine',
    '[{"grantee": "hospital-a", "operations": ["query"]}]') IS NOT NULL AS "no key: no signature";
RESET ROLE;
SELECT medchain.register_examinee_key('P0042', test.pem('ec'), :'first') AS first_key \gset
SELECT *
    FROM test.error_of(format($$ SELECT medchain.register_examinee_key('P0042', test.pem('sm2'),
        %L) $$, :'second'));
SELECT *
    FROM test.error_of(format($$ SELECT medchain.register_examinee_key('P0042', test.pem('sm2'),
        %L, 'AAAA') $$, :'second'));
SELECT medchain.register_examinee_key('P0042', test.pem('sm2'), :'second', :'over_second')
    AS second_key \gset
SELECT test.pae(payload::jsonb -> 'body') = CASE id WHEN :'first_key' THEN :'first_envelope'::bytea
    ELSE :'second_envelope' END AS bytes, subject = medchain.pseudonym('P0042') AS pseudonym,
        payload ~ 'P0042' AS readable
    FROM medchain.entry WHERE id IN (:'first_key', :'second_key') ORDER BY seq;
SELECT *
    FROM test.errors_of($$issue_protocol('P0042', 'mine', $$
        || $$'[{"grantee": "hospital-a", "operations": ["query"]}]')$$,
    $$issue_protocol('P0042', 'mine', '[{"grantee": "hospital-a", "operations": ["query"]}]', $$
        || $$examinee_signature => 'AAAA')$$);
SELECT *
    FROM test.error_of(format($$ SELECT medchain.issue_protocol('P0042', 'mine',
        '[{"grantee": "hospital-a", "operations": ["query"]}]', examinee_signature => %L) $$,
            :'old_signature'));
SELECT medchain.issue_protocol('P0042', 'gives nobody anything', '[]') IS NOT NULL AS issued;
SELECT medchain.issue_protocol('P0042', 'mine',
    '[{"grantee": "hospital-a", "operations": ["query"]}]', examinee_signature => :'signature')
        AS protocol \gset
SELECT test.pae(payload::jsonb -> 'body') = :'protocol_envelope'::bytea AS bytes,
    jsonb_array_length(payload::jsonb -> 'body' -> 'signatures') AS signatures FROM medchain.entry
        WHERE id = :'protocol';
-- an amendment is other bytes: they name the protocol
SELECT medchain.protocol_envelope('P0042', 'amended',
    '[{"grantee": "hospital-a", "operations": ["query"]}]', '[]', NULL, :'protocol')
        AS amendment_envelope \gset
SELECT test.sign_outside('sm2', :'amendment_envelope',
    '-digest sm3 -pkeyopt distid:1234567812345678') AS signature \gset
SELECT *
    FROM test.error_of(format($$ SELECT medchain.amend_protocol(%L, 'P0042', 'amended',
        '[{"grantee": "hospital-a", "operations": ["query"]}]') $$, :'protocol'));
SELECT medchain.amend_protocol(:'protocol', 'P0042', 'amended',
    '[{"grantee": "hospital-a", "operations": ["query"]}]', examinee_signature => :'signature')
        AS amendment \gset
SELECT test.pae(payload::jsonb -> 'body') = :'amendment_envelope'::bytea AS bytes
    FROM medchain.entry WHERE id = :'amendment';
SELECT protocol_text, state FROM medchain.protocols WHERE protocol = :'protocol';
SELECT * FROM test.errors_of($$protocol_envelope(NULL, 'text', '[]')$$,
    $$protocol_envelope('P0042', NULL, '[]')$$, $$protocol_envelope('P0042', 'text', NULL)$$,
        $$protocol_envelope('P0042', 'text', '[{}]')$$);
\c :data_centre regress_governor
CALL test.wait_for(format($$ SELECT EXISTS (SELECT FROM medchain.claim WHERE id = %L
    AND effective) $$, :'amendment'));
SELECT medchain.withdraw_examinee_key('P0042', 'card lost') IS NOT NULL AS withdrawn;
SELECT medchain.withdraw_examinee_key('P0042', 'card lost');
SELECT medchain.set_policy('examinee_signature', 'optional') IS NOT NULL AS set;
SELECT policy, value FROM medchain.policies;

--
-- Revocation lists
--
\c :data_centre :superuser
SELECT medchain.admit('revoked', 'chain_node', test.pem('revoked')) IS NOT NULL AS admitted;
\c - regress_governor
SELECT medchain.add_crl(:'ca_crl') IS NOT NULL AND medchain.add_crl(:'old_crl') IS NOT NULL
    AND medchain.add_crl(:'intermediate_crl') IS NOT NULL AS added;
SELECT medchain.add_crl(:'ca_crl');
SELECT issuer, expired, revoked_certificates, this_update < added AS before,
    next_update > this_update AS period FROM medchain.revocation_lists ORDER BY this_update,
        issuer, revoked_certificates;
SELECT member, state, reason FROM medchain.members WHERE member = 'revoked';
SELECT revoke_reason, revoked IS NOT NULL AS revoked FROM medchain.member_certificate
    WHERE member = 'revoked';

--
-- Expelled
--
\c :data_centre regress_governor
SELECT medchain.expel('hospital-b', 'forged consents') IS NOT NULL AS expelled;
SELECT state, reason FROM medchain.members WHERE member = 'hospital-b';
SELECT m.last_height = c.height AS last, c.state FROM medchain.member m
    JOIN medchain.chains c ON c.origin = m.name WHERE m.name = 'hospital-b';
\c - :superuser
SELECT * FROM test.errors_of($$expel('hospital-b', 'x')$$, $$suspend('hospital-b', 'x')$$,
    $$reinstate('hospital-b')$$, $$amend_contract('hospital-b')$$,
        $$admit('hospital-b', 'chain_node', test.pem('hospital-b'))$$,
    $$end_contract('hospital-b', 'x')$$,
        $$rekey('hospital-b', test.pem('hospital-b-tls'), last_height => 0)$$,
            $$contract_envelope('hospital-b')$$);
\c regress_hospital_b
CALL test.wait_for($$ SELECT state = 'expelled' FROM medchain.members
    WHERE member = 'hospital-b' $$);
SELECT * FROM test.errors_of($$issue_protocol('P1', 'text', '[]')$$);
\c :data_centre

--
-- What gets past the functions has no effect
--
SELECT size AS before FROM medchain.chain WHERE origin = 'data-centre' \gset
SELECT count(medchain_internal.append_governance(k, b::jsonb))
    FROM (VALUES ('suspend', '{}'), ('suspend', '{"member": "nobody", "last": {"height": -1, '
        '"size": 0}}'), ('suspend', '{"member": "data-centre", "last": {"height": -1, "size": 0}}'),
    ('suspend', '{"member": "hospital-a"}'), ('suspend', '{"member": "hospital-a", "last": '
        '{"height": -2, "size": 0}}'), ('suspend', '{"member": "hospital-a", "last": {"height": 1, '
        '"size": 1}}'),
    ('suspend', '{"member": "hospital-b", "last": {"height": -1, "size": 0}}'),
        ('reinstate', '{"member": "hospital-a", "last": {"height": -1, "size": 0}}'),
            ('reinstate', '{"member": "end-node", "last": {"height": -1, "size": 0}}'),
    ('expel', '{"member": "hospital-b", "last": {"height": -1, "size": 0}}'),
        ('expel', '{"member": "hospital-a", "last": "here"}'),
    ('ending', '{"member": "hospital-a", "contract": "x", "last": {"height": -1, "size": 0}}'),
        ('ending', '{"member": "hospital-a"}'), ('ending', '{}'),
    ('crl', '{}'), ('crl', '{"crl": "no list", "last": {}}'),
        ('crl', '{"crl": "no list", "last": {"hospital-a": 1}}'),
            ('policy', '{"policy": "colour", "value": "red", "last": {}}'),
                ('policy', '{"policy": "examinee_signature", "value": "required"}'),
    ('policy', '{"policy": "examinee_signature", "value": "required", "last": {"end-node": []}}'),
        ('examinee_withdrawal', '{"last": {}}'), ('examinee_key', '{}'), ('rekey', '{}'),
    ('anchors', '{}')) x (k, b);
SELECT kind, test.masked(about) AS about, reason FROM medchain.rejections
    WHERE origin = 'data-centre' AND seq >= :before ORDER BY seq;
SELECT member, state FROM medchain.members ORDER BY 1;

-- revocation lists are looked up in the intermediates that came with contracts, whatever else is in
-- those certificates' texts
SELECT count(medchain.admit('within', 'chain_node', repeat('x', 600000) || E'\n'
    || test.pem('within'))) AS offers FROM generate_series(1, 2);
SELECT pg_read_file(current_setting('medchain_test.pki') || '/ca-empty.crl') AS crl \gset
SELECT medchain.add_crl(:'crl') IS NOT NULL AS added;
SELECT origin, ok, fault, detail FROM medchain.verify() ORDER BY 1;
DROP DATABASE regress_alone WITH (FORCE);
