--
-- A whole alliance in the databases of one server: joining, configuring, following each other's
-- chains.
--
\set SHOW_CONTEXT never
\getenv srcdir PG_ABS_SRCDIR
\set helpers :srcdir '/test/regress/helpers.sql'
CREATE ROLE regress_alliance LOGIN REPLICATION IN ROLE medchain_peer;
CREATE DATABASE regress_end_node TEMPLATE template0 ENCODING 'UTF8';
CREATE DATABASE regress_hospital_a TEMPLATE template0 ENCODING 'UTF8';
SELECT test.key_file('end-node') AS end_node_key, test.key_file('hospital-a')
    AS hospital_a_key \gset
ALTER DATABASE regress_end_node SET medchain.signing_key = :'end_node_key';
ALTER DATABASE regress_hospital_a SET medchain.signing_key = :'hospital_a_key';
SELECT current_database() AS data_centre \gset

\c regress_end_node
\set ECHO none
\i :helpers
\set ECHO all
CREATE EXTENSION medchain CASCADE;
CALL test.use_key('end-node');

-- refused
SELECT medchain.join_alliance('end-node', test.pem('end-node'), NULL);
SELECT test.state_of($$ SELECT medchain.join_alliance('end-node', test.pem('end-node'),
    'nonsense') $$);
SELECT test.state_of($$ SELECT medchain.join_alliance('end-node', test.pem('end-node'),
    test.conninfo('nowhere')) $$);
SELECT test.state_of($$ SELECT medchain.join_alliance('end-node', test.pem('end-node'),
    test.conninfo('regress_hospital_a')) $$);
SELECT * FROM test.error_of($$ SELECT medchain.join_alliance('end-node', test.pem('hospital-a'),
    test.conninfo('regression')) $$) WHERE field = 'error';
SELECT * FROM test.error_of($$ SELECT medchain.join_alliance('stranger', test.pem('end-node'),
    test.conninfo('regression')) $$);
SELECT * FROM test.error_of($$ SELECT medchain.join_alliance('hospital-a', test.pem('end-node'),
    test.conninfo('regression')) $$);
SELECT count(*) AS nodes FROM medchain.local_node;

SELECT medchain.join_alliance('end-node', test.pem('end-node'), test.conninfo('regression'))
    IS NOT NULL AS joined;
SELECT alliance, node, data_center, length(genesis) AS genesis FROM medchain.alliance;
SELECT medchain.join_alliance('end-node', test.pem('end-node'), test.conninfo('regression'));
CALL test.wait_for($$ SELECT state = 'active' FROM medchain.members WHERE member = 'end-node' $$);
SELECT member, kind, state, configured_by FROM medchain.members ORDER BY 1;

\c regress_hospital_a
\set ECHO none
\i :helpers
\set ECHO all
CREATE EXTENSION medchain CASCADE;
CALL test.use_key('hospital-a');
SELECT medchain.join_alliance('hospital-a', test.pem('hospital-a'), test.conninfo('regression'))
    IS NOT NULL AS joined;
CALL test.wait_for($$ SELECT state = 'accepted' FROM medchain.members
    WHERE member = 'hospital-a' $$);
-- takes no part before an end node has configured its ledger
SELECT medchain.issue_protocol('P1', 'text', '[]');
SELECT origin, state FROM medchain.chains ORDER BY 1;

-- everybody follows everybody
SELECT medchain.connect_peer('end-node', test.conninfo('regress_end_node'));
\c :data_centre
SELECT medchain.connect_peer('hospital-a', NULL);
SELECT medchain.connect_peer('data-centre', test.conninfo('regression'));
SELECT * FROM test.error_of($$ SELECT medchain.connect_peer('end-node',
    test.conninfo('regress_hospital_a')) $$);
SELECT medchain.connect_peer('end-node', test.conninfo('regress_end_node'));
SELECT medchain.connect_peer('end-node', test.conninfo('regress_end_node'));
SELECT medchain.connect_peer('hospital-a', test.conninfo('regress_hospital_a'));
CALL test.wait_for($$ SELECT state = 'active' FROM medchain.members WHERE member = 'end-node' $$);
-- the hospital's blocks have arrived, and wait
CALL test.wait_for($$ SELECT state = 'held, not configured' AND held_blocks > 0
    FROM medchain.chains WHERE origin = 'hospital-a' $$);

\c regress_end_node
SELECT medchain.connect_peer('hospital-a', test.conninfo('regress_hospital_a'));
SELECT medchain.configure_ledger('nobody');
SELECT * FROM test.error_of($$ SELECT medchain.configure_ledger('end-node') $$);
SELECT * FROM test.error_of($$ SELECT medchain.configure_ledger('hospital-a', 'no key') $$)
    WHERE field = 'error';
SELECT medchain.configure_ledger('hospital-a', test.pem('data-centre'));
SELECT medchain.configure_ledger('hospital-a') IS NOT NULL AS configured;
SELECT medchain.admit('hospital-c', 'chain_node', '');
\c :data_centre
CALL test.wait_for($$ SELECT state = 'active' FROM medchain.members WHERE member = 'hospital-a' $$);
CALL test.wait_for($$ SELECT state = 'verified' AND held_blocks = 0 FROM medchain.chains
    WHERE origin = 'hospital-a' $$);
SELECT member, kind, state, capabilities, configured_by, ledger_algorithm FROM medchain.members
    ORDER BY 1;
SET ROLE medchain_auditor;
SELECT member, "position", subject, days_left > 3600 AS long, serial ~ '^([0-9A-F]{2}){8,20}$'
    AS serial, is_anchor FROM medchain.certificates ORDER BY 1, 2;
RESET ROLE;
CALL test.wait_for($$ SELECT count(*) = 2 FROM medchain.peers WHERE state = 'streaming'
    AND follower_state = 'following us' $$);
SELECT member, state, follower_state FROM medchain.peers ORDER BY 1;

-- an entry of one is soon with all, in a chain that everybody has verified
\c regress_hospital_a
SELECT medchain.append('remark', '"hello"', 'P0001') IS NOT NULL AS appended;
SELECT medchain.seal();
SELECT head AS head FROM medchain.chains WHERE origin = 'hospital-a' \gset
CALL test.wait_for($$ SELECT state = 'verified' FROM medchain.chains WHERE origin = 'end-node' $$);
\c regress_end_node
SELECT format($$ SELECT head = %L FROM medchain.chains WHERE origin = 'hospital-a' $$, :'head')
    AS same_head \gset
CALL test.wait_for(:'same_head');
\c :data_centre
CALL test.wait_for(:'same_head');
SELECT origin, kind, payload::jsonb -> 'body' AS body FROM medchain.entry
    WHERE origin = 'hospital-a' AND kind = 'remark';
-- the same examinee is the same pseudonym everywhere
SELECT DISTINCT origin, kind FROM medchain.diagnosis_log('P0001') ORDER BY 1;
SELECT origin, state, quarantined FROM medchain.chains ORDER BY 1;
SELECT origin, ok, fault, detail FROM medchain.verify() ORDER BY 1;
SELECT * FROM medchain.rejections;
-- what leads out of the extension keeps it from being dropped
\set VERBOSITY terse
DROP EXTENSION medchain;
\set VERBOSITY default
