/* Pseudo-terminals: /dev/ptmx, /dev/pts and the two ends of each pair. Owns struct pty, which lives as long as the inode of its
 * slave is referenced; the master holds one reference. Trusts nothing from the program.
 */
#include "kernel/fs/ldisc.h"

#include <asm/ioctls.h>
#include <asm/signal.h>
#include <asm/termbits.h>
#include <linux/fcntl.h>

#define PTY_MAX     64u
#define TTY_GROUP   5u
#define DEVPTS_DEV  0x16u
#define CHUNK_BYTES 256u
#define DECISECOND  100000000ull

struct pty {
	struct inode inode; /* of /dev/pts/INDEX */
	struct tty tty;
	struct ldisc ldisc;
	unsigned index;
	bool master_open, locked, was_opened;
	unsigned slaves; /* open files of the slave */
	struct wait_queue slave_wait, master_wait;
};

static struct pty *ptys[PTY_MAX];

static void wake_slave(struct pty *p)
{
	wait_queue_wake(&p->slave_wait, POLL_IN | POLL_OUT | POLL_RDNORM | POLL_WRNORM | POLL_HUP);
}
static void wake_master(struct pty *p)
{
	wait_queue_wake(&p->master_wait, POLL_IN | POLL_OUT | POLL_RDNORM | POLL_WRNORM | POLL_HUP);
}

/* --- what both ends understand --- */

static long set_termios(struct pty *p, unsigned cmd, uint64_t arg)
{
	bool old = cmd == TCSETS || cmd == TCSETSW || cmd == TCSETSF;
	struct k_termios t = p->ldisc.termios;

	if (copy_from_user(&t, arg, old ? TERMIOS_BYTES : sizeof(t)))
		return -EFAULT;
	if (cmd == TCSETSF || cmd == TCSETSF2)
		ldisc_flush_input(&p->ldisc);
	t.cflag |= CREAD;
	ldisc_set(&p->ldisc, &t);
	wake_slave(p);
	return 0;
}

static long flush(struct pty *p, uint64_t which)
{
	if (which > TCIOFLUSH)
		return -EINVAL;
	if (which != TCOFLUSH)
		ldisc_flush_input(&p->ldisc);
	if (which != TCIFLUSH)
		ldisc_flush_output(&p->ldisc);
	wake_slave(p);
	wake_master(p);
	return 0;
}

static long flow(struct pty *p, uint64_t how)
{
	if (how > TCION)
		return -EINVAL;
	if (how <= TCOON)
		p->ldisc.stopped = how == TCOOFF;
	wake_slave(p);
	return 0;
}

static long pty_ioctl(struct pty *p, unsigned cmd, uint64_t arg)
{
	switch (cmd) {
	case TCGETS:
		return copy_to_user(arg, &p->ldisc.termios, TERMIOS_BYTES);
	case TCGETS2:
		return put_user(p->ldisc.termios, arg);
	case TCSETS:
	case TCSETSW:
	case TCSETSF:
	case TCSETS2:
	case TCSETSW2:
	case TCSETSF2:
		return set_termios(p, cmd, arg);
	case TCFLSH:
		return flush(p, arg);
	case TCXONC:
		return flow(p, arg);
	case TCSBRK:
	case TCSBRKP:
		return 0; /* output is with the master at once; a pty has no break, on Linux too */
	case TIOCGETD:
		return put_user(0, arg); /* N_TTY */
	default:
		return tty_ioctl(&p->tty, cmd, arg);
	}
}

/* --- the slave --- */

static bool may_read(const struct pty *p, unsigned minimum)
{
	return !p->master_open || ldisc_readable(&p->ldisc) >= minimum;
}

/* Waits for input as VMIN and VTIME of raw mode say. */
static int await_input(struct pty *p, size_t size)
{
	const struct ldisc *l = &p->ldisc;
	unsigned minimum = 1;
	uint64_t deadline = NO_DEADLINE;

	if (!(l->termios.lflag & ICANON)) {
		uint64_t pause = l->termios.cc[VTIME] * DECISECOND;
		minimum = vb_min((unsigned)l->termios.cc[VMIN], LDISC_BYTES / 2);
		minimum = size < minimum ? (unsigned)size : minimum;
		if (minimum && pause) { /* between bytes: starts with the first */
			int r = wait_until(&p->slave_wait, may_read(p, 1), NO_DEADLINE);
			while (!r && !may_read(p, minimum)) {
				unsigned have = ldisc_readable(l);
				r = wait_until(&p->slave_wait, may_read(p, have + 1), deadline_after(pause));
			}
			return r == -ETIMEDOUT ? 0 : r;
		}
		if (!minimum) {
			minimum = 1;
			deadline = pause ? deadline_after(pause) : 0;
		}
		if (!deadline)
			return 0;
	}
	int r = wait_until(&p->slave_wait, may_read(p, minimum), deadline);
	return r == -ETIMEDOUT ? 0 : r;
}

