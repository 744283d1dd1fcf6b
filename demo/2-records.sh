# shellcheck shell=bash
# The data centre loads the examinations and protects them.

chapter "Records at the data centre"
tell <<'TEXT'
569 real examinations (see demo/README), 30 measurements each. For the story, patients
get numbers made from the case number, and the odd cases are hospital-a's, the even ones
hospital-b's.
TEXT
cp demo/wdbc.csv "$pki/"	# psql's current directory
sql data-centre <<'SQL'
CREATE TEMP TABLE examination (case_no int,
    radius_mean numeric, texture_mean numeric, perimeter_mean numeric, area_mean numeric, smoothness_mean numeric,
    compactness_mean numeric, concavity_mean numeric, concave_points_mean numeric, symmetry_mean numeric,
    fractal_dimension_mean numeric,
    radius_se numeric, texture_se numeric, perimeter_se numeric, area_se numeric, smoothness_se numeric,
    compactness_se numeric, concavity_se numeric, concave_points_se numeric, symmetry_se numeric,
    fractal_dimension_se numeric,
    radius_worst numeric, texture_worst numeric, perimeter_worst numeric, area_worst numeric, smoothness_worst numeric,
    compactness_worst numeric, concavity_worst numeric, concave_points_worst numeric, symmetry_worst numeric,
    fractal_dimension_worst numeric,
    diagnosis text);
\copy examination FROM 'wdbc.csv' WITH (FORMAT csv, HEADER)
CREATE TABLE diagnosis AS
    SELECT 'P' || to_char(case_no, 'FM0000') AS patient_id,
           CASE case_no % 2 WHEN 1 THEN 'hospital-a' ELSE 'hospital-b' END AS station, e.*
    FROM examination e;
ALTER TABLE diagnosis ADD PRIMARY KEY (case_no), ALTER patient_id SET NOT NULL;
CREATE INDEX ON diagnosis (patient_id);
ANALYZE diagnosis;
SELECT station, diagnosis, count(*) FROM diagnosis GROUP BY 1, 2 ORDER BY 1, 2;
SQL
expect "569 examinations, 357 benign and 212 malignant" data-centre \
	"SELECT count(*), count(*) FILTER (WHERE diagnosis = 'benign'), count(*) FILTER (WHERE diagnosis = 'malignant') FROM diagnosis" \
	"569|357|212"

tell <<'TEXT'
From here on the ledger decides who sees which row, and every row's content is committed
to: a salted hash, under a pseudonym. As there are many, the ledger has one entry about all
of them, with the root of the tree over these hashes.
TEXT
sql data-centre <<'SQL'
SELECT medchain.protect('diagnosis', subject => 'patient_id');
SELECT medchain.seal();
SELECT j.key, j.value FROM (SELECT payload FROM medchain.entry WHERE kind = 'row.set' ORDER BY seq LIMIT 1) e,
    json_each(e.payload::json) j;
SELECT kind, count(*) FROM medchain.entry WHERE origin = 'data-centre' GROUP BY kind ORDER BY min(seq);
SQL
expect "all 569 rows are committed to on the ledger" data-centre \
	"SELECT sum((payload::json #>> '{body,number}')::int) FROM medchain.entry WHERE kind = 'row.set'" 569
expect "each of them has a history, which begins there" data-centre \
	"SELECT count(*) FROM diagnosis d, medchain.row_history('diagnosis', d.case_no) h
	 WHERE h.operation = 'baseline' AND h.entry = (SELECT id FROM medchain.entry WHERE kind = 'row.set')" 569
expect "the entry has no patient's number in it" data-centre \
	"SELECT count(*) FROM medchain.entry WHERE kind = 'row.set' AND payload ~ 'P0[0-9]{3}'" 0
expect "the table is as the ledger says" data-centre "SELECT count(*) FROM medchain.verify_table('diagnosis')" 0

tell <<'TEXT'
Who may connect: hospitals' servers log in as "records" with their member certificate,
which says who they are; "app_a" is a program of hospital-a's which logs in with a
password, and is bound to hospital-a on the ledger. What a protocol grants for a purpose is
open to a session that states it: here treatment, TREAT.
TEXT
app_a_password=$(openssl rand -hex 16)
client data-centre -q <<<"CREATE ROLE app_a LOGIN PASSWORD '$app_a_password'" || broken "could not create the role app_a"
echo
echo "(the role app_a was created, with a random password)"
sql data-centre <<'SQL'
CREATE ROLE records LOGIN;
GRANT SELECT, UPDATE ON diagnosis TO records, app_a;
SELECT medchain.bind_role('app_a', 'hospital-a');
ALTER ROLE app_a SET medchain.purpose = 'TREAT';
SQL

tell <<'TEXT'
At both hospitals the data centre's table becomes a foreign table, for the role
"clinician". The server's own files hold the member's key; the clinician never sees it.
TEXT
for node in hospital-a hospital-b; do
	text=$(cat <<-SQL
		CREATE EXTENSION postgres_fdw;
		CREATE ROLE clinician LOGIN IN ROLE medchain_member;
		CREATE SERVER data_centre FOREIGN DATA WRAPPER postgres_fdw
		    OPTIONS (host 'data-centre', hostaddr '127.0.0.1', port '${port[data-centre]}', dbname '$database',
		             sslmode 'verify-full', sslrootcert 'ca.crt', options '-c medchain.purpose=TREAT');
		CREATE USER MAPPING FOR clinician SERVER data_centre
		    OPTIONS (user 'records', sslcert 'node.crt', sslkey 'node.key', password_required 'false');
		CREATE FOREIGN TABLE diagnosis (case_no int, patient_id text, station text,
		    radius_mean numeric, area_mean numeric, concavity_mean numeric, diagnosis text)
		    SERVER data_centre;
		GRANT SELECT, UPDATE ON diagnosis TO clinician;
	SQL
	)
	if [[ $node == hospital-a ]]; then
		sql "$node" <<<"$text"
	else
		client "$node" -q <<<"$text" || broken "could not make the foreign table at $node"
		echo
		echo "(the same at $node)"
	fi
done
sql hospital-a/clinician <<'SQL'
SELECT count(*) FROM diagnosis;
SQL
shows "without a protocol there is not a single row" '^ +0$'
