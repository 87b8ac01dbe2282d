/* The 9P codec: a table of fields per message type, walked in either direction. Trusts no byte of what it decodes. */
#include "base/p9.h"

#include "base/string.h"

enum kind { END, U16, U32, U64, NAME, TEXT, QID, DATA, WALK_NAMES, WALK_QIDS };

struct field {
	uint16_t kind, offset;
};

#define F(kind, member)                                                                                                                    \
	{                                                                                                                                  \
		kind, offsetof(struct p9_message, member)                                                                                  \
	}
#define FIELDS(...)                                                                                                                        \
	(const struct field[])                                                                                                             \
	{                                                                                                                                  \
		__VA_ARGS__                                                                                                                \
		{                                                                                                                          \
			END, 0                                                                                                             \
		}                                                                                                                          \
	}
#define TIME(t) F(U64, attr.t.sec), F(U64, attr.t.nsec)

static const struct field *const layout[] = {
	[P9_RLERROR] = FIELDS(F(U32, error), ),
	[P9_TSTATFS] = FIELDS(F(U32, fid), ),
	[P9_R(P9_TSTATFS)] = FIELDS(F(U32, statfs.type), F(U32, statfs.bsize), F(U64, statfs.blocks), F(U64, statfs.bfree),
		F(U64, statfs.bavail), F(U64, statfs.files), F(U64, statfs.ffree), F(U64, statfs.fsid), F(U32, statfs.namelen), ),
	[P9_TLOPEN] = FIELDS(F(U32, fid), F(U32, flags), ),
	[P9_R(P9_TLOPEN)] = FIELDS(F(QID, qid), F(U32, iounit), ),
	[P9_TLCREATE] = FIELDS(F(U32, fid), F(NAME, name), F(U32, flags), F(U32, mode), F(U32, gid), ),
	[P9_R(P9_TLCREATE)] = FIELDS(F(QID, qid), F(U32, iounit), ),
	[P9_TSYMLINK] = FIELDS(F(U32, fid), F(NAME, name), F(TEXT, text), F(U32, gid), ),
	[P9_R(P9_TSYMLINK)] = FIELDS(F(QID, qid), ),
	[P9_TMKNOD] = FIELDS(F(U32, fid), F(NAME, name), F(U32, mode), F(U32, major), F(U32, minor), F(U32, gid), ),
	[P9_R(P9_TMKNOD)] = FIELDS(F(QID, qid), ),
	[P9_TRENAME] = FIELDS(F(U32, fid), F(U32, fid2), F(NAME, name), ),
	[P9_R(P9_TRENAME)] = FIELDS(),
	[P9_TREADLINK] = FIELDS(F(U32, fid), ),
	[P9_R(P9_TREADLINK)] = FIELDS(F(TEXT, text), ),
	[P9_TGETATTR] = FIELDS(F(U32, fid), F(U64, mask), ),
	[P9_R(P9_TGETATTR)] = FIELDS(F(U64, mask), F(QID, qid), F(U32, attr.mode), F(U32, attr.uid), F(U32, attr.gid), F(U64, attr.nlink),
		F(U64, attr.rdev), F(U64, attr.size), F(U64, attr.blksize), F(U64, attr.blocks), TIME(atime), TIME(mtime), TIME(ctime),
		TIME(btime), F(U64, attr.gen), F(U64, attr.data_version), ),
	[P9_TSETATTR] = FIELDS(F(U32, fid), F(U32, flags), F(U32, attr.mode), F(U32, attr.uid), F(U32, attr.gid), F(U64, attr.size),
		TIME(atime), TIME(mtime), ),
	[P9_R(P9_TSETATTR)] = FIELDS(),
	[P9_TXATTRWALK] = FIELDS(F(U32, fid), F(U32, fid2), F(TEXT, text), ),
	[P9_R(P9_TXATTRWALK)] = FIELDS(F(U64, size), ),
	[P9_TXATTRCREATE] = FIELDS(F(U32, fid), F(TEXT, text), F(U64, size), F(U32, flags), ),
	[P9_R(P9_TXATTRCREATE)] = FIELDS(),
	[P9_TREADDIR] = FIELDS(F(U32, fid), F(U64, offset), F(U32, count), ),
	[P9_R(P9_TREADDIR)] = FIELDS(F(DATA, data), ),
	[P9_TFSYNC] = FIELDS(F(U32, fid), F(U32, flags), ),
	[P9_R(P9_TFSYNC)] = FIELDS(),
	[P9_TLINK] = FIELDS(F(U32, fid), F(U32, fid2), F(NAME, name), ),
	[P9_R(P9_TLINK)] = FIELDS(),
	[P9_TMKDIR] = FIELDS(F(U32, fid), F(NAME, name), F(U32, mode), F(U32, gid), ),
	[P9_R(P9_TMKDIR)] = FIELDS(F(QID, qid), ),
	[P9_TRENAMEAT] = FIELDS(F(U32, fid), F(NAME, name), F(U32, fid2), F(NAME, name2), ),
	[P9_R(P9_TRENAMEAT)] = FIELDS(),
	[P9_TUNLINKAT] = FIELDS(F(U32, fid), F(NAME, name), F(U32, flags), ),
	[P9_R(P9_TUNLINKAT)] = FIELDS(),
	[P9_TVERSION] = FIELDS(F(U32, msize), F(TEXT, text), ),
	[P9_R(P9_TVERSION)] = FIELDS(F(U32, msize), F(TEXT, text), ),
	[P9_TATTACH] = FIELDS(F(U32, fid), F(U32, fid2), F(TEXT, text), F(TEXT, text2), F(U32, uid), ),
	[P9_R(P9_TATTACH)] = FIELDS(F(QID, qid), ),
	[P9_TFLUSH] = FIELDS(F(U16, old_tag), ),
	[P9_R(P9_TFLUSH)] = FIELDS(),
	[P9_TWALK] = FIELDS(F(U32, fid), F(U32, fid2), F(WALK_NAMES, walk_count), ),
	[P9_R(P9_TWALK)] = FIELDS(F(WALK_QIDS, walk_count), ),
	[P9_TREAD] = FIELDS(F(U32, fid), F(U64, offset), F(U32, count), ),
	[P9_R(P9_TREAD)] = FIELDS(F(DATA, data), ),
	[P9_TWRITE] = FIELDS(F(U32, fid), F(U64, offset), F(DATA, data), ),
	[P9_R(P9_TWRITE)] = FIELDS(F(U32, count), ),
	[P9_TCLUNK] = FIELDS(F(U32, fid), ),
	[P9_R(P9_TCLUNK)] = FIELDS(),
};

