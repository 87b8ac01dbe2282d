/* Who is who: process, group and session ids; children (there are none yet). */
#include "kernel/syscall/define.h"
#include "kernel/task/task.h"

#include <linux/wait.h>

SYSCALL(getpid, void)
{
	return current->process->pid;
}
SYSCALL(getppid, void)
{
	return current->process->ppid;
}
SYSCALL(gettid, void)
{
	return current->tid;
}
SYSCALL(getpgrp, void)
{
	return current->process->pgid;
}

SYSCALL(getpgid, int pid)
{
	const struct process *p = pid ? process_by_pid(pid) : current->process;

	return p ? p->pgid : -ESRCH;
}

SYSCALL(getsid, int pid)
{
	const struct process *p = pid ? process_by_pid(pid) : current->process;

	return p ? p->sid : -ESRCH;
}

struct group_search {
	int pgid, sid;
	bool found;
};

static void group_member(struct process *p, void *arg)
{
	struct group_search *s = arg;

	s->found |= p->pgid == s->pgid && (!s->sid || p->sid == s->sid);
}

SYSCALL(setpgid, int pid, int pgid)
{
	struct process *self = current->process;

	pid = pid ? pid : self->pid;
	pgid = pgid ? pgid : pid;
	if (pgid < 0)
		return -EINVAL;
	if (pid != self->pid) /* no children whose group could be set */
		return -ESRCH;
	if (self->sid == self->pid)
		return -EPERM; /* a session leader stays in its group */
	if (pgid != pid) {
		struct group_search s = {.pgid = pgid, .sid = self->sid};
		process_for_each(group_member, &s);
		if (!s.found)
			return -EPERM;
	}
	self->pgid = pgid;
	return 0;
}

SYSCALL(setsid, void)
{
	struct process *self = current->process;
	struct group_search s = {.pgid = self->pid};

	process_for_each(group_member, &s);
	if (s.found || self->sid == self->pid)
		return -EPERM;
	self->sid = self->pgid = self->pid;
	self->tty = NULL;
	return self->pid;
}

SYSCALL(wait4, int pid, uint64_t ustatus, int options, uint64_t urusage)
{
	const unsigned known = WNOHANG | WUNTRACED | WCONTINUED | __WNOTHREAD | __WCLONE | __WALL;

	if ((unsigned)options & ~known)
		return -EINVAL;
	return pid == INT32_MIN ? -ESRCH : -ECHILD;
}

SYSCALL(waitid, int which, int id, uint64_t uinfo, int options, uint64_t urusage)
{
	const unsigned known = WNOHANG | WNOWAIT | WEXITED | WSTOPPED | WCONTINUED | __WNOTHREAD | __WCLONE | __WALL;

	if (((unsigned)options & ~known) || !(options & (WEXITED | WSTOPPED | WCONTINUED)))
		return -EINVAL;
	switch (which) {
	case P_ALL:
		return -ECHILD;
	case P_PID:
		return id <= 0 ? -EINVAL : -ECHILD;
	case P_PGID:
		return id < 0 ? -EINVAL : -ECHILD;
	case 3: /* P_PIDFD */
		return id < 0 ? -EINVAL : -EBADF;
	default:
		return -EINVAL;
	}
}
