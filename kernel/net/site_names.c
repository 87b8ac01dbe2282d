/* Names of a site as files: what stat(), unlink(), chmod(), rename() and readdir() see of sockets of other cells. Owns the list
 * of the site's folders. An entry is made anew for each walk that comes to a name, because another cell may have changed it.
 */
#include "kernel/fs/fs_private.h"
#include "kernel/fs/site.h"
#include "kernel/net/site.h"

#define SITE_DEV      0x10u        /* of no other file system: nothing can be linked across */
#define SITE_POSITION (1ull << 63) /* readdir: after any of the folder's own, which hosts may choose up to there */
#define LIST_BYTES    60000u

struct site_inode {
	struct inode inode;
	char *path;
};

static struct {
	struct dentry *dir; /* referenced */
	const char *path;
} folders[VB_SITE_FOLDERS_MAX];
static unsigned folder_count;
bool site_active;

void site_init(void)
{
	for (unsigned i = 0; i < boot->site_count && i < VB_SITE_FOLDERS_MAX; i++) {
		const char *path = vb_boot_string(boot, boot->site[i]);
		bool made = !names_mkdir(AT_FDCWD, path, 0777);
		int r = path_lookup(AT_FDCWD, path, WALK_FOLLOW | WALK_DIRECTORY, &folders[folder_count].dir);

		if (r)
			start_fail(125, r, "--site: folder %s", path);
		if (made)
			folders[folder_count].dir->inode->mode = S_IFDIR | 01777;
		folders[folder_count++].path = path;
	}
	site_active = folder_count;
}

static const char *folder_path(const struct dentry *d)
{
	for (unsigned i = 0; i < folder_count; i++)
		if (folders[i].dir == d)
			return folders[i].path;
	return NULL;
}

static size_t put(char *path, size_t at, const char *text)
{
	size_t len = strlen(text);

	if (at + len > VB_SITE_PATH_MAX)
		return VB_SITE_PATH_MAX + 1;
	memcpy(path + at, text, len + 1);
	return at + len;
}

/* Writes the site's path of dir; 0: it is none of its folders, more than VB_SITE_PATH_MAX: too long. */
static size_t put_directory(char *path, const struct dentry *dir)
{
	const struct dentry *names[VB_SITE_PATH_MAX / 2 + 1];
	unsigned depth = 0;
	size_t at;

	for (; !folder_path(dir); dir = dir->parent) {
		if (dir->parent == dir || dir->unlinked || depth == VB_ARRAY_LEN(names))
			return 0;
		names[depth++] = dir;
	}
	for (at = put(path, 0, folder_path(dir)); depth && at <= VB_SITE_PATH_MAX; depth--) {
		at = put(path, at, "/");
		at = at > VB_SITE_PATH_MAX ? at : put(path, at, names[depth - 1]->name);
	}
	return at;
}

/* Whether what follows a name needs no walk: names and slashes. */
static bool is_plain(const char *rest)
{
	for (const char *p = rest; *p; p++)
		if (*p == '/' && (p[1] == '/' || !p[1]))
			return false;
	for (const char *p = rest; p && *p; p = strchr(p, '/'), p = p ? p + 1 : NULL)
		if (p[0] == '.' && (!p[1] || p[1] == '/' || (p[1] == '.' && (!p[2] || p[2] == '/'))))
			return false;
	return true;
}

char *site_path(struct dentry *dir, const char *last, const char *rest)
{
	char path[VB_SITE_PATH_MAX + 1];

	if (!site_active || !is_plain(rest))
		return NULL;
	size_t at = put_directory(path, dir);

	if (!at)
		return NULL;
	at = at > VB_SITE_PATH_MAX ? at : put(path, at, "/");
	at = at > VB_SITE_PATH_MAX ? at : put(path, at, last);
	if (*rest && at <= VB_SITE_PATH_MAX) {
		at = put(path, at, "/");
		at = at > VB_SITE_PATH_MAX ? at : put(path, at, rest);
	}
	return at > VB_SITE_PATH_MAX ? NULL : kstrdup(path);
}

int site_resolve(const char *path, struct dentry **ret, char **ret_path)
{
	struct walk w;
	int r = *path ? walk_start(&w, AT_FDCWD, path, 0) : -ENOENT;

	if (r)
		return r;
	w.own = true;
	r = walk_to_end(&w, true);
	if (!r) {
		dentry_ref(w.at);
		*ret = w.at;
	} else if (r == -ENOENT && w.len && !w.at->unlinked && (!w.slash || *w.rest)) {
		*ret_path = site_path(w.at, w.name, w.rest);
		r = *ret_path ? 1 : r;
	}
	walk_end(&w);
	return r;
}

/* --- entries --- */

static const struct inode_ops site_inode_ops;

bool site_is(const struct inode *inode)
{
	return inode->ops == &site_inode_ops;
}

