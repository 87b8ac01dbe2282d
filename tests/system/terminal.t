#!/bin/bash
# Terminals: the caller's own and made ones; ^C, ^Z, size, attributes given back.
. "$(dirname "$0")/lib.sh"

on_terminal() { # on_terminal COMMAND: its output, run on a terminal
	timeout -k 2 100 script -qec "$1" /dev/null </dev/null | tr -d '\r'
}

for program in tty stty; do
	"$vauban" run $program --version >/dev/null # makes the image, which it would say on a terminal
done
like "$(on_terminal "'$vauban' run tty")" '/dev/' "standard input is a terminal"
is "$(on_terminal "stty rows 33 cols 99; '$vauban' run stty size")" "33 99" "its size"
is "$(on_terminal "'$vauban' run stty -a | grep -c isig")" 1 "its attributes"
is "$(on_terminal "'$vauban' run stty -echo raw; stty -a | grep -o ' -\?echo ' | head -1 | tr -d ' '")" echo "attributes are given back"
is "$(echo hi | "$vauban" run -t sh -c 'test -t 0 && test -t 1 && echo both' | tr -d '\r' | grep both)" both "-t makes one"
cell=$("$vauban" run -d -t sh -c 'test -t 1 && echo terminal')
"$vauban" wait "$cell" >/dev/null
is "$("$vauban" logs "$cell" | tr -d '\r')" terminal "-d -t"
"$vauban" rm "$cell"

# ^C and ^Z, typed by a program that owns the other end.
cat >type.py <<'P'
import os, pty, signal, sys, time
def until(fd, text, seconds=60):
    got, end = b"", time.time() + seconds
    os.set_blocking(fd, False)
    while text not in got and time.time() < end:
        try: got += os.read(fd, 1000)
        except BlockingIOError: time.sleep(0.01)
        except OSError: break
    return text in got
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], [sys.argv[1], "run", "perl", "-e", '$| = 1; print "ready\n"; sleep 1000'])
assert until(fd, b"ready"), "start"
if sys.argv[2] == "c":
    os.write(fd, b"\x03")
    _, status = os.waitpid(pid, 0)
    print("signal", os.WTERMSIG(status) if os.WIFSIGNALED(status) else "none")
else:
    os.write(fd, b"\x1a")
    _, status = os.waitpid(pid, os.WUNTRACED)
    print("stopped", os.WIFSTOPPED(status))
    os.kill(pid, signal.SIGCONT)
    time.sleep(0.3)
    os.kill(pid, signal.SIGTERM)
    _, status = os.waitpid(pid, 0)
    print("signal", os.WTERMSIG(status) if os.WIFSIGNALED(status) else "none")
P
is "$(timeout -k 2 100 /usr/bin/python3 type.py "$vauban" c 2>&1)" "signal 2" "^C"
is "$(timeout -k 2 100 /usr/bin/python3 type.py "$vauban" z 2>&1)" $'stopped True\nsignal 15' "^Z stops, and it goes on"
is "$(records)" 0 "nothing is left"
finish
