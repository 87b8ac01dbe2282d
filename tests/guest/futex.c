/* Futexes: waiting, waking, requeueing, operations, PI locks, robust lists. */
#include "guest.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile uint32_t word, word2;
static volatile int result, waiter_tid;

static long futex(volatile uint32_t *addr, int op, uint32_t value, const void *timeout, volatile uint32_t *addr2, uint32_t value3)
{
	return syscall(SYS_futex, addr, op, value, timeout, addr2, value3);
}

static void *waiter(void *arg)
{
	int r = (int)futex(&word, FUTEX_WAIT | (int)(intptr_t)arg, 0, NULL, NULL, 0);
	result = r == 0 ? 0 : errno;
	__sync_fetch_and_add(&word2, 1);
	futex(&word2, FUTEX_WAKE, 1, NULL, NULL, 0);
	return NULL;
}

static void start(pthread_t *t, int n, void *arg)
{
	for (int i = 0; i < n; i++)
		create_asleep(&t[i], waiter, arg);
}

static void test_errors(void)
{
	struct timespec past = {1, 0}, bad = {0, 1000000000}, negative = {-1, 0}, soon = {0, 2000000};
	uint32_t odd[2];

	word = 0;
	EXPECT_ERR(futex(&word, FUTEX_WAIT, 1, NULL, NULL, 0), EAGAIN);
	EXPECT_ERR(futex(&word, FUTEX_WAIT, 0, &soon, NULL, 0), ETIMEDOUT);
	EXPECT_ERR(futex(&word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 0, &soon, NULL, 0), ETIMEDOUT);
	EXPECT_ERR(futex(&word, FUTEX_WAIT, 0, &bad, NULL, 0), EINVAL);
	EXPECT_ERR(futex(&word, FUTEX_WAIT, 0, &negative, NULL, 0), EINVAL);
	EXPECT_ERR(futex(&word, FUTEX_WAIT, 0, (void *)1, NULL, 0), EFAULT);
	EXPECT_ERR(futex((uint32_t *)((char *)odd + 1), FUTEX_WAIT, 0, NULL, NULL, 0), EINVAL);
	EXPECT_ERR(futex((uint32_t *)((char *)odd + 2), FUTEX_WAKE, 1, NULL, NULL, 0), EINVAL);
	EXPECT_ERR(futex(NULL, FUTEX_WAIT, 0, NULL, NULL, 0), EFAULT);
	EXPECT_ERR(futex((uint32_t *)-4096l, FUTEX_WAKE, 1, NULL, NULL, 0), EFAULT);
	EXPECT_ERR(futex(NULL, FUTEX_WAKE, 1, NULL, NULL, 0), EFAULT);
	EXPECT(futex(NULL, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0), 0);
	EXPECT(futex(&word, FUTEX_WAKE, 1, NULL, NULL, 0), 0);
	EXPECT_ERR(futex(&word, FUTEX_WAIT_BITSET, 0, NULL, NULL, 0), EINVAL);
	EXPECT_ERR(futex(&word, FUTEX_WAKE_BITSET, 1, NULL, NULL, 0), EINVAL);
	EXPECT_ERR(futex(&word, FUTEX_WAIT_BITSET, 0, &past, NULL, ~0u), ETIMEDOUT);
	EXPECT_ERR(futex(&word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, &past, NULL, ~0u), ETIMEDOUT);
	EXPECT_ERR(futex(&word, FUTEX_WAKE | FUTEX_CLOCK_REALTIME, 1, NULL, NULL, 0), ENOSYS);
	EXPECT_ERR(futex(&word, 99, 0, NULL, NULL, 0), ENOSYS);
	EXPECT_ERR(futex(&word, FUTEX_REQUEUE, (uint32_t)-1, NULL, &word2, 0), EINVAL);
	EXPECT_ERR(futex(&word, FUTEX_CMP_REQUEUE, 1, NULL, &word2, 77), EAGAIN);
	/* The absolute timeout of a realtime wait. */
	struct timespec at;
	clock_gettime(CLOCK_REALTIME, &at);
	at.tv_nsec += 3000000;
	if (at.tv_nsec >= 1000000000)
		at.tv_sec++, at.tv_nsec -= 1000000000;
	EXPECT_ERR(futex(&word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, &at, NULL, ~0u), ETIMEDOUT);
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	EXPECT_TRUE(now.tv_sec > at.tv_sec || (now.tv_sec == at.tv_sec && now.tv_nsec >= at.tv_nsec));
}

