# shellcheck shell=bash
# A patient's representative checks the ledger at home, with medchain-verify and the CA's certificate.

chapter "Without any database"

home=$work/tmp/home
mkdir "$home"
install -m 644 "$pki/ca.crt" "$home/ca.crt"
cp "$work/tmp/forged-export" "$home/forged-export"
verifier=$bindir/medchain-verify

# A command as typed there: no server, no client, none of our environment.
at_home() { # expected-status what pattern command
	local status=0
	printf '\n%s$ %s%s\n' "$blue" "$4" "$plain"
	out=$(cd "$home" && env -i PATH="$home/bin:/usr/bin:/bin" LC_ALL=C.UTF-8 sh -c "$4" 2>&1) || status=$?
	printf '%s\n' "$out"
	[[ $status == "$1" ]] || broken "not as told: $2 (exit status $status, not $1)"
	shows "$2" "$3"
}
mkdir "$home/bin"
cp "$verifier" "$home/bin/"

tell <<'TEXT'
Evidence leaves a member's server as text: a receipt for one entry, an export of all
chains, and a checkpoint, the newest block's signed header.
TEXT
sql end-node <<SQL
SELECT entry FROM medchain.diagnosis_log('P0021') WHERE kind = 'protocol' ORDER BY time LIMIT 1 \\gset
\\o $home/receipt
\\t on
\\a
SELECT medchain.receipt(:'entry');
\\o $home/disclosure
SELECT medchain.disclosure_proof(entry, 'P0021') FROM medchain.disclosures('P0021') WHERE basis = 'protocol' LIMIT 1;
\\o $home/export
SELECT medchain.export();
\\o $home/kept.note
SELECT medchain.checkpoint('data-centre');
SQL

tell <<'TEXT'
What it takes to check them: this program, and the certificate of a CA one trusts.
TEXT
at_home 0 "the protocol is on the end node's chain, signed with its certificate" '^signed with the certificate of CN=end-node' \
	"medchain-verify --anchors ca.crt receipt"
at_home 0 "hospital-a has read P0021's record, under a protocol" '^    actor: hospital-a' \
	"medchain-verify --anchors ca.crt disclosure"
at_home 0 "the whole ledger verifies, and holds the checkpoint that was kept" '^verified$' \
	"medchain-verify --anchors ca.crt --checkpoint kept.note export"

at_home 0 "and no access to a record on it was without a protocol" '^Accesses and changes that no protocol covered: none' \
	"medchain-verify --anchors ca.crt --authorised export"

tell <<'TEXT'
Members cosign each other's blocks, each after having verified them (here this begins with
this chapter). So the protocol can be shown in the standard's form as well, a .tlog-proof,
which programs read that do not know of medchain: whose log, and which two of its witnesses,
the policy says.
TEXT
for node in "${nodes[@]}"; do
	ask "$node" "ALTER SYSTEM SET medchain.witness_interval = '1s'" >/dev/null
	ask "$node" "SELECT pg_reload_conf()" >/dev/null
done
ask end-node "SELECT medchain.append('visit', '{}')" >/dev/null
protocol=$(ask end-node "SELECT entry FROM medchain.diagnosis_log('P0021') WHERE kind = 'protocol' ORDER BY time LIMIT 1")
arrives "two members have cosigned the block of the protocol, or a later one" end-node \
	"SELECT medchain.proof('$protocol') ~ '(\n— [^\n]+){3}\n\$'" t
sql end-node <<SQL
\\set entry $protocol
\\t on
\\a
\\o $home/entry
SELECT payload FROM medchain.entry WHERE id = :'entry';
\\o $home/protocol.tlog-proof
SELECT medchain.proof(:'entry');
\\o $home/policy
SELECT medchain.tlog_policy(2);
SQL
at_home 0 "two witnesses stand for the log that the protocol is in" '^verified$' \
	"tail -n 6 protocol.tlog-proof && medchain-verify --policy policy --entry entry protocol.tlog-proof"

tell <<'TEXT'
One byte changed, in either:
TEXT
at_home 1 "the receipt is worth nothing" '^not verified$' \
	"sed 's/protocol/protocok/' receipt >altered && medchain-verify --anchors ca.crt altered"
at_home 1 "the export shows where" '^not verified$' \
	"sed '0,/hospital-a/s//hospital-c/' export >altered && medchain-verify --anchors ca.crt altered"
for what in receipt export; do
	accepted=$(cd "$home" && perl -e '
		my ($program, $file) = @ARGV;
		local $/; open(my $in, "<", $file) or die; my $text = <$in>;
		for my $n (0 .. 199) {
			my $i = int($n * length($text) / 200); my $c = $text; substr($c, $i, 1) ^= "\x01";
			open(my $out, ">", "changed") or die; print $out $c; close $out;
			system("$program -q --anchors ca.crt changed >/dev/null 2>&1"); print "$i " unless $? >> 8 == 1 || $? >> 8 == 2;
		}' "$verifier" "$what")
	[[ -z $accepted ]] || broken "the $what verifies with byte $accepted changed"
	ok "nor does the $what verify with any other of 200 bytes changed"
done

tell <<'TEXT'
And the ledger that the data centre's superuser had written and signed anew? It hangs
together, but does not hold what somebody else had kept.
TEXT
at_home 0 "alone, it verifies" '^verified$' "medchain-verify --anchors ca.crt forged-export"
at_home 1 "with a checkpoint from another member it does not" 'the chain was (rewritten|cut off)' \
	"medchain-verify --anchors ca.crt --checkpoint kept.note forged-export"

tell <<'TEXT'
Not everybody needs everything. From now on hospital-b takes of hospital-a's chain what the
state of the alliance depends on, and of all other entries the leaf hashes: 32 bytes each,
with which it verifies the chain as before.
TEXT
sql hospital-b <<'SQL'
SELECT medchain.follow('hospital-a', '{governance}');
SQL
arrives "hospital-b follows it again" hospital-b \
	"SELECT state FROM medchain.peers WHERE member = 'hospital-a'" streaming
sql hospital-a <<'SQL'
SELECT count(medchain.append('ward.note', json_build_object('bed', i))) FROM generate_series(1, 1000) i;
SQL
arrives "a thousand entries have come without what they say" hospital-b \
	"SELECT absent FROM medchain.chains WHERE origin = 'hospital-a'" 1000
sql hospital-b <<'SQL'
SELECT ok, detail FROM medchain.verify('hospital-a');
SELECT medchain.fetch_payloads('hospital-a');
SQL
expect "and is there when somebody wants it" hospital-b \
	"SELECT absent FROM medchain.chains WHERE origin = 'hospital-a'" 0
