/* Moving data between descriptors, and hints about it: from files of the root file system directly, else through one kernel
 * buffer. Owns nothing; trusts no argument. */
#include "kernel/fs/fs_private.h"
#include "kernel/mm/page.h"
#include "kernel/syscall/define.h"

#include <linux/fadvise.h>

long sys_readv(int fd, uint64_t vec, uint64_t count), sys_writev(int fd, uint64_t vec, uint64_t count);

enum { BUFFER_BYTES = 65536, PIECES = 16, MAX_RW = 0x7ffff000 };
enum { SPLICE_F_NONBLOCK_ = 2, SPLICE_F_KNOWN = 15 };

struct end {
	struct file *file; /* referenced */
	uint64_t pos;      /* a copy, unless the file's own is used */
	uint64_t *cursor;
	uint64_t user; /* where the position came from and goes to; 0: the file's own */
};

static int end_init(struct end *e, int fd, uint64_t user_pos)
{
	*e = (struct end){.user = user_pos};
	if (user_pos && get_user(e->pos, user_pos))
		return -EFAULT;
	e->file = fd_ref(fd);
	if (!e->file)
		return -EBADF;
	e->cursor = user_pos ? &e->pos : &e->file->pos;
	return (int64_t)e->pos < 0 ? -EINVAL : 0;
}

static long ends_done(struct end *in, struct end *out, long r)
{
	struct end *ends[] = {in, out};

	for (int i = 0; i < 2; i++) {
		if (!ends[i] || !ends[i]->file)
			continue;
		if (r >= 0 && ends[i]->user && put_user(ends[i]->pos, ends[i]->user))
			r = -EFAULT;
		file_unref(ends[i]->file);
	}
	return r;
}

static long write_all(struct end *out, char *buffer, size_t len)
{
	size_t done = 0;
	long r = 0;

	while (done < len) {
		struct uio_vec v;
		struct uio u;

		uio_init_kernel(&u, &v, buffer + done, len - done);
		r = file_do_write(out->file, &u, out->cursor);
		if (r <= 0)
			break;
		done += (size_t)r;
	}
	return done ? (long)done : r;
}

/* Writes up to len bytes from where they lie. -EAGAIN with *ret_none: they have to be read instead. */
static long transfer_directly(struct end *in, struct end *out, uint64_t len, bool *ret_none)
{
	struct uio_vec pieces[PIECES];
	struct page *held[PIECES];
	struct uio u = {.vec = pieces, .kernel = true};

	while (u.count < PIECES && u.left < len) {
		size_t run;
		const void *p = rootfs_borrow(in->file, *in->cursor + u.left, &run, &held[u.count]);
		if (!p)
			break;
		run = (size_t)vb_min((uint64_t)run, len - u.left);
		pieces[u.count++] = (struct uio_vec){(uint64_t)p, run};
		u.left += run;
	}
	unsigned count = u.count;
	*ret_none = !count;
	long r = count ? file_do_write(out->file, &u, out->cursor) : -EAGAIN;
	for (unsigned i = 0; i < count; i++)
		if (held[i])
			page_unref(held[i]);
	if (r > 0)
		*in->cursor += (uint64_t)r;
	return r;
}

/* Copies up to len bytes; stops at a short read. What was read but not written is read again later, where the file can seek. */
static long transfer(struct end *in, struct end *out, uint64_t len)
{
	uint64_t done = 0;
	char *buffer = NULL;
	bool none = false;
	long r = 0;

	while (done < len && !none) {
		r = transfer_directly(in, out, len - done, &none);
		if (r > 0)
			done += (uint64_t)r;
		else if (!none)
			return done ? (long)done : r;
	}
	if (done < len && !(buffer = kmalloc(BUFFER_BYTES)))
		r = -ENOMEM;
	while (buffer && done < len) {
		size_t step = (size_t)vb_min(len - done, (uint64_t)BUFFER_BYTES);
		struct uio_vec v;
		struct uio u;

		uio_init_kernel(&u, &v, buffer, step);
		r = file_do_read(in->file, &u, in->cursor);
		if (r <= 0)
			break;
		long got = r;

		r = write_all(out, buffer, (size_t)got);
		if (r < got && in->file->seekable)
			*in->cursor -= (uint64_t)(got - vb_max(r, 0l));
		if (r > 0)
			done += (uint64_t)r;
		if (r < (long)step)
			break;
	}
	kfree(buffer);
	return done ? (long)done : r;
}

