/* Clocks, sleeping, interval timers, POSIX timers, CPU-time clocks. */
#include "guest.h"

#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <sys/times.h>
#include <time.h>
#include <unistd.h>

static volatile int ticks, overruns;

static void tick(int sig, siginfo_t *info, void *context)
{
	ticks++;
	overruns += info->si_overrun;
}

static long long now_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

static void spin(long long ns)
{
	long long end = now_ns(CLOCK_MONOTONIC) + ns;

	while (now_ns(CLOCK_MONOTONIC) < end)
		;
}

/* So much processor time, however busy the machine is. */
static void spin_cpu(long long ns)
{
	long long start = now_ns(CLOCK_PROCESS_CPUTIME_ID), limit = now_ns(CLOCK_MONOTONIC) + 60000000000;

	while (now_ns(CLOCK_PROCESS_CPUTIME_ID) - start < ns && now_ns(CLOCK_MONOTONIC) < limit)
		;
}

static void test_clocks(void)
{
	static const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID,
		CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE, CLOCK_BOOTTIME, CLOCK_TAI};
	struct timespec ts;
	struct timeval tv;

	for (unsigned i = 0; i < sizeof(clocks) / sizeof(clocks[0]); i++) {
		EXPECT(syscall(SYS_clock_gettime, clocks[i], &ts), 0);
		EXPECT(syscall(SYS_clock_getres, clocks[i], &ts), 0);
	}
	EXPECT_ERR(syscall(SYS_clock_gettime, 10, &ts), EINVAL);
	EXPECT_ERR(syscall(SYS_clock_gettime, 12, &ts), EINVAL);
	EXPECT_ERR(syscall(SYS_clock_gettime, -1, &ts), EINVAL);
	EXPECT_ERR(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, 1), EFAULT);
	EXPECT(syscall(SYS_clock_getres, CLOCK_MONOTONIC, NULL), 0);
	EXPECT_ERR(syscall(SYS_clock_getres, 99, NULL), EINVAL);
	clock_getres(CLOCK_MONOTONIC, &ts);
	EXPECT_TRUE(ts.tv_sec == 0 && ts.tv_nsec == 1);
	EXPECT_ERR(syscall(SYS_clock_settime, CLOCK_MONOTONIC, &ts), EINVAL);
	EXPECT_ERR(syscall(SYS_clock_settime, 99, &ts), EINVAL);
	EXPECT_ERR(syscall(SYS_clock_settime, CLOCK_REALTIME, 1), EFAULT);
	ts.tv_nsec = 1000000000;
	EXPECT_ERR(syscall(SYS_clock_settime, CLOCK_REALTIME, &ts), EINVAL);
	EXPECT_ERR(syscall(SYS_gettimeofday, 1, NULL), EFAULT);
	EXPECT_ERR(syscall(SYS_settimeofday, 1, NULL), EFAULT);
	tv.tv_sec = 0;
	tv.tv_usec = -1;
	EXPECT_ERR(settimeofday(&tv, NULL), EINVAL);
	EXPECT_ERR(syscall(SYS_time, 1), EFAULT);
	struct timeval then;
	gettimeofday(&tv, NULL);
	time_t t = syscall(SYS_time, NULL);
	gettimeofday(&then, NULL);
	EXPECT_TRUE(t >= tv.tv_sec - 1 && t <= then.tv_sec); /* of the last tick */
	long long a = now_ns(CLOCK_MONOTONIC), b = now_ns(CLOCK_MONOTONIC);
	EXPECT_TRUE(b >= a);
	EXPECT_TRUE(now_ns(CLOCK_BOOTTIME) >= a);
	struct timespec raw;
	syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &raw); /* the call and the vDSO agree */
	EXPECT_TRUE(raw.tv_sec * 1000000000ll + raw.tv_nsec >= b && now_ns(CLOCK_MONOTONIC) >= raw.tv_sec * 1000000000ll + raw.tv_nsec);
	struct timex tx = {.modes = 0};
	EXPECT_TRUE(adjtimex(&tx) >= 0);
	EXPECT(tx.tick, 10000);
	EXPECT_ERR(syscall(SYS_adjtimex, 1), EFAULT);
	EXPECT_ERR(syscall(SYS_clock_adjtime, 99, &tx), EINVAL);
	EXPECT_ERR(syscall(SYS_clock_adjtime, CLOCK_MONOTONIC, &tx), EOPNOTSUPP);
	struct tms tms;
	EXPECT_TRUE(times(&tms) > 0);
	EXPECT(tms.tms_cutime, 0);
	EXPECT_ERR(syscall(SYS_times, 1), EFAULT);
}

