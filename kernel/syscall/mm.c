/* Memory calls: mmap, munmap, mprotect, mremap, brk, advice, locking, membarrier, protection keys. Arguments come from
 * the program; the checks are in Linux's order.
 */
#include "kernel/mm/internal.h"
#include "kernel/syscall/define.h"
#include "kernel/task/patch.h"

/* uapi/asm-generic/mman-common.h, uapi/linux/mman.h */
enum { PROT_SEM = 8, PROT_GROWSDOWN = 0x01000000, PROT_GROWSUP = 0x02000000 };
enum {
	MADV_NORMAL = 0,
	MADV_RANDOM,
	MADV_SEQUENTIAL,
	MADV_WILLNEED,
	MADV_DONTNEED,
	MADV_FREE = 8,
	MADV_REMOVE,
	MADV_DONTFORK,
	MADV_DOFORK,
	MADV_MERGEABLE,
	MADV_UNMERGEABLE,
	MADV_HUGEPAGE,
	MADV_NOHUGEPAGE,
	MADV_DONTDUMP,
	MADV_DODUMP,
	MADV_WIPEONFORK,
	MADV_KEEPONFORK,
	MADV_COLD,
	MADV_PAGEOUT,
	MADV_POPULATE_READ,
	MADV_POPULATE_WRITE,
	MADV_DONTNEED_LOCKED
};
enum { MS_ASYNC = 1, MS_INVALIDATE = 2, MS_SYNC = 4 };
enum { MLOCK_ONFAULT = 1, MCL_CURRENT = 1, MCL_FUTURE = 2, MCL_ONFAULT = 4 };
enum { FALLOC_PUNCH_HOLE_KEEP_SIZE = 3 };

static struct mm *my_mm(void)
{
	return current->process->mm;
}

SYSCALL(mmap, uint64_t addr, uint64_t len, uint64_t prot, uint64_t flags, int fd, uint64_t offset)
{
	struct file *file = NULL;

	if (offset % VB_PAGE_SIZE)
		return -EINVAL;
	if (!(flags & MAP_ANONYMOUS_)) {
		file = fd_ref(fd);
		if (!file)
			return -EBADF;
	}
	long r = mm_map(my_mm(), addr, len, (int)prot, (int)flags, file, file ? offset : 0);

	if (r >= 0 && file && prot & PROT_X)
		patch_mapped(my_mm(), (uint64_t)r, vb_page_up(len));
	if (file)
		file_unref(file);
	return r;
}

/* What was stored through shared mappings reaches the file system behind it when they go, if that keeps files elsewhere. */
static void write_back(uint64_t start, uint64_t end)
{
	struct vm_area *v;
	while (start < end && (v = area_at_or_above(my_mm(), start)) && v->a.start < end) {
		struct inode *inode = v->a.inode;
		start = v->a.end;
		if (!v->a.shared || !inode || !inode->ops->write_back)
			continue;
		inode_ref(inode); /* it sleeps */
		inode->ops->write_back(inode);
		inode_unref(inode);
	}
}

SYSCALL(munmap, uint64_t addr, uint64_t len)
{
	if (addr % VB_PAGE_SIZE == 0 && user_range_ok(addr, len))
		write_back(addr, addr + len);
	return mm_unmap(my_mm(), addr, len);
}

SYSCALL(mprotect, uint64_t addr, uint64_t len, uint64_t prot)
{
	uint64_t grows = prot & (PROT_GROWSDOWN | PROT_GROWSUP);

	if (grows == (PROT_GROWSDOWN | PROT_GROWSUP) || addr % VB_PAGE_SIZE)
		return -EINVAL;
	if (!len)
		return 0;
	if (!vb_page_up(len) || addr + vb_page_up(len) <= addr)
		return -ENOMEM;
	if (prot & ~(uint64_t)(PROT_R | PROT_W | PROT_X | PROT_SEM | PROT_GROWSDOWN | PROT_GROWSUP))
		return -EINVAL;
	if (grows) {
		struct area *a = mm_area_at_or_above(my_mm(), addr);
		if (!a || a->start >= addr + vb_page_up(len))
			return -ENOMEM;
		if (grows == PROT_GROWSUP || !a->grows_down)
			return -EINVAL;
		len += addr - vb_min(addr, a->start);
		addr = vb_min(addr, a->start);
	}
	return mm_protect(my_mm(), addr, len, (int)prot);
}

