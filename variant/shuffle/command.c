/* `vauban shuffle`: owns its options and the file that is written. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/file.h"
#include "variant/commands.h"
#include "variant/shuffle/shuffle.h"

/* Under its name only when all of it is there. */
static int write_program(const char *path, const uint8_t *bytes, size_t size, mode_t mode, struct vb_error *err)
{
	char temporary[PATH_MAX];
	if (snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path) >= (int)sizeof(temporary))
		return vb_error_set(err, -ENAMETOOLONG, "the name %.40s... is too long", path);
	int fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return vb_error_errno(err, "can't write %s", path);
	int r = fd_write_all(fd, bytes, size);
	if (r == 0 && fchmod(fd, mode) < 0)
		r = -errno;
	if (close(fd) < 0 && r == 0)
		r = -errno;
	if (r == 0 && rename(temporary, path) < 0)
		r = -errno;
	if (r == 0)
		return 0;
	unlink(temporary);
	return vb_error_set(err, r, "can't write %s: %s", path, strerror(-r));
}

enum { OPT_SEED = 1, OPT_QUIET };
static const struct option options[] = {{"seed", required_argument, NULL, OPT_SEED}, {"output", required_argument, NULL, 'o'},
	{"quiet", no_argument, NULL, OPT_QUIET}, {0}};

static int shuffle_main(const struct command *self, int argc, char **argv)
{
	const char *output = NULL;
	bool seeded = false, quiet = false;
	uint64_t seed = 0;
	char *end;
	for (int c; (c = command_option(self, argc, argv, options)) >= 0;) {
		switch (c) {
		case OPT_SEED:
			errno = 0;
			seed = strtoull(optarg, &end, 10);
			seeded = *optarg >= '0' && *optarg <= '9' && !*end && !errno;
			if (!seeded)
				return command_usage(self, "--seed wants a number below 2^64, not \"%s\"", optarg);
			break;
		case 'o':
			output = optarg;
			break;
		case OPT_QUIET:
			quiet = true;
			break;
		}
	}
	if (argc - optind != 1 || !seeded || !output)
		return command_usage(self, argc - optind != 1 ? "name one program"
					   : !seeded          ? "give a seed"
							      : "say where to write it, with -o FILE");
	struct vb_error err;
	struct shuffle s = {0};
	struct stat st;
	int r = binary_load(argv[optind], &s.b, &err);
	if (r == 0)
		r = shuffle_image(&s, seed, &err);
	if (r == 0)
		r = write_program(output, s.new_bytes, s.b.size, stat(argv[optind], &st) == 0 ? st.st_mode & 0777 : 0755, &err);
	if (r == 0 && !quiet)
		fprintf(stderr, "vauban shuffle: %u functions or groups of functions moved, of %zu functions\n", s.moved, s.piece_count);
	shuffle_release(&s);
	return r < 0 ? command_fail(self, &err) : 0;
}

const struct command command_shuffle = {
	.name = "shuffle",
	.arguments = "PROGRAM --seed N -o FILE [--quiet]",
	.about = "reorder the functions of a linked program, without its sources",
	.help = "  --seed N            which order; the same seed gives the same bytes\n"
		"  -o, --output FILE   where to write the result\n"
		"  --quiet             don't say how much was moved\n"
		"\n"
		"The program must have been compiled with -ffunction-sections and linked with -Wl,--emit-relocs, and not be stripped yet.\n"
		"\n"
		"example: gcc -O2 -ffunction-sections main.c -Wl,--emit-relocs -o main && vauban shuffle main --seed 7 -o main.7\n",
	.run = shuffle_main,
};
