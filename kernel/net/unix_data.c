/* Unix sockets: messages from sender to receiver. Owns struct unix_message; a message is charged to its sender until it is
 * received, and the sender waits when it has too much on the way. Trusts nothing from the program.
 */
#include "kernel/net/site.h"
#include "kernel/net/unix.h"

#include <asm/signal.h>

#define STREAM_CHUNK VB_SITE_PIECE_MAX /* with its header a power of two of pages */
_Static_assert(sizeof(struct unix_message) == VB_SITE_OVERHEAD, "monitors count what is charged");

/* What a socket may have under way. */
static size_t send_limit(const struct unix_socket *u)
{
	return u->peer && u->peer->remote ? vb_min(u->base.send_buffer, VB_SITE_WINDOW) : u->base.send_buffer;
}

bool unix_writable(const struct unix_socket *u)
{
	return u->state != UNIX_LISTENING && u->charged * 4 <= send_limit(u);
}

bool unix_queue_full(const struct unix_socket *receiver, const struct unix_socket *sender)
{
	if (receiver->remote)
		return false; /* the monitor knows */
	return receiver != sender && receiver->peer != sender && !receiver->dead && receiver->message_count > receiver->backlog;
}

static void message_free(struct unix_message *m)
{
	struct unix_socket *sender = m->sender;

	if (sender->remote)
		site_consumed(sender, m->charge);
	else
		sender->charged -= m->charge;
	if (unix_writable(sender))
		wait_queue_wake(&sender->write_wait, POLL_OUT | POLL_WRNORM);
	unix_unref(sender);
	unix_name_unref(m->name);
	if (m->rights) {
		unix_flight_remove(m->rights);
		rights_free(m->rights);
	}
	kfree(m);
}

/* Freeing a message may close a socket with messages of its own, and so on: a list, not recursion, bounds the stack. */
void unix_messages_drop(struct list *messages)
{
	static struct list pending = LIST_INIT(pending);
	static bool dropping;

	list_for_each_safe(m, next, messages, struct unix_message, node) {
		list_remove(&m->node);
		list_push_back(&pending, &m->node);
	}
	if (dropping)
		return;
	dropping = true;
	while (!list_empty(&pending)) {
		struct unix_message *m = list_first(&pending, struct unix_message, node);
		list_remove(&m->node);
		message_free(m);
	}
	dropping = false;
}

/* Takes n bytes and the rights of a send. NULL and *ret_error on failure. */
static struct unix_message *message_new(struct unix_socket *u, struct socket_message *send, size_t n, int *ret_error)
{
	struct unix_message *m = kmalloc(sizeof(*m) + n);

	if (!m) {
		*ret_error = -ENOBUFS;
		return NULL;
	}
	if (n && uio_get(send->data, m->data, n) != (long)n) {
		kfree(m);
		*ret_error = -EFAULT;
		return NULL;
	}
	m->sender = u;
	m->name = u->name;
	m->rights = send->rights;
	m->creds = send->creds;
	m->charge = sizeof(*m) + n;
	m->len = n;
	m->offset = 0;
	send->rights = NULL;
	if (m->rights)
		unix_flight_add(m->rights);
	if (m->name)
		m->name->refs++;
	u->refs++;
	u->charged += m->charge;
	return m;
}

void unix_deliver(struct unix_socket *to, struct unix_message *m)
{
	if (to->remote)
		return site_forward(to, m);
	if (to->base.timestamp && to->base.type != SOCK_STREAM)
		m->time_ns = now_realtime_ns();
	list_push_back(&to->messages, &m->node);
	to->message_count++;
	to->message_bytes += m->len;
	wait_queue_wake(&to->read_wait, POLL_IN | POLL_RDNORM);
}

static void message_consume(struct unix_socket *u, struct unix_message *m)
{
	list_remove(&m->node);
	if (u->base.type == SOCK_DGRAM && u->message_count-- == u->backlog + 1) {
		wait_queue_wake(&u->space_wait, POLL_OUT);
		list_for_each(sender, &u->peers, struct unix_socket, peers_node)
			wait_queue_wake(&sender->write_wait, POLL_OUT | POLL_WRNORM);
	}
	message_free(m);
}

/* --- sending --- */

static bool send_may_go_on(const struct unix_socket *u)
{
	return u->charged < send_limit(u) || (u->shut & SHUT_WRITE) || (u->peer && (u->peer->shut & SHUT_READ));
}

static int await_buffer(struct unix_socket *u, unsigned flags)
{
	uint64_t timeout = u->base.send_timeout_ns;

	if (send_may_go_on(u))
		return 0;
	if (flags & MSG_DONTWAIT)
		return -EAGAIN;
	return socket_wait_error(wait_until(&u->write_wait, send_may_go_on(u), deadline_after(timeout)), timeout);
}

