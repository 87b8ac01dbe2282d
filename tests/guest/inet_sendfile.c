/* sendfile() and splice() between files, pipes and TCP, as file servers and proxies use them. */
#include "inet.h"

#include <pthread.h>
#include <sys/sendfile.h>

#define FILE_SIZE 1000000

static int pair[2], file;

static char pattern(long i)
{
	return (char)(i * 7 + (i >> 8) * 13 + (i >> 16));
}

/* Reads to the end; gives the bytes that are right. */
static void *drain(void *arg)
{
	static char sink[40000];
	long total = (long)arg, right = 0, n;

	while ((n = read(pair[1], sink, sizeof(sink))) > 0)
		for (long i = 0; i < n; i++)
			right += sink[i] == pattern(total++);
	return (void *)right;
}

static void sending(void)
{
	pthread_t t;
	void *right;
	off_t at = 1000;
	int s[2], p[2];

	tcp_pair(s);
	EXPECT(sendfile(s[0], file, &at, 5), 5);
	EXPECT(at, 1005);
	EXPECT(lseek(file, 0, SEEK_CUR), 0); /* with an offset of its own the file's stays */
	EXPECT(recv(s[1], buf, 10, 0), 5);
	EXPECT(buf[0] == pattern(1000) && buf[4] == pattern(1004), 1);
	EXPECT(sendfile(s[0], file, NULL, 7), 7);
	EXPECT(lseek(file, 0, SEEK_CUR), 7);
	EXPECT(recv(s[1], buf, 10, 0), 7);
	EXPECT(buf[6] == pattern(6), 1);
	at = FILE_SIZE - 3;
	EXPECT(sendfile(s[0], file, &at, 100), 3); /* to the end of the file */
	EXPECT(sendfile(s[0], file, &at, 100), 0);
	EXPECT(sendfile(s[0], file, &at, 0), 0);
	EXPECT(recv(s[1], buf, 10, 0), 3);
	at = -1;
	EXPECT_ERR(sendfile(s[0], file, &at, 1), EINVAL);
	EXPECT_ERR(sendfile(s[0], file, bad_pointer, 1), EFAULT);
	EXPECT_ERR(sendfile(s[0], s[1], NULL, 1), EINVAL); /* a socket is no source */
	EXPECT_ERR(sendfile(s[0], 0x7fff, NULL, 1), EBADF);
	EXPECT(pipe(p), 0);
	EXPECT_ERR(sendfile(s[0], p[1], NULL, 1), EBADF); /* not open for reading */
	close(p[0]);
	close(p[1]);
	shutdown(s[0], SHUT_WR);
	at = 0;
	EXPECT_ERR(sendfile(s[0], file, &at, 10), EPIPE);
	close_pair(s);
	int u = socket(AF_INET, SOCK_STREAM, 0);
	EXPECT_ERR(sendfile(u, file, &at, 10), EPIPE);
	close(u);
	/* More than the socket takes at once, waiting. */
	tcp_pair(pair);
	at = 0;
	pthread_create(&t, NULL, drain, NULL);
	long sent = 0, n;
	while ((n = sendfile(pair[0], file, &at, FILE_SIZE - at)) > 0)
		sent += n;
	EXPECT(sent, FILE_SIZE);
	EXPECT(at, FILE_SIZE);
	close(pair[0]);
	pthread_join(t, &right);
	EXPECT((long)right, FILE_SIZE);
	close(pair[1]);
	/* Without waiting: what fits, then EAGAIN. */
	tcp_pair(pair);
	set_nonblock(pair[0]);
	set_option(pair[0], SOL_SOCKET, SO_SNDBUF, 20000);
	set_option(pair[1], SOL_SOCKET, SO_RCVBUF, 20000);
	at = 0;
	while ((n = sendfile(pair[0], file, &at, FILE_SIZE - at)) > 0)
		;
	EXPECT(n == -1 && errno == EAGAIN && at > 0 && at < FILE_SIZE, 1);
	pthread_create(&t, NULL, drain, NULL);
	while (at < FILE_SIZE && arrives(pair[0], POLLOUT) & POLLOUT)
		sendfile(pair[0], file, &at, FILE_SIZE - at);
	EXPECT(at, FILE_SIZE);
	close(pair[0]);
	pthread_join(t, &right);
	EXPECT((long)right, FILE_SIZE);
	close(pair[1]);
}

