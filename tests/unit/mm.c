/* Unit tests of kernel/mm over the fake platform: frames, ranges, areas, faults, the code-is-not-writable rule, and random
 * operations against a naive model that remembers every page.
 */
#include "kernel/mm/internal.h" /* before libc: <linux/stat.h> defines no S_IF* after it */

#include <stdlib.h>
#include <string.h>

#include "tests/unit/fake_platform.h"

#define PAGE VB_PAGE_SIZE

/* --- a file: pages from the image or frames --- */
struct test_inode {
	struct inode inode;
	struct page *frames[64];
	bool image; /* page n is image page n, until written */
	unsigned dirtied;
};

static int test_get_page(struct inode *inode, uint64_t index, bool for_write, struct file_page *ret)
{
	struct test_inode *t = (struct test_inode *)inode;

	if (index >= vb_page_up(inode->size) / PAGE)
		return -ENXIO;
	if (!t->frames[index] && t->image && !for_write) {
		*ret = (struct file_page){.image_offset = index * PAGE};
		return 0;
	}
	if (!t->frames[index]) {
		t->frames[index] = page_alloc(0, true);
		if (!t->frames[index])
			return -ENOMEM;
		if (t->image) {
			memcpy(page_virt(t->frames[index]), (char *)boot->image_base + index * PAGE, PAGE);
			mm_inode_invalidate(inode, index, 1);
		}
	}
	page_ref(t->frames[index]);
	*ret = (struct file_page){.frame = t->frames[index]};
	return 0;
}

static void test_dirty_page(struct inode *inode, uint64_t index)
{
	((struct test_inode *)inode)->dirtied++;
}

static const struct inode_ops test_ops = {.get_page = test_get_page, .dirty_page = test_dirty_page};

static void test_file(struct test_inode *t, struct file *f, bool image, uint64_t pages)
{
	*t = (struct test_inode){.image = image, .inode = {.refs = 1, .ops = &test_ops, .mode = S_IFREG | 0644, .size = pages * PAGE}};
	list_init(&t->inode.mappings);
	*f = (struct file){.refs = 1, .inode = &t->inode, .readable = true, .writable = true};
}

static void test_file_free(struct test_inode *t)
{
	for (unsigned i = 0; i < VB_ARRAY_LEN(t->frames); i++)
		if (t->frames[i])
			page_unref(t->frames[i]);
}

static struct test_inode shared_memory;

struct inode *rootfs_new_memfd(uint32_t mode)
{
	struct file unused;

	test_file(&shared_memory, &unused, false, 0);
	return &shared_memory.inode;
}

static volatile uint8_t *user(uint64_t addr)
{
	return (volatile uint8_t *)addr;
}

/* --- frames --- */
static void test_pages(void)
{
	fake_platform_start(64 << 20, 64 * PAGE);
	uint64_t all = pages_free();
	struct page *a = page_alloc(0, true), *b = page_alloc(3, false);
	OK(a && b && page_refs(a) == 1 && pages_free() == all - 9);
	OK(page_offset(b) % (8 * PAGE) == page_offset(a) % (8 * PAGE));
	OK(page_of(page_virt(a)) == a && page_at(page_offset(b)) == b);
	memset(page_virt(a), 7, PAGE);
	page_unref(a);
	struct page *c = page_alloc(0, true);
	OK(*(char *)page_virt(c) == 0 && ((char *)page_virt(c))[4095] == 0);
	page_unref(c);
	for (int i = 0; i < 8; i++, b = page_next(b))
		page_unref(b);
	OK(pages_free() == all);

	/* Everything can be handed out, one by one, is zero, and comes back. */
	static struct page *held[20000];
	uint64_t n = 0, bad = 0;
	for (struct page *p; (p = page_alloc(0, true)); held[n++] = p) {
		bad += *(uint64_t *)page_virt(p) != 0;
		*(uint64_t *)page_virt(p) = n + 1;
	}
	OK(n == all && !bad && pages_free() == 0);
	for (uint64_t i = 0; i < n; i++)
		bad += *(uint64_t *)page_virt(held[i]) != i + 1;
	OK(!bad);
	unsigned calls = fake_host_calls;
	for (uint64_t i = 0; i < n; i++)
		page_unref(held[(i * 7919) % n]);
	OK(pages_free() == all && fake_host_calls > calls);
	struct page *run = page_alloc_run(600, true);
	OK(run && page_refs(run) == 1);
	for (int i = 0; i < 600; i++, run = page_next(run)) {
		bad += *(uint64_t *)page_virt(run) != 0;
		page_unref(run);
	}
	OK(!bad && pages_free() == all);
	OK(!page_alloc_run(0, false) && !page_alloc_run(1025, false) && !page_alloc(11, false));
	calls = fake_host_calls;
	for (int i = 0; i < 1000; i++) {
		run = page_alloc_run(16, false);
		for (int k = 0; k < 16; k++, run = page_next(run))
			page_unref(run);
	}
	OK(fake_host_calls - calls < 10); /* no host call a turn */
}

