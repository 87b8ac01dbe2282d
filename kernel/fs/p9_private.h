/* Between the files of the 9P client. */
#ifndef KERNEL_FS_P9_PRIVATE_H
#define KERNEL_FS_P9_PRIVATE_H

#include "base/p9.h"
#include "kernel/fs/fs_private.h"
#include "kernel/fs/p9.h"
#include "kernel/mm/mm.h"
#include "kernel/mm/page.h"

#define P9_FRESH_NS      1000000 /* how long names and attributes are believed: the host may change them at any time */
#define P9_INODE_BUCKETS 256u

struct p9_session {
	unsigned index; /* the volume's number for the monitor */
	bool read_only;
	uint16_t next_tag;
	uint32_t next_fid; /* never used twice: the server may still be closing the old one */
	uint64_t changes;  /* counts the requests that change something: attributes from before are stale */
	struct list calls; /* sent, not yet answered */
	struct list inodes[P9_INODE_BUCKETS];
};

/* One request and its reply. The storage must stay until p9_wait() returned. */
struct p9_call {
	struct list node;
	struct p9_session *session;
	struct task *task;   /* to be woken; NULL: none */
	struct p9_message m; /* the request; then, if error is 0, the reply. Its data and text then point to data below */
	void *data;          /* where the reply's data or text goes */
	size_t data_size;    /* more than that is cut off */
	uint64_t changes;    /* of the session, when it was sent */
	int error;
	bool done;
};

/* p9.c. A chain is one or more calls sent without waiting in between; the server serves them in order. */
int p9_begin(void);                                                      /* before a chain: waits until few are under way */
void p9_submit(struct p9_session *s, struct p9_call *call);              /* doesn't sleep */
int p9_wait(struct p9_call *call);                                       /* the reply's error */
bool p9_busy(void);                                                      /* p9_begin() would wait */
int p9_run(struct p9_session *s, struct p9_call *calls, unsigned count); /* a whole chain; the first error. Waits for all */
void p9_clunk(struct p9_session *s, uint32_t fid);                       /* no reply, doesn't sleep; P9_NOFID is nothing */
uint8_t *p9_write_buffer(void);                                          /* data of the Twrite that is submitted next, P9_MAX_DATA bytes */
static inline uint32_t p9_new_fid(struct p9_session *s)
{
	return s->next_fid++;
}
#define P9_CALL(type_, ...) ((struct p9_call){.m = {.type = (type_), __VA_ARGS__}})

struct p9_page {
	struct p9_page *next;
	uint64_t index;
	struct page *frame;
	bool dirty; /* may differ from the host's: mapped to write through */
};

struct p9_inode {
	struct inode inode;
	struct list node; /* in session.inodes */
	struct p9_session *session;
	uint32_t version; /* of the qid: with inode.ino the file's identity */
	uint32_t fid;     /* names the file, never open */
	uint32_t rd, wr;  /* open for reading, writing; may be the same; P9_NOFID: not open */
	unsigned opens;   /* open files */
	uint64_t blocks, blksize;
	int64_t btime_ns;
	uint64_t attr_ns;          /* when the attributes were fetched; 0: not valid */
	uint64_t read_end;         /* where the last read() ended */
	uint64_t changes;          /* counts what this cell does to the file: data read before is stale */
	struct dentry *checked_as; /* the name under which it was last seen, only compared */
	uint64_t checked_ns;

	struct p9_page **pages; /* the mapped part of the file; hash by index */
	unsigned bucket_count, page_count, dirty_count;
	int write_error; /* of a write-back, for the next fsync */
};
static inline struct p9_inode *p9_inode(struct inode *i)
{
	return vb_container_of(i, struct p9_inode, inode);
}
static inline void p9_changed(struct p9_inode *i)
{
	i->changes++;
	i->attr_ns = 0;
}
static inline uint32_t p9_best_fid(const struct p9_inode *i) /* an open one survives renames by the host */
{
	return i->rd != P9_NOFID ? i->rd : i->wr != P9_NOFID ? i->wr : i->fid;
}

/* p9_inode.c */
int p9_root_inode(struct p9_session *s, uint32_t fid, const struct p9_call *attr, struct inode **ret);
int p9_refresh(struct p9_inode *i); /* asks for the attributes */
void p9_attr_store(struct p9_inode *i, const struct p9_call *getattr);
int p9_open_io(struct p9_inode *i, bool read, bool write); /* makes sure that rd, wr are open */

/* p9_file.c */
extern const struct file_ops p9_file_ops, p9_dir_ops;
int p9_open(struct inode *inode, struct file *f);

/* p9_ahead.c */
long p9_ahead_read(struct p9_inode *i, struct uio *u, uint64_t pos); /* bytes, or 0: nothing there, ask the host; -EFAULT */
void p9_ahead_forget(const struct p9_inode *i);
void p9_ahead_reply(const struct p9_call *call); /* a reply came */

/* p9_page.c */
int p9_get_page(struct inode *inode, uint64_t index, bool for_write, struct file_page *ret);
void p9_dirty_page(struct inode *inode, uint64_t index);
void p9_write_back(struct inode *inode);
int p9_pages_flush(struct p9_inode *i, uint64_t first, uint64_t count);              /* writes dirty pages of the range to the host */
void p9_pages_write(struct p9_inode *i, uint64_t pos, const void *data, size_t len); /* a write() also reaches mapped pages */
void p9_pages_forget(struct p9_inode *i, uint64_t pos, size_t len);                  /* clean pages of the range, after a failed write */
void p9_pages_truncate(struct p9_inode *i, uint64_t size);
void p9_pages_drop(struct p9_inode *i); /* all, dirty or not; nothing maps them */

#endif
