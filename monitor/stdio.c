/* What the cell's standard descriptors are, and the operations on them that the tender can't do itself. The requests are
 * hostile; they reach only the three descriptors that the cell has, with operations that fit the kind. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <asm/termbits.h>

#include "base/types.h"
#include "monitor/cell.h"

/* musl's headers leave these out. */
#define TCGETS2  ((int)_IOR('T', 0x2A, struct termios2))
#define TCSETS2  ((int)_IOW('T', 0x2B, struct termios2))
#define TCSETSW2 ((int)_IOW('T', 0x2C, struct termios2))
#define TCSETSF2 ((int)_IOW('T', 0x2D, struct termios2))

#define DATA_MAX   65536u
#define KCMP_FILE_ 0

/* --- kinds --- */

static uint32_t kind_of(int fd, const struct stat *st)
{
	struct termios2 attributes;
	struct stat null;
	switch (st->st_mode & S_IFMT) {
	case S_IFREG:
		return VB_STDIO_FILE;
	case S_IFIFO:
	case S_IFSOCK:
		return VB_STDIO_PIPE;
	case S_IFCHR:
		if (ioctl(fd, TCGETS2, &attributes) == 0)
			return VB_STDIO_TTY;
		if (stat("/dev/null", &null) == 0 && null.st_rdev == st->st_rdev)
			return VB_STDIO_NULL;
		return VB_STDIO_OTHER;
	default:
		return VB_STDIO_OTHER;
	}
}

static struct vb_msg_stdio_stat stat_of(const struct stat *st)
{
	return (struct vb_msg_stdio_stat){
		.mode = st->st_mode,
		.nlink = (uint32_t)st->st_nlink,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.ino = st->st_ino,
		.size_bytes = (uint64_t)st->st_size,
		.blocks = (uint64_t)st->st_blocks,
		.blksize = (uint64_t)st->st_blksize,
		.rdev = st->st_rdev,
		.atime_ns = st->st_atim.tv_sec * 1000000000ll + st->st_atim.tv_nsec,
		.mtime_ns = st->st_mtim.tv_sec * 1000000000ll + st->st_mtim.tv_nsec,
		.ctime_ns = st->st_ctim.tv_sec * 1000000000ll + st->st_ctim.tv_nsec,
	};
}

/* Where the host forbids asking, the same file with the same flags counts as one: `>F 2>&1` is far more usual than two
 * independent openings. */
static bool same_description(int a, int b, const struct stat *sa, const struct stat *sb, uint32_t flags_a, uint32_t flags_b)
{
	if (sa->st_dev != sb->st_dev || sa->st_ino != sb->st_ino || flags_a != flags_b)
		return false;
	long r = syscall(SYS_kcmp, getpid(), getpid(), KCMP_FILE_, a, b);
	return r <= 0; /* equal, or no answer */
}

void stdio_describe(struct monitor *m)
{
	struct stat st[3];
	for (unsigned i = 0; i < 3; i++) {
		struct vb_boot_stdio *s = &m->stdio[i];
		*s = (struct vb_boot_stdio){.same_as = i};
		int fd = m->stdio_fd[i], flags = fcntl(fd, F_GETFL);
		if (m->stdio_closed[i] || flags < 0 || fstat(fd, &st[i]) < 0)
			continue;
		s->kind = kind_of(fd, &st[i]);
		s->flags = (uint32_t)flags & (O_ACCMODE | O_APPEND);
		s->stat = stat_of(&st[i]);
		struct winsize size;
		if (s->kind == VB_STDIO_TTY && ioctl(fd, TIOCGWINSZ, &size) == 0) {
			s->rows = size.ws_row;
			s->cols = size.ws_col;
		}
		for (unsigned j = 0; j < i && s->same_as == i; j++)
			if (m->stdio[j].kind != VB_STDIO_NONE &&
				same_description(fd, m->stdio_fd[j], &st[i], &st[j], s->flags, m->stdio[j].flags))
				s->same_as = j;
	}
}

/* --- requests --- */

struct call {
	struct monitor *m;
	int fd;
	unsigned index;
	int64_t arg0, arg1;
	const void *in;
	size_t in_len;
	char *out; /* room for DATA_MAX */
	size_t out_len;
};

static int64_t result_of(int64_t r)
{
	return r < 0 ? -errno : r;
}

static int64_t do_seek(struct call *c)
{
	if (c->arg1 < SEEK_SET || c->arg1 > SEEK_HOLE)
		return -EINVAL;
	return result_of(lseek(c->fd, c->arg0, (int)c->arg1));
}

static int64_t do_stat(struct call *c)
{
	struct stat st;
	if (fstat(c->fd, &st) < 0)
		return -errno;
	struct vb_msg_stdio_stat out = stat_of(&st);
	memcpy(c->out, &out, c->out_len = sizeof(out));
	return 0;
}

static int64_t do_truncate(struct call *c)
{
	return c->arg0 < 0 ? -EINVAL : result_of(ftruncate(c->fd, c->arg0));
}

