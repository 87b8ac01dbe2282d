/* Owns slices of text and the arena. */
#include "variant/assembly/unit.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool slice_is(struct slice s, const char *text)
{
	return strlen(text) == s.length && memcmp(s.at, text, s.length) == 0;
}

bool slice_starts(struct slice s, const char *prefix)
{
	size_t length = strlen(prefix);
	return s.length >= length && memcmp(s.at, prefix, length) == 0;
}

bool slice_equal(struct slice a, struct slice b)
{
	return a.length == b.length && memcmp(a.at, b.at, a.length) == 0;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

struct slice slice_trim(struct slice s)
{
	while (s.length && is_space(s.at[0]))
		s.at++, s.length--;
	while (s.length && is_space(s.at[s.length - 1]))
		s.length--;
	return s;
}

bool slice_number(struct slice s, int64_t *ret)
{
	bool negative = s.length && s.at[0] == '-';
	uint64_t value = 0;
	uint32_t i = negative;
	unsigned base = 10;
	if (s.length > i + 2 && s.at[i] == '0' && (s.at[i + 1] == 'x' || s.at[i + 1] == 'X'))
		base = 16, i += 2;
	else if (s.length > i + 1 && s.at[i] == '0')
		return false; /* octal: no compiler writes it */
	if (i == s.length || s.length > 20u + negative)
		return false;
	for (; i < s.length; i++) {
		char c = s.at[i];
		unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
				 : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
				 : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A' + 10)
							: 99;
		if (digit >= base || value > (UINT64_MAX - digit) / base)
			return false;
		value = value * base + digit;
	}
	*ret = (int64_t)(negative ? -value : value);
	return true;
}

#define BLOCK_BYTES (256u << 10)
struct arena_block {
	struct arena_block *next;
	char bytes[];
};

void *arena_take(struct arena *a, size_t bytes)
{
	static char spare[1 << 16];
	bytes = (bytes + 15) & ~(size_t)15;
	if ((size_t)(a->end - a->at) < bytes) {
		size_t size = bytes > BLOCK_BYTES / 4 ? bytes : BLOCK_BYTES;
		struct arena_block *block = malloc(sizeof(*block) + 16 + size);
		if (!block) {
			a->failed = true;
			return bytes <= sizeof(spare) ? memset(spare, 0, bytes) : NULL;
		}
		block->next = a->blocks;
		a->blocks = block;
		char *start = (char *)(((uintptr_t)block->bytes + 15) & ~(uintptr_t)15);
		if (size == bytes)
			return memset(start, 0, bytes); /* a block of its own */
		a->at = start, a->end = start + size;
	}
	void *taken = a->at;
	a->at += bytes;
	return memset(taken, 0, bytes);
}

struct slice arena_format(struct arena *a, const char *fmt, ...)
{
	char text[1024];
	va_list args;
	va_start(args, fmt);
	int n = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (n < 0 || (size_t)n >= sizeof(text)) {
		a->failed = true; /* longer than anything that is written here */
		n = 0;
	}
	return arena_copy(a, (struct slice){text, (uint32_t)n});
}

struct slice arena_copy(struct arena *a, struct slice s)
{
	char *copy = arena_take(a, s.length + 1);
	if (!copy)
		return SLICE("");
	memcpy(copy, s.at, s.length);
	return (struct slice){copy, s.length};
}

void arena_release(struct arena *a)
{
	for (struct arena_block *block = a->blocks, *next; block; block = next) {
		next = block->next;
		free(block);
	}
	*a = (struct arena){0};
}
