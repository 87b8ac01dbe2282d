/* The standard descriptors that the cell got from the host: pipes, files, terminals. Owns their state and the requests to
 * the monitor for all that is not plain reading and writing. Trusts the monitor; bounds its replies all the same.
 *
 * Readiness is asked of the host each time. A question answered "no" arms the descriptor: the idle loop then waits for it
 * once, so that a poller that ignores what is ready doesn't keep the cell awake.
 */
#include "kernel/fs/fs_private.h"
#include "kernel/fs/p9.h"
#include "kernel/fs/tty.h"
#include "kernel/mm/page.h"
#include "kernel/platform/platform.h"

#include <vauban/message.h>

#include <asm/ioctls.h>
#include <asm/signal.h>
#include <asm/termbits.h>

#define REQUEST_BYTES 65536u /* most data in one message */
#define CHUNK_BYTES   65536u
#define ATOMIC_BYTES  4096u /* a pipe that polls writable takes this much without blocking */
#define STDIO_DEV     0x20u

/* One open file description of the host. */
struct stdio {
	struct inode inode; /* never freed. Terminals use /dev/console's instead */
	enum vb_stdio_kind kind;
	int in, out;    /* host descriptors to read and write, -1: none */
	unsigned index; /* names it in requests */
};

static struct stdio stdios[3];
static struct stdio terminal_stdio = {.kind = VB_STDIO_TTY, .in = -1, .out = -1};
static int terminal_open(struct tty *tty, struct file *f);
static struct tty terminal = {.open = terminal_open};

/* --- readiness --- */

static struct wait_queue ready_wait[3];
static unsigned armed; /* WAIT_STDIN ... */

unsigned stdio_wanted(void)
{
	unsigned wanted = 0;

	for (unsigned i = 0; armed && i < 3; i++)
		if (!list_empty(&ready_wait[i].entries))
			wanted |= armed & (WAIT_STDIN << i);
	return wanted;
}

void stdio_ready(unsigned events)
{
	for (unsigned i = 0; i < 3; i++) {
		if (!(events & (WAIT_STDIN << i)))
			continue;
		armed &= ~(WAIT_STDIN << i);
		wait_queue_wake(&ready_wait[i], i ? POLL_OUT | POLL_WRNORM : POLL_IN | POLL_RDNORM);
	}
}

static unsigned readiness(unsigned events)
{
	unsigned ready = events ? platform_wait(events, 0) & events : 0;

	armed |= events & ~ready;
	return ready;
}

/* Waits until the host descriptor can be read or written without blocking. */
static int await_ready(struct file *f, int host_fd)
{
	unsigned event = WAIT_STDIN << host_fd;

	if (f->flags & O_NONBLOCK)
		return readiness(event) ? 0 : -EAGAIN;
	return wait_until(&ready_wait[host_fd], readiness(event), NO_DEADLINE);
}

/* --- requests to the monitor --- */

struct request {
	struct vb_msg_stdio reply;
	void *data; /* room for what the reply brings */
	size_t size, len;
	bool done;
};

static struct request *in_flight;
static struct wait_queue request_wait, reply_wait;

static void wait_uninterrupted(struct wait_queue *q)
{
	struct wait_entry e = {.task = current};

	task_prepare();
	wait_queue_add(q, &e);
	task_sleep(NO_DEADLINE, false);
	wait_queue_remove(&e);
}

/* Sends msg with `len` bytes of data; the reply's data goes to r->data. Returns its result. Sleeps. */
static int64_t stdio_request(const struct vb_msg_stdio *msg, const void *data, size_t len, struct request *r)
{
	struct {
		struct vb_message header;
		struct vb_msg_stdio msg;
	} out = {{VB_MSG_STDIO_REQUEST, 0}, *msg};
	struct request none = {0};

	if (!r)
		r = &none;
	while (in_flight)
		wait_uninterrupted(&request_wait);
	in_flight = r;
	platform_send(&out, sizeof(out), data, len);
	while (!r->done)
		wait_uninterrupted(&reply_wait);
	in_flight = NULL;
	wait_queue_wake(&request_wait, 0);
	return r->reply.result;
}

void stdio_reply(const void *msg, size_t len)
{
	struct request *r = in_flight;

	if (!r || r->done || len < sizeof(r->reply))
		return;
	memcpy(&r->reply, msg, sizeof(r->reply));
	r->len = vb_min(len - sizeof(r->reply), r->size);
	memcpy(r->data, (const uint8_t *)msg + sizeof(r->reply), r->len);
	r->done = true;
	wait_queue_wake(&reply_wait, 0);
}

