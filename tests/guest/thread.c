/* Threads as the C library uses them: mutexes, conditions, semaphores, joining, cancelling, thread-local data. */
#include "guest.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static sem_t sem;
static volatile int counter, turn;
static __thread int local = 7;

static void *adder(void *arg)
{
	for (int i = 0; i < 10000; i++) {
		pthread_mutex_lock(&mutex);
		counter++;
		pthread_mutex_unlock(&mutex);
	}
	return arg;
}

static void *ping(void *arg)
{
	int me = (int)(intptr_t)arg;

	for (int i = 0; i < 500; i++) {
		pthread_mutex_lock(&mutex);
		while (turn != me)
			pthread_cond_wait(&cond, &mutex);
		turn = !me;
		counter++;
		pthread_cond_broadcast(&cond);
		pthread_mutex_unlock(&mutex);
	}
	return NULL;
}

static void *poster(void *arg)
{
	usleep(5000);
	sem_post(&sem);
	return NULL;
}

static void *locals(void *arg)
{
	int before = local;

	local = 99;
	pthread_barrier_wait(&barrier);
	return (void *)(intptr_t)before;
}

static void cleanup(void *arg)
{
	counter = 77;
}

static void *cancelled(void *arg)
{
	pthread_cleanup_push(cleanup, NULL);
	for (;;)
		pause();
	pthread_cleanup_pop(0);
	return NULL;
}

static void *spinner(void *arg)
{
	while (!*(volatile int *)arg)
		; /* never sleeps: must be switched away from */
	return NULL;
}

static void *reader(void *arg)
{
	pthread_rwlock_rdlock(&rwlock);
	int seen = counter;
	pthread_rwlock_unlock(&rwlock);
	return (void *)(intptr_t)seen;
}

static void *tid_of(void *arg)
{
	return (void *)(intptr_t)gettid();
}

int main(void)
{
	pthread_t t[8];
	void *value;
	struct timespec ts;

	for (int i = 0; i < 8; i++)
		EXPECT(pthread_create(&t[i], NULL, adder, (void *)(intptr_t)i), 0);
	for (int i = 0; i < 8; i++) {
		EXPECT(pthread_join(t[i], &value), 0);
		EXPECT((intptr_t)value, i);
	}
	EXPECT(counter, 80000);
	counter = 0;
	pthread_create(&t[0], NULL, ping, (void *)0);
	pthread_create(&t[1], NULL, ping, (void *)1);
	pthread_join(t[0], NULL);
	pthread_join(t[1], NULL);
	EXPECT(counter, 1000);

	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_nsec += 3000000;
	if (ts.tv_nsec >= 1000000000)
		ts.tv_sec++, ts.tv_nsec -= 1000000000;
	pthread_mutex_lock(&mutex);
	EXPECT(pthread_cond_timedwait(&cond, &mutex, &ts), ETIMEDOUT);
	EXPECT(pthread_mutex_trylock(&mutex), EBUSY);
	pthread_mutex_unlock(&mutex);

	sem_init(&sem, 0, 0);
	EXPECT_ERR(sem_trywait(&sem), EAGAIN);
	pthread_create(&t[0], NULL, poster, NULL);
	EXPECT(sem_wait(&sem), 0);
	pthread_join(t[0], NULL);
	EXPECT_ERR(sem_timedwait(&sem, &ts), ETIMEDOUT);

	pthread_barrier_init(&barrier, NULL, 3);
	local = 8;
	pthread_create(&t[0], NULL, locals, NULL);
	pthread_create(&t[1], NULL, locals, NULL);
	pthread_barrier_wait(&barrier);
	pthread_join(t[0], &value);
	EXPECT((intptr_t)value, 7);
	pthread_join(t[1], &value);
	EXPECT((intptr_t)value, 7);
	EXPECT(local, 8);

	pthread_create(&t[0], NULL, cancelled, NULL);
	usleep(5000);
	EXPECT(pthread_cancel(t[0]), 0);
	EXPECT(pthread_join(t[0], &value), 0);
	EXPECT_TRUE(value == PTHREAD_CANCELED);
	EXPECT(counter, 77);

	volatile int stop = 0;
	pthread_create(&t[0], NULL, spinner, (void *)&stop);
	usleep(20000); /* comes back though the other never gives up the CPU */
	stop = 1;
	EXPECT(pthread_join(t[0], NULL), 0);

	pthread_rwlock_wrlock(&rwlock);
	EXPECT(pthread_rwlock_tryrdlock(&rwlock), EBUSY);
	pthread_create(&t[0], NULL, reader, NULL);
	usleep(5000);
	counter = 5;
	pthread_rwlock_unlock(&rwlock);
	pthread_join(t[0], &value);
	EXPECT((intptr_t)value, 5);

	pthread_create(&t[0], NULL, tid_of, NULL);
	pthread_join(t[0], &value);
	EXPECT_TRUE((intptr_t)value != gettid() && (intptr_t)value > 0);
	EXPECT(gettid(), getpid());
	for (int i = 0; i < 60000 && syscall(SYS_tgkill, getpid(), (int)(intptr_t)value, 0) == 0; i++)
		usleep(1000); /* join may be over a moment before */
	EXPECT_ERR(syscall(SYS_tgkill, getpid(), (int)(intptr_t)value, 0), ESRCH); /* gone */
	EXPECT(syscall(SYS_set_tid_address, NULL), gettid());
	EXPECT_ERR(syscall(SYS_clone, 0x10000 /* CLONE_THREAD alone */, 0, 0, 0, 0), EINVAL);
	EXPECT_ERR(syscall(SYS_clone, 0x800 /* CLONE_SIGHAND alone */, 0, 0, 0, 0), EINVAL);
	return guest_done();
}
