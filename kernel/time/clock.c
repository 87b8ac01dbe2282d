/* Owns the reading of every clock, CPU-time clocks included. CPU time is the time that a thread had the cell's CPU; the scheduler keeps it. */
#include "kernel/time/time.h"

#include <linux/time.h>

#include "kernel/platform/platform.h"
#include "kernel/task/task.h"

uint64_t task_cpu_ns(const struct task *t)
{
	uint64_t ns = t->cpu_ns;

	if (t == current && t->state == TASK_RUNNABLE) /* not while the cell idles in its name */
		ns += now_monotonic_ns() - t->run_since_ns;
	return ns;
}

uint64_t process_cpu_ns(const struct process *p)
{
	uint64_t ns = p->dead_cpu_ns;

	list_for_each(t, &p->threads, struct task, thread_node)
		ns += task_cpu_ns(t);
	return ns;
}

/* As Linux without precise accounting: the exact total, split in the proportion of the ticks. */
void process_cpu_split(const struct process *p, uint64_t total_ns, uint64_t *ret_user_ns, uint64_t *ret_kernel_ns)
{
	uint64_t ticks = p->user_ticks + p->kernel_ticks;
	uint64_t kernel_ns = 0;

	if (ticks)
		kernel_ns = total_ns / ticks * p->kernel_ticks + total_ns % ticks * p->kernel_ticks / ticks;
	*ret_kernel_ns = kernel_ns;
	*ret_user_ns = total_ns - kernel_ns;
}

void cputime_tick(bool user)
{
	if (user)
		current->process->user_ticks++;
	else
		current->process->kernel_ticks++;
}

/* Dynamic clock ids: (~pid << 3) | thread flag 4 | kind (0 profiling: all time, 1 user time, 2 precise: all time). */
static int cpu_clock_read(int clock, uint64_t *ret_ns)
{
	int pid = ~(clock >> 3);
	unsigned kind = (unsigned)clock & 3;
	uint64_t user, kernel;

	if (kind == 3)
		return -EINVAL;
	const struct process *p = pid ? process_by_pid(pid) : current->process;
	if (clock & 4) {
		const struct task *t = pid ? task_by_tid(pid) : current;
		if (!t || t->process != current->process)
			return -EINVAL;
		*ret_ns = task_cpu_ns(t);
		p = t->process;
	} else {
		if (!p)
			return -EINVAL;
		*ret_ns = process_cpu_ns(p);
	}
	if (kind == 1) {
		process_cpu_split(p, *ret_ns, &user, &kernel);
		*ret_ns = user;
	}
	return 0;
}

int clock_read(int clock, uint64_t *ret_ns)
{
	if (clock < 0)
		return cpu_clock_read(clock, ret_ns);
	switch (clock) {
	case CLOCK_REALTIME:
	case CLOCK_REALTIME_COARSE:
	case CLOCK_REALTIME_ALARM:
	case CLOCK_TAI: /* the offset to UTC is never told to a cell: 0, as on a fresh Linux */
		*ret_ns = now_realtime_ns();
		return 0;
	case CLOCK_MONOTONIC:
	case CLOCK_MONOTONIC_COARSE:
		*ret_ns = now_monotonic_ns();
		return 0;
	case CLOCK_MONOTONIC_RAW:
		*ret_ns = platform_clock_ns(CLOCK_MONOTONIC_RAW);
		return 0;
	case CLOCK_BOOTTIME:
	case CLOCK_BOOTTIME_ALARM:
		*ret_ns = platform_clock_ns(CLOCK_BOOTTIME);
		return 0;
	case CLOCK_PROCESS_CPUTIME_ID:
		*ret_ns = process_cpu_ns(current->process);
		return 0;
	case CLOCK_THREAD_CPUTIME_ID:
		*ret_ns = task_cpu_ns(current);
		return 0;
	default:
		return -EINVAL;
	}
}
