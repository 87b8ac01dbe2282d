/* Options of inet sockets that programs set and read: what is read back, defaults, lengths, borders. */
#include "inet.h"

#include <net/if.h>
#include <netinet/udp.h>

/* getsockopt of four bytes with a length of its own: gives the length that comes back, -errno on failure. */
static long length(int fd, int level, int name, socklen_t len)
{
	char room[256];

	memset(room, 0, sizeof(room));
	return getsockopt(fd, level, name, room, &len) ? -errno : (long)len;
}

static int set_byte(int fd, int level, int name, unsigned char v)
{
	return setsockopt(fd, level, name, &v, 1);
}

/* A switch: off at first; what is not 0 turns it on. */
#define SWITCH(s, level, name)                                                                                                             \
	do {                                                                                                                               \
		EXPECT(option(s, level, name), 0);                                                                                         \
		EXPECT(set_option(s, level, name, 5), 0);                                                                                  \
		EXPECT(option(s, level, name), 1);                                                                                         \
		EXPECT(set_option(s, level, name, 0), 0);                                                                                  \
		EXPECT(option(s, level, name), 0);                                                                                         \
	} while (0)

static void sockets(int s)
{
	struct timeval tv = {3, 500000};
	struct linger l = {1, 7};
	socklen_t len;
	char name[32];
	int v = 1;

	SWITCH(s, SOL_SOCKET, SO_REUSEADDR);
	SWITCH(s, SOL_SOCKET, SO_REUSEPORT);
	SWITCH(s, SOL_SOCKET, SO_KEEPALIVE);
	SWITCH(s, SOL_SOCKET, SO_BROADCAST);
	SWITCH(s, SOL_SOCKET, SO_OOBINLINE);
	SWITCH(s, SOL_SOCKET, SO_DONTROUTE);
	SWITCH(s, SOL_SOCKET, SO_TIMESTAMP);
	EXPECT(option(s, SOL_SOCKET, SO_PRIORITY), 0);
	EXPECT(set_option(s, SOL_SOCKET, SO_PRIORITY, 6), 0);
	EXPECT(option(s, SOL_SOCKET, SO_PRIORITY), 6);
	EXPECT(option(s, SOL_SOCKET, SO_RCVLOWAT), 1);
	EXPECT(set_option(s, SOL_SOCKET, SO_RCVLOWAT, 4), 0);
	EXPECT(option(s, SOL_SOCKET, SO_RCVLOWAT), 4);
	EXPECT(set_option(s, SOL_SOCKET, SO_RCVLOWAT, 0), 0);
	EXPECT(option(s, SOL_SOCKET, SO_RCVLOWAT), 1);
	EXPECT(option(s, SOL_SOCKET, SO_SNDLOWAT), 1);
	EXPECT_ERR(set_option(s, SOL_SOCKET, SO_SNDLOWAT, 4), ENOPROTOOPT);
	EXPECT(set_option(s, SOL_SOCKET, SO_SNDBUF, 10000), 0);
	EXPECT(option(s, SOL_SOCKET, SO_SNDBUF), 20000); /* doubled */
	EXPECT(set_option(s, SOL_SOCKET, SO_RCVBUF, 30000), 0);
	EXPECT(option(s, SOL_SOCKET, SO_RCVBUF), 60000);
	EXPECT(set_option(s, SOL_SOCKET, SO_SNDBUF, 1), 0);
	EXPECT(option(s, SOL_SOCKET, SO_SNDBUF), 4608);
	EXPECT(set_option(s, SOL_SOCKET, SO_RCVBUF, 1), 0);
	EXPECT(option(s, SOL_SOCKET, SO_RCVBUF), 2304);
	EXPECT(set_option(s, SOL_SOCKET, SO_RCVBUF, 0x7fffffff), 0); /* is cut at rmem_max */
	EXPECT_TRUE(option(s, SOL_SOCKET, SO_RCVBUF) >= 2 * 212992);
	EXPECT(set_option(s, SOL_SOCKET, SO_RCVBUF, -1), 0);
	EXPECT_TRUE(option(s, SOL_SOCKET, SO_RCVBUF) >= 2 * 212992);
	EXPECT(setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)), 0);
	tv = (struct timeval){0, 0};
	len = sizeof(tv);
	EXPECT(getsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &tv, &len), 0);
	EXPECT(tv.tv_sec == 3 && tv.tv_usec == 500000 && len == 16, 1);
	EXPECT(getsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &tv, &len), 0);
	EXPECT(tv.tv_sec == 0 && tv.tv_usec == 0, 1);
	tv.tv_usec = 1000000;
	EXPECT_ERR(setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)), EDOM);
	EXPECT_ERR(setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &tv, 8), EINVAL);
	tv = (struct timeval){-1, 0};
	EXPECT(setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)), 0); /* an empty time */
	EXPECT(setsockopt(s, SOL_SOCKET, SO_LINGER, &l, sizeof(l)), 0);
	l = (struct linger){0, 0};
	len = sizeof(l);
	EXPECT(getsockopt(s, SOL_SOCKET, SO_LINGER, &l, &len), 0);
	EXPECT(l.l_onoff == 1 && l.l_linger == 7, 1);
	EXPECT_ERR(setsockopt(s, SOL_SOCKET, SO_LINGER, &l, 4), EINVAL);
	EXPECT_ERR(setsockopt(s, SOL_SOCKET, SO_KEEPALIVE, &v, 2), EINVAL);
	EXPECT_ERR(setsockopt(s, SOL_SOCKET, SO_KEEPALIVE, bad_pointer, 4), EFAULT);
	EXPECT(setsockopt(s, SOL_SOCKET, SO_KEEPALIVE, &v, 100), 0);
	EXPECT_ERR(set_option(s, SOL_SOCKET, SO_TYPE, 1), ENOPROTOOPT);
	EXPECT_ERR(set_option(s, SOL_SOCKET, SO_DOMAIN, 1), ENOPROTOOPT);
	EXPECT_ERR(set_option(s, SOL_SOCKET, SO_PROTOCOL, 1), ENOPROTOOPT);
	EXPECT_ERR(set_option(s, SOL_SOCKET, SO_ERROR, 1), ENOPROTOOPT);
	EXPECT_ERR(set_option(s, SOL_SOCKET, SO_ACCEPTCONN, 1), ENOPROTOOPT);
	EXPECT_ERR(set_option(s, SOL_SOCKET, 9999, 1), ENOPROTOOPT);
	EXPECT(length(s, SOL_SOCKET, SO_TYPE, 2), 2);
	EXPECT(length(s, SOL_SOCKET, SO_TYPE, 0), 0);
	EXPECT(length(s, SOL_SOCKET, SO_TYPE, 100), 4);
	EXPECT(length(s, SOL_SOCKET, SO_LINGER, 100), 8);
	EXPECT(length(s, SOL_SOCKET, SO_TYPE, -1), -EINVAL);
	EXPECT(length(s, SOL_SOCKET, 9999, 4), -ENOPROTOOPT);
	EXPECT_ERR(getsockopt(s, SOL_SOCKET, SO_TYPE, &v, bad_pointer), EFAULT);
	len = 4;
	EXPECT_ERR(getsockopt(s, SOL_SOCKET, SO_TYPE, bad_pointer, &len), EFAULT);
	EXPECT(length(s, SOL_SOCKET, SO_BINDTODEVICE, 16), 0); /* none */
	EXPECT_ERR(setsockopt(s, SOL_SOCKET, SO_BINDTODEVICE, "nosuchdevice", 13), ENODEV);
	EXPECT(setsockopt(s, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3), 0);
	len = sizeof(name);
	EXPECT(getsockopt(s, SOL_SOCKET, SO_BINDTODEVICE, name, &len), 0);
	EXPECT(len == 3 && !strcmp(name, "lo"), 1);
	EXPECT(setsockopt(s, SOL_SOCKET, SO_BINDTODEVICE, "", 0), 0);
	EXPECT(length(s, SOL_SOCKET, SO_BINDTODEVICE, 16), 0);
	EXPECT_ERR(set_option(s, 77, 1, 1), ENOPROTOOPT);
	EXPECT(length(s, 77, 1, 4), -EOPNOTSUPP);
}

