/* Unix sockets: streams, datagrams, packets, names, descriptors and credentials in messages, options, errors. */
#include "guest.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

static void *volatile bad_pointer = (void *)8;
static char buf[400000];

static struct sockaddr_un path_name(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	strcpy(a.sun_path, path);
	return a;
}

static int bind_to(int fd, const char *path)
{
	struct sockaddr_un a = path_name(path);

	return bind(fd, (struct sockaddr *)&a, sizeof(a));
}

static int connect_to(int fd, const char *path)
{
	struct sockaddr_un a = path_name(path);

	return connect(fd, (struct sockaddr *)&a, sizeof(a));
}

static long option(int fd, int name)
{
	int v = -1;
	socklen_t len = sizeof(v);

	return getsockopt(fd, SOL_SOCKET, name, &v, &len) ? -errno : v;
}

static int set_option(int fd, int name, int v)
{
	return setsockopt(fd, SOL_SOCKET, name, &v, sizeof(v));
}

static int events_of(int fd)
{
	struct pollfd f = {fd, POLLIN | POLLOUT | POLLRDHUP, 0};

	poll(&f, 1, 0);
	return f.revents;
}

static void making(void)
{
	int s[2];
	struct stat st;

	EXPECT_ERR(socket(AF_UNIX, 77, 0), EINVAL);
	EXPECT_ERR(socket(AF_UNIX, SOCK_RDM, 0), ESOCKTNOSUPPORT);
	EXPECT_ERR(socket(AF_UNIX, SOCK_STREAM, 5), EPROTONOSUPPORT);
	EXPECT_ERR(socket(99, SOCK_STREAM, 0), EAFNOSUPPORT);
	EXPECT_ERR(socket(-1, SOCK_STREAM, 0), EAFNOSUPPORT);
	EXPECT_ERR(socket(AF_UNIX, SOCK_STREAM | 0x100000, 0), EINVAL);
	EXPECT_ERR(socketpair(AF_UNIX, SOCK_STREAM, 0, bad_pointer), EFAULT);
	EXPECT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, s), 0);
	EXPECT(fcntl(s[0], F_GETFD), FD_CLOEXEC);
	EXPECT(fcntl(s[1], F_GETFL), O_RDWR | O_NONBLOCK);
	EXPECT(fstat(s[0], &st), 0);
	EXPECT(st.st_mode, S_IFSOCK | 0777);
	EXPECT(option(s[0], SO_TYPE), SOCK_STREAM);
	EXPECT(option(s[0], SO_DOMAIN), AF_UNIX);
	EXPECT(option(s[0], SO_PROTOCOL), 0);
	EXPECT(option(s[0], SO_ACCEPTCONN), 0);
	EXPECT(option(s[0], SO_ERROR), 0);
	EXPECT_ERR(recv(s[0], buf, 1, 0), EAGAIN);
	EXPECT(read(s[0], buf, 0), 0);
	EXPECT_ERR(lseek(s[0], 0, SEEK_SET), ESPIPE);
	EXPECT_ERR(listen(0x7fff, 1), EBADF);
	int p = open("/tmp", O_RDONLY);
	EXPECT_ERR(listen(p, 1), ENOTSOCK);
	EXPECT_ERR(send(p, "x", 1, 0), ENOTSOCK);
	close(p);
	close(s[0]);
	close(s[1]);
}

