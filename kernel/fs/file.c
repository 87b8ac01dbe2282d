/* Open files: making, opening with all checks, reading and writing through them. Owns struct file's counts; trusts the back ends. */
#include "kernel/fs/fs_private.h"

#include <asm/signal.h>
#include <linux/inotify.h>

static int64_t directory_seek(struct file *f, int64_t offset, int whence)
{
	if (whence == SEEK_CUR)
		offset += (int64_t)f->pos;
	else if (whence != SEEK_SET)
		return -EINVAL;
	return offset < 0 ? -EINVAL : (int64_t)(f->pos = (uint64_t)offset);
}

const struct file_ops bad_file_ops;
const struct file_ops directory_ops = {.seek = directory_seek};

struct file *file_new(struct dentry *d, unsigned flags, const struct file_ops *ops)
{
	struct file *f = kzalloc(sizeof(*f));

	if (!f)
		return NULL;
	dentry_ref(d);
	inode_ref(d->inode);
	*f = (struct file){.refs = 1, .ops = ops ? ops : &bad_file_ops, .dentry = d, .inode = d->inode};
	f->flags = flags & ~(unsigned)(O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC);
	f->readable = (flags & O_ACCMODE) == O_RDONLY || (flags & O_ACCMODE) == O_RDWR;
	f->writable = (flags & O_ACCMODE) == O_WRONLY || (flags & O_ACCMODE) == O_RDWR;
	f->seekable = f->ops->seek;
	list_init(&f->epolls);
	return f;
}

static void free_inode(struct inode *inode)
{
	kfree(inode);
}

static int set_anonymous(struct inode *inode, const struct attr_change *change)
{
	if (!(inode->mode & S_IFMT))
		return -EOPNOTSUPP;
	inode_apply(inode, change);
	return 0;
}

struct file *file_new_anonymous(const char *name, uint32_t mode, unsigned flags, const struct file_ops *ops, void *private)
{
	static const struct inode_ops anonymous_ops = {.setattr = set_anonymous, .release = free_inode};
	struct inode *inode = kmalloc(sizeof(*inode));

	if (!inode)
		return NULL;
	inode_init(inode, &anonymous_ops, mode);
	struct dentry *d = dentry_new_anonymous(name, inode);
	struct file *f = d ? file_new(d, flags, ops) : NULL;

	if (f)
		f->private = private;
	if (d)
		dentry_unref(d);
	return f;
}

void file_ref(struct file *f)
{
	f->refs++;
}

void file_unref(struct file *f)
{
	KASSERT(f->refs);
	if (--f->refs)
		return;
	if (!(f->flags & O_PATH))
		notify(f->dentry, 0, f->writable ? IN_CLOSE_WRITE : IN_CLOSE_NOWRITE);
	if (!list_empty(&f->epolls))
		epoll_file_released(f);
	if (f->inode->locks)
		locks_release_file(f);
	if (f->ops->release)
		f->ops->release(f);
	inode_unref(f->inode);
	dentry_unref(f->dentry);
	kfree(f);
}

void file_signal_io(struct file *f)
{
	if (!f || !(f->flags & FASYNC) || !f->owner)
		return;
	int sig = f->owner_sig ? f->owner_sig : SIGIO;
	struct process *p = process_by_pid(f->owner < 0 ? -f->owner : f->owner);
	if (p)
		signal_process(p, &SIGINFO_KERNEL(sig));
}

/* What the type of the file makes of it. */
static int open_by_type(struct file *f)
{
	struct inode *inode = f->inode;
	int r = 0;

	if (inode->ops->open) {
		f->ops = inode->file_ops ? inode->file_ops : &bad_file_ops;
		f->seekable = f->ops->seek;
		r = inode->ops->open(inode, f);
	} else {
		switch (inode->mode & S_IFMT) {
		case S_IFCHR:
			f->ops = device_ops(inode->rdev);
			break;
		case S_IFIFO:
			f->ops = pipe_fifo_ops();
			break;
		case S_IFDIR:
			f->ops = inode->file_ops ? inode->file_ops : &directory_ops;
			break;
		default:
			f->ops = inode->file_ops;
			break;
		}
		if (!f->ops)
			r = -ENXIO;
		else
			f->seekable = f->ops->seek;
		if (!r && f->ops->open)
			r = f->ops->open(f);
	}
	if (r)
		f->ops = &bad_file_ops; /* nothing to release */
	return r;
}

