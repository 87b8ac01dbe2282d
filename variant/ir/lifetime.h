/* Which slots of a function are never in use at the same time, by their lifetime markers: LLVM's stack colouring gives them one place. */
#ifndef VARIANT_LIFETIME_H
#define VARIANT_LIFETIME_H

#include <llvm-c/Types.h>
#include <stdbool.h>
#include <stdint.h>

struct lifetime_marker {
	LLVMValueRef call;
	LLVMBasicBlockRef block;
	int slot; /* 0 .. 63, or -1: none of those that matter */
	bool start;
};

/* ret_disjoint[s]: the slots of `slots` (a set of bits) that share no moment with s. Markers are in the order in which the function
 * has them. -ENOMEM. */
int lifetime_disjoint(
	LLVMValueRef function, const struct lifetime_marker *markers, unsigned count, uint64_t slots, uint64_t ret_disjoint[64]);

#endif
