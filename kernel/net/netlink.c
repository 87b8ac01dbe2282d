/* Netlink sockets: datagrams between the program and the kernel, and between sockets of the program. Owns the queues of the
 * sockets; a request is copied once, then decoded and served at once by its protocol (netlink_route.c: the only one).
 * Trusts nothing from the program.
 */
#include "kernel/net/netlink.h"

#include <linux/capability.h>

#define SOL_NETLINK  270
#define PROTOCOLS    32
#define GROUPS       36u /* RTNLGRP_MAX */
#define REQUEST_MAX  (1u << 20)

static struct list sockets = LIST_INIT(sockets);

/* --- answers --- */

static void *answer_room(struct netlink_answer *a, size_t len)
{
	struct netlink_message *m = a->datagram;

	if (a->error || !m || m->size - m->len < len) {
		a->error = a->error ? a->error : -ENOBUFS;
		return NULL;
	}
	memset(m->data + m->len, 0, len);
	m->len += len;
	return m->data + m->len - len;
}

static int queue_message(struct netlink_socket *to, struct netlink_message *m)
{
	if (to->message_bytes + m->len > to->base.receive_buffer) {
		if (!netlink_option(to, NETLINK_NO_ENOBUFS))
			to->base.error = ENOBUFS;
		wait_queue_wake(&to->wait, POLL_ERR);
		kfree(m);
		return -EAGAIN;
	}
	list_push_back(&to->messages, &m->node);
	to->message_bytes += m->len;
	wait_queue_wake(&to->wait, POLL_IN | POLL_RDNORM);
	return 0;
}

static struct netlink_message *message_new(size_t size)
{
	struct netlink_message *m = kmalloc(sizeof(*m) + size);

	if (m)
		*m = (struct netlink_message){.size = size};
	return m;
}

void answer_flush(struct netlink_answer *a)
{
	struct netlink_message *m = a->datagram;

	a->datagram = NULL;
	if (!m)
		return;
	if (a->error || !m->len)
		kfree(m);
	else if (m->group = a->group, queue_message(a->to, m))
		a->error = -ENOBUFS;
}

/* Opens a message; what is queued before it goes if a message as large as they get would not fit behind. */
void answer_begin(struct netlink_answer *a, unsigned type, const void *header, size_t header_len)
{
	enum { LARGEST = 1400 };

	if (a->datagram && a->datagram->size - a->datagram->len < LARGEST + header_len)
		answer_flush(a);
	if (!a->datagram && !a->error) {
		a->datagram = message_new(vb_max((size_t)NETLINK_CHUNK, header_len + LARGEST));
		if (!a->datagram)
			a->error = -ENOBUFS;
	}
	a->message = a->datagram ? a->datagram->len : 0;
	struct nlmsghdr *h = answer_room(a, NLMSG_LENGTH(NLMSG_ALIGN(header_len)));
	if (!h)
		return;
	*h = (struct nlmsghdr){.nlmsg_type = (uint16_t)type, .nlmsg_flags = (uint16_t)a->flags, .nlmsg_seq = a->seq, .nlmsg_pid = a->group ? 0 : a->to->port};
	memcpy(NLMSG_DATA(h), header, header_len);
}

void answer_attribute(struct netlink_answer *a, unsigned type, const void *data, size_t len)
{
	struct nlattr *attribute = answer_room(a, NLA_HDRLEN + NLA_ALIGN(len));

	if (!attribute)
		return;
	*attribute = (struct nlattr){.nla_len = (uint16_t)(NLA_HDRLEN + len), .nla_type = (uint16_t)type};
	memcpy(attribute + 1, data, len);
}

size_t answer_nest(struct netlink_answer *a, unsigned type)
{
	size_t at = a->datagram ? a->datagram->len : 0;

	answer_attribute(a, type, "", 0);
	return at;
}

void answer_unnest(struct netlink_answer *a, size_t nest)
{
	if (!a->error)
		((struct nlattr *)(a->datagram->data + nest))->nla_len = (uint16_t)(a->datagram->len - nest);
}

void answer_end(struct netlink_answer *a)
{
	if (!a->error)
		((struct nlmsghdr *)(a->datagram->data + a->message))->nlmsg_len = (uint32_t)(a->datagram->len - a->message);
}

