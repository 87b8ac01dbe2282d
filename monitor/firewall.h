/* The firewall at a cell's edge: judges whole Ethernet frames in both directions. Pure: no descriptors, no clock, nothing kept but
 * the state of flows. Everything in a frame is hostile; what can't be judged does not pass.
 *
 * Nothing passes but: flows that a rule allows and their replies; ICMP errors about them; ARP, neighbour discovery and DHCP as far
 * as the link needs them, always with the cell's own addresses.
 */
#ifndef MONITOR_FIREWALL_H
#define MONITOR_FIREWALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FIREWALL_RULES_MAX 128u

enum firewall_way { FIREWALL_OUT, FIREWALL_IN }; /* from the cell, to the cell */

enum firewall_drop {
	FIREWALL_PASS = 0,
	FIREWALL_MALFORMED, /* lengths or values that can't be */
	FIREWALL_ETHERTYPE, /* neither IPv4, IPv6 nor ARP */
	FIREWALL_OFFLOAD,   /* orders to whoever sends the frame on that don't fit what is in it */
	FIREWALL_SPOOFED,   /* a source address that is not the cell's, or a destination that is not */
	FIREWALL_FRAGMENT,
	FIREWALL_OPTIONS, /* IPv4 options; IPv6 headers that steer */
	FIREWALL_LINK,    /* ARP, neighbour discovery, DHCP that this interface has no use for */
	FIREWALL_DENIED,  /* no rule allows it, and it answers nothing that one does */
	FIREWALL_FULL,    /* allowed, but no room to remember the flow */
	FIREWALL_DROPS
};
extern const char *const firewall_drop_names[FIREWALL_DROPS];

enum firewall_protocols { FIREWALL_TCP = 1, FIREWALL_UDP = 2, FIREWALL_ICMP = 4, FIREWALL_OTHER = 8, FIREWALL_ALL = 15 };

struct firewall_rule {
	enum firewall_way way; /* who starts */
	bool v6;
	uint8_t prefix, protocols; /* enum firewall_protocols */
	uint8_t address[16];       /* of the far side */
	uint16_t first, last;      /* ports, of whoever is called: the far side when out, the cell when in */
};

/* What the interface is. */
struct firewall_link {
	uint8_t mac[6];
	bool dhcp, auto6;
	uint8_t ip4[4], ip6[16]; /* static ones */
	uint8_t prefix6;
	bool guard; /* the cell starts nothing towards these: a gateway behind which is the host's loopback */
	uint8_t guard4[4], guard6[16];
	bool has4, has6;
};

/* What a frame was about, for people. */
struct firewall_packet {
	bool ip, v6;
	uint8_t protocol;
	uint8_t source[16], destination[16];
	uint16_t source_port, destination_port; /* of ICMP: type, 0 */
};

struct firewall;
/* rules are borrowed. NULL: no memory. seed: secret, for the table of flows. */
struct firewall *firewall_new(const struct firewall_rule *rules, unsigned count, const struct firewall_link *link, uint64_t seed);
void firewall_free(struct firewall *f);
/* header: the 12 bytes of struct virtio_net_hdr_v1 in front of the frame, or NULL. */
enum firewall_drop firewall_judge(struct firewall *f, enum firewall_way way, const uint8_t *header, const uint8_t *frame, size_t len,
	int64_t now_ns, struct firewall_packet *ret_what);
unsigned firewall_flows(const struct firewall *f, int64_t now_ns);

#endif
