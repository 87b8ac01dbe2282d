/* The ChaCha20 block function (RFC 8439, with the counter and nonce of 64 bits each of the original paper). */
#ifndef BASE_CHACHA_H
#define BASE_CHACHA_H

#include "base/types.h"

#define CHACHA_BLOCK_BYTES 64
#define CHACHA_KEY_BYTES   32

void chacha20_block(const uint8_t key[CHACHA_KEY_BYTES], uint64_t counter, uint64_t nonce, uint8_t out[CHACHA_BLOCK_BYTES]);

#endif
