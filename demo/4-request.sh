# shellcheck shell=bash
# A diagnosis request, from the identity to the log.

chapter "A diagnosis request at hospital-a"
tell <<'TEXT'
P0021 comes back to hospital-a. From the identity, hospital-a's own copy of the ledger
tells the pseudonym, the protocol and where the records are.
TEXT
sql hospital-a/clinician <<'SQL'
SELECT left(encode(p.subject, 'hex'), 16) AS pseudonym, p.issuer, p.state, p.protocol_text
FROM medchain.protocols p JOIN medchain.data_index('P0021') d USING (protocol);
SELECT protocol, holder, relation, key, active FROM medchain.data_index('P0021');
SQL
shows "the data index leads to the data centre's table" 'data-centre \| public.diagnosis \| \{"case_no": 21\} \| t$'

tell <<'TEXT'
The record, from the data centre, over TLS with the hospital's certificate:
TEXT
sql hospital-a/clinician <<'SQL'
SELECT case_no, patient_id, station, radius_mean, concavity_mean, diagnosis FROM diagnosis WHERE patient_id = 'P0021';
SQL
shows "the record is there: benign" '^ +21 \| P0021 .*\| benign$'

tell <<'TEXT'
The second examination says something else. The update goes the same way.
TEXT
sql hospital-a/clinician <<'SQL'
UPDATE diagnosis SET diagnosis = 'malignant' WHERE patient_id = 'P0021';
SQL
shows "one row updated" '^UPDATE 1$'
expect "it is updated at the data centre" data-centre "SELECT diagnosis FROM diagnosis WHERE patient_id = 'P0021'" malignant

tell <<'TEXT'
A note for the diagnosis log, under the protocol that allowed it:
TEXT
sql hospital-a/clinician <<'SQL'
SELECT medchain.log_diagnosis(protocol, '{"finding": "biopsy of the second examination: malignant", "next": "surgery"}')
FROM medchain.data_index('P0021') d JOIN medchain.protocols p USING (protocol)
WHERE d.active AND p.protocol_text LIKE 'Hospital A%';
SQL
shows "it is on the ledger" '^ [0-9a-f]{8}-'
settled

tell <<'TEXT'
The diagnosis log, at every node the same: the protocols, hospital-a's update as the
data centre saw it, and the note. Whom the entry about all rows was about, the data
centre alone can tell: there the log begins with it.
TEXT
log_of="SELECT kind, origin, actor, detail FROM medchain.diagnosis_log('P0021') WHERE kind <> 'row.baseline'"
first_log=
for node in "${nodes[@]}"; do
	sql "$node" <<'SQL'
SELECT to_char(time, 'HH24:MI:SS.MS') AS time, origin, actor, kind, left(coalesce(detail ->> 'note', detail ->> 'text', detail::text), 60) AS detail
FROM medchain.diagnosis_log('P0021');
SQL
	shows "$node: the update by hospital-a, recorded by the data centre" 'data-centre +\| hospital-a +\| row\.update'
	shows "$node: hospital-a's note" 'hospital-a +\| hospital-a.* note .*biopsy'
	[[ -n $first_log ]] || first_log=$(ask "$node" "$log_of")
	expect "$node: the log is the same as everybody's" "$node" "$log_of" "$first_log"
done
