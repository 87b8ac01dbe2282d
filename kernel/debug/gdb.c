/* Stops, resumes and steps the program for a debugger. Owns the breakpoints and which threads are held.
 *
 * The debugger is the cell's owner and may do anything to the program; nothing that it asks may harm the kernel. All threads
 * stop together. A thread in a system call stays in it while stopped: what it shows are its registers at the call.
 */
#include "kernel/debug/gdb.h"

#include "kernel/debug/trace.h"
#include "kernel/mm/mm.h"
#include "kernel/task/patch.h"

#include <asm/signal.h>

#define BREAKPOINTS_MAX 256
#define RFLAGS_TF       0x100ull
#define FAULTS          (sig_bit(SIGSEGV) | sig_bit(SIGBUS) | sig_bit(SIGILL) | sig_bit(SIGFPE) | sig_bit(SIGTRAP))
#define INT3            0xcc
#define SI_CODE_STEP    2 /* TRAP_TRACE */

bool debug_attached, debug_holding, debug_serving;
struct gdb_stop gdb_stop;

static bool stopped;            /* nobody runs */
static const struct task *only; /* others are held, for a core file */
static bool selective;          /* only the threads with `resumed` run */
static sigset pass_signals;

static struct breakpoint {
	uint64_t addr;    /* as the debugger knows it; 0: free */
	uint64_t planted; /* where the int3 is: in the trampoline if the call site at addr was rewritten */
	uint8_t byte;     /* what it replaced */
} breakpoints[BREAKPOINTS_MAX];
static bool breakpoint_made; /* one at least was inserted: without, nobody need look */

/* --- threads --- */

static struct process *program(void)
{
	return process_by_pid(1);
}

struct task *gdb_any_task(void)
{
	struct process *p = program();
	struct task *t = task_by_tid(gdb_stop.tid);
	if (t)
		return t;
	return p && !list_empty(&p->threads) ? list_first(&p->threads, struct task, thread_node) : NULL;
}

bool gdb_stopped(void)
{
	return stopped;
}

static void attach(bool on)
{
	debug_attached = stopped = on;
	debug_holding = on || only;
	selective = false;
}

void debug_hold_others(const struct task *t)
{
	only = t;
	debug_holding = debug_attached || only;
}

bool debug_holds(const struct task *t)
{
	const struct debug_task *d = t->debug;
	if (only)
		return t != only;
	if (!stopped && (!selective || (d && d->resumed)))
		return false;
	return !t->process->exiting && !(signal_pending_set(t) & sig_bit(SIGKILL));
}

static void steps_end(void)
{
	list_for_each(t, &program()->threads, struct task, thread_node) {
		struct debug_task *d = t->debug;
		if (!d || !d->stepping)
			continue;
		d->stepping = false;
		t->regs->rflags &= ~RFLAGS_TF;
	}
	trace_steps(false);
}

static void stop(struct task *t, int sig, bool breakpoint)
{
	steps_end();
	stopped = true;
	gdb_stop = (struct gdb_stop){.tid = t->tid, .signal = sig, .breakpoint = breakpoint};
	task_want_work();
	remote_report_stop();
}

void gdb_interrupt(void)
{
	struct task *t = current->state == TASK_DEAD ? NULL : current;
	if (!stopped && (t || (t = gdb_any_task())))
		stop(t, SIGINT, false);
}

void gdb_resume_begin(void)
{
	list_for_each(t, &program()->threads, struct task, thread_node)
		if (t->debug)
			((struct debug_task *)t->debug)->resumed = false;
	selective = false;
}

/* The signal that the thread stopped with goes to the program, as another one if the debugger wants, or is forgotten. */
static void resume_with_signal(struct task *t, struct debug_task *d, int sig)
{
	bool held = d->held.signo != 0;
	struct k_siginfo info = held ? d->held : SIGINFO_USER(sig);
	d->held.signo = 0;
	if (!sig)
		return;
	info.signo = sig;
	d->pass_signal = sig;
	signal_task(t, &info);
}