int file_open(struct dentry *d, unsigned flags, struct file **ret)
{
	struct file *f = file_new(d, flags, NULL);

	if (!f)
		return -ENOMEM;
	if (flags & O_PATH) {
		f->readable = f->writable = false;
	} else {
		f->flags |= O_LARGEFILE | (flags & O_NOCTTY); /* the latter for terminals' open only */
		int r = open_by_type(f);

		f->flags &= ~(unsigned)O_NOCTTY;
		if (r) {
			f->flags |= O_PATH; /* never was open */
			file_unref(f);
			return r;
		}
		notify(d, 0, IN_OPEN);
	}
	*ret = f;
	return 0;
}

static int may_open(struct dentry *d, unsigned flags, bool created)
{
	struct inode *inode = d->inode;
	int mask = (flags & O_ACCMODE) == O_RDONLY ? MAY_READ : (flags & O_ACCMODE) == O_WRONLY ? MAY_WRITE : MAY_READ | MAY_WRITE;

	if (flags & O_TRUNC)
		mask |= MAY_WRITE;
	if (flags & O_DIRECTORY && !is_type(inode, S_IFDIR))
		return -ENOTDIR;
	if (flags & O_PATH)
		return 0;
	if (is_type(inode, S_IFLNK))
		return -ELOOP;
	if (is_type(inode, S_IFDIR) && (mask & MAY_WRITE || flags & O_CREAT))
		return -EISDIR;
	int r = created ? 0 : inode_permission(inode, mask);

	if (r)
		return r;
	if (is_type(inode, S_IFSOCK) || is_type(inode, S_IFBLK))
		return -ENXIO;
	return flags & O_NOATIME && !inode_owner_or_capable(inode) ? -EPERM : 0;
}

enum { CREATE_TRIES = 16 };

/* The walk of an open that may create. On success w->at is the object. */
static int walk_creating(struct walk *w, unsigned flags, uint32_t mode, bool *ret_created)
{
	for (unsigned lost = 0;;) {
		struct dentry *d;
		int r = lost ? 0 : walk_to_parent(w);

		if (r)
			return r;
		if (walk_name_is_special(w))
			return flags & O_EXCL ? -EEXIST : -EISDIR;
		if (w->slash)
			return -EISDIR;
		r = dentry_lookup(w->at, w->name, w->len, &d);
		if (r)
			return r;
		if (d->inode && flags & O_EXCL)
			r = -EEXIST;
		if (!d->inode) {
			r = names_may_create(w->at);
			r = r ? r : names_create(w->at, d, S_IFREG | (mode & 07777 & ~current->process->fs->umask), 0);
			*ret_created = !r;
		}
		if (r) {
			dentry_unref(d);
			/* On a volume another thread or the host was faster: then it is there to be opened. */
			if (r == -EEXIST && !(flags & O_EXCL) && ++lost < CREATE_TRIES)
				continue;
			return r;
		}
		lost = 0;
		r = walk_enter(w, d, !(flags & O_NOFOLLOW));
		if (r <= 0)
			return r;
	}
}

static int open_tmpfile(struct dentry *dir, unsigned flags, uint32_t mode, struct file **ret)
{
	char name[24];
	int r = is_type(dir->inode, S_IFDIR) ? inode_permission(dir->inode, MAY_WRITE | MAY_EXEC) : -ENOTDIR;

	if (r)
		return r;
	struct inode *inode = rootfs_new_tmpfile(dir->inode, S_IFREG | (mode & 07777 & ~current->process->fs->umask), &r);

	if (!inode)
		return r;
	inode->linkable = !(flags & O_EXCL);
	vb_snprintf(name, sizeof(name), "#%llu", (unsigned long long)inode->ino);
	struct dentry *d = dentry_new_nameless(dir, name, inode);

	r = d ? file_open(d, flags & ~(unsigned)O_DIRECTORY, ret) : -ENOMEM;
	if (d)
		dentry_unref(d);
	return r;
}

