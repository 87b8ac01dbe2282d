/* Futexes: who waits on which word. A word is known by its address space and address, or by file and offset where it lies
 * in a shared file mapping, so that it is one word at all its addresses. Waiters belong to the sleeping caller's stack. */
#include <linux/futex.h>

#include "kernel/fs/fs.h"
#include "kernel/mm/mm.h"
#include "kernel/syscall/define.h"
#include "kernel/task/task.h"

struct futex_key {
	const void *space;
	uint64_t offset;
}; /* space: struct mm or struct inode */
struct futex_waiter {
	struct list node; /* in its bucket; on no list: woken */
	struct futex_key key;
	struct task *task;
	uint32_t bitset;
	bool pi; /* waits for ownership (LOCK_PI): the word is handed over */
};

#define BUCKETS 256
static struct list buckets[BUCKETS];

static struct list *bucket_of(const struct futex_key *key)
{
	uint64_t h = ((uint64_t)(uintptr_t)key->space ^ key->offset * 0x9e3779b97f4a7c15ull) * 0x9e3779b97f4a7c15ull;
	struct list *bucket = &buckets[h >> 56];

	if (!bucket->next)
		list_init(bucket);
	return bucket;
}

static bool key_equal(const struct futex_key *a, const struct futex_key *b)
{
	return a->space == b->space && a->offset == b->offset;
}

/* write: the word will be written by the kernel or is looked at on behalf of others: it must be there. */
static int futex_key(uint64_t addr, bool shared, struct futex_key *ret)
{
	uint32_t word;

	if (addr % sizeof(uint32_t))
		return -EINVAL;
	if (!user_range_ok(addr, sizeof(uint32_t)))
		return -EFAULT;
	*ret = (struct futex_key){current->process->mm, addr};
	if (!shared)
		return 0;
	if (get_user(word, addr))
		return -EFAULT;
	const struct area *area = mm_area_at_or_above(current->process->mm, addr);
	if (area && area->start <= addr && area->shared && area->inode)
		*ret = (struct futex_key){area->inode, addr - area->start + area->offset};
	return 0;
}

/* --- waiting --- */

static void waiter_queue(struct futex_waiter *w)
{
	list_push_back(bucket_of(&w->key), &w->node);
}

static void waiter_wake(struct futex_waiter *w)
{
	struct task *t = w->task;

	list_remove(&w->node);
	task_wake(t); /* w may be gone when t runs */
}

/* Sleeps until woken (0), or -ETIMEDOUT, -ERESTARTSYS; then w is on no list. */
static int waiter_sleep(struct futex_waiter *w, uint64_t deadline)
{
	int r = 0;

	while (!r && !list_empty(&w->node)) {
		task_prepare();
		r = task_sleep(deadline, true);
	}
	if (list_empty(&w->node))
		return 0; /* a wake-up is never lost to a signal that came with it */
	list_remove(&w->node);
	return r;
}

static long futex_wait(uint64_t addr, bool shared, uint32_t value, uint32_t bitset, uint64_t deadline);

static long futex_wait_again(struct task *t)
{
	const uint64_t *a = t->restart_args;

	return futex_wait(a[0], a[1], (uint32_t)a[2], (uint32_t)a[3], a[4]);
}

static long futex_wait(uint64_t addr, bool shared, uint32_t value, uint32_t bitset, uint64_t deadline)
{
	struct futex_waiter w = {.task = current, .bitset = bitset};
	uint32_t word;

	if (!bitset)
		return -EINVAL;
	int r = futex_key(addr, shared, &w.key);
	if (r)
		return r;
	if (get_user(word, addr))
		return -EFAULT;
	if (word != value)
		return -EAGAIN;
	waiter_queue(&w);
	r = waiter_sleep(&w, deadline);
	if (r == -ERESTARTSYS && deadline != NO_DEADLINE) {
		const uint64_t args[] = {addr, shared, value, bitset, deadline};
		memcpy(current->restart_args, args, sizeof(args));
		current->restart = futex_wait_again;
		return -ERESTART_RESTARTBLOCK;
	}
	return r;
}

