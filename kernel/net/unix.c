/* Unix sockets: names, connections, life. Owns struct unix_socket and the list of abstract names; trusts nothing from the
 * program. A socket that its owner has released stays as a dead object while peers or messages refer to it.
 */
#include "kernel/fs/fs_private.h"
#include "kernel/fs/site.h"
#include "kernel/net/site.h"
#include "kernel/net/unix.h"

#include <asm/ioctls.h>
#include <linux/sockios.h>

#define FAMILY_BYTES   2u
#define BACKLOG_MAX    4096
#define DATAGRAM_QUEUE 10 /* net.unix.max_dgram_qlen */

struct list unix_all = LIST_INIT(unix_all);
static struct list abstract_names = LIST_INIT(abstract_names);
static const struct socket_ops unix_ops;

struct unix_socket *unix_new(int type)
{
	struct unix_socket *u = kzalloc(sizeof(*u));

	if (!u)
		return NULL;
	socket_init(&u->base, &unix_ops, AF_UNIX, type, 0);
	u->refs = 1;
	u->backlog = DATAGRAM_QUEUE;
	list_push_back(&unix_all, &u->all_node);
	list_init(&u->bound_node);
	list_init(&u->peers);
	list_init(&u->peers_node);
	list_init(&u->accept);
	list_init(&u->accept_node);
	list_init(&u->messages);
	list_init(&u->work_node);
	wait_queue_init(&u->read_wait);
	wait_queue_init(&u->write_wait);
	wait_queue_init(&u->space_wait);
	return u;
}

int unix_create(int type, int protocol, struct socket **ret)
{
	if (protocol && protocol != AF_UNIX)
		return -EPROTONOSUPPORT;
	if (type == SOCK_RAW)
		type = SOCK_DGRAM;
	if (type != SOCK_STREAM && type != SOCK_DGRAM && type != SOCK_SEQPACKET)
		return -ESOCKTNOSUPPORT;
	struct unix_socket *u = unix_new(type);
	if (!u)
		return -ENOMEM;
	*ret = &u->base;
	return 0;
}

void unix_unref(struct unix_socket *u)
{
	if (u && --u->refs == 0) {
		unix_name_unref(u->name);
		kfree(u->site_path);
		kfree(u);
	}
}

void unix_wake_all(struct unix_socket *u)
{
	wait_queue_wake(&u->read_wait, POLL_IN | POLL_RDNORM | POLL_RDHUP | POLL_HUP);
	wait_queue_wake(&u->write_wait, POLL_OUT | POLL_WRNORM | POLL_HUP | POLL_ERR);
}

static void set_peer(struct unix_socket *u, struct unix_socket *peer)
{
	struct unix_socket *old = u->peer;

	list_remove(&u->peers_node);
	u->peer = peer;
	if (peer) {
		peer->refs++;
		if (u->base.type == SOCK_DGRAM)
			list_push_back(&peer->peers, &u->peers_node);
	}
	unix_unref(old);
}

void unix_disconnect(struct unix_socket *u)
{
	if (u->peer && u->peer->remote && u->site)
		site_disconnect(u);
	set_peer(u, NULL);
	u->state = UNIX_UNCONNECTED;
}

static void unix_release_owner(struct unix_socket *u, bool never_accepted)
{
	struct unix_socket *peer = u->peer;
	struct list messages;

	u->dead = true;
	u->base.file = NULL;
	u->shut = SHUT_READ | SHUT_WRITE;
	list_remove(&u->all_node);
	list_remove(&u->bound_node);
	if (u->inode) {
		u->inode->socket = NULL;
		inode_unref(u->inode);
		u->inode = NULL;
	}
	site_release(u, !list_empty(&u->messages));
	if (peer && u->base.type != SOCK_DGRAM && !peer->dead) {
		peer->shut = SHUT_READ | SHUT_WRITE;
		if (!list_empty(&u->messages) || never_accepted)
			peer->base.error = ECONNRESET;
		unix_wake_all(peer);
	}
	set_peer(u, NULL);
	list_for_each_safe(waiting, next, &u->accept, struct unix_socket, accept_node) {
		list_remove(&waiting->accept_node);
		unix_release_owner(waiting, true);
	}
	list_for_each_safe(sender, next, &u->peers, struct unix_socket, peers_node) {
		list_remove(&sender->peers_node);
		unix_wake_all(sender);
	}
	unix_wake_all(u);
	wait_queue_wake(&u->space_wait, POLL_OUT);
	list_init(&messages);
	list_for_each_safe(m, next, &u->messages, struct unix_message, node) {
		list_remove(&m->node);
		list_push_back(&messages, &m->node);
	}
	unix_messages_drop(&messages);
	unix_unref(u);
}