int file_open_walk(int dirfd, const char *path, unsigned flags, uint32_t mode, uint64_t resolve, struct file **ret)
{
	struct walk w;
	bool created = false;

	flags &= FILE_O_VALID;
	if (flags & O_PATH)
		flags &= O_DIRECTORY | O_NOFOLLOW | O_PATH | O_CLOEXEC;
	if (flags & __O_TMPFILE && ((flags & (O_TMPFILE | O_CREAT)) != O_TMPFILE || !(flags & O_ACCMODE)))
		return -EINVAL;
	if ((flags & (O_CREAT | O_DIRECTORY)) == (O_CREAT | O_DIRECTORY))
		return -EINVAL;
	int r = *path ? walk_start(&w, dirfd, path, resolve) : -ENOENT;

	if (r)
		return r;
	r = flags & O_CREAT ? walk_creating(&w, flags, mode, &created) : walk_to_end(&w, !(flags & O_NOFOLLOW));
	if (!r && flags & __O_TMPFILE) {
		r = open_tmpfile(w.at, flags, mode, ret);
	} else if (!r) {
		struct file *f;

		r = may_open(w.at, flags, created);
		r = r ? r : file_open(w.at, flags, &f);
		if (!r && flags & O_TRUNC && !created && is_type(f->inode, S_IFREG)) {
			r = (int)notify(f->dentry, path_truncate(f->inode, 0), IN_MODIFY);
			if (r)
				file_unref(f);
		}
		if (!r)
			*ret = f;
	}
	walk_end(&w);
	return r;
}

int file_open_at(int dirfd, const char *path, unsigned flags, uint32_t mode, struct file **ret)
{
	return file_open_walk(dirfd, path, flags, mode, 0, ret);
}

static long moved(struct file *f, long r, uint32_t mask)
{
	return r > 0 ? notify(f->dentry, r, mask) : r;
}

long file_do_read(struct file *f, struct uio *u, uint64_t *pos)
{
	if (!f->readable)
		return -EBADF;
	if (!f->ops->read)
		return is_type(f->inode, S_IFDIR) ? -EISDIR : -EINVAL;
	return moved(f, f->ops->read(f, u, pos), IN_ACCESS);
}

long file_do_write(struct file *f, struct uio *u, uint64_t *pos)
{
	if (!f->writable)
		return -EBADF;
	if (!f->ops->write)
		return -EINVAL;
	if (is_type(f->inode, S_IFREG) && u->left) {
		if (f->flags & O_APPEND)
			*pos = f->inode->size;
		size_t left = u->left, allowed = left;
		int r = memfd_may_write(f->inode, *pos + left);

		r = r ? r : rlimit_file_size(*pos, &allowed);
		if (r)
			return r;
		if (f->inode->mode & (S_ISUID | S_ISGID))
			inode_drop_setid(f->inode);
		u->left = allowed;
	}
	return moved(f, f->ops->write(f, u, pos), IN_MODIFY);
}

long file_read(struct file *f, void *kernel_buf, size_t len, uint64_t pos)
{
	size_t done = 0;

	while (done < len && f->ops->read) {
		struct uio_vec v;
		struct uio u;

		uio_init_kernel(&u, &v, (char *)kernel_buf + done, len - done);
		long n = f->ops->read(f, &u, &pos); /* advances pos */

		if (n <= 0)
			return n < 0 && !done ? n : (long)done;
		done += (size_t)n;
	}
	return done || !len ? (long)done : -EINVAL;
}

int64_t file_seek_nothing(struct file *f, int64_t offset, int whence)
{
	return (int64_t)(f->pos = 0);
}

/* lseek for a file of known size without holes. */
int64_t file_default_seek(struct file *f, int64_t offset, int whence, uint64_t size)
{
	switch (whence) {
	case SEEK_SET:
		break;
	case SEEK_CUR:
		if (__builtin_add_overflow(offset, (int64_t)f->pos, &offset))
			return -EOVERFLOW;
		break;
	case SEEK_END:
		if (__builtin_add_overflow(offset, (int64_t)size, &offset))
			return -EOVERFLOW;
		break;
	case SEEK_DATA:
	case SEEK_HOLE:
		if (offset < 0 || (uint64_t)offset >= size)
			return -ENXIO;
		offset = whence == SEEK_DATA ? offset : (int64_t)size;
		break;
	default:
		return -EINVAL;
	}
	return offset < 0 ? -EINVAL : (int64_t)(f->pos = (uint64_t)offset);
}
