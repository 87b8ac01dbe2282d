#!/bin/bash
# `vauban demap`: what crashes in variants is told apart from nothing else, and looks as in the plain build; debuggers read variants.
. "$(dirname "$0")/lib.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
export XDG_CACHE_HOME=$work/cache

cat >crash.c <<'END'
#include <execinfo.h>
#include <stdio.h>
#include <stdlib.h>
static void show(void)
{
	void *at[32];
	backtrace_symbols_fd(at, backtrace(at, 32), 2);
}
__attribute__((noinline)) int inner(int *p, int how)
{
	if (how == 2)
		show();
	if (how == 3)
		abort();
	return *p + 1;
}
__attribute__((noinline)) int middle(int x, int how)
{
	int r = 0;
	for (int i = 0; i < x; i++)
		r += inner(x > 6 && i == 5 ? NULL : &x, i == 4 ? how : 0);
	printf("%d\n", r);
	return r;
}
static int compare(const void *a, const void *b) { return middle(*(int *)a, 1) - *(int *)b; }
int main(int argc, char **argv)
{
	int v[3] = {argc > 1 ? atoi(argv[1]) : 3, 2, 1};
	if (argc > 2)
		return middle(5, atoi(argv[2])) < 0;
	qsort(v, 3, sizeof(int), compare);
	return middle(argc + 5, 0) < 0;
}
END
mkdir -p set/plain
"$vauban" cc --plain --seed 1 --map -O2 -g1 -rdynamic crash.c -o set/plain/crash 2>errors
result $? "the plain build" "$(cat errors)"
for seed in 1 2 3; do
	mkdir -p set/$seed
	"$vauban" cc --seed $seed --map -O2 -g1 -rdynamic crash.c -o set/$seed/crash 2>errors
	result $? "variant $seed" "$(cat errors)"
done
for variant in plain 1 2 3; do
	[ -e set/$variant/crash.map ] || objcopy --dump-section .vauban.map=set/$variant/crash.map set/$variant/crash set/$variant/stripped &&
		mv set/$variant/stripped set/$variant/crash
done

# --- addresses ---
address() { nm "set/$1/crash" | sed -n "s/ [tT] $2\$//p"; }
for function in inner middle main compare; do
	is "$("$vauban" demap --json set 2 "$(address 2 $function)" | jq -r '.[0] | "\(.match) \(.function)"')" "exact $function" "$function is found"
done
is "$("$vauban" demap set 2 "$(address 2 middle)" | grep -o 'is 0x[0-9a-f]*')" "is 0x$(address plain middle | sed 's/^0*//')" "at its address of the plain build"
like "$("$vauban" demap set 2 "$(address 2 middle)")" 'middle\+0x0 at crash.c:[0-9]+' "with its line"
"$vauban" demap set 2 fffff >out
is $? 1 "an address of nothing"
like "$(cat out)" "not in the variant's code" "is said to be that"
# The instructions of main in a variant are those of the plain build, each of them.
instructions() { objdump -d --no-show-raw-insn "set/$1/crash" | awk '/<main>:/ { on = 1; next } /^$/ { on = 0 } on && !/\t(nop|data16|cs nop|xchg +%ax,%ax|int3)/ { sub(":", "", $1); print $1 }'; }
# shellcheck disable=SC2046
"$vauban" demap --json set 3 $(instructions 3) | jq -r '.[] | select(.match == "exact" and .function == "main").address' | xargs printf '%x\n' | sort -u >there
ok "main has instructions" [ "$(instructions plain | wc -l)" -gt 20 ]
is "$(comm -13 there <(instructions plain | sort))" "" "each of them is found in a variant"

# --- gdb, core files ---
backtrace() { # backtrace VARIANT: and a core file
	(ulimit -c 0; gdb -nx -q -batch -iex 'set debuginfod enabled off' -ex 'set print frame-arguments none' -ex 'run 9' -ex backtrace \
		-ex "generate-core-file core.$1" "set/$1/crash") 2>&1 | grep '^#'
}
top() { sed 's/^#0 *\(0x[0-9a-f]* in \)\?/#0 /'; } # gdb leaves the address out where a line starts
for variant in plain 1 2 3; do
	backtrace $variant >bt.$variant
done
like "$(tr '\n' ' ' <bt.1)" '#0 +inner .* at crash.c:15.* in middle .* at crash.c:21.* in compare .* in main ' "gdb shows the right functions and lines in a variant"
for variant in 1 2 3; do
	is "$("$vauban" demap set $variant --backtrace bt.$variant | top)" "$(top <bt.plain)" "gdb's backtrace of variant $variant becomes the plain build's"
	"$vauban" demap --json set $variant --core core.$variant >core.$variant.json
	is "$(jq -r '[.threads[0].frames[] | .function | select(. == "inner" or . == "middle" or . == "compare" or . == "main")] | join(" ")' core.$variant.json)" \
		"inner middle compare main" "the frames of variant $variant's core file"
	is "$(jq -r '.threads[0].frames[] | select(.function == "inner") | "\(.match) \(.file):\(.line)"' core.$variant.json)" "exact crash.c:15" "where it crashed"
