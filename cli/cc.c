/* `vauban cc` and `vauban c++`: their help. The work is in variant/driver.c. */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

#include "variant/driver.h"

#define OPTIONS                                                                                                                            \
	"  --seed N                 which variant: a number below 2^64\n"                                                                  \
	"  --plain                  none: the same steps without transformations\n"                                                        \
	"  --cc gcc|clang|PATH      the compiler that is run (gcc; clang is clang-19)\n"                                                   \
	"  --level fast|full        which transformations, how dense (fast)\n"                                                             \
	"  --[no-]functions         order of functions                 --[no-]data       order of variables\n"                             \
	"  --[no-]padding           bytes between variables            --[no-]blocks     order of basic blocks\n"                          \
	"  --[no-]stack             slots of frames                    --[no-]nops       instructions without effect\n"                    \
	"  --[no-]encodings         other instructions, same effect    --[no-]registers  callee-saved registers\n"                         \
	"  --[no-]traps             traps where no code leads          --[no-]structs    order of fields (clang; off)\n"                   \
	"  --[no-]parameters        order of parameters of functions that one file knows (clang)\n"                                        \
	"  --nop-rate PERCENT       instructions that get a NOP in front\n"                                                                \
	"  --profile FILE           spare the hot code of a run        --profile-generate  count, into $VAUBAN_PROFILE\n"                  \
	"  --map                    note where each instruction went, for `vauban demap`\n"                                                \
	"  --libc musl              the C library as a variant, too, linked statically\n"                                                  \
	"  --libc-source DIR        musl's sources (those of tools/deps)\n"                                                                \
	"  --store DIR              what no seed touches is kept here (in the user's cache)\n"                                             \
	"  --store-size SIZE        at most so much of it (5G); 0: nothing is kept\n"                                                      \
	"  --chaff N --chaff-plan FILE [--supervised]  inject N bugs that can do no harm (clang)\n"                                        \
	"All other arguments are the compiler's. Options can also stand in VAUBAN_CC. A function in section .text.vauban_plain stays\n"    \
	"as it is. Symbolic links named vauban-cc and vauban-c++ are the same as `vauban cc` and `vauban c++`.\n"

static int run(const struct verb *verb, char **argv)
{
	for (char **a = argv + 1; *a; a++) {
		if (!strcmp(*a, "--help")) {
			printf("usage: vauban %s %s\n%c%s\n\n%s", verb->name, verb->arguments, verb->summary[0] & ~32, verb->summary + 1,
				verb->help);
			return 0;
		}
	}
	return driver_main(argv + 1, verb == &verb_cxx);
}

static int cc_main(int argc, char **argv)
{
	return run(&verb_cc, argv);
}

static int cxx_main(int argc, char **argv)
{
	return run(&verb_cxx, argv);
}

const struct verb verb_cc = {
	.name = "cc",
	.arguments = "--seed N [OPTIONS] COMPILER-ARGUMENTS",
	.summary = "compile C as one of many variants that share no layout",
	.help = OPTIONS "\n"
			"examples:\n"
			"  vauban cc --seed 7 -O2 -o hello hello.c\n"
			"  CC='vauban cc --seed 7' ./configure && make\n"
			"  vauban cc --seed 7 --libc musl -O2 -o hello hello.c\n"
			"  vauban cc --seed 8 --cc clang --level full -O2 -c hello.c\n",
	.main = cc_main,
};

const struct verb verb_cxx = {
	.name = "c++",
	.arguments = "--seed N [OPTIONS] COMPILER-ARGUMENTS",
	.summary = "the same for C++",
	.help = OPTIONS "\n"
			"example: CC='vauban cc --seed 7' CXX='vauban c++ --seed 7' cmake -B build\n",
	.main = cxx_main,
};
