/* Page faults: makes extents for areas as they are touched. Trusts the area tree; addresses come from the program.
 *
 * A fault costs about 3 us, mapping more in the same host call almost nothing: so each fault serves a window of pages
 * that grows while the program goes on in sequence.
 */
#include "kernel/mm/internal.h"

static uint64_t file_window_start(const struct vm_area *v, uint64_t page)
{
	return v->a.start + (page - v->a.start) / (WINDOW_MAX_PAGES * VB_PAGE_SIZE) * (WINDOW_MAX_PAGES * VB_PAGE_SIZE);
}

/* What to serve with a fault at `page`: part of the area, none of it mapped if `absent`. */
static void fault_window(struct vm_area *v, uint64_t page, bool absent, uint64_t *ret_start, uint64_t *ret_end)
{
	bool up = page == v->window_end, down = page + VB_PAGE_SIZE == v->window_start;
	unsigned scattered = absent && v->a.end - v->a.start >= SCATTER_AREA && pages_free() > pages_total() / 4 * 3 ? SCATTER_PAGES : WINDOW_MIN_PAGES;
	unsigned pages = up || down ? vb_min(v->window_pages * 2, WINDOW_MAX_PAGES) : scattered;
	uint64_t bytes = pages * VB_PAGE_SIZE, start = page, end = page + bytes;
	bool adjoins = up || down, small = absent && v->a.end - v->a.start <= SMALL_AREA;

	if (small) {
		start = v->a.start;
		end = v->a.end;
	} else if (down) {
		end = page + VB_PAGE_SIZE;
		start = end > bytes ? end - bytes : 0;
	} else if (!up && absent) {
		start = page / bytes * bytes;
		end = start + bytes;
	}
	start = vb_max(start, v->a.start);
	end = vb_min(end, v->a.end);
	if (absent) {
		struct range *below = range_below(&v->mm->extents, page), *above = range_at_or_above(&v->mm->extents, page);
		if (below)
			start = vb_max(start, below->end);
		if (above)
			end = vb_min(end, above->start);
		adjoins |= (below && below->end == start) || (above && above->start == end);
	}
	v->window_pages = pages;
	v->filling = adjoins;
	v->window_start = *ret_start = start;
	v->window_end = *ret_end = end;
}

static int map_anonymous(struct mm *mm, struct vm_area *v, uint64_t page, uint64_t start, uint64_t end)
{
	struct page *run = page_alloc_run(pages_in(end - start), true);
	if (!run) {
		start = page;
		end = page + VB_PAGE_SIZE;
		run = page_alloc(0, true);
		if (!run)
			return -ENOMEM;
	}
	bool populate = page_was_used(run) || (v->filling && pages_in(end - start) >= POPULATE_MIN_PAGES);
	return extent_map(mm, start, end - start, EXTENT_OWN, page_offset(run), v->a.prot, populate);
}

static int fault_anonymous(struct mm *mm, struct vm_area *v, uint64_t page)
{
	uint64_t start, end;

	fault_window(v, page, true, &start, &end);
	return map_anonymous(mm, v, page, start, end);
}

/* The file's page behind addr. A reference to the frame (if it is one) goes to the caller. Where this slept, the area may
 * have changed meanwhile: -EAGAIN then, and the fault begins anew. */
static int file_page(struct vm_area *v, uint64_t addr, bool write, bool may_sleep, struct file_page *ret)
{
	struct mm *mm = v->mm;
	struct inode *inode = v->a.inode;
	uint64_t index = area_file_index(v, addr);

	*ret = (struct file_page){0};
	if (!inode->ops->get_page_sleeps)
		return inode->ops->get_page(inode, index, write, ret);
	if (!may_sleep)
		return -EAGAIN;
	inode_ref(inode);
	int r = inode->ops->get_page(inode, index, write, ret);
	struct vm_area *now = area_at(mm, addr);
	if (!r && (now != v || v->a.inode != inode || area_file_index(v, addr) != index)) {
		if (ret->frame)
			page_unref(ret->frame);
		r = -EAGAIN;
	}
	inode_unref(inode);
	return r;
}

static uint64_t file_page_offset(const struct file_page *p)
{
	return p->frame ? page_offset(p->frame) : p->image_offset;
}

