/* Owns the way from text to statements, sections and labels. Trusts nothing about the text: what it can't read becomes a statement that
 * is printed as it was. */
#include "variant/assembly/unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/error.h"

static const struct {
	const char *name;
	uint8_t directive;
} directives[] = {
	{".loc", DIR_LOC},
	{".long", DIR_DATA},
	{".quad", DIR_DATA},
	{".byte", DIR_DATA},
	{".string", DIR_DATA},
	{".cfi_def_cfa_offset", DIR_CFI_DEF_CFA_OFFSET},
	{".p2align", DIR_ALIGN},
	{".cfi_offset", DIR_CFI_OFFSET},
	{".section", DIR_SECTION},
	{".type", DIR_TYPE},
	{".size", DIR_SIZE},
	{".globl", DIR_SYMBOL},
	{".text", DIR_SECTION},
	{".data", DIR_SECTION},
	{".bss", DIR_SECTION},
	{".align", DIR_ALIGN},
	{".balign", DIR_ALIGN},
	{".zero", DIR_SPACE},
	{".skip", DIR_SPACE},
	{".space", DIR_SPACE},
	{".value", DIR_DATA},
	{".ascii", DIR_DATA},
	{".asciz", DIR_DATA},
	{".short", DIR_DATA},
	{".word", DIR_DATA},
	{".int", DIR_DATA},
	{".2byte", DIR_DATA},
	{".4byte", DIR_DATA},
	{".8byte", DIR_DATA},
	{".octa", DIR_DATA},
	{".float", DIR_DATA},
	{".double", DIR_DATA},
	{".uleb128", DIR_DATA},
	{".sleb128", DIR_DATA},
	{".cfi_startproc", DIR_CFI_STARTPROC},
	{".cfi_endproc", DIR_CFI_ENDPROC},
	{".cfi_def_cfa", DIR_CFI_DEF_CFA},
	{".cfi_def_cfa_register", DIR_CFI_DEF_CFA_REGISTER},
	{".cfi_restore", DIR_CFI_RESTORE},
	{".cfi_remember_state", DIR_CFI_REMEMBER},
	{".cfi_restore_state", DIR_CFI_RESTORE_STATE},
	{".cfi_lsda", DIR_CFI_LSDA},
	{".cfi_personality", DIR_CFI_NEUTRAL},
	{".cfi_sections", DIR_CFI_NEUTRAL},
	{".local", DIR_SYMBOL},
	{".weak", DIR_SYMBOL},
	{".hidden", DIR_SYMBOL},
	{".protected", DIR_SYMBOL},
	{".internal", DIR_SYMBOL},
	{".set", DIR_OTHER},
	{".comm", DIR_OTHER},
	{".file", DIR_OTHER},
	{".ident", DIR_OTHER},
	{".addrsig", DIR_OTHER},
	{".addrsig_sym", DIR_OTHER},
	/* Whatever may hide code or move it: */
	{".org", DIR_OPAQUE},
	{".if", DIR_OPAQUE},
	{".ifdef", DIR_OPAQUE},
	{".ifndef", DIR_OPAQUE},
	{".else", DIR_OPAQUE},
	{".endif", DIR_OPAQUE},
	{".macro", DIR_OPAQUE},
	{".endm", DIR_OPAQUE},
	{".rept", DIR_OPAQUE},
	{".irp", DIR_OPAQUE},
	{".irpc", DIR_OPAQUE},
	{".endr", DIR_OPAQUE},
	{".include", DIR_OPAQUE},
	{".incbin", DIR_OPAQUE},
	{".pushsection", DIR_OPAQUE},
	{".popsection", DIR_OPAQUE},
	{".previous", DIR_OPAQUE},
	{".subsection", DIR_OPAQUE},
	{".code16", DIR_OPAQUE},
	{".code32", DIR_OPAQUE},
	{".intel_syntax", DIR_OPAQUE},
	{".reloc", DIR_OPAQUE},
	{".fill", DIR_OPAQUE},
	{".nops", DIR_OPAQUE},
};

static bool is_symbol_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '$' ||
	       (unsigned char)c >= 0x80;
}

