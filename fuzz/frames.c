/* Fuzzes the frame input of the cell kernel, with sockets of all kinds open: raw frames into both kinds of interface, packets
 * whose headers are made good enough to get further, segments that follow the TCP connections' numbers, and calls on the
 * sockets in between. Nothing may crash, assert, leak a frame's memory for ever or loop.
 *
 * Input: [operation: 1 byte][its arguments], see the table below. */
#include "fuzz/net_world.h"

#include "kernel/net/lwip/glue.h"

#include <asm/socket.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SOCKETS 16u
#define ETHER   14u
#define TAKE    4096u /* bytes of one frame at most */

static struct socket *sockets[SOCKETS];

/* What the last TCP segments of the cell said, by the low bits of the peer's port. */
static struct flow {
	uint32_t seq, ack;
	uint16_t port;
} flows[8];

/* --- checksums --- */

static uint32_t sum(const uint8_t *p, size_t len, uint32_t s)
{
	for (size_t i = 0; i + 1 < len; i += 2)
		s += (uint32_t)p[i] << 8 | p[i + 1];
	return len & 1 ? s + ((uint32_t)p[len - 1] << 8) : s;
}

static void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}

static unsigned fold(uint32_t s)
{
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return ~s & 0xffff;
}

static void good_icmp_sum(uint8_t *ip, size_t len)
{
	bool v6 = ip[0] >> 4 == 6;
	size_t head = v6 ? 40 : (size_t)(ip[0] & 15) * 4;
	unsigned protocol = v6 ? ip[6] : ip[9];

	if (len < head + 4 || protocol != (v6 ? 58 : 1))
		return;
	put16(ip + head + 2, 0);
	put16(ip + head + 2, fold(sum(ip + head, len - head, v6 ? sum(ip + 8, 32, (uint32_t)(len - head) + 58) : 0)));
}

/* Version, lengths and the header's checksum, as a peer would send them. */
static void good_header(uint8_t *ip, size_t len)
{
	if (len < 20)
		return;
	if (ip[0] >> 4 == 6 && len >= 40) {
		put16(ip + 4, (unsigned)len - 40);
	} else {
		ip[0] = 0x40 | vb_max(5, ip[0] & 15);
		put16(ip + 2, (unsigned)len);
		put16(ip + 10, 0);
		if (len >= (size_t)(ip[0] & 15) * 4)
			put16(ip + 10, fold(sum(ip, (size_t)(ip[0] & 15) * 4, 0)));
	}
	good_icmp_sum(ip, len);
}

/* An IP packet by interface 0, its transport checksum vouched for. */
static void send_packet(uint8_t *ip, size_t len)
{
	static uint8_t frame[12 + ETHER + 65536];
	static const uint8_t cell[6] = {2, 0, 0, 0, 0, 1}, peer[6] = {2, 0, 0, 0, 0, 9}, group4[6] = {1, 0, 0x5e}, group6[6] = {0x33, 0x33};
	bool v6 = ip[0] >> 4 == 6, group = len >= 40 && (v6 ? ip[24] == 0xff : (ip[16] & 0xf0) == 0xe0 || ip[19] == 0xff);

	memset(frame, 0, 12);
	frame[0] = 2; /* VIRTIO_NET_HDR_F_DATA_VALID */
	memcpy(frame + 12, !group ? cell : v6 ? group6 : group4, 6);
	memcpy(frame + 18, peer, 6);
	put16(frame + 24, v6 ? 0x86dd : 0x0800);
	memcpy(frame + 12 + ETHER, ip, len);
	world_input(WORLD_PACKET, frame, 12 + ETHER + len);
}

/* --- what the cell sends --- */

static void sent(unsigned net, const uint8_t *f, size_t len)
{
	const uint8_t *ip = f + ETHER, *tcp = ip + 20;

	if (len >= ETHER + 28 && f[12] == 8 && f[13] == 6 && f[21] == 1) { /* ARP: is answered, so that more is sent */
		uint8_t answer[12 + 42] = {0};
		memcpy(answer + 12, f + 6, 6);
		memcpy(answer + 18, "\2\0\0\0\0\t\10\6\0\1\10\0\6\4\0\2\2\0\0\0\0\t", 22);
		memcpy(answer + 40, f + 38, 4);
		memcpy(answer + 44, f + 22, 10);
		world_input(WORLD_PACKET, answer, sizeof(answer));
	}
	if (len < ETHER + 40 || f[12] != 8 || f[13] || ip[0] != 0x45 || ip[9] != 6)
		return;
	struct flow *w = &flows[tcp[3] & 7];
	w->port = (uint16_t)(tcp[0] << 8 | tcp[1]);
	w->seq = (uint32_t)tcp[4] << 24 | (uint32_t)tcp[5] << 16 | (uint32_t)tcp[6] << 8 | tcp[7];
	w->ack = (uint32_t)tcp[8] << 24 | (uint32_t)tcp[9] << 16 | (uint32_t)tcp[10] << 8 | tcp[11];
	w->seq += (tcp[13] & 3 ? 1 : 0) + (uint32_t)(len - ETHER - 20 - (size_t)(tcp[12] >> 4) * 4);
}