SYSCALL(sendfile, int out_fd, int in_fd, uint64_t user_pos, uint64_t count)
{
	struct end in, out = {0};
	int r = end_init(&in, in_fd, user_pos);

	r = r ? r : end_init(&out, out_fd, 0);
	if (!r && (!in.file->readable || !out.file->writable))
		r = -EBADF;
	if (!r && user_pos && !in.file->seekable)
		r = -ESPIPE;
	if (!r && !is_type(in.file->inode, S_IFREG) && !is_type(in.file->inode, S_IFCHR))
		r = -EINVAL;
	if (!r && (int64_t)count < 0)
		r = -EINVAL;
	if (!r && out.file->flags & O_APPEND)
		r = -EINVAL;
	return ends_done(&in, &out, r ? r : transfer(&in, &out, vb_min(count, (uint64_t)MAX_RW)));
}

SYSCALL(copy_file_range, int in_fd, uint64_t in_pos, int out_fd, uint64_t out_pos, uint64_t len, unsigned flags)
{
	struct end in, out = {0};
	int r = end_init(&in, in_fd, in_pos);

	r = r ? r : end_init(&out, out_fd, out_pos);
	if (!r && flags)
		r = -EINVAL;
	if (!r && (is_type(in.file->inode, S_IFDIR) || is_type(out.file->inode, S_IFDIR)))
		r = -EISDIR;
	if (!r && (!is_type(in.file->inode, S_IFREG) || !is_type(out.file->inode, S_IFREG)))
		r = -EINVAL;
	if (!r && (!in.file->readable || !out.file->writable || out.file->flags & O_APPEND))
		r = -EBADF;
	if (!r && in.file->inode->dev != out.file->inode->dev)
		r = -EXDEV;
	if (r)
		return ends_done(&in, &out, r);
	uint64_t from = *in.cursor, to = *out.cursor, size = in.file->inode->size;

	if (from > INT64_MAX - vb_min(len, (uint64_t)INT64_MAX) || to > INT64_MAX - vb_min(len, (uint64_t)INT64_MAX))
		return ends_done(&in, &out, -EOVERFLOW);
	len = vb_min(len, from < size ? size - from : 0);
	if (in.file->inode == out.file->inode && from < to + len && to < from + len)
		return ends_done(&in, &out, -EINVAL);
	return ends_done(&in, &out, transfer(&in, &out, vb_min(len, (uint64_t)MAX_RW)));
}

static bool is_pipe(const struct file *f)
{
	return is_type(f->inode, S_IFIFO);
}

static long take_write(void *arg, struct uio *u)
{
	struct end *out = arg;

	return file_do_write(out->file, u, out->cursor);
}

/* Nothing is taken out of a pipe that is not written, nor read from elsewhere that the pipe has no room for. */
static long splice(struct end *in, struct end *out, uint64_t len, bool nonblock)
{
	if (is_pipe(in->file))
		return pipe_splice(in->file, len, false, nonblock, take_write, out);
	long room = pipe_room(out->file, nonblock);

	return room < 0 ? room : transfer(in, out, vb_min(len, (uint64_t)room));
}

