/* Decodes the headers of an x86-64 ELF file that may be loaded. Freestanding: the kernel's loader and the image builder
 * share it.
 *
 * The bytes are hostile: everything in struct elf_image has been checked and copied, so the caller need not look at the
 * file again. Errors are -ENOEXEC (no ELF file that runs here) or -EINVAL (segments that contradict themselves);
 * *why (may be NULL) then names the reason: a constant string, lower case, without a full stop.
 */
#ifndef BASE_ELF_H
#define BASE_ELF_H

#include "base/types.h"

#define ELF_HEADER_BYTES     64u
#define ELF_MAX_SEGMENTS     32u
#define ELF_INTERP_MAX_BYTES 4096u
#define ELF_ADDRESS_END      (1ull << 47) /* no segment reaches beyond */

enum elf_segment_type {
	ELF_LOAD = 1,
	ELF_DYNAMIC = 2,
	ELF_INTERP = 3,
};
enum { ELF_EXECUTE = 1, ELF_WRITE = 2, ELF_READ = 4 };

/* As in the file (Elf64_Phdr). */
struct elf_segment {
	uint32_t type, flags;
	uint64_t offset, vaddr, paddr, filesz, memsz, align;
};

struct elf_image {
	bool position_independent; /* ET_DYN, else ET_EXEC */
	uint64_t entry;
	uint64_t segments_offset; /* of the program header table in the file */
	uint64_t segments_vaddr;  /* the same in memory (AT_PHDR), 0: not loaded */
	uint32_t segment_count;   /* whole table, as in the file */
	struct elf_segment segment[ELF_MAX_SEGMENTS];

	/* PT_LOADs, empty ones left out, ascending by vaddr. File ranges lie in the file; vaddr and offset agree modulo a page;
	 * filesz <= memsz; they share no byte of memory (but may share a page); all lie in [low, high). At least one. */
	uint32_t load_count;
	struct elf_segment load[ELF_MAX_SEGMENTS];
	uint64_t low, high; /* page aligned */
	uint64_t align;     /* largest alignment of a load: a power of two, at least a page */

	uint64_t interp_offset; /* the interpreter's path in the file, length with its NUL (which is still to be checked) */
	uint32_t interp_bytes;  /* 0: none */
	bool has_dynamic;
	struct elf_segment dynamic; /* its file range lies in the file */
};

/* The ELF header, from the first `len` bytes of a file of file_size bytes (ELF_HEADER_BYTES are enough): fills the fields up to
 * segment_count. The table is then to be found at segments_offset, segment_count entries of sizeof(struct elf_segment). */
int elf_decode_header(const void *bytes, size_t len, uint64_t file_size, struct elf_image *ret, const char **why);
/* The program header table, segment_count entries: fills the rest. */
int elf_decode_segments(const void *table, uint64_t file_size, struct elf_image *ret, const char **why);
/* Both, when `bytes` are known to hold the table, as they do for nearly every file (the first page is enough); otherwise
 * -ERANGE, with the header decoded: read the table and go on with elf_decode_segments. */
int elf_decode(const void *bytes, size_t len, uint64_t file_size, struct elf_image *ret, const char **why);

#endif
