/* Address spaces: mapping, unmapping, protecting and moving areas as mmap(2) and its kin do. Owns struct mm.
 *
 * Arguments come from the program. Each function checks all of them before it changes anything.
 */
#include "kernel/mm/internal.h"

enum {
	MAP_LOCKED_ = 0x2000,
	MAP_NONBLOCK_ = 0x10000,
	MAP_HUGETLB_ = 0x40000,
	MREMAP_MAYMOVE_ = 1,
	MREMAP_FIXED_ = 2,
	MREMAP_DONTUNMAP_ = 4
};
enum { F_SEAL_WRITE_ = 8, F_SEAL_FUTURE_WRITE_ = 0x10 };
#define LOWEST_ADDRESS 0x10000ull /* Linux's vm.mmap_min_addr */
#define DEV_ZERO       0x105ull

struct mm *mm_new(void)
{
	struct mm *mm = kzalloc(sizeof(*mm));
	if (!mm)
		return NULL;

	/* 28 random bits of pages, as Linux; the room above stays for call-site trampolines. */
	uint64_t random, room = boot->user_high - boot->user_low;
	random_bytes(&random, sizeof(random));
	mm->map_top = vb_page_down(boot->user_high - room / 64 - (random & 0xfffffffull) * VB_PAGE_SIZE % (room / 8));
	return mm;
}

/* Takes the areas and extents of [start, end) away. */
static int unmap_range(struct mm *mm, uint64_t start, uint64_t end, bool on_host)
{
	if (areas_split(mm, start) || areas_split(mm, end) || extents_drop(mm, start, end, on_host))
		return -ENOMEM;
	for (struct vm_area *v; (v = area_at_or_above(mm, start)) && v->a.start < end;)
		area_free(v);
	return 0;
}

void mm_free(struct mm *mm)
{
	unmap_range(mm, 0, UINT64_MAX, true);
	kfree(mm);
}

void mm_close_files(struct mm *mm)
{
	for (struct vm_area *v = area_at_or_above(mm, 0), *next; v; v = next) {
		next = area_next(mm, v);
		if (v->a.inode)
			area_free(v);
	}
}

uint64_t mm_rlimit(int which)
{
	return current ? current->process->rlimit[which].cur : UINT64_MAX;
}

int mm_may_lock(const struct mm *mm, uint64_t more)
{
	uint64_t limit = mm_rlimit(RLIMIT_MEMLOCK_);

	if (!current || capable(CAP_IPC_LOCK_))
		return 0;
	if (!limit)
		return -EPERM;
	return mm->locked_bytes + more > limit ? -ENOMEM : 0;
}

static int check_limits(const struct mm *mm, uint64_t more, bool data)
{
	uint64_t limit = mm_rlimit(RLIMIT_AS_), data_limit = mm_rlimit(RLIMIT_DATA_);

	if (mm->total_bytes > limit || more > limit - mm->total_bytes)
		return -ENOMEM;
	return data && (mm->data_bytes > data_limit || more > data_limit - mm->data_bytes) ? -ENOMEM : 0;
}

/* By the rule that no memory the program writes becomes code. Says so once in the log. */
static bool exec_refused(const struct area *a, int prot, bool modified)
{
	static bool said;
	bool file_code = a->inode && !modified && !(prot & PROT_W) && !(a->shared && (!a->file || a->file->writable));

	if (!(prot & PROT_X) || (boot->flags & VB_BOOT_JIT) || file_code)
		return false;
	if (!said)
		klog(2, "refused to make new executable memory; if the program needs it, set jit = true in the manifest");
	said = true;
	return true;
}

static bool in_user_area(uint64_t addr, uint64_t len)
{
	return addr >= boot->user_low && vb_range_within(addr - boot->user_low, len, boot->user_high - boot->user_low);
}

static bool is_free(const struct mm *mm, uint64_t addr, uint64_t len)
{
	struct vm_area *v = area_at_or_above(mm, addr);

	return !v || v->a.start >= addr + len;
}

