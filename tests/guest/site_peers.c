/* Two programs that talk over named unix sockets in a folder: `site-peers FOLDER server` and `site-peers FOLDER client`. They
 * keep step over a control connection. Run by tests/system/site.t natively and in two cells of a site; all checks hold in both.
 * Further roles, for site.t: hold, try, mesh, rights, pingpong, churn, flood, sink (see main).
 */
#include "guest.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static const char *folder;
static int control, server;
static char buffer[300000];

static struct sockaddr_un *address(const char *name)
{
	static struct sockaddr_un a[4];
	static int next;
	struct sockaddr_un *r = &a[next++ % 4];
	*r = (struct sockaddr_un){.sun_family = AF_UNIX};
	snprintf(r->sun_path, sizeof(r->sun_path), "%s/%s", folder, name);
	return r;
}
static socklen_t address_len(const struct sockaddr_un *a)
{
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(a->sun_path) + 1);
}
static const char *path(const char *name)
{
	return address(name)->sun_path;
}
static int make(int type)
{
	return socket(AF_UNIX, type, 0);
}
static int bind_to(int fd, const char *name)
{
	struct sockaddr_un *a = address(name);
	return bind(fd, (struct sockaddr *)a, address_len(a));
}
static int connect_to(int fd, const char *name)
{
	struct sockaddr_un *a = address(name);
	return connect(fd, (struct sockaddr *)a, address_len(a));
}
static int bound(int type, const char *name)
{
	int fd = make(type);
	return bind_to(fd, name) ? -1 : fd;
}
static int connected(int type, const char *name)
{
	int fd = make(type);
	return connect_to(fd, name) ? -1 : fd;
}
static long send_to(int fd, const void *data, size_t len, int flags, const char *name)
{
	struct sockaddr_un *a = address(name);
	return sendto(fd, data, len, flags, (struct sockaddr *)a, address_len(a));
}
/* Who sent it: the name below the folder, "" for none. */
static const char *from(int fd, long *ret_len, int flags)
{
	static struct sockaddr_un a;
	socklen_t len = sizeof(a);
	memset(&a, 0, sizeof(a));
	*ret_len = recvfrom(fd, buffer, sizeof(buffer), flags, (struct sockaddr *)&a, &len);
	return len <= 2 ? "" : strncmp(a.sun_path, folder, strlen(folder)) ? "elsewhere" : a.sun_path + strlen(folder) + 1;
}
static void nonblocking(int fd, int on)
{
	fcntl(fd, F_SETFL, on ? O_NONBLOCK : 0);
}
/* Events now, without waiting. Between processes of Linux all is at once; between cells it takes a moment. */
static int events(int fd)
{
	struct pollfd p = {fd, POLLIN | POLLOUT | POLLRDHUP};
	poll(&p, 1, 0);
	return p.revents;
}
static int comes_to(int fd, int want)
{
	for (int i = 0; i < 2000 && events(fd) != want; i++)
		usleep(1000);
	return events(fd);
}

/* Both wait here for each other. */
static void step(void)
{
	char c = 's';
	if (write(control, &c, 1) != 1 || read(control, &c, 1) != 1) {
		printf("not ok - the other side is gone\n");
		exit(1);
	}
}
#define SERVER                                                                                                                             \
	step();                                                                                                                            \
	if (server)
#define CLIENT                                                                                                                             \
	step();                                                                                                                            \
	if (!server)

static void meet(void)
{
	if (server) {
		int fd = bound(SOCK_STREAM, "control");
		listen(fd, 1);
		control = accept(fd, NULL, NULL);
		close(fd);
		unlink(path("control"));
		return;
	}
	for (int i = 0; i < 1000; i++) {
		control = connected(SOCK_STREAM, "control");
		if (control >= 0)
			return;
		usleep(20000);
	}
	printf("not ok - nobody to meet\n");
	exit(1);
}

/* --- names and errors --- */

