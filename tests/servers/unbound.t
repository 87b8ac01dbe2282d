#!/bin/bash
# unbound: zones of its own by UDP, TCP and TLS; what it does not know it asks another server, in a cell of its own.
needs=(unbound dnsmasq dig openssl)
. "$(dirname "$0")/lib.sh"

free_port port
free_port tls
free_port other
certificate
printf '127.0.0.1 localhost\n192.0.2.77 far.upstream\n' >hosts
printf 'port=%s\nno-resolv\nno-hosts\naddn-hosts=%s\nuser=root\nlocal=/upstream/\n' "$other" "$PWD/hosts" >dnsmasq.conf
cat >unbound.conf <<END
server:
	interface: 0.0.0.0@$port
	interface: 0.0.0.0@$tls
	tls-port: $tls
	tls-service-key: $PWD/key.pem
	tls-service-pem: $PWD/cert.pem
	username: ""
	chroot: ""
	directory: "$PWD"
	pidfile: "$PWD/unbound.pid"
	do-daemonize: no
	use-syslog: no
	logfile: ""
	num-threads: 2
	do-ip6: no
	do-not-query-localhost: no
	access-control: 0.0.0.0/0 allow
	module-config: "iterator"
	local-zone: "home." static
	local-data: "one.home. 300 IN A 192.0.2.1"
	local-data: "one.home. 300 IN AAAA 2001:db8::1"
	local-data: 'text.home. 300 IN TXT "$(head -c 250 /dev/zero | tr '\0' x)"'
	local-data-ptr: "192.0.2.1 one.home"
	local-zone: "upstream." transparent
forward-zone:
	name: "upstream."
	forward-addr: $host@$other
remote-control:
	control-enable: no
END
for i in {1..20}; do echo "	local-data: 'many.home. 300 IN TXT \"$i $(head -c 200 /dev/zero | tr '\0' y)\"'" >>many; done
sed -i "/local-data-ptr/r many" unbound.conf
ask() {
	dig @127.0.0.1 -p "$port" +short +time=200 +tries=3 "$@"
}
cell=(--net user:loopback)
serve dnsmasq "$other" "$other/udp" -- /usr/sbin/dnsmasq -k -d -C dnsmasq.conf
ready dnsmasq sh -c "dig @127.0.0.1 -p $other +short +time=1 +tries=1 far.upstream | grep -q 192"
serve unbound "$port" "$port/udp" "$tls" -- /usr/sbin/unbound -d -c unbound.conf
ready unbound sh -c "dig @127.0.0.1 -p $port +short +time=1 +tries=1 one.home | grep -q 192"
is "$(ask one.home)" 192.0.2.1 "A"
is "$(ask one.home AAAA)" 2001:db8::1 "AAAA"
is "$(ask -x 192.0.2.1)" one.home. "PTR"
is "$(ask text.home TXT | wc -c)" 253 "a long text"
is "$(dig @127.0.0.1 -p "$port" +time=20 none.home | grep -o 'status: [A-Z]*')" "status: NXDOMAIN" "no such name"
is "$(ask far.upstream)" 192.0.2.77 "a name that another server knows"
is "$(dig @127.0.0.1 -p "$port" far.upstream | grep -c 'flags:.* ra')" 1 "recursion is offered"
is "$(ask many.home TXT | wc -l)" 20 "an answer that is cut and asked again by TCP"
is "$(ask +tcp one.home)" 192.0.2.1 "TCP"
is "$(dig @127.0.0.1 -p "$tls" +tls +short one.home)" 192.0.2.1 "TLS"
yes one.home | head -500 >names
is "$(dig @127.0.0.1 -p "$port" +short +time=20 -f names | uniq -c | tr -s ' ')" " 500 192.0.2.1" "500 questions"
stopped unbound 0
finish
