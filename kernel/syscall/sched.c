/* Scheduling calls. There is one CPU and one queue: policies, priorities and niceness are kept and read back with Linux's
 * checks, and don't change who runs. */
#include "kernel/syscall/define.h"
#include "kernel/task/task.h"

#include <asm/resource.h>
#include <linux/capability.h>
#include <linux/ioprio.h>
#include <linux/sched.h>
#include <linux/sched/types.h>

enum { PRIO_PROCESS = 0, PRIO_PGRP = 1, PRIO_USER = 2 }; /* linux/resource.h, whose struct rlimit64 is not ours */

static struct task *task_or_self(int tid)
{
	return tid ? task_by_tid(tid) : current;
}

static int nice_clamp(int nice)
{
	return nice < -20 ? -20 : nice > 19 ? 19 : nice;
}

static bool owns(const struct task *t)
{
	return current->creds.euid == t->creds.ruid || current->creds.euid == t->creds.euid || capable(CAP_SYS_NICE);
}

SYSCALL(sched_yield, void)
{
	task_yield();
	return 0;
}

SYSCALL(getcpu, uint64_t ucpu, uint64_t unode)
{
	uint32_t zero = 0;

	return (ucpu && put_user(zero, ucpu)) || (unode && put_user(zero, unode)) ? -EFAULT : 0;
}

/* --- affinity --- */

SYSCALL(sched_setaffinity, int tid, unsigned len, uint64_t umask)
{
	uint64_t mask = 0;

	if (copy_from_user(&mask, umask, vb_min(len, (unsigned)sizeof(mask))))
		return -EFAULT;
	struct task *t = task_or_self(tid);
	if (!t)
		return -ESRCH;
	if (!owns(t))
		return -EPERM;
	return mask & 1 ? 0 : -EINVAL; /* CPU 0 is all there is */
}

SYSCALL(sched_getaffinity, int tid, unsigned len, uint64_t umask)
{
	uint64_t mask = 1;

	if (len < sizeof(mask) || len % sizeof(mask))
		return -EINVAL;
	if (!task_or_self(tid))
		return -ESRCH;
	return put_user(mask, umask) ? -EFAULT : (long)sizeof(mask);
}

/* --- policies --- */

static bool policy_realtime(int policy)
{
	return policy == SCHED_FIFO || policy == SCHED_RR;
}

static bool policy_known(int policy)
{
	return policy == SCHED_NORMAL || policy == SCHED_BATCH || policy == SCHED_IDLE || policy_realtime(policy);
}

static long scheduler_set(int tid, int policy, int priority, bool keep_policy)
{
	bool reset_on_fork = !keep_policy && (policy & SCHED_RESET_ON_FORK);
	struct task *t = task_or_self(tid);

	if (!t)
		return -ESRCH;
	policy = keep_policy ? t->sched_policy & ~SCHED_RESET_ON_FORK : policy & ~SCHED_RESET_ON_FORK;
	if (!policy_known(policy) || priority < 0 || priority > 99 || policy_realtime(policy) != (priority != 0))
		return -EINVAL;
	if (!capable(CAP_SYS_NICE)) {
		if (!owns(t))
			return -EPERM;
		if (policy_realtime(policy) && (uint64_t)priority > t->process->rlimit[RLIMIT_RTPRIO].cur &&
			(policy != (t->sched_policy & ~SCHED_RESET_ON_FORK) || priority > t->sched_priority))
			return -EPERM;
	}
	t->sched_policy = policy | (reset_on_fork ? SCHED_RESET_ON_FORK : 0);
	t->sched_priority = priority;
	return 0;
}

SYSCALL(sched_setscheduler, int tid, int policy, uint64_t uparam)
{
	int priority;

	if (policy < 0 || !uparam || tid < 0)
		return -EINVAL;
	return get_user(priority, uparam) ? -EFAULT : scheduler_set(tid, policy, priority, false);
}

SYSCALL(sched_setparam, int tid, uint64_t uparam)
{
	int priority;

	if (!uparam || tid < 0)
		return -EINVAL;
	return get_user(priority, uparam) ? -EFAULT : scheduler_set(tid, 0, priority, true);
}

SYSCALL(sched_getscheduler, int tid)
{
	if (tid < 0)
		return -EINVAL;
	const struct task *t = task_or_self(tid);
	return t ? t->sched_policy : -ESRCH;
}

SYSCALL(sched_getparam, int tid, uint64_t uparam)
{
	if (tid < 0 || !uparam)
		return -EINVAL;
	const struct task *t = task_or_self(tid);
	return t ? put_user(t->sched_priority, uparam) : -ESRCH;
}

SYSCALL(sched_get_priority_max, int policy)
{
	if (policy_realtime(policy))
		return 99;
	return policy_known(policy) || policy == SCHED_DEADLINE ? 0 : -EINVAL;
}

SYSCALL(sched_get_priority_min, int policy)
{
	if (policy_realtime(policy))
		return 1;
	return policy_known(policy) || policy == SCHED_DEADLINE ? 0 : -EINVAL;
}

SYSCALL(sched_rr_get_interval, int tid, uint64_t uinterval)
{
	if (tid < 0)
		return -EINVAL;
	const struct task *t = task_or_self(tid);
	if (!t)
		return -ESRCH;
	int policy = t->sched_policy & ~SCHED_RESET_ON_FORK;
	uint64_t slice = policy == SCHED_RR ? 100000000 : policy == SCHED_FIFO ? 0 : 4000000;
	return put_user(ns_to_timespec(slice), uinterval);
}

