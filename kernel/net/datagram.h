/* Datagrams over IP: what UDP (udp.c), raw sockets (raw.c) and ping sockets (ping.c) share: queues, receiving, errors that come
 * back, destinations. lwIP hands over whole IP packets by protocol (packets.c); its own UDP serves DHCP only.
 */
#ifndef KERNEL_NET_DATAGRAM_H
#define KERNEL_NET_DATAGRAM_H

#include "kernel/net/inet.h"

#include <linux/ipv6.h>

/* linux/errqueue.h, which wants the C library */
enum { SO_EE_ORIGIN_LOCAL = 1, SO_EE_ORIGIN_ICMP = 2, SO_EE_ORIGIN_ICMP6 = 3 };
struct extended_error {
	uint32_t error;
	uint8_t origin, type, code, pad;
	uint32_t info, data;
};

/* A packet that has come. */
struct packet {
	struct pbuf *p; /* its data; NULL: none */
	ip_addr_t from, to;
	uint16_t from_port, to_port; /* host order */
	uint8_t index, ttl, tos;     /* the interface it came by */
};

struct datagram {
	struct list node;
	struct packet packet;
	size_t len, charge;
	uint64_t time_ns; /* CLOCK_REALTIME, if anybody asked for it */
	uint32_t dropped; /* before it, since the socket was made */
	struct extended_error error; /* in the queue of errors: and from whom it came is `offender` */
	ip_addr_t offender;
};

struct cork { /* UDP_CORK, MSG_MORE: a datagram in the making */
	bool on; /* the option */
	uint8_t *data;
	size_t len;
	bool has_to;
	ip_addr_t to;
	uint16_t port;
};

struct datagram_socket {
	struct inet_socket inet;
	struct list node; /* among those of its protocol */
	bool connected, port_locked; /* port_locked: bind() named the port */
	int shut;
	struct list messages, errors;
	size_t charged, errors_charged;
	uint32_t dropped;
	bool wants_time;
	uint64_t last_time_ns; /* SIOCGSTAMP; 0: none */
	struct cork cork;
	bool no_check_tx, no_check_rx; /* UDP_NO_CHECK6_* */
	bool gro;                      /* UDP_GRO */
	uint16_t segment;              /* UDP_SEGMENT */
	uint32_t icmp_filter[8];       /* bit set: type blocked */
	int checksum_at;               /* IPV6_CHECKSUM; -1: none */
};

static inline struct datagram_socket *datagram_of(struct socket *s)
{
	return vb_container_of(s, struct datagram_socket, inet.base);
}

/* --- datagram.c --- */
struct datagram_socket *datagram_new(const struct socket_ops *ops, int family, int type, int protocol); /* NULL: no memory */
void datagram_release(struct datagram_socket *d);
/* Takes k->p over, also when it is dropped because the queue is full. */
void datagram_queue(struct datagram_socket *d, const struct packet *k);
long datagram_receive(struct socket *s, struct socket_message *m);
unsigned datagram_poll(struct socket *s, struct file *f, struct poll_table *table);
long datagram_ioctl(struct socket *s, unsigned cmd, uint64_t arg);
int datagram_shutdown(struct socket *s, int how);
/* The pending error of a send: -errno, once. -EPIPE after shutdown. */
int datagram_send_error(struct datagram_socket *d);
/* A send failed, here (SO_EE_ORIGIN_LOCAL) or on the way (ICMP): tells the socket by IP_RECVERR's queue, or by SO_ERROR if it is
 * connected and the error is hard. quote: the data of the packet it is about; not taken over. */
struct datagram_failure {
	int error;
	bool hard;
	uint8_t origin, type, code;
	uint32_t info;
	ip_addr_t offender, to;
	uint16_t port;
};
void datagram_failed(struct datagram_socket *d, const struct datagram_failure *f, const struct pbuf *quote, uint16_t quote_at);
/* Whether the socket takes packets from this peer to this address by this interface; ports aside. */
bool datagram_matches(const struct datagram_socket *d, const ip_addr_t *from, const ip_addr_t *to, unsigned index);

/* --- destination.c --- */
struct destination {
	ip_addr_t to, from;
	uint16_t port;
	struct netif *netif;
	uint8_t ttl, tos;
	bool local, broadcast;
};
/* Where a send goes: the name in m, or the peer; ancillary data; the route. -EDESTADDRREQ, -EACCES (broadcast) ... */
int destination_find(struct datagram_socket *d, const struct socket_message *m, struct destination *ret);
/* Of a datagram whose address is known already (ret->to, ret->port). */
int destination_route(struct datagram_socket *d, const struct socket_message *m, struct destination *ret);
/* connect(2). ready: what the socket needs first, or NULL. */
int datagram_connect(struct datagram_socket *d, const uint8_t *name, unsigned len, int (*ready)(struct datagram_socket *d));
int datagram_connect_to(struct datagram_socket *d, const ip_addr_t *to, uint16_t port);
void datagram_disconnect(struct datagram_socket *d);
bool inet_is_broadcast(const ip_addr_t *ip); /* of any interface */
int destination_output(struct pbuf *p, const struct destination *to, uint8_t protocol); /* takes p */

/* --- packets.c: the way up from lwIP --- */
int packets_start(void);               /* 0 or -ENOMEM; does nothing the second time */
int packets_want(uint8_t protocol);    /* a raw socket wants this protocol */
void packets_unwant(uint8_t protocol);
bool packets_wanted(uint8_t protocol); /* by a raw socket */
/* Whether any socket wants a datagram for this port; then it is taken, p at the UDP header. */
bool udp_wanted(struct packet *k, uint16_t from_port, uint16_t to_port);
void udp_packet(struct packet *k);
void raw_packet(const struct packet *k, uint8_t protocol, uint16_t header_len); /* p at the IP header, stays the caller's */
void ping_packet(const struct packet *k, uint16_t header_len);                  /* the same */
/* An ICMP error about a packet that the cell sent; quote: its data behind the transport header at quote_at. */
void udp_failed(const struct datagram_failure *f, const ip_addr_t *local, uint16_t local_port, const struct pbuf *quote, uint16_t quote_at);
void ping_failed(const struct datagram_failure *f, uint16_t id, const struct pbuf *quote, uint16_t quote_at);
void raw_failed(const struct datagram_failure *f, uint8_t protocol, const ip_addr_t *local, const struct pbuf *quote, uint16_t quote_at);

/* The families of sockets. */
int udp_create(int family, struct socket **ret);
int ping_create(int family, struct socket **ret);
int raw_create(int family, int protocol, struct socket **ret);

/* For /proc/net. */
void raw_for_each(void (*fn)(struct datagram_socket *d, void *arg), void *arg);
void ping_for_each(void (*fn)(struct datagram_socket *d, void *arg), void *arg);

#endif
