/* Owns the comparison of gadgets: sets of 64-bit hashes, merged. Two different gadgets of a million each share a hash with a chance of 1 in 10^7. */
#include "variant/measure/compare.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/types.h"
#include "variant/binary.h"
#include "variant/measure/gadgets.h"

const char *const survival_names[SURVIVES_KINDS] = {"address", "symbol", "anywhere", "effect", "places"};
const char *const survival_titles[SURVIVES_KINDS] = {
	"at the same address", "relative to the symbol", "anywhere", "anywhere, NOPs apart", "anywhere, each place"};

/* Ascending, by digits of 16 bits. spare has room for as many. */
static void sort_keys(uint64_t *keys, uint64_t *spare, size_t count)
{
	static _Thread_local uint32_t start[1 << 16];
	for (unsigned shift = 0; shift < 64; shift += 16) {
		memset(start, 0, sizeof(start));
		for (size_t i = 0; i < count; i++)
			start[keys[i] >> shift & 0xffff]++;
		uint32_t sum = 0;
		for (size_t i = 0; i < VB_ARRAY_LEN(start); i++) {
			uint32_t n = start[i];
			start[i] = sum;
			sum += n;
		}
		for (size_t i = 0; i < count; i++)
			spare[start[keys[i] >> shift & 0xffff]++] = keys[i];
		uint64_t *other = keys; /* after four turns they are back */
		keys = spare;
		spare = other;
	}
}

/* times, unless NULL, gets how often each was there. */
static size_t drop_duplicates(uint64_t *keys, size_t count, uint32_t *times)
{
	size_t kept = 0;
	for (size_t i = 0, run; i < count; i += run) {
		for (run = 1; i + run < count && keys[i + run] == keys[i]; run++)
			;
		if (times)
			times[kept] = (uint32_t)run;
		keys[kept++] = keys[i];
	}
	return kept;
}

static uint64_t hash_name(const char *name)
{
	uint64_t hash = 0;
	for (size_t left = strlen(name), n; left; left -= n, name += n) {
		uint64_t word = 0;
		n = vb_min(left, sizeof(word));
		memcpy(&word, name, n);
		hash = gadget_mix(hash, word);
	}
	return hash;
}

/* Gadgets come in ascending order, so the function in front seldom changes. */
struct place {
	const struct binary *binary;
	const struct binary_symbol *function, *next; /* next: the first symbol behind the last address asked for */
	uint64_t name;
	bool known;
};

static void place_find(struct place *p, uint64_t address)
{
	const struct binary_symbol *end = p->binary->symbols + p->binary->symbol_count;
	if (p->known && (p->next == end || address < p->next->value))
		return;
	p->function = binary_function_before(p->binary, address);
	p->name = p->function ? hash_name(p->function->name) : 0;
	p->next = p->known ? p->next : p->binary->symbols;
	while (p->next != end && p->next->value <= address)
		p->next++;
	p->known = true;
}

static uint64_t symbol_key(const struct place *p, const struct gadget *g)
{
	return gadget_mix(gadget_mix(p->name, g->address - (p->function ? p->function->value : 0)), g->content);
}

int survival_keys_init(struct survival_keys *keys, const struct binary *b, const struct gadgets *g)
{
	size_t counts[SURVIVES_KINDS] = {0};
	struct place place = {.binary = b};
	memset(keys, 0, sizeof(*keys));
	uint64_t *spare = malloc((g->count + 1) * sizeof(*spare));
	keys->places = malloc((g->count + 1) * sizeof(*keys->places));
	for (unsigned kind = 0; kind < SURVIVES_PLACES; kind++) {
		keys->at[kind] = malloc((g->count + 1) * sizeof(**keys->at));
		if (!keys->at[kind] || !spare || !keys->places) {
			free(spare);
			survival_keys_release(keys);
			return -ENOMEM;
		}
	}
	for (size_t i = 0; i < g->count; i++) {
		const struct gadget *gadget = &g->at[i];
		if (gadget->instructions < 2)
			continue;
		place_find(&place, gadget->address);
		keys->at[SURVIVES_ADDRESS][counts[SURVIVES_ADDRESS]++] = gadget_mix(gadget->address, gadget->content);
		keys->at[SURVIVES_SYMBOL][counts[SURVIVES_SYMBOL]++] = symbol_key(&place, gadget);
		keys->at[SURVIVES_ANYWHERE][counts[SURVIVES_ANYWHERE]++] = gadget->content;
		if (gadget->effect)
			keys->at[SURVIVES_EFFECT][counts[SURVIVES_EFFECT]++] = gadget->effect;
	}
	for (unsigned kind = 0; kind < SURVIVES_PLACES; kind++) {
		sort_keys(keys->at[kind], spare, counts[kind]);
		keys->count[kind] = drop_duplicates(keys->at[kind], counts[kind], kind == SURVIVES_ANYWHERE ? keys->places : NULL);
		uint64_t *fitting = realloc(keys->at[kind], (keys->count[kind] + 1) * sizeof(*fitting));
		keys->at[kind] = fitting ? fitting : keys->at[kind];
	}
	keys->count[SURVIVES_PLACES] = counts[SURVIVES_ANYWHERE];
	free(spare);
	return 0;
}

