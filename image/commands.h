/* The verbs of vauban-image, one function each: arguments from the verb on; returns the exit status. */
#ifndef IMAGE_COMMANDS_H
#define IMAGE_COMMANDS_H

#include "host/error.h"

enum { EXIT_FAILED = 1, EXIT_USAGE = 2 };

int command_build(int argc, char **argv);
int command_inspect(int argc, char **argv);
int command_ls(int argc, char **argv);
int command_extract(int argc, char **argv);
int command_verify(int argc, char **argv);
int command_cached(int argc, char **argv);

/* Prints what went wrong; returns EXIT_FAILED. */
int command_fail(const struct vb_error *err);
/* Prints how a verb is used, after a reason unless it is NULL; returns EXIT_USAGE. */
int command_usage(const char *verb, const char *reason);

#endif
