/* The virtual file system: inodes, directory entries, open files, file tables, path walks.
 *
 * Objects are reference counted. Back ends (rootfs, proc, 9P volumes, pipes, sockets ...) implement inode_ops and
 * file_ops; every function that may sleep says so. File contents that programs can map live in page-indexed caches
 * reached by get_page.
 */
#ifndef KERNEL_FS_FS_H
#define KERNEL_FS_FS_H

#include <linux/stat.h>

#include "kernel/kernel.h"
#include "kernel/task/task.h"

struct inode;
struct dentry;
struct file;
struct page;

/* --- data in flight: one or more pieces of user or kernel memory, consumed from the front --- */
struct uio_vec { uint64_t base, len; };
struct uio {
	struct uio_vec *vec;
	unsigned count;
	size_t left;  /* bytes not yet moved */
	bool kernel;  /* base are kernel addresses */
};
void uio_init_user(struct uio *u, struct uio_vec *one, uint64_t base, size_t len);
void uio_init_kernel(struct uio *u, struct uio_vec *one, void *base, size_t len);
/* Move up to n bytes out of / into kernel memory; return the bytes moved, or -EFAULT if none could be. */
long uio_put(struct uio *u, const void *src, size_t n);  /* towards the program (read) */
long uio_put_zero(struct uio *u, size_t n);
long uio_get(struct uio *u, void *dst, size_t n);        /* from the program (write) */

/* --- inodes --- */
struct k_stat { /* what stat, statx and the rest need */
	uint64_t dev, ino, rdev, size, blocks;
	uint32_t mode, nlink, uid, gid, blksize;
	int64_t atime_ns, mtime_ns, ctime_ns, btime_ns;
};
struct k_statfs { uint64_t type, bsize, blocks, bfree, bavail, files, ffree, fsid, namelen, flags; };

enum { ATTR_MODE = 1, ATTR_UID = 2, ATTR_GID = 4, ATTR_SIZE = 8, ATTR_ATIME = 16, ATTR_MTIME = 32, ATTR_CTIME = 64 };
struct attr_change { unsigned valid; uint32_t mode, uid, gid; uint64_t size; int64_t atime_ns, mtime_ns, ctime_ns; };

/* A page of a file as it gets mapped: a frame (reference given to the caller) or a page of the image. */
struct file_page { struct page *frame; uint64_t image_offset; };

/* emit returns false when the caller's buffer is full: stop and keep the position. */
typedef bool dir_emit(void *arg, const char *name, size_t len, uint64_t ino, unsigned type, uint64_t next_pos);

struct inode_ops { /* any may be NULL: -EPERM/-ENOTDIR/-EINVAL as Linux says for the type. All may sleep. */
	int (*lookup)(struct inode *dir, struct dentry *d);             /* fills d->inode or leaves it NULL (negative); 0 or -errno */
	int (*create)(struct inode *dir, struct dentry *d, uint32_t mode, uint64_t rdev); /* files, nodes, fifos, sockets */
	int (*mkdir)(struct inode *dir, struct dentry *d, uint32_t mode);
	int (*symlink)(struct inode *dir, struct dentry *d, const char *target);
	int (*link)(struct inode *dir, struct dentry *d, struct inode *target);
	int (*unlink)(struct inode *dir, struct dentry *d);
	int (*rmdir)(struct inode *dir, struct dentry *d);
	int (*rename)(struct inode *old_dir, struct dentry *old_d, struct inode *new_dir, struct dentry *new_d, unsigned flags);
	long (*readlink)(struct inode *inode, char *buf, size_t size);  /* length, not terminated */
	struct dentry *(*follow)(struct inode *inode);                  /* magic links (/proc/self/fd/N): a referenced dentry, or NULL */
	int (*getattr)(struct inode *inode, struct k_stat *ret);        /* NULL: from the inode's fields */
	int (*setattr)(struct inode *inode, const struct attr_change *change); /* NULL: -EPERM. Permission is already checked */
	int (*open)(struct inode *inode, struct file *file);            /* sets file->ops / private; NULL: nothing to do */
	/* -ENXIO beyond the end; for_write: a frame that is the file's own. May call mm_inode_invalidate for the page when it replaces it. */
	int (*get_page)(struct inode *inode, uint64_t index, bool for_write, struct file_page *ret);
	bool get_page_sleeps;                                           /* get_page may sleep (9P): mm then never calls it where it may not */
	int (*statfs)(struct inode *inode, struct k_statfs *ret);
	long (*getxattr)(struct inode *inode, const char *name, void *buf, size_t size);
	int (*setxattr)(struct inode *inode, const char *name, const void *buf, size_t size, int flags);
	long (*listxattr)(struct inode *inode, char *buf, size_t size);
	int (*removexattr)(struct inode *inode, const char *name);
	void (*dirty_page)(struct inode *inode, uint64_t index);        /* a writable shared mapping was made; 9P writes back */
	void (*write_back)(struct inode *inode);                        /* a shared mapping goes: what was stored through it is due. May sleep; NULL: nothing to do */
	void (*release)(struct inode *inode);                           /* last reference */
	bool (*revalidate)(struct dentry *d);                           /* of the directory that d (maybe negative) is in. false: forget this entry and look it up again */
};

