/* The stack's timers, without ticks when nothing needs them: lwIP counts in ticks, so the ticks that an idle cell slept
 * through are made up for when it next does something. Owns one kernel timer.
 *
 * TCP says itself when it needs its tick (tcp_tick_deadline). The coarse ones (ARP, neighbours, fragments, DHCP, IGMP, MLD) run
 * for some time after something was begun that they must end, which the interfaces tell by net_coarse_until().
 */
#include "kernel/net/net.h"
#include "kernel/net/tcp.h"
#include "kernel/platform/platform.h"
#include "kernel/time/time.h"

#include "lwip/dhcp.h"
#include "lwip/etharp.h"
#include "lwip/netif.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/timeouts.h"

#define MS_NS         1000000ull
#define CATCH_UP_MAX  600u /* ticks of one timer: entries of tables then live longer than they should, by what was slept more */
#define COARSE_MS     100u

static struct ktimer net_timer;
static uint64_t coarse_end_ns;
static uint64_t last_ns[16]; /* of each of lwip_cyclic_timers: when it last ran, rounded to its period */
static uint64_t next_coarse_ns; /* when the first of them is due */

void sys_timeouts_init(void)
{
}

void sys_timeout(u32_t ms, sys_timeout_handler handler, void *arg)
{
	kpanic("lwip: a timer of its own");
}

void net_coarse_until(uint64_t ms)
{
	coarse_end_ns = vb_max(coarse_end_ns, deadline_after(ms * MS_NS));
}

/* The coarse timers as often as their periods went by. The first in lwIP's table is TCP's. */
static void run_coarse(uint64_t now)
{
	if (now < next_coarse_ns)
		return;
	next_coarse_ns = NO_DEADLINE;
	for (int i = 1; i < lwip_num_cyclic_timers; i++) {
		uint64_t period = lwip_cyclic_timers[i].interval_ms * MS_NS;
		if (!last_ns[i])
			last_ns[i] = now;
		uint64_t ticks = (now - last_ns[i]) / period;
		last_ns[i] += ticks * period;
		for (ticks = vb_min(ticks, (uint64_t)CATCH_UP_MAX); ticks; ticks--)
			lwip_cyclic_timers[i].handler();
		next_coarse_ns = vb_min(next_coarse_ns, last_ns[i] + period);
	}
}

void net_timers_catch_up(void)
{
	uint64_t now = now_monotonic_ns();

	tcp_clock_set(now);
	run_coarse(now);
}

/* When a lease is to be renewed. */
static uint64_t dhcp_deadline(uint64_t now)
{
	uint64_t deadline = NO_DEADLINE;
	struct netif *n;

	NETIF_FOREACH(n) {
		const struct dhcp *d = netif_dhcp_data(n);
		if (!d || !d->state)
			continue;
		uint64_t units = vb_max(1u, vb_min(d->t1_renew_time ? d->t1_renew_time : 0xffffu, d->t2_rebind_time ? d->t2_rebind_time : 0xffffu));
		deadline = vb_min(deadline, now + units * DHCP_COARSE_TIMER_SECS * NSEC_PER_SEC);
	}
	return deadline;
}

static void fire(struct ktimer *t)
{
	uint64_t now = now_monotonic_ns();

	run_coarse(now);
	tcp_tick(now);
	inet_run();
}

void net_timer_update(void)
{
	uint64_t now = now_monotonic_ns(), deadline = vb_min(tcp_tick_deadline(now), dhcp_deadline(now));

	if (now < coarse_end_ns)
		deadline = vb_min(deadline, now + COARSE_MS * MS_NS);
	if (deadline == NO_DEADLINE) {
		ktimer_stop(&net_timer);
	} else if (!net_timer.pending || deadline < net_timer.deadline_ns || net_timer.deadline_ns <= now) {
		net_timer.fire = fire;
		ktimer_start(&net_timer, deadline);
	}
}
