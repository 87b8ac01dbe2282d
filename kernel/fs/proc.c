/* The machinery of /proc: directories, links and texts from tables of entries. Owns its inodes; what they show is looked up
 * anew at each use, and a text is made when it is read from its start. */
#include "kernel/fs/proc.h"

#define PROC_DEV         0x15u
#define PROC_ROOT_INO    1u
#define SYS_ROOT_INO     4u
#define PROC_SUPER_MAGIC 0x9fa0u
#define WRITE_MAX        4096u
#define NUMBERED_POS     (1u << 16) /* directory positions: . and .., fixed names, then from here numbers */

struct proc_inode {
	struct inode inode;
	const struct proc_entry *entry;
	struct proc_subject subject;
	bool numbered; /* its name is a number: must be there still */
};

static const struct inode_ops proc_inode_ops;
static const struct file_ops proc_text_ops, proc_dir_ops;

static struct proc_inode *proc_of(struct inode *inode)
{
	return vb_container_of(inode, struct proc_inode, inode);
}

/* --- text --- */

static bool text_room(struct proc_text *t, size_t n)
{
	if (t->len + n < t->size)
		return true;
	size_t size = vb_max(t->size * 2, t->len + n + 512);
	char *data = t->failed ? NULL : krealloc(t->data, size);
	if (!data) {
		t->failed = true;
		return false;
	}
	t->data = data;
	t->size = size;
	return true;
}

void proc_append(struct proc_text *t, const void *data, size_t n)
{
	if (!text_room(t, n))
		return;
	memcpy(t->data + t->len, data, n);
	t->len += n;
}

void proc_printf(struct proc_text *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	int n = vb_vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0 || !text_room(t, (size_t)n))
		return;
	va_start(ap, fmt);
	vb_vsnprintf(t->data + t->len, t->size - t->len, fmt, ap);
	va_end(ap);
	t->len += (size_t)n;
}

/* --- subjects --- */

struct process *proc_process(const struct proc_subject *s)
{
	return process_by_pid(s->pid);
}

struct task *proc_task(const struct proc_subject *s)
{
	struct task *t = task_by_tid(s->tid);

	return t && t->process->pid == s->pid ? t : NULL;
}

struct fd_search {
	int wanted, found;
	struct file *file;
};

static bool fd_at_least(int fd, struct file *f, bool cloexec, void *arg)
{
	struct fd_search *search = arg;

	if (fd < search->wanted || (search->file && fd > search->found))
		return true;
	search->found = fd;
	search->file = f;
	return true;
}

static struct file *fd_search(const struct proc_subject *s, int wanted, int *ret_fd)
{
	const struct process *p = proc_process(s);
	struct fd_search search = {.wanted = wanted};

	if (p && p->files)
		file_table_for_each(p->files, fd_at_least, &search);
	*ret_fd = search.found;
	return search.file;
}

struct file *proc_file(const struct proc_subject *s)
{
	int found;
	struct file *f = fd_search(s, s->fd, &found);

	return f && found == s->fd ? f : NULL;
}

struct pid_search {
	int wanted, found;
};

static void pid_at_least(struct process *p, void *arg)
{
	struct pid_search *search = arg;

	if (p->pid >= search->wanted && (!search->found || p->pid < search->found))
		search->found = p->pid;
}

static bool number_pid(const struct proc_subject *s, int at_least, int *ret)
{
	struct pid_search search = {.wanted = at_least};

	process_for_each(pid_at_least, &search);
	*ret = search.found;
	return search.found;
}

/* --- inodes --- */

static uint64_t child_ino(uint64_t dir_ino, const char *name)
{
	uint32_t h = 0x811c9dc5u ^ (uint32_t)dir_ino;

	while (*name)
		h = (h ^ (uint8_t)*name++) * 0x01000193u;
	return h | 2; /* never 0, nor the root's */
}

static struct inode *proc_inode_new(const struct proc_entry *entry, const struct proc_subject *subject, uint64_t ino)
{
	struct proc_inode *i = kzalloc(sizeof(*i));
	const struct task *t = subject->pid ? proc_task(subject) : NULL;

	if (!i)
		return NULL;
	inode_init(&i->inode, &proc_inode_ops, entry->mode);
	i->entry = entry;
	i->subject = *subject;
	i->inode.dev = PROC_DEV;
	i->inode.ino = ino;
	i->inode.uid = t && t->process->dumpable ? t->creds.euid : 0;
	i->inode.gid = t && t->process->dumpable ? t->creds.egid : 0;
	i->inode.file_ops = S_ISDIR(entry->mode) ? &proc_dir_ops : &proc_text_ops;
	if (S_ISDIR(entry->mode))
		i->inode.nlink = 2;
	return &i->inode;
}

static void proc_release(struct inode *inode)
{
	kfree(proc_of(inode));
}

static struct proc_subject numbered_subject(const struct proc_inode *dir, int number)
{
	struct proc_subject s = dir->subject;

