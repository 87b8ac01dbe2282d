/* TCP connections: their table, lwIP's callbacks, their clocks. Owns the hash table and the lists of connections by the clock
 * that they need. Segments come from hostile peers: lwIP checks them; what is bounded is bounded here. See tcp.h. */
#include "kernel/net/lwip/hooks.h"
#include "kernel/net/net.h"
#include "kernel/net/tcp.h"
#include "kernel/time/time.h"

#include "lwip/priv/tcp_priv.h"
#include "lwip/raw.h"

#include <asm/socket.h>

#define BUCKETS        2048u
#define WIRE_MSS_MIN   88u /* smaller ones only waste memory and time: a peer may not ask for them */
#define INITIAL_SEGMENTS 10u /* the congestion window at first, as on Linux (RFC 6928) */
#define FIN_WAIT_S     60 /* net.ipv4.tcp_fin_timeout */

static struct tcp_socket **table; /* BUCKETS */
static uint64_t secret[4];        /* table, sequence numbers */
static struct list hot = LIST_INIT(hot), later = LIST_INIT(later), time_wait = LIST_INIT(time_wait);
static unsigned time_wait_count;
static uint64_t later_ns = NO_DEADLINE; /* not after the first deadline in `later`; may be of one that has left */
static uint64_t tick_ns; /* when the last tick was */
static u8_t ext_id;
static bool answered; /* tcp_passt.c waits for that */

/* --- hashing: SipHash-2-4, since peers choose most of what goes in --- */

static uint64_t rotate(uint64_t x, unsigned n)
{
	return x << n | x >> (64 - n);
}

static void sip_round(uint64_t v[4])
{
	v[0] += v[1], v[1] = rotate(v[1], 13) ^ v[0], v[0] = rotate(v[0], 32);
	v[2] += v[3], v[3] = rotate(v[3], 16) ^ v[2];
	v[0] += v[3], v[3] = rotate(v[3], 21) ^ v[0];
	v[2] += v[1], v[1] = rotate(v[1], 17) ^ v[2], v[2] = rotate(v[2], 32);
}

