/* What stop, kill, rm and wait share. */
#include "cli/signals.h"

#include <errno.h>
#include <signal.h>
#include <time.h>

#include "host/error.h"
#include "monitor/client.h"

#define ANSWER_MS 5000
#define STEP_MS   10

/* The record names the process; the lock on the folder says that it still is the monitor. */
static pid_t monitor_pid(const struct cell *cell)
{
	return (pid_t)json_integer_value(json_object_get(cell->record, "monitor_pid"));
}

int cell_signal(const struct cell *cell, int sig, struct vb_error *err)
{
	json_t *answer;
	if (!cell->alive)
		return vb_error_set(err, -ESRCH, "the cell %s is not running", cell->name);
	if ((sig == SIGKILL || sig == SIGCONT) && monitor_pid(cell) > 1 && !registry_is_free(cell->dir_fd))
		kill(monitor_pid(cell), SIGCONT);
	int r = cell_ask(cell, json_pack("{s:s, s:i}", "verb", "signal", "signal", sig), ANSWER_MS, &answer, err);
	if (r == 0)
		json_decref(answer);
	return r;
}

int cell_await_end(const struct cell *cell, int timeout_ms)
{
	for (int waited = 0; !registry_is_free(cell->dir_fd); waited += STEP_MS) {
		if (timeout_ms >= 0 && waited >= timeout_ms)
			return -ETIMEDOUT;
		nanosleep(&(struct timespec){0, STEP_MS * 1000000}, NULL);
	}
	return 0;
}

int cell_destroy(const struct cell *cell, struct vb_error *err)
{
	int r = cell_signal(cell, SIGKILL, err);
	if (registry_is_free(cell->dir_fd))
		return 0; /* it went by itself */
	/* A monitor that gives no answer takes its tender with it. */
	if (r < 0 && monitor_pid(cell) > 1)
		kill(monitor_pid(cell), SIGKILL);
	if (cell_await_end(cell, ANSWER_MS) < 0)
		return vb_error_set(
			err, -ETIMEDOUT, "the cell %s does not end: its monitor is process %d", cell->name, (int)monitor_pid(cell));
	return 0;
}
