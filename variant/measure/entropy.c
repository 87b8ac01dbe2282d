/* Owns the estimates. The orders are counted: log2(n!) if each is equally likely, as a seeded shuffle makes it. The rest is collision
 * entropy (Renyi, order 2), -log2 of the chance that two variants agree in a value, pooled over all functions and all pairs of
 * variants: it is that chance that an attacker with the wrong variant has, and unlike Shannon's it can be estimated from few variants. */
#include "variant/measure/entropy.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "variant/binary.h"
#include "variant/demap/places.h"

/* The functions, or objects, of one variant: by name, each name once. */
struct items {
	const struct binary_symbol **at;
	size_t count;
};

static int by_name(const void *a, const void *b)
{
	return strcmp((*(const struct binary_symbol *const *)a)->name, (*(const struct binary_symbol *const *)b)->name);
}

static int collect(const struct binary *b, uint8_t type, struct items *ret)
{
	const struct binary_symbol **at = malloc((b->symbol_count + 1) * sizeof(*at));
	size_t count = 0, kept = 0;
	if (!at)
		return -ENOMEM;
	for (size_t i = 0; i < b->symbol_count; i++) {
		const struct binary_symbol *s = &b->symbols[i];
		if (s->type == type && s->size && s->section < b->section_count)
			at[count++] = s;
	}
	qsort(at, count, sizeof(*at), by_name);
	for (size_t i = 0, run; i < count; i += run) {
		for (run = 1; i + run < count && strcmp(at[i]->name, at[i + run]->name) == 0; run++)
			;
		if (run == 1)
			at[kept++] = at[i];
	}
	*ret = (struct items){at, kept};
	return 0;
}

/* Reduces all lists to the names that every variant has, so that the same index means the same name. */
static void keep_common(struct items *lists, unsigned count)
{
	size_t kept = 0, *at = calloc(count, sizeof(*at));
	for (size_t i = 0; at && i < lists[0].count; i++) {
		bool everywhere = true;
		for (unsigned v = 1; v < count && everywhere; v++) {
			int order = -1;
			while (at[v] < lists[v].count && (order = strcmp(lists[v].at[at[v]]->name, lists[0].at[i]->name)) < 0)
				at[v]++;
			everywhere = at[v] < lists[v].count && order == 0;
		}
		if (!everywhere)
			continue;
		for (unsigned v = 1; v < count; v++)
			lists[v].at[kept] = lists[v].at[at[v]++];
		lists[0].at[kept++] = lists[0].at[i];
	}
	for (unsigned v = 0; v < count; v++)
		lists[v].count = kept;
	free(at);
}

