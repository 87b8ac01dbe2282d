/* TCP: socket options of level IPPROTO_TCP, and how options reach lwIP. */
#include "kernel/net/net.h"
#include "kernel/net/tcp.h"

#include "lwip/priv/tcp_priv.h"

#include <asm/socket.h>

/* linux/tcp.h, which wants the C library */
enum {
	TCP_NODELAY_ = 1,
	TCP_MAXSEG = 2,
	TCP_CORK = 3,
	TCP_KEEPIDLE_ = 4,
	TCP_KEEPINTVL_ = 5,
	TCP_KEEPCNT_ = 6,
	TCP_SYNCNT = 7,
	TCP_LINGER2 = 8,
	TCP_DEFER_ACCEPT = 9,
	TCP_WINDOW_CLAMP = 10,
	TCP_INFO = 11,
	TCP_QUICKACK = 12,
	TCP_CONGESTION = 13,
	TCP_USER_TIMEOUT = 18,
	TCP_FASTOPEN = 23,
	TCP_NOTSENT_LOWAT = 25,
	TCP_FASTOPEN_CONNECT = 30,
};
enum { STATE_ESTABLISHED = 1, STATE_SYN_SENT, STATE_SYN_RECV, STATE_FIN_WAIT1, STATE_FIN_WAIT2, STATE_TIME_WAIT, STATE_CLOSE, STATE_CLOSE_WAIT,
	STATE_LAST_ACK, STATE_LISTEN, STATE_CLOSING };
#define KEEP_TIME_MAX  32767
#define KEEP_COUNT_MAX 127
#define WINDOW_CLAMP_MIN 1152 /* half of the least SO_RCVBUF */

void tcp_apply_options(struct tcp_socket *s)
{
	struct tcp_pcb *p = s->pcb;

	if (!p)
		return;
	p->so_options = SOF_REUSEADDR | SOF_BROADCAST | (s->inet.base.flags >> SO_KEEPALIVE & 1 ? SOF_KEEPALIVE : 0);
	p->keep_idle = s->keep_idle_s * 1000;
	p->keep_intvl = s->keep_interval_s * 1000;
	p->keep_cnt = s->keep_count;
	bool v6 = IP_IS_V6_VAL(p->remote_ip);
	int ttl = v6 ? s->inet.hops : s->inet.ttl;
	p->ttl = (u8_t)(ttl < 0 ? TCP_TTL : ttl);
	p->tos = v6 ? s->inet.tclass : s->inet.tos;
}

void tcp_inherit_options(struct tcp_socket *s, const struct tcp_socket *l)
{
	s->nodelay = l->nodelay;
	s->cork = l->cork;
	s->keep_idle_s = l->keep_idle_s;
	s->keep_interval_s = l->keep_interval_s;
	s->keep_count = l->keep_count;
	s->user_timeout_ms = l->user_timeout_ms;
	s->linger2_s = l->linger2_s;
	s->max_segment = l->max_segment;
	s->window_clamp = l->window_clamp;
	s->low_at = l->low_at;
	s->send_buffer_set = l->send_buffer_set;
	s->receive_buffer_set = l->receive_buffer_set;
}

static int set_keep(struct tcp_socket *s, int name, int v)
{
	if (v < 1 || v > (name == TCP_KEEPCNT_ ? KEEP_COUNT_MAX : KEEP_TIME_MAX))
		return -EINVAL;
	*(name == TCP_KEEPIDLE_ ? &s->keep_idle_s : name == TCP_KEEPINTVL_ ? &s->keep_interval_s : &s->keep_count) = (uint32_t)v;
	tcp_apply_options(s);
	return 0;
}

