/* The firewall's verdicts, frame by frame: what is allowed, its replies, and the tricks of either side to get more through. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/firewall.h"
#include "tests/unit/tap.h"

#define OWN   "10.0.0.2"
#define PEER  "10.1.1.1"
#define OTHER "172.16.0.9"
#define OWN6  "fd00::2"
#define PEER6 "fd01::1"

enum { SYN = 2, RST = 4, ACK = 16, FIN = 1 };

static const uint8_t mac[6] = {2, 0, 0, 0, 0, 1}, far_mac[6] = {2, 0, 0, 0, 0, 9};
static struct firewall *f;
static int64_t now = 1000000000;
static uint8_t frame[70000], header[12];
static size_t len;

static struct firewall_rule rule(
	enum firewall_way way, const char *network, unsigned prefix, unsigned first, unsigned last, unsigned protocols)
{
	struct firewall_rule r = {.way = way,
		.v6 = strchr(network, ':') != NULL,
		.prefix = (uint8_t)prefix,
		.protocols = (uint8_t)protocols,
		.first = (uint16_t)first,
		.last = (uint16_t)last};
	inet_pton(r.v6 ? AF_INET6 : AF_INET, network, r.address);
	return r;
}

static void start(const struct firewall_rule *rules, unsigned count, bool dynamic)
{
	struct firewall_link link = {.dhcp = dynamic, .auto6 = dynamic, .has4 = !dynamic, .has6 = !dynamic, .prefix6 = 64};
	memcpy(link.mac, mac, 6);
	inet_pton(AF_INET, OWN, link.ip4);
	inet_pton(AF_INET6, OWN6, link.ip6);
	firewall_free(f);
	f = firewall_new(rules, count, &link, 12345);
	memset(header, 0, sizeof(header));
}

static enum firewall_drop judge(enum firewall_way way)
{
	struct firewall_packet what;
	/* An allocation of just that size: the sanitizer sees any byte read beyond. */
	uint8_t *copy = malloc(len ? len : 1);
	memcpy(copy, frame, len);
	enum firewall_drop r = firewall_judge(f, way, header, copy, len, now, &what);
	free(copy);
	return r;
}

/* --- frames --- */

static void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static uint8_t *ip(enum firewall_way way, const char *from, const char *to, unsigned protocol, size_t payload)
{
	bool v6 = strchr(from, ':') != NULL;
	uint8_t *p = frame + 14;
	memset(frame, 0, sizeof(frame));
	memcpy(frame, way == FIREWALL_OUT ? far_mac : mac, 6);
	memcpy(frame + 6, way == FIREWALL_OUT ? mac : far_mac, 6);
	put16(frame + 12, v6 ? 0x86dd : 0x0800);
	len = 14 + (v6 ? 40 : 20) + payload;
	if (v6) {
		p[0] = 0x60;
		put16(p + 4, (unsigned)payload);
		p[6] = (uint8_t)protocol;
		p[7] = 64;
		inet_pton(AF_INET6, from, p + 8);
		inet_pton(AF_INET6, to, p + 24);
		return p + 40;
	}
	p[0] = 0x45;
	put16(p + 2, (unsigned)(20 + payload));
	p[8] = 64;
	p[9] = (uint8_t)protocol;
	inet_pton(AF_INET, from, p + 12);
	inet_pton(AF_INET, to, p + 16);
	return p + 20;
}

static enum firewall_drop tcp(enum firewall_way way, const char *from, unsigned from_port, const char *to, unsigned to_port, unsigned flags)
{
	uint8_t *p = ip(way, from, to, 6, 20);
	put16(p, from_port);
	put16(p + 2, to_port);
	p[12] = 0x50;
	p[13] = (uint8_t)flags;
	return judge(way);
}

static enum firewall_drop udp(enum firewall_way way, const char *from, unsigned from_port, const char *to, unsigned to_port)
{
	uint8_t *p = ip(way, from, to, 17, 12);
	put16(p, from_port);
	put16(p + 2, to_port);
	put16(p + 4, 12);
	return judge(way);
}