static long slave_read(struct file *f, struct uio *u, uint64_t *pos)
{
	struct pty *p = f->private;
	uint8_t chunk[CHUNK_BYTES];
	long done = 0;

	if (!u->left)
		return 0;
	if (f->flags & O_NONBLOCK) {
		if (!may_read(p, 1))
			return -EAGAIN;
	} else {
		int r = await_input(p, u->left);
		if (r)
			return r;
	}
	bool line = p->ldisc.termios.lflag & ICANON;
	while (u->left && ldisc_readable(&p->ldisc)) {
		unsigned before = ldisc_readable(&p->ldisc);
		size_t n = ldisc_read(&p->ldisc, chunk, vb_min(u->left, sizeof(chunk)));
		long r = uio_put(u, chunk, n);
		if (r < 0)
			return done ? done : r;
		done += r;
		if (line && before <= n + 1) /* the line is used up */
			break;
	}
	wake_master(p);
	return done;
}

static long slave_write(struct file *f, struct uio *u, uint64_t *pos)
{
	struct pty *p = f->private;
	uint8_t chunk[CHUNK_BYTES];
	long done = 0;

	while (u->left) {
		if (!p->master_open)
			return done ? done : -EIO;
		if (!ldisc_out_room(&p->ldisc)) {
			wake_master(p);
			if (f->flags & O_NONBLOCK)
				return done ? done : -EAGAIN;
			int r = wait_until(&p->slave_wait, ldisc_out_room(&p->ldisc) || !p->master_open, NO_DEADLINE);
			if (r)
				return done ? done : r;
			continue;
		}
		unsigned room = (LDISC_BYTES - ldisc_out_used(&p->ldisc)) / 8; /* a tab may become eight */
		long n = uio_get(u, chunk, vb_min(sizeof(chunk), (size_t)(room ? room : 1)));
		if (n <= 0)
			return done ? done : n;
		for (long i = 0; i < n; i++)
			ldisc_output(&p->ldisc, chunk[i]);
		done += n;
	}
	wake_master(p);
	return done;
}

static unsigned slave_poll(struct file *f, struct poll_table *table)
{
	struct pty *p = f->private;
	unsigned events = 0;

	poll_add(table, f, &p->slave_wait);
	if (!p->master_open)
		return POLL_IN | POLL_RDNORM | POLL_OUT | POLL_WRNORM | POLL_ERR | POLL_HUP;
	if (ldisc_readable(&p->ldisc))
		events |= POLL_IN | POLL_RDNORM;
	if (ldisc_out_room(&p->ldisc))
		events |= POLL_OUT | POLL_WRNORM;
	return events;
}

static long slave_ioctl(struct file *f, unsigned cmd, uint64_t arg)
{
	struct pty *p = f->private;

	if (!p->master_open)
		return cmd == TIOCSPGRP ? -ENOTTY : -EIO;
	if (cmd == FIONREAD)
		return put_user((int)ldisc_readable(&p->ldisc), arg);
	if (cmd == TIOCOUTQ)
		return put_user((int)ldisc_out_used(&p->ldisc), arg);
	return pty_ioctl(p, cmd, arg);
}

static void slave_release(struct file *f)
{
	struct pty *p = f->private;

	if (--p->slaves == 0)
		wake_master(p);
	inode_unref(&p->inode);
}

static const struct file_ops slave_ops = {
	.read = slave_read,
	.write = slave_write,
	.poll = slave_poll,
	.ioctl = slave_ioctl,
	.release = slave_release,
};

static void slave_attach(struct file *f, struct pty *p)
{
	inode_ref(&p->inode);
	p->slaves++;
	p->was_opened = true;
	f->private = p;
	f->ops = &slave_ops;
	f->seekable = false;
}

static int slave_open(struct file *f)
{
	unsigned index = f->inode->rdev & 0xff;
	struct pty *p = index < PTY_MAX ? ptys[index] : NULL;

	if (!p || !p->master_open || p->locked)
		return -EIO;
	slave_attach(f, p);
	return 0;
}

