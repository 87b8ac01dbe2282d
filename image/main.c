/* vauban-image: makes images and looks into them. One verb a file; this one owns the table of verbs and their usage. */
#include <stdio.h>
#include <string.h>

#include "base/types.h"
#include "host/file.h"
#include "image/commands.h"

static const struct verb {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *usage, *about;
} verbs[] = {
	{"build", command_build,
		"-o FILE (--program PROGRAM [--variants SET --seed N] [--add PATH[:DEST]]... | --root DIR [--keep-times] | --trace COMMAND...)\n"
		"                          [--env NAME=VALUE]... [--cwd DIR] [--user UID:GID] [--memory SIZE] [--jit]\n"
		"                          [--entry ARG]... [--arg ARG]...",
		"make an image of a program, a root directory, or what a command uses"},
	{"inspect", command_inspect, "FILE [--json]", "print what an image runs and how"},
	{"ls", command_ls, "FILE [PATH]", "list the files of an image"},
	{"extract", command_extract, "FILE DIR", "write the files of an image into a new or empty directory"},
	{"verify", command_verify, "FILE", "check an image as a whole"},
	{"cached", command_cached, "PROGRAM", "print the path of the cached image of a program, making it if needed"},
};

static int print_overview(FILE *to)
{
	fprintf(to, "usage: vauban image VERB ...\n");
	for (size_t i = 0; i < VB_ARRAY_LEN(verbs); i++)
		fprintf(to, "  %-8s %s\n", verbs[i].name, verbs[i].about);
	return EXIT_USAGE;
}

static void print_usage(FILE *to, const struct verb *v)
{
	fprintf(to, "usage: vauban image %s %s\n", v->name, v->usage);
}

int command_usage(const char *verb, const char *reason)
{
	if (reason)
		fprintf(stderr, "vauban image %s: %s\n", verb, reason);
	for (size_t i = 0; i < VB_ARRAY_LEN(verbs); i++)
		if (!strcmp(verbs[i].name, verb))
			print_usage(stderr, &verbs[i]);
	return EXIT_USAGE;
}

int command_fail(const struct vb_error *err)
{
	fprintf(stderr, "vauban image: %s\n", err->text);
	return EXIT_FAILED;
}

int main(int argc, char **argv)
{
	if (fd_hold_standard() < 0) {
		perror("vauban image: /dev/null");
		return EXIT_FAILED;
	}
	if (argc < 2)
		return print_overview(stderr);
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "help")) {
		print_overview(stdout);
		return 0;
	}
	for (size_t i = 0; i < VB_ARRAY_LEN(verbs); i++)
		if (!strcmp(verbs[i].name, argv[1])) {
			int status = 0;

			if (argc > 2 && !strcmp(argv[2], "--help"))
				print_usage(stdout, &verbs[i]);
			else
				status = verbs[i].run(argc - 1, argv + 1);
			if (fflush(stdout) || ferror(stdout)) {
				perror("vauban image: standard output");
				return EXIT_FAILED;
			}
			return status;
		}
	fprintf(stderr, "vauban image: no verb \"%s\"\n", argv[1]);
	return print_overview(stderr);
}
