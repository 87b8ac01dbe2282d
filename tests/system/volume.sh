#!/bin/bash
# Volumes from outside: the guest tests of files on a volume, read-only volumes, links that lead out, set-id files, a full
# disk, a database with a write-ahead log, few descriptors, changes by the host. TAP.
# VAUBAN: the command, else build/vauban; the guest tests lie in tests/ beside it.
cd "$(dirname "$0")/../.." || exit 1
vauban=$(realpath "${VAUBAN:-build/vauban}")
guests=$(dirname "$vauban")/tests
work=$(mktemp -d)
programs=$(mktemp -d /var/tmp/vauban-tests.XXXXXX) # not hidden by a volume on /tmp
trap 'umount "$work/small" 2>/dev/null; rm -rf "$work" "$programs"' EXIT
cd "$work" || exit 1
mkdir vol native
count=0 failed=0

check() { # check NAME COMMAND...
	local name=$1
	shift
	count=$((count + 1))
	if "$@"; then
		echo "ok $count - $name"
	else
		failed=1
		echo "not ok $count - $name"
		tail -5 err 2>/dev/null | sed 's/^/# /'
	fi
}
cell() { # cell HOSTDIR:DIR[:ro] PROGRAM ARGS...
	local volume=$1
	shift
	timeout 200 "$vauban" run -v "$volume" "$@" 2>err </dev/null
}
says() { [ "$("${@:2}")" = "$1" ]; }
refused() { # refused TEXT COMMAND...: it fails and says the text
	! "${@:2}" >out && grep -q -- "$1" err
}
same_in_cell() { # same_in_cell PROGRAM: run in a folder, natively and on a volume
	"$1" native >native.out && cell "$work/vol:/data" "$1" /data >cell.out && cmp native.out cell.out
}

check "the guest test of volumes says the same on a volume" same_in_cell "$guests/guest-volume"
for name in file dir path lock; do # these work in /tmp
	cp "$guests/guest-$name" "$programs"
	"$programs/guest-$name" >native.out || continue # not as this user
	cell "$work/vol:/tmp" "$programs/guest-$name" >cell.out
	check "so does that of $name" cmp native.out cell.out
done

echo text >vol/f
check "a read-only volume is read" says text cell "$work/vol:/data:ro" /bin/cat /data/f
check "and not written" refused "Read-only file system" cell "$work/vol:/data:ro" /bin/touch /data/f
check "nor are files removed" refused "Read-only file system" cell "$work/vol:/data:ro" /bin/rm /data/f
check "a missing folder is said" refused "$work/none: No such file" cell "$work/none:/data" /bin/true

echo secret >outside
ln -s ../outside vol/link
ln -s "$work/outside" vol/absolute
check "a link that leads out of the folder leads nowhere" refused "No such file" cell "$work/vol:/data" /bin/cat /data/link
check "nor does an absolute one" refused "No such file" cell "$work/vol:/data" /bin/cat /data/absolute
check "what is above the folder is the cell's own root" refused "No such file" cell "$work/vol:/data" /bin/cat /data/../outside
check "no file gets set-id bits" refused "Operation not permitted" cell "$work/vol:/data" /bin/chmod u+s /data/f
check "no device nodes are made" refused "Operation not permitted" cell "$work/vol:/data" /bin/mknod /data/null c 1 3

if command -v sqlite3 >/dev/null; then
	sql="pragma journal_mode=wal; create table t(a integer primary key, b); insert into t select value, hex(randomblob(40)) from generate_series(1, 3000);
		update t set b = 'x' where a % 3 = 0; select count(*) from t; pragma integrity_check;"
	check "a database with a write-ahead log" says $'wal\n3000\nok' cell "$work/vol:/data" "$(command -v sqlite3)" /data/db "$sql"
	check "is whole on the host" says ok sqlite3 vol/db "pragma integrity_check"
fi

mkdir vol/many
(cd vol/many && seq 1 2000 | xargs touch)
check "few descriptors are enough for many files" says 2001 sh -c "ulimit -n 256; '$vauban' run -v '$work/vol:/data' /usr/bin/find /data/many | wc -l"
if mkdir small && mount -t tmpfs -o size=1M tmpfs small 2>/dev/null; then
	check "a full disk is said" refused "No space left" cell "$work/small:/data" /bin/dd if=/dev/zero of=/data/big bs=64k
	check "and what fitted is there" test "$(stat -c %s small/big)" -gt 900000
fi

mkfifo control
timeout 200 "$vauban" run -i -v "$work/vol:/data" /usr/bin/python3 -c '
import os, sys
f = open("/data/f")
for line in sys.stdin:
	f.seek(0)
	print(f.read().strip(), os.path.exists("/data/f"), flush=True)
' <control >answers 2>err &
exec 9>control
step() { # step N: the Nth answer
	echo >&9
	for _ in $(seq 1200); do
		[ "$(wc -l <answers)" -ge "$1" ] && break
		sleep 0.05
	done
}
step 1
echo changed >vol/f
step 2
rm vol/f
step 3
exec 9>&-
wait
check "what the host changes is seen at once, and an open file stays" says $'text True\nchanged True\nchanged False' cat answers
echo "1..$count"
exit $failed