/* NLMSG_ERROR: an error, or with 0 the acknowledgement that was asked for. */
static void acknowledge(struct netlink_socket *n, const struct nlmsghdr *h, int error)
{
	bool whole = error && !netlink_option(n, NETLINK_CAP_ACK);
	size_t len = whole ? h->nlmsg_len : sizeof(*h);
	struct netlink_answer a = {.to = n, .seq = h->nlmsg_seq, .flags = whole ? 0 : NLM_F_CAPPED};
	struct nlmsgerr *e = kmalloc(sizeof(int) + len);

	if (!e) {
		n->base.error = ENOBUFS;
		return;
	}
	e->error = error;
	memcpy(&e->msg, h, len);
	answer_begin(&a, NLMSG_ERROR, e, sizeof(int) + len);
	answer_end(&a);
	answer_flush(&a);
	kfree(e);
}

/* All requests of one datagram, which is aligned. What is malformed ends it without an answer, as on Linux. */
static void serve(struct netlink_socket *n, uint8_t *data, size_t len)
{
	while (len >= NLMSG_HDRLEN) {
		const struct nlmsghdr *h = (const struct nlmsghdr *)data;
		int error = 0;
		if (h->nlmsg_len < NLMSG_HDRLEN || h->nlmsg_len > len)
			return;
		if (h->nlmsg_flags & NLM_F_REQUEST && h->nlmsg_type >= NLMSG_MIN_TYPE)
			error = netlink_route_request(n, h);
		if (error || h->nlmsg_flags & NLM_F_ACK)
			acknowledge(n, h, error);
		size_t step = vb_min((size_t)NLMSG_ALIGN(h->nlmsg_len), len);
		data += step;
		len -= step;
	}
}

/* --- names --- */

static struct netlink_socket *find_port(uint32_t port)
{
	list_for_each(n, &sockets, struct netlink_socket, node) {
		if (n->bound && n->port == port)
			return n;
	}
	return NULL;
}

static void autobind(struct netlink_socket *n)
{
	uint32_t port = (uint32_t)current->process->pid;

	if (n->bound)
		return;
	while (!port || find_port(port)) {
		random_bytes(&port, sizeof(port));
		port |= 1u << 31;
	}
	n->port = port;
	n->bound = true;
}

static int decode_name(const uint8_t *name, unsigned len, struct sockaddr_nl *ret)
{
	if (len < sizeof(*ret))
		return -EINVAL;
	memcpy(ret, name, sizeof(*ret));
	return ret->nl_family == AF_NETLINK ? 0 : -EINVAL;
}

static int netlink_bind(struct socket *s, const uint8_t *name, unsigned len)
{
	struct netlink_socket *n = netlink_of(s);
	struct sockaddr_nl to;
	int r = decode_name(name, len, &to);

	if (r)
		return r;
	if (n->bound && to.nl_pid != n->port)
		return -EINVAL;
	if (!n->bound && to.nl_pid) {
		if (find_port(to.nl_pid))
			return -EADDRINUSE;
		n->port = to.nl_pid;
		n->bound = true;
	}
	autobind(n);
	n->groups = (n->groups & ~0xffffffffull) | to.nl_groups;
	return 0;
}

static int netlink_connect(struct socket *s, const uint8_t *name, unsigned len, bool nonblock)
{
	struct netlink_socket *n = netlink_of(s);
	struct sockaddr_nl to;

	if (len < sizeof(to.nl_family))
		return -EINVAL;
	memcpy(&to.nl_family, name, sizeof(to.nl_family));
	if (to.nl_family == AF_UNSPEC) {
		n->to_port = n->to_group = 0;
		return 0;
	}
	int r = decode_name(name, len, &to);
	if (r)
		return r;
	if ((to.nl_groups || to.nl_pid) && !capable(CAP_NET_ADMIN))
		return -EPERM;
	autobind(n);
	n->to_port = to.nl_pid;
	n->to_group = (uint32_t)__builtin_ffs((int)to.nl_groups);
	return 0;
}

static void put_name(uint8_t *ret, uint32_t port, uint32_t groups)
{
	struct sockaddr_nl name = {.nl_family = AF_NETLINK, .nl_pid = port, .nl_groups = groups};

	memcpy(ret, &name, sizeof(name));
}