static long set_int(struct tcp_socket *s, int name, int v)
{
	switch (name) {
	case TCP_NODELAY_:
		s->nodelay = v;
		return 0;
	case TCP_CORK:
		s->cork = v;
		return 0;
	case TCP_KEEPIDLE_:
	case TCP_KEEPINTVL_:
	case TCP_KEEPCNT_:
		return set_keep(s, name, v);
	case TCP_MAXSEG:
		if (v && (v < 88 || v > 32767))
			return -EINVAL;
		s->max_segment = v;
		return 0;
	case TCP_USER_TIMEOUT:
		if (v < 0)
			return -EINVAL;
		s->user_timeout_ms = (uint32_t)v;
		return 0;
	case TCP_QUICKACK:
		return 0;
	case TCP_SYNCNT:
		if (v < 1 || v > 127)
			return -EINVAL;
		s->syn_count = v;
		return 0;
	case TCP_LINGER2:
		s->linger2_s = v < 0 ? -1 : vb_min(v, 120);
		return 0;
	case TCP_DEFER_ACCEPT:
		s->defer_accept_s = v;
		return 0;
	case TCP_WINDOW_CLAMP:
		if (!v && s->state != TCP_CLOSED_)
			return -EINVAL;
		s->window_clamp = v ? vb_max(v, WINDOW_CLAMP_MIN) : 0;
		return 0;
	case TCP_NOTSENT_LOWAT:
		s->low_at = (uint32_t)v;
		tcp_space(s);
		return 0;
	case TCP_FASTOPEN:
	case TCP_FASTOPEN_CONNECT:
		return -EOPNOTSUPP; /* as where net.ipv4.tcp_fastopen is off */
	default:
		return -ENOPROTOOPT;
	}
}

long tcp_setsockopt(struct socket *base, int level, int name, uint64_t value, unsigned len)
{
	struct tcp_socket *s = tcp_of(base);
	int v;

	if (level != IPPROTO_TCP) {
		long r = inet_setsockopt(base, level, name, value, len);
		tcp_apply_options(s);
		return r;
	}
	if (name == TCP_CONGESTION) {
		char text[16] = {0};
		if (copy_from_user(text, value, vb_min((size_t)len, sizeof(text) - 1)))
			return -EFAULT;
		return len < 1 ? -EINVAL : strcmp(text, "reno") == 0 ? 0 : -ENOENT;
	}
	if (len < sizeof(v))
		return -EINVAL;
	if (get_user(v, value))
		return -EFAULT;
	long r = set_int(s, name, v);
	if (!r && s->pcb) { /* NODELAY, no CORK: what was held back may go */
		tcp_touch(s);
		inet_run();
	}
	return r;
}

int tcp_state(const struct tcp_socket *s)
{
	static const uint8_t states[] = {[CLOSED] = STATE_CLOSE, [LISTEN] = STATE_LISTEN, [SYN_SENT] = STATE_SYN_SENT, [SYN_RCVD] = STATE_SYN_RECV,
		[ESTABLISHED] = STATE_ESTABLISHED, [FIN_WAIT_1] = STATE_FIN_WAIT1, [FIN_WAIT_2] = STATE_FIN_WAIT2, [CLOSE_WAIT] = STATE_CLOSE_WAIT,
		[CLOSING] = STATE_CLOSING, [LAST_ACK] = STATE_LAST_ACK, [TIME_WAIT] = STATE_TIME_WAIT};

	return s->state == TCP_LISTENING ? STATE_LISTEN : s->pcb ? states[s->pcb->state] : STATE_CLOSE;
}

/* struct tcp_info of linux/tcp.h, as far as something is known. */
struct info {
	uint8_t state, ca_state, retransmits, probes, backoff, options, wscale, limited;
	uint32_t rto, ato, snd_mss, rcv_mss, unacked, sacked, lost, retrans, fackets;
	uint32_t last_data_sent, last_ack_sent, last_data_recv, last_ack_recv;
	uint32_t pmtu, rcv_ssthresh, rtt, rttvar, snd_ssthresh, snd_cwnd, advmss, reordering, rcv_rtt, rcv_space, total_retrans;
	uint64_t pacing_rate, max_pacing_rate, bytes_acked, bytes_received;
	uint32_t segs_out, segs_in, notsent_bytes, min_rtt, data_segs_in, data_segs_out;
};

