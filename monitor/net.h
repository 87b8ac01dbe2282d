/* What the user asks of a cell's network: filled in by cli/net.c, carried out by monitor/net*.c. Addresses in network order. */
#ifndef MONITOR_NET_H
#define MONITOR_NET_H

#include <stdbool.h>
#include <stdint.h>

#include "monitor/firewall.h"

#include <vauban/hostcall.h>

#define NET_FORWARDS_MAX 64u
#define NET_DNS_MAX      3u /* as resolv.conf has it */

enum net_way {
	NET_USER, /* passt: the host's network, without privileges */
	NET_TAP,
	NET_VDE,
};

struct net_address {
	bool v6;
	uint8_t bytes[16]; /* the first 4 of IPv4 */
};

struct net_interface {
	enum net_way way;
	const char *where;  /* the tap's name, the switch's path */
	bool host_loopback; /* user: the gateway's address is the host's 127.0.0.1 */
	bool direct;        /* user: nothing between the cell and passt */
	bool has_mac, has4, has6;
	uint8_t mac[6];
	uint8_t prefix4, prefix6;
	uint8_t ip4[4], gateway4[4], ip6[16], gateway6[16]; /* all zero: no gateway */
};

/* Ports of the host that lead to ports of the cell: count of each, side by side. */
struct net_forward {
	bool udp, any; /* any: all addresses of both families */
	struct net_address address;
	uint16_t host_port, cell_port, count;
};

struct net_options {
	struct net_interface interface[VB_NETS_MAX];
	unsigned interface_count;
	struct net_forward forward[NET_FORWARDS_MAX];
	unsigned forward_count;
	struct net_address dns[NET_DNS_MAX];
	unsigned dns_count;
	struct firewall_rule rules[FIREWALL_RULES_MAX];
	unsigned rule_count; /* 0: no firewall */
	const char *pcap;    /* file to record frames to; NULL: none */
};

#endif
