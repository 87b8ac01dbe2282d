/* Owns the permutation of callee-saved registers. A function that saves a register may use another callee-saved one in its place, all
 * the way through: its callers and callees see no difference. A register that a function uses without saving it is a
 * variable of the program's or an argument of another calling convention: it stays. */
#include "variant/assembly/unit.h"

#include <string.h>

/* The general register that a CFI directive is about, by our numbers. */
static unsigned cfi_subject(struct slice arguments)
{
	const char *comma = arguments.length ? memchr(arguments.at, ',', arguments.length) : NULL;
	int number;
	if (cfi_register((struct slice){arguments.at, comma ? (uint32_t)(comma - arguments.at) : arguments.length}, &number))
		for (unsigned r = 0; r < 16; r++)
			if (dwarf_numbers[r] == number)
				return r;
	return NO_REGISTER;
}

static unsigned operand_registers(const struct operand *o)
{
	unsigned set = 0;
	if (o->kind == OPERAND_REGISTER && o->reg.class == REG_GENERAL)
		set |= RBIT(o->reg.number);
	if (o->kind == OPERAND_MEMORY)
		set |= (o->base < 16 ? RBIT(o->base) : 0) | (o->index < 16 ? RBIT(o->index) : 0);
	return set;
}

struct usage {
	unsigned used, pushed, popped, stated; /* sets of registers */
	bool cfi;
	bool frame_pointer;
	bool opaque;
};

static bool has(struct slice s, const char *what)
{
	return s.length && memmem(s.at, s.length, what, strlen(what));
}

static void look_at_instruction(struct usage *g, const struct instruction *in)
{
	const struct mnemonic *m = in->mnemonic;
	if (!m || !(m->known & KNOWN_EXPLICIT)) {
		g->opaque = true;
		return;
	}
	unsigned set = 0;
	for (unsigned i = 0; i < in->operands; i++) {
		const struct operand *o = &in->operand[i];
		set |= operand_registers(o);
		/* __x86_indirect_thunk_rbx, __llvm_retpoline_r11, __asan_check_load_add_8_RBX: a name that means a register */
		if (o->kind == OPERAND_SYMBOL && slice_starts(o->symbol, "__") &&
			(has(o->symbol, "thunk") || has(o->symbol, "retpoline") || has(o->symbol, "_check_")))
			g->opaque = true;
	}
	g->used |= set;
	if (m->operation == OP_PUSH && in->operand[0].kind == OPERAND_REGISTER)
		g->pushed |= set;
	if (m->operation == OP_POP && in->operand[0].kind == OPERAND_REGISTER)
		g->popped |= set;
	bool from_sp = in->operands == 2 && in->operand[0].kind == OPERAND_REGISTER && in->operand[0].reg.number == RSP;
	bool to_bp = in->operands == 2 && in->operand[1].kind == OPERAND_REGISTER && in->operand[1].reg.number == RBP;
	bool lea_of_sp = m->operation == OP_LEA && in->operands == 2 && in->operand[0].base == RSP && to_bp;
	if (m->operation == OP_LEAVE || (m->operation == OP_MOV && from_sp && to_bp) || (lea_of_sp && !g->cfi))
		g->frame_pointer = true;
}

static struct usage look_at(const struct unit *u, const struct group *group)
{
	struct usage g = {.cfi = true};
	for (unsigned n = 0; n < group->count; n++) {
		const struct part *p = group->parts[n];
		g.cfi = g.cfi && p->cfi;
		g.opaque = g.opaque || p->plain || p->opaque || p->inline_assembly || p->unknown || p->high_bytes || p->foreign_cfi;
	}
	for (unsigned n = 0; n < group->count && !g.opaque; n++) {
		const struct part *p = group->parts[n];
		for (uint32_t i = p->label; i < p->end; i++) {
			const struct statement *st = &u->statements[i];
			if (part_code(u, p, st))
				look_at_instruction(&g, st->instruction);
			if (st->kind != STATEMENT_DIRECTIVE)
				continue;
			unsigned subject = cfi_subject(st->arguments);
			if (st->directive == DIR_CFI_OFFSET && subject < 16)
				g.stated |= RBIT(subject);
			if ((st->directive == DIR_CFI_DEF_CFA || st->directive == DIR_CFI_DEF_CFA_REGISTER) && subject != RSP) {
				g.frame_pointer = g.frame_pointer || subject == RBP;
				g.opaque = g.opaque || subject != RBP;
			}
		}
	}
	return g;
}

