/* poll, ppoll, select, pselect and epoll on pipes: events, timeouts, masks, modes, errors. */
#include "guest.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void *volatile bad_pointer = (void *)8;
static int p[2];

static long ms_since(const struct timespec *start)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - start->tv_sec) * 1000 + (now.tv_nsec - start->tv_nsec) / 1000000;
}

static void *write_later(void *arg)
{
	usleep(20000);
	return (void *)(long)write(*(int *)arg, "x", 1);
}

static void on_signal(int sig)
{
	(void)sig;
}

static void polling(void)
{
	struct pollfd f[3] = {{p[0], POLLIN, 99}, {-1, POLLIN, 99}, {900, POLLIN, 99}};
	struct timespec start, t = {0, 20000000};
	struct rlimit limit;
	pthread_t th;
	char c;

	EXPECT(poll(f, 2, 0), 0);
	EXPECT(f[0].revents, 0);
	EXPECT(f[1].revents, 0);
	EXPECT(poll(f, 3, -1), 1);
	EXPECT(f[2].revents, POLLNVAL);
	EXPECT_ERR(poll(bad_pointer, 1, 0), EFAULT);
	getrlimit(RLIMIT_NOFILE, &limit);
	EXPECT_ERR(poll(f, limit.rlim_cur + 1, 0), EINVAL);
	clock_gettime(CLOCK_MONOTONIC, &start);
	EXPECT(poll(f, 1, 30), 0);
	EXPECT_TRUE(ms_since(&start) >= 30);
	pthread_create(&th, NULL, write_later, &p[1]);
	EXPECT(poll(f, 2, 60000), 1);
	EXPECT(f[0].revents, POLLIN);
	pthread_join(th, NULL);
	f[0].events = POLLIN | POLLRDNORM | POLLPRI;
	EXPECT(poll(f, 1, -1), 1);
	EXPECT(f[0].revents, POLLIN | POLLRDNORM);
	f[0].events = 0;
	EXPECT(poll(f, 1, 0), 0);
	EXPECT(read(p[0], &c, 1), 1);
	EXPECT(syscall(SYS_ppoll, f, 1, &t, NULL, 8), 0);
	EXPECT(t.tv_sec == 0 && t.tv_nsec == 0, 1); /* the call wrote back what was left */
	t = (struct timespec){0, 1000000000};
	EXPECT_ERR(syscall(SYS_ppoll, f, 1, &t, NULL, 8), EINVAL);
	t = (struct timespec){-1, 0};
	EXPECT_ERR(syscall(SYS_ppoll, f, 1, &t, NULL, 8), EINVAL);
	sigset_t none;
	sigemptyset(&none);
	EXPECT_ERR(syscall(SYS_ppoll, f, 1, NULL, &none, 4), EINVAL);
	const char *path = guest_name("/tmp/guest-poll");
	int file = open(path, O_CREAT | O_RDWR, 0600);
	struct pollfd r = {file, POLLIN | POLLOUT, 0};
	EXPECT(poll(&r, 1, -1), 1);
	EXPECT(r.revents, POLLIN | POLLOUT);
	close(file);
	unlink(path);
}

static void masks(void)
{
	struct pollfd f = {p[0], POLLIN, 0};
	struct sigaction sa = {.sa_handler = on_signal};
	struct timespec t = {60, 0};
	sigset_t block, none, now;

	sigaction(SIGUSR1, &sa, NULL);
	sigemptyset(&none);
	sigemptyset(&block);
	sigaddset(&block, SIGUSR1);
	sigprocmask(SIG_BLOCK, &block, NULL);
	raise(SIGUSR1);
	EXPECT(poll(&f, 1, 10), 0); /* blocked */
	EXPECT_ERR(ppoll(&f, 1, &t, &none), EINTR);
	sigprocmask(SIG_SETMASK, NULL, &now);
	EXPECT(sigismember(&now, SIGUSR1), 1);
	raise(SIGUSR1);
	EXPECT_ERR(pselect(0, NULL, NULL, NULL, &t, &none), EINTR);
	raise(SIGUSR1);
	int ep = epoll_create1(0);
	struct epoll_event e;
	EXPECT_ERR(epoll_pwait(ep, &e, 1, 60000, &none), EINTR);
	EXPECT(epoll_pwait(ep, &e, 1, 10, &none), 0);
	sigprocmask(SIG_SETMASK, NULL, &now);
	EXPECT(sigismember(&now, SIGUSR1), 1);
	sigprocmask(SIG_SETMASK, &none, NULL);
	close(ep);
}

