/* TCP sockets: the system calls. Owns struct tcp_socket; trusts nothing from the program. See tcp.h. */
#include "kernel/net/net.h"
#include "kernel/net/tcp.h"

#include "lwip/priv/tcp_priv.h"

#include <asm/ioctls.h>
#include <asm/socket.h>
#include <linux/sockios.h>

static const struct socket_ops tcp_ops;

static struct tcp_socket *socket_new(int family)
{
	struct tcp_socket *s = kzalloc(sizeof(*s));

	if (!s)
		return NULL;
	inet_socket_init(&s->inet, &tcp_ops, family, SOCK_STREAM, IPPROTO_TCP);
	s->inet.base.send_buffer = SEND_BUFFER;
	s->inet.base.receive_buffer = RECEIVE_BUFFER;
	list_init(&s->node);
	list_init(&s->half_open);
	list_init(&s->accept);
	list_init(&s->accept_node);
	list_init(&s->chunks);
	s->keep_idle_s = 7200;
	s->keep_interval_s = 75;
	s->keep_count = 9;
	return s;
}

int tcp_create(int family, int protocol, struct socket **ret)
{
	if (protocol && protocol != IPPROTO_TCP)
		return -EPROTONOSUPPORT;
	int r = inet_start();
	if (r)
		return r;
	struct tcp_socket *s = socket_new(family);
	if (!s)
		return -ENOMEM;
	*ret = &s->inet.base;
	return 0;
}

static int tcp_bind_socket(struct socket *base, const uint8_t *name, unsigned len)
{
	struct tcp_socket *s = tcp_of(base);

	return inet_bind(&s->inet, IPPROTO_TCP, s->state != TCP_CLOSED_, name, len);
}

/* --- connect --- */

static bool tuple_taken(struct inet_socket *i, uint16_t port)
{
	return tcp_lookup(&i->local, port, &i->remote, i->remote_port) || (port == i->remote_port && ip_addr_cmp(&i->local, &i->remote));
}

/* Back to what a fresh socket is; the port stays if the program chose it. */
static void disconnect(struct tcp_socket *s, bool reset)
{
	tcp_abort_connection(s, reset);
	tcp_drop_data(s);
	s->state = TCP_CLOSED_;
	s->shut = 0;
	s->announced = s->fin_wanted = s->fin_sent = s->more = s->fresh = false;
	s->cork_deadline_ns = 0;
	s->unreported = s->window_read = 0;
	s->inet.remote_port = 0;
	s->inet.remote = *inet_any(&s->inet);
	if (!s->inet.bound) {
		s->inet.local = *inet_any(&s->inet);
		inet_port_release(&s->inet);
	}
}

static int start_connection(struct tcp_socket *s, const ip_addr_t *to, uint16_t port)
{
	struct inet_socket *i = &s->inet;
	struct netif *netif;
	ip_addr_t from;

	net_timers_catch_up();
	int r = inet_route(to, i->base.bound_index, &netif, &from);
	if (r)
		return r;
	if (ip_addr_isany(&i->local))
		i->local = from;
	else if (IP_IS_V6_VAL(i->local) != IP_IS_V6(to))
		return IP_IS_V6(to) ? -EAFNOSUPPORT : -ENETUNREACH;
	i->remote = *to;
	i->remote_port = port;
	if (!i->port)
		r = inet_port_connect(IPPROTO_TCP, i, tuple_taken);
	else if (tuple_taken(i, i->local_port))
		r = -EADDRNOTAVAIL;
	if (!r)
		r = tcp_pcb_attach(s);
	if (r)
		return r;
	s->pcb->local_ip = i->local;
	s->pcb->local_port = i->local_port;
	if (i->base.bound_index)
		tcp_bind_netif(s->pcb, netif);
	tcp_apply_options(s);
	s->state = TCP_CONNECTING;
	return inet_error(tcp_connect(s->pcb, to, port, tcp_on_connected));
}

static int decode_destination(struct tcp_socket *s, const uint8_t *name, unsigned len, ip_addr_t *ret_ip, uint16_t *ret_port)
{
	int r = inet_name_decode(&s->inet, name, len, ret_ip, ret_port);

	if (r)
		return r;
	if (ip_addr_isany(ret_ip)) /* oneself */
		*ret_ip = s->inet.base.family == AF_INET ? (ip_addr_t)IPADDR4_INIT(PP_HTONL(IPADDR_LOOPBACK)) : (ip_addr_t)IPADDR6_INIT(0, 0, 0, PP_HTONL(1));
	if (ip_addr_ismulticast(ret_ip) || (IP_IS_V4(ret_ip) && ip_addr_get_ip4_u32(ret_ip) == 0xffffffff))
		return -ENETUNREACH;
	return 0;
}

