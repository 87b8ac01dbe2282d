/* TCP on loopback: data on its way. Flags of recv and send, waiting, full buffers, vectors. */
#include "inet.h"

#include <pthread.h>
#include <sys/uio.h>
#ifndef SIOCOUTQ
#define SIOCOUTQ TIOCOUTQ
#endif

static int pair[2];

static void receiving(void)
{
	int s[2], n;
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);

	tcp_pair(s);
	EXPECT(events_of(s[0]), POLLOUT);
	EXPECT_ERR(recv(s[1], buf, 1, MSG_DONTWAIT), EAGAIN);
	EXPECT(write(s[0], "hello", 5), 5);
	EXPECT(send(s[0], " world", 6, 0), 6);
	while (!ioctl(s[1], FIONREAD, &n) && n < 11)
		usleep(1000);
	EXPECT(n, 11);
	EXPECT(events_of(s[1]), POLLIN | POLLOUT);
	EXPECT(recv(s[1], buf, 4, MSG_PEEK), 4);
	EXPECT(recv(s[1], buf, 100, MSG_PEEK), 11); /* over the border of the two writes */
	EXPECT(memcmp(buf, "hello world", 11), 0);
	EXPECT(recv(s[1], buf, 7, MSG_WAITALL), 7);
	EXPECT(memcmp(buf, "hello w", 7), 0);
	EXPECT(recvfrom(s[1], buf, 100, 0, (struct sockaddr *)&from, &len), 4);
	EXPECT(len, 0); /* streams tell no sender */
	EXPECT_ERR(recv(s[1], buf, 0, MSG_DONTWAIT), EAGAIN); /* it would wait for data all the same */
	EXPECT(read(s[1], buf, 0), 0);
	EXPECT(ioctl(s[1], FIONREAD, &n), 0);
	EXPECT(n, 0);
	/* MSG_TRUNC throws bytes away. */
	EXPECT(send(s[0], "abcdef", 6, 0), 6);
	arrives(s[1], POLLIN);
	memset(buf, '-', 10);
	EXPECT(recv(s[1], buf, 4, MSG_TRUNC), 4);
	EXPECT(buf[0], '-');
	EXPECT(recv(s[1], bad_pointer, 1, MSG_TRUNC), 1);
	EXPECT(recv(s[1], buf, 4, 0), 1);
	EXPECT(buf[0], 'f');
	EXPECT_ERR(recv(s[1], buf, 1, MSG_OOB), EINVAL);
	EXPECT_ERR(recv(s[1], buf, 1, MSG_ERRQUEUE), EAGAIN);
	EXPECT(send(s[0], "abc", 3, 0), 3);
	arrives(s[1], POLLIN);
	EXPECT_ERR(recv(s[1], bad_pointer, 3, 0), EFAULT);
	EXPECT(recv(s[1], buf, 10, 0), 3); /* nothing was lost */
	EXPECT_ERR(send(s[0], bad_pointer, 3, 0), EFAULT);
	EXPECT(send(s[0], bad_pointer, 0, 0), 0);
	EXPECT_ERR(recv(0x7fff, buf, 1, 0), EBADF);
	/* A stream that ends gives MSG_WAITALL what there is. */
	EXPECT(send(s[0], "last", 4, 0), 4);
	EXPECT(shutdown(s[0], SHUT_WR), 0);
	EXPECT(recv(s[1], buf, 100, MSG_WAITALL), 4);
	EXPECT(recv(s[1], buf, 100, MSG_WAITALL), 0);
	close_pair(s);
}

