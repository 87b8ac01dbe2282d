/* `vauban top`: the running cells and what they use, over and over. */
#include "cli/cli.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "host/error.h"
#include "host/parse.h"
#include "monitor/client.h"
#include "monitor/monitor.h"

struct sample {
	json_t *before, *now; /* name -> CPU seconds */
	double seconds;       /* between them */
};

static int show_cell(struct cell *cell, void *arg)
{
	struct sample *s = arg;
	char used[16], limit[16];
	if (!cell->alive)
		return 0;
	json_t *report = cell_report(cell), *memory = json_object_get(report, "memory");
	double cpu = json_number_value(json_object_get(report, "cpu_seconds"));
	json_t *before = json_object_get(s->before, cell->name);
	json_object_set_new(s->now, cell->name, json_real(cpu));
	const char *state = json_string_value(json_object_get(report, "state"));
	cli_size((double)json_integer_value(json_object_get(memory, "used")), used, sizeof(used));
	cli_size((double)json_integer_value(json_object_get(memory, "limit")), limit, sizeof(limit));
	printf("%-24s %-10s %7d %6.1f %9.2f %7s %7s %7lld\n", cell->name, state ? state : "-",
		(int)json_integer_value(json_object_get(report, "tender_pid")),
		before && s->seconds > 0 ? (cpu - json_real_value(before)) / s->seconds * 100 : 0.0, cpu, used, limit,
		(long long)json_integer_value(json_object_get(report, "threads")));
	json_decref(report);
	return 0;
}

static int top_main(int argc, char **argv)
{
	static const struct option longs[] = {{"delay", required_argument, NULL, 'd'}, {"count", required_argument, NULL, 'n'}, {0}};
	bool terminal = isatty(STDOUT_FILENO);
	long delay = 2, count = terminal ? 0 : 1;
	struct vb_error err;
	int cells_fd;
	for (int c; (c = cli_option(&verb_top, argc, argv, "d:n:", longs)) != -1;)
		if (parse_number(optarg, 1, 1000000, c == 'd' ? &delay : &count) < 0)
			cli_usage(&verb_top, "\"%s\" is no positive number", optarg);
	if (optind < argc)
		cli_usage(&verb_top, "takes no arguments");
	if (registry_open(&cells_fd, &err) < 0)
		return cli_fail(&err, MONITOR_STATUS_FAILED);

	struct sample s = {.before = json_object()};
	for (long round = 1;; round++) {
		s.now = json_object();
		printf("%s%s%-24s %-10s %7s %6s %9s %7s %7s %7s%s\n", terminal ? "\033[H\033[J" : "", cli_colour("\033[1m"), "NAME",
			"STATE", "PID", "CPU%", "CPU s", "MEMORY", "LIMIT", "THREADS", cli_colour("\033[0m"));
		if (cells_each(cells_fd, show_cell, &s, &err) < 0)
			return cli_fail(&err, MONITOR_STATUS_FAILED);
		fflush(stdout);
		if (round == count)
			return 0;
		poll(NULL, 0, (int)delay * 1000);
		s.seconds = (double)delay;
		json_decref(s.before);
		s.before = s.now;
	}
}

const struct verb verb_top = {
	.name = "top",
	.arguments = "[-d SECONDS] [-n TIMES]",
	.summary = "show what the running cells use, again and again",
	.help = "  -d, --delay SECONDS  between two looks (2)\n"
		"  -n, --count TIMES    end after so many (on a terminal never, else 1)\n"
		"\n"
		"example: vauban top -d 1\n",
	.main = top_main,
};
