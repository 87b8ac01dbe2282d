/* File locks: POSIX record locks, open-file-description locks and flock. Owns what inode->locks points to.
 *
 * A lock belongs to a process (POSIX) or an open file (the two others). flock and record locks don't see each other.
 */
#include "kernel/fs/fs_private.h"
#include "kernel/syscall/define.h"

struct lock {
	struct list node;
	const void *owner;   /* struct process or struct file */
	uint64_t start, end; /* [start, end] */
	bool write, is_flock;
	int pid; /* -1: of an open file */
};

struct locks { /* freed with the inode */
	struct list held;
	struct wait_queue released;
};

static struct locks *locks_of(struct inode *inode)
{
	struct locks *l = inode->locks;

	if (!l && (l = kmalloc(sizeof(*l)))) {
		list_init(&l->held);
		wait_queue_init(&l->released);
		inode->locks = l;
	}
	return l;
}

static struct lock *find_conflict(const struct locks *l, const struct lock *want)
{
	list_for_each(held, &l->held, struct lock, node) {
		if (held->owner != want->owner && held->is_flock == want->is_flock && held->start <= want->end &&
			want->start <= held->end && (held->write || want->write))
			return held;
	}
	return NULL;
}

/* Takes the owner's locks out of [want->start, want->end]. spare is used when a lock falls into two; returns whether it was. */
static bool carve(struct locks *l, const struct lock *want, struct lock *spare)
{
	list_for_each_safe(held, next, &l->held, struct lock, node) {
		if (held->owner != want->owner || held->is_flock != want->is_flock || held->start > want->end || want->start > held->end)
			continue;
		if (held->start < want->start && held->end > want->end) {
			*spare = *held;
			spare->start = want->end + 1;
			held->end = want->start - 1;
			list_push_back(&l->held, &spare->node);
			return true;
		}
		if (held->start < want->start) {
			held->end = want->start - 1;
		} else if (held->end > want->end) {
			held->start = want->end + 1;
		} else {
			list_remove(&held->node);
			kfree(held);
		}
	}
	return false;
}

/* Grows want over the owner's neighbours of the same kind, so that the list stays as short as Linux's. */
static void merge(struct locks *l, struct lock *want)
{
	list_for_each_safe(held, next, &l->held, struct lock, node) {
		bool touches = held->start <= want->end + (want->end < INT64_MAX) && want->start <= held->end + (held->end < INT64_MAX);

		if (held->owner != want->owner || held->is_flock || held->write != want->write || !touches)
			continue;
		want->start = vb_min(want->start, held->start);
		want->end = vb_max(want->end, held->end);
		list_remove(&held->node);
		kfree(held);
	}
}

static int unlock(struct inode *inode, const struct lock *want)
{
	struct locks *l = inode->locks;
	struct lock *spare;

	if (!l || list_empty(&l->held))
		return 0;
	spare = kmalloc(sizeof(*spare));
	if (!spare)
		return -ENOMEM;
	if (!carve(l, want, spare))
		kfree(spare);
	wait_queue_wake(&l->released, ~0u);
	return 0;
}

static int lock(struct inode *inode, const struct lock *want, bool wait)
{
	struct locks *l = locks_of(inode);
	struct lock *added = kmalloc(sizeof(*added)), *spare = kmalloc(sizeof(*spare));
	int r = l && added && spare ? 0 : -ENOMEM;

	if (!r && find_conflict(l, want)) {
		if (want->is_flock) { /* changing the kind of an flock gives the old one up first */
			carve(l, want, spare);
			wait_queue_wake(&l->released, ~0u);
		}
		r = wait ? wait_until(&l->released, !find_conflict(l, want), NO_DEADLINE) : -EAGAIN;
	}
	if (r) {
		kfree(added);
		kfree(spare);
		return r;
	}
	*added = *want;
	if (!carve(l, want, spare))
		kfree(spare);
	if (!want->is_flock)
		merge(l, added);
	list_push_back(&l->held, &added->node);
	wait_queue_wake(&l->released, ~0u); /* a write lock may have become a read lock */
	return 0;
}