static void *write_all(void *arg)
{
	long done = 0, n;

	while (done < FILE_SIZE && (n = pread(file, buf, 30000, done)) > 0 && write(pair[0], buf, n) == n)
		done += n;
	close(pair[0]);
	return (void *)done;
}

static void splicing(void)
{
	static char sink[70000];
	long moved = 0, right = 0, n, m;
	pthread_t t;
	void *done;
	int p[2], s[2];
	loff_t at = 100;

	tcp_pair(s);
	EXPECT(pipe(p), 0);
	/* file, pipe, socket */
	EXPECT(splice(file, &at, p[1], NULL, 3000, 0), 3000);
	EXPECT(splice(p[0], NULL, s[0], NULL, 3000, SPLICE_F_MOVE), 3000);
	EXPECT(recv(s[1], buf, 3000, MSG_WAITALL), 3000);
	EXPECT(buf[0] == pattern(100) && buf[2999] == pattern(3099), 1);
	/* socket, pipe */
	set_nonblock(s[1]); /* SPLICE_F_NONBLOCK is about pipes */
	EXPECT_ERR(splice(s[1], NULL, p[1], NULL, 100, 0), EAGAIN);
	EXPECT(send(s[0], "through", 7, 0), 7);
	arrives(s[1], POLLIN);
	EXPECT(splice(s[1], NULL, p[1], NULL, 100, 0), 7);
	EXPECT(read(p[0], buf, 100), 7);
	EXPECT(memcmp(buf, "through", 7), 0);
	EXPECT_ERR(splice(s[1], &at, p[1], NULL, 100, 0), EINVAL);
	EXPECT_ERR(splice(s[1], NULL, s[0], NULL, 100, 0), EINVAL); /* one of them must be a pipe */
	EXPECT(shutdown(s[0], SHUT_WR), 0);
	arrives(s[1], POLLRDHUP);
	EXPECT(splice(s[1], NULL, p[1], NULL, 100, 0), 0);
	EXPECT(write(p[1], "x", 1), 1);
	EXPECT_ERR(splice(p[0], NULL, s[0], NULL, 1, 0), EPIPE);
	close_pair(s);
	read(p[0], buf, 100);
	/* A proxy's loop: from the socket through the pipe to a file. */
	tcp_pair(pair);
	pthread_create(&t, NULL, write_all, NULL);
	for (;;) {
		n = splice(pair[1], NULL, p[1], NULL, 65536, SPLICE_F_MOVE);
		if (n <= 0)
			break;
		for (long k = 0; k < n && (m = read(p[0], sink, sizeof(sink))) > 0; k += m)
			for (long i = 0; i < m; i++)
				right += sink[i] == pattern(moved++);
	}
	pthread_join(t, &done);
	EXPECT((long)done, FILE_SIZE);
	EXPECT(moved, FILE_SIZE);
	EXPECT(right, FILE_SIZE);
	close(pair[1]);
	close(p[0]);
	close(p[1]);
}

int main(void)
{
	static char content[FILE_SIZE];
	char name[64];

	signal(SIGPIPE, SIG_IGN);
	for (long i = 0; i < FILE_SIZE; i++)
		content[i] = pattern(i);
	sprintf(name, "/tmp/guest-sendfile.%d", getpid());
	file = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
	unlink(name);
	write(file, content, FILE_SIZE);
	lseek(file, 0, SEEK_SET);
	sending();
	splicing();
	return guest_done();
}
