/* The network interfaces of the cell, their addresses and routes, as programs see them: what netlink, the SIOC* requests and
 * /proc/net show. Everything is a copy: nothing of the stack's own is lent. Index 1 is lo, eth<i> is 2 + i, as on Linux.
 */
#ifndef KERNEL_NET_LINK_H
#define KERNEL_NET_LINK_H

#include "kernel/kernel.h"

#define LINK_NAME_BYTES 16u /* IFNAMSIZ */
#define LINK_LO         1u

/* linux/if.h, which wants the C library */
enum {
	IFF_UP = 1 << 0,
	IFF_BROADCAST = 1 << 1,
	IFF_LOOPBACK = 1 << 3,
	IFF_RUNNING = 1 << 6,
	IFF_MULTICAST = 1 << 12,
	IFF_LOWER_UP = 1 << 16,
};

enum { ARPHRD_ETHER = 1, ARPHRD_LOOPBACK = 772 }; /* linux/if_arp.h, likewise */

struct link_counters {
	uint64_t packets, bytes, errors, dropped, multicast;
};

struct link {
	unsigned index, flags, mtu;
	char name[LINK_NAME_BYTES];
	uint8_t mac[6];
	struct link_counters in, out;
};

/* Addresses and routes of both families: IPv4 has the first 4 bytes. Network order. */
struct link_address {
	unsigned index;
	int family;
	uint8_t ip[16];
	unsigned prefix;
	bool tentative, deprecated;
};

struct link_route {
	int family;
	uint8_t to[16], via[16], from[16]; /* from: the source address chosen, if has_from */
	unsigned prefix, index;
	bool has_via, has_from;
	bool local; /* to an address of the cell */
};

struct link_neighbour {
	unsigned index;
	int family;
	uint8_t ip[16], mac[6];
	bool stale;
};

bool link_get(unsigned index, struct link *ret);      /* false: none */
bool link_next(unsigned at_least, struct link *ret);  /* the first with at least that index */
unsigned link_by_name(const char *name);              /* 0: none */
/* Waits, once, for addresses that are being asked for (DHCP): a program that looks at its start finds them. Sleeps. */
void link_settle(void);
/* The n-th, from 0. */
bool link_address_get(unsigned n, int family, struct link_address *ret);
bool link_route_get(unsigned n, int family, struct link_route *ret);
bool link_neighbour_get(unsigned n, int family, struct link_neighbour *ret);
/* How a packet to this address goes out (index 0: any interface). -ENETUNREACH. */
int link_route_to(int family, const uint8_t *ip, unsigned index, struct link_route *ret);

#endif
