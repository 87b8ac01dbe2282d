/* A sparse array of pointers by page index: what a file in memory is made of. Costs nothing where nothing is. */
#ifndef KERNEL_FS_PAGE_TREE_H
#define KERNEL_FS_PAGE_TREE_H

#include "kernel/kernel.h"

struct page_tree { /* all zero: empty */
	void *root;
	unsigned height; /* levels of nodes; covers 64^height entries */
};

typedef void page_tree_drop(void *arg, uint64_t index, void *entry);

void *page_tree_get(const struct page_tree *t, uint64_t index);
int page_tree_set(struct page_tree *t, uint64_t index, void *entry);                                     /* replaces; -ENOMEM */
void page_tree_cut(struct page_tree *t, uint64_t first, uint64_t last, page_tree_drop *drop, void *arg); /* removes [first, last] */
uint64_t page_tree_next(const struct page_tree *t, uint64_t from); /* the first entry at or after; UINT64_MAX: none */

#endif
