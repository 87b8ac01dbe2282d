/* Address spaces: areas (what the program asked for) and extents (what is mapped on the platform right now).
 *
 * Lazy: an area has no extents until its pages are touched; mm_fault() makes them. struct mm is an object of its own
 * so that fork and exec can have several; only the current one may be touched through user addresses.
 */
#ifndef KERNEL_MM_MM_H
#define KERNEL_MM_MM_H

#include "kernel/kernel.h"
#include "kernel/platform/platform.h"

struct mm;
struct page;
struct inode;
struct file;

/* Linux's values, from uapi/asm-generic/mman.h. */
enum {
	MAP_SHARED_ = 1, MAP_PRIVATE_ = 2, MAP_SHARED_VALIDATE_ = 3, MAP_FIXED_ = 0x10, MAP_ANONYMOUS_ = 0x20, MAP_32BIT_ = 0x40,
	MAP_GROWSDOWN_ = 0x100, MAP_POPULATE_ = 0x8000, MAP_NORESERVE_ = 0x4000, MAP_STACK_ = 0x20000,
	MAP_FIXED_NOREPLACE_ = 0x100000,
};

/* One area, as shown by /proc/PID/maps. */
struct area {
	uint64_t start, end; /* page aligned */
	int prot;            /* PROT_R | PROT_W | PROT_X */
	bool shared, grows_down, locked;
	bool kernel;         /* belongs to the kernel (vDSO, call-site trampolines): the program can't change it */
	struct inode *inode; /* mapped file, reference held; NULL: anonymous */
	struct file *file;   /* the open file it came from, reference held (for its path and access mode); NULL: anonymous */
	uint64_t offset;     /* of start in the file */
	const char *name;    /* "[heap]", "[stack]", "[vdso]" or NULL; static */
	/* mm-private fields follow in the implementation */
};

struct mm *mm_new(void); /* NULL: no memory */
void mm_free(struct mm *mm); /* unmaps everything */
/* Lets go of mapped files, which may sleep, and no more: for the end of the cell, when the host takes all memory at once. */
void mm_close_files(struct mm *mm);

/* As mmap(2) on the given mm. addr is a hint without MAP_FIXED_. file NULL: anonymous. Returns the address or -errno.
 * Refuses new executable anonymous memory unless boot has VB_BOOT_JIT (-EACCES and one log line). */
int64_t mm_map(struct mm *mm, uint64_t addr, uint64_t len, int prot, int flags, struct file *file, uint64_t offset);
/* A kernel-owned area: prot as given, backed by the frames of `pages` (count = len / 4096, one reference each is taken over).
 * near: must lie within +-2 GiB - 16 MiB of this address (0: anywhere). Returns the address or -errno. */
int64_t mm_map_kernel(struct mm *mm, uint64_t near, struct page **pages, uint64_t len, int prot, const char *name);
int mm_unmap(struct mm *mm, uint64_t addr, uint64_t len);
int mm_protect(struct mm *mm, uint64_t addr, uint64_t len, int prot);
int64_t mm_remap(struct mm *mm, uint64_t old, uint64_t old_len, uint64_t new_len, int flags, uint64_t new_addr);
uint64_t mm_brk(struct mm *mm, uint64_t brk);      /* as the system call: the new break, or the old on failure */
void mm_set_brk_start(struct mm *mm, uint64_t start); /* the loader */
/* The area that contains addr, or the next above it; NULL: none. */
struct area *mm_area_at_or_above(struct mm *mm, uint64_t addr);
void mm_set_area_name(struct mm *mm, uint64_t addr, const char *name);

/* A page fault. access is one of PROT_R, PROT_W, PROT_X. 0: resolved, retry. -EFAULT: SIGSEGV/SEGV_MAPERR. -EACCES: SIGSEGV/SEGV_ACCERR.
 * -ENXIO: SIGBUS (beyond the file's end). -ENOMEM: the cell is out of memory. Works around the faulting page as it pays.
 * Never sleeps, except where a file's get_page sleeps (9P): may_sleep false makes those -EAGAIN. */
int mm_fault(struct mm *mm, uint64_t addr, int access, bool may_sleep);
/* Faults in a whole user range so that it can be used through copy_* without a sleeping fault. */
int mm_populate(struct mm *mm, uint64_t addr, uint64_t len, int access);
/* Reads or writes memory of any mm whatever its protection is (debugger, core files). Returns bytes done. */
size_t mm_peek(struct mm *mm, uint64_t addr, void *dst, size_t len);
size_t mm_poke(struct mm *mm, uint64_t addr, const void *src, size_t len);
/* The first run of pages that are there, at or above addr; false: none. They may be absent again after a sleep. */
bool mm_present(struct mm *mm, uint64_t addr, uint64_t *ret_start, uint64_t *ret_end);
/* True when [start, end) has pages that the program may have changed. */
bool mm_modified(struct mm *mm, uint64_t start, uint64_t end);
/* The frame behind an executable file page, made private to this mm if it was an image page, for the call-site patcher:
 * *ret_virt is its kernel address. The page stays mapped with its protection. */
int mm_private_text(struct mm *mm, uint64_t addr, void **ret_virt);

/* Called by file systems when pages [first, first + count) of a file are gone or replaced: mapped copies are unmapped and fault again. */
void mm_inode_invalidate(struct inode *inode, uint64_t first, uint64_t count);
/* True if a shared mapping of the file is writable or may become so. */
bool mm_inode_has_writable_map(const struct inode *inode);

uint64_t mm_total_bytes(const struct mm *mm), mm_resident_bytes(const struct mm *mm);
/* For /proc/PID/maps, statm and core files: calls fn for each area in order. */
void mm_for_each_area(struct mm *mm, void (*fn)(const struct area *area, void *arg), void *arg);

/* Fields the loader sets for /proc: argument and environment ranges. */
struct mm_layout { uint64_t arg_start, arg_end, env_start, env_end, stack_top, code_start, code_end, data_start, data_end, brk_start, vdso, aux_start, aux_bytes; };
struct mm_layout *mm_layout(struct mm *mm);

#endif
