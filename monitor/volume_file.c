/* Volume requests on one file: contents, attributes, extended attributes. */
#include "monitor/volume_private.h"

#include <sys/uio.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

static int file_stat(struct volume *v, struct fid *f, struct statx *ret)
{
	if (f->io < 0)
		return node_stat(v, f->node, ret);
	return syscall(SYS_statx, f->io, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, ret) ? -errno : 0;
}

int volume_read(struct volume *v, struct fid *f, const struct p9_message *t, struct p9_message *r)
{
	uint8_t *data = v->reply + P9_READ_DATA;
	size_t count = vb_min(t->count, v->reply_max - P9_READ_DATA);
	ssize_t n;
	if (f->xattr) {
		if (f->xattr->writing)
			return -EINVAL;
		n = t->offset < f->xattr->size ? (ssize_t)vb_min(count, f->xattr->size - (size_t)t->offset) : 0;
		memcpy(data, f->xattr->data + (n ? t->offset : 0), (size_t)n);
	} else {
		n = f->io < 0 ? -1 : pread(f->io, data, count, (off_t)t->offset);
		if (n < 0)
			return f->io < 0 ? -EBADF : -errno;
	}
	r->data = data;
	r->count = (uint32_t)n;
	return 0;
}

int volume_write(struct volume *v, struct fid *f, const struct p9_message *t, struct p9_message *r)
{
	struct iovec io = {(void *)(uintptr_t)t->data, t->count};
	if (f->xattr) {
		if (!f->xattr->writing || t->offset != f->xattr->done || t->count > f->xattr->size - f->xattr->done)
			return -EINVAL;
		memcpy(f->xattr->data + f->xattr->done, t->data, t->count);
		f->xattr->done += t->count;
		r->count = t->count;
		return 0;
	}
	if (f->io < 0)
		return -EBADF;
	if (v->core) {
		if (t->count > v->core_left || !vb_range_within(t->offset, t->count, VOLUME_CORE_MAX_BYTES))
			return -EFBIG;
		v->core_left -= t->count;
	}
	ssize_t n = t->offset == P9_APPEND ? syscall(SYS_pwritev2, f->io, &io, 1, 0, 0, 0x10 /* RWF_APPEND */)
					   : pwrite(f->io, t->data, t->count, (off_t)t->offset);
	if (n < 0)
		return -errno;
	r->count = (uint32_t)n;
	return 0;
}

struct host_dirent { /* getdents64's */
	uint64_t ino;
	int64_t offset;
	uint16_t len;
	uint8_t type;
	char name[];
};

int volume_readdir(struct volume *v, struct fid *f, const struct p9_message *t, struct p9_message *r)
{
	char buf[32768] __attribute__((aligned(8)));
	/* An entry takes at most 7/6 of the host's bytes: 24 + name against 20 + name rounded up to 8. */
	uint32_t room = vb_min(t->count, v->reply_max - P9_READ_DATA);
	size_t count = vb_min((size_t)room / 7 * 6, sizeof(buf)), used = 0;
	if (f->io < 0 || !S_ISDIR(f->node->id.stx_mode))
		return f->io < 0 ? -EBADF : -ENOTDIR;
	if ((!t->offset || t->offset != f->dir_pos) && lseek(f->io, (off_t)t->offset, SEEK_SET) < 0)
		return -errno;
	long n = syscall(SYS_getdents64, f->io, buf, count);
	if (n < 0)
		return -errno;
	f->dir_pos = t->offset;
	r->data = v->reply + P9_READ_DATA;
	for (long at = 0; at < n;) {
		const struct host_dirent *h = (const struct host_dirent *)(buf + at);
		struct p9_dirent d = {.offset = (uint64_t)h->offset, .type = h->type, .name = p9_string(h->name)};
		bool above = !f->node->parent && !strcmp(h->name, ".."); /* what lies above the folder is none of the cell's business */
		int result = volume_qid_path(v, statx_device(&f->node->id), above ? f->node->id.stx_ino : h->ino, &d.qid.path);
		if (result)
			return result;
		size_t len = p9_dirent_encode(&d, v->reply + P9_READ_DATA + used, room - used);
		if (!len)
			break;
		used += len;
		at += h->len;
		f->dir_pos = d.offset;
	}
	r->count = (uint32_t)used;
	return 0;
}

int volume_fsync(struct volume *v, struct fid *f, const struct p9_message *t, struct p9_message *r)
{
	int fd = f->io >= 0 ? f->io : node_open(v, f->node, O_RDONLY);
	if (fd < 0)
		return fd;
	int result = (t->flags ? fdatasync(fd) : fsync(fd)) ? -errno : 0;
	if (fd != f->io)
		volume_close_fd(fd);
	return result;
}