SYSCALL(pkey_mprotect, uint64_t addr, uint64_t len, uint64_t prot, int pkey)
{
	return pkey == -1 ? sys_mprotect(addr, len, prot) : -EINVAL;
}

/* As on a processor without protection keys. */
SYSCALL(pkey_alloc, uint64_t flags, uint64_t rights)
{
	return flags || (rights & ~3ull) ? -EINVAL : -ENOSPC;
}

SYSCALL(pkey_free, int pkey)
{
	return -EINVAL;
}

SYSCALL(mremap, uint64_t old, uint64_t old_len, uint64_t new_len, uint64_t flags, uint64_t new_addr)
{
	return mm_remap(my_mm(), old, old_len, new_len, flags > INT32_MAX ? -1 : (int)flags, new_addr);
}

SYSCALL(brk, uint64_t brk)
{
	return (long)mm_brk(my_mm(), brk);
}

static int none(struct vm_area *v, void *arg)
{
	return 0;
}

static int advise_drop(struct vm_area *v, void *arg)
{
	int advice = *(int *)arg;
	const struct area *a = &v->a;

	if (a->kernel || (a->locked && advice != MADV_DONTNEED_LOCKED) || (advice == MADV_FREE && a->inode))
		return -EINVAL;
	return extents_drop(v->mm, a->start, a->end, true);
}

static int advise_not_locked(struct vm_area *v, void *arg)
{
	return v->a.kernel || v->a.locked ? -EINVAL : 0;
}

/* There is no fork yet that could wipe; what may be asked for is as on Linux. */
static int advise_wipe(struct vm_area *v, void *arg)
{
	return v->a.inode || v->a.shared ? -EINVAL : 0;
}

static long advise_remove(uint64_t start, uint64_t end)
{
	bool hole = false;

	while (start < end) {
		struct vm_area *v = area_at_or_above(my_mm(), start);
		if (!v || v->a.start >= end)
			return -ENOMEM;
		hole |= v->a.start > start;
		start = vb_max(start, v->a.start);
		if (v->a.locked || !v->a.file || !v->a.file->ops->fallocate)
			return -EINVAL;
		if (!v->a.shared || !(v->a.prot & PROT_W))
			return -EACCES;
		uint64_t to = vb_min(end, v->a.end), offset = v->a.offset + (start - v->a.start);
		struct file *f = v->a.file;
		file_ref(f); /* fallocate may sleep */
		int r = f->ops->fallocate(f, FALLOC_PUNCH_HOLE_KEEP_SIZE, offset, to - start);
		file_unref(f);
		if (r)
			return r;
		start = to;
	}
	return hole ? -ENOMEM : 0;
}

static long advise_populate(uint64_t start, uint64_t end, int access)
{
	while (start < end) {
		struct vm_area *v = area_at(my_mm(), start);
		if (!v)
			return -ENOMEM;
		if (v->a.kernel || !(v->a.prot & access))
			return -EINVAL;
		uint64_t to = vb_min(end, v->a.end);
		int r = mm_populate(my_mm(), start, to - start, access);
		if (r)
			return r;
		start = to;
	}
	return 0;
}