static enum firewall_drop ping(enum firewall_way way, const char *from, const char *to, unsigned type)
{
	bool v6 = strchr(from, ':') != NULL;
	uint8_t *p = ip(way, from, to, v6 ? 58 : 1, 16);
	p[0] = (uint8_t)type;
	put16(p + 4, 77);
	return judge(way);
}

/* An ICMP error about a TCP packet. */
static enum firewall_drop icmp_error(enum firewall_way way, const char *from, const char *to, const char *inner_from,
	unsigned inner_from_port, const char *inner_to, unsigned inner_to_port)
{
	uint8_t *p = ip(way, from, to, 1, 8 + 28);
	p[0] = 3;
	p += 8;
	p[0] = 0x45;
	put16(p + 2, 40);
	p[9] = 6;
	inet_pton(AF_INET, inner_from, p + 12);
	inet_pton(AF_INET, inner_to, p + 16);
	put16(p + 20, inner_from_port);
	put16(p + 22, inner_to_port);
	return judge(way);
}

static enum firewall_drop arp(enum firewall_way way, const uint8_t *speaker, const char *speaker_ip, unsigned operation)
{
	ip(way, "0.0.0.0", "0.0.0.0", 0, 8);
	memset(frame, 0xff, 6);
	uint8_t *p = frame + 14;
	static const uint8_t head[6] = {0, 1, 8, 0, 6, 4};
	put16(frame + 12, 0x0806);
	memcpy(p, head, 6);
	put16(p + 6, operation);
	memcpy(p + 8, speaker, 6);
	inet_pton(AF_INET, speaker_ip, p + 14);
	return judge(way);
}

/* --- tests --- */