/* --- waiting for one of many --- */

static long waitv_sleep(struct futex_waiter *w, unsigned count, uint64_t deadline)
{
	for (;;) {
		for (unsigned i = 0; i < count; i++)
			if (list_empty(&w[i].node))
				return i;
		task_prepare();
		int r = task_sleep(deadline, true);
		if (r)
			return r;
	}
}

/* Queues a waiter for each word. */
static int waitv_queue(struct futex_waiter *w, unsigned count, uint64_t uwaiters)
{
	struct futex_waitv v;
	uint32_t word;

	for (unsigned i = 0; i < count; i++) {
		w[i] = (struct futex_waiter){.task = current, .bitset = ~0u};
		list_init(&w[i].node);
	}
	for (unsigned i = 0; i < count; i++) {
		if (get_user(v, uwaiters + i * sizeof(v)))
			return -EFAULT;
		if ((v.flags & ~(uint32_t)(FUTEX_32 | FUTEX_PRIVATE_FLAG)) || !(v.flags & FUTEX_32) || v.__reserved)
			return -EINVAL;
		int r = futex_key(v.uaddr, !(v.flags & FUTEX_PRIVATE_FLAG), &w[i].key);
		if (r)
			return r;
		if (get_user(word, v.uaddr))
			return -EFAULT;
		if (word != (uint32_t)v.val)
			return -EAGAIN;
		waiter_queue(&w[i]);
	}
	return 0;
}

/* The absolute time `at` of CLOCK_REALTIME, or else CLOCK_MONOTONIC, as a deadline. */
static uint64_t deadline_at(uint64_t at, bool realtime)
{
	if (!realtime)
		return at;
	uint64_t now = now_realtime_ns();
	return deadline_after(at > now ? at - now : 0);
}

SYSCALL(futex_waitv, uint64_t uwaiters, unsigned count, unsigned flags, uint64_t utimeout, int clock)
{
	uint64_t deadline = NO_DEADLINE;
	struct k_timespec ts;

	if (flags || !count || count > FUTEX_WAITV_MAX || !uwaiters)
		return -EINVAL;
	if (utimeout) {
		if (clock != 0 && clock != 1) /* CLOCK_REALTIME, CLOCK_MONOTONIC */
			return -EINVAL;
		if (get_user(ts, utimeout))
			return -EFAULT;
		if (!timespec_valid(&ts))
			return -EINVAL;
		deadline = deadline_at(timespec_to_ns(&ts), clock == 0);
	}
	struct futex_waiter *w = kmalloc(count * sizeof(*w));
	if (!w)
		return -ENOMEM;
	long r = waitv_queue(w, count, uwaiters);
	if (!r)
		r = waitv_sleep(w, count, deadline);
	for (unsigned i = 0; i < count; i++) {
		if ((r == -ETIMEDOUT || r == -ERESTARTSYS) && list_empty(&w[i].node))
			r = i; /* a wake-up is never lost to a signal that came with it */
		list_remove(&w[i].node);
	}
	kfree(w);
	return r;
}

/* --- waking --- */

static long wake_key(const struct futex_key *key, int count, uint32_t bitset)
{
	long woken = 0;

	list_for_each_safe(w, next, bucket_of(key), struct futex_waiter, node) {
		if (!key_equal(&w->key, key))
			continue;
		if (w->pi)
			return -EINVAL;
		if (!(w->bitset & bitset))
			continue;
		waiter_wake(w);
		if (++woken >= count)
			break;
	}
	return woken;
}

static long futex_wake(uint64_t addr, bool shared, int count, uint32_t bitset)
{
	struct futex_key key;

	if (!bitset)
		return -EINVAL;
	int r = futex_key(addr, shared, &key);
	return r ? r : wake_key(&key, count, bitset);
}

