/* Sites of `syscall` and `cpuid`. Owns nothing but the table it fills; the files are hostile only in that they may not crash us: a program
 * that lies about its own code harms nobody but itself.
 *
 * What makes a site safe is that nothing branches behind the first of its bytes. Instead of a disassembly of everything, which
 * would have to be right everywhere, this over-approximates the targets:
 *  - 32-bit relative branches and lea: every byte of the text that could start one is taken as one;
 *  - 8-bit branches: they reach 127 bytes, so the neighbourhood of a site is decoded, from several starts that must have fallen
 *    into step before the site (x86 code resynchronises within a few instructions);
 *  - pointers (relocations' addends, symbols, tables of absolute addresses): every aligned word of the file is taken as one;
 *  - jump tables of 32-bit offsets: every lea target is taken as the base of one.
 */
#include "image/sites.h"

#include <Zydis/Zydis.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/elf.h"

enum {
	LEAD_BYTES = 512,    /* decoded before a site */
	REACH_BYTES = 160,   /* decoded after it: further than an 8-bit branch reaches */
	STARTS = 16,         /* decodings that must agree */
	SETTLED_BYTES = 192, /* this far before the site */
	NEIGHBOURS = 4,      /* instructions before or after `syscall` that a site may take in */
	TABLE_MAX = 4096,    /* entries of a jump table */
};
enum { WATCHED = 1, TARGET = 2 }; /* marks */

struct finder {
	const uint8_t *file;
	size_t size;
	uint64_t nid;
	struct elf_image elf;
	uint8_t *marks; /* of each byte of the file; only bytes near sites are written */
	ZydisDecoder decoder;
	struct sites *ret;
	size_t *calls; /* offsets of 0f 05 and 0f a2 */
	size_t call_count;
};

static bool executable(const struct elf_segment *s)
{
	return (s->flags & ELF_EXECUTE) && s->filesz;
}

/* Something may branch to vaddr. */
static void mark_target(struct finder *f, uint64_t vaddr)
{
	for (uint32_t i = 0; i < f->elf.load_count; i++) {
		const struct elf_segment *s = &f->elf.load[i];

		if (executable(s) && vaddr - s->vaddr < s->filesz && f->marks[vaddr - s->vaddr + s->offset])
			f->marks[vaddr - s->vaddr + s->offset] |= TARGET;
	}
}

static bool in_text(const struct finder *f, uint64_t vaddr)
{
	for (uint32_t i = 0; i < f->elf.load_count; i++)
		if (executable(&f->elf.load[i]) && vaddr - f->elf.load[i].vaddr < f->elf.load[i].filesz)
			return true;
	return false;
}

static int32_t word_at(const uint8_t *p)
{
	int32_t w;

	memcpy(&w, p, sizeof(w));
	return w;
}

/* If there is a jump table at vaddr, its entries are offsets from its start. */
static void mark_table(struct finder *f, uint64_t vaddr)
{
	for (uint32_t i = 0; i < f->elf.load_count; i++) {
		const struct elf_segment *s = &f->elf.load[i];
		uint64_t at = vaddr - s->vaddr;

		if (at >= s->filesz)
			continue;
		for (unsigned n = 0; n < TABLE_MAX && vb_range_within(at, 4, s->filesz); n++, at += 4) {
			uint64_t target = vaddr + word_at(f->file + s->offset + at);

			if (!in_text(f, target))
				return;
			mark_target(f, target);
		}
	}
}

static void scan_text(struct finder *f, const struct elf_segment *s)
{
	const uint8_t *code = f->file + s->offset;

	for (uint64_t i = 0; i + 6 <= s->filesz; i++) {
		uint8_t op = code[i], next = code[i + 1];

		if (op == 0xe8 || op == 0xe9) /* call, jmp */
			mark_target(f, s->vaddr + i + 5 + word_at(code + i + 1));
		else if ((op == 0x0f && (next & 0xf0) == 0x80) || (op == 0xc7 && next == 0xf8)) /* jcc, xbegin */
			mark_target(f, s->vaddr + i + 6 + word_at(code + i + 2));
		else if (op == 0x8d && (next & 0xc7) == 0x05) { /* lea rel(%rip) */
			uint64_t vaddr = s->vaddr + i + 6 + word_at(code + i + 2);

			mark_target(f, vaddr);
			mark_table(f, vaddr);
		}
	}
}

static void scan_pointers(struct finder *f)
{
	for (size_t i = 0; i + 8 <= f->size; i += 8) {
		uint64_t w;

		memcpy(&w, f->file + i, sizeof(w));
		if (w - f->elf.low < f->elf.high - f->elf.low)
			mark_target(f, w);
	}
}