static int64_t simple_request(const struct stdio *s, unsigned op, int64_t arg0, int64_t arg1)
{
	return stdio_request(&(struct vb_msg_stdio){.fd = s->index, .op = op, .arg0 = arg0, .arg1 = arg1}, NULL, 0, NULL);
}

/* A request whose reply must carry exactly `size` bytes. */
static int fetch_request(const struct stdio *s, unsigned op, void *data, size_t size)
{
	struct request r = {.data = data, .size = size};
	int64_t result = stdio_request(&(struct vb_msg_stdio){.fd = s->index, .op = op}, NULL, 0, &r);

	if (result < 0)
		return (int)result;
	return r.len == size ? 0 : -EIO;
}

/* --- plain reading and writing --- */

/* A buffer for one call: the caller's small one, or from the heap. */
static void *chunk_get(size_t want, void *small, size_t small_size, size_t *ret_size)
{
	*ret_size = want <= small_size ? small_size : vb_min(want, (size_t)CHUNK_BYTES);
	return want <= small_size ? small : kmalloc(*ret_size);
}

static long stdio_read(struct file *f, struct uio *u, uint64_t *pos)
{
	struct stdio *s = f->private;
	uint8_t small[512];
	size_t size;
	long n;

	if (s->in < 0)
		return -EIO;
	if (!u->left)
		return 0;
	uint8_t *buf = chunk_get(u->left, small, sizeof(small), &size);
	if (!buf)
		return -ENOMEM;
	do {
		n = s->kind == VB_STDIO_FILE ? 0 : await_ready(f, s->in);
		if (n)
			break;
		n = platform_stdio_read(s->in, buf, vb_min(size, u->left));
		if (n == -EINTR)
			task_yield(); /* serves what interrupted */
	} while ((n == -EINTR && !signal_pending(current)) || n == -EAGAIN);
	if (n == -EINTR)
		n = -ERESTARTSYS;
	p9_heard++;
	if (n > 0)
		n = uio_put(u, buf, (size_t)n);
	if (buf != small)
		kfree(buf);
	return n;
}

/* Writes all of buf as far as the host takes it. Returns the bytes written, *ret_error tells why it stopped early. */
static size_t write_chunk(struct file *f, const uint8_t *buf, size_t len, long *ret_error)
{
	struct stdio *s = f->private;
	bool wait = s->kind != VB_STDIO_FILE && ((f->flags & O_NONBLOCK) || current->process->thread_count > 1);
	size_t done = 0;

	while (done < len) {
		long r = wait ? await_ready(f, s->out) : 0;
		if (!r)
			r = platform_stdio_write(s->out, buf + done, wait ? vb_min(len - done, (size_t)ATOMIC_BYTES) : len - done);
		if (r > 0) {
			done += (size_t)r;
			continue;
		}
		if (r == -EINTR) {
			task_yield();
			if (!signal_pending(current))
				continue;
			r = -ERESTARTSYS;
		} else if (r == -EAGAIN && !(f->flags & O_NONBLOCK)) {
			wait = true; /* the host's descriptor is non-blocking */
			continue;
		} else if (r == -EPIPE) {
			signal_task(current, &SIGINFO_USER(SIGPIPE));
		}
		*ret_error = r;
		break;
	}
	return done;
}

static long stdio_write(struct file *f, struct uio *u, uint64_t *pos)
{
	struct stdio *s = f->private;
	uint8_t small[512];
	size_t size;
	long done = 0, error = 0;

	if (s->out < 0)
		return -EIO;
	if (!u->left)
		return 0;
	uint8_t *buf = chunk_get(u->left, small, sizeof(small), &size);
	if (!buf)
		return -ENOMEM;
	while (u->left && !error) {
		long n = uio_get(u, buf, vb_min(size, u->left));
		if (n > 0)
			done += (long)write_chunk(f, buf, (size_t)n, &error);
		else
			error = n ? n : -EFAULT;
	}
	if (buf != small)
		kfree(buf);
	return done ? done : error;
}

static unsigned stdio_poll(struct file *f, struct poll_table *table)
{
	struct stdio *s = f->private;
	unsigned events = 0, ready;

	if (f->readable && s->in >= 0) {
		poll_add(table, f, &ready_wait[s->in]);
		events |= WAIT_STDIN << s->in;
	}
	if (f->writable && s->out >= 0) {
		poll_add(table, f, &ready_wait[s->out]);
		events |= WAIT_STDIN << s->out;
	}
	ready = readiness(events);
	return (ready & WAIT_STDIN ? POLL_IN | POLL_RDNORM : 0) | (ready & ~WAIT_STDIN ? POLL_OUT | POLL_WRNORM : 0);
}

