/* UDP on loopback: datagrams with and without connect, their sizes and borders, errors that come back, packet information,
 * several at once, shared ports, broadcast and multicast.
 */
#include "inet.h"

#include <net/if.h>
#include <sys/uio.h>

static union {
	char room[512];
	struct cmsghdr align;
} control;
static struct msghdr received;
static union address from;

static long receive(int s, size_t room, size_t control_room, int flags)
{
	static struct iovec iov;

	iov = (struct iovec){buf, room};
	received = (struct msghdr){
		.msg_iov = &iov, .msg_iovlen = 1, .msg_name = &from, .msg_namelen = sizeof(from), .msg_control = control.room, .msg_controllen = control_room};
	return recvmsg(s, &received, flags);
}

static void *message(int level, int type)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&received); c; c = CMSG_NXTHDR(&received, c))
		if (c->cmsg_level == level && c->cmsg_type == type)
			return CMSG_DATA(c);
	return NULL;
}

static void basics(void)
{
	unsigned port, other;
	int s = socket(AF_INET, SOCK_DGRAM, 0), t = bound(SOCK_DGRAM, "127.0.0.1", &other), n;
	socklen_t len;

	EXPECT(option(s, SOL_SOCKET, SO_TYPE), SOCK_DGRAM);
	EXPECT(option(s, SOL_SOCKET, SO_PROTOCOL), IPPROTO_UDP);
	EXPECT(events_of(s), POLLOUT);
	EXPECT_ERR(send(s, "x", 1, 0), EDESTADDRREQ);
	EXPECT_ERR(write(s, "x", 1), EDESTADDRREQ);
	EXPECT_ERR(recv(s, buf, 1, MSG_DONTWAIT), EAGAIN);
	EXPECT_ERR(listen(s, 1), EOPNOTSUPP);
	EXPECT_ERR(accept(s, NULL, NULL), EOPNOTSUPP);
	EXPECT_ERR(getpeername(s, NULL, &(socklen_t){0}), ENOTCONN);
	EXPECT_ERR(send_to(s, "x", 1, "127.0.0.1", 0), EINVAL);
	EXPECT_ERR(send_to(s, "x", 1, "::1", other), EAFNOSUPPORT);
	EXPECT_ERR(sendto(s, "x", 1, 0, bad_pointer, 16), EFAULT);
	from = address("127.0.0.1", other);
	EXPECT_ERR(sendto(s, "x", 1, 0, &from.any, 15), EINVAL);
	EXPECT_ERR(sendto(s, bad_pointer, 1, 0, &from.any, 16), EFAULT);
	EXPECT_ERR(sendto(s, "x", 1, MSG_OOB, &from.any, 16), EOPNOTSUPP);
	from.any.sa_family = AF_UNSPEC; /* is taken for AF_INET */
	EXPECT(sendto(s, "unspec", 6, 0, &from.any, 16), 6);
	EXPECT(recv(t, buf, 10, 0), 6);
	port = port_of(s);
	EXPECT_TRUE(port != 0); /* sending chose one */
	EXPECT_TRUE(name_is(s, "0.0.0.0", port));
	EXPECT_ERR(bind_to(s, "127.0.0.1", 0), EINVAL);
	EXPECT(send_to(s, "hello", 5, "127.0.0.1", other), 5);
	len = sizeof(from);
	EXPECT(recvfrom(t, buf, 100, 0, &from.any, &len), 5);
	EXPECT(len, 16);
	EXPECT_TRUE(is_address(&from, "127.0.0.1", port));
	EXPECT(sendto(t, "back", 4, 0, &from.any, len), 4);
	EXPECT(arrives(s, POLLIN), POLLIN | POLLOUT);
	EXPECT(read(s, buf, 100), 4);
	/* Borders stay; what does not fit is lost. */
	EXPECT(send_to(s, "one", 3, "127.0.0.1", other), 3);
	EXPECT(send_to(s, "", 0, "127.0.0.1", other), 0);
	EXPECT(send_to(s, "fourth", 6, "127.0.0.1", other), 6);
	EXPECT(send_to(s, "last", 4, "127.0.0.1", other), 4);
	EXPECT(arrives(t, POLLIN), POLLIN | POLLOUT);
	EXPECT(ioctl(t, FIONREAD, &n), 0);
	EXPECT(n, 3); /* the first one's */
	EXPECT(recv(t, buf, 100, MSG_PEEK), 3);
	EXPECT(recv(t, buf, 1, MSG_PEEK | MSG_TRUNC), 3);
	EXPECT(recv(t, buf, 100, 0), 3);
	EXPECT(arrives(t, POLLIN), POLLIN | POLLOUT);
	EXPECT(ioctl(t, FIONREAD, &n), 0);
	EXPECT(n, 0);
	EXPECT(recv(t, buf, 100, 0), 0);
	EXPECT(receive(t, 3, 0, MSG_PEEK), 3);
	EXPECT(received.msg_flags, MSG_TRUNC);
	EXPECT(receive(t, 3, 0, 0), 3);
	EXPECT(received.msg_flags, MSG_TRUNC);
	EXPECT(received.msg_namelen, 16);
	EXPECT(memcmp(buf, "fou", 3), 0);
	EXPECT(receive(t, 100, 0, 0), 4);
	EXPECT(received.msg_flags, 0);
	EXPECT(ioctl(s, TIOCOUTQ, &n), 0);
	EXPECT(n, 0);
	struct timeval tv = {0, 10000};
	setsockopt(t, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	EXPECT_ERR(recv(t, buf, 1, 0), EAGAIN);
	EXPECT_ERR(bind_to(socket(AF_INET, SOCK_DGRAM, 0), "127.0.0.1", other), EADDRINUSE);
	EXPECT_ERR(bind_to(socket(AF_INET, SOCK_DGRAM, 0), "203.0.113.5", 0), EADDRNOTAVAIL);
	close(s);
	/* shutdown() without a peer fails, but does its work: it is used to wake readers. */
	s = socket(AF_INET, SOCK_DGRAM, 0);
	EXPECT_ERR(shutdown(s, SHUT_RD), ENOTCONN);
	EXPECT(events_of(s), POLLIN | POLLOUT | POLLRDHUP);
	EXPECT(recv(s, buf, 1, 0), 0);
	close(s);
	close(t);
}

static void sizes(void)
{
	unsigned port;
	int s = bound(SOCK_DGRAM, "127.0.0.1", &port), t = socket(AF_INET, SOCK_DGRAM, 0);
	struct iovec iov[3] = {{"ab", 2}, {"", 0}, {"cdefg", 5}}, in[2] = {{buf, 3}, {buf + 10, 10}};

	for (int i = 0; i < 65507; i++)
		buf[i] = (char)(i * 31 >> 3);
	char check[3] = {buf[0], buf[30000], buf[65506]};
	EXPECT_ERR(send_to(t, buf, 65508, "127.0.0.1", port), EMSGSIZE);
	EXPECT_ERR(send_to(t, buf, 1000000, "127.0.0.1", port), EMSGSIZE);
	EXPECT(send_to(t, buf, 65507, "127.0.0.1", port), 65507);
	memset(buf, 0, 65507);
	EXPECT(recv(s, buf, sizeof(buf), 0), 65507);
	EXPECT(buf[0] == check[0] && buf[30000] == check[1] && buf[65506] == check[2], 1);
	EXPECT(connect_to(t, "127.0.0.1", port), 0);
	EXPECT(writev(t, iov, 3), 7);
	arrives(s, POLLIN);
	EXPECT(readv(s, in, 2), 7);
	EXPECT(memcmp(buf, "abc", 3) || memcmp(buf + 10, "defg", 4), 0);
	/* MSG_MORE collects one datagram. */
	EXPECT(send(t, "one ", 4, MSG_MORE), 4);
	EXPECT_ERR(recv(s, buf, 10, MSG_DONTWAIT), EAGAIN);
	EXPECT(send(t, "datagram", 8, 0), 8);
	EXPECT(recv(s, buf, 20, 0), 12);
	EXPECT(memcmp(buf, "one datagram", 12), 0);
	/* A full queue drops; the sender is not told. */
	int n = 0, sent = 0;
	EXPECT(set_option(s, SOL_SOCKET, SO_RCVBUF, 5000), 0);
	for (int i = 0; i < 50; i++)
		sent += send(t, buf, 1000, 0) == 1000;
	EXPECT(sent, 50);
	arrives(s, POLLIN);
	usleep(1000);
	while (recv(s, buf, 1000, MSG_DONTWAIT) == 1000)
		n++;
	EXPECT_TRUE(n > 0 && n < 50);
	close(s);
	close(t);
}

static void connected(void)
{
	unsigned port, other, third;
	int s = bound(SOCK_DGRAM, "127.0.0.1", &port), t = bound(SOCK_DGRAM, "127.0.0.1", &other), u = bound(SOCK_DGRAM, "127.0.0.1", &third);

	EXPECT(connect_to(s, "127.0.0.1", other), 0);
	EXPECT_TRUE(peer_is(s, "127.0.0.1", other));
	EXPECT(send(s, "to t", 4, 0), 4);
	EXPECT(recv(t, buf, 10, 0), 4);
	EXPECT(send_to(s, "to u", 4, "127.0.0.1", third), 4); /* an address overrides the peer */
	EXPECT(recv(u, buf, 10, 0), 4);
	EXPECT(send_to(u, "stranger", 8, "127.0.0.1", port), 8); /* only the peer's come in */
	EXPECT(send_to(t, "friend", 6, "127.0.0.1", port), 6);
	EXPECT(recv(s, buf, 10, 0), 6);
	EXPECT_ERR(recv(s, buf, 10, MSG_DONTWAIT), EAGAIN);
	EXPECT(connect_to(s, "127.0.0.1", third), 0); /* another peer */
	EXPECT(send_to(u, "friend", 6, "127.0.0.1", port), 6);
	EXPECT(recv(s, buf, 10, 0), 6);
	EXPECT(connect(s, &(struct sockaddr){AF_UNSPEC}, sizeof(struct sockaddr)), 0);
	EXPECT_ERR(getpeername(s, NULL, &(socklen_t){0}), ENOTCONN);
	EXPECT_TRUE(name_is(s, "127.0.0.1", 0)); /* a port that the system chose is given back */
	EXPECT_ERR(send(s, "x", 1, 0), EDESTADDRREQ);
	close(t);
	close(u);
	/* Nobody there: the error comes with what is done next. */
	EXPECT(send_to(s, "x", 1, "127.0.0.1", other), 1);
	usleep(1000);
	EXPECT_ERR(recv(s, buf, 1, MSG_DONTWAIT), EAGAIN); /* without connect() nobody is told */
	EXPECT(connect_to(s, "127.0.0.1", other), 0);
	EXPECT(send(s, "x", 1, 0), 1);
	EXPECT(arrives(s, POLLERR) & ~POLLRDHUP, POLLOUT | POLLERR);
	EXPECT_ERR(send(s, "x", 1, 0), ECONNREFUSED);
	EXPECT(events_of(s), POLLOUT);
	EXPECT(send(s, "x", 1, 0), 1);
	arrives(s, POLLERR);
	EXPECT_ERR(recv(s, buf, 1, 0), ECONNREFUSED);
	EXPECT(send(s, "x", 1, 0), 1);
	arrives(s, POLLERR);
	EXPECT(option(s, SOL_SOCKET, SO_ERROR), ECONNREFUSED);
	EXPECT(option(s, SOL_SOCKET, SO_ERROR), 0);
	EXPECT_ERR(recv(s, buf, 1, MSG_DONTWAIT), EAGAIN);
	EXPECT(shutdown(s, SHUT_WR), 0);
	EXPECT_ERR(send(s, "x", 1, MSG_NOSIGNAL), EPIPE);
	EXPECT(shutdown(s, SHUT_RD), 0);
	EXPECT(recv(s, buf, 1, 0), 0);
	close(s);
	/* connect() chooses address and port of this side. */
	s = socket(AF_INET, SOCK_DGRAM, 0);
	EXPECT(connect_to(s, "127.0.0.1", 9), 0);
	EXPECT_TRUE(name_is(s, "127.0.0.1", port_of(s)) && port_of(s));
	EXPECT_ERR(connect_to(s, "::1", 9), EAFNOSUPPORT);
	EXPECT_ERR(connect(s, &(struct sockaddr){AF_INET}, 8), EINVAL);
	close(s);
	/* Of two at a port, the connected one is closer. */
	s = socket(AF_INET, SOCK_DGRAM, 0);
	t = socket(AF_INET, SOCK_DGRAM, 0);
	u = bound(SOCK_DGRAM, "127.0.0.1", &third);
	set_option(s, SOL_SOCKET, SO_REUSEADDR, 1);
	set_option(t, SOL_SOCKET, SO_REUSEADDR, 1);
	EXPECT(bind_to(s, "127.0.0.1", 0), 0);
	port = port_of(s);
	EXPECT(connect_to(s, "127.0.0.1", third), 0);
	EXPECT(bind_to(t, "127.0.0.1", port), 0);
	EXPECT(send_to(u, "mine", 4, "127.0.0.1", port), 4);
	EXPECT(recv(s, buf, 10, 0), 4);
	EXPECT_ERR(recv(t, buf, 10, MSG_DONTWAIT), EAGAIN);
	close(s);
	EXPECT(send_to(u, "yours", 5, "127.0.0.1", port), 5);
	EXPECT(recv(t, buf, 10, 0), 5);
	close(t);
	close(u);
}

static void information(void)
{
	unsigned port, other;
	int s = socket(AF_INET, SOCK_DGRAM, 0), t = bound(SOCK_DGRAM, "127.0.0.1", &other);
	unsigned lo = if_nametoindex("lo");

	EXPECT(bind_to(s, "0.0.0.0", 0), 0);
	port = port_of(s);
	EXPECT(set_option(s, IPPROTO_IP, IP_PKTINFO, 1), 0);
	EXPECT(set_option(s, IPPROTO_IP, IP_RECVTTL, 1), 0);
	EXPECT(set_option(s, IPPROTO_IP, IP_RECVTOS, 1), 0);
	EXPECT(set_option(t, IPPROTO_IP, IP_TTL, 33), 0);
	EXPECT(set_option(t, IPPROTO_IP, IP_TOS, 0x10), 0);
	EXPECT(send_to(t, "info", 4, "127.0.0.7", port), 4);
	EXPECT(receive(s, 10, 512, 0), 4);
	EXPECT(received.msg_flags, 0);
	struct in_pktinfo *info = message(IPPROTO_IP, IP_PKTINFO);
	EXPECT_TRUE(info != NULL);
	EXPECT(info && info->ipi_ifindex == lo, 1);
	EXPECT(info && info->ipi_addr.s_addr == inet_addr("127.0.0.7"), 1);
	EXPECT(info && info->ipi_spec_dst.s_addr == inet_addr("127.0.0.7"), 1);
	int *ttl = message(IPPROTO_IP, IP_TTL);
	EXPECT(ttl ? *ttl : -1, 33);
	unsigned char *tos = message(IPPROTO_IP, IP_TOS);
	EXPECT(tos ? *tos : -1, 0x10);
	EXPECT(received.msg_controllen, CMSG_SPACE(sizeof(*info)) + CMSG_SPACE(4) + CMSG_SPACE(1));
	EXPECT(send_to(t, "cut", 3, "127.0.0.1", port), 3);
	EXPECT(receive(s, 10, 10, 0), 3);
	EXPECT(received.msg_flags & MSG_CTRUNC, MSG_CTRUNC);
	/* The answer comes from the address that was asked. */
	struct iovec iov = {"answer", 6};
	union address to = address("127.0.0.1", other);
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_name = &to, .msg_namelen = 16, .msg_control = control.room, .msg_controllen = CMSG_SPACE(sizeof(*info))};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	memset(&control, 0, sizeof(control));
	*c = (struct cmsghdr){CMSG_LEN(sizeof(*info)), IPPROTO_IP, IP_PKTINFO};
	struct in_pktinfo source = {.ipi_spec_dst.s_addr = inet_addr("127.0.0.7")};
	memcpy(CMSG_DATA(c), &source, sizeof(source));
	EXPECT(sendmsg(s, &m, 0), 6);
	EXPECT(receive(t, 10, 512, 0), 6);
	EXPECT_TRUE(is_address(&from, "127.0.0.7", port));
	source.ipi_spec_dst.s_addr = inet_addr("203.0.113.5");
	memset(&control, 0, sizeof(control));
	*c = (struct cmsghdr){CMSG_LEN(sizeof(*info)), IPPROTO_IP, IP_PKTINFO};
	memcpy(CMSG_DATA(c), &source, sizeof(source));
	EXPECT(sendmsg(s, &m, 0) == -1 && (errno == EINVAL || errno == ENETUNREACH), 1); /* Linux changed it */
	c->cmsg_len = 3;
	EXPECT_ERR(sendmsg(s, &m, 0), EINVAL);
	m.msg_controllen = 0;
	/* When it came. */
	EXPECT(set_option(s, SOL_SOCKET, SO_TIMESTAMP, 1), 0);
	EXPECT(set_option(s, IPPROTO_IP, IP_PKTINFO, 0), 0);
	struct timeval before, *stamp;
	gettimeofday(&before, NULL);
	EXPECT(send_to(t, "time", 4, "127.0.0.1", port), 4);
	EXPECT(receive(s, 10, 512, 0), 4);
	stamp = message(SOL_SOCKET, SO_TIMESTAMP);
	EXPECT(stamp && stamp->tv_sec - before.tv_sec >= 0 && stamp->tv_sec - before.tv_sec < 10, 1);
	EXPECT(message(IPPROTO_IP, IP_PKTINFO) == NULL, 1);
	close(s);
	close(t);
}

