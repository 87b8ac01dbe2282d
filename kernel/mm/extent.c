/* Extents: what the host has mapped for an address space right now. Owns the extent tree and its frame references, and
 * is the only caller of the platform's mapping functions, so tree and host agree.
 */
#include "kernel/mm/internal.h"

struct extent *extent_at_or_above(const struct mm *mm, uint64_t addr)
{
	return extent_of(range_at_or_above(&mm->extents, addr));
}

struct extent *extent_at(const struct mm *mm, uint64_t addr)
{
	struct extent *e = extent_at_or_above(mm, addr);

	return e && e->range.start <= addr ? e : NULL;
}

void *extent_virt(const struct extent *e, uint64_t addr)
{
	return (void *)((e->kind == EXTENT_IMAGE ? boot->image_base : boot->memory_base) + e->offset + (addr - e->range.start));
}

static int host_prot(enum extent_kind kind, int area_prot)
{
	if (kind == EXTENT_OWN || !(area_prot & PROT_W))
		return area_prot;
	return (area_prot & ~PROT_W) | PROT_R; /* what may be written can be read on x86 */
}

static void unref_frames(enum extent_kind kind, uint64_t offset, uint64_t len)
{
	if (kind == EXTENT_IMAGE)
		return;
	struct page *page = page_at(offset);
	for (uint64_t n = pages_in(len); n; n--, page = page_next(page))
		page_unref(page);
}

static uint64_t length(const struct extent *e)
{
	return e->range.end - e->range.start;
}

static void place(struct mm *mm, struct extent *e, uint64_t start, uint64_t end)
{
	e->range.start = start;
	e->range.end = end;
	range_insert(&mm->extents, &e->range);
	mm->resident_bytes += length(e);
}

static void displace(struct mm *mm, struct extent *e)
{
	mm->resident_bytes -= length(e);
	range_remove(&mm->extents, &e->range);
}

static bool follows(const struct extent *low, const struct extent *high)
{
	return low && high && low->range.end == high->range.start && low->offset + length(low) == high->offset && low->kind == high->kind &&
	       low->prot == high->prot;
}

/* Joins e with a neighbour where the two are one run; the extent that has all of it. */
static struct extent *merge(struct mm *mm, struct extent *e)
{
	struct extent *low = extent_of(range_prev(&mm->extents, &e->range)), *high = extent_of(range_next(&mm->extents, &e->range));

	if (follows(e, high)) {
		uint64_t end = high->range.end;
		displace(mm, high);
		displace(mm, e);
		place(mm, e, e->range.start, end);
		kfree(high);
	}
	if (follows(low, e)) {
		uint64_t end = e->range.end;
		displace(mm, e);
		displace(mm, low);
		place(mm, low, low->range.start, end);
		kfree(e);
		e = low;
	}
	return e;
}

static int split(struct mm *mm, uint64_t addr)
{
	struct extent *low = extent_at(mm, addr);
	if (!low || low->range.start == addr)
		return 0;

	struct extent *high = kmalloc(sizeof(*high));
	if (!high)
		return -ENOMEM;
	uint64_t start = low->range.start, end = low->range.end;
	*high = (struct extent){.offset = low->offset + (addr - start), .kind = low->kind, .prot = low->prot};
	displace(mm, low);
	place(mm, low, start, addr);
	place(mm, high, addr, end);
	return 0;
}

static int host_map(const struct extent *e, uint64_t va, uint64_t len, bool populate)
{
	return e->kind == EXTENT_IMAGE ? platform_map_image(va, len, e->prot, e->offset)
				       : platform_map_memory(va, len, e->prot, e->offset, populate);
}

/* The frames may be in other hands next: a host that leaves them mapped is the end. */
static void host_unmap(uint64_t va, uint64_t len)
{
	if (platform_unmap(va, len))
		kpanic("the host refuses to unmap %#lx", (unsigned long)va);
}

