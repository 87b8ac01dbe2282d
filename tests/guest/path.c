/* Path walks: links, dots, slashes, lengths, *at descriptors, working directory and root, openat2, /proc links. */
#include "guest.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct stat st;
static char base[64], buf[5000];

static int opens(int dirfd, const char *path, unsigned long long flags, unsigned long long resolve)
{
	struct open_how how = {.flags = flags, .resolve = resolve};
	int fd = (int)syscall(SYS_openat2, dirfd, path, &how, sizeof(how));

	if (fd < 0)
		return -1;
	close(fd);
	return 0;
}

static void links_and_dots(void)
{
	mkdir("d", 0755), mkdir("d/e", 0755);
	close(open("d/f", O_CREAT | O_WRONLY, 0600));
	EXPECT(symlink("d/f", "tofile"), 0);
	EXPECT(symlink("d", "todir"), 0);
	EXPECT(symlink("nowhere", "dangling"), 0);
	EXPECT(symlink("loop", "loop"), 0);
	EXPECT(symlink("../d/../d/f", "d/roundabout"), 0);
	EXPECT_ERR(symlink("x", "todir"), EEXIST);
	EXPECT_ERR(symlink("", "empty"), ENOENT);
	EXPECT_ERR(symlink("x", "new/"), ENOENT);
	EXPECT(stat("tofile", &st) || !S_ISREG(st.st_mode), 0);
	EXPECT(lstat("tofile", &st) || !S_ISLNK(st.st_mode), 0);
	EXPECT(st.st_size, 3);
	EXPECT(stat("todir/", &st) || !S_ISDIR(st.st_mode), 0);
	EXPECT(lstat("todir/", &st) || !S_ISDIR(st.st_mode), 0);
	EXPECT(lstat("todir/.", &st) || !S_ISDIR(st.st_mode), 0);
	EXPECT(stat("todir/f", &st), 0);
	EXPECT(stat("todir/../d/./e/../f", &st), 0);
	EXPECT(stat("d/roundabout", &st), 0);
	EXPECT(stat("//dev///null", &st), 0);
	EXPECT_ERR(stat("tofile/", &st), ENOTDIR);
	EXPECT_ERR(stat("d/f/..", &st), ENOTDIR);
	EXPECT_ERR(stat("d/f/.", &st), ENOTDIR);
	EXPECT_ERR(stat("dangling", &st), ENOENT);
	EXPECT_ERR(stat("loop", &st), ELOOP);
	EXPECT(lstat("loop", &st), 0);
	EXPECT_ERR(stat("loop/x", &st), ELOOP);
	EXPECT_ERR(open("tofile", O_RDONLY | O_NOFOLLOW), ELOOP);
	EXPECT_ERR(open("todir", O_RDONLY | O_NOFOLLOW | O_DIRECTORY), ENOTDIR);
	EXPECT(close(open("todir/f", O_RDONLY | O_NOFOLLOW)), 0);
	EXPECT_ERR(open("dangling", O_CREAT | O_EXCL | O_WRONLY, 0600), EEXIST);
	EXPECT(close(open("dangling", O_CREAT | O_WRONLY, 0600)), 0); /* makes what the link names */
	EXPECT(lstat("nowhere", &st) || !S_ISREG(st.st_mode), 0);
	EXPECT_ERR(mkdir("loop", 0700), EEXIST);
	EXPECT(readlink("tofile", buf, sizeof(buf)), 3);
	EXPECT(memcmp(buf, "d/f", 3), 0);
	EXPECT(readlink("tofile", buf, 2), 2);
	EXPECT_ERR(syscall(SYS_readlink, "tofile", buf, 0), EINVAL);
	EXPECT_ERR(readlink("d/f", buf, 10), EINVAL);
	EXPECT_ERR(readlink("none", buf, 10), ENOENT);
	char name[8], target[8];
	int last = 0;

	symlink("d", "c0");
	for (int i = 1; i < 42; i++) { /* 40 links are followed, no more */
		sprintf(name, "c%d", i), sprintf(target, "c%d", i - 1);
		symlink(target, name);
		if (!stat(name, &st))
			last = i + 1;
		else
			EXPECT(errno, ELOOP);
	}
	EXPECT(last, 40);
	for (int i = 0; i < 42; i++)
		sprintf(name, "c%d", i), unlink(name);
}

static void lengths(void)
{
	memset(buf, 'n', 256);
	buf[256] = 0;
	EXPECT_ERR(mkdir(buf, 0700), ENAMETOOLONG);
	EXPECT_ERR(stat(buf, &st), ENAMETOOLONG);
	buf[255] = 0;
	EXPECT(mkdir(buf, 0700), 0);
	EXPECT(rmdir(buf), 0);
	memset(buf, '/', 4096);
	buf[4096] = 0;
	EXPECT_ERR(stat(buf, &st), ENAMETOOLONG);
	buf[4095] = 0;
	EXPECT(stat(buf, &st), 0);
	EXPECT_ERR(stat("", &st), ENOENT);
	EXPECT_ERR(access("", F_OK), ENOENT);
	EXPECT_ERR(chdir(""), ENOENT);
}

