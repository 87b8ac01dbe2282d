/* poll, ppoll, select, pselect6. Owns nothing beyond a call; the program's arrays are copied in, changed and copied out. */
#include "kernel/fs/poll.h"
#include "kernel/syscall/define.h"

#define RLIMIT_NOFILE_ 7
#define SELECT_MAX     65536u /* higher descriptors do not exist: Linux ignores bits beyond the table too */
#define POLL_INLINE    16u

struct k_pollfd {
	int32_t fd;
	int16_t events, revents;
};

/* --- waiting on many queues --- */

struct poll_entry {
	struct wait_entry wait;
	struct file *file;
};
struct poll_chunk {
	struct poll_chunk *next;
	unsigned count;
	struct poll_entry entries[32];
};

struct poll_wait {
	struct poll_table table;
	struct poll_chunk *chunks; /* once the inline entries are used up */
	bool no_memory;
	unsigned count;
	struct poll_entry entries[POLL_INLINE];
};

static void poll_wait_add(struct poll_table *table, struct file *f, struct wait_queue *q)
{
	struct poll_wait *w = vb_container_of(table, struct poll_wait, table);
	struct poll_entry *e;

	if (w->count < POLL_INLINE) {
		e = &w->entries[w->count++];
	} else {
		if (!w->chunks || w->chunks->count == VB_ARRAY_LEN(w->chunks->entries)) {
			struct poll_chunk *chunk = kmalloc(sizeof(*chunk));
			if (!chunk) {
				w->no_memory = true;
				return;
			}
			chunk->next = w->chunks;
			chunk->count = 0;
			w->chunks = chunk;
		}
		e = &w->chunks->entries[w->chunks->count++];
	}
	e->wait = (struct wait_entry){.task = current};
	e->file = f;
	file_ref(f); /* another thread may close it while we sleep */
	wait_queue_add(q, &e->wait);
}

static void poll_entries_drop(struct poll_entry *entries, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		wait_queue_remove(&entries[i].wait);
		file_unref(entries[i].file);
	}
}

static void poll_wait_end(struct poll_wait *w)
{
	poll_entries_drop(w->entries, w->count);
	while (w->chunks) {
		struct poll_chunk *chunk = w->chunks;
		w->chunks = chunk->next;
		poll_entries_drop(chunk->entries, chunk->count);
		kfree(chunk);
	}
}

static unsigned poll_one(const struct k_pollfd *p, struct poll_table *table)
{
	struct file *f = p->fd < 0 ? NULL : fd_get(p->fd);

	if (p->fd < 0)
		return 0;
	if (!f)
		return POLL_NVAL;
	return file_poll(f, table) & ((uint16_t)p->events | POLL_ERR | POLL_HUP);
}

/* Fills in revents. Returns how many are not zero, -EINTR when a signal came first, or -ENOMEM. */
static long poll_run(struct k_pollfd *fds, unsigned n, uint64_t deadline)
{
	struct poll_wait w;
	struct poll_table *table = deadline ? &w.table : NULL; /* registers on the first round only, and until something is ready */
	bool last = !deadline;
	long ready = 0;

	w.table.add = poll_wait_add;
	w.chunks = NULL;
	w.no_memory = false;
	w.count = 0;
	for (;;) {
		task_prepare();
		for (unsigned i = 0; i < n; i++) {
			unsigned events = poll_one(&fds[i], table);
			fds[i].revents = (int16_t)events;
			if (events) {
				ready++;
				table = NULL;
			}
		}
		table = NULL;
		if (w.no_memory && !ready)
			ready = -ENOMEM;
		if (ready || last)
			break;
		int r = task_sleep(deadline, true);
		if (r == -ERESTARTSYS) {
			ready = -EINTR;
			break;
		}
		last = r == -ETIMEDOUT;
	}
	poll_wait_end(&w);
	return ready;
}

/* --- signal masks and timeouts --- */

int sigmask_swap(uint64_t mask, uint64_t size)
{
	sigset set;

	if (!mask)
		return 0;
	if (size != sizeof(set))
		return -EINVAL;
	if (get_user(set, mask))
		return -EFAULT;
	signal_set_temporary_mask(set);
	return 0;
}

void sigmask_restore(long result)
{
	if (result != -EINTR && result != -ERESTARTNOHAND)
		signal_restore_mask();
}

