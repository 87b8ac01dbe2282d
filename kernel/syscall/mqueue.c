/* POSIX message queues: mq_open, mq_unlink, mq_timedsend, mq_timedreceive, mq_notify, mq_getsetattr. Owns the queues, each
 * an inode that is on no file system but in the list of names here. Trusts no argument.
 */
#include "kernel/fs/fs_private.h"
#include "kernel/syscall/define.h"

#include <linux/mqueue.h>

/* What /proc/sys/fs/mqueue says, and what a privileged program may go up to. */
enum { QUEUES_MAX = 256, MESSAGES_DEFAULT = 10, BYTES_DEFAULT = 8192, MESSAGES_MAX = 65536, BYTES_MAX = 16 << 20 };
enum { EVENT_SIGNAL = 0, EVENT_NONE = 1, EVENT_THREAD = 2, SI_MESGQ_ = -3, SIZE_SHOWN = 80 };
struct k_sigevent {
	uint64_t value;
	int32_t signo, notify, pad[12];
};

struct message {
	struct list node;
	unsigned priority;
	size_t len;
	uint8_t data[];
};
struct mqueue {
	struct inode inode;
	struct list node; /* while it has a name */
	char name[NAME_MAX + 2];
	struct list messages; /* the highest priority first, then the oldest */
	uint64_t count, bytes, count_max, bytes_max;
	unsigned receivers; /* asleep */
	int notify_pid;     /* 0: nobody asked */
	struct k_sigevent event;
	struct wait_queue wait;
};

static struct list named = LIST_INIT(named);
static unsigned queue_count;
static uint64_t bytes_promised;

static uint64_t promise(const struct mqueue *q) /* what Linux counts against RLIMIT_MSGQUEUE */
{
	return q->count_max * (q->bytes_max + 96);
}

static struct mqueue *queue_of(const struct file *f)
{
	return vb_container_of(f->inode, struct mqueue, inode);
}

static void queue_free(struct inode *inode)
{
	struct mqueue *q = vb_container_of(inode, struct mqueue, inode);

	list_for_each_safe(m, next, &q->messages, struct message, node)
		kfree(m);
	bytes_promised -= promise(q);
	queue_count--;
	kfree(q);
}

static const struct inode_ops queue_inode_ops = {.release = queue_free};

static long queue_read(struct file *f, struct uio *u, uint64_t *pos)
{
	struct mqueue *q = queue_of(f);
	char text[SIZE_SHOWN];
	bool signal = q->notify_pid && q->event.notify == EVENT_SIGNAL;
	size_t len = (size_t)vb_snprintf(text, sizeof(text), "QSIZE:%-10llu NOTIFY:%-5d SIGNO:%-5d NOTIFY_PID:%-6d\n",
		(unsigned long long)q->bytes, q->notify_pid ? q->event.notify : 0, signal ? q->event.signo : 0, q->notify_pid);

	if (*pos >= len)
		return 0;
	long n = uio_put(u, text + *pos, len - *pos);

	*pos += n > 0 ? (uint64_t)n : 0;
	return n;
}

static int64_t queue_seek(struct file *f, int64_t offset, int whence)
{
	return file_default_seek(f, offset, whence, SIZE_SHOWN);
}

static unsigned queue_poll(struct file *f, struct poll_table *table)
{
	struct mqueue *q = queue_of(f);

	poll_add(table, f, &q->wait);
	return (q->count ? POLL_IN | POLL_RDNORM : 0) | (q->count < q->count_max ? POLL_OUT | POLL_WRNORM : 0);
}

static void queue_release(struct file *f)
{
	queue_of(f)->notify_pid = 0; /* the one process closed it */
}

static const struct file_ops queue_ops = {.read = queue_read, .seek = queue_seek, .poll = queue_poll, .release = queue_release};

static struct mqueue *queue_named(const char *name)
{
	list_for_each(q, &named, struct mqueue, node) {
		if (!strcmp(q->name + 1, name))
			return q;
	}
	return NULL;
}

