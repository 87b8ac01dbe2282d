#!/bin/bash
# iperf3: TCP and UDP in both directions, several streams.
needs=(iperf3 jq)
. "$(dirname "$0")/lib.sh"

free_port port
cell=(--net user:loopback)
serve iperf3 "$port" "$port/udp" -- /usr/bin/iperf3 -s -p "$port" --forceflush
ready iperf3 timeout 30 iperf3 -c 127.0.0.1 -p "$port" -n 1000
measure() { # measure FILTER ARGUMENT...: what the filter makes of the report
	local filter=$1
	shift
	out=$(timeout 100 iperf3 -c 127.0.0.1 -p "$port" -J "$@" 2>&1)
	[ "$(jq "$filter" <<<"$out" 2>&1)" = true ]
}
run() { # run NAME FILTER ARGUMENT...: the filter of the report is true, in one try: datagrams may be lost while the machine does something else
	local name=$1 out
	shift
	until_it measure "$@"
	result $? "$name" "$out"
	jq -r '.end | "# " + ((.sum_received // .sum).bits_per_second / 8e6 | floor | tostring) + " MB/s"' <<<"$out" 2>/dev/null
}
# What is still on its way through buffers when the client has sent its last is not counted.
run "TCP to the server" '.end.sum_received.bytes >= 180000000' -n 200M
run "TCP from the server" '.end.sum_received.bytes >= 200000000' -n 200M -R
run "four connections at once" '[.end.streams[].receiver.bytes | . > 0] == [true, true, true, true]' -P 4 -t 1
run "four from the server" '[.end.streams[].receiver.bytes | . > 0] == [true, true, true, true]' -P 4 -t 1 -R
run "both ways at once" '.end.sum_received.bytes > 0 and .end.sum_received_bidir_reverse.bytes > 0' --bidir -t 1
run "UDP to the server, nothing lost" '.end.sum.packets > 1000 and .end.sum.lost_packets == 0' -u -b 20M -l 1400 -t 1
run "UDP from the server, nothing lost" '.end.sum.packets > 1000 and .end.sum.lost_packets == 0' -u -b 20M -l 1400 -t 1 -R
run "large datagrams" '.end.sum.packets > 100 and .end.sum.lost_packets == 0' -u -b 20M -l 9000 -t 1
run "small windows" '.end.sum_received.bytes >= 5000000' -w 16K -n 5M
kill "$server"
wait "$server" 2>/dev/null
status=$?
result $((status != 1 && status != 143 && status != 0)) "iperf3 ends when told to" "$status"
finish
