/* The server under attack, for a cell: one thread, epoll. The first byte of a connection says what it is for: 'e' all is sent
 * back, 'b' zeros without end, 's' is never read again. UDP on the same port is sent back. When descriptors run out it waits
 * until one is free. "ports": connects to itself until no port is free, says how often and why it ended.
 * usage: net_server PORT [DESCRIPTORS] | net_server ports */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FDS = 100000 };
static char kind[FDS];
static char zeros[65536];

static void watch(int ep, int op, int fd, unsigned events)
{
	epoll_ctl(ep, op, fd, &(struct epoll_event){.events = events, .data.fd = fd});
}

static struct sockaddr_in address(unsigned ip, int port)
{
	return (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(ip)};
}

static int listen_on(unsigned ip, int port)
{
	struct sockaddr_in a = address(ip, port);
	int l = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
	if (bind(l, (void *)&a, sizeof(a)) || listen(l, 4096)) {
		perror("listen");
		exit(1);
	}
	return l;
}

static int ports(void)
{
	struct rlimit limit = {FDS, FDS};
	struct sockaddr_in a = address(INADDR_LOOPBACK, 8000);
	int l = listen_on(INADDR_LOOPBACK, 8000), n = 0;

	setrlimit(RLIMIT_NOFILE, &limit);
	for (;; n++) {
		int s = socket(AF_INET, SOCK_STREAM, 0);
		if (s < 0 || connect(s, (void *)&a, sizeof(a)))
			break;
		if (accept(l, NULL, NULL) < 0)
			break;
	}
	printf("%d connections, then %s\n", n, strerrorname_np(errno));
	return 0;
}

static void answer(int ep, int fd)
{
	static char data[65536];
	ssize_t n = 1;

	if (kind[fd] == 'b') {
		while (write(fd, zeros, sizeof(zeros)) > 0)
			;
		n = errno == EAGAIN;
	} else if ((n = read(fd, data, sizeof(data))) > 0) {
		char k = kind[fd];
		kind[fd] = k ? k : data[0];
		if (kind[fd] == 'e')
			n = write(fd, data, (size_t)n);
		else if (kind[fd] == 'b')
			watch(ep, EPOLL_CTL_MOD, fd, EPOLLOUT);
		else if (kind[fd] == 's')
			watch(ep, EPOLL_CTL_DEL, fd, 0);
	} else if (n < 0 && errno == EAGAIN) {
		n = 1;
	}
	if (n <= 0)
		close(fd);
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "ports"))
		return ports();
	signal(SIGPIPE, SIG_IGN); /* clients go while it writes */
	struct rlimit limit = {argc > 2 ? (rlim_t)atoi(argv[2]) : 65536, 65536};
	setrlimit(RLIMIT_NOFILE, &limit);
	int port = atoi(argv[1]), l = listen_on(INADDR_ANY, port), u = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), ep = epoll_create1(0), full = 0;
	struct sockaddr_in a = address(INADDR_ANY, port);
	struct epoll_event got[256];

	bind(u, (void *)&a, sizeof(a));
	watch(ep, EPOLL_CTL_ADD, l, EPOLLIN);
	watch(ep, EPOLL_CTL_ADD, u, EPOLLIN);
	for (;;) {
		int n = epoll_wait(ep, got, 256, full ? 10 : -1);
		if (full) {
			full = 0;
			watch(ep, EPOLL_CTL_MOD, l, EPOLLIN);
		}
		for (int i = 0; i < n; i++) {
			int fd = got[i].data.fd, s;
			if (fd == u) {
				static char data[65536];
				socklen_t len = sizeof(a);
				ssize_t r = recvfrom(u, data, sizeof(data), 0, (void *)&a, &len);
				if (r >= 0)
					sendto(u, data, (size_t)r, 0, (void *)&a, len);
			} else if (fd != l) {
				answer(ep, fd);
			} else {
				while ((s = accept4(l, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
					kind[s] = 0;
					watch(ep, EPOLL_CTL_ADD, s, EPOLLIN);
				}
				if (errno == EMFILE && !full++) {
					puts("EMFILE");
					fflush(stdout);
					watch(ep, EPOLL_CTL_MOD, l, 0);
				}
			}
		}
	}
}
