/* Files on a volume: what programs do with a folder of the host. Runs in a fresh folder below the working directory (or
 * the argument), natively and in a cell with a volume there, with the same output. */
#include "guest.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/socket.h>
#include <sys/xattr.h>
#include <unistd.h>

#define PAGE 4096

static int put(const char *name, const char *text)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	long n = write(fd, text, strlen(text));
	return close(fd) || n != (long)strlen(text) ? -1 : 0;
}

static int holds(const char *name, const char *text)
{
	char buf[256] = "";
	int fd = open(name, O_RDONLY);
	long n = read(fd, buf, sizeof(buf));
	close(fd);
	return n == (long)strlen(text) && !memcmp(buf, text, (size_t)n);
}

static long long size_of(const char *name)
{
	struct stat st;
	return stat(name, &st) ? -1 : (long long)st.st_size;
}

static void test_read_write(void)
{
	char buf[64] = "";
	int fd = open("a", O_RDWR | O_CREAT | O_EXCL, 0600);
	EXPECT_TRUE(fd >= 0);
	EXPECT_ERR(open("a", O_RDWR | O_CREAT | O_EXCL, 0600), EEXIST);
	EXPECT(write(fd, "hello", 5), 5);
	EXPECT(pwrite(fd, "J", 1, 0), 1);
	EXPECT(lseek(fd, 0, SEEK_CUR), 5);
	EXPECT(pread(fd, buf, sizeof(buf), 0), 5);
	EXPECT_TRUE(!memcmp(buf, "Jello", 5));
	EXPECT(read(fd, buf, sizeof(buf)), 0);
	EXPECT(pread(fd, buf, 2, 100), 0);
	EXPECT(lseek(fd, -1, SEEK_END), 4);
	EXPECT_ERR(lseek(fd, -1, SEEK_SET), EINVAL);
	EXPECT_ERR(pread(fd, buf, 1, -1), EINVAL);
	struct iovec v[2] = {{"ab", 2}, {"cde", 3}};
	EXPECT(writev(fd, v, 2), 5);
	EXPECT(lseek(fd, 0, SEEK_CUR), 9);
	EXPECT_TRUE(holds("a", "Jellabcde"));
	EXPECT(fsync(fd), 0);
	EXPECT(fdatasync(fd), 0);
	EXPECT(close(fd), 0);
	fd = open("a", O_RDONLY);
	EXPECT_ERR(write(fd, "x", 1), EBADF);
	EXPECT_ERR(ftruncate(fd, 0), EINVAL);
	EXPECT(close(fd), 0);
	EXPECT_ERR(open("none", O_RDONLY), ENOENT);
	EXPECT_ERR(open("a/b", O_RDONLY), ENOTDIR);
	EXPECT_ERR(open("a", O_RDONLY | O_DIRECTORY), ENOTDIR);
	EXPECT_ERR(open(".", O_WRONLY), EISDIR);
	char name[300];
	memset(name, 'n', sizeof(name));
	name[256] = 0;
	EXPECT_ERR(open(name, O_RDWR | O_CREAT, 0600), ENAMETOOLONG);
	name[255] = 0;
	fd = open(name, O_RDWR | O_CREAT, 0600);
	EXPECT_TRUE(fd >= 0);
	EXPECT(close(fd), 0);
	EXPECT(unlink(name), 0);
	fd = open("readonly", O_RDWR | O_CREAT, 0400);
	EXPECT(write(fd, "w", 1), 1); /* the mode doesn't bind its creator */
	EXPECT(close(fd), 0);
	EXPECT(unlink("readonly"), 0);
}

