/* Seeing inside a stopped cell: the gdb stub (gdb.c, remote.c) and core files (core.c).
 *
 * All threads stop together: the scheduler runs no thread for which debug_blocks() is true. The stub works inside
 * debug_message(), so it needs no thread of its own and never sleeps.
 */
#ifndef KERNEL_DEBUG_DEBUG_H
#define KERNEL_DEBUG_DEBUG_H

#include "kernel/task/task.h"

extern bool debug_attached; /* a debugger is there, or waited for */

/* At start, with the first process ready: honours VB_BOOT_DEBUG_WAIT. */
void debug_init(void);
/* A VB_MSG_DEBUG_IN message. tag 1: debugger attached, 2: gone, 0: bytes from it (hostile). */
void debug_message(const void *payload, size_t len, uint32_t tag);

/* True: this thread must not run, in user or kernel mode: a debugger holds it, or a core file is being written. */
extern bool debug_holding; /* there may be such threads */
bool debug_holds(const struct task *t);
static inline bool debug_blocks(const struct task *t)
{
	return debug_holding && debug_holds(t);
}

/* A synchronous fault of the current thread, before it becomes a signal. code: si_code. True: the debugger took it; the thread
 * stays where it is and must go through user_return_work(), which won't return while debug_blocks(current). */
bool debug_fault(int sig, int code, uint64_t addr, struct regs *regs);
/* A signal just dequeued for the current thread, before its action. True: the debugger took it, deliver nothing; it is queued again
 * if the debugger wants it delivered. Never asked for SIGKILL. */
bool debug_signal(const struct k_siginfo *info);
/* True when a breakpoint lies in [addr, addr + len): the call-site patcher leaves such a site alone. */
bool debug_breakpoints_in(uint64_t addr, uint64_t len);
/* The program ends: exit status, or the signal that killed it. */
void debug_exit(int status, int sig);
/* Frees t->debug when the thread goes. */
void debug_task_release(struct task *t);

/* While the stub works nothing may sleep: code that would have to (9P) fails instead. */
extern bool debug_serving;

/* Writes core.PROGRAM.PID to the core volume if the boot page asks for it. True: written completely. May sleep. */
bool core_dump(int sig, struct regs *regs, const struct k_siginfo *info);

#endif