static uint32_t word_length(struct slice s)
{
	uint32_t n = 0;
	while (n < s.length && s.at[n] != ' ' && s.at[n] != '\t')
		n++;
	return n;
}

static struct slice rest(struct slice s, uint32_t from)
{
	return slice_trim((struct slice){s.at + from, s.length - from});
}

/* Length of what ends before `stop` at depth 0, outside of quotes; s.length if there is none. */
static uint32_t until(struct slice s, char stop)
{
	int depth = 0;
	for (uint32_t i = 0; i < s.length; i++) {
		char c = s.at[i];
		if (c == '"') {
			for (i++; i < s.length && s.at[i] != '"'; i++)
				i += s.at[i] == '\\';
			continue;
		}
		if (c == stop && depth <= 0)
			return i;
		depth += c == '(' ? 1 : c == ')' ? -1 : 0;
	}
	return s.length;
}

/* --- instructions --- */

static void parse_memory(struct operand *o, struct slice s)
{
	o->kind = OPERAND_MEMORY;
	o->base = o->index = NO_REGISTER;
	o->scale = 1;
	uint32_t open = s.length;
	while (open && s.at[open - 1] != '(')
		open--;
	struct slice inside = {NULL, 0};
	if (open && s.at[s.length - 1] == ')') {
		inside = (struct slice){s.at + open, s.length - open - 1};
		s.length = open - 1;
	}
	o->symbol = slice_trim(s);
	o->numeric = !o->symbol.length || slice_number(o->symbol, &o->value);
	for (unsigned field = 0; field < 3 && inside.length; field++) {
		uint32_t n = until(inside, ',');
		struct slice word = slice_trim((struct slice){inside.at, n});
		struct reg reg;
		int64_t scale;
		if (field < 2 && word.length && word.at[0] == '%') {
			struct slice name = rest(word, 1);
			if (slice_is(name, "rip"))
				o->rip = true;
			else if (register_parse(name, &reg) && reg.class == REG_GENERAL)
				*(field ? &o->index : &o->base) = reg.number;
			else
				o->numeric = false; /* a vector index, for instance */
		} else if (field == 2 && slice_number(word, &scale)) {
			o->scale = (uint8_t)scale;
		}
		inside = n < inside.length ? (struct slice){inside.at + n + 1, inside.length - n - 1} : (struct slice){inside.at, 0};
	}
}

static void parse_operand(struct operand *o, struct slice s, bool branch)
{
	*o = (struct operand){.text = s, .base = NO_REGISTER, .index = NO_REGISTER, .scale = 1};
	if (s.length && s.at[0] == '*') {
		o->indirect = true;
		s = rest(s, 1);
	}
	if (!s.length)
		return;
	if (s.at[0] == '$') {
		o->kind = OPERAND_IMMEDIATE;
		o->symbol = rest(s, 1);
		o->numeric = slice_number(o->symbol, &o->value);
		return;
	}
	if (s.at[0] == '%') {
		uint32_t colon = until(s, ':');
		if (colon == s.length) {
			o->kind = OPERAND_REGISTER;
			uint32_t open = until(s, '('); /* %st(1) */
			register_parse((struct slice){s.at + 1, (open < s.length ? open : s.length) - 1}, &o->reg);
			return;
		}
		o->segment = true;
		s = rest(s, colon + 1);
	}
	if (branch && !o->indirect && !o->segment) {
		o->kind = OPERAND_SYMBOL;
		o->symbol = s;
		return;
	}
	parse_memory(o, s);
}

void statement_decode(struct unit *u, struct statement *st)
{
	struct instruction *in = st->instruction ? st->instruction : arena_take(&u->arena, sizeof(*in));
	*in = (struct instruction){0};
	st->instruction = in;
	struct slice s = st->text;
	for (;;) {
		uint32_t n = word_length(s);
		in->name = (struct slice){s.at, n};
		in->mnemonic = mnemonic_find(in->name);
		s = rest(s, n);
		if (!in->mnemonic || in->mnemonic->operation != OP_PREFIX || !s.length)
			break;
		in->prefixed = true;
	}
	bool branch = in->mnemonic && in->mnemonic->control;
	while (s.length) {
		uint32_t n = until(s, ',');
		if (in->operands == MAX_OPERANDS) {
			in->mnemonic = NULL; /* a long vector instruction */
			break;
		}
		parse_operand(&in->operand[in->operands++], slice_trim((struct slice){s.at, n}), branch);
		s = n < s.length ? rest(s, n + 1) : (struct slice){s.at, 0};
	}
	/* Vector instructions name their registers, and none of them reads flags. */
	static const struct mnemonic vector = {.name = "", .known = KNOWN_EXPLICIT};
	for (unsigned i = 0; i < in->operands && !in->mnemonic; i++)
		if (in->operand[i].kind == OPERAND_REGISTER && in->operand[i].reg.class == REG_VECTOR)
			in->mnemonic = &vector;
}

