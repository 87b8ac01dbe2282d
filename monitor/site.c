/* Requests of the cell about sockets of its site. Owns the table of sockets: each bound or connected socket of the cell is one
 * of the host here, a SOCK_SEQPACKET one for streams and packets, whose queues, backlog and errors are the cell's.
 *
 * The kernel is hostile: an id, length or order that a kernel of this build would not send ends the cell.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/types.h"
#include "host/error.h"
#include "host/file.h"
#include "monitor/cell.h"
#include "monitor/site_private.h"

#define BACKLOG_MAX      4096
#define ACCEPT_TRIES     8
#define HOST_BUFFER      425984 /* asked for; the host may give less */
#define LIST_BYTES       60000u
#define EXIT_PATIENCE_MS 2000

/* A request, checked. */
struct asked {
	struct vb_site_request q;
	char path[VB_SITE_PATH_MAX + 1], name[VB_SITE_PATH_MAX + 1];
	const char *data;
	size_t data_len;
};

struct answer {
	struct vb_site_reply r;
	uint8_t data[LIST_BYTES];
	size_t len;
};
_Static_assert(offsetof(struct answer, data) == sizeof(struct vb_site_reply), "sent in one piece");

/* --- sockets --- */

struct site_socket *site_socket_of(struct site *s, uint32_t id)
{
	struct site_socket *k = &s->sockets[VB_SITE_SLOT(id) % VB_SITE_SOCKETS];
	return id && k->id == id ? k : NULL;
}

int site_host_socket(uint32_t type)
{
	int size = HOST_BUFFER;
	int fd = socket(AF_UNIX, (type == SOCK_DGRAM ? SOCK_DGRAM : SOCK_SEQPACKET) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	return fd < 0 ? errno == EMFILE || errno == ENFILE ? -ENOBUFS : -errno : fd;
}

socklen_t site_address(const struct site *s, uint64_t file, struct sockaddr_un *ret)
{
	char name[SITE_FILE_BYTES];
	site_file_name(file, name);
	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
			   (size_t)snprintf(ret->sun_path, sizeof(ret->sun_path), "%s/%s", s->folder.path, name));
}

/* The slot, opened if it is free. *ret is NULL if it can't be. */
static int socket_open(struct monitor *m, uint32_t id, uint32_t type, struct site_socket **ret)
{
	struct site *s = m->site;
	struct site_socket *k = site_socket_of(s, id);
	*ret = k;
	if (k && k->type != type)
		tender_condemn(m, "a site's socket of two types");
	if (k)
		return k->type != type ? -EINVAL : 0;
	k = &s->sockets[VB_SITE_SLOT(id) % VB_SITE_SOCKETS];
	if (VB_SITE_SLOT(id) >= VB_SITE_SOCKETS || !id || k->id || (type != SOCK_STREAM && type != SOCK_DGRAM && type != SOCK_SEQPACKET)) {
		tender_condemn(m, "no free place for a socket: %x", id);
		return -EINVAL;
	}
	int fd = site_host_socket(type);
	if (fd < 0)
		return fd;
	*k = (struct site_socket){.id = id, .fd = fd, .type = type, .credit = VB_SITE_PACKETS, .helper = -1};
	s->high = s->high > VB_SITE_SLOT(id) ? s->high : VB_SITE_SLOT(id) + 1;
	*ret = k;
	return 0;
}

/* Which socket of this cell is bound to that file, 0: none. */
static uint32_t own_socket(const struct site *s, uint64_t file)
{
	for (unsigned i = 0; i < s->high; i++)
		if (s->sockets[i].id && s->sockets[i].file == file)
			return s->sockets[i].id;
	return 0;
}

/* --- requests --- */

static int do_stat(struct monitor *m, struct asked *a, struct answer *ret)
{
	struct site_name n;
	int r = site_name_get(&m->site->folder, a->path, &n);
	if (r < 0)
		return r;
	ret->r = (struct vb_site_reply){.mode = n.mode, .uid = n.uid, .gid = n.gid, .ino = n.ino, .time_ns = n.time_ns};
	return 0;
}

