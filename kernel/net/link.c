/* Interfaces, addresses and routes out of lwIP's tables. Owns nothing; see link.h. */
#include "kernel/net/link.h"

#include "kernel/net/inet.h"
#include "kernel/net/socket.h"

#include "kernel/net/lwip/hooks.h"

#include "lwip/etharp.h"
#include "lwip/ip.h"
#include "lwip/netif.h"
#include "lwip/priv/nd6_priv.h"

#define LO_MTU 65536u

static bool is_lo(const struct netif *n)
{
	return n->name[0] == 'l' && n->name[1] == 'o';
}

static void fill(struct netif *n, struct link *ret)
{
	bool up = netif_is_up(n);

	*ret = (struct link){.index = netif_get_index(n), .mtu = is_lo(n) ? LO_MTU : n->mtu};
	if (is_lo(n))
		vb_snprintf(ret->name, sizeof(ret->name), "lo");
	else
		vb_snprintf(ret->name, sizeof(ret->name), "eth%u", ret->index - LINK_LO - 1);
	ret->flags = (up ? IFF_UP : 0) | (up && netif_is_link_up(n) ? IFF_RUNNING | IFF_LOWER_UP : 0) |
		     (is_lo(n) ? IFF_LOOPBACK : IFF_BROADCAST | IFF_MULTICAST);
	if (is_lo(n))
		ret->flags |= IFF_RUNNING | IFF_LOWER_UP;
	memcpy(ret->mac, n->hwaddr, sizeof(ret->mac));
	ret->in = (struct link_counters){.packets = n->mib2_counters.ifinucastpkts + n->mib2_counters.ifinnucastpkts,
		.bytes = n->mib2_counters.ifinoctets,
		.errors = n->mib2_counters.ifinerrors,
		.dropped = n->mib2_counters.ifindiscards,
		.multicast = n->mib2_counters.ifinnucastpkts};
	ret->out = (struct link_counters){.packets = n->mib2_counters.ifoutucastpkts + n->mib2_counters.ifoutnucastpkts,
		.bytes = n->mib2_counters.ifoutoctets,
		.errors = n->mib2_counters.ifouterrors,
		.dropped = n->mib2_counters.ifoutdiscards};
}

bool link_next(unsigned at_least, struct link *ret)
{
	struct netif *n, *best = NULL;

	inet_start();
	NETIF_FOREACH(n) {
		if (netif_get_index(n) >= at_least && (!best || netif_get_index(n) < netif_get_index(best)))
			best = n;
	}
	if (best)
		fill(best, ret);
	return best;
}

void link_settle(void)
{
	if (!inet_start())
		inet_wait_configured(false);
}

bool link_get(unsigned index, struct link *ret)
{
	return link_next(index, ret) && ret->index == index;
}

unsigned link_by_name(const char *name)
{
	struct link l;

	for (unsigned i = 0; link_next(i, &l); i = l.index + 1)
		if (!strncmp(l.name, name, sizeof(l.name)))
			return l.index;
	return 0;
}

static struct netif *netif_at_least(unsigned index)
{
	struct link l;

	return link_next(index, &l) ? netif_get_by_index((u8_t)l.index) : NULL;
}

static unsigned prefix_of(uint32_t mask)
{
	unsigned bits = 0;

	for (; mask; mask &= mask - 1)
		bits++;
	return bits;
}

static bool address_v4(struct netif *n, struct link_address *ret)
{
	if (ip4_addr_isany_val(*netif_ip4_addr(n)))
		return false;
	*ret = (struct link_address){
		.index = netif_get_index(n), .family = AF_INET, .prefix = prefix_of(ip4_addr_get_u32(netif_ip4_netmask(n)))};
	memcpy(ret->ip, netif_ip4_addr(n), 4);
	return true;
}

static bool address_v6(struct netif *n, unsigned i, struct link_address *ret)
{
	u8_t state = netif_ip6_addr_state(n, i);

	if (ip6_addr_isinvalid(state) || ip6_addr_isduplicated(state))
		return false;
	*ret = (struct link_address){.index = netif_get_index(n),
		.family = AF_INET6,
		.prefix = is_lo(n) ? 128 : 64,
		.tentative = ip6_addr_istentative(state),
		.deprecated = ip6_addr_isdeprecated(state)};
	memcpy(ret->ip, netif_ip6_addr(n, i)->addr, 16);
	return true;
}

bool link_address_get(unsigned n, int family, struct link_address *ret)
{
	for (struct netif *f = netif_at_least(0); f; f = netif_at_least(netif_get_index(f) + 1u)) {
		if (family == AF_INET && address_v4(f, ret) && !n--)
			return true;
		for (unsigned i = 0; family == AF_INET6 && i < LWIP_IPV6_NUM_ADDRESSES; i++)
			if (address_v6(f, i, ret) && !n--)
				return true;
	}
	return false;
}

