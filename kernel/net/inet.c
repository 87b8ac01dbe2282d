/* The internet protocols: bringing the stack up, names, addresses, routes. Owns when lwIP is called, and the hooks by which it
 * asks for routes. Names come from the program and are decoded fully here. */
#include "kernel/fs/p9.h"
#include "kernel/net/datagram.h"
#include "kernel/net/inet.h"
#include "kernel/net/lwip/hooks.h"
#include "kernel/net/net.h"
#include "kernel/net/tcp.h"

#include "lwip/dhcp.h"
#include "lwip/init.h"
#include "lwip/ip4.h"
#include "lwip/ip6.h"

#include <linux/capability.h>

#define CONFIGURE_NS  (5 * NSEC_PER_SEC) /* how long a program waits for DHCP at most */
#define POLL_NS       1000000ull         /* how often frames are looked for while the program computes and some come ... */
#define POLL_MAX_NS   (8 * POLL_NS)      /* ... and while none come */
#define DRAIN_NS      (2 * NSEC_PER_SEC) /* how long the end of a program waits for its last data to be acknowledged */
#define DRAIN_STEP_NS 5000000ull

bool inet_started, net_running;
static bool more_work; /* packets to the cell itself were left for later */
static uint64_t poll_ns = POLL_NS;

/* struct sockaddr_in and sockaddr_in6 */
struct name4 {
	uint16_t family, port;
	uint32_t ip;
	uint8_t zero[8];
};
struct name6 {
	uint16_t family, port;
	uint32_t flow;
	uint8_t ip[16];
	uint32_t scope;
};
enum { NAME6_BYTES_MIN = 24 }; /* SIN6_LEN_RFC2133: without scope */

int inet_start(void)
{
	if (inet_started)
		return 0;
	inet_started = true;
	lwip_init();
	int r = loop_start();
	if (!r)
		r = tcp_start();
	if (!r)
		r = interfaces_start();
	if (!r)
		r = packets_start();
	if (r)
		return r;
	net_running = true;
	inet_run();
	return 0;
}

void inet_run(void)
{
	more_work = loop_run();
	tcp_settle();
	if (more_work)
		task_want_work();
	interfaces_flush();
	net_timer_update();
}

void inet_socket_init(struct inet_socket *s, const struct socket_ops *ops, int family, int type, int protocol)
{
	socket_init(&s->base, ops, family, type, protocol);
	s->local = s->remote = *inet_any(s);
	list_init(&s->port_node);
	wait_queue_init(&s->wait);
	s->owner = current->creds.euid;
	inet_options_init(s);
}

int inet_error(err_t e)
{
	static const int errors[] = {
		[-ERR_OK] = 0,
		[-ERR_MEM] = -ENOBUFS,
		[-ERR_BUF] = -ENOBUFS,
		[-ERR_TIMEOUT] = -ETIMEDOUT,
		[-ERR_RTE] = -ENETUNREACH,
		[-ERR_INPROGRESS] = -EINPROGRESS,
		[-ERR_VAL] = -EINVAL,
		[-ERR_WOULDBLOCK] = -EAGAIN,
		[-ERR_USE] = -EADDRINUSE,
		[-ERR_ALREADY] = -EALREADY,
		[-ERR_ISCONN] = -EISCONN,
		[-ERR_CONN] = -ENOTCONN,
		[-ERR_IF] = -ENETDOWN,
		[-ERR_ABRT] = -ECONNABORTED,
		[-ERR_RST] = -ECONNRESET,
		[-ERR_CLSD] = -ENOTCONN,
		[-ERR_ARG] = -EINVAL,
	};
	return -e >= 0 && -e < (int)VB_ARRAY_LEN(errors) ? errors[-e] : -EIO;
}

/* --- names --- */

const ip_addr_t *inet_any(const struct inet_socket *s)
{
	return s->base.family == AF_INET ? IP4_ADDR_ANY : s->v6only ? IP6_ADDR_ANY : IP_ANY_TYPE;
}

