/* System V semaphores: semget, semop, semtimedop, semctl. Owns the sets; trusts no argument.
 *
 * SEM_UNDO asks for what happens when the process ends. The cell ends with it, and all sets with the cell: nothing is to do.
 */
#include "kernel/syscall/define.h"
#include "kernel/syscall/ipc.h"

#include <asm/sembuf.h>

/* uapi/linux/sem.h, which needs libc */
enum {
	GETPID = 11,
	GETVAL = 12,
	GETALL = 13,
	GETNCNT = 14,
	GETZCNT = 15,
	SETVAL = 16,
	SETALL = 17,
	SEM_STAT = 18,
	SEM_INFO = 19,
	SEM_STAT_ANY = 20,
	SEM_UNDO = 0x1000
};
enum { SETS_MAX = 32000, SET_SEMAPHORES_MAX = 32000, SEMAPHORES_MAX = 1024000000, OPERATIONS_MAX = 500, VALUE_MAX = 32767 };
struct sembuf {
	uint16_t num;
	int16_t op, flags;
};
struct seminfo {
	int map, mni, mns, mnu, msl, opm, ume, usz, vmx, aem;
};

struct semaphore {
	int value, pid;
};
struct waiter { /* in a call that sleeps */
	struct list node;
	struct sembuf on; /* the operation that must wait */
};
struct sem_set {
	struct ipc_object ipc;
	unsigned refs; /* the table's, and one each sleeper's */
	bool removed;
	unsigned count;
	int64_t operation_ns;
	struct list waiters;
	struct wait_queue wait;
	struct semaphore sem[];
};

static struct ipc_table sets = {.max = SETS_MAX};

static struct sem_set *set_by_id(int id)
{
	return (struct sem_set *)ipc_by_id(&sets, id);
}

static void set_unref(struct sem_set *s)
{
	if (!--s->refs)
		kfree(s);
}

static void changed(struct sem_set *s)
{
	wait_queue_wake(&s->wait, 0);
}

SYSCALL(semget, int key, int count, int flags)
{
	struct sem_set *s = (struct sem_set *)ipc_by_key(&sets, key);

	if (count < 0 || count > SET_SEMAPHORES_MAX)
		return -EINVAL;
	if (s) {
		if (flags & IPC_CREAT && flags & IPC_EXCL)
			return -EEXIST;
		if ((unsigned)count > s->count)
			return -EINVAL;
		return ipc_permitted(&s->ipc, (unsigned)flags) ? -EACCES : s->ipc.id;
	}
	if (key != IPC_PRIVATE && !(flags & IPC_CREAT))
		return -ENOENT;
	if (!count)
		return -EINVAL;
	s = kzalloc(sizeof(*s) + (size_t)count * sizeof(*s->sem));
	if (!s)
		return -ENOMEM;
	s->count = (unsigned)count;
	s->refs = 1;
	list_init(&s->waiters);
	wait_queue_init(&s->wait);
	int r = ipc_add(&sets, &s->ipc, key, flags);

	if (r < 0)
		kfree(s);
	return r;
}

/* All operations or none. 1: must wait for *ret_on. */
static int try_operations(struct sem_set *s, const struct sembuf *ops, unsigned count, struct sembuf *ret_on)
{
	unsigned i;
	int r = 0;

	for (i = 0; i < count; i++) {
		int *value = &s->sem[ops[i].num].value, after = *value + ops[i].op;

		if (ops[i].op ? after < 0 : *value) {
			*ret_on = ops[i];
			r = ops[i].flags & IPC_NOWAIT ? -EAGAIN : 1;
			break;
		}
		if (after > VALUE_MAX) {
			r = -ERANGE;
			break;
		}
		*value = after;
	}
	if (r) {
		while (i--)
			s->sem[ops[i].num].value -= ops[i].op;
		return r;
	}
	for (i = 0; i < count; i++)
		s->sem[ops[i].num].pid = current->process->pid;
	s->operation_ns = (int64_t)now_realtime_ns();
	return 0;
}

