/* The root file system: the image below, memory above. Owns its inodes and what was changed; trusts the image no further than
 * base/erofs does. See rootfs.h for the invariants.
 */
#include "kernel/fs/rootfs.h"
#include "kernel/mm/page.h"

#include <linux/magic.h>

#define DEVICE         0x1bu        /* of the root; subtrees count up from it */
#define OWN_POSITION   (1ull << 40) /* readdir: own names after those below */
#define BELOW_POSITION 2u

struct erofs rootfs_image;
static struct rootfs root_fs = {.dev = DEVICE};
static struct rootfs_inode *by_nid[512];
static uint64_t last_position, last_number;

static const struct inode_ops rootfs_ops;
static const struct file_ops rootfs_dir_ops;

static struct rootfs_inode **nid_bucket(uint64_t nid)
{
	return &by_nid[nid % VB_ARRAY_LEN(by_nid)];
}

static struct rootfs_inode *inode_new(struct rootfs *fs, uint32_t mode)
{
	struct rootfs_inode *i = kzalloc(sizeof(*i));

	if (!i)
		return NULL;
	inode_init(&i->inode, &rootfs_ops, mode);
	i->fs = fs;
	i->inode.dev = fs->dev;
	i->inode.read_only = fs->read_only;
	i->inode.ino = rootfs_image.bytes / 32 + ++last_number; /* above every nid */
	i->inode.file_ops = S_ISREG(mode) ? &rootfs_file_ops : S_ISDIR(mode) ? &rootfs_dir_ops : NULL;
	i->inode.nlink = S_ISDIR(mode) ? 2 : 1;
	i->btime_ns = i->inode.mtime_ns;
	list_init(&i->xattrs);
	return i;
}

static struct rootfs_inode *inode_of_image(struct rootfs *fs, uint64_t nid, int *ret_error)
{
	struct erofs_inode lower;

	for (struct rootfs_inode *i = *nid_bucket(nid); i; i = i->hash_next) {
		if (i->lower.nid == nid && i->fs == fs) {
			inode_ref(&i->inode);
			return i;
		}
	}
	*ret_error = erofs_inode(&rootfs_image, nid, &lower);
	if (*ret_error)
		return NULL;
	struct rootfs_inode *i = inode_new(fs, lower.mode);

	if (!i) {
		*ret_error = -ENOMEM;
		return NULL;
	}
	i->has_lower = true;
	i->lower = lower;
	i->lower_pages = S_ISREG(lower.mode) ? vb_page_up(lower.size) / VB_PAGE_SIZE : 0;
	i->btime_ns = (int64_t)lower.mtime_ns;
	i->inode.ino = i->inode.image_nid = nid;
	i->inode.nlink = lower.nlink;
	i->inode.uid = lower.uid;
	i->inode.gid = lower.gid;
	i->inode.rdev = lower.rdev;
	i->inode.size = lower.size;
	i->inode.atime_ns = i->inode.mtime_ns = i->inode.ctime_ns = (int64_t)lower.mtime_ns;
	i->hash_next = *nid_bucket(nid);
	*nid_bucket(nid) = i;
	return i;
}

static void release(struct inode *inode)
{
	struct rootfs_inode *i = rootfs_of(inode), **p = nid_bucket(i->lower.nid);

	if (i->has_lower) {
		while (*p != i)
			p = &(*p)->hash_next;
		*p = i->hash_next;
	}
	rootfs_free_pages(i);
	rootfs_free_xattrs(i);
	kfree(i->hidden);
	kfree(i->target);
	kfree(i);
}

void rootfs_keep(struct rootfs_inode *i)
{
	if (!i->has_lower || i->kept || !i->inode.nlink)
		return;
	i->kept = true;
	inode_ref(&i->inode);
}

