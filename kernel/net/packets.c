/* The way of IP packets from lwIP to datagram sockets: UDP, ICMP and ICMPv6 always, other protocols while a raw socket wants
 * them. Owns lwIP's raw pcbs, one for each protocol, and what ICMP errors mean. Packets are hostile: lwIP has checked the IP
 * header, all else is checked here.
 */
#include "kernel/net/datagram.h"

#include "lwip/icmp.h"
#include "lwip/inet_chksum.h"
#include "lwip/ip4.h"
#include "lwip/ip6.h"
#include "lwip/prot/icmp.h"
#include "lwip/prot/icmp6.h"
#include "lwip/raw.h"

#define MTU_MIN6    1280u
#define QUOTE_BYTES 8u /* of the transport header that an ICMP error quotes at least */

static struct raw_pcb *pcbs[256];
static unsigned wanted[256];

/* What ICMP's unreachable codes mean (icmp_err_convert of Linux). */
static const struct {
	uint8_t error;
	bool hard;
} unreachable4[] = {
	{ENETUNREACH, false},
	{EHOSTUNREACH, false},
	{ENOPROTOOPT, true},
	{ECONNREFUSED, true},
	{EMSGSIZE, false},
	{EOPNOTSUPP, false},
	{ENETUNREACH, true},
	{EHOSTDOWN, true},
	{ENONET, true},
	{ENETUNREACH, true},
	{EHOSTUNREACH, true},
	{ENETUNREACH, false},
	{EHOSTUNREACH, false},
	{EHOSTUNREACH, true},
	{EHOSTUNREACH, true},
	{EHOSTUNREACH, true},
}, unreachable6[] = {
	{ENETUNREACH, false},
	{EACCES, true},
	{EHOSTUNREACH, false},
	{EHOSTUNREACH, false},
	{ECONNREFUSED, true},
	{EACCES, true},
	{EACCES, true},
};

/* The packet that lwIP is at: p at its IP header. */
static struct packet current_packet(struct pbuf *p)
{
	bool v6 = ip_current_is_v6();
	struct packet k = {.p = p,
		.from = *ip_current_src_addr(),
		.to = *ip_current_dest_addr(),
		.index = netif_get_index(ip_current_input_netif())};

	k.ttl = v6 ? IP6H_HOPLIM(ip6_current_header()) : IPH_TTL(ip4_current_header());
	k.tos = v6 ? (uint8_t)IP6H_TC(ip6_current_header()) : IPH_TOS(ip4_current_header());
	return k;
}

/* --- ICMP errors --- */

static bool meaning4(const struct icmp_echo_hdr *h, struct datagram_failure *f)
{
	switch (h->type) {
	case ICMP_DUR:
		f->error = h->code < VB_ARRAY_LEN(unreachable4) ? unreachable4[h->code].error : EHOSTUNREACH;
		f->hard = h->code < VB_ARRAY_LEN(unreachable4) && unreachable4[h->code].hard;
		if (h->code == ICMP_DUR_FRAG) {
			f->hard = true;
			f->info = lwip_ntohs(h->seqno);
		}
		return true;
	case ICMP_TE:
		f->error = EHOSTUNREACH;
		return true;
	case ICMP_PP:
		f->error = EPROTO;
		f->hard = true;
		return true;
	default:
		return false;
	}
}

static bool meaning6(const struct icmp6_hdr *h, struct datagram_failure *f)
{
	switch (h->type) {
	case ICMP6_TYPE_DUR:
		f->error = h->code < VB_ARRAY_LEN(unreachable6) ? unreachable6[h->code].error : EPROTO;
		f->hard = h->code >= VB_ARRAY_LEN(unreachable6) || unreachable6[h->code].hard;
		return true;
	case ICMP6_TYPE_PTB:
		f->error = EMSGSIZE;
		f->hard = true;
		f->info = lwip_ntohl(h->data);
		return true;
	case ICMP6_TYPE_TE:
		f->error = EHOSTUNREACH;
		return true;
	case ICMP6_TYPE_PP:
		f->error = EPROTO;
		f->hard = true;
		f->info = lwip_ntohl(h->data);
		return true;
	default:
		return false;
	}
}

/* Decodes the quoted IP header at `at`: who sent what to whom. False: it quotes too little, or nothing of ours. */
struct quoted {
	ip_addr_t local;
	uint8_t protocol;
	uint16_t at; /* the transport header */
	uint8_t header[QUOTE_BYTES];
};

static bool decode_quoted(const struct pbuf *p, uint16_t at, bool v6, struct quoted *q, struct datagram_failure *f)
{
	struct ip_hdr v4h;
	struct ip6_hdr v6h;

	if (v6) {
		ip6_addr_t a = {0};
		if (pbuf_copy_partial(p, &v6h, sizeof(v6h), at) != sizeof(v6h) || IP6H_V(&v6h) != 6)
			return false;
		ip6_addr_copy_from_packed(a, v6h.src);
		ip_addr_copy_from_ip6(q->local, a);
		ip6_addr_copy_from_packed(a, v6h.dest);
		ip_addr_copy_from_ip6(f->to, a);
		q->protocol = IP6H_NEXTH(&v6h);
		q->at = (uint16_t)(at + sizeof(v6h));
	} else {
		if (pbuf_copy_partial(p, &v4h, sizeof(v4h), at) != sizeof(v4h) || IPH_V(&v4h) != 4 || IPH_HL_BYTES(&v4h) < sizeof(v4h))
			return false;
		ip_addr_set_ip4_u32(&q->local, v4h.src.addr);
		ip_addr_set_ip4_u32(&f->to, v4h.dest.addr);
		q->protocol = IPH_PROTO(&v4h);
		q->at = (uint16_t)(at + IPH_HL_BYTES(&v4h));
	}
	return pbuf_copy_partial(p, q->header, sizeof(q->header), q->at) == sizeof(q->header) && inet_is_local(&q->local);
}

