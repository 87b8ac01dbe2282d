/* Directories: making, removing, renaming, linking, reading; permissions, modes, owners, times, extended attributes. */
#include "guest.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <unistd.h>

#pragma GCC diagnostic ignored "-Wstringop-overread" /* hostile arguments are meant */

static struct stat st;

static int make(const char *path)
{
	return close(open(path, O_CREAT | O_WRONLY, 0600));
}

static int links(const char *path)
{
	return lstat(path, &st) ? -errno : (int)st.st_nlink;
}

static void make_and_remove(void)
{
	EXPECT(mkdir("d", 01777), 0);
	EXPECT(stat("d", &st), 0);
	EXPECT(st.st_mode, S_IFDIR | 01755);
	EXPECT(links("d"), 2);
	EXPECT_ERR(mkdir("d", 0777), EEXIST);
	EXPECT_ERR(mkdir("d/", 0777), EEXIST);
	EXPECT_ERR(mkdir(".", 0777), EEXIST);
	EXPECT_ERR(mkdir("/", 0777), EEXIST);
	EXPECT_ERR(mkdir("none/d", 0777), ENOENT);
	EXPECT(mkdir("d/e/", 0777), 0);
	EXPECT(links("d"), 3);
	EXPECT_ERR(rmdir("d"), ENOTEMPTY);
	EXPECT_ERR(rmdir("d/."), EINVAL);
	EXPECT_ERR(rmdir("d/e/.."), ENOTEMPTY);
	EXPECT_ERR(rmdir("/"), EBUSY);
	EXPECT_ERR(rmdir("none"), ENOENT);
	EXPECT_ERR(unlink("d"), EISDIR);
	EXPECT_ERR(unlink("d/"), EISDIR);
	EXPECT_ERR(unlink("none"), ENOENT);
	EXPECT(make("d/f"), 0);
	EXPECT_ERR(rmdir("d/f"), ENOTDIR);
	EXPECT_ERR(unlink("d/f/"), ENOTDIR);
	EXPECT_ERR(unlinkat(AT_FDCWD, "d/f", 1), EINVAL);
	EXPECT(unlinkat(AT_FDCWD, "d/e", AT_REMOVEDIR), 0);
	EXPECT(links("d"), 2);
	int fd = open("d/f", O_RDWR);

	EXPECT(unlink("d/f"), 0);
	EXPECT(fstat(fd, &st), 0);
	EXPECT(st.st_nlink, 0);
	EXPECT(write(fd, "still", 5), 5);
	EXPECT_ERR(stat("d/f", &st), ENOENT);
	close(fd);
	fd = open("d", O_RDONLY);
	EXPECT(rmdir("d"), 0);
	EXPECT_ERR(openat(fd, "x", O_CREAT | O_WRONLY, 0600), ENOENT);
	EXPECT_ERR(mkdirat(fd, "x", 0700), ENOENT);
	char entries[1024];

	EXPECT_ERR(syscall(SYS_getdents64, fd, entries, sizeof(entries)), ENOENT);
	close(fd);
	EXPECT_ERR(mknod("n", S_IFDIR, 0), EPERM);
	EXPECT_ERR(mknod("n", 0170000, 0), EINVAL);
	EXPECT(mknod("n", 0600, 0), 0);
	EXPECT_ERR(mknod("n", 0600, 0), EEXIST);
	EXPECT(mknod("p", S_IFIFO | 0644, 0), 0);
	EXPECT(stat("p", &st), 0);
	EXPECT(st.st_mode, S_IFIFO | 0644);
	EXPECT(mknod("s", S_IFSOCK | 0644, 0), 0);
	EXPECT_ERR(open("s", O_RDONLY), ENXIO);
	unlink("n"), unlink("p"), unlink("s");
}

