/* Volumes from inside: the 9P2000.L client. volume_mount() is declared in fs.h. */
#ifndef KERNEL_FS_P9_H
#define KERNEL_FS_P9_H

#include "kernel/kernel.h"

/* A VB_MSG_9P_REPLY of the monitor; index is the message's tag. Doesn't sleep. */
void p9_reply(unsigned index, const void *msg, size_t len);

/* Counts what the cell heard from outside, from which it might conclude that a file of the host has changed. */
extern uint64_t p9_heard;

/* A new file in the core folder; name must begin with "core.". All three sleep. */
struct p9_core {
	uint32_t fid;
	uint64_t offset; /* where the next write goes: may be moved forward, for a sparse file */
};
int p9_core_open(struct p9_core *core, const char *name);
int p9_core_write(struct p9_core *core, const void *buf, size_t len); /* all of it, or -errno */
int p9_core_close(struct p9_core *core);

#endif
