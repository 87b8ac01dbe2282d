/* The network options of `vauban run`: from text to struct net_options. --ip and --mac belong to the --net before them, or
 * to the first interface if there is none before. */
#include "cli/net.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "host/parse.h"
#include "monitor/net.h"

static bool parse_address(const char *text, struct net_address *ret)
{
	ret->v6 = strchr(text, ':') != NULL;
	memset(ret->bytes, 0, sizeof(ret->bytes));
	return inet_pton(ret->v6 ? AF_INET6 : AF_INET, text, ret->bytes) == 1;
}

static bool is_zero(const uint8_t *bytes, size_t len)
{
	static const uint8_t zero[16];
	return memcmp(bytes, zero, len) == 0;
}

/* The interface that --ip and --mac are about. */
static struct net_interface *interface_of(struct net_request *r)
{
	struct net_options *o = r->options;
	return &o->interface[o->interface_count ? o->interface_count - 1 : 0];
}

/* --- --net --- */

static void parse_net(struct net_request *r, char *text)
{
	struct net_options *o = r->options;
	if (strcmp(text, "none") == 0) {
		r->none = true;
		return;
	}
	if (o->interface_count == VB_NETS_MAX)
		cli_usage(r->verb, "more than %u --net: a cell has at most as many interfaces", VB_NETS_MAX);
	struct net_interface *n = &o->interface[o->interface_count++];
	char *colon = strchr(text, ':');
	size_t len = colon ? (size_t)(colon - text) : strlen(text);
	const char *where = colon ? colon + 1 : "";
	if (len == 4 && strncmp(text, "user", 4) == 0) {
		for (unsigned i = 0; i + 1 < o->interface_count; i++)
			if (o->interface[i].way == NET_USER)
				cli_usage(r->verb, "--net user twice: one is enough, all ports can go to it");
		n->way = NET_USER;
		n->host_loopback = strcmp(where, "loopback") == 0;
		n->direct = strcmp(where, "direct") == 0;
		if (colon && !n->host_loopback && !n->direct)
			cli_usage(r->verb,
				"\"--net %s\": there are user:loopback, which lets the cell reach servers on the host's 127.0.0.1, and "
				"user:direct, without checks between cell and passt",
				text);
	} else if (len == 3 && strncmp(text, "tap", 3) == 0) {
		n->way = NET_TAP;
		if (!*where || strlen(where) > 15 || strchr(where, '/'))
			cli_usage(r->verb, "--net tap needs an interface with a name of at most 15 characters, such as tap:tap0");
		n->where = where;
	} else if (len == 3 && strncmp(text, "vde", 3) == 0) {
		n->way = NET_VDE;
		if (!*where)
			cli_usage(r->verb, "--net vde needs the folder that vde_switch -s was given, such as vde:/run/switch");
		n->where = where;
	} else {
		cli_usage(r->verb, "there is no network \"%s\": user, tap:INTERFACE, vde:SOCKET and none are", text);
	}
}

/* --- --ip and --mac --- */

static void check_ip4(struct net_request *r, const char *text, const uint8_t *ip, unsigned prefix)
{
	uint32_t a = (uint32_t)ip[0] << 24 | (uint32_t)ip[1] << 16 | (uint32_t)ip[2] << 8 | ip[3];
	uint32_t host = prefix < 32 ? UINT32_MAX >> prefix : 0;
	if (ip[0] == 0 || ip[0] == 127 || ip[0] >= 224)
		cli_usage(r->verb, "--ip %s: that is no address of an interface", text);
	if (prefix < 31 && ((a & host) == 0 || (a & host) == host))
		cli_usage(r->verb, "--ip %s: that is the address of the network or of all in it; give one between", text);
}

