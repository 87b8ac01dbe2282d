#!/bin/bash
# redis: its own client and benchmark. Snapshots in the background need fork, which cells lack: SAVE and the append-only file work.
needs=(redis-server redis-cli redis-benchmark)
. "$(dirname "$0")/lib.sh"

free_port port
mkdir data
redis() {
	timeout 100 redis-cli -p "$port" "$@"
}
pong() {
	[ "$(redis ping 2>&1)" = PONG ]
}
start_redis() {
	serve redis "$port" -- /usr/bin/redis-server --port "$port" --bind 0.0.0.0 --protected-mode no --dir "$PWD/data" --save "" --appendonly yes \
		--auto-aof-rewrite-percentage 0 --enable-debug-command yes --daemonize no
}
start_redis
ready redis pong
is "$(redis set key value; redis get key)" $'OK\nvalue' "a value"
is "$(redis get nothing)" "" "no value"
is "$(redis incrby n 41; redis incr n)" $'41\n42' "counting"
is "$(redis rpush list a b c; redis lrange list 0 -1)" $'3\na\nb\nc' "a list"
is "$(redis hset h f1 v1 f2 v2; redis hgetall h)" $'2\nf1\nv1\nf2\nv2' "a hash"
is "$(redis zadd z 3 c 1 a 2 b; redis zrange z 0 -1 withscores)" $'3\na\n1\nb\n2\nc\n3' "a sorted set"
is "$(redis eval 'return redis.call("get", KEYS[1]) .. ARGV[1]' 1 key '!')" 'value!' "a script in Lua"
is "$(redis set t x px 50; sleep 0.1; redis exists t)" $'OK\n0' "an expiry"
is "$(printf 'multi\nincr n\nincr n\nexec\n' | redis | tail -2)" $'43\n44' "a transaction"
head -c 8000000 /dev/urandom | base64 -w 0 >large
is "$(redis -x set large <large; redis strlen large)" $'OK\n'"$(wc -c <large)" "10 MB in one value"
is "$(redis --raw get large | head -c -1 | sha256sum)" "$(sha256sum <large)" "and back"
for i in {1..20000}; do echo "SET pipe:$i $i"; done | redis --pipe | tail -1 >piped
is "$(cat piped)" "errors: 0, replies: 20000" "20,000 commands in a pipe"
is "$(redis get pipe:12345)" 12345 "one of them"
is "$(redis --scan --pattern 'pipe:*' | sort | md5sum)" "$(for i in {1..20000}; do echo "pipe:$i"; done | sort | md5sum)" "a scan finds them all"
# Subscribers: the message goes to all.
subscribers=()
for i in 1 2 3; do redis-cli -p "$port" subscribe channel >"sub.$i" 2>/dev/null & subscribers+=($!); done
until_it eval '[ "$(redis pubsub numsub channel | tail -1)" = 3 ]'
is "$(redis publish channel news)" 3 "a message to three subscribers"
becomes 3 "each gets it" eval "cat sub.* | grep -c '^news$'"
kill "${subscribers[@]}"
# A client that waits is served by another.
timeout 100 redis-cli -p "$port" blpop queue 60 >popped &
popper=$!
until_it eval 'redis info clients | grep -q "^blocked_clients:1"'
redis rpush queue item >/dev/null
wait $popper
is "$(cat popped)" $'queue\nitem' "a blocked client is woken"
# Its benchmark: each kind of command runs to its end, on 50 connections.
redis-benchmark -p "$port" -q -n 5000 -c 50 -P 8 --csv -t ping,set,get,incr,lpush,rpop,sadd,hset,spop,zadd,lrange_100,mset >bench 2>bench.err
is "$(grep -c '^"' bench)" 15 "the benchmark's $(($(grep -c '^"' bench) - 1)) results" "$(cat bench.err)"
is "$(awk -F'"' 'NR > 1 && $4 <= 0' bench | wc -l)" 0 "all of them with a rate"
is "$(redis info stats | tr -d '\r' | awk -F: '/^total_connections_received/ { print ($2 >= 100) }')" 1 "connections are counted"
like "$(redis bgsave 2>&1)" "$([ "$native" ] && echo 'saving started' || echo 'ERR')" "BGSAVE $([ "$native" ] && echo works || echo "says that it can't")"
until_it eval '[ "$(redis save 2>/dev/null)" = OK ]'
is "$(redis save)" OK "SAVE"
[ -s data/dump.rdb ]
result $? "the snapshot is in the volume"
stopped redis 0
# The values are there again after a start.
start_redis
ready redis pong
is "$(redis get key; redis llen list; redis dbsize | awk '{ print ($1 > 20000) }')" $'value\n3\n1' "the append-only file is read back"
is "$(redis --raw get large | head -c -1 | sha256sum)" "$(sha256sum <large)" "with the large value"
stopped redis 0
finish