static void selecting(void)
{
	fd_set in, out, ex;
	struct timeval tv = {0, 20000};
	char c;

	FD_ZERO(&in);
	FD_SET(p[0], &in);
	EXPECT(select(p[0] + 1, &in, NULL, NULL, &tv), 0);
	EXPECT(tv.tv_sec == 0 && tv.tv_usec == 0, 1);
	EXPECT(FD_ISSET(p[0], &in), 0);
	EXPECT(write(p[1], "y", 1), 1);
	FD_SET(p[0], &in);
	FD_ZERO(&out);
	FD_SET(p[1], &out);
	FD_ZERO(&ex);
	FD_SET(p[0], &ex);
	EXPECT(select(p[1] + 1, &in, &out, &ex, NULL), 2);
	EXPECT(FD_ISSET(p[0], &in) && FD_ISSET(p[1], &out) && !FD_ISSET(p[0], &ex), 1);
	EXPECT(read(p[0], &c, 1), 1);
	EXPECT_ERR(select(-1, NULL, NULL, NULL, NULL), EINVAL);
	tv = (struct timeval){-1, 0};
	EXPECT_ERR(select(0, NULL, NULL, NULL, &tv), EINVAL);
	tv = (struct timeval){0, 0};
	EXPECT(select(0, NULL, NULL, NULL, &tv), 0);
	tv = (struct timeval){0, 1000001};
	FD_SET(p[1], &out);
	EXPECT(select(p[1] + 1, NULL, &out, NULL, &tv), 1);
	int closed = dup(p[0]);
	close(closed);
	FD_ZERO(&in);
	FD_SET(closed, &in);
	EXPECT_ERR(select(closed + 1, &in, NULL, NULL, &tv), EBADF);
	EXPECT_ERR(syscall(SYS_select, 4, bad_pointer, NULL, NULL, NULL), EFAULT);
}

static int ep_add(int ep, int fd, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.u64 = (uint64_t)fd};

	return epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e);
}

static int ep_mod(int ep, int fd, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.u64 = (uint64_t)fd};

	return epoll_ctl(ep, EPOLL_CTL_MOD, fd, &e);
}

static void epoll_errors(void)
{
	struct epoll_event e = {.events = EPOLLIN};
	int ep = epoll_create1(EPOLL_CLOEXEC), file = open("/tmp", O_RDONLY);

	EXPECT(fcntl(ep, F_GETFD), FD_CLOEXEC);
	EXPECT_ERR(epoll_create(0), EINVAL);
	EXPECT_ERR(epoll_create1(1), EINVAL);
	EXPECT_ERR(ep_add(ep, file, EPOLLIN), EPERM);
	EXPECT_ERR(ep_add(ep, ep, EPOLLIN), EINVAL);
	EXPECT_ERR(ep_add(p[0], p[1], EPOLLIN), EINVAL);
	EXPECT_ERR(ep_add(ep, 900, EPOLLIN), EBADF);
	EXPECT_ERR(ep_add(900, p[0], EPOLLIN), EBADF);
	EXPECT_ERR(epoll_ctl(ep, EPOLL_CTL_ADD, p[0], bad_pointer), EFAULT);
	EXPECT_ERR(ep_mod(ep, p[0], EPOLLIN), ENOENT);
	EXPECT_ERR(epoll_ctl(ep, EPOLL_CTL_DEL, p[0], NULL), ENOENT);
	EXPECT(ep_add(ep, p[0], EPOLLIN), 0);
	EXPECT_ERR(ep_add(ep, p[0], EPOLLIN), EEXIST);
	EXPECT_ERR(epoll_ctl(ep, 77, p[0], &e), EINVAL);
	EXPECT_ERR(ep_mod(ep, p[0], EPOLLIN | EPOLLEXCLUSIVE), EINVAL);
	EXPECT(epoll_ctl(ep, EPOLL_CTL_DEL, p[0], NULL), 0);
	EXPECT_ERR(ep_add(ep, p[0], EPOLLONESHOT | EPOLLEXCLUSIVE), EINVAL);
	EXPECT_ERR(epoll_wait(ep, &e, 0, 0), EINVAL);
	EXPECT_ERR(syscall(SYS_epoll_wait, ep, &e, -1, 0), EINVAL);
	EXPECT_ERR(epoll_wait(p[0], &e, 1, 0), EINVAL);
	EXPECT_ERR(epoll_wait(900, &e, 1, 0), EBADF);
	close(ep);
	close(file);
}

