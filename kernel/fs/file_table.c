/* File tables: descriptors to open files. Owns the tables; a table is shared by the threads of a process. */
#include "kernel/fs/fs_private.h"

struct slot {
	struct file *file;
	bool cloexec;
};

struct file_table {
	unsigned size;
	unsigned lowest; /* no slot below is free */
	struct slot *slots;
};

enum { FIRST_SIZE = 32 };

struct file_table *file_table_new(void)
{
	struct file_table *t = kzalloc(sizeof(*t));

	if (!t)
		return NULL;
	t->slots = kzalloc(FIRST_SIZE * sizeof(*t->slots));
	if (!t->slots) {
		kfree(t);
		return NULL;
	}
	t->size = FIRST_SIZE;
	return t;
}

static struct file_table *table(void)
{
	return current->process->files;
}

static struct slot *slot_of(int fd)
{
	struct file_table *t = table();

	return (unsigned)fd < t->size && t->slots[fd].file ? &t->slots[fd] : NULL;
}

/* Closing a file: its process's record locks go, whatever other descriptors it has. */
static void close_file(struct file *f)
{
	if (f->inode->locks)
		locks_release_process(current->process, f->inode);
	file_unref(f);
}

void file_table_free(struct file_table *t)
{
	for (unsigned fd = 0; fd < t->size; fd++)
		if (t->slots[fd].file)
			close_file(t->slots[fd].file);
	kfree(t->slots);
	kfree(t);
}

static int table_grow(struct file_table *t, unsigned wanted)
{
	unsigned size = t->size;

	while (size < wanted)
		size *= 2;
	struct slot *bigger = krealloc(t->slots, size * sizeof(*bigger));

	if (!bigger)
		return -ENOMEM;
	memset(bigger + t->size, 0, (size - t->size) * sizeof(*bigger));
	t->slots = bigger;
	t->size = size;
	return 0;
}

int fd_install(struct file *f, int min, bool cloexec)
{
	struct file_table *t = table();
	uint64_t limit = vb_min(current->process->rlimit[RLIMIT_NOFILE].cur, (uint64_t)1 << 20);
	unsigned fd = vb_max((unsigned)min, t->lowest);

	while (fd < t->size && t->slots[fd].file)
		fd++;
	if (fd >= limit)
		return -EMFILE;
	if (fd >= t->size && table_grow(t, fd + 1))
		return -ENOMEM;
	if ((unsigned)min <= t->lowest)
		t->lowest = fd + 1;
	t->slots[fd] = (struct slot){f, cloexec};
	return (int)fd;
}

int fd_install_at(struct file *f, int fd, bool cloexec)
{
	struct file_table *t = table();

	if ((unsigned)fd >= vb_min(current->process->rlimit[RLIMIT_NOFILE].cur, (uint64_t)1 << 20))
		return -EBADF;
	if ((unsigned)fd >= t->size && table_grow(t, (unsigned)fd + 1))
		return -ENOMEM;
	struct file *old = t->slots[fd].file;

	t->slots[fd] = (struct slot){f, cloexec};
	if (old)
		close_file(old);
	return fd;
}

struct file *fd_get_any(int fd)
{
	struct slot *s = slot_of(fd);

	return s ? s->file : NULL;
}

struct file *fd_get(int fd)
{
	struct file *f = fd_get_any(fd);

	return f && !(f->flags & O_PATH) ? f : NULL;
}

static struct file *referenced(struct file *f)
{
	if (f)
		file_ref(f);
	return f;
}

struct file *fd_ref_any(int fd)
{
	return referenced(fd_get_any(fd));
}

struct file *fd_ref(int fd)
{
	return referenced(fd_get(fd));
}

int fd_close(int fd)
{
	struct file_table *t = table();
	struct slot *s = slot_of(fd);

	if (!s)
		return -EBADF;
	struct file *f = s->file;

	*s = (struct slot){0};
	t->lowest = vb_min(t->lowest, (unsigned)fd);
	close_file(f);
	return 0;
}

int fd_install_pair(struct file *const f[2], bool cloexec, uint64_t user_fds)
{
	int fd[2] = {fd_install(f[0], 0, cloexec), -1}, r;

	if (fd[0] >= 0)
		fd[1] = fd_install(f[1], 0, cloexec);
	r = fd[0] < 0 ? fd[0] : fd[1] < 0 ? fd[1] : copy_to_user(user_fds, fd, sizeof(fd));
	if (!r)
		return 0;
	for (int i = 0; i < 2; i++) {
		if (fd[i] >= 0)
			fd_close(fd[i]);
		else
			file_unref(f[i]);
	}
	return r;
}

bool fd_cloexec(int fd)
{
	return slot_of(fd)->cloexec;
}

void fd_set_cloexec(int fd, bool on)
{
	slot_of(fd)->cloexec = on;
}

void file_table_close_range(unsigned first, unsigned last, bool cloexec_only)
{
	struct file_table *t = table();

	for (unsigned fd = first; fd <= last && fd < t->size; fd++) {
		if (!t->slots[fd].file)
			continue;
		if (cloexec_only)
			t->slots[fd].cloexec = true;
		else
			fd_close((int)fd);
	}
}

void file_table_close_on_exec(struct file_table *t)
{
	for (unsigned fd = 0; fd < t->size; fd++)
		if (t->slots[fd].file && t->slots[fd].cloexec)
			fd_close((int)fd);
}

void file_table_for_each(struct file_table *t, bool (*fn)(int fd, struct file *f, bool cloexec, void *arg), void *arg)
{
	for (unsigned fd = 0; fd < t->size; fd++)
		if (t->slots[fd].file && !fn((int)fd, t->slots[fd].file, t->slots[fd].cloexec, arg))
			return;
}
