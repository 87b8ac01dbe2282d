/* Ordered ranges as a treap (see range.h). Owns nothing: nodes belong to the caller. Depth is logarithmic whatever the
 * program maps, because priorities are not its choice; so recursion is safe on a kernel stack.
 */
#include "kernel/mm/range.h"

static uint32_t next_priority(void)
{
	static uint32_t state = 0x9e3779b9;

	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state;
}

static void update(struct range *r)
{
	r->low = r->start;
	r->high = r->end;
	r->gap = 0;
	if (r->left) {
		r->low = r->left->low;
		r->gap = vb_max(r->left->gap, r->start - r->left->high);
	}
	if (r->right) {
		r->high = r->right->high;
		r->gap = vb_max(r->gap, r->right->gap);
		r->gap = vb_max(r->gap, r->right->low - r->end);
	}
}

static void split(struct range *t, uint64_t key, struct range **ret_left, struct range **ret_right)
{
	if (!t) {
		*ret_left = *ret_right = NULL;
	} else if (t->start < key) {
		split(t->right, key, &t->right, ret_right);
		update(t);
		*ret_left = t;
	} else {
		split(t->left, key, ret_left, &t->left);
		update(t);
		*ret_right = t;
	}
}

static struct range *join(struct range *a, struct range *b)
{
	if (!a || !b)
		return a ? a : b;
	if (a->priority > b->priority) {
		a->right = join(a->right, b);
		update(a);
		return a;
	}
	b->left = join(a, b->left);
	update(b);
	return b;
}

static struct range *insert(struct range *t, struct range *r)
{
	if (!t || r->priority > t->priority) {
		split(t, r->start, &r->left, &r->right);
		t = r;
	} else if (r->start < t->start) {
		t->left = insert(t->left, r);
	} else {
		t->right = insert(t->right, r);
	}
	update(t);
	return t;
}

static struct range *erase(struct range *t, struct range *r)
{
	if (t == r)
		return join(r->left, r->right);
	if (r->start < t->start)
		t->left = erase(t->left, r);
	else
		t->right = erase(t->right, r);
	update(t);
	return t;
}

void range_insert(struct range_tree *tree, struct range *r)
{
	r->priority = next_priority();
	r->left = r->right = NULL;
	tree->root = insert(tree->root, r);
	tree->count++;
}

void range_remove(struct range_tree *tree, struct range *r)
{
	tree->root = erase(tree->root, r);
	tree->count--;
}

struct range *range_at_or_above(const struct range_tree *tree, uint64_t addr)
{
	struct range *best = NULL;

	for (struct range *t = tree->root; t;) {
		if (t->end > addr) {
			best = t;
			t = t->left;
		} else {
			t = t->right;
		}
	}
	return best;
}

struct range *range_below(const struct range_tree *tree, uint64_t addr)
{
	struct range *best = NULL;

	for (struct range *t = tree->root; t;) {
		if (t->start < addr) {
			best = t;
			t = t->right;
		} else {
			t = t->left;
		}
	}
	return best;
}

/* low and high: the free borders of this subtree, already within what was asked for. */
static uint64_t find_gap(const struct range *t, uint64_t len, uint64_t low, uint64_t high, bool up)
{
	if (low > high || high - low < len)
		return UINT64_MAX;
	if (!t)
		return up ? low : high - len;
	if (t->gap < len && (t->low < low || t->low - low < len) && (t->high > high || high - t->high < len))
		return UINT64_MAX;

	for (int side = 0; side < 2; side++) {
		bool left = up == !side;
		uint64_t found = left ? find_gap(t->left, len, low, vb_min(high, t->start), up)
				      : find_gap(t->right, len, vb_max(low, t->end), high, up);
		if (found != UINT64_MAX)
			return found;
	}
	return UINT64_MAX;
}

uint64_t range_find_gap(const struct range_tree *tree, uint64_t len, uint64_t low, uint64_t high, bool up)
{
	return find_gap(tree->root, len, low, high, up);
}
