/* Core files as Linux writes them, into the core folder of the monitor. Owns nothing between dumps.
 *
 * The layout is made twice by the same code: once to count, once to write. Nothing of the program runs meanwhile (debug_holds).
 * Text and read-only data of files are left out: a debugger has the files.
 */
#include "kernel/debug/internal.h"

#include "kernel/fs/fs.h"
#include "kernel/fs/p9.h"
#include "kernel/mm/mm.h"
#include "kernel/task/patch.h"

#include <linux/elf.h>

#define SEGMENTS_MAX    60000u
#define NAME_TRIES      100
#define XSTATE_BV_AT    512
#define XSTATE_XCR0_AT  464 /* where debuggers look for XCR0 in the note */
#define FXSAVE_BYTES    512u
#define NOTE_NAME_BYTES 8u /* "CORE" or "LINUX", padded */

/* struct elf_prstatus and elf_prpsinfo of x86-64 Linux. */
struct prstatus {
	int32_t signo, code, err;
	int16_t cursig;
	uint64_t sigpend, sighold;
	int32_t pid, ppid, pgrp, sid;
	struct k_timeval utime, stime, cutime, cstime;
	struct {
		uint64_t gpr[21], fs_base, gs_base, ds, es, fs, gs;
	} regs;
	int32_t fpvalid;
};
struct prpsinfo {
	char state, sname, zomb, nice;
	uint64_t flag;
	uint32_t uid, gid;
	int32_t pid, ppid, pgrp, sid;
	char fname[16], psargs[80];
};
_Static_assert(sizeof(struct prstatus) == 336 && sizeof(struct prpsinfo) == 136 && sizeof(struct regs) == 21 * 8, "as Linux lays them out");

static struct core {
	struct p9_core file;
	bool writing; /* else only counting */
	int error;
	uint64_t at; /* bytes emitted */
	size_t used; /* of buffer */
	char buffer[16384];
	int sig;
	const struct k_siginfo *info;
	unsigned segments;
	uint64_t data_at; /* where the next segment's data goes */
} core;

static void flush(void)
{
	if (core.used && !core.error)
		core.error = p9_core_write(&core.file, core.buffer, core.used);
	core.used = 0;
}

static void emit(const void *bytes, uint64_t len)
{
	core.at += len;
	if (!core.writing)
		return;
	for (const char *from = bytes; len && !core.error;) {
		size_t n = vb_min(len, (uint64_t)(sizeof(core.buffer) - core.used));
		memcpy(core.buffer + core.used, from, n);
		core.used += n;
		from += n;
		len -= n;
		if (core.used == sizeof(core.buffer))
			flush();
	}
}

static void emit_padding(uint64_t align)
{
	static const char zeros[VB_PAGE_SIZE];
	emit(zeros, -core.at & (align - 1));
}

/* The program's memory; what can't be read is zero. */
static void emit_memory(uint64_t addr, uint64_t len)
{
	static char page[VB_PAGE_SIZE];
	for (uint64_t end = addr + len; addr < end && !core.error; addr += sizeof(page)) {
		size_t n = mm_peek(current->process->mm, addr, page, sizeof(page));
		memset(page + n, 0, sizeof(page) - n);
		emit(page, sizeof(page));
	}
}

/* --- segments --- */

typedef void segment_fn(uint64_t start, uint64_t end, uint64_t file_bytes, int prot);

static void area_segments(const struct area *a, void *arg)
{
	segment_fn *fn = (segment_fn *)arg;
	uint64_t start, end, at = a->start;
	struct mm *mm = current->process->mm;

	if (a->inode && !a->shared) {
		bool all = a->prot & PROT_W || mm_modified(mm, a->start, a->end);
		uint64_t header = !a->offset && a->prot & PROT_R ? VB_PAGE_SIZE : 0; /* tells which file it was, by its build id */
		fn(a->start, a->end, all ? a->end - a->start : header, a->prot);
		return;
	}
	if (a->inode) {
		fn(a->start, a->end, 0, a->prot);
		return;
	}
	while (at < a->end && mm_present(mm, at, &start, &end) && start < a->end) {
		uint64_t next_start, next_end;
		while (end < a->end && mm_present(mm, end, &next_start, &next_end) && next_start == end)
			end = next_end;
		end = vb_min(end, a->end);
		if (at < start)
			fn(at, start, 0, a->prot);
		fn(start, end, end - start, a->prot);
		at = end;
	}
	if (at < a->end)
		fn(at, a->end, 0, a->prot);
}

static void for_each_segment(segment_fn *fn)
{
	core.segments = 0;
	mm_for_each_area(current->process->mm, area_segments, (void *)fn);
}

static void segment_count(uint64_t start, uint64_t end, uint64_t file_bytes, int prot)
{
	core.segments++;
}

