/* Program loading: execve, the ELF file and its interpreter into a new address space, the start-up stack, the first
 * registers.
 *
 * The program file is hostile: base/elf.c validates its headers, everything else goes through the memory manager. All that
 * can fail for a reason the program can do something about is done before the old program goes.
 */
#include "kernel/task/task_private.h"

#include "base/elf.h"
#include "kernel/fs/fs.h"
#include "kernel/mm/mm.h"
#include "kernel/platform/platform.h"
#include "kernel/syscall/define.h"
#include "kernel/task/patch.h"
#include "kernel/task/signal.h"

#include <asm/fcntl.h>
#include <asm/resource.h>
#include <asm/signal.h>
#include <linux/auxvec.h>
#include <linux/capability.h>
#include <linux/fcntl.h>
#include <linux/securebits.h>

#define HEADER_BYTES       4096
#define SCRIPT_DEPTH       5
#define SCRIPT_LINE        256u
#define STACK_MAX          (256ull << 20)
#define ARGS_MIN_BYTES     (128ull << 10)
#define ARGS_MAX_BYTES     (4ull << 20) /* what the heap gives in one piece */
#define STRING_MAX_BYTES   (128u << 10)
#define PIE_BASE           0x555555554000ull
#define PIE_RANDOM_PAGES   (1ull << 24)
#define STACK_RANDOM_PAGES (1ull << 22)

/* Argument and environment strings, gathered before the old program goes. */
struct strings {
	char *bytes;
	size_t used, size, limit; /* limit: for the strings and the pointers to them */
	unsigned argc, envc;
};

/* What is being loaded. Too large for the kernel stack. */
struct load {
	struct file *file, *interp;
	struct elf_image elf, interp_elf;
	char *interp_path; /* in a script's line */
	struct strings strings;
	const char *name; /* AT_EXECFN */
	struct mm *mm;
	uint64_t start;         /* first instruction: the interpreter's, if there is one */
	uint64_t program_entry; /* AT_ENTRY */
	uint64_t phdr, interp_base;
	char header[HEADER_BYTES];
};

/* Room for n more bytes, which count one string more. */
static int strings_reserve(struct strings *s, size_t n)
{
	size_t need = s->used + n, size = vb_max(s->size * 2, need);
	if (need + 8ull * (s->argc + s->envc + 1) > s->limit)
		return -E2BIG;
	if (need <= s->size)
		return 0;
	char *bytes = krealloc(s->bytes, vb_min(size, s->limit));
	if (!bytes)
		return -ENOMEM;
	s->bytes = bytes;
	s->size = vb_min(size, s->limit);
	return 0;
}

static int strings_add(struct strings *s, const char *text, unsigned *count)
{
	size_t n = strlen(text) + 1;
	int r = n > STRING_MAX_BYTES ? -E2BIG : strings_reserve(s, n);
	if (r)
		return r;
	memcpy(s->bytes + s->used, text, n);
	s->used += n;
	++*count;
	return 0;
}

static int strings_add_user(struct strings *s, uint64_t text, unsigned *count)
{
	for (size_t room = 256; room <= STRING_MAX_BYTES; room *= 2) {
		size_t pointers = 8ull * (s->argc + s->envc + 1), used = s->used + pointers;
		size_t n = used < s->limit ? vb_min(room, s->limit - used) : 1;
		int r = strings_reserve(s, n);
		if (r)
			return r;
		long len = string_from_user(s->bytes + s->used, text, n);
		if (len == -ENAMETOOLONG && n == room)
			continue;
		if (len < 0)
			return len == -ENAMETOOLONG ? -E2BIG : (int)len;
		s->used += (size_t)len + 1;
		++*count;
		return 0;
	}
	return -E2BIG;
}

/* A vector of strings of the kernel or, if that is NULL, of the program. */
struct vector {
	char *const *kernel;
	uint64_t user;
};

