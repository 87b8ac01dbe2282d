/* Contents of the root file system's files. Owns the pages that were written; the image's own pages are only ever read. */
#include "kernel/fs/rootfs.h"
#include "kernel/mm/mm.h"
#include "kernel/mm/page.h"

#include <linux/falloc.h>

#define HOLE          ((void *)1)
#define RESERVE_SHIFT 6 /* files leave the last 1/64 of the memory to the program */

static struct page *own_page(const struct rootfs_inode *i, uint64_t index)
{
	void *entry = page_tree_get(&i->pages, index);

	return entry == HOLE ? NULL : entry;
}

static bool from_below(const struct rootfs_inode *i, uint64_t index)
{
	return index < i->lower_pages && !page_tree_get(&i->pages, index);
}

/* Bytes of the image at pos: as erofs_span, but what lies beyond its end of file reads as zeros. */
static const uint8_t *below_span(const struct rootfs_inode *i, uint64_t pos, uint64_t *ret_run)
{
	const uint8_t *p = erofs_span(&rootfs_image, &i->lower, pos, ret_run);

	if (!*ret_run)
		*ret_run = VB_PAGE_SIZE - pos % VB_PAGE_SIZE;
	return p;
}

static int set_entry(struct rootfs_inode *i, uint64_t index, void *entry)
{
	bool fresh = !page_tree_get(&i->pages, index);
	int r = page_tree_set(&i->pages, index, entry);

	if (r)
		return -ENOSPC;
	i->own_pages += entry != HOLE;
	i->covered += fresh && index < i->lower_pages;
	if (!list_empty(&i->inode.mappings))
		mm_inode_invalidate(&i->inode, index, 1);
	rootfs_keep(i);
	return 0;
}

/* The file's own page at index, made if need be. fill: with what the file has there; else its contents are the caller's to write. */
static int make_own(struct rootfs_inode *i, uint64_t index, bool fill, struct page **ret)
{
	struct page *page = own_page(i, index);

	if (!page) {
		bool copy = fill && from_below(i, index);

		if (pages_free() <= pages_total() >> RESERVE_SHIFT || !(page = page_alloc(0, fill && !copy)))
			return -ENOSPC;
		if (copy) {
			uint64_t run;
			const uint8_t *p = below_span(i, index * VB_PAGE_SIZE, &run);
			uint8_t *to = page_virt(page);

			run = p ? vb_min(run, VB_PAGE_SIZE) : 0;
			memcpy(to, p ? p : to, run);
			memset(to + run, 0, VB_PAGE_SIZE - run);
		}
		int r = set_entry(i, index, page);

		if (r) {
			page_unref(page);
			return r;
		}
	}
	*ret = page;
	return 0;
}

int rootfs_get_page(struct inode *inode, uint64_t index, bool for_write, struct file_page *ret)
{
	struct rootfs_inode *i = rootfs_of(inode);
	struct page *page;

	if (index >= vb_page_up(inode->size) / VB_PAGE_SIZE)
		return -ENXIO;
	if (!for_write && from_below(i, index)) {
		uint64_t offset = erofs_data_offset(&rootfs_image, &i->lower, index);

		if (offset != EROFS_NO_OFFSET) {
			*ret = (struct file_page){.image_offset = offset};
			return 0;
		}
	}
	if (make_own(i, index, true, &page))
		return -ENOMEM;
	page_ref(page);
	*ret = (struct file_page){.frame = page};
	return 0;
}

/* Access times as with the relatime option; a file that only the image has keeps its own. */
static void accessed(struct file *f)
{
	struct rootfs_inode *i = rootfs_of(f->inode);
	struct inode *inode = f->inode;

	if ((i->has_lower && !i->kept) || f->flags & O_NOATIME || inode->read_only)
		return;
	if (inode->atime_ns <= inode->mtime_ns || inode->atime_ns <= inode->ctime_ns)
		inode->atime_ns = (int64_t)now_realtime_ns();
}