static void segment_header(uint64_t start, uint64_t end, uint64_t file_bytes, int prot)
{
	if (core.segments++ >= SEGMENTS_MAX)
		return;
	emit(&(Elf64_Phdr){.p_type = PT_LOAD,
		     .p_offset = core.data_at,
		     .p_vaddr = start,
		     .p_filesz = file_bytes,
		     .p_memsz = end - start,
		     .p_flags = (prot & PROT_R ? PF_R : 0) | (prot & PROT_W ? PF_W : 0) | (prot & PROT_X ? PF_X : 0),
		     .p_align = VB_PAGE_SIZE},
		sizeof(Elf64_Phdr));
	core.data_at += file_bytes;
}

static void segment_data(uint64_t start, uint64_t end, uint64_t file_bytes, int prot)
{
	if (core.segments++ < SEGMENTS_MAX)
		emit_memory(start, file_bytes);
}

/* --- notes --- */

static void note_header(const char *name, uint32_t type, uint64_t len)
{
	char padded[NOTE_NAME_BYTES] = {0};
	size_t n = strlen(name) + 1;
	memcpy(padded, name, n);
	emit(&(Elf64_Nhdr){.n_namesz = (uint32_t)n, .n_descsz = (uint32_t)len, .n_type = type}, sizeof(Elf64_Nhdr));
	emit(padded, sizeof(padded));
}

static void note(const char *name, uint32_t type, const void *desc, uint64_t len)
{
	note_header(name, type, len);
	emit(desc, len);
	emit_padding(4);
}

static void note_prstatus(struct task *t)
{
	struct prstatus s = {.signo = core.sig,
		.code = core.info->code,
		.cursig = (int16_t)core.sig,
		.sigpend = t->pending.set,
		.sighold = t->sigmask,
		.pid = t->tid,
		.ppid = t->process->ppid,
		.pgrp = t->process->pgid,
		.sid = t->process->sid,
		.utime = {(int64_t)(t->cpu_ns / NSEC_PER_SEC), (int64_t)(t->cpu_ns % NSEC_PER_SEC / 1000)},
		.fpvalid = 1};
	struct regs r = *t->regs;
	r.rip = patch_user_rip(r.rip);
	memcpy(s.regs.gpr, &r, sizeof(s.regs.gpr));
	s.regs.fs_base = t == current ? platform_fs_base_get() : t->fs_base;
	s.regs.gs_base = t == current ? platform_gs_base_get() : t->gs_base;
	note("CORE", NT_PRSTATUS, &s, sizeof(s));
}

static void note_floating_point(struct task *t)
{
	uint8_t *x = t->xstate;
	uint64_t live;
	if (t == current)
		platform_xstate_save(x);
	memcpy(&live, x + XSTATE_BV_AT, sizeof(live));
	/* Parts not marked live are in their initial state, whatever the memory says. */
	if (!(live & 1)) {
		memset(x, 0, 24);
		memset(x + 32, 0, 128);
		memcpy(x, &(uint16_t){0x37f}, 2);
	}
	if (!(live & 2))
		memset(x + 160, 0, 256);
	if (!(live & 6))
		memcpy(x + 24, &(uint32_t){0x1f80}, 4);
	/* Debuggers know the layout up to the protection keys; the tiles behind them would only confuse them. */
	uint64_t mask = platform_xstate_mask & 0x2ff;
	memcpy(x + XSTATE_XCR0_AT, &mask, sizeof(mask));
	note("CORE", NT_PRFPREG, x, FXSAVE_BYTES);
	note("LINUX", NT_X86_XSTATE, x, mask & 0x200 ? 2696 : mask & 0xe0 ? 2688 : mask & 4 ? 832 : 576);
}

static void note_prpsinfo(void)
{
	const struct process *p = current->process;
	const struct mm_layout *layout = mm_layout(p->mm);
	struct prpsinfo s = {.sname = 'R',
		.nice = (char)current->nice,
		.uid = current->creds.ruid,
		.gid = current->creds.rgid,
		.pid = p->pid,
		.ppid = p->ppid,
		.pgrp = p->pgid,
		.sid = p->sid};
	memcpy(s.fname, p->leader->comm, sizeof(s.fname));
	size_t n = mm_peek(p->mm, layout->arg_start, s.psargs, vb_min(layout->arg_end - layout->arg_start, (uint64_t)sizeof(s.psargs) - 1));
	for (size_t i = 0; i + 1 < n; i++)
		if (!s.psargs[i])
			s.psargs[i] = ' ';
	note("CORE", NT_PRPSINFO, &s, sizeof(s));
}

static void note_auxv(void)
{
	static uint8_t aux[1024];
	const struct mm_layout *layout = mm_layout(current->process->mm);
	size_t n = mm_peek(current->process->mm, layout->aux_start, aux, vb_min(layout->aux_bytes, (uint64_t)sizeof(aux)));
	note("CORE", NT_AUXV, aux, n);
}

