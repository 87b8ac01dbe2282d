/* Less common sides of datagram sockets: many datagrams in one send, sources of groups, dropped datagrams, shared ports, when and
 * for whom something came. */
#define _GNU_SOURCE
#include "inet.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/udp.h>
#include <sys/un.h>

static char control[512];

/* The ancillary record of that kind in what recvmsg brought; its length without header in *len. */
static void *record(struct msghdr *m, int level, int type, size_t *len)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
		if (c->cmsg_level == level && c->cmsg_type == type) {
			*len = c->cmsg_len - CMSG_LEN(0);
			return CMSG_DATA(c);
		}
	*len = 0;
	return NULL;
}

static long receive(int s, struct msghdr *m, int flags)
{
	static struct iovec v = {buf, sizeof(buf)};

	*m = (struct msghdr){.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
	v = (struct iovec){buf, sizeof(buf)};
	return recvmsg(s, m, flags);
}

static void segments(void)
{
	unsigned port;
	int s = bound(SOCK_DGRAM, "127.0.0.1", &port), t = socket(AF_INET, SOCK_DGRAM, 0);
	struct iovec v = {"0123456789", 10};
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(sizeof(uint16_t))];
	} c = {.h = {CMSG_LEN(sizeof(uint16_t)), IPPROTO_UDP, UDP_SEGMENT}};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof(c)};

	EXPECT(connect_to(t, "127.0.0.1", port), 0);
	EXPECT(set_option(t, IPPROTO_UDP, UDP_SEGMENT, 4), 0);
	EXPECT(option(t, IPPROTO_UDP, UDP_SEGMENT), 4);
	EXPECT(send(t, "abcdefghij", 10, 0), 10);
	EXPECT(recv(s, buf, 100, 0), 4);
	EXPECT(memcmp(buf, "abcd", 4), 0);
	EXPECT(recv(s, buf, 100, 0), 4);
	EXPECT(recv(s, buf, 100, 0), 2);
	EXPECT(memcmp(buf, "ij", 2), 0);
	EXPECT(send(t, "abc", 3, 0), 3); /* no more than one: as ever */
	EXPECT(recv(s, buf, 100, 0), 3);
	EXPECT_ERR(set_option(t, IPPROTO_UDP, UDP_SEGMENT, 65536), EINVAL);
	EXPECT_ERR(set_option(t, IPPROTO_UDP, UDP_SEGMENT, -1), EINVAL);
	EXPECT(set_option(t, IPPROTO_UDP, UDP_SEGMENT, 0), 0);
	*(uint16_t *)CMSG_DATA(&c.h) = 6;
	EXPECT(sendmsg(t, &m, 0), 10);
	EXPECT(recv(s, buf, 100, 0), 6);
	EXPECT(recv(s, buf, 100, 0), 4);
	c.h.cmsg_len = CMSG_LEN(1);
	EXPECT_ERR(sendmsg(t, &m, 0), EINVAL);
	EXPECT(set_option(s, IPPROTO_UDP, UDP_GRO, 1), 0);
	EXPECT(option(s, IPPROTO_UDP, UDP_GRO), 1);
	EXPECT_ERR(recv(s, buf, 100, MSG_DONTWAIT), EAGAIN);
	close(s);
	close(t);
}

static int source(int s, int what, const char *from)
{
	struct ip_mreq_source m = {.imr_multiaddr.s_addr = inet_addr("239.77.1.1"),
		.imr_interface.s_addr = inet_addr("127.0.0.1"),
		.imr_sourceaddr.s_addr = inet_addr(from)};

	return setsockopt(s, IPPROTO_IP, what, &m, sizeof(m));
}

