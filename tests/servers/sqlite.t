#!/bin/bash
# SQLite behind a small service: threads that write one database on a volume, read afterwards by sqlite3 outside.
needs=(sqlite3 nc)
. "$(dirname "$0")/lib.sh"

free_port port
serve sqlite "$port" -- "$build/tests/server-sqlite" "$PWD/data.db" "$port"
ask() {
	printf '%s\n' "$@" | timeout 100 nc -N 127.0.0.1 "$port"
}
ready sqlite sh -c "echo 'select 1;' | timeout 20 nc -N 127.0.0.1 $port | grep -q ok"
is "$(ask 'pragma journal_mode = wal;' 'create table t (who, n integer);')" $'wal\nok\nok' "a table"
is "$(ask "insert into t values ('a', 1), ('b', 2);" 'select * from t order by n;')" $'ok\na|1\nb|2\nok' "rows"
is "$(ask 'select nonsense;')" 'error: no such column: nonsense' "an error"
is "$(ask 'select hex(randomblob(500000));' | head -1 | wc -c)" 1000001 "a row of 1 MB"
for k in {1..8}; do
	for i in {1..25}; do echo "insert into t values ('c$k', $i);"; done | timeout 200 nc -N 127.0.0.1 "$port" >"w.$k" &
	writers+=($!)
done
wait "${writers[@]}"
is "$(cat w.* | sort | uniq -c | tr -s ' ')" " 200 ok" "eight connections write 25 rows each"
is "$(ask 'select count(*), sum(n), count(distinct who) from t;')" $'202|2603|10\nok' "all are there"
stopped sqlite 0
is "$(sqlite3 data.db 'pragma integrity_check; select count(*) from t;')" $'ok\n202' "and for sqlite3 outside"
finish