	switch (dir->entry->number_is) {
	case NUMBER_PID:
		s.pid = s.tid = number;
		break;
	case NUMBER_TID:
		s.tid = number;
		break;
	case NUMBER_FD:
		s.fd = number;
	}
	return s;
}

static bool number_exists(const struct proc_inode *dir, int number)
{
	int found;

	return dir->entry->number && dir->entry->number(&dir->subject, number, &found) && found == number;
}

/* A decimal number without leading zeros, or -1. */
static int parse_number(const char *name)
{
	int n = 0;

	if (!*name || (*name == '0' && name[1]))
		return -1;
	for (; *name; name++) {
		if (*name < '0' || *name > '9' || __builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, *name - '0', &n))
			return -1;
	}
	return n;
}

static int proc_lookup(struct inode *inode, struct dentry *d)
{
	struct proc_inode *dir = proc_of(inode);
	const struct proc_entry *found = NULL;
	struct proc_subject subject = dir->subject;
	int number = parse_number(d->name);

	for (const struct proc_entry *e = dir->entry->children; e && e->name; e++) {
		if (!strcmp(e->name, d->name))
			found = e;
	}
	if (!found && number >= 0 && number_exists(dir, number)) {
		found = dir->entry->numbered;
		subject = numbered_subject(dir, number);
	}
	if (!found)
		return 0;
	struct inode *child = proc_inode_new(found, &subject, child_ino(inode->ino, d->name));
	if (!child)
		return -ENOMEM;
	proc_of(child)->numbered = found == dir->entry->numbered;
	dentry_instantiate(d, child);
	return 0;
}

/* Names that are missing may come, numbers may go. */
static bool proc_revalidate(struct dentry *d)
{
	if (!d->inode)
		return false;
	return !proc_of(d->inode)->numbered || number_exists(proc_of(d->parent->inode), parse_number(d->name));
}

static int proc_getattr(struct inode *inode, struct k_stat *ret)
{
	const struct proc_inode *i = proc_of(inode);

	ret->size = 0;
	ret->blocks = 0;
	ret->blksize = 1024;
	ret->atime_ns = ret->mtime_ns = ret->ctime_ns = (int64_t)now_realtime_ns();
	if (i->numbered && S_ISLNK(inode->mode)) { /* fd/N: the mode says how it is open */
		const struct file *f = proc_file(&i->subject);
		ret->mode = S_IFLNK | 0100 | (f && f->readable ? 0400 : 0) | (f && f->writable ? 0200 : 0);
		ret->size = 64;
	}
	return 0;
}

/* O_TRUNC has nothing to do; nothing else can be changed. */
static int proc_setattr(struct inode *inode, const struct attr_change *change)
{
	return change->valid & (ATTR_MODE | ATTR_UID | ATTR_GID) ? -EPERM : 0;
}

static int proc_statfs(struct inode *inode, struct k_statfs *ret)
{
	*ret = (struct k_statfs){.type = PROC_SUPER_MAGIC, .bsize = VB_PAGE_SIZE, .namelen = NAME_MAX};
	return 0;
}

static long proc_readlink(struct inode *inode, char *buf, size_t size)
{
	const struct proc_inode *i = proc_of(inode);

	return i->entry->target(&i->subject, buf, size);
}

static struct dentry *proc_follow(struct inode *inode)
{
	const struct proc_inode *i = proc_of(inode);

	return i->entry->follow ? i->entry->follow(&i->subject) : NULL;
}

/* --- directories --- */

static int proc_readdir(struct file *f, uint64_t *pos, dir_emit *emit, void *arg)
{
	struct proc_inode *dir = proc_of(f->inode);
	const struct proc_entry *e = dir->entry->children;
	char name[16];
	int number;

	for (; *pos < 2; ++*pos) {
		static const char dots[] = "..";
		if (!emit(arg, dots, *pos + 1, *pos ? PROC_ROOT_INO : f->inode->ino, dirent_type(S_IFDIR), *pos + 1))
			return 0;
	}
	for (uint64_t at = 2; *pos < NUMBERED_POS && e && e->name; e++, at++) {
		if (at < *pos)
			continue;
		if (!emit(arg, e->name, strlen(e->name), child_ino(f->inode->ino, e->name), dirent_type(e->mode), at + 1))
			return 0;
		*pos = at + 1;
	}
	*pos = vb_max(*pos, (uint64_t)NUMBERED_POS);
	while (*pos - NUMBERED_POS <= INT32_MAX && dir->entry->number &&
		dir->entry->number(&dir->subject, (int)(*pos - NUMBERED_POS), &number)) {
		int len = vb_snprintf(name, sizeof(name), "%d", number);
		uint64_t next = NUMBERED_POS + (uint64_t)number + 1;
		if (!emit(arg, name, (size_t)len, child_ino(f->inode->ino, name), dirent_type(dir->entry->numbered->mode), next))
			return 0;
		*pos = next;
	}
	return 0;
}

static int64_t proc_dir_seek(struct file *f, int64_t offset, int whence)
{
	if (whence == SEEK_CUR)
		offset += (int64_t)f->pos;
	else if (whence != SEEK_SET)
		return -EINVAL;
	if (offset < 0)
		return -EINVAL;
	f->pos = (uint64_t)offset;
	return offset;
}

