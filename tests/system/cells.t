#!/bin/bash
# Cells over their life: detached, recorded, listed, stopped, killed, and whatever dies, nothing left behind.
. "$(dirname "$0")/lib.sh"

# --- detached ---
name=$("$vauban" run -d --name one perl -e '$| = 1; print "started\n"; print STDERR "oops\n"; sleep 1000')
is "$name" one "-d prints the name"
eventually "it runs" runs one
like "$("$vauban" ps)" '^one +running' "ps shows it"
is "$("$vauban" ps --json | jq -r '.[].name')" one "ps --json"
eventually "logs: standard output" eval '"$vauban" logs one 2>/dev/null | grep -q "^started$"'
becomes oops "logs: standard error" eval '"$vauban" logs one 2>&1 >/dev/null'
like "$("$vauban" logs -t one 2>/dev/null)" '^2[0-9-]+T[0-9:.]+Z started$' "logs -t"
is "$(field one '.tender_pid > 1 and .monitor_pid > 1')" true "inspect: processes"
is "$(field one '.memory.limit')" $((1 << 30)) "inspect: memory limit"
is "$(field one '.memory.used > 0 and .memory.used <= .memory.peak')" true "inspect: memory in use"
is "$(field one '.host_calls.allowed | length <= 12')" true "inspect: at most 12 host calls"
is "$(field one '[.host_calls.used | keys[]] - .host_calls.allowed | length')" 0 "inspect: uses only those"
is "$(field one '.guest_calls | length > 3')" true "inspect: calls of the program"
is "$(field one '.cpu_seconds < 5')" true "inspect: CPU"
is "$(field one '.lockdown.seccomp and .lockdown.no_new_privs')" true "inspect: lock-down"
is "$(field one '.arguments[0]')" perl "inspect: arguments"
like "$("$vauban" top -n 1)" '^one +running' "top"
out=$("$vauban" run --name one true 2>&1)
is $? 125 "a name is taken once"
like "$out" 'named one already' "and that is said"
out=$("$vauban" rm one 2>&1)
is $? 1 "rm refuses a running cell"
tender=$(field one .tender_pid) monitor=$(field one .monitor_pid)
is "$(stat -c %u /proc/$tender 2>/dev/null || echo gone)" "$([ "$(id -u)" = 0 ] && echo 65534 || echo 0)" "the tender is nobody"
"$vauban" stop -t 60 one
is $? 0 "stop"
eventually "its processes are gone" gone "$tender" "$monitor"
like "$("$vauban" ps -a)" '^one +exited \(signal 15\)' "ps -a tells how it ended"
is "$("$vauban" wait one)" 143 "wait tells it too"
is "$(field one '.exit.signal')" 15 "inspect as well"
is "$("$vauban" ps -q)" "" "ps without -a does not show it"
"$vauban" rm one
is "$(records)" 0 "rm forgets it"
out=$("$vauban" inspect one 2>&1)
is $? 1 "it is unknown then"

# --- ends ---
"$vauban" run -d --name two perl -e 'select undef, undef, undef, 0.3; exit 9' >/dev/null
is "$("$vauban" wait two)" 9 "wait waits"
"$vauban" rm two
mkdir sign
"$vauban" run -d --rm --name three -v ./sign:/sign perl -e 'select undef, undef, undef, 0.05 until -e "/sign/end"; exit 3' >/dev/null
"$vauban" wait three >waited &
pid=$!
until_it asleep $pid
touch sign/end
wait $pid
is "$(cat waited)" 3 "wait on a cell that forgets itself"
eventually "--rm: forgotten" eval '[ "$(records)" = 0 ]'
"$vauban" run -d --name five perl -e '$SIG{TERM} = "IGNORE"; $| = 1; print "ready\n"; sleep 10 while 1' >/dev/null
until_it eval '"$vauban" logs five | grep -q ready'
start=$SECONDS
"$vauban" stop -t 1 five
is "$("$vauban" wait five)" 137 "stop kills what does not listen"
result $((SECONDS - start > 60)) "in time"
"$vauban" rm five

# --- logs ---
"$vauban" run -d --name talk perl -e '$| = 1; for (1..3) { print "line $_\n"; select undef, undef, undef, 0.2 } print "end"' >/dev/null
is "$(timeout 60 "$vauban" logs -f talk)" $'line 1\nline 2\nline 3\nend' "logs -f follows to the end"
"$vauban" rm -f talk
"$vauban" run -d --name flood head -c 40000000 /dev/zero >/dev/null
"$vauban" wait flood >/dev/null
result $(($(cat "$XDG_RUNTIME_DIR"/vauban/cells/flood/log* | wc -c) > 20000000)) "the log is bounded"
"$vauban" rm flood

