/* Pipes and named pipes. Owns struct pipe, reached from the inode while any end is open. Trusts nothing from the program.
 *
 * As on Linux a pipe is a ring of slots of up to a page each: a write of at most PIPE_BUF bytes goes whole into one slot
 * (or whole into the rest of the last one), so it is atomic. Pages are allocated when written to.
 */
#include "kernel/fs/fs.h"
#include "kernel/mm/page.h"
#include "kernel/syscall/define.h"

#include <asm/ioctls.h>
#include <asm/signal.h>
#include <linux/capability.h>
#include <linux/fcntl.h>

#define PIPE_SLOTS     16u
#define PIPE_MAX_BYTES (1u << 20) /* without CAP_SYS_RESOURCE; /proc/sys/fs/pipe-max-size */

struct pipe_slot {
	struct page *page;
	uint16_t offset, len;
	bool packet; /* written in O_DIRECT mode: read whole or cut off, never merged with */
};

struct pipe {
	struct pipe_slot *slots;
	unsigned size, head, tail; /* slots [tail, head) modulo size are in use; size is a power of two */
	struct page *spare;        /* the last page read empty: most pipes never need another */
	unsigned readers, writers, files;
	unsigned reader_opens, writer_opens; /* how often an end was opened: tells who waits for the other end */
	struct wait_queue read_wait, write_wait;
};

static bool pipe_empty(const struct pipe *p)
{
	return p->head == p->tail;
}
static bool pipe_full(const struct pipe *p)
{
	return p->head - p->tail >= p->size;
}
static struct pipe_slot *pipe_slot(const struct pipe *p, unsigned i)
{
	return &p->slots[i & (p->size - 1)];
}

static struct pipe *pipe_new(void)
{
	struct pipe *p = kzalloc(sizeof(*p));

	if (!p)
		return NULL;
	p->slots = kzalloc(PIPE_SLOTS * sizeof(*p->slots));
	if (!p->slots) {
		kfree(p);
		return NULL;
	}
	p->size = PIPE_SLOTS;
	wait_queue_init(&p->read_wait);
	wait_queue_init(&p->write_wait);
	return p;
}

static void pipe_free(struct pipe *p)
{
	for (unsigned i = p->tail; i != p->head; i++)
		page_unref(pipe_slot(p, i)->page);
	if (p->spare)
		page_unref(p->spare);
	kfree(p->slots);
	kfree(p);
}

static void pipe_drop_slot(struct pipe *p)
{
	struct pipe_slot *s = pipe_slot(p, p->tail++);

	if (p->spare)
		page_unref(s->page);
	else
		p->spare = s->page;
}

static long pipe_read(struct file *f, struct uio *u, uint64_t *pos)
{
	struct pipe *p = f->private;
	long done = 0;

	while (u->left) {
		if (pipe_empty(p)) {
			if (done || !p->writers)
				break;
			if (f->flags & O_NONBLOCK)
				return -EAGAIN;
			int r = wait_until(&p->read_wait, !pipe_empty(p) || !p->writers, NO_DEADLINE);
			if (r)
				return r;
			continue;
		}
		bool was_full = pipe_full(p);
		struct pipe_slot *s = pipe_slot(p, p->tail);
		long n = uio_put(u, (uint8_t *)page_virt(s->page) + s->offset, vb_min((size_t)s->len, u->left));
		if (n < 0)
			return done ? done : n;
		bool packet = s->packet;
		s->offset += n;
		s->len -= n;
		done += n;
		if (packet || !s->len)
			pipe_drop_slot(p);
		if (was_full && !pipe_full(p))
			wait_queue_wake(&p->write_wait, POLL_OUT | POLL_WRNORM);
		if (packet)
			break;
	}
	return done;
}

/* The small rest of a write goes into the last slot if it fits whole. */
static long pipe_merge(struct pipe *p, struct uio *u)
{
	size_t n = u->left & (VB_PAGE_SIZE - 1);

	if (!n || pipe_empty(p))
		return 0;
	struct pipe_slot *s = pipe_slot(p, p->head - 1);
	size_t end = s->offset + s->len;
	if (s->packet || end + n > VB_PAGE_SIZE)
		return 0;
	long r = uio_get(u, (uint8_t *)page_virt(s->page) + end, n);
	if (r > 0)
		s->len += r;
	return r;
}

static long pipe_fill_slot(struct pipe *p, struct uio *u, bool packet)
{
	struct page *page = p->spare ? p->spare : page_alloc(0, false);

	if (!page)
		return -ENOMEM;
	p->spare = NULL;
	long n = uio_get(u, page_virt(page), vb_min(u->left, (size_t)VB_PAGE_SIZE));
	if (n <= 0) {
		p->spare = page;
		return n ? n : -EFAULT;
	}
	*pipe_slot(p, p->head++) = (struct pipe_slot){page, 0, n, packet};
	return n;
}

