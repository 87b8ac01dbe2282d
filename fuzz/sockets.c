/* Fuzzes what a program says to the network part of the cell kernel: netlink messages, ioctls, socket options, names, ancillary
 * data, on sockets of all inet and netlink kinds. Each argument lies in a buffer of just its length, so that reads and writes
 * beyond it are seen.
 *
 * Input: [operation: 1 byte][socket: 1 byte][its arguments]. */
#include "fuzz/net_world.h"

#include <asm/socket.h>
#include <linux/netlink.h>
#include <linux/sockios.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SOCKETS   10u
#define IOCTL_ARG 40u /* struct ifreq, the largest */

static struct socket *sockets[SOCKETS];

static const struct kind {
	int family, type, protocol;
} kinds[SOCKETS] = {
	{AF_INET, SOCK_STREAM, 0},
	{AF_INET6, SOCK_STREAM, 0},
	{AF_INET, SOCK_DGRAM, 0},
	{AF_INET6, SOCK_DGRAM, 0},
	{AF_INET, SOCK_RAW, IPPROTO_ICMP},
	{AF_INET6, SOCK_RAW, IPPROTO_ICMPV6},
	{AF_INET, SOCK_RAW, IPPROTO_RAW},
	{AF_INET, SOCK_DGRAM, IPPROTO_ICMP},
	{AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6},
	{AF_NETLINK, SOCK_RAW, NETLINK_ROUTE},
};

/* A copy of exactly that length. */
static uint8_t *exact(struct input *in, size_t *len)
{
	const uint8_t *p = take_bytes(in, len);
	uint8_t *copy = malloc(*len);

	if (!copy)
		abort();
	memcpy(copy, p, *len);
	return copy;
}

static void set_option(struct socket *s, struct input *in)
{
	static const int levels[] = {SOL_SOCKET, IPPROTO_IP, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_IPV6, IPPROTO_RAW, IPPROTO_ICMPV6, 270};
	int level = levels[take8(in) & 7], name = (int)take8(in);
	size_t len = take16(in) % 300;
	uint8_t *value = exact(in, &len);

	if (level == SOL_SOCKET)
		socket_set_option(s, name, (uint64_t)value, (unsigned)len);
	else
		s->ops->setsockopt(s, level, name, (uint64_t)value, (unsigned)len);
	int got = (int)len;
	if (level == SOL_SOCKET)
		socket_get_option(s, name, (uint64_t)value, (uint64_t)&got);
	else
		s->ops->getsockopt(s, level, name, (uint64_t)value, (uint64_t)&got);
	free(value);
}

/* SIOCGIFCONF's buffer is the program's affair: one that is there. */
static void request(struct socket *s, struct input *in)
{
	static uint8_t buffer[1024];
	unsigned cmd = 0x8900 | take8(in);
	size_t len = IOCTL_ARG;
	const uint8_t *p = take_bytes(in, &len);
	uint8_t *arg = calloc(1, IOCTL_ARG);

	if (!arg)
		abort();
	memcpy(arg, p, len);
	if (cmd == SIOCGIFCONF) {
		int room = (int)take16(in) % (int)sizeof(buffer);
		memcpy(arg, &room, sizeof(room));
		memcpy(arg + 8, &(uint8_t *){take8(in) & 1 ? buffer : NULL}, 8);
	}
	long r = s->ops->ioctl ? s->ops->ioctl(s, cmd, (uint64_t)arg) : -ENOTTY;
	if (r == -ENOTTY)
		socket_link_ioctl(s, cmd, (uint64_t)arg);
	free(arg);
}

static void name_it(struct socket *s, struct input *in)
{
	uint8_t name[SOCKET_NAME_BYTES];
	unsigned how = take8(in);
	size_t len = take8(in) % (SOCKET_NAME_BYTES + 1);
	const uint8_t *p = take_bytes(in, &len);

	memset(name, 0xa5, sizeof(name)); /* the system call's buffer has old contents behind */
	memcpy(name, p, len);
	if (how & 4 && len >= 2)
		memcpy(name, &(uint16_t){(uint16_t)s->family}, 2);
	if (how & 1)
		s->ops->bind(s, name, (unsigned)len);
	else
		s->ops->connect(s, name, (unsigned)len, true);
	if (how & 2)
		s->ops->name(s, how & 8, name);
}

