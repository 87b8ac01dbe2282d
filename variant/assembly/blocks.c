/* Owns the order of a function's chunks (runs of blocks that end in a jump or a return, so that nothing falls out of them) and
 * the booby traps between them. Costs no instruction: the path through a chunk stays as the compiler laid it out.
 *
 * The unwinder's rules are stated in the order of the text, so each chunk that has moved begins by stating what differs from
 * the chunk that lies before it now. */
#include "variant/assembly/unit.h"

#include <string.h>

struct chunk {
	uint32_t first, end; /* statements */
	bool code, terminated, hot;
	struct cfi_state in, out;
};

/* Inserts in front of st what turns `from` into `to`. */
static void cfi_insert_difference(struct unit *u, struct statement *st, const struct cfi_state *from, const struct cfi_state *to)
{
	if (from->cfa_register != to->cfa_register)
		statement_insert(u, st, arena_format(&u->arena, ".cfi_def_cfa %d, %lld", to->cfa_register, (long long)to->cfa_offset));
	else if (from->cfa_offset != to->cfa_offset)
		statement_insert(u, st, arena_format(&u->arena, ".cfi_def_cfa_offset %lld", (long long)to->cfa_offset));
	for (int r = 0; r < CFI_REGISTERS; r++) {
		if (to->saved[r] && (!from->saved[r] || from->offset[r] != to->offset[r]))
			statement_insert(u, st, arena_format(&u->arena, ".cfi_offset %d, %lld", r, (long long)to->offset[r]));
		else if (!to->saved[r] && from->saved[r])
			statement_insert(u, st, arena_format(&u->arena, ".cfi_restore %d", r));
	}
}

static bool is_cfi_rule(const struct statement *st)
{
	return st->kind == STATEMENT_DIRECTIVE && st->directive >= DIR_CFI_DEF_CFA && st->directive <= DIR_CFI_RESTORE_STATE;
}

static bool leaves(const struct unit *u, const struct part *p, const struct statement *st)
{
	if (!part_code(u, p, st) || !st->instruction->mnemonic || st->glued)
		return false;
	unsigned control = st->instruction->mnemonic->control;
	return control == CONTROL_JUMP || control == CONTROL_RETURN || control == CONTROL_STOP;
}

/* A label that only debugging information uses stays behind what it was written behind. */
static bool is_mark(const struct unit *u, const struct part *p, const struct statement *st)
{
	if (st->kind != STATEMENT_LABEL || st->section != p->section ||
		!(slice_starts(st->name, ".Ltmp") || slice_starts(st->name, ".LVL") || slice_starts(st->name, ".LBE")))
		return false;
	const struct label_entry *e = unit_label((struct unit *)u, st->name, false);
	return e && !e->code;
}

/* The chunks of a part, the tail that has no code included: what lies from the first chunk's start to p->end. */
static struct chunk *find_chunks(struct unit *u, const struct part *p, unsigned *ret_count)
{
	unsigned count = 1, n = 0;
	for (uint32_t i = p->label + 1; i < p->end; i++)
		count += leaves(u, p, &u->statements[i]);
	struct chunk *chunks = arena_take(&u->arena, count * sizeof(*chunks));
	if (!chunks || u->arena.failed)
		return NULL;
	chunks[0].first = p->label + 1;
	for (uint32_t i = p->label + 1; i < p->end; i++) {
		struct statement *st = &u->statements[i];
		struct chunk *c = &chunks[n];
		if (part_code(u, p, st)) {
			c->hot = c->code ? c->hot : st->hot;
			c->code = true;
		}
		c->code = c->code || st->kind == STATEMENT_INLINE;
		if (!leaves(u, p, st))
			continue;
		c->terminated = true;
		while (i + 1 < p->end && is_mark(u, p, &u->statements[i + 1]))
			i++;
		c->end = i + 1;
		chunks[++n].first = i + 1;
	}
	chunks[n].end = p->end;
	*ret_count = n + 1;
	return chunks;
}

/* Finds the unwinder's state at both ends of each chunk. Changes nothing yet. */
static bool follow_cfi(const struct unit *u, const struct part *p, struct chunk *chunks, unsigned count)
{
	struct cfi_walk w = {.state = CFI_AT_ENTRY};
	for (unsigned c = 0; c < count; c++) {
		bool code = false;
		for (uint32_t i = chunks[c].first; i < chunks[c].end; i++) {
			const struct statement *st = &u->statements[i];
			if (st->kind == STATEMENT_DIRECTIVE && st->section == p->section) {
				if (!cfi_step(&w, st) || (st->directive == DIR_CFI_STARTPROC && (c || code)))
					return false;
			}
			if (!code && (part_code(u, p, st) || st->kind == STATEMENT_INLINE)) {
				code = true;
				chunks[c].in = w.state;
			}
		}
		if (!code)
			chunks[c].in = w.state;
		chunks[c].out = w.state;
	}
	return true;
}

