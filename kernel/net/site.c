/* Sockets of a site, the cell's side: requests to the monitor and what comes from other cells. Owns the table of ends and the
 * requests under way. A connection looks to unix.c as one to a local peer, the `remote`, which stands for the other side.
 *
 * Trusts the monitor to answer each request once and to keep senders within their credit; decodes what it sends fully all the
 * same. Contents come from other cells.
 */
#include "kernel/net/site.h"

#include "kernel/debug/debug.h"
#include "kernel/fs/fs_private.h"
#include "kernel/fs/site.h"
#include "kernel/platform/platform.h"

#define CALLS_MAX    8u        /* under way at once: a bound for the monitor's queue */
#define RETRY_MIN_NS 200000ull /* where nobody tells that there is room */
#define RETRY_MAX_NS (10 * 1000000ull)

static struct site_end **ends; /* by slot */
static uint16_t *generations;
static struct list calls = LIST_INIT(calls);
static unsigned call_count;
static struct wait_queue call_room = {LIST_INIT(call_room.entries)};

/* --- requests --- */

void site_who(struct vb_site_who *who)
{
	const struct creds *c = &current->creds;

	*who = (struct vb_site_who){c->fsuid, c->fsgid, capable(CAP_DAC_OVERRIDE) && capable(CAP_FOWNER), .group_count = c->group_count};
	for (uint32_t i = 0; i < c->group_count; i++)
		who->groups[i] = c->groups[i];
}

static void await_turn(void)
{
	while (call_count >= CALLS_MAX) {
		struct wait_entry e = {.task = current};
		task_prepare();
		wait_queue_add(&call_room, &e);
		task_sleep(NO_DEADLINE, false);
		wait_queue_remove(&e);
	}
}

static void send_request(struct site_call *c)
{
	static struct {
		struct vb_message header;
		struct vb_site_request q;
		char text[VB_SITE_PATH_MAX + VB_SITE_PATH_MAX];
	} m;

	m.header = (struct vb_message){VB_MSG_SITE_REQUEST, c->tag};
	m.q = c->q;
	if (c->path)
		memcpy(m.text, c->path, c->q.path_len);
	if (c->name)
		memcpy(m.text + c->q.path_len, c->name, c->q.name_len);
	platform_send(&m, offsetof(typeof(m), text) + c->q.path_len + c->q.name_len, c->data, c->data_len);
}

int site_run(struct site_call *c)
{
	static uint32_t last_tag;

	if (debug_serving)
		return -EIO;
	c->q.path_len = c->path ? (uint32_t)strlen(c->path) : 0;
	if (c->q.path_len > VB_SITE_PATH_MAX || c->q.name_len > VB_SITE_PATH_MAX)
		return -ENAMETOOLONG;
	await_turn();
	call_count++;
	c->tag = ++last_tag;
	c->task = current;
	c->done = false;
	c->out_len = 0;
	list_push_back(&calls, &c->node);
	send_request(c);
	while (!c->done) {
		task_prepare();
		task_sleep(NO_DEADLINE, false); /* the monitor always answers */
	}
	return c->reply.result;
}

static void joined(struct site_end *e, const struct site_call *c);

void site_reply(uint32_t tag, const void *payload, size_t len)
{
	list_for_each(c, &calls, struct site_call, node) {
		if (c->tag != tag)
			continue;
		list_remove(&c->node);
		call_count--;
		if (len < sizeof(c->reply)) {
			c->reply = (struct vb_site_reply){.result = -EIO};
		} else {
			memcpy(&c->reply, payload, sizeof(c->reply));
			c->out_len = vb_min(len - sizeof(c->reply), c->out_size);
			if (c->out_len)
				memcpy(c->out, (const uint8_t *)payload + sizeof(c->reply), c->out_len);
		}
		if (c->reply.result > VB_SITE_LOCAL || c->reply.result < -4095)
			c->reply.result = -EIO;
		if (!c->reply.result && c->joins)
			joined(c->joins, c); /* now: what follows is already for it */
		c->done = true;
		wait_queue_wake(&call_room, 0);
		task_wake(c->task);
		return;
	}
}

/* --- ends --- */

static struct site_end *end_by_id(uint32_t id)
{
	uint32_t slot = VB_SITE_SLOT(id);
	struct site_end *e = ends && slot < VB_SITE_SOCKETS ? ends[slot] : NULL;