static void streams(void)
{
	int s[2], n;

	EXPECT(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	EXPECT(events_of(s[0]), POLLOUT);
	EXPECT(write(s[0], "hello", 5), 5);
	EXPECT(send(s[0], " world", 6, 0), 6);
	EXPECT(events_of(s[1]), POLLIN | POLLOUT);
	EXPECT(ioctl(s[1], FIONREAD, &n), 0);
	EXPECT(n, 11);
	EXPECT(recv(s[1], buf, 4, MSG_PEEK), 4);
	EXPECT(recv(s[1], buf, 100, MSG_PEEK), 11); /* over the border of the two writes */
	EXPECT(recv(s[1], buf, 7, 0), 7);
	EXPECT(memcmp(buf, "hello w", 7), 0);
	EXPECT(recv(s[1], buf, 100, MSG_DONTWAIT), 4);
	EXPECT_ERR(recv(s[1], buf, 100, MSG_DONTWAIT), EAGAIN);
	EXPECT_ERR(recv(s[1], buf, 1, MSG_OOB | MSG_DONTWAIT), EINVAL);
	EXPECT_ERR(send(s[0], bad_pointer, 4, 0), EFAULT);
	EXPECT_ERR(sendto(s[0], "x", 1, 0, (struct sockaddr *)&(struct sockaddr_un){AF_UNIX, "x"}, 4), EISCONN);
	EXPECT(shutdown(s[0], SHUT_WR), 0);
	EXPECT(recv(s[1], buf, 1, 0), 0);
	EXPECT(events_of(s[1]), POLLIN | POLLOUT | POLLRDHUP);
	signal(SIGPIPE, SIG_IGN);
	EXPECT_ERR(send(s[0], "x", 1, 0), EPIPE);
	EXPECT(send(s[1], "back", 4, 0), 4);
	EXPECT(recv(s[0], buf, 10, 0), 4);
	EXPECT_ERR(shutdown(s[0], 3), EINVAL);
	close(s[1]);
	EXPECT(recv(s[0], buf, 10, 0), 0);
	EXPECT(events_of(s[0]), POLLIN | POLLOUT | POLLHUP | POLLRDHUP);
	close(s[0]);
	EXPECT(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	EXPECT(send(s[0], "unread", 6, 0), 6);
	close(s[1]);
	EXPECT_ERR(recv(s[0], buf, 10, 0), ECONNRESET);
	EXPECT(recv(s[0], buf, 10, 0), 0);
	EXPECT_ERR(send(s[0], "x", 1, MSG_NOSIGNAL), EPIPE);
	close(s[0]);
}

static int pair[2];

static void *drain(void *arg)
{
	static char sink[50000];
	long total = 0, n;

	(void)arg;
	usleep(20000);
	while ((n = read(pair[1], sink, sizeof(sink))) > 0)
		total += n;
	return (void *)total;
}

static void *send_pieces(void *arg)
{
	(void)arg;
	for (int i = 0; i < 4; i++) {
		usleep(5000);
		if (send(pair[0], "abcd", 4, 0) != 4)
			return (void *)1;
	}
	return NULL;
}

static void blocking(void)
{
	struct timeval tv = {0, 20000};
	pthread_t t;
	void *got;

	EXPECT(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	pthread_create(&t, NULL, send_pieces, NULL);
	EXPECT(recv(pair[1], buf, 16, MSG_WAITALL), 16);
	pthread_join(t, NULL);
	EXPECT(setsockopt(pair[1], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)), 0);
	EXPECT_ERR(recv(pair[1], buf, 1, 0), EAGAIN);
	tv = (struct timeval){0, 0};
	EXPECT(setsockopt(pair[1], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)), 0);
	pthread_create(&t, NULL, drain, NULL);
	EXPECT(send(pair[0], buf, sizeof(buf), 0), sizeof(buf)); /* more than the buffer takes at once */
	close(pair[0]);
	pthread_join(t, &got);
	EXPECT((long)got, sizeof(buf));
	close(pair[1]);
	EXPECT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	while (send(pair[0], buf, 1000, 0) > 0)
		;
	EXPECT(errno, EAGAIN);
	EXPECT(events_of(pair[0]), 0);
	while (recv(pair[1], buf, sizeof(buf), 0) > 0)
		;
	EXPECT(events_of(pair[0]), POLLOUT);
	close(pair[0]);
	close(pair[1]);
}

static void names(void)
{
	const char *path = guest_name("/tmp/guest-unix");
	struct sockaddr_un a;
	socklen_t len;
	struct stat st;
	int l = socket(AF_UNIX, SOCK_STREAM, 0), c = socket(AF_UNIX, SOCK_STREAM, 0), d = socket(AF_UNIX, SOCK_DGRAM, 0);

	unlink(path);
	EXPECT_ERR(connect_to(c, path), ENOENT);
	EXPECT_ERR(listen(l, 1), EINVAL); /* no name yet */
	EXPECT_ERR(connect_to(c, "/tmp"), ECONNREFUSED);
	EXPECT_ERR(bind(l, (struct sockaddr *)&(struct sockaddr_un){AF_INET, "x"}, 10), EINVAL);
	EXPECT_ERR(bind(l, bad_pointer, 10), EFAULT);
	EXPECT_ERR(bind_to(l, "/tmp/no-such-folder/x"), ENOENT);
	umask(022);
	EXPECT(bind_to(l, path), 0);
	EXPECT(stat(path, &st), 0);
	EXPECT(st.st_mode, S_IFSOCK | 0755);
	EXPECT_ERR(open(path, O_RDWR), ENXIO);
	EXPECT_ERR(bind_to(c, path), EADDRINUSE);
	EXPECT_ERR(bind_to(l, "/tmp/guest-unix-2"), EINVAL);
	EXPECT_ERR(connect_to(c, path), ECONNREFUSED); /* nobody listens */
	EXPECT_ERR(connect_to(d, path), EPROTOTYPE);
	EXPECT_ERR(listen(d, 1), EOPNOTSUPP);
	EXPECT_ERR(accept(d, NULL, NULL), EOPNOTSUPP);
	EXPECT_ERR(accept(l, NULL, NULL), EINVAL);
	EXPECT_ERR(recv(c, buf, 1, 0), EINVAL);
	EXPECT_ERR(send(c, buf, 1, 0), ENOTCONN);
	EXPECT(events_of(c), POLLOUT | POLLHUP);
	EXPECT(listen(l, 0), 0);
	EXPECT(option(l, SO_ACCEPTCONN), 1);
	fcntl(l, F_SETFL, O_NONBLOCK);
	EXPECT_ERR(accept(l, NULL, NULL), EAGAIN);
	EXPECT(events_of(l), 0);
	EXPECT(connect_to(c, path), 0);
	EXPECT(events_of(l), POLLIN);
	EXPECT(send(c, "early", 5, 0), 5);
	int c2 = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	EXPECT_ERR(connect_to(c2, path), EAGAIN); /* the backlog is full */
	close(c2);
	len = sizeof(a);
	memset(&a, 1, sizeof(a));
	int s = accept4(l, (struct sockaddr *)&a, &len, SOCK_CLOEXEC);
	EXPECT_TRUE(s >= 0);
	EXPECT(len, 2); /* the client has no name */
	EXPECT(a.sun_family, AF_UNIX);
	EXPECT(fcntl(s, F_GETFD), FD_CLOEXEC);
	EXPECT(fcntl(s, F_GETFL), O_RDWR);
	EXPECT(recv(s, buf, 10, 0), 5);
	EXPECT_ERR(connect_to(c, path), EISCONN);
	len = sizeof(a);
	EXPECT(getsockname(s, (struct sockaddr *)&a, &len), 0);
	EXPECT(len, 2 + strlen(path) + 1);
	EXPECT(strcmp(a.sun_path, path), 0);
	len = 6;
	memset(&a, 0, sizeof(a));
	EXPECT(getpeername(c, (struct sockaddr *)&a, &len), 0);
	EXPECT(len, 2 + strlen(path) + 1); /* the real length, with the name cut off */
	EXPECT(strcmp(a.sun_path, "/tmp"), 0);
	EXPECT_ERR(getpeername(l, (struct sockaddr *)&a, &len), ENOTCONN);
	EXPECT_ERR(accept4(l, NULL, NULL, 0x1000), EINVAL);
	struct ucred u;
	len = sizeof(u);
	EXPECT(getsockopt(s, SOL_SOCKET, SO_PEERCRED, &u, &len), 0);
	EXPECT(u.pid == getpid() && u.uid == geteuid() && u.gid == getegid(), 1);
	close(l);
	EXPECT_ERR(connect_to(d, path), ECONNREFUSED);
	EXPECT(unlink(path), 0);
	EXPECT(send(c, "alive", 5, 0), 5);
	EXPECT(recv(s, buf, 10, 0), 5);
	close(c);
	close(s);
	close(d);
}

static void abstract_names(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = ""}, got;
	const char *name = guest_name("guest");
	socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name)), got_len = sizeof(got);
	int l = socket(AF_UNIX, SOCK_STREAM, 0), c = socket(AF_UNIX, SOCK_STREAM, 0), d = socket(AF_UNIX, SOCK_DGRAM, 0);

	strcpy(a.sun_path + 1, name);
	EXPECT_ERR(connect(c, (struct sockaddr *)&a, len), ECONNREFUSED);
	EXPECT(bind(l, (struct sockaddr *)&a, len), 0);
	EXPECT_ERR(bind(c, (struct sockaddr *)&a, len), EADDRINUSE);
	EXPECT(listen(l, 5), 0);
	EXPECT_ERR(connect(c, (struct sockaddr *)&a, len - 1), ECONNREFUSED); /* the length counts */
	EXPECT(connect(c, (struct sockaddr *)&a, len), 0);
	EXPECT(getpeername(c, (struct sockaddr *)&got, &got_len), 0);
	EXPECT(got_len, len);
	EXPECT(memcmp(&got, &a, len), 0);
	EXPECT(bind(d, (struct sockaddr *)&(sa_family_t){AF_UNIX}, 2), 0);
	got_len = sizeof(got);
	EXPECT(getsockname(d, (struct sockaddr *)&got, &got_len), 0);
	EXPECT(got_len, 2 + 6); /* the kernel's choice: five digits behind a NUL */
	EXPECT(got.sun_path[0], 0);
	close(c);
	c = socket(AF_UNIX, SOCK_STREAM, 0);
	close(l);
	EXPECT_ERR(connect(c, (struct sockaddr *)&a, len), ECONNREFUSED);
	close(c);
	close(d);
}