static const struct field *layout_of(uint8_t type)
{
	return type < VB_ARRAY_LEN(layout) ? layout[type] : NULL;
}

/* --- decoding: after the first failure every read gives zero --- */

struct reader {
	const uint8_t *at;
	size_t left;
	bool failed;
};

static const uint8_t *take(struct reader *r, size_t n)
{
	if (r->failed || n > r->left) {
		r->failed = true;
		return NULL;
	}
	const uint8_t *p = r->at;
	r->at += n;
	r->left -= n;
	return p;
}

static uint64_t take_int(struct reader *r, unsigned bytes)
{
	const uint8_t *p = take(r, bytes);
	uint64_t value = 0;
	for (unsigned i = 0; p && i < bytes; i++)
		value |= (uint64_t)p[i] << (8 * i);
	return value;
}

static struct p9_string take_text(struct reader *r)
{
	struct p9_string s = {"", (uint32_t)take_int(r, 2)};
	const uint8_t *p = take(r, s.len);
	if (!p || s.len > P9_TEXT_MAX || memchr(p, 0, s.len)) {
		r->failed = true;
		return (struct p9_string){"", 0};
	}
	s.s = (const char *)p;
	return s;
}

static struct p9_string take_component(struct reader *r)
{
	struct p9_string s = take_text(r);
	if (!s.len || s.len > P9_NAME_MAX || memchr(s.s, '/', s.len))
		r->failed = true;
	return s;
}

static struct p9_string take_name(struct reader *r)
{
	struct p9_string s = take_component(r);
	if ((s.len == 1 || s.len == 2) && !memcmp(s.s, "..", s.len))
		r->failed = true;
	return s;
}

static struct p9_qid take_qid(struct reader *r)
{
	struct p9_qid q;
	q.type = (uint8_t)take_int(r, 1);
	q.version = (uint32_t)take_int(r, 4);
	q.path = take_int(r, 8);
	return q;
}

static uint16_t take_walk_count(struct reader *r)
{
	uint16_t n = (uint16_t)take_int(r, 2);
	if (n > P9_MAX_WALK)
		r->failed = true;
	return r->failed ? 0 : n;
}

static void take_field(struct reader *r, struct p9_message *m, enum kind kind, void *field)
{
	switch (kind) {
	case U16:
		*(uint16_t *)field = (uint16_t)take_int(r, 2);
		break;
	case U32:
		*(uint32_t *)field = (uint32_t)take_int(r, 4);
		break;
	case U64:
		*(uint64_t *)field = take_int(r, 8);
		break;
	case NAME:
		*(struct p9_string *)field = take_name(r);
		break;
	case TEXT:
		*(struct p9_string *)field = take_text(r);
		break;
	case QID:
		*(struct p9_qid *)field = take_qid(r);
		break;
	case DATA:
		m->count = (uint32_t)take_int(r, 4);
		m->data = take(r, m->count);
		break;
	case WALK_NAMES:
		m->walk_count = take_walk_count(r);
		for (unsigned i = 0; i < m->walk_count; i++)
			m->walk_name[i] = take_name(r);
		break;
	case WALK_QIDS:
		m->walk_count = take_walk_count(r);
		for (unsigned i = 0; i < m->walk_count; i++)
			m->walk_qid[i] = take_qid(r);
		break;
	case END:
		break;
	}
}

