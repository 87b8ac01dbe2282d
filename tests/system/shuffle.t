#!/bin/bash
# `vauban shuffle`: programs linked in several ways do the same in another order, exceptions and backtraces included; what can't be
# shuffled is refused.
. "$(dirname "$0")/lib.sh"
zlib=$(realpath "$(dirname "$0")/../../deps/zlib")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1

cat >sample.cc <<'END'
#include <cstdio>
#include <cstdlib>
#include <map>
#include <stdexcept>
#include <string>
#include <thread>
struct base { virtual ~base() {} virtual int f(int x) = 0; };
struct one : base { int f(int x) override { if (x > 3) throw std::runtime_error("one " + std::to_string(x)); return x; } };
struct two : base { int f(int x) override { return x * 2; } };
static thread_local int counter = 5;
thread_local std::string words = "tls";
struct guard { const char *n; guard(const char *s) : n(s) {} ~guard() { printf("~%s\n", n); } };
__attribute__((noinline)) int deep(base &b, int n) { guard g("deep"); return n ? deep(b, n - 1) + 1 : b.f(7); }
__attribute__((noinline)) int choose(int x)
{
	switch (x) {
	case 0: return 10;
	case 1: return counter;
	case 2: return 77;
	case 3: puts("three"); return 3;
	case 4: return choose(x - 1);
	case 5: throw x;
	case 6: return 4;
	case 7: return 9;
	default: return -1;
	}
}
__attribute__((noinline, noclone)) int label(int x)
{
	static void *const table[] = {&&a, &&b, &&c};
	goto *table[x % 3];
a:	return 1;
b:	return 22;
c:	return 333;
}
static int compare(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }
int (base::*member)(int) = &base::f;
__attribute__((constructor)) static void constructed() { puts("constructed"); }
int main(int argc, char **argv)
{
	one o;
	two t;
	int v[] = {5, 3, 9, 1};
	qsort(v, 4, sizeof *v, compare);
	try { deep(o, 4); } catch (const std::exception &e) { printf("caught %s\n", e.what()); }
	printf("%d %d %d\n", deep(t, 2), (t.*member)(4), v[0]);
	for (int i = 0; i < 9; i++)
		try { printf("%d ", choose(i)); } catch (int x) { printf("int %d ", x); }
	printf("%d %d %d\n", label(0), label(1), label(2));
	std::thread thread([] {
		counter = 9, words += "x";
		try { throw std::string("thread"); } catch (std::string &s) { printf("%s %d %s\n", s.c_str(), counter, words.c_str()); }
	});
	thread.join();
	std::map<std::string, int (*)(int)> m{{"choose", choose}, {"label", label}};
	for (auto &p : m)
		printf("%s %d\n", p.first.c_str(), p.second(2));
	if (argc > 1) /* falls over */
		return *(volatile int *)(argv[2]);
	return counter;
}
END
same() { # same NAME PROGRAM SEED...: shuffled, it prints what it did
	local name=$1 program=$2 seed want got wrong=
	shift 2
	want=$("./$program" 2>&1; echo "$?")
	for seed; do
		"$vauban" shuffle "$program" --seed "$seed" -o "$program.$seed" --quiet 2>>errors || wrong+=" $seed: $(tail -1 errors)"
		got=$(timeout 100 "./$program.$seed" 2>&1; echo "$?")
		[ "$got" = "$want" ] || wrong+=" $seed: ${got: -100}"
		cmp -s "$program" "$program.$seed" && wrong+=" $seed: nothing moved"
	done
	is "$wrong" "" "$name"
}

g++ -O2 -g -ffunction-sections -c sample.cc -o pie.o && g++ -Os -g -fno-pie -ffunction-sections -c sample.cc -o fixed.o &&
	clang++-19 -O2 -g -w -ffunction-sections -c sample.cc -o clang.o
result $? "samples are compiled"
g++ -Wl,--emit-relocs pie.o -o gnu -pthread && same "g++, GNU ld" gnu 1 2 3
g++ -Wl,--emit-relocs -B/usr/lib/llvm-19/bin -fuse-ld=lld pie.o -o lld -pthread && same "g++, lld" lld 1 2 3
g++ -no-pie -Wl,--emit-relocs fixed.o -o fixed -pthread && same "at fixed addresses, -Os" fixed 1 2 3
g++ -static -Wl,--emit-relocs fixed.o -o static -pthread && same "with glibc and libstdc++ inside" static 1 2
g++ -static-pie -Wl,--emit-relocs -fuse-ld=lld -B/usr/lib/llvm-19/bin pie.o -o static_pie -pthread && same "and position independent, lld" static_pie 1 2
clang++-19 -Wl,--emit-relocs -fuse-ld=lld -Wl,-z,pack-relative-relocs clang.o -o clang -pthread && same "clang++, packed relocations" clang 1 2 3
cp gnu.1 again
same "shuffled again" again 4 5

