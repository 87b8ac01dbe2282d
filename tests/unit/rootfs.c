/* Unit test of the VFS and the root file system: random operations on a tree that starts as an image, done here and on the
 * host's file system alike, must give the same results and leave the same tree; also when memory runs out (then only: no harm).
 * Sources: base/erofs.c kernel/fs/{dentry,file,file_table,inode,locks,memfd,names,page_tree,path,rootfs,rootfs_file,rootfs_xattr,uio}.c
 * kernel/mm/page.c tests/unit/fake_platform.c; needs mkfs.erofs. */
#include "kernel/fs/fs_private.h"
#include "kernel/mm/mm.h"
#include "kernel/mm/page.h"

#include <asm/stat.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/unit/fake_platform.h"

/* --- what the tested part asks of others --- */
static unsigned invalidated;
void mm_inode_invalidate(struct inode *inode, uint64_t first, uint64_t count)
{
	invalidated++;
}
bool mm_inode_has_writable_map(const struct inode *inode)
{
	return false;
}
const struct file_ops *device_ops(uint64_t rdev)
{
	return NULL;
}
const struct file_ops *pipe_fifo_ops(void)
{
	return NULL;
}
void epoll_file_released(struct file *f) {}
int signal_task(struct task *t, const struct k_siginfo *info)
{
	return 0;
}
void wait_queue_init(struct wait_queue *q) {}
void wait_queue_add(struct wait_queue *q, struct wait_entry *e) {}
void wait_queue_remove(struct wait_entry *e) {}
void wait_queue_wake(struct wait_queue *q, unsigned events) {}
void task_prepare(void) {}
int task_sleep(uint64_t deadline, bool interruptible)
{
	return -ERESTARTSYS;
}

/* --- both sides of each operation --- */

static char base[] = "/dev/shm/rootfs-test-XXXXXX";
static uint8_t ours[70000], theirs[70000];

static long native(long r)
{
	return r < 0 ? -errno : r;
}

static long our_open(const char *path, unsigned flags, uint32_t mode, struct file **f)
{
	return file_open_at(AT_FDCWD, path, flags, mode, f);
}

static bool same_write(const char *path, unsigned flags, uint64_t at, size_t len)
{
	struct file *f;
	struct uio_vec v;
	struct uio u;
	long a = our_open(path, O_WRONLY | flags, 0644, &f), b = native(syscall(SYS_open, path, O_WRONLY | flags, 0644));
	int fd = (int)b;

	if (a < 0 || b < 0)
		return a == b;
	for (size_t i = 0; i < len; i++)
		ours[i] = (uint8_t)rand();
	uio_init_kernel(&u, &v, ours, len);
	uint64_t pos = at;

	a = file_do_write(f, &u, &pos);
	b = native(flags & O_APPEND ? syscall(SYS_write, fd, ours, len) : syscall(SYS_pwrite64, fd, ours, len, at));
	file_unref(f);
	syscall(SYS_close, fd);
	return a == b;
}

static bool same_read(const char *path)
{
	struct file *f;
	long a = our_open(path, O_RDONLY, 0, &f), b = native(syscall(SYS_open, path, O_RDONLY, 0));
	int fd = (int)b;

	if (a < 0 || b < 0)
		return a == b;
	uint64_t at = (uint64_t)rand() % 30000;
	struct uio_vec v;
	struct uio u;

	uio_init_kernel(&u, &v, ours, sizeof(ours));
	a = file_do_read(f, &u, &at);
	at -= a > 0 ? (uint64_t)a : 0;
	b = native(syscall(SYS_pread64, fd, theirs, sizeof(theirs), at));
	bool same = a == b && (a <= 0 || !memcmp(ours, theirs, (size_t)a));

	if (same && is_type(f->inode, S_IFREG)) { /* pages as they would be mapped */
		struct file_page page;
		uint64_t index = at / VB_PAGE_SIZE;
		int r = f->inode->ops->get_page(f->inode, index, rand() % 2, &page);
		const uint8_t *p = r ? NULL : page.frame ? page_virt(page.frame) : (uint8_t *)boot->image_base + page.image_offset;
		uint64_t start = index * VB_PAGE_SIZE;

		if (!r) {
			long n = syscall(SYS_pread64, fd, theirs, VB_PAGE_SIZE, start);

			memset(theirs + n, 0, VB_PAGE_SIZE - (size_t)n);
			same = !memcmp(p, theirs, VB_PAGE_SIZE);
			if (page.frame)
				page_unref(page.frame);
		} else {
			same = r == -ENXIO && start >= f->inode->size;
		}
	}
	file_unref(f);
	syscall(SYS_close, fd);
	return same;
}

