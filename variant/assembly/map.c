/* Owns the section .vauban.map (variant/map.h): one label an instruction, and records of how the chunks lie. */
#include "variant/map.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "variant/assembly/unit.h"

struct builder {
	struct unit *u;
	char *text; /* of the section so far, in the arena */
	size_t used, capacity;
};

static void add(struct builder *b, struct slice s)
{
	if (b->capacity - b->used < s.length) {
		size_t capacity = (b->capacity + s.length) * 2 + 4096;
		char *more = arena_take(&b->u->arena, capacity);
		if (!more || b->u->arena.failed) {
			b->u->arena.failed = true;
			return;
		}
		if (b->used)
			memcpy(more, b->text, b->used);
		b->text = more, b->capacity = capacity;
	}
	memcpy(b->text + b->used, s.at, s.length);
	b->used += s.length;
}

static void add_text(struct builder *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void add_text(struct builder *b, const char *fmt, ...)
{
	char line[160];
	va_list args;
	va_start(args, fmt);
	int n = vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	if (n > 0 && (size_t)n < sizeof(line))
		add(b, (struct slice){line, (uint32_t)n});
}

static bool counts(const struct unit *u, const struct part *p, const struct statement *st)
{
	return part_code(u, p, st) || (st->kind == STATEMENT_INLINE && st->section == p->section);
}

/* The run of instructions whose labels are first .. first + count - 1; label `first + count` lies behind it. */
static void add_record(struct builder *b, const struct part *p, uint32_t first_label, uint32_t number, uint32_t count)
{
	add_text(b, "\t.quad .Lvauban_%u\n\t.long %u,%u\n\t.quad 0x%llx\n\t.asciz \"", first_label, number, count,
		(unsigned long long)p->identity);
	struct slice name = p->name;
	if (name.length > 1 && name.at[0] == '"')
		name = (struct slice){name.at + 1, name.length - 2};
	add(b, name);
	add_text(b, "\"\n");
	for (uint32_t i = 0; i < count; i++)
		add_text(b,
			i % 8 ? ",.Lvauban_%u-.Lvauban_%u"
			: i   ? "\n\t.2byte .Lvauban_%u-.Lvauban_%u"
			      : "\t.2byte .Lvauban_%u-.Lvauban_%u",
			first_label + i + 1, first_label + i);
	add_text(b, "\n");
}

static void map_part(struct builder *b, struct part *p)
{
	struct unit *u = b->u;
	uint32_t *numbers = arena_take(&u->arena, (p->end - p->first) * sizeof(*numbers));
	if (!numbers || u->arena.failed)
		return;
	for (uint32_t i = p->first, n = 0; i < p->end; i++)
		if (counts(u, p, &u->statements[i]))
			numbers[i - p->first] = n++;
	uint32_t run_label = 0, run_number = 0, run_count = 0;
	for (uint32_t k = p->first; k < p->end; k++) {
		struct statement *st = &u->statements[u->order[k]];
		if (!counts(u, p, st))
			continue;
		uint32_t number = numbers[u->order[k] - p->first];
		if (run_count && number != run_number + run_count) {
			add_record(b, p, run_label, run_number, run_count);
			run_count = 0;
		}
		st->map_label = ++u->next_label;
		st->map_first = number == 0;
		if (!run_count)
			run_label = st->map_label, run_number = number;
		run_count++;
	}
	if (!run_count)
		return;
	add_record(b, p, run_label, run_number, run_count);
	struct slice end = arena_format(&u->arena, ".Lvauban_%u:", ++u->next_label);
	if (p->end < u->count && u->statements[p->end].section == p->section && u->statements[p->end].kind != STATEMENT_INSTRUCTION)
		statement_insert(u, &u->statements[p->end], end);
	else
		u->statements[u->order[p->end - 1]].after = end;
}

void assembly_map(struct unit *u)
{
	struct builder b = {.u = u};
	for (uint32_t i = 0; i < u->part_count; i++)
		map_part(&b, &u->parts[i]);
	u->map = (struct slice){b.text, (uint32_t)b.used};
}