static uint64_t find_free(const struct mm *mm, uint64_t hint, uint64_t len, int flags, bool large_goes_low)
{
	uint64_t low = boot->user_low, found;

	if (len > boot->user_high - low)
		return UINT64_MAX;
	hint = vb_page_up(hint);
	if (hint && in_user_area(hint, len) && is_free(mm, hint, len))
		return hint;
	if (flags & MAP_32BIT_)
		return range_find_gap(&mm->areas, len, vb_max(0x40000000ull, low), 0x80000000ull, true);
	if (large_goes_low && len >= LARGE_AREA && mm->map_top - low > 2 * ROOM_FOR_CODE) {
		found = range_find_gap(&mm->areas, len, low, mm->map_top - ROOM_FOR_CODE, false);
		if (found != UINT64_MAX)
			return found;
	}
	found = range_find_gap(&mm->areas, len, low, mm->map_top, false);
	return found != UINT64_MAX ? found : range_find_gap(&mm->areas, len, low, boot->user_high, true);
}

/* Where a new mapping goes, or -errno. */
static int64_t choose_address(const struct mm *mm, uint64_t addr, uint64_t len, int flags, bool large_goes_low)
{
	if (flags & (MAP_FIXED_ | MAP_FIXED_NOREPLACE_)) {
		if (addr % VB_PAGE_SIZE)
			return -EINVAL;
		if (addr < LOWEST_ADDRESS)
			return -EPERM;
		if (!in_user_area(addr, len))
			return -ENOMEM;
		if ((flags & MAP_FIXED_NOREPLACE_) && !is_free(mm, addr, len))
			return -EEXIST;
		return areas_any_kernel(mm, addr, addr + len) ? -EPERM : (int64_t)addr;
	}
	uint64_t found = find_free(mm, addr, len, flags, large_goes_low);
	return found == UINT64_MAX ? -ENOMEM : (int64_t)found;
}

/* Fills in what is mapped. Shared memory without a file is `shared`, or new: then its reference goes to *ret_new. */
static int choose_object(struct area *a, int flags, struct file *file, struct inode *shared, uint64_t offset, struct inode **ret_new)
{
	int type = flags & MAP_SHARED_VALIDATE_;
	const int known = 0x7c07f9f3; /* LEGACY_MAP_MASK */

	a->shared = type != MAP_PRIVATE_;
	a->grows_down = flags & MAP_GROWSDOWN_;
	if (!type || (a->grows_down && (file || a->shared)) || (!file && type == MAP_SHARED_VALIDATE_))
		return -EINVAL;
	if (file) {
		if (type == MAP_SHARED_VALIDATE_ && (flags & ~known))
			return -EOPNOTSUPP;
		if (!file->readable || (a->shared && (a->prot & PROT_W) && !file->writable))
			return -EACCES;
		if (a->shared && (a->prot & PROT_W) && (file->inode->seals & (F_SEAL_WRITE_ | F_SEAL_FUTURE_WRITE_)))
			return -EPERM;
		bool zero = is_type(file->inode, S_IFCHR) && file->inode->rdev == DEV_ZERO;
		if (!zero && ((file->inode->mode & S_IFMT) != S_IFREG || !file->inode->ops || !file->inode->ops->get_page))
			return -ENODEV;
		if (!zero) {
			a->file = file;
			a->inode = file->inode;
			a->offset = offset;
			return 0;
		}
	}
	a->inode = shared;
	if (a->shared && !shared) {
		a->inode = *ret_new = rootfs_new_memfd(S_IFREG | 0600);
		if (!a->inode)
			return -ENOMEM;
		a->inode->size = a->end - a->start;
	}
	return 0;
}

/* Puts the area, for which everything was checked, in place of whatever is there. */
static int64_t put_area(struct mm *mm, struct area *a)
{
	uint64_t start = a->start, end = a->end;
	struct extent *stale = extent_at_or_above(mm, start);
	bool was_mapped = stale && stale->range.start < end;

	if (unmap_range(mm, start, end, false))
		return -ENOMEM;
	struct vm_area *v = area_new(mm, a);
	if (v) {
		v->window_start = v->window_end = 1; /* matches no page */
		fault_eager(mm, v);
	}
	/* One host call both unmapped the old and mapped the new where fault_eager() did it all. */
	for (uint64_t at = start; was_mapped && at < end;) {
		struct extent *e = extent_at_or_above(mm, at);
		uint64_t to = e ? vb_min(end, e->range.start) : end;
		if (at < to && platform_unmap(at, to - at))
			kpanic("the host refuses to unmap");
		at = e ? e->range.end : end;
	}
	if (!v)
		return -ENOMEM;
	area_merge(v);
	return (int64_t)start;
}

