/* Text of the cell: bounded in size and rate, so that a cell can't fill the host's disk or its user's terminal. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "host/file.h"
#include "host/log.h"
#include "monitor/cell.h"

#define LOG_HALF_BYTES   (8ull << 20)
#define NOTES_PER_SECOND 50.0
#define NOTES_BURST      200.0

static bool log_open(struct cell_log *log)
{
	if (log->dir_fd < 0)
		return false;
	if (log->fd >= 0 && log->bytes > LOG_HALF_BYTES) {
		renameat(log->dir_fd, "log", log->dir_fd, "log.1");
		fd_close(&log->fd);
	}
	if (log->fd < 0) {
		log->fd = openat(log->dir_fd, "log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
		log->bytes = 0;
	}
	return log->fd >= 0;
}

/* A line in one write: a reader sees whole lines. A full disk loses them; the cell must not notice. */
void cell_log_write(struct cell_log *log, const char *stream, const char *text, size_t len)
{
	char prefix[64], stamp[32];
	struct timespec now;
	struct tm tm;
	clock_gettime(CLOCK_REALTIME, &now);
	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", gmtime_r(&now.tv_sec, &tm));
	while (len) {
		const char *end = memchr(text, '\n', len);
		size_t part = end ? (size_t)(end - text) : len;
		int n = snprintf(prefix, sizeof(prefix), "%s.%09ldZ %s %c ", stamp, now.tv_nsec, stream, end ? 'F' : 'P');
		struct iovec line[] = {{prefix, (size_t)n}, {(void *)text, part}, {"\n", 1}};
		if (!log_open(log))
			return;
		ssize_t written = writev(log->fd, line, 3);
		log->bytes += written > 0 ? (uint64_t)written : 0;
		part += end != NULL;
		text += part;
		len -= part;
	}
}

/* Refills with time; false: too many. */
static bool take_token(struct monitor *m)
{
	int64_t now = now_ns();
	m->log_tokens += (double)(now - m->log_refilled_ns) / 1e9 * NOTES_PER_SECOND;
	if (m->log_tokens > NOTES_BURST)
		m->log_tokens = NOTES_BURST;
	m->log_refilled_ns = now;
	if (m->log_tokens < 1)
		return false;
	m->log_tokens -= 1;
	return true;
}

void log_request(struct monitor *m, uint32_t tag, const void *payload, size_t len)
{
	static const char lockdown[] = "lockdown: ";
	char text[1024];
	size_t used = 0;
	for (; used < len && used < sizeof(text) - 2; used++) {
		unsigned char c = ((const unsigned char *)payload)[used];
		text[used] = c < 32 || c > 126 ? '?' : (char)c;
	}
	text[used] = 0;
	/* The tender itself speaks first, and says this once. */
	if (!m->lockdown[0] && strncmp(text, lockdown, sizeof(lockdown) - 1) == 0) {
		size_t room = sizeof(m->lockdown) - 1, skip = sizeof(lockdown) - 1;
		memcpy(m->lockdown, text + skip, used - skip < room ? used - skip : room);
		return;
	}
	if (!take_token(m)) {
		m->log_dropped++;
		return;
	}
	if (m->log_dropped) {
		char note[64];
		int n = snprintf(note, sizeof(note), "(%llu notes dropped)\n", (unsigned long long)m->log_dropped);
		cell_log_write(&m->log, "note", note, (size_t)n);
		m->log_dropped = 0;
	}
	if (tag == 0 && !m->options->detach) {
		log_error("%s", text);
		m->error_said = true;
	}
	text[used] = '\n';
	cell_log_write(&m->log, tag == 0 ? "error" : tag == 1 ? "warning" : "note", text, used + 1);
}
