/* The assembly stage: the compiler's assembly text (gcc's or clang's, AT&T syntax, x86-64) in, that of a variant out. Everything
 * that it doesn't understand stays as it is: a function with a construct whose safety can't be shown is left alone by the
 * transformations concerned. The text comes from a compiler, but may hold inline assembly of anybody; it is never executed here. */
#ifndef VARIANT_ASSEMBLY_H
#define VARIANT_ASSEMBLY_H

#include <stddef.h>

struct variant_options;
struct vb_error;

/* *ret_text is the caller's to free. -EINVAL with "FILE:LINE: ..." of `name` if the text is broken; -ENOMEM. */
int assembly_transform(const struct variant_options *options, const char *name, const char *text, size_t text_bytes, char **ret_text,
	size_t *ret_bytes, struct vb_error *err);

#endif
