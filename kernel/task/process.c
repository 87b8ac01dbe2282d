/* Life and death of tasks and processes. Owns the process list, thread ids and kernel stacks.
 *
 * The end of the last process is the end of the cell.
 */
#include "kernel/task/task_private.h"

#include "kernel/debug/debug.h"
#include "kernel/debug/trace.h"
#include "kernel/fs/fs.h"
#include "kernel/mm/mm.h"
#include "kernel/mm/page.h"
#include "kernel/net/net.h"
#include "kernel/platform/platform.h"
#include "kernel/syscall/define.h"

#include <vauban/message.h>

#define FIRST_PID   1
#define THREADS_MAX 4096

static struct process *first_process; /* the only one until fork comes */
static int last_tid;
static struct task *dead_task; /* its stack was in use until the switch */

void entry_new_thread(void); /* the platform's entry code */

struct process *process_by_pid(int pid)
{
	return first_process && first_process->pid == pid ? first_process : NULL;
}

void process_for_each(void (*fn)(struct process *p, void *arg), void *arg)
{
	if (first_process)
		fn(first_process, arg);
}

struct task *task_by_tid(int tid)
{
	list_for_each(t, &first_process->threads, struct task, thread_node)
		if (t->tid == tid)
			return t;
	return NULL;
}

static int tid_new(void)
{
	do
		last_tid = last_tid >= 32767 ? FIRST_PID : last_tid + 1;
	while (first_process && task_by_tid(last_tid));
	return last_tid;
}

/* With kernel stack, on the process's list; not runnable yet. NULL: no memory. */
static struct task *task_alloc(struct process *p)
{
	struct task *t = kzalloc(sizeof(*t));
	struct page *stack = page_alloc(KSTACK_ORDER, false);
	void *xstate = t && stack ? kzalloc(platform_xstate_bytes + 63) : NULL;
	if (!xstate) {
		kfree(t);
		for (unsigned i = 0; stack && i < 1u << KSTACK_ORDER; i++) {
			struct page *next = page_next(stack);
			page_unref(stack);
			stack = next;
		}
		return NULL;
	}
	t->process = p;
	t->kstack = (uint64_t)page_virt(stack);
	*(uint64_t *)t->kstack = t->kstack_end = KSTACK_END;
	/* Registers end 8 bytes below the top: that leaves the stack aligned as C wants it after they are pushed. */
	t->regs = (struct regs *)(t->kstack + KSTACK_BYTES - 8) - 1;
	memset(t->regs, 0, sizeof(*t->regs));
	uint64_t *sp = (uint64_t *)t->regs;
	*--sp = (uint64_t)entry_new_thread;
	for (int callee_saved = 0; callee_saved < 6; callee_saved++)
		*--sp = 0;
	t->ksp = (uint64_t)sp;
	t->xstate_alloc = xstate;
	t->xstate = (void *)(((uint64_t)xstate + 63) & ~63ull);
	/* The initial state: default control words, everything else (XSTATE_BV = 0) in its initial configuration. */
	*(uint16_t *)t->xstate = 0x37f;
	*(uint32_t *)((char *)t->xstate + 24) = 0x1f80;
	t->state = TASK_SLEEPING;
	list_init(&t->run_node);
	signal_init_task(t);
	ktimer_init(&t->sleep_timer, NULL);
	t->tid = tid_new();
	list_push_back(&p->threads, &t->thread_node);
	p->thread_count++;
	stats->threads++;
	return t;
}

struct process *process_new_first(void)
{
	struct process *p = kzalloc(sizeof(*p));
	if (!p)
		return NULL;
	p->pid = p->pgid = p->sid = FIRST_PID;
	p->dumpable = true;
	p->start_ns = now_monotonic_ns();
	list_init(&p->threads);
	struct task *t = task_alloc(p);
	if (!t)
		return NULL;
	p->leader = t;
	first_process = p;
	process_defaults(p);
	return p;
}

/* Frees what the dead task left, once its stack is no longer in use. */
void task_reap(void)
{
	struct task *t = dead_task;
	if (!t)
		return;
	dead_task = NULL;
	struct page *stack = page_of((void *)t->kstack);
	for (unsigned i = 0; i < 1u << KSTACK_ORDER; i++) {
		struct page *next = page_next(stack);
		page_unref(stack);
		stack = next;
	}
	kfree(t->xstate_alloc);
	kfree(t);
}

_Noreturn void task_exit(int status)
{
	struct task *t = current;
	struct process *p = t->process;
	if (p->thread_count == 1)
		process_exit(status << 8);
	futex_exit_thread(t);
	signal_flush_task(t);
	debug_task_release(t);
	list_remove(&t->thread_node);
	p->thread_count--;
	stats->threads--;
	p->dead_cpu_ns += t->cpu_ns + (now_monotonic_ns() - t->run_since_ns);
	if (p->leader == t)
		p->leader = list_first(&p->threads, struct task, thread_node);
	if (p->exec_by)
		task_wake(p->exec_by); /* waits to be alone */
	dead_task = t;
	task_switch_dead();
}

