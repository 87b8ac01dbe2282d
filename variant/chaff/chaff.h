/* The verbs of vauban-chaff, one function each; arguments from the verb on; the exit status. */
#ifndef VARIANT_CHAFF_CHAFF_H
#define VARIANT_CHAFF_CHAFF_H

#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>

#include "host/error.h"
#include "variant/chaff/plan.h"

enum { CHAFF_OK, CHAFF_FAILED, CHAFF_USAGE, CHAFF_NOT_PROVED };

struct chaff_verb {
	const char *name, *arguments, *about, *help;
	int (*run)(const struct chaff_verb *self, int argc, char **argv);
};
extern const struct chaff_verb chaff_trace, chaff_plan_verb, chaff_prove_verb, chaff_seal, chaff_verify, chaff_trigger, chaff_watch;

/* The next option of getopt_long(), which stops at the first argument. */
int chaff_option(const struct chaff_verb *self, int argc, char **argv, const struct option *options);
int chaff_fail(const struct chaff_verb *self, const struct vb_error *err);
int chaff_usage(const struct chaff_verb *self, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

struct binary;
/* A name for its executable segments: 16 digits, to be freed. */
char *chaff_code_name(const struct binary *b);
/* Of the plan, by its code; NULL with an error that says what to do. */
const struct chaff_binary *chaff_find_binary(const struct chaff_plan *plan, const struct binary *b, struct vb_error *err);

/* Runs a program, with stdin from a file (NULL: as it is), and notes which bugs are hit: hits[] by number of the site. Ended after
 * seconds, if not 0. Returns the status of waitpid(). */
int chaff_run_watched(char **argv, const char *input, unsigned seconds, const struct binary *b, const struct chaff_binary *sites,
	bool *hits, int *ret_status, struct vb_error *err);

#endif
