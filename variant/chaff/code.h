/* The code of one function in a linked binary: decoded, and what its frame holds where. Bytes are hostile; what isn't understood is an error. */
#ifndef VARIANT_CHAFF_CODE_H
#define VARIANT_CHAFF_CODE_H

#include <stdbool.h>
#include <stdint.h>

#include <Zydis/Zydis.h>

struct binary;
struct vb_error;

#define CODE_REGISTERS 16 /* rax rcx rdx rbx rsp rbp rsi rdi r8 ... r15 */
#define CODE_RSP       4
#define CODE_RBP       5
#define CODE_MAX_BYTES (4u << 20)

struct instruction {
	uint64_t address;
	ZydisDecodedInstruction is;
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
};

/* An address within a frame, as far as it is known. */
struct place {
	enum { PLACE_UNKNOWN, PLACE_ENTRY, PLACE_ALIGNED, PLACE_UNSEEN } from; /* from the stack pointer at entry, or as aligned later */
	int64_t offset;
};
struct frame {
	struct place registers[CODE_REGISTERS];
};

struct code {
	const struct binary *binary;
	uint64_t address, bytes;
	struct instruction *instructions;
	unsigned count;
	uint32_t *at;         /* by offset in the function: number of the instruction that begins there + 1 */
	struct frame *frames; /* in front of each instruction */
	/* of "and $-ALIGN, %rsp" */
	int64_t aligned_from, align;
};

/* Decodes the function and follows its stack pointer. */
int code_init(struct code *c, const struct binary *b, uint64_t address, uint64_t bytes, struct vb_error *err);
void code_release(struct code *c);
/* NULL: none begins there. */
const struct instruction *code_at(const struct code *c, uint64_t address);

/* Number of the general register that r is or is a part of, -1: it is none. */
int code_register(ZydisRegister r);
/* Where a direct jump or call leads; 0: it is none. */
uint64_t code_target(const struct instruction *i);
/* Does an instruction behind which nothing follows? */
bool code_ends(const struct instruction *i);
/* Is the function that i calls `name`? Directly, through a PLT, or through the GOT. */
bool code_calls(const struct binary *b, const struct instruction *i, const char *name);
/* Is there, beside the instructions marked in `own`, one that touches [place, place + size) or gets its address? With the reason. */
bool code_uses(const struct code *c, struct place place, uint64_t size, const bool *own, struct vb_error *why);

#endif
