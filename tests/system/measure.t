#!/bin/bash
# `vauban measure`: the scanner against ROPgadget, the counts against what is known of the files, and the forms of output.
. "$(dirname "$0")/lib.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1

# A program with some code of its own and some of musl's.
cat >program.c <<'END'
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
__attribute__((noinline)) int one(int x) { return x * 3 + getenv("HOME")[0]; }
__attribute__((noinline)) int two(const char *s) { return (int)strlen(s) + one(2); }
static int compare(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }
int main(int argc, char **argv)
{
	int numbers[4] = {argc, 7, 3, 2};
	qsort(numbers, 4, sizeof(int), compare);
	printf("%d %d %f\n", numbers[0], two(argv[0]), strtod(argv[0], NULL));
	return 0;
}
END
link() { # link OUT OPTION...
	local out=$1
	shift
	musl-gcc -O2 -static -ffunction-sections -B/usr/lib/llvm-19/bin -fuse-ld=lld "$@" program.c -o "$out" 2>>link.log
}
link plain && link a '-Wl,--shuffle-sections=.text*=1' && link b '-Wl,--shuffle-sections=.text*=2' && link c '-Wl,--shuffle-sections=.text*=3' &&
	link d '-Wl,--shuffle-sections=.text*=4' && link e '-Wl,--shuffle-sections=.text*=5'
result $? "samples are linked" "$(cat link.log)"

# --- the scanner ---
if command -v ROPgadget >/dev/null; then
	"$vauban" measure --list a >own.out
	ROPgadget --binary a --all --dump --depth 76 >theirs.out # 5 instructions have at most 61 bytes in front of the last one's end
	# Theirs brought to our definition: at most 5 instructions, no direct jump at the end, nothing that can't be run through before it.
	awk -F' // ' '/^0x/ {
		split($1, part, " : ")
		k = split(part[2], at, " ; ")
		if (k > 5 || at[k] ~ /^(bnd |notrack )?(jmp|call) (-?0x|[0-9])/) next
		for (i = 1; i < k; i++)
			if (at[i] ~ /^(bnd |notrack |rep |repne )?(l?call|l?jmp|j[a-z]+|loop[a-z]*|xbegin|int[0-9o]?|ud2b?|hlt|cli|sti|in|out|ins[bwd]|outs[bwd]|iretd?q?|sysret|sysexit|swapgs|wrmsr|rdmsr|l[gil]dt|ltr|lmsw|clts|invd|wbinvd|invlpg)( |$)/) next
		print part[1], k, $2 }' theirs.out | sort -u >theirs
	awk '{ print $1, $2, $3 }' own.out | sort >own
	found=$(wc -l <theirs)
	ok "ROPgadget finds gadgets" [ "$found" -gt 500 ]
	is "$(comm -23 theirs own | head -20)" "" "each gadget of ROPgadget is one of ours"
	# What it misses: iret, far jumps and calls, operands relative to rip or with an index, [rsp + x] (a "$" in its patterns),
	# prefixes but 41 and f2, and matches that overlap. None of its plain patterns is among them.
	sort own.out | awk 'NR == FNR { known[$1 " " $2 " " $3]; next } !(($1 " " $2 " " $3) in known) { print substr($3, length($3) - 2 * $4 + 1) }' theirs - >missed
	is "$(grep -cxE '(f2)?c3|0f05|0f34|cd80|(41)?ff([de][0-7]|[12][0-3]|[12][67])' missed)" 0 "none of ours with a common terminator is unknown to ROPgadget"
	ok "the rest is few: $(wc -l <missed) beside $found" [ "$(($(wc -l <missed) * 10))" -lt "$found" ]
else
	skip "the scanner agrees with ROPgadget" "python3-ropgadget is not installed"
fi

