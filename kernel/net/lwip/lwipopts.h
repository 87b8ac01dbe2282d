/* Options of lwIP, which is built unmodified: no threads, no sockets of its own, memory from the kernel's heap. What bounds it
 * is kernel/net/lwip/glue.c (memory) and the socket families; its own counts are off (MEMP_MEM_MALLOC). */
#ifndef KERNEL_LWIPOPTS_H
#define KERNEL_LWIPOPTS_H

#define NO_SYS                     1
#define LWIP_NETCONN               0
#define LWIP_SOCKET                0
#define LWIP_SINGLE_NETIF          0
#define SYS_LIGHTWEIGHT_PROT       0
#define LWIP_TIMERS                1
#define LWIP_TIMERS_CUSTOM         1 /* kernel/net/timer.c */
#define LWIP_NETIF_TX_SINGLE_PBUF  0
#define LWIP_HOOK_IP4_ROUTE_SRC(src, dest) hook_route4(src, dest) /* lwIP's headers ask for it before hooks.h */
#define LWIP_HOOK_FILENAME         "kernel/net/lwip/hooks.h"

/* Memory */
#define MEM_LIBC_MALLOC     1
#define MEMP_MEM_MALLOC     1
#define MEM_ALIGNMENT       8
#define mem_clib_malloc     lwip_malloc
#define mem_clib_calloc     lwip_calloc
#define mem_clib_free       lwip_free
#define MEMP_NUM_TCP_SEG    32768
#define LWIP_SUPPORT_CUSTOM_PBUF 1

/* Links */
#define LWIP_ARP                   1
#define LWIP_ETHERNET              1
#define ETHARP_SUPPORT_STATIC_ENTRIES 0
#define ARP_TABLE_SIZE             127
#define ARP_QUEUEING               1
#define ARP_QUEUE_LEN              32
#define ETHARP_TRUST_IP_MAC        0
#define ETH_PAD_SIZE               0
#define LWIP_HAVE_LOOPIF           0 /* kernel/net/loop.c */
#define LWIP_NETIF_LOOPBACK        0
#define LWIP_NETIF_STATUS_CALLBACK 1
#define LWIP_NETIF_LINK_CALLBACK   0
#define LWIP_NETIF_HOSTNAME        1
#define LWIP_CHECKSUM_CTRL_PER_NETIF 1
#define TCP_CHECKSUM_ON_COPY       0 /* calculated over the segment, when no one does it for us */

/* IP */
#define LWIP_IPV4            1
#define LWIP_IPV6            1
#define IP_FORWARD           0
#define IP_REASSEMBLY        1
#define IP_FRAG              1
#define IP_OPTIONS_ALLOWED   1
#define IP_REASS_MAXAGE      30
#define IP_REASS_MAX_PBUFS   512 /* about 700 KiB of fragments */
#define MEMP_NUM_REASSDATA   64
#define IP_DEFAULT_TTL       64
#define IP_SOF_BROADCAST     1
#define IP_SOF_BROADCAST_RECV 0
#define LWIP_ICMP            1
#define LWIP_BROADCAST_PING  0
#define LWIP_MULTICAST_PING  0
#define LWIP_RAW             1
#define RAW_TTL              64
#define LWIP_IGMP            1
#define LWIP_MULTICAST_TX_OPTIONS 1
#define LWIP_DNS             0
#define LWIP_DHCP            1
#define LWIP_DHCP_CHECK_LINK_UP 0
#define DHCP_DOES_ARP_CHECK  0
#define LWIP_DHCP_BOOTP_FILE 0
#define LWIP_AUTOIP          0
#define LWIP_ND6_NUM_NEIGHBORS    127
#define LWIP_ND6_NUM_DESTINATIONS 127
#define LWIP_ND6_NUM_PREFIXES     8
#define LWIP_ND6_NUM_ROUTERS      4
#define LWIP_ND6_QUEUEING         1
#define MEMP_NUM_ND6_QUEUE        256
#define LWIP_IPV6_NUM_ADDRESSES   6
#define LWIP_IPV6_AUTOCONFIG      1
#define LWIP_IPV6_DUP_DETECT_ATTEMPTS 0 /* the monitor chose the addresses, and peers are few */
#define LWIP_IPV6_SEND_ROUTER_SOLICIT 1
#define LWIP_IPV6_REASS           1
#define LWIP_IPV6_FRAG            1
#define LWIP_IPV6_MLD             1
#define LWIP_IPV6_DHCP6           0
#define LWIP_IPV6_SCOPES          1
#define IPV6_FRAG_COPYHEADER      1 /* pointers do not fit into the IPv6 header */
#define LWIP_ICMP6                1

/* UDP */
#define LWIP_UDP             1
#define LWIP_NETBUF_RECVINFO 0
#define SO_REUSE             1
#define SO_REUSE_RXTOALL     1

/* TCP */
#define LWIP_TCP             1
#define TCP_TTL              64
#define TCP_MSS              65480 /* the MTU lowers it */
#define TCP_CALCULATE_EFF_SEND_MSS 1
#define LWIP_WND_SCALE       1
#define TCP_RCV_SCALE        7
#define TCP_WND              (2 << 20) /* at most: tcp.c announces less, see there */
#define TCP_SND_BUF          (4 << 20)
#define TCP_SND_QUEUELEN     32768
#define LWIP_DISABLE_TCP_SANITY_CHECKS 1 /* they take 16-bit windows for granted */
#define TCP_WND_UPDATE_THRESHOLD 1 /* tcp.c decides when the program has read enough for a window update */
#define TCP_OVERSIZE         0
#define TCP_QUEUE_OOSEQ      1
#define TCP_OOSEQ_MAX_PBUFS  1024
#define LWIP_TCP_SACK_OUT    1
#define LWIP_TCP_MAX_SACK_NUM 4
#define LWIP_TCP_TIMESTAMPS  1
#define LWIP_TCP_KEEPALIVE   1
#define TCP_LISTEN_BACKLOG   0 /* its counters end at 255: tcp_listen.c */
#define LWIP_TCP_PCB_NUM_EXT_ARGS 1
#define TCP_TMR_INTERVAL     10
#define TCP_MSL              30000u /* TIME_WAIT is a minute, as on Linux */
#define TCP_MAXRTX           12 /* its most, and never reached: tcp_timeout.c decides */
#define TCP_SYNMAXRTX        12

/* Asserts stay: they end the cell instead of letting a hostile peer go on with a broken stack. */
#define LWIP_STATS            1
#define LWIP_STATS_LARGE      1
#define LWIP_STATS_DISPLAY    0
#define MEM_STATS             0
#define MEMP_STATS            0
#define SYS_STATS             0
#define MIB2_STATS            1

#include <stddef.h>
void *lwip_malloc(size_t size);
void *lwip_calloc(size_t count, size_t size);
void lwip_free(void *p);

#endif