static void test_out(void)
{
	struct firewall_rule rules[] = {rule(FIREWALL_OUT, "10.1.0.0", 16, 443, 443, FIREWALL_TCP),
		rule(FIREWALL_OUT, "10.1.0.0", 16, 53, 53, FIREWALL_UDP), rule(FIREWALL_OUT, "10.1.1.0", 24, 0, 65535, FIREWALL_ICMP),
		rule(FIREWALL_OUT, "fd01::", 16, 443, 443, FIREWALL_TCP)};
	start(rules, 4, false);
	CHECK(tcp(FIREWALL_IN, PEER, 443, OWN, 5000, SYN | ACK) == FIREWALL_DENIED); /* answers nothing */
	CHECK(tcp(FIREWALL_OUT, OWN, 5000, PEER, 443, SYN) == FIREWALL_PASS);
	CHECK(tcp(FIREWALL_IN, PEER, 443, OWN, 5000, SYN | ACK) == FIREWALL_PASS);
	CHECK(tcp(FIREWALL_OUT, OWN, 5000, PEER, 443, ACK) == FIREWALL_PASS);
	CHECK(tcp(FIREWALL_IN, PEER, 443, OWN, 5000, SYN) == FIREWALL_DENIED); /* an opening of its own on the same ports */
	CHECK(tcp(FIREWALL_IN, PEER, 443, OWN, 5001, ACK) == FIREWALL_DENIED);
	CHECK(tcp(FIREWALL_IN, PEER, 444, OWN, 5000, ACK) == FIREWALL_DENIED);
	CHECK(tcp(FIREWALL_OUT, OWN, 5000, PEER, 444, SYN) == FIREWALL_DENIED);
	CHECK(tcp(FIREWALL_OUT, OWN, 5000, OTHER, 443, SYN) == FIREWALL_DENIED);
	CHECK(tcp(FIREWALL_OUT, OWN, 443, OTHER, 80, ACK) == FIREWALL_DENIED);
	CHECK(tcp(FIREWALL_OUT, OTHER, 5000, PEER, 443, SYN) == FIREWALL_SPOOFED);
	CHECK(tcp(FIREWALL_IN, PEER, 443, OTHER, 5000, ACK) == FIREWALL_SPOOFED); /* not for the cell */
	CHECK(tcp(FIREWALL_IN, OWN, 443, OWN, 5000, ACK) == FIREWALL_SPOOFED);
	CHECK(udp(FIREWALL_OUT, OWN, 6000, PEER, 53) == FIREWALL_PASS);
	CHECK(udp(FIREWALL_IN, PEER, 53, OWN, 6000) == FIREWALL_PASS);
	CHECK(udp(FIREWALL_IN, PEER, 53, OWN, 6001) == FIREWALL_DENIED);
	CHECK(udp(FIREWALL_OUT, OWN, 6000, PEER, 443) == FIREWALL_DENIED);
	CHECK(udp(FIREWALL_OUT, OWN, 68, OTHER, 67) == FIREWALL_DENIED); /* a static interface has no DHCP */
	CHECK(ping(FIREWALL_OUT, OWN, PEER, 8) == FIREWALL_PASS);
	CHECK(ping(FIREWALL_IN, PEER, OWN, 0) == FIREWALL_PASS);
	CHECK(ping(FIREWALL_IN, PEER, OWN, 8) == FIREWALL_DENIED);
	CHECK(ping(FIREWALL_OUT, OWN, OTHER, 8) == FIREWALL_DENIED);
	CHECK(ping(FIREWALL_OUT, OWN, PEER, 13) == FIREWALL_PASS); /* other questions of ICMP */
	CHECK(tcp(FIREWALL_OUT, OWN6, 5000, PEER6, 443, SYN) == FIREWALL_PASS);
	CHECK(tcp(FIREWALL_IN, PEER6, 443, OWN6, 5000, SYN | ACK) == FIREWALL_PASS);
	CHECK(tcp(FIREWALL_OUT, OWN6, 5000, "fe00::1", 443, SYN) == FIREWALL_DENIED);
	CHECK(tcp(FIREWALL_OUT, "fd00::3", 5000, PEER6, 443, SYN) == FIREWALL_SPOOFED);
	CHECK(tcp(FIREWALL_OUT, "fe80::ff:fe00:1", 5000, PEER6, 443, SYN) == FIREWALL_PASS); /* the cell's link-local one */
	/* time */
	CHECK(udp(FIREWALL_IN, PEER, 53, OWN, 6000) == FIREWALL_PASS);
	now += 181ll * 1000000000;
	CHECK(udp(FIREWALL_IN, PEER, 53, OWN, 6000) == FIREWALL_DENIED);
	CHECK(tcp(FIREWALL_IN, PEER, 443, OWN, 5000, ACK) == FIREWALL_PASS);
	CHECK(tcp(FIREWALL_IN, PEER, 443, OWN, 5000, RST) == FIREWALL_PASS);
	now += 121ll * 1000000000;
	CHECK(tcp(FIREWALL_IN, PEER, 443, OWN, 5000, ACK) == FIREWALL_DENIED);
}

