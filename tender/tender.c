/* Process entry of the tender: address layout, kernel loading, then lock-down and the jump.
 *
 * Owns the process until kernel_jump(). Trusts the monitor and the kernel file; the image is only mapped, never parsed.
 */
#include "tender/tender.h"

#include "base/string.h"

#include <vauban/message.h>

#include <asm/errno.h>
#include <asm/unistd.h>
#include <elf.h>
#include <linux/fcntl.h>
#include <linux/mman.h>

/* Not in the uapi headers' freestanding part. */
#define F_SETFL_         4
#define F_SETOWN_        8
#define O_NONBLOCK_      04000
#define O_ASYNC_         020000
#define AT_SYSINFO_EHDR_ 33
#define AT_EXECFN_       31
#define DT_RELRSZ_       35
#define DT_RELR_         36

#define KERNEL_SEGMENTS_MAX 8
#define ARENA_START_BYTES   (96u << 10) /* what a kernel takes of its memory until the program's first instruction */

static const char damaged_kernel[] = "vauban-kernel-process is damaged: build or install Vauban again";
static const char other_build[] =
	"vauban, vauban-tender and vauban-kernel-process are not of the same build: build or install Vauban again";

_Noreturn void kernel_jump(struct vb_boot *boot, uint64_t start, uint64_t stack_top);
_Noreturn void tender_main(uint64_t *stack);

static void send_log(unsigned severity, const char *text)
{
	struct {
		struct vb_message header;
		char text[500];
	} m = {.header = {.type = VB_MSG_LOG, .tag = severity}};
	size_t len = vb_min(strlen(text), sizeof(m.text));
	memcpy(m.text, text, len);
	HOST3(__NR_write, VB_FD_MONITOR, &m, sizeof(m.header) + len);
}

void tender_note(const char *fmt, ...)
{
	char text[500];
	va_list ap;
	va_start(ap, fmt);
	vb_vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	send_log(2, text);
}

_Noreturn void tender_fail(const char *what, long code)
{
	char text[300];
	if (code)
		vb_snprintf(text, sizeof(text), "tender: %s failed (error %ld%s)", what, -code,
			code == -ENOMEM ? ": no memory; see `ulimit -v`" : "");
	else
		vb_snprintf(text, sizeof(text), "tender: %s", what);
	send_log(0, text);
	for (;;)
		HOST1(__NR_exit_group, 125);
}

static uint64_t checked(const char *what, long result)
{
	if (result < 0 && result > -4096)
		tender_fail(what, result);
	return (uint64_t)result;
}

static uint64_t file_bytes(int fd)
{
	return checked("lseek", HOST3(__NR_lseek, fd, 0, 2 /* SEEK_END */));
}

static void *map_at(const char *what, uint64_t at, uint64_t len, int prot, int flags, int fd, uint64_t offset)
{
	return (void *)checked(what, HOST6(__NR_mmap, at, len, prot, flags | MAP_FIXED_NOREPLACE, fd, offset));
}

static uint64_t random_base(void)
{
	uint64_t r;
	checked("getrandom", HOST3(__NR_getrandom, &r, sizeof(r), 0));
	return KERNEL_AREA_LOW + (r % (KERNEL_AREA_HIGH - KERNEL_AREA_LOW) & ~((2ull << 20) - 1));
}

/* Relative relocations in the packed form (ELF gABI, SHT_RELR): an even word is the address of a word to adjust, an odd one
 * a bit map of which of the 63 words after it are, too. */
static void relocate(uint64_t base, const uint64_t *relr, uint64_t count)
{
	uint64_t *at = NULL;
	for (const uint64_t *end = relr + count; relr < end; relr++) {
		if (!(*relr & 1)) {
			at = (uint64_t *)(base + *relr);
			*at++ += base;
			continue;
		}
		for (unsigned i = 0; i < 63; i++)
			if (*relr >> (i + 1) & 1)
				at[i] += base;
		at += 63;
	}
}

