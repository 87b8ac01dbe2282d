/* The kernel's timer queue: order, restarts and removals against a plain list of what should be pending. */
#include <stdio.h>
#include <stdlib.h>

#include "kernel/time/time.h"

#define TIMERS 500
#define STEPS  20000

static uint64_t clock_now, last_fired;
static int fired, disordered, early;

uint64_t platform_clock_ns(int clock);
void task_want_work(void);
void task_want_work(void) {}
uint64_t platform_clock_ns(int clock)
{
	return clock_now;
}

static void fire(struct ktimer *t)
{
	fired++;
	disordered += t->deadline_ns < last_fired;
	early += t->deadline_ns > clock_now;
	last_fired = t->deadline_ns;
}

int main(void)
{
	static struct ktimer timers[TIMERS];
	int wrong_first = 0, lost = 0;

	srand(1);
	for (int i = 0; i < TIMERS; i++)
		ktimer_init(&timers[i], fire);
	for (int step = 0; step < STEPS; step++) {
		struct ktimer *t = &timers[rand() % TIMERS];
		if (rand() % 3)
			ktimer_start(t, clock_now + (uint64_t)(rand() % 1000));
		else
			ktimer_stop(t);
		if (step % 7 == 0) {
			clock_now += (uint64_t)(rand() % 20);
			last_fired = 0;
			timers_run();
		}
		uint64_t first = NO_DEADLINE;
		for (int i = 0; i < TIMERS; i++) {
			if (timers[i].pending && timers[i].deadline_ns < first)
				first = timers[i].deadline_ns;
		}
		wrong_first += first != timers_next_ns();
	}
	for (int i = 0; i < TIMERS; i++)
		lost -= timers[i].pending;
	fired = 0;
	clock_now += 10000;
	last_fired = 0;
	timers_run();
	lost += fired;
	struct k_timespec huge = {INT64_MAX, 999999999};
	int results[] = {wrong_first == 0, disordered == 0, early == 0, lost == 0, timers_next_ns() == NO_DEADLINE,
		timespec_to_ns(&huge) == NO_DEADLINE, deadline_after(NO_DEADLINE) == NO_DEADLINE};
	static const char *const names[] = {"the next deadline is the earliest", "timers fire in order", "no timer fires early",
		"every pending timer fires", "the queue is empty at the end", "a huge time saturates", "a huge delay saturates"};
	int bad = 0;
	for (unsigned i = 0; i < sizeof(results) / sizeof(results[0]); i++) {
		printf("%sok %u - %s\n", results[i] ? "" : "not ", i + 1, names[i]);
		bad |= !results[i];
	}
	printf("1..%zu\n", sizeof(results) / sizeof(results[0]));
	return bad;
}
