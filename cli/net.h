/* The network options of `vauban run`. */
#ifndef CLI_NET_H
#define CLI_NET_H

#include <stdbool.h>

#include <getopt.h>

struct verb;
struct net_options;

enum {
	NET_OPT_FIRST = 512,
	NET_OPT_NET = NET_OPT_FIRST,
	NET_OPT_IP,
	NET_OPT_MAC,
	NET_OPT_DNS,
	NET_OPT_ALLOW_OUT,
	NET_OPT_ALLOW_IN,
	NET_OPT_PCAP
};

#define NET_SHORT_OPTIONS "p:"
#define NET_LONG_OPTIONS                                                                                                                   \
	{"publish", required_argument, NULL, 'p'}, {"net", required_argument, NULL, NET_OPT_NET},                                          \
		{"ip", required_argument, NULL, NET_OPT_IP}, {"mac", required_argument, NULL, NET_OPT_MAC},                                \
		{"allow-out", required_argument, NULL, NET_OPT_ALLOW_OUT}, {"allow-in", required_argument, NULL, NET_OPT_ALLOW_IN},        \
		{"pcap", required_argument, NULL, NET_OPT_PCAP},                                                                           \
	{                                                                                                                                  \
		"dns", required_argument, NULL, NET_OPT_DNS                                                                                \
	}
#define NET_HELP                                                                                                                           \
	"      --net user|tap:IF|vde:SOCKET|none  the way out (user); repeat it for several interfaces\n"                                  \
	"  -p, --publish [IP:]PORT:PORT[/udp]  lead a port of the host to one of the cell; ranges as 80-89:80-89\n"                        \
	"      --ip ADDR/BITS[,GATEWAY]  address of the interface, IPv4 or IPv6\n"                                                         \
	"      --mac ADDR         hardware address of the interface\n"                                                                     \
	"      --dns ADDR         name server (the host's)\n"                                                                              \
	"      --allow-out NET[:PORTS[/udp]]  the cell may call these, and nobody else\n"                                                  \
	"      --allow-in NET[:PORTS[/udp]]   these may call the cell, and nobody else\n"                                                  \
	"      --pcap FILE        record all frames, for tcpdump and wireshark\n"

/* The options as parsed so far. A state of their own, because --ip and --mac belong to the --net before them. */
struct net_request {
	const struct verb *verb;
	struct net_options *options;
	bool none, any;
};

/* c is an option that is not run.c's own. Ends the process when its argument is bad. */
void net_option(struct net_request *r, int c, char *text);
/* When all are there: what they mean together. */
void net_options_complete(struct net_request *r);

#endif