static void unix_release(struct socket *s)
{
	unix_release_owner(unix_of(s), false);
	unix_collect();
}

/* --- names --- */

void unix_name_unref(struct unix_name *name)
{
	if (name && --name->refs == 0)
		kfree(name);
}

static bool is_abstract(const uint8_t *name)
{
	return name[FAMILY_BYTES] == 0;
}

int unix_check_name(const uint8_t *name, unsigned len)
{
	uint16_t family = 0;

	if (len >= FAMILY_BYTES)
		memcpy(&family, name, sizeof(family));
	return len > FAMILY_BYTES && len <= UNIX_NAME_BYTES && family == AF_UNIX ? 0 : -EINVAL;
}

struct unix_name *unix_name_new(const uint8_t *bytes, unsigned len)
{
	struct unix_name *name = kzalloc(sizeof(*name));

	if (!name)
		return NULL;
	name->refs = 1;
	memcpy(name->bytes, bytes, len);
	name->len = is_abstract(bytes) ? len : FAMILY_BYTES + (unsigned)strlen((char *)name->bytes + FAMILY_BYTES) + 1;
	return name;
}

/* Each type has its own abstract names. */
static struct unix_socket *find_abstract(const uint8_t *name, unsigned len, int type)
{
	list_for_each(u, &abstract_names, struct unix_socket, bound_node)
		if (u->name->len == len && u->base.type == type && memcmp(u->name->bytes, name, len) == 0)
			return u;
	return NULL;
}

static int find_path(const uint8_t *name, unsigned len, int type, struct unix_socket **ret)
{
	char path[UNIX_PATH_BYTES + 1] = {0}, *site_path;
	struct dentry *d;

	memcpy(path, name + FAMILY_BYTES, len - FAMILY_BYTES);
	int r = site_resolve(path, &d, &site_path);
	if (r > 0) {
		*ret = site_remote_new(type, site_path);
		return *ret ? 0 : -ENOMEM;
	}
	if (r)
		return r;
	r = inode_permission(d->inode, MAY_WRITE);
	if (!r) {
		*ret = is_type(d->inode, S_IFSOCK) ? d->inode->socket : NULL;
		if (*ret)
			(*ret)->refs++;
		else
			r = -ECONNREFUSED;
	}
	dentry_unref(d);
	return r;
}

int unix_find(const uint8_t *name, unsigned len, int type, struct unix_socket **ret)
{
	struct unix_socket *u = NULL;
	int r = 0;

	if (is_abstract(name)) {
		u = find_abstract(name, len, type);
		if (!u)
			return -ECONNREFUSED;
		u->refs++;
	} else {
		r = find_path(name, len, type, &u);
	}
	if (!r && u->base.type != type) {
		unix_unref(u);
		return -EPROTOTYPE;
	}
	*ret = u;
	return r;
}

/* A name of five hexadecimal digits of the kernel's choice. */
int unix_autobind(struct unix_socket *u)
{
	static unsigned next;
	uint8_t name[FAMILY_BYTES + 7] = {AF_UNIX, 0, 0};

	if (u->name)
		return 0;
	for (unsigned tries = 0; tries < 1u << 20; tries++) {
		vb_snprintf((char *)name + FAMILY_BYTES + 1, 6, "%05x", next++ & 0xfffff);
		if (find_abstract(name, FAMILY_BYTES + 6, u->base.type))
			continue;
		u->name = unix_name_new(name, FAMILY_BYTES + 6);
		if (!u->name)
			return -ENOMEM;
		list_push_back(&abstract_names, &u->bound_node);
		return 0;
	}
	return -ENOSPC;
}

