/* The calls that change directories: making, linking, renaming and removing names, with Linux's checks in Linux's order.
 * Owns no state; the back ends do the work once everything is checked.
 */
#include "kernel/fs/fs_private.h"
#include "kernel/fs/site.h"

#include <linux/inotify.h>

int names_may_create(struct dentry *dir)
{
	const struct inode_ops *ops = dir->inode->ops;

	if (dir->unlinked || (!ops->create && !ops->mkdir)) /* in /proc no name can be made, so none is ever found missing later */
		return -ENOENT;
	return inode_permission(dir->inode, MAY_WRITE | MAY_EXEC);
}

static int may_delete(struct dentry *dir, struct dentry *victim, bool as_directory)
{
	const struct inode *inode = victim->inode;
	int r = inode_permission(dir->inode, MAY_WRITE | MAY_EXEC);

	if (r)
		return r;
	if (dir->inode->mode & S_ISVTX && current->creds.fsuid != dir->inode->uid && !inode_owner_or_capable(inode))
		return -EPERM;
	if (as_directory != is_type(inode, S_IFDIR))
		return as_directory ? -ENOTDIR : -EISDIR;
	return dir->unlinked ? -ENOENT : 0;
}

static int created(struct dentry *dir, const struct dentry *d, int r)
{
	if (inotify_watches && !r)
		inotify_tell_directory(dir->inode, d->name, d->inode, IN_CREATE, 0);
	return r;
}

int names_create(struct dentry *dir, struct dentry *d, uint32_t mode, uint64_t rdev)
{
	const struct inode_ops *ops = dir->inode->ops;

	if (!ops->create)
		return S_ISREG(mode) ? -EACCES : -EPERM;
	return created(dir, d, ops->create(dir->inode, d, mode, rdev));
}

int names_begin_create(struct walk *w, int dirfd, const char *path, bool directory, struct dentry **ret_d)
{
	struct dentry *d = NULL;
	int r = *path ? walk_start(w, dirfd, path, 0) : -ENOENT;

	if (r)
		return r;
	r = walk_to_parent(w);
	if (!r)
		r = walk_name_is_special(w) ? -EEXIST : dentry_lookup(w->at, w->name, w->len, &d);
	if (!r && d->inode)
		r = -EEXIST;
	if (!r && w->slash && !directory)
		r = -ENOENT;
	if (!r)
		r = names_may_create(w->at);
	if (r) {
		if (d)
			dentry_unref(d);
		walk_end(w);
		return r;
	}
	*ret_d = d;
	return 0;
}

int names_end_create(struct walk *w, struct dentry *d, int r)
{
	dentry_unref(d);
	walk_end(w);
	return r;
}

int names_mkdir(int dirfd, const char *path, uint32_t mode)
{
	struct walk w;
	struct dentry *d;
	int r = names_begin_create(&w, dirfd, path, true, &d);

	if (r)
		return r;
	struct inode *dir = w.at->inode;

	mode &= (0777 | S_ISVTX) & ~current->process->fs->umask;
	return names_end_create(&w, d, dir->ops->mkdir ? created(w.at, d, dir->ops->mkdir(dir, d, S_IFDIR | mode)) : -EPERM);
}

int names_mknod(int dirfd, const char *path, uint32_t mode, uint64_t rdev)
{
	struct walk w;
	struct dentry *d;
	int r;

	switch (mode & S_IFMT) {
	case 0:
		mode |= S_IFREG;
		break;
	case S_IFREG:
	case S_IFIFO:
	case S_IFSOCK:
	case S_IFCHR:
	case S_IFBLK:
		break;
	case S_IFDIR:
		return -EPERM;
	default:
		return -EINVAL;
	}
	r = names_begin_create(&w, dirfd, path, false, &d);
	if (r)
		return r;
	if ((S_ISCHR(mode) || S_ISBLK(mode)) && !capable(CAP_MKNOD))
		r = -EPERM;
	mode = (mode & S_IFMT) | (mode & 07777 & ~current->process->fs->umask);
	return names_end_create(&w, d, r ? r : names_create(w.at, d, mode, S_ISCHR(mode) || S_ISBLK(mode) ? rdev : 0));
}

int names_symlink(const char *target, int dirfd, const char *path)
{
	struct walk w;
	struct dentry *d;
	int r = *target ? names_begin_create(&w, dirfd, path, false, &d) : -ENOENT;

	if (r)
		return r;
	struct inode *dir = w.at->inode;

	return names_end_create(&w, d, dir->ops->symlink ? created(w.at, d, dir->ops->symlink(dir, d, target)) : -EPERM);
}

int names_link(struct dentry *old, int dirfd, const char *path)
{
	struct inode *inode = old->inode;
	struct walk w;
	struct dentry *d;
	int r = names_begin_create(&w, dirfd, path, false, &d);

	if (r)
		return r;
	struct inode *dir = w.at->inode;

	if (dir->dev != inode->dev)
		r = -EXDEV;
	else if (is_type(inode, S_IFDIR) || !dir->ops->link)
		r = -EPERM;
	else if (!inode->nlink && !inode->linkable)
		r = -ENOENT;
	else
		r = dir->ops->link(dir, d, inode);
	if (!r) {
		inode->linkable = false;
		if (inotify_watches)
			inotify_tell_self(inode, IN_ATTRIB);
	}
	return names_end_create(&w, d, created(w.at, d, r));
}

static int special_name_error(const struct walk *w, bool directory)
{
	if (!directory)
		return -EISDIR;
	return w->len == 0 ? -EBUSY : w->len == 1 ? -EINVAL : -ENOTEMPTY;
}

