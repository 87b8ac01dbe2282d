#!/bin/bash
# mosquitto: its own clients, and a thousand that subscribe at once.
needs=(mosquitto mosquitto_pub mosquitto_sub)
. "$(dirname "$0")/lib.sh"

free_port port
cat >mosquitto.conf <<END
listener $port 0.0.0.0
allow_anonymous true
persistence false
log_dest stderr
log_type all
user root
END
pub() {
	timeout 100 mosquitto_pub -h 127.0.0.1 -p "$port" "$@"
}
sub() {
	timeout 100 mosquitto_sub -h 127.0.0.1 -p "$port" "$@"
}
subscribed() { # subscribed CLIENT: the server knows what it wants
	until_it shown "Sending SUBACK to $1\$" mosquitto.log
}
serve mosquitto "$port" -- /usr/sbin/mosquitto -c mosquitto.conf
ready mosquitto pub -t ready -m x
ok "a retained message" pub -t kept -m remembered -r
is "$(sub -t kept -C 1)" remembered "is there for who comes later"
for qos in 0 1 2; do
	sub -i "q$qos" -t "q/$qos/#" -q $qos -C 3 -v >"got.$qos" &
	subscriber=$!
	subscribed "q$qos"
	for i in 1 2 3; do pub -t "q/$qos/$i" -q $qos -m "message $i"; done
	wait $subscriber
	is "$(cat "got.$qos")" "$(for i in 1 2 3; do echo "q/$qos/$i message $i"; done)" "quality $qos"
done
sub -i lines -t lines -C 500 >lines &
subscriber=$!
subscribed lines
seq 500 | pub -t lines -l -q 1
wait $subscriber
is "$(cat lines)" "$(seq 500)" "500 messages in order"
head -c 1000000 /dev/urandom >blob
sub -i blob -t blob -C 1 -N >blob.got &
subscriber=$!
subscribed blob
pub -t blob -f blob
wait $subscriber
ok "a message of 1 MB" cmp blob blob.got
sub -i heir -t will -C 1 >will &
subscriber=$!
subscribed heir
timeout 100 mosquitto_sub -h 127.0.0.1 -p "$port" -i idle -t idle --will-topic will --will-payload died -k 60 &
dying=$!
subscribed idle
disown $dying
kill -KILL "$(pgrep -P $dying)"
wait $subscriber
is "$(cat will)" died "the last will of a client that is killed"
cat >thousand.py <<'END'
import asyncio, sys
port = int(sys.argv[1])
N = 1000
def packet(kind, body):
    assert len(body) < 128
    return bytes([kind, len(body)]) + body
def text(s):
    return len(s).to_bytes(2, "big") + s.encode()
async def read(r):
    kind, n = await r.readexactly(2)
    return kind, await r.readexactly(n)
async def client(i, ready, go):
    r, w = await asyncio.open_connection("127.0.0.1", port)
    w.write(packet(0x10, text("MQTT") + bytes([4, 2, 0, 60]) + text("c%d" % i)))
    assert await read(r) == (0x20, b"\0\0")
    w.write(packet(0x82, b"\0\1" + text("all") + b"\0" + text("own/%d" % i) + b"\0"))
    assert (await read(r))[0] == 0x90
    ready.append(i)
    got = {(await read(r))[1], (await read(r))[1]}
    assert got == {text("all") + b"to all", text("own/%d" % i) + b"%d" % i}, got
    w.write(b"\xe0\0")
    w.close()
    return 1
async def main():
    ready = []
    tasks = []
    for i in range(N):
        tasks.append(asyncio.create_task(client(i, ready, None)))
        if i % 50 == 49:
            while len(ready) < i + 1 - 25:
                await asyncio.sleep(0.005)
    while len(ready) < N:
        await asyncio.sleep(0.01)
    r, w = await asyncio.open_connection("127.0.0.1", port)
    w.write(packet(0x10, text("MQTT") + bytes([4, 2, 0, 60]) + text("publisher")))
    assert await read(r) == (0x20, b"\0\0")
    w.write(packet(0x30, text("all") + b"to all"))
    for i in range(N):
        w.write(packet(0x30, text("own/%d" % i) + b"%d" % i))
    await w.drain()
    print(sum(await asyncio.gather(*tasks)))
asyncio.run(asyncio.wait_for(main(), 200))
END
is "$($python thousand.py "$port" 2>&1 | tail -1)" 1000 "1,000 clients each get what is for all and what is theirs"
pub -t after -m x
result $? "it serves on"
stopped mosquitto 0
finish
