/* Pipes and named pipes: capacity, atomic writes, ends that go, modes, opening. */
#include "guest.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

static void *volatile bad_pointer = (void *)8;
static char big[70000];

static long fill(int fd, size_t piece)
{
	long total = 0, n;

	while ((n = write(fd, big, piece)) > 0)
		total += n;
	return total;
}

static int queued(int fd)
{
	int n = -1;

	return ioctl(fd, FIONREAD, &n) ? -1 : n;
}

static void basics(void)
{
	int p[2];
	char buf[64];
	struct stat st;

	EXPECT_ERR(pipe2(p, 0x1000000), EINVAL);
	EXPECT_ERR(pipe(bad_pointer), EFAULT);
	EXPECT(pipe2(p, O_CLOEXEC | O_NONBLOCK), 0);
	EXPECT(fcntl(p[0], F_GETFD), FD_CLOEXEC);
	EXPECT(fcntl(p[0], F_GETFL), O_RDONLY | O_NONBLOCK);
	EXPECT(fcntl(p[1], F_GETFL), O_WRONLY | O_NONBLOCK);
	EXPECT(fstat(p[0], &st), 0);
	EXPECT(st.st_mode, S_IFIFO | 0600);
	EXPECT(st.st_size, 0);
	EXPECT_ERR(read(p[0], buf, 1), EAGAIN);
	EXPECT_ERR(read(p[1], buf, 1), EBADF);
	EXPECT_ERR(write(p[0], buf, 1), EBADF);
	EXPECT_ERR(lseek(p[0], 0, SEEK_CUR), ESPIPE);
	EXPECT_ERR(pread(p[0], buf, 1, 0), ESPIPE);
	EXPECT_ERR(pwrite(p[1], buf, 1, 0), ESPIPE);
	EXPECT(write(p[1], "", 0), 0);
	EXPECT_ERR(read(p[0], buf, 8), EAGAIN);
	EXPECT(write(p[1], "hello", 5), 5);
	EXPECT(write(p[1], " world", 6), 6);
	EXPECT(queued(p[0]), 11);
	EXPECT(queued(p[1]), 11);
	EXPECT_ERR(write(p[1], bad_pointer, 4), EFAULT);
	EXPECT_ERR(read(p[0], bad_pointer, 4), EFAULT);
	EXPECT(queued(p[0]), 11);
	EXPECT(read(p[0], buf, 3), 3);
	EXPECT(read(p[0], buf + 3, 60), 8);
	EXPECT(memcmp(buf, "hello world", 11), 0);
	EXPECT_ERR(fsync(p[0]), EINVAL);
	EXPECT_ERR(ftruncate(p[1], 0), EINVAL);
	close(p[1]);
	EXPECT(read(p[0], buf, 1), 0);
	close(p[0]);
}

static void capacity(void)
{
	int p[2];

	EXPECT(pipe2(p, O_NONBLOCK), 0);
	EXPECT(fcntl(p[0], F_GETPIPE_SZ), 65536);
	EXPECT(fill(p[1], 4096), 65536);
	EXPECT_ERR(write(p[1], big, 1), EAGAIN);
	EXPECT(read(p[0], big, 4095), 4095);
	EXPECT_ERR(write(p[1], big, 1), EAGAIN);
	EXPECT(read(p[0], big, 1), 1);
	EXPECT(write(p[1], big, 1), 1);
	EXPECT_ERR(write(p[1], big, 4096), EAGAIN); /* would not fit whole */
	EXPECT(write(p[1], big, 4095), 4095);
	EXPECT_ERR(fcntl(p[1], F_SETPIPE_SZ, 4096), EBUSY);
	EXPECT(fcntl(p[1], F_SETPIPE_SZ, 131072), 131072);
	EXPECT(queued(p[0]), 65536);
	EXPECT(read(p[0], big, 65536), 65536);
	EXPECT(fcntl(p[1], F_SETPIPE_SZ, 5000), 8192);
	EXPECT(fcntl(p[1], F_SETPIPE_SZ, 1), 4096);
	EXPECT(write(p[1], big, 70000), 4096);
	EXPECT_ERR(fcntl(0x7fff, F_GETPIPE_SZ), EBADF);
	close(p[0]);
	close(p[1]);
}

static volatile sig_atomic_t pipes_broken;

static void on_pipe(int sig)
{
	pipes_broken += sig == SIGPIPE;
}