static void parse_ip(struct net_request *r, const char *text)
{
	struct net_interface *n = interface_of(r);
	struct net_address address, gateway = {0};
	char copy[128];
	long prefix;
	if (snprintf(copy, sizeof(copy), "%s", text) >= (int)sizeof(copy))
		cli_usage(r->verb, "--ip %s: too long", text);
	char *comma = strchr(copy, ','), *slash = strchr(copy, '/');
	if (comma)
		*comma++ = 0;
	if (!slash || (comma && slash > comma))
		cli_usage(r->verb,
			"--ip %s: the length of the network's prefix is missing; give ADDRESS/BITS[,GATEWAY], such as 10.0.0.2/24,10.0.0.1",
			text);
	*slash++ = 0;
	if (!parse_address(copy, &address))
		cli_usage(r->verb, "--ip %s: \"%s\" is no IPv4 or IPv6 address", text, copy);
	if (parse_number(slash, 1, address.v6 ? 128 : 32, &prefix) < 0)
		cli_usage(r->verb, "--ip %s: the prefix of an IPv%d network has 1 to %d bits", text, address.v6 ? 6 : 4,
			address.v6 ? 128 : 32);
	if (comma && (!parse_address(comma, &gateway) || gateway.v6 != address.v6 || is_zero(gateway.bytes, 16)))
		cli_usage(r->verb, "--ip %s: \"%s\" is no IPv%d address of a gateway", text, comma, address.v6 ? 6 : 4);
	if (address.v6 ? n->has6 : n->has4)
		cli_usage(r->verb, "--ip %s: the interface has an IPv%d address already", text, address.v6 ? 6 : 4);
	if (address.v6) {
		if (address.bytes[0] == 0xff || is_zero(address.bytes, 15))
			cli_usage(r->verb, "--ip %s: that is no address of an interface", text);
		n->has6 = true;
		n->prefix6 = (uint8_t)prefix;
		memcpy(n->ip6, address.bytes, 16);
		memcpy(n->gateway6, gateway.bytes, 16);
	} else {
		check_ip4(r, text, address.bytes, (unsigned)prefix);
		n->has4 = true;
		n->prefix4 = (uint8_t)prefix;
		memcpy(n->ip4, address.bytes, 4);
		memcpy(n->gateway4, gateway.bytes, 4);
	}
}

static void parse_mac(struct net_request *r, const char *text)
{
	struct net_interface *n = interface_of(r);
	unsigned b[6];
	int end = 0;
	if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5], &end) != 6 || text[end])
		cli_usage(r->verb, "--mac %s: give six bytes, such as 02:00:00:12:34:56", text);
	for (unsigned i = 0; i < 6; i++)
		n->mac[i] = (uint8_t)b[i];
	if (n->mac[0] & 1 || is_zero(n->mac, 6))
		cli_usage(r->verb, "--mac %s: that is no address of one interface (the first byte must be even); 02:... are free to use",
			text);
	n->has_mac = true;
}

static void parse_dns(struct net_request *r, const char *text)
{
	struct net_options *o = r->options;
	if (o->dns_count == NET_DNS_MAX)
		cli_usage(r->verb, "more than %u --dns: programs ask no more", NET_DNS_MAX);
	if (!parse_address(text, &o->dns[o->dns_count]))
		cli_usage(r->verb, "--dns %s: give the IPv4 or IPv6 address of a name server", text);
	o->dns_count++;
}

/* --- -p --- */

static bool parse_ports(char *text, long *ret_first, long *ret_last)
{
	char *dash = strchr(text, '-');
	if (dash)
		*dash++ = 0;
	return parse_number(text, 1, 65535, ret_first) == 0 && parse_number(dash ? dash : text, *ret_first, 65535, ret_last) == 0;
}

