/* What people type: sizes, numbers, names, signals. 0 or -EINVAL. */
#ifndef HOST_PARSE_H
#define HOST_PARSE_H

#include <stdbool.h>
#include <stdint.h>

/* "4096", "64M", "1.5G", "64MiB": bytes. */
int parse_size(const char *text, uint64_t *ret_bytes);
/* A whole decimal number within [min, max]. */
int parse_number(const char *text, long min, long max, long *ret_value);
/* "TERM", "SIGTERM", "15". */
int parse_signal(const char *text, int *ret_signal);
/* "SIGTERM"; "signal 42" for those without a name. The string stays valid until the next call. */
const char *signal_name(int sig);

#endif