static void test_wake(void)
{
	pthread_t t[4];

	word = 0;
	start(t, 4, NULL);
	EXPECT(futex(&word, FUTEX_WAKE, 1, NULL, NULL, 0), 1);
	EXPECT(futex(&word, FUTEX_WAKE, 2, NULL, NULL, 0), 2);
	EXPECT(futex(&word, FUTEX_WAKE_BITSET, 100, NULL, NULL, 1), 1);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	EXPECT(result, 0);
	start(t, 1, (void *)FUTEX_PRIVATE_FLAG);
	EXPECT(futex(&word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0), 1);
	pthread_join(t[0], NULL);
	/* Requeue: one wakes, two move, and wake at the other word. */
	word2 = 0;
	start(t, 3, NULL);
	EXPECT(futex(&word, FUTEX_CMP_REQUEUE, 1, (void *)2, &word2, 0), 3);
	EXPECT(futex(&word, FUTEX_WAKE, 10, NULL, NULL, 0), 0);
	while (word2 < 1)
		usleep(1000);
	while (word2 < 3)
		futex(&word2, FUTEX_WAKE, 10, NULL, NULL, 0), usleep(1000);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	EXPECT(word2, 3);
	/* Operation on the second word, which then compares. */
	word = 0;
	word2 = 5;
	EXPECT(futex(&word, FUTEX_WAKE_OP, 1, (void *)1, &word2, FUTEX_OP(FUTEX_OP_ADD, 3, FUTEX_OP_CMP_EQ, 5)), 0);
	EXPECT(word2, 8);
	EXPECT(futex(&word, FUTEX_WAKE_OP, 1, (void *)1, &word2, FUTEX_OP(FUTEX_OP_SET, 1, FUTEX_OP_CMP_GT, 7)), 0);
	EXPECT(word2, 1);
	EXPECT(futex(&word, FUTEX_WAKE_OP, 1, (void *)1, &word2, FUTEX_OP((FUTEX_OP_OR | FUTEX_OP_OPARG_SHIFT), 4u, FUTEX_OP_CMP_NE, 0)),
		0);
	EXPECT(word2, 17);
	EXPECT(futex(&word, FUTEX_WAKE_OP, 1, (void *)1, &word2, FUTEX_OP(FUTEX_OP_ANDN, 1, FUTEX_OP_CMP_LT, 0)), 0);
	EXPECT(word2, 16);
	EXPECT(futex(&word, FUTEX_WAKE_OP, 1, (void *)1, &word2, FUTEX_OP(FUTEX_OP_XOR, 0xff, FUTEX_OP_CMP_GE, 0)), 0);
	EXPECT(word2, 0xef);
	EXPECT_ERR(futex(&word, FUTEX_WAKE_OP, 1, (void *)1, &word2, FUTEX_OP(7, 0, FUTEX_OP_CMP_EQ, 0)), ENOSYS);
}

/* One word of a shared file at two addresses. */
static volatile uint32_t *view1, *view2;

static void *shared_waiter(void *arg)
{
	result = (int)futex(view1, FUTEX_WAIT, 0, NULL, NULL, 0);
	return NULL;
}

static void test_shared(void)
{
	int fd = memfd_create("futex", 0);
	pthread_t t;

	EXPECT(ftruncate(fd, 4096), 0);
	view1 = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	view2 = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	result = -1;
	create_asleep(&t, shared_waiter, NULL);
	EXPECT(futex(view2, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0), 0);
	EXPECT(futex(view2, FUTEX_WAKE, 1, NULL, NULL, 0), 1);
	pthread_join(t, NULL);
	EXPECT(result, 0);
	close(fd);
}

static void count(int sig)
{
	word2++;
}

static void test_signals(void)
{
	struct sigaction sa = {.sa_handler = count};
	struct itimerval often = {{0, 5000}, {0, 5000}}, never = {{0}}; /* often: the first may come before the wait */
	struct timespec long_time = {100, 0};

	sigaction(SIGALRM, &sa, NULL);
	word = word2 = 0;
	setitimer(ITIMER_REAL, &often, NULL);
	EXPECT_ERR(futex(&word, FUTEX_WAIT, 0, NULL, NULL, 0), EINTR);
	EXPECT_TRUE(word2 >= 1);
	EXPECT_ERR(futex(&word, FUTEX_WAIT, 0, &long_time, NULL, 0), EINTR);
	sa.sa_flags = SA_RESTART;
	sigaction(SIGALRM, &sa, NULL);
	EXPECT_ERR(futex(&word, FUTEX_WAIT, 0, &long_time, NULL, 0), EINTR);
	setitimer(ITIMER_REAL, &never, NULL);
	signal(SIGALRM, SIG_DFL);
}

static void *pi_taker(void *arg)
{
	result = (int)futex(&word, FUTEX_LOCK_PI, 0, NULL, NULL, 0);
	waiter_tid = (int)(word & FUTEX_TID_MASK);
	futex(&word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0);
	return (void *)(intptr_t)gettid();
}