static void parse_forward(struct net_request *r, const char *text)
{
	struct net_options *o = r->options;
	struct net_forward f = {0};
	char copy[128];
	long host_first, host_last, cell_first, cell_last;
	if (o->forward_count == NET_FORWARDS_MAX)
		cli_usage(r->verb, "more than %u -p: use ranges", NET_FORWARDS_MAX);
	if (snprintf(copy, sizeof(copy), "%s", text) >= (int)sizeof(copy))
		cli_usage(r->verb, "-p %s: too long", text);
	char *slash = strchr(copy, '/');
	if (slash)
		*slash++ = 0;
	if (slash && strcmp(slash, "udp") != 0 && strcmp(slash, "tcp") != 0)
		cli_usage(r->verb, "-p %s: /tcp and /udp can be forwarded, /%s can't", text, slash);
	f.udp = slash && *slash == 'u';
	char *cell = strrchr(copy, ':'), *host = copy;
	if (!cell)
		cli_usage(r->verb, "-p %s: give [IP:]HOSTPORT:CELLPORT[/udp], such as 8080:80", text);
	*cell++ = 0;
	char *colon = strrchr(copy, ':');
	if (colon) { /* there is an address before the port */
		char *address = copy;
		*colon = 0;
		host = colon + 1;
		if (*address == '[' && colon[-1] == ']') {
			address++;
			colon[-1] = 0;
		}
		if (!parse_address(address, &f.address))
			cli_usage(r->verb, "-p %s: \"%s\" is no IP address of the host (an IPv6 one stands in [])", text, copy);
		f.any = f.address.v6 && is_zero(f.address.bytes, 16);
	}
	if (!parse_ports(host, &host_first, &host_last) || !parse_ports(cell, &cell_first, &cell_last))
		cli_usage(r->verb, "-p %s: ports are from 1 to 65535, ranges FIRST-LAST", text);
	if (host_last - host_first != cell_last - cell_first)
		cli_usage(r->verb, "-p %s: %ld ports can't lead to %ld", text, host_last - host_first + 1, cell_last - cell_first + 1);
	f.host_port = (uint16_t)host_first;
	f.cell_port = (uint16_t)cell_first;
	f.count = (uint16_t)(host_last - host_first + 1);
	for (const struct net_forward *g = o->forward; g < o->forward + o->forward_count; g++)
		if (g->udp == f.udp && f.host_port < g->host_port + g->count && g->host_port < f.host_port + f.count)
			cli_usage(r->verb, "-p %s: port %u leads elsewhere already; passt takes a port once, whatever the address", text,
				f.host_port > g->host_port ? f.host_port : g->host_port);
	o->forward[o->forward_count++] = f;
}

/* --- --allow-out and --allow-in --- */

static void add_rule(struct net_request *r, const struct firewall_rule *rule)
{
	struct net_options *o = r->options;
	if (o->rule_count == FIREWALL_RULES_MAX)
		cli_usage(r->verb, "more than %u rules of --allow-out and --allow-in", FIREWALL_RULES_MAX);
	o->rules[o->rule_count++] = *rule;
}

/* "80", "80-90", "53/udp", "tcp", "icmp". */
static bool parse_service(char *text, struct firewall_rule *rule)
{
	static const char *const names[] = {"tcp", "udp", "icmp"};
	long first = 0, last = UINT16_MAX;
	char *slash = strchr(text, '/');
	const char *protocol = slash ? slash + 1 : text;
	rule->protocols = 0;
	for (unsigned i = 0; i < 3; i++)
		if (strcmp(protocol, names[i]) == 0)
			rule->protocols = (uint8_t)(1u << i);
	if (slash)
		*slash = 0;
	if (slash || !rule->protocols) {
		if ((slash && !(rule->protocols & (FIREWALL_TCP | FIREWALL_UDP))) || !parse_ports(text, &first, &last))
			return false;
		if (!slash)
			rule->protocols = FIREWALL_TCP | FIREWALL_UDP;
	}
	rule->first = (uint16_t)first;
	rule->last = (uint16_t)last;
	return true;
}

static bool has_host_bits(const struct net_address *a, unsigned prefix)
{
	for (unsigned bit = prefix; bit < (a->v6 ? 128u : 32u); bit++)
		if (a->bytes[bit / 8] & 0x80 >> bit % 8)
			return true;
	return false;
}

