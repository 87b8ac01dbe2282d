/* The relay between a cell and its network: frames arrive whole and in order however the bytes are cut, what is judged badly is
 * counted and gone, a side that does not read stops the other, garbage ends the link and nothing else. The monitor is a stand-in. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/file.h"
#include "monitor/net_private.h"
#include "monitor/pcap.h"
#include "tests/unit/tap.h"

static struct watch watches[4];

int64_t now_ns(void)
{
	static int64_t ns = 1;
	return ns += 1000;
}

static struct watch *find(int fd)
{
	for (struct watch *w = watches; w < watches + 4; w++)
		if (w->fd == fd)
			return w;
	return NULL;
}
void watch_add(struct monitor *m, int fd, short events, watch_fn *ready, void *arg)
{
	*find(-1) = (struct watch){fd, events, ready, arg};
}
void watch_remove(struct monitor *m, int fd)
{
	if (fd >= 0 && find(fd))
		find(fd)->fd = -1;
}
void watch_events(struct monitor *m, int fd, short events)
{
	find(fd)->events = events;
}
void net_say(struct monitor *m, bool failure, const char *fmt, ...) {}

static struct net_options net;
static struct monitor_options options = {.net = &net};
static struct monitor m;
static struct net_interface interface;
static int cell, far; /* our ends */

/* Turns until nothing is to be done. */
static void run(void)
{
	for (int turns = 0; turns < 10000; turns++) {
		struct pollfd p[4];
		unsigned count = 0;
		for (unsigned i = 0; i < 4; i++)
			if (watches[i].fd >= 0 && watches[i].events)
				p[count++] = (struct pollfd){watches[i].fd, watches[i].events, 0};
		if (poll(p, count, 0) <= 0)
			return;
		for (unsigned i = 0; i < count; i++) {
			struct watch *w = p[i].revents ? find(p[i].fd) : NULL;
			if (w)
				w->ready(&m, w->fd, p[i].revents, w->arg);
		}
	}
	CHECK(!"it comes to rest");
}

static void start(bool stream, const char *pcap)
{
	int pair[2];
	struct monitor_net *n = &m.net[0];
	m = (struct monitor){.options = &options, .net_count = 1};
	for (unsigned i = 0; i < 4; i++)
		watches[i].fd = -1;
	socketpair(AF_UNIX, (stream ? SOCK_STREAM : SOCK_SEQPACKET) | SOCK_NONBLOCK, 0, pair);
	*n = (struct monitor_net){.options = &interface,
		.tender_fd = pair[0],
		.far_fd = -1,
		.boot = {.kind = stream ? VB_NET_STREAM : VB_NET_PACKET,
			.mtu = 16384,
			.mac = {2, 0, 0, 0, 0, 1},
			.prefix4 = 24,
			.ip4 = {10, 0, 0, 2}}};
	far = pair[1];
	struct vb_error err;
	if (pcap) {
		CHECK(pcap_open(pcap, &m.pcap, &err) == 0);
		pcap_interface(m.pcap, "eth0");
	}
	CHECK(relay_start(&m, n, &err) == 0);
	cell = n->tender_fd;
}

static void stop(void)
{
	relay_release(&m.net[0]);
	pcap_close(m.pcap);
	close(cell);
	close(far);
}

/* Frame number i: any length, contents that tell it from the others. */
static size_t make(unsigned i, uint8_t *frame)
{
	size_t len = 14 + i * 7919 % 16000;
	for (size_t k = 0; k < len; k++)
		frame[k] = (uint8_t)(i + k);
	frame[6] &= 0xfe;
	return len;
}

static void test_stream(void)
{
	enum { FRAMES = 60 };
	static uint8_t bytes[FRAMES * 16100], got[sizeof(bytes)];
	size_t total = 0, sent = 0, have = 0, piece = 1;
	net.rule_count = 0;
	start(true, "frames.pcapng");
	for (unsigned i = 0; i < FRAMES; i++) {
		uint32_t len = (uint32_t)make(i, bytes + total + 4), order = htonl(len);
		memcpy(bytes + total, &order, 4);
		total += 4 + len;
	}
	while (have < total) {
		piece = piece * 5 % 20011 + 1; /* cut anywhere, lengths among it */
		ssize_t n = sent < total ? write(cell, bytes + sent, piece < total - sent ? piece : total - sent) : 0;
		sent += n > 0 ? (size_t)n : 0;
		run();
		n = read(far, got + have, sizeof(got) - have);
		if (n <= 0 && sent == total)
			break;
		have += n > 0 ? (size_t)n : 0;
	}
	CHECK(have == total && memcmp(bytes, got, total) == 0);
	json_t *json = json_object();
	relay_report(&m.net[0], json);
	CHECK(json_integer_value(json_object_get(json_object_get(json, "out"), "frames")) == FRAMES);
	json_decref(json);
	stop();
	int fd = open("frames.pcapng", O_RDONLY);
	CHECK(lseek(fd, 0, SEEK_END) > (off_t)(total - 4 * FRAMES + 32 * FRAMES));
	close(fd);
}

