/* Owns what is known of how often code runs: counters in a --profile-generate build, and the reading of what they counted. A counter
 * belongs to a function's entry (block 0) or to the head of a loop (from 1, in the order of the text), and to the function's
 * identity: its text as the compiler wrote it. A function that has changed since is treated as if there were no profile.
 *
 * The file has lines "FUNCTION BLOCK COUNT", the first in hex, in any order; equal ones add up. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/error.h"
#include "variant/assembly/unit.h"

#define MAX_PROFILE_BYTES (256u << 20)
#define HOT_PERCENT       95 /* of all executions are in the counters that count as hot */

struct profile_entry {
	uint64_t function, block, count;
};

static int compare_place(const void *a, const void *b)
{
	const struct profile_entry *x = a, *y = b;
	if (x->function != y->function)
		return x->function < y->function ? -1 : 1;
	return x->block < y->block ? -1 : x->block > y->block;
}

static int compare_count(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x > y ? -1 : x < y;
}

static uint64_t add_up(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

/* The count from which on a place is hot. */
static uint64_t hot_threshold(struct unit *u, const struct profile_entry *entries, size_t count)
{
	uint64_t *counts = arena_take(&u->arena, (count + 1) * sizeof(*counts)), total = 0, seen = 0;
	if (!counts || u->arena.failed)
		return 0;
	for (size_t i = 0; i < count; i++) {
		counts[i] = entries[i].count;
		total = add_up(total, entries[i].count);
	}
	qsort(counts, count, sizeof(*counts), compare_count);
	for (size_t i = 0; i < count; i++) {
		seen = add_up(seen, counts[i]);
		if (seen >= total / 100 * HOT_PERCENT)
			return counts[i];
	}
	return UINT64_MAX;
}

static int parse_profile(struct unit *u, const char *path, char *text, struct vb_error *err)
{
	size_t lines = 1, count = 0;
	for (const char *at = text; (at = strchr(at, '\n')); at++)
		lines++;
	struct profile_entry *entries = arena_take(&u->arena, lines * sizeof(*entries));
	if (!entries || u->arena.failed)
		return vb_error_set(err, -ENOMEM, "%s: out of memory", path);
	unsigned line = 0;
	for (char *at = text, *next; *at; at = next) {
		struct profile_entry *e = &entries[count++];
		char *end, newline = 0;
		line++;
		next = strchr(at, '\n');
		if (next)
			*next++ = 0, newline = 1;
		e->function = strtoull(at, &end, 16);
		bool right = newline && end > at && *end == ' ';
		e->block = right ? strtoull(end + 1, &end, 10) : 0;
		right = right && *end == ' ';
		e->count = right ? strtoull(end + 1, &end, 10) : 0;
		if (!right || *end)
			return vb_error_set(err, -EINVAL,
				"%s:%u: not a line of a profile: run a program built with --profile-generate to make one", path, line);
	}
	qsort(entries, count, sizeof(*entries), compare_place);
	size_t kept = 0;
	for (size_t i = 0; i < count; i++) {
		if (kept && compare_place(&entries[kept - 1], &entries[i]) == 0)
			entries[kept - 1].count = add_up(entries[kept - 1].count, entries[i].count);
		else
			entries[kept++] = entries[i];
	}
	u->profile = entries;
	u->profile_count = kept;
	u->hot_count = hot_threshold(u, entries, kept);
	return 0;
}

int profile_read(struct unit *u, const char *path, struct vb_error *err)
{
	FILE *f = fopen(path, "re");
	if (!f)
		return vb_error_errno(err, "can't read the profile %s", path);
	size_t bytes = 0, capacity = 1 << 16;
	char *text = malloc(capacity + 1);
	int result = 0;
	while (text && result == 0) {
		size_t n = fread(text + bytes, 1, capacity - bytes, f);
		bytes += n;
		if (bytes < capacity) {
			if (ferror(f))
				result = vb_error_errno(err, "can't read the profile %s", path);
			break;
		}
		char *more = capacity < MAX_PROFILE_BYTES ? realloc(text, capacity * 2 + 1) : NULL;
		if (!more)
			result = vb_error_set(err, -EFBIG, "the profile %s is too large", path);
		else
			text = more, capacity *= 2;
	}
	fclose(f);
	if (!text)
		result = vb_error_set(err, -ENOMEM, "%s: out of memory", path);
	if (result == 0) {
		text[bytes] = 0;
		result = parse_profile(u, path, text, err);
	}
	free(text);
	return result;
}

bool profile_knows(const struct unit *u, const struct part *p)
{
	size_t low = 0, high = u->profile_count;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (u->profile[middle].function < p->identity)
			low = middle + 1;
		else
			high = middle;
	}
	return low < u->profile_count && u->profile[low].function == p->identity;
}

bool profile_hot(const struct unit *u, const struct part *p, unsigned block)
{
	const struct profile_entry key = {.function = p->identity, .block = block};
	const struct profile_entry *e = u->profile_count ? bsearch(&key, u->profile, u->profile_count, sizeof(key), compare_place) : NULL;
	return e && e->count >= u->hot_count;
}

/* --- counters --- */

static void insert_counter(struct unit *u, struct statement *st, const struct part *p, unsigned block)
{
	/* Neither the flags nor the red zone may change: lea and mov only, below it. */
	unsigned n = ++u->next_label;
	statement_insert(u, st,
		arena_format(&u->arena,
			"leaq -128(%%rsp), %%rsp\n\tpushq %%rax\n\tmovq .Lvauban_%u(%%rip), %%rax\n\tleaq 1(%%rax), %%rax\n\tmovq %%rax, "
			".Lvauban_%u(%%rip)\n"
			"\tpopq %%rax\n\tleaq 128(%%rsp), %%rsp",
			n, n));
	struct slice record = arena_format(&u->arena, ".Lvauban_%u:\n\t.quad 0,0x%llx,%u\n", n, (unsigned long long)p->identity, block);
	struct insertion *i = arena_take(&u->arena, sizeof(*i));
	i->text = record;
	i->next = u->counters;
	u->counters = i;
}

static void count_part(struct unit *u, struct part *p)
{
	unsigned block = 0, due = 0;
	bool entry = true, pending = true, glued = false;
	for (uint32_t i = p->label + 1; i < p->end; i++) {
		struct statement *st = &u->statements[i];
		if (st->loop_head) {
			block++;
			due = block;
			pending = true;
			entry = false;
		}
		if (st->section != p->section || (st->kind != STATEMENT_INSTRUCTION && st->kind != STATEMENT_INLINE))
			continue;
		if (entry && st->kind == STATEMENT_INSTRUCTION && st->instruction->mnemonic &&
			st->instruction->mnemonic->operation == OP_ENDBR)
			continue;
		if (pending && !glued)
			insert_counter(u, st, p, due);
		pending = entry = false;
		glued = st->glued;
	}
}

void assembly_profile(struct unit *u)
{
	for (uint32_t i = 0; i < u->part_count; i++)
		if (!u->parts[i].plain && !u->parts[i].opaque)
			count_part(u, &u->parts[i]);
}