static int decode6(const struct inet_socket *s, const uint8_t *name, unsigned len, ip_addr_t *ret_ip, uint16_t *ret_port)
{
	struct name6 n = {0};

	if (len < NAME6_BYTES_MIN)
		return -EINVAL;
	memcpy(&n, name, vb_min((size_t)len, sizeof(n)));
	ip6_addr_t ip = {0};
	memcpy(ip.addr, n.ip, sizeof(n.ip));
	*ret_port = lwip_ntohs(n.port);
	if (ip6_addr_isipv4mappedipv6(&ip)) {
		if (s->v6only)
			return -ENETUNREACH;
		ip_addr_set_ip4_u32(ret_ip, ip.addr[3]);
		return 0;
	}
	if (ip6_addr_has_scope(&ip, IP6_UNKNOWN)) {
		uint32_t device = s->base.bound_index, scope = device ? device : n.scope;
		if (device && n.scope && n.scope != device)
			return -EINVAL;
		ip6_addr_set_zone(&ip, (uint8_t)(scope > 255 ? 255 : scope));
		if (!scope && ip6_addr_isloopback(&ip) == 0)
			ip6_addr_set_zone(&ip, 0);
	}
	ip_addr_copy_from_ip6(*ret_ip, ip);
	if (ip6_addr_isany(&ip))
		*ret_ip = *inet_any(s);
	return 0;
}

int inet_name_decode(const struct inet_socket *s, const uint8_t *name, unsigned len, ip_addr_t *ret_ip, uint16_t *ret_port)
{
	struct name4 n;
	uint16_t family;

	if (len < sizeof(family))
		return -EINVAL;
	memcpy(&family, name, sizeof(family));
	if (s->base.family == AF_INET6 && family == AF_INET6)
		return decode6(s, name, len, ret_ip, ret_port);
	if (s->base.family == AF_INET6 ? len < NAME6_BYTES_MIN : len < sizeof(n))
		return -EINVAL;
	if (s->base.family == AF_INET6 || family != AF_INET)
		return -EAFNOSUPPORT;
	memcpy(&n, name, sizeof(n));
	ip_addr_set_ip4_u32(ret_ip, n.ip);
	*ret_port = lwip_ntohs(n.port);
	return 0;
}

int inet_name_encode(const struct inet_socket *s, const ip_addr_t *ip, uint16_t port, uint8_t *ret)
{
	if (s->base.family == AF_INET) {
		struct name4 n = {.family = AF_INET, .port = lwip_htons(port), .ip = IP_IS_V4(ip) ? ip_addr_get_ip4_u32(ip) : 0};
		memcpy(ret, &n, sizeof(n));
		return sizeof(n);
	}
	struct name6 n = {.family = AF_INET6, .port = lwip_htons(port)};
	if (IP_IS_V4(ip)) {
		n.ip[10] = n.ip[11] = 0xff;
		memcpy(n.ip + 12, &ip_2_ip4(ip)->addr, 4);
	} else {
		memcpy(n.ip, ip_2_ip6(ip)->addr, sizeof(n.ip));
		n.scope = ip6_addr_zone(ip_2_ip6(ip));
	}
	memcpy(ret, &n, sizeof(n));
	return sizeof(n);
}

int inet_bind(struct inet_socket *s, int protocol, bool unsuitable, const uint8_t *name, unsigned len)
{
	ip_addr_t ip;
	uint16_t port, family = 0;

	if (len >= sizeof(struct name4) && s->base.family == AF_INET && memcmp(name, &family, sizeof(family)) == 0) {
		uint8_t copy[sizeof(struct name4)]; /* AF_UNSPEC with no address means AF_INET here */
		memcpy(copy, name, sizeof(copy));
		if (memcmp(copy + 4, &(uint32_t){0}, 4))
			return -EAFNOSUPPORT;
		copy[0] = AF_INET;
		return inet_bind(s, protocol, unsuitable, copy, sizeof(copy));
	}
	int r = inet_name_decode(s, name, len, &ip, &port);
	if (r == -ENETUNREACH)
		return -EINVAL;
	if (!r)
		r = inet_check_bind(s, &ip);
	if (r)
		return r;
	if (unsuitable || s->port || s->local_port)
		return -EINVAL;
	ip_addr_t old = s->local;
	s->local = ip;
	r = inet_port_bind(protocol, s, port);
	if (r)
		s->local = old;
	s->bound = !r;
	return r;
}

int inet_get_name(struct socket *base, bool peer, uint8_t *ret)
{
	const struct inet_socket *s = inet_of(base);

	if (!peer)
		return inet_name_encode(s, &s->local, s->local_port, ret);
	return s->remote_port ? inet_name_encode(s, &s->remote, s->remote_port, ret) : -ENOTCONN;
}

/* --- addresses and routes --- */

