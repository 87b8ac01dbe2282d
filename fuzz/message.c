/* Messages of a hostile tender to the monitor: each input is a sequence of packets, a length (two bytes) before each, sent
 * through a real socket. What is behind the table of requests is real where text from the cell goes (logs, traces, descriptor
 * requests), a stand-in elsewhere. */
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/log.h"
#include "monitor/cell.h"
#include "monitor/trace.h"
#include "monitor/volume.h"

static struct trace_printer *lines, *json;

int64_t now_ns(void)
{
	static int64_t ns;
	return ns += 1000000;
}
void watch_add(struct monitor *m, int fd, short events, watch_fn *ready, void *arg) {}
void watch_remove(struct monitor *m, int fd) {}
void watch_events(struct monitor *m, int fd, short events) {}
void monitor_stop(struct monitor *m) {}
void together_request(struct monitor *m) {}
void terminal_save(struct monitor *m, int fd) {}
void control_debug_out(struct monitor *m, const void *payload, size_t len) {}
void log_error(const char *fmt, ...) {}

void control_trace(struct monitor *m, const void *payload, size_t len)
{
	trace_printer_record(lines, payload, len);
	trace_printer_record(json, payload, len);
}

size_t volume_request(struct volume *v, const void *t, size_t len, void *reply, size_t size)
{
	memset(reply, 0, 7);
	return 7;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!lines) {
		FILE *null = fopen("/dev/null", "w");
		lines = trace_printer_new(&(struct trace_options){.out = null});
		json = trace_printer_new(&(struct trace_options){.out = null, .json = true});
	}
	int pair[2], file = open("/tmp", O_TMPFILE | O_RDWR, 0600);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) < 0)
		abort();
	struct monitor_options options = {.volume_count = 1};
	struct monitor m = {.options = &options,
		.socket = pair[0],
		.stdio_fd = {file, file, file},
		.log = {.dir_fd = -1, .fd = -1},
		.cells_fd = -1,
		.dir_fd = -1,
		.output_fd = {-1, -1},
		.volumes = {(struct volume *)&options}};
	list_init(&m.queue);
	while (size >= 2 && !m.condemned) {
		size_t len = (size_t)data[0] | (size_t)data[1] << 8;
		data += 2;
		size -= 2;
		len = len < size ? len : size;
		send(pair[1], data, len, MSG_DONTWAIT);
		messages_ready(&m, pair[0], POLLIN | POLLOUT, NULL);
		data += len;
		size -= len;
		char answer[4096];
		while (recv(pair[1], answer, sizeof(answer), MSG_DONTWAIT) > 0)
			;
	}
	messages_release(&m);
	close(pair[0]);
	close(pair[1]);
	close(file);
	return 0;
}
