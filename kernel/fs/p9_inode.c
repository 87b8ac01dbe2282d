/* Inodes of a volume: names, attributes, extended attributes. Owns struct p9_inode, one for each file of the host that
 * the cell knows, found by its qid. The host may change everything at any time: names are walked again and attributes
 * asked for again unless seen within P9_FRESH_NS. Ownership and modes are the host's.
 */
#include "kernel/fs/p9_private.h"

#include <linux/stat.h>

static const struct inode_ops p9_inode_ops, p9_node_ops;

static int64_t ns(struct p9_time t)
{
	return (int64_t)(t.sec * NSEC_PER_SEC + t.nsec);
}

void p9_attr_store(struct p9_inode *i, const struct p9_call *getattr)
{
	const struct p9_attr *a = &getattr->m.attr;
	struct inode *inode = &i->inode;
	inode->mode = (inode->mode & S_IFMT) | (a->mode & 07777);
	inode->uid = a->uid;
	inode->gid = a->gid;
	inode->nlink = (uint32_t)a->nlink;
	inode->rdev = a->rdev;
	inode->size = a->size;
	inode->atime_ns = ns(a->atime);
	inode->mtime_ns = ns(a->mtime);
	inode->ctime_ns = ns(a->ctime);
	i->btime_ns = ns(a->btime);
	i->blocks = a->blocks;
	i->blksize = vb_max(a->blksize, (uint64_t)P9_MAX_DATA); /* what one request carries */
	i->attr_ns = i->session->changes == getattr->changes ? now_monotonic_ns() : 0;
}

static bool fresh(uint64_t since_ns)
{
	return since_ns && now_monotonic_ns() - since_ns < P9_FRESH_NS;
}

int p9_refresh(struct p9_inode *i)
{
	struct p9_call call = P9_CALL(P9_TGETATTR, .fid = p9_best_fid(i), .mask = P9_GETATTR_ALL);
	int r = p9_run(i->session, &call, 1);
	if (!r)
		p9_attr_store(i, &call);
	return r;
}

static struct list *bucket_of(struct p9_session *s, uint64_t path)
{
	return &s->inodes[(path ^ path >> 20) % P9_INODE_BUCKETS];
}

static struct p9_inode *inode_find(struct p9_session *s, struct p9_qid qid)
{
	list_for_each(i, bucket_of(s, qid.path), struct p9_inode, node) {
		if (i->inode.ino == qid.path && i->version == qid.version)
			return i;
	}
	return NULL;
}

/* The inode of a qid, referenced; fid is taken over. attr: the reply to the getattr that followed the walk. */
static struct inode *inode_of(struct p9_session *s, uint32_t fid, const struct p9_call *attr)
{
	struct p9_inode *i = inode_find(s, attr->m.qid);
	if (i && (i->inode.mode & S_IFMT) == (attr->m.attr.mode & S_IFMT)) {
		p9_clunk(s, fid);
		inode_ref(&i->inode);
		p9_attr_store(i, attr);
		return &i->inode;
	}
	i = kzalloc(sizeof(*i));
	if (!i) {
		p9_clunk(s, fid);
		return NULL;
	}
	bool plain = S_ISREG(attr->m.attr.mode) || S_ISDIR(attr->m.attr.mode);
	inode_init(&i->inode, plain ? &p9_inode_ops : &p9_node_ops, attr->m.attr.mode);
	i->inode.file_ops = S_ISREG(attr->m.attr.mode) ? &p9_file_ops : S_ISDIR(attr->m.attr.mode) ? &p9_dir_ops : NULL;
	i->inode.ino = attr->m.qid.path;
	i->inode.dev = 0x40 + s->index;
	i->inode.read_only = s->read_only;
	i->version = attr->m.qid.version;
	i->session = s;
	i->fid = fid;
	i->rd = i->wr = P9_NOFID;
	list_push_front(bucket_of(s, attr->m.qid.path), &i->node);
	p9_attr_store(i, attr);
	return &i->inode;
}

