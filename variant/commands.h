/* The verbs of vauban-variant, one function each: arguments from the verb on; returns the exit status. */
#ifndef VARIANT_COMMANDS_H
#define VARIANT_COMMANDS_H

#include <getopt.h>

#include "host/error.h"

enum { EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct command {
	const char *name, *arguments, *about, *help;
	int (*run)(const struct command *self, int argc, char **argv);
};
extern const struct command command_measure, command_shuffle, command_demap;

/* The next long option as getopt_long() does it, options and arguments in any order. --help prints the help and ends the process;
 * what is wrong with an option is said, with status 2. */
int command_option(const struct command *self, int argc, char **argv, const struct option *options);
/* Prints what went wrong; returns EXIT_FAILED. */
int command_fail(const struct command *self, const struct vb_error *err);
/* Prints what is wrong with the arguments and how they should be; returns EXIT_USAGE. */
int command_usage(const struct command *self, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
