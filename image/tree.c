/* The set of an image's files. Owns the nodes and their strings; trusts the host's file system not to change while it looks,
 * and survives it if it does: what is gone at staging is an error there. */
#include "image/tree.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/types.h"

enum { LINKS_MAX = 40 };

static int no_memory(struct vb_error *err)
{
	return vb_error_set(err, -ENOMEM, "out of memory");
}

static size_t hash(const char *s)
{
	size_t h = 14695981039346656037ull;

	while (*s)
		h = (h ^ (uint8_t)*s++) * 1099511628211ull;
	return h;
}

static uint32_t *slot_of(const struct tree *t, const char *path)
{
	size_t i = hash(path) & (t->slot_count - 1);

	while (t->slots[i] && strcmp(t->at[t->slots[i] - 1].path, path))
		i = (i + 1) & (t->slot_count - 1);
	return &t->slots[i];
}

struct tree_node *tree_find(const struct tree *t, const char *path)
{
	uint32_t slot = t->slot_count ? *slot_of(t, path) : 0;

	return slot ? &t->at[slot - 1] : NULL;
}

static int grow(struct tree *t)
{
	size_t count = t->slot_count ? t->slot_count * 2 : 1024;
	struct tree_node *nodes = realloc(t->at, count / 2 * sizeof(*nodes));
	uint32_t *slots = calloc(count, sizeof(*slots));

	if (nodes)
		t->at = nodes;
	if (!nodes || !slots) {
		free(slots);
		return -ENOMEM;
	}
	free(t->slots);
	t->slots = slots;
	t->slot_count = count;
	for (size_t i = 0; i < t->count; i++)
		*slot_of(t, t->at[i].path) = i + 1;
	return 0;
}

/* Adds or, when asked to, replaces a node whose parents are there. */
static int put(struct tree *t, const char *path, const char *source, const char *target, uint32_t mode, bool replace, size_t *ret_index,
	struct vb_error *err)
{
	struct tree_node n = {.mode = mode, .loader = -1}, *old = tree_find(t, path);

	if (old && (!replace || (S_ISDIR(old->mode) && S_ISDIR(mode)))) {
		if (ret_index)
			*ret_index = old - t->at;
		return 0;
	}
	if (old && S_ISDIR(old->mode))
		return vb_error_set(err, -EISDIR, "%s is a directory in the image", path);
	if (!old && (t->count + 1) * 2 > t->slot_count && grow(t))
		return no_memory(err);
	n.path = strdup(path);
	n.source = source ? strdup(source) : NULL;
	n.target = target ? strdup(target) : NULL;
	if (!n.path || (source && !n.source) || (target && !n.target)) {
		free(n.path);
		free(n.source);
		free(n.target);
		return no_memory(err);
	}
	if (old) {
		free(old->path);
		free(old->source);
		free(old->target);
	} else {
		*slot_of(t, path) = t->count + 1;
		old = &t->at[t->count++];
	}
	*old = n;
	if (ret_index)
		*ret_index = old - t->at;
	return 0;
}

/* Appends "/name" (name need not be terminated) to a path of PATH_MAX bytes. */
static int append(char *path, const char *name, size_t len, struct vb_error *err)
{
	size_t at = strlen(path);

	if (at + 1 + len >= PATH_MAX)
		return vb_error_set(err, -ENAMETOOLONG, "%s/%.*s: %s", path, (int)len, name, strerror(ENAMETOOLONG));
	path[at] = '/';
	memcpy(path + at + 1, name, len);
	path[at + 1 + len] = 0;
	return 0;
}

/* Replaces what is still to be walked by a link's target and then the old rest. */
static int follow(char *rest, const char *target, struct vb_error *err)
{
	char old[PATH_MAX];

	strcpy(old, rest);
	if (snprintf(rest, PATH_MAX, "%s/%s", target, old) >= PATH_MAX)
		return vb_error_set(err, -ENAMETOOLONG, "%s: %s", target, strerror(ENAMETOOLONG));
	return 0;
}

struct walk {
	char done[PATH_MAX]; /* canonical, "" is the root */
	char rest[PATH_MAX];
	unsigned links;
};

