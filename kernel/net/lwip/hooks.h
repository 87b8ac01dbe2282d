/* Where lwIP asks the kernel (LWIP_HOOK_*). Included by lwIP's own files. */
#ifndef KERNEL_LWIP_HOOKS_H
#define KERNEL_LWIP_HOOKS_H

#include "lwip/err.h"
#include "lwip/ip_addr.h"
#include "lwip/prot/tcp.h"

struct netif;
struct pbuf;
struct tcp_pcb;

/* Packets to the cell's own addresses go to lo (kernel/net/inet.c). */
struct netif *hook_route4(const ip4_addr_t *src, const ip4_addr_t *dest);
struct netif *hook_route6(const ip6_addr_t *src, const ip6_addr_t *dest);
#define LWIP_HOOK_IP6_ROUTE(src, dest) hook_route6(src, dest) /* and IP4_ROUTE_SRC, in lwipopts.h */

/* The router towards an address off the link, if it is not one that announced itself (kernel/net/netif.c). */
const ip6_addr_t *hook_gateway6(struct netif *netif, const ip6_addr_t *to);
#define LWIP_HOOK_ND6_GET_GW(netif, to) hook_gateway6(netif, to)

/* Initial sequence numbers by RFC 6528 (kernel/net/tcp.c). */
uint32_t hook_tcp_isn(const ip_addr_t *local, uint16_t local_port, const ip_addr_t *remote, uint16_t remote_port);
#define LWIP_HOOK_TCP_ISN(local, local_port, remote, remote_port) hook_tcp_isn(local, local_port, remote, remote_port)

/* A segment for this connection or listener came; not ERR_OK: drop it (kernel/net/tcp.c). */
err_t hook_tcp_in(struct tcp_pcb *pcb, struct tcp_hdr *header, unsigned option_bytes, struct pbuf *p);
#define LWIP_HOOK_TCP_INPACKET_PCB(pcb, header, option_len, option_1_len, option_2, p) hook_tcp_in(pcb, header, option_1_len, p)

/* A segment of this connection (NULL: of none) is about to go down to IP. Adds no options. */
uint32_t *hook_tcp_out(struct pbuf *p, struct tcp_pcb *pcb, uint32_t *options);
#define LWIP_HOOK_TCP_OUT_ADD_TCPOPTS(p, header, pcb, options) hook_tcp_out(p, (struct tcp_pcb *)(pcb), options)

#endif