static void sending(void)
{
	union address a = address("127.0.0.1", 9);
	struct iovec out[3] = {{"one", 3}, {"", 0}, {"three", 5}}, in[2] = {{buf, 2}, {buf + 100, 50}};
	struct msghdr m = {.msg_iov = out, .msg_iovlen = 3, .msg_name = &a, .msg_namelen = sizeof(a.v4)};
	struct iovec too_many[1] = {{buf, 1}};
	int s[2], n;

	tcp_pair(s);
	EXPECT(writev(s[0], out, 3), 8);
	arrives(s[1], POLLIN);
	EXPECT(readv(s[1], in, 2), 8);
	EXPECT(memcmp(buf, "on", 2) || memcmp(buf + 100, "ethree", 6), 0);
	EXPECT(sendmsg(s[0], &m, 0), 8); /* the address is ignored */
	EXPECT(sendto(s[0], "to", 2, 0, &a.any, sizeof(a.v4)), 2);
	EXPECT(recv(s[1], buf, 10, MSG_WAITALL), 10);
	EXPECT(memcmp(buf, "onethreeto", 10), 0);
	m.msg_iov = in;
	m.msg_iovlen = 2;
	m.msg_name = &a;
	m.msg_namelen = sizeof(a);
	m.msg_flags = 0x55;
	EXPECT(send(s[0], "abcd", 4, 0), 4);
	arrives(s[1], POLLIN);
	EXPECT(recvmsg(s[1], &m, 0), 4);
	EXPECT(m.msg_namelen, 0);
	EXPECT(m.msg_flags, 0);
	m = (struct msghdr){.msg_iov = too_many, .msg_iovlen = 2000};
	EXPECT_ERR(sendmsg(s[0], &m, 0), EMSGSIZE);
	EXPECT_ERR(recvmsg(s[0], &m, MSG_DONTWAIT), EMSGSIZE);
	EXPECT_ERR(sendmsg(s[0], bad_pointer, 0), EFAULT);
	EXPECT_ERR(recvmsg(s[0], bad_pointer, 0), EFAULT);
	m = (struct msghdr){.msg_iov = bad_pointer, .msg_iovlen = 1};
	EXPECT_ERR(sendmsg(s[0], &m, 0), EFAULT);
	/* MSG_MORE holds bytes back, but not for ever: what follows sends them. */
	EXPECT(send(s[0], "held ", 5, MSG_MORE), 5);
	EXPECT(send(s[0], "back", 4, 0), 4);
	EXPECT(recv(s[1], buf, 9, MSG_WAITALL), 9);
	EXPECT(memcmp(buf, "held back", 9), 0);
	/* A cork holds for 200 ms: tried again if this process was stopped for so long. */
	long early, held_back;
	struct timespec t0, t1;
	do {
		set_option(s[0], IPPROTO_TCP, TCP_CORK, 1);
		clock_gettime(CLOCK_MONOTONIC, &t0);
		send(s[0], "corked", 6, 0);
		early = recv(s[1], buf, 6, MSG_DONTWAIT);
		held_back = ioctl(s[0], SIOCOUTQ, &n) ? -1 : n;
		clock_gettime(CLOCK_MONOTONIC, &t1);
		set_option(s[0], IPPROTO_TCP, TCP_CORK, 0);
		arrives(s[1], POLLIN);
		if (early < 0)
			n = (int)recv(s[1], buf, 9, 0);
	} while ((t1.tv_sec - t0.tv_sec) * 1000 + (t1.tv_nsec - t0.tv_nsec) / 1000000 > 150);
	EXPECT(early, -1);
	EXPECT(held_back, 6);
	EXPECT(n, 6);
	/* What the peer has acknowledged is no longer in the queue. */
	EXPECT(send(s[1], "answer", 6, 0), 6);
	EXPECT(recv(s[0], buf, 6, MSG_WAITALL), 6);
	for (int i = 0; i < 60000 && !ioctl(s[0], SIOCOUTQ, &n) && n; i++)
		usleep(1000);
	EXPECT(n, 0);
	struct mmsghdr mm[2] = {{{.msg_iov = out, .msg_iovlen = 1}}, {{.msg_iov = &out[2], .msg_iovlen = 1}}};
	EXPECT(sendmmsg(s[0], mm, 2, 0), 2);
	EXPECT(mm[1].msg_len, 5);
	EXPECT(recv(s[1], buf, 8, MSG_WAITALL), 8);
	close_pair(s);
}

static void *send_pieces(void *arg)
{
	for (int i = 0; i < 4; i++) {
		usleep(3000);
		if (send(pair[0], "abcd", 4, 0) != 4)
			return (void *)1;
	}
	return NULL;
}

static char pattern(long i)
{
	return (char)(i * 7 + (i >> 8) * 13 + (i >> 16));
}

/* Reads to the end; gives the bytes that are right. */
static void *drain(void *arg)
{
	static char sink[50000];
	long total = 0, right = 0, n;

	usleep(10000);
	while ((n = read(pair[1], sink, sizeof(sink))) > 0)
		for (long i = 0; i < n; i++)
			right += sink[i] == pattern(total++);
	return (void *)right;
}

