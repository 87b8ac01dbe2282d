/* The firewall: see firewall.h. Decoding is firewall_decode.c's; here are rules, flows and the verdict. */
#include <stdlib.h>
#include <string.h>

#include "monitor/firewall_private.h"

#define WAYS    8u    /* flows that share a place in the table */
#define PLACES  4096u /* 32,768 flows */
#define SECONDS 1000000000ll

const char *const firewall_drop_names[FIREWALL_DROPS] = {
	"passed", "malformed", "ethertype", "offload", "spoofed", "fragment", "options", "link", "denied", "table_full"};

/* --- rules --- */

bool firewall_prefix_matches(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	if (memcmp(a, b, bits / 8) != 0)
		return false;
	return bits % 8 == 0 || (uint8_t)(a[bits / 8] ^ b[bits / 8]) >> (8 - bits % 8) == 0;
}

static uint8_t protocol_bit(const struct decoded *d)
{
	switch (d->protocol) {
	case IP_TCP:
		return FIREWALL_TCP;
	case IP_UDP:
		return FIREWALL_UDP;
	case IP_ICMP:
	case IP_ICMP6:
		return FIREWALL_ICMP;
	}
	return FIREWALL_OTHER;
}

static bool allowed(const struct firewall *f, enum firewall_way way, const struct decoded *d)
{
	const uint8_t *far = way == FIREWALL_OUT ? d->destination : d->source;
	uint16_t port = d->destination_port;
	uint8_t bit = protocol_bit(d);
	bool ports = bit & (FIREWALL_TCP | FIREWALL_UDP);
	if (way == FIREWALL_OUT && f->link.guard && memcmp(far, d->v6 ? f->link.guard6 : f->link.guard4, d->v6 ? 16 : 4) == 0)
		return false;
	for (const struct firewall_rule *r = f->rules; r < f->rules + f->rule_count; r++)
		if (r->way == way && r->v6 == d->v6 && r->protocols & bit && firewall_prefix_matches(far, r->address, r->prefix) &&
			(!ports || (port >= r->first && port <= r->last)))
			return true;
	return false;
}

/* --- flows --- */

/* A flow as the cell sees it, whoever sends. */
static struct flow_key key_of(enum firewall_way way, const struct decoded *d)
{
	struct flow_key k = {.protocol = d->protocol, .v6 = d->v6};
	bool out = way == FIREWALL_OUT;
	memcpy(k.near, out ? d->source : d->destination, 16);
	memcpy(k.far, out ? d->destination : d->source, 16);
	k.near_port = out ? d->source_port : d->destination_port;
	k.far_port = out ? d->destination_port : d->source_port;
	return k;
}

static struct flow *place_of(const struct firewall *f, const struct flow_key *k)
{
	uint64_t h = f->seed, words[sizeof(*k) / 8];
	_Static_assert(sizeof(*k) % 8 == 0, "hashed by words");
	memcpy(words, k, sizeof(words));
	for (unsigned i = 0; i < sizeof(words) / 8; i++) {
		h = (h ^ words[i]) * 0x9e3779b97f4a7c15ull;
		h ^= h >> 29;
		h = (h + f->seed) * 0xbf58476d1ce4e5b9ull;
		h ^= h >> 32;
	}
	return &f->flows[h % PLACES * WAYS];
}

static struct flow *flow_find(const struct firewall *f, const struct flow_key *k, int64_t now)
{
	struct flow *place = place_of(f, k);
	for (struct flow *e = place; e < place + WAYS; e++)
		if (e->expires_ns > now && memcmp(&e->key, k, sizeof(*k)) == 0)
			return e;
	return NULL;
}

/* One whose time is over; else the next to go of those that are closed or that nobody has answered yet: new connections are
 * served, and neither many nor a scan can displace what is in use. */
