/* The proof that a bug can do no harm, on the code of a linked binary, for all contents of registers and memory:
 *  1. every way from its start leads to its end (or to an access that must fault, for the kinds that crash), within bounds;
 *  2. on every way each load is of the eight aligned bytes that hold a byte the program has just loaded, of the bug's own memory, of the
 *     compiler's places in the frame or of constants; and each store to the bug's own memory, or a place of the compiler's in the frame;
 *     for pointer kinds, other stores and calls are only to addresses that are canonical neither with 48 nor with 57 bits;
 *  3. the bug's own memory is, on the stack, within the frame and of no other instruction of the function; in the heap, what malloc
 *     of its size gave, until it is freed;
 *  4. nothing else in the function leads into it.
 * Trusted: Zydis, z3, the processor, malloc and free, and that jump tables lead to where the compiler made them lead. */
#ifndef VARIANT_CHAFF_PROVE_H
#define VARIANT_CHAFF_PROVE_H

#include "variant/chaff/plan.h"

struct binary;
struct vb_error;

struct chaff_proof {
	unsigned paths, accesses, faults; /* paths to the end; accesses shown to be harmless; paths that end in a fault */
};

/* 0, or -EINVAL: not proved, with the reason in err. */
int chaff_prove(
	const struct binary *b, const struct chaff_bug *bug, const struct chaff_site *site, struct chaff_proof *ret, struct vb_error *err);

#endif
