/* Owns the padding of frames: what a function keeps in its frame moves away from the saved registers and the return address by a random
 * multiple of 16. Only for frames that are understood altogether: of one fixed size, entered and left by instructions that agree
 * with the unwinder's rules.
 *
 *   from %rsp:  everything below the saved registers keeps its distance from %rsp; what lies above it moves up by the padding
 *   from %rbp:  everything below the saved registers moves down by the padding; what lies above it stays
 *
 * An address that is taken or indexed must therefore be known to belong to one side. It counts as the frame's own if it lies in
 * the frame and the function reads no argument from memory: such an address might be one of an array among the arguments, less a constant. */
#include "variant/assembly/unit.h"

#include <string.h>

struct frame {
	struct unit *u;
	bool by_rbp;
	bool failed;
	bool found;     /* a frame has been allocated */
	bool addresses; /* one is taken, or indexed */
	bool arguments; /* one is read from memory */
	int64_t saved;  /* bytes from the frame's own part up to the canonical frame address: saved registers and the return address */
	int64_t own;    /* bytes of the frame's own part */
	int64_t padding;
	bool edit;
};

static bool is_rsp(const struct operand *o)
{
	return o->kind == OPERAND_REGISTER && o->reg.class == REG_GENERAL && o->reg.number == RSP;
}

static void set_number(struct unit *u, struct statement *st, const struct operand *o, int64_t value)
{
	const char *end = st->text.at + st->text.length;
	struct slice head = {st->text.at, (uint32_t)(o->symbol.at - st->text.at)}, tail = {o->symbol.at + o->symbol.length, 0};
	tail.length = (uint32_t)(end - tail.at);
	if (head.length + tail.length > 900) {
		u->arena.failed = true;
		return;
	}
	st->text = arena_format(&u->arena, "%.*s%lld%.*s", (int)head.length, head.at, (long long)value, (int)tail.length, tail.at);
	statement_decode(u, st);
}

/* A memory operand from the frame's base. depth: from %rsp up to the canonical frame address. */
static void look_at_memory(struct frame *f, struct statement *st, unsigned index, int64_t depth)
{
	const struct instruction *in = st->instruction;
	const struct operand *o = &in->operand[index];
	unsigned op = in->mnemonic->operation;
	bool rbp = o->base == RBP || o->index == RBP, rsp = o->base == RSP;
	if (!(f->by_rbp && rbp) && !rsp)
		return;
	if (o->index == RBP && f->by_rbp) {
		f->failed = true;
		return;
	}
	if (!o->numeric || o->segment) {
		f->failed = true;
		return;
	}
	bool from_rbp = f->by_rbp && o->base == RBP;
	int64_t place = from_rbp ? o->value - 16 : o->value - depth; /* from the canonical frame address */
	bool address = op == OP_LEA || o->index != NO_REGISTER;
	bool restores_rsp = op == OP_LEA && is_rsp(&in->operand[in->operands - 1]);
	bool inside = place < -f->saved;
	if (f->by_rbp && !from_rbp) { /* the lower end: arguments of calls, or locals, and both move with %rsp */
		if (!inside || depth < f->saved + f->own)
			f->failed = true;
		return;
	}
	if (!f->edit) {
		if (restores_rsp)
			f->failed = f->failed || !f->by_rbp || inside;
		else if (address)
			f->addresses = true, f->failed = f->failed || !inside;
		else if (place >= 0)
			f->arguments = true;
		return;
	}
	if (from_rbp ? inside : !inside)
		set_number(f->u, st, o, o->value + (from_rbp ? -f->padding : f->padding));
}