static long stdio_ioctl(struct file *f, unsigned cmd, uint64_t arg)
{
	if (cmd != FIONREAD)
		return -ENOTTY;
	int64_t n = simple_request(f->private, VB_STDIO_FIONREAD, 0, 0);
	return n < 0 ? (long)n : put_user((int)n, arg);
}

static const struct file_ops stdio_stream_ops = {.read = stdio_read, .write = stdio_write, .poll = stdio_poll, .ioctl = stdio_ioctl};

/* --- regular files: the host keeps the shared offset; anything else names its own --- */

static long file_pread(const struct stdio *s, void *buf, size_t len, uint64_t pos)
{
	struct request r = {.data = buf, .size = len};
	struct vb_msg_stdio msg = {.fd = s->index, .op = VB_STDIO_PREAD, .arg0 = (int64_t)pos, .arg1 = (int64_t)len};
	int64_t result = stdio_request(&msg, NULL, 0, &r);

	return result < 0 ? (long)result : (long)r.len;
}

static long file_read_at(struct file *f, struct uio *u, uint64_t *pos)
{
	long done = 0, n = 0;
	uint8_t *buf = u->left ? kmalloc(vb_min(u->left, (size_t)REQUEST_BYTES)) : NULL;

	if (u->left && !buf)
		return -ENOMEM;
	while (u->left) {
		n = file_pread(f->private, buf, vb_min(u->left, (size_t)REQUEST_BYTES), *pos);
		if (n > 0)
			n = uio_put(u, buf, (size_t)n);
		if (n <= 0)
			break;
		done += n;
		*pos += (uint64_t)n;
	}
	kfree(buf);
	return done ? done : n;
}

static long file_write_at(struct file *f, struct uio *u, uint64_t *pos)
{
	const struct stdio *s = f->private;
	long done = 0, n = 0;
	uint8_t *buf = u->left ? kmalloc(vb_min(u->left, (size_t)REQUEST_BYTES)) : NULL;

	if (u->left && !buf)
		return -ENOMEM;
	while (u->left) {
		n = uio_get(u, buf, vb_min(u->left, (size_t)REQUEST_BYTES));
		if (n <= 0)
			break;
		struct vb_msg_stdio msg = {.fd = s->index, .op = VB_STDIO_PWRITE, .arg0 = (int64_t)*pos};
		n = (long)stdio_request(&msg, buf, (size_t)n, NULL);
		if (n <= 0)
			break;
		done += n;
		*pos += (uint64_t)n;
	}
	kfree(buf);
	return done ? done : n;
}

/* read() and write() pass the file's own position, pread() and its kin another. */
static long file_op_read(struct file *f, struct uio *u, uint64_t *pos)
{
	return pos == &f->pos ? stdio_read(f, u, pos) : file_read_at(f, u, pos);
}

static long file_op_write(struct file *f, struct uio *u, uint64_t *pos)
{
	return pos == &f->pos ? stdio_write(f, u, pos) : file_write_at(f, u, pos);
}

static int64_t file_op_seek(struct file *f, int64_t offset, int whence)
{
	return simple_request(f->private, VB_STDIO_SEEK, offset, whence);
}

static int file_op_fsync(struct file *f, bool data_only)
{
	return (int)simple_request(f->private, VB_STDIO_SYNC, 0, 0);
}

static const struct file_ops stdio_file_ops = {
	.read = file_op_read,
	.write = file_op_write,
	.seek = file_op_seek,
	.ioctl = stdio_ioctl,
	.fsync = file_op_fsync,
};

static int stdio_getattr(struct inode *inode, struct k_stat *ret)
{
	struct stdio *s = vb_container_of(inode, struct stdio, inode);
	struct vb_msg_stdio_stat st = boot->stdio[s->index].stat;
	/* What can't change need not be asked for: most programs look at their output before they write. */
	int r = s->kind == VB_STDIO_PIPE || s->kind == VB_STDIO_NULL ? 0 : fetch_request(s, VB_STDIO_STAT, &st, sizeof(st));

	if (r)
		return r;
	*ret = (struct k_stat){.dev = inode->dev,
		.ino = st.ino,
		.rdev = st.rdev,
		.size = st.size_bytes,
		.blocks = st.blocks,
		.mode = st.mode,
		.nlink = st.nlink,
		.uid = st.uid,
		.gid = st.gid,
		.blksize = (uint32_t)st.blksize,
		.atime_ns = st.atime_ns,
		.mtime_ns = st.mtime_ns,
		.ctime_ns = st.ctime_ns};
	return 0;
}

