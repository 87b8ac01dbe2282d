/* `vauban wait`: until a cell ends. */
#include "cli/cli.h"

#include <stdio.h>

#include "host/error.h"
#include "monitor/client.h"

static int wait_cell(int cells_fd, struct cell *cell, void *arg)
{
	struct vb_error err;
	json_t *answer = NULL, *exit = NULL;
	if (cell->alive && !cell->ended && cell_ask(cell, json_pack("{s:s}", "verb", "wait"), -1, &answer, NULL) == 0) {
		exit = answer;
	} else {
		/* It ended meanwhile, or long ago. */
		bool ended;
		answer = cell_record(cell->dir_fd, &ended);
		exit = json_object_get(answer, "exit");
	}
	if (!exit) {
		json_decref(answer);
		vb_error_set(&err, 0, "how the cell %s ended is not known: its monitor was killed, or the disk of its record is full", cell->name);
		return cli_fail(&err, 125);
	}
	int sig = (int)json_integer_value(json_object_get(exit, "signal"));
	printf("%d\n", sig ? 128 + sig : (int)json_integer_value(json_object_get(exit, "status")));
	json_decref(answer);
	return 0;
}

static int wait_main(int argc, char **argv)
{
	cli_option(&verb_wait, argc, argv, "", NULL);
	return cli_each_cell(&verb_wait, argv + optind, wait_cell, NULL);
}

const struct verb verb_wait = {
	.name = "wait",
	.arguments = "CELL...",
	.summary = "wait until cells end and print their exit status",
	.help = "Prints the exit status, 128 + N for a program that was killed by signal N.\n"
		"\n"
		"example: vauban wait job\n",
	.main = wait_main,
};
