/* epoll. Owns the items: one for each watched (file, descriptor number), linked in its set, in file->epolls and in the
 * wait queues of the file. A wake-up puts the item on the ready list, so waiting costs what is ready, not what is watched.
 */
#include "kernel/fs/poll.h"
#include "kernel/syscall/define.h"

#include <linux/eventpoll.h>

#define MAX_QUEUES 2  /* wait queues of one file */
#define MAX_NESTS  4u /* sets watching sets */
#define CONTROL    ((uint32_t)(EPOLLWAKEUP | EPOLLONESHOT | EPOLLET | EPOLLEXCLUSIVE))
#define EXCLUSIVE_OK                                                                                                                       \
	((uint32_t)(EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLRDNORM | EPOLLWRNORM | EPOLLWAKEUP | EPOLLET | EPOLLEXCLUSIVE))

struct k_epoll_event {
	uint32_t events;
	uint64_t data;
} __attribute__((packed));

struct epoll {
	struct file *file;
	struct list items, ready;
	struct wait_queue wait;      /* callers of epoll_wait */
	struct wait_queue poll_wait; /* whoever polls this set */
	unsigned visit, depth;       /* of the last loop check; what it found */
};

struct epoll_item {
	struct list set_node, ready_node, file_node;
	struct epoll *set;
	struct file *file; /* not referenced: epoll_file_released() takes the item away */
	int fd;
	struct k_epoll_event event;
	unsigned queue_count;
	struct wait_entry entries[MAX_QUEUES];
};

struct item_table {
	struct poll_table table;
	struct epoll_item *item;
};

static const struct file_ops epoll_ops;

static void item_make_ready(struct epoll_item *item)
{
	struct epoll *ep = item->set;

	if (list_empty(&item->ready_node))
		list_push_back(&ep->ready, &item->ready_node);
	wait_queue_wake(&ep->wait, POLL_IN);
	wait_queue_wake(&ep->poll_wait, POLL_IN);
}

static bool item_notify(struct wait_entry *entry, unsigned events)
{
	struct epoll_item *item = entry->arg;
	uint32_t wanted = item->event.events;

	if (!(wanted & ~CONTROL) || (events && !(events & wanted)))
		return false;
	item_make_ready(item);
	return true;
}

static void item_queue(struct poll_table *table, struct file *f, struct wait_queue *q)
{
	struct epoll_item *item = vb_container_of(table, struct item_table, table)->item;

	KASSERT(item->queue_count < MAX_QUEUES);
	struct wait_entry *e = &item->entries[item->queue_count++];
	*e = (struct wait_entry){.notify = item_notify, .exclusive = item->event.events & EPOLLEXCLUSIVE, .arg = item};
	wait_queue_add(q, e);
}

static unsigned item_poll(const struct epoll_item *item)
{
	return file_poll(item->file, NULL) & item->event.events;
}

static void item_free(struct epoll_item *item)
{
	for (unsigned i = 0; i < item->queue_count; i++)
		wait_queue_remove(&item->entries[i]);
	list_remove(&item->ready_node);
	list_remove(&item->set_node);
	list_remove(&item->file_node);
	kfree(item);
}

void epoll_file_released(struct file *f)
{
	list_for_each_safe(item, next, &f->epolls, struct epoll_item, file_node)
		item_free(item);
}

static unsigned epoll_poll(struct file *f, struct poll_table *table)
{
	struct epoll *ep = f->private;

	poll_add(table, f, &ep->poll_wait);
	list_for_each_safe(item, next, &ep->ready, struct epoll_item, ready_node) {
		if (item_poll(item))
			return POLL_IN | POLL_RDNORM;
		list_remove(&item->ready_node);
	}
	return 0;
}

static void epoll_release(struct file *f)
{
	struct epoll *ep = f->private;

	list_for_each_safe(item, next, &ep->items, struct epoll_item, set_node)
		item_free(item);
	kfree(ep);
}

static const struct file_ops epoll_ops = {.seek = file_seek_nothing, .poll = epoll_poll, .release = epoll_release};

