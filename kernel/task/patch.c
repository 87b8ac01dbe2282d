/* Rewriting call sites (see patch.h). Owns the trampoline pages and the list of rewritten sites; trusts the image's site
 * table as much as the image, which is to say that a wrong row can harm only the program itself: lengths are bounded
 * here and the bytes are compared before anything is written.
 *
 * A trampoline: the instructions before `syscall`, then
 *	lea after(%rip), %rcx; jmp *entry(%rip)
 * after: the instructions after it, then a jump back to the end of the site.
 * The address of the kernel's entry is the first word of the page. A `cpuid` site has the template of entry.S in place of
 * the second line.
 */
#include "kernel/task/patch.h"

#include "kernel/debug/debug.h"
#include "kernel/fs/fs.h"
#include "kernel/mm/mm.h"
#include "kernel/mm/page.h"
#include "kernel/task/task_private.h"

#include <vauban/image.h>

#define JUMP_BYTES  5
#define ENTER_BYTES 13 /* lea and jmp */
#define CPUID_BYTES ((size_t)(cpuid_template_end - cpuid_template))
#define REACH       ((2ull << 30) - (16ull << 20))

void entry_from_call(void);
extern const uint8_t cpuid_template[], cpuid_template_end[];

struct patched {
	uint64_t site;       /* first rewritten byte */
	uint64_t trampoline; /* what its jump leads to */
	uint8_t syscall_at, length;
	uint8_t enter; /* bytes that stand for the instruction in the trampoline */
};

struct trampoline_page {
	struct list node;
	uint64_t va;
	uint8_t *bytes; /* kernel address */
	uint32_t used;
	struct mm *mm;
};

static const struct vb_site *sites;
static size_t site_count;
static struct patched *patched;
static size_t patched_count, patched_room;
static uint64_t cpuid_table; /* address of the table in the current program, 0: none */
static struct list pages = LIST_INIT(pages);

void patch_init(void)
{
	sites = (const struct vb_site *)(boot->image_base + boot->sites_offset);
	site_count = boot->sites_bytes / sizeof(*sites);
}