static uint32_t group_mask(uint32_t group)
{
	return group && group <= 32 ? 1u << (group - 1) : 0;
}

static int netlink_name(struct socket *s, bool peer, uint8_t *ret)
{
	const struct netlink_socket *n = netlink_of(s);

	if (peer)
		put_name(ret, n->to_port, group_mask(n->to_group));
	else
		put_name(ret, n->bound ? n->port : 0, (uint32_t)n->groups);
	return sizeof(struct sockaddr_nl);
}

/* --- data --- */

static int send_to_socket(const struct netlink_socket *from, uint32_t port, struct netlink_message *m)
{
	struct netlink_socket *to = find_port(port);

	m->port = from->port;
	if (to)
		return queue_message(to, m);
	kfree(m);
	return -ECONNREFUSED;
}

static long netlink_send(struct socket *s, struct socket_message *send)
{
	struct netlink_socket *n = netlink_of(s);
	uint32_t port = n->to_port, group = n->to_group;
	size_t len = send->data->left;
	struct sockaddr_nl to;

	if (send->flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (!len)
		return -ENODATA;
	if (send->name_len) {
		int r = decode_name(send->name, send->name_len, &to);
		if (r)
			return r;
		port = to.nl_pid;
		group = (uint32_t)__builtin_ffs((int)to.nl_groups);
		if ((port || group) && !capable(CAP_NET_ADMIN))
			return -EPERM;
	}
	autobind(n);
	if (len > n->base.send_buffer - 32 || len > REQUEST_MAX)
		return -EMSGSIZE;
	struct netlink_message *m = message_new(len);
	if (!m)
		return -ENOBUFS;
	if (uio_get(send->data, m->data, len) != (long)len) {
		kfree(m);
		return -EFAULT;
	}
	m->len = len;
	if (port) {
		int r = send_to_socket(n, port, m);
		return r ? r : (long)len;
	}
	serve(n, m->data, len);
	kfree(m);
	return (long)len;
}

static int await_message(struct netlink_socket *n, unsigned flags)
{
	uint64_t timeout = n->base.receive_timeout_ns;
	int r = 0;

	if (list_empty(&n->messages) && !n->base.error) {
		if (flags & MSG_DONTWAIT)
			return -EAGAIN;
		r = wait_until(&n->wait, !list_empty(&n->messages) || n->base.error, deadline_after(timeout));
	}
	if (r)
		return socket_wait_error(r, timeout);
	r = n->base.error;
	n->base.error = 0;
	return -r;
}

static long netlink_receive(struct socket *s, struct socket_message *ret)
{
	struct netlink_socket *n = netlink_of(s);

	if (ret->flags & MSG_OOB)
		return -EOPNOTSUPP;
	int r = await_message(n, ret->flags);
	if (r)
		return r;
	struct netlink_message *m = list_first(&n->messages, struct netlink_message, node);
	size_t len = m->len, want = vb_min(len, ret->data->left);
	if (want && uio_put(ret->data, m->data, want) != (long)want)
		return -EFAULT;
	if (want < len)
		ret->out_flags |= MSG_TRUNC;
	put_name(ret->name, m->port, group_mask(m->group));
	ret->name_len = sizeof(struct sockaddr_nl);
	if (netlink_option(n, NETLINK_PKTINFO))
		control_add(ret, SOL_NETLINK, NETLINK_PKTINFO, &m->group, sizeof(m->group));
	ret->has_creds = n->base.pass_creds;
	ret->creds = (struct k_ucred){0};
	if (!(ret->flags & MSG_PEEK)) {
		list_remove(&m->node);
		n->message_bytes -= len;
		kfree(m);
	}
	return (long)(ret->flags & MSG_TRUNC ? len : want);
}

static unsigned netlink_poll(struct socket *s, struct file *f, struct poll_table *table)
{
	struct netlink_socket *n = netlink_of(s);

	poll_add(table, f, &n->wait);
	return POLL_OUT | POLL_WRNORM | 0x200 /* POLLWRBAND */ | (list_empty(&n->messages) ? 0 : POLL_IN | POLL_RDNORM) |
	       (s->error ? POLL_ERR : 0);
}

/* --- options --- */

static long netlink_setsockopt(struct socket *s, int level, int name, uint64_t value, unsigned len)
{
	struct netlink_socket *n = netlink_of(s);
	unsigned v = 0;

	if (level != SOL_NETLINK)
		return -ENOPROTOOPT;
	if (len >= sizeof(v) && get_user(v, value))
		return -EFAULT;
	switch (name) {
	case NETLINK_ADD_MEMBERSHIP:
	case NETLINK_DROP_MEMBERSHIP:
		if (!v || v > GROUPS)
			return -EINVAL;
		n->groups = name == NETLINK_ADD_MEMBERSHIP ? n->groups | 1ull << (v - 1) : n->groups & ~(1ull << (v - 1));
		return 0;
	case NETLINK_PKTINFO:
	case NETLINK_BROADCAST_ERROR:
	case NETLINK_NO_ENOBUFS:
	case NETLINK_CAP_ACK:
	case NETLINK_EXT_ACK:
	case NETLINK_GET_STRICT_CHK:
		n->options = v ? n->options | 1u << name : n->options & ~(1u << name);
		return 0;
	case NETLINK_LISTEN_ALL_NSID:
		return capable(CAP_NET_ADMIN) ? 0 : -EPERM; /* there is one name space */
	default:
		return -ENOPROTOOPT;
	}
}

static long netlink_getsockopt(struct socket *s, int level, int name, uint64_t value, uint64_t len_addr)
{
	struct netlink_socket *n = netlink_of(s);
	int len, v;

	if (level != SOL_NETLINK)
		return -ENOPROTOOPT;
	if (get_user(len, len_addr))
		return -EFAULT;
	if (len < 0)
		return -EINVAL;
	switch (name) {
	case NETLINK_LIST_MEMBERSHIPS:
		for (unsigned i = 0; i < (GROUPS + 31) / 32 && (i + 1) * sizeof(v) <= (unsigned)len; i++)
			if (put_user((uint32_t)(n->groups >> 32 * i), value + i * sizeof(v)))
				return -EFAULT;
		return put_user((int)((GROUPS + 31) / 32 * sizeof(v)), len_addr);
	case NETLINK_PKTINFO:
	case NETLINK_BROADCAST_ERROR:
	case NETLINK_NO_ENOBUFS:
	case NETLINK_CAP_ACK:
	case NETLINK_EXT_ACK:
	case NETLINK_GET_STRICT_CHK:
		if (len < (int)sizeof(v))
			return -EINVAL;
		v = netlink_option(n, (unsigned)name);
		return put_user(v, value) || put_user((int)sizeof(v), len_addr) ? -EFAULT : 0;
	default:
		return -ENOPROTOOPT;
	}
}

/* --- life --- */

static void netlink_release(struct socket *s)
{
	struct netlink_socket *n = netlink_of(s);

	list_for_each_safe(m, next, &n->messages, struct netlink_message, node)
		kfree(m);
	list_remove(&n->node);
	kfree(n);
}

static const struct socket_ops netlink_ops = {
	.bind = netlink_bind,
	.connect = netlink_connect,
	.name = netlink_name,
	.send = netlink_send,
	.receive = netlink_receive,
	.poll = netlink_poll,
	.setsockopt = netlink_setsockopt,
	.getsockopt = netlink_getsockopt,
	.release = netlink_release,
};

int netlink_create(int type, int protocol, struct socket **ret)
{
	if (type != SOCK_RAW && type != SOCK_DGRAM)
		return -ESOCKTNOSUPPORT;
	if (protocol < 0 || protocol >= PROTOCOLS || protocol != NETLINK_ROUTE)
		return -EPROTONOSUPPORT;
	struct netlink_socket *n = kzalloc(sizeof(*n));
	if (!n)
		return -ENOMEM;
	socket_init(&n->base, &netlink_ops, AF_NETLINK, type, protocol);
	list_init(&n->messages);
	wait_queue_init(&n->wait);
	list_push_back(&sockets, &n->node);
	*ret = &n->base;
	return 0;
}

void netlink_for_each(void (*fn)(struct netlink_socket *n, void *arg), void *arg)
{
	list_for_each(n, &sockets, struct netlink_socket, node)
		fn(n, arg);
}
