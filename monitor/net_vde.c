/* A VDE switch: cells that share one share a network. vauban-vde holds the connection, see vde/vde.c. */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "host/error.h"
#include "host/file.h"
#include "host/paths.h"
#include "monitor/net_private.h"

#define MTU          1500u
#define SOCKET_BYTES (1 << 20)
#define START_MS     10000

int vde_start(struct monitor *m, struct monitor_net *n, struct vb_error *err)
{
	char helper[PATH_MAX], *where = realpath(n->options->where, NULL);
	int pair[2], bytes = SOCKET_BYTES, r;
	if (!where)
		return vb_error_set(
			err, -ENOENT, "%s: no such switch; start one by: vde_switch -s %s -d", n->options->where, n->options->where);
	r = path_helper("vauban-vde", helper, sizeof(helper), err);
	if (r == 0 && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		r = vb_error_errno(err, "can't make a socket for vauban-vde");
	if (r == 0) {
		for (unsigned i = 0; i < 2; i++)
			setsockopt(pair[i], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
		n->tender_fd = pair[0];
		r = helper_spawn(m, n, helper, (char *[]){"vauban-vde", where, NULL}, pair[1], false, err);
		fd_close(&pair[1]);
		n->boot.kind = VB_NET_PACKET;
		n->boot.mtu = MTU;
	}
	free(where);
	return r;
}

int vde_wait(struct monitor *m, struct monitor_net *n, struct vb_error *err)
{
	struct pollfd p = {.fd = n->log_fd, .events = POLLIN};
	while (!n->ready && n->log_fd >= 0 && poll(&p, 1, START_MS) == 1)
		helper_hear(m, n);
	return n->ready ? 0 : helper_explain(m, n, err);
}
