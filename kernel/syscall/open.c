/* Descriptors: open, close, dup, fcntl, ioctl, close_range. Owns nothing; trusts no argument. */
#include "kernel/fs/fs_private.h"
#include "kernel/syscall/define.h"

#include <asm/ioctls.h>
#include <linux/close_range.h>

static long open_path(int dirfd, uint64_t user_path, unsigned flags, uint32_t mode, uint64_t resolve)
{
	struct file *f;
	char *path;
	long r = path_from_user(user_path, &path);

	if (r)
		return r;
	r = file_open_walk(dirfd, path, flags, mode, resolve, &f);
	kfree(path);
	if (r)
		return r;
	r = fd_install(f, 0, flags & O_CLOEXEC);
	if (r < 0)
		file_unref(f);
	return r;
}

SYSCALL(open, uint64_t path, unsigned flags, unsigned mode)
{
	return open_path(AT_FDCWD, path, flags, mode, 0);
}

SYSCALL(creat, uint64_t path, unsigned mode)
{
	return open_path(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode, 0);
}

SYSCALL(openat, int dirfd, uint64_t path, unsigned flags, unsigned mode)
{
	return open_path(dirfd, path, flags, mode, 0);
}

SYSCALL(openat2, int dirfd, uint64_t path, uint64_t user_how, uint64_t size)
{
	struct open_how how = {0};
	uint8_t rest;

	if (size < sizeof(how))
		return -EINVAL;
	if (size > VB_PAGE_SIZE)
		return -E2BIG;
	if (copy_from_user(&how, user_how, sizeof(how)))
		return -EFAULT;
	for (uint64_t at = sizeof(how); at < size; at++) {
		if (get_user(rest, user_how + at))
			return -EFAULT;
		if (rest)
			return -E2BIG;
	}
	const uint64_t resolve_known =
		RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH | RESOLVE_IN_ROOT | RESOLVE_CACHED;
	const uint64_t may_create = O_CREAT | __O_TMPFILE;

	if (how.flags & ~(uint64_t)FILE_O_VALID || how.resolve & ~resolve_known ||
		(how.resolve & RESOLVE_BENEATH && how.resolve & RESOLVE_IN_ROOT))
		return -EINVAL;
	if (how.flags & may_create ? how.mode & ~07777ull : how.mode)
		return -EINVAL;
	if (how.flags & O_PATH && how.flags & ~(uint64_t)(O_DIRECTORY | O_NOFOLLOW | O_PATH | O_CLOEXEC))
		return -EINVAL;
	if (how.resolve & RESOLVE_CACHED && how.flags & (O_TRUNC | may_create))
		return -EAGAIN;
	return open_path(dirfd, path, (unsigned)how.flags, (uint32_t)how.mode, how.resolve);
}

SYSCALL(close, int fd)
{
	return fd_close(fd);
}

SYSCALL(close_range, unsigned first, unsigned last, unsigned flags)
{
	if (flags & ~(unsigned)(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC) || first > last)
		return -EINVAL;
	if (flags & CLOSE_RANGE_UNSHARE && current->process->thread_count > 1)
		return -ENOMEM; /* threads can't have tables of their own */
	file_table_close_range(first, last, flags & CLOSE_RANGE_CLOEXEC);
	return 0;
}

static long dup_from(int fd, int min, bool cloexec)
{
	struct file *f = fd_ref_any(fd);

	if (!f)
		return -EBADF;
	int r = fd_install(f, min, cloexec);

	if (r < 0)
		file_unref(f);
	return r;
}

SYSCALL(dup, int fd)
{
	return dup_from(fd, 0, false);
}

static long dup_to(int from, int to, bool cloexec)
{
	struct file *f = fd_ref_any(from);

	if (!f)
		return -EBADF;
	int r = fd_install_at(f, to, cloexec);

	if (r < 0)
		file_unref(f);
	return r;
}

SYSCALL(dup2, int from, int to)
{
	if (from == to)
		return fd_get_any(from) ? to : -EBADF;
	return dup_to(from, to, false);
}

SYSCALL(dup3, int from, int to, unsigned flags)
{
	if (flags & ~(unsigned)O_CLOEXEC || from == to)
		return -EINVAL;
	return dup_to(from, to, flags & O_CLOEXEC);
}

static long set_flags(struct file *f, unsigned flags)
{
	const unsigned changeable = O_APPEND | O_NONBLOCK | O_NDELAY | FASYNC | O_DIRECT | O_NOATIME;

	if (flags & O_NOATIME && !(f->flags & O_NOATIME) && !inode_owner_or_capable(f->inode))
		return -EPERM;
	flags = (f->flags & ~changeable) | (flags & changeable);
	int r = f->ops->set_flags ? f->ops->set_flags(f, flags) : 0;

	if (!r)
		f->flags = flags;
	return r;
}