static void test_in(void)
{
	struct firewall_rule rules[] = {
		rule(FIREWALL_IN, "10.1.0.0", 16, 80, 89, FIREWALL_TCP), rule(FIREWALL_IN, "0.0.0.0", 0, 0, 65535, FIREWALL_ICMP)};
	start(rules, 2, false);
	CHECK(tcp(FIREWALL_OUT, OWN, 80, PEER, 9000, SYN | ACK) == FIREWALL_DENIED);
	CHECK(tcp(FIREWALL_IN, PEER, 9000, OWN, 80, SYN) == FIREWALL_PASS);
	CHECK(tcp(FIREWALL_OUT, OWN, 80, PEER, 9000, SYN | ACK) == FIREWALL_PASS);
	CHECK(tcp(FIREWALL_OUT, OWN, 80, PEER, 9000, SYN) == FIREWALL_DENIED);
	CHECK(tcp(FIREWALL_OUT, OWN, 81, PEER, 9000, ACK) == FIREWALL_DENIED);
	CHECK(tcp(FIREWALL_IN, PEER, 9000, OWN, 79, SYN) == FIREWALL_DENIED);
	CHECK(tcp(FIREWALL_IN, PEER, 9000, OWN, 89, SYN) == FIREWALL_PASS);
	CHECK(tcp(FIREWALL_IN, PEER, 9000, OWN, 90, SYN) == FIREWALL_DENIED);
	CHECK(tcp(FIREWALL_IN, OTHER, 9000, OWN, 80, SYN) == FIREWALL_DENIED);
	CHECK(ping(FIREWALL_IN, OTHER, OWN, 8) == FIREWALL_PASS);
	CHECK(ping(FIREWALL_OUT, OWN, OTHER, 0) == FIREWALL_PASS);
	CHECK(ping(FIREWALL_OUT, OWN, PEER, 0) == FIREWALL_DENIED);
	/* errors */
	CHECK(icmp_error(FIREWALL_OUT, OWN, PEER, PEER, 9000, OWN, 80) == FIREWALL_PASS);
	CHECK(icmp_error(FIREWALL_IN, OTHER, OWN, OWN, 80, PEER, 9000) == FIREWALL_PASS);       /* any router may say so */
	CHECK(icmp_error(FIREWALL_OUT, OWN, OTHER, PEER, 9000, OWN, 80) == FIREWALL_MALFORMED); /* but not to anybody */
	CHECK(icmp_error(FIREWALL_IN, OTHER, OWN, OWN, 80, PEER, 9999) == FIREWALL_DENIED);
}

static void test_full(void)
{
	struct firewall_rule rules[] = {
		rule(FIREWALL_OUT, "0.0.0.0", 0, 0, 65535, FIREWALL_ALL), rule(FIREWALL_IN, "0.0.0.0", 0, 80, 80, FIREWALL_ALL)};
	unsigned full = 0;
	start(rules, 2, false);
	for (unsigned i = 0; i < 20000; i++) {
		full += tcp(FIREWALL_OUT, OWN, 1000 + i, PEER, 443, SYN) == FIREWALL_FULL;
		tcp(FIREWALL_IN, PEER, 443, OWN, 1000 + i, SYN | ACK);
	}
	CHECK(firewall_flows(f, now) <= 32768 && firewall_flows(f, now) > 15000);
	unsigned before = firewall_flows(f, now), answered = 0;
	for (unsigned i = 0; i < 60000; i++)
		tcp(FIREWALL_IN, OTHER, i, OWN, 80, SYN); /* a flood of openings */
	CHECK(firewall_flows(f, now) <= 32768);
	for (unsigned i = 0; i < 20000; i++)
		answered += tcp(FIREWALL_IN, PEER, 443, OWN, 1000 + i, ACK) == FIREWALL_PASS;
	CHECK(answered + full >= 20000 && answered <= before); /* displaces nothing that is in use */
}

/* A busy server: more connections than there is room for, each closed in time. */
static void test_churn(void)
{
	struct firewall_rule rules[] = {rule(FIREWALL_IN, "0.0.0.0", 0, 80, 80, FIREWALL_ALL)};
	unsigned lost = 0;
	start(rules, 1, false);
	for (unsigned i = 0; i < 60000; i++) {
		lost += tcp(FIREWALL_IN, PEER, 2000 + i, OWN, 80, SYN) != FIREWALL_PASS;
		lost += tcp(FIREWALL_OUT, OWN, 80, PEER, 2000 + i, SYN | ACK) != FIREWALL_PASS;
		lost += tcp(FIREWALL_IN, PEER, 2000 + i, OWN, 80, FIN | ACK) != FIREWALL_PASS;
		lost += tcp(FIREWALL_OUT, OWN, 80, PEER, 2000 + i, FIN | ACK) != FIREWALL_PASS;
	}
	CHECK(lost == 0);
}

