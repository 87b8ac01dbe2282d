/* Nodes: host files by descriptor, and every open of the volume server.
 *
 * The cell may choose each name and change the tree while we look (as may other programs of the host). So each step is
 * one name below a held directory, refused if it is a symbolic link; contents are opened through the descriptor that
 * was examined, not by name again. The static counters are the process's: all volumes share its descriptor table.
 */
#include "monitor/volume_private.h"

#include <linux/openat2.h>
#include <sys/resource.h>

#define RESERVED_FDS 64u /* left to the rest of the monitor */

unsigned volume_fds_open, volume_fds_max;

static void fds_init(void)
{
	struct rlimit limit;
	if (volume_fds_max || getrlimit(RLIMIT_NOFILE, &limit))
		return;
	if (limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = vb_min(limit.rlim_max, (rlim_t)65536);
		if (setrlimit(RLIMIT_NOFILE, &limit))
			getrlimit(RLIMIT_NOFILE, &limit);
	}
	volume_fds_max = (unsigned)vb_min(limit.rlim_cur, (rlim_t)65536);
	volume_fds_max = volume_fds_max > 2 * RESERVED_FDS ? volume_fds_max - RESERVED_FDS : RESERVED_FDS;
}

void volume_close_fd(int fd)
{
	if (fd < 0)
		return;
	close(fd);
	volume_fds_open--;
}

/* Makes room for one more descriptor by closing the least recently used node's. The three used last stay open: a request
 * holds at most two. The root is never closed, nothing could reopen it. */
static int fds_admit(struct volume *v)
{
	unsigned open_nodes = 0;
	struct node *oldest = NULL;
	if (volume_fds_open < volume_fds_max)
		return 0;
	list_for_each(n, &v->nodes, struct node, lru) {
		if (n->fd >= 0 && n->parent && ++open_nodes > 3)
			oldest = n;
	}
	if (!oldest)
		return -EMFILE;
	volume_close_fd(oldest->fd);
	oldest->fd = -1;
	return 0;
}

