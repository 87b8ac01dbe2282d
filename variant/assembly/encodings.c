/* Owns other instructions, and other bytes of the same instruction, that have the same effect: on registers, memory, flags that
 * anything may still read, and faults. Written out as bytes, since clang's assembler has no way to ask for an encoding. */
#include "variant/assembly/unit.h"

#include <stdio.h>
#include <string.h>

struct code {
	uint8_t bytes[15];
	unsigned count;
};

static void add_byte(struct code *c, unsigned byte)
{
	if (c->count < sizeof(c->bytes))
		c->bytes[c->count++] = (uint8_t)byte;
}

/* Operand size prefix and REX of an instruction whose operands are registers: reg and rm of the ModRM byte (reg may be an opcode's extension). REX.X
 * means nothing then: it is free to choose. */
static void add_prefixes(struct code *c, struct variant_random *r, unsigned bytes, unsigned reg, unsigned rm, bool byte_registers)
{
	if (bytes == 2)
		add_byte(c, 0x66);
	unsigned rex = (bytes == 8 ? 8 : 0) | (reg >= 8 ? 4 : 0) | (rm >= 8 ? 1 : 0);
	bool needed = rex || (byte_registers && ((reg >= 4 && reg < 8) || (rm >= 4 && rm < 8)));
	if (needed && variant_random_below(r, 2))
		rex |= 2;
	if (needed)
		add_byte(c, 0x40 | rex);
}

static void add_modrm(struct code *c, unsigned reg, unsigned rm)
{
	add_byte(c, 0xc0 | (reg & 7) << 3 | (rm & 7));
}

static void add_immediate(struct code *c, int64_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		add_byte(c, (uint64_t)value >> (8 * i) & 0xff);
}

static void spell_out(struct unit *u, struct statement *st, const struct code *c)
{
	char text[8 + sizeof(c->bytes) * 4];
	unsigned used = (unsigned)snprintf(text, sizeof(text), ".byte %u", c->bytes[0]);
	for (unsigned i = 1; i < c->count; i++)
		used += (unsigned)snprintf(text + used, sizeof(text) - used, ",%u", c->bytes[i]);
	st->text = arena_copy(&u->arena, (struct slice){text, used});
	st->no_prefix = true;
}

static bool is_register(const struct operand *o)
{
	return o->kind == OPERAND_REGISTER && o->reg.class == REG_GENERAL && !o->reg.high;
}

static unsigned width(const struct instruction *in)
{
	return in->mnemonic->bytes                                           ? in->mnemonic->bytes
	       : in->operands && is_register(&in->operand[in->operands - 1]) ? in->operand[in->operands - 1].reg.bytes
									     : 0;
}

/* op %src, %dst in either direction: the ModRM byte can name either register as its r/m */
static bool two_registers(struct unit *u, struct statement *st, struct variant_random *r)
{
	const struct instruction *in = st->instruction;
	if (in->operands != 2 || !is_register(&in->operand[0]) || !is_register(&in->operand[1]) ||
		in->operand[0].reg.bytes != in->operand[1].reg.bytes)
		return false;
	unsigned op = in->mnemonic->operation, bytes = in->operand[0].reg.bytes, src = in->operand[0].reg.number,
		 dst = in->operand[1].reg.number;
	if (width(in) != bytes)
		return false;
	if ((op == OP_XOR || op == OP_SUB) && src == dst && variant_random_below(r, 2))
		op = op == OP_XOR ? OP_SUB : OP_XOR; /* both make zero, and the same flags but AF, which xor leaves undefined */
	struct code c = {.count = 0};
	bool load = variant_random_below(r, 2);
	unsigned reg = load ? dst : src, rm = load ? src : dst, opcode;
	if (op >= OP_ADD && op <= OP_CMP)
		opcode = (op - OP_ADD) * 8 + (load ? 2 : 0);
	else if (op == OP_MOV)
		opcode = load ? 0x8a : 0x88;
	else if (op == OP_TEST)
		opcode = 0x84; /* commutes */
	else
		return false;
	add_prefixes(&c, r, bytes, reg, rm, bytes == 1);
	add_byte(&c, opcode + (bytes > 1));
	add_modrm(&c, reg, rm);
	spell_out(u, st, &c);
	return true;
}