/* --- labels --- */

struct label_entry *unit_label(struct unit *u, struct slice name, bool add)
{
	if (add && u->label_count * 2 >= u->label_capacity) {
		uint32_t old_capacity = u->label_capacity;
		struct label_entry *old = u->labels;
		uint32_t capacity = old_capacity ? old_capacity * 2 : 1024;
		struct label_entry *labels = arena_take(&u->arena, capacity * sizeof(*labels));
		if (!labels || u->arena.failed) {
			u->arena.failed = true;
			return NULL;
		}
		u->labels = labels, u->label_capacity = capacity, u->label_count = 0;
		for (uint32_t i = 0; i < old_capacity; i++) {
			if (old[i].name.at) {
				struct label_entry *moved = unit_label(u, old[i].name, true);
				if (moved)
					*moved = old[i];
			}
		}
	}
	if (!u->label_capacity)
		return NULL;
	uint32_t h = 2166136261u;
	for (uint32_t i = 0; i < name.length; i++)
		h = (h ^ (uint8_t)name.at[i]) * 16777619u;
	for (uint32_t slot = (h ^ h >> 13) & (u->label_capacity - 1);; slot = (slot + 1) & (u->label_capacity - 1)) {
		struct label_entry *e = &u->labels[slot];
		if (!e->name.at) {
			if (!add)
				return NULL;
			*e = (struct label_entry){.name = name, .statement = UINT32_MAX};
			u->label_count++;
			return e;
		}
		if (slice_equal(e->name, name))
			return e;
	}
}

/* Every .L name in text is referred to. */
static void note_references(struct unit *u, struct slice text)
{
	for (uint32_t i = 0; i + 2 < text.length; i++) {
		if (text.at[i] != '.' || text.at[i + 1] != 'L' || (i && is_symbol_char(text.at[i - 1])))
			continue;
		uint32_t n = i;
		while (n < text.length && is_symbol_char(text.at[n]))
			n++;
		struct label_entry *e = unit_label(u, (struct slice){text.at + i, n - i}, true);
		if (e)
			e->code = true;
		i = n;
	}
}

/* --- sections --- */

static uint16_t find_section(struct unit *u, struct slice name, struct slice flags)
{
	for (uint32_t i = u->section_count; i-- > 0;) /* a recent one, most often */
		if (slice_equal(u->sections[i].name, name))
			return (uint16_t)i;
	if (u->section_count == UINT16_MAX)
		return 0;
	if ((u->section_count & (u->section_count - 1)) == 0) { /* full: 1, 2, 4... */
		struct section *more = arena_take(&u->arena, (u->section_count ? u->section_count * 2 : 1) * sizeof(*more));
		if (!more) {
			u->arena.failed = true;
			return 0;
		}
		if (u->section_count)
			memcpy(more, u->sections, u->section_count * sizeof(*more));
		u->sections = more;
	}
	bool executable = slice_starts(name, ".text") || slice_is(name, ".init") || slice_is(name, ".fini") ||
			  (flags.length && memchr(flags.at, 'x', flags.length));
	u->sections[u->section_count] = (struct section){
		.name = name, .executable = executable, .debug = slice_starts(name, ".debug") || slice_starts(name, ".stab")};
	return (uint16_t)u->section_count++;
}

struct tracker {
	uint16_t current, previous, stack[16];
	unsigned depth;
};

