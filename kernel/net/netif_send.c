/* Frames from lwIP to the descriptors of the interfaces. Owns the batches and the queues of frames that wait.
 *
 * Frames that lwIP sends are collected and leave when it is done with what it was called for (interfaces_flush): for a stream
 * many in one host call. They are not copied: the batch holds a reference to each. Only when the other end is full are they
 * copied into a bounded queue.
 */
#include "kernel/net/lwip/glue.h"
#include "kernel/net/net.h"
#include "kernel/net/netif.h"
#include "kernel/net/tcp.h"

#include "lwip/etharp.h"
#include "lwip/prot/ethernet.h"
#include "lwip/prot/icmp6.h"
#include "lwip/prot/ip4.h"
#include "lwip/prot/ip6.h"
#include "lwip/prot/tcp.h"
#include "lwip/snmp.h"

#include <vauban/message.h>

#define PARTS_MAX     1024u
#define WRITE_BYTES   (32u << 10) /* at once to a stream: the host takes so many whole or not at all, and passt needs whole frames */
#define QUEUE_BYTES   (512u << 10) /* frames that wait for room */
#define COARSE_ASK_MS 7000u        /* lwIP gives up asking for a neighbour after 5 s */

/* A frame that waits: its bytes as they are to be written, header included. */
struct waiting {
	struct list node;
	size_t len, done; /* done: of a stream, already written */
	uint8_t data[];
};

static struct frame_part parts[PARTS_MAX];

enum { ARP_SENDER = ETHER_BYTES + 14, ARP_TARGET = ETHER_BYTES + 24, ARP_OPERATION = ETHER_BYTES + 7 };

/* One that is no announcement of the cell's own address. */
static bool is_arp_request(const uint8_t *frame, unsigned len)
{
	return len >= ETHER_BYTES + 28 && frame[12] == ETHTYPE_ARP >> 8 && frame[13] == (ETHTYPE_ARP & 0xff) && frame[ARP_OPERATION] == 1 &&
	       memcmp(frame + ARP_SENDER, frame + ARP_TARGET, 4) != 0;
}

/* Whether a frame may be what first starts a lazy interface: not the announcements that lwIP makes on its own. */
static bool worth_starting(const uint8_t *frame, unsigned len)
{
	unsigned type = len < ETHER_BYTES ? 0 : (unsigned)frame[12] << 8 | frame[13];

	if (type == ETHTYPE_ARP)
		return is_arp_request(frame, len);
	if (type == ETHTYPE_IPV6 && frame[0] == 0x33)
		return len > ETHER_BYTES + 40 && frame[ETHER_BYTES + 6] == IP6_NEXTH_ICMP6 && frame[ETHER_BYTES + 40] == ICMP6_TYPE_NS;
	return !(type == ETHTYPE_IP && len >= ETHER_BYTES + 20 && frame[ETHER_BYTES + 9] == IP_PROTO_IGMP);
}

static bool start(struct interface *f, const struct pbuf *p)
{
	if (!worth_starting(p->payload, p->len))
		return false;
	struct vb_message m = {.type = VB_MSG_NET_START, .tag = f->at};
	platform_send(&m, sizeof(m), NULL, 0);
	f->started = true;
	return true;
}

uint32_t interface_ask(struct netif *netif)
{
	struct interface *f = interface_of(netif);

	etharp_request(netif, netif_ip4_gw(netif));
	return f->asked;
}

uint32_t interface_answered(const struct netif *netif)
{
	return ((const struct interface *)netif->state)->answered;
}

/* lwIP's timers must run until an answer has come or is given up. */
static void watch_sent(const uint8_t *frame, unsigned len)
{
	unsigned type = len < ETHER_BYTES ? 0 : (unsigned)frame[12] << 8 | frame[13];

	if (is_arp_request(frame, len) || (type == ETHTYPE_IPV6 && len > ETHER_BYTES + 40 && frame[ETHER_BYTES + 6] == IP6_NEXTH_ICMP6 &&
					   frame[ETHER_BYTES + 40] >= ICMP6_TYPE_RS && frame[ETHER_BYTES + 40] <= ICMP6_TYPE_NS))
		net_coarse_until(COARSE_ASK_MS);
}

