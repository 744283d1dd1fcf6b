--
-- Founding an alliance and admitting members.
--
\set SHOW_CONTEXT never
CREATE ROLE regress_nobody LOGIN;


--
-- The signing key
--
SELECT * FROM test.error_of($$ SELECT medchain.found_alliance('east', 'data-centre',
    test.pem('data-centre'), test.pem('ca')) $$);

-- a file that others can read is refused, as the server refuses such an ssl_key_file
SELECT test.key_file('open') AS file, format('cp %s %s', test.key_file('data-centre'),
    test.key_file('open')) AS copy,
       format('chmod 644 %s', test.key_file('open')) AS open, format('chmod 600 %s',
           test.key_file('open')) AS close \gset
COPY (SELECT WHERE false) TO PROGRAM :'copy';
COPY (SELECT WHERE false) TO PROGRAM :'open';
ALTER SYSTEM SET medchain.signing_key = :'file';
SELECT pg_reload_conf();
CALL test.wait_for($$ SELECT error ~ 'access' FROM medchain.sealer_status() $$);
SELECT state, test.masked(error) AS error, key_fingerprint FROM medchain.sealer_status();
-- the sealer tries again by itself
COPY (SELECT WHERE false) TO PROGRAM :'close';
CALL test.use_key('data-centre');
SELECT state, error FROM medchain.sealer_status();

ALTER SYSTEM SET medchain.signing_key = '/nonexistent/file';
SELECT pg_reload_conf();
CALL test.wait_for($$ SELECT error ~ 'nonexistent' FROM medchain.sealer_status() $$);
SELECT state, error, sealer_error FROM medchain.sealer_status(), medchain.stat;

-- the certificate is not one of this key
SELECT test.key_file('data-centre') AS file \gset
ALTER SYSTEM SET medchain.signing_key = :'file';
SELECT pg_reload_conf();
CALL test.use_key('data-centre');
SELECT * FROM test.error_of($$ SELECT medchain.found_alliance('east', 'data-centre',
    test.pem('hospital-a'), test.pem('ca')) $$);
SELECT * FROM test.error_of($$ SELECT medchain.found_alliance('east', 'data-centre',
    'no certificate', test.pem('ca')) $$);

-- where secrets lie is nobody's business, and only a superuser says so
SET ROLE regress_nobody;
\set VERBOSITY sqlstate
SHOW medchain.signing_key;
SHOW medchain.pseudonym_key_file;
SET medchain.signing_key = '/tmp/key';
SELECT medchain.found_alliance('east', 'data-centre', '', '');
SELECT * FROM medchain.sealer_status();
SELECT * FROM medchain.members;
\set VERBOSITY default
RESET ROLE;

--
-- What is refused
--
SELECT a, d, e.* FROM (VALUES ('', 'data-centre'), ('ea st', 'data-centre'),
    ('ea+st', 'data-centre'), ('east', ''), ('east', 'data/centre'), ('east', E'data\ncentre'),
        ('east', repeat('x', 64))) n (a, d),
    LATERAL test.error_of(format('SELECT medchain.found_alliance(%L, %L, '
        'test.pem(''data-centre''), test.pem(''ca''))', a, d)) e;
SELECT medchain.found_alliance(NULL, 'data-centre', '', '');
SELECT medchain.found_alliance('east', NULL, '', '');
SELECT medchain.found_alliance('east', 'data-centre', NULL, '');
SELECT medchain.found_alliance('east', 'data-centre', '', NULL);
SELECT medchain.found_alliance('east', 'data-centre', test.pem('data-centre'), 'no anchor');
SELECT medchain.found_alliance('east', 'data-centre', test.pem('data-centre'),
    test.pem('rogue-ca'));
SELECT medchain.found_alliance('east', 'data-centre', test.pem('data-centre'),
    test.pem('data-centre'));

-- each with its own key
SELECT test.key_file('expired') AS expired, test.key_file('rogue') AS rogue,
    test.key_file('nosign') AS nosign \gset
ALTER SYSTEM SET medchain.signing_key = :'expired';
SELECT pg_reload_conf();
CALL test.use_key('expired');
SELECT medchain.found_alliance('east', 'data-centre', test.pem('expired'), test.pem('ca'));
ALTER SYSTEM SET medchain.signing_key = :'rogue';
SELECT pg_reload_conf();
CALL test.use_key('rogue');
SELECT medchain.found_alliance('east', 'data-centre', test.pem('rogue'), test.pem('ca'));
ALTER SYSTEM SET medchain.signing_key = :'nosign';
SELECT pg_reload_conf();
CALL test.use_key('nosign');
SELECT medchain.found_alliance('east', 'data-centre', test.pem('nosign'), test.pem('ca'));
SELECT count(*) AS entries FROM medchain.pending;
SELECT count(*) AS publications FROM pg_publication;

--
-- Founding
--
ALTER SYSTEM SET medchain.signing_key = :'file';
SELECT current_setting('medchain_test.pki') || '/pseudonym.key' AS pseudonym_key \gset
ALTER SYSTEM SET medchain.pseudonym_key_file = :'pseudonym_key';
SELECT pg_reload_conf();
CALL test.use_key('data-centre');
-- the sealer has the new files, this session may not yet
\c -

-- rolled back, it has not happened
BEGIN;
SELECT medchain.found_alliance('west', 'data-centre', test.pem('data-centre'), test.pem('ca'))
    IS NOT NULL AS founded;
ROLLBACK;
SELECT * FROM medchain.alliance;

SELECT medchain.found_alliance('east', 'data-centre', test.pem('data-centre'), test.pem('ca'))
    AS genesis \gset
