/* Owns the join of two maps: instruction by instruction where there are maps, function by function where there are only symbols. */
#include "variant/demap/translate.h"

#include <string.h>

#include "base/types.h"
#include "variant/demap/places.h"

const char *const match_names[] = {"none", "function", "likely", "exact"};

static const struct binary_symbol *symbol_named(const struct binary *b, const char *name)
{
	const struct binary_symbol *found = NULL;
	for (size_t i = 0; i < b->symbol_count; i++) {
		const struct binary_symbol *s = &b->symbols[i];
		if ((s->type != STT_FUNC && s->type != STT_GNU_IFUNC) || strcmp(s->name, name) != 0)
			continue;
		if (found && found->value != s->value)
			return NULL; /* several */
		found = s;
	}
	return found;
}

/* The name and the distance, by the plain build's symbols if it has them. */
static void name_it(const struct places *plain, struct translation *t, const char *name, uint64_t start)
{
	const struct binary_symbol *s = plain->has_binary ? binary_function_before(&plain->binary, t->address) : NULL;
	t->function = s ? s->name : name;
	t->offset = t->address - (s ? s->value : start);
}

static struct translation by_map(
	const struct places *variant, const struct places *plain, const struct place *at, uint64_t address, bool returns)
{
	struct translation t = {.match = MATCH_IDENTITY};
	const struct place_function *f = &variant->functions[at->function], *g;
	const struct place *to = places_find(plain, f->identity, f->name, at->number);
	if (!to) {
		g = places_function(plain, f->name);
		t.match = MATCH_COUNT;
		to = g && g->count == f->count ? places_find(plain, g->identity, g->name, at->number) : NULL;
		if (!to) {
			t.match = g ? MATCH_NAME : MATCH_NONE;
			to = g ? places_find(plain, g->identity, g->name, 0) : NULL;
		}
	}
	if (!to)
		return (struct translation){.match = MATCH_NONE, .function = f->name};
	uint64_t within = address - at->address, most = !to->bytes || returns ? to->bytes : to->bytes - 1;
	t.address = to->address + (t.match == MATCH_NAME ? 0 : vb_min(within, most));
	const struct place *first = places_find(plain, plain->functions[to->function].identity, f->name, 0);
	name_it(plain, &t, f->name, first ? first->address : to->address);
	return t;
}

/* Functions that were moved but not changed, as `vauban shuffle` does, and those without a map. */
static struct translation by_symbol(const struct places *variant, const struct places *plain, uint64_t address, bool returns)
{
	struct translation t = {.match = MATCH_NONE};
	if (!variant->has_binary || !plain->has_binary)
		return t;
	const struct binary_symbol *from = binary_function_before(&variant->binary, address - returns);
	if (!from || from->section >= variant->binary.section_count)
		return t;
	const struct binary_section *code = &variant->binary.sections[from->section];
	uint64_t end = from->size ? from->value + from->size : code->address + code->size;
	if (address - returns >= end)
		return t;
	const struct binary_symbol *to = symbol_named(&plain->binary, from->name);
	t.function = from->name;
	if (!to)
		return t;
	/* Of the same size: then it probably is the same code. */
	t.match = from->size == to->size && symbol_named(&variant->binary, from->name) ? MATCH_COUNT : MATCH_NAME;
	t.offset = t.match == MATCH_COUNT ? address - from->value : 0;
	t.address = to->value + t.offset;
	t.function = to->name;
	return t;
}

struct translation translate(const struct places *variant, const struct places *plain, uint64_t address, bool returns)
{
	const struct place *at = places_at(variant, address - returns);
	if (at && plain->count)
		return by_map(variant, plain, at, address, returns);
	return by_symbol(variant, plain, address, returns);
}
