#!/bin/bash
# Booby traps: an int3 that a program runs into outside of a debugger is reported.
. "$(dirname "$0")/lib.sh"
if ! command -v gcc jq >/dev/null; then
	echo "1..0 # SKIP needs gcc and jq"
	exit 0
fi
work=$(mktemp -d) cell=traps-$$
trap '"$vauban" kill $cell >/dev/null 2>&1; "$vauban" rm $cell >/dev/null 2>&1; rm -rf "$work"' EXIT
cat >"$work/trap.c" <<'END'
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
__attribute__((noinline, noclone)) static void gap(void) { __asm__ volatile(".globl the_trap\nthe_trap: int3"); }
static void caught(int sig) { (void)sig; }
int main(int argc, char **argv)
{
	(void)argv;
	if (argc > 1)
		signal(SIGTRAP, caught);
	if (argc < 3)
		gap();
	puts("went on");
	fflush(stdout);
	if (argc > 1)
		pause();
	return 0;
}
END
gcc -O1 -static -no-pie "$work/trap.c" -o "$work/trap"
address=$(nm "$work/trap" | awk '$3 == "the_trap" { sub(/^0+/, "", $1); print $1 }')
timeout -k 1 100 "$vauban" run -d --name $cell "$work/trap" >/dev/null 2>&1
eventually "the program ends" eval '[ "$(field $cell .state)" = exited ]'
is "$(field $cell .exit.signal)" 5 "by SIGTRAP"
like "$("$vauban" logs -a $cell 2>&1)" "booby trap hit at 0x$address: " "the log names the address"
is "$("$vauban" logs -a $cell 2>&1 | grep -c 'booby trap')" 1 "once"
"$vauban" rm $cell >/dev/null 2>&1
timeout -k 1 100 "$vauban" run -d --name $cell "$work/trap" handler >/dev/null 2>&1
eventually "a program that handles SIGTRAP goes on" eval '"$vauban" logs $cell 2>/dev/null | grep -q "^went on$"'
becomes 1 "inspect counts" field $cell .booby_traps
"$vauban" kill $cell >/dev/null 2>&1
eventually "it is gone" eval '"$vauban" rm $cell'
finish
