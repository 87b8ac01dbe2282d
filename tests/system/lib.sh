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

in_ns=() # what v runs vauban by: a namespace
v() { # v ARGUMENT...: a cell that hangs is a failure of the test, status 137
	timeout -s KILL 200 "${in_ns[@]}" "$vauban" "$@"
}

bad() { # bad STATUS PATTERN NAME COMMAND...: the status, and one line of error that matches
	local want=$1 pattern=$2 name=$3 out status
	shift 3
	out=$("$@" 2>&1 >/dev/null </dev/null)
	status=$?
	[ $status = "$want" ] && grep -qE -- "$pattern" <<<"$out" && [ "$(wc -l <<<"$out")" = 1 ]
	result $? "$name" "status $status, wanted $want
pattern: $pattern
$out"
}

is() { # is GOT WANT NAME
	[ "$1" = "$2" ]
	result $? "$3" "got:  $1
want: $2"
}

like() { # like GOT PATTERN NAME: an extended regular expression
	grep -qaE -- "$2" <<<"$1"
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

becomes() { # becomes WANT NAME COMMAND...: its output within a minute
	local want=$1 name=$2 end=$((SECONDS + 60)) got
	shift 2
	while got=$("$@" 2>&1); [ "$got" != "$want" ] && [ $SECONDS -lt $end ]; do
		sleep 0.05
	done
	is "$got" "$want" "$name"
}

shown() { # shown PATTERN FILE
	grep -qs -- "$1" "$2"
}

runs() { # runs CELL: its program does
	[ "$(field "$1" .state 2>/dev/null)" = running ]
}

asleep() { # asleep PID: a command of ours has come to its waiting
	[[ "$(cat "/proc/$1/comm" 2>/dev/null) $(ps -o state= -p "$1")" == vauban*\ S* ]]
}

namespace() { # namespace VARIABLE: the process of a new network namespace, until the test ends or 20 minutes are over
	unshare -n sleep 1200 >/dev/null &
	printf -v "$1" %s $!
	disown $! # bash is not to report that it was killed
	until_it eval '[ "$(readlink /proc/'$!'/ns/net)" != "$(readlink /proc/$$/ns/net)" ]'
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
