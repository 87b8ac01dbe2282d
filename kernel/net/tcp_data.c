/* TCP: the bytes. Owns what waits to be sent and what was received, and decides when lwIP gets how much.
 *
 * To send: the program's bytes are copied once, into chunks, which lwIP only refers to. It gets them when they can leave, cut
 * for the window as it is then, in segments as large as the interface takes; a chunk is freed when no segment that refers to it
 * is left, neither with lwIP nor in a batch of frames.
 */
#include "kernel/net/lwip/glue.h"
#include "kernel/net/net.h"
#include "kernel/net/tcp.h"

#include "lwip/priv/tcp_priv.h"

#include <asm/signal.h>
#include <asm/socket.h>

#define CHUNK_BYTES     69632u /* 17 pages, of which glue.c keeps some */
#define CHUNK_SMALL     1984u  /* for writes that others may follow */
#define SEGMENT_MAX     64000u /* data in one segment for an interface that cuts */
#define SUBMIT_MAX      65536u /* between two calls of tcp_output, which searches for the end of the queue each time */
#define SEND_MIN        65536u /* a send buffer of automatic size is at least that ... */
#define SEND_FAIR       4096u  /* what each may hold when memory is short */
#define SEND_MAX        (4u << 20)
#define WINDOW_MAX      (2u << 20)
#define WINDOW_MIN      4096u
#define WINDOW_START    65535u
#define CORK_NS         200000000ull
#define ANSWER_NS       40000000ull /* what is sent so soon after something came is an answer to it */
#define MEMORY_WAIT_NS  10000000ull
#define COALESCE_BYTES  1024u /* received segments smaller than that are copied together while they wait */
#define COALESCE_BUFFER 3800u

struct tcp_chunk {
	struct list node;
	uint64_t start;      /* offset of the first byte in the stream */
	unsigned used, size;
	uint8_t data[];
};

static bool memory_wanted; /* some connection has no_memory */
static struct list dead_chunks = LIST_INIT(dead_chunks); /* frames may still refer to them */

/* --- the buffer --- */

/* What one connection may hold so that clients that don't read leave room for others. */
static size_t fair_share(void)
{
	size_t limit = lwip_memory_limit(), spare = limit - vb_min(lwip_memory_used(), limit);

	if (spare > limit / 2)
		return vb_max((spare - limit / 2) / 2, (size_t)SEND_FAIR);
	return spare > limit / 4 ? SEND_FAIR : SEND_FAIR / 4;
}

static size_t send_limit(const struct tcp_socket *s)
{
	size_t cwnd = s->pcb ? s->pcb->cwnd : 0;
	size_t limit = s->send_buffer_set ? s->inet.base.send_buffer : vb_max((size_t)SEND_MIN, vb_min(2 * cwnd, (size_t)SEND_MAX));

	return vb_min(limit, fair_share());
}

static size_t waiting_bytes(const struct tcp_socket *s)
{
	return (size_t)(s->written - s->acked);
}

size_t tcp_unsent(const struct tcp_socket *s)
{
	return (size_t)(s->written - s->submitted);
}

/* No memory for `size` bytes more. Some is kept for acknowledgements to come in, without which nothing would ever be freed, and
 * for who has nothing waiting yet. */
static bool memory_full(const struct tcp_socket *s, size_t size)
{
	size_t limit = lwip_memory_limit();

	return lwip_memory_used() + size > limit - limit / (waiting_bytes(s) ? 16 : 64);
}

bool tcp_writable(const struct tcp_socket *s)
{
	size_t limit = send_limit(s), used = waiting_bytes(s);

	if (s->low_at && tcp_unsent(s) >= s->low_at)
		return false;
	return !(s->no_memory && memory_full(s, CHUNK_SMALL)) && used < limit && limit - used >= used / 2;
}

static void chunk_free(struct tcp_chunk *c)
{
	list_remove(&c->node);
	list_push_back(&dead_chunks, &c->node);
}

void tcp_frames_left(void)
{
	list_for_each_safe(c, next, &dead_chunks, struct tcp_chunk, node) {
		list_remove(&c->node);
		lwip_free(c);
	}
	if (memory_wanted && lwip_memory_used() < lwip_memory_limit() / 4 * 3) {
		memory_wanted = false;
		tcp_memory_back();
	}
}