/* How many pages from `addr` up to `end` continue `first` without a break. Takes their references. */
static uint64_t file_run(struct vm_area *v, uint64_t addr, uint64_t end, const struct file_page *first, bool write)
{
	uint64_t n = 1;

	for (; addr + n * VB_PAGE_SIZE < end; n++) {
		struct file_page p = {0};
		if (v->a.inode->ops->get_page(v->a.inode, area_file_index(v, addr) + n, write, &p))
			break;
		if (!p.frame != !first->frame || file_page_offset(&p) != file_page_offset(first) + n * VB_PAGE_SIZE) {
			if (p.frame)
				page_unref(p.frame);
			break;
		}
	}
	return n;
}

/* Maps the file's own pages: to read, or to write through a shared mapping. */
static int fault_file(struct mm *mm, struct vm_area *v, uint64_t page, bool write, bool may_sleep)
{
	const struct inode_ops *ops = v->a.inode->ops;
	struct file_page first;
	int r = file_page(v, page, write, may_sleep, &first);
	if (r)
		return r;

	/* Only after get_page: it may have unmapped the page that it replaced. */
	uint64_t start = page, end = page + VB_PAGE_SIZE;
	struct range *above = range_at_or_above(&mm->extents, end);
	uint64_t limit = above ? vb_min(v->a.end, above->start) : v->a.end;
	bool anonymous = !v->a.file;

	if (ops->get_page_sleeps || (write && !anonymous)) {
		limit = end;
	} else if (first.frame) {
		uint64_t low, high;
		fault_window(v, page, false, &low, &high);
		limit = vb_min(limit, high);
	} else {
		limit = vb_min(limit, file_window_start(v, page) + WINDOW_MAX_PAGES * VB_PAGE_SIZE);
	}
	end = start + file_run(v, start, limit, &first, write) * VB_PAGE_SIZE;
	enum extent_kind kind = !first.frame ? EXTENT_IMAGE : write ? EXTENT_OWN : EXTENT_FILE;
	r = extents_drop(mm, start, end, false);
	if (r) {
		for (struct page *f = first.frame; f && start < end; start += VB_PAGE_SIZE, f = page_next(f))
			page_unref(f);
		return r;
	}
	bool populate = first.frame && pages_in(end - start) >= (anonymous ? POPULATE_MIN_PAGES : 2);
	r = extent_map(mm, start, end - start, kind, file_page_offset(&first), v->a.prot, populate);
	if (!r && write && ops->dirty_page)
		for (uint64_t at = start; at < end; at += VB_PAGE_SIZE)
			ops->dirty_page(v->a.inode, area_file_index(v, at));
	return r;
}

/* Copies what is behind [start, ...) of a private file mapping into dst, page by page; how many pages, or the first's error. */
static int64_t copy_file_pages(struct mm *mm, struct vm_area *v, uint64_t start, uint64_t end, bool may_sleep, char *dst)
{
	for (uint64_t at = start; at < end; at += VB_PAGE_SIZE, dst += VB_PAGE_SIZE) {
		struct extent *e = extent_at(mm, at);
		struct file_page p = {0};
		int r = e ? 0 : file_page(v, at, false, may_sleep, &p);
		if (r)
			return at == start ? r : (int64_t)pages_in(at - start);
		memcpy(dst,
			e         ? extent_virt(e, at)
			: p.frame ? page_virt(p.frame)
				  : (void *)(boot->image_base + p.image_offset),
			VB_PAGE_SIZE);
		if (p.frame)
			page_unref(p.frame);
	}
	return (int64_t)pages_in(end - start);
}

/* Replaces [start, end) of a private file mapping by copies; as many pages from the start as can be. */
static int copy_on_write(struct mm *mm, struct vm_area *v, uint64_t start, uint64_t end, enum extent_kind kind, bool may_sleep)
{
	struct page *run = page_alloc_run(pages_in(end - start), false);
	if (!run) {
		end = start + VB_PAGE_SIZE;
		run = page_alloc(0, false);
		if (!run)
			return -ENOMEM;
	}
	int64_t copied = copy_file_pages(mm, v, start, end, may_sleep, page_virt(run));
	int r = copied < 0 ? (int)copied : 0;
	struct page *rest = run;
	if (!r) {
		uint64_t to = start + (uint64_t)copied * VB_PAGE_SIZE;
		r = extents_drop(mm, start, to, false);
		if (!r) {
			for (uint64_t at = start; at < to; at += VB_PAGE_SIZE)
				rest = page_next(rest);
			r = extent_map(mm, start, to - start, kind, page_offset(run), v->a.prot, true);
			if (r)
				platform_unmap(start, to - start);
			start = to;
		}
	}
	if (copied < 0)
		copied = 0;
	for (; start < end; start += VB_PAGE_SIZE, rest = page_next(rest))
		page_unref(rest);
	return r;
}

