/* What flows between a cell and the others of its site: frames from the kernel to sockets of the host, and from there to the
 * kernel. A sender stops for want of credit, which comes from the program that reads; so all that can pile up here is bounded,
 * and a bound that is passed ends the connection, never the monitor's attention to the rest.
 *
 * Hostile: the kernel, which is killed for what none of this build would send, and what arrives from other cells, whose
 * connection is reset.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "host/file.h"
#include "monitor/cell.h"
#include "monitor/site_private.h"

#define EVENTS_MAX 16
#define BURST      16 /* frames of one socket before the next gets its turn */
/* A sender has less than the window under way, and then one more packet. */
#define UNREAD_MAX (VB_SITE_WINDOW + VB_SITE_PACKET_MAX + VB_SITE_OVERHEAD)

char site_packet[sizeof(struct vb_site_frame) + VB_SITE_NAME_MAX + VB_SITE_PACKET_MAX];

/* --- watching --- */

void site_watch_fd(struct site *s, int fd, uint32_t events, enum site_watch kind, uint32_t index)
{
	struct epoll_event e = {.events = events, .data.u64 = (uint64_t)kind << 32 | index};
	if (!events)
		epoll_ctl(s->epoll, EPOLL_CTL_DEL, fd, NULL);
	else if (epoll_ctl(s->epoll, EPOLL_CTL_MOD, fd, &e) < 0)
		epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &e);
}

void site_watch(struct site *s, struct site_socket *k, uint32_t events)
{
	if (k->watched == events || k->fd < 0)
		return;
	k->watched = events;
	site_watch_fd(s, k->fd, events, SITE_WATCH_SOCKET, k->id);
}

/* A frame and what follows it. */
static void event_send(struct monitor *m, uint32_t id, const void *frame, size_t len)
{
	if (message_send(m, VB_MSG_SITE_EVENT, id, frame, len) < 0)
		tender_condemn(m, "does not read what it is sent");
}

static void tell(struct monitor *m, uint32_t id, uint32_t kind, uint32_t value)
{
	struct vb_site_frame f = {.kind = kind, .value = value};
	event_send(m, id, &f, sizeof(f));
}

/* --- queues to the host --- */

static void queue_free(struct site *s, struct site_queue *q)
{
	s->queued -= q->len - q->at;
	free(q->bytes);
	*q = (struct site_queue){0};
}

static bool queue_add(struct site *s, struct site_queue *q, const struct vb_site_frame *f, const void *data, uint32_t len)
{
	uint32_t frame = (uint32_t)sizeof(*f) + len;
	size_t need = sizeof(frame) + frame;
	if (q->len - q->at + need > SITE_OUT_MAX || s->queued + need > SITE_OUT_TOTAL)
		return false;
	if (q->at && q->len + need > q->size) {
		memmove(q->bytes, q->bytes + q->at, q->len - q->at);
		q->len -= q->at;
		q->at = 0;
	}
	if (q->len + need > q->size) {
		size_t size = q->size ? q->size : 4096;
		while (size < q->len + need)
			size *= 2;
		char *bytes = realloc(q->bytes, size);
		if (!bytes)
			return false;
		q->bytes = bytes;
		q->size = size;
	}
	memcpy(q->bytes + q->len, &frame, sizeof(frame));
	memcpy(q->bytes + q->len + sizeof(frame), f, sizeof(*f));
	if (len)
		memcpy(q->bytes + q->len + sizeof(frame) + sizeof(*f), data, len);
	q->len += need;
	s->queued += need;
	return true;
}

