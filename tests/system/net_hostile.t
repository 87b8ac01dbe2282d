#!/bin/bash
# A hostile network: frames broken at all layers, floods, clients that hold what they can, interfaces and helpers that stall and go.
# After each the cell still answers, within its memory. COUNT: connections of the churn (20,000). FRAMES: of each flood (50,000).
. "$(dirname "$0")/lib.sh"
top=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../..")
for program in net_server net_storm; do
	gcc -O2 -w -static -o $program "$top/tests/attack/$program.c" || exit 1
done
frames=${FRAMES:-50000}
pids=()
cleanup() {
	kill -KILL "${pids[@]}" 2>/dev/null
	"$vauban" ps -aq | xargs -r "$vauban" rm -f >/dev/null 2>&1
}
trap cleanup EXIT

# What is true without a network.
like "$(timeout -s KILL 200 "$vauban" run -m 256M ./net_server ports 2>&1)" '^28232 connections, then EADDRNOTAVAIL$' "a program that uses up all its ports"

[ "$(id -u)" = 0 ] && unshare -n true 2>/dev/null || { skip "the rest" "needs root and network namespaces"; finish; }
namespace of
pids+=($of)
client="nsenter -t $of -n"
$client ip link set lo up
tap() { # tap: made anew
	$client ip link del tap0 2>/dev/null
	$client ip tuntap add dev tap0 mode tap vnet_hdr && $client ip address add 10.77.0.1/16 dev tap0 &&
		$client ip neighbour add 10.77.0.2 lladdr 02:00:00:00:00:02 dev tap0 && $client ip link set tap0 up
}
tap || { skip "the rest" "no tap device can be made here"; finish; }
# More than one tap carries would be lost before the cell sees it.
$client ip link set tap0 txqueuelen 10000
cell() { # cell MEMORY [DESCRIPTORS]: the server
	"$vauban" rm -f victim >/dev/null 2>&1
	$client "$vauban" run -d --name victim -m "$1" --net tap:tap0 --ip 10.77.0.2/16,10.77.0.1 --ip fd76::2/64 --mac 02:00:00:00:00:02 ./net_server 80 "${@:2}" >/dev/null
	eventually "a server with $1 of memory answers" answers
}
answers() { timeout -s KILL 60 $client ./net_storm ask 10.77.0.2 80; }
used() { echo $(($(field victim .memory.used) / 1024)); }
alive() { # alive WHAT: it answers, and is the same cell
	eventually "$1: the server answers" answers
	is "$(field victim .state)" running "$1: the cell runs"
}

# --- frames ---
cell 64M
for kind in syn ack udp icmp arp fragments discovery malformed; do
	$client timeout -s KILL 250 ./net_storm frames tap0 10.77.0.2 10.77.0.1 $kind "$frames" >sent 2>&1 &
	storm=$!
	sleep 0.1
	answers 2>/dev/null && during="yes" || during="no"
	wait $storm
	result $? "$kind: $(cat sent)" "$(cat sent)"
	echo "# answered during the flood: $during; $(used) KiB used"
	[ "$(used)" -lt 24576 ]
	result $? "$kind: a bound on memory" "$(used) KiB"
	alive "$kind"
done
eventually "memory is given back" eval '[ "$(used)" -lt 16384 ]'

# --- clients ---
hold() { # hold KIND COUNT [ADDRESS PORT]: in the background until hold_end
	rm -f hold.in hold.out
	mkfifo hold.in
	$client ./net_storm "$1" "${3:-10.77.0.2}" "${4:-80}" "$2" <hold.in >hold.out 2>&1 &
	holder=$!
	exec 8>hold.in
	until_it shown open hold.out || until_it shown open hold.out
}
hold_end() {
	exec 8>&-
	wait $holder
}
hold slow 3000
is "$(cat hold.out)" "3000 open" "3,000 clients that send half a request"
alive "slow clients"
hold_end
ok "${COUNT:-20000} connections come and go" $client ./net_storm churn 10.77.0.2 80 "${COUNT:-20000}"
echo "# $(used) KiB used"
alive "churn"

cell 16M
before=$(used)
hold noread 300
like "$(cat hold.out)" ' open$' "16 MiB: 300 clients that ask for much and read nothing"
echo "# $(cat hold.out); $before, then $(used) KiB used"
alive "clients that don't read"
hold_end
alive "when they have gone"
hold unread 300
like "$(cat hold.out)" ' open$' "16 MiB: 300 clients that send what the program doesn't read"
echo "# $(cat hold.out); $(used) KiB used"
alive "programs that don't read"
hold_end

cell 64M 64
hold idle 200
eventually "the program runs out of descriptors" eval '"$vauban" logs victim | grep -q EMFILE'
hold_end
alive "EMFILE"

# --- the interface ---
$client ip link set tap0 down
sleep 0.3
is "$(field victim .state)" running "a tap that goes down"
$client ip link set tap0 up
$client ip neighbour replace 10.77.0.2 lladdr 02:00:00:00:00:02 dev tap0
alive "when it is up again"
hold idle 50
$client ip link del tap0
sleep 0.5
is "$(field victim .state)" running "a tap that is deleted"
eventually "the log says so" eval '"$vauban" logs -a victim 2>&1 | grep -qE "eth0 is gone|lost its network"'
cpu() { awk '{ print $14 + $15 }' "/proc/$(field victim .tender_pid)/stat"; }
calm() { # for a second
	before=$(cpu)
	sleep 1
	[ $(($(cpu) - before)) -lt 10 ]
}
eventually "the cell does not spin" calm
hold_end
ok "it can be stopped" timeout -s KILL 200 "$vauban" stop -t 60 victim
"$vauban" rm -f victim >/dev/null 2>&1

# --- passt: stalls in the middle of a transfer, then dies ---
if command -v passt >/dev/null; then
	$client "$vauban" run -d --name victim -p 127.0.0.1:8090:80 ./net_server 80 >/dev/null
	asks() { timeout -s KILL 60 $client ./net_storm ask 127.0.0.1 8090; }
	eventually "passt: the server answers" asks
	passt=$(field victim '.net.interfaces[0].helper.pid')
	$client ./net_storm churn 127.0.0.1 8090 2000 >churn.out 2>&1 &
	churn=$!
	sleep 0.1
	kill -STOP "$passt"
	sleep 2
	kill -CONT "$passt"
	wait $churn
	result $? "passt stalls for 2 s in the middle of 2,000 connections: none is lost" "$(cat churn.out)"
	kill -9 "$passt"
	sleep 0.5
	is "$(field victim .state)" running "passt dies: the cell runs on"
	eventually "and does not spin" calm

	# Many that are not read fill what the windows over passt allow.
	for way in user user:direct; do
		"$vauban" rm -f victim >/dev/null 2>&1
		$client "$vauban" run -d --name victim -m 16M --net $way -p 127.0.0.1:8090:80 ./net_server 80 >/dev/null
		eventually "$way: the server answers" asks
		for kind in noread unread; do
			hold $kind 300 127.0.0.1 8090
			like "$(cat hold.out)" ' open$' "$way, 16 MiB: 300 clients, $kind"
			echo "# $(cat hold.out); $(used) KiB used"
			eventually "$way, $kind: the server answers" asks
			hold_end
		done
		is "$(field victim .state)" running "$way: the cell runs"
	done
fi
finish
