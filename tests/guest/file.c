/* Open files: open flags, read and write in all forms, seeking, holes, truncation, descriptors, memfd, copying. */
#include "guest.h"

#pragma GCC diagnostic ignored "-Wstringop-overflow" /* hostile arguments are meant */
#pragma GCC diagnostic ignored "-Wstringop-overread"

#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/memfd.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define MB (1l << 20)

#ifndef RWF_APPEND /* musl knows neither the flag nor the calls */
#define RWF_APPEND                    0x10
#define pwritev2(fd, v, n, at, flags) syscall(SYS_pwritev2, fd, v, n, (long)(at), 0, flags)
#define preadv2(fd, v, n, at, flags)  syscall(SYS_preadv2, fd, v, n, (long)(at), 0, flags)
#endif

static struct stat st;
static char buf[8192];

static off_t size_of(int fd)
{
	return fstat(fd, &st) ? -1 : st.st_size;
}

static void open_flags(void)
{
	EXPECT_ERR(open("none", O_RDONLY), ENOENT);
	EXPECT_ERR(open("", O_RDONLY), ENOENT);
	EXPECT_ERR(open((char *)8, O_RDONLY), EFAULT);
	EXPECT_ERR(open("slash/", O_CREAT | O_WRONLY, 0600), EISDIR);
	int fd = open("a", O_CREAT | O_EXCL | O_RDWR, 0666);

	EXPECT_TRUE(fd >= 0);
	EXPECT(fstat(fd, &st), 0);
	EXPECT(st.st_mode, S_IFREG | 0640); /* umask 027 */
	EXPECT(st.st_nlink, 1);
	EXPECT(st.st_size, 0);
	EXPECT(st.st_blocks, 0);
	EXPECT(st.st_blksize, 4096);
	EXPECT_ERR(open("a", O_CREAT | O_EXCL | O_RDWR, 0666), EEXIST);
	EXPECT_ERR(open("a", O_DIRECTORY | O_RDONLY), ENOTDIR);
	EXPECT_ERR(open("a/", O_RDONLY), ENOTDIR);
	EXPECT_ERR(open("a/b", O_RDONLY), ENOTDIR);
	EXPECT_ERR(open(".", O_WRONLY), EISDIR);
	EXPECT_ERR(open(".", O_RDONLY | O_TRUNC), EISDIR);
	EXPECT_ERR(open(".", O_RDONLY | O_CREAT, 0600), EISDIR);
	EXPECT_ERR(open("..", O_RDONLY | O_CREAT | O_EXCL, 0600), EEXIST);
	EXPECT(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDWR);
	EXPECT(fcntl(fd, F_GETFL) & ~0100000, O_RDWR);
	EXPECT(fcntl(fd, F_SETFL, O_APPEND | O_NONBLOCK | O_CREAT | O_WRONLY), 0);
	EXPECT(fcntl(fd, F_GETFL) & ~0100000, O_RDWR | O_APPEND | O_NONBLOCK);
	EXPECT(write(fd, "hello", 5), 5);
	EXPECT(pwrite(fd, "X", 1, 0), 1); /* appends, as Linux does */
	EXPECT(size_of(fd), 6);
	EXPECT(fcntl(fd, F_SETFL, 0), 0);
	close(fd);
	fd = open("a", O_RDONLY);
	EXPECT_ERR(write(fd, "x", 1), EBADF);
	EXPECT_ERR(ftruncate(fd, 1), EINVAL);
	EXPECT(read(fd, buf, 100), 6);
	EXPECT(read(fd, buf, 100), 0);
	close(fd);
	fd = open("a", O_WRONLY | O_TRUNC);
	EXPECT(size_of(fd), 0);
	EXPECT_ERR(read(fd, buf, 1), EBADF);
	close(fd);
	EXPECT_ERR(close(fd), EBADF);
	fd = open("a", O_PATH);
	EXPECT_ERR(read(fd, buf, 1), EBADF);
	EXPECT_ERR(lseek(fd, 0, SEEK_SET), EBADF);
	EXPECT_ERR(fchmod(fd, 0600), EBADF);
	EXPECT_ERR(ioctl(fd, FIONREAD, buf), EBADF);
	EXPECT(fstat(fd, &st), 0);
	EXPECT(fcntl(fd, F_GETFL), O_PATH);
	close(fd);
	fd = open(".", O_TMPFILE | O_RDWR, 0600);
	EXPECT_TRUE(fd >= 0);
	EXPECT(fstat(fd, &st), 0);
	EXPECT(st.st_nlink, 0);
	EXPECT(write(fd, "tmp", 3), 3);
	sprintf(buf, "/proc/self/fd/%d", fd);
	EXPECT(linkat(AT_FDCWD, buf, AT_FDCWD, "named", AT_SYMLINK_FOLLOW), 0);
	EXPECT(fstat(fd, &st), 0);
	EXPECT(st.st_nlink, 1);
	close(fd);
	EXPECT_ERR(open(".", O_TMPFILE | O_RDONLY, 0600), EINVAL);
	EXPECT(unlink("named"), 0);
}

