/* Character devices and the population of /dev. Owns the memory-like devices; terminals are in tty.c, pty.c, stdio.c. */
#include "kernel/fs/tty.h"

#include <linux/fcntl.h>
#include <linux/random.h>

struct dentry *device_null, *device_console;

static long null_read(struct file *f, struct uio *u, uint64_t *pos)
{
	return 0;
}

static long null_write(struct file *f, struct uio *u, uint64_t *pos)
{
	size_t n = u->left;

	u->left = 0;
	return (long)n;
}

static long zero_read(struct file *f, struct uio *u, uint64_t *pos)
{
	return uio_put_zero(u, u->left);
}

static long full_write(struct file *f, struct uio *u, uint64_t *pos)
{
	return -ENOSPC;
}

static long random_read(struct file *f, struct uio *u, uint64_t *pos)
{
	uint8_t chunk[256];
	long done = 0;

	while (u->left && !(done && signal_pending(current))) {
		size_t n = vb_min(u->left, sizeof(chunk));
		random_bytes(chunk, n);
		long r = uio_put(u, chunk, n);
		if (r <= 0)
			return done ? done : r;
		done += r;
	}
	memset(chunk, 0, sizeof(chunk));
	return done;
}

/* What programs write is not needed as entropy, but must be readable memory as on Linux. */
static long random_write(struct file *f, struct uio *u, uint64_t *pos)
{
	uint8_t chunk[256];
	long done = 0;

	while (u->left) {
		long r = uio_get(u, chunk, sizeof(chunk));
		if (r <= 0)
			return done ? done : r;
		done += r;
	}
	return done;
}

static long random_ioctl(struct file *f, unsigned cmd, uint64_t arg)
{
	switch (cmd) {
	case RNDGETENTCNT:
		return put_user(256, arg);
	case RNDADDTOENTCNT:
	case RNDADDENTROPY:
	case RNDZAPENTCNT:
	case RNDCLEARPOOL:
	case RNDRESEEDCRNG:
		return -EPERM;
	default:
		return -EINVAL;
	}
}

const struct file_ops null_ops = {.read = null_read, .write = null_write, .seek = file_seek_nothing};
static const struct file_ops zero_ops = {.read = zero_read, .write = null_write, .seek = file_seek_nothing};
static const struct file_ops full_ops = {.read = zero_read, .write = full_write, .seek = file_seek_nothing};
static const struct file_ops random_ops = {.read = random_read, .write = random_write, .seek = file_seek_nothing, .ioctl = random_ioctl};

static const struct device {
	const char *name;
	uint32_t mode;
	uint16_t rdev; /* major << 8 | minor */
	const struct file_ops *ops;
	struct dentry **ret_dentry;
} devices[] = {
	{"null", 0666, 0x103, &null_ops, &device_null},
	{"zero", 0666, 0x105, &zero_ops, NULL},
	{"full", 0666, 0x107, &full_ops, NULL},
	{"random", 0666, 0x108, &random_ops, NULL},
	{"urandom", 0666, 0x109, &random_ops, NULL},
	{"tty", 0666, 0x500, &tty_device_ops, NULL},
	{"console", 0620, 0x501, &stdio_console_ops, &device_console},
	{"ptmx", 0666, 0x502, &ptmx_ops, NULL},
};

static const struct {
	const char *name, *target;
} links[] = {
	{"fd", "/proc/self/fd"},
	{"stdin", "/proc/self/fd/0"},
	{"stdout", "/proc/self/fd/1"},
	{"stderr", "/proc/self/fd/2"},
};

static const struct {
	const char *name;
	uint32_t mode;
} folders[] = {{"shm", 01777}, {"pts", 0755}};

const struct file_ops *device_ops(uint64_t rdev)
{
	if (rdev >> 8 == PTS_MAJOR)
		return &pts_ops;
	for (unsigned i = 0; i < VB_ARRAY_LEN(devices); i++)
		if (devices[i].rdev == rdev)
			return devices[i].ops;
	return NULL;
}

/* Entries that the image brings along stay as they are. */
void device_populate(struct dentry *dev_dir)
{
	const struct inode_ops *ops = dev_dir->inode->ops;
	struct dentry *d;

	for (unsigned i = 0; i < VB_ARRAY_LEN(devices); i++) {
		const struct device *dev = &devices[i];
		if (dentry_lookup(dev_dir, dev->name, strlen(dev->name), &d))
			continue;
		if (!d->inode && ops->create(dev_dir->inode, d, S_IFCHR | dev->mode, dev->rdev))
			klog(1, "cannot create /dev/%s", dev->name);
		if (dev->ret_dentry && d->inode)
			*dev->ret_dentry = d; /* kept */
		else
			dentry_unref(d);
	}
	for (unsigned i = 0; i < VB_ARRAY_LEN(links); i++) {
		if (dentry_lookup(dev_dir, links[i].name, strlen(links[i].name), &d))
			continue;
		if (!d->inode)
			ops->symlink(dev_dir->inode, d, links[i].target);
		dentry_unref(d);
	}
	for (unsigned i = 0; i < VB_ARRAY_LEN(folders); i++) {
		if (dentry_lookup(dev_dir, folders[i].name, strlen(folders[i].name), &d))
			continue;
		if (!d->inode)
			ops->mkdir(dev_dir->inode, d, S_IFDIR | folders[i].mode);
		dentry_unref(d);
	}
}
