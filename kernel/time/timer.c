/* Owns the queue of pending kernel timers (a red-black tree by deadline) and clock arithmetic. Trusts the platform's clocks. */
#include "kernel/time/time.h"

#include <linux/time.h>

#include "kernel/platform/platform.h"

static int ktimer_compare(const struct ktimer *a, const struct ktimer *b)
{
	if (a->deadline_ns != b->deadline_ns)
		return a->deadline_ns < b->deadline_ns ? -1 : 1;
	return a == b ? 0 : a < b ? -1 : 1;
}

static RB_HEAD(ktimer_tree, ktimer) queue = RB_INITIALIZER(&queue);
RB_GENERATE_INTERNAL(ktimer_tree, ktimer, node, ktimer_compare, static __attribute__((unused)))
static struct ktimer *first; /* the earliest: asked for on every return from idle */

uint64_t timespec_to_ns(const struct k_timespec *t)
{
	uint64_t ns;

	if (__builtin_mul_overflow((uint64_t)t->tv_sec, NSEC_PER_SEC, &ns) || __builtin_add_overflow(ns, (uint64_t)t->tv_nsec, &ns))
		return NO_DEADLINE;
	return ns;
}

struct k_timespec ns_to_timespec(uint64_t ns)
{
	return (struct k_timespec){ .tv_sec = (int64_t)(ns / NSEC_PER_SEC), .tv_nsec = (int64_t)(ns % NSEC_PER_SEC) };
}

uint64_t now_monotonic_ns(void)
{
	return platform_clock_ns(CLOCK_MONOTONIC);
}

uint64_t now_realtime_ns(void)
{
	return platform_clock_ns(CLOCK_REALTIME);
}

uint64_t deadline_after(uint64_t delta_ns)
{
	uint64_t deadline;

	return __builtin_add_overflow(now_monotonic_ns(), delta_ns, &deadline) ? NO_DEADLINE : deadline;
}

void ktimer_init(struct ktimer *t, void (*fire)(struct ktimer *))
{
	t->pending = false;
	t->fire = fire;
}

void ktimer_start(struct ktimer *t, uint64_t deadline_ns)
{
	ktimer_stop(t);
	t->deadline_ns = deadline_ns;
	t->pending = true;
	RB_INSERT(ktimer_tree, &queue, t);
	if (!first || ktimer_compare(t, first) < 0)
		first = t;
}

void ktimer_stop(struct ktimer *t)
{
	if (!t->pending)
		return;
	RB_REMOVE(ktimer_tree, &queue, t);
	t->pending = false;
	if (t == first)
		first = RB_MIN(ktimer_tree, &queue);
}

void timers_run(void)
{
	if (!first)
		return;
	/* One reading of the clock: a timer that restarts itself for later can't keep the kernel here. */
	uint64_t now = now_monotonic_ns();
	while (first && first->deadline_ns <= now) {
		struct ktimer *t = first;
		ktimer_stop(t);
		t->fire(t);
	}
}

uint64_t timers_next_ns(void)
{
	return first ? first->deadline_ns : NO_DEADLINE;
}
