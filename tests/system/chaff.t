#!/bin/bash
# Chaff: the proofs refuse what does harm (on assembly written by hand, one change each), and the way from sources to proved bugs.
. "$(dirname "$0")/lib.sh"
bin=$(dirname "$vauban")
chaff=$bin/vauban-chaff

plan() { # plan KIND SIZE: one bug, number 1
	cat <<-END
		{"chaff-plan": 1, "binaries": [], "bugs": [{"id": 1, "kind": "$1", "module": "f.c", "function": "f", "hash": "0x1", "load": 0,
		"input": "/dev/null", "window": [0, 1, 2, 3, 4, 5, 6, 7], "trigger": [[1, 170], [2, 187], [3, 204], [4, 221]], "compare": "bytes", "branches": 0,
		"size": $2, "buffer": 8, "copy": "index", "multiplier": "0x1", "rotate": 0, "constraint": "bits", "scale": "0x18",
		"constant": "0x8000000000000000"}]}
	END
}

# What injected code looks like; each line has a name that a change refers to.
note='.macro note kind
.Lnote\@:
	.pushsection .vauban.chaff,"",@progbits
	.quad .Lnote\@
	.long 1
	.long \kind
	.popsection
.endm
	.section .text.f,"ax",@progbits
	.globl f
	.type f, @function
f:	push %rbx
	sub $0x60, %rsp
	mov %rdi, %rax
	nop # before
	note 0
	and $-8, %rax # window
	cmpb $0xaa, 1(%rax) # first
	jne .Lend
	cmpb $0xbb, 2(%rax)
	jne .Lend
	mov (%rax), %rcx
	note 1'
end='.Lend:
	note 2
	mov 8(%rsp), %rax # after
	add $0x60, %rsp
	pop %rbx
	ret
	.size f, .-f'
stack_unused="$note
	lea 16(%rsp), %rdx # memory
	mov %rcx, %rsi
	shr \$59, %rsi # index
	movb %cl, (%rdx,%rsi) # store
$end"
stack_write="$note
	lea 16(%rsp), %rdx
	mov %rdx, 24(%rdx)
	mov %rcx, %rsi
	shr \$59, %rsi
	movb %cl, (%rdx,%rsi)
	mov 24(%rdx), %rdx
	btr \$62, %rdx # clear
	bts \$63, %rdx # set
	mov %rcx, (%rdx) # store
$end"
stack_call=${stack_write/'mov %rcx, (%rdx) # store'/'call *%rdx # store'}
heap_unused="$note
	mov %rcx, %rbx
	mov \$32, %edi # size
	call malloc
	test %rax, %rax
	je .Lend # null
	mov %rbx, %rsi
	shr \$59, %rsi
	movb %bl, (%rax,%rsi) # store
	mov %rax, %rdi # free
	call free
	nop # freed
$end"

prove() { # prove KIND ASSEMBLY: what vauban-chaff says
	plan "$1" 32 >plan
	as -o f.o <<<"$2"$'\n' && "$chaff" prove f.o plan 2>&1
}

proved() { # proved KIND ASSEMBLY NAME
	local out
	out=$(prove "$1" "$2")
	is "$?/$out" 0/ "$3"
}

refused() { # refused KIND ASSEMBLY OLD NEW REASON: the line that ends in `# OLD` replaced by NEW
	local out changed
	changed=$(sed "s/[^	]* # $3\$/$4/" <<<"$2")
	[ "$changed" != "$2" ] || result 1 "$1: there is a line $3"
	out=$(prove "$1" "$changed")
	like "$?/$out" "^3/.*not proved: .*$5" "$1: refused: ${4//;*}: $5"
}

proved stack-unused "$stack_unused" "a bug on the stack is proved"
proved stack-write "$stack_write" "a write to no address is proved"
proved stack-call "$stack_call" "a call of no address is proved"
proved heap-unused "$heap_unused" "a bug in the heap is proved"

