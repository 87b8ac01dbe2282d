/* Memberships of multicast groups, with source filters as Linux has them. Owns struct membership; lwIP is told of a group when
 * the cell's first socket joins it on an interface and when the last one leaves (its own counts end at 255).
 */
#include "kernel/net/multicast.h"

#include "kernel/net/link.h"

#include "lwip/igmp.h"
#include "lwip/mld6.h"

#include <linux/in.h>
#include <linux/in6.h>

#define MEMBERSHIPS_MAX 20u /* net.ipv4.igmp_max_memberships, of one socket */
#define SOURCES_MAX     10u /* net.ipv4.igmp_max_msf */

struct membership {
	struct list node, all_node;
	ip_addr_t group;
	unsigned index;
	bool include; /* only from the sources; else from all but them */
	unsigned source_count;
	ip_addr_t sources[SOURCES_MAX];
};

static struct list all = LIST_INIT(all);

enum action { JOIN, LEAVE, JOIN_SOURCE, LEAVE_SOURCE, BLOCK_SOURCE, UNBLOCK_SOURCE };

static const struct {
	uint8_t level, name, action;
} requests[] = {
	{IPPROTO_IP, IP_ADD_MEMBERSHIP, JOIN},
	{IPPROTO_IP, IP_DROP_MEMBERSHIP, LEAVE},
	{IPPROTO_IP, IP_ADD_SOURCE_MEMBERSHIP, JOIN_SOURCE},
	{IPPROTO_IP, IP_DROP_SOURCE_MEMBERSHIP, LEAVE_SOURCE},
	{IPPROTO_IP, IP_BLOCK_SOURCE, BLOCK_SOURCE},
	{IPPROTO_IP, IP_UNBLOCK_SOURCE, UNBLOCK_SOURCE},
	{IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, JOIN},
	{IPPROTO_IPV6, IPV6_DROP_MEMBERSHIP, LEAVE},
	/* of both levels */
	{0, MCAST_JOIN_GROUP, JOIN},
	{0, MCAST_LEAVE_GROUP, LEAVE},
	{0, MCAST_JOIN_SOURCE_GROUP, JOIN_SOURCE},
	{0, MCAST_LEAVE_SOURCE_GROUP, LEAVE_SOURCE},
	{0, MCAST_BLOCK_SOURCE, BLOCK_SOURCE},
	{0, MCAST_UNBLOCK_SOURCE, UNBLOCK_SOURCE},
};
_Static_assert(IPPROTO_IP == 0, "level 0 stands for both");

static int find_request(int level, int name)
{
	for (unsigned i = 0; i < VB_ARRAY_LEN(requests); i++)
		if (requests[i].name == name && (requests[i].level == level || name >= MCAST_JOIN_GROUP))
			return (int)i;
	return -1;
}

bool multicast_is_request(int level, int name)
{
	return find_request(level, name) >= 0;
}

/* --- what lwIP is told --- */

static bool others_are_in(const struct membership *m)
{
	list_for_each(o, &all, struct membership, all_node) {
		if (o != m && o->index == m->index && ip_addr_cmp_zoneless(&o->group, &m->group))
			return true;
	}
	return false;
}

static int tell(const struct membership *m, bool join)
{
	struct netif *n = netif_get_by_index((u8_t)m->index);
	err_t e;

	if (!n || others_are_in(m))
		return 0;
	if (IP_IS_V6(&m->group))
		e = join ? mld6_joingroup_netif(n, ip_2_ip6(&m->group)) : mld6_leavegroup_netif(n, ip_2_ip6(&m->group));
	else
		e = join ? igmp_joingroup_netif(n, ip_2_ip4(&m->group)) : igmp_leavegroup_netif(n, ip_2_ip4(&m->group));
	inet_run();
	return inet_error(e);
}

static void membership_end(struct inet_socket *s, struct membership *m)
{
	tell(m, false);
	list_remove(&m->node);
	list_remove(&m->all_node);
	s->options.membership_count--;
	kfree(m);
}

void inet_options_release(struct inet_socket *s)
{
	list_for_each_safe(m, next, &s->options.memberships, struct membership, node)
		membership_end(s, m);
}

/* --- requests --- */

struct wish {
	enum action action;
	ip_addr_t group, source;
	unsigned index;   /* 0: whichever */
	bool by_address;  /* of the interface: `index` was found by it */
};