static struct flow *flow_new(struct firewall *f, const struct flow_key *k, enum firewall_way way, int64_t now)
{
	struct flow *place = place_of(f, k), *found = NULL;
	for (struct flow *e = place; e < place + WAYS; e++)
		if ((e->expires_ns <= now || !e->answered || e->closing == 3) && (!found || e->expires_ns < found->expires_ns))
			found = e;
	if (found)
		*found = (struct flow){.key = *k, .starter = (uint8_t)way};
	return found;
}

/* Called for each packet that passes. */
static void flow_touch(struct flow *e, enum firewall_way way, const struct decoded *d, int64_t now)
{
	e->answered |= way != e->starter;
	if (d->protocol == IP_TCP) {
		e->closing |= (uint8_t)(d->tcp_flags & TCP_RST ? 3 : d->tcp_flags & TCP_FIN ? 1 << way : 0);
		e->expires_ns = now + (e->closing == 3 ? 120 : e->answered ? 24 * 3600 : 60) * SECONDS;
	} else {
		e->expires_ns = now + (e->answered ? 180 : 60) * SECONDS;
	}
}

/* A connection is opened by whoever may start it: nobody gets one by answering with an opening of his own. */
static bool is_opening(const struct decoded *d)
{
	if (d->protocol == IP_TCP)
		return (d->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
	return d->echo_request;
}

static enum firewall_drop judge_flow(struct firewall *f, enum firewall_way way, const struct decoded *d, int64_t now)
{
	struct flow_key k = key_of(way, d);
	struct flow *e = flow_find(f, &k, now);
	if (e && (e->starter == way || !is_opening(d))) {
		/* The same ports again, after the end: the flow starts afresh. */
		if (e->starter == way && d->protocol == IP_TCP && is_opening(d))
			e->closing = e->answered = 0;
		flow_touch(e, way, d, now);
		return FIREWALL_PASS;
	}
	if (!allowed(f, way, d) || d->echo_reply || (d->protocol == IP_TCP && d->tcp_flags & TCP_RST))
		return FIREWALL_DENIED;
	if (e) /* both may start: a flow of the other's, so far */
		e->starter = (uint8_t)way;
	else
		e = flow_new(f, &k, way, now);
	if (!e)
		return FIREWALL_FULL;
	flow_touch(e, way, d, now);
	return FIREWALL_PASS;
}

/* An error about a packet that went the other way, in a flow that is known. */
static enum firewall_drop judge_error(struct firewall *f, enum firewall_way way, const struct decoded *d, int64_t now)
{
	struct decoded inner;
	enum firewall_way other = way == FIREWALL_OUT ? FIREWALL_IN : FIREWALL_OUT;
	if (!decode_quoted(d, &inner) || memcmp(d->destination, inner.source, 16) != 0)
		return FIREWALL_MALFORMED; /* it goes to who sent that packet, or it is no error */
	struct flow_key k = key_of(other, &inner);
	return flow_find(f, &k, now) ? FIREWALL_PASS : FIREWALL_DENIED;
}

/* --- addresses --- */

/* The last 64 bits that the cell makes from its hardware address. */
static bool has_own_suffix(const struct firewall *f, const uint8_t *ip6)
{
	const uint8_t *m = f->link.mac;
	const uint8_t want[8] = {m[0] ^ 2, m[1], m[2], 0xff, 0xfe, m[3], m[4], m[5]};
	return memcmp(ip6 + 8, want, 8) == 0;
}

bool firewall_is_own(const struct firewall *f, bool v6, const uint8_t *ip)
{
	static const uint8_t link_local[8] = {0xfe, 0x80};
	if (!v6)
		return f->link.has4 && memcmp(ip, f->link.ip4, 4) == 0;
	if (f->link.has6 && memcmp(ip, f->link.ip6, 16) == 0)
		return true;
	if (!has_own_suffix(f, ip))
		return false;
	if (memcmp(ip, link_local, 8) == 0)
		return true;
	for (unsigned i = 0; i < f->prefix_count; i++)
		if (memcmp(ip, f->prefixes[i], 8) == 0)
			return true;
	return false;
}

static bool is_group(bool v6, const uint8_t *ip)
{
	return v6 ? ip[0] == 0xff : ip[0] >= 224; /* the limited broadcast among them */
}

/* 127.0.0.0/8, 0.0.0.0/8, ::, ::1, and IPv4 addresses in IPv6's clothes: none of them is on any link. */
static bool is_loopback(bool v6, const uint8_t *ip)
{
	static const uint8_t zero[10];
	return v6 ? memcmp(ip, zero, 10) == 0 : ip[0] == 127 || ip[0] == 0;
}

static enum firewall_drop judge_addresses(const struct firewall *f, enum firewall_way way, const struct decoded *d)
{
	if (is_loopback(d->v6, d->source) || is_loopback(d->v6, d->destination))
		return FIREWALL_SPOOFED; /* passt would take the host's for it */
	if (way == FIREWALL_OUT)
		return firewall_is_own(f, d->v6, d->source) ? FIREWALL_PASS : FIREWALL_SPOOFED;
	if (is_group(d->v6, d->source) || firewall_is_own(f, d->v6, d->source))
		return FIREWALL_SPOOFED;
	/* A directed broadcast comes by a broadcast frame. */
	return firewall_is_own(f, d->v6, d->destination) || is_group(d->v6, d->destination) || d->broadcast ? FIREWALL_PASS
													    : FIREWALL_SPOOFED;
}

/* --- the verdict --- */

static enum firewall_drop judge_ip(struct firewall *f, enum firewall_way way, const struct decoded *d, int64_t now)
{
	enum firewall_drop r = link_judge_dhcp(f, way, d);
	if (r != LINK_NOT_CONCERNED)
		return r;
	if (d->protocol == IP_ICMP6 && (r = link_judge_nd(f, way, d)) != LINK_NOT_CONCERNED)
		return r;
	if ((r = judge_addresses(f, way, d)) != FIREWALL_PASS)
		return r;
	return d->error ? judge_error(f, way, d, now) : judge_flow(f, way, d, now);
}

enum firewall_drop firewall_judge(struct firewall *f, enum firewall_way way, const uint8_t *header, const uint8_t *frame, size_t len,
	int64_t now_ns, struct firewall_packet *ret_what)
{
	struct decoded d;
	enum firewall_drop r = decode_frame(header, frame, len, &d);
	*ret_what = (struct firewall_packet){
		.ip = d.ip, .v6 = d.v6, .protocol = d.protocol, .source_port = d.source_port, .destination_port = d.destination_port};
	memcpy(ret_what->source, d.source, 16);
	memcpy(ret_what->destination, d.destination, 16);
	if (r != FIREWALL_PASS)
		return r;
	bool own = memcmp(way == FIREWALL_OUT ? frame + 6 : frame, f->link.mac, 6) == 0;
	if (!own && (way == FIREWALL_OUT || !(frame[0] & 1)))
		return FIREWALL_SPOOFED;
	return d.arp ? link_judge_arp(f, way, &d) : judge_ip(f, way, &d, now_ns);
}

struct firewall *firewall_new(const struct firewall_rule *rules, unsigned count, const struct firewall_link *link, uint64_t seed)
{
	struct firewall *f = calloc(1, sizeof(*f));
	if (!f || !(f->flows = calloc(PLACES * WAYS, sizeof(*f->flows)))) {
		free(f);
		return NULL;
	}
	f->rules = rules;
	f->rule_count = count;
	f->link = *link;
	f->seed = seed | 1;
	return f;
}

void firewall_free(struct firewall *f)
{
	if (f)
		free(f->flows);
	free(f);
}

unsigned firewall_flows(const struct firewall *f, int64_t now_ns)
{
	unsigned count = 0;
	for (unsigned i = 0; i < PLACES * WAYS; i++)
		count += f->flows[i].expires_ns > now_ns;
	return count;
}
