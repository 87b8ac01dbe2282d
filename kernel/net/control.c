/* Ancillary data of messages: descriptors (SCM_RIGHTS), credentials (SCM_CREDENTIALS) and timestamps here, the families'
 * own in records. Owns struct rights; the program's buffer is copied once and then decoded.
 */
#include "kernel/net/socket.h"

#include <asm/socket.h>
#include <linux/capability.h>
#include <linux/fcntl.h>

enum { SCM_RIGHTS = 1, SCM_CREDENTIALS = 2 };
#define CONTROL_MAX 131072u /* net.core.optmem_max */

struct k_cmsg {
	uint64_t len;
	int32_t level, type;
};

static uint64_t align8(uint64_t n)
{
	return (n + 7) & ~7ull;
}

void rights_free(struct rights *r)
{
	for (unsigned i = 0; r && i < r->count; i++)
		file_unref(r->files[i]);
	kfree(r);
}

struct rights *rights_copy(const struct rights *r)
{
	struct rights *copy = kmalloc(sizeof(*copy) + r->count * sizeof(r->files[0]));

	if (!copy)
		return NULL;
	*copy = (struct rights){r->count};
	for (unsigned i = 0; i < r->count; i++) {
		copy->files[i] = r->files[i];
		file_ref(r->files[i]);
	}
	return copy;
}

static int decode_rights(const int32_t *fds, uint64_t bytes, struct socket_message *m)
{
	unsigned count = (unsigned)(bytes / sizeof(*fds));

	if (!count)
		return 0;
	if (count + (m->rights ? m->rights->count : 0) > RIGHTS_MAX)
		return -EINVAL;
	if (!m->rights) {
		m->rights = kmalloc(sizeof(*m->rights) + RIGHTS_MAX * sizeof(m->rights->files[0]));
		if (!m->rights)
			return -ENOMEM;
		m->rights->count = 0;
	}
	for (unsigned i = 0; i < count; i++) {
		struct file *f = fd_ref_any(fds[i]);
		if (!f)
			return -EBADF;
		m->rights->files[m->rights->count++] = f;
	}
	return 0;
}

static int decode_creds(const struct k_ucred *c, struct socket_message *m)
{
	const struct creds *me = &current->creds;
	bool uid_ok = c->uid == me->ruid || c->uid == me->euid || c->uid == me->suid || capable(CAP_SETUID);
	bool gid_ok = c->gid == me->rgid || c->gid == me->egid || c->gid == me->sgid || capable(CAP_SETGID);

	if ((c->pid != current->process->pid && !capable(CAP_SYS_ADMIN)) || !uid_ok || !gid_ok)
		return -EPERM;
	if (c->pid != current->process->pid && !process_by_pid(c->pid))
		return -ESRCH;
	m->creds = *c;
	return 0;
}

/* The record at *at, which moves behind it. 0: the end. */
static int next_record(const uint8_t *buf, size_t len, size_t *at, struct control_record *ret)
{
	struct k_cmsg header;

	if (*at > len || len - *at < sizeof(header))
		return 0;
	memcpy(&header, buf + *at, sizeof(header));
	if (header.len < sizeof(header) || header.len > len - *at)
		return -EINVAL;
	*ret = (struct control_record){header.level, header.type, buf + *at + sizeof(header), header.len - sizeof(header)};
	*at += align8(header.len);
	return 1;
}

static int decode_all(const uint8_t *buf, size_t len, struct socket_message *m)
{
	struct control_record c;
	size_t at = 0;
	int r;

	while ((r = next_record(buf, len, &at, &c)) > 0) {
		if (c.level != SOL_SOCKET)
			continue;
		if (c.type == SCM_RIGHTS)
			r = decode_rights((const int32_t *)c.data, c.len, m);
		else if (c.type == SCM_CREDENTIALS && c.len == sizeof(struct k_ucred))
			r = decode_creds((const struct k_ucred *)c.data, m);
		else
			r = -EINVAL;
		if (r)
			break;
	}
	return r;
}