/* --- ranges --- */
static void test_ranges(void)
{
	struct range r[3] = {{.start = 10, .end = 20}, {.start = 30, .end = 40}, {.start = 45, .end = 60}};
	struct range_tree t = {0};

	OK(range_find_gap(&t, 5, 0, 100, false) == 95 && range_find_gap(&t, 5, 0, 100, true) == 0);
	for (int i = 0; i < 3; i++)
		range_insert(&t, &r[i]);
	OK(range_at_or_above(&t, 20) == &r[1] && range_at_or_above(&t, 19) == &r[0] && !range_at_or_above(&t, 60));
	OK(range_below(&t, 30) == &r[0] && !range_below(&t, 10) && range_prev(&t, &r[2]) == &r[1]);
	OK(range_find_gap(&t, 5, 0, 100, false) == 95 && range_find_gap(&t, 5, 0, 60, false) == 40);
	OK(range_find_gap(&t, 6, 0, 60, false) == 24 && range_find_gap(&t, 10, 0, 60, true) == 0);
	OK(range_find_gap(&t, 10, 1, 60, true) == 20 && range_find_gap(&t, 11, 1, 60, true) == UINT64_MAX);
	OK(range_find_gap(&t, 3, 22, 28, false) == 25 && range_find_gap(&t, 3, 12, 19, false) == UINT64_MAX);
	range_remove(&t, &r[1]);
	OK(range_find_gap(&t, 20, 0, 60, false) == 25 && t.count == 2);

	/* Against a bit map. */
	static struct range many[200];
	static bool taken[1000];
	struct range_tree tree = {0};
	unsigned bad = 0, count = 0;
	srand(1);
	for (int turn = 0; turn < 20000; turn++) {
		uint64_t len = (uint64_t)rand() % 9 + 1, low = (uint64_t)rand() % 900, high = low + (uint64_t)rand() % (1000 - low);
		bool up = rand() & 1;
		uint64_t found = range_find_gap(&tree, len, low, high, up), want = UINT64_MAX;
		for (uint64_t at = low; at + len <= high; at++) {
			bool ok = true;
			for (uint64_t k = at; k < at + len; k++)
				ok &= !taken[k];
			if (ok && (!up || want == UINT64_MAX))
				want = at;
		}
		bad += found != want;
		if (found != UINT64_MAX && count < 200 && (rand() % 3)) {
			many[count] = (struct range){.start = found, .end = found + len};
			range_insert(&tree, &many[count++]);
			memset(taken + found, 1, len);
		} else if (count) {
			unsigned victim = (unsigned)rand() % count;
			range_remove(&tree, &many[victim]);
			memset(taken + many[victim].start, 0, many[victim].end - many[victim].start);
			if (victim != --count) {
				range_remove(&tree, &many[count]);
				many[victim] = many[count];
				range_insert(&tree, &many[victim]);
			}
		}
	}
	OK(!bad);
}

