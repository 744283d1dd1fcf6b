# shellcheck shell=bash
# The end node issues smart protocols on behalf of the examinees.

chapter "Smart protocols"
tell <<'TEXT'
The end node knows its examinees. On behalf of each one screened at hospital-a it issues a
protocol: the text, who may do what, until when, and where the records are (by the case
number: the ledger goes to everybody, and the patient's number is not for everybody). One
statement for all.
TEXT
sql end-node <<'SQL'
CREATE ROLE desk LOGIN IN ROLE medchain_member;
CREATE TABLE examinee AS
    SELECT 'P' || to_char(n, 'FM0000') AS patient_id, n AS case_no,
           CASE n % 2 WHEN 1 THEN 'hospital-a' ELSE 'hospital-b' END AS station
    FROM generate_series(1, 569) n;
GRANT SELECT ON examinee TO desk;
SQL
sql end-node/desk <<'SQL'
SELECT count(medchain.issue_protocol(patient_id, 'Hospital A, my station, may read and update my screening records.',
    grants => '[{"grantee": "hospital-a", "operations": ["query", "update"], "purpose": "TREAT",
                 "records": ["public.diagnosis"]}]',
    data_index => jsonb_build_array(jsonb_build_object('holder', 'data-centre', 'relation', 'public.diagnosis',
                                                       'key', jsonb_build_object('case_no', case_no))),
    valid => tstzrange(now(), now() + interval '1 year')))
FROM examinee WHERE station = 'hospital-a';
SQL
shows "285 protocols for hospital-a" '^ +285$'

tell <<'TEXT'
Every tenth examinee wants a second opinion: hospital-b may look, and not touch.
TEXT
sql end-node/desk <<'SQL'
SELECT count(medchain.issue_protocol(patient_id, 'Hospital B may read my screening records for a second opinion.',
    grants => '[{"grantee": "hospital-b", "operations": ["query"], "purpose": "TREAT"}]',
    data_index => '[{"holder": "data-centre", "relation": "public.diagnosis"}]'))
FROM examinee WHERE patient_id LIKE 'P___1';
SQL
shows "57 protocols for hospital-b" '^ +57$'

tell <<'TEXT'
P0007 is referred from a to b: for 30 days hospital-b may do what the station may.
TEXT
sql end-node/desk <<'SQL'
SELECT medchain.issue_protocol('P0007', 'I am referred from hospital A to hospital B.',
    grants => '[{"grantee": "hospital-b", "operations": ["query", "update"], "purpose": "TREAT"}]',
    data_index => '[{"holder": "data-centre", "relation": "public.diagnosis", "key": {"case_no": 7}}]',
    valid => tstzrange(now(), now() + interval '30 days')) AS referral \gset
SELECT p.state, p.protocol_text, upper(p.valid) - lower(p.valid) AS "for",
       p.grants -> 0 ->> 'grantee' AS grantee, p.grants -> 0 -> 'operations' AS operations
FROM medchain.protocols p WHERE p.protocol = :'referral';
SQL
shows "the referral is active, for 30 days" 'active.* 30 days'
settled

tell <<'TEXT'
One more, which will not last: P0013 lets hospital-b look for 20 seconds.
TEXT
sql end-node/desk <<'SQL'
SELECT medchain.issue_protocol('P0013', 'Hospital B may have a short look.',
    grants => '[{"grantee": "hospital-b", "operations": ["query"]}]',
    data_index => '[{"holder": "data-centre", "relation": "public.diagnosis", "key": {"case_no": 13}}]',
    valid => tstzrange(now(), now() + interval '20 seconds'));
SQL
arrives "the data centre knows it" data-centre \
	"SELECT count(*) FROM medchain.protocols WHERE identity = 'P0013' AND state = 'active'" 2
sql hospital-b/clinician <<'SQL'
SELECT case_no, patient_id, diagnosis FROM diagnosis WHERE patient_id = 'P0013';
SQL
shows "for now, hospital-b sees P0013" '^ +13 \| P0013 '
settled

tell <<'TEXT'
What the same SQL shows to whom:
TEXT
for node in hospital-a hospital-b; do
	sql $node/clinician <<-'SQL'
		SELECT count(*), count(*) FILTER (WHERE station = 'hospital-a') AS of_a,
		       count(*) FILTER (WHERE patient_id LIKE 'P___1') AS second_opinions,
		       count(*) FILTER (WHERE patient_id = 'P0007') AS referred
		FROM diagnosis WHERE patient_id <> 'P0013';
	SQL
	case $node in
		hospital-a) shows "hospital-a: its own station's examinees, and nobody else" '^ +284 \| +284 \| +57 \| +1$' ;;
		hospital-b) shows "hospital-b: 57 second opinions and one referral" '^ +58 \| +58 \| +57 \| +1$' ;;
	esac
done

tell <<'TEXT'
The same with no foreign table in between: a program of hospital-a's connects to the data
centre with a password; the role is bound to hospital-a.
TEXT
over_network() { # as app_a, over TLS; statements on standard input
	(cd "$pki" && PGPASSWORD=$app_a_password stdbuf -oL psql -X -v ON_ERROR_STOP=1 \
		"host=data-centre hostaddr=127.0.0.1 port=${port[data-centre]} dbname=$database user=app_a sslmode=verify-full sslrootcert=ca.crt")
}
run_shown data-centre/app_a over_network <<'SQL' || broken "this statement should have worked"
SELECT session_user, medchain.current_member(), count(*) FROM diagnosis;
EXPLAIN (COSTS OFF) SELECT * FROM diagnosis WHERE patient_id = 'P0021';
SQL
shows "the program sees what hospital-a may see" '^ +app_a +\| hospital-a +\| +285$'
