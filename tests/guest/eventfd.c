/* eventfd, timerfd, signalfd. */
#include "guest.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static void *volatile bad_pointer = (void *)8;
static int events_of(int fd)
{
	struct pollfd f = {fd, POLLIN | POLLOUT, 0};

	poll(&f, 1, 0);
	return f.revents;
}

static void *add_later(void *arg)
{
	usleep(20000);
	return (void *)(long)eventfd_write(*(int *)arg, 5);
}

static void *take_later(void *arg)
{
	uint64_t v;

	usleep(20000);
	return (void *)(long)read(*(int *)arg, &v, 8);
}

static void eventfds(void)
{
	int fd = eventfd(3, EFD_NONBLOCK | EFD_CLOEXEC);
	uint64_t v = 0;
	pthread_t t;

	EXPECT_ERR(eventfd(0, 0x100), EINVAL);
	EXPECT_TRUE(fd >= 0);
	EXPECT(fcntl(fd, F_GETFL), O_RDWR | O_NONBLOCK);
	EXPECT(fcntl(fd, F_GETFD), FD_CLOEXEC);
	EXPECT(events_of(fd), POLLIN | POLLOUT);
	EXPECT_ERR(read(fd, &v, 7), EINVAL);
	EXPECT(read(fd, &v, 8), 8);
	EXPECT(v, 3);
	EXPECT(events_of(fd), POLLOUT);
	EXPECT_ERR(read(fd, &v, 8), EAGAIN);
	v = UINT64_MAX;
	EXPECT_ERR(write(fd, &v, 8), EINVAL);
	v = UINT64_MAX - 1;
	EXPECT_ERR(write(fd, &v, 7), EINVAL);
	EXPECT(write(fd, &v, 8), 8);
	EXPECT(events_of(fd), POLLIN);
	v = 1;
	EXPECT_ERR(write(fd, &v, 8), EAGAIN);
	v = 0;
	EXPECT(write(fd, &v, 8), 8);
	EXPECT(read(fd, &v, 8), 8);
	EXPECT(v, UINT64_MAX - 1);
	EXPECT_ERR(write(fd, bad_pointer, 8), EFAULT);
	EXPECT(lseek(fd, 5, SEEK_SET), 0); /* does nothing */
	close(fd);
	fd = eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK);
	EXPECT(read(fd, &v, 8), 8);
	EXPECT(v, 1);
	EXPECT(read(fd, &v, 8), 8);
	EXPECT_ERR(read(fd, &v, 8), EAGAIN);
	close(fd);
	fd = eventfd(0, 0);
	pthread_create(&t, NULL, add_later, &fd);
	EXPECT(read(fd, &v, 8), 8);
	EXPECT(v, 5);
	pthread_join(t, NULL);
	v = UINT64_MAX - 1;
	EXPECT(write(fd, &v, 8), 8);
	pthread_create(&t, NULL, take_later, &fd);
	v = 9;
	EXPECT(write(fd, &v, 8), 8); /* waits for room */
	pthread_join(t, NULL);
	EXPECT(read(fd, &v, 8), 8);
	EXPECT(v, 9);
	close(fd);
}