/* A write to a private file mapping. */
static int fault_copy(struct mm *mm, struct vm_area *v, uint64_t page, bool may_sleep)
{
	uint64_t start, end, at = page + VB_PAGE_SIZE;

	fault_window(v, page, false, &start, &end);
	if (v->a.inode->ops->get_page_sleeps)
		end = at;
	/* Not over pages that already are the program's. */
	for (; at < end; at += VB_PAGE_SIZE) {
		struct extent *e = extent_at(mm, at);
		if (e && e->kind >= EXTENT_TEXT)
			break;
	}
	v->window_start = page;
	v->window_end = at;
	return copy_on_write(mm, v, page, at, EXTENT_OWN, may_sleep);
}

/* The stack of a MAP_GROWSDOWN area reaches down to addr, if it may. */
static struct vm_area *grow_down(struct mm *mm, uint64_t addr)
{
	struct vm_area *v = area_at_or_above(mm, addr);

	if (!v || !v->a.grows_down || v->a.end - addr > mm_rlimit(RLIMIT_STACK_))
		return NULL;
	struct range *below = range_prev(&mm->areas, &v->range);
	uint64_t start = vb_page_down(addr);
	if (start < boot->user_low || (below && start - below->end < STACK_GUARD))
		return NULL;
	area_resize(v, start, v->a.end);
	return v;
}

static bool access_ok(const struct area *a, int access)
{
	int needed = access == PROT_R ? PROT_R | PROT_W | PROT_X : access; /* x86: what can be written or run can be read */

	return a->prot & needed;
}

int mm_fault(struct mm *mm, uint64_t addr, int access, bool may_sleep)
{
	uint64_t page = vb_page_down(addr);
	struct vm_area *v = area_at(mm, page);

	if (!v)
		v = grow_down(mm, page);
	if (!v)
		return -EFAULT;
	if (!access_ok(&v->a, access))
		return -EACCES;
	stats->faults++;

	struct extent *e = extent_at(mm, page);
	bool write = access == PROT_W;
	int r;
	if (e && (!write || (e->prot & PROT_W)))
		return 0; /* served meanwhile */
	if (v->a.kernel)
		return -EACCES;
	if (e && e->kind == EXTENT_TEXT)
		r = extents_set_kind(mm, page, EXTENT_OWN, v->a.prot);
	else if (!v->a.inode)
		r = fault_anonymous(mm, v, page);
	else if (write && !v->a.shared)
		r = fault_copy(mm, v, page, may_sleep);
	else
		r = fault_file(mm, v, page, write, may_sleep);
	if (r == -EAGAIN && may_sleep)
		return 0; /* the area changed during a sleep: let the access try again */
	return r == -EIO ? -ENXIO : r;
}

int mm_populate(struct mm *mm, uint64_t addr, uint64_t len, int access)
{
	for (uint64_t at = vb_page_down(addr), end = addr + len; at < end;) {
		struct extent *e = extent_at(mm, at);
		if (e && (access != PROT_W || (e->prot & PROT_W)) && e->prot) {
			at = e->range.end;
			continue;
		}
		int r = mm_fault(mm, at, access, true);
		if (r)
			return r == -ENOMEM ? r : -EFAULT;
	}
	return 0;
}

void fault_eager(struct mm *mm, struct vm_area *v)
{
	uint64_t start = v->a.start, end = v->a.end;

	if (!v->a.inode) {
		if (v->a.grows_down)
			start = end - vb_min(end - start, EAGER_ANONYMOUS_MAX);
		else if (v->a.name)
			end = start + vb_min(end - start, EAGER_ANONYMOUS_MAX);
		if ((v->a.prot & PROT_W) && end - start <= EAGER_ANONYMOUS_MAX)
			map_anonymous(mm, v, start, start, end);
		return;
	}
	if (v->a.inode->ops->get_page_sleeps || !v->a.prot || v->a.shared)
		return;
	if (!(v->a.prot & PROT_W)) {
		struct file_page p = {0};
		if (v->a.inode->ops->get_page(v->a.inode, area_file_index(v, start), false, &p))
			return;
		if (p.frame)
			page_unref(p.frame);
		else
			fault_file(mm, v, start, false, false);
	} else if (end - start <= EAGER_COPY_MAX) {
		copy_on_write(mm, v, start, end, EXTENT_OWN, false);
	}
}

