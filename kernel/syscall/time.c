/* Clock calls and sleeping. Clocks are set on the host, not here: setting answers EPERM. */
#include "kernel/time/time.h"

#include <linux/time.h>
#include <linux/timex.h>

#include "kernel/syscall/define.h"
#include "kernel/task/task.h"

#define TICK_NS 4000000ull /* the resolution Linux (250 Hz) gives coarse clocks */
#define USER_HZ 100ull

/* --- reading --- */

static bool clock_coarse(int clock)
{
	return clock == CLOCK_REALTIME_COARSE || clock == CLOCK_MONOTONIC_COARSE || (clock < 0 && (clock & 3) != 2);
}

SYSCALL(clock_gettime, int clock, uint64_t uts)
{
	uint64_t now;
	int r = clock_read(clock, &now);

	return r ? r : put_user(ns_to_timespec(now), uts);
}

SYSCALL(clock_getres, int clock, uint64_t uts)
{
	uint64_t now;
	int r = clock_read(clock, &now);

	if (r || !uts)
		return r;
	return put_user(ns_to_timespec(clock_coarse(clock) ? TICK_NS : 1), uts);
}

SYSCALL(clock_settime, int clock, uint64_t uts)
{
	struct k_timespec ts;
	uint64_t now;

	if (clock_read(clock, &now))
		return -EINVAL;
	if (clock > 0)
		return -EINVAL; /* can't be set at all */
	if (get_user(ts, uts))
		return -EFAULT;
	if (!timespec_valid(&ts))
		return -EINVAL;
	return -EPERM;
}

SYSCALL(gettimeofday, uint64_t utv, uint64_t utz)
{
	uint64_t now = now_realtime_ns(), utc = 0;
	struct k_timeval tv = {(int64_t)(now / NSEC_PER_SEC), (int64_t)(now % NSEC_PER_SEC / 1000)};

	if ((utv && put_user(tv, utv)) || (utz && put_user(utc, utz)))
		return -EFAULT;
	return 0;
}

SYSCALL(settimeofday, uint64_t utv, uint64_t utz)
{
	struct k_timeval tv;
	struct {
		int32_t minuteswest, dsttime;
	} tz;

	if (utv) {
		if (get_user(tv, utv))
			return -EFAULT;
		if (tv.tv_sec < 0 || tv.tv_usec < 0 || tv.tv_usec > 1000000)
			return -EINVAL;
	}
	if (utz && get_user(tz, utz))
		return -EFAULT;
	return -EPERM;
}

SYSCALL(time, uint64_t ut)
{
	int64_t now = (int64_t)(now_realtime_ns() / NSEC_PER_SEC);

	if (ut && put_user(now, ut))
		return -EFAULT;
	return now;
}

SYSCALL(times, uint64_t ubuf)
{
	struct {
		int64_t utime, stime, cutime, cstime;
	} tms = {0};
	uint64_t user, kernel;

	process_cpu_split(current->process, process_cpu_ns(current->process), &user, &kernel);
	tms.utime = (int64_t)(user / (NSEC_PER_SEC / USER_HZ));
	tms.stime = (int64_t)(kernel / (NSEC_PER_SEC / USER_HZ));
	if (ubuf && put_user(tms, ubuf))
		return -EFAULT;
	return (long)(now_monotonic_ns() / (NSEC_PER_SEC / USER_HZ));
}

/* A clock that nobody here disciplines: the answer of a Linux without NTP. */
static long timex_query(uint64_t utimex)
{
	struct timex t;
	uint64_t now = now_realtime_ns();

	if (get_user(t, utimex))
		return -EFAULT;
	if (t.modes && t.modes != ADJ_OFFSET_SS_READ)
		return -EPERM;
	t = (struct timex){.modes = t.modes,
		.status = STA_UNSYNC,
		.maxerror = 16000000,
		.esterror = 16000000,
		.constant = 2,
		.precision = 1,
		.tolerance = 32768000,
		.tick = 10000,
		.time = {(long)(now / NSEC_PER_SEC), (long)(now % NSEC_PER_SEC / 1000)}};
	return put_user(t, utimex) ? -EFAULT : TIME_ERROR;
}

