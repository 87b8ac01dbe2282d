/* Unit tests of the kernel heap: contents survive, nothing overlaps, everything comes back, a small heap stays small. */
#include "kernel/kernel.h"
#include "kernel/mm/page.h"
#include "tests/unit/fake_platform.h"

#include <stdlib.h>

#define COUNT 3000

static struct {
	uint8_t *p;
	size_t size;
	uint8_t fill;
} held[COUNT];

static bool intact(unsigned i)
{
	for (size_t k = 0; k < held[i].size; k++)
		if (held[i].p[k] != held[i].fill)
			return false;
	return true;
}

static void random_operations(void)
{
	unsigned bad = 0;

	srand(1);
	for (int turn = 0; turn < 200000; turn++) {
		unsigned i = (unsigned)rand() % COUNT;
		size_t size = rand() % 50 ? (size_t)rand() % 700 : (size_t)rand() % 30000;
		if (held[i].p && rand() % 3) {
			bad += !intact(i);
			kfree(held[i].p);
			held[i].p = NULL;
			continue;
		}
		size_t kept = held[i].p ? vb_min(size, held[i].size) : 0;
		uint8_t *p = held[i].p ? krealloc(held[i].p, size) : kmalloc(size);
		if (!p) {
			bad++;
			break;
		}
		for (size_t k = 0; k < kept; k++)
			bad += p[k] != held[i].fill;
		held[i].p = p;
		held[i].size = size;
		held[i].fill = (uint8_t)turn;
		memset(p, held[i].fill, size);
	}
	for (unsigned i = 0; i < COUNT; i++) {
		bad += held[i].p && !intact(i);
		kfree(held[i].p);
	}
	OK(!bad);
}

int main(void)
{
	fake_platform_start(256 << 20, 4096);
	uint64_t all = pages_free();

	OK(kmalloc(0) && kmalloc(1) && ((uint64_t)kmalloc(24) % 16) == 0);
	char *s = kstrdup("hello");
	OK(s && !strcmp(s, "hello"));
	char *z = kzalloc(5000);
	OK(z && !z[0] && !z[4999] && (uint64_t)z % VB_PAGE_SIZE == 0);
	kfree(z);
	kfree(NULL);
	OK(!kmalloc(8 << 20) && !kmalloc(1ull << 60));
	unsigned failed = 0;
	for (size_t i = 0; i < 300; i++)
		failed += !kmalloc(i / 3);
	OK(!failed);
	OK(all - pages_free() <= 10); /* 40 KiB */
	random_operations();
	OK(all - pages_free() <= 32); /* an empty slab a class may stay */
	return tap_done();
}
