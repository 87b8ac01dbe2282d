/* Dispatch of a system call. Owns nothing; regs are the program's, any value is safe. */
#include "kernel/debug/trace.h"
#include "kernel/syscall/syscall.h"
#include "kernel/task/task_private.h"

enum { NR_RT_SIGRETURN = 15, NR_RSEQ = 334, NR_EXECVE = 59, NR_EXECVEAT = 322 };

static long refuse(uint64_t nr)
{
	static uint64_t logged[SYSCALL_COUNT / 64];
	stats->refused_calls++;
	/* glibc asks for rseq at each start, and does as well without: a message would cost waking the monitor. */
	if (nr < SYSCALL_COUNT && nr != NR_RSEQ && !(logged[nr / 64] >> nr % 64 & 1)) {
		logged[nr / 64] |= 1ull << nr % 64;
		const char *name = syscall_text[nr].name;
		klog(2, "%s: system call %s (%lu) is not supported", current->comm, *name ? name : "?", nr);
	}
	return -ENOSYS;
}

int syscall_enter(struct regs *regs)
{
	uint64_t nr = regs->orig_rax;
	syscall_fn *fn = NULL;
	if (nr < SYSCALL_COUNT) {
		fn = syscall_table[nr];
		stats->guest_call[nr]++;
	}
	if (__builtin_expect(trace_on, 0))
		trace_enter(regs);
	regs->rax = (uint64_t)(fn ? fn(regs->rdi, regs->rsi, regs->rdx, regs->r10, regs->r8, regs->r9) : refuse(nr));
	if (__builtin_expect(trace_on, 0))
		trace_exit(regs);
	return nr == NR_RT_SIGRETURN || nr == NR_EXECVE || nr == NR_EXECVEAT;
}
