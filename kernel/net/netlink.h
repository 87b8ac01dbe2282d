/* AF_NETLINK: what netlink.c (the sockets) and netlink_route.c (NETLINK_ROUTE's messages) share. */
#ifndef KERNEL_NET_NETLINK_H
#define KERNEL_NET_NETLINK_H

#include "kernel/net/socket.h"

#include <linux/netlink.h>
#undef MAX_LINKS /* of protocols; kernel/fs has another */

#define NETLINK_CHUNK 3776u /* most bytes of a datagram of a dump: what fits a page with Linux's own overhead, as programs expect */

struct netlink_message {
	struct list node;
	uint32_t port, group; /* where it came from, whom it was for */
	size_t len, size;
	uint8_t data[];
};

struct netlink_socket {
	struct socket base;
	struct list node; /* of all */
	bool bound;
	uint32_t port, to_port, to_group;
	uint64_t groups; /* bit n - 1: group n */
	uint32_t options; /* 1 << NETLINK_* */
	struct list messages;
	size_t message_bytes;
	struct wait_queue wait;
};

static inline struct netlink_socket *netlink_of(struct socket *s)
{
	return vb_container_of(s, struct netlink_socket, base);
}

static inline bool netlink_option(const struct netlink_socket *n, unsigned option)
{
	return n->options >> option & 1;
}

/* An answer in the making: datagrams of at most NETLINK_CHUNK bytes, queued as they fill. Out of memory or of the socket's
 * buffer shows as `error`, once at the end. */
struct netlink_answer {
	struct netlink_socket *to;
	uint32_t seq, flags; /* flags of each message: NLM_F_MULTI ... */
	uint32_t group;      /* 0: an answer; else told to that group */
	struct netlink_message *datagram;
	size_t message; /* where the open message starts */
	int error;
};
void answer_begin(struct netlink_answer *a, unsigned type, const void *header, size_t header_len);
void answer_attribute(struct netlink_answer *a, unsigned type, const void *data, size_t len);
size_t answer_nest(struct netlink_answer *a, unsigned type);
void answer_unnest(struct netlink_answer *a, size_t nest);
void answer_end(struct netlink_answer *a);
void answer_flush(struct netlink_answer *a);

void netlink_for_each(void (*fn)(struct netlink_socket *n, void *arg), void *arg);

/* netlink_route.c: what an interface is now, and perhaps its addresses, for those who listen to groups of NETLINK_ROUTE. Only
 * queues and wakes. */
void netlink_interface_changed(unsigned index, bool addresses);

/* 0: answered, or nothing to answer. -errno: to be said in an NLMSG_ERROR. */
int netlink_route_request(struct netlink_socket *n, const struct nlmsghdr *h);

#endif
