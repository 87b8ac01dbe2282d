#!/bin/bash
# Where and how cells run: descriptors of every kind, terminals, users, namespaces, containers; kills at any moment.
# (Plain cases are those of run.t, cells.t, terminal.t and hosts.t.)
. "$(dirname "$0")/lib.sh"
busybox=$(command -v busybox) || { echo "1..0 # SKIP needs busybox"; exit 0; }
python=/usr/bin/python3
v run "$busybox" true # makes its image
v run perl -e 1
v run /bin/sleep 0

# --- standard descriptors ---
closed='for n in 0 1 2; do if true <&$n; then s="$s open"; else s="$s closed"; fi; done; echo $s >$0'
for redirection in '' '<&-' '>&-' '2>&-' '<&- >&-' '<&- 2>&-' '<&- >&- 2>&-'; do
	(eval "'$busybox' sh -c '$closed' native $redirection") 2>/dev/null
	(eval "v run -v .:/here '$busybox' sh -c '$closed' /here/cell $redirection") 2>/dev/null
	is "$(cat cell)" "$(cat native)" "closed as outside: ${redirection:-none}"
	rm -f cell
done
exec 5<>both
echo 12345 >&5
v run "$busybox" echo abc >&5
echo end >&5
is "$(cat both)" $'12345\nabc\nend' "an offset shared with the shell"
exec 5>&-
(echo one; v run "$busybox" sh -c 'echo two; echo three >&2'; echo four) >>appended 2>&1
is "$(cat appended)" $'one\ntwo\nthree\nfour' "appending, shared with the shell"
is "$( (v run "$busybox" dd bs=1 count=3 2>/dev/null; cat) <<<abcdef)" abcdef "reads take no more than they need"
is "$(v run "$busybox" sh -c 'read a; read b; echo "$b$a"' < <(printf '1\n2\n'))" 21 "a pipe for input"
v run "$busybox" wc -c < <(head -c 5000000 /dev/zero) >n
is "$(tr -d ' ' <n)" 5000000 "5 MB through a pipe"
is "$(v run "$busybox" cat </dev/null)" "" "/dev/null"
v run "$busybox" cat / </ 2>/dev/null
is $? 1 "a folder for input"
is "$(v run "$busybox" sh -c 'exec 1>&2; echo x' 2>&1 >/dev/null)" x "output redirected inside"

# --- options seen from inside ---
mkdir -p vol/sub && echo in >vol/sub/file && ln -s sub/file vol/link && ln -s /etc/hostname vol/absolute && ln -s ../../../../../../etc/shadow vol/escape
ln -s vol linked
is "$(v run -v ./linked:/mnt "$busybox" cat /mnt/link)" in "-v of a symbolic link to a folder"
is "$(v run -v ./vol:/mnt "$busybox" cat /mnt/link)" in "a symbolic link within a volume"
is "$(v run -v ./vol:/mnt --hostname inside "$busybox" readlink /mnt/absolute)" /etc/hostname "an absolute one, as it is"
v run -v ./vol:/mnt "$busybox" cat /mnt/escape >out 2>/dev/null
is "$(wc -c <out)" "$(v run "$busybox" cat /etc/shadow 2>/dev/null | wc -c)" "one that leads out leads to the cell's own files"
is "$(v run -v ./vol:/a/b/c "$busybox" cat /a/b/c/link)" in "-v to a place that the image lacks"
is "$(v run -v ./vol:/mnt:ro -v ./vol/sub:/mnt/sub "$busybox" sh -c 'echo new >/mnt/sub/new && ! echo x 2>/dev/null >/mnt/x && echo yes')" yes "a writable volume within a read-only one"
is "$(cat vol/sub/new)" new "is written to"
is "$(v run --read-only "$busybox" sh -c 'echo x >/tmp/x && read x </tmp/x; echo $x; echo y 2>/dev/null >/y || echo no')" $'x\nno' "--read-only, but for /tmp"
is "$(v run -u 77:88 -w /tmp "$busybox" sh -c 'echo $(id -u):$(id -g) $(pwd)' 2>/dev/null || v run -u 77:88 -w /tmp perl -e 'use POSIX; print "$<:", $(+0, " ", getcwd')" "77:88 /tmp" "-u and -w"
is "$(A=1 v run -e A= -e B=x=y -e C='a b' perl -e 'print join "|", map { $ENV{$_} } qw(A B C)')" "|x=y|a b" "-e with empty, = and blanks"
mkdir cores
(exec "$vauban" run --core cores perl -e 'kill SEGV => $$; sleep 1') 2>/dev/null
is "$(ls cores | wc -l)" 1 "--core writes a core file"

