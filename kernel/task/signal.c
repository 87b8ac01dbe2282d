/* Signals on their way: queues, masks, who is to take a signal, stop and continue. Delivery is in signal_frame.c. */
#include <asm/resource.h>
#include <asm/siginfo.h>
#include <asm/signal.h>

#include "kernel/task/signal.h"

struct wait_queue signal_wait = {LIST_INIT(signal_wait.entries)};

static struct wait_queue stop_wait = {LIST_INIT(stop_wait.entries)}; /* stopped while they were delivering signals */
static unsigned queued_entries;                                      /* of the one user, against RLIMIT_SIGPENDING */

/* --- what signals mean by default --- */

bool signal_default_ignores(int sig)
{
	return sig == SIGCHLD || sig == SIGURG || sig == SIGWINCH || sig == SIGCONT;
}

/* True when the signal would vanish: nobody handles it, and no mask of t keeps it for later. */
static bool signal_ignored(const struct task *t, int sig)
{
	uint64_t handler = t->process->action[sig - 1].handler;

	if (t->sigmask & sig_bit(sig))
		return false;
	return handler == ACTION_IGNORE || (handler == ACTION_DEFAULT && signal_default_ignores(sig));
}

/* --- queues --- */

static void sigpending_init(struct sigpending *q)
{
	q->set = 0;
	q->count = 0;
	list_init(&q->queue);
}

static void entry_remove(struct sigpending *q, struct sigpending_entry *e, bool taken)
{
	list_remove(&e->node);
	q->count--;
	if (e->release) {
		e->release(e, taken);
	} else {
		queued_entries--;
		kfree(e);
	}
}

static void sigpending_flush(struct sigpending *q, sigset set)
{
	list_for_each_safe(e, next, &q->queue, struct sigpending_entry, node) {
		if (sig_bit(e->info.signo) & set)
			entry_remove(q, e, false);
	}
	q->set &= ~set;
}

void signal_unqueue_entry(struct sigpending_entry *entry)
{
	struct sigpending *q = entry->queue;
	int sig = entry->info.signo;

	if (list_empty(&entry->node))
		return;
	list_remove(&entry->node);
	q->count--;
	list_for_each(e, &q->queue, struct sigpending_entry, node) {
		if (e->info.signo == sig)
			return;
	}
	q->set &= ~sig_bit(sig);
}

void signal_init_process(struct process *p)
{
	sigpending_init(&p->pending);
	memset(p->action, 0, sizeof(p->action));
}

void signal_init_task(struct task *t)
{
	sigpending_init(&t->pending);
	t->signal_flag = false;
	t->wait_set = 0;
}

void signal_flush_task(struct task *t)
{
	sigpending_flush(&t->pending, ~0ull);
}

sigset signal_pending_set(const struct task *t)
{
	return t->pending.set | t->process->pending.set;
}

/* Takes sig out of q with its information. A signal that was queued without (no memory, over the limit) has none. */
static void sigpending_take(struct sigpending *q, int sig, struct k_siginfo *ret)
{
	struct sigpending_entry *found = NULL;
	bool more = false;

	*ret = (struct k_siginfo){.signo = sig, .code = SI_USER};
	list_for_each(e, &q->queue, struct sigpending_entry, node) {
		if (e->info.signo != sig)
			continue;
		if (found) {
			more = true;
			break;
		}
		found = e;
	}
	if (!more)
		q->set &= ~sig_bit(sig);
	if (!found)
		return;
	if (found->release) {
		entry_remove(q, found, true);
		*ret = found->info;
	} else {
		*ret = found->info;
		entry_remove(q, found, true);
	}
}

/* Faults come before everything else of the thread: their frames must show the instruction that caused them. */
static int sigset_first(sigset set)
{
	const sigset faults = sig_bit(SIGSEGV) | sig_bit(SIGBUS) | sig_bit(SIGILL) | sig_bit(SIGTRAP) | sig_bit(SIGFPE) | sig_bit(SIGSYS);

	if (!set)
		return 0;
	return __builtin_ctzll(set & faults ? set & faults : set) + 1;
}

