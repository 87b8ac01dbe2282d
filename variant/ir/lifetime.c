/* Owns nothing: a data-flow analysis on bit sets, as in LLVM's StackColoring. A slot counts as in use where some path from a start
 * marker leads without an end marker between. */
#include "variant/ir/lifetime.h"

#include <llvm-c/Core.h>

#include <errno.h>
#include <stdlib.h>

struct block {
	LLVMBasicBlockRef block;
	const struct lifetime_marker *markers;
	unsigned count;
	uint64_t in;
};

static int by_address(const void *a, const void *b)
{
	uintptr_t x = (uintptr_t)((const struct block *)a)->block, y = (uintptr_t)((const struct block *)b)->block;
	return x < y ? -1 : x > y;
}

static struct block *find_block(struct block *blocks, unsigned count, LLVMBasicBlockRef block)
{
	struct block key = {.block = block};
	return bsearch(&key, blocks, count, sizeof(key), by_address);
}

/* What is in use after the block; notes in meets[] what was in use at once. */
static uint64_t pass(const struct block *b, uint64_t meets[64])
{
	uint64_t now = b->in;
	for (unsigned s = 0; s < 64; s++)
		if (now >> s & 1)
			meets[s] |= now;
	for (unsigned i = 0; i < b->count; i++) {
		int slot = b->markers[i].slot;
		if (slot < 0)
			continue;
		now &= ~(1ull << slot);
		if (!b->markers[i].start)
			continue;
		for (unsigned s = 0; s < 64; s++)
			if (now >> s & 1)
				meets[s] |= 1ull << slot;
		meets[slot] |= now;
		now |= 1ull << slot;
	}
	return now;
}

static void flow(struct block *blocks, unsigned count, uint64_t meets[64])
{
	for (bool changed = true; changed;) {
		changed = false;
		for (unsigned i = 0; i < count; i++) {
			uint64_t out = pass(&blocks[i], meets);
			LLVMValueRef end = LLVMGetBasicBlockTerminator(blocks[i].block);
			for (unsigned s = 0, n = end ? LLVMGetNumSuccessors(end) : 0; s < n; s++) {
				struct block *next = find_block(blocks, count, LLVMGetSuccessor(end, s));
				changed |= (out & ~next->in) != 0;
				next->in |= out;
			}
		}
	}
}

int lifetime_disjoint(
	LLVMValueRef function, const struct lifetime_marker *markers, unsigned count, uint64_t slots, uint64_t ret_disjoint[64])
{
	unsigned block_count = LLVMCountBasicBlocks(function), at = 0, n = 0;
	struct block *blocks = calloc(block_count, sizeof(*blocks));
	uint64_t meets[64] = {0};
	if (!blocks)
		return -ENOMEM;
	for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(function); b; b = LLVMGetNextBasicBlock(b), n++) {
		blocks[n] = (struct block){.block = b, .markers = markers + at};
		for (; at < count && markers[at].block == b; at++)
			blocks[n].count++;
	}
	qsort(blocks, block_count, sizeof(*blocks), by_address);
	flow(blocks, block_count, meets);
	for (unsigned s = 0; s < 64; s++)
		ret_disjoint[s] = slots >> s & 1 ? slots & ~meets[s] & ~(1ull << s) : 0;
	free(blocks);
	return 0;
}