static void test_names(void)
{
	static int s, listener, d;
	struct stat st;
	CLIENT
	{
		EXPECT_ERR(connect_to(make(SOCK_STREAM), "none"), ENOENT);
		EXPECT_ERR(connect_to(make(SOCK_STREAM), "none/none"), ENOENT);
		EXPECT_ERR(send_to(make(SOCK_DGRAM), "x", 1, 0, "none"), ENOENT);
		EXPECT_ERR(stat(path("s"), &st), ENOENT);
		close(open(path("file"), O_CREAT | O_WRONLY, 0644));
		EXPECT_ERR(connect_to(make(SOCK_STREAM), "file"), ECONNREFUSED);
		EXPECT_ERR(bind_to(make(SOCK_STREAM), "file"), EADDRINUSE);
		EXPECT_ERR(connect_to(make(SOCK_STREAM), "file/x"), ENOTDIR);
		unlink(path("file"));
		EXPECT_ERR(connect_to(0, "none"), ENOTSOCK);
	}
	SERVER
	{
		umask(022);
		s = bound(SOCK_STREAM, "s");
		EXPECT_TRUE(s >= 0);
		EXPECT_ERR(bind_to(s, "t"), EINVAL);
		d = bound(SOCK_DGRAM, "d");
		EXPECT_TRUE(d >= 0);
	}
	CLIENT
	{
		EXPECT(stat(path("s"), &st), 0);
		EXPECT(st.st_mode, S_IFSOCK | 0755);
		EXPECT(st.st_uid, geteuid());
		EXPECT(st.st_nlink, 1);
		EXPECT_ERR(open(path("s"), O_RDWR), ENXIO);
		EXPECT_ERR(mkdir(path("s"), 0755), EEXIST);
		EXPECT_ERR(open(path("s"), O_CREAT | O_EXCL | O_RDWR, 0644), EEXIST);
		EXPECT_ERR(symlink("x", path("s")), EEXIST);
		EXPECT_ERR(rmdir(path("s")), ENOTDIR);
		EXPECT_ERR(bind_to(make(SOCK_STREAM), "s"), EADDRINUSE);
		EXPECT_ERR(bind_to(make(SOCK_DGRAM), "s"), EADDRINUSE);
		EXPECT_ERR(connect_to(make(SOCK_STREAM), "s"), ECONNREFUSED); /* doesn't listen yet */
		EXPECT_ERR(connect_to(make(SOCK_DGRAM), "s"), EPROTOTYPE);
		EXPECT_ERR(connect_to(make(SOCK_SEQPACKET), "s"), EPROTOTYPE);
		EXPECT_ERR(connect_to(make(SOCK_STREAM), "d"), EPROTOTYPE);
		EXPECT_ERR(send_to(make(SOCK_DGRAM), "x", 1, 0, "s"), EPROTOTYPE);
		EXPECT(symlink("s", path("link")), 0);
		EXPECT_ERR(connect_to(make(SOCK_STREAM), "link"), ECONNREFUSED);
		EXPECT(unlink(path("link")), 0);
		int seen = 0;
		DIR *dir = opendir(folder);
		for (struct dirent *e; (e = readdir(dir));)
			seen += strcmp(e->d_name, "s") == 0 ? e->d_type == DT_SOCK : strcmp(e->d_name, "d") == 0 ? 10 : 0;
		EXPECT(seen, 11);
		closedir(dir);
	}
	SERVER
	{
		EXPECT(chmod(path("s"), 0600), 0);
		EXPECT(stat(path("s"), &st), 0);
		EXPECT(st.st_mode, S_IFSOCK | 0600);
		EXPECT(rename(path("s"), path("t")), 0);
		EXPECT(listen(s, 5), 0);
		close(d);
	}
	CLIENT
	{
		EXPECT_ERR(stat(path("s"), &st), ENOENT);
		EXPECT(stat(path("t"), &st), 0);
		EXPECT(st.st_mode, S_IFSOCK | 0600);
		EXPECT_ERR(connect_to(make(SOCK_DGRAM), "d"), ECONNREFUSED); /* closed: the name stays */
		EXPECT_ERR(connect_to(make(SOCK_STREAM), "d"), ECONNREFUSED);
		EXPECT_ERR(bind_to(make(SOCK_DGRAM), "d"), EADDRINUSE);
		EXPECT(unlink(path("d")), 0);
		EXPECT_ERR(connect_to(make(SOCK_DGRAM), "d"), ENOENT);
		EXPECT_ERR(unlink(path("d")), ENOENT);
		int fd = bound(SOCK_DGRAM, "d");
		EXPECT_TRUE(fd >= 0);
		close(fd);
		int c = connected(SOCK_STREAM, "t");
		EXPECT_TRUE(c >= 0);
		EXPECT_ERR(connect_to(c, "t"), EISCONN);
		EXPECT(unlink(path("t")), 0); /* by another process: connections live on */
		EXPECT_ERR(connect_to(make(SOCK_STREAM), "t"), ENOENT);
		EXPECT(write(c, "live", 4), 4);
		EXPECT(read(c, buffer, 10), 4);
		EXPECT(memcmp(buffer, "LIVE", 4), 0);
		close(c);
	}
	else
	{
		int a = accept(s, NULL, NULL);
		EXPECT(read(a, buffer, 10), 4);
		EXPECT(write(a, "LIVE", 4), 4);
		EXPECT(read(a, buffer, 10), 0);
		close(a);
		close(s);
		int fd = bound(SOCK_STREAM, "s2");
		EXPECT(listen(fd, 1), 0);
		close(fd);
	}
	CLIENT
	{
		EXPECT_ERR(connect_to(make(SOCK_STREAM), "s2"), ECONNREFUSED);
		EXPECT(unlink(path("s2")), 0);
		EXPECT(unlink(path("d")), 0);
	}
}

/* --- streams --- */

static int pair_up(int type, const char *name) /* both: a connection */
{
	static int listener;
	int fd = -1;
	SERVER
	{
		listener = bound(type, name);
		listen(listener, 8);
	}
	CLIENT fd = connected(type, name);
	SERVER
	{
		fd = accept(listener, NULL, NULL);
		close(listener);
		unlink(path(name));
	}
	step();
	return fd;
}