void tcp_drop_data(struct tcp_socket *s)
{
	if (s->chunks.next)
		list_for_each_safe(c, next, &s->chunks, struct tcp_chunk, node)
			chunk_free(c);
	s->submit_chunk = NULL;
	s->written = s->submitted = s->acked;
	while (s->received) {
		struct pbuf *p = s->received;
		s->received = p->next;
		p->next = NULL;
		p->tot_len = p->len;
		pbuf_free(p);
	}
	s->received_last = NULL;
	s->received_bytes = s->last_room = 0;
}

static struct tcp_chunk *last_chunk(struct tcp_socket *s)
{
	return list_empty(&s->chunks) ? NULL : list_entry(s->chunks.prev, struct tcp_chunk, node);
}

/* Room for some of `want` bytes more: the last chunk's, or a new chunk. NULL: no memory. */
static struct tcp_chunk *chunk_with_room(struct tcp_socket *s, size_t want)
{
	struct tcp_chunk *c = last_chunk(s);

	if (c && c->used < c->size)
		return c;
	size_t size = vb_min(vb_max(want, (size_t)CHUNK_SMALL - sizeof(*c)), CHUNK_BYTES - sizeof(*c));
	c = memory_full(s, size) ? NULL : lwip_malloc(sizeof(*c) + size);
	if (!c && size > CHUNK_SMALL && !memory_full(s, CHUNK_SMALL)) /* memory may be there, in small pieces */
		c = lwip_malloc(CHUNK_SMALL);
	if (!c) {
		s->no_memory = memory_wanted = true;
		return NULL;
	}
	*c = (struct tcp_chunk){.start = s->written, .size = (unsigned)(kmalloc_size(c) - sizeof(*c))};
	list_push_back(&s->chunks, &c->node);
	return c;
}

/* --- giving it to lwIP --- */

/* Offset in the stream of the first byte that a segment of lwIP still refers to. */
static uint64_t first_referred(const struct tcp_socket *s)
{
	const struct tcp_pcb *p = s->pcb;
	uint32_t end = p->snd_lbb - (s->fin_sent ? 1 : 0), first = end;

	if (p->unacked)
		first = lwip_ntohl(p->unacked->tcphdr->seqno);
	if (p->unsent && TCP_SEQ_LT(lwip_ntohl(p->unsent->tcphdr->seqno), first))
		first = lwip_ntohl(p->unsent->tcphdr->seqno);
	if (TCP_SEQ_GT(first, end))
		first = end;
	return s->submitted - (end - first);
}

void tcp_acknowledged(struct tcp_socket *s)
{
	const struct tcp_pcb *p = s->pcb;
	uint32_t end = p->snd_lbb - (s->fin_sent ? 1 : 0);

	s->acked = TCP_SEQ_GT(p->lastack, end) ? s->submitted : s->submitted - (end - p->lastack);
	uint64_t free_to = first_referred(s);
	while (!list_empty(&s->chunks)) {
		struct tcp_chunk *c = list_first(&s->chunks, struct tcp_chunk, node);
		if (c->start + c->used > free_to || (c == last_chunk(s) && c->used < c->size && s->written > free_to))
			break;
		if (s->submit_chunk == c)
			s->submit_chunk = NULL;
		chunk_free(c);
	}
	tcp_space(s);
}

void tcp_space(struct tcp_socket *s)
{
	if (!s->wants_space || !tcp_writable(s))
		return;
	s->wants_space = false;
	tcp_wake(s, POLL_OUT | POLL_WRNORM);
}

/* The chunk with the byte at `submitted`. */
static struct tcp_chunk *submit_chunk(struct tcp_socket *s)
{
	struct tcp_chunk *c = s->submit_chunk;

	if (!c)
		c = list_first(&s->chunks, struct tcp_chunk, node);
	while (c->start + c->used <= s->submitted)
		c = list_entry(c->node.next, struct tcp_chunk, node);
	return s->submit_chunk = c;
}

