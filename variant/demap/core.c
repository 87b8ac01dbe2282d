/* Owns core files: threads and frames by libdwfl, which unwinds on the variant; then each frame as the plain build has it, and a hash that is
 * the same for one crash of all variants. */
#include <elfutils/libdwfl.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/types.h"
#include "host/error.h"
#include "variant/demap/demap.h"

#define MAX_THREADS    1024
#define MAX_FRAMES     256
#define GROUPED_FRAMES 16 /* of the crashed thread: deeper ones tell little about a crash, and recursion may differ */

struct frame {
	uint64_t pc, address; /* in the core; as the variant was linked */
	bool own;             /* of the variant, not of a library */
	bool returns;
	struct translation to;
	const char *function, *file, *module;
	uint64_t offset;
	int line;
};

struct thread {
	pid_t id;
	struct frame *frames;
	unsigned count;
	const char *why; /* the unwinder went no further, NULL: it reached the end */
};

struct crash {
	const struct demap *d;
	Dwfl *dwfl;
	Dwfl_Module *program;
	Elf *elf;
	struct thread *threads;
	unsigned count;
	int signal;
	uint64_t group;
};

static const Dwfl_Callbacks callbacks = {.find_elf = dwfl_build_id_find_elf, .find_debuginfo = dwfl_standard_find_debuginfo};

/* FNV-1a: for names of groups, no secret. */
static void hash_in(uint64_t *hash, const void *bytes, size_t size)
{
	const uint8_t *at = bytes;
	for (size_t i = 0; i < size; i++)
		*hash = (*hash ^ at[i]) * 0x100000001b3ull;
}

static void look_up(struct crash *c, struct frame *f)
{
	GElf_Addr start = 0, bias = 0;
	Dwfl_Module *module = dwfl_addrmodule(c->dwfl, f->pc - f->returns);
	f->module = module ? dwfl_module_info(module, NULL, &start, NULL, NULL, NULL, NULL, NULL) : NULL;
	if (f->module && strrchr(f->module, '/'))
		f->module = strrchr(f->module, '/') + 1;
	f->own = module && module == c->program;
	if (!f->own) {
		GElf_Off offset = 0;
		GElf_Sym symbol;
		f->function = module ? dwfl_module_addrinfo(module, f->pc - f->returns, &offset, &symbol, NULL, NULL, NULL) : NULL;
		f->offset = f->function ? offset + f->returns : 0;
		return;
	}
	dwfl_module_getelf(module, &bias);
	f->address = f->pc - bias;
	f->to = translate(&c->d->variant, &c->d->plain, f->address, f->returns);
	f->function = f->to.function;
	f->offset = f->to.offset;
	f->file = demap_line(c->d, &f->to, f->address, f->returns, &f->line);
}

static int add_frame(Dwfl_Frame *state, void *arg)
{
	struct crash *c = arg;
	struct thread *t = &c->threads[c->count - 1];
	Dwarf_Addr pc;
	bool is_activation;
	if (t->count == MAX_FRAMES) {
		t->why = "too many frames";
		return DWARF_CB_ABORT;
	}
	if (!dwfl_frame_pc(state, &pc, &is_activation))
		return DWARF_CB_ABORT;
	struct frame *f = &t->frames[t->count++];
	*f = (struct frame){.pc = pc, .returns = !is_activation};
	look_up(c, f);
	return DWARF_CB_OK;
}

static int add_thread(Dwfl_Thread *thread, void *arg)
{
	struct crash *c = arg;
	if (c->count == MAX_THREADS)
		return DWARF_CB_ABORT;
	struct thread *t = &c->threads[c->count++];
	*t = (struct thread){.id = dwfl_thread_tid(thread), .frames = calloc(MAX_FRAMES, sizeof(*t->frames))};
	if (!t->frames)
		return DWARF_CB_ABORT;
	if (dwfl_thread_getframes(thread, add_frame, c) != 0 && !t->why)
		t->why = dwfl_errmsg(-1);
	return DWARF_CB_OK;
}

