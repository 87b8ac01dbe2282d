/* The volume server: fids, and one table of the requests it serves. Trusts nothing in a request. */
#include "monitor/volume_private.h"

#include "host/error.h"

#include <signal.h>

/* --- fids --- */

struct fid *fid_get(struct volume *v, uint32_t id)
{
	struct fid *f = v->fids[id % VOLUME_FID_BUCKETS];
	while (f && f->id != id)
		f = f->next;
	return f;
}

int fid_new(struct volume *v, uint32_t id, struct node *node, struct fid **ret)
{
	if (id == P9_NOFID || fid_get(v, id))
		return -EINVAL;
	struct fid *f = v->fid_count < VOLUME_MAX_FIDS ? calloc(1, sizeof(*f)) : NULL;
	if (!f)
		return -ENFILE;
	struct fid **bucket = &v->fids[id % VOLUME_FID_BUCKETS];
	*f = (struct fid){.next = *bucket, .id = id, .node = node, .io = -1};
	*bucket = f;
	v->fid_count++;
	*ret = f;
	return 0;
}

static void fid_free(struct volume *v, struct fid *f)
{
	struct fid **at = &v->fids[f->id % VOLUME_FID_BUCKETS];
	while (*at != f)
		at = &(*at)->next;
	*at = f->next;
	v->fid_count--;
	volume_close_fd(f->io);
	xattr_free(v, f);
	node_unref(v, f->node);
	free(f);
}

static void fids_free_all(struct volume *v)
{
	for (unsigned i = 0; i < VOLUME_FID_BUCKETS; i++)
		while (v->fids[i])
			fid_free(v, v->fids[i]);
}

/* --- requests that deal with fids themselves --- */

static int volume_version(struct volume *v, struct fid *none, const struct p9_message *t, struct p9_message *r)
{
	if (t->msize < 4096)
		return -EINVAL;
	fids_free_all(v);
	v->msize = r->msize = vb_min(t->msize, P9_MSIZE);
	bool known = t->text.len == strlen(P9_VERSION) && !memcmp(t->text.s, P9_VERSION, t->text.len);
	r->text = p9_string(known ? P9_VERSION : "unknown");
	return 0;
}

static int volume_attach(struct volume *v, struct fid *none, const struct p9_message *t, struct p9_message *r)
{
	struct fid *f;
	int result = volume_qid(v, &v->root->id, &r->qid);
	if (!result)
		result = fid_new(v, t->fid, v->root, &f);
	if (!result)
		v->root->refs++;
	return result;
}

static int volume_walk(struct volume *v, struct fid *f, const struct p9_message *t, struct p9_message *r)
{
	struct node *at = f->node, *next;
	int result = f->xattr || (t->fid2 == t->fid && f->io >= 0) ? -EINVAL : 0;
	at->refs++;
	for (unsigned i = 0; i < t->walk_count && !result; i++) {
		char name[P9_NAME_MAX + 1];
		name_copy(name, t->walk_name[i]);
		result = node_step(v, at, name, &next);
		if (result)
			break;
		node_unref(v, at);
		at = next;
		result = volume_qid(v, &at->id, &r->walk_qid[r->walk_count++]);
	}
	if (!result && t->fid2 == t->fid) {
		node_unref(v, f->node);
		f->node = at;
		return 0;
	}
	if (!result)
		result = fid_new(v, t->fid2, at, &f);
	if (result)
		node_unref(v, at);
	return result && r->walk_count && r->walk_count < t->walk_count ? 0 : result; /* as far as it went */
}

static int volume_lopen(struct volume *v, struct fid *f, const struct p9_message *t, struct p9_message *r)
{
	int flags = (int)(t->flags & O_ACCMODE);
	if (f->io >= 0 || f->xattr || flags == O_ACCMODE)
		return -EINVAL;
	if (v->read_only && (flags != O_RDONLY || (t->flags & O_TRUNC)))
		return -EROFS;
	int fd = node_open(v, f->node, flags);
	if (fd < 0)
		return fd;
	if ((t->flags & O_TRUNC) && ftruncate(fd, 0)) {
		int result = -errno;
		volume_close_fd(fd);
		return result;
	}
	f->io = fd;
	f->dir_pos = 0;
	return volume_qid(v, &f->node->id, &r->qid);
}

static int volume_clunk(struct volume *v, struct fid *f, const struct p9_message *t, struct p9_message *r)
{
	int result = f->xattr && f->xattr->writing ? xattr_commit(v, f) : 0;
	fid_free(v, f);
	return result;
}

static int volume_flush(struct volume *v, struct fid *none, const struct p9_message *t, struct p9_message *r)
{
	return 0; /* requests are served one by one: the old one is answered */
}

/* --- the table --- */

