/* UDP sockets. Own the choice of the socket for a datagram, by Linux's rules (udp4_lib_lookup), and datagrams in the making
 * (UDP_CORK). Datagrams of the network are hostile: their lengths and checksums are checked here. What a socket sends to the cell
 * itself is put into the receiver's queue directly: one copy, no headers.
 */
#include "kernel/net/datagram.h"
#include "kernel/net/multicast.h"
#include "kernel/net/net.h"

#include "lwip/inet_chksum.h"
#include "lwip/icmp.h"
#include "lwip/prot/icmp6.h"
#include "lwip/prot/udp.h"
#include "lwip/snmp.h"

#include <asm/socket.h>
#include <linux/udp.h>

#define LENGTH_MAX 65535u
#define HEADER4    20u
#define SEGMENTS_MAX 128u /* UDP_MAX_SEGMENTS */

/* --- which socket --- */

static bool takes(const struct datagram_socket *d, const struct packet *k)
{
	return datagram_matches(d, &k->from, &k->to, k->index) && (!d->connected || d->inet.remote_port == k->from_port);
}

/* Higher fits more closely: a bound address before all else. */
static int score(const struct datagram_socket *d, const struct packet *k)
{
	const struct inet_socket *s = &d->inet;

	return (ip_addr_isany(&s->local) ? 0 : 100) + (s->base.family == AF_INET ? 2 : 1) + (d->connected ? 8 : 0) +
	       (s->base.bound_index ? 4 : 0);
}

/* The same for each datagram of a flow; not to be guessed. */
static uint32_t flow_hash(const struct packet *k)
{
	static uint32_t seed;
	uint32_t h;

	if (!seed)
		random_bytes(&seed, sizeof(seed));
	h = seed ^ ((uint32_t)k->from_port << 16 | k->to_port);
	for (unsigned i = 0; i < (IP_IS_V6(&k->from) ? 4u : 1u); i++)
		h = (h ^ ip_2_ip6(&k->from)->addr[i]) * 0x9e3779b1u, h ^= h >> 15;
	return h * 0x85ebca6bu;
}

static struct datagram_socket *find(const struct packet *k)
{
	struct list *at_port = inet_port_sockets(IPPROTO_UDP, k->to_port);
	struct datagram_socket *best = NULL;
	int best_score = -1;
	unsigned sharing = 0;

	if (!at_port)
		return NULL;
	list_for_each(s, at_port, struct inet_socket, port_node) {
		struct datagram_socket *d = datagram_of(&s->base);
		int points = takes(d, k) ? score(d, k) : -1;
		if (points < 0 || points < best_score)
			continue;
		sharing = points > best_score ? 0 : sharing;
		best = d;
		best_score = points;
		sharing += s->base.flags >> SO_REUSEPORT & 1;
	}
	if (sharing < 2 || best->connected)
		return best;
	unsigned chosen = (unsigned)((uint64_t)flow_hash(k) * sharing >> 32);
	list_for_each(s, at_port, struct inet_socket, port_node) {
		struct datagram_socket *d = datagram_of(&s->base);
		if (takes(d, k) && score(d, k) == best_score && s->base.flags >> SO_REUSEPORT & 1 && !chosen--)
			return d;
	}
	return best;
}

/* Multicast and broadcast: everyone who wants it. Takes k->p. False: nobody does, and k->p stays the caller's. */
static bool deliver_to_all(const struct packet *k)
{
	struct list *at_port = inet_port_sockets(IPPROTO_UDP, k->to_port);
	struct datagram_socket *last = NULL;

	if (!at_port)
		return false;
	list_for_each(s, at_port, struct inet_socket, port_node) {
		struct datagram_socket *d = datagram_of(&s->base);
		if (!takes(d, k) || (ip_addr_ismulticast(&k->to) && !multicast_wants(s, &k->to, &k->from, k->index)))
			continue;
		if (last && k->p)
			pbuf_ref(k->p);
		if (last)
			datagram_queue(last, k);
		last = d;
	}
	if (last)
		datagram_queue(last, k);
	return last;
}

static bool deliver(const struct packet *k, bool to_all)
{
	struct datagram_socket *d = to_all ? NULL : find(k);

	if (to_all)
		return deliver_to_all(k);
	if (d)
		datagram_queue(d, k);
	return d;
}

/* --- from the network --- */

