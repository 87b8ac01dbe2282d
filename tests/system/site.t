#!/bin/bash
# Unix sockets between the cells of a site: the same two programs natively and in cells, users and modes, kills, floods, many
# cells, unmodified programs.
. "$(dirname "$0")/lib.sh"
peers=$(dirname "$vauban")/tests/site-peers
[ -x "$peers" ] || { echo "1..0 # SKIP needs $peers"; exit 0; }
cp "$peers" peers # shares no image with other tests
here=$PWD
work=$(mktemp -d /tmp/site.XXXXXX) # short: names of sockets are
pids=()
trap 'kill -9 "${pids[@]}" 2>/dev/null; rm -rf "$work"' EXIT
chmod 755 "$work" # some cells are of other users
cd "$work" || exit 1
mv "$here/peers" .
mkdir native
folder=$work/native # in the cells it is the site's
cell() { # cell [OPTIONS] -- ROLE...: one of the site
	local options=()
	while [ "$1" != -- ]; do options+=("$1"); shift; done
	shift
	v run -w / "${options[@]}" --site "site:$folder" ./peers "$folder" "$@"
}
held() { # held OUTPUT [OPTIONS] -- TYPE NAME [MODE]: in the background, once it says so. Its monitor is $!
	local out=$1 options=()
	shift
	while [ "$1" != -- ]; do options+=("$1"); shift; done
	shift
	rm -f "$out"
	"$vauban" run -w / "${options[@]}" --site "site:$folder" ./peers "$folder" hold "$@" >"$out" 2>"$out.err" &
	pids+=($!)
	until_it shown held "$out" && return
	echo "# $out: $(cat "$out" "$out.err")"
}
end() { # end PID: killed
	kill -9 "$1" 2>/dev/null
	wait "$1" 2>/dev/null
}
cell -- try s nothing >/dev/null # makes the image

# --- the same as natively ---
./peers native server >native.server &
./peers native client >native.client
wait
cell -- server >cell.server 2>cell.server.err &
cell -- client >cell.client 2>cell.client.err
wait
sed -i "s|$folder|native|g" cell.*
for role in server client; do
	is "$(grep -c '^not ok' native.$role; tail -1 native.$role)" "0
$(tail -1 cell.$role)" "the $role's checks hold natively"
	while read -r status number line; do
		case $status$number in
		ok*) result 0 "$role: ${line#- }" ;;
		not*) result 1 "$role: ${line#[0-9]* - }" ;;
		esac
	done < <(grep '^ok\|^not ok' cell.$role)
	is "$(diff native.$role cell.$role)" "" "the $role prints the same in a cell"
	is "$(cat cell.$role.err)" "" "nothing is logged"
done
is "$(ls site/names site/sockets)" "$(printf 'site/names:\n\nsite/sockets:')" "nothing is left in the site"
is "$(stat -c %a site)" 700 "a site is its maker's"

# --- users and modes ---
held h1 -u 1001:1001 -- s private 600
pid=$!
is "$(cell -u 1002:1002 -- try s private)" "connect EACCES
unlink EPERM" "write permission is needed, and names are their owners'"
cell -u 1001:1001 -- watch s private >owner &
watcher=$!
eventually "the owner may connect" shown 'echo 1' owner
end $pid
wait $watcher
is "$(tail -1 owner)" "end 0 ok" "and sees the end of a killed cell"
cell -u 1001:1001 -- try s private >out
is "$(cat out)" "connect ECONNREFUSED
unlink ok" "a killed cell's name refuses until it is unlinked"
held h2 -u 1001:1001 -- d group 620
pid=$!
is "$(cell -u 1002:1001 -- try d group)" "connect ok
unlink EPERM" "a group may"
is "$(cell -u 1002:1002 -- try d group)" "connect EACCES
sendto EACCES
unlink EPERM" "others may not, nor send datagrams"
is "$(cell -u 0:0 -- try d group)" "connect ok
unlink ok" "root may all"
end $pid

# --- kills ---
for victim in tender monitor; do
	held h3 --name "holder$victim" -- s mortal 777
	[ "$victim" = monitor ] && pid=$(field "holder$victim" .monitor_pid) || pid=$(field "holder$victim" .tender_pid)
	cell -- watch s mortal >"$victim" 2>&1 &
	watcher=$!
	eventually "$victim: connected" shown 'echo 1' "$victim"
	kill -9 "$pid"
	wait $watcher
	like "$(tail -1 "$victim")" '^end (0 ok|-1 Connection reset by peer)$' "$victim killed: the other side sees the end"
	is "$(ls site/names)" "${work//\//=}=native=mortal" "$victim killed: the name stays"
	is "$(v run --site "site:$folder" ./peers "$folder" hold s mortal)" "bind EADDRINUSE" "$victim killed: it can't be bound"
	is "$(cell -- try s mortal)" "connect ECONNREFUSED
unlink ok" "$victim killed: it refuses, and goes"
	held h4 -- s mortal 777
	pid=$!
	is "$(cell -- try s mortal)" "connect ok
