/* Pseudo-terminals and character devices: line editing, echo, modes, windows, hang-up; null, zero, full, random. */
#include "guest.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <termios.h>
#include <unistd.h>

static void *volatile bad_pointer = (void *)8;
static int m, s;
static char buf[10000];

static int events_of(int fd)
{
	struct pollfd f = {fd, POLLIN | POLLOUT, 0};

	poll(&f, 1, 0);
	return f.revents;
}

/* Linux hands bytes over in the background: waits until there are some, or an end. */
static void comes(int fd)
{
	poll(&(struct pollfd){fd, POLLIN, 0}, 1, 60000);
}

/* Writes to one end and compares what comes out of another, in one piece or in several. */
static int moves(int to, const char *in, int from, const char *out)
{
	size_t len = strlen(in), want = strlen(out), got = 0;
	ssize_t n;

	if (write(to, in, len) != (ssize_t)len)
		return 0;
	memset(buf, 0, 100);
	do {
		comes(from);
		n = read(from, buf + got, 100 - got);
		got += n > 0 ? n : 0;
	} while (n > 0 && got < want);
	return n >= 0 && got == want && memcmp(buf, out, want) == 0;
}

/* Reads up to these bytes; gives how many there were with them. */
static int reads_until(int fd, const char *end)
{
	size_t len = strlen(end), got = 0;
	ssize_t n;

	do {
		comes(fd);
		n = read(fd, buf + got, 100 - got);
		got += n > 0 ? n : 0;
	} while (n > 0 && got < 100 && (got < len || memcmp(buf + got - len, end, len)));
	return (int)got;
}

static void set_flags(tcflag_t local_off, tcflag_t local_on, int min, int time)
{
	struct termios t;

	tcgetattr(s, &t);
	t.c_lflag = (t.c_lflag & ~local_off) | local_on;
	t.c_cc[VMIN] = (cc_t)min;
	t.c_cc[VTIME] = (cc_t)time;
	tcsetattr(s, TCSANOW, &t);
}

static void opening(void)
{
	struct stat st;
	struct termios t;
	int n;

	m = open("/dev/ptmx", O_RDWR | O_NOCTTY);
	EXPECT_TRUE(m >= 0);
	EXPECT(isatty(m), 1);
	EXPECT(fstat(m, &st), 0);
	EXPECT(S_ISCHR(st.st_mode), 1);
	EXPECT(st.st_rdev, makedev(5, 2));
	EXPECT(ioctl(m, TIOCGPTN, &n), 0);
	char *name = ptsname(m);
	EXPECT_ERR(open(name, O_RDWR | O_NOCTTY), EIO); /* locked */
	EXPECT(unlockpt(m), 0);
	s = open(name, O_RDWR | O_NOCTTY);
	EXPECT_TRUE(s >= 0);
	EXPECT(isatty(s), 1);
	EXPECT(strcmp(ttyname(s), name), 0);
	EXPECT(fstat(s, &st), 0);
	EXPECT(st.st_rdev, makedev(136, n));
	EXPECT(st.st_mode & ~020u, S_IFCHR | 0600); /* the mount decides about the group */
	EXPECT(tcgetattr(s, &t), 0);
	EXPECT(t.c_iflag, ICRNL | IXON);
	EXPECT(t.c_oflag, OPOST | ONLCR);
	EXPECT(t.c_cflag, B38400 | CS8 | CREAD);
	EXPECT(t.c_lflag, ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN);
	EXPECT(t.c_cc[VINTR], 3);
	EXPECT(t.c_cc[VEOF], 4);
	EXPECT(t.c_cc[VERASE], 127);
	EXPECT(t.c_cc[VMIN], 1);
	EXPECT_ERR(lseek(s, 0, SEEK_SET), ESPIPE);
	EXPECT_ERR(ioctl(s, TIOCGPTN, &n), ENOTTY);
	EXPECT_ERR(ioctl(s, 0x5499, &n), ENOTTY);
	EXPECT_ERR(ioctl(s, TCGETS, bad_pointer), EFAULT);
	EXPECT_ERR(tcgetpgrp(s), ENOTTY); /* not ours */
}