static void renaming(void)
{
	make("a"), make("b"), mkdir("d", 0755), mkdir("d/sub", 0755), mkdir("e", 0755);
	stat("a", &st);
	ino_t a = st.st_ino;

	EXPECT(rename("a", "b"), 0);
	EXPECT(stat("b", &st), 0);
	EXPECT(st.st_ino == a, 1);
	EXPECT_ERR(stat("a", &st), ENOENT);
	EXPECT(rename("b", "b"), 0);
	EXPECT_ERR(rename("none", "b"), ENOENT);
	EXPECT_ERR(rename("b", "d"), EISDIR);
	EXPECT_ERR(rename("d", "b"), ENOTDIR);
	EXPECT_ERR(rename("b", "c/"), ENOTDIR);
	EXPECT_ERR(rename("d", "d/sub/x"), EINVAL);
	EXPECT_ERR(rename("d/sub", "d"), ENOTEMPTY);
	EXPECT_ERR(rename("e", "d"), ENOTEMPTY);
	EXPECT_ERR(rename("d/.", "x"), EBUSY);
	EXPECT_ERR(rename("d", "e/.."), EBUSY);
	EXPECT(rename("d", "e"), 0); /* onto an empty directory */
	EXPECT(links("e"), 3);
	EXPECT(rename("e/", "d/"), 0);
	EXPECT(mkdir("e", 0755), 0);
	EXPECT(rename("d/sub", "e/sub"), 0);
	EXPECT(links("d"), 2);
	EXPECT(links("e"), 3);
	make("x");
	EXPECT_ERR(renameat2(AT_FDCWD, "b", AT_FDCWD, "x", RENAME_NOREPLACE), EEXIST);
	EXPECT(renameat2(AT_FDCWD, "x", AT_FDCWD, "y", RENAME_NOREPLACE), 0);
	EXPECT_ERR(renameat2(AT_FDCWD, "b", AT_FDCWD, "none", RENAME_EXCHANGE), ENOENT);
	EXPECT_ERR(renameat2(AT_FDCWD, "b", AT_FDCWD, "y", RENAME_EXCHANGE | RENAME_NOREPLACE), EINVAL);
	EXPECT_ERR(renameat2(AT_FDCWD, "b", AT_FDCWD, "y", 64), EINVAL);
	EXPECT(renameat2(AT_FDCWD, "b", AT_FDCWD, "e/sub", RENAME_EXCHANGE), 0);
	EXPECT(links("e"), 2);
	EXPECT(stat("b", &st) || !S_ISDIR(st.st_mode), 0);
	EXPECT(stat("e/sub", &st) || st.st_ino != a, 0);
	EXPECT(link("e/sub", "hard"), 0);
	EXPECT(links("hard"), 2);
	EXPECT(rename("hard", "e/sub"), 0); /* the same file: nothing happens */
	EXPECT(links("hard"), 2);
	EXPECT(unlink("hard"), 0);
	EXPECT(links("e/sub"), 1);
	EXPECT_ERR(link("b", "dirlink"), EPERM);
	EXPECT_ERR(link("y", "y"), EEXIST);
	EXPECT_ERR(link("none", "z"), ENOENT);
	EXPECT_ERR(link("y", "z/"), ENOENT);
	EXPECT_ERR(link("y", "/proc/z"), ENOENT);
	EXPECT_ERR(mkdir("/proc/z", 0755), ENOENT);
	EXPECT_ERR(rename("y", "/proc/z"), EXDEV);
	EXPECT(symlink("y", "l"), 0);
	EXPECT(link("l", "l2"), 0); /* the link itself */
	EXPECT(links("l"), 2);
	EXPECT(linkat(AT_FDCWD, "l", AT_FDCWD, "y2", AT_SYMLINK_FOLLOW), 0);
	EXPECT(links("y"), 2);
	unlink("l"), unlink("l2"), unlink("y"), unlink("y2"), unlink("e/sub"), rmdir("b"), rmdir("d"), rmdir("e");
}

