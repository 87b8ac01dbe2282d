/* Ping sockets: SOCK_DGRAM of IPPROTO_ICMP and IPPROTO_ICMPV6. A socket sends echo requests with its own identifier, which is its
 * "port", and receives the replies to them. Everybody may have one (net.ipv4.ping_group_range). Trusts nothing from the program;
 * replies come from the network, their checksum was checked (packets.c).
 */
#include "kernel/net/datagram.h"

#include "lwip/inet_chksum.h"
#include "lwip/prot/icmp.h"
#include "lwip/prot/icmp6.h"

#define LENGTH_MAX 65535u

static struct list sockets = LIST_INIT(sockets);

static uint8_t request_of(const struct inet_socket *s)
{
	return s->base.family == AF_INET6 ? ICMP6_TYPE_EREQ : ICMP_ECHO;
}

static uint8_t reply_of(bool v6)
{
	return v6 ? ICMP6_TYPE_EREP : ICMP_ER;
}

static struct datagram_socket *find(uint16_t id, bool v6, const struct packet *k)
{
	list_for_each(d, &sockets, struct datagram_socket, node) {
		if (d->inet.local_port == id && (d->inet.base.family == AF_INET6) == v6 && datagram_matches(d, &k->from, &k->to, k->index))
			return d;
	}
	return NULL;
}

static bool id_free(uint16_t id, bool v6)
{
	list_for_each(d, &sockets, struct datagram_socket, node) {
		if (d->inet.local_port == id && (d->inet.base.family == AF_INET6) == v6)
			return false;
	}
	return true;
}

static int take_id(struct datagram_socket *d, uint16_t id)
{
	bool v6 = d->inet.base.family == AF_INET6;

	if (id && !id_free(id, v6))
		return -EADDRINUSE;
	for (unsigned tries = 0; !id && tries < 65536; tries++) {
		random_bytes(&id, sizeof(id));
		id = id_free(id, v6) ? id : 0;
	}
	d->inet.local_port = id;
	return id ? 0 : -EADDRINUSE;
}

void ping_packet(const struct packet *k, uint16_t header_len)
{
	bool v6 = IP_IS_V6(&k->to);
	struct icmp_echo_hdr h;

	if (list_empty(&sockets) || pbuf_copy_partial(k->p, &h, sizeof(h), header_len) != sizeof(h) || h.type != reply_of(v6))
		return;
	struct datagram_socket *d = find(lwip_ntohs(h.id), v6, k);
	struct pbuf *p = d ? pbuf_alloc(PBUF_RAW, (uint16_t)(k->p->tot_len - header_len), PBUF_RAM) : NULL;
	if (!p)
		return;
	pbuf_copy_partial(k->p, p->payload, p->len, header_len);
	struct packet copy = *k;
	copy.p = p;
	datagram_queue(d, &copy);
}

void ping_failed(const struct datagram_failure *f, uint16_t id, const struct pbuf *quote, uint16_t quote_at)
{
	list_for_each(d, &sockets, struct datagram_socket, node) {
		if (d->inet.local_port == id && (d->inet.base.family == AF_INET6) == (f->origin == SO_EE_ORIGIN_ICMP6))
			datagram_failed(d, f, quote, quote_at);
	}
}

static int check_request(struct datagram_socket *d, struct pbuf *p, const struct destination *o)
{
	struct icmp_echo_hdr *h = p->payload;

	if (h->type != request_of(&d->inet) || h->code)
		return -EINVAL;
	h->id = lwip_htons(d->inet.local_port);
	h->chksum = 0;
	h->chksum = IP_IS_V6(&o->to) ? ip6_chksum_pseudo(p, IP6_NEXTH_ICMP6, p->tot_len, ip_2_ip6(&o->from), ip_2_ip6(&o->to))
				     : inet_chksum_pbuf(p);
	return 0;
}

static long ping_send(struct socket *s, struct socket_message *m)
{
	struct datagram_socket *d = datagram_of(s);
	struct destination o = {.port = 0};
	size_t len = m->data->left;
	int r = d->inet.local_port ? 0 : take_id(d, 0);

	if (r)
		return r;
	if (len > LENGTH_MAX - 28)
		return -EMSGSIZE;
	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (len < sizeof(struct icmp_echo_hdr))
		return -EINVAL;
	r = destination_find(d, m, &o);
	if (!r && IP_IS_V6(&o.to) != (s->family == AF_INET6))
		r = -EINVAL;
	if (!r)
		r = datagram_send_error(d);
	if (r)
		return r;
	struct pbuf *p = pbuf_alloc(PBUF_IP, (uint16_t)len, PBUF_RAM);
	if (!p)
		return -ENOBUFS;
	r = uio_get(m->data, p->payload, len) == (long)len ? check_request(d, p, &o) : -EFAULT;
	if (r) {
		pbuf_free(p);
		return r;
	}
	r = destination_output(p, &o, (uint8_t)s->protocol);
	return r ? r : (long)len;
}

static int ping_bind(struct socket *base, const uint8_t *name, unsigned len)
{
	struct datagram_socket *d = datagram_of(base);
	ip_addr_t ip;
	uint16_t id;
	int r = inet_name_decode(&d->inet, name, len, &ip, &id);

	if (r)
		return r;
	r = inet_check_bind(&d->inet, &ip);
	if (r)
		return r;
	if (d->inet.local_port)
		return -EINVAL;
	r = take_id(d, id);
	if (r)
		return r;
	d->inet.local = ip;
	d->inet.bound = !ip_addr_isany(&ip);
	d->port_locked = true;
	return 0;
}

static int have_id(struct datagram_socket *d)
{
	return d->inet.local_port ? 0 : take_id(d, 0);
}

static int ping_connect(struct socket *base, const uint8_t *name, unsigned len, bool nonblock)
{
	return datagram_connect(datagram_of(base), name, len, have_id);
}

static void ping_release(struct socket *s)
{
	datagram_release(datagram_of(s));
}

static const struct socket_ops ping_ops = {
	.bind = ping_bind,
	.connect = ping_connect,
	.name = inet_get_name,
	.shutdown = datagram_shutdown,
	.send = ping_send,
	.receive = datagram_receive,
	.poll = datagram_poll,
	.ioctl = datagram_ioctl,
	.setsockopt = inet_setsockopt,
	.getsockopt = inet_getsockopt,
	.release = ping_release,
};

int ping_create(int family, struct socket **ret)
{
	int r = packets_start();
	struct datagram_socket *d = NULL;

	if (!r)
		d = datagram_new(&ping_ops, family, SOCK_DGRAM, family == AF_INET6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
	if (!d)
		return r ? r : -ENOBUFS;
	list_push_back(&sockets, &d->node);
	*ret = &d->inet.base;
	return 0;
}

void ping_for_each(void (*fn)(struct datagram_socket *d, void *arg), void *arg)
{
	list_for_each(d, &sockets, struct datagram_socket, node)
		fn(d, arg);
}
