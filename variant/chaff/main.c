/* vauban-chaff: all of `vauban chaff`, and the proofs that `vauban cc` asks for. A program of its own, since it needs z3. Owns the
 * table of verbs; and `trace`, which only sets the environment of the traced program. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <limits.h>

#include "base/types.h"
#include "host/file.h"
#include "variant/chaff/chaff.h"

static const struct chaff_verb *const verbs[] = {
	&chaff_trace, &chaff_plan_verb, &chaff_verify, &chaff_trigger, &chaff_watch, &chaff_prove_verb, &chaff_seal};

#define OPTION_HELP 1000

static void overview(FILE *out)
{
	fputs("usage: vauban chaff VERB ...\nBugs that can't be exploited, to waste an attacker's time: found by taint, injected by "
	      "`vauban cc`, proved on the machine code.\n\n",
		out);
	for (unsigned v = 0; v < VB_ARRAY_LEN(verbs); v++)
		fprintf(out, "  %-8s %s\n", verbs[v]->name, verbs[v]->about);
	fputs("\nexample:\n"
	      "  make CC='vauban cc --cc clang --chaff-trace' && cp minigzip traced && make clean\n"
	      "  vauban chaff trace --input sample.gz -o trace -- ./traced -d <sample.gz >/dev/null\n"
	      "  vauban chaff plan -n 40 -o plan trace\n"
	      "  make CC='vauban cc --cc clang --seed 7 --chaff 40 --chaff-plan plan'\n"
	      "  vauban chaff verify minigzip plan\n"
	      "`vauban chaff VERB --help` and vauban-chaff(1) tell more.\n",
		out);
}

int chaff_option(const struct chaff_verb *self, int argc, char **argv, const struct option *options)
{
	struct option all[16] = {{"help", no_argument, NULL, OPTION_HELP}};
	for (unsigned i = 0; options[i].name && i < VB_ARRAY_LEN(all) - 2; i++)
		all[i + 1] = options[i];
	opterr = 0;
	int at = optind, c = getopt_long(argc, argv, "+:n:o:", all, NULL);
	if (c == OPTION_HELP) {
		printf("usage: vauban chaff %s %s\n%c%s\n\n%s", self->name, self->arguments, self->about[0] & ~32, self->about + 1,
			self->help);
		exit(fflush(stdout) ? CHAFF_FAILED : CHAFF_OK);
	}
	if (c == ':')
		exit(chaff_usage(self, "option %s needs an argument", argv[at]));
	if (c == '?')
		exit(chaff_usage(self, "unknown option %s", argv[at]));
	return c;
}

int chaff_fail(const struct chaff_verb *self, const struct vb_error *err)
{
	fprintf(stderr, "vauban chaff %s: %s\n", self->name, err->text);
	return CHAFF_FAILED;
}

int chaff_usage(const struct chaff_verb *self, const char *fmt, ...)
{
	char text[400];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fprintf(stderr, "vauban chaff %s: %s\nusage: vauban chaff %s %s (see `vauban chaff %s --help`)\n", self->name, printable(text),
		self->name, self->arguments, self->name);
	return CHAFF_USAGE;
}

static int run_trace(const struct chaff_verb *self, int argc, char **argv)
{
	static const struct option options[] = {{"input", required_argument, NULL, 'i'}, {"as", required_argument, NULL, 'a'}, {0}};
	const char *input = NULL, *out = NULL, *as = "file";
	char path[PATH_MAX], trace[PATH_MAX];
	struct vb_error err;
	for (int c; (c = chaff_option(self, argc, argv, options)) >= 0;) {
		if (c == 'i')
			input = optarg;
		else if (c == 'a')
			as = optarg;
		else if (c == 'o')
			out = optarg;
	}
	if (!input || !out || optind == argc)
		return chaff_usage(self, "name the input, the trace and the program");
	if (strcmp(as, "file") && strcmp(as, "stdin") && strcmp(as, "socket"))
		return chaff_usage(self, "input comes as file, stdin or socket, not as \"%s\"", as);
	if (!realpath(input, path)) {
		vb_error_errno(&err, "%s", input);
		return chaff_fail(self, &err);
	}
	if (out[0] == '/' || !getcwd(trace, sizeof(trace)))
		trace[0] = 0;
	size_t used = strlen(trace);
	snprintf(trace + used, sizeof(trace) - used, "%s%s", used ? "/" : "", out);
	setenv("VAUBAN_CHAFF_SAMPLE", path, 1);
	setenv("VAUBAN_CHAFF_INPUT", !strcmp(as, "file") ? path : !strcmp(as, "stdin") ? "-" : "socket", 1);
	setenv("VAUBAN_CHAFF_TRACE", trace, 1);
	unlink(trace);
	execvp(argv[optind], argv + optind);
	vb_error_errno(&err, "can't start %s", argv[optind]);
	return chaff_fail(self, &err);
}

const struct chaff_verb chaff_trace = {"trace", "--input FILE -o TRACE [--as file|stdin|socket] -- PROGRAM [ARGUMENT]...",
	"run a program built with --chaff-trace on a sample input",
	"  --input FILE   the sample; what the program reads of this file is followed through it\n"
	"  --as HOW       how the bytes of FILE come: `file` (also as stdin that is the file), `stdin` (a pipe), `socket`\n"
	"  -o TRACE       where to write what was found\n"
	"example: vauban chaff trace --input a.gz -o trace -- ./minigzip -d <a.gz >/dev/null\n",
	run_trace};

int main(int argc, char **argv)
{
	if (fd_hold_standard() < 0)
		return CHAFF_FAILED;
	for (unsigned v = 0; argc > 1 && v < VB_ARRAY_LEN(verbs); v++) {
		if (strcmp(argv[1], verbs[v]->name) != 0)
			continue;
		int status = verbs[v]->run(verbs[v], argc - 1, argv + 1);
		if (fflush(stdout) || ferror(stdout)) {
			fprintf(stderr, "vauban chaff %s: can't write to standard output: %m\n", argv[1]);
			return CHAFF_FAILED;
		}
		return status;
	}
	bool help = argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "help"));
	if (argc > 1 && !help)
		fprintf(stderr, "vauban chaff: there is no verb \"%s\"\n", printable(argv[1]));
	overview(help ? stdout : stderr);
	return help ? CHAFF_OK : CHAFF_USAGE;
}