static long futex_requeue(uint64_t addr, uint64_t addr2, bool shared, int wake, int requeue, const uint32_t *expected)
{
	struct futex_key key, key2;
	uint32_t word;
	long done = 0;

	if (wake < 0 || requeue < 0)
		return -EINVAL;
	int r = futex_key(addr, shared, &key);
	if (!r)
		r = futex_key(addr2, shared, &key2);
	if (r)
		return r;
	if (expected) {
		if (get_user(word, addr))
			return -EFAULT;
		if (word != *expected)
			return -EAGAIN;
	}
	list_for_each_safe(w, next, bucket_of(&key), struct futex_waiter, node) {
		if (!key_equal(&w->key, &key))
			continue;
		if (w->pi)
			return -EINVAL;
		if (done >= (long)wake + requeue)
			break;
		if (done++ < wake) {
			waiter_wake(w);
		} else if (!key_equal(&key, &key2)) {
			list_remove(&w->node);
			w->key = key2;
			waiter_queue(w);
		}
	}
	return done;
}

/* The operation that FUTEX_WAKE_OP does on the second word, and the comparison with its old value. */
static int wake_op_apply(uint32_t code, uint64_t addr, bool *ret_compares)
{
	unsigned op = code >> 28 & 7, compare = code >> 24 & 15;
	int arg = (int)(code << 8) >> 20, against = (int)(code << 20) >> 20, old, new;

	if (code >> 31)
		arg = (int)(1u << (arg & 31));
	if (get_user(old, addr))
		return -EFAULT;
	switch (op) {
	case FUTEX_OP_SET:
		new = arg;
		break;
	case FUTEX_OP_ADD:
		new = (int)((unsigned)old + (unsigned)arg);
		break;
	case FUTEX_OP_OR:
		new = old | arg;
		break;
	case FUTEX_OP_ANDN:
		new = old & ~arg;
		break;
	case FUTEX_OP_XOR:
		new = old ^ arg;
		break;
	default:
		return -ENOSYS;
	}
	if (put_user(new, addr))
		return -EFAULT;
	switch (compare) {
	case FUTEX_OP_CMP_EQ:
		*ret_compares = old == against;
		return 0;
	case FUTEX_OP_CMP_NE:
		*ret_compares = old != against;
		return 0;
	case FUTEX_OP_CMP_LT:
		*ret_compares = old < against;
		return 0;
	case FUTEX_OP_CMP_LE:
		*ret_compares = old <= against;
		return 0;
	case FUTEX_OP_CMP_GT:
		*ret_compares = old > against;
		return 0;
	case FUTEX_OP_CMP_GE:
		*ret_compares = old >= against;
		return 0;
	default:
		return -ENOSYS;
	}
}

static long futex_wake_op(uint64_t addr, uint64_t addr2, bool shared, int wake, int wake2, uint32_t code)
{
	struct futex_key key, key2;
	bool compares = false;

	int r = futex_key(addr, shared, &key);
	if (!r)
		r = futex_key(addr2, shared, &key2);
	if (!r)
		r = wake_op_apply(code, addr2, &compares);
	if (r)
		return r;
	long woken = wake_key(&key, wake, ~0u);
	if (woken < 0 || !compares)
		return woken;
	long woken2 = wake_key(&key2, wake2, ~0u);
	return woken2 < 0 ? woken2 : woken + woken2;
}

/* --- locks with an owner (PI): the word is handed to the longest waiter; there are no priorities to inherit --- */

static struct futex_waiter *pi_waiter(const struct futex_key *key, const struct futex_waiter *except)
{
	list_for_each(w, bucket_of(key), struct futex_waiter, node) {
		if (w != except && w->pi && key_equal(&w->key, key))
			return w;
	}
	return NULL;
}

