/* Owns the analysis of frames: where the stack pointer stands at each instruction, which registers point into the frame, and so
 * which instructions use which part of it. Abstract interpretation over the function's control flow. */
#include "variant/chaff/code.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/error.h"

int frame_follow(struct code *c, struct vb_error *err);

static bool same(struct place a, struct place b)
{
	return a.from == b.from && (a.from == PLACE_UNKNOWN || a.offset == b.offset);
}

/* Merges `in` into the frame in front of an instruction. Has it changed? */
static bool merge(struct frame *to, const struct frame *in)
{
	bool changed = false;
	for (unsigned r = 0; r < CODE_REGISTERS; r++) {
		if (to->registers[r].from == PLACE_UNSEEN) {
			to->registers[r] = in->registers[r];
			changed = true;
		} else if (!same(to->registers[r], in->registers[r]) && to->registers[r].from != PLACE_UNKNOWN) {
			to->registers[r] = (struct place){PLACE_UNKNOWN, 0};
			changed = true;
		}
	}
	return changed;
}

static bool is_register(const ZydisDecodedOperand *o, unsigned bits)
{
	return o->type == ZYDIS_OPERAND_TYPE_REGISTER && code_register(o->reg.value) >= 0 && o->size == bits;
}

static struct place of_memory(const struct frame *f, const ZydisDecodedOperand *o)
{
	int base = code_register(o->mem.base);
	struct place p = {PLACE_UNKNOWN, 0};
	if (base >= 0 && (o->mem.segment == ZYDIS_REGISTER_SS || o->mem.segment == ZYDIS_REGISTER_DS))
		p = f->registers[base];
	p.offset += o->mem.disp.has_displacement ? o->mem.disp.value : 0;
	return p;
}

/* What instructions that compute places leave in their first operand; false: it isn't one of these. */
static bool computes(struct code *c, const struct instruction *i, const struct frame *f, struct place *ret)
{
	const ZydisDecodedOperand *to = &i->operands[0], *from = &i->operands[1];
	if (i->is.operand_count_visible < 2 || !is_register(to, 64))
		return false;
	struct place old = f->registers[code_register(to->reg.value)];
	switch (i->is.mnemonic) {
	case ZYDIS_MNEMONIC_MOV:
		if (!is_register(from, 64))
			return false;
		*ret = f->registers[code_register(from->reg.value)];
		return true;
	case ZYDIS_MNEMONIC_LEA:
		*ret = of_memory(f, from);
		if (from->mem.index != ZYDIS_REGISTER_NONE)
			ret->from = PLACE_UNKNOWN;
		return true;
	case ZYDIS_MNEMONIC_ADD:
	case ZYDIS_MNEMONIC_SUB:
		if (from->type != ZYDIS_OPERAND_TYPE_IMMEDIATE)
			return false;
		*ret = old;
		ret->offset += i->is.mnemonic == ZYDIS_MNEMONIC_ADD ? from->imm.value.s : -from->imm.value.s;
		return true;
	case ZYDIS_MNEMONIC_AND:
		if (from->type != ZYDIS_OPERAND_TYPE_IMMEDIATE || code_register(to->reg.value) != CODE_RSP || old.from != PLACE_ENTRY ||
			from->imm.value.s >= 0 || (c->align && (c->align != -from->imm.value.s || c->aligned_from != old.offset)))
			return false;
		c->align = -from->imm.value.s;
		c->aligned_from = old.offset;
		*ret = (struct place){PLACE_ALIGNED, 0};
		return true;
	default:
		return false;
	}
}

static void step(struct code *c, const struct instruction *i, struct frame *f)
{
	struct place result, rsp = f->registers[CODE_RSP], rbp = f->registers[CODE_RBP];
	bool computed = computes(c, i, f, &result);
	for (unsigned o = 0; o < i->is.operand_count; o++) {
		const ZydisDecodedOperand *operand = &i->operands[o];
		int r = operand->type == ZYDIS_OPERAND_TYPE_REGISTER ? code_register(operand->reg.value) : -1;
		if (r >= 0 && operand->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE)
			f->registers[r].from = PLACE_UNKNOWN;
	}
	if (computed)
		f->registers[code_register(i->operands[0].reg.value)] = result;
	switch (i->is.mnemonic) {
	case ZYDIS_MNEMONIC_PUSH:
	case ZYDIS_MNEMONIC_PUSHFQ:
		f->registers[CODE_RSP] = rsp;
		f->registers[CODE_RSP].offset -= 8;
		break;
	case ZYDIS_MNEMONIC_POP:
	case ZYDIS_MNEMONIC_POPFQ:
		f->registers[CODE_RSP] = rsp;
		f->registers[CODE_RSP].offset += 8;
		break;
	case ZYDIS_MNEMONIC_LEAVE:
		f->registers[CODE_RSP] = rbp;
		f->registers[CODE_RSP].offset += 8;
		break;
	case ZYDIS_MNEMONIC_CALL:
		f->registers[CODE_RSP] = rsp;
		static const unsigned lost[] = {0, 1, 2, 6, 7, 8, 9, 10, 11}; /* by the calling convention */
		for (unsigned r = 0; r < sizeof(lost) / sizeof(lost[0]); r++)
			f->registers[lost[r]].from = PLACE_UNKNOWN;
		break;
	default:
		break;
	}
}

struct work {
	unsigned *list, count;
	bool *queued;
};

static void flow_to(struct code *c, struct work *w, const struct instruction *to, const struct frame *f)
{
	if (!to)
		return;
	unsigned n = (unsigned)(to - c->instructions);
	if (merge(&c->frames[n], f) && !w->queued[n]) {
		w->queued[n] = true;
		w->list[w->count++] = n;
	}
}

