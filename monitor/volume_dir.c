/* Volume requests that change directories. Names are decoded single components; descriptors come from volume_node.c. */
#include "monitor/volume_private.h"

#include <sys/sysmacros.h>

/* A set-id file would run with the monitor's rights for any user of the host: a cell can't make one. */
static int check_mode(uint32_t mode)
{
	return (mode & (S_ISUID | S_ISGID)) && !S_ISDIR(mode) ? -EPERM : 0;
}

static int reply_qid(struct volume *v, int dirfd, const char *name, struct p9_qid *ret)
{
	struct statx st;
	if (syscall(SYS_statx, dirfd, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_BASIC_STATS | STATX_BTIME, &st))
		return -errno;
	return volume_qid(v, &st, ret);
}

int volume_lcreate(struct volume *v, struct fid *f, const struct p9_message *t, struct p9_message *r)
{
	char name[P9_NAME_MAX + 1];
	struct node *n;
	int io, result = check_mode(t->mode & 07777);
	if (f->io >= 0 || f->xattr || (t->flags & O_ACCMODE) == O_ACCMODE)
		return -EINVAL;
	if (result)
		return result;
	name_copy(name, t->name);
	if (v->core && strncmp(name, "core.", 5))
		return -EPERM;
	if (v->core && v->core_count == VOLUME_CORE_MAX_FILES)
		return -EDQUOT;
	result = node_create(v, f->node, name, v->core ? O_WRONLY : (int)(t->flags & O_ACCMODE), v->core ? 0600 : t->mode & 07777, &n, &io);
	if (result)
		return result;
	v->core_count += v->core;
	node_unref(v, f->node);
	f->node = n;
	f->io = io;
	return volume_qid(v, &n->id, &r->qid);
}

int volume_symlink(struct volume *v, struct fid *f, const struct p9_message *t, struct p9_message *r)
{
	char name[P9_NAME_MAX + 1];
	int dirfd = node_fd(v, f->node);
	name_copy(name, t->name);
	memcpy(v->text, t->text.s, t->text.len);
	v->text[t->text.len] = 0;
	if (dirfd < 0)
		return dirfd;
	return symlinkat(v->text, dirfd, name) ? -errno : reply_qid(v, dirfd, name, &r->qid);
}

/* Fifos and sockets become nodes of that type: names only, the cell's kernel has what is behind them, and neither this
 * server nor the cell ever opens the host's. Devices would be the host's: refused. */
int volume_mknod(struct volume *v, struct fid *f, const struct p9_message *t, struct p9_message *r)
{
	char name[P9_NAME_MAX + 1];
	int dirfd, result = check_mode(t->mode);
	if (S_ISCHR(t->mode) || S_ISBLK(t->mode))
		return -EPERM;
	if (!S_ISREG(t->mode) && !S_ISFIFO(t->mode) && !S_ISSOCK(t->mode))
		return -EINVAL;
	if (result || (result = dirfd = node_fd(v, f->node)) < 0)
		return result;
	name_copy(name, t->name);
	mode_t mask = umask(0);
	result = mknodat(dirfd, name, t->mode & (S_IFMT | 07777), 0) ? -errno : 0;
	umask(mask);
	return result ? result : reply_qid(v, dirfd, name, &r->qid);
}

int volume_mkdir(struct volume *v, struct fid *f, const struct p9_message *t, struct p9_message *r)
{
	char name[P9_NAME_MAX + 1];
	int dirfd = node_fd(v, f->node);
	if (dirfd < 0)
		return dirfd;
	name_copy(name, t->name);
	mode_t mask = umask(0);
	int result = mkdirat(dirfd, name, t->mode & 07777) ? -errno : 0;
	umask(mask);
	return result ? result : reply_qid(v, dirfd, name, &r->qid);
}

int volume_link(struct volume *v, struct fid *f, const struct p9_message *t, struct p9_message *r)
{
	char name[P9_NAME_MAX + 1], path[32];
	struct fid *target = fid_get(v, t->fid2);
	if (!target || target->xattr)
		return -EBADF;
	name_copy(name, t->name);
	int dirfd = node_fd(v, f->node);
	if (dirfd < 0)
		return dirfd;
	if (v->proc) {
		int result = node_proc_path(v, target->node, path);
		return result ? result : linkat(AT_FDCWD, path, dirfd, name, AT_SYMLINK_FOLLOW) ? -errno : 0;
	}
	if (!target->node->parent)
		return -EPERM;
	int from = node_fd(v, target->node->parent);
	return from < 0 ? from : linkat(from, target->node->name, dirfd, name, 0) ? -errno : 0;
}

static int rename_node(struct volume *v, struct node *dir, const char *name, struct node *new_dir, const char *new_name)
{
	int from = node_fd(v, dir), to = node_fd(v, new_dir);
	if (from < 0 || to < 0)
		return from < 0 ? from : to;
	if (renameat(from, name, to, new_name))
		return -errno;
	node_renamed(v, dir, name, new_dir, new_name);
	return 0;
}

int volume_rename(struct volume *v, struct fid *f, const struct p9_message *t, struct p9_message *r)
{
	char name[P9_NAME_MAX + 1], new_name[P9_NAME_MAX + 1];
	struct fid *to = fid_get(v, t->fid2);
	if (!to || to->xattr)
		return -EBADF;
	if (!f->node->parent)
		return -EBUSY;
	snprintf(name, sizeof(name), "%s", f->node->name);
	name_copy(new_name, t->name);
	return rename_node(v, f->node->parent, name, to->node, new_name);
}

int volume_renameat(struct volume *v, struct fid *f, const struct p9_message *t, struct p9_message *r)
{
	char name[P9_NAME_MAX + 1], new_name[P9_NAME_MAX + 1];
	struct fid *to = fid_get(v, t->fid2);
	if (!to || to->xattr)
		return -EBADF;
	name_copy(name, t->name);
	name_copy(new_name, t->name2);
	return rename_node(v, f->node, name, to->node, new_name);
}

int volume_unlinkat(struct volume *v, struct fid *f, const struct p9_message *t, struct p9_message *r)
{
	char name[P9_NAME_MAX + 1];
	int dirfd = node_fd(v, f->node);
	if (dirfd < 0)
		return dirfd;
	if (t->flags & ~P9_REMOVEDIR)
		return -EINVAL;
	name_copy(name, t->name);
	return unlinkat(dirfd, name, t->flags & P9_REMOVEDIR ? AT_REMOVEDIR : 0) ? -errno : 0;
}
