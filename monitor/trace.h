/* Traced calls of a cell as lines for people (like strace) or as JSON objects. Records come from the cell and are hostile:
 * lengths are checked, text is bounded and escaped. */
#ifndef MONITOR_TRACE_H
#define MONITOR_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct trace_options {
	FILE *out;        /* borrowed */
	bool json;        /* one object a line */
	bool summary;     /* only counts, at the end */
	const char *only; /* comma-separated names of the calls to show; NULL: all. Borrowed */
};

struct trace_printer;
struct trace_printer *trace_printer_new(const struct trace_options *options); /* NULL: no memory */
/* One VB_MSG_TRACE payload. Malformed ones are ignored. */
void trace_printer_record(struct trace_printer *p, const void *payload, size_t len);
/* Prints the summary if asked for. NULL is nothing. */
void trace_printer_free(struct trace_printer *p);

/* The way of a record from the monitor to `vauban trace CELL`, over a stream socket: a 4-byte length, then the payload.
 * Waits for a slow reader for up to a second. False: the reader is gone or too slow; stop tracing. */
bool trace_relay(int fd, const void *payload, size_t len);
/* The reader's end: prints until the other side closes. False: what came was no record. */
bool trace_read(int fd, struct trace_printer *p);

#endif