static int bind_path(struct unix_socket *u, struct unix_name *name)
{
	uint32_t mode = S_IFSOCK | (0777 & ~current->process->fs->umask);
	struct walk w;
	struct dentry *d;
	int r = names_begin_create(&w, AT_FDCWD, (const char *)name->bytes + FAMILY_BYTES, false, &d);

	if (r)
		return r == -EEXIST ? -EADDRINUSE : r;
	char *site = site_path(w.at, w.name, "");
	if (site) {
		r = site_bind(u, name, w.at, site, mode);
	} else {
		r = names_create(w.at, d, mode, 0);
		if (!r) {
			u->inode = d->inode;
			inode_ref(u->inode);
			u->inode->socket = u;
		}
	}
	kfree(site);
	return names_end_create(&w, d, r);
}

static int unix_bind(struct socket *s, const uint8_t *bytes, unsigned len)
{
	struct unix_socket *u = unix_of(s);

	if (len == FAMILY_BYTES && bytes[0] == AF_UNIX && !bytes[1])
		return unix_autobind(u);
	int r = unix_check_name(bytes, len);
	if (r)
		return r;
	if (u->name)
		return -EINVAL;
	if (is_abstract(bytes) && find_abstract(bytes, len, s->type))
		return -EADDRINUSE;
	struct unix_name *name = unix_name_new(bytes, len);
	if (!name)
		return -ENOMEM;
	if (!is_abstract(bytes))
		r = bind_path(u, name);
	if (r) {
		unix_name_unref(name);
		return r;
	}
	u->name = name;
	if (is_abstract(bytes))
		list_push_back(&abstract_names, &u->bound_node);
	return 0;
}

static int unix_get_name(struct socket *s, bool peer, uint8_t *ret)
{
	struct unix_socket *u = unix_of(s);

	if (peer) {
		u = u->peer;
		if (!u)
			return -ENOTCONN;
	}
	if (!u->name) {
		ret[0] = AF_UNIX;
		ret[1] = 0;
		return FAMILY_BYTES;
	}
	memcpy(ret, u->name->bytes, u->name->len);
	return (int)u->name->len;
}

/* --- connections --- */

void unix_join(struct unix_socket *a, struct unix_socket *b)
{
	set_peer(a, b);
	set_peer(b, a);
	a->state = b->state = UNIX_CONNECTED;
}

static int unix_pair(struct socket *a, struct socket *b)
{
	unix_join(unix_of(a), unix_of(b));
	a->peer_creds = b->peer_creds = socket_current_creds();
	return 0;
}

/* Connects to the remote *peer, or exchanges it for the socket of this cell that it turns out to be. Takes it on failure. */
static int find_remote(struct unix_socket *u, struct unix_socket **peer, bool nonblock)
{
	struct unix_socket *remote = *peer;
	int r = site_connect(u, remote, nonblock, peer);

	if (r)
		unix_unref(remote);
	if (r == VB_SITE_LOCAL && (*peer)->base.type != u->base.type) {
		unix_unref(*peer);
		return -EPROTOTYPE;
	}
	return r == VB_SITE_LOCAL ? 0 : r;
}

static int connect_datagram(struct unix_socket *u, const uint8_t *name, unsigned len)
{
	struct unix_socket *peer = NULL;

	if (len >= FAMILY_BYTES && name[0] == AF_UNSPEC && !name[1]) {
		unix_disconnect(u);
		return 0;
	}
	int r = unix_check_name(name, len);
	if (!r && u->base.pass_creds)
		r = unix_autobind(u);
	if (!r)
		r = unix_find(name, len, u->base.type, &peer);
	if (!r && peer->remote)
		r = find_remote(u, &peer, false);
	if (r)
		return r;
	if (peer->peer && peer->peer != u) {
		unix_unref(peer);
		return -EPERM;
	}
	if (!peer->remote)
		unix_disconnect(u);
	set_peer(u, peer);
	u->state = UNIX_CONNECTED;
	unix_unref(peer);
	wait_queue_wake(&u->write_wait, POLL_OUT | POLL_WRNORM);
	return 0;
}