/* The virtio header of a frame with IP in it: checksums to be completed, a TCP segment to be cut. */
static void offload(struct interface *f, struct pbuf *p, struct virtio_header *h)
{
	uint8_t *frame = p->payload, *ip = frame + ETHER_BYTES;
	unsigned type = (unsigned)frame[12] << 8 | frame[13], protocol, start;
	uint32_t sum = 0;

	if (type == ETHTYPE_IP && p->len >= ETHER_BYTES + IP_HLEN) {
		const struct ip_hdr *v4 = (const struct ip_hdr *)ip;
		protocol = IPH_PROTO(v4);
		start = ETHER_BYTES + IPH_HL_BYTES(v4);
		if (IPH_OFFSET(v4) & PP_HTONS(IP_MF | IP_OFFMASK))
			return; /* fragments have whole checksums */
		sum = lwip_checksum(ip + 12, 8);
	} else if (type == ETHTYPE_IPV6 && p->len >= ETHER_BYTES + IP6_HLEN) {
		protocol = ip[6];
		start = ETHER_BYTES + IP6_HLEN;
		sum = lwip_checksum(ip + 8, 32);
	} else {
		return;
	}
	if (protocol != IP_PROTO_TCP || p->len < start + TCP_HLEN)
		return; /* the others' checksums are small work: lwIP's or the socket's own */
	uint8_t *tcp = frame + start;
	unsigned len = p->tot_len - start, header_len = (unsigned)(tcp[12] >> 4) * 4;
	sum += PP_HTONS(protocol) + (uint32_t)lwip_htons((uint16_t)len);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	*h = (struct virtio_header){.flags = VIRTIO_NEEDS_CSUM, .csum_start = (uint16_t)start, .csum_offset = 16};
	memcpy(tcp + 16, &(uint16_t){(uint16_t)sum}, 2);
	if (p->tot_len > f->boot->mtu + ETHER_BYTES) {
		h->gso_type = type == ETHTYPE_IP ? VIRTIO_GSO_TCPV4 : VIRTIO_GSO_TCPV6;
		h->header_len = (uint16_t)(start + header_len);
		h->gso_size = (uint16_t)(tcp_wire_mss(ip, tcp, f->boot->mtu) - (header_len - TCP_HLEN));
	}
}

err_t interface_link_output(struct netif *netif, struct pbuf *p)
{
	struct interface *f = interface_of(netif);

	if (f->gone)
		return ERR_IF;
	if (!f->started && !start(f, p))
		return ERR_OK;
	watch_sent(p->payload, p->len);
	f->asked += is_arp_request(p->payload, p->len);
	if (f->batch_count == BATCH_FRAMES)
		interfaces_flush();
	if (f->gone)
		return ERR_IF;
	struct virtio_header *h = &f->header[f->batch_count];
	*h = (struct virtio_header){0};
	if (is_stream(f))
		memcpy(h, &(uint32_t){lwip_htonl(p->tot_len)}, 4);
	else if (f->boot->flags & VB_NET_OFFLOAD)
		offload(f, p, h);
	pbuf_ref(p);
	f->batch[f->batch_count++] = p;
	MIB2_STATS_NETIF_ADD(netif, ifoutoctets, p->tot_len);
	MIB2_STATS_NETIF_INC(netif, ifoutucastpkts);
	return ERR_OK;
}

static size_t header_bytes(const struct interface *f)
{
	return is_stream(f) ? 4 : sizeof(struct virtio_header);
}

/* Copies a frame, or what is left of it after `done` bytes, for later. */
static void wait_for_room(struct interface *f, unsigned i, size_t done)
{
	struct pbuf *p = f->batch[i];
	size_t head = header_bytes(f), len = head + p->tot_len;
	struct waiting *w = NULL;

	if (done || f->waiting_bytes + len <= QUEUE_BYTES)
		w = lwip_malloc(sizeof(*w) + len);
	if (!w) {
		MIB2_STATS_NETIF_INC(&f->netif, ifoutdiscards);
		if (done) /* half a frame is out: the stream is lost without the rest */
			interface_set_gone(f);
		return;
	}
	memcpy(w->data, &f->header[i], head);
	pbuf_copy_partial(p, w->data + head, p->tot_len, 0);
	w->len = len;
	w->done = done;
	f->waiting_bytes += len;
	list_push_back(&f->waiting, &w->node);
}

