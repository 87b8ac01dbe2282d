/* Areas: what the program asked for. Owns the area tree, its accounting and the areas' file references. */
#include "kernel/mm/internal.h"

struct vm_area *area_at_or_above(const struct mm *mm, uint64_t addr)
{
	return area_of(range_at_or_above(&mm->areas, addr));
}

struct vm_area *area_at(const struct mm *mm, uint64_t addr)
{
	struct vm_area *v = area_at_or_above(mm, addr);

	return v && v->a.start <= addr ? v : NULL;
}

struct area *mm_area_at_or_above(struct mm *mm, uint64_t addr)
{
	struct vm_area *v = area_at_or_above(mm, addr);

	return v ? &v->a : NULL;
}

static void account(const struct vm_area *v, bool add)
{
	uint64_t bytes = v->a.end - v->a.start, change = add ? bytes : -bytes;
	struct mm *mm = v->mm;

	mm->total_bytes += change;
	if ((v->a.prot & PROT_W) && !v->a.shared && !v->a.grows_down)
		mm->data_bytes += change;
	if (v->a.locked)
		mm->locked_bytes += change;
}

static void place(struct vm_area *v)
{
	v->range.start = v->a.start;
	v->range.end = v->a.end;
	range_insert(&v->mm->areas, &v->range);
	account(v, true);
}

static void displace(struct vm_area *v)
{
	account(v, false);
	range_remove(&v->mm->areas, &v->range);
}

struct vm_area *area_new(struct mm *mm, const struct area *like)
{
	struct vm_area *v = kzalloc(sizeof(*v));
	if (!v)
		return NULL;

	v->a = *like;
	v->mm = mm;
	list_init(&v->mapping);
	if (v->a.inode) {
		inode_ref(v->a.inode);
		list_push_back(&v->a.inode->mappings, &v->mapping);
	}
	if (v->a.file)
		file_ref(v->a.file);
	place(v);
	return v;
}

void area_free(struct vm_area *v)
{
	displace(v);
	list_remove(&v->mapping);
	if (v->a.file)
		file_unref(v->a.file);
	if (v->a.inode)
		inode_unref(v->a.inode);
	kfree(v);
}

void area_resize(struct vm_area *v, uint64_t start, uint64_t end)
{
	displace(v);
	v->a.offset += start - v->a.start;
	v->a.start = start;
	v->a.end = end;
	place(v);
}

void area_set_prot(struct vm_area *v, int prot)
{
	account(v, false);
	v->a.prot = prot;
	account(v, true);
}

void area_set_locked(struct vm_area *v, bool locked)
{
	account(v, false);
	v->a.locked = locked;
	account(v, true);
}

int areas_split(struct mm *mm, uint64_t addr)
{
	struct vm_area *low = area_at(mm, addr);
	if (!low || low->a.start == addr)
		return 0;

	struct area upper = low->a;
	uint64_t end = low->a.end;
	upper.start = addr;
	upper.offset += addr - low->a.start;
	area_resize(low, low->a.start, addr);
	if (!area_new(mm, &upper)) {
		area_resize(low, low->a.start, end);
		return -ENOMEM;
	}
	return 0;
}

static bool can_merge(const struct vm_area *low, const struct vm_area *high)
{
	const struct area *a = &low->a, *b = &high->a;

	return a->end == b->start && a->prot == b->prot && a->shared == b->shared && a->grows_down == b->grows_down &&
	       a->locked == b->locked && !a->kernel && !b->kernel && a->inode == b->inode && a->file == b->file && a->name == b->name &&
	       (!a->inode || a->offset + (a->end - a->start) == b->offset);
}

struct vm_area *area_merge(struct vm_area *v)
{
	struct vm_area *low = area_of(range_prev(&v->mm->areas, &v->range)), *high = area_next(v->mm, v);

	if (high && can_merge(v, high)) {
		uint64_t end = high->a.end;
		area_free(high);
		area_resize(v, v->a.start, end);
	}
	if (low && can_merge(low, v)) {
		uint64_t end = v->a.end;
		area_free(v);
		area_resize(low, low->a.start, end);
		v = low;
	}
	return v;
}

int areas_for_range(struct mm *mm, uint64_t start, uint64_t end, bool stop_at_hole, int (*fn)(struct vm_area *v, void *arg), void *arg)
{
	bool hole = false;

	if (areas_split(mm, start) || areas_split(mm, end))
		return -ENOMEM;
	uint64_t at = start;
	for (struct vm_area *v; at < end && (v = area_at_or_above(mm, at)) && v->a.start < end;) {
		hole |= v->a.start > at;
		if (hole && stop_at_hole)
			break;
		at = v->a.end;
		int r = fn(v, arg);
		area_merge(v);
		if (r)
			return r;
	}
	return hole || at < end ? -ENOMEM : 0;
}

bool areas_any_kernel(const struct mm *mm, uint64_t start, uint64_t end)
{
	for (struct vm_area *v = area_at_or_above(mm, start); v && v->a.start < end; v = area_next(mm, v))
		if (v->a.kernel)
			return true;
	return false;
}

void mm_for_each_area(struct mm *mm, void (*fn)(const struct area *area, void *arg), void *arg)
{
	for (struct vm_area *v = area_at_or_above(mm, 0); v; v = area_next(mm, v))
		fn(&v->a, arg);
}

void mm_set_area_name(struct mm *mm, uint64_t addr, const char *name)
{
	struct vm_area *v = area_at(mm, addr);

	if (v)
		v->a.name = name;
}

bool mm_inode_has_writable_map(const struct inode *inode)
{
	list_for_each(v, &inode->mappings, struct vm_area, mapping)
		if (v->a.shared && (!v->a.file || v->a.file->writable))
			return true;
	return false;
}
