/* What /proc says about the network: tables of sockets, devices and routes, settings that programs read. */
#include "inet.h"

#include <sys/un.h>

static char text[1 << 20];

/* The file's text; its first line when there is none. */
static const char *file(const char *path)
{
	int f = open(path, O_RDONLY);
	long n, len = 0;

	text[0] = 0;
	if (f < 0)
		return text;
	while (len < (long)sizeof(text) - 1 && (n = read(f, text + len, sizeof(text) - 1 - len)) > 0)
		len += n;
	text[len] = 0;
	close(f);
	return text;
}

static int starts(const char *path, const char *head)
{
	return !strncmp(file(path), head, strlen(head));
}

static long number(const char *path)
{
	char *end;
	long v = strtol(file(path), &end, 10);

	return end == text || *end != '\n' ? -1 : v;
}

static unsigned long inode_of(int fd)
{
	struct stat st;

	fstat(fd, &st);
	return st.st_ino;
}

/* The line of a table of sockets that has this inode: checks its columns. */
static int find(const char *table, unsigned long inode, const char *local, unsigned lport, const char *remote, unsigned rport, unsigned state)
{
	char l[40], r[40];
	unsigned lp, rp, st, uid;
	unsigned long tx, rx, ino;

	for (const char *line = file(table); (line = strchr(line, '\n')) && line[1];) {
		line++;
		if (sscanf(line, " %*d: %39[0-9A-F]:%x %39[0-9A-F]:%x %x %lx:%lx %*x:%*x %*x %u %*u %lu", l, &lp, r, &rp, &st, &tx, &rx, &uid, &ino) != 9 ||
			ino != inode)
			continue;
		return !strcmp(l, local) && lp == lport && !strcmp(r, remote) && rp == rport && st == state && uid == getuid();
	}
	return -1;
}

/* Linux may leave lines out of a long table that changes while it is read: look several times. */
static int has(const char *table, unsigned long inode, const char *local, unsigned lport, const char *remote, unsigned rport, unsigned state)
{
	int r = -1;

	for (int i = 0; i < 5 && r < 0; i++)
		r = find(table, inode, local, lport, remote, rport, state);
	return r;
}

static void sockets(void)
{
	unsigned port, port6, uport;
	int s[2], l = listener("127.0.0.1", &port), l6 = listener("::1", &port6), u = bound(SOCK_DGRAM, "0.0.0.0", &uport);
	struct sockaddr_un name = {AF_UNIX, "\0guest-inet-proc"};
	char link[64], want[64];
	struct stat st;

	EXPECT_TRUE(starts("/proc/net/tcp", "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"));
	EXPECT_TRUE(starts("/proc/net/udp", "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops"));
	EXPECT_TRUE(starts("/proc/net/tcp6", "  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when"));
	EXPECT_TRUE(starts("/proc/net/udp6", "  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when"));
	EXPECT(has("/proc/net/tcp", inode_of(l), "0100007F", port, "00000000", 0, 10), 1);
	EXPECT(has("/proc/net/tcp6", inode_of(l6), "00000000000000000000000001000000", port6, "00000000000000000000000000000000", 0, 10), 1);
	EXPECT(has("/proc/net/udp", inode_of(u), "00000000", uport, "00000000", 0, 7), 1);
	s[0] = socket(AF_INET, SOCK_STREAM, 0);
	EXPECT(connect_to(s[0], "127.0.0.1", port), 0);
	s[1] = accept(l, NULL, NULL);
	EXPECT(has("/proc/net/tcp", inode_of(s[0]), "0100007F", port_of(s[0]), "0100007F", port, 1), 1);
	EXPECT(has("/proc/net/tcp", inode_of(s[1]), "0100007F", port, "0100007F", port_of(s[0]), 1), 1);
	EXPECT(shutdown(s[0], SHUT_WR), 0);
	arrives(s[1], POLLRDHUP);
	EXPECT(has("/proc/net/tcp", inode_of(s[1]), "0100007F", port, "0100007F", port_of(s[0]), 8), 1);
	/* The same number in the link of the descriptor. */
	sprintf(link, "/proc/self/fd/%d", l);
	sprintf(want, "socket:[%lu]", inode_of(l));
	EXPECT(readlink(link, text, sizeof(text)), strlen(want));
	EXPECT(memcmp(text, want, strlen(want)), 0);
	EXPECT(fstat(l, &st), 0);
	EXPECT(st.st_nlink == 1 && st.st_size == 0, 1);
	EXPECT_TRUE(inode_of(s[0]) != inode_of(s[1]));
	close_pair(s);
	close(l);
	close(l6);
	close(u);
	l = socket(AF_UNIX, SOCK_STREAM, 0);
	bind(l, (struct sockaddr *)&name, 2 + 16);
	listen(l, 1);
	EXPECT_TRUE(starts("/proc/net/unix", "Num       RefCount Protocol Flags    Type St Inode Path\n"));
	EXPECT(strstr(text, " @guest-inet-proc\n") != NULL, 1);
	EXPECT(has("/proc/net/tcp", inode_of(l), "", 0, "", 0, 0), -1);
	close(l);
}