static void tcp(void)
{
	int s = socket(AF_INET, SOCK_STREAM, 0), p[2];
	struct tcp_info info;
	socklen_t len = sizeof(info);
	char name[16] = "";
	unsigned port;

	SWITCH(s, IPPROTO_TCP, TCP_NODELAY);
	SWITCH(s, IPPROTO_TCP, TCP_CORK);
	EXPECT(option(s, IPPROTO_TCP, TCP_KEEPIDLE), 7200);
	EXPECT(option(s, IPPROTO_TCP, TCP_KEEPINTVL), 75);
	EXPECT(option(s, IPPROTO_TCP, TCP_KEEPCNT), 9);
	EXPECT(set_option(s, IPPROTO_TCP, TCP_KEEPIDLE, 60), 0);
	EXPECT(set_option(s, IPPROTO_TCP, TCP_KEEPINTVL, 10), 0);
	EXPECT(set_option(s, IPPROTO_TCP, TCP_KEEPCNT, 3), 0);
	EXPECT(option(s, IPPROTO_TCP, TCP_KEEPIDLE), 60);
	EXPECT(option(s, IPPROTO_TCP, TCP_KEEPINTVL), 10);
	EXPECT(option(s, IPPROTO_TCP, TCP_KEEPCNT), 3);
	EXPECT_ERR(set_option(s, IPPROTO_TCP, TCP_KEEPIDLE, 0), EINVAL);
	EXPECT_ERR(set_option(s, IPPROTO_TCP, TCP_KEEPIDLE, 32768), EINVAL);
	EXPECT_ERR(set_option(s, IPPROTO_TCP, TCP_KEEPINTVL, 32768), EINVAL);
	EXPECT_ERR(set_option(s, IPPROTO_TCP, TCP_KEEPCNT, 128), EINVAL);
	EXPECT(option(s, IPPROTO_TCP, TCP_SYNCNT), 6);
	EXPECT(set_option(s, IPPROTO_TCP, TCP_SYNCNT, 3), 0);
	EXPECT(option(s, IPPROTO_TCP, TCP_SYNCNT), 3);
	EXPECT_ERR(set_option(s, IPPROTO_TCP, TCP_SYNCNT, 0), EINVAL);
	EXPECT(option(s, IPPROTO_TCP, TCP_USER_TIMEOUT), 0);
	EXPECT(set_option(s, IPPROTO_TCP, TCP_USER_TIMEOUT, 5000), 0);
	EXPECT(option(s, IPPROTO_TCP, TCP_USER_TIMEOUT), 5000);
	EXPECT_ERR(set_option(s, IPPROTO_TCP, TCP_USER_TIMEOUT, -1), EINVAL);
	EXPECT(option(s, IPPROTO_TCP, TCP_DEFER_ACCEPT), 0);
	EXPECT(set_option(s, IPPROTO_TCP, TCP_DEFER_ACCEPT, 1), 0);
	EXPECT_TRUE(option(s, IPPROTO_TCP, TCP_DEFER_ACCEPT) > 0);
	EXPECT(set_option(s, IPPROTO_TCP, TCP_DEFER_ACCEPT, 0), 0);
	EXPECT(option(s, IPPROTO_TCP, TCP_QUICKACK), 1);
	EXPECT(option(s, IPPROTO_TCP, TCP_LINGER2), 60);
	EXPECT(set_option(s, IPPROTO_TCP, TCP_LINGER2, 20), 0);
	EXPECT(option(s, IPPROTO_TCP, TCP_LINGER2), 20);
	EXPECT_TRUE(option(s, IPPROTO_TCP, TCP_MAXSEG) >= 500);
	EXPECT(set_option(s, IPPROTO_TCP, TCP_MAXSEG, 1000), 0);
	EXPECT_ERR(set_option(s, IPPROTO_TCP, TCP_MAXSEG, 10), EINVAL);
	EXPECT_ERR(set_option(s, IPPROTO_TCP, TCP_MAXSEG, 100000), EINVAL);
	EXPECT(set_option(s, IPPROTO_TCP, TCP_WINDOW_CLAMP, 60000), 0);
	EXPECT(option(s, IPPROTO_TCP, TCP_WINDOW_CLAMP), 60000);
	EXPECT_TRUE(length(s, IPPROTO_TCP, TCP_CONGESTION, 16) > 0);
	len = sizeof(name);
	EXPECT(setsockopt(s, IPPROTO_TCP, TCP_CONGESTION, "reno", 4), 0);
	EXPECT(getsockopt(s, IPPROTO_TCP, TCP_CONGESTION, name, &len), 0);
	EXPECT(strcmp(name, "reno"), 0);
	EXPECT_ERR(setsockopt(s, IPPROTO_TCP, TCP_CONGESTION, "nosuch", 6), ENOENT);
	EXPECT_ERR(set_byte(s, IPPROTO_TCP, TCP_NODELAY, 1), EINVAL);
	EXPECT_ERR(setsockopt(s, IPPROTO_TCP, TCP_NODELAY, bad_pointer, 4), EFAULT);
	EXPECT_ERR(set_option(s, IPPROTO_TCP, 9999, 1), ENOPROTOOPT);
	EXPECT(length(s, IPPROTO_TCP, 9999, 4), -ENOPROTOOPT);
	EXPECT(length(s, IPPROTO_TCP, TCP_NODELAY, -1), -EINVAL);
	EXPECT(length(s, IPPROTO_TCP, TCP_NODELAY, 1), 1);
	EXPECT_ERR(set_option(s, IPPROTO_TCP, TCP_INFO, 1), ENOPROTOOPT);
	len = sizeof(info);
	memset(&info, 0xee, sizeof(info));
	EXPECT(getsockopt(s, IPPROTO_TCP, TCP_INFO, &info, &len), 0);
	EXPECT_TRUE(len >= 104);
	EXPECT(info.tcpi_state, TCP_CLOSE);
	EXPECT(length(s, IPPROTO_TCP, TCP_INFO, 8), 8);
	close(s);
	tcp_pair(p);
	len = sizeof(info);
	EXPECT(getsockopt(p[0], IPPROTO_TCP, TCP_INFO, &info, &len), 0);
	EXPECT(info.tcpi_state, TCP_ESTABLISHED);
	EXPECT_TRUE(info.tcpi_snd_mss > 500 && info.tcpi_rto >= 200000 && info.tcpi_snd_cwnd > 0);
	EXPECT_TRUE(option(p[0], IPPROTO_TCP, TCP_MAXSEG) > 500);
	EXPECT(shutdown(p[0], SHUT_WR), 0);
	arrives(p[1], POLLRDHUP);
	getsockopt(p[1], IPPROTO_TCP, TCP_INFO, &info, &len);
	EXPECT(info.tcpi_state, TCP_CLOSE_WAIT);
	close_pair(p);
	s = listener("127.0.0.1", &port);
	getsockopt(s, IPPROTO_TCP, TCP_INFO, &info, &len);
	EXPECT(info.tcpi_state, TCP_LISTEN);
	EXPECT(info.tcpi_sacked, 16); /* of a listener: its backlog, and what waits */
	EXPECT(info.tcpi_unacked, 0);
	close(s);
	/* Sizes of buffers: the kernel's limits set the defaults. */
	s = socket(AF_INET, SOCK_STREAM, 0);
	long low, usual, high;
	FILE *f = fopen("/proc/sys/net/ipv4/tcp_rmem", "r");
	EXPECT(f && fscanf(f, "%ld %ld %ld", &low, &usual, &high) == 3, 1);
	EXPECT(option(s, SOL_SOCKET, SO_RCVBUF) - usual, 0);
	f = fopen("/proc/sys/net/ipv4/tcp_wmem", "r");
	EXPECT(f && fscanf(f, "%ld %ld %ld", &low, &usual, &high) == 3, 1);
	EXPECT(option(s, SOL_SOCKET, SO_SNDBUF) - usual, 0);
	close(s);
}

