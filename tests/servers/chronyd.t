#!/bin/bash
# chronyd as a server of its own clock (-x: it sets none), asked by another chronyd and by hand.
needs=(chronyd)
. "$(dirname "$0")/lib.sh"

free_port port
cat >chrony.conf <<END
port $port
cmdport 0
local stratum 3
allow all
pidfile $PWD/chronyd.pid
END
cat >ask.py <<'END'
import socket, struct, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(1)
s.connect(("127.0.0.1", int(sys.argv[1])))
good = 0
for i in range(int(sys.argv[2])):
    mine = struct.pack(">II", 0xABCD0000 + i, 0x12345678)
    d = b""
    for attempt in range(60): # what is sent before the port leads anywhere is lost
        s.send(bytes([0x23]) + bytes(39) + mine)
        try:
            while d[24:32] != mine: # an answer to an earlier attempt
                d = s.recv(500)
            break
        except OSError: # timed out, or refused
            time.sleep(0.1)
    first, stratum = d[0], d[1]
    origin = d[24:32]
    received, sent = (struct.unpack(">II", d[k:k + 8]) for k in (32, 40))
    now = time.time() + 2208988800
    good += len(d) == 48 and first & 7 == 4 and first >> 3 & 7 == 4 and stratum == 3 and origin == mine and abs(sent[0] - now) < 60 and sent >= received
print(good)
END
serve chronyd "$port/udp" -- /usr/sbin/chronyd -U -u root -x -d -f "$PWD/chrony.conf"
ready chronyd timeout 60 $python ask.py "$port" 1
is "$($python ask.py "$port" 200 2>&1)" 200 "200 answers with the time, each to its question"
measured() { # the best of a few samples: a loaded machine may delay some of them by much
	out=$(timeout 60 chronyd -U -u "$(id -un)" -Q -t 30 -f /dev/null "server 127.0.0.1 port $port iburst maxsamples 4" "pidfile $PWD/client.pid" "cmdport 0" 2>&1)
	grep -qE 'System clock wrong by -?0\.0[0-9]+ seconds' <<<"$out"
}
eventually "a chronyd as client measures less than 0.1 s" measured
is "$(printf 'short' | timeout 1 nc -u -w 1 127.0.0.1 "$port" | wc -c)" 0 "nonsense gets no answer"
is "$($python ask.py "$port" 1 2>&1)" 1 "it serves on"
stopped chronyd 0
finish
