/* The cells of one user: a folder each under the runtime folder, with
 *   cell.json   what was started, written once
 *   control     Unix socket of the monitor, see client.h
 *   log, log.1  the cell's output and notes, a line each: TIME STREAM F|P TEXT (P: the line goes on)
 *   exit.json   how it ended, written once
 * The monitor holds a lock on the folder for as long as it lives: without the lock and exit.json the cell is dead.
 */
#ifndef MONITOR_REGISTRY_H
#define MONITOR_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>

struct vb_error;

#define REGISTRY_NAME_BYTES 64

/* $XDG_RUNTIME_DIR/vauban, /run/vauban for root, else /tmp/vauban-UID: made if need be, refused unless the user's own.
 * *ret_path is valid until the next call. An empty folder "empty" is in it. */
int registry_runtime_dir(const char **ret_path, struct vb_error *err);
/* Descriptor of the folder of cells. */
int registry_open(int *ret_cells_fd, struct vb_error *err);
bool registry_name_valid(const char *name);
/* Makes and locks the cell's folder. wanted NULL: name is made from the program's. -EEXIST: the name is taken. */
int registry_claim(int cells_fd, const char *wanted, const char *program, char *name, int *ret_dir_fd, struct vb_error *err);
/* Nobody holds the folder's lock. */
bool registry_is_free(int dir_fd);
/* Removes the cell's folder and what its monitor may have left. The caller knows that no monitor is there. */
void registry_remove(int cells_fd, const char *name);
/* The same where others may do so, too, and the name may be in use again: of the folder that dir_fd is, or nothing. */
void registry_forget(int cells_fd, const char *name, int dir_fd);
/* Removes some of the foreground cells whose monitors were killed: bounded work, called by each run. */
void registry_sweep(int cells_fd);

#endif
