/* NETLINK_ROUTE: links, addresses, routes and neighbours of the cell, to be read. What the cell has is given from outside:
 * changes answer EPERM, and are told to the groups that are about links and addresses. Owns nothing. A request's lengths were checked against its datagram; nothing else in it is trusted.
 */
#include "kernel/net/link.h"
#include "kernel/net/netlink.h"

#include <linux/rtnetlink.h>

#define TXQLEN_ETH 1000u
#define IF_OPER_UP 6
#define IF_OPER_DOWN 2
#define IF_OPER_UNKNOWN 0
#define RTEXT_FILTER_SKIP_STATS_ (1u << 3)

struct request {
	struct netlink_socket *n;
	const struct nlmsghdr *h;
	const uint8_t *payload;
	size_t len; /* of the payload */
	int family;
	bool strict;
};

/* The attribute of that type behind a header of that many bytes: its value, of at least `need` bytes. */
static const void *attribute(const struct request *r, size_t header, unsigned type, size_t need, size_t *ret_len)
{
	size_t at = NLMSG_ALIGN(header);
	struct nlattr a;

	for (; at < r->len && r->len - at >= sizeof(a); at += NLA_ALIGN(a.nla_len)) {
		memcpy(&a, r->payload + at, sizeof(a));
		if (a.nla_len < sizeof(a) || a.nla_len > r->len - at)
			return NULL;
		size_t len = a.nla_len - sizeof(a);
		if ((a.nla_type & NLA_TYPE_MASK) != type || len < need)
			continue;
		if (ret_len)
			*ret_len = len;
		return r->payload + at + sizeof(a);
	}
	return NULL;
}

static uint32_t attribute_u32(const struct request *r, size_t header, unsigned type)
{
	const void *p = attribute(r, header, type, sizeof(uint32_t), NULL);
	uint32_t v = 0;

	if (p)
		memcpy(&v, p, sizeof(v));
	return v;
}

static void add_u32(struct netlink_answer *a, unsigned type, uint32_t v)
{
	answer_attribute(a, type, &v, sizeof(v));
}

static void add_u8(struct netlink_answer *a, unsigned type, uint8_t v)
{
	answer_attribute(a, type, &v, sizeof(v));
}

static void add_string(struct netlink_answer *a, unsigned type, const char *s)
{
	answer_attribute(a, type, s, strlen(s) + 1);
}

/* --- links --- */

static void add_statistics(struct netlink_answer *a, const struct link *l)
{
	const struct rtnl_link_stats64 s = {
		.rx_packets = l->in.packets,
		.tx_packets = l->out.packets,
		.rx_bytes = l->in.bytes,
		.tx_bytes = l->out.bytes,
		.rx_errors = l->in.errors,
		.tx_errors = l->out.errors,
		.rx_dropped = l->in.dropped,
		.tx_dropped = l->out.dropped,
		.multicast = l->in.multicast,
	};
	const uint64_t *wide = (const uint64_t *)&s;
	uint32_t narrow[sizeof(struct rtnl_link_stats) / sizeof(uint32_t)];

	for (unsigned i = 0; i < VB_ARRAY_LEN(narrow); i++)
		narrow[i] = (uint32_t)wide[i];
	answer_attribute(a, IFLA_STATS64, &s, sizeof(s));
	answer_attribute(a, IFLA_STATS, narrow, sizeof(narrow));
}

