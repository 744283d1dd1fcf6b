# shellcheck shell=bash
# The data centre's own superuser tampers with what is there, in three degrees.

chapter "Tampering is found, and located"

verify_row="SELECT ok, fault FROM medchain.verify('data-centre')"

tell <<'TEXT'
Before: everything verifies, at every node.
TEXT
sql data-centre <<'SQL'
SELECT origin, blocks, entries, ok, fault, detail FROM medchain.verify();
SQL
for node in "${nodes[@]}"; do
	expect "$node: four chains verify" "$node" "SELECT count(*) FILTER (WHERE ok) || ' of ' || count(*) FROM medchain.verify()" "4 of 4"
done

tell <<'TEXT'
A superuser at the data centre changes a diagnosis, with the triggers disabled: no entry
on the ledger tells of it.
TEXT
sql data-centre <<'SQL'
ALTER TABLE diagnosis DISABLE TRIGGER medchain_capture;
UPDATE diagnosis SET diagnosis = 'benign' WHERE patient_id = 'P0021';
ALTER TABLE diagnosis ENABLE ALWAYS TRIGGER medchain_capture;
SELECT * FROM medchain.verify_table('diagnosis');
SQL
shows "found: the row of case 21, and no other" '^\(1 row\)$'
expect "it is the row of case 21" data-centre \
	"SELECT row_key ~ '\\m21\\M', fault FROM medchain.verify_table('diagnosis')" 't|changed'
client data-centre -q <<-'SQL' || broken "could not put the diagnosis back"
	ALTER TABLE diagnosis DISABLE TRIGGER medchain_capture;
	UPDATE diagnosis SET diagnosis = 'malignant' WHERE patient_id = 'P0021';
	ALTER TABLE diagnosis ENABLE ALWAYS TRIGGER medchain_capture;
SQL
expect "with the diagnosis put back, the table is as the ledger says" data-centre \
	"SELECT count(*) FROM medchain.verify_table('diagnosis')" 0

tell <<'TEXT'
Next an old entry of the ledger: who had changed the diagnosis of P0021? It was hospital-a;
it shall have been hospital-b. The guard against it is disabled first.
TEXT
seq=$(ask data-centre "SELECT seq FROM medchain.entry WHERE origin = 'data-centre' AND kind = 'row.update' ORDER BY seq LIMIT 1")
height=$(ask data-centre "SELECT min(height) FROM medchain.block WHERE origin = 'data-centre' AND size > $seq")
refused data-centre 'medchain.entry' <<SQL
UPDATE medchain.entry SET actor = 'hospital-b' WHERE origin = 'data-centre' AND seq = $seq;
SQL
sql data-centre <<SQL
ALTER TABLE medchain.entry DISABLE TRIGGER arrive, DISABLE TRIGGER guard_row, DISABLE TRIGGER guard_truncate;
UPDATE medchain.entry SET actor = 'hospital-b', payload = replace(payload, 'hospital-a', 'hospital-b')
WHERE origin = 'data-centre' AND seq = $seq RETURNING seq, kind, actor, left(payload, 100) || '...' AS payload;
SELECT origin, ok, height, fault, detail FROM medchain.verify() ORDER BY origin;
SQL
shows "verify() there names block $height and entry $seq" "^ data-centre \| f  \| +$height \| bad leaf hash \| entry $seq: "

tell <<'TEXT'
He learns, and changes the entry's hash as well:
TEXT
sql data-centre <<SQL
UPDATE medchain.entry SET leaf_hash = medchain.leaf_hash(convert_to(payload, 'UTF8')) WHERE origin = 'data-centre' AND seq = $seq;
SELECT origin, ok, height, fault, left(detail, 60) || '...' AS detail FROM medchain.verify('data-centre');
SQL
shows "the tree of block $height has another root than the one that was signed" "^ data-centre \| f  \| +$height \| bad root "

root_of="SELECT b.height, encode(medchain.merkle_root(array_agg(convert_to(e.payload, 'UTF8') ORDER BY e.seq)), 'hex') AS root_of_the_entries_here,
       encode(b.root, 'hex') AS root_in_the_head
FROM medchain.block b JOIN medchain.entry e ON e.origin = b.origin AND e.seq < b.size
WHERE b.origin = 'data-centre' AND b.height = (SELECT max(height) FROM medchain.block WHERE origin = 'data-centre')
GROUP BY b.height, b.root;"
tell <<'TEXT'
The others' heads of this chain say what the entries had been: what the data centre has now
does not hash to it; what hospital-a has does.
TEXT
sql data-centre <<<"$root_of"
root_here=$(ask data-centre "SELECT root_of_the_entries_here FROM (${root_of%;}) x")
sql hospital-a <<<"$root_of"
for node in end-node hospital-a hospital-b; do
	expect "$node: verify() is fine there" "$node" "$verify_row" "t|"
	expect "$node: its entries have the root of its head, the data centre's have not" "$node" \
		"SELECT root_of_the_entries_here = root_in_the_head, root_in_the_head = '$root_here' FROM (${root_of%;}) x" "t|f"