static void datagrams(void)
{
	const char *path = guest_name("/tmp/guest-unix-dgram");
	struct sockaddr_un a = path_name(path), from;
	socklen_t len = sizeof(from);
	int s[2], n, r = socket(AF_UNIX, SOCK_DGRAM, 0), w = socket(AF_UNIX, SOCK_DGRAM, 0);

	unlink(path);
	EXPECT_ERR(send(w, "x", 1, 0), ENOTCONN);
	EXPECT_ERR(sendto(w, "x", 1, 0, (struct sockaddr *)&a, sizeof(a)), ENOENT);
	EXPECT(bind_to(r, path), 0);
	EXPECT(sendto(w, "one", 3, 0, (struct sockaddr *)&a, sizeof(a)), 3);
	EXPECT(sendto(w, "", 0, 0, (struct sockaddr *)&a, sizeof(a)), 0);
	EXPECT(connect_to(w, path), 0);
	EXPECT(send(w, "three", 5, 0), 5);
	EXPECT(ioctl(r, FIONREAD, &n), 0);
	EXPECT(n, 3);
	EXPECT(recvfrom(r, buf, 10, 0, (struct sockaddr *)&from, &len), 3);
	EXPECT(len, 0); /* the sender has no name */
	EXPECT(recv(r, buf, 10, 0), 0);
	EXPECT(recv(r, buf, 2, MSG_PEEK), 2);
	EXPECT(recv(r, buf, 2, MSG_PEEK | MSG_TRUNC), 5);
	struct iovec iov = {buf, 3};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	EXPECT(recvmsg(r, &m, 0), 3);
	EXPECT(m.msg_flags, MSG_TRUNC);
	EXPECT_ERR(recv(r, buf, 1, MSG_DONTWAIT), EAGAIN);
	EXPECT_ERR(send(w, buf, 300000, 0), EMSGSIZE);
	n = 0;
	while (send(w, "x", 1, MSG_DONTWAIT) == 1)
		n++;
	EXPECT(errno, EAGAIN);
	EXPECT(n, 11); /* net.unix.max_dgram_qlen and one */
	EXPECT(events_of(w), 0);
	EXPECT(recv(r, buf, 1, 0), 1);
	EXPECT(events_of(w), POLLOUT);
	close(r);
	EXPECT_ERR(send(w, "x", 1, 0), ECONNREFUSED);
	EXPECT_ERR(send(w, "x", 1, 0), ENOTCONN);
	EXPECT_ERR(sendto(w, "x", 1, 0, (struct sockaddr *)&a, sizeof(a)), ECONNREFUSED);
	unlink(path);
	close(w);
	EXPECT(socketpair(AF_UNIX, SOCK_DGRAM, 0, s), 0);
	r = socket(AF_UNIX, SOCK_DGRAM, 0);
	EXPECT(bind_to(s[0], path), 0);
	EXPECT_ERR(sendto(r, "x", 1, 0, (struct sockaddr *)&a, sizeof(a)), EPERM); /* it has another peer */
	EXPECT(send(s[0], "named", 5, 0), 5);
	len = sizeof(from);
	EXPECT(recvfrom(s[1], buf, 10, 0, (struct sockaddr *)&from, &len), 5);
	EXPECT(strcmp(from.sun_path, path), 0);
	EXPECT(shutdown(s[1], SHUT_RD), 0);
	EXPECT_ERR(send(s[0], "x", 1, 0), EPIPE);
	unlink(path);
	close(r);
	close(s[0]);
	close(s[1]);
	EXPECT(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s), 0);
	EXPECT(send(s[0], "packet", 6, 0), 6);
	EXPECT(send(s[0], "next", 4, 0), 4);
	EXPECT(recv(s[1], buf, 3, 0), 3);
	EXPECT(recv(s[1], buf, 10, 0), 4);
	close(s[0]);
	EXPECT(recv(s[1], buf, 10, 0), 0);
	EXPECT_ERR(send(s[1], "x", 1, MSG_NOSIGNAL), EPIPE);
	close(s[1]);
}