struct inode {
	unsigned refs;
	const struct inode_ops *ops;
	const struct file_ops *file_ops; /* given to opened files */
	uint64_t ino, dev, rdev;
	uint32_t mode, uid, gid, nlink;
	uint64_t size;
	int64_t atime_ns, mtime_ns, ctime_ns;
	struct list mappings;  /* struct area of shared and private maps; owned by mm */
	void *locks;           /* posix and flock locks; owned by fs/locks.c */
	void *pipe;            /* of a fifo; owned by fs/pipe.c */
	void *socket;          /* bound unix socket; owned by net/unix.c */
	void *watches;         /* of inotify; owned by fs/inotify.c */
	bool read_only;        /* on a read-only file system: EROFS */
	bool linkable;         /* O_TMPFILE: may get a first name */
	unsigned seals;        /* F_SEAL_*, of a memfd */
	uint64_t image_nid;    /* EROFS inode behind it (0: none), for call-site tables */
	/* back ends embed this struct in theirs */
};
void inode_init(struct inode *inode, const struct inode_ops *ops, uint32_t mode);
void inode_ref(struct inode *inode);
void inode_unref(struct inode *inode);
int inode_getattr(struct inode *inode, struct k_stat *ret);
int inode_permission(struct inode *inode, int mask); /* 4 read, 2 write, 1 execute: against fsuid/fsgid/groups and capabilities */

/* --- directory entries: a tree, each holding its parent --- */
struct dentry {
	unsigned refs;
	struct dentry *parent; /* itself at the root */
	char *name;
	struct inode *inode;   /* NULL: negative */
	struct dentry *mounted; /* root of what is mounted here */
	struct dentry *mount_point; /* of a mounted root: where */
	struct list children, sibling;
	bool unlinked;
	bool pinned;           /* held by its file system, which has it nowhere else */
	uint64_t position;     /* for readdir; owned by the file system */
	struct dentry *hash_next;
	uint32_t hash;
	struct list lru;       /* while unreferenced: kept for the next lookup */
};
void dentry_ref(struct dentry *d);
void dentry_unref(struct dentry *d);
void dentry_instantiate(struct dentry *d, struct inode *inode); /* takes the inode reference */
/* Absolute path inside the current root, " (deleted)" appended if unlinked and mark_deleted. Length without NUL, or -ENAMETOOLONG. */
long dentry_path(struct dentry *d, char *buf, size_t size, bool mark_deleted);
struct dentry *dentry_new_anonymous(const char *name, struct inode *inode); /* pipe:[1], socket:[2], anon_inode:[eventpoll]; takes the inode */

struct fs_context { struct dentry *root, *cwd; uint32_t umask; };

enum { WALK_FOLLOW = 1, WALK_DIRECTORY = 2, WALK_EMPTY_PATH = 4 };
unsigned walk_flags(unsigned at_flags); /* AT_SYMLINK_NOFOLLOW and AT_EMPTY_PATH, as calls have them */
/* Resolves path (kernel string) relative to dirfd (AT_FDCWD or open directory). Referenced dentry (never negative) or -errno. May sleep. */
int path_lookup(int dirfd, const char *path, unsigned flags, struct dentry **ret);
/* Copies a path from the program: -EFAULT, -ENAMETOOLONG; -ENOENT when empty. *ret is kmalloc'ed. */
int path_from_user(uint64_t addr, char **ret);
int path_from_user_empty_ok(uint64_t addr, char **ret);
/* The entry `name` of a directory: referenced, negative if there is none yet. May sleep. */
int dentry_lookup(struct dentry *dir, const char *name, size_t len, struct dentry **ret);
int dentry_lookup_own(struct dentry *dir, const char *name, size_t len, struct dentry **ret); /* without the names of a site */