static void epoll_modes(void)
{
	struct epoll_event e[4];
	int ep = epoll_create1(0);
	char c;

	EXPECT(ep_add(ep, p[0], EPOLLIN), 0);
	EXPECT(epoll_wait(ep, e, 4, 0), 0);
	EXPECT(write(p[1], "ab", 2), 2);
	EXPECT(epoll_wait(ep, e, 4, 0), 1);
	EXPECT(e[0].events, EPOLLIN);
	EXPECT(e[0].data.u64, (uint64_t)p[0]);
	EXPECT(epoll_wait(ep, e, 4, 0), 1); /* level: still there */
	EXPECT(ep_mod(ep, p[0], EPOLLIN | EPOLLET), 0);
	EXPECT(epoll_wait(ep, e, 4, 0), 1);
	EXPECT(epoll_wait(ep, e, 4, 0), 0); /* edge: told once */
	EXPECT(write(p[1], "c", 1), 1);
	EXPECT(epoll_wait(ep, e, 4, 0), 1); /* new data, new edge */
	EXPECT(ep_mod(ep, p[0], EPOLLIN | EPOLLONESHOT), 0);
	EXPECT(epoll_wait(ep, e, 4, 0), 1);
	EXPECT(epoll_wait(ep, e, 4, 0), 0);
	EXPECT(write(p[1], "d", 1), 1);
	EXPECT(epoll_wait(ep, e, 4, 0), 0);
	EXPECT(ep_mod(ep, p[0], EPOLLIN), 0);
	EXPECT(epoll_wait(ep, e, 4, 0), 1);
	while (read(p[0], &c, 1) == 1 && c != 'd')
		;
	EXPECT(epoll_wait(ep, e, 4, 10), 0);
	EXPECT(ep_add(ep, p[1], EPOLLOUT), 0);
	EXPECT(epoll_wait(ep, e, 4, -1), 1);
	EXPECT(e[0].events, EPOLLOUT);
	/* a duplicate descriptor is watched on its own, and keeps the watch of a closed one alive */
	int copy = dup(p[0]);
	EXPECT(ep_add(ep, copy, EPOLLIN), 0);
	EXPECT(write(p[1], "e", 1), 1);
	EXPECT(epoll_wait(ep, e, 4, 0), 3);
	EXPECT(epoll_wait(ep, e, 1, 0), 1);
	close(copy);
	EXPECT(epoll_wait(ep, e, 4, 0), 3);
	close(ep);
	EXPECT(read(p[0], &c, 1), 1);
}

static void epoll_nested(void)
{
	struct epoll_event e[4];
	int a = epoll_create1(0), b = epoll_create1(0), chain[8];
	pthread_t t;
	char c;

	EXPECT(ep_add(a, p[0], EPOLLIN), 0);
	EXPECT(ep_add(b, a, EPOLLIN), 0);
	EXPECT_ERR(ep_add(a, b, EPOLLIN), ELOOP);
	EXPECT(epoll_wait(b, e, 4, 0), 0);
	pthread_create(&t, NULL, write_later, &p[1]);
	EXPECT(epoll_wait(b, e, 4, 60000), 1);
	EXPECT(e[0].data.u64, (uint64_t)a);
	pthread_join(t, NULL);
	struct pollfd f = {b, POLLIN, 0};
	EXPECT(poll(&f, 1, 0), 1);
	EXPECT(read(p[0], &c, 1), 1);
	EXPECT(poll(&f, 1, 0), 0);
	for (int i = 0; i < 6; i++)
		chain[i] = epoll_create1(0);
	EXPECT(ep_add(chain[0], p[0], EPOLLIN), 0);
	for (int i = 1; i < 5; i++)
		EXPECT(ep_add(chain[i], chain[i - 1], EPOLLIN), 0);
	EXPECT_ERR(ep_add(chain[5], chain[4], EPOLLIN), ELOOP);
	for (int i = 0; i < 6; i++)
		close(chain[i]);
	close(a);
	close(b);
}

static void epoll_many(void)
{
	struct epoll_event e[64];
	int ep = epoll_create1(0), fds[100][2], seen = 0;
	struct timespec t = {0, 1000000000};

	for (int i = 0; i < 100; i++)
		if (pipe(fds[i]) || ep_add(ep, fds[i][0], EPOLLIN))
			EXPECT_TRUE(0);
	for (int i = 0; i < 100; i += 10)
		if (write(fds[i][1], "x", 1) != 1)
			EXPECT_TRUE(0);
	EXPECT(epoll_wait(ep, e, 64, 0), 10);
	for (int i = 0; i < 10; i++)
		for (int k = 0; k < 100; k += 10)
			seen += e[i].data.u64 == (uint64_t)fds[k][0];
	EXPECT(seen, 10);
	close(fds[0][0]);
	close(fds[10][1]);
	EXPECT(epoll_wait(ep, e, 64, 0), 9);
	EXPECT_ERR(syscall(SYS_epoll_pwait2, ep, e, 64, &t, NULL, 8), EINVAL);
	t = (struct timespec){0, 0};
	EXPECT(syscall(SYS_epoll_pwait2, ep, e, 4, &t, NULL, 8), 4);
	close(ep);
	for (int i = 0; i < 100; i++) {
		if (i)
			close(fds[i][0]);
		if (i != 10)
			close(fds[i][1]);
	}
}

int main(void)
{
	if (pipe(p))
		return 1;
	polling();
	masks();
	selecting();
	epoll_errors();
	epoll_modes();
	epoll_nested();
	epoll_many();
	return guest_done();
}