static void ip(int s)
{
	EXPECT(option(s, IPPROTO_IP, IP_TOS), 0);
	EXPECT(set_option(s, IPPROTO_IP, IP_TOS, 0x68), 0);
	EXPECT(option(s, IPPROTO_IP, IP_TOS), 0x68);
	EXPECT(set_byte(s, IPPROTO_IP, IP_TOS, 0x10), 0); /* a byte will do */
	EXPECT(option(s, IPPROTO_IP, IP_TOS), 0x10);
	EXPECT(length(s, IPPROTO_IP, IP_TOS, 1), 1);
	EXPECT(length(s, IPPROTO_IP, IP_TOS, 100), 4);
	EXPECT(option(s, IPPROTO_IP, IP_TTL), 64);
	EXPECT(set_option(s, IPPROTO_IP, IP_TTL, 7), 0);
	EXPECT(option(s, IPPROTO_IP, IP_TTL), 7);
	EXPECT(set_option(s, IPPROTO_IP, IP_TTL, -1), 0);
	EXPECT(option(s, IPPROTO_IP, IP_TTL), 64);
	EXPECT_ERR(set_option(s, IPPROTO_IP, IP_TTL, 0), EINVAL);
	EXPECT_ERR(set_option(s, IPPROTO_IP, IP_TTL, 256), EINVAL);
	SWITCH(s, IPPROTO_IP, IP_PKTINFO);
	SWITCH(s, IPPROTO_IP, IP_RECVTTL);
	SWITCH(s, IPPROTO_IP, IP_RECVTOS);
	SWITCH(s, IPPROTO_IP, IP_RECVERR);
	SWITCH(s, IPPROTO_IP, IP_FREEBIND);
	SWITCH(s, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT);
	EXPECT_TRUE(option(s, IPPROTO_IP, IP_MTU_DISCOVER) >= 0);
	EXPECT(set_option(s, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO), 0);
	EXPECT(option(s, IPPROTO_IP, IP_MTU_DISCOVER), IP_PMTUDISC_DO);
	EXPECT(set_option(s, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT), 0);
	EXPECT_ERR(set_option(s, IPPROTO_IP, IP_MTU_DISCOVER, 77), EINVAL);
	EXPECT(length(s, IPPROTO_IP, IP_MTU, 4), -ENOTCONN);
	EXPECT(option(s, IPPROTO_IP, IP_MULTICAST_TTL), 1);
	EXPECT(option(s, IPPROTO_IP, IP_MULTICAST_LOOP), 1);
	EXPECT_ERR(set_option(s, IPPROTO_IP, 9999, 1), ENOPROTOOPT);
	EXPECT(length(s, IPPROTO_IP, 9999, 4), -ENOPROTOOPT);
	EXPECT_ERR(setsockopt(s, IPPROTO_IP, IP_TOS, bad_pointer, 4), EFAULT);
	EXPECT_ERR(setsockopt(s, IPPROTO_IP, IP_TTL, NULL, 0), EINVAL);
}

