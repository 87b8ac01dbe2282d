/* Checks of a unit test that is one file, printed as TAP. Tests of kernel code have theirs in fake_platform.h. */
#ifndef TESTS_UNIT_TAP_H
#define TESTS_UNIT_TAP_H

#include <stdbool.h>
#include <stdio.h>

static int count, failed;

#define CHECK(cond)                                                                                                                        \
	do {                                                                                                                               \
		bool ok_ = (cond);                                                                                                         \
		failed += !ok_;                                                                                                            \
		printf("%s %d - %s (line %d)\n", ok_ ? "ok" : "not ok", ++count, #cond, __LINE__);                                         \
	} while (0)

/* Prints the plan; the exit status. */
static inline int tap_done(void)
{
	printf("1..%d\n", count);
	return failed != 0;
}

#endif
