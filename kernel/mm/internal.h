/* Between the files of kernel/mm: the private side of areas, extents and address spaces. */
#ifndef KERNEL_MM_INTERNAL_H
#define KERNEL_MM_INTERNAL_H

#include "kernel/fs/fs_private.h"
#include "kernel/mm/mm.h"
#include "kernel/mm/page.h"
#include "kernel/mm/range.h"

/* Faults in sequence are served with windows that double between these. */
#define WINDOW_MIN_PAGES 4u
#define WINDOW_MAX_PAGES 512u
/* Scattered faults in an anonymous area of this size (hash tables, arenas) get larger ones, as long as three quarters of the
 * cell's memory are free: the cell counts the whole window, and the host gives it as soon as its neighbour was touched. */
#define SCATTER_AREA (16ull << 20)
#define SCATTER_PAGES 64u
#define SMALL_AREA (64ull << 10)        /* an anonymous area up to this is served by one fault */
#define POPULATE_MIN_PAGES 32u         /* from here on the host makes its page tables at once */
#define EAGER_COPY_MAX (24ull << 10)   /* a writable private file mapping up to this is copied when it is made */
#define EAGER_ANONYMOUS_MAX (32ull << 10) /* as is a small anonymous one, the top of a stack and the start of a growing heap */
#define ROOM_FOR_CODE (8ull << 30)     /* large anonymous areas stay this far below the top ... */
#define LARGE_AREA (32ull << 20)       /* ... so that call-site trampolines find room near any library */
#define TRAMPOLINE_REACH ((2ull << 30) - (16ull << 20))
#define STACK_GUARD (1ull << 20)

enum { RLIMIT_DATA_ = 2, RLIMIT_STACK_ = 3, RLIMIT_MEMLOCK_ = 8, RLIMIT_AS_ = 9, CAP_IPC_LOCK_ = 14 };

struct vm_area {
	struct area a; /* a.start and a.end repeat range's */
	struct range range;
	struct mm *mm;
	struct list mapping;                 /* in a.inode->mappings */
	uint64_t window_start, window_end;   /* served by the last fault */
	unsigned window_pages;
	bool filling; /* the last fault adjoined what is mapped: the pages around it will be wanted, too */
};

enum extent_kind {
	EXTENT_IMAGE, /* pages of the image */
	EXTENT_FILE,  /* a file's frames, not to be written through this mapping */
	EXTENT_TEXT,  /* frames of our own that the program hasn't written: patched text, kernel pages */
	EXTENT_OWN,   /* frames that the program may write if the area lets it: anonymous, copied, or a file's through a shared mapping */
};

/* What the host has mapped at [range.start, range.end). Holds one reference to each frame. */
struct extent {
	struct range range;
	uint64_t offset; /* in the memory file or the image */
	uint8_t kind, prot;
};

struct mm {
	struct range_tree areas, extents;
	uint64_t total_bytes, resident_bytes, data_bytes, locked_bytes;
	uint64_t map_top; /* search for free ranges goes down from here */
	uint64_t brk_start, brk;
	bool lock_future;
	unsigned membarrier; /* registered commands */
	struct mm_layout layout;
};

static inline struct vm_area *area_of(struct range *r) { return r ? vb_container_of(r, struct vm_area, range) : NULL; }
static inline struct extent *extent_of(struct range *r) { return r ? vb_container_of(r, struct extent, range) : NULL; }
static inline uint64_t pages_in(uint64_t bytes) { return bytes >> VB_PAGE_SHIFT; }
uint64_t mm_rlimit(int which);

/* area.c */
struct vm_area *area_at_or_above(const struct mm *mm, uint64_t addr);
struct vm_area *area_at(const struct mm *mm, uint64_t addr); /* that contains addr, or NULL */
static inline struct vm_area *area_next(const struct mm *mm, const struct vm_area *v) { return area_of(range_next(&mm->areas, &v->range)); }
/* A new area like *like (which need not be in a tree), in the tree; references to its file are taken. */
struct vm_area *area_new(struct mm *mm, const struct area *like);
void area_free(struct vm_area *v);
void area_resize(struct vm_area *v, uint64_t start, uint64_t end); /* offset follows start */
int areas_split(struct mm *mm, uint64_t addr);                     /* no area crosses addr afterwards */
struct vm_area *area_merge(struct vm_area *v);                     /* with its neighbours; the area that has all of it */
void area_set_prot(struct vm_area *v, int prot);
void area_set_locked(struct vm_area *v, bool locked);
static inline uint64_t area_file_index(const struct vm_area *v, uint64_t addr) { return pages_in(addr - v->a.start + v->a.offset); }
/* Calls fn for each area of [start, end), split at both ends before and merged afterwards. -ENOMEM where there is a hole: at once, or
 * after the rest was done. fn may be called twice for an area that already is as it should be. It must not free the area. */
int areas_for_range(struct mm *mm, uint64_t start, uint64_t end, bool stop_at_hole, int (*fn)(struct vm_area *v, void *arg), void *arg);
bool areas_any_kernel(const struct mm *mm, uint64_t start, uint64_t end);

/* extent.c */
struct extent *extent_at_or_above(const struct mm *mm, uint64_t addr);
struct extent *extent_at(const struct mm *mm, uint64_t addr);
void *extent_virt(const struct extent *e, uint64_t addr); /* kernel address of the byte at addr */
/* Maps on the host and records. Takes over one reference to each frame, also on failure. */
int extent_map(struct mm *mm, uint64_t va, uint64_t len, enum extent_kind kind, uint64_t offset, int area_prot, bool populate);
/* Forgets [start, end); on_host: also unmaps it there, else the caller maps something else over it. */
int extents_drop(struct mm *mm, uint64_t start, uint64_t end, bool on_host);
int extents_protect(struct mm *mm, uint64_t start, uint64_t end, int area_prot);
int extents_set_kind(struct mm *mm, uint64_t addr, enum extent_kind kind, int area_prot); /* of the one page at addr */
int extents_move(struct mm *mm, uint64_t from, uint64_t to, uint64_t len);
bool extents_any_own(const struct mm *mm, uint64_t start, uint64_t end);

/* fault.c */
void fault_eager(struct mm *mm, struct vm_area *v); /* what pays to be mapped before it is touched */

/* mm.c */
int64_t mm_map_shared(struct mm *mm, uint64_t addr, uint64_t len, int prot, int flags, struct inode *inode); /* shared memory that is no file */
int mm_may_lock(const struct mm *mm, uint64_t more); /* RLIMIT_MEMLOCK: 0, -EPERM (none at all), -ENOMEM */

#endif