static void parse_network(struct net_request *r, const char *text, char *network, struct firewall_rule *rule)
{
	struct net_address address;
	char *slash = strchr(network, '/');
	long prefix;
	if (slash)
		*slash++ = 0;
	if (!parse_address(network, &address))
		cli_usage(r->verb,
			"\"%s\": \"%s\" is no IP address; give NETWORK/BITS[:PORTS][/udp], [IPV6NETWORK/BITS]:PORTS or any:PORTS", text,
			network);
	prefix = address.v6 ? 128 : 32;
	if (slash && parse_number(slash, 0, prefix, &prefix) < 0)
		cli_usage(r->verb, "\"%s\": the prefix of a network has 0 to %ld bits", text, prefix);
	if (has_host_bits(&address, (unsigned)prefix))
		cli_usage(r->verb, "\"%s\": the address has bits beyond the %ld of its prefix: which of the two is meant?", text, prefix);
	rule->v6 = address.v6;
	rule->prefix = (uint8_t)prefix;
	memcpy(rule->address, address.bytes, 16);
}

static void parse_allow(struct net_request *r, enum firewall_way way, const char *text)
{
	struct firewall_rule rule = {.way = way, .protocols = FIREWALL_ALL, .last = UINT16_MAX};
	char copy[200], *network = copy, *services = NULL, *save;
	snprintf(copy, sizeof(copy), "%s", text);
	if (strlen(text) >= sizeof(copy))
		cli_usage(r->verb, "\"%s\" is too long", text);
	if (*copy == '[') {
		char *end = strchr(copy, ']');
		if (!end || (end[1] && end[1] != ':'))
			cli_usage(r->verb, "\"%s\": give [IPV6NETWORK/BITS]:PORTS", text);
		network++;
		services = end[1] ? end + 2 : NULL;
		*end = 0;
	} else if (strchr(copy, ':') == strrchr(copy, ':') && (services = strchr(copy, ':'))) {
		*services++ = 0; /* one colon: no IPv6 address */
	}
	bool any = strcmp(network, "any") == 0;
	if (!any)
		parse_network(r, text, network, &rule);
	if (services && !*services)
		cli_usage(r->verb, "\"%s\": no ports after the colon", text);
	char *service = services ? strtok_r(services, ",", &save) : NULL;
	do {
		if (service && !parse_service(service, &rule))
			cli_usage(r->verb, "\"%s\": \"%s\" is no port: give numbers, ranges as 80-90, with /tcp or /udp; or tcp, udp, icmp",
				text, service);
		add_rule(r, &rule);
		rule.v6 = !rule.v6;
		if (any)
			add_rule(r, &rule);
		rule.v6 = !rule.v6;
	} while (service && (service = strtok_r(NULL, ",", &save)));
}

void net_option(struct net_request *r, int c, char *text)
{
	r->any |= c == NET_OPT_IP || c == NET_OPT_MAC;
	switch (c) {
	case 'p':
		return parse_forward(r, text);
	case NET_OPT_NET:
		return parse_net(r, text);
	case NET_OPT_IP:
		return parse_ip(r, text);
	case NET_OPT_MAC:
		return parse_mac(r, text);
	case NET_OPT_DNS:
		return parse_dns(r, text);
	case NET_OPT_ALLOW_OUT:
		return parse_allow(r, FIREWALL_OUT, text);
	case NET_OPT_ALLOW_IN:
		return parse_allow(r, FIREWALL_IN, text);
	case NET_OPT_PCAP:
		r->options->pcap = text;
		break;
	}
}

void net_options_complete(struct net_request *r)
{
	struct net_options *o = r->options;
	bool user = false;
	if (r->none && o->interface_count)
		cli_usage(r->verb, "--net none beside another --net: decide for one");
	if (r->none && (r->any || o->forward_count || o->rule_count || o->pcap))
		cli_usage(r->verb, "--net none leaves nothing for --ip, --mac, -p, --allow-out, --allow-in and --pcap to apply to");
	if (!r->none && !o->interface_count)
		o->interface[o->interface_count++].way = NET_USER;
	for (unsigned i = 0; i < o->interface_count; i++) {
		struct net_interface *n = &o->interface[i];
		user |= n->way == NET_USER;
		if (n->way == NET_USER && n->has4 && n->prefix4 > 29)
			cli_usage(r->verb, "--ip: a user network needs room for gateway and name server: a prefix of at most 29 bits");
	}
	if (o->forward_count && !user)
		cli_usage(r->verb,
			"-p needs --net user: behind a tap or a switch the cell has an address of its own, whose ports are all there");
}