static void timerfds(void)
{
	struct itimerspec s = {0}, old;
	struct timespec now;
	uint64_t v = 0;

	EXPECT_ERR(timerfd_create(77, 0), EINVAL);
	EXPECT_ERR(timerfd_create(CLOCK_MONOTONIC, 1), EINVAL);
	EXPECT_ERR(timerfd_create(CLOCK_PROCESS_CPUTIME_ID, 0), EINVAL);
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	EXPECT_TRUE(fd >= 0);
	EXPECT(fcntl(fd, F_GETFD), FD_CLOEXEC);
	EXPECT_ERR(read(fd, &v, 8), EAGAIN);
	EXPECT_ERR(read(fd, &v, 7), EINVAL);
	EXPECT_ERR(write(fd, &v, 8), EINVAL);
	EXPECT(timerfd_gettime(fd, &s), 0);
	EXPECT(s.it_value.tv_sec == 0 && s.it_value.tv_nsec == 0, 1);
	s.it_value.tv_nsec = 1000000000;
	EXPECT_ERR(timerfd_settime(fd, 0, &s, NULL), EINVAL);
	s.it_value = (struct timespec){1000, 0};
	EXPECT_ERR(timerfd_settime(fd, 8, &s, NULL), EINVAL);
	EXPECT_ERR(timerfd_settime(0x7fff, 0, &s, NULL), EBADF);
	EXPECT_ERR(syscall(SYS_timerfd_settime, fd, 0, bad_pointer, NULL), EFAULT);
	EXPECT(timerfd_settime(fd, 0, &s, &old), 0);
	struct pollfd f = {fd, POLLIN, 0};
	EXPECT(poll(&f, 1, 0), 0);
	s.it_value = (struct timespec){0, 10000000};
	EXPECT(timerfd_settime(fd, 0, &s, &old), 0);
	EXPECT(poll(&f, 1, 60000), 1);
	EXPECT(f.revents, POLLIN);
	EXPECT(read(fd, &v, 8), 8);
	EXPECT(v, 1);
	EXPECT(poll(&f, 1, 20), 0); /* once only */
	/* an interval that nobody reads is counted exactly */
	clock_gettime(CLOCK_MONOTONIC, &now);
	s.it_value = now;
	s.it_value.tv_sec -= 50;
	s.it_interval = (struct timespec){15, 0};
	EXPECT(timerfd_settime(fd, TFD_TIMER_ABSTIME, &s, NULL), 0);
	EXPECT(read(fd, &v, 8), 8);
	EXPECT(v, 4);
	EXPECT(timerfd_gettime(fd, &old), 0);
	EXPECT_TRUE(old.it_value.tv_sec <= 10 && old.it_interval.tv_sec == 15); /* 50 s ago plus 4 intervals */
	EXPECT_ERR(read(fd, &v, 8), EAGAIN);
	memset(&s, 0, sizeof(s));
	EXPECT(timerfd_settime(fd, 0, &s, &old), 0);
	EXPECT(old.it_interval.tv_sec, 15);
	EXPECT(timerfd_gettime(fd, &old), 0);
	EXPECT(old.it_value.tv_sec == 0 && old.it_value.tv_nsec == 0, 1);
	close(fd);
	fd = timerfd_create(CLOCK_REALTIME, 0);
	clock_gettime(CLOCK_REALTIME, &s.it_value);
	s.it_value.tv_nsec += 20000000;
	if (s.it_value.tv_nsec >= 1000000000) {
		s.it_value.tv_nsec -= 1000000000;
		s.it_value.tv_sec++;
	}
	EXPECT(timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &s, NULL), 0);
	EXPECT(read(fd, &v, 8), 8); /* waits */
	EXPECT(v, 1);
	s.it_value.tv_sec -= 100;
	EXPECT(timerfd_settime(fd, TFD_TIMER_ABSTIME, &s, NULL), 0);
	EXPECT(read(fd, &v, 8), 8); /* already past */
	EXPECT_ERR(timerfd_gettime(0, &s), EINVAL);
	close(fd);
	fd = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK);
	EXPECT_TRUE(fd >= 0);
	close(fd);
}

static void *raise_later(void *arg)
{
	usleep(20000);
	return (void *)(long)kill(getpid(), *(int *)arg);
}

static void signalfds(void)
{
	struct signalfd_siginfo info[3];
	union sigval value = {.sival_int = 77};
	sigset_t set;
	int sig = SIGUSR2;
	pthread_t t;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigaddset(&set, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &set, NULL);
	EXPECT_ERR(signalfd(-1, &set, 1), EINVAL);
	EXPECT_ERR(syscall(SYS_signalfd4, -1, &set, 4, 0), EINVAL);
	EXPECT_ERR(syscall(SYS_signalfd4, -1, bad_pointer, 8, 0), EFAULT);
	EXPECT_ERR(signalfd(0x7fff, &set, 0), EBADF);
	int e = eventfd(0, 0);
	EXPECT_ERR(signalfd(e, &set, 0), EINVAL);
	close(e);
	int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	EXPECT_TRUE(fd >= 0);
	EXPECT_ERR(read(fd, info, 100), EINVAL);
	EXPECT_ERR(read(fd, info, sizeof(info)), EAGAIN);
	EXPECT(events_of(fd), 0);
	kill(getpid(), SIGUSR1);
	kill(getpid(), SIGUSR1);
	sigqueue(getpid(), SIGRTMIN, value);
	EXPECT(events_of(fd), POLLIN);
	EXPECT(read(fd, info, sizeof(info)), 2 * sizeof(info[0]));
	EXPECT(info[0].ssi_signo, SIGUSR1);
	EXPECT(info[0].ssi_code, SI_USER);
	EXPECT(info[0].ssi_pid, (unsigned)getpid());
	EXPECT(info[0].ssi_uid, getuid());
	EXPECT(info[1].ssi_signo, (unsigned)SIGRTMIN);
	EXPECT(info[1].ssi_code, SI_QUEUE);
	EXPECT(info[1].ssi_int, 77);
	EXPECT_ERR(read(fd, info, sizeof(info)), EAGAIN);
	sigdelset(&set, SIGUSR1);
	EXPECT(signalfd(fd, &set, 0), fd); /* a new mask for the same descriptor */
	kill(getpid(), SIGUSR1);
	EXPECT_ERR(read(fd, info, sizeof(info)), EAGAIN);
	struct pollfd f = {fd, POLLIN, 0};
	pthread_create(&t, NULL, raise_later, &sig);
	EXPECT(poll(&f, 1, 60000), 1);
	pthread_join(t, NULL);
	EXPECT(read(fd, info, sizeof(info)), sizeof(info[0]));
	EXPECT(info[0].ssi_signo, SIGUSR2);
	fcntl(fd, F_SETFL, 0);
	pthread_create(&t, NULL, raise_later, &sig);
	EXPECT(read(fd, info, sizeof(info)), sizeof(info[0])); /* waits */
	pthread_join(t, NULL);
	close(fd);
}

int main(void)
{
	eventfds();
	timerfds();
	signalfds();
	return guest_done();
}
