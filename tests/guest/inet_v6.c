/* IPv6 on loopback, and IPv4 through IPv6 sockets. */
#include "inet.h"

#include <net/if.h>

static void streams(void)
{
	union address from;
	socklen_t len = sizeof(from);
	unsigned port, gone;
	int l = listener("::1", &port), c = socket(AF_INET6, SOCK_STREAM, 0), a;

	EXPECT(option(c, SOL_SOCKET, SO_DOMAIN), AF_INET6);
	EXPECT_TRUE(name_is(l, "::1", port));
	EXPECT_TRUE(name_is(c, "::", 0));
	EXPECT(connect_to(c, "::1", port), 0);
	EXPECT_TRUE((a = accept(l, &from.any, &len)) >= 0);
	EXPECT(len, 28);
	EXPECT_TRUE(is_address(&from, "::1", port_of(c)));
	EXPECT(from.v6.sin6_scope_id, 0);
	EXPECT(from.v6.sin6_flowinfo, 0);
	EXPECT_TRUE(peer_is(c, "::1", port));
	EXPECT(send(c, "six", 3, 0), 3);
	EXPECT(recv(a, buf, 10, 0), 3);
	EXPECT(shutdown(a, SHUT_WR), 0);
	EXPECT(arrives(c, POLLRDHUP), POLLIN | POLLOUT | POLLRDHUP);
	close(a);
	close(c);
	c = bound(SOCK_STREAM, "::1", &gone);
	close(c);
	c = socket(AF_INET6, SOCK_STREAM, 0);
	EXPECT_ERR(connect_to(c, "::1", gone), ECONNREFUSED);
	EXPECT(connect_to(c, "::", port), 0); /* the wildcard means this host */
	EXPECT_TRUE(peer_is(c, "::1", port));
	close(c);
	c = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0);
	EXPECT_ERR(connect_to(c, "::1", gone), EINPROGRESS);
	EXPECT(arrives(c, POLLHUP), POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP);
	EXPECT(option(c, SOL_SOCKET, SO_ERROR), ECONNREFUSED);
	close(c);
	from = address("::1", port);
	c = socket(AF_INET6, SOCK_STREAM, 0);
	EXPECT_ERR(connect(c, &from.any, 23), EINVAL);
	EXPECT_ERR(bind(c, &from.any, 23), EINVAL);
	EXPECT_ERR(bind_to(c, "2001:db8::5", 0), EADDRNOTAVAIL);
	EXPECT_ERR(bind_to(c, "::1", port), EADDRINUSE);
	from.any.sa_family = AF_UNIX;
	EXPECT_ERR(bind(c, &from.any, 28), EAFNOSUPPORT);
	EXPECT_ERR(connect(c, &from.any, 28), EAFNOSUPPORT);
	EXPECT_ERR(bind_to(c, "127.0.0.1", 0), EINVAL); /* shorter than an IPv6 address */
	close(c);
	close(l);
}

