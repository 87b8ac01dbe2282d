/* stat, statx, statfs, access, readlink: questions about files. Owns nothing; trusts no argument. */
#include "kernel/fs/fs_private.h"
#include "kernel/syscall/define.h"

#include <asm/stat.h>
#include <asm/statfs.h>
#include <linux/magic.h>

#define W_OK_MASK 7

/* The object of an *at call: path relative to dirfd, or dirfd itself when the path is empty and may be. */
static int find(int dirfd, uint64_t user_path, unsigned at_flags, struct dentry **ret)
{
	char *path = NULL;
	int r = !user_path && at_flags & AT_EMPTY_PATH ? 0 : path_from_user_empty_ok(user_path, &path);

	if (r)
		return r;
	if (!path || (!*path && at_flags & AT_EMPTY_PATH)) {
		struct dentry *d = dirfd == AT_FDCWD ? current->process->fs->cwd : NULL;
		struct file *f = d ? NULL : fd_get_any(dirfd);

		kfree(path);
		if (!d && !f)
			return -EBADF;
		*ret = d ? d : f->dentry;
		dentry_ref(*ret);
		return 0;
	}
	r = path_lookup(dirfd, path, at_flags & AT_SYMLINK_NOFOLLOW ? 0 : WALK_FOLLOW, ret);
	kfree(path);
	return r;
}

static long put_stat(const struct k_stat *k, uint64_t user)
{
	struct stat s = {
		.st_dev = k->dev,
		.st_ino = k->ino,
		.st_nlink = k->nlink,
		.st_mode = k->mode,
		.st_uid = k->uid,
		.st_gid = k->gid,
		.st_rdev = k->rdev,
		.st_size = (long)k->size,
		.st_blksize = k->blksize,
		.st_blocks = (long)k->blocks,
	};
	struct k_timespec a = signed_ns_to_timespec(k->atime_ns), m = signed_ns_to_timespec(k->mtime_ns),
			  c = signed_ns_to_timespec(k->ctime_ns);

	s.st_atime = (unsigned long)a.tv_sec;
	s.st_atime_nsec = (unsigned long)a.tv_nsec;
	s.st_mtime = (unsigned long)m.tv_sec;
	s.st_mtime_nsec = (unsigned long)m.tv_nsec;
	s.st_ctime = (unsigned long)c.tv_sec;
	s.st_ctime_nsec = (unsigned long)c.tv_nsec;
	return put_user(s, user);
}

static long stat_at(int dirfd, uint64_t path, uint64_t buf, unsigned flags)
{
	struct dentry *d;
	struct k_stat k;

	if (flags & ~(unsigned)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT))
		return -EINVAL;
	int r = find(dirfd, path, flags, &d);

	if (r)
		return r;
	r = inode_getattr(d->inode, &k);
	dentry_unref(d);
	return r ? r : put_stat(&k, buf);
}

SYSCALL(stat, uint64_t path, uint64_t buf)
{
	return stat_at(AT_FDCWD, path, buf, 0);
}

SYSCALL(lstat, uint64_t path, uint64_t buf)
{
	return stat_at(AT_FDCWD, path, buf, AT_SYMLINK_NOFOLLOW);
}

SYSCALL(newfstatat, int dirfd, uint64_t path, uint64_t buf, unsigned flags)
{
	return stat_at(dirfd, path, buf, flags);
}

SYSCALL(fstat, int fd, uint64_t buf)
{
	struct file *f = fd_ref_any(fd);
	struct k_stat k;

	if (!f)
		return -EBADF;
	int r = inode_getattr(f->inode, &k);

	file_unref(f);
	return r ? r : put_stat(&k, buf);
}

static struct statx_timestamp statx_time(int64_t ns)
{
	struct k_timespec t = signed_ns_to_timespec(ns);

	return (struct statx_timestamp){.tv_sec = t.tv_sec, .tv_nsec = (uint32_t)t.tv_nsec};
}

static uint32_t dev_major(uint64_t dev)
{
	return dev >> 8 & 0xfff;
}

static uint32_t dev_minor(uint64_t dev)
{
	return (dev & 0xff) | (dev >> 12 & 0xfff00);
}

SYSCALL(statx, int dirfd, uint64_t path, unsigned flags, unsigned mask, uint64_t buf)
{
	struct dentry *d;
	struct k_stat k;

	if (mask & STATX__RESERVED || flags & ~(unsigned)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT | AT_STATX_SYNC_TYPE) ||
		(flags & AT_STATX_SYNC_TYPE) == AT_STATX_SYNC_TYPE)
		return -EINVAL;
	int r = find(dirfd, path, flags, &d);

	if (r)
		return r;
	r = inode_getattr(d->inode, &k);
	bool mount_root = d->parent == d;

	dentry_unref(d);
	if (r)
		return r;
	struct statx s = {
		.stx_mask = STATX_BASIC_STATS | (k.btime_ns ? STATX_BTIME : 0) | (mask & STATX_MNT_ID),
		.stx_blksize = k.blksize,
		.stx_nlink = k.nlink,
		.stx_uid = k.uid,
		.stx_gid = k.gid,
		.stx_mode = (uint16_t)k.mode,
		.stx_ino = k.ino,
		.stx_size = k.size,
		.stx_blocks = k.blocks,
		.stx_attributes = mount_root ? STATX_ATTR_MOUNT_ROOT : 0,
		.stx_attributes_mask = STATX_ATTR_MOUNT_ROOT,
		.stx_atime = statx_time(k.atime_ns),
		.stx_mtime = statx_time(k.mtime_ns),
		.stx_ctime = statx_time(k.ctime_ns),
		.stx_btime = statx_time(k.btime_ns),
		.stx_rdev_major = dev_major(k.rdev),
		.stx_rdev_minor = dev_minor(k.rdev),
		.stx_dev_major = dev_major(k.dev),
		.stx_dev_minor = dev_minor(k.dev),
		.stx_mnt_id = k.dev,
	};

	return put_user(s, buf);
}