/* What a failed write means: true: the frame is lost, the interface goes on. */
static bool lost(struct interface *f, long error)
{
	switch (error) {
	case -EIO: /* a tap that is down */
	case -EINVAL:
	case -ENOBUFS:
	case -ENOMEM:
	case -EMSGSIZE:
		MIB2_STATS_NETIF_INC(&f->netif, ifouterrors);
		return true;
	default:
		interface_set_gone(f);
		return false;
	}
}

void interface_drop_waiting(struct interface *f)
{
	list_for_each_safe(w, next, &f->waiting, struct waiting, node) {
		list_remove(&w->node);
		lwip_free(w);
	}
	f->waiting_bytes = 0;
}

bool interface_write_waiting(struct interface *f)
{
	while (!list_empty(&f->waiting)) {
		struct waiting *w = list_first(&f->waiting, struct waiting, node);
		struct frame_part part = {w->data + w->done, w->len - w->done};
		long r = platform_frame_write(f->at, &part, 1);
		if (r == -EAGAIN || r == -EINTR || (r < 0 && !lost(f, r)))
			return false;
		if (r > 0 && is_stream(f) && (size_t)r < part.len) {
			w->done += (size_t)r;
			return false;
		}
		f->waiting_bytes -= w->len;
		list_remove(&w->node);
		lwip_free(w);
	}
	return true;
}

/* Puts frames from i on into `parts`, as many as fit. Returns how many frames. */
static unsigned gather(struct interface *f, unsigned i, unsigned max, unsigned *ret_parts, size_t *ret_bytes)
{
	unsigned n = 0, frames = 0;
	size_t bytes = 0;

	for (; frames < max && i < f->batch_count; i++, frames++) {
		struct pbuf *p = f->batch[i];
		if (n + 1 + pbuf_clen(p) > PARTS_MAX || (frames && is_stream(f) && bytes + header_bytes(f) + p->tot_len > WRITE_BYTES))
			break;
		parts[n++] = (struct frame_part){&f->header[i], header_bytes(f)};
		bytes += header_bytes(f) + p->tot_len;
		for (; p; p = p->next)
			if (p->len)
				parts[n++] = (struct frame_part){p->payload, p->len};
	}
	*ret_parts = n;
	*ret_bytes = bytes;
	return frames;
}

/* Writes the batch from i on. Returns the first frame that was not taken, *ret_done bytes of it were. */
static unsigned write_batch(struct interface *f, size_t *ret_done)
{
	bool stream = is_stream(f);
	unsigned i = 0, n;
	size_t bytes;

	*ret_done = 0;
	while (i < f->batch_count) {
		unsigned frames = gather(f, i, stream ? BATCH_FRAMES : 1, &n, &bytes);
		if (!frames) { /* in more parts than a write can have */
			i++;
			continue;
		}
		long r = platform_frame_write(f->at, parts, n);
		if (r == -EAGAIN || r == -EINTR)
			return i;
		if (r < 0 && !lost(f, r))
			return i;
		if (r < 0 || !stream || (size_t)r == bytes) {
			i += frames;
			continue;
		}
		for (; (size_t)r >= header_bytes(f) + f->batch[i]->tot_len; i++)
			r -= (long)header_bytes(f) + f->batch[i]->tot_len;
		*ret_done = (size_t)r;
		return i;
	}
	return i;
}

static void flush(struct interface *f)
{
	size_t done = 0;
	unsigned i = 0;

	if (!f->batch_count)
		return;
	if (!f->gone && interface_write_waiting(f))
		i = write_batch(f, &done);
	for (; !f->gone && i < f->batch_count; i++, done = 0)
		wait_for_room(f, i, done);
	for (i = 0; i < f->batch_count; i++)
		pbuf_free(f->batch[i]);
	f->batch_count = 0;
}

void interfaces_flush(void)
{
	for (unsigned i = 0; i < interface_count; i++)
		flush(interfaces[i]);
	tcp_frames_left();
}
