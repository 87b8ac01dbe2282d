/* The system-call table: one row a call, by Linux x86-64 number. A handler takes up to six uint64_t (use narrower
 * parameter types where the ABI does) and returns a value >= 0 or -errno. Family files define the handlers; this header
 * and table.c list them, table.c also holds the argument format that trace prints.
 */
#ifndef KERNEL_SYSCALL_SYSCALL_H
#define KERNEL_SYSCALL_SYSCALL_H

#include "kernel/kernel.h"

typedef long syscall_fn(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);
#define SYSCALL_COUNT 512

struct syscall_row {
	syscall_fn *fn;     /* NULL: not supported, -ENOSYS and one log line */
	const char *name;   /* NULL: no such number */
	const char *format; /* argument letters, see kernel/debug/trace.c */
};
extern const struct syscall_row syscall_table[SYSCALL_COUNT];

#endif