/* --- operations --- */

static void raw_frame(struct input *in)
{
	size_t len = take16(in) % TAKE;
	const uint8_t *p = take_bytes(in, &len);

	if (len)
		world_input(WORLD_PACKET, p, len);
}

/* A frame of the stream, in one read or two. A wrong length would end the interface for all runs to come. */
static void stream_frame(struct input *in)
{
	static uint8_t b[4 + TAKE];
	size_t len = take16(in) % TAKE, cut = take8(in);
	const uint8_t *p = take_bytes(in, &len);

	put32(b, (uint32_t)len);
	memcpy(b + 4, p, len);
	cut = vb_min(cut, len + 3);
	if (cut)
		world_input(WORLD_STREAM, b, cut);
	world_input(WORLD_STREAM, b + cut, len + 4 - cut);
}

static void raw_packet_good(struct input *in)
{
	static uint8_t ip[TAKE];
	size_t len = take16(in) % TAKE;
	const uint8_t *p = take_bytes(in, &len);

	memcpy(ip, p, len);
	good_header(ip, len);
	if (len >= 20)
		send_packet(ip, len);
}

static void udp_packet_good(struct input *in)
{
	uint8_t p[28 + 512] = {0x45, [8] = 64, 17, [12] = 10, 0, 2, 2, 10, 0, 2, 15};
	unsigned ports = take8(in);
	size_t len = take8(in);
	const uint8_t *d = take_bytes(in, &len);

	put16(p + 20, 1000 + (ports >> 4));
	put16(p + 22, ports & 1 ? 53 : 5353);
	if (ports & 2)
		memcpy(p + 16, "\xe0\0\0\xfb", 4);
	put16(p + 24, (unsigned)len + 8);
	memcpy(p + 28, d, len);
	put16(p + 6, ports & 4 ? 0x2000 : 0); /* the first of fragments */
	good_header(p, 28 + len);
	send_packet(p, 28 + len);
}

static void tcp_segment(struct input *in)
{
	uint8_t p[40 + 40 + 256] = {0x45, [8] = 64, 6, [12] = 10, 0, 2, 2, 10, 0, 2, 15};
	struct flow *w = &flows[take8(in) & 7];
	unsigned index = (unsigned)(w - flows), flags = take8(in), how = take8(in);
	size_t options = how & 8 ? 4u * (take8(in) % 11) : 0, len = how & 16 ? take8(in) : 0;

	put16(p + 20, 40000 + index);
	put16(p + 22, flags == 2 || !w->port ? 80 : w->port);
	put32(p + 24, w->ack + (how & 1 ? (uint32_t)(int32_t)(int16_t)take16(in) : 0));
	put32(p + 28, w->seq + (how & 2 ? (uint32_t)(int32_t)(int16_t)take16(in) : 0));
	p[32] = (uint8_t)((5 + options / 4) << 4);
	p[33] = (uint8_t)flags;
	put16(p + 34, how & 4 ? take16(in) : 60000);
	const uint8_t *o = take_bytes(in, &options);
	memcpy(p + 40, o, options);
	p[32] = (uint8_t)((5 + (options + 3) / 4) << 4);
	options = (options + 3) / 4 * 4;
	const uint8_t *d = take_bytes(in, &len);
	memcpy(p + 40 + options, d, len);
	good_header(p, 40 + options + len);
	send_packet(p, 40 + options + len);
}

static void put_name(uint8_t *name, unsigned *len, bool v6, unsigned port)
{
	memset(name, 0, 28);
	memcpy(name, &(uint16_t){v6 ? AF_INET6 : AF_INET}, 2);
	put16(name + 2, port);
	if (v6)
		memcpy(name + 8, "\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\2", 16);
	else
		memcpy(name + 4, "\x0a\0\2\2", 4);
	*len = v6 ? 28 : 16;
}

static void call_transfer(struct socket *s, unsigned how, bool send)
{
	static uint8_t buffer[8192];
	struct socket_message *m = calloc(1, sizeof(*m));
	struct uio_vec v;
	struct uio u;

	if (!m)
		abort();
	uio_init_kernel(&u, &v, buffer, how & 1 ? sizeof(buffer) : how & 2 ? 1 : 100);
	m->data = &u;
	m->flags = MSG_DONTWAIT | MSG_NOSIGNAL | (how & 4 ? MSG_PEEK : 0) | (how & 8 ? MSG_ERRQUEUE : 0);
	if (send)
		m->flags &= ~(unsigned)(MSG_PEEK | MSG_ERRQUEUE);
	if (send && how & 8)
		m->flags |= MSG_MORE;
	if (send && how & 16 && s->type != SOCK_STREAM)
		put_name(m->name, &m->name_len, s->family == AF_INET6, 1000);
	if (send && s->ops->send)
		s->ops->send(s, m);
	else if (!send && s->ops->receive)
		s->ops->receive(s, m);
	free(m);
}

