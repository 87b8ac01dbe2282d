#!/bin/bash
# Servers in Python: http.server with threads, asyncio with 300 connections, one that speaks first, UDP.
needs=(curl)
. "$(dirname "$0")/lib.sh"

free_port http
mkdir root
echo hello >root/file
head -c 2000000 /dev/urandom >root/large
serve http "$http" -- $python -m http.server -d "$PWD/root" "$http"
ready http curl -sf "http://127.0.0.1:$http/file"
is "$(curl -s "http://127.0.0.1:$http/file")" hello "a file"
like "$(curl -s "http://127.0.0.1:$http/")" 'href="large"' "a folder"
is "$(curl -s "http://127.0.0.1:$http/large" | sha256sum)" "$(sha256sum <root/large)" "2 MB"
is "$(curl -s -o /dev/null -w '%{http_code}' "http://127.0.0.1:$http/no")" 404 "no such file"
is "$(for i in {1..30}; do curl -s "http://127.0.0.1:$http/file" & done | sort | uniq -c | tr -s ' ')" " 30 hello" "30 at once, a thread each"
stopped http 143

free_port echo
free_port first
cat >server.py <<'END'
import asyncio, sys
async def echo(r, w):
    while data := await r.read(65536):
        w.write(data)
        await w.drain()
    w.close()
async def first(r, w):
    w.write(b"220 cell ready\r\n")
    while line := await r.readline():
        w.write(b"250 " + line)
        if line == b"QUIT\r\n":
            break
    w.close()
class Datagrams(asyncio.DatagramProtocol):
    def connection_made(self, t):
        self.t = t
    def datagram_received(self, data, a):
        self.t.sendto(data[::-1], a)
async def main():
    a = await asyncio.start_server(echo, "0.0.0.0", int(sys.argv[1]), backlog=400)
    b = await asyncio.start_server(first, "0.0.0.0", int(sys.argv[2]))
    await asyncio.get_running_loop().create_datagram_endpoint(Datagrams, ("0.0.0.0", int(sys.argv[1])))
    await asyncio.gather(a.serve_forever(), b.serve_forever())
asyncio.run(main())
END
cat >client.py <<'END'
import asyncio, os, socket, sys
port = int(sys.argv[1])
async def one(i):
    r, w = await asyncio.open_connection("127.0.0.1", port)
    for k in range(5):
        data = os.urandom(1000 + i)
        w.write(data)
        assert await r.readexactly(len(data)) == data
    w.write_eof()
    assert await r.read() == b""
    w.close()
    return 1
async def large():
    r, w = await asyncio.open_connection("127.0.0.1", port)
    data = os.urandom(5000000)
    async def send():
        w.write(data)
        await w.drain()
        w.write_eof()
    _, back = await asyncio.gather(send(), r.read())
    return back == data
async def main():
    print(sum(await asyncio.gather(*(one(i) for i in range(300)))), await large())
asyncio.run(asyncio.wait_for(main(), 200))
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
u.settimeout(60)
u.connect(("127.0.0.1", port))
print(sum(u.send(b"abc%d" % i) and u.recv(100) == (b"abc%d" % i)[::-1] for i in range(200)), "datagrams")
END
serve asyncio "$echo" "$echo/udp" "$first" -- $python server.py "$echo" "$first"
ready asyncio sh -c "echo x | timeout 20 nc -N 127.0.0.1 $echo | grep x"
is "$($python client.py "$echo" 2>&1)" $'300 True\n200 datagrams' "300 connections, 5 MB both ways at once, 200 datagrams"
is "$(timeout 60 bash -c "read -r line <>/dev/tcp/127.0.0.1/$first; echo \$line" | tr -d '\r')" "220 cell ready" "a server that speaks first"
is "$(printf 'HELO\r\nQUIT\r\n' | timeout 60 nc -N 127.0.0.1 "$first" | tr -d '\r')" $'220 cell ready\n250 HELO\n250 QUIT' "and goes on"
kill "$server"
finish
