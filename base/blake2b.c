/* Owns nothing. The text of RFC 7693, section 3. */
#include "base/blake2b.h"

#include <string.h>

static const uint64_t initial[8] = {0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1, 0x510e527fade682d1,
	0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179};

static const uint8_t sigma[10][16] = {
	{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
	{14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
	{11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4},
	{7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
	{9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13},
	{2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
	{12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11},
	{13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
	{6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5},
	{10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0},
};

static uint64_t rotate(uint64_t x, unsigned bits)
{
	return x >> bits | x << (64 - bits);
}

static void mix(uint64_t *v, unsigned a, unsigned b, unsigned c, unsigned d, uint64_t x, uint64_t y)
{
	v[a] += v[b] + x;
	v[d] = rotate(v[d] ^ v[a], 32);
	v[c] += v[d];
	v[b] = rotate(v[b] ^ v[c], 24);
	v[a] += v[b] + y;
	v[d] = rotate(v[d] ^ v[a], 16);
	v[c] += v[d];
	v[b] = rotate(v[b] ^ v[c], 63);
}

static void compress(struct blake2b *b, const uint8_t *block, int last)
{
	uint64_t v[16], m[16];
	memcpy(m, block, sizeof(m)); /* x86: little endian, as is the hash */
	memcpy(v, b->h, sizeof(b->h));
	memcpy(v + 8, initial, sizeof(initial));
	v[12] ^= b->bytes;
	if (last)
		v[14] = ~v[14];
	for (unsigned round = 0; round < 12; round++) {
		const uint8_t *s = sigma[round % 10];
		for (unsigned i = 0; i < 4; i++)
			mix(v, i, 4 + i, 8 + i, 12 + i, m[s[2 * i]], m[s[2 * i + 1]]);
		for (unsigned i = 0; i < 4; i++)
			mix(v, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4, m[s[8 + 2 * i]], m[s[9 + 2 * i]]);
	}
	for (unsigned i = 0; i < 8; i++)
		b->h[i] ^= v[i] ^ v[i + 8];
}

void blake2b_init(struct blake2b *b, unsigned digest_bytes)
{
	memset(b, 0, sizeof(*b));
	memcpy(b->h, initial, sizeof(initial));
	b->h[0] ^= 0x01010000 ^ digest_bytes;
	b->digest_bytes = digest_bytes;
}

void blake2b_update(struct blake2b *b, const void *data, size_t len)
{
	const uint8_t *at = data;
	while (len) {
		if (b->used == BLAKE2B_BLOCK_BYTES) { /* not the last one: more follows */
			compress(b, b->block, 0);
			b->used = 0;
		}
		size_t n = BLAKE2B_BLOCK_BYTES - b->used < len ? BLAKE2B_BLOCK_BYTES - b->used : len;
		memcpy(b->block + b->used, at, n);
		b->used += (unsigned)n, b->bytes += n, at += n, len -= n;
	}
}

void blake2b_final(struct blake2b *b, uint8_t *digest)
{
	memset(b->block + b->used, 0, BLAKE2B_BLOCK_BYTES - b->used);
	compress(b, b->block, 1);
	memcpy(digest, b->h, b->digest_bytes);
}
