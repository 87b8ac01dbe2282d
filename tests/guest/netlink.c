/* Netlink: what the C library and programs ask about interfaces, addresses and routes; the loopback device. */
#include "inet.h"

#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netdb.h>
#include <netpacket/packet.h>

static int nl, parts, done;
static unsigned seq = 100;

static long ask(int type, int flags, const void *body, size_t len)
{
	struct {
		struct nlmsghdr head;
		char body[256];
	} q = {{NLMSG_LENGTH(len), type, flags, ++seq, 0}};

	memcpy(q.body, body, len);
	return send(nl, &q, q.head.nlmsg_len, 0);
}

/* Calls see() for each message of a dump or answer; gives the error that came, 0 for none. */
static int answers(void (*see)(struct nlmsghdr *), int multi)
{
	long n;

	parts = done = 0;
	while (!done) {
		n = recv(nl, buf, sizeof(buf), 0);
		if (n < (long)sizeof(struct nlmsghdr))
			return -1;
		for (struct nlmsghdr *h = (void *)buf; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n)) {
			if (h->nlmsg_seq != seq || h->nlmsg_pid == 0)
				return -2;
			if (h->nlmsg_type == NLMSG_ERROR)
				return ((struct nlmsgerr *)NLMSG_DATA(h))->error;
			if (h->nlmsg_type == NLMSG_DONE) {
				done = 1;
				break;
			}
			parts++;
			if (see)
				see(h);
			done = !multi;
		}
	}
	return 0;
}

static struct rtattr *attribute(struct nlmsghdr *h, size_t body, int type)
{
	long len = h->nlmsg_len - NLMSG_SPACE(body);

	for (struct rtattr *a = (void *)((char *)NLMSG_DATA(h) + NLMSG_ALIGN(body)); RTA_OK(a, len); a = RTA_NEXT(a, len))
		if (a->rta_type == type)
			return a;
	return NULL;
}

static int seen;

static void see_link(struct nlmsghdr *h)
{
	struct ifinfomsg *i = NLMSG_DATA(h);
	struct rtattr *a;

	if (h->nlmsg_type != RTM_NEWLINK || i->ifi_index != 1)
		return;
	seen++;
	EXPECT(i->ifi_type, ARPHRD_LOOPBACK);
	EXPECT(i->ifi_flags & (IFF_UP | IFF_LOOPBACK | IFF_BROADCAST), IFF_UP | IFF_LOOPBACK);
	a = attribute(h, sizeof(*i), IFLA_IFNAME);
	EXPECT(a && !strcmp(RTA_DATA(a), "lo"), 1);
	a = attribute(h, sizeof(*i), IFLA_MTU);
	EXPECT(a && *(unsigned *)RTA_DATA(a) >= 1500, 1);
	a = attribute(h, sizeof(*i), IFLA_ADDRESS);
	EXPECT(a && RTA_PAYLOAD(a) == 6 && !memcmp(RTA_DATA(a), "\0\0\0\0\0\0", 6), 1);
	EXPECT(attribute(h, sizeof(*i), IFLA_STATS) != NULL, 1);
	EXPECT(attribute(h, sizeof(*i), IFLA_TXQLEN) != NULL, 1);
}

static int four, six, others;

static void see_address(struct nlmsghdr *h)
{
	struct ifaddrmsg *i = NLMSG_DATA(h);
	struct rtattr *a = attribute(h, sizeof(*i), IFA_ADDRESS), *l = attribute(h, sizeof(*i), IFA_LOCAL);

	others += h->nlmsg_type != RTM_NEWADDR;
	if (i->ifa_index != 1)
		return;
	if (i->ifa_family == AF_INET && i->ifa_prefixlen == 8 && i->ifa_scope == RT_SCOPE_HOST && a && l &&
		*(unsigned *)RTA_DATA(l) == inet_addr("127.0.0.1"))
		four++;
	if (i->ifa_family == AF_INET6 && i->ifa_prefixlen == 128 && a && IN6_IS_ADDR_LOOPBACK((struct in6_addr *)RTA_DATA(a)))
		six++;
}

static void see_route(struct nlmsghdr *h)
{
	struct rtmsg *r = NLMSG_DATA(h);

	others += h->nlmsg_type != RTM_NEWROUTE || (r->rtm_family != AF_INET && r->rtm_family != AF_INET6);
}

static unsigned oif, source;

static void see_one_route(struct nlmsghdr *h)
{
	struct rtmsg *r = NLMSG_DATA(h);
	struct rtattr *a = attribute(h, sizeof(*r), RTA_OIF), *p = attribute(h, sizeof(*r), RTA_PREFSRC);

	oif = a ? *(unsigned *)RTA_DATA(a) : 0;
	source = p ? *(unsigned *)RTA_DATA(p) : 0;
	EXPECT(r->rtm_type, RTN_LOCAL);
	EXPECT(r->rtm_dst_len, 32);
}

