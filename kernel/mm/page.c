/* Page frames (see page.h): a buddy allocator over the memory file. Owns every frame of the arena and its descriptors.
 *
 * Descriptors lie at the end of the arena and are touched only when their frame is first used: frames at `fresh` and
 * above were never handed out, have no descriptor yet and are zero. Free blocks remember whether they are zero and merge
 * only with their like. Large dirty blocks go back to the host once there are many of them.
 */
#include "kernel/mm/page.h"
#include "kernel/platform/platform.h"

#define DISCARD_ORDER    4     /* 64 KiB: smaller blocks are not worth a host call */
#define DIRTY_KEEP_MIN   1024u /* frames of large dirty blocks that may wait for reuse, */
#define DIRTY_KEEP_SHARE 4u    /* or this part of what is in use, if more */

struct page {
	union {
		struct list node; /* free block: in free_blocks[order] */
		uint64_t private; /* in use: the owner's */
	};
	uint32_t refs;
	uint8_t order; /* of the free block that starts here */
	bool free, zero;
};

static struct page *pages;
static uint64_t first_offset;                       /* of frame 0 in the memory file */
static uint64_t total, fresh, used;                 /* frames */
static uint64_t dirty_large;                        /* frames in dirty free blocks of DISCARD_ORDER and more */
static struct list free_blocks[PAGE_MAX_ORDER + 1]; /* dirty ones first */

static uint64_t index_of(const struct page *page)
{
	return (uint64_t)(page - pages);
}

static uint64_t frames(unsigned order)
{
	return 1ull << order;
}

static void count_used(int64_t change)
{
	used += (uint64_t)change;
	/* The kernel's image, the descriptors that were ever touched, and the frames. */
	stats->memory_bytes = boot->kernel_arena_offset + vb_page_up(fresh * sizeof(struct page)) + used * VB_PAGE_SIZE;
	stats->memory_peak_bytes = vb_max(stats->memory_peak_bytes, stats->memory_bytes);
}

static void block_take(struct page *page)
{
	list_remove(&page->node);
	page->free = false;
	if (!page->zero && page->order >= DISCARD_ORDER)
		dirty_large -= frames(page->order);
}

static void block_put(uint64_t index, unsigned order, bool zero)
{
	while (order < PAGE_MAX_ORDER) {
		uint64_t other = index ^ frames(order);
		if (other + frames(order) > fresh)
			break;
		struct page *buddy = &pages[other];
		if (!buddy->free || buddy->order != order || buddy->zero != zero)
			break;
		block_take(buddy);
		index &= ~frames(order);
		order++;
	}
	struct page *page = &pages[index];
	page->order = (uint8_t)order;
	page->free = true;
	page->zero = zero;
	if (zero)
		list_push_back(&free_blocks[order], &page->node);
	else
		list_push_front(&free_blocks[order], &page->node);
	if (!zero && order >= DISCARD_ORDER)
		dirty_large += frames(order);
}

/* Frees [index, index + count) as the largest aligned blocks that fit. */
static void blocks_put(uint64_t index, uint64_t count, bool zero)
{
	while (count) {
		unsigned order = index ? vb_min((unsigned)__builtin_ctzll(index), (unsigned)PAGE_MAX_ORDER) : PAGE_MAX_ORDER;
		while (frames(order) > count)
			order--;
		block_put(index, order, zero);
		index += frames(order);
		count -= frames(order);
	}
}

/* Gives one dirty block of that order back to the host. False if there is none. */
static bool discard_block(unsigned order)
{
	struct page *page = list_empty(&free_blocks[order]) ? NULL : list_first(&free_blocks[order], struct page, node);

	if (!page || page->zero || platform_discard(page_offset(page), frames(order) * VB_PAGE_SIZE))
		return false;
	block_take(page);
	block_put(index_of(page), order, true);
	return true;
}

/* Gives large dirty blocks back until at most `keep` frames of them are left. */
static void discard_down_to(uint64_t keep)
{
	for (unsigned order = PAGE_MAX_ORDER; order >= DISCARD_ORDER; order--)
		while (dirty_large > keep && discard_block(order))
			;
}

void pages_give_back(void)
{
	for (unsigned order = 0; order <= PAGE_MAX_ORDER; order++)
		while (discard_block(order))
			;
}

