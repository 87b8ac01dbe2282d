/* System V shared memory: shmget, shmat, shmdt, shmctl. Owns the segments; each holds one reference to the
 * inode that has its pages. How often a segment is attached is how many areas map that inode, as on Linux.
 */
#include "kernel/mm/internal.h"
#include "kernel/syscall/define.h"
#include "kernel/syscall/ipc.h"

#include <asm/shmbuf.h>

/* uapi/linux/shm.h, which needs libc */
enum {
	SHM_R = 0400,
	SHM_W = 0200,
	SHM_HUGETLB = 04000,
	SHM_RDONLY = 010000,
	SHM_RND = 020000,
	SHM_REMAP = 040000,
	SHM_EXEC = 0100000,
	SHM_DEST = 01000,
	SHM_LOCKED = 02000,
	SHM_LOCK = 11,
	SHM_UNLOCK = 12,
	SHM_STAT = 13,
	SHM_INFO = 14,
	SHM_STAT_ANY = 15
};
struct shm_info {
	int32_t used_ids;
	uint64_t shm_tot, shm_rss, shm_swp, swap_attempts, swap_successes;
};
#define SEGMENTS_MAX      4096
#define SEGMENT_BYTES_MAX (UINT64_MAX - (1ull << 24))

struct segment {
	struct ipc_object ipc;
	uint64_t size;
	int cpid, lpid;
	int64_t atime_ns, dtime_ns;
	struct inode *inode;
};

static struct ipc_table segments = {.max = SEGMENTS_MAX};

static struct segment *segment_at(unsigned slot)
{
	return (struct segment *)segments.slot[slot];
}

static uint64_t attached(const struct segment *s)
{
	uint64_t n = 0;

	for (struct list *node = s->inode->mappings.next; node != &s->inode->mappings; node = node->next)
		n++;
	return n;
}

/* Forgets removed segments that nobody has attached any more. */
static void sweep(void)
{
	for (unsigned i = 0; i < segments.size; i++) {
		struct segment *s = segment_at(i);
		if (!s || !(s->ipc.mode & SHM_DEST) || attached(s))
			continue;
		ipc_remove(&segments, &s->ipc);
		inode_unref(s->inode);
		kfree(s);
	}
}

static struct segment *segment_by_id(int id)
{
	return (struct segment *)ipc_by_id(&segments, id);
}

static long segment_new(int key, uint64_t size, int flags)
{
	if (!size || size > SEGMENT_BYTES_MAX)
		return -EINVAL;
	struct segment *s = kzalloc(sizeof(*s));
	struct inode *inode = s ? rootfs_new_memfd(S_IFREG | 0600) : NULL;

	if (!inode) {
		kfree(s);
		return -ENOMEM;
	}
	inode->size = vb_page_up(size);
	*s = (struct segment){.size = size, .cpid = current->process->pid, .inode = inode};
	int r = ipc_add(&segments, &s->ipc, key, flags);

	if (r < 0) {
		inode_unref(inode);
		kfree(s);
	}
	return r;
}

SYSCALL(shmget, int key, uint64_t size, int flags)
{
	sweep();
	struct segment *s = (struct segment *)ipc_by_key(&segments, key);

	if (s) {
		if ((flags & IPC_CREAT) && (flags & IPC_EXCL))
			return -EEXIST;
		if (size > s->size)
			return -EINVAL;
		return ipc_permitted(&s->ipc, (unsigned)flags) ? -EACCES : s->ipc.id;
	}
	if (key != IPC_PRIVATE && !(flags & IPC_CREAT))
		return -ENOENT;
	if (flags & SHM_HUGETLB)
		return -ENOMEM; /* there are no huge pages */
	return segment_new(key, size, flags);
}

SYSCALL(shmat, int id, uint64_t addr, int flags)
{
	struct mm *mm = current->process->mm;
	struct segment *s = segment_by_id(id);
	int prot = flags & SHM_RDONLY ? PROT_R : PROT_R | PROT_W, map_flags = 0;

	if (id < 0)
		return -EINVAL;
	if (addr % VB_PAGE_SIZE) {
		if (!(flags & SHM_RND))
			return -EINVAL;
		addr = vb_page_down(addr);
		if (!addr && (flags & SHM_REMAP))
			return -EINVAL;
	}
	if (addr)
		map_flags = flags & SHM_REMAP ? MAP_FIXED_ : MAP_FIXED_NOREPLACE_;
	else if (flags & SHM_REMAP)
		return -EINVAL;
	if (!s)
		return -EINVAL;
	if (flags & SHM_EXEC)
		prot |= PROT_X;
	if (ipc_permitted(&s->ipc, (flags & SHM_RDONLY ? SHM_R : SHM_R | SHM_W) | (flags & SHM_EXEC ? 0100u : 0)))
		return -EACCES;
	int64_t r = mm_map_shared(mm, addr, s->size, prot, map_flags, s->inode);
	if (r < 0)
		return r == -EEXIST ? -EINVAL : r;
	s->atime_ns = (int64_t)now_realtime_ns();
	s->lpid = current->process->pid;
	return r;
}

/* The segment whose page `offset` the area's first page is, if it is one. */
static struct segment *segment_of(const struct vm_area *v)
{
	for (unsigned i = 0; v && v->a.inode && !v->a.file && i < segments.size; i++)
		if (segment_at(i) && segment_at(i)->inode == v->a.inode)
			return segment_at(i);
	return NULL;
}

