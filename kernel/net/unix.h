/* Unix sockets: what unix.c (names, connections), unix_data.c (messages) and unix_gc.c (cycles) share. */
#ifndef KERNEL_NET_UNIX_H
#define KERNEL_NET_UNIX_H

#include "kernel/net/socket.h"

#define UNIX_PATH_BYTES 108u
#define UNIX_NAME_BYTES (2u + UNIX_PATH_BYTES) /* sockaddr_un */

struct unix_name {
	unsigned refs, len;
	uint8_t bytes[UNIX_NAME_BYTES + 1];
}; /* a sockaddr_un; path terminated */

struct unix_socket {
	struct socket base;
	unsigned refs; /* its owner, sockets whose peer it is, messages that it sent and that wait */
	enum { UNIX_UNCONNECTED, UNIX_LISTENING, UNIX_CONNECTED } state;
	bool dead; /* released by its owner */
	int shut;  /* SHUT_READ | SHUT_WRITE */
	struct list all_node;

	struct unix_name *name; /* NULL: not bound */
	struct inode *inode;    /* bound in the file system: referenced, inode->socket is this */
	struct list bound_node; /* bound to an abstract name */

	struct unix_socket *peer;        /* referenced; stays after the peer has died */
	struct list peers, peers_node;   /* datagram sockets connected to this one */
	struct list accept, accept_node; /* connections that wait to be accepted */
	unsigned accept_count, backlog;

	struct list messages; /* received */
	unsigned message_count;
	size_t message_bytes;
	size_t charged;                                      /* sent and not yet received, against send_buffer */
	struct wait_queue read_wait, write_wait, space_wait; /* space_wait: senders to this datagram socket's full queue */

	/* sockets between cells (site.h) */
	struct site_end *site; /* what the monitor knows of it; of a remote: where it leads. NULL: nothing */
	bool remote;           /* stands for a socket of another cell */
	char *site_path;       /* a remote to be found: its name */

	/* garbage: descriptors of this socket that wait in messages */
	unsigned in_flight, inside;
	bool candidate;
	struct list work_node;
};

struct unix_message {
	struct list node;
	struct unix_socket *sender; /* referenced, charged */
	struct unix_name *name;     /* referenced, of the sender when it sent; NULL: none */
	struct rights *rights;
	struct k_ucred creds;
	size_t charge, len;
	union {
		size_t offset;    /* of a stream: bytes already read */
		uint64_t time_ns; /* of a packet: when it came, if the receiver wants to know (SO_TIMESTAMP); else 0 */
	};
	uint8_t data[];
};

static inline struct unix_socket *unix_of(struct socket *s)
{
	return vb_container_of(s, struct unix_socket, base);
}

extern struct list unix_all;
struct unix_socket *unix_new(int type);                       /* NULL: no memory */
void unix_join(struct unix_socket *a, struct unix_socket *b); /* connects them */
void unix_wake_all(struct unix_socket *u);
struct unix_name *unix_name_new(const uint8_t *bytes, unsigned len); /* of a checked name. NULL: no memory */
void unix_unref(struct unix_socket *u);
void unix_name_unref(struct unix_name *name);
int unix_check_name(const uint8_t *name, unsigned len); /* 0: a well-formed sockaddr_un, or -EINVAL */
int unix_autobind(struct unix_socket *u);               /* names it if it has no name */
void unix_disconnect(struct unix_socket *u);            /* forgets its peer */
/* The socket bound to this name, referenced; or a remote that stands for the one that the site may have there. -ENOENT,
 * -ECONNREFUSED, -EPROTOTYPE, -EACCES ... */
int unix_find(const uint8_t *name, unsigned len, int type, struct unix_socket **ret);

/* unix_data.c */
long unix_send(struct socket *s, struct socket_message *m);
long unix_receive(struct socket *s, struct socket_message *m);
long unix_send_to(struct unix_socket *u, struct unix_socket *to, struct socket_message *m); /* a packet */
void unix_deliver(struct unix_socket *to, struct unix_message *m);                          /* takes m */
bool unix_writable(const struct unix_socket *u);
bool unix_queue_full(const struct unix_socket *receiver, const struct unix_socket *sender);
void unix_messages_drop(struct list *messages); /* frees them all; descriptors in them may close sockets with more */

/* unix_gc.c */
void unix_flight_add(const struct rights *r);
void unix_flight_remove(const struct rights *r);
bool unix_flight_allowed(const struct rights *r);
void unix_collect(void); /* drops messages that only sockets inside such messages could still receive */

/* socket.c (system calls): the socket behind a file, NULL if it is none */
struct socket *socket_of(struct file *f);

#endif
