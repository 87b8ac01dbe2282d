/* The kernel heap: slabs of one page for small objects, page runs for large ones. Owns the pages it took.
 *
 * A slab begins with its header, so no small object is page aligned: that is how kfree() tells the two apart.
 */
#include "kernel/mm/page.h"

struct slab {
	struct list node; /* in partial[class] while it has free objects */
	void *free;       /* first free object; each holds the address of the next */
	uint16_t used, class;
	uint32_t unused_from; /* objects at this offset and above were never used */
};

/* Few, since a small cell has one object of each: what a size wastes costs less than pages of classes hardly used. */
static const uint16_t class_size[] = {32, 96, 128, 192, 400, 800, 1008, 2032};
#define CLASSES   VB_ARRAY_LEN(class_size)
#define SMALL_MAX 2032

static struct list partial[CLASSES];

static struct slab *slab_new(unsigned class)
{
	struct page *page = page_alloc(0, false);
	if (!page)
		return NULL;

	struct slab *slab = page_virt(page);
	*slab = (struct slab){.class = (uint16_t) class, .unused_from = sizeof(*slab)};
	list_push_front(&partial[class], &slab->node);
	return slab;
}

static bool slab_full(const struct slab *slab)
{
	return !slab->free && slab->unused_from + class_size[slab->class] > VB_PAGE_SIZE;
}

static void *small_alloc(unsigned class)
{
	if (!partial[class].next)
		list_init(&partial[class]);

	struct slab *slab = list_empty(&partial[class]) ? slab_new(class) : list_first(&partial[class], struct slab, node);
	if (!slab)
		return NULL;
	void *object = slab->free;
	if (object) {
		slab->free = *(void **)object;
	} else {
		object = (char *)slab + slab->unused_from;
		slab->unused_from += class_size[class];
	}
	slab->used++;
	if (slab_full(slab))
		list_remove(&slab->node);
	return object;
}

static void small_free(void *object)
{
	struct slab *slab = (struct slab *)vb_page_down((uint64_t)object);

	KASSERT(slab->used && slab->class < CLASSES);
	if (slab_full(slab))
		list_push_front(&partial[slab->class], &slab->node);
	*(void **)object = slab->free;
	slab->free = object;
	/* Keep one empty slab a class, so that a loop of alloc and free stays here. */
	if (--slab->used == 0 && (slab->node.next != &partial[slab->class] || slab->node.prev != &partial[slab->class])) {
		list_remove(&slab->node);
		page_unref(page_of(slab));
	}
}

static bool is_large(const void *p)
{
	return (uint64_t)p % VB_PAGE_SIZE == 0;
}

size_t kmalloc_size(const void *p)
{
	if (is_large(p))
		return *page_private(page_of(p)) * VB_PAGE_SIZE;
	return class_size[((const struct slab *)vb_page_down((uint64_t)p))->class];
}

void *kmalloc(size_t size)
{
	if (size <= SMALL_MAX) {
		unsigned class = 0;
		while (class_size[class] < size)
			class ++;
		return small_alloc(class);
	}
	if (size > (VB_PAGE_SIZE << PAGE_MAX_ORDER))
		return NULL;
	uint64_t count = vb_page_up(size) / VB_PAGE_SIZE;
	struct page *page = page_alloc_run(count, false);
	if (!page)
		return NULL;
	*page_private(page) = count;
	return page_virt(page);
}

void *kzalloc(size_t size)
{
	void *p = kmalloc(size);

	if (p)
		memset(p, 0, size);
	return p;
}

void *krealloc(void *p, size_t size)
{
	if (!p)
		return kmalloc(size);
	size_t have = kmalloc_size(p);
	if (size <= have && size >= have / 4)
		return p;
	void *fresh = kmalloc(size);
	if (!fresh)
		return NULL;
	memcpy(fresh, p, vb_min(have, size));
	kfree(p);
	return fresh;
}

void kmalloc_shrink(void *p, size_t size)
{
	if (!is_large(p))
		return;
	struct page *page = page_of(p);
	uint64_t have = *page_private(page), keep = vb_max(vb_page_up(size) / VB_PAGE_SIZE, 1ull);
	if (keep >= have)
		return;
	*page_private(page) = keep;
	for (uint64_t i = 0; i < have; i++) {
		struct page *next = page_next(page);
		if (i >= keep)
			page_unref(page);
		page = next;
	}
}

void heap_give_back(void)
{
	for (unsigned class = 0; class < CLASSES; class ++)
		if (partial[class].next)
			list_for_each_safe(slab, next, &partial[class], struct slab, node)
				if (!slab->used) {
					list_remove(&slab->node);
					page_unref(page_of(slab));
				}
}

void kfree(void *p)
{
	if (!p)
		return;
	if (!is_large(p)) {
		small_free(p);
		return;
	}
	struct page *page = page_of(p);
	for (uint64_t left = *page_private(page); left; left--, page = page_next(page))
		page_unref(page);
}

char *kstrdup(const char *s)
{
	size_t size = strlen(s) + 1;
	char *copy = kmalloc(size);

	return copy ? memcpy(copy, s, size) : NULL;
}
