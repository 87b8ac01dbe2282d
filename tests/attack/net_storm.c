/* The attacker on the cell's network. Frames (root, AF_PACKET): each kind of flood, and frames broken at every layer, as fast as the
 * interface takes them. Clients: honest ones and such that hold what they can.
 * usage: net_storm frames INTERFACE CELL_IP PEER_IP KIND COUNT [SEED] | net_storm CLIENT IP PORT [COUNT] */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static uint8_t cell_ip[4], peer_ip[4];
static const uint8_t cell_mac[6] = {2, 0, 0, 0, 0, 2}, peer_mac[6] = {2, 0, 0, 0, 0, 9};
static const uint8_t cell_ip6[16] = {0xfd, 0x76, [15] = 2}, peer_ip6[16] = {0xfd, 0x76, [15] = 9};
static uint64_t state = 88172645463325252ull;

static uint32_t rnd(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 16);
}

static void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static uint32_t sum_of(const uint8_t *p, size_t n, uint32_t sum)
{
	for (size_t i = 0; i + 1 < n; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	return n % 2 ? sum + ((uint32_t)p[n - 1] << 8) : sum;
}

static unsigned fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return ~((sum & 0xffff) + (sum >> 16)) & 0xffff;
}

/* Ethernet and IPv4 around n bytes at f + 34. Returns the frame's length. */
static size_t ip4(uint8_t *f, unsigned protocol, size_t n, unsigned fragment)
{
	uint8_t *ip = f + 14;

	memcpy(f, cell_mac, 6);
	memcpy(f + 6, peer_mac, 6);
	put16(f + 12, 0x0800);
	memset(ip, 0, 20);
	ip[0] = 0x45;
	put16(ip + 2, (unsigned)n + 20);
	put16(ip + 4, rnd());
	put16(ip + 6, fragment);
	ip[8] = 64;
	ip[9] = (uint8_t)protocol;
	memcpy(ip + 12, peer_ip, 4);
	ip[15] = (uint8_t)(10 + rnd() % 200);
	memcpy(ip + 16, cell_ip, 4);
	put16(ip + 10, fold(sum_of(ip, 20, 0)));
	return n + 34;
}

static size_t ip6(uint8_t *f, unsigned next, size_t n)
{
	uint8_t *ip = f + 14;

	memcpy(f, cell_mac, 6);
	memcpy(f + 6, peer_mac, 6);
	put16(f + 12, 0x86dd);
	memset(ip, 0, 40);
	ip[0] = 0x60;
	put16(ip + 4, (unsigned)n);
	ip[6] = (uint8_t)next;
	ip[7] = 255;
	memcpy(ip + 8, peer_ip6, 16);
	ip[22] = (uint8_t)rnd();
	ip[23] = (uint8_t)rnd();
	memcpy(ip + 24, cell_ip6, 16);
	return n + 54;
}

/* The checksum at `at` within what an IP header carries, pseudo header included (but for ICMP). */
static void transport_sum(uint8_t *f, size_t len, unsigned at)
{
	int six = f[12] == 0x86;
	uint8_t *ip = f + 14, *t = ip + (six ? 40 : 20);
	size_t n = len - (size_t)(t - f);
	uint32_t sum = six ? sum_of(ip + 8, 32, ip[6] + (uint32_t)n) : ip[9] == 1 ? 0 : sum_of(ip + 12, 8, ip[9] + (uint32_t)n);

	put16(t + at, 0);
	put16(t + at, fold(sum_of(t, n, sum)));
}

static size_t tcp(uint8_t *f, unsigned flags, int six, size_t data)
{
	uint8_t *t = f + (six ? 54 : 34);

	memset(t, 0, 24);
	put16(t, 1024 + rnd() % 60000);
	put16(t + 2, 80);
	put16(t + 4, rnd());
	put16(t + 6, rnd());
	put16(t + 8, rnd());
	put16(t + 10, rnd());
	t[12] = 6 << 4;
	t[13] = (uint8_t)flags;
	put16(t + 14, 65535);
	put16(t + 20, 0x0204);
	put16(t + 22, 1460);
	memset(t + 24, 'x', data);
	size_t len = six ? ip6(f, 6, 24 + data) : ip4(f, 6, 24 + data, 0);
	transport_sum(f, len, 16);
	return len;
}

static size_t udp(uint8_t *f, int six, size_t n)
{
	uint8_t *t = f + (six ? 54 : 34);

	put16(t, rnd());
	put16(t + 2, rnd() % 4 ? 80 : rnd());
	put16(t + 4, (unsigned)n + 8);
	memset(t + 8, 'u', n);
	size_t len = six ? ip6(f, 17, n + 8) : ip4(f, 17, n + 8, 0);
	transport_sum(f, len, 6);
	return len;
}

static size_t icmp(uint8_t *f, unsigned type, unsigned code, int six, size_t n)
{
	uint8_t *t = f + (six ? 54 : 34);

	t[0] = (uint8_t)type;
	t[1] = (uint8_t)code;
	for (size_t i = 4; i < n + 8; i++)
		t[i] = (uint8_t)rnd();
	size_t len = six ? ip6(f, 58, n + 8) : ip4(f, 1, n + 8, 0);
	transport_sum(f, len, 2);
	return len;
}

