/* Linux error numbers (uapi/asm-generic/errno*.h), for freestanding code. */
#ifndef KERNEL_ERRNO_H
#define KERNEL_ERRNO_H
#include <asm/errno.h> /* plain constants; part of the kernel ABI headers, needs no libc */
/* Inside the kernel only: the call was interrupted by a signal. The signal code turns them into a restart or -EINTR. */
#define ERESTARTSYS           512 /* restart if the handler has SA_RESTART, or if no handler ran */
#define ERESTARTNOHAND        514 /* restart only if no handler ran (poll, select, pause) */
#define ERESTART_RESTARTBLOCK 516 /* restart by sys_restart_syscall with the remaining time (nanosleep, timed futex) */
#endif
