/* Guest tests: ordinary Linux programs that check one family of calls each. They run natively (where every check must
 * hold: Linux is the oracle) and in a cell, and must print the same. So print nothing that differs from run to run.
 */
#ifndef TESTS_GUEST_H
#define TESTS_GUEST_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int guest_count, guest_failed;

static inline void guest_report(int ok, const char *what, long long got, long long want)
{
	guest_count++;
	if (ok) {
		printf("ok %d - %s\n", guest_count, what);
	} else {
		guest_failed++;
		printf("not ok %d - %s: got %lld, want %lld\n", guest_count, what, got, want);
	}
	fflush(stdout);
}

/* The value is what Linux gives. */
#define EXPECT(got, want)                                                                                                                  \
	do {                                                                                                                               \
		long long g_ = (long long)(got), w_ = (long long)(want);                                                                   \
		guest_report(g_ == w_, #got " == " #want, g_, w_);                                                                         \
	} while (0)
#define EXPECT_TRUE(cond)                                                                                                                  \
	do {                                                                                                                               \
		int c_ = !!(cond);                                                                                                         \
		guest_report(c_, #cond, c_, 1);                                                                                            \
	} while (0)
/* The call fails with -1 and this errno. A call that succeeds shows as errno 0. */
#define EXPECT_ERR(call, want_errno)                                                                                                       \
	do {                                                                                                                               \
		errno = 0;                                                                                                                 \
		long long r_ = (long long)(call);                                                                                          \
		int e_ = r_ == -1 ? errno : 0;                                                                                             \
		guest_report(e_ == (want_errno), #call " fails with " #want_errno, e_, want_errno);                                        \
	} while (0)

/* A name of this run's own, PREFIX with the process's number: others run the same test at the same time. Good for four calls. */
static inline const char *guest_name(const char *prefix)
{
	static char names[4][64];
	static unsigned next;
	char *name = names[next++ % 4];
	snprintf(name, sizeof(names[0]), "%s.%07d", prefix, getpid());
	return name;
}

/* --- order ---
 * A loaded machine may stop any process between any two of its steps for seconds: never take a pause for order. */

/* Waits until that thread of this process sleeps (a minute at most): in the one call that its test is about, if it can't sleep before. */
static inline void wait_asleep(int tid)
{
	char name[40], text[512], *at;

	snprintf(name, sizeof(name), "/proc/self/task/%d/stat", tid);
	for (int i = 0; i < 60000; i++) {
		FILE *f = fopen(name, "re");
		size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;

		text[n] = 0;
		if (f)
			fclose(f);
		at = strrchr(text, ')');
		if (at && at[1] == ' ' && at[2] == 'S')
			return;
		usleep(1000);
	}
}

struct guest_start {
	void *(*fn)(void *);
	void *arg;
	volatile int tid;
};

static inline void *guest_begin(void *p)
{
	struct guest_start *s = (struct guest_start *)p;
	void *(*fn)(void *) = s->fn;
	void *arg = s->arg;

	s->tid = gettid();
	return fn(arg);
}

/* A thread that has come to sleep: what it waits for must be the first thing that it can sleep in. */
static inline int create_asleep(pthread_t *t, void *(*fn)(void *), void *arg)
{
	struct guest_start s = {fn, arg, 0};
	int error = pthread_create(t, NULL, guest_begin, &s);

	if (error)
		return error;
	while (!s.tid)
		usleep(1000);
	wait_asleep(s.tid);
	return 0;
}

/* Ends every test's main(). */
static inline int guest_done(void)
{
	printf("1..%d\n", guest_count);
	return guest_failed ? 1 : 0;
}

#endif
