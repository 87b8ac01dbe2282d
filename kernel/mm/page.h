/* Page frames: the memory file, handed out in power-of-two runs (buddy). Owns every frame of the cell.
 *
 * The whole file is mapped at boot->memory_base, so a frame has a kernel address for life.
 */
#ifndef KERNEL_MM_PAGE_H
#define KERNEL_MM_PAGE_H

#include "kernel/kernel.h"

#define PAGE_MAX_ORDER 10 /* 4 MiB */

struct page; /* descriptor of one frame */

/* All frames of a run are counted separately (each starts with one reference); NULL when the cell's memory is used up.
 * zero: contents are zero (frames fresh from the host already are, and are not touched). */
struct page *page_alloc(unsigned order, bool zero);
/* The same for any count of contiguous frames up to 2^PAGE_MAX_ORDER. */
struct page *page_alloc_run(uint64_t count, bool zero);
bool page_was_used(const struct page *run); /* just allocated, zeroed: the host has these frames already */
void page_ref(struct page *page);
void page_unref(struct page *page); /* frees at zero; big free runs go back to the host */
unsigned page_refs(const struct page *page);
struct page *page_next(struct page *page); /* the descriptor of the following frame */
uint64_t *page_private(struct page *page); /* a word for the owner of a frame in use; starts as 0 */
void *page_virt(const struct page *page);  /* kernel address */
struct page *page_of(const void *virt);
uint64_t page_offset(const struct page *page); /* in the memory file */
struct page *page_at(uint64_t offset);

uint64_t pages_total(void), pages_free(void);
void heap_give_back(void);  /* empty slabs become free pages */
void pages_give_back(void); /* everything free to the host, however small: costs a host call a piece */

void page_init(void); /* takes [boot->kernel_arena_offset, boot->memory_bytes) */

#endif
