/* Owns the decoding of the program's code and the operands in it that depend on where it lies. By Zydis, which tells where each field of an instruction is. */
#include "variant/shuffle/shuffle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <Zydis/Zydis.h>

#include "base/types.h"
#include "host/error.h"

static int add_operand(struct shuffle *s, const struct operand *o)
{
	if (s->operand_count == s->operand_room) {
		size_t room = s->operand_room * 2 + 1024;
		struct operand *more = realloc(s->operands, room * sizeof(*more));
		if (!more)
			return -ENOMEM;
		s->operands = more;
		s->operand_room = room;
	}
	s->operands[s->operand_count++] = *o;
	return 0;
}

static int add_referred(struct shuffle *s, uint64_t address)
{
	if (!(s->data_referred_count & (s->data_referred_count - 1))) { /* full: it grows at powers of two */
		uint64_t *more = realloc(s->data_referred, (s->data_referred_count * 2 + 1) * sizeof(*more));
		if (!more)
			return -ENOMEM;
		s->data_referred = more;
	}
	s->data_referred[s->data_referred_count++] = address;
	return 0;
}

/* What the instruction refers to, relative to its end. At most one of a branch's target and an operand in memory. */
static int note_operand(struct shuffle *s, const ZydisDecodedInstruction *d, uint64_t address)
{
	struct operand o = {0};
	int64_t value;
	if (d->raw.imm[0].is_relative) {
		o.field = address + d->raw.imm[0].offset;
		o.bytes = d->raw.imm[0].size / 8;
		value = d->raw.imm[0].value.s;
	} else if ((d->attributes & ZYDIS_ATTRIB_HAS_MODRM) && d->raw.modrm.mod == 0 && d->raw.modrm.rm == 5 && d->raw.disp.size == 32) {
		o.field = address + d->raw.disp.offset;
		o.bytes = 4;
		value = d->raw.disp.value;
	} else {
		/* At fixed addresses, a table may be named by its address. */
		uint64_t absolute = d->raw.disp.size == 32 ? (uint64_t)d->raw.disp.value : d->raw.imm[0].value.u;
		if (!s->b.elf.position_independent && !piece_at(s, absolute) && binary_at(&s->b, absolute, 1))
			return add_referred(s, absolute);
		return 0;
	}
	o.to_end = (uint8_t)(address + d->length - o.field);
	o.target = address + d->length + (uint64_t)value;
	int r = add_operand(s, &o);
	return r == 0 && !d->raw.imm[0].is_relative && !piece_at(s, o.target) ? add_referred(s, o.target) : r;
}

static bool is_filler(const ZydisDecodedInstruction *d)
{
	return d->mnemonic == ZYDIS_MNEMONIC_NOP || d->mnemonic == ZYDIS_MNEMONIC_INT3;
}

/* Nothing runs on behind it. */
static bool is_end(const ZydisDecodedInstruction *d)
{
	return d->mnemonic == ZYDIS_MNEMONIC_JMP || d->mnemonic == ZYDIS_MNEMONIC_RET || d->mnemonic == ZYDIS_MNEMONIC_UD2 ||
	       d->mnemonic == ZYDIS_MNEMONIC_HLT || d->mnemonic == ZYDIS_MNEMONIC_INT3;
}

/* Decodes [start, end) and returns where its last instruction that isn't filler ends; -errno. *ret_runs_on: behind it goes on whatever comes there. */
static int decode_range(struct shuffle *s, const ZydisDecoder *decoder, uint64_t start, uint64_t end, const char *name, uint64_t *ret_end,
	bool *ret_runs_on, struct vb_error *err)
{
	const uint8_t *bytes = binary_at(&s->b, start, end - start);
	uint64_t used = start;
	bool runs_on = false;
	if (!bytes)
		return vb_error_set(err, -EINVAL, "%s: the code at %#llx isn't in the file", s->b.path, (unsigned long long)start);
	for (uint64_t at = start; at < end;) {
		ZydisDecodedInstruction d;
		if (!ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(decoder, NULL, bytes + (at - start), end - at, &d)))
			return vb_error_set(err, -ENOTSUP,
				"%s can't be shuffled: what lies at %#llx (%s) is no code: data among code can't be told apart", s->b.path,
				(unsigned long long)at, name);
		if (at >= s->start && at < s->end)
			s->instruction_starts[(at - s->start) / 8] |= (uint8_t)(1u << (at - s->start) % 8);
		if (!is_filler(&d) || (d.mnemonic == ZYDIS_MNEMONIC_INT3 && runs_on)) {
			used = at + d.length;
			runs_on = !is_end(&d);
		}
		if (note_operand(s, &d, at) < 0)
			return vb_error_set(err, -ENOMEM, "out of memory");
		at += d.length;
	}
	*ret_end = used;
	*ret_runs_on = runs_on;
	return 0;
}

