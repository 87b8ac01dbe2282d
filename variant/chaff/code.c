/* Owns the decoding of a function and the names of what it calls. */
#include "variant/chaff/code.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/error.h"
#include "variant/binary.h"

int code_register(ZydisRegister r)
{
	ZydisRegister whole = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, r);
	return ZydisRegisterGetClass(whole) == ZYDIS_REGCLASS_GPR64 ? ZydisRegisterGetId(whole) : -1;
}

uint64_t code_target(const struct instruction *i)
{
	ZyanU64 to = 0;
	if (i->is.operand_count && i->operands[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE && i->operands[0].imm.is_relative)
		ZydisCalcAbsoluteAddress(&i->is, &i->operands[0], i->address, &to);
	return to;
}

bool code_ends(const struct instruction *i)
{
	switch (i->is.mnemonic) {
	case ZYDIS_MNEMONIC_JMP:
	case ZYDIS_MNEMONIC_RET:
	case ZYDIS_MNEMONIC_UD2:
	case ZYDIS_MNEMONIC_INT3:
	case ZYDIS_MNEMONIC_HLT:
		return true;
	default:
		return false;
	}
}

const struct instruction *code_at(const struct code *c, uint64_t address)
{
	uint32_t n = address - c->address < c->bytes ? c->at[address - c->address] : 0;
	return n ? &c->instructions[n - 1] : NULL;
}

static int decode(const struct binary *b, uint64_t address, uint64_t most, struct instruction *ret)
{
	static ZydisDecoder decoder;
	if (decoder.stack_width == 0)
		ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	uint64_t bytes = most < 15 ? most : 15;
	const uint8_t *at = NULL;
	for (; bytes && !at; bytes--)
		at = binary_at(b, address, bytes);
	memset(ret, 0, sizeof(*ret));
	ret->address = address;
	return at && ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, at, bytes + 1, &ret->is, ret->operands)) ? 0 : -EINVAL;
}

int frame_follow(struct code *c, struct vb_error *err); /* frame.c */

int code_init(struct code *c, const struct binary *b, uint64_t address, uint64_t bytes, struct vb_error *err)
{
	*c = (struct code){.binary = b, .address = address, .bytes = bytes};
	if (!bytes || bytes > CODE_MAX_BYTES || !binary_at(b, address, bytes))
		return vb_error_set(err, -EINVAL, "there is no function of %lu bytes at 0x%lx", bytes, address);
	c->at = calloc(bytes, sizeof(*c->at));
	if (!c->at)
		return vb_error_set(err, -ENOMEM, "no memory left");
	for (uint64_t at = address; at < address + bytes;) {
		if (c->count % 256 == 0) {
			struct instruction *more = realloc(c->instructions, (c->count + 256) * sizeof(*more));
			if (!more) {
				code_release(c);
				return vb_error_set(err, -ENOMEM, "no memory left");
			}
			c->instructions = more;
		}
		struct instruction *i = &c->instructions[c->count];
		if (decode(b, at, address + bytes - at, i) < 0) {
			code_release(c);
			return vb_error_set(err, -EINVAL, "no instruction at 0x%lx", at);
		}
		c->at[at - address] = ++c->count;
		at += i->is.length;
	}
	int r = frame_follow(c, err);
	if (r < 0)
		code_release(c);
	return r;
}

void code_release(struct code *c)
{
	free(c->instructions), free(c->at), free(c->frames);
	*c = (struct code){0};
}

/* --- names of what is called --- */

static bool symbol_at(const struct binary *b, uint64_t address, const char *name)
{
	for (size_t s = 0; s < b->symbol_count; s++) {
		if (b->symbols[s].value == address && strcmp(b->symbols[s].name, name) == 0)
			return true;
	}
	return false;
}

/* Is the slot of the GOT filled with `name` by a dynamic relocation? */
static bool slot_holds(const struct binary *b, uint64_t slot, const char *name)
{
	for (uint32_t n = 0; n < b->section_count; n++) {
		const struct binary_section *s = &b->sections[n];
		if (s->type != SHT_RELA || !(s->flags & SHF_ALLOC) || !s->link || s->link >= b->section_count)
			continue;
		const struct binary_section *symbols = &b->sections[s->link];
		if (symbols->type != SHT_DYNSYM || symbols->link >= b->section_count || b->sections[symbols->link].type != SHT_STRTAB)
			continue;
		const struct binary_section *names = &b->sections[symbols->link];
		for (uint64_t at = 0; at + sizeof(Elf64_Rela) <= s->size; at += sizeof(Elf64_Rela)) {
			Elf64_Rela r;
			Elf64_Sym symbol;
			memcpy(&r, b->bytes + s->offset + at, sizeof(r));
			uint64_t index = ELF64_R_SYM(r.r_info);
			if (r.r_offset != slot || (index + 1) * sizeof(symbol) > symbols->size)
				continue;
			memcpy(&symbol, b->bytes + symbols->offset + index * sizeof(symbol), sizeof(symbol));
			if (symbol.st_name < names->size && strlen(name) < names->size - symbol.st_name &&
				strcmp((char *)b->bytes + names->offset + symbol.st_name, name) == 0)
				return true;
		}
	}
	return false;
}

static bool jumps_through(const struct binary *b, const struct instruction *i, const char *name)
{
	ZyanU64 slot;
	return i->is.operand_count && i->operands[0].type == ZYDIS_OPERAND_TYPE_MEMORY && i->operands[0].mem.base == ZYDIS_REGISTER_RIP &&
	       i->operands[0].mem.index == ZYDIS_REGISTER_NONE &&
	       ZYAN_SUCCESS(ZydisCalcAbsoluteAddress(&i->is, &i->operands[0], i->address, &slot)) && slot_holds(b, slot, name);
}

bool code_calls(const struct binary *b, const struct instruction *i, const char *name)
{
	uint64_t to = code_target(i);
	if (!to)
		return jumps_through(b, i, name);
	if (symbol_at(b, to, name))
		return true;
	struct instruction in_plt;
	for (unsigned n = 0; n < 3 && decode(b, to, 15, &in_plt) == 0; n++, to += in_plt.is.length) {
		if (in_plt.is.mnemonic == ZYDIS_MNEMONIC_JMP)
			return jumps_through(b, &in_plt, name);
	}
	return false;
}
