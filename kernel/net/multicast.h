/* Multicast groups: who of the cell's sockets is in which, on which interface. */
#ifndef KERNEL_NET_MULTICAST_H
#define KERNEL_NET_MULTICAST_H

#include "kernel/net/inet.h"

/* The options that join and leave, of either level. */
bool multicast_is_request(int level, int name);
long multicast_setsockopt(struct inet_socket *s, int level, int name, uint64_t value, unsigned len);
/* Whether the socket wants a datagram that came from `from` for this group by this interface. */
bool multicast_wants(const struct inet_socket *s, const ip_addr_t *group, const ip_addr_t *from, unsigned index);
/* Whether anybody in the cell is in the group there: else what is sent to it does not come back. */
bool multicast_joined(const ip_addr_t *group, unsigned index);

#endif
