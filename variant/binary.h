/* An ELF file for x86-64 as measure, shuffle and demap look at it: segments, sections and symbols. The file is hostile: what stands
 * in struct binary has been checked against the file's size, once, so that users need no further checks of ranges. */
#ifndef VARIANT_BINARY_H
#define VARIANT_BINARY_H

#include <elf.h>

#include "base/elf.h"

struct vb_error;

#define BINARY_MAX_BYTES (2ull << 30)

struct binary_section {
	const char *name; /* within the file, or "" */
	uint32_t type;
	uint64_t flags, address, offset, size, align, entry_size; /* [offset, offset + size) lies in the file unless SHT_NOBITS */
	uint32_t link, info;
};

struct binary_symbol {
	const char *name;
	uint64_t value, size;
	uint32_t section; /* index of one of the sections, or an SHN_ value from SHN_LORESERVE on; never SHN_UNDEF */
	uint8_t type, bind;
	uint32_t index; /* in its table */
};

struct binary {
	const char *path; /* the caller's */
	uint8_t *bytes;
	size_t size;
	struct elf_image elf;

	struct binary_section *sections; /* as in the file, the null section too; none if the file has no table */
	uint32_t section_count;
	uint32_t symbol_table; /* index of the section of the symbols, 0: there is none */
	/* Defined and named ones of .symtab, else of .dynsym, ascending by value; of several at one address functions come first,
	 * then by name. */
	struct binary_symbol *symbols;
	size_t symbol_count;
	bool stripped; /* the symbols are those of .dynsym, or none */
};

/* -ENOEXEC, -EINVAL: not such a file, with the reason; -EFBIG, -ENOMEM, errors of reading. Nothing to release after an error. */
int binary_load(const char *path, struct binary *ret, struct vb_error *err);
/* The same of bytes that are the caller's; binary_release() frees them. On failure they stay the caller's. */
int binary_decode(const char *path, uint8_t *bytes, size_t size, struct binary *ret, struct vb_error *err);
void binary_release(struct binary *b);

/* NULL if there is none of that name. */
const struct binary_section *binary_section(const struct binary *b, const char *name);
/* The function that address lies in or behind: the nearest symbol of code that precedes it. NULL if there is none. */
const struct binary_symbol *binary_function_before(const struct binary *b, uint64_t address);
/* Bytes of code: executable sections, or segments if there are no sections. */
uint64_t binary_text_bytes(const struct binary *b);
/* The bytes of the file that are loaded at address, NULL if those aren't so many. */
uint8_t *binary_at(const struct binary *b, uint64_t address, uint64_t bytes);

#endif