static struct p9_time p9_time(struct statx_timestamp t)
{
	return (struct p9_time){(uint64_t)t.tv_sec, t.tv_nsec};
}

int volume_getattr(struct volume *v, struct fid *f, const struct p9_message *t, struct p9_message *r)
{
	struct statx st;
	int result = file_stat(v, f, &st);
	if (result || (result = volume_qid(v, &st, &r->qid)))
		return result;
	r->mask = P9_GETATTR_ALL;
	r->attr = (struct p9_attr){
		.mode = st.stx_mode,
		.uid = st.stx_uid,
		.gid = st.stx_gid,
		.nlink = st.stx_nlink,
		.rdev = (uint64_t)st.stx_rdev_major << 8 | (st.stx_rdev_minor & 0xff) | (uint64_t)(st.stx_rdev_minor & ~0xffu) << 12,
		.size = st.stx_size,
		.blksize = st.stx_blksize,
		.blocks = st.stx_blocks,
		.atime = p9_time(st.stx_atime),
		.mtime = p9_time(st.stx_mtime),
		.ctime = p9_time(st.stx_ctime),
		.btime = p9_time(st.stx_btime),
	};
	return 0;
}

/* chmod has no form for O_PATH descriptors before Linux 6.6. */
static int set_mode(struct volume *v, struct fid *f, uint32_t mode)
{
	char path[32];
	unsigned type = f->node->id.stx_mode & S_IFMT;
	if (type == S_IFLNK)
		return -EOPNOTSUPP;
	if ((mode & (S_ISUID | S_ISGID)) && type != S_IFDIR)
		return -EPERM;
	if (f->io >= 0)
		return fchmod(f->io, mode & 07777) ? -errno : 0;
	int fd = node_fd(v, f->node), result = node_proc_path(v, f->node, path);
	if (fd < 0)
		return fd;
	if (!result)
		return chmod(path, mode & 07777) ? -errno : 0;
	return syscall(452 /* fchmodat2 */, fd, "", mode & 07777, AT_EMPTY_PATH) ? -errno : 0;
}

static int set_size(struct volume *v, struct fid *f, uint64_t size)
{
	int fd, result;
	if (size > INT64_MAX)
		return -EINVAL;
	if (f->io >= 0 && !ftruncate(f->io, (off_t)size))
		return 0;
	fd = node_open(v, f->node, O_WRONLY);
	if (fd < 0)
		return fd;
	result = ftruncate(fd, (off_t)size) ? -errno : 0;
	volume_close_fd(fd);
	return result;
}

static struct timespec set_time(unsigned valid, unsigned bit, unsigned to_bit, struct p9_time t)
{
	if (!(valid & bit))
		return (struct timespec){.tv_nsec = UTIME_OMIT};
	if (!(valid & to_bit))
		return (struct timespec){.tv_nsec = UTIME_NOW};
	return (struct timespec){.tv_sec = (time_t)t.sec, .tv_nsec = (long)t.nsec};
}

int volume_setattr(struct volume *v, struct fid *f, const struct p9_message *t, struct p9_message *r)
{
	unsigned valid = t->flags;
	int result = 0, fd = node_fd(v, f->node);
	if (f->io >= 0)
		fd = f->io;
	if (fd < 0)
		return fd;
	if (t->attr.atime.nsec >= 1000000000 || t->attr.mtime.nsec >= 1000000000)
		return -EINVAL;
	if (valid & P9_SET_SIZE)
		result = set_size(v, f, t->attr.size);
	if (!result && (valid & (P9_SET_UID | P9_SET_GID)))
		result = fchownat(fd, "", valid & P9_SET_UID ? t->attr.uid : (uid_t)-1, valid & P9_SET_GID ? t->attr.gid : (gid_t)-1,
				 AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW)
				 ? -errno
				 : 0;
	if (!result && (valid & P9_SET_MODE))
		result = set_mode(v, f, t->attr.mode);
	if (!result && (valid & (P9_SET_ATIME | P9_SET_MTIME))) {
		struct timespec times[2] = {set_time(valid, P9_SET_ATIME, P9_SET_ATIME_TO, t->attr.atime),
			set_time(valid, P9_SET_MTIME, P9_SET_MTIME_TO, t->attr.mtime)};
		result = utimensat(fd, "", times, AT_EMPTY_PATH) ? -errno : 0;
	}
	return result;
}

