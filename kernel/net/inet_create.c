/* socket(2) of AF_INET and AF_INET6: which kind of socket a type and a protocol mean. */
#include "kernel/net/datagram.h"

#define PROTOCOL_MAX 263 /* IPPROTO_MAX */

static int create(int family, int type, int protocol, struct socket **ret)
{
	int icmp = family == AF_INET6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;

	if (protocol < 0 || protocol >= PROTOCOL_MAX)
		return -EINVAL;
	switch (type) {
	case SOCK_STREAM:
		return protocol && protocol != IPPROTO_TCP ? -EPROTONOSUPPORT : tcp_create(family, IPPROTO_TCP, ret);
	case SOCK_DGRAM:
		if (protocol == icmp)
			return ping_create(family, ret);
		return protocol && protocol != IPPROTO_UDP ? -EPROTONOSUPPORT : udp_create(family, ret);
	case SOCK_RAW:
		return protocol > UINT8_MAX ? -EPROTONOSUPPORT : raw_create(family, protocol, ret);
	default:
		return -ESOCKTNOSUPPORT;
	}
}

int inet4_create(int type, int protocol, struct socket **ret)
{
	return create(AF_INET, type, protocol, ret);
}

int inet6_create(int type, int protocol, struct socket **ret)
{
	return create(AF_INET6, type, protocol, ret);
}