static long owner_ex(struct file *f, unsigned cmd, uint64_t arg)
{
	struct f_owner_ex owner;

	if (cmd == F_GETOWN_EX) {
		owner = (struct f_owner_ex){f->owner < 0 ? F_OWNER_PGRP : F_OWNER_PID, f->owner < 0 ? -f->owner : f->owner};
		return put_user(owner, arg);
	}
	if (get_user(owner, arg))
		return -EFAULT;
	if (owner.type < F_OWNER_TID || owner.type > F_OWNER_PGRP)
		return -EINVAL;
	if (owner.pid && owner.type != F_OWNER_PGRP && !task_by_tid(owner.pid))
		return -ESRCH;
	f->owner = owner.type == F_OWNER_PGRP ? -owner.pid : owner.pid;
	return 0;
}

static long set_owner(struct file *f, int who)
{
	if (who == INT32_MIN)
		return -EINVAL;
	if (who > 0 && !task_by_tid(who))
		return -ESRCH;
	f->owner = who;
	return 0;
}

SYSCALL(fcntl, int fd, unsigned cmd, uint64_t arg)
{
	struct file *f = fd_get_any(fd);

	if (!f)
		return -EBADF;
	if (f->flags & O_PATH && cmd != F_DUPFD && cmd != F_DUPFD_CLOEXEC && cmd != F_GETFD && cmd != F_SETFD && cmd != F_GETFL)
		return -EBADF;
	switch (cmd) {
	case F_DUPFD:
	case F_DUPFD_CLOEXEC:
		if (arg >= current->process->rlimit[RLIMIT_NOFILE].cur || arg > INT32_MAX)
			return -EINVAL;
		return dup_from(fd, (int)arg, cmd == F_DUPFD_CLOEXEC);
	case F_GETFD:
		return fd_cloexec(fd) ? FD_CLOEXEC : 0;
	case F_SETFD:
		fd_set_cloexec(fd, arg & FD_CLOEXEC);
		return 0;
	case F_GETFL:
		return f->flags;
	case F_SETFL:
		return set_flags(f, (unsigned)arg);
	case F_GETLK:
	case F_SETLK:
	case F_SETLKW:
	case F_OFD_GETLK:
	case F_OFD_SETLK:
	case F_OFD_SETLKW:
		return locks_fcntl(fd, cmd, arg);
	case F_GETOWN:
		return f->owner;
	case F_SETOWN:
		return set_owner(f, (int)arg);
	case F_GETOWN_EX:
	case F_SETOWN_EX:
		return owner_ex(f, cmd, arg);
	case F_GETSIG:
		return f->owner_sig;
	case F_SETSIG:
		if (arg > SIG_COUNT)
			return -EINVAL;
		f->owner_sig = (int)arg;
		return 0;
	case F_GETLEASE:
		return F_UNLCK; /* nobody can take one */
	case F_GETPIPE_SZ:
	case F_SETPIPE_SZ:
		return pipe_fcntl(f, cmd, arg);
	case F_ADD_SEALS:
	case F_GET_SEALS:
		return memfd_fcntl(f, cmd, arg);
	default:
		return -EINVAL;
	}
}

SYSCALL(ioctl, int fd, unsigned cmd, uint64_t arg)
{
	struct file *f = fd_ref(fd);
	int value = 0;
	long r = 0;

	if (!f)
		return -EBADF;
	switch (cmd) {
	case FIOCLEX:
	case FIONCLEX:
		fd_set_cloexec(fd, cmd == FIOCLEX);
		break;
	case FIONBIO:
	case FIOASYNC: {
		unsigned flag = cmd == FIONBIO ? O_NONBLOCK : FASYNC;

		r = get_user(value, arg);
		r = r ? r : set_flags(f, value ? f->flags | flag : f->flags & ~flag);
		break;
	}
	case FIGETBSZ:
		r = put_user((int)VB_PAGE_SIZE, arg);
		break;
	case FIONREAD:
		if (is_type(f->inode, S_IFREG)) {
			value = (int)(f->inode->size - f->pos);
			r = put_user(value, arg);
			break;
		}
		__attribute__((fallthrough));
	default:
		r = f->ops->ioctl ? f->ops->ioctl(f, cmd, arg) : -ENOTTY;
	}
	file_unref(f);
	return r;
}