bool inet_is_local(const ip_addr_t *ip)
{
	struct netif *n;

	if (IP_IS_V4(ip) && ip4_addr_isloopback(ip_2_ip4(ip)))
		return true;
	NETIF_FOREACH(n) {
		if (IP_IS_V4(ip)) {
			if (!ip_addr_isany(ip) && ip4_addr_cmp(ip_2_ip4(ip), netif_ip4_addr(n)))
				return true;
			continue;
		}
		for (int i = 0; i < LWIP_IPV6_NUM_ADDRESSES; i++)
			if (ip6_addr_isvalid(netif_ip6_addr_state(n, i)) && ip6_addr_cmp_zoneless(ip_2_ip6(ip), netif_ip6_addr(n, i)))
				return true;
	}
	return false;
}

int inet_check_bind(const struct inet_socket *s, const ip_addr_t *ip)
{
	return ip_addr_isany(ip) || inet_is_local(ip) ? 0 : -EADDRNOTAVAIL;
}

struct netif *hook_route4(const ip4_addr_t *src, const ip4_addr_t *dest)
{
	ip_addr_t ip;

	ip_addr_copy_from_ip4(ip, *dest);
	return inet_is_local(&ip) ? &loop_netif : NULL;
}

struct netif *hook_route6(const ip6_addr_t *src, const ip6_addr_t *dest)
{
	ip_addr_t ip;

	ip_addr_copy_from_ip6(ip, *dest);
	return inet_is_local(&ip) ? &loop_netif : NULL;
}

int inet_route(const ip_addr_t *to, unsigned device, struct netif **ret_netif, ip_addr_t *ret_from)
{
	struct netif *n;
	const ip_addr_t *any = IP_IS_V4(to) ? IP4_ADDR_ANY : IP6_ADDR_ANY;

	if (inet_is_local(to)) { /* 127.0.0.0/8 talks as itself, the cell's own addresses as themselves */
		*ret_netif = &loop_netif;
		*ret_from = *to;
		if (IP_IS_V4(to) && ip4_addr_isloopback(ip_2_ip4(to)))
			ip_addr_set_ip4_u32(ret_from, PP_HTONL(IPADDR_LOOPBACK));
		return 0;
	}
	n = device ? netif_get_by_index((u8_t)device) : ip_route(any, to);
	if (!n)
		return -ENETUNREACH;
	if (!netif_is_up(n) || !netif_is_link_up(n))
		return device ? -ENETDOWN : -ENETUNREACH;
	const ip_addr_t *from = ip_netif_get_local_ip(n, to);
	if (!from || (IP_IS_V4(to) && ip_addr_isany(from)))
		return -ENETUNREACH;
	*ret_netif = n;
	*ret_from = *from;
	return 0;
}

/* --- the scheduler's view (net.h) --- */

bool net_look(bool told)
{
	net_timers_catch_up();
	bool any = interfaces_poll(told);
	if (any)
		p9_heard++;
	if (any || more_work)
		inet_run();
	return any || more_work;
}

bool net_poll(void)
{
	return net_look(false);
}

void net_poll_interrupted(void)
{
	poll_ns = net_poll() ? POLL_NS : vb_min(poll_ns * 2, POLL_MAX_NS);
}

uint64_t net_poll_ns(uint64_t now)
{
	return more_work ? now : net_wanted() ? now + poll_ns : NO_DEADLINE;
}

void net_drain(void)
{
	static struct wait_queue never;
	uint64_t deadline = deadline_after(DRAIN_NS);

	if (!net_running)
		return;
	wait_queue_init(&never);
	while (!tcp_all_sent() && now_monotonic_ns() < deadline)
		wait_until(&never, tcp_all_sent(), deadline_after(DRAIN_STEP_NS));
}

/* --- addresses that come later --- */

/* An interface still waits for its address. */
static bool configuring(void)
{
	struct netif *n;

	NETIF_FOREACH(n)
		if (netif_dhcp_data(n) && netif_is_link_up(n) && !dhcp_supplied_address(n))
			return true;
	return false;
}

int inet_wait_configured(bool nonblock)
{
	static bool waited;
	static struct wait_queue never;
	uint64_t deadline;

	if (waited || !configuring())
		return 0;
	if (!never.entries.next)
		wait_queue_init(&never);
	for (deadline = deadline_after(CONFIGURE_NS); configuring() && now_monotonic_ns() < deadline;) {
		int r = wait_until(&never, !configuring(), deadline_after(10000000));
		if (r && r != -ETIMEDOUT)
			return r;
	}
	waited = true;
	return 0;
}