/* Gives lwIP n bytes, in segments of at most `segment`. */
static err_t submit(struct tcp_socket *s, size_t n, unsigned segment, unsigned option_len)
{
	struct tcp_pcb *pcb = s->pcb;
	err_t e = ERR_OK;

	pcb->mss = (u16_t)(segment + option_len);
	while (n && e == ERR_OK) {
		struct tcp_chunk *c = submit_chunk(s);
		unsigned at = (unsigned)(s->submitted - c->start);
		size_t part = vb_min(vb_min(n, (size_t)(c->used - at)), (size_t)65535);
		bool last = s->submitted + part == s->written;
		e = tcp_write(pcb, c->data + at, (u16_t)part, last ? 0 : TCP_WRITE_FLAG_MORE);
		if (e != ERR_OK)
			break;
		s->submitted += part;
		n -= part;
	}
	pcb->mss = s->wire_mss;
	return e;
}

/* Whether a segment that is not full may go: Nagle's rule as Minshall mended it (only one such unacknowledged), and corks. */
static bool small_may_go(struct tcp_socket *s)
{
	if (s->fin_wanted)
		return true;
	if (s->cork || s->more) {
		uint64_t now = now_monotonic_ns();
		if (!s->cork_deadline_ns)
			s->cork_deadline_ns = now + CORK_NS;
		return now >= s->cork_deadline_ns;
	}
	return s->nodelay || s->small_end <= s->acked;
}

/* How many bytes to give lwIP now. */
static size_t sendable(struct tcp_socket *s, unsigned segment)
{
	const struct tcp_pcb *p = s->pcb;
	size_t pending = tcp_unsent(s), window = vb_min(p->snd_wnd, p->cwnd), flight = p->snd_lbb - p->lastack;
	size_t room = window > flight ? window - flight : 0, n = vb_min(pending, room);

	if (!pending)
		return 0;
	if (room < vb_min(pending, (size_t)segment)) /* a window too small: if nothing is under way, lwIP is to probe it */
		return flight ? 0 : vb_min(pending, (size_t)segment);
	n = vb_min(n, (size_t)SUBMIT_MAX);
	size_t tail = n % segment;
	if (tail && (n < pending || !small_may_go(s)))
		n -= tail;
	return n;
}

static void send_fin(struct tcp_socket *s)
{
	if (s->fin_sent || tcp_unsent(s))
		return;
	struct tcp_pcb *pcb = s->pcb;
	if (s->orphan) { /* lwIP takes a window that is not fully open for unread data, and resets */
		pcb->rcv_wnd = TCP_WND_MAX(pcb);
		s->fin_sent = true;
		tcp_close(pcb);
	} else if (tcp_shutdown(pcb, 0, 1) == ERR_OK) {
		s->fin_sent = true;
	}
}

void tcp_push(struct tcp_socket *s)
{
	struct tcp_pcb *pcb = s->pcb;

	s->no_room = false;
	if (s->fin_sent || (pcb->state != ESTABLISHED && pcb->state != CLOSE_WAIT))
		return;
	/* After a loss the window may be smaller than a segment that was cut for a larger one. */
	if (pcb->unsent && !pcb->unacked && pcb->unsent->len > pcb->cwnd && pcb->unsent->len <= pcb->snd_wnd)
		tcp_split_unsent_seg(pcb, (u16_t)vb_min((unsigned)pcb->cwnd, (unsigned)s->wire_mss)), tcp_output(pcb);
	if (s->written == s->submitted && !s->fin_wanted)
		return;
	struct netif *n = ip_route(&pcb->local_ip, &pcb->remote_ip);
	unsigned option_len = pcb->flags & TF_TIMESTAMP ? LWIP_TCP_OPT_LEN_TS_OUT : 0;
	unsigned segment = s->wire_mss - option_len, large = segment;
	if (n && interface_offload(n))
		large = SEGMENT_MAX / segment * segment;
	s->no_room = n && interface_congested(n);
	while (!s->no_room && !pcb->unsent) {
		size_t bytes = sendable(s, segment);
		if (!bytes)
			break;
		if (bytes % segment && s->submitted + bytes == s->written)
			s->small_end = s->written;
		err_t e = submit(s, bytes, large, option_len);
		if (s->submitted == s->written)
			s->cork_deadline_ns = 0;
		s->last_send_ns = now_monotonic_ns();
		net_answering();
		s->interactive |= s->last_send_ns - s->last_receive_ns < ANSWER_NS;
		tcp_output(pcb);
		if (e != ERR_OK)
			break;
	}
	if (s->low_at)
		tcp_space(s);
	if (s->fin_wanted)
		send_fin(s);
}