int p9_root_inode(struct p9_session *s, uint32_t fid, const struct p9_call *attr, struct inode **ret)
{
	*ret = inode_of(s, fid, attr);
	return *ret ? 0 : -ENOMEM;
}

static void release(struct inode *inode)
{
	struct p9_inode *i = p9_inode(inode);
	p9_ahead_forget(i);
	p9_pages_drop(i);
	kfree(i->pages);
	p9_clunk(i->session, i->fid);
	p9_clunk(i->session, i->rd);
	if (i->wr != i->rd)
		p9_clunk(i->session, i->wr);
	list_remove(&i->node);
	kfree(i);
}

int p9_open_io(struct p9_inode *i, bool read, bool write)
{
	struct p9_session *s = i->session;
	read = read && i->rd == P9_NOFID;
	write = write && i->wr == P9_NOFID;
	if (!read && !write)
		return 0;
	uint32_t fid = p9_new_fid(s);
	struct p9_call calls[] = {
		P9_CALL(P9_TWALK, .fid = i->fid, .fid2 = fid),
		P9_CALL(P9_TLOPEN, .fid = fid,
			.flags = read && write ? O_RDWR
				 : write       ? O_WRONLY
					       : O_RDONLY),
	};
	int r = p9_run(s, calls, 2);
	bool used = false;
	if (!r && read && i->rd == P9_NOFID) {
		i->rd = fid;
		used = true;
	}
	if (!r && write && i->wr == P9_NOFID) {
		i->wr = fid;
		used = true;
	}
	if (!used)
		p9_clunk(s, fid);
	return r;
}

/* --- names --- */

/* Adds the walk to a name and its getattr to the end of a chain and runs it: everything in one round trip. */
static int run_and_walk(struct inode *dir, const char *name, struct p9_call *calls, unsigned count, uint32_t *ret_fid)
{
	struct p9_session *s = p9_inode(dir)->session;
	uint32_t fid = p9_new_fid(s);
	calls[count] = P9_CALL(P9_TWALK, .fid = p9_inode(dir)->fid, .fid2 = fid, .walk_count = 1, .walk_name = {p9_string(name)});
	calls[count + 1] = P9_CALL(P9_TGETATTR, .fid = fid, .mask = P9_GETATTR_ALL);
	int r = p9_run(s, calls, count + 2);
	if (r && !calls[count].error)
		p9_clunk(s, fid);
	*ret_fid = fid;
	return r;
}

static void seen_as(struct inode *inode, struct dentry *d)
{
	p9_inode(inode)->checked_as = d;
	p9_inode(inode)->checked_ns = now_monotonic_ns();
}

static int p9_lookup(struct inode *dir, struct dentry *d)
{
	struct p9_call calls[2];
	uint32_t fid;
	int r = run_and_walk(dir, d->name, calls, 0, &fid);
	if (r)
		return r == -ENOENT ? 0 : r;
	struct inode *inode = inode_of(p9_inode(dir)->session, fid, &calls[1]);
	if (!inode)
		return -ENOMEM;
	seen_as(inode, d);
	dentry_instantiate(d, inode);
	return 0;
}

static bool p9_revalidate(struct dentry *d)
{
	struct p9_call calls[2];
	uint32_t fid;
	if (!d->inode)
		return false;
	struct p9_inode *i = p9_inode(d->inode);
	if (i->checked_as == d && fresh(i->checked_ns))
		return true;
	if (run_and_walk(d->parent->inode, d->name, calls, 0, &fid))
		return false;
	p9_clunk(i->session, fid);
	if (calls[1].m.qid.path != i->inode.ino || calls[1].m.qid.version != i->version)
		return false;
	p9_attr_store(i, &calls[1]);
	seen_as(d->inode, d);
	return true;
}

