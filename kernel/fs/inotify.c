/* inotify: watching files and directories. Owns the watches, those of an inode in a chain, and the queues of events; every
 * watch holds its inode. Trusts nothing from the program.
 */
#include "kernel/fs/fs_private.h"
#include "kernel/syscall/define.h"

#include <asm/ioctls.h>
#include <linux/inotify.h>

/* What /proc/sys/fs/inotify says. */
enum { EVENTS_MAX = 16384, INSTANCES_MAX = 128, WATCHES_MAX = 65536 };
#define WATCH_FLAGS (IN_EXCL_UNLINK | IN_ONESHOT)
#define KNOWN_BITS  (IN_ALL_EVENTS | IN_ONLYDIR | IN_DONT_FOLLOW | IN_EXCL_UNLINK | IN_MASK_ADD | IN_MASK_CREATE | IN_ISDIR | IN_ONESHOT)

struct event {
	struct list node;
	struct inotify_event head;
	char name[]; /* head.len bytes */
};
struct instance {
	struct list watches, events;
	unsigned count, bytes;
	int last_wd;
	struct wait_queue wait;
};
struct watch {
	struct watch *next; /* of the inode */
	struct list node;
	struct instance *owner;
	struct inode *inode;
	int wd;
	uint32_t mask;
};

unsigned inotify_watches;
static unsigned instance_count;

static struct event *newest(const struct instance *in)
{
	return list_empty(&in->events) ? NULL : list_entry(in->events.prev, struct event, node);
}

static void queue(struct instance *in, int wd, uint32_t mask, uint32_t cookie, const char *name)
{
	size_t len = name ? strlen(name) + 1 : 0, room = (len + sizeof(struct inotify_event) - 1) & -sizeof(struct inotify_event);
	struct event *last = newest(in), *e;

	if (in->count == EVENTS_MAX) { /* the one that says so comes on top */
		if (last->head.mask & IN_Q_OVERFLOW)
			return;
		wd = -1;
		mask = IN_Q_OVERFLOW;
		cookie = 0;
		len = room = 0;
	}
	if (last && last->head.wd == wd && last->head.mask == mask && last->head.cookie == cookie && last->head.len == room &&
		(!len || !strcmp(last->name, name)))
		return;
	e = kzalloc(sizeof(*e) + room);
	if (!e)
		return;
	e->head = (struct inotify_event){.wd = wd, .mask = mask, .cookie = cookie, .len = (uint32_t)room};
	memcpy(e->name, name, len);
	list_push_back(&in->events, &e->node);
	in->count += !(mask & IN_Q_OVERFLOW);
	in->bytes += sizeof(e->head) + room;
	wait_queue_wake(&in->wait, POLL_IN | POLL_RDNORM);
}

static void event_free(struct instance *in, struct event *e)
{
	list_remove(&e->node);
	in->count -= !(e->head.mask & IN_Q_OVERFLOW);
	in->bytes -= sizeof(e->head) + e->head.len;
	kfree(e);
}

static void watch_free(struct watch *w, bool tell)
{
	struct watch **p = (struct watch **)&w->inode->watches;

	while (*p != w)
		p = &(*p)->next;
	*p = w->next;
	list_remove(&w->node);
	inotify_watches--;
	if (tell)
		queue(w->owner, w->wd, IN_IGNORED, 0, NULL);
	inode_unref(w->inode);
	kfree(w);
}

static void deliver(struct inode *inode, uint32_t mask, uint32_t cookie, const char *name, bool unlinked)
{
	for (struct watch *w = inode->watches, *next; w; w = next) {
		next = w->next;
		if (!(mask & w->mask & IN_ALL_EVENTS) || (unlinked && w->mask & IN_EXCL_UNLINK))
			continue;
		queue(w->owner, w->wd, mask, cookie, name);
		if (w->mask & IN_ONESHOT)
			watch_free(w, true);
	}
}

void inotify_tell(struct dentry *d, uint32_t mask)
{
	if (is_type(d->inode, S_IFDIR))
		mask |= IN_ISDIR;
	if (d->parent != d && d->parent->inode)
		deliver(d->parent->inode, mask, 0, d->name, d->unlinked);
	deliver(d->inode, mask, 0, NULL, false);
}

void inotify_tell_self(struct inode *inode, uint32_t mask)
{
	bool plain = is_type(inode, S_IFDIR) && !(mask & (IN_MOVE_SELF | IN_DELETE_SELF));

	deliver(inode, mask | (plain ? IN_ISDIR : 0), 0, NULL, false);
}

void inotify_tell_directory(struct inode *dir, const char *name, const struct inode *child, uint32_t mask, uint32_t cookie)
{
	deliver(dir, mask | (is_type(child, S_IFDIR) ? IN_ISDIR : 0), cookie, name, false);
}

void inotify_gone(struct inode *inode)
{
	inotify_tell_self(inode, IN_DELETE_SELF);
	for (struct watch *w = inode->watches, *next; w; w = next) {
		next = w->next;
		watch_free(w, true);
	}
}