bool signal_dequeue(struct task *t, sigset mask, struct k_siginfo *ret)
{
	struct sigpending *q = &t->pending;
	int sig = sigset_first(q->set & mask);

	if (!sig) {
		q = &t->process->pending;
		sig = sigset_first(q->set & mask);
	}
	if (!sig)
		return false;
	sigpending_take(q, sig, ret);
	if (t == current)
		signal_recalculate();
	return true;
}

/* --- who takes it --- */

sigset signal_blocked(const struct task *t)
{
	return t->sigmask & ~t->wait_set;
}

bool signal_pending(const struct task *t)
{
	return t->signal_flag;
}

void signal_recalculate(void)
{
	current->signal_flag = signal_pending_set(current) & ~signal_blocked(current);
	if (current->signal_flag)
		task_want_work();
}

void signal_switched_in(void)
{
	if (current->signal_flag)
		task_want_work();
}

void task_interrupt(struct task *t)
{
	t->signal_flag = true;
	if (t->state == TASK_SLEEPING && t->interruptible) /* current too: signals come in while it idles */
		task_wake(t);
	if (t == current)
		task_want_work();
}

/* A thread that is already on its way to a signal is left alone, as long as another one can take this. */
static bool task_wants(const struct task *t, int sig)
{
	if (t->state == TASK_DEAD || (signal_blocked(t) & sig_bit(sig)))
		return false;
	return sig == SIGKILL || (!t->process->stopped && (t == current || !t->signal_flag));
}

static void process_notify(struct process *p, int sig)
{
	if (p->leader && task_wants(p->leader, sig)) {
		task_interrupt(p->leader);
		return;
	}
	list_for_each(t, &p->threads, struct task, thread_node) {
		if (task_wants(t, sig)) {
			task_interrupt(t);
			return;
		}
	}
	/* Nobody now: the first thread to unblock it, or to finish with another signal, finds it. */
}

/* Whose mask says whether a signal for the process is kept. */
static const struct task *process_judge(const struct process *p)
{
	return p->leader ? p->leader : list_first(&p->threads, struct task, thread_node);
}

/* --- sending --- */

static void process_continue(struct process *p)
{
	if (!p->stopped)
		return;
	p->stopped = false;
	wait_queue_wake(&stop_wait, 1);
}

/* What sending does before any queueing: stop and continue signals cancel each other, SIGCONT and SIGKILL end a stop. */
static void signal_prepare(struct process *p, int sig)
{
	sigset cancelled = sig == SIGCONT ? STOP_SIGNALS : sig_bit(sig) & STOP_SIGNALS ? sig_bit(SIGCONT) : 0;

	if (cancelled) {
		sigpending_flush(&p->pending, cancelled);
		list_for_each(t, &p->threads, struct task, thread_node)
			sigpending_flush(&t->pending, cancelled);
	}
	if (sig == SIGCONT || sig == SIGKILL)
		process_continue(p);
}

static int queue_info(struct sigpending *q, const struct process *p, const struct k_siginfo *info)
{
	int sig = info->signo;
	bool realtime = sig >= SIGRTMIN_KERNEL;
	struct sigpending_entry *e = NULL;

	if (!realtime && (q->set & sig_bit(sig)))
		return 0;                                 /* merged */
	bool beyond_limit = !realtime && info->code >= 0; /* the kernel's own and kill()'s are always told apart */
	if (beyond_limit || queued_entries < p->rlimit[RLIMIT_SIGPENDING].cur)
		e = kmalloc(sizeof(*e));
	if (e) {
		e->info = *info;
		e->release = NULL;
		e->queue = q;
		list_push_back(&q->queue, &e->node);
		q->count++;
		queued_entries++;
	} else if (realtime && info->code != SI_USER) {
		return -EAGAIN;
	}
	q->set |= sig_bit(sig);
	return 0;
}

static int signal_send(struct process *p, struct task *t, const struct k_siginfo *info)
{
	int sig = info->signo;

	signal_prepare(p, sig);
	if (p->exiting || signal_ignored(t ? t : process_judge(p), sig))
		return 0;
	int r = queue_info(t ? &t->pending : &p->pending, p, info);
	if (r)
		return r;
	if (!t)
		process_notify(p, sig);
	else if (!(signal_blocked(t) & sig_bit(sig)))
		task_interrupt(t);
	wait_queue_wake(&signal_wait, 1);
	return 0;
}

