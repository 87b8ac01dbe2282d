# The network part of bench/run, sourced by it: real servers in cells against the same servers natively, driven by their own
# clients. NET_TURNS=5 NET_SECONDS=1 NET_PARTS='http redis bulk echo held'
#
# Every path to a server is set up at once and they take turns, client on one core and server on another (with two or more):
#   loopback    native server, in the client's network namespace
#   veth        native server, in a namespace of its own
#   tap         cell with a tap device (checksum and segmentation offload) in the client's namespace
#   user        cell behind passt: -p, as an ordinary user has it; the client asks 127.0.0.1
#   direct      the same with --net user:direct: the monitor does not look at the frames
#   bubblewrap  native server in a sandbox of namespaces, in the network namespace of veth
#   gvisor      runsc with its own stack, on a veth (where it runs; its ptrace platform, which runs anywhere)
# Without root there is no namespace to make: loopback, user, direct and bubblewrap (on loopback) only.

turns=${NET_TURNS:-5}
seconds=${NET_SECONDS:-1}
net_holders=() # processes that hold the namespaces: these end with them, devices included
declare -A net_host net_pid
net_paths=() net_all=()
net_memory=512M net_name='' net_mac=02:00:00:00:00:02

net_stop() {
	[ -z "${net:-}" ] || net_servers_stop
	[ ${#net_holders[@]} = 0 ] || kill "${net_holders[@]}" 2>/dev/null
	net_holders=()
}

# --- the paths ---

net_namespace() { # net_namespace: makes one, its holder is the last of net_holders
	unshare -n sleep 3600 >/dev/null 2>&1 &
	net_holders+=($!)
	disown $!
	local i
	for ((i = 0; i < 100; i++)); do
		[ "$(readlink /proc/$!/ns/net)" != "$(readlink /proc/self/ns/net)" ] && nsenter -t $! -n ip link set lo up 2>/dev/null && break
		sleep 0.02
	done
	# No traffic of its own; Linux's own default if the host lets namespaces have it; many short connections from one client.
	nsenter -t $! -n sysctl -q -w net.ipv4.tcp_congestion_control=cubic net.ipv4.tcp_tw_reuse=1 \
		net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1 net.ipv4.ip_local_port_range='1024 65535' 2>/dev/null
}

net_veth() { # net_veth CLIENT-HOLDER SERVER-HOLDER NAME NETWORK
	local client="nsenter -t $1 -n" server="nsenter -t $2 -n"
	$client ip link add "$3" type veth peer name eth0 netns "$2" &&
		$client ip address add "$4.1/24" dev "$3" && $client ip link set "$3" up &&
		$server ip address add "$4.2/24" dev eth0 && $server ip link set eth0 up && $server ip route add default via "$4.1"
}

net_paths_make() {
	if [ "$(id -u)" != 0 ]; then
		skip "net: veth, tap, gvisor" "only root may make network namespaces here"
		net_host=([loopback]=127.0.0.1 [user]=127.0.0.1 [direct]=127.0.0.1 [bubblewrap]=127.0.0.1)
		net_all=(loopback user direct bubblewrap)
		native=loopback
		in_client='' in_server='' in_gvisor=''
		return
	fi
	net_namespace
	net_namespace
	net_namespace
	in_client="nsenter -t ${net_holders[0]} -n" in_server="nsenter -t ${net_holders[1]} -n" in_gvisor="nsenter -t ${net_holders[2]} -n"
	net_veth "${net_holders[0]}" "${net_holders[1]}" veth1 10.76.1 && net_veth "${net_holders[0]}" "${net_holders[2]}" veth3 10.76.3 &&
		$in_client ip route add default via 10.76.1.2 || { skip net "no network devices can be made here"; return 1; }
	net_host=([loopback]=127.0.0.1 [veth]=10.76.1.2 [bubblewrap]=10.76.1.2 [user]=127.0.0.1 [direct]=127.0.0.1 [gvisor]=10.76.3.2)
	net_all=(loopback veth user direct bubblewrap gvisor)
	if $in_client ip tuntap add dev tap0 mode tap vnet_hdr 2>"$net/err" && $in_client ip address add 10.76.2.1/24 dev tap0 &&
		$in_client ip neighbour add 10.76.2.2 lladdr $net_mac dev tap0 && $in_client ip link set tap0 up; then
		net_host[tap]=10.76.2.2
		net_all+=(tap)
	else
		skip "net: tap" "$(tail -1 "$net/err")"
	fi
}

# --- servers: one on each path at a time, by the same command ---

net_drop() { # net_drop PATH SERVER REASON: does not take part any more
	local p rest=()
	skip "net: $2 on $1" "$3"
	for p in "${net_paths[@]}"; do
		[ "$p" = "$1" ] || rest+=("$p")
	done
	net_paths=("${rest[@]}")
}

gvisor_bundle() { # gvisor_bundle COMMAND...; an earlier runsc has taken the address from the device
	$in_gvisor ip address replace 10.76.3.2/24 dev eth0 && $in_gvisor ip route replace default via 10.76.3.1 || return
	rm -rf "$net/bundle"
	mkdir -p "$net/bundle"
	(cd "$net/bundle" && runsc spec -- "$@") >/dev/null || return
	jq --arg net "/proc/${net_holders[2]}/ns/net" '.root.path = "/" | .process.terminal = false |
		(.linux.namespaces[] | select(.type == "network")).path = $net' "$net/bundle/config.json" >"$net/config.json" &&
		mv "$net/config.json" "$net/bundle/"
}

net_start() { # net_start PATH IMAGE PORT COMMAND...: in the background
	local path=$1 image=$2 port=$3 run
	shift 3
	case $path in
	loopback) run=($in_client $on_server "$@") ;;
	veth) run=($in_server $on_server "$@") ;;
	bubblewrap) run=($in_server $on_server bwrap --ro-bind / / --dev /dev --proc /proc --tmpfs /tmp --ro-bind "$work" "$work" \
		--unshare-all --share-net --die-with-parent "$@") ;;
	tap) run=($in_client $on_server "$vauban" run -m "$net_memory" $net_name --net tap:tap0 --ip 10.76.2.2/24,10.76.2.1 --mac $net_mac \
		"$image" "${@:2}") ;;
	direct) run=($in_client $on_server "$vauban" run -m "$net_memory" --net user:direct -p "127.0.0.1:$port:$port" "$image" "${@:2}") ;;
	user) run=($in_client $on_server "$vauban" run -m "$net_memory" $net_name -p "127.0.0.1:$port:$port" "$image" "${@:2}") ;;
	# This runsc takes newer kernels' other network namespaces for the first one, by what it sees in /proc/sys/net.
	gvisor) run=($on_server unshare -m sh -c 'mount -t tmpfs none /proc/sys/net && exec "$@"' sh runsc --root "$net/runsc" --ignore-cgroups
		--platform=ptrace --network=sandbox run -bundle "$net/bundle" "vauban-bench-$$") ;;
	esac
	[ "$path" != gvisor ] || gvisor_bundle "$@" || return
	"${run[@]}" >"$net/$path.log" 2>&1 </dev/null &
	net_pid[$path]=$!
	disown $!
}