static void read_write(void)
{
	int fd = open("rw", O_CREAT | O_RDWR, 0600), pipefd[2];
	struct iovec v[3] = {{"abc", 3}, {NULL, 0}, {"defgh", 5}};

	EXPECT(pipe(pipefd), 0);
	EXPECT(writev(fd, v, 3), 8);
	EXPECT(lseek(fd, 0, SEEK_CUR), 8);
	EXPECT(pread(fd, buf, 4, 2), 4);
	EXPECT(memcmp(buf, "cdef", 4), 0);
	EXPECT(lseek(fd, 0, SEEK_CUR), 8);
	EXPECT(pwrite(fd, "Z", 1, 4), 1);
	EXPECT(preadv(fd, (struct iovec[]){{buf, 2}, {buf + 10, 100}}, 2, 3), 5);
	EXPECT(memcmp(buf, "dZ", 2), 0);
	EXPECT(memcmp(buf + 10, "fgh", 3), 0);
	EXPECT(pwritev(fd, v, 1, 100), 3);
	EXPECT(size_of(fd), 103);
	EXPECT(pread(fd, buf, 200, 0), 103);
	EXPECT(buf[8] | buf[50] | buf[99], 0);
	EXPECT_ERR(pread(fd, buf, 1, -1), EINVAL);
	EXPECT_ERR(readv(fd, v, -1), EINVAL);
	EXPECT_ERR(readv(fd, v, 1025), EINVAL);
	EXPECT(readv(fd, v, 0), 0);
	EXPECT_ERR(read(fd, (void *)8, 10), EFAULT);
	EXPECT_ERR(write(fd, (void *)8, 10), EFAULT);
	EXPECT_ERR(read(999, buf, 1), EBADF);
	EXPECT_ERR(pread(pipefd[0], buf, 1, 0), ESPIPE);
	EXPECT_ERR(lseek(pipefd[0], 0, SEEK_CUR), ESPIPE);
	EXPECT_ERR(lseek(fd, -1, SEEK_SET), EINVAL);
	EXPECT_ERR(lseek(fd, 0, 99), EINVAL);
	EXPECT(lseek(fd, -3, SEEK_END), 100);
	EXPECT(read(fd, buf, 10), 3);
	EXPECT(pwritev2(fd, v, 1, 0, RWF_APPEND), 3);
	EXPECT(size_of(fd), 106);
	EXPECT(preadv2(fd, v, 0, -1, 0), 0);
	EXPECT_ERR(preadv2(fd, v, 1, 0, 0x4000), EOPNOTSUPP);
	EXPECT_ERR(read(open(".", O_RDONLY), buf, 1), EISDIR);
	/* a write that meets an unmapped page counts what came before it */
	char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	munmap(page + 4096, 4096);
	memset(page, 'p', 4096);
	EXPECT(pwrite(fd, page + 4000, 200, 0), 96);
	EXPECT(ioctl(fd, FIONREAD, &v[0].iov_len), 0);
	EXPECT_ERR(ioctl(fd, TIOCGWINSZ, buf), ENOTTY);
	close(pipefd[0]);
	close(pipefd[1]);
	close(fd);
}