static void broken(void)
{
	int p[2];
	struct pollfd f;

	EXPECT(pipe(p), 0);
	signal(SIGPIPE, on_pipe);
	f = (struct pollfd){p[1], POLLOUT, 0};
	EXPECT(poll(&f, 1, 0), 1);
	EXPECT(f.revents, POLLOUT);
	close(p[0]);
	EXPECT_ERR(write(p[1], "x", 1), EPIPE);
	EXPECT(pipes_broken, 1);
	signal(SIGPIPE, SIG_IGN);
	EXPECT_ERR(write(p[1], "x", 1), EPIPE);
	EXPECT(pipes_broken, 1);
	EXPECT(poll(&f, 1, 0), 1);
	EXPECT(f.revents, POLLOUT | POLLERR);
	close(p[1]);
	EXPECT(pipe(p), 0);
	f = (struct pollfd){p[0], POLLIN, 0};
	EXPECT(poll(&f, 1, 0), 0);
	EXPECT(write(p[1], "x", 1), 1);
	close(p[1]);
	EXPECT(poll(&f, 1, 0), 1);
	EXPECT(f.revents, POLLIN | POLLHUP);
	EXPECT(read(p[0], big, 2), 1);
	EXPECT(poll(&f, 1, 0), 1);
	EXPECT(f.revents, POLLHUP);
	close(p[0]);
}

static void packets(void)
{
	int p[2];
	char buf[8192];

	EXPECT(pipe2(p, O_DIRECT | O_NONBLOCK), 0);
	EXPECT(write(p[1], "abc", 3), 3);
	EXPECT(write(p[1], "defgh", 5), 5);
	EXPECT(read(p[0], buf, 100), 3);
	EXPECT(read(p[0], buf, 2), 2); /* the rest of the packet is lost */
	EXPECT_ERR(read(p[0], buf, 100), EAGAIN);
	EXPECT(write(p[1], buf, 5000), 5000);
	EXPECT(read(p[0], buf, 8192), 4096);
	EXPECT(read(p[0], buf, 8192), 904);
	close(p[0]);
	close(p[1]);
}

static int pair[2];

static void *drain(void *arg)
{
	long total = 0, n;

	(void)arg;
	usleep(20000);
	while ((n = read(pair[0], big, 10000)) > 0)
		total += n;
	return (void *)total;
}

static void blocking(void)
{
	static char data[300000];
	pthread_t t;
	void *got;

	EXPECT(pipe(pair), 0);
	pthread_create(&t, NULL, drain, NULL);
	EXPECT(write(pair[1], data, sizeof(data)), sizeof(data)); /* waits for the reader more than once */
	close(pair[1]);
	pthread_join(t, &got);
	EXPECT((long)got, sizeof(data));
	close(pair[0]);
}

static void *open_writer(void *path)
{
	usleep(20000);
	return (void *)(long)open(path, O_WRONLY);
}

static void fifos(void)
{
	const char *path = guest_name("/tmp/guest-pipe");
	char buf[16];
	pthread_t t;
	void *writer;
	int r, w;

	unlink(path);
	EXPECT(mkfifo(path, 0600), 0);
	EXPECT_ERR(mkfifo(path, 0600), EEXIST);
	EXPECT_ERR(open(path, O_WRONLY | O_NONBLOCK), ENXIO);
	r = open(path, O_RDONLY | O_NONBLOCK);
	EXPECT_TRUE(r >= 0);
	struct pollfd f = {r, POLLIN, 0};
	EXPECT(poll(&f, 1, 0), 0); /* no writer was there yet: no hang-up */
	EXPECT(read(r, buf, 1), 0);
	w = open(path, O_WRONLY | O_NONBLOCK);
	EXPECT_TRUE(w >= 0);
	EXPECT_ERR(read(r, buf, 1), EAGAIN);
	EXPECT(write(w, "fifo", 4), 4);
	EXPECT(read(r, buf, 16), 4);
	close(w);
	EXPECT(poll(&f, 1, 0), 1);
	EXPECT(f.revents, POLLHUP);
	EXPECT(read(r, buf, 1), 0);
	close(r);
	r = open(path, O_RDWR);
	EXPECT_TRUE(r >= 0);
	EXPECT(write(r, "self", 4), 4);
	EXPECT(read(r, buf, 16), 4);
	close(r);
	pthread_create(&t, NULL, open_writer, (void *)path);
	r = open(path, O_RDONLY); /* waits for the thread */
	EXPECT_TRUE(r >= 0);
	pthread_join(t, &writer);
	w = (int)(long)writer;
	EXPECT_TRUE(w >= 0);
	EXPECT(write(w, "late", 4), 4);
	EXPECT(read(r, buf, 16), 4);
	EXPECT_ERR(lseek(r, 0, SEEK_SET), ESPIPE);
	close(r);
	close(w);
	EXPECT(unlink(path), 0);
}

int main(void)
{
	basics();
	capacity();
	broken();
	packets();
	blocking();
	fifos();
	return guest_done();
}