static void test_stream(void)
{
	struct sockaddr_un a;
	socklen_t len = sizeof(a);
	struct ucred creds;
	int n;
	SERVER
	{
		int s = bound(SOCK_STREAM, "st");
		EXPECT(listen(s, 3), 0);
		EXPECT(events(s), 0);
		step();
		EXPECT(comes_to(s, POLLIN), POLLIN);
		int fd = accept(s, (struct sockaddr *)&a, &len);
		EXPECT_TRUE(fd >= 0);
		EXPECT(len, 2); /* unnamed */
		EXPECT(events(s), 0);
		nonblocking(s, 1);
		EXPECT_ERR(accept(s, NULL, NULL), EAGAIN);
		len = sizeof(a);
		EXPECT(getsockname(fd, (struct sockaddr *)&a, &len), 0);
		EXPECT(strcmp(a.sun_path, path("st")), 0);
		len = sizeof(creds);
		EXPECT(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &creds, &len), 0);
		EXPECT(creds.uid, geteuid());
		EXPECT(creds.gid, getegid());
		EXPECT(read(fd, buffer, 100), 5);
		EXPECT(memcmp(buffer, "hello", 5), 0);
		EXPECT(write(fd, "abcdef", 6), 6);
		EXPECT(write(fd, "ghi", 3), 3);
		step();
		step();
		EXPECT(comes_to(fd, POLLIN | POLLOUT | POLLRDHUP), POLLIN | POLLOUT | POLLRDHUP);
		EXPECT(read(fd, buffer, 100), 0);
		EXPECT(write(fd, "still", 5), 5); /* the other half */
		close(fd);
		close(s);
		unlink(path("st"));
	}
	else
	{
		step();
		int fd = make(SOCK_STREAM);
		EXPECT(events(fd), POLLOUT | POLLHUP);
		EXPECT(connect_to(fd, "st"), 0);
		EXPECT(events(fd), POLLOUT);
		EXPECT(getpeername(fd, (struct sockaddr *)&a, &len), 0);
		EXPECT(strcmp(a.sun_path, path("st")), 0);
		len = sizeof(creds);
		EXPECT(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &creds, &len), 0);
		EXPECT(creds.uid, geteuid());
		EXPECT(write(fd, "hello", 5), 5);
		step();
		EXPECT(comes_to(fd, POLLIN | POLLOUT), POLLIN | POLLOUT);
		EXPECT(recv(fd, buffer, 3, MSG_PEEK), 3);
		EXPECT(recv(fd, buffer, 3, 0), 3);
		EXPECT(memcmp(buffer, "abc", 3), 0);
		EXPECT(recv(fd, buffer, 6, MSG_WAITALL), 6);
		EXPECT(memcmp(buffer, "defghi", 6), 0);
		EXPECT_ERR(recv(fd, buffer, 1, MSG_DONTWAIT), EAGAIN);
		EXPECT_ERR(send_to(fd, "x", 1, 0, "st"), EISCONN);
		EXPECT(shutdown(fd, SHUT_WR), 0);
		EXPECT_ERR(send(fd, "x", 1, MSG_NOSIGNAL), EPIPE);
		step();
		EXPECT(recv(fd, buffer, 100, MSG_WAITALL), 5);
		EXPECT(comes_to(fd, POLLIN | POLLOUT | POLLHUP | POLLRDHUP), POLLIN | POLLOUT | POLLHUP | POLLRDHUP);
		EXPECT(read(fd, buffer, 100), 0);
		close(fd);
	}
	/* the reader goes */
	n = pair_up(SOCK_STREAM, "p1");
	SERVER
	{
		EXPECT(shutdown(n, SHUT_RD), 0);
		EXPECT(read(n, buffer, 1), 0);
	}
	CLIENT
	{
		for (int i = 0; i < 2000 && send(n, "", 0, MSG_NOSIGNAL) == 0; i++) /* no bytes: asks only */
			usleep(1000);
		EXPECT_ERR(send(n, "x", 1, MSG_NOSIGNAL), EPIPE);
		EXPECT(events(n), POLLOUT);
	}
	SERVER EXPECT(write(n, "back", 4), 4);
	CLIENT EXPECT(recv(n, buffer, 4, MSG_WAITALL), 4);
	step();
	close(n);
	/* closed with bytes unread: reset; closed clean: end, then EPIPE with a signal */
	n = pair_up(SOCK_STREAM, "p2");
	CLIENT EXPECT(write(n, "unread", 6), 6);
	SERVER
	{
		EXPECT(comes_to(n, POLLIN | POLLOUT), POLLIN | POLLOUT);
		EXPECT(write(n, "data", 4), 4);
		close(n);
	}
	CLIENT
	{
		EXPECT(comes_to(n, POLLIN | POLLOUT | POLLHUP | POLLERR | POLLRDHUP), POLLIN | POLLOUT | POLLHUP | POLLERR | POLLRDHUP);
		EXPECT(read(n, buffer, 10), 4); /* a stream gives what is there first */
		EXPECT_ERR(read(n, buffer, 10), ECONNRESET);
		EXPECT(read(n, buffer, 10), 0);
		close(n);
	}
	n = pair_up(SOCK_STREAM, "p3");
	SERVER close(n);
	CLIENT
	{
		static int pipes;
		EXPECT(comes_to(n, POLLIN | POLLOUT | POLLHUP | POLLRDHUP), POLLIN | POLLOUT | POLLHUP | POLLRDHUP);
		EXPECT(read(n, buffer, 10), 0);
		EXPECT_ERR(send(n, "x", 1, MSG_NOSIGNAL), EPIPE);
		EXPECT_ERR(shutdown(n, SHUT_RDWR), 0);
		close(n);
	}
}

