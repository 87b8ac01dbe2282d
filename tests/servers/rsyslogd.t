#!/bin/bash
# rsyslogd: messages by UDP and TCP, filtered into files of a volume.
needs=(rsyslogd logger)
. "$(dirname "$0")/lib.sh"

free_port port
mkdir log
cat >rsyslog.conf <<END
global(workDirectory="$PWD/log")
module(load="imudp")
module(load="imtcp" maxSessions="300")
input(type="imudp" port="$port")
input(type="imtcp" port="$port")
template(name="plain" type="string" string="%syslogfacility-text%.%syslogseverity-text% %programname% %msg%\n")
if (\$syslogfacility-text == "local3") then { action(type="omfile" file="$PWD/log/local3" template="plain") stop }
if (\$msg contains "secret") then { stop }
action(type="omfile" file="$PWD/log/all" template="plain")
END
log() {
	logger -n 127.0.0.1 -P "$port" "$@"
}
serve rsyslogd "$port" "$port/udp" -- /usr/sbin/rsyslogd -n -iNONE -f "$PWD/rsyslog.conf"
arrives() { # arrives NAME LINE FILE
	eventually "$1" grep -qx "$2" "log/$3"
}
up() {
	logger -n 127.0.0.1 -P "$port" -T -t up up
	sleep 0.1
	grep -q up log/all
}
ready rsyslogd up
log -T -t tool -p user.notice "by tcp"
arrives "by TCP" "user.notice tool by tcp" all
log -d -t tool -p daemon.err "by udp"
arrives "by UDP" "daemon.err tool by udp" all
log -T --rfc5424=notime,nohost -t tool -p auth.info "new format"
log -T -t tool -p local3.debug "elsewhere"
arrives "a rule sends it to another file" "local3.debug tool elsewhere" local3
log -T -t tool "a secret"
for i in {1..2000}; do echo "line $i"; done | log -T -t many
arrives "2,000 lines by TCP" "user.notice many line 2000" all
is "$(grep -c ' many line ' log/all)" 2000 "each of them"
is "$(grep ' many ' log/all | awk '{ print $4 }' | sort -nc 2>&1)" "" "in their order"
for k in {1..20}; do
	for i in {1..20}; do echo "c$k $i"; done | log -T -t conn &
done
wait $(jobs -p | grep -v "^$server$") 2>/dev/null
all400() { [ "$(grep -c ' conn c' log/all)" = 400 ]; }
eventually "20 connections at once with 20 lines each" all400
is "$(grep -c secret log/all)" 0 "what a rule drops is not there"
stopped rsyslogd 0
finish
