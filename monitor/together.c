/* Keeps monitor and tender on one core while they talk back and forth: a request and its reply then cost two switches
 * (8 us) instead of waking a core that went idle (80 us). Only for the time of a burst, so that the host's scheduler can
 * still spread the cells. Where the host forbids setting affinities, nothing happens. */
#include <poll.h>
#include <sched.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "host/file.h"
#include "monitor/cell.h"

#define BURST_REQUESTS 8u
#define BURST_NS       2000000  /* so many requests within this time are a burst */
#define TOGETHER_NS    20000000 /* then on one core for so long */

static struct {
	bool on;
	int timer; /* timerfd; 0: none yet */
	unsigned requests;
	int64_t first_ns;
	cpu_set_t monitor, tender; /* what they may use when apart */
	int64_t busy_ns;           /* CPU time of both when they came together */
	bool crowded;              /* others wanted that core, too: try another one */
} together;

static int64_t busy_ns(const struct monitor *m)
{
	struct timespec own = {0}, tender = {0};
	clockid_t clock;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &own);
	if (clock_getcpuclockid(m->tender, &clock) == 0)
		clock_gettime(clock, &tender);
	return (own.tv_sec + tender.tv_sec) * 1000000000ll + own.tv_nsec + tender.tv_nsec;
}

/* This core, or the next that the monitor may use. By chance, lest two cells chase each other. */
static int choose_core(void)
{
	int core = sched_getcpu();
	if (!together.crowded || now_ns() & 1024)
		return core;
	do
		core = (core + 1) % CPU_SETSIZE;
	while (!CPU_ISSET(core, &together.monitor));
	return core;
}

static void apart(struct monitor *m, int fd, short revents, void *arg)
{
	uint64_t times;
	if (read(fd, &times, sizeof(times)) != sizeof(times))
		return;
	sched_setaffinity(0, sizeof(cpu_set_t), &together.monitor);
	if (m->tender) {
		sched_setaffinity(m->tender, sizeof(cpu_set_t), &together.tender);
		together.crowded = busy_ns(m) - together.busy_ns < TOGETHER_NS * 3 / 4;
	}
	together.on = false;
	together.requests = 0;
}

static void join(struct monitor *m)
{
	struct itimerspec end = {.it_value = {0, TOGETHER_NS}};
	cpu_set_t here;
	if (!together.timer) {
		together.timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
		if (together.timer >= 0)
			watch_add(m, together.timer, POLLIN, apart, NULL);
	}
	if (together.timer < 0 || sched_getaffinity(0, sizeof(cpu_set_t), &together.monitor) < 0 ||
		sched_getaffinity(m->tender, sizeof(cpu_set_t), &together.tender) < 0)
		return;
	together.on = timerfd_settime(together.timer, 0, &end, NULL) == 0;
	if (together.on) {
		CPU_ZERO(&here);
		CPU_SET(choose_core(), &here);
		together.busy_ns = busy_ns(m);
		sched_setaffinity(0, sizeof(here), &here);
		sched_setaffinity(m->tender, sizeof(here), &here);
	}
}

void together_request(struct monitor *m)
{
	int64_t now = now_ns();
	if (together.on || !m->tender)
		return;
	if (!together.requests || now - together.first_ns > BURST_NS) {
		together.first_ns = now;
		together.requests = 0;
	}
	if (++together.requests >= BURST_REQUESTS)
		join(m);
}
