/* From a variant's addresses to those of the plain build. */
#ifndef VARIANT_DEMAP_TRANSLATE_H
#define VARIANT_DEMAP_TRANSLATE_H

#include <stdbool.h>
#include <stdint.h>

struct places;

/* How sure the result is. */
enum match {
	MATCH_NONE,     /* the address is in no function that both have */
	MATCH_NAME,     /* the function, but where in it isn't known: address is the function's */
	MATCH_COUNT,    /* the function has as many instructions, or, without maps, bytes: the one of the same number */
	MATCH_IDENTITY, /* the same instruction */
};
extern const char *const match_names[];

struct translation {
	enum match match;
	uint64_t address;     /* in the plain build, as linked */
	const char *function; /* of the plain build; NULL: unknown. Lives as long as the places */
	uint64_t offset;      /* of address in it */
};

/* address: as the variant was linked. returns: what is at address is returned to, so the instruction meant is the call in front of it. */
struct translation translate(const struct places *variant, const struct places *plain, uint64_t address, bool returns);

#endif
