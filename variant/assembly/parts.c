/* Owns what is found out about functions before anything is changed: where their parts lie, what makes them ineligible, which of their
 * instructions are in hot loops. */
#include "variant/assembly/unit.h"

#include <stdlib.h>
#include <string.h>

bool part_code(const struct unit *u, const struct part *p, const struct statement *st)
{
	return st->section == p->section && st->kind == STATEMENT_INSTRUCTION && !st->deleted;
}

void part_random(const struct part *p, const char *transformation, struct variant_random *r)
{
	variant_random_fork(r, &p->random, transformation, strlen(transformation));
}

void statement_insert(struct unit *u, struct statement *st, struct slice text)
{
	struct insertion *i = arena_take(&u->arena, sizeof(*i));
	i->text = text;
	i->next = NULL;
	*(st->before ? st->before_end : &st->before) = i;
	st->before_end = &i->next;
}

static bool contains(struct slice s, const char *what)
{
	return s.length && memmem(s.at, s.length, what, strlen(what));
}

static struct slice root_of(struct slice name)
{
	static const char *const endings[] = {".cold", ".__part.", ".eh"};
	for (uint32_t i = 1; i < name.length; i++)
		if (name.at[i] == '.')
			for (unsigned e = 0; e < VB_ARRAY_LEN(endings); e++)
				if (slice_starts((struct slice){name.at + i, name.length - i}, endings[e]))
					return (struct slice){name.at, i};
	return name;
}

static void inspect_statement(struct unit *u, struct part *p, const struct statement *st)
{
	if (st->kind == STATEMENT_INLINE) {
		p->inline_assembly = true;
		static const char *const moves[] = {
			"section", ".text", ".data", ".bss", ".previous", ".org", ".macro", ".rept", ".if", ".code"};
		for (unsigned i = 0; i < VB_ARRAY_LEN(moves); i++)
			p->opaque = p->opaque || contains(st->text, moves[i]);
		p->foreign_cfi = p->foreign_cfi || contains(st->text, ".cfi");
		return;
	}
	if (st->kind == STATEMENT_DIRECTIVE) {
		/* Bytes within code are prefixes of a TLS sequence; anything longer is data. */
		if (st->directive == DIR_DATA && st->section == p->section && !slice_is(st->name, ".byte") && !slice_is(st->name, ".value"))
			p->opaque = true;
		p->opaque = p->opaque || st->directive == DIR_OPAQUE || contains(st->arguments, "__patchable_function_entries") ||
			    contains(st->arguments, "xray_");
		p->foreign_cfi = p->foreign_cfi || st->directive == DIR_CFI_OTHER;
		p->lsda = p->lsda || st->directive == DIR_CFI_LSDA;
		return;
	}
	if (!part_code(u, p, st))
		return;
	const struct instruction *in = st->instruction;
	p->unknown = p->unknown || !in->mnemonic;
	p->flags_written = p->flags_written || (in->mnemonic && in->mnemonic->flags & (FLAGS_SET | FLAGS_CHANGED));
	for (unsigned i = 0; i < in->operands; i++)
		p->high_bytes = p->high_bytes || (in->operand[i].kind == OPERAND_REGISTER && in->operand[i].reg.high);
	/* A jump by a byte can't reach further, and only a person writes one. */
	p->opaque = p->opaque || slice_starts(in->name, "loop") || slice_is(in->name, "jrcxz") || slice_is(in->name, "jecxz") ||
		    slice_is(in->name, "xbegin");
}

/* "NAME, ..." */
static bool names_first(struct slice arguments, struct slice name)
{
	return arguments.length > name.length && memcmp(arguments.at, name.at, name.length) == 0 && arguments.at[name.length] == ',';
}