static bool checksum_ok(struct packet *k, const struct udp_hdr *h, struct netif *in)
{
	IF__NETIF_CHECKSUM_ENABLED(in, NETIF_CHECKSUM_CHECK_UDP)
	{
		if (!h->chksum) /* IPv6 has none only where a socket says so (UDP_NO_CHECK6_RX) */
			return IP_IS_V4(&k->to) || (find(k) && find(k)->no_check_rx);
		return !ip_chksum_pseudo(k->p, IP_PROTO_UDP, k->p->tot_len, &k->from, &k->to);
	}
	return true;
}

static bool goes_to_all(const ip_addr_t *to, struct netif *in)
{
	return ip_addr_ismulticast(to) || (IP_IS_V4(to) && ip4_addr_isbroadcast(ip_2_ip4(to), in));
}

bool udp_wanted(struct packet *k, uint16_t from_port, uint16_t to_port)
{
	k->from_port = from_port;
	k->to_port = to_port;
	return goes_to_all(&k->to, ip_current_input_netif()) ? inet_port_sockets(IPPROTO_UDP, to_port) != NULL : find(k) != NULL;
}

void udp_packet(struct packet *k)
{
	struct netif *in = ip_current_input_netif();
	struct udp_hdr h = {.len = 0};

	if (k->p)
		pbuf_copy_partial(k->p, &h, sizeof(h), 0);
	uint16_t len = lwip_ntohs(h.len);
	bool good = k->p && k->p->tot_len >= sizeof(h) && len >= sizeof(h) && len <= k->p->tot_len;
	if (good && len < k->p->tot_len)
		pbuf_realloc(k->p, len);
	if (!good || !checksum_ok(k, &h, in)) {
		MIB2_STATS_INC(mib2.udpinerrors);
		if (k->p)
			pbuf_free(k->p);
		return;
	}
	k->p = pbuf_free_header(k->p, sizeof(h));
	MIB2_STATS_INC(mib2.udpindatagrams);
	if (!deliver(k, goes_to_all(&k->to, in)) && k->p)
		pbuf_free(k->p); /* a group or broadcast that nobody here listens to */
}

void udp_failed(const struct datagram_failure *f, const ip_addr_t *local, uint16_t local_port, const struct pbuf *quote, uint16_t quote_at)
{
	struct packet k = {.from = f->to, .to = *local, .from_port = f->port, .to_port = local_port};
	struct datagram_socket *d = find(&k);

	if (d)
		datagram_failed(d, f, quote, quote_at);
}

/* --- sending --- */

static int autobind(struct datagram_socket *d)
{
	return d->inet.local_port || !inet_port_bind(IPPROTO_UDP, &d->inet, 0) ? 0 : -EAGAIN;
}

static void add_header(struct pbuf *p, struct datagram_socket *d, const struct destination *o)
{
	struct udp_hdr *h = p->payload;
	bool none = IP_IS_V4(&o->to) ? d->inet.base.flags >> SO_NO_CHECK & 1 : d->no_check_tx;

	*h = (struct udp_hdr){.src = lwip_htons(d->inet.local_port), .dest = lwip_htons(o->port), .len = lwip_htons(p->tot_len)};
	if (none)
		return;
	IF__NETIF_CHECKSUM_ENABLED(o->netif, NETIF_CHECKSUM_GEN_UDP)
	{
		h->chksum = ip_chksum_pseudo(p, IP_PROTO_UDP, p->tot_len, &o->from, &o->to);
		if (!h->chksum)
			h->chksum = 0xffff;
	}
}

/* Nobody has the port: what an ICMP message would say. */
static void refuse(struct datagram_socket *d, const struct destination *o, const struct pbuf *p)
{
	bool v6 = IP_IS_V6(&o->to);
	const struct datagram_failure f = {.error = ECONNREFUSED,
		.hard = true,
		.origin = v6 ? SO_EE_ORIGIN_ICMP6 : SO_EE_ORIGIN_ICMP,
		.type = v6 ? ICMP6_TYPE_DUR : ICMP_DUR,
		.code = v6 ? ICMP6_DUR_PORT : ICMP_DUR_PORT,
		.offender = o->to,
		.to = o->to,
		.port = o->port};

	udp_failed(&f, &o->from, d->inet.local_port, p, 0);
}

static struct packet packet_to_self(struct datagram_socket *d, const struct destination *o, struct pbuf *p)
{
	if (p && !p->tot_len) {
		pbuf_free(p);
		p = NULL;
	}
	return (struct packet){.p = p,
		.from = o->from,
		.to = o->to,
		.from_port = d->inet.local_port,
		.to_port = o->port,
		.index = netif_get_index(o->netif),
		.ttl = o->ttl,
		.tos = o->tos};
}