# --- terminals ---
cat >term.py <<'P'
import fcntl, os, pty, re, signal, struct, subprocess, sys, termios, time
vauban, test = sys.argv[1:3]
got = b""
def until(fd, pattern, seconds=60):
    global got
    end = time.time() + seconds
    os.set_blocking(fd, False)
    while time.time() < end:
        m = re.search(pattern, got)
        if m:
            got = got[m.end():]
            return m
        try: got += os.read(fd, 1000)
        except BlockingIOError: time.sleep(0.01)
        except OSError: break
    print("did not see", pattern, "in", got)
    sys.exit(1)
def start(*argv):
    pid, fd = pty.fork()
    if pid == 0:
        os.execvp(argv[0], argv)
    return pid, fd
def ended(pid):
    _, s = os.waitpid(pid, 0)
    return "signal %d" % os.WTERMSIG(s) if os.WIFSIGNALED(s) else "status %d" % os.WEXITSTATUS(s)
perl = ("perl", "-e")
if test == "quit":
    pid, fd = start(vauban, "run", *perl, '$|=1; print "ready\n"; sleep 1000')
    until(fd, b"ready"); os.write(fd, b"\x1c"); print(ended(pid))
elif test == "intr-handled":
    pid, fd = start(vauban, "run", *perl, '$|=1; $SIG{INT} = sub { print "caught\n"; exit 5 }; print "ready\n"; sleep 1000')
    until(fd, b"ready"); os.write(fd, b"\x03"); until(fd, b"caught"); print(ended(pid))
elif test == "size":
    pid, fd = start(vauban, "run", *perl, '$|=1; $SIG{WINCH} = sub { $w = 1 }; print "ready\n"; sleep 1 until $w; $s = "\\0" x 8; ioctl(STDIN, 0x5413, $s); print "size ", join(",", unpack("S2", $s)), "\n"')
    until(fd, b"ready"); fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 41, 121, 0, 0))
    print(until(fd, rb"size (\S+)").group(1).decode(), ended(pid))
elif test in ("raw-tender", "raw-exit", "raw-term"):
    pid, fd = start("/bin/sh", "-c", 'stty -a | grep -o " -\\?icanon"; "$0" run stty raw -echo; "$0" run --name raw%d perl -e \'$|=1; system 1 if 0; require POSIX; my $t = POSIX::Termios->new; $t->getattr(0); $t->setlflag($t->getlflag & ~(POSIX::ICANON()|POSIX::ECHO())); $t->setattr(0, 0); print "ready\n"; sleep %d; \'; echo status $?; stty -a | grep -o " -\\?icanon"; stty -a | grep -o " -\\?echo "; echo over' % (os.getpid(), 0 if test == "raw-exit" else 1000), vauban)
    until(fd, b" icanon"); until(fd, b"ready")
    if test != "raw-exit":
        json = subprocess.run([vauban, "inspect", "raw%d" % os.getpid()], capture_output=True).stdout.decode()
        which = "tender_pid" if test == "raw-tender" else "monitor_pid"
        os.kill(int(re.search('"%s": *(\\d+)' % which, json).group(1)), signal.SIGKILL if test == "raw-tender" else signal.SIGTERM)
    status = until(fd, rb"status (\d+)").group(1).decode()
    m = until(fd, rb"(-?icanon)\s+(-?echo) \s*over")
    print(status, m.group(1).decode(), m.group(2).decode())
