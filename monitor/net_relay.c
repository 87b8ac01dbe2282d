/* Between a cell and its network when frames are to be judged (firewall.h) or recorded (pcap.h): the tender has one end of a socket
 * pair, and each frame passes here. Bounded work a turn; a side that does not take what is sent to it stops the other, nothing is
 * kept beyond one buffer a direction. Frames of both sides are hostile.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/types.h"
#include "host/error.h"
#include "host/file.h"
#include "monitor/firewall.h"
#include "monitor/net_private.h"
#include "monitor/pcap.h"

#define HEADER_BYTES   12u /* of a packet, struct virtio_net_hdr_v1 */
#define LENGTH_BYTES   4u  /* in front of a frame in a stream */
#define FRAME_MIN      14u
#define FRAME_MAX      (65535u + 18u)
#define BUFFER_BYTES   (128u << 10)
#define WRITE_BYTES    (32u << 10) /* of frames at once to passt: the host takes so many whole or not at all, and passt needs whole frames */
#define FRAMES_A_TURN  64
#define BYTES_A_TURN   (256u << 10)
#define SOCKET_BYTES   (2 << 20)
#define NOTES_A_SECOND 5
#define NOTES_AT_ONCE  20

struct way {
	enum firewall_way direction;
	int from, to;
	size_t start, end; /* of what is there and not done with */
	size_t passing;    /* of that, the frames that have been judged and are to be sent; 0: the one at start is still to be judged */
	size_t dropped;    /* bytes of the frame behind them, if that was judged not to pass */
	bool busy;         /* there is more to do as soon as the other side takes something */
	bool emptied;      /* the last read of this turn took all there was */
	uint64_t frames, bytes, lost, drops[FIREWALL_DROPS];
	uint8_t buffer[BUFFER_BYTES];
};

struct net_relay {
	struct monitor *m;
	struct monitor_net *n;
	unsigned index;
	bool stream;
	int cell, far;             /* -1: over */
	struct firewall *firewall; /* NULL: only recorded */
	struct way way[2];         /* by enum firewall_way */
	int64_t notes_from_ns;
	unsigned notes;
	uint64_t unsaid;
};

static void relay_over(struct net_relay *r)
{
	watch_remove(r->m, r->cell);
	watch_remove(r->m, r->far);
	fd_close(&r->cell);
	fd_close(&r->far);
}

/* --- what is said of drops --- */

static void describe(const struct firewall_packet *p, char *text, size_t size)
{
	static const char *const names[256] = {[1] = "icmp", [6] = "tcp", [17] = "udp", [58] = "icmp6"};
	char source[INET6_ADDRSTRLEN], destination[INET6_ADDRSTRLEN], number[16];
	int family = p->v6 ? AF_INET6 : AF_INET;
	const char *left = p->v6 ? "[" : "", *right = p->v6 ? "]" : "";
	*text = 0;
	if (!p->ip)
		return;
	snprintf(number, sizeof(number), "ip %u", p->protocol);
	inet_ntop(family, p->source, source, sizeof(source));
	inet_ntop(family, p->destination, destination, sizeof(destination));
	const char *name = names[p->protocol] ? names[p->protocol] : number;
	if (p->protocol == 6 || p->protocol == 17)
		snprintf(text, size, ": %s %s%s%s:%u > %s%s%s:%u", name, left, source, right, p->source_port, left, destination, right,
			p->destination_port);
	else
		snprintf(text, size, ": %s %s > %s", name, source, destination);
}

static void note_drop(struct net_relay *r, enum firewall_way direction, enum firewall_drop why, const struct firewall_packet *what)
{
	char text[160];
	int64_t now = now_ns();
	if (why == FIREWALL_LINK)
		return; /* every stack says a few things that nobody needs */
	if (now - r->notes_from_ns > (int64_t)NOTES_AT_ONCE / NOTES_A_SECOND * 1000000000) {
		r->notes_from_ns = now;
		r->notes = 0;
	}
	if (r->notes++ >= NOTES_AT_ONCE) {
		r->unsaid++;
		return;
	}
	describe(what, text, sizeof(text));
	net_say(r->m, false, "eth%u: firewall: %s %s%s", r->index, direction == FIREWALL_OUT ? "out" : "in", firewall_drop_names[why],
		text);
	if (r->unsaid)
		net_say(r->m, false, "eth%u: firewall: %llu drops before that not noted", r->index, (unsigned long long)r->unsaid);
	r->unsaid = 0;
}

/* --- frames --- */

/* The frame `at` bytes behind w->start, head bytes of it its own header: whether it passes. */
static bool judge(struct net_relay *r, struct way *w, size_t at, size_t head, size_t len)
{
	const uint8_t *header = w->buffer + w->start + at, *frame = header + head;
	struct firewall_packet what = {0};
	enum firewall_drop drop = FIREWALL_PASS;
	if (len < FRAME_MIN || (r->stream && w->direction == FIREWALL_OUT && len > r->n->boot.mtu + 18))
		drop = FIREWALL_MALFORMED;
	else if (r->firewall)
		drop = firewall_judge(r->firewall, w->direction, r->stream ? NULL : header, frame, len, now_ns(), &what);
	if (r->m->pcap && len)
		pcap_frame(r->m->pcap, r->index, w->direction == FIREWALL_OUT, frame, len, drop ? firewall_drop_names[drop] : NULL);
	if (drop) {
		w->drops[drop]++;
		note_drop(r, w->direction, drop, &what);
		return false;
	}
	w->frames++;
	w->bytes += len;
	return true;
}