static const char *path_of(const struct inode *inode)
{
	return vb_container_of(inode, struct site_inode, inode)->path;
}

static int site_setattr(struct inode *inode, const struct attr_change *change)
{
	struct site_call c = {
		.path = path_of(inode),
		.q = {.op = VB_SITE_SETATTR, .mode = change->mode & 07777, .uid = change->uid, .gid = change->gid},
	};

	c.q.value = (change->valid & ATTR_MODE ? 1 : 0) | (change->valid & ATTR_UID ? 2 : 0) | (change->valid & ATTR_GID ? 4 : 0);
	site_who(&c.q.who);
	int r = c.q.value ? site_run(&c) : 0;

	if (!r)
		inode_apply(inode, change);
	return r;
}

static void site_inode_release(struct inode *inode)
{
	struct site_inode *s = vb_container_of(inode, struct site_inode, inode);

	kfree(s->path);
	kfree(s);
}

static const struct inode_ops site_inode_ops = {.setattr = site_setattr, .release = site_inode_release};

static int entry_new(struct dentry *own, const struct vb_site_reply *a, char *path, struct dentry **ret)
{
	struct site_inode *s = kzalloc(sizeof(*s));

	if (!s)
		return -ENOMEM;
	inode_init(&s->inode, &site_inode_ops, S_IFSOCK | (a->mode & 07777));
	s->inode.dev = SITE_DEV;
	s->inode.ino = a->ino;
	s->inode.uid = a->uid;
	s->inode.gid = a->gid;
	s->inode.atime_ns = s->inode.mtime_ns = s->inode.ctime_ns = a->time_ns;
	s->path = path;
	*ret = dentry_new_nameless(own->parent, own->name, &s->inode); /* outside the cache */
	return *ret ? 0 : -ENOMEM;
}

int site_lookup(struct dentry **d)
{
	struct dentry *own = *d, *found;
	struct site_call c = {.q.op = VB_SITE_STAT, .path = site_path(own->parent, own->name, "")};

	if (!c.path)
		return 0;
	int r = site_run(&c);
	if (!r && !own->inode)
		r = entry_new(own, &c.reply, (char *)c.path, &found);
	else
		r = r == -ENOMEM ? r : 1;
	if (r) {
		kfree((char *)c.path);
		return r > 0 ? 0 : r; /* nothing there, or nothing that can be told */
	}
	dentry_unref(own);
	*d = found;
	return 0;
}

int site_unlink(struct dentry *d)
{
	struct site_call c = {.q.op = VB_SITE_UNLINK, .path = path_of(d->inode)};

	site_who(&c.q.who);
	return site_run(&c);
}

int site_rename(struct dentry *from, struct dentry *dir, struct dentry *to, unsigned flags)
{
	struct site_call c = {.q.op = VB_SITE_RENAME, .path = path_of(from->inode)};
	char *path = NULL;
	int r = -EXDEV; /* into a folder that is not the site's, or over a file of the cell's own */

	if (site_is(from->inode) && (!to->inode || site_is(to->inode)) && !(flags & RENAME_EXCHANGE))
		path = site_path(dir, to->name, "");
	if (path) {
		site_who(&c.q.who);
		c.name = (const uint8_t *)path;
		c.q.name_len = (uint32_t)strlen(path);
		c.q.value = flags & RENAME_NOREPLACE;
		r = site_run(&c);
	}
	kfree(path);
	return r;
}

bool site_owns_position(const struct file *f)
{
	return f->pos >= SITE_POSITION;
}

int site_readdir(struct file *f, dir_emit *emit, void *arg)
{
	struct site_call c = {.q.op = VB_SITE_LIST, .out_size = LIST_BYTES};
	char path[VB_SITE_PATH_MAX + 1], name[NAME_MAX + 1];
	uint64_t pos = site_owns_position(f) ? f->pos : SITE_POSITION;
	size_t len = put_directory(path, f->dentry);
	struct dentry *own;

	if (!len || len > VB_SITE_PATH_MAX)
		return 0;
	c.path = path;
	c.out = kmalloc(LIST_BYTES);
	if (!c.out)
		return -ENOMEM;
	do {
		c.q.value = (uint32_t)(pos - SITE_POSITION);
		if (site_run(&c))
			break;
		for (size_t at = 0; at < c.out_len && at + 1 + c.out[at] <= c.out_len; at += 1 + c.out[at]) {
			memcpy(name, c.out + at + 1, c.out[at]);
			name[c.out[at]] = 0;
			bool hidden = false; /* by a file of the cell's own */
			if (!dentry_lookup_own(f->dentry, name, c.out[at], &own)) {
				hidden = own->inode;
				dentry_unref(own);
			}
			if (!hidden && !emit(arg, name, c.out[at], pos, dirent_type(S_IFSOCK), pos + 1))
				goto full;
			f->pos = ++pos;
		}
	} while (c.reply.value); /* there are more */
full:
	kfree(c.out);
	return 0;
}
