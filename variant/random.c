/* Owns nothing. */
#include "variant/random.h"

#include <string.h>

/* One step down the tree: 16 bytes choose a child. The length goes in last, so that no name is a prefix of another. */
static void absorb(uint8_t key[CHACHA_KEY_BYTES], const void *name, size_t name_bytes)
{
	const uint8_t *at = name;
	uint8_t block[CHACHA_BLOCK_BYTES];
	for (size_t left = name_bytes; left;) {
		uint64_t words[2] = {0, 0};
		size_t n = left < sizeof(words) ? left : sizeof(words);
		memcpy(words, at, n);
		chacha20_block(key, words[0], words[1], block);
		memcpy(key, block, CHACHA_KEY_BYTES);
		at += n, left -= n;
	}
	chacha20_block(key, name_bytes, UINT64_MAX, block);
	memcpy(key, block + CHACHA_KEY_BYTES, CHACHA_KEY_BYTES); /* the other half: a length is no name */
}

static void start(struct variant_random *r)
{
	r->counter = 0;
	r->used = CHACHA_BLOCK_BYTES;
}

void variant_random_init(struct variant_random *r, uint64_t seed, const char *const *names)
{
	memset(r, 0, sizeof(*r));
	memcpy(r->key, &seed, sizeof(seed));
	for (; *names; names++)
		absorb(r->key, *names, strlen(*names));
	start(r);
}

void variant_random_fork(struct variant_random *r, const struct variant_random *parent, const void *name, size_t name_bytes)
{
	memcpy(r->key, parent->key, sizeof(r->key));
	absorb(r->key, name, name_bytes);
	start(r);
}

uint64_t variant_random_u64(struct variant_random *r)
{
	uint64_t value;
	if (r->used == CHACHA_BLOCK_BYTES) {
		chacha20_block(r->key, r->counter++, 0, r->block);
		r->used = 0;
	}
	memcpy(&value, r->block + r->used, sizeof(value));
	r->used += sizeof(value);
	return value;
}

uint64_t variant_random_below(struct variant_random *r, uint64_t limit)
{
	uint64_t unfair = -limit % limit, value; /* 2^64 % limit values would come up once too often */
	do
		value = variant_random_u64(r);
	while (value < unfair);
	return value % limit;
}

bool variant_random_percent(struct variant_random *r, unsigned percent)
{
	return variant_random_below(r, 100) < percent;
}

void variant_random_order(struct variant_random *r, unsigned *order, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		unsigned j = (unsigned)variant_random_below(r, i + 1);
		order[i] = order[j];
		order[j] = i;
	}
}
