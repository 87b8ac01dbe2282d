/* The requests about network interfaces that ioctl(2) takes on any socket. Owns nothing; trusts nothing from the program. */
#include "kernel/net/link.h"
#include "kernel/net/socket.h"

#include <linux/capability.h>
#include <linux/sockios.h>

#define TXQLEN 1000

struct k_ifreq {
	char name[LINK_NAME_BYTES];
	union {
		struct {
			uint16_t family;
			uint8_t data[14];
		} address;
		int16_t flags;
		int32_t number;
		uint64_t pointer;
		uint8_t map[24]; /* struct ifmap */
	};
};
_Static_assert(sizeof(struct k_ifreq) == 40, "struct ifreq of Linux");

struct k_ifconf {
	int32_t len, pad;
	uint64_t buf;
};

static void put_address(struct k_ifreq *r, const uint8_t *ip)
{
	memset(&r->address, 0, sizeof(r->address));
	r->address.family = AF_INET;
	memcpy(r->address.data + 2, ip, 4); /* behind the port */
}

static bool address_of(unsigned index, struct link_address *ret)
{
	for (unsigned n = 0; link_address_get(n, AF_INET, ret); n++)
		if (ret->index == index)
			return true;
	return false;
}

static int get_address(unsigned cmd, const struct link *l, struct k_ifreq *r)
{
	struct link_address a;
	uint8_t ip[4];

	if (!address_of(l->index, &a))
		return -EADDRNOTAVAIL;
	for (unsigned b = 0; b < 4; b++) {
		unsigned bits = a.prefix > b * 8 ? vb_min(a.prefix - b * 8, 8u) : 0;
		uint8_t mask = (uint8_t)(0xff00u >> bits);
		ip[b] = cmd == SIOCGIFNETMASK ? mask : cmd == SIOCGIFBRDADDR ? a.ip[b] | (uint8_t)~mask : a.ip[b];
	}
	if (cmd == SIOCGIFBRDADDR && l->index == LINK_LO)
		memset(ip, 0, sizeof(ip));
	put_address(r, ip);
	return 0;
}

static int get_property(unsigned cmd, const struct link *l, struct k_ifreq *r)
{
	switch (cmd) {
	case SIOCGIFFLAGS:
		r->flags = (int16_t)l->flags;
		return 0;
	case SIOCGIFMETRIC:
		r->number = 0;
		return 0;
	case SIOCGIFMTU:
		r->number = (int32_t)l->mtu;
		return 0;
	case SIOCGIFINDEX:
		r->number = (int32_t)l->index;
		return 0;
	case SIOCGIFTXQLEN:
		r->number = TXQLEN;
		return 0;
	case SIOCGIFMAP:
		memset(r->map, 0, sizeof(r->map));
		return 0;
	case SIOCGIFHWADDR:
		memset(&r->address, 0, sizeof(r->address));
		r->address.family = l->flags & IFF_LOOPBACK ? ARPHRD_LOOPBACK : ARPHRD_ETHER;
		memcpy(r->address.data, l->mac, sizeof(l->mac));
		return 0;
	case SIOCGIFSLAVE:
		return -EINVAL;
	default: /* SIOCETHTOOL, SIOCGMIIPHY, SIOCGMIIREG */
		return -EOPNOTSUPP;
	}
}

static long get_by_index(uint64_t arg)
{
	struct k_ifreq r;
	struct link l;

	if (get_user(r, arg))
		return -EFAULT;
	if (r.number <= 0 || !link_get((unsigned)r.number, &l))
		return -ENODEV;
	memcpy(r.name, l.name, sizeof(r.name));
	return put_user(r, arg);
}

static long get_by_name(struct socket *s, unsigned cmd, uint64_t arg)
{
	bool address = cmd == SIOCGIFADDR || cmd == SIOCGIFBRDADDR || cmd == SIOCGIFNETMASK || cmd == SIOCGIFDSTADDR;
	struct k_ifreq r;
	struct link l;

	if (address && s->family != AF_INET)
		return -ENOTTY;
	if (get_user(r, arg))
		return -EFAULT;
	r.name[sizeof(r.name) - 1] = 0;
	char *alias = strchr(r.name, ':');
	if (alias)
		*alias = 0;
	unsigned index = link_by_name(r.name);
	if (!index || !link_get(index, &l))
		return -ENODEV;
	if (alias)
		*alias = ':';
	if (address)
		link_settle();
	int e = address ? get_address(cmd, &l, &r) : get_property(cmd, &l, &r);
	return e ? e : put_user(r, arg);
}

/* All IPv4 addresses with their interfaces, as many as fit; without a buffer, the room they would need. */
static long get_all(uint64_t arg)
{
	struct k_ifconf c;
	struct link_address a;
	struct link l;
	int32_t used = 0;

	if (get_user(c, arg))
		return -EFAULT;
	link_settle();
	for (unsigned n = 0; link_address_get(n, AF_INET, &a); n++) {
		struct k_ifreq r = {.number = 0};
		if (c.buf && c.len - used < (int32_t)sizeof(r))
			break;
		if (!link_get(a.index, &l))
			continue;
		memcpy(r.name, l.name, sizeof(r.name));
		put_address(&r, a.ip);
		if (c.buf && put_user(r, c.buf + (uint64_t)used))
			return -EFAULT;
		used += (int32_t)sizeof(r);
	}
	c.len = used;
	return put_user(c, arg);
}

long socket_link_ioctl(struct socket *s, unsigned cmd, uint64_t arg)
{
	switch (cmd) {
	case SIOCGIFCONF:
		return get_all(arg);
	case SIOCGIFNAME:
		return get_by_index(arg);
	case SIOCGIFADDR:
	case SIOCGIFBRDADDR:
	case SIOCGIFNETMASK:
	case SIOCGIFDSTADDR:
	case SIOCGIFFLAGS:
	case SIOCGIFMETRIC:
	case SIOCGIFMTU:
	case SIOCGIFINDEX:
	case SIOCGIFTXQLEN:
	case SIOCGIFMAP:
	case SIOCGIFHWADDR:
	case SIOCGIFSLAVE:
	case SIOCETHTOOL:
	case SIOCGMIIPHY:
	case SIOCGMIIREG:
		return get_by_name(s, cmd, arg);
	case SIOCSIFADDR: /* what the cell has is given from outside */
	case SIOCDIFADDR:
	case SIOCSIFBRDADDR:
	case SIOCSIFNETMASK:
	case SIOCSIFDSTADDR:
	case SIOCSIFFLAGS:
	case SIOCSIFMETRIC:
	case SIOCSIFMTU:
	case SIOCSIFHWADDR:
	case SIOCSIFHWBROADCAST:
	case SIOCSIFMAP:
	case SIOCSIFNAME:
	case SIOCSIFTXQLEN:
	case SIOCADDMULTI:
	case SIOCDELMULTI:
	case SIOCADDRT:
	case SIOCDELRT:
	case SIOCSARP:
	case SIOCDARP:
		return -EPERM;
	default:
		return -ENOTTY;
	}
}