static void call(struct input *in)
{
	unsigned at = take8(in) % SOCKETS, what = take8(in), len;
	struct socket *s = sockets[at], *made = NULL;
	uint8_t name[SOCKET_NAME_BYTES];

	if (!s)
		return;
	switch (what & 7) {
	case 0:
	case 1:
		call_transfer(s, what >> 3, what & 1);
		break;
	case 2:
		if (s->ops->accept && !s->ops->accept(s, true, &made)) {
			unsigned to = take8(in) % SOCKETS;
			if (sockets[to])
				sockets[to]->ops->release(sockets[to]);
			sockets[to] = made;
		}
		break;
	case 3:
		put_name(name, &len, s->family == AF_INET6, 40000 + (what >> 3 & 7));
		s->ops->connect(s, name, len, true);
		break;
	case 4:
		s->ops->shutdown(s, 1 + (what >> 3) % 3);
		break;
	case 5:
		s->ops->poll(s, NULL, NULL);
		break;
	case 6:
		s->ops->release(s);
		sockets[at] = NULL;
		break;
	default:
		world_full = what & 8;
	}
	inet_run();
}

/* --- one run --- */

static struct socket *open_socket(bool v6, int type, int protocol, unsigned port)
{
	struct socket *s = NULL;
	uint8_t name[SOCKET_NAME_BYTES];
	unsigned len;

	if ((v6 ? inet6_create : inet4_create)(type, protocol, &s))
		return NULL;
	int one = 1;
	socket_set_option(s, SO_REUSEADDR, (uint64_t)&one, sizeof(one));
	socket_set_option(s, SO_TIMESTAMP_OLD, (uint64_t)&one, sizeof(one));
	for (int option = IP_PKTINFO; option <= IP_RECVTOS; option++)
		s->ops->setsockopt(s, IPPROTO_IP, option, (uint64_t)&one, sizeof(one));
	s->ops->setsockopt(s, IPPROTO_IPV6, IPV6_RECVPKTINFO, (uint64_t)&one, sizeof(one));
	s->ops->setsockopt(s, IPPROTO_IPV6, IPV6_RECVERR, (uint64_t)&one, sizeof(one));
	if (port) {
		put_name(name, &len, v6, port);
		memset(name + 4, 0, sizeof(name) - 4);
		s->ops->bind(s, name, len);
	}
	return s;
}

static void open_all(void)
{
	struct ip_mreqn group = {.imr_multiaddr.s_addr = __builtin_bswap32(0xe00000fb), .imr_ifindex = 2};

	sockets[0] = open_socket(false, SOCK_STREAM, 0, 80);
	sockets[1] = open_socket(true, SOCK_STREAM, 0, 81);
	sockets[2] = open_socket(false, SOCK_DGRAM, 0, 53);
	sockets[3] = open_socket(true, SOCK_DGRAM, 0, 5353);
	sockets[4] = open_socket(false, SOCK_RAW, IPPROTO_ICMP, 0);
	sockets[5] = open_socket(true, SOCK_RAW, IPPROTO_ICMPV6, 0);
	sockets[6] = open_socket(false, SOCK_DGRAM, IPPROTO_ICMP, 7);
	sockets[7] = open_socket(true, SOCK_DGRAM, IPPROTO_ICMPV6, 7);
	sockets[8] = open_socket(false, SOCK_RAW, IPPROTO_UDP, 0);
	sockets[9] = open_socket(false, SOCK_STREAM, 0, 0);
	sockets[10] = open_socket(false, SOCK_RAW, 99, 0);
	sockets[11] = open_socket(false, SOCK_DGRAM, 0, 0);
	for (unsigned i = 0; i < 2; i++)
		if (sockets[i])
			sockets[i]->ops->listen(sockets[i], 4);
	for (unsigned i = 2; i < 4; i++)
		if (sockets[i])
			sockets[i]->ops->setsockopt(sockets[i], IPPROTO_IP, IP_ADD_MEMBERSHIP, (uint64_t)&group, sizeof(group));
}

static void close_all(void)
{
	for (unsigned i = 0; i < SOCKETS; i++) {
		if (sockets[i])
			sockets[i]->ops->release(sockets[i]);
		sockets[i] = NULL;
	}
	world_full = false;
	inet_run();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	static bool started;

	if (!started) {
		world_start();
		world_sent = sent;
		started = true;
	}
	open_all();
	while (in.left) {
		switch (take8(&in) & 7) {
		case 0:
			raw_frame(&in);
			break;
		case 1:
			stream_frame(&in);
			break;
		case 2:
			raw_packet_good(&in);
			break;
		case 3:
			udp_packet_good(&in);
			break;
		case 4:
		case 5:
			tcp_segment(&in);
			break;
		case 6:
			call(&in);
			break;
		default:
			world_advance(take8(&in) * 8);
		}
		world_pump();
	}
	close_all();
	static unsigned runs;
	world_advance(++runs % 256 ? 100 : 200000); /* from time to time connections that nobody answers end */
	if (lwip_memory_used() > lwip_memory_limit())
		abort();
	return 0;
}
