/* Sparse arrays of pointers: radix trees of 64-way nodes. Owns the nodes, not what they point to. */
#include "kernel/fs/page_tree.h"

enum { BITS = 6, WAYS = 1 << BITS };

struct node {
	void *slot[WAYS];
};

static bool within_height(const struct page_tree *t, uint64_t index)
{
	return t->height * BITS >= 64 || !(index >> t->height * BITS);
}

void *page_tree_get(const struct page_tree *t, uint64_t index)
{
	void *p = t->root;

	if (!within_height(t, index))
		return NULL;
	for (unsigned level = t->height; p && level; level--)
		p = ((struct node *)p)->slot[index >> (level - 1) * BITS & (WAYS - 1)];
	return p;
}

int page_tree_set(struct page_tree *t, uint64_t index, void *entry)
{
	while (!t->height || !within_height(t, index)) {
		struct node *above = kzalloc(sizeof(*above));

		if (!above)
			return -ENOMEM;
		above->slot[0] = t->root;
		t->root = above;
		t->height++;
	}
	void **p = &t->root;

	for (unsigned level = t->height; level; level--) {
		if (!*p && !(*p = kzalloc(sizeof(struct node))))
			return -ENOMEM;
		p = &((struct node *)*p)->slot[index >> (level - 1) * BITS & (WAYS - 1)];
	}
	*p = entry;
	return 0;
}

/* Cuts [first, last] out of the subtree at *p whose first index is base; recursion is as deep as the tree is high. */
static void cut(void **p, unsigned level, uint64_t base, uint64_t first, uint64_t last, page_tree_drop *drop, void *arg)
{
	if (!*p)
		return;
	if (!level) {
		void *entry = *p;

		*p = NULL;
		drop(arg, base, entry);
		return;
	}
	unsigned shift = (level - 1) * BITS;
	uint64_t end = base + ((uint64_t)WAYS << shift) - 1;
	uint64_t from = first > base ? (first - base) >> shift : 0, to = last < end ? (last - base) >> shift : WAYS - 1;

	for (uint64_t i = from; i <= to; i++)
		cut(&((struct node *)*p)->slot[i], level - 1, base + (i << shift), first, last, drop, arg);
	if (first <= base && last >= end) {
		kfree(*p);
		*p = NULL;
	}
}

void page_tree_cut(struct page_tree *t, uint64_t first, uint64_t last, page_tree_drop *drop, void *arg)
{
	if (!t->height || !within_height(t, first))
		return;
	cut(&t->root, t->height, 0, first, last, drop, arg);
	if (!t->root)
		t->height = 0;
}

static uint64_t next(void *p, unsigned level, uint64_t base, uint64_t from)
{
	if (!p || !level)
		return p ? base : UINT64_MAX;
	unsigned shift = (level - 1) * BITS;

	for (uint64_t i = from > base ? (from - base) >> shift : 0; i < WAYS; i++) {
		uint64_t found = next(((struct node *)p)->slot[i], level - 1, base + (i << shift), from);

		if (found != UINT64_MAX)
			return found;
	}
	return UINT64_MAX;
}

uint64_t page_tree_next(const struct page_tree *t, uint64_t from)
{
	return t->height && within_height(t, from) ? next(t->root, t->height, 0, from) : UINT64_MAX;
}