/* --- one thing at a time --- */
static void test_basic(void)
{
	fake_platform_start(64 << 20, 64 * PAGE);
	uint64_t all = pages_free();
	struct mm *mm = mm_new();
	int64_t a = mm_map(mm, 0, 10 * PAGE, PROT_R | PROT_W, MAP_PRIVATE_ | MAP_ANONYMOUS_, NULL, 0);
	OK(a > 0 && mm_total_bytes(mm) == 10 * PAGE && mm_resident_bytes(mm) == 0 && pages_free() == all);
	OK(mm_fault(mm, (uint64_t)a + 5, PROT_W, true) == 0);
	*user((uint64_t)a + 5) = 9;
	OK(*user((uint64_t)a + 5) == 9 && mm_resident_bytes(mm) > 0);
	OK(mm_fault(mm, (uint64_t)a + 10 * PAGE, PROT_R, true) == -EFAULT && mm_fault(mm, (uint64_t)a, PROT_X, true) == -EACCES);
	OK(mm_protect(mm, (uint64_t)a, PAGE, PROT_R) == 0 && mm_fault(mm, (uint64_t)a, PROT_W, true) == -EACCES);
	OK(mm_protect(mm, (uint64_t)a, PAGE, PROT_R | PROT_W) == 0 && mm->areas.count == 1);
	OK(mm_protect(mm, (uint64_t)a, 11 * PAGE, PROT_R) == -ENOMEM && mm_protect(mm, (uint64_t)a + 1, PAGE, PROT_R) == -EINVAL);
	OK(mm_protect(mm, (uint64_t)a, 10 * PAGE, PROT_R | PROT_W) == 0);
	OK(mm_unmap(mm, (uint64_t)a + 4 * PAGE, PAGE) == 0 && mm->areas.count == 2);
	OK(mm_fault(mm, (uint64_t)a + 4 * PAGE, PROT_R, true) == -EFAULT && *user((uint64_t)a + 5) == 9);
	OK(mm_map(mm, (uint64_t)a + 4 * PAGE, PAGE, PROT_R | PROT_W, MAP_PRIVATE_ | MAP_ANONYMOUS_ | MAP_FIXED_NOREPLACE_, NULL, 0) ==
		a + 4 * (int64_t)PAGE);
	OK(mm->areas.count == 1);
	OK(mm_map(mm, (uint64_t)a, PAGE, 0, MAP_PRIVATE_ | MAP_ANONYMOUS_ | MAP_FIXED_NOREPLACE_, NULL, 0) == -EEXIST);
	OK(mm_map(mm, 0, 0, 0, MAP_PRIVATE_ | MAP_ANONYMOUS_, NULL, 0) == -EINVAL);
	OK(mm_map(mm, 0, PAGE, 0, MAP_ANONYMOUS_, NULL, 0) == -EINVAL);
	OK(mm_map(mm, 0, 1ull << 50, 0, MAP_PRIVATE_ | MAP_ANONYMOUS_, NULL, 0) == -ENOMEM);
	OK(mm_map(mm, (uint64_t)a + 1, PAGE, 0, MAP_PRIVATE_ | MAP_ANONYMOUS_ | MAP_FIXED_, NULL, 0) == -EINVAL);

	/* A large reservation costs nothing, and goes where it leaves room for code. */
	int64_t big = mm_map(mm, 0, 100ull << 30, PROT_R | PROT_W, MAP_PRIVATE_ | MAP_ANONYMOUS_ | MAP_NORESERVE_, NULL, 0);
	OK(big > 0 && big + (100ll << 30) <= (int64_t)(mm->map_top - ROOM_FOR_CODE));
	unsigned faults = 0;
	for (uint64_t at = (uint64_t)big; at < (uint64_t)big + (16 << 20); at += PAGE) {
		if (!extent_at(mm, at)) {
			faults++;
			mm_fault(mm, at, PROT_W, true);
		}
		*user(at) = 1;
	}
	OK(faults < 20);
	OK(mm->extents.count < 12);
	OK(mm_unmap(mm, (uint64_t)big, 100ull << 30) == 0);

	/* mremap */
	int64_t above = mm_map(mm, (uint64_t)a + 10 * PAGE, PAGE, PROT_R, MAP_PRIVATE_ | MAP_ANONYMOUS_ | MAP_FIXED_, NULL, 0);
	OK(above > 0 && mm_remap(mm, (uint64_t)above, PAGE, 2 * PAGE, 0, 0) == above && mm_unmap(mm, (uint64_t)above + PAGE, PAGE) == 0);
	OK(mm_remap(mm, (uint64_t)a, 10 * PAGE, 5 * PAGE, 0, 0) == a && mm_total_bytes(mm) == 6 * PAGE);
	int64_t m = mm_remap(mm, (uint64_t)a, 5 * PAGE, 2000 * PAGE, 1, 0);
	OK(m > 0 && *user((uint64_t)m + 5) == 9 && mm_total_bytes(mm) == 2001 * PAGE && mm_unmap(mm, (uint64_t)above, PAGE) == 0);
	OK(mm_remap(mm, (uint64_t)m, PAGE, 0, 1, 0) == -EINVAL && mm_remap(mm, 0x1000, PAGE, PAGE, 1, 0) == -EFAULT);
	OK(mm_remap(mm, (uint64_t)m, PAGE, PAGE, 2, (uint64_t)a) == -EINVAL);
	OK(mm_remap(mm, (uint64_t)m, 3 * PAGE, 3 * PAGE, 3, (uint64_t)a) == a && *user((uint64_t)a + 5) == 9);
	OK(mm_fault(mm, (uint64_t)m, PROT_R, true) == -EFAULT);
	OK(mm_unmap(mm, (uint64_t)m, 2000 * PAGE) == 0 && mm_unmap(mm, (uint64_t)a, 3 * PAGE) == 0 && mm_total_bytes(mm) == 0);
	OK(pages_free() == all && mm->extents.count == 0);

	/* brk */
	mm_set_brk_start(mm, boot->user_low + (1 << 30));
	uint64_t b = mm_brk(mm, 0);
	OK(b >= boot->user_low + (1 << 30) && mm_brk(mm, b + 100) == b + 100 && mm_fault(mm, b, PROT_W, true) == 0);
	OK(mm_brk(mm, b + 5 * PAGE) == b + 5 * PAGE && mm->areas.count == 1);
	OK(!strcmp(mm_area_at_or_above(mm, b)->name, "[heap]"));
	OK(mm_brk(mm, b) == b && mm->areas.count == 0 && mm_brk(mm, b - 1) == b);
	current->process->rlimit[RLIMIT_DATA_].cur = 4 * PAGE;
	OK(mm_brk(mm, b + 4 * PAGE) == b + 4 * PAGE && mm_brk(mm, b + 5 * PAGE) == b + 4 * PAGE);
	OK(mm_map(mm, 0, PAGE, PROT_R | PROT_W, MAP_PRIVATE_ | MAP_ANONYMOUS_, NULL, 0) == -ENOMEM);
	current->process->rlimit[RLIMIT_DATA_].cur = UINT64_MAX;
	current->process->rlimit[RLIMIT_AS_].cur = 6 * PAGE;
	OK(mm_map(mm, 0, 3 * PAGE, PROT_R, MAP_PRIVATE_ | MAP_ANONYMOUS_, NULL, 0) == -ENOMEM);
	current->process->rlimit[RLIMIT_AS_].cur = UINT64_MAX;

	/* a stack that grows down */
	int64_t s = mm_map(mm, 0, 2 * PAGE, PROT_R | PROT_W, MAP_PRIVATE_ | MAP_ANONYMOUS_ | MAP_GROWSDOWN_, NULL, 0);
	OK(mm_fault(mm, (uint64_t)s - 3 * PAGE, PROT_W, true) == 0 &&
		mm_area_at_or_above(mm, (uint64_t)s)->start == (uint64_t)s - 3 * PAGE);
	current->process->rlimit[RLIMIT_STACK_].cur = 16 * PAGE;
	OK(mm_fault(mm, (uint64_t)s - 30 * PAGE, PROT_W, true) == -EFAULT);
	current->process->rlimit[RLIMIT_STACK_].cur = UINT64_MAX;
	mm_free(mm);
	OK(pages_free() == all);
}

