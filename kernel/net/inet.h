/* The internet protocols: what TCP (tcp*.c), datagram sockets (udp.c, raw.c) and what shows them (link.c) share.
 *
 * lwIP does IP and TCP (kernel/net/lwip). It is not reentrant, and nothing here sleeps inside it: a system call or a received
 * frame calls it, and its callbacks only queue and wake. After any call into it that may have sent something: inet_run().
 */
#ifndef KERNEL_NET_INET_H
#define KERNEL_NET_INET_H

#include "kernel/net/inet_option.h"
#include "kernel/net/inet_option.h"
#include "kernel/net/socket.h"

#include <linux/in.h>
#include <linux/in6.h>

#include "lwip/ip.h"
#include "lwip/ip_addr.h"
#include "lwip/netif.h"
#include "lwip/pbuf.h"

struct inet_port; /* inet_port.c: one bound port */

/* The part that all sockets of AF_INET and AF_INET6 have. */
struct inet_socket {
	struct socket base;
	ip_addr_t local, remote; /* type ANY and zero: not set. The local one is what the program bound to, until connected */
	uint16_t local_port, remote_port; /* host order; 0: none */
	bool v6only;              /* AF_INET6 */
	bool bound;               /* bind() was called with an address that is not zero */
	struct inet_port *port;   /* holds local_port */
	struct list port_node;    /* in port->sockets */
	uint32_t owner;           /* user id of who made it: SO_REUSEPORT */
	struct wait_queue wait;   /* one for all events */

	/* options of IP and IPv6 (inet_option.c) */
	int16_t ttl, hops;        /* -1: the default */
	uint8_t tos, tclass;
	struct inet_options options;
};

static inline struct inet_socket *inet_of(struct socket *s)
{
	return vb_container_of(s, struct inet_socket, base);
}

/* --- life (inet.c) --- */
/* Brings the stack up, once: called by whatever needs it. 0 or -ENOMEM. */
int inet_start(void);
extern bool inet_started;
/* Fills the base; all else is zero already. */
void inet_socket_init(struct inet_socket *s, const struct socket_ops *ops, int family, int type, int protocol);
/* After calls into lwIP: delivers what was sent to the cell itself, sends frames, sets the timer. Not from callbacks. */
void inet_run(void);
/* Waits until addresses that are being asked for (DHCP) have come or failed, once. Sleeps. 0 or -EINTR... */
int inet_wait_configured(bool nonblock);

/* --- names (inet.c): sockaddr_in and sockaddr_in6 --- */
/* Decodes a name given to s. IPv4-mapped addresses become IPv4. -EINVAL: too short; -EAFNOSUPPORT; -ENETUNREACH: IPv4-mapped and
 * IPV6_V6ONLY. The zone of link-local addresses is set from the scope. */
int inet_name_decode(const struct inet_socket *s, const uint8_t *name, unsigned len, ip_addr_t *ret_ip, uint16_t *ret_port);
/* As the family of s shows it; the length. */
int inet_name_encode(const struct inet_socket *s, const ip_addr_t *ip, uint16_t port, uint8_t *ret);
/* bind(2), with all its checks; unsuitable: the state of s forbids it (-EINVAL). */
int inet_bind(struct inet_socket *s, int protocol, bool unsuitable, const uint8_t *name, unsigned len);
int inet_get_name(struct socket *s, bool peer, uint8_t *ret); /* socket_ops.name; -ENOTCONN without remote_port */

/* --- addresses and routes (inet.c) --- */
bool inet_is_local(const ip_addr_t *ip);    /* one of the cell's own, or 127.0.0.0/8 */
int inet_check_bind(const struct inet_socket *s, const ip_addr_t *ip); /* 0 or -EADDRNOTAVAIL */
/* The interface towards `to` (device: base.bound_index) and the address that packets leave with. -ENETUNREACH, -ENETDOWN ... */
int inet_route(const ip_addr_t *to, unsigned device, struct netif **ret_netif, ip_addr_t *ret_from);
int inet_error(err_t e);                    /* of lwIP, as -errno */
/* Stands for "all addresses" of the family of s: IP_ANY_TYPE for AF_INET6 without V6ONLY. */
const ip_addr_t *inet_any(const struct inet_socket *s);

/* --- ports (inet_port.c), by protocol: TCP and UDP each have their own --- */
enum { PORT_FIRST_EPHEMERAL = 32768, PORT_LAST_EPHEMERAL = 60999 };
/* Binds s to (s->local, port) by Linux's rules: SO_REUSEADDR, SO_REUSEPORT, IPV6_V6ONLY. No port is privileged. port 0: an ephemeral
 * one. Sets s->local_port. -EADDRINUSE, -ENOMEM. */
int inet_port_bind(int protocol, struct inet_socket *s, uint16_t port);
/* s shares the port of `with` (a connection of a listener). 0 or -ENOMEM never. */
void inet_port_share(struct inet_socket *s, const struct inet_socket *with);
void inet_port_release(struct inet_socket *s);
/* True when s may listen: no other listener with its address (TCP). */
bool inet_port_may_listen(const struct inet_socket *s);
/* For a connect without bind: takes a port for which `taken` says false, shared with other connections but with no bound
 * socket. -EADDRNOTAVAIL. */
int inet_port_connect(int protocol, struct inet_socket *s, bool (*taken)(struct inet_socket *s, uint16_t port));
struct list *inet_port_sockets(int protocol, uint16_t port); /* by port_node; NULL: none */
void inet_port_for_each(int protocol, void (*fn)(struct inet_socket *s, void *arg), void *arg);

/* --- the families --- */
int inet4_create(int type, int protocol, struct socket **ret);
int inet6_create(int type, int protocol, struct socket **ret);
int tcp_create(int family, int protocol, struct socket **ret);
/* An ICMP message says that packets of this TCP connection don't arrive: `error` as Linux maps it, fatal only while connecting.
 * EMSGSIZE: the path takes packets of `mtu` bytes. */
void tcp_icmp_error(const ip_addr_t *local, uint16_t local_port, const ip_addr_t *remote, uint16_t remote_port, uint32_t seq, int error,
	unsigned mtu);

#endif