static int walk_link(struct tree *t, struct walk *w, struct vb_error *err)
{
	char target[PATH_MAX];
	ssize_t len = readlink(w->done, target, sizeof(target) - 1);
	int r;

	if (len <= 0)
		return vb_error_set(err, -EIO, "%s: can't read the link", w->done);
	if (++w->links > LINKS_MAX)
		return vb_error_set(err, -ELOOP, "%s: %s", w->done, strerror(ELOOP));
	target[len] = 0;
	if ((r = put(t, w->done, w->done, target, S_IFLNK | 0777, false, NULL, err)) || (r = follow(w->rest, target, err)))
		return r;
	*(target[0] == '/' ? w->done : strrchr(w->done, '/')) = 0;
	return 0;
}

/* In the image all belongs to root. What another user owned is then for all to use as it was for him. */
static uint32_t image_mode(const struct stat *st)
{
	uint32_t owner = st->st_mode & 0700;

	return st->st_uid ? (st->st_mode & ~(uint32_t)06000) | owner >> 3 | owner >> 6 : st->st_mode;
}

/* The cell has its own of these; the host's say nothing about the program. */
static bool of_kernel(const char *path)
{
	return !strcmp(path, "/proc") || !strcmp(path, "/sys") || !strcmp(path, "/dev");
}

/* Walks one component of w->rest. */
static int walk_step(struct tree *t, struct walk *w, size_t *index, struct vb_error *err)
{
	char *name = w->rest + strspn(w->rest, "/");
	size_t len = strcspn(name, "/");
	struct stat st;
	int r;

	if (len == 2 && !memcmp(name, "..", 2)) {
		if (*w->done)
			*strrchr(w->done, '/') = 0;
	} else if (len && !(len == 1 && *name == '.')) {
		if ((r = append(w->done, name, len, err)))
			return r;
		memmove(w->rest, name + len, strlen(name + len) + 1);
		if (of_kernel(w->done))
			return vb_error_set(err, -EINVAL, "%s: no place for an image's files", w->done);
		if (lstat(w->done, &st))
			return vb_error_set(err, -errno, "%s: %s", w->done, strerror(errno));
		if (S_ISLNK(st.st_mode))
			return walk_link(t, w, err);
		if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
			return vb_error_set(err, -EINVAL, "%s: neither a file nor a directory", w->done);
		if (S_ISREG(st.st_mode) && w->rest[strspn(w->rest, "/")])
			return vb_error_set(err, -ENOTDIR, "%s: %s", w->done, strerror(ENOTDIR));
		return put(t, w->done, w->done, NULL, image_mode(&st), false, index, err);
	}
	memmove(w->rest, name + len, strlen(name + len) + 1);
	return 0;
}

int tree_add_path(struct tree *t, const char *path, size_t *ret_index, struct vb_error *err)
{
	struct walk w = {.done = ""};
	size_t index = 0;
	int r;

	if (path[0] != '/' || strlen(path) >= PATH_MAX)
		return vb_error_set(err, -EINVAL, "%s: not an absolute path", path);
	strcpy(w.rest, path);
	if ((r = put(t, "/", NULL, NULL, S_IFDIR | 0755, false, NULL, err)))
		return r;
	while (*w.rest)
		if ((r = walk_step(t, &w, &index, err)))
			return strcmp(w.done, path) ? vb_error_wrap(err, r, "%s", path) : r;
	if (ret_index)
		*ret_index = *w.done ? (size_t)(tree_find(t, w.done) - t->at) : 0;
	return 0;
}

/* Makes the parents of path, going through the links that the image has; path becomes canonical but for its last component. */
static int make_parents(struct tree *t, char *path, struct vb_error *err)
{
	struct walk w = {.done = ""};
	int r;

	strcpy(w.rest, path);
	if ((r = put(t, "/", NULL, NULL, S_IFDIR | 0755, false, NULL, err)))
		return r;
	for (;;) {
		char *name = w.rest + strspn(w.rest, "/");
		size_t len = strcspn(name, "/");
		struct tree_node *n;
		bool last = !name[len + strspn(name + len, "/")];

		if (len == 2 && !memcmp(name, "..", 2)) {
			if (*w.done)
				*strrchr(w.done, '/') = 0;
		} else if (len && !(len == 1 && *name == '.')) {
			if ((r = append(w.done, name, len, err)))
				return r;
			if (last)
				break;
			n = tree_find(t, w.done);
			if (n && n->target) {
				memmove(w.rest, name + len, strlen(name + len) + 1);
				if (++w.links > LINKS_MAX)
					return vb_error_set(err, -ELOOP, "%s: %s", path, strerror(ELOOP));
				if ((r = follow(w.rest, n->target, err)))
					return r;
				*(n->target[0] == '/' ? w.done : strrchr(w.done, '/')) = 0;
				continue;
			}
			if (n && !S_ISDIR(n->mode))
				return vb_error_set(err, -ENOTDIR, "%s is no directory in the image", w.done);
			if ((r = put(t, w.done, NULL, NULL, S_IFDIR | 0755, false, NULL, err)))
				return r;
		}
		if (last)
			break;
		memmove(w.rest, name + len, strlen(name + len) + 1);
	}
	strcpy(path, *w.done ? w.done : "/");
	return 0;
}

