/* Inside of the firewall. Ports in host order, addresses as they are on the wire, an IPv4 one in the first 4 bytes. */
#ifndef MONITOR_FIREWALL_PRIVATE_H
#define MONITOR_FIREWALL_PRIVATE_H

#include "monitor/firewall.h"

enum { IP_ICMP = 1, IP_TCP = 6, IP_UDP = 17, IP_ICMP6 = 58 };
enum { TCP_FIN = 1, TCP_SYN = 2, TCP_RST = 4, TCP_ACK = 16 };

struct decoded {
	bool ip, arp, v6, broadcast; /* broadcast: the frame's destination is a group */
	uint8_t protocol, hop_limit;
	uint8_t source[16], destination[16];
	uint16_t source_port, destination_port; /* ICMP echo: the identifier in both; else 0 */
	uint8_t tcp_flags, icmp_type;
	bool echo_request, echo_reply;
	bool error;             /* of ICMP, about another packet */
	const uint8_t *payload; /* from the header of the protocol on (of ARP: the message) */
	size_t payload_len;
	const uint8_t *mac_source;
};

struct flow_key {
	uint8_t near[16], far[16];
	uint16_t near_port, far_port;
	uint8_t protocol, v6, unused[2];
};

struct flow {
	struct flow_key key;
	int64_t expires_ns; /* 0: free */
	uint8_t starter;    /* enum firewall_way */
	uint8_t answered;
	uint8_t closing; /* who has sent its last: a bit by enum firewall_way */
};

#define PREFIXES_MAX 8u
struct firewall {
	const struct firewall_rule *rules;
	unsigned rule_count;
	struct firewall_link link;
	uint64_t seed;
	struct flow *flows;
	uint8_t prefixes[PREFIXES_MAX][8]; /* of IPv6, as routers advertised them */
	unsigned prefix_count;
	uint8_t dhcp_server[4];
};

bool firewall_prefix_matches(const uint8_t *a, const uint8_t *b, unsigned bits);
bool firewall_is_own(const struct firewall *f, bool v6, const uint8_t *ip);

/* firewall_decode.c: *d is filled in as far as it goes, whatever the result. */
enum firewall_drop decode_frame(const uint8_t *header, const uint8_t *frame, size_t len, struct decoded *d);
/* The start of the packet that an ICMP error is about. */
bool decode_quoted(const struct decoded *error, struct decoded *ret);

/* firewall_link.c: what keeps the link going. */
#define LINK_NOT_CONCERNED FIREWALL_DROPS
enum firewall_drop link_judge_arp(struct firewall *f, enum firewall_way way, const struct decoded *d);
enum firewall_drop link_judge_dhcp(struct firewall *f, enum firewall_way way, const struct decoded *d);
enum firewall_drop link_judge_nd(struct firewall *f, enum firewall_way way, const struct decoded *d);

static inline uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

#endif