static void links_changed(struct rootfs_inode *i, int by)
{
	i->inode.nlink =
		by < 0 && i->inode.nlink < (uint32_t)-by ? 0 : i->inode.nlink + (uint32_t)by; /* a broken image may count wrongly */
	i->inode.ctime_ns = (int64_t)now_realtime_ns();
	if (i->inode.nlink) {
		rootfs_keep(i);
	} else if (i->kept) {
		i->kept = false;
		inode_unref(&i->inode); /* the caller's dentry still holds it */
	}
}

static void dir_changed(struct rootfs_inode *dir)
{
	dir->inode.mtime_ns = dir->inode.ctime_ns = (int64_t)now_realtime_ns();
	rootfs_keep(dir);
}

/* --- hidden names --- */

static unsigned hidden_index(const struct rootfs_inode *dir, uint64_t position)
{
	unsigned low = 0, high = dir->hidden_count;

	while (low < high) {
		unsigned middle = (low + high) / 2;

		if (dir->hidden[middle] < position)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_hidden(const struct rootfs_inode *dir, uint64_t position)
{
	unsigned i = hidden_index(dir, position);

	return i < dir->hidden_count && dir->hidden[i] == position;
}

/* Makes room to hide n names, so that hiding can't fail. */
static int reserve_hidden(struct rootfs_inode *dir, unsigned n)
{
	if (!dir->has_lower || dir->hidden_count + n <= dir->hidden_room)
		return 0;
	unsigned room = 2 * dir->hidden_room + n + 6;
	uint32_t *bigger = krealloc(dir->hidden, room * sizeof(*bigger));

	if (!bigger)
		return -ENOSPC;
	dir->hidden = bigger;
	dir->hidden_room = room;
	return 0;
}

static void hide(struct rootfs_inode *dir, const char *name)
{
	struct erofs_entry e;

	if (!dir->has_lower || erofs_lookup(&rootfs_image, &dir->lower, name, strlen(name), &e) || is_hidden(dir, e.position))
		return;
	unsigned i = hidden_index(dir, e.position);

	memmove(&dir->hidden[i + 1], &dir->hidden[i], (dir->hidden_count - i) * sizeof(*dir->hidden));
	dir->hidden[i] = (uint32_t)e.position;
	dir->hidden_count++;
}

/* --- names --- */

static int lookup(struct inode *inode, struct dentry *d)
{
	struct rootfs_inode *dir = rootfs_of(inode);
	struct erofs_entry e;
	int r = rootfs_etc_lookup(dir, d);

	if (r)
		return vb_min(r, 0);
	r = dir->has_lower ? erofs_lookup(&rootfs_image, &dir->lower, d->name, strlen(d->name), &e) : -ENOENT;

	if (r || is_hidden(dir, e.position))
		return r == -ENOENT ? 0 : r;
	struct rootfs_inode *i = inode_of_image(dir->fs, e.nid, &r);

	if (i)
		dentry_instantiate(d, &i->inode);
	return r;
}

static void add_name(struct rootfs_inode *dir, struct dentry *d, struct rootfs_inode *i)
{
	dentry_instantiate(d, &i->inode);
	d->position = ++last_position;
	dentry_pin(d);
	dir_changed(dir);
}

int rootfs_hide(struct rootfs_inode *dir, const char *name)
{
	int r = reserve_hidden(dir, 1);

	if (!r)
		hide(dir, name);
	return r;
}

void rootfs_give(struct dentry *d, struct inode *inode_taken)
{
	dentry_instantiate(d, inode_taken);
	d->position = ++last_position;
	d->pinned = true; /* as dentry_pin(): the walk that looks it up is about to list it */
	dentry_ref(d);
}

/* Room must have been reserved. The entry itself is the caller's to drop. */
static void remove_name(struct rootfs_inode *dir, struct dentry *d)
{
	if (d->pinned)
		dentry_unpin(d);
	else
		hide(dir, d->name);
	dir_changed(dir);
}

/* A new inode as its directory wants it: owner, group, set-group-id. */
static struct rootfs_inode *inode_new_in(struct rootfs_inode *dir, uint32_t mode)
{
	struct rootfs_inode *i = inode_new(dir->fs, mode);

	if (!i || !(dir->inode.mode & S_ISGID))
		return i;
	i->inode.gid = dir->inode.gid;
	if (S_ISDIR(mode))
		i->inode.mode |= S_ISGID;
	else if ((mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) && !in_group(i->inode.gid) && !capable(CAP_FSETID))
		i->inode.mode &= ~(uint32_t)S_ISGID;
	return i;
}

static int create(struct inode *dir, struct dentry *d, uint32_t mode, uint64_t rdev)
{
	struct rootfs_inode *i = inode_new_in(rootfs_of(dir), mode);

	if (!i)
		return -ENOSPC;
	i->inode.rdev = rdev;
	add_name(rootfs_of(dir), d, i);
	return 0;
}

static int make_dir(struct inode *dir, struct dentry *d, uint32_t mode)
{
	int r = create(dir, d, S_IFDIR | mode, 0);

	if (!r)
		links_changed(rootfs_of(dir), 1);
	return r;
}

static int make_link(struct inode *dir, struct dentry *d, const char *target)
{
	struct rootfs_inode *i = inode_new_in(rootfs_of(dir), S_IFLNK | 0777);

	if (!i || !(i->target = kstrdup(target))) {
		if (i)
			inode_unref(&i->inode);
		return -ENOSPC;
	}
	i->inode.size = strlen(target);
	add_name(rootfs_of(dir), d, i);
	return 0;
}

static int link_name(struct inode *dir, struct dentry *d, struct inode *target)
{
	inode_ref(target);
	links_changed(rootfs_of(target), 1);
	add_name(rootfs_of(dir), d, rootfs_of(target));
	return 0;
}

static int unlink(struct inode *dir, struct dentry *d)
{
	int r = reserve_hidden(rootfs_of(dir), 1);

	if (r)
		return r;
	links_changed(rootfs_of(d->inode), -1);
	remove_name(rootfs_of(dir), d);
	return 0;
}

/* The first visible name below at or after position. 1, 0: none, or -errno. */
static int next_below(struct rootfs_inode *dir, uint64_t position, struct erofs_entry *e)
{
	for (; dir->has_lower; position = e->next) {
		int r = erofs_next(&rootfs_image, &dir->lower, position, e);

		if (r <= 0)
			return r;
		bool dots = e->name[0] == '.' && (e->len == 1 || (e->len == 2 && e->name[1] == '.'));

		if (!dots && !is_hidden(dir, e->position))
			return 1;
	}
	return 0;
}

static bool is_empty(struct dentry *d)
{
	struct erofs_entry e;

	list_for_each(child, &d->children, struct dentry, sibling)
		if (child->pinned)
			return false;
	return next_below(rootfs_of(d->inode), 0, &e) == 0;
}

static int remove_dir(struct inode *dir, struct dentry *d)
{
	int r = is_empty(d) ? reserve_hidden(rootfs_of(dir), 1) : -ENOTEMPTY;

	if (r)
		return r;
	links_changed(rootfs_of(d->inode), -(int)d->inode->nlink);
	links_changed(rootfs_of(dir), -1);
	remove_name(rootfs_of(dir), d);
	return 0;
}

/* Before an entry goes to another place: its name here goes, and the file system holds it from now on. */
static void detach(struct rootfs_inode *dir, struct dentry *d)
{
	if (!d->pinned) {
		hide(dir, d->name);
		dentry_pin(d);
	}
	d->position = ++last_position;
	d->inode->ctime_ns = (int64_t)now_realtime_ns();
	rootfs_keep(rootfs_of(d->inode));
	dir_changed(dir);
}

static int rename(struct inode *old_dir, struct dentry *old_d, struct inode *new_dir, struct dentry *new_d, unsigned flags)
{
	struct rootfs_inode *from = rootfs_of(old_dir), *to = rootfs_of(new_dir);
	bool old_is_dir = S_ISDIR(old_d->inode->mode), new_is_dir = new_d->inode && S_ISDIR(new_d->inode->mode);
	bool exchange = flags & RENAME_EXCHANGE;

	if (!exchange && new_is_dir && !is_empty(new_d))
		return -ENOTEMPTY;
	if (reserve_hidden(from, 2) || reserve_hidden(to, 2))
		return -ENOSPC;
	detach(from, old_d);
	if (exchange) {
		detach(to, new_d);
	} else if (new_d->inode) {
		links_changed(rootfs_of(new_d->inode), new_is_dir ? -(int)new_d->inode->nlink : -1);
		remove_name(to, new_d);
	}
	dir_changed(to);
	if (old_is_dir != (exchange && new_is_dir)) { /* a directory fewer here */
		int moved = old_is_dir ? 1 : -1;

		links_changed(from, -moved);
		if (exchange || !new_is_dir)
			links_changed(to, moved);
	}
	return 0;
}

static long read_link(struct inode *inode, char *buf, size_t size)
{
	struct rootfs_inode *i = rootfs_of(inode);

	if (!i->target)
		return (long)erofs_read(&rootfs_image, &i->lower, 0, buf, size);
	size = vb_min(size, (size_t)inode->size);
	memcpy(buf, i->target, size);
	return (long)size;
}

/* --- attributes --- */

static int get_attributes(struct inode *inode, struct k_stat *ret)
{
	struct rootfs_inode *i = rootfs_of(inode);

	ret->blocks = (i->own_pages + i->lower_pages - i->covered) * (VB_PAGE_SIZE / 512);
	ret->btime_ns = i->btime_ns;
	return 0;
}

static int set_attributes(struct inode *inode, const struct attr_change *change)
{
	int r = change->valid & ATTR_SIZE ? rootfs_truncate(rootfs_of(inode), change->size) : 0;

	if (r)
		return r;
	inode_apply(inode, change);
	rootfs_keep(rootfs_of(inode));
	return 0;
}

static int get_statfs(struct inode *inode, struct k_statfs *ret)
{
	enum { ST_RDONLY = 1, ST_VALID = 0x20, ST_RELATIME = 0x1000 };

	*ret = (struct k_statfs){
		.type = TMPFS_MAGIC,
		.bsize = VB_PAGE_SIZE,
		.blocks = pages_total(),
		.bfree = pages_free(),
		.bavail = pages_free(),
		.files = pages_total(),
		.ffree = pages_free(),
		.fsid = inode->dev,
		.namelen = NAME_MAX,
		.flags = ST_VALID | ST_RELATIME | (inode->read_only ? ST_RDONLY : 0),
	};
	return 0;
}

/* --- reading directories --- */

static int read_dir(struct file *f, uint64_t *pos, dir_emit *emit, void *arg)
{
	struct rootfs_inode *dir = rootfs_of(f->inode);
	struct dentry *d = f->dentry;
	struct erofs_entry e;

	if (*pos == 0) {
		rootfs_etc_all(d);
		if (!emit(arg, ".", 1, f->inode->ino, 4, 1))
			return 0;
		*pos = 1;
	}
	if (*pos == 1) {
		if (!emit(arg, "..", 2, d->parent->inode->ino, 4, BELOW_POSITION))
			return 0;
		*pos = BELOW_POSITION;
	}
	while (*pos < OWN_POSITION) {
		int r = next_below(dir, *pos - BELOW_POSITION, &e);

		if (r < 0)
			return r;
		if (r && !emit(arg, e.name, e.len, e.nid, e.type, BELOW_POSITION + e.next))
			return 0;
		*pos = r ? BELOW_POSITION + e.next : OWN_POSITION;
	}
	list_for_each(child, &d->children, struct dentry, sibling) {
		uint64_t at = OWN_POSITION + child->position;

		if (!child->pinned || at < *pos)
			continue;
		if (!emit(arg, child->name, strlen(child->name), child->inode->ino, dirent_type(child->inode->mode), at + 1))
			return 0;
		*pos = at + 1;
	}
	return 0;
}

static int64_t seek_dir(struct file *f, int64_t offset, int whence)
{
	return directory_ops.seek(f, offset, whence);
}

static int sync_dir(struct file *f, bool data_only)
{
	return 0;
}

static const struct file_ops rootfs_dir_ops = {.seek = seek_dir, .readdir = read_dir, .fsync = sync_dir};

static const struct inode_ops rootfs_ops = {
	.lookup = lookup,
	.create = create,
	.mkdir = make_dir,
	.symlink = make_link,
	.link = link_name,
	.unlink = unlink,
	.rmdir = remove_dir,
	.rename = rename,
	.readlink = read_link,
	.getattr = get_attributes,
	.setattr = set_attributes,
	.get_page = rootfs_get_page,
	.statfs = get_statfs,
	.getxattr = rootfs_getxattr,
	.setxattr = rootfs_setxattr,
	.listxattr = rootfs_listxattr,
	.removexattr = rootfs_removexattr,
	.release = release,
};

/* --- making file systems and nameless files --- */

struct inode *rootfs_new_tmpfile(struct inode *dir, uint32_t mode, int *ret_error)
{
	struct rootfs_inode *i = dir->ops == &rootfs_ops ? inode_new_in(rootfs_of(dir), mode) : NULL;

	if (!i) {
		*ret_error = dir->ops == &rootfs_ops ? -ENOSPC : -EOPNOTSUPP;
		return NULL;
	}
	i->inode.nlink = 0;
	return &i->inode;
}

struct inode *rootfs_new_memfd(uint32_t mode)
{
	static struct rootfs memfd_fs = {.dev = 1};
	struct rootfs_inode *i = inode_new(&memfd_fs, mode);

	if (!i)
		return NULL;
	i->inode.nlink = 0;
	return &i->inode;
}

struct inode *rootfs_subtree(struct inode *dir)
{
	struct rootfs_inode *below = rootfs_of(dir);
	struct rootfs *fs = kzalloc(sizeof(*fs));
	int r;

	if (!fs)
		return NULL;
	fs->dev = DEVICE + ++last_number;
	struct rootfs_inode *i = below->has_lower ? inode_of_image(fs, below->lower.nid, &r) : inode_new(fs, dir->mode);

	return i ? &i->inode : NULL;
}

struct dentry *rootfs_mount(void)
{
	struct rootfs_inode *root;
	struct erofs_entry e;
	int r = boot->image_bytes ? erofs_open(&rootfs_image, (const void *)boot->image_base, boot->image_bytes) : 0;

	if (r)
		start_fail(125, r, "root file system");
	root = rootfs_image.bytes ? inode_of_image(&root_fs, rootfs_image.root_nid, &r) : inode_new(&root_fs, S_IFDIR | 0755);
	struct dentry *d = root ? dentry_new_root(&root->inode) : NULL;

	if (!d)
		start_fail(125, root ? -ENOMEM : r, "root file system");
	if (root->has_lower && !erofs_lookup(&rootfs_image, &root->lower, ".vauban", 7, &e) && !reserve_hidden(root, 1))
		hide(root, ".vauban");
	rootfs_keep(root);
	return d;
}

/* Once the start has made its directories. */
void rootfs_set_read_only(void)
{
	root_fs.read_only = true;
	for (unsigned b = 0; b < VB_ARRAY_LEN(by_nid); b++)
		for (struct rootfs_inode *i = by_nid[b]; i; i = i->hash_next)
			i->inode.read_only = i->fs->read_only;
}