static bool same_truncate(const char *path, uint64_t size)
{
	struct dentry *d;
	long a = path_lookup(AT_FDCWD, path, WALK_FOLLOW, &d), b = native(syscall(SYS_truncate, path, size));

	if (!a) {
		a = is_type(d->inode, S_IFDIR) ? -EISDIR : !is_type(d->inode, S_IFREG) ? -EINVAL : path_truncate(d->inode, size);
		dentry_unref(d);
	}
	return a == b;
}

static bool same_punch(const char *path, uint64_t at, uint64_t len)
{
	struct file *f;
	long a = our_open(path, O_RDWR, 0, &f), b = native(syscall(SYS_open, path, O_RDWR, 0));
	int fd = (int)b;

	if (a < 0 || b < 0)
		return a == b;
	a = f->ops->fallocate(f, 3, at, len);
	b = native(syscall(SYS_fallocate, fd, 3, at, len));
	for (int whence = SEEK_DATA; a == b && whence <= SEEK_HOLE; whence++) {
		uint64_t from = (uint64_t)rand() % 40000;
		int64_t mine = f->ops->seek(f, (int64_t)from, whence);

		/* the image has data where the host may have a hole, so only what must hold: data is never called a hole */
		if (whence == SEEK_DATA) {
			int64_t host = native(syscall(SYS_lseek, fd, from, whence));

			if (host >= 0 && (mine < 0 || mine > host))
				a = b + 1;
		}
	}
	file_unref(f);
	syscall(SYS_close, fd);
	return a == b;
}

static bool same_link(const char *from, const char *to)
{
	struct dentry *d;
	long a = path_lookup(AT_FDCWD, from, 0, &d), b = native(syscall(SYS_link, from, to));

	if (!a) {
		a = names_link(d, AT_FDCWD, to);
		dentry_unref(d);
	}
	return a == b;
}

static bool same_stat(const char *path)
{
	struct dentry *d;
	struct k_stat k;
	struct stat st;
	long a = path_lookup(AT_FDCWD, path, 0, &d), b = native(syscall(SYS_lstat, path, &st));

	if (a || b)
		return a == b;
	inode_getattr(d->inode, &k);
	dentry_unref(d);
	return k.mode == st.st_mode && (S_ISDIR(k.mode) || (k.nlink == st.st_nlink && k.size == (uint64_t)st.st_size));
}

/* --- whole trees --- */

struct names {
	unsigned count;
	uint64_t sum; /* order doesn't matter */
};

static uint64_t hash(const char *s, size_t len, unsigned type)
{
	uint64_t h = type;

	while (len--)
		h = (h ^ (uint8_t)*s++) * 0x100000001b3ull + 77;
	return h;
}

static bool count_name(void *arg, const char *name, size_t len, uint64_t ino, unsigned type, uint64_t next)
{
	struct names *n = arg;

	if (n->count && rand() % 5 == 0)
		return false; /* a full buffer: the caller comes again */
	n->count++;
	n->sum += hash(name, len, type);
	return true;
}