int signal_task(struct task *t, const struct k_siginfo *info)
{
	return signal_send(t->process, t, info);
}

int signal_process(struct process *p, const struct k_siginfo *info)
{
	return signal_send(p, NULL, info);
}

bool signal_queue_entry(struct process *p, struct task *t, struct sigpending_entry *entry)
{
	struct sigpending *q = t ? &t->pending : &p->pending;
	int sig = entry->info.signo;

	signal_prepare(p, sig);
	if (p->exiting || signal_ignored(t ? t : process_judge(p), sig))
		return false;
	entry->queue = q;
	list_push_back(&q->queue, &entry->node);
	q->count++;
	q->set |= sig_bit(sig);
	if (!t)
		process_notify(p, sig);
	else if (!(signal_blocked(t) & sig_bit(sig)))
		task_interrupt(t);
	wait_queue_wake(&signal_wait, 1);
	return true;
}

/* A fault can't wait and can't be ignored: if the program would not handle it, it dies of it. */
void signal_force(const struct k_siginfo *info)
{
	struct k_sigaction *action = &current->process->action[info->signo - 1];
	sigset bit = sig_bit(info->signo);

	if ((current->sigmask & bit) || action->handler == ACTION_IGNORE) {
		action->handler = ACTION_DEFAULT;
		current->sigmask &= ~bit;
	}
	sigpending_flush(&current->pending, bit); /* this one must be seen, not an earlier one sent by kill */
	queue_info(&current->pending, current->process, info);
	task_interrupt(current);
}

void signal_fault(int sig, int code, uint64_t addr, int trapno, uint64_t error_code)
{
	struct k_siginfo info = {.signo = sig, .code = code, .fault = {.addr = addr}};

	current->fault_trapno = (uint64_t)trapno;
	current->fault_error = error_code;
	current->fault_addr = addr;
	signal_force(&info);
}

/* --- masks --- */

/* Signals for the process that current no longer takes go to a thread that does. */
static void retarget(sigset newly_blocked)
{
	struct process *p = current->process;
	sigset orphaned = p->pending.set & newly_blocked;

	for (int sig; (sig = sigset_first(orphaned)); orphaned &= ~sig_bit(sig))
		process_notify(p, sig);
}

void signal_set_mask(sigset mask)
{
	sigset old = current->sigmask;

	current->sigmask = mask & ~UNBLOCKABLE;
	if (current->process->pending.set)
		retarget(current->sigmask & ~old);
	signal_recalculate();
}

void signal_set_temporary_mask(sigset mask)
{
	current->saved_sigmask = current->sigmask;
	current->restore_sigmask = true;
	signal_set_mask(mask);
}

void signal_restore_mask(void)
{
	if (!current->restore_sigmask)
		return;
	current->restore_sigmask = false;
	signal_set_mask(current->saved_sigmask);
}

/* --- stopping --- */

void process_stop(int sig)
{
	struct process *p = current->process;
	struct vb_message stopped = {.type = VB_MSG_STOPPED, .tag = (uint32_t)sig};

	if (p->stopped)
		return;
	p->stopped = true; /* the scheduler runs none of its threads now */
	platform_send(&stopped, sizeof(stopped), NULL, 0);
}

/* Sleeps while the process is stopped. */
void process_stop_wait(void)
{
	struct wait_entry entry = {.task = current};

	while (current->process->stopped) {
		task_prepare();
		wait_queue_add(&stop_wait, &entry);
		task_sleep(NO_DEADLINE, false);
		wait_queue_remove(&entry);
	}
}

/* Gone from every queue when an action says that nobody wants it. */
void signal_action_set(struct process *p, int sig, const struct k_sigaction *action)
{
	p->action[sig - 1] = *action;
	p->action[sig - 1].mask &= ~UNBLOCKABLE;
	if (action->handler != ACTION_IGNORE && !(action->handler == ACTION_DEFAULT && signal_default_ignores(sig)))
		return;
	sigpending_flush(&p->pending, sig_bit(sig));
	list_for_each(t, &p->threads, struct task, thread_node)
		sigpending_flush(&t->pending, sig_bit(sig));
}
