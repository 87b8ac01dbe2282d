/* What the cell says of its own network, when somebody inspects it. Hostile: a copy of fixed size, its figures to be printed and
 * nothing else. A cell that does not answer in time is shown without. */
#include <arpa/inet.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/types.h"
#include "host/file.h"
#include "monitor/cell.h"

#define PATIENCE_NS 300000000l

/* The question is answered, or given up. */
static void settle(struct monitor *m)
{
	watch_remove(m, m->net_timer);
	fd_close(&m->net_timer);
	control_reported(m);
}

static void too_late(struct monitor *m, int fd, short revents, void *arg)
{
	free(m->net_seen); /* what it said an earlier time is not true now */
	m->net_seen = NULL;
	settle(m);
}

bool net_query(struct monitor *m)
{
	if (m->net_timer >= 0)
		return true;
	if (!m->net_count || !m->tender || m->exit_known || m->state == CELL_STOPPED || m->cpu_held)
		return false;
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	struct itimerspec patience = {.it_value.tv_nsec = PATIENCE_NS};
	if (fd < 0 || timerfd_settime(fd, 0, &patience, NULL) < 0 || message_send(m, VB_MSG_NET_QUERY, 0, NULL, 0) < 0) {
		fd_close(&fd);
		return false;
	}
	m->net_timer = fd;
	watch_add(m, fd, POLLIN, too_late, NULL);
	return true;
}

void net_report_request(struct monitor *m, uint32_t tag, const void *payload, size_t len)
{
	if (m->net_timer < 0)
		return; /* too late, or not asked */
	if (!m->net_seen)
		m->net_seen = malloc(sizeof(*m->net_seen));
	if (m->net_seen)
		memcpy(m->net_seen, payload, sizeof(*m->net_seen));
	settle(m);
}

/* --- for people --- */

static json_t *endpoint(bool v6, const uint8_t *ip, unsigned port)
{
	char address[INET6_ADDRSTRLEN];
	inet_ntop(v6 ? AF_INET6 : AF_INET, ip, address, sizeof(address));
	return json_sprintf(v6 ? "[%s]:%u" : "%s:%u", address, port);
}

static json_t *report_socket(const struct vb_net_socket *s)
{
	static const char *const states[] = {[1] = "established",
		[2] = "syn-sent",
		[3] = "syn-received",
		[4] = "fin-wait-1",
		[5] = "fin-wait-2",
		[6] = "time-wait",
		[7] = "closed",
		[8] = "close-wait",
		[9] = "last-ack",
		[10] = "listening",
		[11] = "closing"};
	bool tcp = s->protocol == IPPROTO_TCP;
	json_t *json = json_pack("{s:s, s:o, s:I, s:I}", "protocol", tcp ? "tcp" : "udp", "local", endpoint(s->v6, s->local, s->local_port),
		tcp && s->state == 10 ? "waiting" : "receive_queue", (json_int_t)s->receive_bytes, "send_queue", (json_int_t)s->send_bytes);
	if (s->remote_port)
		json_object_set_new(json, "remote", endpoint(s->v6, s->remote, s->remote_port));
	if (tcp)
		json_object_set_new(
			json, "state", json_string(s->state < VB_ARRAY_LEN(states) && states[s->state] ? states[s->state] : "unknown"));
	return json;
}

static json_t *report_link(const struct vb_net_link *l, unsigned i)
{
	static const uint8_t zero[16];
	char address[INET6_ADDRSTRLEN];
	json_t *json = json_pack("{s:o, s:b, s:I, s:I, s:I, s:I}", "name", json_sprintf("eth%u", i), "up", (int)(l->up != 0), "packets_in",
		(json_int_t)l->packets_in, "bytes_in", (json_int_t)l->bytes_in, "packets_out", (json_int_t)l->packets_out, "bytes_out",
		(json_int_t)l->bytes_out);
	if (memcmp(l->ip4, zero, 4) != 0)
		json_object_set_new(json, "ip4", json_sprintf("%s/%u", inet_ntop(AF_INET, l->ip4, address, sizeof(address)), l->prefix4));
	if (memcmp(l->ip6, zero, 16) != 0)
		json_object_set_new(json, "ip6", json_sprintf("%s/%u", inet_ntop(AF_INET6, l->ip6, address, sizeof(address)), l->prefix6));
	return json;
}

void net_report_add(const struct monitor *m, json_t *net)
{
	const struct vb_msg_net_report *r = m->net_seen;
	if (!r || m->state == CELL_EXITED)
		return;
	json_t *sockets = json_array(), *links = json_array();
	for (unsigned i = 0; r->started && i < m->net_count; i++)
		json_array_append_new(links, report_link(&r->link[i], i));
	for (unsigned i = 0; i < r->socket_count && i < VB_NET_SOCKETS_MAX; i++)
		json_array_append_new(sockets, report_socket(&r->socket[i]));
	json_object_set_new(net, "as_the_cell_says",
		json_pack("{s:b, s:o, s:o, s:I}", "started", (int)(r->started != 0), "links", links, "sockets", sockets, "socket_total",
			(json_int_t)r->socket_total));
}
