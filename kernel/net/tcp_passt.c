/* TCP over passt: a handshake that its other end does not complete. Owns nothing. */
#include "kernel/net/net.h"
#include "kernel/net/tcp.h"

#include "lwip/inet_chksum.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/prot/ip4.h"
#include "lwip/prot/ip6.h"

/* passt, when it forwards a connection to the cell, leaves out the last step of the handshake until its client sends something:
 * a server that speaks first would wait for ever. It is a proxy whose client was connected before it asked us, and from our
 * SYN-ACK on it takes data; so once passt has read that, the connection stands: lwIP gets the acknowledgement from us.
 *
 * That it has read it must be certain: frames of one connection that passt (2023) reads together with a SYN-ACK send it into an
 * endless loop. So it is asked for something that it answers at once. For the same reason a SYN-ACK is not sent twice; between
 * passt's socket and ours nothing is lost.
 */
static void complete(struct tcp_socket *s, struct netif *n)
{
	const struct tcp_pcb *pcb = s->pcb;
	bool v4 = IP_IS_V4_VAL(pcb->remote_ip);
	unsigned ip_len = v4 ? IP_HLEN : IP6_HLEN;

	struct pbuf *p = pbuf_alloc(PBUF_RAW, (u16_t)(ip_len + TCP_HLEN), PBUF_RAM);
	if (!p)
		return;
	memset(p->payload, 0, p->len);
	struct tcp_hdr *tcp = (struct tcp_hdr *)((uint8_t *)p->payload + ip_len);
	tcp->src = lwip_htons(pcb->remote_port);
	tcp->dest = lwip_htons(pcb->local_port);
	tcp->seqno = lwip_htonl(pcb->rcv_nxt);
	tcp->ackno = lwip_htonl(pcb->snd_nxt);
	tcp->wnd = lwip_htons((u16_t)vb_min(pcb->snd_wnd, 0xffffu));
	TCPH_HDRLEN_FLAGS_SET(tcp, TCP_HLEN / 4, TCP_ACK);
	pbuf_remove_header(p, ip_len);
	tcp->chksum = ip_chksum_pseudo(p, IP_PROTO_TCP, TCP_HLEN, &pcb->remote_ip, &pcb->local_ip);
	pbuf_add_header(p, ip_len);
	if (v4) {
		struct ip_hdr *ip = p->payload;
		IPH_VHL_SET(ip, 4, IP_HLEN / 4);
		IPH_LEN_SET(ip, lwip_htons(p->tot_len));
		IPH_TTL_SET(ip, 64);
		IPH_PROTO_SET(ip, IP_PROTO_TCP);
		memcpy(&ip->src, ip_2_ip4(&pcb->remote_ip), 4);
		memcpy(&ip->dest, ip_2_ip4(&pcb->local_ip), 4);
		IPH_CHKSUM_SET(ip, inet_chksum(ip, IP_HLEN));
	} else {
		struct ip6_hdr *ip = p->payload;
		IP6H_VTCFL_SET(ip, 6, 0, 0);
		IP6H_PLEN_SET(ip, TCP_HLEN);
		IP6H_NEXTH_SET(ip, IP_PROTO_TCP);
		IP6H_HOPLIM_SET(ip, 64);
		memcpy(&ip->src, ip_2_ip6(&pcb->remote_ip)->addr, 16);
		memcpy(&ip->dest, ip_2_ip6(&pcb->local_ip)->addr, 16);
	}
	if (ip_input(p, n) != ERR_OK)
		pbuf_free(p);
}

void tcp_complete_handshake(struct tcp_socket *s)
{
	struct tcp_pcb *pcb = s->pcb;
	struct netif *n = ip_route(&pcb->local_ip, &pcb->remote_ip);

	if (!n || !interface_passt(n) || !pcb->unacked || pcb->unsent)
		return;
	pcb->rtime = 0; /* never sent again */
	if (!s->asked)
		s->asked = interface_ask(n);
	else if ((int32_t)(interface_answered(n) - s->asked) >= 0 && s->listener->accept_count <= s->listener->backlog)
		complete(s, n); /* else when the program has accepted some */
}
