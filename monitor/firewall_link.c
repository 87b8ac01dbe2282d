/* What passes without a rule because there is no link without it: ARP, neighbour discovery, DHCP. The cell speaks for itself only,
 * and learns here which addresses are its own. */
#include <string.h>

#include "monitor/firewall_private.h"

enum { ND_ROUTER_SOLICIT = 133, ND_ROUTER_ADVERT = 134, ND_SOLICIT = 135, ND_ADVERT = 136 };
enum { ND_OPTION_SOURCE = 1, ND_OPTION_TARGET = 2, ND_OPTION_PREFIX = 3 };
#define DHCP_COOKIE_AT 236u
#define DHCP_ACK       5

static const uint8_t unspecified[16], broadcast[4] = {255, 255, 255, 255};

static bool is_own_or_none(const struct firewall *f, bool v6, const uint8_t *ip)
{
	return memcmp(ip, unspecified, v6 ? 16 : 4) == 0 || firewall_is_own(f, v6, ip);
}

enum firewall_drop link_judge_arp(struct firewall *f, enum firewall_way way, const struct decoded *d)
{
	static const uint8_t ethernet_ip4[6] = {0, 1, 8, 0, 6, 4};
	const uint8_t *p = d->payload;
	unsigned operation = get16(p + 6);
	if (memcmp(p, ethernet_ip4, 6) != 0 || operation < 1 || operation > 2)
		return FIREWALL_MALFORMED;
	if (way == FIREWALL_OUT)
		return memcmp(p + 8, f->link.mac, 6) == 0 && is_own_or_none(f, false, p + 14) ? FIREWALL_PASS : FIREWALL_SPOOFED;
	/* Nobody else speaks for the cell's address. */
	return f->link.has4 && memcmp(p + 14, f->link.ip4, 4) == 0 ? FIREWALL_SPOOFED : FIREWALL_PASS;
}

/* --- DHCP --- */

/* The kind of a reply of a server; 0: none that is whole. */
static uint8_t reply_kind(const struct firewall *f, const uint8_t *p, size_t len)
{
	static const uint8_t cookie[4] = {99, 130, 83, 99};
	if (len < DHCP_COOKIE_AT + 4 || p[0] != 2 || memcmp(p + 28, f->link.mac, 6) != 0 || memcmp(p + DHCP_COOKIE_AT, cookie, 4) != 0)
		return 0;
	for (size_t at = DHCP_COOKIE_AT + 4; at + 2 < len && p[at] != 255;) {
		if (p[at] == 0) {
			at++;
			continue;
		}
		if (p[at + 1] > len - at - 2)
			return 0;
		if (p[at] == 53 && p[at + 1] == 1)
			return p[at + 2];
		at += 2u + p[at + 1];
	}
	return 0;
}

/* Only what the network itself delivers to the address that is being given counts: somebody far away can't make the cell's address
 * another one, even together with the cell. */
static enum firewall_drop judge_reply(struct firewall *f, const struct decoded *d)
{
	const uint8_t *p = d->payload + 8, *given = p + 16;
	uint8_t kind = reply_kind(f, p, get16(d->payload + 4) - 8u);
	if (!kind)
		return FIREWALL_MALFORMED;
	bool here = memcmp(d->destination, broadcast, 4) == 0 || memcmp(d->destination, given, 4) == 0;
	if (!here)
		return FIREWALL_SPOOFED;
	if (kind == DHCP_ACK && given[0] != 0 && given[0] != 127 && given[0] < 224) {
		memcpy(f->link.ip4, given, 4);
		memcpy(f->dhcp_server, d->source, 4);
		f->link.has4 = true;
	}
	return FIREWALL_PASS;
}

enum firewall_drop link_judge_dhcp(struct firewall *f, enum firewall_way way, const struct decoded *d)
{
	bool out = way == FIREWALL_OUT;
	if (!f->link.dhcp || d->v6 || d->protocol != IP_UDP || d->source_port != (out ? 68 : 67) || d->destination_port != (out ? 67 : 68))
		return LINK_NOT_CONCERNED;
	if (!out)
		return judge_reply(f, d);
	if (!is_own_or_none(f, false, d->source))
		return FIREWALL_SPOOFED;
	bool server = f->link.has4 && memcmp(d->destination, f->dhcp_server, 4) == 0;
	return server || memcmp(d->destination, broadcast, 4) == 0 ? FIREWALL_PASS : LINK_NOT_CONCERNED;
}