static bool accepts(const struct unix_socket *listener)
{
	return listener->state == UNIX_LISTENING && !(listener->shut & SHUT_READ);
}
static bool backlog_full(const struct unix_socket *listener)
{
	return listener->accept_count > listener->backlog;
}

/* Waits until the listener has room. It may die meanwhile: -ECONNREFUSED. */
static int await_backlog(struct unix_socket *u, struct unix_socket *listener, bool nonblock)
{
	uint64_t timeout = u->base.send_timeout_ns;

	if (!accepts(listener))
		return -ECONNREFUSED;
	if (!backlog_full(listener))
		return 0;
	if (nonblock)
		return -EAGAIN;
	int r = wait_until(&listener->space_wait, !backlog_full(listener) || !accepts(listener), deadline_after(timeout));
	return r ? socket_wait_error(r, timeout) : accepts(listener) ? 0 : -ECONNREFUSED;
}

static int connect_to(struct unix_socket *u, struct unix_socket *listener, bool nonblock)
{
	int r = await_backlog(u, listener, nonblock);

	if (r)
		return r;
	if (u->state != UNIX_UNCONNECTED)
		return u->state == UNIX_CONNECTED ? -EISCONN : -EINVAL;
	struct unix_socket *server = unix_new(u->base.type);
	if (!server)
		return -ENOMEM;
	if (listener->name) {
		server->name = listener->name;
		server->name->refs++;
	}
	server->base.pass_creds = listener->base.pass_creds;
	server->base.peer_creds = socket_current_creds();
	u->base.peer_creds = listener->base.peer_creds;
	unix_join(u, server);
	list_push_back(&listener->accept, &server->accept_node);
	listener->accept_count++;
	wait_queue_wake(&listener->read_wait, POLL_IN | POLL_RDNORM);
	wait_queue_wake(&u->write_wait, POLL_OUT | POLL_WRNORM);
	return 0;
}

static int unix_connect(struct socket *s, const uint8_t *name, unsigned len, bool nonblock)
{
	struct unix_socket *u = unix_of(s), *listener = NULL;

	if (s->type == SOCK_DGRAM)
		return connect_datagram(u, name, len);
	int r = unix_check_name(name, len);
	if (!r && s->pass_creds)
		r = unix_autobind(u);
	if (!r)
		r = unix_find(name, len, s->type, &listener);
	if (!r && listener->remote)
		r = find_remote(u, &listener, nonblock);
	if (r)
		return r;
	if (!listener->remote)
		r = connect_to(u, listener, nonblock);
	unix_unref(listener);
	return r;
}

static int unix_listen(struct socket *s, int backlog)
{
	struct unix_socket *u = unix_of(s);

	if (s->type == SOCK_DGRAM)
		return -EOPNOTSUPP;
	if (!u->name || u->state == UNIX_CONNECTED)
		return -EINVAL;
	u->backlog = backlog < 0 || backlog > BACKLOG_MAX ? BACKLOG_MAX : (unsigned)backlog;
	int r = u->site ? site_listen(u) : 0;
	if (r)
		return r;
	u->state = UNIX_LISTENING;
	s->listening = true;
	s->peer_creds = socket_current_creds();
	wait_queue_wake_n(&u->space_wait, POLL_OUT, BACKLOG_MAX);
	return 0;
}

/* Connections from other cells. */
static bool waits_at_monitor(const struct unix_socket *u)
{
	return u->site && u->site->ready;
}

