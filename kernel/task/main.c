/* The first C code on every platform: brings the parts up in order and starts the program as process 1's first thread.
 * Owns the boot page and statistics pointers.
 */
#include "kernel/task/task_private.h"

#include "kernel/debug/debug.h"
#include "kernel/debug/trace.h"
#include "kernel/fs/fs.h"
#include "kernel/mm/page.h"
#include "kernel/platform/platform.h"
#include "kernel/task/patch.h"

#include <vauban/message.h>

const struct vb_boot *boot;
struct vb_stats *stats;

_Noreturn void kernel_main(struct vb_boot *b);

/* Strings of the boot page, one after the other, as a NULL-terminated vector. */
static char **boot_vector(uint32_t offset, uint32_t count)
{
	char **v = kmalloc((count + 1ull) * sizeof(*v));
	if (!v)
		kpanic("no memory for the program's arguments: give the cell more with -m");
	const char *s = vb_boot_string(boot, offset);
	for (uint32_t i = 0; i < count; i++, s += strlen(s) + 1)
		v[i] = (char *)s;
	v[count] = NULL;
	return v;
}

static _Noreturn void cell_fail(int error)
{
	const char *program = vb_boot_string(boot, boot->program);
	bool missing = error == -ENOENT || error == -ENOTDIR;
	const char *why = missing ? "not found in the image, or its interpreter is missing there" :
			  error == -ENOEXEC ? "not a program for x86-64 Linux" :
			  error == -EACCES ? "permission denied (not an executable file)" :
			  error == -ENOMEM ? "the cell has too little memory: give it more with -m" : "cannot be executed";
	klog(0, "%s: %s (error %d)", program, why, -error);
	struct {
		struct vb_message header;
		struct vb_msg_exit body;
	} m = { { VB_MSG_EXIT, 0 }, { .status = missing ? 127 : 126 } };
	platform_send(&m, sizeof(m), NULL, 0);
	platform_halt(0);
}

/* The first task, on its own kernel stack. */
void task_first_run(struct regs *regs)
{
	static bool started;
	if (started)
		return;
	started = true;
	fs_init();
	char **argv = boot_vector(boot->argv, boot->argc), **envp = boot_vector(boot->envv, boot->envc);
	int error = exec_program(vb_boot_string(boot, boot->program), argv, envp);
	kfree(argv);
	kfree(envp);
	if (error)
		cell_fail(error);
	struct vb_message running = { .type = VB_MSG_RUNNING };
	platform_send(&running, sizeof(running), NULL, 0);
	debug_init();
	trace_set(boot->flags & VB_BOOT_TRACE);
	task_want_work();
}

_Noreturn void kernel_main(struct vb_boot *b)
{
	page_init();
	vdso_init();
	patch_init();
	struct process *p = process_new_first();
	if (!p)
		kpanic("no memory to start: give the cell more with -m");
	sched_start(p->leader);
}
