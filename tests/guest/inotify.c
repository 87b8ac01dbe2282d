/* inotify: which call tells what of a file and of its directory, in which order; watches and their limits. */
#include "guest.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

static int in, cookie;
static char seen[8192];

/* All events as text: "1 create a, 2 modify, " */
static const char *events(void)
{
	static const struct {
		uint32_t bit;
		const char *name;
	} names[] = {{IN_ACCESS, "access"}, {IN_MODIFY, "modify"}, {IN_ATTRIB, "attrib"}, {IN_CLOSE_WRITE, "close-write"},
		{IN_CLOSE_NOWRITE, "close"}, {IN_OPEN, "open"}, {IN_MOVED_FROM, "from"}, {IN_MOVED_TO, "to"}, {IN_CREATE, "create"},
		{IN_DELETE, "delete"}, {IN_DELETE_SELF, "delete-self"}, {IN_MOVE_SELF, "move-self"}, {IN_IGNORED, "ignored"},
		{IN_Q_OVERFLOW, "overflow"}, {IN_ISDIR, "dir"}};
	static char buf[65536] __attribute__((aligned(8)));
	ssize_t n = read(in, buf, sizeof(buf));

	*seen = 0;
	for (ssize_t at = 0; at < n;) {
		struct inotify_event *e = (void *)(buf + at);
		sprintf(seen + strlen(seen), "%d", e->wd);
		for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++)
			if (e->mask & names[i].bit)
				sprintf(seen + strlen(seen), " %s", names[i].name);
		if (e->len)
			sprintf(seen + strlen(seen), " %s", e->name);
		strcat(seen, ", ");
		if (e->cookie)
			cookie = e->cookie;
		at += sizeof(*e) + e->len;
	}
	return seen;
}

#define EXPECT_EVENTS(want)                                                                                                                \
	do {                                                                                                                               \
		const char *got_ = events();                                                                                               \
		int same_ = !strcmp(got_, want);                                                                                           \
		if (!same_)                                                                                                                \
			printf("# got %s\n", got_);                                                                                        \
		guest_report(same_, want, same_, 1);                                                                                       \
	} while (0)

static void *create_later(void *arg)
{
	usleep(30000);
	close(open("later", O_CREAT | O_WRONLY, 0600));
	return NULL;
}

static void limits(void)
{
	int plain = open("plain", O_CREAT | O_RDWR, 0600), available = -1;
	char small[16];

	EXPECT_ERR(inotify_init1(1), EINVAL);
	EXPECT_ERR(inotify_add_watch(-1, ".", IN_OPEN), EBADF);
	EXPECT_ERR(inotify_add_watch(plain, ".", IN_OPEN), EINVAL);
	EXPECT_ERR(inotify_add_watch(in, ".", 0), EINVAL);
	EXPECT_ERR(inotify_add_watch(in, "missing", IN_OPEN), ENOENT);
	EXPECT_ERR(inotify_add_watch(in, (void *)8, IN_OPEN), EFAULT);
	EXPECT_ERR(inotify_add_watch(in, "plain", IN_OPEN | IN_ONLYDIR), ENOTDIR);
	EXPECT_ERR(inotify_add_watch(in, "plain", IN_OPEN | IN_MASK_ADD | IN_MASK_CREATE), EINVAL);
	EXPECT_ERR(inotify_rm_watch(-1, 1), EBADF);
	EXPECT_ERR(inotify_rm_watch(plain, 1), EINVAL);
	EXPECT_ERR(inotify_rm_watch(in, 99), EINVAL);
	EXPECT_ERR(read(in, small, sizeof(small)), EAGAIN);
	int wd = inotify_add_watch(in, "plain", IN_MODIFY);
	EXPECT(wd, 1);
	EXPECT(inotify_add_watch(in, "plain", IN_ACCESS), 1);
	EXPECT(inotify_add_watch(in, "plain", IN_MODIFY | IN_MASK_ADD), 1);
	EXPECT_ERR(inotify_add_watch(in, "plain", IN_OPEN | IN_MASK_CREATE), EEXIST);
	EXPECT(write(plain, "x", 1), 1);
	EXPECT(write(plain, "y", 1), 1);
	EXPECT(pread(plain, small, 1, 0), 1);
	EXPECT(ioctl(in, FIONREAD, &available), 0);
	EXPECT(available, 32);
	EXPECT_ERR(read(in, small, 15), EINVAL);
	EXPECT(poll(&(struct pollfd){in, POLLIN}, 1, 0), 1);
	EXPECT(read(in, small, 16), 16);
	EXPECT_EVENTS("1 access, ");
	EXPECT(inotify_rm_watch(in, 1), 0);
	EXPECT_EVENTS("1 ignored, ");
	EXPECT(inotify_add_watch(in, "plain", IN_MODIFY | IN_ONESHOT), 2);
	EXPECT(write(plain, "x", 1), 1);
	EXPECT(write(plain, "x", 1), 1);
	EXPECT_EVENTS("2 modify, 2 ignored, ");
	close(plain);
	unlink("plain");
}

