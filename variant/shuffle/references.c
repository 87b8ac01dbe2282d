/* Owns what refers to code from outside of it: the linker's relocations (--emit-relocs) of data and debugging information, the
 * loader's, the global offset table, symbols, the dynamic section and the entry point. Numbers: System V ABI, x86-64 supplement. */
#include "variant/shuffle/shuffle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/types.h"
#include "host/error.h"

#ifndef SHT_RELR
#define SHT_RELR 19
#endif

static bool in_text(const struct shuffle *s, uint64_t address)
{
	return address >= s->start && address < s->end;
}

static bool is_code_section(const struct shuffle *s, uint32_t section)
{
	return s->b.sections[section].flags & SHF_EXECINSTR;
}

static bool is_kept(const struct shuffle *s, const struct binary_section *r)
{
	return r->type == SHT_RELA && !(r->flags & SHF_ALLOC) && r->info && r->info < s->b.section_count && r->link == s->b.symbol_table;
}

static int by_place(const void *a, const void *b)
{
	const struct reference *x = a, *y = b;
	if (x->section != y->section)
		return x->section < y->section ? -1 : 1;
	if (x->at != y->at)
		return x->at < y->at ? -1 : 1;
	return (x->entry > y->entry) - (x->entry < y->entry);
}

static int load_section(struct shuffle *s, const struct binary_section *r, struct vb_error *err)
{
	const struct binary_section *symbols = &s->b.sections[s->b.symbol_table];
	size_t symbol_count = symbols->size / sizeof(Elf64_Sym);
	for (uint64_t i = 0; i < r->size / sizeof(Elf64_Rela); i++) {
		Elf64_Rela rela;
		Elf64_Sym symbol;
		uint64_t entry = r->offset + i * sizeof(rela);
		memcpy(&rela, s->b.bytes + entry, sizeof(rela));
		if (ELF64_R_SYM(rela.r_info) >= symbol_count)
			return vb_error_set(err, -EINVAL, "%s: a relocation names no symbol", s->b.path);
		if (ELF64_R_TYPE(rela.r_info) == R_X86_64_NONE)
			continue;
		memcpy(&symbol, s->b.bytes + symbols->offset + ELF64_R_SYM(rela.r_info) * sizeof(symbol), sizeof(symbol));
		s->references[s->reference_count++] = (struct reference){.at = rela.r_offset,
			.entry = entry,
			.section = r->info,
			.type = ELF64_R_TYPE(rela.r_info),
			.symbol = ELF64_R_SYM(rela.r_info),
			.value = symbol.st_value,
			.addend = rela.r_addend,
			.in_text_symbol = symbol.st_shndx == s->text,
			.named = ELF64_ST_TYPE(symbol.st_info) != STT_SECTION};
	}
	return 0;
}

int references_load(struct shuffle *s, struct vb_error *err)
{
	size_t room = 0;
	bool of_text = false;
	for (uint32_t i = 1; i < s->b.section_count; i++) {
		const struct binary_section *r = &s->b.sections[i];
		if (!is_kept(s, r))
			continue;
		room += r->size / sizeof(Elf64_Rela);
		of_text |= r->info == s->text;
	}
	if (!of_text)
		return vb_error_set(err, -ENOTSUP, "%s has no relocations of its code: link it with -Wl,--emit-relocs", s->b.path);
	s->references = calloc(room + 1, sizeof(*s->references));
	if (!s->references)
		return vb_error_set(err, -ENOMEM, "out of memory");
	for (uint32_t i = 1; i < s->b.section_count; i++) {
		const struct binary_section *r = &s->b.sections[i];
		const struct binary_section *of = is_kept(s, r) ? &s->b.sections[r->info] : NULL;
		if (!of)
			continue;
		if (of->flags & SHF_COMPRESSED)
			return vb_error_set(err, -ENOTSUP,
				"%s can't be shuffled: %s is compressed; link it with -Wl,--compress-debug-sections=none", s->b.path,
				of->name);
		int rc = load_section(s, r, err);
		if (rc < 0)
			return rc;
	}
	qsort(s->references, s->reference_count, sizeof(*s->references), by_place);
	return 0;
}

const struct reference *reference_at(const struct shuffle *s, uint32_t section, uint64_t at)
{
	size_t low = 0, high = s->reference_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct reference *r = &s->references[middle];
		if (r->section < section || (r->section == section && r->at < at))
			low = middle + 1;
		else
			high = middle;
	}
	const struct reference *r = &s->references[low];
	return low < s->reference_count && r->section == section && r->at == at ? r : NULL;
}