/* Rules that refer to a stack of states become plain ones; those at a chunk's start are restated by place_chunk(). */
static void flatten_cfi(struct unit *u, const struct part *p, struct chunk *chunks, unsigned count)
{
	struct cfi_walk w = {.state = CFI_AT_ENTRY};
	for (unsigned c = 0; c < count; c++) {
		bool code = false;
		for (uint32_t i = chunks[c].first; i < chunks[c].end; i++) {
			struct statement *st = &u->statements[i];
			code = code || part_code(u, p, st) || st->kind == STATEMENT_INLINE;
			if (st->kind != STATEMENT_DIRECTIVE || st->section != p->section)
				continue;
			struct cfi_state before = w.state;
			cfi_step(&w, st);
			if (!is_cfi_rule(st))
				continue;
			if (c && !code)
				st->deleted = true;
			else if (st->directive == DIR_CFI_REMEMBER)
				st->deleted = true;
			else if (st->directive == DIR_CFI_RESTORE_STATE) {
				cfi_insert_difference(u, st, &before, &w.state);
				st->deleted = true;
			}
		}
	}
}

static void insert_traps(struct unit *u, const struct part *p, struct statement *st, struct variant_random *r)
{
	/* Mostly few: they cost text. */
	unsigned traps = (unsigned)variant_random_below(r, variant_random_below(r, 8) ? 3 : 9);
	if (!traps || st->section != p->section)
		return;
	char text[16 * 4];
	unsigned used = 0;
	for (unsigned i = 0; i < traps; i++) {
		memcpy(text + used, i ? ",204" : "204", i ? 4 : 3);
		used += i ? 4 : 3;
	}
	statement_insert(u, st, arena_format(&u->arena, ".byte %.*s", (int)used, text));
}

/* Alignment is for loops that run often; elsewhere it would only bring code back to a place that can be guessed. */
static void drop_alignment(struct unit *u, const struct part *p)
{
	bool hot = false;
	for (uint32_t i = p->end; i-- > p->label + 1;) {
		struct statement *st = &u->statements[i];
		if (part_code(u, p, st) || st->kind == STATEMENT_INLINE)
			hot = st->hot;
		if (st->kind == STATEMENT_DIRECTIVE && st->directive == DIR_ALIGN && st->section == p->section && !hot)
			st->deleted = true;
	}
}

/* Files are numbered where they are first used, which may come later now: they go in front of the function. */
static void hoist_files(struct unit *u, const struct part *p)
{
	for (uint32_t i = p->label + 1; i < p->end; i++) {
		struct statement *st = &u->statements[i];
		if (st->kind != STATEMENT_DIRECTIVE || !slice_is(st->name, ".file"))
			continue;
		st->deleted = true;
		statement_insert(u, &u->statements[p->label], st->text);
	}
}

static void shuffle_part(struct unit *u, struct part *p)
{
	unsigned count, order[4096];
	struct chunk *chunks = find_chunks(u, p, &count);
	if (!chunks)
		return;
	struct variant_random r;
	bool traps = variant_wants(u->options, VARIANT_TRAPS);
	bool blocks = variant_wants(u->options, VARIANT_BLOCKS) && !p->lsda && !(p->foreign_cfi && p->cfi) && count < VB_ARRAY_LEN(order);
	drop_alignment(u, p);
	/* The first stays, and so does a last one that doesn't end in a jump: control may leave it only in ways not known here. */
	unsigned movable = count - 1 - !chunks[count - 1].terminated;
	if (count < 2)
		movable = 0;
	blocks = blocks && movable > 1 && (!p->cfi || follow_cfi(u, p, chunks, count));
	for (unsigned c = 0; c < count && c < VB_ARRAY_LEN(order); c++)
		order[c] = c;
	if (blocks) {
		hoist_files(u, p);
		if (p->cfi)
			flatten_cfi(u, p, chunks, count);
		part_random(p, "blocks", &r);
		variant_random_order(&r, order + 1, movable);
		for (unsigned c = 1; c <= movable; c++)
			order[c]++;
	}
	part_random(p, "traps", &r);
	uint32_t at = chunks[0].end;
	for (unsigned k = 1; k < count; k++) {
		struct chunk *c = &chunks[blocks ? order[k] : k];
		if (traps && c->first < c->end)
			insert_traps(u, p, &u->statements[c->first], &r);
		if (!blocks)
			continue;
		if (p->cfi && c->first < c->end)
			cfi_insert_difference(u, &u->statements[c->first], &chunks[order[k - 1]].out, &c->in);
		for (uint32_t i = c->first; i < c->end; i++)
			u->order[at++] = i;
	}
}

void assembly_blocks(struct unit *u)
{
	for (uint32_t i = 0; i < u->part_count; i++)
		if (!u->parts[i].plain && !u->parts[i].opaque)
			shuffle_part(u, &u->parts[i]);
}