/* Loads the kernel's static-PIE ELF at base: read-only segments from the file (shared by all cells), writable ones in the
 * first bytes of the memory file, so that the memory file holds all state. Returns the relocated table at the entry. */
static const struct vb_kernel_table *load_kernel(struct vb_boot *boot, uint64_t base)
{
	struct {
		Elf64_Ehdr eh;
		Elf64_Phdr ph[KERNEL_SEGMENTS_MAX];
	} head = {0};
	uint64_t top = 0, used = 0;
	const Elf64_Dyn *dyn = NULL;

	checked("read kernel file", HOST4(__NR_pread64, VB_FD_KERNEL, &head, sizeof(head), 0));
	if (head.eh.e_phoff != sizeof(head.eh) || head.eh.e_phnum > KERNEL_SEGMENTS_MAX || head.eh.e_shoff > file_bytes(VB_FD_KERNEL))
		tender_fail(damaged_kernel, 0);
	for (const Elf64_Phdr *ph = head.ph; ph < head.ph + head.eh.e_phnum; ph++) {
		if (ph->p_type == PT_DYNAMIC)
			dyn = (const Elf64_Dyn *)(base + ph->p_vaddr);
		if (ph->p_type != PT_LOAD)
			continue;
		uint64_t start = vb_page_down(ph->p_vaddr), file_end = vb_page_up(ph->p_vaddr + ph->p_filesz);
		top = vb_page_up(ph->p_vaddr + ph->p_memsz);
		if (!(ph->p_flags & PF_W)) {
			map_at("map kernel text", base + start, file_end - start, PROT_READ | (ph->p_flags & PF_X ? PROT_EXEC : 0),
				MAP_PRIVATE | MAP_POPULATE, VB_FD_KERNEL, vb_page_down(ph->p_offset));
			continue;
		}
		/* All of the initialised part is written now, by reading and relocating: populate it in one go. */
		map_at("map kernel data", base + start, file_end - start, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, VB_FD_MEMORY,
			used);
		if (top > file_end)
			map_at("map kernel data", base + file_end, top - file_end, PROT_READ | PROT_WRITE, MAP_SHARED, VB_FD_MEMORY,
				used + file_end - start);
		checked("read kernel data", HOST4(__NR_pread64, VB_FD_KERNEL, base + ph->p_vaddr, ph->p_filesz, ph->p_offset));
		used += top - start;
	}
	const uint64_t *relr = NULL;
	uint64_t relr_bytes = 0;
	for (; dyn && dyn->d_tag != DT_NULL; dyn++) {
		if (dyn->d_tag == DT_RELR_)
			relr = (const uint64_t *)(base + dyn->d_un.d_ptr);
		else if (dyn->d_tag == DT_RELRSZ_)
			relr_bytes = dyn->d_un.d_val;
		else if (dyn->d_tag == DT_RELASZ && dyn->d_un.d_val)
			tender_fail(damaged_kernel, 0);
	}
	relocate(base, relr, relr_bytes / sizeof(*relr));

	const struct vb_kernel_table *table = (const struct vb_kernel_table *)(base + head.eh.e_entry);
	if (head.eh.e_entry > top - sizeof(*table) || table->magic != VB_KERNEL_MAGIC)
		tender_fail(damaged_kernel, 0);
	if (table->boot_version != VB_BOOT_VERSION)
		tender_fail(other_build, 0);
	boot->kernel_base = base;
	boot->kernel_bytes = top;
	boot->kernel_arena_offset = used;
	return table;
}

static uint64_t aux_value(const uint64_t *aux, uint64_t type)
{
	for (; aux[0]; aux += 2)
		if (aux[0] == type)
			return aux[1];
	return 0;
}

/* All from text to the end of the string at last: the host puts them side by side, last that of AT_EXECFN. */
static void wipe(char *text, uint64_t last)
{
	if (last >= (uint64_t)text)
		memset(text, 0, last - (uint64_t)text + strlen((const char *)last));
}