/* --- one site --- */

struct insn {
	size_t offset; /* in the file */
	uint8_t length;
	bool movable; /* does the same at another address, and goes on behind itself */
	bool ret;
};

struct code { /* decoded neighbourhood, in step */
	struct insn at[LEAD_BYTES + REACH_BYTES + 16];
	size_t count, call; /* call: index of the `syscall` */
};

static bool movable(const ZydisDecodedInstruction *d)
{
	switch (d->meta.category) {
	case ZYDIS_CATEGORY_COND_BR:
	case ZYDIS_CATEGORY_UNCOND_BR:
	case ZYDIS_CATEGORY_CALL:
	case ZYDIS_CATEGORY_RET:
	case ZYDIS_CATEGORY_SYSCALL:
	case ZYDIS_CATEGORY_SYSRET:
	case ZYDIS_CATEGORY_SYSTEM:
	case ZYDIS_CATEGORY_INTERRUPT:
		return false;
	default:
		return d->mnemonic != ZYDIS_MNEMONIC_ENDBR64 /* only there to be branched to */ &&
		       d->mnemonic != ZYDIS_MNEMONIC_CPUID /* a site of its own */ && !(d->attributes & ZYDIS_ATTRIB_IS_RELATIVE);
	}
}

/* Decodes the instruction at offset, marking the target of a short branch. False: no instruction. */
static bool decode(struct finder *f, const struct elf_segment *s, size_t offset, struct insn *ret)
{
	ZydisDecodedInstruction d;
	size_t end = s->offset + s->filesz;

	if (!ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&f->decoder, NULL, f->file + offset, end - offset, &d)))
		return false;
	if (d.raw.imm[0].is_relative)
		mark_target(f, s->vaddr + (offset - s->offset) + d.length + d.raw.imm[0].value.s);
	*ret = (struct insn){.offset = offset, .length = d.length, .movable = movable(&d), .ret = d.mnemonic == ZYDIS_MNEMONIC_RET};
	return true;
}

/* Decodes from each of several starts until it falls into step with the first. */
static bool starts_agree(struct finder *f, const struct elf_segment *s, size_t low, size_t site, const struct code *c)
{
	for (size_t i = 1; i < STARTS; i++) {
		size_t at = low + i, k = 0;

		for (;;) {
			struct insn insn;

			while (k < c->count && c->at[k].offset < at)
				k++;
			if (k < c->count && c->at[k].offset == at)
				break;
			if (at + SETTLED_BYTES > site)
				return false;
			at += decode(f, s, at, &insn) ? insn.length : 1;
		}
	}
	return true;
}

/* False: the bytes at site are no `syscall` instruction, as far as we can tell. */
static bool decode_around(struct finder *f, const struct elf_segment *s, size_t site, struct code *c)
{
	size_t low = site - s->offset > LEAD_BYTES ? site - LEAD_BYTES : s->offset;
	size_t end = vb_min(site + REACH_BYTES, (size_t)(s->offset + s->filesz));
	bool found = false;

	c->count = 0;
	for (size_t at = low; at < end;) {
		struct insn *insn = &c->at[c->count];

		if (!decode(f, s, at, insn)) {
			at++;
			continue;
		}
		if (at == site) {
			found = true;
			c->call = c->count;
		}
		at += insn->length;
		c->count++;
	}
	return found && (low == s->offset || starts_agree(f, s, low, site, c));
}

/* May the instructions [first, last] become one site? */
static bool window_fits(const struct finder *f, const struct code *c, size_t first, size_t last, size_t taken_to)
{
	size_t start = c->at[first].offset, end = c->at[last].offset + c->at[last].length;

	if (start < taken_to || end - start < 5 || end - start > VB_SITE_MAX_BYTES || start / 4096 != (end - 1) / 4096)
		return false;
	for (size_t i = first; i <= last; i++)
		if (i != c->call && !c->at[i].movable && !(c->at[i].ret && i == last))
			return false;
	for (size_t i = first; i < last; i++) /* no gap of undecodable bytes */
		if (c->at[i].offset + c->at[i].length != c->at[i + 1].offset)
			return false;
	for (size_t at = start + 1; at < end; at++)
		if (f->marks[at] & TARGET)
			return false;
	return true;
}

/* The return from a signal handler: unwinders and debuggers know its frame by these very bytes. */
static bool is_sigreturn(const struct finder *f, size_t site)
{
	return (site >= 7 && !memcmp(f->file + site - 7, "\x48\xc7\xc0\x0f\0\0\0", 7)) ||
	       (site >= 5 && !memcmp(f->file + site - 5, "\xb8\x0f\0\0\0", 5));
}