SYSCALL(shmdt, uint64_t addr)
{
	struct mm *mm = current->process->mm;
	struct vm_area *v = area_at_or_above(mm, addr);
	struct segment *s = NULL;

	if (addr % VB_PAGE_SIZE)
		return -EINVAL;
	/* The lowest area that was part of an attachment at addr says which segment it is; then all of that goes. */
	for (; v && !s; v = area_next(mm, v))
		if (v->a.start - v->a.offset == addr)
			s = segment_of(v);
	if (!s)
		return -EINVAL;
	uint64_t end = addr + vb_page_up(s->size);
	for (uint64_t at = addr; at < end && (v = area_at_or_above(mm, at)) && v->a.start < end;) {
		uint64_t start = v->a.start;
		at = v->a.end;
		if (v->a.inode == s->inode && start - v->a.offset == addr) {
			int r = mm_unmap(mm, start, at - start);
			if (r)
				return r;
		}
	}
	s->dtime_ns = (int64_t)now_realtime_ns();
	s->lpid = current->process->pid;
	sweep();
	return 0;
}

static long segment_stat(const struct segment *s, uint64_t buf)
{
	struct shmid64_ds ds = {.shm_segsz = s->size,
		.shm_cpid = s->cpid,
		.shm_lpid = s->lpid,
		.shm_nattch = attached(s),
		.shm_atime = s->atime_ns / (int64_t)NSEC_PER_SEC,
		.shm_dtime = s->dtime_ns / (int64_t)NSEC_PER_SEC,
		.shm_ctime = s->ipc.change_ns / (int64_t)NSEC_PER_SEC};

	ipc_describe(&s->ipc, &ds.shm_perm);
	return put_user(ds, buf);
}

static long segment_set(struct segment *s, uint64_t buf)
{
	struct shmid64_ds ds;

	if (get_user(ds, buf))
		return -EFAULT;
	if (ipc_owner_or_capable(&s->ipc, CAP_SYS_ADMIN))
		return -EPERM;
	ipc_set(&s->ipc, &ds.shm_perm);
	return 0;
}

/* IPC_INFO and SHM_INFO: limits and use; the result is the highest slot in use. */
static long info(int cmd, uint64_t buf)
{
	struct shm_info use = {0};
	unsigned used;
	long highest = ipc_highest(&segments, &used);

	use.used_ids = (int32_t)used;
	for (unsigned i = 0; i < segments.size; i++)
		use.shm_tot += segment_at(i) ? pages_in(vb_page_up(segment_at(i)->size)) : 0;
	if (cmd == SHM_INFO) {
		use.shm_rss = use.shm_tot;
		return put_user(use, buf) ? -EFAULT : highest;
	}
	struct shminfo64 limits = {
		.shmmax = SEGMENT_BYTES_MAX, .shmmin = 1, .shmmni = SEGMENTS_MAX, .shmseg = SEGMENTS_MAX, .shmall = SEGMENT_BYTES_MAX};
	return put_user(limits, buf) ? -EFAULT : highest;
}

SYSCALL(shmctl, int id, int cmd, uint64_t buf)
{
	if (cmd < 0 || id < 0)
		return -EINVAL;
	sweep();
	if (cmd == IPC_INFO || cmd == SHM_INFO)
		return info(cmd, buf);
	bool by_slot = cmd == SHM_STAT || cmd == SHM_STAT_ANY;
	struct segment *s = by_slot ? (struct segment *)ipc_by_slot(&segments, id) : segment_by_id(id);
	if (!s)
		return -EINVAL;
	switch (cmd) {
	case IPC_STAT:
	case SHM_STAT:
		if (ipc_permitted(&s->ipc, SHM_R))
			return -EACCES;
		/* fallthrough */
	case SHM_STAT_ANY:
		return segment_stat(s, buf) ? -EFAULT : by_slot ? s->ipc.id : 0;
	case IPC_SET:
		return segment_set(s, buf);
	case IPC_RMID:
		if (ipc_owner_or_capable(&s->ipc, CAP_SYS_ADMIN))
			return -EPERM;
		s->ipc.mode |= SHM_DEST;
		s->ipc.key = IPC_PRIVATE;
		sweep();
		return 0;
	case SHM_LOCK: /* nothing is ever swapped out */
	case SHM_UNLOCK:
		if (ipc_owner_or_capable(&s->ipc, CAP_IPC_LOCK_))
			return -EPERM;
		s->ipc.mode = cmd == SHM_LOCK ? s->ipc.mode | SHM_LOCKED : s->ipc.mode & ~(unsigned)SHM_LOCKED;
		return 0;
	default:
		return -EINVAL;
	}
}

int ipc_show_shm(struct proc_text *t, const struct proc_subject *subject)
{
	proc_printf(t,
		"       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      atime      dtime      "
		"ctime                   rss                  swap\n");
	for (unsigned i = 0; i < segments.size; i++) {
		const struct segment *s = segment_at(i);
		if (!s)
			continue;
		proc_printf(t, "%10d %10d  %4o %21llu %5u %5u  %5llu %5u %5u %5u %5u %10llu %10llu %10llu %21llu %21u\n", s->ipc.key,
			s->ipc.id, s->ipc.mode, (unsigned long long)s->size, (unsigned)s->cpid, (unsigned)s->lpid,
			(unsigned long long)attached(s), s->ipc.uid, s->ipc.gid, s->ipc.cuid, s->ipc.cgid,
			(unsigned long long)s->atime_ns / NSEC_PER_SEC, (unsigned long long)s->dtime_ns / NSEC_PER_SEC,
			(unsigned long long)s->ipc.change_ns / NSEC_PER_SEC, (unsigned long long)vb_page_up(s->size), 0u);
	}
	return 0;
}
