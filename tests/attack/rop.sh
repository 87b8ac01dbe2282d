#!/bin/bash
# A ROP exploit that is built for one variant of a server with a hole works on that variant, and on none of the others: natively and in
# cells. TAP. In the nightly suite with a hundred others and the C library diversified: VARIANTS=101 ROP_OPTIONS="--libc musl"
. "$(dirname "$0")/../system/lib.sh"
source=$(dirname "$(realpath "$0")")/rop_server.c
exploit=$(dirname "$vauban")/tests/rop-exploit
variants=()
for ((seed = 1; seed <= ${VARIANTS:-10}; seed++)); do
	# shellcheck disable=SC2086
	if ! "$vauban" cc --seed "$seed" --cc "${ROP_CC:-gcc}" --store "$PWD/store" ${ROP_OPTIONS:-} -O2 -fno-stack-protector -no-pie -static \
		-o "variant$seed" "$source" -lm 2>err; then
		result 1 "variant $seed is built" "$(cat err)"
		finish
	fi
	variants+=("$PWD/variant$seed")
done
is "$(printf '9 b a' | ./variant1 | tail -n 4)" $'9: 3.000\na\nb\nbye' "the server works"

attack() { # attack WHERE COMMAND...: takes over the attack's checks
	local line
	while read -r line; do
		case $line in
		"ok - "*) result 0 "$1: ${line#ok - }" ;;
		"not ok - "*) result 1 "$1: ${line#not ok - }" ;;
		"# "*) echo "# $1: ${line#\# ok - }" ;;
		esac
	done < <("$exploit" "${variants[@]}" "${@:2}")
}
attack natively
attack "in cells" -- "$vauban" run
[ $count = 7 ]
result $? "both attacks were tried to their ends"
finish