static const struct file_ops proc_dir_ops = {
	.readdir = proc_readdir,
	.seek = proc_dir_seek,
};

/* --- files --- */

static int proc_open(struct inode *inode, struct file *f)
{
	const struct proc_entry *entry = proc_of(inode)->entry;

	if (S_ISDIR(entry->mode))
		return 0;
	if (f->writable && !entry->write)
		return -EACCES;
	f->private = kzalloc(sizeof(struct proc_text));
	return f->private ? 0 : -ENOMEM;
}

static int text_make(struct proc_text *t, const struct proc_inode *i)
{
	int r = 0;

	t->len = 0;
	t->failed = false;
	if (i->entry->content)
		proc_append(t, i->entry->content, strlen(i->entry->content));
	else if (i->entry->show)
		r = i->entry->show(t, &i->subject);
	else
		return -EINVAL;
	if (r)
		t->len = 0;
	return r ? r : t->failed ? -ENOMEM : 0;
}

static long proc_read(struct file *f, struct uio *u, uint64_t *pos)
{
	struct proc_text *t = f->private;

	if (!*pos || !t->data) {
		int r = text_make(t, proc_of(f->inode));
		if (r)
			return r;
	}
	if (*pos >= t->len)
		return 0;
	long n = uio_put(u, t->data + *pos, vb_min(t->len - (size_t)*pos, u->left));
	if (n > 0)
		*pos += (uint64_t)n;
	return n;
}

static long proc_write(struct file *f, struct uio *u, uint64_t *pos)
{
	const struct proc_inode *i = proc_of(f->inode);
	char *text;

	size_t len = vb_min(u->left, (size_t)WRITE_MAX);
	text = kmalloc(len + 1);
	if (!text)
		return -ENOMEM;
	long n = uio_get(u, text, len);
	if (n >= 0) {
		text[n] = 0;
		int r = i->entry->write(&i->subject, text, (size_t)n);
		n = r ? r : n;
	}
	kfree(text);
	if (n > 0)
		*pos += (uint64_t)n;
	return n;
}

static void proc_text_release(struct file *f)
{
	struct proc_text *t = f->private;

	kfree(t->data);
	kfree(t);
}

static const struct file_ops proc_text_ops = {
	.read = proc_read,
	.write = proc_write,
	.seek = proc_dir_seek,
	.release = proc_text_release,
};

static const struct inode_ops proc_inode_ops = {
	.lookup = proc_lookup,
	.readlink = proc_readlink,
	.follow = proc_follow,
	.getattr = proc_getattr,
	.setattr = proc_setattr,
	.open = proc_open,
	.statfs = proc_statfs,
	.release = proc_release,
	.revalidate = proc_revalidate,
};

/* --- the root and the numbered directories --- */

bool proc_number_tid(const struct proc_subject *s, int at_least, int *ret)
{
	const struct process *p = proc_process(s);
	int found = 0;

	if (!p)
		return false;
	list_for_each(t, &p->threads, struct task, thread_node) {
		if (t->tid >= at_least && (!found || t->tid < found))
			found = t->tid;
	}
	*ret = found;
	return found;
}

bool proc_number_fd(const struct proc_subject *s, int at_least, int *ret)
{
	return fd_search(s, at_least, ret);
}

static const struct proc_entry proc_root_entry =
	PROC_DIR("/", 0555, .children = proc_root_children, .numbered = &proc_pid_entry, .number_is = NUMBER_PID, .number = number_pid);

static const struct proc_subject nobody;

struct inode *procfs_root(void)
{
	return proc_inode_new(&proc_root_entry, &nobody, PROC_ROOT_INO);
}

struct inode *sysfs_root(void)
{
	static const struct proc_entry none[] = {{}};
	static const struct proc_entry cpu[] = {PROC_FILE("online", 0444, .content = "0\n"), PROC_FILE("possible", 0444, .content = "0\n"),
		PROC_FILE("present", 0444, .content = "0\n"), {}};
	static const struct proc_entry system[] = {PROC_DIR("cpu", 0555, .children = cpu), {}};
	static const struct proc_entry devices[] = {PROC_DIR("system", 0555, .children = system), {}};
	static const struct proc_entry huge[] = {PROC_FILE("enabled", 0444, .content = "always madvise [never]\n"), {}};
	static const struct proc_entry mm[] = {PROC_DIR("transparent_hugepage", 0555, .children = huge), {}};
	static const struct proc_entry kernel[] = {PROC_DIR("mm", 0555, .children = mm), {}};
	static const struct proc_entry top[] = {PROC_DIR("devices", 0555, .children = devices), PROC_DIR("fs", 0555, .children = none),
		PROC_DIR("kernel", 0555, .children = kernel), {}};
	static const struct proc_entry root = PROC_DIR("/", 0555, .children = top);

	return proc_inode_new(&root, &nobody, SYS_ROOT_INO);
}
