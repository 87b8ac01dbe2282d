#!/bin/bash
# Programs of GNU coreutils, natively and in a cell: the same.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/same.inc"
cd "$same_files" || exit 1
seq 1 2000 | tac >numbers
head -n 200 /usr/share/common-licenses/GPL-3 >text
printf 'b 2\na 1\nc 3\na 1\n' >pairs
printf 'a x\nb y\nd z\n' >other
mkdir -p tree/sub/deep
echo leaf >tree/sub/deep/leaf
ln -s sub/deep/leaf tree/link
ln tree/sub/deep/leaf tree/hard
ln -s /nowhere tree/dangling
chmod 700 tree/sub
head -c 300000 /dev/zero | openssl enc -aes-128-ctr -K 0f -iv 0f 2>/dev/null >noise
md5sum text pairs >sums
touch -d '2021-02-03 04:05:06.789' numbers text pairs other noise sums tree/sub/deep/leaf tree/sub/deep tree/sub tree
touch -h -d '2021-02-03 04:05:06.789' tree/link tree/dangling
cd "$same_home" || exit 1
it() { # it COMMAND...: works
	works "$*" "$@"
}
fails() { # fails COMMAND...: the same way
	same "fails: $*" "$@"
	[ "$(cat "$same_home/native.status")" != "status 0" ] || result 1 "$1 fails natively"
}

it arch
it b2sum text noise
it base32 pairs
it base64 -w 40 noise
it base64 -d <<<aGVsbG8K
it basename -a -s .c x/a.c b.c
it basenc --z85 <<<abc
it cat -A text
it cat text - pairs <<<'from standard input'
it chgrp "$(id -g)" text
it chmod -Rv a-w,u+x tree
it chown -h "$(id -u):$(id -g)" tree/link
it cksum text noise
it cksum -a sha256 text
it comm other other
it cp -a tree copy
it cp -av tree/sub copy # one name a folder: cp goes through names in the order of inode numbers
it cp --sparse=always noise copy
it cp -al tree copy
it cp -st . /etc/hostname
it csplit text '/Preamble/' %TERMS%
it cut -c 1-10,20- text
it cut -d ' ' -f 2 --complement pairs
it date -d '2024-02-29 12:34:56.123456789 +0100' '+%s %N %A %j %c'
it date -r text -R
it dd if=noise of=part bs=1000 skip=3 seek=2 count=5 status=none
it dd if=noise bs=64K iflag=fullblock conv=swab status=none
it dd if=text of=numbers oflag=append conv=notrunc status=none
it dir -C
it dircolors -p
it dirname a/b/c /x y
it du -b --apparent-size -a tree
it echo -e 'a\tb\x41'
it env -i A=1 B=2 /usr/bin/env
it env -C tree -u HOME X=3 env env -0
it expand -t 4 <<<$'a\tb'
it expr length abc : 3 '|' 0
it expr 12345678901234567890 '*' 98765432109876543210
it factor 1234567890 18446744073709551557
it fmt -w 40 text
it fold -s -w 30 text
it groups
it head -c -9000 text
it head -n 3 text pairs
it id
it id -Gn root
it install -D -m 640 -p text a/b/installed
it join other pairs --nocheck-order
it link text linked
it ln -s text soft
it ln -rs tree/sub/deep/leaf tree/sub/relative
it ls
it ls -la --full-time --color=always tree
it ls -lRU1 tree/sub
it ls -1F --group-directories-first . tree
it md5sum -c sums
it mkdir -pvm 750 x/y/z
it mkfifo -m 600 fifo
it mv -v text tree/moved
it mv -v tree renamed
it mv -bv pairs other
[ "$(nice)" != 0 ] || it nice -n 5 nice -n 3 nice # a cell begins at 0, whoever ran the tests may not
it nl -ba text
it nohup nohup --version
it numfmt --to=iec 1000000 1048576
it od -A d -t x8f4 -w24 noise
it paste -sd, numbers
it paste pairs other
it pathchk -p some/path
it pr -2 -l 40 -h title text
it printenv HOME LC_ALL
it printf '%05d|%-8s|%q|%e|%b\n' 42 ab "it's" 1.5 'x\ty'
it ptx -w 60 pairs
it pwd
it readlink -f tree/link
it readlink -v tree/dangling
it realpath --relative-to=tree tree/link
it rm -rv tree
it rmdir -p --ignore-fail-on-non-empty tree
it seq -w 8 .5 11
it sha1sum noise
it sha224sum noise
it sha256sum noise
it sha384sum noise
it sha512sum noise
it shred -x -n 1 -z pairs
it shuf --random-source=noise numbers
it shuf -e -n 2 --random-source=noise a b c d
it sleep 0.02
it sort -n numbers
it sort -S 20K --parallel=2 -R --random-source=noise numbers
it sort -k 2,2n -k 1,1 -u pairs
it sort -m -o pairs pairs other
it split -n 3 -d noise part.
it split -l 700 --additional-suffix=.txt numbers
it stat -c '%n %s %F %A %U %h %b %B %y' text tree/link tree/hard tree/sub
it stat -L -c '%n %s %F' tree/link
it stty --version
it sum noise
it sync text
it sync
it tac -s ' ' text
it tail -n 4 text
it tail -c 100 numbers
it tail -n +190 text
it tee one two <<<'to all'
it test -d tree -a -L tree/link -a text -nt /nonexistent
it '[' text -ef tree/../text ']'
it touch -d '2020-01-02 03:04:05' text fresh
it touch -hr text tree/link
it tr -dc 'a-z\n' <<<'drop 123 CAPITALS'
it tr -s '[:upper:]' '[:lower:]' <<<'LLAMA'
it true
it truncate -s 5M sparse
it truncate -r text numbers
it tsort <<<$'a b\nb c\na c'
it uname -s -m -o
it unexpand -a <<<'        x       y'
it uniq -cd <<<$'a\na\nb'
it unlink pairs
it vdir tree
it wc -lwcmL text pairs numbers
it whoami
it yes --version
it timeout --version
fails cat nonexistent tree text
fails chmod +x nonexistent
fails cp tree copy
fails date -d nonsense
fails dd if=/nonexistent
fails expr 1 / 0
fails false
fails head -n x text
fails ln text pairs
fails ls nonexistent
fails ls --nonsense
fails mkdir tree tree/x/y
fails mv nonexistent text
fails mv tree tree/sub
fails readlink text
fails rm nonexistent tree
fails rmdir tree
fails sort nonexistent
fails stat nonexistent
fails touch nonexistent/x
fails truncate -s 1X text
fails tty
fails unlink tree
finish
