#!/bin/bash
# Programs in cells that try to get out (tests/attack/escape.c): none does, and the host and other cells stay as they were.
. "$(dirname "$0")/lib.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
escape=$work/escape
if ! gcc -O1 -w -pthread -o "$escape" "$(dirname "$0")/../attack/escape.c"; then
	echo "1..0 # SKIP needs gcc"
	exit 0
fi

"$vauban" run -d --name bystander perl -e '$| = 1; for (;;) { print "tick\n"; sleep 1 }' >/dev/null
eventually "another cell runs" eval '[ "$(field bystander .state)" = running ]'
bystander=$(field bystander .tender_pid) monitor=$(field bystander .monitor_pid)
is "$(tr -d '\0' <"/proc/$bystander/cmdline")" vauban-tender "no path of the host is left on its stack"
sleep 1000 & # a process that a kill(-1) or a ptrace would meet
witness=$!

attempt() { # attempt NAME ARGS...: runs it in a cell of its own; output in $out, how it ended in $state
	"$vauban" run -d --name attacker -m 64M "$escape" "$@" >/dev/null 2>&1
	timeout -k 1 200 "$vauban" wait attacker >"$work/wait" 2>&1
	timed=$?
	state=$(field attacker .state 2>/dev/null)
	out=$("$vauban" logs attacker 2>/dev/null)
	"$vauban" kill attacker 2>/dev/null
	until_it eval '! "$vauban" inspect attacker || "$vauban" rm attacker'
}

# --- the gate: which of the `syscall` instructions in reach the host accepts ---
gates=()
for n in 0 1 2 3 4 5; do
	attempt gate $n
	[[ $out == *"clock_gettime gave 0"* ]] && gates+=($n)
done
result $((${#gates[@]} == 0)) "control: the program reaches the host through the kernel's own instruction" "$out"

# --- every call that is not on the list, or with another argument ---
for name in $("$escape" list); do
	bad=
	for n in "${gates[@]}"; do
		attempt "$name" "$n"
		[[ $out != *"gate: found"* ]] && bad="gate $n: did not run: $out"
		[[ $out == *ESCAPED* || $out == *returned:* ]] && bad="gate $n: $out"
		[ "$state" = exited ] || bad="gate $n: the monitor ended as $state"
	done
	result $((${#bad} > 0)) "$name: the host ends the cell" "$bad"
done
ok "no file was made" test ! -e /tmp/vauban-escaped

# --- the monitor ---
gate=${gates[0]:-0}
for type in 1 2 3 4 5 6 7 8 64 66 1000; do
	attempt forge "$gate" $type
	is "$state" exited "forged messages of type $type: the monitor holds"
done
for kind in exit flood; do
	attempt "$kind" "$gate"
	is "$state" exited "$kind: the monitor holds"
done

attempt debugger "$gate"
like "$out" ready "an attacker asks gdb for files of the host"
is "$(cat "$work/wait") $(grep ESCAPED <<<"$out")" "125 " "its monitor ends the cell instead"

# A monitor that reads of a stop when the tender is gone must not stop what else is in its process group.
(setsid bash -c 'sleep 1000 & echo $! >"$1/peer"; "$2" run -m 64M "$3" stop "$4" >"$1/stop"; echo $? >"$1/status"' - "$work" "$vauban" "$escape" "$gate" &)
eventually "an attacker in the foreground is ready" grep -q ready "$work/stop"
peer=$(cat "$work/peer")
monitor_of_peer=$(pgrep -g "$(ps -o pgid= "$peer" | tr -d ' ')" -x vauban)
kill -STOP "$monitor_of_peer"
eventually "it is gone" eval 'gone $(pgrep -P "$monitor_of_peer") || [[ "$(ps -o state= --ppid "$monitor_of_peer")" == *Z* ]]'
kill -CONT "$monitor_of_peer"
eventually "its monitor ends" test -s "$work/status"
like "$(ps -o state= -p "$peer")" '^S' "and has stopped nobody"
kill -KILL -- -"$(ps -o pgid= "$peer" | tr -d ' ')"

# --- memory ---
for n in "${gates[@]}"; do
	attempt anonymous "$n"
	result $((!($(grep -c 'gave -12' <<<"$out") == 1))) "gate $n: no memory but the cell's" "$out"
done

attempt tables "$gate"
is "$(cat "$work/wait") $(grep ESCAPED <<<"$out")" "125 " "page tables are bounded"

# --- what any program may try ---
attempt no-gate
like "$out" 'int 0x80: signal' "int 0x80 is refused"
like "$out" 'write to kernel text: signal' "the kernel's text is not writable"
like "$out" 'read of host kernel memory: signal' "the host's kernel is out of reach"
like "$out" 'still here' "and the program goes on"
is "$(grep -c ESCAPED <<<"$out")" 0 "odd call numbers, mappings over the kernel, code made at run time"
for kind in sysenter jump smash; do
	attempt $kind
	is "$state$(grep ESCAPED <<<"$out")" exited "$kind harms only its own cell"
done
attempt exhaust
like "$out $(cat "$work/wait")" 'still here|137$' "descriptors, pipes, threads, timers and signals run out in the cell only" # or its memory does
like "$out" 'epoll nesting ends: 1' "epoll does not nest for ever"
attempt memory
is "$state" exited "memory runs out in the cell only"

# --- afterwards ---
ok "the witness lives" kill -0 $witness
kill $witness
is "$(field bystander .state)" running "the other cell runs"
is "$(field bystander .tender_pid) $(field bystander .monitor_pid)" "$bystander $monitor" "in the same processes"
before=$("$vauban" logs bystander | wc -l)
eventually "and works" eval '[ "$("$vauban" logs bystander | wc -l)" -gt "$before" ]'
"$vauban" kill bystander
eventually "it can be removed" "$vauban" rm bystander
finish