	return e && e->id == id ? e : NULL;
}

struct unix_socket *site_remote_new(int type, char *path)
{
	struct unix_socket *u = unix_new(type);

	if (!u) {
		kfree(path);
		return NULL;
	}
	list_remove(&u->all_node); /* no program has it */
	u->remote = true;
	u->site_path = path;
	return u;
}

/* Gives u an end, if it has none. */
static int end_new(struct unix_socket *u)
{
	uint32_t slot = 0;

	if (u->site)
		return 0;
	if (!ends) {
		ends = kzalloc(VB_SITE_SOCKETS * sizeof(*ends));
		generations = kzalloc(VB_SITE_SOCKETS * sizeof(*generations));
		if (!ends || !generations) {
			kfree(ends);
			kfree(generations);
			ends = NULL;
			return -ENOMEM;
		}
	}
	while (slot < VB_SITE_SOCKETS && ends[slot])
		slot++;
	if (slot == VB_SITE_SOCKETS)
		return -ENOBUFS;
	struct site_end *e = kzalloc(sizeof(*e));
	struct unix_socket *remote = e ? site_remote_new(u->base.type, NULL) : NULL;
	if (!remote) {
		kfree(e);
		return -ENOMEM;
	}
	if (!++generations[slot])
		generations[slot] = 1; /* no id is 0 */
	e->id = slot | (uint32_t)generations[slot] << 16;
	e->owner = u;
	e->remote = remote;
	e->peer_buffer = u->base.send_buffer;
	remote->site = e;
	u->site = e;
	ends[slot] = e;
	return 0;
}

static void send_frame(const struct site_end *e, struct vb_site_frame f, const void *data, size_t len)
{
	struct {
		struct vb_message header;
		struct vb_site_frame f;
	} m = {{VB_MSG_SITE_FRAME, e->id}, f};

	platform_send(&m, sizeof(m), data, len);
}

/* The other side will give no more credit. */
static void uncharge(struct site_end *e, size_t charge)
{
	struct unix_socket *u = e->owner;

	charge = vb_min(charge, e->unacked);
	e->unacked -= charge;
	u->charged -= charge;
	if (charge && unix_writable(u))
		wait_queue_wake(&u->write_wait, POLL_OUT | POLL_WRNORM);
}

void site_release(struct unix_socket *u, bool unread)
{
	struct site_end *e = u->site;

	if (!e)
		return;
	send_frame(e, (struct vb_site_frame){.kind = VB_SITE_END, .value = unread}, NULL, 0);
	uncharge(e, e->unacked);
	u->site = NULL;
	ends[VB_SITE_SLOT(e->id)] = NULL;
	e->remote->site = NULL;
	e->remote->dead = true;
	unix_disconnect(e->remote); /* no program will close it */
	unix_unref(e->remote);
	if (e->partial)
		unix_name_unref(e->partial->name);
	kfree(e->partial);
	kfree(e);
}

/* --- names and connections --- */

/* Fields of most requests. The name of u comes along, for the other side to see. */
static void describe(struct site_call *c, const struct unix_socket *u, unsigned op)
{
	c->q.op = op;
	c->q.id = u->site->id;
	c->q.type = (uint32_t)u->base.type;
	c->q.uid = current->creds.euid;
	c->q.gid = current->creds.egid;
	site_who(&c->q.who);
	if (u->name) {
		c->name = u->name->bytes;
		c->q.name_len = u->name->len;
	}
}

int site_bind(struct unix_socket *u, const struct unix_name *name, struct dentry *dir, const char *path, uint32_t mode)
{
	struct site_call c = {.path = path};
	int r = end_new(u);

	if (!r) {
		describe(&c, u, VB_SITE_BIND);
		c.name = name->bytes;
		c.q.name_len = name->len;
		c.q.mode = mode;
		c.q.uid = current->creds.fsuid;
		c.q.gid = dir->inode->mode & S_ISGID ? dir->inode->gid : current->creds.fsgid;
		r = site_run(&c);
	}
	return r == -EEXIST ? -EADDRINUSE : r;
}

int site_listen(struct unix_socket *u)
{
	struct site_call c = {0};

	describe(&c, u, VB_SITE_LISTEN);
	c.q.value = u->backlog;
	return site_run(&c);
}

