/* Walking an image. Owns the mapping and the list of directories that it has been in; trusts nothing of the image. */
#include "image/walk.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum { DEPTH_MAX = 256 };

struct walk {
	const struct image_map *map;
	bool deep;
	walk_visit *visit;
	void *arg;
	struct vb_error *err;
	uint8_t *seen; /* bit for each inode slot: directories have one name only */
	unsigned depth;
	struct walk_entry entry;
	char path[PATH_MAX];
};

int image_map(int fd, uint64_t erofs_bytes, struct image_map *ret, struct vb_error *err)
{
	struct image_map m = {.size = erofs_bytes};
	int r;

	m.bytes = mmap(NULL, erofs_bytes, PROT_READ, MAP_PRIVATE, fd, 0);
	if (m.bytes == MAP_FAILED)
		return vb_error_errno(err, "can't map the image");
	r = erofs_open(&m.fs, m.bytes, m.size);
	if (r) {
		munmap(m.bytes, m.size);
		return vb_error_set(err, r, "broken image: its file system can't be read (%s)", strerror(-r));
	}
	*ret = m;
	return 0;
}

void image_unmap(struct image_map *m)
{
	munmap(m->bytes, m->size);
}

static int broken(struct walk *w, const char *what)
{
	return vb_error_set(w->err, -EUCLEAN, "broken image: %s: %s", w->path, what);
}

int walk_find(const struct image_map *m, const char *path, struct erofs_inode *ret, struct vb_error *err)
{
	struct erofs_inode inode;
	int r = erofs_inode(&m->fs, m->fs.root_nid, &inode);

	for (const char *name = path + strspn(path, "/"); !r && *name; name += strspn(name, "/")) {
		size_t len = strcspn(name, "/");
		struct erofs_entry e;

		r = S_ISDIR(inode.mode) ? erofs_lookup(&m->fs, &inode, name, len, &e) : -ENOTDIR;
		if (!r)
			r = erofs_inode(&m->fs, e.nid, &inode);
		name += len;
	}
	if (r)
		return vb_error_set(err, r, "%s: %s", path, strerror(-r));
	*ret = inode;
	return 0;
}

/* Fills w->entry for an inode at w->path. */
static int prepare(struct walk *w, const struct erofs_inode *inode)
{
	char *target = w->entry.target;

	w->entry.path = w->path;
	w->entry.inode = inode;
	target[0] = 0;
	if (!S_ISLNK(inode->mode))
		return 0;
	if (!inode->size || inode->size >= sizeof(w->entry.target) ||
		erofs_read(&w->map->fs, inode, 0, target, inode->size) != (int64_t)inode->size)
		return broken(w, "a link without a target");
	target[inode->size] = 0;
	return strlen(target) == inode->size ? 0 : broken(w, "a link with NUL in its target");
}

static bool first_visit(struct walk *w, uint64_t nid)
{
	uint64_t slots = w->map->size / 32;
	bool first = nid < slots && !(w->seen[nid / 8] & 1u << nid % 8);

	if (first)
		w->seen[nid / 8] |= 1u << nid % 8;
	return first;
}

static int walk_inode(struct walk *w, const struct erofs_inode *inode, bool descend);

static int walk_child(struct walk *w, const struct erofs_entry *e)
{
	struct erofs_inode inode;
	size_t at = strlen(w->path), slash = at > 1;
	int r;

	if ((e->len == 1 && e->name[0] == '.') || (e->len == 2 && !memcmp(e->name, "..", 2)))
		return 0;
	if (!e->len || memchr(e->name, '/', e->len) || memchr(e->name, 0, e->len))
		return broken(w, "an entry with an impossible name");
	if (at + slash + e->len >= sizeof(w->path))
		return broken(w, "a path that is too long");
	w->path[at] = '/';
	memcpy(w->path + at + slash, e->name, e->len);
	w->path[at + slash + e->len] = 0;
	r = erofs_inode(&w->map->fs, e->nid, &inode);
	r = r ? broken(w, "its inode can't be read") : walk_inode(w, &inode, w->deep);
	w->path[at] = 0;
	return r;
}

/* Recursion is bounded by DEPTH_MAX. */
static int walk_inode(struct walk *w, const struct erofs_inode *inode, bool descend)
{
	struct erofs_entry e = {0};
	int r = prepare(w, inode), more;

	if (!r)
		r = w->visit(w->arg, w->map, &w->entry, w->err);
	if (r || !S_ISDIR(inode->mode) || !descend)
		return r;
	if (w->depth == DEPTH_MAX)
		return broken(w, "directories too deep");
	if (!first_visit(w, inode->nid))
		return broken(w, "a directory with two names");
	w->depth++;
	for (uint64_t position = 0; !r && (more = erofs_next(&w->map->fs, inode, position, &e)); position = e.next) {
		if (more < 0 || (position && e.next <= position))
			r = broken(w, "a directory that can't be read");
		else
			r = walk_child(w, &e);
	}
	w->depth--;
	return r;
}

int walk_image(const struct image_map *m, const char *path, bool deep, walk_visit *visit, void *arg, struct vb_error *err)
{
	struct walk *w = calloc(1, sizeof(*w));
	struct erofs_inode inode;
	int r;

	if (!w || !(w->seen = calloc(m->size / 256 + 1, 1))) {
		free(w);
		return vb_error_set(err, -ENOMEM, "out of memory");
	}
	*w = (struct walk){.map = m, .deep = deep, .visit = visit, .arg = arg, .err = err, .seen = w->seen, .path = "/"};
	if (strlen(path) >= sizeof(w->path))
		r = vb_error_set(err, -ENAMETOOLONG, "%s: %s", path, strerror(ENAMETOOLONG));
	else if (!(r = walk_find(m, path, &inode, err))) {
		size_t len;

		path += strspn(path, "/");
		strcpy(w->path + 1, path);
		for (len = strlen(w->path); len > 1 && w->path[len - 1] == '/';)
			w->path[--len] = 0;
		r = walk_inode(w, &inode, true);
	}
	free(w->seen);
	free(w);
	return r;
}