/* Returns how far down the instruction moves %rsp. */
static int64_t look_at_rsp(struct frame *f, struct statement *st, int64_t depth, bool framed)
{
	const struct instruction *in = st->instruction;
	unsigned op = in->mnemonic->operation;
	const struct operand *last = in->operands ? &in->operand[in->operands - 1] : NULL;
	if (op == OP_PUSH || op == OP_POP) {
		if (in->mnemonic->bytes == 2 || (in->operands && is_rsp(&in->operand[0])) ||
			(op == OP_POP && in->operands && in->operand[0].base == RSP))
			f->failed = true;
		int64_t lower = op == OP_PUSH ? depth + 8 : depth - 8; /* may not enter or leave the frame: the padding would be lost */
		if (f->found && framed != (lower >= f->saved + f->own))
			f->failed = true;
		return op == OP_PUSH ? 8 : -8;
	}
	if (op == OP_LEAVE) {
		f->failed = f->failed || !f->by_rbp;
		return 0;
	}
	bool number = in->operands == 2 && in->operand[0].kind == OPERAND_IMMEDIATE && in->operand[0].numeric && is_rsp(last) &&
		      last->reg.bytes == 8;
	if (number && (op == OP_SUB || op == OP_ADD)) {
		int64_t value = in->operand[0].value, down = op == OP_SUB ? value : -value;
		bool allocates = f->found && !framed && depth == f->saved && down == f->own;
		bool releases = f->found && framed && depth == f->saved + f->own && down == -f->own;
		if (!f->found && down > 0) { /* the first one */
			*f = (struct frame){.u = f->u,
				.by_rbp = f->by_rbp,
				.failed = f->failed,
				.found = true,
				.addresses = f->addresses,
				.arguments = f->arguments,
				.saved = depth,
				.own = down};
			allocates = true;
		}
		if (!allocates && !releases && !(framed && depth - (down < 0 ? -down : 0) >= f->saved + f->own))
			f->failed = true;
		if (f->edit && (allocates || releases))
			set_number(f->u, st, &in->operand[0], value < 0 ? value - f->padding : value + f->padding);
		return down;
	}
	for (unsigned i = 0; i < in->operands; i++) {
		if (!is_rsp(&in->operand[i]))
			continue;
		bool source = i + 1 < in->operands;
		bool to_rbp = op == OP_MOV && i == 0 && in->operand[1].kind == OPERAND_REGISTER && in->operand[1].reg.number == RBP;
		if (source && in->operand[i].reg.bytes == 8 && (op == OP_MOV || op == OP_ADD)) {
			if (!(to_rbp && f->by_rbp)) /* the address of the frame's lower end */
				f->addresses = true, f->failed = f->failed || !framed;
		} else if (!(op == OP_LEA && !source)) {
			f->failed = true;
		}
	}
	return 0;
}

static void look_at_cfi(struct frame *f, struct statement *st, const struct cfi_walk *w, bool by_rsp_before)
{
	int64_t offset;
	const char *comma;
	switch (st->directive) {
	case DIR_CFI_OFFSET: /* a register saved by a move, among the locals? */
		comma = memchr(st->arguments.at, ',', st->arguments.length);
		if (!comma ||
			!slice_number(
				slice_trim((struct slice){comma + 1, (uint32_t)(st->arguments.at + st->arguments.length - comma - 1)}),
				&offset) ||
			(f->found && offset < -f->saved))
			f->failed = true;
		return;
	case DIR_CFI_DEF_CFA_OFFSET:
		if (f->edit && !f->by_rbp && w->state.cfa_offset >= f->saved + f->own) {
			st->text = arena_format(&f->u->arena, ".cfi_def_cfa_offset %lld", (long long)(w->state.cfa_offset + f->padding));
			st->arguments = (struct slice){st->text.at + st->name.length + 1, st->text.length - st->name.length - 1};
		}
		f->failed = f->failed || (f->by_rbp && !by_rsp_before);
		return;
	case DIR_CFI_DEF_CFA:
		if (!f->by_rbp && w->state.cfa_offset >= f->saved + f->own)
			f->failed = true; /* rare: not worth a case */
		return;
	default:
		return;
	}
}

/* Walks over one part, with the distance from %rsp to the canonical frame address. With a frame pointer that distance is followed from
 * instruction to instruction, since the rules no longer tell it. */
