/* TCP: how long something is tried, as on Linux: times of retransmission, probes of a closed window, when a connection is given
 * up. lwIP does the sending; its own times are shorter, and it would never give up on some peers. Owns nothing. */
#include "kernel/net/net.h"
#include "kernel/net/tcp.h"
#include "kernel/time/time.h"

#include "lwip/priv/tcp_priv.h"

#define RTO_MIN_TICKS 10   /* 200 ms */
#define RTO_MAX_TICKS 6000 /* 120 s */
#define SYN_TRIES     6u   /* net.ipv4.tcp_syn_retries: 127 s */
#define TRIES         15u  /* net.ipv4.tcp_retries2: 15 minutes */
#define ORPHAN_TRIES  8u   /* net.ipv4.tcp_orphan_retries: 100 s. Probes count even if they are answered: nobody waits any more */
#define NEIGHBOUR_NS  (3 * NSEC_PER_SEC) /* how long a neighbour may take to answer */
#define MS_NS         1000000ull

#define COUNT_MAX     9 /* lwIP gives up when its own counts reach 12 */

/* A count of lwIP that starts again at 0, continued in *more. */
static unsigned count_on(u8_t *count, uint8_t *more)
{
	if (*count < COUNT_MAX)
		*more = 0;
	for (; *count > COUNT_MAX && *more < 255; --*count)
		++*more;
	return (unsigned)*count + *more;
}

/* lwIP retransmits when rtime reaches rto; with the next of its ticks it will. */
static bool retransmission_due(const struct tcp_pcb *p)
{
	return p->rtime >= 0 && p->rtime + 1 >= p->rto;
}

static void set_retransmission(struct tcp_pcb *p, unsigned tries)
{
	if (p->state == SYN_SENT) {
		p->rto = (s16_t)vb_min(RTO_START_TICKS << vb_min(tries, 7u), RTO_MAX_TICKS);
		return;
	}
	/* lwIP has no least time of retransmission, and none at all is what it would find on a fast network. */
	p->sv = vb_max(p->sv, (s16_t)RTO_MIN_TICKS);
	p->rto = (s16_t)vb_min(((p->sa >> 3) + p->sv) << vb_min(tries, 10u), RTO_MAX_TICKS);
}

/* The window is closed: when lwIP's next probe goes. Its own count of ticks, 3 of which would be enough, tells: 0 that one has
 * just gone, 1 that it is not time, 255 that it is. */
static void set_probe(struct tcp_socket *s, uint64_t now)
{
	struct tcp_pcb *p = s->pcb;

	if (!p->persist_backoff) {
		s->probe_ns = 0;
		s->probes = 0;
		return;
	}
	if (!s->probe_ns) {
		s->probe_ns = now + RTO_MIN_TICKS * SLOW_TICK_NS;
	} else if (!p->persist_cnt) {
		s->probes = (uint8_t)vb_min(s->probes + 1, 255);
		s->probe_ns = now + vb_min((uint64_t)RTO_MIN_TICKS << vb_min(s->probes, (uint8_t)10), (uint64_t)RTO_MAX_TICKS) * SLOW_TICK_NS;
	}
	p->persist_cnt = now >= s->probe_ns ? 255 : 1;
}

/* Nothing has got through since ... */
static bool user_timeout(struct tcp_socket *s, uint64_t now)
{
	const struct tcp_pcb *p = s->pcb;

	if (!p->nrtx && !p->persist_probe && p->state != SYN_SENT) {
		s->stuck_ns = 0;
		return false;
	}
	if (!s->stuck_ns)
		s->stuck_ns = now;
	return s->user_timeout_ms && now - s->stuck_ns >= s->user_timeout_ms * MS_NS;
}

int tcp_patience(struct tcp_socket *s, uint64_t now)
{
	struct tcp_pcb *p = s->pcb;
	unsigned tries = count_on(&p->nrtx, &s->more_tries), unanswered = count_on(&p->persist_probe, &s->more_probes);

	set_retransmission(p, tries);
	set_probe(s, now);
	if (p->state == SYN_RCVD)
		return 0; /* lwIP ends it after 20 s */
	if (user_timeout(s, now))
		return ETIMEDOUT;
	if (p->state == SYN_SENT) {
		uint64_t since = now - s->stuck_ns;
		if (since >= NEIGHBOUR_NS && since < 2 * NEIGHBOUR_NS && interface_no_neighbour(ip_route(&p->local_ip, &p->remote_ip), &p->remote_ip))
			return EHOSTUNREACH;
		return retransmission_due(p) && tries >= (s->syn_count ? (unsigned)s->syn_count : SYN_TRIES) ? ETIMEDOUT : 0;
	}
	if (p->persist_backoff)
		return p->persist_cnt == 255 && (unanswered >= TRIES || (s->orphan && s->probes >= ORPHAN_TRIES)) ? ETIMEDOUT : 0;
	return retransmission_due(p) && tries >= (s->orphan ? ORPHAN_TRIES : TRIES) ? ETIMEDOUT : 0;
}