static int deadline_of(const struct k_timespec *t, uint64_t *ret)
{
	if (!timespec_valid(t))
		return -EINVAL;
	uint64_t ns = timespec_to_ns(t);
	*ret = ns ? deadline_after(ns) : 0;
	return 0;
}

int deadline_from_user(uint64_t timespec, uint64_t *ret)
{
	struct k_timespec t;

	*ret = NO_DEADLINE;
	if (!timespec)
		return 0;
	return get_user(t, timespec) ? -EFAULT : deadline_of(&t, ret);
}

static uint64_t time_left(uint64_t deadline)
{
	uint64_t now = now_monotonic_ns();

	return deadline > now ? deadline - now : 0;
}

/* Linux writes the time that was left; programs may have put the timeout in read-only memory, which is no error. */
static void write_back_timespec(uint64_t addr, uint64_t deadline)
{
	if (addr)
		(void)put_user(ns_to_timespec(time_left(deadline)), addr);
}

/* --- poll --- */

static long poll_user(uint64_t fds, unsigned n, uint64_t deadline)
{
	struct k_pollfd small[32], *p = small;
	long r;

	if (n > current->process->rlimit[RLIMIT_NOFILE_].cur)
		return -EINVAL;
	if (n > VB_ARRAY_LEN(small) && !(p = kmalloc(n * sizeof(*p))))
		return -ENOMEM;
	r = copy_from_user(p, fds, n * sizeof(*p));
	if (!r)
		r = poll_run(p, n, deadline);
	if (r >= 0 && copy_to_user(fds, p, n * sizeof(*p)))
		r = -EFAULT;
	if (p != small)
		kfree(p);
	return r;
}

static long poll_interruptible(uint64_t fds, unsigned n, uint64_t deadline);

static long poll_restart(struct task *t)
{
	return poll_interruptible(t->restart_args[0], (unsigned)t->restart_args[1], t->restart_args[2]);
}

static long poll_interruptible(uint64_t fds, unsigned n, uint64_t deadline)
{
	long r = poll_user(fds, n, deadline);

	if (r != -EINTR)
		return r;
	current->restart = poll_restart;
	current->restart_args[0] = fds;
	current->restart_args[1] = n;
	current->restart_args[2] = deadline;
	return -ERESTART_RESTARTBLOCK;
}

SYSCALL(poll, uint64_t fds, unsigned n, int timeout_ms)
{
	uint64_t deadline = timeout_ms > 0 ? deadline_after((uint64_t)timeout_ms * 1000000u) : timeout_ms ? NO_DEADLINE : 0;

	return poll_interruptible(fds, n, deadline);
}

SYSCALL(ppoll, uint64_t fds, unsigned n, uint64_t timeout, uint64_t mask, uint64_t mask_size)
{
	uint64_t deadline;
	long r = deadline_from_user(timeout, &deadline);

	if (!r)
		r = sigmask_swap(mask, mask_size);
	if (r)
		return r;
	r = poll_user(fds, n, deadline);
	if (r == -EINTR)
		r = -ERESTARTNOHAND;
	sigmask_restore(r);
	write_back_timespec(timeout, deadline);
	return r;
}

/* --- select --- */

enum { SET_IN, SET_OUT, SET_EXCEPT, SETS };
static const uint16_t set_events[SETS] = {
	[SET_IN] = POLL_IN | POLL_RDNORM | POLL_HUP | POLL_ERR | POLL_NVAL | 0x80 /* POLLRDBAND */,
	[SET_OUT] = POLL_OUT | POLL_WRNORM | POLL_ERR | POLL_NVAL | 0x200 /* POLLWRBAND */,
	[SET_EXCEPT] = POLL_PRI | POLL_NVAL,
};

/* The descriptors named in the sets, each with the events of the sets it is in. Returns the count or -EBADF. */
static long select_collect(uint64_t *const bits[SETS], unsigned n, struct k_pollfd *ret)
{
	unsigned count = 0;

	for (unsigned fd = 0; fd < n; fd++) {
		uint64_t any = bits[0][fd / 64] | bits[1][fd / 64] | bits[2][fd / 64];
		if (!any) {
			fd |= 63;
			continue;
		}
		if (!(any >> (fd % 64) & 1))
			continue;
		if (ret) {
			ret[count] = (struct k_pollfd){.fd = (int)fd};
			for (unsigned s = 0; s < SETS; s++)
				if (bits[s][fd / 64] >> (fd % 64) & 1)
					ret[count].events |= (int16_t)set_events[s];
		} else if (!fd_get((int)fd)) {
			return -EBADF;
		}
		count++;
	}
	return count;
}