/* Of the first thread, which is the one that crashed. */
static int signal_of(Elf *elf)
{
	size_t count = 0;
	elf_getphdrnum(elf, &count);
	for (size_t i = 0; i < count; i++) {
		GElf_Phdr header;
		GElf_Nhdr note;
		size_t name, description;
		if (!gelf_getphdr(elf, (int)i, &header) || header.p_type != PT_NOTE)
			continue;
		Elf_Data *data = elf_getdata_rawchunk(elf, (int64_t)header.p_offset, header.p_filesz, ELF_T_NHDR);
		for (size_t at = 0; data && (at = gelf_getnote(data, at, &note, &name, &description)) > 0;) {
			int16_t number;
			if (note.n_type != NT_PRSTATUS || note.n_descsz < 16)
				continue;
			memcpy(&number, (const char *)data->d_buf + description + 12, sizeof(number)); /* pr_cursig */
			return number > 0 && number < NSIG ? number : 0;
		}
	}
	return 0;
}

/* The module of the variant: by its file's name in the core, else the first, which is the program. */
static int find_program(Dwfl_Module *module, void **data, const char *name, Dwarf_Addr start, void *arg)
{
	struct crash *c = arg;
	const char *file = NULL;
	GElf_Addr bias;
	(void)data;
	(void)start;
	dwfl_module_info(module, NULL, NULL, NULL, NULL, NULL, &file, NULL);
	if (!dwfl_module_getelf(module, &bias))
		return DWARF_CB_OK;
	dwfl_module_info(module, NULL, NULL, NULL, NULL, NULL, &file, NULL);
	if (file && strcmp(file, c->d->variant.path) == 0) {
		c->program = module;
		return DWARF_CB_ABORT;
	}
	return DWARF_CB_OK;
}

static void group(struct crash *c)
{
	uint64_t hash = 0xcbf29ce484222325ull;
	const struct thread *t = &c->threads[0];
	hash_in(&hash, &c->signal, sizeof(c->signal));
	for (unsigned i = 0; i < t->count && i < GROUPED_FRAMES; i++) {
		const struct frame *f = &t->frames[i];
		const char *function = f->function ? f->function : "?";
		/* Lines, not instructions: variants may have other instructions for a line. */
		hash_in(&hash, function, strcspn(function, ".") + 1); /* f.cold and f.part.0 are f's */
		if (f->own && f->file) {
			hash_in(&hash, f->file, strlen(f->file));
			hash_in(&hash, &f->line, sizeof(f->line));
		}
	}
	c->group = hash;
}

static int unwind(struct crash *c, int fd, const char *path, struct vb_error *err)
{
	elf_version(EV_CURRENT);
	c->elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
	GElf_Ehdr header;
	if (!c->elf || !gelf_getehdr(c->elf, &header) || header.e_type != ET_CORE)
		return vb_error_set(err, -EINVAL, "%s is no core file", path);
	c->signal = signal_of(c->elf);
	c->dwfl = dwfl_begin(&callbacks);
	c->threads = calloc(MAX_THREADS, sizeof(*c->threads));
	if (!c->dwfl || !c->threads)
		return vb_error_set(err, -ENOMEM, "out of memory");
	dwfl_report_begin(c->dwfl);
	if (dwfl_core_file_report(c->dwfl, c->elf, c->d->variant.path) < 0)
		return vb_error_set(err, -EINVAL, "%s: %s", path, dwfl_errmsg(-1));
	dwfl_report_end(c->dwfl, NULL, NULL);
	if (dwfl_core_file_attach(c->dwfl, c->elf) < 0)
		return vb_error_set(err, -EINVAL, "%s: %s", path, dwfl_errmsg(-1));
	dwfl_getmodules(c->dwfl, find_program, c, 0);
	if (!c->program)
		return vb_error_set(err, -EINVAL, "%s isn't a core file of %s", path, c->d->variant.path);
	dwfl_getthreads(c->dwfl, add_thread, c);
	if (!c->count || !c->threads[0].count)
		return vb_error_set(err, -EINVAL, "%s: no thread of it can be unwound: %s", path,
			c->count && c->threads[0].why ? c->threads[0].why : "it has none");
	group(c);
	return 0;
}