static int strings_add_vector(struct strings *s, const struct vector *v, bool skip_first, unsigned *count)
{
	for (size_t i = 0;; i++) {
		uint64_t text = 0;
		int r;
		if (v->kernel ? !v->kernel[i] : !v->user)
			return 0;
		if (!v->kernel && get_user(text, v->user + i * sizeof(text)))
			return -EFAULT;
		if (!v->kernel && !text)
			return 0;
		if (i == 0 && skip_first)
			continue;
		r = v->kernel ? strings_add(s, v->kernel[i], count) : strings_add_user(s, text, count);
		if (r)
			return r;
	}
}

/* --- segments --- */

static int segment_prot(uint32_t flags)
{
	return (flags & ELF_READ ? PROT_R : 0) | (flags & ELF_WRITE ? PROT_W : 0) | (flags & ELF_EXECUTE ? PROT_X : 0);
}

/* Maps one loaded segment: file pages, then zeroes, the first of which share the last file page. */
static int map_segment(struct mm *mm, struct file *f, const struct elf_segment *seg, uint64_t bias)
{
	uint64_t start = vb_page_down(bias + seg->vaddr), file_end = bias + seg->vaddr + seg->filesz;
	uint64_t end = vb_page_up(bias + seg->vaddr + seg->memsz), zero = start;
	int prot = segment_prot(seg->flags);
	int64_t r;

	if (seg->filesz) {
		zero = vb_page_up(file_end);
		r = mm_map(mm, start, zero - start, prot, MAP_PRIVATE_ | MAP_FIXED_, f, vb_page_down(seg->offset));
		if (r < 0)
			return (int)r;
		if (prot & PROT_X)
			patch_mapped(mm, start, zero - start);
		if (seg->memsz > seg->filesz && prot & PROT_W && zero_user(file_end, zero - file_end))
			return -ENOMEM;
	}
	if (end > zero) {
		r = mm_map(mm, zero, end - zero, prot, MAP_PRIVATE_ | MAP_FIXED_ | MAP_ANONYMOUS_, NULL, 0);
		if (r < 0)
			return (int)r;
	}
	return 0;
}

static int64_t choose_base(struct mm *mm, uint64_t span, uint64_t align, bool program)
{
	uint64_t hint = 0, reserve = span + (align > VB_PAGE_SIZE ? align : 0);
	if (program) {
		uint32_t random;
		random_bytes(&random, sizeof(random));
		hint = PIE_BASE + (random % PIE_RANDOM_PAGES) * VB_PAGE_SIZE;
	}
	int64_t r = mm_map(mm, hint, reserve, 0, MAP_PRIVATE_ | MAP_ANONYMOUS_ | MAP_NORESERVE_, NULL, 0);
	if (r < 0)
		return r;
	mm_unmap(mm, (uint64_t)r, reserve);
	return (int64_t)(((uint64_t)r + align - 1) / align * align);
}

/* Maps all segments of an ELF file at the bias it returns. */
static int map_image(struct mm *mm, struct file *f, const struct elf_image *elf, bool program, uint64_t *ret_bias)
{
	*ret_bias = 0;
	if (elf->position_independent) {
		int64_t base = choose_base(mm, elf->high - elf->low, elf->align, program);
		if (base < 0)
			return (int)base;
		*ret_bias = (uint64_t)base - elf->low;
	}
	for (uint32_t i = 0; i < elf->load_count; i++) {
		int r = map_segment(mm, f, &elf->load[i], *ret_bias);
		if (r)
			return r;
	}
	return 0;
}

/* What /proc shows of the program's segments. */
static void set_layout(struct mm_layout *layout, const struct elf_image *elf, uint64_t bias)
{
	for (uint32_t i = 0; i < elf->load_count; i++) {
		uint64_t start = bias + elf->load[i].vaddr, end = start + elf->load[i].filesz;
		if (elf->load[i].flags & ELF_EXECUTE) {
			layout->code_start = layout->code_start ? layout->code_start : start;
			layout->code_end = end;
		}
		layout->data_start = start;
		layout->data_end = end;
	}
}

