/* Where the cell's standard descriptors come from and go to.
 *
 * In the foreground they are the caller's own, a terminal included: only its attributes go through the monitor, which
 * gives them back at the end as it found them. -t without a terminal, or detached, makes a pseudoterminal; detached
 * without -t, pipes into the log.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "base/types.h"
#include "host/file.h"
#include "monitor/cell.h"

#define CHUNK_BYTES 4096 /* a pipe that polls writable takes that much without blocking */

/* Bytes on their way from one descriptor to another. */
struct chunk {
	size_t at, len; /* what is not written yet */
	char bytes[CHUNK_BYTES];
};

struct terminal {
	bool saved[3];
	struct termios attributes[3];
	int pty; /* master; -1: none */
	bool input_ended;
	struct chunk in, out; /* through the pseudoterminal */
};

void terminal_save(struct monitor *m, int fd)
{
	struct terminal *t = m->terminal;
	if (!t->saved[fd] && t->pty < 0)
		t->saved[fd] = tcgetattr(m->stdio_fd[fd], &t->attributes[fd]) == 0;
}

/* --- making them --- */

static int open_pty(struct monitor *m, struct vb_error *err)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0) {
		vb_error_errno(err, "can't make a pseudoterminal");
		fd_close(&master);
		return -EIO;
	}
	int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0)
		slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0) {
		vb_error_errno(err, "can't open the pseudoterminal");
		close(master);
		return -EIO;
	}
	struct winsize size = {.ws_row = 24, .ws_col = 80};
	for (int fd = 2; fd >= 0; fd--)
		if (ioctl(fd, TIOCGWINSZ, &size) == 0)
			break;
	ioctl(slave, TIOCSWINSZ, &size);
	m->terminal->pty = master;
	for (int i = 0; i < 3; i++) {
		m->stdio_fd[i] = slave;
		m->stdio_closed[i] = false;
	}
	return 0;
}

static int open_pipes(struct monitor *m, struct vb_error *err)
{
	for (int i = 1; i < 3; i++) {
		int pair[2];
		if (pipe2(pair, O_CLOEXEC) < 0)
			return vb_error_errno(err, "can't make a pipe");
		fcntl(pair[0], F_SETFL, O_NONBLOCK);
		m->output_fd[i - 1] = pair[0];
		m->stdio_fd[i] = pair[1];
		m->stdio_closed[i] = false;
	}
	/* Detached, the monitor's own standard input is /dev/null. */
	m->stdio_fd[0] = m->caller_stdin >= 0 ? m->caller_stdin : STDIN_FILENO;
	return 0;
}

int terminal_init(struct monitor *m, struct vb_error *err)
{
	static struct terminal the_terminal;
	m->terminal = &the_terminal;
	m->terminal->pty = -1;
	int r = 0;
	for (int i = 0; i < 3; i++) {
		m->stdio_fd[i] = i;
		m->stdio_closed[i] = fd_is_closed(i);
	}
	if (m->options->terminal && (m->options->detach || !isatty(STDIN_FILENO)))
		r = open_pty(m, err);
	else if (m->options->detach)
		r = open_pipes(m, err);
	return r;
}

/* --- moving bytes --- */