/* The part that starts with the label at statement i. */
static void read_part(struct unit *u, struct part *p, uint32_t i)
{
	const struct statement *label = &u->statements[i];
	*p = (struct part){.name = label->name, .root = root_of(label->name), .first = i, .label = i, .section = label->section};
	p->plain = slice_starts(u->sections[p->section].name, VARIANT_PLAIN_SECTION);
	/* gcc says so before the label of a cold part */
	for (uint32_t k = i;
		k-- > 0 && i - k < 12 && u->statements[k].kind == STATEMENT_DIRECTIVE && u->statements[k].directive != DIR_CFI_ENDPROC;) {
		p->cfi = p->cfi || u->statements[k].directive == DIR_CFI_STARTPROC;
		p->lsda = p->lsda || u->statements[k].directive == DIR_CFI_LSDA;
	}
	uint32_t k = i + 1;
	for (; k < u->count; k++) {
		const struct statement *st = &u->statements[k];
		bool own = st->section == p->section;
		if (!own && u->sections[st->section].executable)
			break;
		if (own && st->kind == STATEMENT_LABEL) {
			const struct label_entry *e = unit_label(u, st->name, false);
			if (e && e->function)
				break;
		}
		if (own && st->kind == STATEMENT_DIRECTIVE &&
			(st->directive == DIR_CFI_ENDPROC || (st->directive == DIR_SIZE && names_first(st->arguments, p->name))))
			break;
		p->cfi = p->cfi || (st->kind == STATEMENT_DIRECTIVE && st->directive == DIR_CFI_STARTPROC);
		inspect_statement(u, p, st);
	}
	p->end = k;
}

/* Choices depend on the seed and on the function's instructions, as the compiler wrote them: not on file names, on what else is there, or on
 * what debugging information was asked for. */
static void seed_part(struct unit *u, struct part *p)
{
	struct variant_random base, own;
	const char *const names[] = {"assembly", NULL};
	size_t room = p->name.length + 1, used = 0;
	for (uint32_t i = p->first; i < p->end; i++)
		room += u->statements[i].kind == STATEMENT_INSTRUCTION ? u->statements[i].text.length + 1 : 0;
	char *text = arena_take(&u->arena, room);
	if (!text || u->arena.failed)
		return;
	memcpy(text, p->name.at, p->name.length);
	used = p->name.length;
	text[used++] = '\n';
	for (uint32_t i = p->first; i < p->end; i++) {
		const struct statement *st = &u->statements[i];
		if (st->kind != STATEMENT_INSTRUCTION || st->section != p->section)
			continue;
		memcpy(text + used, st->text.at, st->text.length);
		used += st->text.length;
		text[used++] = '\n';
	}
	variant_random_init(&base, 0, names);
	variant_random_fork(&own, &base, text, used);
	memcpy(&p->identity, own.key, sizeof(p->identity));
	variant_random_init(&base, u->options->seed, names);
	variant_random_fork(&p->random, &base, own.key, sizeof(own.key));
}

void unit_find_parts(struct unit *u)
{
	uint32_t functions = 0;
	u->first_split = UINT32_MAX;
	for (uint32_t i = 0; i < u->count; i++) {
		const struct statement *st = &u->statements[i];
		if (st->kind != STATEMENT_DIRECTIVE || st->directive != DIR_TYPE)
			continue;
		const char *comma = memchr(st->arguments.at, ',', st->arguments.length);
		if (!comma || !contains(st->arguments, "function"))
			continue;
		struct label_entry *e =
			unit_label(u, slice_trim((struct slice){st->arguments.at, (uint32_t)(comma - st->arguments.at)}), true);
		if (e)
			e->function = true;
		functions++;
	}
	u->parts = functions ? arena_take(&u->arena, functions * sizeof(*u->parts)) : NULL;
	if (!u->parts || u->arena.failed)
		return;
	for (uint32_t i = 0; i < u->count; i++) {
		const struct statement *st = &u->statements[i];
		if (st->kind != STATEMENT_LABEL || !u->sections[st->section].executable || u->part_count == functions)
			continue;
		const struct label_entry *e = unit_label(u, st->name, false);
		if (!e || !e->function)
			continue;
		struct part *p = &u->parts[u->part_count++];
		read_part(u, p, i);
		seed_part(u, p);
		if (!slice_equal(p->name, p->root)) {
			p->next_split = u->first_split;
			u->first_split = u->part_count - 1;
		}
		i = p->end - 1;
	}
}

