/* Directories: reading them, changing into them, and the calls that make, link, rename and remove names. Trusts no argument. */
#include "kernel/fs/fs_private.h"
#include "kernel/fs/site.h"
#include "kernel/syscall/define.h"

#include <linux/inotify.h>

struct getdents {
	uint64_t at, left;
	bool old_layout; /* getdents: the type is the last byte */
	int error;       /* once nothing more fits: 0, -EFAULT, or -EINVAL when not even one did */
	bool some;
};

static bool emit_entry(void *arg, const char *name, size_t len, uint64_t ino, unsigned type, uint64_t next_pos)
{
	struct getdents *g = arg;
	uint8_t entry[24 + NAME_MAX + 8] __attribute__((aligned(8)));
	size_t header = g->old_layout ? 18 : 19;
	uint16_t bytes = (uint16_t)((header + len + 1 + g->old_layout + 7) & ~7ul);

	if (len > NAME_MAX)
		return true;
	if (bytes > g->left) {
		g->error = g->some ? 0 : -EINVAL;
		return false;
	}
	memset(entry + bytes - 8, 0, 8);
	memcpy(entry, &ino, 8);
	memcpy(entry + 8, &next_pos, 8);
	memcpy(entry + 16, &bytes, 2);
	entry[18] = (uint8_t)type;
	memcpy(entry + header, name, len);
	entry[header + len] = 0;
	if (g->old_layout)
		entry[bytes - 1] = (uint8_t)type;
	if (copy_to_user(g->at, entry, bytes)) {
		g->error = g->some ? 0 : -EFAULT;
		return false;
	}
	g->at += bytes;
	g->left -= bytes;
	g->some = true;
	return true;
}

static long read_entries(int fd, uint64_t buf, unsigned size, bool old_layout)
{
	struct getdents g = {.at = buf, .left = size, .old_layout = old_layout};
	struct file *f = fd_ref(fd);

	if (!f)
		return -EBADF;
	int r = !is_type(f->inode, S_IFDIR) || !f->ops->readdir ? -ENOTDIR
		: f->dentry->unlinked                           ? -ENOENT
		: site_active && site_owns_position(f)          ? 0
								: f->ops->readdir(f, &f->pos, emit_entry, &g);

	if (!r && site_active && !g.some && !g.error)
		r = site_readdir(f, emit_entry, &g);
	notify(f->dentry, r, IN_ACCESS);
	file_unref(f);
	return r ? r : g.error ? g.error : (long)(size - g.left);
}

SYSCALL(getdents64, int fd, uint64_t buf, unsigned size)
{
	return read_entries(fd, buf, size, false);
}

SYSCALL(getdents, int fd, uint64_t buf, unsigned size)
{
	return read_entries(fd, buf, size, true);
}

SYSCALL(getcwd, uint64_t buf, uint64_t size)
{
	static char path[PATH_MAX]; /* nothing sleeps while it is in use */
	struct dentry *cwd = current->process->fs->cwd;

	if (cwd->unlinked)
		return -ENOENT;
	long len = dentry_path(cwd, path, sizeof(path), false);

	if (len < 0)
		return len;
	if ((uint64_t)len + 1 > size)
		return -ERANGE;
	return copy_to_user(buf, path, (size_t)len + 1) ? -EFAULT : len + 1;
}

static long change_dir(struct dentry **where, struct dentry *d) /* takes d */
{
	int r = is_type(d->inode, S_IFDIR) ? inode_permission(d->inode, MAY_EXEC) : -ENOTDIR;

	if (r) {
		dentry_unref(d);
		return r;
	}
	dentry_unref(*where);
	*where = d;
	return 0;
}

SYSCALL(chdir, uint64_t path)
{
	struct dentry *d;
	int r = path_lookup_user(AT_FDCWD, path, WALK_FOLLOW | WALK_DIRECTORY, &d);

	return r ? r : change_dir(&current->process->fs->cwd, d);
}

SYSCALL(fchdir, int fd)
{
	struct file *f = fd_get_any(fd);

	if (!f)
		return -EBADF;
	dentry_ref(f->dentry);
	return change_dir(&current->process->fs->cwd, f->dentry);
}

