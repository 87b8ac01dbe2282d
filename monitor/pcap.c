/* pcapng: https://www.ietf.org/archive/id/draft-ietf-opsawg-pcapng-02.html */
#include "monitor/pcap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "host/error.h"

#define BUFFER_BYTES (256u << 10)
#define FLUSH_BYTES  (64u << 10)
#define SNAP_BYTES   (256u << 10)

enum { BLOCK_SECTION = 0x0a0d0d0a, BLOCK_INTERFACE = 1, BLOCK_PACKET = 6 };
enum { OPTION_END = 0, OPTION_COMMENT = 1, OPTION_NAME = 2, OPTION_FLAGS = 2, OPTION_RESOLUTION = 9 };

struct pcap {
	int fd; /* -1: it failed */
	int error;
	uint64_t lost;
	size_t len;
	size_t block; /* where the current one starts */
	uint8_t bytes[BUFFER_BYTES];
};

/* --- blocks: room was checked before --- */

static void put(struct pcap *p, const void *data, size_t len)
{
	memcpy(p->bytes + p->len, data, len);
	p->len += len;
	while (p->len % 4)
		p->bytes[p->len++] = 0;
}

static void put32(struct pcap *p, uint32_t value)
{
	put(p, &value, 4);
}

static void put_option(struct pcap *p, uint16_t code, const void *value, size_t len)
{
	put32(p, code | (uint32_t)len << 16);
	put(p, value, len);
}

static void block_start(struct pcap *p, uint32_t type)
{
	p->block = p->len;
	put32(p, type);
	put32(p, 0);
}

static void block_end(struct pcap *p)
{
	uint32_t len = (uint32_t)(p->len - p->block) + 4;
	memcpy(p->bytes + p->block + 4, &len, 4);
	put32(p, len);
}

/* --- the file --- */

static void write_out(struct pcap *p)
{
	size_t done = 0;
	while (p->fd >= 0 && done < p->len) {
		ssize_t n = write(p->fd, p->bytes + done, p->len - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break; /* a pipe whose reader is slow */
		if (n < 0) {
			p->error = errno;
			close(p->fd);
			p->fd = -1;
			break;
		}
		done += (size_t)n;
	}
	memmove(p->bytes, p->bytes + done, p->len - done);
	p->len -= done;
}

int pcap_open(const char *path, struct pcap **ret, struct vb_error *err)
{
	struct pcap *p = malloc(sizeof(*p));
	if (!p)
		return vb_error_set(err, -ENOMEM, "no memory for --pcap");
	p->len = p->lost = 0;
	p->error = 0;
	p->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK, 0600);
	if (p->fd < 0) {
		int r = errno == ENXIO ? vb_error_set(err, -ENXIO, "--pcap %s: nobody reads from this fifo; start the reader first", path)
				       : vb_error_errno(err, "--pcap %s", path);
		free(p);
		return r;
	}
	block_start(p, BLOCK_SECTION);
	put32(p, 0x1a2b3c4d);
	put32(p, 1); /* version 1.0 */
	put32(p, UINT32_MAX);
	put32(p, UINT32_MAX);
	block_end(p);
	*ret = p;
	return 0;
}

void pcap_interface(struct pcap *p, const char *name)
{
	static const uint8_t nanoseconds = 9;
	block_start(p, BLOCK_INTERFACE);
	put32(p, 1); /* Ethernet */
	put32(p, SNAP_BYTES);
	put_option(p, OPTION_NAME, name, strlen(name));
	put_option(p, OPTION_RESOLUTION, &nanoseconds, 1);
	put32(p, OPTION_END);
	block_end(p);
}

void pcap_frame(struct pcap *p, unsigned interface, bool outwards, const uint8_t *frame, size_t len, const char *comment)
{
	struct timespec t;
	uint32_t direction = outwards ? 2 : 1;
	size_t comment_len = comment ? strlen(comment) : 0, need = 64 + len + comment_len;
	if (p->len + need > BUFFER_BYTES)
		write_out(p);
	if (p->fd < 0 || p->len + need > BUFFER_BYTES) {
		p->lost++;
		return;
	}
	clock_gettime(CLOCK_REALTIME, &t);
	uint64_t now = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
	block_start(p, BLOCK_PACKET);
	put32(p, interface);
	put32(p, (uint32_t)(now >> 32));
	put32(p, (uint32_t)now);
	put32(p, (uint32_t)len);
	put32(p, (uint32_t)len);
	put(p, frame, len);
	put_option(p, OPTION_FLAGS, &direction, 4);
	if (comment)
		put_option(p, OPTION_COMMENT, comment, comment_len);
	put32(p, OPTION_END);
	block_end(p);
	if (p->len >= FLUSH_BYTES)
		write_out(p);
}

int pcap_flush(struct pcap *p)
{
	write_out(p);
	int r = -p->error;
	p->error = 0;
	return r;
}

void pcap_close(struct pcap *p)
{
	if (!p)
		return;
	write_out(p);
	if (p->fd >= 0)
		close(p->fd);
	free(p);
}

uint64_t pcap_lost(const struct pcap *p)
{
	return p->lost;
}