static void several(void)
{
	struct mmsghdr m[4];
	struct iovec iov[4];
	union address to[4];
	struct timespec ts = {0, 5000000};
	unsigned port;
	int s = bound(SOCK_DGRAM, "127.0.0.1", &port), t = socket(AF_INET, SOCK_DGRAM, 0), more, n;

	memset(m, 0, sizeof(m));
	for (int i = 0; i < 4; i++) {
		to[i] = address("127.0.0.1", port);
		iov[i] = (struct iovec){"abcdefg", (size_t)i + 1};
		m[i].msg_hdr = (struct msghdr){.msg_iov = &iov[i], .msg_iovlen = 1, .msg_name = &to[i], .msg_namelen = 16};
	}
	EXPECT(sendmmsg(t, m, 4, 0), 4);
	EXPECT(m[0].msg_len == 1 && m[3].msg_len == 4, 1);
	m[2].msg_hdr.msg_namelen = 3;
	EXPECT(sendmmsg(t, m, 4, 0), 2); /* up to the first error */
	EXPECT_ERR(sendmmsg(t, &m[2], 2, 0), EINVAL);
	EXPECT(sendmmsg(t, m, 0, 0), 0);
	for (int i = 0; i < 4; i++) {
		iov[i] = (struct iovec){buf + i * 100, 3};
		m[i].msg_hdr.msg_namelen = sizeof(to[i]);
		m[i].msg_hdr.msg_name = &to[i];
		memset(&to[i], 0, sizeof(to[i]));
	}
	EXPECT(recvmmsg(s, m, 4, 0, NULL), 4);
	EXPECT(m[0].msg_len == 1 && m[1].msg_len == 2 && m[3].msg_len == 3, 1);
	EXPECT(m[3].msg_hdr.msg_flags, MSG_TRUNC);
	EXPECT(m[3].msg_hdr.msg_namelen, 16);
	EXPECT_TRUE(is_address(&to[3], "127.0.0.1", port_of(t)));
	for (more = 0; more < 2 && (n = recvmmsg(s, m, 4, MSG_WAITFORONE, NULL)) > 0;) /* both at once or one by one, but doesn't wait for four */
		more += n;
	EXPECT(more, 2);
	EXPECT_ERR(recvmmsg(s, m, 4, MSG_DONTWAIT, NULL), EAGAIN);
	ts.tv_nsec = 1000000000;
	EXPECT_ERR(recvmmsg(s, m, 4, 0, &ts), EINVAL);
	close(s);
	close(t);
}

