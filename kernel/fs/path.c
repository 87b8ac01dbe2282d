/* Path walks. Owns struct walk; trusts neither the path nor what links contain. */
#include "kernel/fs/fs_private.h"

int walk_start(struct walk *w, int dirfd, const char *path, uint64_t resolve)
{
	struct fs_context *fs = current->process->fs;

	*w = (struct walk){.root = fs->root, .rest = path, .resolve = resolve};
	if (path[0] == '/' && !(resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT))) {
		w->at = fs->root;
	} else if (path[0] == '/' && resolve & RESOLVE_BENEATH) {
		return -EXDEV;
	} else if (dirfd == AT_FDCWD) {
		w->at = fs->cwd;
	} else {
		struct file *f = fd_get_any(dirfd);

		if (!f)
			return -EBADF;
		if (*path && !S_ISDIR(f->inode->mode))
			return -ENOTDIR;
		w->at = f->dentry;
	}
	if (resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT)) {
		w->root = w->at;
		dentry_ref(w->root); /* the descriptor may be closed while we sleep */
	}
	dentry_ref(w->at);
	return 0;
}

void walk_end(struct walk *w)
{
	if (w->resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT))
		dentry_unref(w->root);
	dentry_unref(w->at);
	kfree(w->buffer);
}

static void move_to(struct walk *w, struct dentry *d) /* takes d */
{
	dentry_unref(w->at);
	w->at = d;
}

/* Takes the next name off. */
static int next_name(struct walk *w)
{
	const char *p = w->rest, *start;

	while (*p == '/')
		p++;
	for (start = p; *p && *p != '/'; p++)
		;
	w->len = (size_t)(p - start);
	if (w->len > NAME_MAX)
		return -ENAMETOOLONG;
	memcpy(w->name, start, w->len);
	w->name[w->len] = 0;
	w->slash = *p == '/';
	while (*p == '/')
		p++;
	w->rest = p;
	return 0;
}

static int push_link(struct walk *w, struct inode *link)
{
	if (w->resolve & RESOLVE_NO_SYMLINKS || ++w->links > MAX_LINKS)
		return -ELOOP;
	if (link->ops->follow) {
		if (w->resolve & (RESOLVE_NO_MAGICLINKS | RESOLVE_BENEATH | RESOLVE_IN_ROOT))
			return w->resolve & RESOLVE_NO_MAGICLINKS ? -ELOOP : -EXDEV;
		struct dentry *d = link->ops->follow(link);

		if (d) {
			move_to(w, d);
			return 0;
		}
	}
	size_t rest_len = strlen(w->rest), size = PATH_MAX + rest_len + 2;
	char *target = link->ops->readlink ? kmalloc(size) : NULL;
	long len = !link->ops->readlink ? -EINVAL : target ? link->ops->readlink(link, target, PATH_MAX) : -ENOMEM;

	if (len <= 0 || target[0] == '/') {
		if (len <= 0 || w->resolve & RESOLVE_BENEATH) {
			kfree(target);
			return len < 0 ? (int)len : len ? -EXDEV : -ENOENT;
		}
		dentry_ref(w->root);
		move_to(w, w->root);
	}
	if (w->slash)
		target[len++] = '/';
	memcpy(target + len, w->rest, rest_len + 1);
	kfree(w->buffer);
	w->buffer = target;
	w->rest = target;
	return 1;
}

int walk_enter(struct walk *w, struct dentry *d, bool follow)
{
	if (!d->inode) {
		dentry_unref(d);
		return -ENOENT;
	}
	if (d->mounted) {
		struct dentry *below = d;

		while (d->mounted)
			d = d->mounted;
		dentry_ref(d);
		dentry_unref(below);
		if (w->resolve & RESOLVE_NO_XDEV) {
			dentry_unref(d);
			return -EXDEV;
		}
	}
	if (follow && S_ISLNK(d->inode->mode)) {
		int r = push_link(w, d->inode);

		dentry_unref(d);
		return r;
	}
	move_to(w, d);
	return 0;
}