static void test_append_truncate(void)
{
	int fd = open("a", O_WRONLY | O_APPEND), other = open("a", O_WRONLY);
	EXPECT(pwrite(other, "0123456789abcdef", 16, 0), 16);
	EXPECT(write(fd, "END", 3), 3);
	EXPECT(lseek(fd, 0, SEEK_CUR), 19);
	EXPECT(pwrite(other, "+", 1, 19), 1);
	EXPECT(write(fd, "!", 1), 1);
	EXPECT(size_of("a"), 21);
	EXPECT(fcntl(other, F_SETFL, O_APPEND), 0);
	EXPECT(write(other, "?", 1), 1);
	EXPECT_TRUE(holds("a", "0123456789abcdefEND+!?"));
	EXPECT(ftruncate(other, 4), 0);
	EXPECT_TRUE(holds("a", "0123"));
	EXPECT(truncate("a", 8), 0);
	EXPECT(size_of("a"), 8);
	EXPECT_ERR(truncate("a", -1), EINVAL);
	EXPECT_ERR(truncate(".", 0), EISDIR);
	EXPECT(close(fd), 0);
	EXPECT(close(other), 0);
	fd = open("a", O_WRONLY | O_TRUNC);
	EXPECT(size_of("a"), 0);
	EXPECT(close(fd), 0);
	fd = open("sparse", O_RDWR | O_CREAT | O_EXCL, 0644);
	EXPECT(pwrite(fd, "x", 1, 1ll << 30), 1);
	EXPECT(size_of("sparse"), (1ll << 30) + 1);
	struct stat st;
	EXPECT(fstat(fd, &st), 0);
	EXPECT_TRUE(st.st_blocks < 4096);
	char buf[8];
	memset(buf, 1, sizeof(buf));
	EXPECT(pread(fd, buf, 8, 1 << 20), 8);
	EXPECT_TRUE(!memcmp(buf, "\0\0\0\0\0\0\0\0", 8));
	EXPECT(close(fd), 0);
	EXPECT(unlink("sparse"), 0);
}

static void test_names(void)
{
	struct stat st, st2;
	EXPECT(put("one", "1"), 0);
	EXPECT(put("two", "2"), 0);
	EXPECT(rename("one", "two"), 0);
	EXPECT_TRUE(holds("two", "1"));
	EXPECT_ERR(stat("one", &st), ENOENT);
	EXPECT_ERR(rename("one", "three"), ENOENT);
	EXPECT(link("two", "hard"), 0);
	EXPECT(stat("hard", &st), 0);
	EXPECT(stat("two", &st2), 0);
	EXPECT(st.st_nlink, 2);
	EXPECT_TRUE(st.st_ino == st2.st_ino && st.st_dev == st2.st_dev);
	EXPECT_ERR(link("two", "hard"), EEXIST);
	EXPECT(unlink("two"), 0);
	EXPECT_TRUE(holds("hard", "1"));
	EXPECT(mkdir("d", 0755), 0);
	EXPECT_ERR(mkdir("d", 0755), EEXIST);
	EXPECT_ERR(mkdir("no/d", 0755), ENOENT);
	EXPECT_ERR(unlink("d"), EISDIR);
	EXPECT_ERR(rmdir("hard"), ENOTDIR);
	EXPECT_ERR(link("d", "d2"), EPERM);
	EXPECT(rename("hard", "d/hard"), 0);
	EXPECT_ERR(rmdir("d"), ENOTEMPTY);
	EXPECT_ERR(rename("d", "d/sub"), EINVAL);
	EXPECT(put("file", "f"), 0);
	EXPECT_ERR(rename("d", "file"), ENOTDIR);
	EXPECT_ERR(rename("file", "d"), EISDIR);
	EXPECT(rename("d", "e"), 0);
	EXPECT_TRUE(holds("e/hard", "1"));
	EXPECT_TRUE(holds("e/../e/./hard", "1"));
	EXPECT(symlink("e/hard", "soft"), 0);
	EXPECT_TRUE(holds("soft", "1"));
	char buf[64];
	EXPECT(readlink("soft", buf, sizeof(buf)), 6);
	EXPECT(readlink("soft", buf, 3), 3);
	EXPECT_ERR(readlink("file", buf, sizeof(buf)), EINVAL);
	EXPECT(lstat("soft", &st), 0);
	EXPECT_TRUE(S_ISLNK(st.st_mode) && st.st_size == 6);
	EXPECT_ERR(open("soft", O_RDONLY | O_NOFOLLOW), ELOOP);
	EXPECT_ERR(symlink("x", "soft"), EEXIST);
	EXPECT(symlink("loop", "loop"), 0);
	EXPECT_ERR(open("loop", O_RDONLY), ELOOP);
	EXPECT(symlink("dangling-target", "dangling"), 0);
	EXPECT_ERR(open("dangling", O_RDONLY), ENOENT);
	EXPECT_ERR(open("dangling", O_RDWR | O_CREAT | O_EXCL, 0600), EEXIST);
	int fd = open("dangling", O_RDWR | O_CREAT, 0600);
	EXPECT_TRUE(fd >= 0);
	EXPECT(close(fd), 0);
	EXPECT(unlink("dangling-target"), 0);
	EXPECT(unlink("dangling") | unlink("loop") | unlink("soft") | unlink("file"), 0);
	EXPECT(unlink("e/hard"), 0);
	EXPECT(rmdir("e"), 0);
	EXPECT_ERR(rmdir("e"), ENOENT);
}