static int64_t map_object(
	struct mm *mm, uint64_t addr, uint64_t len, int prot, int flags, struct file *file, struct inode *shared, uint64_t offset)
{
	struct area a = {.prot = prot & (PROT_R | PROT_W | PROT_X), .locked = (flags & MAP_LOCKED_) || mm->lock_future};
	struct inode *fresh = NULL;

	if (!len || offset % VB_PAGE_SIZE)
		return -EINVAL;
	len = vb_page_up(len);
	if (!len)
		return -ENOMEM;
	if (file && offset + len < offset)
		return -EOVERFLOW;
	int64_t at = choose_address(mm, addr, len, flags, !file);
	if (at < 0)
		return at;
	if (a.locked && mm_may_lock(mm, len))
		return (flags & MAP_LOCKED_) && mm_may_lock(mm, 0) == -EPERM ? -EPERM : -EAGAIN;
	if (flags & MAP_HUGETLB_)
		return file ? -EINVAL : -ENOMEM; /* there are no huge page pools */

	a.start = (uint64_t)at;
	a.end = a.start + len;
	int r = choose_object(&a, flags, file, shared, offset, &fresh);
	if (!r)
		r = check_limits(mm, len, (a.prot & PROT_W) && !a.shared && !a.grows_down);
	if (!r && exec_refused(&a, a.prot, false))
		r = -EACCES;
	int64_t result = r ? r : put_area(mm, &a);
	if (fresh)
		inode_unref(fresh);
	if (result > 0 && (a.locked || (flags & (MAP_POPULATE_ | MAP_NONBLOCK_)) == MAP_POPULATE_) && a.prot)
		mm_populate(mm, a.start, len, (a.prot & PROT_W) && !a.shared ? PROT_W : PROT_R);
	return result;
}

int64_t mm_map(struct mm *mm, uint64_t addr, uint64_t len, int prot, int flags, struct file *file, uint64_t offset)
{
	return map_object(mm, addr, len, prot, flags, file, NULL, offset);
}

int64_t mm_map_shared(struct mm *mm, uint64_t addr, uint64_t len, int prot, int flags, struct inode *inode)
{
	return map_object(mm, addr, len, prot, flags | MAP_SHARED_ | MAP_ANONYMOUS_, NULL, inode, 0);
}

int64_t mm_map_kernel(struct mm *mm, uint64_t near, struct page **pages, uint64_t len, int prot, const char *name)
{
	uint64_t low = boot->user_low, high = boot->user_high, at;

	if (near) {
		low = vb_max(low, near > TRAMPOLINE_REACH ? near - TRAMPOLINE_REACH : 0);
		high = vb_min(high, near + TRAMPOLINE_REACH);
	}
	/* First the room above all other mappings, then the nearest below, then far above (a heap may grow just above near). */
	at = range_find_gap(&mm->areas, len, vb_max(low, mm->map_top), high, true);
	if (at == UINT64_MAX && near)
		at = range_find_gap(&mm->areas, len, low, vb_min(near, high), false);
	if (at == UINT64_MAX)
		at = range_find_gap(&mm->areas, len, low, high, false);

	struct area a = {.start = at, .end = at + len, .prot = prot, .kernel = true, .name = name};
	uint64_t count = pages_in(len), done = 0;
	struct vm_area *v = at == UINT64_MAX ? NULL : area_new(mm, &a);
	int r = v ? 0 : -ENOMEM;
	while (!r && done < count) {
		uint64_t n = 1;
		while (done + n < count && page_offset(pages[done + n]) == page_offset(pages[done]) + n * VB_PAGE_SIZE)
			n++;
		r = extent_map(mm, at + done * VB_PAGE_SIZE, n * VB_PAGE_SIZE, prot & PROT_W ? EXTENT_OWN : EXTENT_TEXT,
			page_offset(pages[done]), prot, true);
		done += n;
	}
	if (!r)
		return (int64_t)at;
	while (done < count)
		page_unref(pages[done++]);
	if (v) {
		extents_drop(mm, at, at + len, true);
		area_free(v);
	}
	return r;
}