static int walk_up(struct walk *w)
{
	struct dentry *d = w->at;

	if (d == w->root)
		return w->resolve & RESOLVE_BENEATH ? -EXDEV : 0;
	while (d->parent == d && d->mount_point) {
		if (w->resolve & RESOLVE_NO_XDEV)
			return -EXDEV;
		d = d->mount_point;
	}
	dentry_ref(d->parent);
	move_to(w, d->parent);
	return 0;
}

static int may_search(struct walk *w)
{
	struct inode *inode = w->at->inode;

	return !S_ISDIR(inode->mode) ? -ENOTDIR : (inode->mode & 0111) == 0111 ? 0 : inode_permission(inode, MAY_EXEC);
}

static int walk_step(struct walk *w, bool follow)
{
	struct dentry *d;

	if (walk_name_is_special(w))
		return w->len == 2 ? walk_up(w) : 0;
	int r = (w->own ? dentry_lookup_own : dentry_lookup)(w->at, w->name, w->len, &d);

	return r ? r : walk_enter(w, d, follow);
}

int walk_to_parent(struct walk *w)
{
	for (;;) {
		int r = next_name(w);
		bool name_ok = !r;

		if (!name_ok || w->len)
			r = may_search(w); /* before the name is looked at, as Linux */
		if (r || !name_ok)
			return r ? r : -ENAMETOOLONG;
		if (!*w->rest)
			return 0;
		r = walk_step(w, true);
		if (r < 0)
			return r;
	}
}

int walk_to_end(struct walk *w, bool follow)
{
	for (;;) {
		int r = walk_to_parent(w);

		if (r)
			return r;
		r = walk_step(w, follow || w->slash);
		if (r <= 0)
			return r ? r : w->slash && !S_ISDIR(w->at->inode->mode) ? -ENOTDIR : 0;
	}
}

unsigned walk_flags(unsigned at_flags)
{
	return (at_flags & AT_SYMLINK_NOFOLLOW ? 0 : WALK_FOLLOW) | (at_flags & AT_EMPTY_PATH ? WALK_EMPTY_PATH : 0);
}

int path_lookup(int dirfd, const char *path, unsigned flags, struct dentry **ret)
{
	struct walk w;

	if (!*path && !(flags & WALK_EMPTY_PATH))
		return -ENOENT;
	int r = walk_start(&w, dirfd, path, 0);

	if (r)
		return r;
	r = *path ? walk_to_end(&w, flags & WALK_FOLLOW) : 0;
	if (!r && flags & WALK_DIRECTORY && !S_ISDIR(w.at->inode->mode))
		r = -ENOTDIR;
	if (!r) {
		dentry_ref(w.at);
		*ret = w.at;
	}
	walk_end(&w);
	return r;
}

int path_from_user_empty_ok(uint64_t addr, char **ret)
{
	static char buffer[PATH_MAX]; /* nothing sleeps while it is in use */
	long len = string_from_user(buffer, addr, sizeof(buffer));

	if (len < 0)
		return (int)len;
	char *path = kmalloc((size_t)len + 1);

	if (!path)
		return -ENOMEM;
	memcpy(path, buffer, (size_t)len + 1);
	*ret = path;
	return 0;
}

int path_from_user(uint64_t addr, char **ret)
{
	char *path = NULL;
	int r = path_from_user_empty_ok(addr, &path);

	if (!r && !*path) {
		kfree(path);
		r = -ENOENT;
	}
	if (!r)
		*ret = path;
	return r;
}

int path_lookup_user(int dirfd, uint64_t user_path, unsigned flags, struct dentry **ret)
{
	char *path = NULL;
	int r = path_from_user_empty_ok(user_path, &path);

	if (r)
		return r;
	r = path_lookup(dirfd, path, flags, ret);
	kfree(path);
	return r;
}