static long instance_read(struct file *f, struct uio *u, uint64_t *pos)
{
	struct instance *in = f->private;
	long done = 0;

	if (list_empty(&in->events) && f->flags & O_NONBLOCK)
		return -EAGAIN;
	int r = wait_until(&in->wait, !list_empty(&in->events), NO_DEADLINE);
	if (r)
		return r;
	while (!list_empty(&in->events)) {
		struct event *e = list_first(&in->events, struct event, node);
		size_t bytes = sizeof(e->head) + e->head.len;

		if (u->left < bytes)
			return done ? done : -EINVAL;
		long n = uio_put(u, &e->head, bytes); /* the name follows the head */

		event_free(in, e);
		if (n != (long)bytes)
			return -EFAULT;
		done += n;
	}
	return done;
}

static long instance_ioctl(struct file *f, unsigned cmd, uint64_t arg)
{
	struct instance *in = f->private;

	return cmd == FIONREAD ? put_user((int)in->bytes, arg) : -ENOTTY;
}

static unsigned instance_poll(struct file *f, struct poll_table *table)
{
	struct instance *in = f->private;

	poll_add(table, f, &in->wait);
	return list_empty(&in->events) ? 0 : POLL_IN | POLL_RDNORM;
}

static void instance_free(struct instance *in)
{
	list_for_each_safe(w, next, &in->watches, struct watch, node)
		watch_free(w, false);
	list_for_each_safe(e, next, &in->events, struct event, node)
		event_free(in, e);
	instance_count--;
	kfree(in);
}

static void instance_release(struct file *f)
{
	instance_free(f->private);
}

static const struct file_ops instance_ops = {
	.seek = file_seek_nothing, .read = instance_read, .ioctl = instance_ioctl, .poll = instance_poll, .release = instance_release};

SYSCALL(inotify_init1, unsigned flags)
{
	if (flags & ~(unsigned)(IN_CLOEXEC | IN_NONBLOCK))
		return -EINVAL;
	if (instance_count == INSTANCES_MAX)
		return -EMFILE;
	struct instance *in = kzalloc(sizeof(*in));

	if (!in)
		return -ENOMEM;
	instance_count++;
	list_init(&in->watches);
	list_init(&in->events);
	wait_queue_init(&in->wait);
	struct file *f = file_new_anonymous("anon_inode:inotify", 0600, O_RDONLY | (flags & IN_NONBLOCK), &instance_ops, in);

	if (!f) {
		instance_free(in);
		return -ENOMEM;
	}
	int fd = fd_install(f, 0, flags & IN_CLOEXEC);

	if (fd < 0)
		file_unref(f);
	return fd;
}

SYSCALL(inotify_init, void)
{
	return sys_inotify_init1(0);
}

static int watch_new(struct instance *in, struct inode *inode, uint32_t mask)
{
	if (inotify_watches == WATCHES_MAX)
		return -ENOSPC;
	struct watch *w = kmalloc(sizeof(*w));

	if (!w)
		return -ENOMEM;
	*w = (struct watch){.next = inode->watches, .owner = in, .inode = inode, .wd = ++in->last_wd, .mask = mask};
	inode->watches = w;
	inode_ref(inode);
	list_push_back(&in->watches, &w->node);
	inotify_watches++;
	return w->wd;
}

static int watch_set(struct instance *in, struct inode *inode, uint32_t asked)
{
	uint32_t mask = asked & (IN_ALL_EVENTS | WATCH_FLAGS);

	for (struct watch *w = inode->watches; w; w = w->next) {
		if (w->owner != in)
			continue;
		if (asked & IN_MASK_CREATE)
			return -EEXIST;
		w->mask = asked & IN_MASK_ADD ? w->mask | mask : mask;
		return w->wd;
	}
	return watch_new(in, inode, mask);
}

SYSCALL(inotify_add_watch, int fd, uint64_t path, uint32_t mask)
{
	struct dentry *d;

	if (mask & ~KNOWN_BITS || !(mask & KNOWN_BITS))
		return -EINVAL;
	struct file *f = fd_ref(fd);

	if (!f)
		return -EBADF;
	int r = f->ops != &instance_ops || (mask & IN_MASK_ADD && mask & IN_MASK_CREATE) ? -EINVAL : 0;

	if (!r)
		r = path_lookup_user(
			AT_FDCWD, path, (mask & IN_DONT_FOLLOW ? 0 : WALK_FOLLOW) | (mask & IN_ONLYDIR ? WALK_DIRECTORY : 0), &d);
	if (!r) {
		r = inode_permission(d->inode, MAY_READ);
		r = r ? r : watch_set(f->private, d->inode, mask);
		dentry_unref(d);
	}
	file_unref(f);
	return r;
}

SYSCALL(inotify_rm_watch, int fd, int wd)
{
	struct file *f = fd_get(fd);

	if (!f)
		return -EBADF;
	if (f->ops != &instance_ops)
		return -EINVAL;
	struct instance *in = f->private;

	list_for_each(w, &in->watches, struct watch, node) {
		if (w->wd != wd)
			continue;
		watch_free(w, true);
		return 0;
	}
	return -EINVAL;
}