/* Gives the word to the first waiter, or frees it. dead: its owner died. */
static int pi_hand_over(const struct futex_key *key, uint64_t addr, uint32_t dead)
{
	struct futex_waiter *w = pi_waiter(key, NULL);
	uint32_t word = dead;

	if (w)
		word |= (uint32_t)w->task->tid | (pi_waiter(key, w) ? FUTEX_WAITERS : 0);
	if (put_user(word, addr))
		return -EFAULT;
	if (w)
		waiter_wake(w);
	return 0;
}

static long futex_lock_pi(uint64_t addr, bool shared, uint64_t deadline, bool try)
{
	struct futex_waiter w = {.task = current, .bitset = ~0u, .pi = true};
	uint32_t word, tid = (uint32_t)current->tid;

	int r = futex_key(addr, shared, &w.key);
	if (r)
		return r;
	if (get_user(word, addr))
		return -EFAULT;
	if ((word & FUTEX_TID_MASK) == tid)
		return -EDEADLK;
	if (!(word & FUTEX_TID_MASK) && !pi_waiter(&w.key, NULL))
		return put_user(tid | (word & FUTEX_OWNER_DIED), addr);
	if (try)
		return -EAGAIN;
	if ((word & FUTEX_TID_MASK) && !task_by_tid((int)(word & FUTEX_TID_MASK)))
		return -ESRCH;
	if (put_user(word | FUTEX_WAITERS, addr))
		return -EFAULT;
	waiter_queue(&w);
	return waiter_sleep(&w, deadline);
}

static long futex_unlock_pi(uint64_t addr, bool shared)
{
	struct futex_key key;
	uint32_t word;

	if (get_user(word, addr))
		return -EFAULT;
	if ((word & FUTEX_TID_MASK) != (uint32_t)current->tid)
		return -EPERM;
	int r = futex_key(addr, shared, &key);
	return r ? r : pi_hand_over(&key, addr, 0);
}

/* --- the call --- */

static int futex_deadline(int op, uint64_t utimeout, uint64_t *ret)
{
	int command = op & FUTEX_CMD_MASK;
	struct k_timespec ts;

	*ret = NO_DEADLINE;
	if (!utimeout || (command != FUTEX_WAIT && command != FUTEX_WAIT_BITSET && command != FUTEX_LOCK_PI && command != FUTEX_LOCK_PI2))
		return 0;
	if (get_user(ts, utimeout))
		return -EFAULT;
	if (!timespec_valid(&ts))
		return -EINVAL;
	if (command == FUTEX_WAIT)
		*ret = deadline_after(timespec_to_ns(&ts));
	else
		*ret = deadline_at(timespec_to_ns(&ts), (op & FUTEX_CLOCK_REALTIME) || command == FUTEX_LOCK_PI);
	return 0;
}

SYSCALL(futex, uint64_t addr, int op, uint32_t value, uint64_t utimeout, uint64_t addr2, uint32_t value3)
{
	bool shared = !(op & FUTEX_PRIVATE_FLAG);
	int command = op & FUTEX_CMD_MASK, count2 = (int)utimeout;
	uint64_t deadline;

	int r = futex_deadline(op, utimeout, &deadline);
	if (r)
		return r;
	if ((op & FUTEX_CLOCK_REALTIME) && command != FUTEX_WAIT_BITSET && command != FUTEX_LOCK_PI2)
		return -ENOSYS;
	switch (command) {
	case FUTEX_WAIT:
		return futex_wait(addr, shared, value, ~0u, deadline);
	case FUTEX_WAIT_BITSET:
		return futex_wait(addr, shared, value, value3, deadline);
	case FUTEX_WAKE:
		return futex_wake(addr, shared, (int)value, ~0u);
	case FUTEX_WAKE_BITSET:
		return futex_wake(addr, shared, (int)value, value3);
	case FUTEX_REQUEUE:
		return futex_requeue(addr, addr2, shared, (int)value, count2, NULL);
	case FUTEX_CMP_REQUEUE:
		return futex_requeue(addr, addr2, shared, (int)value, count2, &value3);
	case FUTEX_WAKE_OP:
		return futex_wake_op(addr, addr2, shared, (int)value, count2, value3);
	case FUTEX_LOCK_PI:
	case FUTEX_LOCK_PI2:
		return futex_lock_pi(addr, shared, deadline, false);
	case FUTEX_TRYLOCK_PI:
		return futex_lock_pi(addr, shared, deadline, true);
	case FUTEX_UNLOCK_PI:
		return futex_unlock_pi(addr, shared);
	default:
		return -ENOSYS;
	}
}