int mm_unmap(struct mm *mm, uint64_t addr, uint64_t len)
{
	uint64_t end = addr + vb_page_up(len);

	if (addr % VB_PAGE_SIZE || len > boot->user_high || addr > boot->user_high - len || end == addr)
		return -EINVAL;
	if (is_free(mm, addr, end - addr))
		return 0;
	if (areas_any_kernel(mm, addr, end))
		return -EPERM;
	return unmap_range(mm, addr, end, true);
}

static int protect_area(struct vm_area *v, void *arg)
{
	int prot = *(int *)arg;
	struct mm *mm = v->mm;
	bool adds_data = (prot & PROT_W) && !(v->a.prot & PROT_W) && !v->a.shared && !v->a.grows_down;

	if (v->a.prot == prot)
		return 0;
	bool sealed = v->a.inode && (v->a.inode->seals & (F_SEAL_WRITE_ | F_SEAL_FUTURE_WRITE_));
	if (v->a.kernel || (v->a.shared && (prot & PROT_W) && v->a.file && (sealed || !v->a.file->writable)))
		return -EACCES;
	if (exec_refused(&v->a, prot, (prot & PROT_X) && !v->a.shared && extents_any_own(mm, v->a.start, v->a.end)))
		return -EACCES;
	if (adds_data && mm->data_bytes + (v->a.end - v->a.start) > mm_rlimit(RLIMIT_DATA_))
		return -ENOMEM;
	int r = extents_protect(mm, v->a.start, v->a.end, prot);
	if (!r)
		area_set_prot(v, prot);
	return r;
}

int mm_protect(struct mm *mm, uint64_t addr, uint64_t len, int prot)
{
	if (addr % VB_PAGE_SIZE)
		return -EINVAL;
	if (!len)
		return 0;
	len = vb_page_up(len);
	if (!len || addr + len < addr || is_free(mm, addr, VB_PAGE_SIZE))
		return -ENOMEM;
	prot &= PROT_R | PROT_W | PROT_X;
	return areas_for_range(mm, addr, addr + len, true, protect_area, &prot);
}

/* Moves [old, old + old_len) of one area to [to, to + new_len), which is free. */
static int64_t move(struct mm *mm, struct vm_area *v, uint64_t old, uint64_t old_len, uint64_t to, uint64_t new_len, int flags)
{
	if (!(flags & MREMAP_DONTUNMAP_) && old_len && (areas_split(mm, old) || areas_split(mm, old + old_len)))
		return -ENOMEM;
	v = area_at(mm, old);
	struct area a = v->a;
	a.offset += old - a.start;
	a.start = to;
	a.end = to + new_len;
	struct vm_area *target = area_new(mm, &a);
	if (!target)
		return -ENOMEM;
	target->window_start = target->window_end = 1;
	int r = old_len ? extents_move(mm, old, to, vb_min(old_len, new_len)) : 0;
	if (r) {
		area_free(target);
		area_merge(v);
		return r;
	}
	if (old_len && !(flags & MREMAP_DONTUNMAP_))
		unmap_range(mm, old, old + old_len, true);
	area_merge(target);
	return (int64_t)to;
}

static int remap_check(const struct mm *mm, const struct vm_area *v, uint64_t old, uint64_t old_len, uint64_t new_len, int flags)
{
	if (!v)
		return -EFAULT;
	if (v->a.kernel)
		return -EPERM;
	if (!old_len && !v->a.shared)
		return -EINVAL;
	if ((flags & MREMAP_DONTUNMAP_) && (v->a.inode || v->a.shared))
		return -EINVAL;
	if (old_len > v->a.end - old)
		return -EFAULT;
	if (new_len <= old_len && !(flags & MREMAP_DONTUNMAP_))
		return 0;
	uint64_t more = flags & MREMAP_DONTUNMAP_ ? new_len : new_len - old_len;
	if (v->a.inode && area_file_index(v, old) + pages_in(new_len) < pages_in(new_len))
		return -EINVAL;
	if (v->a.locked && mm_may_lock(mm, more))
		return -EAGAIN;
	return check_limits(mm, more, (v->a.prot & PROT_W) && !v->a.shared);
}

