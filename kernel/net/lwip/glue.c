/* What lwIP wants from its system: memory with a bound of its own, time, randomness, checksums, a last word. Owns the count of
 * memory that the network uses; sizes come from peers and are bounded here. */
#include "kernel/mm/page.h"
#include "kernel/net/lwip/glue.h"
#include "kernel/time/time.h"

#include "lwip/arch.h"
#include "lwip/sys.h"
#include "lwip/timeouts.h"

#define LARGE_BYTES (17ul * VB_PAGE_SIZE) /* a frame of 64 KiB and its headers */
#define LARGE_KEPT  32u

static size_t used_bytes, limit_bytes;
static struct list large_free = LIST_INIT(large_free);
static unsigned large_count;

_Noreturn void lwip_panic(const char *what)
{
	kpanic("lwip: %s", what);
}

/* --- memory --- */

size_t lwip_memory_limit(void)
{
	if (!limit_bytes)
		limit_bytes = pages_total() * VB_PAGE_SIZE / 4;
	return limit_bytes;
}

size_t lwip_memory_used(void)
{
	return used_bytes;
}

/* Buffers of 64 KiB come and go with each frame of bulk data. The page allocator would give such runs to the host and have them
 * cleared again each time: some are kept. */
static void *large_get(void)
{
	struct list *l = large_free.next;

	if (!large_count)
		return kmalloc(LARGE_BYTES);
	list_remove(l);
	large_count--;
	return l;
}

static bool large_put(void *p)
{
	if (kmalloc_size(p) != LARGE_BYTES || large_count >= vb_min((size_t)LARGE_KEPT, limit_bytes / 8 / LARGE_BYTES))
		return false;
	list_push_front(&large_free, p);
	large_count++;
	return true;
}

void *lwip_malloc(size_t size)
{
	if (size > lwip_memory_limit() - vb_min(used_bytes, limit_bytes))
		return NULL;
	void *p = size > LARGE_BYTES / 2 && size <= LARGE_BYTES ? large_get() : kmalloc(size);
	if (p)
		used_bytes += kmalloc_size(p);
	return p;
}

void *lwip_calloc(size_t count, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(count, size, &bytes))
		return NULL;
	void *p = lwip_malloc(bytes);
	return p ? memset(p, 0, bytes) : NULL;
}

void lwip_free(void *p)
{
	if (!p)
		return;
	used_bytes -= kmalloc_size(p);
	if (!large_put(p))
		kfree(p);
}

void lwip_shrink(void *p, size_t size)
{
	used_bytes -= kmalloc_size(p);
	kmalloc_shrink(p, size);
	used_bytes += kmalloc_size(p);
}

/* --- time and randomness --- */

uint32_t sys_now(void)
{
	return (uint32_t)(now_monotonic_ns() / 1000000);
}

uint32_t lwip_random(void)
{
	uint32_t r;

	random_bytes(&r, sizeof(r));
	return r;
}

/* --- the internet checksum --- */

/* One's complement sum of 16-bit words, folded; 64 bits at a time with the carries counted apart. */
uint16_t lwip_checksum(const void *data, int len)
{
	const uint8_t *at = data;
	unsigned __int128 sum = 0;
	uint64_t words[4];

	for (; len >= 32; len -= 32, at += 32) {
		memcpy(words, at, sizeof(words));
		sum += (unsigned __int128)words[0] + words[1];
		sum += (unsigned __int128)words[2] + words[3];
	}
	for (; len >= 8; len -= 8, at += 8) {
		memcpy(words, at, 8);
		sum += words[0];
	}
	words[0] = 0;
	memcpy(words, at, (size_t)len);
	sum += words[0];
	uint64_t folded = (uint64_t)sum, high = (uint64_t)(sum >> 64);
	folded = (folded & 0xffffffff) + (folded >> 32) + high;
	folded = (folded & 0xffff) + (folded >> 16 & 0xffff) + (folded >> 32);
	folded = (folded & 0xffff) + (folded >> 16);
	folded = (folded & 0xffff) + (folded >> 16);
	return (uint16_t)folded;
}