done

tell <<TEXT
In the end he takes the data centre's own signing key, and writes and signs the whole chain
anew from block $height on.
TEXT
# Done as he would do it: header by header, signed with the openssl command.
rewrite_chain() {
	local at last note=$work/tmp/note
	last=$(ask data-centre "SELECT height FROM medchain.chain WHERE origin = 'data-centre'")
	client data-centre -q <<<"ALTER TABLE medchain.block DISABLE TRIGGER arrive, DISABLE TRIGGER guard_row, DISABLE TRIGGER guard_truncate" || return
	for ((at = height; at <= last; at++)); do
		ask data-centre "
			SELECT format(E'east/data-centre\n%s\n%s\nheight %s\nprevious %s\nsealed %s', b.size,
				encode(medchain.merkle_root(ARRAY(SELECT convert_to(e.payload, 'UTF8') FROM medchain.entry e
				                                  WHERE e.origin = b.origin AND e.seq < b.size ORDER BY e.seq)), 'base64'),
				b.height, encode(p.hash, 'base64'), substring(b.note FROM '\nsealed (\S+)\n'))
			FROM medchain.block b JOIN medchain.block p ON p.origin = b.origin AND p.height = b.height - 1
			WHERE b.origin = 'data-centre' AND b.height = $at" >"$note"
		openssl pkeyutl -sign -rawin -inkey "$work/servers/data-centre/node.key" -in "$note" -out "$note.sig" || return
		client data-centre -q -v text="$(cat "$note")" -v sig="$(od -An -v -tx1 "$note.sig" | tr -d ' \n')" -v at="$at" <<-'SQL' || return
			UPDATE medchain.block SET
			    root = decode(split_part(:'text', E'\n', 3), 'base64'),
			    previous = decode(substring(:'text' FROM 'previous (\S+)'), 'base64'),
			    hash = sha256(convert_to(:'text' || E'\n', 'UTF8')),
			    note = :'text' || E'\n\n— east/data-centre '
			        || translate(encode(substr(decode(substring(note FROM '— \S+ (\S+)\n'), 'base64'), 1, 4) || decode(:'sig', 'hex'), 'base64'), E'\n', '')
			        || E'\n'
			WHERE origin = 'data-centre' AND height = :at;
		SQL
		# what the block carries beside its header
		ask data-centre "
			SELECT format(E'medchain kinds v1\neast/data-centre\n%s\n%s\n%s', b.height, encode(b.hash, 'base64'),
				encode(sha256(convert_to(b.kinds, 'UTF8')), 'base64'))
			FROM medchain.block b WHERE b.origin = 'data-centre' AND b.height = $at" >"$note"
		openssl pkeyutl -sign -rawin -inkey "$work/servers/data-centre/node.key" -in "$note" -out "$note.sig" || return
		client data-centre -q -v text="$(cat "$note")" -v sig="$(od -An -v -tx1 "$note.sig" | tr -d ' \n')" -v at="$at" <<-'SQL' || return
			UPDATE medchain.block b SET
			    kinds_note = :'text' || E'\n\n— east/data-centre '
			        || translate(encode(substr(decode(substring(note FROM '— \S+ (\S+)\n'), 'base64'), 1, 4) || decode(:'sig', 'hex'), 'base64'), E'\n', '')
			        || E'\n',
			    leaves = (SELECT string_agg(e.leaf_hash, '' ORDER BY e.seq) FROM medchain.entry e WHERE e.origin = b.origin
			              AND e.seq < b.size AND e.seq >= (SELECT p.size FROM medchain.block p WHERE p.origin = b.origin AND p.height = b.height - 1))
			WHERE origin = 'data-centre' AND height = :at;
		SQL
	done
	chain_end
}

# Where medchain.chain stands, after its last block: head, and the roots of the perfect subtrees.
chain_end() {
	client data-centre -q <<-'SQL'
		UPDATE medchain.chain c SET
		    head = (SELECT b.hash FROM medchain.block b WHERE b.origin = c.origin AND b.height = c.height),
		    frontier = (SELECT string_agg(medchain.merkle_root(ARRAY(
		                    SELECT convert_to(e.payload, 'UTF8') FROM medchain.entry e WHERE e.origin = c.origin
		                    AND e.seq >= (c.size >> (bit + 1)) << (bit + 1) AND e.seq < (c.size >> bit) << bit ORDER BY e.seq)),
		                    ''::bytea ORDER BY bit DESC)
		                FROM generate_series(0, 61) bit WHERE (c.size >> bit) & 1 = 1)
		WHERE c.origin = 'data-centre';
		ALTER TABLE medchain.block ENABLE ALWAYS TRIGGER arrive, ENABLE ALWAYS TRIGGER guard_row, ENABLE ALWAYS TRIGGER guard_truncate;
		ALTER TABLE medchain.entry ENABLE ALWAYS TRIGGER arrive, ENABLE ALWAYS TRIGGER guard_row, ENABLE ALWAYS TRIGGER guard_truncate;
	SQL
}
echo
echo "(done with SQL and the openssl command: see rewrite_chain in demo/7-tampering.sh)"
rewrite_chain || broken "the chain could not be rewritten"
sql data-centre <<'SQL'
SELECT origin, blocks, entries, ok, height, fault FROM medchain.verify('data-centre');
SQL
shows "verify() remembers what it found in order before" '^ data-centre .*\| f .*\| rewritten *$'

