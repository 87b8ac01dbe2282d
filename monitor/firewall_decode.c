/* From a hostile frame to what the firewall judges by. Each length is checked before a byte is looked at, and what is passed on is
 * exactly what was looked at: nothing may be left for the host to understand differently. */
#include <string.h>

#include "monitor/firewall_private.h"

#define ETHERNET_BYTES 14u
#define FRAME_MIN_PAD  60u /* shorter packets may be followed by padding up to here */
#define HEADERS_MAX    4   /* of IPv6, before the protocol's own */

enum { TYPE_IP4 = 0x0800, TYPE_ARP = 0x0806, TYPE_IP6 = 0x86dd };
/* struct virtio_net_hdr_v1, little endian */
enum { HDR_NEEDS_CSUM = 1, HDR_DATA_VALID = 2 };
enum { GSO_NONE = 0, GSO_TCPV4 = 1, GSO_TCPV6 = 4, GSO_ECN = 0x80 };

static uint16_t get16_little(const uint8_t *p)
{
	return (uint16_t)(p[1] << 8 | p[0]);
}

/* ICMP of either version: types that matter. */
static bool decode_icmp(struct decoded *d)
{
	static const uint8_t errors4[] = {3, 4, 11, 12};
	if (d->payload_len < 8)
		return false;
	d->icmp_type = d->payload[0];
	d->echo_request = d->icmp_type == (d->v6 ? 128 : 8);
	d->echo_reply = d->icmp_type == (d->v6 ? 129 : 0);
	if (d->v6)
		d->error = d->icmp_type >= 1 && d->icmp_type <= 4;
	else
		d->error = memchr(errors4, d->icmp_type, sizeof(errors4)) != NULL;
	if (d->echo_request || d->echo_reply)
		d->source_port = d->destination_port = get16(d->payload + 4);
	return true;
}

/* The protocol's header. quoted: only its first 8 bytes need be there. */
static bool decode_protocol(struct decoded *d, bool quoted)
{
	const uint8_t *p = d->payload;
	switch (d->protocol) {
	case IP_TCP:
		if (d->payload_len < (quoted ? 8 : 20))
			return false;
		if (!quoted) {
			unsigned header = (unsigned)(p[12] >> 4) * 4;
			if (header < 20 || header > d->payload_len)
				return false;
			d->tcp_flags = p[13];
		}
		break;
	case IP_UDP:
		if (d->payload_len < 8 || (!quoted && (get16(p + 4) < 8 || get16(p + 4) > d->payload_len)))
			return false;
		break;
	case IP_ICMP:
	case IP_ICMP6:
		/* Each version has its own; the other's means nothing. */
		return (d->protocol == IP_ICMP6) == d->v6 && decode_icmp(d);
	default:
		return true;
	}
	d->source_port = get16(p);
	d->destination_port = get16(p + 2);
	return true;
}

/* quoted: a packet within an error, which may be cut short. */
static enum firewall_drop decode_ip4(const uint8_t *p, size_t len, bool quoted, struct decoded *d)
{
	if (len < 20 || p[0] >> 4 != 4 || (p[0] & 15) < 5)
		return FIREWALL_MALFORMED;
	size_t total = get16(p + 2);
	d->ip = true;
	memcpy(d->source, p + 12, 4);
	memcpy(d->destination, p + 16, 4);
	d->protocol = p[9];
	d->hop_limit = p[8];
	if (total < 20 || (!quoted && (total > len || (len > total && len + ETHERNET_BYTES > FRAME_MIN_PAD))))
		return FIREWALL_MALFORMED;
	if ((p[0] & 15) != 5)
		return FIREWALL_OPTIONS;
	if (get16(p + 6) & 0x3fff) /* more to come, or not the first; the bit that is not used is the sender's */
		return FIREWALL_FRAGMENT;
	d->payload = p + 20;
	d->payload_len = (total < len ? total : len) - 20;
	return decode_protocol(d, quoted) ? FIREWALL_PASS : FIREWALL_MALFORMED;
}