static void enter_section(struct unit *u, struct tracker *t, const struct statement *st)
{
	struct slice name = st->name, flags = {NULL, 0};
	if (slice_is(st->name, ".section") || slice_is(st->name, ".pushsection")) {
		uint32_t n = until(st->arguments, ',');
		name = slice_trim((struct slice){st->arguments.at, n});
		flags = n < st->arguments.length ? rest(st->arguments, n + 1) : flags;
		flags.length = until(flags, ',');
		if (name.length > 1 && name.at[0] == '"') /* .section ".text.f" */
			name = (struct slice){name.at + 1, name.length - 2};
	}
	if (slice_is(st->name, ".popsection")) {
		t->current = t->depth ? t->stack[--t->depth] : t->current;
		return;
	}
	uint16_t next = slice_is(st->name, ".previous") ? t->previous : find_section(u, name, flags);
	if (slice_is(st->name, ".pushsection") && t->depth < VB_ARRAY_LEN(t->stack))
		t->stack[t->depth++] = t->current;
	t->previous = t->current;
	t->current = next;
}

/* --- statements --- */

struct parser {
	struct unit *u;
	struct tracker sections;
	uint32_t capacity;
	uint32_t line;
	bool line_start;
	bool tls; /* within a sequence that the linker rewrites */
};

static struct statement *append(struct parser *p, struct slice text, unsigned kind)
{
	struct unit *u = p->u;
	if (u->count == p->capacity) {
		uint32_t capacity = p->capacity ? p->capacity * 2 : 4096;
		struct statement *more = realloc(u->statements, capacity * sizeof(*more));
		if (!more)
			return NULL;
		u->statements = more;
		p->capacity = capacity;
	}
	struct statement *st = &u->statements[u->count++];
	*st = (struct statement){
		.text = text, .kind = (uint8_t)kind, .line = p->line, .section = p->sections.current, .own_line = p->line_start};
	p->line_start = false;
	return st;
}

static bool names_tls_call(struct slice s)
{
	for (uint32_t i = 0; i + 5 < s.length; i++)
		if (s.at[i] == '@' && (s.at[i + 1] | 32) == 't' && (s.at[i + 2] | 32) == 'l' && (s.at[i + 3] | 32) == 's' &&
			((s.at[i + 4] | 32) == 'g' || (s.at[i + 4] | 32) == 'l' || (s.at[i + 4] | 32) == 'd'))
			return true; /* @tlsgd, @tlsld, @tlsdesc */
	return false;
}

static void finish_instruction(struct parser *p, struct statement *st)
{
	struct unit *u = p->u;
	statement_decode(u, st);
	const struct mnemonic *m = st->instruction->mnemonic;
	note_references(u, st->text);
	if (names_tls_call(st->text))
		p->tls = true;
	if (m && m->control == CONTROL_CALL)
		p->tls = false;
	st->glued = p->tls || (m && m->operation == OP_PREFIX);
}

static void finish_directive(struct parser *p, struct statement *st)
{
	struct unit *u = p->u;
	uint32_t n = word_length(st->text);
	st->name = (struct slice){st->text.at, n};
	st->arguments = rest(st->text, n);
	for (unsigned i = 0; i < VB_ARRAY_LEN(directives); i++) {
		if (slice_is(st->name, directives[i].name)) {
			st->directive = directives[i].directive;
			break;
		}
	}
	if (st->directive == DIR_OTHER && slice_starts(st->name, ".cfi_"))
		st->directive = DIR_CFI_OTHER;
	if (st->directive == DIR_SECTION || slice_is(st->name, ".pushsection") || slice_is(st->name, ".popsection") ||
		slice_is(st->name, ".previous")) {
		enter_section(u, &p->sections, st);
		st->section = p->sections.current;
	}
	bool code = u->section_count > st->section && u->sections[st->section].executable;
	if (st->directive == DIR_DATA)
		st->glued = code;
	if ((st->directive == DIR_DATA || st->directive == DIR_OTHER || st->directive == DIR_SIZE) && u->section_count > st->section &&
		!u->sections[st->section].debug)
		note_references(u, st->arguments);
}