int volume_statfs(struct volume *v, struct fid *f, const struct p9_message *t, struct p9_message *r)
{
	struct statfs s;
	int fd = node_fd(v, f->node);
	if (fd < 0)
		return fd;
	if (fstatfs(fd, &s))
		return -errno;
	r->statfs = (struct p9_statfs){
		0x01021997 /* V9FS_MAGIC */, (uint32_t)s.f_bsize, s.f_blocks, s.f_bfree, s.f_bavail, s.f_files, s.f_ffree, 0, P9_NAME_MAX};
	return 0;
}

int volume_readlink(struct volume *v, struct fid *f, const struct p9_message *t, struct p9_message *r)
{
	int fd = node_fd(v, f->node);
	if (fd < 0)
		return fd;
	if (!S_ISLNK(f->node->id.stx_mode))
		return -EINVAL;
	ssize_t n = readlinkat(fd, "", v->text, P9_TEXT_MAX);
	if (n < 0)
		return -errno;
	r->text = (struct p9_string){v->text, (uint32_t)n};
	return 0;
}

/* --- extended attributes: "user." only, others are the host's affair --- */

static int xattr_name(struct p9_string s, char name[256])
{
	if (s.len < 5 || memcmp(s.s, "user.", 5))
		return -EOPNOTSUPP;
	if (s.len == 5 || s.len > 255)
		return s.len == 5 ? -EINVAL : -ERANGE;
	name_copy(name, s);
	return 0;
}

static int xattr_new(struct volume *v, size_t size, struct xattr **ret)
{
	if (v->xattr_count >= VOLUME_MAX_XATTRS)
		return -ENFILE;
	*ret = calloc(1, sizeof(**ret) + size);
	if (!*ret)
		return -ENOMEM;
	v->xattr_count++;
	return 0;
}

void xattr_free(struct volume *v, struct fid *f)
{
	if (f->xattr)
		v->xattr_count--;
	free(f->xattr);
	f->xattr = NULL;
}

/* Keeps the names that begin with "user.". */
static size_t list_filter(char *list, size_t len)
{
	size_t kept = 0;
	for (size_t at = 0, n; at < len; at += n) {
		n = strnlen(list + at, len - at - 1) + 1;
		if (strncmp(list + at, "user.", 5))
			continue;
		memmove(list + kept, list + at, n);
		kept += n;
	}
	return kept;
}

int volume_xattrwalk(struct volume *v, struct fid *f, const struct p9_message *t, struct p9_message *r)
{
	char path[32], name[256];
	struct xattr *x;
	struct fid *value;
	int result = node_proc_path(v, f->node, path);
	if (!result && t->text.len)
		result = xattr_name(t->text, name);
	if (result || (result = xattr_new(v, P9_MAX_DATA, &x)))
		return result;
	ssize_t n = t->text.len ? getxattr(path, name, x->data, P9_MAX_DATA) : listxattr(path, (char *)x->data, P9_MAX_DATA);
	result = n < 0 ? -errno : 0;
	if (n > 0 && !t->text.len)
		n = (ssize_t)list_filter((char *)x->data, (size_t)n);
	if (!result) {
		f->node->refs++;
		result = fid_new(v, t->fid2, f->node, &value);
		if (result)
			node_unref(v, f->node);
	}
	if (result) {
		v->xattr_count--;
		free(x);
		return result;
	}
	x->size = (size_t)n;
	value->xattr = x;
	r->size = (uint64_t)n;
	return 0;
}

int volume_xattrcreate(struct volume *v, struct fid *f, const struct p9_message *t, struct p9_message *r)
{
	char name[256];
	int result = f->xattr || f->io >= 0 ? -EINVAL : xattr_name(t->text, name);
	if (!result && t->size > P9_MAX_DATA)
		result = -E2BIG;
	if (result || (result = xattr_new(v, (size_t)t->size, &f->xattr)))
		return result;
	f->xattr->writing = true;
	f->xattr->size = (size_t)t->size;
	f->xattr->flags = t->flags;
	memcpy(f->xattr->name, name, sizeof(name));
	return 0;
}

/* At clunk: what was announced and written takes effect. */
int xattr_commit(struct volume *v, struct fid *f)
{
	const struct xattr *x = f->xattr;
	char path[32];
	int result = x->done == x->size ? node_proc_path(v, f->node, path) : -EINVAL;
	if (result)
		return result;
	if (x->flags & P9_XATTR_REMOVE)
		return removexattr(path, x->name) ? -errno : 0;
	return setxattr(path, x->name, x->data, x->size, (int)(x->flags & (XATTR_CREATE | XATTR_REPLACE))) ? -errno : 0;
}