static void fill_info(const struct tcp_socket *s, struct info *i)
{
	const struct tcp_pcb *p = s->pcb;
	uint64_t now = now_monotonic_ns();
	unsigned mss = s->wire_mss ? s->wire_mss : 536;

	*i = (struct info){.state = (uint8_t)tcp_state(s), .snd_mss = mss, .rcv_mss = mss, .advmss = mss, .notsent_bytes = (uint32_t)tcp_unsent(s)};
	if (s->state == TCP_LISTENING) {
		i->unacked = s->accept_count;
		i->sacked = s->backlog;
	}
	if (!p)
		return;
	i->retransmits = p->nrtx;
	i->options = (uint8_t)((p->flags & TF_TIMESTAMP ? 1 : 0) | (p->flags & TF_SACK ? 2 : 0) | (p->flags & TF_WND_SCALE ? 4 : 0));
	i->wscale = (uint8_t)(p->snd_scale | p->rcv_scale << 4);
	i->rto = (uint32_t)p->rto * TCP_SLOW_INTERVAL * 1000u;
	i->unacked = (p->snd_nxt - p->lastack + mss - 1) / mss;
	i->rtt = (uint32_t)(p->sa >> 3) * TCP_SLOW_INTERVAL * 1000u;
	i->rttvar = (uint32_t)p->sv * TCP_SLOW_INTERVAL * 250u;
	i->snd_ssthresh = p->ssthresh / mss;
	i->snd_cwnd = p->cwnd / mss;
	i->rcv_space = s->window;
	i->last_data_sent = (uint32_t)((now - s->last_send_ns) / 1000000);
	i->last_data_recv = i->last_ack_recv = (uint32_t)((now - s->last_receive_ns) / 1000000);
	i->bytes_acked = s->acked;
}

static int get_int(const struct tcp_socket *s, int name, int *ret)
{
	switch (name) {
	case TCP_NODELAY_:
		*ret = s->nodelay;
		return 0;
	case TCP_CORK:
		*ret = s->cork;
		return 0;
	case TCP_KEEPIDLE_:
		*ret = (int)s->keep_idle_s;
		return 0;
	case TCP_KEEPINTVL_:
		*ret = (int)s->keep_interval_s;
		return 0;
	case TCP_KEEPCNT_:
		*ret = (int)s->keep_count;
		return 0;
	case TCP_MAXSEG:
		*ret = s->state == TCP_CONNECTED && s->wire_mss ? (int)s->wire_mss : s->max_segment ? s->max_segment : 536;
		return 0;
	case TCP_USER_TIMEOUT:
		*ret = (int)s->user_timeout_ms;
		return 0;
	case TCP_QUICKACK:
		*ret = 1;
		return 0;
	case TCP_SYNCNT:
		*ret = s->syn_count ? s->syn_count : 6;
		return 0;
	case TCP_LINGER2:
		*ret = s->linger2_s < 0 ? -1 : s->linger2_s ? s->linger2_s : 60;
		return 0;
	case TCP_DEFER_ACCEPT:
		*ret = s->defer_accept_s;
		return 0;
	case TCP_WINDOW_CLAMP:
		*ret = s->window_clamp;
		return 0;
	case TCP_NOTSENT_LOWAT:
		*ret = (int)s->low_at;
		return 0;
	case TCP_FASTOPEN:
	case TCP_FASTOPEN_CONNECT:
		*ret = 0;
		return 0;
	default:
		return -ENOPROTOOPT;
	}
}

long tcp_getsockopt(struct socket *base, int level, int name, uint64_t value, uint64_t len_addr)
{
	struct tcp_socket *s = tcp_of(base);
	int v = 0, r;

	if (level != IPPROTO_TCP)
		return inet_getsockopt(base, level, name, value, len_addr);
	if (name == TCP_CONGESTION) {
		static const char text[16] = "reno";
		return put_option(text, sizeof(text), value, len_addr);
	}
	if (name == TCP_INFO) {
		struct info i;
		fill_info(s, &i);
		return put_option(&i, sizeof(i), value, len_addr);
	}
	r = get_int(s, name, &v);
	return r ? r : put_option(&v, sizeof(v), value, len_addr);
}