tell <<'TEXT'
So he lets it forget.
TEXT
sql data-centre <<'SQL'
DELETE FROM medchain.verified;
SELECT origin, blocks, entries, ok, fault FROM medchain.verify('data-centre');
SQL
shows "his own database has nothing to say against it" '^ data-centre .*\| t  \| *$'

tell <<'TEXT'
That is why everybody has a copy. The heads of the chain "data-centre", at every node:
TEXT
head_of="SELECT height, head FROM medchain.chains WHERE origin = 'data-centre';"
for node in "${nodes[@]}"; do
	sql "$node" <<<"$head_of"
done
ask data-centre "SELECT medchain.export()" >"$work/tmp/forged-export"	# for the next chapter
forged_head=$(ask data-centre "SELECT head FROM (${head_of%;}) x")
for node in end-node hospital-a hospital-b; do
	expect "$node's head is another than the data centre's" "$node" "SELECT head = '$forged_head' FROM (${head_of%;}) x" f
done

tell <<'TEXT'
Both are signed with the data centre's key: nobody else can have written them. Where they
part, height by height and then entry by entry:
TEXT
part_at() { # sql for "number hash" lines: the first number at which data centre and hospital-a differ
	ask data-centre "$1" >"$work/tmp/here"
	ask hospital-a "$1" | diff "$work/tmp/here" - | sed -n -E '/^< /{s/^< ([0-9]+)\|.*/\1/p;q}' || true
}
differs_block=$(part_at "SELECT height, encode(hash, 'hex') FROM medchain.block WHERE origin = 'data-centre' ORDER BY height")
differs_entry=$(part_at "SELECT seq, encode(leaf_hash, 'hex') FROM medchain.entry WHERE origin = 'data-centre' ORDER BY seq")
for node in data-centre hospital-a; do
	sql "$node" <<-SQL
		SELECT b.height, left(encode(b.hash, 'hex'), 16) AS hash, e.seq, e.kind, e.actor
		FROM medchain.block b, medchain.entry e
		WHERE b.origin = 'data-centre' AND b.height = ${differs_block:-0} AND e.origin = b.origin AND e.seq = ${differs_entry:-0};
	SQL
done
[[ $differs_block == "$height" && $differs_entry == "$seq" ]] ||
	broken "the chains should part at block $height, entry $seq, not at block $differs_block, entry $differs_entry"
ok "the copies part at block $height, entry $seq: the one that was rewritten"

tell <<'TEXT'
What was signed first is not lost: the data centre gets it back from hospital-a's copy.
TEXT
restore_chain() {
	client data-centre -q <<-SQL || return
		ALTER TABLE medchain.block DISABLE TRIGGER arrive, DISABLE TRIGGER guard_row, DISABLE TRIGGER guard_truncate;
		ALTER TABLE medchain.entry DISABLE TRIGGER arrive, DISABLE TRIGGER guard_row, DISABLE TRIGGER guard_truncate;
		CREATE TEMP TABLE copied_block (LIKE medchain.block);
		CREATE TEMP TABLE copied_entry (LIKE medchain.entry);
		\\copy copied_block FROM '$work/tmp/blocks'
		\\copy copied_entry FROM '$work/tmp/entries'
		UPDATE medchain.block b SET root = c.root, previous = c.previous, hash = c.hash, note = c.note, leaves = c.leaves,
		    kinds_note = c.kinds_note
		FROM copied_block c WHERE b.origin = c.origin AND b.height = c.height AND b.note <> c.note;
		UPDATE medchain.entry e SET payload = c.payload, actor = c.actor, leaf_hash = c.leaf_hash
		FROM copied_entry c WHERE e.origin = c.origin AND e.seq = c.seq AND e.payload <> c.payload;
		DELETE FROM medchain.verified;
	SQL
	chain_end
}
client hospital-a -q <<-SQL || broken "hospital-a's copy could not be read"
	\\copy (SELECT * FROM medchain.block WHERE origin = 'data-centre') TO '$work/tmp/blocks'
	\\copy (SELECT * FROM medchain.entry WHERE origin = 'data-centre') TO '$work/tmp/entries'
SQL
restore_chain || broken "the chain could not be restored"
sql data-centre <<'SQL'
SELECT origin, blocks, entries, ok, fault, detail FROM medchain.verify();
SELECT medchain.append('notice', '{"text": "the superuser of the data centre has been replaced"}');
SQL
settled
for node in "${nodes[@]}"; do
	expect "$node: four chains verify" "$node" "SELECT count(*) FILTER (WHERE ok) || ' of ' || count(*) FROM medchain.verify()" "4 of 4"
done
