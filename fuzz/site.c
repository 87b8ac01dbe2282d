/* The monitor's part of a site, between a hostile kernel and hostile peers: each input is a sequence of records, a kind, a length
 * (two bytes) and that many bytes: requests and frames of the kernel, raw or with their numbers made likely; bytes of other
 * cells on connections and as datagrams. Nothing crashes, what is kept stays bounded, no descriptor is left open. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "host/error.h"
#include "monitor/cell.h"
#include "monitor/site_private.h"

#define OUTSIDE 8

static char dir[64] = "/dev/shm/fuzz-site.XXXXXX";
static unsigned sent;

int64_t now_ns(void)
{
	static int64_t ns;
	return ns += 3000000000; /* patience ends at once */
}
void watch_add(struct monitor *m, int fd, short events, watch_fn *ready, void *arg) {}
void watch_events(struct monitor *m, int fd, short events) {}
void together_request(struct monitor *m) {}
void tender_condemn(struct monitor *m, const char *fmt, ...)
{
	m->condemned = true;
}
int message_send(struct monitor *m, uint32_t type, uint32_t tag, const void *payload, size_t len)
{
	if (len + sizeof(struct vb_message) > VB_MESSAGE_MAX_BYTES)
		abort();
	sent++;
	return 0;
}

static const char *const paths[] = {"/tmp/a", "/tmp/b", "/tmp/c", "/tmp"};

/* A request whose numbers are those of few sockets and names. */
static void likely_request(struct monitor *m, const uint8_t *data, size_t size)
{
	static uint8_t packet[sizeof(struct vb_site_request) + 2 * VB_SITE_PATH_MAX + VB_SITE_LAST_MAX];
	static const uint32_t types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET, 9};
	struct vb_site_request q = {0};
	uint8_t b[8] = {0};
	memcpy(b, data, size < 8 ? size : 8);
	const char *path = paths[b[3] & 3], *name = b[4] & 1 ? "\1\0x" : paths[b[4] >> 1 & 3];
	size_t at = sizeof(q), rest = size > 8 ? size - 8 : 0;
	q.op = b[0] % 12;
	q.id = (b[1] & 7) | 1 << 16;
	q.other = (b[1] >> 3 & 7) | 1 << 16;
	q.type = types[b[2] & 3];
	q.value = b[5];
	q.mode = b[6];
	q.uid = b[7];
	if (q.op == VB_SITE_SEND && b[5] & 2)
		path = "";
	q.path_len = (uint32_t)strlen(path);
	q.name_len = b[4] & 1 ? 3 : (uint32_t)strlen(name);
	if (q.op != VB_SITE_SEND || rest > VB_SITE_LAST_MAX)
		rest = 0;
	memcpy(packet, &q, sizeof(q));
	memcpy(packet + at, path, q.path_len);
	memcpy(packet + (at += q.path_len), name, q.name_len);
	at += q.name_len;
	if (rest)
		memcpy(packet + at, data + 8, rest);
	site_request(m, 1, packet, at + rest);
}

static void likely_frame(struct monitor *m, const uint8_t *data, size_t size)
{
	static uint8_t packet[sizeof(struct vb_site_frame) + VB_SITE_PIECE_MAX];
	struct vb_site_frame f = {0};
	uint8_t b[4] = {0};
	memcpy(b, data, size < 4 ? size : 4);
	f.kind = b[0] % 9;
	f.value = b[2] & 3;
	f.credit = b[3];
	size_t rest = f.kind == VB_SITE_DATA && size > 4 ? size - 4 : 0;
	if (f.kind == VB_SITE_DATA && b[2] & 4) /* much */
		rest = sizeof(packet) - sizeof(f);
	else if (rest)
		memcpy(packet + sizeof(f), data + 4, rest);
	memcpy(packet, &f, sizeof(f));
	site_frame(m, (b[1] & 7) | 1 << 16, packet, sizeof(f) + rest);
}

