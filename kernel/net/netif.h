/* Inside of the network interfaces: what netif.c (making them), netif_send.c and netif_receive.c share. */
#ifndef KERNEL_NET_NETIF_H
#define KERNEL_NET_NETIF_H

#include "kernel/kernel.h"
#include "kernel/net/lwip/hooks.h"
#include "kernel/platform/platform.h"

#include "lwip/netif.h"

#define ETHER_BYTES  14u
#define FRAME_MAX    (ETHER_BYTES + 65535u)
#define BATCH_FRAMES 64u
#define STREAM_BYTES (256u << 10) /* read at once from a stream */

/* linux/virtio_net.h */
struct virtio_header {
	uint8_t flags, gso_type;
	uint16_t header_len, gso_size, csum_start, csum_offset, buffers;
};
_Static_assert(sizeof(struct virtio_header) == 12, "struct virtio_net_hdr_v1");
enum { VIRTIO_NEEDS_CSUM = 1, VIRTIO_DATA_VALID = 2, VIRTIO_GSO_TCPV4 = 1, VIRTIO_GSO_TCPV6 = 4 };

struct received; /* netif_receive.c */

struct interface {
	struct netif netif;
	const struct vb_boot_net *boot;
	unsigned at; /* number of the descriptor */
	bool started, gone, burst;
	uint32_t asked, answered; /* ARP requests and answers; passt's come in order, one each */

	struct received *buffer;   /* frames are read into it */
	size_t buffer_bytes, have; /* have: of a stream, bytes not yet taken */

	struct pbuf *batch[BATCH_FRAMES];
	struct virtio_header header[BATCH_FRAMES]; /* or a stream's length */
	unsigned batch_count;
	struct list waiting; /* netif_send.c */
	size_t waiting_bytes;
};

extern struct interface *interfaces[VB_NETS_MAX];
extern unsigned interface_count;

static inline struct interface *interface_of(const struct netif *netif)
{
	return netif->state;
}

static inline bool is_stream(const struct interface *f)
{
	return f->boot->kind == VB_NET_STREAM;
}

/* netif.c: the other end has gone, for good. */
void interface_set_gone(struct interface *f);

/* netif_send.c */
err_t interface_link_output(struct netif *netif, struct pbuf *p);
bool interface_write_waiting(struct interface *f); /* writes what waited; true: none is left */
void interface_drop_waiting(struct interface *f);

#endif