enum step { STEP_GOES_ON, STEP_NO_MORE, STEP_GONE };

/* More of what comes in; at the front of the buffer, and a packet by itself. */
static enum step take(struct net_relay *r, struct way *w)
{
	memmove(w->buffer, w->buffer + w->start, w->end - w->start);
	w->end -= w->start;
	w->start = 0;
	if (w->emptied)
		return STEP_NO_MORE;
	size_t room = r->stream ? BUFFER_BYTES - w->end : HEADER_BYTES + FRAME_MAX;
	ssize_t n = read(w->from, w->buffer + w->end, room);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return STEP_NO_MORE;
	if (n <= 0)
		return STEP_GONE;
	w->end += (size_t)n;
	w->emptied = r->stream && (size_t)n < room;
	return STEP_GOES_ON;
}

static enum step next_packet(struct net_relay *r, struct way *w)
{
	enum step s = take(r, w);
	if (s != STEP_GOES_ON)
		return s;
	w->passing = judge(r, w, 0, HEADER_BYTES, w->end > HEADER_BYTES ? w->end - HEADER_BYTES : 0) ? w->end : 0;
	w->start = w->passing ? 0 : w->end;
	return STEP_GOES_ON;
}

/* Judges frames of a stream up to the first that is dropped: w->passing, w->dropped. */
static enum step next_frames(struct net_relay *r, struct way *w)
{
	size_t most = w->direction == FIREWALL_OUT ? WRITE_BYTES : BUFFER_BYTES;
	for (int i = 0; i < FRAMES_A_TURN; i++) {
		size_t at = w->start + w->passing, have = w->end - at, len;
		uint32_t stream_len;
		if (have < LENGTH_BYTES)
			break;
		memcpy(&stream_len, w->buffer + at, LENGTH_BYTES);
		len = ntohl(stream_len);
		if (len < FRAME_MIN || len > FRAME_MAX) {
			if (w->passing)
				break;
			return STEP_GONE; /* whatever comes next can't be told apart */
		}
		if (have < LENGTH_BYTES + len || (w->passing && w->passing + LENGTH_BYTES + len > most))
			break;
		if (!judge(r, w, w->passing, LENGTH_BYTES, len)) {
			w->dropped = LENGTH_BYTES + len;
			return STEP_GOES_ON;
		}
		w->passing += LENGTH_BYTES + len;
	}
	return w->passing ? STEP_GOES_ON : take(r, w);
}

/* SIGPIPE is blocked, as all signals are. */
static enum step send_frames(struct way *w)
{
	ssize_t n = write(w->to, w->buffer + w->start, w->passing);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return STEP_NO_MORE;
	if (n < 0 && (errno == EPIPE || errno == ECONNRESET || errno == EBADFD || errno == ENODEV))
		return STEP_GONE;
	if (n < 0) { /* a tap that is down, or does not like it */
		w->lost++;
		n = (ssize_t)w->passing;
	}
	w->start += (size_t)n;
	w->passing -= (size_t)n;
	return STEP_GOES_ON;
}

static bool carry(struct net_relay *r, struct way *w)
{
	uint64_t bytes = w->bytes;
	w->emptied = false;
	for (int i = 0; i < FRAMES_A_TURN && w->bytes - bytes < BYTES_A_TURN; i++) {
		enum step s = w->passing ? STEP_GOES_ON : r->stream ? next_frames(r, w) : next_packet(r, w);
		if (s == STEP_GOES_ON && w->passing)
			s = send_frames(w);
		if (!w->passing) {
			w->start += w->dropped;
			w->dropped = 0;
		}
		if (s != STEP_GOES_ON) {
			w->busy = w->passing != 0;
			return s == STEP_NO_MORE;
		}
	}
	w->busy = true;
	return true;
}

static void relay_ready(struct monitor *m, int fd, short revents, void *arg)
{
	struct net_relay *r = arg;
	struct way *out = &r->way[FIREWALL_OUT], *in = &r->way[FIREWALL_IN];
	struct way *to = fd == r->cell ? in : out, *from = fd == r->cell ? out : in;
	bool gone = revents & ~POLLOUT && !carry(r, from);
	gone = gone || (revents & POLLOUT && !carry(r, to));
	int error = m->pcap ? pcap_flush(m->pcap) : 0;
	if (error)
		net_say(m, true, "--pcap: %s: recording ends, the cell goes on", strerror(-error));
	if (gone) {
		relay_over(r); /* the cell sees the end of its descriptor: the link is down */
		if (m->tender && !m->exit_known && r->n->options->way == NET_TAP)
			net_say(m, true, "eth%u: the network is gone", r->index);
		return;
	}
	/* What can't be passed on is not taken in. */
	watch_events(m, r->cell, (short)((out->busy ? 0 : POLLIN) | (in->busy ? POLLOUT : 0)));
	watch_events(m, r->far, (short)((in->busy ? 0 : POLLIN) | (out->busy ? POLLOUT : 0)));
}

