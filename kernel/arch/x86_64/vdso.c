/* The vDSO: finds the host's clock functions in the host's vDSO, puts their addresses into the program's. Owns the frames
 * of the program's vDSO and of the table that its `cpuid` instructions are answered from. Trusts the host's ELF image.
 */
#include "kernel/mm/mm.h"
#include "kernel/mm/page.h"
#include "kernel/platform/process/process.h"
#include "kernel/task/task_private.h"

#include <elf.h>

extern const char vdso_image[], vdso_image_end[];
static struct page *frame[2]; /* code; CPUID table */

/* Address of a symbol of a vDSO image at base, 0: none. */
static uint64_t find_symbol(uint64_t base, const char *name)
{
	const Elf64_Ehdr *eh = (const Elf64_Ehdr *)base;
	const Elf64_Phdr *ph = (const Elf64_Phdr *)(base + eh->e_phoff);
	const Elf64_Sym *symbols = NULL;
	const char *strings = NULL;
	const uint32_t *hash = NULL, *gnu_hash = NULL;
	for (int i = 0; i < eh->e_phnum; i++) {
		if (ph[i].p_type != PT_DYNAMIC)
			continue;
		for (const Elf64_Dyn *d = (const Elf64_Dyn *)(base + ph[i].p_vaddr); d->d_tag != DT_NULL; d++) {
			uint64_t at = base + d->d_un.d_ptr;
			if (d->d_tag == DT_SYMTAB)
				symbols = (const Elf64_Sym *)at;
			else if (d->d_tag == DT_STRTAB)
				strings = (const char *)at;
			else if (d->d_tag == DT_HASH)
				hash = (const uint32_t *)at;
			else if (d->d_tag == DT_GNU_HASH)
				gnu_hash = (const uint32_t *)at;
		}
	}
	if (!symbols || !strings)
		return 0;
	/* The table has no length of its own: DT_HASH says it, or it ends where the string table begins. */
	uint64_t count = hash ? hash[1] : gnu_hash || (uint64_t)strings > (uint64_t)symbols ? ((uint64_t)strings - (uint64_t)symbols) / sizeof(*symbols) : 0;
	for (uint64_t i = 0; i < count; i++)
		if (symbols[i].st_shndx != SHN_UNDEF && !strcmp(strings + symbols[i].st_name, name))
			return base + symbols[i].st_value;
	return 0;
}

void vdso_init(void)
{
	static const char *const names[] = { "__vdso_clock_gettime", "__vdso_gettimeofday", "__vdso_time", "__vdso_clock_getres", "__vdso_getcpu" };
	size_t bytes = (size_t)(vdso_image_end - vdso_image);
	frame[0] = page_alloc(0, true);
	frame[1] = page_alloc(0, true);
	if (!frame[0] || !frame[1] || bytes > VB_PAGE_SIZE)
		kpanic("no room for the vDSO");
	char *copy = page_virt(frame[0]);
	memcpy(copy, vdso_image, bytes);
	uint64_t *targets = (uint64_t *)find_symbol((uint64_t)copy, "vdso_data");
	for (unsigned i = 0; boot->host_vdso && targets && i < VB_ARRAY_LEN(names); i++)
		if (i != 4) /* the cell has one CPU whatever the host says */
			targets[i] = find_symbol(boot->host_vdso, names[i]);
	struct vb_cpuid *table = page_virt(frame[1]);
	uint32_t count = vb_min(boot->cpuid_count, VB_CPUID_MAX);
	memcpy(table, vb_boot_string(boot, boot->cpuid), count * sizeof(*table));
	table[count].leaf = VB_CPUID_ANY; /* the end */
	if (boot->host_vdso)
		platform_clock_init(find_symbol(boot->host_vdso, names[0]));
}

uint64_t vdso_map(struct mm *mm)
{
	page_ref(frame[0]);
	page_ref(frame[1]);
	int64_t va = mm_map_kernel(mm, 0, frame, 2 * VB_PAGE_SIZE, PROT_R | PROT_X, "[vdso]");
	if (va >= 0)
		return (uint64_t)va;
	page_unref(frame[0]);
	page_unref(frame[1]);
	return 0;
}
