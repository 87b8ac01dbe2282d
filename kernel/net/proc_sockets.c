/* /proc/net: tables of sockets, and counters. Owns nothing. */
#include "kernel/net/datagram.h"
#include "kernel/net/netlink.h"
#include "kernel/net/proc.h"
#include "kernel/net/tcp.h"
#include "kernel/net/unix.h"

#include "lwip/stats.h"

typedef unsigned long long ull;
enum { STATE_ESTABLISHED = 1, STATE_CLOSE = 7, STATE_LISTEN = 10 }; /* include/net/tcp_states.h */

struct table {
	struct proc_text *out;
	int family;
	unsigned line;
	unsigned count, held; /* of sockets, and bytes in their queues */
};

struct row {
	unsigned state, tx, rx, timer, timer_left, retransmits, drops;
};

static uint64_t ino_of(const struct socket *s)
{
	return s->file ? s->file->inode->ino : 0;
}

static void print_address(char *buf, size_t size, int family, const struct inet_socket *s, const ip_addr_t *ip, uint16_t port)
{
	uint8_t name[SOCKET_NAME_BYTES];
	uint32_t w[4];

	inet_name_encode(s, ip, port, name);
	if (family == AF_INET) {
		memcpy(w, name + 4, 4);
		vb_snprintf(buf, size, "%08X:%04X", w[0], port);
		return;
	}
	memcpy(w, name + 8, 16);
	vb_snprintf(buf, size, "%08X%08X%08X%08X:%04X", w[0], w[1], w[2], w[3], port);
}

static void print_row(struct table *t, const struct inet_socket *s, const struct row *r, uint16_t local_port, const char *tail)
{
	char local[48], remote[48], line[256];

	print_address(local, sizeof(local), t->family, s, &s->local, local_port);
	print_address(remote, sizeof(remote), t->family, s, &s->remote, s->remote_port);
	vb_snprintf(line, sizeof(line), "%s %s %02X %08X:%08X %02X:%08X %08X %5u %8d %llu %s", local, remote, r->state, r->tx, r->rx, r->timer,
		r->timer_left, r->retransmits, s->owner, 0, (ull)ino_of(&s->base), tail);
	t->line++;
	proc_printf(t->out, "%s\n", line);
}

/* --- TCP --- */

static void tcp_row(struct inet_socket *s, void *arg)
{
	const struct tcp_socket *c = tcp_of(&s->base);
	struct table *t = arg;
	struct row r = {.state = (unsigned)tcp_state(c)};
	char number[16];

	if (s->base.family != t->family || r.state == STATE_CLOSE)
		return;
	if (r.state == STATE_LISTEN)
		r.rx = c->accept_count;
	else
		r.tx = (unsigned)(c->written - c->acked), r.rx = (unsigned)c->received_bytes;
	vb_snprintf(number, sizeof(number), "%4u: ", t->line);
	proc_append(t->out, number, strlen(number));
	print_row(t, s, &r, s->local_port, "1 0000000000000000 100 0 0 10 0");
}

int proc_show_tcp(struct proc_text *out, const struct proc_subject *s)
{
	struct table t = {.out = out, .family = AF_INET};

	proc_printf(out, "%-149s\n", "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode");
	inet_port_for_each(IPPROTO_TCP, tcp_row, &t);
	return 0;
}

int proc_show_tcp6(struct proc_text *out, const struct proc_subject *s)
{
	struct table t = {.out = out, .family = AF_INET6};

	proc_printf(out, "  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when "
			 "retrnsmt   uid  timeout inode\n");
	inet_port_for_each(IPPROTO_TCP, tcp_row, &t);
	return 0;
}

/* --- datagrams --- */

static void datagram_row(struct table *t, struct datagram_socket *d, uint16_t local_port)
{
	struct row r = {.state = d->connected ? STATE_ESTABLISHED : STATE_CLOSE, .rx = (unsigned)d->charged};
	char text[48];

	if (d->inet.base.family != t->family)
		return;
	vb_snprintf(text, sizeof(text), "%5u: ", local_port);
	proc_append(t->out, text, strlen(text));
	vb_snprintf(text, sizeof(text), "2 0000000000000000 %u", d->dropped);
	print_row(t, &d->inet, &r, local_port, text);
}

static void udp_row(struct inet_socket *s, void *arg)
{
	datagram_row(arg, datagram_of(&s->base), s->local_port);
}

static void ping_row(struct datagram_socket *d, void *arg)
{
	if (d->inet.local_port)
		datagram_row(arg, d, d->inet.local_port);
}

static void raw_row(struct datagram_socket *d, void *arg)
{
	datagram_row(arg, d, (uint16_t)d->inet.base.protocol);
}

static struct table datagram_table(struct proc_text *out, int family)
{
	proc_printf(out, family == AF_INET ? "%-127s\n" : "%s\n",
		family == AF_INET ? "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops"
				  : "  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when "
				    "retrnsmt   uid  timeout inode ref pointer drops");
	return (struct table){.out = out, .family = family};
}