static long stream_send(struct unix_socket *u, struct socket_message *send)
{
	size_t chunk = vb_min((size_t)STREAM_CHUNK, (size_t)u->base.send_buffer / 2);
	long done = 0;
	int r = 0;

	if (send->name_len)
		return u->state == UNIX_CONNECTED ? -EISCONN : -EOPNOTSUPP;
	if (!u->peer)
		return -ENOTCONN;
	if (u->shut & SHUT_WRITE)
		r = -EPIPE;
	else if (u->peer->remote && send->rights)
		r = site_refuse_rights();
	while (!r && send->data->left) {
		r = await_buffer(u, send->flags);
		if (!r && ((u->shut & SHUT_WRITE) || u->peer->dead || (u->peer->shut & SHUT_READ)))
			r = -EPIPE;
		if (r)
			break;
		size_t n = vb_min(send->data->left, chunk);
		struct unix_message *m = message_new(u, send, n, &r);
		if (!m)
			break;
		unix_deliver(u->peer, m);
		done += (long)n;
	}
	if (r == -EPIPE && !done && !(send->flags & MSG_NOSIGNAL))
		signal_task(current, &SIGINFO_USER(SIGPIPE));
	return done ? done : r;
}

/* Where a packet goes, referenced. */
static int packet_target(struct unix_socket *u, struct socket_message *send, struct unix_socket **ret)
{
	if (send->name_len && u->base.type == SOCK_DGRAM) {
		int r = unix_check_name(send->name, send->name_len);
		if (r)
			return r;
		return unix_find(send->name, send->name_len, u->base.type, ret);
	}
	if (!u->peer)
		return -ENOTCONN;
	*ret = u->peer;
	u->peer->refs++;
	return 0;
}

/* Whether the packet can be put into the target's queue now. */
static int packet_check(struct unix_socket *u, struct unix_socket *to)
{
	if (u->shut & SHUT_WRITE)
		return -EPIPE;
	if (to->dead) {
		if (u->base.type != SOCK_DGRAM)
			return -EPIPE;
		if (u->peer == to)
			unix_disconnect(u);
		return -ECONNREFUSED;
	}
	if (u->base.type == SOCK_DGRAM && to->peer && to->peer != u)
		return -EPERM;
	return to->shut & SHUT_READ ? -EPIPE : 0;
}

static int await_queue(struct unix_socket *u, struct unix_socket *to, unsigned flags)
{
	uint64_t timeout = u->base.send_timeout_ns;

	if (u->base.type != SOCK_DGRAM || !unix_queue_full(to, u))
		return 0;
	if (flags & MSG_DONTWAIT)
		return -EAGAIN;
	return socket_wait_error(
		wait_until(&to->space_wait, !unix_queue_full(to, u) || (to->shut & SHUT_READ), deadline_after(timeout)), timeout);
}

/* To another cell. */
static long remote_send(struct unix_socket *u, struct unix_socket *to, struct socket_message *send)
{
	long r = site_send_packet(u, to, send);

	if (r == -ECONNREFUSED && u->peer == to)
		unix_disconnect(u);
	return r;
}

long unix_send_to(struct unix_socket *u, struct unix_socket *to, struct socket_message *send)
{
	bool connected = u->base.type != SOCK_DGRAM;
	size_t len = send->data->left;
	int r = 0;

	if (len > u->base.send_buffer - 32 || (to->remote && len > VB_SITE_PACKET_MAX))
		r = -EMSGSIZE;
	if (!r)
		r = packet_check(u, to);
	if (!r && to->remote && !connected)
		return remote_send(u, to, send);
	if (!r && to->remote && send->rights)
		r = site_refuse_rights();
	if (!r)
		r = await_buffer(u, send->flags);
	if (!r)
		r = packet_check(u, to);
	if (!r)
		r = await_queue(u, to, send->flags);
	if (!r)
		r = packet_check(u, to);
	struct unix_message *m = r ? NULL : message_new(u, send, len, &r);
	if (m)
		unix_deliver(to, m);
	return m ? (long)len : r;
}

static long packet_send(struct unix_socket *u, struct socket_message *send)
{
	struct unix_socket *to = NULL;

	if (u->base.type == SOCK_SEQPACKET && u->state != UNIX_CONNECTED)
		return -ENOTCONN;
	long r = packet_target(u, send, &to);
	if (r)
		return r;
	if (u->base.pass_creds)
		r = unix_autobind(u);
	if (!r)
		r = unix_send_to(u, to, send);
	unix_unref(to);
	return r;
}

