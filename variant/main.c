/* vauban-variant: looks into variants that have been built, and shuffles what has been linked. Owns the table of verbs and their usage. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/types.h"
#include "host/file.h"
#include "variant/commands.h"

static const struct command *const commands[] = {&command_measure, &command_shuffle, &command_demap};

#define OPTION_HELP 1000

int command_option(const struct command *self, int argc, char **argv, const struct option *options)
{
	struct option all[32] = {{"help", no_argument, NULL, OPTION_HELP}};
	char shorts[64] = ":";
	size_t used = 1;
	for (unsigned i = 0; options[i].name && i < VB_ARRAY_LEN(all) - 2; i++) {
		all[i + 1] = options[i];
		if (options[i].val >= 'a' && options[i].val <= 'z') /* it has a short form */
			used += (size_t)snprintf(shorts + used, 3, "%c%s", options[i].val, options[i].has_arg ? ":" : "");
	}
	opterr = 0;
	int c = getopt_long(argc, argv, shorts, all, NULL);
	if (c == OPTION_HELP) {
		printf("usage: vauban %s %s\n%c%s.\n\n%s", self->name, self->arguments, self->about[0] & ~32, self->about + 1, self->help);
		exit(fflush(stdout) || ferror(stdout) ? EXIT_FAILED : 0);
	}
	if (c == ':')
		exit(command_usage(self, "option %s needs an argument", argv[optind - 1]));
	if (c == '?' && optopt)
		exit(command_usage(self, "unknown option -%c", optopt));
	if (c == '?')
		exit(command_usage(self, "unknown option %s", argv[optind - 1]));
	return c;
}

int command_fail(const struct command *self, const struct vb_error *err)
{
	fprintf(stderr, "vauban %s: %s\n", self->name, err->text);
	return EXIT_FAILED;
}

int command_usage(const struct command *self, const char *fmt, ...)
{
	char text[400];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fprintf(stderr, "vauban %s: %s\nusage: vauban %s %s (see `vauban %s --help`)\n", self->name, printable(text), self->name,
		self->arguments, self->name);
	return EXIT_USAGE;
}

int main(int argc, char **argv)
{
	if (fd_hold_standard() < 0) {
		perror("vauban: /dev/null");
		return EXIT_FAILED;
	}
	for (size_t i = 0; argc > 1 && i < VB_ARRAY_LEN(commands); i++) {
		if (strcmp(argv[1], commands[i]->name) != 0)
			continue;
		int status = commands[i]->run(commands[i], argc - 1, argv + 1);
		if (fflush(stdout) || ferror(stdout)) {
			fprintf(stderr, "vauban %s: can't write to standard output: %m\n", commands[i]->name);
			return EXIT_FAILED;
		}
		return status;
	}
	fputs("usage: vauban-variant VERB ...; called by `vauban VERB`, where VERB is one of:\n", stderr);
	for (size_t i = 0; i < VB_ARRAY_LEN(commands); i++)
		fprintf(stderr, "  %-8s %s\n", commands[i]->name, commands[i]->about);
	return EXIT_USAGE;
}