static void reading(void)
{
	char name[16], buf[512];
	int seen = 0, dots = 0, extra = 0, removed = 0;

	mkdir("many", 0755);
	for (int i = 0; i < 500; i++) {
		sprintf(name, "many/%03d", i);
		make(name);
	}
	DIR *dir = opendir("many");
	struct dirent *e;
	long place = 0;

	while ((e = readdir(dir))) {
		int number = atoi(e->d_name);

		if (e->d_name[0] == '.')
			dots++;
		else
			seen++;
		extra += e->d_type != (e->d_name[0] == '.' ? DT_DIR : DT_REG);
		if (seen == 250 && !place)
			place = telldir(dir);
		if (number % 2) { /* removing what was read disturbs nothing */
			sprintf(name, "many/%03d", number);
			removed += !unlink(name);
		}
	}
	EXPECT(seen, 500);
	EXPECT(dots, 2);
	EXPECT(extra, 0);
	EXPECT(removed, 250);
	seekdir(dir, place);
	for (seen = 0; readdir(dir); seen++)
		;
	EXPECT(seen > 0 && seen <= 250, 1);
	rewinddir(dir);
	for (seen = 0; readdir(dir); seen++)
		;
	EXPECT(seen, 252);
	closedir(dir);
	int fd = open("many", O_RDONLY);

	EXPECT_ERR(syscall(SYS_getdents64, fd, buf, 10), EINVAL);
	EXPECT(syscall(SYS_getdents64, fd, buf, 24), 24);
	EXPECT(syscall(SYS_getdents64, fd, buf, 24), 24);
	EXPECT_TRUE(syscall(SYS_getdents64, fd, buf, sizeof(buf)) > 400);
	EXPECT_ERR(syscall(SYS_getdents64, fd, (void *)8, sizeof(buf)), EFAULT);
	EXPECT_ERR(syscall(SYS_getdents64, 999, buf, sizeof(buf)), EBADF);
	EXPECT(lseek(fd, 0, SEEK_SET), 0);
	EXPECT_TRUE(syscall(SYS_getdents, fd, buf, sizeof(buf)) > 400);
	EXPECT(buf[*(unsigned short *)(buf + 16) - 1], DT_DIR);
	close(fd);
	make("plain");
	fd = open("plain", O_RDONLY);
	EXPECT_ERR(syscall(SYS_getdents64, fd, buf, sizeof(buf)), ENOTDIR);
	close(fd);
	unlink("plain");
	for (int i = 0; i < 500; i += 2) {
		sprintf(name, "many/%03d", i);
		unlink(name);
	}
	EXPECT(rmdir("many"), 0);
}