static void test_sleep(void)
{
	struct timespec ts = {0, 3000000}, left = {7, 7};
	long long start = now_ns(CLOCK_MONOTONIC);

	EXPECT(nanosleep(&ts, &left), 0);
	EXPECT_TRUE(now_ns(CLOCK_MONOTONIC) - start >= 3000000);
	EXPECT(left.tv_sec, 7); /* untouched */
	ts.tv_nsec = 1000000000;
	EXPECT_ERR(nanosleep(&ts, NULL), EINVAL);
	ts.tv_nsec = -1;
	EXPECT_ERR(nanosleep(&ts, NULL), EINVAL);
	ts = (struct timespec){-1, 0};
	EXPECT_ERR(nanosleep(&ts, NULL), EINVAL);
	EXPECT_ERR(syscall(SYS_nanosleep, 1, NULL), EFAULT);
	ts = (struct timespec){0, 0};
	EXPECT(nanosleep(&ts, NULL), 0);
	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_nsec += 2000000;
	if (ts.tv_nsec >= 1000000000)
		ts.tv_sec++, ts.tv_nsec -= 1000000000;
	EXPECT(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &ts, NULL), 0);
	EXPECT_TRUE(now_ns(CLOCK_REALTIME) >= ts.tv_sec * 1000000000ll + ts.tv_nsec);
	ts = (struct timespec){1, 0};
	EXPECT(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL), 0); /* long past */
	EXPECT_ERR(syscall(SYS_clock_nanosleep, CLOCK_THREAD_CPUTIME_ID, 0, &ts, NULL), EOPNOTSUPP);
	EXPECT_ERR(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC_COARSE, 0, &ts, NULL), EOPNOTSUPP);
	EXPECT_ERR(syscall(SYS_clock_nanosleep, 99, 0, &ts, NULL), EINVAL);
	EXPECT_ERR(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, 1, NULL), EFAULT);
	EXPECT_ERR(syscall(SYS_restart_syscall), EINTR);
}

static void test_itimer(void)
{
	struct itimerval value = {{0, 2000}, {0, 2000}}, old, off = {0};

	ticks = 0;
	EXPECT(setitimer(ITIMER_REAL, &value, NULL), 0);
	while (ticks < 3)
		pause();
	EXPECT(getitimer(ITIMER_REAL, &old), 0);
	while (!old.it_value.tv_usec) /* at the very moment that it fires */
		getitimer(ITIMER_REAL, &old);
	EXPECT(old.it_interval.tv_usec, 2000);
	EXPECT_TRUE(old.it_value.tv_sec == 0 && old.it_value.tv_usec > 0 && old.it_value.tv_usec <= 2000);
	EXPECT(setitimer(ITIMER_REAL, &off, &old), 0);
	EXPECT(old.it_interval.tv_usec, 2000);
	getitimer(ITIMER_REAL, &old);
	EXPECT(old.it_value.tv_usec + old.it_value.tv_sec, 0);
	EXPECT_ERR(setitimer(3, &value, NULL), EINVAL);
	EXPECT_ERR(getitimer(-1, &value), EINVAL);
	value.it_value.tv_usec = 1000000;
	EXPECT_ERR(setitimer(ITIMER_REAL, &value, NULL), EINVAL);
	EXPECT_ERR(syscall(SYS_setitimer, ITIMER_REAL, 1, NULL), EFAULT);
	EXPECT(alarm(1000), 0);
	unsigned seconds = alarm(0);
	EXPECT_TRUE(seconds > 900 && seconds <= 1000);
	EXPECT(alarm(0), 0);
	/* CPU time: only while running. */
	ticks = 0;
	value = (struct itimerval){{0, 0}, {0, 100000}};
	EXPECT(setitimer(ITIMER_PROF, &value, NULL), 0);
	usleep(20000);
	EXPECT(ticks, 0);
	for (int i = 0; i < 10000 && !ticks; i++)
		spin(5000000);
	EXPECT(ticks, 1);
	ticks = 0;
	value.it_value.tv_usec = 5000;
	EXPECT(setitimer(ITIMER_VIRTUAL, &value, NULL), 0);
	for (volatile long i = 0; i < 10000000000 && !ticks; i++)
		;
	EXPECT(ticks, 1);
}