static void canonical(void)
{
	struct termios t;

	EXPECT(moves(m, "line\n", s, "line\n"), 1);
	EXPECT(moves(s, "", m, "line\r\n"), 1); /* the echo */
	EXPECT(moves(m, "cr\r", s, "cr\n"), 1);
	EXPECT(moves(s, "out\n", m, "cr\r\nout\r\n"), 1);
	fcntl(s, F_SETFL, O_RDWR | O_NONBLOCK);
	EXPECT(moves(m, "half", m, "half"), 1); /* once it is echoed, it has arrived */
	EXPECT_ERR(read(s, buf, 10), EAGAIN);
	EXPECT(events_of(s), POLLOUT);
	EXPECT(moves(m, " a\nsecond\n", m, " a\r\nsecond\r\n"), 1);
	EXPECT(moves(s, "", s, "half a\n"), 1);
	EXPECT(events_of(s), POLLIN | POLLOUT);
	EXPECT(read(s, buf, 3), 3); /* the rest of the line stays */
	EXPECT(read(s, buf, 10), 4);
	EXPECT_ERR(read(s, buf, 10), EAGAIN);
	EXPECT(moves(m, "abc\177\177xy\n", s, "axy\n"), 1);
	EXPECT(moves(s, "", m, "abc\b \b\b \bxy\r\n"), 1);
	EXPECT(moves(m, "junk\025ok\n", s, "ok\n"), 1);
	EXPECT(reads_until(m, "ok\r\n"), 4 + 4 * 3 + 4);
	EXPECT(moves(m, "two words\027x\n", s, "two x\n"), 1);
	EXPECT(reads_until(m, "x\r\n") > 3, 1);
	EXPECT(moves(m, "\026\003\n", s, "\003\n"), 1); /* quoted ^C */
	EXPECT(reads_until(m, "\r\n") > 2, 1);
	EXPECT(moves(m, "end\004", s, "end"), 1);
	EXPECT(moves(m, "\004", s, ""), 1); /* end of file */
	EXPECT_ERR(read(s, buf, 10), EAGAIN);
	EXPECT(reads_until(m, "end"), 3);
	/* an interrupt throws the line away; nobody is in the foreground */
	EXPECT(write(m, "gone\003", 5), 5);
	EXPECT(moves(m, "new\n", s, "new\n"), 1);
	EXPECT(reads_until(m, "new\r\n") > 0, 1);
	EXPECT(moves(m, "flush\n", m, "flush\r\n"), 1);
	EXPECT(events_of(s), POLLIN | POLLOUT);
	EXPECT(tcflush(s, TCIFLUSH), 0);
	EXPECT_ERR(read(s, buf, 10), EAGAIN);
	EXPECT_ERR(tcflush(s, 7), EINVAL);
	tcgetattr(s, &t);
	t.c_oflag &= ~(tcflag_t)ONLCR;
	t.c_lflag &= ~(tcflag_t)ECHO;
	EXPECT(tcsetattr(s, TCSADRAIN, &t), 0);
	EXPECT(moves(s, "raw\n", m, "raw\n"), 1);
	EXPECT(moves(m, "quiet\n", s, "quiet\n"), 1);
	EXPECT(events_of(m), POLLOUT);
}

static void *type_later(void *arg)
{
	for (const char *c = arg; *c; c++) {
		usleep(10000);
		if (write(m, c, 1) != 1)
			return NULL;
	}
	return NULL;
}

static void *type_at_once(void *arg)
{
	wait_asleep(getpid());
	write(m, arg, strlen(arg));
	return NULL;
}

static void raw(void)
{
	pthread_t t;
	int n;

	fcntl(s, F_SETFL, O_RDWR);
	set_flags(ICANON | ECHO | ISIG, 0, 1, 0);
	EXPECT(moves(m, "x\003\004", s, "x\003\004"), 1);
	EXPECT(write(m, "four", 4), 4);
	while (!ioctl(s, FIONREAD, &n) && n < 4)
		usleep(1000);
	EXPECT(n, 4);
	EXPECT(read(s, buf, 2), 2);
	EXPECT(read(s, buf, 10), 2);
	set_flags(0, 0, 0, 0);
	EXPECT(read(s, buf, 10), 0); /* MIN 0, TIME 0: what is there */
	set_flags(0, 0, 0, 1);
	EXPECT(read(s, buf, 10), 0); /* waits a tenth of a second */
	set_flags(0, 0, 3, 0);
	pthread_create(&t, NULL, type_later, "abc");
	EXPECT(read(s, buf, 10), 3); /* waits for three */
	pthread_join(t, NULL);
	set_flags(0, 0, 5, 1);
	pthread_create(&t, NULL, type_at_once, "de");
	EXPECT(read(s, buf, 10), 2); /* the pause ends it */
	pthread_join(t, NULL);
	set_flags(0, ICANON, 1, 0);
}

