/* What other commands do with a cell: read its record and ask its monitor.
 *
 * Control protocol: a Unix stream socket; the client sends one JSON object {"verb": ...} on a line, the monitor answers
 * with one on a line: {"error": text} or
 *   inspect                  -> the whole report (monitor/report.c)
 *   signal {"signal": N}     -> {}
 *   wait                     -> {"status": N, "signal": N} when the cell has ended
 *   trace                    -> {}, then trace records until either side closes (monitor/trace.h)
 *   debug                    -> {"socket": "debug"}: a socket in the cell's folder, for gdb
 */
#ifndef MONITOR_CLIENT_H
#define MONITOR_CLIENT_H

#include <stdbool.h>

#include <jansson.h>

#include "monitor/registry.h"

struct vb_error;

struct cell {
	char name[REGISTRY_NAME_BYTES];
	int dir_fd;
	bool alive;     /* its monitor is there */
	json_t *record; /* exit.json, else cell.json; an empty object when neither can be read */
	bool ended;     /* record is exit.json */
};

/* -ENOENT: no such cell. */
int cell_open(int cells_fd, const char *name, struct cell *ret, struct vb_error *err);
void cell_close(struct cell *cell);
/* exit.json, else cell.json, else an empty object. */
json_t *cell_record(int dir_fd, bool *ret_ended);
/* Calls fn for each cell in order of their names. */
int cells_each(int cells_fd, int (*fn)(struct cell *cell, void *arg), void *arg, struct vb_error *err);

/* A connection with the request sent and its answer received; the caller owns both. timeout_ms -1: none.
 * An answer {"error"} is a failure too. */
int cell_connect(const struct cell *cell, json_t *request_taken, int timeout_ms, int *ret_fd, json_t **ret_answer, struct vb_error *err);
/* The same for requests that end with the answer. */
int cell_ask(const struct cell *cell, json_t *request_taken, int timeout_ms, json_t **ret_answer, struct vb_error *err);
/* The freshest report: from the monitor if it answers, else from the record, with "state" always present. */
json_t *cell_report(const struct cell *cell);

#endif