/* What lo would have counted. */
static void count_on_lo(size_t bytes)
{
	MIB2_STATS_NETIF_ADD(&loop_netif, ifoutoctets, (uint32_t)bytes);
	MIB2_STATS_NETIF_INC(&loop_netif, ifoutucastpkts);
	MIB2_STATS_NETIF_ADD(&loop_netif, ifinoctets, (uint32_t)bytes);
	MIB2_STATS_NETIF_INC(&loop_netif, ifinucastpkts);
	MIB2_STATS_INC(mib2.udpindatagrams);
}

/* Sends the datagram, which is taken. */
static int transmit(struct datagram_socket *d, const struct destination *o, struct pbuf *p)
{
	bool multicast = ip_addr_ismulticast(&o->to), on_lo = o->netif == &loop_netif;
	bool loop = o->broadcast || (multicast && inet_switch(&d->inet, IP_IS_V6(&o->to) ? INET6_MULTICAST_LOOP : INET_MULTICAST_LOOP));

	MIB2_STATS_INC(mib2.udpoutdatagrams);
	if (on_lo && !packets_wanted(IPPROTO_UDP)) {
		count_on_lo(p->tot_len + sizeof(struct udp_hdr) + (IP_IS_V6(&o->to) ? 40 : HEADER4));
		struct packet k = packet_to_self(d, o, p);
		if (multicast ? multicast_joined(&k.to, k.index) && deliver(&k, true) : deliver(&k, o->broadcast))
			return 0;
		if (!multicast && !o->broadcast)
			refuse(d, o, k.p);
		if (k.p)
			pbuf_free(k.p);
		return 0;
	}
	if (loop && !on_lo && (o->broadcast || multicast_joined(&o->to, netif_get_index(o->netif)))) {
		struct packet k = packet_to_self(d, o, pbuf_clone(PBUF_RAW, PBUF_RAM, p));
		if ((k.p || !p->tot_len) && !deliver(&k, true) && k.p)
			pbuf_free(k.p);
	}
	if (multicast && !o->ttl) { /* not beyond the cell */
		pbuf_free(p);
		return 0;
	}
	if (pbuf_add_header(p, sizeof(struct udp_hdr))) { /* beyond the 64 KiB that lwIP can send */
		pbuf_free(p);
		return -EMSGSIZE;
	}
	add_header(p, d, o);
	return destination_output(p, o, IP_PROTO_UDP);
}

/* Larger than a datagram, or than the socket lets be fragmented. */
static int check_size(struct datagram_socket *d, const struct destination *o, size_t len)
{
	const struct inet_options *opt = &d->inet.options;
	bool v4 = IP_IS_V4(&o->to);
	size_t header = v4 ? HEADER4 : 0, total = len + sizeof(struct udp_hdr) + header;
	uint8_t discover = v4 ? opt->mtu_discover : opt->mtu_discover6;
	bool whole = discover == IP_PMTUDISC_DO || discover == IP_PMTUDISC_PROBE || (!v4 && inet_switch(&d->inet, INET6_DONTFRAG));
	size_t mtu = o->netif == &loop_netif ? 65536u : o->netif->mtu;

	if (total <= LENGTH_MAX && !(whole && total + (v4 ? 0 : 40) > mtu))
		return 0;
	const struct datagram_failure f = {
		.error = EMSGSIZE, .origin = SO_EE_ORIGIN_LOCAL, .info = (uint32_t)mtu, .to = o->to, .port = o->port};
	datagram_failed(d, &f, NULL, 0);
	return -EMSGSIZE;
}

/* While the interface can't take more, a sender waits. */
static int await_room(struct datagram_socket *d, const struct destination *o, unsigned flags)
{
	uint64_t timeout = d->inet.base.send_timeout_ns;

	if (!interface_congested(o->netif))
		return 0;
	if (flags & MSG_DONTWAIT)
		return -EAGAIN;
	int r = wait_until(&interface_room, !interface_congested(o->netif), deadline_after(timeout));
	return r ? socket_wait_error(r, timeout) : 0;
}

static long send_one(struct datagram_socket *d, struct socket_message *m, struct destination *o, size_t len)
{
	struct pbuf *p = pbuf_alloc(PBUF_TRANSPORT, (uint16_t)len, PBUF_RAM);

	if (!p)
		return -ENOBUFS;
	if (len && uio_get(m->data, p->payload, len) != (long)len) {
		pbuf_free(p);
		return -EFAULT;
	}
	int r = transmit(d, o, p);
	return r ? r : (long)len;
}

/* --- datagrams in the making --- */

static void cork_drop(struct datagram_socket *d)
{
	kfree(d->cork.data);
	d->cork = (struct cork){.on = d->cork.on};
}

