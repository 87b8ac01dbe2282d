#!/bin/bash
# Many connections and many cells: 10,000 connections in a cell of 64 MiB, which sleeps while nothing comes; 100 cells with
# addresses of their own on one switch.
. "$(dirname "$0")/lib.sh"
top=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../..")
gcc -O2 -static -o net "$top/bench/net.c" && gcc -O2 -static -pthread -o mesh "$top/tests/system/programs/mesh.c" || exit 1
pids=()
cleanup() {
	kill -KILL "${pids[@]}" 2>/dev/null
	"$vauban" ps -aq | xargs -r "$vauban" rm -f >/dev/null 2>&1
	[ -z "${switch:-}" ] || rm -rf "$switch"
}
trap cleanup EXIT

# --- connections ---

hold() { # hold COUNT HOST PORT: in the background until hold_end; when all are open and answer it returns
	rm -f hold.in hold.out
	mkfifo hold.in
	$client ./net hold "$2" "$3" "$1" <hold.in >hold.out 2>hold.err 8>&- &
	holder=$!
	exec 8>hold.in
	until_it shown holding hold.out
}

hold_end() { # hold_end NAME: every connection still answers
	exec 8>&-
	wait $holder
	result $? "$1" "$(cat hold.err)"
}

switches() { # how often the processes slept, which is how often they woke up
	local pid
	for pid; do
		cat /proc/"$pid"/task/*/status
	done | awk '/^voluntary_ctxt/ { s += $2 } END { print s }'
}

connections() { # connections WAY COUNT HOST PORT: to the cell named held
	local tender monitor before after
	eventually "$1: the server listens" $client ./net pingpong "$3" "$4" 0
	before=$(field held .memory.used)
	hold "$2" "$3" "$4"
	result $? "$1: $2 connections are made" "$(cat hold.err)"
	after=$(field held .memory.used)
	[ $(((after - before) / $2)) -lt 3500 ]
	result $? "$1: a connection takes less than 3,500 bytes of the cell" "$before, then $after"
	tender=$(field held .tender_pid)
	woken() {
		before=$(switches "$tender")
		sleep 4
		echo $(($(switches "$tender") - before))
	}
	sleep 5 # neighbours are known, nothing is unacknowledged
	becomes 0 "$1: with $2 idle connections and a listener the cell does not wake up in 4 s" woken
	hold_end "$1: all $2 connections still answer"
	is "$(field held .state)" running "$1: the cell runs on"
	"$vauban" rm -f held >/dev/null
}

client=
if [ "$(id -u)" = 0 ] && unshare -n true 2>/dev/null; then
	namespace of
	pids+=($of)
	client="nsenter -t $of -n"
	# What the host says on its own would wake up the cell: IPv6, and asking whether its neighbour is still there.
	$client sysctl -q -w net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1 2>/dev/null
	if $client ip link set lo up && $client ip tuntap add dev tap0 mode tap vnet_hdr && $client ip address add 10.76.2.1/24 dev tap0 &&
		$client ip neighbour add 10.76.2.2 lladdr 02:00:00:00:00:02 dev tap0; then
		$client "$vauban" run -d --name held -m 64M --net tap:tap0 --ip 10.76.2.2/24 --mac 02:00:00:00:00:02 ./net serve 80 >/dev/null
		connections tap 10000 10.76.2.2 80
	else
		skip "connections over a tap" "no tap device can be made here"
	fi
else
	skip "connections over a tap" "needs root and network namespaces"
fi
port=21000
for ((; ${#client} == 0 && port < 21100; port++)); do # without a namespace of its own: one that nobody has
	(exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
done
$client "$vauban" run -d --name held -m 64M -p "127.0.0.1:$port:80" ./net serve 80 >/dev/null
connections "user network" 2000 127.0.0.1 $port

# --- cells ---

cells=100
if command -v vde_switch >/dev/null; then
	switch=$(mktemp -d /tmp/vde.XXXXXX) # a short name: it is a socket's
	chmod 755 "$switch"
	vde_switch -s "$switch/s" -m 666 -M "$switch/m" -n $((cells + 8)) -d -p "$switch/pid" >/dev/null
	eventually "a switch runs" test -s "$switch/pid"
	pids+=("$(cat "$switch/pid")")
	mkfifo go
	exec 9<>go
	"$vauban" run ./mesh >/dev/null 2>&1 </dev/null 9>&- # its image is built once
	for ((i = 1; i <= cells; i++)); do
		"$vauban" run -m 16M --net "vde:$switch/s" --ip "10.9.0.$i/16" ./mesh $i $cells <go >"mesh.$i" 2>&1 9>&- &
		pids+=($!)
		disown $!
	done
	all_up() { [ "$(grep -lx up mesh.[0-9]* | wc -l)" = $cells ]; }
	all_answered() { [ "$(grep -lx "$cells answered" mesh.[0-9]* | wc -l)" = $cells ]; }
	eventually "$cells cells start on one switch" all_up
	exec 9>&-
	for ((i = 0; i < 300; i++)); do
		all_answered && break
		sleep 0.5
	done
	all_answered
	result $? "each of $cells cells is answered by each, at its own address" "$(grep -L answered mesh.[0-9]* | wc -l) were not; $(grep -hv up mesh.[0-9]* | sort | uniq -c | head -5)"
	is "$("$vauban" ps -q | wc -l)" $cells "all of them run"
else
	skip "cells on one switch" "no vde_switch here"
fi
finish