/* NT_FILE: first all ranges, then all names, so the areas are walked three times. */
static struct {
	uint64_t count, name_bytes;
} mapped;

static long area_path(const struct area *a, char *path, size_t size)
{
	return a->file ? dentry_path(a->file->dentry, path, size, true) : -ENOENT;
}

static void mapped_count(const struct area *a, void *arg)
{
	char *path = arg;
	long n = area_path(a, path, VB_PAGE_SIZE);
	if (n < 0)
		return;
	mapped.count++;
	mapped.name_bytes += (uint64_t)n + 1;
}

static void mapped_range(const struct area *a, void *arg)
{
	if (area_path(a, arg, VB_PAGE_SIZE) >= 0)
		emit((uint64_t[]){a->start, a->end, a->offset / VB_PAGE_SIZE}, 24);
}

static void mapped_name(const struct area *a, void *arg)
{
	long n = area_path(a, arg, VB_PAGE_SIZE);
	if (n >= 0)
		emit(arg, (uint64_t)n + 1);
}

static void note_files(void)
{
	static char path[VB_PAGE_SIZE];
	struct mm *mm = current->process->mm;
	mapped.count = mapped.name_bytes = 0;
	mm_for_each_area(mm, mapped_count, path);
	note_header("CORE", NT_FILE, 16 + mapped.count * 24 + mapped.name_bytes);
	emit((uint64_t[]){mapped.count, VB_PAGE_SIZE}, 16);
	mm_for_each_area(mm, mapped_range, path);
	mm_for_each_area(mm, mapped_name, path);
	emit_padding(4);
}

static void notes(void)
{
	note_prstatus(current);
	note_prpsinfo();
	note("CORE", NT_SIGINFO, core.info, sizeof(*core.info));
	note_auxv();
	note_files();
	note_floating_point(current);
	list_for_each(t, &current->process->threads, struct task, thread_node) {
		if (t == current)
			continue;
		note_prstatus(t);
		note_floating_point(t);
	}
}

/* --- the file --- */

static void headers(uint64_t note_bytes)
{
	unsigned count = core.segments < SEGMENTS_MAX ? core.segments : SEGMENTS_MAX;
	uint64_t notes_at = sizeof(Elf64_Ehdr) + (count + 1ull) * sizeof(Elf64_Phdr);
	emit(&(Elf64_Ehdr){.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
		     .e_type = ET_CORE,
		     .e_machine = EM_X86_64,
		     .e_version = EV_CURRENT,
		     .e_phoff = sizeof(Elf64_Ehdr),
		     .e_ehsize = sizeof(Elf64_Ehdr),
		     .e_phentsize = sizeof(Elf64_Phdr),
		     .e_phnum = (uint16_t)(count + 1)},
		sizeof(Elf64_Ehdr));
	emit(&(Elf64_Phdr){.p_type = PT_NOTE, .p_offset = notes_at, .p_filesz = note_bytes, .p_align = 4}, sizeof(Elf64_Phdr));
	core.data_at = vb_page_up(notes_at + note_bytes);
	for_each_segment(segment_header);
}

static int create(char *name, size_t size)
{
	const char *slash = strrchr(current->process->comm_exe, '/');
	const char *program = slash ? slash + 1 : current->process->comm_exe;
	int r = -EEXIST;
	for (int i = 0; i < NAME_TRIES && r == -EEXIST; i++) {
		int n = vb_snprintf(name, size, "core.%s.%d", program, current->process->pid);
		if (i)
			vb_snprintf(name + n, size - (size_t)n, ".%d", i);
		r = p9_core_open(&core.file, name);
	}
	return r;
}

static int write(void)
{
	core.writing = false;
	core.at = 0;
	notes();
	uint64_t note_bytes = core.at;
	for_each_segment(segment_count);

	core.writing = true;
	core.at = 0;
	headers(note_bytes);
	notes();
	emit_padding(VB_PAGE_SIZE);
	for_each_segment(segment_data);
	flush();
	int r = p9_core_close(&core.file);
	return core.error ? core.error : r;
}

bool core_dump(int sig, struct regs *regs, const struct k_siginfo *info)
{
	static char name[300];
	if (!(boot->flags & VB_BOOT_CORE) || !current->process->mm)
		return false;
	core.error = 0;
	core.used = 0;
	core.sig = sig;
	core.info = info;
	debug_hold_others(current);
	int r = create(name, sizeof(name));
	if (r == 0)
		r = write();
	debug_hold_others(NULL);
	if (r)
		klog(0, "%s: no core file: error %d", current->comm, -r);
	else
		klog(2, "%s: core file %s written", current->comm, name);
	return r == 0;
}
