/* Changing attributes: mode, owner, times, size; and syncing. Owns nothing; trusts no argument. */
#include "kernel/fs/fs_private.h"
#include "kernel/syscall/define.h"

#include <linux/falloc.h>
#include <linux/inotify.h>

SYSCALL(umask, unsigned mask)
{
	uint32_t old = current->process->fs->umask;

	current->process->fs->umask = mask & 0777;
	return old;
}

static long change_mode(struct dentry *d, uint32_t mode)
{
	struct inode *inode = d->inode;
	struct attr_change change = {.valid = ATTR_MODE, .mode = mode & 07777};

	if (inode->read_only)
		return -EROFS;
	if (is_type(inode, S_IFLNK))
		return -EOPNOTSUPP;
	if (!inode_owner_or_capable(inode))
		return -EPERM;
	if (!in_group(inode->gid) && !capable(CAP_FSETID))
		change.mode &= ~(uint32_t)S_ISGID;
	return notify(d, inode_change(inode, &change), IN_ATTRIB);
}

static int change_mode_at(int dirfd, uint64_t path, unsigned mode, unsigned flags)
{
	struct dentry *d;
	int r = path_lookup_user(dirfd, path, walk_flags(flags), &d);

	if (r)
		return r;
	r = (int)change_mode(d, mode);
	dentry_unref(d);
	return r;
}

SYSCALL(chmod, uint64_t path, unsigned mode)
{
	return change_mode_at(AT_FDCWD, path, mode, 0);
}

SYSCALL(fchmodat, int dirfd, uint64_t path, unsigned mode)
{
	return change_mode_at(dirfd, path, mode, 0);
}