/* --- send(2) --- */

static bool send_may_go_on(const struct tcp_socket *s)
{
	return s->inet.base.error || s->shut & SHUT_WRITE || s->state == TCP_CLOSED_ ||
	       (s->state == TCP_CONNECTED && waiting_bytes(s) < send_limit(s));
}

static int send_error(struct tcp_socket *s, unsigned flags)
{
	int error = s->inet.base.error;

	s->inet.base.error = 0;
	if (error && error != EPIPE)
		return -error;
	if (!(flags & MSG_NOSIGNAL))
		signal_task(current, &SIGINFO_USER(SIGPIPE));
	return -EPIPE;
}

static int await_room(struct tcp_socket *s, unsigned flags)
{
	uint64_t timeout = s->inet.base.send_timeout_ns;

	if (send_may_go_on(s))
		return 0;
	s->wants_space = true;
	if (flags & MSG_DONTWAIT)
		return -EAGAIN;
	return socket_wait_error(wait_until(&s->inet.wait, send_may_go_on(s), deadline_after(timeout)), timeout);
}

/* Copies what fits into chunks. Returns the bytes, -EFAULT, -ENOBUFS. */
static long fill(struct tcp_socket *s, struct uio *data)
{
	size_t room = send_limit(s) - waiting_bytes(s);
	long done = 0;

	while (data->left && (size_t)done < room) {
		struct tcp_chunk *c = chunk_with_room(s, vb_min(data->left, room - (size_t)done));
		if (!c)
			return done ? done : -ENOBUFS;
		size_t want = vb_min(vb_min(data->left, room - (size_t)done), (size_t)(c->size - c->used));
		long n = uio_get(data, c->data + c->used, want);
		if (n > 0) {
			c->used += (unsigned)n;
			s->written += (uint64_t)n;
			done += n;
		}
		if (n < (long)want) {
			if (!c->used)
				lwip_free((list_remove(&c->node), c));
			return done ? done : -EFAULT;
		}
	}
	return done;
}

long tcp_send(struct socket *base, struct socket_message *m)
{
	struct tcp_socket *s = tcp_of(base);
	long done = 0;

	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (s->state == TCP_CLOSED_ || s->state == TCP_LISTENING)
		return send_error(s, m->flags);
	bool more = m->flags & MSG_MORE;
	int r;
	do {
		r = await_room(s, m->flags);
		if (!r && (base->error || s->state != TCP_CONNECTED || s->shut & SHUT_WRITE)) {
			r = done ? -EPIPE : send_error(s, m->flags);
			break;
		}
		long n = r ? r : fill(s, m->data);
		if (n == -ENOBUFS && !(m->flags & MSG_DONTWAIT)) { /* the network's memory is used up: others will free some */
			r = wait_until(&s->inet.wait, false, deadline_after(MEMORY_WAIT_NS));
			n = r == -ETIMEDOUT ? 0 : r;
		}
		r = n == -ENOBUFS ? -EAGAIN : n < 0 ? (int)n : 0;
		done += vb_max(n, 0l);
		s->more = more || (!r && m->data->left); /* the rest comes at once: no small segment in between */
		tcp_touch(s);
		inet_run();
	} while (!r && m->data->left);
	return done ? done : r;
}

/* --- receiving --- */

/* How much may wait for the program: little at first, and for all if there are many connections. */
uint32_t tcp_window_limit(const struct tcp_socket *s)
{
	uint32_t limit = s->receive_buffer_set ? vb_min(WINDOW_MAX, s->inet.base.receive_buffer) : WINDOW_MAX;

	return s->window_clamp ? vb_min(limit, (uint32_t)s->window_clamp) : limit;
}

void tcp_set_window(struct tcp_socket *s)
{
	struct tcp_pcb *pcb = s->pcb;
	size_t spare = lwip_memory_limit() - vb_min(lwip_memory_used(), lwip_memory_limit());
	uint32_t window = (uint32_t)vb_min(spare / 64, (size_t)(s->passt ? WINDOW_MAX : WINDOW_START)), limit = tcp_window_limit(s);

	s->window = vb_max(vb_min(WINDOW_MIN, limit), vb_min(window, limit));
	/* What was announced stays (to passt only by our SYN-ACK); what is more than the window is not opened again. */
	uint32_t announced = pcb->rcv_ann_right_edge - pcb->rcv_nxt;
	pcb->rcv_wnd = vb_max(s->window, vb_min(announced, s->passt ? WINDOW_START : (uint32_t)TCP_WND_MAX(pcb)));
	pcb->rcv_ann_wnd = s->passt ? s->window : vb_min(pcb->rcv_wnd, pcb->rcv_ann_wnd);
}

