/* Owns the interval timers of a process (setitimer, alarm) and its RLIMIT_CPU. Timers on CPU time need no tick: CPU time
 * can't pass faster than the clock, so each sleeps for what is left and looks again. */
#include "kernel/task/task.h"

#include <asm/resource.h>
#include <asm/signal.h>
#include <linux/time.h>

#include "kernel/syscall/define.h"

#define CPU_TIMER_RECHECK_NS 1000000ull /* the closest two looks at a CPU clock may come */

struct k_itimerval {
	struct k_timeval interval, value;
};

static uint64_t itimer_clock(const struct process *p, int which)
{
	uint64_t user, kernel, total;

	if (which == ITIMER_REAL)
		return now_monotonic_ns();
	total = process_cpu_ns(p);
	if (which == ITIMER_PROF)
		return total;
	process_cpu_split(p, total, &user, &kernel);
	return user;
}

static void itimer_arm(struct itimer *timer, uint64_t now)
{
	uint64_t left = timer->expiry_ns > now ? timer->expiry_ns - now : 0;

	ktimer_start(&timer->timer, deadline_after(left));
}

static void itimer_expired(struct process *p, int which)
{
	static const int signals[] = {SIGALRM, SIGVTALRM, SIGPROF};
	struct itimer *timer = &p->itimer[which];
	uint64_t now = itimer_clock(p, which);

	if (now < timer->expiry_ns) {
		ktimer_start(&timer->timer, deadline_after(vb_max(timer->expiry_ns - now, CPU_TIMER_RECHECK_NS)));
		return;
	}
	if (timer->interval_ns) {
		timer->expiry_ns += ((now - timer->expiry_ns) / timer->interval_ns + 1) * timer->interval_ns;
		itimer_arm(timer, now);
	} else {
		timer->expiry_ns = 0;
	}
	signal_process(p, &SIGINFO_KERNEL(signals[which]));
}

static void real_fire(struct ktimer *t)
{
	itimer_expired(vb_container_of(t, struct process, itimer[ITIMER_REAL].timer), ITIMER_REAL);
}

static void virtual_fire(struct ktimer *t)
{
	itimer_expired(vb_container_of(t, struct process, itimer[ITIMER_VIRTUAL].timer), ITIMER_VIRTUAL);
}

static void prof_fire(struct ktimer *t)
{
	itimer_expired(vb_container_of(t, struct process, itimer[ITIMER_PROF].timer), ITIMER_PROF);
}

/* SIGXCPU at the soft limit and each second after, SIGKILL at the hard limit. */
static void cpu_limit_fire(struct ktimer *t)
{
	struct process *p = vb_container_of(t, struct process, cpu_limit.timer);
	const struct rlimit64 *limit = &p->rlimit[RLIMIT_CPU];
	uint64_t now = process_cpu_ns(p), seconds = now / NSEC_PER_SEC;

	if (seconds >= limit->max) {
		signal_process(p, &SIGINFO_KERNEL(SIGKILL));
		return;
	}
	if (now >= p->cpu_limit.expiry_ns) {
		signal_process(p, &SIGINFO_KERNEL(SIGXCPU));
		p->cpu_limit.expiry_ns = (seconds + 1) * NSEC_PER_SEC;
	}
	ktimer_start(t, deadline_after(vb_max(p->cpu_limit.expiry_ns - now, CPU_TIMER_RECHECK_NS)));
}

void cpu_limit_changed(struct process *p)
{
	uint64_t limit = p->rlimit[RLIMIT_CPU].cur;

	if (limit == UINT64_MAX || __builtin_mul_overflow(vb_max(limit, 1ull), NSEC_PER_SEC, &p->cpu_limit.expiry_ns)) {
		ktimer_stop(&p->cpu_limit.timer);
		return;
	}
	itimer_arm(&p->cpu_limit, process_cpu_ns(p));
}

void itimers_init(struct process *p)
{
	ktimer_init(&p->itimer[ITIMER_REAL].timer, real_fire);
	ktimer_init(&p->itimer[ITIMER_VIRTUAL].timer, virtual_fire);
	ktimer_init(&p->itimer[ITIMER_PROF].timer, prof_fire);
	ktimer_init(&p->cpu_limit.timer, cpu_limit_fire);
}

static struct k_timeval ns_to_timeval(uint64_t ns)
{
	return (struct k_timeval){.tv_sec = (int64_t)(ns / NSEC_PER_SEC), .tv_usec = (int64_t)(ns % NSEC_PER_SEC / 1000)};
}

static uint64_t timeval_to_ns(const struct k_timeval *tv)
{
	return timespec_to_ns(&(struct k_timespec){.tv_sec = tv->tv_sec, .tv_nsec = tv->tv_usec * 1000});
}

static bool timeval_valid(const struct k_timeval *tv)
{
	return tv->tv_sec >= 0 && tv->tv_usec >= 0 && tv->tv_usec < 1000000;
}

/* What is left, never 0 while armed. */
static uint64_t itimer_left(const struct process *p, int which)
{
	const struct itimer *timer = &p->itimer[which];
	uint64_t now;

	if (!timer->expiry_ns)
		return 0;
	now = itimer_clock(p, which);
	return timer->expiry_ns > now + 1000 ? timer->expiry_ns - now : 1000;
}

static void itimer_set(struct process *p, int which, uint64_t value_ns, uint64_t interval_ns)
{
	struct itimer *timer = &p->itimer[which];
	uint64_t now = itimer_clock(p, which);

	ktimer_stop(&timer->timer);
	timer->interval_ns = interval_ns;
	timer->expiry_ns = 0;
	if (!value_ns)
		return;
	if (__builtin_add_overflow(now, value_ns, &timer->expiry_ns))
		timer->expiry_ns = NO_DEADLINE;
	itimer_arm(timer, now);
}

SYSCALL(getitimer, int which, uint64_t uvalue)
{
	struct process *p = current->process;

	if (which < 0 || which > ITIMER_PROF)
		return -EINVAL;
	struct k_itimerval v = {ns_to_timeval(p->itimer[which].interval_ns), ns_to_timeval(itimer_left(p, which))};
	return put_user(v, uvalue);
}

SYSCALL(setitimer, int which, uint64_t unew, uint64_t uold)
{
	struct process *p = current->process;
	struct k_itimerval new = {0}; /* no new value disarms, as ever in Linux */

	if (unew && get_user(new, unew))
		return -EFAULT;
	if (which < 0 || which > ITIMER_PROF || !timeval_valid(&new.value) || !timeval_valid(&new.interval))
		return -EINVAL;
	struct k_itimerval old = {ns_to_timeval(p->itimer[which].interval_ns), ns_to_timeval(itimer_left(p, which))};
	itimer_set(p, which, timeval_to_ns(&new.value), timeval_to_ns(&new.interval));
	return uold ? put_user(old, uold) : 0;
}

SYSCALL(alarm, unsigned seconds)
{
	struct process *p = current->process;
	uint64_t left = itimer_left(p, ITIMER_REAL);

	itimer_set(p, ITIMER_REAL, seconds * NSEC_PER_SEC, 0);
	/* Rounded to the nearest second, but 0 means that no alarm was set. */
	uint64_t result = left / NSEC_PER_SEC;
	if ((!result && left) || left % NSEC_PER_SEC >= NSEC_PER_SEC / 2)
		result++;
	return (long)result;
}
