/* Owns the reading of ELF files for measure, shuffle and demap; trusts nothing in them. */
#include "variant/binary.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "host/error.h"
#include "host/file.h"

static int decode_sections(struct binary *b, struct vb_error *err)
{
	Elf64_Ehdr header;
	memcpy(&header, b->bytes, sizeof(header)); /* elf_decode() has seen that it is there */
	if (!header.e_shoff || !header.e_shnum)
		return 0;
	if (header.e_shentsize != sizeof(Elf64_Shdr) || header.e_shstrndx >= header.e_shnum ||
		!vb_range_within(header.e_shoff, (uint64_t)header.e_shnum * sizeof(Elf64_Shdr), b->size))
		return vb_error_set(err, -EINVAL, "%s: its section table is broken", b->path);
	b->sections = calloc(header.e_shnum, sizeof(*b->sections));
	if (!b->sections)
		return vb_error_set(err, -ENOMEM, "%s: out of memory", b->path);
	b->section_count = header.e_shnum;
	Elf64_Shdr names;
	memcpy(&names, b->bytes + header.e_shoff + header.e_shstrndx * sizeof(names), sizeof(names));
	if (names.sh_type != SHT_STRTAB || !vb_range_within(names.sh_offset, names.sh_size, b->size) || !names.sh_size ||
		b->bytes[names.sh_offset + names.sh_size - 1])
		return vb_error_set(err, -EINVAL, "%s: its table of section names is broken", b->path);
	for (uint32_t i = 0; i < header.e_shnum; i++) {
		Elf64_Shdr s;
		memcpy(&s, b->bytes + header.e_shoff + i * sizeof(s), sizeof(s));
		bool in_file = s.sh_type != SHT_NOBITS && s.sh_type != SHT_NULL;
		if ((in_file && !vb_range_within(s.sh_offset, s.sh_size, b->size)) || s.sh_name >= names.sh_size ||
			s.sh_addr + s.sh_size < s.sh_addr || (s.sh_addralign & (s.sh_addralign - 1)))
			return vb_error_set(err, -EINVAL, "%s: section %u is broken", b->path, i);
		b->sections[i] = (struct binary_section){.name = (const char *)b->bytes + names.sh_offset + s.sh_name,
			.type = s.sh_type,
			.flags = s.sh_flags,
			.address = s.sh_addr,
			.offset = s.sh_offset,
			.size = s.sh_size,
			.align = s.sh_addralign,
			.entry_size = s.sh_entsize,
			.link = s.sh_link,
			.info = s.sh_info};
	}
	return 0;
}

static bool is_code(const struct binary_symbol *s)
{
	return s->type == STT_FUNC || s->type == STT_GNU_IFUNC;
}

static int by_value(const void *a, const void *b)
{
	const struct binary_symbol *x = a, *y = b;
	if (x->value != y->value)
		return x->value < y->value ? -1 : 1;
	if (is_code(x) != is_code(y))
		return is_code(x) ? -1 : 1;
	int r = strcmp(x->name, y->name);
	return r ? r : (x->index > y->index) - (x->index < y->index);
}

static int decode_symbols(struct binary *b, struct vb_error *err)
{
	b->stripped = true;
	for (uint32_t i = 1; i < b->section_count; i++) {
		if (b->sections[i].type == SHT_SYMTAB)
			b->symbol_table = i, b->stripped = false;
		if (b->sections[i].type == SHT_DYNSYM && b->stripped)
			b->symbol_table = i;
	}
	if (!b->symbol_table) {
		b->symbols = calloc(1, sizeof(*b->symbols)); /* none, but an array */
		return b->symbols ? 0 : vb_error_set(err, -ENOMEM, "%s: out of memory", b->path);
	}
	const struct binary_section *table = &b->sections[b->symbol_table];
	const struct binary_section *names = table->link < b->section_count ? &b->sections[table->link] : NULL;
	if (!names || names->type != SHT_STRTAB || !names->size || b->bytes[names->offset + names->size - 1])
		return vb_error_set(err, -EINVAL, "%s: its symbol table has no names", b->path);
	size_t count = table->size / sizeof(Elf64_Sym);
	b->symbols = calloc(count + 1, sizeof(*b->symbols));
	if (!b->symbols)
		return vb_error_set(err, -ENOMEM, "%s: out of memory", b->path);
	for (size_t i = 1; i < count; i++) {
		Elf64_Sym s;
		memcpy(&s, b->bytes + table->offset + i * sizeof(s), sizeof(s));
		if (s.st_name >= names->size || (s.st_shndx >= b->section_count && s.st_shndx < SHN_LORESERVE))
			return vb_error_set(err, -EINVAL, "%s: symbol %zu is broken", b->path, i);
		const char *name = (const char *)b->bytes + names->offset + s.st_name;
		if (s.st_shndx == SHN_UNDEF || !*name)
			continue;
		b->symbols[b->symbol_count++] = (struct binary_symbol){.name = name,
			.value = s.st_value,
			.size = s.st_size,
			.section = s.st_shndx,
			.type = ELF64_ST_TYPE(s.st_info),
			.bind = ELF64_ST_BIND(s.st_info),
			.index = (uint32_t)i};
	}
	qsort(b->symbols, b->symbol_count, sizeof(*b->symbols), by_value);
	return 0;
}