/* --- routes --- */

static void mask_address(uint8_t *ip, unsigned bytes, unsigned prefix)
{
	for (unsigned i = 0; i < bytes; i++, prefix -= vb_min(prefix, 8u))
		ip[i] &= prefix >= 8 ? 0xff : (uint8_t)(0xff00u >> prefix);
}

/* The default route: interface and gateway. */
static bool default_route(int family, struct link_route *ret)
{
	struct netif *n = netif_default;

	if (!n || !netif_is_up(n))
		return false;
	*ret = (struct link_route){.family = family, .index = netif_get_index(n), .has_via = true};
	if (family == AF_INET) {
		if (ip4_addr_isany_val(*netif_ip4_gw(n)))
			return false;
		memcpy(ret->via, netif_ip4_gw(n), 4);
		return true;
	}
	for (unsigned i = 0; i < LWIP_ND6_NUM_ROUTERS; i++) {
		const struct nd6_neighbor_cache_entry *router = default_router_list[i].neighbor_entry;
		if (router && router->netif) {
			ret->index = netif_get_index(router->netif);
			memcpy(ret->via, router->next_hop_address.addr, 16);
			return true;
		}
	}
	const ip6_addr_t *gateway = hook_gateway6(n, IP6_ADDR_ANY6);
	if (gateway)
		memcpy(ret->via, gateway->addr, 16);
	return gateway;
}

bool link_route_get(unsigned n, int family, struct link_route *ret)
{
	struct link_address a;
	unsigned bytes = family == AF_INET ? 4 : 16;

	inet_start();
	if (default_route(family, ret) && !n--)
		return true;
	for (int local = 0; local < 2; local++) {
		for (unsigned i = 0; link_address_get(i, family, &a); i++) {
			if (!local && a.index == LINK_LO)
				continue;
			*ret = (struct link_route){.family = family, .index = a.index, .prefix = local ? bytes * 8 : a.prefix, .local = local};
			if (local && a.index == LINK_LO && family == AF_INET)
				ret->prefix = a.prefix; /* all of 127/8 is the cell's */
			memcpy(ret->to, a.ip, bytes);
			mask_address(ret->to, bytes, ret->prefix);
			memcpy(ret->from, a.ip, bytes);
			ret->has_from = family == AF_INET;
			if (!n--)
				return true;
		}
	}
	return false;
}

static bool route_matches(const struct link_route *r, const uint8_t *ip)
{
	uint8_t masked[16];
	unsigned bytes = r->family == AF_INET ? 4 : 16;

	memcpy(masked, ip, bytes);
	mask_address(masked, bytes, r->prefix);
	return !memcmp(masked, r->to, bytes);
}

int link_route_to(int family, const uint8_t *ip, unsigned index, struct link_route *ret)
{
	unsigned bytes = family == AF_INET ? 4 : 16;
	bool found = false;
	struct link_address a;
	struct link_route r;

	for (unsigned i = 0; link_route_get(i, family, &r); i++) {
		if (!route_matches(&r, ip) || (index && r.index != index && !r.local) || (found && ret->prefix > r.prefix))
			continue;
		*ret = r;
		found = true;
	}
	if (!found)
		return -ENETUNREACH;
	for (unsigned i = 0; !ret->has_from && link_address_get(i, family, &a); i++) {
		if (a.index != ret->index)
			continue;
		memcpy(ret->from, a.ip, bytes);
		ret->has_from = true;
	}
	if (ret->local) { /* goes round inside the cell */
		memcpy(ret->from, ip, bytes);
		ret->index = LINK_LO;
	}
	memcpy(ret->to, ip, bytes);
	return 0;
}

bool link_neighbour_get(unsigned n, int family, struct link_neighbour *ret)
{
	inet_start();
	*ret = (struct link_neighbour){.family = family};
	for (unsigned i = 0; family == AF_INET && i < ARP_TABLE_SIZE; i++) {
		ip4_addr_t *ip;
		struct netif *f;
		struct eth_addr *mac;
		if (!etharp_get_entry(i, &ip, &f, &mac) || n--)
			continue;
		ret->index = netif_get_index(f);
		memcpy(ret->ip, ip, 4);
		memcpy(ret->mac, mac, 6);
		return true;
	}
	for (unsigned i = 0; family == AF_INET6 && i < LWIP_ND6_NUM_NEIGHBORS; i++) {
		const struct nd6_neighbor_cache_entry *e = &neighbor_cache[i];
		if (e->state <= ND6_INCOMPLETE || !e->netif || n--)
			continue;
		ret->index = netif_get_index(e->netif);
		ret->stale = e->state != ND6_REACHABLE;
		memcpy(ret->ip, e->next_hop_address.addr, 16);
		memcpy(ret->mac, e->lladdr, 6);
		return true;
	}
	return false;
}