/* Runs calls that make d's name, of which the first error is the result, and looks at what is there now. */
static int make_name(struct inode *dir, struct dentry *d, struct p9_call *calls, unsigned count, struct inode **ret)
{
	uint32_t fid;
	int r = run_and_walk(dir, d->name, calls, count, &fid);
	p9_changed(p9_inode(dir));
	if (r)
		return r;
	*ret = inode_of(p9_inode(dir)->session, fid, &calls[count + 1]);
	if (!*ret)
		return -ENOMEM;
	seen_as(*ret, d);
	dentry_instantiate(d, *ret);
	return 0;
}

/* A regular file is opened as it is created: with a mode that forbids it, it couldn't be later. */
static int create_file(struct inode *dir, struct dentry *d, uint32_t mode)
{
	struct p9_session *s = p9_inode(dir)->session;
	uint32_t io = p9_new_fid(s);
	struct inode *inode;
	struct p9_call calls[4] = {
		P9_CALL(P9_TWALK, .fid = p9_inode(dir)->fid, .fid2 = io),
		P9_CALL(P9_TLCREATE, .fid = io, .name = p9_string(d->name), .flags = O_RDWR, .mode = mode & 07777),
	};
	int r = make_name(dir, d, calls, 2, &inode);
	if (r) {
		p9_clunk(s, io);
		return r;
	}
	if (p9_inode(inode)->rd == P9_NOFID && p9_inode(inode)->wr == P9_NOFID)
		p9_inode(inode)->rd = p9_inode(inode)->wr = io;
	else
		p9_clunk(s, io);
	return 0;
}

static int p9_create(struct inode *dir, struct dentry *d, uint32_t mode, uint64_t rdev)
{
	struct inode *inode;
	struct p9_call calls[3] = {P9_CALL(P9_TMKNOD, .fid = p9_inode(dir)->fid, .name = p9_string(d->name), .mode = mode)};
	return S_ISREG(mode) ? create_file(dir, d, mode) : make_name(dir, d, calls, 1, &inode);
}

static int p9_mkdir(struct inode *dir, struct dentry *d, uint32_t mode)
{
	struct inode *inode;
	struct p9_call calls[3] = {P9_CALL(P9_TMKDIR, .fid = p9_inode(dir)->fid, .name = p9_string(d->name), .mode = mode & 07777)};
	return make_name(dir, d, calls, 1, &inode);
}

static int p9_symlink(struct inode *dir, struct dentry *d, const char *target)
{
	struct inode *inode;
	struct p9_call calls[3] = {P9_CALL(P9_TSYMLINK, .fid = p9_inode(dir)->fid, .name = p9_string(d->name), .text = p9_string(target))};
	return make_name(dir, d, calls, 1, &inode);
}

static int p9_link(struct inode *dir, struct dentry *d, struct inode *target)
{
	int r = p9_run(p9_inode(dir)->session,
		&P9_CALL(P9_TLINK, .fid = p9_inode(dir)->fid, .fid2 = p9_inode(target)->fid, .name = p9_string(d->name)), 1);
	p9_changed(p9_inode(dir));
	p9_changed(p9_inode(target));
	if (r)
		return r;
	inode_ref(target);
	dentry_instantiate(d, target);
	return 0;
}

static int unlink_flags(struct inode *dir, struct dentry *d, uint32_t flags)
{
	int r = p9_run(
		p9_inode(dir)->session, &P9_CALL(P9_TUNLINKAT, .fid = p9_inode(dir)->fid, .name = p9_string(d->name), .flags = flags), 1);
	p9_changed(p9_inode(dir));
	if (d->inode)
		p9_changed(p9_inode(d->inode));
	return r;
}

static int p9_unlink(struct inode *dir, struct dentry *d)
{
	return unlink_flags(dir, d, 0);
}

static int p9_rmdir(struct inode *dir, struct dentry *d)
{
	return unlink_flags(dir, d, P9_REMOVEDIR);
}

