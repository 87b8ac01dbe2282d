/* What stop, kill, rm and wait share. */
#ifndef CLI_SIGNALS_H
#define CLI_SIGNALS_H

struct cell;
struct vb_error;

/* Asks the monitor to deliver a signal to the program; SIGKILL and SIGCONT wake a stopped monitor first. */
int cell_signal(const struct cell *cell, int sig, struct vb_error *err);
/* Waits until the monitor is gone. timeout_ms -1: for ever. -ETIMEDOUT. */
int cell_await_end(const struct cell *cell, int timeout_ms);
/* Kills it and waits. */
int cell_destroy(const struct cell *cell, struct vb_error *err);

#endif