_Noreturn void tender_main(uint64_t *stack)
{
	uint64_t argc = stack[0];
	char **argv = (char **)(stack + 1), **env = argv + argc + 1;
	while (*env)
		env++;
	uint64_t *aux = (uint64_t *)(env + 1);
	struct lockdown lock = {.user_namespace = true};
	for (uint64_t i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "user_ns=0"))
			lock.user_namespace = false;
		else if (!strncmp(argv[i], "empty_root=", 11))
			lock.empty_root = argv[i] + 11;
		else if (strcmp(argv[i], "user_ns=1"))
			tender_fail(argv[i], -22);
	}

	/* The boot page: private, so that what is added here stays here. */
	uint64_t base = random_base(), boot_bytes = vb_page_up(file_bytes(VB_FD_BOOT));
	uint64_t image_bytes = file_bytes(VB_FD_IMAGE), memory_bytes = file_bytes(VB_FD_MEMORY);
	uint64_t at = base + (64ull << 20);
	struct vb_boot *boot = map_at("map boot page", at, boot_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE, VB_FD_BOOT, 0);
	if (boot->magic != VB_BOOT_MAGIC || boot->version != VB_BOOT_VERSION)
		tender_fail(other_build, 0);
	if (boot->memory_bytes != memory_bytes || boot->image_bytes > image_bytes)
		tender_fail("the image has shrunk", 0);

	lock.kernel = load_kernel(boot, base);
	at += boot_bytes + (1ull << 20);
	boot->stats_base = at;
	map_at("map statistics", at, VB_STATS_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, VB_FD_STATS, 0);
	boot->image_base = at = base + (1ull << 30);
	map_at("map image", at, vb_page_up(image_bytes), PROT_READ, MAP_SHARED, VB_FD_IMAGE, 0);
	boot->memory_base = at = (at + image_bytes + (2ull << 30)) & ~((1ull << 30) - 1);
	map_at("map memory file", at, memory_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, VB_FD_MEMORY, 0);
	HOST3(__NR_madvise, at + boot->kernel_arena_offset, ARENA_START_BYTES,
		MADV_POPULATE_WRITE); /* saves faults; may fail on old hosts */
	boot->user_low = USER_LOW;
	boot->user_high = USER_HIGH;
	boot->host_vdso = aux_value(aux, AT_SYSINFO_EHDR_);
	boot->host_hwcap = aux_value(aux, 16 /* AT_HWCAP */);
	boot->host_hwcap2 = aux_value(aux, 26 /* AT_HWCAP2 */);
	if (!(boot->host_hwcap2 & 2))
		tender_fail("this processor or host lacks FSGSBASE, which the process platform needs; Linux 5.9 or later has it", 0);

	/* A message raises SIGIO, so that it is noticed while the program computes. Frames do not: there may be too many. */
	checked("F_SETOWN", HOST3(__NR_fcntl, VB_FD_MONITOR, F_SETOWN_, HOST1(__NR_getpid, 0)));
	checked("F_SETFL", HOST3(__NR_fcntl, VB_FD_MONITOR, F_SETFL_, O_NONBLOCK_ | O_ASYNC_ | 2));
	for (unsigned i = 0; i < boot->net_count; i++)
		checked("F_SETFL", HOST3(__NR_fcntl, VB_FD_NET + i, F_SETFL_, O_NONBLOCK_ | 2));
	HOST3(__NR_close_range, VB_FD_STATS, ~0u, 0);

	lock.jit = boot->flags & VB_BOOT_JIT;
	lockdown_enter(&lock);
	if (argc > 1) /* paths of the host, in arguments and auxiliary vector, are none of the program's business */
		wipe(argv[1], aux_value(aux, AT_EXECFN_));
	kernel_jump(boot, lock.kernel->start, lock.kernel->stack_top);
}
