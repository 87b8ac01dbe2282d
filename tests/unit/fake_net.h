/* What of the kernel the network stack asks for, in hosted tests and fuzzers beside fake_platform.h: one program, no files. */
#ifndef TESTS_FAKE_NET_H
#define TESTS_FAKE_NET_H

#include <stdbool.h>
#include <stdint.h>

extern uint64_t cell_memory; /* 64 MiB; the network may use a quarter of it */
extern bool fake_woken;      /* somebody who waited was, since task_prepare() */

#endif