static void holes(void)
{
	int fd = open("sparse", O_CREAT | O_RDWR | O_TRUNC, 0600);

	EXPECT(pwrite(fd, "x", 1, 1024 * MB), 1);
	EXPECT(size_of(fd), 1024 * MB + 1);
	EXPECT_TRUE(st.st_blocks <= 16);
	EXPECT(lseek(fd, 0, SEEK_DATA), 1024 * MB);
	EXPECT(lseek(fd, 0, SEEK_HOLE), 0);
	EXPECT(lseek(fd, 1024 * MB, SEEK_HOLE), 1024 * MB + 1);
	EXPECT_ERR(lseek(fd, 1024 * MB + 1, SEEK_DATA), ENXIO);
	EXPECT_ERR(lseek(fd, 1024 * MB + 1, SEEK_HOLE), ENXIO);
	EXPECT_ERR(lseek(fd, -1, SEEK_DATA), ENXIO);
	EXPECT(ftruncate(fd, 5 * 4096), 0);
	EXPECT_ERR(lseek(fd, 0, SEEK_DATA), ENXIO);
	memset(buf, 'd', sizeof(buf));
	EXPECT(pwrite(fd, buf, 8192, 4096), 8192);
	EXPECT(lseek(fd, 0, SEEK_DATA), 4096);
	EXPECT(lseek(fd, 5000, SEEK_DATA), 5000);
	EXPECT(lseek(fd, 4096, SEEK_HOLE), 3 * 4096);
	EXPECT(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 4096), 0);
	EXPECT(lseek(fd, 0, SEEK_DATA), 8192);
	EXPECT(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 8192 + 10, 20), 0);
	EXPECT(pread(fd, buf, 100, 8192), 100);
	EXPECT(buf[9] == 'd' && buf[10] == 0 && buf[29] == 0 && buf[30] == 'd', 1);
	EXPECT_ERR(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 10), EOPNOTSUPP);
	EXPECT_ERR(fallocate(fd, 0, 0, 0), EINVAL);
	EXPECT_ERR(fallocate(fd, 0, -1, 10), EINVAL);
	EXPECT(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 10 * 4096), 0);
	EXPECT(size_of(fd), 5 * 4096);
	EXPECT(fallocate(fd, 0, 0, 10 * 4096), 0);
	EXPECT(size_of(fd), 10 * 4096);
	EXPECT(st.st_blocks, 80);
	/* what truncation cuts off comes back as zeros */
	EXPECT(ftruncate(fd, 0), 0);
	EXPECT(pwrite(fd, "abcdef", 6, 0), 6);
	EXPECT(ftruncate(fd, 3), 0);
	EXPECT(ftruncate(fd, 6), 0);
	EXPECT(pread(fd, buf, 10, 0), 6);
	EXPECT(memcmp(buf, "abc\0\0\0", 6), 0);
	EXPECT_ERR(ftruncate(fd, -1), EINVAL);
	EXPECT_ERR(truncate("none", 1), ENOENT);
	EXPECT_ERR(truncate(".", 1), EISDIR);
	EXPECT(truncate("sparse", 1), 0);
	EXPECT(size_of(fd), 1);
	/* a shared mapping and the file are one */
	EXPECT(ftruncate(fd, 8192), 0);
	char *map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	EXPECT_TRUE(map != MAP_FAILED);
	map[5000] = 'm';
	EXPECT(pread(fd, buf, 1, 5000), 1);
	EXPECT(buf[0], 'm');
	EXPECT(pwrite(fd, "n", 1, 5001), 1);
	EXPECT(map[5001], 'n');
	munmap(map, 8192);
	close(fd);
}

static void limits(void)
{
	int fd = open("limit", O_CREAT | O_RDWR, 0600);
	struct rlimit old, small = {100, RLIM_INFINITY};

	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	setrlimit(RLIMIT_FSIZE, &small); /* the results are printed once the limit is off again: standard output may be a file */
	long part = write(fd, buf, 200), full = write(fd, buf, 1), full_errno = errno, cut = ftruncate(fd, 101), cut_errno = errno;

	EXPECT(setrlimit(RLIMIT_FSIZE, &old), 0);
	EXPECT(part, 100);
	EXPECT(full, -1);
	EXPECT(full_errno, EFBIG);
	EXPECT(cut, -1);
	EXPECT(cut_errno, EFBIG);
	getrlimit(RLIMIT_NOFILE, &old);
	small = (struct rlimit){10, old.rlim_max};
	EXPECT(setrlimit(RLIMIT_NOFILE, &small), 0);
	int last = -1, next;

	while ((next = dup(fd)) >= 0)
		last = next;
	EXPECT(errno, EMFILE);
	EXPECT(last, 9);
	EXPECT_ERR(dup2(fd, 10), EBADF);
	EXPECT_ERR(fcntl(fd, F_DUPFD, 10), EINVAL);
	EXPECT(setrlimit(RLIMIT_NOFILE, &old), 0);
	EXPECT(syscall(SYS_close_range, fd, ~0u, 0), 0);
	EXPECT_ERR(write(fd, buf, 1), EBADF);
}

