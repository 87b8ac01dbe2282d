/* The network interfaces eth0 ... of the cell: frames between lwIP and the descriptors that the tender was given. Owns the
 * buffers of both ways. Frames come from a hostile network: lengths are checked here, all else by lwIP.
 *
 * Frames that lwIP sends are collected and leave when it is done with what it was called for (interfaces_flush): for a stream
 * many in one host call. They are not copied: the batch holds a reference to each. Only when the other end is full are they
 * copied into a bounded queue.
 */
#include "kernel/net/inet.h"
#include "kernel/net/lwip/glue.h"
#include "kernel/net/lwip/hooks.h"
#include "kernel/net/net.h"
#include "kernel/net/netlink.h"
#include "kernel/net/tcp.h"
#include "kernel/platform/platform.h"

#include "lwip/dhcp.h"
#include "lwip/etharp.h"
#include "lwip/ethip6.h"
#include "lwip/igmp.h"
#include "lwip/ip4.h"
#include "lwip/ip6.h"
#include "lwip/mld6.h"
#include "lwip/priv/nd6_priv.h"
#include "lwip/prot/ethernet.h"
#include "lwip/prot/icmp6.h"
#include "lwip/prot/igmp.h"
#include "lwip/prot/ip4.h"
#include "lwip/prot/ip6.h"
#include "lwip/prot/tcp.h"
#include "lwip/prot/udp.h"
#include "lwip/snmp.h"

#include <vauban/message.h>

#define ETHER_BYTES   14u
#define FRAME_MAX     (ETHER_BYTES + 65535u)
#define BUDGET_FRAMES 64u  /* of one interface a poll */
#define BUDGET_READS  4u   /* the same for a stream, where a read brings many */
#define BATCH_FRAMES  64u
#define PARTS_MAX     1024u
#define WRITE_BYTES   (32u << 10) /* at once to a stream: the host takes so many whole or not at all, and passt needs whole frames */
#define QUEUE_BYTES   (512u << 10) /* frames that wait for room */
#define STREAM_BYTES  (256u << 10) /* read at once from a stream */
#define KEEP_BYTES    8192u        /* larger frames are not copied out of the buffer that they were read into */
#define COARSE_ASK_MS 7000u        /* lwIP gives up asking for a neighbour after 5 s */

/* linux/virtio_net.h */
struct virtio_header {
	uint8_t flags, gso_type;
	uint16_t header_len, gso_size, csum_start, csum_offset, buffers;
};
_Static_assert(sizeof(struct virtio_header) == 12, "struct virtio_net_hdr_v1");
enum { VIRTIO_NEEDS_CSUM = 1, VIRTIO_DATA_VALID = 2, VIRTIO_GSO_TCPV4 = 1, VIRTIO_GSO_TCPV6 = 4 };

/* A frame that waits: its bytes as they are to be written, header included. */
struct waiting {
	struct list node;
	size_t len, done; /* done: of a stream, already written */
	uint8_t data[];
};

/* A buffer that a frame was read into and that lwIP now has. */
struct received {
	struct pbuf_custom pbuf;
	uint8_t data[];
};

struct interface {
	struct netif netif;
	const struct vb_boot_net *boot;
	unsigned at; /* number of the descriptor */
	bool started, gone, burst;
	uint32_t asked, answered; /* ARP requests and answers; passt's come in order, one each */

	struct received *buffer; /* frames are read into it */
	size_t buffer_bytes, have; /* have: of a stream, bytes not yet taken */

	struct pbuf *batch[BATCH_FRAMES];
	struct virtio_header header[BATCH_FRAMES]; /* or a stream's length */
	unsigned batch_count;
	struct list waiting;
	size_t waiting_bytes;
};

struct wait_queue interface_room = {LIST_INIT(interface_room.entries)};
static struct interface *interfaces[VB_NETS_MAX];
static unsigned interface_count;
static struct frame_part parts[PARTS_MAX];

static struct interface *interface_of(struct netif *netif)
{
	return netif->state;
}

bool interface_congested(const struct netif *netif)
{
	const struct interface *f = netif->state;
	return f && !list_empty(&f->waiting);
}

bool interface_offload(const struct netif *netif)
{
	const struct interface *f = netif->state;
	return f && f->boot->kind == VB_NET_PACKET && (f->boot->flags & VB_NET_OFFLOAD);
}

bool interface_passt(const struct netif *netif)
{
	const struct interface *f = netif->state;
	return f && (f->boot->flags & VB_NET_PASST);
}