bool p9_decode(const void *buf, size_t len, struct p9_message *m)
{
	struct reader r = {buf, len, false};
	memset(m, 0, sizeof(*m));
	uint64_t size = take_int(&r, 4);
	m->type = (uint8_t)take_int(&r, 1);
	m->tag = (uint16_t)take_int(&r, 2);
	if (r.failed) {
		m->type = 0;
		return false;
	}
	const struct field *f = layout_of(m->type);
	if (size != len || !f)
		return false;
	for (; f->kind != END; f++)
		take_field(&r, m, (enum kind)f->kind, (char *)m + f->offset);
	return !r.failed && !r.left;
}

/* --- encoding --- */

struct writer {
	uint8_t *at;
	size_t left;
	bool failed;
};

static uint8_t *room(struct writer *w, size_t n)
{
	if (w->failed || n > w->left) {
		w->failed = true;
		return NULL;
	}
	uint8_t *p = w->at;
	w->at += n;
	w->left -= n;
	return p;
}

static void put_int(struct writer *w, uint64_t value, unsigned bytes)
{
	uint8_t *p = room(w, bytes);
	for (unsigned i = 0; p && i < bytes; i++)
		p[i] = (uint8_t)(value >> (8 * i));
}

static void put_bytes(struct writer *w, const void *src, size_t n)
{
	uint8_t *p = room(w, n);
	if (p && p != src && n)
		memcpy(p, src, n);
}

static void put_string(struct writer *w, struct p9_string s)
{
	put_int(w, s.len, 2);
	put_bytes(w, s.s, s.len);
}

static void put_qid(struct writer *w, struct p9_qid q)
{
	put_int(w, q.type, 1);
	put_int(w, q.version, 4);
	put_int(w, q.path, 8);
}

static void put_field(struct writer *w, const struct p9_message *m, enum kind kind, const void *field)
{
	switch (kind) {
	case U16:
		put_int(w, *(const uint16_t *)field, 2);
		break;
	case U32:
		put_int(w, *(const uint32_t *)field, 4);
		break;
	case U64:
		put_int(w, *(const uint64_t *)field, 8);
		break;
	case NAME:
	case TEXT:
		put_string(w, *(const struct p9_string *)field);
		break;
	case QID:
		put_qid(w, *(const struct p9_qid *)field);
		break;
	case DATA:
		put_int(w, m->count, 4);
		put_bytes(w, m->data, m->count);
		break;
	case WALK_NAMES:
		put_int(w, m->walk_count, 2);
		for (unsigned i = 0; i < m->walk_count; i++)
			put_string(w, m->walk_name[i]);
		break;
	case WALK_QIDS:
		put_int(w, m->walk_count, 2);
		for (unsigned i = 0; i < m->walk_count; i++)
			put_qid(w, m->walk_qid[i]);
		break;
	case END:
		break;
	}
}

size_t p9_encode(const struct p9_message *m, void *buf, size_t size)
{
	struct writer w = {buf, size, false};
	struct writer start = w;
	const struct field *f = layout_of(m->type);
	if (!f || !room(&w, 4))
		return 0;
	put_int(&w, m->type, 1);
	put_int(&w, m->tag, 2);
	for (; f->kind != END; f++)
		put_field(&w, m, (enum kind)f->kind, (const char *)m + f->offset);
	if (w.failed)
		return 0;
	put_int(&start, size - w.left, 4);
	return size - w.left;
}

/* --- directory entries --- */

size_t p9_dirent_decode(const void *at, size_t left, struct p9_dirent *d)
{
	struct reader r = {at, left, false};
	d->qid = take_qid(&r);
	d->offset = take_int(&r, 8);
	d->type = (uint8_t)take_int(&r, 1);
	d->name = take_component(&r);
	return r.failed ? 0 : left - r.left;
}

size_t p9_dirent_encode(const struct p9_dirent *d, void *at, size_t left)
{
	struct writer w = {at, left, false};
	put_qid(&w, d->qid);
	put_int(&w, d->offset, 8);
	put_int(&w, d->type, 1);
	put_string(&w, d->name);
	return w.failed ? 0 : left - w.left;
}
