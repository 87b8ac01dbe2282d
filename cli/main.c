/* `vauban`: picks the verb. Everything else is in the verb's own file. */
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/types.h"
#include "cli/cli.h"
#include "host/error.h"
#include "host/file.h"
#include "host/log.h"
#include "host/paths.h"
#include "monitor/client.h"
#include "monitor/monitor.h"

#define OPTION_HELP 1000

static const struct verb *const verbs[] = {&verb_run, &verb_ps, &verb_logs, &verb_inspect, &verb_top, &verb_stop, &verb_kill, &verb_wait,
	&verb_rm, &verb_trace, &verb_debug, &verb_image, &verb_cc, &verb_cxx, &verb_variants, &verb_chaff, &verb_measure, &verb_shuffle, &verb_demap};

static void print_overview(FILE *out)
{
	fputs("Vauban runs ordinary Linux programs, each on its own small kernel in a locked-down process: a cell.\n"
	      "\n"
	      "usage: vauban VERB [OPTIONS] [ARGUMENTS]\n\n",
		out);
	for (unsigned i = 0; i < VB_ARRAY_LEN(verbs); i++)
		fprintf(out, "  %-8s %s\n", verbs[i]->name, verbs[i]->summary);
	fputs("  help     this text; `vauban VERB --help` and vauban-VERB(1) tell more\n"
	      "  version  the version\n"
	      "\n"
	      "example: vauban run -m 64M ls -l /\n",
		out);
}

static void print_help(const struct verb *verb)
{
	printf("usage: vauban %s %s\n%c%s\n\n%s", verb->name, verb->arguments, verb->summary[0] & ~32, verb->summary + 1, verb->help);
}

_Noreturn void cli_usage(const struct verb *verb, const char *fmt, ...)
{
	char text[300];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_error("%s: %s (see `vauban %s --help`)", verb->name, text, verb->name);
	exit(CLI_USAGE_STATUS);
}

int cli_fail(const struct vb_error *err, int status)
{
	log_error("%s", err->text);
	return status;
}

int cli_option(const struct verb *verb, int argc, char **argv, const char *short_options, const struct option *long_options)
{
	char shorts[64];
	struct option longs[32] = {{"help", no_argument, NULL, OPTION_HELP}};
	snprintf(shorts, sizeof(shorts), "+:%s", short_options);
	for (unsigned i = 0; long_options && long_options[i].name && i < VB_ARRAY_LEN(longs) - 2; i++)
		longs[i + 1] = long_options[i];
	opterr = 0;
	int at = optind, c = getopt_long(argc, argv, shorts, longs, NULL);
	if (c == OPTION_HELP) {
		print_help(verb);
		exit(0);
	}
	if (c == ':')
		cli_usage(verb, "option %s needs an argument", argv[at]);
	if (c == '?' && optopt && strncmp(argv[at], "--", 2) != 0)
		cli_usage(verb, "unknown option -%c", optopt);
	if (c == '?')
		cli_usage(verb, "unknown option %s", argv[at]);
	return c;
}

int cli_each_cell(const struct verb *verb, char **names, int (*fn)(int cells_fd, struct cell *cell, void *arg), void *arg)
{
	struct vb_error err;
	int cells_fd, status = 0;
	if (!*names)
		cli_usage(verb, "name a cell (see `vauban ps`)");
	if (registry_open(&cells_fd, &err) < 0)
		return cli_fail(&err, MONITOR_STATUS_FAILED);
	for (; *names; names++) {
		struct cell cell;
		int r = 1;
		if (cell_open(cells_fd, *names, &cell, &err) < 0) {
			cli_fail(&err, 0);
		} else {
			r = fn(cells_fd, &cell, arg);
			cell_close(&cell);
		}
		status = r > status ? r : status;
	}
	close(cells_fd);
	return status;
}

const char *cli_colour(const char *sgr)
{
	static int wanted = -1;
	if (wanted < 0)
		wanted = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
	return wanted ? sgr : "";
}

const char *cli_size(double bytes, char *buf, unsigned size)
{
	static const char units[] = "BKMGTP";
	unsigned unit = 0;
	for (; bytes >= 1000 && units[unit + 1]; unit++)
		bytes /= 1024;
	snprintf(buf, size, unit && bytes < 10 ? "%.1f%c" : "%.0f%c", bytes, units[unit]);
	return buf;
}

/* As the program ended, so that a shell sees the signal. */
static _Noreturn void die_by_signal(int sig)
{
	struct rlimit none = {0, 0};
	sigset_t set;
	setrlimit(RLIMIT_CORE, &none);
	signal(sig, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, sig);
	kill(getpid(), sig);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	_exit(128 + sig); /* those that are ignored by default */
}

static int finish(int status)
{
	if (fflush(stdout) < 0 || ferror(stdout)) {
		log_error("can't write to standard output: %m");
		status = status ? status : 1;
	}
	if (status < 0)
		die_by_signal(-status);
	return status;
}

static bool ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), n = strlen(end);
	return length >= n && !strcmp(text + length - n, end);
}

int main(int argc, char **argv)
{
	paths_init(argv[0]);
	if (fd_hold_standard() < 0) {
		log_error("a standard descriptor is closed, and /dev/null can't be opened in its place: %m");
		return MONITOR_STATUS_FAILED;
	}
	const char *name = argc > 1 ? argv[1] : "", *own = argc ? argv[0] : "";
	if (ends_with(own, "vauban-cc") || ends_with(own, "vauban-c++")) /* symbolic links, where a compiler must be one word */
		return finish((ends_with(own, "cc") ? verb_cc : verb_cxx).main(argc, argv));
	if (!*name) {
		print_overview(stderr);
		return CLI_USAGE_STATUS;
	}
	if (strcmp(name, "help") == 0 && argc > 2) {
		for (unsigned i = 0; i < VB_ARRAY_LEN(verbs); i++) {
			if (strcmp(argv[2], verbs[i]->name) == 0) {
				print_help(verbs[i]);
				return 0;
			}
		}
		name = argv[2];
	} else if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
		print_overview(stdout);
		return 0;
	}
	if (strcmp(name, "version") == 0 || strcmp(name, "--version") == 0) {
		puts("vauban " VAUBAN_VERSION);
		return 0;
	}
	for (unsigned i = 0; i < VB_ARRAY_LEN(verbs) && argc > 1 && name == argv[1]; i++) {
		if (strcmp(name, verbs[i]->name) != 0)
			continue;
		return finish(verbs[i]->main(argc - 1, argv + 1));
	}
	log_error("there is no verb \"%s\" (see `vauban help`)", name);
	return CLI_USAGE_STATUS;
}