static int decode_file(struct load *l, struct file *f, struct elf_image *elf)
{
	struct k_stat st;
	int r = inode_getattr(f->inode, &st);
	long len = r ? r : file_read(f, l->header, HEADER_BYTES, 0);
	const char *why = "its program headers are not in its first page";
	if (len < 0)
		return (int)len;
	if (!elf_decode(l->header, (size_t)len, st.size, elf, &why))
		return 0;
	klog(1, "not executable: %s", why);
	return -ENOEXEC;
}

/* --- the start-up stack (System V ABI, x86-64, section 3.4.1) --- */

/* As large as the limit says, with some sense. */
static uint64_t stack_bytes(void)
{
	uint64_t limit = vb_page_down(current->process->rlimit[RLIMIT_STACK].cur);
	limit = vb_max(limit, 2 * ARGS_MAX_BYTES);
	return vb_min(limit, STACK_MAX);
}

static int build_stack(struct load *l, struct mm *mm, struct regs *regs)
{
	const struct strings *s = &l->strings;
	uint64_t size = stack_bytes();
	struct mm_layout *layout = mm_layout(mm);
	uint64_t random_slide;
	random_bytes(&random_slide, sizeof(random_slide));
	uint64_t below = (1 + (random_slide >> 32) % STACK_RANDOM_PAGES) * VB_PAGE_SIZE;
	int64_t base = mm_map(mm, boot->user_high - below - size, size, PROT_R | PROT_W,
		MAP_PRIVATE_ | MAP_ANONYMOUS_ | MAP_GROWSDOWN_ | MAP_STACK_, NULL, 0);
	if (base < 0)
		return (int)base;
	uint64_t top = (uint64_t)base + size;
	mm_set_area_name(mm, (uint64_t)base, "[stack]");
	layout->stack_top = top;

	size_t path_len = strlen(l->name) + 1;
	uint64_t sp = top - 16 - path_len, exec_name = sp;
	sp -= s->used;
	uint64_t strings = sp;
	static const char platform[] = "x86_64";
	sp = (sp - sizeof(platform) - 16 - (random_slide & 0xff0)) & ~15ull;
	uint64_t platform_at = sp + 16, random_at = sp;
	uint8_t random[16];
	random_bytes(random, sizeof(random));
	if (copy_to_user(exec_name, l->name, path_len) || copy_to_user(strings, s->bytes, s->used) ||
		copy_to_user(platform_at, platform, sizeof(platform)) || copy_to_user(random_at, random, sizeof(random)))
		return -ENOMEM;

	const struct creds *c = &current->creds;
	const uint64_t aux[][2] = {
		{AT_SYSINFO_EHDR, layout->vdso},
		{AT_HWCAP, boot->host_hwcap},
		{AT_PAGESZ, VB_PAGE_SIZE},
		{AT_CLKTCK, 100},
		{AT_PHDR, l->phdr},
		{AT_PHENT, sizeof(struct elf_segment)},
		{AT_PHNUM, l->elf.segment_count},
		{AT_BASE, l->interp_base},
		{AT_FLAGS, 0},
		{AT_ENTRY, l->program_entry},
		{AT_UID, c->ruid},
		{AT_EUID, c->euid},
		{AT_GID, c->rgid},
		{AT_EGID, c->egid},
		{AT_SECURE, 0},
		{AT_RANDOM, random_at},
		{AT_HWCAP2, boot->host_hwcap2},
		{AT_EXECFN, exec_name},
		{AT_PLATFORM, platform_at},
		{51 /* AT_MINSIGSTKSZ */, platform_xstate_bytes + 1024},
		{AT_NULL, 0},
	};
	size_t words = 1 + s->argc + 1 + s->envc + 1;
	sp -= words * 8 + sizeof(aux);
	sp &= ~15ull;
	layout->aux_start = sp + words * 8;
	layout->aux_bytes = sizeof(aux);
	uint64_t *vector = kmalloc(words * 8), *v = vector;
	if (!vector)
		return -ENOMEM;
	*v++ = s->argc;
	const char *text = s->bytes;
	layout->arg_start = strings;
	for (unsigned i = 0; i < s->argc + s->envc; i++, text += strlen(text) + 1) {
		if (i == s->argc) {
			*v++ = 0;
			layout->arg_end = layout->env_start = strings + (uint64_t)(text - s->bytes);
		}
		*v++ = strings + (uint64_t)(text - s->bytes);
	}
	if (!s->envc) {
		*v++ = 0;
		layout->arg_end = layout->env_start = strings + s->used;
	}
	*v = 0;
	layout->env_end = strings + s->used;
	int r = copy_to_user(sp, vector, words * 8) || copy_to_user(sp + words * 8, aux, sizeof(aux)) ? -ENOMEM : 0;
	kfree(vector);
	memset(regs, 0, sizeof(*regs));
	*regs = (struct regs){.rip = l->start, .rsp = sp, .rflags = 0x202, .cs = 0x33, .ss = 0x2b, .orig_rax = (uint64_t)-1};
	return r;
}