static int controlling_open(struct tty *tty, struct file *f)
{
	struct pty *p = vb_container_of(tty, struct pty, tty);

	if (!p->master_open)
		return -ENXIO;
	slave_attach(f, p);
	return 0;
}

const struct file_ops pts_ops = {.open = slave_open};

/* --- the master --- */

static long master_read(struct file *f, struct uio *u, uint64_t *pos)
{
	struct pty *p = f->private;
	struct ldisc *l = &p->ldisc;
	long done = 0;

	if (!u->left)
		return 0;
	if (!ldisc_out_used(l)) {
		if (p->was_opened && !p->slaves)
			return -EIO;
		if (f->flags & O_NONBLOCK)
			return -EAGAIN;
		int r = wait_until(&p->master_wait, ldisc_out_used(l) || (p->was_opened && !p->slaves), NO_DEADLINE);
		if (r)
			return r;
		if (!ldisc_out_used(l))
			return -EIO;
	}
	while (u->left && ldisc_out_used(l)) {
		unsigned at = l->out_tail % LDISC_BYTES;
		size_t n = vb_min(ldisc_out_used(l), LDISC_BYTES - at);
		long r = uio_put(u, l->out + at, vb_min(n, u->left));
		if (r < 0)
			return done ? done : r;
		l->out_tail += (unsigned)r;
		done += r;
	}
	wake_slave(p);
	return done;
}

static long master_write(struct file *f, struct uio *u, uint64_t *pos)
{
	struct pty *p = f->private;
	uint8_t c;
	long done = 0;

	while (u->left) {
		if (p->was_opened && !p->slaves)
			return done ? done : -EIO;
		if (!ldisc_in_room(&p->ldisc)) {
			wake_slave(p);
			if (f->flags & O_NONBLOCK)
				return done ? done : -EAGAIN;
			int r = wait_until(&p->master_wait, ldisc_in_room(&p->ldisc) || !p->slaves, NO_DEADLINE);
			if (r)
				return done ? done : r;
			continue;
		}
		long n = uio_get(u, &c, 1);
		if (n <= 0)
			return done ? done : n;
		int sig = ldisc_input(&p->ldisc, c);
		if (sig)
			tty_signal(&p->tty, sig);
		done++;
	}
	wake_slave(p);
	if (ldisc_out_used(&p->ldisc))
		wake_master(p); /* echo */
	return done;
}

static unsigned master_poll(struct file *f, struct poll_table *table)
{
	struct pty *p = f->private;
	unsigned events = 0;

	poll_add(table, f, &p->master_wait);
	if (ldisc_out_used(&p->ldisc))
		events |= POLL_IN | POLL_RDNORM;
	if (p->was_opened && !p->slaves)
		events |= POLL_HUP;
	if (ldisc_in_room(&p->ldisc))
		events |= POLL_OUT | POLL_WRNORM;
	return events;
}

/* TIOCGPTPEER */
static long open_peer(struct pty *p, unsigned flags)
{
	char path[24];
	struct file *slave;

	vb_snprintf(path, sizeof(path), "/dev/pts/%u", p->index);
	int r = file_open_at(AT_FDCWD, path, flags & ~(unsigned)O_CLOEXEC, 0, &slave);
	if (r)
		return r;
	r = fd_install(slave, 0, flags & O_CLOEXEC);
	if (r < 0)
		file_unref(slave);
	return r;
}

static long master_ioctl(struct file *f, unsigned cmd, uint64_t arg)
{
	struct pty *p = f->private;
	int v;

	switch (cmd) {
	case TIOCGPTN:
		return put_user(p->index, arg);
	case TIOCSPTLCK:
		if (get_user(v, arg))
			return -EFAULT;
		p->locked = v;
		return 0;
	case TIOCGPTLCK:
		return put_user((int)p->locked, arg);
	case TIOCGPTPEER:
		return open_peer(p, (unsigned)arg);
	case TIOCSIG:
		if (arg != SIGINT && arg != SIGQUIT && arg != SIGTSTP)
			return -EINVAL;
		tty_signal(&p->tty, (int)arg);
		return 0;
	case FIONREAD:
		return put_user((int)ldisc_out_used(&p->ldisc), arg);
	case TIOCOUTQ:
		return put_user(0, arg);
	case TIOCGPGRP:
		return put_user(p->tty.pgrp, arg);
	case TIOCGSID:
		return p->tty.sid ? put_user(p->tty.sid, arg) : -ENOTTY;
	default:
		return pty_ioctl(p, cmd, arg);
	}
}