/* As few instructions before `syscall` as possible, then as few behind it. */
static bool choose_window(const struct finder *f, const struct code *c, size_t taken_to, struct vb_site *ret)
{
	for (size_t before = 0; before <= NEIGHBOURS && before <= c->call; before++)
		for (size_t after = 0; after <= NEIGHBOURS && c->call + after < c->count; after++) {
			size_t first = c->call - before, last = c->call + after;

			if (!window_fits(f, c, first, last, taken_to))
				continue;
			*ret = (struct vb_site){.nid = f->nid,
				.offset = c->at[first].offset,
				.syscall_at = c->at[c->call].offset - c->at[first].offset,
				.kind = f->file[c->at[c->call].offset + 1] == 0xa2 ? VB_SITE_CPUID : VB_SITE_SYSCALL,
				.length = c->at[last].offset + c->at[last].length - c->at[first].offset};
			return true;
		}
	return false;
}

static int add_site(struct sites *ret, const struct vb_site *site)
{
	if (ret->count % 256 == 0) {
		struct vb_site *grown = realloc(ret->at, (ret->count + 256) * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		ret->at = grown;
	}
	ret->at[ret->count++] = *site;
	return 0;
}

static int find_calls(struct finder *f)
{
	for (uint32_t i = 0; i < f->elf.load_count; i++) {
		const struct elf_segment *s = &f->elf.load[i];
		const uint8_t *at = f->file + s->offset, *end = at + s->filesz;

		if (!executable(s))
			continue;
		while (at < end && (at = memchr(at, 0x0f, end - at))) {
			size_t offset = at - f->file;

			if (++at == end || (*at != 0x05 && *at != 0xa2))
				continue;

			if (f->call_count % 256 == 0) {
				size_t *grown = realloc(f->calls, (f->call_count + 256) * sizeof(*grown));

				if (!grown)
					return -ENOMEM;
				f->calls = grown;
			}
			f->calls[f->call_count++] = offset;
			at++;
		}
	}
	return 0;
}

static int compare_offsets(const void *a, const void *b)
{
	size_t x = *(const size_t *)a, y = *(const size_t *)b;

	return x < y ? -1 : x > y;
}

static const struct elf_segment *segment_of(const struct finder *f, size_t offset)
{
	for (uint32_t i = 0; i < f->elf.load_count; i++)
		if (executable(&f->elf.load[i]) && offset - f->elf.load[i].offset < f->elf.load[i].filesz)
			return &f->elf.load[i];
	return NULL;
}

static int find_sites(struct finder *f)
{
	struct code *around = malloc(sizeof(*around));
	size_t taken_to = 0;
	int r = around ? 0 : -ENOMEM;

	for (size_t i = 0; i < f->call_count; i++) {
		size_t low = f->calls[i] < VB_SITE_MAX_BYTES ? 0 : f->calls[i] - VB_SITE_MAX_BYTES;

		memset(f->marks + low, WATCHED, vb_min(f->calls[i] + VB_SITE_MAX_BYTES, f->size) - low);
	}
	for (uint32_t i = 0; i < f->elf.load_count; i++)
		if (executable(&f->elf.load[i]))
			scan_text(f, &f->elf.load[i]);
	scan_pointers(f);
	for (size_t i = 0; i < f->call_count && !r; i++) {
		struct vb_site site;

		if (i && f->calls[i] == f->calls[i - 1])
			continue; /* segments that share bytes of the file */
		if (!decode_around(f, segment_of(f, f->calls[i]), f->calls[i], around))
			continue;
		f->ret->calls += f->file[f->calls[i] + 1] == 0x05;
		if (!is_sigreturn(f, f->calls[i]) && choose_window(f, around, taken_to, &site)) {
			taken_to = site.offset + site.length;
			r = add_site(f->ret, &site);
		}
	}
	free(around);
	return r;
}

int sites_find(const uint8_t *file, size_t size, uint64_t nid, struct sites *ret)
{
	struct finder f = {.file = file, .size = size, .nid = nid, .ret = ret};
	int r;

	if (elf_decode(file, size, size, &f.elf, NULL))
		return 0;
	r = find_calls(&f);
	if (!r && f.call_count) {
		qsort(f.calls, f.call_count, sizeof(*f.calls), compare_offsets);
		ZydisDecoderInit(&f.decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
		f.marks = calloc(size, 1);
		r = f.marks ? find_sites(&f) : -ENOMEM;
	}
	free(f.calls);
	free(f.marks);
	return r;
}

void sites_release(struct sites *s)
{
	free(s->at);
	*s = (struct sites){0};
}