static long read_file(struct file *f, struct uio *u, uint64_t *pos)
{
	struct rootfs_inode *i = rootfs_of(f->inode);
	size_t done = 0, wanted;
	long r = 0;

	if (*pos >= f->inode->size)
		return 0;
	wanted = (size_t)vb_min((uint64_t)u->left, f->inode->size - *pos);
	while (done < wanted) {
		uint64_t at = *pos + done, run = VB_PAGE_SIZE - at % VB_PAGE_SIZE;
		struct page *page = own_page(i, at / VB_PAGE_SIZE);
		const uint8_t *p = page ? (uint8_t *)page_virt(page) + at % VB_PAGE_SIZE : NULL;

		if (!page && from_below(i, at / VB_PAGE_SIZE)) {
			uint64_t below;

			p = below_span(i, at, &below);
			run = i->pages.root ? vb_min(run, below) : below; /* nothing written: all of it in one piece */
		}
		size_t step = (size_t)vb_min(run, (uint64_t)(wanted - done));

		r = p ? uio_put(u, p, step) : uio_put_zero(u, step);
		if (r > 0)
			done += (size_t)r;
		if (r < (long)step)
			break;
	}
	*pos += done;
	accessed(f);
	return done ? (long)done : r;
}

const void *rootfs_borrow(struct file *f, uint64_t pos, size_t *ret_run, struct page **ret_hold)
{
	*ret_hold = NULL;
	if (f->ops != &rootfs_file_ops || pos >= f->inode->size)
		return NULL;
	struct rootfs_inode *i = rootfs_of(f->inode);
	uint64_t index = pos / VB_PAGE_SIZE, run = VB_PAGE_SIZE - pos % VB_PAGE_SIZE, below;
	struct page *page = own_page(i, index);
	const uint8_t *p = page ? (uint8_t *)page_virt(page) + pos % VB_PAGE_SIZE : NULL;

	if (page) {
		page_ref(page);
		*ret_hold = page;
	} else if (from_below(i, index)) {
		p = below_span(i, pos, &below);
		run = i->pages.root ? vb_min(run, below) : below;
	}
	*ret_run = (size_t)vb_min(run, f->inode->size - pos);
	if (p)
		accessed(f);
	return p;
}

static void changed_now(struct inode *inode)
{
	inode->mtime_ns = inode->ctime_ns = (int64_t)now_realtime_ns();
}

static long write_file(struct file *f, struct uio *u, uint64_t *pos)
{
	struct rootfs_inode *i = rootfs_of(f->inode);
	size_t done = 0, wanted = u->left;
	uint64_t start = *pos;
	long r = 0;

	if (start > INT64_MAX || wanted > INT64_MAX - start)
		return start >= INT64_MAX ? -EFBIG : -EINVAL;
	while (done < wanted) {
		uint64_t at = start + done, index = at / VB_PAGE_SIZE, offset = at % VB_PAGE_SIZE;
		size_t step = vb_min(wanted - done, (size_t)(VB_PAGE_SIZE - offset));
		bool fill = step < VB_PAGE_SIZE || !list_empty(&f->inode->mappings);
		struct page *page = own_page(i, index);
		bool whole = !page && !fill; /* a new page with nothing of the file in it yet */

		if (!page && (r = make_own(i, index, fill, &page)))
			break;
		r = uio_get(u, (uint8_t *)page_virt(page) + offset, step);
		if (r < (long)step && whole)
			memset((uint8_t *)page_virt(page) + (r > 0 ? r : 0), 0, VB_PAGE_SIZE - (size_t)(r > 0 ? r : 0));
		if (r > 0)
			done += (size_t)r;
		if (start + done > f->inode->size)
			f->inode->size = start + done;
		if (r < (long)step)
			break;
	}
	if (!done)
		return r;
	*pos = start + done;
	changed_now(f->inode);
	rootfs_keep(i);
	return (long)done;
}

static void drop_entry(void *arg, uint64_t index, void *entry)
{
	struct rootfs_inode *i = arg;

	i->covered -= index < i->lower_pages;
	if (entry == HOLE)
		return;
	i->own_pages--;
	page_unref(entry);
}

void rootfs_free_pages(struct rootfs_inode *i)
{
	page_tree_cut(&i->pages, 0, UINT64_MAX, drop_entry, i);
}

/* Zeroes [from, to) within one page, if the file has anything there. */
static int zero_part(struct rootfs_inode *i, uint64_t from, uint64_t to)
{
	uint64_t index = from / VB_PAGE_SIZE;
	struct page *page = own_page(i, index);

	if (from == to || (!page && !from_below(i, index)))
		return 0;
	int r = page ? 0 : make_own(i, index, true, &page);

	if (!r)
		memset((uint8_t *)page_virt(page) + from % VB_PAGE_SIZE, 0, to - from);
	return r;
}