/* Keeps the bits of what is ready. Returns how many are left. */
static long select_result(uint64_t *const bits[SETS], const struct k_pollfd *fds, unsigned count)
{
	long left = 0;

	for (unsigned i = 0; i < count; i++) {
		unsigned word = (unsigned)fds[i].fd / 64;
		uint64_t bit = 1ull << (fds[i].fd % 64);
		for (unsigned s = 0; s < SETS; s++) {
			if (!(bits[s][word] & bit))
				continue;
			if ((uint16_t)fds[i].revents & set_events[s])
				left++;
			else
				bits[s][word] &= ~bit;
		}
	}
	return left;
}

static long select_bits(uint64_t *const bits[SETS], unsigned n, uint64_t deadline)
{
	struct k_pollfd small[16], *fds = small;
	long count = select_collect(bits, n, NULL), r;

	if (count < 0)
		return count;
	if (count > (long)VB_ARRAY_LEN(small) && !(fds = kmalloc((size_t)count * sizeof(*fds))))
		return -ENOMEM;
	select_collect(bits, n, fds);
	r = poll_run(fds, (unsigned)count, deadline);
	if (r >= 0)
		r = select_result(bits, fds, (unsigned)count);
	if (fds != small)
		kfree(fds);
	return r;
}

static long select_user(int n, const uint64_t user[SETS], uint64_t deadline)
{
	uint64_t small[SETS][16], *bits[SETS] = {small[0], small[1], small[2]}, *heap = NULL;
	long r = 0;

	if (n < 0)
		return -EINVAL;
	n = vb_min(n, (int)SELECT_MAX);
	size_t words = ((unsigned)n + 63) / 64;
	if (words > VB_ARRAY_LEN(small[0])) {
		heap = kmalloc(SETS * words * sizeof(*heap));
		if (!heap)
			return -ENOMEM;
		for (unsigned s = 0; s < SETS; s++)
			bits[s] = heap + s * words;
	}
	for (unsigned s = 0; s < SETS; s++) {
		memset(bits[s], 0, words * 8);
		if (user[s] && !r)
			r = copy_from_user(bits[s], user[s], words * 8);
		if (n % 64 && words)
			bits[s][words - 1] &= (1ull << (n % 64)) - 1;
	}
	if (!r)
		r = select_bits(bits, (unsigned)n, deadline);
	for (unsigned s = 0; s < SETS && r >= 0; s++)
		if (user[s] && copy_to_user(user[s], bits[s], words * 8))
			r = -EFAULT;
	kfree(heap);
	return r == -EINTR ? -ERESTARTNOHAND : r;
}

SYSCALL(select, int n, uint64_t in, uint64_t out, uint64_t except, uint64_t timeout)
{
	uint64_t deadline = NO_DEADLINE;
	struct k_timeval tv;

	if (timeout) {
		if (get_user(tv, timeout))
			return -EFAULT;
		struct k_timespec t = {tv.tv_sec + tv.tv_usec / 1000000, tv.tv_usec % 1000000 * 1000};
		int r = deadline_of(&t, &deadline);
		if (r)
			return r;
	}
	long r = select_user(n, (uint64_t[SETS]){in, out, except}, deadline);
	if (timeout) {
		uint64_t left = time_left(deadline);
		tv = (struct k_timeval){(int64_t)(left / NSEC_PER_SEC), (int64_t)(left % NSEC_PER_SEC / 1000)};
		(void)put_user(tv, timeout);
	}
	return r;
}

SYSCALL(pselect6, int n, uint64_t in, uint64_t out, uint64_t except, uint64_t timeout, uint64_t mask_arg)
{
	uint64_t mask[2] = {0, 0}; /* address, size */
	uint64_t deadline;

	if (mask_arg && get_user(mask, mask_arg))
		return -EFAULT;
	long r = deadline_from_user(timeout, &deadline);
	if (!r)
		r = sigmask_swap(mask[0], mask[1]);
	if (r)
		return r;
	r = select_user(n, (uint64_t[SETS]){in, out, except}, deadline);
	sigmask_restore(r);
	write_back_timespec(timeout, deadline);
	return r;
}