/* Each wake-up of the queue has changed something: all try again. */
static long operate(struct sem_set *s, const struct sembuf *ops, unsigned count, bool alters, uint64_t deadline)
{
	struct waiter w;
	struct wait_entry e = {.task = current};
	int r;

	s->refs++;
	for (;;) {
		r = s->removed ? -EIDRM : try_operations(s, ops, count, &w.on);
		if (r <= 0)
			break;
		task_prepare();
		wait_queue_add(&s->wait, &e);
		list_push_back(&s->waiters, &w.node);
		r = task_sleep(deadline, true);
		list_remove(&w.node);
		wait_queue_remove(&e);
		if (r && !s->removed) {
			int now = r == -ETIMEDOUT ? try_operations(s, ops, count, &w.on) : 1;

			r = now == 0 ? 0 : r == -ETIMEDOUT ? -EAGAIN : -EINTR;
			break;
		}
	}
	if (!r && alters)
		changed(s);
	set_unref(s);
	return r;
}

SYSCALL(semtimedop, int id, uint64_t user_ops, uint64_t count, uint64_t timeout)
{
	struct k_timespec t;
	uint64_t deadline = NO_DEADLINE;
	bool alters = false;
	unsigned highest = 0;

	if (timeout && get_user(t, timeout))
		return -EFAULT;
	if ((unsigned)count > OPERATIONS_MAX)
		return -E2BIG;
	if (!(unsigned)count)
		return -EINVAL;
	count = (unsigned)count;
	struct sembuf *ops = kmalloc(count * sizeof(*ops));

	if (!ops)
		return -ENOMEM;
	long r = copy_from_user(ops, user_ops, count * sizeof(*ops));

	if (!r && (id < 0 || (timeout && !timespec_valid(&t))))
		r = -EINVAL;
	if (!r && timeout)
		deadline = deadline_after(timespec_to_ns(&t));
	for (unsigned i = 0; !r && i < count; i++) {
		highest = vb_max(highest, (unsigned)ops[i].num);
		alters |= ops[i].op;
	}
	struct sem_set *s = r ? NULL : set_by_id(id);

	if (!r)
		r = !s ? -EINVAL : highest >= s->count ? -EFBIG : ipc_permitted(&s->ipc, alters ? IPC_MAY_WRITE : IPC_MAY_READ);
	r = r ? r : operate(s, ops, (unsigned)count, alters, deadline);
	kfree(ops);
	return r;
}

SYSCALL(semop, int id, uint64_t ops, uint64_t count)
{
	return sys_semtimedop(id, ops, count, 0);
}

static long info(int cmd, uint64_t buf)
{
	struct seminfo i = {.mni = SETS_MAX,
		.mns = SEMAPHORES_MAX,
		.msl = SET_SEMAPHORES_MAX,
		.opm = OPERATIONS_MAX,
		.vmx = VALUE_MAX,
		.mnu = SEMAPHORES_MAX,
		.map = SEMAPHORES_MAX,
		.ume = OPERATIONS_MAX,
		.usz = 20,
		.aem = VALUE_MAX};
	unsigned used;
	long highest = ipc_highest(&sets, &used);

	if (cmd == SEM_INFO) {
		i.usz = (int)used;
		i.aem = 0;
		for (unsigned at = 0; at < sets.size; at++)
			i.aem += sets.slot[at] ? (int)((struct sem_set *)sets.slot[at])->count : 0;
	}
	return put_user(i, buf) ? -EFAULT : highest;
}

static long describe(const struct sem_set *s, uint64_t buf)
{
	struct semid64_ds ds = {.sem_nsems = s->count,
		.sem_otime = s->operation_ns / (int64_t)NSEC_PER_SEC,
		.sem_ctime = s->ipc.change_ns / (int64_t)NSEC_PER_SEC};

	ipc_describe(&s->ipc, &ds.sem_perm);
	return put_user(ds, buf);
}

/* GETALL and SETALL: 16 bits each. */
static long all(struct sem_set *s, int cmd, uint64_t array)
{
	size_t bytes = s->count * sizeof(uint16_t);
	uint16_t *values = kmalloc(bytes);
	long r = values ? 0 : -ENOMEM;

	if (!r && cmd == SETALL)
		r = copy_from_user(values, array, bytes);
	for (unsigned i = 0; !r && cmd == SETALL && i < s->count; i++)
		if (values[i] > VALUE_MAX)
			r = -ERANGE;
	for (unsigned i = 0; !r && i < s->count; i++) {
		if (cmd == SETALL)
			s->sem[i] = (struct semaphore){values[i], current->process->pid};
		else
			values[i] = (uint16_t)s->sem[i].value;
	}
	if (!r && cmd == GETALL)
		r = copy_to_user(array, values, bytes);
	if (!r && cmd == SETALL) {
		s->ipc.change_ns = (int64_t)now_realtime_ns();
		changed(s);
	}
	kfree(values);
	return r;
}

