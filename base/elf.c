/* ELF header decoding: owns nothing, trusts nothing of what it reads. Layout and numbers: System V ABI, x86-64 supplement. */
#include "base/elf.h"

#include <asm/errno.h>

#include "base/string.h"

struct header { /* Elf64_Ehdr */
	uint8_t ident[16];
	uint16_t type, machine;
	uint32_t version;
	uint64_t entry, phoff, shoff;
	uint32_t flags;
	uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};
_Static_assert(sizeof(struct header) == ELF_HEADER_BYTES, "ELF header");
_Static_assert(sizeof(struct elf_segment) == 56, "ELF program header");

enum { CLASS = 4, DATA = 5, CLASS_64 = 2, DATA_LITTLE = 1, DATA_BIG = 2 };
enum { TYPE_RELOCATABLE = 1, TYPE_EXECUTABLE = 2, TYPE_DYNAMIC = 3, TYPE_CORE = 4 };
enum { MACHINE_386 = 3, MACHINE_X86_64 = 62 };

static const struct {
	uint16_t machine;
	const char *why;
} foreign[] = {
	{2, "built for sparc, not for x86-64"},
	{8, "built for mips, not for x86-64"},
	{20, "built for powerpc, not for x86-64"},
	{21, "built for powerpc64, not for x86-64"},
	{22, "built for s390, not for x86-64"},
	{40, "built for arm, not for x86-64"},
	{43, "built for sparc64, not for x86-64"},
	{183, "built for aarch64, not for x86-64"},
	{243, "built for riscv, not for x86-64"},
	{247, "built for bpf, not for x86-64"},
	{258, "built for loongarch, not for x86-64"},
};

static int fail(int code, const char **why, const char *reason)
{
	if (why)
		*why = reason;
	return code;
}

/* Machine before class: "built for arm" says more than "32-bit". */
static const char *check_machine(const struct header *h)
{
	uint16_t machine = h->ident[DATA] == DATA_BIG ? __builtin_bswap16(h->machine) : h->machine;

	for (size_t i = 0; i < VB_ARRAY_LEN(foreign); i++)
		if (foreign[i].machine == machine)
			return foreign[i].why;
	if (machine == MACHINE_386)
		return "32-bit ELF (i386); only x86-64 runs here";
	if (machine != MACHINE_X86_64)
		return "built for an unknown architecture, not for x86-64";
	if (h->ident[CLASS] != CLASS_64)
		return "32-bit ELF (x32); only x86-64 runs here";
	if (h->ident[DATA] != DATA_LITTLE)
		return "big-endian ELF; only x86-64 runs here";
	return NULL;
}

static const char *check_type(uint16_t type)
{
	switch (type) {
	case TYPE_EXECUTABLE:
	case TYPE_DYNAMIC:
		return NULL;
	case TYPE_RELOCATABLE:
		return "an object file (.o), not linked yet";
	case TYPE_CORE:
		return "a core file, not a program";
	default:
		return "an ELF file of unknown type";
	}
}

int elf_decode_header(const void *bytes, size_t len, uint64_t file_size, struct elf_image *ret, const char **why)
{
	struct header h;
	const char *wrong;

	len = vb_min((uint64_t)len, file_size);
	if (len < 4 || memcmp(bytes, "\177ELF", 4))
		return fail(-ENOEXEC, why, "not an ELF file");
	if (len < sizeof(h))
		return fail(-ENOEXEC, why, "truncated ELF header");
	memcpy(&h, bytes, sizeof(h));
	if ((wrong = check_machine(&h)) || (wrong = check_type(h.type)))
		return fail(-ENOEXEC, why, wrong);
	if (h.phentsize != sizeof(struct elf_segment))
		return fail(-ENOEXEC, why, "program headers of a wrong size");
	if (h.phnum == 0)
		return fail(-ENOEXEC, why, "no program headers");
	if (h.phnum > ELF_MAX_SEGMENTS)
		return fail(-ENOEXEC, why, "too many program headers");
	if (!vb_range_within(h.phoff, h.phnum * sizeof(struct elf_segment), file_size))
		return fail(-ENOEXEC, why, "truncated program header table");
	memset(ret, 0, sizeof(*ret));
	ret->position_independent = h.type == TYPE_DYNAMIC;
	ret->entry = h.entry;
	ret->segments_offset = h.phoff;
	ret->segment_count = h.phnum;
	return 0;
}

