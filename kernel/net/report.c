/* What the network is doing, for `vauban inspect`: interfaces and sockets as of now, in one message of fixed size. Owns nothing. */
#include "kernel/net/report.h"

#include "kernel/net/datagram.h"
#include "kernel/net/link.h"
#include "kernel/net/tcp.h"
#include "kernel/platform/platform.h"

#include <vauban/message.h>

enum { STATE_CLOSE = 7, STATE_LISTEN = 10 }; /* include/net/tcp_states.h */

static void copy_address(const struct inet_socket *s, const ip_addr_t *ip, uint8_t ret[16])
{
	uint8_t name[SOCKET_NAME_BYTES];

	inet_name_encode(s, ip, 0, name);
	if (s->base.family == AF_INET)
		memcpy(ret, name + 4, 4);
	else
		memcpy(ret, name + 8, 16);
}

static void add_socket(struct vb_msg_net_report *r, const struct inet_socket *s, const struct vb_net_socket *known)
{
	r->socket_total++;
	if (r->socket_count == VB_NET_SOCKETS_MAX)
		return;
	struct vb_net_socket *v = &r->socket[r->socket_count++];

	*v = *known;
	v->v6 = s->base.family != AF_INET;
	v->local_port = s->local_port;
	v->remote_port = s->remote_port;
	copy_address(s, &s->local, v->local);
	copy_address(s, &s->remote, v->remote);
}

static void add_tcp(struct inet_socket *s, void *arg)
{
	const struct tcp_socket *c = tcp_of(&s->base);
	struct vb_net_socket v = {.protocol = IPPROTO_TCP, .state = (uint8_t)tcp_state(c)};

	if (v.state == STATE_CLOSE)
		return;
	if (v.state == STATE_LISTEN)
		v.receive_bytes = c->accept_count;
	else
		v.send_bytes = (uint32_t)(c->written - c->acked), v.receive_bytes = (uint32_t)c->received_bytes;
	add_socket(arg, s, &v);
}

static void add_udp(struct inet_socket *s, void *arg)
{
	struct vb_net_socket v = {.protocol = IPPROTO_UDP, .state = STATE_CLOSE, .receive_bytes = (uint32_t)datagram_of(&s->base)->charged};

	add_socket(arg, s, &v);
}

static void fill_link(struct vb_net_link *v, unsigned index)
{
	struct link l;
	struct link_address a;

	if (!link_get(index, &l))
		return;
	v->up = (l.flags & IFF_RUNNING) != 0;
	v->packets_in = l.in.packets;
	v->bytes_in = l.in.bytes;
	v->packets_out = l.out.packets;
	v->bytes_out = l.out.bytes;
	for (unsigned n = 0; link_address_get(n, AF_INET, &a); n++)
		if (a.index == index)
			memcpy(v->ip4, a.ip, 4), v->prefix4 = (uint8_t)a.prefix;
	for (unsigned n = 0; link_address_get(n, AF_INET6, &a); n++)
		if (a.index == index && !a.tentative && (a.ip[0] != 0xfe || !v->prefix6)) /* a link-local one only for want of another */
			memcpy(v->ip6, a.ip, 16), v->prefix6 = (uint8_t)a.prefix;
}

void net_report(void)
{
	const struct vb_message header = {.type = VB_MSG_NET_REPORT};
	struct vb_msg_net_report *r = kzalloc(sizeof(*r));

	if (!r)
		return; /* the monitor does not wait for ever */
	r->started = inet_started;
	for (unsigned i = 0; inet_started && i < boot->net_count && i < VB_ARRAY_LEN(r->link); i++)
		fill_link(&r->link[i], LINK_LO + 1 + i);
	if (inet_started) {
		inet_port_for_each(IPPROTO_TCP, add_tcp, r);
		inet_port_for_each(IPPROTO_UDP, add_udp, r);
	}
	platform_send(&header, sizeof(header), r, sizeof(*r));
	kfree(r);
}
