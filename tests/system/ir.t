#!/bin/bash
# vauban-ir: parameters change places where only one file can know; the slots of a frame are shuffled and padded, buffers stay above the rest, the stack protector sees what it saw before,
# and what must stay as it is does.
. "$(dirname "$0")/lib.sh"
ir=$(dirname "$vauban")/vauban-ir
clang=clang-19
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1

variant() { # variant SEED OUT FLAG... SOURCE: a program, by the two halves of clang and vauban-ir between
	local seed=$1 out=$2
	shift 2
	$clang "$@" -emit-llvm -c -o "$out.bc" &&
		{ [ "$seed" = plain ] || "$ir" --level full --seed "$seed" "$out.bc" "$out.bc"; } &&
		$clang "${@:1:$#-1}" -Xclang -disable-llvm-passes "$out.bc" -o "$out"
}
packed() { # packed FILE.ll [OPTION]...: what becomes of it, as text
	llvm-as-19 "$1" -o in.bc && "$ir" --level full --seed 1 "${@:2}" in.bc out.bc && llvm-dis-19 out.bc -o -
}

# --- places ---
cat >places.c <<'E2'
#include <stdint.h>
#include <stdio.h>
struct mixed { long number; char text[12]; };
__attribute__((noinline)) void see(void *p) { __asm__ volatile("" : : "r"(p) : "memory"); }
/* "NAME ADDRESS" for each variable, relative to the first buffer */
#define SHOW(v) (see(&v), printf("%s %ld\n", #v, (long)((uintptr_t)&v - (uintptr_t)a)))
__attribute__((noinline)) int places(int n)
{
	char a[24], b[40];
	int c[5];
	struct mixed d;
	int w = n;
	long x = n;
	void *y = a;
	short z = (short)n;
	_Alignas(64) int v = n;
	SHOW(a); SHOW(b); SHOW(c); SHOW(d); SHOW(w); SHOW(x); SHOW(y); SHOW(z); SHOW(v);
	return ((uintptr_t)&v & 63) || w + x + z + v != 4 * n || y != a;
}
int main(void) { return places(3); }
E2
for o in -O0 -O2 '-O2 -fstack-protector-strong'; do
	: >seen
	above=0 right=0
	for seed in 1 2 3 4 5 6; do
		# shellcheck disable=SC2086
		variant $seed places $o places.c && ./places >out && right=$((right + 1))
		tr '\n' ' ' <out >>seen
		echo >>seen
		low=$(grep '^[a-d] ' out | sort -nk2 | head -1 | cut -d' ' -f2)
		[ "$(grep '^[v-z] ' out | sort -nk2 | tail -1 | cut -d' ' -f2)" -lt "$low" ] && above=$((above + 1))
	done
	is $right 6 "$o: variants work"
	is $above 6 "$o: buffers lie above scalars"
	for v in b c d w x y z; do
		[ "$(grep -o " $v -\?[0-9]*" seen | sort -u | wc -l)" -ge 3 ] || echo "$v"
	done >same
	is "$(cat same)" "" "$o: each slot's distance to another one differs by seed"
done
variant 6 places -O2 -fstack-protector-strong places.c && cp places.bc again.bc
mkdir elsewhere && cp places.c elsewhere
(cd elsewhere && variant 6 places -O2 -fstack-protector-strong places.c)
ok "the same seed gives the same bytes in another directory" cmp again.bc elsewhere/places.bc
variant 6 places -O2 -fstack-protector-strong places.c && "$ir" --seed 6 --no-stack places.bc none.bc && "$ir" --seed 7 --plain places.bc plain.bc
ok "--no-stack and --plain change nothing" cmp none.bc plain.bc
$clang -O2 -emit-llvm -c places.c -o in.bc
sed 's/((noinline)) int/((noinline, section(".text.vauban_plain"))) int/' places.c >opted.c
$clang -O2 -emit-llvm -c opted.c -o in.bc && "$ir" --seed 1 in.bc out.bc
is "$(llvm-dis-19 in.bc -o - | grep -c alloca)" "$(llvm-dis-19 out.bc -o - | grep -c alloca)" "a function may opt out"