bool part_group(struct unit *u, uint32_t index, struct group *ret)
{
	struct part *p = &u->parts[index];
	*ret = (struct group){.parts = {p}, .count = 1};
	if (!slice_equal(p->name, p->root))
		return false;
	for (uint32_t k = u->first_split; k < u->part_count; k = u->parts[k].next_split) {
		if (!slice_equal(u->parts[k].root, p->root))
			continue;
		if (ret->count == VB_ARRAY_LEN(ret->parts))
			return false;
		ret->parts[ret->count++] = &u->parts[k];
	}
	return true;
}

struct loop {
	uint32_t head, end; /* statements: the label, the last branch back to it */
};

static int compare_loops(const void *a, const void *b)
{
	const struct loop *x = a, *y = b;
	return x->head < y->head ? -1 : x->head > y->head;
}

/* The loops of a part, by their heads in the order of the text: the spans of branches backwards. */
static struct loop *find_loops(struct unit *u, const struct part *p, unsigned *ret_count)
{
	struct loop *loops = NULL;
	unsigned count = 0, capacity = 0;
	for (uint32_t i = p->first; i < p->end; i++) {
		const struct statement *st = &u->statements[i];
		if (!part_code(u, p, st) || !st->instruction->mnemonic || st->instruction->operands != 1 ||
			st->instruction->operand[0].kind != OPERAND_SYMBOL)
			continue;
		unsigned control = st->instruction->mnemonic->control;
		if (control != CONTROL_JUMP && control != CONTROL_BRANCH)
			continue;
		const struct label_entry *e = unit_label(u, st->instruction->operand[0].symbol, false);
		if (!e || e->statement >= i || e->statement <= p->label || u->statements[e->statement].section != p->section)
			continue;
		if (count == capacity) {
			capacity = capacity ? capacity * 2 : 16;
			struct loop *more = arena_take(&u->arena, capacity * sizeof(*more));
			if (!more || u->arena.failed)
				return NULL;
			if (count)
				memcpy(more, loops, count * sizeof(*more));
			loops = more;
		}
		u->statements[e->statement].loop_head = true;
		loops[count++] = (struct loop){e->statement, i};
	}
	if (count)
		qsort(loops, count, sizeof(*loops), compare_loops);
	unsigned kept = 0;
	for (unsigned i = 0; i < count; i++) {
		if (kept && loops[kept - 1].head == loops[i].head)
			loops[kept - 1].end = loops[i].end > loops[kept - 1].end ? loops[i].end : loops[kept - 1].end;
		else
			loops[kept++] = loops[i];
	}
	*ret_count = kept;
	return loops;
}

static unsigned dispatches(const struct unit *u, const struct part *p, uint32_t from, uint32_t to)
{
	unsigned count = 0;
	for (uint32_t i = from; i < to; i++) {
		const struct statement *st = &u->statements[i];
		count += part_code(u, p, st) && st->instruction->mnemonic && st->instruction->mnemonic->control == CONTROL_JUMP &&
			 st->instruction->operands == 1 && st->instruction->operand[0].indirect;
	}
	return count;
}

/* Hot is what was counted so, inner loops speaking for themselves. Without a profile: the innermost loops, loops around a switch, and
 * interpreters, which have a jump through a table after each of their instructions. */
#define INTERPRETER_DISPATCHES 8
static void mark_hot(struct unit *u, struct part *p)
{
	unsigned count = 0;
	struct loop *loops = find_loops(u, p, &count);
	bool known = u->profile_count && profile_knows(u, p);
	p->hot = known && profile_hot(u, p, 0);
	bool all = known ? p->hot : dispatches(u, p, p->label, p->end) >= INTERPRETER_DISPATCHES;
	for (uint32_t i = p->label; i < p->end && all; i++)
		u->statements[i].hot = true;
	if (all && !known)
		return;
	for (unsigned n = 0; loops && n < count; n++) {
		bool innermost = n + 1 == count || loops[n + 1].head > loops[n].end;
		bool hot = known ? profile_hot(u, p, n + 1) : innermost || dispatches(u, p, loops[n].head, loops[n].end);
		for (uint32_t i = loops[n].head; i <= loops[n].end; i++)
			u->statements[i].hot = known ? hot : hot || u->statements[i].hot;
	}
}

void assembly_hotness(struct unit *u)
{
	for (uint32_t i = 0; i < u->part_count; i++)
		mark_hot(u, &u->parts[i]);
}