/* Very short timers while the program calls the kernel all the time: each must come, whatever it interrupts. */
static void test_short_timers(void)
{
	int missing = 0;

	for (int i = 0; i < 300 && !missing; i++) {
		struct itimerval value = { .it_value.tv_usec = 1 + i % 50 };
		long long give_up = now_ns(CLOCK_MONOTONIC) + 60000000000ll;

		ticks = 0;
		setitimer(ITIMER_REAL, &value, NULL);
		while (!ticks && !missing) {
			getppid();
			missing = now_ns(CLOCK_MONOTONIC) > give_up;
		}
	}
	EXPECT_TRUE(!missing);
}

static void test_posix_timers(void)
{
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN, .sigev_value.sival_int = 5};
	struct itimerspec value = {{0, 2000000}, {0, 2000000}}, old;
	sigset_t set;
	siginfo_t info;
	timer_t timer;
	int id;

	EXPECT(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
	EXPECT(timer_gettime(timer, &old), 0);
	EXPECT(old.it_value.tv_nsec, 0);
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &set, NULL);
	EXPECT(timer_settime(timer, 0, &value, NULL), 0);
	EXPECT(sigwaitinfo(&set, &info), SIGRTMIN);
	EXPECT(info.si_code, SI_TIMER);
	EXPECT(info.si_value.sival_int, 5);
	spin(20000000);
	EXPECT(sigwaitinfo(&set, &info), SIGRTMIN); /* one signal for all the periods missed */
	EXPECT_TRUE(info.si_overrun >= 5);
	EXPECT(timer_getoverrun(timer), info.si_overrun);
	EXPECT(timer_gettime(timer, &old), 0);
	EXPECT_TRUE(old.it_value.tv_nsec > 0 && old.it_value.tv_nsec <= 2000000);
	EXPECT(old.it_interval.tv_nsec, 2000000);
	value.it_interval.tv_nsec = 0;
	EXPECT(timer_settime(timer, 0, &value, &old), 0);
	for (int i = 0; i < 60000; i++) {
		usleep(5000);
		timer_gettime(timer, &old);
		if (old.it_value.tv_nsec == 0)
			break;
	}
	EXPECT(old.it_value.tv_nsec, 0);
	EXPECT(timer_delete(timer), 0);
	EXPECT_ERR(syscall(SYS_timer_delete, 12345), EINVAL);
	EXPECT_ERR(syscall(SYS_timer_gettime, 12345, &old), EINVAL);
	EXPECT_ERR(syscall(SYS_timer_getoverrun, -1), EINVAL);
	struct timespec none = {0, 0};
	while (sigtimedwait(&set, &info, &none) > 0)
		;
	/* Absolute, in the past: at once. */
	EXPECT(timer_create(CLOCK_REALTIME, &event, &timer), 0);
	value = (struct itimerspec){{0, 0}, {1, 0}};
	EXPECT(timer_settime(timer, TIMER_ABSTIME, &value, NULL), 0);
	EXPECT(sigwaitinfo(&set, &info), SIGRTMIN);
	value.it_value.tv_nsec = 1000000000;
	EXPECT_ERR(timer_settime(timer, 0, &value, NULL), EINVAL);
	EXPECT_ERR(syscall(SYS_timer_settime, 0, 0, NULL, NULL), EINVAL);
	timer_delete(timer);
	/* CPU time of the process. */
	EXPECT(timer_create(CLOCK_PROCESS_CPUTIME_ID, &event, &timer), 0);
	value = (struct itimerspec){{0, 0}, {0, 5000000}};
	timer_settime(timer, 0, &value, NULL);
	int came = -1;
	for (int i = 0; i < 1000 && came < 0; i++) {
		spin_cpu(30000000);
		came = sigtimedwait(&set, &info, &none);
	}
	EXPECT(came, SIGRTMIN);
	timer_delete(timer);
	/* To one thread. */
	event.sigev_notify = SIGEV_THREAD_ID;
	event._sigev_un._tid = gettid();
	EXPECT(syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &id), 0);
	EXPECT(syscall(SYS_timer_delete, id), 0);
	event._sigev_un._tid = 0x3ffffff;
	EXPECT_ERR(syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &id), EINVAL);
	event.sigev_notify = SIGEV_NONE;
	EXPECT(syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &id), 0);
	value = (struct itimerspec){{0, 0}, {1000, 0}};
	EXPECT(syscall(SYS_timer_settime, id, 0, &value, NULL), 0);
	EXPECT(syscall(SYS_timer_gettime, id, &old), 0);
	EXPECT_TRUE(old.it_value.tv_sec > 900 && old.it_value.tv_sec <= 1000);
	EXPECT(syscall(SYS_timer_delete, id), 0);
	event.sigev_notify = SIGEV_SIGNAL;
	event.sigev_signo = 65;
	EXPECT_ERR(syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &id), EINVAL);
	event.sigev_notify = 77;
	EXPECT_ERR(syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &id), EINVAL);
	EXPECT_ERR(syscall(SYS_timer_create, 99, NULL, &id), EINVAL);
	EXPECT_ERR(syscall(SYS_timer_create, CLOCK_MONOTONIC_RAW, NULL, &id), EOPNOTSUPP);
	EXPECT_ERR(syscall(SYS_timer_create, CLOCK_MONOTONIC, 1, &id), EFAULT);
	EXPECT_ERR(syscall(SYS_timer_create, CLOCK_MONOTONIC, NULL, 1), EFAULT);
	EXPECT(syscall(SYS_timer_create, CLOCK_MONOTONIC, NULL, &id), 0); /* SIGALRM by default */
	value = (struct itimerspec){{0, 0}, {0, 1000000}};
	ticks = 0;
	EXPECT(syscall(SYS_timer_settime, id, 0, &value, NULL), 0);
	while (!ticks)
		usleep(1000);
	EXPECT(ticks, 1);
}