/* The end of a connect() that has waited or had not to. */
static int connect_result(struct tcp_socket *s)
{
	if (s->state == TCP_CONNECTED && !s->announced) {
		s->announced = true;
		return 0;
	}
	if (s->state == TCP_CONNECTED)
		return -EISCONN;
	int error = s->inet.base.error;
	s->inet.base.error = 0;
	disconnect(s, false);
	return error ? -error : -ECONNABORTED;
}

/* `pending`: what to say of a connection that is not there yet. */
static int await_connection(struct tcp_socket *s, bool nonblock, int pending)
{
	uint64_t timeout = s->inet.base.send_timeout_ns;

	if (nonblock)
		return pending;
	int r = wait_until(&s->inet.wait, s->state != TCP_CONNECTING, deadline_after(timeout));
	if (r == -ETIMEDOUT)
		return pending;
	return r ? socket_wait_error(r, timeout) : connect_result(s);
}

static int tcp_connect_socket(struct socket *base, const uint8_t *name, unsigned len, bool nonblock)
{
	struct tcp_socket *s = tcp_of(base);
	ip_addr_t to;
	uint16_t port, family = 0;

	if (len < sizeof(family))
		return -EINVAL;
	memcpy(&family, name, sizeof(family));
	if (family == AF_UNSPEC) {
		if (s->state == TCP_LISTENING)
			tcp_stop_listening(s);
		bool reset = s->pcb && s->pcb->state != LAST_ACK && s->pcb->state != CLOSING && s->pcb->state != TIME_WAIT;
		disconnect(s, true);
		s->was_connected = false;
		base->error = reset ? ECONNRESET : 0;
		tcp_wake(s, POLL_IN | POLL_OUT | POLL_HUP | POLL_ERR);
		inet_run();
		return 0;
	}
	if (s->state == TCP_LISTENING)
		return -EISCONN;
	if (s->state == TCP_CONNECTING)
		return await_connection(s, nonblock, -EALREADY);
	if (s->state == TCP_CONNECTED || (s->inet.remote_port && !s->announced))
		return connect_result(s);
	if (s->inet.remote_port) /* was connected, and is not yet disconnected */
		return -EISCONN;
	int r = decode_destination(s, name, len, &to, &port);
	if (!r)
		r = inet_wait_configured(nonblock);
	if (!r)
		r = start_connection(s, &to, port);
	if (r) {
		disconnect(s, false);
		return r;
	}
	tcp_hash_add(s);
	s->listed = true; /* lwIP put it there */
	inet_run();
	return await_connection(s, nonblock, -EINPROGRESS);
}

/* --- listen and accept --- */

void tcp_stop_listening(struct tcp_socket *s)
{
	list_for_each_safe(h, next, &s->half_open, struct tcp_socket, accept_node) {
		tcp_abort_connection(h, false);
		tcp_free_socket(h);
	}
	list_for_each_safe(a, next, &s->accept, struct tcp_socket, accept_node) {
		tcp_abort_connection(a, true);
		tcp_free_socket(a);
	}
	tcp_close(s->listen_pcb);
	s->listen_pcb = NULL;
	s->inet.base.listening = false;
	s->state = TCP_CLOSED_;
}

static int tcp_listen_socket(struct socket *base, int backlog)
{
	struct tcp_socket *s = tcp_of(base);

	if (s->state == TCP_CONNECTING || s->state == TCP_CONNECTED || s->inet.remote_port)
		return -EINVAL;
	s->backlog = backlog < 0 || (unsigned)backlog > BACKLOG_MAX ? BACKLOG_MAX : (unsigned)backlog;
	if (s->state == TCP_LISTENING)
		return 0;
	int r = s->inet.port ? 0 : inet_port_bind(IPPROTO_TCP, &s->inet, 0);
	if (r)
		return r;
	if (!inet_port_may_listen(&s->inet))
		return -EADDRINUSE;
	struct tcp_pcb *pcb = tcp_new_ip_type(IP_GET_TYPE(&s->inet.local)), *listen;
	if (!pcb)
		return -ENOBUFS;
	pcb->local_ip = s->inet.local;
	pcb->local_port = s->inet.local_port;
	pcb->netif_idx = s->inet.base.bound_index;
	TCP_REG(&tcp_bound_pcbs, pcb);
	tcp_mark_listener(pcb);
	listen = tcp_listen_with_backlog(pcb, 255);
	if (!listen) {
		tcp_abort(pcb);
		return -ENOBUFS;
	}
	tcp_arg(listen, s);
	tcp_accept(listen, tcp_on_accept);
	s->listen_pcb = listen;
	s->shut = 0;
	s->state = TCP_LISTENING;
	base->listening = true;
	return 0;
}

