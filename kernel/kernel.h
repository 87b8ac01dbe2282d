/* What every part of the cell kernel may use: memory, log, panic, user memory, randomness.
 *
 * Rules of the house. One CPU; kernel code is never preempted and gives up the CPU only in functions that say that they
 * sleep. So there are no locks: state is consistent whenever a sleeping function is called, and must be re-checked
 * after. Results are 0 or a value >= 0, or -errno. Allocation failure is -ENOMEM, never a crash.
 */
#ifndef KERNEL_KERNEL_H
#define KERNEL_KERNEL_H

#include "base/list.h"
#include "base/string.h"
#include "base/types.h"

#include <vauban/boot.h>
#include <vauban/stats.h>

#include "kernel/errno.h"

extern const struct vb_boot *boot; /* set before anything else runs */
extern struct vb_stats *stats;

/* Kernel heap. Any size; kzalloc zeroes. NULL when the cell's memory is used up. kfree(NULL) is nothing. */
void *kmalloc(size_t size) __attribute__((malloc, alloc_size(1)));
void *kzalloc(size_t size) __attribute__((malloc, alloc_size(1)));
void *krealloc(void *p, size_t size);
void kfree(void *p);
size_t kmalloc_size(const void *p);           /* what it really takes */
void kmalloc_shrink(void *p, size_t size); /* gives back what lies beyond size, by whole pages, in place */
char *kstrdup(const char *s);

/* One line in the cell's log (kept by the monitor; rate-limited there). Severity as in message.h. */
void klog(int severity, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The cell can't start, and it's no fault of the kernel: says what failed and why, ends it with that exit status. */
_Noreturn void start_fail(int status, int error, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* A broken invariant: says it and ends the cell. */
_Noreturn void kpanic(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
#define KASSERT(cond)                                                                                                                      \
	do {                                                                                                                               \
		if (!(cond))                                                                                                               \
			kpanic("%s:%d: %s", __FILE__, __LINE__, #cond);                                                                    \
	} while (0)

/* User memory. Addresses come from the program: any value is safe. May serve page faults, never sleeps.
 * Return 0, or -EFAULT with dst partly written. */
int copy_from_user(void *dst, uint64_t src, size_t n);
int copy_to_user(uint64_t dst, const void *src, size_t n);
int zero_user(uint64_t dst, size_t n);
/* Copies a NUL-terminated string. Returns its length, -EFAULT, or -ENAMETOOLONG when it has no NUL within size. */
long string_from_user(char *dst, uint64_t src, size_t size);
#define get_user(var, addr) copy_from_user(&(var), (addr), sizeof(var))
#define put_user(value, addr)                                                                                                              \
	({                                                                                                                                 \
		__typeof__(value) v_ = (value);                                                                                            \
		copy_to_user((addr), &v_, sizeof(v_));                                                                                     \
	})
/* True when [addr, addr + n) can be user memory at all (says nothing about mappings). */
bool user_range_ok(uint64_t addr, uint64_t n);

/* Cryptographic randomness: ChaCha20 keyed from the boot seed, rekeyed after each request. */
void random_bytes(void *dst, size_t n);

#endif