/* How far the window may be open beside what waits. Over passt, while there is memory, as far as ever until a whole window waits:
 * passt limits its client's connection to the window that it sees here, and each time that this filled or shrank, Linux left the
 * client with less than a segment of window, waiting for its 200 ms timer. */
static uint32_t window_room(const struct tcp_socket *s)
{
	size_t most = s->passt && lwip_memory_used() < lwip_memory_limit() / 2 ? 2ul * s->window : s->window;

	return (uint32_t)vb_min(most - vb_min(most, s->received_bytes), (size_t)s->window);
}

/* The program has read n bytes: opens the window again, further if it keeps up. */
static void report_read(struct tcp_socket *s, size_t n)
{
	struct tcp_pcb *pcb = s->pcb;
	uint32_t limit = tcp_window_limit(s);

	s->unreported += (uint32_t)n;
	s->window_read += (uint32_t)n;
	if (!pcb || pcb->state == TIME_WAIT)
		return;
	uint32_t grow = 0;
	if (s->window_read >= s->window && s->received_bytes * 2 < s->window) {
		s->window_read = 0;
		size_t spare = lwip_memory_limit() - vb_min(lwip_memory_used(), lwip_memory_limit());
		if (s->window < limit && spare / 8 > s->window)
			grow = vb_min(s->window, limit - s->window);
		s->window += grow;
	}
	uint32_t threshold = vb_min(vb_max(s->window / 4, 2u * s->wire_mss), s->window / 2);
	if (s->unreported + grow < threshold && s->received_bytes)
		return;
	uint32_t open = s->unreported + grow;
	if (open < threshold && pcb->rcv_ann_wnd > s->window / 2)
		return;
	s->unreported = 0;
	/* Never more than what is not yet taken by what waits. */
	uint32_t most = window_room(s);
	if (pcb->rcv_wnd + open > most)
		open = most > pcb->rcv_wnd ? most - pcb->rcv_wnd : 0;
	if (!open)
		return;
	/* At once, though lwIP's function takes 16 bits: it acknowledges each time. */
	pcb->rcv_wnd += open - vb_min(open, 0xffffu);
	tcp_recved(pcb, (u16_t)vb_min(open, 0xffffu));
}

static void append(struct tcp_socket *s, struct pbuf *p, unsigned room)
{
	if (s->received_last)
		s->received_last->next = p;
	else
		s->received = p;
	while (p->next)
		p = p->next;
	s->received_last = p;
	s->last_room = room;
}

void tcp_take(struct tcp_socket *s, struct pbuf *p)
{
	unsigned len = p->tot_len;

	s->received_bytes += len;
	if (s->passt && s->pcb && s->pcb->rcv_wnd < window_room(s))
		s->pcb->rcv_wnd = s->pcb->rcv_ann_wnd = window_room(s); /* lwIP would announce less than a segment more later */
	if (s->received && len < COALESCE_BYTES) { /* a small segment takes many times its size */
		if (s->last_room < len) {
			struct pbuf *b = pbuf_alloc(PBUF_RAW, COALESCE_BUFFER, PBUF_RAM);
			if (b) {
				b->len = b->tot_len = 0;
				append(s, b, COALESCE_BUFFER);
			}
		}
		if (s->last_room >= len) {
			struct pbuf *b = s->received_last;
			pbuf_copy_partial(p, (uint8_t *)b->payload + b->len, (u16_t)len, 0);
			b->len = (u16_t)(b->len + len);
			s->last_room -= len;
			pbuf_free(p);
			p = NULL;
		}
	}
	if (p)
		append(s, p, 0);
	s->last_receive_ns = now_monotonic_ns();
	if (s->received_bytes >= (size_t)s->inet.base.receive_low || s->received_bytes >= s->window / 2)
		tcp_wake(s, POLL_IN | POLL_RDNORM);
}

