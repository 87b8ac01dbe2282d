/* `vauban kill`: a signal for the program. */
#include "cli/cli.h"

#include <signal.h>

#include "cli/signals.h"
#include "host/error.h"
#include "host/parse.h"
#include "monitor/client.h"

static int kill_cell(int cells_fd, struct cell *cell, void *arg)
{
	struct vb_error err;
	return cell_signal(cell, *(int *)arg, &err) < 0 ? cli_fail(&err, 1) : 0;
}

static int kill_main(int argc, char **argv)
{
	static const struct option longs[] = {{"signal", required_argument, NULL, 's'}, {0}};
	int sig = SIGKILL;
	while (cli_option(&verb_kill, argc, argv, "s:", longs) != -1)
		if (parse_signal(optarg, &sig) < 0)
			cli_usage(&verb_kill, "\"%s\" is no signal", optarg);
	return cli_each_cell(&verb_kill, argv + optind, kill_cell, &sig);
}

const struct verb verb_kill = {
	.name = "kill",
	.arguments = "[-s SIGNAL] CELL...",
	.summary = "send a signal to the program of a cell",
	.help = "  -s, --signal SIGNAL  name or number (KILL)\n"
		"\n"
		"examples:\n"
		"  vauban kill web\n"
		"  vauban kill -s HUP web\n",
	.main = kill_main,
};