static uint64_t text_start(const struct binary *b)
{
	for (uint32_t i = 0; i < b->elf.load_count; i++)
		if (b->elf.load[i].flags & ELF_EXECUTE)
			return b->elf.load[i].vaddr;
	return 0;
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

/* Aliases share an address and thus the order. */
static size_t count_places(const struct items *list)
{
	size_t places = list->count;
	uint64_t *values = malloc((list->count + 1) * sizeof(*values));
	if (!values)
		return places;
	for (size_t i = 0; i < list->count; i++)
		values[i] = list->at[i]->value;
	qsort(values, list->count, sizeof(*values), by_number);
	for (size_t i = 1; i < list->count; i++)
		places -= values[i] == values[i - 1];
	free(values);
	return places;
}

static void set_order(struct entropy *e, size_t places)
{
	e->bits = lgamma((double)places + 1) / M_LN2;
	e->samples = places;
}

static void set_collisions(struct entropy *e, size_t equal, size_t pairs)
{
	e->samples = pairs;
	e->at_least = equal == 0;
	e->bits = pairs ? log2((double)pairs / (double)(equal ? equal : 1)) : 0;
}

static void compare_functions(
	const struct binary *const *variants, const struct items *lists, unsigned count, struct entropy ret[ENTROPIES])
{
	size_t pairs = 0, offsets = 0, distances = 0, distance_pairs = 0, sizes = 0;
	for (unsigned a = 0; a < count; a++) {
		for (unsigned b = a + 1; b < count; b++) {
			uint64_t a_text = text_start(variants[a]), b_text = text_start(variants[b]);
			for (size_t i = 0; i < lists[0].count; i++) {
				const struct binary_symbol *x = lists[a].at[i], *y = lists[b].at[i];
				pairs++;
				offsets += x->value - a_text == y->value - b_text;
				sizes += x->size == y->size;
				if (i == 0)
					continue;
				distance_pairs++;
				distances += x->value - lists[a].at[i - 1]->value == y->value - lists[b].at[i - 1]->value;
			}
		}
	}
	set_collisions(&ret[ENTROPY_FUNCTION_OFFSET], offsets, pairs);
	set_collisions(&ret[ENTROPY_FUNCTION_DISTANCE], distances, distance_pairs);
	set_collisions(&ret[ENTROPY_FUNCTION_SIZE], sizes, pairs);
}

/* One variant with the next: maps are long, and there are samples enough. Instructions are compared by their distance from the function's first. */
static void compare_instructions(const struct places *const *maps, unsigned count, struct entropy *ret)
{
	size_t pairs = 0, equal = 0;
	for (unsigned v = 0; v + 1 < count; v++) {
		const struct places *a = maps[v], *b = maps[v + 1];
		uint64_t a_start = 0, b_start = 0;
		for (size_t i = 0, k = 0; i < a->count && k < b->count;) {
			const struct place *x = a->by_number[i], *y = b->by_number[k];
			int order = places_order(a, x, b, y);
			i += order <= 0;
			k += order >= 0;
			if (order != 0)
				continue;
			if (x->number == 0) {
				a_start = x->address;
				b_start = y->address;
				continue;
			}
			pairs++;
			equal += x->address - a_start == y->address - b_start;
		}
	}
	set_collisions(ret, equal, pairs);
}

int entropy_estimate(const struct binary *const *variants, const struct places *const *maps, unsigned count, struct entropy ret[ENTROPIES])
{
	static const char counted[] = "log2(n!) of n that can trade places", collided[] = "collision entropy over pairs of variants";
	static const struct entropy blank[ENTROPIES] = {
		[ENTROPY_FUNCTION_ORDER] = {"function_order", "order of functions", counted},
		[ENTROPY_DATA_ORDER] = {"data_order", "order of variables", counted},
		[ENTROPY_FUNCTION_OFFSET] = {"function_offset", "a function's place in the text", collided},
		[ENTROPY_FUNCTION_DISTANCE] = {"function_distance", "distance of two functions", collided},
		[ENTROPY_FUNCTION_SIZE] = {"function_size", "size of a function", collided},
		[ENTROPY_INSTRUCTION_OFFSET] = {"instruction_offset", "an instruction's place in its function", collided},
	};
	struct items *functions = calloc(count, sizeof(*functions)), *objects = calloc(count, sizeof(*objects));
	int r = functions && objects ? 0 : -ENOMEM;
	memcpy(ret, blank, sizeof(blank));
	for (unsigned v = 0; v < count && r == 0; v++)
		if ((r = collect(variants[v], STT_FUNC, &functions[v])) == 0)
			r = collect(variants[v], STT_OBJECT, &objects[v]);
	if (r == 0) {
		keep_common(functions, count);
		keep_common(objects, count);
		set_order(&ret[ENTROPY_FUNCTION_ORDER], count_places(&functions[0]));
		set_order(&ret[ENTROPY_DATA_ORDER], count_places(&objects[0]));
		compare_functions(variants, functions, count, ret);
		compare_instructions(maps, count, &ret[ENTROPY_INSTRUCTION_OFFSET]);
	}
	for (unsigned v = 0; v < count; v++) {
		if (functions)
			free(functions[v].at);
		if (objects)
			free(objects[v].at);
	}
	free(functions);
	free(objects);
	return r;
}