/* Takes len bytes off the front. */
static void consume(struct tcp_socket *s, size_t len)
{
	s->received_bytes -= len;
	while (len) {
		struct pbuf *p = s->received;
		size_t part = vb_min(len, (size_t)p->len);
		len -= part;
		if (part < p->len) {
			p->payload = (uint8_t *)p->payload + part;
			p->len = (u16_t)(p->len - part);
			break;
		}
		if (p == s->received_last && s->last_room) { /* stays to be filled up, unless nothing waits */
			s->last_room = 0;
		}
		s->received = p->next;
		if (!s->received) {
			s->received_last = NULL;
			s->last_room = 0;
		}
		p->next = NULL;
		p->tot_len = p->len;
		pbuf_free(p);
	}
}

/* Copies up to all that is there, from `skip` on. Returns the bytes or -EFAULT. */
static long copy_out(struct tcp_socket *s, struct socket_message *m, size_t skip)
{
	long done = 0;

	for (struct pbuf *p = s->received; p && m->data->left; p = p->next) {
		if (skip >= p->len) {
			skip -= p->len;
			continue;
		}
		size_t want = vb_min((size_t)p->len - skip, m->data->left);
		long n = uio_put(m->data, (uint8_t *)p->payload + skip, want);
		skip = 0;
		if (n < 0)
			return done ? done : n;
		done += n;
		if (n < (long)want)
			break;
	}
	return done;
}

static bool receive_may_go_on(const struct tcp_socket *s, size_t target)
{
	return s->received_bytes >= target || s->shut & SHUT_READ || s->inet.base.error || s->state == TCP_CLOSED_;
}

/* 0: look again; 1: the end; or -errno. have: the call has got something. */
static int await_data(struct tcp_socket *s, unsigned flags, size_t target, bool have)
{
	struct socket *base = &s->inet.base;
	uint64_t timeout = base->receive_timeout_ns;

	if (base->error) {
		int error = base->error;
		if (have)
			return 1;
		base->error = 0;
		return -error;
	}
	if (s->shut & SHUT_READ)
		return 1;
	if (s->state == TCP_CLOSED_)
		return s->was_connected ? 1 : -ENOTCONN;
	if (flags & MSG_DONTWAIT)
		return -EAGAIN;
	return socket_wait_error(wait_until(&s->inet.wait, receive_may_go_on(s, target), deadline_after(timeout)), timeout);
}

long tcp_receive_message(struct socket *base, struct socket_message *m)
{
	struct tcp_socket *s = tcp_of(base);
	bool peek = m->flags & MSG_PEEK;
	size_t total = m->data->left, target = m->flags & MSG_WAITALL ? total : vb_max(vb_min(total, (size_t)base->receive_low), (size_t)1);
	long done = 0, n = 0;

	if (m->flags & MSG_ERRQUEUE)
		return -EAGAIN;
	if (s->state == TCP_LISTENING)
		return -ENOTCONN;
	if (m->flags & MSG_OOB)
		return -EINVAL;
	for (;;) {
		size_t have = s->received_bytes - (peek ? (size_t)done : 0);
		if (have && m->flags & MSG_TRUNC) { /* thrown away */
			n = (long)vb_min(have, m->data->left);
			m->data->left -= (size_t)n;
		} else {
			n = have ? copy_out(s, m, peek ? (size_t)done : 0) : 0;
		}
		if (n < 0)
			break;
		done += n;
		if (!peek && n) {
			consume(s, (size_t)n);
			report_read(s, (size_t)n);
		}
		if ((total ? !m->data->left : have > 0) || (size_t)done >= target || (have && !n))
			break;
		n = await_data(s, m->flags, peek ? vb_min((size_t)done + 1, target) : vb_min(target - (size_t)done, (size_t)s->window / 2 + 1), done);
		if (n)
			break;
	}
	if (done && s->pcb && !peek) {
		/* One that answers sends its acknowledgement with the answer; where the window is open, more than that ends here. */
		bool now = done < 2l * s->wire_mss ? !s->interactive : s->passt;
		if (!s->received && now && s->pcb->flags & TF_ACK_DELAY) {
			tcp_ack_now(s->pcb);
			tcp_output(s->pcb);
		}
		tcp_touch(s);
		inet_run();
	}
	return done ? done : n > 0 ? 0 : n;
}
