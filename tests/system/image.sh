#!/bin/bash
# vauban image: building, looking into, extracting and verifying images; bad input; the cache. TAP.
# Needs nothing but the built program: VAUBAN_IMAGE, else build/vauban-image.
cd "$(dirname "$0")/../.." || exit 1
image=$(realpath "${VAUBAN_IMAGE:-build/vauban-image}")
work=$(mktemp -d)
trap 'chmod -R u+rwx "$work"; rm -rf "$work"' EXIT
cd "$work" || exit 1
export XDG_CACHE_HOME=$work/cache
count=0 failed=0

ok() { # ok NAME COMMAND...: the command succeeds
	local name=$1
	shift
	count=$((count + 1))
	if "$@" >out 2>err </dev/null; then
		echo "ok $count - $name"
	else
		failed=1
		echo "not ok $count - $name"
		sed 's/^/# /' out err | head -20
	fi
}
fails() { # fails STATUS TEXT COMMAND...: the command ends with the status and says the text
	local status=$1 text=$2 got
	shift 2
	count=$((count + 1))
	"$@" >out 2>err </dev/null
	got=$?
	if [ $got = "$status" ] && grep -q -- "$text" err && [ -z "$(ls -d .vauban-image-* 2>/dev/null)" ]; then
		echo "ok $count - refused: $text"
	else
		failed=1
		echo "not ok $count - expected status $status and \"$text\", got $got and: $(head -3 err)"
	fi
}
has() { "$image" ls "$1" "$2" >/dev/null; }
hasnt() { ! has "$@" 2>/dev/null; }

# --- programs ---
ok 'a dynamic program' "$image" build -o ls.img --program /bin/ls --arg -l --env A=b --env A=c --cwd /tmp --user 5:6 --memory 64M --jit
ok 'verifies' "$image" verify ls.img
ok 'inspects' "$image" inspect ls.img
ok 'inspects as JSON' "$image" inspect --json ls.img
cp out json
ok 'the manifest says what was asked for' python3 -c '
import json
m = json.load(open("json"))["manifest"]
assert m["program"] == "/bin/ls" and m["entry"] == ["/bin/ls"] and m["arguments"] == ["-l"] and "A=c" in m["environment"] and len(m["environment"]) == 2, m
assert m["cwd"] == "/tmp" and m["user"] == {"uid": 5, "gid": 6} and m["memory_bytes"] == 64 << 20 and m["jit"] is True, m'
for lib in $(ldd /bin/ls | grep -o '/[^ ]*'); do
	ok "has $lib" has ls.img "$(realpath "$lib")"
done
for f in /etc/passwd /etc/nsswitch.conf /usr/lib/locale/C.utf8/LC_CTYPE /tmp /proc /bin; do
	ok "has $f" has ls.img $f
done
ok 'has no documentation' hasnt ls.img /usr/share/doc/coreutils
ok 'extracts' "$image" extract ls.img ls.d
ok 'the extracted program is the same' cmp ls.d/usr/bin/ls /bin/ls
ok 'the extracted link is the same' [ "$(readlink ls.d/bin)" = usr/bin ]
fails 1 'not empty' "$image" extract ls.img ls.d
[ "$(id -u)" = 0 ] && ok 'the extracted program runs' chroot ls.d /bin/ls /

ok 'python3 with its library' "$image" build -o python.img --program /usr/bin/python3
for f in /usr/bin/python3 "$(realpath /usr/bin/python3)" /usr/lib/python3.11/json/decoder.py /usr/lib/python3.11/lib-dynload \
	/usr/lib/x86_64-linux-gnu/libsqlite3.so.0; do
	ok "has $f" has python.img "$f"
done
[ "$(id -u)" = 0 ] && ok 'extracts' "$image" extract python.img python.d &&
	ok 'python runs from it' chroot python.d /usr/bin/python3 -c 'import json, sqlite3, ssl, decimal, asyncio, hashlib'
ok 'perl with its modules' "$image" build -o perl.img --program /usr/bin/perl
[ "$(id -u)" = 0 ] && ok 'extracts' "$image" extract perl.img perl.d &&
	echo 'use POSIX; use Encode; use List::Util; print POSIX::floor(1.5)' >perl.d/program.pl &&
	ok 'perl runs from it' chroot perl.d /usr/bin/perl /program.pl
printf '#!/usr/bin/env -S perl -w\nprint 1;\n' >script && chmod +x script
ok 'a script' "$image" build -o script.img --program ./script
ok 'has its interpreter' has script.img /usr/bin/perl
mkdir -p data/sub && echo x >data/sub/file && ln -s sub/file data/link
ok 'additions' "$image" build -o add.img --program /bin/ls --add data:/srv/data --add /etc/debian_version:/lib/extra --add data/sub
ok 'has the directory' has add.img /srv/data/sub/file
ok 'has the link' has add.img /srv/data/link
ok 'has the file, below the link /lib' has add.img /usr/lib/extra
ok 'has the unnamed place' has add.img "$work/data/sub/file"
ok 'a traced command' "$image" build -o trace.img --trace /bin/sh -c 'cat /etc/fstab /etc/debian_version; ls -d /usr/share/doc'
ok 'has what its child opened' has trace.img /etc/debian_version
ok 'has what its child is' has trace.img /usr/bin/cat

