/* `vauban trace`: the system calls of a running cell, or of a program from its first. */
#include "cli/cli.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "host/error.h"
#include "monitor/client.h"
#include "monitor/trace.h"

#define TRACE_FAILED_STATUS 1 /* `vauban trace -- PROGRAM` otherwise ends as `vauban run` does */
#define CONNECT_TIMEOUT_MS  5000

static int attach(const char *name, struct trace_printer *printer)
{
	struct vb_error err;
	struct cell cell;
	json_t *answer;
	int cells_fd, fd;
	if (registry_open(&cells_fd, &err) < 0 || cell_open(cells_fd, name, &cell, &err) < 0 ||
		cell_connect(&cell, json_pack("{s:s}", "verb", "trace"), CONNECT_TIMEOUT_MS, &fd, &answer, &err) < 0)
		return cli_fail(&err, TRACE_FAILED_STATUS);
	json_decref(answer);
	if (trace_read(fd, printer))
		return 0;
	vb_error_set(&err, -EPROTO, "%s: the monitor sent what is no trace", name);
	return cli_fail(&err, TRACE_FAILED_STATUS);
}

static int trace_main(int argc, char **argv)
{
	static const struct option long_options[] = {
		{"json", no_argument, NULL, 'j'},
		{"output", required_argument, NULL, 'o'},
		{"calls", required_argument, NULL, 'e'},
		{"summary", no_argument, NULL, 'c'},
		{0},
	};
	struct trace_options options = {.out = stderr};
	const char *output = NULL;
	for (int c; (c = cli_option(&verb_trace, argc, argv, "jo:e:c", long_options)) != -1;) {
		if (c == 'j')
			options.json = true;
		else if (c == 'o')
			output = optarg;
		else if (c == 'e')
			options.only = optarg;
		else
			options.summary = true;
	}
	bool run = !strcmp(argv[optind - 1], "--");
	if (argc - optind < 1 || (!run && argc - optind > 1))
		cli_usage(&verb_trace, "name one cell, or give -- and a program");

	struct vb_error err;
	if (output && !(options.out = fopen(output, "we"))) {
		vb_error_errno(&err, "can't write %s", output);
		return cli_fail(&err, TRACE_FAILED_STATUS);
	}
	struct trace_printer *printer = trace_printer_new(&options);
	if (!printer) {
		vb_error_set(&err, -ENOMEM, "out of memory");
		return cli_fail(&err, TRACE_FAILED_STATUS);
	}
	int status;
	if (run) {
		argv += optind - 1;
		argc -= optind - 1;
		optind = 1;
		argv[0] = "trace";
		status = cli_run(&verb_trace, argc, argv, printer);
	} else {
		status = attach(argv[optind], printer);
	}
	trace_printer_free(printer);
	if (output && fclose(options.out) != 0) {
		vb_error_errno(&err, "can't write %s", output);
		return cli_fail(&err, TRACE_FAILED_STATUS);
	}
	return status;
}

const struct verb verb_trace = {
	.name = "trace",
	.arguments = "[--json] [-c] [-e CALL,...] [-o FILE] CELL | -- [OPTIONS OF run] PROGRAM [ARGS...]",
	.summary = "show the system calls of a cell",
	.help = "  --json            one JSON object a line\n"
		"  -c, --summary     only calls, errors and time of each call, at the end\n"
		"  -e, --calls LIST  only these calls, separated by commas\n"
		"  -o, --output FILE write there instead of to standard error\n"
		"\n"
		"With CELL it follows a running cell until that ends or ^C. With -- it runs the program as `vauban run` does.\n",
	.main = trace_main,
};