static void devices(void)
{
	unsigned long v[16];
	const char *lo;

	EXPECT_TRUE(starts("/proc/net/dev", "Inter-|   Receive                                                |  Transmit\n"
										" face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n"));
	lo = strstr(text, "    lo: ");
	EXPECT_TRUE(lo != NULL);
	EXPECT(lo ? sscanf(lo, " lo: %lu %lu %lu %lu %lu %lu %lu %lu %lu %lu %lu %lu %lu %lu %lu %lu", v, v + 1, v + 2, v + 3, v + 4, v + 5, v + 6, v + 7,
					v + 8, v + 9, v + 10, v + 11, v + 12, v + 13, v + 14, v + 15)
			  : 0,
		16);
	EXPECT(v[0] == v[8] && v[1] == v[9], 1); /* what lo sends it receives */
	unsigned port;
	int u = bound(SOCK_DGRAM, "127.0.0.1", &port);
	send_to(u, buf, 1000, "127.0.0.1", port);
	recv(u, buf, 1000, 0);
	close(u);
	unsigned long before = v[0], packets = v[1];
	lo = strstr(file("/proc/net/dev"), "    lo: ");
	sscanf(lo ? lo : "", " lo: %lu %lu", v, v + 1);
	EXPECT_TRUE(v[0] >= before + 1028 && v[1] >= packets + 1);
	EXPECT_TRUE(starts("/proc/net/route", "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT"));
	file("/proc/net/if_inet6");
	EXPECT(strstr(text, "00000000000000000000000000000001 01 80 10 80       lo\n") != NULL, 1);
	file("/proc/net/ipv6_route");
	EXPECT(strstr(text, "00000000000000000000000000000001 80 ") != NULL, 1);
	EXPECT_TRUE(starts("/proc/net/sockstat", "sockets: used "));
	EXPECT(strstr(text, "\nTCP: inuse ") && strstr(text, "\nUDP: inuse "), 1);
	EXPECT_TRUE(starts("/proc/net/snmp", "Ip: Forwarding DefaultTTL InReceives "));
	EXPECT(strstr(text, "\nTcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens ") != NULL, 1);
	EXPECT(strstr(text, "\nUdp: InDatagrams NoPorts InErrors OutDatagrams ") != NULL, 1);
	EXPECT_TRUE(starts("/proc/net/arp", "IP address       HW type     Flags       HW address            Mask     Device\n"));
	EXPECT_TRUE(starts("/proc/net/netstat", "TcpExt: "));
	EXPECT(access("/proc/self/net/tcp", R_OK), 0);
	EXPECT(access("/proc/net/raw", R_OK), 0);
	EXPECT_TRUE(starts("/proc/net/protocols", "protocol  size sockets"));
	struct stat a, b;
	EXPECT(stat("/proc/net/tcp", &a) == 0 && S_ISREG(a.st_mode) && a.st_size == 0, 1);
	EXPECT(stat("/proc/net", &b) == 0 && S_ISDIR(b.st_mode), 1);
	EXPECT_ERR(open("/proc/net/nosuchtable", O_RDONLY), ENOENT);
}

static void settings(void)
{
	long a, b, c;

	EXPECT_TRUE(number("/proc/sys/net/core/somaxconn") >= 128);
	EXPECT_TRUE(number("/proc/sys/net/core/rmem_max") >= 212992);
	EXPECT_TRUE(number("/proc/sys/net/core/wmem_max") >= 212992);
	EXPECT_TRUE(number("/proc/sys/net/core/rmem_default") >= 65536);
	EXPECT_TRUE(number("/proc/sys/net/core/wmem_default") >= 65536);
	EXPECT(sscanf(file("/proc/sys/net/ipv4/ip_local_port_range"), "%ld\t%ld\n", &a, &b), 2);
	EXPECT_TRUE(a > 0 && a < b && b < 65536);
	unsigned port;
	int s = bound(SOCK_STREAM, "127.0.0.1", &port);
	EXPECT_TRUE(port >= a && port <= b);
	close(s);
	EXPECT(number("/proc/sys/net/ipv4/ip_forward") >= 0, 1);
	EXPECT(number("/proc/sys/net/ipv4/tcp_fin_timeout"), 60);
	EXPECT(number("/proc/sys/net/ipv4/tcp_keepalive_time"), 7200);
	EXPECT(number("/proc/sys/net/ipv4/tcp_keepalive_intvl"), 75);
	EXPECT(number("/proc/sys/net/ipv4/tcp_keepalive_probes"), 9);
	EXPECT(number("/proc/sys/net/ipv4/tcp_syn_retries"), 6);
	EXPECT_TRUE(number("/proc/sys/net/ipv4/tcp_max_syn_backlog") >= 128);
	EXPECT(number("/proc/sys/net/ipv4/tcp_window_scaling"), 1);
	EXPECT(number("/proc/sys/net/ipv4/tcp_sack"), 1);
	EXPECT(number("/proc/sys/net/ipv4/tcp_timestamps") >= 0, 1);
	EXPECT(number("/proc/sys/net/ipv4/ip_default_ttl"), 64);
	EXPECT(number("/proc/sys/net/ipv4/ip_unprivileged_port_start") >= 0, 1);
	EXPECT(number("/proc/sys/net/ipv4/ip_nonlocal_bind"), 0);
	EXPECT(number("/proc/sys/net/ipv6/bindv6only"), 0);
	EXPECT(number("/proc/sys/net/ipv6/conf/all/disable_ipv6"), 0);
	EXPECT_TRUE(number("/proc/sys/net/unix/max_dgram_qlen") >= 10);
	EXPECT(sscanf(file("/proc/sys/net/ipv4/tcp_rmem"), "%ld\t%ld\t%ld\n", &a, &b, &c), 3);
	EXPECT_TRUE(a <= b && b <= c);
	EXPECT(sscanf(file("/proc/sys/net/ipv4/tcp_wmem"), "%ld\t%ld\t%ld\n", &a, &b, &c), 3);
	EXPECT_TRUE(a <= b && b <= c);
	EXPECT_TRUE(strlen(file("/proc/sys/net/ipv4/tcp_congestion_control")) > 1);
	EXPECT_TRUE(strstr(file("/proc/sys/net/ipv4/tcp_available_congestion_control"), "reno") != NULL);
}

int main(void)
{
	sockets();
	devices();
	settings();
	return guest_done();
}