static size_t arp(uint8_t *f)
{
	memcpy(f, rnd() % 2 ? cell_mac : (const uint8_t *)"\xff\xff\xff\xff\xff\xff", 6);
	memcpy(f + 6, peer_mac, 6);
	memcpy(f + 12, "\x08\x06\x00\x01\x08\x00\x06\x04\x00", 9);
	f[21] = (uint8_t)(1 + rnd() % 2);
	put16(f + 22, 0x0200);
	put16(f + 24, rnd());
	put16(f + 26, rnd());
	memcpy(f + 28, peer_ip, 3);
	f[31] = (uint8_t)(10 + rnd() % 240);
	memcpy(f + 32, cell_mac, 6);
	memcpy(f + 38, cell_ip, 4);
	return 60;
}

/* Pieces of datagrams that will never be whole; some overlap. */
static size_t fragment4(uint8_t *f)
{
	size_t n = 8 + rnd() % 180 * 8;

	memset(f + 34, 'f', n);
	return ip4(f, rnd() % 2 ? 17 : 6, n, (rnd() % 8 ? 0x2000 : 0) | rnd() % 8191);
}

static size_t fragment6(uint8_t *f)
{
	size_t n = 8 + rnd() % 170 * 8;
	uint8_t *h = f + 54;

	memset(h + 8, 'f', n);
	h[0] = 17;
	h[1] = 0;
	put16(h + 2, (rnd() % 8191) << 3 | (rnd() % 8 != 0));
	put16(h + 4, rnd());
	put16(h + 6, rnd() % 50);
	return ip6(f, 44, n + 8);
}

/* Solicitations and announcements of neighbours and routers, redirects. */
static size_t discovery(uint8_t *f)
{
	static const uint8_t types[] = {133, 134, 135, 136, 137};
	uint8_t *t = f + 54;
	unsigned type = types[rnd() % 5];
	size_t n = 24 + 8;

	memset(t, 0, 64);
	t[0] = (uint8_t)type;
	t[4] = (uint8_t)rnd();
	if (type == 134) {
		put16(t + 6, rnd()); /* lifetime */
		t[16] = 3; /* a prefix */
		t[17] = 4;
		t[18] = 64;
		t[19] = 0xc0;
		put16(t + 20, rnd());
		put16(t + 24, rnd());
		memcpy(t + 32, peer_ip6, 16);
		put16(t + 34, rnd());
		n = 48;
	} else {
		memcpy(t + 8, type == 135 ? cell_ip6 : peer_ip6, 16);
		put16(t + 20, rnd());
		t[24] = type == 135 ? 1 : 2;
		t[25] = (uint8_t)(rnd() % 8 ? 1 : rnd());
		memcpy(t + 26, peer_mac, 6);
		n += type == 137 ? 16 : 0;
	}
	size_t len = ip6(f, 58, n);
	if (type == 134 || type == 137) { /* they must come from the link */
		memset(f + 22, 0, 16);
		put16(f + 22, 0xfe80);
		put16(f + 36, rnd());
	}
	transport_sum(f, len, 2);
	return len;
}

static size_t valid(uint8_t *f)
{
	int six = rnd() % 2;

	switch (rnd() % 10) {
	case 0:
		return udp(f, six, rnd() % 1000);
	case 1:
		return icmp(f, rnd(), rnd() % 8, six, rnd() % 200);
	case 2:
		return arp(f);
	case 3:
		return fragment4(f);
	case 4:
		return fragment6(f);
	case 5:
		return discovery(f);
	default:
		return tcp(f, rnd() % 64, six, rnd() % 100);
	}
}

/* A frame that is right but for some bytes, its length, or its checksum repaired after that. */
static size_t malformed(uint8_t *f)
{
	size_t len = valid(f);

	for (unsigned i = rnd() % 4; i; i--)
		f[12 + rnd() % (rnd() % 2 ? 60 : len - 12)] = (uint8_t)(rnd() % 3 ? rnd() : (rnd() % 2 ? 0 : 255));
	if (rnd() % 3 == 0)
		len = 14 + rnd() % (len - 13);
	if (rnd() % 2 && f[12] == 8 && f[13] == 0 && len >= 34) {
		put16(f + 24, 0);
		put16(f + 24, fold(sum_of(f + 14, (f[14] & 15u) * 4u <= len - 14 ? (f[14] & 15u) * 4u : 20, 0)));
	}
	if (rnd() % 2 && len > 60 && (f[12] == 8 || f[12] == 0x86))
		transport_sum(f, len, f[23] == 6 || f[20] == 6 ? 16 : f[23] == 17 || f[20] == 17 ? 6 : 2);
	return len;
}