static bool power_of_two(uint64_t x)
{
	return x && !(x & (x - 1));
}

/* Inserts a PT_LOAD in order of vaddr. */
static int add_load(const struct elf_segment *s, uint64_t file_size, struct elf_image *ret, const char **why)
{
	uint32_t i = ret->load_count;

	if (s->filesz > s->memsz)
		return fail(-EINVAL, why, "a segment with more bytes in the file than in memory");
	if (!s->memsz)
		return 0;
	if (!vb_range_within(s->offset, s->filesz, file_size))
		return fail(-EINVAL, why, "truncated: a segment lies beyond the end of the file");
	if (!vb_range_within(s->vaddr, s->memsz, ELF_ADDRESS_END))
		return fail(-EINVAL, why, "a segment beyond the end of user addresses");
	if ((s->vaddr ^ s->offset) & (VB_PAGE_SIZE - 1))
		return fail(-EINVAL, why, "a segment whose address and file offset don't agree modulo a page");
	for (; i && ret->load[i - 1].vaddr > s->vaddr; i--)
		ret->load[i] = ret->load[i - 1];
	ret->load[i] = *s;
	ret->load_count++;
	if ((i && ret->load[i - 1].vaddr + ret->load[i - 1].memsz > s->vaddr) ||
		(i + 1 < ret->load_count && s->vaddr + s->memsz > ret->load[i + 1].vaddr))
		return fail(-EINVAL, why, "overlapping segments");
	if (power_of_two(s->align) && s->align > ret->align)
		ret->align = s->align;
	return 0;
}

static int add_segment(const struct elf_segment *s, uint64_t file_size, struct elf_image *ret, const char **why)
{
	bool in_file = vb_range_within(s->offset, s->filesz, file_size);

	switch (s->type) {
	case ELF_LOAD:
		return add_load(s, file_size, ret, why);
	case ELF_INTERP:
		if (ret->interp_bytes)
			return 0; /* the first counts, as on Linux */
		if (!in_file || s->filesz < 2 || s->filesz > ELF_INTERP_MAX_BYTES)
			return fail(-ENOEXEC, why, "a broken interpreter path");
		ret->interp_offset = s->offset;
		ret->interp_bytes = s->filesz;
		return 0;
	case ELF_DYNAMIC:
		if (!in_file)
			return fail(-EINVAL, why, "truncated: the dynamic section lies beyond the end of the file");
		ret->has_dynamic = true;
		ret->dynamic = *s;
		return 0;
	default:
		return 0;
	}
}

int elf_decode_segments(const void *table, uint64_t file_size, struct elf_image *ret, const char **why)
{
	ret->load_count = 0;
	ret->align = VB_PAGE_SIZE;
	memcpy(ret->segment, table, ret->segment_count * sizeof(struct elf_segment));
	for (uint32_t i = 0; i < ret->segment_count; i++) {
		int r = add_segment(&ret->segment[i], file_size, ret, why);

		if (r)
			return r;
	}
	if (!ret->load_count)
		return fail(-ENOEXEC, why, "no loadable segments");
	ret->low = vb_page_down(ret->load[0].vaddr);
	ret->high = vb_page_up(ret->load[ret->load_count - 1].vaddr + ret->load[ret->load_count - 1].memsz);
	for (uint32_t i = 0; i < ret->load_count; i++) {
		const struct elf_segment *l = &ret->load[i];

		if (ret->segments_offset >= l->offset && ret->segments_offset - l->offset < l->filesz)
			ret->segments_vaddr = ret->segments_offset - l->offset + l->vaddr;
	}
	return 0;
}

int elf_decode(const void *bytes, size_t len, uint64_t file_size, struct elf_image *ret, const char **why)
{
	int r = elf_decode_header(bytes, len, file_size, ret, why);

	if (r)
		return r;
	if (!vb_range_within(ret->segments_offset, ret->segment_count * sizeof(struct elf_segment), len))
		return fail(-ERANGE, why, "the program header table lies far from the header");
	return elf_decode_segments((const uint8_t *)bytes + ret->segments_offset, file_size, ret, why);
}
