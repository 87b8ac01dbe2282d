/* Owns the POSIX timers of a process: timer_create and its kin. A timer's signal is an entry inside the timer, so it can't
 * be lost; a periodic timer goes on when its signal has been taken, and counts what it missed (as Linux). */
#include "kernel/task/task.h"

#include <asm/resource.h>
#include <asm/siginfo.h>
#include <asm/signal.h>
#include <linux/time.h>

#include "kernel/syscall/define.h"

#define CPU_TIMER_RECHECK_NS 1000000ull /* the closest two looks at a CPU clock may come */
#define IGNORED_RECHECK_NS   1000000ull /* the shortest period of a timer whose signal is ignored */

struct k_itimerspec {
	struct k_timespec interval, value;
};
struct k_sigevent {
	uint64_t value;
	int32_t signo, notify, tid;
	int32_t pad[11];
};

struct posix_timer {
	struct process *process;
	int clock, tid;                  /* tid: the thread to signal, 0: the process */
	bool silent;                     /* SIGEV_NONE */
	uint64_t expiry_ns, interval_ns; /* on its clock; expiry 0: disarmed */
	uint64_t overrun;
	struct ktimer timer;
	struct sigpending_entry entry;
};

struct posix_timers {
	unsigned slots;
	struct posix_timer *slot[];
};

static struct posix_timer *timer_get(int id)
{
	struct posix_timers *all = current->process->posix_timers;

	return all && id >= 0 && (unsigned)id < all->slots ? all->slot[id] : NULL;
}

static uint64_t timer_now(const struct posix_timer *t)
{
	uint64_t now;

	return clock_read(t->clock, &now) ? 0 : now; /* a CPU clock whose thread is gone stands still */
}

static bool timer_on_cpu_clock(const struct posix_timer *t)
{
	return t->clock < 0 || t->clock == CLOCK_PROCESS_CPUTIME_ID || t->clock == CLOCK_THREAD_CPUTIME_ID;
}

static void timer_arm(struct posix_timer *t, uint64_t at_least_ns)
{
	uint64_t now = timer_now(t), left = t->expiry_ns > now ? t->expiry_ns - now : 0;

	if (!t->silent)
		ktimer_start(&t->timer, deadline_after(vb_max(left, at_least_ns)));
}

/* Moves the expiry of a periodic timer beyond now; the periods that it skips are overruns. */
static void timer_forward(struct posix_timer *t, uint64_t now)
{
	if (!t->interval_ns || !t->expiry_ns || now < t->expiry_ns)
		return;
	uint64_t periods = (now - t->expiry_ns) / t->interval_ns + 1;
	if (__builtin_add_overflow(t->expiry_ns, periods * t->interval_ns, &t->expiry_ns))
		t->expiry_ns = NO_DEADLINE;
	t->overrun += periods - 1;
}

static int32_t overrun_saturated(uint64_t overrun)
{
	return overrun > INT32_MAX ? INT32_MAX : (int32_t)overrun;
}

static void timer_fire(struct ktimer *kt)
{
	struct posix_timer *t = vb_container_of(kt, struct posix_timer, timer);
	struct task *target = t->tid ? task_by_tid(t->tid) : NULL;
	uint64_t now = timer_now(t);

	if (timer_on_cpu_clock(t) && now < t->expiry_ns) {
		timer_arm(t, CPU_TIMER_RECHECK_NS);
		return;
	}
	t->overrun = 0;
	if (t->tid && (!target || target->process != t->process))
		return; /* the thread is gone: nobody to tell */
	bool queued = signal_queue_entry(t->process, target, &t->entry);
	if (queued)
		return; /* goes on when it is taken */
	if (t->interval_ns) {
		timer_forward(t, now);
		timer_arm(t, IGNORED_RECHECK_NS);
	} else {
		t->expiry_ns = 0;
	}
}

static void timer_signal_released(struct sigpending_entry *entry, bool taken)
{
	struct posix_timer *t = vb_container_of(entry, struct posix_timer, entry);

	if (t->interval_ns && t->expiry_ns) {
		timer_forward(t, timer_now(t));
		timer_arm(t, taken ? 0 : IGNORED_RECHECK_NS);
	} else {
		t->expiry_ns = 0;
	}
	entry->info.timer.overrun = overrun_saturated(t->overrun);
}

/* Unhooks the timer from the clock and the signal queue. */
static void timer_quiet(struct posix_timer *t)
{
	t->expiry_ns = t->interval_ns = t->overrun = 0;
	ktimer_stop(&t->timer);
	signal_unqueue_entry(&t->entry);
}

/* A free id, growing the table if needed. -EAGAIN: too many, or no memory. */
static int timer_id_new(struct process *p)
{
	struct posix_timers *all = p->posix_timers;
	unsigned slots = all ? all->slots : 0, id = 0;

	while (id < slots && all->slot[id])
		id++;
	if (id < slots)
		return (int)id;
	if (id >= p->rlimit[RLIMIT_SIGPENDING].cur)
		return -EAGAIN;
	unsigned grown = slots ? slots * 2 : 8;
	all = krealloc(all, sizeof(*all) + grown * sizeof(all->slot[0]));
	if (!all)
		return -EAGAIN;
	memset(&all->slot[slots], 0, (grown - slots) * sizeof(all->slot[0]));
	all->slots = grown;
	p->posix_timers = all;
	return (int)id;
}

