/* The mapped part of a volume's files: frames by page index.
 *
 * A frame is clean until it is mapped to be written through; from then on it counts as dirty, and writing it back
 * unmaps it, so that the next store is seen. Reads and writes of files go past the frames: read() flushes first,
 * write() changes both.
 */
#include "kernel/fs/p9_private.h"

#define RUN_ORDER 4u /* pages of one request: 64 KiB */
#define RUN_PAGES (1u << RUN_ORDER)

_Static_assert(RUN_PAGES *VB_PAGE_SIZE == P9_MAX_DATA, "one request fills a run");

static struct p9_page **slot_of(struct p9_inode *i, uint64_t index)
{
	struct p9_page **at = &i->pages[index & (i->bucket_count - 1)];
	while (*at && (*at)->index != index)
		at = &(*at)->next;
	return at;
}

static struct p9_page *find(struct p9_inode *i, uint64_t index)
{
	return i->page_count ? *slot_of(i, index) : NULL;
}

static int grow(struct p9_inode *i)
{
	unsigned old_count = i->bucket_count;
	struct p9_page **old = i->pages;
	if (i->page_count < old_count)
		return 0;
	struct p9_page **bigger = kzalloc((old_count ? 2ul * old_count : RUN_PAGES) * sizeof(*bigger));
	if (!bigger)
		return old_count ? 0 : -ENOMEM; /* slower, that is all */
	i->pages = bigger;
	i->bucket_count = old_count ? 2 * old_count : RUN_PAGES;
	for (unsigned n = 0; n < old_count; n++) {
		for (struct p9_page *p = old[n], *next; p; p = next) {
			next = p->next;
			struct p9_page **at = &i->pages[p->index & (i->bucket_count - 1)];
			p->next = *at;
			*at = p;
		}
	}
	kfree(old);
	return 0;
}

/* Takes the frame over, whatever happens. What is there already stays. */
static int insert(struct p9_inode *i, uint64_t index, struct page *frame)
{
	struct p9_page *p = find(i, index) ? NULL : kmalloc(sizeof(*p));
	if (!p || grow(i)) {
		int r = find(i, index) ? 0 : -ENOMEM;
		kfree(p);
		page_unref(frame);
		return r;
	}
	struct p9_page **at = slot_of(i, index);
	*p = (struct p9_page){.next = *at, .index = index, .frame = frame};
	*at = p;
	i->page_count++;
	return 0;
}

static void remove_at(struct p9_inode *i, struct p9_page **at)
{
	struct p9_page *p = *at;
	*at = p->next;
	i->page_count--;
	i->dirty_count -= p->dirty;
	page_unref(p->frame);
	kfree(p);
}

/* Removes the pages of [first, first + count) from the cache and from mappings. */
static void remove_range(struct p9_inode *i, uint64_t first, uint64_t count, bool clean_only)
{
	for (unsigned n = 0; n < i->bucket_count; n++) {
		for (struct p9_page **at = &i->pages[n]; *at;) {
			struct p9_page *p = *at;
			if (p->index - first < count && !(clean_only && p->dirty))
				remove_at(i, at);
			else
				at = &p->next;
		}
	}
	mm_inode_invalidate(&i->inode, first, count);
}

void p9_pages_drop(struct p9_inode *i)
{
	if (i->page_count)
		remove_range(i, 0, UINT64_MAX, false);
}

void p9_pages_forget(struct p9_inode *i, uint64_t pos, size_t len)
{
	uint64_t first = pos >> VB_PAGE_SHIFT;
	remove_range(i, first, ((pos + len - 1) >> VB_PAGE_SHIFT) - first + 1, true);
}

void p9_pages_truncate(struct p9_inode *i, uint64_t size)
{
	uint64_t first = vb_page_up(size) >> VB_PAGE_SHIFT;
	struct p9_page *last = size % VB_PAGE_SIZE ? find(i, size >> VB_PAGE_SHIFT) : NULL;
	if (last)
		memset((char *)page_virt(last->frame) + size % VB_PAGE_SIZE, 0, VB_PAGE_SIZE - size % VB_PAGE_SIZE);
	remove_range(i, first, UINT64_MAX - first, false);
}

/* --- reading --- */

/* Reads the run around index, or only its page when memory is short. 0: look again. */
static int fill(struct p9_inode *i, uint64_t index)
{
	struct page *frames = page_alloc(RUN_ORDER, false);
	unsigned count = frames ? RUN_PAGES : 1;
	uint64_t start = frames ? index & ~(uint64_t)(RUN_PAGES - 1) : index, changes = i->changes;
	if (!frames && !(frames = page_alloc(0, false)))
		return -ENOMEM;
	struct p9_call call = P9_CALL(P9_TREAD, .fid = i->rd, .offset = start << VB_PAGE_SHIFT, .count = count << VB_PAGE_SHIFT);
	call.data = page_virt(frames);
	call.data_size = count << VB_PAGE_SHIFT;
	int r = p9_run(i->session, &call, 1);
	uint64_t got = r ? 0 : call.m.count, have = vb_page_up(got) >> VB_PAGE_SHIFT;
	if (!r && start + have <= index)
		r = -ENXIO;
	bool use = !r && i->changes == changes; /* else older than what this cell wrote meanwhile: read again */
	if (use)
		memset((char *)page_virt(frames) + got, 0, (have << VB_PAGE_SHIFT) - got);
	for (unsigned n = 0; n < count; n++) {
		struct page *next = n + 1 < count ? page_next(frames) : NULL;
		if (!use || n >= have)
			page_unref(frames);
		else if (insert(i, start + n, frames) && start + n == index)
			r = -ENOMEM;
		frames = next;
	}
	return r;
}

