# shellcheck shell=bash
#
# Telling the story: headings, prose, the SQL as it is run, what came back, and
# whether that is what it should be.  A step that fails ends the story.
#
# WHO in these functions is NODE, for the superuser of that node's server, or
# NODE/ROLE.  Statements run in psql with the directory of certificates as its
# current directory, so that \set cert `cat hospital-a.crt` works as shown.

if [[ -t 1 ]]; then
	bold=$'\e[1m' blue=$'\e[34m' green=$'\e[32m' red=$'\e[31m' plain=$'\e[0m'
else
	bold='' blue='' green='' red='' plain=''
fi

patience=60	# seconds that anything may take to arrive
out=	# what came back from the statements shown last
chapters=0
chapter_title=

chapter() { # title
	chapters=$((chapters + 1)) chapter_title=$1
	printf '\n%s%s\n%s. %s\n%s%s\n' "$bold" "${1//?/=}===" "$chapters" "$1" "${1//?/=}===" "$plain"
}

tell() { # prose on standard input
	echo
	cat
}

# Ends the story.
broken() { # message...
	printf '\n%sdemo: %s%s\n' "$red" "$*" "$plain" >&2
	exit 1
}

ok() { # what holds
	printf '  %sok: %s%s\n' "$green" "$1" "$plain"
}

# psql for WHO; statements on standard input.
client() { # who [option...]
	local node=${1%%/*} role=postgres
	[[ $1 != */* ]] || role=${1#*/}
	shift
	# line by line: what goes to stdout and what goes to stderr stay in order
	(cd "$pki" && stdbuf -oL psql -X -v ON_ERROR_STOP=1 -h "$sockets" -p "${port[$node]}" -U "$role" -d "$database" "$@")
}

# The statements, each preceded by psql commands that show it with a prompt, as if
# somebody typed it.  A statement ends with the line that ends with ";" or \gset, or
# is a line that begins with a backslash.  What is shown so begins with a character
# that nothing else does, so that it is told from what came back.
mark=$'\x01'
with_prompts() { # who; statements on standard input
	local prompt=${1/\// } line last='' statement='' first=yes
	if [[ $1 == */* ]]; then prompt+='=> '; else prompt+='=# '; fi
	while IFS= read -r line; do
		if [[ -n $first ]]; then
			[[ $last == '\set '* ]] || printf '\\echo\n'
			show_line "$prompt$line"
		else
			show_line "$(printf '%*s' ${#prompt} '')$line"
		fi
		first='' last=$line
		statement+=$line$'\n'
		if [[ $line == *';' || $line == *'\gset' || $line == \\* ]]; then
			printf '%s' "$statement"
			statement='' first=yes
		fi
	done
	printf '%s' "$statement"
}

show_line() { # text, quoted as psql wants it
	local text=${1//\\/\\\\}
	printf "\\\\echo '\\\\001%s'\n" "${text//\'/\'\'}"
}

# What came from psql, with one empty line before each statement and none at the end.
show() {
	printf '%s\n' "$(sed -E "s/^$mark(.*)$/$blue\1$plain/" "$work/tmp/output" | cat -s)"
}

# Runs the statements and shows them; $out has what came back.
run_shown() { # who; the rest is the command, statements on standard input
	local who=$1 status=0
	shift
	with_prompts "$who" | "$@" >"$work/tmp/output" 2>&1 || status=$?
	show
	out=$(grep -v "^$mark" "$work/tmp/output" || true)
	return "$status"
}

# Run, and show both.
sql() { # who; statements on standard input
	run_shown "$1" client "$1" || broken "this statement should have worked"
}

# The same, of statements the last of which has to fail, with these words.
refused() { # who pattern; statements on standard input
	! run_shown "$1" client "$1" || broken "this statement should have been refused"
	grep -qE "$2" <<<"$out" || broken "it was refused, but not for the reason expected: $2"
	ok "refused"
}

# What was shown last has a line like this.
shows() { # what pattern
	grep -qE "$2" <<<"$out" || broken "not as told: $1 (there is no line like \"$2\")"
	ok "$1"
}

# A value, not shown.
ask() { # who sql
	client "$1" -qAt <<<"$2" || broken "could not ask $1: $2"
}

# The statement has this value.
expect() { # what who sql value
	local value
	value=$(ask "$2" "$3")
	[[ $value == "$4" ]] || broken "not as told: $1: expected \"$4\", found \"$value\" (at $2: $3)"
	ok "$1"
}

# The statement comes to have this value, by and by.
arrives() { # what who sql value
	local value deadline=$((SECONDS + patience))
	while value=$(ask "$2" "$3") && [[ $value != "$4" ]]; do
		[[ $SECONDS -lt $deadline ]] ||
			broken "not as told: $1: expected \"$4\", still \"$value\" after $patience seconds (at $2: $3)"
		sleep 0.1
	done
	[[ $value == "$4" ]] || broken "not as told: $1: expected \"$4\", found \"$value\" (at $2: $3)"
	ok "$1"
}