/* op $imm, %dst: an immediate of four bytes where one would do, or subtracting the negative */
static bool immediate(struct unit *u, struct statement *st, struct variant_random *r, bool flags_dead, bool roomy)
{
	const struct instruction *in = st->instruction;
	if (in->operands != 2 || in->operand[0].kind != OPERAND_IMMEDIATE || !in->operand[0].numeric || !is_register(&in->operand[1]))
		return false;
	unsigned op = in->mnemonic->operation, bytes = in->operand[1].reg.bytes, dst = in->operand[1].reg.number;
	int64_t value = in->operand[0].value;
	if (bytes < 4 || width(in) != bytes || value < INT32_MIN + 1 || value > INT32_MAX)
		return false;
	bool long_form = value < -128 || value > 127 || (roomy && variant_random_below(r, 3) == 0);
	struct code c = {.count = 0};
	if (op == OP_CMP && value == 0 && variant_random_below(r, 2)) { /* test: the same but for AF */
		add_prefixes(&c, r, bytes, dst, dst, false);
		add_byte(&c, 0x85);
		add_modrm(&c, dst, dst);
	} else if (op >= OP_ADD && op <= OP_CMP) {
		if ((op == OP_ADD || op == OP_SUB) && flags_dead && value != -128 && value != 128 && variant_random_below(r, 2)) {
			op = op == OP_ADD ? OP_SUB : OP_ADD;
			value = -value;
		} else if ((op == OP_ADD || op == OP_SUB) && flags_dead && roomy && variant_random_below(r, 2)) {
			st->text = arena_format(&u->arena, "lea%c %lld(%%%s), %%%s", bytes == 8 ? 'q' : 'l',
				(long long)(op == OP_ADD ? value : -value), register_name(dst, 8), register_name(dst, bytes));
			return true;
		}
		add_prefixes(&c, r, bytes, 0, dst, false);
		if (long_form && dst == RAX && variant_random_below(r, 2)) {
			add_byte(&c, (op - OP_ADD) * 8 + 5);
		} else {
			add_byte(&c, long_form ? 0x81 : 0x83);
			add_modrm(&c, op - OP_ADD, dst);
		}
		add_immediate(&c, value, long_form ? 4 : 1);
	} else if (op == OP_MOV && roomy && variant_random_below(r, 3) == 0) {
		add_prefixes(&c, r, bytes, 0, dst, false); /* c7 where b8 would do */
		add_byte(&c, 0xc7);
		add_modrm(&c, 0, dst);
		add_immediate(&c, value, 4);
	} else {
		return false;
	}
	spell_out(u, st, &c);
	return true;
}

static bool vector_move(struct unit *u, struct statement *st, struct variant_random *r)
{
	static const uint8_t prefix[] = {[OP_MOVAPS] = 0, [OP_MOVUPS] = 0, [OP_MOVAPD] = 0x66, [OP_MOVDQA] = 0x66, [OP_MOVDQU] = 0xf3};
	static const uint8_t opcodes[][2] = {[OP_MOVAPS] = {0x28, 0x29},
		[OP_MOVUPS] = {0x10, 0x11},
		[OP_MOVAPD] = {0x28, 0x29},
		[OP_MOVDQA] = {0x6f, 0x7f},
		[OP_MOVDQU] = {0x6f, 0x7f}};
	const struct instruction *in = st->instruction;
	for (unsigned i = 0; i < 2; i++)
		if (in->operands != 2 || in->operand[i].kind != OPERAND_REGISTER || in->operand[i].reg.class != REG_VECTOR ||
			in->operand[i].reg.bytes != 16 || in->operand[i].reg.number > 15)
			return false;
	unsigned op = in->mnemonic->operation, store = (unsigned)variant_random_below(r, 2);
	unsigned reg = in->operand[store ? 0 : 1].reg.number, rm = in->operand[store ? 1 : 0].reg.number;
	struct code c = {.count = 0};
	if (prefix[op])
		add_byte(&c, prefix[op]);
	add_prefixes(&c, r, 4, reg, rm, false);
	add_byte(&c, 0x0f);
	add_byte(&c, opcodes[op][store]);
	add_modrm(&c, reg, rm);
	spell_out(u, st, &c);
	return true;
}

/* Whether anything may read the flags as they are after statement i: looks ahead along the one way that is sure. */
static bool flags_dead_after(struct unit *u, const struct part *p, uint32_t i)
{
	for (unsigned steps = 0; steps < 24; steps++) {
		if (++i >= p->end)
			return false;
		const struct statement *st = &u->statements[i];
		if (st->kind == STATEMENT_INLINE ||
			(st->kind == STATEMENT_DIRECTIVE && st->directive == DIR_DATA && st->section == p->section))
			return false;
		if (!part_code(u, p, st))
			continue;
		const struct mnemonic *m = st->instruction->mnemonic;
		if (!m || st->instruction->prefixed || m->flags & FLAGS_READ)
			return false;
		if (m->flags & FLAGS_SET)
			return true;
		/* A caller could know that a function leaves the flags alone (gcc's -fipa-ra), but this one doesn't. */
		if (m->control == CONTROL_RETURN)
			return p->flags_written;
		if (m->control == CONTROL_STOP)
			return true;
		if (m->control == CONTROL_JUMP) {
			const struct operand *target = &st->instruction->operand[0];
			const struct label_entry *e = st->instruction->operands == 1 && target->kind == OPERAND_SYMBOL
							      ? unit_label(u, target->symbol, false)
							      : NULL;
			if (!e || e->statement <= p->label || e->statement >= p->end || u->statements[e->statement].section != p->section)
				return false;
			i = e->statement;
		}
	}
	return false;
}

