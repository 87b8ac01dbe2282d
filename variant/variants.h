/* Variant sets: a project's own build run once for each seed, each time in a fresh copy of its tree.
 *
 *   SET/set.json          what was built, and how
 *   SET/plain/NAME        programs and shared libraries of the plain build
 *   SET/SEED/NAME         those of a variant; NAME.map beside each: the bytes of its section .vauban.map (variant/map.h) */
#ifndef VARIANT_VARIANTS_H
#define VARIANT_VARIANTS_H

#include <stddef.h>
#include <stdint.h>

struct vb_error;

#define VARIANTS_MAX 1000

struct variants_request {
	const char *set;           /* folder to make */
	const uint64_t *seeds;
	size_t count;
	char *const *options;      /* for vauban cc, ends with a NULL */
	char *const *command;      /* ends with a NULL */
};

/* Says what is going on. -EEXIST: there is such a folder; -EBUSY: another builds it; -EIO: a build failed, err names its log. */
int variants_build(const struct variants_request *request, struct vb_error *err);

#endif
