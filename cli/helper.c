/* The verbs that are programs of their own, linked to libraries which would cost every other verb its start: `vauban image`, and what looks
 * into variants. They have their own help. */
#include "cli/cli.h"

#include <limits.h>
#include <unistd.h>

#include "host/error.h"
#include "host/paths.h"
#include "monitor/monitor.h"

/* Becomes the program; argv[0] is the verb, which image's has in its name already. */
static int become(const char *program, char **argv)
{
	char path[PATH_MAX];
	struct vb_error err;
	if (path_helper(program, path, sizeof(path), &err) == 0) {
		execv(path, argv);
		vb_error_errno(&err, "can't start %s", path);
	}
	return cli_fail(&err, MONITOR_STATUS_FAILED);
}

static int image_main(int argc, char **argv)
{
	argv[0] = "vauban-image";
	return become("vauban-image", argv);
}

const struct verb verb_image = {
	.name = "image",
	.arguments = "build|inspect|ls|extract|verify ...",
	.summary = "make and look into images",
	.help = "",
	.main = image_main,
};

static int variant_main(int argc, char **argv)
{
	return become("vauban-variant", argv - 1); /* `vauban` stands in front: the verb is its first argument */
}

const struct verb verb_measure = {
	.name = "measure",
	.arguments = "[OPTIONS] VARIANT VARIANT...",
	.summary = "tell which gadgets survive between variants of a program",
	.help = "",
	.main = variant_main,
};

const struct verb verb_shuffle = {
	.name = "shuffle",
	.arguments = "PROGRAM --seed N -o FILE",
	.summary = "reorder the functions of a linked program, without its sources",
	.help = "",
	.main = variant_main,
};

static int chaff_main(int argc, char **argv)
{
	return become("vauban-chaff", argv);
}

const struct verb verb_chaff = {
	.name = "chaff",
	.arguments = "trace|plan|verify|trigger|watch ...",
	.summary = "find places for bugs that do no harm, and prove them harmless",
	.help = "",
	.main = chaff_main,
};

const struct verb verb_demap = {
	.name = "demap",
	.arguments = "SET SEED ADDRESS... | --backtrace FILE | --core FILE",
	.summary = "translate addresses and crashes of a variant into those of the plain build",
	.help = "",
	.main = variant_main,
};
