/* A tap device: the cell's frames go to the host's own network stack, segments and checksums left to whoever can do them best. */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if_tun.h>

#include "host/error.h"
#include "host/file.h"
#include "monitor/net_private.h"

#define HEADER_BYTES 12 /* struct virtio_net_hdr_v1 */
#define MTU_MAX      65521u

static int explain(const char *name, struct vb_error *err)
{
	switch (errno) {
	case EPERM:
		return vb_error_set(err, -EPERM,
			"%s is not yours and you may not make it; as root run: ip tuntap add %s mode tap user %u vnet_hdr && ip link set "
			"%s up",
			name, name, (unsigned)geteuid(), name);
	case EBUSY:
		return vb_error_set(
			err, -EBUSY, "%s is in use by another program: a tap carries one cell; several share a bridge or --net vde", name);
	case EINVAL:
		return vb_error_set(err, -EINVAL,
			"%s is there but no tap device of one queue; make one by: ip tuntap add NAME mode tap vnet_hdr", name);
	}
	return vb_error_errno(err, "%s", name);
}

/* What is up carries frames. One that we made, or may change, is put up; else its owner must. */
static int bring_up(int sock, struct ifreq *ifr, struct vb_error *err)
{
	if (ioctl(sock, SIOCGIFFLAGS, ifr) < 0)
		return vb_error_errno(err, "%s", ifr->ifr_name);
	if (ifr->ifr_flags & IFF_UP)
		return 0;
	ifr->ifr_flags |= IFF_UP;
	if (ioctl(sock, SIOCSIFFLAGS, ifr) < 0)
		return vb_error_set(err, -ENETDOWN, "%s is down; as root run: ip link set %s up", ifr->ifr_name, ifr->ifr_name);
	return 0;
}

static int configure(int fd, struct monitor_net *n, struct ifreq *ifr, struct vb_error *err)
{
	int header = HEADER_BYTES;
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sock < 0)
		return vb_error_errno(err, "%s", n->options->where);
	int r = bring_up(sock, ifr, err);
	if (r == 0 && (ioctl(fd, TUNSETVNETHDRSZ, &header) < 0 || ioctl(sock, SIOCGIFMTU, ifr) < 0))
		r = vb_error_errno(err, "%s", n->options->where);
	if (r == 0)
		n->boot.mtu = (unsigned)ifr->ifr_mtu < MTU_MAX ? (unsigned)ifr->ifr_mtu : MTU_MAX;
	if (r == 0 && ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6) == 0)
		n->boot.flags |= VB_NET_OFFLOAD;
	close(sock);
	return r;
}

int tap_open(struct monitor *m, struct monitor_net *n, struct vb_error *err)
{
	struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	strncpy(ifr.ifr_name, n->options->where, sizeof(ifr.ifr_name) - 1);
	if (strchr(ifr.ifr_name, '%'))
		return vb_error_set(err, -EINVAL, "%s is no name of an interface", ifr.ifr_name);
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return vb_error_errno(err, "can't open /dev/net/tun%s",
			errno == EACCES ? " (as root: chmod 666 /dev/net/tun; the devices stay protected by their owners)"
					: " (as root: modprobe tun)");
	int r = ioctl(fd, TUNSETIFF, &ifr) < 0 ? explain(n->options->where, err) : 0;
	n->boot.kind = VB_NET_PACKET;
	if (r == 0)
		r = configure(fd, n, &ifr, err);
	if (r < 0)
		close(fd);
	else
		n->tender_fd = fd;
	return r;
}
