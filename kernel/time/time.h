/* Kernel timers and clock arithmetic. Owns the queue of pending timers. */
#ifndef KERNEL_TIME_TIME_H
#define KERNEL_TIME_TIME_H

#include "base/types.h"

#define NSEC_PER_SEC 1000000000ull
#define NO_DEADLINE  UINT64_MAX

struct k_timespec {
	int64_t tv_sec, tv_nsec;
};
struct k_timeval {
	int64_t tv_sec, tv_usec;
};

static inline bool timespec_valid(const struct k_timespec *t)
{
	return t->tv_sec >= 0 && (uint64_t)t->tv_nsec < NSEC_PER_SEC;
}
/* Saturates instead of overflowing. */
uint64_t timespec_to_ns(const struct k_timespec *t);
struct k_timespec ns_to_timespec(uint64_t ns);

uint64_t now_monotonic_ns(void);
uint64_t now_realtime_ns(void);
/* now + delta, saturating at NO_DEADLINE. */
uint64_t deadline_after(uint64_t delta_ns);

/* A timer on CLOCK_MONOTONIC. fire() runs in kernel context, must not sleep, may start the timer again. */
struct ktimer {
	struct ktimer *child, *next, **link; /* pairing heap; link: the pointer that points here */
	bool pending;
	uint64_t deadline_ns;
	void (*fire)(struct ktimer *timer);
};
void ktimer_init(struct ktimer *t, void (*fire)(struct ktimer *));
void ktimer_start(struct ktimer *t, uint64_t deadline_ns); /* restarts if pending */
void ktimer_stop(struct ktimer *t);

/* Called by the scheduler: fires what is due; the next deadline, or NO_DEADLINE. */
void timers_run(void);
uint64_t timers_next_ns(void);

/* CPU time (running on the one CPU) of a thread, of a process; user and system part as ticks found them. */
struct task;
struct process;
uint64_t task_cpu_ns(const struct task *t);
uint64_t process_cpu_ns(const struct process *p);
void process_cpu_split(const struct process *p, uint64_t total_ns, uint64_t *ret_user_ns, uint64_t *ret_kernel_ns);
/* The scheduler's tick found the current thread in user or kernel mode. */
void cputime_tick(bool user);
/* Reads any Linux clock id, CPU-time clocks of live threads and processes too. -EINVAL. */
int clock_read(int clock, uint64_t *ret_ns);

#endif
