/* Socket options of level SOL_SOCKET: kept here, read back as Linux reads them back. Trusts nothing from the program. */
#include "kernel/net/link.h"
#include "kernel/net/socket.h"

#include <asm/socket.h>
#include <linux/capability.h>

#define BUFFER_DEFAULT 212992u  /* net.core.wmem_default, rmem_default */
#define BUFFER_MAX     4194304u /* net.core.wmem_max, rmem_max */
#define SEND_MIN       4608u
#define RECEIVE_MIN    2304u

/* Options that are plain switches: what they do is the family's. */
static bool is_switch(int name)
{
	return name == SO_DEBUG || name == SO_REUSEADDR || name == SO_DONTROUTE || name == SO_BROADCAST || name == SO_KEEPALIVE ||
	       name == SO_OOBINLINE || name == SO_REUSEPORT || name == SO_LINGER || name == SO_NO_CHECK;
}

static bool is_timestamp(int name)
{
	return name == SO_TIMESTAMP_OLD || name == SO_TIMESTAMPNS_OLD || name == SO_TIMESTAMP_NEW || name == SO_TIMESTAMPNS_NEW;
}

void socket_init(struct socket *s, const struct socket_ops *ops, int family, int type, int protocol)
{
	*s = (struct socket){.ops = ops,
		.family = family,
		.type = type,
		.protocol = protocol,
		.send_buffer = BUFFER_DEFAULT,
		.receive_buffer = BUFFER_DEFAULT,
		.receive_low = 1,
		.send_timeout_ns = NO_DEADLINE,
		.receive_timeout_ns = NO_DEADLINE,
		.peer_creds = {0, -1u, -1u}};
}

struct k_ucred socket_current_creds(void)
{
	return (struct k_ucred){current->process->pid, current->creds.euid, current->creds.egid};
}

int socket_wait_error(int r, uint64_t timeout_ns)
{
	if (r == -ETIMEDOUT)
		return -EAGAIN;
	return r == -ERESTARTSYS && timeout_ns != NO_DEADLINE ? -EINTR : r;
}

static int set_timeout(uint64_t *ret, uint64_t value, unsigned len)
{
	struct k_timeval tv;

	if (len < sizeof(tv))
		return -EINVAL;
	if (get_user(tv, value))
		return -EFAULT;
	if (tv.tv_usec < 0 || tv.tv_usec >= 1000000)
		return -EDOM;
	if (tv.tv_sec < 0)
		tv.tv_sec = 0, tv.tv_usec = 0; /* a negative time does not wait; zero waits for ever */
	else if (!tv.tv_sec && !tv.tv_usec) {
		*ret = NO_DEADLINE;
		return 0;
	}
	*ret = timespec_to_ns(&(struct k_timespec){tv.tv_sec, tv.tv_usec * 1000});
	return 0;
}

static int set_linger(struct socket *s, uint64_t value, unsigned len)
{
	int32_t linger[2]; /* on, seconds */

	if (len < sizeof(linger))
		return -EINVAL;
	if (get_user(linger, value))
		return -EFAULT;
	s->flags = linger[0] ? s->flags | 1u << SO_LINGER : s->flags & ~(1u << SO_LINGER);
	s->linger_s = linger[0] ? linger[1] : s->linger_s;
	return 0;
}

static unsigned buffer_size(int wanted, unsigned max, unsigned min)
{
	unsigned size = wanted < 0 ? max : vb_min((unsigned)wanted, max);

	return vb_max(size * 2, min); /* doubled for bookkeeping, as Linux reports it */
}

static long set_buffer(struct socket *s, int name, int wanted)
{
	bool force = name == SO_SNDBUFFORCE || name == SO_RCVBUFFORCE;
	unsigned max = force ? INT32_MAX / 2 : BUFFER_MAX;

	if (force && !capable(CAP_NET_ADMIN))
		return -EPERM;
	if (force && wanted < 0)
		wanted = 0;
	if (name == SO_SNDBUF || name == SO_SNDBUFFORCE)
		s->send_buffer = buffer_size(wanted, max, SEND_MIN);
	else
		s->receive_buffer = buffer_size(wanted, max, RECEIVE_MIN);
	if (s->ops->buffers_changed)
		s->ops->buffers_changed(s);
	return 0;
}