static int p9_rename(struct inode *old_dir, struct dentry *old_d, struct inode *new_dir, struct dentry *new_d, unsigned flags)
{
	if (flags)
		return -EINVAL; /* the protocol can't */
	int r = p9_run(p9_inode(old_dir)->session,
		&P9_CALL(P9_TRENAMEAT, .fid = p9_inode(old_dir)->fid, .name = p9_string(old_d->name), .fid2 = p9_inode(new_dir)->fid,
			.name2 = p9_string(new_d->name)),
		1);
	p9_changed(p9_inode(old_dir));
	p9_changed(p9_inode(new_dir));
	p9_changed(p9_inode(old_d->inode));
	if (new_d->inode)
		p9_changed(p9_inode(new_d->inode));
	return r;
}

/* --- attributes --- */

static long p9_readlink(struct inode *inode, char *buf, size_t size)
{
	struct p9_call call = P9_CALL(P9_TREADLINK, .fid = p9_inode(inode)->fid);
	call.data = buf;
	call.data_size = size;
	int r = p9_run(p9_inode(inode)->session, &call, 1);
	return r ? r : (long)call.m.text.len;
}

static int p9_getattr(struct inode *inode, struct k_stat *ret)
{
	struct p9_inode *i = p9_inode(inode);
	int r = fresh(i->attr_ns) ? 0 : p9_refresh(i);
	if (r)
		return r;
	*ret = (struct k_stat){
		.dev = inode->dev,
		.ino = inode->ino,
		.rdev = inode->rdev,
		.size = inode->size,
		.blocks = i->blocks,
		.mode = inode->mode,
		.nlink = inode->nlink,
		.uid = inode->uid,
		.gid = inode->gid,
		.blksize = (uint32_t)i->blksize,
		.atime_ns = inode->atime_ns,
		.mtime_ns = inode->mtime_ns,
		.ctime_ns = inode->ctime_ns,
		.btime_ns = i->btime_ns,
	};
	return 0;
}

static struct p9_time time_of(int64_t t)
{
	int64_t sec = t / (int64_t)NSEC_PER_SEC, rest = t % (int64_t)NSEC_PER_SEC;
	return rest < 0 ? (struct p9_time){(uint64_t)(sec - 1), (uint64_t)rest + NSEC_PER_SEC}
			: (struct p9_time){(uint64_t)sec, (uint64_t)rest};
}

static int p9_setattr(struct inode *inode, const struct attr_change *c)
{
	static const struct {
		uint16_t attr, p9;
	} map[] = {{ATTR_MODE, P9_SET_MODE}, {ATTR_UID, P9_SET_UID}, {ATTR_GID, P9_SET_GID}, {ATTR_SIZE, P9_SET_SIZE},
		{ATTR_ATIME, P9_SET_ATIME | P9_SET_ATIME_TO}, {ATTR_MTIME, P9_SET_MTIME | P9_SET_MTIME_TO}};
	struct p9_inode *i = p9_inode(inode);
	unsigned valid = c->valid & ATTR_SIZE ? c->valid & ~(unsigned)ATTR_MTIME : c->valid; /* truncation sets it on the host */
	struct p9_call calls[2] = {
		P9_CALL(P9_TSETATTR, .fid = c->valid & ATTR_SIZE && i->wr != P9_NOFID ? i->wr : i->fid,
			.attr = {.mode = c->mode,
				.uid = c->uid,
				.gid = c->gid,
				.size = c->size,
				.atime = time_of(c->atime_ns),
				.mtime = time_of(c->mtime_ns)}),
		P9_CALL(P9_TGETATTR, .fid = p9_best_fid(i), .mask = P9_GETATTR_ALL), /* vfs looks at the fields next */
	};
	for (unsigned n = 0; n < VB_ARRAY_LEN(map); n++)
		if (valid & map[n].attr)
			calls[0].m.flags |= map[n].p9;
	p9_changed(i);
	int r = p9_run(i->session, calls, 2);
	if (calls[1].done && !calls[1].error)
		p9_attr_store(i, &calls[1]);
	if (!r && valid & ATTR_SIZE)
		p9_pages_truncate(i, c->size);
	return r;
}

