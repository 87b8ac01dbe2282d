/* Messages between cell kernel and monitor: one SOCK_SEQPACKET packet each, header first.
 *
 * The monitor treats whatever arrives as hostile: it copies a packet once into a buffer of VB_MESSAGE_MAX_BYTES, checks
 * the type against its table of allowed requests and the length against that entry, and only then acts. Little endian,
 * naturally aligned. The layout is frozen with VB_BOOT_VERSION: tender, kernel and monitor are of one build.
 */
#ifndef VAUBAN_MESSAGE_H
#define VAUBAN_MESSAGE_H

#include <stdint.h>

#define VB_MESSAGE_MAX_BYTES (64u * 1024 + 256) /* header and payload: a 9P message of 64 KiB and its header */

enum vb_message_type {
	/* kernel to monitor */
	VB_MSG_LOG = 1,           /* payload: text, no NUL. tag: severity 0 error, 1 warning, 2 note */
	VB_MSG_EXIT = 2,          /* payload: struct vb_msg_exit; the last message of a cell */
	VB_MSG_9P_REQUEST = 3,    /* tag: volume index; payload: one 9P2000.L T-message. VB_9P_CORE: the core folder */
	VB_MSG_STDIO_REQUEST = 4, /* payload: struct vb_msg_stdio (+ data for write) */
	VB_MSG_TRACE = 5,         /* payload: struct vb_msg_trace + text */
	VB_MSG_DEBUG_OUT = 6,     /* payload: bytes for the debugger (gdb remote protocol) */
	VB_MSG_STOPPED = 7,       /* the program stopped (SIGTSTP and its kin); tag: signal */
	VB_MSG_NET_START = 8,     /* tag: index of the interface, VB_NET_LAZY, that is about to be used. Once each */
	VB_MSG_SITE_REQUEST = 9,  /* tag: of the reply; payload: struct vb_site_request, ... (site.h) */
	VB_MSG_SITE_FRAME = 10,   /* tag: id of a socket; payload: struct vb_site_frame + data */

	VB_MSG_NET_REPORT = 11,   /* payload: struct vb_msg_net_report, in answer to VB_MSG_NET_QUERY */

	/* monitor to kernel */
	VB_MSG_SIGNAL = 64,      /* tag: signal number for the program */
	VB_MSG_9P_REPLY = 65,    /* tag: volume index; payload: R-message */
	VB_MSG_STDIO_REPLY = 66, /* payload: struct vb_msg_stdio (+ data for read) */
	VB_MSG_TRACE_SET = 67,   /* tag: 1 on, 0 off */
	VB_MSG_DEBUG_IN = 68,    /* payload: bytes from the debugger; tag 1: debugger attached, 2: detached, 0: data */
	VB_MSG_WINSIZE = 69,     /* payload: struct vb_msg_winsize */
	VB_MSG_NET_QUERY = 72,   /* what the cell's network is doing */
	VB_MSG_SITE_REPLY = 70,  /* tag: of the request; payload: struct vb_site_reply + what was asked for */
	VB_MSG_SITE_EVENT = 71,  /* tag: id of a socket; payload: struct vb_site_frame + data */
};

#define VB_9P_CORE 255u

struct vb_message {
	uint32_t type; /* enum vb_message_type */
	uint32_t tag;
};

struct vb_msg_exit {
	int32_t status; /* exit status 0..255, or */
	int32_t signal; /* the signal that killed the program, else 0 */
	uint32_t core;  /* a core file was written */
};

struct vb_msg_winsize {
	uint16_t rows, cols, xpixel, ypixel;
};

/* Operations on a standard descriptor that go beyond read and write. One request in flight a cell. */
enum vb_stdio_op {
	VB_STDIO_SEEK = 1,     /* arg0 offset, arg1 whence -> result offset */
	VB_STDIO_STAT = 2,     /* -> data: struct vb_msg_stdio_stat */
	VB_STDIO_TRUNCATE = 3, /* arg0 length */
	VB_STDIO_PREAD = 4,    /* arg0 offset, arg1 length (<= 65536) -> data */
	VB_STDIO_PWRITE = 5,   /* arg0 offset, data */
	VB_STDIO_SYNC = 6,
	VB_STDIO_TCGETS = 7,    /* -> data: struct termios2 of the kernel ABI (44 bytes) */
	VB_STDIO_TCSETS = 8,    /* arg0: 0 now, 1 drain, 2 flush; data: struct termios2 */
	VB_STDIO_WINSIZE = 9,   /* -> data: struct vb_msg_winsize */
	VB_STDIO_FIONREAD = 10, /* -> result: bytes readable */
};

struct vb_msg_stdio {
	uint32_t fd; /* 0, 1, 2 */
	uint32_t op; /* enum vb_stdio_op */
	int64_t arg0, arg1;
	int64_t result; /* reply: >= 0, or -errno */
};

struct vb_msg_stdio_stat {
	uint32_t mode, nlink, uid, gid;
	uint64_t ino, size_bytes, blocks, blksize, rdev;
	int64_t atime_ns, mtime_ns, ctime_ns;
};

#define VB_NET_SOCKETS_MAX 256u

struct vb_net_link {
	uint64_t packets_in, bytes_in, packets_out, bytes_out;
	uint8_t ip4[4], ip6[16]; /* as it has them now; zero: none */
	uint8_t prefix4, prefix6;
	uint8_t up, unused;
};

struct vb_net_socket {
	uint8_t protocol; /* IPPROTO_TCP, IPPROTO_UDP */
	uint8_t v6;
	uint8_t state; /* of TCP: as in /proc/net/tcp */
	uint8_t unused;
	uint16_t local_port, remote_port;
	uint8_t local[16], remote[16];          /* IPv4: the first 4 bytes; zero: any */
	uint32_t send_bytes, receive_bytes; /* queued; of a listener: connections that wait */
};

struct vb_msg_net_report {
	uint32_t started;      /* 0: nothing has used the network yet */
	uint32_t socket_count; /* that follow */
	uint32_t socket_total; /* that there are */
	uint32_t unused;
	struct vb_net_link link[4]; /* eth0 ... */
	struct vb_net_socket socket[VB_NET_SOCKETS_MAX];
};

enum vb_trace_flags {
	VB_TRACE_NO_RESULT = 1, /* the call does not return (exit) */
	VB_TRACE_SIGNAL = 2,    /* no call: a signal was delivered, nr is its number */
	VB_TRACE_ENDED = 4,     /* no call: the program ended */
	VB_TRACE_ADDRESS = 8,   /* the result is an address */
};

/* One traced call; the text that follows is the name of the call, "(", and its decoded arguments. */
struct vb_msg_trace {
	uint32_t tid;
	uint32_t nr;
	int64_t result;
	uint64_t start_ns; /* CLOCK_REALTIME */
	uint64_t duration_ns;
	uint32_t flags; /* enum vb_trace_flags */
	uint32_t text_bytes;
};

#endif
