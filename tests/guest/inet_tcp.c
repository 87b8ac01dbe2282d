/* TCP on loopback: making, naming and listening, connecting. Data: inet_data.c; how connections end: inet_close.c. */
#include "inet.h"


static volatile int pipes;

static void count_pipe(int sig)
{
	(void)sig;
	pipes++;
}

static void making(void)
{
	struct stat st;
	int s;

	EXPECT_ERR(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP), EPROTONOSUPPORT);
	EXPECT_ERR(socket(AF_INET, SOCK_DGRAM, IPPROTO_TCP), EPROTONOSUPPORT);
	EXPECT_ERR(socket(AF_INET6, SOCK_STREAM, IPPROTO_UDP), EPROTONOSUPPORT);
	EXPECT_ERR(socket(AF_INET, SOCK_STREAM, 300), EINVAL);
	EXPECT_ERR(socket(AF_INET, SOCK_STREAM, -1), EINVAL);
	EXPECT_ERR(socket(AF_INET, SOCK_SEQPACKET, 0), ESOCKTNOSUPPORT);
	EXPECT_ERR(socket(AF_INET, 0, 0), ESOCKTNOSUPPORT);
	EXPECT_ERR(socket(AF_INET, 11, 0), EINVAL);
	EXPECT_ERR(socket(AF_INET, SOCK_STREAM | 0x1000, 0), EINVAL);
	EXPECT_ERR(socketpair(AF_INET, SOCK_STREAM, 0, (int[2]){0}), EOPNOTSUPP);
	EXPECT_TRUE((s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP)) >= 0);
	EXPECT(fcntl(s, F_GETFD), FD_CLOEXEC);
	EXPECT(fcntl(s, F_GETFL), O_RDWR | O_NONBLOCK);
	EXPECT(fcntl(s, F_SETFL, 0), 0);
	EXPECT(fcntl(s, F_GETFL), O_RDWR);
	EXPECT(fstat(s, &st), 0);
	EXPECT(st.st_mode, S_IFSOCK | 0777);
	EXPECT_ERR(lseek(s, 0, SEEK_CUR), ESPIPE);
	EXPECT_ERR(pread(s, buf, 1, 0), ESPIPE);
	EXPECT_ERR(ftruncate(s, 0), EINVAL);
	EXPECT_ERR(fsync(s), EINVAL);
	EXPECT(option(s, SOL_SOCKET, SO_TYPE), SOCK_STREAM);
	EXPECT(option(s, SOL_SOCKET, SO_DOMAIN), AF_INET);
	EXPECT(option(s, SOL_SOCKET, SO_PROTOCOL), IPPROTO_TCP);
	EXPECT(option(s, SOL_SOCKET, SO_ACCEPTCONN), 0);
	close(s);
}

/* A new socket, neither bound nor connected. */
static void unconnected(void)
{
	union address a = address("127.0.0.1", 9);
	socklen_t len = sizeof(a);
	int s = socket(AF_INET, SOCK_STREAM, 0), n;

	EXPECT(events_of(s), POLLOUT | POLLHUP);
	EXPECT_ERR(recv(s, buf, 1, 0), ENOTCONN);
	EXPECT_ERR(read(s, buf, 1), ENOTCONN);
	EXPECT_ERR(recv(s, buf, 1, MSG_DONTWAIT), ENOTCONN);
	pipes = 0;
	EXPECT_ERR(send(s, "x", 1, 0), EPIPE);
	EXPECT(pipes, 1);
	EXPECT_ERR(send(s, "x", 1, MSG_NOSIGNAL), EPIPE);
	EXPECT_ERR(sendto(s, "x", 1, MSG_NOSIGNAL, &a.any, sizeof(a.v4)), EPIPE);
	EXPECT(pipes, 1);
	EXPECT_ERR(shutdown(s, SHUT_RDWR), ENOTCONN);
	EXPECT_ERR(shutdown(s, 3), EINVAL);
	EXPECT_ERR(accept(s, NULL, NULL), EINVAL);
	EXPECT_ERR(getpeername(s, &a.any, &len), ENOTCONN);
	EXPECT(ioctl(s, FIONREAD, &n), 0);
	EXPECT(n, 0);
	EXPECT_TRUE(name_is(s, "0.0.0.0", 0));
	len = 4;
	memset(&a, 0xee, sizeof(a));
	EXPECT(getsockname(s, &a.any, &len), 0);
	EXPECT(len, 16); /* the whole length; only four bytes are written */
	EXPECT(((unsigned char *)&a)[4], 0xee);
	len = -1;
	EXPECT_ERR(getsockname(s, &a.any, &len), EINVAL);
	EXPECT_ERR(getsockname(s, &a.any, bad_pointer), EFAULT);
	len = sizeof(a);
	EXPECT_ERR(getsockname(s, bad_pointer, &len), EFAULT);
	a = address("127.0.0.1", 9);
	EXPECT_ERR(connect(s, &a.any, 15), EINVAL);
	EXPECT_ERR(connect(s, &a.any, 1), EINVAL);
	EXPECT_ERR(connect(s, &a.any, 200), EINVAL);
	EXPECT_ERR(connect(s, bad_pointer, 16), EFAULT);
	a.any.sa_family = AF_UNIX;
	EXPECT_ERR(connect(s, &a.any, 16), EAFNOSUPPORT);
	a.any.sa_family = AF_UNSPEC;
	EXPECT(connect(s, &a.any, 16), 0);
	EXPECT_ERR(connect_to(s, "::1", 9), EAFNOSUPPORT);
	EXPECT_ERR(connect_to(s, "224.0.0.1", 9), ENETUNREACH);
	EXPECT(option(s, SOL_SOCKET, SO_ERROR), 0);
	close(s);
}

