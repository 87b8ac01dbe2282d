/* The command line: one file a verb, listed in cli/main.c. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdbool.h>

#include <getopt.h>

struct cell;
struct vb_error;

#define CLI_USAGE_STATUS 2

struct verb {
	const char *name;
	const char *arguments;              /* after the name, in the usage line */
	const char *summary;                /* one line, for `vauban help` */
	const char *help;                   /* options and examples */
	int (*main)(int argc, char **argv); /* argv[0] is the verb; the exit status, or -N: end by signal N */
};

extern const struct verb verb_cc, verb_cxx, verb_variants;
extern const struct verb verb_run, verb_ps, verb_logs, verb_inspect, verb_stop, verb_kill, verb_rm, verb_wait, verb_top, verb_trace,
	verb_debug, verb_image, verb_chaff, verb_measure, verb_shuffle, verb_demap;

/* The next option, as getopt_long() does it: stops at the first argument that is none, handles --help, and ends the
 * process with status 2 after naming an option that is unknown or lacks its argument. short_options without '+' and ':'. */
int cli_option(const struct verb *verb, int argc, char **argv, const char *short_options, const struct option *long_options);
/* Ends the process: "vauban VERB: ..." and a hint, status 2. */
_Noreturn void cli_usage(const struct verb *verb, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* "vauban: ..." on stderr; returns status. */
int cli_fail(const struct vb_error *err, int status);

/* Opens the registry and calls fn for each name; the exit status is the worst. Needs at least one name. */
int cli_each_cell(const struct verb *verb, char **names, int (*fn)(int cells_fd, struct cell *cell, void *arg), void *arg);
/* SGR sequence for a terminal, "" if stdout is none or NO_COLOR is set. */
const char *cli_colour(const char *sgr);
/* "12.3M" in buf. */
const char *cli_size(double bytes, char *buf, unsigned size);

/* cli/run.c: the status as verb.main() gives it. Shared with `vauban trace -- PROGRAM`: runs what argv names after options. trace may be NULL. */
struct trace_printer;
int cli_run(const struct verb *verb, int argc, char **argv, struct trace_printer *trace);

#endif
