--
-- Smart contracts: amended, countersigned, ended; signed outside of the database.
--
\set SHOW_CONTEXT never
\getenv srcdir PG_ABS_SRCDIR
\set helpers :srcdir '/test/regress/helpers.sql'
SELECT current_database() AS data_centre, current_user AS superuser \gset
\set ECHO none
\i :helpers
\set ECHO all

--
-- Who may call what
--
SELECT count(*) AS rejections FROM medchain.rejections \gset
SELECT p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')' AS function,
    has_function_privilege('regress_nobody', p.oid, 'EXECUTE') AS anybody,
       has_function_privilege('medchain_admin', p.oid, 'EXECUTE') AS admin,
           has_function_privilege('medchain_member', p.oid, 'EXECUTE') AS member,
       has_function_privilege('medchain_auditor', p.oid, 'EXECUTE') AS auditor,
           p.prosecdef AS definer, p.proconfig[1:1]
    FROM pg_proc p WHERE p.pronamespace = ANY ('{medchain,medchain_internal}'::regnamespace[])
        AND p.proname = ANY ('{suspend, reinstate, expel, rekey, rekey_envelope, admit, '
            'amend_contract, accept_contract, end_contract,
        contract_envelope, protocol_envelope, set_policy, register_examinee_key,
        examinee_key_envelope, withdraw_examinee_key, add_crl, renew_anchors}') ORDER BY 1;
SELECT v AS view, has_table_privilege('regress_nobody', 'medchain.' || v, 'SELECT') AS anybody,
    has_table_privilege('medchain_admin', 'medchain.' || v, 'SELECT') AS admin,
       has_table_privilege('medchain_member', 'medchain.' || v, 'SELECT') AS member,
           has_table_privilege('medchain_auditor', 'medchain.' || v, 'SELECT') AS auditor
    FROM unnest('{members, contracts, certificates, policies, revocation_lists, rejections, '
        'protocols, trust_anchors}'::text[]) v ORDER BY 1;
SET ROLE regress_nobody;
\set VERBOSITY sqlstate
SELECT medchain.amend_contract('hospital-a');
SELECT medchain.accept_contract();
SELECT medchain.end_contract('hospital-a', 'x');
SELECT medchain.contract_envelope('hospital-a');
SELECT count(*) FROM medchain.contracts;
\set VERBOSITY default
RESET ROLE;
-- an administrator whose login is bound to another member is not the data centre
CREATE ROLE regress_governor LOGIN IN ROLE medchain_admin;
SELECT medchain.bind_role('regress_governor', 'hospital-a') IS NOT NULL AS bound;
\c - regress_governor
SELECT medchain.amend_contract('hospital-a');
SELECT medchain.suspend('hospital-a', 'x');
\c - :superuser
SELECT medchain.bind_role('regress_governor', NULL) IS NOT NULL AS bound;

--
-- Refused, at the data centre
--
SELECT * FROM test.errors_of($$amend_contract(NULL)$$, $$amend_contract('nobody')$$,
    $$amend_contract('data-centre')$$, $$amend_contract('hospital-a', '{query, fly}')$$,
        $$amend_contract('hospital-a', '{NULL}')$$,
    $$amend_contract('hospital-a', valid => 'empty')$$,
        $$amend_contract('hospital-a', signature => 'AAAA')$$,
            $$amend_contract('hospital-a', signature => 'no base64')$$,
    $$admit('hospital-a', 'end_node', test.pem('hospital-a'))$$, $$end_contract(NULL, 'x')$$,
        $$end_contract('nobody', 'x')$$, $$end_contract('data-centre', 'x')$$,
    $$end_contract('hospital-a', 'x', gen_random_uuid())$$, $$accept_contract()$$,
    $$contract_envelope(NULL)$$, $$contract_envelope('nobody')$$,
        $$contract_envelope('nobody', 'chain_node')$$, $$contract_envelope('data-centre')$$,
            $$contract_envelope('hospital-a', capabilities => '{fly}')$$,
    $$contract_envelope('hospital-a', 'end_node')$$,
        $$contract_envelope('new', 'chain_node', 'no certificate')$$,
            $$contract_envelope('new', 'chain_node', test.pem('hospital-a'))$$,
    $$contract_envelope(NULL::uuid)$$, $$contract_envelope(gen_random_uuid())$$,
        $$contract_envelope('00000000-0000-0000-0000-000000000000')$$);
