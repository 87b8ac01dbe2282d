/* Ping sockets on loopback. In a cell anybody may ping. */
#include "inet.h"

#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <net/if.h>
#include <sched.h>

static void echo(int family)
{
	int v6 = family == AF_INET6;
	int s = socket(family, SOCK_DGRAM, v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
	const char *lo = v6 ? "::1" : "127.0.0.1";
	union address from;
	socklen_t len = sizeof(from);
	struct icmphdr h = {.type = v6 ? ICMP6_ECHO_REQUEST : ICMP_ECHO, .un.echo = {htons(77), htons(5)}};
	unsigned char packet[64];

	EXPECT_TRUE(s >= 0);
	EXPECT(option(s, SOL_SOCKET, SO_TYPE), SOCK_DGRAM);
	EXPECT(option(s, SOL_SOCKET, SO_PROTOCOL), v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
	EXPECT(events_of(s), POLLOUT);
	memcpy(packet, &h, 8);
	for (int i = 8; i < 64; i++)
		packet[i] = i;
	EXPECT_ERR(send(s, packet, 64, 0), EDESTADDRREQ);
	EXPECT(send_to(s, packet, 64, lo, 0), 64);
	EXPECT(arrives(s, POLLIN), POLLIN | POLLOUT);
	EXPECT(recvfrom(s, buf, 1000, 0, &from.any, &len), 64);
	EXPECT_TRUE(is_address(&from, lo, 0));
	struct icmphdr *answer = (void *)buf;
	EXPECT(answer->type, v6 ? ICMP6_ECHO_REPLY : ICMP_ECHOREPLY);
	EXPECT(answer->code, 0);
	EXPECT(ntohs(answer->un.echo.sequence), 5);
	EXPECT(ntohs(answer->un.echo.id) == port_of(s), 1); /* the kernel's choice, not the program's */
	EXPECT(memcmp(buf + 8, packet + 8, 56), 0);
	EXPECT_ERR(recv(s, buf, 100, MSG_DONTWAIT), EAGAIN);
	EXPECT_ERR(send_to(s, packet, 4, lo, 0), EINVAL); /* shorter than a header */
	packet[0] = 13;
	EXPECT_ERR(send_to(s, packet, 64, lo, 0), EINVAL); /* only echo requests */
	packet[0] = h.type;
	EXPECT(connect_to(s, lo, 0), 0);
	EXPECT(send(s, packet, 30, 0), 30);
	EXPECT(arrives(s, POLLIN), POLLIN | POLLOUT);
	EXPECT(recv(s, buf, 100, 0), 30);
	close(s);
	/* A number of one's own choice. */
	s = socket(family, SOCK_DGRAM, v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
	EXPECT(bind_to(s, lo, 4242), 0);
	EXPECT(port_of(s), 4242);
	EXPECT(send_to(s, packet, 64, lo, 0), 64);
	arrives(s, POLLIN);
	EXPECT(recv(s, buf, 1000, 0), 64);
	EXPECT(ntohs(answer->un.echo.id), 4242);
	close(s);
}

/* Natively a process may ping if its group is in net.ipv4.ping_group_range: true in a network namespace of its own. */
static void put(const char *path, const char *text)
{
	int f = open(path, O_WRONLY);

	write(f, text, strlen(text));
	close(f);
}

static int allowed(void)
{
	struct ifreq r = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	int s = socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP), uid = geteuid(), gid = getegid();
	char map[32];

	if (s < 0 && errno == EACCES) {
		if (unshare(CLONE_NEWNET | (uid ? CLONE_NEWUSER : 0)))
			return 0;
		if (uid) {
			put("/proc/self/setgroups", "deny");
			sprintf(map, "0 %d 1", uid);
			put("/proc/self/uid_map", map);
			sprintf(map, "0 %d 1", gid);
			put("/proc/self/gid_map", map);
		}
		put("/proc/sys/net/ipv4/ping_group_range", "0 0");
		s = socket(AF_INET, SOCK_DGRAM, 0);
		ioctl(s, SIOCSIFFLAGS, &r);
		close(s);
		s = socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP);
	}
	close(s);
	return s >= 0;
}

int main(void)
{
	if (!allowed()) {
		printf("1..0 # SKIP this host forbids ping sockets\n");
		return 0;
	}
	EXPECT_ERR(socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMPV6), EPROTONOSUPPORT);
	EXPECT_ERR(socket(AF_INET, SOCK_STREAM, IPPROTO_ICMP), EPROTONOSUPPORT);
	echo(AF_INET);
	echo(AF_INET6);
	return guest_done();
}
