/* File locks within one process: flock, open-file-description locks, POSIX record locks. */
#include "guest.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int lock(int fd, int cmd, int type, long start, long len)
{
	struct flock l = {.l_type = (short)type, .l_whence = SEEK_SET, .l_start = start, .l_len = len};

	return fcntl(fd, cmd, &l);
}

/* What F_OFD_GETLK tells of a write lock on [start, start + len): its type, start and length in one number. */
static long query(int fd, long start, long len)
{
	struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = start, .l_len = len};

	if (fcntl(fd, F_OFD_GETLK, &l))
		return -errno;
	return l.l_type == F_UNLCK ? 0 : l.l_type * 1000000 + l.l_start * 1000 + l.l_len + 5000000;
}

static volatile int got;

static void *wait_for_lock(void *arg)
{
	int fd = *(int *)arg;

	got = flock(fd, LOCK_EX) ? -1 : 1;
	return NULL;
}

static void *wait_for_record(void *arg)
{
	got = lock(*(int *)arg, F_OFD_SETLKW, F_WRLCK, 0, 10) ? -1 : 1;
	return NULL;
}

int main(void)
{
	char name[] = "/dev/shm/lock-XXXXXX";
	int a = mkstemp(name), b = open(name, O_RDWR), reader = open(name, O_RDONLY), path = open(name, O_PATH), p[2];
	pthread_t thread;

	EXPECT_TRUE(a >= 0 && b >= 0 && reader >= 0 && path >= 0);
	EXPECT(pipe(p), 0);

	/* flock: of the open file */
	EXPECT(flock(a, LOCK_SH), 0);
	EXPECT(flock(b, LOCK_SH | LOCK_NB), 0);
	EXPECT_ERR(flock(a, LOCK_EX | LOCK_NB), EWOULDBLOCK);
	EXPECT(flock(b, LOCK_UN), 0);
	EXPECT(flock(a, LOCK_EX | LOCK_NB), 0);
	EXPECT(flock(a, LOCK_EX | LOCK_NB), 0);
	EXPECT_ERR(flock(b, LOCK_SH | LOCK_NB), EWOULDBLOCK);
	EXPECT_ERR(flock(reader, LOCK_EX | LOCK_NB), EWOULDBLOCK);
	int twin = dup(a);

	EXPECT(flock(twin, LOCK_SH | LOCK_NB), 0); /* one open file, one lock */
	EXPECT(flock(b, LOCK_SH | LOCK_NB), 0);
	close(twin);
	EXPECT_ERR(flock(b, LOCK_EX | LOCK_NB), EWOULDBLOCK);
	EXPECT_ERR(flock(a, 0), EINVAL);
	EXPECT_ERR(flock(a, LOCK_SH | LOCK_EX), EINVAL);
	EXPECT_ERR(flock(999, LOCK_SH), EBADF);
	EXPECT_ERR(flock(path, LOCK_SH), EBADF);
	EXPECT(flock(a, LOCK_UN), 0);
	EXPECT(flock(b, LOCK_EX), 0);
	EXPECT(pthread_create(&thread, NULL, wait_for_lock, &a), 0);
	usleep(20000);
	EXPECT(got, 0);
	EXPECT(flock(b, LOCK_UN), 0);
	pthread_join(thread, NULL);
	EXPECT(got, 1);
	close(a);
	EXPECT(flock(b, LOCK_EX | LOCK_NB), 0); /* closing the last descriptor unlocks */
	EXPECT(flock(b, LOCK_UN), 0);
	a = open(name, O_RDWR);

	/* locks of open files conflict even within a process */
	EXPECT(lock(a, F_OFD_SETLK, F_WRLCK, 10, 10), 0);
	EXPECT_ERR(lock(b, F_OFD_SETLK, F_RDLCK, 15, 1), EAGAIN);
	EXPECT(lock(b, F_OFD_SETLK, F_RDLCK, 20, 5), 0);
	EXPECT(lock(b, F_OFD_SETLK, F_RDLCK, 0, 10), 0);
	EXPECT(query(a, 0, 5), F_RDLCK * 1000000 + 0 * 1000 + 10 + 5000000);
	EXPECT(query(b, 0, 0), F_WRLCK * 1000000 + 10 * 1000 + 10 + 5000000);
	EXPECT(query(b, 12, 1), F_WRLCK * 1000000 + 10 * 1000 + 10 + 5000000);
	EXPECT(query(b, 25, 0), 0);
	EXPECT(lock(a, F_OFD_SETLK, F_UNLCK, 13, 2), 0); /* splits */
	EXPECT(query(b, 0, 0), F_WRLCK * 1000000 + 10 * 1000 + 3 + 5000000);
	EXPECT(query(b, 13, 2), 0);
	EXPECT(query(b, 14, 10), F_WRLCK * 1000000 + 15 * 1000 + 5 + 5000000);
	EXPECT(lock(a, F_OFD_SETLK, F_WRLCK, 13, 2), 0); /* and grows together */
	EXPECT(query(b, 0, 0), F_WRLCK * 1000000 + 10 * 1000 + 10 + 5000000);
	EXPECT(lock(a, F_OFD_SETLK, F_RDLCK, 12, 2), 0);
	EXPECT(lock(b, F_OFD_SETLK, F_RDLCK, 12, 2), 0);
	EXPECT_ERR(lock(b, F_OFD_SETLK, F_WRLCK, 12, 2), EAGAIN);
	EXPECT(lock(a, F_OFD_SETLK, F_UNLCK, 0, 0), 0);
	EXPECT(lock(b, F_OFD_SETLK, F_WRLCK, 0, 0), 0);
	EXPECT(query(a, 500, 1), F_WRLCK * 1000000 + 0 + 0 + 5000000);
	EXPECT_ERR(lock(reader, F_OFD_SETLK, F_WRLCK, 0, 0), EBADF);
	got = 0;
	EXPECT(pthread_create(&thread, NULL, wait_for_record, &a), 0);
	usleep(20000);
	EXPECT(got, 0);
	EXPECT(lock(b, F_OFD_SETLK, F_UNLCK, 0, 5), 0);
	usleep(20000);
	EXPECT(got, 0);
	EXPECT(lock(b, F_OFD_SETLK, F_UNLCK, 0, 0), 0);
	pthread_join(thread, NULL);
	EXPECT(got, 1);
	struct flock l = {.l_type = F_RDLCK, .l_pid = 1};

	EXPECT_ERR(fcntl(a, F_OFD_SETLK, &l), EINVAL);
	close(a);
	EXPECT(query(b, 0, 0), 0);
	a = open(name, O_RDWR);

	/* POSIX locks belong to the process: its own never conflict */
	EXPECT(lock(a, F_SETLK, F_WRLCK, 0, 100), 0);
	EXPECT(lock(b, F_SETLK, F_WRLCK, 50, 100), 0);
	EXPECT_ERR(lock(b, F_OFD_SETLK, F_RDLCK, 70, 1), EAGAIN);
	EXPECT(lock(a, F_GETLK, F_WRLCK, 0, 0), 0);
	l = (struct flock){.l_type = F_WRLCK};
	EXPECT(fcntl(b, F_OFD_GETLK, &l), 0);
	EXPECT(l.l_type, F_WRLCK);
	EXPECT(l.l_start, 0);
	EXPECT(l.l_len, 150);
	EXPECT_TRUE(l.l_pid == getpid());
	EXPECT(close(open(name, O_RDONLY)), 0); /* closing any descriptor of the file drops them all */
	EXPECT(query(b, 0, 0), 0);
	EXPECT_ERR(lock(reader, F_SETLK, F_WRLCK, 0, 1), EBADF);
	EXPECT_ERR(lock(a, F_SETLK, 7, 0, 1), EINVAL);
	EXPECT_ERR(lock(a, F_SETLK, F_WRLCK, -1, 1), EINVAL);
	EXPECT_ERR(lock(a, F_SETLK, F_WRLCK, 5, -6), EINVAL);
	EXPECT_ERR(lock(a, F_SETLK, F_WRLCK, 0x7fffffffffffffff, 2), EOVERFLOW);
	EXPECT(lock(a, F_SETLK, F_WRLCK, 100, -10), 0);
	EXPECT(query(b, 0, 0), F_WRLCK * 1000000 + 90 * 1000 + 10 + 5000000);
	EXPECT(lseek(a, 40, SEEK_SET), 40);
	l = (struct flock){.l_type = F_RDLCK, .l_whence = SEEK_CUR, .l_start = -5, .l_len = 5};
	EXPECT(fcntl(a, F_SETLK, &l), 0);
	EXPECT(query(b, 0, 50), F_RDLCK * 1000000 + 35 * 1000 + 5 + 5000000);
	EXPECT_ERR(fcntl(a, F_SETLK, (void *)8), EFAULT);
	EXPECT_ERR(lock(999, F_SETLK, F_WRLCK, 0, 1), EBADF);
	EXPECT_ERR(lock(path, F_SETLK, F_WRLCK, 0, 1), EBADF);
	EXPECT(lock(p[0], F_SETLK, F_RDLCK, 0, 0), 0);
	EXPECT(unlink(name), 0);
	return guest_done();
}
