/* System V message queues: msgget, msgsnd, msgrcv, msgctl. Owns the queues; trusts no argument. */
#include "kernel/syscall/define.h"
#include "kernel/syscall/ipc.h"

#include <asm/msgbuf.h>

/* uapi/linux/msg.h, which needs libc */
enum { MSG_STAT = 11, MSG_INFO = 12, MSG_STAT_ANY = 13, MSG_NOERROR = 010000, MSG_EXCEPT = 020000, MSG_COPY = 040000 };
enum { QUEUES_MAX = 32000, MESSAGE_MAX = 8192, QUEUE_BYTES_MAX = 16384 };
struct msginfo {
	int pool, map, max, mnb, mni, ssz, tql;
	uint16_t seg;
};

struct message {
	struct list node;
	int64_t type;
	size_t len;
	uint8_t data[];
};
struct queue {
	struct ipc_object ipc;
	unsigned refs; /* the table's, and one each sleeper's */
	bool removed;
	struct list messages;
	uint64_t bytes, count, bytes_max;
	int64_t sent_ns, received_ns;
	int sender, receiver;
	struct wait_queue wait;
};

static struct ipc_table queues = {.max = QUEUES_MAX};

static struct queue *queue_by_id(int id)
{
	return (struct queue *)ipc_by_id(&queues, id);
}

static void queue_unref(struct queue *q)
{
	if (!--q->refs)
		kfree(q);
}

SYSCALL(msgget, int key, int flags)
{
	struct queue *q = (struct queue *)ipc_by_key(&queues, key);

	if (q) {
		if (flags & IPC_CREAT && flags & IPC_EXCL)
			return -EEXIST;
		return ipc_permitted(&q->ipc, (unsigned)flags) ? -EACCES : q->ipc.id;
	}
	if (key != IPC_PRIVATE && !(flags & IPC_CREAT))
		return -ENOENT;
	q = kzalloc(sizeof(*q));
	if (!q)
		return -ENOMEM;
	q->refs = 1;
	q->bytes_max = QUEUE_BYTES_MAX;
	list_init(&q->messages);
	wait_queue_init(&q->wait);
	int r = ipc_add(&queues, &q->ipc, key, flags);

	if (r < 0)
		kfree(q);
	return r;
}

static bool fits(const struct queue *q, size_t len)
{
	return len + q->bytes <= q->bytes_max && 1 + q->count <= q->bytes_max;
}

SYSCALL(msgsnd, int id, uint64_t user, uint64_t len, int flags)
{
	int64_t type;

	if (get_user(type, user))
		return -EFAULT;
	if (len > MESSAGE_MAX || id < 0 || type < 1)
		return -EINVAL;
	struct message *m = kmalloc(sizeof(*m) + len);

	if (!m)
		return -ENOMEM;
	*m = (struct message){.type = type, .len = len};
	long r = copy_from_user(m->data, user + sizeof(type), len);
	struct queue *q = r ? NULL : queue_by_id(id);

	if (!r)
		r = !q ? -EINVAL : ipc_permitted(&q->ipc, IPC_MAY_WRITE);
	if (!r && !fits(q, len) && flags & IPC_NOWAIT)
		r = -EAGAIN;
	if (r) {
		kfree(m);
		return r;
	}
	q->refs++;
	r = wait_until(&q->wait, q->removed || fits(q, len), NO_DEADLINE);
	r = q->removed ? -EIDRM : r ? -EINTR : 0;
	if (r) {
		kfree(m);
	} else {
		list_push_back(&q->messages, &m->node);
		q->bytes += len;
		q->count++;
		q->sender = current->process->pid;
		q->sent_ns = (int64_t)now_realtime_ns();
		wait_queue_wake(&q->wait, 0);
	}
	queue_unref(q);
	return r;
}

/* The message that a receiver with this type gets. */
static struct message *choose(const struct queue *q, int64_t type, int flags)
{
	struct message *best = NULL;
	int64_t left = type;

	list_for_each(m, &q->messages, struct message, node) {
		if (flags & MSG_COPY) {
			if (!left--)
				return m;
		} else if (type < 0) {
			if ((uint64_t)m->type <= -(uint64_t)type && (!best || m->type < best->type))
				best = m;
		} else if (!type || (flags & MSG_EXCEPT ? m->type != type : m->type == type)) {
			return m;
		}
	}
	return best;
}

static long take(struct queue *q, struct message *m, uint64_t user, uint64_t size, int flags)
{
	if (m->len > size && !(flags & MSG_NOERROR))
		return -E2BIG;
	if (!(flags & MSG_COPY)) {
		list_remove(&m->node);
		q->bytes -= m->len;
		q->count--;
		q->receiver = current->process->pid;
		q->received_ns = (int64_t)now_realtime_ns();
		wait_queue_wake(&q->wait, 0);
	}
	size = vb_min(size, (uint64_t)m->len);
	long r = put_user(m->type, user) || copy_to_user(user + sizeof(m->type), m->data, size) ? -EFAULT : (long)size;

	if (!(flags & MSG_COPY))
		kfree(m);
	return r;
}

