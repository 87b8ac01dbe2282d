/* splice, tee, vmsplice, preadv2's RWF_NOWAIT; and what xattr and time calls find wrong before and after the path. */
#include "guest.h"
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>
#include <sys/uio.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <sys/time.h>
#include <sys/socket.h>
int main(void)
{
	char dir[] = "/tmp/caXXXXXX";
	mkdtemp(dir);
	chdir(dir);
	struct timespec bad[2] = {{0, -5}, {0, 0}};
	EXPECT_ERR(utimensat(AT_FDCWD, "missing", bad, 0), ENOENT);
	EXPECT_ERR(setxattr("missing", "user.a", "x", 1, 99), EINVAL);
	EXPECT_ERR(setxattr("missing", "", "x", 1, 0), ERANGE);
	EXPECT_ERR(setxattr("missing", "user.a", dir, 70000, 0), E2BIG);
	EXPECT_ERR(setxattr("missing", "user.a", "x", 1, 0), ENOENT);
	EXPECT_ERR(getxattr("missing", "", 0, 0), ERANGE);
	EXPECT_ERR(removexattr("missing", ""), ERANGE);
	EXPECT_ERR(fsetxattr(-1, "", "x", 1, 0), ERANGE);
	int p[2], q[2];
	pipe(p);
	pipe(q);
	char b[100];
	EXPECT(write(p[1], "hello", 5), 5);
	EXPECT(tee(p[0], q[1], 3, 0), 3);
	EXPECT(tee(p[0], q[1], 100, 0), 5);
	EXPECT(read(q[0], b, 100), 8);
	EXPECT(memcmp(b, "helhello", 8), 0);
	EXPECT(read(p[0], b, 100), 5);
	EXPECT_ERR(tee(p[0], q[1], 100, SPLICE_F_NONBLOCK), EAGAIN);
	EXPECT_ERR(tee(p[0], p[1], 100, 0), EINVAL);
	EXPECT_ERR(tee(p[1], q[1], 100, 0), EBADF);
	EXPECT_ERR(tee(-1, q[1], 100, 0), EBADF);
	EXPECT_ERR(tee(p[0], q[1], 100, 64), EINVAL);
	EXPECT(tee(-1, -1, 0, 0), 0);
	int fd = open("f", O_RDWR | O_CREAT, 0644);
	EXPECT_ERR(tee(fd, q[1], 100, 0), EINVAL);
	struct iovec v[2] = {{"abc", 3}, {"defg", 4}};
	EXPECT(vmsplice(p[1], v, 2, 0), 7);
	char c[10];
	struct iovec w = {c, 10};
	EXPECT(vmsplice(p[0], &w, 1, 0), 7);
	EXPECT(memcmp(c, "abcdefg", 7), 0);
	EXPECT_ERR(vmsplice(fd, v, 1, 0), EBADF);
	EXPECT_ERR(vmsplice(-1, v, 1, 0), EBADF);
	EXPECT_ERR(vmsplice(p[1], v, 2000, 0), EINVAL);
	EXPECT_ERR(vmsplice(p[1], (void *)8, 1, 0), EFAULT);
	EXPECT_ERR(vmsplice(p[1], v, 1, 64), EINVAL);
	EXPECT(vmsplice(p[1], v, 0, 0), 0);
	EXPECT_ERR(vmsplice(p[0], &w, 1, SPLICE_F_NONBLOCK), EAGAIN);
	/* splice */
	EXPECT(write(p[1], "hello", 5), 5);
	int ro = open("f", O_RDONLY);
	EXPECT_ERR(splice(p[0], 0, ro, 0, 5, 0), EBADF);
	loff_t off = 3;
	EXPECT(splice(p[0], 0, fd, &off, 3, 0), 3);
	EXPECT(off, 6);
	EXPECT(splice(p[0], 0, fd, 0, 30, 0), 2);
	EXPECT(lseek(fd, 0, SEEK_CUR), 2);
	EXPECT(pread(fd, b, 10, 0), 6);
	EXPECT(memcmp(b, "lo\0hel", 6), 0);
	int ap = open("f", O_WRONLY | O_APPEND);
	write(p[1], "x", 1);
	EXPECT_ERR(splice(p[0], 0, ap, 0, 1, 0), EINVAL);
	EXPECT_ERR(splice(p[0], &off, fd, 0, 1, 0), ESPIPE);
	EXPECT_ERR(splice(p[0], 0, fd, 0, 1, 64), EINVAL);
	EXPECT_ERR(splice(fd, 0, fd, 0, 1, 0), EINVAL);
	EXPECT(splice(p[0], 0, q[1], 0, 10, 0), 1);
	int s[2];
	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	EXPECT(splice(q[0], 0, s[0], 0, 10, 0), 1);
	EXPECT(splice(s[1], 0, p[1], 0, 10, 0), 1);
	EXPECT(read(p[0], b, 10), 1);
	fcntl(p[1], F_SETFL, O_NONBLOCK);
	while (write(p[1], b, 100) > 0)
		;
	EXPECT_ERR(splice(fd, 0, p[1], 0, 10, SPLICE_F_NONBLOCK), EAGAIN);
	close(p[0]);
	signal(SIGPIPE, SIG_IGN);
	EXPECT_ERR(splice(fd, 0, p[1], 0, 10, 0), EPIPE);
	v[0] = (struct iovec){b, 10};
	ssize_t now = preadv2(fd, v, 1, 0, RWF_NOWAIT);
	EXPECT_TRUE(now == 6 || (now == -1 && errno == EOPNOTSUPP)); /* some of Linux's file systems can't */
	int z[2];
	pipe(z);
	EXPECT_ERR(preadv2(z[0], v, 1, -1, RWF_NOWAIT), EAGAIN);
	EXPECT_ERR(preadv2(fd, v, 1, 0, 1 << 20), EOPNOTSUPP);
	return guest_done();
}