static int do_bind(struct monitor *m, struct asked *a, struct answer *ret)
{
	struct site *s = m->site;
	struct site_socket *k;
	struct sockaddr_un address;
	struct site_name n = {.type = a->q.type,
		.mode = a->q.mode & 07777,
		.uid = a->q.who.uid,
		.gid = a->q.gid,
		.creator_uid = a->q.who.uid,
		.creator_gid = a->q.who.gid,
		.sockaddr_len = a->q.name_len};
	if (a->q.name_len > VB_SITE_NAME_MAX || a->q.name_len < 3) {
		tender_condemn(m, "a name of %u bytes", a->q.name_len);
		return -EINVAL;
	}
	int r = socket_open(m, a->q.id, a->q.type, &k);
	if (r == 0 && (k->file || k->connected || k->listening || k->ended))
		r = -EINVAL;
	if (r < 0)
		return r;
	memcpy(n.sockaddr, a->name, a->q.name_len);
	if (getrandom(&n.file, sizeof(n.file), 0) != sizeof(n.file))
		return -EIO;
	n.file |= 1;
	r = site_name_add(&s->folder, a->path, &n);
	if (r < 0)
		return r;
	socklen_t len = site_address(s, n.file, &address);
	if (bind(k->fd, (struct sockaddr *)&address, len) < 0) {
		r = -errno;
		site_name_remove(&s->folder, a->path, &(struct vb_site_who){.override = 1});
		return r;
	}
	chmod(address.sun_path, s->folder.mode);
	k->file = n.file;
	if (k->type == SOCK_DGRAM)
		site_watch(s, k, EPOLLIN);
	return 0;
}

static int do_listen(struct monitor *m, struct asked *a, struct answer *ret)
{
	struct site_socket *k = site_socket_of(m->site, a->q.id);
	if (!k || !k->file || k->type == SOCK_DGRAM || k->connected)
		return -EINVAL;
	if (listen(k->fd, a->q.value > BACKLOG_MAX ? BACKLOG_MAX : (int)a->q.value) < 0)
		return -errno;
	k->listening = true;
	site_watch(m->site, k, EPOLLIN);
	return 0;
}

/* --- accepting --- */

static struct site_pending *pending_known(struct site *s, uint32_t listener)
{
	struct site_pending *first = NULL;
	for (unsigned i = 0; i < SITE_PENDING_MAX; i++) {
		struct site_pending *p = &s->pending[i];
		if (p->fd >= 0 && p->known && p->listener == listener && (!first || (int32_t)(p->order - first->order) < 0))
			first = p;
	}
	return first;
}

/* A place for one more; the oldest makes way. */
static struct site_pending *pending_new(struct site *s)
{
	struct site_pending *oldest = &s->pending[0];
	for (unsigned i = 0; i < SITE_PENDING_MAX; i++) {
		if (s->pending[i].fd < 0)
			return &s->pending[i];
		if ((int32_t)(s->pending[i].order - oldest->order) < 0)
			oldest = &s->pending[i];
	}
	fd_close(&oldest->fd);
	return oldest;
}

/* Takes connections from the host until one has said who it is. Usually the first has. */
static struct site_pending *accept_next(struct site *s, struct site_socket *listener, int *ret_error)
{
	struct site_pending *p = pending_known(s, listener->id);
	for (int i = 0; !p && i < ACCEPT_TRIES; i++) {
		int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK), size = HOST_BUFFER;
		if (fd < 0) {
			*ret_error = errno == EAGAIN || errno == ECONNABORTED ? -EAGAIN : errno == EINVAL ? -EINVAL : -ENFILE;
			return NULL;
		}
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
		p = pending_new(s);
		*p = (struct site_pending){.fd = fd, .listener = listener->id, .order = s->last_order++};
		if (!site_pending_check(p)) {
			fd_close(&p->fd);
			p = NULL;
		} else if (!p->known) {
			site_watch_fd(s, fd, EPOLLIN, SITE_WATCH_PENDING, (uint32_t)(p - s->pending));
			p = NULL;
		}
	}
	*ret_error = -EAGAIN;
	return p;
}

