/* The extended attribute calls. Owns the rules of the name spaces; trusts no argument. */
#include "kernel/fs/fs_private.h"
#include "kernel/syscall/define.h"

#include <linux/inotify.h>
#include <linux/xattr.h>

enum { WANT_READ, WANT_WRITE };

static bool has_prefix(const char *name, const char *prefix)
{
	return !strncmp(name, prefix, strlen(prefix));
}

/* Who may use which name space, as fs/xattr.c of Linux has it. */
static int may_use(struct inode *inode, const char *name, int want)
{
	int denied = want == WANT_WRITE ? -EPERM : -ENODATA;

	if (want == WANT_WRITE && inode->read_only)
		return -EROFS;
	if (has_prefix(name, XATTR_SECURITY_PREFIX))
		return want == WANT_READ || capable(CAP_SYS_ADMIN) ? 0 : -EPERM;
	if (has_prefix(name, XATTR_TRUSTED_PREFIX))
		return capable(CAP_SYS_ADMIN) ? 0 : denied;
	if (!has_prefix(name, XATTR_USER_PREFIX))
		return -EOPNOTSUPP; /* no ACLs */
	if (!is_type(inode, S_IFREG) && !is_type(inode, S_IFDIR))
		return denied;
	if (is_type(inode, S_IFDIR) && inode->mode & S_ISVTX && want == WANT_WRITE && !inode_owner_or_capable(inode))
		return -EPERM;
	return inode_permission(inode, want == WANT_WRITE ? MAY_WRITE : MAY_READ);
}

static int name_from_user(char *name, uint64_t user)
{
	long len = string_from_user(name, user, XATTR_NAME_MAX + 1);

	return len == -ENAMETOOLONG || len == 0 ? -ERANGE : len < 0 ? (int)len : 0;
}

/* What a call brings along: copied in, and judged, before the object is looked for. */
struct argument {
	char name[XATTR_NAME_MAX + 1];
	void *value;
	uint64_t size;
	int flags;
};

static int argument_from_user(struct argument *a, uint64_t user_name)
{
	*a = (struct argument){0};
	return name_from_user(a->name, user_name);
}

static int argument_with_value(struct argument *a, uint64_t user_name, uint64_t user_value, uint64_t size, int flags)
{
	if (flags & ~(XATTR_CREATE | XATTR_REPLACE))
		return -EINVAL;
	int r = argument_from_user(a, user_name);

	if (r)
		return r;
	if (size > XATTR_SIZE_MAX)
		return -E2BIG;
	a->size = size;
	a->flags = flags;
	a->value = kmalloc(size + 1);
	if (!a->value)
		return -ENOMEM;
	r = size ? copy_from_user(a->value, user_value, size) : 0;
	if (r)
		kfree(a->value);
	return r;
}

static long set(struct inode *inode, const struct argument *a)
{
	int r = may_use(inode, a->name, WANT_WRITE);

	if (!r)
		r = inode->ops->setxattr ? inode->ops->setxattr(inode, a->name, a->value, a->size, a->flags) : -EOPNOTSUPP;
	kfree(a->value);
	return r;
}

static long get(struct inode *inode, const struct argument *a, uint64_t user_value, uint64_t size)
{
	long r = may_use(inode, a->name, WANT_READ);

	if (r || !inode->ops->getxattr)
		return r ? r : -EOPNOTSUPP;
	size = vb_min(size, (uint64_t)XATTR_SIZE_MAX);
	void *value = kmalloc(size + 1);

	if (!value)
		return -ENOMEM;
	r = inode->ops->getxattr(inode, a->name, value, size);
	if (r > 0 && size && copy_to_user(user_value, value, (size_t)r))
		r = -EFAULT;
	kfree(value);
	return r;
}

static long list(struct inode *inode, uint64_t user_list, uint64_t size)
{
	size = vb_min(size, (uint64_t)XATTR_LIST_MAX);
	if (!inode->ops->listxattr)
		return 0;
	char *names = kmalloc(size + 1);
	long r = names ? inode->ops->listxattr(inode, names, size) : -ENOMEM;

	if (r > 0 && size && copy_to_user(user_list, names, (size_t)r))
		r = -EFAULT;
	kfree(names);
	return r;
}

