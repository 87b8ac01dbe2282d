/* Signal calls: actions, masks, sending, waiting, the alternate stack. */
#include <asm/siginfo.h>
#include <asm/signal.h>

#include "kernel/syscall/define.h"
#include "kernel/task/signal.h"

#undef MINSIGSTKSZ
enum { MINSIGSTKSZ = 2048 };
#define SA_KNOWN_FLAGS (SA_NOCLDSTOP | SA_NOCLDWAIT | SA_SIGINFO | SA_ONSTACK | SA_RESTART | SA_NODEFER | SA_RESETHAND | SA_RESTORER_FLAG)

/* --- actions and masks --- */

SYSCALL(rt_sigaction, int sig, uint64_t uact, uint64_t uold, uint64_t set_bytes)
{
	struct k_sigaction new, old;

	if (set_bytes != sizeof(sigset))
		return -EINVAL;
	if (uact && get_user(new, uact))
		return -EFAULT;
	if (sig < 1 || sig > SIG_COUNT || (uact && (sig_bit(sig) & UNBLOCKABLE)))
		return -EINVAL;
	old = current->process->action[sig - 1];
	if (uact) {
		new.flags &= SA_KNOWN_FLAGS; /* programs probe for new flags by setting and reading them back */
		signal_action_set(current->process, sig, &new);
	}
	return uold ? put_user(old, uold) : 0;
}

SYSCALL(rt_sigprocmask, int how, uint64_t uset, uint64_t uold, uint64_t set_bytes)
{
	sigset set, old = current->sigmask;

	if (set_bytes != sizeof(sigset))
		return -EINVAL;
	if (uset) {
		if (get_user(set, uset))
			return -EFAULT;
		switch (how) {
		case SIG_BLOCK:
			signal_set_mask(old | set);
			break;
		case SIG_UNBLOCK:
			signal_set_mask(old & ~set);
			break;
		case SIG_SETMASK:
			signal_set_mask(set);
			break;
		default:
			return -EINVAL;
		}
	}
	return uold ? put_user(old, uold) : 0;
}

SYSCALL(rt_sigpending, uint64_t uset, uint64_t set_bytes)
{
	sigset set = signal_pending_set(current) & current->sigmask;

	if (set_bytes > sizeof(sigset))
		return -EINVAL;
	return copy_to_user(uset, &set, set_bytes);
}

/* --- sending --- */

static bool may_signal(const struct process *p, int sig)
{
	const struct creds *c = &current->creds, *target = &p->leader->creds;

	if (p == current->process || c->euid == target->suid || c->euid == target->ruid || c->ruid == target->suid ||
		c->ruid == target->ruid)
		return true;
	return capable(5 /* CAP_KILL */) || (sig == SIGCONT && p->sid == current->process->sid);
}

static int signal_checked(struct process *p, struct task *t, int sig, const struct k_siginfo *info)
{
	if (sig < 0 || sig > SIG_COUNT)
		return -EINVAL;
	if (!may_signal(p, sig))
		return -EPERM;
	if (!sig)
		return 0;
	return t ? signal_task(t, info) : signal_process(p, info);
}

struct kill_group {
	int pgid, sig, found, result;
};

static void kill_member(struct process *p, void *arg)
{
	struct kill_group *g = arg;

	if (g->pgid ? p->pgid != g->pgid : p == current->process || p->pid == 1)
		return;
	g->found++;
	int r = signal_checked(p, NULL, g->sig, &SIGINFO_USER(g->sig));
	if (!r || g->result == -ESRCH)
		g->result = r;
}

SYSCALL(kill, int pid, int sig)
{
	if (pid > 0) {
		struct process *p = process_by_pid(pid);
		struct task *t = p ? NULL : task_by_tid(pid); /* a thread's id names its process */
		if (t)
			p = t->process;
		return p ? signal_checked(p, NULL, sig, &SIGINFO_USER(sig)) : -ESRCH;
	}
	if (pid == INT32_MIN)
		return -ESRCH;
	struct kill_group g = {.pgid = pid == 0 ? current->process->pgid : pid == -1 ? 0 : -pid, .sig = sig, .result = -ESRCH};
	process_for_each(kill_member, &g);
	return g.result;
}

static long thread_kill(int tgid, int tid, int sig, const struct k_siginfo *info)
{
	struct task *t = task_by_tid(tid);

	if (!t || (tgid > 0 && t->process->pid != tgid))
		return -ESRCH;
	return signal_checked(t->process, t, sig, info);
}

static struct k_siginfo tkill_info(int sig)
{
	struct k_siginfo info = SIGINFO_USER(sig);

	info.code = SI_TKILL;
	return info;
}

SYSCALL(tkill, int tid, int sig)
{
	struct k_siginfo info = tkill_info(sig);

	return tid <= 0 ? -EINVAL : thread_kill(0, tid, sig, &info);
}

