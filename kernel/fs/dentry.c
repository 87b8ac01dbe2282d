/* Directory entries: the tree of names, and the cache that makes walks fast. Owns every struct dentry.
 *
 * Invariants: 1. a child holds a reference to its parent. 2. an entry is hashed and on its parent's list until its name
 * goes (dentry_drop). 3. an unreferenced hashed entry stays on the lru list, the oldest go first; others are freed.
 */
#include "kernel/fs/fs_private.h"
#include "kernel/fs/site.h"

#define CACHE_MAX 2048u /* unreferenced entries kept */

static struct dentry *first_buckets[256], **buckets = first_buckets;
static unsigned bucket_count = VB_ARRAY_LEN(first_buckets), entry_count, lru_count;
static struct list lru = LIST_INIT(lru);

static uint32_t hash_name(const struct dentry *parent, const char *name, size_t len)
{
	uint64_t h = (uint64_t)parent >> 4;

	while (len--)
		h = (h ^ (uint8_t)*name++) * 0x100000001b3ull;
	return (uint32_t)(h ^ h >> 29);
}

static struct dentry **bucket_of(uint32_t hash)
{
	return &buckets[hash & (bucket_count - 1)];
}

static void hash_grow(void)
{
	struct dentry **old = buckets, **bigger = kzalloc(2ul * bucket_count * sizeof(*bigger));
	unsigned old_count = bucket_count;

	if (!bigger)
		return; /* slower, that is all */
	buckets = bigger;
	bucket_count *= 2;
	for (unsigned i = 0; i < old_count; i++) {
		for (struct dentry *d = old[i], *next; d; d = next) {
			next = d->hash_next;
			d->hash_next = *bucket_of(d->hash);
			*bucket_of(d->hash) = d;
		}
	}
	if (old != first_buckets)
		kfree(old);
}

static void hash_insert(struct dentry *d)
{
	if (++entry_count > bucket_count)
		hash_grow();
	d->hash = hash_name(d->parent, d->name, strlen(d->name));
	d->hash_next = *bucket_of(d->hash);
	*bucket_of(d->hash) = d;
}

static void hash_remove(struct dentry *d)
{
	struct dentry **p = bucket_of(d->hash);

	while (*p != d)
		p = &(*p)->hash_next;
	*p = d->hash_next;
	entry_count--;
}

static bool is_hashed(const struct dentry *d)
{
	return d->parent != d && !d->unlinked;
}

/* Referenced, its name nowhere to be found yet. */
static struct dentry *dentry_alloc(struct dentry *parent, const char *name, size_t len)
{
	struct dentry *d = kzalloc(sizeof(*d));
	char *copy = kmalloc(len + 1);

	if (!d || !copy) {
		kfree(d);
		kfree(copy);
		return NULL;
	}
	memcpy(copy, name, len);
	copy[len] = 0;
	d->refs = 1;
	d->name = copy;
	d->parent = parent ? parent : d;
	d->unlinked = parent;
	list_init(&d->children);
	list_init(&d->sibling);
	list_init(&d->lru);
	if (parent)
		dentry_ref(parent);
	return d;
}

struct dentry *dentry_new_root(struct inode *inode)
{
	struct dentry *d = dentry_alloc(NULL, "/", 1);

	if (d)
		d->inode = inode;
	return d;
}

static struct dentry *with_inode(struct dentry *d, struct inode *inode)
{
	if (d)
		d->inode = inode;
	else
		inode_unref(inode);
	return d;
}

struct dentry *dentry_new_anonymous(const char *name, struct inode *inode)
{
	char numbered[NAME_MAX];
	const char *number = *name == '/' ? NULL : strchr(name, '%'); /* of "pipe:[%lu]", but not of names that programs chose */

	if (number) {
		vb_snprintf(numbered, sizeof(numbered), "%.*s%llu]", (int)(number - name), name, (unsigned long long)inode->ino);
		name = numbered;
	}
	return with_inode(dentry_alloc(NULL, name, strlen(name)), inode);
}

struct dentry *dentry_new_nameless(struct dentry *dir, const char *name, struct inode *inode)
{
	return with_inode(dentry_alloc(dir, name, strlen(name)), inode);
}

/* Frees d and each ancestor that only it held. */
static void dentry_free(struct dentry *d)
{
	for (;;) {
		struct dentry *parent = d->parent;

		if (is_hashed(d)) {
			hash_remove(d);
			list_remove(&d->sibling);
		}
		if (d->inode && d->inode->watches && !d->inode->nlink)
			inotify_gone(d->inode);
		if (d->inode)
			inode_unref(d->inode);
		kfree(d->name);
		kfree(d);
		if (parent == d || --parent->refs)
			return;
		if (is_hashed(parent)) {
			list_push_back(&lru, &parent->lru);
			lru_count++;
			return;
		}
		d = parent;
	}
}

void dentry_ref(struct dentry *d)
{
	if (!d->refs++ && is_hashed(d)) {
		list_remove(&d->lru);
		lru_count--;
	}
}

void dentry_unref(struct dentry *d)
{
	KASSERT(d->refs);
	if (--d->refs)
		return;
	if (!is_hashed(d)) {
		dentry_free(d);
		return;
	}
	list_push_back(&lru, &d->lru);
	lru_count++;
	while (lru_count > CACHE_MAX) {
		struct dentry *oldest = list_first(&lru, struct dentry, lru);

		list_remove(&oldest->lru);
		lru_count--;
		dentry_free(oldest);
	}
}

