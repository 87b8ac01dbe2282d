#!/bin/bash
# tests/run itself, on fake programs: what counts, what is run again, what it says and how it ends.
. "$(dirname "$0")/lib.sh"
mkdir -p tree/tests/system tree/tests/servers tree/tests/attack tree/build/tests bin
cp "$(dirname "$0")/../run" tree/tests/
printf '#!/bin/sh\n' >bin/ninja
printf '#!/bin/sh\nshift\nexec "$@"\n' >tree/build/vauban # run PROGRAM
chmod +x bin/ninja tree/build/vauban

fake() { # fake PATH: a test, its body from the standard input
	{ echo '#!/bin/bash'; cat; } >"tree/$1"
	chmod +x "tree/$1"
}

runs() { # runs WORD...: the status in $status, the output in $out, its last line in $last
	out=$(PATH=$PWD/bin:$PATH STATE=$PWD/state TEST_TIMEOUT=3 BUILD=$PWD/tree/build tree/tests/run "$@" 2>&1)
	status=$? last=${out##*$'\n'}
	said=$(grep ^unsteady: <<<"$out")
}

fake tests/system/good.t <<<'echo "ok 1 - a"; echo "ok 2 - b"; echo "ok 3 - c # SKIP why"; echo 1..3'
fake build/tests/unit-good <<<'echo "ok 1 - a"'
fake build/tests/guest-good <<<'echo "ok 1 - a"'
runs
is "$last" "4 passed, 0 failed, 1 skipped" "what passes is counted"
is "$status" 0 "and the status says so"
ok "no log of unsteady tests" test ! -e tree/build/unsteady.log

# The file makes each fail the first time only.
fake tests/system/once.t <<<'[ -e "$STATE.once" ] && { echo "ok 1 - a"; echo "ok 2 - b"; exit; }; : >"$STATE.once"; echo "ok 1 - a"; echo "not ok 2 - b"; echo "not ok 3 - c"; exit 1'
fake build/tests/unit-crash <<<'[ -e "$STATE.crash" ] && { echo "ok 1 - a"; exit; }; : >"$STATE.crash"; echo "ok 1 - a"; kill -SEGV $$'
fake build/tests/guest-differs <<<'echo x >>"$STATE.differs"; [ "$(wc -l <"$STATE.differs")" = 2 ] && echo "ok 1 - b" || echo "ok 1 - a"'
fake tests/system/hangs.t <<<'echo "ok 1 - a"; [ -e "$STATE.hangs" ] || { : >"$STATE.hangs"; exec sleep 100; }'
runs
is "$last" "9 passed, 0 failed, 1 skipped" "what fails once is run again and counted"
is "$status" 0 "it does not fail the run"
like "$said" '^unsteady: system/once failed once: not ok 2 - b$' "it is named, with what failed"
like "$said" '^unsteady: system/once failed once: not ok 3 - c$' "all of it"
like "$said" '^unsteady: unit/crash failed once: not ok - ended with status' "a crash"
like "$said" '^unsteady: guest/differs failed once: not ok - output differs' "output unlike the native one"
like "$said" '^unsteady: system/hangs failed once: not ok - timed out after 3 s' "no end"
is "$(cat tree/build/unsteady.log)" "$said" "and in a log of the build folder"
is "$(wc -l <<<"$said")" 5 "each once"

runs good
is "$last" "4 passed, 0 failed, 1 skipped" "words choose tests"
ok "a run without unsteady tests takes the log away" test ! -e tree/build/unsteady.log

fake tests/system/twice.t <<<'echo x >>"$STATE.twice"; echo "ok 1 - a"; echo "not ok 2 - b"; exit 1'
fake build/tests/unit-quiet <<<'exit 0'
runs
is "$last" "10 passed, 2 failed, 1 skipped" "what fails twice has failed"
is "$status" 1 "and fails the run"
is "$said" "" "it is not called unsteady"
like "$out" '^system/twice failed twice$' "but said to have failed twice"
is "$(wc -l <state.twice)" 2 "it is run twice, not more"
rm tree/tests/system/twice.t tree/build/tests/unit-quiet

for i in 1 2 3 4 5 6 7 8 9; do
	fake tests/system/many$i.t <<<'[ -e "$STATE.${0##*/}" ] && { echo "ok 1 - a"; exit; }; : >"$STATE.${0##*/}"; echo "not ok 1 - a"; exit 1'
done
runs many
is "$last" "8 passed, 1 failed" "many failures at once are no race"
is "$status" 1 "and fail the run"
like "$out" "isn't run again" "which is said"
is "$(grep -c . tree/build/unsteady.log)" 8 "the others are logged"
runs nothing-of-that-name
is "$last:$status" "0 passed, 0 failed:1" "no test at all is a failure"
finish
