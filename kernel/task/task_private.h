/* Shared by the files of kernel/task and the platform's entry code. */
#ifndef KERNEL_TASK_TASK_PRIVATE_H
#define KERNEL_TASK_TASK_PRIVATE_H

#include "kernel/task/task.h"

#define KSTACK_ORDER 2
#define KSTACK_BYTES (4096ull << KSTACK_ORDER)

/* Serves the call in regs. True: registers beyond rax changed, restore all of them on return. (call.c) */
int syscall_enter(struct regs *regs);
void trap_enter(struct regs *regs);     /* platform */
void task_first_run(struct regs *regs); /* process.c: first thing a new task does on its kernel stack */

void task_reap(void);                  /* process.c: after a switch, frees the task that died */
struct task *task_alloc(struct process *p); /* with kernel stack, on the process's list; not runnable yet. NULL: no memory */
struct process *process_new_first(void); /* with its first task, not runnable yet. NULL: no memory */
_Noreturn void sched_start(struct task *first);
void task_make_runnable(struct task *t);
_Noreturn void task_switch_dead(void);       /* the running task is dead: run another, never to return */
void messages_run(void);           /* monitor.c: serves what the monitor sent */
int exec_program(const char *path, char *const argv[], char *const envp[]); /* exec.c: replaces the current program */
void vdso_init(void);              /* arch: prepares the vDSO page and the kernel's clock */
uint64_t vdso_map(struct mm *mm);  /* its address in a new address space, 0: none */
#endif
