/* Thread switch: kernel stacks, FS and GS base, and the user's SIMD state, which the kernel itself never touches and
 * which therefore stays in the processor until another thread runs.
 */
#include "kernel/platform/process/process.h"

#include "kernel/task/task_private.h"

#define XSTATE_TILES      (3ull << 17) /* AMX: tile configuration and data */
#define XSTATE_HEADER_END 576u

uint32_t platform_xstate_bytes;
uint64_t platform_xstate_mask;

void switch_stacks(uint64_t *save_sp, uint64_t new_sp);

/* Where an extended state component ends in the save area. The monitor's table spares the instruction, which traps in
 * virtual machines and takes longer there than anything else at the start. */
static uint32_t component_end(uint32_t i)
{
	const struct vb_cpuid *known = (const struct vb_cpuid *)((const char *)boot + boot->cpuid);
	for (const struct vb_cpuid *c = known; c < known + boot->cpuid_count; c++)
		if (c->leaf == 13 && c->subleaf == i)
			return c->ebx + c->eax;
	uint32_t eax, ebx, ecx, edx;
	__asm__("cpuid" : "=a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx) : "a"(13), "c"(i));
	return ebx + eax;
}

void xstate_init(void);
void xstate_init(void)
{
	uint32_t eax, edx;
	__asm__("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
	/* Tile data traps on hosts where the process has not asked for it, and would make every signal frame 8 KiB larger. */
	platform_xstate_mask = ((uint64_t)edx << 32 | eax) & ~XSTATE_TILES;
	platform_xstate_bytes = XSTATE_HEADER_END;
	for (uint32_t i = 2; i < 63; i++)
		if (platform_xstate_mask >> i & 1)
			platform_xstate_bytes = vb_max(platform_xstate_bytes, (component_end(i) + 63) & ~63u);
}

void platform_xstate_save(void *area)
{
	memset((char *)area + 512, 0, 64);
	__asm__ volatile("xsave64 (%0)"
			 :
			 : "r"(area), "a"((uint32_t)platform_xstate_mask), "d"((uint32_t)(platform_xstate_mask >> 32))
			 : "memory");
}

void platform_xstate_load(const void *area)
{
	__asm__ volatile("xrstor64 (%0)"
			 :
			 : "r"(area), "a"((uint32_t)platform_xstate_mask), "d"((uint32_t)(platform_xstate_mask >> 32))
			 : "memory");
}

void platform_fs_base_set(uint64_t fs)
{
	__asm__ volatile("wrfsbase %0" : : "r"(fs));
}
void platform_gs_base_set(uint64_t gs)
{
	__asm__ volatile("wrgsbase %0" : : "r"(gs));
}

uint64_t platform_fs_base_get(void)
{
	uint64_t fs;
	__asm__ volatile("rdfsbase %0" : "=r"(fs));
	return fs;
}

uint64_t platform_gs_base_get(void)
{
	uint64_t gs;
	__asm__ volatile("rdgsbase %0" : "=r"(gs));
	return gs;
}

void platform_switch(struct task *from, struct task *to)
{
	if (from) {
		platform_xstate_save(from->xstate);
		from->fs_base = platform_fs_base_get();
		from->gs_base = platform_gs_base_get();
	}
	platform_xstate_load(to->xstate);
	platform_fs_base_set(to->fs_base);
	platform_gs_base_set(to->gs_base);
	cpu_kstack_top = (uint64_t)(to->regs + 1);
	switch_stacks(from ? &from->ksp : NULL, to->ksp);
}
