#!/bin/bash
# `vauban variants build`: sets of variants of a project, made by its own build.
. "$(dirname "$0")/lib.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export XDG_CACHE_HOME=$work/cache TMPDIR=$work
mkdir -m 700 "$XDG_CACHE_HOME"
mkdir -p "$work/project/lib" && cd "$work/project" || exit 1
cat >main.c <<'C'
#include <stdio.h>
int twice(int);
int main(int argc, char **argv) { printf("%d %s\n", twice(argc + 20), __FILE__); return 0; }
C
echo 'int twice(int x) { return x > 3 ? x * 2 : x + x; }' >lib/twice.c
cat >Makefile <<'M'
CC = gcc
all: prog lib/libtwice.so
prog: main.o twice.o
	$(CC) -o $@ $^
twice.o: lib/twice.c
	$(CC) -O2 -c -o $@ $<
lib/libtwice.so: lib/twice.c
	$(CC) -O2 -shared -fPIC -o $@ $<
clean:
	rm -f prog *.o lib/*.so
M
ln -s main.c link.c
touch -d '2001-01-01' Makefile

out=$("$vauban" variants build --seeds 7,8 -o ../set -- make -j2 2>&1)
result $? "a set is built" "$out"
is "$(ls ../set | tr '\n' ' ')" "7 8 plain set.json " "it has a folder for each build, and nothing else"
is "$(ls ../set/7 | tr '\n' ' ')" "libtwice.so libtwice.so.map prog prog.map " "of a seed: programs, libraries, maps"
is "$(../set/plain/prog; ../set/7/prog; ../set/8/prog)" "42 main.c
42 main.c
42 main.c" "all do the same"
ok "but are not the same" eval '! cmp -s ../set/7/prog ../set/8/prog && ! cmp -s ../set/7/prog ../set/plain/prog'
is "$(objdump -h ../set/7/prog | grep -c vauban.map)" 0 "the map is taken out of the program"
is "$(jq -c '[.version, .command, (.variants | map(.name)), (.variants[1].files | map([.name, .built_as, .map]))]' ../set/set.json)" \
	'[1,["make","-j2"],["plain","7","8"],[["libtwice.so","lib/libtwice.so",true],["prog","prog",true]]]' "set.json says what was built"
is "$(jq -r '.variants[1].files[1].blake2b_256' ../set/set.json)" "$(b2sum -l 256 ../set/7/prog | cut -d' ' -f1)" "and its digests"
is "$(ls)" "Makefile
lib
link.c
main.c" "the project's own tree is as it was"
at=$(nm ../set/7/prog | sed -n 's/^0*\([0-9a-f]*\) T twice$/\1/p')
like "$("$vauban" demap ../set 7 --program prog "$at")" 'twice' "demap reads the set"
"$vauban" variants build --seeds 8,7 -o ../again -- make 2>/dev/null
ok "the same seeds give the same bytes, whatever their order and -j" eval 'cmp ../set/7/prog ../again/7/prog && cmp ../set/8/libtwice.so ../again/8/libtwice.so'
out=$("$vauban" image build --variants ../set --seed 8 --program prog -o ../image 2>&1 && timeout -s KILL 60 "$vauban" run ../image)
is "$out" "42 main.c" "an image of a variant runs"
like "$("$vauban" image inspect ../image)" 'variant 8 of prog' "its manifest says which one it is"
like "$("$vauban" image build --variants ../set --seed 9 --program prog -o ../image 2>&1)" 'no such variant' "an image of no variant is refused"
ok "a build that isn't make gets CC in its environment" "$vauban" variants build -n 1 --cc clang -o ../shell -- sh -c '$CC -O2 main.c lib/twice.c -o prog'
is "$(cat ../shell/*/prog.map | wc -c | sed 's/^[1-9].*/some/')" some "with maps, from clang too"

ok "files of options are named from here" eval '"$vauban" variants build --seeds 1 --store ../store -o ../stored -- make && test -d ../store/00 -o -d ../store/01 -o -n "$(ls ../store)"'
like "$("$vauban" variants build --seeds 1 -o ../set -- make 2>&1)" 'exists: remove it' "a set that exists is not touched"
like "$("$vauban" variants build --seeds 1,1 -o ../x -- make 2>&1)" 'twice' "a seed that is there twice"
like "$("$vauban" variants build --seeds 1 --seed 2 -o ../x -- make 2>&1)" 'those of --seeds' "--seed has no place here"
like "$("$vauban" variants build --seeds 1 --nonsense -o ../x -- make 2>&1)" 'unknown option --nonsense' "an unknown option"
like "$("$vauban" variants build --seeds 1 -o ../x 2>&1)" 'command that builds is missing' "no command"
like "$("$vauban" variants build --seeds 1 -o ../x -- make nothing 2>&1)" 'failed with status 2: see .*plain.log' "a build that fails: its log is named"
like "$(cat ../x.building/plain.log)" "No rule to make target" "and there"
ok "no half set is left under its name" test ! -e ../x
make -s CC=gcc
like "$("$vauban" variants build --seeds 1 -o ../x -- make 2>&1)" 'built already' "a tree that is built already"
make -s clean
"$vauban" variants build --seeds 1 -o ../killed -- sh -c 'echo >started; sleep 100' 2>/dev/null &
pid=$!
eventually "a build runs" test -e ../killed.building/tree/started
like "$("$vauban" variants build --seeds 1 -o ../killed -- make 2>&1)" 'another' "a second one of the same set is refused"
until_it eval 'pgrep -x -P "$(pgrep -P $pid)" sleep'
sleeper=$(pgrep -x -P "$(pgrep -P $pid)" sleep)
kill -9 $pid
kill "$sleeper" # only its parent's parent was killed
wait $pid 2>/dev/null
eventually "after kill -9 it can be built" "$vauban" variants build --seeds 1 -o ../killed -- make
exit $failed