static int stdio_setattr(struct inode *inode, const struct attr_change *change)
{
	struct stdio *s = vb_container_of(inode, struct stdio, inode);

	if (!(change->valid & ATTR_SIZE))
		return -EPERM;
	return (int)simple_request(s, VB_STDIO_TRUNCATE, (int64_t)change->size, 0);
}

/* Pages for private mappings of a file: copies, as its writers are not seen. */
static int stdio_get_page(struct inode *inode, uint64_t index, bool for_write, struct file_page *ret)
{
	struct stdio *s = vb_container_of(inode, struct stdio, inode);

	if (for_write || s->kind != VB_STDIO_FILE)
		return -EACCES;
	struct page *page = page_alloc(0, true);
	if (!page)
		return -ENOMEM;
	long n = file_pread(s, page_virt(page), VB_PAGE_SIZE, index << VB_PAGE_SHIFT);
	if (n <= 0) {
		page_unref(page);
		return n ? (int)n : -ENXIO;
	}
	*ret = (struct file_page){.frame = page};
	return 0;
}

/* /dev/stdin and /proc/self/fd/N open it again: of a file that is a new open file with an offset of its own. */

static int64_t reopened_seek(struct file *f, int64_t offset, int whence)
{
	struct k_stat st;
	int r = stdio_getattr(f->inode, &st);

	return r ? r : file_default_seek(f, offset, whence, st.size);
}

static long reopened_write(struct file *f, struct uio *u, uint64_t *pos)
{
	int64_t end = f->flags & O_APPEND ? reopened_seek(f, 0, SEEK_END) : 0;

	if (end < 0)
		return (long)end;
	if (f->flags & O_APPEND)
		*pos = (uint64_t)end;
	return file_write_at(f, u, pos);
}

static const struct file_ops stdio_reopened_ops = {
	.read = file_read_at,
	.write = reopened_write,
	.seek = reopened_seek,
	.ioctl = stdio_ioctl,
	.fsync = file_op_fsync,
};

static void stdio_attach(struct file *f, struct stdio *s, const struct file_ops *file_ops)
{
	f->private = s;
	f->ops = s->kind == VB_STDIO_FILE ? file_ops : &stdio_stream_ops;
	f->seekable = f->ops->seek;
}

static int stdio_inode_open(struct inode *inode, struct file *f)
{
	stdio_attach(f, vb_container_of(inode, struct stdio, inode), &stdio_reopened_ops);
	return 0;
}

static const struct inode_ops stdio_inode_ops = {
	.getattr = stdio_getattr,
	.setattr = stdio_setattr,
	.open = stdio_inode_open,
	.get_page = stdio_get_page,
};

/* --- the host's terminal --- */

static long terminal_set(const struct stdio *s, const struct k_termios *t, int how)
{
	struct vb_msg_stdio msg = {.fd = s->index, .op = VB_STDIO_TCSETS, .arg0 = how};

	return (long)stdio_request(&msg, t, sizeof(*t), NULL);
}

static long terminal_ioctl(struct file *f, unsigned cmd, uint64_t arg)
{
	const struct stdio *s = f->private;
	struct k_termios t;
	long r;

	switch (cmd) {
	case TCGETS:
	case TCGETS2:
		r = fetch_request(s, VB_STDIO_TCGETS, &t, sizeof(t));
		return r ? r : copy_to_user(arg, &t, cmd == TCGETS ? TERMIOS_BYTES : sizeof(t));
	case TCSETS:
	case TCSETSW:
	case TCSETSF:
		r = fetch_request(s, VB_STDIO_TCGETS, &t, sizeof(t)); /* keeps the speeds */
		if (r)
			return r;
		return copy_from_user(&t, arg, TERMIOS_BYTES) ? -EFAULT : terminal_set(s, &t, (int)(cmd - TCSETS));
	case TCSETS2:
	case TCSETSW2:
	case TCSETSF2:
		return get_user(t, arg) ? -EFAULT : terminal_set(s, &t, (int)(cmd - TCSETS2));
	case TCFLSH:
		if (arg > TCIOFLUSH)
			return -EINVAL;
		if (arg == TCOFLUSH)
			return 0; /* output is with the host at once */
				  /* fall through */
	case TCSBRK:
		r = fetch_request(s, VB_STDIO_TCGETS, &t, sizeof(t));
		return r ? r : terminal_set(s, &t, cmd == TCFLSH ? 2 : 1);
	case FIONREAD:
		return stdio_ioctl(f, cmd, arg);
	case TIOCOUTQ:
		return put_user(0, arg);
	case TIOCGETD:
		return put_user(0, arg); /* N_TTY */
	default:
		return tty_ioctl(&terminal, cmd, arg);
	}
}