/* send() of another thread that waits when the connection ends. */
static void *fill(void *arg)
{
	long n;

	do
		n = send(pair[0], buf, sizeof(buf), MSG_NOSIGNAL);
	while (n > 0);
	return (void *)(long)errno;
}

static void *receive(void *arg)
{
	long n = recv(pair[0], buf, 1, 0);

	return (void *)(n < 0 ? -errno : n);
}

static void waiting(void)
{
	struct timeval tv = {0, 20000};
	struct timespec t0, t1;
	pthread_t t;
	void *got;

	tcp_pair(pair);
	pthread_create(&t, NULL, send_pieces, NULL);
	EXPECT(recv(pair[1], buf, 16, MSG_WAITALL), 16);
	pthread_join(t, &got);
	EXPECT((long)got, 0);
	EXPECT(setsockopt(pair[1], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)), 0);
	clock_gettime(CLOCK_MONOTONIC, &t0);
	EXPECT_ERR(recv(pair[1], buf, 1, 0), EAGAIN);
	clock_gettime(CLOCK_MONOTONIC, &t1);
	EXPECT_TRUE((t1.tv_sec - t0.tv_sec) * 1000000000 + t1.tv_nsec - t0.tv_nsec >= 19000000);
	EXPECT(send(pair[0], "ab", 2, 0), 2);
	arrives(pair[1], POLLIN);
	EXPECT(recv(pair[1], buf, 10, MSG_WAITALL), 2); /* what came until the time was over */
	tv.tv_usec = 0;
	EXPECT(setsockopt(pair[1], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)), 0);
	/* More than the buffers take at once. */
	for (long i = 0; i < (long)sizeof(buf); i++)
		buf[i] = pattern(i);
	pthread_create(&t, NULL, drain, NULL);
	EXPECT(send(pair[0], buf, sizeof(buf), 0), sizeof(buf));
	close(pair[0]);
	pthread_join(t, &got);
	EXPECT((long)got, sizeof(buf));
	close(pair[1]);
	/* SO_SNDTIMEO: what went until then, then EAGAIN. */
	tcp_pair(pair);
	tv.tv_usec = 10000;
	set_option(pair[0], SOL_SOCKET, SO_SNDBUF, 100000);
	set_option(pair[1], SOL_SOCKET, SO_RCVBUF, 100000);
	setsockopt(pair[0], SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
	long n = 0, last = 0;
	while ((last = send(pair[0], buf, sizeof(buf), 0)) > 0)
		n += last;
	EXPECT(last == -1 && errno == EAGAIN && n > 50000, 1);
	close_pair(pair);
	/* The other side goes while a thread waits. */
	tcp_pair(pair);
	pthread_create(&t, NULL, fill, NULL);
	usleep(5000); /* whether it waits already or not: the same */
	close_reset(pair[1]);
	pthread_join(t, &got);
	EXPECT((long)got == ECONNRESET || (long)got == EPIPE, 1);
	close(pair[0]);
	tcp_pair(pair);
	create_asleep(&t, receive, NULL);
	close(pair[1]);
	pthread_join(t, &got);
	EXPECT((long)got, 0);
	close(pair[0]);
	tcp_pair(pair);
	create_asleep(&t, receive, NULL);
	close_reset(pair[1]);
	pthread_join(t, &got);
	EXPECT((long)got, -ECONNRESET);
	close(pair[0]);
	tcp_pair(pair);
	create_asleep(&t, receive, NULL);
	EXPECT(shutdown(pair[0], SHUT_RD), 0); /* wakes its own reader */
	pthread_join(t, &got);
	EXPECT((long)got, 0);
	close_pair(pair);
}

static void *accept_one(void *arg)
{
	int a = accept((int)(long)arg, NULL, NULL);

	return (void *)(long)(a < 0 ? -errno : a);
}

static void wake(int sig)
{
}