static void walk_part(struct frame *f, struct part *p, bool main_part)
{
	struct unit *u = f->u;
	struct cfi_walk w = {.state = CFI_AT_ENTRY};
	int64_t depth = 8;
	bool follows = main_part; /* the last instruction leads here, and depth is what it left */
	bool rbp_frame = false;
	for (uint32_t i = p->label; i < p->end && !f->failed; i++) {
		struct statement *st = &u->statements[i];
		if (st->section != p->section)
			continue;
		if (st->kind == STATEMENT_DIRECTIVE) {
			bool by_rsp = w.state.cfa_register == 7;
			struct cfi_walk before = w;
			if (!cfi_step(&w, st)) {
				f->failed = true;
				return;
			}
			look_at_cfi(f, st, &w, by_rsp);
			if (before.state.cfa_register == 7 && w.state.cfa_register == 6) {
				f->failed = f->failed || !f->by_rbp || w.state.cfa_offset != 16 || depth != 16;
				rbp_frame = true;
			}
			continue;
		}
		if (!part_code(u, p, st))
			continue;
		bool by_rbp_now = w.state.cfa_register == 6;
		if (!by_rbp_now) {
			if (follows && depth != w.state.cfa_offset && !(f->by_rbp && !f->found))
				f->failed = true;
			depth = w.state.cfa_offset;
			rbp_frame = false;
		} else if (!follows || !rbp_frame) {
			depth = f->saved + f->own; /* after a jump: within the frame, at its usual depth */
			rbp_frame = true;
		}
		bool framed = f->found && depth >= f->saved + f->own;
		if (f->found && depth > f->saved && !framed)
			f->failed = true;
		const struct mnemonic *m = st->instruction->mnemonic;
		if (m->operation == OP_LEAVE) {
			follows = false;
			look_at_rsp(f, st, depth, framed);
			continue;
		}
		for (unsigned k = 0; k < st->instruction->operands; k++)
			if (st->instruction->operand[k].kind == OPERAND_MEMORY && (framed || (f->by_rbp && by_rbp_now)))
				look_at_memory(f, st, k, depth);
		bool lea_to_rsp = m->operation == OP_LEA && st->instruction->operands == 2 && is_rsp(&st->instruction->operand[1]);
		depth += look_at_rsp(f, st, depth, framed);
		/* leaq -40(%rbp), %rsp: only the saved registers are left */
		if (lea_to_rsp)
			depth = f->by_rbp && st->instruction->operand[0].base == RBP ? 16 - st->instruction->operand[0].value : depth;
		follows = !(m->control == CONTROL_JUMP || m->control == CONTROL_RETURN || m->control == CONTROL_STOP);
	}
}

static bool saved_rbp_first(const struct unit *u, const struct part *p)
{
	for (uint32_t i = p->label; i < p->end; i++) {
		const struct statement *st = &u->statements[i];
		if (!part_code(u, p, st) || st->instruction->mnemonic->operation == OP_ENDBR)
			continue;
		return st->instruction->mnemonic->operation == OP_PUSH && st->instruction->operand[0].kind == OPERAND_REGISTER &&
		       st->instruction->operand[0].reg.number == RBP;
	}
	return false;
}

static bool uses_frame_pointer(const struct unit *u, const struct part *p)
{
	for (uint32_t i = p->label; i < p->end; i++) {
		const struct statement *st = &u->statements[i];
		if (st->kind == STATEMENT_DIRECTIVE && (st->directive == DIR_CFI_DEF_CFA_REGISTER || st->directive == DIR_CFI_DEF_CFA) &&
			!slice_starts(st->arguments, "7") && !slice_starts(st->arguments, "%rsp"))
			return true;
	}
	return false;
}

static void pad_frame(struct unit *u, struct group *group)
{
	struct frame f = {.u = u};
	for (unsigned n = 0; n < group->count; n++) {
		const struct part *p = group->parts[n];
		if (p->plain || p->opaque || p->inline_assembly || p->unknown || p->foreign_cfi || !p->cfi)
			return;
		f.by_rbp = f.by_rbp || uses_frame_pointer(u, p);
	}
	if (f.by_rbp && (!saved_rbp_first(u, group->parts[0]) || group->count > 1))
		return;
	/* Twice: what a first look finds out about the frame may concern instructions before it */
	for (unsigned pass = 0; pass < 2; pass++)
		for (unsigned n = 0; n < group->count && !f.failed; n++)
			walk_part(&f, group->parts[n], n == 0);
	if (f.failed || !f.found || (f.addresses && f.arguments) || f.own > 1 << 20)
		return;
	struct variant_random r;
	part_random(group->parts[0], "stack", &r);
	/* Few enough that one byte still reaches most of a small frame */
	f.padding = 16 * (int64_t)variant_random_below(&r, f.own <= 64 ? 4 : 16);
	f.edit = f.padding != 0;
	for (unsigned n = 0; n < group->count && f.edit; n++)
		walk_part(&f, group->parts[n], n == 0);
}

void assembly_stack(struct unit *u)
{
	struct group group;
	for (uint32_t i = 0; i < u->part_count; i++)
		if (part_group(u, i, &group))
			pad_frame(u, &group);
}