static int queue_new(const char *name, uint32_t mode, const struct mq_attr *attr, struct mqueue **ret)
{
	bool privileged = capable(CAP_SYS_RESOURCE);
	int64_t count_limit = privileged ? MESSAGES_MAX : MESSAGES_DEFAULT, bytes_limit = privileged ? BYTES_MAX : BYTES_DEFAULT;

	if (queue_count >= QUEUES_MAX && !privileged)
		return -ENOSPC;
	if (attr && (attr->mq_maxmsg <= 0 || attr->mq_msgsize <= 0 || attr->mq_maxmsg > count_limit || attr->mq_msgsize > bytes_limit))
		return -EINVAL;
	struct mqueue *q = kzalloc(sizeof(*q));

	if (!q)
		return -ENOMEM;
	q->count_max = attr ? (uint64_t)attr->mq_maxmsg : MESSAGES_DEFAULT;
	q->bytes_max = attr ? (uint64_t)attr->mq_msgsize : BYTES_DEFAULT;
	if (bytes_promised + promise(q) > current->process->rlimit[RLIMIT_MSGQUEUE].cur) {
		kfree(q);
		return -EMFILE;
	}
	bytes_promised += promise(q);
	queue_count++;
	inode_init(&q->inode, &queue_inode_ops, S_IFREG | (mode & 07777 & ~current->process->fs->umask));
	q->inode.uid = current->creds.fsuid;
	q->inode.gid = current->creds.fsgid;
	q->inode.size = SIZE_SHOWN;
	vb_snprintf(q->name, sizeof(q->name), "/%s", name);
	list_init(&q->messages);
	wait_queue_init(&q->wait);
	list_push_back(&named, &q->node); /* which holds the first reference */
	*ret = q;
	return 0;
}

static int queue_find(const char *name, int flags, uint32_t mode, const struct mq_attr *attr, struct mqueue **ret)
{
	static const int wanted[] = {MAY_READ, MAY_WRITE, MAY_READ | MAY_WRITE};

	if (strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, ".."))
		return -EACCES;
	if (strlen(name) > NAME_MAX)
		return -ENAMETOOLONG;
	*ret = queue_named(name);
	if (!*ret)
		return flags & O_CREAT ? queue_new(name, mode, attr, ret) : -ENOENT;
	if (flags & O_CREAT && flags & O_EXCL)
		return -EEXIST;
	return (flags & O_ACCMODE) == O_ACCMODE ? -EINVAL : inode_permission(&(*ret)->inode, wanted[flags & O_ACCMODE]);
}

SYSCALL(mq_open, uint64_t user_name, int flags, uint32_t mode, uint64_t user_attr)
{
	struct mq_attr attr;
	struct mqueue *q;
	char *name;

	if (flags & O_CREAT && user_attr && get_user(attr, user_attr))
		return -EFAULT;
	int r = path_from_user(user_name, &name);

	if (r)
		return r;
	r = queue_find(name, flags, mode, user_attr ? &attr : NULL, &q);
	kfree(name);
	if (r)
		return r;
	inode_ref(&q->inode);
	struct dentry *d = dentry_new_anonymous(q->name, &q->inode);
	struct file *f = d ? file_new(d, (unsigned)flags & (O_ACCMODE | O_NONBLOCK), &queue_ops) : NULL;

	if (d)
		dentry_unref(d);
	if (!f)
		return -ENOMEM;
	int fd = fd_install(f, 0, true);

	if (fd < 0)
		file_unref(f);
	return fd;
}

SYSCALL(mq_unlink, uint64_t user_name)
{
	char *name;
	int r = path_from_user(user_name, &name);

	if (r)
		return r;
	struct mqueue *q = queue_named(name);

	r = strchr(name, '/')                   ? -EACCES
	    : strlen(name) > NAME_MAX           ? -ENAMETOOLONG
	    : !q                                ? -ENOENT
	    : inode_owner_or_capable(&q->inode) ? 0
						: -EPERM;
	kfree(name);
	if (r)
		return r;
	list_remove(&q->node);
	inode_unref(&q->inode);
	return 0;
}

/* Deadlines are times of day. */
static int deadline_of(uint64_t user, uint64_t *ret)
{
	struct k_timespec t;
	uint64_t now = now_realtime_ns(), then;

	*ret = NO_DEADLINE;
	if (!user)
		return 0;
	if (get_user(t, user))
		return -EFAULT;
	if (!timespec_valid(&t))
		return -EINVAL;
	then = timespec_to_ns(&t);
	*ret = deadline_after(then > now ? then - now : 0);
	return 0;
}

static int queue_get(int fd, bool write, struct file **ret)
{
	struct file *f = fd_ref(fd);

	if (f && f->ops == &queue_ops && (write ? f->writable : f->readable)) {
		*ret = f;
		return 0;
	}
	if (f)
		file_unref(f);
	return -EBADF;
}

static void announce(struct mqueue *q)
{
	struct process *p = q->notify_pid ? process_by_pid(q->notify_pid) : NULL;
	struct k_siginfo info = SIGINFO_USER(q->event.signo);

	q->notify_pid = 0;
	info.code = SI_MESGQ_;
	info.rt.value = q->event.value;
	if (p && q->event.notify == EVENT_SIGNAL && q->event.signo)
		signal_process(p, &info);
}