static void multicast(void)
{
	struct ip_mreqn out = {.imr_ifindex = if_nametoindex("lo")};
	struct in_addr a = {0xffffffff};
	socklen_t len = sizeof(a);
	int s = socket(AF_INET, SOCK_DGRAM, 0);

	EXPECT(set_byte(s, IPPROTO_IP, IP_MULTICAST_TTL, 9), 0);
	EXPECT(option(s, IPPROTO_IP, IP_MULTICAST_TTL), 9);
	EXPECT_ERR(set_option(s, IPPROTO_IP, IP_MULTICAST_TTL, 256), EINVAL);
	EXPECT(set_byte(s, IPPROTO_IP, IP_MULTICAST_LOOP, 0), 0);
	EXPECT(option(s, IPPROTO_IP, IP_MULTICAST_LOOP), 0);
	EXPECT(getsockopt(s, IPPROTO_IP, IP_MULTICAST_IF, &a, &len), 0);
	EXPECT(a.s_addr, 0);
	a.s_addr = inet_addr("127.0.0.1");
	EXPECT(setsockopt(s, IPPROTO_IP, IP_MULTICAST_IF, &a, sizeof(a)), 0);
	a.s_addr = 0;
	EXPECT(getsockopt(s, IPPROTO_IP, IP_MULTICAST_IF, &a, &len), 0);
	EXPECT(a.s_addr == inet_addr("127.0.0.1"), 1);
	EXPECT(setsockopt(s, IPPROTO_IP, IP_MULTICAST_IF, &out, sizeof(out)), 0);
	out.imr_ifindex = 9999;
	EXPECT_ERR(setsockopt(s, IPPROTO_IP, IP_MULTICAST_IF, &out, sizeof(out)), EADDRNOTAVAIL);
	a.s_addr = inet_addr("203.0.113.5");
	EXPECT_ERR(setsockopt(s, IPPROTO_IP, IP_MULTICAST_IF, &a, sizeof(a)), EADDRNOTAVAIL);
	EXPECT(option(s, IPPROTO_IP, IP_MULTICAST_ALL), 1);
	EXPECT(set_option(s, IPPROTO_IP, IP_MULTICAST_ALL, 0), 0);
	EXPECT(option(s, IPPROTO_IP, IP_MULTICAST_ALL), 0);
	close(s);
	s = socket(AF_INET, SOCK_STREAM, 0);
	EXPECT_ERR(set_option(s, IPPROTO_IP, IP_MULTICAST_TTL, 2), EINVAL); /* none of a stream's */
	close(s);
}