elif test == "jobs":
    pid, fd = start("bash", "--norc", "--noprofile", "-i")
    os.write(fd, b"PS1=; set -m\n")
    os.write(b"%s run perl -e '$|=1; print \"re\".\"ady\\n\"; $x = <STDIN>; print \"got $x\"; exit 6'\n".replace(b"%s", vauban.encode()) and fd, b"'%s' run perl -e '$|=1; print \"re\".\"ady\\n\"; $x = <STDIN>; print \"got $x\"; exit 6'\n" % vauban.encode())
    until(fd, b"ready"); os.write(fd, b"\x1a"); until(fd, b"Stopped")
    os.write(fd, b"jobs; echo j\"\"obs seen\n"); until(fd, b"jobs seen")
    os.write(fd, b"fg\n")
    while os.tcgetpgrp(fd) == pid: time.sleep(0.01)
    os.write(fd, b"line\n"); until(fd, b"got line")
    os.write(fd, b"echo st\"\"atus $?\n"); print("status", until(fd, rb"status (\d+)").group(1).decode())
    os.write(fd, b"'%s' run sleep 1000 &\n" % vauban.encode()); time.sleep(0.5)
    os.write(fd, b"kill %1; wait %1; echo st\"\"atus $?\n"); print("background", until(fd, rb"status (\d+)").group(1).decode())
    os.write(fd, b"exit\n"); os.waitpid(pid, 0)
elif test == "hangup":
    pid, fd = start(vauban, "run", *perl, '$|=1; print "ready\n"; sleep 1000')
    until(fd, b"ready"); os.close(fd); print(ended(pid))
P
if [ -x $python ]; then
	term() { timeout -s KILL 200 $python term.py "$vauban" "$1" 2>&1; }
	is "$(term quit)" "signal 3" "^\\ quits"
	is "$(term intr-handled)" "status 5" "^C is the program's to handle"
	is "$(term size)" "41,121 status 0" "a window that changes"
	is "$(term raw-exit)" "0 icanon echo" "a program that leaves the terminal raw"
	is "$(term raw-tender)" "125 icanon echo" "a tender killed while the terminal is raw"
	is "$(term raw-term)" "143 icanon echo" "a monitor that gets SIGTERM while the terminal is raw"
	is "$(term jobs)" $'status 6\nbackground 143' "job control: ^Z, fg, a job in the background"
	is "$(term hangup)" "signal 1" "a terminal that goes away"
else
	skip "terminals" "needs $python"
fi

# --- status and signals as a shell expects them ---
for sig in INT QUIT TERM HUP USR1 PIPE ALRM; do
	"$vauban" run /bin/sleep 100 2>/dev/null &
	pid=$!
	eventually "a cell for SIG$sig" eval "[ \"\$(field \"\$(\"\$vauban\" ps -q | head -1)\" .state)\" = running ]"
	cell=$("$vauban" ps -q | head -1)
	"$vauban" kill -s $sig "$cell"
	wait $pid 2>/dev/null
	is $? $((128 + $(kill -l $sig))) "SIG$sig kills it"
done

# --- killed at any moment ---
kills() { # kills WHOM SIGNAL ROUNDS [OPTIONS...]: a cell, and a signal after 0..8 ms; statuses seen, for the record
	local whom=$1 sig=$2 rounds=$3 i pid status seen="" tender length=1000
	[ "$whom" = tender ] && length=0.3 # there may be none yet
	shift 3
	for ((i = 0; i < rounds; i++)); do
		"$vauban" run "$@" /bin/sleep $length >>kills.out 2>&1 &
		pid=$!
		$busybox usleep $((RANDOM % 8000))
		if [ "$whom" = tender ]; then
			tender=$(ps -o pid= --ppid $pid 2>/dev/null)
			[ "$tender" ] && kill -$sig $tender 2>/dev/null
		else
			kill -$sig $pid 2>/dev/null
		fi
		wait $pid 2>/dev/null
		status=$?
		case $seen in *" $status "*) ;; *) seen+=" $status " ;; esac
	done
	tr -s ' ' '\n' <<<"$seen" | sort -n | tr '\n' ' ' | sed 's/^ *//; s/ *$//'
}
left() { # what is left: processes, records
	until_it eval '! pgrep -g 0 -x vauban-tender'
	echo "$(pgrep -g 0 -x vauban-tender | wc -l) processes"
	until_it eval '"$vauban" run "$busybox" true; [ "$(records)" = 0 ]' # each clears some away
	echo "$(ls -A "$XDG_RUNTIME_DIR/vauban/cells" | wc -l) records"
}
: >kills.out
like "$(kills monitor KILL 100)" '^(0 )?137$' "the monitor killed at any moment, 100 times"
is "$(left)" $'0 processes\n0 records' "nothing is left"
like "$(kills monitor TERM 100)" '^143$' "SIGTERM to the monitor at any moment, 100 times"
is "$(left)" $'0 processes\n0 records' "nothing is left"
like "$(kills monitor HUP 60)" '^129$' "SIGHUP at any moment"
is "$(left)" $'0 processes\n0 records' "nothing is left"
like "$(kills tender KILL 60)" '^(0 )?125$' "the tender killed at any moment"
is "$(left)" $'0 processes\n0 records' "nothing is left"
like "$(kills tender TERM 30)" '^0$' "SIGTERM to the tender is not the program's"
is "$(left)" $'0 processes\n0 records' "nothing is left"
like "$(kills monitor KILL 30 --cpu 0.5)" '^(0 )?137$' "a limited cell's monitor killed"
is "$(left)" $'0 processes\n0 records' "nothing is left"
v run --cpu 0.5 "$busybox" true # clears them away
is "$(ls -d /sys/fs/cgroup/vauban/*/ /sys/fs/cgroup/cpu/vauban/*/ 2>/dev/null | grep sleep-)" "" "no control group is left"
is "$(grep -vE '^vauban: the cell was killed from outside|^$' kills.out | sort | uniq -c | head)" "" "no odd message"