static void attributes(void)
{
	make("f");
	EXPECT(chmod("f", 06755), 0);
	EXPECT(stat("f", &st), 0);
	EXPECT(st.st_mode & 07777, 06755);
	EXPECT(chown("f", 1, 2), 0);
	EXPECT(stat("f", &st), 0);
	EXPECT(st.st_uid, 1);
	EXPECT(st.st_gid, 2);
	EXPECT(st.st_mode & 07777, 0755); /* a new owner drops the set-id bits */
	EXPECT(chown("f", -1, 3), 0);
	EXPECT(stat("f", &st), 0);
	EXPECT(st.st_uid, 1);
	EXPECT(st.st_gid, 3);
	EXPECT_ERR(chmod("none", 0), ENOENT);
	EXPECT_ERR(chown("none", 0, 0), ENOENT);
	EXPECT_ERR(fchmod(999, 0), EBADF);
	symlink("f", "l");
	EXPECT(lchown("l", 7, 8), 0);
	EXPECT(lstat("l", &st), 0);
	EXPECT(st.st_uid, 7);
	EXPECT(st.st_size, 1);
	EXPECT(st.st_mode, S_IFLNK | 0777);
	mkdir("g", 0755);
	EXPECT(chown("g", 0, 50), 0);
	EXPECT(chmod("g", 02755), 0);
	make("g/f"), mkdir("g/d", 0700);
	EXPECT(stat("g/f", &st), 0);
	EXPECT(st.st_gid, 50);
	EXPECT(stat("g/d", &st), 0);
	EXPECT(st.st_mode & 07777, 02700);
	/* somebody else */
	EXPECT(chmod("f", 0640), 0);
	EXPECT(chown("f", 0, 0), 0);
	EXPECT(chmod(".", 01777), 0);
	EXPECT(chmod("g", 0755), 0);
	EXPECT(setresgid(100, 100, 0), 0);
	EXPECT(setresuid(100, 100, 0), 0);
	EXPECT_ERR(open("f", O_RDONLY), EACCES);
	EXPECT_ERR(access("f", R_OK), EACCES);
	EXPECT(access("f", F_OK), 0);
	EXPECT_ERR(chmod("f", 0777), EPERM);
	EXPECT_ERR(chown("f", 100, 100), EPERM);
	EXPECT_ERR(unlink("f"), EPERM); /* sticky */
	EXPECT_ERR(unlink("g/f"), EACCES);
	EXPECT_ERR(mkdir("g/x", 0700), EACCES);
	EXPECT_ERR(stat("g/d/x", &st), EACCES);
	EXPECT_ERR(rename("f", "ff"), EPERM);
	EXPECT_ERR(utimensat(AT_FDCWD, "f", NULL, 0), EACCES);
	EXPECT_ERR(utimensat(AT_FDCWD, "f", (struct timespec[2]){{1, 0}, {1, 0}}, 0), EPERM);
	EXPECT_ERR(truncate("f", 0), EACCES);
	EXPECT_ERR(chroot("."), EPERM);
	EXPECT_ERR(mknod("null", S_IFCHR | 0666, makedev(1, 3)), EPERM);
	EXPECT(make("mine"), 0);
	EXPECT(chmod("mine", 02770), 0);
	EXPECT(stat("mine", &st), 0);
	EXPECT(st.st_uid, 100);
	EXPECT(unlink("mine"), 0);
	EXPECT(setresuid(0, 0, 0), 0);
	EXPECT(setresgid(0, 0, 0), 0);
	EXPECT(access("f", R_OK | W_OK), 0);
	EXPECT_ERR(access("f", X_OK), EACCES);
	EXPECT_ERR(access("f", 8), EINVAL);
	EXPECT(faccessat(AT_FDCWD, "l", F_OK, AT_SYMLINK_NOFOLLOW), 0);
	unlink("l"), unlink("g/f"), rmdir("g/d"), rmdir("g");
}

static void times(void)
{
	struct timespec set[2] = {{1000000000, 123456789}, {-5, 5}};
	struct timespec odd[2] = {{0, UTIME_OMIT}, {0, UTIME_OMIT}};

	EXPECT(utimensat(AT_FDCWD, "f", set, 0), 0);
	EXPECT(stat("f", &st), 0);
	EXPECT(st.st_atim.tv_sec, 1000000000);
	EXPECT(st.st_atim.tv_nsec, 123456789);
	EXPECT(st.st_mtim.tv_sec, -5);
	EXPECT(st.st_mtim.tv_nsec, 5);
	EXPECT(utimensat(AT_FDCWD, "none", odd, 0), 0); /* nothing to do: the path isn't even looked at */
	odd[0].tv_sec = odd[0].tv_nsec = 7;
	EXPECT(utimensat(AT_FDCWD, "f", odd, 0), 0);
	EXPECT(stat("f", &st), 0);
	EXPECT(st.st_atim.tv_sec, 7);
	EXPECT(st.st_mtim.tv_sec, -5);
	odd[0].tv_nsec = 1000000000;
	EXPECT_ERR(utimensat(AT_FDCWD, "f", odd, 0), EINVAL);
	EXPECT_ERR(utimensat(AT_FDCWD, "f", NULL, 1), EINVAL);
	EXPECT_ERR(utimensat(AT_FDCWD, "none", NULL, 0), ENOENT);
	EXPECT_ERR(utimes("f", (struct timeval[2]){{0, 1000000}, {0, 0}}), EINVAL);
	EXPECT(utimes("f", (struct timeval[2]){{3, 4}, {5, 6}}), 0);
	EXPECT(stat("f", &st), 0);
	EXPECT(st.st_mtim.tv_nsec, 6000);
	int fd = open("f", O_RDWR);

	EXPECT(futimens(fd, NULL), 0);
	EXPECT(fstat(fd, &st), 0);
	EXPECT_TRUE(st.st_mtim.tv_sec > 1600000000);
	EXPECT(futimens(fd, (struct timespec[2]){{1, 0}, {1, 0}}), 0);
	EXPECT(write(fd, "x", 1), 1);
	EXPECT(fstat(fd, &st), 0);
	EXPECT_TRUE(st.st_mtim.tv_sec > 1600000000 && st.st_ctim.tv_sec > 1600000000);
	close(fd);
}

