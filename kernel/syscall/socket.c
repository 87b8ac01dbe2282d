/* The socket system calls: decode what the program gives, call the address family, encode what comes back. Owns the files of
 * sockets and the table of families.
 */
#include "kernel/net/unix.h"
#include "kernel/syscall/define.h"

#include <asm/ioctls.h>
#include <asm/socket.h>
#include <linux/fcntl.h>
#include <linux/uio.h>

enum { SOCK_NONBLOCK = O_NONBLOCK, SOCK_CLOEXEC = O_CLOEXEC };
#define MESSAGES_MAX 1024u
#define VEC_INLINE   8u
#define RW_MAX       0x7ffff000ul /* MAX_RW_COUNT */

static const struct {
	int family;
	int (*create)(int type, int protocol, struct socket **ret);
} families[] = {
	{AF_UNIX, unix_create},
	{AF_INET, inet4_create},
	{AF_INET6, inet6_create},
	{AF_NETLINK, netlink_create},
};

/* --- sockets as files --- */

static long socket_transfer(struct file *f, struct uio *u, bool write)
{
	struct socket *s = f->private;
	struct socket_message m;

	memset(&m, 0, offsetof(struct socket_message, name));
	m.data = u;
	m.flags = f->flags & O_NONBLOCK ? MSG_DONTWAIT : 0;
	m.name_len = 0;
	m.rights = NULL;
	m.has_creds = false;
	m.control = NULL;
	m.control_out_len = 0;
	if (!write && !u->left)
		return 0;
	if (write)
		m.creds = socket_current_creds();
	long r = write ? s->ops->send(s, &m) : s->ops->receive(s, &m);
	rights_free(m.rights); /* read() has nowhere to put them */
	return r;
}

static long socket_read(struct file *f, struct uio *u, uint64_t *pos)
{
	return socket_transfer(f, u, false);
}

static long socket_write(struct file *f, struct uio *u, uint64_t *pos)
{
	return socket_transfer(f, u, true);
}

static unsigned socket_poll(struct file *f, struct poll_table *table)
{
	struct socket *s = f->private;

	return s->ops->poll(s, f, table);
}

static long socket_ioctl(struct file *f, unsigned cmd, uint64_t arg)
{
	struct socket *s = f->private;
	long r = s->ops->ioctl ? s->ops->ioctl(s, cmd, arg) : -ENOTTY;

	return r == -ENOTTY ? socket_link_ioctl(s, cmd, arg) : r;
}

static void socket_release(struct file *f)
{
	struct socket *s = f->private;

	s->file = NULL; /* a TCP connection may outlive it */
	s->ops->release(s);
}

static const struct file_ops socket_file_ops = {
	.read = socket_read,
	.write = socket_write,
	.poll = socket_poll,
	.ioctl = socket_ioctl,
	.release = socket_release,
};

struct socket *socket_of(struct file *f)
{
	return f->ops == &socket_file_ops ? f->private : NULL;
}

/* The open file of s, which is released if there can be none: NULL. */
static struct file *socket_open(struct socket *s, int flags)
{
	struct file *f =
		file_new_anonymous("socket:[%lu]", S_IFSOCK | 0777, O_RDWR | ((unsigned)flags & SOCK_NONBLOCK), &socket_file_ops, s);

	if (!f) {
		s->ops->release(s);
		return NULL;
	}
	s->file = f;
	f->seekable = false;
	return f;
}

/* A descriptor for s, which is released if there can be none. */
static int socket_install(struct socket *s, int flags)
{
	struct file *f = socket_open(s, flags);
	int fd = f ? fd_install(f, 0, flags & SOCK_CLOEXEC) : -ENFILE;

	if (f && fd < 0)
		file_unref(f);
	return fd;
}

/* The socket of a descriptor, its file referenced for calls that may sleep. */
static struct socket *socket_get(int fd, struct file **ret_file, long *ret_error)
{
	struct file *f = fd_ref(fd);
	struct socket *s = f ? socket_of(f) : NULL;

