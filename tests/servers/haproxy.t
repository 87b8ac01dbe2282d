#!/bin/bash
# haproxy in one cell, balancing two web servers in two others that it reaches through this host: HTTP, TCP, TLS.
needs=(haproxy lighttpd curl openssl)
. "$(dirname "$0")/lib.sh"

free_port front
free_port tcp
free_port tls
free_port one
free_port two
certificate
cat key.pem cert.pem >both.pem
for name in one two; do
	mkdir "$name"
	echo "$name" >"$name/name"
	head -c 2000000 /dev/zero | tr '\0' 'a' >"$name/large"
	printf 'server.document-root = "%s"\nserver.port = %s\n' "$PWD/$name" "${!name}" >"$name.conf"
	serve "$name" "${!name}" -- /usr/sbin/lighttpd -D -f "$name.conf"
	ready "$name" curl -sf "http://127.0.0.1:${!name}/name"
	[ $name = one ] && first=$server || second=$server
done
cat >haproxy.cfg <<END
global
	maxconn 500
	stats socket $PWD/stats.sock mode 600 level admin
	log stderr format raw local0 notice
defaults
	mode http
	timeout connect 30s
	timeout client 100s
	timeout server 100s
	timeout check 30s
frontend web
	bind 0.0.0.0:$front
	bind 0.0.0.0:$tls ssl crt $PWD/both.pem
	http-request deny deny_status 403 if { path /secret }
	http-response set-header X-Through haproxy
	stats enable
	stats uri /stats
	default_backend servers
backend servers
	balance roundrobin
	option httpchk GET /name
	default-server inter 200ms fall 2 rise 1
	server one $host:$one check
	server two $host:$two check
listen raw
	mode tcp
	bind 0.0.0.0:$tcp
	server one $host:$one
END
ok "its own check of the configuration" client haproxy -c -f haproxy.cfg
cell=(--net user:loopback)
serve haproxy "$front" "$tcp" "$tls" -- /usr/sbin/haproxy -db -f haproxy.cfg
ready haproxy curl -sf "http://127.0.0.1:$front/name"
proxy=$server
url=http://127.0.0.1:$front
is "$(for i in {1..20}; do curl -s "$url/name"; done | sort | uniq -c | tr -s ' ')" $' 10 one\n 10 two' "twenty requests, half to each"
is "$(curl -sI "$url/name" | tr -d '\r' | grep -i x-through)" 'x-through: haproxy' "a header of its own"
is "$(curl -s -o /dev/null -w '%{http_code}' "$url/secret")" 403 "a rule"
is "$(curl -s "$url/large" | md5sum)" "$(md5sum <one/large)" "2 MB through it"
is "$(curl -s "http://127.0.0.1:$tcp/name")" one "as a TCP proxy"
is "$(curl -s --cacert cert.pem --resolve "localhost:$tls:127.0.0.1" "https://localhost:$tls/large" | md5sum)" "$(md5sum <one/large)" "2 MB by TLS"
is "$(curl -s -Z --parallel-max 40 "$url/large?[1-60]" 2>/dev/null | wc -c)" 120000000 "60 times 2 MB on 40 connections"
# One server goes: the checks notice, and all goes to the other.
kill "$first"
wait "$first" 2>/dev/null
two_alone() {
	[ "$(for i in {1..6}; do curl -s "$url/name"; done | sort | uniq -c | tr -s ' ')" = ' 6 two' ]
}
eventually "the other takes over when one is stopped" two_alone
kill "$second"
wait "$second" 2>/dev/null
none() {
	[ "$(curl -s -o /dev/null -w '%{http_code}' "$url/name")" = 503 ]
}
eventually "503 when both are" none
like "$(curl -s "$url/stats;csv")" '^servers,one,.*,DOWN,' "its statistics know it"
server=$proxy
stopped haproxy "$([ "$native" ] && echo 143 || echo 143)"
finish