SYSCALL(madvise, uint64_t start, uint64_t len, int advice)
{
	uint64_t end = start + vb_page_up(len);
	int (*fn)(struct vm_area *, void *) = none;

	switch (advice) {
	case MADV_DONTNEED:
	case MADV_DONTNEED_LOCKED:
	case MADV_FREE:
		fn = advise_drop;
		break;
	case MADV_COLD:
	case MADV_PAGEOUT:
		fn = advise_not_locked;
		break;
	case MADV_WIPEONFORK:
		fn = advise_wipe;
		break;
	case MADV_NORMAL ... MADV_WILLNEED:
	case MADV_REMOVE ... MADV_DODUMP:
	case MADV_KEEPONFORK:
	case MADV_POPULATE_READ:
	case MADV_POPULATE_WRITE:
		break;
	default:
		return -EINVAL;
	}
	if (start % VB_PAGE_SIZE || (len && !vb_page_up(len)) || end < start)
		return -EINVAL;
	if (end == start)
		return 0;
	if (advice == MADV_REMOVE)
		return advise_remove(start, end);
	if (advice == MADV_POPULATE_READ || advice == MADV_POPULATE_WRITE)
		return advise_populate(start, end, advice == MADV_POPULATE_READ ? PROT_R : PROT_W);
	return areas_for_range(my_mm(), start, end, false, fn, &advice);
}

SYSCALL(mincore, uint64_t start, uint64_t len, uint64_t vec)
{
	uint64_t end = start + vb_page_up(len);
	uint8_t present[256];

	if (start % VB_PAGE_SIZE)
		return -EINVAL;
	if (!user_range_ok(start, len) || end < start)
		return -ENOMEM;
	while (start < end) {
		unsigned n = 0;
		for (; n < sizeof(present) && start < end; n++, start += VB_PAGE_SIZE) {
			const struct vm_area *v = area_at(my_mm(), start);
			if (!v)
				return -ENOMEM;
			present[n] = v->a.file || extent_at(my_mm(), start); /* files are memory here, mapped or not */
		}
		if (copy_to_user(vec, present, n))
			return -EFAULT;
		vec += n;
	}
	return 0;
}

SYSCALL(msync, uint64_t start, uint64_t len, int flags)
{
	uint64_t end = start + vb_page_up(len);
	bool hole = false;

	if ((flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC)) || start % VB_PAGE_SIZE ||
		(flags & (MS_ASYNC | MS_SYNC)) == (MS_ASYNC | MS_SYNC))
		return -EINVAL;
	if (end < start)
		return -ENOMEM;
	while (start < end) {
		struct vm_area *v = area_at_or_above(my_mm(), start);
		if (!v || v->a.start >= end)
			return -ENOMEM;
		hole |= v->a.start > start;
		if ((flags & MS_INVALIDATE) && v->a.locked)
			return -EBUSY;
		struct file *f = v->a.file;
		start = v->a.end;
		if (!(flags & MS_SYNC) || !f || !v->a.shared || !f->ops->fsync)
			continue;
		file_ref(f); /* fsync may sleep */
		int r = f->ops->fsync(f, true);
		file_unref(f);
		if (r)
			return r;
	}
	return hole ? -ENOMEM : 0;
}

static int set_locked(struct vm_area *v, void *arg)
{
	if (!v->a.kernel)
		area_set_locked(v, *(bool *)arg);
	return 0;
}

/* Makes present what can be; errors as mlock(2) gives them. */
static long populate_locked(uint64_t start, uint64_t end)
{
	while (start < end) {
		struct vm_area *v = area_at_or_above(my_mm(), start);
		if (!v || v->a.start >= end)
			break;
		uint64_t from = vb_max(start, v->a.start), to = vb_min(end, v->a.end);
		int access = (v->a.prot & PROT_W) && !v->a.shared ? PROT_W : PROT_R;
		if (!v->a.kernel) {
			int r = mm_populate(my_mm(), from, to - from, access);
			if (r)
				return r == -ENOMEM ? -EAGAIN : -ENOMEM;
		}
		start = to;
	}
	return 0;
}

static uint64_t locked_within(uint64_t start, uint64_t end)
{
	uint64_t bytes = 0;

	for (struct vm_area *v = area_at_or_above(my_mm(), start); v && v->a.start < end; v = area_next(my_mm(), v))
		if (v->a.locked)
			bytes += vb_min(end, v->a.end) - vb_max(start, v->a.start);
	return bytes;
}

