/* Events of inet sockets by epoll, poll and select: level, edge, one-shot, hang-ups; which state shows which events. */
#include "inet.h"

#include <sys/epoll.h>
#include <sys/select.h>

#define ALL (EPOLLIN | EPOLLOUT | EPOLLRDHUP)

static int ep;

static int watch(int op, int fd, unsigned events)
{
	struct epoll_event e = {.events = events, .data.u64 = 0x1234567800000000ull + fd};

	return epoll_ctl(ep, op, fd, &e);
}

/* The events of the one descriptor that has some, 0 if none has. */
static int next(int timeout_ms)
{
	struct epoll_event e[8];
	int n = epoll_wait(ep, e, 8, timeout_ms);

	return n == 1 ? (int)e[0].events : n ? -n : 0;
}

/* Waits for all of events by level, without looking at ep. */
static void settle(int fd, int events)
{
	arrives(fd, events);
}

static void level(void)
{
	struct epoll_event e[4];
	int s[2];

	tcp_pair(s);
	EXPECT(watch(EPOLL_CTL_ADD, s[1], EPOLLIN | EPOLLRDHUP), 0);
	EXPECT_ERR(watch(EPOLL_CTL_ADD, s[1], EPOLLIN), EEXIST);
	EXPECT(next(0), 0);
	EXPECT(send(s[0], "abc", 3, 0), 3);
	EXPECT(next(60000), EPOLLIN);
	EXPECT(next(0), EPOLLIN);
	EXPECT(recv(s[1], buf, 1, 0), 1);
	EXPECT(next(0), EPOLLIN);
	EXPECT(recv(s[1], buf, 10, 0), 2);
	EXPECT(next(0), 0);
	EXPECT(watch(EPOLL_CTL_MOD, s[1], ALL), 0);
	EXPECT(next(0), EPOLLOUT);
	EXPECT(watch(EPOLL_CTL_MOD, s[1], EPOLLRDHUP), 0);
	EXPECT(send(s[0], "abc", 3, 0), 3);
	settle(s[1], POLLIN);
	EXPECT(next(0), 0);
	EXPECT(shutdown(s[0], SHUT_WR), 0);
	EXPECT(next(60000), EPOLLRDHUP);
	EXPECT(watch(EPOLL_CTL_MOD, s[1], ALL), 0);
	EXPECT(next(0), EPOLLIN | EPOLLOUT | EPOLLRDHUP);
	EXPECT(epoll_wait(ep, e, 4, 0), 1);
	EXPECT(e[0].data.u64 == 0x1234567800000000ull + s[1], 1);
	EXPECT(shutdown(s[1], SHUT_WR), 0);
	EXPECT(next(0), EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP);
	EXPECT(watch(EPOLL_CTL_MOD, s[1], 0), 0);
	EXPECT(next(0), EPOLLHUP); /* never left out */
	EXPECT(watch(EPOLL_CTL_DEL, s[1], 0), 0);
	EXPECT_ERR(watch(EPOLL_CTL_MOD, s[1], ALL), ENOENT);
	EXPECT(next(0), 0);
	close_pair(s);
	tcp_pair(s);
	EXPECT(watch(EPOLL_CTL_ADD, s[1], 0), 0);
	close_reset(s[0]);
	EXPECT(next(60000), EPOLLERR | EPOLLHUP);
	EXPECT(watch(EPOLL_CTL_MOD, s[1], ALL), 0);
	EXPECT(next(0), EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLRDHUP);
	EXPECT(option(s[1], SOL_SOCKET, SO_ERROR), ECONNRESET);
	EXPECT(next(0), EPOLLIN | EPOLLOUT | EPOLLHUP | EPOLLRDHUP);
	close(s[1]);
	EXPECT(next(0), 0); /* closed is removed */
}