void dentry_instantiate(struct dentry *d, struct inode *inode)
{
	KASSERT(!d->inode);
	d->inode = inode;
}

static struct dentry *cached(struct dentry *parent, const char *name, size_t len)
{
	uint32_t hash = hash_name(parent, name, len);

	for (struct dentry *d = *bucket_of(hash); d; d = d->hash_next)
		if (d->hash == hash && d->parent == parent && !strncmp(d->name, name, len) && !d->name[len])
			return d;
	return NULL;
}

int dentry_lookup_own(struct dentry *parent, const char *name, size_t len, struct dentry **ret)
{
	const struct inode_ops *ops = parent->inode->ops;
	struct dentry *d = cached(parent, name, len);

	if (d) {
		dentry_ref(d);
		if (!ops->revalidate || d->pinned || d->mounted || ops->revalidate(d)) {
			*ret = d;
			return 0;
		}
		dentry_drop(d);
		dentry_unref(d);
	}
	if (!ops->lookup)
		return -ENOTDIR;
	if (len > NAME_MAX)
		return -ENAMETOOLONG;
	if (parent->unlinked)
		return -ENOENT;
	/* Not yet in the cache while the back end sleeps: a second walk must not see it half made. */
	d = dentry_alloc(parent, name, len);
	if (!d)
		return -ENOMEM;
	int r = ops->lookup(parent->inode, d);
	struct dentry *other = r ? NULL : cached(parent, name, len);

	if (r || other) {
		if (other)
			dentry_ref(other);
		dentry_unref(d);
		d = other;
	} else {
		d->unlinked = false;
		list_push_back(&parent->children, &d->sibling);
		hash_insert(d);
	}
	if (!r)
		*ret = d;
	return r;
}

int dentry_lookup(struct dentry *parent, const char *name, size_t len, struct dentry **ret)
{
	int r = dentry_lookup_own(parent, name, len, ret);

	return !r && site_active && !(*ret)->inode ? site_lookup(ret) : r;
}

void dentry_drop(struct dentry *d)
{
	if (!is_hashed(d))
		return;
	KASSERT(d->refs);
	hash_remove(d);
	list_remove(&d->sibling);
	d->unlinked = true;
}

static void rename_to(struct dentry *d, struct dentry *parent, char *name)
{
	struct dentry *old_parent = d->parent;

	hash_remove(d);
	list_remove(&d->sibling);
	d->parent = parent;
	d->name = name;
	dentry_ref(parent);
	list_push_back(&parent->children, &d->sibling);
	hash_insert(d);
	dentry_unref(old_parent);
}

void dentry_move(struct dentry *d, struct dentry *target)
{
	char *name = kstrdup(target->name);

	if (!name) { /* then a file that is replaced and still open shows its replacement's old name */
		name = target->name;
		target->name = d->name;
		d->name = NULL;
	}
	dentry_drop(target);
	kfree(d->name);
	rename_to(d, target->parent, name);
}

void dentry_exchange(struct dentry *a, struct dentry *b)
{
	struct dentry *a_parent = a->parent;
	char *a_name = a->name;

	dentry_ref(a_parent);
	rename_to(a, b->parent, b->name);
	rename_to(b, a_parent, a_name);
	dentry_unref(a_parent);
}

void dentry_pin(struct dentry *d)
{
	KASSERT(!d->pinned);
	d->pinned = true;
	dentry_ref(d);
	list_remove(&d->sibling); /* pinned entries are in order of their making, for readdir */
	list_push_back(&d->parent->children, &d->sibling);
}

void dentry_unpin(struct dentry *d)
{
	KASSERT(d->pinned);
	d->pinned = false;
	dentry_unref(d);
}

bool dentry_is_below(struct dentry *d, struct dentry *ancestor)
{
	for (;; d = d->parent == d ? d->mount_point : d->parent) {
		if (!d || d == ancestor)
			return d;
	}
}

long dentry_path(struct dentry *d, char *buf, size_t size, bool mark_deleted)
{
	static const char deleted[] = " (deleted)", unreachable[] = "(unreachable)";
	struct dentry *root = current->process->fs->root;
	size_t at = size;

	if (!size)
		return -ENAMETOOLONG;
	buf[--at] = 0;
	if (mark_deleted && d->unlinked) {
		if (at < sizeof(deleted) - 1)
			return -ENAMETOOLONG;
		at -= sizeof(deleted) - 1;
		memcpy(buf + at, deleted, sizeof(deleted) - 1);
	}
	if (d->parent == d && !d->mount_point && !S_ISDIR(d->inode->mode)) { /* on no file system: pipe:[1] */
		size_t len = strlen(d->name);

		if (at < len)
			return -ENAMETOOLONG;
		at -= len;
		memcpy(buf + at, d->name, len);
		goto done;
	}
	if (d == root) {
		if (!at)
			return -ENAMETOOLONG;
		buf[--at] = '/';
	}
	while (d != root) {
		size_t len = strlen(d->name);

		if (d->parent == d) {
			if (d->mount_point) {
				d = d->mount_point;
				continue;
			}
			len = sizeof(unreachable) - 1; /* outside the program's root */
			if (at < len + 1)
				return -ENAMETOOLONG;
			if (!buf[at])
				buf[--at] = '/';
			at -= len;
			memcpy(buf + at, unreachable, len);
			break;
		}
		if (at < len + 1)
			return -ENAMETOOLONG;
		at -= len;
		memcpy(buf + at, d->name, len);
		buf[--at] = '/';
		d = d->parent;
	}
done:
	memmove(buf, buf + at, size - at);
	return (long)(size - at - 1);
}