static void test_files(void)
{
	fake_platform_start(64 << 20, 64 * PAGE);
	uint64_t all = pages_free();
	struct mm *mm = mm_new();
	struct test_inode image, memory;
	struct file fi, fm;
	test_file(&image, &fi, true, 40);
	test_file(&memory, &fm, false, 8);

	unsigned calls = fake_host_calls;
	int64_t t = mm_map(mm, 0, 40 * PAGE, PROT_R | PROT_X, MAP_PRIVATE_, &fi, 0);
	OK(t > 0 && fake_host_calls == calls + 1 && *user((uint64_t)t + 39 * PAGE) == 40 && pages_free() == all);
	int64_t d = mm_map(mm, (uint64_t)t + 10 * PAGE, 4 * PAGE, PROT_R | PROT_W, MAP_PRIVATE_ | MAP_FIXED_, &fi, 20 * PAGE);
	OK(d == t + 10 * (int64_t)PAGE && fake_host_calls == calls + 2 && *user((uint64_t)d + PAGE) == 22);
	*user((uint64_t)d + PAGE) = 99;
	OK(*(uint8_t *)(boot->image_base + 21 * PAGE) == 22);

	/* code */
	OK(mm_protect(mm, (uint64_t)d, PAGE, PROT_R | PROT_X) == -EACCES && fake_klog_count == 1);
	OK(mm_protect(mm, (uint64_t)t, PAGE, PROT_R | PROT_W | PROT_X) == -EACCES);
	OK(mm_map(mm, 0, PAGE, PROT_R | PROT_X, MAP_PRIVATE_ | MAP_ANONYMOUS_, NULL, 0) == -EACCES);
	OK(mm_map(mm, 0, PAGE, PROT_R | PROT_X, MAP_SHARED_, &fm, 0) == -EACCES && fake_klog_count == 1);
	OK(mm_protect(mm, (uint64_t)t, PAGE, PROT_R | PROT_W) == 0 && mm_protect(mm, (uint64_t)t, PAGE, PROT_R | PROT_X) == 0);
	OK(mm_protect(mm, (uint64_t)t, PAGE, PROT_R | PROT_W) == 0 && mm_fault(mm, (uint64_t)t, PROT_W, true) == 0);
	*user((uint64_t)t) = 77;
	OK(mm_protect(mm, (uint64_t)t, PAGE, PROT_R | PROT_X) == -EACCES && *user((uint64_t)t) == 77);
	fake_boot.flags = VB_BOOT_JIT;
	OK(mm_protect(mm, (uint64_t)t, PAGE, PROT_R | PROT_X) == 0 && *user((uint64_t)t) == 77);
	fake_boot.flags = 0;

	/* patched text */
	void *virt = NULL;
	OK(mm_private_text(mm, (uint64_t)t + 5 * PAGE + 17, &virt) == 0 && *user((uint64_t)t + 5 * PAGE) == 6);
	*(uint8_t *)virt = 55;
	OK(*user((uint64_t)t + 5 * PAGE) == 55 && *user((uint64_t)t + 6 * PAGE) == 7 && *user((uint64_t)t + 4 * PAGE) == 5);
	void *again = NULL;
	OK(mm_private_text(mm, (uint64_t)t + 5 * PAGE, &again) == 0 && again == virt);

	/* peek and poke */
	char buf[3 * PAGE];
	OK(mm_peek(mm, (uint64_t)t + 5 * PAGE, buf, sizeof(buf)) == sizeof(buf) && buf[0] == 55 && buf[PAGE] == 7);
	OK(mm_poke(mm, (uint64_t)t + 7 * PAGE - 1, "ab", 2) == 2 && *user((uint64_t)t + 7 * PAGE) == 'b' &&
		*user((uint64_t)t + 7 * PAGE - 1) == 'a');
	OK(mm_peek(mm, (uint64_t)t + 39 * PAGE, buf, 2 * PAGE) == PAGE);

	/* shared */
	int64_t s = mm_map(mm, 0, 8 * PAGE, PROT_R | PROT_W, MAP_SHARED_, &fm, 0),
		p = mm_map(mm, 0, 10 * PAGE, PROT_R, MAP_PRIVATE_, &fm, 0);
	OK(mm_fault(mm, (uint64_t)p, PROT_R, true) == 0 && *user((uint64_t)p) == 0);
	OK(mm_fault(mm, (uint64_t)s, PROT_R, true) == 0 && *user((uint64_t)s) == 0 && memory.dirtied == 0);
	OK(mm_fault(mm, (uint64_t)s, PROT_W, true) == 0 && memory.dirtied == 1);
	*user((uint64_t)s) = 5;
	OK(*user((uint64_t)p) == 5);
	OK(mm_fault(mm, (uint64_t)p + 8 * PAGE, PROT_R, true) == -ENXIO);
	OK(mm_protect(mm, (uint64_t)p, PAGE, PROT_R | PROT_W) == 0 && mm_fault(mm, (uint64_t)p, PROT_W, true) == 0);
	*user((uint64_t)p) = 6;
	OK(*user((uint64_t)s) == 5);
	memory.inode.size = 0;
	mm_inode_invalidate(&memory.inode, 0, UINT64_MAX);
	OK(mm_fault(mm, (uint64_t)s, PROT_R, true) == -ENXIO && mm_fault(mm, (uint64_t)p, PROT_R, true) == -ENXIO);
	fm.writable = false;
	OK(mm_map(mm, 0, PAGE, PROT_W, MAP_SHARED_, &fm, 0) == -EACCES);
	int64_t r = mm_map(mm, 0, PAGE, PROT_R, MAP_SHARED_, &fm, 0);
	OK(r > 0 && mm_protect(mm, (uint64_t)r, PAGE, PROT_W) == -EACCES);
	fm.readable = false;
	OK(mm_map(mm, 0, PAGE, PROT_R, MAP_PRIVATE_, &fm, 0) == -EACCES);

	/* kernel areas */
	struct page *pages[2] = {page_alloc(0, true), page_alloc(0, true)};
	int64_t k = mm_map_kernel(mm, (uint64_t)t, pages, 2 * PAGE, PROT_R | PROT_X, "[vdso]");
	OK(k > 0 && llabs(k - t) < (2ll << 30) && *user((uint64_t)k) == 0);
	OK(mm_unmap(mm, (uint64_t)k, PAGE) == -EPERM && mm_protect(mm, (uint64_t)k, PAGE, PROT_R) == -EACCES);
	OK(mm_map(mm, (uint64_t)k, PAGE, PROT_R, MAP_PRIVATE_ | MAP_ANONYMOUS_ | MAP_FIXED_, NULL, 0) == -EPERM);
	OK(mm_fault(mm, (uint64_t)k, PROT_W, true) == -EACCES);

	/* shared anonymous memory, seen twice */
	int64_t x = mm_map(mm, 0, 4 * PAGE, PROT_R | PROT_W, MAP_SHARED_ | MAP_ANONYMOUS_, NULL, 0);
	OK(mm_fault(mm, (uint64_t)x, PROT_W, true) == 0);
	*user((uint64_t)x) = 3;
	int64_t y = mm_remap(mm, (uint64_t)x, 0, 4 * PAGE, 1, 0);
	OK(y > 0 && y != x && mm_fault(mm, (uint64_t)y, PROT_R, true) == 0 && *user((uint64_t)y) == 3);

	/* out of memory */
	int64_t huge = mm_map(mm, 0, 1 << 30, PROT_R | PROT_W, MAP_PRIVATE_ | MAP_ANONYMOUS_, NULL, 0);
	OK(mm_populate(mm, (uint64_t)huge, 1 << 30, PROT_W) == -ENOMEM && pages_free() == 0);
	OK(mm_unmap(mm, (uint64_t)huge, 1 << 30) == 0 && mm_fault(mm, (uint64_t)x + PAGE, PROT_W, true) == 0);
	fake_host_error = -ENOMEM;
	OK(mm_fault(mm, (uint64_t)x + 3 * PAGE, PROT_W, true) == -ENOMEM || extent_at(mm, (uint64_t)x + 3 * PAGE));
	fake_host_error = 0;

	mm_free(mm);
	test_file_free(&image);
	test_file_free(&memory);
	test_file_free(&shared_memory);
	OK(image.inode.refs == 1 && memory.inode.refs == 1 && fi.refs == 1 && fm.refs == 1 && list_empty(&image.inode.mappings));
	OK(pages_free() == all);
}

