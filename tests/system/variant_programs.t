#!/bin/bash
# A sample of tests/programs/run, the nightly suite: two real programs as variants pass their own suites.
. "$(dirname "$0")/lib.sh"
root=$(realpath "$(dirname "$0")/../..")
sample() { # sample PROGRAM COMPILER
	local out
	out=$(BUILD=$(dirname "$vauban") KEEP=$PWD/logs SEEDS=1-2 CC=$2 LEVELS=-O2 "$root/tests/programs/run" "$1" 2>&1)
	is "$(tail -n 1 <<<"$out")" "2 passed, 0 failed" "$1 by $2, two seeds"
	[ $failed = 0 ] || { echo "$out"; tail -n 20 logs/*; } | sed 's/^/# /' | head -60
}
sample zlib clang
sample lua gcc
finish