static void *sleeper(void *arg)
{
	while (!*(volatile int *)arg)
		usleep(1000);
	return NULL;
}

static void test_cpu_clocks(void)
{
	clockid_t clock;
	pthread_t thread;
	struct timespec ts;
	volatile int end = 0;
	long long before = now_ns(CLOCK_PROCESS_CPUTIME_ID), thread_before = now_ns(CLOCK_THREAD_CPUTIME_ID);

	spin_cpu(20000000);
	EXPECT_TRUE(now_ns(CLOCK_PROCESS_CPUTIME_ID) - before >= 5000000);
	EXPECT_TRUE(now_ns(CLOCK_THREAD_CPUTIME_ID) - thread_before >= 5000000);
	before = now_ns(CLOCK_PROCESS_CPUTIME_ID);
	usleep(50000);
	EXPECT_TRUE(now_ns(CLOCK_PROCESS_CPUTIME_ID) - before < 40000000); /* sleeping costs nothing */
	EXPECT(clock_getcpuclockid(0, &clock), 0);
	EXPECT(clock_gettime(clock, &ts), 0);
	EXPECT_TRUE(clock_getcpuclockid(0x3ffffff, &clock) == ESRCH);
	pthread_create(&thread, NULL, sleeper, (void *)&end);
	EXPECT(pthread_getcpuclockid(thread, &clock), 0);
	EXPECT(clock_gettime(clock, &ts), 0);
	EXPECT_TRUE(ts.tv_sec == 0 && ts.tv_nsec < 100000000);
	end = 1;
	pthread_join(thread, NULL);
	for (int i = 0; i < 60000 && clock_gettime(clock, &ts) == 0; i++)
		usleep(1000); /* join may be over a moment before */
	EXPECT_ERR(clock_gettime(clock, &ts), EINVAL);
	ts = (struct timespec){0, 2000000};
	EXPECT_ERR(syscall(SYS_clock_settime, CLOCK_PROCESS_CPUTIME_ID, &ts), EINVAL);
	EXPECT_ERR(syscall(SYS_clock_settime, -6, &ts), EPERM);
}

int main(void)
{
	struct sigaction sa = {.sa_sigaction = tick, .sa_flags = SA_SIGINFO};

	sigaction(SIGALRM, &sa, NULL);
	sigaction(SIGPROF, &sa, NULL);
	sigaction(SIGVTALRM, &sa, NULL);
	test_clocks();
	test_sleep();
	test_itimer();
	test_short_timers();
	test_posix_timers();
	test_cpu_clocks();
	return guest_done();
}
