# shellcheck shell=bash
# What must fail, fails.

chapter "What must fail, fails"
tell <<'TEXT'
Hospital-b may query P0021, and not update: there is nothing to update for it.
TEXT
sql hospital-b/clinician <<'SQL'
SELECT patient_id, diagnosis FROM diagnosis WHERE patient_id = 'P0021';
UPDATE diagnosis SET diagnosis = 'benign' WHERE patient_id = 'P0021';
SQL
shows "it sees the new diagnosis" '^ P0021 +\| malignant$'
shows "and changes no row" '^UPDATE 0$'
expect "the diagnosis is as it was" data-centre "SELECT diagnosis FROM diagnosis WHERE patient_id = 'P0021'" malignant

tell <<'TEXT'
Nobody has given hospital-b anything about P0003:
TEXT
sql hospital-b/clinician <<'SQL'
SELECT * FROM diagnosis WHERE patient_id = 'P0003';
SQL
shows "no rows" '^\(0 rows\)$'
expect "though there is such a row" data-centre "SELECT count(*) FROM diagnosis WHERE patient_id = 'P0003'" 1

tell <<'TEXT'
An expired grant. P0013's 20 seconds are over (or will be in a moment):
TEXT
arrives "the protocol has expired" hospital-b \
	"SELECT count(*) FROM medchain.data_index('P0013', ended => true) WHERE NOT active" 1
sql hospital-b/clinician <<'SQL'
SELECT p.state, p.protocol_text, upper(p.valid) AS until FROM medchain.protocols p
JOIN medchain.data_index('P0013', ended => true) d USING (protocol) WHERE NOT d.active;
SELECT case_no, patient_id, diagnosis FROM diagnosis WHERE patient_id = 'P0013';
SQL
shows "the ledger says expired" '^ expired \| Hospital B may have a short look'
shows "and hospital-b, which saw the record a moment ago, sees no rows" '^\(0 rows\)$'

tell <<'TEXT'
A revoked grant. Under the referral hospital-b updates P0007, as it may; then the end node
revokes the referral.
TEXT
sql hospital-b/clinician <<'SQL'
UPDATE diagnosis SET station = 'hospital-b' WHERE patient_id = 'P0007';
SQL
shows "allowed by the referral" '^UPDATE 1$'
sql end-node/desk <<'SQL'
SELECT medchain.revoke_protocol(protocol, 'the treatment at hospital B is over')
FROM medchain.protocols WHERE protocol_text LIKE 'I am referred%';
SQL
arrives "the revocation has arrived at the data centre" data-centre \
	"SELECT state FROM medchain.protocols WHERE protocol_text LIKE 'I am referred%'" revoked
sql hospital-b/clinician <<'SQL'
SELECT patient_id, station, diagnosis FROM diagnosis WHERE patient_id = 'P0007';
UPDATE diagnosis SET station = 'hospital-a' WHERE patient_id = 'P0007';
SQL
shows "hospital-b sees no rows" '^\(0 rows\)$'
shows "and updates none" '^UPDATE 0$'

tell <<'TEXT'
A forged certificate: its issuer bears the CA's name, and is not the CA. And one that was
genuine, and is out of date.
TEXT
refused data-centre 'certificate of "hospital-c" is not accepted: certificate signature failure' <<'SQL'
\set cert `cat rogue.crt`
SELECT medchain.admit('hospital-c', 'chain_node', :'cert');
SQL
refused data-centre 'certificate of "hospital-c" is not accepted: certificate has expired' <<'SQL'
\set cert `cat expired.crt`
SELECT medchain.admit('hospital-c', 'chain_node', :'cert');
SQL
expect "there is no hospital-c" data-centre "SELECT count(*) FROM medchain.contracts WHERE member = 'hospital-c'" 0

tell <<'TEXT'
A block with a wrong signature. In the way an intruder at hospital-b would, its superuser
disables the triggers and inserts a block that nobody signed, at the next height of the
chain; the signature is that of the last genuine block. (The block is deleted again at
once; but the others have been sent it: the publication publishes inserts, nothing else.)
TEXT
settled
refused hospital-b 'rows of "medchain.block" are written by medchain alone|medchain.block' <<'SQL'
INSERT INTO medchain.block SELECT origin, height + 1, size, root, hash, hash, sealed, note
FROM medchain.block WHERE origin = 'hospital-b' ORDER BY height DESC LIMIT 1;
SQL
sql hospital-b <<'SQL'
BEGIN;
ALTER TABLE medchain.block DISABLE TRIGGER arrive, DISABLE TRIGGER guard_row, DISABLE TRIGGER guard_truncate;
INSERT INTO medchain.block (origin, height, size, root, previous, hash, sealed, note)
    SELECT origin, height + 1, size + 1, sha256('forged'), hash, sha256(convert_to(note, 'UTF8')), sealed,
           format(E'east/hospital-b\n%s\n%s\nheight %s\nprevious %s\n', size + 1, encode(sha256('forged'), 'base64'),
                  height + 1, encode(hash, 'base64')) || substring(note FROM 'sealed .*$')
    FROM medchain.block WHERE origin = 'hospital-b' ORDER BY height DESC LIMIT 1;
DELETE FROM medchain.block WHERE origin = 'hospital-b' AND root = sha256('forged') RETURNING height AS forged_height, note;
ALTER TABLE medchain.block ENABLE ALWAYS TRIGGER arrive, ENABLE ALWAYS TRIGGER guard_row,
    ENABLE ALWAYS TRIGGER guard_truncate;
COMMIT;
SQL
for node in data-centre end-node hospital-a; do
	arrives "$node has it in quarantine: bad signature" "$node" \
		"SELECT string_agg(origin || ': ' || reason, ', ') FROM medchain.quarantine" "hospital-b: bad signature"
	expect "$node: the subscription lives on" "$node" "SELECT state FROM medchain.peers WHERE member = 'hospital-b'" streaming
done
sql hospital-a <<'SQL'
SELECT source, origin, height, reason, detail FROM medchain.quarantine;
SELECT origin, state, height, quarantined FROM medchain.chains ORDER BY origin;
SQL

tell <<'TEXT'
What hospital-b really says next takes that height, and is accepted everywhere.
TEXT
sql hospital-b/clinician <<'SQL'
SELECT medchain.append('notice', '{"text": "we were broken into, and have changed the locks"}');
SQL
settled
for node in "${nodes[@]}"; do
	expect "$node has it" "$node" \
		"SELECT count(*) FROM medchain.entry WHERE origin = 'hospital-b' AND kind = 'notice'" 1
done
