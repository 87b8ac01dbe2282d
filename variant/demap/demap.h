/* Between the files of `vauban demap`. */
#ifndef VARIANT_DEMAP_DEMAP_H
#define VARIANT_DEMAP_DEMAP_H

#include <stdio.h>

#include <jansson.h>

#include "variant/demap/places.h"
#include "variant/demap/translate.h"

struct lines;

struct demap {
	struct places variant, plain;
	struct lines *lines; /* of the plain build; NULL: it has no debugging information, or there is only a map */
	struct lines *variant_lines;
	bool based; /* --base was given */
	uint64_t base;
};

/* --- lines.c: source lines by debugging information --- */
struct lines *lines_open(const char *path);
void lines_close(struct lines *l);
/* The file, by its last component, and line of an address as linked; NULL: unknown. Lives as long as l. */
const char *lines_find(struct lines *l, uint64_t address, int *ret_line);

/* The line that a translated address stands for: of the plain build, or of the variant if the instruction isn't known. */
const char *demap_line(const struct demap *d, const struct translation *t, uint64_t variant_address, bool returns, int *ret_line);

/* --- text.c --- */
/* Copies in to out; addresses of the variant's code in it become those of the plain build. */
int demap_text(const struct demap *d, FILE *in, FILE *out, struct vb_error *err);

/* --- core.c --- */
/* Prints the backtraces of a core file of the variant. */
int demap_core(const struct demap *d, const char *path, bool json, FILE *out, struct vb_error *err);

#endif