/* Bytes that are no instruction of their own and mean nothing in front of this one. */
static void add_redundant_prefix(struct unit *u, struct statement *st, struct variant_random *r)
{
	static const uint8_t segments[] = {0x26, 0x2e, 0x36, 0x3e};
	st->prefix_bytes = arena_format(&u->arena, ".byte %u", segments[variant_random_below(r, sizeof(segments))]);
}

static void return_prefix(struct unit *u, struct statement *st, struct variant_random *r)
{
	static const uint8_t legacy[] = {0x26, 0x2e, 0x36, 0x3e, 0xf3};
	unsigned choice = (unsigned)variant_random_below(r, 24);
	if (choice >= 21)
		return;
	st->prefix_bytes = arena_format(&u->arena, ".byte %u", choice < 5 ? legacy[choice] : 0x40 + (choice - 5));
}

static void push_or_pop(struct unit *u, struct statement *st, struct variant_random *r)
{
	const struct instruction *in = st->instruction;
	if (in->operands != 1 || !is_register(&in->operand[0]) || in->operand[0].reg.bytes != 8)
		return;
	unsigned n = in->operand[0].reg.number, rex = (unsigned)variant_random_below(r, 8) << 1; /* W, R and X mean nothing here */
	if (n < 8 && variant_random_below(r, 2))
		return;
	struct code c = {.count = 0};
	add_byte(&c, 0x40 | rex | (n >= 8));
	add_byte(&c, (in->mnemonic->operation == OP_PUSH ? 0x50 : 0x58) + (n & 7));
	spell_out(u, st, &c);
}

/* True if a transfer whose target is in a register, in memory or on the stack follows within a few instructions: what a gadget ends with. */
static bool near_gadget(const struct unit *u, const struct part *p, uint32_t i)
{
	for (unsigned steps = 0; steps < 6 && i < p->end; i++) {
		const struct statement *st = &u->statements[i];
		if (!part_code(u, p, st))
			continue;
		const struct instruction *in = st->instruction;
		unsigned control = in->mnemonic ? in->mnemonic->control : CONTROL_NONE;
		if (control == CONTROL_RETURN ||
			((control == CONTROL_CALL || control == CONTROL_JUMP) && in->operands == 1 && in->operand[0].indirect))
			return true;
		if (control == CONTROL_JUMP || control == CONTROL_STOP)
			return false;
		steps++;
	}
	return false;
}

static void encode_part(struct unit *u, struct part *p, struct variant_random *r)
{
	bool glued = true; /* the first one stays an instruction: the function's line begins with it */
	for (uint32_t i = p->label + 1; i < p->end; i++) {
		struct statement *st = &u->statements[i];
		if (st->kind == STATEMENT_DIRECTIVE && st->directive == DIR_DATA && st->section == p->section)
			glued = true;
		if (!part_code(u, p, st))
			continue;
		const struct instruction *in = st->instruction;
		const struct mnemonic *m = in->mnemonic;
		bool fixed = glued || st->glued || !m || in->prefixed || memchr(st->text.at, '@', st->text.length);
		glued = st->glued;
		if (fixed)
			continue;
		if (m->control == CONTROL_RETURN && !in->operands) {
			return_prefix(u, st, r);
			continue;
		}
		bool near = near_gadget(u, p, i);
		bool done = false;
		if (m->operation >= OP_ADD && m->operation <= OP_TEST) {
			bool plus = m->operation == OP_ADD || m->operation == OP_SUB;
			done = two_registers(u, st, r) || immediate(u, st, r, plus && flags_dead_after(u, p, i), near && !st->hot);
		} else if (m->operation >= OP_MOVAPS && m->operation <= OP_MOVDQU) {
			done = vector_move(u, st, r);
		} else if ((m->operation == OP_PUSH || m->operation == OP_POP) && !st->hot) {
			push_or_pop(u, st, r);
		}
		bool segment = false;
		for (unsigned k = 0; k < in->operands; k++)
			segment = segment || in->operand[k].segment;
		if (!done && (m->known & KNOWN_PLAIN) && !segment && !st->hot && variant_random_percent(r, near ? 20 : 2))
			add_redundant_prefix(u, st, r);
	}
}

void assembly_encodings(struct unit *u)
{
	struct variant_random r;
	for (uint32_t i = 0; i < u->part_count; i++) {
		struct part *p = &u->parts[i];
		if (p->plain || p->opaque)
			continue;
		part_random(p, "encodings", &r);
		encode_part(u, p, &r);
	}
}
