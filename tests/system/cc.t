#!/bin/bash
# `vauban cc` in the place of gcc and clang: the forms of its command line, what it refuses, what it leaves behind.
. "$(dirname "$0")/lib.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export XDG_CACHE_HOME=$work/cache TMPDIR=$work/tmp LC_ALL=C
mkdir -m 700 "$XDG_CACHE_HOME" "$TMPDIR"
cd "$work" || exit 1
mkdir src out
cat >src/a.c <<'C'
#include <stdio.h>
#include "b.h"
int main(int argc, char **argv)
{
	int sum = 0;
	for (int i = 0; i < 10 * argc; i++)
		sum += twice(i) ^ argc;
	printf("%d\n", sum);
	return 0;
}
C
echo 'int twice(int x);' >src/b.h
echo 'int twice(int x) { return x > 3 ? x * 2 : x + x; }' >src/b.c
cp src/* .
cc() { # cc ARGUMENTS...: with the back end of this round
	"$vauban" cc --cc "$back" --seed 7 "$@"
}
echo 'int main(void) { return 0; }' >plain.c
want=$(gcc a.c b.c -o plain && ./plain)
clean() { # clean NAME: no temporary file is left
	is "$(ls -A "$TMPDIR"; find . -name '*.vauban-*')" "" "$back: $1: nothing temporary is left"
}

for back in gcc clang; do
	real=gcc
	[ $back = gcc ] || real=clang-19
	out=$(cc -O2 a.c b.c -o prog 2>&1 && ./prog)
	is "$out" "$want" "$back: compiles and links at once"
	out=$(cc -O2 -c a.c && cc -O2 -c b.c -o out/b.o && cc a.o out/b.o -o prog && ./prog)
	is "$out" "$want" "$back: -c, with and without -o; objects are linked"
	out=$(cc -O2 -c a.c b.c && cc -o prog ./*.o && ./prog)
	is "$out" "$want" "$back: -c of several sources"
	out=$(cc -O1 -S a.c -o out/a.s && cc -S b.c && cc out/a.s b.s -o prog && ./prog)
	is "$out" "$want" "$back: -S, and its text as input"
	is "$(cc -E a.c | grep -c twice)" "$($real -E a.c | grep -c twice)" "$back: -E"
	is "$(cc -MM a.c)" "$($real -MM a.c)" "$back: -MM"
	out=$(cc -x c - -c -o out/stdin.o <a.c && cc out/stdin.o b.c -o prog && ./prog)
	is "$out" "$want" "$back: standard input"
	printf '%s\n' '-O2 "a.c"' "-o 'prog'" '@more' >args
	echo 'b.c' >more
	out=$(rm -f prog && cc @args && ./prog)
	is "$out" "$want" "$back: files of options"
	cc -shared -fPIC b.c -o libb.so && out=$(cc a.c -o prog -L. -lb -Wl,-rpath,"$work" && ./prog)
	is "$out" "$want" "$back: -shared"
	out=$(cc -c b.c && ar rcs libc1.a b.o && cc a.c libc1.a -static -o prog && ./prog)
	is "$out" "$want" "$back: an archive, -static"
	out=$(cc a.c b.c -static-pie -o prog && ./prog)
	is "$out" "$want" "$back: -static-pie"
	printf '.globl twice\ntwice: lea (%%rdi,%%rdi),%%eax\nret\n.section .note.GNU-stack\n' >twice.s
	printf '#define NAME twice\n.globl NAME\nNAME: lea (%%rdi,%%rdi),%%eax\nret\n.section .note.GNU-stack\n' >twice2.S
	is "$(cc a.c twice.s -o prog && ./prog) $(cc a.c twice2.S -o prog && ./prog)" "$want $want" "$back: assembly as input"
	is "$(cc -dumpmachine) $(cc -print-file-name=libc.a)" "$($real -dumpmachine) $($real -print-file-name=libc.a)" "$back: questions pass through"
	is "$(cc --version)" "$($real --version)" "$back: --version is the compiler's"
	for form in '-MD -c a.c -o out/x.y.o' '-MMD -MP -c a.c' '-MD -MF dep -MT target -c a.c -o out/o.o' '-MMD -MF dep -c src/a.c -o out/o.o' \
		'-MD a.c b.c -o out/prog' '-S -MD a.c -o out/z.s'; do
		rm -rf deps.real deps.ours ./*.d ./*.o ./dep out; mkdir out
		# shellcheck disable=SC2086
		$real $form && mkdir deps.real && find . -path ./deps.real -prune -o \( -name '*.d' -o -name dep \) -print -exec cp {} deps.real \; >names.real
		rm -rf ./*.d ./*.o ./dep out; mkdir out
		# shellcheck disable=SC2086
		cc $form && mkdir deps.ours && find . -path './deps.*' -prune -o \( -name '*.d' -o -name dep \) -print -exec cp {} deps.ours \; >names.ours
		out=$(diff names.real names.ours && diff -r deps.real deps.ours)
		result $? "$back: dependencies: $form" "$out"
	done
	clean "all forms"

	# --- errors ---
	echo 'int f(void) { return undeclared; }' >bad.c
	echo 'int f(void) { int unused; return 1; }' >warn.c
	rm -f bad.o
	theirs=$($real -c bad.c 2>&1) status=$?
	ours=$(cc -c bad.c 2>&1)
	is "$? $ours" "$status $theirs" "$back: an error is the compiler's, status too"
	ok "$back: no object after an error" test ! -e bad.o
	is "$(cc -Wall -c warn.c 2>&1; cc -Wall -c warn.c 2>&1)" "$($real -Wall -c warn.c 2>&1; $real -Wall -c warn.c 2>&1)" "$back: warnings come again from the store"
	like "$(cc -Wall -Werror -c warn.c 2>&1; echo "status $?")" 'status 1' "$back: -Werror"
	like "$(cc -c missing.c 2>&1)" '[Nn]o such file' "$back: a source that isn't there"
	like "$(cc a.c 2>&1 -o prog -lnothing; echo "status $?")" 'status 1' "$back: the linker's error"
	like "$(cc -flto -c a.c 2>&1)" '^vauban: cc: -flto: .*leave it out' "$back: -flto is refused"
	like "$(cc -m32 -c a.c 2>&1)" 'x86-64 only' "$back: -m32 is refused"
	like "$(cc -fuse-ld=bfd a.c b.c 2>&1)" 'only lld can shuffle' "$back: another linker is refused"
	ok "$back: it links by another linker if nothing is to be shuffled" cc -fuse-ld=bfd --no-functions --no-data a.c b.c -o prog
	echo 'void f(void) { __asm__("nonsense %eax"); }' >asm.c
	like "$(cc -c asm.c 2>&1; echo "status $?")" 'status 1' "$back: the assembler's error"
	ok "$back: no object after it" test ! -e asm.o
	echo '@loop' >loop
	like "$(cc @loop 2>&1)" 'too deeply' "$back: a file of options that names itself"
	ok "$back: -o /dev/null" cc -c a.c -o /dev/null
	ok "$back: /dev/null is still a device" test -c /dev/null
	is "$(cc -S b.c -o - | grep -c 'twice:')" 1 "$back: -o - to a pipe"
	if $real --coverage plain.c -o covered 2>/dev/null; then
		ok "$back: --coverage" eval 'cc --coverage a.c b.c -o prog && ./prog && test -e prog-a.gcno -a -e prog-a.gcda'
	else
		skip "$back: --coverage" "$real has no library for it here"
	fi
	rm -f ./*.gc??
	ok "$back: -pg" eval 'cc -pg a.c b.c -o prog && ./prog && test -e gmon.out'
	is "$(cc -g -O1 a.c b.c -o prog && gdb -batch -ex 'break twice' -ex run -ex bt ./prog 2>&1 | grep -c 'at a.c:7')" 1 "$back: -g: lines in a backtrace"
	clean "errors"

	# --- the same bytes ---
	for place in one two/three; do
		mkdir -p "$place"
		cp a.c b.c b.h "$place"
		(cd "$place" && for f in a b; do cc -O2 -g -ffile-prefix-map="$PWD"=. -c $f.c -o $f.o & done; wait; cc a.o b.o -o prog)
	done
	ok "$back: the same bytes in two folders" cmp one/prog two/three/prog
	ok "$back: and without the store" eval 'cd one && cc --store-size 0 -O2 -g -ffile-prefix-map="$PWD"=. a.c -c -o a2.o && cmp a.o a2.o'
	cc --seed 8 -O2 -c a.c -o out/8.o
	ok "$back: another seed, other bytes" eval '! cmp -s one/a.o out/8.o'
	rm -rf one two
done

# --- ours ---
back=gcc
like "$("$vauban" cc -c a.c 2>&1)" 'give --seed N' "without a seed it says what to do"
like "$("$vauban" cc --seed x -c a.c 2>&1)" 'wants a number' "a seed that is no number"
like "$("$vauban" cc --cc tcc --seed 1 -c a.c 2>&1)" 'wants gcc, clang' "another compiler"
like "$(PATH=/nowhere "$vauban" cc --cc clang --seed 1 -c a.c 2>&1)" 'install the Debian package clang-19' "a missing compiler: which package has it"
like "$("$vauban" cc --seed 1 --structs -c a.c 2>&1)" 'needs --cc clang' "--structs needs clang"
like "$("$vauban" c++ --seed 1 --cc clang --structs -c a.c 2>&1)" 'for C' "--structs is for C"
cat >structs.c <<'E2'
#define _GNU_SOURCE
#include <stdio.h>
struct ops { void (*a)(void); void (*b)(void); void (*c)(void); void (*d)(void); void (*e)(void); void (*f)(void); };
static ssize_t put(void *cookie, const char *data, size_t n) { printf("%.*s", (int)n, data); return n; }
int main(void)
{
	FILE *f = fopencookie(NULL, "w", (cookie_io_functions_t){.write = put});
	fprintf(f, "%zu", __builtin_offsetof(struct ops, a));
	fclose(f);
}
E2
for seed in 1 2 3 4 5 6; do
	"$vauban" cc --seed $seed --cc clang --structs -o structs structs.c && ./structs && echo
done >structs.out
is "$(wc -l <structs.out)" 6 "--structs keeps the C library's structures"
is "$([ "$(sort -u structs.out | wc -l)" -gt 1 ] && echo differ)" differ "and reorders those of the program"
like "$("$vauban" cc --seed 1 --libc musl --libc-source "$work" -c a.c 2>&1)" 'there is no musl in it' "--libc-source without musl"
like "$("$vauban" c++ --seed 1 --libc musl p.cpp 2>&1)" 'is for C' "--libc musl is for C"
like "$(cc -ffixed-r15 -c a.c 2>&1)" 'add --no-registers' "-ffixed-REG is refused"
like "$("$vauban" cc --help)" '--nop-rate' "--help is ours"
ln -s "$vauban" vauban-cc
ln -s "$vauban" vauban-c++
echo 'int main() { return sizeof(bool) - 1; }' >p.cpp
ok "it works by the name of a link" eval './vauban-cc --seed 3 a.c b.c -o prog && ./prog'
ok "vauban-c++ compiles C++" eval 'VAUBAN_CC="--seed 3" ./vauban-c++ p.cpp -o prog && ./prog'
like "$(VAUBAN_CC='--seed 3 nonsense' ./vauban-cc -c a.c 2>&1)" 'VAUBAN_CC: nonsense' "nonsense in VAUBAN_CC"
ok "a linker's option of our option's name stays the linker's" cc a.c b.c -Xlinker --map -Xlinker=x -o prog --version

# --- the store ---
entries() { find "$XDG_CACHE_HOME/vauban/variants" -type f | sort; }
rm -rf "$XDG_CACHE_HOME/vauban"
cc -O2 -c a.c && first=$(entries)
is "$(wc -l <<<"$first")" 1 "the store has one entry after one compilation"
cc --seed 8 -O2 -c a.c
is "$(entries)" "$first" "another seed uses it"
cc -O1 -c a.c && cc -O2 -DX=1 -c a.c
is "$(entries | wc -l)" 2 "another option is another entry; one that changes nothing in the source is not"
printf broken | dd of="$first" bs=1 seek=200 conv=notrunc 2>/dev/null
ok "a damaged entry is made anew" eval 'cc -O2 -c a.c -o out/again.o && cc --store-size 0 -O2 -c a.c -o out/none.o && cmp out/again.o out/none.o'
for n in $(seq 60); do echo "int f$n(void) { return $n; } char s$n[] = \"$(head -c 3000 /dev/zero | tr '\0' x)\";" >"n$n.c"; done
cc --store "$work/small" --store-size 1M -c n*.c
result $(($(du -sk small | cut -f1) > 1024 + 260)) "the store stays below its size" "$(du -sk small)"
rm -f n*.c n*.o
chmod 777 small
like "$(cc --store "$work/small" -c a.c 2>&1)" 'nobody else can write' "a store that others can write to is refused"

# --- full disks and sudden ends ---
rm -f a.o
like "$( (trap '' XFSZ; ulimit -f 1; cc -O2 -c a.c -o a.o) 2>&1; test -e a.o && echo half)" '.' "a full disk is an error"
ok "no half-written object is left" test ! -e a.o
if mkdir full && mount -t tmpfs -o size=64k,mode=700 tmpfs full 2>/dev/null; then
	head -c 100000 /dev/zero >full/filler 2>/dev/null
	ok "a store on a full disk is no failure" cc --store full -O2 -c a.c -o full.o
	cc -O2 -c a.c -o full/a.o 2>/dev/null
	result $(($? == 0)) "an object on a full disk is one"
	ok "and none is left" test ! -e full/a.o
	umount full
else
	skip "full file system" "needs the right to mount"
fi
rm -rf "$XDG_CACHE_HOME/vauban"
for n in $(seq 12); do sed "s/twice/twice$n/g" b.c >"k$n.c"; cc --store-size 0 -O2 -c "k$n.c" -o "k$n.want"; done
for round in 1 2 3; do
	for n in $(seq 12); do cc -O2 -c "k$n.c" -o "k$n.o" 2>/dev/null & pids[n]=$!; done
	for n in $(seq 1 2 12); do kill -9 "${pids[n]}" 2>/dev/null; done
	wait
done 2>/dev/null
bad=
for n in $(seq 12); do
	[ ! -e "k$n.o" ] || cmp -s "k$n.o" "k$n.want" || bad+=" k$n.o"
	cc -O2 -c "k$n.c" -o "k$n.o" && cmp -s "k$n.o" "k$n.want" || bad+=" again:k$n.o"
done
is "$bad" "" "kill -9 in the midst of parallel builds leaves whole objects and a sound store"
rm -rf "${TMPDIR:?}"/* k*.vauban-*

mkfifo fifo
cat >slow <<'S'
#!/bin/bash
echo "$$" >"$PIDFILE"
exec sleep 100
S
chmod +x slow
cp slow slow-gcc
# A shell's background jobs ignore ^C, and so would the driver.
PIDFILE=$work/pid env --default-signal=INT "$vauban" cc --cc "$work/slow-gcc" --seed 1 -O2 -c a.c -o stopped.o &
driver=$!
eventually "a compiler runs" test -s pid
kill -INT $driver
wait $driver 2>/dev/null
is "$?" 130 "^C ends it as a signal does"
eventually "^C ends the compiler" eval '! kill -0 $(cat pid)'
clean "^C"
exit $failed