int p9_get_page(struct inode *inode, uint64_t index, bool for_write, struct file_page *ret)
{
	struct p9_inode *i = p9_inode(inode);
	struct p9_page *p;
	if (index >= 1ull << (63 - VB_PAGE_SHIFT))
		return -ENXIO;
	while (!(p = find(i, index))) {
		int r = p9_open_io(i, true, false);
		if (!r)
			r = fill(i, index);
		if (r)
			return r;
	}
	if (for_write)
		p9_dirty_page(inode, index);
	page_ref(p->frame);
	*ret = (struct file_page){.frame = p->frame};
	return 0;
}

/* --- writing --- */

void p9_dirty_page(struct inode *inode, uint64_t index)
{
	struct p9_inode *i = p9_inode(inode);
	struct p9_page *p = find(i, index);
	if (!p || p->dirty)
		return;
	p->dirty = true;
	i->dirty_count++;
}

void p9_pages_write(struct p9_inode *i, uint64_t pos, const void *data, size_t len)
{
	for (size_t done = 0, n; done < len; done += n) {
		uint64_t at = pos + done;
		struct p9_page *p = find(i, at >> VB_PAGE_SHIFT);
		n = vb_min(len - done, (size_t)(VB_PAGE_SIZE - at % VB_PAGE_SIZE));
		if (p)
			memcpy((char *)page_virt(p->frame) + at % VB_PAGE_SIZE, (const char *)data + done, n);
	}
}

static struct p9_page *find_dirty(struct p9_inode *i, uint64_t index)
{
	struct p9_page *p = find(i, index);
	return p && p->dirty ? p : NULL;
}

/* Any dirty page of the range: the first of its run, as far as one request reaches back. */
static struct p9_page *first_dirty(struct p9_inode *i, uint64_t first, uint64_t count)
{
	struct p9_page *found = NULL;
	for (unsigned n = 0; n < i->bucket_count && !found; n++)
		for (found = i->pages[n]; found && !(found->dirty && found->index - first < count);)
			found = found->next;
	for (unsigned n = 1; found && n < RUN_PAGES && found->index; n++) {
		struct p9_page *before = find_dirty(i, found->index - 1);
		if (!before)
			break;
		found = before;
	}
	return found;
}

/* Writes the run of dirty pages that starts with p. They are clean from the moment they are copied. */
static int flush_run(struct p9_inode *i, struct p9_page *p)
{
	uint64_t start = p->index, pos = start << VB_PAGE_SHIFT;
	int r = p9_begin();
	if (r)
		return r;
	unsigned count = 0;
	for (; count < RUN_PAGES && (p = find_dirty(i, start + count)); count++) {
		memcpy(p9_write_buffer() + count * VB_PAGE_SIZE, page_virt(p->frame), VB_PAGE_SIZE);
		p->dirty = false;
		i->dirty_count--;
	}
	mm_inode_invalidate(&i->inode, start, count); /* the next store faults, and makes it dirty again */
	uint64_t len = pos < i->inode.size ? vb_min((uint64_t)count << VB_PAGE_SHIFT, i->inode.size - pos) : 0;
	if (!len)
		return 0; /* beyond the end: nobody's */
	struct p9_call call = P9_CALL(P9_TWRITE, .fid = i->wr, .offset = pos, .data = p9_write_buffer(), .count = (uint32_t)len);
	p9_changed(i);
	p9_submit(i->session, &call);
	r = p9_wait(&call);
	p9_changed(i);
	return r ? r : call.m.count < len ? -EIO : 0;
}

int p9_pages_flush(struct p9_inode *i, uint64_t first, uint64_t count)
{
	struct p9_page *p;
	int r = 0;
	if (!i->dirty_count)
		return 0;
	r = p9_open_io(i, false, true);
	if (!r)
		r = p9_refresh(i); /* the size: nothing is written beyond */
	/* What the program dirties again meanwhile is not chased for ever. */
	for (unsigned left = i->dirty_count; left && !r && (p = first_dirty(i, first, count)); left--)
		r = flush_run(i, p);
	if (r)
		i->write_error = r;
	return r;
}

void p9_write_back(struct inode *inode)
{
	p9_pages_flush(p9_inode(inode), 0, UINT64_MAX); /* a failure is the next fsync's */
}