static const struct file_ops stdio_terminal_ops = {
	.read = stdio_read,
	.write = stdio_write,
	.poll = stdio_poll,
	.ioctl = terminal_ioctl,
};

static int terminal_open(struct tty *tty, struct file *f)
{
	f->private = &terminal_stdio;
	f->seekable = false;
	f->ops = &stdio_terminal_ops;
	return 0;
}

static int console_open(struct file *f)
{
	return terminal_stdio.in >= 0 || terminal_stdio.out >= 0 ? terminal_open(&terminal, f) : -ENXIO;
}

const struct file_ops stdio_console_ops = {.open = console_open};

void stdio_winsize(const struct vb_msg_winsize *size)
{
	tty_set_winsize(&terminal, &(struct k_winsize){size->rows, size->cols, size->xpixel, size->ypixel});
}

/* --- start --- */

/* Sorts out which host descriptors belong together: one description may be several of them; all terminals are the same one. */
static void stdio_start(void)
{
	wait_queue_init(&request_wait);
	wait_queue_init(&reply_wait);
	for (int i = 2; i >= 0; i--) {
		const struct vb_boot_stdio *b = &boot->stdio[i];
		struct stdio *s = b->kind == VB_STDIO_TTY ? &terminal_stdio : &stdios[b->same_as < 3 ? b->same_as : (unsigned)i];
		wait_queue_init(&ready_wait[i]);
		s->kind = b->kind;
		s->index = (unsigned)i;
		if (i == 0)
			s->in = 0;
		else
			s->out = i;
		if (b->kind == VB_STDIO_TTY)
			terminal.winsize = (struct k_winsize){b->rows, b->cols, 0, 0};
	}
	if (terminal_stdio.in >= 0 || terminal_stdio.out >= 0)
		tty_attach(&terminal);
}

static struct file *stdio_file_new(unsigned i)
{
	static const char *const names[3] = {"/dev/stdin", "/dev/stdout", "/dev/stderr"};
	static const uint32_t modes[] = {
		[VB_STDIO_PIPE] = S_IFIFO | 0600, [VB_STDIO_FILE] = S_IFREG | 0644, [VB_STDIO_OTHER] = S_IFCHR | 0600};
	unsigned kind = boot->stdio[i].kind, flags = boot->stdio[i].flags & (O_ACCMODE | O_APPEND);
	struct inode *inode = &stdios[i].inode;
	struct dentry *d;
	struct file *f;

	if (kind == VB_STDIO_NULL)
		return device_null ? file_new(device_null, flags, &null_ops) : NULL;
	if (kind == VB_STDIO_TTY) {
		f = device_console ? file_new(device_console, flags, &stdio_terminal_ops) : NULL;
		if (f)
			terminal_open(&terminal, f);
		return f;
	}
	if (kind == VB_STDIO_NONE || kind > VB_STDIO_OTHER)
		return NULL;
	inode_init(inode, &stdio_inode_ops, modes[kind]);
	inode->dev = STDIO_DEV;
	inode->ino = i + 1;
	inode_ref(inode);
	d = dentry_new_anonymous(kind == VB_STDIO_PIPE ? "pipe:[%lu]" : names[i], inode);
	if (!d)
		return NULL;
	f = file_new(d, flags, &stdio_stream_ops);
	dentry_unref(d);
	if (f)
		stdio_attach(f, &stdios[i], &stdio_file_ops);
	return f;
}

struct file *stdio_file(int fd)
{
	static struct file *files[3];
	unsigned same = boot->stdio[fd].same_as;

	if (fd == 0) {
		for (unsigned i = 0; i < 3; i++)
			stdios[i].in = stdios[i].out = -1;
		stdio_start();
	}
	if (same < (unsigned)fd && files[same]) {
		file_ref(files[same]);
		return files[same];
	}
	return files[fd] = stdio_file_new((unsigned)fd);
}
