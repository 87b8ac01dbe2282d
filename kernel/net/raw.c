/* Raw sockets: IP packets of one protocol, for programs with CAP_NET_RAW in the cell. A socket gets copies of what comes; the
 * stack sees the packets too. Owns the list of the sockets. Trusts nothing from the program, headers that it made least of all.
 */
#include "kernel/net/datagram.h"
#include "kernel/net/multicast.h"
#include "kernel/net/net.h"

#include "lwip/inet_chksum.h"
#include "lwip/ip4.h"
#include "lwip/prot/icmp6.h"

#include <asm/socket.h>
#include <linux/capability.h>

#define LENGTH_MAX   65535u
#define ICMP_FILTER  1 /* of level IPPROTO_RAW and IPPROTO_ICMPV6 */


static struct list sockets = LIST_INIT(sockets);

static bool filtered(const struct datagram_socket *d, const struct packet *k, uint16_t header_len)
{
	uint8_t type;

	if (d->inet.base.protocol != IPPROTO_ICMP && d->inet.base.protocol != IPPROTO_ICMPV6)
		return false;
	if (pbuf_copy_partial(k->p, &type, 1, header_len) != 1)
		return true;
	if (d->inet.base.protocol == IPPROTO_ICMP)
		return type < 32 && (d->icmp_filter[0] >> type & 1);
	return d->icmp_filter[type / 32] >> type % 32 & 1;
}

/* IPV6_CHECKSUM: 16 bits at an offset that the program chose. */
static bool checksum_ok(const struct datagram_socket *d, const struct packet *k, uint16_t header_len)
{
	if (d->checksum_at < 0 || d->inet.base.protocol == IPPROTO_ICMPV6)
		return true;
	struct pbuf *p = pbuf_clone(PBUF_RAW, PBUF_RAM, k->p);
	if (!p)
		return false;
	pbuf_remove_header(p, header_len);
	bool ok = !ip_chksum_pseudo(p, (u8_t)d->inet.base.protocol, p->tot_len, &k->from, &k->to);
	pbuf_free(p);
	return ok;
}

void raw_packet(const struct packet *k, uint8_t protocol, uint16_t header_len)
{
	bool v6 = IP_IS_V6(&k->to);

	list_for_each(d, &sockets, struct datagram_socket, node) {
		const struct inet_socket *s = &d->inet;
		if (s->base.protocol != protocol || (s->base.family == AF_INET6) != v6 ||
			!datagram_matches(d, &k->from, &k->to, k->index) || filtered(d, k, header_len) || !checksum_ok(d, k, header_len))
			continue;
		if (ip_addr_ismulticast(&k->to) && !multicast_wants(s, &k->to, &k->from, k->index))
			continue;
		uint16_t skip = v6 ? header_len : 0; /* an IPv4 socket sees the header */
		struct packet copy = *k;
		copy.p = pbuf_alloc(PBUF_RAW, (uint16_t)(k->p->tot_len - skip), PBUF_RAM);
		if (!copy.p) {
			d->dropped++;
			continue;
		}
		pbuf_copy_partial(k->p, copy.p->payload, copy.p->len, skip);
		datagram_queue(d, &copy);
	}
}

void raw_failed(const struct datagram_failure *f, uint8_t protocol, const ip_addr_t *local, const struct pbuf *quote, uint16_t quote_at)
{
	list_for_each(d, &sockets, struct datagram_socket, node) {
		if (d->inet.base.protocol == protocol && (d->inet.base.family == AF_INET6) == IP_IS_V6(local) &&
			datagram_matches(d, &f->to, local, d->inet.base.bound_index))
			datagram_failed(d, f, quote, quote_at);
	}
}

/* --- sending --- */

