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
ok "4 chains with $total entries, the same heads at all 4 nodes"
seconds=$((SECONDS - started))
ok "the story took $seconds seconds"