# --- what survives ---
mean() { jq -r ".survivors.$1.mean * 100000 | round" "${2:-out.json}"; }
cp a same
"$vauban" measure --json a same >out.json
is "$(mean address) $(mean symbol) $(mean anywhere) $(mean effect)" "100000 100000 100000 100000" "all survive in a copy"
"$vauban" measure --json --plain plain --functions 5 a b c d e >out.json
is "$(jq '.variants | length' out.json)" 5 "five variants"
ok "shuffling leaves few at their address" [ "$(mean address)" -lt 20000 ]
ok "and most relative to the symbol" [ "$(mean symbol)" -gt 70000 ]
ok "in five variants are as many as in two, or fewer" jq -e '[.survivors | del(.places)[] | .in_at_least[1] >= .in_at_least[4] and .in_at_least[0] >= .in_at_least[1]] | all' out.json
is "$(jq '.survivors.symbol.pairs[0][0]' out.json)" null "no variant is compared with itself"
ok "text hardly grows by shuffling" jq -e '[.variants[].growth | fabs < 0.01] | all' out.json
ok "functions that keep most gadgets" jq -e '.functions | length == 5 and .[0].survivors >= .[4].survivors' out.json
# Binaries small enough to count by hand.
gadget() { # gadget OUT INSTRUCTIONS: a program of one function
	printf '.globl _start\n.type _start,@function\n_start: %s\n' "$2" >"$1.s"
	gcc -c "$1.s" -o "$1.o" && ld "$1.o" -o "$1"
}
gadget k1 'pop %rax; ret; pop %rbx; ret' && gadget k2 'pop %rax; ret; nop; pop %rbx; nop; ret' && gadget k3 'nop; pop %rax; ret; pop %rbx; ret'
"$vauban" measure --json k1 k2 >out.json
is "$(jq -c '[.variants[0].useful, .variants[1].useful]' out.json)" "[2,4]" "gadgets of use, counted by hand"
is "$(mean address) $(mean symbol) $(mean anywhere) $(mean effect)" "37500 37500 37500 100000" "survivors, counted by hand"
"$vauban" measure --json k1 k3 >out.json
is "$(mean address) $(mean anywhere)" "0 83333" "moved by one byte, nothing is where it was"

# --- output ---
like "$("$vauban" measure --plain plain a b c)" 'relative to the symbol +[0-9.]+%' "a table"
"$vauban" measure --plot plot.svg a b c >/dev/null
ok "a plot that is well-formed" python3 -c 'import xml.dom.minidom; d = xml.dom.minidom.parse("plot.svg"); assert len(d.getElementsByTagName("rect")) > 9'
"$vauban" measure --plot plot.png --plotted anywhere a b c >/dev/null
like "$(file plot.png; python3 -c 'import struct, zlib; b = open("plot.png", "rb").read(); n = struct.unpack(">I", b[33:37])[0]; print(len(set(zlib.decompress(b[41:41 + n]))))')" \
	'PNG image data, [0-9]+ x [0-9]+, 8-bit/color RGB' "and as PNG"
strip -o stripped a
like "$("$vauban" measure stripped b 2>&1)" 'stripped is stripped: .* before .strip.' "a stripped file is named"

# --- what is refused ---
like "$("$vauban" measure a 2>&1)" 'name two variants' "one file"
like "$("$vauban" measure a program.c 2>&1)" 'program.c: not an ELF file' "no ELF file"
like "$("$vauban" measure a k1.o 2>&1)" 'k1.o: an object file' "an object file"
like "$("$vauban" measure a nothing 2>&1)" "can't read nothing: No such file" "no file"
like "$("$vauban" measure --plot x.gif a b 2>&1)" '\.svg or \.png' "another format"
like "$("$vauban" measure --depth 1 a b 2>&1)" '--depth is a number from 2' "a bad depth"
for n in 70 500 4000; do
	head -c $n a >short
	timeout 100 "$vauban" measure short a >/dev/null 2>short.err
	is $? 1 "cut to $n bytes: $(cat short.err)"
done
finish