# --- a program with a test of its own ---
if [ -f "$zlib/zlib.h" ]; then
	for f in adler32 compress crc32 deflate gzclose gzlib gzread gzwrite infback inffast inflate inftrees trees uncompr zutil; do
		gcc -O1 -w -D_GNU_SOURCE -DHAVE_UNISTD_H -ffunction-sections -I"$zlib" -c "$zlib/$f.c" -o "z-$f.o" || break
	done
	gcc -O1 -w -ffunction-sections -I"$zlib" "$zlib/test/example.c" z-*.o -Wl,--emit-relocs -o example &&
		gcc -O1 -w -ffunction-sections -I"$zlib" "$zlib/test/minigzip.c" z-*.o -Wl,--emit-relocs -fuse-ld=lld -B/usr/lib/llvm-19/bin -o minigzip
	result $? "zlib is built"
	same "zlib's example" example 1 2 3 4 5
	wrong=
	for seed in 1 2 3; do
		"$vauban" shuffle minigzip --seed $seed -o minigzip.$seed --quiet
		./minigzip.$seed <minigzip | ./minigzip -d | cmp -s - minigzip && ./minigzip -9 <minigzip | ./minigzip.$seed -d | cmp -s - minigzip || wrong+=" $seed"
	done
	is "$wrong" "" "minigzip packs and unpacks"
else
	skip "zlib's own tests" "deps/zlib is missing: tools/sources deps zlib"
fi

# --- what the order is ---
"$vauban" shuffle gnu --seed 1 -o once 2>said
like "$(cat said)" '[0-9]+ functions or groups of functions moved, of [0-9]+' "says how much moved"
cmp once gnu.1 && "$vauban" shuffle gnu --seed 1 -o twice --quiet && cmp once twice
result $? "the same seed gives the same bytes"
is "$("$vauban" measure --json gnu gnu.1 gnu.2 | jq '.survivors.address.mean < 0.1')" true "few gadgets stay where they were"
moved=$(comm -3 <(nm gnu | grep ' [tT] ' | sort) <(nm gnu.1 | grep ' [tT] ' | sort) | wc -l)
ok "functions have moved: $moved" [ "$moved" -gt 20 ]
is "$(readelf -n gnu | grep -c "$(readelf -n gnu.1 | sed -n 's/.*Build ID: //p')")" 0 "another identity"

# --- debuggers ---
backtrace() {
	gdb -nx -q -batch -iex 'set debuginfod enabled off' -ex 'break one::f' -ex run -ex 'backtrace' -ex 'info line choose' "./$1" 2>&1 |
		sed -n '/^#/{s/0x[0-9a-f]* in //;s/=0x[0-9a-f]*//g;p};s/^\(Line [0-9]* of [^ ]*\) .*/\1/p'
}
like "$(backtrace gnu)" '#1 .*deep' "gdb shows a backtrace"
is "$(backtrace gnu.2)" "$(backtrace gnu)" "and the same of the shuffled program"
is "$(backtrace clang.1)" "$(backtrace clang)" "as of clang's"
for f in gnu.3 fixed.1; do
	readelf --debug-dump=frames,aranges,decodedline "$f" 2>warnings >/dev/null
	is "$(head -3 warnings)" "" "tables of $f hold together"
done

# --- what is refused ---
refused() { # refused NAME PATTERN PROGRAM
	local out
	out=$("$vauban" shuffle "$3" --seed 1 -o refused 2>&1)
	is $? 1 "$1 is refused"
	like "$out" "$2" "... with the reason"
	ok "... and leaves nothing behind" [ ! -e refused ]
}
strip -o stripped gnu
refused "a stripped program" 'stripped: .*before .strip.' stripped
g++ pie.o -o without -pthread
refused "a program without relocations" 'link it with -Wl,--emit-relocs' without
refused "an object file" 'an object file' pie.o
printf '.globl main\n.type main,@function\nmain: jmp 1f\n.byte 0x06,0x06\n1: ret\n.type other,@function\nother: ret\n' >data.s
gcc -Wa,--noexecstack data.s -o data -Wl,--emit-relocs
refused "data among code" 'main.* is no code' data
gcc -O1 -gz -g -ffunction-sections -xc - -Wl,--emit-relocs -Wl,--compress-debug-sections=zlib -o packed <<<'int f(int x) { return x; } int main(int c, char **v) { return f(c); }'
refused "packed debugging information" 'compress-debug-sections=none' packed
for cut in 100 3000 20000; do
	head -c $cut gnu >short
	refused "a program cut to $cut bytes" 'short: ' short
done
like "$("$vauban" shuffle gnu -o x 2>&1)" 'give a seed' "no seed"
like "$("$vauban" shuffle gnu --seed -1 -o x 2>&1)" 'below 2.64' "a bad seed"
like "$("$vauban" shuffle gnu --seed 1 2>&1)" '-o FILE' "no output"
like "$("$vauban" shuffle gnu --seed 1 -o /nowhere/x 2>&1)" "can't write /nowhere/x: No such" "a folder that isn't there"
finish
