#!/bin/bash
# dnsmasq: names by UDP and TCP, asked by dig.
needs=(dnsmasq dig)
. "$(dirname "$0")/lib.sh"

free_port port
cat >hosts <<END
192.0.2.10 alpha.test alpha
2001:db8::10 alpha.test
192.0.2.11 beta.test
END
cat >dnsmasq.conf <<END
port=$port
no-resolv
no-hosts
addn-hosts=$PWD/hosts
address=/wild.test/192.0.2.99
cname=gamma.test,alpha.test
mx-host=test,mail.test,10
txt-record=text.test,"some words",more
srv-host=_http._tcp.test,alpha.test,8080,1,2
ptr-record=9.2.0.192.in-addr.arpa,nine.test
local=/test/
cache-size=1000
user=root
log-facility=-
END
ask() {
	dig @127.0.0.1 -p "$port" +short +time=20 +tries=2 "$@"
}
serve dnsmasq "$port" "$port/udp" -- /usr/sbin/dnsmasq -k -d -C dnsmasq.conf
ready dnsmasq sh -c "dig @127.0.0.1 -p $port +short +time=1 +tries=1 alpha.test | grep -q 192"
is "$(ask alpha.test)" 192.0.2.10 "A"
is "$(ask alpha.test AAAA)" 2001:db8::10 "AAAA"
is "$(ask -x 192.0.2.11)" beta.test. "PTR"
is "$(ask anything.wild.test)" 192.0.2.99 "a wild card"
is "$(ask gamma.test)" $'alpha.test.\n192.0.2.10' "CNAME"
is "$(ask test MX)" "10 mail.test." "MX"
is "$(ask text.test TXT)" '"some words" "more"' "TXT"
is "$(ask _http._tcp.test SRV)" "1 2 8080 alpha.test." "SRV"
is "$(dig @127.0.0.1 -p "$port" +time=20 nothing.test | grep -o 'status: [A-Z]*')" "status: NXDOMAIN" "no such name"
is "$(dig @127.0.0.1 -p "$port" +time=20 elsewhere.example | grep -o 'status: [A-Z]*')" "status: REFUSED" "nobody to ask for others"
is "$(ask +tcp alpha.test)" 192.0.2.10 "by TCP"
for i in {1..300}; do echo "n$i.wild.test"; done >names
is "$(dig @127.0.0.1 -p "$port" +short +time=20 -f names | sort | uniq -c | tr -s ' ')" " 300 192.0.2.99" "300 questions"
is "$(for i in {1..20}; do ask +tcp "t$i.wild.test" & done | wc -l)" 20 "20 at once by TCP"
stopped dnsmasq 0
finish