/* --- open files --- */
#define POLL_IN 0x001u
#define POLL_PRI 0x002u
#define POLL_OUT 0x004u
#define POLL_ERR 0x008u
#define POLL_HUP 0x010u
#define POLL_NVAL 0x020u
#define POLL_RDNORM 0x040u
#define POLL_WRNORM 0x100u
#define POLL_RDHUP 0x2000u

/* Collects the wait queues of a file that is being polled. NULL: just ask. */
struct poll_table { void (*add)(struct poll_table *table, struct file *file, struct wait_queue *q); };
static inline void poll_add(struct poll_table *t, struct file *f, struct wait_queue *q) { if (t) t->add(t, f, q); }

struct file_ops { /* any may be NULL: -EINVAL, or -EBADF/-ESPIPE/-ENOTTY as Linux says. May sleep unless noted. */
	long (*read)(struct file *f, struct uio *u, uint64_t *pos);  /* pos NULL: not seekable */
	long (*write)(struct file *f, struct uio *u, uint64_t *pos);
	int64_t (*seek)(struct file *f, int64_t offset, int whence); /* NULL: -ESPIPE */
	int (*readdir)(struct file *f, uint64_t *pos, dir_emit *emit, void *arg); /* emits "." and ".." too */
	long (*ioctl)(struct file *f, unsigned cmd, uint64_t arg);
	unsigned (*poll)(struct file *f, struct poll_table *table);  /* doesn't sleep. NULL: always readable and writable */
	int (*fsync)(struct file *f, bool data_only);
	int (*fallocate)(struct file *f, int mode, uint64_t offset, uint64_t len);
	int (*open)(struct file *f);                                 /* after open(2) made f: devices, fifos. May replace f->ops. A failure leaves nothing to release. NULL: fine */
	int (*set_flags)(struct file *f, unsigned flags);            /* F_SETFL; NULL: fine */
	void (*release)(struct file *f);                             /* last reference */
};

struct file {
	unsigned refs;
	const struct file_ops *ops;
	struct dentry *dentry; /* never NULL */
	struct inode *inode;   /* of dentry, referenced */
	uint64_t pos;
	unsigned flags;        /* O_* as F_GETFL returns them */
	bool readable, writable, seekable;
	void *private;
	struct list epolls;    /* owned by fs/epoll.c */
	int owner, owner_sig;  /* F_SETOWN, F_SETSIG */
};
struct file *file_new(struct dentry *d, unsigned flags, const struct file_ops *ops); /* takes its own references; NULL: no memory */
/* A file on no file system: name as in /proc/self/fd ("anon_inode:[eventfd]", "pipe:[%lu]"). mode: S_IFIFO|0600 ... */
struct file *file_new_anonymous(const char *name, uint32_t mode, unsigned flags, const struct file_ops *ops, void *private);
void file_ref(struct file *f);
void file_unref(struct file *f);
void file_signal_io(struct file *f); /* something happened: SIGIO to the owner, if O_ASYNC says so. NULL: nothing */
/* open(2) with all its checks. Returns a referenced file in *ret. May sleep. */
int file_open_at(int dirfd, const char *path, unsigned flags, uint32_t mode, struct file **ret);
int file_open(struct dentry *d, unsigned flags, struct file **ret);
int64_t file_seek_nothing(struct file *f, int64_t offset, int whence); /* where lseek does nothing, without error */
long file_read(struct file *f, void *kernel_buf, size_t len, uint64_t pos); /* loader: reads fully unless at the end */