/* --- random operations against a model --- */
#define SPACE      96u
#define FILE_PAGES 24u
struct model_page {
	bool mapped, shared, written;
	int prot, file; /* file: -1 anonymous, 0 image file, 1 memory file */
	unsigned index;
	uint8_t value; /* of anonymous pages, and of private file pages once written */
};
static struct model_page model[SPACE];
static uint8_t model_file[2][FILE_PAGES];
static uint64_t space;

static uint8_t model_value(const struct model_page *m)
{
	return m->file < 0 || (m->written && !m->shared) ? m->value : model_file[m->file][m->index];
}

struct area_cursor {
	unsigned at, bad;
};

static void check_area(const struct area *a, void *arg)
{
	struct area_cursor *c = arg;

	for (uint64_t p = a->start; p < a->end; p += PAGE) {
		unsigned n = (unsigned)((p - space) / PAGE);
		while (c->at < n)
			c->bad += c->at < SPACE && model[c->at++].mapped;
		c->at = n + 1;
		if (n >= SPACE) {
			c->bad++;
			continue;
		}
		const struct model_page *m = &model[n];
		c->bad += !m->mapped || m->prot != a->prot || m->shared != a->shared || (m->file < 0) != !a->inode;
		c->bad += m->file >= 0 && m->index != (a->offset + (p - a->start)) / PAGE;
	}
}

