/* The gadgets of a binary. A gadget starts at any byte of an executable segment and is a run of at most `depth` instructions of which
 * the last and only the last transfers control: a return, a jump or call through a register or memory, or a system call. Runs over a
 * conditional or direct branch, over int3, ud2 and what only a kernel may execute are none. Decoding is capstone's: independent
 * of everything that makes variants. */
#ifndef VARIANT_MEASURE_GADGETS_H
#define VARIANT_MEASURE_GADGETS_H

#include <stddef.h>
#include <stdint.h>

struct binary;
struct vb_error;

#define GADGET_DEFAULT_DEPTH 5
#define GADGET_MAX_DEPTH     32

struct gadget {
	uint64_t address;
	uint64_t content; /* hash of all bytes */
	uint64_t effect;  /* hash of the bytes but for NOPs; 0: nothing but NOPs and the terminator */
	uint16_t bytes;
	uint8_t instructions; /* 1: a bare terminator */
	uint8_t terminator;   /* its bytes, the last ones */
};

struct gadgets {
	struct gadget *at; /* ascending by address; at most one an address */
	size_t count;
};

/* -ENOMEM, -EIO (capstone doesn't work). */
int gadgets_find(const struct binary *b, unsigned depth, struct gadgets *ret, struct vb_error *err);
void gadgets_release(struct gadgets *g);
/* A 64-bit hash of two words, for keys made from the hashes above. */
uint64_t gadget_mix(uint64_t a, uint64_t b);

#endif
