/* The result of a measurement, between what computes it (measure.c) and what prints it (report.c). */
#ifndef VARIANT_MEASURE_MEASURE_H
#define VARIANT_MEASURE_MEASURE_H

#include <stdbool.h>
#include <stdio.h>

#include "variant/binary.h"
#include "variant/demap/places.h"
#include "variant/measure/compare.h"
#include "variant/measure/entropy.h"
#include "variant/measure/gadgets.h"

struct measured {
	struct binary binary;
	struct places map; /* none unless made with --map */
	struct gadgets gadgets;
	struct survival_keys keys;
	uint64_t text_bytes;
	size_t trivial; /* gadgets that are bare terminators */
};

struct survivors {
	double *fractions; /* count * count, row by row: which part of the row's gadgets the column has */
	double mean, max, least;
	size_t *in_many;  /* in_many[k]: gadgets in at least k + 1 variants */
	double mean_keys; /* gadgets a variant, to which the former relate */
};

struct measurement {
	unsigned depth, count;
	struct measured *variants;
	struct measured *plain; /* NULL: not given */
	struct survivors survival[SURVIVES_KINDS];
	struct entropy entropy[ENTROPIES];
	struct survival_place *places; /* of the first pair */
	size_t place_count;
};

void report_text(FILE *out, const struct measurement *m, size_t places);
/* -ENOMEM */
int report_json(FILE *out, const struct measurement *m, size_t places);

#endif