SYSCALL(msgrcv, int id, uint64_t user, uint64_t size, int64_t type, int flags)
{
	struct message *m = NULL;

	if (id < 0 || (int64_t)size < 0)
		return -EINVAL;
	if (flags & MSG_COPY && (flags & MSG_EXCEPT || !(flags & IPC_NOWAIT)))
		return -EINVAL;
	struct queue *q = queue_by_id(id);

	if (!q)
		return -EINVAL;
	if (ipc_permitted(&q->ipc, IPC_MAY_READ))
		return -EACCES;
	if (flags & IPC_NOWAIT && !choose(q, type, flags))
		return -ENOMSG;
	q->refs++;
	long r = wait_until(&q->wait, q->removed || (m = choose(q, type, flags)), NO_DEADLINE);

	r = q->removed ? -EIDRM : r ? -EINTR : take(q, m, user, size, flags);
	queue_unref(q);
	return r;
}

static long info(int cmd, uint64_t buf)
{
	struct msginfo i = {.mni = QUEUES_MAX,
		.max = MESSAGE_MAX,
		.mnb = QUEUE_BYTES_MAX,
		.ssz = 16,
		.seg = 0xffff,
		.map = QUEUE_BYTES_MAX,
		.tql = QUEUE_BYTES_MAX};
	unsigned used;
	long highest = ipc_highest(&queues, &used);

	i.pool = (int)((uint64_t)QUEUES_MAX * QUEUE_BYTES_MAX / 1024);
	if (cmd == MSG_INFO) {
		i.pool = (int)used;
		i.map = i.tql = 0;
		for (unsigned at = 0; at < queues.size; at++) {
			const struct queue *q = (struct queue *)queues.slot[at];
			i.map += q ? (int)q->count : 0;
			i.tql += q ? (int)q->bytes : 0;
		}
	}
	return put_user(i, buf) ? -EFAULT : highest;
}

static long describe(const struct queue *q, uint64_t buf)
{
	struct msqid64_ds ds = {.msg_stime = q->sent_ns / (int64_t)NSEC_PER_SEC,
		.msg_rtime = q->received_ns / (int64_t)NSEC_PER_SEC,
		.msg_ctime = q->ipc.change_ns / (int64_t)NSEC_PER_SEC,
		.msg_cbytes = q->bytes,
		.msg_qnum = q->count,
		.msg_qbytes = q->bytes_max,
		.msg_lspid = q->sender,
		.msg_lrpid = q->receiver};

	ipc_describe(&q->ipc, &ds.msg_perm);
	return put_user(ds, buf);
}

static void remove(struct queue *q)
{
	ipc_remove(&queues, &q->ipc);
	q->removed = true;
	list_for_each_safe(m, next, &q->messages, struct message, node)
		kfree(m);
	list_init(&q->messages);
	wait_queue_wake(&q->wait, 0);
	queue_unref(q);
}

SYSCALL(msgctl, int id, int cmd, uint64_t buf)
{
	struct msqid64_ds ds;
	bool by_slot = cmd == MSG_STAT || cmd == MSG_STAT_ANY;

	if (id < 0 || cmd < 0)
		return -EINVAL;
	if (cmd == IPC_INFO || cmd == MSG_INFO)
		return info(cmd, buf);
	if (cmd == IPC_SET && get_user(ds, buf))
		return -EFAULT;
	struct queue *q = by_slot ? (struct queue *)ipc_by_slot(&queues, id) : queue_by_id(id);

	if (!q)
		return -EINVAL;
	switch (cmd) {
	case IPC_STAT:
	case MSG_STAT:
		if (ipc_permitted(&q->ipc, IPC_MAY_READ))
			return -EACCES;
		__attribute__((fallthrough));
	case MSG_STAT_ANY:
		return describe(q, buf) ? -EFAULT : by_slot ? q->ipc.id : 0;
	case IPC_SET:
	case IPC_RMID:
		if (ipc_owner_or_capable(&q->ipc, CAP_SYS_ADMIN))
			return -EPERM;
		if (cmd == IPC_RMID) {
			remove(q);
			return 0;
		}
		if (ds.msg_qbytes > QUEUE_BYTES_MAX && !capable(CAP_SYS_RESOURCE))
			return -EPERM;
		ipc_set(&q->ipc, &ds.msg_perm);
		q->bytes_max = ds.msg_qbytes;
		wait_queue_wake(&q->wait, 0);
		return 0;
	default:
		return -EINVAL;
	}
}

int ipc_show_msg(struct proc_text *t, const struct proc_subject *s)
{
	proc_printf(t, "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      stime      rtime      "
		       "ctime\n");
	for (unsigned i = 0; i < queues.size; i++) {
		const struct queue *q = (struct queue *)queues.slot[i];
		if (!q)
			continue;
		proc_printf(t, "%10d %10d  %4o  %10llu %10llu %5u %5u %5u %5u %5u %5u %10llu %10llu %10llu\n", q->ipc.key, q->ipc.id,
			q->ipc.mode, (unsigned long long)q->bytes, (unsigned long long)q->count, (unsigned)q->sender, (unsigned)q->receiver,
			q->ipc.uid, q->ipc.gid, q->ipc.cuid, q->ipc.cgid, (unsigned long long)q->sent_ns / NSEC_PER_SEC,
			(unsigned long long)q->received_ns / NSEC_PER_SEC, (unsigned long long)q->ipc.change_ns / NSEC_PER_SEC);
	}
	return 0;
}
