#!/bin/bash
# `vauban trace`: lines, JSON, filters and summary; from the first call and attached to a running cell.
. "$(dirname "$0")/lib.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trace() { timeout -k 1 100 "$vauban" trace "$@"; }

out=$(trace -o "$work/t" -- /bin/cat /etc/hostname /nonexistent 2>/dev/null)
is $? 1 "the program's status"
is "$out" "$(cat /etc/hostname)" "the program's output is its own"
t=$(cat "$work/t")
like "$t" '^\[1\] [0-9:]{8}\.[0-9]{6} openat\(AT_FDCWD, "/etc/hostname", O_RDONLY\) = 3 <[0-9]+\.[0-9]{6}>$' "a call with its result and time"
like "$t" 'openat\(AT_FDCWD, "/nonexistent", O_RDONLY\) = -1 ENOENT \(No such file or directory\)' "an error by name and text"
like "$t" 'mmap\(NULL, [0-9]+, PROT_READ\|PROT_WRITE, MAP_PRIVATE\|MAP_ANONYMOUS, -1, 0x0\) = 0x[0-9a-f]+' "flags by name, addresses in hex"
like "$t" 'newfstatat\(3, "", \{st_mode=S_IFREG\|0[0-7]+, st_size=[0-9]+\}, AT_EMPTY_PATH\) = 0' "structures that the call filled in"
like "$t" 'write\(1, "' "buffers"
like "$t" 'exit_group\(1\) = \?' "a call that does not return"
like "$t" '\+\+\+ exited with 1 \+\+\+' "the end"
trace --json -o "$work/j" -- /bin/true
is $? 0 "--json"
ok "every line is one object" jq -es 'all(.[]; type == "object") and length > 10' "$work/j"
ok "with its fields" jq -es 'any(.[]; .call == "openat" and .result >= 0 and .seconds >= 0 and .tid == 1 and .errno == null)' "$work/j"
ok "and errors" jq -es 'any(.[]; .errno == "ENOENT" and .result == -1)' "$work/j"
trace -e openat,exit_group -o "$work/e" -- /bin/true
is "$(sed 's/^[^ ]* [^ ]* //; s/(.*//' "$work/e" | grep -v '+++' | sort -u | tr '\n' ' ')" "exit_group openat " "-e shows only those calls"
trace -c -o "$work/c" -- /bin/true
like "$(cat "$work/c")" '^ *[0-9]+\.[0-9]{6} +[0-9]+ +[0-9]+  openat$' "-c counts"
like "$(trace -- perl -e 'kill 10, $$' 2>&1)" '--- SIGUSR1 \{si_signo=SIGUSR1, si_code=SI_USER, si_pid=1' "signals"
like "$(trace -- perl -e 'print STDERR ""; open F, "<", "/tmp/\x1b[2J\n"' 2>&1)" '"/tmp/\\33\[2J\\n"' "control characters are escaped"

"$vauban" run -d --name traced perl -e 'for (;;) { open F, "<", "/etc/passwd"; close F; select undef, undef, undef, 0.02 }' >/dev/null
eventually "a cell runs" eval '[ "$(field traced .state)" = running ]'
trace_until() { # trace_until COMMAND...: a trace of the cell, ended once the command succeeds
	"$vauban" trace "${options[@]}" -o "$work/a" traced &
	until_it "$@"
	kill $!
	wait $!
}
options=(-e openat)
trace_until shown 'openat.*passwd.*= 3' "$work/a"
like "$(cat "$work/a")" 'openat\(AT_FDCWD, "/etc/passwd", O_RDONLY\|O_CLOEXEC.*\) = 3' "attached to a running cell"
rm "$work/a"
options=()
trace_until test -s "$work/a"
ok "and again after detaching" test -s "$work/a"
"$vauban" kill traced
eventually "it can be removed" "$vauban" rm traced
out=$(trace nosuchcell 2>&1)
is $? 1 "a cell that is not there"
trace 2>/dev/null
is $? 2 "no cell and no program"
finish
