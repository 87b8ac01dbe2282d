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
		start_fail(125, -ENOMEM, "arguments and environment");
	const char *s = vb_boot_string(boot, offset);
	for (uint32_t i = 0; i < count; i++, s += strlen(s) + 1)
		v[i] = (char *)s;
	v[count] = NULL;
	return v;
}

_Noreturn void start_fail(int status, int error, const char *fmt, ...)
{
	static const struct {
		int error;
		const char *why;
	} reasons[] = {
		{ENOENT, "not found in the image, or its interpreter is missing there"},
		{ENOTDIR, "there is a file in the image where a folder is needed"},
		{ENOEXEC, "not a program for x86-64 Linux, or damaged"},
		{EACCES, "permission denied"},
		{ELOOP, "too many symbolic links, or scripts that interpret each other"},
		{ENOMEM, "the cell has too little memory: give it more with -m"},
		{EUCLEAN, "the image is damaged: check it with `vauban image verify`, build it again"},
		{EINVAL, "the image is damaged: check it with `vauban image verify`, build it again"},
		{EOPNOTSUPP, "the image is damaged, or of a kind that only Linux reads: check it with `vauban image verify`"},
	};
	const char *why = "failed";
	char what[300];
	va_list ap;
	va_start(ap, fmt);
	vb_vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	for (unsigned i = 0; i < VB_ARRAY_LEN(reasons); i++)
		if (reasons[i].error == -error)
			why = reasons[i].why;
	klog(0, "%s: %s (error %d)", what, why, -error);
	struct {
		struct vb_message header;
		struct vb_msg_exit body;
	} m = {{VB_MSG_EXIT, 0}, {.status = status}};
	platform_send(&m, sizeof(m), NULL, 0);
	platform_halt(0);
}

/* As a shell would tell of it; 125 if that has nothing to do with the program. */
static int exec_status(int error)
{
	switch (-error) {
	case ENOENT:
	case ENOTDIR:
		return 127;
	case EUCLEAN:
	case EINVAL:
	case EOPNOTSUPP:
	case ENOMEM:
		return 125;
	default:
		return 126;
	}
}

/* Any task's first steps on its kernel stack; the first task of all starts the program. */
void task_first_run(struct regs *regs)
{
	static bool started;
	task_reap();
	signal_switched_in();
	if (started)
		return;
	started = true;
	fs_init();
	char **argv = boot_vector(boot->argv, boot->argc), **envp = boot_vector(boot->envv, boot->envc);
	int error = exec_program(vb_boot_string(boot, boot->program), argv, envp);
	kfree(argv);
	kfree(envp);
	if (error)
		start_fail(exec_status(error), error, "%s", vb_boot_string(boot, boot->program));
	stats->running = 1; /* a message would cost waking the monitor */
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
		start_fail(125, -ENOMEM, "start");
	sched_start(p->leader);
}