/* The other side is known: from now on e's owner has a peer. */
static void joined(struct site_end *e, const struct site_call *c)
{
	struct unix_socket *u = e->owner, *remote = e->remote;

	if (u->base.type == SOCK_DGRAM || u->peer)
		return;
	if (!remote->name && !unix_check_name(c->out, (unsigned)c->out_len))
		remote->name = unix_name_new(c->out, (unsigned)c->out_len);
	u->base.peer_creds = (struct k_ucred){0, c->reply.uid, c->reply.gid}; /* pid 0: of no process here, as with namespaces */
	unix_join(u, remote);
}

int site_accept(struct unix_socket *u, struct socket **ret)
{
	uint8_t name[VB_SITE_NAME_MAX];
	struct site_call c = {.out = name, .out_size = sizeof(name)};
	struct unix_socket *server = unix_new(u->base.type);
	int r = server ? end_new(server) : -ENOMEM;

	if (!r) {
		if (u->name) {
			server->name = u->name;
			server->name->refs++;
		}
		server->base.pass_creds = u->base.pass_creds;
		describe(&c, u, VB_SITE_ACCEPT);
		c.q.other = server->site->id;
		c.joins = server->site;
		u->site->ready = false; /* before the call: what comes after it counts */
		r = site_run(&c);
		if (!r && c.reply.value && u->site)
			u->site->ready = true;
	}
	if (!r) {
		*ret = &server->base;
		return 0;
	}
	if (server)
		server->base.ops->release(&server->base);
	return r;
}

static struct unix_socket *local_socket(const struct site_call *c)
{
	struct site_end *e = end_by_id(c->reply.id);

	if (!e)
		return NULL;
	e->owner->refs++;
	return e->owner;
}

/* Waits until there may be room: told so by the monitor for datagrams, else by trying again later and later. */
static int await_room(struct unix_socket *u, uint64_t *delay_ns, uint64_t deadline)
{
	uint64_t now = now_monotonic_ns(), until = vb_min(deadline, now + *delay_ns);
	int r;

	if (now >= deadline)
		return -ETIMEDOUT;
	*delay_ns = vb_min(*delay_ns * 2, RETRY_MAX_NS);
	r = wait_until(&u->write_wait, u->base.type == SOCK_DGRAM && u->site && !u->site->blocked, until);
	return r == -ETIMEDOUT && until < deadline ? 0 : r;
}

int site_connect(struct unix_socket *u, struct unix_socket *remote, bool nonblock, struct unix_socket **ret_local)
{
	uint8_t name[VB_SITE_NAME_MAX];
	struct site_call c = {.path = remote->site_path, .out = name, .out_size = sizeof(name)};
	uint64_t timeout = u->base.send_timeout_ns, deadline = deadline_after(timeout), delay = RETRY_MIN_NS;
	bool stream = u->base.type != SOCK_DGRAM;
	int r = end_new(u);

	if (r)
		return r;
	if (stream && u->state != UNIX_UNCONNECTED)
		return u->state == UNIX_CONNECTED ? -EISCONN : -EINVAL;
	describe(&c, u, VB_SITE_CONNECT);
	c.joins = stream ? u->site : NULL;
	while ((r = site_run(&c)) == -EAGAIN && !nonblock) {
		r = await_room(u, &delay, deadline);
		if (r)
			return socket_wait_error(r, timeout);
	}
	if (r == VB_SITE_LOCAL) {
		*ret_local = local_socket(&c);
		return *ret_local ? r : -ECONNREFUSED;
	}
	if (!r && !stream && !unix_check_name(name, (unsigned)c.out_len))
		remote->name = unix_name_new(name, (unsigned)c.out_len);
	if (!r)
		u->site->blocked = false;
	return r;
}

void site_shutdown(struct unix_socket *u, int how)
{
	send_frame(u->site, (struct vb_site_frame){.kind = VB_SITE_SHUT, .value = (uint32_t)how}, NULL, 0);
}

void site_disconnect(struct unix_socket *u)
{
	u->site->blocked = false;
	send_frame(u->site, (struct vb_site_frame){.kind = VB_SITE_DISCONNECT}, NULL, 0);
}

/* --- sending --- */

int site_refuse_rights(void)
{
	static bool logged;

	if (!logged)
		klog(1, "%s: descriptors can't be passed to another cell (SCM_RIGHTS): EPERM", current->comm);
	logged = true;
	return -EPERM; /* what Linux answers when the receiver takes none (SO_PASSRIGHTS) */
}

