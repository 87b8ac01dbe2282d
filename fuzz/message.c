/* Messages of a hostile tender to the monitor: each input is a sequence of packets, a length (two bytes) before each, sent
 * through a real socket. What is behind the table of requests is real where text from the cell goes (logs, traces, descriptor
 * requests, the debugger's bytes), a stand-in elsewhere. Whatever they say: text for a terminal is printable, JSON is JSON, and
 * nobody but the tender is killed. A first byte that is odd: the tender does not read what it is told. */
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
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

#define TENDER   12345
#define NO_TIMER 1000000 /* a descriptor that is not open */

static struct trace_printer *lines, *json;
static FILE *line_text, *json_text;
static char line_buffer[1 << 16], json_buffer[1 << 16];
static int terminal, terminal_master;

int kill(pid_t pid, int sig)
{
	if (pid != TENDER || sig != SIGKILL)
		abort();
	return 0;
}

static void check_printable(const char *s)
{
	for (; *s; s++)
		if ((*s < 32 && *s != '\n') || *s == 127)
			abort();
}

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
void net_start_request(struct monitor *m, uint32_t tag, const void *payload, size_t len) {}

/* Somebody inspects the cell, always. */
void control_reported(struct monitor *m)
{
	json_t *report = json_object();
	net_report_add(m, report);
	char *text = json_dumps(report, 0);
	if (!text)
		abort();
	free(text);
	json_decref(report);
	m->net_timer = NO_TIMER;
}

void control_debug_out(struct monitor *m, const void *payload, size_t len)
{
	if (!gdb_may_hear(&m->gdb_state, payload, len))
		tender_condemn(m, "asks the debugger");
}

void log_error(const char *fmt, ...)
{
	char line[2048];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	check_printable(line);
}

static void take(FILE *stream, char *buffer)
{
	fputc(0, stream);
	fflush(stream);
	check_printable(buffer);
	rewind(stream);
}

void control_trace(struct monitor *m, const void *payload, size_t len)
{
	trace_printer_record(lines, payload, len);
	take(line_text, line_buffer);
	trace_printer_record(json, payload, len);
	take(json_text, json_buffer);
	json_t *value = *json_buffer ? json_loads(json_buffer, 0, NULL) : json_null();
	if (!value)
		abort();
	json_decref(value);
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
		line_text = fmemopen(line_buffer, sizeof(line_buffer), "w");
		json_text = fmemopen(json_buffer, sizeof(json_buffer), "w");
		lines = trace_printer_new(&(struct trace_options){.out = line_text});
		json = trace_printer_new(&(struct trace_options){.out = json_text, .json = true});
		terminal_master = posix_openpt(O_RDWR | O_NOCTTY);
		if (terminal_master < 0 || grantpt(terminal_master) || unlockpt(terminal_master))
			abort();
		terminal = open(ptsname(terminal_master), O_RDWR | O_NOCTTY);
	}
	bool reads = !size || data[0] % 2 == 0;
	int pair[2], file = open("/tmp", O_TMPFILE | O_RDWR, 0600);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) < 0)
		abort();
	struct monitor_options options = {.volume_count = 1};
	struct monitor m = {.options = &options,
		.socket = pair[0],
		.stdio_fd = {file, terminal, file},
		.tender = TENDER,
		.debugger = -1,
		.net_count = VB_NETS_MAX,
		.net_timer = NO_TIMER,
		.log = {.dir_fd = -1, .fd = -1},
		.cells_fd = -1,
		.dir_fd = -1,
		.output_fd = {-1, -1},
		.volumes = {(struct volume *)&options}};
	list_init(&m.queue);
	stdio_describe(&m);
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
		if (m.queued > 64 || (m.exit_known && (m.exit.status & ~255 || (unsigned)m.exit.signal > 64)))
			abort();
		while (reads && recv(pair[1], answer, sizeof(answer), MSG_DONTWAIT) > 0)
			;
	}
	messages_release(&m);
	free(m.net_seen);
	close(pair[0]);
	close(pair[1]);
	close(file);
	return 0;
}