static long lock_range(uint64_t addr, uint64_t len, bool on, bool populate)
{
	/* The sums wrap as Linux lets them: mlock(p, -1) of a page's start locks nothing. */
	uint64_t start = vb_page_down(addr), end = start + vb_page_up(len + (addr - start));

	if (on && mm_may_lock(my_mm(), 0) == -EPERM)
		return -EPERM;
	if (end < start)
		return -EINVAL;
	if (on && mm_may_lock(my_mm(), end - start - locked_within(start, end)))
		return -ENOMEM;
	if (start == end)
		return 0;
	int r = areas_for_range(my_mm(), start, end, true, set_locked, &on);
	return r || !populate ? r : populate_locked(start, end);
}

SYSCALL(mlock, uint64_t addr, uint64_t len)
{
	return lock_range(addr, len, true, true);
}

SYSCALL(mlock2, uint64_t addr, uint64_t len, int flags)
{
	return flags & ~MLOCK_ONFAULT ? -EINVAL : lock_range(addr, len, true, !(flags & MLOCK_ONFAULT));
}

SYSCALL(munlock, uint64_t addr, uint64_t len)
{
	return lock_range(addr, len, false, false);
}

static void lock_all(bool on)
{
	areas_for_range(my_mm(), boot->user_low, boot->user_high, false, set_locked, &on);
}

SYSCALL(mlockall, int flags)
{
	struct mm *mm = my_mm();

	if (!flags || (flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)) || flags == MCL_ONFAULT)
		return -EINVAL;
	if (mm_may_lock(mm, 0) == -EPERM)
		return -EPERM;
	if ((flags & MCL_CURRENT) && mm_may_lock(mm, mm->total_bytes - mm->locked_bytes))
		return -ENOMEM;
	mm->lock_future = flags & MCL_FUTURE;
	if (flags & MCL_CURRENT) {
		lock_all(true);
		if (!(flags & MCL_ONFAULT))
			populate_locked(boot->user_low, boot->user_high);
	}
	return 0;
}

SYSCALL(munlockall, void)
{
	my_mm()->lock_future = false;
	lock_all(false);
	return 0;
}

/* One CPU runs all threads of a cell, and each switch passes through the kernel: every barrier is already there. What is
 * left is the bookkeeping of registrations. Bits as in uapi/linux/membarrier.h. */
SYSCALL(membarrier, int cmd, unsigned flags, int cpu)
{
	enum {
		GLOBAL = 1,
		GLOBAL_EXPEDITED = 2,
		REGISTER_GLOBAL_EXPEDITED = 4,
		PRIVATE_EXPEDITED = 8,
		REGISTER_PRIVATE_EXPEDITED = 16,
		PRIVATE_SYNC_CORE = 32,
		REGISTER_PRIVATE_SYNC_CORE = 64,
		GET_REGISTRATIONS = 512
	};
	unsigned *registered = &my_mm()->membarrier;

	if (flags)
		return -EINVAL;
	switch (cmd) {
	case 0:
		return GLOBAL | GLOBAL_EXPEDITED | REGISTER_GLOBAL_EXPEDITED | PRIVATE_EXPEDITED | REGISTER_PRIVATE_EXPEDITED |
		       PRIVATE_SYNC_CORE | REGISTER_PRIVATE_SYNC_CORE | GET_REGISTRATIONS;
	case GLOBAL:
	case GLOBAL_EXPEDITED:
		return 0;
	case REGISTER_GLOBAL_EXPEDITED:
	case REGISTER_PRIVATE_EXPEDITED:
	case REGISTER_PRIVATE_SYNC_CORE:
		*registered |= (unsigned)cmd;
		return 0;
	case PRIVATE_EXPEDITED:
	case PRIVATE_SYNC_CORE:
		return *registered & ((unsigned)cmd << 1) ? 0 : -EPERM;
	case GET_REGISTRATIONS:
		return *registered;
	default:
		return -EINVAL;
	}
}
