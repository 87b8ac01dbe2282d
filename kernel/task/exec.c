/* Program loading: the ELF file and its interpreter into a new address space, the start-up stack, the first registers.
 *
 * The program file is hostile: base/elf.c validates its headers, everything else goes through the memory manager.
 */
#include "kernel/task/task_private.h"

#include "base/elf.h"
#include "kernel/fs/fs.h"
#include "kernel/mm/mm.h"
#include "kernel/platform/platform.h"
#include "kernel/syscall/define.h"
#include "kernel/task/patch.h"

#include <asm/fcntl.h>
#include <linux/auxvec.h>

#define SIGKILL_ 9
#define AT_CWD (-100)
#define PATH_BYTES 1024
#define HEADER_BYTES 4096
#define SCRIPT_DEPTH 5
#define SCRIPT_LINE 255
#define STACK_BYTES (8ull << 20)
#define ARGS_MAX_BYTES (2ull << 20) /* a quarter of the stack limit, as Linux */
#define STRING_MAX_BYTES (128u << 10)
#define PIE_BASE 0x555555554000ull
#define PIE_RANDOM_PAGES (1ull << 24)
#define STACK_RANDOM_PAGES (1ull << 22)

/* What is being loaded. */
struct load {
	struct mm *mm;
	uint64_t start;         /* first instruction: the interpreter's, if there is one */
	uint64_t program_entry; /* AT_ENTRY */
	uint64_t phdr, interp_base;
	unsigned phnum;
};

/* Argument and environment strings, gathered before the old program goes. */
struct strings {
	char *bytes;
	size_t used, size;
	unsigned argc, envc;
};

static int strings_add(struct strings *s, const char *text, size_t len)
{
	if (len >= STRING_MAX_BYTES || s->used + len + 1 > ARGS_MAX_BYTES)
		return -E2BIG;
	if (s->used + len + 1 > s->size) {
		size_t size = vb_max(s->size * 2, s->used + len + 1);
		char *bytes = krealloc(s->bytes, size);
		if (!bytes)
			return -ENOMEM;
		s->bytes = bytes;
		s->size = size;
	}
	memcpy(s->bytes + s->used, text, len);
	s->bytes[s->used + len] = '\0';
	s->used += len + 1;
	return 0;
}