static void test_link(void)
{
	struct firewall_rule rules[] = {rule(FIREWALL_OUT, "10.1.0.0", 16, 443, 443, FIREWALL_TCP)};
	start(rules, 1, false);
	CHECK(arp(FIREWALL_OUT, mac, OWN, 1) == FIREWALL_PASS);
	CHECK(arp(FIREWALL_OUT, mac, OWN, 2) == FIREWALL_PASS);
	CHECK(arp(FIREWALL_OUT, mac, "0.0.0.0", 1) == FIREWALL_PASS);
	CHECK(arp(FIREWALL_OUT, mac, OTHER, 2) == FIREWALL_SPOOFED);
	CHECK(arp(FIREWALL_OUT, far_mac, OWN, 2) == FIREWALL_SPOOFED);
	CHECK(arp(FIREWALL_OUT, mac, OWN, 3) == FIREWALL_MALFORMED);
	CHECK(arp(FIREWALL_IN, far_mac, PEER, 2) == FIREWALL_PASS);
	CHECK(arp(FIREWALL_IN, far_mac, OWN, 2) == FIREWALL_SPOOFED);
	arp(FIREWALL_OUT, mac, OWN, 1);
	memcpy(frame + 6, far_mac, 6); /* another's hardware address in front of it */
	CHECK(judge(FIREWALL_OUT) == FIREWALL_SPOOFED);
	arp(FIREWALL_OUT, mac, OWN, 1);
	len = 14 + 27;
	CHECK(judge(FIREWALL_OUT) == FIREWALL_MALFORMED);

	/* neighbour solicitation for the peer, with the own hardware address as option */
	uint8_t *p = ip(FIREWALL_OUT, OWN6, "ff02::1:ff00:1", 58, 32);
	frame[14 + 7] = 255;
	p[0] = 135;
	p[24] = 1;
	p[25] = 1;
	memcpy(p + 26, mac, 6);
	CHECK(judge(FIREWALL_OUT) == FIREWALL_PASS);
	frame[14 + 7] = 254;
	CHECK(judge(FIREWALL_OUT) == FIREWALL_MALFORMED);
	frame[14 + 7] = 255;
	memcpy(p + 26, far_mac, 6);
	CHECK(judge(FIREWALL_OUT) == FIREWALL_SPOOFED);
	memcpy(p + 26, mac, 6);
	p[24] = 99; /* an option to carry anything */
	CHECK(judge(FIREWALL_OUT) == FIREWALL_SPOOFED);
	p[24] = 1;
	p[25] = 0;
	CHECK(judge(FIREWALL_OUT) == FIREWALL_SPOOFED);
	p[25] = 1;
	inet_pton(AF_INET6, "2001:db8::1", frame + 14 + 24); /* to the far side of the world */
	CHECK(judge(FIREWALL_OUT) == FIREWALL_LINK);
	inet_pton(AF_INET6, "ff02::1", frame + 14 + 24);
	p[0] = 134;
	CHECK(judge(FIREWALL_OUT) == FIREWALL_LINK); /* the cell is no router */
	p[0] = 137;
	CHECK(judge(FIREWALL_OUT) == FIREWALL_LINK);
	p[0] = 143; /* groups that the cell listens to, to neighbours */
	CHECK(judge(FIREWALL_OUT) == FIREWALL_MALFORMED);
	frame[14 + 7] = 1;
	CHECK(judge(FIREWALL_OUT) == FIREWALL_PASS);
	p[0] = 130;
	CHECK(judge(FIREWALL_OUT) == FIREWALL_LINK); /* it asks nobody */
	frame[14 + 7] = 255;
	p[0] = 136;
	p[24] = 2;
	inet_pton(AF_INET6, OWN6, p + 8);
	CHECK(judge(FIREWALL_OUT) == FIREWALL_PASS);
	inet_pton(AF_INET6, PEER6, p + 8);
	CHECK(judge(FIREWALL_OUT) == FIREWALL_SPOOFED);
}

/* A reply of a DHCP server. */
static enum firewall_drop dhcp_reply(const char *server, const char *to, const char *given, unsigned kind)
{
	uint8_t *p = ip(FIREWALL_IN, server, to, 17, 8 + 244);
	put16(p, 67);
	put16(p + 2, 68);
	put16(p + 4, 8 + 244);
	p += 8;
	p[0] = 2;
	inet_pton(AF_INET, given, p + 16);
	memcpy(p + 28, mac, 6);
	static const uint8_t options[] = {99, 130, 83, 99, 53, 1};
	memcpy(p + 236, options, sizeof(options));
	p[242] = (uint8_t)kind;
	p[243] = 255;
	return judge(FIREWALL_IN);
}

