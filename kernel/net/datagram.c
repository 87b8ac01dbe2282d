/* Queues of datagram sockets: received data and errors that came back. Owns struct datagram; a queue is bounded by SO_RCVBUF,
 * what is too much is dropped and counted. Lengths were checked when packets came in; trusts nothing from the program.
 */
#include "kernel/net/datagram.h"

#include <asm/ioctls.h>
#include <asm/socket.h>
#include <linux/sockios.h>

#define QUOTE_MAX 1500u /* bytes of the packet that an error keeps */

struct datagram_socket *datagram_new(const struct socket_ops *ops, int family, int type, int protocol)
{
	struct datagram_socket *d = kzalloc(sizeof(*d));

	if (!d)
		return NULL;
	inet_socket_init(&d->inet, ops, family, type, protocol);
	list_init(&d->node);
	list_init(&d->messages);
	list_init(&d->errors);
	d->checksum_at = -1;
	return d;
}

static void datagram_free(struct datagram *g)
{
	list_remove(&g->node);
	if (g->packet.p)
		pbuf_free(g->packet.p);
	kfree(g);
}

void datagram_release(struct datagram_socket *d)
{
	list_for_each_safe(g, next, &d->messages, struct datagram, node)
		datagram_free(g);
	list_for_each_safe(e, after, &d->errors, struct datagram, node)
		datagram_free(e);
	list_remove(&d->node);
	inet_port_release(&d->inet);
	inet_options_release(&d->inet);
	kfree(d->cork.data);
	kfree(d);
}

bool datagram_matches(const struct datagram_socket *d, const ip_addr_t *from, const ip_addr_t *to, unsigned index)
{
	const struct inet_socket *s = &d->inet;
	unsigned bound = s->base.bound_index;

	if (bound && bound != index)
		return false;
	if (IP_IS_V6(to) ? s->base.family != AF_INET6 : s->base.family == AF_INET6 && s->v6only)
		return false;
	if (!ip_addr_isany(&s->local) && !ip_addr_cmp_zoneless(&s->local, to))
		return false;
	return ip_addr_isany(&s->remote) || ip_addr_cmp_zoneless(&s->remote, from);
}

/* --- queues --- */

static void wake(struct datagram_socket *d, unsigned events)
{
	wait_queue_wake(&d->inet.wait, events);
	file_signal_io(d->inet.base.file);
}

static struct datagram *datagram_make(const struct packet *k)
{
	struct datagram *g = kmalloc(sizeof(*g));

	if (!g)
		return NULL;
	list_init(&g->node);
	g->packet = *k;
	g->len = k->p ? k->p->tot_len : 0;
	g->charge = sizeof(*g) + sizeof(struct pbuf) + g->len;
	return g;
}

void datagram_queue(struct datagram_socket *d, const struct packet *k)
{
	struct datagram *g = d->charged < d->inet.base.receive_buffer ? datagram_make(k) : NULL;

	if (!g) {
		d->dropped++;
		if (k->p)
			pbuf_free(k->p);
		return;
	}
	g->time_ns = d->wants_time || d->inet.base.timestamp ? now_realtime_ns() : 0;
	g->dropped = d->dropped;
	d->charged += g->charge;
	list_push_back(&d->messages, &g->node);
	wake(d, POLL_IN | POLL_RDNORM);
}

/* A copy of what the error is about, behind its transport header. */
static struct pbuf *quote_copy(const struct pbuf *quote, uint16_t at)
{
	if (!quote || quote->tot_len <= at)
		return NULL;
	uint16_t len = (uint16_t)vb_min(quote->tot_len - (unsigned)at, QUOTE_MAX);
	struct pbuf *p = pbuf_alloc(PBUF_RAW, len, PBUF_RAM);
	if (p)
		pbuf_copy_partial(quote, p->payload, len, at);
	return p;
}

static void queue_error(struct datagram_socket *d, const struct datagram_failure *f, const struct pbuf *quote, uint16_t quote_at)
{
	struct packet k = {.p = quote_copy(quote, quote_at), .to = f->to, .to_port = f->port};
	struct datagram *g = d->errors_charged < d->inet.base.receive_buffer ? datagram_make(&k) : NULL;

	if (!g) {
		d->dropped++;
		if (k.p)
			pbuf_free(k.p);
		return;
	}
	g->error = (struct extended_error){
		.error = (uint32_t)f->error, .origin = f->origin, .type = f->type, .code = f->code, .info = f->info};
	g->offender = f->offender;
	g->time_ns = 0;
	d->errors_charged += g->charge;
	list_push_back(&d->errors, &g->node);
}

void datagram_failed(struct datagram_socket *d, const struct datagram_failure *f, const struct pbuf *quote, uint16_t quote_at)
{
	bool queued = inet_switch(&d->inet, d->inet.base.family == AF_INET6 ? INET6_RECVERR : INET_RECVERR);

	if (queued)
		queue_error(d, f, quote, quote_at);
	else if (!f->hard || !d->connected || f->origin == SO_EE_ORIGIN_LOCAL)
		return;
	if (f->origin != SO_EE_ORIGIN_LOCAL)
		d->inet.base.error = f->error;
	wake(d, POLL_ERR | POLL_IN | POLL_OUT);
}