static unsigned touch(struct mm *mm, unsigned n, int access, uint8_t value)
{
	struct model_page *m = &model[n];
	uint64_t addr = space + n * PAGE;
	int want = !m->mapped ? -EFAULT : !(m->prot & (access == PROT_W ? PROT_W : 7)) ? -EACCES : 0;

	if (!want && m->file >= 0 && m->index >= FILE_PAGES && !(m->written && !m->shared))
		want = -ENXIO;
	int got = mm_fault(mm, addr, access, true);
	if (got != want)
		return 1;
	if (want)
		return 0;
	if (access == PROT_W) {
		*user(addr + 100) = value;
		m->written = true;
		if (m->file >= 0 && m->shared)
			model_file[m->file][m->index] = value;
		else
			m->value = value;
	}
	return m->prot && *user(addr + 100) != model_value(m);
}

static void fuzz(unsigned seed, unsigned turns)
{
	fake_platform_start(16 << 20, 64 * PAGE);
	uint64_t all = pages_free();
	struct mm *mm = mm_new();
	struct test_inode inode[2];
	struct file file[2];
	unsigned bad = 0;

	test_file(&inode[0], &file[0], true, FILE_PAGES);
	test_file(&inode[1], &file[1], false, FILE_PAGES);
	memset(model, 0, sizeof(model));
	memset(model_file[1], 0, FILE_PAGES);
	for (unsigned i = 0; i < FILE_PAGES; i++)
		model_file[0][i] = (uint8_t)(i + 1);
	space = boot->user_low + (1ull << 32);
	srand(seed);
	for (unsigned turn = 0; turn < turns && !bad; turn++) {
		unsigned n = (unsigned)rand() % SPACE, count = (unsigned)rand() % 20 + 1, op = (unsigned)rand() % 12;
		uint64_t addr = space + n * PAGE;
		count = vb_min(count, SPACE - n);
		int prot = (int[]){0, PROT_R, PROT_W, PROT_R | PROT_W}[rand() % 4];
		if (op == 0) {
			int f = rand() % 3 - 1;
			bool shared = f >= 0 && rand() % 2;
			unsigned index = (unsigned)rand() % FILE_PAGES;
			int64_t r = mm_map(mm, addr, count * PAGE, prot,
				MAP_FIXED_ | (shared ? MAP_SHARED_ : MAP_PRIVATE_) | (f < 0 ? MAP_ANONYMOUS_ : 0), f < 0 ? NULL : &file[f],
				f < 0 ? 0 : index * PAGE);
			bad += r != (int64_t)addr;
			for (unsigned i = 0; i < count; i++)
				model[n + i] =
					(struct model_page){.mapped = true, .shared = shared, .prot = prot, .file = f, .index = index + i};
			/* A small writable private mapping is copied at once: later changes of the file don't show. Linux leaves that open. */
			for (unsigned i = 0; f >= 0 && !shared && (prot & PROT_W) && count * PAGE <= EAGER_COPY_MAX && i < count &&
					     index + i < FILE_PAGES;
				i++) {
				model[n + i].written = true;
				model[n + i].value = model_file[f][index + i];
			}
		} else if (op == 1) {
			bad += mm_unmap(mm, addr, count * PAGE) != 0;
			for (unsigned i = 0; i < count; i++)
				model[n + i].mapped = false;
		} else if (op == 2) {
			int want = 0;
			for (unsigned i = 0; i < count && !want; i++) {
				if (!model[n + i].mapped)
					want = -ENOMEM;
				else
					model[n + i].prot = prot;
			}
			bad += mm_protect(mm, addr, count * PAGE, prot) != want;
		} else if (op == 3) {
			unsigned to = (unsigned)rand() % SPACE, new_count = vb_min((unsigned)rand() % 20 + 1, SPACE - to);
			bool fine = !(n < to + new_count && to < n + count);
			for (unsigned i = 0; i < count && fine; i++)
				fine = model[n + i].mapped;
			struct vm_area *v = area_at(mm, addr);
			fine = fine && v->a.end >= addr + count * PAGE;
			int64_t r = mm_remap(mm, addr, count * PAGE, new_count * PAGE, 3, space + to * PAGE);
			bad += fine != (r > 0);
			if (fine) {
				struct model_page last = model[n + count - 1];
				for (unsigned i = 0; i < new_count; i++) {
					model[to + i] = i < count ? model[n + i] : last;
					if (i >= count) {
						model[to + i].index = last.index + i - count + 1;
						model[to + i].written = false;
						model[to + i].value = 0;
					}
				}
				for (unsigned i = 0; i < count; i++)
					model[n + i].mapped = false;
			}
		} else if (op == 4) {
			struct vm_area *v = area_at(mm, addr);
			if (v && !v->a.inode && v->a.end >= addr + count * PAGE) {
				bad += extents_drop(mm, addr, addr + count * PAGE, true) != 0;
				for (unsigned i = 0; i < count; i++)
					model[n + i].value = 0;
			}
		} else if (op == 5 && model[n].mapped && model[n].file >= 0 && !model[n].shared && model[n].index < FILE_PAGES) {
			void *virt = NULL;
			bad += mm_private_text(mm, addr, &virt) != 0 || ((uint8_t *)virt)[100] != model_value(&model[n]);
			model[n].value = model_value(&model[n]);
			model[n].written = true;
		} else if (op == 6) {
			uint8_t byte = 0;
			bool there = model[n].mapped && !(model[n].file >= 0 && model[n].index >= FILE_PAGES);
			size_t got = mm_peek(mm, addr + 100, &byte, 1);
			bad += got != there || (there && byte != model_value(&model[n]));
		} else {
			/* A copy on write takes neighbours along: what they show is then fixed. */
			bad += touch(mm, n, rand() % 2 ? PROT_W : PROT_R, (uint8_t)rand());
			for (unsigned i = 0; i < SPACE; i++) {
				struct extent *e = extent_at(mm, space + i * PAGE);
				if (e && e->kind >= EXTENT_TEXT && model[i].file >= 0 && !model[i].shared && !model[i].written) {
					model[i].value = model_file[model[i].file][model[i].index];
					model[i].written = true;
				}
			}
		}
		struct area_cursor c = {0};
		mm_for_each_area(mm, check_area, &c);
		while (c.at < SPACE)
			c.bad += model[c.at++].mapped;
		if (c.bad || bad)
			printf("# seed %u turn %u op %u: %u areas wrong, %u results wrong\n", seed, turn, op, c.bad, bad);
		bad += c.bad;
	}
	for (unsigned i = 0; i < SPACE && !bad; i++)
		bad += touch(mm, i, PROT_R, 0);
	mm_free(mm);
	for (int i = 0; i < 2; i++) {
		test_file_free(&inode[i]);
		bad += inode[i].inode.refs != 1 || file[i].refs != 1;
	}
	if (bad || pages_free() != all)
		printf("# seed %u: bad %u, %lld frames lost\n", seed, bad, (long long)(all - pages_free()));
	OK(!bad && pages_free() == all);
}

