/* Extended attributes of the root file system. Owns those that were set; the image's are copied up by the first change. */
#include "kernel/fs/rootfs.h"

#include <linux/xattr.h>

struct xattr {
	struct list node;
	size_t len;
	char *name;
	uint8_t value[]; /* the name follows */
};

static struct xattr *xattr_new(const char *prefix, const char *name, size_t name_len, const void *value, size_t len)
{
	size_t prefix_len = strlen(prefix);
	struct xattr *x = kmalloc(sizeof(*x) + len + prefix_len + name_len + 1);

	if (!x)
		return NULL;
	x->len = len;
	x->name = (char *)x->value + len;
	memcpy(x->value, value, len);
	memcpy(x->name, prefix, prefix_len);
	memcpy(x->name + prefix_len, name, name_len);
	x->name[prefix_len + name_len] = 0;
	return x;
}

void rootfs_free_xattrs(struct rootfs_inode *i)
{
	list_for_each_safe(x, next, &i->xattrs, struct xattr, node) {
		list_remove(&x->node);
		kfree(x);
	}
}

static struct xattr *find(struct rootfs_inode *i, const char *name)
{
	list_for_each(x, &i->xattrs, struct xattr, node)
		if (!strcmp(x->name, name))
			return x;
	return NULL;
}

static int copy_up(struct rootfs_inode *i)
{
	struct erofs_xattr below;
	int r = 0;

	for (uint32_t n = 0; !i->own_xattrs && i->has_lower && (r = erofs_xattr(&rootfs_image, &i->lower, n, &below)) > 0; n++) {
		struct xattr *x = xattr_new(below.prefix, below.name, below.name_len, below.value, below.value_len);

		if (!x) {
			rootfs_free_xattrs(i);
			return -ENOSPC;
		}
		list_push_back(&i->xattrs, &x->node);
	}
	i->own_xattrs |= r >= 0;
	return r;
}

long rootfs_getxattr(struct inode *inode, const char *name, void *buf, size_t size)
{
	struct rootfs_inode *i = rootfs_of(inode);
	int r = copy_up(i);
	struct xattr *x = r < 0 ? NULL : find(i, name);

	if (!x)
		return r < 0 ? r : -ENODATA;
	if (!size)
		return (long)x->len;
	if (size < x->len)
		return -ERANGE;
	memcpy(buf, x->value, x->len);
	return (long)x->len;
}

int rootfs_setxattr(struct inode *inode, const char *name, const void *buf, size_t size, int flags)
{
	struct rootfs_inode *i = rootfs_of(inode);
	int r = copy_up(i);
	struct xattr *old = r < 0 ? NULL : find(i, name), *x;

	if (r < 0)
		return r;
	if (old ? flags & XATTR_CREATE : flags & XATTR_REPLACE)
		return old ? -EEXIST : -ENODATA;
	x = xattr_new("", name, strlen(name), buf, size);
	if (!x)
		return -ENOSPC;
	list_push_front(&i->xattrs, &x->node);
	if (old) {
		list_remove(&old->node);
		kfree(old);
	}
	inode->ctime_ns = (int64_t)now_realtime_ns();
	rootfs_keep(i);
	return 0;
}

long rootfs_listxattr(struct inode *inode, char *buf, size_t size)
{
	struct rootfs_inode *i = rootfs_of(inode);
	size_t done = 0;
	int r = copy_up(i);

	if (r < 0)
		return r;
	list_for_each(x, &i->xattrs, struct xattr, node) {
		size_t len = strlen(x->name) + 1;

		if (size && done + len > size)
			return -ERANGE;
		if (size)
			memcpy(buf + done, x->name, len);
		done += len;
	}
	return (long)done;
}

int rootfs_removexattr(struct inode *inode, const char *name)
{
	struct rootfs_inode *i = rootfs_of(inode);
	int r = copy_up(i);
	struct xattr *x = r < 0 ? NULL : find(i, name);

	if (!x)
		return r < 0 ? r : -ENODATA;
	list_remove(&x->node);
	kfree(x);
	inode->ctime_ns = (int64_t)now_realtime_ns();
	rootfs_keep(i);
	return 0;
}
