/* Fixed-width names, ranges and small macros that both sides share. Freestanding. */
#ifndef BASE_TYPES_H
#define BASE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VB_PAGE_SIZE  4096ull
#define VB_PAGE_SHIFT 12

#define VB_ARRAY_LEN(a)                    (sizeof(a) / sizeof((a)[0]))
#define vb_container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
#define VB_JOIN_(a, b)  a##b
#define VB_JOIN(a, b)   VB_JOIN_(a, b)
#define VB_PICK_(op, a, b, x, y)                                                                                                           \
	({                                                                                                                                 \
		__typeof__(a) x = (a);                                                                                                     \
		__typeof__(b) y = (b);                                                                                                     \
		x op y ? x : y;                                                                                                            \
	})
/* The names are new each time, so that these can be nested. */
#define vb_min(a, b) VB_PICK_(<, a, b, VB_JOIN(a_, __COUNTER__), VB_JOIN(b_, __COUNTER__))
#define vb_max(a, b) VB_PICK_(>, a, b, VB_JOIN(a_, __COUNTER__), VB_JOIN(b_, __COUNTER__))

static inline uint64_t vb_page_down(uint64_t x)
{
	return x & ~(VB_PAGE_SIZE - 1);
}
static inline uint64_t vb_page_up(uint64_t x)
{
	return (x + VB_PAGE_SIZE - 1) & ~(VB_PAGE_SIZE - 1);
}

/* True when [offset, offset + length) lies within [0, size), without overflow. */
static inline bool vb_range_within(uint64_t offset, uint64_t length, uint64_t size)
{
	return length <= size && offset <= size - length;
}

#endif
