/* The control socket: what other commands of the same user ask of a running cell. Protocol in client.h. Clients are
 * trusted to mean well once their user is known, not to be quick: nothing here waits for them. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/types.h"
#include "host/file.h"
#include "monitor/cell.h"
#include "monitor/trace.h"

#define CLIENTS_MAX    12u
#define LINE_MAX_BYTES 1024u

enum client_kind { CLIENT_ASKING, CLIENT_WAITING, CLIENT_TRACING, CLIENT_INSPECTING };

struct client {
	struct list link;
	int fd;
	enum client_kind kind;
	size_t len;
	char line[LINE_MAX_BYTES];
};

enum debug_tag { DEBUG_BYTES = 0, DEBUG_ATTACHED = 1, DEBUG_DETACHED = 2 };

/* --- answers --- */

static void client_drop(struct monitor *m, struct client *c)
{
	if (c->kind == CLIENT_TRACING && --m->tracers == 0 && !m->options->trace)
		message_send(m, VB_MSG_TRACE_SET, 0, NULL, 0);
	watch_remove(m, c->fd);
	close(c->fd);
	list_remove(&c->link);
	m->client_count--;
	free(c);
}

/* An answer fits the socket's buffer, or the client goes without. */
static void answer(struct client *c, json_t *json_taken)
{
	char *text = json_dumps(json_taken, JSON_COMPACT);
	json_decref(json_taken);
	size_t len = text ? strlen(text) : 0;
	if (text) {
		text[len] = '\n';
		send(c->fd, text, len + 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	}
	free(text);
}

static void answer_error(struct client *c, const char *text)
{
	answer(c, json_pack("{s:s}", "error", text));
}

static json_t *exit_answer(const struct monitor *m)
{
	return json_pack("{s:i, s:i}", "status", m->exit.status, "signal", m->exit.signal);
}

/* --- debugger --- */

static bool same_user(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);
	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && (peer.uid == geteuid() || peer.uid == 0);
}

static void debugger_gone(struct monitor *m)
{
	watch_remove(m, m->debugger);
	fd_close(&m->debugger);
	message_send(m, VB_MSG_DEBUG_IN, DEBUG_DETACHED, NULL, 0);
}

static void debugger_ready(struct monitor *m, int fd, short revents, void *arg)
{
	char bytes[4096];
	ssize_t n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 || message_send(m, VB_MSG_DEBUG_IN, DEBUG_BYTES, bytes, (size_t)n) < 0)
		debugger_gone(m);
}

static void debug_accept(struct monitor *m, int listener, short revents, void *arg)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0)
		return;
	if (m->debugger >= 0 || !same_user(fd)) {
		close(fd);
		return;
	}
	m->debugger = fd;
	watch_add(m, fd, POLLIN, debugger_ready, NULL);
	message_send(m, VB_MSG_DEBUG_IN, DEBUG_ATTACHED, NULL, 0);
}

void control_debug_out(struct monitor *m, const void *payload, size_t len)
{
	if (!gdb_may_hear(&m->gdb_state, payload, len))
		return tender_condemn(m, "asks the debugger for files of the host");
	/* gdb asks and waits: what does not fit the socket's buffer is no honest answer. */
	if (m->debugger >= 0 && send(m->debugger, payload, len, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)len)
		debugger_gone(m);
}

static int listen_at(struct monitor *m, const char *name, watch_fn *ready)
{
	/* Relative to the cell's folder, where the monitor lives: a path of any length would do. */
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	strcpy(address.sun_path, name);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 16) < 0)
		fd_close(&fd);
	else
		watch_add(m, fd, POLLIN, ready, NULL);
	return fd;
}

/* --- requests --- */

static void do_inspect(struct monitor *m, struct client *c, json_t *request)
{
	if (net_query(m))
		c->kind = CLIENT_INSPECTING; /* control_reported() goes on */
	else
		answer(c, report_state(m));
}

void control_reported(struct monitor *m)
{
	list_for_each(c, &m->clients, struct client, link) {
		if (c->kind != CLIENT_INSPECTING)
			continue;
		c->kind = CLIENT_ASKING;
		answer(c, report_state(m));
	}
}