static int tcp_accept_socket(struct socket *base, bool nonblock, struct socket **ret)
{
	struct tcp_socket *s = tcp_of(base);
	uint64_t timeout = base->receive_timeout_ns;

	if (s->state != TCP_LISTENING)
		return -EINVAL;
	if (list_empty(&s->accept)) {
		if (nonblock)
			return -EAGAIN;
		int r = wait_until(&s->inet.wait, !list_empty(&s->accept) || s->state != TCP_LISTENING, deadline_after(timeout));
		if (r)
			return socket_wait_error(r, timeout);
		if (s->state != TCP_LISTENING)
			return -EINVAL;
	}
	struct tcp_socket *a = list_first(&s->accept, struct tcp_socket, accept_node);
	list_remove(&a->accept_node);
	s->accept_count--;
	a->listener = NULL;
	if (s->accept_count == s->backlog) /* some may have waited for room */
		tcp_answered();
	if (!a->pcb) /* reset while it waited */
		a->state = TCP_CLOSED_;
	*ret = &a->inet.base;
	return 0;
}

struct tcp_socket *tcp_new_accepted(struct tcp_socket *listener)
{
	struct tcp_socket *s = socket_new(listener->inet.base.family);

	if (!s)
		return NULL;
	struct socket *b = &s->inet.base;
	const struct socket *l = &listener->inet.base;
	b->send_buffer = l->send_buffer;
	b->receive_buffer = l->receive_buffer;
	b->receive_low = l->receive_low;
	b->send_timeout_ns = l->send_timeout_ns;
	b->receive_timeout_ns = l->receive_timeout_ns;
	b->priority = l->priority;
	b->mark = l->mark;
	b->flags = l->flags;
	b->linger_s = l->linger_s;
	s->inet.v6only = listener->inet.v6only;
	s->inet.owner = listener->inet.owner;
	s->inet.base.bound_index = listener->inet.base.bound_index;
	s->inet.ttl = listener->inet.ttl;
	s->inet.hops = listener->inet.hops;
	s->inet.tos = listener->inet.tos;
	s->inet.tclass = listener->inet.tclass;
	tcp_inherit_options(s, listener);
	return s;
}

/* --- the end --- */

static int tcp_shutdown_socket(struct socket *base, int how)
{
	struct tcp_socket *s = tcp_of(base);

	switch (s->state) {
	case TCP_LISTENING:
		if (how & SHUT_READ) {
			tcp_stop_listening(s);
			s->shut = SHUT_READ | SHUT_WRITE;
			tcp_wake(s, POLL_IN | POLL_HUP | POLL_RDHUP);
		}
		return 0;
	case TCP_CONNECTING:
		disconnect(s, true);
		s->shut |= how;
		tcp_wake(s, POLL_IN | POLL_OUT | POLL_HUP | POLL_RDHUP);
		inet_run();
		return 0;
	case TCP_CLOSED_:
		return -ENOTCONN;
	default:
		break;
	}
	s->shut |= how;
	if (how & SHUT_WRITE && !s->fin_wanted) {
		s->fin_wanted = true;
		tcp_touch(s);
		inet_run();
	}
	unsigned read = how & SHUT_READ ? POLL_IN | POLL_RDNORM | POLL_RDHUP : 0, both = s->shut == (SHUT_READ | SHUT_WRITE) ? POLL_HUP : 0;
	tcp_wake(s, read | both | POLL_OUT | POLL_WRNORM);
	return 0;
}