SYSCALL(epoll_create1, unsigned flags)
{
	if (flags & ~EPOLL_CLOEXEC)
		return -EINVAL;
	struct epoll *ep = kzalloc(sizeof(*ep));
	if (!ep)
		return -ENOMEM;
	list_init(&ep->items);
	list_init(&ep->ready);
	wait_queue_init(&ep->wait);
	wait_queue_init(&ep->poll_wait);
	ep->file = file_new_anonymous("anon_inode:[eventpoll]", 0600, O_RDWR, &epoll_ops, ep);
	if (!ep->file) {
		kfree(ep);
		return -ENOMEM;
	}
	struct file *f = ep->file;
	int fd = fd_install(f, 0, flags & EPOLL_CLOEXEC);
	if (fd < 0)
		file_unref(f);
	return fd;
}

SYSCALL(epoll_create, int size)
{
	return size > 0 ? sys_epoll_create1(0) : -EINVAL;
}

/* --- changing a set --- */

static unsigned visit_now;

/* Longest chain of sets below ep, or MAX_NESTS + 1 when it is too long or reaches `target`. */
static unsigned depth_below(struct epoll *ep, const struct epoll *target, unsigned level)
{
	unsigned deepest = 0;

	if (ep == target || level > MAX_NESTS)
		return MAX_NESTS + 1;
	if (ep->visit == visit_now)
		return ep->depth;
	list_for_each(item, &ep->items, struct epoll_item, set_node) {
		if (item->file->ops == &epoll_ops)
			deepest = vb_max(deepest, 1 + depth_below(item->file->private, target, level + 1));
		if (deepest > MAX_NESTS)
			return MAX_NESTS + 1;
	}
	ep->visit = visit_now;
	return ep->depth = deepest;
}

static unsigned depth_above(const struct epoll *ep, unsigned level)
{
	unsigned highest = 0;

	if (level > MAX_NESTS)
		return 0;
	list_for_each(item, &ep->file->epolls, struct epoll_item, file_node)
		highest = vb_max(highest, 1 + depth_above(item->set, level + 1));
	return highest;
}

static bool would_loop(struct epoll *ep, struct file *target)
{
	if (target->ops != &epoll_ops)
		return false;
	visit_now++;
	return depth_below(target->private, ep, 0) + 1 + depth_above(ep, 0) > MAX_NESTS;
}

static struct epoll_item *item_find(const struct epoll *ep, struct file *f, int fd)
{
	list_for_each(item, &f->epolls, struct epoll_item, file_node)
		if (item->set == ep && item->fd == fd)
			return item;
	return NULL;
}

static int item_add(struct epoll *ep, struct file *f, int fd, const struct k_epoll_event *event)
{
	struct epoll_item *item = kzalloc(sizeof(*item));

	if (!item)
		return -ENOMEM;
	item->set = ep;
	item->file = f;
	item->fd = fd;
	item->event = *event;
	list_init(&item->ready_node);
	list_push_back(&ep->items, &item->set_node);
	list_push_back(&f->epolls, &item->file_node);
	struct item_table t = {{item_queue}, item};
	if (file_poll(f, &t.table) & event->events)
		item_make_ready(item);
	return 0;
}

static int item_modify(struct epoll_item *item, const struct k_epoll_event *event)
{
	if (item->event.events & EPOLLEXCLUSIVE)
		return -EINVAL;
	item->event = *event;
	if (item_poll(item))
		item_make_ready(item);
	return 0;
}

SYSCALL(epoll_ctl, int epfd, int op, int fd, uint64_t event_addr)
{
	struct k_epoll_event event = {0};

	if (op != EPOLL_CTL_DEL && get_user(event, event_addr))
		return -EFAULT;
	struct file *f = fd_get(epfd), *target = fd_get(fd);
	if (!f || !target)
		return -EBADF;
	if (!target->ops->poll)
		return -EPERM;
	if (f == target || f->ops != &epoll_ops)
		return -EINVAL;
	if (event.events & EPOLLEXCLUSIVE) {
		if (op == EPOLL_CTL_MOD)
			return -EINVAL;
		if (op == EPOLL_CTL_ADD && (target->ops == &epoll_ops || (event.events & ~EXCLUSIVE_OK)))
			return -EINVAL;
	}
	struct epoll *ep = f->private;
	if (op == EPOLL_CTL_ADD && would_loop(ep, target))
		return -ELOOP;
	struct epoll_item *item = item_find(ep, target, fd);
	event.events |= EPOLLERR | EPOLLHUP;
	switch (op) {
	case EPOLL_CTL_ADD:
		return item ? -EEXIST : item_add(ep, target, fd, &event);
	case EPOLL_CTL_MOD:
		return item ? item_modify(item, &event) : -ENOENT;
	case EPOLL_CTL_DEL:
		if (!item)
			return -ENOENT;
		item_free(item);
		return 0;
	default:
		return -EINVAL;
	}
}