static uint64_t symbol_end(const struct shuffle *s, const struct piece *p)
{
	uint64_t end = p->start;
	for (const struct binary_symbol *f = binary_function_before(&s->b, p->start);
		f && f < s->b.symbols + s->b.symbol_count && f->value == p->start; f++)
		if (f->section == s->text && f->size <= p->size && p->start + f->size > end)
			end = p->start + f->size;
	return end;
}

static int by_field(const void *a, const void *b)
{
	const struct operand *x = a, *y = b;
	return (x->field > y->field) - (x->field < y->field);
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

int code_decode(struct shuffle *s, struct vb_error *err)
{
	ZydisDecoder decoder;
	ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	s->instruction_starts = calloc((s->end - s->start) / 8 + 1, 1);
	if (!s->instruction_starts)
		return vb_error_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < s->piece_count; i++) {
		struct piece *p = &s->pieces[i];
		uint64_t end;
		bool runs_on;
		int r = decode_range(s, &decoder, p->start, p->start + p->size, p->name, &end, &runs_on, err);
		if (r < 0)
			return r;
		if (runs_on && i + 1 < s->piece_count)
			pieces_glue(s, p->start, p[1].start); /* a call that doesn't return, or one function that falls into the next */
		p->size = vb_max(end, symbol_end(s, p)) - p->start;
	}
	for (uint32_t i = 1; i < s->b.section_count; i++) {
		const struct binary_section *section = &s->b.sections[i];
		uint64_t end;
		bool runs_on;
		if (i == s->text || section->type != SHT_PROGBITS || !(section->flags & SHF_EXECINSTR) || !(section->flags & SHF_ALLOC) ||
			!section->size)
			continue;
		int r = decode_range(s, &decoder, section->address, section->address + section->size, section->name, &end, &runs_on, err);
		if (r < 0)
			return r;
	}
	qsort(s->operands, s->operand_count, sizeof(*s->operands), by_field);
	qsort(s->data_referred, s->data_referred_count, sizeof(*s->data_referred), by_number);
	return 0;
}

bool code_is_instruction(const struct shuffle *s, uint64_t address)
{
	uint64_t at = address - s->start;
	return address >= s->start && address < s->end && (s->instruction_starts[at / 8] >> at % 8 & 1);
}

const struct operand *code_operand(const struct shuffle *s, uint64_t address)
{
	struct operand key = {.field = address};
	return s->operand_count ? bsearch(&key, s->operands, s->operand_count, sizeof(key), by_field) : NULL;
}

static int mend_operand(struct shuffle *s, const struct operand *o, struct vb_error *err)
{
	uint64_t shift = piece_shift(s, o->target) - piece_shift(s, o->field);
	size_t old = file_offset(s, o->field, o->bytes), new = file_offset(s, o->field + piece_shift(s, o->field), o->bytes);
	if (!shift)
		return 0;
	if (old == SIZE_MAX || new == SIZE_MAX)
		return vb_error_set(err, -EINVAL, "%s: the code at %#llx isn't in the file", s->b.path, (unsigned long long)o->field);
	int64_t value = (int64_t)(get_number(s->b.bytes + old, o->bytes, true) + shift);
	if (!fits(value, o->bytes))
		return vb_error_set(err, -ENOTSUP, "%s: the branch at %#llx doesn't reach its target any more", s->b.path,
			(unsigned long long)o->field);
	put_number(s->new_bytes + new, o->bytes, (uint64_t)value);
	return 0;
}

int code_move(struct shuffle *s, struct vb_error *err)
{
	size_t text = file_offset(s, s->start, s->end - s->start);
	if (text == SIZE_MAX)
		return vb_error_set(err, -EINVAL, "%s: .text isn't in the file", s->b.path);
	memset(s->new_bytes + text, 0xcc, s->end - s->start);
	for (size_t i = 0; i < s->piece_count; i++) {
		const struct piece *p = &s->pieces[i];
		/* The padding between pieces that stay together is theirs. */
		uint64_t size = p->glued ? p[1].start - p->start : p->size;
		memcpy(s->new_bytes + text + (p->new_start - s->start), s->b.bytes + text + (p->start - s->start), size);
	}
	for (size_t i = 0; i < s->operand_count; i++) {
		int r = mend_operand(s, &s->operands[i], err);
		if (r < 0)
			return r;
	}
	return 0;
}