static void test_unlinked(void)
{
	char buf[8];
	struct stat st;
	int fd = open("gone", O_RDWR | O_CREAT | O_EXCL, 0600);
	EXPECT(write(fd, "data", 4), 4);
	EXPECT(unlink("gone"), 0);
	EXPECT_ERR(stat("gone", &st), ENOENT);
	EXPECT(fstat(fd, &st), 0);
	EXPECT(st.st_nlink, 0);
	EXPECT(st.st_size, 4);
	EXPECT(pread(fd, buf, 8, 0), 4);
	EXPECT(write(fd, "more", 4), 4);
	EXPECT(ftruncate(fd, 6), 0);
	EXPECT(lseek(fd, 0, SEEK_END), 6);
	int again = open("gone", O_RDWR | O_CREAT | O_EXCL, 0600);
	EXPECT_TRUE(again >= 0);
	EXPECT(read(again, buf, 8), 0);
	EXPECT(close(again), 0);
	EXPECT(unlink("gone"), 0);
	EXPECT(close(fd), 0);
}

static void test_attributes(void)
{
	struct stat st;
	EXPECT(put("m", "x"), 0);
	EXPECT(chmod("m", 0640), 0);
	EXPECT(stat("m", &st), 0);
	EXPECT(st.st_mode, S_IFREG | 0640);
	struct timespec times[2] = {{1000, 1}, {2000, 2}};
	EXPECT(utimensat(AT_FDCWD, "m", times, 0), 0);
	EXPECT(stat("m", &st), 0);
	EXPECT(st.st_atim.tv_sec, 1000);
	EXPECT(st.st_mtim.tv_sec, 2000);
	EXPECT(st.st_mtim.tv_nsec, 2);
	times[0].tv_nsec = UTIME_OMIT;
	times[1].tv_nsec = UTIME_NOW;
	EXPECT(utimensat(AT_FDCWD, "m", times, 0), 0);
	EXPECT(stat("m", &st), 0);
	EXPECT(st.st_atim.tv_sec, 1000);
	EXPECT_TRUE(st.st_mtim.tv_sec > 1500000000);
	time_t before = st.st_mtim.tv_sec;
	EXPECT(put("m", "yy"), 0);
	EXPECT(stat("m", &st), 0);
	EXPECT_TRUE(st.st_mtim.tv_sec >= before && st.st_size == 2);
	EXPECT(chmod("m", 0), 0);
	EXPECT(access("m", F_OK), 0);
	EXPECT(chmod("m", 0600), 0);
	struct statfs fs;
	EXPECT(statfs("m", &fs), 0);
	EXPECT_TRUE(fs.f_blocks > 0 && fs.f_namelen == 255);
	EXPECT_ERR(getxattr("m", "user.none", NULL, 0), ENODATA);
	EXPECT(setxattr("m", "user.key", "value", 5, XATTR_CREATE), 0);
	EXPECT_ERR(setxattr("m", "user.key", "value", 5, XATTR_CREATE), EEXIST);
	EXPECT(getxattr("m", "user.key", NULL, 0), 5);
	char buf[64];
	EXPECT(getxattr("m", "user.key", buf, sizeof(buf)), 5);
	EXPECT_TRUE(!memcmp(buf, "value", 5));
	EXPECT_ERR(getxattr("m", "user.key", buf, 2), ERANGE);
	EXPECT(listxattr("m", buf, sizeof(buf)), 9);
	EXPECT(setxattr("m", "user.key", "", 0, XATTR_REPLACE), 0);
	EXPECT(getxattr("m", "user.key", buf, sizeof(buf)), 0);
	EXPECT(removexattr("m", "user.key"), 0);
	EXPECT_ERR(removexattr("m", "user.key"), ENODATA);
	EXPECT(unlink("m"), 0);
}

static void test_directory(void)
{
	char name[32];
	int made = 0, seen = 0, doubles = 0, removed = 0;
	static char met[1000];
	EXPECT(mkdir("many", 0700), 0);
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "many/file-%d", i);
		int fd = open(name, O_CREAT | O_WRONLY, 0600);
		made += fd >= 0 && !close(fd);
	}
	EXPECT(made, 1000);
	DIR *dir = opendir("many");
	EXPECT_TRUE(dir != NULL);
	long middle = -1;
	char after_middle[256] = "";
	for (struct dirent *e; (e = readdir(dir));) {
		int i;
		if (middle != -1 && !after_middle[0])
			strcpy(after_middle, e->d_name);
		if (sscanf(e->d_name, "file-%d", &i) == 1 && i >= 0 && i < 1000) {
			doubles += met[i]++;
			seen++;
		}
		if (seen == 500 && middle == -1)
			middle = telldir(dir);
	}
	EXPECT(seen, 1000);
	EXPECT(doubles, 0);
	seekdir(dir, middle);
	struct dirent *e = readdir(dir);
	EXPECT_TRUE(e && !strcmp(e->d_name, after_middle));
	rewinddir(dir);
	while ((e = readdir(dir))) { /* removing what was returned skips nothing */
		snprintf(name, sizeof(name), "many/%.20s", e->d_name);
		removed += e->d_name[0] == 'f' && !unlink(name);
	}
	EXPECT(removed, 1000);
	EXPECT(closedir(dir), 0);
	EXPECT(rmdir("many"), 0);
}

