/* Resource limits and usage; what a fresh process starts with. */
#include "kernel/syscall/define.h"
#include "kernel/task/task.h"

#include <asm/resource.h>
#include <linux/capability.h>

#include "kernel/mm/mm.h"

#define UNLIMITED UINT64_MAX
#define NR_OPEN   1048576u
enum { RUSAGE_CHILDREN = -1, RUSAGE_SELF = 0, RUSAGE_THREAD = 1 }; /* linux/resource.h, whose struct rlimit64 is not ours */
_Static_assert(RLIM_COUNT == RLIM_NLIMITS, "one limit each");

/* As a login on Debian has them. */
static const struct rlimit64 default_limits[RLIM_COUNT] = {
	[RLIMIT_CPU] = {UNLIMITED, UNLIMITED},
	[RLIMIT_FSIZE] = {UNLIMITED, UNLIMITED},
	[RLIMIT_DATA] = {UNLIMITED, UNLIMITED},
	[RLIMIT_STACK] = {8u << 20, UNLIMITED},
	[RLIMIT_CORE] = {0, UNLIMITED},
	[RLIMIT_RSS] = {UNLIMITED, UNLIMITED},
	[RLIMIT_NPROC] = {4096, 4096},
	[RLIMIT_NOFILE] = {1024, NR_OPEN},
	[RLIMIT_MEMLOCK] = {8u << 20, 8u << 20},
	[RLIMIT_AS] = {UNLIMITED, UNLIMITED},
	[RLIMIT_LOCKS] = {UNLIMITED, UNLIMITED},
	[RLIMIT_SIGPENDING] = {4096, 4096},
	[RLIMIT_MSGQUEUE] = {819200, 819200},
	[RLIMIT_NICE] = {0, 0},
	[RLIMIT_RTPRIO] = {0, 0},
	[RLIMIT_RTTIME] = {UNLIMITED, UNLIMITED},
};

#define TIMER_SLACK_NS 50000

void process_defaults(struct process *p)
{
	memcpy(p->rlimit, default_limits, sizeof(p->rlimit));
	signal_init_process(p);
	itimers_init(p);
	if (!p->leader)
		return;
	creds_from_boot(&p->leader->creds);
	p->leader->timer_slack_ns = TIMER_SLACK_NS;
}

static int limit_check(unsigned which, const struct rlimit64 *new, const struct rlimit64 *old)
{
	if (new->cur > new->max)
		return -EINVAL;
	if (which == RLIMIT_NOFILE && new->max > NR_OPEN)
		return -EPERM;
	return new->max > old->max && !capable(CAP_SYS_RESOURCE) ? -EPERM : 0;
}

SYSCALL(prlimit64, int pid, unsigned which, uint64_t unew, uint64_t uold)
{
	struct rlimit64 new, old;
	const struct task *t = current;

	if (unew && get_user(new, unew))
		return -EFAULT;
	if (pid)
		t = task_by_tid(pid);
	if (!t)
		return -ESRCH;
	if (which >= RLIM_COUNT)
		return -EINVAL;
	struct process *p = t->process;
	old = p->rlimit[which];
	if (unew) {
		int r = limit_check(which, &new, &old);
		if (r)
			return r;
		p->rlimit[which] = new;
		if (which == RLIMIT_CPU)
			cpu_limit_changed(p);
	}
	return uold ? put_user(old, uold) : 0;
}

SYSCALL(setrlimit, unsigned which, uint64_t unew)
{
	return unew ? sys_prlimit64(0, which, unew, 0) : -EFAULT;
}

SYSCALL(getrlimit, unsigned which, uint64_t uold)
{
	if (which >= RLIM_COUNT)
		return -EINVAL;
	return put_user(current->process->rlimit[which], uold);
}

SYSCALL(getrusage, int who, uint64_t urusage)
{
	struct {
		struct k_timeval utime, stime;
		int64_t maxrss, ixrss, idrss, isrss, minflt, majflt, rest[8];
	} ru = {0};
	const struct process *p = current->process;
	uint64_t user, kernel;

	if (who != RUSAGE_SELF && who != RUSAGE_CHILDREN && who != RUSAGE_THREAD)
		return -EINVAL;
	if (who != RUSAGE_CHILDREN) { /* children: none, all zero */
		process_cpu_split(p, who == RUSAGE_SELF ? process_cpu_ns(p) : task_cpu_ns(current), &user, &kernel);
		ru.utime = (struct k_timeval){(int64_t)(user / NSEC_PER_SEC), (int64_t)(user % NSEC_PER_SEC / 1000)};
		ru.stime = (struct k_timeval){(int64_t)(kernel / NSEC_PER_SEC), (int64_t)(kernel % NSEC_PER_SEC / 1000)};
		ru.maxrss = (int64_t)(vb_max(stats->memory_peak_bytes, mm_resident_bytes(p->mm)) >> 10);
		ru.minflt = (int64_t)stats->faults;
	}
	return put_user(ru, urusage);
}
