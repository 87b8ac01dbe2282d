/* Shared by the files of kernel/task and the platform's entry code. */
#ifndef KERNEL_TASK_TASK_PRIVATE_H
#define KERNEL_TASK_TASK_PRIVATE_H

#include "kernel/task/task.h"

#define KSTACK_ORDER 2
#define KSTACK_BYTES (4096ull << KSTACK_ORDER)
#define KSTACK_END   0x6b737461636b2065ull

/* Called from the platform's entry code (entry.S). syscall_enter (syscall/call.c) serves the call in regs and returns
 * non-zero when registers beyond rax changed: restore all of them. task_first_run (main.c) is the first thing that a new
 * task does on its kernel stack. */
int syscall_enter(struct regs *regs);
void trap_enter(struct regs *regs); /* platform */
void task_first_run(struct regs *regs);

/* process.c */
struct process *process_new_first(void); /* with its first task, not runnable yet. NULL: no memory */
void task_reap(void);                    /* after a switch: frees the task that died */

/* sched.c */
_Noreturn void sched_start(struct task *first);
void task_make_runnable(struct task *t);
_Noreturn void task_switch_dead(void); /* the running task is dead: runs another */

/* messages.c */
void messages_run(void); /* serves what the monitor sent */

/* exec.c: replaces the current program. */
int exec_program(const char *path, char *const argv[], char *const envp[]);

/* arch */
void vdso_init(void);             /* prepares the vDSO page and the kernel's clock */
uint64_t vdso_map(struct mm *mm); /* its address in a new address space, 0: none */

#endif