/* --- neighbour discovery --- */

static void learn_prefix(struct firewall *f, const uint8_t *option, size_t len)
{
	bool autonomous = len == 32 && option[2] == 64 && option[3] & 0x40;
	if (!f->link.auto6 || !autonomous || option[16] == 0xff || (option[16] == 0xfe && (option[17] & 0xc0) == 0x80))
		return;
	for (unsigned i = 0; i < f->prefix_count; i++)
		if (memcmp(f->prefixes[i], option + 16, 8) == 0)
			return;
	if (f->prefix_count < PREFIXES_MAX)
		memcpy(f->prefixes[f->prefix_count++], option + 16, 8);
}

/* The options of a message whose own part has `fixed` bytes. Outwards they name the cell's hardware address or none. */
static bool options_ok(struct firewall *f, enum firewall_way way, const struct decoded *d, size_t fixed)
{
	if (d->payload_len < fixed)
		return false;
	const uint8_t *p = d->payload + fixed;
	for (size_t left = d->payload_len - fixed; left;) {
		size_t bytes = left >= 8 ? (size_t)p[1] * 8 : 0;
		if (!bytes || bytes > left)
			return false;
		if (way == FIREWALL_OUT && (p[0] < ND_OPTION_SOURCE || p[0] > ND_OPTION_TARGET || memcmp(p + 2, f->link.mac, 6) != 0))
			return false;
		if (way == FIREWALL_IN && p[0] == ND_OPTION_PREFIX && d->icmp_type == ND_ROUTER_ADVERT)
			learn_prefix(f, p, bytes);
		p += bytes;
		left -= bytes;
	}
	return true;
}

/* No router carries it on: these messages are no way to talk to the rest of the world. */
static bool stays_on_link(const struct firewall *f, const uint8_t *ip6)
{
	static const uint8_t link_group[2] = {0xff, 0x02}, link_local[8] = {0xfe, 0x80};
	if (memcmp(ip6, link_group, 2) == 0 || memcmp(ip6, link_local, 8) == 0)
		return true;
	if (f->link.has6 && firewall_prefix_matches(ip6, f->link.ip6, f->link.prefix6))
		return true;
	for (unsigned i = 0; i < f->prefix_count; i++)
		if (memcmp(ip6, f->prefixes[i], 8) == 0)
			return true;
	return false;
}

/* Who listens to which groups: switches want to know, and passt learns the cell's link-local address from it. */
static enum firewall_drop judge_listener(const struct firewall *f, enum firewall_way way, const struct decoded *d)
{
	if (d->hop_limit != 1 || !stays_on_link(f, d->destination))
		return FIREWALL_MALFORMED;
	if (way == FIREWALL_OUT && (d->icmp_type == 130 || !is_own_or_none(f, true, d->source)))
		return d->icmp_type == 130 ? FIREWALL_LINK : FIREWALL_SPOOFED;
	return FIREWALL_PASS;
}

enum firewall_drop link_judge_nd(struct firewall *f, enum firewall_way way, const struct decoded *d)
{
	uint8_t type = d->icmp_type;
	bool out = way == FIREWALL_OUT;
	if ((type >= 130 && type <= 132) || type == 143)
		return judge_listener(f, way, d);
	if (type == 137)
		return FIREWALL_LINK; /* a redirect */
	if (type < ND_ROUTER_SOLICIT || type > ND_ADVERT)
		return LINK_NOT_CONCERNED;
	if (d->hop_limit != 255 || d->payload[1] != 0) /* from beyond a router */
		return FIREWALL_MALFORMED;
	if (out ? !is_own_or_none(f, true, d->source) : firewall_is_own(f, true, d->source))
		return FIREWALL_SPOOFED;
	if (out && !stays_on_link(f, d->destination))
		return FIREWALL_LINK;
	if (type == (out ? ND_ROUTER_ADVERT : ND_ROUTER_SOLICIT) || (type == ND_ROUTER_ADVERT && !f->link.auto6))
		return FIREWALL_LINK;
	size_t fixed = type == ND_ROUTER_SOLICIT ? 8 : type == ND_ROUTER_ADVERT ? 16 : 24;
	if (!options_ok(f, way, d, fixed))
		return out ? FIREWALL_SPOOFED : FIREWALL_MALFORMED;
	if (type == ND_ADVERT && firewall_is_own(f, true, d->payload + 8) != out)
		return FIREWALL_SPOOFED; /* each speaks for itself */
	return FIREWALL_PASS;
}