SYSCALL(tgkill, int tgid, int tid, int sig)
{
	struct k_siginfo info = tkill_info(sig);

	return tid <= 0 || tgid <= 0 ? -EINVAL : thread_kill(tgid, tid, sig, &info);
}

/* Only the kernel may speak as the kernel or as kill(), except towards oneself. */
static int siginfo_from_user(struct k_siginfo *info, uint64_t uinfo, int sig, int target)
{
	if (get_user(*info, uinfo))
		return -EFAULT;
	info->signo = sig;
	if ((info->code >= 0 || info->code == SI_TKILL) && target != current->process->pid)
		return -EPERM;
	return 0;
}

SYSCALL(rt_sigqueueinfo, int pid, int sig, uint64_t uinfo)
{
	struct k_siginfo info;
	int r = siginfo_from_user(&info, uinfo, sig, pid);

	if (r)
		return r;
	struct process *p = process_by_pid(pid);
	return p ? signal_checked(p, NULL, sig, &info) : -ESRCH;
}

SYSCALL(rt_tgsigqueueinfo, int tgid, int tid, int sig, uint64_t uinfo)
{
	struct k_siginfo info;
	int r = siginfo_from_user(&info, uinfo, sig, tgid);

	if (r)
		return r;
	return tid <= 0 || tgid <= 0 ? -EINVAL : thread_kill(tgid, tid, sig, &info);
}

/* --- waiting --- */

static long wait_for_signal(void)
{
	do
		task_prepare();
	while (!task_sleep(NO_DEADLINE, true));
	return -ERESTARTNOHAND;
}

SYSCALL(pause, void)
{
	return wait_for_signal();
}

SYSCALL(rt_sigsuspend, uint64_t uset, uint64_t set_bytes)
{
	sigset set;

	if (set_bytes != sizeof(sigset))
		return -EINVAL;
	if (get_user(set, uset))
		return -EFAULT;
	signal_set_temporary_mask(set);
	return wait_for_signal();
}

SYSCALL(rt_sigtimedwait, uint64_t uset, uint64_t uinfo, uint64_t utimeout, uint64_t set_bytes)
{
	sigset set;
	struct k_timespec timeout;
	struct k_siginfo info;
	uint64_t deadline = NO_DEADLINE;

	if (set_bytes != sizeof(sigset))
		return -EINVAL;
	if (get_user(set, uset) || (utimeout && get_user(timeout, utimeout)))
		return -EFAULT;
	set &= ~UNBLOCKABLE;
	if (utimeout) {
		if (!timespec_valid(&timeout))
			return -EINVAL;
		deadline = deadline_after(timespec_to_ns(&timeout));
	}
	bool got = signal_dequeue(current, set, &info);
	if (!got && !(utimeout && !timeout.tv_sec && !timeout.tv_nsec)) {
		current->wait_set = set; /* wakes for these though they are blocked */
		signal_recalculate();
		task_prepare();
		int r = task_sleep(deadline, true);
		current->wait_set = 0;
		got = signal_dequeue(current, set, &info);
		signal_recalculate();
		if (!got)
			return r == -ETIMEDOUT ? -EAGAIN : -EINTR;
	}
	if (!got)
		return -EAGAIN;
	return uinfo && put_user(info, uinfo) ? -EFAULT : info.signo;
}

SYSCALL(restart_syscall, void)
{
	long (*restart)(struct task *) = current->restart;

	current->restart = NULL;
	return restart ? restart(current) : -EINTR;
}

/* --- the alternate stack --- */

int signal_altstack_set(uint64_t sp, uint32_t flags, uint64_t size)
{
	uint32_t mode = flags & ~SIGNAL_STACK_AUTODISARM;

	if (signal_on_altstack(current->regs->rsp))
		return -EPERM;
	if (mode != SIGNAL_STACK_DISABLE && mode != SIGNAL_STACK_ON && mode != 0)
		return -EINVAL;
	if (mode == SIGNAL_STACK_DISABLE)
		sp = size = 0;
	else if (size < MINSIGSTKSZ)
		return -ENOMEM;
	current->altstack = sp;
	current->altstack_bytes = size;
	current->altstack_flags = flags;
	return 0;
}

SYSCALL(sigaltstack, uint64_t unew, uint64_t uold)
{
	struct {
		uint64_t sp;
		uint32_t flags, pad;
		uint64_t size;
	} new, old = {.sp = current->altstack, .size = current->altstack_bytes};

	if (unew && get_user(new, unew))
		return -EFAULT;
	if (!current->altstack_bytes)
		old.flags = SIGNAL_STACK_DISABLE;
	else if (signal_on_altstack(current->regs->rsp))
		old.flags = SIGNAL_STACK_ON;
	old.flags |= current->altstack_flags & SIGNAL_STACK_AUTODISARM;
	if (unew) {
		int r = signal_altstack_set(new.sp, new.flags, new.size);
		if (r)
			return r;
	}
	return uold ? put_user(old, uold) : 0;
}