# --- the same again ---
mkdir -p other root/bin && cp /bin/busybox root/bin && ln -s busybox root/bin/sh
for p in /usr/bin/python3 /bin/busybox; do
	(cd other && "$image" build -o a.img --program $p) && sleep 1 && "$image" build -o b.img --program $p
	ok "$p twice is the same" cmp other/a.img b.img
done
"$image" build -o r1.img --root root --entry /bin/busybox --entry sh && sleep 1 && cp -r root root2 && "$image" build -o r2.img --root root2 --entry /bin/busybox --entry sh
ok 'a copied root is the same' cmp r1.img r2.img
ok 'and verifies' "$image" verify r1.img

# --- bad requests ---
fails 2 'usage' "$image"
fails 2 'no verb' "$image" frobnicate
fails 2 '-o FILE is missing' "$image" build --program /bin/ls
fails 2 'one of' "$image" build -o x.img
fails 2 'one of' "$image" build -o x.img --program /bin/ls --root /
fails 2 'memory' "$image" build -o x.img --program /bin/ls --memory 3X
fails 2 'user' "$image" build -o x.img --program /bin/ls --user root
fails 2 'NAME=VALUE' "$image" build -o x.img --program /bin/ls --env A
fails 2 'absolute' "$image" build -o x.img --program /bin/ls --cwd tmp
fails 2 'unrecognized' "$image" build -o x.img --frob
fails 1 'No such file' "$image" build -o x.img --program ./missing
fails 1 'not found in PATH' "$image" build -o x.img --program no-such-program
fails 1 'not executable' "$image" build -o x.img --program /etc/passwd
fails 1 'No such file' "$image" build -o /no/such/dir/x.img --program /bin/ls
fails 1 'No such file' "$image" build -o x.img --program /bin/ls --add missing:/x
fails 1 'No such file' "$image" build -o x.img --trace ./missing
head -c 100 /bin/ls >short && chmod +x short
fails 1 'truncated' "$image" build -o x.img --program ./short
head -c 5000 /bin/ls >short
fails 1 'truncated' "$image" build -o x.img --program ./short
cp /bin/ls foreign && printf '\267' | dd of=foreign bs=1 seek=18 conv=notrunc 2>/dev/null
fails 1 'aarch64' "$image" build -o x.img --program ./foreign
cp /bin/ls old && printf '\003' | dd of=old bs=1 seek=18 conv=notrunc 2>/dev/null
fails 1 '32-bit' "$image" build -o x.img --program ./old
sed 's|/lib64/ld-linux-x86-64.so.2|/lib64/ld-linux-x86-64.so.9|' /bin/ls >noint && chmod +x noint
fails 1 'needs the interpreter /lib64/ld-linux-x86-64.so.9' "$image" build -o x.img --program ./noint
sed 's|libselinux.so.1|libselinux.so.7|' /bin/ls >nolib && chmod +x nolib
fails 1 'needs libselinux.so.7' "$image" build -o x.img --program ./nolib
ok 'nothing is left behind' [ ! -e x.img ]
if [ "$(id -u)" = 0 ] && mkdir full && mount -t tmpfs -o size=3m none full 2>/dev/null; then
	fails 1 'No space left' "$image" build -o full/x.img --program /bin/ls
	ok 'a full disk holds nothing of it' [ -z "$(ls -A full)" ]
	umount full
fi
for i in 1 2 3 4 5 6 7 8 9 10; do # until one is met before its end
	rm -f x.img
	"$image" build -o x.img --program /usr/bin/perl 2>/dev/null &
	while kill -0 $! 2>/dev/null && ! ls -A | grep -q -e '^x.img' -e '^.vauban'; do sleep 0.01; done
	kill -INT $! 2>/dev/null
	wait $! || break
done
ok 'an interrupted build leaves nothing' [ -z "$(ls -A | grep -e '^x.img' -e '^.vauban')" ]