/* Takes d, and tells who watches: of an object that is gone before its directory. */
static void removed(struct inode *dir, struct dentry *d, bool directory)
{
	struct inode *inode = d->inode;
	char name[NAME_MAX + 1];

	if (!inotify_watches) {
		dentry_unref(d);
		return;
	}
	memcpy(name, d->name, strlen(d->name) + 1);
	inode_ref(inode);
	if (!directory)
		inotify_tell_self(inode, IN_ATTRIB);
	dentry_unref(d);
	inotify_tell_directory(dir, name, inode, IN_DELETE, 0);
	inode_unref(inode);
}

int names_unlink(int dirfd, const char *path, bool directory)
{
	struct walk w;
	struct dentry *d = NULL;
	int r = *path ? walk_start(&w, dirfd, path, 0) : -ENOENT;

	if (r)
		return r;
	r = walk_to_parent(&w);
	if (!r)
		r = walk_name_is_special(&w) ? special_name_error(&w, directory) : dentry_lookup(w.at, w.name, w.len, &d);
	if (!r && !d->inode)
		r = -ENOENT;
	if (!r && !directory && w.slash)
		r = is_type(d->inode, S_IFDIR) ? -EISDIR : -ENOTDIR;
	r = r ? r : may_delete(w.at, d, directory);
	if (!r && d->mounted)
		r = -EBUSY;
	if (!r) {
		struct inode *dir = w.at->inode;
		int (*remove)(struct inode *, struct dentry *) = directory ? dir->ops->rmdir : dir->ops->unlink;

		r = site_is(d->inode) ? site_unlink(d) : remove ? remove(dir, d) : -EPERM;
		if (!r) {
			dentry_drop(d);
			removed(w.at->inode, d, directory);
			d = NULL;
		}
	}
	if (d)
		dentry_unref(d);
	walk_end(&w);
	return r;
}

static void renamed(const struct walk *from, const struct walk *to, struct inode *inode, struct inode *replaced)
{
	static uint32_t cookie;

	inotify_tell_directory(from->at->inode, from->name, inode, IN_MOVED_FROM, ++cookie);
	inotify_tell_directory(to->at->inode, to->name, inode, IN_MOVED_TO, cookie);
	if (replaced)
		inotify_tell_self(replaced, IN_ATTRIB);
	inotify_tell_self(inode, IN_MOVE_SELF);
}

/* All checks of a rename whose four entries are known; then the rename. */
static int rename_entries(struct walk *from, struct dentry *source, struct walk *to, struct dentry *target, unsigned flags)
{
	bool exchange = flags & RENAME_EXCHANGE, source_is_dir, target_is_dir = target->inode && is_type(target->inode, S_IFDIR);

	if (!source->inode)
		return -ENOENT;
	source_is_dir = is_type(source->inode, S_IFDIR);
	if (target->inode && flags & RENAME_NOREPLACE)
		return -EEXIST;
	if (exchange && !target->inode)
		return -ENOENT;
	if (exchange && !target_is_dir && to->slash)
		return -ENOTDIR;
	if (!source_is_dir && (from->slash || (!exchange && to->slash)))
		return -ENOTDIR;
	if (dentry_is_below(to->at, source))
		return -EINVAL;
	if (target->inode && dentry_is_below(from->at, target))
		return exchange ? -EINVAL : -ENOTEMPTY;
	if (source->inode == target->inode)
		return 0;
	int r = may_delete(from->at, source, source_is_dir);

	if (!r)
		r = target->inode ? may_delete(to->at, target, exchange ? target_is_dir : source_is_dir) : names_may_create(to->at);
	if (!r && from->at != to->at) { /* ".." of a directory changes */
		if (source_is_dir)
			r = inode_permission(source->inode, MAY_WRITE);
		if (!r && exchange && target_is_dir)
			r = inode_permission(target->inode, MAY_WRITE);
	}
	if (r)
		return r;
	if (source->mounted || target->mounted)
		return -EBUSY;
	const struct inode_ops *ops = from->at->inode->ops;

	if (site_is(source->inode) || (target->inode && site_is(target->inode)))
		return site_rename(source, to->at, target, flags);
	r = ops->rename ? ops->rename(from->at->inode, source, to->at->inode, target, flags) : -EPERM;
	if (r)
		return r;
	if (inotify_watches) {
		renamed(from, to, source->inode, exchange ? NULL : target->inode);
		if (exchange)
			renamed(to, from, target->inode, NULL);
	}
	if (exchange)
		dentry_exchange(source, target);
	else
		dentry_move(source, target);
	return 0;
}

int names_rename(int old_dirfd, const char *old_path, int new_dirfd, const char *new_path, unsigned flags)
{
	struct walk from, to;
	struct dentry *source = NULL, *target = NULL;

	if (flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE) || flags == (RENAME_NOREPLACE | RENAME_EXCHANGE))
		return -EINVAL;
	int r = *old_path && *new_path ? walk_start(&from, old_dirfd, old_path, 0) : -ENOENT;

	if (r)
		return r;
	r = walk_to_parent(&from);
	r = r ? r : walk_start(&to, new_dirfd, new_path, 0);
	if (r) {
		walk_end(&from);
		return r;
	}
	r = walk_to_parent(&to);
	if (!r && from.at->inode->dev != to.at->inode->dev)
		r = -EXDEV;
	if (!r && walk_name_is_special(&from))
		r = -EBUSY;
	if (!r && walk_name_is_special(&to))
		r = flags & RENAME_NOREPLACE ? -EEXIST : -EBUSY;
	r = r ? r : dentry_lookup(from.at, from.name, from.len, &source);
	r = r ? r : dentry_lookup(to.at, to.name, to.len, &target);
	r = r ? r : rename_entries(&from, source, &to, target, flags);
	if (target)
		dentry_unref(target);
	if (source)
		dentry_unref(source);
	walk_end(&to);
	walk_end(&from);
	return r;
}