static int do_accept(struct monitor *m, struct asked *a, struct answer *ret)
{
	struct site *s = m->site;
	struct site_socket *k = site_socket_of(s, a->q.id), *new = &s->sockets[VB_SITE_SLOT(a->q.other) % VB_SITE_SOCKETS];
	if (!k || !k->listening || !a->q.other || VB_SITE_SLOT(a->q.other) >= VB_SITE_SOCKETS || new->id) {
		tender_condemn(m, "accepts on no listener, or to no free place");
		return -EINVAL;
	}
	int r = 0;
	struct site_pending *p = accept_next(s, k, &r);
	if (p) {
		*new = (struct site_socket){.id = a->q.other, .fd = p->fd, .type = k->type, .connected = true, .helper = -1};
		s->high = s->high > VB_SITE_SLOT(new->id) ? s->high : VB_SITE_SLOT(new->id) + 1;
		site_watch_fd(s, p->fd, 0, SITE_WATCH_PENDING, 0); /* if it was watched */
		site_watch(s, new, EPOLLIN);
		ret->r.uid = p->hello.uid;
		ret->r.gid = p->hello.gid;
		memcpy(ret->data, p->name, p->hello.name_len);
		ret->len = p->hello.name_len;
		p->fd = -1;
		r = 0;
	}
	ret->r.value = pending_known(s, k->id) || poll(&(struct pollfd){.fd = k->fd, .events = POLLIN}, 1, 0) == 1;
	if (!ret->r.value || r < 0)
		site_watch(s, k, EPOLLIN); /* tell of the next */
	return r;
}

/* --- connecting and sending --- */

/* The name at a path that a socket of `type` may reach: 0, VB_SITE_LOCAL or -errno, in Linux's order of checks. */
static int reach(struct site *s, struct asked *a, struct answer *ret, struct site_name *n, struct sockaddr_un *address, socklen_t *ret_len)
{
	int r = site_name_get(&s->folder, a->path, n);
	if (r == 0)
		r = site_may_write(n, &a->q.who);
	if (r < 0)
		return r;
	ret->r.id = own_socket(s, n->file);
	if (ret->r.id)
		return VB_SITE_LOCAL;
	*ret_len = site_address(s, n->file, address);
	if (n->type == a->q.type)
		return 0;
	/* Of another type, or nobody's any more: a type of the host that no cell has tells. */
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	r = fd >= 0 && connect(fd, (struct sockaddr *)address, *ret_len) < 0 && errno == EPROTOTYPE ? -EPROTOTYPE : -ECONNREFUSED;
	fd_close(&fd);
	return r;
}

