/* How TCP connections end: halves, resets, data that nobody read, listeners that go, ports afterwards.
 * What poll says in each state.
 */
#include "inet.h"


static volatile int pipes;

static void count_pipe(int sig)
{
	(void)sig;
	pipes++;
}

static void halves(void)
{
	int s[2];

	tcp_pair(s);
	EXPECT_ERR(shutdown(s[0], 3), EINVAL);
	EXPECT_ERR(shutdown(s[0], -1), EINVAL);
	EXPECT(send(s[0], "request", 7, 0), 7);
	EXPECT(shutdown(s[0], SHUT_WR), 0);
	EXPECT(events_of(s[0]), POLLOUT);
	pipes = 0;
	EXPECT_ERR(send(s[0], "x", 1, 0), EPIPE);
	EXPECT_ERR(write(s[0], "x", 1), EPIPE);
	EXPECT(pipes, 2);
	EXPECT_ERR(send(s[0], "x", 1, MSG_NOSIGNAL), EPIPE);
	EXPECT(pipes, 2);
	EXPECT(arrives(s[1], POLLRDHUP), POLLIN | POLLOUT | POLLRDHUP);
	EXPECT(recv(s[1], buf, 100, 0), 7);
	EXPECT(recv(s[1], buf, 100, 0), 0);
	EXPECT(recv(s[1], buf, 100, 0), 0);
	EXPECT(events_of(s[1]), POLLIN | POLLOUT | POLLRDHUP);
	EXPECT(send(s[1], "answer", 6, 0), 6); /* the other direction goes on */
	EXPECT(recv(s[0], buf, 100, 0), 6);
	EXPECT(shutdown(s[0], SHUT_WR), 0);
	EXPECT(shutdown(s[1], SHUT_WR), 0);
	EXPECT(arrives(s[0], POLLHUP), POLLIN | POLLOUT | POLLHUP | POLLRDHUP);
	EXPECT(arrives(s[1], POLLHUP), POLLIN | POLLOUT | POLLHUP | POLLRDHUP);
	EXPECT(recv(s[0], buf, 100, 0), 0);
	EXPECT_ERR(shutdown(s[1], SHUT_RDWR), ENOTCONN); /* all over */
	EXPECT_ERR(getpeername(s[1], NULL, &(socklen_t){0}), ENOTCONN);
	EXPECT(option(s[1], SOL_SOCKET, SO_ERROR), 0);
	close_pair(s);

	tcp_pair(s);
	EXPECT(shutdown(s[0], SHUT_RD), 0);
	EXPECT(events_of(s[0]), POLLIN | POLLOUT | POLLRDHUP);
	EXPECT(recv(s[0], buf, 1, 0), 0);
	EXPECT(send(s[1], "still", 5, 0), 5); /* the peer does not know, and what comes can be read */
	int n = 0;
	while (!ioctl(s[0], FIONREAD, &n) && n < 5)
		usleep(1000);
	EXPECT(recv(s[0], buf, 10, 0), 5);
	EXPECT(recv(s[0], buf, 10, 0), 0);
	EXPECT(send(s[0], "out", 3, 0), 3);
	EXPECT(recv(s[1], buf, 10, 0), 3);
	EXPECT(shutdown(s[0], SHUT_RDWR), 0);
	EXPECT(events_of(s[0]), POLLIN | POLLOUT | POLLHUP | POLLRDHUP);
	close_pair(s);
}

static void peer_closes(void)
{
	int s[2], d;

	tcp_pair(s);
	EXPECT(send(s[1], "bye", 3, 0), 3);
	close(s[1]);
	EXPECT(arrives(s[0], POLLRDHUP), POLLIN | POLLOUT | POLLRDHUP);
	EXPECT(recv(s[0], buf, 10, 0), 3);
	EXPECT(recv(s[0], buf, 10, 0), 0);
	pipes = 0;
	EXPECT(send(s[0], "nobody", 6, 0), 6); /* answered by a reset */
	EXPECT(arrives(s[0], POLLERR), POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP);
	EXPECT_ERR(send(s[0], "x", 1, 0), EPIPE);
	EXPECT(pipes, 1);
	EXPECT(events_of(s[0]), POLLIN | POLLOUT | POLLHUP | POLLRDHUP);
	EXPECT(recv(s[0], buf, 10, 0), 0);
	close(s[0]);
	tcp_pair(s);
	close(s[1]);
	arrives(s[0], POLLRDHUP);
	EXPECT(send(s[0], "nobody", 6, 0), 6);
	arrives(s[0], POLLERR);
	EXPECT(option(s[0], SOL_SOCKET, SO_ERROR), EPIPE); /* the peer's end had been seen: not ECONNRESET */
	EXPECT(option(s[0], SOL_SOCKET, SO_ERROR), 0);
	close(s[0]);
	/* A duplicate keeps the connection. */
	tcp_pair(s);
	d = dup(s[1]);
	close(s[1]);
	EXPECT(send(d, "dup", 3, 0), 3);
	EXPECT(recv(s[0], buf, 10, 0), 3);
	EXPECT_ERR(recv(s[0], buf, 10, MSG_DONTWAIT), EAGAIN);
	EXPECT(shutdown(d, SHUT_WR), 0);
	EXPECT(recv(s[0], buf, 10, 0), 0);
	close(s[0]);
	close(d);
	/* Both at once. */
	tcp_pair(s);
	EXPECT(shutdown(s[0], SHUT_WR), 0);
	EXPECT(shutdown(s[1], SHUT_WR), 0);
	EXPECT(arrives(s[0], POLLHUP), POLLIN | POLLOUT | POLLHUP | POLLRDHUP);
	close_pair(s);
}