/* The program's own IPv4 header: what Linux fills in is filled in, lengths are made true. */
static int complete_header(struct pbuf *p, struct destination *o)
{
	struct ip_hdr *h = p->payload;
	static uint16_t id;

	if (p->len < IP_HLEN || IPH_HL_BYTES(h) < IP_HLEN || IPH_HL_BYTES(h) > p->len)
		return -EINVAL;
	if (!h->src.addr)
		h->src.addr = ip_2_ip4(&o->from)->addr;
	if (!IPH_ID(h))
		IPH_ID_SET(h, lwip_htons(++id));
	IPH_VHL_SET(h, 4, IPH_HL(h));
	IPH_LEN_SET(h, lwip_htons(p->tot_len));
	IPH_CHKSUM_SET(h, 0);
	IPH_CHKSUM_SET(h, inet_chksum(h, IPH_HL_BYTES(h)));
	return 0;
}

static int output_with_header(struct pbuf *p, struct destination *o)
{
	int r = p->tot_len > (o->netif == &loop_netif ? LENGTH_MAX : o->netif->mtu) ? -EMSGSIZE : complete_header(p, o);

	if (!r)
		r = inet_error(o->netif->output(o->netif, p, ip_2_ip4(&o->to)));
	pbuf_free(p);
	inet_run();
	return r;
}

static int put_checksum(struct datagram_socket *d, struct pbuf *p, const struct destination *o)
{
	unsigned at = d->inet.base.protocol == IPPROTO_ICMPV6 ? offsetof(struct icmp6_hdr, chksum) : (unsigned)d->checksum_at;
	uint16_t sum = 0;

	if (!IP_IS_V6(&o->to) || (d->checksum_at < 0 && d->inet.base.protocol != IPPROTO_ICMPV6))
		return 0;
	if (at + sizeof(sum) > p->len)
		return -EINVAL;
	memcpy((uint8_t *)p->payload + at, &sum, sizeof(sum));
	sum = ip_chksum_pseudo(p, (u8_t)d->inet.base.protocol, p->tot_len, &o->from, &o->to);
	memcpy((uint8_t *)p->payload + at, &sum, sizeof(sum));
	return 0;
}

static long raw_send(struct socket *s, struct socket_message *m)
{
	struct datagram_socket *d = datagram_of(s);
	struct destination o = {.port = 0};
	size_t len = m->data->left;
	bool header = inet_switch(&d->inet, INET_HDRINCL);

	if (len > LENGTH_MAX - (header ? 0 : IP_HLEN))
		return -EMSGSIZE;
	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	int r = destination_find(d, m, &o);
	if (!r)
		r = datagram_send_error(d);
	if (r)
		return r;
	struct pbuf *p = pbuf_alloc(header ? PBUF_LINK : PBUF_IP, (uint16_t)len, PBUF_RAM);
	if (!p)
		return -ENOBUFS;
	if (len && uio_get(m->data, p->payload, len) != (long)len)
		r = -EFAULT;
	else
		r = header ? 0 : put_checksum(d, p, &o);
	if (r) {
		pbuf_free(p);
		return r;
	}
	r = header ? output_with_header(p, &o) : destination_output(p, &o, (uint8_t)s->protocol);
	return r ? r : (long)len;
}

/* --- names --- */

static int raw_bind(struct socket *base, const uint8_t *name, unsigned len)
{
	struct datagram_socket *d = datagram_of(base);
	ip_addr_t ip;
	uint16_t port;
	int r = inet_name_decode(&d->inet, name, len, &ip, &port);

	if (r)
		return r;
	r = ip_addr_ismulticast(&ip) || inet_is_broadcast(&ip) ? 0 : inet_check_bind(&d->inet, &ip);
	if (r)
		return r;
	if (d->connected)
		return -EINVAL;
	d->inet.local = ip;
	d->inet.bound = !ip_addr_isany(&ip);
	return 0;
}

static int raw_connect(struct socket *base, const uint8_t *name, unsigned len, bool nonblock)
{
	return datagram_connect(datagram_of(base), name, len, NULL);
}

/* The protocol takes the place of the port, as Linux shows it. */
static int raw_name(struct socket *base, bool peer, uint8_t *ret)
{
	const struct datagram_socket *d = datagram_of(base);

	if (!peer)
		return inet_name_encode(&d->inet, &d->inet.local, (uint16_t)base->protocol, ret);
	return d->connected ? inet_name_encode(&d->inet, &d->inet.remote, d->inet.remote_port, ret) : -ENOTCONN;
}

/* --- options --- */