static void release_all(struct inode *inode, const void *owner)
{
	struct locks *l = inode->locks;
	bool any = false;

	list_for_each_safe(held, next, &l->held, struct lock, node) {
		if (held->owner != owner)
			continue;
		list_remove(&held->node);
		kfree(held);
		any = true;
	}
	if (any)
		wait_queue_wake(&l->released, ~0u);
}

void locks_release_process(struct process *p, struct inode *inode)
{
	if (inode->locks)
		release_all(inode, p);
}

void locks_release_file(struct file *f)
{
	release_all(f->inode, f);
}

/* struct flock as Linux lays it out. */
struct user_flock {
	int16_t type, whence;
	int32_t pad;
	int64_t start, len;
	int32_t pid, pad2;
};

static int range_of(const struct file *f, const struct user_flock *u, struct lock *ret)
{
	int64_t base = u->whence == SEEK_CUR ? (int64_t)f->pos : u->whence == SEEK_END ? (int64_t)f->inode->size : 0;
	int64_t start, end = INT64_MAX;

	if (u->whence < SEEK_SET || u->whence > SEEK_END)
		return -EINVAL;
	if (__builtin_add_overflow(base, u->start, &start))
		return -EOVERFLOW;
	if (start < 0)
		return -EINVAL;
	if (u->len > 0 && __builtin_add_overflow(start, u->len - 1, &end))
		return -EOVERFLOW;
	if (u->len < 0) {
		if (__builtin_add_overflow(start, u->len, &base) || base < 0)
			return -EINVAL;
		end = start - 1;
		start = base;
	}
	ret->start = (uint64_t)start;
	ret->end = (uint64_t)end;
	return 0;
}

static long get_lock(struct file *f, struct user_flock *u, const struct lock *want, uint64_t user)
{
	struct lock *held = f->inode->locks ? find_conflict(f->inode->locks, want) : NULL;

	if (held) {
		*u = (struct user_flock){
			.type = held->write ? F_WRLCK : F_RDLCK,
			.start = (int64_t)held->start,
			.len = held->end == INT64_MAX ? 0 : (int64_t)(held->end - held->start + 1),
			.pid = held->pid,
		};
	} else {
		u->type = F_UNLCK;
	}
	return put_user(*u, user);
}

long locks_fcntl(int fd, unsigned cmd, uint64_t user)
{
	bool ofd = cmd >= F_OFD_GETLK, get = cmd == F_GETLK || cmd == F_OFD_GETLK;
	struct file *f = fd_ref(fd);
	struct user_flock u;
	struct lock want = {0};
	long r = get_user(u, user);

	want.owner = ofd ? (const void *)f : current->process;
	want.pid = ofd ? -1 : current->process->pid;
	want.write = u.type == F_WRLCK;
	if (!r && (u.type < F_RDLCK || u.type > F_UNLCK || (get && u.type == F_UNLCK && !ofd)))
		r = -EINVAL;
	r = r ? r : range_of(f, &u, &want);
	if (!r && !get && u.type != F_UNLCK && !(want.write ? f->writable : f->readable))
		r = -EBADF;
	if (!r && ofd && u.pid)
		r = -EINVAL;
	if (!r && get) {
		r = get_lock(f, &u, &want, user);
	} else if (!r && u.type == F_UNLCK) {
		r = unlock(f->inode, &want);
	} else if (!r) {
		r = lock(f->inode, &want, cmd == F_SETLKW || cmd == F_OFD_SETLKW);
		if (!r && fd_get(fd) != f) /* closed while we slept: the lock would outlive the descriptor */
			unlock(f->inode, &want);
	}
	file_unref(f);
	return r;
}

SYSCALL(flock, int fd, unsigned how)
{
	enum { SHARED = 1, EXCLUSIVE = 2, NO_WAIT = 4, UNLOCK = 8 };
	struct file *f = fd_ref(fd);
	unsigned what = how & ~(unsigned)NO_WAIT;
	long r;

	if (!f)
		return -EBADF;
	struct lock want = {.owner = f, .end = INT64_MAX, .write = what == EXCLUSIVE, .is_flock = true};

	if (what != SHARED && what != EXCLUSIVE && what != UNLOCK)
		r = -EINVAL;
	else
		r = what == UNLOCK ? unlock(f->inode, &want) : lock(f->inode, &want, !(how & NO_WAIT));
	file_unref(f);
	return r;
}