# --- the guard ---
cat >smash.c <<'E2'
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
__attribute__((noinline)) void see(void *p) { __asm__ volatile("" : : "r"(p) : "memory"); }
__attribute__((noinline)) void smash(int which, unsigned bytes)
{
	long one = 1, two = 2;
	char a[8], b[100], c[33];
	struct { void *p; char text[16]; } d;
	short e[4];
	void *to[] = {a, b, c, d.text, e};
	see(&one), see(&two), see(to), see(&d), see(e), see(a), see(b), see(c);
	memset(to[which], 0x41, bytes);
	see(&one), see(&two);
	if (one != 1 || two != 2)
		_exit(3);
}
int main(int argc, char **argv)
{
	smash(atoi(argv[1]), (unsigned)atoi(argv[2]));
	return 0;
}
E2
for o in -O0 -O2; do
	for seed in 1 2 3; do
		variant $seed smash $o -fstack-protector-strong smash.c
		for which in 0 1 2 3 4; do
			./smash $which 8 >/dev/null 2>&1 || echo "seed $seed buffer $which: in bounds failed"
			(exec ./smash $which 600) >/dev/null 2>&1 # SIGABRT by the guard; 3: an overflow reached a scalar
			[ $? = 134 ] || echo "seed $seed buffer $which: not caught"
		done
	done >bad 2>/dev/null
	is "$(cat bad)" "" "$o: an overflow of any buffer is caught, and reaches no scalar"
done
cat >guard.c <<'E2'
void use(void *);
int array(void) { short a[2]; use(a); return a[0]; }
int taken(void) { int a; use(&a); return a; }
int beyond(void) { volatile long b = 1, c = 2, d = 3, e = 4; int a = 1; ((volatile int *)&a)[1] = 2; return a; }
int wide(void) { volatile long b = 1, c = 2, d = 3, e = 4; int a = 1; return (int)*(volatile long *)&a; }
int nothing(void) { volatile int a = 1, b = 2; return a + b; }
int two(int n) { char k[9]; int r = 0; use(k); if (n) { char a[500]; use(a); r = a[2]; } else { char b[500]; int c; use(b); use(&c); r = b[3] + c; } return r; }
E2
guarded() { # which functions have a guard
	awk '/^[a-z]+:/ { name = $1 } /__stack_chk_fail/ { print name }' "$1" | sort -u | tr '\n' ' '
}
for level in '-O0 -fstack-protector' '-O0 -fstack-protector-strong' '-O2 -fstack-protector-strong' '-O1 -fstack-protector-all'; do
	# shellcheck disable=SC2086
	for name in guard variant; do
		$clang $level -w -emit-llvm -c guard.c -o $name.bc
		[ $name = guard ] || "$ir" --seed 3 $name.bc $name.bc
		$clang $level -Xclang -disable-llvm-passes -S $name.bc -o $name.s
	done
	is "$(guarded variant.s)" "$(guarded guard.s)" "$level guards the functions that it guarded"
done
$clang -O1 -w -fstack-protector-strong -emit-llvm -c guard.c -o guard.bc && "$ir" --seed 3 guard.bc out.bc
$clang -O1 -w -fstack-protector-strong -fstack-usage -Xclang -disable-llvm-passes -c out.bc -o two.o
is "$(awk '/two/ { print ($2 < 900) }' two.su)" 1 "buffers that are never in use at once share their place"
is "$(llvm-dis-19 out.bc -o - | awk '/@two/,/^}/' | grep -c 'alloca <{')" 2 "what is left goes into a struct of buffers and one of the rest"

# --- constructs ---
cat >constructs.c <<'E2'
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
static jmp_buf env;
static int depth(int n) { volatile int here[3] = {n, n + 1, n + 2}; return n ? depth(n - 1) + here[1] : here[2]; }
static int jump(int n)
{
	volatile int kept = n;
	char text[20] = "before";
	if (setjmp(env) == 0) {
		kept = 7;
		strcpy(text, "after");
		longjmp(env, 1);
	}
	return kept + (int)strlen(text);
}
static int dynamic(int n)
{
	int vla[n], sum = 0;
	char fixed[16];
	memset(fixed, n, sizeof(fixed));
	for (int i = 0; i < n; i++)
		vla[i] = i;
	for (int i = 0; i < n; i++) {
		char *more = __builtin_alloca(16);
		memcpy(more, fixed, 16);
		sum += vla[i] + more[3];
	}
	return sum;
}
static int choose(int n)
{
	int a = 1, b = 2, *p = &a;
	switch (n) {
	case 3: case 4: case 9: p = &b; break;
	case 5: break;
	default: p = n > 10 ? &a : &b;
	}
	__asm__ volatile("incl %0" : "+m"(*p));
	return *p + a * 10 + b * 100;
}
struct big { char text[200]; int n; };
static struct big by_value(struct big b) { b.n++; b.text[0] = 'x'; return b; }
int main(int argc, char **argv)
{
	struct big b = {"hello", argc};
	struct big c = by_value(b);
	for (int i = 0; i < 12; i++)
		printf("%d ", choose(i));
	printf("%d %d %d %d %s %d\n", depth(20), jump(argc), dynamic(9), b.n, c.text, c.n);
	return 0;
}
E2
cat >throws.cc <<'E2'
#include <cstdio>
#include <stdexcept>
#include <string>
struct guard { int *n; ~guard() { ++*n; } };
__attribute__((noinline)) int check(int n) { if (n > 2) throw std::runtime_error("too much"); return n; }
int main(int argc, char **)
{
	int destroyed = 0, sum = 0;
	for (int i = 0; i < 5; i++) {
		try {
			guard g{&destroyed};
			char text[30];
			std::string s(text, (std::size_t)snprintf(text, sizeof(text), "%d", check(i)));
			sum += std::stoi(s);
		} catch (const std::exception &e) {
			sum += 100;
		}
	}
	std::printf("%d %d\n", destroyed, sum);
}
E2
for o in -O0 '-O1 -g' -O2 '-Os -fstack-protector-strong' '-O0 -g -fsanitize=undefined -fsanitize-trap=undefined'; do
	# shellcheck disable=SC2086
	variant plain plain -w $o constructs.c
	./plain >want
	for seed in 1 2; do
		# shellcheck disable=SC2086
		variant $seed made -w $o constructs.c && ./made | cmp -s - want || echo "seed $seed"
	done >bad 2>&1
	is "$(cat bad)" "" "$o: setjmp, recursion, dynamic slots, inline assembly, values in memory"
