/* TCP: what a segment must be before lwIP sees it, and what ICMP may say about a connection. Peers and whoever can forge packets
 * are hostile: only who knows the exact numbers may change anything (RFC 5961, 5927), and nobody gets memory that others need. */
#include "kernel/net/lwip/glue.h"
#include "kernel/net/net.h"
#include "kernel/net/tcp.h"
#include "kernel/time/time.h"

#include "lwip/priv/tcp_priv.h"

#define PAWS_NS      (24 * 86400 * NSEC_PER_SEC) /* after that silence timestamps say nothing */
#define MTU_MIN4     552u                        /* net.ipv4.route.min_pmtu */
#define MTU_MIN6     1280u
#define FAIR_BYTES   4096u                       /* what each connection may hold when memory is short */

/* The timestamp in a segment's options, as far as they lie in one piece. False: there is none. */
static bool timestamp_of(const struct tcp_hdr *h, unsigned bytes, uint32_t *ret)
{
	const uint8_t *o = (const uint8_t *)(h + 1);

	for (unsigned i = 0; i < bytes && o[i] != LWIP_TCP_OPT_EOL;) {
		if (o[i] == LWIP_TCP_OPT_NOP) {
			i++;
			continue;
		}
		if (i + 2 > bytes || o[i + 1] < 2 || i + o[i + 1] > bytes)
			return false;
		if (o[i] == LWIP_TCP_OPT_TS && o[i + 1] == LWIP_TCP_OPT_LEN_TS) {
			memcpy(ret, o + i + 2, sizeof(*ret));
			*ret = lwip_ntohl(*ret);
			return true;
		}
		i += o[i + 1];
	}
	return false;
}

/* Whether there is memory for data: all, while there is enough; then only what comes in order, for who has little waiting. */
static bool may_keep(const struct tcp_socket *s, unsigned bytes, bool in_order)
{
	size_t limit = lwip_memory_limit(), spare = limit - vb_min(lwip_memory_used(), limit);

	if (spare >= limit / 4)
		return true;
	if (spare >= limit / 16 + bytes && in_order && !s->received_bytes)
		return true;
	return in_order && s->received_bytes + bytes <= (spare >= limit / 16 ? FAIR_BYTES : spare >= limit / 32 ? FAIR_BYTES / 2 : FAIR_BYTES / 8);
}

/* Data behind a hole must end inside the window: lwIP keeps all of it, and asserts that there is room when the hole is filled. Before
 * the connection is set up the window is not yet what it will be. Who is honest loses nothing. */
static bool overruns(const struct tcp_socket *s, const struct tcp_hdr *h, const struct pbuf *data)
{
	const struct tcp_pcb *p = s->pcb;
	uint32_t len = data->tot_len + (TCPH_FLAGS(h) & TCP_FIN ? 1u : 0u), edge = p->rcv_nxt + p->rcv_wnd;

	if (!len || !TCP_SEQ_GT(h->seqno, p->rcv_nxt) || TCP_SEQ_GEQ(h->seqno, edge)) /* what is wholly outside lwIP answers */
		return false;
	return s->fresh || p->state < ESTABLISHED || TCP_SEQ_GT(h->seqno + len, edge);
}

err_t tcp_guard(struct tcp_socket *s, const struct tcp_hdr *h, unsigned option_bytes, const struct pbuf *data)
{
	struct tcp_pcb *p = s->pcb;
	unsigned flags = TCPH_FLAGS(h);
	uint32_t time;

	if (p->state != SYN_SENT && overruns(s, h, data))
		return ERR_VAL;
	if (p->state < ESTABLISHED || p->state == TIME_WAIT || flags & (TCP_SYN | TCP_RST))
		return ERR_OK; /* lwIP looks at their numbers */
	if (!(flags & TCP_ACK))
		return ERR_VAL;
	bool old = p->flags & TF_TIMESTAMP && timestamp_of(h, option_bytes, &time) && (int32_t)(time - p->ts_recent) < 0 &&
		   now_monotonic_ns() - s->last_receive_ns < PAWS_NS;
	if (old || TCP_SEQ_GT(h->ackno, p->snd_nxt) || TCP_SEQ_LT(h->ackno, p->lastack - p->snd_wnd_max)) {
		tcp_send_empty_ack(p); /* the real peer, if it was one, learns where we are */
		return ERR_VAL;
	}
	if (data->tot_len && !may_keep(s, data->tot_len, h->seqno == p->rcv_nxt))
		return ERR_MEM; /* it will be sent again */
	return ERR_OK;
}

/* --- ICMP --- */

/* Segments that wait and are too long for the path now. */
static void cut_unsent(struct tcp_socket *s)
{
	struct tcp_pcb *p = s->pcb;
	struct tcp_seg *head = p->unsent;
	unsigned option_len = p->flags & TF_TIMESTAMP ? LWIP_TCP_OPT_LEN_TS_OUT : 0;

	for (struct tcp_seg *seg = head; seg; seg = seg->next) {
		p->unsent = seg;
		if (tcp_split_unsent_seg(p, (u16_t)(s->wire_mss - option_len)) != ERR_OK)
			break;
	}
	p->unsent = head;
}

static void mtu_reduced(struct tcp_socket *s, unsigned mtu)
{
	struct tcp_pcb *p = s->pcb;
	bool v4 = IP_IS_V4_VAL(p->remote_ip);
	unsigned mss = vb_max(mtu, v4 ? MTU_MIN4 : MTU_MIN6) - (v4 ? 40 : 60);
	struct netif *n = ip_route(&p->local_ip, &p->remote_ip);

	if (p->state < ESTABLISHED || !s->wire_mss || mss >= s->wire_mss)
		return;
	s->wire_mss = p->mss = (u16_t)mss;
	bool again = false;
	for (const struct tcp_seg *seg = p->unacked; seg; seg = seg->next)
		again |= seg->len > mss;
	again = again && tcp_rexmit_rto_prepare(p) == ERR_OK;
	if (!n || !interface_offload(n))
		cut_unsent(s);
	if (again)
		tcp_rexmit_rto_commit(p);
	tcp_touch(s);
}

void tcp_icmp_error(const ip_addr_t *local, uint16_t local_port, const ip_addr_t *remote, uint16_t remote_port, uint32_t seq, int error, unsigned mtu)
{
	struct tcp_socket *s = tcp_lookup(local, local_port, remote, remote_port);

	/* about a segment that is under way */
	if (!s || s->listener || !TCP_SEQ_GEQ(seq, s->pcb->lastack) || !TCP_SEQ_LT(seq, s->pcb->snd_nxt))
		return;
	if (error == EMSGSIZE) {
		mtu_reduced(s, mtu);
	} else if (s->state == TCP_CONNECTING) { /* established connections live on: the error may pass */
		tcp_abort_connection(s, false);
		tcp_set_error(s, error);
	}
}
