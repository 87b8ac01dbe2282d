/* `vauban stop`: an orderly end. */
#include "cli/cli.h"

#include <signal.h>
#include <stdio.h>

#include "cli/signals.h"
#include "host/error.h"
#include "host/parse.h"
#include "monitor/client.h"

static int stop_cell(int cells_fd, struct cell *cell, void *arg)
{
	long seconds = *(long *)arg;
	struct vb_error err;
	if (!cell->alive)
		return 0;
	if (cell_signal(cell, SIGTERM, &err) == 0 && cell_await_end(cell, (int)(seconds * 1000)) == 0)
		return 0;
	return cell_destroy(cell, &err) < 0 ? cli_fail(&err, 1) : 0;
}

static int stop_main(int argc, char **argv)
{
	static const struct option longs[] = {{"time", required_argument, NULL, 't'}, {0}};
	long seconds = 10;
	while (cli_option(&verb_stop, argc, argv, "t:", longs) != -1)
		if (parse_number(optarg, 0, 1000000, &seconds) < 0)
			cli_usage(&verb_stop, "\"%s\" is no number of seconds", optarg);
	return cli_each_cell(&verb_stop, argv + optind, stop_cell, &seconds);
}

const struct verb verb_stop = {
	.name = "stop",
	.arguments = "[-t SECONDS] CELL...",
	.summary = "end cells: SIGTERM, and SIGKILL if that does not help",
	.help = "  -t, --time SECONDS  how long the program has after SIGTERM (10)\n"
		"\n"
		"example: vauban stop -t 2 web\n",
	.main = stop_main,
};