/* Waits for the data of a socket with SO_LINGER to be acknowledged. */
static void linger(struct tcp_socket *s)
{
	uint64_t deadline = deadline_after((uint64_t)vb_max(s->inet.base.linger_s, 0) * NSEC_PER_SEC);

	wait_until(&s->inet.wait, !s->pcb || s->pcb->state == FIN_WAIT_2 || s->pcb->state == TIME_WAIT, deadline);
}

static void tcp_release(struct socket *base)
{
	struct tcp_socket *s = tcp_of(base);
	bool lingers = base->flags >> SO_LINGER & 1;

	if (s->state == TCP_LISTENING)
		tcp_stop_listening(s);
	if (!s->pcb) {
		tcp_free_socket(s);
		inet_run();
		return;
	}
	if (s->state == TCP_CONNECTING || s->received_bytes || (lingers && base->linger_s == 0)) {
		tcp_abort_connection(s, s->state != TCP_CONNECTING);
		tcp_free_socket(s);
		inet_run();
		return;
	}
	s->fin_wanted = true;
	s->shut = SHUT_READ | SHUT_WRITE;
	if (lingers) {
		tcp_touch(s);
		inet_run();
		linger(s);
		if (!s->pcb) {
			tcp_free_socket(s);
			return;
		}
	}
	s->orphan = true;
	tcp_orphan(s);
	inet_run();
}

/* --- events and queries --- */

static unsigned tcp_poll_socket(struct socket *base, struct file *f, struct poll_table *table)
{
	struct tcp_socket *s = tcp_of(base);
	unsigned events = base->error ? POLL_ERR : 0;

	poll_add(table, f, &s->inet.wait);
	if (s->state == TCP_LISTENING)
		return events | (list_empty(&s->accept) ? 0u : POLL_IN | POLL_RDNORM);
	if (s->shut == (SHUT_READ | SHUT_WRITE) || s->state == TCP_CLOSED_)
		events |= POLL_HUP;
	if (s->shut & SHUT_READ)
		events |= POLL_IN | POLL_RDNORM | POLL_RDHUP;
	if (s->state == TCP_CONNECTING)
		return events;
	if (s->received_bytes >= vb_min((size_t)base->receive_low, (size_t)s->window / 2 + 1) && s->received_bytes)
		events |= POLL_IN | POLL_RDNORM;
	if (s->shut & SHUT_WRITE || tcp_writable(s))
		events |= POLL_OUT | POLL_WRNORM;
	else
		s->wants_space = true;
	return events;
}

static int tcp_name(struct socket *base, bool peer, uint8_t *ret)
{
	const struct tcp_socket *s = tcp_of(base);

	return peer && (!s->pcb || s->pcb->state == SYN_SENT) ? -ENOTCONN : inet_get_name(base, peer, ret);
}

static long tcp_ioctl(struct socket *base, unsigned cmd, uint64_t arg)
{
	struct tcp_socket *s = tcp_of(base);

	switch (cmd) {
	case FIONREAD:
		return s->state == TCP_LISTENING ? -EINVAL : put_user((int)s->received_bytes, arg);
	case SIOCATMARK:
		return put_user(0, arg);
	case SIOCOUTQ:
		return s->state == TCP_LISTENING ? -EINVAL : put_user((int)(s->written - s->acked), arg);
	case SIOCOUTQNSD:
		return s->state == TCP_LISTENING ? -EINVAL : put_user((int)tcp_unsent(s), arg);
	default:
		return -ENOTTY;
	}
}

static void tcp_buffers_changed(struct socket *base)
{
	struct tcp_socket *s = tcp_of(base);

	s->send_buffer_set |= base->send_buffer != SEND_BUFFER;
	s->receive_buffer_set |= base->receive_buffer != RECEIVE_BUFFER;
	tcp_space(s);
}

static int tcp_pair(struct socket *a, struct socket *b)
{
	return -EOPNOTSUPP;
}

static const struct socket_ops tcp_ops = {
	.bind = tcp_bind_socket,
	.connect = tcp_connect_socket,
	.listen = tcp_listen_socket,
	.accept = tcp_accept_socket,
	.pair = tcp_pair,
	.name = tcp_name,
	.shutdown = tcp_shutdown_socket,
	.send = tcp_send,
	.receive = tcp_receive_message,
	.poll = tcp_poll_socket,
	.ioctl = tcp_ioctl,
	.setsockopt = tcp_setsockopt,
	.getsockopt = tcp_getsockopt,
	.buffers_changed = tcp_buffers_changed,
	.release = tcp_release,
};