static void edge(void)
{
	int s[2];

	tcp_pair(s);
	EXPECT(watch(EPOLL_CTL_ADD, s[1], ALL | EPOLLET), 0);
	EXPECT(next(0), EPOLLOUT);
	EXPECT(next(0), 0);
	EXPECT(send(s[0], "abc", 3, 0), 3);
	EXPECT(next(60000), EPOLLIN | EPOLLOUT);
	EXPECT(next(0), 0);
	EXPECT(recv(s[1], buf, 1, 0), 1);
	EXPECT(next(0), 0); /* reading a part is no event */
	EXPECT(send(s[0], "def", 3, 0), 3);
	EXPECT(next(60000), EPOLLIN | EPOLLOUT); /* more data is */
	EXPECT(next(0), 0);
	EXPECT(recv(s[1], buf, 10, 0), 5);
	EXPECT(watch(EPOLL_CTL_MOD, s[1], ALL | EPOLLET), 0);
	EXPECT(next(0), EPOLLOUT); /* EPOLL_CTL_MOD looks anew */
	EXPECT(send(s[1], "xyz", 3, 0), 3);
	EXPECT(recv(s[0], buf, 10, 0), 3);
	usleep(1000); /* nothing is to come */
	EXPECT(next(0), 0); /* space that was never missing is no event */
	EXPECT(shutdown(s[0], SHUT_WR), 0);
	EXPECT(next(60000), EPOLLIN | EPOLLOUT | EPOLLRDHUP);
	EXPECT(next(0), 0);
	EXPECT(recv(s[1], buf, 10, 0), 0);
	EXPECT(next(0), 0);
	EXPECT(shutdown(s[1], SHUT_WR), 0);
	EXPECT(next(0), EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP);
	EXPECT(next(0), 0);
	close_pair(s);
	/* Space after a full buffer is an event. */
	tcp_pair(s);
	set_nonblock(s[1]);
	set_nonblock(s[0]);
	EXPECT(watch(EPOLL_CTL_ADD, s[1], EPOLLOUT | EPOLLET), 0);
	EXPECT(next(0), EPOLLOUT);
	int error;
	do {
		while (send(s[1], buf, 65536, 0) > 0)
			;
		error = errno;
	} while (poll(&(struct pollfd){s[1], POLLOUT, 0}, 1, 250) > 0);
	EXPECT(error, EAGAIN);
	next(0); /* space that came while the last bytes went */
	EXPECT(next(0), 0);
	while (!(events_of(s[1]) & POLLOUT) && arrives(s[0], POLLIN) & POLLIN)
		while (recv(s[0], buf, sizeof(buf), 0) > 0)
			;
	EXPECT(next(60000), EPOLLOUT);
	close_pair(s);
	/* New connections. */
	unsigned port;
	int l = listener("127.0.0.1", &port), c = socket(AF_INET, SOCK_STREAM, 0), d = socket(AF_INET, SOCK_STREAM, 0);
	EXPECT(watch(EPOLL_CTL_ADD, l, EPOLLIN | EPOLLET), 0);
	EXPECT(next(0), 0);
	EXPECT(connect_to(c, "127.0.0.1", port), 0);
	EXPECT(next(60000), EPOLLIN);
	EXPECT(next(0), 0);
	EXPECT(connect_to(d, "127.0.0.1", port), 0);
	EXPECT(next(60000), EPOLLIN);
	s[0] = accept(l, NULL, NULL);
	EXPECT(next(0), 0);
	s[1] = accept(l, NULL, NULL);
	close_pair(s);
	close(c);
	close(d);
	close(l);
}

static void oneshot(void)
{
	int s[2];

	tcp_pair(s);
	EXPECT(watch(EPOLL_CTL_ADD, s[1], EPOLLIN | EPOLLONESHOT), 0);
	EXPECT(send(s[0], "abc", 3, 0), 3);
	EXPECT(next(60000), EPOLLIN);
	EXPECT(next(0), 0);
	EXPECT(send(s[0], "def", 3, 0), 3);
	EXPECT(send(s[0], "ghi", 3, 0), 3);
	usleep(1000);
	EXPECT(next(0), 0);
	EXPECT(watch(EPOLL_CTL_MOD, s[1], EPOLLIN | EPOLLONESHOT), 0);
	EXPECT(next(0), EPOLLIN);
	close(s[0]);
	EXPECT(next(0), 0); /* not even a hang-up */
	EXPECT(watch(EPOLL_CTL_MOD, s[1], EPOLLIN | EPOLLRDHUP | EPOLLET | EPOLLONESHOT), 0);
	settle(s[1], POLLRDHUP);
	EXPECT(next(0), EPOLLIN | EPOLLRDHUP);
	EXPECT(next(0), 0);
	close(s[1]);
}

static void connects(void)
{
	unsigned port, gone;
	int l = listener("127.0.0.1", &port), g = bound(SOCK_STREAM, "127.0.0.1", &gone), s, a, p[2];

	close(g);
	/* A socket that is not connected yet hangs up; connecting is an edge. */
	s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	EXPECT(watch(EPOLL_CTL_ADD, s, ALL | EPOLLET), 0);
	EXPECT(next(0), EPOLLOUT | EPOLLHUP);
	EXPECT(next(0), 0);
	EXPECT_ERR(connect_to(s, "127.0.0.1", port), EINPROGRESS);
	EXPECT(next(60000), EPOLLOUT);
	EXPECT(next(0), 0);
	EXPECT(option(s, SOL_SOCKET, SO_ERROR), 0);
	a = accept(l, NULL, NULL);
	close(s);
	close(a);
	s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	EXPECT_ERR(connect_to(s, "127.0.0.1", gone), EINPROGRESS);
	EXPECT(watch(EPOLL_CTL_ADD, s, EPOLLOUT), 0);
	EXPECT(next(60000), EPOLLOUT | EPOLLERR | EPOLLHUP);
	EXPECT(option(s, SOL_SOCKET, SO_ERROR), ECONNREFUSED);
	EXPECT(next(0), EPOLLOUT | EPOLLHUP);
	close(s);
	EXPECT(watch(EPOLL_CTL_ADD, l, EPOLLIN | EPOLLEXCLUSIVE), 0);
	EXPECT_ERR(watch(EPOLL_CTL_MOD, l, EPOLLIN), EINVAL);
	s = socket(AF_INET, SOCK_STREAM, 0);
	EXPECT(connect_to(s, "127.0.0.1", port), 0);
	EXPECT(next(60000), EPOLLIN);
	a = accept(l, NULL, NULL);
	EXPECT(next(0), 0);
	EXPECT(watch(EPOLL_CTL_DEL, l, 0), 0);
	/* Two at once, each once. */
	EXPECT(pipe(p), 0);
	EXPECT(watch(EPOLL_CTL_ADD, s, EPOLLIN), 0);
	EXPECT(watch(EPOLL_CTL_ADD, p[0], EPOLLIN), 0);
	EXPECT(write(p[1], "x", 1), 1);
	EXPECT(send(a, "y", 1, 0), 1);
	settle(s, POLLIN);
	EXPECT(next(0), -2);
	close(p[0]);
	close(p[1]);
	close(s);
	close(a);
	close(l);
}

