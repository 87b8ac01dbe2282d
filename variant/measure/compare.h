/* What survives between variants. Two gadgets of different binaries are the same in one of several senses; bare terminators (a single
 * instruction) never count, as they are everywhere and of no use alone. */
#ifndef VARIANT_MEASURE_COMPARE_H
#define VARIANT_MEASURE_COMPARE_H

#include <stddef.h>
#include <stdint.h>

struct binary;
struct gadgets;

enum survival {
	SURVIVES_ADDRESS,  /* the same bytes at the same address */
	SURVIVES_SYMBOL,   /* the same bytes at the same distance from the nearest function in front: who learns one pointer finds them */
	SURVIVES_ANYWHERE, /* distinct byte sequences that the other has, too, wherever */
	SURVIVES_EFFECT,   /* distinct sequences that the other has, too, wherever and with whatever NOPs in between */
	SURVIVES_PLACES,   /* as SURVIVES_ANYWHERE, but each gadget counts, not each distinct sequence */
	SURVIVES_KINDS,
};
extern const char *const survival_names[SURVIVES_KINDS];  /* for JSON */
extern const char *const survival_titles[SURVIVES_KINDS]; /* for people */

/* The keys of a binary's gadgets for each sense, ascending and each once: what two binaries have in common survives. */
struct survival_keys {
	uint64_t *at[SURVIVES_KINDS]; /* none of its own for SURVIVES_PLACES */
	size_t count[SURVIVES_KINDS];
	uint32_t *places; /* of each key of SURVIVES_ANYWHERE: how many gadgets have it */
};

/* -ENOMEM */
int survival_keys_init(struct survival_keys *keys, const struct binary *b, const struct gadgets *g);
void survival_keys_release(struct survival_keys *keys);
/* How many keys of a both have; for SURVIVES_PLACES, of gadgets. */
size_t survival_common(const struct survival_keys *a, const struct survival_keys *b, enum survival kind);
/* ret[k] gets the number of keys that at least k + 1 of the variants have; not for SURVIVES_PLACES. -ENOMEM. */
int survival_in_many(const struct survival_keys *variants, unsigned count, enum survival kind, size_t *ret);

/* Functions by how many of their gadgets survive relative to them between two binaries: where a transformation would help most. */
struct survival_place {
	const char *function; /* of a's symbols */
	size_t gadgets, survivors;
};
/* Descending by survivors; the array is the caller's to free. -ENOMEM. */
int survival_places(
	const struct binary *a, const struct gadgets *g, const struct survival_keys *b, struct survival_place **ret, size_t *ret_count);

#endif
