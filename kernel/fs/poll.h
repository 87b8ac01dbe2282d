/* What poll.c and epoll.c share: asking files for events, and calls that swap the signal mask while they wait. */
#ifndef KERNEL_FS_POLL_H
#define KERNEL_FS_POLL_H

#include "kernel/fs/fs.h"

#define POLL_ALWAYS (POLL_IN | POLL_RDNORM | POLL_OUT | POLL_WRNORM) /* of files without a poll operation */

static inline unsigned file_poll(struct file *f, struct poll_table *table)
{
	return f->ops->poll ? f->ops->poll(f, table) : POLL_ALWAYS;
}

/* Installs the mask at this user address (0: nothing) for the rest of the call. 0 or -errno. */
int sigmask_swap(uint64_t mask, uint64_t size);
/* The call ends with this result: the old mask returns now, or after the handler when a signal interrupted it. */
void sigmask_restore(long result);

/* Deadline of a relative timeout; -EINVAL for a malformed one, NO_DEADLINE in *ret for a NULL address. */
int deadline_from_user(uint64_t timespec, uint64_t *ret);

#endif