static void sharing(void)
{
	unsigned port;
	int s = bound(SOCK_DGRAM, "127.0.0.1", &port), t = socket(AF_INET, SOCK_DGRAM, 0), c = socket(AF_INET, SOCK_DGRAM, 0), n = 0, k = 0;

	EXPECT_ERR(bind_to(t, "127.0.0.1", port), EADDRINUSE);
	EXPECT_ERR(bind_to(t, "0.0.0.0", port), EADDRINUSE);
	EXPECT(bind_to(t, "127.0.0.2", port), 0);
	EXPECT(send_to(c, "two", 3, "127.0.0.2", port), 3);
	EXPECT(send_to(c, "o", 1, "127.0.0.1", port), 1);
	EXPECT(recv(t, buf, 10, 0), 3);
	EXPECT(recv(s, buf, 10, 0), 1);
	close(s);
	close(t);
	/* The closest address wins. */
	s = socket(AF_INET, SOCK_DGRAM, 0);
	t = socket(AF_INET, SOCK_DGRAM, 0);
	set_option(s, SOL_SOCKET, SO_REUSEADDR, 1);
	set_option(t, SOL_SOCKET, SO_REUSEADDR, 1);
	EXPECT(bind_to(s, "0.0.0.0", 0), 0);
	port = port_of(s);
	EXPECT(bind_to(t, "127.0.0.1", port), 0);
	EXPECT(send_to(c, "t", 1, "127.0.0.1", port), 1);
	EXPECT(send_to(c, "ss", 2, "127.0.0.3", port), 2);
	EXPECT(recv(t, buf, 10, 0), 1);
	EXPECT(recv(s, buf, 10, 0), 2);
	close(s);
	close(t);
	/* SO_REUSEPORT: each datagram goes to one of them, and those of one sender to the same. */
	s = socket(AF_INET, SOCK_DGRAM, 0);
	t = socket(AF_INET, SOCK_DGRAM, 0);
	set_option(s, SOL_SOCKET, SO_REUSEPORT, 1);
	set_option(t, SOL_SOCKET, SO_REUSEPORT, 1);
	EXPECT(bind_to(s, "127.0.0.1", 0), 0);
	port = port_of(s);
	EXPECT(bind_to(t, "127.0.0.1", port), 0);
	for (int i = 0; i < 8; i++)
		send_to(c, "x", 1, "127.0.0.1", port);
	for (int i = 0; i < 60000 && n + k < 8; i++) {
		while (recv(s, buf, 10, MSG_DONTWAIT) == 1)
			n++;
		while (recv(t, buf, 10, MSG_DONTWAIT) == 1)
			k++;
		if (n + k < 8)
			usleep(1000);
	}
	EXPECT(n + k, 8);
	EXPECT(n == 0 || k == 0, 1);
	close(s);
	close(t);
	close(c);
}

