/* See fake_net.h. */
#include "tests/unit/fake_net.h"

#include "kernel/kernel.h"
#include "kernel/net/inet.h"
#include "kernel/net/net.h"
#include "kernel/platform/platform.h"

uint64_t cell_memory = 64 << 20;
bool fake_woken, need_work;
uint64_t p9_heard;

bool capable(int cap)
{
	return true;
}
uint64_t pages_total(void);
uint64_t pages_total(void)
{
	return cell_memory / VB_PAGE_SIZE;
}
void task_want_work(void)
{
	need_work = true;
}
void task_prepare(void)
{
	fake_woken = false;
}
struct process *process_by_pid(int pid);
struct process *process_by_pid(int pid)
{
	return NULL;
}
int signal_task(struct task *t, const struct k_siginfo *info)
{
	return 0;
}
void file_signal_io(struct file *f) {}
int fd_install(struct file *f, int min, bool cloexec)
{
	return -ENFILE;
}
struct file *fd_ref_any(int fd)
{
	return NULL;
}
void wait_queue_init(struct wait_queue *q)
{
	list_init(&q->entries);
}
void wait_queue_add(struct wait_queue *q, struct wait_entry *e)
{
	e->queue = q;
	list_push_back(&q->entries, &e->node);
}
void wait_queue_remove(struct wait_entry *e)
{
	if (e->queue)
		list_remove(&e->node);
	e->queue = NULL;
}
void wait_queue_wake(struct wait_queue *q, unsigned events)
{
	fake_woken |= !list_empty(&q->entries);
}
void platform_send(const void *header, size_t header_len, const void *payload, size_t len) {}