static bool same_tree(const char *path)
{
	char buf[20000];
	struct file *f;
	struct names mine = {0}, host = {0};
	char child[4096];
	bool same = true;

	long r = our_open(path, O_RDONLY | O_DIRECTORY, 0, &f);

	if (r) {
		printf("# %s: can't be opened: %ld\n", path, r);
		return false;
	}
	for (;;) {
		struct names more = {0};

		if (f->ops->readdir(f, &f->pos, count_name, &more) || !more.count)
			break;
		mine.count += more.count;
		mine.sum += more.sum;
	}
	file_unref(f);
	int fd = (int)syscall(SYS_open, path, O_RDONLY | O_DIRECTORY);
	long n;

	while ((n = syscall(SYS_getdents64, fd, buf, sizeof(buf))) > 0) {
		for (long at = 0; at < n; at += *(uint16_t *)(buf + at + 16)) {
			const char *name = buf + at + 19;

			host.count++;
			host.sum += hash(name, strlen(name), (uint8_t)buf[at + 18]);
			if (!strcmp(name, ".") || !strcmp(name, ".."))
				continue;
			snprintf(child, sizeof(child), "%.4000s/%.90s", path, name);
			if (buf[at + 18] == 4)
				same &= same_tree(child);
			else if (buf[at + 18] == 8)
				same &= same_read(child);
			same &= same_stat(child);
			if (!same) {
				printf("# differs: %s\n", child);
				break;
			}
		}
		if (!same)
			break;
	}
	syscall(SYS_close, fd);
	if (mine.count != host.count || mine.sum != host.sum)
		printf("# %s: %u names here, %u there\n", path, mine.count, host.count);
	return same && mine.count == host.count && mine.sum == host.sum;
}

static const char *random_path(char *buf)
{
	static const char *const names[] = {"a", "b", "c", "dir", "e", "file0", "file1", "file2", "file3", "link", "new"};
	unsigned depth = (unsigned)rand() % 3;

	strcpy(buf, names[(size_t)rand() % VB_ARRAY_LEN(names)]);
	while (depth--) {
		strcat(buf, "/");
		strcat(buf, names[(size_t)rand() % VB_ARRAY_LEN(names)]);
	}
	if (rand() % 30 == 0)
		strcat(buf, "/");
	return buf;
}

static bool one_operation(unsigned what, const char *p, const char *q)
{
	static const unsigned rename_flags[] = {0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE};
	unsigned flags = rename_flags[(unsigned)rand() % 4];
	uint64_t at = (uint64_t)rand() % 30000, len = 1 + (uint64_t)rand() % (rand() % 4 ? 5000 : 20000);

	switch (what) {
	case 0:
		return names_mkdir(AT_FDCWD, p, 0755) == native(syscall(SYS_mkdir, p, 0755));
	case 1:
		return names_unlink(AT_FDCWD, p, false) == native(syscall(SYS_unlink, p));
	case 2:
		return names_unlink(AT_FDCWD, p, true) == native(syscall(SYS_rmdir, p));
	case 3:
	case 4:
		return names_rename(AT_FDCWD, p, AT_FDCWD, q, flags) == native(syscall(SYS_renameat2, AT_FDCWD, p, AT_FDCWD, q, flags));
	case 5:
		return same_link(p, q);
	case 6:
		return names_symlink(q, AT_FDCWD, p) == native(syscall(SYS_symlink, q, p));
	case 7:
		return same_write(p, O_CREAT | (rand() % 2 ? O_EXCL : 0), at, len);
	case 8:
		return same_write(p, rand() % 3 ? 0 : rand() % 2 ? O_APPEND : O_TRUNC, at, len);
	case 9:
		return same_truncate(p, at);
	case 10:
		return same_punch(p, at, len);
	case 11:
		return same_read(p);
	case 12:
		return names_mknod(AT_FDCWD, p, S_IFSOCK | 0600, 0) == native(syscall(SYS_mknod, p, S_IFSOCK | 0600, 0));
	default:
		return same_stat(p);
	}
}

static void load_image(const char *path)
{
	FILE *f = fopen(path, "r");
	size_t n = fread((void *)boot->image_base, 1, boot->image_bytes, f);

	fclose(f);
	OK(n > 0 && n < boot->image_bytes);
	fake_boot.image_bytes = n / VB_PAGE_SIZE * VB_PAGE_SIZE;
}

static void start(uint64_t memory)
{
	static struct fs_context fs;
	fake_platform_start(memory, 8 << 20);
	struct process *p = current->process;

	load_image("../image");
	current->creds = (struct creds){.cap_effective = UINT64_MAX};
	p->fs = &fs;
	p->files = file_table_new();
	fs = (struct fs_context){.umask = 022};
	fs.root = fs.cwd = rootfs_mount();
	dentry_ref(fs.root);
}

