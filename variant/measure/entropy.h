/* How much an attacker who has one variant has to guess about another: estimates from the variants themselves. */
#ifndef VARIANT_MEASURE_ENTROPY_H
#define VARIANT_MEASURE_ENTROPY_H

#include <stdbool.h>
#include <stddef.h>

struct binary;
struct places;

struct entropy {
	const char *name, *title, *method; /* constant */
	double bits;
	bool at_least;  /* nothing coincided: the real value is higher than so many samples can show */
	size_t samples; /* 0: it can't be estimated from these files */
};

enum {
	ENTROPY_FUNCTION_ORDER,
	ENTROPY_DATA_ORDER,
	ENTROPY_FUNCTION_OFFSET,
	ENTROPY_FUNCTION_DISTANCE,
	ENTROPY_FUNCTION_SIZE,
	ENTROPY_INSTRUCTION_OFFSET,
	ENTROPIES
};

/* Functions are matched by name; names that stand for several functions are left out. -ENOMEM. */
int entropy_estimate(const struct binary *const *variants, const struct places *const *maps, unsigned count, struct entropy ret[ENTROPIES]);

#endif