static void udp(void)
{
	int s = socket(AF_INET, SOCK_DGRAM, 0);

	SWITCH(s, IPPROTO_UDP, UDP_CORK);
	EXPECT(option(s, IPPROTO_UDP, UDP_SEGMENT), 0);
	EXPECT(set_option(s, IPPROTO_UDP, UDP_CORK, 1), 0);
	EXPECT_ERR(set_option(s, IPPROTO_UDP, 9999, 1), ENOPROTOOPT);
	EXPECT(length(s, IPPROTO_UDP, 9999, 4), -ENOPROTOOPT);
	EXPECT(length(s, IPPROTO_TCP, TCP_NODELAY, 4), -EOPNOTSUPP);
	EXPECT_ERR(set_option(s, IPPROTO_TCP, TCP_NODELAY, 1), ENOPROTOOPT);
	close(s);
	s = socket(AF_INET, SOCK_DGRAM, 0);
	long usual;
	FILE *f = fopen("/proc/sys/net/core/rmem_default", "r");
	EXPECT(f && fscanf(f, "%ld", &usual) == 1, 1);
	EXPECT(option(s, SOL_SOCKET, SO_RCVBUF) - usual, 0);
	f = fopen("/proc/sys/net/core/wmem_default", "r");
	EXPECT(f && fscanf(f, "%ld", &usual) == 1, 1);
	EXPECT(option(s, SOL_SOCKET, SO_SNDBUF) - usual, 0);
	close(s);
}