int proc_show_udp(struct proc_text *out, const struct proc_subject *s)
{
	struct table t = datagram_table(out, AF_INET);

	inet_port_for_each(IPPROTO_UDP, udp_row, &t);
	return 0;
}

int proc_show_udp6(struct proc_text *out, const struct proc_subject *s)
{
	struct table t = datagram_table(out, AF_INET6);

	inet_port_for_each(IPPROTO_UDP, udp_row, &t);
	return 0;
}

int proc_show_raw(struct proc_text *out, const struct proc_subject *s)
{
	struct table t = datagram_table(out, AF_INET);

	raw_for_each(raw_row, &t);
	return 0;
}

int proc_show_raw6(struct proc_text *out, const struct proc_subject *s)
{
	struct table t = datagram_table(out, AF_INET6);

	raw_for_each(raw_row, &t);
	return 0;
}

int proc_show_icmp(struct proc_text *out, const struct proc_subject *s)
{
	struct table t = datagram_table(out, AF_INET);

	ping_for_each(ping_row, &t);
	return 0;
}

int proc_show_icmp6(struct proc_text *out, const struct proc_subject *s)
{
	struct table t = datagram_table(out, AF_INET6);

	ping_for_each(ping_row, &t);
	return 0;
}

/* --- unix and netlink --- */

int proc_show_unix(struct proc_text *out, const struct proc_subject *s)
{
	enum { SS_UNCONNECTED = 1, SS_CONNECTED = 3, SO_ACCEPTCON = 0x10000 };

	proc_printf(out, "Num       RefCount Protocol Flags    Type St Inode Path\n");
	list_for_each(u, &unix_all, struct unix_socket, all_node) {
		const struct unix_name *n = u->name;
		if (u->dead)
			continue;
		proc_printf(out, "%016x: %08X %08X %08X %04X %02X %5llu", 0, u->refs + 1, 0, u->state == UNIX_LISTENING ? SO_ACCEPTCON : 0,
			(unsigned)u->base.type, u->peer ? SS_CONNECTED : SS_UNCONNECTED, (ull)ino_of(&u->base));
		for (unsigned i = 2; n && i < n->len && (i == 2 || n->bytes[2] == 0 || n->bytes[i]); i++)
			proc_printf(out, "%s%c", i == 2 ? " " : "", n->bytes[i] ? n->bytes[i] : '@');
		proc_printf(out, "\n");
	}
	return 0;
}

static void netlink_row(struct netlink_socket *n, void *arg)
{
	proc_printf(arg, "%016x %-3d %-10u %08x %-8u %-8u %-5d %-8u %-8u %-8llu\n", 0, n->base.protocol, n->port, (uint32_t)n->groups,
		(unsigned)n->message_bytes, 0, 0, 2, 0, (ull)ino_of(&n->base));
}

int proc_show_netlink(struct proc_text *out, const struct proc_subject *s)
{
	proc_printf(out, "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n");
	netlink_for_each(netlink_row, out);
	return 0;
}

/* --- counters --- */

static void count_inet(struct inet_socket *s, void *arg)
{
	struct table *t = arg;

	t->count += !t->family || s->base.family == t->family;
}

static void count_datagram(struct datagram_socket *d, void *arg)
{
	count_inet(&d->inet, arg);
}

static unsigned count_sockets(int protocol, int family)
{
	struct table t = {.family = family};

	if (protocol == IPPROTO_RAW)
		raw_for_each(count_datagram, &t);
	else
		inet_port_for_each(protocol, count_inet, &t);
	return t.count;
}

static unsigned count_unix(void)
{
	unsigned n = 0;

	list_for_each(u, &unix_all, struct unix_socket, all_node)
		n += !u->dead;
	return n;
}

int proc_show_sockstat(struct proc_text *out, const struct proc_subject *s)
{
	unsigned tcp = count_sockets(IPPROTO_TCP, AF_INET), udp = count_sockets(IPPROTO_UDP, AF_INET), raw = count_sockets(IPPROTO_RAW, AF_INET);
	unsigned used = count_unix() + count_sockets(IPPROTO_TCP, 0) + count_sockets(IPPROTO_UDP, 0) + count_sockets(IPPROTO_RAW, 0);

	proc_printf(out, "sockets: used %u\nTCP: inuse %u orphan 0 tw 0 alloc %u mem 0\nUDP: inuse %u mem 0\nUDPLITE: inuse 0\n"
			 "RAW: inuse %u\nFRAG: inuse 0 memory 0\n",
		used, tcp, tcp, udp, raw);
	return 0;
}

int proc_show_sockstat6(struct proc_text *out, const struct proc_subject *s)
{
	proc_printf(out, "TCP6: inuse %u\nUDP6: inuse %u\nUDPLITE6: inuse 0\nRAW6: inuse %u\nFRAG6: inuse 0 memory 0\n",
		count_sockets(IPPROTO_TCP, AF_INET6), count_sockets(IPPROTO_UDP, AF_INET6), count_sockets(IPPROTO_RAW, AF_INET6));
	return 0;
}

