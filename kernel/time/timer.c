/* Owns the queue of pending kernel timers (a pairing heap: the earliest is the root) and clock arithmetic. Trusts the
 * platform's clocks. */
#include "kernel/time/time.h"

#include <linux/time.h>

#include "kernel/platform/platform.h"
#include "kernel/task/task.h"

static struct ktimer *earliest;

/* Joins two heaps, either may be NULL. The roots have no siblings. */
static struct ktimer *heap_meld(struct ktimer *a, struct ktimer *b)
{
	if (!a || !b)
		return a ? a : b;
	if (b->deadline_ns < a->deadline_ns) {
		struct ktimer *t = a;
		a = b;
		b = t;
	}
	b->next = a->child;
	b->link = &a->child;
	if (b->next)
		b->next->link = &b->next;
	a->child = b;
	return a;
}

/* Joins the siblings from first on: in pairs from the left, then all of them from the right. */
static struct ktimer *heap_meld_siblings(struct ktimer *first)
{
	struct ktimer *pairs = NULL, *root = NULL;

	while (first) {
		struct ktimer *a = first, *b = a->next;
		first = b ? b->next : NULL;
		a->next = NULL;
		if (b)
			b->next = NULL;
		a = heap_meld(a, b);
		a->next = pairs;
		pairs = a;
	}
	while (pairs) {
		struct ktimer *t = pairs;
		pairs = t->next;
		t->next = NULL;
		root = heap_meld(root, t);
	}
	return root;
}

uint64_t timespec_to_ns(const struct k_timespec *t)
{
	uint64_t ns;

	if (__builtin_mul_overflow((uint64_t)t->tv_sec, NSEC_PER_SEC, &ns) || __builtin_add_overflow(ns, (uint64_t)t->tv_nsec, &ns))
		return NO_DEADLINE;
	return ns;
}

struct k_timespec ns_to_timespec(uint64_t ns)
{
	return (struct k_timespec){.tv_sec = (int64_t)(ns / NSEC_PER_SEC), .tv_nsec = (int64_t)(ns % NSEC_PER_SEC)};
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
	t->child = t->next = NULL;
	earliest = heap_meld(earliest, t);
	if (earliest == t)
		task_want_work(); /* the platform's timer is set on the way to user space */
}

void ktimer_stop(struct ktimer *t)
{
	if (!t->pending)
		return;
	t->pending = false;
	struct ktimer *children = heap_meld_siblings(t->child);
	if (t == earliest) {
		earliest = children;
		return;
	}
	*t->link = t->next;
	if (t->next)
		t->next->link = t->link;
	earliest = heap_meld(earliest, children);
}

void timers_run(void)
{
	if (!earliest)
		return;
	/* One reading of the clock: a timer that restarts itself for later can't keep the kernel here. */
	uint64_t now = now_monotonic_ns();
	while (earliest && earliest->deadline_ns <= now) {
		struct ktimer *t = earliest;
		ktimer_stop(t);
		t->fire(t);
	}
}

uint64_t timers_next_ns(void)
{
	return earliest ? earliest->deadline_ns : NO_DEADLINE;
}