static void send_message(struct socket *s, struct input *in)
{
	struct socket_message *m = calloc(1, sizeof(*m));
	unsigned how = take8(in);
	size_t name_len = how & 1 ? take8(in) % SOCKET_NAME_BYTES : 0, control_len = how & 2 ? take8(in) : 0, len = take16(in) % 2000;
	struct uio_vec v;
	struct uio u;

	if (!m)
		abort();
	memcpy(m->name, take_bytes(in, &name_len), name_len);
	m->name_len = (unsigned)name_len;
	if (how & 4 && name_len >= 2)
		memcpy(m->name, &(uint16_t){(uint16_t)s->family}, 2);
	uint8_t *control = exact(in, &control_len), *data = exact(in, &len);
	uio_init_kernel(&u, &v, data, len);
	m->data = &u;
	m->flags = MSG_DONTWAIT | MSG_NOSIGNAL | (how & 8 ? MSG_MORE : 0) | (how & 16 ? MSG_OOB : 0) | (how & 32 ? MSG_DONTROUTE : 0);
	if (!control_decode((uint64_t)control, control_len, m))
		s->ops->send(s, m);
	control_release(m);
	free(control);
	free(data);
	free(m);
}

static void receive_message(struct socket *s, struct input *in)
{
	struct socket_message *m = calloc(1, sizeof(*m));
	unsigned how = take8(in);
	size_t len = how & 1 ? 8192 : how & 2 ? 0 : 20, control_len = take8(in);
	uint8_t *data = malloc(len), *control = malloc(control_len);
	struct uio_vec v;
	struct uio u;

	if (!m || !data || !control)
		abort();
	uio_init_kernel(&u, &v, data, len);
	m->data = &u;
	m->flags = MSG_DONTWAIT | (how & 4 ? MSG_PEEK : 0) | (how & 8 ? MSG_TRUNC : 0) | (how & 16 ? MSG_ERRQUEUE : 0);
	if (s->ops->receive(s, m) >= 0 && control_encode((uint64_t)control, control_len, m) > control_len)
		abort();
	rights_free(m->rights);
	free(data);
	free(control);
	free(m);
}

/* One netlink message whose header is right, so that more of it is looked at. */
static void netlink_message(struct input *in)
{
	struct socket *s = sockets[SOCKETS - 1];
	struct nlmsghdr h = {.nlmsg_type = (uint16_t)(16 + take8(in) % 100), .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | take16(in))};
	size_t len = take8(in);
	const uint8_t *p = take_bytes(in, &len);
	struct socket_message *m = calloc(1, sizeof(*m));
	struct uio_vec v;
	struct uio u;

	h.nlmsg_len = (uint32_t)(sizeof(h) + len);
	uint8_t *data = malloc(h.nlmsg_len);
	if (!m || !data)
		abort();
	memcpy(data, &h, sizeof(h));
	memcpy(data + sizeof(h), p, len);
	uio_init_kernel(&u, &v, data, h.nlmsg_len);
	m->data = &u;
	m->flags = MSG_DONTWAIT;
	s->ops->send(s, m);
	free(data);
	free(m);
}

static void open_all(void)
{
	for (unsigned i = 0; i < SOCKETS; i++) {
		const struct kind *k = &kinds[i];
		int r = k->family == AF_NETLINK  ? netlink_create(k->type, k->protocol, &sockets[i])
			: k->family == AF_INET6 ? inet6_create(k->type, k->protocol, &sockets[i])
						: inet4_create(k->type, k->protocol, &sockets[i]);
		if (r)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	static bool started;

	if (!started)
		world_start();
	started = true;
	open_all();
	while (in.left) {
		unsigned what = take8(&in);
		struct socket *s = sockets[take8(&in) % SOCKETS];
		switch (what & 7) {
		case 0:
		case 1:
			set_option(s, &in);
			break;
		case 2:
			request(s, &in);
			break;
		case 3:
			name_it(s, &in);
			break;
		case 4:
			send_message(s, &in);
			break;
		case 5:
			receive_message(s, &in);
			break;
		case 6:
			netlink_message(&in);
			break;
		default:
			s->ops->poll(s, NULL, NULL);
			world_advance(10);
		}
		world_pump();
	}
	for (unsigned i = 0; i < SOCKETS; i++)
		sockets[i]->ops->release(sockets[i]);
	inet_run();
	static unsigned runs;
	world_advance(++runs % 256 ? 10 : 200000);
	return 0;
}
