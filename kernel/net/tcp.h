/* TCP sockets over lwIP: what tcp.c (system calls), tcp_data.c (bytes), tcp_conn.c (connections and their clocks) and
 * tcp_option.c share.
 *
 * lwIP searches its lists of connections from one end to the other, for each segment and for each tick. So they are kept
 * nearly empty: all connections are in a hash table of ours, and one is put on lwIP's list only while a segment for it or its
 * timer is looked at (tcp_settle takes it off again).
 */
#ifndef KERNEL_NET_TCP_H
#define KERNEL_NET_TCP_H

#include "kernel/net/inet.h"

#include "lwip/prot/tcp.h"
#include "lwip/tcp.h"

#define TICK_NS         (TCP_TMR_INTERVAL * 1000000ull)
#define SLOW_TICK_NS    (2 * TICK_NS)
#define RTO_START_TICKS (1000 / TCP_SLOW_INTERVAL) /* before the first measurement (RFC 6298); lwIP's own is 3 s */
#define HALF_OPEN_MAX   1024u /* of one listener; beyond that the oldest gives way */
#define TIME_WAIT_MAX   4096u
#define BACKLOG_MAX     4096u /* net.core.somaxconn */
#define SEND_BUFFER     16384u  /* as a fresh socket reports them */
#define RECEIVE_BUFFER  131072u

struct tcp_chunk; /* tcp_data.c */

enum tcp_where { TCP_NOWHERE, TCP_HOT, TCP_LATER, TCP_TIME_WAIT };

struct tcp_socket {
	struct inet_socket inet;
	enum { TCP_CLOSED_, TCP_CONNECTING, TCP_CONNECTED, TCP_LISTENING } state;
	bool orphan;        /* the program has closed it: it goes when its connection does */
	bool announced;     /* connect() has told the program of the connection */
	bool was_connected; /* SOCK_DONE's opposite: reads of a closed socket that was are 0 */
	int shut;           /* SHUT_READ (also: FIN or reset came) | SHUT_WRITE */

	/* the connection */
	struct tcp_pcb *pcb; /* NULL: none, or no more */
	struct tcp_socket *hash_next, **bucket; /* bucket: where in the table; NULL: nowhere */
	struct list node;    /* in the list that `where` names */
	enum tcp_where where;
	bool listed; /* lwIP has it on its list now */
	bool fresh;          /* established and not yet set up */
	bool passt;          /* its interface is passt's */
	uint32_t asked;      /* tcp_passt.c: number of the request that followed its SYN-ACK */
	uint16_t wire_mss;   /* the largest segment on the wire, TCP options included */
	uint64_t deadline_ns; /* of TCP_LATER and TCP_TIME_WAIT */

	/* a listener, and the connections that it has not accepted yet */
	struct tcp_pcb *listen_pcb;
	struct tcp_socket *listener;         /* of such a connection */
	struct list half_open, accept;       /* by accept_node */
	struct list accept_node;
	unsigned half_open_count, accept_count, backlog;

	/* received: pbufs linked by ->next, tot_len meaningless */
	struct pbuf *received, *received_last;
	size_t received_bytes;
	unsigned last_room;      /* bytes that fit behind the last one's */
	uint32_t unreported;     /* read by the program, window not yet opened again */
	uint32_t window, window_read; /* how much may wait; read since it was last enlarged */

	/* to send: offsets in the stream of bytes */
	struct list chunks;
	struct tcp_chunk *submit_chunk; /* of the byte at `submitted` */
	uint64_t written, submitted, acked, small_end; /* small_end: behind the last segment that was not full */
	bool fin_wanted, fin_sent, more; /* more: MSG_MORE said that the end is not to be sent alone */
	bool no_room;                    /* waits for the interface */
	bool no_memory;                  /* a send found none */
	bool wants_space;                /* somebody found the buffer full: to be told when it is not */
	bool interactive;                /* it answers what it receives: acknowledgements can wait for that */
	uint64_t cork_deadline_ns;       /* when what is held back goes anyway; 0: nothing is */
	bool send_buffer_set, receive_buffer_set;

	/* options */
	bool nodelay, cork;
	uint32_t keep_idle_s, keep_interval_s, keep_count, user_timeout_ms;
	int32_t linger2_s, syn_count, defer_accept_s, max_segment, window_clamp;
	uint32_t low_at;       /* TCP_NOTSENT_LOWAT; 0: none */
	uint64_t fin_wait_ns;  /* until when a closed socket waits for its peer to close, too; 0: not yet */
	uint64_t probe_ns;  /* when to probe a closed window; 0: it is open */
	uint64_t stuck_ns;  /* since when nothing gets through; 0: something does */
	uint8_t probes;     /* sent since the window closed */
	uint8_t more_tries, more_probes; /* beyond lwIP's own counts */
	uint64_t connected_ns, last_send_ns, last_receive_ns;
};

