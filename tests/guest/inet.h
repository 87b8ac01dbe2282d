/* Helpers of the tests of inet sockets. Everything runs on loopback, on ports that the system chooses. Loopback need not be
 * synchronous: wait for what is to come by arrives(), and check what is not to come only after something sent later has come.
 */
#ifndef TESTS_INET_H
#define TESTS_INET_H

#include "guest.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static void *volatile bad_pointer = (void *)8;
static char buf[1 << 20];

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_storage room;
};

static inline socklen_t address_len(const union address *a)
{
	return a->any.sa_family == AF_INET6 ? sizeof(a->v6) : sizeof(a->v4);
}

/* The port is in host order. */
static inline union address address(const char *ip, unsigned port)
{
	union address a = {.any = {0}};

	if (strchr(ip, ':')) {
		a.v6.sin6_family = AF_INET6;
		a.v6.sin6_port = htons(port);
		inet_pton(AF_INET6, ip, &a.v6.sin6_addr);
	} else {
		a.v4.sin_family = AF_INET;
		a.v4.sin_port = htons(port);
		inet_pton(AF_INET, ip, &a.v4.sin_addr);
	}
	return a;
}

static inline int bind_to(int fd, const char *ip, unsigned port)
{
	union address a = address(ip, port);

	return bind(fd, &a.any, address_len(&a));
}

static inline int connect_to(int fd, const char *ip, unsigned port)
{
	union address a = address(ip, port);

	return connect(fd, &a.any, address_len(&a));
}

static inline long send_to(int fd, const void *data, size_t len, const char *ip, unsigned port)
{
	union address a = address(ip, port);

	return sendto(fd, data, len, 0, &a.any, address_len(&a));
}

static inline unsigned port_of(int fd)
{
	union address a = {.any = {0}};
	socklen_t len = sizeof(a);

	if (getsockname(fd, &a.any, &len))
		return 0;
	return ntohs(a.any.sa_family == AF_INET6 ? a.v6.sin6_port : a.v4.sin_port);
}

/* The address is ip:port. */
static inline int is_address(const union address *a, const char *ip, unsigned port)
{
	union address want = address(ip, port);

	if (a->any.sa_family != want.any.sa_family)
		return 0;
	if (want.any.sa_family == AF_INET)
		return a->v4.sin_addr.s_addr == want.v4.sin_addr.s_addr && a->v4.sin_port == want.v4.sin_port;
	return !memcmp(&a->v6.sin6_addr, &want.v6.sin6_addr, 16) && a->v6.sin6_port == want.v6.sin6_port;
}

static inline int name_is(int fd, const char *ip, unsigned port)
{
	union address a = {.any = {0}};
	socklen_t len = sizeof(a);

	return !getsockname(fd, &a.any, &len) && len == address_len(&a) && is_address(&a, ip, port);
}

static inline int peer_is(int fd, const char *ip, unsigned port)
{
	union address a = {.any = {0}};
	socklen_t len = sizeof(a);

	return !getpeername(fd, &a.any, &len) && len == address_len(&a) && is_address(&a, ip, port);
}

static inline long option(int fd, int level, int name)
{
	int v = 0;
	socklen_t len = sizeof(v);

	return getsockopt(fd, level, name, &v, &len) ? -errno : v;
}

static inline int set_option(int fd, int level, int name, int v)
{
	return setsockopt(fd, level, name, &v, sizeof(v));
}

static inline int events_of(int fd)
{
	struct pollfd f = {fd, POLLIN | POLLOUT | POLLRDHUP | POLLPRI, 0};

	poll(&f, 1, 0);
	return f.revents;
}

/* Waits until all of the events are there (20 s at most); gives all that are. */
static inline int arrives(int fd, int events)
{
	struct pollfd f = {fd, events, 0};
	struct timespec now, end;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += 20;
	do {
		poll(&f, 1, 100);
		if ((f.revents & events) == events)
			break;
		usleep(1000);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec < end.tv_sec);
	return events_of(fd);
}

static inline int set_nonblock(int fd)
{
	return fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

/* A bound socket on ip; *port is what the system chose. */
static inline int bound(int type, const char *ip, unsigned *port)
{
	int fd = socket(strchr(ip, ':') ? AF_INET6 : AF_INET, type, 0);

	if (bind_to(fd, ip, 0))
		perror("bind");
	*port = port_of(fd);
	return fd;
}

static inline int listener(const char *ip, unsigned *port)
{
	int fd = bound(SOCK_STREAM, ip, port);

	if (listen(fd, 16))
		perror("listen");
	return fd;
}

/* s[0] connects, s[1] is what accept gave. */
static inline void tcp_pair_at(int *s, const char *ip)
{
	unsigned port;
	int l = listener(ip, &port);

	s[0] = socket(strchr(ip, ':') ? AF_INET6 : AF_INET, SOCK_STREAM, 0);
	if (connect_to(s[0], ip, port))
		perror("connect");
	s[1] = accept(l, NULL, NULL);
	if (s[1] < 0)
		perror("accept");
	close(l);
}

static inline void tcp_pair(int *s)
{
	tcp_pair_at(s, "127.0.0.1");
}

static inline void close_pair(const int *s)
{
	close(s[0]);
	close(s[1]);
}

/* Closes by a reset. */
static inline void close_reset(int fd)
{
	struct linger l = {1, 0};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
	close(fd);
}

#endif
