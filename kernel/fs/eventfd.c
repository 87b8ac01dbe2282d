/* eventfd: a counter to wait for. Trusts nothing from the program. */
#include "kernel/fs/fs.h"
#include "kernel/syscall/define.h"

#include <linux/fcntl.h>

enum { EFD_SEMAPHORE = 1, EFD_CLOEXEC = O_CLOEXEC, EFD_NONBLOCK = O_NONBLOCK }; /* linux/eventfd.h */

struct eventfd {
	uint64_t count; /* at most UINT64_MAX - 1 */
	bool semaphore;
	struct wait_queue wait;
};

static long eventfd_read(struct file *f, struct uio *u, uint64_t *pos)
{
	struct eventfd *e = f->private;

	if (u->left < sizeof(e->count))
		return -EINVAL;
	if (!e->count && (f->flags & O_NONBLOCK))
		return -EAGAIN;
	int r = wait_until(&e->wait, e->count, NO_DEADLINE);
	if (r)
		return r;
	uint64_t value = e->semaphore ? 1 : e->count;
	e->count -= value;
	wait_queue_wake(&e->wait, POLL_OUT | POLL_WRNORM);
	long n = uio_put(u, &value, sizeof(value));
	return n < 0 ? n : n == sizeof(value) ? n : -EFAULT;
}

static long eventfd_write(struct file *f, struct uio *u, uint64_t *pos)
{
	struct eventfd *e = f->private;
	uint64_t value;

	if (u->left != sizeof(value))
		return -EINVAL;
	if (uio_get(u, &value, sizeof(value)) != sizeof(value))
		return -EFAULT;
	if (value == UINT64_MAX)
		return -EINVAL;
	if (UINT64_MAX - e->count <= value && (f->flags & O_NONBLOCK))
		return -EAGAIN;
	int r = wait_until(&e->wait, UINT64_MAX - e->count > value, NO_DEADLINE);
	if (r)
		return r;
	e->count += value;
	wait_queue_wake(&e->wait, POLL_IN | POLL_RDNORM);
	return sizeof(value);
}

static unsigned eventfd_poll(struct file *f, struct poll_table *table)
{
	struct eventfd *e = f->private;

	poll_add(table, f, &e->wait);
	return (e->count ? POLL_IN : 0) | (e->count < UINT64_MAX - 1 ? POLL_OUT : 0);
}

static void eventfd_release(struct file *f)
{
	kfree(f->private);
}

static const struct file_ops eventfd_ops = {
	.seek = file_seek_nothing, .read = eventfd_read, .write = eventfd_write, .poll = eventfd_poll, .release = eventfd_release};

SYSCALL(eventfd2, unsigned count, unsigned flags)
{
	if (flags & ~(EFD_SEMAPHORE | EFD_CLOEXEC | EFD_NONBLOCK))
		return -EINVAL;
	struct eventfd *e = kzalloc(sizeof(*e));
	if (!e)
		return -ENOMEM;
	e->count = count;
	e->semaphore = flags & EFD_SEMAPHORE;
	wait_queue_init(&e->wait);
	struct file *f = file_new_anonymous("anon_inode:[eventfd]", 0600, O_RDWR | (flags & EFD_NONBLOCK), &eventfd_ops, e);
	if (!f) {
		kfree(e);
		return -ENOMEM;
	}
	int fd = fd_install(f, 0, flags & EFD_CLOEXEC);
	if (fd < 0)
		file_unref(f);
	return fd;
}

SYSCALL(eventfd, unsigned count)
{
	return sys_eventfd2(count, 0);
}