static void ipv6(int s)
{
	EXPECT(option(s, IPPROTO_IPV6, IPV6_V6ONLY), 0);
	EXPECT(set_option(s, IPPROTO_IPV6, IPV6_V6ONLY, 1), 0);
	EXPECT(option(s, IPPROTO_IPV6, IPV6_V6ONLY), 1);
	EXPECT_ERR(set_byte(s, IPPROTO_IPV6, IPV6_V6ONLY, 1), EINVAL);
	EXPECT(option(s, IPPROTO_IPV6, IPV6_UNICAST_HOPS), 64);
	EXPECT(set_option(s, IPPROTO_IPV6, IPV6_UNICAST_HOPS, 9), 0);
	EXPECT(option(s, IPPROTO_IPV6, IPV6_UNICAST_HOPS), 9);
	EXPECT(set_option(s, IPPROTO_IPV6, IPV6_UNICAST_HOPS, -1), 0);
	EXPECT(option(s, IPPROTO_IPV6, IPV6_UNICAST_HOPS), 64);
	EXPECT_ERR(set_option(s, IPPROTO_IPV6, IPV6_UNICAST_HOPS, 256), EINVAL);
	EXPECT_ERR(set_option(s, IPPROTO_IPV6, IPV6_UNICAST_HOPS, -2), EINVAL);
	SWITCH(s, IPPROTO_IPV6, IPV6_RECVPKTINFO);
	SWITCH(s, IPPROTO_IPV6, IPV6_RECVHOPLIMIT);
	SWITCH(s, IPPROTO_IPV6, IPV6_RECVTCLASS);
	SWITCH(s, IPPROTO_IPV6, IPV6_RECVERR);
	EXPECT(option(s, IPPROTO_IPV6, IPV6_TCLASS), 0);
	EXPECT(set_option(s, IPPROTO_IPV6, IPV6_TCLASS, 0x10), 0);
	EXPECT(option(s, IPPROTO_IPV6, IPV6_TCLASS), 0x10);
	EXPECT_ERR(set_option(s, IPPROTO_IPV6, IPV6_TCLASS, 256), EINVAL);
	EXPECT(option(s, IPPROTO_IPV6, IPV6_MULTICAST_LOOP), 1);
	EXPECT(length(s, IPPROTO_IPV6, IPV6_MTU, 4), -ENOTCONN);
	EXPECT(option(s, IPPROTO_IPV6, IPV6_MTU_DISCOVER) >= 0, 1);
	EXPECT_ERR(set_option(s, IPPROTO_IPV6, 9999, 1), ENOPROTOOPT);
	EXPECT(length(s, IPPROTO_IPV6, 9999, 4), -ENOPROTOOPT);
	/* Of the other family, for mapped addresses. */
	EXPECT(option(s, IPPROTO_IP, IP_TTL), 64);
	EXPECT(set_option(s, IPPROTO_IP, IP_TOS, 0x08), 0);
	EXPECT(option(s, IPPROTO_IP, IP_TOS), 0x08);
}

static void ipv6_only_on_v6(void)
{
	int s = socket(AF_INET, SOCK_STREAM, 0);

	EXPECT_ERR(set_option(s, IPPROTO_IPV6, IPV6_V6ONLY, 1), ENOPROTOOPT);
	EXPECT(length(s, IPPROTO_IPV6, IPV6_V6ONLY, 4), -EOPNOTSUPP);
	close(s);
}

int main(void)
{
	static const int types[] = {SOCK_STREAM, SOCK_DGRAM};
	int s;

	for (int i = 0; i < 2; i++) {
		printf("# type %d\n", types[i]);
		s = socket(AF_INET, types[i], 0);
		sockets(s);
		close(s);
		s = socket(AF_INET, types[i], 0);
		ip(s);
		close(s);
		s = socket(AF_INET6, types[i], 0);
		ipv6(s);
		close(s);
	}
	tcp();
	udp();
	multicast();
	ipv6_only_on_v6();
	return guest_done();
}