SYSCALL(sched_setattr, int tid, uint64_t uattr, unsigned flags)
{
	struct sched_attr attr = {0};
	uint32_t size;

	if (!uattr || tid < 0 || flags)
		return -EINVAL;
	if (get_user(size, uattr))
		return -EFAULT;
	size = size ? size : SCHED_ATTR_SIZE_VER0;
	if (size < SCHED_ATTR_SIZE_VER0 || size > VB_PAGE_SIZE) {
		put_user((uint32_t)sizeof(attr), uattr);
		return -E2BIG;
	}
	if (copy_from_user(&attr, uattr, vb_min((size_t)size, sizeof(attr))))
		return -EFAULT;
	if ((int)attr.sched_policy < 0 || (attr.sched_flags & ~(uint64_t)SCHED_FLAG_ALL))
		return -EINVAL;
	struct task *t = task_or_self(tid);
	if (!t)
		return -ESRCH;
	int reset = attr.sched_flags & SCHED_FLAG_RESET_ON_FORK ? SCHED_RESET_ON_FORK : 0;
	long r = scheduler_set(tid, (int)attr.sched_policy | reset, (int)attr.sched_priority, attr.sched_flags & SCHED_FLAG_KEEP_POLICY);
	if (!r && !policy_realtime((int)attr.sched_policy))
		t->nice = nice_clamp(attr.sched_nice);
	return r;
}

SYSCALL(sched_getattr, int tid, uint64_t uattr, unsigned size, unsigned flags)
{
	struct sched_attr attr = {0};

	if (!uattr || tid < 0 || size > VB_PAGE_SIZE || size < SCHED_ATTR_SIZE_VER0 || flags)
		return -EINVAL;
	const struct task *t = task_or_self(tid);
	if (!t)
		return -ESRCH;
	attr.size = vb_min(size, (unsigned)sizeof(attr));
	attr.sched_policy = (uint32_t)(t->sched_policy & ~SCHED_RESET_ON_FORK);
	attr.sched_flags = t->sched_policy & SCHED_RESET_ON_FORK ? SCHED_FLAG_RESET_ON_FORK : 0;
	attr.sched_priority = (uint32_t)t->sched_priority;
	attr.sched_nice = t->nice;
	return copy_to_user(uattr, &attr, attr.size);
}

/* --- niceness --- */

/* Calls fn for each thread that which/who names; false: none. */
static bool priority_for_each(int which, int who, void (*fn)(struct task *t, void *arg), void *arg)
{
	const struct process *p = current->process;
	struct task *t;

	switch (which) {
	case PRIO_PROCESS:
		t = task_or_self(who);
		if (!t)
			return false;
		fn(t, arg);
		return true;
	case PRIO_PGRP:
		if (who && who != p->pgid)
			return false;
		break;
	default: /* PRIO_USER */
		if (who && (uint32_t)who != current->creds.ruid)
			return false;
	}
	list_for_each(thread, &p->threads, struct task, thread_node)
		fn(thread, arg);
	return true;
}

static void nice_highest(struct task *t, void *arg)
{
	int *best = arg;

	*best = vb_max(*best, 20 - t->nice);
}

SYSCALL(getpriority, int which, int who)
{
	int best = 0; /* 1..40: so that an errno can be told apart */

	if (which < PRIO_PROCESS || which > PRIO_USER)
		return -EINVAL;
	return priority_for_each(which, who, nice_highest, &best) ? best : -ESRCH;
}

struct nice_change {
	int nice, result;
};

static void nice_set(struct task *t, void *arg)
{
	struct nice_change *change = arg;

	if (current->creds.euid != t->creds.ruid && current->creds.euid != t->creds.euid && !capable(CAP_SYS_NICE))
		change->result = -EPERM;
	else if (change->nice < t->nice && (uint64_t)(20 - change->nice) > t->process->rlimit[RLIMIT_NICE].cur && !capable(CAP_SYS_NICE))
		change->result = -EACCES;
	else
		t->nice = change->nice;
}

SYSCALL(setpriority, int which, int who, int nice)
{
	struct nice_change change = {.nice = nice_clamp(nice)};

	if (which < PRIO_PROCESS || which > PRIO_USER)
		return -EINVAL;
	return priority_for_each(which, who, nice_set, &change) ? change.result : -ESRCH;
}

/* --- I/O priority: kept; there is no queue that it could order --- */

SYSCALL(ioprio_get, int which, int who)
{
	if (which < IOPRIO_WHO_PROCESS || which > IOPRIO_WHO_USER)
		return -EINVAL;
	const struct task *t = which == IOPRIO_WHO_PROCESS ? task_or_self(who) : current;
	if (!t)
		return -ESRCH;
	return t->ioprio;
}

SYSCALL(ioprio_set, int which, int who, int ioprio)
{
	unsigned class = (unsigned)IOPRIO_PRIO_CLASS(ioprio), level = (unsigned)ioprio & 7;

	if (class > IOPRIO_CLASS_IDLE || (class == IOPRIO_CLASS_NONE && level))
		return -EINVAL;
	if (class == IOPRIO_CLASS_RT && !capable(CAP_SYS_NICE) && !capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (which < IOPRIO_WHO_PROCESS || which > IOPRIO_WHO_USER)
		return -EINVAL;
	struct task *t = which == IOPRIO_WHO_PROCESS ? task_or_self(who) : NULL;
	if (t)
		t->ioprio = (uint32_t)ioprio;
	else if (which == IOPRIO_WHO_PROCESS)
		return -ESRCH;
	else
		list_for_each(thread, &current->process->threads, struct task, thread_node)
			thread->ioprio = (uint32_t)ioprio;
	return 0;
}