static int cork_add(struct datagram_socket *d, struct socket_message *m, size_t len)
{
	struct cork *c = &d->cork;
	uint8_t *data = c->len + len > LENGTH_MAX ? NULL : krealloc(c->data, c->len + len + 1);

	if (!data)
		return c->len + len > LENGTH_MAX ? -EMSGSIZE : -ENOBUFS;
	c->data = data;
	if (len && uio_get(m->data, data + c->len, len) != (long)len)
		return -EFAULT;
	c->len += len;
	return 0;
}

/* Sends what was collected. */
static int uncork(struct datagram_socket *d)
{
	struct destination o = {.to = d->cork.to, .port = d->cork.port};
	struct uio_vec v;
	struct uio u;
	struct socket_message m;

	uio_init_kernel(&u, &v, d->cork.data, d->cork.len);
	m.data = &u;
	int r = destination_route(d, NULL, &o);
	if (!r)
		r = check_size(d, &o, d->cork.len);
	long n = r ? r : send_one(d, &m, &o, d->cork.len);
	cork_drop(d);
	return n < 0 ? (int)n : 0;
}

static long send_corked(struct datagram_socket *d, struct socket_message *m, bool more)
{
	size_t len = m->data->left;
	struct destination o = {.port = 0};
	int r = 0;

	if (!d->cork.has_to) {
		r = destination_find(d, m, &o);
		d->cork.has_to = !r;
		d->cork.to = o.to;
		d->cork.port = o.port;
	}
	if (!r)
		r = cork_add(d, m, len);
	if (r) {
		cork_drop(d);
		return r;
	}
	r = more ? 0 : uncork(d);
	return r ? r : (long)len;
}

/* --- UDP_SEGMENT: one send, many datagrams --- */

static size_t segment_size(const struct datagram_socket *d, const struct socket_message *m)
{
	struct control_record c;
	uint16_t size = d->segment;

	for (size_t at = 0; control_next(m, &at, &c);)
		if (c.level == IPPROTO_UDP && c.type == UDP_SEGMENT && c.len == sizeof(size))
			memcpy(&size, c.data, sizeof(size));
	return size;
}

static long send_segments(struct datagram_socket *d, struct socket_message *m, struct destination *o, size_t len, size_t segment)
{
	size_t mtu = o->netif == &loop_netif ? LENGTH_MAX : o->netif->mtu, header = sizeof(struct udp_hdr) + (IP_IS_V6(&o->to) ? 40 : HEADER4);
	long r = 0;

	if (segment + header > mtu)
		return -EMSGSIZE;
	if (len > segment * SEGMENTS_MAX)
		return -EINVAL;
	for (size_t left = len; left && r >= 0; left -= vb_min(left, segment)) {
		r = await_room(d, o, m->flags & ~(unsigned)MSG_DONTWAIT);
		if (!r)
			r = send_one(d, m, o, vb_min(left, segment));
	}
	return r < 0 ? r : (long)len;
}

static long udp_send(struct socket *s, struct socket_message *m)
{
	struct datagram_socket *d = datagram_of(s);
	struct destination o = {.port = 0};
	size_t len = m->data->left;
	bool more = d->cork.on || m->flags & MSG_MORE;

	int r = autobind(d);
	if (r)
		return r;
	if (len > LENGTH_MAX)
		return -EMSGSIZE;
	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (more || d->cork.has_to)
		return send_corked(d, m, more);
	r = destination_find(d, m, &o);
	if (!r)
		r = check_size(d, &o, len);
	if (!r)
		r = datagram_send_error(d);
	if (!r)
		r = await_room(d, &o, m->flags);
	if (r)
		return r;
	size_t segment = segment_size(d, m);
	return segment && segment < len ? send_segments(d, m, &o, len, segment) : send_one(d, m, &o, len);
}

/* --- names --- */