static void directory(void)
{
	char buf[10];
	int fd;

	EXPECT(inotify_add_watch(in, ".", IN_ALL_EVENTS), 3);
	fd = open("a", O_CREAT | O_RDWR, 0600);
	EXPECT_EVENTS("3 create a, 3 open a, ");
	EXPECT(write(fd, "hello", 5), 5);
	EXPECT(pread(fd, buf, 5, 0), 5);
	EXPECT(pread(fd, buf, 5, 100), 0);
	EXPECT_EVENTS("3 modify a, 3 access a, ");
	fchmod(fd, 0640);
	EXPECT_EVENTS("3 attrib a, ");
	futimens(fd, NULL);
	EXPECT_EVENTS("3 attrib a, ");
	fchown(fd, -1, -1);
	EXPECT(ftruncate(fd, 2), 0);
	EXPECT_EVENTS("3 modify a, ");
	fsetxattr(fd, "user.x", "1", 1, 0);
	EXPECT_EVENTS("3 attrib a, ");
	close(fd);
	EXPECT_EVENTS("3 close-write a, ");
	close(open("a", O_RDONLY));
	EXPECT_EVENTS("3 open a, 3 close a, ");
	close(open("a", O_PATH));
	EXPECT_EVENTS("");
	EXPECT(link("a", "b"), 0);
	EXPECT_EVENTS("3 create b, ");
	EXPECT(symlink("a", "s"), 0);
	EXPECT_EVENTS("3 create s, ");
	EXPECT(mkdir("d", 0700), 0);
	EXPECT_EVENTS("3 create dir d, ");
	EXPECT(mknod("f", S_IFIFO | 0600, 0), 0);
	EXPECT_EVENTS("3 create f, ");
	cookie = 0;
	EXPECT(rename("a", "c"), 0);
	EXPECT_EVENTS("3 from a, 3 to c, ");
	EXPECT_TRUE(cookie != 0);
	EXPECT(rename("c", "d/c"), 0);
	EXPECT_EVENTS("3 from c, ");
	EXPECT(rename("d/c", "c"), 0);
	EXPECT_EVENTS("3 to c, ");
	EXPECT(unlink("b"), 0);
	EXPECT_EVENTS("3 delete b, ");
	EXPECT(rmdir("d"), 0);
	EXPECT_EVENTS("3 delete dir d, ");
	EXPECT(unlink("s"), 0);
	EXPECT(unlink("f"), 0);
	EXPECT_EVENTS("3 delete s, 3 delete f, ");
	fd = open(".", O_RDONLY | O_DIRECTORY);
	EXPECT_EVENTS("3 open dir, ");
	close(fd);
	EXPECT_EVENTS("3 close dir, ");
	pthread_t t;
	fcntl(in, F_SETFL, 0);
	pthread_create(&t, NULL, create_later, NULL);
	EXPECT(poll(&(struct pollfd){in, POLLIN}, 1, 60000), 1);
	pthread_join(t, NULL);
	fcntl(in, F_SETFL, O_NONBLOCK);
	EXPECT_EVENTS("3 create later, 3 open later, 3 close-write later, ");
	unlink("later");
	EXPECT(inotify_rm_watch(in, 3), 0);
	EXPECT_EVENTS("3 delete later, 3 ignored, ");
}

static void itself(void)
{
	int fd;

	EXPECT(inotify_add_watch(in, "c", IN_ALL_EVENTS), 4);
	EXPECT(inotify_add_watch(in, ".", IN_OPEN | IN_DELETE), 5);
	EXPECT(rename("c", "e"), 0);
	EXPECT_EVENTS("4 move-self, ");
	EXPECT(link("e", "g"), 0);
	EXPECT_EVENTS("4 attrib, ");
	EXPECT(unlink("g"), 0);
	EXPECT_EVENTS("4 attrib, 5 delete g, ");
	fd = open("e", O_RDONLY);
	EXPECT_EVENTS("5 open e, 4 open, ");
	EXPECT(unlink("e"), 0);
	EXPECT_EVENTS("4 attrib, 5 delete e, ");
	close(fd);
	EXPECT_EVENTS("4 close, 4 delete-self, 4 ignored, ");
	EXPECT(mkdir("d", 0700), 0);
	EXPECT(inotify_add_watch(in, "d", IN_ALL_EVENTS), 6);
	EXPECT(rmdir("d"), 0);
	events();
	EXPECT_TRUE(strstr(seen, "6 delete-self, 6 ignored, "));
	EXPECT_TRUE(strstr(seen, "5 delete dir d, "));
	close(open("r", O_CREAT, 0600));
	close(open("q", O_CREAT, 0600));
	events();
	EXPECT(inotify_add_watch(in, "r", IN_ALL_EVENTS), 7);
	EXPECT(rename("q", "r"), 0);
	EXPECT_EVENTS("7 attrib, 7 delete-self, 7 ignored, ");
	fd = open("r", O_WRONLY);
	events();
	EXPECT(inotify_add_watch(in, "r", IN_MODIFY), 8);
	for (int i = 0; i < 3; i++)
		EXPECT(write(fd, "x", 1), 1);
	EXPECT_EVENTS("8 modify, ");
	close(fd);
}

int main(void)
{
	char folder[] = "/tmp/inotifyXXXXXX";

	if (!mkdtemp(folder) || chdir(folder))
		return 2;
	in = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	EXPECT_TRUE(in >= 0);
	limits();
	directory();
	itself();
	close(in);
	unlink("r");
	chdir("/");
	EXPECT(rmdir(folder), 0);
	return guest_done();
}