static long remove(struct inode *inode, const struct argument *a)
{
	int r = may_use(inode, a->name, WANT_WRITE);

	return r ? r : inode->ops->removexattr ? inode->ops->removexattr(inode, a->name) : -EOPNOTSUPP;
}

/* Each call comes for a path, a path whose link is not followed, and a descriptor. */
static struct dentry *of_path(uint64_t path, unsigned flags, long *ret_error)
{
	struct dentry *d = NULL;

	*ret_error = path_lookup_user(AT_FDCWD, path, flags, &d);
	return *ret_error ? NULL : d;
}

static struct dentry *of_fd(int fd, long *ret_error)
{
	struct file *f = fd_get(fd);

	if (!f) {
		*ret_error = -EBADF;
		return NULL;
	}
	dentry_ref(f->dentry);
	return f->dentry;
}

#define WITH(prepare, find, call)                                                                                                          \
	struct argument a = {0};                                                                                                           \
	long r = prepare;                                                                                                                  \
	if (r)                                                                                                                             \
		return r;                                                                                                                  \
	struct dentry *d = find;                                                                                                           \
	if (!d) {                                                                                                                          \
		kfree(a.value);                                                                                                            \
		return r;                                                                                                                  \
	}                                                                                                                                  \
	r = call;                                                                                                                          \
	dentry_unref(d);                                                                                                                   \
	return r

SYSCALL(setxattr, uint64_t path, uint64_t name, uint64_t value, uint64_t size, int flags)
{
	WITH(argument_with_value(&a, name, value, size, flags), of_path(path, WALK_FOLLOW, &r), notify(d, set(d->inode, &a), IN_ATTRIB));
}

SYSCALL(lsetxattr, uint64_t path, uint64_t name, uint64_t value, uint64_t size, int flags)
{
	WITH(argument_with_value(&a, name, value, size, flags), of_path(path, 0, &r), notify(d, set(d->inode, &a), IN_ATTRIB));
}

SYSCALL(fsetxattr, int fd, uint64_t name, uint64_t value, uint64_t size, int flags)
{
	WITH(argument_with_value(&a, name, value, size, flags), of_fd(fd, &r), notify(d, set(d->inode, &a), IN_ATTRIB));
}

SYSCALL(getxattr, uint64_t path, uint64_t name, uint64_t value, uint64_t size)
{
	WITH(argument_from_user(&a, name), of_path(path, WALK_FOLLOW, &r), get(d->inode, &a, value, size));
}

SYSCALL(lgetxattr, uint64_t path, uint64_t name, uint64_t value, uint64_t size)
{
	WITH(argument_from_user(&a, name), of_path(path, 0, &r), get(d->inode, &a, value, size));
}

SYSCALL(fgetxattr, int fd, uint64_t name, uint64_t value, uint64_t size)
{
	WITH(argument_from_user(&a, name), of_fd(fd, &r), get(d->inode, &a, value, size));
}

SYSCALL(listxattr, uint64_t path, uint64_t names, uint64_t size)
{
	WITH(0, of_path(path, WALK_FOLLOW, &r), list(d->inode, names, size));
}

SYSCALL(llistxattr, uint64_t path, uint64_t names, uint64_t size)
{
	WITH(0, of_path(path, 0, &r), list(d->inode, names, size));
}

SYSCALL(flistxattr, int fd, uint64_t names, uint64_t size)
{
	WITH(0, of_fd(fd, &r), list(d->inode, names, size));
}

SYSCALL(removexattr, uint64_t path, uint64_t name)
{
	WITH(argument_from_user(&a, name), of_path(path, WALK_FOLLOW, &r), notify(d, remove(d->inode, &a), IN_ATTRIB));
}

SYSCALL(lremovexattr, uint64_t path, uint64_t name)
{
	WITH(argument_from_user(&a, name), of_path(path, 0, &r), notify(d, remove(d->inode, &a), IN_ATTRIB));
}

SYSCALL(fremovexattr, int fd, uint64_t name)
{
	WITH(argument_from_user(&a, name), of_fd(fd, &r), notify(d, remove(d->inode, &a), IN_ATTRIB));
}
