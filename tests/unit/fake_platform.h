/* A stand-in for everything below and around a part of the kernel, for hosted unit tests: platform, boot page, log,
 * memory, one process with one task. Every function is weak: link the real one and it wins.
 */
#ifndef TESTS_FAKE_PLATFORM_H
#define TESTS_FAKE_PLATFORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Sets up boot, stats, current, the memory file (mapped, and page_init() done if page.c is linked), an image whose page n
 * is filled with the byte n + 1, and an empty user area that is really mapped by platform_map_*. */
void fake_platform_start(uint64_t memory_bytes, uint64_t image_bytes);

extern struct vb_boot fake_boot;
extern unsigned fake_klog_count;
extern unsigned fake_host_calls;   /* map, unmap, protect and discard calls so far */
extern int fake_host_error;        /* not 0: what the map calls return, without doing anything */
extern unsigned fake_failure_rate; /* not 0: one of so many heap allocations and map calls fails */
extern size_t fake_largest_block;   /* the heap has none larger */
extern uint64_t fake_now_ns;       /* all clocks */

/* TAP output. */
extern int tap_count, tap_failed;
#define OK(cond)                                                                                                                           \
	do {                                                                                                                               \
		bool ok_ = (cond);                                                                                                         \
		tap_failed += !ok_;                                                                                                        \
		printf("%sok %d - %s (%s:%d)\n", ok_ ? "" : "not ", ++tap_count, #cond, __FILE__, __LINE__);                               \
	} while (0)
static inline int tap_done(void)
{
	printf("1..%d\n", tap_count);
	return tap_failed != 0;
}

#endif
