/* Objects and files that gdb reads from the cell: the target description, the auxiliary vector, the program's path, and
 * the files of the cell's file system, so that `set sysroot target:` finds symbols. Owns the files gdb opened.
 *
 * Files are opened read-only. Those of volumes would need to sleep and fail (debug_serving).
 */
#include "kernel/debug/gdb.h"

#include "kernel/fs/fs.h"
#include "kernel/mm/mm.h"

#include <linux/fcntl.h>

#define FILES_MAX  16
#define PATH_BYTES 4096

static struct file *files[FILES_MAX];
static uint8_t data[GDB_DATA_BYTES];

static bool skip(const char **s, const char *prefix)
{
	size_t n = strlen(prefix);
	if (strncmp(*s, prefix, n))
		return false;
	*s += n;
	return true;
}

/* --- qXfer:OBJECT:read:ANNEX:OFFSET,LENGTH --- */

static void put_slice(const char *bytes, uint64_t size, const char *range)
{
	uint64_t offset = hex_number(&range);
	range += *range == ',';
	uint64_t len = vb_min(hex_number(&range), (uint64_t)GDB_DATA_BYTES);
	if (offset >= size) {
		reply_text("l");
		return;
	}
	len = vb_min(len, size - offset);
	reply_text(offset + len == size ? "l" : "m");
	reply_binary(bytes + offset, len);
}

bool gdb_xfer(const char *s)
{
	struct task *t = gdb_any_task();
	if (skip(&s, "features:read:target.xml:")) {
		put_slice(gdb_target_xml, strlen(gdb_target_xml), s);
	} else if (skip(&s, "auxv:read::") && t->process->mm) {
		const struct mm_layout *layout = mm_layout(t->process->mm);
		size_t n = mm_peek(t->process->mm, layout->aux_start, data, vb_min(layout->aux_bytes, (uint64_t)sizeof(data)));
		put_slice((char *)data, n, s);
	} else if (skip(&s, "siginfo:read::")) {
		const struct debug_task *d = t->debug;
		if (d && d->held.signo)
			put_slice((const char *)&d->held, sizeof(d->held), s);
		else
			reply_text("E01");
	} else if (skip(&s, "exec-file:read:")) {
		const char *colon = strchr(s, ':'); /* the annex is a process id, or empty */
		put_slice(t->process->comm_exe, strlen(t->process->comm_exe), colon ? colon + 1 : "");
	} else {
		return false;
	}
	return true;
}

/* --- vFile --- */

static void put_error(int error)
{
	reply_text("F-1,%x", (unsigned)-error);
}

static struct file **file_of(const char **s)
{
	uint64_t n = hex_number(s);
	return n < FILES_MAX && files[n] ? &files[n] : NULL;
}

static void vfile_open(const char *s)
{
	char *path = (char *)data;
	size_t n = hex_bytes(s, path, PATH_BYTES - 1);
	path[n] = 0;
	s += 2 * n;
	s += *s == ',';
	unsigned slot = 0;
	while (slot < FILES_MAX && files[slot])
		slot++;
	if (hex_number(&s) & O_ACCMODE) {
		put_error(-EROFS);
	} else if (slot == FILES_MAX) {
		put_error(-EMFILE);
	} else {
		int r = file_open_at(AT_FDCWD, path, O_RDONLY | O_NONBLOCK, 0, &files[slot]);
		if (r < 0) {
			files[slot] = NULL;
			put_error(r);
		} else {
			reply_text("F%x", slot);
		}
	}
}

static void vfile_close(const char *s)
{
	struct file **f = file_of(&s);
	if (!f) {
		put_error(-EBADF);
		return;
	}
	file_unref(*f);
	*f = NULL;
	reply_text("F0");
}

static void vfile_pread(const char *s)
{
	struct file **f = file_of(&s);
	s += *s == ',';
	uint64_t len = hex_number(&s);
	s += *s == ',';
	uint64_t offset = hex_number(&s);
	/* Each byte may need two in the reply. */
	long n = f ? file_read(*f, data, vb_min(len, (uint64_t)sizeof(data)), offset) : -EBADF;
	if (n < 0) {
		put_error((int)n);
		return;
	}
	reply_text("F%lx;", (unsigned long)n);
	reply_binary(data, (size_t)n);
}

static void put_big_endian(uint8_t *p, uint64_t v, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		p[i] = (uint8_t)(v >> 8 * (bytes - 1 - i));
}

static void vfile_fstat(const char *s)
{
	struct file **f = file_of(&s);
	struct k_stat st;
	int r = f ? inode_getattr((*f)->inode, &st) : -EBADF;
	if (r) {
		put_error(r);
		return;
	}
	uint8_t stat[64] = {0}; /* struct stat of gdb's file I/O */
	put_big_endian(stat, st.dev, 4);
	put_big_endian(stat + 4, st.ino, 4);
	put_big_endian(stat + 8, st.mode, 4);
	put_big_endian(stat + 12, st.nlink, 4);
	put_big_endian(stat + 16, st.uid, 4);
	put_big_endian(stat + 20, st.gid, 4);
	put_big_endian(stat + 28, st.size, 8);
	put_big_endian(stat + 36, st.blksize, 8);
	put_big_endian(stat + 44, st.blocks, 8);
	put_big_endian(stat + 52, (uint64_t)st.atime_ns / NSEC_PER_SEC, 4);
	put_big_endian(stat + 56, (uint64_t)st.mtime_ns / NSEC_PER_SEC, 4);
	put_big_endian(stat + 60, (uint64_t)st.ctime_ns / NSEC_PER_SEC, 4);
	reply_text("F%x;", (unsigned)sizeof(stat));
	reply_binary(stat, sizeof(stat));
}

static void vfile_readlink(const char *s)
{
	char *path = (char *)data;
	struct dentry *d;
	path[hex_bytes(s, path, PATH_BYTES - 1)] = 0;
	int r = path_lookup(AT_FDCWD, path, 0, &d);
	if (r) {
		put_error(r);
		return;
	}
	bool link = (d->inode->mode & 0170000) == 0120000 && d->inode->ops->readlink;
	long n = link ? d->inode->ops->readlink(d->inode, (char *)data, PATH_BYTES) : -EINVAL;
	dentry_unref(d);
	if (n < 0) {
		put_error((int)n);
		return;
	}
	reply_text("F%lx;", (unsigned long)n);
	reply_binary(data, (size_t)n);
}

bool gdb_vfile(const char *s)
{
	if (skip(&s, "setfs:"))
		reply_text("F0");
	else if (skip(&s, "open:"))
		vfile_open(s);
	else if (skip(&s, "close:"))
		vfile_close(s);
	else if (skip(&s, "pread:"))
		vfile_pread(s);
	else if (skip(&s, "fstat:"))
		vfile_fstat(s);
	else if (skip(&s, "readlink:"))
		vfile_readlink(s);
	else
		return false;
	return true;
}

void gdb_vfile_close_all(void)
{
	for (unsigned i = 0; i < FILES_MAX; i++) {
		if (files[i])
			file_unref(files[i]);
		files[i] = NULL;
	}
}
