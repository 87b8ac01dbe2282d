/* read, write and their families. Owns nothing; every user address and count is hostile. */
#include "kernel/fs/fs_private.h"
#include "kernel/mm/mm.h"
#include "kernel/syscall/define.h"

#define MAX_RW  0x7ffff000ul /* as Linux: one call moves at most this */
#define IOV_MAX 1024

static long finish(struct file *f, long r)
{
	file_unref(f);
	return r;
}

/* Memory that maps a volume's file can't be faulted in while it is being copied: when nothing could be moved, do it here. */
static long move(struct file *f, struct uio *u, uint64_t *pos, bool write)
{
	for (bool again = false;; again = true) {
		long r = write ? file_do_write(f, u, pos) : file_do_read(f, u, pos);

		if (r != -EFAULT || again || !u->count ||
			mm_populate(current->process->mm, u->vec->base, vb_min(u->vec->len, u->left), write ? PROT_R : PROT_W))
			return r;
	}
}

/* lseek does nothing on eventfd and its like; reading somewhere is wrong there. */
static bool has_positions(const struct file *f)
{
	return f->seekable && f->inode->mode & S_IFMT;
}

/* Found out before addresses are looked at. */
static bool can_move(const struct file *f, bool write)
{
	return write ? f->ops->write != NULL : f->ops->read || is_type(f->inode, S_IFDIR);
}

/* The checks of every transfer, in Linux's order. at: at a position of its own, which not every file has. */
static int may_transfer(struct file *f, const uint64_t *at, bool write)
{
	if (at && !has_positions(f))
		return f->readable || f->writable ? -ESPIPE : -EBADF;
	if (write ? !f->writable : !f->readable)
		return -EBADF;
	return can_move(f, write) ? 0 : -EINVAL;
}

static long simple(int fd, uint64_t buf, uint64_t len, const uint64_t *at, bool write)
{
	struct file *f = fd_ref(fd);
	struct uio_vec v;
	struct uio u;
	uint64_t pos;

	if (!f)
		return -EBADF;
	int r = may_transfer(f, at, write);

	if (r)
		return finish(f, r);
	if (!user_range_ok(buf, len))
		return finish(f, -EFAULT);
	uio_init_user(&u, &v, buf, vb_min(len, MAX_RW));
	if (!at)
		return finish(f, move(f, &u, &f->pos, write));
	pos = *at;
	return finish(f, move(f, &u, &pos, write));
}

SYSCALL(read, int fd, uint64_t buf, uint64_t len)
{
	return simple(fd, buf, len, NULL, false);
}

SYSCALL(write, int fd, uint64_t buf, uint64_t len)
{
	return simple(fd, buf, len, NULL, true);
}

SYSCALL(pread64, int fd, uint64_t buf, uint64_t len, uint64_t pos)
{
	return (int64_t)pos < 0 ? -EINVAL : simple(fd, buf, len, &pos, false);
}

SYSCALL(pwrite64, int fd, uint64_t buf, uint64_t len, uint64_t pos)
{
	return (int64_t)pos < 0 ? -EINVAL : simple(fd, buf, len, &pos, true);
}

/* Copies an iovec array in and checks it as Linux does. *ret is `small` or kmalloc'ed. */
static int vector_from_user(uint64_t user, uint64_t count, struct uio_vec *small, unsigned small_count, struct uio *u)
{
	struct uio_vec *v = small;
	size_t total = 0;

	if (count > IOV_MAX)
		return -EINVAL;
	if (count > small_count && !(v = kmalloc(count * sizeof(*v))))
		return -ENOMEM;
	int r = count ? copy_from_user(v, user, count * sizeof(*v)) : 0;

	for (unsigned i = 0; !r && i < count; i++) {
		if ((int64_t)v[i].len < 0)
			r = -EINVAL;
		else if (!user_range_ok(v[i].base, v[i].len))
			r = -EFAULT;
		else
			total += v[i].len = vb_min(v[i].len, MAX_RW - total);
	}
	if (r) {
		if (v != small)
			kfree(v);
		return r;
	}
	*u = (struct uio){.vec = v, .count = (unsigned)count, .left = total};
	return 0;
}

/* Whatever O_NONBLOCK says: files that aren't in memory, and terminals. */
static bool may_wait(const struct inode *inode)
{
	return is_type(inode, S_IFREG) ? !inode->ops->get_page || inode->ops->get_page_sleeps : is_type(inode, S_IFCHR);
}

static long vectored(int fd, uint64_t vec, uint64_t count, const uint64_t *at, int flags, bool write)
{
	struct uio_vec small[8];
	struct uio u;
	struct file *f = fd_ref(fd);

	if (!f)
		return -EBADF;
	int r = may_transfer(f, at, write);

	if (!r)
		r = vector_from_user(vec, count, small, VB_ARRAY_LEN(small), &u);
	if (r)
		return finish(f, r);
	if (flags & ~(RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_NOWAIT | RWF_APPEND))
		r = -EOPNOTSUPP;
	else if (flags & RWF_NOWAIT && may_wait(f->inode))
		r = -EOPNOTSUPP;
	struct uio_vec *start = u.vec;
	uint64_t pos = at ? *at : 0, *cursor = at ? &pos : &f->pos;
	unsigned old_flags = f->flags;

	f->flags |= (write && flags & RWF_APPEND ? O_APPEND : 0) | (flags & RWF_NOWAIT ? O_NONBLOCK : 0);
	long n = r || !u.left ? r : move(f, &u, cursor, write);

	f->flags = (f->flags & ~(unsigned)(O_APPEND | O_NONBLOCK)) | (old_flags & (O_APPEND | O_NONBLOCK));
	if (start != small)
		kfree(start);
	return finish(f, n);
}

SYSCALL(readv, int fd, uint64_t vec, uint64_t count)
{
	return vectored(fd, vec, count, NULL, 0, false);
}

SYSCALL(writev, int fd, uint64_t vec, uint64_t count)
{
	return vectored(fd, vec, count, NULL, 0, true);
}

SYSCALL(preadv, int fd, uint64_t vec, uint64_t count, uint64_t pos)
{
	return (int64_t)pos < 0 ? -EINVAL : vectored(fd, vec, count, &pos, 0, false);
}

SYSCALL(pwritev, int fd, uint64_t vec, uint64_t count, uint64_t pos)
{
	return (int64_t)pos < 0 ? -EINVAL : vectored(fd, vec, count, &pos, 0, true);
}

SYSCALL(preadv2, int fd, uint64_t vec, uint64_t count, uint64_t pos, uint64_t pos_high, int flags)
{
	return (int64_t)pos < -1 ? -EINVAL : vectored(fd, vec, count, pos == UINT64_MAX ? NULL : &pos, flags, false);
}

SYSCALL(pwritev2, int fd, uint64_t vec, uint64_t count, uint64_t pos, uint64_t pos_high, int flags)
{
	return (int64_t)pos < -1 ? -EINVAL : vectored(fd, vec, count, pos == UINT64_MAX ? NULL : &pos, flags, true);
}

SYSCALL(lseek, int fd, int64_t offset, unsigned whence)
{
	struct file *f = fd_ref(fd);

	if (!f)
		return -EBADF;
	if (whence > SEEK_HOLE)
		return finish(f, -EINVAL);
	return finish(f, f->seekable && f->ops->seek ? (long)f->ops->seek(f, offset, (int)whence) : -ESPIPE);
}