static void sources(void)
{
	struct ip_mreqn any = {.imr_multiaddr.s_addr = inet_addr("239.77.1.1"), .imr_address.s_addr = inet_addr("127.0.0.1")};
	struct in_addr lo = {inet_addr("127.0.0.1")};
	unsigned port;
	int s = bound(SOCK_DGRAM, "0.0.0.0", &port), t = socket(AF_INET, SOCK_DGRAM, 0);

	EXPECT(bind_to(t, "127.0.0.1", 0), 0);
	EXPECT(setsockopt(t, IPPROTO_IP, IP_MULTICAST_IF, &lo, sizeof(lo)), 0);
	EXPECT_ERR(source(s, IP_BLOCK_SOURCE, "127.0.0.1"), EINVAL); /* no member */
	EXPECT_ERR(source(s, IP_DROP_SOURCE_MEMBERSHIP, "127.0.0.1"), EINVAL);
	EXPECT(source(s, IP_ADD_SOURCE_MEMBERSHIP, "127.0.0.9"), 0);
	EXPECT_ERR(source(s, IP_ADD_SOURCE_MEMBERSHIP, "127.0.0.9"), EADDRNOTAVAIL);
	EXPECT_ERR(source(s, IP_BLOCK_SOURCE, "127.0.0.1"), EINVAL); /* it names the sources it wants */
	EXPECT(send_to(t, "other", 5, "239.77.1.1", port), 5);
	EXPECT(source(s, IP_ADD_SOURCE_MEMBERSHIP, "127.0.0.1"), 0);
	EXPECT(send_to(t, "wanted", 6, "239.77.1.1", port), 6);
	EXPECT(recv(s, buf, 100, 0), 6);
	EXPECT(source(s, IP_DROP_SOURCE_MEMBERSHIP, "127.0.0.1"), 0);
	EXPECT(source(s, IP_DROP_SOURCE_MEMBERSHIP, "127.0.0.9"), 0); /* and with the last it is no member */
	EXPECT_ERR(setsockopt(s, IPPROTO_IP, IP_DROP_MEMBERSHIP, &any, sizeof(any)), EADDRNOTAVAIL);
	EXPECT(setsockopt(s, IPPROTO_IP, IP_ADD_MEMBERSHIP, &any, sizeof(any)), 0);
	EXPECT(source(s, IP_BLOCK_SOURCE, "127.0.0.1"), 0);
	EXPECT_ERR(source(s, IP_BLOCK_SOURCE, "127.0.0.1"), EADDRNOTAVAIL);
	EXPECT(send_to(t, "blocked", 7, "239.77.1.1", port), 7);
	EXPECT(source(s, IP_UNBLOCK_SOURCE, "127.0.0.1"), 0);
	EXPECT_ERR(source(s, IP_UNBLOCK_SOURCE, "127.0.0.1"), EADDRNOTAVAIL);
	EXPECT(send_to(t, "open", 4, "239.77.1.1", port), 4);
	EXPECT(recv(s, buf, 100, 0), 4);
	EXPECT_ERR(recv(s, buf, 100, MSG_DONTWAIT), EAGAIN);
	close(s);
	close(t);
}

static void dropped(void)
{
	unsigned port, got = 0, sent = 2000, drops = 0;
	int s = bound(SOCK_DGRAM, "127.0.0.1", &port), t = socket(AF_INET, SOCK_DGRAM, 0);
	struct msghdr m;
	size_t len;

	EXPECT(set_option(s, SOL_SOCKET, SO_RXQ_OVFL, 1), 0);
	EXPECT(option(s, SOL_SOCKET, SO_RXQ_OVFL), 1);
	EXPECT(set_option(s, SOL_SOCKET, SO_RCVBUF, 16384), 0);
	EXPECT(connect_to(t, "127.0.0.1", port), 0);
	for (unsigned i = 0; i < sent; i++)
		if (send(t, buf, 500, 0) != 500)
			got += 10000;
	while (recv(s, buf, 1000, MSG_DONTWAIT) == 500)
		got++;
	EXPECT_TRUE(got > 0 && got < sent);
	EXPECT(send(t, "last", 4, 0), 4);
	EXPECT(receive(s, &m, 0), 4);
	uint32_t *count = record(&m, SOL_SOCKET, SO_RXQ_OVFL, &len);
	drops = count ? *count : 0;
	EXPECT(len, 4);
	EXPECT(drops + got, sent);
	close(s);
	close(t);
}

static void shared_port(void)
{
	unsigned port, counts[3] = {0, 0, 0};
	int s[3], flows = 0;

	for (int i = 0; i < 3; i++) {
		s[i] = socket(AF_INET, SOCK_DGRAM, 0);
		EXPECT(set_option(s[i], SOL_SOCKET, SO_REUSEPORT, 1), 0);
		EXPECT(bind_to(s[i], "127.0.0.1", i ? port : 0), 0);
		port = port_of(s[i]);
		set_nonblock(s[i]);
	}
	for (int i = 0; i < 64; i++) {
		int t = socket(AF_INET, SOCK_DGRAM, 0), at = -1;
		connect_to(t, "127.0.0.1", port);
		for (int n = 0; n < 4; n++)
			send(t, &n, sizeof(n), 0);
		for (int j = 0; j < 3; j++)
			for (int n; recv(s[j], &n, sizeof(n), 0) == sizeof(n); counts[j]++)
				at = at < 0 || at == j ? j : 99;
		flows += at >= 0 && at < 3; /* all of a flow in one place */
		close(t);
	}
	EXPECT(flows, 64);
	EXPECT(counts[0] + counts[1] + counts[2], 256);
	EXPECT_TRUE(counts[0] && counts[1] && counts[2]);
	for (int i = 0; i < 3; i++)
		close(s[i]);
}

