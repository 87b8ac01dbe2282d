/* Socket options of levels IPPROTO_IP and IPPROTO_IPV6: lengths, ranges, defaults and errors of Linux. Owns struct
 * inet_options but for the memberships (multicast.c). Trusts nothing from the program.
 */
#include "kernel/net/inet.h"
#include "kernel/net/link.h"
#include "kernel/net/multicast.h"

#include <linux/capability.h>
#include <linux/in.h>
#include <linux/in6.h>

#define DEFAULT_TTL     64
#define DEFAULT_MTU     65535
#define AUTO_HOPS       (-1)
#define MIN_MTU6        1280
#define PMTUDISC_OMIT   5

/* Options that are switches, by level and name. */
static const struct {
	uint8_t level, name, which;
} switches[] = {
	{IPPROTO_IP, IP_PKTINFO, INET_PKTINFO},
	{IPPROTO_IP, IP_RECVTTL, INET_RECVTTL},
	{IPPROTO_IP, IP_RECVTOS, INET_RECVTOS},
	{IPPROTO_IP, IP_RECVOPTS, INET_RECVOPTS},
	{IPPROTO_IP, IP_RETOPTS, INET_RETOPTS},
	{IPPROTO_IP, IP_RECVORIGDSTADDR, INET_RECVORIGDSTADDR},
	{IPPROTO_IP, IP_RECVERR, INET_RECVERR},
	{IPPROTO_IP, IP_FREEBIND, INET_FREEBIND},
	{IPPROTO_IP, IP_TRANSPARENT, INET_TRANSPARENT},
	{IPPROTO_IP, IP_HDRINCL, INET_HDRINCL},
	{IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, INET_BIND_ADDRESS_NO_PORT},
	{IPPROTO_IP, IP_MULTICAST_LOOP, INET_MULTICAST_LOOP},
	{IPPROTO_IP, IP_MULTICAST_ALL, INET_MULTICAST_ALL},
	{IPPROTO_IPV6, IPV6_RECVPKTINFO, INET6_RECVPKTINFO},
	{IPPROTO_IPV6, IPV6_RECVHOPLIMIT, INET6_RECVHOPLIMIT},
	{IPPROTO_IPV6, IPV6_RECVTCLASS, INET6_RECVTCLASS},
	{IPPROTO_IPV6, IPV6_RECVORIGDSTADDR, INET6_RECVORIGDSTADDR},
	{IPPROTO_IPV6, IPV6_RECVERR, INET6_RECVERR},
	{IPPROTO_IPV6, IPV6_MULTICAST_LOOP, INET6_MULTICAST_LOOP},
	{IPPROTO_IPV6, IPV6_MULTICAST_ALL, INET6_MULTICAST_ALL},
	{IPPROTO_IPV6, IPV6_DONTFRAG, INET6_DONTFRAG},
	{IPPROTO_IPV6, IPV6_FREEBIND, INET_FREEBIND},
	{IPPROTO_IPV6, IPV6_TRANSPARENT, INET_TRANSPARENT},
};

bool inet_switch(const struct inet_socket *s, enum inet_switch which)
{
	return s->options.switches >> which & 1;
}

static void set_switch(struct inet_socket *s, unsigned which, bool on)
{
	s->options.switches = on ? s->options.switches | 1u << which : s->options.switches & ~(1u << which);
}

void inet_options_init(struct inet_socket *s)
{
	s->ttl = s->hops = AUTO_HOPS;
	s->options = (struct inet_options){.multicast_ttl = 1,
		.multicast_hops = 1,
		.mtu_discover = IP_PMTUDISC_WANT,
		.mtu_discover6 = IPV6_PMTUDISC_WANT,
		.switches = 1u << INET_MULTICAST_LOOP | 1u << INET_MULTICAST_ALL | 1u << INET6_MULTICAST_LOOP |
			    1u << INET6_MULTICAST_ALL};
	list_init(&s->options.memberships);
}

static int find_switch(int level, int name)
{
	for (unsigned i = 0; i < VB_ARRAY_LEN(switches); i++)
		if (switches[i].level == level && switches[i].name == name)
			return switches[i].which;
	return -1;
}

static bool in_range(int v, int low, int high)
{
	return v >= low && v <= high;
}

static int find_device(unsigned index)
{
	struct link l;

	return index <= UINT8_MAX && link_get(index, &l);
}

/* --- IPPROTO_IP --- */