static struct slice rename_registers(struct unit *u, struct slice text, const uint8_t *map)
{
	char out[512];
	uint32_t used = 0;
	bool changed = false;
	for (uint32_t i = 0; i < text.length;) {
		uint32_t n = i + 1;
		struct reg reg;
		if (text.at[i] == '%') {
			while (n < text.length && ((text.at[n] >= 'a' && text.at[n] <= 'z') || (text.at[n] >= '0' && text.at[n] <= '9')))
				n++;
		}
		const char *at = text.at + i;
		uint32_t length = n - i;
		char name[8];
		if (text.at[i] == '%' && register_parse((struct slice){at + 1, length - 1}, &reg) && reg.class == REG_GENERAL &&
			!reg.high && map[reg.number] != reg.number) {
			const char *to = register_name(map[reg.number], reg.bytes);
			length = (uint32_t)strlen(to) + 1;
			name[0] = '%';
			memcpy(name + 1, to, length);
			at = name;
			changed = true;
		}
		if (used + length > sizeof(out))
			return (struct slice){NULL, 0};
		memcpy(out + used, at, length);
		used += length;
		i = n;
	}
	return changed ? arena_copy(&u->arena, (struct slice){out, used}) : text;
}

static void rename_cfi(struct unit *u, struct statement *st, const uint8_t *map)
{
	unsigned subject = cfi_subject(st->arguments);
	if (subject >= 16 || map[subject] == subject)
		return;
	const char *comma = memchr(st->arguments.at, ',', st->arguments.length);
	struct slice tail = comma ? (struct slice){comma, (uint32_t)(st->arguments.at + st->arguments.length - comma)} : SLICE("");
	st->text = arena_format(
		&u->arena, "%.*s %u%.*s", (int)st->name.length, st->name.at, dwarf_numbers[map[subject]], (int)tail.length, tail.at);
	st->arguments = (struct slice){st->text.at + st->name.length + 1, st->text.length - st->name.length - 1};
}

static void permute(struct unit *u, struct group *group, const uint8_t *map)
{
	/* All or nothing: a statement too long for the buffer leaves the function as it is. */
	for (unsigned n = 0; n < group->count; n++)
		for (uint32_t i = group->parts[n]->label; i < group->parts[n]->end; i++)
			if (part_code(u, group->parts[n], &u->statements[i]) && u->statements[i].text.length > 400)
				return;
	for (unsigned n = 0; n < group->count; n++) {
		struct part *p = group->parts[n];
		for (uint32_t i = p->label; i < p->end; i++) {
			struct statement *st = &u->statements[i];
			if (part_code(u, p, st)) {
				struct slice text = rename_registers(u, st->text, map);
				if (text.at != st->text.at) {
					st->text = text;
					statement_decode(u, st);
				}
			} else if (st->kind == STATEMENT_DIRECTIVE &&
				   (st->directive == DIR_CFI_OFFSET || st->directive == DIR_CFI_RESTORE)) {
				rename_cfi(u, st, map);
			}
		}
	}
}

static void permute_group(struct unit *u, struct group *group)
{
	struct usage g = look_at(u, group);
	if (g.opaque)
		return;
	unsigned saved = g.cfi ? g.stated : g.pushed & g.popped;
	unsigned usable = CALLEE_SAVED & ~(g.frame_pointer ? RBIT(RBP) : 0);
	unsigned movable = g.used & saved & usable;
	unsigned pool = usable & (movable | ~g.used);
	uint8_t map[16], free_registers[16];
	unsigned order[16], count = 0, next = 0;
	struct variant_random r;
	for (unsigned i = 0; i < 16; i++) {
		map[i] = (uint8_t)i;
		if (pool & RBIT(i))
			free_registers[count++] = (uint8_t)i;
	}
	if (!movable || count < 2)
		return;
	part_random(group->parts[0], "registers", &r);
	variant_random_order(&r, order, count);
	for (unsigned i = 0; i < 16; i++)
		if (movable & RBIT(i))
			map[i] = free_registers[order[next++]];
	permute(u, group, map);
}

void assembly_registers(struct unit *u)
{
	struct group group;
	for (uint32_t i = 0; i < u->part_count; i++)
		if (part_group(u, i, &group))
			permute_group(u, &group);
}
