/* timerfd: expirations of a timer to read and to poll. Trusts nothing from the program.
 *
 * The kernel timer runs on CLOCK_MONOTONIC and fires once; further expirations of an interval are counted when somebody
 * looks, as on Linux, so an unread timer costs nothing.
 */
#include "kernel/fs/fs.h"
#include "kernel/platform/platform.h"
#include "kernel/syscall/define.h"

#include <linux/capability.h>
#include <linux/fcntl.h>
#include <linux/time.h>
#include <linux/timerfd.h>

struct k_itimerspec {
	struct k_timespec interval, value;
};

struct timerfd {
	int clock;
	struct ktimer timer;
	uint64_t deadline_ns, interval_ns; /* deadline of the next expiration not yet counted; 0: disarmed */
	uint64_t ticks;                    /* expirations not yet read */
	struct wait_queue wait;
};

/* Counts what has expired up to now. The kernel timer is pending exactly while the deadline lies ahead. */
static void timerfd_update(struct timerfd *t)
{
	uint64_t now, n = 1;

	if (!t->deadline_ns || (now = now_monotonic_ns()) < t->deadline_ns)
		return;
	ktimer_stop(&t->timer);
	if (t->interval_ns)
		n += (now - t->deadline_ns) / t->interval_ns;
	t->ticks += n;
	t->deadline_ns = t->interval_ns ? t->deadline_ns + n * t->interval_ns : 0;
	if (t->deadline_ns)
		ktimer_start(&t->timer, t->deadline_ns);
}

/* Doesn't restart an interval: the next look counts and restarts it. */
static void timerfd_fire(struct ktimer *timer)
{
	wait_queue_wake(&vb_container_of(timer, struct timerfd, timer)->wait, POLL_IN);
}

static bool timerfd_expired(struct timerfd *t)
{
	return t->ticks || (t->deadline_ns && t->deadline_ns <= now_monotonic_ns());
}

static long timerfd_read(struct file *f, struct uio *u, uint64_t *pos)
{
	struct timerfd *t = f->private;
	uint64_t ticks;

	if (u->left < sizeof(ticks))
		return -EINVAL;
	if ((f->flags & O_NONBLOCK) && !timerfd_expired(t))
		return -EAGAIN;
	int r = wait_until(&t->wait, timerfd_expired(t), NO_DEADLINE);
	if (r)
		return r;
	timerfd_update(t);
	ticks = t->ticks;
	t->ticks = 0;
	return uio_put(u, &ticks, sizeof(ticks)) == sizeof(ticks) ? (long)sizeof(ticks) : -EFAULT;
}

static unsigned timerfd_poll(struct file *f, struct poll_table *table)
{
	struct timerfd *t = f->private;

	poll_add(table, f, &t->wait);
	return timerfd_expired(t) ? POLL_IN : 0;
}

static long timerfd_ioctl(struct file *f, unsigned cmd, uint64_t arg)
{
	struct timerfd *t = f->private;
	uint64_t ticks;

	if (cmd != TFD_IOC_SET_TICKS)
		return -ENOTTY;
	if (get_user(ticks, arg))
		return -EFAULT;
	if (!ticks)
		return -EINVAL;
	t->ticks = ticks;
	wait_queue_wake(&t->wait, POLL_IN);
	return 0;
}

static void timerfd_release(struct file *f)
{
	struct timerfd *t = f->private;

	ktimer_stop(&t->timer);
	kfree(t);
}

static const struct file_ops timerfd_ops = {
	.seek = file_seek_nothing,
	.read = timerfd_read,
	.poll = timerfd_poll,
	.ioctl = timerfd_ioctl,
	.release = timerfd_release,
};

static bool is_alarm(int clock)
{
	return clock == CLOCK_REALTIME_ALARM || clock == CLOCK_BOOTTIME_ALARM;
}

SYSCALL(timerfd_create, int clock, int flags)
{
	if ((flags & ~(TFD_CLOEXEC | TFD_NONBLOCK)) ||
		(clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC && clock != CLOCK_BOOTTIME && !is_alarm(clock)))
		return -EINVAL;
	if (is_alarm(clock) && !capable(CAP_WAKE_ALARM))
		return -EPERM;
	struct timerfd *t = kzalloc(sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->clock = clock;
	ktimer_init(&t->timer, timerfd_fire);
	wait_queue_init(&t->wait);
	struct file *f = file_new_anonymous("anon_inode:[timerfd]", 0600, O_RDWR | ((unsigned)flags & TFD_NONBLOCK), &timerfd_ops, t);
	if (!f) {
		kfree(t);
		return -ENOMEM;
	}
	int fd = fd_install(f, 0, flags & TFD_CLOEXEC);
	if (fd < 0)
		file_unref(f);
	return fd;
}

/* The remaining time, at least 1 ns while armed. */
static struct k_itimerspec timerfd_state(struct timerfd *t)
{
	uint64_t left = 0;

	timerfd_update(t);
	if (t->deadline_ns) {
		uint64_t now = now_monotonic_ns();
		left = t->deadline_ns > now ? t->deadline_ns - now : 1;
	}
	return (struct k_itimerspec){ns_to_timespec(t->interval_ns), ns_to_timespec(left)};
}

/* Absolute times of the other clocks become times of CLOCK_MONOTONIC: the clocks of a cell are never set. */
static uint64_t to_monotonic(int clock, uint64_t at)
{
	bool real = clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_ALARM;
	uint64_t mono = now_monotonic_ns(),
		 now = clock == CLOCK_MONOTONIC ? mono : platform_clock_ns(real ? CLOCK_REALTIME : CLOCK_BOOTTIME);

	if (at >= now)
		return at - now < NO_DEADLINE - mono ? mono + (at - now) : NO_DEADLINE;
	return now - at < mono ? mono - (now - at) : 1; /* the past */
}

static void timerfd_arm(struct timerfd *t, bool absolute, const struct k_itimerspec *spec)
{
	uint64_t value = timespec_to_ns(&spec->value);

	ktimer_stop(&t->timer);
	t->ticks = 0;
	t->interval_ns = timespec_to_ns(&spec->interval);
	t->deadline_ns = 0;
	if (!value)
		return;
	t->deadline_ns = absolute ? to_monotonic(t->clock, value) : deadline_after(value);
	ktimer_start(&t->timer, t->deadline_ns);
}

static int timerfd_get(int fd, struct timerfd **ret)
{
	struct file *f = fd_get(fd);

	if (!f)
		return -EBADF;
	if (f->ops != &timerfd_ops)
		return -EINVAL;
	*ret = f->private;
	return 0;
}

SYSCALL(timerfd_settime, int fd, int flags, uint64_t new_addr, uint64_t old_addr)
{
	struct k_itimerspec spec, old;
	struct timerfd *t;

	if (get_user(spec, new_addr))
		return -EFAULT;
	if ((flags & ~(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET)) || !timespec_valid(&spec.value) || !timespec_valid(&spec.interval))
		return -EINVAL;
	int r = timerfd_get(fd, &t);
	if (r)
		return r;
	if (is_alarm(t->clock) && !capable(CAP_WAKE_ALARM))
		return -EPERM;
	old = timerfd_state(t);
	timerfd_arm(t, flags & TFD_TIMER_ABSTIME, &spec);
	return old_addr && put_user(old, old_addr) ? -EFAULT : 0;
}

SYSCALL(timerfd_gettime, int fd, uint64_t addr)
{
	struct timerfd *t;
	int r = timerfd_get(fd, &t);

	return r ? r : put_user(timerfd_state(t), addr) ? -EFAULT : 0;
}