/* A block of never used frames: those skipped for alignment become free blocks. */
static struct page *carve(unsigned order)
{
	uint64_t start = (fresh + frames(order) - 1) & ~(frames(order) - 1);

	if (start + frames(order) > total)
		return NULL;
	uint64_t skipped = fresh;
	fresh = start + frames(order);
	pages[start].order = (uint8_t)order;
	pages[start].zero = true;
	blocks_put(skipped, start - skipped, true);
	return &pages[start];
}

static struct page *block_get(unsigned order, bool zero)
{
	for (unsigned o = order; o <= PAGE_MAX_ORDER; o++) {
		if (list_empty(&free_blocks[o]))
			continue;
		struct list *node = zero ? free_blocks[o].prev : free_blocks[o].next;
		struct page *page = list_entry(node, struct page, node);
		block_take(page);
		while (o > order) {
			o--;
			block_put(index_of(page) + frames(o), o, page->zero);
		}
		page->order = (uint8_t)order;
		return page;
	}
	return carve(order);
}

struct page *page_alloc_run(uint64_t count, bool zero)
{
	unsigned order = count > 1 ? 64u - (unsigned)__builtin_clzll(count - 1) : 0;

	if (!count || order > PAGE_MAX_ORDER)
		return NULL;
	struct page *page = block_get(order, zero);
	if (!page && order) {
		pages_give_back(); /* all of a kind: what lies side by side merges */
		page = block_get(order, zero);
	}
	/* The end of the arena may still have room for a run that is no power of two. */
	if (!page && order && fresh + count <= total) {
		page = &pages[fresh];
		page->zero = true;
		fresh += count;
	} else if (page) {
		/* Called dirty although it may be zero: it must be able to merge with the run again. */
		blocks_put(index_of(page) + count, frames(order) - count, false);
	} else {
		return NULL;
	}
	if (zero && !page->zero)
		memset(page_virt(page), 0, count * VB_PAGE_SIZE);
	for (uint64_t i = 0; i < count; i++) {
		page[i].refs = 1;
		page[i].free = false;
		page[i].private = 0;
	}
	count_used((int64_t)count);
	return page;
}

bool page_was_used(const struct page *run)
{
	return !run->zero;
}

struct page *page_alloc(unsigned order, bool zero)
{
	return order > PAGE_MAX_ORDER ? NULL : page_alloc_run(frames(order), zero);
}

void page_ref(struct page *page)
{
	page->refs++;
}

void page_unref(struct page *page)
{
	KASSERT(page->refs && !page->free);
	if (--page->refs)
		return;
	block_put(index_of(page), 0, false);
	count_used(-1);
	uint64_t keep = vb_max(DIRTY_KEEP_MIN, used / DIRTY_KEEP_SHARE);
	if (dirty_large > keep)
		discard_down_to(keep / 2);
}

unsigned page_refs(const struct page *page)
{
	return page->refs;
}

struct page *page_next(struct page *page)
{
	return page + 1;
}

uint64_t *page_private(struct page *page)
{
	return &page->private;
}

uint64_t page_offset(const struct page *page)
{
	return first_offset + index_of(page) * VB_PAGE_SIZE;
}

struct page *page_at(uint64_t offset)
{
	KASSERT(offset >= first_offset && offset < first_offset + total * VB_PAGE_SIZE);
	return &pages[(offset - first_offset) >> VB_PAGE_SHIFT];
}

void *page_virt(const struct page *page)
{
	return (void *)(boot->memory_base + page_offset(page));
}

struct page *page_of(const void *virt)
{
	return page_at((uint64_t)virt - boot->memory_base);
}

uint64_t pages_total(void)
{
	return total;
}

uint64_t pages_free(void)
{
	return total - used;
}

void page_init(void)
{
	uint64_t start = vb_page_up(boot->kernel_arena_offset);

	total = (boot->memory_bytes - start) / (VB_PAGE_SIZE + sizeof(struct page)) - 1; /* rounding */
	first_offset = start;
	pages = (struct page *)(boot->memory_base + vb_page_down(boot->memory_bytes - total * sizeof(struct page)));
	fresh = used = dirty_large = 0;
	for (unsigned order = 0; order <= PAGE_MAX_ORDER; order++)
		list_init(&free_blocks[order]);
	count_used(0);
}
