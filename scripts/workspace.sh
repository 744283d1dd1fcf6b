# shellcheck shell=bash
#
# Sourced by scripts/run-tests and demo/run: a copy of the checkout in a temporary
# directory, built and installed there, and commands run in it by somebody who
# is not root.
#
# Why a copy: the server refuses to run as root, and whoever runs it instead may
# not be able to read the checkout (scripts/unprivileged).  The copy holds what
# git tracks and what it does not ignore, so that a file which is only a leftover
# of an earlier build cannot make anything work.
#
# The sourcing script stands in the checkout's top directory, has set PG_CONFIG
# before it calls build, and defines give_up, which ends it with a message.

checkout=$PWD
work=	# the copy, the servers' data, HOME and TMPDIR
logs=	# what is worth keeping after a failure
running=	# process group of the command under way

# what a calling make told its children does not concern the makes below
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES

say() {
	printf '%s\n' "$*"
}

# ----- running commands ------------------------------------------------------

# Runs a command in a process group of its own, so that an interrupted run can
# end all of it at once.
watched() {
	local status=0
	set -m
	"$@" </dev/null &
	running=$!
	set +m
	wait "$running" || status=$?
	running=
	return "$status"
}

# Ends the command under way and waits until nothing of it is left, so that it
# starts no server behind our back: runuser takes two seconds to be sure.
stop_running() {
	local tries
	if [[ -n $running ]]; then
		kill -TERM -- "-$running" 2>/dev/null || true
		wait "$running" 2>/dev/null || true
		for ((tries = 0; tries < 100; tries++)); do
			kill -0 -- "-$running" 2>/dev/null || break
			sleep 0.1
		done
		running=
	fi
}

as_user() {
	"$checkout/scripts/unprivileged" --workdir "$work" "$@"
}

# In the copy, as the unprivileged user.
in_copy() {
	# shellcheck disable=SC2016  # the inner shell expands these
	as_user sh -c 'cd "$1" && shift && exec "$@"' sh "$work/src" "$@"
}

# Servers that outlived the program which had started them.
stop_servers() {
	local pidfile
	while IFS= read -r pidfile; do
		as_user "$("$PG_CONFIG" --bindir)/pg_ctl" stop -s -m immediate -D "$(dirname "$pidfile")" \
			>/dev/null 2>&1 || true
	done < <(find "$work" -name postmaster.pid 2>/dev/null)
}

# ----- preparations ----------------------------------------------------------

make_work_dir() { # purpose
	# Sockets are made below it, and their paths must be short; and the
	# unprivileged user must get there.  If TMPDIR will not do, /tmp does.
	local parent=${TMPDIR:-/tmp}
	if [[ ${#parent} -gt 40 ]] || ! "$checkout/scripts/unprivileged" test -x "$parent"; then
		parent=/tmp
	fi
	work=$(mktemp -d "$parent/medchain.XXXXXX")
	logs=$(mktemp -d "$parent/medchain-$1-logs.XXXXXX")
}

files_of_checkout() {
	local file
	if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
		git ls-files -z --cached --others --exclude-standard |
			while IFS= read -r -d '' file; do
				# not what was deleted but is still in the index
				if [[ -e $file || -L $file ]]; then
					printf '%s\0' "$file"
				fi
			done
	else
		# an unpacked archive, or git is missing or refuses another user's checkout
		find . -path ./.git -prune -o \
			\( -path ./test/core/build -o -path ./test/fuzz/build -o -name tmp_check \) -prune -o \
			-type f ! -name '*.o' ! -name '*.bc' ! -name '*.so' ! -path './medchain--*.sql' -print0
	fi
}

copy_checkout() {
	mkdir "$work/src"
	files_of_checkout | tar --null -T - -cf - | tar -C "$work/src" --no-same-owner -xf -
	# hands all of it over, and finds out whether that works
	as_user true
}

build() {
	watched in_copy make -s -j"$(nproc)" PG_CONFIG="$PG_CONFIG" all >"$logs/build.log" 2>&1 || {
		cat "$logs/build.log"
		give_up "the extension could not be built"
	}
}

install_extension() {
	local libdir extdir
	libdir=$("$PG_CONFIG" --pkglibdir)
	extdir=$("$PG_CONFIG" --sharedir)/extension
	local -a privilege=()
	if [[ $(id -u) -ne 0 && ! (-w $libdir && -w $extdir) ]]; then
		command -v sudo >/dev/null ||
			give_up "installing into $libdir takes root, and there is no sudo; run this as root"
		privilege=(sudo)
		[[ -t 0 ]] || privilege=(sudo -n)
	fi
	"${privilege[@]}" make -s -C "$work/src" PG_CONFIG="$PG_CONFIG" install >"$logs/install.log" 2>&1 || {
		cat "$logs/install.log"
		give_up "the extension could not be installed into $libdir"
	}
}