# --- frozen ---
"$vauban" run -d --name frozen /bin/sleep 1000 >/dev/null
eventually "a cell that runs" eval '[ "$(field frozen .state)" = running ]'
monitor=$(field frozen .monitor_pid) tender=$(field frozen .tender_pid)
[ "$monitor" -gt 1 ] && kill -STOP "$monitor"
like "$(v ps)" '^frozen ' "a monitor that is stopped: ps ends all the same"
v inspect frozen >/dev/null
is $? 0 "inspect too"
v stop -t 0 frozen
eventually "stop kills the cell without it" gone "$tender"
v rm -f frozen
[ "$monitor" -gt 1 ] && kill -CONT "$monitor"
eventually "it ends when it goes on" gone "$monitor"
"$vauban" run -d --name frozen /bin/sleep 1000 >/dev/null
eventually "another" eval '[ "$(field frozen .state)" = running ]'
tender=$(field frozen .tender_pid)
[ "$tender" -gt 1 ] && kill -STOP "$tender"
v stop -t 0 frozen
is "$(v wait frozen)" 137 "a tender that is stopped can be killed"
v rm frozen

# --- what goes away meanwhile ---
mkdir -p gone && echo x >gone/file
mkfifo on
v run -v ./gone:/mnt perl -e '$| = 1; open F, "<", "/mnt/file"; print "open\n"; <STDIN>; print <F>; open G, "<", "/mnt/file" or print "not there\n"; open H, ">", "/mnt/new" or print "nor here\n"' <on >out &
exec 7>on
until_it shown open out
rm -rf gone
exec 7>&-
wait $!
is "$(cat out)" $'open\nx\nnot there\nnor here' "a volume's folder is removed"
"$(dirname "$vauban")/vauban-image" build -o cut.img --program "$busybox" >/dev/null
v run ./cut.img sh -c 'echo open; read line' <on >cut 2>&1 &
exec 7>on
until_it shown open cut
truncate -s 8192 cut.img
exec 7>&-
wait $!
is $? 137 "an image that shrinks kills the cell"
like "$(cat cut)" 'image file was cut short' "and this is said"
for verb in ps "run -d --name lost"; do
	v $verb $([ "$verb" = ps ] || echo "$busybox true") >/dev/full 2>err
	is $?:"$(grep -c 'No space left' err)" 1:1 "$verb: output that can't be written"
done
"$vauban" rm -f lost

# --- life cycles that race ---
for i in {1..12}; do
	"$vauban" run -d --name race$i /bin/sleep 0.$((RANDOM % 3)) >/dev/null
	"$vauban" stop -t 0 race$i >/dev/null 2>&1 &
	"$vauban" kill race$i 2>/dev/null &
	"$vauban" wait race$i >/dev/null 2>&1 &
	"$vauban" logs -f race$i >/dev/null 2>&1 &
	"$vauban" inspect race$i >/dev/null 2>&1 &
	"$vauban" rm -f race$i 2>/dev/null &
