/* What site.c (requests) and site_link.c (frames between cells) share. */
#ifndef MONITOR_SITE_PRIVATE_H
#define MONITOR_SITE_PRIVATE_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "monitor/site.h"

#define SITE_PENDING_MAX 64u         /* accepted, and have not said who they are */
#define SITE_LINGER_MAX  64u         /* closed by the program, with something left to send */
#define SITE_OUT_MAX     (1u << 20)  /* waits on one connection for room in the host's socket */
#define SITE_OUT_TOTAL   (32u << 20) /* on all */

/* Frames that the host's socket has no room for yet: a length before each. */
struct site_queue {
	char *bytes;
	size_t at, len, size;
};

struct site_socket {
	uint32_t id; /* 0: free */
	int fd;      /* -1: the connection has ended */
	uint32_t type;
	uint64_t file; /* bound: its file in sockets/; 0: not */
	bool listening, connected, reset, ended;
	uint32_t watched; /* events that epoll tells of it; 0: it is not in the set */
	unsigned credit;  /* datagrams that the kernel takes */
	size_t unread;    /* connections: charge of what the kernel has got and not read */
	int helper;       /* a socket that tells when there is room somewhere, -1 */
	struct site_queue out;
};

struct site_pending {
	int fd; /* -1: free */
	uint32_t listener, order;
	bool known;
	struct vb_site_frame hello;
	uint8_t name[VB_SITE_NAME_MAX];
};

struct site_linger {
	int fd; /* -1: free */
	struct site_queue out;
};

struct site {
	struct site_folder folder;
	int epoll;
	bool paused; /* the tender takes no more */
	struct site_socket sockets[VB_SITE_SOCKETS];
	struct site_pending pending[SITE_PENDING_MAX];
	struct site_linger linger[SITE_LINGER_MAX];
	uint32_t last_order;
	unsigned high;                       /* slots from here on are free */
	uint64_t bytes_sent, bytes_received; /* by programs */
	size_t queued;                       /* in all queues */
	uint32_t gathers;                    /* id of the socket whose datagram is being put together, 0: none */
	size_t gathered;
};

/* What an event is about: kind in the upper half, id or index in the lower. */
enum site_watch { SITE_WATCH_SOCKET = 0, SITE_WATCH_PENDING = 1, SITE_WATCH_LINGER = 2, SITE_WATCH_HELPER = 3 };

struct site_socket *site_socket_of(struct site *s, uint32_t id);
int site_host_socket(uint32_t type); /* of the host, for sockets of that type in cells */
socklen_t site_address(const struct site *s, uint64_t file, struct sockaddr_un *ret);

/* site_link.c */
void site_watch(struct site *s, struct site_socket *k, uint32_t events);
void site_watch_fd(struct site *s, int fd, uint32_t events, enum site_watch kind, uint32_t index);
void site_ready(struct monitor *m, int fd, short revents, void *arg);
void site_socket_free(struct monitor *m, struct site_socket *k); /* closes, forgets */
/* A datagram found no room: VB_SITE_ROOM will tell. True: its own socket has none. */
bool site_await_room(struct site *s, struct site_socket *k, const struct sockaddr_un *to, socklen_t len);
/* Puts the piece of a datagram behind those before it: false: too long, or pieces of two are mixed. */
bool site_gather(struct site *s, uint32_t id, const void *data, size_t len);
extern char site_packet[sizeof(struct vb_site_frame) + VB_SITE_NAME_MAX + VB_SITE_PACKET_MAX]; /* what is gathered: data only */
bool site_pending_check(struct site_pending *p);                                               /* false: it is gone */
void site_queues_flush(struct site *s, int timeout_ms);

#endif