/* --- what must stay together --- */

/* A branch or address within what was one section of an object has no relocation: the assembler has settled it. What it spans is one
 * piece of the author's: labels in assembly, objects compiled without -ffunction-sections. */
static void glue_operands(struct shuffle *s)
{
	for (size_t i = 0; i < s->operand_count; i++) {
		const struct operand *o = &s->operands[i];
		if (!in_text(s, o->field) || !in_text(s, o->target) || piece_at(s, o->field) == piece_at(s, o->target))
			continue;
		/* lld makes `jmp *f@GOTPCREL(%rip)` a `jmp f` one byte earlier, and keeps the relocation where it was. */
		const struct reference *r = reference_at(s, s->text, o->field);
		r = r ? r : reference_at(s, s->text, o->field + 1);
		if (!r || o->bytes != 4)
			pieces_glue(s, o->field, o->target);
	}
}

static bool is_relative_32(uint32_t type)
{
	return type == R_X86_64_PC32 || type == R_X86_64_PLT32;
}

/* A field of 32 bits in data that is the distance of some code. */
static bool is_distance(const struct shuffle *s, const struct reference *r)
{
	const struct binary_section *of = &s->b.sections[r->section];
	return (of->flags & SHF_ALLOC) && !is_code_section(s, r->section) && is_relative_32(r->type) && r->in_text_symbol &&
	       strcmp(of->name, ".eh_frame") != 0;
}

