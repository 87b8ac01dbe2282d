#!/bin/bash
# `vauban debug`: gdb on a cell from its first instruction, and attached to one that runs.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/crash.inc"
if ! command -v gdb gcc >/dev/null; then
	echo "1..0 # SKIP needs gdb and gcc"
	exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
crash_build "$work/crash"
gdb_cell() { # gdb_cell CELL COMMAND...
	local cell=$1 c args=()
	shift
	for c; do args+=(-ex "$c"); done
	timeout -k 1 200 "$vauban" debug --gdb "$cell" -nx -batch "${args[@]}" 2>&1
}

"$vauban" run -d --name first --debug-wait "$work/crash" ok >/dev/null
eventually "a cell waits for the debugger" eval '"$vauban" debug first | grep -q "target remote"'
out=$(gdb_cell first 'break third' continue backtrace 'info threads' 'print mark' 'next' 'print counter' 'set var mark = 7' \
	'finish' 'print $xmm0.v4_int32' 'print $fs_base != 0' 'stepi' 'x/i $pc' 'info auxv' 'delete' 'continue')
like "$out" '0x[0-9a-f]+ in .*from target:.*ld-linux' "it stands at the first instruction"
like "$out" 'hit Breakpoint 1, third \(p=0x' "breakpoint in a program loaded later"
like "$out" '#3 .* in main \(argc=2' "backtrace"
like "$out" '^\* 1 .*third' "threads: the one that stopped"
like "$out" '^  2 .*(pause|waiter) ' "threads: the one that sleeps"
like "$out" '^\$1 = 42' "memory"
like "$out" '^\$2 = 1' "next runs one line"
like "$out" 'Value returned is \$3 = 8' "memory can be written, finish returns"
like "$out" '^\$5 = 1' "segment bases"
like "$out" 'AT_SYSINFO_EHDR' "auxiliary vector"
like "$out" 'exited with code 012' "the end is told"
is "$("$vauban" wait first)" 10 "and the status is the program's"
"$vauban" rm first

"$vauban" run -d --name second --debug-wait "$work/crash" >/dev/null
eventually "another cell waits" eval '"$vauban" debug second | grep -q "target remote"'
out=$(gdb_cell second 'break usleep' continue 'delete' continue backtrace 'print $_siginfo._sifields._sigfault.si_addr' continue)
like "$out" 'received signal SIGSEGV' "a fault stops"
like "$out" '^#0 .* third \(p=0x10\)' "where it was"
like "$out" '\(void \*\) 0x10' "signal details"
like "$out" 'terminated with signal SIGSEGV' "then it dies of it"
is "$("$vauban" wait second)" 139 "with that status"
"$vauban" rm second

"$vauban" run -d --name third perl -e '$SIG{USR1} = sub { print "usr1\n" }; $| = 1; for (;;) { getppid; select undef, undef, undef, 0.01 }' >/dev/null
eventually "a cell runs" eval '[ "$(field third .state)" = running ]'
for i in 1 2 3; do
	out=$(gdb_cell third 'info registers rip' 'break getppid' 'continue' 'stepi 8' 'finish' 'print (int)getpid()' 'delete' detach)
	like "$out" 'Breakpoint 1, .*getppid' "attached ($i): breakpoint in a running cell"
	like "$out" '^\$[0-9]+ = 1$' "attached ($i): a call into the program"
done
is "$(field third .state)" running "it goes on after detaching"
"$vauban" kill -s USR1 third
eventually "and takes signals" eval '"$vauban" logs third 2>/dev/null | grep -q usr1'
"$vauban" kill third
eventually "it can be removed" "$vauban" rm third
finish