static void put_link(struct netlink_answer *a, const struct link *l, uint32_t mask)
{
	bool lo = l->flags & IFF_LOOPBACK, up = l->flags & IFF_LOWER_UP;
	const struct ifinfomsg info = {
		.ifi_type = lo ? ARPHRD_LOOPBACK : ARPHRD_ETHER, .ifi_index = (int)l->index, .ifi_flags = l->flags};
	static const uint8_t all[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	static const uint8_t none[6];

	answer_begin(a, RTM_NEWLINK, &info, sizeof(info));
	add_string(a, IFLA_IFNAME, l->name);
	add_u32(a, IFLA_TXQLEN, TXQLEN_ETH);
	add_u8(a, IFLA_OPERSTATE, lo ? IF_OPER_UNKNOWN : up ? IF_OPER_UP : IF_OPER_DOWN);
	add_u8(a, IFLA_LINKMODE, 0);
	add_u32(a, IFLA_MTU, l->mtu);
	add_u32(a, IFLA_GROUP, 0);
	add_u32(a, IFLA_PROMISCUITY, 0);
	add_u32(a, IFLA_NUM_TX_QUEUES, 1);
	add_u32(a, IFLA_NUM_RX_QUEUES, 1);
	add_u8(a, IFLA_CARRIER, up);
	add_string(a, IFLA_QDISC, "noqueue");
	answer_attribute(a, IFLA_ADDRESS, l->mac, sizeof(l->mac));
	answer_attribute(a, IFLA_BROADCAST, lo ? none : all, sizeof(all));
	if (!(mask & RTEXT_FILTER_SKIP_STATS_))
		add_statistics(a, l);
	answer_end(a);
}

static int dump_links(const struct request *r, struct netlink_answer *a)
{
	uint32_t mask = attribute_u32(r, sizeof(struct ifinfomsg), IFLA_EXT_MASK);
	struct link l;

	for (unsigned i = 0; link_next(i, &l); i = l.index + 1)
		put_link(a, &l, mask);
	return 0;
}

static int get_link(const struct request *r, struct netlink_answer *a)
{
	struct ifinfomsg info;
	char name[LINK_NAME_BYTES];
	size_t len;
	struct link l;

	if (r->len < sizeof(info))
		return -EINVAL;
	memcpy(&info, r->payload, sizeof(info));
	unsigned index = (unsigned)info.ifi_index;
	if (info.ifi_index < 0)
		return -EINVAL;
	if (!index) {
		const char *wanted = attribute(r, sizeof(info), IFLA_IFNAME, 1, &len);
		if (!wanted)
			wanted = attribute(r, sizeof(info), IFLA_ALT_IFNAME, 1, &len);
		if (!wanted)
			return -EINVAL;
		if (strnlen(wanted, len) >= sizeof(name))
			return -ENODEV;
		memset(name, 0, sizeof(name));
		memcpy(name, wanted, strnlen(wanted, len));
		index = link_by_name(name);
	}
	if (!index || !link_get(index, &l))
		return -ENODEV;
	put_link(a, &l, attribute_u32(r, sizeof(info), IFLA_EXT_MASK));
	return 0;
}

/* --- addresses --- */

static uint8_t scope_of(const struct link_address *i)
{
	if (i->index == LINK_LO)
		return RT_SCOPE_HOST;
	return i->family == AF_INET6 && i->ip[0] == 0xfe && (i->ip[1] & 0xc0) == 0x80 ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
}

static void put_address(struct netlink_answer *a, const struct link_address *i)
{
	uint32_t flags = IFA_F_PERMANENT | (i->tentative ? IFA_F_TENTATIVE : 0) | (i->deprecated ? IFA_F_DEPRECATED : 0);
	struct ifaddrmsg info = {.ifa_family = (uint8_t)i->family,
		.ifa_prefixlen = (uint8_t)i->prefix,
		.ifa_flags = (uint8_t)flags,
		.ifa_scope = scope_of(i),
		.ifa_index = i->index};
	struct ifa_cacheinfo cache = {.ifa_prefered = UINT32_MAX, .ifa_valid = UINT32_MAX};
	struct link l;

	answer_begin(a, RTM_NEWADDR, &info, sizeof(info));
	answer_attribute(a, IFA_ADDRESS, i->ip, i->family == AF_INET ? 4 : 16);
	if (i->family == AF_INET) {
		answer_attribute(a, IFA_LOCAL, i->ip, 4);
		if (i->index != LINK_LO && i->prefix < 31) {
			uint8_t broadcast[4];
			for (unsigned b = 0; b < 4; b++)
				broadcast[b] = i->ip[b] | (b * 8 >= i->prefix ? 0xff : (uint8_t)(0xffu >> vb_min(i->prefix - b * 8, 8u)));
			answer_attribute(a, IFA_BROADCAST, broadcast, 4);
		}
		if (link_get(i->index, &l))
			add_string(a, IFA_LABEL, l.name);
	}
	add_u32(a, IFA_FLAGS, flags);
	answer_attribute(a, IFA_CACHEINFO, &cache, sizeof(cache));
	answer_end(a);
}

static int dump_addresses(const struct request *r, struct netlink_answer *a)
{
	static const int families[] = {AF_INET, AF_INET6};
	struct ifaddrmsg filter = {.ifa_index = 0};
	struct link_address i;

	if (r->strict) {
		if (r->len < sizeof(filter))
			return -EINVAL;
		memcpy(&filter, r->payload, sizeof(filter));
		if (filter.ifa_index)
			a->flags |= NLM_F_DUMP_FILTERED;
	}
	for (unsigned f = 0; f < VB_ARRAY_LEN(families); f++) {
		if (r->family != AF_UNSPEC && r->family != families[f])
			continue;
		for (unsigned n = 0; link_address_get(n, families[f], &i); n++)
			if (!filter.ifa_index || filter.ifa_index == i.index)
				put_address(a, &i);
	}
	return 0;
}

/* --- routes --- */

static void put_route(struct netlink_answer *a, const struct link_route *i)
{
	size_t bytes = i->family == AF_INET ? 4 : 16;
	uint32_t table = i->local ? RT_TABLE_LOCAL : RT_TABLE_MAIN;
	const struct rtmsg info = {.rtm_family = (uint8_t)i->family,
		.rtm_dst_len = (uint8_t)i->prefix,
		.rtm_table = (uint8_t)table,
		.rtm_protocol = i->has_via ? RTPROT_BOOT : RTPROT_KERNEL,
		.rtm_scope = i->family == AF_INET6 || i->has_via ? RT_SCOPE_UNIVERSE : i->local ? RT_SCOPE_HOST : RT_SCOPE_LINK,
		.rtm_type = i->local ? RTN_LOCAL : RTN_UNICAST};

	answer_begin(a, RTM_NEWROUTE, &info, sizeof(info));
	add_u32(a, RTA_TABLE, table);
	if (i->prefix)
		answer_attribute(a, RTA_DST, i->to, bytes);
	if (i->family == AF_INET6)
		add_u32(a, RTA_PRIORITY, i->has_via ? 1024 : 256);
	if (i->has_from)
		answer_attribute(a, RTA_PREFSRC, i->from, bytes);
	if (i->has_via)
		answer_attribute(a, RTA_GATEWAY, i->via, bytes);
	add_u32(a, RTA_OIF, i->index);
	answer_end(a);
}

static int dump_routes(const struct request *r, struct netlink_answer *a)
{
	static const int families[] = {AF_INET, AF_INET6};
	uint32_t table = 0, index = 0;
	struct link_route i;

	if (r->strict) {
		struct rtmsg filter;
		if (r->len < sizeof(filter))
			return -EINVAL;
		memcpy(&filter, r->payload, sizeof(filter));
		table = attribute_u32(r, sizeof(filter), RTA_TABLE);
		table = table ? table : filter.rtm_table;
		index = attribute_u32(r, sizeof(filter), RTA_OIF);
		if (table || index)
			a->flags |= NLM_F_DUMP_FILTERED;
	}
	for (unsigned f = 0; f < VB_ARRAY_LEN(families); f++) {
		if (r->family != AF_UNSPEC && r->family != families[f])
			continue;
		for (unsigned n = 0; link_route_get(n, families[f], &i); n++)
			if ((!table || table == (i.local ? RT_TABLE_LOCAL : RT_TABLE_MAIN)) && (!index || index == i.index))
				put_route(a, &i);
	}
	return 0;
}

static int get_route(const struct request *r, struct netlink_answer *a)
{
	size_t bytes = r->family == AF_INET ? 4 : 16;
	uint8_t to[16] = {0};
	struct rtmsg info;
	struct link_route i;

	if (r->len < sizeof(info) || (r->family != AF_INET && r->family != AF_INET6))
		return r->len < sizeof(info) ? -EINVAL : -EOPNOTSUPP;
	memcpy(&info, r->payload, sizeof(info));
	const void *dst = attribute(r, sizeof(info), RTA_DST, bytes, NULL);
	if (dst)
		memcpy(to, dst, bytes);
	int error = link_route_to(r->family, to, attribute_u32(r, sizeof(info), RTA_OIF), &i);
	if (error)
		return error;
	i.prefix = (unsigned)bytes * 8;
	put_route(a, &i);
	return 0;
}

/* --- neighbours --- */

static int dump_neighbours(const struct request *r, struct netlink_answer *a)
{
	static const int families[] = {AF_INET, AF_INET6};
	struct link_neighbour i;

	for (unsigned f = 0; f < VB_ARRAY_LEN(families); f++) {
		if (r->family != AF_UNSPEC && r->family != families[f])
			continue;
		for (unsigned n = 0; link_neighbour_get(n, families[f], &i); n++) {
			const struct ndmsg info = {.ndm_family = (uint8_t)i.family,
				.ndm_ifindex = (int)i.index,
				.ndm_state = i.stale ? NUD_STALE : NUD_REACHABLE,
				.ndm_type = RTN_UNICAST};
			answer_begin(a, RTM_NEWNEIGH, &info, sizeof(info));
			answer_attribute(a, NDA_DST, i.ip, i.family == AF_INET ? 4 : 16);
			answer_attribute(a, NDA_LLADDR, i.mac, sizeof(i.mac));
			answer_end(a);
		}
	}
	return 0;
}

/* --- requests --- */

static const struct {
	unsigned type;
	int (*dump)(const struct request *r, struct netlink_answer *a);
	int (*get)(const struct request *r, struct netlink_answer *a);
} requests[] = {
	{RTM_GETLINK, dump_links, get_link},
	{RTM_GETADDR, dump_addresses, NULL},
	{RTM_GETROUTE, dump_routes, get_route},
	{RTM_GETNEIGH, dump_neighbours, NULL},
};

static int answer(const struct request *r, unsigned i)
{
	bool dump = (r->h->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;
	struct netlink_answer a = {.to = r->n, .seq = r->h->nlmsg_seq, .flags = dump ? NLM_F_MULTI : 0};
	int (*make)(const struct request *, struct netlink_answer *) = dump ? requests[i].dump : requests[i].get;
	int error = make ? make(r, &a) : -EOPNOTSUPP;
	const int done = 0;

	if (error)
		return error;
	if (dump) {
		answer_begin(&a, NLMSG_DONE, &done, sizeof(done));
		answer_end(&a);
	}
	answer_flush(&a);
	return a.error;
}

int netlink_route_request(struct netlink_socket *n, const struct nlmsghdr *h)
{
	enum { KIND_GET = 2 };
	struct request r = {.n = n,
		.h = h,
		.payload = (const uint8_t *)h + NLMSG_HDRLEN,
		.len = h->nlmsg_len - NLMSG_HDRLEN,
		.strict = netlink_option(n, NETLINK_GET_STRICT_CHK)};

	if (h->nlmsg_type > RTM_MAX)
		return -EOPNOTSUPP;
	if (!r.len)
		return 0;
	r.family = r.payload[0];
	if (((h->nlmsg_type - RTM_BASE) & 3) != KIND_GET)
		return -EPERM;
	link_settle();
	for (unsigned i = 0; i < VB_ARRAY_LEN(requests); i++)
		if (requests[i].type == h->nlmsg_type)
			return answer(&r, i);
	return -EOPNOTSUPP;
}

/* --- to groups --- */

static bool listens(const struct netlink_socket *n, unsigned group)
{
	return n->groups >> (group - 1) & 1;
}

struct change {
	unsigned index;
	bool addresses;
};

static void tell(struct netlink_socket *n, void *arg)
{
	const struct change *c = arg;
	static const struct {
		unsigned group;
		int family;
	} kinds[] = {{RTNLGRP_IPV4_IFADDR, AF_INET}, {RTNLGRP_IPV6_IFADDR, AF_INET6}};
	struct netlink_answer a = {.to = n, .group = RTNLGRP_LINK};
	struct link_address i;
	struct link l;

	if (!link_get(c->index, &l))
		return;
	if (listens(n, RTNLGRP_LINK))
		put_link(&a, &l, 0);
	answer_flush(&a);
	for (unsigned k = 0; c->addresses && k < VB_ARRAY_LEN(kinds); k++) {
		a.group = kinds[k].group;
		for (unsigned at = 0; listens(n, a.group) && link_address_get(at, kinds[k].family, &i); at++)
			if (i.index == l.index)
				put_address(&a, &i);
		answer_flush(&a);
	}
}

void netlink_interface_changed(unsigned index, bool addresses)
{
	netlink_for_each(tell, &(struct change){index, addresses});
}