/* Over the headers that say nothing about the way. */
static enum firewall_drop skip_headers(struct decoded *d, uint8_t next)
{
	enum { HOP_BY_HOP = 0, ROUTING = 43, FRAGMENT = 44, DESTINATION = 60, MOBILITY = 135, HIP = 139, SHIM6 = 140 };
	for (int i = 0; next == HOP_BY_HOP || next == DESTINATION; i++) {
		if (i == HEADERS_MAX || (next == HOP_BY_HOP && i))
			return FIREWALL_OPTIONS;
		if (d->payload_len < 8)
			return FIREWALL_MALFORMED;
		size_t bytes = ((size_t)d->payload[1] + 1) * 8;
		if (bytes > d->payload_len)
			return FIREWALL_MALFORMED;
		next = d->payload[0];
		d->payload += bytes;
		d->payload_len -= bytes;
	}
	d->protocol = next;
	if (next == FRAGMENT)
		return FIREWALL_FRAGMENT;
	return next == ROUTING || next == MOBILITY || next == HIP || next == SHIM6 ? FIREWALL_OPTIONS : FIREWALL_PASS;
}

static enum firewall_drop decode_ip6(const uint8_t *p, size_t len, bool quoted, struct decoded *d)
{
	if (len < 40 || p[0] >> 4 != 6)
		return FIREWALL_MALFORMED;
	size_t payload = get16(p + 4);
	d->ip = d->v6 = true;
	d->protocol = p[6];
	d->hop_limit = p[7];
	memcpy(d->source, p + 8, 16);
	memcpy(d->destination, p + 24, 16);
	if (!quoted && (payload > len - 40 || (payload < len - 40 && len + ETHERNET_BYTES > FRAME_MIN_PAD)))
		return FIREWALL_MALFORMED;
	d->payload = p + 40;
	d->payload_len = payload < len - 40 ? payload : len - 40;
	enum firewall_drop r = skip_headers(d, p[6]);
	if (r != FIREWALL_PASS)
		return r;
	return decode_protocol(d, quoted) ? FIREWALL_PASS : FIREWALL_MALFORMED;
}

/* Orders to the host: a checksum to be filled in, segments to be cut. The sum must go where the protocol has it, or the host would
 * write over what was judged here. */
static bool offload_fits(const uint8_t *h, const uint8_t *frame, const struct decoded *d)
{
	uint8_t flags = h[0], gso = h[1] & (uint8_t)~GSO_ECN;
	uint16_t size = get16_little(h + 4), start = get16_little(h + 6), offset = get16_little(h + 8);
	if (flags & ~(HDR_NEEDS_CSUM | HDR_DATA_VALID) || (gso == GSO_NONE && h[1]))
		return false;
	if (flags & HDR_NEEDS_CSUM) {
		unsigned place = d->protocol == IP_TCP ? 16 : d->protocol == IP_UDP ? 6 : 0;
		if (!d->ip || !place || offset != place || start != (size_t)(d->payload - frame))
			return false;
	}
	if (gso == GSO_NONE)
		return true;
	return flags & HDR_NEEDS_CSUM && size > 0 && d->protocol == IP_TCP && gso == (d->v6 ? GSO_TCPV6 : GSO_TCPV4);
}

enum firewall_drop decode_frame(const uint8_t *header, const uint8_t *frame, size_t len, struct decoded *d)
{
	enum firewall_drop r;
	*d = (struct decoded){0};
	if (len < ETHERNET_BYTES)
		return FIREWALL_MALFORMED;
	d->mac_source = frame + 6;
	d->broadcast = frame[0] & 1;
	if (frame[6] & 1) /* no frame comes from a group */
		return FIREWALL_MALFORMED;
	const uint8_t *p = frame + ETHERNET_BYTES;
	size_t left = len - ETHERNET_BYTES;
	switch (get16(frame + 12)) {
	case TYPE_IP4:
		r = decode_ip4(p, left, false, d);
		break;
	case TYPE_IP6:
		r = decode_ip6(p, left, false, d);
		break;
	case TYPE_ARP:
		d->arp = true;
		d->payload = p;
		d->payload_len = left;
		r = left >= 28 ? FIREWALL_PASS : FIREWALL_MALFORMED;
		break;
	default:
		return FIREWALL_ETHERTYPE;
	}
	return r == FIREWALL_PASS && header && !offload_fits(header, frame, d) ? FIREWALL_OFFLOAD : r;
}

bool decode_quoted(const struct decoded *error, struct decoded *ret)
{
	const uint8_t *p = error->payload + 8;
	size_t len = error->payload_len - 8; /* decode_icmp() saw that there are 8 */
	*ret = (struct decoded){0};
	return (error->v6 ? decode_ip6(p, len, true, ret) : decode_ip4(p, len, true, ret)) == FIREWALL_PASS;
}