static uint16_t be16(const uint8_t *b)
{
	return (uint16_t)(b[0] << 8 | b[1]);
}

/* Tells the socket whose packet the ICMP message is about. True: lwIP is not to see it, as it would believe any MTU. */
static bool dispatch_error(struct pbuf *p, uint16_t header_len)
{
	bool v6 = ip_current_is_v6();
	struct datagram_failure f = {.origin = v6 ? SO_EE_ORIGIN_ICMP6 : SO_EE_ORIGIN_ICMP, .offender = *ip_current_src_addr()};
	struct icmp_echo_hdr h4;
	struct icmp6_hdr h6;
	struct quoted q;

	if (pbuf_copy_partial(p, &h4, sizeof(h4), header_len) != sizeof(h4))
		return false;
	memcpy(&h6, &h4, sizeof(h6));
	bool too_big = v6 && h6.type == ICMP6_TYPE_PTB;
	if (too_big && lwip_ntohl(h6.data) < MTU_MIN6)
		return true;
	if (!(v6 ? meaning6(&h6, &f) : meaning4(&h4, &f)) || !decode_quoted(p, (uint16_t)(header_len + sizeof(h4)), v6, &q, &f))
		return too_big;
	f.type = h4.type;
	f.code = h4.code;
	uint16_t local_port = be16(q.header);
	f.port = be16(q.header + 2);
	uint16_t data_at = (uint16_t)(q.at + QUOTE_BYTES);
	switch (q.protocol) {
	case IPPROTO_UDP:
		udp_failed(&f, &q.local, local_port, p, data_at);
		break;
	case IPPROTO_TCP:
		tcp_icmp_error(&q.local, local_port, &f.to, f.port, (uint32_t)be16(q.header + 4) << 16 | be16(q.header + 6), f.error, f.info);
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		f.port = 0;
		ping_failed(&f, be16(q.header + 4), p, q.at);
		break;
	}
	raw_failed(&f, q.protocol, &q.local, p, q.at);
	return too_big && q.protocol == IPPROTO_TCP;
}

static bool icmp_checksum_ok(struct pbuf *p, uint16_t header_len)
{
	bool ok = true;

	IF__NETIF_CHECKSUM_ENABLED(ip_current_input_netif(), NETIF_CHECKSUM_CHECK_ICMP)
	ok = false;
	if (ok)
		return true;
	pbuf_remove_header(p, header_len);
	ok = ip_current_is_v6() ? !ip6_chksum_pseudo(p, IP6_NEXTH_ICMP6, p->tot_len, ip6_current_src_addr(), ip6_current_dest_addr())
				: !inet_chksum_pbuf(p);
	pbuf_add_header_force(p, header_len);
	return ok;
}

/* --- from lwIP: returns whether the packet was taken --- */

static u8_t receive_udp(struct pbuf *p, struct packet *k, uint16_t header_len)
{
	struct pbuf *rest;
	uint16_t ports[2];

	if (pbuf_copy_partial(p, ports, sizeof(ports), header_len) != sizeof(ports) || !udp_wanted(k, lwip_ntohs(ports[0]), lwip_ntohs(ports[1])))
		return 0; /* lwIP's own, or an unreachable port */
	rest = pbuf_free_header(p, header_len);
	k->p = rest;
	udp_packet(k);
	return 1;
}

static u8_t receive(void *arg, struct raw_pcb *pcb, struct pbuf *p, const ip_addr_t *from)
{
	struct packet k = current_packet(p);
	uint16_t header_len = ip_current_header_tot_len();
	uint8_t protocol = pcb->protocol;
	bool taken = false;

	if (header_len > p->len)
		return 0;
	if (protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6) {
		if (ip_current_is_v6() != (protocol == IPPROTO_ICMPV6) || !icmp_checksum_ok(p, header_len))
			return 0;
		taken = dispatch_error(p, header_len);
		ping_packet(&k, header_len);
	}
	if (wanted[protocol])
		raw_packet(&k, protocol, header_len);
	if (taken)
		pbuf_free(p);
	return taken ? 1 : protocol == IPPROTO_UDP ? receive_udp(p, &k, header_len) : 0;
}

static int take(uint8_t protocol)
{
	if (pcbs[protocol])
		return 0;
	struct raw_pcb *pcb = raw_new_ip_type(IPADDR_TYPE_ANY, protocol);
	if (!pcb)
		return -ENOBUFS;
	raw_recv(pcb, receive, NULL);
	pcbs[protocol] = pcb;
	return 0;
}

int packets_start(void)
{
	int r = inet_start();

	r = r ? r : take(IPPROTO_UDP);
	r = r ? r : take(IPPROTO_ICMP);
	return r ? r : take(IPPROTO_ICMPV6);
}

int packets_want(uint8_t protocol)
{
	int r = take(protocol);

	wanted[protocol] += !r;
	return r;
}

void packets_unwant(uint8_t protocol)
{
	bool always = protocol == IPPROTO_UDP || protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6;

	if (--wanted[protocol] || always)
		return;
	raw_remove(pcbs[protocol]);
	pcbs[protocol] = NULL;
}

bool packets_wanted(uint8_t protocol)
{
	return wanted[protocol];
}
