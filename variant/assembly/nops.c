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

/* One NOP of 1 to 11 bytes: 0f 1f /0 with any memory operand, which is never accessed. Appends to out. */
static unsigned one_nop(struct variant_random *r, unsigned length, uint8_t *out)
{
	static const uint8_t registers[] = {0, 1, 2, 3, 6, 7}; /* as base: neither a SIB byte nor %rip */
	unsigned n = 0, rm = registers[variant_random_below(r, sizeof(registers))];
	if (length == 1)
		return out[0] = 0x90, 1;
	if (length == 2)
		return out[0] = 0x66, out[1] = 0x90, 2;
	while (length - n > 8)
		out[n++] = 0x66;
	if (length == 6)
		out[n++] = 0x66;
	unsigned left = length - n;
	out[n++] = 0x0f;
	out[n++] = 0x1f;
	unsigned displacement = left >= 7 ? 4 : left >= 4 ? 1 : 0;
	bool sib = left == 5 || left == 8;
	out[n++] = (uint8_t)((displacement == 4 ? 0x80 : displacement ? 0x40 : 0) | (sib ? 4 : rm));
	if (sib)
		out[n++] = (uint8_t)(variant_random_below(r, 4) << 6 | variant_random_below(r, 4) << 3 | rm);
	for (unsigned i = 0; i < displacement; i++)
		out[n++] = harmless_byte(r);
	return n;
}

static struct slice bytes_text(struct unit *u, const uint8_t *bytes, unsigned count)
{
	char text[8 + 16 * 5];
	unsigned used = (unsigned)snprintf(text, sizeof(text), ".byte ");
	for (unsigned i = 0; i < count && used + 6 < sizeof(text); i++)
		used += (unsigned)snprintf(text + used, sizeof(text) - used, i ? ",%u" : "%u", bytes[i]);
	return arena_copy(&u->arena, (struct slice){text, used});
}

static void insert_nop(struct unit *u, struct statement *st, struct variant_random *r, unsigned length)
{
	uint8_t bytes[16];
	while (length) {
		unsigned now = length > 11 ? (length + 1) / 2 : length;
		now = now > 11 ? 11 : now;
		statement_insert(u, st, bytes_text(u, bytes, one_nop(r, now, bytes)));
		length -= now;
	}
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