/* Its address, or whether it is up. */
static void changed(struct netif *netif)
{
	netlink_interface_changed(netif_get_index(netif), true);
}

/* The other end has gone, for good. */
static void set_gone(struct interface *f)
{
	if (f->gone)
		return;
	f->gone = true;
	klog(1, "network interface eth%u is gone", f->at);
	list_for_each_safe(w, next, &f->waiting, struct waiting, node) {
		list_remove(&w->node);
		lwip_free(w);
	}
	f->waiting_bytes = 0;
	netif_set_link_down(&f->netif);
	wait_queue_wake(&interface_room, POLL_OUT | POLL_WRNORM);
	netlink_interface_changed(netif_get_index(&f->netif), false);
}

/* --- sending --- */

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

static err_t link_output(struct netif *netif, struct pbuf *p)
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
	if (f->boot->kind == VB_NET_STREAM)
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
	return f->boot->kind == VB_NET_STREAM ? 4 : sizeof(struct virtio_header);
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
			set_gone(f);
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
		set_gone(f);
		return false;
	}
}

/* Writes what waited. True: none is left. */
static bool write_waiting(struct interface *f)
{
	while (!list_empty(&f->waiting)) {
		struct waiting *w = list_first(&f->waiting, struct waiting, node);
		struct frame_part part = {w->data + w->done, w->len - w->done};
		long r = platform_frame_write(f->at, &part, 1);
		if (r == -EAGAIN || r == -EINTR || (r < 0 && !lost(f, r)))
			return false;
		if (r > 0 && f->boot->kind == VB_NET_STREAM && (size_t)r < part.len) {
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
		if (n + 1 + pbuf_clen(p) > PARTS_MAX || (frames && f->boot->kind == VB_NET_STREAM && bytes + header_bytes(f) + p->tot_len > WRITE_BYTES))
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
	bool stream = f->boot->kind == VB_NET_STREAM;
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
	if (!f->gone && write_waiting(f))
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

/* --- receiving --- */

static void received_free(struct pbuf *p)
{
	lwip_free(p); /* the pbuf comes first in struct received */
}

/* Questions for our multicast groups; that others report theirs is nothing to us. */
static bool is_query(const struct pbuf *p)
{
	const uint8_t *ip = p->payload;

	return p->len >= IP_HLEN + 8 && ip[9] == IP_PROTO_IGMP && p->len > (ip[0] & 15) * 4 && ip[(ip[0] & 15) * 4] == IGMP_MEMB_QUERY;
}

static bool is_query6(const struct pbuf *p)
{
	const uint8_t *ip = p->payload;

	return p->len > IP6_HLEN + 8 && ip[6] == IP6_NEXTH_HOPBYHOP && ip[IP6_HLEN] == IP6_NEXTH_ICMP6 && ip[IP6_HLEN + 8] == ICMP6_TYPE_MLQ;
}

/* lwIP reads the fixed headers without looking whether they are there. */
static bool too_short(unsigned type, const struct pbuf *p)
{
	return p->len < (type == ETHTYPE_IP ? IP_HLEN : type == ETHTYPE_IPV6 ? IP6_HLEN : type == ETHTYPE_ARP ? SIZEOF_ETHARP_HDR : 0);
}

/* Hands a packet to lwIP, which takes the reference. */
static void deliver(struct interface *f, const uint8_t *frame, struct pbuf *p)
{
	unsigned type = (unsigned)frame[12] << 8 | frame[13];
	bool own = memcmp(frame, f->netif.hwaddr, 6) == 0;

	if ((!own && !(frame[0] & 1)) || too_short(type, p)) { /* a switch floods what is for others */
		pbuf_free(p);
		return;
	}
	MIB2_STATS_NETIF_ADD(&f->netif, ifinoctets, p->tot_len + ETHER_BYTES);
	if (own)
		MIB2_STATS_NETIF_INC(&f->netif, ifinucastpkts);
	else
		MIB2_STATS_NETIF_INC(&f->netif, ifinnucastpkts);
	if (!own)
		p->flags |= memcmp(frame, "\xff\xff\xff\xff\xff\xff", 6) ? PBUF_FLAG_LLMCAST : PBUF_FLAG_LLBCAST;
	switch (type) {
	case ETHTYPE_IP:
		if (p->len >= IP_HLEN && IPH_OFFSET((const struct ip_hdr *)p->payload) & PP_HTONS(IP_MF | IP_OFFMASK))
			net_coarse_until((IP_REASS_MAXAGE + 1) * 1000);
		if (is_query(p))
			net_coarse_until(26000); /* it is answered within 25.5 s */
		ip4_input(p, &f->netif);
		break;
	case ETHTYPE_IPV6:
		if (p->len > IP6_HLEN && ((const uint8_t *)p->payload)[6] == IP6_NEXTH_FRAGMENT)
			net_coarse_until((IPV6_REASS_MAXAGE + 1) * 1000);
		if (is_query6(p))
			net_coarse_until(11000);
		ip6_input(p, &f->netif);
		break;
	case ETHTYPE_ARP:
		if (p->len >= 28 && ((const uint8_t *)p->payload)[7] == 2) {
			f->answered++;
			tcp_answered();
		}
		etharp_input(p, &f->netif);
		break;
	default:
		MIB2_STATS_NETIF_INC(&f->netif, ifinunknownprotos);
		pbuf_free(p);
	}
}

/* A frame in a buffer that is used again. */
static void receive_copy(struct interface *f, const uint8_t *frame, size_t len)
{
	struct pbuf *p = len >= ETHER_BYTES && len <= FRAME_MAX ? pbuf_alloc(PBUF_RAW, (u16_t)(len - ETHER_BYTES), PBUF_RAM) : NULL;

	if (!p) {
		MIB2_STATS_NETIF_INC(&f->netif, ifindiscards);
		return;
	}
	memcpy(p->payload, frame + ETHER_BYTES, len - ETHER_BYTES);
	deliver(f, frame, p);
}

/* A frame that lwIP gets with the buffer that it was read into. */
static void receive_buffer(struct interface *f, uint8_t *frame, size_t len)
{
	struct received *r = f->buffer;

	f->buffer = NULL;
	if (len < f->buffer_bytes / 2)
		lwip_shrink(r, (size_t)(frame + len - (uint8_t *)r));
	r->pbuf.custom_free_function = received_free;
	struct pbuf *p = pbuf_alloced_custom(PBUF_RAW, (u16_t)(len - ETHER_BYTES), PBUF_REF, &r->pbuf, frame + ETHER_BYTES, (u16_t)(len - ETHER_BYTES));
	deliver(f, frame, p);
}

static bool buffer_ready(struct interface *f)
{
	if (!f->buffer)
		f->buffer = lwip_malloc(sizeof(*f->buffer) + f->buffer_bytes);
	return f->buffer;
}

/* One frame. False: no more. */
static bool read_packet(struct interface *f)
{
	struct virtio_header h;

	if (!buffer_ready(f))
		return false;
	long r = platform_frame_read(f->at, f->buffer->data, f->buffer_bytes);
	if (r <= 0) {
		if (r != -EAGAIN && r != -EINTR)
			set_gone(f);
		return false;
	}
	if (r < (long)(sizeof(h) + ETHER_BYTES))
		return true;
	memcpy(&h, f->buffer->data, sizeof(h));
	uint8_t *frame = f->buffer->data + sizeof(h);
	size_t len = (size_t)r - sizeof(h);
	if (interface_offload(&f->netif)) /* sums that the other side vouches for, and those that it left for later */
		NETIF_SET_CHECKSUM_CTRL(&f->netif, h.flags & (VIRTIO_NEEDS_CSUM | VIRTIO_DATA_VALID) ?
							   NETIF_CHECKSUM_ENABLE_ALL & ~(NETIF_CHECKSUM_GEN_TCP | NETIF_CHECKSUM_CHECK_TCP | NETIF_CHECKSUM_CHECK_UDP) :
							   NETIF_CHECKSUM_ENABLE_ALL & ~NETIF_CHECKSUM_GEN_TCP);
	/* A buffer is given away only while there will be another: an interface without one is deaf. */
	if (len > KEEP_BYTES && lwip_memory_used() < lwip_memory_limit() / 4 * 3)
		receive_buffer(f, frame, len);
	else
		receive_copy(f, frame, len);
	return true;
}

/* As many frames as one read brings. False: no more. */
static bool read_stream(struct interface *f)
{
	if (!buffer_ready(f))
		return false;
	uint8_t *data = f->buffer->data;
	long r = platform_frame_read(f->at, data + f->have, f->buffer_bytes - f->have);
	if (r <= 0) {
		if (r != -EAGAIN && r != -EINTR)
			set_gone(f);
		return false;
	}
	f->have += (size_t)r;
	size_t at = 0;
	for (;;) {
		uint32_t len;
		if (f->have - at < sizeof(len))
			break;
		memcpy(&len, data + at, sizeof(len));
		len = lwip_ntohl(len);
		if (len > FRAME_MAX) { /* frames can't be told apart any more */
			set_gone(f);
			return false;
		}
		if (f->have - at - sizeof(len) < len)
			break;
		receive_copy(f, data + at + sizeof(len), len);
		at += sizeof(len) + len;
	}
	f->have -= at;
	memmove(data, data + at, f->have);
	return true;
}

bool interfaces_poll(bool told)
{
	bool any = false;

	for (unsigned i = 0; i < interface_count; i++) {
		struct interface *f = interfaces[i];
		/* A read that finds nothing costs as much as one that finds something: who was told of a frame looks for no second
		 * one, unless there were more than one the last time. The next look comes before the next wait. */
		unsigned frames = 0, budget = told && !f->burst ? 1 : f->boot->kind == VB_NET_STREAM ? BUDGET_READS : BUDGET_FRAMES;
		while (!f->gone && f->started && frames < budget && (f->boot->kind == VB_NET_STREAM ? read_stream(f) : read_packet(f)))
			frames++;
		if (!told)
			f->burst = frames > 0;
		any |= frames > 0;
	}
	return any;
}

bool interface_no_neighbour(struct netif *netif, const ip_addr_t *to)
{
	struct eth_addr *mac;
	const ip4_addr_t *found;

	if (!netif || !(netif->flags & NETIF_FLAG_ETHARP))
		return false;
	if (IP_IS_V4(to)) {
		bool on_link = ip4_addr_netcmp(ip_2_ip4(to), netif_ip4_addr(netif), netif_ip4_netmask(netif));
		return etharp_find_addr(netif, on_link ? ip_2_ip4(to) : netif_ip4_gw(netif), &mac, &found) < 0;
	}
	for (int i = 0; i < LWIP_ND6_NUM_DESTINATIONS; i++) {
		if (!ip6_addr_cmp_zoneless(&destination_cache[i].destination_addr, ip_2_ip6(to)))
			continue;
		for (int n = 0; n < LWIP_ND6_NUM_NEIGHBORS; n++)
			if (neighbor_cache[n].state > ND6_INCOMPLETE && neighbor_cache[n].netif == netif &&
				ip6_addr_cmp_zoneless(&neighbor_cache[n].next_hop_address, &destination_cache[i].next_hop_addr))
				return false;
	}
	return true;
}

unsigned net_wanted(void)
{
	unsigned events = 0;

	for (unsigned i = 0; i < interface_count; i++)
		if (interfaces[i]->started && !interfaces[i]->gone)
			events |= (list_empty(&interfaces[i]->waiting) ? WAIT_NET : WAIT_NET | WAIT_NET_ROOM) << interfaces[i]->at;
	return events;
}

void net_ready(unsigned events)
{
	bool room = false;

	for (unsigned i = 0; i < interface_count; i++)
		if (events & WAIT_NET_ROOM << interfaces[i]->at && !list_empty(&interfaces[i]->waiting))
			room |= write_waiting(interfaces[i]);
	if (room) {
		tcp_room();
		wait_queue_wake(&interface_room, POLL_OUT | POLL_WRNORM);
	}
	net_look(true);
}

/* --- making interfaces --- */

/* lwIP asked for the MTU: from here on it counts again (interface_whole_segment). */
static void restore_mtu(struct netif *netif)
{
	netif->mtu = netif->mtu6 = (u16_t)interface_of(netif)->boot->mtu;
}

void interface_whole_segment(struct netif *netif)
{
	netif->mtu = netif->mtu6 = 0;
}

static err_t output4(struct netif *netif, struct pbuf *p, const ip4_addr_t *to)
{
	ip_addr_t ip;

	restore_mtu(netif);
	ip_addr_copy_from_ip4(ip, *to);
	return inet_is_local(&ip) ? loop_netif.output(&loop_netif, p, to) : etharp_output(netif, p, to);
}

static err_t output6(struct netif *netif, struct pbuf *p, const ip6_addr_t *to)
{
	ip_addr_t ip;

	restore_mtu(netif);
	ip_addr_copy_from_ip6(ip, *to);
	return inet_is_local(&ip) ? loop_netif.output_ip6(&loop_netif, p, to) : ethip6_output(netif, p, to);
}

static err_t init(struct netif *netif)
{
	struct interface *f = interface_of(netif);

	netif->name[0] = 'e';
	netif->name[1] = 't';
	netif->output = output4;
	netif->output_ip6 = output6;
	netif->linkoutput = link_output;
	netif->mtu = netif->mtu6 = (u16_t)f->boot->mtu;
	netif->hwaddr_len = 6;
	memcpy(netif->hwaddr, f->boot->mac, 6);
	netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET | NETIF_FLAG_IGMP | NETIF_FLAG_MLD6 | NETIF_FLAG_LINK_UP;
	if (interface_offload(netif))
		NETIF_SET_CHECKSUM_CTRL(netif, NETIF_CHECKSUM_ENABLE_ALL & ~NETIF_CHECKSUM_GEN_TCP);
	MIB2_INIT_NETIF(netif, snmp_ifType_ethernet_csmacd, 1000000000u);
	return ERR_OK;
}

static void set_addresses6(struct interface *f)
{
	const struct vb_boot_net *b = f->boot;
	static const uint8_t none[16];
	ip6_addr_t ip;

	netif_create_ip6_linklocal_address(&f->netif, 1);
	netif_ip6_addr_set_state(&f->netif, 0, IP6_ADDR_PREFERRED);
	netif_set_ip6_autoconfig_enabled(&f->netif, (b->flags & VB_NET_AUTO6) != 0);
	if (memcmp(b->ip6, none, sizeof(none)) == 0)
		return;
	memset(&ip, 0, sizeof(ip));
	memcpy(ip.addr, b->ip6, sizeof(b->ip6));
	s8_t slot;
	if (netif_add_ip6_address(&f->netif, &ip, &slot) == ERR_OK)
		netif_ip6_addr_set_state(&f->netif, slot, IP6_ADDR_PREFERRED);
}

/* There is, or will be, a gateway. */
static bool leads_on(struct netif *netif)
{
	const struct vb_boot_net *b = interface_of(netif)->boot;

	return b->flags & VB_NET_DHCP || b->gateway4[0] || b->gateway6[0];
}

static int add(unsigned at)
{
	struct interface *f = kzalloc(sizeof(*f));
	const struct vb_boot_net *b = &boot->net[at];
	ip4_addr_t ip, mask, gateway;

	if (!f)
		return -ENOMEM;
	f->boot = b;
	f->at = at;
	f->started = !(b->flags & VB_NET_LAZY);
	list_init(&f->waiting);
	if (b->kind == VB_NET_STREAM)
		f->buffer_bytes = STREAM_BYTES;
	else
		f->buffer_bytes = sizeof(struct virtio_header) + (b->flags & VB_NET_OFFLOAD ? FRAME_MAX : ETHER_BYTES + 4 + b->mtu);
	memcpy(&ip, b->ip4, 4);
	memcpy(&gateway, b->gateway4, 4);
	mask.addr = b->prefix4 ? lwip_htonl(~0u << (32 - vb_min(b->prefix4, (uint8_t)32))) : 0;
	if (b->flags & VB_NET_DHCP)
		ip.addr = mask.addr = gateway.addr = 0;
	if (!netif_add(&f->netif, &ip, &mask, &gateway, f, init, ip_input)) {
		kfree(f);
		return -ENOMEM;
	}
	interfaces[interface_count++] = f;
	netif_set_status_callback(&f->netif, changed);
	netif_set_hostname(&f->netif, vb_boot_string(boot, boot->hostname));
	/* The first interface that leads anywhere. */
	if (!netif_default || (!leads_on(netif_default) && leads_on(&f->netif)))
		netif_set_default(&f->netif);
	set_addresses6(f);
	netif_set_up(&f->netif);
	if (b->flags & VB_NET_AUTO6)
		net_coarse_until(15000); /* router solicitations */
	else
		f->netif.rs_count = 0; /* none */
	if (b->flags & VB_NET_DHCP)
		dhcp_start(&f->netif);
	return 0;
}

int interfaces_start(void)
{
	for (unsigned i = 0; i < boot->net_count; i++) {
		int r = add(i);
		if (r)
			return r;
	}
	return 0;
}

/* The router of a static IPv6 address, for lwIP's neighbour discovery. */
const ip6_addr_t *hook_gateway6(struct netif *netif, const ip6_addr_t *to)
{
	static ip6_addr_t gateway;
	struct interface *f = interface_of(netif);
	static const uint8_t none[16];

	if (!f || memcmp(f->boot->gateway6, none, sizeof(none)) == 0)
		return NULL;
	memset(&gateway, 0, sizeof(gateway));
	memcpy(gateway.addr, f->boot->gateway6, sizeof(f->boot->gateway6));
	ip6_addr_assign_zone(&gateway, IP6_UNICAST, netif);
	return &gateway;
}