done
for o in -O0 -O2; do
	# shellcheck disable=SC2086
	$clang $o -emit-llvm -c throws.cc -o throws.bc && "$ir" --seed 5 throws.bc out.bc && clang++-19 $o -Xclang -disable-llvm-passes out.bc -o throws
	is "$(./throws)" "5 203" "$o: C++ exceptions"
done
variant 3 debug -O0 -g constructs.c
is "$(gdb -q -batch -ex 'break dynamic' -ex run -ex 'break 27' -ex continue -ex 'print fixed[3]' -ex 'print vla[1]' -ex 'print sum' ./debug 2>/dev/null | sed -n 's/^\$[0-9] = //p' | tr '\n' ' ')" \
	"9 '\\t' 1 0 " "gdb prints shuffled variables"

# --- what must stay apart ---
cat >apart.ll <<'E2'
target triple = "x86_64-pc-linux-gnu"
declare void @use(ptr)
declare void @fails(ptr swifterror)
declare i64 @llvm.objectsize.i64.p0(ptr, i1, i1, i1)
declare void @llvm.lifetime.start.p0(i64, ptr)
declare void @llvm.lifetime.end.p0(i64, ptr)
define void @swift() { %a = alloca swifterror ptr
  %b = alloca i64
  store ptr null, ptr %a
  call void @fails(ptr swifterror %a)
  call void @use(ptr %b)
  ret void }
define i64 @size(ptr %p, i1 %c) { %a = alloca [8 x i8]
  %b = alloca [80 x i8]
  %q = select i1 %c, ptr %a, ptr %p
  call void @use(ptr %b)
  %n = call i64 @llvm.objectsize.i64.p0(ptr %q, i1 0, i1 1, i1 1)
  ret i64 %n }
define void @lives(i1 %c) { %a = alloca [8 x i8]
  %b = alloca [80 x i8]
  call void @llvm.lifetime.start.p0(i64 8, ptr %a)
  %p = getelementptr i8, ptr %b, i64 0
  call void @llvm.lifetime.start.p0(i64 80, ptr %p)
  call void @use(ptr %a)
  call void @llvm.lifetime.end.p0(i64 8, ptr %a)
  call void @llvm.lifetime.end.p0(i64 80, ptr %p)
  ret void }
define void @grows(i64 %n) { %a = alloca i8, i64 %n
  %b = alloca i32, i64 3
  %e = alloca {}
  call void @use(ptr %a)
  call void @use(ptr %b)
  call void @use(ptr %e)
  ret void }
define ptr @many(i32 %n) {
entry:
  %a = alloca i32
  %b = alloca i32
  call void @use(ptr %a)
  switch i32 %n, label %end [ i32 1, label %end
    i32 2, label %end
    i32 3, label %other ]
other:
  call void @use(ptr %b)
  br label %end
end:
  %p = phi ptr [ %a, %entry ], [ %a, %entry ], [ %a, %entry ], [ %b, %other ]
  ret ptr %p }
E2
out=$(packed apart.ll)
result $? "hand-written modules stay valid" "$out"
of() { awk "/^define.*@$1\\(/,/^}/" <<<"$out"; }
like "$(of swift)" 'alloca swifterror ptr' "swifterror slots stay"
is "$(of size | grep -c '<{')" 0 "a function whose object sizes are not known yet is left alone"
is "$(of lives | grep -c lifetime)" 0 "no lifetime marker is left of a struct"
like "$(of grows)" 'alloca i8, i64 %' "dynamic slots stay"
like "$(of grows)" 'alloca <\{.*\[3 x i32\]' "a fixed number of elements is packed"
is "$(of many | grep -c 'alloca')" 1 "phis of one block with several edges"

