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
out=	# what the last statement showed
chapters=0

chapter() { # title
	chapters=$((chapters + 1))
	printf '\n%s%s\n%s. %s\n%s%s\n' "$bold" "${1//?/=}===" "$chapters" "$1" "${1//?/=}===" "$plain"
}

tell() { # prose on standard input
	echo
	cat
}

# Ends the story.
broken() { # message...
	printf '\n%sdemo: chapter %s: %s%s\n' "$red" "$chapters" "$*" "$plain" >&2
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
	(cd "$pki" && psql -X -v ON_ERROR_STOP=1 -h "$sockets" -p "${port[$node]}" -U "$role" -d "$database" "$@")
}

# The statement with psql's prompt, as if somebody typed it.
show_statement() { # who text
	local who=$1 line prompt mark='=# ' first=yes
	[[ $who != */* ]] || mark='=> '
	prompt=${who/\// }$mark
	echo
	while IFS= read -r line; do
		if [[ -n $first ]]; then
			printf '%s%s%s%s\n' "$blue" "$prompt" "$line" "$plain"
		else
			printf '%s%*s%s%s\n' "$blue" ${#prompt} '' "$line" "$plain"
		fi
		first=
		[[ $line != *';' && $line != \\* ]] || first=yes
	done <<<"$2"
}

show_output() {
	if [[ -n $out ]]; then
		printf '%s\n' "$out"
	fi
}

# Run, and show both; the output is in $out afterwards.
sql() { # who; statements on standard input
	local text
	text=$(cat)
	show_statement "$1" "$text"
	if ! out=$(client "$1" 2>&1 <<<"$text"); then
		show_output
		broken "this statement should have worked"
	fi
	show_output
}

# The same, of a statement that has to fail, with these words.
refused() { # who pattern; statements on standard input
	local text
	text=$(cat)
	show_statement "$1" "$text"
	if out=$(client "$1" 2>&1 <<<"$text"); then
		show_output
		broken "this statement should have been refused"
	fi
	show_output
	grep -qE "$2" <<<"$out" || broken "it was refused, but not for the reason expected: $2"
	ok "refused"
}

# What was shown last has a line like this.
shows() { # what pattern
	grep -qE "$2" <<<"$out" || broken "$1: expected a line like \"$2\""
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
	[[ $value == "$4" ]] || broken "$1: expected \"$4\", found \"$value\" (at $2: $3)"
	ok "$1"
}

# The statement comes to have this value, by and by.
arrives() { # what who sql value
	local value deadline=$((SECONDS + patience))
	while value=$(ask "$2" "$3") && [[ $value != "$4" ]]; do
		[[ $SECONDS -lt $deadline ]] ||
			broken "$1: expected \"$4\", still \"$value\" after $patience seconds (at $2: $3)"
		sleep 0.1
	done
	[[ $value == "$4" ]] || broken "$1: expected \"$4\", found \"$value\" (at $2: $3)"
	ok "$1"
}