static int udp_bind(struct socket *base, const uint8_t *name, unsigned len)
{
	struct datagram_socket *d = datagram_of(base);
	struct inet_socket *s = &d->inet;
	uint8_t copy[SOCKET_NAME_BYTES];
	ip_addr_t ip;
	uint16_t family, port;

	memcpy(copy, name, len);
	if (len >= sizeof(struct sockaddr_in) && base->family == AF_INET) { /* AF_UNSPEC of old programs: the zero address only */
		memcpy(&family, copy, sizeof(family));
		if (family == AF_UNSPEC && !copy[4] && !copy[5] && !copy[6] && !copy[7])
			memcpy(copy, &(uint16_t){AF_INET}, sizeof(family));
	}
	int r = inet_name_decode(s, copy, len, &ip, &port);
	if (r)
		return r == -ENETUNREACH ? -EINVAL : r;
	bool group = ip_addr_ismulticast(&ip) || inet_is_broadcast(&ip);
	r = group ? 0 : inet_check_bind(s, &ip);
	if (r)
		return r;
	if (s->local_port || d->connected)
		return -EINVAL;
	ip_addr_t old = s->local;
	s->local = ip;
	r = inet_port_bind(IPPROTO_UDP, s, port);
	if (r) {
		s->local = old;
		return r == -ENOMEM ? -ENOBUFS : r;
	}
	s->bound = !ip_addr_isany(&ip);
	d->port_locked = port;
	return 0;
}

static int udp_connect(struct socket *base, const uint8_t *name, unsigned len, bool nonblock)
{
	struct datagram_socket *d = datagram_of(base);
	struct sockaddr_in v4;
	ip_addr_t ip;

	if (base->family != AF_INET6 || len < sizeof(v4.sin_family) || memcmp(name, &(uint16_t){AF_INET}, sizeof(uint16_t)) != 0)
		return datagram_connect(d, name, len, autobind);
	int r = autobind(d);
	if (r)
		return r;
	if (len < sizeof(v4))
		return -EINVAL;
	if (d->inet.v6only)
		return -EAFNOSUPPORT;
	memcpy(&v4, name, sizeof(v4));
	ip_addr_set_ip4_u32_val(ip, v4.sin_addr.s_addr);
	return datagram_connect_to(d, &ip, __builtin_bswap16(v4.sin_port));
}

/* --- options --- */

static long udp_setsockopt(struct socket *s, int level, int name, uint64_t value, unsigned len)
{
	struct datagram_socket *d = datagram_of(s);
	int v;

	if (level != IPPROTO_UDP)
		return inet_setsockopt(s, level, name, value, len);
	if (len < sizeof(v))
		return -EINVAL;
	if (get_user(v, value))
		return -EFAULT;
	switch (name) {
	case UDP_CORK:
		d->cork.on = v;
		return v || !d->cork.has_to ? 0 : uncork(d);
	case UDP_NO_CHECK6_TX:
		d->no_check_tx = v;
		return 0;
	case UDP_NO_CHECK6_RX:
		d->no_check_rx = v;
		return 0;
	case UDP_SEGMENT:
		if (v < 0 || v > UINT16_MAX)
			return -EINVAL;
		d->segment = (uint16_t)v;
		return 0;
	case UDP_GRO: /* datagrams may come together; here they come one by one */
		d->gro = v;
		return 0;
	default:
		return -ENOPROTOOPT;
	}
}

static long udp_getsockopt(struct socket *s, int level, int name, uint64_t value, uint64_t len_addr)
{
	struct datagram_socket *d = datagram_of(s);
	int len, v;

	if (level != IPPROTO_UDP)
		return inet_getsockopt(s, level, name, value, len_addr);
	if (get_user(len, len_addr))
		return -EFAULT;
	if (len < 0)
		return -EINVAL;
	switch (name) {
	case UDP_CORK:
		v = d->cork.on;
		break;
	case UDP_NO_CHECK6_TX:
		v = d->no_check_tx;
		break;
	case UDP_NO_CHECK6_RX:
		v = d->no_check_rx;
		break;
	case UDP_SEGMENT:
		v = d->segment;
		break;
	case UDP_GRO:
		v = d->gro;
		break;
	default:
		return -ENOPROTOOPT;
	}
	len = vb_min(len, (int)sizeof(v));
	return put_user(len, len_addr) || copy_to_user(value, &v, (size_t)len) ? -EFAULT : 0;
}

/* --- life --- */

static void udp_release(struct socket *s)
{
	datagram_release(datagram_of(s));
}

static const struct socket_ops udp_ops = {
	.bind = udp_bind,
	.connect = udp_connect,
	.name = inet_get_name,
	.shutdown = datagram_shutdown,
	.send = udp_send,
	.receive = datagram_receive,
	.poll = datagram_poll,
	.ioctl = datagram_ioctl,
	.setsockopt = udp_setsockopt,
	.getsockopt = udp_getsockopt,
	.release = udp_release,
};

int udp_create(int family, struct socket **ret)
{
	int r = packets_start();
	struct datagram_socket *d = r ? NULL : datagram_new(&udp_ops, family, SOCK_DGRAM, IPPROTO_UDP);

	if (!d)
		return r ? r : -ENOBUFS;
	*ret = &d->inet.base;
	return 0;
}