/* False: the other side takes no more, ever. */
static bool queue_flush(struct site *s, struct site_queue *q, int fd)
{
	while (q->at < q->len) {
		uint32_t frame;
		memcpy(&frame, q->bytes + q->at, sizeof(frame));
		if (send(fd, q->bytes + q->at + sizeof(frame), frame, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			return errno == EAGAIN || errno == EINTR;
		q->at += sizeof(frame) + frame;
		s->queued -= sizeof(frame) + frame;
	}
	queue_free(s, q);
	return true;
}

void site_queues_flush(struct site *s, int timeout_ms)
{
	int64_t deadline = now_ns() + timeout_ms * 1000000ll;
	for (unsigned i = 0; i < SITE_LINGER_MAX; i++) {
		struct site_linger *l = &s->linger[i];
		while (l->fd >= 0 && queue_flush(s, &l->out, l->fd) && l->out.len) {
			int64_t left = deadline - now_ns();
			if (left <= 0 || poll(&(struct pollfd){.fd = l->fd, .events = POLLOUT}, 1, (int)(left / 1000000) + 1) == 0)
				break;
		}
		queue_free(s, &l->out);
		fd_close(&l->fd);
	}
}

/* --- ends --- */

/* The host's side is gone. */
static void connection_ended(struct monitor *m, struct site_socket *k, bool reset)
{
	site_watch(m->site, k, 0);
	queue_free(m->site, &k->out);
	fd_close(&k->fd);
	k->ended = true;
	tell(m, k->id, VB_SITE_END, reset);
}

static void linger(struct site *s, struct site_socket *k)
{
	for (unsigned i = 0; i < SITE_LINGER_MAX; i++) {
		if (s->linger[i].fd >= 0)
			continue;
		site_watch(s, k, 0);
		s->linger[i] = (struct site_linger){.fd = k->fd, .out = k->out};
		site_watch_fd(s, k->fd, EPOLLOUT, SITE_WATCH_LINGER, i);
		k->fd = -1;
		k->out = (struct site_queue){0};
		return;
	}
}

void site_socket_free(struct monitor *m, struct site_socket *k)
{
	struct site *s = m->site;
	char name[SITE_FILE_BYTES];
	if (k->file) {
		site_file_name(k->file, name);
		unlinkat(s->folder.sockets, name, 0); /* the name stays, and refuses */
	}
	for (unsigned i = 0; k->listening && i < SITE_PENDING_MAX; i++) {
		struct site_pending *p = &s->pending[i];
		if (p->fd >= 0 && p->listener == k->id) { /* as the host does with those that it still has */
			send(p->fd, &(struct vb_site_frame){.kind = VB_SITE_END, .value = 1}, sizeof(struct vb_site_frame),
				MSG_DONTWAIT | MSG_NOSIGNAL);
			fd_close(&p->fd);
		}
	}
	if (k->out.len && k->fd >= 0)
		linger(s, k);
	queue_free(s, &k->out);
	fd_close(&k->helper);
	fd_close(&k->fd);
	*k = (struct site_socket){0};
}

/* --- from the kernel --- */

/* A frame to the other side of a connection. */
static void forward(struct monitor *m, struct site_socket *k, const struct vb_site_frame *f, const void *data, size_t len)
{
	struct iovec parts[] = {{(void *)f, sizeof(*f)}, {(void *)data, len}};
	struct msghdr msg = {.msg_iov = parts, .msg_iovlen = len ? 2 : 1};
	if (k->fd < 0)
		return;
	if (!k->out.len) {
		if (sendmsg(k->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
			return;
		if (errno != EAGAIN && errno != EINTR)
			return; /* what arrives last tells why */
	}
	if (!queue_add(m->site, &k->out, f, data, (uint32_t)len))
		return connection_ended(m, k, true);
	site_watch(m->site, k, k->watched | EPOLLOUT);
}

bool site_gather(struct site *s, uint32_t id, const void *data, size_t len)
{
	if ((s->gathers && s->gathers != id) || s->gathered + len > VB_SITE_PACKET_MAX)
		return false;
	memcpy(site_packet + s->gathered, data, len);
	s->gathers = id;
	s->gathered += len;
	return true;
}

static void take_credit(struct monitor *m, struct site_socket *k, uint32_t credit)
{
	if (k->type != SOCK_DGRAM) {
		k->unread -= credit < k->unread ? credit : k->unread;
		return;
	}
	k->credit = credit < VB_SITE_PACKETS - k->credit ? k->credit + credit : VB_SITE_PACKETS;
	site_watch(m->site, k, k->watched | EPOLLIN);
}

static void shut(struct site_socket *k, uint32_t how)
{
	if (how >= 1 && how <= 3 && k->fd >= 0)
		shutdown(k->fd, (int)how - 1);
}

static void disconnect(struct site_socket *k)
{
	struct sockaddr none = {.sa_family = AF_UNSPEC};
	connect(k->fd, &none, sizeof(none));
	k->connected = false;
}

void site_frame(struct monitor *m, uint32_t id, const void *payload, size_t len)
{
	struct site_socket *k = m->site ? site_socket_of(m->site, id) : NULL;
	const char *data = (const char *)payload + sizeof(struct vb_site_frame);
	bool carries = k && k->connected && k->type != SOCK_DGRAM;
	struct vb_site_frame f;
	memcpy(&f, payload, sizeof(f));
	len -= sizeof(f);
	bool piece = m->site && f.kind == VB_SITE_DATA && f.value == VB_SITE_MORE && (!k || k->type == SOCK_DGRAM);
	if (!k && m->site && id && f.kind != VB_SITE_DATA)
		return; /* of a socket that was never used here */
	if ((!k && !piece) || (len && f.kind != VB_SITE_DATA) || f.name_len || f.value > (f.kind == VB_SITE_SHUT ? 3u : 1u))
		return tender_condemn(m, "a frame of a site that breaks the rules");
	if (m->options->uid) {
		f.uid = m->options->uid; /* whatever its kernel says */
		f.gid = m->options->gid;
	}
	if (f.credit && k)
		take_credit(m, k, f.credit);
	switch (f.kind) {
	case VB_SITE_DATA:
		together_request(m);
		m->site->bytes_sent += len;
		if (!carries && !(piece && site_gather(m->site, id, data, len)))
			return tender_condemn(m, "data for a socket that is not connected");
		return carries ? forward(m, k, &f, data, len) : (void)0;
	case VB_SITE_CREDIT:
		return carries ? forward(m, k, &f, NULL, 0) : (void)0;
	case VB_SITE_SHUT:
		return carries ? forward(m, k, &f, NULL, 0) : shut(k, f.value);
	case VB_SITE_END:
		if (carries)
			forward(m, k, &f, NULL, 0);
		return site_socket_free(m, k);
	case VB_SITE_DISCONNECT:
		return k->type == SOCK_DGRAM ? disconnect(k) : tender_condemn(m, "disconnects a stream");
	default:
		return tender_condemn(m, "a frame of kind %u", f.kind);
	}
}

/* --- from the host --- */

bool site_pending_check(struct site_pending *p)
{
	char bytes[sizeof(p->hello) + VB_SITE_NAME_MAX];
	ssize_t n = recv(p->fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_TRUNC);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n < (ssize_t)sizeof(p->hello) || n > (ssize_t)sizeof(bytes))
		return false;
	memcpy(&p->hello, bytes, sizeof(p->hello));
	size_t len = (size_t)n - sizeof(p->hello);
	if (p->hello.kind != VB_SITE_HELLO || p->hello.name_len != len)
		return false;
	memcpy(p->name, bytes + sizeof(p->hello), len);
	p->known = true;
	return true;
}

static void pending_ready(struct monitor *m, struct site_pending *p)
{
	if (p->fd < 0 || p->known)
		return;
	bool there = site_pending_check(p);
	if (there && !p->known)
		return;
	site_watch_fd(m->site, p->fd, 0, SITE_WATCH_PENDING, 0);
	if (!there)
		fd_close(&p->fd);
	else if (site_socket_of(m->site, p->listener))
		tell(m, p->listener, VB_SITE_READY, 0);
}

/* One frame of a connection. False: nothing more for now, or ever. */
static bool take_frame(struct monitor *m, struct site_socket *k)
{
	struct vb_site_frame f;
	ssize_t n = recv(k->fd, site_packet, sizeof(f) + VB_SITE_PIECE_MAX, MSG_DONTWAIT | MSG_TRUNC);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n < 0 && errno == ECONNRESET && !k->reset)
		return k->reset = true; /* told once, before what had been sent */
	if (n <= 0) {                   /* killed: it has not said VB_SITE_END */
		connection_ended(m, k, k->reset);
		return false;
	}
	size_t len = (size_t)n - sizeof(f);
	bool good = n >= (ssize_t)sizeof(f) && len <= VB_SITE_PIECE_MAX;
	if (good) {
		memcpy(&f, site_packet, sizeof(f));
		good = f.kind >= VB_SITE_DATA && f.kind <= VB_SITE_END && !f.name_len && (f.kind == VB_SITE_DATA || !len);
	}
	if (good && f.kind == VB_SITE_DATA) {
		k->unread += len + (f.value & VB_SITE_MORE ? 0 : VB_SITE_OVERHEAD);
		good = k->unread <= UNREAD_MAX;
	}
	if (!good || f.kind == VB_SITE_END) {
		connection_ended(m, k, !good || f.value);
		return false;
	}
	m->site->bytes_received += len;
	event_send(m, k->id, site_packet, (size_t)n);
	return true;
}

static bool take_datagram(struct monitor *m, struct site_socket *k)
{
	struct vb_site_frame f;
	ssize_t n = k->credit ? recv(k->fd, site_packet, sizeof(site_packet), MSG_DONTWAIT | MSG_TRUNC) : -1;
	if (k->credit && n < 0 && (errno == ECONNRESET || errno == EINTR))
		return true;        /* its peer has connected to somebody else: as if nothing was said */
	if (!k->credit || n == 0) { /* shut for reading */
		site_watch(m->site, k, k->watched & ~(uint32_t)EPOLLIN);
		return false;
	}
	if (n < 0)
		return false;
	size_t len = (size_t)n - sizeof(f);
	if (n < (ssize_t)sizeof(f) || n > (ssize_t)sizeof(site_packet))
		return true;
	memcpy(&f, site_packet, sizeof(f));
	if (f.kind != VB_SITE_DATA || f.name_len > VB_SITE_NAME_MAX || f.name_len > len)
		return true; /* by no monitor */
	k->credit--;
	f.credit = 0;
	m->site->bytes_received += len - f.name_len;
	char *at = site_packet; /* each piece has its frame before it, over what has been sent */
	do {
		size_t piece = len - f.name_len > VB_SITE_PIECE_MAX ? VB_SITE_PIECE_MAX + f.name_len : len;
		f.value = piece < len ? VB_SITE_MORE : 0;
		memcpy(at, &f, sizeof(f));
		event_send(m, k->id, at, sizeof(f) + piece);
		at += piece;
		len -= piece;
		f.name_len = 0;
	} while (len);
	return true;
}

static void socket_ready(struct monitor *m, struct site_socket *k, uint32_t events)
{
	struct site *s = m->site;
	if (events & EPOLLOUT) {
		if (k->type == SOCK_DGRAM)
			tell(m, k->id, VB_SITE_ROOM, 0);
		else if (!queue_flush(s, &k->out, k->fd))
			queue_free(s, &k->out);
		if (!k->out.len)
			site_watch(s, k, k->watched & ~(uint32_t)EPOLLOUT);
	}
	if (!(events & ~(uint32_t)EPOLLOUT))
		return;
	if (k->listening) { /* once, until the cell has taken all */
		site_watch(s, k, 0);
		tell(m, k->id, VB_SITE_READY, 0);
		return;
	}
	for (int i = 0; i < BURST && k->fd >= 0 && list_empty(&m->queue); i++)
		if (!(k->type == SOCK_DGRAM ? take_datagram : take_frame)(m, k))
			break;
}

/* A datagram found no room. Its own socket tells when that has some again, another when there is room where it goes. */
bool site_await_room(struct site *s, struct site_socket *k, const struct sockaddr_un *to, socklen_t len)
{
	struct pollfd own = {.fd = k->fd, .events = POLLOUT};
	fd_close(&k->helper);
	if (!to || poll(&own, 1, 0) == 0) {
		site_watch(s, k, k->watched | EPOLLOUT);
		return true;
	}
	k->helper = site_host_socket(SOCK_DGRAM);
	if (k->helper < 0)
		k->helper = -1;
	else if (connect(k->helper, (const struct sockaddr *)to, len) < 0)
		fd_close(&k->helper); /* the cell's kernel tries again by itself */
	else
		site_watch_fd(s, k->helper, EPOLLOUT, SITE_WATCH_HELPER, k->id);
	return false;
}

static void helper_ready(struct monitor *m, struct site_socket *k)
{
	fd_close(&k->helper);
	tell(m, k->id, VB_SITE_ROOM, 0);
}

static void linger_ready(struct site *s, struct site_linger *l)
{
	if (l->fd < 0 || (queue_flush(s, &l->out, l->fd) && l->out.len))
		return;
	queue_free(s, &l->out);
	fd_close(&l->fd);
}

void site_ready(struct monitor *m, int fd, short revents, void *arg)
{
	struct epoll_event events[EVENTS_MAX];
	struct site *s = m->site;
	int count = epoll_wait(s->epoll, events, EVENTS_MAX, 0);
	for (int i = 0; i < count && !m->condemned; i++) {
		uint32_t index = (uint32_t)events[i].data.u64;
		enum site_watch kind = (enum site_watch)(events[i].data.u64 >> 32);
		struct site_socket *k = kind == SITE_WATCH_SOCKET || kind == SITE_WATCH_HELPER ? site_socket_of(s, index) : NULL;
		if (!list_empty(&m->queue))
			break; /* the tender does not keep up: site_resume() */
		if (kind == SITE_WATCH_PENDING)
			pending_ready(m, &s->pending[index % SITE_PENDING_MAX]);
		else if (kind == SITE_WATCH_LINGER)
			linger_ready(s, &s->linger[index % SITE_LINGER_MAX]);
		else if (k && kind == SITE_WATCH_HELPER)
			helper_ready(m, k);
		else if (k && k->fd >= 0)
			socket_ready(m, k, events[i].events);
	}
	if (!list_empty(&m->queue)) {
		s->paused = true;
		watch_events(m, s->epoll, 0);
	}
}

void site_resume(struct monitor *m)
{
	if (!m->site || !m->site->paused)
		return;
	m->site->paused = false;
	watch_events(m, m->site->epoll, POLLIN);
}