/* --- start and end --- */

bool relay_wanted(const struct monitor *m, const struct monitor_net *n)
{
	return m->options->net->rule_count || m->options->net->pcap || n->guarded;
}

static struct firewall *make_firewall(struct monitor *m, struct monitor_net *n)
{
	static const struct firewall_rule all[] = {{.way = FIREWALL_OUT, .protocols = FIREWALL_ALL, .last = UINT16_MAX},
		{.way = FIREWALL_OUT, .v6 = true, .protocols = FIREWALL_ALL, .last = UINT16_MAX},
		{.way = FIREWALL_IN, .protocols = FIREWALL_ALL, .last = UINT16_MAX},
		{.way = FIREWALL_IN, .v6 = true, .protocols = FIREWALL_ALL, .last = UINT16_MAX}};
	const struct vb_boot_net *b = &n->boot;
	const struct net_options *o = m->options->net;
	struct firewall_link link = {.dhcp = b->flags & VB_NET_DHCP,
		.auto6 = b->flags & VB_NET_AUTO6,
		.has4 = b->prefix4,
		.has6 = b->prefix6,
		.prefix6 = b->prefix6,
		.guard = n->options->way == NET_USER && !n->options->host_loopback};
	uint64_t seed;
	memcpy(link.guard4, b->gateway4, 4);
	memcpy(link.guard6, b->gateway6, 16);
	memcpy(link.mac, b->mac, 6);
	memcpy(link.ip4, b->ip4, 4);
	memcpy(link.ip6, b->ip6, 16);
	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		return NULL;
	return o->rule_count ? firewall_new(o->rules, o->rule_count, &link, seed) : firewall_new(all, VB_ARRAY_LEN(all), &link, seed);
}

int relay_start(struct monitor *m, struct monitor_net *n, struct vb_error *err)
{
	struct net_relay *r = calloc(1, sizeof(*r)); /* the buffers stay untouched until they are used */
	int pair[2], bytes = SOCKET_BYTES;
	bool stream = n->boot.kind == VB_NET_STREAM;
	if (!r)
		return vb_error_set(err, -ENOMEM, "no memory for the firewall");
	r->m = m;
	r->n = n;
	r->index = (unsigned)(n - m->net);
	r->stream = stream;
	r->cell = r->far = -1;
	n->relay = r;
	if ((m->options->net->rule_count || n->guarded) && !(r->firewall = make_firewall(m, n)))
		return vb_error_set(err, -ENOMEM, "no memory for the firewall");
	if (socketpair(AF_UNIX, (stream ? SOCK_STREAM : SOCK_SEQPACKET) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return vb_error_errno(err, "can't make a socket for the firewall");
	for (unsigned i = 0; i < 2; i++)
		if (setsockopt(pair[i], SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)) < 0)
			setsockopt(pair[i], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	if (n->far_fd >= 0) { /* the cell has its end */
		r->cell = n->far_fd;
		r->far = pair[0];
		n->far_fd = pair[1];
	} else {
		r->far = n->tender_fd;
		r->cell = pair[0];
		n->tender_fd = pair[1];
	}
	r->way[FIREWALL_OUT].direction = FIREWALL_OUT;
	r->way[FIREWALL_OUT].from = r->way[FIREWALL_IN].to = r->cell;
	r->way[FIREWALL_IN].direction = FIREWALL_IN;
	r->way[FIREWALL_IN].from = r->way[FIREWALL_OUT].to = r->far;
	watch_add(m, r->cell, POLLIN, relay_ready, r);
	watch_add(m, r->far, POLLIN, relay_ready, r);
	return 0;
}

void relay_release(struct monitor_net *n)
{
	struct net_relay *r = n->relay;
	if (!r)
		return;
	relay_over(r);
	firewall_free(r->firewall);
	free(r);
	n->relay = NULL;
}

static json_t *report_way(const struct way *w)
{
	json_t *drops = json_object();
	for (unsigned i = 1; i < FIREWALL_DROPS; i++)
		if (w->drops[i])
			json_object_set_new(drops, firewall_drop_names[i], json_integer((json_int_t)w->drops[i]));
	return json_pack("{s:I, s:I, s:I, s:o}", "frames", (json_int_t)w->frames, "bytes", (json_int_t)w->bytes, "lost",
		(json_int_t)w->lost, "dropped", drops);
}

void relay_report(const struct monitor_net *n, json_t *json)
{
	const struct net_relay *r = n->relay;
	if (!r)
		return;
	json_object_set_new(json, "out", report_way(&r->way[FIREWALL_OUT]));
	json_object_set_new(json, "in", report_way(&r->way[FIREWALL_IN]));
	json_object_set_new(json, "link", json_string(r->far >= 0 ? "up" : "down"));
	if (r->firewall)
		json_object_set_new(json, "flows", json_integer(firewall_flows(r->firewall, now_ns())));
}