void survival_keys_release(struct survival_keys *keys)
{
	for (unsigned kind = 0; kind < SURVIVES_KINDS; kind++)
		free(keys->at[kind]);
	free(keys->places);
	memset(keys, 0, sizeof(*keys));
}

size_t survival_common(const struct survival_keys *a, const struct survival_keys *b, enum survival kind)
{
	enum survival of = kind == SURVIVES_PLACES ? SURVIVES_ANYWHERE : kind;
	const uint64_t *x = a->at[of], *x_end = x + a->count[of], *y = b->at[of], *y_end = y + b->count[of];
	size_t common = 0;
	while (x < x_end && y < y_end) {
		uint64_t p = *x, q = *y;
		common += p != q ? 0 : kind == SURVIVES_PLACES ? a->places[x - a->at[of]] : 1;
		x += p <= q;
		y += q <= p;
	}
	return common;
}

int survival_in_many(const struct survival_keys *variants, unsigned count, enum survival kind, size_t *ret)
{
	size_t total = 0, at = 0;
	for (unsigned v = 0; v < count; v++)
		total += variants[v].count[kind];
	uint64_t *all = malloc((total + 1) * sizeof(*all)), *spare = malloc((total + 1) * sizeof(*spare));
	if (!all || !spare) {
		free(all);
		free(spare);
		return -ENOMEM;
	}
	for (unsigned v = 0; v < count; v++) {
		memcpy(all + at, variants[v].at[kind], variants[v].count[kind] * sizeof(*all));
		at += variants[v].count[kind];
	}
	sort_keys(all, spare, total);
	memset(ret, 0, count * sizeof(*ret));
	for (size_t i = 0, run; i < total; i += run) {
		for (run = 1; i + run < total && all[i + run] == all[i]; run++)
			;
		ret[run - 1]++;
	}
	for (unsigned k = count - 1; k-- > 0;)
		ret[k] += ret[k + 1];
	free(all);
	free(spare);
	return 0;
}

static bool has_key(const struct survival_keys *keys, enum survival kind, uint64_t key)
{
	size_t low = 0, high = keys->count[kind];
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (keys->at[kind][middle] < key)
			low = middle + 1;
		else
			high = middle;
	}
	return low < keys->count[kind] && keys->at[kind][low] == key;
}

static int by_survivors(const void *a, const void *b)
{
	const struct survival_place *x = a, *y = b;
	if (x->survivors != y->survivors)
		return x->survivors > y->survivors ? -1 : 1;
	return strcmp(x->function, y->function);
}

int survival_places(
	const struct binary *a, const struct gadgets *g, const struct survival_keys *b, struct survival_place **ret, size_t *ret_count)
{
	struct survival_place *places = calloc(a->symbol_count + 1, sizeof(*places));
	struct place place = {.binary = a};
	const struct binary_symbol *last = NULL;
	size_t count = 0;
	if (!places)
		return -ENOMEM;
	for (size_t i = 0; i < g->count; i++) {
		if (g->at[i].instructions < 2)
			continue;
		place_find(&place, g->at[i].address);
		if (!count || place.function != last) {
			places[count++].function = place.function ? place.function->name : "";
			last = place.function;
		}
		places[count - 1].gadgets++;
		places[count - 1].survivors += has_key(b, SURVIVES_SYMBOL, symbol_key(&place, &g->at[i]));
	}
	qsort(places, count, sizeof(*places), by_survivors);
	*ret = places;
	*ret_count = count;
	return 0;
}