static long raw_setsockopt(struct socket *s, int level, int name, uint64_t value, unsigned len)
{
	struct datagram_socket *d = datagram_of(s);
	bool icmp = level == IPPROTO_RAW && s->family == AF_INET, icmp6 = level == IPPROTO_ICMPV6 && s->family == AF_INET6;
	int v;

	if ((level == IPPROTO_IPV6 || level == IPPROTO_RAW) && s->family == AF_INET6 && name == IPV6_CHECKSUM) {
		if (len < sizeof(v))
			return -EINVAL;
		if (get_user(v, value))
			return -EFAULT;
		if (s->protocol == IPPROTO_ICMPV6 || (v > 0 && v & 1))
			return -EINVAL;
		d->checksum_at = v < 0 ? -1 : v;
		return 0;
	}
	if (!icmp && !icmp6)
		return inet_setsockopt(s, level, name, value, len);
	if (name != ICMP_FILTER)
		return -ENOPROTOOPT;
	if (s->protocol != (icmp ? IPPROTO_ICMP : IPPROTO_ICMPV6))
		return -EOPNOTSUPP;
	return copy_from_user(d->icmp_filter, value, vb_min((size_t)len, icmp ? sizeof(uint32_t) : sizeof(d->icmp_filter)));
}

static long raw_getsockopt(struct socket *s, int level, int name, uint64_t value, uint64_t len_addr)
{
	struct datagram_socket *d = datagram_of(s);
	bool icmp = level == IPPROTO_RAW && s->family == AF_INET, icmp6 = level == IPPROTO_ICMPV6 && s->family == AF_INET6;
	bool checksum = (level == IPPROTO_IPV6 || level == IPPROTO_RAW) && s->family == AF_INET6 && name == IPV6_CHECKSUM;
	int len;

	if (!icmp && !icmp6 && !checksum)
		return inet_getsockopt(s, level, name, value, len_addr);
	if (!checksum && name != ICMP_FILTER)
		return -ENOPROTOOPT;
	if (get_user(len, len_addr))
		return -EFAULT;
	if (len < 0)
		return -EINVAL;
	if (!checksum && s->protocol != (icmp ? IPPROTO_ICMP : IPPROTO_ICMPV6))
		return -EOPNOTSUPP;
	const void *from = checksum ? (const void *)&d->checksum_at : d->icmp_filter;
	len = vb_min(len, (int)(icmp6 ? sizeof(d->icmp_filter) : sizeof(int)));
	return put_user(len, len_addr) || copy_to_user(value, from, (size_t)len) ? -EFAULT : 0;
}

/* --- life --- */

static void raw_release(struct socket *s)
{
	packets_unwant((uint8_t)s->protocol);
	datagram_release(datagram_of(s));
}

static const struct socket_ops raw_ops = {
	.bind = raw_bind,
	.connect = raw_connect,
	.name = raw_name,
	.shutdown = datagram_shutdown,
	.send = raw_send,
	.receive = datagram_receive,
	.poll = datagram_poll,
	.ioctl = datagram_ioctl,
	.setsockopt = raw_setsockopt,
	.getsockopt = raw_getsockopt,
	.release = raw_release,
};

int raw_create(int family, int protocol, struct socket **ret)
{
	if (!capable(CAP_NET_RAW))
		return -EPERM;
	if (!protocol)
		return -EPROTONOSUPPORT;
	int r = packets_start();
	if (!r)
		r = packets_want((uint8_t)protocol);
	if (r)
		return r;
	struct datagram_socket *d = datagram_new(&raw_ops, family, SOCK_RAW, protocol);
	if (!d) {
		packets_unwant((uint8_t)protocol);
		return -ENOBUFS;
	}
	d->inet.v6only = family == AF_INET6;
	if (protocol == IPPROTO_RAW && family == AF_INET)
		d->inet.options.switches |= 1u << INET_HDRINCL;
	list_push_back(&sockets, &d->node);
	*ret = &d->inet.base;
	return 0;
}

void raw_for_each(void (*fn)(struct datagram_socket *d, void *arg), void *arg)
{
	list_for_each(d, &sockets, struct datagram_socket, node)
		fn(d, arg);
}