SYSCALL(fchmodat2, int dirfd, uint64_t path, unsigned mode, unsigned flags)
{
	if (flags & ~(unsigned)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	return change_mode_at(dirfd, path, mode, flags);
}

static long finish(struct file *f, long r)
{
	file_unref(f);
	return r;
}

SYSCALL(fchmod, int fd, unsigned mode)
{
	struct file *f = fd_ref(fd);

	return f ? finish(f, change_mode(f->dentry, mode)) : -EBADF;
}

static long change_owner(struct dentry *d, uint32_t uid, uint32_t gid)
{
	struct inode *inode = d->inode;
	const uint32_t keep = ~0u;
	struct attr_change change = {.valid = ATTR_UID, .uid = uid == keep ? inode->uid : uid};

	if (gid != keep) {
		change.valid |= ATTR_GID;
		change.gid = gid;
	}
	if (inode->read_only)
		return -EROFS;
	bool owner = current->creds.fsuid == inode->uid;
	bool uid_ok = uid == keep || (owner && uid == inode->uid), gid_ok = gid == keep || (owner && (gid == inode->gid || in_group(gid)));

	if ((!uid_ok || !gid_ok) && !capable(CAP_CHOWN))
		return -EPERM;
	int r = inode_change(inode, &change);

	return uid == keep && gid == keep ? r : notify(d, r, IN_ATTRIB);
}

SYSCALL(fchownat, int dirfd, uint64_t path, uint32_t uid, uint32_t gid, unsigned flags)
{
	struct dentry *d;

	if (flags & ~(unsigned)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	int r = path_lookup_user(dirfd, path, walk_flags(flags), &d);

	if (r)
		return r;
	r = (int)change_owner(d, uid, gid);
	dentry_unref(d);
	return r;
}

SYSCALL(chown, uint64_t path, uint32_t uid, uint32_t gid)
{
	return sys_fchownat(AT_FDCWD, path, uid, gid, 0);
}

SYSCALL(lchown, uint64_t path, uint32_t uid, uint32_t gid)
{
	return sys_fchownat(AT_FDCWD, path, uid, gid, AT_SYMLINK_NOFOLLOW);
}

SYSCALL(fchown, int fd, uint32_t uid, uint32_t gid)
{
	struct file *f = fd_ref(fd);

	return f ? finish(f, change_owner(f->dentry, uid, gid)) : -EBADF;
}

/* --- times --- */

#define UTIME_NOW  0x3fffffffl
#define UTIME_OMIT 0x3ffffffel

static bool nanoseconds_ok(int64_t ns)
{
	return ns == UTIME_NOW || ns == UTIME_OMIT || (uint64_t)ns < NSEC_PER_SEC;
}

/* times NULL: now, which also those may set who may only write. */
static long change_times(struct dentry *d, const struct k_timespec *times)
{
	struct inode *inode = d->inode;
	struct attr_change change = {.valid = ATTR_ATIME | ATTR_MTIME};
	bool now = !times || (times[0].tv_nsec == UTIME_NOW && times[1].tv_nsec == UTIME_NOW);

	if (times && (!nanoseconds_ok(times[0].tv_nsec) || !nanoseconds_ok(times[1].tv_nsec)))
		return -EINVAL;
	if (inode->read_only)
		return -EROFS;
	change.atime_ns = change.mtime_ns = (int64_t)now_realtime_ns();
	if (times) {
		if (times[0].tv_nsec == UTIME_OMIT)
			change.valid &= ~(unsigned)ATTR_ATIME;
		else if (times[0].tv_nsec != UTIME_NOW)
			change.atime_ns = timespec_to_signed_ns(&times[0]);
		if (times[1].tv_nsec == UTIME_OMIT)
			change.valid &= ~(unsigned)ATTR_MTIME;
		else if (times[1].tv_nsec != UTIME_NOW)
			change.mtime_ns = timespec_to_signed_ns(&times[1]);
	}
	bool both = change.valid & ATTR_ATIME && change.valid & ATTR_MTIME;

	if (!inode_owner_or_capable(inode)) {
		int r = now ? inode_permission(inode, MAY_WRITE) : -EPERM;

		if (r)
			return r;
	}
	return notify(d, inode_change(inode, &change), both ? IN_ATTRIB : change.valid & ATTR_MTIME ? IN_MODIFY : IN_ACCESS);
}

static int change_times_at(int dirfd, uint64_t path, const struct k_timespec *times, unsigned flags)
{
	struct dentry *d;

	if (times && times[0].tv_nsec == UTIME_OMIT && times[1].tv_nsec == UTIME_OMIT)
		return 0;
	if (flags & ~(unsigned)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	if (!path && dirfd != AT_FDCWD) {
		struct file *f = flags ? NULL : fd_ref(dirfd);

		return flags ? -EINVAL : f ? (int)finish(f, change_times(f->dentry, times)) : -EBADF;
	}
	int r = path_lookup_user(dirfd, path, walk_flags(flags), &d);

	if (r)
		return r;
	r = (int)change_times(d, times);
	dentry_unref(d);
	return r;
}

SYSCALL(utimensat, int dirfd, uint64_t path, uint64_t user_times, unsigned flags)
{
	struct k_timespec times[2];

	if (user_times && copy_from_user(times, user_times, sizeof(times)))
		return -EFAULT;
	return change_times_at(dirfd, path, user_times ? times : NULL, flags);
}

SYSCALL(futimesat, int dirfd, uint64_t path, uint64_t user_times)
{
	struct k_timeval micro[2];
	struct k_timespec times[2];

	if (user_times && copy_from_user(micro, user_times, sizeof(micro)))
		return -EFAULT;
	for (int i = 0; user_times && i < 2; i++) {
		if ((uint64_t)micro[i].tv_usec >= 1000000)
			return -EINVAL;
		times[i] = (struct k_timespec){micro[i].tv_sec, micro[i].tv_usec * 1000};
	}
	return change_times_at(dirfd, path, user_times ? times : NULL, 0);
}

SYSCALL(utimes, uint64_t path, uint64_t times)
{
	return sys_futimesat(AT_FDCWD, path, times);
}

SYSCALL(utime, uint64_t path, uint64_t user_times)
{
	int64_t seconds[2];

	if (user_times && copy_from_user(seconds, user_times, sizeof(seconds)))
		return -EFAULT;
	struct k_timespec times[2] = {{user_times ? seconds[0] : 0, 0}, {user_times ? seconds[1] : 0, 0}};

	return change_times_at(AT_FDCWD, path, user_times ? times : NULL, 0);
}

/* --- size --- */

SYSCALL(truncate, uint64_t path, int64_t size)
{
	struct dentry *d;

	if (size < 0)
		return -EINVAL;
	int r = path_lookup_user(AT_FDCWD, path, WALK_FOLLOW, &d);

	if (r)
		return r;
	if (!is_type(d->inode, S_IFREG))
		r = is_type(d->inode, S_IFDIR) ? -EISDIR : -EINVAL;
	r = r ? r : inode_permission(d->inode, MAY_WRITE);
	r = r ? r : (int)notify(d, path_truncate(d->inode, (uint64_t)size), IN_MODIFY);
	dentry_unref(d);
	return r;
}

SYSCALL(ftruncate, int fd, int64_t size)
{
	if (size < 0)
		return -EINVAL;
	struct file *f = fd_ref(fd);

	if (!f)
		return -EBADF;
	return finish(f, !f->writable || !is_type(f->inode, S_IFREG)
				 ? -EINVAL
				 : notify(f->dentry, path_truncate(f->inode, (uint64_t)size), IN_MODIFY));
}

SYSCALL(fallocate, int fd, int mode, int64_t offset, int64_t len)
{
	struct file *f = fd_ref(fd);
	const int moving = FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE;
	const int known = moving | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE | FALLOC_FL_UNSHARE_RANGE;
	int what = mode & ~FALLOC_FL_KEEP_SIZE, keep = mode & FALLOC_FL_KEEP_SIZE;

	if (!f)
		return -EBADF;
	if (offset < 0 || len <= 0)
		return finish(f, -EINVAL);
	if (what & ~known || what & (what - 1) || (what == FALLOC_FL_PUNCH_HOLE && !keep) || (what & moving && keep))
		return finish(f, -EOPNOTSUPP);
	if (!f->writable)
		return finish(f, -EBADF);
	if (is_type(f->inode, S_IFIFO))
		return finish(f, -ESPIPE);
	if (is_type(f->inode, S_IFDIR))
		return finish(f, -EISDIR);
	if (!is_type(f->inode, S_IFREG))
		return finish(f, -ENODEV);
	uint64_t end;

	if (__builtin_add_overflow((uint64_t)offset, (uint64_t)len, &end) || end > INT64_MAX)
		return finish(f, -EFBIG);
	size_t room = (size_t)len;

	if (!(mode & FALLOC_FL_KEEP_SIZE) && end > f->inode->size && (rlimit_file_size((uint64_t)offset, &room) || room < (size_t)len))
		return finish(f, -EFBIG);
	int r = f->ops->fallocate ? f->ops->fallocate(f, mode, (uint64_t)offset, (uint64_t)len) : -EOPNOTSUPP;

	return finish(f, notify(f->dentry, r, IN_MODIFY));
}

/* --- syncing --- */

static long sync_file(int fd, bool data_only)
{
	struct file *f = fd_ref(fd);

	if (!f)
		return -EBADF;
	return finish(f, f->ops->fsync ? f->ops->fsync(f, data_only) : -EINVAL);
}

SYSCALL(fsync, int fd)
{
	return sync_file(fd, false);
}

SYSCALL(fdatasync, int fd)
{
	return sync_file(fd, true);
}

/* Files are memory, and volumes write through: nothing is ever behind. */
SYSCALL(sync, void)
{
	return 0;
}

SYSCALL(syncfs, int fd)
{
	struct file *f = fd_ref(fd);

	return f ? finish(f, 0) : -EBADF;
}

SYSCALL(sync_file_range, int fd, int64_t offset, int64_t len, unsigned flags)
{
	struct file *f = fd_ref(fd);
	int64_t end;

	if (!f)
		return -EBADF;
	if (flags & ~7u || offset < 0 || len < 0 || __builtin_add_overflow(offset, len, &end))
		return finish(f, -EINVAL);
	if (!is_type(f->inode, S_IFREG) && !is_type(f->inode, S_IFDIR) && !is_type(f->inode, S_IFBLK) && !is_type(f->inode, S_IFLNK))
		return finish(f, -ESPIPE);
	return finish(f, f->ops->fsync ? f->ops->fsync(f, true) : 0);
}
