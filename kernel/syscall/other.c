/* Calls that act on a process named by a number or descriptor. The only one is the caller's own. */
#include "kernel/fs/fs.h"
#include "kernel/syscall/define.h"
#include "kernel/task/signal.h"

#include <asm/fcntl.h>
#include <asm/siginfo.h>
#include <linux/kcmp.h>

#define VECTOR_MAX 1024 /* UIO_MAXIOV */

/* --- descriptors of processes --- */

static unsigned pidfd_poll(struct file *f, struct poll_table *table)
{
	return 0; /* readable when the process has ended: nobody is left to see it */
}

static const struct file_ops pidfd_ops = {.poll = pidfd_poll};

SYSCALL(pidfd_open, int pid, unsigned flags)
{
	if (flags & ~(unsigned)(O_NONBLOCK | O_EXCL /* PIDFD_THREAD */) || pid <= 0)
		return -EINVAL;
	const struct task *t = task_by_tid(pid);
	if (!t && !process_by_pid(pid))
		return -ESRCH;
	if (t && t->process->pid != pid && !(flags & O_EXCL))
		return -ENOENT;
	struct file *f = file_new_anonymous("anon_inode:[pidfd]", 0600, O_RDWR | flags, &pidfd_ops, (void *)(uint64_t)pid);
	int fd = f ? fd_install(f, 0, true) : -ENOMEM;
	if (f && fd < 0)
		file_unref(f);
	return fd;
}

SYSCALL(pidfd_send_signal, int fd, int sig, uint64_t uinfo, unsigned flags)
{
	struct k_siginfo info = SIGINFO_USER(sig);
	if (flags > 4 || (flags & (flags - 1))) /* PIDFD_SIGNAL_THREAD, _THREAD_GROUP, _PROCESS_GROUP */
		return -EINVAL;
	const struct file *f = fd_get(fd);
	if (!f || f->ops != &pidfd_ops)
		return -EBADF;
	if (uinfo && get_user(info, uinfo))
		return -EFAULT;
	if (info.signo != sig || sig < 0 || sig > SIG_COUNT)
		return -EINVAL;
	struct task *t = task_by_tid((int)(uint64_t)f->private);
	bool thread = flags == 1 || (!flags && f->flags & O_EXCL);
	if (thread && !t)
		return -ESRCH;
	if (!sig)
		return 0;
	if (thread && !uinfo)
		info.code = SI_TKILL;
	return thread ? signal_task(t, &info) : signal_process(current->process, &info);
}

SYSCALL(pidfd_getfd, int fd, int target, unsigned flags)
{
	if (flags)
		return -EINVAL;
	const struct file *pidfd = fd_get(fd);
	if (!pidfd || pidfd->ops != &pidfd_ops)
		return -EBADF;
	struct file *f = fd_ref(target);
	int r = f ? fd_install(f, 0, true) : -EBADF;
	if (f && r < 0)
		file_unref(f);
	return r;
}

/* --- kcmp --- */

static long compare(const void *a, const void *b)
{
	return a == b ? 0 : a < b ? 1 : 2;
}

SYSCALL(kcmp, int pid1, int pid2, int type, uint64_t a, uint64_t b)
{
	if (!task_by_tid(pid1) || !task_by_tid(pid2))
		return -ESRCH;
	switch (type) {
	case KCMP_FILE: {
		const struct file *first = fd_get((int)a), *second = fd_get((int)b);
		return first && second ? compare(first, second) : -EBADF;
	}
	case KCMP_VM:
	case KCMP_FILES:
	case KCMP_FS:
	case KCMP_SIGHAND:
	case KCMP_IO:
	case KCMP_SYSVSEM:
		return 0; /* threads share them all */
	case KCMP_EPOLL_TFD:
		return -EOPNOTSUPP;
	default:
		return -EINVAL;
	}
}

/* --- memory of another process --- */

static int vector_copy(uint64_t user, uint64_t count, struct uio *u, struct uio_vec **ret)
{
	if (count > VECTOR_MAX)
		return -EINVAL;
	struct uio_vec *v = kmalloc(vb_max(count, 1ull) * sizeof(*v));
	if (!v)
		return -ENOMEM;
	int r = count ? copy_from_user(v, user, count * sizeof(*v)) : 0;
	size_t total = 0;
	for (unsigned i = 0; !r && i < count; i++) {
		if ((int64_t)v[i].len < 0)
			r = -EINVAL;
		else
			total += v[i].len = vb_min(v[i].len, 0x7ffff000ull - total);
	}
	if (r) {
		kfree(v);
		return r;
	}
	*ret = v;
	*u = (struct uio){.vec = v, .count = (unsigned)count, .left = total};
	return 0;
}

static long transfer(struct uio *from, struct uio *to)
{
	char *buffer = kmalloc(VB_PAGE_SIZE);
	long done = buffer ? 0 : -ENOMEM;
	while (buffer && from->left && to->left) {
		size_t n = vb_min(from->left, to->left);
		n = vb_min(n, VB_PAGE_SIZE);
		long got = uio_get(from, buffer, n), put = got > 0 ? uio_put(to, buffer, (size_t)got) : got;
		if (put <= 0) {
			done = done ? done : -EFAULT;
			break;
		}
		done += put;
		if (put < (long)n)
			break;
	}
	kfree(buffer);
	return done;
}

static long process_vm(int pid, uint64_t local, uint64_t locals, uint64_t remote, uint64_t remotes, uint64_t flags, bool write)
{
	struct uio ours, theirs;
	struct uio_vec *our_vec, *their_vec;
	if (flags)
		return -EINVAL;
	long r = vector_copy(local, locals, &ours, &our_vec);
	if (r)
		return r;
	r = ours.left ? vector_copy(remote, remotes, &theirs, &their_vec) : 0;
	if (!r && ours.left) {
		r = !task_by_tid(pid) && !process_by_pid(pid) ? -ESRCH : write ? transfer(&ours, &theirs) : transfer(&theirs, &ours);
		kfree(their_vec);
	}
	kfree(our_vec);
	return r;
}

SYSCALL(process_vm_readv, int pid, uint64_t local, uint64_t locals, uint64_t remote, uint64_t remotes, uint64_t flags)
{
	return process_vm(pid, local, locals, remote, remotes, flags, false);
}

SYSCALL(process_vm_writev, int pid, uint64_t local, uint64_t locals, uint64_t remote, uint64_t remotes, uint64_t flags)
{
	return process_vm(pid, local, locals, remote, remotes, flags, true);
}