	if (!s) {
		*ret_error = f ? -ENOTSOCK : -EBADF;
		if (f)
			file_unref(f);
		return NULL;
	}
	*ret_file = f;
	return s;
}

/* Runs `call` with s and f being the socket and file of fd. */
#define WITH_SOCKET(fd, call)                                                                                                              \
	({                                                                                                                                 \
		long r_;                                                                                                                   \
		struct file *f;                                                                                                            \
		struct socket *s = socket_get((fd), &f, &r_);                                                                              \
		if (s) {                                                                                                                   \
			r_ = (call);                                                                                                       \
			file_unref(f);                                                                                                     \
		}                                                                                                                          \
		r_;                                                                                                                        \
	})

/* --- making sockets --- */

static int socket_create(int family, int type, int protocol, struct socket **ret)
{
	if (family < 0 || family >= AF_MAX)
		return -EAFNOSUPPORT;
	if (type < 0 || type >= SOCK_MAX)
		return -EINVAL;
	for (unsigned i = 0; i < VB_ARRAY_LEN(families); i++)
		if (families[i].family == family)
			return families[i].create(type, protocol, ret);
	return -EAFNOSUPPORT;
}

SYSCALL(socket, int family, int type, int protocol)
{
	int flags = type & ~SOCK_TYPE_MASK;
	struct socket *s;

	if (flags & ~(SOCK_NONBLOCK | SOCK_CLOEXEC))
		return -EINVAL;
	int r = socket_create(family, type & SOCK_TYPE_MASK, protocol, &s);
	return r ? r : socket_install(s, flags);
}

SYSCALL(socketpair, int family, int type, int protocol, uint64_t fds)
{
	int flags = type & ~SOCK_TYPE_MASK, r;
	struct socket *a, *b;
	struct file *end[2];

	if (flags & ~(SOCK_NONBLOCK | SOCK_CLOEXEC))
		return -EINVAL;
	r = socket_create(family, type & SOCK_TYPE_MASK, protocol, &a);
	if (r)
		return r;
	r = socket_create(family, type & SOCK_TYPE_MASK, protocol, &b);
	if (r) {
		a->ops->release(a);
		return r;
	}
	r = a->ops->pair ? a->ops->pair(a, b) : -EOPNOTSUPP;
	if (r) {
		a->ops->release(a);
		b->ops->release(b);
		return r;
	}
	end[0] = socket_open(a, flags);
	end[1] = socket_open(b, flags);
	if (!end[0] || !end[1]) {
		for (int i = 0; i < 2; i++)
			if (end[i])
				file_unref(end[i]);
		return -ENFILE;
	}
	return fd_install_pair(end, flags & SOCK_CLOEXEC, fds);
}

/* --- names --- */

static int name_from_user(uint8_t *name, uint64_t addr, int len)
{
	if (len < 0 || len > (int)SOCKET_NAME_BYTES)
		return -EINVAL;
	return copy_from_user(name, addr, (size_t)len);
}

/* Writes as much of the name as fits and its real length. */
static int name_to_user(const uint8_t *name, unsigned len, uint64_t addr, uint64_t len_addr)
{
	int room;

	if (get_user(room, len_addr))
		return -EFAULT;
	if (room < 0)
		return -EINVAL;
	if (copy_to_user(addr, name, vb_min(len, (unsigned)room)))
		return -EFAULT;
	return put_user((int)len, len_addr);
}

SYSCALL(bind, int fd, uint64_t addr, int len)
{
	uint8_t name[SOCKET_NAME_BYTES];

	return WITH_SOCKET(fd, ({
		int r = name_from_user(name, addr, len);
		r ? r : s->ops->bind(s, name, (unsigned)len);
	}));
}

SYSCALL(connect, int fd, uint64_t addr, int len)
{
	uint8_t name[SOCKET_NAME_BYTES];

	return WITH_SOCKET(fd, ({
		int r = name_from_user(name, addr, len);
		r ? r : s->ops->connect(s, name, (unsigned)len, f->flags & O_NONBLOCK);
	}));
}