static inline struct tcp_socket *tcp_of(struct socket *s)
{
	return vb_container_of(s, struct tcp_socket, inet.base);
}

/* --- tcp_conn.c --- */
int tcp_start(void);
/* Gives s a pcb with all callbacks set. -ENOBUFS. */
int tcp_pcb_attach(struct tcp_socket *s);
void tcp_hash_add(struct tcp_socket *s); /* addresses and ports are in pcb */
struct tcp_socket *tcp_lookup(const ip_addr_t *local, uint16_t local_port, const ip_addr_t *remote, uint16_t remote_port);
/* After anything was done with s->pcb: sends what can be sent, decides which clock it needs. */
void tcp_touch(struct tcp_socket *s);
/* Takes all connections off lwIP's lists. */
void tcp_settle(void);
void tcp_tick(uint64_t now_ns);
uint64_t tcp_tick_deadline(uint64_t now_ns);
void tcp_clock_set(uint64_t now_ns);
/* The MSS towards the peer of a segment, for the interface that cuts it: ip and tcp are its headers. */
unsigned tcp_wire_mss(const uint8_t *ip, const uint8_t *tcp, unsigned mtu);
void tcp_room(void); /* interfaces take frames again */
void tcp_answered(void); /* an interface has an answer to interface_ask() */
void tcp_memory_back(void); /* to those with no_memory */
bool tcp_all_sent(void); /* no connection of a closed socket has anything left to send */
void tcp_abort_connection(struct tcp_socket *s, bool reset); /* s->pcb is gone afterwards, no callback is called */
void tcp_free_socket(struct tcp_socket *s);
void tcp_set_error(struct tcp_socket *s, int error); /* the connection has ended with it; 0: orderly */
void tcp_wake(struct tcp_socket *s, unsigned events);
void tcp_orphan(struct tcp_socket *s); /* the program has closed it; the connection ends by itself, and s with it */
void tcp_mark_listener(struct tcp_pcb *pcb); /* before it is made one */
err_t tcp_on_connected(void *arg, struct tcp_pcb *pcb, err_t e);
err_t tcp_on_accept(void *arg, struct tcp_pcb *pcb, err_t e);

/* --- tcp.c --- */
struct tcp_socket *tcp_new_accepted(struct tcp_socket *listener); /* NULL: no memory */
void tcp_stop_listening(struct tcp_socket *s);

/* --- tcp_data.c --- */
long tcp_send(struct socket *s, struct socket_message *m);
long tcp_receive_message(struct socket *s, struct socket_message *m);
bool tcp_writable(const struct tcp_socket *s);
void tcp_space(struct tcp_socket *s); /* there may be room in the buffer: tells who wants some */
void tcp_push(struct tcp_socket *s);  /* gives lwIP what it can send now */
void tcp_acknowledged(struct tcp_socket *s);
void tcp_take(struct tcp_socket *s, struct pbuf *p); /* data came */
void tcp_drop_data(struct tcp_socket *s);
void tcp_frames_left(void); /* no frame refers to data any more: free what was acknowledged */
void tcp_set_window(struct tcp_socket *s);
uint32_t tcp_window_limit(const struct tcp_socket *s);
size_t tcp_unsent(const struct tcp_socket *s);

/* --- tcp_passt.c --- */
void tcp_complete_handshake(struct tcp_socket *s); /* of a connection that has just sent its SYN-ACK */

/* --- tcp_guard.c --- */
/* Looks at a segment before lwIP does. Not ERR_OK: it is dropped, and answered if it is to be. */
err_t tcp_guard(struct tcp_socket *s, const struct tcp_hdr *header, unsigned option_bytes, const struct pbuf *data);

/* --- tcp_timeout.c --- */
/* Sets lwIP's times to Linux's. Not 0: the error with which to give the connection up. */
int tcp_patience(struct tcp_socket *s, uint64_t now_ns);

/* --- tcp_option.c --- */
long tcp_setsockopt(struct socket *s, int level, int name, uint64_t value, unsigned len);
long tcp_getsockopt(struct socket *s, int level, int name, uint64_t value, uint64_t len_addr);
int tcp_state(const struct tcp_socket *s); /* as Linux numbers them */
void tcp_apply_options(struct tcp_socket *s); /* to s->pcb */
int tcp_state(const struct tcp_socket *s); /* Linux's number: 1 established ... 10 listening */
void tcp_inherit_options(struct tcp_socket *s, const struct tcp_socket *listener);

#endif