/* --- the same operations while allocations and host calls fail: nothing leaks, and extents stay within areas --- */
static void check_extents(struct mm *mm, unsigned *bad)
{
	uint64_t resident = 0;

	for (struct extent *e = extent_at_or_above(mm, 0); e; e = extent_of(range_next(&mm->extents, &e->range))) {
		resident += e->range.end - e->range.start;
		for (uint64_t p = e->range.start; p < e->range.end; p += PAGE) {
			struct vm_area *v = area_at(mm, p);
			*bad += !v || (e->prot & ~v->a.prot & ~PROT_R) ||
				((e->prot & PROT_R) && *user(p + 100) != *((uint8_t *)extent_virt(e, p) + 100));
		}
	}
	*bad += resident != mm->resident_bytes;
}

static void fuzz_failures(unsigned seed, unsigned turns)
{
	fake_platform_start(8 << 20, 64 * PAGE);
	uint64_t all = pages_free();
	struct mm *mm = mm_new();
	struct test_inode inode[2];
	struct file file[2];
	unsigned bad = 0, denied = 0;

	test_file(&inode[0], &file[0], true, FILE_PAGES);
	test_file(&inode[1], &file[1], false, FILE_PAGES);
	space = boot->user_low + (1ull << 32);
	srand(seed);
	fake_failure_rate = 6;
	for (unsigned turn = 0; turn < turns && !bad; turn++) {
		unsigned n = (unsigned)rand() % SPACE, count = vb_min((unsigned)rand() % 20 + 1, SPACE - n),
			 to = (unsigned)rand() % (SPACE - 20);
		uint64_t addr = space + n * PAGE, len = count * PAGE;
		int prot = (int[]){0, PROT_R, PROT_W, PROT_R | PROT_W}[rand() % 4], f = rand() % 3 - 1, share = rand() % 2 + 1;
		int64_t r = 0;
		void *virt;
		switch (rand() % 8) {
		case 0:
			share = f < 0 ? MAP_PRIVATE_ | MAP_ANONYMOUS_ : share;
			r = mm_map(mm, addr, len, prot, MAP_FIXED_ | share, f < 0 ? NULL : &file[f], f < 0 ? 0 : to % FILE_PAGES * PAGE);
			break;
		case 1:
			r = mm_unmap(mm, addr, len);
			break;
		case 2:
			r = mm_protect(mm, addr, len, prot);
			break;
		case 3:
			r = mm_remap(mm, addr, len, ((uint64_t)rand() % 20 + 1) * PAGE, 3, space + to * PAGE);
			break;
		case 4:
			mm_inode_invalidate(&inode[0].inode, to % FILE_PAGES, count);
			break;
		case 5:
			r = mm_private_text(mm, addr, &virt);
			break;
		default:
			r = mm_fault(mm, addr, rand() % 2 ? PROT_W : PROT_R, true);
		}
		denied += r == -ENOMEM;
		check_extents(mm, &bad);
		if (bad)
			printf("# seed %u turn %u\n", seed, turn);
	}
	fake_failure_rate = 0;
	mm_free(mm);
	for (int i = 0; i < 2; i++) {
		test_file_free(&inode[i]);
		bad += inode[i].inode.refs != 1 || file[i].refs != 1;
	}
	OK(!bad && denied && pages_free() == all);
}

int main(void)
{
	test_pages();
	test_ranges();
	test_basic();
	test_files();
	for (unsigned seed = 1; seed <= 20; seed++)
		fuzz(seed, 3000);
	for (unsigned seed = 1; seed <= 10; seed++)
		fuzz_failures(seed, 3000);
	return tap_done();
}
