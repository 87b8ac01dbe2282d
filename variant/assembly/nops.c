/* Owns instructions without effect: NOPs between instructions, the pad at a function's entry, redundant prefixes. All of them keep
 * registers, flags and memory, the red zone below the stack pointer included. */
#include "variant/assembly/unit.h"

#include <stdio.h>
#include <string.h>

/* Bytes of random content: none that ends a gadget or enters the kernel, so that filling adds nothing for an attacker. */
static uint8_t harmless_byte(struct variant_random *r)
{
	for (;;) {
		uint8_t b = (uint8_t)variant_random_below(r, 256);
		bool bad = b == 0xc2 || b == 0xc3 || b == 0xca || b == 0xcb || b == 0xcc || b == 0xcd || b == 0xff || b == 0x0f ||
			   b == 0xe8 || b == 0xe9 || b == 0xeb;
		if (!bad)
			return b;
	}
}

/* One NOP of 1 to 9 bytes: with any memory operand, which is never accessed. An instruction, not bytes, so that the line of a .loc before it
 * begins with it. */
static struct slice one_nop(struct unit *u, struct variant_random *r, unsigned length)
{
	static const char *const bases[] = {"rax", "rcx", "rdx", "rbx", "rsi", "rdi"}; /* the first four are indexes, too */
	const char *base = bases[variant_random_below(r, VB_ARRAY_LEN(bases))], *index = bases[variant_random_below(r, 4)];
	unsigned scale = 1u << variant_random_below(r, 4);
	if (length <= 2)
		return length == 1 ? SLICE("nop") : SLICE("xchgw %ax, %ax");
	int32_t displacement = 0;
	while (length >= 4 && length <= 6 && !displacement)
		displacement = (int8_t)harmless_byte(r);
	while (length >= 7 && displacement >= -128 && displacement <= 127) {
		uint32_t value = 0;
		for (unsigned i = 0; i < 4; i++)
			value = value << 8 | harmless_byte(r);
		displacement = (int32_t)value;
	}
	char shown[16] = "";
	if (displacement)
		snprintf(shown, sizeof(shown), "%d", displacement);
	if (length == 3 || length == 4 || length == 7)
		return arena_format(&u->arena, "nopl %s(%%%s)", shown, base);
	return arena_format(&u->arena, "nop%c %s(%%%s,%%%s,%u)", length == 6 || length == 9 ? 'w' : 'l', shown, base, index, scale);
}

static void insert_nop(struct unit *u, struct statement *st, struct variant_random *r, unsigned length)
{
	if (length)
		statement_insert(u, st, one_nop(u, r, length));
}

#define ENTRY_PAD_MAX 9 /* bytes: one instruction */

static void pad_part(struct unit *u, struct part *p, struct variant_random *r)
{
	bool entry = true, glued = false, flags = false;
	for (uint32_t i = p->first; i < p->end; i++) {
		struct statement *st = &u->statements[i];
		if (st->section != p->section)
			continue;
		if (st->kind == STATEMENT_INLINE)
			entry = flags = false;
		if (st->kind == STATEMENT_DIRECTIVE && st->directive == DIR_DATA)
			entry = false, glued = true;
		if (!part_code(u, p, st))
			continue;
		const struct mnemonic *m = st->instruction->mnemonic;
		if (m && m->operation == OP_ENDBR)
			continue;
		bool here =
			!glued && !(flags && m && m->control == CONTROL_BRANCH); /* a compare and its branch are one for the processor */
		if (entry && here)
			insert_nop(u, st, r, (unsigned)variant_random_below(r, ENTRY_PAD_MAX + 1));
		else if (here && !st->hot && variant_random_percent(r, u->options->nop_percent))
			insert_nop(u, st, r,
				1 + (unsigned)variant_random_below(
					    r, variant_random_below(r, 4) ? 2 : 4)); /* short ones: text is dearer than time */
		entry = false;
		glued = st->glued;
		flags = m && m->flags & (FLAGS_SET | FLAGS_CHANGED);
	}
}

void assembly_nops(struct unit *u)
{
	struct variant_random r;
	for (uint32_t i = 0; i < u->part_count; i++) {
		struct part *p = &u->parts[i];
		if (p->plain || p->opaque)
			continue;
		part_random(p, "nops", &r);
		pad_part(u, p, &r);
	}
}