void gdb_resume_task(struct task *t, enum gdb_action action, int sig)
{
	struct debug_task *d = debug_task(t);
	if (action == GDB_HOLD || !d) {
		selective = true;
		return;
	}
	d->resumed = true;
	resume_with_signal(t, d, sig);
	if (action == GDB_STEP) {
		d->stepping = true;
		t->regs->rflags |= RFLAGS_TF;
		trace_steps(true);
	}
}

void gdb_resume_end(void)
{
	stopped = false;
	task_want_work();
}

void gdb_pass_signals(sigset set)
{
	pass_signals = set;
}

void gdb_kill(void)
{
	if (program())
		signal_process(program(), &SIGINFO_KERNEL(SIGKILL));
	gdb_detach();
}

/* The connection is gone: a signal that the program never saw goes on its way. (A debugger that detaches has dropped it,
 * and a fault comes again by itself.) */
static void release_held_signals(void)
{
	list_for_each(t, &program()->threads, struct task, thread_node) {
		struct debug_task *d = t->debug;
		if (d && d->held.signo)
			resume_with_signal(t, d, sig_bit(d->held.signo) & FAULTS && d->held.code > 0 ? 0 : d->held.signo);
	}
}

void gdb_detach(void)
{
	for (unsigned i = 0; i < BREAKPOINTS_MAX; i++)
		if (breakpoints[i].addr)
			gdb_breakpoint_remove(breakpoints[i].addr);
	steps_end();
	list_for_each(t, &program()->threads, struct task, thread_node)
		if (t->debug)
			((struct debug_task *)t->debug)->held.signo = 0;
	gdb_vfile_close_all();
	attach(false);
	pass_signals = 0;
	task_want_work();
}

/* --- breakpoints and memory --- */

static struct mm *memory(void)
{
	return program() ? program()->mm : NULL;
}

static struct breakpoint *breakpoint_find(uint64_t addr)
{
	for (unsigned i = 0; i < BREAKPOINTS_MAX; i++)
		if (breakpoints[i].addr == addr)
			return &breakpoints[i];
	return NULL;
}

static bool breakpoint_planted(uint64_t addr)
{
	for (unsigned i = 0; i < BREAKPOINTS_MAX; i++)
		if (breakpoints[i].addr && breakpoints[i].planted == addr)
			return true;
	return false;
}

bool debug_breakpoints_in(uint64_t addr, uint64_t len)
{
	for (unsigned i = 0; breakpoint_made && i < BREAKPOINTS_MAX; i++)
		if (breakpoints[i].addr && breakpoints[i].planted - addr < len)
			return true;
	return false;
}

int gdb_breakpoint_insert(uint64_t addr)
{
	uint8_t int3 = INT3;
	if (!addr || !memory())
		return -EFAULT;
	if (breakpoint_find(addr))
		return 0;
	struct breakpoint *b = breakpoint_find(0);
	if (!b)
		return -ENOSPC;
	uint64_t at = patch_resume_rip(addr);
	if (mm_peek(memory(), at, &b->byte, 1) != 1 || mm_poke(memory(), at, &int3, 1) != 1)
		return -EFAULT;
	b->addr = addr;
	b->planted = at;
	breakpoint_made = true;
	return 0;
}

int gdb_breakpoint_remove(uint64_t addr)
{
	struct breakpoint *b = addr ? breakpoint_find(addr) : NULL;
	uint8_t now;
	if (!b)
		return -ENOENT;
	/* Gone already if the program was replaced or unmapped it. */
	if (memory() && mm_peek(memory(), b->planted, &now, 1) == 1 && now == INT3)
		mm_poke(memory(), b->planted, &b->byte, 1);
	b->addr = 0;
	return 0;
}

size_t gdb_memory_read(uint64_t addr, void *dst, size_t len)
{
	size_t n = memory() ? mm_peek(memory(), addr, dst, len) : 0;
	for (unsigned i = 0; i < BREAKPOINTS_MAX; i++) {
		const struct breakpoint *b = &breakpoints[i];
		uint64_t offset = b->planted - addr;
		if (b->addr && offset < n && ((uint8_t *)dst)[offset] == INT3)
			((uint8_t *)dst)[offset] = b->byte;
	}
	return n;
}

