/* The scheduler: one CPU, round robin, a switch only at sleeps and on the way back to user space. Owns the run queue,
 * the wait queues' protocol and the idle loop.
 */
#include "kernel/task/task_private.h"

#include "kernel/debug/debug.h"
#include "kernel/fs/fs.h"
#include "kernel/mm/page.h"
#include "kernel/net/net.h"
#include "kernel/platform/platform.h"

#define SLICE_NS      4000000ull
#define STDIO_POLL_NS 10000000ull /* how often a computing program lets a thread that waits for stdin look */

struct task *current;
bool need_work;
static struct list run_queue = LIST_INIT(run_queue);
static uint64_t slice_end_ns;

void task_want_work(void)
{
	need_work = true;
}

/* --- wait queues --- */

void wait_queue_init(struct wait_queue *q)
{
	list_init(&q->entries);
}

void wait_queue_add(struct wait_queue *q, struct wait_entry *entry)
{
	entry->queue = q;
	list_push_back(&q->entries, &entry->node);
}

void wait_queue_remove(struct wait_entry *entry)
{
	if (!entry->queue)
		return;
	entry->queue = NULL;
	list_remove(&entry->node);
}

void wait_queue_wake_n(struct wait_queue *q, unsigned events, unsigned n)
{
	list_for_each_safe(entry, next, &q->entries, struct wait_entry, node) {
		if (entry->exclusive && n == 0)
			continue;
		bool taken = true;
		if (entry->notify)
			taken = entry->notify(entry, events);
		else
			task_wake(entry->task);
		if (entry->exclusive && taken)
			n--;
	}
}

void wait_queue_wake(struct wait_queue *q, unsigned events)
{
	wait_queue_wake_n(q, events, 1);
}

/* --- sleeping and waking --- */

static bool can_run(const struct task *t)
{
	const struct process *p = t->process;
	if (p->exiting)
		return t == p->leader;
	return !debug_blocks(t) && !p->stopped;
}

/* The next task that may run, taken off the queue; NULL: none. */
static struct task *pick(void)
{
	list_for_each(t, &run_queue, struct task, run_node) {
		if (can_run(t)) {
			list_remove(&t->run_node);
			return t;
		}
	}
	return NULL;
}

/* What else is due: timers, and after a host interrupt messages and descriptors. True: there was one. */
static bool serve(void)
{
	timers_run();
	if (!platform_interrupt_take())
		return false;
	messages_run();
	unsigned wanted = stdio_wanted();
	if (wanted)
		stdio_ready(platform_wait(wanted, 0));
	if (net_running)
		net_poll_interrupted();
	return true;
}

/* The program waits for the first time: what only the start needed goes back to the host, free pages and the part of the
 * stack that hardly a call reaches. */
static void give_back(struct task *t)
{
	heap_give_back();
	pages_give_back();
	if ((uint64_t)__builtin_frame_address(0) - t->kstack > KSTACK_BYTES * 5 / 8 && t->kstack_end &&
		!platform_discard(page_offset(page_of((void *)t->kstack)), KSTACK_BYTES / 2))
		t->kstack_end = 0;
}

/* Nothing can run: waits for something to happen. */
static void idle(void)
{
	static bool gave_back, message = true;
	timers_run();
	if (platform_interrupt_take() || message) /* a message interrupts, or ends the wait below */
		messages_run();
	/* Under load frames are there already: looking costs less than being told. */
	if (net_running && net_poll())
		return;
	list_for_each(t, &run_queue, struct task, run_node)
		if (can_run(t))
			return;
	if (!gave_back && stats->running) {
		gave_back = true;
		give_back(current);
	}
	uint64_t deadline = timers_next_ns();
	unsigned net = net_running ? net_wait_for(&deadline) : 0;
	unsigned ready = platform_wait(stdio_wanted() | net | WAIT_MONITOR, deadline);
	message = ready & WAIT_MONITOR;
	if (ready & net)
		net_ready(ready & net);
	if (ready & ~net & ~WAIT_MONITOR)
		stdio_ready(ready & ~net & ~WAIT_MONITOR);
}

