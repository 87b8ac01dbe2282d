#!/bin/bash
# Large and common programs, natively and in a cell: the same. The scripts that they run are in programs/.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/same.inc"
scripts=$(realpath "$(dirname "${BASH_SOURCE[0]}")/programs")
cc1=$(gcc -print-prog-name=cc1)
cd "$same_files" || exit 1
cp "$scripts"/* .
head -n 300 /usr/share/common-licenses/GPL-3 >text
seq 1 3000 | awk '{ printf "%d,name %d,%d.%02d\n", $1, $1 * 7919 % 1000, $1 % 91, $1 % 100 }' >table.csv
mkdir -p tree/sub/deep
echo leaf >tree/sub/deep/leaf
cp text tree/sub
ln -s sub/deep/leaf tree/link
ln tree/sub/text tree/hard
find tree -exec touch -h -d '2021-02-03 04:05:06' {} +
tar -cf tree.tar --owner=0 --group=0 tree
head -c 1000000 /dev/zero | openssl enc -aes-128-ctr -K 0f -iv 0f 2>/dev/null >noise
cat text table.csv text /usr/bin/gawk >data
for pack in gzip bzip2 xz 'zstd -q'; do
	$pack -k data
done
openssl genrsa -traditional -out key.pem 2048 2>/dev/null
openssl rsa -in key.pem -pubout -out public.pem 2>/dev/null
openssl dgst -sha256 -sign key.pem -out signature text
jq -n '[range(300) | {id: ., name: "name \(. * 7 % 100)", tags: [. % 3, . % 5], nested: {x: (. / 4)}}]' >data.json
gcc -E program.c -o program.i
printf 'P6 64 48 255\n' >picture.ppm
head -c $((64 * 48 * 3)) noise >>picture.ppm
convert-im6 picture.ppm -strip picture.png
sqlite3 prepared.db 'create table t (a integer primary key, b text); with recursive n(i) as (select 1 union all select i + 1 from n where i < 2000) insert into t select i, hex(i * 31) from n;'
sqlite3 prepared.db .dump >dump.sql
cd "$same_home" || exit 1
it() { # it COMMAND...
	works "$*" "$@"
}

it grep -nE '^ +[0-9]+\.|[Ff]ree (Soft|doc)' text
it grep -rc the tree
it grep -P '(?<=free )\w+(?! of)' -o text
it grep -aobF gawk data
it grep -vwi -A 2 'the\|of\|to' text
same 'grep finds nothing' grep nothing-like-it text
same 'grep on a missing file' grep x nowhere text
it sed -n '1~10p;$=' text
it sed -E 's/(\w+) (\w+)/\2 \1/g; /^$/d; y/abc/xyz/' text
it sed -i.old 's/free/FREE/g' text tree/sub/text
it sed '1!G;h;$!d' <<<$'1\n2\n3'
it gawk -F, '{ sum[$1 % 17] += $3 } END { PROCINFO["sorted_in"] = "@ind_num_asc"; for (k in sum) printf "%d %.3f %s\n", k, sqrt(sum[k]), strftime("%F", k * 86400, 1) > "awk.out"; close("awk.out"); while ((getline l < "awk.out") > 0) print toupper(l) }' table.csv
it gawk -M 'BEGIN { print 2 ^ 200; "x" ~ /y/; print gensub(/(a)(b)/, "\\2\\1", "g", "abab"); exit 7 - 7 }'
it find tree -type f -size +10k -newermt 2021-01-01 -printf '%P %s %m %l %n %TY\n'
it find . -maxdepth 2 '(' -name '*.p*' -o -type l ')' -print0
it find tree -depth -name leaf -delete
it tar -tvf tree.tar
it tar -xpf tree.tar -C tree --no-same-owner
it tar -cf new.tar --sort=name --mtime=@0 --owner=0 --group=0 --format=pax --pax-option=delete=atime,delete=ctime tree text
it tar -rf tree.tar text
it tar -xOf tree.tar tree/sub/text
it gzip -9nc data
it gzip -dc data.gz
it gzip -d data.gz -S .gz -f
it gzip -l data.gz
same 'gzip on noise' gzip -t noise
it bzip2 -k data -c
it bzip2 -dc data.bz2
it bzip2 -tvv data.bz2
it xz -6 -c data
it xz -T 2 --block-size=100000 -c data
it xz -dc data.xz
it xz -lvv data.xz
it xz -0f data
it zstd -q -c data
it zstd -q -19 -T2 data -o data.19
it zstd -q -dc data.zst
it zstd -q -b1e1i0 --test data.zst
it bc -l <<<'scale = 40; 4 * a(1); define f(n) { if (n < 2) return 1; return n * f(n - 1); }; f(60); sqrt(2); obase = 16; 2^64 - 1'
it jq '[.[] | select(.tags[0] == 1) | {name, sum: (.tags | add), x: .nested.x}] | group_by(.name) | map({(.[0].name): length}) | add' data.json
it jq -c --stream 'select(length == 2)' data.json
it jq -rR 'split(",") | @csv' table.csv
it jq . <<<'{"a": [1, 2, {"b": "ü"}], "c": 1e100}'
same 'jq on what is no JSON' jq . text
it file text table.csv noise data.gz data.xz data.zst tree.tar picture.png picture.ppm prepared.db program.c threads.py tree tree/link key.pem
it file -i -b text noise
for digest in md5 sha1 sha256 sha512 sha3-256 blake2b512; do
	it openssl dgst -$digest text noise
done
it openssl enc -aes-256-cbc -pbkdf2 -S 0102030405060708 -k secret -in text -a
it openssl enc -chacha20 -K 0102 -iv 03 -in noise -out noise.enc
it openssl enc -camellia-128-ctr -K 0102 -iv 03 -in noise
it openssl rsa -in key.pem -check -text -noout
it openssl dgst -sha256 -verify public.pem -signature signature text
it openssl pkeyutl -sign -inkey key.pem -in signature -rawin -digest sha256
it openssl req -x509 -key key.pem -subj /CN=cell -days 1 -noout
it openssl prime -bits 64 18446744073709551557
it openssl list -digest-algorithms
ok "openssl genrsa makes a key" eval '"$vauban" run openssl genrsa 2048 2>/dev/null | openssl rsa -check -noout'
like "$("$vauban" run openssl speed -seconds 1 -bytes 1024 sha256 2>/dev/null)" '^sha256 +[1-9][0-9.]+k' "openssl speed"

same 'sqlite3: a file database with WAL' sqlite3 new.db <"$scripts/program.sql"
it sqlite3 new.db '.read dump.sql' 'select count(*), sum(length(b)) from t' .dump
it sqlite3 prepared.db .dump
it sqlite3 prepared.db 'pragma journal_mode = wal' 'update t set b = a' 'select sum(b) from t' '.backup copy.db'
it sqlite3 -csv :memory: '.import table.csv t --schema temp' .tables
same 'sqlite3 on what is no database' sqlite3 text .schema

same lua5.4 lua5.4 program.lua <<<'to lua'
same 'lua: an error' lua5.4 -e 'error("as meant")'
same perl perl program.pl <<<'to perl'
it perl -pe 's/(\w+)/\u$1/g' text
it perl -MData::Dumper -MStorable -MEncode -e '$Data::Dumper::Sortkeys = 1; print Dumper({ a => [1, 2], b => Encode::decode("UTF-8", "\xc3\xbc") }); Storable::store({ x => 1 }, "stored")'

it /usr/bin/python3 threads.py
it /usr/bin/python3 async_tasks.py
it /usr/bin/python3 files.py
it /usr/bin/python3 database.py
it /usr/bin/python3 -m json.tool --sort-keys data.json
it /usr/bin/python3 -c 'import sys; print(len(sys.stdin.read()), sys.argv, sys.version)' a b <"$scripts/program.js"
same 'python3: an exception' /usr/bin/python3 -c 'import os; os.stat("nowhere")'
same 'python3: killed by its own signal' /usr/bin/python3 -c 'import os, signal; os.kill(os.getpid(), signal.SIGTERM)'

same 'node --jitless' node --jitless program.js <<<'to node'
cell_options=(--jit)
same 'node with jit' node program.js <<<'to node'
cell_options=()

for options in '-O0 -g' -O2 '-O3 -march=x86-64-v3'; do
	it "$cc1" -quiet -fpreprocessed $options program.i -o program.s
done
cell_options=(-v /usr/include:/usr/include:ro -v /usr/lib/gcc:/usr/lib/gcc:ro)
it "$cc1" -quiet -imultiarch x86_64-linux-gnu -Wall program.c -o program.s
same 'cc1: an error' "$cc1" -quiet text
cell_options=()

it convert-im6 picture.ppm -resize 200% -rotate 30 -blur 0x2 +set date:create +set date:modify -define png:exclude-chunks=date,time,tIME picture.out.ppm
it convert-im6 picture.png -quality 80 -strip picture.jpg
it convert-im6 -size 100x60 gradient:red-blue -colors 16 -strip gradient.gif
it convert-im6 picture.png -format '%w %h %[mean] %k\n' info:
finish