static void test_backpressure(void)
{
	static uint8_t frame[16400], got[1 << 20];
	start(true, NULL);
	size_t sent = 0, len = make(3, frame + 4), received = 0;
	uint32_t order = htonl((uint32_t)len);
	memcpy(frame, &order, 4);
	for (int full = 0; full < 3;) {
		ssize_t n = write(cell, frame + sent % (len + 4), len + 4 - sent % (len + 4));
		full = n <= 0 ? full + 1 : 0;
		sent += n > 0 ? (size_t)n : 0;
		run();
	}
	CHECK(sent > 100000 && sent < (64u << 20)); /* bounded: it stopped */
	CHECK(!(find(m.net[0].relay ? watches[0].fd : -1)->events & POLLIN) || !(watches[1].events & POLLIN));
	for (;;) {
		run();
		ssize_t n = read(far, got, sizeof(got));
		if (n <= 0)
			break;
		received += (size_t)n;
	}
	CHECK(received == sent);
	stop();
}

static void test_garbage(void)
{
	static const uint8_t lengths[][4] = {{0, 0, 0, 13}, {0, 1, 0, 18}, {0xff, 0xff, 0xff, 0xff}, {0, 0, 0, 0}};
	uint8_t byte;
	for (unsigned i = 0; i < 4; i++) {
		start(true, NULL);
		CHECK(write(cell, lengths[i], 4) == 4);
		run();
		CHECK(read(far, &byte, 1) == 0 && read(cell, &byte, 1) == 0); /* both see the end */
		stop();
	}
	start(true, NULL);
	close(far);
	far = -1;
	run();
	CHECK(read(cell, &byte, 1) == 0);
	stop();
}

static void test_packets(void)
{
	uint8_t packet[12 + 60] = {0}, got[100];
	net.rules[0] = (struct firewall_rule){.way = FIREWALL_OUT, .prefix = 8, .protocols = FIREWALL_UDP, .address = {10}, .last = 65535};
	net.rule_count = 1;
	start(false, NULL);
	uint8_t *frame = packet + 12, *p = frame + 14;
	frame[6] = 2;
	frame[11] = 1;
	frame[12] = 8;
	p[0] = 0x45;
	p[3] = 28;
	p[9] = 17;
	memcpy(p + 12, (uint8_t[]){10, 0, 0, 2, 10, 0, 0, 9}, 8);
	p[25] = 8;
	CHECK(write(cell, packet, sizeof(packet)) == sizeof(packet));
	p[16] = 11;
	CHECK(write(cell, packet, sizeof(packet)) == sizeof(packet));
	CHECK(write(cell, packet, 3) == 3);
	CHECK(write(cell, packet, 12) == 12);
	run();
	CHECK(read(far, got, sizeof(got)) == sizeof(packet) && got[12 + 14 + 16] == 10);
	CHECK(read(far, got, sizeof(got)) < 0);
	json_t *json = json_object();
	relay_report(&m.net[0], json);
	const json_t *out = json_object_get(json, "out"), *dropped = json_object_get(out, "dropped");
	CHECK(json_integer_value(json_object_get(out, "frames")) == 1);
	CHECK(json_integer_value(json_object_get(dropped, "denied")) == 1);
	CHECK(json_integer_value(json_object_get(dropped, "malformed")) == 2);
	json_decref(json);
	stop();
}

/* A network that starts later: the cell has its end already, and what it sent meanwhile is not lost. */
static void test_late(void)
{
	int pair[2];
	uint8_t frame[4 + 60] = {0, 0, 0, 60, [10] = 2}, got[100];
	struct monitor_net *n = &m.net[0];
	struct vb_error err;
	net.rule_count = 0;
	start(true, NULL);
	stop();
	socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair);
	n->tender_fd = -1;
	n->far_fd = pair[1];
	CHECK(write(pair[0], frame, sizeof(frame)) == sizeof(frame));
	CHECK(relay_start(&m, n, &err) == 0 && n->far_fd != pair[1] && n->tender_fd == -1);
	run();
	CHECK(read(n->far_fd, got, sizeof(got)) == sizeof(frame) && memcmp(frame, got, sizeof(frame)) == 0);
	cell = pair[0];
	far = n->far_fd;
	stop();
}

static void test_full_disk(void)
{
	struct pcap *p;
	struct vb_error err;
	static uint8_t frame[60000];
	CHECK(pcap_open("/dev/full", &p, &err) == 0);
	pcap_interface(p, "eth0");
	for (int i = 0; i < 20; i++)
		pcap_frame(p, 0, true, frame, sizeof(frame), NULL);
	CHECK(pcap_flush(p) < 0);
	CHECK(pcap_flush(p) == 0); /* said once */
	CHECK(pcap_lost(p) > 10);
	pcap_close(p);
	CHECK(pcap_open("/nowhere/x", &p, &err) < 0);
}

int main(void)
{
	test_stream();
	test_backpressure();
	test_garbage();
	test_packets();
	test_late();
	test_full_disk();
	return tap_done();
}