static void master_release(struct file *f)
{
	struct pty *p = f->private;

	p->master_open = false;
	tty_signal(&p->tty, SIGHUP);
	tty_signal(&p->tty, SIGCONT);
	tty_release(&p->tty);
	wake_slave(p);
	inode_unref(&p->inode);
}

static const struct file_ops master_ops = {
	.read = master_read,
	.write = master_write,
	.poll = master_poll,
	.ioctl = master_ioctl,
	.release = master_release,
};

static void pty_free(struct inode *inode)
{
	struct pty *p = vb_container_of(inode, struct pty, inode);

	ptys[p->index] = NULL;
	kfree(p);
}

static int pts_setattr(struct inode *inode, const struct attr_change *c)
{
	if (c->valid & ATTR_MODE)
		inode->mode = (inode->mode & S_IFMT) | (c->mode & ~(uint32_t)S_IFMT);
	if (c->valid & ATTR_UID)
		inode->uid = c->uid;
	if (c->valid & ATTR_GID)
		inode->gid = c->gid;
	return 0;
}

static const struct inode_ops pts_inode_ops = {.setattr = pts_setattr, .release = pty_free};

static int master_new(struct file *f)
{
	unsigned index = 0;

	while (index < PTY_MAX && ptys[index])
		index++;
	if (index == PTY_MAX)
		return -ENOSPC;
	struct pty *p = kzalloc(sizeof(*p));
	if (!p)
		return -ENOMEM;
	inode_init(&p->inode, &pts_inode_ops, S_IFCHR | 0620);
	p->inode.rdev = PTS_MAJOR << 8 | index;
	p->inode.dev = DEVPTS_DEV;
	p->inode.ino = index + 3;
	p->inode.uid = current->creds.fsuid;
	p->inode.gid = TTY_GROUP;
	p->tty.open = controlling_open;
	p->index = index;
	p->master_open = p->locked = true;
	ldisc_init(&p->ldisc);
	wait_queue_init(&p->slave_wait);
	wait_queue_init(&p->master_wait);
	ptys[index] = p;
	f->private = p;
	f->ops = &master_ops;
	f->seekable = false;
	return 0;
}

const struct file_ops ptmx_ops = {.open = master_new};

/* --- /dev/pts --- */

static struct pty *pty_named(const char *name)
{
	unsigned index = 0;

	for (const char *c = name; *c; c++) {
		if (*c < '0' || *c > '9' || index >= PTY_MAX)
			return NULL;
		index = index * 10 + (unsigned)(*c - '0');
	}
	if (!*name || (name[0] == '0' && name[1]) || index >= PTY_MAX || !ptys[index] || !ptys[index]->master_open)
		return NULL;
	return ptys[index];
}

static int devpts_lookup(struct inode *dir, struct dentry *d)
{
	struct pty *p = pty_named(d->name);

	if (p) {
		inode_ref(&p->inode);
		dentry_instantiate(d, &p->inode);
	}
	return 0;
}

static bool devpts_revalidate(struct dentry *d)
{
	struct pty *p = pty_named(d->name);

	return d->inode == (p ? &p->inode : NULL);
}

static int devpts_readdir(struct file *f, uint64_t *pos, dir_emit *emit, void *arg)
{
	char name[16];

	for (; *pos < 2; ++*pos)
		if (!emit(arg, "..", *pos + 1, f->inode->ino, S_IFDIR >> 12, *pos + 1))
			return 0;
	for (; *pos < PTY_MAX + 2; ++*pos) {
		struct pty *p = ptys[*pos - 2];
		if (!p || !p->master_open)
			continue;
		vb_snprintf(name, sizeof(name), "%u", p->index);
		if (!emit(arg, name, strlen(name), p->inode.ino, S_IFCHR >> 12, *pos + 1))
			return 0;
	}
	return 0;
}

static int64_t devpts_seek(struct file *f, int64_t offset, int whence)
{
	return directory_ops.seek(f, offset, whence);
}

static const struct file_ops devpts_file_ops = {.readdir = devpts_readdir, .seek = devpts_seek};
static const struct inode_ops devpts_ops = {.lookup = devpts_lookup, .revalidate = devpts_revalidate};

struct inode *devpts_root(void)
{
	static struct inode root;

	if (!root.refs) {
		inode_init(&root, &devpts_ops, S_IFDIR | 0755);
		root.file_ops = &devpts_file_ops;
		root.ino = 1;
		root.nlink = 2;
		root.dev = DEVPTS_DEV;
	}
	inode_ref(&root);
	return &root;
}