static void test_dhcp(void)
{
	struct firewall_rule rules[] = {
		rule(FIREWALL_OUT, "10.1.0.0", 16, 443, 443, FIREWALL_TCP), rule(FIREWALL_OUT, "fd01::", 16, 443, 443, FIREWALL_TCP)};
	start(rules, 2, true);
	CHECK(tcp(FIREWALL_OUT, OWN, 5000, PEER, 443, SYN) == FIREWALL_SPOOFED); /* no address yet */
	CHECK(udp(FIREWALL_OUT, "0.0.0.0", 68, "255.255.255.255", 67) == FIREWALL_PASS);
	CHECK(udp(FIREWALL_OUT, "0.0.0.0", 68, OTHER, 67) == FIREWALL_SPOOFED);
	CHECK(udp(FIREWALL_OUT, "0.0.0.0", 69, "255.255.255.255", 67) == FIREWALL_SPOOFED);
	CHECK(dhcp_reply("10.0.0.1", "255.255.255.255", OWN, 2) == FIREWALL_PASS);
	CHECK(tcp(FIREWALL_OUT, OWN, 5000, PEER, 443, SYN) == FIREWALL_SPOOFED); /* an offer is no lease */
	CHECK(dhcp_reply("10.0.0.1", OWN, OWN, 5) == FIREWALL_PASS);
	CHECK(tcp(FIREWALL_OUT, OWN, 5000, PEER, 443, SYN) == FIREWALL_PASS);
	CHECK(udp(FIREWALL_OUT, OWN, 68, "10.0.0.1", 67) == FIREWALL_PASS);
	CHECK(udp(FIREWALL_OUT, OWN, 68, OTHER, 67) == FIREWALL_DENIED);
	CHECK(dhcp_reply(OTHER, OWN, PEER, 5) == FIREWALL_SPOOFED); /* from afar: another's address */
	CHECK(tcp(FIREWALL_OUT, PEER, 5000, PEER, 443, SYN) == FIREWALL_SPOOFED);
	CHECK(tcp(FIREWALL_OUT, OWN, 5001, PEER, 443, SYN) == FIREWALL_PASS);
	/* a router's prefix makes an address the cell's own */
	CHECK(tcp(FIREWALL_OUT, "fd77::ff:fe00:1", 5000, PEER6, 443, SYN) == FIREWALL_SPOOFED);
	uint8_t *p = ip(FIREWALL_IN, "fe80::1", "ff02::1", 58, 48);
	frame[14 + 7] = 255;
	p[0] = 134;
	p[16] = 3;
	p[17] = 4;
	p[18] = 64;
	p[19] = 0xc0;
	inet_pton(AF_INET6, "fd77::", p + 32);
	CHECK(judge(FIREWALL_IN) == FIREWALL_PASS);
	CHECK(tcp(FIREWALL_OUT, "fd77::ff:fe00:1", 5000, PEER6, 443, SYN) == FIREWALL_PASS);
	CHECK(tcp(FIREWALL_OUT, "fd77::ff:fe00:2", 5000, PEER6, 443, SYN) == FIREWALL_SPOOFED);
}