int mm_private_text(struct mm *mm, uint64_t addr, void **ret_virt)
{
	uint64_t page = vb_page_down(addr);
	struct vm_area *v = area_at(mm, page);
	if (!v)
		return -EFAULT;

	struct extent *e = extent_at(mm, page);
	if (!e || e->kind < EXTENT_TEXT) {
		if (v->a.shared || !v->a.inode)
			return -EINVAL;
		int r = copy_on_write(mm, v, page, page + VB_PAGE_SIZE, EXTENT_TEXT, false);
		if (r)
			return r;
		e = extent_at(mm, page);
	}
	*ret_virt = extent_virt(e, page);
	return 0;
}

/* Kernel address of one page of any mm for the debugger, faulted in against its protection if need be. */
static char *page_for_debugger(struct mm *mm, uint64_t page, bool write)
{
	struct vm_area *v = area_at(mm, page);
	struct extent *e = extent_at(mm, page);
	void *virt;

	if (!v)
		return NULL;
	if (e && (!write || e->kind >= EXTENT_TEXT))
		return extent_virt(e, page);
	if (!v->a.inode) {
		if (fault_anonymous(mm, v, page))
			return NULL;
	} else if (write && !v->a.shared) {
		return mm_private_text(mm, page, &virt) ? NULL : virt;
	} else if (fault_file(mm, v, page, write, false)) {
		return NULL;
	}
	return extent_virt(extent_at(mm, page), page);
}

static size_t peek_poke(struct mm *mm, uint64_t addr, char *dst, const char *src, size_t len)
{
	size_t done = 0;

	while (done < len) {
		size_t n = vb_min(len - done, VB_PAGE_SIZE - (addr + done) % VB_PAGE_SIZE);
		char *page = page_for_debugger(mm, vb_page_down(addr + done), src);
		if (!page)
			break;
		page += (addr + done) % VB_PAGE_SIZE;
		memcpy(dst ? dst + done : page, dst ? page : src + done, n);
		done += n;
	}
	return done;
}

size_t mm_peek(struct mm *mm, uint64_t addr, void *dst, size_t len)
{
	return peek_poke(mm, addr, dst, NULL, len);
}

size_t mm_poke(struct mm *mm, uint64_t addr, const void *src, size_t len)
{
	return peek_poke(mm, addr, NULL, src, len);
}

/* Unmaps what shows the file's pages in [start, end) of v. Without memory to split an extent all of it goes: it faults again. */
static void invalidate(struct vm_area *v, uint64_t start, uint64_t end)
{
	uint64_t file_end = v->a.start + vb_page_up(v->a.inode->size) - v->a.offset; /* only used if the area reaches beyond it */
	bool beyond = v->a.offset + (v->a.end - v->a.start) > vb_page_up(v->a.inode->size);

	if (vb_page_up(v->a.inode->size) < v->a.offset)
		file_end = v->a.start;
	for (struct extent *e; start < end && (e = extent_at_or_above(v->mm, start)) && e->range.start < end;) {
		uint64_t from = vb_max(start, e->range.start), to = vb_min(end, e->range.end);
		start = to;
		if (e->kind >= EXTENT_TEXT && !v->a.shared) { /* copies live on, except beyond the end of the file */
			from = beyond ? vb_max(from, file_end) : to;
			if (from < to)
				extents_drop(v->mm, from, to, true);
		} else if (extents_drop(v->mm, from, to, true)) {
			extents_drop(v->mm, e->range.start, e->range.end, true);
		}
	}
}

void mm_inode_invalidate(struct inode *inode, uint64_t first, uint64_t count)
{
	list_for_each(v, &inode->mappings, struct vm_area, mapping) {
		uint64_t low = pages_in(v->a.offset), high = low + pages_in(v->a.end - v->a.start);
		uint64_t from = vb_max(low, first), to = count > UINT64_MAX - first ? high : vb_min(high, first + count);
		if (from < to)
			invalidate(v, v->a.start + ((from - low) << VB_PAGE_SHIFT), v->a.start + ((to - low) << VB_PAGE_SHIFT));
	}
}
