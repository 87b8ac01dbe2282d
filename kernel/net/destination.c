/* Where datagrams go: the name or the peer, the ancillary data and the options of the socket, the route. Owns nothing. Names and
 * ancillary data come from the program and are decoded fully before anything is sent.
 */
#include "kernel/net/datagram.h"
#include "kernel/net/link.h"
#include "kernel/net/net.h"

#include "lwip/ip4.h"
#include "lwip/ip6.h"

#include <asm/socket.h>
#include <linux/udp.h>

#define DEFAULT_TTL 64

/* What a send says besides its name. */
struct wishes {
	unsigned index; /* 0: none */
	int ttl, tos;   /* -1: the socket's */
	bool has_from;
	ip_addr_t from;
};

static bool is_any(const ip_addr_t *ip)
{
	return ip_addr_isany(ip);
}

static int decode_v4(const struct socket_message *m, struct destination *ret)
{
	struct sockaddr_in name;

	if (m->name_len < sizeof(name))
		return -EINVAL;
	memcpy(&name, m->name, sizeof(name));
	ip_addr_set_ip4_u32(&ret->to, name.sin_addr.s_addr);
	ret->port = __builtin_bswap16(name.sin_port);
	return 0;
}

/* 1: there is no name. */
static int decode_name(const struct datagram_socket *d, const struct socket_message *m, struct destination *ret)
{
	const struct inet_socket *s = &d->inet;
	uint16_t family = AF_UNSPEC;

	if (!m->name_len)
		return 1;
	if (m->name_len < (s->base.family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(family)))
		return -EINVAL;
	memcpy(&family, m->name, sizeof(family));
	if (s->base.family == AF_INET)
		return family != AF_INET && family != AF_UNSPEC ? -EAFNOSUPPORT : decode_v4(m, ret);
	switch (family) {
	case AF_UNSPEC:
		return 1;
	case AF_INET:
		return s->v6only ? -ENETUNREACH : decode_v4(m, ret);
	case AF_INET6:
		return inet_name_decode(s, m->name, m->name_len, &ret->to, &ret->port);
	default:
		return -EINVAL;
	}
}

/* --- ancillary data --- */

static int take_number(const struct control_record *c, int low, int *ret)
{
	int v = 0;

	if (c->len == sizeof(v))
		memcpy(&v, c->data, sizeof(v));
	else if (c->len == 1 && c->level == IPPROTO_IP && c->type == IP_TOS)
		v = *c->data;
	else
		return -EINVAL;
	if (v < low || v > 255)
		return -EINVAL;
	*ret = v;
	return 0;
}

static int take_pktinfo4(const struct control_record *c, struct wishes *w)
{
	struct in_pktinfo info;

	if (c->len != sizeof(info))
		return -EINVAL;
	memcpy(&info, c->data, sizeof(info));
	w->index = info.ipi_ifindex ? (unsigned)info.ipi_ifindex : w->index;
	w->has_from = info.ipi_spec_dst.s_addr;
	ip_addr_set_ip4_u32(&w->from, info.ipi_spec_dst.s_addr);
	return 0;
}

static int take_pktinfo6(const struct control_record *c, bool v4, struct wishes *w)
{
	struct in6_pktinfo info;
	ip6_addr_t from = {0};

	if (c->len < sizeof(info))
		return -EINVAL;
	memcpy(&info, c->data, sizeof(info));
	memcpy(from.addr, &info.ipi6_addr, sizeof(from.addr));
	if (w->index && info.ipi6_ifindex && (unsigned)info.ipi6_ifindex != w->index)
		return -EINVAL;
	w->index = info.ipi6_ifindex ? (unsigned)info.ipi6_ifindex : w->index;
	if (v4 && !ip6_addr_isipv4mappedipv6(&from))
		return -EINVAL;
	if (v4) {
		ip_addr_set_ip4_u32(&w->from, from.addr[3]);
		w->has_from = from.addr[3];
		return 0;
	}
	ip_addr_copy_from_ip6(w->from, from);
	w->has_from = !ip6_addr_isany(&from);
	return 0;
}