static long waiters(const struct sem_set *s, unsigned num, bool for_zero)
{
	long n = 0;

	list_for_each(w, &s->waiters, struct waiter, node)
		n += w->on.num == num && (w->on.op == 0) == for_zero;
	return n;
}

static long of_one(struct sem_set *s, int num, int cmd, int value)
{
	if (num < 0 || (unsigned)num >= s->count)
		return -EINVAL;
	struct semaphore *sem = &s->sem[num];

	switch (cmd) {
	case GETVAL:
		return sem->value;
	case GETPID:
		return sem->pid;
	case GETNCNT:
	case GETZCNT:
		return waiters(s, (unsigned)num, cmd == GETZCNT);
	default:
		*sem = (struct semaphore){value, current->process->pid};
		s->ipc.change_ns = (int64_t)now_realtime_ns();
		changed(s);
		return 0;
	}
}

static void remove(struct sem_set *s)
{
	ipc_remove(&sets, &s->ipc);
	s->removed = true;
	changed(s);
	set_unref(s);
}

SYSCALL(semctl, int id, int num, int cmd, uint64_t arg)
{
	struct semid64_ds ds;
	bool by_slot = cmd == SEM_STAT || cmd == SEM_STAT_ANY;

	if (id < 0)
		return -EINVAL;
	if (cmd == IPC_INFO || cmd == SEM_INFO)
		return info(cmd, arg);
	if (cmd == SETVAL && (uint32_t)arg > VALUE_MAX)
		return -ERANGE;
	if (cmd == IPC_SET && get_user(ds, arg))
		return -EFAULT;
	struct sem_set *s = by_slot ? (struct sem_set *)ipc_by_slot(&sets, id) : set_by_id(id);

	if (!s)
		return -EINVAL;
	switch (cmd) {
	case IPC_STAT:
	case SEM_STAT:
		if (ipc_permitted(&s->ipc, IPC_MAY_READ))
			return -EACCES;
		__attribute__((fallthrough));
	case SEM_STAT_ANY:
		return describe(s, arg) ? -EFAULT : by_slot ? s->ipc.id : 0;
	case IPC_SET:
	case IPC_RMID:
		if (ipc_owner_or_capable(&s->ipc, CAP_SYS_ADMIN))
			return -EPERM;
		if (cmd == IPC_SET)
			ipc_set(&s->ipc, &ds.sem_perm);
		else
			remove(s);
		return 0;
	case GETALL:
	case SETALL:
		return ipc_permitted(&s->ipc, cmd == SETALL ? IPC_MAY_WRITE : IPC_MAY_READ) ? -EACCES : all(s, cmd, arg);
	case GETVAL:
	case GETPID:
	case GETNCNT:
	case GETZCNT:
	case SETVAL:
		return ipc_permitted(&s->ipc, cmd == SETVAL ? IPC_MAY_WRITE : IPC_MAY_READ) ? -EACCES : of_one(s, num, cmd, (int)arg);
	default:
		return -EINVAL;
	}
}

int ipc_show_sem(struct proc_text *t, const struct proc_subject *subject)
{
	proc_printf(t, "       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n");
	for (unsigned i = 0; i < sets.size; i++) {
		const struct sem_set *s = (struct sem_set *)sets.slot[i];
		if (!s)
			continue;
		proc_printf(t, "%10d %10d  %4o %10u %5u %5u %5u %5u %10llu %10llu\n", s->ipc.key, s->ipc.id, s->ipc.mode, s->count,
			s->ipc.uid, s->ipc.gid, s->ipc.cuid, s->ipc.cgid, (unsigned long long)s->operation_ns / NSEC_PER_SEC,
			(unsigned long long)s->ipc.change_ns / NSEC_PER_SEC);
	}
	return 0;
}
