/* /proc/net: interfaces, addresses and routes here, the tables of sockets in kernel/net/proc_sockets.c. Owns nothing. */
#include "kernel/fs/proc.h"
#include "kernel/net/link.h"
#include "kernel/net/proc.h"
#include "kernel/net/socket.h"

typedef unsigned long long ull;

static int show_dev(struct proc_text *out, const struct proc_subject *s)
{
	struct link l;

	proc_printf(out, "Inter-|   Receive                                                |  Transmit\n"
			 " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls "
			 "carrier compressed\n");
	for (unsigned i = 0; link_next(i, &l); i = l.index + 1)
		proc_printf(out,
			"%6s: %7llu %7llu %4llu %4llu %4llu %5llu %10llu %9llu %8llu %7llu %4llu %4llu %4llu %5llu %7llu %10llu\n", l.name,
			(ull)l.in.bytes, (ull)l.in.packets, (ull)l.in.errors, (ull)l.in.dropped, 0ull, 0ull, 0ull, (ull)l.in.multicast,
			(ull)l.out.bytes, (ull)l.out.packets, (ull)l.out.errors, (ull)l.out.dropped, 0ull, 0ull, 0ull, 0ull);
	return 0;
}

static uint32_t word(const uint8_t *ip)
{
	uint32_t v;

	memcpy(&v, ip, sizeof(v));
	return v;
}

static uint32_t mask4(unsigned prefix)
{
	return prefix ? __builtin_bswap32(~0u << (32 - prefix)) : 0;
}

enum { RTF_UP_ = 1, RTF_GATEWAY_ = 2 };

static int show_route(struct proc_text *out, const struct proc_subject *s)
{
	struct link_route r;
	struct link l;
	char line[128];

	proc_printf(out, "%-127s\n", "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT");
	for (unsigned n = 0; link_route_get(n, AF_INET, &r); n++) {
		if (r.local || !link_get(r.index, &l))
			continue;
		vb_snprintf(line, sizeof(line), "%s\t%08X\t%08X\t%04X\t%d\t%u\t%d\t%08X\t%d\t%u\t%u", l.name, word(r.to),
			r.has_via ? word(r.via) : 0, RTF_UP_ | (r.has_via ? RTF_GATEWAY_ : 0), 0, 0, 0, mask4(r.prefix), 0, 0, 0);
		proc_printf(out, "%-127s\n", line);
	}
	return 0;
}

static void print_ip6(struct proc_text *out, const uint8_t *ip)
{
	for (unsigned i = 0; i < 16; i++)
		proc_printf(out, "%02x", ip[i]);
}

static int show_ipv6_route(struct proc_text *out, const struct proc_subject *s)
{
	static const uint8_t none[16];
	struct link_route r;
	struct link l;

	for (unsigned n = 0; link_route_get(n, AF_INET6, &r); n++) {
		if (!link_get(r.index, &l))
			continue;
		print_ip6(out, r.to);
		proc_printf(out, " %02x ", r.prefix);
		print_ip6(out, none);
		proc_printf(out, " 00 ");
		print_ip6(out, r.has_via ? r.via : none);
		proc_printf(out, " %08x %08x %08x %08x %8s\n", r.local ? 0u : r.has_via ? 1024u : 256u, 1u, 0u,
			RTF_UP_ | (r.has_via ? RTF_GATEWAY_ : 0u) | (r.local ? 0x80200000u : 0u), l.name);
	}
	return 0;
}

static int show_if_inet6(struct proc_text *out, const struct proc_subject *s)
{
	enum { GLOBAL = 0, HOST = 0x10, LINK = 0x20 };
	struct link_address a;
	struct link l;

	for (unsigned n = 0; link_address_get(n, AF_INET6, &a); n++) {
		if (!link_get(a.index, &l))
			continue;
		print_ip6(out, a.ip);
		unsigned scope = a.index == LINK_LO ? HOST : a.ip[0] == 0xfe && (a.ip[1] & 0xc0) == 0x80 ? LINK : GLOBAL;
		unsigned flags = 0x80u | (a.tentative ? 0x40 : 0) | (a.deprecated ? 0x20 : 0);
		proc_printf(out, " %02x %02x %02x %02x %8s\n", a.index, a.prefix, scope, flags, l.name);
	}
	return 0;
}

static int show_arp(struct proc_text *out, const struct proc_subject *s)
{
	struct link_neighbour n;
	struct link l;
	char ip[16];

	proc_printf(out, "IP address       HW type     Flags       HW address            Mask     Device\n");
	for (unsigned i = 0; link_neighbour_get(i, AF_INET, &n); i++) {
		if (!link_get(n.index, &l))
			continue;
		vb_snprintf(ip, sizeof(ip), "%u.%u.%u.%u", n.ip[0], n.ip[1], n.ip[2], n.ip[3]);
		proc_printf(out, "%-16s 0x%-10x0x%-10x%02x:%02x:%02x:%02x:%02x:%02x     *        %s\n", ip, ARPHRD_ETHER, 2u, n.mac[0],
			n.mac[1], n.mac[2], n.mac[3], n.mac[4], n.mac[5], l.name);
	}
	return 0;
}

const struct proc_entry proc_net_children[] = {
	PROC_FILE("arp", 0444, .show = show_arp),
	PROC_FILE("dev", 0444, .show = show_dev),
	PROC_FILE("if_inet6", 0444, .show = show_if_inet6),
	PROC_FILE("ipv6_route", 0444, .show = show_ipv6_route),
	PROC_FILE("netlink", 0444, .show = proc_show_netlink),
	PROC_FILE("netstat", 0444, .show = proc_show_netstat),
	PROC_FILE("protocols", 0444, .show = proc_show_protocols),
	PROC_FILE("raw", 0444, .show = proc_show_raw),
	PROC_FILE("raw6", 0444, .show = proc_show_raw6),
	PROC_FILE("icmp", 0444, .show = proc_show_icmp),
	PROC_FILE("icmp6", 0444, .show = proc_show_icmp6),
	PROC_FILE("route", 0444, .show = show_route),
	PROC_FILE("snmp", 0444, .show = proc_show_snmp),
	PROC_FILE("sockstat", 0444, .show = proc_show_sockstat),
	PROC_FILE("sockstat6", 0444, .show = proc_show_sockstat6),
	PROC_FILE("tcp", 0444, .show = proc_show_tcp),
	PROC_FILE("tcp6", 0444, .show = proc_show_tcp6),
	PROC_FILE("udp", 0444, .show = proc_show_udp),
	PROC_FILE("udp6", 0444, .show = proc_show_udp6),
	PROC_FILE("unix", 0444, .show = proc_show_unix),
	{},
};