SYSCALL(adjtimex, uint64_t utimex)
{
	return timex_query(utimex);
}

SYSCALL(clock_adjtime, int clock, uint64_t utimex)
{
	uint64_t now;
	struct timex t;

	if (get_user(t, utimex))
		return -EFAULT;
	if (clock_read(clock, &now))
		return -EINVAL;
	return clock == CLOCK_REALTIME ? timex_query(utimex) : -EOPNOTSUPP;
}

/* --- sleeping --- */

static bool clock_counts_cpu(int clock)
{
	return clock < 0 || clock == CLOCK_PROCESS_CPUTIME_ID;
}

/* Until the clock has reached `until_ns`. 0, or -ERESTARTSYS. */
static int sleep_until(int clock, uint64_t until_ns)
{
	uint64_t now, deadline = until_ns;

	for (;;) {
		if (clock_read(clock, &now))
			return 0; /* a CPU clock that went away with its thread */
		if (now >= until_ns)
			return 0;
		/* A CPU clock runs no faster than the wall's: look again when it could be due. */
		if (clock != CLOCK_MONOTONIC)
			deadline = deadline_after(clock_counts_cpu(clock) ? vb_max(until_ns - now, 1000000ull) : until_ns - now);
		task_prepare();
		if (task_sleep(deadline, true) == -ERESTARTSYS)
			return -ERESTARTSYS;
	}
}

/* The rest of a relative sleep; restart_args: clock, time on it, where to store what is left. */
static long sleep_rest(struct task *t)
{
	int clock = (int)t->restart_args[0];
	uint64_t until_ns = t->restart_args[1], uleft = t->restart_args[2], now = 0;
	int r = sleep_until(clock, until_ns);

	if (!r)
		return 0;
	clock_read(clock, &now);
	if (now >= until_ns)
		return 0;
	if (uleft && put_user(ns_to_timespec(until_ns - now), uleft))
		return -EFAULT;
	t->restart = sleep_rest;
	return -ERESTART_RESTARTBLOCK;
}

static long sleep_for(int clock, uint64_t delta_ns, uint64_t uleft)
{
	uint64_t now;

	if (clock_read(clock, &now))
		return -EINVAL;
	current->restart_args[0] = (uint64_t)clock;
	if (__builtin_add_overflow(now, delta_ns, &current->restart_args[1]))
		current->restart_args[1] = NO_DEADLINE;
	current->restart_args[2] = uleft;
	return sleep_rest(current);
}

SYSCALL(nanosleep, uint64_t uts, uint64_t uleft)
{
	struct k_timespec ts;

	if (get_user(ts, uts))
		return -EFAULT;
	if (!timespec_valid(&ts))
		return -EINVAL;
	return sleep_for(CLOCK_MONOTONIC, timespec_to_ns(&ts), uleft);
}

SYSCALL(clock_nanosleep, int clock, int flags, uint64_t uts, uint64_t uleft)
{
	struct k_timespec ts;
	uint64_t now;

	if (clock_read(clock, &now))
		return -EINVAL;
	if (clock == CLOCK_THREAD_CPUTIME_ID || clock == CLOCK_MONOTONIC_RAW || clock == CLOCK_REALTIME_COARSE ||
		clock == CLOCK_MONOTONIC_COARSE || clock == CLOCK_REALTIME_ALARM || clock == CLOCK_BOOTTIME_ALARM)
		return -EOPNOTSUPP;
	if (get_user(ts, uts))
		return -EFAULT;
	if (!timespec_valid(&ts))
		return -EINVAL;
	if (clock < 0 && (clock & 4) && (clock >> 3 == ~0 || ~(clock >> 3) == current->tid))
		return -EINVAL; /* a thread that sleeps uses no CPU */
	if (!(flags & TIMER_ABSTIME))
		return sleep_for(clock_counts_cpu(clock) ? clock : CLOCK_MONOTONIC, timespec_to_ns(&ts), uleft);
	return sleep_until(clock, timespec_to_ns(&ts)) ? -ERESTARTNOHAND : 0;
}
