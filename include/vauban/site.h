/* Unix sockets of a site: what cell kernel and monitor tell each other (VB_MSG_SITE_*), and monitor and monitor (frames on a
 * socket of the host). Fixed layouts; whoever receives one checks every length and number before use.
 *
 * A socket of the site has a slot in its cell, chosen by the kernel: id = slot | generation << 16, never 0. It opens at its
 * first use and is free again after the kernel's VB_SITE_END. Credit and data are counted as the kernel charges messages to
 * their senders, so that a sender stops where Linux stops it.
 */
#ifndef VAUBAN_SITE_H
#define VAUBAN_SITE_H

#include <stdint.h>

#define VB_SITE_SOCKETS    1024u   /* slots of a cell */
#define VB_SITE_PATH_MAX   255u    /* absolute path of a name, without NUL; encoded it must fit a file name */
#define VB_SITE_NAME_MAX   110u    /* sockaddr_un */
#define VB_SITE_PIECE_MAX  65456u  /* data of one frame */
#define VB_SITE_LAST_MAX   32768u  /* data of a request: the last piece of a datagram */
#define VB_SITE_PACKET_MAX 212960u /* a datagram or packet */
#define VB_SITE_WINDOW     262144u /* a sender has less than this under way when it sends one more */
#define VB_SITE_OVERHEAD   80u     /* charged for each message beside its bytes */
#define VB_SITE_PACKETS    8u      /* datagrams that a kernel takes before it gives credit */
#define VB_SITE_GROUPS     64u
#define VB_SITE_SLOT(id)   ((id)&0xffffu)

enum vb_site_op {
	VB_SITE_STAT = 1,    /* path -> mode, uid, gid, ino, time_ns */
	VB_SITE_BIND = 2,    /* id, type, path, name; mode, uid, gid of the socket file */
	VB_SITE_LISTEN = 3,  /* id, value: backlog */
	VB_SITE_ACCEPT = 4,  /* id, other: of the new socket -> uid, gid, name; value: more of them wait */
	VB_SITE_CONNECT = 5, /* id, type, path, name: own -> uid, gid, name of the other side */
	VB_SITE_SEND = 6,    /* a datagram: id, path ("": to its peer), name: own, data: its last piece -> value: its own buffer is full */
	VB_SITE_UNLINK = 7,  /* path */
	VB_SITE_RENAME = 8,  /* path, name: the new path; value: 1: only if there is none */
	VB_SITE_SETATTR = 9, /* path; mode, uid, gid; value: 1 mode, 2 uid, 4 gid */
	VB_SITE_LIST = 10,   /* path: of a folder, value: how many to leave out -> names: a byte of length before each */
};

/* Who asks, as far as the cell may be believed: the monitor knows as whom it started. */
struct vb_site_who {
	uint32_t uid, gid, override; /* override: CAP_DAC_OVERRIDE, CAP_FOWNER */
	uint32_t group_count, groups[VB_SITE_GROUPS];
};

/* VB_MSG_SITE_REQUEST: path, name and data follow. Its tag comes back in the VB_MSG_SITE_REPLY. */
struct vb_site_request {
	uint32_t op; /* enum vb_site_op */
	uint32_t id, other, type, value;
	uint32_t mode, uid, gid;
	uint32_t path_len, name_len;
	struct vb_site_who who;
};

#define VB_SITE_LOCAL 1 /* result: that name is of socket `id` of this cell; nothing was done */

struct vb_site_reply {  /* VB_MSG_SITE_REPLY; what was asked for follows */
	int32_t result; /* 0, VB_SITE_LOCAL or -errno */
	uint32_t id, value;
	uint32_t mode, uid, gid;
	uint64_t ino;
	int64_t time_ns;
};

enum vb_site_frame_kind {
	VB_SITE_DATA = 1,       /* value: enum vb_site_data_flags; a datagram: name_len bytes of the sender's name, then data */
	VB_SITE_CREDIT = 2,     /* credit only */
	VB_SITE_SHUT = 3,       /* value: 1 the sender reads no more, 2 writes no more, 3 both */
	VB_SITE_END = 4,        /* the sender has closed it; value: 1 with data unread: the other side is reset */
	VB_SITE_READY = 5,      /* to the kernel: connections wait for a listener */
	VB_SITE_ROOM = 6,       /* to the kernel: a datagram that found no room may find some now */
	VB_SITE_DISCONNECT = 7, /* to the monitor: a datagram socket forgets its peer */
	VB_SITE_HELLO = 8,      /* between monitors, first on a connection: uid, gid, then the name of the one that connects */
};

enum vb_site_data_flags { VB_SITE_MORE = 1 /* the next frame goes on with this packet */ };

/* VB_MSG_SITE_FRAME (tag: id) in both directions, and on the sockets between monitors. Data follows. */
struct vb_site_frame {
	uint32_t kind; /* enum vb_site_frame_kind */
	uint32_t value;
	uint32_t credit;   /* connections: so much of what came has been read; datagrams: packets */
	uint32_t buffer;   /* SO_SNDBUF of the sender: how soon it needs credit */
	uint32_t uid, gid; /* of the sending program */
	uint32_t name_len;
};

#endif
