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