static int strings_add_all(struct strings *s, char *const v[], unsigned *ret_count)
{
	for (*ret_count = 0; *v; v++, ++*ret_count) {
		int r = strings_add(s, *v, strlen(*v));
		if (r)
			return r;
	}
	return 0;
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

static int decode_file(struct file *f, struct elf_image *elf)
{
	struct k_stat st;
	char *header = kmalloc(HEADER_BYTES);
	if (!header)
		return -ENOMEM;
	int r = inode_getattr(f->inode, &st);
	long len = r ? r : file_read(f, header, HEADER_BYTES, 0);
	const char *why = "its program headers are not in its first page";
	if (len < 0)
		r = (int)len;
	else if (elf_decode(header, (size_t)len, st.size, elf, &why)) {
		klog(1, "not executable: %s", why);
		r = -ENOEXEC;
	}
	kfree(header);
	return r;
}

static int load_interpreter(struct load *l, struct file *f, const struct elf_image *elf)
{
	char path[256];
	if (elf->interp_bytes < 2 || elf->interp_bytes > sizeof(path) ||
		file_read(f, path, elf->interp_bytes, elf->interp_offset) != elf->interp_bytes || path[elf->interp_bytes - 1])
		return -ENOEXEC;
	struct file *interp;
	int r = file_open_at(AT_CWD, path, O_RDONLY, 0, &interp);
	if (r) {
		klog(0, "the program's interpreter %s is missing in the image: add it with --add", path);
		return r;
	}
	struct elf_image interp_elf;
	r = decode_file(interp, &interp_elf);
	if (!r)
		r = map_image(l->mm, interp, &interp_elf, false, &l->interp_base);
	if (!r)
		l->start = l->interp_base + interp_elf.entry;
	file_unref(interp);
	return r;
}

/* --- the start-up stack (System V ABI, x86-64, section 3.4.1) --- */

static int build_stack(struct load *l, const struct strings *s, const char *path, struct regs *regs)
{
	struct mm_layout *layout = mm_layout(l->mm);
	uint64_t random_slide;
	random_bytes(&random_slide, sizeof(random_slide));
	uint64_t below = (1 + (random_slide >> 32) % STACK_RANDOM_PAGES) * VB_PAGE_SIZE;
	int64_t base = mm_map(l->mm, boot->user_high - below - STACK_BYTES, STACK_BYTES, PROT_R | PROT_W,
		MAP_PRIVATE_ | MAP_ANONYMOUS_ | MAP_GROWSDOWN_ | MAP_STACK_, NULL, 0);
	if (base < 0)
		return (int)base;
	uint64_t top = (uint64_t)base + STACK_BYTES;
	mm_set_area_name(l->mm, (uint64_t)base, "[stack]");
	layout->stack_top = top;

	size_t path_len = strlen(path) + 1;
	uint64_t sp = top - 16 - path_len, exec_name = sp;
	sp -= s->used;
	uint64_t strings = sp;
	static const char platform[] = "x86_64";
	sp = (sp - sizeof(platform) - 16 - (random_slide & 0xff0)) & ~15ull;
	uint64_t platform_at = sp + 16, random_at = sp;
	uint8_t random[16];
	random_bytes(random, sizeof(random));
	if (copy_to_user(exec_name, path, path_len) || copy_to_user(strings, s->bytes, s->used) ||
		copy_to_user(platform_at, platform, sizeof(platform)) || copy_to_user(random_at, random, sizeof(random)))
		return -ENOMEM;

	const struct creds *c = &current->creds;
	const uint64_t aux[][2] = {
		{ AT_SYSINFO_EHDR, layout->vdso }, { AT_HWCAP, boot->host_hwcap }, { AT_PAGESZ, VB_PAGE_SIZE }, { AT_CLKTCK, 100 },
		{ AT_PHDR, l->phdr }, { AT_PHENT, sizeof(struct elf_segment) }, { AT_PHNUM, l->phnum }, { AT_BASE, l->interp_base }, { AT_FLAGS, 0 },
		{ AT_ENTRY, l->program_entry }, { AT_UID, c->ruid }, { AT_EUID, c->euid }, { AT_GID, c->rgid }, { AT_EGID, c->egid },
		{ AT_SECURE, 0 }, { AT_RANDOM, random_at }, { AT_HWCAP2, boot->host_hwcap2 }, { AT_EXECFN, exec_name },
		{ AT_PLATFORM, platform_at }, { 51 /* AT_MINSIGSTKSZ */, platform_xstate_bytes + 1024 }, { AT_NULL, 0 },
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
	*regs = (struct regs){ .rip = l->start, .rsp = sp, .rflags = 0x202, .cs = 0x33, .ss = 0x2b, .orig_rax = (uint64_t)-1 };
	return r;
}

/* --- execve --- */

/* The interpreter line of a script: `#!path [one argument]`. Adds the words in front; *path becomes the interpreter. */
static int script_line(const char *header, long len, const char *script, char *interp, struct strings *s)
{
	char line[SCRIPT_LINE + 1];
	size_t n = vb_min((size_t)len - 2, (size_t)SCRIPT_LINE);
	memcpy(line, header + 2, n);
	line[n] = '\0';
	char *end = strchr(line, '\n');
	if (end)
		*end = '\0';
	else if (n == SCRIPT_LINE)
		return -ENOEXEC;
	char *word = line, *stop = line + strlen(line);
	while (*word == ' ' || *word == '\t')
		word++;
	while (stop > word && (stop[-1] == ' ' || stop[-1] == '\t'))
		*--stop = '\0';
	char *arg = word;
	while (*arg && *arg != ' ' && *arg != '\t')
		arg++;
	if (arg == word)
		return -ENOEXEC;
	if (*arg)
		*arg++ = '\0';
	while (*arg == ' ' || *arg == '\t')
		arg++;
	memcpy(interp, word, strlen(word) + 1);
	int r = strings_add(s, word, strlen(word));
	if (!r && *arg)
		r = strings_add(s, arg, strlen(arg));
	if (!r)
		r = strings_add(s, script, strlen(script));
	s->argc += *arg ? 3 : 2;
	return r;
}

static int check_executable(struct file *f)
{
	if ((f->inode->mode & 0170000) != 0100000)
		return -EACCES;
	return inode_permission(f->inode, 1) ? -EACCES : 0;
}

/* Opens the program, following script lines, whose words go to the front of s. ret_path: PATH_BYTES. */
static int open_program(const char *path, struct strings *s, struct file **ret, char *ret_path)
{
	char header[SCRIPT_LINE + 2];
	if (strlen(path) >= PATH_BYTES)
		return -ENAMETOOLONG;
	memcpy(ret_path, path, strlen(path) + 1);
	for (int depth = 0; depth < SCRIPT_DEPTH; depth++) {
		struct file *f;
		int r = file_open_at(AT_CWD, ret_path, O_RDONLY, 0, &f);
		if (r)
			return r;
		r = check_executable(f);
		long len = r ? r : file_read(f, header, sizeof(header), 0);
		if (len < 0) {
			file_unref(f);
			return (int)len;
		}
		if (len < 2 || header[0] != '#' || header[1] != '!') {
			*ret = f;
			return 0;
		}
		file_unref(f);
		/* An outer script line's words follow the inner one's, without its interpreter: that is this script. */
		struct strings outer = *s;
		*s = (struct strings){ 0 };
		char script[PATH_BYTES];
		memcpy(script, ret_path, strlen(ret_path) + 1);
		r = script_line(header, len, script, ret_path, s);
		const char *word = outer.bytes;
		for (unsigned i = 0; i < outer.argc && !r; i++, word += strlen(word) + 1)
			if (i >= 1) {
				r = strings_add(s, word, strlen(word));
				s->argc++;
			}
		kfree(outer.bytes);
		if (r)
			return r;
	}
	return -ELOOP;
}

static int load_program(struct load *l, struct file *f, const struct elf_image *elf, const struct strings *s, const char *path)
{
	struct mm_layout *layout = mm_layout(l->mm);
	uint64_t bias;
	layout->vdso = vdso_map(l->mm);
	int r = map_image(l->mm, f, elf, true, &bias);
	if (r)
		return r;
	l->phnum = elf->segment_count;
	l->phdr = elf->segments_vaddr ? bias + elf->segments_vaddr : 0;
	l->start = l->program_entry = bias + elf->entry;
	set_layout(layout, elf, bias);
	mm_set_brk_start(l->mm, bias + elf->high);
	if (elf->interp_bytes)
		r = load_interpreter(l, f, elf);
	return r ? r : build_stack(l, s, path, current->regs);
}

/* Ends what does not survive an exec: other threads' user state, memory, handlers, close-on-exec descriptors. */
static void exec_release(struct process *p)
{
	for (int i = 0; i < SIG_COUNT; i++)
		if (p->action[i].handler != 1 /* SIG_IGN */)
			p->action[i] = (struct k_sigaction){ 0 };
	timers_exit_process(p);
	file_table_close_on_exec(p->files);
	current->clear_tid = current->robust_list = 0;
	current->altstack_bytes = 0;
	mm_unref(p->mm);
}

static void set_comm(const char *path)
{
	const char *base = strrchr(path, '/');
	base = base ? base + 1 : path;
	size_t n = vb_min(strlen(base), sizeof(current->comm) - 1);
	memset(current->comm, 0, sizeof(current->comm));
	memcpy(current->comm, base, n);
}

int exec_program(const char *path, char *const argv[], char *const envp[])
{
	struct process *p = current->process;
	struct strings s = { 0 };
	struct load l = { 0 };
	struct elf_image elf;
	struct file *f = NULL;
	char resolved[PATH_BYTES];
	unsigned count = 0;

	int r = open_program(path, &s, &f, resolved);
	bool script = s.argc != 0; /* its words replace argv[0] */
	if (!r)
		r = decode_file(f, &elf);
	if (!r)
		r = strings_add_all(&s, argv + (script && *argv ? 1 : 0), &count);
	s.argc += count;
	if (!r)
		r = strings_add_all(&s, envp, &s.envc);
	if (!r && !(l.mm = mm_new()))
		r = -ENOMEM;
	if (!r) {
		/* The point of no return: user addresses mean the new address space from here on. */
		bool first = !p->mm;
		if (!first)
			exec_release(p);
		p->mm = l.mm;
		r = load_program(&l, f, &elf, &s, path);
		if (r && !first)
			process_exit(SIGKILL_);
	}
	if (!r) {
		dentry_path(f->dentry, p->comm_exe, sizeof(p->comm_exe), false);
		set_comm(path);
		platform_fs_base_set(0);
		platform_gs_base_set(0);
	}
	if (f)
		file_unref(f);
	kfree(s.bytes);
	return r;
}