static void print_frame(FILE *out, unsigned number, const struct frame *f)
{
	fprintf(out, "#%-2u ", number);
	if (f->own && f->to.match > MATCH_NONE)
		fprintf(out, "0x%016" PRIx64 " ", f->to.address);
	else
		fprintf(out, "%18s ", "?");
	fputs(f->function ? f->function : "?", out);
	if (f->function && !(f->own && f->to.match <= MATCH_NAME))
		fprintf(out, "+0x%" PRIx64, f->offset);
	if (f->file)
		fprintf(out, " at %s:%d", f->file, f->line);
	if (!f->own)
		fprintf(out, " in %s", f->module ? f->module : "unknown code");
	else
		fprintf(out, " (variant 0x%" PRIx64 ", %s)", f->address, match_names[f->to.match]);
	fputc('\n', out);
}

static void print_text(FILE *out, const struct crash *c)
{
	if (c->signal)
		fprintf(out, "signal %d (%s)\n", c->signal, strsignal(c->signal));
	for (unsigned i = 0; i < c->count; i++) {
		const struct thread *t = &c->threads[i];
		fprintf(out, "thread %u (%d)\n", i + 1, (int)t->id);
		for (unsigned k = 0; k < t->count; k++)
			print_frame(out, k, &t->frames[k]);
		if (t->why)
			fprintf(out, "    no further: %s\n", t->why);
	}
	fprintf(out, "group %016" PRIx64 "\n", c->group);
}

static json_t *json_of_frame(const struct frame *f)
{
	json_t *j = json_object();
	json_object_set_new(j, "function", f->function ? json_string(f->function) : json_null());
	json_object_set_new(j, "offset", json_integer((json_int_t)f->offset));
	json_object_set_new(j, "pc", json_integer((json_int_t)f->pc));
	if (f->own) {
		json_object_set_new(j, "variant_address", json_integer((json_int_t)f->address));
		json_object_set_new(j, "address", f->to.match ? json_integer((json_int_t)f->to.address) : json_null());
		json_object_set_new(j, "match", json_string(match_names[f->to.match]));
	} else {
		json_object_set_new(j, "module", f->module ? json_string(f->module) : json_null());
	}
	if (f->file) {
		json_object_set_new(j, "file", json_string(f->file));
		json_object_set_new(j, "line", json_integer(f->line));
	}
	return j;
}

static void print_json(FILE *out, const struct crash *c)
{
	char name[20];
	json_t *threads = json_array();
	for (unsigned i = 0; i < c->count; i++) {
		json_t *frames = json_array();
		for (unsigned k = 0; k < c->threads[i].count; k++)
			json_array_append_new(frames, json_of_frame(&c->threads[i].frames[k]));
		json_array_append_new(threads, json_pack("{s:i, s:o}", "id", (int)c->threads[i].id, "frames", frames));
	}
	snprintf(name, sizeof(name), "%016" PRIx64, c->group);
	json_t *all = json_pack("{s:i, s:s, s:o}", "signal", c->signal, "group", name, "threads", threads);
	json_dumpf(all, out, JSON_INDENT(1));
	fputc('\n', out);
	json_decref(all);
}

int demap_core(const struct demap *d, const char *path, bool json, FILE *out, struct vb_error *err)
{
	struct crash c = {.d = d};
	if (!d->variant.has_binary)
		return vb_error_set(err, -EINVAL, "for a core file name the variant's binary, not only its map");
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return vb_error_errno(err, "can't read %s", path);
	int r = unwind(&c, fd, path, err);
	if (r == 0 && json)
		print_json(out, &c);
	else if (r == 0)
		print_text(out, &c);
	for (unsigned i = 0; i < c.count; i++)
		free(c.threads[i].frames);
	free(c.threads);
	if (c.dwfl)
		dwfl_end(c.dwfl);
	if (c.elf)
		elf_end(c.elf);
	close(fd);
	return r;
}