static void descriptors(void)
{
	int d = open("d", O_RDONLY), f = open("d/f", O_RDONLY), p = open("d", O_PATH), l = open("tofile", O_PATH | O_NOFOLLOW);

	EXPECT(fstatat(d, "f", &st, 0), 0);
	EXPECT(fstatat(p, "f", &st, 0), 0);
	EXPECT_ERR(fstatat(f, "f", &st, 0), ENOTDIR);
	EXPECT_ERR(fstatat(999, "f", &st, 0), EBADF);
	EXPECT(fstatat(999, "/dev/null", &st, 0), 0);
	EXPECT_ERR(fstatat(d, "", &st, 0), ENOENT);
	EXPECT(fstatat(f, "", &st, AT_EMPTY_PATH) || !S_ISREG(st.st_mode), 0);
	EXPECT(fstatat(AT_FDCWD, "", &st, AT_EMPTY_PATH) || !S_ISDIR(st.st_mode), 0);
	EXPECT_ERR(fstatat(d, "f", &st, 0x40000000), EINVAL);
	EXPECT(fstat(l, &st) || !S_ISLNK(st.st_mode), 0);
	EXPECT(readlinkat(l, "", buf, sizeof(buf)), 3);
	EXPECT_ERR(readlinkat(f, "", buf, sizeof(buf)), ENOENT);
	EXPECT(faccessat(d, "f", R_OK, 0), 0);
	EXPECT(mkdirat(d, "new", 0700), 0);
	EXPECT(renameat(d, "new", AT_FDCWD, "moved"), 0);
	EXPECT(unlinkat(AT_FDCWD, "moved", AT_REMOVEDIR), 0);
	EXPECT(symlinkat("f", d, "sl"), 0);
	EXPECT(linkat(d, "sl", AT_FDCWD, "sl2", 0), 0);
	EXPECT(unlinkat(d, "sl", 0), 0);
	EXPECT(unlink("sl2"), 0);
	sprintf(buf, "/proc/self/fd/%d", f);
	char link[100];

	EXPECT(stat(buf, &st) || !S_ISREG(st.st_mode), 0);
	EXPECT(lstat(buf, &st) || !S_ISLNK(st.st_mode), 0);
	ssize_t n = readlink(buf, link, sizeof(link) - 1);

	link[n < 0 ? 0 : n] = 0;
	EXPECT_TRUE(!strncmp(link, base, strlen(base)) && !strcmp(link + strlen(base), "/d/f"));
	int again = open(buf, O_RDWR); /* reopened by name: access is checked anew */

	EXPECT_TRUE(again >= 0);
	close(again);
	EXPECT_ERR(open(buf, O_RDONLY | O_NOFOLLOW), ELOOP);
	close(d), close(f), close(p), close(l);
}

static void working_directory(void)
{
	char cwd[256];

	EXPECT(chdir("d/e"), 0);
	EXPECT_TRUE(getcwd(cwd, sizeof(cwd)) && !strncmp(cwd, base, strlen(base)) && !strcmp(cwd + strlen(base), "/d/e"));
	EXPECT(syscall(SYS_getcwd, cwd, sizeof(cwd)), (long)strlen(cwd) + 1);
	EXPECT_ERR(syscall(SYS_getcwd, cwd, 5), ERANGE);
	EXPECT_ERR(syscall(SYS_getcwd, 8, 500), EFAULT);
	EXPECT(rename("../e", "../e2"), 0);
	EXPECT_TRUE(getcwd(cwd, sizeof(cwd)) && !strcmp(cwd + strlen(base), "/d/e2"));
	EXPECT(rmdir("../e2"), 0);
	EXPECT_ERR(syscall(SYS_getcwd, cwd, sizeof(cwd)), ENOENT);
	EXPECT_ERR(stat("x", &st), ENOENT);
	EXPECT(stat(".", &st), 0);
	EXPECT(st.st_nlink, 0);
	EXPECT(stat("..", &st), 0);
	EXPECT_ERR(mkdir("x", 0700), ENOENT);
	EXPECT(chdir(".."), 0);
	EXPECT_ERR(chdir("f"), ENOTDIR);
	EXPECT_ERR(chdir("none"), ENOENT);
	int fd = open("..", O_RDONLY), file = open("f", O_RDONLY);

	EXPECT_ERR(fchdir(file), ENOTDIR);
	EXPECT_ERR(fchdir(999), EBADF);
	EXPECT(fchdir(fd), 0);
	EXPECT_TRUE(getcwd(cwd, sizeof(cwd)) && !strcmp(cwd, base));
	close(fd), close(file);
}