static void mapped(void)
{
	unsigned port;
	int l = listener("::", &port), c = socket(AF_INET, SOCK_STREAM, 0), a, b, on = 1;

	EXPECT(connect_to(c, "127.0.0.1", port), 0);
	a = accept(l, NULL, NULL);
	EXPECT_TRUE(name_is(a, "::ffff:127.0.0.1", port));
	EXPECT_TRUE(peer_is(a, "::ffff:127.0.0.1", port_of(c)));
	EXPECT(option(a, SOL_SOCKET, SO_DOMAIN), AF_INET6);
	EXPECT(send(a, "mapped", 6, 0), 6);
	EXPECT(recv(c, buf, 10, 0), 6);
	close(a);
	close(c);
	c = socket(AF_INET6, SOCK_STREAM, 0);
	EXPECT(connect_to(c, "::ffff:127.0.0.1", port), 0);
	a = accept(l, NULL, NULL);
	EXPECT_TRUE(peer_is(c, "::ffff:127.0.0.1", port));
	EXPECT_TRUE(name_is(c, "::ffff:127.0.0.1", port_of(c)));
	EXPECT_TRUE(peer_is(a, "::ffff:127.0.0.1", port_of(c)));
	close(a);
	close(c);
	/* Both families share the port... */
	b = socket(AF_INET, SOCK_STREAM, 0);
	EXPECT_ERR(bind_to(b, "127.0.0.1", port), EADDRINUSE);
	EXPECT_ERR(bind_to(b, "0.0.0.0", port), EADDRINUSE);
	EXPECT_ERR(set_option(l, IPPROTO_IPV6, IPV6_V6ONLY, 1), EINVAL); /* too late */
	close(l);
	/* ...unless IPV6_V6ONLY keeps them apart. */
	l = socket(AF_INET6, SOCK_STREAM, 0);
	EXPECT(setsockopt(l, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)), 0);
	EXPECT(bind_to(l, "::", 0), 0);
	EXPECT(listen(l, 5), 0);
	port = port_of(l);
	c = socket(AF_INET, SOCK_STREAM, 0);
	EXPECT_ERR(connect_to(c, "127.0.0.1", port), ECONNREFUSED);
	EXPECT(bind_to(b, "0.0.0.0", port), 0);
	EXPECT(listen(b, 5), 0);
	EXPECT(connect_to(c, "127.0.0.1", port), 0);
	a = accept(b, NULL, NULL);
	EXPECT_TRUE(name_is(a, "127.0.0.1", port));
	close(a);
	close(c);
	c = socket(AF_INET6, SOCK_STREAM, 0);
	EXPECT(connect_to(c, "::1", port), 0);
	a = accept(l, NULL, NULL);
	EXPECT_TRUE(peer_is(a, "::1", port_of(c)));
	close(a);
	close(c);
	c = socket(AF_INET6, SOCK_STREAM, 0);
	set_option(c, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	EXPECT_ERR(connect_to(c, "::ffff:127.0.0.1", port), ENETUNREACH);
	EXPECT_ERR(bind_to(c, "::ffff:127.0.0.1", 0), EINVAL);
	close(c);
	close(b);
	close(l);
}

static void datagrams(void)
{
	union address from;
	socklen_t len = sizeof(from);
	unsigned port, other;
	int s = bound(SOCK_DGRAM, "::", &port), t = bound(SOCK_DGRAM, "::1", &other), u = socket(AF_INET, SOCK_DGRAM, 0);

	EXPECT(send_to(t, "six", 3, "::1", port), 3);
	EXPECT(recvfrom(s, buf, 10, 0, &from.any, &len), 3);
	EXPECT(len, 28);
	EXPECT_TRUE(is_address(&from, "::1", other));
	EXPECT(send_to(u, "four", 4, "127.0.0.1", port), 4);
	EXPECT(recvfrom(s, buf, 10, 0, &from.any, &len), 4);
	EXPECT_TRUE(is_address(&from, "::ffff:127.0.0.1", port_of(u)));
	EXPECT(sendto(s, "back", 4, 0, &from.any, len), 4);
	EXPECT(recv(u, buf, 10, 0), 4);
	EXPECT_ERR(send(s, "x", 1, 0), EDESTADDRREQ);
	EXPECT_ERR(send_to(t, "x", 1, "::ffff:127.0.0.1", port), ENETUNREACH); /* from ::1 no way leads there */
	EXPECT(send_to(s, "any", 3, "::", other), 3);
	EXPECT(recv(t, buf, 10, 0), 3);
	EXPECT(connect_to(t, "::1", port), 0);
	close(s);
	EXPECT(send(t, "x", 1, 0), 1);
	arrives(t, POLLERR);
	EXPECT_ERR(recv(t, buf, 1, 0), ECONNREFUSED);
	for (int i = 0; i < 65527; i++)
		buf[i] = (char)(i * 31 >> 3);
	EXPECT_ERR(send_to(t, buf, 65528, "::1", other), EMSGSIZE);
	char check[3] = {buf[0], buf[30000], buf[60000]};
	EXPECT(send_to(t, buf, 60001, "::1", other), 60001); /* to itself: only its peer may */
	EXPECT_ERR(recv(t, buf, sizeof(buf), MSG_DONTWAIT), EAGAIN);
	EXPECT(connect_to(t, "::1", other), 0);
	EXPECT(send(t, buf, 60001, 0), 60001);
	memset(buf, 0, sizeof(buf));
	EXPECT(recv(t, buf, sizeof(buf), 0), 60001);
	EXPECT(buf[0] == check[0] && buf[30000] == check[1] && buf[60000] == check[2], 1);
	close(t);
	close(u);
}

