/* Frames from the descriptors of the interfaces to lwIP. Owns the buffers that they are read into, and when to be told of
 * frames. They come from a hostile network: lengths are checked here, all else by lwIP.
 */
#include "kernel/net/inet.h"
#include "kernel/net/lwip/glue.h"
#include "kernel/net/net.h"
#include "kernel/net/netif.h"
#include "kernel/net/tcp.h"

#include "lwip/etharp.h"
#include "lwip/igmp.h"
#include "lwip/ip4.h"
#include "lwip/ip6.h"
#include "lwip/mld6.h"
#include "lwip/prot/ethernet.h"
#include "lwip/prot/icmp6.h"
#include "lwip/prot/igmp.h"
#include "lwip/snmp.h"

#define BUDGET_FRAMES 64u   /* of one interface a poll */
#define BUDGET_READS  4u    /* the same for a stream, where a read brings many */
#define KEEP_BYTES    8192u /* larger frames are not copied out of the buffer that they were read into */
#define PIECE_BYTES   3800u /* in a page */
#define BULK_BYTES    16384u
#define BULK_WAITS    4u      /* waits in a row that each brought so much: a stream of data */
#define NAP_NS        100000u /* then frames gather for so long */

static size_t come_bytes;   /* since the last wait */
static unsigned bulk_waits; /* the last ones that brought BULK_BYTES each */
static bool napped;         /* the last wait was one for frames to gather */

/* A buffer that a frame was read into and that lwIP now has. */
struct received {
	struct pbuf_custom pbuf;
	uint8_t data[];
};

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
		if (IPH_OFFSET((const struct ip_hdr *)p->payload) & PP_HTONS(IP_MF | IP_OFFMASK))
			net_coarse_until((IP_REASS_MAXAGE + 1) * 1000);
		if (is_query(p))
			net_coarse_until(26000); /* it is answered within 25.5 s */
		ip4_input(p, &f->netif);
		break;
	case ETHTYPE_IPV6:
		if (((const uint8_t *)p->payload)[6] == IP6_NEXTH_FRAGMENT)
			net_coarse_until((IPV6_REASS_MAXAGE + 1) * 1000);
		if (is_query6(p))
			net_coarse_until(11000);
		ip6_input(p, &f->netif);
		break;
	case ETHTYPE_ARP:
		if (((const uint8_t *)p->payload)[7] == 2) {
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

/* A buffer for a packet: whole, or where memory is in small pieces in such. */
static struct pbuf *packet_buffer(size_t len)
{
	struct pbuf *p = pbuf_alloc(PBUF_RAW, (u16_t)len, PBUF_RAM);

	if (p || len <= PIECE_BYTES || lwip_memory_used() + len > lwip_memory_limit())
		return p;
	for (size_t done = 0; done < len;) {
		size_t part = vb_min(len - done, (size_t)PIECE_BYTES);
		struct pbuf *piece = pbuf_alloc(PBUF_RAW, (u16_t)part, PBUF_RAM);
		if (!piece) {
			if (p)
				pbuf_free(p);
			return NULL;
		}
		if (p)
			pbuf_cat(p, piece);
		else
			p = piece;
		done += part;
	}
	return p;
}

/* A frame in a buffer that is used again. */
static void receive_copy(struct interface *f, const uint8_t *frame, size_t len)
{
	struct pbuf *p = len >= ETHER_BYTES && len <= FRAME_MAX ? packet_buffer(len - ETHER_BYTES) : NULL;

	if (!p) {
		MIB2_STATS_NETIF_INC(&f->netif, ifindiscards);
		return;
	}
	pbuf_take(p, frame + ETHER_BYTES, (u16_t)(len - ETHER_BYTES));
	deliver(f, frame, p);
}

/* A frame that lwIP gets with the buffer that it was read into; `next` is for those to come. */
static void receive_buffer(struct interface *f, struct received *next, uint8_t *frame, size_t len)
{
	struct received *r = f->buffer;

	f->buffer = next;
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
			interface_set_gone(f);
		return false;
	}
	if (r < (long)(sizeof(h) + ETHER_BYTES))
		return true;
	come_bytes += (size_t)r;
	memcpy(&h, f->buffer->data, sizeof(h));
	uint8_t *frame = f->buffer->data + sizeof(h);
	size_t len = (size_t)r - sizeof(h);
	if (interface_offload(&f->netif)) /* sums that the other side vouches for, and those that it left for later */
		NETIF_SET_CHECKSUM_CTRL(&f->netif, h.flags & (VIRTIO_NEEDS_CSUM | VIRTIO_DATA_VALID) ?
							   NETIF_CHECKSUM_ENABLE_ALL & ~(NETIF_CHECKSUM_GEN_TCP | NETIF_CHECKSUM_CHECK_TCP | NETIF_CHECKSUM_CHECK_UDP) :
							   NETIF_CHECKSUM_ENABLE_ALL & ~NETIF_CHECKSUM_GEN_TCP);
	/* A buffer is given away only for another, which is not to be had where memory is in small pieces: an interface without
	 * one would be deaf, and acknowledgements, which free memory, would not come in. */
	struct received *next = NULL;
	if (len > KEEP_BYTES && lwip_memory_used() < lwip_memory_limit() / 4 * 3)
		next = lwip_malloc(sizeof(*next) + f->buffer_bytes);
	if (next)
		receive_buffer(f, next, frame, len);
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
			interface_set_gone(f);
		return false;
	}
	come_bytes += (size_t)r;
	f->have += (size_t)r;
	size_t at = 0;
	for (;;) {
		uint32_t len;
		if (f->have - at < sizeof(len))
			break;
		memcpy(&len, data + at, sizeof(len));
		len = lwip_ntohl(len);
		if (len > FRAME_MAX) { /* frames can't be told apart any more */
			interface_set_gone(f);
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
		unsigned frames = 0, budget = told && !f->burst ? 1 : is_stream(f) ? BUDGET_READS : BUDGET_FRAMES;
		while (!f->gone && f->started && frames < budget && (is_stream(f) ? read_stream(f) : read_packet(f)))
			frames++;
		if (!told)
			f->burst = frames > 0;
		any |= frames > 0;
	}
	return any;
}