refused stack-unused "$stack_unused" index 'shr $58, %rsi' 'store .* may go anywhere'
refused stack-unused "$stack_unused" index 'sar $59, %rsi' 'store .* may go anywhere'
refused stack-unused "$stack_unused" index 'nop' 'store .* may go anywhere'
refused stack-unused "$stack_unused" store 'movb %cl, 1(%rdx,%rsi)' 'store .* may go anywhere'
refused stack-unused "$stack_unused" store 'movw %cx, (%rdx,%rsi)' 'store .* may go anywhere'
refused stack-unused "$stack_unused" store 'movb %cl, (%rcx)' 'store .* may go anywhere'
refused stack-unused "$stack_unused" store 'mov %rcx, 28(%rdx)' 'beyond the bug.s memory'
refused stack-unused "$stack_unused" store 'mov %rcx, 0x68(%rsp)' 'outside of the frame'
refused stack-unused "$stack_unused" store 'rep stosb' "isn't understood"
refused stack-unused "$stack_unused" store 'syscall' "isn't understood"
refused stack-unused "$stack_unused" store 'jmp *%rcx' "isn't understood"
refused stack-unused "$stack_unused" store 'call g' 'call .* may do anything'
refused stack-unused "$stack_unused" store 'call *%rcx' 'call .* may do anything'
refused stack-unused "$stack_unused" store 'ret' "isn't understood"
refused stack-unused "$stack_unused" store '1: inc %rsi; jmp 1b' 'too many steps'
refused stack-unused "$stack_unused" memory 'lea 0x44(%rsp), %rdx' 'is used at'
refused stack-unused "$stack_unused" memory 'lea 0x60(%rsp), %rdx' "caller's frame"
refused stack-unused "$stack_unused" memory 'lea (%rcx), %rdx' "can't be told"
refused stack-unused "$stack_unused" memory 'lea -0x100(%rsp), %rdx' 'below the stack'
refused stack-unused "$stack_unused" memory 'mov %rcx, %rdx' 'does not say where'
refused stack-unused "$stack_unused" after 'mov 16(%rsp), %rax' 'is used at'
refused stack-unused "$stack_unused" after 'mov 41(%rsp), %rax' 'is used at'
refused stack-unused "$stack_unused" after 'lea 24(%rsp), %rax' 'is used at'
refused stack-unused "$stack_unused" after 'mov %rsp, %rax; add $20, %rax; mov (%rax), %rax' 'is used at'
refused stack-unused "$stack_unused" after 'mov 20(%rsp,%rdi), %rax' 'is used at'
refused stack-unused "$stack_unused" after 'sub %rdi, %rsp' 'stack pointer is unknown'
refused stack-unused "$stack_unused" window 'and $-16, %rax' 'no bug starts'
refused stack-unused "$stack_unused" window 'and $-8, %eax' 'no bug starts'
refused stack-unused "$stack_unused" first 'cmpb $0xaa, 8(%rax)' 'load .* may go anywhere'
refused stack-unused "$stack_unused" first 'cmpb $0xaa, (%rdi)' 'load .* may go anywhere'
refused stack-unused "${stack_unused/'mov (%rax), %rcx'/'.Lmiddle: mov (%rax), %rcx'}" before 'js .Lmiddle' 'leads into the middle'
refused stack-write "$stack_write" clear 'nop' 'store .* may go anywhere'
refused stack-write "$stack_write" set 'nop' 'store .* may go anywhere'
refused stack-write "$stack_write" set 'bts $47, %rdx' 'store .* may go anywhere'
refused stack-write "$stack_write" store 'mov %rcx, (%rdx,%rdx)' 'store .* may go anywhere'
refused stack-call "$stack_call" clear 'nop' 'call .* may do anything'
refused stack-call "$stack_call" store 'mov %rcx, (%rdx)' 'store .* may go anywhere'
refused stack-unused "$stack_call" set 'nop' 'call .* may do anything'
refused heap-unused "$heap_unused" size 'mov $31, %edi' 'another size'
refused heap-unused "$heap_unused" size 'mov %rcx, %rdi' 'another size'
refused heap-unused "$heap_unused" null 'nop' 'store .* may go anywhere'
refused heap-unused "$heap_unused" store 'movb %bl, -1(%rax,%rsi)' 'store .* may go anywhere'
refused heap-unused "$heap_unused" free 'mov %rsp, %rdi' 'free something else'
refused heap-unused "$heap_unused" freed 'call free' 'call .* may do anything'
refused heap-unused "$heap_unused" freed 'movb $1, (%rax)' 'store .* may go anywhere'

# --- from sources to proved bugs
cat >reader.c <<'END'
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
struct record { int kind; unsigned stamp, owner; char note[20]; };
static unsigned long sum;
__attribute__((noinline)) static void keep(const struct record *r) { sum += r->stamp ^ r->owner; }
__attribute__((noinline)) static void copy(char *to, const struct record *r) { for (int i = 0; i < 20; i++) to[i] = r->note[i]; }
int main(int argc, char **argv)
{
	struct record *r = malloc(sizeof(*r));
	char text[24] = "";
	FILE *f = fopen(argv[1], "rb");
	if (argc < 2 || !f || !r)
		return 2;
	while (fread(r, sizeof(*r), 1, f) == 1) {
		if (r->kind == 1)
			keep(r);
		else if (r->kind == 2)
			copy(text, r);
	}
	printf("%lu %.20s\n", sum, text);
	return 0;
}
END
for i in 1 2 1 2; do
	printf "\\$i\\0\\0\\0abcdefghijklmnopqrstuvwxyz12"
