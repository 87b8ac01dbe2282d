/* System V shared memory: shmget, shmat, shmdt, shmctl. Owns the table of segments; each holds one reference to the
 * inode that has its pages. How often a segment is attached is how many areas map that inode, as on Linux.
 */
#include "kernel/mm/internal.h"
#include "kernel/syscall/define.h"

#include <asm/shmbuf.h>
#include <linux/ipc.h>

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
enum { CAP_IPC_OWNER_ = 15 };
#define SEGMENTS_MAX      256
#define SEQUENCE_STEP     32768 /* an id is its slot plus a multiple of this, so that old ids are found out */
#define SEGMENT_BYTES_MAX (UINT64_MAX - (1ull << 24))

struct segment {
	int key, id;
	uint64_t size;
	uint32_t mode, uid, gid, cuid, cgid;
	int cpid, lpid;
	int64_t atime_ns, dtime_ns, ctime_ns;
	struct inode *inode;
};

static struct segment *segments[SEGMENTS_MAX];

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
	for (unsigned i = 0; i < SEGMENTS_MAX; i++) {
		struct segment *s = segments[i];
		if (!s || !(s->mode & SHM_DEST) || attached(s))
			continue;
		segments[i] = NULL;
		inode_unref(s->inode);
		kfree(s);
	}
}

static struct segment *segment_by_id(int id)
{
	struct segment *s = id < 0 ? NULL : segments[id % SEQUENCE_STEP % SEGMENTS_MAX];

	return s && s->id == id ? s : NULL;
}

static int permitted(const struct segment *s, unsigned wanted)
{
	const struct creds *c = &current->creds;
	unsigned granted = s->mode;

	if (c->euid == s->cuid || c->euid == s->uid)
		granted >>= 6;
	else if (in_group(s->cgid) || in_group(s->gid))
		granted >>= 3;
	wanted = (wanted >> 6 | wanted >> 3 | wanted) & 7;
	return (wanted & ~granted) && !capable(CAP_IPC_OWNER_) ? -EACCES : 0;
}

static long segment_new(int key, uint64_t size, int flags)
{
	static int sequence;
	unsigned slot = 0;

	if (!size || size > SEGMENT_BYTES_MAX)
		return -EINVAL;
	while (slot < SEGMENTS_MAX && segments[slot])
		slot++;
	if (slot == SEGMENTS_MAX)
		return -ENOSPC;
	struct segment *s = kzalloc(sizeof(*s));
	struct inode *inode = s ? rootfs_new_memfd(S_IFREG | 0600) : NULL;
	if (!inode) {
		kfree(s);
		return -ENOMEM;
	}
	inode->size = vb_page_up(size);
	*s = (struct segment){.key = key,
		.size = size,
		.mode = (uint32_t)flags & 0777,
		.uid = current->creds.euid,
		.gid = current->creds.egid,
		.cuid = current->creds.euid,
		.cgid = current->creds.egid,
		.cpid = current->process->pid,
		.ctime_ns = (int64_t)now_realtime_ns(),
		.inode = inode,
		.id = (int)slot + sequence};
	sequence = (sequence + SEQUENCE_STEP) & INT32_MAX;
	segments[slot] = s;
	return s->id;
}

SYSCALL(shmget, int key, uint64_t size, int flags)
{
	struct segment *s = NULL;

	sweep();
	for (unsigned i = 0; i < SEGMENTS_MAX && key != IPC_PRIVATE && !s; i++)
		if (segments[i] && segments[i]->key == key && !(segments[i]->mode & SHM_DEST))
			s = segments[i];
	if (s) {
		if ((flags & IPC_CREAT) && (flags & IPC_EXCL))
			return -EEXIST;
		if (size > s->size)
			return -EINVAL;
		return permitted(s, (unsigned)flags) ? -EACCES : s->id;
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
	if (permitted(s, (flags & SHM_RDONLY ? SHM_R : SHM_R | SHM_W) | (flags & SHM_EXEC ? 0100u : 0)))
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
	for (unsigned i = 0; v && v->a.inode && !v->a.file && i < SEGMENTS_MAX; i++)
		if (segments[i] && segments[i]->inode == v->a.inode)
			return segments[i];
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
		.shm_ctime = s->ctime_ns / (int64_t)NSEC_PER_SEC};

	ds.shm_perm = (struct ipc64_perm){.key = s->key,
		.uid = s->uid,
		.gid = s->gid,
		.cuid = s->cuid,
		.cgid = s->cgid,
		.mode = s->mode,
		.seq = (unsigned short)(s->id / SEQUENCE_STEP)};
	return put_user(ds, buf);
}

static int owner_or_capable(const struct segment *s, int cap)
{
	uint32_t euid = current->creds.euid;

	return euid == s->uid || euid == s->cuid || capable(cap) ? 0 : -EPERM;
}

static long segment_set(struct segment *s, uint64_t buf)
{
	struct shmid64_ds ds;

	if (get_user(ds, buf))
		return -EFAULT;
	if (owner_or_capable(s, CAP_SYS_ADMIN))
		return -EPERM;
	s->uid = ds.shm_perm.uid;
	s->gid = ds.shm_perm.gid;
	s->mode = (s->mode & ~0777u) | (ds.shm_perm.mode & 0777);
	s->ctime_ns = (int64_t)now_realtime_ns();
	return 0;
}

/* IPC_INFO and SHM_INFO: limits and use; the result is the highest slot in use. */
static long info(int cmd, uint64_t buf)
{
	struct shm_info use = {0};
	long highest = 0;

	for (unsigned i = 0; i < SEGMENTS_MAX; i++) {
		if (!segments[i])
			continue;
		highest = i;
		use.used_ids++;
		use.shm_tot += pages_in(vb_page_up(segments[i]->size));
	}
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
	struct segment *s = by_slot ? (id < SEGMENTS_MAX ? segments[id] : NULL) : segment_by_id(id);
	if (!s)
		return -EINVAL;
	switch (cmd) {
	case IPC_STAT:
	case SHM_STAT:
		if (permitted(s, SHM_R))
			return -EACCES;
		/* fallthrough */
	case SHM_STAT_ANY:
		return segment_stat(s, buf) ? -EFAULT : by_slot ? s->id : 0;
	case IPC_SET:
		return segment_set(s, buf);
	case IPC_RMID:
		if (owner_or_capable(s, CAP_SYS_ADMIN))
			return -EPERM;
		s->mode |= SHM_DEST;
		s->key = IPC_PRIVATE;
		sweep();
		return 0;
	case SHM_LOCK: /* nothing is ever swapped out */
	case SHM_UNLOCK:
		if (owner_or_capable(s, CAP_IPC_LOCK_))
			return -EPERM;
		s->mode = cmd == SHM_LOCK ? s->mode | SHM_LOCKED : s->mode & ~(unsigned)SHM_LOCKED;
		return 0;
	default:
		return -EINVAL;
	}
}
