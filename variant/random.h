/* Choices that a seed makes. Each choice has a generator of its own, keyed by the seed and by names (the transformation, the
 * function...), so that it depends neither on the order of choices nor on what else is compiled: the same seed and the same
 * source give the same bytes in any directory, at any -j. Nothing about one seed can be computed from builds with others
 * (ChaCha20 as a tree of pseudorandom functions, Goldreich, Goldwasser, Micali 1986). */
#ifndef VARIANT_RANDOM_H
#define VARIANT_RANDOM_H

#include "base/chacha.h"

struct variant_random {
	uint8_t key[CHACHA_KEY_BYTES];
	uint64_t counter;
	uint8_t block[CHACHA_BLOCK_BYTES];
	unsigned used; /* bytes of block */
};

/* The generator of seed and names, which end with a NULL. */
void variant_random_init(struct variant_random *r, uint64_t seed, const char *const *names);
/* The generator of one more name, given as bytes: the content of a function, for example. */
void variant_random_fork(struct variant_random *r, const struct variant_random *parent, const void *name, size_t name_bytes);

uint64_t variant_random_u64(struct variant_random *r);
/* Evenly within [0, limit); limit > 0. */
uint64_t variant_random_below(struct variant_random *r, uint64_t limit);
/* True in `percent` of all cases. */
bool variant_random_percent(struct variant_random *r, unsigned percent);
/* Fills order[] with a permutation of 0 .. count - 1. */
void variant_random_order(struct variant_random *r, unsigned *order, unsigned count);

#endif