/* One statement, without comment. */
static bool parse_statement(struct parser *p, struct slice s)
{
	struct unit *u = p->u;
	for (;;) {
		s = slice_trim(s);
		uint32_t n = 0;
		if (s.length && s.at[0] == '"') {
			n = until((struct slice){s.at, s.length}, ':');
			n = n < s.length && s.at[n - 1] == '"' ? n : 0;
		} else {
			while (n < s.length && is_symbol_char(s.at[n]))
				n++;
		}
		if (!n || n == s.length || s.at[n] != ':')
			break;
		struct statement *label = append(p, (struct slice){s.at, n + 1}, STATEMENT_LABEL);
		if (!label)
			return false;
		label->name = (struct slice){s.at, n};
		uint32_t index = u->count - 1;
		struct label_entry *e = unit_label(u, label->name, true);
		if (e && e->statement == UINT32_MAX)
			e->statement = index;
		s = (struct slice){s.at + n + 1, s.length - n - 1};
	}
	if (!s.length)
		return true;
	uint32_t word = word_length(s);
	bool assignment = word < s.length && rest(s, word).at[0] == '=';
	bool directive = s.at[0] == '.' || assignment || memchr(s.at, '=', word);
	struct statement *st = append(p, s, directive ? STATEMENT_DIRECTIVE : STATEMENT_INSTRUCTION);
	if (!st)
		return false;
	if (directive)
		finish_directive(p, st);
	else
		finish_instruction(p, st);
	return true;
}

/* A line outside of inline assembly: false if memory is short. */
static bool parse_line(struct parser *p, struct slice line, bool *ret_broken)
{
	uint32_t start = 0;
	for (uint32_t i = 0; i <= line.length; i++) {
		char c = i < line.length ? line.at[i] : '#';
		if (c == '"') {
			for (i++; i < line.length && line.at[i] != '"'; i++)
				i += line.at[i] == '\\';
			if (i >= line.length) {
				*ret_broken = true;
				return true;
			}
			continue;
		}
		if (c != ';' && c != '#')
			continue;
		if (!parse_statement(p, (struct slice){line.at + start, i - start}))
			return false;
		if (c == '#')
			break;
		start = i + 1;
	}
	return true;
}

/* An inline assembly region of nothing: only a barrier for the compiler. */
static bool inline_is_empty(struct slice s)
{
	while (s.length) {
		const char *newline = memchr(s.at, '\n', s.length);
		uint32_t n = newline ? (uint32_t)(newline - s.at) : s.length;
		struct slice line = slice_trim((struct slice){s.at, n});
		if (line.length && line.at[0] != '#' && !slice_starts(line, ".loc "))
			return false;
		n += newline != NULL;
		s = (struct slice){s.at + n, s.length - n};
	}
	return true;
}

int unit_parse(struct unit *u, const char *text, size_t text_bytes, struct vb_error *err)
{
	struct parser p = {.u = u};
	const char *end = text + text_bytes, *region = NULL;
	if (text_bytes >= UINT32_MAX / 2)
		return vb_error_set(err, -EINVAL, "%s: more than 2 GiB of assembly text", u->name);
	find_section(u, SLICE(".text"), SLICE("ax"));
	for (const char *at = text; at < end;) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		const char *stop = newline ? newline : end;
		struct slice line = slice_trim((struct slice){at, (uint32_t)(stop - at)});
		p.line++;
		p.line_start = true;
		bool broken = false;
		if (region) {
			if (slice_is(line, "#NO_APP")) {
				struct slice all = {region, (uint32_t)(line.at + line.length - region)};
				struct statement *st = append(&p, all, inline_is_empty(all) ? STATEMENT_BLANK : STATEMENT_INLINE);
				if (!st)
					return vb_error_set(err, -ENOMEM, "%s: out of memory", u->name);
				note_references(u, all);
				region = NULL;
			}
		} else if (slice_is(line, "#APP")) {
			region = line.at;
		} else if (line.length && line.at[0] != '#') {
			if (!parse_line(&p, line, &broken))
				return vb_error_set(err, -ENOMEM, "%s: out of memory", u->name);
			if (broken)
				return vb_error_set(err, -EINVAL, "%s:%u: a string has no end", u->name, p.line);
		}
		at = newline ? newline + 1 : end;
	}
	if (region)
		return vb_error_set(err, -EINVAL, "%s:%u: #APP without #NO_APP", u->name, p.line);
	return 0;
}