/* Runs another task, or idles until one can run. Returns when current runs again (at once if it is the one). */
static void schedule(void)
{
	struct task *prev = current, *next;
	uint64_t now = now_monotonic_ns();
	prev->cpu_ns += now - prev->run_since_ns;
	if (prev->state == TASK_RUNNABLE && list_empty(&prev->run_node))
		list_push_back(&run_queue, &prev->run_node);
	while (!(next = pick())) {
		idle();
		now = 0;
	}
	next->run_since_ns = now ? now : now_monotonic_ns();
	slice_end_ns = next->run_since_ns + SLICE_NS;
	need_work = true; /* arms the timer on the way out, serves what came in meanwhile */
	if (next == prev)
		return;
	KASSERT(*(const uint64_t *)prev->kstack == prev->kstack_end);
	stats->switches++;
	current = next;
	platform_switch(prev->state == TASK_DEAD ? NULL : prev, next);
	task_reap();
	signal_switched_in();
}

void task_make_runnable(struct task *t)
{
	t->state = TASK_RUNNABLE;
	if (list_empty(&t->run_node))
		list_push_back(&run_queue, &t->run_node);
	need_work = true;
}

void task_prepare(void)
{
	current->woken = false;
}

void task_wake(struct task *t)
{
	t->woken = true;
	if (t->state == TASK_SLEEPING)
		task_make_runnable(t);
}

static void sleep_timeout(struct ktimer *timer)
{
	struct task *t = vb_container_of(timer, struct task, sleep_timer);
	t->timed_out = true;
	if (t->state == TASK_SLEEPING)
		task_make_runnable(t);
}

int task_sleep(uint64_t deadline_ns, bool interruptible)
{
	struct task *t = current;
	t->timed_out = false;
	t->interruptible = interruptible;
	for (;;) {
		if (t->woken)
			return 0;
		if (interruptible && (signal_pending(t) || task_ending(t)))
			return -ERESTARTSYS;
		if (t->timed_out)
			return -ETIMEDOUT;
		if (deadline_ns != NO_DEADLINE) {
			t->sleep_timer.fire = sleep_timeout;
			ktimer_start(&t->sleep_timer, deadline_ns);
		}
		t->state = TASK_SLEEPING;
		schedule();
		t->state = TASK_RUNNABLE;
		if (deadline_ns != NO_DEADLINE)
			ktimer_stop(&t->sleep_timer);
	}
}

void task_yield(void)
{
	serve();
	if (!list_empty(&run_queue))
		schedule();
}

_Noreturn void task_switch_dead(void)
{
	current->state = TASK_DEAD;
	schedule();
	kpanic("a dead task ran");
}

_Noreturn void sched_start(struct task *first)
{
	current = first;
	first->state = TASK_RUNNABLE;
	first->run_since_ns = now_monotonic_ns();
	slice_end_ns = first->run_since_ns + SLICE_NS;
	platform_switch(NULL, first);
	kpanic("the first task came back");
}

/* --- on the way to user space --- */

static void arm_timer(void)
{
	uint64_t deadline = timers_next_ns();
	if (!list_empty(&run_queue))
		deadline = vb_min(deadline, slice_end_ns);
	if (stdio_wanted())
		deadline = vb_min(deadline, deadline_after(STDIO_POLL_NS));
	if (net_running)
		deadline = vb_min(deadline, net_poll_ns(now_monotonic_ns()));
	if (deadline != NO_DEADLINE)
		platform_set_timer(deadline);
}

void user_return_work(struct regs *regs)
{
	while (need_work) {
		need_work = false;
		if (serve())
			cputime_tick((int64_t)regs->orig_rax < 0);
		if (!can_run(current) || (!list_empty(&run_queue) && now_monotonic_ns() >= slice_end_ns))
			schedule();
		if (task_ending(current))
			task_exit(0);
		if (signal_pending(current) || current->restore_sigmask || (int64_t)regs->orig_rax >= 0)
			signal_deliver(regs);
		arm_timer();
		if (can_run(current))
			continue;
		need_work = true;
	}
}