net_servers_stop() {
	local pid
	for pid in "${net_pid[@]}"; do
		kill -KILL $(descendants "$pid") 2>/dev/null
		while kill -0 "$pid" 2>/dev/null; do
			sleep 0.02
		done
	done
	net_pid=()
	rm -rf "$net/runsc"
}

declare -A net_offset=([loopback]=0 [veth]=0 [bubblewrap]=1 [user]=2 [direct]=3 [tap]=0 [gvisor]=0)
net_port() { # net_port PATH
	echo $((net_base + ${net_offset[$1]}))
}

# net_serve IMAGE READY COMMAND...: %P stands for the port, %H for the address; the command READY succeeds when it serves
net_serve() {
	local image=$1 path port command ready end
	local probe=$2
	shift 2
	net_paths=()
	for path in "${net_all[@]}"; do
		case $path in
		bubblewrap) command -v bwrap >/dev/null || continue ;;
		gvisor) command -v runsc >/dev/null || continue ;;
		esac
		net_paths+=("$path")
	done
	for path in "${net_paths[@]}"; do
		port=$(net_port "$path")
		command=("${@//%P/$port}")
		ready=${probe//%P/$port}
		ready=${ready//%H/${net_host[$path]}}
		net_start "$path" "$image" "$port" "${command[@]}" || continue
		end=$((SECONDS + 8))
		while [ $SECONDS -lt $end ]; do
			kill -0 "${net_pid[$path]}" 2>/dev/null || break
			$in_client timeout 2 $ready >/dev/null 2>&1 && continue 2
			sleep 0.05
		done
		net_drop "$path" "${1##*/}" "it does not serve here: $(grep -v '^$' "$net/$path.log" | tail -1 | tr '|' ' ' | cut -c1-160)"
	done
}

# --- turns and rows ---

cpu_ns() { # cpu_ns PATH: of all processes of the server: user, system, and what interrupted them
	local pid
	for pid in $(descendants "${net_pid[$1]}"); do
		cat /proc/"$pid"/task/*/schedstat 2>/dev/null
	done | awk '{ s += $1 } END { printf "%.0f\n", s }'
}

# Runs TURN PATH ARGS on every path in turn and keeps the lines that it prints, its columns.
net_turns() { # net_turns MEASURE PATHS TURN ARGS...
	local measure=$1 paths=$2 i path
	shift 2
	rm -f "$net"/columns.*
	for ((i = 0; i < turns; i++)); do
		for path in $paths; do
			[[ " ${net_paths[*]} " == *" $path "* ]] || continue
			"$1" "$path" "${@:2}" >>"$net/columns.$path" 2>"$net/err" ||
				net_drop "$path" "$measure" "failed: $(tail -1 "$net/err" | tr '|' ' ') $(tail -1 "$net/$path.log" | tr '|' ' ')"
		done
	done
}

column() { awk -v c="$2" '{ print $c }' "$net/columns.$1" | median; }

# Rows of one column of the last turns: each cell and sandbox against native servers.
net_rows() { # net_rows FIGURE COLUMN UNIT TAP-GOAL USER-GOAL METHOD
	local pair path base goal a b
	for pair in tap:veth tap:loopback user:loopback direct:loopback bubblewrap:"${native:-veth}" gvisor:veth; do
		path=${pair%:*} base=${pair#*:}
		[ -s "$net/columns.$path" ] && [ -s "$net/columns.$base" ] || continue
		goal=-
		[ "$pair" != tap:veth ] || goal=$4
		[ "$pair" != user:loopback ] || goal=$5
		a=$(column "$path" "$2") b=$(column "$base" "$2")
		row "$1: $path" "$a" "$3" "native $base" "$b" "$(ratio "$a" "$b")" "$goal" "$6, median of $turns turns"
	done
}

cells_and_natives="loopback veth tap user"
everything="$cells_and_natives direct bubblewrap gvisor"

# --- lighttpd and wrk ---

http_turn() { # http_turn PATH CONNECTIONS FILE: requests/s, p50 us, p99 us, server us/request, MB/s
	local before after
	before=$(cpu_ns "$1")
	$in_client $on_client wrk -t1 -c"$2" -d"${seconds}s" --latency "http://${net_host[$1]}:$(net_port "$1")/$3" >"$net/wrk" || return
	after=$(cpu_ns "$1")
	awk -v cpu=$((after - before)) '
		function us(t) { return t * (t ~ /us$/ ? 1 : t ~ /ms$/ ? 1000 : 1000000) }
		/^ *50%/ { p50 = us($2) }
		/^ *99%/ { p99 = us($2) }
		/ requests in / { requests = $1 }
		/^Requests.sec/ { rate = $2 }
		/^Transfer.sec/ { bytes = $2 * ($2 ~ /GB/ ? 1073.7 : $2 ~ /MB/ ? 1.0486 : 0.001024) }
		/Non-2xx|Socket errors/ { print > "/dev/stderr"; bad = 1 }
		END {
			if (bad || !requests) exit 1
			printf "%.0f %.0f %.0f %.2f %.0f\n", rate, p50, p99, cpu / requests / 1000, bytes
		}' "$net/wrk"
}

http_part() {
	local connections paths what
	mkdir -p "$net/www"
	head -c 3072 /dev/urandom | base64 -w0 >"$net/www/small"
	head -c 64M /dev/zero >"$net/www/large"
	for path in "${net_all[@]}"; do
		printf 'server.document-root = "%s"\nserver.port = %s\nserver.max-keep-alive-requests = 1000000000\n' "$net/www" "$(net_port "$path")" \
			>"$net/lighttpd.$(net_port "$path")"
	done
	"$vauban" image build -o "$net/lighttpd.img" --program /usr/sbin/lighttpd --add "$net/www:$net/www" \
		$(printf -- '--add %s ' "$net"/lighttpd.[0-9]*) >/dev/null || return
	net_serve "$net/lighttpd.img" "curl -sf -o /dev/null http://%H:%P/small" /usr/sbin/lighttpd -D -f "$net/lighttpd.%P"
	for connections in 1 16 64; do
		what="lighttpd, 4 KiB file, wrk -t1 -c$connections -d${seconds}s"
		paths=$cells_and_natives
		[ $connections != 16 ] || paths=$everything
		net_turns http "$paths" http_turn $connections small
		net_rows "http $connections conn" 1 req/s "$([ $connections = 1 ] && echo - || echo '>= 1.0')" '>= 0.5' "$what"
		net_rows "http $connections conn p50" 2 us "$([ $connections = 1 ] && echo '<= 1.1' || echo -)" - "$what"
		net_rows "http $connections conn p99" 3 us - - "$what"
		net_rows "http $connections conn CPU" 4 us/r - - "$what; CPU time of all processes of the server a request, kernel included"
	done
	net_turns download "$cells_and_natives" http_turn 1 large
	net_rows "http download" 5 MB/s '>= 0.8' '>= 0.5' "lighttpd, 64 MiB file, wrk -t1 -c1 -d${seconds}s"
	net_servers_stop
}

# --- redis ---

redis_turn() { # redis_turn PATH CONNECTIONS PIPELINE REQUESTS: SET/s, GET/s, p99 of GET us, server us/request
	local before after
	before=$(cpu_ns "$1")
	$in_client $on_client redis-benchmark -h "${net_host[$1]}" -p "$(net_port "$1")" -t set,get -c "$2" -P "$3" -n "$4" --csv \
		>"$net/redis" 2>/dev/null || return
	after=$(cpu_ns "$1")
	awk -F'[",]+' -v cpu=$((after - before)) -v n="$4" '$2 == "SET" { set = $3 } $2 == "GET" { get = $3; p99 = $8 * 1000 }
		END { if (!set || !get) exit 1; printf "%.0f %.0f %.0f %.2f\n", set, get, p99, cpu / n / 2000 }' "$net/redis"
}

redis_part() {
	local connections pipeline paths what requests
	net_serve /usr/bin/redis-server "redis-cli -h %H -p %P ping" /usr/bin/redis-server --port %P --save '' --appendonly no --protected-mode no --dir /tmp
	for pipeline in 1 16; do
		for connections in 1 16 64; do
			# As many as take the native server a third of a second.
			requests=$(redis_turn loopback $connections $pipeline $((pipeline * 3000)) | awk -v s="$seconds" '{ print int($2 * s / 3) + 1000 }')
			what="redis-benchmark -c $connections -P $pipeline -n $requests"
			paths=$cells_and_natives
			[ $connections != 16 ] || paths=$everything
			net_turns redis "$paths" redis_turn $connections $pipeline "$requests"
			net_rows "redis SET $connections/$pipeline" 1 1/s '>= 1.0' '>= 0.5' "$what"
			net_rows "redis GET $connections/$pipeline" 2 1/s '>= 1.0' '>= 0.5' "$what"
			net_rows "redis GET $connections/$pipeline p99" 3 us - - "$what"
			net_rows "redis CPU $connections/$pipeline" 4 us/r - - "$what; CPU time of all processes of the server a request, kernel included"
		done
	done
	net_servers_stop
}

# --- bulk, one at a time, connections ---

bulk_turn() { # bulk_turn PATH OPTION: MB/s
	$in_client $on_client iperf3 -c "${net_host[$1]}" -p "$(net_port "$1")" -t "$seconds" -J $2 >"$net/iperf" ||
		{ jq -r .error "$net/iperf" >&2; return 1; }
	jq -r '.end.sum_received.bits_per_second / 8e6 | round' "$net/iperf"
}

bulk_part() {
	local natives
	natives="natively $($in_client sysctl -n net.ipv4.tcp_congestion_control)"
	net_serve /usr/bin/iperf3 "iperf3 -c %H -p %P -n 1K" /usr/bin/iperf3 -s -p %P
	net_turns "bulk in" "$everything" bulk_turn ''
	net_rows "bulk to server" 1 MB/s '>= 0.8' '>= 0.5' "iperf3 -t $seconds, one stream, client to server; $natives"
	net_turns "bulk out" "$everything" bulk_turn -R
	net_rows "bulk from server" 1 MB/s '>= 0.8' '>= 0.5' "iperf3 -t $seconds -R, one stream, server to client; $natives"
	net_servers_stop
}

echo_turn() { # echo_turn PATH pingpong|connect WIDTH: a second, p50 us, p99 us
	$in_client $on_client "$work/net" "$2" "${net_host[$1]}" "$(net_port "$1")" $((seconds * 500)) $3
}

echo_part() {
	net_serve "$work/net" "$work/net pingpong %H %P 0" "$work/net" serve %P
	net_turns pingpong "$everything" echo_turn pingpong ''
	net_rows "64 B ping-pong p50" 2 us '<= 1.1' - "bench/net.c, one connection, $((seconds * 500)) ms"
	net_rows "64 B ping-pong p99" 3 us - - "bench/net.c, one connection, $((seconds * 500)) ms"
	net_turns connect "$everything" echo_turn connect 16
	net_rows "connections" 1 1/s - - "bench/net.c: connect, 64 B to and fro, close; 16 at a time, $((seconds * 500)) ms"
	net_rows "connections p99" 3 us - - "bench/net.c: connect, 64 B to and fro, close; 16 at a time, $((seconds * 500)) ms"
	net_servers_stop
}

# --- connections that do nothing ---

used_bytes() { # of the one cell that runs
	"$vauban" inspect "$1" | jq .memory.used
}

switches() { # voluntary context switches of all processes of a server: how often it woke up
	local pid
	for pid in $(descendants "${net_pid[$1]}"); do
		cat /proc/"$pid"/task/*/status
	done | awk '/^voluntary_ctxt/ { s += $2 } END { print s }'
}

hold() { # hold PATH COUNT: holds connections in the background; their end: hold_end
	mkfifo "$net/hold.in"
	$in_client $on_client "$work/net" hold "${net_host[$1]}" "$(net_port "$1")" "$2" <"$net/hold.in" >"$net/hold.out" 2>"$net/err" &
	hold_pid=$!
	exec 9>"$net/hold.in"
	rm "$net/hold.in"
	local i
	for ((i = 0; i < 600; i++)); do
		grep -q holding "$net/hold.out" && return
		kill -0 $hold_pid 2>/dev/null || return 1
		sleep 0.1
	done
	return 1
}

hold_end() {
	exec 9>&-
	wait $hold_pid
}

held_part() {
	local path=user before after wakes count=10000
	[ -z "${net_host[tap]:-}" ] || path=tap
	net_memory=64M net_name="--name vauban-bench-$$"
	net_all=(loopback $path)
	net_serve "$work/net" "$work/net pingpong %H %P 0" "$work/net" serve %P
	[[ " ${net_paths[*]} " == *" $path "* ]] || return
	if hold $path 100; then
		sleep 8 # neighbours are known, what is put off a little is done
		before=$(switches $path)
		wakes=$(switches loopback)
		sleep 5
		row "idle wake-ups: $path" "$(($(switches $path) - before))" - "native loopback" "$(($(switches loopback) - wakes))" - 0 \
			"voluntary context switches of monitor, tender (and passt) in 5 s with a listener and 100 idle connections"
	fi
	hold_end
	before=$(used_bytes "vauban-bench-$$")
	if hold $path $count; then
		after=$(used_bytes "vauban-bench-$$")
		row "memory a connection: $path" $(((after - before) / count)) B - - - - \
			"growth of the memory of a 64 MiB cell (inspect) with $count idle connections on which data went to and fro"
	fi
	hold_end && row "idle connections: $path" $count - - - - 10000 "held by one 64 MiB cell and answering 64 B each, before and after" ||
		skip "idle connections: $path" "$(tail -1 "$net/err") $(tail -1 "$net/$path.log" | tr '|' ' ')"
	net_servers_stop
}

net_part() {
	local command part
	for command in curl wrk lighttpd redis-server redis-benchmark iperf3 passt jq; do
		PATH=$PATH:/usr/sbin command -v $command >/dev/null || { skip net "no $command here: make deps"; return; }
	done
	net=$work/network
	mkdir "$net"
	gcc -O2 -static -o "$work/net" bench/net.c || return
	on_server='' on_client=''
	[ "$(nproc)" = 1 ] || on_server="taskset -c 0" on_client="taskset -c 1"
	net_base=$((20000 + $$ % 10000))
	net_paths_make || return
	for part in ${NET_PARTS:-http redis bulk echo held}; do
		say "measuring: net: $part"
		"${part}_part"
	done
	net_stop
}