enum {
	NO_FID = 1, /* the request's fid is not looked up */
	WRITES = 2, /* refused on a read-only volume */
	CORE = 4,   /* allowed in the core folder */
	XATTR = 8,  /* allowed on the fid of an attribute's value */
};

static const struct {
	volume_fn *fn;
	unsigned flags;
} requests[] = {
	[P9_TVERSION] = {volume_version, NO_FID | CORE},
	[P9_TATTACH] = {volume_attach, NO_FID | CORE},
	[P9_TFLUSH] = {volume_flush, NO_FID | CORE},
	[P9_TWALK] = {volume_walk, 0},
	[P9_TCLUNK] = {volume_clunk, CORE | XATTR},
	[P9_TLOPEN] = {volume_lopen, 0},
	[P9_TREAD] = {volume_read, XATTR},
	[P9_TWRITE] = {volume_write, WRITES | CORE | XATTR},
	[P9_TREADDIR] = {volume_readdir, 0},
	[P9_TFSYNC] = {volume_fsync, 0},
	[P9_TGETATTR] = {volume_getattr, 0},
	[P9_TSETATTR] = {volume_setattr, WRITES},
	[P9_TSTATFS] = {volume_statfs, 0},
	[P9_TREADLINK] = {volume_readlink, 0},
	[P9_TXATTRWALK] = {volume_xattrwalk, 0},
	[P9_TXATTRCREATE] = {volume_xattrcreate, WRITES},
	[P9_TLCREATE] = {volume_lcreate, WRITES | CORE},
	[P9_TSYMLINK] = {volume_symlink, WRITES},
	[P9_TMKNOD] = {volume_mknod, WRITES},
	[P9_TMKDIR] = {volume_mkdir, WRITES},
	[P9_TLINK] = {volume_link, WRITES},
	[P9_TRENAME] = {volume_rename, WRITES},
	[P9_TRENAMEAT] = {volume_renameat, WRITES},
	[P9_TUNLINKAT] = {volume_unlinkat, WRITES},
};

static int serve(struct volume *v, const struct p9_message *t, struct p9_message *r)
{
	if (t->type >= VB_ARRAY_LEN(requests) || !requests[t->type].fn)
		return -EOPNOTSUPP;
	unsigned flags = requests[t->type].flags;
	if (v->core && !(flags & CORE))
		return -EPERM;
	struct fid *f = flags & NO_FID ? NULL : fid_get(v, t->fid);
	if (!(flags & NO_FID) && (!f || (f->xattr && !(flags & XATTR))))
		return -EBADF;
	if (v->read_only && (flags & WRITES))
		return -EROFS;
	return requests[t->type].fn(v, f, t, r);
}

size_t volume_request(struct volume *v, const void *t, size_t len, void *reply, size_t size)
{
	struct p9_message m, r = {0};
	bool ok = p9_decode(t, len, &m);
	if (!ok && !m.type)
		return 0;
	v->reply = reply;
	v->reply_max = (uint32_t)vb_min((size_t)v->msize, size);
	r.type = P9_R(m.type);
	r.tag = m.tag;
	int result = ok ? serve(v, &m, &r) : -EINVAL;
	if (m.type == P9_TCLUNK && m.tag == P9_NOTAG)
		return 0;
	if (result)
		r = (struct p9_message){.type = P9_RLERROR, .tag = m.tag, .error = (uint32_t)-result};
	return p9_encode(&r, reply, size);
}

/* --- life --- */

static struct volume *volume_new(const char *host_dir, struct vb_error *err)
{
	struct volume *v = calloc(1, sizeof(*v));
	if (!v) {
		vb_error_set(err, -ENOMEM, "volume %s: out of memory", host_dir);
		return NULL;
	}
	list_init(&v->nodes);
	v->openat2 = true;
	v->msize = P9_MSIZE;
	struct p9_qid qid;
	int r = node_root(v, host_dir);
	if (!r)
		r = volume_qid(v, &v->root->id, &qid); /* makes the folder's device number 0 */
	if (r) {
		errno = -r;
		vb_error_errno(err, "volume %s", host_dir);
		volume_close(v);
		return NULL;
	}
	signal(SIGXFSZ, SIG_IGN); /* a write beyond the file size limit is an error of the cell, not the monitor's death */
	return v;
}

struct volume *volume_open(const char *host_dir, bool read_only, struct vb_error *err)
{
	struct volume *v = volume_new(host_dir, err);
	if (v)
		v->read_only = read_only;
	return v;
}

struct volume *volume_open_core(const char *host_dir, struct vb_error *err)
{
	struct volume *v = volume_new(host_dir, err);
	if (v) {
		v->core = true;
		v->core_left = VOLUME_CORE_MAX_BYTES;
	}
	return v;
}

void volume_close(struct volume *v)
{
	if (!v)
		return;
	fids_free_all(v);
	node_unref(v, v->root);
	free(v);
}