static void test_backlog(void)
{
	static int s, c[6];
	SERVER
	{
		s = bound(SOCK_STREAM, "b");
		EXPECT(listen(s, 2), 0);
	}
	CLIENT
	{
		for (int i = 0; i < 6; i++) {
			c[i] = make(SOCK_STREAM);
			nonblocking(c[i], 1);
		}
		EXPECT(connect_to(c[0], "b"), 0);
		EXPECT(connect_to(c[1], "b"), 0);
		EXPECT(connect_to(c[2], "b"), 0);
		EXPECT_ERR(connect_to(c[3], "b"), EAGAIN); /* one more than asked for */
		EXPECT(write(c[0], "0", 1), 1);            /* before it is accepted */
		EXPECT(write(c[1], "1", 1), 1);
		struct timeval t = {0, 50000};
		setsockopt(c[3], SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t));
		nonblocking(c[3], 0);
		EXPECT_ERR(connect_to(c[3], "b"), EAGAIN); /* timed out */
		t.tv_usec = 0;
		setsockopt(c[3], SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t));
		close(c[2]); /* stays in the queue */
	}
	SERVER
	{
		usleep(20000);
		int a = accept(s, NULL, NULL), b = accept(s, NULL, NULL), d = accept(s, NULL, NULL);
		EXPECT(recv(a, buffer, 1, MSG_WAITALL), 1);
		EXPECT(buffer[0], '0');
		EXPECT(recv(b, buffer, 1, 0), 1);
		EXPECT(buffer[0], '1');
		EXPECT(recv(d, buffer, 1, 0), 0);
		int e = accept(s, NULL, NULL); /* the one that waited */
		EXPECT(recv(e, buffer, 1, 0), 1);
		EXPECT(buffer[0], '3');
		close(a), close(b), close(d), close(e);
	}
	else
	{
		EXPECT(connect_to(c[3], "b"), 0);
		EXPECT_ERR(recv(c[0], buffer, 1, MSG_WAITALL), EAGAIN); /* the server closes once it has the 3 */
		EXPECT(write(c[3], "3", 1), 1);
	}
	CLIENT
	{
		int n = 0;
		for (; n < 2000 && recv(c[1], buffer, 1, MSG_DONTWAIT) != 0; n++)
			usleep(1000);
		EXPECT_TRUE(n < 2000);
		EXPECT(connect_to(c[4], "b"), 0);
	}
	SERVER close(s); /* with one waiting: reset */
	CLIENT
	{
		comes_to(c[4], POLLIN | POLLOUT | POLLHUP | POLLERR | POLLRDHUP);
		EXPECT_ERR(recv(c[4], buffer, 1, 0), ECONNRESET);
		EXPECT_ERR(connect_to(c[5], "b"), ECONNREFUSED);
		for (int i = 0; i < 6; i++)
			close(c[i]);
		unlink(path("b"));
	}
}

/* Fills until it would block. */
static long fill(int fd, size_t piece)
{
	long total = 0, n;
	while ((n = send(fd, buffer, piece, MSG_DONTWAIT | MSG_NOSIGNAL)) > 0)
		total += n;
	return errno == EAGAIN ? total : -1;
}

static void test_flow(int type, const char *name)
{
	int fd = pair_up(type, name), count = 0;
	static long total;
	CLIENT
	{
		for (size_t i = 0; i < sizeof(buffer); i++)
			buffer[i] = (char)(i * 7);
		total = fill(fd, 4096);
		EXPECT_TRUE(total > 50000 && total < 1000000);
		EXPECT(events(fd) & POLLOUT, 0);
		int unsent = 0;
		EXPECT(ioctl(fd, TIOCOUTQ, &unsent), 0);
		EXPECT_TRUE(unsent >= total);
		write(control, &total, sizeof(total));
	}
	else
	{
		read(control, &total, sizeof(total));
		long got = 0, n;
		int right = 1;
		while (got < total && (n = recv(fd, buffer, 1000 + (got & 4095), 0)) > 0) {
			if (type == SOCK_STREAM)
				for (long i = 0; i < n; i++)
					right &= buffer[i] == (char)(((got + i) % 4096) * 7);
			else
				right &= buffer[0] == 0;
			got += type == SOCK_STREAM ? n : 4096;
		}
		EXPECT(got, total);
		EXPECT(right, 1);
	}
	CLIENT
	{
		EXPECT(comes_to(fd, POLLOUT), POLLOUT);
		/* blocking now, 4 MB */
		for (int i = 0; i < 1000; i++)
			count += send(fd, buffer, 4096, 0) == 4096;
		EXPECT(count, 1000);
		close(fd);
	}
	else
	{
		long got = 0, n;
		while ((n = recv(fd, buffer, 65536, 0)) > 0)
			got += n;
		EXPECT(n, 0);
		EXPECT(got, 4096000);
		close(fd);
	}
}

/* --- datagrams --- */