int tree_add_directory(struct tree *t, const char *path, uint32_t mode, struct vb_error *err)
{
	char full[PATH_MAX];
	int r;

	snprintf(full, sizeof(full), "%s", path);
	if ((r = make_parents(t, full, err)))
		return r;
	return put(t, full, NULL, NULL, S_IFDIR | mode, false, NULL, err);
}

static int add_below(struct tree *t, char *source, char *path, struct vb_error *err);

static int add_entries(struct tree *t, char *source, char *path, struct vb_error *err)
{
	size_t source_len = strlen(source), path_len = strlen(path);
	DIR *dir = opendir(source);
	struct dirent *e;
	int r = 0;

	if (!dir)
		return vb_error_set(err, -errno, "%s: %s", source, strerror(errno));
	while (!r && (e = readdir(dir))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		if (!strcmp(path, "/"))
			path[0] = 0;
		if (!(r = append(source, e->d_name, strlen(e->d_name), err)) && !(r = append(path, e->d_name, strlen(e->d_name), err)))
			r = add_below(t, source, path, err);
		source[source_len] = 0;
		strcpy(path + path_len, "");
		if (path_len == 1)
			path[0] = '/';
	}
	closedir(dir);
	return r;
}

/* Recursion is bounded by PATH_MAX. */
static int add_below(struct tree *t, char *source, char *path, struct vb_error *err)
{
	char target[PATH_MAX];
	struct stat st;
	ssize_t len;
	int r;

	if (lstat(source, &st))
		return vb_error_set(err, -errno, "%s: %s", source, strerror(errno));
	if (S_ISLNK(st.st_mode)) {
		if ((len = readlink(source, target, sizeof(target) - 1)) < 0)
			return vb_error_set(err, -errno, "%s: %s", source, strerror(errno));
		target[len] = 0;
		return put(t, path, source, target, S_IFLNK | 0777, true, NULL, err);
	}
	if (S_ISREG(st.st_mode))
		return put(t, path, source, NULL, image_mode(&st), true, NULL, err);
	if (!S_ISDIR(st.st_mode))
		return 0;
	if ((r = put(t, path, source, NULL, image_mode(&st), true, NULL, err)))
		return r;
	return add_entries(t, source, path, err);
}

int tree_add_recursive(struct tree *t, const char *source, const char *path, struct vb_error *err)
{
	char from[PATH_MAX], to[PATH_MAX];
	int r;

	if (!realpath(source, from))
		return vb_error_set(err, -errno, "%s: %s", source, strerror(errno));
	if (path[0] != '/' || strlen(path) >= sizeof(to))
		return vb_error_set(err, -EINVAL, "%s: not an absolute path", path);
	strcpy(to, path);
	if ((r = make_parents(t, to, err)))
		return r;
	return add_below(t, from, to, err);
}

static int compare_nodes(const void *a, const void *b)
{
	return strcmp(((const struct tree_node *)a)->path, ((const struct tree_node *)b)->path);
}

void tree_sort(struct tree *t)
{
	if (t->count)
		qsort(t->at, t->count, sizeof(*t->at), compare_nodes);
	free(t->slots);
	t->slots = NULL;
	t->slot_count = 0;
}

void tree_release(struct tree *t)
{
	for (size_t i = 0; i < t->count; i++) {
		free(t->at[i].path);
		free(t->at[i].source);
		free(t->at[i].target);
	}
	free(t->at);
	free(t->slots);
	*t = (struct tree){0};
}