static long send_fds(int s, const int *fds, unsigned count, const char *data, size_t len)
{
	union {
		char room[CMSG_SPACE(4 * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = {(void *)data, len};
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = CMSG_SPACE(count * sizeof(int))};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	memset(&control, 0, sizeof(control));
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(count * sizeof(int));
	memcpy(CMSG_DATA(c), fds, count * sizeof(int));
	return sendmsg(s, &m, 0);
}

static struct msghdr received;
static union {
	char room[256];
	struct cmsghdr align;
} control;

/* Returns the bytes; the descriptors go to fds. */
static long receive(int s, int *fds, unsigned room, int flags)
{
	static struct iovec iov;

	iov = (struct iovec){buf, 100};
	received = (struct msghdr){.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = room};
	long n = recvmsg(s, &received, flags);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&received); c && fds; c = CMSG_NXTHDR(&received, c))
		if (c->cmsg_type == SCM_RIGHTS)
			memcpy(fds, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0));
	return n;
}

static void rights(void)
{
	int s[2], p[2], got[4] = {-1, -1, -1, -1};

	EXPECT(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	EXPECT(pipe(p), 0);
	EXPECT(send_fds(s[0], p, 2, "two", 3), 3);
	close(p[0]);
	EXPECT(receive(s[1], got, 256, MSG_CMSG_CLOEXEC), 3);
	EXPECT(received.msg_flags, MSG_CMSG_CLOEXEC);
	EXPECT(received.msg_controllen, CMSG_SPACE(8));
	EXPECT(fcntl(got[0], F_GETFD), FD_CLOEXEC);
	EXPECT(write(p[1], "through", 7), 7);
	EXPECT(read(got[0], buf, 10), 7);
	close(p[1]);
	close(got[1]);
	EXPECT(read(got[0], buf, 10), 0); /* the last writer has gone */
	/* room for one of two: the other is closed */
	EXPECT(pipe(p), 0);
	EXPECT(send_fds(s[0], p, 2, "cut", 3), 3);
	EXPECT(receive(s[1], got, CMSG_LEN(sizeof(int)), 0), 3);
	EXPECT(received.msg_flags, MSG_CTRUNC);
	close(p[1]);
	EXPECT(read(got[0], buf, 1), 0);
	close(got[0]);
	close(p[0]);
	/* bytes before are not mixed with those that bring descriptors and those after */
	EXPECT(send(s[0], "aa", 2, 0), 2);
	EXPECT(send_fds(s[0], s, 1, "bb", 2), 2);
	EXPECT(send(s[0], "cc", 2, 0), 2);
	got[0] = -1;
	EXPECT(receive(s[1], got, 256, 0), 4);
	EXPECT_TRUE(got[0] >= 0);
	close(got[0]);
	EXPECT(receive(s[1], NULL, 256, 0), 2);
	EXPECT(received.msg_controllen, 0);
	EXPECT(send_fds(s[0], s, 1, "lost", 4), 4);
	EXPECT(read(s[1], buf, 10), 4); /* read() drops them */
	EXPECT_ERR(send_fds(s[0], &(int){0x7fff}, 1, "x", 1), EBADF);
	/* a cycle that nobody can reach any more */
	EXPECT(send_fds(s[0], s, 2, "self", 4), 4);
	close(s[0]);
	close(s[1]);
	EXPECT(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	close(s[0]);
	close(s[1]);
}

static void credentials(void)
{
	int s[2];

	EXPECT(socketpair(AF_UNIX, SOCK_DGRAM, 0, s), 0);
	EXPECT(set_option(s[1], SO_PASSCRED, 1), 0);
	EXPECT(option(s[1], SO_PASSCRED), 1);
	EXPECT(send(s[0], "who", 3, 0), 3);
	EXPECT(receive(s[1], NULL, 256, 0), 3);
	struct cmsghdr *c = CMSG_FIRSTHDR(&received);
	EXPECT(c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_CREDENTIALS, 1);
	EXPECT(c->cmsg_len, CMSG_LEN(sizeof(struct ucred)));
	struct ucred u;
	memcpy(&u, CMSG_DATA(c), sizeof(u));
	EXPECT(u.pid == getpid() && u.uid == getuid() && u.gid == getgid(), 1);
	EXPECT(send(s[0], "who", 3, 0), 3);
	EXPECT(receive(s[1], NULL, 0, 0), 3);
	EXPECT(received.msg_flags, MSG_CTRUNC);
	close(s[0]);
	close(s[1]);
}

static void options(void)
{
	int s = socket(AF_UNIX, SOCK_STREAM, 0), v = 5;
	struct timeval tv = {3, 500000};
	struct linger l = {1, 7};
	socklen_t len = sizeof(tv);

	EXPECT(option(s, SO_SNDBUF), 212992);
	EXPECT(set_option(s, SO_SNDBUF, 10000), 0);
	EXPECT(option(s, SO_SNDBUF), 20000);
	EXPECT(set_option(s, SO_SNDBUF, 1), 0);
	EXPECT(option(s, SO_SNDBUF), 4608);
	EXPECT(set_option(s, SO_RCVBUF, 1), 0);
	EXPECT(option(s, SO_RCVBUF), 2304);
	EXPECT(set_option(s, SO_REUSEADDR, 5), 0);
	EXPECT(option(s, SO_REUSEADDR), 1);
	EXPECT(option(s, SO_KEEPALIVE), 0);
	EXPECT(option(s, SO_RCVLOWAT), 1);
	EXPECT(setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)), 0);
	tv = (struct timeval){0, 0};
	EXPECT(getsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &tv, &len), 0);
	EXPECT(tv.tv_sec == 3 && tv.tv_usec == 500000, 1);
	tv.tv_usec = 1000000;
	EXPECT_ERR(setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)), EDOM);
	EXPECT(setsockopt(s, SOL_SOCKET, SO_LINGER, &l, sizeof(l)), 0);
	l = (struct linger){0, 0};
	len = sizeof(l);
	EXPECT(getsockopt(s, SOL_SOCKET, SO_LINGER, &l, &len), 0);
	EXPECT(l.l_onoff == 1 && l.l_linger == 7, 1);
	EXPECT_ERR(setsockopt(s, SOL_SOCKET, SO_SNDBUF, &v, 2), EINVAL);
	EXPECT_ERR(setsockopt(s, SOL_SOCKET, SO_SNDBUF, bad_pointer, 4), EFAULT);
	EXPECT_ERR(setsockopt(s, SOL_SOCKET, SO_TYPE, &v, sizeof(v)), ENOPROTOOPT);
	EXPECT_ERR(setsockopt(s, SOL_SOCKET, 9999, &v, sizeof(v)), ENOPROTOOPT);
	EXPECT_ERR(setsockopt(s, 6, 1, &v, sizeof(v)), EOPNOTSUPP);
	len = sizeof(v);
	EXPECT_ERR(getsockopt(s, 6, 1, &v, &len), EOPNOTSUPP);
	EXPECT_ERR(getsockopt(s, SOL_SOCKET, 9999, &v, &len), ENOPROTOOPT);
	len = 2;
	v = 0;
	EXPECT(getsockopt(s, SOL_SOCKET, SO_TYPE, &v, &len), 0);
	EXPECT(len, 2);
	EXPECT(v, SOCK_STREAM);
	close(s);
}

