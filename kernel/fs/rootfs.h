/* The root file system's inside: inodes in memory, each perhaps with an inode of the image below it.
 *
 * Invariants:
 * 1. A directory's own names are the pinned entries below its dentry: there is no other list. Its other names are those of
 *    the image's directory, less the hidden ones. No name is both.
 * 2. An inode with one below is found by its nid as long as anything holds it; once changed it is kept while it has links.
 * 3. A file's page is the one in `pages`, else (index < lower_pages) the image's, else zeros. HOLE in `pages` is zeros too.
 */
#ifndef KERNEL_FS_ROOTFS_H
#define KERNEL_FS_ROOTFS_H

#include "kernel/fs/fs_private.h"
#include "base/erofs.h"
#include "kernel/fs/page_tree.h"

struct rootfs {
	uint64_t dev;
	bool read_only;
};

struct rootfs_inode {
	struct inode inode;
	struct rootfs *fs;
	int64_t btime_ns;
	bool has_lower, kept;
	struct erofs_inode lower;
	struct rootfs_inode *hash_next;

	/* directories: positions of names below that are gone, sorted */
	uint32_t *hidden;
	unsigned hidden_count, hidden_room;

	/* files */
	struct page_tree pages;
	uint64_t own_pages, lower_pages;
	uint64_t covered; /* entries of pages at indexes below lower_pages */

	char *target; /* symbolic links */

	bool own_xattrs; /* else those below */
	struct list xattrs;
};

static inline struct rootfs_inode *rootfs_of(struct inode *inode)
{
	return vb_container_of(inode, struct rootfs_inode, inode);
}

extern struct erofs rootfs_image; /* bytes 0: none */
extern const struct file_ops rootfs_file_ops;

void rootfs_keep(struct rootfs_inode *i); /* it was changed */
int rootfs_hide(struct rootfs_inode *dir, const char *name); /* that of the image, for good; -ENOSPC */
void rootfs_give(struct dentry *d, struct inode *inode_taken); /* a name that the directory was started with */

/* rootfs_etc.c */
int rootfs_etc_lookup(struct rootfs_inode *dir, struct dentry *d); /* 1: filled in, 0: not one of these, or -errno */
void rootfs_etc_all(struct dentry *dir);

/* rootfs_file.c */
int rootfs_get_page(struct inode *inode, uint64_t index, bool for_write, struct file_page *ret);
int rootfs_truncate(struct rootfs_inode *i, uint64_t size);
void rootfs_free_pages(struct rootfs_inode *i);

/* rootfs_xattr.c */
long rootfs_getxattr(struct inode *inode, const char *name, void *buf, size_t size);
int rootfs_setxattr(struct inode *inode, const char *name, const void *buf, size_t size, int flags);
long rootfs_listxattr(struct inode *inode, char *buf, size_t size);
int rootfs_removexattr(struct inode *inode, const char *name);
void rootfs_free_xattrs(struct rootfs_inode *i);

#endif