static void test_frames(void)
{
	struct firewall_rule rules[] = {
		rule(FIREWALL_OUT, "0.0.0.0", 0, 0, 65535, FIREWALL_ALL), rule(FIREWALL_OUT, "::", 0, 0, 65535, FIREWALL_ALL)};
	start(rules, 2, false);
	bool cut = true;
	tcp(FIREWALL_OUT, OWN, 1, PEER, 2, SYN);
	for (size_t whole = len; len > 0; len--)
		cut &= len == whole || judge(FIREWALL_OUT) != FIREWALL_PASS;
	CHECK(cut);
	cut = true;
	tcp(FIREWALL_OUT, OWN6, 1, PEER6, 2, SYN);
	for (size_t whole = len; len > 0; len--)
		cut &= len == whole || judge(FIREWALL_OUT) != FIREWALL_PASS;
	CHECK(cut);
	tcp(FIREWALL_OUT, OWN, 1, PEER, 2, SYN);
	len = 60;
	CHECK(judge(FIREWALL_OUT) == FIREWALL_PASS); /* padding */
	len = 61;
	CHECK(judge(FIREWALL_OUT) == FIREWALL_MALFORMED);
	tcp(FIREWALL_OUT, OWN, 1, PEER, 2, SYN);
	put16(frame + 14 + 6, 0x2000);
	CHECK(judge(FIREWALL_OUT) == FIREWALL_FRAGMENT);
	put16(frame + 14 + 6, 1);
	CHECK(judge(FIREWALL_OUT) == FIREWALL_FRAGMENT);
	put16(frame + 14 + 6, 0x4000); /* don't */
	CHECK(judge(FIREWALL_OUT) == FIREWALL_PASS);
	frame[14] = 0x46;
	CHECK(judge(FIREWALL_OUT) == FIREWALL_OPTIONS);
	frame[14] = 0x44;
	CHECK(judge(FIREWALL_OUT) == FIREWALL_MALFORMED);
	tcp(FIREWALL_OUT, OWN, 1, PEER, 2, SYN);
	frame[14 + 20 + 12] = 0x40;
	CHECK(judge(FIREWALL_OUT) == FIREWALL_MALFORMED);
	frame[14 + 20 + 12] = 0x60;
	CHECK(judge(FIREWALL_OUT) == FIREWALL_MALFORMED); /* longer than the packet */
	tcp(FIREWALL_OUT, OWN, 1, PEER, 2, SYN);
	put16(frame + 12, 0x8100);
	CHECK(judge(FIREWALL_OUT) == FIREWALL_ETHERTYPE);
	frame[6] |= 1;
	CHECK(judge(FIREWALL_OUT) == FIREWALL_MALFORMED);
	/* headers of IPv6: one that passes, one that steers, one that is longer than the packet, too many */
	uint8_t *p = ip(FIREWALL_OUT, OWN6, PEER6, 60, 28);
	p[0] = 6;
	p[8 + 12] = 0x50;
	CHECK(judge(FIREWALL_OUT) == FIREWALL_PASS);
	p[1] = 3;
	CHECK(judge(FIREWALL_OUT) == FIREWALL_MALFORMED);
	p[1] = 0;
	frame[14 + 6] = 43;
	CHECK(judge(FIREWALL_OUT) == FIREWALL_OPTIONS);
	frame[14 + 6] = 44;
	CHECK(judge(FIREWALL_OUT) == FIREWALL_FRAGMENT);
	p = ip(FIREWALL_OUT, OWN6, PEER6, 60, 60);
	for (int i = 0; i < 5; i++)
		p[8 * i] = 60;
	CHECK(judge(FIREWALL_OUT) == FIREWALL_OPTIONS);
}

static void test_offload(void)
{
	struct firewall_rule rules[] = {rule(FIREWALL_OUT, "10.1.0.0", 16, 443, 443, FIREWALL_TCP)};
	start(rules, 1, false);
	header[0] = 1;
	header[6] = 34;
	header[8] = 16;
	CHECK(tcp(FIREWALL_OUT, OWN, 5000, PEER, 443, SYN) == FIREWALL_PASS);
	header[6] = 14;
	CHECK(judge(FIREWALL_OUT) == FIREWALL_OFFLOAD); /* the sum would be written over the destination */
	header[6] = 34;
	header[8] = 2;
	CHECK(judge(FIREWALL_OUT) == FIREWALL_OFFLOAD); /* over the port */
	header[8] = 16;
	header[1] = 1;
	CHECK(judge(FIREWALL_OUT) == FIREWALL_OFFLOAD); /* segments of no size */
	header[4] = 100;
	CHECK(judge(FIREWALL_OUT) == FIREWALL_PASS);
	header[1] = 4;
	CHECK(judge(FIREWALL_OUT) == FIREWALL_OFFLOAD); /* IPv6, it says */
	header[1] = 3;
	CHECK(judge(FIREWALL_OUT) == FIREWALL_OFFLOAD);
	header[1] = 1;
	header[0] = 0;
	CHECK(judge(FIREWALL_OUT) == FIREWALL_OFFLOAD);
	header[0] = 0x81;
	CHECK(judge(FIREWALL_OUT) == FIREWALL_OFFLOAD);
}

