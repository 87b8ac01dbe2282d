/* Both ends of the network measurements that no ready-made tool makes. The server runs natively and in a cell.
 *   net serve PORT                    echoes on any number of connections; says "up" when it listens
 *   net pingpong HOST PORT MS         one connection, 64 bytes to and fro: exchanges a second, p50 and p99 in us
 *   net connect HOST PORT MS WIDTH    connect, 64 bytes to and fro, close, WIDTH of them at a time: the same figures
 *   net hold HOST PORT COUNT          opens COUNT connections, says "holding", waits for the end of its input, says "held"
 * hold sends a number of its own through each connection, when it is open and at the end, and fails if another one returns. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BLOCK       64
#define MAX_SAMPLES (4u << 20)
#define MAX_WIDTH   1024

static float samples[MAX_SAMPLES];
static unsigned sample_count;

static void die(const char *what)
{
	fprintf(stderr, "net: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void sample(double us)
{
	if (sample_count < MAX_SAMPLES)
		samples[sample_count++] = (float)us;
}

static int compare(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;
	return (x > y) - (x < y);
}

static int report(double us)
{
	if (!sample_count)
		return 1; /* not one in that time */
	qsort(samples, sample_count, sizeof(samples[0]), compare);
	printf("%.1f %.1f %.1f\n", sample_count / us * 1e6, samples[sample_count / 2], samples[(size_t)sample_count * 99 / 100]);
	return 0;
}

static void many_descriptors(void)
{
	struct rlimit r;
	getrlimit(RLIMIT_NOFILE, &r);
	r.rlim_cur = r.rlim_max;
	setrlimit(RLIMIT_NOFILE, &r);
}

static int make_socket(int flags)
{
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | flags, 0);
	if (fd < 0)
		die("socket");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

static struct sockaddr_in address(const char *host, const char *port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
	if (inet_pton(AF_INET, host, &a.sin_addr) != 1)
		die(host);
	return a;
}

static int dial(const struct sockaddr_in *to)
{
	int fd = make_socket(0);
	if (connect(fd, (const struct sockaddr *)to, sizeof(*to)))
		die("connect");
	return fd;
}

/* --- serve --- */

static void watch(int poll_fd, int fd, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.fd = fd};
	if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &e))
		die("epoll_ctl");
}

static void accept_all(int poll_fd, int listener)
{
	int one = 1, fd;
	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		watch(poll_fd, fd, EPOLLIN);
	}
	if (errno != EAGAIN && errno != ECONNABORTED)
		die("accept");
}

static int serve(const char *port)
{
	static char buf[65536];
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
	int one = 1, listener = make_socket(SOCK_NONBLOCK), poll_fd = epoll_create1(0);
	many_descriptors();
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, (struct sockaddr *)&a, sizeof(a)) || listen(listener, 4096))
		die("listen");
	watch(poll_fd, listener, EPOLLIN);
	if (write(1, "up\n", 3) != 3)
		return 1;
	for (;;) {
		struct epoll_event events[64];
		int n = epoll_wait(poll_fd, events, 64, -1);
		for (int i = 0; i < n; i++) {
			int fd = events[i].data.fd;
			if (fd == listener) {
				accept_all(poll_fd, listener);
				continue;
			}
			ssize_t got = read(fd, buf, sizeof(buf));
			/* Clients here never have more under way than a socket buffer holds. */
			if (got == 0 || (got < 0 && errno != EAGAIN) || (got > 0 && write(fd, buf, (size_t)got) != got))
				close(fd);
		}
	}
}

/* --- clients --- */

static void exchange(int fd, char block[BLOCK])
{
	char answer[BLOCK];
	if (write(fd, block, BLOCK) != BLOCK || recv(fd, answer, BLOCK, MSG_WAITALL) != BLOCK)
		die("exchange");
	if (memcmp(block, answer, BLOCK) != 0) {
		fprintf(stderr, "net: another answer than was sent\n");
		exit(1);
	}
}

static int pingpong(const struct sockaddr_in *to, double us)
{
	char block[BLOCK] = "ping";
	int fd = dial(to);
	exchange(fd, block);
	double start = now_us(), last = start;
	do {
		memcpy(block, &sample_count, sizeof(sample_count));
		exchange(fd, block);
		double end = now_us();
		sample(end - last);
		last = end;
	} while (last - start < us);
	return report(last - start);
}

struct try {
	double start;
	int fd;
};

static void try_start(struct try *t, int poll_fd, const struct sockaddr_in *to)
{
	struct epoll_event e = {.events = EPOLLOUT | EPOLLONESHOT, .data.ptr = t};
	t->start = now_us();
	t->fd = make_socket(SOCK_NONBLOCK);
	if (connect(t->fd, (const struct sockaddr *)to, sizeof(*to)) && errno != EINPROGRESS)
		die("connect");
	if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, t->fd, &e))
		die("epoll_ctl");
}

/* The next step of a try: send when connected, take the answer, close and begin again. */
static void try_step(struct try *t, int poll_fd, uint32_t events, const struct sockaddr_in *to)
{
	char block[BLOCK] = "hello";
	if (events & EPOLLOUT) {
		struct epoll_event e = {.events = EPOLLIN, .data.ptr = t};
		if (write(t->fd, block, BLOCK) != BLOCK)
			die("send");
		epoll_ctl(poll_fd, EPOLL_CTL_MOD, t->fd, &e);
		return;
	}
	if (recv(t->fd, block, BLOCK, MSG_WAITALL) != BLOCK)
		die("receive");
	close(t->fd);
	sample(now_us() - t->start);
	try_start(t, poll_fd, to);
}

static int connect_often(const struct sockaddr_in *to, double us, int width)
{
	static struct try tries[MAX_WIDTH];
	int poll_fd = epoll_create1(0);
	double start = now_us(), end;
	for (int i = 0; i < width && i < MAX_WIDTH; i++)
		try_start(&tries[i], poll_fd, to);
	do {
		struct epoll_event events[64];
		int n = epoll_wait(poll_fd, events, 64, 10000);
		if (n == 0)
			die("nothing comes");
		for (int i = 0; i < n; i++)
			try_step(events[i].data.ptr, poll_fd, events[i].events, to);
		end = now_us();
	} while (end - start < us);
	return report(end - start);
}

static int hold(const struct sockaddr_in *to, int count)
{
	char block[BLOCK] = "";
	many_descriptors();
	int *fds = calloc((size_t)count, sizeof(int));
	if (!fds)
		die("memory");
	for (int i = 0; i < count; i++) {
		fds[i] = dial(to);
		memcpy(block, &i, sizeof(i));
		exchange(fds[i], block);
	}
	printf("holding %d\n", count);
	fflush(stdout);
	while (read(0, block, 1) > 0)
		;
	for (int i = 0; i < count; i++) {
		memcpy(block, &i, sizeof(i));
		exchange(fds[i], block);
	}
	printf("held %d\n", count);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "serve"))
		return serve(argv[2]);
	if (argc >= 5) {
		struct sockaddr_in to = address(argv[2], argv[3]);
		double n = atof(argv[4]);
		if (!strcmp(argv[1], "pingpong"))
			return pingpong(&to, n * 1e3);
		if (!strcmp(argv[1], "connect") && argc == 6)
			return connect_often(&to, n * 1e3, atoi(argv[5]));
		if (!strcmp(argv[1], "hold"))
			return hold(&to, (int)n);
	}
	fprintf(stderr, "usage: net serve PORT | pingpong HOST PORT MS | connect HOST PORT MS WIDTH | hold HOST PORT COUNT\n");
	return 2;
}