SYSCALL(splice, int in_fd, uint64_t in_pos, int out_fd, uint64_t out_pos, uint64_t len, unsigned flags)
{
	struct end in, out = {0};

	if (flags & ~(unsigned)SPLICE_F_KNOWN)
		return -EINVAL;
	if (!len)
		return 0;
	int r = end_init(&in, in_fd, in_pos);

	r = r ? r : end_init(&out, out_fd, out_pos);
	if (!r && (!in.file->readable || !out.file->writable))
		r = -EBADF;
	if (!r && ((is_pipe(in.file) && in_pos) || (is_pipe(out.file) && out_pos)))
		r = -ESPIPE;
	if (!r && !is_pipe(in.file) && !is_pipe(out.file))
		r = -EINVAL;
	if (!r && ((in_pos && !in.file->seekable) || (out_pos && !out.file->seekable) || out.file->flags & O_APPEND))
		r = -EINVAL;
	if (!r && is_pipe(in.file) && is_pipe(out.file) && in.file->inode == out.file->inode)
		r = -EINVAL;
	if (r)
		return ends_done(&in, &out, r);
	return ends_done(&in, &out, splice(&in, &out, vb_min(len, (uint64_t)MAX_RW), flags & SPLICE_F_NONBLOCK_));
}

/* Both ends of a tee are pipes; what fits now is enough. */
static long take_copy(void *arg, struct uio *u)
{
	struct file *out = arg;
	long room = pipe_room(out, true);

	if (room < 0)
		return room;
	return file_do_write(out, u, &out->pos);
}

SYSCALL(tee, int in_fd, int out_fd, uint64_t len, unsigned flags)
{
	struct end in, out = {0};

	if (flags & ~(unsigned)SPLICE_F_KNOWN)
		return -EINVAL;
	if (!len)
		return 0;
	int r = end_init(&in, in_fd, 0);

	r = r ? r : end_init(&out, out_fd, 0);
	if (!r && (!in.file->readable || !out.file->writable))
		r = -EBADF;
	if (!r && (!is_pipe(in.file) || !is_pipe(out.file) || in.file->inode == out.file->inode))
		r = -EINVAL;
	bool nonblock = !r && (flags & SPLICE_F_NONBLOCK_ || (in.file->flags | out.file->flags) & O_NONBLOCK);
	long n = r ? r : pipe_room(out.file, nonblock);

	if (n > 0)
		n = pipe_splice(in.file, (size_t)vb_min(len, (uint64_t)n), true, nonblock, take_copy, out.file);
	return ends_done(&in, &out, n);
}

SYSCALL(vmsplice, int fd, uint64_t vec, uint64_t count, unsigned flags)
{
	if (flags & ~(unsigned)SPLICE_F_KNOWN)
		return -EINVAL;
	struct file *f = fd_ref(fd);
	bool ok = f && (f->readable || f->writable) && is_pipe(f), write = f && f->writable;
	unsigned kept = f ? f->flags : 0;
	long r = -EBADF;

	if (ok && flags & SPLICE_F_NONBLOCK_)
		f->flags |= O_NONBLOCK;
	if (ok)
		r = write ? sys_writev(fd, vec, count) : sys_readv(fd, vec, count);
	if (f) {
		f->flags = (f->flags & ~(unsigned)O_NONBLOCK) | (kept & O_NONBLOCK);
		file_unref(f);
	}
	return r;
}

SYSCALL(readahead, int fd, int64_t offset, uint64_t count)
{
	struct file *f = fd_get(fd);

	if (!f || !f->readable)
		return -EBADF;
	return is_type(f->inode, S_IFREG) && offset >= 0 ? 0 : -EINVAL; /* files are in memory already */
}

SYSCALL(fadvise64, int fd, int64_t offset, int64_t len, int advice)
{
	struct file *f = fd_get(fd);

	if (!f)
		return -EBADF;
	if (is_pipe(f))
		return -ESPIPE;
	return len < 0 || advice < POSIX_FADV_NORMAL || advice > POSIX_FADV_NOREUSE ? -EINVAL : 0;
}

SYSCALL(name_to_handle_at, int dirfd, uint64_t path, uint64_t handle, uint64_t mount_id, unsigned flags)
{
	return -EOPNOTSUPP; /* no file system here can be exported */
}