SYSCALL(chroot, uint64_t path)
{
	struct dentry *d;
	int r = path_lookup_user(AT_FDCWD, path, WALK_FOLLOW | WALK_DIRECTORY, &d);

	if (!r && !capable(CAP_SYS_CHROOT)) {
		dentry_unref(d);
		r = -EPERM;
	}
	return r ? r : change_dir(&current->process->fs->root, d);
}

SYSCALL(mkdirat, int dirfd, uint64_t user_path, unsigned mode)
{
	char *path;
	int r = path_from_user(user_path, &path);

	if (r)
		return r;
	r = names_mkdir(dirfd, path, mode);
	kfree(path);
	return r;
}

SYSCALL(mkdir, uint64_t path, unsigned mode)
{
	return sys_mkdirat(AT_FDCWD, path, mode);
}

SYSCALL(mknodat, int dirfd, uint64_t user_path, unsigned mode, unsigned dev)
{
	char *path;
	int r = path_from_user(user_path, &path);

	if (r)
		return r;
	r = names_mknod(dirfd, path, mode & 0177777, dev);
	kfree(path);
	return r;
}

SYSCALL(mknod, uint64_t path, unsigned mode, unsigned dev)
{
	return sys_mknodat(AT_FDCWD, path, mode, dev);
}

SYSCALL(unlinkat, int dirfd, uint64_t user_path, unsigned flags)
{
	char *path;

	if (flags & ~(unsigned)AT_REMOVEDIR)
		return -EINVAL;
	int r = path_from_user(user_path, &path);

	if (r)
		return r;
	r = names_unlink(dirfd, path, flags & AT_REMOVEDIR);
	kfree(path);
	return r;
}

SYSCALL(unlink, uint64_t path)
{
	return sys_unlinkat(AT_FDCWD, path, 0);
}

SYSCALL(rmdir, uint64_t path)
{
	return sys_unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

SYSCALL(symlinkat, uint64_t user_target, int dirfd, uint64_t user_path)
{
	char *target, *path;
	int r = path_from_user(user_target, &target);

	if (r)
		return r;
	r = path_from_user(user_path, &path);
	if (!r) {
		r = names_symlink(target, dirfd, path);
		kfree(path);
	}
	kfree(target);
	return r;
}

SYSCALL(symlink, uint64_t target, uint64_t path)
{
	return sys_symlinkat(target, AT_FDCWD, path);
}

SYSCALL(linkat, int old_dirfd, uint64_t old_path, int dirfd, uint64_t user_path, unsigned flags)
{
	struct dentry *old;
	char *path;

	if (flags & ~(unsigned)(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	if (flags & AT_EMPTY_PATH && !capable(CAP_DAC_READ_SEARCH))
		return -ENOENT;
	unsigned walk = (flags & AT_SYMLINK_FOLLOW ? WALK_FOLLOW : 0) | (flags & AT_EMPTY_PATH ? WALK_EMPTY_PATH : 0);
	int r = path_lookup_user(old_dirfd, old_path, walk, &old);

	if (r)
		return r;
	r = path_from_user(user_path, &path);
	if (!r) {
		r = names_link(old, dirfd, path);
		kfree(path);
	}
	dentry_unref(old);
	return r;
}

SYSCALL(link, uint64_t old, uint64_t path)
{
	return sys_linkat(AT_FDCWD, old, AT_FDCWD, path, 0);
}

SYSCALL(renameat2, int old_dirfd, uint64_t user_old, int new_dirfd, uint64_t user_new, unsigned flags)
{
	char *old, *new;
	int r = path_from_user(user_old, &old);

	if (r)
		return r;
	r = path_from_user(user_new, &new);
	if (!r) {
		r = names_rename(old_dirfd, old, new_dirfd, new, flags);
		kfree(new);
	}
	kfree(old);
	return r;
}

SYSCALL(renameat, int old_dirfd, uint64_t old, int new_dirfd, uint64_t new)
{
	return sys_renameat2(old_dirfd, old, new_dirfd, new, 0);
}

SYSCALL(rename, uint64_t old, uint64_t new)
{
	return sys_renameat2(AT_FDCWD, old, AT_FDCWD, new, 0);
}

/* The mount tree is the blueprint's, not the program's. */
SYSCALL(mount, uint64_t source, uint64_t target)
{
	return -EPERM;
}

SYSCALL(umount2, uint64_t target, unsigned flags)
{
	return -EPERM;
}

SYSCALL(pivot_root, uint64_t new_root, uint64_t put_old)
{
	return -EPERM;
}