/* The pieces of a packet but the last, of at most `last` bytes, whose place is returned. */
static size_t send_pieces(struct site_end *e, struct vb_site_frame *f, const uint8_t *data, size_t len, size_t last)
{
	size_t at = 0;

	f->value = VB_SITE_MORE;
	while (len - at > last) {
		size_t n = vb_min(len - at, (size_t)VB_SITE_PIECE_MAX);
		send_frame(e, *f, data + at, n);
		f->credit = 0;
		at += n;
	}
	f->value = 0;
	return at;
}

void site_forward(struct unix_socket *remote, struct unix_message *m)
{
	struct site_end *e = remote->site;
	struct unix_socket *u = m->sender;

	if (e) {
		struct vb_site_frame f = {.kind = VB_SITE_DATA,
			.credit = (uint32_t)e->owed,
			.buffer = u->base.send_buffer,
			.uid = m->creds.uid,
			.gid = m->creds.gid};
		e->owed = 0;
		size_t at = send_pieces(e, &f, m->data, m->len, VB_SITE_PIECE_MAX);
		send_frame(e, f, m->data + at, m->len - at);
		e->unacked += m->charge; /* stays charged until it is read */
	} else {
		u->charged -= m->charge;
	}
	unix_name_unref(m->name);
	kfree(m);
	unix_unref(u);
}

/* A datagram to a socket of this cell, after all. */
static long send_locally(struct unix_socket *u, const struct site_call *c, struct socket_message *m, void *data, size_t len)
{
	struct unix_socket *to = local_socket(c);
	struct uio uio, *given = m->data;
	struct uio_vec one;
	long r = -ECONNREFUSED;

	if (to) {
		uio_init_kernel(&uio, &one, data, len);
		m->data = &uio;
		r = unix_send_to(u, to, m);
		m->data = given;
		unix_unref(to);
	}
	return r;
}

/* Sends it whole, or says why not: 0, VB_SITE_LOCAL, -EAGAIN ... */
static int send_datagram(struct unix_socket *u, struct site_call *c, const struct k_ucred *creds, const uint8_t *data, size_t len)
{
	struct vb_site_frame f = {.kind = VB_SITE_DATA};

	describe(c, u, VB_SITE_SEND);
	c->q.uid = creds->uid;
	c->q.gid = creds->gid;
	await_turn(); /* then nothing else is sent between its pieces */
	size_t at = send_pieces(u->site, &f, data, len, VB_SITE_LAST_MAX);
	c->data = data + at;
	c->data_len = len - at;
	u->site->blocked = true; /* until it is sent, or VB_SITE_ROOM */
	int r = site_run(c);
	if (r != -EAGAIN)
		u->site->blocked = false;
	return r;
}

long site_send_packet(struct unix_socket *u, struct unix_socket *to, struct socket_message *m)
{
	uint64_t timeout = u->base.send_timeout_ns, deadline = deadline_after(timeout), delay = RETRY_MIN_NS;
	struct site_call c = {.path = to == u->peer ? NULL : to->site_path, .q.value = m->rights != NULL};
	size_t len = m->data->left;
	long r = len > VB_SITE_PACKET_MAX ? -EMSGSIZE : end_new(u);
	uint8_t *data = r ? NULL : kmalloc(len + 1);

	if (!r && !data)
		r = -ENOBUFS;
	if (!r && len && uio_get(m->data, data, len) != (long)len)
		r = -EFAULT;
	while (!r) {
		r = send_datagram(u, &c, &m->creds, data, len);
		if (!r && m->rights)
			r = site_refuse_rights();
		if (r == VB_SITE_LOCAL) {
			r = send_locally(u, &c, m, data, len);
			break;
		}
		if (!r)
			r = (long)len;
		if (r != -EAGAIN)
			break;
		if (m->flags & MSG_DONTWAIT) {
			u->site->blocked = !c.path || c.reply.value; /* where it is connected, or its own buffer is full */
			break;
		}
		r = socket_wait_error(await_room(u, &delay, deadline), timeout);
	}
	kfree(data);
	return r;
}

/* --- receiving --- */

