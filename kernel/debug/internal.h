/* What the files of kernel/debug share: the state that a thread has for tracing and debugging. */
#ifndef KERNEL_DEBUG_INTERNAL_H
#define KERNEL_DEBUG_INTERNAL_H

#include "kernel/debug/debug.h"

struct trace_call;

struct debug_task {
	struct trace_call *call; /* the call that the thread is in; kept from call to call */

	/* gdb */
	bool resumed; /* runs while the debugger lets only some threads run */
	bool stepping;
	uint64_t step_target; /* the step ends at this internal breakpoint instead of the next instruction; 0: by the trap flag */
	uint8_t step_byte;    /* what the internal breakpoint replaced */
	int stop_signal;      /* last reported to the debugger */
	bool stop_queued;     /* stop_signal was taken off the queue: held */
	struct k_siginfo held;
	int pass_signal; /* the next one of this number is the program's */
};

/* NULL: no memory. */
struct debug_task *debug_task(struct task *t);

#endif