SYSCALL(listen, int fd, int backlog)
{
	return WITH_SOCKET(fd, s->ops->listen ? s->ops->listen(s, backlog) : -EOPNOTSUPP);
}

static long do_accept(struct socket *s, struct file *f, uint64_t addr, uint64_t len_addr, int flags)
{
	uint8_t name[SOCKET_NAME_BYTES];
	struct socket *made;
	int r = s->ops->accept ? s->ops->accept(s, f->flags & O_NONBLOCK, &made) : -EOPNOTSUPP;

	if (r)
		return r;
	int len = addr ? made->ops->name(made, true, name) : 0;
	if (len == -ENOTCONN)
		len = -ECONNABORTED;
	int fd = socket_install(made, flags);
	if (fd < 0 || !addr)
		return fd;
	r = len < 0 ? len : name_to_user(name, (unsigned)len, addr, len_addr);
	if (r)
		fd_close(fd);
	return r ? r : fd;
}

SYSCALL(accept4, int fd, uint64_t addr, uint64_t len_addr, int flags)
{
	if (flags & ~(SOCK_NONBLOCK | SOCK_CLOEXEC))
		return -EINVAL;
	return WITH_SOCKET(fd, do_accept(s, f, addr, len_addr, flags));
}

SYSCALL(accept, int fd, uint64_t addr, uint64_t len_addr)
{
	return sys_accept4(fd, addr, len_addr, 0);
}

static long get_name(struct socket *s, bool peer, uint64_t addr, uint64_t len_addr)
{
	uint8_t name[SOCKET_NAME_BYTES];
	int len = s->ops->name(s, peer, name);

	return len < 0 ? len : name_to_user(name, (unsigned)len, addr, len_addr);
}

SYSCALL(getsockname, int fd, uint64_t addr, uint64_t len_addr)
{
	return WITH_SOCKET(fd, get_name(s, false, addr, len_addr));
}

SYSCALL(getpeername, int fd, uint64_t addr, uint64_t len_addr)
{
	return WITH_SOCKET(fd, get_name(s, true, addr, len_addr));
}

SYSCALL(shutdown, int fd, int how)
{
	return WITH_SOCKET(fd, how < 0 || how > 2 ? -EINVAL : s->ops->shutdown(s, how + 1));
}

/* --- options --- */

SYSCALL(setsockopt, int fd, int level, int name, uint64_t value, int len)
{
	if (len < 0)
		return -EINVAL;
	return WITH_SOCKET(fd, level == SOL_SOCKET  ? socket_set_option(s, name, value, (unsigned)len)
			       : s->ops->setsockopt ? s->ops->setsockopt(s, level, name, value, (unsigned)len)
						    : -EOPNOTSUPP);
}

SYSCALL(getsockopt, int fd, int level, int name, uint64_t value, uint64_t len_addr)
{
	return WITH_SOCKET(fd, level == SOL_SOCKET  ? socket_get_option(s, name, value, len_addr)
			       : s->ops->getsockopt ? s->ops->getsockopt(s, level, name, value, len_addr)
						    : -EOPNOTSUPP);
}

/* --- sending and receiving --- */

struct k_msghdr { /* struct user_msghdr */
	uint64_t name;
	int32_t name_len, pad;
	uint64_t vec, vec_count, control, control_len;
	uint32_t flags, pad2;
};

/* One call's message with its vector of buffers. */
struct transfer {
	struct socket_message m;
	struct uio uio;
	struct uio_vec one[VEC_INLINE], *vec;
};

static void transfer_init(struct transfer *t, unsigned flags)
{
	t->m.data = &t->uio;
	t->m.flags = flags;
	t->m.out_flags = 0;
	t->m.name_len = 0;
	t->m.rights = NULL;
	t->m.has_creds = false;
	t->m.creds = socket_current_creds();
	t->m.control = NULL;
	t->m.control_out_len = 0;
	t->vec = t->one;
}

static void transfer_end(struct transfer *t)
{
	control_release(&t->m);
	if (t->vec != t->one)
		kfree(t->vec);
}

