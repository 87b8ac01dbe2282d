/* signalfd: pending signals as records to read. The signals themselves are kernel/task/signal.c's. */
#include "kernel/fs/fs.h"
#include "kernel/syscall/define.h"

#include <asm/siginfo.h>
#include <asm/signal.h>
#include <linux/fcntl.h>
#include <linux/signalfd.h>

struct signalfd {
	sigset mask;
};

static struct signalfd_siginfo record_of(const struct k_siginfo *i)
{
	struct signalfd_siginfo r = {.ssi_signo = (uint32_t)i->signo, .ssi_errno = i->err, .ssi_code = i->code};

	if (i->code == SI_TIMER) {
		r.ssi_tid = (uint32_t)i->timer.tid;
		r.ssi_overrun = (uint32_t)i->timer.overrun;
		r.ssi_ptr = i->timer.value;
		r.ssi_int = (int32_t)i->timer.value;
	} else if (i->code <= 0 || i->code == SI_KERNEL) {
		r.ssi_pid = (uint32_t)i->rt.pid;
		r.ssi_uid = i->rt.uid;
		r.ssi_ptr = i->rt.value;
		r.ssi_int = (int32_t)i->rt.value;
	} else if (i->signo == SIGCHLD) {
		r.ssi_pid = (uint32_t)i->child.pid;
		r.ssi_uid = i->child.uid;
		r.ssi_status = i->child.status;
		r.ssi_utime = (uint64_t)i->child.utime;
		r.ssi_stime = (uint64_t)i->child.stime;
	} else if (i->signo == SIGSEGV || i->signo == SIGBUS || i->signo == SIGILL || i->signo == SIGFPE || i->signo == SIGTRAP) {
		r.ssi_addr = i->fault.addr;
	}
	return r;
}

static long signalfd_read(struct file *f, struct uio *u, uint64_t *pos)
{
	struct signalfd *s = f->private;
	struct signalfd_siginfo record;
	struct k_siginfo info;
	long done = 0;

	if (u->left < sizeof(record))
		return -EINVAL;
	while (u->left >= sizeof(record)) {
		if (!signal_dequeue(current, s->mask, &info)) {
			if (done)
				break;
			if (f->flags & O_NONBLOCK)
				return -EAGAIN;
			int r = wait_until(&signal_wait, signal_pending_set(current) & s->mask, NO_DEADLINE);
			if (r)
				return r;
			continue;
		}
		record = record_of(&info);
		long n = uio_put(u, &record, sizeof(record));
		if (n != sizeof(record))
			return done ? done : -EFAULT;
		done += n;
	}
	return done;
}

static unsigned signalfd_poll(struct file *f, struct poll_table *table)
{
	struct signalfd *s = f->private;

	poll_add(table, f, &signal_wait);
	return signal_pending_set(current) & s->mask ? POLL_IN : 0;
}

static void signalfd_release(struct file *f)
{
	kfree(f->private);
}

static const struct file_ops signalfd_ops = {
	.seek = file_seek_nothing, .read = signalfd_read, .poll = signalfd_poll, .release = signalfd_release};

static long signalfd_create(sigset mask, unsigned flags)
{
	struct signalfd *s = kzalloc(sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->mask = mask;
	struct file *f = file_new_anonymous("anon_inode:[signalfd]", 0600, O_RDWR | (flags & SFD_NONBLOCK), &signalfd_ops, s);
	if (!f) {
		kfree(s);
		return -ENOMEM;
	}
	int fd = fd_install(f, 0, flags & SFD_CLOEXEC);
	if (fd < 0)
		file_unref(f);
	return fd;
}

SYSCALL(signalfd4, int fd, uint64_t mask_addr, uint64_t size, unsigned flags)
{
	sigset mask;

	if (size != sizeof(mask))
		return -EINVAL;
	if (get_user(mask, mask_addr))
		return -EFAULT;
	if (flags & ~(SFD_CLOEXEC | SFD_NONBLOCK))
		return -EINVAL;
	mask &= ~(sig_bit(SIGKILL) | sig_bit(SIGSTOP));
	if (fd == -1)
		return signalfd_create(mask, flags);
	struct file *f = fd_get(fd);
	if (!f)
		return -EBADF;
	if (f->ops != &signalfd_ops)
		return -EINVAL;
	((struct signalfd *)f->private)->mask = mask;
	wait_queue_wake(&signal_wait, POLL_IN); /* sleepers look again */
	return fd;
}

SYSCALL(signalfd, int fd, uint64_t mask_addr, uint64_t size)
{
	return sys_signalfd4(fd, mask_addr, size, 0);
}