/* The first row after (nid, offset). */
static size_t row_after(uint64_t nid, uint64_t offset)
{
	size_t low = 0, high = site_count;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const struct vb_site *s = &sites[mid];
		if (s->nid < nid || (s->nid == nid && s->offset <= offset))
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static bool row_sane(const struct vb_site *s)
{
	return s->length >= JUMP_BYTES && s->length <= VB_SITE_MAX_BYTES && s->syscall_at + 2 <= s->length &&
	       (s->offset & (VB_PAGE_SIZE - 1)) + s->length <= VB_PAGE_SIZE;
}

/* The row whose `syscall` instruction is at this file offset, or NULL. */
static const struct vb_site *find_site(uint64_t nid, uint64_t offset)
{
	size_t after = row_after(nid, offset);
	const struct vb_site *s = after ? &sites[after - 1] : NULL;
	return s && s->nid == nid && s->offset + s->syscall_at == offset && row_sane(s) ? s : NULL;
}

static struct patched *find_patched(uint64_t site)
{
	for (size_t i = 0; i < patched_count; i++)
		if (patched[i].site == site)
			return &patched[i];
	return NULL;
}

static bool reaches(uint64_t a, uint64_t b)
{
	return a - b + REACH < 2 * REACH;
}

static struct trampoline_page *page_near(uint64_t site, size_t need)
{
	struct mm *mm = current->process->mm;
	list_for_each(p, &pages, struct trampoline_page, node)
		if (p->mm == mm && reaches(p->va, site) && p->used + need <= VB_PAGE_SIZE)
			return p;
	struct trampoline_page *p = kzalloc(sizeof(*p));
	struct page *frame = p ? page_alloc(0, true) : NULL;
	int64_t va = frame ? mm_map_kernel(mm, site, &frame, VB_PAGE_SIZE, PROT_R | PROT_X, "[trampolines]") : -ENOMEM;
	if (va < 0) {
		if (frame)
			page_unref(frame);
		kfree(p);
		return NULL;
	}
	p->va = (uint64_t)va;
	p->mm = mm;
	p->bytes = page_virt(frame);
	*(uint64_t *)p->bytes = (uint64_t)entry_from_call;
	p->used = sizeof(uint64_t);
	list_push_back(&pages, &p->node);
	return p;
}

static uint8_t *put_relative(uint8_t *at, uint64_t at_va, uint64_t target)
{
	int32_t rel = (int32_t)(target - (at_va + 4));
	memcpy(at, &rel, 4);
	return at + 4;
}

/* Writes the trampoline of the site whose original bytes are at `code`. Its address, or 0. */
static uint64_t write_trampoline(uint64_t site, const uint8_t *code, const struct vb_site *s, size_t enter)
{
	size_t before = s->syscall_at, after = s->length - before - 2u;
	struct trampoline_page *p = page_near(site, before + enter + after + JUMP_BYTES);
	if (!p)
		return 0;
	uint64_t start = p->va + p->used;
	uint8_t *at = p->bytes + p->used;
#define VA(ptr) (p->va + (uint64_t)((ptr)-p->bytes))
	memcpy(at, code, before);
	at += before;
	if (s->kind == VB_SITE_CPUID) {
		memcpy(at, cpuid_template, enter);
		memcpy(at + 2, &cpuid_table, sizeof(cpuid_table)); /* the operand of its first instruction */
		at += enter;
	} else {
		memcpy(at, "\x48\x8d\x0d", 3); /* lea after(%rip), %rcx */
		at = put_relative(at + 3, VA(at + 3), start + before + enter);
		memcpy(at, "\xff\x25", 2); /* jmp *entry(%rip) */
		at = put_relative(at + 2, VA(at + 2), p->va);
	}
	memcpy(at, code + before + 2, after);
	at += after;
	*at = 0xe9; /* jmp back */
	at = put_relative(at + 1, VA(at + 1), site + s->length);
#undef VA
	p->used = (uint32_t)(at - p->bytes);
	return start;
}

static struct patched *record(uint64_t site)
{
	struct patched *p = find_patched(site);
	if (p)
		return p;
	if (patched_count == patched_room) {
		size_t room = patched_room ? patched_room * 2 : 32;
		struct patched *bigger = krealloc(patched, room * sizeof(*patched));
		if (!bigger)
			return NULL;
		patched = bigger;
		patched_room = room;
	}
	return &patched[patched_count++];
}

/* Where an address inside the rewritten bytes continues; addresses outside are returned as they are. */
static uint64_t moved(const struct patched *p, uint64_t rip)
{
	uint64_t offset = rip - p->site;
	if (offset == 0 || offset >= p->length)
		return rip;
	if (offset <= p->syscall_at) /* before the call: the bytes are at the trampoline's start */
		return p->trampoline + offset;
	return p->trampoline + offset - 2 + p->enter;
}

/* Rewrites the site of row s at address site. */
static void rewrite(struct mm *mm, uint64_t site, const struct vb_site *s)
{
	uint8_t code[VB_SITE_MAX_BYTES];
	void *virt;
	if (copy_from_user(code, site, s->length) || code[s->syscall_at] != 0x0f ||
		code[s->syscall_at + 1] != (s->kind == VB_SITE_CPUID ? 0xa2 : 0x05) || debug_breakpoints_in(site, s->length) ||
		mm_private_text(mm, site, &virt))
		return;
	struct patched *p = record(site);
	if (!p)
		return;
	p->site = site;
	p->length = s->length;
	p->syscall_at = s->syscall_at;
	p->enter = s->kind == VB_SITE_CPUID ? (uint8_t)CPUID_BYTES : ENTER_BYTES;
	p->trampoline = write_trampoline(site, code, s, p->enter);
	if (!p->trampoline) {
		*p = patched[--patched_count];
		return;
	}
	uint8_t *text = (uint8_t *)virt + (site & (VB_PAGE_SIZE - 1));
	*text = 0xe9;
	put_relative(text + 1, site + 1, p->trampoline);
	stats->sites_patched++;
	list_for_each(t, &current->process->threads, struct task, thread_node)
		t->regs->rip = moved(p, t->regs->rip);
}

static bool patchable(const struct area *a, uint64_t addr)
{
	return a && a->start <= addr && a->inode && a->inode->image_nid && !a->shared;
}

/* Most sites of a program's start run once: not worth a copy of their page. May take a site for another. */
static bool called_before(uint64_t call)
{
	static uint64_t seen[16];
	unsigned bit = (unsigned)(call * 0x9e3779b97f4a7c15ull >> 54);
	bool before = seen[bit / 64] >> bit % 64 & 1;
	seen[bit / 64] |= 1ull << bit % 64;
	return before;
}

void patch_site(struct regs *regs)
{
	struct mm *mm = current->process->mm;
	uint64_t call = regs->rip - 2;
	if (!called_before(call))
		return;
	const struct area *a = mm_area_at_or_above(mm, call);
	if (!patchable(a, call))
		return;
	const struct vb_site *s = find_site(a->inode->image_nid, a->offset + (call - a->start));
	if (s && s->kind == VB_SITE_SYSCALL && call - s->syscall_at >= a->start)
		rewrite(mm, call - s->syscall_at, s);
}

void patch_mapped(struct mm *mm, uint64_t addr, uint64_t len)
{
	const struct area *a = mm_area_at_or_above(mm, addr);
	cpuid_table = mm_layout(mm)->vdso ? mm_layout(mm)->vdso + VB_PAGE_SIZE : 0;
	if (!boot->cpuid_count || !cpuid_table || !patchable(a, addr) || !(a->prot & PROT_X))
		return;
	uint64_t nid = a->inode->image_nid, offset = a->offset + (addr - a->start), base = addr - offset;
	for (size_t i = offset ? row_after(nid, offset - 1) : row_after(nid - 1, UINT64_MAX);
		i < site_count && sites[i].nid == nid && sites[i].offset + sites[i].length <= offset + len; i++)
		if (sites[i].kind == VB_SITE_CPUID && row_sane(&sites[i]))
			rewrite(mm, base + sites[i].offset, &sites[i]);
}

void patch_forget(void)
{
	list_for_each_safe(p, next, &pages, struct trampoline_page, node) {
		list_remove(&p->node);
		kfree(p);
	}
	patched_count = 0;
}

static const struct patched *by_trampoline(uint64_t rip)
{
	if (!patch_in_trampoline(rip))
		return NULL;
	for (size_t i = 0; i < patched_count; i++) {
		uint64_t offset = rip - patched[i].trampoline;
		if (offset < (uint64_t)patched[i].length - 2 + patched[i].enter + JUMP_BYTES)
			return &patched[i];
	}
	return NULL;
}

bool patch_in_trampoline(uint64_t rip)
{
	list_for_each(p, &pages, struct trampoline_page, node)
		if (rip - p->va < VB_PAGE_SIZE)
			return true;
	return false;
}

uint64_t patch_user_rip(uint64_t rip)
{
	const struct patched *p = by_trampoline(rip);
	if (!p)
		return rip;
	uint64_t offset = rip - p->trampoline;
	if (offset < p->syscall_at + (uint64_t)p->enter) /* on the way to the call */
		return p->site + vb_min(offset, (uint64_t)p->syscall_at);
	return vb_min(p->site + offset - p->enter + 2, p->site + p->length);
}

uint64_t patch_resume_rip(uint64_t rip)
{
	for (size_t i = 0; i < patched_count; i++) {
		const struct patched *p = &patched[i];
		if (rip - p->site >= p->length || rip == p->site)
			continue;
		/* Another file may have been mapped there since: the jump must still be ours. */
		uint8_t text[JUMP_BYTES], jump[JUMP_BYTES] = {0xe9};
		put_relative(jump + 1, p->site + 1, p->trampoline);
		if (!copy_from_user(text, p->site, sizeof(text)) && !memcmp(text, jump, sizeof(text)))
			return moved(p, rip);
	}
	return rip;
}

void patch_restart(struct regs *regs)
{
	const struct patched *p = by_trampoline(regs->rip);
	regs->rax = regs->orig_rax;
	if (p && regs->rip == p->trampoline + p->syscall_at + ENTER_BYTES)
		regs->rip -= ENTER_BYTES;
	else
		regs->rip -= 2;
	regs->orig_rax = (uint64_t)-1;
}