static uint64_t sip_hash(const uint64_t key[2], const uint64_t *words, unsigned count)
{
	uint64_t v[4] = {key[0] ^ 0x736f6d6570736575ull, key[1] ^ 0x646f72616e646f6dull, key[0] ^ 0x6c7967656e657261ull,
		key[1] ^ 0x7465646279746573ull};

	for (unsigned i = 0; i <= count; i++) {
		uint64_t m = i < count ? words[i] : (uint64_t)(count * 8) << 56;
		v[3] ^= m;
		sip_round(v);
		sip_round(v);
		v[0] ^= m;
	}
	v[2] ^= 0xff;
	for (int i = 0; i < 4; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static uint64_t tuple_hash(const uint64_t key[2], const ip_addr_t *a, uint16_t a_port, const ip_addr_t *b, uint16_t b_port)
{
	uint64_t words[5] = {0};

	if (IP_IS_V4(a)) {
		words[0] = (uint64_t)ip_addr_get_ip4_u32(a) << 32 | ip_addr_get_ip4_u32(b);
		words[1] = (uint64_t)a_port << 16 | b_port;
		return sip_hash(key, words, 2);
	}
	memcpy(words, ip_2_ip6(a)->addr, 16);
	memcpy(words + 2, ip_2_ip6(b)->addr, 16);
	words[4] = (uint64_t)a_port << 16 | b_port;
	return sip_hash(key, words, 5);
}

uint32_t hook_tcp_isn(const ip_addr_t *local, uint16_t local_port, const ip_addr_t *remote, uint16_t remote_port)
{
	return (uint32_t)tuple_hash(secret + 2, local, local_port, remote, remote_port) + (uint32_t)(now_monotonic_ns() / 64);
}

static struct tcp_socket **bucket(const ip_addr_t *local, uint16_t local_port, const ip_addr_t *remote, uint16_t remote_port)
{
	return &table[tuple_hash(secret, local, local_port, remote, remote_port) % BUCKETS];
}

struct tcp_socket *tcp_lookup(const ip_addr_t *local, uint16_t local_port, const ip_addr_t *remote, uint16_t remote_port)
{
	for (struct tcp_socket *s = *bucket(local, local_port, remote, remote_port); s; s = s->hash_next) {
		const struct tcp_pcb *p = s->pcb;
		if (p->remote_port == remote_port && p->local_port == local_port && ip_addr_cmp(&p->remote_ip, remote) &&
			ip_addr_cmp(&p->local_ip, local))
			return s;
	}
	return NULL;
}

void tcp_hash_add(struct tcp_socket *s)
{
	const struct tcp_pcb *p = s->pcb;
	struct tcp_socket **at = bucket(&p->local_ip, p->local_port, &p->remote_ip, p->remote_port);

	s->hash_next = *at;
	*at = s;
	s->bucket = at;
}

static void hash_remove(struct tcp_socket *s)
{
	struct tcp_socket **at = s->bucket;

	if (!at)
		return;
	while (*at != s)
		at = &(*at)->hash_next;
	*at = s->hash_next;
	s->bucket = NULL;
}

unsigned tcp_wire_mss(const uint8_t *ip, const uint8_t *tcp, unsigned mtu)
{
	ip_addr_t local = {0}, remote = {0};
	bool v4 = ip[0] >> 4 == 4;
	uint16_t ports[2];

	if (v4) {
		uint32_t a[2];
		memcpy(a, ip + 12, 8);
		ip_addr_set_ip4_u32_val(local, a[0]);
		ip_addr_set_ip4_u32_val(remote, a[1]);
	} else {
		local.type = remote.type = IPADDR_TYPE_V6;
		memcpy(ip_2_ip6(&local)->addr, ip + 8, 16);
		memcpy(ip_2_ip6(&remote)->addr, ip + 24, 16);
	}
	memcpy(ports, tcp, 4);
	unsigned mss = mtu - (v4 ? 40u : 60u);
	for (struct tcp_socket *s = *bucket(&local, lwip_ntohs(ports[0]), &remote, lwip_ntohs(ports[1])); s; s = s->hash_next)
		if (s->pcb->remote_port == lwip_ntohs(ports[1]) && s->pcb->local_port == lwip_ntohs(ports[0]) &&
			ip_addr_cmp_zoneless(&s->pcb->remote_ip, &remote) && ip_addr_cmp_zoneless(&s->pcb->local_ip, &local))
			return vb_min(mss, (unsigned)s->wire_mss);
	return mss;
}

/* --- life of a connection --- */

static void leave_list(struct tcp_socket *s)
{
	if (s->where == TCP_TIME_WAIT)
		time_wait_count--;
	list_remove(&s->node);
	s->where = TCP_NOWHERE;
}

static void leave_listener(struct tcp_socket *s)
{
	if (!s->listener)
		return;
	list_remove(&s->accept_node);
	if (s->state == TCP_CONNECTED)
		s->listener->accept_count--;
	else
		s->listener->half_open_count--;
	s->listener = NULL;
}

void tcp_free_socket(struct tcp_socket *s)
{
	leave_listener(s);
	tcp_drop_data(s);
	inet_port_release(&s->inet);
	inet_options_release(&s->inet);
	kfree(s);
}

/* lwIP frees the pcb. What the program still has goes on without. */
static void pcb_destroyed(u8_t id, void *arg)
{
	struct tcp_socket *s = arg;

	if (!s)
		return;
	leave_list(s);
	hash_remove(s);
	s->pcb = NULL;
	s->listed = false;
	if (s->orphan || (s->listener && s->state != TCP_CONNECTED))
		tcp_free_socket(s);
}

static err_t passive_open(u8_t id, struct tcp_pcb_listen *listen, struct tcp_pcb *pcb);

static const struct tcp_ext_arg_callbacks ext_callbacks = {.destroy = pcb_destroyed, .passive_open = passive_open};

void tcp_wake(struct tcp_socket *s, unsigned events)
{
	wait_queue_wake(&s->inet.wait, events);
	file_signal_io(s->inet.base.file);
}

void tcp_set_error(struct tcp_socket *s, int error)
{
	if (error)
		s->inet.base.error = error;
	s->state = TCP_CLOSED_;
	s->shut = SHUT_READ | SHUT_WRITE;
	tcp_wake(s, POLL_IN | POLL_RDNORM | POLL_OUT | POLL_WRNORM | POLL_ERR | POLL_HUP | POLL_RDHUP);
}

static err_t on_sent(void *arg, struct tcp_pcb *pcb, u16_t len)
{
	struct tcp_socket *s = arg;

	tcp_acknowledged(s);
	return ERR_OK;
}

static err_t on_receive(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
	struct tcp_socket *s = arg;

	if (!p) {
		s->shut |= SHUT_READ;
		tcp_wake(s, POLL_IN | POLL_RDNORM | POLL_RDHUP | (s->shut & SHUT_WRITE ? POLL_HUP : 0u));
		return ERR_OK;
	}
	if (s->orphan) { /* nobody will ever read it: the peer is to know */
		pbuf_free(p);
		tcp_abort(pcb);
		return ERR_ABRT;
	}
	tcp_take(s, p);
	return ERR_OK;
}

static int error_of(const struct tcp_socket *s, const struct tcp_pcb *pcb, err_t e)
{
	if (e == ERR_CLSD)
		return 0;
	if (e == ERR_ABRT)
		return ETIMEDOUT;
	if (s->state == TCP_CONNECTING)
		return ECONNREFUSED;
	return pcb && pcb->state == CLOSE_WAIT ? EPIPE : ECONNRESET;
}

static void on_error(void *arg, err_t e)
{
	struct tcp_socket *s = arg;

	if (!s || s->orphan)
		return;
	if (s->listener) { /* never accepted: accept() tells of it by the closed socket */
		struct tcp_socket *listener = s->listener;
		tcp_set_error(s, error_of(s, s->pcb, e));
		s->state = TCP_CONNECTED; /* stays in the queue as such */
		tcp_wake(listener, POLL_IN | POLL_RDNORM);
		return;
	}
	tcp_set_error(s, error_of(s, s->pcb, e));
}

err_t tcp_on_connected(void *arg, struct tcp_pcb *pcb, err_t e)
{
	struct tcp_socket *s = arg;

	s->state = TCP_CONNECTED;
	s->was_connected = s->fresh = true;
	tcp_wake(s, POLL_OUT | POLL_WRNORM);
	return ERR_OK;
}

static void set_callbacks(struct tcp_socket *s)
{
	struct tcp_pcb *pcb = s->pcb;

	tcp_arg(pcb, s);
	tcp_sent(pcb, on_sent);
	tcp_recv(pcb, on_receive);
	tcp_err(pcb, on_error);
	tcp_ext_arg_set(pcb, ext_id, s);
	tcp_ext_arg_set_callbacks(pcb, ext_id, &ext_callbacks);
	pcb->rto = pcb->sv = RTO_START_TICKS;
	tcp_nagle_disable(pcb); /* tcp_push decides what is sent when */
}

int tcp_pcb_attach(struct tcp_socket *s)
{
	s->pcb = tcp_new_ip_type(IPADDR_TYPE_ANY);
	if (!s->pcb)
		return -ENOBUFS;
	s->stuck_ns = s->probe_ns = 0;
	set_callbacks(s);
	return 0;
}

void tcp_mark_listener(struct tcp_pcb *pcb)
{
	tcp_ext_arg_set(pcb, ext_id, NULL);
	tcp_ext_arg_set_callbacks(pcb, ext_id, &ext_callbacks);
}

void tcp_orphan(struct tcp_socket *s)
{
	struct tcp_pcb *pcb = s->pcb;

	tcp_arg(pcb, s);
	tcp_err(pcb, NULL);
	if (s->fin_sent) { /* by shutdown: what comes now is answered by a reset */
		pcb->rcv_wnd = TCP_WND_MAX(pcb);
		tcp_close(pcb);
	}
	tcp_touch(s);
}

void tcp_abort_connection(struct tcp_socket *s, bool reset)
{
	struct tcp_pcb *pcb = s->pcb;

	if (!pcb)
		return;
	tcp_arg(pcb, NULL);
	tcp_err(pcb, NULL);
	leave_list(s);
	hash_remove(s);
	tcp_ext_arg_set(pcb, ext_id, NULL);
	s->pcb = NULL;
	s->listed = false;
	tcp_abandon(pcb, reset);
}

/* --- listeners --- */

err_t tcp_on_accept(void *arg, struct tcp_pcb *pcb, err_t e)
{
	struct tcp_socket *s = pcb ? tcp_ext_arg_get(pcb, ext_id) : NULL;

	if (!s || !s->listener)
		return ERR_VAL;
	struct tcp_socket *l = s->listener;
	list_remove(&s->accept_node);
	l->half_open_count--;
	list_push_back(&l->accept, &s->accept_node);
	l->accept_count++;
	s->state = TCP_CONNECTED;
	s->was_connected = s->announced = s->fresh = true;
	tcp_err(pcb, on_error);
	tcp_wake(l, POLL_IN | POLL_RDNORM);
	return ERR_OK;
}

/* A SYN for a listener: lwIP has made the pcb. */
static err_t passive_open(u8_t id, struct tcp_pcb_listen *listen, struct tcp_pcb *pcb)
{
	struct tcp_socket *l = listen->callback_arg, *s = tcp_new_accepted(l);

	tcp_ext_arg_set(pcb, ext_id, NULL);
	if (!s)
		return ERR_MEM;
	s->pcb = pcb;
	set_callbacks(s);
	tcp_err(pcb, NULL); /* lwIP would call it behind pcb_destroyed, which frees what nobody has accepted */
	s->inet.local = pcb->local_ip;
	s->inet.remote = pcb->remote_ip;
	s->inet.remote_port = pcb->remote_port;
	inet_port_share(&s->inet, &l->inet);
	pcb->mss = s->wire_mss = (u16_t)vb_max((unsigned)pcb->mss, WIRE_MSS_MIN);
	if (l->max_segment)
		pcb->mss = s->wire_mss = (u16_t)vb_min((int)pcb->mss, l->max_segment);
	s->state = TCP_CONNECTING;
	s->connected_ns = now_monotonic_ns();
	s->listener = l;
	list_push_back(&l->half_open, &s->accept_node);
	l->half_open_count++;
	tcp_hash_add(s);
	s->listed = true;
	tcp_apply_options(s);
	return ERR_OK;
}

/* TCP_DEFER_ACCEPT: the acknowledgement that would make the connection waits for the first data. */
static bool deferred(const struct tcp_socket *s, struct tcp_hdr *header, const struct pbuf *p)
{
	if (!s->listener || !s->listener->defer_accept_s || p->tot_len || TCPH_FLAGS(header) & (TCP_RST | TCP_FIN | TCP_SYN))
		return false;
	return now_monotonic_ns() - s->connected_ns < (uint64_t)s->listener->defer_accept_s * NSEC_PER_SEC;
}

err_t hook_tcp_in(struct tcp_pcb *pcb, struct tcp_hdr *header, unsigned option_bytes, struct pbuf *p)
{
	if (pcb->state == LISTEN) {
		struct tcp_socket *l = pcb->callback_arg;
		if (!(TCPH_FLAGS(header) & TCP_SYN) || TCPH_FLAGS(header) & (TCP_ACK | TCP_RST))
			return ERR_OK;
		if (l->accept_count > l->backlog && !interface_passt(ip_current_input_netif())) /* passt asks only once */
			return ERR_BUF;
		if (l->half_open_count >= HALF_OPEN_MAX) {
			struct tcp_socket *oldest = list_first(&l->half_open, struct tcp_socket, accept_node);
			tcp_abort_connection(oldest, false);
			tcp_free_socket(oldest);
		}
	} else if (pcb->state == SYN_RCVD) {
		struct tcp_socket *s = tcp_ext_arg_get(pcb, ext_id);
		if (s && deferred(s, header, p))
			return ERR_BUF;
		if (s && s->listener && s->listener->accept_count > s->listener->backlog && !(TCPH_FLAGS(header) & TCP_RST))
			return ERR_BUF; /* the peer's next try may find room */
	}
	struct tcp_socket *s = pcb->state == LISTEN ? NULL : tcp_ext_arg_get(pcb, ext_id);
	return s ? tcp_guard(s, header, option_bytes, p) : ERR_OK;
}

/* --- which connection is looked at --- */

static void put_on_list(struct tcp_socket *s)
{
	struct tcp_pcb **list = s->where == TCP_TIME_WAIT ? &tcp_tw_pcbs : &tcp_active_pcbs;

	if (s->listed)
		return;
	s->listed = true;
	s->pcb->next = *list;
	*list = s->pcb;
}

/* Called before tcp_input: puts the connection where lwIP looks first. */
static u8_t demultiplex(void *arg, struct raw_pcb *raw, struct pbuf *p, const ip_addr_t *from)
{
	uint8_t h[14];
	uint16_t ports[2];
	uint32_t seq;

	if (pbuf_copy_partial(p, h, sizeof(h), ip_current_header_tot_len()) != sizeof(h))
		return 0;
	memcpy(ports, h, 4);
	struct tcp_socket *s = tcp_lookup(ip_current_dest_addr(), lwip_ntohs(ports[1]), ip_current_src_addr(), lwip_ntohs(ports[0]));
	if (!s)
		return 0;
	memcpy(&seq, h + 4, 4);
	if (s->where == TCP_TIME_WAIT && (h[13] & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN && TCP_SEQ_GT(lwip_ntohl(seq), s->pcb->rcv_nxt)) {
		/* A new connection between the same ports: the old one has no segments under way that could be taken for its own. */
		bool orphan = s->orphan;
		tcp_abort_connection(s, false);
		if (orphan)
			tcp_free_socket(s);
		return 0;
	}
	put_on_list(s);
	return 0;
}

uint32_t *hook_tcp_out(struct pbuf *p, struct tcp_pcb *pcb, uint32_t *options)
{
	if (!pcb)
		return options;
	struct tcp_hdr *header = p->payload;
	const struct tcp_socket *s = pcb->state == LISTEN ? NULL : tcp_ext_arg_get(pcb, ext_id);
	uint8_t *mss = (uint8_t *)(header + 1);
	if (s && s->max_segment && TCPH_FLAGS(header) & TCP_SYN && mss[0] == LWIP_TCP_OPT_MSS &&
		(mss[2] << 8 | mss[3]) > s->max_segment) { /* TCP_MAXSEG is what the peer is told, too */
		mss[2] = (uint8_t)(s->max_segment >> 8);
		mss[3] = (uint8_t)s->max_segment;
	}
	if (p->tot_len <= 1000)
		return options;
	struct netif *n = ip_route(&pcb->local_ip, &pcb->remote_ip);
	if (n && n->mtu && p->tot_len + (IP_IS_V4_VAL(pcb->remote_ip) ? 20u : 40u) > n->mtu && interface_offload(n))
		interface_whole_segment(n);
	return options;
}

/* --- clocks --- */

void tcp_clock_set(uint64_t now)
{
	tcp_ticks = (u32_t)(now / SLOW_TICK_NS);
}

/* When the connection needs a tick: 0: the next one; NO_DEADLINE: never. */
static uint64_t clock_need(const struct tcp_socket *s, uint64_t now)
{
	const struct tcp_pcb *p = s->pcb;
	uint64_t need = NO_DEADLINE;

	if (p->persist_backoff && !p->unacked && !p->ooseq && !(p->flags & (TF_ACK_DELAY | TF_ACK_NOW)))
		return s->probe_ns;
	if (p->unacked || p->unsent || p->ooseq || p->refused_data || p->persist_backoff ||
		p->flags & (TF_ACK_DELAY | TF_ACK_NOW | TF_CLOSEPEND | TF_NAGLEMEMERR))
		return 0;
	if (p->state != ESTABLISHED && p->state != CLOSE_WAIT && p->state != FIN_WAIT_2)
		return 0;
	if (p->state == FIN_WAIT_2)
		return s->orphan ? s->fin_wait_ns : NO_DEADLINE;
	if (s->no_room) /* tcp_room() looks for it among the hot ones */
		return 0;
	if (s->written > s->submitted)
		need = s->cork_deadline_ns ? s->cork_deadline_ns : 0;
	if (s->fin_wanted && !s->fin_sent)
		need = 0;
	if (ip_get_option(p, SOF_KEEPALIVE)) {
		uint64_t ms = (uint64_t)p->keep_idle + vb_min(p->keep_cnt_sent, (u8_t)p->keep_cnt) * (uint64_t)p->keep_intvl;
		need = vb_min(need, ((uint64_t)p->tmr + ms / (2 * TCP_TMR_INTERVAL) + 2) * SLOW_TICK_NS);
	}
	return need;
}

static void put_where(struct tcp_socket *s, enum tcp_where where, struct list *list)
{
	if (s->where == where && where == TCP_HOT)
		return;
	leave_list(s);
	s->where = where;
	list_push_back(list, &s->node);
}

static void choose_clock(struct tcp_socket *s)
{
	uint64_t now = now_monotonic_ns(), need;

	need = clock_need(s, now);
	if (need == NO_DEADLINE) {
		leave_list(s);
	} else if (need <= now + TICK_NS) {
		if (list_empty(&hot))
			tick_ns = now;
		put_where(s, TCP_HOT, &hot);
	} else {
		s->deadline_ns = need;
		later_ns = vb_min(later_ns, need);
		put_where(s, TCP_LATER, &later);
	}
}

/* The connection was just established: what lwIP doesn't know of. */
static void set_up(struct tcp_socket *s)
{
	struct tcp_pcb *pcb = s->pcb;
	struct netif *n = ip_route(&pcb->local_ip, &pcb->remote_ip);

	s->fresh = false;
	s->wire_mss = (u16_t)vb_max((unsigned)pcb->mss, WIRE_MSS_MIN);
	if (s->max_segment)
		s->wire_mss = (u16_t)vb_min((int)s->wire_mss, s->max_segment);
	s->connected_ns = s->last_receive_ns = now_monotonic_ns();
	s->passt = n && interface_passt(n);
	if (n == &loop_netif || s->passt)
		pcb->cwnd = TCP_WND; /* nothing is lost on the way there */
	else
		pcb->cwnd = vb_max(pcb->cwnd, INITIAL_SEGMENTS * s->wire_mss);
	tcp_set_window(s);
}

static void give_up(struct tcp_socket *s, int error)
{
	bool orphan = s->orphan;

	tcp_abort_connection(s, orphan);
	if (orphan)
		tcp_free_socket(s);
	else
		tcp_set_error(s, error);
}

void tcp_touch(struct tcp_socket *s)
{
	struct tcp_pcb *pcb = s->pcb;

	if (!pcb || s->where == TCP_TIME_WAIT)
		return;
	if (s->fresh)
		set_up(s);
	uint64_t now = now_monotonic_ns();
	int error = tcp_patience(s, now);
	if (s->orphan && pcb->state == FIN_WAIT_2) { /* TCP_LINGER2; lwIP's own time is shorter */
		if (!s->fin_wait_ns)
			s->fin_wait_ns = s->linger2_s < 0 ? now : now + (uint64_t)(s->linger2_s ? s->linger2_s : FIN_WAIT_S) * NSEC_PER_SEC;
		pcb->tmr = tcp_ticks;
		if (now >= s->fin_wait_ns) {
			tcp_abort_connection(s, s->linger2_s < 0);
			tcp_free_socket(s);
			return;
		}
	}
	if (error) {
		give_up(s, error);
		return;
	}
	if (s->wire_mss && pcb->state >= ESTABLISHED)
		pcb->mss = s->wire_mss; /* a peer may change its mind only before */
	tcp_push(s);
	if (s->pcb)
		choose_clock(s);
}

static void enter_time_wait(struct tcp_socket *s)
{
	if (s->where == TCP_TIME_WAIT)
		return;
	leave_list(s);
	s->where = TCP_TIME_WAIT;
	s->deadline_ns = deadline_after(2 * TCP_MSL * 1000000ull);
	list_push_back(&time_wait, &s->node);
	time_wait_count++;
}

static void end_time_wait(struct tcp_socket *s)
{
	bool orphan = s->orphan;

	tcp_abort_connection(s, false);
	if (orphan)
		tcp_free_socket(s);
	else
		tcp_set_error(s, 0);
}

void tcp_answered(void)
{
	answered = true;
}

void tcp_settle(void)
{
	struct tcp_pcb *pcb;

	if (answered) {
		answered = false;
		list_for_each(s, &hot, struct tcp_socket, node)
			if (s->asked && s->pcb->state == SYN_RCVD)
				put_on_list(s);
	}
	while ((pcb = tcp_active_pcbs)) {
		struct tcp_socket *s = tcp_ext_arg_get(pcb, ext_id);
		tcp_active_pcbs = pcb->next;
		pcb->next = NULL;
		s->listed = false;
		bool half_open = s->listener && pcb->state == SYN_RCVD; /* else s may be gone behind tcp_touch */
		tcp_touch(s);
		if (half_open && s->pcb)
			tcp_complete_handshake(s);
	}
	while ((pcb = tcp_tw_pcbs)) {
		struct tcp_socket *s = tcp_ext_arg_get(pcb, ext_id);
		tcp_tw_pcbs = pcb->next;
		pcb->next = NULL;
		s->listed = false;
		enter_time_wait(s);
	}
	while (time_wait_count > TIME_WAIT_MAX)
		end_time_wait(list_first(&time_wait, struct tcp_socket, node));
}

static void run_due(uint64_t now)
{
	if (later_ns <= now) {
		later_ns = NO_DEADLINE;
		list_for_each_safe(s, next, &later, struct tcp_socket, node) {
			if (s->deadline_ns <= now)
				put_where(s, TCP_HOT, &hot);
			else
				later_ns = vb_min(later_ns, s->deadline_ns);
		}
	}
	while (!list_empty(&time_wait)) {
		struct tcp_socket *s = list_first(&time_wait, struct tcp_socket, node);
		if (s->deadline_ns > now)
			break;
		end_time_wait(s);
	}
}

void tcp_tick(uint64_t now)
{
	static unsigned odd;

	if (now < tcp_tick_deadline(now))
		return;
	run_due(now);
	tick_ns = now;
	list_for_each(s, &hot, struct tcp_socket, node)
		put_on_list(s);
	tcp_fasttmr();
	tcp_clock_set(now);
	if (odd++ & 1) {
		tcp_ticks--; /* it counts for itself */
		tcp_slowtmr();
	}
	tcp_settle();
}

uint64_t tcp_tick_deadline(uint64_t now)
{
	uint64_t deadline = list_empty(&hot) ? NO_DEADLINE : tick_ns + TICK_NS;

	if (!list_empty(&later))
		deadline = vb_min(deadline, later_ns);
	if (!list_empty(&time_wait))
		deadline = vb_min(deadline, list_first(&time_wait, struct tcp_socket, node)->deadline_ns);
	return deadline;
}

void tcp_room(void)
{
	list_for_each_safe(s, next, &hot, struct tcp_socket, node)
		if (s->no_room) {
			s->no_room = false;
			tcp_touch(s);
		}
}

void tcp_memory_back(void)
{
	for (unsigned i = 0; i < BUCKETS; i++)
		for (struct tcp_socket *s = table[i]; s; s = s->hash_next)
			if (s->no_memory) {
				s->no_memory = false;
				tcp_wake(s, POLL_OUT | POLL_WRNORM);
			}
}

bool tcp_all_sent(void)
{
	for (unsigned i = 0; table && i < BUCKETS; i++)
		for (struct tcp_socket *s = table[i]; s; s = s->hash_next)
			if (s->orphan && (s->acked < s->written || s->pcb->state == FIN_WAIT_1 || s->pcb->state == LAST_ACK || s->pcb->state == CLOSING))
				return false;
	return true;
}

int tcp_start(void)
{
	struct raw_pcb *raw = raw_new_ip_type(IPADDR_TYPE_ANY, IP_PROTO_TCP);

	table = kzalloc(BUCKETS * sizeof(struct tcp_socket *));
	if (!table || !raw)
		return -ENOMEM;
	random_bytes(secret, sizeof(secret));
	ext_id = tcp_ext_arg_alloc_id();
	raw_recv(raw, demultiplex, NULL);
	return 0;
}
