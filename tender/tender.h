/* The tender: loads a cell kernel, the image and the cell's memory into this process, locks the process down and jumps.
 *
 * Freestanding (no libc): nothing of it runs after the jump. Everything it is told comes from the monitor, which it
 * trusts; it exists so that the monitor need not trust what runs afterwards.
 */
#ifndef TENDER_TENDER_H
#define TENDER_TENDER_H

#include "base/types.h"

#include <vauban/boot.h>
#include <vauban/hostcall.h>
#include <vauban/stats.h>

#define USER_LOW  0x10000ull
#define USER_HIGH 0x700000000000ull
/* Where kernel, image and memory file go: above the program, below the host's stack and vDSO, 16 GiB apart from the
 * program so that a mapping that starts below USER_HIGH can't reach it (the filter checks upper halves). */
#define KERNEL_AREA_LOW  (USER_HIGH + (16ull << 30))
#define KERNEL_AREA_HIGH 0x770000000000ull

/* Raw system call; -errno on failure. */
long host_call(long nr, long a, long b, long c, long d, long e, long f);
#define HOST(nr, ...)                          HOST_PICK(__VA_ARGS__, HOST6, HOST5, HOST4, HOST3, HOST2, HOST1)(nr, __VA_ARGS__)
#define HOST_PICK(a, b, c, d, e, f, name, ...) name
#define HOST1(nr, a)                           host_call(nr, (long)(a), 0, 0, 0, 0, 0)
#define HOST2(nr, a, b)                        host_call(nr, (long)(a), (long)(b), 0, 0, 0, 0)
#define HOST3(nr, a, b, c)                     host_call(nr, (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define HOST4(nr, a, b, c, d)                  host_call(nr, (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)
#define HOST5(nr, a, b, c, d, e)               host_call(nr, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), 0)
#define HOST6(nr, a, b, c, d, e, f)            host_call(nr, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

/* Tells the monitor and exits 125: nothing untrusted has run yet. code: -errno of what failed; 0: what is the whole story. */
_Noreturn void tender_fail(const char *what, long code);
void tender_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

struct lockdown {
	bool user_namespace;    /* make one where the host permits it */
	const char *empty_root; /* an empty directory to make the root; NULL: leave the root */
	bool jit;               /* the program may make executable memory */
	const struct vb_kernel_table *kernel;
};

/* All steps, in order; fails the tender if a step that every host permits fails. After it only the kernel's stub can call
 * the host, so the caller must not do anything but jump into the kernel. */
void lockdown_enter(const struct lockdown *l);

#endif