static int set_device(struct socket *s, unsigned index)
{
	struct link l;

	if (s->bound_index && !capable(CAP_NET_RAW))
		return -EPERM;
	if (index && !link_get(index, &l))
		return -ENODEV;
	s->bound_index = index;
	return 0;
}

static int set_device_name(struct socket *s, uint64_t value, unsigned len)
{
	char name[LINK_NAME_BYTES] = "";

	if (copy_from_user(name, value, vb_min(len, LINK_NAME_BYTES - 1)))
		return -EFAULT;
	unsigned index = name[0] ? link_by_name(name) : 0;
	return name[0] && !index ? -ENODEV : set_device(s, index);
}

static int set_switch(struct socket *s, int name, int v)
{
	if (name == SO_DEBUG && v && !capable(CAP_NET_ADMIN))
		return -EACCES;
	s->flags = v ? s->flags | 1u << name : s->flags & ~(1u << name);
	return 0;
}

long socket_set_option(struct socket *s, int name, uint64_t value, unsigned len)
{
	int v;

	if (name == SO_BINDTODEVICE)
		return set_device_name(s, value, len);
	if (len < sizeof(v))
		return -EINVAL;
	if (get_user(v, value))
		return -EFAULT;
	switch (name) {
	case SO_LINGER:
		return set_linger(s, value, len);
	case SO_RCVTIMEO_OLD:
	case SO_RCVTIMEO_NEW:
		return set_timeout(&s->receive_timeout_ns, value, len);
	case SO_SNDTIMEO_OLD:
	case SO_SNDTIMEO_NEW:
		return set_timeout(&s->send_timeout_ns, value, len);
	case SO_SNDBUF:
	case SO_RCVBUF:
	case SO_SNDBUFFORCE:
	case SO_RCVBUFFORCE:
		return set_buffer(s, name, v);
	case SO_RCVLOWAT:
		s->receive_low = v < 0 ? INT32_MAX : v ? (unsigned)v : 1;
		return 0;
	case SO_PRIORITY:
		if ((v < 0 || v > 6) && !capable(CAP_NET_RAW) && !capable(CAP_NET_ADMIN))
			return -EPERM;
		s->priority = (uint32_t)v;
		return 0;
	case SO_MARK:
		if (!capable(CAP_NET_RAW) && !capable(CAP_NET_ADMIN))
			return -EPERM;
		s->mark = (uint32_t)v;
		return 0;
	case SO_PASSCRED:
		s->pass_creds = v;
		return 0;
	case SO_RXQ_OVFL:
		s->drop_count = v;
		return 0;
	case SO_BINDTOIFINDEX:
		return v < 0 ? -EINVAL : set_device(s, (unsigned)v);
	case SO_ZEROCOPY: /* all is copied once; programs then go on without */
	case SO_PEEK_OFF:
		return -EOPNOTSUPP;
	default:
		if (is_timestamp(name))
			s->timestamp = v ? name : 0;
		return is_timestamp(name) ? 0 : is_switch(name) ? set_switch(s, name, v) : -ENOPROTOOPT;
	}
}

/* As getsockopt answers. */
long put_option(const void *data, unsigned size, uint64_t value, uint64_t len_addr)
{
	int len;

	if (get_user(len, len_addr))
		return -EFAULT;
	if (len < 0)
		return -EINVAL;
	size = vb_min(size, (unsigned)len);
	if (copy_to_user(value, data, size) || put_user((int)size, len_addr))
		return -EFAULT;
	return 0;
}

static long get_timeout(uint64_t timeout_ns, uint64_t value, uint64_t len_addr)
{
	struct k_timeval tv = {0, 0};

	if (timeout_ns != NO_DEADLINE)
		tv = (struct k_timeval){(int64_t)(timeout_ns / NSEC_PER_SEC), (int64_t)(timeout_ns % NSEC_PER_SEC / 1000)};
	return put_option(&tv, sizeof(tv), value, len_addr);
}

