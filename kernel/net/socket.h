/* Sockets: what the system calls (syscall/socket.c), the options (option.c), ancillary data (control.c) and the address
 * families share. A family is one row in the table of socket.c and one struct socket_ops.
 */
#ifndef KERNEL_NET_SOCKET_H
#define KERNEL_NET_SOCKET_H

#include "kernel/fs/fs.h"

#include <linux/socket.h>

/* uapi/linux/net.h, uapi/linux/socket.h and include/linux/socket.h of Linux */
enum { AF_UNSPEC = 0, AF_UNIX = 1, AF_INET = 2, AF_INET6 = 10, AF_NETLINK = 16, AF_MAX = 46 };
enum { SOCK_STREAM = 1, SOCK_DGRAM = 2, SOCK_RAW = 3, SOCK_SEQPACKET = 5, SOCK_TYPE_MASK = 0xf, SOCK_MAX = 11 };
enum {
	MSG_OOB = 1,
	MSG_PEEK = 2,
	MSG_DONTROUTE = 4,
	MSG_CTRUNC = 8,
	MSG_TRUNC = 0x20,
	MSG_DONTWAIT = 0x40,
	MSG_EOR = 0x80,
	MSG_WAITALL = 0x100,
	MSG_ERRQUEUE = 0x2000,
	MSG_CONFIRM = 0x800,
	MSG_NOSIGNAL = 0x4000,
	MSG_MORE = 0x8000,
	MSG_WAITFORONE = 0x10000,
	MSG_CMSG_CLOEXEC = 0x40000000,
};
enum { SHUT_READ = 1, SHUT_WRITE = 2 }; /* how + 1 of shutdown(2) */

#define SOCKET_NAME_BYTES 128u /* sockaddr_storage */
#define RIGHTS_MAX        253u /* SCM_MAX_FD */
#define CONTROL_OUT_BYTES 320u /* of ancillary data besides rights and credentials: what one receive can bring at most */

struct k_ucred {
	int32_t pid;
	uint32_t uid, gid;
};

/* Files on their way. Owns a reference to each. */
struct rights {
	unsigned count;
	struct file *files[];
};

/* What one send or receive carries. */
struct socket_message {
	struct uio *data;
	unsigned flags;     /* of the call; MSG_DONTWAIT also for O_NONBLOCK */
	unsigned out_flags; /* of a receive: MSG_TRUNC, MSG_EOR ... */
	uint8_t name[SOCKET_NAME_BYTES];
	unsigned name_len;     /* send: where to (0: the peer); receive: where from */
	struct rights *rights; /* send: the family takes it and sets NULL; receive: for the caller */
	struct k_ucred creds;
	bool has_creds; /* receive: to be told to the program */
	/* send: what the program gave, for the family to look through by control_next; NULL: nothing */
	const uint8_t *control;
	size_t control_len;
	uint8_t control_out[CONTROL_OUT_BYTES]; /* receive: records, by control_add */
	unsigned control_out_len;
};

struct socket;

struct socket_ops { /* any but create's result may be NULL: -EOPNOTSUPP. Sleep unless MSG_DONTWAIT or `nonblock`. */
	int (*bind)(struct socket *s, const uint8_t *name, unsigned len);
	int (*connect)(struct socket *s, const uint8_t *name, unsigned len, bool nonblock);
	int (*listen)(struct socket *s, int backlog);
	int (*accept)(struct socket *s, bool nonblock, struct socket **ret);
	int (*pair)(struct socket *a, struct socket *b);
	int (*name)(struct socket *s, bool peer, uint8_t *ret); /* length */
	int (*shutdown)(struct socket *s, int how);             /* SHUT_READ | SHUT_WRITE */
	long (*send)(struct socket *s, struct socket_message *m);
	long (*receive)(struct socket *s, struct socket_message *m);
	unsigned (*poll)(struct socket *s, struct file *f, struct poll_table *table);
	long (*ioctl)(struct socket *s, unsigned cmd, uint64_t arg);
	long (*setsockopt)(struct socket *s, int level, int name, uint64_t value, unsigned len);
	long (*getsockopt)(struct socket *s, int level, int name, uint64_t value, uint64_t len_addr);
	void (*buffers_changed)(struct socket *s); /* SO_SNDBUF, SO_RCVBUF */
	void (*release)(struct socket *s);
};

struct socket {
	const struct socket_ops *ops;
	struct file *file; /* not referenced; NULL until it has one */
	int family, type, protocol;
	bool listening;
	int error; /* pending, positive: SO_ERROR */
	struct k_ucred peer_creds;
	/* options */
	unsigned send_buffer, receive_buffer, receive_low;
	uint64_t send_timeout_ns, receive_timeout_ns; /* NO_DEADLINE: none */
	uint32_t priority, mark;
	uint32_t flags; /* the SO_* that are switches, 1 << option number */
	int linger_s;   /* SO_LINGER is a switch too */
	bool pass_creds;
	bool drop_count;         /* SO_RXQ_OVFL */
	int timestamp;           /* the SO_TIMESTAMP* that is on: its number; 0: none */
	unsigned bound_index;    /* SO_BINDTODEVICE: the interface; 0: any */
	uint64_t cookie;         /* SO_COOKIE; 0: not asked for yet */
};

void socket_init(struct socket *s, const struct socket_ops *ops, int family, int type, int protocol);
struct k_ucred socket_current_creds(void);
/* The error of a wait that ended with r: a timeout is -EAGAIN, and a call with a timeout is not restarted. */
int socket_wait_error(int r, uint64_t timeout_ns);

/* option.c: SOL_SOCKET */
long socket_set_option(struct socket *s, int name, uint64_t value, unsigned len);
long socket_get_option(struct socket *s, int name, uint64_t value, uint64_t len_addr);
long put_option(const void *data, unsigned size, uint64_t value, uint64_t len_addr); /* as getsockopt answers */

/* control.c: ancillary data */
void rights_free(struct rights *r);
struct rights *rights_copy(const struct rights *r);                        /* NULL: no memory */
int control_decode(uint64_t addr, uint64_t len, struct socket_message *m); /* of a send: fills rights, creds and control */
void control_release(struct socket_message *m);                            /* what control_decode took, and rights */
/* Goes through the records of a send: *at is 0 at first. False at the end. */
struct control_record {
	int level, type;
	const uint8_t *data;
	size_t len;
};
bool control_next(const struct socket_message *m, size_t *at, struct control_record *ret);
void control_add(struct socket_message *m, int level, int type, const void *data, size_t len); /* to what a receive brings */
void control_add_timestamp(struct socket *s, struct socket_message *m, uint64_t realtime_ns);  /* if the socket wants it */
/* Of a receive: writes what m brought, consumes m->rights. Returns the bytes used; sets MSG_CTRUNC in m->out_flags. */
uint64_t control_encode(uint64_t addr, uint64_t len, struct socket_message *m);

/* ioctl.c: requests about network interfaces. -ENOTTY: it is none. */
long socket_link_ioctl(struct socket *s, unsigned cmd, uint64_t arg);

/* The families. 0 or -errno; *ret is a new socket. */
int unix_create(int type, int protocol, struct socket **ret);
int inet4_create(int type, int protocol, struct socket **ret), inet6_create(int type, int protocol, struct socket **ret);
int netlink_create(int type, int protocol, struct socket **ret);

#endif
