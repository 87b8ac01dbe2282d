/* `vauban rm`: forgets cells that have ended. */
#include "cli/cli.h"

#include "cli/signals.h"
#include "host/error.h"
#include "host/log.h"
#include "monitor/client.h"

#define MONITOR_END_MS 3000

static int remove_cell(int cells_fd, struct cell *cell, void *arg)
{
	struct vb_error err;
	if (cell->alive && cell->ended) /* its monitor is about to go */
		cell->alive = cell_await_end(cell, MONITOR_END_MS) < 0;
	if (cell->alive && !*(bool *)arg) {
		log_error("the cell %s is running: `vauban stop %s` first, or use rm -f", cell->name, cell->name);
		return 1;
	}
	if (cell->alive && cell_destroy(cell, &err) < 0)
		return cli_fail(&err, 1);
	registry_forget(cells_fd, cell->name, cell->dir_fd); /* unless another did, and the name is in use again */
	return 0;
}

static int rm_main(int argc, char **argv)
{
	static const struct option longs[] = {{"force", no_argument, NULL, 'f'}, {0}};
	bool force = false;
	while (cli_option(&verb_rm, argc, argv, "f", longs) != -1)
		force = true;
	return cli_each_cell(&verb_rm, argv + optind, remove_cell, &force);
}

const struct verb verb_rm = {
	.name = "rm",
	.arguments = "[-f] CELL...",
	.summary = "forget cells that have ended, their logs included",
	.help = "  -f, --force  kill those that run\n"
		"\n"
		"example: vauban rm -f web\n",
	.main = rm_main,
};