/* The nearest address in front of the field, or of it, that code refers to; 0: none. */
static uint64_t table_of(const struct shuffle *s, uint64_t at)
{
	size_t low = 0, high = s->data_referred_count;
	while (low < high) { /* the first behind the field */
		size_t middle = low + (high - low) / 2;
		if (s->data_referred[middle] <= at)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? s->data_referred[low - 1] : 0;
}

/* What distances refer to. In a table of jumps of position-independent code each is relative to the start of the table, though its
 * relocation is relative to itself: then the label that it means isn't what symbol and addend say. Fields that follow one another are
 * of one kind, and what they refer to must be instructions: that tells which, for each but the shortest tables. */
static int settle_table(struct shuffle *s, struct reference *first, size_t count, struct vb_error *err)
{
	uint64_t table = table_of(s, first->at);
	bool of_itself = true, of_table = table && !first->named;
	for (size_t i = 0; i < count; i++) {
		size_t at = file_offset(s, first[i].at, 4);
		if (at == SIZE_MAX)
			return vb_error_set(
				err, -EINVAL, "%s: a relocation of %s lies outside of it", s->b.path, s->b.sections[first->section].name);
		uint64_t content = get_number(s->b.bytes + at, 4, true);
		of_itself &= code_is_instruction(s, first[i].at + content);
		of_table &= code_is_instruction(s, table + content);
	}
	if (!of_itself && !of_table)
		return vb_error_set(err, -ENOTSUP, "%s can't be shuffled: what the fields from %#llx on in %s refer to can't be told",
			s->b.path, (unsigned long long)first->at, s->b.sections[first->section].name);
	for (size_t i = 0; i < count; i++) {
		uint64_t content = get_number(s->b.bytes + file_offset(s, first[i].at, 4), 4, true);
		first[i].meant = (of_table ? table : first[i].at) + content;
		if (of_itself && of_table)
			pieces_glue(s, first[i].meant, first[i].at + content); /* then it doesn't matter which */
	}
	return 0;
}

static int settle_tables(struct shuffle *s, struct vb_error *err)
{
	int rc = 0;
	for (size_t i = 0, count; i < s->reference_count && rc == 0; i += count) {
		struct reference *first = &s->references[i];
		count = 1;
		if (!is_distance(s, first))
			continue;
		for (; i + count < s->reference_count; count++) {
			const struct reference *r = &first[count];
			if (r->section != first->section || r->at != first->at + 4 * count || !is_distance(s, r) || r->named ||
				first->named || table_of(s, r->at) != table_of(s, first->at))
				break;
		}
		rc = settle_table(s, first, count, err);
	}
	return rc;
}

int references_glue(struct shuffle *s, struct vb_error *err)
{
	glue_operands(s);
	return settle_tables(s, err);
}

/* --- rewriting --- */

static bool is_patched(const struct shuffle *s, size_t at)
{
	return s->patched[at / 8] >> at % 8 & 1;
}

static int add_to(struct shuffle *s, size_t at, unsigned bytes, uint64_t shift, bool is_signed, struct vb_error *err)
{
	if (is_patched(s, at) || !shift)
		return 0;
	s->patched[at / 8] |= (uint8_t)(1u << at % 8);
	uint64_t value = get_number(s->new_bytes + at, bytes, is_signed) + shift;
	if (bytes < 8 && (is_signed ? !fits((int64_t)value, bytes) : value >> 8 * bytes))
		return vb_error_set(err, -ENOTSUP, "%s: a reference at offset %#zx of the file overflows", s->b.path, at);
	put_number(s->new_bytes + at, bytes, value);
	return 0;
}

/* An end of a range is the start of what lies behind it, but moves with the range. */
static uint64_t shift_of_target(const struct shuffle *s, const struct reference *r, uint64_t target)
{
	const char *name = s->b.sections[r->section].name;
	const struct piece *p = piece_at(s, target);
	bool at_boundary = target == s->end || (p && p->start == target);
	if (at_boundary && r > s->references && (strcmp(name, ".debug_ranges") == 0 || strcmp(name, ".debug_loc") == 0)) {
		const struct reference *start = r - 1;
		if (start->section == r->section && start->at + 8 == r->at && start->value + (uint64_t)start->addend < target)
			return piece_shift(s, target - 1);
	}
	if (r->named && r->in_text_symbol && in_text(s, r->value))
		return piece_shift(s, r->value);
	return piece_shift(s, target);
}

/* The entry itself, so that the result can be shuffled again. */
static void move_entry(struct shuffle *s, const struct reference *r, uint64_t shift_of_field, uint64_t shift)
{
	uint64_t of_symbol = r->named && r->in_text_symbol ? piece_shift(s, r->value) : 0;
	put_number(s->new_bytes + r->entry + offsetof(Elf64_Rela, r_offset), 8, r->at + shift_of_field);
	put_number(s->new_bytes + r->entry + offsetof(Elf64_Rela, r_addend), 8, (uint64_t)r->addend + shift - of_symbol);
}

static bool is_thread_local(uint32_t type)
{
	switch (type) {
	case R_X86_64_TLSGD:
	case R_X86_64_TLSLD:
	case R_X86_64_DTPOFF32:
	case R_X86_64_DTPOFF64:
	case R_X86_64_DTPMOD64:
	case R_X86_64_GOTTPOFF:
	case R_X86_64_TPOFF32:
	case R_X86_64_TPOFF64:
	case R_X86_64_GOTPC32_TLSDESC:
	case R_X86_64_TLSDESC_CALL:
		return true;
	default:
		return false;
	}
}

/* The call of __tls_get_addr, where the linker knew the answer and left no call. */
static bool is_call_dissolved(const struct shuffle *s, const struct reference *r)
{
	const struct reference *before = r - 1;
	return r > s->references && before->section == r->section && r->at - before->at <= 16 &&
	       (before->type == R_X86_64_TLSGD || before->type == R_X86_64_TLSLD);
}

static bool is_got_relative(uint32_t type)
{
	return type == R_X86_64_GOTPCREL || type == R_X86_64_GOTPCRELX || type == R_X86_64_REX_GOTPCRELX;
}

/* The field of an instruction: pc-relative ones are code.c's; what is left are addresses as they are. */
static int move_in_code(struct shuffle *s, const struct reference *r, struct vb_error *err)
{
	uint64_t shift_of_field = piece_shift(s, r->at), target = r->value + (uint64_t)r->addend;
	const struct operand *o = code_operand(s, r->at);
	if (!o && is_got_relative(r->type))
		o = code_operand(s, r->at - 1);
	if (o) {
		move_entry(s, r, shift_of_field, in_text(s, o->target) && r->in_text_symbol ? piece_shift(s, o->target) : 0);
		return 0;
	}
	move_entry(s, r, shift_of_field, 0);
	if (!r->in_text_symbol || is_thread_local(r->type) || is_call_dissolved(s, r))
		return 0;
	unsigned bytes = r->type == R_X86_64_64 ? 8 : 4;
	size_t old = file_offset(s, r->at, bytes), new = file_offset(s, r->at + shift_of_field, bytes);
	if (is_relative_32(r->type))
		return vb_error_set(
			err, -ENOTSUP, "%s: the code at %#llx isn't what its relocation says", s->b.path, (unsigned long long)r->at);
	if (is_got_relative(r->type))
		target = r->value; /* now an immediate */
	else if (r->type != R_X86_64_64 && r->type != R_X86_64_32 && r->type != R_X86_64_32S)
		return vb_error_set(err, -ENOTSUP, "%s can't be shuffled: relocation type %u at %#llx is unknown", s->b.path, r->type,
			(unsigned long long)r->at);
	if (old == SIZE_MAX || new == SIZE_MAX || get_number(s->b.bytes + old, bytes, false) != target)
		return vb_error_set(
			err, -ENOTSUP, "%s: the code at %#llx isn't what its relocation says", s->b.path, (unsigned long long)r->at);
	uint64_t shift = shift_of_target(s, r, target);
	move_entry(s, r, shift_of_field, shift);
	return add_to(s, new, bytes, shift, false, err);
}

static int move_in_data(struct shuffle *s, const struct reference *r, struct vb_error *err)
{
	const struct binary_section *of = &s->b.sections[r->section];
	uint64_t target = r->value + (uint64_t)r->addend, shift;
	unsigned bytes = r->type == R_X86_64_64 || r->type == R_X86_64_PC64 || r->type == R_X86_64_GOTOFF64 ? 8 : 4;
	bool is_frames = strcmp(of->name, ".eh_frame") == 0; /* unwind.c's */
	if (!r->in_text_symbol || is_thread_local(r->type) || of->type == SHT_NOBITS)
		return 0;
	if (r->at < of->address || !vb_range_within(r->at - of->address, bytes, of->size))
		return is_frames ? 0 : vb_error_set(err, -EINVAL, "%s: a relocation of %s lies outside of it", s->b.path, of->name);
	size_t at = of->offset + (r->at - of->address);
	uint64_t content = get_number(s->b.bytes + at, bytes, false);
	switch (r->type) {
	case R_X86_64_PC32:
	case R_X86_64_PLT32:
		shift = is_distance(s, r) ? piece_shift(s, r->meant) : shift_of_target(s, r, target);
		break;
	case R_X86_64_64:
	case R_X86_64_32:
	case R_X86_64_32S:
		shift = shift_of_target(s, r, target);
		if (content != target && (in_text(s, content) || !s->b.elf.position_independent) && in_text(s, target) && !is_frames)
			return vb_error_set(err, -ENOTSUP, "%s: what lies at %#llx in %s isn't what its relocation says", s->b.path,
				(unsigned long long)r->at, of->name);
		if (content != target) { /* the loader fills it in */
			move_entry(s, r, 0, shift);
			return 0;
		}
		break;
	case R_X86_64_PC64:
	case R_X86_64_GOTOFF64:
		shift = shift_of_target(s, r, target);
		break;
	case R_X86_64_SIZE32:
	case R_X86_64_SIZE64:
		return 0;
	default:
		if (is_got_relative(r->type))
			return 0; /* neither end moves */
		return vb_error_set(err, -ENOTSUP, "%s can't be shuffled: relocation type %u at %#llx in %s is unknown", s->b.path, r->type,
			(unsigned long long)r->at, of->name);
	}
	move_entry(s, r, 0, shift);
	bool is_signed = r->type != R_X86_64_64 && r->type != R_X86_64_32;
	return is_frames ? 0 : add_to(s, at, bytes, shift, is_signed, err);
}

static int move_kept(struct shuffle *s, struct vb_error *err)
{
	int rc = 0;
	for (size_t i = 0; i < s->reference_count && rc == 0; i++) {
		const struct reference *r = &s->references[i];
		rc = is_code_section(s, r->section) ? move_in_code(s, r, err) : move_in_data(s, r, err);
	}
	return rc;
}

/* The word at address, if it is the address of code: it is in the file when the loader needs it there, or takes it along. */
static int move_word(struct shuffle *s, uint64_t address, uint64_t expected, struct vb_error *err)
{
	size_t at = file_offset(s, address, 8);
	if (at == SIZE_MAX)
		return 0;
	uint64_t content = get_number(s->b.bytes + at, 8, false);
	return content == expected && in_text(s, content) ? add_to(s, at, 8, piece_shift(s, content), false, err) : 0;
}

static int move_loader_relocations(struct shuffle *s, const struct binary_section *section, struct vb_error *err)
{
	for (uint64_t i = 0; i < section->size / sizeof(Elf64_Rela); i++) {
		Elf64_Rela rela;
		uint64_t entry = section->offset + i * sizeof(rela);
		memcpy(&rela, s->b.bytes + entry, sizeof(rela));
		uint32_t type = ELF64_R_TYPE(rela.r_info);
		uint64_t shift = piece_shift(s, (uint64_t)rela.r_addend);
		if (in_text(s, rela.r_offset))
			return vb_error_set(err, -ENOTSUP,
				"%s can't be shuffled: the loader would write into its code (compile it with -fPIE)", s->b.path);
		if ((type != R_X86_64_RELATIVE && type != R_X86_64_IRELATIVE) || !shift)
			continue;
		int r = move_word(s, rela.r_offset, (uint64_t)rela.r_addend, err);
		if (r < 0)
			return r;
		put_number(s->new_bytes + entry + offsetof(Elf64_Rela, r_addend), 8, (uint64_t)rela.r_addend + shift);
	}
	return 0;
}

/* Words that the loader adds its base to: addresses, then bitmaps of the 63 words that follow. */
static int move_packed_relocations(struct shuffle *s, const struct binary_section *section, struct vb_error *err)
{
	uint64_t where = 0;
	int r = 0;
	for (uint64_t i = 0; i < section->size / 8 && r == 0; i++) {
		uint64_t entry = get_number(s->b.bytes + section->offset + 8 * i, 8, false);
		bool is_bitmap = entry & 1;
		for (uint64_t bits = is_bitmap ? entry >> 1 : 1, at = is_bitmap ? where : entry; bits && r == 0; bits >>= 1, at += 8) {
			size_t offset = file_offset(s, at, 8);
			if ((bits & 1) && offset != SIZE_MAX)
				r = move_word(s, at, get_number(s->b.bytes + offset, 8, false), err);
		}
		where = is_bitmap ? where + 63 * 8 : entry + 8;
	}
	return r;
}

static int move_loaded(struct shuffle *s, struct vb_error *err)
{
	int r = 0;
	for (uint32_t i = 1; i < s->b.section_count && r == 0; i++) {
		const struct binary_section *section = &s->b.sections[i];
		if (section->type == SHT_RELA && (section->flags & SHF_ALLOC))
			r = move_loader_relocations(s, section, err);
		if (section->type == SHT_RELR)
			r = move_packed_relocations(s, section, err);
		/* At fixed addresses nothing but the slot itself tells that it holds an address. */
		bool is_got = strcmp(section->name, ".got") == 0 || strcmp(section->name, ".got.plt") == 0;
		for (uint64_t k = 0;
			is_got && !s->b.elf.position_independent && section->type == SHT_PROGBITS && k < section->size / 8 && r == 0; k++)
			r = move_word(s, section->address + 8 * k, get_number(s->b.bytes + section->offset + 8 * k, 8, false), err);
	}
	return r;
}

static void move_symbols(struct shuffle *s)
{
	for (uint32_t i = 1; i < s->b.section_count; i++) {
		const struct binary_section *section = &s->b.sections[i];
		if (section->type != SHT_SYMTAB && section->type != SHT_DYNSYM)
			continue;
		for (uint64_t k = 0; k < section->size / sizeof(Elf64_Sym); k++) {
			Elf64_Sym symbol;
			uint64_t at = section->offset + k * sizeof(symbol);
			memcpy(&symbol, s->b.bytes + at, sizeof(symbol));
			if (symbol.st_shndx == s->text && ELF64_ST_TYPE(symbol.st_info) != STT_SECTION)
				put_number(s->new_bytes + at + offsetof(Elf64_Sym, st_value), 8,
					symbol.st_value + piece_shift(s, symbol.st_value));
		}
	}
}

static int move_dynamic(struct shuffle *s, struct vb_error *err)
{
	const struct binary_section *section = binary_section(&s->b, ".dynamic");
	for (uint64_t i = 0; section && section->type == SHT_DYNAMIC && i < section->size / sizeof(Elf64_Dyn); i++) {
		Elf64_Dyn d;
		uint64_t at = section->offset + i * sizeof(d);
		memcpy(&d, s->b.bytes + at, sizeof(d));
		if (d.d_tag == DT_TEXTREL || (d.d_tag == DT_FLAGS && d.d_un.d_val & DF_TEXTREL))
			return vb_error_set(err, -ENOTSUP,
				"%s can't be shuffled: the loader would write into its code (compile it with -fPIE)", s->b.path);
		if (d.d_tag == DT_INIT || d.d_tag == DT_FINI)
			put_number(s->new_bytes + at + offsetof(Elf64_Dyn, d_un), 8, d.d_un.d_ptr + piece_shift(s, d.d_un.d_ptr));
	}
	return 0;
}

int references_move(struct shuffle *s, struct vb_error *err)
{
	int r = move_kept(s, err);
	if (r == 0)
		r = move_loaded(s, err);
	if (r == 0)
		r = move_dynamic(s, err);
	if (r < 0)
		return r;
	move_symbols(s);
	put_number(s->new_bytes + offsetof(Elf64_Ehdr, e_entry), 8, s->b.elf.entry + piece_shift(s, s->b.elf.entry));
	return 0;
}
