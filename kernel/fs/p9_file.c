/* Open files of a volume: reading and writing at the host, directories. No data is kept but what is mapped. */
#include "kernel/fs/p9_private.h"

static struct p9_inode *file_inode(struct file *f)
{
	return p9_inode(f->inode);
}

int p9_open(struct inode *inode, struct file *f)
{
	struct p9_inode *i = p9_inode(inode);
	i->opens++;
	i->read_end = 0;
	int r = p9_open_io(i, f->readable || S_ISDIR(inode->mode), f->writable);
	if (r)
		i->opens--;
	else
		f->private = i; /* counted */
	return r;
}

/* The last close: what was written through mappings goes to the host, and the host's descriptors are let go. */
static void p9_release(struct file *f)
{
	struct p9_inode *i = f->private;
	if (!i)
		return;
	if (i->opens == 1 && i->dirty_count)
		p9_pages_flush(i, 0, UINT64_MAX);
	p9_ahead_forget(i);
	if (--i->opens) /* opened again meanwhile */
		return;
	if (list_empty(&i->inode.mappings))
		p9_pages_drop(i);
	p9_clunk(i->session, i->rd);
	if (i->wr != i->rd)
		p9_clunk(i->session, i->wr);
	i->rd = i->wr = P9_NOFID;
}

static long p9_read(struct file *f, struct uio *u, uint64_t *pos)
{
	struct p9_inode *i = file_inode(f);
	long done = 0;
	int r = i->dirty_count ? p9_pages_flush(i, *pos >> VB_PAGE_SHIFT, (u->left >> VB_PAGE_SHIFT) + 2) : 0;
	size_t size = vb_min(u->left, (size_t)P9_MAX_DATA);
	void *data = NULL;
	while (!r && u->left) {
		long n = p9_ahead_read(i, u, *pos);
		if (n > 0) {
			i->read_end = *pos += (uint64_t)n;
			done += n;
			continue;
		}
		if (n < 0) {
			r = (int)n;
			break;
		}
		if (!data && !(data = kmalloc(size))) {
			r = -ENOMEM;
			break;
		}
		struct p9_call call = P9_CALL(P9_TREAD, .fid = i->rd, .offset = *pos, .count = (uint32_t)vb_min(u->left, size));
		uint32_t wanted = call.m.count;
		call.data = data;
		call.data_size = size;
		r = p9_run(i->session, &call, 1);
		if (r || !call.m.count)
			break;
		n = uio_put(u, data, call.m.count);
		if (n < 0) {
			r = (int)n;
			break;
		}
		i->read_end = *pos += (uint64_t)n;
		done += n;
		if ((uint32_t)n < wanted)
			break;
	}
	kfree(data);
	return done ? done : r;
}

/* One piece, at most P9_MAX_DATA, in one round trip with what must follow it. */
static long write_piece(struct p9_inode *i, struct uio *u, uint64_t *pos, unsigned flags)
{
	bool append = flags & O_APPEND;
	struct p9_call calls[2];
	int r = p9_begin();
	if (r)
		return r;
	long n = uio_get(u, p9_write_buffer(), vb_min(u->left, (size_t)P9_MAX_DATA));
	if (n <= 0)
		return n;
	p9_changed(i);
	if (i->page_count && !append)
		p9_pages_write(i, *pos, p9_write_buffer(), (size_t)n);
	calls[0] = P9_CALL(P9_TWRITE, .fid = i->wr, .offset = append ? P9_APPEND : *pos, .data = p9_write_buffer(), .count = (uint32_t)n);
	p9_submit(i->session, &calls[0]);
	if (flags & O_DSYNC)
		calls[1] = P9_CALL(P9_TFSYNC, .fid = i->wr);
	else
		calls[1] = P9_CALL(P9_TGETATTR, .fid = i->wr, .mask = P9_GETATTR_ALL);
	bool second = append || flags & O_DSYNC;
	if (second)
		p9_submit(i->session, &calls[1]);
	r = p9_wait(&calls[0]);
	int r2 = second ? p9_wait(&calls[1]) : 0;
	p9_changed(i);
	if (i->page_count && !append && (r || calls[0].m.count < (uint32_t)n))
		p9_pages_forget(i, *pos, (size_t)n);
	if (r || r2)
		return r ? r : r2;
	if (append && !(flags & O_DSYNC))
		p9_attr_store(i, &calls[1]);
	else if (append && (r = p9_refresh(i)))
		return r;
	*pos = append ? i->inode.size : *pos + calls[0].m.count;
	return calls[0].m.count;
}

static long p9_write(struct file *f, struct uio *u, uint64_t *pos)
{
	struct p9_inode *i = file_inode(f);
	unsigned flags = f->flags;
	long done = 0;
	if (flags & O_APPEND && i->page_count) { /* the mapped end must be known to be kept up to date */
		int r = p9_refresh(i);
		if (r)
			return r;
		*pos = i->inode.size;
		flags &= ~(unsigned)O_APPEND;
	}
	while (u->left) {
		size_t wanted = vb_min(u->left, (size_t)P9_MAX_DATA);
		long n = write_piece(i, u, pos, flags);
		if (n <= 0)
			return done ? done : n;
		done += n;
		if ((size_t)n < wanted)
			break;
	}
	return done;
}

static int64_t p9_seek(struct file *f, int64_t offset, int whence)
{
	struct p9_inode *i = file_inode(f);
	int r = whence == SEEK_SET || whence == SEEK_CUR ? 0 : p9_refresh(i);
	return r ? r : file_default_seek(f, offset, whence, i->inode.size);
}

static int p9_fsync(struct file *f, bool data_only)
{
	struct p9_inode *i = file_inode(f);
	int r = p9_pages_flush(i, 0, UINT64_MAX);
	if (!r)
		r = p9_run(i->session, &P9_CALL(P9_TFSYNC, .fid = i->wr != P9_NOFID ? i->wr : i->rd, .flags = data_only), 1);
	if (!r)
		r = i->write_error;
	i->write_error = 0;
	return r;
}

/* --- directories --- */

#define DIR_BYTES 32768u

static int64_t p9_dir_seek(struct file *f, int64_t offset, int whence)
{
	return file_default_seek(f, offset, whence, INT64_MAX); /* positions are the host's cookies */
}

static int p9_readdir(struct file *f, uint64_t *pos, dir_emit *emit, void *arg)
{
	struct p9_inode *i = file_inode(f);
	uint8_t *data = kmalloc(DIR_BYTES);
	int r = data ? 0 : -ENOMEM;
	while (!r) {
		struct p9_call call = P9_CALL(P9_TREADDIR, .fid = i->rd, .offset = *pos, .count = DIR_BYTES);
		struct p9_dirent d;
		call.data = data;
		call.data_size = DIR_BYTES;
		r = p9_run(i->session, &call, 1);
		if (r || !call.m.count)
			break;
		for (size_t at = 0, n; at < call.m.count && !r; at += n) {
			n = p9_dirent_decode(data + at, call.m.count - at, &d);
			if (!n)
				r = -EIO;
			else if (!emit(arg, d.name.s, d.name.len, d.qid.path, d.type, d.offset))
				goto out;
			else
				*pos = d.offset;
		}
	}
out:
	kfree(data);
	return r;
}

const struct file_ops p9_file_ops = {
	.read = p9_read,
	.write = p9_write,
	.seek = p9_seek,
	.fsync = p9_fsync,
	.release = p9_release,
};

const struct file_ops p9_dir_ops = {
	.seek = p9_dir_seek,
	.readdir = p9_readdir,
	.fsync = p9_fsync,
	.release = p9_release,
};