/* A gateway behind which is the host's loopback: it may call, and be answered. */
static void test_guard(void)
{
	struct firewall_rule rules[] = {rule(FIREWALL_OUT, "0.0.0.0", 0, 0, 65535, FIREWALL_ALL),
		rule(FIREWALL_OUT, "::", 0, 0, 65535, FIREWALL_ALL), rule(FIREWALL_IN, "0.0.0.0", 0, 0, 65535, FIREWALL_ALL),
		rule(FIREWALL_IN, "::", 0, 0, 65535, FIREWALL_ALL)};
	struct firewall_link link = {.has4 = true, .has6 = true, .prefix6 = 64, .guard = true};
	memcpy(link.mac, mac, 6);
	inet_pton(AF_INET, OWN, link.ip4);
	inet_pton(AF_INET6, OWN6, link.ip6);
	inet_pton(AF_INET, "10.0.0.1", link.guard4);
	inet_pton(AF_INET6, "fe80::2", link.guard6);
	firewall_free(f);
	f = firewall_new(rules, 4, &link, 1);
	memset(header, 0, sizeof(header));
	CHECK(udp(FIREWALL_OUT, OWN, 53, "10.0.0.1", 7000) == FIREWALL_DENIED);
	CHECK(udp(FIREWALL_IN, "10.0.0.1", 7000, OWN, 53) == FIREWALL_PASS);
	CHECK(udp(FIREWALL_OUT, OWN, 53, "10.0.0.1", 7000) == FIREWALL_PASS);
	CHECK(udp(FIREWALL_OUT, OWN, 54, "10.0.0.1", 7000) == FIREWALL_DENIED);
	CHECK(tcp(FIREWALL_OUT, OWN, 54, "10.0.0.1", 22, SYN) == FIREWALL_DENIED);
	CHECK(ping(FIREWALL_OUT, OWN, "10.0.0.1", 8) == FIREWALL_DENIED);
	CHECK(tcp(FIREWALL_OUT, "fe80::ff:fe00:1", 54, "fe80::2", 22, SYN) == FIREWALL_DENIED);
	CHECK(tcp(FIREWALL_IN, "fe80::2", 54, "fe80::ff:fe00:1", 22, SYN) == FIREWALL_PASS);
	CHECK(tcp(FIREWALL_OUT, "fe80::ff:fe00:1", 22, "fe80::2", 54, SYN | ACK) == FIREWALL_PASS);
	CHECK(tcp(FIREWALL_OUT, OWN, 54, PEER, 22, SYN) == FIREWALL_PASS);
	CHECK(tcp(FIREWALL_OUT, OWN, 54, "127.0.0.1", 22, SYN) == FIREWALL_SPOOFED); /* passt would call the host's */
	CHECK(tcp(FIREWALL_OUT, OWN, 54, "0.0.0.0", 22, SYN) == FIREWALL_SPOOFED);
	CHECK(tcp(FIREWALL_OUT, OWN6, 54, "::1", 22, SYN) == FIREWALL_SPOOFED);
	CHECK(tcp(FIREWALL_OUT, OWN6, 54, "::ffff:127.0.0.1", 22, SYN) == FIREWALL_SPOOFED);
	CHECK(tcp(FIREWALL_IN, "::1", 54, OWN6, 22, SYN) == FIREWALL_SPOOFED);
}

int main(void)
{
	test_guard();
	test_out();
	test_in();
	test_full();
	test_churn();
	test_link();
	test_dhcp();
	test_frames();
	test_offload();
	firewall_free(f);
	return tap_done();
}
