# shellcheck shell=bash
# Where everybody stands at the end.

chapter "In the end"
settled
echo
printf '  %-12s %7s %8s' chain height entries
for node in "${nodes[@]}"; do
	printf '  %-14s' "at $node"
done
printf '\n'
total=0
for chain in "${nodes[@]}"; do
	row=$(ask data-centre "SELECT height, entries FROM medchain.chains WHERE origin = '$chain'")
	printf '  %-12s %7s %8s' "$chain" "${row%|*}" "${row#*|}"
	total=$((total + ${row#*|}))
	first_head=
	for node in "${nodes[@]}"; do
		head=$(ask "$node" "SELECT head FROM medchain.chains WHERE origin = '$chain'")
		printf '  %-14.14s' "$head"
		[[ -n $first_head ]] || first_head=$head
		[[ -n $head && $head == "$first_head" ]] || broken "the head of $chain at $node is not everybody's"
	done
	printf '\n'
done
echo
for node in "${nodes[@]}"; do
	expect "$node: no protocol, note or row entry has a patient's number in it" "$node" \
		"SELECT count(*) FROM (SELECT body::text AS said FROM medchain.claim WHERE kind IN ('protocol', 'revocation', 'note')
		                       UNION ALL SELECT payload FROM medchain.entry WHERE kind LIKE 'row.%') x
		 WHERE said ~ 'P0[0-9]{3}'" 0
done
ok "4 chains with $total entries, the same heads at all 4 nodes"
seconds=$((SECONDS - started))
ok "the story took $seconds seconds"