static void test_pi(void)
{
	pthread_t t;
	void *tid;

	word = 0;
	EXPECT(futex(&word, FUTEX_LOCK_PI, 0, NULL, NULL, 0), 0);
	EXPECT(word, (uint32_t)gettid());
	EXPECT_ERR(futex(&word, FUTEX_LOCK_PI, 0, NULL, NULL, 0), EDEADLK);
	create_asleep(&t, pi_taker, NULL);
	EXPECT(word, (uint32_t)gettid() | FUTEX_WAITERS);
	EXPECT(futex(&word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0), 0);
	pthread_join(t, &tid);
	EXPECT(result, 0);
	EXPECT(waiter_tid, (int)(intptr_t)tid);
	EXPECT(word, 0);
	EXPECT(futex(&word, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0), 0);
	EXPECT(futex(&word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0), 0);
	EXPECT_ERR(futex(&word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0), EPERM);
}

static pthread_mutex_t robust;

static void *dies_holding(void *arg)
{
	pthread_mutex_lock(&robust);
	return NULL;
}

static void test_robust(void)
{
	pthread_mutexattr_t attr;
	pthread_t t;
	void *head;
	size_t len;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&robust, &attr);
	pthread_create(&t, NULL, dies_holding, NULL);
	pthread_join(t, NULL);
	EXPECT(pthread_mutex_lock(&robust), EOWNERDEAD);
	EXPECT(pthread_mutex_consistent(&robust), 0);
	EXPECT(pthread_mutex_unlock(&robust), 0);
	pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT);
	pthread_mutex_init(&robust, &attr);
	pthread_create(&t, NULL, dies_holding, NULL);
	pthread_join(t, NULL);
	EXPECT(pthread_mutex_lock(&robust), EOWNERDEAD);
	EXPECT(pthread_mutex_unlock(&robust), 0);
	EXPECT_ERR(syscall(SYS_set_robust_list, NULL, 23), EINVAL);
	EXPECT(syscall(SYS_get_robust_list, 0, &head, &len), 0);
	EXPECT(len, 24);
	EXPECT_ERR(syscall(SYS_get_robust_list, 0x3ffffff, &head, &len), ESRCH);
	EXPECT_ERR(syscall(SYS_get_robust_list, 0, 1, &len), EFAULT);
}

/* --- waiting for one of many --- */

struct waiter {
	uint64_t value, address;
	uint32_t flags, reserved;
};

static uint32_t many[3];

static long waitv(struct waiter *w, unsigned count, unsigned flags, struct timespec *ts, int clock)
{
	return syscall(449, w, count, flags, ts, clock);
}

static void *wake_third(void *arg)
{
	wait_asleep(getpid());
	many[2] = 1;
	syscall(SYS_futex, &many[2], 1 /* FUTEX_WAKE */ | 128, 1);
	return arg;
}

static void test_waitv(void)
{
	struct waiter w[3];
	struct timespec past = { 1, 0 }, bad = { 0, -1 };
	pthread_t t;
	for (int i = 0; i < 3; i++)
		w[i] = (struct waiter){ 0, (uintptr_t)&many[i], 2 | 128, 0 };
	EXPECT_ERR(waitv(w, 3, 1, NULL, 0), EINVAL);
	EXPECT_ERR(waitv(w, 0, 0, NULL, 0), EINVAL);
	EXPECT_ERR(waitv(w, 129, 0, NULL, 0), EINVAL);
	EXPECT_ERR(waitv(NULL, 1, 0, NULL, 0), EINVAL);
	EXPECT_ERR(waitv((void *)16, 1, 0, NULL, 0), EFAULT);
	EXPECT_ERR(waitv(w, 3, 0, &past, 1), ETIMEDOUT);
	EXPECT_ERR(waitv(w, 3, 0, &past, 0), ETIMEDOUT);
	EXPECT_ERR(waitv(w, 3, 0, &past, 7), EINVAL);
	EXPECT_ERR(waitv(w, 3, 0, &bad, 1), EINVAL);
	w[1].value = 5;
	EXPECT_ERR(waitv(w, 3, 0, NULL, 0), EAGAIN);
	w[1].value = 0;
	w[1].flags = 128;
	EXPECT_ERR(waitv(w, 3, 0, NULL, 0), EINVAL);
	w[1].flags = 2 | 128;
	w[1].reserved = 1;
	EXPECT_ERR(waitv(w, 3, 0, NULL, 0), EINVAL);
	w[1].reserved = 0;
	w[2].address = 18;
	EXPECT_ERR(waitv(w, 3, 0, NULL, 0), EINVAL);
	w[2].address = 16;
	EXPECT_ERR(waitv(w, 3, 0, NULL, 0), EFAULT);
	w[2].address = (uintptr_t)&many[2];
	pthread_create(&t, NULL, wake_third, NULL);
	EXPECT(waitv(w, 3, 0, NULL, 0), 2);
	pthread_join(t, NULL);
}

int main(void)
{
	test_errors();
	test_wake();
	test_shared();
	test_signals();
	test_pi();
	test_robust();
	test_waitv();
	return guest_done();
}
