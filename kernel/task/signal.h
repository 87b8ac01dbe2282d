/* Between the files of the signal code: queues (signal.c), delivery (signal_frame.c), calls (syscall/signal.c). */
#ifndef KERNEL_TASK_SIGNAL_H
#define KERNEL_TASK_SIGNAL_H

#include <vauban/message.h>

#include "kernel/platform/platform.h"
#include "kernel/task/task.h"

enum { ACTION_DEFAULT = 0, ACTION_IGNORE = 1 };         /* SIG_DFL, SIG_IGN */
enum { SIGNAL_STACK_ON = 1, SIGNAL_STACK_DISABLE = 2 }; /* SS_ONSTACK, SS_DISABLE */
#define SIGNAL_STACK_AUTODISARM (1u << 31)
#define SA_RESTORER_FLAG        0x04000000u
#define NOT_A_CALL              UINT64_MAX /* regs->orig_rax outside of system calls */
#define RESTART_SYSCALL_NUMBER  219
#define SIGRTMIN_KERNEL         32 /* the first that queues */
#define UNBLOCKABLE             (sig_bit(SIGKILL) | sig_bit(SIGSTOP))
#define STOP_SIGNALS            (sig_bit(SIGSTOP) | sig_bit(SIGTSTP) | sig_bit(SIGTTIN) | sig_bit(SIGTTOU))

sigset signal_blocked(const struct task *t);
bool signal_default_ignores(int sig);
bool signal_on_altstack(uint64_t sp);
int signal_altstack_set(uint64_t sp, uint32_t flags, uint64_t size); /* of current: 0, -EPERM while on it, -EINVAL, -ENOMEM */
void signal_recalculate(void);                                       /* of current: after its mask, wait set or queues changed */
void signal_force(const struct k_siginfo *info);                     /* for current, whatever it blocks or ignores */
void process_stop(int sig);                                          /* of current */
void process_stop_wait(void);
void signal_action_set(struct process *p, int sig, const struct k_sigaction *action);
void xstate_reset(void); /* the processor's SIMD state: that of a fresh program */

#endif