static void devices(void)
{
	char name[16] = "none";
	socklen_t len = sizeof(name);
	unsigned port;
	int s = socket(AF_INET, SOCK_DGRAM, 0), t = socket(AF_INET, SOCK_DGRAM, 0);
	uint64_t a = 0, b = 0;

	EXPECT(getsockopt(s, SOL_SOCKET, SO_BINDTODEVICE, name, &len), 0);
	EXPECT(len, 0);
	EXPECT_ERR(setsockopt(s, SOL_SOCKET, SO_BINDTODEVICE, "nosuch0", 8), ENODEV);
	EXPECT(setsockopt(s, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3), 0);
	len = sizeof(name);
	EXPECT(getsockopt(s, SOL_SOCKET, SO_BINDTODEVICE, name, &len), 0);
	EXPECT(len, 3);
	EXPECT(strcmp(name, "lo"), 0);
	len = 4;
	EXPECT_ERR(getsockopt(s, SOL_SOCKET, SO_BINDTODEVICE, name, &len), EINVAL);
	EXPECT(option(s, SOL_SOCKET, SO_BINDTOIFINDEX), 1);
	EXPECT(bind_to(s, "0.0.0.0", 0), 0);
	port = port_of(s);
	EXPECT(send_to(t, "x", 1, "127.0.0.1", port), 1);
	EXPECT(recv(s, buf, 10, 0), 1);
	EXPECT(setsockopt(s, SOL_SOCKET, SO_BINDTODEVICE, "", 1), 0);
	EXPECT(option(s, SOL_SOCKET, SO_BINDTOIFINDEX), 0);
	len = sizeof(a);
	EXPECT(getsockopt(s, SOL_SOCKET, SO_COOKIE, &a, &len), 0);
	EXPECT(getsockopt(t, SOL_SOCKET, SO_COOKIE, &b, &len), 0);
	EXPECT_TRUE(a && b && a != b);
	close(s);
	close(t);
}

static volatile int signals;

static void on_signal(int sig)
{
	(void)sig;
	signals++;
}

static void halves(void)
{
	unsigned port;
	int s = bound(SOCK_DGRAM, "127.0.0.1", &port), t = socket(AF_INET, SOCK_DGRAM, 0);

	signal(SIGIO, on_signal);
	EXPECT(fcntl(s, F_SETOWN, getpid()), 0);
	EXPECT(fcntl(s, F_SETFL, O_ASYNC), 0);
	EXPECT(send_to(t, "1", 1, "127.0.0.1", port), 1);
	EXPECT(arrives(s, POLLIN) & POLLIN, POLLIN);
	EXPECT_TRUE(signals > 0);
	EXPECT(fcntl(s, F_SETFL, 0), 0);
	EXPECT(recv(s, buf, 10, 0), 1);
	EXPECT_ERR(shutdown(s, SHUT_RD), ENOTCONN); /* and yet */
	EXPECT(events_of(s), POLLIN | POLLRDHUP | POLLOUT);
	EXPECT(recv(s, buf, 10, 0), 0);
	EXPECT_ERR(recv(s, buf, 10, MSG_DONTWAIT), EAGAIN);
	EXPECT(send_to(t, "late", 4, "127.0.0.1", port), 4); /* still comes */
	EXPECT(recv(s, buf, 10, 0), 4);
	EXPECT_ERR(shutdown(t, SHUT_WR), ENOTCONN);
	EXPECT_ERR(send_to(t, "x", 1, "127.0.0.1", port), EPIPE);
	EXPECT(connect_to(s, "127.0.0.1", port), 0);
	EXPECT(shutdown(s, SHUT_RDWR), 0);
	EXPECT(events_of(s) & POLLHUP, POLLHUP);
	close(s);
	close(t);
}

static void unix_times(void)
{
	struct msghdr m;
	size_t len;
	int s[2];

	EXPECT(socketpair(AF_UNIX, SOCK_DGRAM, 0, s), 0);
	EXPECT(set_option(s[1], SOL_SOCKET, SO_TIMESTAMP, 1), 0);
	EXPECT(send(s[0], "hi", 2, 0), 2);
	EXPECT(receive(s[1], &m, 0), 2);
	struct timeval *t = record(&m, SOL_SOCKET, SO_TIMESTAMP, &len), now;
	gettimeofday(&now, NULL);
	EXPECT(len, sizeof(*t));
	EXPECT_TRUE(t && now.tv_sec - t->tv_sec < 5);
	close_pair(s);
}

static void netlink_groups(void)
{
	struct {
		struct nlmsghdr h;
		struct rtgenmsg g;
	} ask = {{NLMSG_LENGTH(sizeof(struct rtgenmsg)), RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, 1, 0}, {AF_UNSPEC}};
	int s = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
	struct msghdr m;
	size_t len;

	EXPECT(set_option(s, 270, NETLINK_PKTINFO, 1), 0);
	EXPECT(send(s, &ask, ask.h.nlmsg_len, 0), ask.h.nlmsg_len);
	EXPECT_TRUE(receive(s, &m, 0) > 0);
	struct nl_pktinfo *p = record(&m, 270, NETLINK_PKTINFO, &len);
	EXPECT(len, sizeof(*p));
	EXPECT(p ? p->group : 99, 0);
	close(s);
}

int main(void)
{
	segments();
	sources();
	dropped();
	shared_port();
	devices();
	halves();
	unix_times();
	netlink_groups();
	return guest_done();
}
