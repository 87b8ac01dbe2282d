/* The network interfaces eth0 ... of the cell, as lwIP's: made from the boot page. Owns them. Their frames are netif_send.c's and
 * netif_receive.c's. */
#include "kernel/net/netif.h"
#include "kernel/net/inet.h"
#include "kernel/net/lwip/hooks.h"
#include "kernel/net/net.h"
#include "kernel/net/netlink.h"

#include "lwip/dhcp.h"
#include "lwip/etharp.h"
#include "lwip/ethip6.h"
#include "lwip/priv/nd6_priv.h"
#include "lwip/snmp.h"

struct wait_queue interface_room = {LIST_INIT(interface_room.entries)};
struct interface *interfaces[VB_NETS_MAX];
unsigned interface_count;

bool interface_congested(const struct netif *netif)
{
	const struct interface *f = netif->state;
	return f && !list_empty(&f->waiting);
}

bool interface_offload(const struct netif *netif)
{
	const struct interface *f = netif->state;
	return f && !is_stream(f) && (f->boot->flags & VB_NET_OFFLOAD);
}

bool interface_passt(const struct netif *netif)
{
	const struct interface *f = netif->state;
	return f && (f->boot->flags & VB_NET_PASST);
}

/* Its address, or whether it is up. */
static void changed(struct netif *netif)
{
	netlink_interface_changed(netif_get_index(netif), true);
}

void interface_set_gone(struct interface *f)
{
	if (f->gone)
		return;
	f->gone = true;
	klog(1, "network interface eth%u is gone", f->at);
	interface_drop_waiting(f);
	netif_set_link_down(&f->netif);
	wait_queue_wake(&interface_room, POLL_OUT | POLL_WRNORM);
	netlink_interface_changed(netif_get_index(&f->netif), false);
}

bool interface_no_neighbour(struct netif *netif, const ip_addr_t *to)
{
	struct eth_addr *mac;
	const ip4_addr_t *found;

	if (!netif || !(netif->flags & NETIF_FLAG_ETHARP))
		return false;
	if (IP_IS_V4(to)) {
		bool on_link = ip4_addr_netcmp(ip_2_ip4(to), netif_ip4_addr(netif), netif_ip4_netmask(netif));
		return etharp_find_addr(netif, on_link ? ip_2_ip4(to) : netif_ip4_gw(netif), &mac, &found) < 0;
	}
	for (int i = 0; i < LWIP_ND6_NUM_DESTINATIONS; i++) {
		if (!ip6_addr_cmp_zoneless(&destination_cache[i].destination_addr, ip_2_ip6(to)))
			continue;
		for (int n = 0; n < LWIP_ND6_NUM_NEIGHBORS; n++)
			if (neighbor_cache[n].state > ND6_INCOMPLETE && neighbor_cache[n].netif == netif &&
				ip6_addr_cmp_zoneless(&neighbor_cache[n].next_hop_address, &destination_cache[i].next_hop_addr))
				return false;
	}
	return true;
}

/* --- making interfaces --- */

/* lwIP asked for the MTU: from here on it counts again (interface_whole_segment). */
static void restore_mtu(struct netif *netif)
{
	netif->mtu = netif->mtu6 = (u16_t)interface_of(netif)->boot->mtu;
}

void interface_whole_segment(struct netif *netif)
{
	netif->mtu = netif->mtu6 = 0;
}

static err_t output4(struct netif *netif, struct pbuf *p, const ip4_addr_t *to)
{
	ip_addr_t ip;

	restore_mtu(netif);
	ip_addr_copy_from_ip4(ip, *to);
	return inet_is_local(&ip) ? loop_netif.output(&loop_netif, p, to) : etharp_output(netif, p, to);
}

static err_t output6(struct netif *netif, struct pbuf *p, const ip6_addr_t *to)
{
	ip_addr_t ip;

	restore_mtu(netif);
	ip_addr_copy_from_ip6(ip, *to);
	return inet_is_local(&ip) ? loop_netif.output_ip6(&loop_netif, p, to) : ethip6_output(netif, p, to);
}

