/* Owns the cell's random number generator: ChaCha20 with fast key erasure, keyed from the boot seed. Each request makes a
 * new key from its first block, so that what was given out can't be computed from the state later. */
#include "kernel/kernel.h"

#include <linux/random.h>

#include "kernel/syscall/define.h"
#include "kernel/task/task.h"

#define BLOCK_BYTES 64
#define KEY_BYTES   32

static uint8_t key[KEY_BYTES];
static bool seeded;

static uint32_t rotate(uint32_t x, int n)
{
	return x << n | x >> (32 - n);
}

static void quarter_round(uint32_t *x, int a, int b, int c, int d)
{
	x[a] += x[b], x[d] = rotate(x[d] ^ x[a], 16);
	x[c] += x[d], x[b] = rotate(x[b] ^ x[c], 12);
	x[a] += x[b], x[d] = rotate(x[d] ^ x[a], 8);
	x[c] += x[d], x[b] = rotate(x[b] ^ x[c], 7);
}

static void chacha20_block(const uint8_t k[KEY_BYTES], uint64_t counter, uint8_t out[BLOCK_BYTES])
{
	uint32_t in[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574, [12] = (uint32_t)counter, (uint32_t)(counter >> 32)}, x[16];

	memcpy(&in[4], k, KEY_BYTES);
	memcpy(x, in, sizeof(x));
	for (int i = 0; i < 10; i++) {
		quarter_round(x, 0, 4, 8, 12);
		quarter_round(x, 1, 5, 9, 13);
		quarter_round(x, 2, 6, 10, 14);
		quarter_round(x, 3, 7, 11, 15);
		quarter_round(x, 0, 5, 10, 15);
		quarter_round(x, 1, 6, 11, 12);
		quarter_round(x, 2, 7, 8, 13);
		quarter_round(x, 3, 4, 9, 14);
	}
	for (int i = 0; i < 16; i++)
		x[i] += in[i];
	memcpy(out, x, BLOCK_BYTES);
}

void random_bytes(void *dst, size_t n)
{
	uint8_t request_key[KEY_BYTES], block[BLOCK_BYTES], *to = dst;

	if (!seeded) {
		memcpy(key, boot->seed, KEY_BYTES);
		seeded = true;
	}
	chacha20_block(key, 0, block);
	memcpy(key, block, KEY_BYTES);
	memcpy(request_key, block + KEY_BYTES, KEY_BYTES);
	for (uint64_t counter = 1; n; counter++) {
		size_t piece = vb_min(n, (size_t)BLOCK_BYTES);
		chacha20_block(request_key, counter, block);
		memcpy(to, block, piece);
		to += piece;
		n -= piece;
	}
	memset(request_key, 0, sizeof(request_key));
	memset(block, 0, sizeof(block));
}

SYSCALL(getrandom, uint64_t ubuf, uint64_t len, unsigned flags)
{
	uint8_t piece[256];
	uint64_t done = 0;

	if ((flags & ~(unsigned)(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE)) ||
		(flags & (GRND_RANDOM | GRND_INSECURE)) == (GRND_RANDOM | GRND_INSECURE))
		return -EINVAL;
	len = vb_min(len, (uint64_t)INT32_MAX);
	while (done < len) {
		size_t n = vb_min(len - done, (uint64_t)sizeof(piece));
		random_bytes(piece, n);
		if (copy_to_user(ubuf + done, piece, n))
			return done ? (long)done : -EFAULT;
		done += n;
		if (signal_pending(current) && done >= VB_PAGE_SIZE)
			break;
	}
	return (long)done;
}
