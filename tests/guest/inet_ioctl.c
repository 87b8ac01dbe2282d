/* ioctl() requests on interfaces, as ifconfig and libraries send them: the loopback device. */
#include "inet.h"

#include <net/if.h>
#include <net/if_arp.h>
#include <linux/sockios.h>

static struct ifreq request(const char *name)
{
	struct ifreq r;

	memset(&r, 0, sizeof(r));
	strcpy(r.ifr_name, name);
	return r;
}

int main(void)
{
	static const int families[] = {AF_INET, AF_INET6, AF_UNIX};
	struct ifreq r, list[16];
	struct ifconf c;
	int n, s;

	/* Every kind of socket knows the devices. */
	for (int i = 0; i < 3; i++) {
		s = socket(families[i], SOCK_DGRAM, 0);
		r = request("lo");
		EXPECT(ioctl(s, SIOCGIFFLAGS, &r), 0);
		EXPECT(r.ifr_flags & (IFF_UP | IFF_LOOPBACK | IFF_RUNNING | IFF_BROADCAST | IFF_POINTOPOINT | IFF_NOARP), IFF_UP | IFF_LOOPBACK | IFF_RUNNING);
		r = request("lo");
		EXPECT(ioctl(s, SIOCGIFINDEX, &r), 0);
		EXPECT(r.ifr_ifindex, 1);
		r = request("");
		r.ifr_ifindex = 1;
		EXPECT(ioctl(s, SIOCGIFNAME, &r), 0);
		EXPECT(strcmp(r.ifr_name, "lo"), 0);
		close(s);
	}
	s = socket(AF_INET, SOCK_STREAM, 0);
	r = request("lo");
	EXPECT(ioctl(s, SIOCGIFADDR, &r), 0);
	EXPECT(r.ifr_addr.sa_family, AF_INET);
	EXPECT(((struct sockaddr_in *)&r.ifr_addr)->sin_addr.s_addr == inet_addr("127.0.0.1"), 1);
	r = request("lo");
	EXPECT(ioctl(s, SIOCGIFNETMASK, &r), 0);
	EXPECT(((struct sockaddr_in *)&r.ifr_netmask)->sin_addr.s_addr == inet_addr("255.0.0.0"), 1);
	r = request("lo");
	EXPECT(ioctl(s, SIOCGIFMTU, &r), 0);
	EXPECT_TRUE(r.ifr_mtu >= 1500);
	r = request("lo");
	EXPECT(ioctl(s, SIOCGIFHWADDR, &r), 0);
	EXPECT(r.ifr_hwaddr.sa_family, ARPHRD_LOOPBACK);
	EXPECT(memcmp(r.ifr_hwaddr.sa_data, "\0\0\0\0\0\0", 6), 0);
	r = request("lo");
	EXPECT(ioctl(s, SIOCGIFMETRIC, &r), 0);
	EXPECT(r.ifr_metric, 0);
	r = request("lo");
	EXPECT(ioctl(s, SIOCGIFTXQLEN, &r), 0);
	r = request("nosuchdev");
	EXPECT_ERR(ioctl(s, SIOCGIFFLAGS, &r), ENODEV);
	EXPECT_ERR(ioctl(s, SIOCGIFADDR, &r), ENODEV);
	EXPECT_ERR(ioctl(s, SIOCGIFINDEX, &r), ENODEV);
	r.ifr_ifindex = 9999;
	EXPECT_ERR(ioctl(s, SIOCGIFNAME, &r), ENODEV);
	EXPECT_ERR(ioctl(s, SIOCGIFFLAGS, bad_pointer), EFAULT);
	/* All that have an IPv4 address. */
	c = (struct ifconf){.ifc_len = 0, .ifc_buf = NULL};
	EXPECT(ioctl(s, SIOCGIFCONF, &c), 0);
	EXPECT_TRUE(c.ifc_len >= (int)sizeof(r) && c.ifc_len % sizeof(r) == 0); /* how much it would be */
	c = (struct ifconf){.ifc_len = sizeof(list), .ifc_req = list};
	EXPECT(ioctl(s, SIOCGIFCONF, &c), 0);
	EXPECT(c.ifc_len % sizeof(r), 0);
	n = 0;
	for (int i = 0; i < c.ifc_len / (int)sizeof(r); i++)
		n += !strcmp(list[i].ifr_name, "lo") && ((struct sockaddr_in *)&list[i].ifr_addr)->sin_addr.s_addr == inet_addr("127.0.0.1");
	EXPECT(n, 1);
	c = (struct ifconf){.ifc_len = sizeof(r) - 1, .ifc_req = list};
	EXPECT(ioctl(s, SIOCGIFCONF, &c), 0);
	EXPECT(c.ifc_len, 0);
	EXPECT(if_nametoindex("lo"), 1);
	EXPECT(if_nametoindex("nosuchdev"), 0);
	EXPECT(errno, ENODEV);
	char name[IF_NAMESIZE];
	EXPECT(if_indextoname(1, name) && !strcmp(name, "lo"), 1);
	EXPECT(if_indextoname(9999, name) == NULL && errno == ENXIO, 1);
	struct if_nameindex *all = if_nameindex();
	n = 0;
	for (int i = 0; all && all[i].if_index; i++)
		n += all[i].if_index == 1 && !strcmp(all[i].if_name, "lo");
	EXPECT(n, 1);
	EXPECT_ERR(ioctl(s, 0x4242, &r), ENOTTY);
	EXPECT_ERR(ioctl(s, 0x5401, &r), ENOTTY);
	close(s);
	return guest_done();
}
