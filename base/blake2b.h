/* BLAKE2b (RFC 7693), without a key. For names of contents: whoever chooses the contents can't make two of one name. */
#ifndef BASE_BLAKE2B_H
#define BASE_BLAKE2B_H

#include <stddef.h>
#include <stdint.h>

#define BLAKE2B_BLOCK_BYTES 128
#define BLAKE2B_MAX_BYTES   64

struct blake2b {
	uint64_t h[8];
	uint64_t bytes; /* compressed or waiting in block */
	uint8_t block[BLAKE2B_BLOCK_BYTES];
	unsigned used; /* bytes of block */
	unsigned digest_bytes;
};

/* digest_bytes: 1 to BLAKE2B_MAX_BYTES. */
void blake2b_init(struct blake2b *b, unsigned digest_bytes);
void blake2b_update(struct blake2b *b, const void *data, size_t len);
/* Writes digest_bytes bytes; b is used up. */
void blake2b_final(struct blake2b *b, uint8_t *digest);

#endif
