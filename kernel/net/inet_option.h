/* Socket options of levels IPPROTO_IP and IPPROTO_IPV6, kept in every inet socket; and memberships of multicast groups. */
#ifndef KERNEL_NET_INET_OPTION_H
#define KERNEL_NET_INET_OPTION_H

#include "base/list.h"
#include "base/types.h"

struct inet_socket;
struct socket;

/* Options that are switches: bits of inet_options.switches. */
enum inet_switch {
	INET_PKTINFO,
	INET_RECVTTL,
	INET_RECVTOS,
	INET_RECVOPTS,
	INET_RETOPTS,
	INET_RECVORIGDSTADDR,
	INET_RECVERR,
	INET_FREEBIND,
	INET_TRANSPARENT,
	INET_HDRINCL,
	INET_BIND_ADDRESS_NO_PORT,
	INET_MULTICAST_LOOP, /* on at first */
	INET_MULTICAST_ALL,  /* on at first */
	INET6_RECVPKTINFO,
	INET6_RECVHOPLIMIT,
	INET6_RECVTCLASS,
	INET6_RECVORIGDSTADDR,
	INET6_RECVERR,
	INET6_MULTICAST_LOOP, /* on at first */
	INET6_MULTICAST_ALL,  /* on at first */
	INET6_DONTFRAG,
};

struct inet_options {
	uint32_t switches;        /* 1 << enum inet_switch */
	uint8_t multicast_ttl, multicast_hops, mtu_discover, mtu_discover6, min_ttl, min_hops;
	uint8_t multicast_index, multicast_index6; /* interface that multicasts leave by; 0: the route's */
	uint8_t unicast_index, unicast_index6;
	uint16_t addr_preferences;
	uint16_t mtu6;            /* IPV6_MTU; 0: the interface's */
	uint8_t multicast_from[4]; /* IP_MULTICAST_IF by address */
	struct list memberships;
	unsigned membership_count;
};

void inet_options_init(struct inet_socket *s);
void inet_options_release(struct inet_socket *s); /* leaves its groups */
bool inet_switch(const struct inet_socket *s, enum inet_switch which);

/* Levels IPPROTO_IP and IPPROTO_IPV6, for socket_ops; another level is -ENOPROTOOPT. */
long inet_setsockopt(struct socket *s, int level, int name, uint64_t value, unsigned len);
long inet_getsockopt(struct socket *s, int level, int name, uint64_t value, uint64_t len_addr);

#endif