static int load_program(struct load *l, struct mm *mm)
{
	struct mm_layout *layout = mm_layout(mm);
	const struct elf_image *elf = &l->elf;
	uint64_t bias;
	layout->vdso = vdso_map(mm);
	int r = map_image(mm, l->file, elf, true, &bias);
	if (r)
		return r;
	l->phdr = elf->segments_vaddr ? bias + elf->segments_vaddr : 0;
	l->start = l->program_entry = bias + elf->entry;
	set_layout(layout, elf, bias);
	mm_set_brk_start(mm, bias + elf->high);
	if (l->interp) {
		r = map_image(mm, l->interp, &l->interp_elf, false, &l->interp_base);
		l->start = l->interp_base + l->interp_elf.entry;
	}
	return r ? r : build_stack(l, mm, current->regs);
}

/* --- opening --- */

/* False, which ends the search, for a writer of the inode. */
static bool is_no_writer(int fd, struct file *f, bool cloexec, void *inode)
{
	(void)fd, (void)cloexec;
	if (f->inode != *(struct inode **)inode || !f->writable || !strncmp(f->dentry->name, "/memfd:", 7)) /* Linux doesn't count those */
		return true;
	*(struct inode **)inode = NULL;
	return false;
}

/* No permission to read is needed. */
static int open_executable(int dirfd, const char *path, unsigned walk, struct file **ret)
{
	struct dentry *d;
	int r = path_lookup(dirfd, path, walk, &d);
	if (r)
		return r;
	uint32_t type = d->inode->mode & S_IFMT;
	if (type == S_IFLNK)
		r = -ELOOP;
	else if (type != S_IFREG || inode_permission(d->inode, 1))
		r = -EACCES;
	else
		r = file_open(d, O_RDONLY, ret);
	dentry_unref(d);
	struct inode *inode = r ? NULL : (*ret)->inode;
	if (inode)
		file_table_for_each(current->process->files, is_no_writer, &inode);
	if (!r && !inode) {
		file_unref(*ret);
		*ret = NULL;
		r = -ETXTBSY;
	}
	return r;
}

static int open_interpreter(struct load *l)
{
	uint32_t n = l->elf.interp_bytes;
	if (!n)
		return 0;
	if (n < 2 || n > HEADER_BYTES || file_read(l->file, l->header, n, l->elf.interp_offset) != n || l->header[n - 1])
		return -ENOEXEC;
	int r = open_executable(AT_FDCWD, l->header, WALK_FOLLOW, &l->interp);
	if (r) {
		klog(0, "the program's interpreter %s is missing in the image: add it with --add", l->header);
		return r;
	}
	r = decode_file(l, l->interp, &l->interp_elf);
	return r == -ENOEXEC ? -ELIBBAD : r;
}