static int send_hello(int fd, const struct asked *a)
{
	struct vb_site_frame f = {.kind = VB_SITE_HELLO, .uid = a->q.uid, .gid = a->q.gid, .name_len = a->q.name_len};
	struct iovec parts[] = {{&f, sizeof(f)}, {(void *)a->name, a->q.name_len}};
	return sendmsg(fd, &(struct msghdr){.msg_iov = parts, .msg_iovlen = 2}, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static int do_connect(struct monitor *m, struct asked *a, struct answer *ret)
{
	struct site *s = m->site;
	struct sockaddr_un address;
	struct site_socket *k;
	struct site_name n;
	socklen_t len;
	if (a->q.name_len > VB_SITE_NAME_MAX) {
		tender_condemn(m, "a name of %u bytes", a->q.name_len);
		return -EINVAL;
	}
	int r = reach(s, a, ret, &n, &address, &len);
	if (r)
		return r;
	r = socket_open(m, a->q.id, a->q.type, &k);
	bool stream = r == 0 && k->type != SOCK_DGRAM;
	if (r == 0 && (k->ended || k->listening || (stream && k->connected)))
		r = -EISCONN;
	if (r < 0)
		return r;
	if (connect(k->fd, (struct sockaddr *)&address, len) < 0)
		return errno == ENOENT || errno == EPROTOTYPE ? -ECONNREFUSED : -errno;
	k->connected = true;
	if (stream && send_hello(k->fd, a) < 0)
		return -ECONNREFUSED; /* taken and dropped already; the next frame finds the end */
	site_watch(s, k, stream || k->credit ? EPOLLIN : 0);
	ret->r.uid = n.creator_uid;
	ret->r.gid = n.creator_gid;
	memcpy(ret->data, n.sockaddr, n.sockaddr_len);
	ret->len = n.sockaddr_len;
	return 0;
}

static int send_datagram(
	struct site *s, struct site_socket *k, struct asked *a, struct sockaddr_un *to, socklen_t to_len, uint32_t *ret_own)
{
	struct vb_site_frame f = {.kind = VB_SITE_DATA, .uid = a->q.uid, .gid = a->q.gid, .name_len = a->q.name_len};
	struct iovec parts[] = {{&f, sizeof(f)}, {a->name, a->q.name_len}, {site_packet, s->gathered}, {(void *)a->data, a->data_len}};
	struct msghdr msg = {.msg_name = to, .msg_namelen = to_len, .msg_iov = parts, .msg_iovlen = 4};
	if (sendmsg(k->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) {
		s->bytes_sent += a->data_len;
		return 0;
	}
	if (errno == EAGAIN) {
		*ret_own = site_await_room(s, k, to, to_len);
		return -EAGAIN;
	}
	return errno == ENOENT || errno == EPROTOTYPE ? -ECONNREFUSED : -errno;
}

static int do_send(struct monitor *m, struct asked *a, struct answer *ret)
{
	struct site *s = m->site;
	struct sockaddr_un address;
	struct site_socket *k = NULL;
	struct site_name n;
	socklen_t len = 0;
	if (a->q.name_len > VB_SITE_NAME_MAX || a->q.type != SOCK_DGRAM || (s->gathers && s->gathers != a->q.id) ||
		s->gathered + a->data_len > VB_SITE_PACKET_MAX) {
		tender_condemn(m, "a datagram that breaks the rules");
		return -EINVAL;
	}
	int r = a->q.path_len ? reach(s, a, ret, &n, &address, &len) : 0;
	if (r == 0)
		r = socket_open(m, a->q.id, a->q.type, &k);
	if (r == 0 && !a->q.path_len && !k->connected)
		r = -ENOTCONN;
	if (r == 0 && !a->q.value)
		r = send_datagram(s, k, a, len ? &address : NULL, len, &ret->r.value);
	if (r == -ECONNREFUSED && !a->q.path_len)
		k->connected = false; /* as the host's */
	s->gathers = 0;
	s->gathered = 0;
	return r;
}

/* --- names --- */

static int do_unlink(struct monitor *m, struct asked *a, struct answer *ret)
{
	return site_name_remove(&m->site->folder, a->path, &a->q.who);
}

static bool path_valid(struct monitor *m, const char *path, size_t len, bool folder);

static int do_rename(struct monitor *m, struct asked *a, struct answer *ret)
{
	if (!path_valid(m, a->name, a->q.name_len, false)) {
		tender_condemn(m, "a name outside its site");
		return -EINVAL;
	}
	return site_name_rename(&m->site->folder, a->path, a->name, &a->q.who, a->q.value & 1);
}

static int do_setattr(struct monitor *m, struct asked *a, struct answer *ret)
{
	return site_name_change(&m->site->folder, a->path, &a->q.who, &a->q);
}

static int do_list(struct monitor *m, struct asked *a, struct answer *ret)
{
	ret->len = site_name_list(&m->site->folder, a->path, a->q.value, ret->data, sizeof(ret->data), &ret->r.value);
	return 0;
}

/* --- what the cell says --- */

/* Absolute, below one of the cell's folders, no "." and nothing empty. */
static bool path_valid(struct monitor *m, const char *path, size_t len, bool folder)
{
	const struct monitor_options *o = m->options;
	bool below = false;
	if (!len || strlen(path) != len)
		return false;
	for (unsigned i = 0; i < o->site_folder_count; i++) {
		size_t n = strlen(o->site_folders[i]);
		below |= strncmp(path, o->site_folders[i], n) == 0 && (path[n] == '/' || (folder && !path[n]));
	}
	for (const char *p = path; below && p; p = strchr(p + 1, '/')) {
		size_t n = strcspn(p + 1, "/");
		below = n && !(p[1] == '.' && (n == 1 || (n == 2 && p[2] == '.')));
	}
	return below;
}

/* A cell that was not started as root is who it was started as, whatever its kernel says. */
static void believe(const struct monitor_options *o, struct vb_site_request *q)
{
	struct vb_site_who *w = &q->who;
	bool own_group = q->gid == o->gid;
	if (o->uid == 0)
		return;
	w->uid = q->op == VB_SITE_SETATTR ? o->uid : (q->uid = o->uid);
	w->gid = o->gid;
	w->override = 0;
	w->group_count = o->group_count < VB_SITE_GROUPS ? o->group_count : VB_SITE_GROUPS;
	for (uint32_t i = 0; i < w->group_count; i++) {
		w->groups[i] = o->groups[i];
		own_group |= q->gid == o->groups[i];
	}
	if (!own_group && q->op != VB_SITE_SETATTR)
		q->gid = o->gid;
}

/* Copies the request; false: it is malformed. */
static bool decode(struct monitor *m, const void *payload, size_t len, struct asked *a)
{
	struct vb_site_request *q = &a->q;
	const char *text = (const char *)payload + sizeof(*q);
	memcpy(q, payload, sizeof(*q));
	len -= sizeof(*q);
	if (q->path_len > VB_SITE_PATH_MAX || q->name_len > VB_SITE_PATH_MAX || q->who.group_count > VB_SITE_GROUPS ||
		len < q->path_len + q->name_len)
		return false;
	memcpy(a->path, text, q->path_len);
	a->path[q->path_len] = 0;
	memcpy(a->name, text + q->path_len, q->name_len);
	a->name[q->name_len] = 0;
	a->data = text + q->path_len + q->name_len;
	a->data_len = len - q->path_len - q->name_len;
	if (a->data_len > (q->op == VB_SITE_SEND ? VB_SITE_LAST_MAX : 0))
		return false;
	believe(m->options, q);
	bool no_path = q->op == VB_SITE_LISTEN || q->op == VB_SITE_ACCEPT || (q->op == VB_SITE_SEND && !q->path_len);
	return no_path || path_valid(m, a->path, q->path_len, q->op == VB_SITE_LIST);
}

void site_request(struct monitor *m, uint32_t tag, const void *payload, size_t len)
{
	static int (*const operations[])(struct monitor * m, struct asked * a, struct answer * ret) = {
		[VB_SITE_STAT] = do_stat,
		[VB_SITE_BIND] = do_bind,
		[VB_SITE_LISTEN] = do_listen,
		[VB_SITE_ACCEPT] = do_accept,
		[VB_SITE_CONNECT] = do_connect,
		[VB_SITE_SEND] = do_send,
		[VB_SITE_UNLINK] = do_unlink,
		[VB_SITE_RENAME] = do_rename,
		[VB_SITE_SETATTR] = do_setattr,
		[VB_SITE_LIST] = do_list,
	};
	static struct asked a;
	static struct answer answer;
	if (!m->site)
		return tender_condemn(m, "asks for a site, which it does not have");
	if (!decode(m, payload, len, &a) || a.q.op >= VB_ARRAY_LEN(operations) || !operations[a.q.op])
		return tender_condemn(m, "a malformed request about sockets of its site");
	answer.r = (struct vb_site_reply){0};
	answer.len = 0;
	together_request(m);
	answer.r.result = operations[a.q.op](m, &a, &answer);
	if (m->condemned)
		return;
	if (message_send(m, VB_MSG_SITE_REPLY, tag, &answer, offsetof(struct answer, data) + answer.len) < 0)
		tender_condemn(m, "does not read its replies");
}

/* --- life --- */

int site_open(struct monitor *m, struct vb_error *err)
{
	struct rlimit files;
	if (!m->options->site_dir)
		return 0;
	m->site = calloc(1, sizeof(*m->site));
	if (!m->site)
		return vb_error_set(err, -ENOMEM, "no memory for a site");
	int r = site_folder_open(&m->site->folder, m->options->site_dir, err);
	if (r == 0 && (m->site->epoll = epoll_create1(EPOLL_CLOEXEC)) < 0)
		r = vb_error_errno(err, "can't watch the sockets of a site");
	if (r < 0) {
		free(m->site);
		m->site = NULL;
		return r;
	}
	for (unsigned i = 0; i < SITE_PENDING_MAX; i++)
		m->site->pending[i].fd = -1;
	for (unsigned i = 0; i < SITE_LINGER_MAX; i++)
		m->site->linger[i].fd = -1;
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
		files.rlim_cur = files.rlim_max < 4096 ? files.rlim_max : files.rlim_cur > 4096 ? files.rlim_cur : 4096;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	return 0;
}

void site_start(struct monitor *m)
{
	if (m->site)
		watch_add(m, m->site->epoll, POLLIN, site_ready, NULL);
}

void site_close(struct monitor *m)
{
	struct site *s = m->site;
	if (!s)
		return;
	for (unsigned i = 0; i < VB_SITE_SOCKETS; i++)
		if (s->sockets[i].id)
			site_socket_free(m, &s->sockets[i]);
	site_queues_flush(s, EXIT_PATIENCE_MS);
	for (unsigned i = 0; i < SITE_PENDING_MAX; i++)
		fd_close(&s->pending[i].fd);
	fd_close(&s->epoll);
	site_folder_close(&s->folder);
	free(s);
	m->site = NULL;
}