static void dumps(void)
{
	struct ifinfomsg link = {.ifi_family = AF_UNSPEC};
	struct ifaddrmsg addr = {.ifa_family = AF_UNSPEC};
	struct {
		struct rtmsg r;
		struct rtattr a;
		unsigned dst;
	} route = {{.rtm_family = AF_INET, .rtm_dst_len = 32}, {8, RTA_DST}, inet_addr("127.0.0.1")};

	EXPECT(ask(RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, &link, sizeof(link)), 32);
	EXPECT(answers(see_link, 1), 0);
	EXPECT(seen, 1);
	link.ifi_index = 1; /* one only */
	EXPECT(ask(RTM_GETLINK, NLM_F_REQUEST, &link, sizeof(link)), 32);
	EXPECT(answers(see_link, 0), 0);
	EXPECT(seen, 2);
	link.ifi_index = 9999;
	EXPECT(ask(RTM_GETLINK, NLM_F_REQUEST, &link, sizeof(link)), 32);
	EXPECT(answers(NULL, 0), -ENODEV);
	EXPECT(ask(RTM_GETADDR, NLM_F_REQUEST | NLM_F_DUMP, &addr, sizeof(addr)), 24);
	EXPECT(answers(see_address, 1), 0);
	EXPECT(four, 1);
	EXPECT(six, 1);
	addr.ifa_family = AF_INET;
	four = six = 0;
	EXPECT(ask(RTM_GETADDR, NLM_F_REQUEST | NLM_F_DUMP, &addr, sizeof(addr)), 24);
	EXPECT(answers(see_address, 1), 0);
	EXPECT(four, 1);
	EXPECT(six, 0);
	EXPECT(ask(RTM_GETROUTE, NLM_F_REQUEST | NLM_F_DUMP, &route.r, sizeof(route.r)), 28);
	EXPECT(answers(see_route, 1), 0);
	EXPECT(others, 0);
	EXPECT(ask(RTM_GETROUTE, NLM_F_REQUEST, &route, sizeof(route)), 36);
	EXPECT(answers(see_one_route, 0), 0);
	EXPECT(oif, 1);
	EXPECT(source == inet_addr("127.0.0.1"), 1);
	/* An acknowledgement, asked for. */
	EXPECT(ask(NLMSG_NOOP, NLM_F_REQUEST | NLM_F_ACK, &link, 0), 16);
	EXPECT(answers(NULL, 1), 0);
	EXPECT(parts + done, 0);
	EXPECT(ask(9999, NLM_F_REQUEST, &link, sizeof(link)), 32);
	EXPECT(answers(NULL, 1), -EOPNOTSUPP);
}

static void socket_itself(void)
{
	struct sockaddr_nl a = {.nl_family = AF_NETLINK};
	socklen_t len = sizeof(a);
	int s;

	EXPECT_ERR(socket(AF_NETLINK, SOCK_STREAM, 0), ESOCKTNOSUPPORT);
	EXPECT_ERR(socket(AF_NETLINK, SOCK_RAW, 999), EPROTONOSUPPORT);
	s = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	EXPECT(option(s, SOL_SOCKET, SO_TYPE), SOCK_RAW);
	EXPECT(option(s, SOL_SOCKET, SO_DOMAIN), AF_NETLINK);
	EXPECT(option(s, SOL_SOCKET, SO_PROTOCOL), NETLINK_ROUTE);
	EXPECT(events_of(s), POLLOUT);
	EXPECT_ERR(recv(s, buf, 100, MSG_DONTWAIT), EAGAIN);
	EXPECT(bind(s, (struct sockaddr *)&a, sizeof(a)), 0);
	EXPECT(getsockname(s, (struct sockaddr *)&a, &len), 0);
	EXPECT(len, 12);
	EXPECT(a.nl_pid == getpid() || a.nl_pid > 0x7fffffff, 1); /* the first one has the process's number */
	EXPECT(a.nl_groups, 0);
	EXPECT_ERR(bind(s, (struct sockaddr *)&(struct sockaddr_in){AF_INET}, sizeof(struct sockaddr_in)), EINVAL);
	EXPECT_ERR(bind(s, (struct sockaddr *)&a, 4), EINVAL);
	EXPECT_ERR(listen(s, 1), EOPNOTSUPP);
	EXPECT_ERR(accept(s, NULL, NULL), EOPNOTSUPP);
	close(s);
	s = socket(AF_NETLINK, SOCK_DGRAM, NETLINK_ROUTE);
	a = (struct sockaddr_nl){.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR};
	EXPECT(bind(s, (struct sockaddr *)&a, sizeof(a)), 0);
	EXPECT(getsockname(s, (struct sockaddr *)&a, &len), 0);
	EXPECT(a.nl_groups, RTMGRP_LINK | RTMGRP_IPV4_IFADDR);
	close(s);
}

static void library(void)
{
	struct addrinfo hints = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM}, *res = NULL;
	struct ifaddrs *all, *i;
	int link = 0, v4 = 0, v6 = 0;

	EXPECT(getifaddrs(&all), 0);
	for (i = all; i; i = i->ifa_next) {
		if (strcmp(i->ifa_name, "lo") || !i->ifa_addr)
			continue;
		if (i->ifa_addr->sa_family == AF_PACKET && ((struct sockaddr_ll *)i->ifa_addr)->sll_ifindex == 1)
			link++;
		if (i->ifa_addr->sa_family == AF_INET && ((struct sockaddr_in *)i->ifa_netmask)->sin_addr.s_addr == inet_addr("255.0.0.0"))
			v4++;
		if (i->ifa_addr->sa_family == AF_INET6)
			v6++;
	}
	EXPECT(link, 1);
	EXPECT(v4, 1);
	EXPECT(v6, 1);
	freeifaddrs(all);
	EXPECT(getaddrinfo("127.0.0.1", "80", &hints, &res), 0);
	EXPECT(res && ((struct sockaddr_in *)res->ai_addr)->sin_port == htons(80), 1);
}

int main(void)
{
	socket_itself();
	nl = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
	dumps();
	close(nl);
	library();
	return guest_done();
}