_Noreturn void process_exit(int wait_status)
{
	struct process *p = current->process;
	if (p->exiting) /* by another thread, which is about to end the cell */
		task_exit(0);
	p->exiting = true;
	int sig = wait_status & 0x7f;
	debug_exit(wait_status >> 8, sig);
	p->leader = current; /* the scheduler runs no other any more; closing files may sleep (volumes write back) */
	file_table_free(p->files);
	mm_close_files(p->mm);
	p->mm = NULL;
	struct {
		struct vb_message header;
		struct vb_msg_exit body;
	} m = {{VB_MSG_EXIT, 0}, {.status = wait_status >> 8 & 0xff, .signal = sig, .core = (wait_status & 0x80) != 0}};
	platform_send(&m, sizeof(m), NULL, 0);
	platform_halt(0);
}

/* --- clone --- */

enum {
	CLONE_VM_ = 0x100,
	CLONE_FS_ = 0x200,
	CLONE_FILES_ = 0x400,
	CLONE_SIGHAND_ = 0x800,
	CLONE_VFORK_ = 0x4000,
	CLONE_THREAD_ = 0x10000,
	CLONE_SYSVSEM_ = 0x40000,
	CLONE_SETTLS_ = 0x80000,
	CLONE_PARENT_SETTID_ = 0x100000,
	CLONE_CHILD_CLEARTID_ = 0x200000,
	CLONE_DETACHED_ = 0x400000,
	CLONE_CHILD_SETTID_ = 0x1000000,
};
#define THREAD_FLAGS (CLONE_VM_ | CLONE_FS_ | CLONE_FILES_ | CLONE_SIGHAND_ | CLONE_THREAD_)

/* Makes a thread that shares everything; the caller sets its registers and makes it runnable. */
static struct task *thread_new(const struct task *parent)
{
	struct task *t = task_alloc(parent->process);
	if (!t)
		return NULL;
	platform_xstate_save(t->xstate);
	*t->regs = *parent->regs;
	t->fs_base = platform_fs_base_get();
	t->gs_base = platform_gs_base_get();
	t->creds = parent->creds;
	t->sigmask = parent->sigmask;
	t->nice = parent->nice;
	t->sched_policy = parent->sched_policy;
	t->sched_priority = parent->sched_priority;
	t->timer_slack_ns = parent->timer_slack_ns;
	memcpy(t->comm, parent->comm, sizeof(t->comm));
	return t;
}

static long do_clone(uint64_t flags, uint64_t stack_top, uint64_t parent_tid, uint64_t child_tid, uint64_t tls)
{
	static bool logged;
	if ((flags & CLONE_SIGHAND_ && !(flags & CLONE_VM_)) || (flags & CLONE_THREAD_ && !(flags & CLONE_SIGHAND_)))
		return -EINVAL;
	if ((flags & THREAD_FLAGS) != THREAD_FLAGS) {
		if (!logged)
			klog(1, "%s: fork is not supported: a cell runs one process", current->comm);
		logged = true;
		stats->refused_calls++;
		return -ENOSYS;
	}
	if (current->process->thread_count >= THREADS_MAX ||
		current->process->thread_count >= current->process->rlimit[6 /* RLIMIT_NPROC */].cur)
		return -EAGAIN;
	struct task *t = thread_new(current);
	if (!t)
		return -ENOMEM;
	if (flags & CLONE_PARENT_SETTID_)
		put_user((int32_t)t->tid, parent_tid);
	if (flags & CLONE_CHILD_SETTID_)
		put_user((int32_t)t->tid, child_tid);
	if (flags & CLONE_CHILD_CLEARTID_)
		t->clear_tid = child_tid;
	if (flags & CLONE_SETTLS_)
		t->fs_base = tls;
	if (stack_top)
		t->regs->rsp = stack_top;
	t->regs->rax = 0;
	t->regs->orig_rax = (uint64_t)-1;
	task_make_runnable(t);
	return t->tid;
}

SYSCALL(clone, uint64_t flags, uint64_t stack, uint64_t parent_tid, uint64_t child_tid, uint64_t tls)
{
	return do_clone(flags, stack, parent_tid, child_tid, tls);
}

SYSCALL(clone3, uint64_t args_addr, uint64_t size)
{
	struct {
		uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup;
	} args = {0};
	if (size < 64)
		return -EINVAL;
	if (size > VB_PAGE_SIZE)
		return -E2BIG;
	for (uint64_t i = sizeof(args); i < size; i++) { /* fields that this kernel doesn't know must be zero */
		char c;
		if (get_user(c, args_addr + i))
			return -EFAULT;
		if (c)
			return -E2BIG;
	}
	if (copy_from_user(&args, args_addr, vb_min(size, sizeof(args))))
		return -EFAULT;
	if (args.set_tid_size || args.set_tid || args.flags >> 33 || !args.stack != !args.stack_size ||
		!user_range_ok(args.stack, args.stack_size) || args.flags & (CLONE_DETACHED_ | 0xff) ||
		(args.flags & CLONE_THREAD_ && args.exit_signal))
		return -EINVAL;
	return do_clone(args.flags, args.stack ? args.stack + args.stack_size : 0, args.parent_tid, args.child_tid, args.tls);
}

SYSCALL(exit, int status)
{
	task_exit(status & 0xff);
}

SYSCALL(exit_group, int status)
{
	process_exit((status & 0xff) << 8);
}
