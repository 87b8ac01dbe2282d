/* Terminals: sessions, foreground groups and window sizes, and /dev/tty. Trusts nothing from the program. */
#include "kernel/fs/tty.h"

#include <asm/ioctls.h>
#include <asm/signal.h>
#include <linux/capability.h>

struct group_signal {
	int pgrp, sig;
};

static void signal_if_member(struct process *p, void *arg)
{
	const struct group_signal *g = arg;

	if (p->pgid == g->pgrp)
		signal_process(p, &SIGINFO_KERNEL(g->sig));
}

void tty_signal(struct tty *tty, int sig)
{
	struct group_signal g = {tty->pgrp, sig};

	if (tty->pgrp)
		process_for_each(signal_if_member, &g);
}

void tty_set_winsize(struct tty *tty, const struct k_winsize *size)
{
	if (memcmp(&tty->winsize, size, sizeof(*size)) == 0)
		return;
	tty->winsize = *size;
	tty_signal(tty, SIGWINCH);
}

static void forget_tty(struct process *p, void *arg)
{
	if (p->tty == arg)
		p->tty = NULL;
}

void tty_release(struct tty *tty)
{
	process_for_each(forget_tty, tty);
	tty->sid = tty->pgrp = 0;
}

void tty_attach(struct tty *tty)
{
	struct process *p = current->process;

	tty->sid = p->sid;
	tty->pgrp = p->pgid;
	p->tty = tty;
}

static void find_group(struct process *p, void *arg)
{
	int *found = arg; /* [0] the group, [1] its session */

	if (p->pgid == found[0])
		found[1] = p->sid;
}

static long set_foreground(struct tty *tty, uint64_t arg)
{
	int group[2] = {0, 0};

	if (current->process->tty != tty || tty->sid != current->process->sid)
		return -ENOTTY;
	if (get_user(group[0], arg))
		return -EFAULT;
	if (group[0] < 0)
		return -EINVAL;
	process_for_each(find_group, group);
	if (!group[1])
		return -ESRCH;
	if (group[1] != tty->sid)
		return -EPERM;
	tty->pgrp = group[0];
	return 0;
}

static long become_controlling(struct tty *tty, uint64_t steal)
{
	struct process *p = current->process;

	if (p->sid == p->pid && tty->sid == p->sid)
		return 0;
	if (p->sid != p->pid || p->tty)
		return -EPERM;
	if (tty->sid) {
		if (steal != 1 || !capable(CAP_SYS_ADMIN))
			return -EPERM;
		tty_release(tty);
	}
	tty_attach(tty);
	return 0;
}

long tty_ioctl(struct tty *tty, unsigned cmd, uint64_t arg)
{
	struct k_winsize size;

	switch (cmd) {
	case TIOCGWINSZ:
		return copy_to_user(arg, &tty->winsize, sizeof(tty->winsize));
	case TIOCSWINSZ:
		if (get_user(size, arg))
			return -EFAULT;
		tty_set_winsize(tty, &size);
		return 0;
	case TIOCGPGRP:
		if (current->process->tty != tty)
			return -ENOTTY;
		return put_user(tty->pgrp, arg);
	case TIOCSPGRP:
		return set_foreground(tty, arg);
	case TIOCGSID:
		if (current->process->tty != tty || !tty->sid)
			return -ENOTTY;
		return put_user(tty->sid, arg);
	case TIOCSCTTY:
		return become_controlling(tty, arg);
	case TIOCNOTTY:
		if (current->process->tty != tty)
			return -ENOTTY;
		if (current->process->sid == current->process->pid) {
			tty_signal(tty, SIGHUP);
			tty_signal(tty, SIGCONT);
			tty_release(tty);
		}
		current->process->tty = NULL;
		return 0;
	default:
		return -ENOTTY;
	}
}

static int tty_device_open(struct file *f)
{
	struct tty *tty = current->process->tty;

	return tty ? tty->open(tty, f) : -ENXIO;
}

const struct file_ops tty_device_ops = {.open = tty_device_open};