static void queue_put(struct mqueue *q, struct message *m)
{
	struct list *at = q->messages.next;

	while (at != &q->messages && list_entry(at, struct message, node)->priority >= m->priority)
		at = at->next;
	list_insert_before(at, &m->node);
	q->bytes += m->len;
	if (!q->count++ && !q->receivers && q->notify_pid)
		announce(q);
	wait_queue_wake(&q->wait, POLL_IN | POLL_RDNORM);
}

SYSCALL(mq_timedsend, int fd, uint64_t data, uint64_t len, unsigned priority, uint64_t timeout)
{
	uint64_t deadline;
	struct file *f;
	int r = deadline_of(timeout, &deadline);

	if (!r && priority >= MQ_PRIO_MAX)
		r = -EINVAL;
	r = r ? r : queue_get(fd, true, &f);
	if (r)
		return r;
	struct mqueue *q = queue_of(f);
	struct message *m = len > q->bytes_max ? NULL : kmalloc(sizeof(*m) + len);

	if (!m)
		r = len > q->bytes_max ? -EMSGSIZE : -ENOMEM;
	else
		r = copy_from_user(m->data, data, len);
	if (!r && q->count == q->count_max && f->flags & O_NONBLOCK)
		r = -EAGAIN;
	r = r ? r : wait_until(&q->wait, q->count < q->count_max, deadline);
	if (!r) {
		m->priority = priority;
		m->len = len;
		queue_put(q, m);
	} else {
		kfree(m);
	}
	file_unref(f);
	return r;
}

static long queue_take(struct mqueue *q, uint64_t data, uint64_t user_priority)
{
	struct message *m = list_first(&q->messages, struct message, node);
	long r = (long)m->len;

	list_remove(&m->node);
	q->count--;
	q->bytes -= m->len;
	wait_queue_wake(&q->wait, POLL_OUT | POLL_WRNORM);
	if ((user_priority && put_user(m->priority, user_priority)) || copy_to_user(data, m->data, m->len))
		r = -EFAULT;
	kfree(m);
	return r;
}

SYSCALL(mq_timedreceive, int fd, uint64_t data, uint64_t size, uint64_t priority, uint64_t timeout)
{
	uint64_t deadline;
	struct file *f;
	long r = deadline_of(timeout, &deadline);

	r = r ? r : queue_get(fd, false, &f);
	if (r)
		return r;
	struct mqueue *q = queue_of(f);

	if (size < q->bytes_max) {
		r = -EMSGSIZE;
	} else if (!q->count && f->flags & O_NONBLOCK) {
		r = -EAGAIN;
	} else {
		q->receivers++;
		r = wait_until(&q->wait, q->count, deadline);
		q->receivers--;
	}
	r = r ? r : queue_take(q, data, priority);
	file_unref(f);
	return r;
}

SYSCALL(mq_notify, int fd, uint64_t user_event)
{
	struct k_sigevent event;
	int pid = current->process->pid;

	if (user_event && get_user(event, user_event))
		return -EFAULT;
	if (user_event && (event.notify < EVENT_SIGNAL || event.notify > EVENT_THREAD ||
				  (event.notify == EVENT_SIGNAL && (event.signo < 0 || event.signo > SIG_COUNT))))
		return -EINVAL;
	if (user_event && event.notify == EVENT_THREAD)
		return fd_get(event.signo) ? -ENOTSOCK : -EBADF; /* of a netlink socket, which there is none */
	struct file *f = fd_get(fd);

	if (!f || f->ops != &queue_ops)
		return -EBADF;
	struct mqueue *q = queue_of(f);

	if (!user_event) {
		if (q->notify_pid == pid)
			q->notify_pid = 0;
		return 0;
	}
	if (q->notify_pid)
		return -EBUSY;
	q->notify_pid = pid;
	q->event = event;
	return 0;
}

SYSCALL(mq_getsetattr, int fd, uint64_t user_new, uint64_t user_old)
{
	struct mq_attr new, old;

	if (user_new && get_user(new, user_new))
		return -EFAULT;
	if (user_new && new.mq_flags & ~(long)O_NONBLOCK)
		return -EINVAL;
	struct file *f = fd_get(fd);

	if (!f || f->ops != &queue_ops)
		return -EBADF;
	const struct mqueue *q = queue_of(f);

	old = (struct mq_attr){.mq_flags = f->flags & O_NONBLOCK,
		.mq_maxmsg = (long)q->count_max,
		.mq_msgsize = (long)q->bytes_max,
		.mq_curmsgs = (long)q->count};
	if (user_new)
		f->flags = (f->flags & ~(unsigned)O_NONBLOCK) | (unsigned)new.mq_flags;
	return user_old ? put_user(old, user_old) : 0;
}
