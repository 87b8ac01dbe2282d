/* Owns the pieces of .text: where they start, which stay together, and where they go. */
#include "variant/shuffle/shuffle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/error.h"
#include "variant/random.h"

static bool starts_piece(const struct shuffle *s, const struct binary_symbol *symbol)
{
	return symbol->section == s->text && (symbol->type == STT_FUNC || symbol->type == STT_GNU_IFUNC) && symbol->value >= s->start &&
	       symbol->value < s->end;
}

static void add_piece(struct shuffle *s, uint64_t start, const char *name)
{
	s->pieces[s->piece_count++] = (struct piece){.start = start, .name = name};
}

int pieces_find(struct shuffle *s, struct vb_error *err)
{
	uint64_t inside = s->start; /* up to here functions found so far reach: no piece starts within one */
	s->pieces = calloc(s->b.symbol_count + 1, sizeof(*s->pieces));
	if (!s->pieces)
		return vb_error_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < s->b.symbol_count; i++) {
		const struct binary_symbol *symbol = &s->b.symbols[i];
		if (!starts_piece(s, symbol))
			continue;
		if (!s->piece_count && symbol->value > s->start)
			add_piece(s, s->start, "the start of .text");
		bool known = s->piece_count && s->pieces[s->piece_count - 1].start == symbol->value;
		if (!known && symbol->value >= inside)
			add_piece(s, symbol->value, symbol->name);
		if (symbol->size <= s->end - symbol->value && symbol->value + symbol->size > inside)
			inside = symbol->value + symbol->size;
	}
	if (s->piece_count < 2)
		return vb_error_set(err, -ENOTSUP, "%s has fewer than two functions to shuffle", s->b.path);
	for (size_t i = 0; i < s->piece_count; i++)
		s->pieces[i].size = (i + 1 < s->piece_count ? s->pieces[i + 1].start : s->end) - s->pieces[i].start;
	return 0;
}

struct piece *piece_at(const struct shuffle *s, uint64_t address)
{
	size_t low = 0, high = s->piece_count;
	if (address < s->start || address >= s->end)
		return NULL;
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;
		if (s->pieces[middle].start <= address)
			low = middle;
		else
			high = middle;
	}
	return &s->pieces[low];
}

void pieces_glue(struct shuffle *s, uint64_t a, uint64_t b)
{
	struct piece *x = piece_at(s, a), *y = piece_at(s, b);
	if (!x || !y || x == y)
		return;
	(x < y ? x : y)->glue++;
	(x < y ? y : x)->glue--;
}

uint64_t piece_shift(const struct shuffle *s, uint64_t address)
{
	const struct piece *p = piece_at(s, address);
	return p ? p->new_start - p->start : 0;
}

/* --- places ---
 * Every group of pieces keeps its address modulo the section's alignment, and the padding behind it, so that all fit into .text again.
 * Take the remainders as the vertices of a graph, and each group as an edge from the remainder of its address to that of the next
 * group's: an order in which each group starts where the one before it ends is an Eulerian trail. The order as linked is one, so there
 * are others, and a random one is found as van Aardenne-Ehrenfest and de Bruijn count them: choose for each vertex the edge by which the
 * trail leaves it for the last time, such that these lead to the trail's end as a tree (Wilson's algorithm gives each tree the same
 * chance); all other edges may be taken in any order. */
#define MAX_REMAINDERS 4096u
#define MAX_STEPS      10000000u

struct group {
	struct piece *first;
	uint64_t size; /* up to the next one */
};

struct vertex {
	unsigned *edges; /* groups that start at this remainder */
	unsigned count, used;
	unsigned exit; /* index within edges of the last to be taken */
	bool in_tree;
};

struct trail {
	struct group *groups;
	size_t count;
	uint64_t mask; /* of an address: its remainder */
	struct vertex vertices[MAX_REMAINDERS];
	unsigned *edges, *order;
};

static void make_groups(struct shuffle *s, struct trail *t)
{
	int64_t open = 0;
	for (size_t i = 0; i < s->piece_count; i++) {
		struct piece *p = &s->pieces[i];
		if (!i || !p[-1].glued)
			t->groups[t->count++] = (struct group){.first = p};
		struct group *g = &t->groups[t->count - 1];
		g->size = (i + 1 < s->piece_count ? p[1].start : s->end) - g->first->start;
		open += p->glue;
		p->glued = open > 0;
	}
}

