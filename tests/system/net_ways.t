#!/bin/bash
# The ways out of a cell: options, user network (passt), tap, VDE switch, firewall, recording, and what happens when they fail.
# All traffic stays in a network namespace of its own, or on loopback.
. "$(dirname "$0")/lib.sh"
PATH=$PATH:/usr/sbin:/sbin
python=/usr/bin/python3
true=/usr/bin/true cat=/usr/bin/cat
logged() { # logged CELL PATTERN
	"$vauban" logs -a "$1" 2>&1 | grep -qE -- "$2"
}

# --- options ---
v run --net none "$true" # makes its image
bad 2 'there is no network "wifi": user, tap:INTERFACE' "an unknown network" v run --net wifi "$true"
bad 2 'tap:tap0' "a tap without a name" v run --net tap "$true"
bad 2 'at most 15 characters' "a tap with a long name" v run --net tap:interface-with-name "$true"
bad 2 'vde:/run/switch' "a switch without a path" v run --net vde: "$true"
bad 2 'one is enough' "two user networks" v run --net user --net user "$true"
bad 2 'there are user:loopback' "user with something else" v run --net user:host "$true"
bad 2 'at most as many interfaces' "five networks" v run --net tap:a --net tap:b --net tap:c --net tap:d --net tap:e "$true"
bad 2 'decide for one' "none and another" v run --net none --net user "$true"
bad 2 'leaves nothing' "none and a port" v run --net none -p 80:80 "$true"
bad 2 'leaves nothing' "none and a rule" v run --net none --allow-out any "$true"
bad 2 'needs --net user' "a port without user network" v run --net tap:a -p 80:80 "$true"
bad 2 'ADDRESS/BITS' "an address without prefix" v run --ip 10.0.0.1 "$true"
bad 2 'is no IPv4 or IPv6 address' "no address" v run --ip ten/8 "$true"
bad 2 '1 to 32 bits' "a prefix that is too long" v run --ip 10.0.0.1/33 "$true"
bad 2 'address of the network' "the network's own address" v run --ip 10.0.0.0/24 "$true"
bad 2 'address of the network' "the broadcast address" v run --ip 10.0.0.255/24 "$true"
bad 2 'no address of an interface' "a loopback address" v run --ip 127.0.0.1/8 "$true"
bad 2 'no IPv4 address of a gateway' "a gateway of the other family" v run --ip 10.0.0.1/24,fe80::1 "$true"
bad 2 'has an IPv4 address already' "two addresses" v run --ip 10.0.0.1/24 --ip 10.0.0.2/24 "$true"
bad 2 'at most 29 bits' "no room for a gateway" v run --ip 10.0.0.1/30 "$true"
bad 2 'six bytes' "a short hardware address" v run --mac 02:00:00:00:00 "$true"
bad 2 'first byte must be even' "a group's hardware address" v run --mac 03:00:00:00:00:01 "$true"
bad 2 'address of a name server' "a name as name server" v run --dns ns.example "$true"
bad 2 'more than 3 --dns' "four name servers" v run --dns 1.1.1.1 --dns 1.1.1.2 --dns 1.1.1.3 --dns 1.1.1.4 "$true"
bad 2 'such as 8080:80' "one port" v run -p 80 "$true"
bad 2 'from 1 to 65535' "port 0" v run -p 0:80 "$true"
bad 2 'from 1 to 65535' "a range backwards" v run -p 90-80:90-80 "$true"
bad 2 '11 ports can.t lead to 1' "ranges of different lengths" v run -p 80-90:80 "$true"
bad 2 'no IP address of the host' "a bad host address" v run -p 1.2.3:80:80 "$true"
bad 2 'leads elsewhere already' "a port twice" v run -p 80-90:80-90 -p 85:1 "$true"
bad 2 '/sctp can.t' "sctp" v run -p 80:80/sctp "$true"
bad 2 'which of the two' "a network with host bits" v run --allow-out 10.1.2.3/8 "$true"
bad 2 'is no IP address' "a rule for a name" v run --allow-out example.org:80 "$true"
bad 2 'is no port' "a rule for a service name" v run --allow-out any:http "$true"
bad 2 'no ports after the colon' "a rule without ports" v run --allow-in any: "$true"
bad 125 'pcap /nowhere/x: ' "a recording nowhere" v run --pcap /nowhere/x "$true"
ok "a rule of each form" v run --allow-out 10.0.0.0/8 --allow-out 10.0.0.1:80,443,8000-8010/tcp --allow-out '[fd00::/8]:53/udp' --allow-out fd00::/8 \
	--allow-in any:icmp --allow-in any "$true"