int binary_decode(const char *path, uint8_t *bytes, size_t size, struct binary *ret, struct vb_error *err)
{
	const char *why = NULL;
	struct binary b = {.path = path, .bytes = bytes, .size = size};
	int r = elf_decode(bytes, size, size, &b.elf, &why);
	if (r < 0)
		return vb_error_set(err, r, "%s: %s", path, why ? why : "its program headers lie outside of the file");
	if ((r = decode_sections(&b, err)) < 0 || (r = decode_symbols(&b, err)) < 0) {
		b.bytes = NULL;
		binary_release(&b);
		return r;
	}
	*ret = b;
	return 0;
}

int binary_load(const char *path, struct binary *ret, struct vb_error *err)
{
	char *bytes;
	size_t size;
	int r = file_read(AT_FDCWD, path, BINARY_MAX_BYTES, &bytes, &size);
	if (r < 0)
		return vb_error_set(err, r, "can't read %s: %s", path, strerror(-r));
	r = binary_decode(path, (uint8_t *)bytes, size, ret, err);
	if (r < 0)
		free(bytes);
	return r;
}

void binary_release(struct binary *b)
{
	free(b->bytes);
	free(b->sections);
	free(b->symbols);
	memset(b, 0, sizeof(*b));
}

const struct binary_section *binary_section(const struct binary *b, const char *name)
{
	for (uint32_t i = 1; i < b->section_count; i++)
		if (strcmp(b->sections[i].name, name) == 0)
			return &b->sections[i];
	return NULL;
}

/* Labels of code that are no symbols for anybody (.L...) don't count, nor do those of data. */
static bool is_label_of_code(const struct binary *b, const struct binary_symbol *s)
{
	if (is_code(s))
		return true;
	return s->type == STT_NOTYPE && s->section < b->section_count && (b->sections[s->section].flags & SHF_EXECINSTR) &&
	       s->value < b->sections[s->section].address + b->sections[s->section].size;
}

const struct binary_symbol *binary_function_before(const struct binary *b, uint64_t address)
{
	size_t low = 0, high = b->symbol_count; /* the first one behind address */
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (b->symbols[middle].value <= address)
			low = middle + 1;
		else
			high = middle;
	}
	while (low && !is_label_of_code(b, &b->symbols[low - 1]))
		low--;
	if (!low--)
		return NULL;
	while (low && b->symbols[low - 1].value == b->symbols[low].value && is_label_of_code(b, &b->symbols[low - 1]))
		low--; /* the first of those at one address */
	return &b->symbols[low];
}

uint64_t binary_text_bytes(const struct binary *b)
{
	uint64_t sum = 0;
	for (uint32_t i = 1; i < b->section_count; i++)
		if ((b->sections[i].flags & (SHF_ALLOC | SHF_EXECINSTR)) == (SHF_ALLOC | SHF_EXECINSTR))
			sum += b->sections[i].size;
	for (uint32_t i = 0; i < b->elf.load_count && b->section_count == 0; i++)
		if (b->elf.load[i].flags & ELF_EXECUTE)
			sum += b->elf.load[i].filesz;
	return sum;
}

uint8_t *binary_at(const struct binary *b, uint64_t address, uint64_t bytes)
{
	for (uint32_t i = 0; i < b->elf.load_count; i++) {
		const struct elf_segment *s = &b->elf.load[i];
		if (address >= s->vaddr && vb_range_within(address - s->vaddr, bytes, s->filesz))
			return b->bytes + s->offset + (address - s->vaddr);
	}
	return NULL;
}