# --- bad images ---
fails 1 'No such file' "$image" inspect missing.img
fails 1 'not a regular file' "$image" inspect /dev/null
fails 1 'not a Vauban image' "$image" inspect /bin/ls
fails 1 'not a Vauban image' "$image" verify /etc/passwd
head -c 1000000 ls.img >cut.img
fails 1 'cut short' "$image" verify cut.img
cp ls.img flip.img && printf 'x' | dd of=flip.img bs=1 seek=500000 conv=notrunc 2>/dev/null
fails 1 'checksum' "$image" verify flip.img
cat >manifest.py <<'END'
import hashlib, struct, sys
source, text = sys.argv[1:]
image = open(source, "rb").read()
erofs_bytes = struct.unpack_from("<Q", image, len(image) - 4096 + 16)[0]
body = image[:erofs_bytes] + text.encode()
body += bytes(-len(body) % 4096)
trailer = image[-4096:-4096 + 16] + struct.pack("<QQQQQ", erofs_bytes, erofs_bytes, len(text), len(body), 0) + hashlib.sha256(body).digest()
open("manifest.img", "wb").write(body + trailer + bytes(4096 - len(trailer)))
END
refuses() { # refuses TEXT MANIFEST
	python3 manifest.py r1.img "$2" && fails 1 "$1" "$image" verify manifest.img
}
python3 manifest.py r1.img '{"version": 1, "program": "/bin/busybox"}'
ok 'the smallest manifest' "$image" verify manifest.img
refuses 'line 1, column' 'hello'
refuses 'not a JSON object' '[1]'
refuses '"program" is missing' '{"version": 1}'
refuses '"version" is missing' '{"program": "/a"}'
refuses '"version" (line 1) is out of range' '{"version": 2, "program": "/a"}'
refuses '"frob" (line 2) is no key' '{"version": 1, "program": "/a",
 "frob": 1}'
refuses '"program" (line 1) must be an absolute path' '{"version": 1, "program": "a"}'
refuses '"?\[2Jx??" (line 1) is no key' '{"version": 1, "program": "/a", "\u001b[2Jx\u009b": 1}' # nothing that a terminal would obey
refuses 'duplicate' '{"version": 1, "program": "/a", "jit": true, "jit": false}'
refuses '"jit" (line 1) must be true or false' '{"version": 1, "program": "/a", "jit": 1}'
refuses '"memory_bytes" (line 1) must be a multiple' '{"version": 1, "program": "/a", "memory_bytes": 67108865}'
refuses '"memory_bytes" (line 1) is out of range' '{"version": 1, "program": "/a", "memory_bytes": -1}'
refuses '"user" (line 1) must be' '{"version": 1, "program": "/a", "user": {"uid": 1}}'
refuses '"environment" (line 1) sets a variable twice' '{"version": 1, "program": "/a", "environment": ["A=1", "A=2"]}'
refuses '"entry" (line 1) must not be empty' '{"version": 1, "program": "/a", "entry": []}'
refuses '"arguments" (line 1) must hold only strings' '{"version": 1, "program": "/a", "arguments": [1]}'
refuses 'not in the image' '{"version": 1, "program": "/no/such/program"}'
cat >damage.py <<'END'
import random, subprocess, sys
image, source = sys.argv[1:]
good = open(source, "rb").read()
random.seed(7)
for i in range(150):
    bad = bytearray(good)
    where = random.choice([(1024, 1152), (1024, 16384), (len(bad) - 4096, len(bad) - 4008), (0, len(bad))])
    for k in range(random.randrange(1, 20)):
        bad[random.randrange(*where)] = random.choice([0, 1, 0x7f, 0x80, 0xff, random.randrange(256)])
    open("damaged.img", "wb").write(bad)
    for verb in (["verify"], ["inspect"], ["ls"]):
        r = subprocess.run([image, *verb, "damaged.img"], capture_output=True, timeout=200)
        assert r.returncode in (0, 1), (i, verb, r.returncode)
        assert r.returncode == 0 or r.stderr, (i, verb)
    subprocess.run(["rm", "-rf", "damaged.d"])
    r = subprocess.run([image, "extract", "damaged.img", "damaged.d"], capture_output=True, timeout=200)
    assert r.returncode in (0, 1), (i, r.returncode)
END
ok 'damaged images are refused, never crash' python3 damage.py "$image" r1.img

# --- the cache ---
ok 'caches' "$image" cached /bin/ls
first=$(cat out)
ok 'a cached image is an image' "$image" verify "$first"
ok 'caches once' "$image" cached ls
cp /bin/ls mine
"$image" cached ./mine >one
"$image" cached ./mine >again
ok 'found again' cmp one again
sleep 0.01 && cp /bin/cat mine && "$image" cached ./mine >two
ok 'a changed program has another image' [ "$(cat one)" != "$(cat two)" ]
for i in 1 2 3 4 5 6; do "$image" cached /usr/bin/find >par.$i & done
wait
ok 'six at once agree' [ "$(sort -u par.* | wc -l)" = 1 ]
ok 'and left nothing over' [ -z "$(ls -A cache/vauban/images | grep '^\.')" ]
for f in cache/vauban/index/*; do head -c 60 "$f" >torn && cat torn >"$f"; done
ok 'torn indexes are made anew' "$image" cached /bin/ls
fails 127 'No such file' "$image" cached ./missing
fails 126 'aarch64' "$image" cached ./foreign
chmod 755 cache/vauban
fails 125 '0700' "$image" cached /bin/ls
chmod 700 cache/vauban

echo "1..$count"
exit $failed
