/* The words that describe arguments in the system-call table, as data: sets of names, and structures. */
#ifndef KERNEL_DEBUG_TRACE_NAMES_H
#define KERNEL_DEBUG_TRACE_NAMES_H

#include "base/types.h"

/* A name is printed when (value & mask) == bits; its bits are then done with. Flags and enumerations are both that. */
struct trace_name {
	uint64_t mask, bits;
	char name[56]; /* no pointer, which each cell would have to relocate in a copy of its own */
};
struct trace_set {
	const char *word;
	const struct trace_name *names;
	unsigned count;
};
extern const struct trace_set trace_sets[];
extern const unsigned trace_set_count;

/* A structure in user memory. A field's word is that of an argument; an "&word" lies within the structure itself. */
struct trace_field {
	char name[24], word[12];
	uint16_t offset, size;
};
struct trace_struct {
	const char *word;
	uint16_t size; /* at most TRACE_STRUCT_MAX */
	uint16_t count;
	const struct trace_field *fields;
};
#define TRACE_STRUCT_MAX 400
extern const struct trace_struct trace_structs[];
extern const unsigned trace_struct_count;

#endif