size_t gdb_memory_write(uint64_t addr, const void *src, size_t len)
{
	size_t n = memory() ? mm_poke(memory(), addr, src, len) : 0;
	uint8_t int3 = INT3;
	for (unsigned i = 0; i < BREAKPOINTS_MAX; i++) {
		struct breakpoint *b = &breakpoints[i];
		if (!b->addr || b->planted - addr >= n)
			continue;
		b->byte = ((const uint8_t *)src)[b->planted - addr];
		mm_poke(memory(), b->planted, &int3, 1);
	}
	return n;
}

/* --- what the kernel tells --- */

void debug_init(void)
{
	if (!(boot->flags & VB_BOOT_DEBUG_WAIT))
		return;
	attach(true);
	gdb_stop = (struct gdb_stop){.tid = current->tid, .signal = SIGTRAP};
	task_want_work();
}

void debug_message(const void *payload, size_t len, uint32_t tag)
{
	debug_serving = true;
	if (tag == 1 && program()) {
		attach(true);
		remote_reset();
		struct task *t = gdb_any_task();
		gdb_stop = (struct gdb_stop){.tid = t ? t->tid : 0, .signal = SIGTRAP};
		task_want_work();
	} else if (tag == 2 && debug_attached) {
		release_held_signals();
		gdb_detach();
	} else if (tag == 0 && debug_attached && program()) {
		remote_bytes(payload, len);
	}
	debug_serving = false;
}

bool debug_fault(int sig, int code, uint64_t addr, struct regs *regs)
{
	struct debug_task *d = current->debug;
	if (!debug_attached || sig != SIGTRAP)
		return false;
	if (code == SI_CODE_STEP) {
		if (!d || !d->stepping)
			return false;
		if (!patch_in_trampoline(regs->rip)) /* there the rest of a rewritten call runs: no place to stop */
			stop(current, SIGTRAP, false);
		return true;
	}
	if (!breakpoint_planted(regs->rip - 1))
		return false;
	regs->rip--;
	stop(current, SIGTRAP, true);
	return true;
}

void debug_call_done(void)
{
	struct debug_task *d = current->debug;
	if (d && d->stepping)
		stop(current, SIGTRAP, false);
}

bool debug_signal(const struct k_siginfo *info)
{
	struct debug_task *d = debug_task(current);
	if (!debug_attached || !d)
		return false;
	if (d->pass_signal == info->signo) {
		d->pass_signal = 0;
		return false;
	}
	if (pass_signals & sig_bit(info->signo))
		return false;
	d->held = *info;
	stop(current, info->signo, false);
	return true;
}

void debug_exit(int status, int sig)
{
	trace_ended(status, sig);
	if (!debug_attached)
		return;
	remote_report_exit(status, sig);
	attach(false);
}

/* The thread goes. If only it was allowed to run, the debugger would wait for ever. */
void debug_thread_gone(struct task *t)
{
	struct debug_task *d = t->debug;
	if (!debug_attached || !selective || !d->resumed)
		return;
	list_for_each(other, &t->process->threads, struct task, thread_node)
		if (other != t) {
			stop(other, 0, false);
			return;
		}
}

/* --- signal numbers: gdb has its own --- */

static const uint8_t gdb_numbers[32] = {
	0, 1, 2, 3, 4, 5, 6, 10, 8, 9, 30, 11, 31, 13, 14, 15, 143, 20, 19, 17, 18, 21, 22, 16, 24, 25, 26, 27, 28, 23, 32, 12};

int gdb_signal_number(int sig)
{
	if (sig < 32)
		return gdb_numbers[sig];
	return sig == 32 ? 77 : sig == 64 ? 78 : sig + 12;
}

int gdb_signal_from(int number)
{
	for (int sig = 0; sig <= SIG_COUNT; sig++)
		if (gdb_signal_number(sig) == number)
			return sig;
	return 0;
}