static void make_graph(const struct shuffle *s, struct trail *t)
{
	uint64_t align = s->b.sections[s->text].align;
	align = align < 1 ? 1 : align > MAX_REMAINDERS ? MAX_REMAINDERS : align;
	t->mask = align - 1;
	unsigned *next = t->edges;
	for (size_t i = 0; i < t->count; i++)
		t->vertices[t->groups[i].first->start & t->mask].count++;
	for (uint64_t v = 0; v <= t->mask; v++) {
		t->vertices[v].edges = next;
		next += t->vertices[v].count;
	}
	for (size_t i = 0; i < t->count; i++) {
		struct vertex *v = &t->vertices[t->groups[i].first->start & t->mask];
		v->edges[v->used++] = (unsigned)i;
	}
}

static uint64_t leads_to(const struct trail *t, const struct vertex *v, unsigned edge)
{
	const struct group *g = &t->groups[v->edges[edge]];
	return (g->first->start + g->size) & t->mask;
}

/* Wilson's algorithm: random walks, without their loops, from each vertex to the tree. */
static void choose_exits(struct trail *t, uint64_t end, struct variant_random *random)
{
	unsigned steps = 0;
	for (uint64_t v = 0; v <= t->mask; v++)
		t->vertices[v].exit = t->vertices[v].count - 1; /* as linked, which leads to the end, too */
	t->vertices[end].in_tree = true;
	for (uint64_t start = 0; start <= t->mask; start++) {
		if (!t->vertices[start].count)
			continue;
		for (uint64_t at = start; !t->vertices[at].in_tree && steps < MAX_STEPS; steps++) {
			struct vertex *v = &t->vertices[at];
			v->exit = (unsigned)variant_random_below(random, v->count);
			at = leads_to(t, v, v->exit);
		}
		if (steps == MAX_STEPS)
			break;
		for (uint64_t at = start; !t->vertices[at].in_tree; at = leads_to(t, &t->vertices[at], t->vertices[at].exit))
			t->vertices[at].in_tree = true;
	}
	/* Only for a file made to keep the walk from its end: what isn't settled goes as it was. */
	for (uint64_t v = 0; v <= t->mask && steps == MAX_STEPS; v++)
		t->vertices[v].exit = t->vertices[v].count - 1;
}

static void shuffle_edges(struct trail *t, struct vertex *v, bool has_exit, struct variant_random *random)
{
	unsigned last = v->count - 1, exit = v->edges[v->exit];
	if (has_exit) {
		v->edges[v->exit] = v->edges[last];
		v->edges[last] = exit;
	}
	unsigned count = v->count - has_exit;
	variant_random_order(random, t->order, count);
	for (unsigned i = 0; i < count; i++)
		t->order[i] = v->edges[t->order[i]];
	memcpy(v->edges, t->order, count * sizeof(*v->edges));
	v->used = 0;
}

static void walk(struct shuffle *s, struct trail *t)
{
	uint64_t at = s->start;
	for (size_t i = 0; i < t->count; i++) {
		struct vertex *v = &t->vertices[at & t->mask];
		const struct group *g = &t->groups[v->edges[v->used++]];
		for (struct piece *p = g->first;; p++) {
			p->new_start = at + (p->start - g->first->start);
			if (!p->glued)
				break;
		}
		at += g->size;
	}
}

int pieces_place(struct shuffle *s, uint64_t seed, struct vb_error *err)
{
	struct variant_random random;
	struct trail *t = calloc(1, sizeof(*t));
	int r = -ENOMEM;
	if (t) {
		t->groups = calloc(s->piece_count, sizeof(*t->groups));
		t->edges = calloc(s->piece_count, sizeof(*t->edges));
		t->order = calloc(s->piece_count, sizeof(*t->order));
	}
	if (!t || !t->groups || !t->edges || !t->order) {
		vb_error_set(err, r, "out of memory");
		goto out;
	}
	make_groups(s, t);
	s->moved = (unsigned)t->count;
	r = -ENOTSUP;
	if (t->count < 2) {
		vb_error_set(
			err, r, "%s can't be shuffled: all of its code belongs together; compile it with -ffunction-sections", s->b.path);
		goto out;
	}
	make_graph(s, t);
	uint64_t end = s->end & t->mask;
	variant_random_init(&random, seed, (const char *const[]){"shuffle", NULL});
	choose_exits(t, end, &random);
	for (uint64_t v = 0; v <= t->mask; v++)
		if (t->vertices[v].count)
			shuffle_edges(t, &t->vertices[v], v != end, &random);
	walk(s, t);
	r = 0;
out:
	if (t) {
		free(t->groups);
		free(t->edges);
		free(t->order);
	}
	free(t);
	return r;
}