static int get_int(struct socket *s, int name, int *ret)
{
	switch (name) {
	case SO_TYPE:
		*ret = s->type;
		return 0;
	case SO_DOMAIN:
		*ret = s->family;
		return 0;
	case SO_PROTOCOL:
		*ret = s->protocol;
		return 0;
	case SO_ERROR:
		*ret = s->error;
		s->error = 0;
		return 0;
	case SO_ACCEPTCONN:
		*ret = s->listening;
		return 0;
	case SO_SNDBUF:
		*ret = (int)s->send_buffer;
		return 0;
	case SO_RCVBUF:
		*ret = (int)s->receive_buffer;
		return 0;
	case SO_RCVLOWAT:
		*ret = (int)s->receive_low;
		return 0;
	case SO_SNDLOWAT:
		*ret = 1;
		return 0;
	case SO_PRIORITY:
		*ret = (int)s->priority;
		return 0;
	case SO_MARK:
		*ret = (int)s->mark;
		return 0;
	case SO_PASSCRED:
		*ret = s->pass_creds;
		return 0;
	case SO_RXQ_OVFL:
		*ret = s->drop_count;
		return 0;
	case SO_BINDTOIFINDEX:
		*ret = (int)s->bound_index;
		return 0;
	case SO_ZEROCOPY:
		*ret = 0;
		return 0;
	default:
		if (is_timestamp(name))
			*ret = s->timestamp == name;
		else if (is_switch(name))
			*ret = s->flags >> name & 1;
		else
			return -ENOPROTOOPT;
		return 0;
	}
}

static long get_device_name(struct socket *s, uint64_t value, uint64_t len_addr, int len)
{
	struct link l;

	if (!s->bound_index)
		return put_user(0, len_addr);
	if (len < (int)LINK_NAME_BYTES)
		return -EINVAL;
	if (!link_get(s->bound_index, &l))
		return -ENODEV;
	return put_option(l.name, (unsigned)strlen(l.name) + 1, value, len_addr);
}

static uint64_t cookie_of(struct socket *s)
{
	static uint64_t last;

	if (!s->cookie)
		s->cookie = ++last;
	return s->cookie;
}

static long get_peer_name(struct socket *s, uint64_t value, uint64_t len_addr, int len)
{
	uint8_t name[SOCKET_NAME_BYTES];
	int size = s->ops->name(s, true, name);

	if (size < 0)
		return -ENOTCONN;
	return size < len ? -EINVAL : put_option(name, (unsigned)len, value, len_addr);
}

long socket_get_option(struct socket *s, int name, uint64_t value, uint64_t len_addr)
{
	int v, len;
	uint64_t cookie;

	if (get_user(len, len_addr))
		return -EFAULT;
	if (len < 0)
		return -EINVAL;
	switch (name) {
	case SO_LINGER: {
		int32_t linger[2] = {s->flags >> SO_LINGER & 1, s->linger_s};
		return put_option(linger, sizeof(linger), value, len_addr);
	}
	case SO_RCVTIMEO_OLD:
	case SO_RCVTIMEO_NEW:
		return get_timeout(s->receive_timeout_ns, value, len_addr);
	case SO_SNDTIMEO_OLD:
	case SO_SNDTIMEO_NEW:
		return get_timeout(s->send_timeout_ns, value, len_addr);
	case SO_BINDTODEVICE:
		return get_device_name(s, value, len_addr, len);
	case SO_PEERNAME:
		return get_peer_name(s, value, len_addr, len);
	case SO_COOKIE:
		cookie = cookie_of(s);
		return len < (int)sizeof(cookie) ? -EINVAL : put_option(&cookie, sizeof(cookie), value, len_addr);
	case SO_PEERCRED:
		return put_option(&s->peer_creds, sizeof(s->peer_creds), value, len_addr);
	default:
		len = get_int(s, name, &v);
		return len ? len : put_option(&v, sizeof(v), value, len_addr);
	}
}