static struct membership *find(const struct inet_socket *s, const struct wish *w)
{
	list_for_each(m, &s->options.memberships, struct membership, node) {
		if (ip_addr_cmp_zoneless(&m->group, &w->group) && (!w->index || m->index == w->index))
			return m;
	}
	return NULL;
}

static unsigned interface_for(const ip_addr_t *group)
{
	struct link_route r;
	bool v6 = IP_IS_V6(group);
	struct link l;

	if (!link_route_to(v6 ? AF_INET6 : AF_INET, v6 ? (const uint8_t *)ip_2_ip6(group)->addr : (const uint8_t *)ip_2_ip4(group), 0, &r))
		return r.index;
	return v6 && link_next(LINK_LO + 1, &l) ? l.index : 0; /* ff00::/8 leads to every interface */
}

static int join(struct inet_socket *s, const struct wish *w, bool include, struct membership **ret)
{
	struct wish there = *w;
	struct link l;

	there.index = w->index ? w->index : interface_for(&w->group);
	if (!ip_addr_ismulticast(&w->group))
		return -EINVAL;
	if (!there.index || !link_get(there.index, &l))
		return -ENODEV;
	*ret = find(s, &there);
	if (*ret)
		return -EADDRINUSE;
	if (s->options.membership_count >= MEMBERSHIPS_MAX)
		return -ENOBUFS;
	struct membership *m = kzalloc(sizeof(*m));
	if (!m)
		return -ENOBUFS;
	m->group = w->group;
	m->index = there.index;
	m->include = include;
	int r = tell(m, true);
	if (r) {
		kfree(m);
		return r;
	}
	list_push_back(&s->options.memberships, &m->node);
	list_push_back(&all, &m->all_node);
	s->options.membership_count++;
	*ret = m;
	return 0;
}

static int leave(struct inet_socket *s, const struct wish *w)
{
	struct membership *m = find(s, w);

	if (IP_IS_V6(&w->group) && !ip_addr_ismulticast(&w->group))
		return -EINVAL;
	if (!m && !w->index && !interface_for(&w->group))
		return -ENODEV;
	if (!m)
		return -EADDRNOTAVAIL;
	membership_end(s, m);
	return 0;
}

static int change_sources(struct inet_socket *s, const struct wish *w, bool include, bool add)
{
	struct membership *m = find(s, w);
	unsigned at = 0;

	if (!m || (m->include != include && m->source_count))
		return -EINVAL;
	m->include = include;
	while (at < m->source_count && !ip_addr_cmp_zoneless(&m->sources[at], &w->source))
		at++;
	if (add == (at < m->source_count))
		return -EADDRNOTAVAIL;
	if (add && m->source_count == SOURCES_MAX)
		return -ENOBUFS;
	if (add)
		m->sources[m->source_count++] = w->source;
	else
		m->sources[at] = m->sources[--m->source_count];
	if (!m->source_count && include)
		membership_end(s, m); /* from nobody: that is to leave */
	return 0;
}

static int serve(struct inet_socket *s, const struct wish *w)
{
	struct membership *m;
	int r;

	switch (w->action) {
	case JOIN:
		return join(s, w, false, &m);
	case LEAVE:
		return leave(s, w);
	case JOIN_SOURCE:
		r = join(s, w, true, &m);
		return r && r != -EADDRINUSE ? r : change_sources(s, w, true, true);
	case LEAVE_SOURCE:
		return change_sources(s, w, true, false);
	default:
		return change_sources(s, w, false, w->action == BLOCK_SOURCE);
	}
}

static int index_by_address(const struct in_addr *ip, unsigned *ret)
{
	struct link_address a;

	*ret = 0;
	if (!ip->s_addr)
		return 0;
	for (unsigned n = 0; link_address_get(n, AF_INET, &a); n++)
		if (!memcmp(a.ip, ip, 4) || (a.index == LINK_LO && (ip->s_addr & 0xff) == 127))
			*ret = a.index;
	return *ret ? 0 : -ENODEV;
}

static void set_ip4(ip_addr_t *ret, uint32_t ip)
{
	ip_addr_set_ip4_u32(ret, ip);
}

static void set_ip6(ip_addr_t *ret, const struct in6_addr *ip)
{
	memset(ret, 0, sizeof(*ret));
	memcpy(ip_2_ip6(ret)->addr, ip, 16);
	IP_SET_TYPE(ret, IPADDR_TYPE_V6);
}

