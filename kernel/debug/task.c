/* The debug state of a thread, made when tracing or debugging first needs it. */
#include "kernel/debug/internal.h"

struct debug_task *debug_task(struct task *t)
{
	if (!t->debug)
		t->debug = kzalloc(sizeof(struct debug_task));
	return t->debug;
}

void debug_task_release(struct task *t)
{
	struct debug_task *d = t->debug;
	if (d) {
		debug_thread_gone(t);
		kfree(d->call);
	}
	kfree(d);
	t->debug = NULL;
}