int64_t mm_remap(struct mm *mm, uint64_t old, uint64_t old_len, uint64_t new_len, int flags, uint64_t new_addr)
{
	if ((flags & ~(MREMAP_MAYMOVE_ | MREMAP_FIXED_ | MREMAP_DONTUNMAP_)) || ((flags & ~MREMAP_MAYMOVE_) && !(flags & MREMAP_MAYMOVE_)))
		return -EINVAL;
	old_len = vb_page_up(old_len);
	new_len = vb_page_up(new_len);
	if (old % VB_PAGE_SIZE || !new_len || ((flags & MREMAP_DONTUNMAP_) && old_len != new_len))
		return -EINVAL;
	if (new_len > boot->user_high - boot->user_low)
		return -EINVAL;
	if ((flags & MREMAP_FIXED_) &&
		(new_addr % VB_PAGE_SIZE || !in_user_area(new_addr, new_len) || (old < new_addr + new_len && new_addr < old + old_len)))
		return -EINVAL;

	struct vm_area *v = area_at(mm, old);
	int r = remap_check(mm, v, old, old_len, new_len, flags);
	if (r)
		return r;
	if (flags & MREMAP_FIXED_) {
		if (areas_any_kernel(mm, new_addr, new_addr + new_len))
			return -EPERM;
		r = unmap_range(mm, new_addr, new_addr + new_len, true);
		v = area_at(mm, old); /* unmapping may have split it */
	} else if (!(flags & MREMAP_DONTUNMAP_)) {
		if (old_len >= new_len) {
			r = old_len > new_len ? unmap_range(mm, old + new_len, old + old_len, true) : 0;
			return r ? r : (int64_t)old;
		}
		if (old_len && v->a.end == old + old_len && in_user_area(old, new_len) && is_free(mm, v->a.end, new_len - old_len)) {
			bool locked = v->a.locked;
			area_resize(v, v->a.start, old + new_len);
			area_merge(v);
			if (locked)
				mm_populate(mm, old + old_len, new_len - old_len, PROT_R);
			return (int64_t)old;
		}
	}
	if (r)
		return r;
	if (!(flags & MREMAP_MAYMOVE_))
		return -ENOMEM;
	uint64_t to = flags & MREMAP_FIXED_ ? new_addr : find_free(mm, new_addr, new_len, 0, !v->a.file);
	return to == UINT64_MAX ? -ENOMEM : move(mm, v, old, old_len, to, new_len, flags);
}

void mm_set_brk_start(struct mm *mm, uint64_t start)
{
	uint64_t random;

	random_bytes(&random, sizeof(random));
	mm->brk_start = mm->brk = mm->layout.brk_start = vb_page_up(start) + (random & 0x1fff) * VB_PAGE_SIZE;
}

uint64_t mm_brk(struct mm *mm, uint64_t brk)
{
	uint64_t from = vb_page_up(mm->brk), to = vb_page_up(brk);

	if (brk < mm->brk_start || brk > boot->user_high)
		return mm->brk;
	if (to < from && unmap_range(mm, to, from, true))
		return mm->brk;
	if (to > from) {
		struct area a = {.start = from, .end = to, .prot = PROT_R | PROT_W, .locked = mm->lock_future, .name = "[heap]"};
		if (!in_user_area(from, to - from + VB_PAGE_SIZE) || !is_free(mm, from, to - from + VB_PAGE_SIZE) ||
			check_limits(mm, to - from, true) || (a.locked && mm_may_lock(mm, to - from)) || put_area(mm, &a) < 0)
			return mm->brk;
		if (a.locked)
			mm_populate(mm, from, to - from, PROT_W);
	}
	mm->brk = brk;
	return brk;
}

uint64_t mm_total_bytes(const struct mm *mm)
{
	return mm->total_bytes;
}

uint64_t mm_resident_bytes(const struct mm *mm)
{
	return mm->resident_bytes;
}

struct mm_layout *mm_layout(struct mm *mm)
{
	return &mm->layout;
}