/* --- waiting --- */

/* Hands out up to `max` events. Level-triggered items go back to the end of the ready list. */
static long collect(struct epoll *ep, uint64_t events, int max)
{
	struct list again;
	long count = 0;

	list_init(&again);
	while (count < max && !list_empty(&ep->ready)) {
		struct epoll_item *item = list_first(&ep->ready, struct epoll_item, ready_node);
		unsigned happened = item_poll(item);
		list_remove(&item->ready_node);
		if (!happened)
			continue;
		struct k_epoll_event out = {happened, item->event.data};
		if (put_user(out, events + (uint64_t)count * sizeof(out))) {
			list_push_front(&ep->ready, &item->ready_node);
			count = count ? count : -EFAULT;
			break;
		}
		count++;
		if (item->event.events & EPOLLONESHOT)
			item->event.events &= CONTROL;
		else if (!(item->event.events & EPOLLET))
			list_push_back(&again, &item->ready_node);
	}
	while (!list_empty(&again)) {
		struct list *node = again.next;
		list_remove(node);
		list_push_back(&ep->ready, node);
	}
	return count;
}

static long epoll_wait_on(struct epoll *ep, uint64_t events, int max, uint64_t deadline)
{
	struct wait_entry entry = {.task = current, .exclusive = true};
	long count = collect(ep, events, max);
	int r = 0;

	while (!count && deadline && !r) {
		task_prepare();
		wait_queue_add(&ep->wait, &entry);
		r = task_sleep(deadline, true);
		wait_queue_remove(&entry);
		count = collect(ep, events, max);
	}
	if (!list_empty(&ep->ready))
		wait_queue_wake(&ep->wait, POLL_IN); /* there is more for the next waiter */
	if (count)
		return count;
	return r == -ERESTARTSYS ? -EINTR : 0;
}

static long do_epoll_wait(int epfd, uint64_t events, int max, uint64_t deadline)
{
	if (max <= 0 || max > (int)(INT32_MAX / sizeof(struct k_epoll_event)))
		return -EINVAL;
	if (!user_range_ok(events, (uint64_t)max * sizeof(struct k_epoll_event)))
		return -EFAULT;
	struct file *f = fd_ref(epfd);
	if (!f)
		return -EBADF;
	long r = f->ops == &epoll_ops ? epoll_wait_on(f->private, events, max, deadline) : -EINVAL;
	file_unref(f);
	return r;
}

static uint64_t deadline_of_ms(int timeout_ms)
{
	return timeout_ms > 0 ? deadline_after((uint64_t)timeout_ms * 1000000u) : timeout_ms ? NO_DEADLINE : 0;
}

SYSCALL(epoll_wait, int epfd, uint64_t events, int max, int timeout_ms)
{
	return do_epoll_wait(epfd, events, max, deadline_of_ms(timeout_ms));
}

static long masked_wait(int epfd, uint64_t events, int max, uint64_t deadline, uint64_t mask, uint64_t mask_size)
{
	long r = sigmask_swap(mask, mask_size);

	if (r)
		return r;
	r = do_epoll_wait(epfd, events, max, deadline);
	sigmask_restore(r);
	return r;
}

SYSCALL(epoll_pwait, int epfd, uint64_t events, int max, int timeout_ms, uint64_t mask, uint64_t mask_size)
{
	return masked_wait(epfd, events, max, deadline_of_ms(timeout_ms), mask, mask_size);
}

SYSCALL(epoll_pwait2, int epfd, uint64_t events, int max, uint64_t timeout, uint64_t mask, uint64_t mask_size)
{
	uint64_t deadline;
	int r = deadline_from_user(timeout, &deadline);

	return r ? r : masked_wait(epfd, events, max, deadline, mask, mask_size);
}