/* The interpreter line of a script: `#!path [one argument]`. Its words and the script's name go in front of all strings. */
static int script_line(struct load *l, long len, const char *script, unsigned outer_count, const char *outer)
{
	struct strings *s = &l->strings;
	char *line = l->header + 2, *buffer_end = l->header + vb_min((size_t)len, (size_t)SCRIPT_LINE - 1);
	*buffer_end = '\0';
	char *end = strchr(line, '\n'), *stop = end ? end : line + strlen(line);
	bool cut = !end && stop == buffer_end && len == SCRIPT_LINE;
	*stop = '\0';
	while (stop > line && (stop[-1] == ' ' || stop[-1] == '\t'))
		*--stop = '\0';
	while (*line == ' ' || *line == '\t')
		line++;
	char *arg = line;
	while (*arg && *arg != ' ' && *arg != '\t')
		arg++;
	if (arg == line || (cut && !*arg)) /* nothing, or perhaps not all of it */
		return -ENOEXEC;
	if (*arg)
		*arg++ = '\0';
	while (*arg == ' ' || *arg == '\t')
		arg++;
	int r = strings_add(s, line, &s->argc);
	if (!r && *arg)
		r = strings_add(s, arg, &s->argc);
	if (!r)
		r = strings_add(s, script, &s->argc);
	/* An outer script line's words follow the inner one's, without its interpreter: that is this script. */
	for (unsigned i = 0; i < outer_count && !r; i++, outer += strlen(outer) + 1)
		if (i >= 1)
			r = strings_add(s, outer, &s->argc);
	char *interp = r ? NULL : kstrdup(line);
	if (!interp)
		return r ? r : -ENOMEM;
	kfree(l->interp_path);
	l->interp_path = interp;
	return 0;
}

/* Opens the program, following script lines, whose words go to the front of the strings. */
static int open_program(struct load *l, int dirfd, const char *path, unsigned walk)
{
	int r = open_executable(dirfd, path, walk, &l->file);
	for (int depth = 0; !r; depth++) {
		long len = file_read(l->file, l->header, SCRIPT_LINE, 0);
		if (len < 2 || l->header[0] != '#' || l->header[1] != '!')
			return len < 0 ? (int)len : 0;
		if (depth == SCRIPT_DEPTH)
			return -ELOOP;
		file_unref(l->file);
		l->file = NULL;
		struct strings outer = l->strings;
		l->strings = (struct strings){.limit = outer.limit};
		r = script_line(l, len, depth ? l->interp_path : l->name, outer.argc, outer.bytes);
		kfree(outer.bytes);
		if (!r)
			r = open_executable(AT_FDCWD, l->interp_path, WALK_FOLLOW, &l->file);
	}
	return r;
}

static int gather(struct load *l, const struct vector *argv, const struct vector *envp)
{
	struct strings *s = &l->strings;
	int r = strings_add_vector(s, argv, s->argc, &s->argc); /* a script's words replace argv[0] */
	if (!r && !s->argc)
		r = strings_add(s, "", &s->argc);
	return r ? r : strings_add_vector(s, envp, false, &s->envc);
}

/* --- the point of no return --- */

/* Ends the other threads and waits until they have left: they unwind from what they sleep in and end on their way to user
 * space. */
static int be_alone(struct process *p)
{
	if (task_ending(current))
		return -EAGAIN;
	p->exec_by = current;
	list_for_each(t, &p->threads, struct task, thread_node)
		if (t != current)
			task_interrupt(t);
	while (p->thread_count > 1) {
		task_prepare();
		task_sleep(NO_DEADLINE, false);
	}
	p->exec_by = NULL;
	return 0;
}

static void exec_creds(struct creds *c)
{
	bool root = !(c->securebits & SECBIT_NOROOT) && (c->euid == 0 || c->ruid == 0);
	if (root)
		c->cap_ambient = 0;
	c->cap_permitted = root ? c->cap_inheritable | c->cap_bounding : c->cap_ambient;
	c->cap_effective = root && c->euid ? 0 : c->cap_permitted;
	c->suid = c->fsuid = c->euid;
	c->sgid = c->fsgid = c->egid;
	c->securebits &= ~(uint32_t)SECBIT_KEEP_CAPS;
}

/* Ends what does not survive an exec. The process has this thread only. */
static void exec_release(struct process *p)
{
	for (int i = 0; i < SIG_COUNT; i++)
		p->action[i] = (struct k_sigaction){.handler = p->action[i].handler == ACTION_IGNORE ? ACTION_IGNORE : ACTION_DEFAULT};
	posix_timers_exit(p);
	futex_exit_thread(current);
	file_table_close_on_exec(p->files);
	current->tid = p->pid;
	current->altstack = current->altstack_bytes = 0;
	current->altstack_flags = 0;
	current->restart = NULL;
	p->dumpable = true;
	exec_creds(&current->creds);
	patch_forget();
}