static void many(void)
{
	struct mmsghdr m[4] = {0};
	struct iovec iov[4];
	char in[4][8];
	int s[2];

	EXPECT(socketpair(AF_UNIX, SOCK_DGRAM, 0, s), 0);
	for (int i = 0; i < 4; i++) {
		iov[i] = (struct iovec){"abcdefg", (size_t)i + 1};
		m[i].msg_hdr = (struct msghdr){.msg_iov = &iov[i], .msg_iovlen = 1};
	}
	EXPECT(sendmmsg(s[0], m, 3, 0), 3);
	EXPECT(m[2].msg_len, 3);
	for (int i = 0; i < 4; i++)
		iov[i] = (struct iovec){in[i], 8};
	EXPECT(recvmmsg(s[1], m, 4, MSG_WAITFORONE, NULL), 3);
	EXPECT(m[0].msg_len, 1);
	EXPECT(m[2].msg_len, 3);
	EXPECT_ERR(recvmmsg(s[1], m, 4, MSG_DONTWAIT, NULL), EAGAIN);
	m[0].msg_hdr.msg_iovlen = 2000;
	EXPECT_ERR(sendmsg(s[0], &m[0].msg_hdr, 0), EMSGSIZE);
	EXPECT_ERR(sendmsg(s[0], bad_pointer, 0), EFAULT);
	close(s[0]);
	close(s[1]);
}

int main(void)
{
	making();
	streams();
	blocking();
	names();
	abstract_names();
	datagrams();
	rights();
	credentials();
	options();
	many();
	return guest_done();
}