static void information(void)
{
	static union {
		char room[256];
		struct cmsghdr align;
	} control;
	union address from;
	struct iovec iov = {buf, 100};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_name = &from, .msg_namelen = sizeof(from), .msg_control = &control, .msg_controllen = sizeof(control)};
	unsigned port;
	int s = bound(SOCK_DGRAM, "::", &port), t = socket(AF_INET6, SOCK_DGRAM, 0), hops = -1;
	struct in6_pktinfo info = {0};

	EXPECT(set_option(s, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1), 0);
	EXPECT(set_option(s, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1), 0);
	EXPECT(set_option(t, IPPROTO_IPV6, IPV6_UNICAST_HOPS, 44), 0);
	EXPECT(send_to(t, "info", 4, "::1", port), 4);
	EXPECT(recvmsg(s, &m, 0), 4);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO)
			memcpy(&info, CMSG_DATA(c), sizeof(info));
		if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_HOPLIMIT)
			memcpy(&hops, CMSG_DATA(c), sizeof(hops));
	}
	EXPECT(IN6_IS_ADDR_LOOPBACK(&info.ipi6_addr), 1);
	EXPECT(info.ipi6_ifindex == if_nametoindex("lo"), 1);
	EXPECT(hops, 44);
	/* The answer from the address that was asked. */
	struct cmsghdr *c = &control.align;
	m.msg_controllen = CMSG_SPACE(sizeof(info));
	*c = (struct cmsghdr){CMSG_LEN(sizeof(info)), IPPROTO_IPV6, IPV6_PKTINFO};
	memcpy(CMSG_DATA(c), &info, sizeof(info));
	iov.iov_len = 4;
	EXPECT(sendmsg(s, &m, 0), 4);
	EXPECT(recv(t, buf, 10, 0), 4);
	inet_pton(AF_INET6, "2001:db8::5", &info.ipi6_addr);
	memcpy(CMSG_DATA(c), &info, sizeof(info));
	EXPECT_ERR(sendmsg(s, &m, 0), EINVAL);
	close(s);
	close(t);
}

static void groups(void)
{
	struct ipv6_mreq group = {.ipv6mr_interface = if_nametoindex("lo")};
	unsigned port;
	int s = bound(SOCK_DGRAM, "::", &port), t = socket(AF_INET6, SOCK_DGRAM, 0);
	union address to = address("ff12::7777", port);

	group.ipv6mr_multiaddr = to.v6.sin6_addr;
	EXPECT(setsockopt(s, IPPROTO_IPV6, IPV6_JOIN_GROUP, &group, sizeof(group)), 0);
	EXPECT_ERR(setsockopt(s, IPPROTO_IPV6, IPV6_JOIN_GROUP, &group, sizeof(group)), EADDRINUSE);
	EXPECT(set_option(t, IPPROTO_IPV6, IPV6_MULTICAST_IF, if_nametoindex("lo")), 0);
	EXPECT(option(t, IPPROTO_IPV6, IPV6_MULTICAST_IF), 1);
	EXPECT_ERR(set_option(t, IPPROTO_IPV6, IPV6_MULTICAST_IF, 9999), ENODEV);
	EXPECT(setsockopt(s, IPPROTO_IPV6, IPV6_LEAVE_GROUP, &group, sizeof(group)), 0);
	EXPECT_ERR(setsockopt(s, IPPROTO_IPV6, IPV6_LEAVE_GROUP, &group, sizeof(group)), EADDRNOTAVAIL);
	group.ipv6mr_multiaddr = in6addr_loopback;
	EXPECT_ERR(setsockopt(s, IPPROTO_IPV6, IPV6_JOIN_GROUP, &group, sizeof(group)), EINVAL);
	EXPECT_ERR(setsockopt(s, IPPROTO_IPV6, IPV6_JOIN_GROUP, &group, 8), EINVAL);
	close(s);
	close(t);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	streams();
	mapped();
	datagrams();
	information();
	groups();
	return guest_done();
}