static int p9_statfs(struct inode *inode, struct k_statfs *ret)
{
	struct p9_call call = P9_CALL(P9_TSTATFS, .fid = p9_inode(inode)->fid);
	int r = p9_run(p9_inode(inode)->session, &call, 1);
	if (r)
		return r;
	const struct p9_statfs *s = &call.m.statfs;
	*ret = (struct k_statfs){
		s->type, s->bsize, s->blocks, s->bfree, s->bavail, s->files, s->ffree, inode->dev, s->namelen, .flags = inode->read_only};
	return 0;
}

/* --- extended attributes: "user." ones are the host's, there are no others --- */

static long xattr_read(struct inode *inode, const char *name, void *buf, size_t size)
{
	struct p9_session *s = p9_inode(inode)->session;
	uint32_t fid = p9_new_fid(s);
	struct p9_call calls[2] = {
		P9_CALL(P9_TXATTRWALK, .fid = p9_inode(inode)->fid, .fid2 = fid, .text = p9_string(name)),
		P9_CALL(P9_TREAD, .fid = fid, .count = (uint32_t)vb_min(size, (size_t)P9_MAX_DATA)),
	};
	calls[1].data = buf;
	calls[1].data_size = size;
	int r = p9_run(s, calls, size ? 2 : 1);
	if (!calls[0].error)
		p9_clunk(s, fid);
	if (r)
		return r;
	return size && calls[0].m.size > size ? -ERANGE : (long)calls[0].m.size;
}

static bool is_user(const char *name)
{
	return !strncmp(name, "user.", 5);
}

static long p9_getxattr(struct inode *inode, const char *name, void *buf, size_t size)
{
	return is_user(name) ? xattr_read(inode, name, buf, size) : -EOPNOTSUPP;
}

static long p9_listxattr(struct inode *inode, char *buf, size_t size)
{
	return xattr_read(inode, "", buf, size);
}

static int xattr_write(struct inode *inode, const char *name, const void *buf, size_t size, uint32_t flags)
{
	struct p9_inode *i = p9_inode(inode);
	uint32_t fid = p9_new_fid(i->session);
	struct p9_call calls[4] = {
		P9_CALL(P9_TWALK, .fid = i->fid, .fid2 = fid),
		P9_CALL(P9_TXATTRCREATE, .fid = fid, .text = p9_string(name), .size = size, .flags = flags),
		P9_CALL(P9_TWRITE, .fid = fid, .data = buf, .count = (uint32_t)size),
		P9_CALL(P9_TCLUNK, .fid = fid),
	};
	if (!is_user(name))
		return -EOPNOTSUPP;
	if (size > P9_MAX_DATA)
		return -E2BIG;
	p9_changed(i);
	return p9_run(i->session, calls, 4);
}

static int p9_setxattr(struct inode *inode, const char *name, const void *buf, size_t size, int flags)
{
	return xattr_write(inode, name, buf, size, (uint32_t)flags);
}

static int p9_removexattr(struct inode *inode, const char *name)
{
	return xattr_write(inode, name, "", 0, P9_XATTR_REMOVE);
}

#define COMMON_OPS                                                                                                                         \
	.getattr = p9_getattr, .setattr = p9_setattr, .statfs = p9_statfs, .getxattr = p9_getxattr, .setxattr = p9_setxattr,               \
	.listxattr = p9_listxattr, .removexattr = p9_removexattr, .release = release

/* Regular files and directories. */
static const struct inode_ops p9_inode_ops = {
	COMMON_OPS,
	.lookup = p9_lookup,
	.revalidate = p9_revalidate,
	.create = p9_create,
	.mkdir = p9_mkdir,
	.symlink = p9_symlink,
	.link = p9_link,
	.unlink = p9_unlink,
	.rmdir = p9_rmdir,
	.rename = p9_rename,
	.open = p9_open,
	.get_page = p9_get_page,
	.get_page_sleeps = true,
	.dirty_page = p9_dirty_page,
	.write_back = p9_write_back,
};

/* Links, and fifos, sockets and devices, whose contents are the cell's own affair. */
static const struct inode_ops p9_node_ops = {
	COMMON_OPS,
	.readlink = p9_readlink,
};