bool control_next(const struct socket_message *m, size_t *at, struct control_record *ret)
{
	return m->control && next_record(m->control, m->control_len, at, ret) > 0;
}

int control_decode(uint64_t addr, uint64_t len, struct socket_message *m)
{
	if (!addr || !len)
		return 0;
	if (len > CONTROL_MAX)
		return -ENOBUFS;
	uint8_t *buf = kmalloc(len);
	if (!buf)
		return -ENOBUFS;
	int r = copy_from_user(buf, addr, len);
	if (!r)
		r = decode_all(buf, len, m);
	m->control = buf;
	m->control_len = len;
	return r;
}

void control_release(struct socket_message *m)
{
	rights_free(m->rights);
	m->rights = NULL;
	kfree((void *)m->control);
	m->control = NULL;
}

void control_add(struct socket_message *m, int level, int type, const void *data, size_t len)
{
	struct k_cmsg header = {sizeof(header) + len, level, type};
	uint8_t *at = m->control_out + m->control_out_len;

	KASSERT(m->control_out_len + align8(header.len) <= sizeof(m->control_out));
	memcpy(at, &header, sizeof(header));
	memcpy(at + sizeof(header), data, len);
	m->control_out_len += (unsigned)align8(header.len);
}

void control_add_timestamp(struct socket *s, struct socket_message *m, uint64_t realtime_ns)
{
	bool in_ns = s->timestamp == SO_TIMESTAMPNS_OLD || s->timestamp == SO_TIMESTAMPNS_NEW;
	struct k_timespec t = ns_to_timespec(realtime_ns);

	if (!s->timestamp)
		return;
	if (!in_ns)
		t.tv_nsec /= 1000;
	control_add(m, SOL_SOCKET, s->timestamp, &t, sizeof(t));
}

/* One record, cut off if the buffer is too small. Returns the bytes used. */
static uint64_t encode(
	uint64_t addr, uint64_t room, int level, int type, const void *data, uint64_t size, struct socket_message *m)
{
	struct k_cmsg header = {sizeof(header) + size, level, type};

	if (room < sizeof(header)) {
		m->out_flags |= MSG_CTRUNC;
		return 0;
	}
	if (room < header.len) {
		m->out_flags |= MSG_CTRUNC;
		header.len = room;
	}
	if (put_user(header, addr) || copy_to_user(addr + sizeof(header), data, header.len - sizeof(header)))
		return 0;
	return vb_min(align8(header.len), room);
}

static uint64_t encode_rights(uint64_t addr, uint64_t room, struct socket_message *m)
{
	int32_t fds[RIGHTS_MAX];
	unsigned count = 0, max = room < sizeof(struct k_cmsg) ? 0 : (unsigned)((room - sizeof(struct k_cmsg)) / sizeof(int32_t));
	struct rights *r = m->rights;

	for (; count < r->count && count < max; count++) {
		fds[count] = fd_install(r->files[count], 0, m->flags & MSG_CMSG_CLOEXEC);
		if (fds[count] < 0)
			break;
		file_ref(r->files[count]); /* rights_free drops the one that came along */
	}
	if (count < r->count)
		m->out_flags |= MSG_CTRUNC;
	rights_free(r);
	m->rights = NULL;
	return count ? encode(addr, room, SOL_SOCKET, SCM_RIGHTS, fds, count * sizeof(*fds), m) : 0;
}

uint64_t control_encode(uint64_t addr, uint64_t len, struct socket_message *m)
{
	struct control_record c;
	uint64_t used = 0;

	for (size_t at = 0; next_record(m->control_out, m->control_out_len, &at, &c) > 0;)
		used += encode(addr + used, len - used, c.level, c.type, c.data, c.len, m);
	if (m->has_creds)
		used += encode(addr + used, len - used, SOL_SOCKET, SCM_CREDENTIALS, &m->creds, sizeof(m->creds), m);
	if (m->rights)
		used += encode_rights(addr + used, len - used, m);
	return used;
}
