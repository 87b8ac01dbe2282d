/* Text of one argument of a traced call, from the word that describes it. Used by trace*.c only. */
#ifndef KERNEL_DEBUG_TRACE_WORDS_H
#define KERNEL_DEBUG_TRACE_WORDS_H

#include "base/types.h"

struct text {
	char *bytes;
	size_t size, used; /* used stays below size: what does not fit is dropped */
};

/* One argument, or one field of a structure. */
struct arg {
	uint64_t value;
	uint64_t count; /* elements or bytes */
	bool counted;
	const uint64_t *args; /* all six, for words that depend on a neighbour */
};

void put(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void put_escaped(struct text *t, const unsigned char *s, size_t n);
void put_buffer(struct text *t, uint64_t addr, uint64_t len);                               /* in quotes, or as a pointer */
void put_vectors(struct text *t, uint64_t addr, uint64_t count, uint64_t left);             /* struct iovec */
void put_pointer(struct text *t, uint64_t p);
void put_set_named(struct text *t, const char *set, uint64_t value);
void put_word(struct text *t, const char *word, const struct arg *arg);

#endif