static void test_datagram(void)
{
	static int s, c, other;
	long n;
	SERVER s = bound(SOCK_DGRAM, "ds");
	CLIENT
	{
		c = bound(SOCK_DGRAM, "dc");
		int unnamed = make(SOCK_DGRAM);
		EXPECT(send_to(c, "one", 3, 0, "ds"), 3);
		EXPECT(send_to(unnamed, "two", 3, 0, "ds"), 3);
		EXPECT(send_to(c, "", 0, 0, "ds"), 0);
		EXPECT(send_to(c, buffer, 180000, 0, "ds"), 180000);
		EXPECT_ERR(send_to(c, buffer, 250000, 0, "ds"), EMSGSIZE);
		EXPECT_ERR(send(c, "x", 1, 0), ENOTCONN);
		EXPECT(connect_to(unnamed, "ds"), 0);
		EXPECT(write(unnamed, "five", 4), 4);
		close(unnamed);
	}
	SERVER
	{
		EXPECT(comes_to(s, POLLIN | POLLOUT), POLLIN | POLLOUT);
		int next = 0;
		EXPECT(ioctl(s, FIONREAD, &next), 0);
		EXPECT(next, 3);
		EXPECT(strcmp(from(s, &n, MSG_PEEK), "dc"), 0);
		EXPECT(strcmp(from(s, &n, 0), "dc"), 0);
		EXPECT(n, 3);
		EXPECT(memcmp(buffer, "one", 3), 0);
		EXPECT(strcmp(from(s, &n, 0), ""), 0);
		EXPECT(n, 3);
		EXPECT(strcmp(from(s, &n, 0), "dc"), 0);
		EXPECT(n, 0);
		EXPECT(recv(s, buffer, 10, MSG_TRUNC), 180000);
		EXPECT(strcmp(from(s, &n, 0), ""), 0);
		EXPECT(n, 4);
		EXPECT_ERR(recv(s, buffer, 10, MSG_DONTWAIT), EAGAIN);
		EXPECT(send_to(s, "reply", 5, 0, "dc"), 5);
	}
	CLIENT
	{
		EXPECT(strcmp(from(c, &n, 0), "ds"), 0);
		EXPECT(n, 5);
		EXPECT(connect_to(c, "ds"), 0);
		EXPECT(send(c, "six", 3, 0), 3);
		other = bound(SOCK_DGRAM, "dother");
	}
	SERVER
	{
		EXPECT(recv(s, buffer, 10, 0), 3);
		/* its own socket, or one that it is connected to, may send to a connected one; nobody else */
		EXPECT(send_to(s, "back", 4, 0, "dc"), 4);
		int third = bound(SOCK_DGRAM, "dthird");
		EXPECT_ERR(send_to(third, "x", 1, 0, "dc"), EPERM);
		EXPECT_ERR(connect_to(third, "dc"), EPERM);
		close(third);
		unlink(path("dthird"));
	}
	CLIENT
	{
		EXPECT(recv(c, buffer, 10, 0), 4);
		struct sockaddr_un a;
		socklen_t len = sizeof(a);
		EXPECT(getpeername(c, (struct sockaddr *)&a, &len), 0);
		EXPECT(strcmp(a.sun_path, path("ds")), 0);
		struct sockaddr none = {.sa_family = AF_UNSPEC};
		EXPECT(connect(c, &none, sizeof(none)), 0);
		EXPECT_ERR(send(c, "x", 1, 0), ENOTCONN);
	}
	SERVER EXPECT(send_to(s, "again", 5, 0, "dc"), 5);
	CLIENT EXPECT(recv(c, buffer, 10, 0), 5);
	/* the queue */
	CLIENT
	{
		EXPECT(connect_to(c, "ds"), 0);
		int sent = 0;
		while (send(c, "q", 1, MSG_DONTWAIT) == 1)
			sent++;
		EXPECT_ERR(send(c, "q", 1, MSG_DONTWAIT), EAGAIN);
		EXPECT_TRUE(sent >= 10);
		EXPECT(events(c) & POLLOUT, 0);
		EXPECT_ERR(send_to(other, "q", 1, MSG_DONTWAIT, "ds"), EAGAIN);
		EXPECT(events(other), POLLOUT); /* not connected: there is no saying */
		write(control, &sent, sizeof(sent));
	}
	else
	{
		int sent = 0, got = 0;
		read(control, &sent, sizeof(sent));
		for (; got < sent; got++)
			if (recv(s, buffer, 10, 0) != 1)
				break;
		EXPECT_TRUE(got == sent);
	}
	CLIENT
	{
		EXPECT(comes_to(c, POLLOUT), POLLOUT);
		for (int i = 0; i < 2000; i++) /* blocking: all arrive, in order */
			if (send_to(i & 1 ? other : c, &i, sizeof(i), 0, "ds") != sizeof(i))
				break;
	}
	else
	{
		int wrong = 0, i, last[2] = {-2, -1};
		for (int k = 0; k < 2000; k++) {
			wrong += recv(s, &i, sizeof(i), 0) != sizeof(i) || i != last[i & 1] + 2;
			last[i & 1] = i;
		}
		EXPECT(wrong, 0);
	}
	/* the receiver goes */
	SERVER EXPECT(shutdown(s, SHUT_RD), 0);
	CLIENT
	{
		for (int i = 0; i < 1000 && send(c, "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT) == 1; i++)
			usleep(1000);
		EXPECT_ERR(send(c, "x", 1, MSG_NOSIGNAL), EPIPE);
		EXPECT_ERR(send_to(other, "x", 1, MSG_NOSIGNAL, "ds"), EPIPE);
	}
	SERVER close(s);
	CLIENT
	{
		EXPECT_ERR(send_to(other, "x", 1, 0, "ds"), ECONNREFUSED);
		EXPECT_ERR(send(c, "x", 1, 0), ECONNREFUSED);
		EXPECT_ERR(send(c, "x", 1, 0), ENOTCONN); /* told once */
		unlink(path("ds"));
		EXPECT_ERR(send_to(other, "x", 1, 0, "ds"), ENOENT);
		unlink(path("dc"));
		unlink(path("dother"));
		close(c), close(other);
	}
}

/* --- packets --- */

static void test_packets(void)
{
	int fd = pair_up(SOCK_SEQPACKET, "q");
	CLIENT
	{
		EXPECT(send(fd, "one", 3, 0), 3);
		EXPECT(send(fd, "three", 5, 0), 5);
		memset(buffer, 'b', sizeof(buffer));
		EXPECT(send(fd, buffer, 150000, 0), 150000);
		EXPECT_ERR(send(fd, buffer, 250000, 0), EMSGSIZE);
		EXPECT(send(fd, "x", 1, MSG_EOR), 1);
	}
	SERVER
	{
		struct iovec v = {buffer, 2};
		struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
		EXPECT(recvmsg(fd, &m, 0), 2);
		EXPECT(m.msg_flags & MSG_TRUNC, MSG_TRUNC);
		EXPECT(recv(fd, buffer, 100, 0), 5);
		memset(buffer, 0, sizeof(buffer));
		EXPECT(recv(fd, buffer, sizeof(buffer), 0), 150000);
		EXPECT(memchr(buffer, 0, 150000) == NULL, 1);
		EXPECT(recv(fd, buffer, 100, 0), 1);
		EXPECT(send(fd, "answer", 6, 0), 6);
		EXPECT(shutdown(fd, SHUT_WR), 0);
	}
	CLIENT
	{
		EXPECT(recv(fd, buffer, 100, 0), 6);
		EXPECT(recv(fd, buffer, 100, 0), 0);
		EXPECT(send(fd, "more", 4, 0), 4);
	}
	SERVER
	{
		EXPECT(recv(fd, buffer, 100, 0), 4);
		close(fd);
	}
	CLIENT
	{
		comes_to(fd, POLLIN | POLLOUT | POLLHUP | POLLRDHUP);
		EXPECT_ERR(send(fd, "x", 1, MSG_NOSIGNAL), EPIPE);
		close(fd);
	}
}

/* --- credentials --- */

static long receive_creds(int fd, struct ucred *ret)
{
	union {
		struct cmsghdr h;
		char bytes[CMSG_SPACE(sizeof(struct ucred))];
	} c;
	struct iovec v = {buffer, 100};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof(c)};
	long n = recvmsg(fd, &m, 0);
	*ret = (struct ucred){-1, -1, -1};
	if (n >= 0 && CMSG_FIRSTHDR(&m) && c.h.cmsg_type == SCM_CREDENTIALS)
		memcpy(ret, CMSG_DATA(&c.h), sizeof(*ret));
	return n;
}

static void test_credentials(void)
{
	static int d;
	int on = 1, fd = pair_up(SOCK_STREAM, "c");
	struct ucred creds;
	SERVER
	{
		setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
		d = bound(SOCK_DGRAM, "cd");
		setsockopt(d, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
	}
	CLIENT
	{
		EXPECT(write(fd, "x", 1), 1);
		EXPECT(send_to(make(SOCK_DGRAM), "xy", 2, 0, "cd"), 2);
	}
	SERVER
	{
		EXPECT(receive_creds(fd, &creds), 1);
		EXPECT(creds.uid, getuid());
		EXPECT(creds.gid, getgid());
		EXPECT(receive_creds(d, &creds), 2);
		EXPECT(creds.uid, getuid());
		close(d);
		unlink(path("cd"));
	}
	step();
	close(fd);
}

/* --- both ends in one process: nothing is lost by the site --- */

static void test_own(void)
{
	CLIENT
	{
		int s = bound(SOCK_STREAM, "own"), c = connected(SOCK_STREAM, "own");
		EXPECT(c, -1);
		EXPECT(listen(s, 1), 0);
		c = connected(SOCK_STREAM, "own");
		EXPECT_TRUE(c >= 0);
		int a = accept(s, NULL, NULL);
		union {
			struct cmsghdr h;
			char bytes[CMSG_SPACE(sizeof(int))];
		} m = {.h = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
		struct iovec v = {"r", 1};
		struct msghdr msg = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = &m, .msg_controllen = sizeof(m)};
		memcpy(CMSG_DATA(&m.h), &s, sizeof(s));
		EXPECT(sendmsg(c, &msg, 0), 1);
		v.iov_base = buffer;
		EXPECT(recvmsg(a, &msg, 0), 1);
		EXPECT(msg.msg_controllen >= CMSG_LEN(sizeof(int)), 1);
		int d = bound(SOCK_DGRAM, "owd");
		EXPECT(send_to(d, "self", 4, 0, "owd"), 4);
		EXPECT(recv(d, buffer, 10, MSG_DONTWAIT), 4);
		v.iov_base = "r";
		struct sockaddr_un *to = address("owd");
		memcpy(CMSG_DATA(&m.h), &s, sizeof(s));
		msg.msg_name = to;
		msg.msg_namelen = address_len(to);
		msg.msg_controllen = sizeof(m);
		EXPECT(sendmsg(d, &msg, 0), 1);
		EXPECT(recv(d, buffer, 10, MSG_DONTWAIT), 1);
		EXPECT(connect_to(d, "owd"), 0);
		EXPECT(send(d, "me", 2, 0), 2);
		EXPECT(recv(d, buffer, 10, MSG_DONTWAIT), 2);
		unlink(path("own"));
		unlink(path("owd"));
		close(s), close(c), close(a), close(d);
	}
}

/* --- further roles --- */

static const char *error_name(int e)
{
	static const int known[] = {0, ENOENT, ECONNREFUSED, EACCES, EPERM, EADDRINUSE, EAGAIN};
	static const char *const names[] = {"ok", "ENOENT", "ECONNREFUSED", "EACCES", "EPERM", "EADDRINUSE", "EAGAIN"};
	for (unsigned i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (known[i] == e)
			return names[i];
	return strerror(e);
}

static int types(const char *t)
{
	return *t == 's' ? SOCK_STREAM : *t == 'd' ? SOCK_DGRAM : SOCK_SEQPACKET;
}

/* Binds, listens, accepts, and answers until killed. MODE: of the socket. */
static int hold(int type, const char *name, const char *mode)
{
	int fd = bound(type, name);
	printf("bind %s\n", error_name(fd < 0 ? errno : 0));
	if (fd < 0)
		return 1;
	if (mode)
		chmod(path(name), (mode_t)strtol(mode, NULL, 8));
	if (type != SOCK_DGRAM)
		listen(fd, 5);
	puts("held");
	fflush(stdout);
	for (;;) {
		int c = type == SOCK_DGRAM ? fd : accept(fd, NULL, NULL);
		long n;
		while ((n = recv(c, buffer, 1000, 0)) > 0 && type != SOCK_DGRAM)
			send(c, buffer, (size_t)n, MSG_NOSIGNAL);
		if (type != SOCK_DGRAM)
			close(c);
	}
}

static int try_it(int type, const char *name, int wait)
{
	int fd = make(type), r = connect_to(fd, name);
	printf("connect %s\n", error_name(r < 0 ? errno : 0));
	fflush(stdout);
	if (r == 0 && wait) { /* until the other side goes */
		write(fd, "x", 1);
		long n = read(fd, buffer, 1);
		printf("echo %ld\n", n);
		fflush(stdout);
		n = read(fd, buffer, 1);
		printf("end %ld %s\n", n, error_name(n < 0 ? errno : 0));
	}
	if (type == SOCK_DGRAM && r < 0) {
		r = (int)send_to(fd, "x", 1, 0, name);
		printf("sendto %s\n", error_name(r < 0 ? errno : 0));
	}
	if (!wait) {
		r = unlink(path(name));
		printf("unlink %s\n", error_name(r < 0 ? errno : 0));
	}
	return 0;
}

/* One of COUNT processes as those of a replicated controller: each has a datagram socket "NUMBER.data" and a stream socket
 * "NUMBER"; each connects to all others, and all say ROUNDS things to all, over both. */
static void *mesh_listen(void *arg)
{
	int listener = *(int *)arg;
	for (;;) {
		int c = accept(listener, NULL, NULL);
		if (c < 0)
			return NULL;
		pthread_t t;
		int *copy = malloc(sizeof(*copy));
		*copy = c;
		void *mesh_echo(void *);
		pthread_create(&t, NULL, mesh_echo, copy);
	}
}
void *mesh_echo(void *arg)
{
	int c = *(int *)arg;
	char b[64];
	for (long n; (n = recv(c, b, sizeof(b), 0)) > 0;)
		send(c, b, (size_t)n, MSG_NOSIGNAL);
	close(c);
	return NULL;
}
static int mesh(int self, int count, int rounds)
{
	char name[32];
	int conns[64], wrong = 0, got[64] = {0};
	snprintf(name, sizeof(name), "%d", self);
	static int listener, data;
	listener = bound(SOCK_STREAM, name);
	listen(listener, 64);
	snprintf(name, sizeof(name), "%d.data", self);
	data = bound(SOCK_DGRAM, name);
	pthread_t t;
	pthread_create(&t, NULL, mesh_listen, &listener);
	for (int i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "%d", i);
		for (int k = 0; k < 3000; k++) {
			conns[i] = make(SOCK_STREAM);
			if (connect_to(conns[i], name) == 0)
				break;
			close(conns[i]);
			conns[i] = -1;
			usleep(10000);
		}
		wrong += conns[i] < 0;
	}
	for (int r = 0; r < rounds; r++) {
		for (int i = 0; i < count; i++) {
			char out[32], in[32] = "";
			int len = snprintf(out, sizeof(out), "%d to %d: %d", self, i, r);
			wrong += send(conns[i], out, (size_t)len, MSG_NOSIGNAL) != len;
			wrong += recv(conns[i], in, (size_t)len, MSG_WAITALL) != len || strcmp(in, out) != 0;
		}
		for (int i = 0; i < count; i++) { /* never waits with its own queue full */
			int packet[2] = {self, r}, in[2];
			snprintf(name, sizeof(name), "%d.data", i);
			for (;;) {
				long n = send_to(data, packet, sizeof(packet), MSG_DONTWAIT, name);
				if (n == sizeof(packet))
					break;
				if (errno != EAGAIN && errno != ENOENT && errno != ECONNREFUSED) {
					wrong++;
					break;
				}
				struct pollfd p = {data, POLLIN};
				poll(&p, 1, 1);
				while (recv(data, in, sizeof(in), MSG_DONTWAIT) == sizeof(in))
					wrong += in[0] < 0 || in[0] >= count || in[1] != got[in[0]]++;
			}
		}
	}
	int left = 1;
	for (int k = 0; k < 3000 && left; k++) {
		int in[2];
		struct pollfd p = {data, POLLIN};
		poll(&p, 1, 10);
		while (recv(data, in, sizeof(in), MSG_DONTWAIT) == sizeof(in))
			wrong += in[0] < 0 || in[0] >= count || in[1] != got[in[0]]++;
		left = 0;
		for (int i = 0; i < count; i++)
			left += rounds - got[i];
	}
	printf("%d: wrong %d, missing %d\n", self, wrong, left);
	fflush(stdout);
	sleep(3); /* others may still talk */
	return 0;
}

static int rights(const char *name)
{
	int fd = connected(SOCK_STREAM, name);
	union {
		struct cmsghdr h;
		char bytes[CMSG_SPACE(sizeof(int))];
	} m = {.h = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
	struct iovec v = {"r", 1};
	struct msghdr msg = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = &m, .msg_controllen = sizeof(m)};
	long n = sendmsg(fd, &msg, 0);
	printf("rights %s\n", error_name(n < 0 ? errno : 0));
	n = write(fd, "x", 1);
	n = read(fd, buffer, 1);
	printf("echo %ld\n", n);
	return 0;
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Measures, against `hold`: round trips of 64 bytes, then bytes one way that are echoed. */
static int pingpong(int type, const char *name, int count)
{
	int fd = -1;
	for (int i = 0; i < 500 && fd < 0; i++, usleep(10000))
		fd = connected(type, name);
	double start = now();
	for (int i = 0; i < count; i++)
		if (send(fd, buffer, 64, 0) != 64 || recv(fd, buffer, 64, MSG_WAITALL) != 64)
			return 1;
	printf("%.2f\n", (now() - start) / count * 1e6);
	return 0;
}

static int flood(const char *name, int megabytes)
{
	int fd = -1;
	for (int i = 0; i < 500 && fd < 0; i++, usleep(10000))
		fd = connected(SOCK_STREAM, name);
	double start = now();
	for (int i = 0; i < megabytes * 16; i++)
		if (send(fd, buffer, 65536, 0) != 65536) {
			printf("at %d of %d: %s\n", i, megabytes * 16, strerror(errno));
			return 1;
		}
	shutdown(fd, SHUT_WR);
	long n = read(fd, buffer, 1);
	printf("%.0f\n", megabytes / (now() - start));
	return n != 0;
}

/* Connects, has something echoed, closes; again and again. */
static int churn(const char *name, int count)
{
	int done = 0;
	for (int i = 0; i < count; i++) {
		int fd = connected(SOCK_STREAM, name);
		done += send(fd, buffer, 500, 0) == 500 && recv(fd, buffer, 500, MSG_WAITALL) == 500;
		close(fd);
	}
	printf("%d\n", done);
	return 0;
}

static int sink(const char *name)
{
	int s = bound(SOCK_STREAM, name);
	listen(s, 5);
	int fd = accept(s, NULL, NULL);
	while (recv(fd, buffer, 262144, 0) > 0)
		;
	return 0;
}

int main(int argc, char **argv)
{
	folder = argv[1];
	const char *role = argv[2], *name = argc > 4 ? argv[4] : "";
	int type = argc > 3 ? types(argv[3]) : 0;
	if (strcmp(role, "hold") == 0)
		return hold(type, name, argc > 5 ? argv[5] : NULL);
	if (strcmp(role, "try") == 0 || strcmp(role, "watch") == 0)
		return try_it(type, name, *role == 'w');
	if (strcmp(role, "mesh") == 0)
		return mesh(atoi(argv[3]), atoi(argv[4]), atoi(argv[5]));
	if (strcmp(role, "rights") == 0)
		return rights(argv[3]);
	if (strcmp(role, "pingpong") == 0)
		return pingpong(type, name, atoi(argv[5]));
	if (strcmp(role, "flood") == 0)
		return flood(argv[3], atoi(argv[4]));
	if (strcmp(role, "churn") == 0)
		return churn(argv[3], atoi(argv[4]));
	if (strcmp(role, "sink") == 0)
		return sink(argv[3]);
	signal(SIGPIPE, SIG_IGN);
	alarm(250);
	server = strcmp(role, "server") == 0;
	meet();
	test_names();
	test_stream();
	test_backlog();
	test_flow(SOCK_STREAM, "f");
	test_flow(SOCK_SEQPACKET, "fq");
	test_datagram();
	test_packets();
	test_credentials();
	test_own();
	step();
	return guest_done();
}