/* One component below dirfd, never through a symbolic link (O_PATH: the link itself). */
static int open_step(struct volume *v, int dirfd, const char *name, int flags, mode_t mode)
{
	int fd = -1, r = fds_admit(v);
	if (r)
		return r;
	flags |= O_NOFOLLOW | O_CLOEXEC;
	if (v->openat2) {
		struct open_how how = {
			.flags = (unsigned)flags, .mode = mode, .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
		fd = (int)syscall(SYS_openat2, dirfd, name, &how, sizeof(how));
		/* An old kernel, or a container's filter. The name is one component: openat is as good, openat2 says so twice. */
		v->openat2 = fd >= 0 || (errno != ENOSYS && errno != EPERM);
	}
	if (!v->openat2)
		fd = openat(dirfd, name, flags, mode);
	if (fd < 0)
		return -errno;
	volume_fds_open++;
	return fd;
}

static int stat_fd(int fd, struct statx *ret)
{
	return syscall(SYS_statx, fd, "", AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_BASIC_STATS | STATX_BTIME, ret)
		       ? -errno
		       : 0;
}

static bool same_file(const struct statx *a, const struct statx *b)
{
	return a->stx_ino == b->stx_ino && statx_device(a) == statx_device(b) && (a->stx_mode & S_IFMT) == (b->stx_mode & S_IFMT) &&
	       a->stx_btime.tv_sec == b->stx_btime.tv_sec && a->stx_btime.tv_nsec == b->stx_btime.tv_nsec;
}

/* Takes fd over, whatever happens. */
static int node_new(struct volume *v, struct node *parent, const char *name, int fd, struct node **ret)
{
	struct node *n = calloc(1, sizeof(*n));
	char *copy = strdup(name);
	int r = n && copy ? stat_fd(fd, &n->id) : -ENOMEM;
	if (!r && v->node_count >= VOLUME_MAX_NODES)
		r = -ENFILE;
	if (r) {
		volume_close_fd(fd);
		free(n);
		free(copy);
		return r;
	}
	n->name = copy;
	n->refs = 1;
	n->fd = fd;
	n->parent = parent;
	if (parent)
		parent->refs++;
	v->node_count++;
	list_push_front(&v->nodes, &n->lru);
	*ret = n;
	return 0;
}

void node_unref(struct volume *v, struct node *n)
{
	while (n && !--n->refs) {
		struct node *parent = n->parent;
		list_remove(&n->lru);
		v->node_count--;
		volume_close_fd(n->fd);
		free(n->name);
		free(n);
		n = parent;
	}
}

int node_root(struct volume *v, const char *host_dir)
{
	fds_init();
	int r = fds_admit(v);
	if (r)
		return r;
	int fd = open(host_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	volume_fds_open++;
	r = node_new(v, NULL, ".", fd, &v->root);
	if (r)
		return r;
	char path[32];
	struct stat through, direct;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	v->proc = !stat(path, &through) && !fstat(fd, &direct) && through.st_dev == direct.st_dev && through.st_ino == direct.st_ino;
	return 0;
}

int node_step(struct volume *v, struct node *dir, const char *name, struct node **ret)
{
	int dirfd = node_fd(v, dir);
	int fd = dirfd < 0 ? dirfd : open_step(v, dirfd, name, O_PATH, 0);
	return fd < 0 ? fd : node_new(v, dir, name, fd, ret);
}

static void node_touch(struct volume *v, struct node *n)
{
	list_remove(&n->lru);
	list_push_front(&v->nodes, &n->lru);
}

/* A step down to a file that was seen there before. */
static int open_known(struct volume *v, int dirfd, const struct node *n, int flags)
{
	struct statx st;
	int fd = open_step(v, dirfd, n->name, flags, 0);
	if (fd < 0)
		return fd == -ENOENT || fd == -ENOTDIR ? -ESTALE : fd;
	if (stat_fd(fd, &st) || !same_file(&st, &n->id)) {
		volume_close_fd(fd);
		return -ESTALE;
	}
	return fd;
}

int node_fd(struct volume *v, struct node *n)
{
	struct node *chain[VOLUME_MAX_DEPTH], *top = n;
	unsigned depth = 0;
	for (; top->fd < 0; top = top->parent) {
		if (depth == VOLUME_MAX_DEPTH)
			return -ESTALE;
		chain[depth++] = top;
	}
	node_touch(v, top);
	node_touch(v, n);
	int fd = top->fd;
	while (depth--) {
		int next = open_known(v, fd, chain[depth], O_PATH);
		if (fd != top->fd)
			volume_close_fd(fd);
		if (next < 0)
			return next;
		fd = next;
	}
	return n->fd = fd;
}

int node_open(struct volume *v, struct node *n, int flags)
{
	char path[32];
	int fd, r = fds_admit(v);
	if (r)
		return r;
	switch (n->id.stx_mode & S_IFMT) {
	case S_IFDIR:
		if (flags != O_RDONLY)
			return -EISDIR;
		fd = node_fd(v, n);
		if (fd >= 0 && (fd = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
			return -errno;
		break;
	case S_IFREG:
		if (!v->proc) { /* a descriptor can't be reopened: the name can, and must still be the same file */
			fd = node_fd(v, n->parent);
			return fd < 0 ? fd : open_known(v, fd, n, flags | O_NONBLOCK | O_NOCTTY);
		}
		r = node_proc_path(v, n, path);
		if (r)
			return r;
		fd = open(path, flags | O_CLOEXEC | O_NOCTTY);
		if (fd < 0)
			return -errno;
		break;
	case S_IFLNK:
		return -ELOOP;
	default:
		return -ENXIO; /* opening a device or fifo of the host could do anything, or block */
	}
	if (fd >= 0)
		volume_fds_open++;
	return fd;
}

int node_create(struct volume *v, struct node *dir, const char *name, int flags, mode_t mode, struct node **ret, int *ret_io)
{
	struct node *n;
	struct statx st;
	int dirfd = node_fd(v, dir);
	if (dirfd < 0)
		return dirfd;
	mode_t mask = umask(0); /* the cell's kernel has applied the cell's */
	int io = open_step(v, dirfd, name, flags | O_CREAT | O_EXCL | O_NOCTTY, mode);
	umask(mask);
	if (io < 0)
		return io;
	int r = node_step(v, dir, name, &n);
	if (!r && (stat_fd(io, &st) || !same_file(&st, &n->id))) { /* replaced meanwhile, by the host */
		node_unref(v, n);
		r = -ESTALE;
	}
	if (r) {
		volume_close_fd(io);
		return r;
	}
	*ret = n;
	*ret_io = io;
	return 0;
}

int node_stat(struct volume *v, struct node *n, struct statx *ret)
{
	int fd = node_fd(v, n);
	return fd < 0 ? fd : stat_fd(fd, ret);
}

static bool is_ancestor(const struct node *n, const struct node *of)
{
	while (of && of != n)
		of = of->parent;
	return of;
}

void node_renamed(struct volume *v, struct node *dir, const char *name, struct node *new_dir, const char *new_name)
{
	const struct statx from = dir->id; /* what holds dir may be nothing but the first node found */
	list_for_each(n, &v->nodes, struct node, lru) {
		if (!n->parent || strcmp(n->name, name) || !same_file(&n->parent->id, &from))
			continue;
		/* What is skipped here is stale once its descriptor is closed. A ring can be asked for when the host moves things, too. */
		char *copy = is_ancestor(n, new_dir) ? NULL : strdup(new_name);
		if (!copy)
			continue;
		free(n->name);
		n->name = copy;
		struct node *old = n->parent;
		n->parent = new_dir;
		new_dir->refs++;
		node_unref(v, old);
	}
}

int node_proc_path(struct volume *v, struct node *n, char path[32])
{
	int fd = v->proc ? node_fd(v, n) : -EOPNOTSUPP;
	if (fd >= 0)
		snprintf(path, 32, "/proc/self/fd/%d", fd);
	return fd < 0 ? fd : 0;
}

int volume_qid_path(struct volume *v, uint64_t device, uint64_t ino, uint64_t *ret)
{
	unsigned i = 0;
	while (i < v->device_count && v->device[i] != device)
		i++;
	if (i == VOLUME_MAX_DEVICES)
		return -EXDEV;
	if (i == v->device_count)
		v->device[v->device_count++] = device;
	*ret = ino ^ (uint64_t)i << 56;
	return 0;
}

/* The version tells files apart that bear the same inode number one after the other. */
int volume_qid(struct volume *v, const struct statx *st, struct p9_qid *ret)
{
	unsigned type = st->stx_mode & S_IFMT;
	ret->type = type == S_IFDIR ? P9_QID_DIR : type == S_IFLNK ? P9_QID_SYMLINK : P9_QID_FILE;
	ret->version = (uint32_t)st->stx_btime.tv_sec * 1000003u ^ st->stx_btime.tv_nsec;
	return volume_qid_path(v, statx_device(st), st->stx_ino, &ret->path);
}