SELECT test.state_of($$ SELECT medchain.contract_envelope('hospital-a', 'surgeon') $$);

--
-- Amended: an offer changes nothing until it is countersigned
--
SELECT contract AS first FROM medchain.contracts WHERE member = 'hospital-a' AND current \gset
SELECT medchain.amend_contract('hospital-a', '{query}') AS second \gset
SELECT contract = :'first' AS first, contract = :'second' AS second, kind, capabilities, state,
    current, accepted IS NOT NULL AS accepted, ended FROM medchain.contracts
        WHERE member = 'hospital-a' ORDER BY offered;
SELECT capabilities FROM medchain.members WHERE member = 'hospital-a';
-- what it does not name stays as it is
SELECT count(*) AS "same period, kind, certificate" FROM medchain.contract a
    JOIN medchain.contract b ON (a.valid, a.kind, a.certificate) = (b.valid, b.kind, b.certificate)
        WHERE a.id = :'first' AND b.id = :'second';

-- what is signed: DSSE's encoding of the very bytes that are on the ledger; the id may come as text
SELECT medchain.contract_envelope(:'second'::uuid) = test.pae(payload::jsonb -> 'body') AS bytes,
    medchain.contract_envelope(:'second') = medchain.contract_envelope(:'second'::uuid) AS untyped,
       medchain.contract_envelope(upper(:'second')) = medchain.contract_envelope(contract =>
           :'second') AS named FROM medchain.entry WHERE id = :'second';
SELECT medchain.contract_envelope('hospital-a', NULL, NULL, '{query,update}') AS envelope \gset
SELECT test.sign_outside('data-centre', :'envelope') AS signature, test.sign_outside('hospital-b',
    :'envelope') AS forged \gset
SELECT *
    FROM test.error_of(format($$ SELECT medchain.amend_contract('hospital-a', '{query,update}',
        signature => %L) $$, :'forged'));
SELECT *
    FROM test.error_of(format($$ SELECT medchain.amend_contract('hospital-a', '{update,query}',
        signature => %L) $$, :'signature'));
SELECT medchain.amend_contract('hospital-a', '{query,update}', signature => :'signature')
    AS third \gset
SELECT test.pae(payload::jsonb -> 'body') = :'envelope'::bytea AS bytes FROM medchain.entry
    WHERE id = :'third';
-- the same for one that is new
SELECT medchain.contract_envelope('chained', 'chain_node', test.pem('chained'), '{audit}',
    '[2026-01-01Z, 2026-01-02Z)') AS envelope \gset
SELECT medchain.admit('chained', 'chain_node', test.pem('chained'), '{audit}',
    '[2026-01-01Z, 2026-01-02Z)', test.sign_outside('data-centre', :'envelope')) AS chained \gset
SELECT test.pae(payload::jsonb -> 'body') = :'envelope'::bytea AS bytes FROM medchain.entry
    WHERE id = :'chained';
SELECT kind, capabilities, valid = '[2026-01-01Z, 2026-01-02Z)' AS period, state, current
    FROM medchain.contracts WHERE contract = :'chained';

--
-- Countersigned, by the member
--
\c regress_hospital_a
\set ECHO none
\i :helpers
\set ECHO all
SELECT format($$ SELECT EXISTS (SELECT FROM medchain.contracts WHERE contract = %L) $$, :'chained')
    AS arrived \gset
CALL test.wait_for(:'arrived');
SELECT * FROM test.errors_of(format('accept_contract(%L)', :'first'), format('accept_contract(%L)',
    :'chained'), 'accept_contract(gen_random_uuid())', $$accept_contract(signature => 'AAAA')$$,
    $$amend_contract('hospital-a', '{admit}')$$, $$contract_envelope('hospital-a')$$,
        $$end_contract('end-node', 'x')$$, $$end_contract('nobody', 'x')$$);
