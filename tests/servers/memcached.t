#!/bin/bash
# memcached: its text and binary protocols by TCP, and UDP.
needs=(memcached nc)
. "$(dirname "$0")/lib.sh"

free_port port
ask() { # ask LINE...: what the server says to these lines
	{ printf '%s\r\n' "$@"; printf 'quit\r\n'; } | timeout 60 nc 127.0.0.1 "$port" | tr -d '\r'
}
serve memcached "$port" "$port/udp" -- /usr/bin/memcached -p "$port" -U "$port" -l 0.0.0.0 -u root -t 4 -m 64 -c 1500 -I 2m
ready memcached sh -c "printf 'version\r\nquit\r\n' | nc -w 20 127.0.0.1 $port | grep VERSION"
is "$(ask 'set k 7 0 5' hello 'get k')" $'STORED\nVALUE k 7 5\nhello\nEND' "a value"
is "$(ask 'get nothing')" END "none"
is "$(ask 'add k 0 0 1' x 'replace k 0 0 3' new 'append k 0 0 2' er 'get k')" $'NOT_STORED\nSTORED\nSTORED\nVALUE k 0 5\nnewer\nEND' "add, replace, append"
is "$(ask 'set n 0 0 2' 10 'incr n 5' 'decr n 3' 'delete n' 'get n')" $'STORED\n15\n12\nDELETED\nEND' "counting, deleting"
is "$(ask 'set t 0 4 1' x 'get t' | tail -3)" $'VALUE t 0 1\nx\nEND' "with an expiry"
becomes END "that comes" ask 'get t'
is "$(ask nonsense)" ERROR "nonsense"
cat >client.py <<'END'
import hashlib, os, socket, struct, sys, threading
port = int(sys.argv[1])
def connect():
    s = socket.create_connection(("127.0.0.1", port), 100)
    return s, s.makefile("rb")
s, f = connect()
value = os.urandom(1500000)
s.sendall(b"set big 0 0 %d\r\n" % len(value) + value + b"\r\n")
assert f.readline() == b"STORED\r\n"
s.sendall(b"get big\r\n")
assert f.readline() == b"VALUE big 0 1500000\r\n"
print("large", f.read(len(value)) == value and f.readline() + f.readline() == b"\r\nEND\r\n")
s.sendall(b"".join(b"set p%d 0 0 %d noreply\r\n%d\r\n" % (i, len(str(i)), i) for i in range(5000)))
s.sendall(b"".join(b"get p%d\r\n" % i for i in range(5000)))
print("pipelined", all(f.readline().startswith(b"VALUE") and int(f.readline()) == i and f.readline() == b"END\r\n" for i in range(5000)))
s.sendall(b"gets p1\r\n")
cas = f.readline().split()[-1]; f.readline(); f.readline()
s.sendall(b"cas p1 0 0 1 %s\r\nA\r\ncas p1 0 0 1 %s\r\nB\r\n" % (cas, cas))
print("cas", f.readline(), f.readline())
# Binary protocol: a noop and a get with its header checked.
b, g = connect()
b.sendall(struct.pack(">BBHBBHLLQ", 0x80, 0x00, 2, 0, 0, 0, 2, 0x1234, 0) + b"p7")
h = struct.unpack(">BBHBBHLLQ", g.read(24))
print("binary", h[0] == 0x81 and h[5] == 0 and h[7] == 0x1234, g.read(h[6])[4:])
# A thousand connections, each with a value of its own.
socks = [connect() for _ in range(1000)]
for i, (c, _) in enumerate(socks):
    c.sendall(b"set c%d 0 0 4\r\n%04d\r\n" % (i, i))
print("stored", sum(r.readline() == b"STORED\r\n" for _, r in socks))
for i, (c, _) in enumerate(socks):
    c.sendall(b"get c%d\r\n" % (999 - i))
print("read", sum(r.readline().startswith(b"VALUE") and int(r.readline()) == 999 - i and r.readline() == b"END\r\n" for i, (_, r) in enumerate(socks)))
s.sendall(b"stats\r\n")
stats = {}
while (line := f.readline()) != b"END\r\n":
    stats[line.split()[1]] = line.split()[2]
print("connections", int(stats[b"curr_connections"]) >= 1002, "threads", int(stats[b"threads"]))
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
u.settimeout(60)
u.connect(("127.0.0.1", port))
u.send(struct.pack(">HHHH", 77, 0, 1, 0) + b"get p42\r\n")
d = u.recv(2000)
print("udp", struct.unpack(">HHHH", d[:8]), d[8:])
END
is "$($python client.py "$port" 2>&1)" "large True
pipelined True
cas b'STORED\\r\\n' b'EXISTS\\r\\n'
binary True b'7'
stored 1000
read 1000
connections True threads 4
udp (77, 0, 1, 0) b'VALUE p42 0 2\\r\\n42\\r\\nEND\\r\\n'" "large values, pipelines, 1,000 connections, UDP"
stopped memcached 0
finish
