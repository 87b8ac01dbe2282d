/* Runs a command and records which files it uses. */
#ifndef IMAGE_TRACE_H
#define IMAGE_TRACE_H

#include "image/tree.h"

/* Runs argv natively, with all its children, and adds every file, directory and link that they opened, read, asked about or
 * executed and that still exists, except below /proc, /sys, /dev, /run and /tmp and what was opened for writing. The command has
 * the caller's standard descriptors and permissions. ret_status: its wait status. */
int trace_command(struct tree *t, char **argv, int *ret_status, struct vb_error *err);

#endif
