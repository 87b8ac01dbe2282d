/* Inside the volume server: nodes (what fids name on the host) and fids. Included by monitor/volume*.c only. */
#ifndef MONITOR_VOLUME_PRIVATE_H
#define MONITOR_VOLUME_PRIVATE_H

#include "base/list.h"
#include "base/p9.h"
#include "monitor/volume.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/stat.h>

/* A file of the host, reached by one name from its parent. The O_PATH descriptor may be closed when descriptors run
 * short; it is then reopened by name, and is stale if another file bears the name by now. */
struct node {
	struct list lru;     /* in volume.nodes, most recently used first */
	struct node *parent; /* referenced; NULL: the volume's root */
	unsigned refs;
	int fd;          /* O_PATH, or -1 */
	struct statx id; /* device, inode, type and birth as first seen */
	char *name;
};

struct xattr {
	bool writing;
	uint32_t flags; /* of Txattrcreate */
	size_t size, done;
	char name[256];
	uint8_t data[];
};

struct fid {
	struct fid *next;
	uint32_t id;
	struct node *node;   /* referenced */
	int io;              /* open for reading or writing, or -1 */
	uint64_t dir_pos;    /* where io stands, for directories */
	struct xattr *xattr; /* the fid is an attribute's value */
};

#define VOLUME_FID_BUCKETS 1024u
#define VOLUME_MAX_NODES   16384u
#define VOLUME_MAX_DEPTH   1024u /* of a reopening */
#define VOLUME_MAX_DEVICES 16u
#define VOLUME_MAX_XATTRS  64u

struct volume {
	bool read_only, core;
	bool proc;          /* /proc/self/fd works */
	bool openat2;       /* the host has and permits it */
	uint64_t core_left; /* bytes that core files may still take */
	unsigned core_count;
	struct list nodes;
	unsigned node_count, fid_count, xattr_count;
	struct node *root;
	struct fid *fids[VOLUME_FID_BUCKETS];
	uint64_t device[VOLUME_MAX_DEVICES]; /* host file systems seen below the folder; [0] is the folder's own */
	unsigned device_count;

	uint32_t msize;
	uint8_t *reply;     /* of the request being served */
	uint32_t reply_max; /* bytes, msize applied */
	char text[P9_TEXT_MAX + 1];
};

/* --- volume_node.c: the only code that opens anything. 0, a descriptor or -errno --- */
extern unsigned volume_fds_open, volume_fds_max; /* of all volumes of the process */
int node_root(struct volume *v, const char *host_dir);
/* One component down, never through a symbolic link. */
int node_step(struct volume *v, struct node *dir, const char *name, struct node **ret);
void node_unref(struct volume *v, struct node *n);
int node_fd(struct volume *v, struct node *n); /* borrowed: a request may hold two */
/* Opens a regular file or directory, flags O_RDONLY, O_WRONLY or O_RDWR; nothing else is ever opened. Close with volume_close_fd. */
int node_open(struct volume *v, struct node *n, int flags);
/* Creates a regular file that must not exist: its node, and an open descriptor. */
int node_create(struct volume *v, struct node *dir, const char *name, int flags, mode_t mode, struct node **ret, int *ret_io);
void volume_close_fd(int fd);
int node_stat(struct volume *v, struct node *n, struct statx *ret);
/* Nodes that were dir/name are now new_dir/new_name. */
void node_renamed(struct volume *v, struct node *dir, const char *name, struct node *new_dir, const char *new_name);
/* Path that leads to an O_PATH descriptor's file for calls that take none; -EOPNOTSUPP without /proc. */
int node_proc_path(struct volume *v, struct node *n, char path[32]);
int volume_qid(struct volume *v, const struct statx *st, struct p9_qid *ret);
int volume_qid_path(struct volume *v, uint64_t device, uint64_t ino, uint64_t *ret);
static inline uint64_t statx_device(const struct statx *st)
{
	return (uint64_t)st->stx_dev_major << 32 | st->stx_dev_minor;
}

/* --- requests: 0 or -errno; t is decoded, r's type and tag are set --- */
typedef int volume_fn(struct volume *v, struct fid *f, const struct p9_message *t, struct p9_message *r);
volume_fn volume_read, volume_write, volume_readdir, volume_fsync, volume_getattr, volume_setattr, volume_statfs, volume_readlink,
	volume_xattrwalk, volume_xattrcreate; /* volume_file.c */
volume_fn volume_lcreate, volume_symlink, volume_mknod, volume_mkdir, volume_link, volume_rename, volume_renameat,
	volume_unlinkat; /* volume_dir.c */

struct fid *fid_get(struct volume *v, uint32_t id);                              /* NULL: none */
int fid_new(struct volume *v, uint32_t id, struct node *node, struct fid **ret); /* takes the node over on success */
void xattr_free(struct volume *v, struct fid *f);
int xattr_commit(struct volume *v, struct fid *f);
/* A decoded name, terminated. */
static inline void name_copy(char dst[P9_NAME_MAX + 1], struct p9_string s)
{
	memcpy(dst, s.s, s.len);
	dst[s.len] = 0;
}

#endif
