# Helpers of the command-line tests; sourced. TAP on descriptor 1.
vauban=${VAUBAN:-$(realpath "$(dirname "${BASH_SOURCE[0]}")/../../build/vauban")}
count=0 failed=0

result() { # result STATUS NAME [DETAIL]: one check
	count=$((count + 1))
	if [ "$1" = 0 ]; then
		echo "ok $count - $2"
	else
		failed=1
		echo "not ok $count - $2"
		[ -z "${3:-}" ] || sed 's/^/# /' <<<"$3" | head -20
	fi
}

skip() { # skip NAME REASON
	count=$((count + 1))
	echo "ok $count - $1 # SKIP $2"
}

is() { # is GOT WANT NAME
	[ "$1" = "$2" ]
	result $? "$3" "got:  $1
want: $2"
}

like() { # like GOT PATTERN NAME: an extended regular expression
	grep -qE -- "$2" <<<"$1"
	result $? "$3" "got: $1
pattern: $2"
}

ok() { # ok NAME COMMAND...: it succeeds
	local name=$1 out
	shift
	out=$("$@" 2>&1)
	result $? "$name" "$out"
}

until_it() { # until_it COMMAND...: again and again until it succeeds, for a minute at most: a loaded machine may stop anything for seconds
	local end=$((SECONDS + 60))
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.05
	done
}

eventually() { # eventually NAME COMMAND...: within a minute
	local name=$1
	shift
	until_it "$@"
	result $? "$name" "never: $*"
}

field() { # field CELL FILTER: of inspect
	"$vauban" inspect "$1" | jq -r "$2"
}

gone() { # gone PID...: none of the processes is there
	local pid
	for pid; do
		[ "$(ps -o state= -p "$pid" 2>/dev/null | tr -d ' ')" ] && return 1
	done
	return 0
}

records() { # how many cells are recorded
	"$vauban" ps -aq | wc -l
}

finish() {
	echo "1..$count"
	exit $failed
}