static void test_mmap(void)
{
	char buf[16];
	int fd = open("map", O_RDWR | O_CREAT | O_EXCL, 0600);
	EXPECT(ftruncate(fd, 3 * PAGE + 100), 0);
	EXPECT(pwrite(fd, "first", 5, 0), 5);
	char *s = mmap(NULL, 5 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	char *p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	EXPECT_TRUE(s != MAP_FAILED && p != MAP_FAILED);
	EXPECT_TRUE(!memcmp(s, "first", 5) && !memcmp(p, "first", 5));
	EXPECT(s[3 * PAGE + 200], 0);
	s[0] = 'F';
	p[1] = 'I';
	EXPECT(pread(fd, buf, 5, 0), 5);
	EXPECT_TRUE(!memcmp(buf, "First", 5));
	EXPECT_TRUE(!memcmp(p, "fIrst", 5) || !memcmp(p, "FIrst", 5));
	EXPECT(pwrite(fd, "written", 7, PAGE), 7);
	EXPECT_TRUE(!memcmp(s + PAGE, "written", 7));
	s[1] = 'X'; /* after the read above had written it back */
	EXPECT(pread(fd, buf, 5, 0), 5);
	EXPECT_TRUE(!memcmp(buf, "FXrst", 5));
	strcpy(s + 2 * PAGE, "synced");
	EXPECT(msync(s, 3 * PAGE, MS_SYNC), 0);
	int other = open("map", O_RDONLY);
	EXPECT(pread(other, buf, 6, 2 * PAGE), 6);
	EXPECT_TRUE(!memcmp(buf, "synced", 6));
	EXPECT(close(other), 0);
	s[3 * PAGE + 99] = 'e';
	s[3 * PAGE + 150] = 'b'; /* beyond the end: goes nowhere */
	EXPECT(munmap(p, 4 * PAGE), 0);
	EXPECT(munmap(s, 5 * PAGE), 0);
	EXPECT(close(fd), 0);
	EXPECT(size_of("map"), 3 * PAGE + 100);
	fd = open("map", O_RDWR);
	EXPECT(pread(fd, buf, 1, 3 * PAGE + 99), 1);
	EXPECT(buf[0], 'e');
	s = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	EXPECT(close(fd), 0);
	strcpy(s, "after close");
	EXPECT(munmap(s, PAGE), 0);
	fd = open("map", O_RDWR);
	EXPECT(pread(fd, buf, 11, 0), 11);
	EXPECT_TRUE(!memcmp(buf, "after close", 11));
	s = mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, fd, 0);
	EXPECT(s[PAGE], 'w');
	EXPECT(write(fd, s + PAGE, 7), 7); /* from a mapping of the file itself */
	EXPECT(read(fd, s, 1), -1);
	EXPECT(ftruncate(fd, PAGE), 0);
	EXPECT(ftruncate(fd, 2 * PAGE), 0);
	EXPECT(s[PAGE], 0);
	EXPECT(munmap(s, 2 * PAGE), 0);
	EXPECT_ERR(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, -1, 0) == MAP_FAILED ? -1 : 0, EBADF);
	EXPECT(close(fd), 0);
	fd = open("map", O_RDONLY);
	EXPECT_ERR(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED ? -1 : 0, EACCES);
	p = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
	int pipes[2];
	EXPECT(pipe(pipes), 0);
	EXPECT(write(pipes[1], p, 7), 7); /* a page that was never touched */
	EXPECT(read(pipes[0], buf, 7), 7);
	EXPECT_TRUE(!memcmp(buf, "written", 7));
	EXPECT(munmap(p, PAGE), 0);
	EXPECT(close(pipes[0]) | close(pipes[1]) | close(fd) | unlink("map"), 0);
}

