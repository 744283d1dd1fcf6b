# shellcheck shell=bash
# Who saw what: every read of a record is on the ledger, before it left the data centre.

chapter "Who saw what"
tell <<'TEXT'
Each read of the last chapter was on the data centre's ledger before any row left it. At
the end node, P0021's representative sees who it was, and under which protocol.
TEXT
sql end-node <<'SQL'
SELECT to_char(time, 'HH24:MI:SS') AS time, holder, member, operation, purpose, basis, outcome, recipient
FROM medchain.disclosures('P0021');
SQL
shows "hospital-a's read, under a protocol" 'data-centre \| hospital-a +\| select +\| TREAT +\| protocol \| read'
shows "and its change" 'data-centre \| hospital-a +\| update'

tell <<'TEXT'
The data centre's superuser is above row security, and on the ledger all the same:
TEXT
sql data-centre <<'SQL'
SELECT diagnosis FROM diagnosis WHERE patient_id = 'P0021';
SQL
settled
sql end-node <<'SQL'
SELECT holder, member, role, operation, relation, basis FROM medchain.disclosures('P0021') WHERE basis = 'owner';
SQL
shows "the superuser's read" 'data-centre \| data-centre \| postgres \| select +\| public.diagnosis \| owner'

tell <<'TEXT'
An emergency. P0005 is brought to hospital-b, which nobody has given anything about P0005.
The alliance allows it to break the glass, for an hour at most; so it sees the record at
once, and that it did stands on the ledger until somebody says why, and after.
TEXT
sql data-centre <<'SQL'
SELECT medchain.set_policy('break_glass_max', '1 hour'),
       medchain.amend_contract('hospital-b', '{query, update, emergency}');
SQL
arrives "the contract is at hospital-b" hospital-b \
	"SELECT count(*) FROM medchain.contracts WHERE member = 'hospital-b' AND 'emergency' = ANY (capabilities)" 1
sql hospital-b <<'SQL'
SELECT medchain.accept_contract(), medchain.bind_role('clinician', 'hospital-b');
SQL
settled
sql hospital-b/clinician <<'SQL'
SELECT count(*) FROM diagnosis WHERE patient_id = 'P0005';
SELECT medchain.break_glass('P0005', 'brought in unconscious', "for" => '10 minutes');
SQL
shows "not before" '^ +0$'
settled
sql hospital-b/clinician <<'SQL'
SELECT patient_id, station, diagnosis FROM diagnosis WHERE patient_id = 'P0005';
SQL
shows "the record is there" '^ P0005 '
settled
sql end-node <<'SQL'
SELECT member, role, reason FROM medchain.unjustified;
SELECT holder, member, operation, basis FROM medchain.disclosures('P0005') WHERE basis = 'break-glass';
SQL
shows "the end node sees that nobody has said why" 'hospital-b \| clinician \| brought in unconscious'
shows "and what was read" 'data-centre \| hospital-b \| select +\| break-glass'
sql hospital-b/clinician <<'SQL'
SELECT medchain.justify(break_glass, 'no relatives to ask; sedated until the morning') IS NOT NULL AS justified
FROM medchain.unjustified;
SQL
settled
for node in "${nodes[@]}"; do
	expect "$node: it is justified" "$node" "SELECT count(*) FROM medchain.unjustified" 0
	expect "$node: of all that was seen and changed so far, everything was covered" "$node" \
		"SELECT count(*) FROM medchain.unauthorised" 0
done