done
eventually "stop, kill, wait, logs -f, inspect and rm all end when they race" eval '[ -z "$(jobs -r)" ]'
wait
"$vauban" ps -aq | xargs -r "$vauban" rm -f
is "$(records)" 0 "no record is left"
for i in {1..8}; do
	"$vauban" run -d --name same "$busybox" sleep 0.2 >>names 2>/dev/null &
done
wait
is "$(sort names)" same "of eight that want one name, one gets it"
"$vauban" rm -f same
"$vauban" run -d --rm --name early /bin/sleep 100 >/dev/null && "$vauban" rm -f early
is "$(records)" 0 "rm -f directly after run -d --rm"

# --- many ---
exec 7<>on # none has an end of input
for i in {1..50}; do
	"$vauban" run perl -e '<STDIN>; print "$ARGV[0]\n"' $i <on 7>&- &
done >many
eventually "50 cells at once" eval '[ "$("$vauban" ps -q | wc -l)" = 50 ]'
exec 7>&-
wait
is "$(sort -n many | tr '\n' ' ')" "$(seq -s ' ' 50) " "each with its own output"
is "$(left)" $'0 processes\n0 records' "nothing is left"

# --- hosts that forbid things ---
cat >forbid.py <<'P'
# forbid.py CALL=ERRNO... -- COMMAND: a host whose kernel answers so. CALL may be newuser: unshare and clone with CLONE_NEWUSER
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
end = sys.argv.index("--")
code = []
for rule in sys.argv[1:end]:
    call, errno = rule.split("=")
    ret = (0x06, 0, 0, 0x00050000 | int(errno))
    if call == "newuser":
        for nr in 272, 56:
            code += [(0x20, 0, 0, 0), (0x15, 0, 3, nr), (0x20, 0, 0, 16), (0x45, 0, 1, 0x10000000), ret]
    else:
        code += [(0x20, 0, 0, 0), (0x15, 0, 1, int(call)), ret]
code.append((0x06, 0, 0, 0x7fff0000))
raw = b"".join(struct.pack("HBBI", *c) for c in code)
buf = ctypes.create_string_buffer(raw)
prog = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(code), ctypes.addressof(buf)))
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, prog, 0, 0) == 0
os.execvp(sys.argv[end + 1], sys.argv[end + 1:])
P
if [ -x $python ]; then
	forbid() { timeout -s KILL 200 $python forbid.py "$@" 2>&1; }
	is "$(forbid newuser=1 -- unshare --user true >/dev/null; echo $?)" 1 "a host that forbids user namespaces"
	is "$(forbid newuser=1 -- "$vauban" run "$busybox" echo hello)" hello "runs cells"
	is "$(forbid newuser=38 444=38 -- "$vauban" run "$busybox" echo hello)" hello "as does one without Landlock"
	is "$(forbid 436=38 -- "$vauban" run "$busybox" echo hello)" hello "one without close_range"
	is "$(forbid 437=38 -- "$vauban" run -v ./vol:/mnt "$busybox" cat /mnt/link)" in "one without openat2: volumes"
	is "$(forbid 437=38 -- "$vauban" run -v ./vol:/mnt "$busybox" cat /mnt/escape | wc -c)" "$(v run "$busybox" cat /etc/shadow 2>&1 | wc -c)" "and no way out of them"
	is "$(forbid 434=38 424=38 312=1 -- "$vauban" run "$busybox" echo hello)" hello "one without pidfd and kcmp"
	like "$(forbid 317=38 -- "$vauban" run "$busybox" echo hello; echo $?)" 'seccomp.*CONFIG_SECCOMP.*' "one without seccomp filters is refused"
	like "$(forbid 319=38 -- "$vauban" run "$busybox" echo hello; echo $?)" 'vauban: .*Function not implemented' "one without memfd_create is refused"
	forbid 319=38 -- "$vauban" run "$busybox" echo hello >/dev/null
	is $? 125 "with status 125"
else
	skip "hosts that forbid calls" "needs $python"