static void do_signal(struct monitor *m, struct client *c, json_t *request)
{
	json_int_t sig = json_integer_value(json_object_get(request, "signal"));
	if (sig < 1 || sig > 64)
		return answer_error(c, "no such signal");
	answer(c, json_object());
	monitor_signal(m, (int)sig);
}

static void do_wait(struct monitor *m, struct client *c, json_t *request)
{
	c->kind = CLIENT_WAITING;
}

static void do_trace(struct monitor *m, struct client *c, json_t *request)
{
	answer(c, json_object());
	c->kind = CLIENT_TRACING;
	if (m->tracers++ == 0)
		message_send(m, VB_MSG_TRACE_SET, 1, NULL, 0);
}

static void do_debug(struct monitor *m, struct client *c, json_t *request)
{
	if (m->debugger >= 0)
		return answer_error(c, "another debugger is attached to the cell");
	if (m->debug_listener < 0)
		m->debug_listener = listen_at(m, "debug", debug_accept);
	if (m->debug_listener < 0)
		return answer_error(c, "can't make the debug socket");
	answer(c, json_pack("{s:s}", "socket", "debug"));
}

static const struct control_verb {
	const char *name;
	void (*run)(struct monitor *m, struct client *c, json_t *request);
} verbs[] = {{"inspect", do_inspect}, {"signal", do_signal}, {"wait", do_wait}, {"trace", do_trace}, {"debug", do_debug}};

static void serve(struct monitor *m, struct client *c, const char *line, size_t len)
{
	json_t *request = json_loadb(line, len, 0, NULL);
	const char *verb = json_string_value(json_object_get(request, "verb"));
	size_t i = 0;
	while (i < VB_ARRAY_LEN(verbs) && (!verb || strcmp(verbs[i].name, verb) != 0))
		i++;
	if (i < VB_ARRAY_LEN(verbs))
		verbs[i].run(m, c, request);
	else
		answer_error(c, "unknown request");
	json_decref(request);
}

static void client_ready(struct monitor *m, int fd, short revents, void *arg)
{
	struct client *c = arg;
	ssize_t n = recv(fd, c->line + c->len, sizeof(c->line) - c->len, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 || c->kind != CLIENT_ASKING)
		return client_drop(m, c); /* gone, or talking out of turn */
	c->len += (size_t)n;
	char *end = memchr(c->line, '\n', c->len);
	if (!end && c->len == sizeof(c->line))
		return client_drop(m, c);
	if (!end)
		return;
	serve(m, c, c->line, (size_t)(end - c->line));
	c->len = 0;
}

static void control_accept(struct monitor *m, int listener, short revents, void *arg)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	struct client *c = fd >= 0 && m->client_count < CLIENTS_MAX && same_user(fd) ? calloc(1, sizeof(*c)) : NULL;
	if (!c) {
		fd_close(&fd);
		return;
	}
	c->fd = fd;
	list_push_back(&m->clients, &c->link);
	m->client_count++;
	watch_add(m, fd, POLLIN, client_ready, c);
}

void control_start(struct monitor *m)
{
	if (m->dir_fd >= 0)
		m->control_listener = listen_at(m, "control", control_accept);
}

void control_trace(struct monitor *m, const void *payload, size_t len)
{
	if (m->options->trace)
		trace_printer_record(m->options->trace, payload, len);
	list_for_each_safe(c, next, &m->clients, struct client, link)
		if (c->kind == CLIENT_TRACING && !trace_relay(c->fd, payload, len))
			client_drop(m, c);
}

void control_exited(struct monitor *m)
{
	list_for_each_safe(c, next, &m->clients, struct client, link) {
		if (c->kind == CLIENT_WAITING)
			answer(c, exit_answer(m));
		if (c->kind == CLIENT_INSPECTING)
			answer(c, report_state(m));
		client_drop(m, c);
	}
	fd_close(&m->debugger);
	fd_close(&m->debug_listener);
	fd_close(&m->control_listener);
}
