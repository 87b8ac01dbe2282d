#!/bin/bash
# vauban run from outside: status, arguments, environment, streams, options, bad input.
. "$(dirname "$0")/lib.sh"

# --- status ---
for status in 0 1 7 42 125 255; do
	"$vauban" run sh -c "exit $status"
	is $? $status "exit status $status"
done
for sig in TERM KILL ABRT SEGV USR1 HUP; do
	bash -c '"$0" run sh -c "kill -$1 \$\$"; exit $?' "$vauban" $sig 2>/dev/null
	is $? $((128 + $(kill -l $sig))) "killed by SIG$sig, as a shell sees it"
	is "$(perl -e 'system @ARGV; print $? & 127' "$vauban" run sh -c "kill -$sig \$\$" 2>/dev/null)" "$(kill -l $sig)" "vauban itself ends by SIG$sig"
done

# --- what the program sees ---
is "$("$vauban" run printf '%s|' a 'b c' '' '*')" "a|b c||*|" "arguments arrive as they are"
is "$(X=1 "$vauban" run -e Y=2 -e X=3 -e HOME=/h printenv X Y HOME)" $'3\n2\n/h' "environment: the caller's and -e"
is "$(Z=9 "$vauban" run -e Z printenv Z)" 9 "-e NAME passes a variable on"
is "$(cd /tmp && "$vauban" run pwd)" /tmp "working directory by name"
is "$(cd / && "$vauban" run -w /usr pwd)" /usr "-w"
is "$("$vauban" run id -u)" "$(id -u)" "the caller's user"
is "$("$vauban" run -u 12:34 id -u):$("$vauban" run -u 12:34 id -g)" 12:34 "-u UID:GID"
is "$("$vauban" run --hostname box uname -n)" box "--hostname"
is "$("$vauban" run uname -s)" Linux "uname"
is "$(mkdir -p here && cd here && "$vauban" run pwd 2>&1)" "$PWD/here" "a working directory that the image lacks"

# --- streams ---
is "$(echo input | "$vauban" run cat)" input "standard input from a pipe"
is "$("$vauban" run sh -c 'echo out; echo err >&2' 2>/dev/null)" out "standard output"
is "$("$vauban" run sh -c 'echo out; echo err >&2' 2>&1 >/dev/null)" err "standard error"
head -c 3000000 /dev/urandom >blob
is "$("$vauban" run cat <blob | sha256sum)" "$(sha256sum <blob)" "3 MB through pipes"
"$vauban" run cat <blob >copy
ok "3 MB from file to file" cmp blob copy
printf 'one\ntwo\nthree\n' >lines
is "$({ "$vauban" run head -n 1; cat; } <lines)" "$({ head -n 1; cat; } <lines)" "the position in a file is shared with the caller"
echo first >log
"$vauban" run echo second >>log
is "$(cat log)" $'first\nsecond' "appending to a file"
{ "$vauban" run sh -c 'echo a; echo b >&2; echo c'; } >both 2>&1
is "$(cat both)" $'a\nb\nc' "output and error into one file keep their order"
"$vauban" run yes | head -n 1 >/dev/null
is "${PIPESTATUS[0]}" 141 "SIGPIPE when nobody reads"
is "$("$vauban" run sh -c 'read x; echo "<$x>"' <&-)" "<>" "standard input closed"
"$vauban" run sh -c 'echo x' >&- 2>/dev/null
is $? 1 "standard output closed"
"$vauban" run sh -c 'echo x' >/dev/full 2>/dev/null
is $? 1 "a full disk is the program's to see"

# --- options ---
ok "-m: what fits works" "$vauban" run -m 32M dd if=/dev/zero of=/dev/null bs=8M count=1
"$vauban" run -m 32M perl -e '$x = "x" x 100_000_000' 2>/dev/null
result $((! $?)) "-m: more memory than allowed fails"
is "$(records)" 0 "nothing is left of it"
"$vauban" run --read-only sh -c 'echo x >/etc/x' 2>/dev/null
result $((! $?)) "--read-only refuses writes"
mkdir -p vol && echo hello >vol/file
is "$("$vauban" run -v ./vol:/mnt cat /mnt/file)" hello "-v shows a folder"
"$vauban" run -v ./vol:/mnt sh -c 'echo changed >/mnt/file'
is "$(cat vol/file)" changed "-v: writes arrive"
"$vauban" run -v ./vol:/mnt:ro sh -c 'echo no >/mnt/file' 2>/dev/null
is "$(cat vol/file)" changed "-v :ro refuses writes"
is "$("$vauban" run -v ./vol:/a -v .:/b:ro cat /a/file /b/vol/file)" $'changed\nchanged' "two volumes"

# --- bad input ---
refused() { # refused STATUS PATTERN ARGUMENTS...
	local want=$1 pattern=$2 out
	shift 2
	out=$("$vauban" "$@" 2>&1 </dev/null)
	[ $? = "$want" ] && grep -qE -- "$pattern" <<<"$out" && [ "$(wc -l <<<"$out")" = 1 ]
	result $? "refused with $want: vauban $*" "$out"
}
refused 2 'no verb "frobnicate"' frobnicate
refused 2 'unknown option --nonsense' run --nonsense ls
refused 2 'unknown option -Z' run -Z ls
refused 2 'option -m needs an argument' run -m
refused 2 'name a program or an image' run
refused 2 'is no size' run -m lots ls
refused 2 'from 4M' run -m 1K ls
refused 2 'no platform "kvm"' run --platform kvm ls
refused 2 'no user' run -u root ls
refused 2 'HOSTDIR:DIR' run -v /tmp ls
refused 2 'HOSTDIR:DIR' run -v /tmp:relative ls
refused 2 'absolute' run -w relative ls
refused 2 'is no name' run --name ../x ls
refused 2 '--cpu' run --cpu none ls
refused 2 'NAME=VALUE' run -e =x ls
refused 125 'nonexistent' run -v /nonexistent:/mnt ls
refused 127 'not found' run no-such-program
refused 127 'not found' run /no/such/program
refused 126 'neither executable nor an image' run /etc/passwd
refused 126 '' run /etc
printf 'not an elf' >text && chmod +x text
refused 126 'text' run ./text
head -c 2000 "$(readlink -f "$(command -v ls)")" >cut && chmod +x cut
refused 126 'cut' run ./cut
head -c 100000 /dev/urandom >noise && chmod +x noise
refused 126 'noise' run ./noise
is "$(records)" 0 "nothing is left behind"
finish