int rootfs_truncate(struct rootfs_inode *i, uint64_t size)
{
	uint64_t old = i->inode.size, first = vb_page_up(size) / VB_PAGE_SIZE;
	uint64_t edge = vb_min(old, size); /* what the last kept page has beyond it goes: a mapping may have written there */
	int r = size > INT64_MAX ? -EFBIG : size < old || own_page(i, edge / VB_PAGE_SIZE) ? zero_part(i, edge, vb_page_up(edge)) : 0;

	if (r)
		return r;
	i->inode.size = size;
	if (size < old) {
		page_tree_cut(&i->pages, first, UINT64_MAX, drop_entry, i);
		i->lower_pages = vb_min(i->lower_pages, first);
		if (!list_empty(&i->inode.mappings))
			mm_inode_invalidate(&i->inode, first, UINT64_MAX / VB_PAGE_SIZE - first);
	}
	return 0;
}

/* Makes [from, to) read as zeros and gives its whole pages back. */
static int punch(struct rootfs_inode *i, uint64_t from, uint64_t to)
{
	uint64_t first = vb_page_up(from) / VB_PAGE_SIZE, last = to / VB_PAGE_SIZE; /* whole pages: [first, last) */

	if (first > last)
		return zero_part(i, from, to);
	int r = zero_part(i, from, vb_page_up(from));

	r = r ? r : zero_part(i, vb_page_down(to), to);
	if (r || first == last)
		return r;
	page_tree_cut(&i->pages, first, last - 1, drop_entry, i);
	for (uint64_t index = first; index < vb_min(last, i->lower_pages); index++)
		if ((r = set_entry(i, index, HOLE)))
			return r;
	if (!list_empty(&i->inode.mappings))
		mm_inode_invalidate(&i->inode, first, last - first);
	return 0;
}

static int fallocate_file(struct file *f, int mode, uint64_t offset, uint64_t len)
{
	struct rootfs_inode *i = rootfs_of(f->inode);
	uint64_t end = offset + len;
	bool keep_size = mode & FALLOC_FL_KEEP_SIZE;
	int r = 0;

	if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		return -EOPNOTSUPP;
	if (!keep_size && end > f->inode->size && (r = memfd_may_resize(f->inode, end)))
		return r;
	if (!(mode & FALLOC_FL_PUNCH_HOLE) && len / VB_PAGE_SIZE > i->own_pages + i->lower_pages + pages_free())
		return -ENOSPC; /* before it takes all there is */
	if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) {
		r = memfd_may_write(f->inode, 0);
		r = r ? r : punch(i, offset, vb_min(end, vb_page_up(f->inode->size)));
	}
	if (!r && !(mode & FALLOC_FL_PUNCH_HOLE)) {
		for (uint64_t index = offset / VB_PAGE_SIZE; index * VB_PAGE_SIZE < end && !r; index++) {
			struct page *page;

			if (!from_below(i, index))
				r = make_own(i, index, true, &page);
		}
		if (!r && !keep_size && end > f->inode->size)
			r = rootfs_truncate(i, end);
	}
	changed_now(f->inode);
	rootfs_keep(i);
	return r;
}

/* The first page at or after index that has data (or, want false, none). */
static uint64_t find_page(const struct rootfs_inode *i, uint64_t index, bool want)
{
	for (;; index++) {
		bool data = own_page(i, index) || from_below(i, index);

		if (data == want)
			return index;
		if (want && index + 1 >= i->lower_pages) {
			index = page_tree_next(&i->pages, index + 1);
			if (index == UINT64_MAX)
				return index;
			index--; /* it may be a HOLE: look again */
		}
	}
}

static int64_t seek_file(struct file *f, int64_t offset, int whence)
{
	struct rootfs_inode *i = rootfs_of(f->inode);
	uint64_t size = f->inode->size;

	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return file_default_seek(f, offset, whence, size);
	if (offset < 0 || (uint64_t)offset >= size)
		return -ENXIO;
	uint64_t index = find_page(i, (uint64_t)offset / VB_PAGE_SIZE, whence == SEEK_DATA);
	uint64_t at = index > size / VB_PAGE_SIZE ? size : vb_max(index * VB_PAGE_SIZE, (uint64_t)offset);

	if (at >= size) {
		if (whence == SEEK_DATA)
			return -ENXIO;
		at = size;
	}
	return (int64_t)(f->pos = at);
}

static int sync_file(struct file *f, bool data_only)
{
	return 0; /* memory is all there is */
}

const struct file_ops rootfs_file_ops = {
	.read = read_file,
	.write = write_file,
	.seek = seek_file,
	.fallocate = fallocate_file,
	.fsync = sync_file,
};
