/* `vauban ps`: the cells of this user. */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "host/error.h"
#include "monitor/client.h"
#include "monitor/monitor.h"

struct listing {
	bool all, quiet;
	json_t *cells;
};

static int add_cell(struct cell *cell, void *arg)
{
	struct listing *l = arg;
	if (cell->alive || l->all)
		json_array_append_new(l->cells, cell_report(cell));
	return 0;
}

static const char *text_of(json_t *cell, const char *key)
{
	const char *s = json_string_value(json_object_get(cell, key));
	return s ? s : "-";
}

static void print_age(json_int_t started, char *buf, size_t size)
{
	long s = (long)(time(NULL) - started);
	if (s < 0 || !started)
		snprintf(buf, size, "-");
	else if (s < 100)
		snprintf(buf, size, "%lds", s);
	else if (s < 6000)
		snprintf(buf, size, "%ldm", s / 60);
	else
		snprintf(buf, size, "%ldh", s / 3600);
}

static void print_cell(json_t *cell)
{
	const char *state = text_of(cell, "state");
	const char *colour = strcmp(state, "running") == 0 ? "\033[32m" : strcmp(state, "dead") == 0 ? "\033[31m" : "";
	char status[40], age[32], memory[16] = "-", program[4096]; /* the image's word for it */
	json_t *exit = json_object_get(cell, "exit"), *used = json_object_get(json_object_get(cell, "memory"), "used");
	snprintf(status, sizeof(status), "%.20s", state);
	if (exit && json_integer_value(json_object_get(exit, "signal")))
		snprintf(status, sizeof(status), "exited (signal %d)", (int)json_integer_value(json_object_get(exit, "signal")));
	else if (exit)
		snprintf(status, sizeof(status), "exited (%d)", (int)json_integer_value(json_object_get(exit, "status")));
	if (used && !exit)
		cli_size((double)json_integer_value(used), memory, sizeof(memory));
	snprintf(program, sizeof(program), "%s", text_of(cell, "program"));
	print_age(json_integer_value(json_object_get(cell, "started_unix")), age, sizeof(age));
	printf("%-24s %s%-18s%s %7d %6s %6s  %s\n", text_of(cell, "name"), cli_colour(colour), status, cli_colour("\033[0m"),
		(int)json_integer_value(json_object_get(cell, "tender_pid")), memory, age, printable(program));
}

static int ps_main(int argc, char **argv)
{
	static const struct option longs[] = {
		{"all", no_argument, NULL, 'a'}, {"json", no_argument, NULL, 'j'}, {"quiet", no_argument, NULL, 'q'}, {0}};
	struct listing l = {.cells = json_array()};
	struct vb_error err;
	bool json = false;
	int cells_fd;
	for (int c; (c = cli_option(&verb_ps, argc, argv, "ajq", longs)) != -1;) {
		l.all |= c == 'a';
		l.quiet |= c == 'q';
		json |= c == 'j';
	}
	if (optind < argc)
		cli_usage(&verb_ps, "takes no arguments");
	if (registry_open(&cells_fd, &err) < 0 || cells_each(cells_fd, add_cell, &l, &err) < 0)
		return cli_fail(&err, MONITOR_STATUS_FAILED);
	if (json) {
		json_dumpf(l.cells, stdout, JSON_INDENT(2));
		putchar('\n');
		return 0;
	}
	if (!l.quiet)
		printf("%s%-24s %-18s %7s %6s %6s  %s%s\n", cli_colour("\033[1m"), "NAME", "STATE", "PID", "MEMORY", "AGE", "PROGRAM",
			cli_colour("\033[0m"));
	size_t i;
	json_t *cell;
	json_array_foreach(l.cells, i, cell)
	{
		if (l.quiet)
			puts(text_of(cell, "name"));
		else
			print_cell(cell);
	}
	return 0;
}

const struct verb verb_ps = {
	.name = "ps",
	.arguments = "[-a] [-q] [--json]",
	.summary = "list the cells",
	.help = "  -a, --all    also those that have ended\n"
		"  -q, --quiet  only names\n"
		"      --json   everything that is known, as a JSON array\n"
		"\n"
		"examples:\n"
		"  vauban ps\n"
		"  vauban ps -a --json | jq '.[].name'\n"
		"  vauban rm $(vauban ps -aq)\n",
	.main = ps_main,
};
