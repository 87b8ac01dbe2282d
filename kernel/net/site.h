/* Unix sockets of a site: names below some folders that the cell shares with other cells. The monitor keeps the names and
 * carries the connections (include/vauban/site.h); here is the cell's side. site.c: sockets; site_names.c: names as files.
 */
#ifndef KERNEL_NET_SITE_H
#define KERNEL_NET_SITE_H

#include "kernel/net/unix.h"

#include <vauban/site.h>

/* A socket of this cell that the monitor knows. Owned by its unix socket, freed with it. */
struct site_end {
	uint32_t id;
	struct unix_socket *owner;  /* not referenced */
	struct unix_socket *remote; /* referenced: stands for the other side, or for all senders of datagrams */
	bool ready;                 /* a listener: connections wait at the monitor */
	bool blocked;               /* connected datagrams: no room where they go */
	uint32_t peer_buffer;       /* SO_SNDBUF of the other side */
	size_t unacked;             /* of owner->charged: sent, no credit for it yet */
	size_t owed;                /* credit for what was read that has not been given back yet */
	struct unix_message *partial;
};

/* One request under way. */
struct site_call {
	struct list node;
	struct vb_site_request q;
	const char *path;
	const uint8_t *name;
	const void *data; /* last piece of a datagram */
	size_t data_len;
	struct site_end *joins; /* accept, connect of a stream: this end is connected if it succeeds */
	uint8_t *out;           /* for what comes with the reply, cut off at out_size */
	size_t out_size, out_len;

	uint32_t tag;
	struct task *task;
	bool done;
	struct vb_site_reply reply;
};
int site_run(struct site_call *call); /* sleeps. The reply's result, 0 or VB_SITE_LOCAL or -errno */
void site_who(struct vb_site_who *who);

/* site.c: for unix*.c. All may sleep. */
struct unix_socket *site_remote_new(int type, char *path); /* takes path; referenced. NULL: no memory */
int site_bind(struct unix_socket *u, const struct unix_name *name, struct dentry *dir, const char *path, uint32_t mode);
int site_listen(struct unix_socket *u);
int site_accept(struct unix_socket *u, struct socket **ret);
/* VB_SITE_LOCAL: *ret_local is the socket of this cell that has the name, referenced. */
int site_connect(struct unix_socket *u, struct unix_socket *remote, bool nonblock, struct unix_socket **ret_local);
long site_send_packet(struct unix_socket *u, struct unix_socket *to, struct socket_message *m);
/* These don't sleep. */
void site_shutdown(struct unix_socket *u, int how);
void site_disconnect(struct unix_socket *u);
void site_release(struct unix_socket *u, bool unread);
void site_forward(struct unix_socket *remote, struct unix_message *m); /* takes m: its data is on the way */
void site_consumed(struct unix_socket *remote, size_t charge);
int site_refuse_rights(void);

#endif
