/* `vauban variants build`: its options. The work is in variant/variants.c. */
#include "cli/cli.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "host/error.h"
#include "host/log.h"
#include "host/parse.h"
#include "variant/options.h"
#include "variant/variants.h"

enum { STATUS_FAILED = 1 };

struct arguments_of_build {
	struct variants_request request;
	uint64_t seeds[VARIANTS_MAX];
	char *options[64];
	unsigned option_count;
	long wanted; /* -n; 0: not given */
};

static void take_seeds(struct arguments_of_build *b, char *list)
{
	for (char *save = NULL, *word; (word = strtok_r(list, ",", &save)); list = NULL) {
		char *end;
		errno = 0;
		uint64_t seed = strtoull(word, &end, 10);
		if (*word < '0' || *word > '9' || *end || errno)
			cli_usage(&verb_variants, "--seeds wants numbers below 2^64 with commas between, not \"%s\"", word);
		for (size_t i = 0; i < b->request.count; i++)
			if (b->seeds[i] == seed)
				cli_usage(&verb_variants, "seed %s is there twice: two variants must differ", word);
		if (b->request.count == VARIANTS_MAX)
			cli_usage(&verb_variants, "at most %d variants", VARIANTS_MAX);
		b->seeds[b->request.count++] = seed;
	}
}

/* The rest of -n: seeds that nobody can guess. */
static int draw_seeds(struct arguments_of_build *b)
{
	for (; (long)b->request.count < b->wanted; b->request.count++)
		if (getrandom(&b->seeds[b->request.count], sizeof(*b->seeds), 0) != sizeof(*b->seeds))
			return -errno;
	return 0;
}

static void add_option(struct arguments_of_build *b, char *text)
{
	if (strpbrk(text, " \t\n"))
		cli_usage(&verb_variants, "%s: blanks can't be part of CC", text);
	if (b->option_count == sizeof(b->options) / sizeof(*b->options) - 1)
		cli_usage(&verb_variants, "too many options");
	b->options[b->option_count++] = text;
}

/* Files are named as seen from here, but the compiler runs in folders of the copy. */
static char *from_here(char *option)
{
	static const char *const names[] = {"--store", "--libc-source", "--profile", "--chaff-plan"};
	char cwd[PATH_MAX], *text;
	for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++) {
		size_t length = strlen(names[i]);
		if (strncmp(option, names[i], length) != 0 || option[length] != '=' || option[length + 1] == '/')
			continue;
		if (!getcwd(cwd, sizeof(cwd)) || asprintf(&text, "%s=%s/%s", names[i], cwd, option + length + 1) < 0)
			cli_usage(&verb_variants, "%s: name it from the root", option);
		return text; /* lives as long as we */
	}
	return option;
}

/* What isn't ours is for vauban cc, which shall not find out only in the midst of a build that it is wrong. */
static unsigned take_cc_option(struct arguments_of_build *b, char **argv)
{
	struct variant_options options;
	struct vb_error err;
	unsigned taken = 1;
	variant_options_init(&options);
	if (!strncmp(argv[0], "--cc=", 5) || (!strcmp(argv[0], "--cc") && argv[1])) {
		taken = argv[0][4] ? 1 : 2;
	} else {
		int r = variant_options_parse(&options, argv, &err);
		if (r < 0)
			cli_usage(&verb_variants, "%s", err.text);
		if (r == 0)
			cli_usage(&verb_variants, "unknown option %s", argv[0]);
		if (options.seeded || options.plain)
			cli_usage(&verb_variants, "%s: the seeds are those of --seeds, and the plain build is always made", argv[0]);
		taken = (unsigned)r;
	}
	char *joined = argv[0];
	if (taken == 2 && asprintf(&joined, "%s=%s", argv[0], argv[1]) < 0)
		cli_usage(&verb_variants, "out of memory");
	add_option(b, from_here(joined));
	return taken;
}

static void take_arguments(struct arguments_of_build *b, char **argv)
{
	while (*argv && strcmp(*argv, "--") != 0) {
		if ((!strcmp(*argv, "-n") || !strcmp(*argv, "-o") || !strcmp(*argv, "--seeds")) && !argv[1])
			cli_usage(&verb_variants, "option %s needs an argument", *argv);
		if (!strcmp(*argv, "-n")) {
			if (parse_number(argv[1], 1, VARIANTS_MAX, &b->wanted) < 0)
				cli_usage(&verb_variants, "-n wants a number from 1 to %d, not \"%s\"", VARIANTS_MAX, argv[1]);
			argv += 2;
		} else if (!strcmp(*argv, "-o")) {
			b->request.set = argv[1];
			argv += 2;
		} else if (!strcmp(*argv, "--seeds") || !strncmp(*argv, "--seeds=", 8)) {
			bool joined = argv[0][7];
			take_seeds(b, joined ? argv[0] + 8 : argv[1]);
			argv += joined ? 1 : 2;
		} else {
			argv += take_cc_option(b, argv);
		}
	}
	b->request.command = *argv ? argv + 1 : argv;
}

static int variants_main(int argc, char **argv)
{
	static struct arguments_of_build b;
	struct vb_error err;
	if (argc > 1 && strcmp(argv[1], "build") != 0)
		cli_option(&verb_variants, argc, argv, "", NULL); /* --help */
	if (argc < 2 || strcmp(argv[1], "build") != 0)
		cli_usage(&verb_variants, "what? there is `vauban variants build`");
	if (argc > 2 && !strcmp(argv[2], "--help"))
		cli_option(&verb_variants, argc - 1, argv + 1, "", NULL);
	take_arguments(&b, argv + 2);
	if (!b.request.set)
		cli_usage(&verb_variants, "-o SET is missing: the folder to make");
	if (!*b.request.command)
		cli_usage(&verb_variants, "the command that builds is missing: -- make, for example");
	if (!b.wanted && !b.request.count)
		cli_usage(&verb_variants, "how many? give -n N or --seeds");
	if (b.wanted && (long)b.request.count > b.wanted)
		cli_usage(&verb_variants, "-n %ld, but %zu seeds", b.wanted, b.request.count);
	if (draw_seeds(&b) < 0) {
		log_error("variants: can't get random seeds: %m");
		return STATUS_FAILED;
	}
	b.request.seeds = b.seeds;
	b.request.options = b.options;
	return variants_build(&b.request, &err) < 0 ? cli_fail(&err, STATUS_FAILED) : 0;
}

const struct verb verb_variants = {
	.name = "variants",
	.arguments = "build -n N [--seeds N,N...] [--cc gcc|clang] [OPTIONS of vauban cc] -o SET -- COMMAND...",
	.summary = "run a project's own build once for each seed",
	.help = "  -n N              how many variants; those without a seed get a random one\n"
		"  --seeds N,N...    their seeds\n"
		"  -o SET            the folder to make; it must not exist\n"
		"Other options are those of `vauban cc`. COMMAND runs in a fresh copy of the current folder, once for the plain build and once for\n"
		"each seed, with CC and CXX in its environment and, if it is make, as variables of make. The programs and shared libraries that it makes\n"
		"come to SET/plain and SET/SEED, with NAME.map for `vauban demap` beside each; SET/set.json says what was built.\n"
		"\n"
		"examples:\n"
		"  vauban variants build -n 3 -o set -- make -j4\n"
		"  vauban variants build --seeds 1,2 --libc musl -o set -- sh -c './configure && make'\n"
		"  vauban image build --variants set --seed 2 --program server -o server.img\n",
	.main = variants_main,
};
