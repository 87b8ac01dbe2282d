#!/bin/bash
# snmpd: get, walk and set by UDP and TCP; what it says about the system and its interfaces is the cell's.
needs=(snmpd snmpget snmpwalk)
. "$(dirname "$0")/lib.sh"

free_port port
cat >snmpd.conf <<END
agentAddress udp:0.0.0.0:$port,tcp:0.0.0.0:$port
rwcommunity secret
sysLocation in a cell
sysServices 72
END
mkdir state
export SNMP_PERSISTENT_DIR=$PWD/state MIBS= SNMPCONFPATH=$PWD
snmp() { # snmp VERB ARGUMENT...
	local verb=$1
	shift
	timeout 100 "snmp$verb" -v2c -c secret -t 10 -r 5 -Oqvn "udp:127.0.0.1:$port" "$@" 2>&1
}
serve snmpd "$port" "$port/udp" -- /usr/sbin/snmpd -f -Lo -C -c "$PWD/snmpd.conf" -p "$PWD/snmpd.pid" -I -smux
ready snmpd timeout 20 snmpget -v2c -c secret -t 1 -r 0 "udp:127.0.0.1:$port" .1.3.6.1.2.1.1.1.0
like "$(snmp get .1.3.6.1.2.1.1.1.0)" 'Linux' "what the system is"
is "$(snmp get .1.3.6.1.2.1.1.6.0)" '"in a cell"' "its location"
is "$(snmp get .1.3.6.1.2.1.1.7.0)" 72 "its services"
like "$(snmp get .1.3.6.1.2.1.1.3.0)" '^[0-9]+:[0-9:.]+$' "how long it is up"
is "$(snmp walk .1.3.6.1.2.1.2.2.1.2 | grep -c '"lo"')" 1 "the table of interfaces has lo"
like "$(snmp walk .1.3.6.1.2.1.4.20.1.1)" '127.0.0.1' "the table of addresses too"
like "$(snmp walk .1.3.6.1.2.1.6.13.1.1)" '^(listen|2)$' "the table of connections has listeners"
like "$(snmp get .1.3.6.1.2.1.7.1.0)" '^[0-9]+$' "datagrams are counted"
like "$(snmp get .1.3.6.1.4.1.2021.4.5.0)" '^[0-9]+ ?k?B?$' "memory"
ok "a value is set" snmp set .1.3.6.1.2.1.1.4.0 s "somebody else"
[ "$(snmp walk .1.3.6.1.2.1.1 | wc -l)" -ge 8 ]
result $? "a walk of the system group"
is "$(timeout 100 snmpget -v2c -c secret -t 60 -Oqvn "tcp:127.0.0.1:$port" .1.3.6.1.2.1.1.7.0)" 72 "by TCP"
like "$(timeout 10 snmpget -v2c -c wrong -t 1 -r 0 "udp:127.0.0.1:$port" .1.3.6.1.2.1.1.7.0 2>&1)" 'Timeout' "a wrong community gets no answer"
is "$(for i in {1..30}; do snmp get .1.3.6.1.2.1.1.7.0 & done | sort | uniq -c | tr -s ' ')" " 30 72" "30 questions at once"
stopped snmpd 0
finish