static void resets(void)
{
	struct linger l = {1, 0};
	int s[2];

	tcp_pair(s);
	close_reset(s[1]);
	EXPECT(arrives(s[0], POLLERR), POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP);
	EXPECT_ERR(recv(s[0], buf, 1, 0), ECONNRESET);
	EXPECT(events_of(s[0]), POLLIN | POLLOUT | POLLHUP | POLLRDHUP);
	EXPECT(recv(s[0], buf, 1, 0), 0);
	EXPECT_ERR(send(s[0], "x", 1, MSG_NOSIGNAL), EPIPE);
	EXPECT_ERR(getpeername(s[0], NULL, &(socklen_t){0}), ENOTCONN);
	EXPECT_ERR(shutdown(s[0], SHUT_WR), ENOTCONN);
	close(s[0]);
	tcp_pair(s);
	close_reset(s[1]);
	arrives(s[0], POLLERR);
	pipes = 0;
	EXPECT_ERR(send(s[0], "x", 1, 0), ECONNRESET);
	EXPECT(pipes, 0);
	EXPECT_ERR(send(s[0], "x", 1, 0), EPIPE);
	EXPECT(pipes, 1);
	close(s[0]);
	tcp_pair(s);
	close_reset(s[1]);
	arrives(s[0], POLLERR);
	EXPECT(option(s[0], SOL_SOCKET, SO_ERROR), ECONNRESET);
	EXPECT(recv(s[0], buf, 1, 0), 0);
	close(s[0]);
	/* What came before the reset can't be read any more, nor was it before: it is still there. */
	tcp_pair(s);
	EXPECT(send(s[1], "data", 4, 0), 4);
	arrives(s[0], POLLIN);
	close_reset(s[1]);
	arrives(s[0], POLLERR);
	EXPECT(recv(s[0], buf, 10, 0), 4);
	EXPECT_ERR(recv(s[0], buf, 10, 0), ECONNRESET);
	close(s[0]);
	/* Data that nobody read: close() resets. */
	tcp_pair(s);
	EXPECT(send(s[0], "unread", 6, 0), 6);
	arrives(s[1], POLLIN);
	close(s[1]);
	EXPECT(arrives(s[0], POLLERR), POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP);
	EXPECT_ERR(recv(s[0], buf, 1, 0), ECONNRESET);
	close(s[0]);
	/* AF_UNSPEC on a connection resets. */
	tcp_pair(s);
	EXPECT(connect(s[1], &(struct sockaddr){AF_UNSPEC}, sizeof(struct sockaddr)), 0);
	EXPECT(arrives(s[0], POLLERR), POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP);
	EXPECT_ERR(recv(s[0], buf, 1, 0), ECONNRESET);
	EXPECT(events_of(s[1]) & POLLHUP, POLLHUP);
	EXPECT_ERR(send(s[1], "x", 1, MSG_NOSIGNAL), ECONNRESET); /* its own side hears of it too */
	EXPECT_ERR(send(s[1], "x", 1, MSG_NOSIGNAL), EPIPE);
	close_pair(s);
	/* A linger with time sends what there is first. */
	tcp_pair(s);
	l.l_linger = 2;
	EXPECT(setsockopt(s[1], SOL_SOCKET, SO_LINGER, &l, sizeof(l)), 0);
	EXPECT(send(s[1], "linger", 6, 0), 6);
	EXPECT(close(s[1]), 0);
	EXPECT(recv(s[0], buf, 10, MSG_WAITALL), 6);
	EXPECT(recv(s[0], buf, 10, 0), 0);
	close(s[0]);
}

