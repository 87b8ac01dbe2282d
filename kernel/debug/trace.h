/* Call tracing: what `vauban trace` shows. Costs one test of trace_on per call while off. */
#ifndef KERNEL_DEBUG_TRACE_H
#define KERNEL_DEBUG_TRACE_H

#include "kernel/task/task.h"

extern bool trace_on;
void trace_set(bool on);

/* Around the dispatch of a call, only while trace_on. regs->orig_rax is the number; at exit regs->rax holds the result. Never sleep. */
void trace_enter(struct regs *regs);
void trace_exit(struct regs *regs);
/* A signal is about to be delivered (or to kill). Does nothing while off. */
void trace_signal(int sig, const struct k_siginfo *info);

#endif