static void datagrams(void)
{
	unsigned port, other;
	int s = bound(SOCK_DGRAM, "127.0.0.1", &port), t = bound(SOCK_DGRAM, "127.0.0.1", &other);

	EXPECT(watch(EPOLL_CTL_ADD, s, ALL | EPOLLET), 0);
	EXPECT(next(0), EPOLLOUT);
	EXPECT(send_to(t, "one", 3, "127.0.0.1", port), 3);
	EXPECT(next(60000), EPOLLIN | EPOLLOUT);
	EXPECT(next(0), 0);
	EXPECT(send_to(t, "", 0, "127.0.0.1", port), 0);
	EXPECT(next(60000), EPOLLIN | EPOLLOUT);
	EXPECT(recv(s, buf, 10, 0), 3);
	EXPECT(next(0), 0);
	EXPECT(recv(s, buf, 10, MSG_DONTWAIT), 0);
	EXPECT_ERR(recv(s, buf, 10, MSG_DONTWAIT), EAGAIN);
	close(t);
	EXPECT(connect_to(s, "127.0.0.1", other), 0);
	EXPECT(watch(EPOLL_CTL_MOD, s, ALL), 0);
	EXPECT(send(s, "nobody", 6, 0), 6);
	arrives(s, POLLERR);
	EXPECT(next(60000), EPOLLOUT | EPOLLERR);
	EXPECT(option(s, SOL_SOCKET, SO_ERROR), ECONNREFUSED);
	EXPECT(next(0), EPOLLOUT);
	EXPECT(shutdown(s, SHUT_RD), 0);
	EXPECT(next(0), EPOLLIN | EPOLLOUT | EPOLLRDHUP);
	EXPECT(shutdown(s, SHUT_WR), 0);
	EXPECT(next(0), EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP);
	close(s);
}

static void selecting(void)
{
	struct timeval tv = {0, 0};
	fd_set in, out, except;
	int s[2], max;

	tcp_pair(s);
	max = (s[0] > s[1] ? s[0] : s[1]) + 1;
	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_ZERO(&except);
	FD_SET(s[1], &in);
	FD_SET(s[1], &out);
	FD_SET(s[1], &except);
	EXPECT(select(max, &in, &out, &except, &tv), 1);
	EXPECT(FD_ISSET(s[1], &out) && !FD_ISSET(s[1], &in) && !FD_ISSET(s[1], &except), 1);
	close_reset(s[0]);
	arrives(s[1], POLLERR);
	FD_SET(s[1], &in);
	FD_SET(s[1], &except);
	EXPECT(select(max, &in, &out, &except, &tv), 2);
	EXPECT(FD_ISSET(s[1], &out) && FD_ISSET(s[1], &in) && !FD_ISSET(s[1], &except), 1);
	close(s[1]);
	s[0] = socket(AF_INET, SOCK_STREAM, 0);
	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_SET(s[0], &in);
	FD_SET(s[0], &out);
	EXPECT(select(s[0] + 1, &in, &out, NULL, &tv), 2); /* a hang-up reads as well */
	close(s[0]);
}

static volatile int signals;

static void count_io(int sig)
{
	signals++;
}

static void signal_driven(void)
{
	int s[2], one = 1;

	tcp_pair(s);
	signal(SIGIO, count_io);
	EXPECT(fcntl(s[1], F_SETOWN, getpid()), 0);
	EXPECT(fcntl(s[1], F_GETOWN), getpid());
	EXPECT(ioctl(s[1], FIOASYNC, &one), 0);
	EXPECT(fcntl(s[1], F_GETFL), O_RDWR | O_ASYNC);
	EXPECT(send(s[0], "x", 1, 0), 1);
	arrives(s[1], POLLIN);
	for (int i = 0; i < 60000 && !signals; i++)
		usleep(1000);
	EXPECT_TRUE(signals > 0);
	close_pair(s);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	ep = epoll_create1(EPOLL_CLOEXEC);
	level();
	edge();
	oneshot();
	connects();
	datagrams();
	selecting();
	signal_driven();
	return guest_done();
}