unsigned net_wanted(void)
{
	unsigned events = 0;

	for (unsigned i = 0; i < interface_count; i++)
		if (interfaces[i]->started && !interfaces[i]->gone)
			events |= (list_empty(&interfaces[i]->waiting) ? WAIT_NET : WAIT_NET | WAIT_NET_ROOM) << interfaces[i]->at;
	return events;
}

/* --- when to be told --- */

void net_answering(void)
{
	bulk_waits = 0;
}

/* True: frames are so large and come so fast that being told of each costs both sides more than the frame: several are to gather
 * first, as network cards do it. Not while the program sends, too: its peer may be waiting for that. */
static bool gather(void)
{
	bool bulk = come_bytes >= BULK_BYTES * (napped ? 2 : 1);

	bulk_waits = bulk ? bulk_waits + 1 : 0;
	come_bytes = 0;
	return napped = bulk_waits > BULK_WAITS;
}

unsigned net_wait_for(uint64_t *deadline_ns)
{
	unsigned events = net_wanted();

	if (!gather())
		return events;
	*deadline_ns = vb_min(*deadline_ns, deadline_after(NAP_NS));
	return events & ~(WAIT_NET_ROOM - WAIT_NET);
}

void net_ready(unsigned events)
{
	bool room = false;

	for (unsigned i = 0; i < interface_count; i++)
		if (events & WAIT_NET_ROOM << interfaces[i]->at && !list_empty(&interfaces[i]->waiting))
			room |= interface_write_waiting(interfaces[i]);
	if (room) {
		tcp_room();
		wait_queue_wake(&interface_room, POLL_OUT | POLL_WRNORM);
	}
	net_look(true);
}