static void waiting_accept(void)
{
	struct sigaction act = {.sa_handler = wake};
	unsigned port;
	pthread_t t;
	void *got;
	int l = listener("127.0.0.1", &port), c = socket(AF_INET, SOCK_STREAM, 0);

	create_asleep(&t, accept_one, (void *)(long)l);
	EXPECT(connect_to(c, "127.0.0.1", port), 0);
	pthread_join(t, &got);
	EXPECT_TRUE((long)got >= 0);
	close((int)(long)got);
	close(c);
	sigaction(SIGUSR1, &act, NULL);
	create_asleep(&t, accept_one, (void *)(long)l);
	pthread_kill(t, SIGUSR1);
	pthread_join(t, &got);
	EXPECT((long)got, -EINTR);
	create_asleep(&t, accept_one, (void *)(long)l);
	EXPECT(shutdown(l, SHUT_RDWR), 0);
	pthread_join(t, &got);
	EXPECT((long)got, -EINVAL);
	close(l);
	tcp_pair(pair);
	create_asleep(&t, receive, NULL);
	pthread_kill(t, SIGUSR1);
	pthread_join(t, &got);
	EXPECT((long)got, -EINTR);
	close_pair(pair);
}

/* Sends the pattern's 64 KiB again and again until the peer's side takes no more for a quarter of a second. The bytes sent. */
static long fill_up(int fd)
{
	long sent = 0, n;
	int error;

	do {
		while ((n = send(fd, buf + sent % 65536, 65536 - sent % 65536, 0)) > 0)
			sent += n;
		error = errno;
	} while (poll(&(struct pollfd){fd, POLLOUT, 0}, 1, 250) > 0);
	return error == EAGAIN ? sent : -1;
}

static void full_buffers(void)
{
	long sent = 0, received = 0, right = 0, n;
	static char sink[100000];
	int s[2];

	tcp_pair(s);
	set_nonblock(s[0]);
	set_nonblock(s[1]);
	for (long i = 0; i < 65536; i++)
		buf[i] = pattern(i);
	sent = fill_up(s[0]);
	EXPECT_TRUE(sent > 65536);
	EXPECT(events_of(s[0]), 0);
	EXPECT(events_of(s[1]), POLLIN | POLLOUT);
	EXPECT(shutdown(s[0], SHUT_WR), 0); /* the end waits behind the data */
	while (received < sent && arrives(s[1], POLLIN) & POLLIN)
		while ((n = recv(s[1], sink, sizeof(sink), 0)) > 0)
			for (long i = 0; i < n; i++)
				right += sink[i] == pattern(received++ % 65536);
	EXPECT(received - sent, 0);
	EXPECT(right - sent, 0);
	EXPECT(arrives(s[1], POLLRDHUP) & POLLRDHUP, POLLRDHUP);
	EXPECT(recv(s[1], buf, 1, 0), 0);
	close_pair(s);
	/* A writer may go on when its peer has read. */
	tcp_pair(s);
	set_nonblock(s[0]);
	set_nonblock(s[1]);
	fill_up(s[0]);
	EXPECT(events_of(s[0]), 0);
	while (arrives(s[1], POLLIN) & POLLIN && recv(s[1], sink, sizeof(sink), 0) > 0)
		if (events_of(s[0]) & POLLOUT)
			break;
	EXPECT(arrives(s[0], POLLOUT), POLLOUT);
	EXPECT_TRUE(send(s[0], buf, 1000, 0) > 0);
	close_pair(s);
}

static void small_windows(void)
{
	long n;
	pthread_t t;
	int l;
	unsigned port;

	l = listener("127.0.0.1", &port);
	set_option(l, SOL_SOCKET, SO_RCVBUF, 2048); /* before the connection is made: a small window from the start */
	pair[0] = socket(AF_INET, SOCK_STREAM, 0);
	set_option(pair[0], SOL_SOCKET, SO_SNDBUF, 2048);
	EXPECT(connect_to(pair[0], "127.0.0.1", port), 0);
	pair[1] = accept(l, NULL, NULL);
	close(l);
	for (long i = 0; i < 200000; i++)
		buf[i] = pattern(i);
	pthread_create(&t, NULL, drain, NULL);
	for (long i = 0; i < 200000; i += n)
		if ((n = send(pair[0], buf + i, 200000 - i > 7777 ? 7777 : 200000 - i, 0)) <= 0)
			break;
	close(pair[0]);
	void *got;
	pthread_join(t, &got);
	EXPECT((long)got, 200000);
	close(pair[1]);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	receiving();
	sending();
	waiting();
	waiting_accept();
	full_buffers();
	small_windows();
	return guest_done();
}