static long statfs_of(struct inode *inode, uint64_t buf)
{
	struct k_statfs k = {.type = is_type(inode, S_IFIFO)    ? PIPEFS_MAGIC
				     : is_type(inode, S_IFSOCK) ? SOCKFS_MAGIC
								: ANON_INODE_FS_MAGIC,
		.bsize = VB_PAGE_SIZE,
		.namelen = NAME_MAX};
	int r = inode->ops->statfs ? inode->ops->statfs(inode, &k) : 0;

	if (r)
		return r;
	struct statfs s = {
		.f_type = (long)k.type,
		.f_bsize = (long)k.bsize,
		.f_blocks = (long)k.blocks,
		.f_bfree = (long)k.bfree,
		.f_bavail = (long)k.bavail,
		.f_files = (long)k.files,
		.f_ffree = (long)k.ffree,
		.f_fsid = {{(int)k.fsid, (int)(k.fsid >> 32)}},
		.f_namelen = (long)k.namelen,
		.f_frsize = (long)k.bsize,
		.f_flags = (long)k.flags,
	};

	return put_user(s, buf);
}

SYSCALL(statfs, uint64_t path, uint64_t buf)
{
	struct dentry *d;
	long r = path_lookup_user(AT_FDCWD, path, WALK_FOLLOW, &d);

	if (r)
		return r;
	r = statfs_of(d->inode, buf);
	dentry_unref(d);
	return r;
}

SYSCALL(fstatfs, int fd, uint64_t buf)
{
	struct file *f = fd_ref_any(fd);

	if (!f)
		return -EBADF;
	long r = statfs_of(f->inode, buf);

	file_unref(f);
	return r;
}

SYSCALL(ustat, unsigned dev, uint64_t buf)
{
	struct {
		int32_t tfree;
		uint64_t tinode;
		char name[6], pack[6];
	} u = {0};
	struct k_statfs k;
	struct inode *root = current->process->fs->root->inode;

	if (dev != root->dev)
		return -EINVAL; /* the one file system with a device number that programs can know */
	int r = root->ops->statfs(root, &k);

	if (r)
		return r;
	u.tfree = (int32_t)k.bfree;
	u.tinode = k.ffree;
	return put_user(u, buf);
}

/* access(2) asks for the real user, faccessat2 perhaps for the effective one. */
static long access_at(int dirfd, uint64_t path, unsigned mode, unsigned flags)
{
	struct creds saved = current->creds, *c = &current->creds;
	struct dentry *d;

	if (mode & ~(unsigned)W_OK_MASK || flags & ~(unsigned)(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	if (!(flags & AT_EACCESS)) {
		c->fsuid = c->ruid;
		c->fsgid = c->rgid;
		c->cap_effective = c->ruid ? 0 : c->cap_permitted;
	}
	int r = find(dirfd, path, flags, &d);

	if (!r) {
		r = mode ? inode_permission(d->inode, (int)mode) : 0;
		dentry_unref(d);
	}
	current->creds = saved;
	return r;
}

SYSCALL(access, uint64_t path, unsigned mode)
{
	return access_at(AT_FDCWD, path, mode, 0);
}

SYSCALL(faccessat, int dirfd, uint64_t path, unsigned mode)
{
	return access_at(dirfd, path, mode, 0);
}

SYSCALL(faccessat2, int dirfd, uint64_t path, unsigned mode, unsigned flags)
{
	return access_at(dirfd, path, mode, flags);
}

SYSCALL(readlinkat, int dirfd, uint64_t path, uint64_t buf, int size)
{
	char *target;
	struct dentry *d;
	char first;

	if (size <= 0)
		return -EINVAL;
	long r = find(dirfd, path, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH, &d);

	if (r)
		return r;
	if (!is_type(d->inode, S_IFLNK) || !d->inode->ops->readlink) {
		r = !get_user(first, path) && !first ? -ENOENT : -EINVAL;
		dentry_unref(d);
		return r;
	}
	target = kmalloc(PATH_MAX);
	r = target ? d->inode->ops->readlink(d->inode, target, PATH_MAX) : -ENOMEM;
	dentry_unref(d);
	if (r > 0) {
		r = vb_min(r, (long)size);
		if (copy_to_user(buf, target, (size_t)r))
			r = -EFAULT;
	}
	kfree(target);
	return r;
}

SYSCALL(readlink, uint64_t path, uint64_t buf, int size)
{
	return sys_readlinkat(AT_FDCWD, path, buf, size);
}
