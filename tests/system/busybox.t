#!/bin/bash
# Applets of busybox (a static program), natively and in a cell: the same.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/same.inc"
seq 1 500 | tac >"$same_files/numbers"
head -n 200 /usr/share/common-licenses/GPL-3 >"$same_files/text"
printf 'b 2\na 1\nc 3\na 1\n' >"$same_files/pairs"
printf 'a x\nb y\nd z\n' >"$same_files/other"
printf 'one\r\ntwo\r\n' >"$same_files/dos"
mkdir -p "$same_files/tree/sub/deep"
echo leaf >"$same_files/tree/sub/deep/leaf"
ln -s sub/deep/leaf "$same_files/tree/link"
ar -rcD "$same_files/library.a" "$same_files/text" "$same_files/pairs"
gzip -nk "$same_files/text"
xz -k "$same_files/text"
bzip2 -k "$same_files/text"
tar -cf "$same_files/tree.tar" -C "$same_files" --owner=0 --group=0 --mtime=@0 tree
bb() { # bb APPLET ARGUMENTS...
	works "$*" busybox "$@"
}

bb ar -t library.a
bb arch
bb ascii
bb ash -c 'for i in 1 2 3; do x=$((x + i)); done; echo $x; case $x in 6) echo six ;; esac'
bb awk '{ n += length($0); w += NF } END { print NR, w, n; print n % 7 }' text
bb base64 text
bb base64 -d <<<aGVsbG8K
bb basename /usr/lib/libc.so .so
bb bc <<<'scale = 20; 2 / 3; 2 ^ 100'
bb bunzip2 -c text.bz2
bb bzcat text.bz2
bb bzip2 -f text
bb cal 2 2024
bb cat text pairs
bb chmod -R u=rwx,g=rx,o= tree
bb cmp text text
same 'cmp of different files' busybox cmp text pairs
bb cp -a tree copy
bb crc32 text
bb cut -d ' ' -f 2 pairs
bb date -u -d @86400 +%F
bb dc <<<'2 3 + p 10 * p'
bb dd if=text of=part bs=100 skip=3 count=5 conv=notrunc
same diff busybox diff pairs other
bb dirname /usr/lib/libc.so
bb dos2unix dos
bb du -s tree/sub/deep/leaf
bb echo -e 'a\tb\0101'
bb ed text <<'END'
5,7p
1,190d
w
q
END
bb egrep 'soft.are|licen[sc]e' text
bb env -i A=1 B=2
bb expand -t 4 text
bb expr 6 '*' 7
bb factor 1234567890 97 1000000007
bb fallocate -l 65536 big
same false busybox false
bb fgrep -c the text
bb find tree -name 'l*' -type f
bb fold -w 20 -s text
bb grep -n -i program text
bb gunzip -c text.gz
bb gzip -f text
bb head -n 3 text
bb hexdump -C text
bb id -u
bb ln pairs hard
bb ln -s pairs soft
bb ls -lRn tree
bb md5sum text pairs
bb mkdir -p x/y/z
bb mkfifo -m 640 fifo
bb mv text moved
bb nl text
bb od -A x -t x1 text
bb paste -d : pairs other
bb patch pairs <<'END'
--- pairs
+++ pairs
@@ -1,4 +1,4 @@
 b 2
-a 1
+a one
 c 3
 a 1
END
bb printf '%05d|%-5s|%x\n' 42 ab 255
bb pwd
bb readlink tree/link
bb realpath tree/link
bb rev pairs
bb rm -r tree
bb sed -n 's/program/PROGRAM/gp' text
bb seq -w 1 2 21
bb sh -c 'set -- a "b c"; echo $# "$2"; echo tree/*; read x <pairs; echo "$x" >new'
bb sh -c 'trap "" USR1; exec busybox sh -c "kill -USR1 \$\$; echo \$0 \$PWD"'
bb sha1sum text
bb sha256sum text
bb sha3sum text
bb sha512sum text
bb shred -u -n 1 pairs
bb sleep 0.01
bb sort -k 2n -r pairs
bb stat -c '%n %s %F %a' text tree tree/link
bb strings -n 8 text.gz
bb sync
bb tac pairs
bb tail -n 4 text
bb tail -c +8000 text
bb tar -tvf tree.tar
bb tar -xf tree.tar -C tree
bb tar -cf new.tar tree/sub
bb tee one two <<<'to all'
bb test -d tree -a -s text
bb touch -d '2020-01-02 03:04:05' text fresh
bb tr a-z A-Z <<<'upper case'
bb true
bb truncate -s 1M sparse
bb uname -s -m
bb unexpand -a <<<'        x       y'
bb uniq -c <<<$'a\na\nb'
bb unix2dos pairs
bb unlink pairs
bb unxz -c text.xz
bb uudecode -o decoded <<'END'
begin 644 hello
&:&5L;&\*
`
end
END
bb uuencode -m pairs name
bb usleep 1000
bb wc text pairs numbers
bb xxd text
bb xxd -r <<<'00000000: 6869 0a'
finish
