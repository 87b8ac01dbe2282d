/* Messages from and to the tender. What arrives is hostile: copied once, checked against the table below, then acted on. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/p9.h"
#include "base/types.h"
#include "host/log.h"
#include "monitor/cell.h"
#include "monitor/site.h"
#include "monitor/volume.h"

#define QUEUE_MAX   64u
#define BATCH_MAX   64 /* messages taken before other work gets its turn */
#define GRACE_NS    (2 * 1000000000ll)
#define LOG_MAX     4096u
#define TRACE_MAX   8192u
#define PAYLOAD_MAX (VB_MESSAGE_MAX_BYTES - (uint32_t)sizeof(struct vb_message))

struct packet {
	struct list link;
	size_t len;
	char bytes[];
};

void tender_condemn(struct monitor *m, const char *fmt, ...)
{
	char text[300];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (m->condemned)
		return;
	log_error("the cell's kernel broke the rules and was killed: %s", text);
	m->condemned = true;
	if (m->tender)
		kill(m->tender, SIGKILL);
}

static int send_packet(int fd, const struct iovec *parts, int count)
{
	struct msghdr msg = {.msg_iov = (struct iovec *)parts, .msg_iovlen = count};
	for (;;) {
		if (sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
			return 0;
		if (errno != EINTR)
			return -errno;
	}
}

int message_send(struct monitor *m, uint32_t type, uint32_t tag, const void *payload, size_t len)
{
	struct vb_message header = {.type = type, .tag = tag};
	struct iovec parts[] = {{&header, sizeof(header)}, {(void *)payload, len}};
	int r = list_empty(&m->queue) ? send_packet(m->socket, parts, len ? 2 : 1) : -EAGAIN;
	if (r != -EAGAIN)
		return 0; /* sent, or the tender is gone: SIGCHLD tells */
	if (m->queued == QUEUE_MAX)
		return -EAGAIN;
	struct packet *p = malloc(sizeof(*p) + sizeof(header) + len);
	if (!p)
		return -EAGAIN;
	p->len = sizeof(header) + len;
	memcpy(p->bytes, &header, sizeof(header));
	if (len)
		memcpy(p->bytes + sizeof(header), payload, len);
	list_push_back(&m->queue, &p->link);
	m->queued++;
	watch_events(m, m->socket, POLLIN | POLLOUT);
	return 0;
}

static void drop_packet(struct monitor *m, struct packet *p)
{
	list_remove(&p->link);
	m->queued--;
	free(p);
}

void messages_release(struct monitor *m)
{
	while (!list_empty(&m->queue))
		drop_packet(m, list_first(&m->queue, struct packet, link));
}

static void send_queue(struct monitor *m)
{
	while (!list_empty(&m->queue)) {
		struct packet *p = list_first(&m->queue, struct packet, link);
		struct iovec part = {p->bytes, p->len};
		if (send_packet(m->socket, &part, 1) == -EAGAIN)
			return;
		drop_packet(m, p);
	}
	watch_events(m, m->socket, POLLIN);
	site_resume(m);
}

/* --- requests --- */

static void handle_exit(struct monitor *m, uint32_t tag, const void *payload, size_t len)
{
	memcpy(&m->exit, payload, sizeof(m->exit));
	if (m->exit.signal < 0 || m->exit.signal > 64)
		return tender_condemn(m, "exit message with signal %d", m->exit.signal);
	m->exit.status &= 0xff;
	m->exit_known = true;
	m->deadline_ns = now_ns() + GRACE_NS;
}

static void handle_9p(struct monitor *m, uint32_t tag, const void *payload, size_t len)
{
	static char reply[PAYLOAD_MAX];
	struct volume *volume = tag == VB_9P_CORE ? m->core : tag < m->options->volume_count ? m->volumes[tag] : NULL;
	if (!volume)
		return tender_condemn(m, "request to volume %u, which it does not have", tag);
	together_request(m);
	size_t n = volume_request(volume, payload, len, reply, sizeof(reply));
	if (n && message_send(m, VB_MSG_9P_REPLY, tag, reply, n) < 0)
		tender_condemn(m, "does not read its replies");
}

static void handle_trace(struct monitor *m, uint32_t tag, const void *payload, size_t len)
{
	control_trace(m, payload, len);
}

static void handle_debug(struct monitor *m, uint32_t tag, const void *payload, size_t len)
{
	control_debug_out(m, payload, len);
}

static void handle_stopped(struct monitor *m, uint32_t tag, const void *payload, size_t len)
{
	monitor_stop(m);
}

/* All that a tender may ask. */
static const struct request {
	uint32_t min, max; /* length of the payload */
	void (*handle)(struct monitor *m, uint32_t tag, const void *payload, size_t len);
} requests[] = {
	[VB_MSG_LOG] = {0, LOG_MAX, log_request},
	[VB_MSG_EXIT] = {sizeof(struct vb_msg_exit), sizeof(struct vb_msg_exit), handle_exit},
	[VB_MSG_9P_REQUEST] = {7, P9_MSIZE, handle_9p},
	[VB_MSG_STDIO_REQUEST] = {sizeof(struct vb_msg_stdio), sizeof(struct vb_msg_stdio) + 65536, stdio_request},
	[VB_MSG_TRACE] = {sizeof(struct vb_msg_trace), TRACE_MAX, handle_trace},
	[VB_MSG_DEBUG_OUT] = {1, PAYLOAD_MAX, handle_debug},
	[VB_MSG_STOPPED] = {0, 0, handle_stopped},
	[VB_MSG_SITE_REQUEST] = {sizeof(struct vb_site_request), sizeof(struct vb_site_request) + 2 * VB_SITE_PATH_MAX + VB_SITE_LAST_MAX,
		site_request},
	[VB_MSG_SITE_FRAME] = {sizeof(struct vb_site_frame), sizeof(struct vb_site_frame) + VB_SITE_PIECE_MAX, site_frame},
	[VB_MSG_NET_START] = {0, 0, net_start_request},
	[VB_MSG_NET_REPORT] = {sizeof(struct vb_msg_net_report), sizeof(struct vb_msg_net_report), net_report_request},
};

static void dispatch(struct monitor *m, const char *packet, size_t len)
{
	struct vb_message header;
	if (len < sizeof(header) || len > VB_MESSAGE_MAX_BYTES)
		return tender_condemn(m, "message of %zu bytes", len);
	memcpy(&header, packet, sizeof(header));
	size_t payload = len - sizeof(header);
	const struct request *r = header.type < VB_ARRAY_LEN(requests) ? &requests[header.type] : NULL;
	if (!r || !r->handle)
		return tender_condemn(m, "message of unknown type %u", header.type);
	if (payload < r->min || payload > r->max)
		return tender_condemn(m, "message of type %u with %zu bytes", header.type, payload);
	if (m->exit_known)
		return; /* the exit was its last word */
	r->handle(m, header.tag, packet + sizeof(header), payload);
}

/* An empty packet looks like the end of the connection. */
static bool peer_gone(int fd)
{
	struct pollfd p = {.fd = fd};
	return poll(&p, 1, 0) == 1 && p.revents & POLLHUP;
}

void messages_ready(struct monitor *m, int fd, short revents, void *arg)
{
	static char packet[VB_MESSAGE_MAX_BYTES] __attribute__((aligned(8)));
	if (revents & POLLOUT)
		send_queue(m);
	for (int i = 0; i < BATCH_MAX && !m->condemned; i++) {
		ssize_t n = recv(m->socket, packet, sizeof(packet), MSG_DONTWAIT | MSG_TRUNC);
		/* A tender that went with messages unread resets the connection: what it sent before is still to be had. */
		if (n < 0 && (errno == EINTR || errno == ECONNRESET))
			continue;
		if (n == 0 && !peer_gone(m->socket))
			tender_condemn(m, "an empty message");
		else if (n == 0 || (n < 0 && (errno != EAGAIN || !m->tender)))
			watch_remove(m, m->socket); /* the tender is gone: SIGCHLD tells the rest */
		if (n <= 0)
			return;
		dispatch(m, packet, (size_t)n);
	}
	if (m->condemned)
		watch_remove(m, m->socket);
}