/* struct ip_mreq, ip_mreqn and ip_mreq_source */
static int decode_ip4(struct wish *w, uint64_t value, unsigned len)
{
	bool source = w->action >= JOIN_SOURCE;
	struct ip_mreqn m = {.imr_ifindex = 0};
	struct ip_mreq_source from;

	if (source ? len != sizeof(from) : len < sizeof(struct ip_mreq))
		return -EINVAL;
	if (source) {
		if (get_user(from, value))
			return w->action == JOIN_SOURCE ? -EFAULT : -EFAULT;
		m.imr_multiaddr.s_addr = from.imr_multiaddr;
		m.imr_address.s_addr = from.imr_interface;
		set_ip4(&w->source, from.imr_sourceaddr);
	} else if (copy_from_user(&m, value, len >= sizeof(m) ? sizeof(m) : sizeof(struct ip_mreq))) {
		return -EFAULT;
	}
	set_ip4(&w->group, m.imr_multiaddr.s_addr);
	w->index = (unsigned)m.imr_ifindex;
	return w->index ? 0 : index_by_address(&m.imr_address, &w->index);
}

static int decode_ip6(struct wish *w, uint64_t value, unsigned len)
{
	struct ipv6_mreq m;

	if (len < sizeof(m))
		return -EINVAL;
	if (get_user(m, value))
		return -EFAULT;
	set_ip6(&w->group, &m.ipv6mr_multiaddr);
	w->index = (unsigned)m.ipv6mr_ifindex;
	return 0;
}

static int decode_storage(const uint8_t *name, int level, ip_addr_t *ret)
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	memcpy(&v4, name, sizeof(v4));
	memcpy(&v6, name, sizeof(v6));
	if (v4.sin_family != (level == IPPROTO_IP ? AF_INET : AF_INET6))
		return level == IPPROTO_IP ? -EINVAL : -EADDRNOTAVAIL;
	if (level == IPPROTO_IP)
		set_ip4(ret, v4.sin_addr.s_addr);
	else
		set_ip6(ret, &v6.sin6_addr);
	return 0;
}

/* struct group_req and group_source_req */
static int decode_generic(struct wish *w, int level, uint64_t value, unsigned len)
{
	struct {
		uint32_t index, pad;
		uint8_t group[SOCKET_NAME_BYTES], source[SOCKET_NAME_BYTES];
	} g;
	bool source = w->action >= JOIN_SOURCE;
	unsigned need = source ? sizeof(g) : sizeof(g) - SOCKET_NAME_BYTES;

	if (len < need)
		return -EINVAL;
	if (copy_from_user(&g, value, need))
		return -EFAULT;
	w->index = g.index;
	int r = decode_storage(g.group, level, &w->group);
	return r || !source ? r : decode_storage(g.source, level, &w->source);
}

long multicast_setsockopt(struct inet_socket *s, int level, int name, uint64_t value, unsigned len)
{
	struct wish w = {.action = (enum action)requests[find_request(level, name)].action};
	int r;

	if (s->base.type == SOCK_STREAM)
		return -EPROTO;
	r = inet_start();
	if (r)
		return r;
	r = name >= MCAST_JOIN_GROUP ? decode_generic(&w, level, value, len)
	    : level == IPPROTO_IP    ? decode_ip4(&w, value, len)
				     : decode_ip6(&w, value, len);
	return r ? r : serve(s, &w);
}

bool multicast_joined(const ip_addr_t *group, unsigned index)
{
	if (IP_IS_V6(group) ? ip6_addr_isallnodes_iflocal(ip_2_ip6(group)) || ip6_addr_isallnodes_linklocal(ip_2_ip6(group))
			    : ip_2_ip4(group)->addr == PP_HTONL(INADDR_ALLHOSTS_GROUP))
		return true;
	list_for_each(m, &all, struct membership, all_node) {
		if (m->index == index && ip_addr_cmp_zoneless(&m->group, group))
			return true;
	}
	return false;
}

bool multicast_wants(const struct inet_socket *s, const ip_addr_t *group, const ip_addr_t *from, unsigned index)
{
	list_for_each(m, &s->options.memberships, struct membership, node) {
		if (m->index != index || !ip_addr_cmp_zoneless(&m->group, group))
			continue;
		for (unsigned i = 0; i < m->source_count; i++)
			if (ip_addr_cmp_zoneless(&m->sources[i], from))
				return m->include;
		return !m->include;
	}
	return inet_switch(s, IP_IS_V6(group) ? INET6_MULTICAST_ALL : INET_MULTICAST_ALL);
}