int datagram_send_error(struct datagram_socket *d)
{
	int error = d->inet.base.error;

	d->inet.base.error = 0;
	return error ? -error : d->shut & SHUT_WRITE ? -EPIPE : 0;
}

/* --- receiving --- */

/* Local address that an answer to this packet would leave with. */
static void answer_address(const struct packet *k, uint8_t ip[4])
{
	ip_addr_t from;
	struct netif *n;

	memcpy(ip, ip_2_ip4(&k->to), 4);
	if (inet_is_local(&k->to))
		return;
	if (!inet_route(&k->from, k->index, &n, &from) && IP_IS_V4(&from))
		memcpy(ip, ip_2_ip4(&from), 4);
}

static void add_control4(struct datagram_socket *d, const struct packet *k, struct socket_message *m)
{
	const struct inet_socket *s = &d->inet;

	if (inet_switch(s, INET_PKTINFO)) {
		struct in_pktinfo info = {.ipi_ifindex = k->index};
		uint8_t ip[4];
		answer_address(k, ip);
		memcpy(&info.ipi_spec_dst, ip, 4);
		memcpy(&info.ipi_addr, ip_2_ip4(&k->to), 4);
		control_add(m, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
	}
	if (inet_switch(s, INET_RECVTTL)) {
		int ttl = k->ttl;
		control_add(m, IPPROTO_IP, IP_TTL, &ttl, sizeof(ttl));
	}
	if (inet_switch(s, INET_RECVTOS))
		control_add(m, IPPROTO_IP, IP_TOS, &k->tos, sizeof(k->tos));
	if (inet_switch(s, INET_RECVORIGDSTADDR)) {
		struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = __builtin_bswap16(k->to_port)};
		memcpy(&name.sin_addr, ip_2_ip4(&k->to), 4);
		control_add(m, IPPROTO_IP, IP_ORIGDSTADDR, &name, sizeof(name));
	}
}

static void add_control6(struct datagram_socket *d, const struct packet *k, struct socket_message *m)
{
	const struct inet_socket *s = &d->inet;
	uint8_t name[SOCKET_NAME_BYTES];
	struct sockaddr_in6 to;

	inet_name_encode(s, &k->to, k->to_port, name);
	memcpy(&to, name, sizeof(to));
	if (inet_switch(s, INET6_RECVPKTINFO)) {
		struct in6_pktinfo info = {.ipi6_addr = to.sin6_addr, .ipi6_ifindex = k->index};
		control_add(m, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof(info));
	}
	if (!IP_IS_V6(&k->to)) {
		add_control4(d, k, m);
		return;
	}
	if (inet_switch(s, INET6_RECVHOPLIMIT)) {
		int hops = k->ttl;
		control_add(m, IPPROTO_IPV6, IPV6_HOPLIMIT, &hops, sizeof(hops));
	}
	if (inet_switch(s, INET6_RECVTCLASS)) {
		int tclass = k->tos;
		control_add(m, IPPROTO_IPV6, IPV6_TCLASS, &tclass, sizeof(tclass));
	}
	if (inet_switch(s, INET6_RECVORIGDSTADDR))
		control_add(m, IPPROTO_IPV6, IPV6_ORIGDSTADDR, &to, sizeof(to));
}

static void add_control(struct datagram_socket *d, const struct datagram *g, struct socket_message *m)
{
	if (g->time_ns)
		control_add_timestamp(&d->inet.base, m, g->time_ns);
	if (d->inet.base.drop_count && g->dropped)
		control_add(m, SOL_SOCKET, SO_RXQ_OVFL, &g->dropped, sizeof(g->dropped));
	if (d->inet.base.family == AF_INET6)
		add_control6(d, &g->packet, m);
	else
		add_control4(d, &g->packet, m);
}

/* The bytes, as many as there is room for. */
static int put_data(const struct datagram *g, struct socket_message *m)
{
	size_t left = vb_min(g->len, m->data->left);

	for (const struct pbuf *q = g->packet.p; q && left; q = q->next) {
		size_t n = vb_min((size_t)q->len, left);
		if (n && uio_put(m->data, q->payload, n) != (long)n)
			return -EFAULT;
		left -= n;
	}
	return 0;
}

static long give_data(const struct datagram *g, struct socket_message *m)
{
	size_t room = m->data->left;
	int r = put_data(g, m);

	if (r)
		return r;
	if (room < g->len)
		m->out_flags |= MSG_TRUNC;
	return (long)(m->flags & MSG_TRUNC ? g->len : vb_min(g->len, room));
}

/* The pending error or, once there is none, the next of the queue becomes it. */
static void next_error(struct datagram_socket *d)
{
	struct list *q = &d->errors;

	d->inet.base.error = 0;
	if (!list_empty(q) && list_first(q, struct datagram, node)->error.origin != SO_EE_ORIGIN_LOCAL)
		d->inet.base.error = (int)list_first(q, struct datagram, node)->error.error;
}