static int unix_accept(struct socket *s, bool nonblock, struct socket **ret)
{
	struct unix_socket *u = unix_of(s);
	uint64_t timeout = s->receive_timeout_ns, deadline = deadline_after(timeout);

	if (s->type == SOCK_DGRAM)
		return -EOPNOTSUPP;
	if (u->state != UNIX_LISTENING)
		return -EINVAL;
	while (list_empty(&u->accept)) {
		int r = u->shut & SHUT_READ ? -EINVAL : waits_at_monitor(u) ? site_accept(u, ret) : -EAGAIN;
		if (r == -EAGAIN && waits_at_monitor(u))
			continue;
		if (r != -EAGAIN || nonblock)
			return r;
		r = wait_until(&u->read_wait, !list_empty(&u->accept) || u->shut & SHUT_READ || waits_at_monitor(u), deadline);
		if (r)
			return socket_wait_error(r, timeout);
	}
	struct unix_socket *server = list_first(&u->accept, struct unix_socket, accept_node);
	list_remove(&server->accept_node);
	u->accept_count--;
	wait_queue_wake(&u->space_wait, POLL_OUT);
	*ret = &server->base;
	return 0;
}

static int unix_shutdown(struct socket *s, int how)
{
	struct unix_socket *u = unix_of(s), *peer = u->peer;

	u->shut |= how;
	if (peer && s->type != SOCK_DGRAM && !peer->dead) {
		peer->shut |= (how & SHUT_READ ? SHUT_WRITE : 0) | (how & SHUT_WRITE ? SHUT_READ : 0);
		unix_wake_all(peer);
	}
	if (u->site)
		site_shutdown(u, how);
	unix_wake_all(u);
	wait_queue_wake(&u->space_wait, POLL_OUT);
	return 0;
}

/* --- events and queries --- */

static unsigned unix_poll(struct socket *s, struct file *f, struct poll_table *table)
{
	struct unix_socket *u = unix_of(s);
	unsigned events = 0;

	poll_add(table, f, &u->read_wait);
	poll_add(table, f, &u->write_wait);
	if (s->error)
		events |= POLL_ERR;
	if (u->shut == (SHUT_READ | SHUT_WRITE))
		events |= POLL_HUP;
	if (u->shut & SHUT_READ)
		events |= POLL_RDHUP | POLL_IN | POLL_RDNORM;
	if (!list_empty(&u->messages) || !list_empty(&u->accept) || waits_at_monitor(u))
		events |= POLL_IN | POLL_RDNORM;
	if (s->type != SOCK_DGRAM && u->state == UNIX_UNCONNECTED)
		events |= POLL_HUP;
	bool full = s->type == SOCK_DGRAM && ((u->peer && unix_queue_full(u->peer, u)) || (u->site && u->site->blocked));
	if (unix_writable(u) && !full)
		events |= POLL_OUT | POLL_WRNORM | 0x200 /* POLLWRBAND */;
	return events;
}

static long unix_ioctl(struct socket *s, unsigned cmd, uint64_t arg)
{
	struct unix_socket *u = unix_of(s);

	switch (cmd) {
	case SIOCOUTQ:
		return put_user((int)u->charged, arg);
	case FIONREAD:
		if (u->state == UNIX_LISTENING)
			return -EINVAL;
		if (s->type != SOCK_DGRAM || list_empty(&u->messages))
			return put_user((int)u->message_bytes, arg);
		return put_user((int)list_first(&u->messages, struct unix_message, node)->len, arg);
	default:
		return -ENOTTY;
	}
}

static void unix_buffers_changed(struct socket *s)
{
	wait_queue_wake(&unix_of(s)->write_wait, POLL_OUT | POLL_WRNORM);
}

static const struct socket_ops unix_ops = {
	.bind = unix_bind,
	.connect = unix_connect,
	.listen = unix_listen,
	.accept = unix_accept,
	.pair = unix_pair,
	.name = unix_get_name,
	.shutdown = unix_shutdown,
	.send = unix_send,
	.receive = unix_receive,
	.poll = unix_poll,
	.ioctl = unix_ioctl,
	.buffers_changed = unix_buffers_changed,
	.release = unix_release,
};