-- what it wrote can be read at once
SELECT alliance, node, kind, data_center, length(genesis) AS genesis, members
    FROM medchain.alliance;
SELECT member, kind, state, capabilities, configured_by, certificate_subject, certificate_issuer,
    ledger_algorithm, contract = :'genesis' AS contract FROM medchain.members;
SELECT origin, kind, state, height, entries, length(head) AS head, waiting_entries, held_blocks,
    quarantined FROM medchain.chains;
SELECT seq, kind, origin, actor, id = :'genesis' AS is_genesis FROM medchain.entry;
SELECT sealer, sealer_error, pending, quarantined FROM medchain.stat;
SELECT * FROM medchain.verify();
-- the block is a signed note that anybody can verify, the first of all
SELECT medchain.verify_note(medchain.checkpoint(), test.pem('data-centre')) AS valid,
       (string_to_array(medchain.checkpoint(), E'\n'))[1:2] AS lines,
       (string_to_array(medchain.checkpoint(), E'\n'))[4:5] AS more;
SELECT pubname, tablename, rowfilter FROM pg_publication_tables ORDER BY 2;

SELECT medchain.found_alliance('east', 'data-centre', test.pem('data-centre'), test.pem('ca'));
SELECT medchain.join_alliance('data-centre', test.pem('data-centre'), '');
SELECT medchain.configure_ledger('data-centre');
SELECT medchain.issue_protocol('P1', 'text', '[]');

--
-- Admitting: refused
--
SELECT certificate, e.* FROM unnest('{expired, future, rogue, nosign, ca}'::text[])
    WITH ORDINALITY c (certificate, i),
    LATERAL test.error_of(format('SELECT medchain.admit(''hospital-a'', ''chain_node'', '
        'test.pem(%L))', certificate)) e ORDER BY i, field DESC;
SELECT name, e.* FROM unnest('{"", "a b", a/b, a+b}'::text[]) WITH ORDINALITY c (name, i),
    LATERAL test.error_of(format('SELECT medchain.admit(%L, ''chain_node'', '
        'test.pem(''hospital-a''))', name)) e ORDER BY i, field DESC;
SELECT medchain.admit('hospital-a', 'chain_node', NULL);
SELECT medchain.admit('hospital-a', 'chain_node', 'no certificate');
SELECT medchain.admit('hospital-a', 'data_center', test.pem('hospital-a'));
SELECT medchain.admit('data-centre', 'chain_node', test.pem('hospital-a'));
SELECT medchain.admit('hospital-a', 'chain_node', test.pem('data-centre'));
SELECT medchain.admit('hospital-a', 'chain_node', test.pem('hospital-a'), '{query, fly}');
SELECT medchain.admit('hospital-a', 'chain_node', test.pem('hospital-a'), NULL, 'empty');
\set VERBOSITY sqlstate
SELECT medchain.admit('hospital-a', 'surgeon', test.pem('hospital-a'));
\set VERBOSITY default
SELECT count(*) AS members FROM medchain.members;
SET ROLE regress_nobody;
\set VERBOSITY sqlstate
SELECT medchain.admit('hospital-a', 'chain_node', '');
\set VERBOSITY default
RESET ROLE;

--
-- Admitting: contracts, signed and waiting to be countersigned
--
SELECT medchain.admit('end-node', 'end_node', test.pem('end-node')) AS contract \gset
SELECT medchain.admit('hospital-a', 'chain_node', test.pem('hospital-a')) IS NOT NULL AS admitted;
SELECT medchain.admit('hospital-b', 'chain_node', test.pem('hospital-b'), '{query}',
    '[2026-01-01Z, 2030-01-01Z)') IS NOT NULL AS admitted;
SELECT medchain.admit('sm2', 'chain_node', test.pem('sm2')) IS NOT NULL AS admitted;
-- somebody's certificate
SELECT medchain.admit('hospital-c', 'chain_node', test.pem('hospital-a'));
SELECT member, kind, state, capabilities, configured_by, ledger_algorithm FROM medchain.members
    ORDER BY 1;
SELECT member, kind, capabilities, accepted IS NULL AS waiting, current FROM medchain.contracts
    ORDER BY 1;
SELECT lower(valid) = '2026-01-01Z' AND upper(valid) = '2030-01-01Z' AS period
    FROM medchain.contracts WHERE member = 'hospital-b';
-- a second offer takes the first one's place
SELECT medchain.admit('hospital-b', 'chain_node', test.pem('hospital-b')) IS NOT NULL AS admitted;
SELECT member, capabilities, current FROM medchain.contracts WHERE member = 'hospital-b'
    ORDER BY offered;
-- a contract is a DSSE envelope with the data centre's signature: checked without a function of the
-- fold
SELECT convert_from(decode(b ->> 'payload', 'base64'),
    'UTF8')::jsonb - 'certificate' - 'certificate_fingerprint' - 'valid' AS terms,
       medchain.verify_signature(convert_to(format('DSSEv1 %s %s %s ', length(b ->> 'payloadType'),
           b ->> 'payloadType', length(decode(b ->> 'payload', 'base64'))), 'UTF8')
                                 || decode(b ->> 'payload', 'base64'),
                                     decode(b -> 'signatures' -> 0 ->> 'sig', 'base64'),
                                         test.pem('data-centre')) AS signed
    FROM medchain.entry, LATERAL (SELECT payload::jsonb -> 'body') x (b) WHERE id = :'contract';
SELECT origin, ok, fault FROM medchain.verify() ORDER BY 1;