long unix_send(struct socket *s, struct socket_message *send)
{
	if (send->flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (send->rights && !unix_flight_allowed(send->rights))
		return -ETOOMANYREFS;
	return s->type == SOCK_STREAM ? stream_send(unix_of(s), send) : packet_send(unix_of(s), send);
}

/* --- receiving --- */

/* What comes with the bytes of a message: the sender's name and credentials, descriptors. */
static int receive_extras(struct unix_socket *u, struct unix_message *m, struct socket_message *ret)
{
	if (m->name) {
		ret->name_len = m->name->len;
		memcpy(ret->name, m->name->bytes, m->name->len);
	} else if (u->base.type != SOCK_STREAM) {
		ret->name_len = 0;
	}
	if (u->base.type != SOCK_STREAM && m->time_ns)
		control_add_timestamp(&u->base, ret, m->time_ns);
	ret->has_creds = u->base.pass_creds;
	ret->creds = m->creds;
	if (!m->rights)
		return 0;
	if (ret->flags & MSG_PEEK) {
		ret->rights = rights_copy(m->rights);
		return ret->rights ? 0 : -ENOMEM;
	}
	unix_flight_remove(m->rights);
	ret->rights = m->rights;
	m->rights = NULL;
	return 0;
}

static int await_message(struct unix_socket *u, unsigned flags)
{
	uint64_t timeout = u->base.receive_timeout_ns;

	if (u->base.error) {
		int error = u->base.error;
		u->base.error = 0;
		return -error;
	}
	if ((u->shut & SHUT_READ) && (u->base.type != SOCK_DGRAM || !(flags & MSG_DONTWAIT)))
		return 0; /* with no message: the end */
	if (flags & MSG_DONTWAIT)
		return -EAGAIN;
	int r = wait_until(&u->read_wait, !list_empty(&u->messages) || (u->shut & SHUT_READ) || u->base.error, deadline_after(timeout));
	return r ? socket_wait_error(r, timeout) : u->base.error ? await_message(u, flags) : 0;
}

static bool same_creds(const struct k_ucred *a, const struct k_ucred *b)
{
	return a->pid == b->pid && a->uid == b->uid && a->gid == b->gid;
}

/* Moves bytes of one message. *ret_stop: the call ends here. Returns the bytes, or -errno. */
static long stream_take(struct unix_socket *u, struct unix_message *m, struct socket_message *ret, bool *ret_stop)
{
	bool rights = m->rights;
	size_t want = vb_min(m->len - m->offset, ret->data->left);
	long n = uio_put(ret->data, m->data + m->offset, want);

	*ret_stop = rights || n < (long)want;
	if (n < 0)
		return n;
	int r = receive_extras(u, m, ret);
	if (r)
		return r;
	if (ret->flags & MSG_PEEK)
		return n;
	m->offset += (size_t)n;
	u->message_bytes -= (size_t)n;
	if (m->offset == m->len)
		message_consume(u, m);
	else
		*ret_stop = true;
	return n;
}

static long stream_receive(struct unix_socket *u, struct socket_message *ret)
{
	bool peek = ret->flags & MSG_PEEK, stop = false;
	size_t total = ret->data->left;
	size_t target = ret->flags & MSG_WAITALL ? total : vb_min(total, (size_t)u->base.receive_low);
	struct list *at = &u->messages; /* the last message peeked at */
	long done = 0, n = 0;

	if (u->state != UNIX_CONNECTED)
		return -EINVAL;
	target = target ? target : 1;
	do {
		if (at->next == &u->messages) {
			if (done >= (long)target || (peek && done))
				break;
			n = await_message(u, ret->flags);
			if (n || list_empty(&u->messages))
				break;
		}
		struct unix_message *m = list_entry(at->next, struct unix_message, node);
		if (done && u->base.pass_creds && !same_creds(&m->creds, &ret->creds))
			break;
		if (peek)
			at = at->next;
		n = stream_take(u, m, ret, &stop);
		if (n < 0)
			break;
		done += n;
	} while (ret->data->left && !stop);
	return done ? done : n;
}

static long packet_receive(struct unix_socket *u, struct socket_message *ret)
{
	long r;

	if (u->base.type == SOCK_SEQPACKET && u->state != UNIX_CONNECTED)
		return -ENOTCONN;
	if (list_empty(&u->messages)) {
		r = await_message(u, ret->flags);
		if (r || list_empty(&u->messages))
			return r;
	}
	struct unix_message *m = list_first(&u->messages, struct unix_message, node);
	size_t len = m->len, want = vb_min(len, ret->data->left);
	r = want ? uio_put(ret->data, m->data, want) : 0;
	if (r != (long)want)
		return -EFAULT;
	r = receive_extras(u, m, ret);
	if (r)
		return r;
	if (want < len)
		ret->out_flags |= MSG_TRUNC;
	if (!(ret->flags & MSG_PEEK)) {
		u->message_bytes -= len;
		message_consume(u, m);
	}
	return (long)(ret->flags & MSG_TRUNC ? len : want);
}

long unix_receive(struct socket *s, struct socket_message *ret)
{
	if (ret->flags & MSG_OOB)
		return s->type == SOCK_STREAM ? -EINVAL : -EOPNOTSUPP;
	return s->type == SOCK_STREAM ? stream_receive(unix_of(s), ret) : packet_receive(unix_of(s), ret);
}
