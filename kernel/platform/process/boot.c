/* Start of a cell kernel on the process platform: the table that the tender looks at, and the way to the first task. */
#include "kernel/platform/process/process.h"

#include "kernel/task/task_private.h"

static char signal_stack[32768] __attribute__((aligned(16)));

void xstate_init(void);
_Noreturn void kernel_main(struct vb_boot *b);
static _Noreturn void start(struct vb_boot *b);

/* The ELF entry point: data, not code (vauban/hostcall.h). */
extern const struct vb_kernel_table kernel_start;
const struct vb_kernel_table kernel_start = {
	.magic = VB_KERNEL_MAGIC,
	.boot_version = VB_BOOT_VERSION,
	.start = (uint64_t)start,
	.stack_top = (uint64_t)(signal_stack + sizeof(signal_stack)), /* until the first task has its own: signals nest meanwhile */
	.signal = (uint64_t)signal_handler,
	.altstack = (uint64_t)signal_stack,
	.altstack_bytes = sizeof(signal_stack),
	.call_ip = (uint64_t)stub_call_ip,
	.wait_ip = (uint64_t)stub_wait_ip,
	.sigreturn = (uint64_t)stub_sigreturn,
	.sigreturn_ip = (uint64_t)stub_sigreturn_ip,
};

static _Noreturn void start(struct vb_boot *b)
{
	boot = b;
	stats = (struct vb_stats *)b->stats_base;
	xstate_init();
	kernel_main(b);
}