# --- files of names, always ---
is "$(v run --dns 192.0.2.53 --dns fd00::53 "$cat" /etc/resolv.conf)" "nameserver 192.0.2.53
nameserver fd00::53" "--dns in /etc/resolv.conf"
like "$(v run --hostname web "$cat" /etc/hosts)" '^10\.0\.2\.15\sweb$' "the host name has an address"
like "$(v run --hostname web --ip 10.7.0.9/16 "$cat" /etc/hosts)" '^10\.7\.0\.9\sweb$' "the one of --ip"
is "$(v run --hostname web "$cat" /etc/hostname)" web "/etc/hostname"
v run -d --name idle "$(command -v sleep)" 1000 >/dev/null
is "$(field idle '.net.interfaces[0].helper')" null "a program without sockets starts no passt"
v kill idle >/dev/null

# --- without passt ---
command -v passt >/dev/null || { skip "the rest" "passt is not installed"; finish; }
mkdir empty
bad 125 'apt install passt' "passt is not there: said, with -p" "$(command -v env)" PATH="$PWD/empty" "$vauban" run -p 8080:80 "$true"
fetch="import urllib.request as r; print(r.urlopen('http://' + __import__('sys').argv[1], timeout=float(__import__('sys').argv[2])).read().decode()[:20])"
out=$(timeout -s KILL 200 env PATH="$PWD/empty" "$vauban" run "$python" -c "$fetch" 192.0.2.1:80 5 2>&1)
like "$out" 'vauban: no network for the cell: .*apt install passt' "and when the network is first used"
like "$out" 'urlopen error|OSError|unreachable|timed out' "the program gets an error"

[ "$(id -u)" = 0 ] || { skip "the rest" "needs root, for network namespaces"; finish; }
ns=vbw$$
ip netns add $ns 2>/dev/null || { skip "the rest" "network namespaces can't be made here"; finish; }
mkdir -m 755 site
echo "a page" >site/page
finish_all() {
	kill $(jobs -p) 2>/dev/null
	ip netns pids $ns 2>/dev/null | xargs -r kill -9 2>/dev/null
	ip netns del $ns
}
trap finish_all EXIT
ip -n $ns link set lo up
ip -n $ns addr add 192.0.2.7/32 dev lo
in_ns=(ip netns exec $ns)
host() { timeout -s KILL 100 ip netns exec $ns "$@"; }
answers() { # answers URL: curl in the namespace
	[ "$(host curl -sS -m 60 "$1")" = "a page" ]
}
serve() { # serve NAME OPTIONS...: a server in a cell
	local name=$1
	shift
	v run -d --name "$name" -v "$PWD/site:/site" "$@" "$python" -m http.server -d /site 80 >/dev/null
}
ip netns exec $ns "$python" -m http.server -d site 8000 >/dev/null 2>&1 &
server=$!
eventually "a server on the host" host curl -sS http://127.0.0.1:8000/page

# --- user network, in a namespace without a default route ---
like "$(v run "$python" -c "$fetch" 192.0.2.7:8000/page 60 2>&1)" 'a page' "out by passt, without a default route"
like "$(v run --net user:loopback "$python" -c "$fetch" 10.0.2.2:8000/page 60 2>&1)" 'a page' "user:loopback reaches the host's loopback"
call="import socket, sys; socket.create_connection((sys.argv[1], 8000), 2); print('called')"
like "$(v run "$python" -c "$call" 10.0.2.2 2>&1)" 'Error|timed out' "user does not"
like "$(v run --net user:direct "$python" -c "$call" 10.0.2.2 2>&1)" 'Error|timed out' "nor does user:direct"
names="import socket, struct, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1], 53))
while True:
	data, whom = s.recvfrom(512)
	end = data.index(b'\\0', 12) + 5
	a = data[end - 4:end] == b'\\0\\1\\0\\1'
	reply = data[:2] + struct.pack('>5H', 0x8180, 1, a, 0, 0) + data[12:end]
	if a:
		reply += b'\\xc0\\x0c\\0\\1\\0\\1\\0\\0\\0\\1\\0\\4' + socket.inet_aton(sys.argv[2])
	s.sendto(reply, whom)"
ip netns exec $ns "$python" -c "$names" 192.0.2.7 192.0.2.98 &
ip netns exec $ns "$python" -c "$names" 127.0.0.1 192.0.2.99 &
served() { [ "$(host ss -Hlun "sport = :53" | wc -l)" = 2 ]; }
eventually "name servers on the host" served
asks() { # asks NAMESERVER...: what a cell finds for a name, and its resolv.conf, while these are the host's name servers
	printf 'nameserver %s\n' "$@" >resolv.conf
	timeout -s KILL 60 ip netns exec $ns unshare --mount sh -c 'mount --bind resolv.conf /etc/resolv.conf && exec "$@"' sh \
		"$vauban" run "$python" -c "import socket; print(socket.gethostbyname('some.test'), open('/etc/resolv.conf').read())" 2>&1
}
# A program asks the next one when the first is slow to answer: again then.
becomes $'192.0.2.98 nameserver 192.0.2.7' "a name server that the host asks by its address" asks 192.0.2.7 127.0.0.1
becomes $'192.0.2.99 nameserver 10.0.2.3\nnameserver 192.0.2.7' "one on the host's loopback" asks 127.0.0.1 192.0.2.7
udp="import socket
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.bind(('::', 53))
while True:
	data, whom = s.recvfrom(100)
	s.sendto(data.upper(), whom)"