static void groups(void)
{
	struct ip_mreqn group = {.imr_multiaddr.s_addr = inet_addr("239.77.7.7"), .imr_ifindex = if_nametoindex("lo")};
	struct ip_mreq old = {.imr_multiaddr.s_addr = inet_addr("239.77.7.8"), .imr_interface.s_addr = inet_addr("127.0.0.1")};
	struct ip_mreqn out = {.imr_ifindex = if_nametoindex("lo")};
	unsigned port;
	int s = socket(AF_INET, SOCK_DGRAM, 0), t = socket(AF_INET, SOCK_DGRAM, 0);

	EXPECT_ERR(send_to(t, "x", 1, "127.255.255.255", 9), EACCES); /* no SO_BROADCAST */
	EXPECT(set_option(t, SOL_SOCKET, SO_BROADCAST, 1), 0);
	EXPECT(send_to(t, "x", 1, "127.255.255.255", 9), 1);
	EXPECT(bind_to(s, "0.0.0.0", 0), 0);
	port = port_of(s);
	EXPECT(send_to(t, "all", 3, "127.255.255.255", port), 3);
	EXPECT(recv(s, buf, 10, 0), 3);
	EXPECT(setsockopt(s, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof(group)), 0);
	EXPECT_ERR(setsockopt(s, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof(group)), EADDRINUSE);
	EXPECT(setsockopt(s, IPPROTO_IP, IP_ADD_MEMBERSHIP, &old, sizeof(old)), 0);
	EXPECT(setsockopt(t, IPPROTO_IP, IP_MULTICAST_IF, &out, sizeof(out)), 0);
	EXPECT(option(t, IPPROTO_IP, IP_MULTICAST_LOOP), 1);
	EXPECT(option(t, IPPROTO_IP, IP_MULTICAST_TTL), 1);
	EXPECT(send_to(t, "seven", 5, "239.77.7.7", port), 5);
	EXPECT(recv(s, buf, 10, 0), 5);
	EXPECT(send_to(t, "eight", 5, "239.77.7.8", port), 5);
	EXPECT(recv(s, buf, 10, 0), 5);
	EXPECT(setsockopt(s, IPPROTO_IP, IP_DROP_MEMBERSHIP, &group, sizeof(group)), 0);
	EXPECT_ERR(setsockopt(s, IPPROTO_IP, IP_DROP_MEMBERSHIP, &group, sizeof(group)), EADDRNOTAVAIL);
	EXPECT(send_to(t, "lost", 4, "239.77.7.7", port), 4);
	EXPECT(send_to(t, "8", 1, "239.77.7.8", port), 1);
	EXPECT(recv(s, buf, 10, 0), 1);
	EXPECT_ERR(recv(s, buf, 10, MSG_DONTWAIT), EAGAIN);
	EXPECT(set_option(t, IPPROTO_IP, IP_MULTICAST_LOOP, 0), 0);
	EXPECT(option(t, IPPROTO_IP, IP_MULTICAST_LOOP), 0);
	group.imr_multiaddr.s_addr = inet_addr("10.1.2.3");
	EXPECT_ERR(setsockopt(s, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof(group)), EINVAL);
	EXPECT_ERR(setsockopt(s, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, 4), EINVAL);
	group.imr_multiaddr.s_addr = inet_addr("239.77.7.9");
	group.imr_ifindex = 9999;
	EXPECT_ERR(setsockopt(s, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof(group)), ENODEV);
	close(s);
	/* Every member of a group gets its datagrams. */
	set_option(t, IPPROTO_IP, IP_MULTICAST_LOOP, 1);
	group = (struct ip_mreqn){.imr_multiaddr.s_addr = inet_addr("239.77.7.7"), .imr_ifindex = if_nametoindex("lo")};
	int u = socket(AF_INET, SOCK_DGRAM, 0);
	s = socket(AF_INET, SOCK_DGRAM, 0);
	set_option(s, SOL_SOCKET, SO_REUSEADDR, 1);
	set_option(u, SOL_SOCKET, SO_REUSEADDR, 1);
	EXPECT(bind_to(s, "239.77.7.7", 0), 0);
	port = port_of(s);
	EXPECT(bind_to(u, "239.77.7.7", port), 0);
	setsockopt(s, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof(group));
	setsockopt(u, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof(group));
	EXPECT(send_to(t, "all of us", 9, "239.77.7.7", port), 9);
	EXPECT(recv(s, buf, 10, 0), 9);
	EXPECT(recv(u, buf, 10, 0), 9);
	close(s);
	close(u);
	close(t);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	basics();
	sizes();
	connected();
	information();
	several();
	sharing();
	groups();
	return guest_done();
}