static bool sigevent_valid(const struct k_sigevent *e)
{
	const struct task *t;

	switch (e->notify) {
	case SIGEV_NONE:
		return true;
	case SIGEV_THREAD_ID:
		t = task_by_tid(e->tid);
		if (!t || t->process != current->process)
			return false;
		break;
	case SIGEV_SIGNAL:
	case SIGEV_THREAD:
		break;
	default:
		return false;
	}
	return e->signo >= 1 && e->signo <= SIG_COUNT;
}

SYSCALL(timer_create, int clock, uint64_t usevp, uint64_t uid)
{
	struct k_sigevent event = {.notify = SIGEV_SIGNAL, .signo = SIGALRM};
	struct process *p = current->process;
	uint64_t now;

	if (usevp && get_user(event, usevp))
		return -EFAULT;
	if (clock_read(clock, &now))
		return -EINVAL;
	if (clock == CLOCK_MONOTONIC_RAW || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_MONOTONIC_COARSE ||
		clock == CLOCK_REALTIME_ALARM || clock == CLOCK_BOOTTIME_ALARM)
		return -EOPNOTSUPP;
	if (!sigevent_valid(&event))
		return -EINVAL;
	if (clock == CLOCK_THREAD_CPUTIME_ID) /* the creator's, whoever asks later */
		clock = (int)((~(unsigned)current->tid << 3) | 6);
	struct posix_timer *t = kzalloc(sizeof(*t));
	int id = t ? timer_id_new(p) : -EAGAIN;
	int r = id < 0 ? id : put_user(id, uid);
	if (r) {
		kfree(t);
		return r;
	}
	t->process = p;
	t->clock = clock;
	t->tid = event.notify == SIGEV_THREAD_ID ? event.tid : 0;
	t->silent = event.notify == SIGEV_NONE;
	ktimer_init(&t->timer, timer_fire);
	list_init(&t->entry.node);
	t->entry.release = timer_signal_released;
	t->entry.info = (struct k_siginfo){.signo = event.signo, .code = SI_TIMER};
	t->entry.info.timer.tid = id;
	t->entry.info.timer.value = usevp ? event.value : (uint64_t)id;
	((struct posix_timers *)p->posix_timers)->slot[id] = t;
	return 0;
}

static void timer_spec(struct posix_timer *t, struct k_itimerspec *ret)
{
	uint64_t now = timer_now(t), left = 0;

	if (t->interval_ns && (t->silent || !list_empty(&t->entry.node)))
		timer_forward(t, now);
	if (t->expiry_ns > now)
		left = t->expiry_ns - now;
	else if (t->expiry_ns && !t->silent && list_empty(&t->entry.node))
		left = 1; /* due, but not fired yet */
	ret->value = ns_to_timespec(left);
	ret->interval = ns_to_timespec(t->interval_ns);
}

SYSCALL(timer_settime, int id, int flags, uint64_t unew, uint64_t uold)
{
	struct k_itimerspec new, old;
	struct posix_timer *t;

	if (!unew)
		return -EINVAL;
	if (get_user(new, unew))
		return -EFAULT;
	if (!timespec_valid(&new.value) || !timespec_valid(&new.interval))
		return -EINVAL;
	t = timer_get(id);
	if (!t)
		return -EINVAL;
	timer_spec(t, &old);
	timer_quiet(t);
	uint64_t value = timespec_to_ns(&new.value);
	if (value) {
		t->interval_ns = timespec_to_ns(&new.interval);
		t->expiry_ns = value;
		if (!(flags & TIMER_ABSTIME) && __builtin_add_overflow(timer_now(t), value, &t->expiry_ns))
			t->expiry_ns = NO_DEADLINE;
		timer_arm(t, 0);
	}
	return uold ? put_user(old, uold) : 0;
}

SYSCALL(timer_gettime, int id, uint64_t uspec)
{
	struct posix_timer *t = timer_get(id);
	struct k_itimerspec spec;

	if (!t)
		return -EINVAL;
	timer_spec(t, &spec);
	return put_user(spec, uspec);
}

SYSCALL(timer_getoverrun, int id)
{
	const struct posix_timer *t = timer_get(id);

	return t ? t->entry.info.timer.overrun : -EINVAL;
}

SYSCALL(timer_delete, int id)
{
	struct posix_timer *t = timer_get(id);

	if (!t)
		return -EINVAL;
	timer_quiet(t);
	((struct posix_timers *)current->process->posix_timers)->slot[id] = NULL;
	kfree(t);
	return 0;
}

void posix_timers_exit(struct process *p)
{
	struct posix_timers *all = p->posix_timers;

	for (unsigned i = 0; all && i < all->slots; i++) {
		if (!all->slot[i])
			continue;
		timer_quiet(all->slot[i]);
		kfree(all->slot[i]);
	}
	kfree(all);
	p->posix_timers = NULL;
}