static int set_switch4(struct inet_socket *s, int name, unsigned which, int v, unsigned len)
{
	bool needs_byte = name == IP_FREEBIND || name == IP_TRANSPARENT || name == IP_MULTICAST_LOOP || name == IP_MULTICAST_ALL;

	if (name == IP_HDRINCL && s->base.type != SOCK_RAW)
		return -ENOPROTOOPT;
	if (name == IP_TRANSPARENT && v && !capable(CAP_NET_RAW) && !capable(CAP_NET_ADMIN))
		return -EPERM;
	if ((needs_byte && !len) || (name == IP_MULTICAST_ALL && !in_range(v, 0, 1)))
		return -EINVAL;
	set_switch(s, which, v);
	return 0;
}

static int set_multicast_if(struct inet_socket *s, uint64_t value, unsigned len)
{
	struct ip_mreqn m = {.imr_ifindex = 0};
	struct link_address a;

	if (s->base.type == SOCK_STREAM || len < sizeof(struct in_addr))
		return -EINVAL;
	if (len >= sizeof(struct ip_mreqn) ? copy_from_user(&m, value, sizeof(m))
	    : len >= sizeof(struct ip_mreq) ? copy_from_user(&m, value, sizeof(struct ip_mreq))
					    : copy_from_user(&m.imr_address, value, sizeof(struct in_addr)))
		return -EFAULT;
	if (!m.imr_ifindex && m.imr_address.s_addr) {
		for (unsigned n = 0; !m.imr_ifindex && link_address_get(n, AF_INET, &a); n++)
			if (!memcmp(a.ip, &m.imr_address, 4))
				m.imr_ifindex = (int)a.index;
		if (!m.imr_ifindex)
			return -EADDRNOTAVAIL;
	} else if (m.imr_ifindex && !find_device((unsigned)m.imr_ifindex)) {
		return -EADDRNOTAVAIL;
	}
	s->options.multicast_index = (uint8_t)m.imr_ifindex;
	memcpy(s->options.multicast_from, &m.imr_address, 4);
	return 0;
}

static int set_unicast_if(uint8_t *ret, int v, unsigned len)
{
	unsigned index = __builtin_bswap32((unsigned)v);

	if (len != sizeof(v))
		return -EINVAL;
	if (index && !find_device(index))
		return -EADDRNOTAVAIL;
	*ret = (uint8_t)index;
	return 0;
}

static long set_ip(struct inet_socket *s, int name, uint64_t value, unsigned len)
{
	int which = find_switch(IPPROTO_IP, name), v = 0;
	bool stream = s->base.type == SOCK_STREAM;
	uint8_t byte = 0;

	if (multicast_is_request(IPPROTO_IP, name))
		return multicast_setsockopt(s, IPPROTO_IP, name, value, len);
	if (name == IP_MULTICAST_IF)
		return set_multicast_if(s, value, len);
	if (len >= sizeof(v) ? get_user(v, value) : len && get_user(byte, value))
		return -EFAULT;
	if (len < sizeof(v))
		v = byte;
	if (which >= 0)
		return set_switch4(s, name, (unsigned)which, v, len);
	switch (name) {
	case IP_TOS:
		s->tos = (uint8_t)(stream ? (v & ~3) | (s->tos & 3) : v); /* TCP keeps the ECN bits */
		return 0;
	case IP_TTL:
		if (!len || (v != -1 && !in_range(v, 1, 255)))
			return -EINVAL;
		s->ttl = (int16_t)v;
		return 0;
	case IP_MTU_DISCOVER:
		if (!in_range(v, IP_PMTUDISC_DONT, PMTUDISC_OMIT))
			return -EINVAL;
		s->options.mtu_discover = (uint8_t)v;
		return 0;
	case IP_MULTICAST_TTL:
		if (stream || !len || !in_range(v, -1, 255))
			return -EINVAL;
		s->options.multicast_ttl = (uint8_t)(v == -1 ? 1 : v);
		return 0;
	case IP_MINTTL:
		if (!len || !in_range(v, 0, 255))
			return -EINVAL;
		s->options.min_ttl = (uint8_t)v;
		return 0;
	case IP_UNICAST_IF:
		return set_unicast_if(&s->options.unicast_index, v, len);
	default:
		return -ENOPROTOOPT;
	}
}