static void careful_opens(void)
{
	int d = open("d", O_RDONLY);

	symlink("/d/f", "d/absolute"), symlink("../nowhere", "d/up"), symlink("f", "d/near");
	EXPECT(opens(d, "f", O_RDONLY, RESOLVE_BENEATH), 0);
	EXPECT(opens(d, "near", O_RDONLY, RESOLVE_BENEATH), 0);
	EXPECT_ERR(opens(d, "..", O_RDONLY, RESOLVE_BENEATH), EXDEV);
	EXPECT_ERR(opens(d, "up", O_RDONLY, RESOLVE_BENEATH), EXDEV);
	EXPECT_ERR(opens(d, "absolute", O_RDONLY, RESOLVE_BENEATH), EXDEV);
	EXPECT_ERR(opens(d, "/f", O_RDONLY, RESOLVE_BENEATH), EXDEV);
	EXPECT(opens(d, "/f", O_RDONLY, RESOLVE_IN_ROOT), 0);
	EXPECT(opens(d, "../../f", O_RDONLY, RESOLVE_IN_ROOT), 0);
	EXPECT_ERR(opens(d, "absolute", O_RDONLY, RESOLVE_IN_ROOT), ENOENT);
	EXPECT_ERR(opens(d, "near", O_RDONLY, RESOLVE_NO_SYMLINKS), ELOOP);
	EXPECT(opens(d, "f", O_RDONLY, RESOLVE_NO_SYMLINKS), 0);
	EXPECT_ERR(opens(AT_FDCWD, "/proc/self/fd/0", O_RDONLY, RESOLVE_NO_MAGICLINKS), ELOOP);
	EXPECT_ERR(opens(AT_FDCWD, "/proc/version", O_RDONLY, RESOLVE_NO_XDEV), EXDEV);
	EXPECT_ERR(opens(d, "f", O_RDONLY, RESOLVE_BENEATH | RESOLVE_IN_ROOT), EINVAL);
	EXPECT_ERR(opens(d, "f", O_RDONLY, 0x100), EINVAL);
	EXPECT_ERR(opens(d, "f", 1ull << 40, 0), EINVAL);
	struct open_how how = {.flags = O_RDONLY, .mode = 0600};

	EXPECT_ERR(syscall(SYS_openat2, d, "f", &how, sizeof(how)), EINVAL);
	EXPECT_ERR(syscall(SYS_openat2, d, "f", &how, 8), EINVAL);
	struct {
		struct open_how how;
		long more;
	} longer = {{.flags = O_RDONLY}, 1};

	EXPECT_ERR(syscall(SYS_openat2, d, "f", &longer, sizeof(longer)), E2BIG);
	longer.more = 0;
	EXPECT_TRUE(syscall(SYS_openat2, d, "f", &longer, sizeof(longer)) >= 0);
	close(d);
	unlink("d/absolute"), unlink("d/up"), unlink("d/near");
}

static void other_root(void)
{
	char cwd[256];

	mkdir("d/inside", 0755);
	EXPECT(chroot("d"), 0);
	EXPECT_TRUE(syscall(SYS_getcwd, cwd, sizeof(cwd)) > 0 && !strncmp(cwd, "(unreachable)/", 14));
	EXPECT(chdir("/"), 0);
	EXPECT(syscall(SYS_getcwd, cwd, sizeof(cwd)), 2);
	EXPECT(stat("../../../f", &st), 0);
	EXPECT(stat("/inside/../..//f", &st), 0);
	EXPECT_ERR(stat("/dev/null", &st), ENOENT);
	EXPECT_ERR(chroot("/f"), ENOTDIR);
	EXPECT(chdir("inside"), 0);
	EXPECT_TRUE(syscall(SYS_getcwd, cwd, sizeof(cwd)) == 8 && !strcmp(cwd, "/inside"));
}

int main(void)
{
	strcpy(base, "/dev/shm/path-XXXXXX");
	umask(022);
	if (!mkdtemp(base) || chdir(base))
		return 2;
	int home = open(".", O_RDONLY), root = open("/", O_RDONLY);

	links_and_dots();
	lengths();
	descriptors();
	working_directory();
	careful_opens();
	other_root();
	EXPECT(fchdir(root), 0);
	EXPECT(chroot("."), 0); /* the way out that Linux leaves to root */
	EXPECT(fchdir(home), 0);
	rmdir("d/inside"), unlink("d/f"), unlink("d/roundabout"), rmdir("d");
	unlink("tofile"), unlink("todir"), unlink("dangling"), unlink("loop"), unlink("nowhere");
	EXPECT(rmdir(base), 0);
	return guest_done();
}