static int follow(struct code *c, struct work *w, struct vb_error *err)
{
	while (w->count) {
		unsigned n = w->list[--w->count];
		w->queued[n] = false;
		const struct instruction *i = &c->instructions[n];
		struct frame f = c->frames[n];
		step(c, i, &f);
		uint64_t to = i->is.mnemonic == ZYDIS_MNEMONIC_CALL ? 0 : code_target(i);
		if (to && to - c->address < c->bytes && !code_at(c, to))
			return vb_error_set(err, -EINVAL, "a jump at 0x%lx leads into an instruction", i->address);
		if (to)
			flow_to(c, w, code_at(c, to), &f);
		if (!code_ends(i))
			flow_to(c, w, code_at(c, i->address + i->is.length), &f);
		/* A jump table: its targets are found as what nothing else leads to. */
		if (i->is.mnemonic == ZYDIS_MNEMONIC_JMP && !to) {
			for (unsigned k = 1; k < c->count; k++) {
				if (code_ends(&c->instructions[k - 1]) && c->frames[k].registers[CODE_RSP].from == PLACE_UNSEEN)
					flow_to(c, w, &c->instructions[k], &f);
			}
		}
	}
	return 0;
}

int frame_follow(struct code *c, struct vb_error *err)
{
	struct work w = {calloc(c->count + 1, sizeof(*w.list)), 0, calloc(c->count + 1, 1)};
	struct frame entry = {0};
	int r = 0;
	c->frames = calloc(c->count, sizeof(*c->frames));
	if (!c->frames || !w.list || !w.queued)
		r = vb_error_set(err, -ENOMEM, "no memory left");
	for (unsigned n = 0; r == 0 && n < c->count; n++)
		for (unsigned g = 0; g < CODE_REGISTERS; g++)
			c->frames[n].registers[g].from = PLACE_UNSEEN;
	entry.registers[CODE_RSP] = (struct place){PLACE_ENTRY, 0};
	if (r == 0) {
		flow_to(c, &w, &c->instructions[0], &entry);
		r = follow(c, &w, err);
	}
	free(w.list), free(w.queued);
	return r;
}

/* --- who uses a part of the frame --- */

/* As offsets from the stack pointer at entry, exact if both are from the same. */
static bool overlap(const struct code *c, struct place a, int64_t a_bytes, struct place b, int64_t b_bytes)
{
	if (a.from == b.from)
		return a.offset < b.offset + b_bytes && b.offset < a.offset + a_bytes;
	struct place aligned = a.from == PLACE_ALIGNED ? a : b, entry = a.from == PLACE_ALIGNED ? b : a;
	int64_t aligned_bytes = a.from == PLACE_ALIGNED ? a_bytes : b_bytes, entry_bytes = a.from == PLACE_ALIGNED ? b_bytes : a_bytes;
	int64_t low = c->aligned_from - (c->align - 1) + aligned.offset, high = c->aligned_from + aligned.offset + aligned_bytes;
	return entry.offset < high && low < entry.offset + entry_bytes;
}

static bool known(struct place p)
{
	return p.from == PLACE_ENTRY || p.from == PLACE_ALIGNED;
}

static bool operand_uses(const struct code *c, const struct instruction *i, const ZydisDecodedOperand *o, const struct frame *f,
	struct place p, int64_t size)
{
	if (o->type == ZYDIS_OPERAND_TYPE_REGISTER) {
		/* Whoever reads a register that points into it may do so for anything; rsp may stand right below. */
		int r = code_register(o->reg.value);
		return r >= 0 && r != CODE_RSP && o->actions & ZYDIS_OPERAND_ACTION_MASK_READ && known(f->registers[r]) &&
		       overlap(c, f->registers[r], 1, p, size);
	}
	if (o->type != ZYDIS_OPERAND_TYPE_MEMORY)
		return false;
	struct place at = of_memory(f, o);
	int64_t bytes = o->size / 8;
	if (i->is.mnemonic == ZYDIS_MNEMONIC_LEA || o->mem.index != ZYDIS_REGISTER_NONE || !bytes)
		bytes = 1;
	if (o->visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN && code_register(o->mem.base) == CODE_RSP &&
		(i->is.mnemonic == ZYDIS_MNEMONIC_PUSH || i->is.mnemonic == ZYDIS_MNEMONIC_CALL))
		at.offset -= 8;
	return known(at) && overlap(c, at, bytes, p, size);
}

bool code_uses(const struct code *c, struct place p, uint64_t size, const bool *own, struct vb_error *why)
{
	struct place caller = {PLACE_ENTRY, 0};
	if (!known(p)) {
		vb_error_set(why, 0, "where its memory lies in the frame can't be told");
		return true;
	}
	if (overlap(c, p, (int64_t)size, caller, INT32_MAX)) {
		vb_error_set(why, 0, "its memory reaches into the caller's frame");
		return true;
	}
	for (unsigned n = 0; n < c->count; n++) {
		const struct instruction *i = &c->instructions[n];
		const struct frame *f = &c->frames[n];
		if (own[n] || f->registers[CODE_RSP].from == PLACE_UNSEEN)
			continue;
		if (!known(f->registers[CODE_RSP])) {
			vb_error_set(why, 0, "the stack pointer is unknown at 0x%lx", i->address);
			return true;
		}
		for (unsigned o = 0; o < i->is.operand_count; o++) {
			if (operand_uses(c, i, &i->operands[o], f, p, (int64_t)size)) {
				vb_error_set(why, 0, "its memory is used at 0x%lx", i->address);
				return true;
			}
		}
	}
	return false;
}