# --- parameters ---
cat >calls.c <<'E2'
#include <stdarg.h>
#include <stdio.h>
#define OWN static __attribute__((noinline))
struct big { long a[5]; };
OWN long mixed(int a, long b, char c, double d, float e, short g, void *h, int i) { return a + b * 2 + c * 3 + (long)(d * 4) + (long)(e * 5) + g * 6 + !!h * 7 + i * 8; }
OWN int again(int a, long b) { return a ? again(a - 1, b + 1) * 2 : (int)b; }
OWN long whole(struct big b, int i, char c) { return b.a[i] + c; }
OWN int pointed(int a, long b) { return a - (int)b; }
OWN int many(int n, int k, ...) { va_list l; va_start(l, k); int r = n - k; while (n--) r += va_arg(l, int); va_end(l); return r; }
OWN int jumps(int n, long m) { static void *const to[] = {&&a, &&b}; goto *to[n & 1]; a: return (int)m; b: return n; }
int (*volatile pointer)(int, long) = pointed;
int main(int argc, char **argv)
{
	struct big b = {{1, 2, 3, 4, 5}};
	printf("%ld %d %ld %d %d %d\n", mixed(argc, argc + 1, (char)(argc + 2), argc + 3, argc + 4, (short)(argc + 5), argv[argc], argc + 7), again(argc + 3, 2), whole(b, argc, 'x'), pointer(9, 4) + pointed(3, 1), many(2, 1, 5, argc), jumps(argc, 7));
	return 0;
}
E2
signature() { # signature FUNCTION: its parameters' types
	llvm-dis-19 made.bc -o - | sed -n "s/^define.*@$1(\(.*\)) .*{.*/\1/p" | sed 's/ noundef//g; s/ signext//g; s/ %[0-9a-z]*//g; s/ #.*//'
}
for o in -O0 '-O2 -g'; do
	# shellcheck disable=SC2086
	variant plain made $o -w calls.c
	./made >want
	for f in mixed again whole pointed many jumps; do signature $f >"was.$f"; : >"is.$f"; done
	for seed in 1 2 3 4 5 6; do
		# shellcheck disable=SC2086
		variant $seed made $o -w calls.c && ./made | cmp -s - want || echo "seed $seed"
		for f in mixed again whole pointed many jumps; do signature $f >>"is.$f"; done
	done >bad 2>&1
	is "$(cat bad)" "" "$o: parameters in another order work"
	[ "$(sort -u is.mixed | wc -l)" -ge 4 ] && [ "$(sort -u is.again | wc -l)" = 2 ]
	result $? "$o: the order differs by seed" "$(sort -u is.mixed)"
	for f in whole pointed many jumps; do
		is "$(sort -u is.$f)" "$(cat was.$f)" "$o: $f keeps its order"
	done
done
cat >tied.ll <<'E2'
target triple = "x86_64-pc-linux-gnu"
declare void @use(ptr)
define internal i32 @end(i32 %a, i64 %b) { ret i32 %a }
define i32 @tail(i32 %a, i64 %b) { %r = musttail call i32 @end(i32 %a, i64 %b)
  ret i32 %r }
define internal void @result(ptr sret(i64) %p, i32 %a) { store i64 1, ptr %p
  ret void }
define internal ptr @room(i32 %a, i64 %b) allocsize(1) { ret ptr null }
define void @calls() { %p = alloca i64
  call void @result(ptr sret(i64) %p, i32 1)
  %q = call ptr @room(i32 1, i64 2)
  call void @use(ptr %q)
  ret void }
E2
is "$(packed tied.ll | grep -cE '^define.*@(end\(i32 %a, i64 %b|result\(ptr sret|room\(i32 %a)')" 3 "a musttail callee, a result in memory and allocsize keep their order"
# --- errors ---
fails() { # fails STATUS PATTERN NAME ARGUMENT...
	local status=$1 pattern=$2 name=$3 out
	shift 3
	out=$("$ir" "$@" 2>&1)
	is $? "$status" "$name"
	like "$out" "$pattern" "$name: says why"
}
echo text >text
head -c 700 places.bc >cut
fails 1 'text: .*bitcode' "no bitcode" text out.bc
fails 1 '^vauban-ir: cut: ' "half of a file" cut out.bc
fails 1 'nowhere: No such file' "no input" nowhere out.bc
fails 1 'nowhere/out.bc: No such file' "no place for the output" places.bc nowhere/out.bc
fails 2 'seed wants a number' "a bad seed" --seed x places.bc out.bc
fails 2 'usage' "too few files" places.bc
rm -f out.bc
(ulimit -f 1 && trap '' XFSZ && exec "$ir" places.bc out.bc) 2>msg
is $? 1 "a full disk"
is "$(ls out.bc* 2>/dev/null)" "" "leaves nothing behind"
finish
