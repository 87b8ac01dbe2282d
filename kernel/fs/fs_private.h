/* What the parts of the file system share among themselves and with its system calls. */
#ifndef KERNEL_FS_PRIVATE_H
#define KERNEL_FS_PRIVATE_H

#include "kernel/fs/fs.h"

#include <asm-generic/resource.h>
#include <linux/capability.h>
#include <linux/fcntl.h>
#include <linux/fs.h>
#include <linux/limits.h>
#include <linux/openat2.h>

#define ANONYMOUS_DEV 0xfu /* of inodes on no file system */
#define MAX_LINKS     40u  /* symbolic links followed by one walk */

enum { MAY_EXEC = 1, MAY_WRITE = 2, MAY_READ = 4 };

static inline bool is_type(const struct inode *i, uint32_t type)
{
	return (i->mode & S_IFMT) == type;
}
static inline unsigned dirent_type(uint32_t mode)
{
	return (mode & S_IFMT) >> 12;
}

/* File times may lie before 1970. */
static inline struct k_timespec signed_ns_to_timespec(int64_t ns)
{
	int64_t rest = ns % (int64_t)NSEC_PER_SEC, carry = rest < 0;

	return (struct k_timespec){ns / (int64_t)NSEC_PER_SEC - carry, rest + carry * (int64_t)NSEC_PER_SEC};
}
static inline int64_t timespec_to_signed_ns(const struct k_timespec *t) /* saturates at the ends of what 64 bits hold */
{
	int64_t ns;

	if (__builtin_mul_overflow(t->tv_sec, (int64_t)NSEC_PER_SEC, &ns) || __builtin_add_overflow(ns, t->tv_nsec, &ns))
		return t->tv_sec < 0 ? INT64_MIN : INT64_MAX;
	return ns;
}

/* inode.c */
bool in_group(uint32_t gid);
bool inode_owner_or_capable(const struct inode *inode);
int inode_change(struct inode *inode, struct attr_change *change); /* permission is already checked; drops set-id bits as Linux does */
void inode_apply(struct inode *inode, const struct attr_change *change); /* what a file in memory has: all but the size */
void inode_drop_setid(struct inode *inode);                        /* after a write */
int path_truncate(struct inode *inode, uint64_t size);
int rlimit_file_size(uint64_t pos, size_t *len); /* shortens len, or -EFBIG with SIGXFSZ */

/* dentry.c */
struct dentry *dentry_new_root(struct inode *inode); /* takes the inode, unless NULL is returned: no memory */
struct dentry *dentry_new_nameless(struct dentry *dir, const char *name, struct inode *inode); /* O_TMPFILE; takes the inode */
void dentry_drop(struct dentry *d);                                                            /* its name is gone */
void dentry_move(struct dentry *d, struct dentry *target); /* d takes target's place; target is dropped */
void dentry_exchange(struct dentry *a, struct dentry *b);
void dentry_pin(struct dentry *d);
void dentry_unpin(struct dentry *d);
bool dentry_is_below(struct dentry *d, struct dentry *ancestor); /* or the same */

/* path.c: a walk in progress */
struct walk {
	struct dentry *at;   /* referenced */
	struct dentry *root; /* borrowed: ".." stops here */
	const char *rest;
	char *buffer; /* what rest points into once a link was followed */
	unsigned links;
	uint64_t resolve; /* RESOLVE_* of openat2 */
	size_t len;
	bool slash; /* the component had a slash behind it */
	bool own;   /* not the names that a site adds */
	char name[NAME_MAX + 1];
};
int walk_start(struct walk *w, int dirfd, const char *path, uint64_t resolve);
void walk_end(struct walk *w);
int walk_to_parent(struct walk *w); /* to the directory of the last component, which is in w->name ("" for the root itself) */
int walk_enter(
	struct walk *w, struct dentry *d, bool follow);       /* takes d. 0: w->at is it; 1: a link was put before rest: go on; or -errno */
int walk_to_end(struct walk *w, bool follow);                 /* w->at is the object */
static inline bool walk_name_is_special(const struct walk *w) /* "", "." or ".." */
{
	return !w->len || (w->name[0] == '.' && (w->len == 1 || (w->len == 2 && w->name[1] == '.')));
}
int path_lookup_user(int dirfd, uint64_t user_path, unsigned flags, struct dentry **ret);

/* names.c: the calls that change directories, with all checks */
int names_may_create(struct dentry *dir);
int names_create(struct dentry *dir, struct dentry *d, uint32_t mode, uint64_t rdev);
/* Finds the place of a new name: on success w->at is its directory and *ret_d its negative entry, until names_end_create. */
int names_begin_create(struct walk *w, int dirfd, const char *path, bool directory, struct dentry **ret_d);
int names_end_create(struct walk *w, struct dentry *d, int r); /* returns r */
int names_mkdir(int dirfd, const char *path, uint32_t mode);
int names_mknod(int dirfd, const char *path, uint32_t mode, uint64_t rdev);
int names_symlink(const char *target, int dirfd, const char *path);
int names_link(struct dentry *old, int dirfd, const char *path);
int names_unlink(int dirfd, const char *path, bool directory);
int names_rename(int old_dirfd, const char *old_path, int new_dirfd, const char *new_path, unsigned flags);

/* file.c */
#define FILE_O_VALID                                                                                                                       \
	(O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_NONBLOCK | O_SYNC | O_DSYNC | FASYNC | O_DIRECT | O_LARGEFILE |  \
		O_DIRECTORY | O_NOFOLLOW | O_NOATIME | O_CLOEXEC | O_PATH | __O_TMPFILE)
int file_open_walk(int dirfd, const char *path, unsigned flags, uint32_t mode, uint64_t resolve, struct file **ret);
long file_do_read(struct file *f, struct uio *u, uint64_t *pos);
long file_do_write(struct file *f, struct uio *u, uint64_t *pos);
int64_t file_default_seek(struct file *f, int64_t offset, int whence, uint64_t size);

/* file_table.c */
bool fd_cloexec(int fd);
void fd_set_cloexec(int fd, bool on);
void file_table_close_range(unsigned first, unsigned last, bool cloexec_only);

/* locks.c */
long locks_fcntl(int fd, unsigned cmd, uint64_t arg); /* F_GETLK, F_SETLK, F_SETLKW and their OFD forms */
void locks_release_file(struct file *f);              /* flock and OFD locks go with the open file */

/* rootfs.c */
struct inode *rootfs_new_tmpfile(struct inode *dir, uint32_t mode, int *ret_error); /* linked nowhere */
struct inode *rootfs_new_memfd(uint32_t mode);
struct inode *rootfs_subtree(struct inode *dir); /* a writable file system over what the image has at dir (of the root file system) */
void rootfs_set_read_only(void);
/* A file's bytes where they lie, to be copied once: up to *ret_run of them, kept by *ret_hold if that is not NULL. NULL: they have
 * to be read. */
const void *rootfs_borrow(struct file *f, uint64_t pos, size_t *ret_run, struct page **ret_hold);

/* memfd.c: seals */
int memfd_may_write(const struct inode *inode, uint64_t end);
int memfd_may_resize(const struct inode *inode, uint64_t size);
long memfd_fcntl(struct file *f, unsigned cmd, uint64_t arg);

#endif