static long receive_error(struct datagram_socket *d, struct socket_message *m)
{
	bool v6 = d->inet.base.family == AF_INET6;
	struct {
		struct extended_error error;
		uint8_t offender[SOCKET_NAME_BYTES];
	} record;

	if (list_empty(&d->errors))
		return -EAGAIN;
	struct datagram *g = list_first(&d->errors, struct datagram, node);
	long n = give_data(g, m);
	size_t offender_len = v6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
	record.error = g->error;
	memset(record.offender, 0, sizeof(record.offender));
	if (g->error.origin == SO_EE_ORIGIN_ICMP || g->error.origin == SO_EE_ORIGIN_ICMP6)
		inet_name_encode(&d->inet, &g->offender, 0, record.offender);
	m->name_len = (unsigned)inet_name_encode(&d->inet, &g->packet.to, g->packet.to_port, m->name);
	control_add(m, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_RECVERR : IP_RECVERR, &record, sizeof(record.error) + offender_len);
	m->out_flags |= MSG_ERRQUEUE;
	if (!(m->flags & MSG_PEEK)) {
		d->errors_charged -= g->charge;
		datagram_free(g);
		next_error(d);
	}
	return n;
}

static int await_message(struct datagram_socket *d, unsigned flags)
{
	struct socket *s = &d->inet.base;
	uint64_t timeout = s->receive_timeout_ns;
	int r = 0;

	if (!s->error && list_empty(&d->messages)) {
		if (flags & MSG_DONTWAIT)
			return -EAGAIN;
		r = wait_until(&d->inet.wait, !list_empty(&d->messages) || s->error || (d->shut & SHUT_READ), deadline_after(timeout));
	}
	if (r)
		return socket_wait_error(r, timeout);
	r = s->error;
	s->error = 0;
	return -r;
}

long datagram_receive(struct socket *s, struct socket_message *m)
{
	struct datagram_socket *d = datagram_of(s);

	if (m->flags & MSG_ERRQUEUE)
		return receive_error(d, m);
	if (m->flags & MSG_OOB && s->protocol != IPPROTO_UDP)
		return -EOPNOTSUPP;
	int r = await_message(d, m->flags);
	if (r || list_empty(&d->messages))
		return r; /* none after shutdown: the end */
	struct datagram *g = list_first(&d->messages, struct datagram, node);
	long n = give_data(g, m);
	m->name_len = (unsigned)inet_name_encode(&d->inet, &g->packet.from, g->packet.from_port, m->name);
	if (n >= 0)
		add_control(d, g, m);
	if (!(m->flags & MSG_PEEK)) {
		if (g->time_ns)
			d->last_time_ns = g->time_ns;
		d->charged -= g->charge;
		datagram_free(g);
	}
	return n;
}

unsigned datagram_poll(struct socket *s, struct file *f, struct poll_table *table)
{
	struct datagram_socket *d = datagram_of(s);
	unsigned events = POLL_OUT | POLL_WRNORM | 0x200 /* POLLWRBAND */;

	poll_add(table, f, &d->inet.wait);
	if (s->error || !list_empty(&d->errors))
		events |= POLL_ERR;
	if (d->shut & SHUT_READ)
		events |= POLL_RDHUP | POLL_IN | POLL_RDNORM;
	if (d->shut == (SHUT_READ | SHUT_WRITE))
		events |= POLL_HUP;
	if (!list_empty(&d->messages))
		events |= POLL_IN | POLL_RDNORM;
	return events;
}

static long get_stamp(struct datagram_socket *d, bool in_ns, uint64_t arg)
{
	struct k_timespec t = ns_to_timespec(d->last_time_ns);

	d->wants_time = true;
	if (!d->last_time_ns)
		return -ENOENT;
	if (!in_ns)
		t.tv_nsec /= 1000;
	return put_user(t, arg);
}

long datagram_ioctl(struct socket *s, unsigned cmd, uint64_t arg)
{
	struct datagram_socket *d = datagram_of(s);

	switch (cmd) {
	case FIONREAD: /* of the next datagram */
		return put_user(list_empty(&d->messages) ? 0 : (int)list_first(&d->messages, struct datagram, node)->len, arg);
	case SIOCOUTQ: /* nothing waits here to be sent */
		return put_user(0, arg);
	case SIOCGSTAMP_OLD:
	case SIOCGSTAMP_NEW:
		return get_stamp(d, false, arg);
	case SIOCGSTAMPNS_OLD:
	case SIOCGSTAMPNS_NEW:
		return get_stamp(d, true, arg);
	default:
		return -ENOTTY;
	}
}

int datagram_shutdown(struct socket *s, int how)
{
	struct datagram_socket *d = datagram_of(s);

	d->shut |= how;
	wake(d, POLL_IN | POLL_OUT | POLL_HUP | POLL_RDHUP);
	return d->connected ? 0 : -ENOTCONN;
}