static size_t make(const char *kind, uint8_t *f)
{
	if (!strcmp(kind, "syn"))
		return tcp(f, 2, rnd() % 4 == 0, 0);
	if (!strcmp(kind, "ack"))
		return tcp(f, rnd() % 2 ? 16 : 20, rnd() % 4 == 0, rnd() % 1000);
	if (!strcmp(kind, "udp"))
		return udp(f, rnd() % 4 == 0, rnd() % 1400);
	if (!strcmp(kind, "icmp"))
		return rnd() % 2 ? icmp(f, 8, 0, 0, rnd() % 1000) : icmp(f, 128, 0, 1, rnd() % 1000);
	if (!strcmp(kind, "arp"))
		return arp(f);
	if (!strcmp(kind, "fragments"))
		return rnd() % 2 ? fragment4(f) : fragment6(f);
	if (!strcmp(kind, "discovery"))
		return discovery(f);
	return malformed(f);
}

static int frames(const char *interface, const char *cell, const char *peer, const char *kind, unsigned count)
{
	struct sockaddr_ll a = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(interface), .sll_halen = 6};
	int s = socket(AF_PACKET, SOCK_RAW, 0);
	uint8_t f[65536];
	unsigned sent = 0;

	inet_pton(AF_INET, cell, cell_ip);
	inet_pton(AF_INET, peer, peer_ip);
	for (unsigned i = 0; i < count; i++) {
		size_t len = make(kind, f);
		if (sendto(s, f, len < 14 ? 14 : len, 0, (void *)&a, sizeof(a)) > 0)
			sent++;
		else if (errno == ENOBUFS)
			usleep(200);
	}
	printf("%u sent\n", sent);
	return sent < count / 4;
}

/* --- clients --- */

static struct sockaddr_in to;

static int dial(void)
{
	int s = socket(AF_INET, SOCK_STREAM, 0);
	struct timeval limit = {60, 0}; /* on a loaded machine */

	setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (s >= 0 && connect(s, (void *)&to, sizeof(to)) == 0)
		return s;
	if (s >= 0)
		close(s);
	return -1;
}

/* One honest exchange. 0: right. */
static int ask(void)
{
	char out[64] = "e", in[64];
	int s = dial();

	for (int i = 1; i < 64; i++)
		out[i] = (char)rnd();
	if (s < 0 || write(s, out, 64) != 64 || recv(s, in, 64, MSG_WAITALL) != 64 || memcmp(in, out, 64)) {
		perror("ask");
		return 1;
	}
	close(s);
	return 0;
}

static int churn(unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		char c[64] = "e";
		int s = dial();
		unsigned how = rnd() % 8;
		if (s < 0) {
			fprintf(stderr, "connection %u: %m\n", i);
			return 1;
		}
		if (how < 6 && (write(s, c, 64) != 64 || recv(s, c, 64, MSG_WAITALL) != 64)) {
			fprintf(stderr, "exchange %u: %m\n", i);
			return 1;
		}
		if (how != 5 && how != 6) /* the client resets, so that its own ports are free again at once */
			setsockopt(s, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
		close(s);
	}
	return 0;
}

/* Opens connections, does with each what `kind` says, then waits for the end of its input. */
static int hold(const char *kind, unsigned count)
{
	static char data[1 << 20];
	struct rlimit limit = {count + 100, count + 100};
	struct timeval wait = {strcmp(kind, "slow") ? 0 : 60, 300000}; /* all of the slow ones are to be let in */
	unsigned open = 0;

	setrlimit(RLIMIT_NOFILE, &limit);
	memset(data, 's', sizeof(data));
	for (unsigned i = 0; i < count; i++) {
		int s = socket(AF_INET, SOCK_STREAM, 0);
		setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){1, 0}, sizeof(struct timeval));
		if (!strcmp(kind, "noread"))
			setsockopt(s, SOL_SOCKET, SO_RCVBUF, &(int){2048}, sizeof(int));
		setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
		if (s < 0 || connect(s, (void *)&to, sizeof(to)))
			continue;
		open++;
		if (!strcmp(kind, "slow"))
			write(s, "e", 1);
		else if (!strcmp(kind, "noread"))
			write(s, "b", 1);
		else if (!strcmp(kind, "unread"))
			send(s, data, sizeof(data), MSG_DONTWAIT);
	}
	printf("%u open\n", open);
	fflush(stdout);
	while (read(0, data, sizeof(data)) > 0)
		;
	return 0;
}

int main(int argc, char **argv)
{
	if (argc >= 7 && !strcmp(argv[1], "frames")) {
		if (argc > 7)
			state += strtoull(argv[7], NULL, 0) * 2654435761u;
		return frames(argv[2], argv[3], argv[4], argv[5], (unsigned)atoi(argv[6]));
	}
	if (argc < 4)
		return 2;
	state ^= (uint64_t)getpid() << 32;
	to = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(atoi(argv[3]))};
	inet_pton(AF_INET, argv[2], &to.sin_addr);
	unsigned count = argc > 4 ? (unsigned)atoi(argv[4]) : 1;
	if (!strcmp(argv[1], "ask"))
		return ask();
	return strcmp(argv[1], "churn") ? hold(argv[1], count) : churn(count);
}