static int transfer_vec(struct transfer *t, uint64_t addr, uint64_t count)
{
	uint64_t total = 0;

	if (count > UIO_MAXIOV)
		return -EMSGSIZE;
	if (count > VEC_INLINE && !(t->vec = kmalloc(count * sizeof(*t->vec)))) {
		t->vec = t->one;
		return -ENOMEM;
	}
	if (copy_from_user(t->vec, addr, count * sizeof(*t->vec)))
		return -EFAULT;
	for (unsigned i = 0; i < count; i++) {
		if ((int64_t)t->vec[i].len < 0)
			return -EINVAL;
		if (!user_range_ok(t->vec[i].base, t->vec[i].len))
			return -EFAULT;
		t->vec[i].len = vb_min(t->vec[i].len, RW_MAX - total);
		total += t->vec[i].len;
	}
	t->uio = (struct uio){.vec = t->vec, .count = (unsigned)count, .left = total};
	return 0;
}

static unsigned call_flags(const struct file *f, unsigned flags)
{
	return flags | (f->flags & O_NONBLOCK ? MSG_DONTWAIT : 0u);
}

static long do_sendmsg(struct socket *s, struct file *f, uint64_t addr, unsigned flags)
{
	struct k_msghdr h;
	struct transfer t;

	transfer_init(&t, call_flags(f, flags));
	if (get_user(h, addr))
		return -EFAULT;
	long r = h.name_len < 0 ? -EINVAL : 0;
	if (!r && h.name && h.name_len) {
		t.m.name_len = vb_min((unsigned)h.name_len, SOCKET_NAME_BYTES);
		r = copy_from_user(t.m.name, h.name, t.m.name_len);
	}
	if (!r)
		r = transfer_vec(&t, h.vec, h.vec_count);
	if (!r)
		r = control_decode(h.control, h.control_len, &t.m);
	if (!r)
		r = s->ops->send(s, &t.m);
	transfer_end(&t);
	return r;
}

/* What a receive brought besides the bytes. */
static int recvmsg_answer(struct transfer *t, const struct k_msghdr *h, uint64_t addr)
{
	uint64_t used = control_encode(h->control, h->control ? h->control_len : 0, &t->m);

	if (h->name) {
		int r = name_to_user(t->m.name, t->m.name_len, h->name, addr + offsetof(struct k_msghdr, name_len));
		if (r)
			return r;
	}
	uint32_t flags = t->m.out_flags | (t->m.flags & MSG_CMSG_CLOEXEC);
	if (put_user(flags, addr + offsetof(struct k_msghdr, flags)) || put_user(used, addr + offsetof(struct k_msghdr, control_len)))
		return -EFAULT;
	return 0;
}

static long do_recvmsg(struct socket *s, struct file *f, uint64_t addr, unsigned flags)
{
	struct k_msghdr h;
	struct transfer t;

	transfer_init(&t, call_flags(f, flags));
	if (get_user(h, addr))
		return -EFAULT;
	long r = h.name && h.name_len < 0 ? -EINVAL : transfer_vec(&t, h.vec, h.vec_count);
	if (!r)
		r = s->ops->receive(s, &t.m);
	if (r >= 0) {
		int e = recvmsg_answer(&t, &h, addr);
		r = e ? e : r;
	}
	transfer_end(&t);
	return r;
}

SYSCALL(sendmsg, int fd, uint64_t addr, unsigned flags)
{
	return WITH_SOCKET(fd, do_sendmsg(s, f, addr, flags));
}

SYSCALL(recvmsg, int fd, uint64_t addr, unsigned flags)
{
	return WITH_SOCKET(fd, do_recvmsg(s, f, addr, flags));
}

static long do_sendto(struct socket *s, struct file *f, uint64_t buf, uint64_t len, unsigned flags, uint64_t name, int name_len)
{
	struct transfer t;
	int r = 0;

	transfer_init(&t, call_flags(f, flags));
	uio_init_user(&t.uio, t.one, buf, vb_min(len, RW_MAX));
	if (name) {
		r = name_from_user(t.m.name, name, name_len);
		t.m.name_len = (unsigned)name_len;
	}
	return r ? r : user_range_ok(buf, t.uio.left) ? s->ops->send(s, &t.m) : -EFAULT;
}