static void binding(void)
{
	union address a = address("127.0.0.1", 0);
	unsigned port, other;
	int s = socket(AF_INET, SOCK_STREAM, 0), t = socket(AF_INET, SOCK_STREAM, 0);

	EXPECT_ERR(bind(s, &a.any, 15), EINVAL);
	EXPECT_ERR(bind(s, bad_pointer, 16), EFAULT);
	a.any.sa_family = AF_UNIX;
	EXPECT_ERR(bind(s, &a.any, 16), EAFNOSUPPORT);
	a.any.sa_family = AF_UNSPEC;
	EXPECT_ERR(bind(s, &a.any, 16), EAFNOSUPPORT);
	EXPECT_ERR(bind_to(s, "::1", 0), EAFNOSUPPORT);
	EXPECT_ERR(bind_to(s, "203.0.113.5", 0), EADDRNOTAVAIL);
	EXPECT(bind_to(s, "127.0.0.1", 0), 0);
	port = port_of(s);
	EXPECT_TRUE(port >= 1024);
	EXPECT_TRUE(name_is(s, "127.0.0.1", port));
	EXPECT_ERR(bind_to(s, "127.0.0.1", 0), EINVAL);
	EXPECT_ERR(bind_to(t, "127.0.0.1", port), EADDRINUSE);
	EXPECT_ERR(bind_to(t, "0.0.0.0", port), EADDRINUSE);
	EXPECT(bind_to(t, "127.0.0.2", port), 0); /* all of 127/8 is local */
	EXPECT_TRUE(name_is(t, "127.0.0.2", port));
	close(t);
	/* Both with SO_REUSEADDR may be bound, but only one may listen. */
	t = socket(AF_INET, SOCK_STREAM, 0);
	EXPECT(set_option(t, SOL_SOCKET, SO_REUSEADDR, 1), 0);
	EXPECT_ERR(bind_to(t, "127.0.0.1", port), EADDRINUSE);
	EXPECT(set_option(s, SOL_SOCKET, SO_REUSEADDR, 1), 0);
	EXPECT(bind_to(t, "127.0.0.1", port), 0);
	EXPECT(listen(s, 1), 0);
	EXPECT_ERR(listen(t, 1), EADDRINUSE);
	close(s);
	EXPECT(listen(t, 1), 0);
	close(t);
	/* SO_REUSEPORT: several listen. */
	s = socket(AF_INET, SOCK_STREAM, 0);
	t = socket(AF_INET, SOCK_STREAM, 0);
	EXPECT(set_option(s, SOL_SOCKET, SO_REUSEPORT, 1), 0);
	EXPECT(bind_to(s, "127.0.0.1", 0), 0);
	port = port_of(s);
	EXPECT_ERR(bind_to(t, "127.0.0.1", port), EADDRINUSE);
	EXPECT(set_option(t, SOL_SOCKET, SO_REUSEPORT, 1), 0);
	EXPECT(bind_to(t, "127.0.0.1", port), 0);
	EXPECT(listen(s, 1), 0);
	EXPECT(listen(t, 1), 0);
	close(s);
	close(t);
	/* TCP and UDP have ports of their own. */
	s = bound(SOCK_STREAM, "127.0.0.1", &port);
	t = socket(AF_INET, SOCK_DGRAM, 0);
	EXPECT(bind_to(t, "127.0.0.1", port) == 0 || errno == EADDRINUSE, 1);
	close(s);
	close(t);
	s = bound(SOCK_STREAM, "127.0.0.1", &port);
	t = bound(SOCK_STREAM, "127.0.0.1", &other);
	EXPECT_TRUE(port != other);
	close(s);
	/* A port is free again at once when it had no connection. */
	s = socket(AF_INET, SOCK_STREAM, 0);
	EXPECT(bind_to(s, "127.0.0.1", port), 0);
	close(s);
	close(t);
}