SELECT medchain.contract_envelope(:'second') = test.pae(payload::jsonb -> 'body') AS bytes
    FROM medchain.entry WHERE id = :'second';
SELECT * FROM test.error_of(format('SELECT medchain.accept_contract(%L, %L)', :'second',
    test.sign_outside('hospital-a', medchain.contract_envelope(:'third'))));
SELECT medchain.accept_contract(:'second', test.sign_outside('hospital-a',
    medchain.contract_envelope(:'second'))) IS NOT NULL AS accepted;
SELECT contract = :'second' AS second, capabilities FROM medchain.members
    WHERE member = 'hospital-a';
SELECT * FROM test.errors_of(format('accept_contract(%L)', :'second'));
-- the newest offer, without saying which
SET ROLE medchain_admin;
SELECT medchain.accept_contract() IS NOT NULL AS accepted;
RESET ROLE;
SELECT contract = :'third' AS third, capabilities FROM medchain.members WHERE member = 'hospital-a';
SELECT contract = :'third' AS third, state, current FROM medchain.contracts
    WHERE member = 'hospital-a' ORDER BY offered;

--
-- Ended
--
\c :data_centre regress_governor
CALL test.wait_for(format($$ SELECT contract = %L FROM medchain.members
    WHERE member = 'hospital-a' $$, :'third'));
SELECT contract = :'third' AS third, state, current FROM medchain.contracts
    WHERE member = 'hospital-a' ORDER BY offered;
SELECT medchain.end_contract('chained', 'a mistake') IS NOT NULL AS taken_back;
SELECT state, reason FROM medchain.members WHERE member = 'chained';
SELECT * FROM test.error_of($$ SELECT medchain.end_contract('chained', 'x') $$);
-- an offer taken back by its id; the contract in force stays
SELECT medchain.amend_contract('hospital-a', '{}') AS fourth \gset
SELECT medchain.end_contract('hospital-a', NULL, :'fourth') IS NOT NULL AS taken_back;
SELECT state, ended IS NOT NULL AS ended, ended_by, end_reason FROM medchain.contracts
    WHERE contract IN (:'chained', :'fourth') ORDER BY offered;
SELECT state, capabilities FROM medchain.members WHERE member = 'hospital-a';
\c :data_centre :superuser

-- an offer after another that was taken back
SELECT medchain.admit('end-node-2', 'end_node', test.pem('end-node-tls'), '{configure}')
    IS NOT NULL AS offered;
SELECT medchain.end_contract('end-node-2', 'never came') IS NOT NULL AS ended;
SELECT medchain.admit('end-node-2', 'end_node', test.pem('end-node-tls'), '{configure}',
    '[2027-01-01Z,)') IS NOT NULL AS again;
SELECT m.state, m.reason, c.state AS contract FROM medchain.members m JOIN medchain.contracts c
    USING (contract) WHERE m.member = 'end-node-2';
-- of two for somebody who has joined the newer is taken back: the other is the one to accept
SELECT medchain.amend_contract('hospital-a', '{query,update,audit}') AS fifth,
    medchain.amend_contract('hospital-a', '{}') AS sixth \gset
SELECT medchain.end_contract('hospital-a', 'a mistake', :'sixth') IS NOT NULL AS taken_back;
\c regress_hospital_a
CALL test.wait_for(format($$ SELECT state = 'ended' FROM medchain.contracts WHERE contract = %L $$,
    :'sixth'));
SELECT medchain.accept_contract() IS NOT NULL AS accepted;
SELECT contract = :'fifth' AS fifth, capabilities FROM medchain.members WHERE member = 'hospital-a';
SELECT * FROM test.errors_of('accept_contract()', format('accept_contract(%L)', :'sixth'));
\c :data_centre
CALL test.wait_for(format($$ SELECT contract = %L FROM medchain.members
    WHERE member = 'hospital-a' $$, :'fifth'));

SELECT count(*) - :rejections AS "new rejections" FROM medchain.rejections;
SELECT origin, ok, fault, detail FROM medchain.verify() ORDER BY 1;