static int64_t do_pread(struct call *c)
{
	struct pollfd ready = {c->fd, POLLIN, 0};
	if (c->arg0 < 0 || c->arg1 < 0)
		return -EINVAL;
	if (poll(&ready, 1, 0) == 0)
		return -EAGAIN; /* a device, or a file such as /proc/kmsg: never wait on a cell's behalf */
	ssize_t n = pread(c->fd, c->out, vb_min((size_t)c->arg1, (size_t)DATA_MAX), c->arg0);
	c->out_len = n > 0 ? (size_t)n : 0;
	return result_of(n);
}

static int64_t do_pwrite(struct call *c)
{
	return c->arg0 < 0 ? -EINVAL : result_of(pwrite(c->fd, c->in, c->in_len, c->arg0));
}

static int64_t do_sync(struct call *c)
{
	return result_of(fsync(c->fd));
}

static int64_t do_tcgets(struct call *c)
{
	struct termios2 t;
	if (ioctl(c->fd, TCGETS2, &t) < 0)
		return -errno;
	memcpy(c->out, &t, c->out_len = sizeof(t));
	return 0;
}

static int64_t do_tcsets(struct call *c)
{
	static const int requests[] = {TCSETS2, TCSETSW2, TCSETSF2};
	struct termios2 t;
	if (c->in_len != sizeof(t) || c->arg0 < 0 || c->arg0 >= (int64_t)VB_ARRAY_LEN(requests))
		return -EINVAL;
	memcpy(&t, c->in, sizeof(t));
	terminal_save(c->m, (int)c->index);
	return result_of(ioctl(c->fd, requests[c->arg0], &t));
}

static int64_t do_winsize(struct call *c)
{
	struct winsize size;
	if (ioctl(c->fd, TIOCGWINSZ, &size) < 0)
		return -errno;
	struct vb_msg_winsize out = {size.ws_row, size.ws_col, size.ws_xpixel, size.ws_ypixel};
	memcpy(c->out, &out, c->out_len = sizeof(out));
	return 0;
}

static int64_t do_readable(struct call *c)
{
	int bytes = 0;
	return ioctl(c->fd, FIONREAD, &bytes) < 0 ? -errno : bytes;
}

#define KIND(name) (1u << VB_STDIO_##name)
#define ANY_KIND   (KIND(NULL) | KIND(PIPE) | KIND(FILE) | KIND(TTY) | KIND(OTHER))

static const struct operation {
	uint32_t kinds;    /* on which it is allowed */
	uint32_t data_max; /* that may come with the request */
	int64_t (*run)(struct call *c);
} operations[] = {
	[VB_STDIO_SEEK] = {KIND(FILE) | KIND(OTHER) | KIND(NULL), 0, do_seek},
	[VB_STDIO_STAT] = {ANY_KIND, 0, do_stat},
	[VB_STDIO_TRUNCATE] = {KIND(FILE), 0, do_truncate},
	[VB_STDIO_PREAD] = {KIND(FILE) | KIND(OTHER), 0, do_pread},
	[VB_STDIO_PWRITE] = {KIND(FILE), DATA_MAX, do_pwrite},
	[VB_STDIO_SYNC] = {KIND(FILE), 0, do_sync},
	[VB_STDIO_TCGETS] = {KIND(TTY), 0, do_tcgets},
	[VB_STDIO_TCSETS] = {KIND(TTY), sizeof(struct termios2), do_tcsets},
	[VB_STDIO_WINSIZE] = {KIND(TTY), 0, do_winsize},
	[VB_STDIO_FIONREAD] = {KIND(PIPE) | KIND(FILE) | KIND(TTY) | KIND(OTHER), 0, do_readable},
};

void stdio_request(struct monitor *m, uint32_t tag, const void *payload, size_t len)
{
	static struct {
		struct vb_msg_stdio header;
		char data[DATA_MAX];
	} reply;
	memcpy(&reply.header, payload, sizeof(reply.header));
	size_t in_len = len - sizeof(reply.header);
	const struct operation *op = reply.header.op < VB_ARRAY_LEN(operations) ? &operations[reply.header.op] : NULL;
	if (reply.header.fd > 2 || !op || !op->run || in_len > op->data_max)
		return tender_condemn(m, "bad request %u to descriptor %u", reply.header.op, reply.header.fd);
	struct call call = {.m = m,
		.fd = m->stdio_fd[reply.header.fd],
		.index = reply.header.fd,
		.arg0 = reply.header.arg0,
		.arg1 = reply.header.arg1,
		.in = (const char *)payload + sizeof(reply.header),
		.in_len = in_len,
		.out = reply.data};
	reply.header.result = op->kinds & 1u << m->stdio[reply.header.fd].kind ? op->run(&call) : -ENOTTY;
	if (message_send(m, VB_MSG_STDIO_REPLY, tag, &reply, sizeof(reply.header) + call.out_len) < 0)
		tender_condemn(m, "does not read its replies");
}
