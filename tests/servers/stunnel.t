#!/bin/bash
# stunnel: TLS in front of a server in another cell, and the other way round.
needs=(stunnel4 openssl curl lighttpd)
. "$(dirname "$0")/lib.sh"

free_port plain
free_port tls
free_port back
certificate
mkdir root
echo secret >root/file
head -c 3000000 /dev/urandom >root/large
printf 'server.document-root = "%s"\nserver.port = %s\n' "$PWD/root" "$plain" >lighttpd.conf
cat >stunnel.conf <<END
foreground = yes
pid =
debug = notice
[front]
accept = 0.0.0.0:$tls
connect = $host:$plain
cert = $PWD/cert.pem
key = $PWD/key.pem
[back]
client = yes
accept = 0.0.0.0:$back
connect = 127.0.0.1:$tls
verifyChain = yes
CAfile = $PWD/cert.pem
END
serve lighttpd "$plain" -- /usr/sbin/lighttpd -D -f lighttpd.conf
ready lighttpd curl -sf "http://127.0.0.1:$plain/file"
cell=(--net user:loopback)
serve stunnel "$tls" "$back" -- /usr/bin/stunnel4 stunnel.conf
ready stunnel curl -sf --cacert cert.pem "https://127.0.0.1:$tls/file"
is "$(curl -s --cacert cert.pem "https://127.0.0.1:$tls/file")" secret "a request by TLS"
curl -s "https://127.0.0.1:$tls/file" 2>/dev/null
is $? 60 "an unknown certificate is noticed"
for version in tls1_2 tls1_3; do
	like "$(openssl s_client -connect "127.0.0.1:$tls" -$version -CAfile cert.pem </dev/null 2>&1)" 'Verify return code: 0' "$version"
done
is "$(curl -s --cacert cert.pem "https://127.0.0.1:$tls/large" | sha256sum)" "$(sha256sum <root/large)" "3 MB"
is "$(curl -s "http://127.0.0.1:$back/file")" secret "through both directions"
is "$(curl -s "http://127.0.0.1:$back/large" | sha256sum)" "$(sha256sum <root/large)" "3 MB through both"
is "$(for i in {1..20}; do curl -s --cacert cert.pem "https://127.0.0.1:$tls/file" & done | sort | uniq -c | tr -s ' ')" " 20 secret" "20 at once, a thread each"
printf 'no tls at all\r\n\r\n' | timeout 5 nc -q 1 127.0.0.1 "$tls" >/dev/null
is "$(curl -s --cacert cert.pem "https://127.0.0.1:$tls/file")" secret "it serves on after nonsense"
stopped stunnel 0
finish