static long broken_pipe(void)
{
	signal_task(current, &SIGINFO_USER(SIGPIPE));
	return -EPIPE;
}

static long pipe_write(struct file *f, struct uio *u, uint64_t *pos)
{
	struct pipe *p = f->private;
	bool packet = f->flags & O_DIRECT;
	long done = 0;

	if (!u->left)
		return 0;
	if (!p->readers)
		return broken_pipe();
	if (!packet) {
		done = pipe_merge(p, u);
		if (done < 0)
			return done;
		if (done)
			wait_queue_wake(&p->read_wait, POLL_IN | POLL_RDNORM);
	}
	while (u->left) {
		if (!p->readers) {
			long r = broken_pipe();
			return done ? done : r;
		}
		if (pipe_full(p)) {
			if (f->flags & O_NONBLOCK)
				return done ? done : -EAGAIN;
			int r = wait_until(&p->write_wait, !pipe_full(p) || !p->readers, NO_DEADLINE);
			if (r)
				return done ? done : r;
			continue;
		}
		long n = pipe_fill_slot(p, u, packet);
		if (n < 0)
			return done ? done : n;
		done += n;
		wait_queue_wake(&p->read_wait, POLL_IN | POLL_RDNORM);
	}
	return done;
}

static bool must_not_wait(const struct file *f, bool nonblock)
{
	return nonblock || f->flags & O_NONBLOCK;
}

long pipe_room(struct file *f, bool nonblock)
{
	struct pipe *p = f->private;

	if (!p->readers)
		return broken_pipe();
	if (pipe_full(p) && must_not_wait(f, nonblock))
		return -EAGAIN;
	int r = wait_until(&p->write_wait, !pipe_full(p) || !p->readers, NO_DEADLINE);
	if (r)
		return r;
	return p->readers ? (long)((p->size - (p->head - p->tail)) * VB_PAGE_SIZE) : broken_pipe();
}

/* Offers what is in the pipe to take(), piece by piece; what it took is gone, unless it is to be kept. What is there is
 * enough: only an empty pipe is waited for. take() may sleep, so the page is held and the slot looked at again. */
long pipe_splice(struct file *f, size_t len, bool keep, bool nonblock, long (*take)(void *arg, struct uio *u), void *arg)
{
	struct pipe *p = f->private;
	long done = 0;

	if (pipe_empty(p) && p->writers && must_not_wait(f, nonblock))
		return -EAGAIN;
	int r = wait_until(&p->read_wait, !pipe_empty(p) || !p->writers, NO_DEADLINE);
	if (r)
		return r;
	for (unsigned at = p->tail; (size_t)done < len && at != p->head;) {
		struct pipe_slot s = *pipe_slot(p, at);
		struct uio_vec v;
		struct uio u;

		uio_init_kernel(&u, &v, (uint8_t *)page_virt(s.page) + s.offset, vb_min((size_t)s.len, len - (size_t)done));
		page_ref(s.page);
		long n = take(arg, &u);
		page_unref(s.page);
		if (n <= 0)
			return done ? done : n;
		done += n;
		if (keep) {
			if ((size_t)n < s.len || at - p->tail >= p->size)
				break;
			at++;
			continue;
		}
		if (at != p->tail || pipe_empty(p) || pipe_slot(p, at)->page != s.page)
			break; /* another thread read meanwhile */
		pipe_slot(p, at)->offset += n;
		pipe_slot(p, at)->len -= n;
		if (!pipe_slot(p, at)->len) {
			pipe_drop_slot(p);
			at++;
			wait_queue_wake(&p->write_wait, POLL_OUT | POLL_WRNORM);
		}
	}
	return done;
}

static unsigned pipe_poll(struct file *f, struct poll_table *table)
{
	struct pipe *p = f->private;
	unsigned events = 0;

	if (f->readable) {
		poll_add(table, f, &p->read_wait);
		if (!pipe_empty(p))
			events |= POLL_IN | POLL_RDNORM;
		if (!p->writers && f->pos != p->writer_opens)
			events |= POLL_HUP;
	}
	if (f->writable) {
		poll_add(table, f, &p->write_wait);
		if (!pipe_full(p))
			events |= POLL_OUT | POLL_WRNORM;
		if (!p->readers)
			events |= POLL_ERR;
	}
	return events;
}

static long pipe_ioctl(struct file *f, unsigned cmd, uint64_t arg)
{
	struct pipe *p = f->private;
	int n = 0;

	if (cmd != FIONREAD)
		return -ENOTTY;
	for (unsigned i = p->tail; i != p->head; i++)
		n += pipe_slot(p, i)->len;
	return put_user(n, arg);
}