static void accepting_late(void)
{
	unsigned port;
	int l = listener("127.0.0.1", &port), c, a;
	union address from;
	socklen_t len = sizeof(from);

	set_nonblock(l);
	c = socket(AF_INET, SOCK_STREAM, 0);
	EXPECT(connect_to(c, "127.0.0.1", port), 0);
	EXPECT(send(c, "gone", 4, 0), 4);
	close(c);
	EXPECT(arrives(l, POLLIN), POLLIN);
	EXPECT_TRUE((a = accept(l, &from.any, &len)) >= 0);
	EXPECT(len, 16);
	EXPECT(arrives(a, POLLRDHUP), POLLIN | POLLOUT | POLLRDHUP);
	EXPECT(recv(a, buf, 10, 0), 4);
	EXPECT(recv(a, buf, 10, 0), 0);
	close(a);
	c = socket(AF_INET, SOCK_STREAM, 0);
	EXPECT(connect_to(c, "127.0.0.1", port), 0);
	close_reset(c);
	usleep(2000);
	EXPECT(arrives(l, POLLIN), POLLIN); /* a connection that was reset stays in the queue */
	EXPECT_TRUE((a = accept(l, NULL, NULL)) >= 0);
	EXPECT(arrives(a, POLLERR), POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP);
	EXPECT_ERR(recv(a, buf, 10, 0), ECONNRESET);
	close(a);
	/* The listener goes: what waits in its queue is reset. */
	c = socket(AF_INET, SOCK_STREAM, 0);
	EXPECT(connect_to(c, "127.0.0.1", port), 0);
	EXPECT(arrives(l, POLLIN), POLLIN);
	close(l);
	EXPECT(arrives(c, POLLERR), POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP);
	EXPECT_ERR(recv(c, buf, 10, 0), ECONNRESET);
	close(c);
	c = socket(AF_INET, SOCK_STREAM, 0);
	EXPECT_ERR(connect_to(c, "127.0.0.1", port), ECONNREFUSED);
	close(c);
}

/* The side that closes first keeps its port for a while. */
static void ports_afterwards(void)
{
	unsigned port;
	int l = listener("127.0.0.1", &port), c = socket(AF_INET, SOCK_STREAM, 0), a;

	connect_to(c, "127.0.0.1", port);
	a = accept(l, NULL, NULL);
	close(l);
	l = socket(AF_INET, SOCK_STREAM, 0);
	EXPECT_ERR(bind_to(l, "127.0.0.1", port), EADDRINUSE); /* a connection of the former listener is there */
	EXPECT(shutdown(a, SHUT_WR), 0);
	EXPECT(recv(c, buf, 1, 0), 0);
	close(c);
	EXPECT(recv(a, buf, 1, 0), 0);
	close(a); /* in TIME_WAIT now */
	EXPECT_ERR(bind_to(l, "127.0.0.1", port), EADDRINUSE);
	EXPECT_ERR(bind_to(l, "0.0.0.0", port), EADDRINUSE);
	EXPECT(set_option(l, SOL_SOCKET, SO_REUSEADDR, 1), 0);
	EXPECT_ERR(bind_to(l, "127.0.0.1", port), EADDRINUSE); /* the former one had no SO_REUSEADDR */
	close(l);
	/* As servers do it. */
	l = socket(AF_INET, SOCK_STREAM, 0);
	set_option(l, SOL_SOCKET, SO_REUSEADDR, 1);
	EXPECT(bind_to(l, "127.0.0.1", 0), 0);
	port = port_of(l);
	listen(l, 5);
	c = socket(AF_INET, SOCK_STREAM, 0);
	connect_to(c, "127.0.0.1", port);
	a = accept(l, NULL, NULL);
	int l2 = socket(AF_INET, SOCK_STREAM, 0);
	set_option(l2, SOL_SOCKET, SO_REUSEADDR, 1);
	EXPECT_ERR(bind_to(l2, "127.0.0.1", port), EADDRINUSE); /* not while one listens */
	close(l);
	EXPECT(bind_to(l2, "127.0.0.1", port), 0); /* connections do not matter */
	EXPECT(listen(l2, 5), 0);
	EXPECT(send(c, "on", 2, 0), 2);
	EXPECT(recv(a, buf, 10, 0), 2);
	shutdown(a, SHUT_WR);
	recv(c, buf, 1, 0);
	close(c);
	recv(a, buf, 1, 0);
	close(a);
	c = socket(AF_INET, SOCK_STREAM, 0);
	EXPECT(connect_to(c, "127.0.0.1", port), 0);
	close(c);
	close(l2);
	l = socket(AF_INET, SOCK_STREAM, 0);
	EXPECT_ERR(bind_to(l, "127.0.0.1", port), EADDRINUSE); /* TIME_WAIT */
	set_option(l, SOL_SOCKET, SO_REUSEADDR, 1);
	EXPECT(bind_to(l, "127.0.0.1", port), 0);
	close(l);
}

int main(void)
{
	signal(SIGPIPE, count_pipe);
	halves();
	peer_closes();
	resets();
	accepting_late();
	ports_afterwards();
	return guest_done();
}
