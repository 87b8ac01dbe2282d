/* The 9P client against the real server in one process: every request is served when a task would sleep. Then all of it
 * again with each allocation failing once: nothing may crash, leak memory or leave a fid behind at the server. */
#include "kernel/fs/p9_private.h" /* first: it wants the kernel's headers without libc's */
#include "kernel/platform/platform.h"

#include "host/error.h"
#include "monitor/volume.h"

#include <vauban/message.h>

#include <stdio.h>
#include <stdlib.h>

char *mkdtemp(char *template);
int rmdir(const char *path);
extern unsigned volume_fds_open;

/* --- what the client needs of the kernel --- */

static struct task task;
struct task *current = &task;
bool debug_serving;
static unsigned long allocations, fail_at; /* fail_at 0: never */
static uint64_t clock_ns = 1;
static struct volume *volume;

static long alive; /* kmalloc'ed */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
} /* counted instead: sessions are for ever */

static bool fails(void)
{
	return ++allocations == fail_at;
}
void *kzalloc(size_t n)
{
	void *p = fails() ? NULL : calloc(1, n);
	alive += p != NULL;
	return p;
}
void *kmalloc(size_t n)
{
	return kzalloc(n);
}
void kfree(void *p)
{
	alive -= p != NULL;
	free(p);
}
uint64_t now_monotonic_ns(void)
{
	return clock_ns += 100000;
} /* things are fresh for ten questions */
void task_prepare(void) {}
void task_wake(struct task *t) {}
void wait_queue_add(struct wait_queue *q, struct wait_entry *e) {}
void wait_queue_remove(struct wait_entry *e) {}
void wait_queue_wake(struct wait_queue *q, unsigned events) {}
_Noreturn void kpanic(const char *fmt, ...)
{
	abort();
}

struct page {
	unsigned refs;
	char *data;
};
static unsigned long pages_alive;
struct page *page_alloc(unsigned order, bool zero)
{
	struct page *p = fails() ? NULL : calloc(1u << order, sizeof(*p));
	char *data = p ? aligned_alloc(4096, 4096ul << order) : NULL;
	for (unsigned i = 0; p && i < 1u << order; i++)
		p[i] = (struct page){1, data + 4096ul * i};
	pages_alive += p ? 1u << order : 0;
	return p; /* runs are never freed: freed frames are counted */
}
void page_ref(struct page *p)
{
	p->refs++;
}
void page_unref(struct page *p)
{
	pages_alive -= !--p->refs;
}
struct page *page_next(struct page *p)
{
	return p + 1;
}
void *page_virt(const struct page *p)
{
	return p->data;
}
static uint64_t invalidated;
void mm_inode_invalidate(struct inode *inode, uint64_t first, uint64_t count)
{
	invalidated += count;
}

void inode_init(struct inode *i, const struct inode_ops *ops, uint32_t mode)
{
	*i = (struct inode){.refs = 1, .ops = ops, .mode = mode};
	list_init(&i->mappings);
}
void inode_ref(struct inode *i)
{
	i->refs++;
}
void inode_unref(struct inode *i)
{
	if (!--i->refs)
		i->ops->release(i);
}
void dentry_instantiate(struct dentry *d, struct inode *inode)
{
	d->inode = inode;
}
static struct inode *root;
int fs_mount_at(const char *path, struct inode *inode)
{
	root = inode;
	return 0;
}
int64_t file_default_seek(struct file *f, int64_t offset, int whence, uint64_t size)
{
	return (int64_t)(f->pos = (uint64_t)offset + (whence == SEEK_END ? size : 0));
}
static long move(struct uio *u, void *kernel, size_t n, bool out)
{
	n = vb_min(n, u->left);
	char *user = (char *)u->vec->base;
	memcpy(out ? user : kernel, out ? kernel : user, n);
	u->vec->base += n;
	u->left -= n;
	return (long)n;
}
long uio_put(struct uio *u, const void *src, size_t n)
{
	return move(u, (void *)(uintptr_t)src, n, true);
}
long uio_get(struct uio *u, void *dst, size_t n)
{
	return move(u, dst, n, false);
}

/* --- the wire: requests wait until somebody sleeps --- */

struct packet {
	struct packet *next;
	uint32_t tag;
	size_t len;
	char bytes[];
};
static struct packet *wire, **wire_end = &wire;
static uint64_t sent;

void platform_send(const void *header, size_t header_len, const void *payload, size_t len)
{
	struct packet *p = malloc(sizeof(*p) + len);
	*p = (struct packet){.tag = ((const struct vb_message *)header)->tag, .len = len};
	memcpy(p->bytes, payload, len);
	*wire_end = p;
	wire_end = &p->next;
	sent++;
}