done >sample
cc() { "$vauban" cc --cc clang --store "$PWD/store" "$@"; }
ok "a program is built to be traced" cc --chaff-trace -O1 reader.c -o traced
ok "and traced" "$chaff" trace --input sample -o trace -- ./traced sample
is "$(grep -P '^used\t' trace | cut -f 2 | tr '\n' ' ')" "0 1 2 3 32 33 34 35 64 65 66 67 96 97 98 99 " "only the kinds decide branches"
like "$("$chaff" plan -n 12 --seed 3 --each 4 -o quiet.plan trace)" '^12 bugs' "bugs are chosen"
ok "and injected" cc --seed 7 --chaff 12 --chaff-plan quiet.plan -O1 reader.c -o quiet
like "$("$chaff" verify quiet quiet.plan | tail -1)" '^(1[0-2]|[5-9]) of \1 proved' "they are proved on the binary"
like "$("$chaff" trigger quiet.plan ./quiet {} | tail -1)" '^([0-9]+) of \1 triggered' "each can be triggered"
is "$("$chaff" trigger quiet.plan ./quiet {} | grep -c 'ended by')" 0 "without --supervised none crashes"
is "$(readelf -SW quiet | grep -c vauban)" 0 "no note is left in the binary"
is "$(./quiet sample)" "$(./traced sample)" "the program does what it did"
ok "a benign input triggers nothing" "$chaff" watch quiet.plan ./quiet sample
"$chaff" plan -n 12 --seed 4 --each 4 --supervised -o loud.plan trace >/dev/null
ok "with all transformations and kinds" cc --seed 8 --level full --chaff 12 --chaff-plan loud.plan --supervised -O2 reader.c -o loud
ok "all are proved" "$chaff" verify loud loud.plan
strip loud
like "$("$chaff" trigger loud.plan ./loud {})" 'ended by SIGSEGV' "some crash, also when stripped"
cc --seed 8 --chaff 12 --chaff-plan loud.plan -O2 reader.c -o unsupervised
is "$("$chaff" trigger loud.plan ./unsupervised {} | grep -c 'ended by')" 0 "kinds that crash need --supervised"
like "$("$chaff" verify quiet loud.plan 2>&1)" "doesn't know this code" "a binary of another plan"
cp quiet broken
printf '\x90' | dd of=broken bs=1 seek=$((0x$(readelf -SW quiet | sed -n 's/.* \.text *PROGBITS *[0-9a-f]* \([0-9a-f]*\) .*/\1/p'))) conv=notrunc 2>/dev/null
like "$("$chaff" verify broken quiet.plan 2>&1)" "doesn't know this code" "a binary that was changed"
like "$(cc --seed 8 --chaff 12 -O2 reader.c -o x 2>&1)" 'wants --chaff-plan' "no plan"
like "$("$vauban" cc --cc gcc --seed 8 --chaff 12 --chaff-plan quiet.plan -O2 reader.c -o x 2>&1)" 'needs --cc clang' "gcc can't"
like "$(cc --seed 8 --chaff 12 --chaff-plan nowhere -O2 reader.c -o x 2>&1)" 'nowhere: No such file' "a plan that isn't there"
like "$(cc --seed 8 --chaff 12 --chaff-plan quiet.plan -s -O2 reader.c -o x 2>&1)" "strip afterwards" "linked without symbols: refused"
is "$(ls x 2>&1)" "ls: cannot access 'x': No such file or directory" "nothing is left then"

# --- bad plans
"$chaff" verify f.o nowhere >out 2>&1
is "$?" 1 "a plan that isn't there"
like "$(cat out)" 'nowhere: No such file' "says so"
for change in 's/"size": 32/"size": 33/' 's/\[1, 170\]/[8, 170]/' 's/"kind": "stack-unused"/"kind": "x"/' 's/"chaff-plan": 1/"chaff-plan": 2/' 's/0x18/18/' 's/"bytes"/"word"/;s/\[4, 221/[5, 221/' 's/"load": 0/"load": -1/' 's/"bugs": \[/"bugs": [[],/'; do
	plan stack-unused 32 | sed "$change" >bad
	like "$("$chaff" verify f.o bad 2>&1)" 'no plan of .*bad or missing' "a bad plan: $change"
done
for change in 's/^place/plaice/' '1d' 's/^window\t./window\tx/' 's/^used\t/used\t-/' 's/^place.*/place\ta/' '/^place/d'; do
	printf 'vauban-chaff-trace 1\ninput\t/dev/null\nbytes\t8\nused\t0\t1\nplace\tf.c\tf\tabc\t0\t1\nwindow\t0\t1\t0\t1\t2\t3\t4\t5\t6\t7\n' >trace
	ok "a trace is taken" "$chaff" plan -n 1 -o good trace
	sed -i "$change" trace
	like "$("$chaff" plan -n 1 -o good trace 2>&1)" 'no trace of' "a bad trace: $change"
done
is "$(stat -c %a good)" 600 "a plan is for its owner alone"

finish