int extent_map(struct mm *mm, uint64_t va, uint64_t len, enum extent_kind kind, uint64_t offset, int area_prot, bool populate)
{
	struct extent *e = kmalloc(sizeof(*e));
	int r = -ENOMEM;

	if (e) {
		*e = (struct extent){.offset = offset, .kind = (uint8_t)kind, .prot = (uint8_t)host_prot(kind, area_prot)};
		r = host_map(e, va, len, populate);
	}
	if (r) {
		unref_frames(kind, offset, len);
		kfree(e);
		return r;
	}
	place(mm, e, va, va + len);
	merge(mm, e);
	return 0;
}

int extents_drop(struct mm *mm, uint64_t start, uint64_t end, bool on_host)
{
	uint64_t low = end, high = start;

	if (split(mm, start) || split(mm, end))
		return -ENOMEM;
	for (struct extent *e; (e = extent_at_or_above(mm, start)) && e->range.start < end;) {
		low = vb_min(low, e->range.start);
		high = e->range.end;
		displace(mm, e);
		unref_frames(e->kind, e->offset, length(e));
		kfree(e);
	}
	if (on_host && low < high)
		host_unmap(low, high - low);
	return 0;
}

int extents_protect(struct mm *mm, uint64_t start, uint64_t end, int area_prot)
{
	if (split(mm, start) || split(mm, end))
		return -ENOMEM;
	for (struct extent *e; (e = extent_at_or_above(mm, start)) && e->range.start < end;) {
		int prot = host_prot(e->kind, area_prot);
		uint64_t from = e->range.start, to = from;
		/* One host call for neighbours that get the same protection. */
		while (e && e->range.start == to && to < end && host_prot(e->kind, area_prot) == prot) {
			to = e->range.end;
			e = extent_of(range_next(&mm->extents, &e->range));
		}
		int r = platform_protect(from, to - from, prot);
		if (r)
			return r;
		for (start = from; start < to;) {
			e = extent_at(mm, start);
			e->prot = (uint8_t)prot;
			start = merge(mm, e)->range.end;
		}
	}
	return 0;
}

int extents_set_kind(struct mm *mm, uint64_t addr, enum extent_kind kind, int area_prot)
{
	if (split(mm, addr) || split(mm, addr + VB_PAGE_SIZE))
		return -ENOMEM;
	extent_at(mm, addr)->kind = (uint8_t)kind;
	return extents_protect(mm, addr, addr + VB_PAGE_SIZE, area_prot);
}

int extents_move(struct mm *mm, uint64_t from, uint64_t to, uint64_t len)
{
	uint64_t low = from + len, high = from;
	int r = 0;

	if (split(mm, from) || split(mm, from + len))
		return -ENOMEM;
	for (struct extent *e; (e = extent_at_or_above(mm, from)) && e->range.start < from + len;) {
		uint64_t start = e->range.start, end = e->range.end;
		r = host_map(e, start - from + to, end - start, false);
		if (r)
			break;
		low = vb_min(low, start);
		high = end;
		displace(mm, e);
		place(mm, e, start - from + to, end - from + to);
		merge(mm, e);
	}
	if (r && low < high) { /* out of host mappings: back to where it was */
		if (extents_move(mm, low - from + to, low, high - low))
			kpanic("the host can't move pages back");
	}
	if (!r && low < high)
		host_unmap(low, high - low);
	return r;
}

bool extents_any_own(const struct mm *mm, uint64_t start, uint64_t end)
{
	for (struct extent *e = extent_at_or_above(mm, start); e && e->range.start < end;
		e = extent_of(range_next(&mm->extents, &e->range)))
		if (e->kind == EXTENT_OWN)
			return true;
	return false;
}

bool mm_present(struct mm *mm, uint64_t addr, uint64_t *ret_start, uint64_t *ret_end)
{
	const struct extent *e = extent_at_or_above(mm, addr);
	if (!e)
		return false;
	*ret_start = vb_max(addr, e->range.start);
	*ret_end = e->range.end;
	return true;
}

bool mm_modified(struct mm *mm, uint64_t start, uint64_t end)
{
	return extents_any_own(mm, start, end);
}
