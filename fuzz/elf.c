/* Fuzzes the ELF decoder, and the finder of call sites on what it accepts.
 * Sources: base/elf.c image/sites.c; library: Zydis. */
#include <stdlib.h>
#include <string.h>

#include "base/elf.h"
#include "image/sites.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sites sites = {0};
	struct elf_image elf;
	const char *why = NULL;

	if (elf_decode(data, size, size, &elf, &why)) {
		check(why && *why);
		return 0;
	}
	check(elf.load_count && elf.load_count <= ELF_MAX_SEGMENTS && elf.low < elf.high && elf.high <= ELF_ADDRESS_END);
	for (uint32_t i = 0; i < elf.load_count; i++) {
		const struct elf_segment *s = &elf.load[i];

		check(s->filesz <= s->memsz && vb_range_within(s->offset, s->filesz, size));
		check(s->vaddr >= elf.low && s->vaddr + s->memsz <= elf.high && (s->vaddr - s->offset) % 4096 == 0);
		check(!i || s[-1].vaddr + s[-1].memsz <= s->vaddr);
	}
	check(!elf.interp_bytes || vb_range_within(elf.interp_offset, elf.interp_bytes, size));
	check(!sites_find(data, size, 1, &sites));
	for (size_t i = 0; i < sites.count; i++) {
		const struct vb_site *s = &sites.at[i];

		check(vb_range_within(s->offset, s->length, size) && s->length >= 5 && s->length <= VB_SITE_MAX_BYTES);
		check(s->syscall_at + 2 <= s->length);
		check(!memcmp(data + s->offset + s->syscall_at, "\x0f\x05", 2) || !memcmp(data + s->offset + s->syscall_at, "\x0f\xa2", 2));
		check(!i || s[-1].offset + s[-1].length <= s->offset);
	}
	sites_release(&sites);
	return 0;
}