static err_t init(struct netif *netif)
{
	struct interface *f = interface_of(netif);

	netif->name[0] = 'e';
	netif->name[1] = 't';
	netif->output = output4;
	netif->output_ip6 = output6;
	netif->linkoutput = interface_link_output;
	netif->mtu = netif->mtu6 = (u16_t)f->boot->mtu;
	netif->hwaddr_len = 6;
	memcpy(netif->hwaddr, f->boot->mac, 6);
	netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET | NETIF_FLAG_IGMP | NETIF_FLAG_MLD6 | NETIF_FLAG_LINK_UP;
	if (interface_offload(netif))
		NETIF_SET_CHECKSUM_CTRL(netif, NETIF_CHECKSUM_ENABLE_ALL & ~NETIF_CHECKSUM_GEN_TCP);
	MIB2_INIT_NETIF(netif, snmp_ifType_ethernet_csmacd, 1000000000u);
	return ERR_OK;
}

static void set_addresses6(struct interface *f)
{
	const struct vb_boot_net *b = f->boot;
	static const uint8_t none[16];
	ip6_addr_t ip;

	netif_create_ip6_linklocal_address(&f->netif, 1);
	netif_ip6_addr_set_state(&f->netif, 0, IP6_ADDR_PREFERRED);
	netif_set_ip6_autoconfig_enabled(&f->netif, (b->flags & VB_NET_AUTO6) != 0);
	if (memcmp(b->ip6, none, sizeof(none)) == 0)
		return;
	memset(&ip, 0, sizeof(ip));
	memcpy(ip.addr, b->ip6, sizeof(b->ip6));
	s8_t slot;
	if (netif_add_ip6_address(&f->netif, &ip, &slot) == ERR_OK)
		netif_ip6_addr_set_state(&f->netif, slot, IP6_ADDR_PREFERRED);
}

/* There is, or will be, a gateway. */
static bool leads_on(struct netif *netif)
{
	const struct vb_boot_net *b = interface_of(netif)->boot;

	return b->flags & VB_NET_DHCP || b->gateway4[0] || b->gateway6[0];
}

static int add(unsigned at)
{
	struct interface *f = kzalloc(sizeof(*f));
	const struct vb_boot_net *b = &boot->net[at];
	ip4_addr_t ip, mask, gateway;

	if (!f)
		return -ENOMEM;
	f->boot = b;
	f->at = at;
	f->started = !(b->flags & VB_NET_LAZY);
	list_init(&f->waiting);
	if (is_stream(f))
		f->buffer_bytes = STREAM_BYTES;
	else
		f->buffer_bytes = sizeof(struct virtio_header) + (b->flags & VB_NET_OFFLOAD ? FRAME_MAX : ETHER_BYTES + 4 + b->mtu);
	memcpy(&ip, b->ip4, 4);
	memcpy(&gateway, b->gateway4, 4);
	mask.addr = b->prefix4 ? lwip_htonl(~0u << (32 - vb_min(b->prefix4, (uint8_t)32))) : 0;
	if (b->flags & VB_NET_DHCP)
		ip.addr = mask.addr = gateway.addr = 0;
	if (!netif_add(&f->netif, &ip, &mask, &gateway, f, init, ip_input)) {
		kfree(f);
		return -ENOMEM;
	}
	interfaces[interface_count++] = f;
	netif_set_status_callback(&f->netif, changed);
	netif_set_hostname(&f->netif, vb_boot_string(boot, boot->hostname));
	/* The first interface that leads anywhere. */
	if (!netif_default || (!leads_on(netif_default) && leads_on(&f->netif)))
		netif_set_default(&f->netif);
	set_addresses6(f);
	netif_set_up(&f->netif);
	if (b->flags & VB_NET_AUTO6)
		net_coarse_until(15000); /* router solicitations */
	else
		f->netif.rs_count = 0; /* none */
	if (b->flags & VB_NET_DHCP)
		dhcp_start(&f->netif);
	return 0;
}

int interfaces_start(void)
{
	for (unsigned i = 0; i < boot->net_count; i++) {
		int r = add(i);
		if (r)
			return r;
	}
	return 0;
}

/* The router of a static IPv6 address, for lwIP's neighbour discovery. */
const ip6_addr_t *hook_gateway6(struct netif *netif, const ip6_addr_t *to)
{
	static ip6_addr_t gateway;
	struct interface *f = interface_of(netif);
	static const uint8_t none[16];

	if (!f || memcmp(f->boot->gateway6, none, sizeof(none)) == 0)
		return NULL;
	memset(&gateway, 0, sizeof(gateway));
	memcpy(gateway.addr, f->boot->gateway6, sizeof(f->boot->gateway6));
	ip6_addr_assign_zone(&gateway, IP6_UNICAST, netif);
	return &gateway;
}
