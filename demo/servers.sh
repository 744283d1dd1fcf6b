# shellcheck shell=bash
#
# The four servers of the story: keys and certificates, data directories, ports.

nodes=(data-centre end-node hospital-a hospital-b)
database=care
sockets=$work/sockets
pki=$work/pki
declare -A port

# Another program may take a port between our looking and the server's start: whoever
# starts a server tries again.
free_port() {
	perl -MIO::Socket::INET -e '
		my $s = IO::Socket::INET->new(LocalAddr => "127.0.0.1", Proto => "tcp", Listen => 1) or die $!;
		print $s->sockport'
}

# A node's own keys and certificates lie in its data directory, where relative names
# in postgresql.conf and in connection strings lead.  Nobody has another's key.
server_files() { # node
	local dir=$work/servers/$1
	install -m 600 "$pki/$1.key" "$dir/node.key"
	install -m 644 "$pki/$1.crt" "$dir/node.crt"
	install -m 600 "$pki/$1-tls.key" "$dir/tls.key"
	install -m 644 "$pki/$1-tls.crt" "$dir/tls.crt"
	install -m 644 "$pki/ca.crt" "$dir/ca.crt"
	install -m 600 "$pki/pseudonym.key" "$dir/pseudonym.key"

	cat >>"$dir/postgresql.conf" <<-CONF
		listen_addresses = '127.0.0.1'
		unix_socket_directories = '$sockets'
		unix_socket_permissions = 0700
		ssl = on
		ssl_cert_file = 'tls.crt'
		ssl_key_file = 'tls.key'
		ssl_ca_file = 'ca.crt'
		shared_preload_libraries = 'medchain'
		wal_level = logical
		max_worker_processes = 20
		max_logical_replication_workers = 12
		max_wal_senders = 20
		max_replication_slots = 20
		wal_retrieve_retry_interval = 500ms
		medchain.signing_key = 'node.key'
		medchain.pseudonym_key_file = 'pseudonym.key'
		medchain.witness_interval = 0
		medchain.peer_options = 'user=alliance sslrootcert=ca.crt sslcert=tls.crt sslkey=tls.key'
		# the data is thrown away after the story
		fsync = off
	CONF
	# since 18 a setting of its own, which older servers refuse
	if "$bindir/postgres" --describe-config | grep '^max_active_replication_origins' >/dev/null; then
		echo 'max_active_replication_origins = 20' >>"$dir/postgresql.conf"
	fi

	# Over the network: TLS only.  Members' servers and their postgres_fdw show a
	# certificate of the alliance's CA; "app_a" is a hospital's program with a password.
	# The sockets lie in a directory which nobody else can enter.
	cat >"$dir/pg_hba.conf" <<-HBA
		local    all          all                     trust
		hostssl  $database    alliance  127.0.0.1/32  cert  map=members
		hostssl  $database    records   127.0.0.1/32  cert  map=members
		hostssl  $database    app_a     127.0.0.1/32  scram-sha-256
	HBA
	cat >"$dir/pg_ident.conf" <<-IDENT
		members  "/^(data-centre|end-node|hospital-a|hospital-b)$"  alliance
		members  "/^(hospital-a|hospital-b)$"                       records
	IDENT
}

server_start() { # node
	local dir=$work/servers/$1 attempt
	for attempt in 1 2 3 4 5; do
		port[$1]=$(free_port)
		if pg_ctl start -s -w -t "$patience" -D "$dir" -l "$work/logs/$1.log" -o "-p ${port[$1]}"; then
			return
		fi
		grep -q 'could not bind' "$work/logs/$1.log" || break
	done
	broken "the server of $1 did not start (attempt $attempt)"
}

servers_start() {
	local node
	mkdir -m 700 "$sockets"
	mkdir "$work/servers" "$work/logs"
	test/pki/make-pki "$pki" "${nodes[@]}"
	for node in "${nodes[@]}"; do
		initdb -D "$work/servers/$node" -U postgres -A trust -E UTF8 --locale=C --no-sync >"$work/logs/initdb.log" ||
			broken "initdb failed for $node"
		server_files "$node"
		server_start "$node"
		createdb -h "$sockets" -p "${port[$node]}" -U postgres "$database"
	done
}

# How a member's server reaches another's: a connection string as an SQL literal.
address() { # node
	printf "'%s'\n    '%s'" "host=$1 hostaddr=127.0.0.1 port=${port[$1]} dbname=$database user=alliance " \
		"sslmode=verify-full sslrootcert=ca.crt sslcert=tls.crt sslkey=tls.key"
}

# What it says of that itself: where it is, and nothing else.
announced() { # node
	printf "host=%s hostaddr=127.0.0.1 port=%s dbname=%s" "$1" "${port[$1]}" "$database"
}

# Everything that everybody has sealed is with everybody.
settled() {
	local deadline=$((SECONDS + patience)) node here reference agreed
	for node in "${nodes[@]}"; do
		ask "$node" "SELECT medchain.seal()" >/dev/null
	done
	while :; do
		agreed=yes reference=
		for node in "${nodes[@]}"; do
			here=$(ask "$node" "SELECT origin, height, head FROM medchain.chains ORDER BY origin COLLATE \"C\"")
			[[ -n $reference ]] || reference=$here
			[[ $here == "$reference" ]] || agreed=
		done
		[[ -z $agreed ]] || break
		if [[ $SECONDS -ge $deadline ]]; then
			for node in "${nodes[@]}"; do
				client "$node" <<<"TABLE medchain.chains; TABLE medchain.peers" || true
			done
			broken "the nodes' chains did not become equal within $patience seconds"
		fi
		sleep 0.1
	done
	ok "every node has every chain, with the same heads"
}

# After a failure: what the servers complained of.
servers_show_logs() { # status
	local log complaints
	[[ $1 -ne 0 && $1 -lt 128 ]] || return 0
	printf '\ndemo: the story ended in chapter %s, %s\n' "$chapters" "$chapter_title" >&2
	for log in "$work"/logs/*.log; do
		complaints=$(grep -sE '(ERROR|FATAL|PANIC|WARNING):  |LOG:  medchain:' "$log" | tail -n 10) || true
		[[ -z $complaints ]] || printf -- '----- last complaints in %s\n%s\n' "$(basename "$log")" "$complaints" >&2
	done
}