/* --- telling inotify (kernel/fs/inotify.c): masks are IN_* --- */
extern unsigned inotify_watches; /* there are that many: nearly always none */
void inotify_tell(struct dentry *d, uint32_t mask);          /* the object and its directory */
void inotify_tell_self(struct inode *inode, uint32_t mask);  /* the object only */
void inotify_tell_directory(struct inode *dir, const char *name, const struct inode *child, uint32_t mask, uint32_t cookie);
void inotify_gone(struct inode *inode);                      /* it has no name and no user any more */
static inline long notify(struct dentry *d, long result, uint32_t mask) /* of a call that did something unless result < 0 */
{
	if (inotify_watches && result >= 0)
		inotify_tell(d, mask);
	return result;
}

/* --- file tables --- */
struct file_table;
struct file_table *file_table_new(void);
void file_table_free(struct file_table *t); /* closes all */
/* The lowest free descriptor >= min gets f (reference taken over on success). -EMFILE. */
int fd_install(struct file *f, int min, bool cloexec);
/* Two descriptors, their numbers put at user_fds. Takes both references, even when it fails. */
int fd_install_pair(struct file *const f[2], bool cloexec, uint64_t user_fds);
/* Borrowed reference for the length of the call: use file_ref if it must survive a sleep with the table shared. NULL: -EBADF,
 * as for a file that was opened with O_PATH. */
struct file *fd_get(int fd);
/* As fd_get, but referenced: pair with file_unref. */
struct file *fd_ref(int fd);
struct file *fd_get_any(int fd), *fd_ref_any(int fd); /* O_PATH too: for calls that ask only where it leads */
int fd_close(int fd);
int fd_install_at(struct file *f, int fd, bool cloexec); /* replaces; for dup2 and the start */
void file_table_close_on_exec(struct file_table *t);
void file_table_for_each(struct file_table *t, bool (*fn)(int fd, struct file *f, bool cloexec, void *arg), void *arg);
void locks_release_process(struct process *p, struct inode *inode); /* posix locks go when any descriptor of the file closes */

/* --- mounts and start --- */
void fs_init(void);                       /* rootfs over the image, /dev, /proc; fs context and descriptors 0..2 of the first process */
struct dentry *rootfs_mount(void);        /* kernel/fs/rootfs.c: the image below, memory above */
struct inode *procfs_root(void);          /* kernel/fs/proc.c */
struct inode *sysfs_root(void);           /* the few files of /sys that programs look at; by the same code */
int volume_mount(unsigned index, const char *target, bool read_only); /* kernel/fs/p9.c */
int fs_mount_at(const char *path, struct inode *root);                /* creates the mount point directory if needed */
void device_populate(struct dentry *dev_dir);                         /* kernel/fs/device.c: null, zero, full, random, urandom, tty, console, stdin.. links, shm, pts */
const struct file_ops *device_ops(uint64_t rdev);                     /* character devices by number; NULL: -ENXIO */
struct file *stdio_file(int fd);                                      /* kernel/fs/stdio.c: what descriptor fd of the cell is at start; NULL: closed */
const struct file_ops *pipe_fifo_ops(void);                           /* kernel/fs/pipe.c: named pipes */
/* splice and tee (kernel/fs/pipe.c). Both may sleep, unless told not to. */
long pipe_room(struct file *f, bool nonblock);                        /* waits until there is some: bytes; -EAGAIN, -EPIPE */
long pipe_splice(struct file *f, size_t len, bool keep, bool nonblock, long (*take)(void *arg, struct uio *u), void *arg);
long pipe_fcntl(struct file *f, unsigned cmd, uint64_t arg);          /* kernel/fs/pipe.c: F_GETPIPE_SZ, F_SETPIPE_SZ; -EBADF: no pipe */
void epoll_file_released(struct file *f);                             /* kernel/fs/epoll.c: f's last reference goes (f->epolls not empty) */
struct inode *devpts_root(void);                                      /* kernel/fs/pty.c */
/* The standard descriptors and the host (kernel/fs/stdio.c). The scheduler passes stdio_wanted() to platform_wait() and what
 * came ready to stdio_ready(); the message loop hands over replies and sizes. */
unsigned stdio_wanted(void);
void stdio_ready(unsigned events);
struct vb_msg_winsize;
void stdio_reply(const void *msg, size_t len); /* payload of a VB_MSG_STDIO_REPLY: struct vb_msg_stdio and its data */
void stdio_winsize(const struct vb_msg_winsize *size);
extern const struct file_ops bad_file_ops, directory_ops;

#endif
