/* The system-call table: one row a call, by Linux x86-64 number. A handler takes up to six uint64_t (use narrower
 * parameter types where the ABI does) and returns a value >= 0 or -errno. Family files define the handlers; this header
 * and table.c list them, table.c also holds the argument format that trace prints.
 */
#ifndef KERNEL_SYSCALL_SYSCALL_H
#define KERNEL_SYSCALL_SYSCALL_H

#include "kernel/kernel.h"

typedef long syscall_fn(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);
#define SYSCALL_COUNT 512

extern syscall_fn *const syscall_table[SYSCALL_COUNT]; /* NULL: not supported, -ENOSYS and one log line */

/* Without pointers, which each cell would have to relocate in a copy of its own. */
struct syscall_text {
	char name[24];   /* empty: no such number */
	char format[48]; /* argument words, see kernel/debug/trace.c */
};
extern const struct syscall_text syscall_text[SYSCALL_COUNT];

#endif