static int take_record(const struct control_record *c, bool v4, struct wishes *w)
{
	if (v4 && c->level == IPPROTO_IP) {
		if (c->type == IP_PKTINFO)
			return take_pktinfo4(c, w);
		if (c->type == IP_TTL)
			return take_number(c, 1, &w->ttl);
		return c->type == IP_TOS ? take_number(c, 0, &w->tos) : -EINVAL;
	}
	if (c->level == IPPROTO_UDP)
		return c->type == UDP_SEGMENT && c->len == sizeof(uint16_t) ? 0 : -EINVAL; /* udp.c looks at it */
	if (c->level != IPPROTO_IPV6)
		return 0;
	if (c->type == IPV6_PKTINFO || c->type == IPV6_2292PKTINFO)
		return take_pktinfo6(c, v4, w);
	if (v4)
		return 0;
	if (c->type == IPV6_HOPLIMIT || c->type == IPV6_2292HOPLIMIT)
		return take_number(c, -1, &w->ttl);
	return c->type == IPV6_TCLASS ? take_number(c, -1, &w->tos) : -EINVAL;
}

/* --- routes --- */

bool inet_is_broadcast(const ip_addr_t *ip)
{
	struct netif *n;

	if (!IP_IS_V4(ip) || ip_addr_isany(ip))
		return false;
	NETIF_FOREACH(n) {
		if (ip4_addr_isbroadcast(ip_2_ip4(ip), n))
			return true;
	}
	return ip_2_ip4(ip)->addr == (PP_HTONL(IPADDR_LOOPBACK) | ~PP_HTONL(IP_CLASSA_NET)); /* 127.255.255.255 */
}

static bool on_link(const struct destination *o)
{
	return IP_IS_V6(&o->to) || o->local || ip_addr_ismulticast(&o->to) || o->broadcast ||
	       ip4_addr_netcmp(ip_2_ip4(&o->to), netif_ip4_addr(o->netif), netif_ip4_netmask(o->netif));
}

static int choose_source(const struct datagram_socket *d, const struct wishes *w, struct destination *o)
{
	const struct inet_socket *s = &d->inet;
	bool v4 = IP_IS_V4(&o->to), multicast = ip_addr_ismulticast(&o->to);
	uint32_t group_from;

	memcpy(&group_from, s->options.multicast_from, sizeof(group_from));
	if (w->has_from) {
		if (!inet_is_local(&w->from) && !inet_switch(s, INET_FREEBIND) && !inet_switch(s, INET_TRANSPARENT))
			return -EINVAL;
		o->from = w->from;
	} else if (!is_any(&s->local)) {
		if (IP_IS_V4(&s->local) != v4)
			return -ENETUNREACH;
		if (!ip_addr_ismulticast(&s->local))
			o->from = s->local;
	} else if (multicast && v4 && group_from) {
		ip_addr_set_ip4_u32(&o->from, group_from);
	}
	/* what leaves the cell does not come from 127.0.0.0/8 */
	return v4 && ip4_addr_isloopback(ip_2_ip4(&o->from)) && o->netif != &loop_netif ? -EINVAL : 0;
}

/* "This host": the own address, or loopback. */
static void resolve_any(const struct datagram_socket *d, ip_addr_t *to)
{
	const struct inet_socket *s = &d->inet;

	if (!is_any(to))
		return;
	if (IP_IS_V4(to) && !is_any(&s->local) && IP_IS_V4(&s->local))
		*to = s->local;
	else if (IP_IS_V4(to))
		ip_addr_set_ip4_u32(to, PP_HTONL(IPADDR_LOOPBACK));
	else
		ip_addr_copy_from_ip6(*to, ((ip6_addr_t){.addr = {0, 0, 0, PP_HTONL(1)}}));
}

static unsigned device_for(const struct inet_socket *s, const struct wishes *w, const ip_addr_t *to)
{
	bool v4 = IP_IS_V4(to);

	if (w->index || s->base.bound_index)
		return w->index ? w->index : s->base.bound_index;
	if (ip_addr_ismulticast(to))
		return v4 ? s->options.multicast_index : s->options.multicast_index6;
	return v4 ? s->options.unicast_index : s->options.unicast_index6;
}