/* Everything out of the image, then memory failures: results may be errors, the state must stay sound. */
static void out_of_memory(void)
{
	char p[200], q[200];
	struct file *f;
	struct dentry *d;

	fake_failure_rate = 7;
	for (unsigned i = 0; i < 20000; i++) {
		random_path(p), random_path(q);
		switch (rand() % 8) {
		case 0:
			names_mkdir(AT_FDCWD, p, 0755);
			break;
		case 1:
			names_unlink(AT_FDCWD, p, rand() % 2);
			break;
		case 2:
			names_rename(AT_FDCWD, p, AT_FDCWD, q, rand() % 3 ? 0 : RENAME_EXCHANGE);
			break;
		case 3:
			names_symlink(q, AT_FDCWD, p);
			break;
		case 4:
			if (!path_lookup(AT_FDCWD, p, 0, &d)) {
				names_link(d, AT_FDCWD, q);
				dentry_unref(d);
			}
			break;
		default:
			if (!our_open(p, O_RDWR | (rand() % 2 ? O_CREAT : 0) | (rand() % 5 ? 0 : O_TRUNC), 0644, &f)) {
				struct uio_vec v;
				struct uio u;
				uint64_t pos = (uint64_t)rand() % 100000;

				uio_init_kernel(&u, &v, ours, 9000);
				file_do_write(f, &u, &pos);
				f->ops->fallocate(f, 3, pos / 2, 5000);
				file_unref(f);
			}
		}
	}
	fake_failure_rate = 0;
	OK(!path_lookup(AT_FDCWD, "/", 0, &d));
	dentry_unref(d);
}

int main(int argc, char **argv)
{
	char p[4096], q[200], command[500];
	unsigned rounds = argc > 1 ? (unsigned)atoi(argv[1]) : 40000, wrong = 0;

	srand(argc > 3 ? (unsigned)atoi(argv[3]) : 1);
	if (!mkdtemp(base) || syscall(SYS_chdir, base))
		return 2;
	snprintf(command, sizeof(command),
		"mkdir -p tree/dir/a/b tree/e tree/c/dir && cd tree && for f in file0 dir/file1 c/file2 e/a; do head -c 23456 /dev/urandom "
		">$f; done && "
		"head -c 4096 /dev/urandom >file1 && head -c 100 /dev/urandom >dir/b && ln file0 dir/file3 && ln -s dir/file1 link && ln "
		"-s ../dir e/link && "
		"cd .. && mkfs.erofs -T0 %s image tree >/dev/null 2>&1",
		argc > 2 ? argv[2] : "-Enoinline_data");
	if (system(command) || syscall(SYS_chdir, "tree"))
		return 2;
	start(64 << 20);
	uint64_t free_at_start = pages_free();

	OK(same_tree("."));
	for (unsigned i = 0; i < rounds && !wrong; i++) {
		unsigned what = (unsigned)rand() % 16;

		random_path(p), random_path(q);
		fake_now_ns++;
		if (!one_operation(what, p, q)) {
			printf("# operation %u number %u on %s (and %s) differs\n", what, i, p, q);
			wrong++;
		}
		if (i % 1000 == 0 && !same_tree("."))
			wrong++;
	}
	OK(!wrong);
	OK(same_tree("."));
	snprintf(command, sizeof(command), "find . -mindepth 1 -printf '%%p\\n' -delete >../names");
	OK(!system(command));
	FILE *f = fopen("../names", "r");
	unsigned removed = 0, failed = 0;

	while (fgets(p, sizeof(p), f)) {
		p[strcspn(p, "\n")] = 0;
		int r = names_unlink(AT_FDCWD, p, false);

		failed += (r == -EISDIR ? names_unlink(AT_FDCWD, p, true) : r) != 0;
		removed++;
	}
	fclose(f);
	printf("# %u names left to remove\n", removed);
	OK(!failed);
	OK(same_tree("."));
	OK(pages_free() == free_at_start);
	out_of_memory();
	snprintf(command, sizeof(command), "rm -rf %s", base);
	OK(!system(command));
	return tap_done();
}
