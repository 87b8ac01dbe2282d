/* `vauban inspect`: everything that is known of a cell, as JSON. */
#include "cli/cli.h"

#include <stdio.h>

#include "monitor/client.h"

static int add_report(int cells_fd, struct cell *cell, void *arg)
{
	json_array_append_new(arg, cell_report(cell));
	return 0;
}

static int inspect_main(int argc, char **argv)
{
	cli_option(&verb_inspect, argc, argv, "", NULL);
	json_t *reports = json_array();
	int status = cli_each_cell(&verb_inspect, argv + optind, add_report, reports);
	/* One cell is an object, several are an array of them. */
	json_t *shown = argc - optind == 1 ? json_array_get(reports, 0) : reports;
	if (shown) {
		json_dumpf(shown, stdout, JSON_INDENT(2));
		putchar('\n');
	}
	return status;
}

const struct verb verb_inspect = {
	.name = "inspect",
	.arguments = "CELL...",
	.summary = "show all that is known of a cell, as JSON",
	.help = "State, processes, memory, lock-down steps, the host calls that are allowed and used, the program's calls, seconds of "
		"CPU.\n"
		"\n"
		"examples:\n"
		"  vauban inspect web | jq .memory\n"
		"  vauban inspect web | jq '.host_calls.allowed | length'\n",
	.main = inspect_main,
};