# --- signals ---
"$vauban" run -d --name sig perl -e '$| = 1; $SIG{USR1} = sub { print "usr1\n" }; print "ready\n"; sleep 10 while 1' >/dev/null
eventually "ready" eval '"$vauban" logs sig | grep -q ready'
"$vauban" kill -s USR1 sig
eventually "kill -s USR1 arrives" eval '"$vauban" logs sig | grep -q usr1'
"$vauban" kill sig
is "$("$vauban" wait sig)" 137 "kill kills"
"$vauban" rm sig
said=
for i in {1..30}; do
	"$vauban" run -d --name ending sleep 1000 >/dev/null
	"$vauban" kill ending
	said+="$("$vauban" wait ending) " # while the monitor ends
	"$vauban" rm ending
done
is "$said" "$(printf '137 %.0s' {1..30})" "wait races with the end"
"$vauban" run perl -e '$| = 1; print "ready\n"; sleep 1000' >foreground &
pid=$!
eventually "a cell in the foreground is listed" eval '[ "$("$vauban" ps -q | wc -l)" = 1 ]'
until_it shown ready foreground
kill -TERM $pid
wait $pid
is $? 143 "SIGTERM to the monitor is the program's"
is "$(records)" 0 "and it is forgotten"
mkfifo more
nohup "$vauban" run perl -e '$| = 1; print "ready\n"; 1 while <STDIN>' <more >ignoring 2>/dev/null &
pid=$!
exec 7>more
until_it shown ready ignoring
kill -HUP $pid
exec 7>&-
wait $pid
is $? 0 "what the caller ignores is ignored"

# --- whatever dies ---
"$vauban" run sleep 1000 &
pid=$!
eventually "one more" eval '[ "$("$vauban" ps -q | wc -l)" = 1 ]'
cell=$("$vauban" ps -q)
eventually "that runs" eval '[ "$(field $cell .state)" = running ]'
tender=$(field "$cell" .tender_pid)
kill -KILL $pid
wait $pid 2>/dev/null
eventually "the tender dies with its monitor" gone "$tender"
like "$("$vauban" ps -a)" "^$cell +dead" "shown as dead"
"$vauban" wait "$cell" 2>/dev/null
is $? 125 "how it ended is not known"
"$vauban" run true
is "$(records)" 0 "the next run clears it away"

"$vauban" run sleep 1000 2>err &
pid=$!
eventually "and another" eval '[ "$("$vauban" ps -q | wc -l)" = 1 ]'
cell=$("$vauban" ps -q)
eventually "that runs too" eval '[ "$(field $cell .state)" = running ]'
kill -KILL "$(field "$cell" .tender_pid)"
wait $pid
is $? 125 "a tender that is killed is a failure of Vauban"
like "$(cat err)" 'killed from outside' "and is explained"
is "$(records)" 0 "and leaves nothing"

"$vauban" run -d --name dm sleep 1000 >/dev/null
kill -KILL "$(field dm .monitor_pid)"
eventually "a detached one whose monitor is killed is dead" eval '"$vauban" ps -a | grep -q "^dm *dead"'
"$vauban" rm dm
is "$(records)" 0 "rm clears it away"

# --- CPU limit ---
"$vauban" run -d --name half --cpu 0.25 sh -c 'while :; do :; done' >/dev/null
share() { # of a processor that it had for two seconds
	local a b begin=$EPOCHREALTIME
	a=$(field half .cpu_seconds)
	sleep 2
	b=$(field half .cpu_seconds)
	awk "BEGIN { used = ($b - $a) / ($EPOCHREALTIME - $begin); print (used > 0.1 && used < 0.4) ? \"fair\" : used }"
}
until_it runs half
becomes fair "--cpu 0.25" share # the machine may have had less to give for a while
like "$(field half .cpu_limit.method)" 'cgroup|duty-cycle' "inspect tells how"
"$vauban" rm -f half
is "$(ls -d /sys/fs/cgroup/vauban/half* /sys/fs/cgroup/cpu/vauban/half* 2>/dev/null)" "" "no control group is left"

# --- many at once ---
for i in $(seq 20); do
	"$vauban" run sh -c "echo $i" &
done >many
wait
is "$(sort -n many | tr '\n' ' ')" "$(seq -s ' ' 20) " "20 at once"
is "$(records)" 0 "none is left"
is "$(ls "$XDG_RUNTIME_DIR/vauban/cells")" "" "no file is left"
finish
