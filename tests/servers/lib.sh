# Helpers of the tests of servers; sourced. Each server is Debian's unmodified program in a cell, reached by its real client
# through ports of this host's loopback. NATIVE=1 runs the servers without a cell: so a test itself is tested.
. "$(dirname "${BASH_SOURCE[0]}")/../system/lib.sh"
python=/usr/bin/python3
here=$(realpath "$(dirname "${BASH_SOURCE[0]}")")
build=$(dirname "$vauban")
native=${NATIVE:-}
cell=() # options of vauban run for the next servers
started=()

for package in "${needs[@]}"; do
	command -v "$package" >/dev/null || {
		echo "1..0 # SKIP no $package here"
		exit 0
	}
done

stop_all() {
	local pid
	for pid in "${started[@]}"; do
		kill "$pid" 2>/dev/null
	done
	for pid in "${started[@]}"; do
		for _ in {1..200}; do
			kill -0 "$pid" 2>/dev/null || break
			sleep 0.05
		done
		kill -KILL "$pid" 2>/dev/null
	done
	wait 2>/dev/null
}
trap stop_all EXIT

taken=""
free_port() { # free_port VARIABLE: a port of this host that nobody uses, below those that the kernel gives away
	local candidate
	while :; do
		candidate=$((10000 + RANDOM % 20000))
		[[ " $taken " == *" $candidate "* ]] && continue
		[ -z "${TESTS_SHARE:-}" ] || mkdir "$TESTS_SHARE/port-$candidate" 2>/dev/null || continue # a test beside this one has it
		[ -z "$(ss -Htuln "sport = :$candidate")" ] && break
	done
	taken+=" $candidate"
	printf -v "$1" %s "$candidate"
}

# What a server in a cell calls this host, and what it listens on.
[ "$native" ] && host=127.0.0.1 || host=10.0.2.2

serve() { # serve NAME PORT[/udp]... -- PROGRAM ARGUMENT...: in the background, with this folder as a volume; output in NAME.log
	local name=$1 ports=()
	shift
	while [ "$1" != -- ]; do
		ports+=(-p "127.0.0.1:${1%/udp}:$1")
		shift
	done
	shift
	if [ "$native" ]; then
		"$@" >"$name.log" 2>&1 </dev/null &
	else
		"$vauban" run --name "$name" "${cell[@]}" -v "$PWD:$PWD" -w "$PWD" "${ports[@]}" "$@" >"$name.log" 2>&1 </dev/null &
	fi
	server=$!
	started+=("$server")
}

ready() { # ready NAME COMMAND...: the server answers within a minute; it lives in a cell
	local name=$1 end=$((SECONDS + 60))
	shift
	while [ $SECONDS -lt $end ]; do
		if "$@" >/dev/null 2>&1; then
			[ "$native" ] || "$vauban" ps -q | grep -qx "$name"
			result $? "$name is up, in a cell"
			return
		fi
		kill -0 "$server" 2>/dev/null || break
		sleep 0.05
	done
	result 1 "$name is up" "$(tail -15 "$name.log")"
	finish
}

stopped() { # stopped NAME STATUS: SIGTERM ends the server as it should
	kill "$server"
	until_it eval '! kill -0 "$server"'
	kill -KILL "$server" 2>/dev/null && echo "# killed"
	wait "$server" 2>/dev/null
	is $? "$2" "$1 ends when told to"
}

client() { # client PROGRAM ARGUMENT...: in a cell that reaches this host's loopback as $host
	if [ "$native" ]; then
		"$@"
	else
		"$vauban" run --net user:loopback -v "$PWD:$PWD" -w "$PWD" "$@"
	fi
}

certificate() { # key.pem, cert.pem for 127.0.0.1 and localhost
	openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=localhost \
		-addext 'subjectAltName=IP:127.0.0.1,IP:10.0.2.2,DNS:localhost' 2>/dev/null
}