static void set_comm(const char *path)
{
	const char *base = strrchr(path, '/');
	base = base ? base + 1 : path;
	size_t n = vb_min(strlen(base), sizeof(current->comm) - 1);
	memset(current->comm, 0, sizeof(current->comm));
	memcpy(current->comm, base, n);
}

/* Once alone, user addresses mean the new address space. */
static int exec_commit(struct load *l, const char *comm)
{
	struct process *p = current->process;
	struct mm *old = p->mm;
	int r = old ? be_alone(p) : 0;
	if (r)
		return r;
	if (old)
		exec_release(p);
	p->mm = l->mm;
	l->mm = NULL;
	if (old)
		mm_free(old);
	r = load_program(l, p->mm);
	if (r && old)
		process_exit(SIGSEGV);
	if (r)
		return r;
	dentry_path(l->file->dentry, p->comm_exe, sizeof(p->comm_exe), false);
	set_comm(comm);
	platform_fs_base_set(0);
	platform_gs_base_set(0);
	xstate_reset();
	return 0;
}

static uint64_t args_limit(void)
{
	uint64_t limit = vb_max(current->process->rlimit[RLIMIT_STACK].cur / 4, ARGS_MIN_BYTES);
	return vb_min(limit, ARGS_MAX_BYTES);
}

/* name: what AT_EXECFN and a script's interpreter are told. */
static int exec(int dirfd, const char *path, unsigned walk, const char *name, const struct vector *argv, const struct vector *envp)
{
	struct load *l = kzalloc(sizeof(*l));
	if (!l)
		return -ENOMEM;
	l->name = name;
	l->strings.limit = args_limit();
	int r = open_program(l, dirfd, path, walk);
	if (!r)
		r = gather(l, argv, envp);
	if (!r)
		r = decode_file(l, l->file, &l->elf);
	if (!r)
		r = open_interpreter(l);
	if (!r && !(l->mm = mm_new()))
		r = -ENOMEM;
	if (!r)
		r = exec_commit(l, *path ? name : l->file->dentry->name);
	if (l->mm)
		mm_free(l->mm);
	if (l->file)
		file_unref(l->file);
	if (l->interp)
		file_unref(l->interp);
	kfree(l->strings.bytes);
	kfree(l->interp_path);
	kfree(l);
	return r;
}

int exec_program(const char *path, char *const argv[], char *const envp[])
{
	return exec(AT_FDCWD, path, WALK_FOLLOW, path, &(struct vector){.kernel = argv}, &(struct vector){.kernel = envp});
}

static long exec_user(int dirfd, uint64_t upath, uint64_t argv, uint64_t envp, unsigned flags)
{
	char *path, *name = NULL;
	int r = flags & AT_EMPTY_PATH ? path_from_user_empty_ok(upath, &path) : path_from_user(upath, &path);
	if (r)
		return r;
	if (flags & ~(unsigned)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		r = -EINVAL;
	if (!r && dirfd != AT_FDCWD && *path != '/') {
		size_t size = strlen(path) + 32;
		name = kmalloc(size);
		if (name)
			vb_snprintf(name, size, *path ? "/dev/fd/%d/%s" : "/dev/fd/%d", dirfd, path);
		else
			r = -ENOMEM;
	}
	if (!r)
		r = exec(
			dirfd, path, walk_flags(flags), name ? name : path, &(struct vector){.user = argv}, &(struct vector){.user = envp});
	kfree(name);
	kfree(path);
	return r;
}

SYSCALL(execve, uint64_t path, uint64_t argv, uint64_t envp)
{
	return exec_user(AT_FDCWD, path, argv, envp, 0);
}

SYSCALL(execveat, int dirfd, uint64_t path, uint64_t argv, uint64_t envp, int flags)
{
	return exec_user(dirfd, path, argv, envp, (unsigned)flags);
}