void site_consumed(struct unix_socket *remote, size_t charge)
{
	struct site_end *e = remote->site;
	bool packets = remote->base.type == SOCK_DGRAM;

	if (!e)
		return;
	e->owed += packets ? 1 : charge;
	/* Well before a sender of datagrams has none left, or the other side's poll() would call it writable again. */
	if (e->owed < (packets ? VB_SITE_PACKETS / 2 : vb_min(e->peer_buffer, VB_SITE_WINDOW) / 8))
		return;
	send_frame(e, (struct vb_site_frame){.kind = VB_SITE_CREDIT, .credit = (uint32_t)e->owed}, NULL, 0);
	e->owed = 0;
}

static void ended(struct site_end *e, bool reset)
{
	struct unix_socket *u = e->owner;

	uncharge(e, e->unacked);
	if (e->remote->dead || u->base.type == SOCK_DGRAM)
		return;
	e->remote->dead = true;
	e->remote->shut = u->shut = SHUT_READ | SHUT_WRITE;
	if (reset)
		u->base.error = ECONNRESET;
	unix_wake_all(u);
}

/* Adds a piece to what e->partial has. False: no memory. */
static bool gather(struct site_end *e, const uint8_t *data, size_t len)
{
	struct unix_message *m = e->partial;
	size_t had = m ? m->len : 0;

	if (had + len > VB_SITE_PACKET_MAX)
		return false;
	m = krealloc(m, sizeof(*m) + had + len);
	if (!m)
		return false;
	if (!had)
		*m = (struct unix_message){0};
	e->partial = m;
	memcpy(m->data + had, data, len);
	m->len = had + len;
	return true;
}

static void take_data(struct site_end *e, const struct vb_site_frame *f, const uint8_t *data, size_t len)
{
	struct unix_socket *u = e->owner;
	bool datagram = u->base.type == SOCK_DGRAM;
	struct unix_name *name = NULL;

	e->peer_buffer = vb_max(f->buffer, 1u);
	if (datagram && f->name_len) {
		if (f->name_len > len || unix_check_name(data, f->name_len))
			return;
		name = unix_name_new(data, f->name_len);
		data += f->name_len;
		len -= f->name_len;
	} else if (!datagram && e->remote->name) {
		name = e->remote->name;
		name->refs++;
	}
	if (name && e->partial && e->partial->name)
		unix_name_unref(name);
	bool good = gather(e, data, len);
	struct unix_message *m = e->partial;
	if (good && name && !m->name)
		m->name = name;
	if (good && f->value & VB_SITE_MORE)
		return;
	e->partial = NULL;
	if (!good || u->shut & SHUT_READ) { /* no memory: lost, as if it had been read */
		site_consumed(e->remote, sizeof(*m) + (m ? m->len : 0) + (good ? 0 : len));
		if (m)
			unix_name_unref(m->name);
		kfree(m);
		if (!good && !datagram)
			ended(e, true);
		return;
	}
	m->sender = e->remote;
	e->remote->refs++;
	m->creds = (struct k_ucred){0, f->uid, f->gid};
	m->charge = sizeof(*m) + m->len;
	unix_deliver(u, m);
}

static void take_shutdown(struct site_end *e, unsigned how)
{
	struct unix_socket *u = e->owner;

	if (e->remote->dead || !u->peer)
		return;
	e->remote->shut |= (int)(how & 3);
	u->shut |= (how & SHUT_READ ? SHUT_WRITE : 0) | (how & SHUT_WRITE ? SHUT_READ : 0);
	unix_wake_all(u);
}

void site_event(uint32_t id, const void *payload, size_t len)
{
	struct site_end *e = end_by_id(id);
	struct vb_site_frame f;

	if (!e || len < sizeof(f))
		return; /* closed meanwhile */
	memcpy(&f, payload, sizeof(f));
	if (f.credit && e->owner->base.type != SOCK_DGRAM)
		uncharge(e, f.credit);
	switch (f.kind) {
	case VB_SITE_DATA:
		return take_data(e, &f, (const uint8_t *)payload + sizeof(f), len - sizeof(f));
	case VB_SITE_SHUT:
		return take_shutdown(e, f.value);
	case VB_SITE_END:
		return ended(e, f.value);
	case VB_SITE_READY:
		e->ready = true;
		return wait_queue_wake(&e->owner->read_wait, POLL_IN | POLL_RDNORM);
	case VB_SITE_ROOM:
		e->blocked = false;
		return wait_queue_wake(&e->owner->write_wait, POLL_OUT | POLL_WRNORM);
	}
}