static void chunk_read(struct chunk *c, int fd, bool *ended)
{
	ssize_t n = read(fd, c->bytes, sizeof(c->bytes));
	c->at = 0;
	c->len = n > 0 ? (size_t)n : 0;
	*ended = n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

/* What can't be written because nobody reads any more is dropped. */
static void chunk_write(struct chunk *c, int fd)
{
	ssize_t n = write(fd, c->bytes + c->at, c->len);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	c->at += n > 0 ? (size_t)n : 0;
	c->len -= n > 0 ? (size_t)n : c->len;
}

static void put_output(struct monitor *m)
{
	struct chunk *out = &m->terminal->out;
	if (!m->options->detach) {
		chunk_write(out, STDOUT_FILENO);
		return;
	}
	cell_log_write(&m->log, "stdout", out->bytes, out->len);
	out->len = 0;
}

/* The pseudoterminal: does what can be done without blocking, then asks for what could not. */
static void pump(struct monitor *m, int fd, short revents, void *arg)
{
	struct terminal *t = m->terminal;
	bool ended, output_here = !m->options->detach;
	struct pollfd p[] = {{t->pty, POLLIN | POLLOUT, 0}, {t->input_ended ? -1 : STDIN_FILENO, POLLIN, 0},
		{output_here ? STDOUT_FILENO : -1, POLLOUT, 0}};
	poll(p, 3, 0);
	if (p[1].revents && t->in.len == 0) {
		chunk_read(&t->in, STDIN_FILENO, &t->input_ended);
		if (t->input_ended) {
			t->in.bytes[0] = 4; /* the end of input, as a terminal says it */
			t->in.len = 1;
		}
	}
	if (p[0].revents & POLLOUT && t->in.len)
		chunk_write(&t->in, t->pty);
	if (p[0].revents & POLLIN && t->out.len == 0)
		chunk_read(&t->out, t->pty, &ended);
	if (t->out.len && (!output_here || p[2].revents))
		put_output(m);
	watch_events(m, t->pty, (short)((t->out.len ? 0 : POLLIN) | (t->in.len ? POLLOUT : 0)));
	watch_events(m, STDIN_FILENO, t->in.len || t->input_ended ? 0 : POLLIN);
	watch_events(m, STDOUT_FILENO, t->out.len ? POLLOUT : 0);
}

/* Output of a detached cell. False: nothing there now. */
static bool take_output(struct monitor *m, int stream)
{
	char bytes[CHUNK_BYTES];
	ssize_t n = read(m->output_fd[stream], bytes, sizeof(bytes));
	if (n > 0)
		cell_log_write(&m->log, stream ? "stderr" : "stdout", bytes, (size_t)n);
	return n > 0;
}

static void output_ready(struct monitor *m, int fd, short revents, void *arg)
{
	take_output(m, fd == m->output_fd[1]);
}

void terminal_start(struct monitor *m)
{
	struct terminal *t = m->terminal;
	if (t->pty >= 0) {
		t->input_ended = m->options->detach;
		watch_add(m, t->pty, POLLIN, pump, NULL);
		watch_add(m, STDIN_FILENO, t->input_ended ? 0 : POLLIN, pump, NULL);
		watch_add(m, STDOUT_FILENO, 0, pump, NULL);
	}
	for (int i = 0; i < 2; i++)
		if (m->output_fd[i] >= 0)
			watch_add(m, m->output_fd[i], POLLIN, output_ready, NULL);
}

void terminal_window_changed(struct monitor *m)
{
	struct winsize size;
	int from = m->terminal->pty >= 0 ? STDOUT_FILENO : m->stdio_fd[m->stdio[0].kind == VB_STDIO_TTY ? 0 : 1];
	if (ioctl(from, TIOCGWINSZ, &size) < 0)
		return;
	if (m->terminal->pty >= 0)
		ioctl(m->terminal->pty, TIOCSWINSZ, &size);
	struct vb_msg_winsize message = {size.ws_row, size.ws_col, size.ws_xpixel, size.ws_ypixel};
	message_send(m, VB_MSG_WINSIZE, 0, &message, sizeof(message));
}

void terminal_release(struct monitor *m)
{
	struct terminal *t = m->terminal;
	bool ended = false;
	if (!t)
		return;
	for (int i = 0; i < 2; i++) {
		while (m->output_fd[i] >= 0 && take_output(m, i))
			;
		fd_close(&m->output_fd[i]);
	}
	while (t->pty >= 0 && !ended) {
		while (t->out.len)
			put_output(m);
		chunk_read(&t->out, t->pty, &ended);
		ended |= t->out.len == 0;
	}
	fd_close(&t->pty);
	for (int i = 0; i < 3; i++)
		if (t->saved[i])
			tcsetattr(m->stdio_fd[i], TCSANOW, &t->attributes[i]);
}
