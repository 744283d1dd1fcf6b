# shellcheck shell=bash
# Four servers become an alliance.

chapter "Four servers, one alliance"
tell <<'TEXT'
A data centre, an end node and two hospitals, each with a PostgreSQL server of its own.
A small CA has given each of them certificates; everybody trusts that CA, nobody trusts
anybody else.
TEXT
servers_start
for node in "${nodes[@]}"; do
	printf '  %-12s  127.0.0.1:%s, TLS only\n' "$node" "${port[$node]}"
done

sql data-centre <<'SQL'
SHOW shared_preload_libraries;
CREATE EXTENSION medchain;
CREATE ROLE alliance LOGIN REPLICATION IN ROLE medchain_peer;
SELECT extversion FROM pg_extension WHERE extname = 'medchain';
SQL
for node in end-node hospital-a hospital-b; do
	client "$node" -q >/dev/null 2>&1 <<-'SQL' || broken "could not create the extension at $node"
		CREATE EXTENSION medchain;
		CREATE ROLE alliance LOGIN REPLICATION IN ROLE medchain_peer;
	SQL
done
for node in "${nodes[@]}"; do
	expect "$node: the extension is there" "$node" "SELECT count(*) FROM pg_extension WHERE extname = 'medchain'" 1
done

tell <<'TEXT'
The data centre founds the alliance: that is the first block of its chain. Its contracts
admit the others, after OpenSSL has checked their certificates under the CA's.
TEXT
sql data-centre <<'SQL'
\set cert `cat data-centre.crt`
\set ca `cat ca.crt`
SELECT medchain.found_alliance('east', 'data-centre', :'cert', :'ca');
SELECT medchain.checkpoint();
SQL
shows "the genesis block is a signed note" '^ — east/data-centre |^ *— east/data-centre'
sql data-centre <<'SQL'
\set cert `cat end-node.crt`
SELECT medchain.admit('end-node', 'end_node', :'cert');
\set cert `cat hospital-a.crt`
SELECT medchain.admit('hospital-a', 'chain_node', :'cert');
\set cert `cat hospital-b.crt`
SELECT medchain.admit('hospital-b', 'chain_node', :'cert');
SELECT member, kind, state FROM medchain.members ORDER BY kind, member;
SQL
expect "three members are admitted" data-centre \
	"SELECT count(*) FROM medchain.members WHERE state = 'admitted'" 3

tell <<'TEXT'
Joining is one call for each of them: it fetches the genesis block and the contract over
TLS, verifies both, countersigns the contract and follows the data centre's chain.
TEXT
for node in end-node hospital-a hospital-b; do
	sql "$node" <<-SQL
		\\set cert \`cat $node.crt\`
		SELECT medchain.join_alliance('$node', :'cert',
		    $(address data-centre));
	SQL
done

tell <<'TEXT'
The data centre and the end node have been told where the others are, and follow them:
native logical replication, one call for each.
TEXT
for node in data-centre end-node; do
	statements=
	for peer in "${nodes[@]}"; do
		if [[ $peer != "$node" && $peer != data-centre ]]; then	# whom joining has connected
			statements+="SELECT medchain.connect_peer('$peer',"$'\n'"    $(address "$peer"));"$'\n'
		fi
	done
	sql "$node" <<<"${statements%$'\n'}"
done
for node in data-centre end-node; do
	arrives "$node follows the three others" "$node" \
		"SELECT count(*) FROM medchain.peers WHERE state = 'streaming'" 3
done

tell <<'TEXT'
A hospital's chain counts only when the end node has configured it: it registers the
unique public key which the chain's blocks are signed with. Until then peers hold the
chain, and neither refuse nor believe it.
TEXT
arrives "the hospitals' contracts and countersignatures are with the end node" end-node \
	"SELECT count(*) FROM medchain.chains WHERE state = 'held, not configured' AND held_blocks > 0" 2
sql end-node <<'SQL'
SELECT origin, kind, state, height, held_blocks FROM medchain.chains ORDER BY origin;
SELECT medchain.configure_ledger('hospital-a');
SELECT medchain.configure_ledger('hospital-b');
SQL

tell <<'TEXT'
The hospitals know the data centre alone. So everybody says on its chain where it is,
and never how to log in: that, each has in medchain.peer_options. A hospital asks whom it
knows for the chains of the others, and follows them all: one call.
TEXT
for node in "${nodes[@]}"; do
	sql "$node" <<-SQL
		SELECT medchain.announce('$(announced "$node")');
	SQL
done
for node in hospital-a hospital-b; do
	ask "$node" "SELECT medchain.follow_all()" >/dev/null
	arrives "$node has heard where everybody is" "$node" "SELECT count(*) FROM medchain.addresses" 4
	sql "$node" <<-'SQL'
		SELECT * FROM medchain.follow_all();
	SQL
done
for node in "${nodes[@]}"; do
	arrives "$node: all four members are active" "$node" \
		"SELECT count(*) FROM medchain.members WHERE state = 'active'" 4
done
for node in "${nodes[@]}"; do
	arrives "$node follows the three others" "$node" \
		"SELECT count(*) FROM medchain.peers WHERE state = 'streaming' AND follower_state = 'following us'" 3
done
sql hospital-a <<'SQL'
SELECT w.application_name AS follower, w.usename, s.version, s.client_dn
FROM pg_stat_replication w JOIN pg_stat_ssl s USING (pid)
WHERE w.usename = 'alliance' ORDER BY s.client_dn;
SQL
for node in "${nodes[@]}"; do
	arrives "$node: replication runs over TLS, each follower with the certificate of a member" "$node" \
		"SELECT count(DISTINCT s.client_dn) FILTER (WHERE s.ssl AND w.usename = 'alliance') || ' of ' || count(*)
		 FROM pg_stat_replication w JOIN pg_stat_ssl s USING (pid)" "3 of 3"
done

settled
sql hospital-b <<'SQL'
SELECT member, kind, state, configured_by, capabilities FROM medchain.members ORDER BY kind, member;
SELECT origin, state, height, entries, left(head, 16) AS head FROM medchain.chains ORDER BY origin;
SQL