static void descriptors(void)
{
	int fd = open("desc", O_CREAT | O_RDWR | O_CLOEXEC, 0600);

	EXPECT(fcntl(fd, F_GETFD), FD_CLOEXEC);
	int two = dup(fd);

	EXPECT(two, fd + 1);
	EXPECT(fcntl(two, F_GETFD), 0);
	EXPECT(write(fd, "abc", 3), 3);
	EXPECT(lseek(two, 0, SEEK_CUR), 3); /* one open file */
	EXPECT(dup2(fd, fd), fd);
	EXPECT(fcntl(fd, F_GETFD), FD_CLOEXEC);
	EXPECT_ERR(dup3(fd, fd, 0), EINVAL);
	EXPECT_ERR(dup3(fd, 50, 1), EINVAL);
	EXPECT(dup3(fd, 50, O_CLOEXEC), 50);
	EXPECT(fcntl(50, F_GETFD), FD_CLOEXEC);
	EXPECT(fcntl(fd, F_DUPFD, 60), 60);
	EXPECT(fcntl(fd, F_DUPFD_CLOEXEC, 60), 61);
	EXPECT_ERR(dup2(999, 50), EBADF);
	EXPECT_ERR(dup2(fd, -1), EBADF);
	EXPECT_ERR(fcntl(fd, 9999, 0), EINVAL);
	EXPECT(syscall(SYS_close_range, 60, 61, 4), 0);
	EXPECT(fcntl(60, F_GETFD), FD_CLOEXEC);
	EXPECT_ERR(syscall(SYS_close_range, 61, 60, 0), EINVAL);
	EXPECT(ioctl(two, FIOCLEX), 0);
	EXPECT(fcntl(two, F_GETFD), FD_CLOEXEC);
	EXPECT(fcntl(fd, F_SETOWN, getpid()), 0);
	EXPECT_TRUE(fcntl(fd, F_GETOWN) == getpid());
	close(two);
	two = open("desc", O_RDONLY);
	EXPECT(lseek(two, 0, SEEK_CUR), 0);
	syscall(SYS_close_range, 3, ~0u, 0);
}

static void memory_files(void)
{
	int fd = (int)syscall(SYS_memfd_create, "name", MFD_ALLOW_SEALING | MFD_CLOEXEC);

	EXPECT_TRUE(fd >= 0);
	EXPECT(fcntl(fd, F_GET_SEALS), 0);
	EXPECT(ftruncate(fd, 4096), 0);
	EXPECT(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK), 0);
	EXPECT_ERR(ftruncate(fd, 8192), EPERM);
	EXPECT_ERR(ftruncate(fd, 1), EPERM);
	EXPECT(pwrite(fd, "x", 1, 0), 1);
	EXPECT_ERR(pwrite(fd, "x", 1, 4096), EPERM);
	char *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	EXPECT_ERR(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EBUSY);
	munmap(map, 4096);
	EXPECT(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SEAL), 0);
	EXPECT_ERR(pwrite(fd, "x", 1, 0), EPERM);
	EXPECT_ERR(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL), EPERM);
	EXPECT(fcntl(fd, F_GET_SEALS), F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_WRITE | F_SEAL_SEAL);
	sprintf(buf + 100, "/proc/self/fd/%d", fd);
	ssize_t n = readlink(buf + 100, buf, 100);

	EXPECT_TRUE(n == 21 && !memcmp(buf, "/memfd:name (deleted)", 21));
	close(fd);
	fd = (int)syscall(SYS_memfd_create, "plain", 0);
	EXPECT(fcntl(fd, F_GET_SEALS), F_SEAL_SEAL);
	EXPECT_ERR(syscall(SYS_memfd_create, "x", 0x1000), EINVAL);
	EXPECT_ERR(syscall(SYS_memfd_create, NULL, 0), EFAULT);
	close(fd);
}