v run -d --name u1 -p '[::]:8053:53/udp' "$python" -c "$udp" >/dev/null
ask="import socket, sys
s = socket.socket(socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(1)
for i in range(60):
	s.sendto(b'hello', (sys.argv[1], 8053))
	try:
		print(s.recv(100).decode())
		break
	except OSError:
		pass"
is "$(host "$python" -c "$ask" 127.0.0.1)" HELLO "UDP from the host's loopback"
is "$(host "$python" -c "$ask" 192.0.2.7)" HELLO "UDP from elsewhere"
v kill u1 >/dev/null
serve s1 -p 127.0.0.1:8081:80 -p 8082-8083:80-81
eventually "in by -p" answers http://127.0.0.1:8081/page
ok "a range, on all addresses" answers http://192.0.2.7:8082/page
bad 125 'port of -p is in use' "a port that is taken" v run -p 8000:80 "$true"
is "$(field s1 '.net.interfaces[0] | .kind, .name, .ip4, .helper.name' | tr '\n' ' ')" "user eth0 10.0.2.15/24 passt " "inspect: the interface"
is "$(field s1 '.net.forwards[1] | "\(.host_port) \(.cell_port) \(.count)"')" "8082 80 2" "inspect: forwards"
like "$(field s1 '.net.as_the_cell_says.sockets[] | "\(.state) \(.local)"')" 'listening 0.0.0.0:80' "inspect: the listener"
passt=$(field s1 '.net.interfaces[0].helper.pid')
is "$(awk '/^Uid/ { print $2 }' "/proc/$passt/status")" 65534 "passt is nobody, when started by root"
kill -STOP "$passt"
host curl -sS -m 1 http://127.0.0.1:8081/page >/dev/null 2>&1
is "$(field s1 .state)" running "a passt that stalls"
kill -CONT "$passt"
eventually "and goes on" answers http://127.0.0.1:8081/page
kill -9 "$passt"
eventually "a passt that is killed is noticed" logged s1 'passt was killed .signal 9.: the cell has lost its network'
is "$(field s1 .state)" running "the cell goes on without"
v kill s1 >/dev/null

# Whoever kills the monitor kills all of it, also in the middle of traffic.
head -c 50000000 /dev/zero >site/zeros
serve s2 -p 8084:80
eventually "a server to be killed" answers http://127.0.0.1:8084/page
host curl -sS -m 100 -o /dev/null --limit-rate 5M http://127.0.0.1:8084/zeros 2>/dev/null &
sleep 0.3
pids=$(field s2 '.tender_pid, .net.interfaces[0].helper.pid')
kill -9 "$(field s2 .monitor_pid)"
for pid in $pids; do
	eventually "nothing outlives a monitor that is killed" eval '[ ! -e "/proc/$pid" ] || grep -q "^State:.*Z" "/proc/$pid/status"'
done
v rm s2 >/dev/null 2>&1

# --- firewall and recording ---
like "$(v run --allow-out 192.0.2.0/24:8000 --pcap out.pcapng "$python" -c "$fetch" 192.0.2.7:8000/page 60 2>&1)" 'a page' "allowed out"
like "$(v run --allow-out 192.0.2.0/24:8001 "$python" -c "$fetch" 192.0.2.7:8000/page 5 2>&1)" 'timed out' "another port is not"
like "$(v run --allow-in any "$python" -c "$fetch" 192.0.2.7:8000/page 5 2>&1)" 'timed out' "with rules for one direction, the other is closed"
if command -v tcpdump >/dev/null; then
	like "$(tcpdump -nr out.pcapng 2>/dev/null)" '10.0.2.15.[0-9]* > 192.0.2.7.8000: Flags \[S\]' "the recording: out"
	like "$(tcpdump -nr out.pcapng 2>/dev/null)" '192.0.2.7.8000 > 10.0.2.15.[0-9]*: Flags \[S.\]' "the recording: in"
fi
serve s3 -p 8085:80 --allow-in 10.0.2.2:80/tcp --pcap /dev/full
eventually "allowed in; a recording that fails does no harm" answers http://127.0.0.1:8085/page
eventually "it is said" logged s3 'pcap: No space left on device: recording ends'
eventually "inspect counts frames" eval '[ "$(field s3 ".net.interfaces[0].in.frames")" -gt 3 ]'
v kill s3 >/dev/null
serve s4 -p 8086:80 --allow-in 10.9.9.9:80/tcp
denied() { # once the cell has a network
	host curl -sS -m 1 http://127.0.0.1:8086/page >/dev/null 2>&1
	[ "$(field s4 '.net.interfaces[0].in.dropped.denied')" -ge 1 ]
}
eventually "not allowed in: dropped and counted" denied
eventually "and logged" logged s4 'firewall: in denied: tcp 10.0.2.2:[0-9]+ > 10.0.2.15:80'
v kill s4 >/dev/null

# --- tap ---
if [ -c /dev/net/tun ]; then
	ip -n $ns tuntap add t0 mode tap vnet_hdr && ip -n $ns addr add 10.6.0.1/24 dev t0 && ip -n $ns link set t0 mtu 9000 up
	serve t1 --net tap:t0 --ip 10.6.0.2/24,10.6.0.1 --mac 02:00:00:00:06:02
	eventually "a cell on a tap" answers http://10.6.0.2/page
	is "$(field t1 '.net.interfaces[0] | "\(.mtu) \(.mac) \(.offload)"')" "9000 02:00:00:00:06:02 true" "its MTU, address and offloads"
	bad 125 'in use by another program' "a tap that is taken" v run --net tap:t0 "$true"
	bad 125 'no tap device' "an interface that is no tap" v run --net tap:lo "$true"
	ip -n $ns link del t0
	sleep 0.3
	is "$(field t1 .state)" running "a tap that goes away: the cell goes on"
	v kill t1 >/dev/null
	ip -n $ns tuntap add t1 mode tap vnet_hdr && ip -n $ns addr add 10.6.0.1/24 dev t1 && ip -n $ns link set t1 up
	serve t2 --net tap:t1 --ip 10.6.0.2/24 --allow-in 10.6.0.0/24:80 --pcap tap.pcapng
	eventually "a firewall between cell and tap" answers http://10.6.0.2/page
	host ping -c 1 -W 1 10.6.0.2 >/dev/null 2>&1
	[ $? != 0 ]
	result $? "ping is not among what is allowed"
	ip -n $ns link del t1
	eventually "a tap that goes away behind the firewall: said" logged t2 'eth0: the network is gone'
	v kill t2 >/dev/null
	ip -n $ns tuntap add t3 mode tap vnet_hdr user 1
	chmod 711 .
	mkdir -m 700 nobody && chown 65534:65534 nobody
	nobody() { host setpriv --reuid 65534 --regid 65534 --clear-groups env HOME="$PWD/nobody" XDG_RUNTIME_DIR="$PWD/nobody" "$@"; }
	if nobody test -w /dev/net/tun && nobody "$vauban" run --net none "$true" 2>/dev/null; then
		bad 125 'not yours and you may not make it; as root run: ip tuntap add' "somebody else's tap" nobody "$vauban" run --net tap:t3 "$true"
	else
		skip "somebody else's tap" "other users may not open /dev/net/tun here"
	fi
else
	skip "taps" "there is no /dev/net/tun"
fi

# --- VDE ---
if command -v vde_switch >/dev/null; then
	vde_switch -s "$PWD/switch" -d -p "$PWD/switch.pid" </dev/null >/dev/null 2>&1
	eventually "a switch" test -S switch/ctl
	serve e1 --net "vde:$PWD/switch" --ip 10.7.0.1/24
	becomes 'a page' "two cells on a switch" v run --net "vde:$PWD/switch" --ip 10.7.0.2/24 "$python" -c "$fetch" 10.7.0.1/page 60 # once it serves
	like "$(v run --net "vde:$PWD/switch" --ip 10.7.0.2/24 --allow-out 10.7.0.1:80 "$python" -c "$fetch" 10.7.0.1/page 60 2>&1)" 'a page' \
		"with a firewall"
	like "$(v run --net "vde:$PWD/switch" --ip 10.7.0.2/24 --net user "$python" -c "$fetch" 192.0.2.7:8000/page 60 2>&1)" 'a page' "two interfaces"
	helper=$(field e1 '.net.interfaces[0].helper.pid')
	is "$(awk '/^(Seccomp|NoNewPrivs):/ { printf "%s ", $2 }' "/proc/$helper/status")" "1 2 " "vauban-vde is locked down"
	kill "$(cat switch.pid)"
	eventually "a switch that goes away is said" logged e1 'the cell has lost its network: vauban-vde'
	is "$(field e1 .state)" running "the cell goes on"
	v kill e1 >/dev/null
	bad 125 'vde_switch -s' "no switch" v run --net "vde:$PWD/nowhere" "$true"
	bad 125 'vauban-vde: ' "a folder that is no switch" v run --net "vde:$PWD/site" "$true"
else
	skip "VDE" "vde2 is not installed"
fi
finish