static void serve(void)
{
	static char reply[P9_MSIZE];
	struct packet *p = wire;
	if (!p)
		return;
	wire = p->next;
	if (!wire)
		wire_end = &wire;
	size_t n = volume_request(volume, p->bytes, p->len, reply, sizeof(reply));
	if (n)
		p9_reply(p->tag, reply, n);
	free(p);
}

int task_sleep(uint64_t deadline, bool interruptible)
{
	if (!wire)
		abort(); /* would sleep for ever */
	serve();
	return 0;
}

/* --- the test --- */

static int count, failed;
/* With allocations failing only the survival counts. */
#define CHECK(cond)                                                                                                                        \
	do {                                                                                                                               \
		bool ok_ = (cond);                                                                                                         \
		if (fail_at)                                                                                                               \
			break;                                                                                                             \
		failed += !ok_;                                                                                                            \
		printf("%s %d - %s (line %d)\n", ok_ ? "ok" : "not ok", ++count, #cond, __LINE__);                                         \
	} while (0)

static char folder[] = "/tmp/vauban-p9-XXXXXX";

static struct dentry *name(const char *n)
{
	struct dentry *d = calloc(1, sizeof(*d));
	d->name = (char *)(uintptr_t)n;
	return d;
}

static void forget(struct dentry *d)
{
	if (d->inode)
		inode_unref(d->inode);
	free(d);
}

static int open_file(struct inode *inode, struct file *f, unsigned flags)
{
	*f = (struct file){.inode = inode, .flags = flags, .readable = (flags & 3) != O_WRONLY, .writable = (flags & 3) != O_RDONLY};
	return p9_open(inode, f);
}

static long rw(struct file *f, void *buf, size_t len, uint64_t *pos, bool write)
{
	struct uio_vec v = {(uint64_t)(uintptr_t)buf, len};
	struct uio u = {&v, 1, len, true};
	return write ? p9_file_ops.write(f, &u, pos) : p9_file_ops.read(f, &u, pos);
}

static bool emit_count(void *arg, const char *n, size_t len, uint64_t ino, unsigned type, uint64_t next)
{
	return ++*(unsigned *)arg < 1000;
}

static void test_file(const struct inode_ops *ops)
{
	static char big[200000], back[200000];
	struct dentry *d = name("file"), *again = name("file"), *hard = name("hard"), *none = name("none");
	struct file f, g;
	struct k_stat st;
	uint64_t pos = 0;
	CHECK(ops->lookup(root, d) == 0 && !d->inode);
	if (ops->create(root, d, S_IFREG | 0400, 0) || open_file(d->inode, &f, O_RDWR))
		goto out;
	CHECK(ops->create(root, none, S_IFCHR | 0600, 0) == -EPERM);
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (char)(i * 31 + i / 1000);
	CHECK(rw(&f, big, sizeof(big), &pos, true) == sizeof(big) && pos == sizeof(big));
	pos = 0;
	CHECK(rw(&f, back, sizeof(back), &pos, false) == sizeof(back) && !memcmp(big, back, sizeof(big)));
	CHECK(rw(&f, back, 10, &pos, false) == 0);
	CHECK(d->inode->ops->getattr(d->inode, &st) == 0 && st.size == sizeof(big) && st.nlink == 1);
	CHECK(ops->lookup(root, again) == 0 && again->inode == d->inode);
	CHECK(ops->link(root, hard, d->inode) == 0 && hard->inode == d->inode);
	CHECK(d->inode->ops->getattr(d->inode, &st) == 0 && st.nlink == 2);
	if (!open_file(d->inode, &g, O_WRONLY | O_APPEND)) {
		pos = 0;
		CHECK(rw(&g, "tail", 4, &pos, true) == 4 && pos == sizeof(big) + 4);
		p9_file_ops.release(&g);
	}
	CHECK(p9_file_ops.seek(&f, 0, SEEK_END) == sizeof(big) + 4);

	/* Mapped pages: filled by runs, kept up to date by write(), written back. */
	struct file_page page;
	if (d->inode->ops->get_page(d->inode, 1, true, &page) == 0) {
		char *m = page_virt(page.frame);
		CHECK(!memcmp(m, big + 4096, 4096) && p9_inode(d->inode)->page_count == 16 && p9_inode(d->inode)->dirty_count == 1);
		memcpy(m, "stored", 6);
		pos = 4096 + 6;
		CHECK(rw(&f, " and written", 12, &pos, true) == 12 && !memcmp(m, "stored and written", 18));
		pos = 4096;
		invalidated = 0;
		CHECK(rw(&f, back, 18, &pos, false) == 18 && !memcmp(back, "stored and written", 18) && invalidated == 1);
		CHECK(p9_inode(d->inode)->dirty_count == 0);
		page_unref(page.frame);
	}
	CHECK(d->inode->ops->get_page(d->inode, 50, false, &page) == -ENXIO);
	if (d->inode->ops->get_page(d->inode, 48, true, &page) == 0) { /* the last, partly beyond the end */
		char *m = page_virt(page.frame);
		CHECK(m[sizeof(big) + 4 - 48 * 4096] == 0);
		memset(m, 'z', 4096);
		CHECK(p9_file_ops.fsync(&f, false) == 0);
		CHECK(d->inode->ops->getattr(d->inode, &st) == 0 && st.size == sizeof(big) + 4);
		CHECK(d->inode->ops->setattr(d->inode, &(struct attr_change){.valid = ATTR_SIZE, .size = 48 * 4096 + 10}) == 0);
		CHECK(m[9] == 'z' && m[10] == 0);
		page_unref(page.frame);
	}
	CHECK(d->inode->ops->setattr(d->inode, &(struct attr_change){.valid = ATTR_MTIME, .mtime_ns = -1500000000}) == 0);
	CHECK(d->inode->ops->getattr(d->inode, &st) == 0 && st.mtime_ns == -1500000000);

	/* Unlinked, still open. */
	CHECK(ops->unlink(root, d) == 0 && ops->unlink(root, hard) == 0 && ops->unlink(root, none) == -ENOENT);
	pos = 0;
	CHECK(rw(&f, back, 3, &pos, false) == 3 && d->inode->ops->getattr(d->inode, &st) == 0 && st.nlink == 0);
	p9_file_ops.release(&f);
	CHECK(p9_inode(d->inode)->page_count == 0 && p9_inode(d->inode)->rd == P9_NOFID);
out:
	if (fail_at && d->inode)
		ops->unlink(root, d);
	forget(d);
	forget(again);
	forget(hard);
	forget(none);
}

static char byte_at(uint64_t pos)
{
	return (char)(pos * 31 + pos / 1000);
}

/* One read in order; whether it is as the file's. */
static bool reads_on(struct file *f, uint64_t *pos, size_t n, char change)
{
	char back[8192];
	uint64_t from = *pos;
	if (rw(f, back, n, pos, false) != (long)n || *pos != from + n)
		return false;
	for (size_t k = 0; k < n; k++)
		if (back[k] != (char)(byte_at(from + k) ^ change))
			return false;
	return true;
}

/* What the host does to the file, unseen by the client. */
static bool host_changes(const char *host_name, uint64_t from, char change)
{
	FILE *file = fopen(host_name, "r+");
	if (!file || fseek(file, (long)from, SEEK_SET))
		return false;
	for (uint64_t at = from; at < 300000; at++)
		fputc(byte_at(at) ^ change, file);
	return !fclose(file);
}

static void test_ahead(const struct inode_ops *ops)
{
	struct dentry *d = name("ahead");
	struct file f;
	uint64_t pos = 0, asked, far = 250000;
	char path[100], one;
	snprintf(path, sizeof(path), "%s/ahead", folder);
	FILE *file = fopen(path, "w");
	if (file)
		fclose(file);
	CHECK(file && host_changes(path, 0, 0));
	if (ops->lookup(root, d) || !d->inode || open_file(d->inode, &f, O_RDWR))
		goto out;
	asked = sent;
	for (int n = 0; n < 8; n++)
		CHECK(reads_on(&f, &pos, 8192, 0));
	CHECK(sent == asked + 2); /* what was read, and what will be */
	CHECK(reads_on(&f, &pos, 4096, 0) && sent == asked + 2);

	/* The host's change is seen when the cell heard something from outside ... */
	CHECK(host_changes(path, pos, 1));
	CHECK(reads_on(&f, &pos, 4096, 0));
	p9_heard++;
	CHECK(reads_on(&f, &pos, 4096, 1));
	/* ... as is an answer about the file, or bytes from elsewhere in it, */
	CHECK(host_changes(path, pos, 0) && reads_on(&f, &pos, 100, 1) && p9_refresh(p9_inode(d->inode)) == 0);
	CHECK(reads_on(&f, &pos, 4096, 0));
	CHECK(host_changes(path, pos, 1) && reads_on(&f, &pos, 100, 0) && rw(&f, &one, 1, &far, false) == 1 && one == (byte_at(far - 1) ^ 1));
	CHECK(reads_on(&f, &pos, 4096, 1) && reads_on(&f, &pos, 4096, 1));
	/* after a while, */
	CHECK(host_changes(path, pos, 0) && reads_on(&f, &pos, 100, 1));
	clock_ns += 60000000;
	CHECK(reads_on(&f, &pos, 4096, 0));
	/* and when the cell wrote itself, or opens the file again. */
	one = byte_at(pos) ^ 1;
	uint64_t at = pos;
	CHECK(rw(&f, &one, 1, &at, true) == 1 && reads_on(&f, &pos, 1, 1));
	CHECK(reads_on(&f, &pos, 100, 0) && host_changes(path, 0, 1));
	p9_file_ops.release(&f);
	if (open_file(d->inode, &f, O_RDONLY))
		goto out;
	pos = 0;
	CHECK(reads_on(&f, &pos, 4096, 1) && reads_on(&f, &pos, 4096, 1));
	/* Closed while an answer is under way: it goes nowhere. */
	while (pos < P9_MAX_DATA && reads_on(&f, &pos, 4096, 1))
		;
	CHECK(pos == P9_MAX_DATA && wire);
	p9_file_ops.release(&f);
	/* The end: never asked beyond, and no short read before. */
	if (open_file(d->inode, &f, O_RDONLY))
		goto out;
	for (pos = 0; pos + 7000 <= 300000;)
		if (!reads_on(&f, &pos, 7000, 1))
			break;
	CHECK(pos == 294000);
	char rest[8192];
	CHECK(rw(&f, rest, 7000, &pos, false) == 6000 && rw(&f, rest, 7000, &pos, false) == 0);
	p9_file_ops.release(&f);
out:
	if (d->inode)
		ops->unlink(root, d);
	forget(d);
}

static void test_names(const struct inode_ops *ops)
{
	struct dentry *dir = name("dir"), *sub = name("x"), *moved = name("y"), *soft = name("soft"), *fifo = name("fifo");
	struct file f;
	char buf[64];
	unsigned seen = 0;
	uint64_t pos = 0;
	if (ops->mkdir(root, dir, 0755))
		goto out;
	dir->parent = &(struct dentry){.inode = root};
	CHECK(ops->revalidate(dir));
	CHECK(ops->create(dir->inode, sub, S_IFREG | 0644, 0) == 0);
	CHECK(ops->rename(dir->inode, sub, root, moved, 1) == -EINVAL);
	if (sub->inode)
		CHECK(ops->rename(dir->inode, sub, root, moved, 0) == 0);
	CHECK(ops->lookup(root, moved) == 0 && moved->inode && moved->inode == sub->inode);
	CHECK(ops->symlink(dir->inode, soft, "../target") == 0);
	if (soft->inode)
		CHECK(soft->inode->ops->readlink(soft->inode, buf, sizeof(buf)) == 9 && !memcmp(buf, "../target", 9));
	CHECK(ops->create(dir->inode, fifo, S_IFIFO | 0600, 0) == 0 && S_ISFIFO(fifo->inode->mode));
	if (!open_file(dir->inode, &f, O_RDONLY)) {
		CHECK(p9_dir_ops.readdir(&f, &pos, emit_count, &seen) == 0 && seen == 4);
		p9_dir_ops.release(&f);
	}
	ops->unlink(dir->inode, soft);
	ops->unlink(dir->inode, fifo);
	ops->unlink(dir->inode, sub);
	ops->unlink(root, moved);
	CHECK(ops->rmdir(root, dir) == 0 && !ops->revalidate(dir));
out:
	if (fail_at)
		ops->rmdir(root, dir);
	forget(dir);
	forget(sub);
	forget(moved);
	forget(soft);
	forget(fifo);
}

static void run(void)
{
	struct vb_error err;
	allocations = 0;
	root = NULL;
	pages_alive = 0;
	alive = 0;
	volume = volume_open(folder, false, &err);
	if (volume_mount(0, "/v", false) == 0) {
		CHECK(root && root->ino && S_ISDIR(root->mode));
		test_file(root->ops);
		test_ahead(root->ops);
		test_names(root->ops);
		inode_unref(root);
	}
	while (wire)
		serve();
	if (root && (volume_fds_open != 1 || pages_alive || alive != 1)) { /* the folder's own descriptor; the session */
		printf("not ok - %u descriptors, %lu pages, %ld pieces of memory left with allocation %lu failing\n", volume_fds_open,
			pages_alive, alive, fail_at);
		failed++;
	}
	volume_close(volume);
}

int main(void)
{
	if (!mkdtemp(folder))
		return 1;
	run();
	unsigned long all = allocations;
	for (fail_at = 1; fail_at <= all; fail_at++)
		run();
	fail_at = 0;
	CHECK(rmdir(folder) == 0);
	printf("# %lu allocations failed once each\n1..%d\n", all, count);
	return failed != 0;
}