static void copying(void)
{
	int in = open("in", O_CREAT | O_RDWR, 0600), out = open("out", O_CREAT | O_RDWR, 0600), p[2];
	off_t at = 2;

	EXPECT(pipe(p), 0);
	EXPECT(write(in, "0123456789", 10), 10);
	EXPECT(sendfile(out, in, &at, 5), 5);
	EXPECT(at, 7);
	EXPECT(lseek(in, 0, SEEK_CUR), 10);
	EXPECT(size_of(out), 5);
	EXPECT(sendfile(out, in, NULL, 5), 0);
	EXPECT_ERR(sendfile(out, p[0], &at, 5), ESPIPE);
	EXPECT(lseek(in, 0, SEEK_SET), 0);
	EXPECT(splice(in, NULL, p[1], NULL, 4, 0), 4);
	at = 20;
	EXPECT(splice(p[0], NULL, out, &at, 100, 0), 4);
	EXPECT(at, 24);
	EXPECT(size_of(out), 24);
	EXPECT_ERR(splice(in, NULL, out, NULL, 4, 0), EINVAL);
	EXPECT_ERR(splice(p[0], &at, out, NULL, 4, 0), ESPIPE);
	EXPECT(splice(in, NULL, p[1], NULL, 0, 0), 0);
	EXPECT_ERR(splice(p[0], NULL, out, NULL, 4, SPLICE_F_NONBLOCK), EAGAIN);
	loff_t from = 0, to = 0;

	EXPECT(copy_file_range(in, &from, out, &to, 100, 0), 10);
	EXPECT(from, 10);
	EXPECT_ERR(copy_file_range(in, &from, out, &to, 1, 1), EINVAL);
	EXPECT_ERR(copy_file_range(in, NULL, p[1], NULL, 1, 0), EINVAL);
	from = 0;
	to = 3;
	EXPECT_ERR(copy_file_range(in, &from, in, &to, 5, 0), EINVAL);
	EXPECT(readahead(in, 0, 100), 0);
	EXPECT_ERR(readahead(p[0], 0, 100), EINVAL);
	EXPECT(posix_fadvise(in, 0, 0, POSIX_FADV_DONTNEED), 0);
	EXPECT(posix_fadvise(in, 0, 0, 99), EINVAL);
	EXPECT(posix_fadvise(p[0], 0, 0, 0), ESPIPE);
	EXPECT(fsync(in), 0);
	EXPECT(fdatasync(in), 0);
	EXPECT_ERR(fsync(p[0]), EINVAL);
	EXPECT_ERR(fsync(999), EBADF);
	EXPECT(syncfs(in), 0);
}

/* What descriptors of other kinds answer. */
static void odd_descriptors(void)
{
	int where = open(".", O_PATH), event = eventfd(1, EFD_NONBLOCK), null = open("/dev/null", O_RDWR), p[2];
	struct pollfd poll_one = {where, POLLIN};
	struct iovec none = {NULL, 0};
	struct stat st;
	char buf[8];

	EXPECT(poll(&poll_one, 1, 0), 1);
	EXPECT(poll_one.revents, POLLNVAL);
	EXPECT_ERR(listen(where, 1), EBADF);
	EXPECT_ERR(ioctl(where, FIONREAD, buf), EBADF);
	EXPECT(fstat(where, &st), 0);
	EXPECT(lseek(event, 0, SEEK_SET), 0);
	EXPECT_ERR(pread(event, buf, 8, 0), ESPIPE);
	EXPECT(readv(event, &none, 1), 0);
	EXPECT_ERR(read(event, buf, -1), EFAULT);
	EXPECT_ERR(syscall(SYS_mmap, 0, 4096, PROT_READ, MAP_SHARED, null, 0), ENODEV);
	EXPECT(pipe(p), 0);
	EXPECT(fchmod(p[0], 0640), 0);
	EXPECT(fstat(p[1], &st), 0);
	EXPECT(st.st_mode, S_IFIFO | 0640);
	EXPECT_ERR(fcntl(p[0], F_ADD_SEALS, 0), EPERM);
	EXPECT_ERR(fcntl(p[1], F_ADD_SEALS, 0), EINVAL);
	close(where), close(event), close(null), close(p[0]), close(p[1]);
}

int main(void)
{
	char dir[] = "/dev/shm/file-XXXXXX";

	umask(027);
	if (!mkdtemp(dir) || chdir(dir))
		return 2;
	open_flags();
	read_write();
	holes();
	limits();
	descriptors();
	memory_files();
	copying();
	odd_descriptors();
	unlink("a"), unlink("rw"), unlink("sparse"), unlink("limit"), unlink("desc"), unlink("in"), unlink("out");
	EXPECT(rmdir(dir), 0);
	return guest_done();
}