static void test_special(void)
{
	struct stat st;
	EXPECT(mkfifo("fifo", 0600), 0);
	EXPECT(stat("fifo", &st), 0);
	EXPECT_TRUE(S_ISFIFO(st.st_mode));
	int fd = open("fifo", O_RDWR);
	char c = 0;
	EXPECT(write(fd, "p", 1), 1);
	EXPECT(read(fd, &c, 1), 1);
	EXPECT(close(fd), 0);
	EXPECT(unlink("fifo"), 0);
	int a = open("lock", O_RDWR | O_CREAT, 0600), b = open("lock", O_RDWR);
	EXPECT(flock(a, LOCK_EX), 0);
	EXPECT_ERR(flock(b, LOCK_EX | LOCK_NB), EWOULDBLOCK);
	EXPECT(flock(a, LOCK_UN), 0);
	struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 10};
	EXPECT(fcntl(a, F_SETLK, &l), 0);
	l.l_type = F_WRLCK;
	EXPECT(fcntl(b, F_OFD_SETLK, &l) == -1 && errno == EAGAIN, 1);
	EXPECT(close(a) | close(b) | unlink("lock"), 0);
}

static void *write_own_file(void *arg)
{
	char name[16], buf[1000];
	long bad = 0, n = (long)arg;
	snprintf(name, sizeof(name), "thread-%ld", n);
	memset(buf, (int)('a' + n), sizeof(buf));
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
	for (int i = 0; i < 50; i++)
		bad += write(fd, buf, sizeof(buf)) != sizeof(buf);
	for (int i = 0; i < 50; i++) {
		bad += pread(fd, buf, sizeof(buf), i * 1000) != sizeof(buf);
		bad += buf[0] != 'a' + n || buf[999] != 'a' + n;
	}
	bad += close(fd) || unlink(name);
	return (void *)bad;
}

static void test_threads(void)
{
	pthread_t t[8];
	long bad = 0;
	void *r;
	for (long i = 0; i < 8; i++)
		bad += pthread_create(&t[i], NULL, write_own_file, (void *)i);
	for (int i = 0; i < 8; i++)
		bad += pthread_join(t[i], &r) || r;
	EXPECT(bad, 0);
}

static void test_large(void)
{
	static char out[300000], in[300000];
	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (char)(i * 7 + i / 4096);
	int fd = open("large", O_RDWR | O_CREAT | O_TRUNC, 0600);
	EXPECT(write(fd, out, sizeof(out)), sizeof(out));
	EXPECT(pread(fd, in, sizeof(in), 0), sizeof(in));
	EXPECT(memcmp(in, out, sizeof(in)), 0);
	EXPECT(pread(fd, in, sizeof(in), 100000), 200000);
	EXPECT(memcmp(in, out + 100000, 200000), 0);
	char *m = mmap(NULL, sizeof(out), PROT_READ, MAP_PRIVATE, fd, 0);
	EXPECT(memcmp(m, out, sizeof(out)), 0);
	EXPECT(munmap(m, sizeof(out)), 0);
	EXPECT(close(fd) | unlink("large"), 0);
}

static pthread_barrier_t barrier;

/* Each of several threads creates or opens the same names. */
static void *create_names(void *arg)
{
	long failed = 0;

	for (int i = 0; i < 50; i++) {
		char name[16];
		sprintf(name, "race%d", i);
		pthread_barrier_wait(&barrier);
		int fd = open(name, O_RDWR | O_CREAT, 0644);
		failed += fd < 0 || write(fd, "x", 1) != 1;
		close(fd);
	}
	return (void *)failed;
}

static void test_create_race(void)
{
	pthread_t t[4];
	void *failed;
	long total = 0, removed = 0;

	pthread_barrier_init(&barrier, NULL, 4);
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, create_names, NULL);
	for (int i = 0; i < 4; i++) {
		pthread_join(t[i], &failed);
		total += (long)failed;
	}
	EXPECT(total, 0);
	for (int i = 0; i < 50; i++) {
		char name[16];
		sprintf(name, "race%d", i);
		removed += unlink(name) == 0;
	}
	EXPECT(removed, 50);
}

int main(int argc, char **argv)
{
	umask(022);
	if (argc > 1 && chdir(argv[1]))
		return 2;
	if (mkdir("guest-volume", 0755) || chdir("guest-volume"))
		return 2;
	test_read_write();
	test_append_truncate();
	test_names();
	test_unlinked();
	test_attributes();
	test_directory();
	test_mmap();
	test_special();
	test_threads();
	test_create_race();
	test_large();
	EXPECT(unlink("a"), 0);
	EXPECT(chdir("..") | rmdir("guest-volume"), 0);
	return guest_done();
}
