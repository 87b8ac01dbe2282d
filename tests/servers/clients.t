#!/bin/bash
# Clients in cells, against servers outside: curl, wget, dig, ssh, redis-cli, nc.
needs=(curl wget dig ssh sshd lighttpd dnsmasq openssl)
. "$(dirname "$0")/lib.sh"

free_port web
free_port tls
free_port dns
free_port ssh
outside() { # outside NAME PROGRAM ARGUMENT...: a server that is in no cell
	local native=1
	serve "$1" -- "${@:2}"
}
certificate
mkdir root
echo page >root/page
head -c 3000000 /dev/urandom >root/large
cat key.pem cert.pem >both.pem
cat >lighttpd.conf <<END
server.document-root = "$PWD/root"
server.port = $web
server.bind = "127.0.0.1"
server.modules = ("mod_openssl", "mod_webdav")
\$SERVER["socket"] == "127.0.0.1:$tls" { ssl.engine = "enable" ssl.pemfile = "$PWD/both.pem" }
END
sed -i 's/, "mod_webdav"//' lighttpd.conf
[ -e /usr/lib/lighttpd/mod_openssl.so ] || sed -i '/mod_openssl/d; /ssl.engine/d' lighttpd.conf
outside lighttpd /usr/sbin/lighttpd -D -f lighttpd.conf
eventually "the web server outside" curl -sf "http://127.0.0.1:$web/page"
printf 'port=%s\nno-resolv\nno-hosts\naddress=/name.test/192.0.2.5\nuser=%s\n' "$dns" "$(id -un)" >dnsmasq.conf
outside dnsmasq dnsmasq -k -d -C dnsmasq.conf
eventually "the name server outside" sh -c "dig @127.0.0.1 -p $dns +short +time=1 +tries=1 name.test | grep -q 192"

url=http://$host:$web
is "$(client curl -s "$url/page")" page "curl"
client curl -s -o got "$url/large"
ok "curl: 3 MB into a volume" cmp got root/large
client curl -s "$url/nothing" -f 2>/dev/null
is $? 22 "curl: an error of HTTP"
client curl -s -m 60 "http://$host:1/" 2>/dev/null
is $? 7 "curl: nobody listens"
if grep -q ssl.engine lighttpd.conf; then
	is "$(client curl -s --cacert cert.pem "https://$host:$tls/page")" page "curl: TLS"
	client curl -s "https://$host:$tls/page" 2>/dev/null
	is $? 60 "curl: TLS of somebody unknown"
fi
client wget -q -O got.wget "$url/large"
ok "wget: 3 MB" cmp got.wget root/large
head -c 1000000 root/large >part
client wget -q -c -O part "$url/large"
ok "wget: the rest of a file" cmp part root/large
is "$(client dig "@$host" -p "$dns" +short +time=20 name.test)" 192.0.2.5 "dig"
is "$(client dig "@$host" -p "$dns" +short +tcp name.test)" 192.0.2.5 "dig by TCP"

mkdir -m 700 keys
ssh-keygen -q -t ed25519 -N '' -f keys/host
ssh-keygen -q -t ed25519 -N '' -f keys/user
cp keys/user.pub keys/authorized
cat >sshd_config <<END
Port $ssh
ListenAddress 127.0.0.1
HostKey $PWD/keys/host
AuthorizedKeysFile $PWD/keys/authorized
PidFile none
StrictModes no
UsePAM no
PermitRootLogin yes
END
echo "[$host]:$ssh $(cut -d' ' -f1,2 keys/host.pub)" >keys/known
[ "$(id -u)" != 0 ] || mkdir -p /run/sshd
outside sshd /usr/sbin/sshd -D -e -f "$PWD/sshd_config"
eventually "the ssh server outside" sh -c "echo | timeout 5 nc 127.0.0.1 $ssh | grep -q SSH-2"
remote() {
	client ssh -F /dev/null -i keys/user -o UserKnownHostsFile="$PWD/keys/known" -o StrictHostKeyChecking=yes -o BatchMode=yes -p "$ssh" "$(id -un)@$host" "$@"
}
is "$(remote 'echo "hello from $((6 * 7))"' 2>&1 </dev/null)" "hello from 42" "ssh: a command"
remote 'exit 7' </dev/null 2>/dev/null
is $? 7 "ssh: its status"
is "$(remote 'cat | sha256sum' <root/large 2>/dev/null)" "$(sha256sum <root/large)" "ssh: 3 MB in"
is "$(remote "cat '$PWD/root/large'" 2>/dev/null </dev/null | sha256sum)" "$(sha256sum <root/large)" "ssh: 3 MB out"
is "$(remote 'echo out; echo err >&2' 2>&1 >/dev/null </dev/null)" err "ssh: both streams"
finish
