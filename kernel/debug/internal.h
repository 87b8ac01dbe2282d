/* What the files of kernel/debug share: the state that a thread has for tracing and debugging. */
#ifndef KERNEL_DEBUG_INTERNAL_H
#define KERNEL_DEBUG_INTERNAL_H

#include "kernel/debug/debug.h"

struct trace_call;

struct debug_task {
	struct trace_call *call; /* the call that the thread is in; kept from call to call */

	/* gdb.c */
	bool resumed;          /* runs while the debugger lets only some threads run */
	bool stepping;         /* until the next instruction of the program, or the end of a call */
	struct k_siginfo held; /* the signal that the debugger stopped with; signo 0: none */
	int pass_signal;       /* the next one of this number is the program's */
};

/* While a step may end in a call, trace_enter and trace_exit are wanted without tracing. */
void trace_steps(bool on);
void trace_ended(int status, int sig);
/* gdb.c: a call of the current thread ended; a thread ends. */
void debug_call_done(void);
void debug_thread_gone(struct task *t);

/* gdb.c: no thread but this one runs, until NULL. */
void debug_hold_others(const struct task *t);

/* NULL: no memory. */
struct debug_task *debug_task(struct task *t);

#endif
