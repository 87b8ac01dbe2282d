/* The statistics page: counters that the kernel keeps and the monitor may read at any time without waking the cell.
 * The monitor maps it read-only and treats every figure as hostile (a number to print, never a size or an index).
 */
#ifndef VAUBAN_STATS_H
#define VAUBAN_STATS_H

#include <stdint.h>

#define VB_STATS_BYTES       8192u
#define VB_STATS_GUEST_CALLS 512u
#define VB_STATS_HOST_CALLS  16u

struct vb_stats {
	uint64_t memory_bytes; /* of the memory file in use now */
	uint64_t memory_peak_bytes;
	uint64_t threads;
	uint64_t faults;                           /* page faults served */
	uint64_t switches;                         /* thread switches */
	uint64_t sites_patched;                    /* call sites rewritten to jumps */
	uint64_t sites_trapped;                    /* calls that arrived by SIGSYS */
	uint64_t refused_calls;                    /* calls answered ENOSYS because the kernel lacks them */
	uint64_t booby_traps;                      /* int3 executed without a debugger (variants have them in gaps) */
	uint64_t running;                          /* not 0: the program's first instruction is due or done */
	uint64_t host_call[VB_STATS_HOST_CALLS];   /* by index in the host-call table */
	uint64_t guest_call[VB_STATS_GUEST_CALLS]; /* by Linux x86-64 number */
};

_Static_assert(sizeof(struct vb_stats) <= VB_STATS_BYTES, "statistics fit their pages");

#endif