fi

# --- containers ---
root_of_vauban=$(dirname "$(realpath "$vauban")")
if bwrap --ro-bind / / true 2>/dev/null; then
	mkdir run
	inside() { timeout -s KILL 200 bwrap --unshare-all --die-with-parent --ro-bind / / --proc /proc --dev /dev --bind "$PWD" "$PWD" --cap-drop ALL \
		--setenv XDG_RUNTIME_DIR "$PWD/run" --setenv XDG_CACHE_HOME "$PWD/run" "$@" 2>&1; }
	chmod 700 run
	is "$(inside sh -c 'ls /dev/kvm /sys/fs/cgroup/vauban 2>/dev/null; "$0" run "$1" echo hello' "$vauban" "$busybox")" hello "in a container without /dev/kvm and capabilities"
	is "$(inside sh -c '"$0" run -d --name c "$1" sh -c "echo hello; exit 4" >/dev/null && "$0" wait c && "$0" logs c && "$0" rm c' "$vauban" "$busybox")" $'4\nhello' "detached in a container"
	is "$(inside sh -c '"$0" run --cpu 0.5 -v .:/mnt:ro "$1" sh -c "test -e /mnt/term.py && echo hello"' "$vauban" "$busybox")" hello "limits and volumes in a container"
	is "$(inside --uid 1234 --gid 1234 "$vauban" run "$busybox" id -u)" 1234 "another user in a container"
	is "$(inside --tmpfs /proc "$vauban" run "$busybox" echo hello)" hello "a container without /proc"
	is "$(inside --tmpfs /sys --tmpfs /dev --dev-bind /dev/null /dev/null "$vauban" run "$busybox" echo hello)" hello "one with almost no devices"
else
	skip "in a container" "bwrap is not there or may not make namespaces"
fi

# --- other users ---
if [ "$(id -u)" = 0 ]; then
	chmod 711 .
	install -d -m 755 bin && cp "$root_of_vauban"/vauban{,-image,-tender,-kernel-process} bin/
	install -d -m 700 -o 54321 -g 54321 home
	user() { timeout -s KILL 200 setpriv --reuid 54321 --regid 54321 --clear-groups env -u XDG_RUNTIME_DIR -u XDG_CACHE_HOME HOME="$PWD/home" PATH="$PWD/bin:$PATH" "$@" 2>&1; }
	is "$(user sh -c 'cd && vauban run busybox id -u')" 54321 "a user with a home and nothing else"
	is "$(ls -A home)" .cache "the cache is in the home"
	is "$(user sh -c 'cd && vauban run -d --name u sleep 1000 && until vauban inspect u | jq -e .lockdown.seccomp >/dev/null; do sleep 0.05; done; vauban inspect u | jq -r "[.lockdown.user_namespace, .lockdown.empty_root, .lockdown.seccomp] | map(tostring) | join(\" \")" ; vauban stop -t 60 u; vauban wait u; vauban rm u')" \
		$'u\ntrue true true\n143' "locked down as for root"
	is "$(user $python "$PWD/forbid.py" newuser=1 -- vauban run busybox echo hello)" hello "a user without user namespaces"
	is "$(user $python "$PWD/forbid.py" newuser=1 -- sh -c 'vauban run -d --name w sleep 1000 >/dev/null; until vauban inspect w | jq -e ".lockdown.seccomp"; do sleep 0.05; done | tail -1; vauban rm -f w')" true "is locked down by the filter"
	is "$("$vauban" ps -aq; user vauban ps -aq)" "" "nobody sees another's cells"
	"$vauban" run -d --name mine /bin/sleep 1000 >/dev/null
	like "$(user vauban kill mine)" 'no cell named mine' "or can kill them"
	like "$(user env XDG_RUNTIME_DIR="$XDG_RUNTIME_DIR" vauban kill mine)" 'no cell named mine' "even by name of the folder"
	"$vauban" rm -f mine
	is "$(ls -A /tmp/vauban-54321/cells)" "" "no record of the user is left"
	rm -rf /tmp/vauban-54321
	eventually "no process either" eval '! pgrep -u 54321' 
else
	skip "other users" "needs root"
fi
is "$(records)" 0 "no cell is left"
finish
