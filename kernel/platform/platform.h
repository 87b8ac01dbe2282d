/* The one interface between the cell kernel and what confines it. Implemented by platform/process (later kvm).
 * Everything else in the kernel is portable across platforms.
 */
#ifndef KERNEL_PLATFORM_PLATFORM_H
#define KERNEL_PLATFORM_PLATFORM_H

#include "base/types.h"

struct task;
struct regs;

enum { PROT_R = 1, PROT_W = 2, PROT_X = 4 }; /* as PROT_READ, PROT_WRITE, PROT_EXEC */

/* User pages. Ranges are page aligned and within the user area; offsets are page aligned and within the file.
 * memory: pages of the memory file, shared. image: pages of the image, read-only (prot has no PROT_W).
 * reserve: nothing there (access faults). Return 0 or -errno (-ENOMEM: the host has no room for more mappings). */
int platform_map_memory(uint64_t va, uint64_t len, int prot, uint64_t offset, bool populate);
int platform_map_image(uint64_t va, uint64_t len, int prot, uint64_t offset);
int platform_unmap(uint64_t va, uint64_t len);
int platform_protect(uint64_t va, uint64_t len, int prot);
/* Gives pages of the memory file back to the host; they read as zero afterwards. Returns 0 or -errno (contents then unchanged). */
int platform_discard(uint64_t offset, uint64_t len);

/* Time. clock is a Linux clock id: REALTIME, MONOTONIC, MONOTONIC_RAW, BOOTTIME, PROCESS_CPUTIME_ID (of the cell). */
uint64_t platform_clock_ns(int clock);
/* Asks for kernel_interrupt() at or after deadline_ns (CLOCK_MONOTONIC), UINT64_MAX: none. Cheap when nothing changes. */
void platform_set_timer(uint64_t deadline_ns);

/* True once after an interrupt (timer, message) came in. */
bool platform_interrupt_take(void);

/* What the idle kernel waits for. WAIT_NET << i: frames at interface i; WAIT_NET_ROOM << i: that it takes frames again. */
enum { WAIT_MONITOR = 1, WAIT_STDIN = 2, WAIT_STDOUT = 4, WAIT_STDERR = 8, WAIT_NET = 1 << 8, WAIT_NET_ROOM = 1 << 16 };
/* Blocks until something of `events` is ready, an interrupt is pending or the deadline has passed. Returns what is ready.
 * deadline 0 polls. */
unsigned platform_wait(unsigned events, uint64_t deadline_ns);

/* Standard descriptors. Never blocks longer than an interrupt. Return bytes, or -errno (-EINTR: interrupted, nothing done).
 * buf is kernel memory. */
long platform_stdio_read(int fd, void *buf, size_t len);
long platform_stdio_write(int fd, const void *buf, size_t len);

/* The descriptor of interface i, as its kind in the boot page says (vauban/boot.h). Never blocks: -EAGAIN. 0 from read, or
 * another error: the other end is gone. A read may take part of a stream's frame; a write may take part of a stream. */
struct frame_part {
	const void *data;
	size_t len;
};
long platform_frame_read(unsigned i, void *buf, size_t len);
long platform_frame_write(unsigned i, const struct frame_part *parts, unsigned count); /* at most 1024 */

/* One message to or from the monitor (vauban/message.h). send blocks until taken. receive returns 0 when none is there. */
void platform_send(const void *header, size_t header_len, const void *payload, size_t len);
long platform_receive(void *buf, size_t size);

/* Thread switch: saves the running thread's user SIMD state and FS base in `from`, loads those of `to`, changes kernel
 * stacks, and returns in the context of `to`. from is NULL when the old thread is gone. */
void platform_switch(struct task *from, struct task *to);
void platform_fs_base_set(uint64_t fs);
uint64_t platform_fs_base_get(void);
void platform_gs_base_set(uint64_t gs);
uint64_t platform_gs_base_get(void);

/* The extended state (x87, SSE, AVX ...) of the running thread in the standard (non-compacted) XSAVE layout, as signal
 * frames, core files and debuggers want it. */
extern uint32_t platform_xstate_bytes; /* size of the area, a multiple of 64 */
extern uint64_t platform_xstate_mask;  /* XCR0 */
void platform_xstate_save(void *area64);       /* area: 64-byte aligned, platform_xstate_bytes; header zeroed by the callee */
void platform_xstate_load(const void *area64); /* area must have passed xstate validation */

/* Ends the tender. */
_Noreturn void platform_halt(int status);

#endif
