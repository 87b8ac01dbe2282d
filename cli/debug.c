/* `vauban debug`: opens a cell to gdb, whose stub is in the cell's kernel. */
#include "cli/cli.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/error.h"
#include "monitor/client.h"

#define DEBUG_FAILED_STATUS 1
#define CONNECT_TIMEOUT_MS  5000

/* The cell's socket for a debugger, made by its monitor when asked. */
static int debug_socket(const char *name, char *path, size_t size, struct vb_error *err)
{
	struct cell cell;
	json_t *answer;
	const char *runtime_dir;
	int cells_fd, r;
	if ((r = registry_runtime_dir(&runtime_dir, err)) < 0 || (r = registry_open(&cells_fd, err)) < 0 ||
		(r = cell_open(cells_fd, name, &cell, err)) < 0 ||
		(r = cell_ask(&cell, json_pack("{s:s}", "verb", "debug"), CONNECT_TIMEOUT_MS, &answer, err)) < 0)
		return r;
	const char *file = json_string_value(json_object_get(answer, "socket"));
	snprintf(path, size, "%s/cells/%s/%s", runtime_dir, name, file ? file : "debug");
	json_decref(answer);
	return 0;
}

static int gdb_exec(const char *path, char **arguments, int count)
{
	char target[PATH_MAX + 32];
	struct vb_error err;
	const char **argv = calloc((size_t)count + 10, sizeof(*argv));
	snprintf(target, sizeof(target), "target remote %s", path);
	if (argv) {
		const char *const fixed[] = {
			"gdb", "-q", "-iex", "set sysroot target:", "-iex", "set debuginfod enabled off", "-ex", target};
		memcpy(argv, fixed, sizeof(fixed));
		memcpy(argv + sizeof(fixed) / sizeof(fixed[0]), arguments, (size_t)count * sizeof(*arguments));
		execvp("gdb", (char **)argv);
	}
	if (errno == ENOENT)
		vb_error_set(&err, -ENOENT, "gdb is not installed (Debian: apt install gdb); any gdb can say: %s", target);
	else
		vb_error_errno(&err, "can't run gdb");
	return cli_fail(&err, DEBUG_FAILED_STATUS);
}

static int debug_main(int argc, char **argv)
{
	static const struct option long_options[] = {{"gdb", no_argument, NULL, 'g'}, {0}};
	bool gdb = false;
	while (cli_option(&verb_debug, argc, argv, "g", long_options) != -1)
		gdb = true;
	if (argc - optind < 1 || (!gdb && argc - optind > 1))
		cli_usage(&verb_debug, "name one cell");

	struct vb_error err;
	char path[PATH_MAX];
	if (debug_socket(argv[optind], path, sizeof(path), &err) < 0)
		return cli_fail(&err, DEBUG_FAILED_STATUS);
	if (gdb)
		return gdb_exec(path, argv + optind + 1, argc - optind - 1);
	printf("gdb -iex 'set sysroot target:' -ex 'target remote %s'\n", path);
	return 0;
}

const struct verb verb_debug = {
	.name = "debug",
	.arguments = "[--gdb] CELL [GDB ARGUMENTS...]",
	.summary = "open a cell to gdb",
	.help = "  -g, --gdb   run gdb on the cell; what follows CELL goes to gdb\n"
		"\n"
		"Without --gdb it prints the command that connects. The cell stops when gdb connects and goes on when gdb\n"
		"detaches. `vauban run --debug-wait` starts a program that waits for gdb before its first instruction.\n",
	.main = debug_main,
};