static void extended(void)
{
	char buf[200];

	EXPECT(setxattr("f", "user.one", "value", 5, 0), 0);
	EXPECT(getxattr("f", "user.one", buf, sizeof(buf)), 5);
	EXPECT(memcmp(buf, "value", 5), 0);
	EXPECT(getxattr("f", "user.one", NULL, 0), 5);
	EXPECT_ERR(getxattr("f", "user.one", buf, 4), ERANGE);
	EXPECT_ERR(getxattr("f", "user.none", buf, 4), ENODATA);
	EXPECT_ERR(setxattr("f", "user.one", "v", 1, XATTR_CREATE), EEXIST);
	EXPECT_ERR(setxattr("f", "user.two", "v", 1, XATTR_REPLACE), ENODATA);
	EXPECT_ERR(setxattr("f", "user.two", "v", 1, 4), EINVAL);
	EXPECT_ERR(setxattr("f", "nonsense", "v", 1, 0), EOPNOTSUPP);
	EXPECT_ERR(setxattr("f", "", "v", 1, 0), ERANGE);
	EXPECT_ERR(setxattr("f", "user.big", buf, 65537, 0), E2BIG);
	EXPECT(setxattr("f", "trusted.t", "", 0, 0), 0);
	EXPECT(getxattr("f", "trusted.t", buf, sizeof(buf)), 0);
	EXPECT(listxattr("f", NULL, 0), 19);
	EXPECT(listxattr("f", buf, sizeof(buf)), 19);
	EXPECT_ERR(listxattr("f", buf, 5), ERANGE);
	EXPECT(removexattr("f", "trusted.t"), 0);
	EXPECT_ERR(removexattr("f", "trusted.t"), ENODATA);
	EXPECT_ERR(getxattr("none", "user.one", buf, 4), ENOENT);
	EXPECT_ERR(fgetxattr(999, "user.one", buf, 4), EBADF);
	symlink("f", "l");
	EXPECT(getxattr("l", "user.one", buf, sizeof(buf)), 5);
	EXPECT_ERR(lsetxattr("l", "user.one", "v", 1, 0), EPERM);
	EXPECT_ERR(lgetxattr("l", "user.one", buf, 5), ENODATA);
	unlink("l");
}

static void whole_systems(void)
{
	struct statfs fs;
	struct statx x;

	EXPECT(statfs(".", &fs), 0);
	EXPECT(fs.f_namelen, 255);
	EXPECT(fs.f_bsize, 4096);
	EXPECT_ERR(statfs("none", &fs), ENOENT);
	EXPECT_ERR(fstatfs(999, &fs), EBADF);
	EXPECT(statx(AT_FDCWD, "f", 0, STATX_ALL, &x), 0);
	EXPECT(x.stx_mask & STATX_BASIC_STATS, STATX_BASIC_STATS);
	EXPECT(x.stx_mode & S_IFMT, S_IFREG);
	EXPECT_ERR(statx(AT_FDCWD, "f", 0x8000, STATX_ALL, &x), EINVAL);
	EXPECT_ERR(statx(AT_FDCWD, "f", 0, 0x80000000u, &x), EINVAL);
	EXPECT_ERR(statx(AT_FDCWD, "", 0, STATX_ALL, &x), ENOENT);
	EXPECT(statx(AT_FDCWD, "", AT_EMPTY_PATH, STATX_ALL, &x), 0);
	EXPECT(x.stx_mode & S_IFMT, S_IFDIR);
}

int main(void)
{
	char dir[] = "/dev/shm/dir-XXXXXX";

	umask(022);
	if (!mkdtemp(dir) || chdir(dir))
		return 2;
	make_and_remove();
	renaming();
	reading();
	attributes();
	times();
	extended();
	whole_systems();
	unlink("f");
	EXPECT(rmdir(dir), 0);
	return guest_done();
}
