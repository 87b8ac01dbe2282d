/* Owns the cell's random number generator: ChaCha20 with fast key erasure, keyed from the boot seed. Each request makes a
 * new key from its first block, so that what was given out can't be computed from the state later. */
#include "kernel/kernel.h"

#include <linux/random.h>

#include "base/chacha.h"
#include "kernel/syscall/define.h"
#include "kernel/task/task.h"

static uint8_t key[CHACHA_KEY_BYTES];
static bool seeded;

void random_bytes(void *dst, size_t n)
{
	uint8_t request_key[CHACHA_KEY_BYTES], block[CHACHA_BLOCK_BYTES], *to = dst;

	if (!seeded) {
		memcpy(key, boot->seed, CHACHA_KEY_BYTES);
		seeded = true;
	}
	chacha20_block(key, 0, 0, block);
	memcpy(key, block, CHACHA_KEY_BYTES);
	memcpy(request_key, block + CHACHA_KEY_BYTES, CHACHA_KEY_BYTES);
	for (uint64_t counter = 1; n; counter++) {
		size_t piece = vb_min(n, (size_t)CHACHA_BLOCK_BYTES);
		chacha20_block(request_key, counter, 0, block);
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
