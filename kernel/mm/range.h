/* Disjoint address ranges in order: a treap that also knows its largest gap. Areas and extents live in such trees. */
#ifndef KERNEL_MM_RANGE_H
#define KERNEL_MM_RANGE_H

#include "base/types.h"

struct range {
	uint64_t start, end;
	struct range *left, *right;
	uint64_t low, high, gap; /* of the subtree: least start, greatest end, largest hole between its ranges */
	uint32_t priority;
};

struct range_tree {
	struct range *root;
	uint64_t count;
};

void range_insert(struct range_tree *tree, struct range *r); /* start and end are set and overlap nothing */
void range_remove(struct range_tree *tree, struct range *r);
struct range *range_at_or_above(const struct range_tree *tree, uint64_t addr); /* the lowest that ends above addr */
struct range *range_below(const struct range_tree *tree, uint64_t addr);       /* the highest that starts below addr */
static inline struct range *range_next(const struct range_tree *tree, const struct range *r)
{
	return range_at_or_above(tree, r->end);
}
static inline struct range *range_prev(const struct range_tree *tree, const struct range *r)
{
	return range_below(tree, r->start);
}

/* A free [address, address + len) within [low, high): the highest such, or the lowest if `up`. UINT64_MAX: none. */
uint64_t range_find_gap(const struct range_tree *tree, uint64_t len, uint64_t low, uint64_t high, bool up);

#endif