/* A value of one byte may be asked for as a byte. */
static long put_ip(int v, uint64_t value, uint64_t len_addr, int len)
{
	if (len < (int)sizeof(v) && len > 0 && in_range(v, 0, 255)) {
		uint8_t byte = (uint8_t)v;
		return put_user(1, len_addr) || put_user(byte, value) ? -EFAULT : 0;
	}
	len = vb_min(len, (int)sizeof(v));
	return put_user(len, len_addr) || copy_to_user(value, &v, (size_t)len) ? -EFAULT : 0;
}

/* Of the way to the peer. */
static int path_mtu(const struct inet_socket *s, int *ret)
{
	ip_addr_t from;
	struct netif *n;

	if (!s->remote_port)
		return -ENOTCONN;
	int r = inet_route(&s->remote, s->base.bound_index, &n, &from);
	if (r)
		return r;
	struct link l;
	*ret = link_get(netif_get_index(n), &l) ? (int)l.mtu : DEFAULT_MTU;
	return 0;
}

static long get_ip(struct inet_socket *s, int name, uint64_t value, uint64_t len_addr, int len)
{
	int which = find_switch(IPPROTO_IP, name), v = 0, r = 0;

	if (which >= 0) {
		v = inet_switch(s, (enum inet_switch)which);
		return put_ip(v, value, len_addr, len);
	}
	switch (name) {
	case IP_TOS:
		v = s->tos;
		break;
	case IP_TTL:
		v = s->ttl < 0 ? DEFAULT_TTL : s->ttl;
		break;
	case IP_MTU_DISCOVER:
		v = s->options.mtu_discover;
		break;
	case IP_MTU:
		r = path_mtu(s, &v);
		break;
	case IP_MULTICAST_TTL:
		v = s->options.multicast_ttl;
		break;
	case IP_MINTTL:
		v = s->options.min_ttl;
		break;
	case IP_UNICAST_IF:
		v = (int)__builtin_bswap32(s->options.unicast_index);
		break;
	case IP_OPTIONS: /* none were set */
		return put_user(0, len_addr);
	case IP_MULTICAST_IF:
		len = vb_min(len, 4);
		return put_user(len, len_addr) || copy_to_user(value, s->options.multicast_from, (size_t)len) ? -EFAULT : 0;
	default:
		return -ENOPROTOOPT;
	}
	return r ? r : put_ip(v, value, len_addr, len);
}

/* --- IPPROTO_IPV6 --- */

static int set_multicast_if6(struct inet_socket *s, int v)
{
	if (s->base.type == SOCK_STREAM)
		return -ENOPROTOOPT;
	if (v && s->base.bound_index && s->base.bound_index != (unsigned)v)
		return -EINVAL;
	if (v < 0 || (v && !find_device((unsigned)v)))
		return -ENODEV;
	s->options.multicast_index6 = (uint8_t)v;
	return 0;
}

static int set_preferences(struct inet_socket *s, int v)
{
	int source = v & (IPV6_PREFER_SRC_PUBLIC | IPV6_PREFER_SRC_TMP | IPV6_PREFER_SRC_PUBTMP_DEFAULT);
	int home = v & (IPV6_PREFER_SRC_HOME | IPV6_PREFER_SRC_COA);

	if ((source & (source - 1)) || home == (IPV6_PREFER_SRC_HOME | IPV6_PREFER_SRC_COA))
		return -EINVAL;
	s->options.addr_preferences = (uint16_t)v;
	return 0;
}

