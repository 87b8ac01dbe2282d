#!/bin/bash
# Hosts of several kinds: another user, no user namespaces, no /proc, no place for records.
. "$(dirname "$0")/lib.sh"

works() { # works NAME COMMAND...: the command in front of vauban makes the host
	local name=$1
	shift
	is "$("$@" "$vauban" run echo hello 2>&1)" hello "$name"
}

ok "as this user" "$vauban" run true
if [ "$(id -u)" = 0 ]; then
	other=$PWD/other
	install -d -m 700 -o 65534 -g 65534 "$other" "$other/run" "$other/cache"
	chmod 711 "$PWD"
	# The build folder may lie where others can't look.
	cp "$vauban"* "$other/" 2>/dev/null
	chmod 755 "$other"
	as_nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups env XDG_RUNTIME_DIR="$other/run" XDG_CACHE_HOME="$other/cache")
	vauban=$other/$(basename "$vauban")
	works "as an unprivileged user" "${as_nobody[@]}"
	"${as_nobody[@]}" "$vauban" run -d --name n sleep 1000 >/dev/null
	becomes true "locked down as well" eval '"${as_nobody[@]}" "$vauban" inspect n | jq .lockdown.seccomp'
	"${as_nobody[@]}" "$vauban" rm -f n
	is "$(ls "$other/run/vauban/cells")" "" "nothing is left"
	if unshare --mount true 2>/dev/null && unshare --user --map-root-user true 2>/dev/null; then
		# Who is in a chroot may not make a user namespace.
		mkdir root
		is "$(unshare --mount sh -c 'mount --rbind / root && exec chroot root "$@"' sh "${as_nobody[@]}" \
			sh -c 'unshare --user true 2>/dev/null && echo not forbidden; exec "$0" run echo hello' "$vauban" 2>&1)" hello "without user namespaces"
		is "$(unshare --user --map-root-user "$vauban" run echo hello 2>&1)" hello "as the root of a user namespace that knows no other user"
		is "$(unshare --mount sh -c 'umount -l /proc && exec "$0" run echo hello' "$vauban" 2>&1)" hello "without /proc"
		is "$(unshare --mount sh -c 'umount -l /sys; exec "$0" run --cpu 0.5 echo hello' "$vauban" 2>&1)" hello "without /sys: a CPU limit all the same"
	else
		skip "without user namespaces, /proc, /sys" "this host refuses namespaces, so that such hosts can't be made"
	fi
	vauban=${VAUBAN:-$vauban}
else
	skip "as another user" "needs root"
fi

out=$(XDG_RUNTIME_DIR=/proc/nowhere "$vauban" run echo hello 2>&1)
is "$out" hello "in the foreground a cell does without a record"
out=$(XDG_RUNTIME_DIR=/proc/nowhere "$vauban" run -d echo hello 2>&1)
is $? 125 "in the background it does not"
like "$out" 'XDG_RUNTIME_DIR' "and what to do is said"
mkdir -m 777 open open/vauban && chmod 777 open/vauban
out=$(XDG_RUNTIME_DIR=$PWD/open "$vauban" ps 2>&1)
is $? 125 "a folder that others can write to is refused"
is "$(env -i "$vauban" run /bin/echo hello)" hello "an empty environment"
is "$( (ulimit -n 64; "$vauban" run echo hello) 2>&1)" hello "few descriptors"
is "$( (ulimit -s 256; "$vauban" run echo hello) 2>&1)" hello "a small stack"
"$vauban" run echo hello >/dev/null 2>&1 3</dev/null 9</dev/null 200</dev/null
is $? 0 "with descriptors of the caller open"
is "$( (exec "$vauban" run ls /proc/self/fd 9</dev/null) 2>&1 | grep -c '^9$')" 0 "which the program does not get"
finish
