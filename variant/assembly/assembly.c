/* Owns the order of the stages and the printing. */
#include "variant/assembly/assembly.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/error.h"
#include "variant/assembly/unit.h"
#include "variant/map.h"

struct output {
	char *text;
	size_t used, capacity;
	bool failed;
};

static void put(struct output *out, struct slice s)
{
	if (out->capacity - out->used < s.length) {
		size_t capacity = (out->capacity + s.length) * 3 / 2;
		char *text = realloc(out->text, capacity);
		if (!text) {
			out->failed = true;
			return;
		}
		out->text = text, out->capacity = capacity;
	}
	if (s.length)
		memcpy(out->text + out->used, s.at, s.length);
	out->used += s.length;
}

static void put_label(struct output *out, uint32_t number)
{
	char label[32];
	int n = snprintf(label, sizeof(label), ".Lvauban_%u:\n", number);
	put(out, (struct slice){label, (uint32_t)n});
}

static void print_statement(struct output *out, const struct statement *st)
{
	if (st->map_label && st->map_first)
		put_label(out, st->map_label);
	for (const struct insertion *i = st->before; i; i = i->next) {
		put(out, SLICE("\t"));
		put(out, i->text);
		put(out, SLICE("\n"));
	}
	if (st->deleted)
		return;
	if (st->map_label && !st->map_first)
		put_label(out, st->map_label);
	if (st->kind != STATEMENT_LABEL && st->kind != STATEMENT_INLINE && st->kind != STATEMENT_BLANK)
		put(out, SLICE("\t"));
	if (st->prefix_bytes.length) {
		put(out, st->prefix_bytes);
		put(out, SLICE("\n\t"));
	}
	put(out, st->text);
	put(out, SLICE("\n"));
	if (st->after.length) {
		put(out, st->after);
		put(out, SLICE("\n"));
	}
}

static int transform(struct unit *u, struct vb_error *err)
{
	const struct variant_options *o = u->options;
	int result = o->profile && !o->plain ? profile_read(u, o->profile, err) : 0;
	if (result < 0)
		return result;
	unit_find_parts(u);
	assembly_hotness(u);
	if (variant_wants(o, VARIANT_PADDING))
		assembly_padding(u);
	if (variant_wants(o, VARIANT_REGISTERS))
		assembly_registers(u);
	if (variant_wants(o, VARIANT_STACK))
		assembly_stack(u);
	if (variant_wants(o, VARIANT_BLOCKS) || variant_wants(o, VARIANT_TRAPS))
		assembly_blocks(u);
	if (variant_wants(o, VARIANT_ENCODINGS))
		assembly_encodings(u);
	if (variant_wants(o, VARIANT_NOPS))
		assembly_nops(u);
	if (o->profile_generate)
		assembly_profile(u);
	if (o->map)
		assembly_map(u);
	return 0;
}

static void print(struct output *out, const struct unit *u)
{
	for (uint32_t i = 0; i < u->count; i++)
		print_statement(out, &u->statements[u->order[i]]);
	if (u->counters)
		put(out, SLICE("\t.section vauban_profile,\"aw\",@progbits\n\t.p2align 3\n"));
	for (const struct insertion *i = u->counters; i; i = i->next)
		put(out, i->text);
	if (u->map.length) {
		put(out, SLICE("\t.section " VARIANT_MAP_SECTION ",\"\",@progbits\n"));
		put(out, u->map);
	}
}

int assembly_transform(const struct variant_options *options, const char *name, const char *text, size_t text_bytes, char **ret_text,
	size_t *ret_bytes, struct vb_error *err)
{
	struct unit u = {.options = options, .name = name};
	struct output out = {0};
	int result = unit_parse(&u, text, text_bytes, err);
	u.order = u.count ? arena_take(&u.arena, u.count * sizeof(*u.order)) : NULL;
	if (result == 0 && (u.count == 0 || u.order)) {
		for (uint32_t i = 0; i < u.count; i++)
			u.order[i] = i;
		result = transform(&u, err);
		if (result == 0)
			print(&out, &u);
	}
	if (result == 0 && (u.arena.failed || out.failed || (u.count && !u.order)))
		result = vb_error_set(err, -ENOMEM, "%s: out of memory", name);
	arena_release(&u.arena);
	free(u.statements);
	if (result < 0) {
		free(out.text);
		return result;
	}
	put(&out, SLICE("\n")); /* so that there is something to free */
	*ret_text = out.text;
	*ret_bytes = out.used;
	return 0;
}
