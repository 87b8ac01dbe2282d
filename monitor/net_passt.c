/* The user network: passt, which turns the cell's TCP, UDP and ping into sockets of the host's.
 *
 * The addresses are ours to choose, so that they are known before passt runs: it is started when the cell first wants the
 * network, unless ports lead to the cell. It ends when its socket closes, that is with tender (or relay) and monitor.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/types.h"
#include "host/error.h"
#include "host/file.h"
#include "monitor/net_private.h"

#define SOCKET_BYTES (2 << 20)
#define START_MS     10000
#define MAC          "02:76:61:75:62:01"
#define SPEC_BYTES   96u

static const uint8_t default_ip4[4] = {10, 0, 2, 15};
static const uint8_t default_ip6[16] = {0xfd, 0x76, 0x61, 0x75, 0x62, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x15};
static const uint8_t default_gateway6[16] = {0xfe, 0x80, [15] = 2};
static const uint8_t zero[16];

/* --- addresses --- */

/* The `number`-th address of the network that is not the cell's. */
static void neighbour(const uint8_t *own, unsigned len, unsigned number, uint8_t *ret, unsigned prefix)
{
	memcpy(ret, own, len);
	for (unsigned bit = prefix; bit < len * 8; bit++)
		ret[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
	uint8_t host = ret[len - 1];
	unsigned at = 0;
	do {
		ret[len - 1] = (uint8_t)(host | ++at);
		number -= memcmp(ret, own, len) != 0;
	} while (number);
}

void passt_dns_address(const struct monitor_net *n, uint8_t ret[4])
{
	unsigned number = 3;
	do
		neighbour(n->boot.ip4, 4, number++, ret, n->boot.prefix4);
	while (memcmp(ret, n->boot.gateway4, 4) == 0);
}

/* An interface that has IPv6: passt wants one with a link-local address. */
static bool find_interface6(char name[IF_NAMESIZE])
{
	unsigned scope;
	char address[33], found[IF_NAMESIZE];
	FILE *f = fopen("/proc/net/if_inet6", "re");
	bool ok = false;
	while (f && !ok && fscanf(f, "%32s %*x %*x %x %*x %15s", address, &scope, found) == 3)
		ok = scope == 0x20;
	if (f)
		fclose(f);
	if (ok)
		memcpy(name, found, sizeof(found));
	return ok;
}

/* Whether the host knows a way to the Internet of IPv6; nothing is sent. */
static bool has_route6(void)
{
	struct sockaddr_in6 somewhere = {.sin6_family = AF_INET6, .sin6_port = htons(53), .sin6_addr.s6_addr = {0x20, 0x01, 0x05, 0x03}};
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool ok = fd >= 0 && connect(fd, (struct sockaddr *)&somewhere, sizeof(somewhere)) == 0;
	fd_close(&fd);
	return ok;
}

static bool wants6(const struct monitor *m, const struct monitor_net *n)
{
	const struct net_options *o = m->options->net;
	for (unsigned i = 0; i < o->forward_count; i++)
		if (o->forward[i].address.v6 && !o->forward[i].any)
			return true;
	return n->options->has6;
}

static int choose_addresses(struct monitor *m, struct monitor_net *n, struct vb_error *err)
{
	const struct net_interface *o = n->options;
	struct vb_boot_net *b = &n->boot;
	bool wanted6 = wants6(m, n);
	memcpy(b->ip4, o->has4 ? o->ip4 : default_ip4, 4);
	b->prefix4 = o->has4 ? o->prefix4 : 24;
	memcpy(b->gateway4, o->gateway4, 4);
	if (!o->has4)
		neighbour(b->ip4, 4, 2, b->gateway4, b->prefix4);
	else if (memcmp(b->gateway4, zero, 4) == 0)
		neighbour(b->ip4, 4, 1, b->gateway4, b->prefix4);
	if (!(wanted6 || has_route6()) || !find_interface6(n->interface6))
		return wanted6 ? vb_error_set(err, -EINVAL,
					 "no interface of this host has an IPv6 address: --ip and -p with IPv6 can't work here")
			       : 0;
	memcpy(b->ip6, o->has6 ? o->ip6 : default_ip6, 16);
	b->prefix6 = o->has6 ? o->prefix6 : 64;
	memcpy(b->gateway6, o->gateway6, 16);
	if (memcmp(b->gateway6, zero, 16) == 0) /* one that passt itself speaks by, for those who call from the host's ::1 */
		memcpy(b->gateway6, default_gateway6, 16);
	return 0;
}

/* --- start --- */

static int find_passt(char *path, size_t size, struct vb_error *err)
{
	const char *list = getenv("PATH");
	if (!list || !*list)
		list = "/usr/local/bin:/usr/bin:/bin";
	for (const char *end;; list = end + 1) {
		end = strchrnul(list, ':');
		int len = snprintf(path, size, "%.*s/passt", (int)(end - list), list);
		if (*list == '/' && len < (int)size && access(path, X_OK) == 0)
			return 0;
		if (!*end)
			return vb_error_set(err, -ENOENT,
				"the user network needs passt, which is not installed: apt install passt (or use --net none)");
	}
}

static void write_forward(const struct net_forward *f, char spec[SPEC_BYTES])
{
	char address[INET6_ADDRSTRLEN + 1] = "0.0.0.0";
	unsigned host_last = f->host_port + f->count - 1u, cell_last = f->cell_port + f->count - 1u;
	inet_ntop(f->address.v6 ? AF_INET6 : AF_INET, f->address.bytes, address, sizeof(address));
	snprintf(spec, SPEC_BYTES, "%s%s%u-%u:%u-%u", f->any ? "" : address, f->any ? "" : "/", f->host_port, host_last, f->cell_port,
		cell_last);
}

struct arguments {
	char *at[32 + 2 * NET_FORWARDS_MAX];
	unsigned count;
	char text[6][INET6_ADDRSTRLEN + 1];
	char spec[NET_FORWARDS_MAX][SPEC_BYTES];
};

static void add(struct arguments *a, const char *name, const char *value)
{
	a->at[a->count++] = (char *)name;
	if (value)
		a->at[a->count++] = (char *)value;
}

static void add_address(struct arguments *a, unsigned slot, const char *name, int family, const uint8_t *bytes)
{
	inet_ntop(family, bytes, a->text[slot], sizeof(a->text[slot]));
	add(a, name, a->text[slot]);
}

static void make_arguments(struct monitor *m, struct monitor_net *n, struct arguments *a)
{
	static const char *const fixed[] = {
		"passt", "--foreground", "--quiet", "--stderr", "--no-dhcp", "--no-dhcpv6", "--no-ra", "--mac-addr", MAC, "--fd", "3"};
	const struct net_options *o = m->options->net;
	for (unsigned i = 0; i < VB_ARRAY_LEN(fixed); i++)
		add(a, fixed[i], NULL);
	add_address(a, 0, "--address", AF_INET, n->boot.ip4);
	add_address(a, 1, "--gateway", AF_INET, n->boot.gateway4);
	if (net_dns_forwarded()) {
		uint8_t dns[4];
		passt_dns_address(n, dns);
		add_address(a, 2, "--dns-forward", AF_INET, dns);
	} else { /* or it would forward from the gateway when the host has another name server on its loopback */
		add(a, "--dns", "none");
	}
	snprintf(a->text[3], sizeof(a->text[3]), "%u", n->boot.prefix4);
	add(a, "--netmask", a->text[3]);
	if (!n->options->host_loopback && !relay_wanted(m, n))
		add(a, "--no-map-gw", NULL);
	/* An interface by name: without one passt insists on a default route, which it does not need when told the addresses. */
	if (n->boot.prefix6) {
		add_address(a, 4, "--address", AF_INET6, n->boot.ip6);
		add_address(a, 5, "--gateway", AF_INET6, n->boot.gateway6);
		add(a, "--interface", n->interface6);
	} else {
		add(a, "--ipv4-only", NULL);
		add(a, "--interface", "lo");
	}
	for (unsigned i = 0; i < o->forward_count; i++) {
		write_forward(&o->forward[i], a->spec[i]);
		add(a, o->forward[i].udp ? "--udp-ports" : "--tcp-ports", a->spec[i]);
	}
	a->at[a->count] = NULL;
}

int passt_start(struct monitor *m, struct monitor_net *n, struct vb_error *err)
{
	static struct arguments a;
	char path[4096];
	int r = find_passt(path, sizeof(path), err);
	if (r < 0)
		return r;
	a.count = 0;
	make_arguments(m, n, &a);
	/* passt sends without waiting, but when the socket takes only a part of a frame it sends the rest by a call that must wait:
	 * if that can't, the rest is lost, and the cell can't tell frames apart any more. */
	fcntl(n->far_fd, F_SETFL, 0);
	r = helper_spawn(m, n, path, a.at, n->far_fd, true, err);
	fd_close(&n->far_fd); /* only passt holds it now: when it ends, the cell sees it */
	return r;
}

/* Frames of at most 32 KiB: a write of one is one buffer of the host's, taken whole or not at all. passt loses its place in
 * the stream when it finds part of a frame. */
int passt_open(struct monitor *m, struct monitor_net *n, struct vb_error *err)
{
	int pair[2], bytes = SOCKET_BYTES, r = choose_addresses(m, n, err);
	if (r < 0)
		return r;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return vb_error_errno(err, "can't make a socket for passt");
	for (unsigned i = 0; i < 2; i++)
		if (setsockopt(pair[i], SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)) < 0)
			setsockopt(pair[i], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	n->tender_fd = pair[0];
	n->far_fd = pair[1];
	n->boot.kind = VB_NET_STREAM;
	n->boot.flags = VB_NET_PASST;
	n->boot.mtu = NET_STREAM_MTU;
	/* passt takes what it is told: a frame that says it is 4 GB long, a call to 127.0.0.1, which is the host's. So the relay looks
	 * first. Who calls from the host's loopback appears as the gateway, and answers to UDP find back only while the gateway's
	 * address leads there for everybody: the relay lets nothing but answers go there. */
	n->guarded = !n->options->direct;
	if (m->options->net->forward_count)
		return passt_start(m, n, err);
	n->boot.flags |= VB_NET_LAZY;
	return 0;
}

/* Until passt serves its socket, with the forwarded ports bound: it answers a question for the gateway's address. The answer
 * stays for the cell, to which it does no harm. */
int passt_wait(struct monitor *m, struct monitor_net *n, struct vb_error *err)
{
	struct {
		uint32_t len;
		uint8_t to[6], from[6];
		uint16_t type, hardware, protocol;
		uint8_t hardware_len, protocol_len;
		uint16_t operation;
		uint8_t from_mac[6], from_ip[4], to_mac[6], to_ip[4];
	} __attribute__((packed)) ask = {.len = htonl(42),
		.to = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		.type = htons(0x0806),
		.hardware = htons(1),
		.protocol = htons(0x0800),
		.hardware_len = 6,
		.protocol_len = 4,
		.operation = htons(1)};
	_Static_assert(sizeof(ask) == 4 + 42, "an ARP frame");
	memcpy(ask.from, n->boot.mac, 6);
	memcpy(ask.from_mac, n->boot.mac, 6);
	memcpy(ask.from_ip, n->boot.ip4, 4);
	memcpy(ask.to_ip, n->boot.gateway4, 4);
	struct pollfd p = {.fd = n->tender_fd, .events = POLLIN};
	if (send(n->tender_fd, &ask, sizeof(ask), MSG_NOSIGNAL) != sizeof(ask) || poll(&p, 1, START_MS) != 1 || p.revents & POLLHUP) {
		int r = helper_explain(m, n, err);
		bool ports = strncmp(n->last_words, "Failed to bind", 14) == 0;
		return ports ? vb_error_wrap(err, r, "a port of -p is in use, or below 1024 and not yours to use") : r;
	}
	return 0;
}