SYSCALL(sendto, int fd, uint64_t buf, uint64_t len, unsigned flags, uint64_t name, int name_len)
{
	return WITH_SOCKET(fd, do_sendto(s, f, buf, len, flags, name, name_len));
}

static long do_recvfrom(struct socket *s, struct file *f, uint64_t buf, uint64_t len, unsigned flags, uint64_t name, uint64_t name_len_addr)
{
	struct transfer t;

	transfer_init(&t, call_flags(f, flags));
	uio_init_user(&t.uio, t.one, buf, vb_min(len, RW_MAX));
	if (!user_range_ok(buf, t.uio.left))
		return -EFAULT;
	long r = s->ops->receive(s, &t.m);
	if (r >= 0 && name) {
		int e = name_to_user(t.m.name, t.m.name_len, name, name_len_addr);
		r = e ? e : r;
	}
	transfer_end(&t);
	return r;
}

SYSCALL(recvfrom, int fd, uint64_t buf, uint64_t len, unsigned flags, uint64_t name, uint64_t name_len_addr)
{
	return WITH_SOCKET(fd, do_recvfrom(s, f, buf, len, flags, name, name_len_addr));
}

/* struct mmsghdr: a header and the bytes done */
#define MMSG_BYTES   (sizeof(struct k_msghdr) + 8)
#define MMSG_LEN(at) ((at) + sizeof(struct k_msghdr))

static long do_sendmmsg(struct socket *s, struct file *f, uint64_t addr, unsigned count, unsigned flags)
{
	long r = 0;
	unsigned done = 0;

	for (; done < vb_min(count, MESSAGES_MAX); done++, addr += MMSG_BYTES) {
		r = do_sendmsg(s, f, addr, flags);
		if (r < 0)
			break;
		if (put_user((uint32_t)r, MMSG_LEN(addr))) {
			r = -EFAULT;
			break;
		}
	}
	return done ? (long)done : r;
}

SYSCALL(sendmmsg, int fd, uint64_t addr, unsigned count, unsigned flags)
{
	return WITH_SOCKET(fd, do_sendmmsg(s, f, addr, count, flags));
}

static long do_recvmmsg(struct socket *s, struct file *f, uint64_t addr, unsigned count, unsigned flags, uint64_t deadline)
{
	long r = s->error ? -s->error : 0;
	unsigned done = 0;

	s->error = 0;
	for (; !r && done < count;) {
		r = do_recvmsg(s, f, addr, flags & ~MSG_WAITFORONE);
		if (r < 0)
			break;
		if (put_user((uint32_t)r, MMSG_LEN(addr))) {
			r = -EFAULT;
			break;
		}
		r = 0;
		done++;
		addr += MMSG_BYTES;
		if (flags & MSG_WAITFORONE)
			flags |= MSG_DONTWAIT;
		if (now_monotonic_ns() >= deadline)
			break;
	}
	if (done && r && r != -EAGAIN && r > -512)
		s->error = (int)-r; /* for the next call */
	return done ? (long)done : r;
}

SYSCALL(recvmmsg, int fd, uint64_t addr, unsigned count, unsigned flags, uint64_t timeout)
{
	struct k_timespec t;
	uint64_t deadline = NO_DEADLINE;

	if (timeout) {
		if (get_user(t, timeout))
			return -EFAULT;
		if (!timespec_valid(&t))
			return -EINVAL;
		deadline = deadline_after(timespec_to_ns(&t));
	}
	long r = WITH_SOCKET(fd, do_recvmmsg(s, f, addr, count, flags, deadline));
	if (timeout && r > 0) {
		uint64_t now = now_monotonic_ns();
		t = ns_to_timespec(deadline > now ? deadline - now : 0);
		if (put_user(t, timeout))
			return -EFAULT;
	}
	return r;
}