unlink ok" "$victim killed: it can be bound anew"
	is "$(cell -- try s mortal)" "connect ENOENT
unlink ENOENT" "$victim killed: unlinked by another cell, it is nowhere"
	end $pid
done
is "$(ls site/names)" "" "no names are left"

# --- kills at any moment ---
for ((i = 0; i < 12; i++)); do
	"$vauban" run --name "m$i" --site "site:$folder" ./peers "$folder" mesh 0 2 100000 >/dev/null 2>&1 &
	pids+=($!)
	"$vauban" run --name "n$i" --site "site:$folder" ./peers "$folder" mesh 1 2 100000 >/dev/null 2>&1 &
	pids+=($!)
	until_it runs "m$i"
	until_it runs "n$i"
	sleep "0.$((RANDOM % 8))"
	which=$((RANDOM % 2)) cell=$([ $((RANDOM % 2)) = 0 ] && echo m$i || echo n$i)
	pid=$(field "$cell" "$([ $which = 0 ] && echo .monitor_pid || echo .tender_pid)" 2>/dev/null)
	[ -n "$pid" ] && [ "$pid" != null ] && kill -9 "$pid"
	sleep 0.1
	other=$([ "$cell" = m$i ] && echo n$i || echo m$i)
	[ "$(field "$other" .state 2>/dev/null)" = running ] || echo "# $other is gone as well" >>gone
	pid=$(field "$other" .monitor_pid 2>/dev/null)
	[ -n "$pid" ] && kill "$pid" 2>/dev/null
	kill -9 "${pids[@]: -2}" 2>/dev/null
	wait "${pids[@]: -2}" 2>/dev/null
	rm -f site/names/* site/sockets/*
done
is "$(cat gone 2>/dev/null)" "" "a cell outlives the other, killed at any moment"

# --- descriptors ---
held h5 -- s rights 777
cell -d --name passer -- rights rights >/dev/null
"$vauban" wait passer >/dev/null
is "$("$vauban" logs passer 2>/dev/null)" "rights EPERM
echo 1" "SCM_RIGHTS fails, the connection does not"
like "$(cat "$XDG_RUNTIME_DIR"/vauban/cells/passer/log)" "can't be passed to another cell" "and the log says so"

# --- a flood does not starve others ---
held h6 -- s busy 777
"$vauban" run --name flooder --site "site:$folder" ./peers "$folder" flood busy 2000 >/dev/null 2>&1 & # nobody reads the echo
pids+=($!)
until_it eval '[ "$(field flooder .site.bytes_sent)" -gt 100000 ]'
held h7 -- s calm 777
ok "another connection goes on beside a flood" cell -- pingpong s calm 1000
is "$(field flooder .state)" running "the flood stopped for want of room"
is "$(field flooder '.site | .dir == "site" and .connected == 1 and .listening == 0 and .bytes_sent > 100000 and .bytes_sent < 10000000')" \
	true "inspect shows the connection"
used=$(awk '/VmRSS/ { print $2 }' "/proc/$(field flooder .monitor_pid)/status")
result $((used > 20000)) "and is not kept by the monitor: $used kB"

# --- nothing grows ---
held h8 --name churned -- s churn 777
is "$(cell -- churn churn 500)" 500 "500 connections"
before=$(field churned .memory.used)
is "$(cell -- churn churn 3000)" 3000 "3000 more"
result $(($(field churned .memory.used) > before + 100000)) "the cell has not grown from $before: $(field churned .memory.used)"
is "$(field churned '.site | "\(.bound) \(.connected) \(.bytes_received)"')" "1 0 1750000" "and nothing is connected any more"
for pid in "${pids[@]}"; do
	end "$pid"
done
pids=()
rm -f site/names/* site/sockets/*

# --- many ---
cells=26
for ((i = 0; i < cells; i++)); do
	timeout -s KILL 250 "$vauban" run -m 32M --site "site:$folder" ./peers "$folder" mesh $i $cells 10 >mesh.$i 2>&1 &
done
wait
is "$(cat mesh.* | sort -n | grep -c 'wrong 0, missing 0')" $cells "$cells cells, all to all, streams and datagrams"
[ "$(cat mesh.* | grep -c 'wrong 0, missing 0')" = $cells ] || cat mesh.* | grep -v 'wrong 0, missing 0' | sed 's/^/# /' | head

# --- names as files, also beside those of a volume ---
cat >one.py <<'END'
import socket, os
os.chdir('/tmp'); s = socket.socket(socket.AF_UNIX); s.bind('relative'); s.listen(1)
os.mkdir('sub'); d = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); d.bind('/tmp/sub/deep')
print(sorted(os.listdir('/tmp')), os.listdir('/tmp/sub'), flush=True)
c, name = s.accept(); print(name, d.recvfrom(100)); c.close()
END
cat >two.py <<'END'
import socket, os, errno
def error(f, *arguments):
    try: f(*arguments)
    except OSError as e: return errno.errorcode[e.errno]
s = socket.socket(socket.AF_UNIX); s.bind('/tmp/mine'); s.connect('/tmp/relative')
d = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); d.sendto(b'x', '/tmp/sub/deep')
open('/tmp/plain', 'w').close()
print(s.getpeername(), error(os.link, '/tmp/mine', '/tmp/l'), error(os.rename, '/tmp/mine', '/tmp/plain'))
os.chmod('/tmp/relative', 0o711); os.chown('/tmp/relative', 0, 0); os.utime('/tmp/relative')
print(oct(os.stat('/tmp/relative').st_mode), sorted(set(os.listdir('/tmp')) - {'sub'}))
os.rename('/tmp/mine', '/tmp/relative'); print(sorted(set(os.listdir('/tmp')) - {'sub'}))
os.unlink('/tmp/relative'); os.unlink('/tmp/sub/deep') if os.path.exists('/tmp/sub') else 0
END
v run -u 0:0 /usr/bin/python3 -c '' # makes the image
for volume in "" "-v volume:/tmp" --read-only; do
	rm -rf volume site6 one
	mkdir volume
	# shellcheck disable=SC2086
	v run -w / -u 0:0 $volume -v .:/w --site site6 /usr/bin/python3 /w/one.py >one &
	eventually "bound: $volume" shown deep one
	# shellcheck disable=SC2086
	is "$(v run -w / -u 0:0 $volume -v .:/w --site site6 /usr/bin/python3 /w/two.py)" "relative EXDEV EXDEV
0o140711 ['mine', 'plain', 'relative']
['plain', 'relative']" "seen from another cell: $volume"
	wait $!
	is "$(cat one)" "['relative', 'sub'] ['deep']
/tmp/mine (b'x', None)" "and from the first: $volume"
done

# --- the command line ---
is "$(v run --site site2 ./peers /tmp try s nothing)" "connect ENOENT
unlink ENOENT" "/tmp is the default"
"$vauban" run --site "site2:/run/a,/tmp" ./peers /run/a hold s x >out &
pids+=($!)
eventually "several folders" shown held out
is "$(v run --site "site2:/run/a" ./peers /run/a try s x)" "connect ok
unlink ok" "one of them is enough"
is "$(v run --site "site3:/run/a" ./peers /run/a try s x)" "connect ENOENT
unlink ENOENT" "another site is another name space"
is "$(v run ./peers /tmp try s nothing)" "connect ENOENT
unlink ENOENT" "without a site nothing changes"
for bad in "" ":" ":/tmp" "x:tmp" "x:/tmp/" "x:/tmp/../etc" "x:/a,,/b" "x:/a,/b,/c,/d,/e,/f,/g,/h"; do
	out=$(v run --site "$bad" ./peers /tmp try s x 2>&1)
	is $? 2 "refused: --site '$bad'"
done
out=$(v run --site /dev/null/x ./peers /tmp try s x 2>&1)
is $? 125 "a site that can't be made"
like "$out" 'site /dev/null/x: Not a directory' "is said"

# --- unmodified programs ---
if command -v socat >/dev/null; then
	v run socat -V >/dev/null 2>&1
	"$vauban" run --site site4 socat -u UNIX-RECV:/tmp/dgram STDOUT >out 2>err &
	pids+=($!)
	eventually "socat receives" test -L "site4/names/=tmp=dgram"
	echo by datagram | v run --site site4 socat -u STDIN UNIX-SENDTO:/tmp/dgram
	eventually "socat to socat, datagrams" shown 'by datagram' out
	"$vauban" run --site site4 socat UNIX-LISTEN:/tmp/stream PIPE >/dev/null 2>err &
	pids+=($!)
	eventually "socat listens" test -L "site4/names/=tmp=stream"
	there_and_back() { echo there and back | v run --site site4 socat -t 60 STDIO UNIX-CONNECT:/tmp/stream 2>/dev/null; }
	becomes "there and back" "socat to socat, a stream" there_and_back # once it listens
else
	skip "socat" "needs socat"
fi
if command -v redis-server >/dev/null && command -v redis-cli >/dev/null; then
	v run redis-server --version >/dev/null 2>&1
	v run redis-cli --version >/dev/null 2>&1
	"$vauban" run --site site5 redis-server --port 0 --unixsocket /tmp/redis.sock --save '' >out 2>err &
	pids+=($!)
	eventually "redis listens" test -L "site5/names/=tmp=redis.sock"
	eventually "redis-cli in another cell" eval '[ "$(v run --site site5 redis-cli -s /tmp/redis.sock set key value)" = OK ]'
	is "$(v run --site site5 redis-cli -s /tmp/redis.sock get key)" value "and its value is there for a third"
	like "$(v run --site site5 redis-cli -s /tmp/redis.sock client list)" "laddr=/tmp/redis.sock|addr=/tmp/redis.sock" "redis sees the peer"
else
	skip "redis" "needs redis-server"
fi
finish