static void windows(void)
{
	struct winsize w = {24, 80, 1, 2}, got = {9, 9, 9, 9};

	EXPECT(ioctl(m, TIOCGWINSZ, &got), 0);
	EXPECT(got.ws_row == 0 && got.ws_col == 0, 1);
	EXPECT(ioctl(m, TIOCSWINSZ, &w), 0);
	EXPECT(ioctl(s, TIOCGWINSZ, &got), 0);
	EXPECT(got.ws_row == 24 && got.ws_col == 80 && got.ws_xpixel == 1 && got.ws_ypixel == 2, 1);
}

static void hang_up(void)
{
	EXPECT(write(s, "last", 4), 4);
	close(s);
	for (int i = 0; i < 60000 && (events_of(m) & (POLLIN | POLLHUP)) != (POLLIN | POLLHUP); i++)
		usleep(1000);
	EXPECT(events_of(m) & (POLLIN | POLLHUP), POLLIN | POLLHUP);
	EXPECT(read(m, buf, 10), 4);
	EXPECT_ERR(read(m, buf, 10), EIO);
	s = open(ptsname(m), O_RDWR | O_NOCTTY);
	EXPECT_TRUE(s >= 0);
	EXPECT(moves(s, "again", m, "again"), 1);
	char *name = strdup(ptsname(m));
	close(m);
	EXPECT(read(s, buf, 10), 0);
	EXPECT_ERR(write(s, "x", 1), EIO);
	EXPECT_ERR(ioctl(s, TIOCGWINSZ, buf), EIO);
	EXPECT(events_of(s), POLLIN | POLLOUT | POLLERR | POLLHUP);
	EXPECT_TRUE(open(name, O_RDWR) < 0);
	close(s);
	free(name);
}

static void devices(void)
{
	struct stat st;
	char c[16];
	int zeros = 0, fd = open("/dev/null", O_RDWR);

	EXPECT(read(fd, c, 16), 0);
	EXPECT(write(fd, bad_pointer, 100), 100);
	EXPECT(lseek(fd, 7, SEEK_SET), 0);
	EXPECT(fstat(fd, &st), 0);
	EXPECT(st.st_mode, S_IFCHR | 0666);
	EXPECT(st.st_rdev, makedev(1, 3));
	EXPECT_ERR(ioctl(fd, TCGETS, c), ENOTTY);
	EXPECT(events_of(fd), POLLIN | POLLOUT);
	close(fd);
	fd = open("/dev/zero", O_RDWR);
	memset(buf, 1, sizeof(buf));
	EXPECT(read(fd, buf, sizeof(buf)), sizeof(buf));
	for (unsigned i = 0; i < sizeof(buf); i++)
		zeros += !buf[i];
	EXPECT(zeros, sizeof(buf));
	EXPECT_ERR(read(fd, bad_pointer, 4), EFAULT);
	EXPECT(write(fd, buf, 5), 5);
	EXPECT(pread(fd, buf, 5, 1000), 5);
	close(fd);
	fd = open("/dev/full", O_RDWR);
	EXPECT(read(fd, buf, 5), 5);
	EXPECT_ERR(write(fd, buf, 5), ENOSPC);
	close(fd);
	fd = open("/dev/urandom", O_RDWR);
	EXPECT(read(fd, c, 16), 16);
	EXPECT_TRUE(memcmp(c, buf, 16));
	EXPECT(write(fd, c, 16), 16);
	EXPECT_ERR(read(fd, bad_pointer, 4), EFAULT);
	close(fd);
	EXPECT_ERR(open("/dev/no-such-device", O_RDONLY), ENOENT);
	EXPECT_ERR(open("/dev/null", O_RDONLY | O_DIRECTORY), ENOTDIR);
	fd = open("/dev/fd/1", O_WRONLY);
	EXPECT_TRUE(fd >= 0);
	close(fd);
}

int main(void)
{
	opening();
	canonical();
	raw();
	windows();
	hang_up();
	devices();
	return guest_done();
}