static long set_ipv6(struct inet_socket *s, int name, uint64_t value, unsigned len)
{
	int which = find_switch(IPPROTO_IPV6, name), v = 0;

	if (multicast_is_request(IPPROTO_IPV6, name))
		return multicast_setsockopt(s, IPPROTO_IPV6, name, value, len);
	if (len >= sizeof(v) && get_user(v, value))
		return -EFAULT;
	if (which >= 0) {
		if (len < sizeof(v) || (name == IPV6_MULTICAST_LOOP && !in_range(v, 0, 1)))
			return -EINVAL;
		if (name == IPV6_TRANSPARENT && v && !capable(CAP_NET_RAW) && !capable(CAP_NET_ADMIN))
			return -EPERM;
		set_switch(s, (unsigned)which, v);
		return 0;
	}
	switch (name) {
	case IPV6_V6ONLY:
		if (len < sizeof(v) || s->local_port)
			return -EINVAL;
		s->v6only = v;
		return 0;
	case IPV6_UNICAST_HOPS:
		if (len < sizeof(v) || !in_range(v, -1, 255))
			return -EINVAL;
		s->hops = (int16_t)v;
		return 0;
	case IPV6_MULTICAST_HOPS:
		if (s->base.type == SOCK_STREAM)
			return -ENOPROTOOPT;
		if (len < sizeof(v) || !in_range(v, -1, 255))
			return -EINVAL;
		s->options.multicast_hops = (uint8_t)(v == -1 ? 1 : v);
		return 0;
	case IPV6_TCLASS:
		if (len < sizeof(v) || !in_range(v, -1, 255))
			return -EINVAL;
		s->tclass = (uint8_t)(v == -1 ? 0 : v);
		return 0;
	case IPV6_MTU_DISCOVER:
		if (len < sizeof(v) || !in_range(v, IPV6_PMTUDISC_DONT, PMTUDISC_OMIT))
			return -EINVAL;
		s->options.mtu_discover6 = (uint8_t)v;
		return 0;
	case IPV6_MTU:
		if (len < sizeof(v) || (v && !in_range(v, MIN_MTU6, UINT16_MAX)))
			return -EINVAL;
		s->options.mtu6 = (uint16_t)v;
		return 0;
	case IPV6_MINHOPCOUNT:
		if (len < sizeof(v) || !in_range(v, 0, 255))
			return -EINVAL;
		s->options.min_hops = (uint8_t)v;
		return 0;
	case IPV6_MULTICAST_IF:
		return len < sizeof(v) ? -EINVAL : set_multicast_if6(s, v);
	case IPV6_UNICAST_IF:
		return set_unicast_if(&s->options.unicast_index6, v, len);
	case IPV6_ADDR_PREFERENCES:
		return len < sizeof(v) ? -EINVAL : set_preferences(s, v);
	default:
		return -ENOPROTOOPT;
	}
}

static long get_ipv6(struct inet_socket *s, int name, uint64_t value, uint64_t len_addr, int len)
{
	int which = find_switch(IPPROTO_IPV6, name), v = 0, r = 0;

	if (which >= 0)
		v = inet_switch(s, (enum inet_switch)which);
	else
		switch (name) {
		case IPV6_V6ONLY:
			v = s->v6only;
			break;
		case IPV6_UNICAST_HOPS:
			v = s->hops < 0 ? DEFAULT_TTL : s->hops;
			break;
		case IPV6_MULTICAST_HOPS:
			v = s->options.multicast_hops;
			break;
		case IPV6_TCLASS:
			v = s->tclass;
			break;
		case IPV6_MTU_DISCOVER:
			v = s->options.mtu_discover6;
			break;
		case IPV6_MTU:
			r = path_mtu(s, &v);
			break;
		case IPV6_MINHOPCOUNT:
			v = s->options.min_hops;
			break;
		case IPV6_MULTICAST_IF:
			v = s->options.multicast_index6;
			break;
		case IPV6_UNICAST_IF:
			v = (int)__builtin_bswap32(s->options.unicast_index6);
			break;
		case IPV6_ADDR_PREFERENCES:
			v = s->options.addr_preferences ? s->options.addr_preferences : IPV6_PREFER_SRC_PUBTMP_DEFAULT;
			break;
		default:
			return -ENOPROTOOPT;
		}
	if (r)
		return r;
	len = vb_min(len, (int)sizeof(v));
	return put_user(len, len_addr) || copy_to_user(value, &v, (size_t)len) ? -EFAULT : 0;
}

/* --- both --- */

long inet_setsockopt(struct socket *base, int level, int name, uint64_t value, unsigned len)
{
	struct inet_socket *s = inet_of(base);

	if (level == IPPROTO_IP && !(base->family == AF_INET6 && base->type == SOCK_RAW))
		return set_ip(s, name, value, len);
	if (level == IPPROTO_IPV6 && base->family == AF_INET6)
		return set_ipv6(s, name, value, len);
	return -ENOPROTOOPT;
}

long inet_getsockopt(struct socket *base, int level, int name, uint64_t value, uint64_t len_addr)
{
	struct inet_socket *s = inet_of(base);
	bool ip = level == IPPROTO_IP && !(base->family == AF_INET6 && base->type == SOCK_RAW);
	int len;

	if (!ip && (level != IPPROTO_IPV6 || base->family != AF_INET6))
		return base->family == AF_INET ? -EOPNOTSUPP : -ENOPROTOOPT;
	if (get_user(len, len_addr))
		return -EFAULT;
	if (len < 0)
		return -EINVAL;
	return ip ? get_ip(s, name, value, len_addr, len) : get_ipv6(s, name, value, len_addr, len);
}