int proc_show_snmp(struct proc_text *out, const struct proc_subject *s)
{
	const struct stats_mib2 *m = &lwip_stats.mib2;

	proc_printf(out,
		"Ip: Forwarding DefaultTTL InReceives InHdrErrors InAddrErrors ForwDatagrams InUnknownProtos InDiscards InDelivers OutRequests "
		"OutDiscards OutNoRoutes ReasmTimeout ReasmReqds ReasmOKs ReasmFails FragOKs FragFails FragCreates\n"
		"Ip: 2 64 %u %u %u %u %u %u %u %u %u %u 0 %u %u %u %u %u %u\n",
		m->ipinreceives, m->ipinhdrerrors, m->ipinaddrerrors, m->ipforwdatagrams, m->ipinunknownprotos, m->ipindiscards,
		m->ipindelivers, m->ipoutrequests, m->ipoutdiscards, m->ipoutnoroutes, m->ipreasmreqds, m->ipreasmoks, m->ipreasmfails,
		m->ipfragoks, m->ipfragfails, m->ipfragcreates);
	proc_printf(out,
		"Icmp: InMsgs InErrors InCsumErrors InDestUnreachs InTimeExcds InParmProbs InSrcQuenchs InRedirects InEchos InEchoReps "
		"InTimestamps InTimestampReps InAddrMasks InAddrMaskReps OutMsgs OutErrors OutDestUnreachs OutTimeExcds OutParmProbs "
		"OutSrcQuenchs OutRedirects OutEchos OutEchoReps OutTimestamps OutTimestampReps OutAddrMasks OutAddrMaskReps\n"
		"Icmp: %u %u 0 %u %u %u %u %u %u %u %u %u %u %u %u %u %u %u 0 0 0 %u %u 0 0 0 0\n",
		m->icmpinmsgs, m->icmpinerrors, m->icmpindestunreachs, m->icmpintimeexcds, m->icmpinparmprobs, m->icmpinsrcquenchs,
		m->icmpinredirects, m->icmpinechos, m->icmpinechoreps, m->icmpintimestamps, m->icmpintimestampreps, m->icmpinaddrmasks,
		m->icmpinaddrmaskreps, m->icmpoutmsgs, m->icmpouterrors, m->icmpoutdestunreachs, m->icmpouttimeexcds, m->icmpoutechos,
		m->icmpoutechoreps);
	proc_printf(out,
		"Tcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens AttemptFails EstabResets CurrEstab InSegs OutSegs "
		"RetransSegs InErrs OutRsts InCsumErrors\n"
		"Tcp: 1 200 120000 -1 %u %u %u %u %u %u %u %u %u %u 0\n",
		m->tcpactiveopens, m->tcppassiveopens, m->tcpattemptfails, m->tcpestabresets, 0u, m->tcpinsegs, m->tcpoutsegs,
		m->tcpretranssegs, m->tcpinerrs, m->tcpoutrsts);
	proc_printf(out,
		"Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors IgnoredMulti MemErrors\n"
		"Udp: %u %u %u %u 0 0 0 0 0\n",
		m->udpindatagrams, m->udpnoports, m->udpinerrors, m->udpoutdatagrams);
	return 0;
}

int proc_show_netstat(struct proc_text *out, const struct proc_subject *s)
{
	struct netif *n;
	ull in = 0, sent = 0;

	NETIF_FOREACH(n) {
		in += n->mib2_counters.ifinoctets;
		sent += n->mib2_counters.ifoutoctets;
	}
	proc_printf(out, "TcpExt: TCPRcvQDrop TCPAbortOnMemory\nTcpExt: %u %u\nIpExt: InOctets OutOctets\nIpExt: %llu %llu\n",
		lwip_stats.tcp.drop, lwip_stats.tcp.memerr, in, sent);
	return 0;
}

int proc_show_protocols(struct proc_text *out, const struct proc_subject *s)
{
	static const struct {
		const char *name;
		int protocol, family;
	} rows[] = {{"RAWv6", IPPROTO_RAW, AF_INET6}, {"UDPv6", IPPROTO_UDP, AF_INET6}, {"TCPv6", IPPROTO_TCP, AF_INET6},
		{"RAW", IPPROTO_RAW, AF_INET}, {"UDP", IPPROTO_UDP, AF_INET}, {"TCP", IPPROTO_TCP, AF_INET}};

	proc_printf(out, "protocol  size sockets  memory press maxhdr  slab module     cl co di ac io in de sh ss gs se re bi br ha uh gp em\n");
	for (unsigned i = 0; i < VB_ARRAY_LEN(rows); i++)
		proc_printf(out, "%-9s %4u %6u  %6d   no       0   no   kernel\n", rows[i].name,
			(unsigned)(rows[i].protocol == IPPROTO_TCP ? sizeof(struct tcp_socket) : sizeof(struct datagram_socket)),
			count_sockets(rows[i].protocol, rows[i].family), -1);
	proc_printf(out, "%-9s %4u %6u  %6d   no       0   no   kernel\n", "UNIX", (unsigned)sizeof(struct unix_socket), count_unix(), -1);
	return 0;
}