static int pipe_resize(struct pipe *p, uint64_t bytes)
{
	unsigned size = 1, used = p->head - p->tail;

	if (bytes > 1u << 31)
		return -EINVAL;
	while (size * VB_PAGE_SIZE < bytes)
		size *= 2;
	if (size > p->size && size * VB_PAGE_SIZE > PIPE_MAX_BYTES && !capable(CAP_SYS_RESOURCE))
		return -EPERM;
	if (used > size)
		return -EBUSY;
	struct pipe_slot *slots = kzalloc(size * sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	for (unsigned i = 0; i < used; i++)
		slots[i] = *pipe_slot(p, p->tail + i);
	kfree(p->slots);
	p->slots = slots;
	p->size = size;
	p->tail = 0;
	p->head = used;
	wait_queue_wake(&p->write_wait, POLL_OUT | POLL_WRNORM);
	return (int)(size * VB_PAGE_SIZE);
}

static void pipe_release(struct file *f)
{
	struct pipe *p = f->private;

	p->readers -= f->readable;
	p->writers -= f->writable;
	if (--p->files == 0) {
		f->inode->pipe = NULL;
		pipe_free(p);
		return;
	}
	wait_queue_wake(&p->read_wait, POLL_IN | POLL_RDNORM | POLL_HUP);
	wait_queue_wake(&p->write_wait, POLL_OUT | POLL_WRNORM | POLL_ERR);
}

/* Opening a named pipe waits for the other end; O_RDWR is both ends. f->pos remembers how many writers had come when a
 * reader opened without waiting: no POLLHUP before the first one was there. */
static int fifo_open(struct file *f)
{
	struct pipe *p = f->inode->pipe;
	int r = 0;

	f->seekable = false;
	if (!p) {
		p = f->inode->pipe = pipe_new();
		if (!p)
			return -ENOMEM;
	}
	if (f->writable && !f->readable && !p->readers && (f->flags & O_NONBLOCK)) {
		if (!p->files) {
			f->inode->pipe = NULL;
			pipe_free(p);
		}
		return -ENXIO;
	}
	f->private = p;
	p->files++;
	p->readers += f->readable;
	p->writers += f->writable;
	p->reader_opens += f->readable;
	p->writer_opens += f->writable;
	wait_queue_wake(&p->read_wait, 0);
	wait_queue_wake(&p->write_wait, 0);
	if (f->readable && f->writable)
		return 0;
	if (f->readable && !p->writers) {
		unsigned seen = p->writer_opens;
		if (f->flags & O_NONBLOCK)
			f->pos = seen;
		else
			r = wait_until(&p->read_wait, p->writer_opens != seen, NO_DEADLINE);
	} else if (f->writable && !p->readers) {
		unsigned seen = p->reader_opens;
		r = wait_until(&p->write_wait, p->reader_opens != seen, NO_DEADLINE);
	}
	if (r)
		pipe_release(f);
	return r;
}

static const struct file_ops pipe_ops = {
	.read = pipe_read,
	.write = pipe_write,
	.ioctl = pipe_ioctl,
	.poll = pipe_poll,
	.open = fifo_open,
	.release = pipe_release,
};

const struct file_ops *pipe_fifo_ops(void)
{
	return &pipe_ops;
}

long pipe_fcntl(struct file *f, unsigned cmd, uint64_t arg)
{
	if (f->ops != &pipe_ops)
		return -EBADF;
	struct pipe *p = f->private;
	return cmd == F_SETPIPE_SZ ? pipe_resize(p, (unsigned)arg) : (long)(p->size * VB_PAGE_SIZE);
}

/* Both ends of a new pipe, referenced. */
static int pipe_create(unsigned flags, struct file **ret)
{
	struct pipe *p = pipe_new();

	if (!p)
		return -ENOMEM;
	struct file *in = file_new_anonymous("pipe:[%lu]", S_IFIFO | 0600, O_RDONLY | flags, &bad_file_ops, p);
	struct file *out = in ? file_new(in->dentry, O_WRONLY | flags, &bad_file_ops) : NULL;
	if (!out) {
		if (in)
			file_unref(in);
		pipe_free(p);
		return -ENFILE;
	}
	in->inode->pipe = p;
	in->private = out->private = p;
	in->ops = out->ops = &pipe_ops;
	in->seekable = out->seekable = false;
	p->readers = p->writers = p->reader_opens = p->writer_opens = 1;
	p->files = 2;
	ret[0] = in;
	ret[1] = out;
	return 0;
}

SYSCALL(pipe2, uint64_t fds, unsigned flags)
{
	struct file *end[2];

	if (flags & ~(O_CLOEXEC | O_NONBLOCK | O_DIRECT))
		return -EINVAL;
	int r = pipe_create(flags & ~O_CLOEXEC, end);
	return r ? r : fd_install_pair(end, flags & O_CLOEXEC, fds);
}

SYSCALL(pipe, uint64_t fds)
{
	return sys_pipe2(fds, 0);
}