done
"$vauban" demap --json --variant set/plain/crash --plain set/plain/crash --core core.plain >core.plain.json
is "$(jq -r '.signal, .group' core.1.json core.2.json core.3.json core.plain.json | sort -u | wc -l)" 2 "one signal, one group for all"
is "$(jq -c '[.threads[0].frames[] | select(.match == "exact") | .address]' core.[123p]*.json | sort -u | wc -l)" 1 "the same addresses"
# clang's tables have no index, and its variants other instructions where slots of the stack moved.
for variant in plain 4; do
	"$vauban" cc --cc clang $([ $variant = plain ] && echo --plain) --seed 4 --map -O2 -g1 crash.c -o clang.$variant 2>errors || cat errors
	gdb -nx -q -batch -iex 'set debuginfod enabled off' -ex 'run 9' -ex "generate-core-file core.clang.$variant" ./clang.$variant >/dev/null 2>&1
	"$vauban" demap --json --variant clang.$variant --plain clang.plain --core core.clang.$variant |
		jq -r '.group, (.threads[0].frames[] | select(.file) | "\(.function) \(.file):\(.line)")' >clang.$variant.out
done
is "$(cat clang.4.out)" "$(cat clang.plain.out)" "clang's variant crashes as its plain build"
like "$(tr '\n' ' ' <clang.4.out)" 'inner crash.c:15 middle crash.c:21 compare crash.c:25 main crash.c:31 ' "with lines"
# Another crash is another group.
gdb -nx -q -batch -iex 'set debuginfod enabled off' -ex 'run 1 3' -ex 'generate-core-file core.other' set/2/crash >/dev/null 2>&1
"$vauban" demap --json set 2 --core core.other >other.json
is "$(jq -r .signal other.json)" 6 "another signal"
ok "another group" [ "$(jq -r .group other.json)" != "$(jq -r .group core.1.json)" ]
# Of a cell.
{ "$vauban" run --core . set/2/crash 9; } >/dev/null 2>&1
is "$("$vauban" demap --json set 2 --core core.crash.1 | jq -r '"\(.signal) \(.threads[0].frames[0].function)"')" "11 inner" "a core file of a cell"

# --- texts ---
glibc() { "set/$1/crash" 1 2 2>&1 >/dev/null | grep crash | grep -v _start; }
is "$(glibc 3 | "$vauban" demap set 3 --backtrace - | grep -o 'crash([a-z]*+0x[0-9a-f]*)')" "$(glibc plain | grep -o 'crash([a-z]*+0x[0-9a-f]*)')" "glibc's backtrace()"
for variant in plain 1; do
	"$vauban" cc $([ $variant = plain ] && echo --plain) --seed 1 --map -O1 -g -fsanitize=address crash.c -o asan.$variant 2>errors || cat errors
	ASAN_OPTIONS=detect_leaks=0 ./asan.$variant 9 2>&1 | grep -E '^ +#[0-9]+ .* (inner|middle|compare|main) ' >sanitized.$variant
done
frames() { sed 's/0x[0-9a-f]*\([0-9a-f]\{3\}\) /\1 /'; } # without the base
is "$("$vauban" demap --variant asan.1 --plain asan.plain --backtrace sanitized.1 | frames)" "$(frames <sanitized.plain)" "a sanitizer's report"
ok "which has frames" [ "$(wc -l <sanitized.plain)" = 4 ]

# --- what was only shuffled ---
gcc -O1 -ffunction-sections crash.c -Wl,--emit-relocs -o linked && "$vauban" shuffle linked --seed 5 -o linked.5 --quiet
like "$("$vauban" demap --variant linked.5 --plain linked "$(nm linked.5 | sed -n 's/ T middle$//p')" 2>errors)" \
	"is 0x$(nm linked | sed -n 's/^0*\(.*\) T middle$/\1/p') middle\+0x0 \(likely\)" "by symbols, without maps"
like "$(cat errors)" 'has no map' "... which is said"

# --- what is refused ---
like "$("$vauban" demap set 9 401000 2>&1)" "can't read set/9" "a seed that isn't in the set"
like "$("$vauban" demap set 2 hello 2>&1)" 'no hexadecimal address' "no address"
like "$("$vauban" demap set 2 2>&1)" 'give addresses' "nothing to do"
like "$("$vauban" demap set 2 --core crash.c 2>&1)" 'no core file' "no core file"
like "$("$vauban" demap --variant set/2/crash 1 2>&1)" 'both --variant and --plain' "half of a pair"
head -c 50 set/2/crash.map >short.map
like "$("$vauban" demap --variant short.map --plain set/plain/crash 1000 2>&1)" 'the map is broken at offset' "a broken map"
finish
