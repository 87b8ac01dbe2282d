/* The interface lo: what the cell sends to itself. Owns a bounded queue of packets. lwIP's own loop interface lives inside
 * each interface and knows one address; this one takes all of 127.0.0.0/8 and the addresses of every interface, and keeps the
 * checksums away from it. */
#include "kernel/net/inet.h"
#include "kernel/net/lwip/glue.h"
#include "kernel/net/net.h"

#include "lwip/ip4.h"
#include "lwip/ip6.h"
#include "lwip/snmp.h"

#define QUEUE_MAX  4096u /* packets; TCP's windows keep it far below */
#define BUDGET     512u  /* packets delivered before programs get a turn */
#define LO_MTU     65535u

struct netif loop_netif;
static struct pbuf *queue[QUEUE_MAX];
static unsigned head, count;

static err_t enqueue(struct netif *netif, struct pbuf *p)
{
	if (count == QUEUE_MAX) {
		MIB2_STATS_NETIF_INC(netif, ifoutdiscards);
		return ERR_MEM;
	}
	/* A copy: the sender keeps its segment to send it again, and the receiver changes the header in place. */
	struct pbuf *copy = pbuf_clone(PBUF_RAW, PBUF_RAM, p);
	if (!copy) {
		MIB2_STATS_NETIF_INC(netif, ifoutdiscards);
		return ERR_MEM;
	}
	MIB2_STATS_NETIF_ADD(netif, ifoutoctets, p->tot_len);
	MIB2_STATS_NETIF_INC(netif, ifoutucastpkts);
	queue[(head + count++) % QUEUE_MAX] = copy;
	return ERR_OK;
}

static err_t output4(struct netif *netif, struct pbuf *p, const ip4_addr_t *to)
{
	return enqueue(netif, p);
}

static err_t output6(struct netif *netif, struct pbuf *p, const ip6_addr_t *to)
{
	return enqueue(netif, p);
}

static err_t init(struct netif *netif)
{
	netif->name[0] = 'l';
	netif->name[1] = 'o';
	netif->output = output4;
	netif->output_ip6 = output6;
	netif->mtu = netif->mtu6 = LO_MTU;
	netif->flags = NETIF_FLAG_LINK_UP | NETIF_FLAG_IGMP | NETIF_FLAG_MLD6;
	NETIF_SET_CHECKSUM_CTRL(netif, NETIF_CHECKSUM_GEN_ICMP | NETIF_CHECKSUM_GEN_ICMP6); /* programs can see these */
	MIB2_INIT_NETIF(netif, snmp_ifType_softwareLoopback, 0);
	return ERR_OK;
}

int loop_start(void)
{
	ip4_addr_t ip = {PP_HTONL(IPADDR_LOOPBACK)}, mask = {PP_HTONL(IP_CLASSA_NET)}, none = {0};

	if (!netif_add(&loop_netif, &ip, &mask, &none, NULL, init, ip_input))
		return -ENOMEM;
	IP_ADDR6_HOST(&loop_netif.ip6_addr[0], 0, 0, 0, 1);
	netif_ip6_addr_set_state(&loop_netif, 0, IP6_ADDR_VALID | IP6_ADDR_PREFERRED);
	netif_set_up(&loop_netif);
	return 0;
}

/* lwIP takes packets only for the one address of an interface: while it looks at this one, that is the interface's. */
static void deliver(struct pbuf *p)
{
	const struct ip_hdr *h = p->payload;
	ip4_addr_t own = *netif_ip4_addr(&loop_netif), to = {0};
	bool other = p->len >= IP_HLEN && IPH_V(h) == 4 && (memcpy(&to, &h->dest, sizeof(to)), ip4_addr_isloopback(&to));

	MIB2_STATS_NETIF_ADD(&loop_netif, ifinoctets, p->tot_len);
	MIB2_STATS_NETIF_INC(&loop_netif, ifinucastpkts);
	if (other)
		ip4_addr_copy(*ip_2_ip4(&loop_netif.ip_addr), to);
	if (ip_input(p, &loop_netif) != ERR_OK)
		pbuf_free(p);
	if (other)
		ip4_addr_copy(*ip_2_ip4(&loop_netif.ip_addr), own);
}

bool loop_run(void)
{
	for (unsigned n = 0; count && n < BUDGET; n++) {
		struct pbuf *p = queue[head];
		head = (head + 1) % QUEUE_MAX;
		count--;
		deliver(p);
	}
	return count > 0;
}
