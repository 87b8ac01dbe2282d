/* The finder of call sites, on hand-made code: what is taken, what is left alone, and that random code keeps the rules.
 * Sources: image/sites.c base/elf.c; library: Zydis. */
#include "image/sites.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/elf.h"
#include "tests/unit/tap.h"

enum { TEXT = 0x1000, DATA = 0x3000, SIZE = 0x4000, BASE = 0x400000 };

/* An ELF file with two pages of text at TEXT (filled with ret) and a page of data at DATA; addresses are BASE + offset. */
static uint8_t file[SIZE];

static void file_reset(void)
{
	static const uint8_t header[] = {0x7f, 'E', 'L', 'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 62, 0, 1};
	struct elf_segment text = {.type = ELF_LOAD,
		.flags = ELF_READ | ELF_EXECUTE,
		.offset = TEXT,
		.vaddr = BASE + TEXT,
		.filesz = DATA - TEXT,
		.memsz = DATA - TEXT,
		.align = 4096};
	struct elf_segment data = {.type = ELF_LOAD,
		.flags = ELF_READ | ELF_WRITE,
		.offset = DATA,
		.vaddr = BASE + DATA,
		.filesz = SIZE - DATA,
		.memsz = SIZE - DATA,
		.align = 4096};

	memset(file, 0, sizeof(file));
	memcpy(file, header, sizeof(header));
	file[32] = 64; /* phoff */
	file[54] = 56; /* phentsize */
	file[56] = 2;  /* phnum */
	memcpy(file + 64, &text, sizeof(text));
	memcpy(file + 120, &data, sizeof(data));
	memset(file + TEXT, 0xc3, DATA - TEXT);
}

static struct sites found;

/* Puts code at an offset of a fresh file; returns the number of sites. */
static size_t find_at(size_t offset, const void *code, size_t len)
{
	file_reset();
	memcpy(file + offset, code, len);
	sites_release(&found);
	if (sites_find(file, sizeof(file), 42, &found))
		abort();
	return found.count;
}

static size_t find_again(void)
{
	sites_release(&found);
	if (sites_find(file, sizeof(file), 42, &found))
		abort();
	return found.count;
}

#define FIND_AT(offset, code) find_at(offset, code, sizeof(code) - 1)
#define FIND(code)            FIND_AT(TEXT, code)
#define SYSCALL               "\x0f\x05"
#define COMPARE               "\x48\x3d\x01\xf0\xff\xff" /* cmp $-4095,%rax */
#define MOVE                  "\xb8\x27\x00\x00\x00"     /* mov $39,%eax */

static bool site_is(size_t i, uint64_t offset, unsigned syscall_at, unsigned length)
{
	const struct vb_site *s = &found.at[i];

	return i < found.count && s->nid == 42 && s->offset == offset && s->syscall_at == syscall_at && s->length == length;
}

static void test_windows(void)
{
	CHECK(FIND(SYSCALL COMPARE) == 1 && site_is(0, TEXT, 0, 8));
	CHECK(found.calls == 1);
	CHECK(FIND(MOVE SYSCALL "\xc3") == 1 && site_is(0, TEXT, 5, 7));
	CHECK(FIND(SYSCALL "\x85\xc0\xc3") == 1 && site_is(0, TEXT, 0, 5));                          /* test; ret at the end */
	CHECK(FIND("\x31\xc0" SYSCALL "\x90\xc3") == 1 && site_is(0, TEXT, 2, 5));                   /* xor; syscall; nop: both sides */
	CHECK(FIND(SYSCALL "\xc3\x90\x90\x90") == 0);                                                /* ret in the middle */
	CHECK(FIND(MOVE SYSCALL COMPARE) == 1 && site_is(0, TEXT + 5, 0, 8));                        /* after is preferred */
	CHECK(FIND(SYSCALL "\xe8\x00\x01\x00\x00") == 0);                                            /* call */
	CHECK(FIND(SYSCALL "\xeb\x10\x90\x90\x90") == 0);                                            /* jmp */
	CHECK(FIND(SYSCALL "\x74\x10\x90\x90\x90") == 0);                                            /* je */
	CHECK(FIND(SYSCALL "\x48\x8b\x05\x00\x10\x00\x00") == 0);                                    /* mov 0x1000(%rip),%rax */
	CHECK(FIND(SYSCALL "\x48\x8b\x04\x25\x00\x10\x00\x00") == 1 && site_is(0, TEXT, 0, 10));     /* absolute */
	CHECK(FIND(SYSCALL "\x48\x8d\x3d\x00\x10\x00\x00") == 0);                                    /* lea 0x1000(%rip),%rdi */
	CHECK(FIND(SYSCALL "\xf3\x0f\x1e\xfa") == 0);                                                /* endbr64 */
	CHECK(FIND(SYSCALL "\xcd\x80\x90\x90") == 0);                                                /* int 0x80 */
	CHECK(FIND(SYSCALL "\xf4\x90\x90\x90") == 0);                                                /* hlt */
	CHECK(FIND(SYSCALL "\x64\x48\x8b\x04\x25\x28\x00\x00\x00") == 1 && site_is(0, TEXT, 0, 11)); /* thread-local */
	CHECK(FIND(SYSCALL SYSCALL "\x90\x90\x90\x90\x90") == 1 && site_is(0, TEXT + 2, 0, 5));
	CHECK(FIND(MOVE SYSCALL MOVE SYSCALL COMPARE) == 2 && site_is(0, TEXT, 5, 7) == false && site_is(0, TEXT + 5, 0, 7) &&
		site_is(1, TEXT + 12, 0, 8));
	CHECK(FIND(MOVE SYSCALL "\x50" SYSCALL "\xc3") == 1);                           /* the second has no room of its own */
	CHECK(FIND("\xb8\x0f\x05\x00\x00\x90\x90") == 0 && found.calls == 0);           /* inside an immediate */
	CHECK(FIND("\x48\xc7\xc0\x0f\0\0\0" SYSCALL COMPARE) == 0 && found.calls == 1); /* rt_sigreturn */
	CHECK(FIND(SYSCALL "\x06\x90\x90\x90") == 0);                                   /* no instruction behind */
}

static void test_targets(void)
{
	CHECK(FIND(SYSCALL COMPARE "\xeb\xf8") == 0);                                /* short jump to the compare */
	CHECK(FIND(MOVE SYSCALL COMPARE "\xeb\xf8") == 1 && site_is(0, TEXT, 5, 7)); /* then what is before serves */
	CHECK(FIND(MOVE SYSCALL "\xc3\xeb\xfb") == 0); /* short jump to the syscall: only the first byte may be one */
	CHECK(FIND(SYSCALL COMPARE "\xeb\xf6") == 1 && site_is(0, TEXT, 0, 8)); /* to the first byte */
	CHECK(FIND(SYSCALL COMPARE "\xe2\xf8") == 0);                           /* loop */
	CHECK(FIND("\xeb\x02" SYSCALL COMPARE) == 0);                           /* forwards */
	CHECK(FIND(SYSCALL COMPARE "\xe9\xf5\xff\xff\xff") == 0);               /* near jump */
	CHECK(FIND(SYSCALL COMPARE "\x0f\x84\xf4\xff\xff\xff") == 0);           /* je near */
	CHECK(FIND(SYSCALL COMPARE "\x90\xe8\xf4\xff\xff\xff") == 0);           /* call */
	CHECK(FIND(SYSCALL COMPARE "\x48\x8d\x05\xf3\xff\xff\xff") == 0);       /* lea of the label */

	FIND(SYSCALL COMPARE); /* far away, in the other page */
	memcpy(file + 0x2000, "\xe8\xfd\xef\xff\xff", 5);
	CHECK(find_again() == 0);
	memcpy(file + 0x2000, "\xe8\xfb\xef\xff\xff", 5);
	CHECK(find_again() == 1);

	FIND(SYSCALL COMPARE); /* a pointer in the data */
	memcpy(file + DATA + 64, &(uint64_t){BASE + TEXT + 2}, 8);
	CHECK(find_again() == 0);
	memcpy(file + DATA + 64, &(uint64_t){BASE + TEXT}, 8);
	CHECK(find_again() == 1);
	memcpy(file + DATA + 64, &(uint64_t){BASE + TEXT + 8}, 8);
	CHECK(find_again() == 1);

	FIND(SYSCALL COMPARE); /* a jump table: lea DATA(%rip),%rax and offsets from DATA */
	memcpy(file + 0x2000, "\x48\x8d\x05\xf9\x0f\x00\x00", 7);
	memcpy(file + DATA, (int32_t[]){0x2000 - DATA, TEXT + 2 - DATA}, 8);
	CHECK(find_again() == 0);
	memcpy(file + DATA, (int32_t[]){0x2000 - DATA, TEXT - DATA}, 8);
	CHECK(find_again() == 1);
}

static void test_places(void)
{
	CHECK(FIND_AT(0x1ff8, SYSCALL COMPARE) == 1 && site_is(0, 0x1ff8, 0, 8)); /* up to the end of the page */
	CHECK(FIND_AT(0x1ff9, SYSCALL COMPARE) == 0);
	CHECK(FIND_AT(0x1ff4, MOVE SYSCALL COMPARE) == 1 && site_is(0, 0x1ff4, 5, 7));
	CHECK(FIND_AT(DATA, SYSCALL COMPARE) == 0 && found.calls == 0); /* not executable */
	CHECK(FIND_AT(DATA - 2, SYSCALL) == 0);                         /* at the very end of the text */
	CHECK(FIND_AT(0x2800, "\xb8\x0f\x05\x00\x00" MOVE SYSCALL COMPARE) == 1 && site_is(0, 0x280a, 0, 8) && found.calls == 1);
	file_reset();
	CHECK(!sites_find(file, 20, 1, &found) && !sites_find((const uint8_t *)"#!/bin/sh\n", 10, 1, &found));
	CHECK(!sites_find(file, TEXT + 100, 1, &found)); /* truncated */
}

/* Every site that comes out of random code must keep the rules that can be checked without a decoder. */
static void test_random(void)
{
	bool fine = true;
	size_t all = 0;

	srandom(1);
	for (unsigned round = 0; round < 300; round++) {
		file_reset();
		for (size_t i = TEXT; i < DATA; i++)
			file[i] = random() >> 8;
		for (size_t i = 0; i < 200; i++)
			memcpy(file + TEXT + random() % (DATA - TEXT - 8), SYSCALL COMPARE, 8);
		find_again();
		all += found.count;
		for (size_t i = 0; i < found.count; i++) {
			const struct vb_site *s = &found.at[i];

			fine &= s->length >= 5 && s->length <= VB_SITE_MAX_BYTES && s->syscall_at + 2 <= s->length;
			fine &= !memcmp(file + s->offset + s->syscall_at, SYSCALL, 2) ||
				!memcmp(file + s->offset + s->syscall_at, "\x0f\xa2", 2); /* cpuid */
			fine &= s->offset / 4096 == (s->offset + s->length - 1) / 4096 && s->offset >= TEXT &&
				s->offset + s->length <= DATA;
			fine &= !i || s[-1].offset + s[-1].length <= s->offset;
		}
	}
	CHECK(fine);
	CHECK(all > 1000);
}

int main(void)
{
	test_windows();
	test_targets();
	test_places();
	test_random();
	sites_release(&found);
	return tap_done();
}