/* --- robust lists: locks of a thread that dies --- */

#define ROBUST_LIST_LIMIT 2048
struct k_robust_list_head {
	uint64_t next;
	int64_t futex_offset;
	uint64_t op_pending;
};

SYSCALL(set_robust_list, uint64_t head, uint64_t len)
{
	if (len != sizeof(struct k_robust_list_head))
		return -EINVAL;
	current->robust_list = head;
	return 0;
}

SYSCALL(get_robust_list, int pid, uint64_t uhead, uint64_t ulen)
{
	const struct task *t = pid ? task_by_tid(pid) : current;
	uint64_t len = sizeof(struct k_robust_list_head);

	if (!t)
		return -ESRCH;
	if (t->process != current->process && !capable(19 /* CAP_SYS_PTRACE */))
		return -EPERM;
	return put_user(len, ulen) || put_user(t->robust_list, uhead) ? -EFAULT : 0;
}

SYSCALL(set_tid_address, uint64_t addr)
{
	current->clear_tid = addr;
	return current->tid;
}

/* The lock at addr if t holds it: marked, and given to who waits. pending: t may have died between taking and listing it. */
static int robust_release(const struct task *t, uint64_t addr, bool pi, bool pending)
{
	struct futex_key key;
	uint32_t word;

	if (futex_key(addr, true, &key) || get_user(word, addr))
		return -EFAULT;
	if (pending && !pi && !word) {
		wake_key(&key, 1, ~0u);
		return 0;
	}
	if ((word & FUTEX_TID_MASK) != (uint32_t)t->tid)
		return 0;
	if (pi)
		return pi_hand_over(&key, addr, FUTEX_OWNER_DIED);
	if (put_user((word & FUTEX_WAITERS) | FUTEX_OWNER_DIED, addr))
		return -EFAULT;
	if (word & FUTEX_WAITERS) {
		wake_key(&key, 1, ~0u);
		key = (struct futex_key){t->process->mm, addr}; /* waiters may have called it private */
		wake_key(&key, 1, ~0u);
	}
	return 0;
}

static void robust_list_walk(const struct task *t)
{
	struct k_robust_list_head head;
	uint64_t entry, next;

	/* Bit 0 of an entry's address says that the lock is a PI one. */
	if (!t->robust_list || get_user(head, t->robust_list))
		return;
	entry = head.next;
	for (int i = 0; i < ROBUST_LIST_LIMIT && (entry & ~1ull) != t->robust_list; i++) {
		bool last = get_user(next, entry & ~1ull);
		if ((entry & ~1ull) != (head.op_pending & ~1ull) &&
			robust_release(t, (entry & ~1ull) + (uint64_t)head.futex_offset, entry & 1, false))
			return;
		if (last)
			return;
		entry = next;
	}
	if (head.op_pending)
		robust_release(t, (head.op_pending & ~1ull) + (uint64_t)head.futex_offset, head.op_pending & 1, true);
}

void futex_exit_thread(struct task *t)
{
	struct futex_key key;

	robust_list_walk(t);
	t->robust_list = 0;
	if (!t->clear_tid)
		return;
	/* pthread_join waits for this word; shared, as Linux. */
	if (!put_user((uint32_t)0, t->clear_tid) && !futex_key(t->clear_tid, true, &key)) {
		wake_key(&key, 1, ~0u);
		key = (struct futex_key){t->process->mm, t->clear_tid};
		wake_key(&key, 1, ~0u);
	}
	t->clear_tid = 0;
}