int destination_route(struct datagram_socket *d, const struct socket_message *m, struct destination *o)
{
	const struct inet_socket *s = &d->inet;
	struct wishes w = {.ttl = -1, .tos = -1};
	struct control_record c;
	bool dont_route = s->base.flags >> SO_DONTROUTE & 1 || (m && m->flags & MSG_DONTROUTE);

	resolve_any(d, &o->to);
	bool v4 = IP_IS_V4(&o->to), multicast = ip_addr_ismulticast(&o->to);
	for (size_t at = 0; m && control_next(m, &at, &c);) {
		int r = take_record(&c, v4, &w);
		if (r)
			return r;
	}
	unsigned index = device_for(s, &w, &o->to);
	if (!index && !v4 && ip6_addr_zone(ip_2_ip6(&o->to)))
		index = ip6_addr_zone(ip_2_ip6(&o->to));
	struct link l;
	if (index && !link_get(index, &l))
		return -ENODEV;
	o->broadcast = inet_is_broadcast(&o->to);
	o->local = !o->broadcast && inet_is_local(&o->to);
	net_timers_catch_up();
	int r = inet_route(&o->to, index, &o->netif, &o->from);
	if (!r)
		r = choose_source(d, &w, o);
	if (r)
		return r;
	if (o->broadcast && !(s->base.flags >> SO_BROADCAST & 1))
		return -EACCES;
	if (dont_route && !on_link(o))
		return -ENETUNREACH;
	int own = multicast ? (v4 ? s->options.multicast_ttl : s->options.multicast_hops) : v4 ? s->ttl : s->hops;
	o->ttl = (uint8_t)(w.ttl >= 0 ? w.ttl : own < 0 ? DEFAULT_TTL : own);
	o->tos = w.tos >= 0 ? (uint8_t)w.tos : v4 ? s->tos : s->tclass;
	return 0;
}

/* An interface may still be waiting for its address. Sleeps. */
static int route_or_wait(struct datagram_socket *d, const struct socket_message *m, struct destination *o)
{
	int r = destination_route(d, m, o);

	if (r != -ENETUNREACH)
		return r;
	r = inet_wait_configured(m && m->flags & MSG_DONTWAIT);
	return r ? r : destination_route(d, m, o);
}

int destination_find(struct datagram_socket *d, const struct socket_message *m, struct destination *ret)
{
	int r = decode_name(d, m, ret);

	if (r < 0)
		return r;
	if (!r && d->inet.base.protocol == IPPROTO_UDP && !ret->port)
		return -EINVAL;
	if (r && !d->connected)
		return -EDESTADDRREQ;
	if (r) {
		ret->to = d->inet.remote;
		ret->port = d->inet.remote_port;
	}
	return route_or_wait(d, m, ret);
}

/* Fixes the peer, and the own address if it is open. */
int datagram_connect_to(struct datagram_socket *d, const ip_addr_t *to, uint16_t port)
{
	struct destination o = {.to = *to, .port = port};
	int r = route_or_wait(d, NULL, &o);

	if (r)
		return r;
	d->inet.remote = o.to;
	d->inet.remote_port = port;
	if (is_any(&d->inet.local))
		d->inet.local = o.from;
	d->connected = true;
	return 0;
}

void datagram_disconnect(struct datagram_socket *d)
{
	d->inet.remote = *inet_any(&d->inet);
	d->inet.remote_port = 0;
	if (!d->inet.bound)
		d->inet.local = *inet_any(&d->inet);
	if (!d->port_locked)
		inet_port_release(&d->inet);
	d->connected = false;
}

int datagram_connect(struct datagram_socket *d, const uint8_t *name, unsigned len, int (*ready)(struct datagram_socket *d))
{
	uint16_t family, port;
	ip_addr_t ip;

	if (len < sizeof(family))
		return -EINVAL;
	memcpy(&family, name, sizeof(family));
	if (family == AF_UNSPEC) {
		datagram_disconnect(d);
		return 0;
	}
	int r = ready ? ready(d) : 0;
	if (!r)
		r = inet_name_decode(&d->inet, name, len, &ip, &port);
	return r ? r : datagram_connect_to(d, &ip, port);
}

int destination_output(struct pbuf *p, const struct destination *o, uint8_t protocol)
{
	err_t e;

	if (IP_IS_V6(&o->to))
		e = ip6_output_if_src(p, ip_2_ip6(&o->from), ip_2_ip6(&o->to), o->ttl, o->tos, protocol, o->netif);
	else
		e = ip4_output_if_src(p, ip_2_ip4(&o->from), ip_2_ip4(&o->to), o->ttl, o->tos, protocol, o->netif);
	pbuf_free(p);
	inet_run();
	return inet_error(e);
}