static void listening(void)
{
	int s = socket(AF_INET, SOCK_STREAM, 0), c, a;
	union address from;
	socklen_t len;
	unsigned port;

	EXPECT(listen(s, 5), 0); /* chooses a port */
	port = port_of(s);
	EXPECT_TRUE(port != 0);
	EXPECT_TRUE(name_is(s, "0.0.0.0", port));
	EXPECT(listen(s, 6), 0);
	EXPECT(option(s, SOL_SOCKET, SO_ACCEPTCONN), 1);
	EXPECT(events_of(s), 0);
	EXPECT_ERR(connect_to(s, "127.0.0.1", port), EISCONN);
	EXPECT_ERR(recv(s, buf, 1, 0), ENOTCONN);
	EXPECT_ERR(send(s, buf, 1, MSG_NOSIGNAL), EPIPE);
	EXPECT_ERR(getpeername(s, &from.any, &(socklen_t){16}), ENOTCONN);
	EXPECT_ERR(accept4(s, NULL, NULL, 0x1000), EINVAL);
	EXPECT(set_nonblock(s), 0);
	EXPECT_ERR(accept(s, NULL, NULL), EAGAIN);
	EXPECT_ERR(accept(s, &from.any, bad_pointer), EAGAIN); /* the pointers are looked at later */
	c = socket(AF_INET, SOCK_STREAM, 0);
	EXPECT(connect_to(c, "127.0.0.1", port), 0);
	EXPECT(arrives(s, POLLIN), POLLIN);
	EXPECT(send(c, "early", 5, 0), 5);
	len = sizeof(from);
	memset(&from, 0xee, sizeof(from));
	EXPECT_TRUE((a = accept4(s, &from.any, &len, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0);
	EXPECT(len, 16);
	EXPECT_TRUE(is_address(&from, "127.0.0.1", port_of(c)));
	EXPECT(from.v4.sin_zero[0] | from.v4.sin_zero[7], 0);
	EXPECT(fcntl(a, F_GETFD), FD_CLOEXEC);
	EXPECT(fcntl(a, F_GETFL), O_RDWR | O_NONBLOCK);
	EXPECT_TRUE(name_is(a, "127.0.0.1", port));
	EXPECT_TRUE(peer_is(a, "127.0.0.1", port_of(c)));
	EXPECT_TRUE(peer_is(c, "127.0.0.1", port));
	EXPECT(arrives(a, POLLIN | POLLOUT), POLLIN | POLLOUT);
	EXPECT(recv(a, buf, 10, 0), 5);
	EXPECT(events_of(s), 0);
	EXPECT_ERR(listen(c, 1), EINVAL);
	EXPECT_ERR(accept(c, NULL, NULL), EINVAL);
	EXPECT_ERR(bind_to(c, "127.0.0.1", 0), EINVAL);
	close(c);
	close(a);
	/* accept() does not pass O_NONBLOCK on. A bad pointer: the descriptor is not there. */
	c = socket(AF_INET, SOCK_STREAM, 0);
	EXPECT(connect_to(c, "127.0.0.1", port), 0);
	EXPECT(arrives(s, POLLIN), POLLIN);
	a = accept(s, NULL, NULL);
	EXPECT(fcntl(a, F_GETFL), O_RDWR);
	EXPECT(fcntl(a, F_GETFD), 0);
	close(a);
	close(c);
	c = socket(AF_INET, SOCK_STREAM, 0);
	EXPECT(connect_to(c, "127.0.0.1", port), 0);
	EXPECT(arrives(s, POLLIN), POLLIN);
	EXPECT_ERR(accept(s, bad_pointer, &len), EFAULT);
	EXPECT_ERR(accept(s, NULL, NULL), EAGAIN);
	close(c);
	/* Options are inherited by what is accepted. */
	EXPECT(set_option(s, IPPROTO_TCP, TCP_NODELAY, 1), 0);
	EXPECT(set_option(s, SOL_SOCKET, SO_KEEPALIVE, 1), 0);
	EXPECT(set_option(s, SOL_SOCKET, SO_RCVBUF, 50000), 0);
	c = socket(AF_INET, SOCK_STREAM, 0);
	connect_to(c, "127.0.0.1", port);
	EXPECT(arrives(s, POLLIN), POLLIN);
	a = accept(s, NULL, NULL);
	EXPECT(option(a, IPPROTO_TCP, TCP_NODELAY), 1);
	EXPECT(option(a, SOL_SOCKET, SO_KEEPALIVE), 1);
	EXPECT(option(a, SOL_SOCKET, SO_RCVBUF), 100000);
	close(a);
	close(c);
	/* shutdown ends listening; listen() begins it again. */
	EXPECT(shutdown(s, SHUT_WR), 0);
	EXPECT(option(s, SOL_SOCKET, SO_ACCEPTCONN), 1);
	EXPECT(shutdown(s, SHUT_RD), 0);
	EXPECT_ERR(accept(s, NULL, NULL), EINVAL);
	EXPECT(option(s, SOL_SOCKET, SO_ACCEPTCONN), 0);
	c = socket(AF_INET, SOCK_STREAM, 0);
	EXPECT_ERR(connect_to(c, "127.0.0.1", port), ECONNREFUSED);
	EXPECT(listen(s, 5), 0);
	EXPECT(connect_to(c, "127.0.0.1", port_of(s)), 0);
	close(c);
	close(s);
}

static void connecting(void)
{
	unsigned port, gone;
	int l = listener("127.0.0.1", &port), s = bound(SOCK_STREAM, "127.0.0.1", &gone), a;

	EXPECT(listen(s, 1), 0);
	close(s); /* gone: a port where nobody listens */
	s = socket(AF_INET, SOCK_STREAM, 0);
	EXPECT_ERR(connect_to(s, "127.0.0.1", gone), ECONNREFUSED);
	EXPECT(option(s, SOL_SOCKET, SO_ERROR), 0);
	EXPECT_ERR(connect_to(s, "127.0.0.1", gone), ECONNREFUSED);
	EXPECT_ERR(connect_to(s, "127.0.0.1", 0), ECONNREFUSED);
	EXPECT(connect_to(s, "127.0.0.1", port), 0); /* the same socket again */
	EXPECT_ERR(connect_to(s, "127.0.0.1", port), EISCONN);
	EXPECT(events_of(s), POLLOUT);
	a = accept(l, NULL, NULL);
	close(s);
	close(a);
	/* Without waiting. */
	s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	EXPECT_ERR(connect_to(s, "127.0.0.1", port), EINPROGRESS);
	EXPECT(arrives(s, POLLOUT), POLLOUT);
	EXPECT(option(s, SOL_SOCKET, SO_ERROR), 0);
	EXPECT(connect_to(s, "127.0.0.1", port), 0);
	EXPECT_ERR(connect_to(s, "127.0.0.1", port), EISCONN);
	EXPECT_ERR(recv(s, buf, 1, 0), EAGAIN);
	a = accept(l, NULL, NULL);
	close(s);
	close(a);
	s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	EXPECT_ERR(connect_to(s, "127.0.0.1", gone), EINPROGRESS);
	EXPECT(arrives(s, POLLHUP), POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP);
	EXPECT(option(s, SOL_SOCKET, SO_ERROR), ECONNREFUSED);
	EXPECT(option(s, SOL_SOCKET, SO_ERROR), 0);
	EXPECT(events_of(s), POLLIN | POLLOUT | POLLHUP | POLLRDHUP);
	EXPECT(recv(s, buf, 1, 0), 0);
	EXPECT_ERR(send(s, buf, 1, MSG_NOSIGNAL), EPIPE);
	EXPECT_ERR(getpeername(s, NULL, &(socklen_t){0}), ENOTCONN);
	close(s);
	s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	EXPECT_ERR(connect_to(s, "127.0.0.1", gone), EINPROGRESS);
	arrives(s, POLLHUP);
	EXPECT_ERR(send(s, buf, 1, MSG_NOSIGNAL), ECONNREFUSED); /* whoever comes first gets the error */
	EXPECT_ERR(send(s, buf, 1, MSG_NOSIGNAL), EPIPE);
	close(s);
	s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	EXPECT_ERR(connect_to(s, "127.0.0.1", gone), EINPROGRESS);
	arrives(s, POLLHUP);
	EXPECT_ERR(recv(s, buf, 1, 0), ECONNREFUSED);
	EXPECT(recv(s, buf, 1, 0), 0);
	close(s);
	s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	EXPECT_ERR(connect_to(s, "127.0.0.1", gone), EINPROGRESS);
	arrives(s, POLLHUP);
	EXPECT_ERR(connect_to(s, "127.0.0.1", port), ECONNREFUSED); /* the first one's result */
	EXPECT_ERR(connect_to(s, "127.0.0.1", port), EINPROGRESS);
	EXPECT(arrives(s, POLLOUT), POLLOUT);
	a = accept(l, NULL, NULL);
	EXPECT_TRUE(peer_is(a, "127.0.0.1", port_of(s)));
	close(s);
	close(a);
	/* From a chosen port and address. The wildcard means this host. */
	s = socket(AF_INET, SOCK_STREAM, 0);
	EXPECT(bind_to(s, "127.0.0.9", 0), 0);
	gone = port_of(s);
	EXPECT(connect_to(s, "127.0.0.1", port), 0);
	EXPECT_TRUE(name_is(s, "127.0.0.9", gone));
	a = accept(l, NULL, NULL);
	EXPECT_TRUE(peer_is(a, "127.0.0.9", gone));
	close(s);
	close(a);
	s = socket(AF_INET, SOCK_STREAM, 0);
	EXPECT(connect_to(s, "0.0.0.0", port), 0);
	EXPECT_TRUE(peer_is(s, "127.0.0.1", port));
	EXPECT_TRUE(name_is(s, "127.0.0.1", port_of(s)));
	a = accept(l, NULL, NULL);
	close(a);
	/* AF_UNSPEC takes the connection back; the socket can be used again. */
	union address none = {.any = {AF_UNSPEC}};
	EXPECT(connect(s, &none.any, sizeof(none.any)), 0);
	EXPECT_ERR(getpeername(s, &none.any, &(socklen_t){16}), ENOTCONN);
	EXPECT(connect_to(s, "127.0.0.1", port), 0);
	close(s);
	close(l);
	/* On a listener at the wildcard, any local address will do. */
	l = listener("0.0.0.0", &port);
	s = socket(AF_INET, SOCK_STREAM, 0);
	EXPECT(connect_to(s, "127.1.2.3", port), 0);
	a = accept(l, NULL, NULL);
	EXPECT_TRUE(name_is(a, "127.1.2.3", port));
	close(a);
	close(s);
	close(l);
}

/* A full backlog: further connections wait for the peer. */
static void pending(void)
{
	struct timeval tv = {0, 20000};
	unsigned port;
	int l = bound(SOCK_STREAM, "127.0.0.1", &port), c[3], a;

	EXPECT(listen(l, 0), 0);
	c[0] = socket(AF_INET, SOCK_STREAM, 0);
	EXPECT(connect_to(c[0], "127.0.0.1", port), 0); /* a backlog of 0 holds one */
	c[1] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	EXPECT_ERR(connect_to(c[1], "127.0.0.1", port), EINPROGRESS);
	EXPECT_ERR(connect_to(c[1], "127.0.0.1", port), EALREADY);
	EXPECT(events_of(c[1]), 0);
	EXPECT_ERR(recv(c[1], buf, 1, 0), EAGAIN);
	EXPECT_ERR(send(c[1], buf, 1, 0), EAGAIN);
	EXPECT_ERR(getpeername(c[1], NULL, &(socklen_t){0}), ENOTCONN);
	EXPECT_TRUE(name_is(c[1], "127.0.0.1", port_of(c[1])));
	EXPECT_ERR(listen(c[1], 1), EINVAL);
	EXPECT(option(c[1], SOL_SOCKET, SO_ERROR), 0);
	EXPECT(shutdown(c[1], SHUT_WR), 0); /* gives up */
	EXPECT(events_of(c[1]) & POLLHUP, POLLHUP);
	close(c[1]);
	c[2] = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(c[2], SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
	EXPECT_ERR(connect_to(c[2], "127.0.0.1", port), EINPROGRESS); /* SO_SNDTIMEO bounds connect() */
	EXPECT_ERR(connect_to(c[2], "127.0.0.1", port), EALREADY);
	close(c[2]);
	a = accept(l, NULL, NULL);
	EXPECT_TRUE(a >= 0);
	EXPECT(send(a, "x", 1, 0), 1);
	EXPECT(recv(c[0], buf, 10, 0), 1);
	close(a);
	close(c[0]);
	tv.tv_usec = 10000;
	setsockopt(l, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	EXPECT_ERR(accept(l, NULL, NULL), EAGAIN); /* SO_RCVTIMEO bounds accept() */
	close(l);
}

int main(void)
{
	signal(SIGPIPE, count_pipe);
	making();
	unconnected();
	binding();
	listening();
	connecting();
	pending();
	return guest_done();
}