/* Other cells: a connection to a name, bytes on it, reading, closing. */
static void outside(struct site *s, int *fds, const uint8_t *data, size_t size)
{
	struct sockaddr_un a;
	struct site_name n;
	uint8_t b[2] = {0};
	memcpy(b, data, size < 2 ? size : 2);
	int *fd = &fds[b[0] % OUTSIDE];
	switch (b[1] & 7) {
	case 0:
	case 1:
		if (*fd >= 0)
			close(*fd);
		*fd = socket(AF_UNIX, (b[1] & 1 ? SOCK_SEQPACKET : SOCK_DGRAM) | SOCK_NONBLOCK, 0);
		if (site_name_get(&s->folder, paths[b[0] >> 4 & 3], &n) == 0) {
			socklen_t len = site_address(s, n.file, &a);
			connect(*fd, (struct sockaddr *)&a, len);
		}
		break;
	case 2: {
		struct vb_site_frame f = {.kind = VB_SITE_HELLO, .name_len = size > 2 ? (uint32_t)size - 2 : 0};
		struct iovec v[] = {{&f, sizeof(f)}, {(void *)(data + 2), f.name_len}};
		sendmsg(*fd, &(struct msghdr){.msg_iov = v, .msg_iovlen = 2}, MSG_NOSIGNAL | MSG_DONTWAIT);
		break;
	}
	case 3: {
		struct vb_site_frame f = {.kind = b[0] >> 4 & 7};
		struct iovec v[] = {{&f, sizeof(f)}, {(void *)data, size}};
		sendmsg(*fd, &(struct msghdr){.msg_iov = v, .msg_iovlen = 2}, MSG_NOSIGNAL | MSG_DONTWAIT);
		break;
	}
	case 4:
		while (recv(*fd, &a, sizeof(a), MSG_DONTWAIT) > 0)
			;
		break;
	case 5:
		close(*fd);
		*fd = -1;
		break;
	default:
		send(*fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int folder_made;
	struct monitor_options options = {.site_dir = dir, .site_folders = {"/tmp"}, .site_folder_count = 1, .uid = size ? data[0] & 1 : 0};
	struct monitor m = {.options = &options};
	struct vb_error err;
	int fds[OUTSIDE] = {-1, -1, -1, -1, -1, -1, -1, -1};
	if (!folder_made++ && !mkdtemp(dir))
		abort();
	int first_free = dup(0);
	close(first_free);
	list_init(&m.queue);
	if (site_open(&m, &err) < 0)
		abort();
	while (size >= 3 && !m.condemned) {
		size_t len = (size_t)data[1] | (size_t)data[2] << 8;
		const uint8_t *at = data + 3;
		len = len < size - 3 ? len : size - 3;
		switch (data[0] & 7) {
		case 0:
			if (len >= sizeof(struct vb_site_request) &&
				len <= sizeof(struct vb_site_request) + 2 * VB_SITE_PATH_MAX + VB_SITE_LAST_MAX)
				site_request(&m, 0, at, len);
			break;
		case 1:
			if (len >= sizeof(struct vb_site_frame) && len <= sizeof(struct vb_site_frame) + VB_SITE_PIECE_MAX)
				site_frame(&m, 1 << 16, at, len);
			break;
		case 2:
		case 3:
			likely_request(&m, at, len);
			break;
		case 4:
			likely_frame(&m, at, len);
			break;
		case 5:
			outside(m.site, fds, at, len);
			break;
		default:
			site_ready(&m, m.site->epoll, POLLIN, NULL);
		}
		if (m.site->queued > SITE_OUT_TOTAL || m.site->gathered > VB_SITE_PACKET_MAX)
			abort();
		data += 3 + len;
		size -= 3 + len;
	}
	for (unsigned i = 0; i < 4; i++)
		site_name_remove(&m.site->folder, paths[i], &(struct vb_site_who){.override = 1});
	site_close(&m);
	for (int i = 0; i < OUTSIDE; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	int next = dup(0); /* the lowest free number stays the same */
	if (next != first_free)
		abort();
	close(next);
	return 0;
}
