/* Inside the process platform: what its assembly and C parts share. */
#ifndef KERNEL_PLATFORM_PROCESS_PROCESS_H
#define KERNEL_PLATFORM_PROCESS_PROCESS_H

#include "kernel/kernel.h"
#include "kernel/platform/platform.h"
#include "kernel/task/task.h"

#include <vauban/hostcall.h>

/* entry.S */
extern char usercopy_begin[], usercopy_end[], usercopy_fault[]; /* the only kernel code that may fault on user memory */
extern char exit_begin[], exit_end[], exit_retry[];             /* between the last look at need_work and user code */
void entry_from_call(void);                                     /* where trampolines jump to: rcx return address, rax number */
void entry_from_signal(void);   /* on the kernel stack, registers stored: serve `trap`, then return to user space */
extern uint64_t cpu_kstack_top; /* of the running task: where entries put the user registers */
extern char stub_call_ip[], stub_wait_begin[], stub_wait_ip[], stub_wait_interrupted[], stub_sigreturn[], stub_sigreturn_ip[];

/* Why the program was interrupted, from the host's signal frame until entry_from_signal has served it. */
struct trap {
	int sig, code;
	uint64_t addr;
	int trapno;
	uint64_t error_code;
};

/* host.c */
extern uint8_t host_interrupted; /* a host signal came: something is due (message, timer) */
void host_timer_fired(void);
void platform_clock_init(uint64_t vdso_clock_gettime);

/* trap.c */
void signal_handler(int sig, void *info, void *context);

#endif
