/* Owns the scan for gadgets. Each byte offset is decoded once at most: the run that starts there is its instruction and the run
 * behind it, so going backwards through memory needs only what is known already. */
#include "variant/measure/gadgets.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <capstone/capstone.h>

#include "base/types.h"
#include "host/error.h"
#include "variant/binary.h"

#define MAX_INSTRUCTION_BYTES 15

enum kind { BROKEN, PLAIN, NOTHING, TERMINATOR };

/* What starts at a byte: a run of instructions that ends in a terminator, if count isn't 0. */
struct run {
	uint64_t content, effect;
	uint16_t bytes;
	uint8_t count, useful; /* instructions; those that aren't NOPs */
	uint8_t terminator;
};

uint64_t gadget_mix(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)(a ^ 0x9e3779b97f4a7c15ull) * (b ^ 0xd6e8feb86659fd93ull);
	uint64_t x = (uint64_t)product ^ (uint64_t)(product >> 64) ^ a;
	x = (x ^ x >> 32) * 0xff51afd7ed558ccdull;
	return x ^ x >> 29;
}

/* A return, an indirect jump or call, or a system call, behind any prefixes. By bytes, since capstone tells direct from indirect only at great cost. */
static bool may_be_terminator(const uint8_t *at, size_t left)
{
	size_t n = 0;
	while (n < left && n < MAX_INSTRUCTION_BYTES &&
		(at[n] == 0x66 || at[n] == 0x67 || at[n] == 0xf0 || at[n] == 0xf2 || at[n] == 0xf3 || at[n] == 0x2e || at[n] == 0x36 ||
			at[n] == 0x3e || at[n] == 0x26 || at[n] == 0x64 || at[n] == 0x65 || (at[n] & 0xf0) == 0x40))
		n++;
	if (n == left)
		return false;
	uint8_t second = n + 1 < left ? at[n + 1] : 0;
	switch (at[n]) {
	case 0xc2:
	case 0xc3:
	case 0xca:
	case 0xcb:
	case 0xcf:
		return true;
	case 0xcd:
		return second == 0x80;
	case 0x0f:
		return second == 0x05 || second == 0x34;
	case 0xff:
		return n + 1 < left && (second >> 3 & 7) >= 2 && (second >> 3 & 7) <= 5;
	default:
		return false;
	}
}

/* Of what isn't a terminator by its bytes. */
static enum kind classify(const cs_insn *i)
{
	switch (i->id) {
	case X86_INS_JMP: /* direct ones: the others are terminators */
	case X86_INS_LJMP:
	case X86_INS_CALL:
	case X86_INS_LCALL:
	case X86_INS_JAE:
	case X86_INS_JA:
	case X86_INS_JBE:
	case X86_INS_JB:
	case X86_INS_JCXZ:
	case X86_INS_JECXZ:
	case X86_INS_JRCXZ:
	case X86_INS_JE:
	case X86_INS_JGE:
	case X86_INS_JG:
	case X86_INS_JLE:
	case X86_INS_JL:
	case X86_INS_JNE:
	case X86_INS_JNO:
	case X86_INS_JNP:
	case X86_INS_JNS:
	case X86_INS_JO:
	case X86_INS_JP:
	case X86_INS_JS:
	case X86_INS_LOOP:
	case X86_INS_LOOPE:
	case X86_INS_LOOPNE:
	case X86_INS_XBEGIN:
	case X86_INS_RET:
	case X86_INS_RETF:
	case X86_INS_RETFQ:
	case X86_INS_IRET:
	case X86_INS_IRETD:
	case X86_INS_IRETQ:
	case X86_INS_SYSRET:
	case X86_INS_SYSEXIT:
	case X86_INS_SYSCALL:
	case X86_INS_SYSENTER:
	case X86_INS_INT:
	case X86_INS_INT1:
	case X86_INS_INT3:
	case X86_INS_INTO:
	case X86_INS_UD2:
	case X86_INS_UD2B:
	case X86_INS_HLT:
	case X86_INS_CLI:
	case X86_INS_STI:
	case X86_INS_IN:
	case X86_INS_OUT:
	case X86_INS_INSB:
	case X86_INS_INSW:
	case X86_INS_INSD:
	case X86_INS_OUTSB:
	case X86_INS_OUTSW:
	case X86_INS_OUTSD:
	case X86_INS_LGDT:
	case X86_INS_LIDT:
	case X86_INS_LLDT:
	case X86_INS_LTR:
	case X86_INS_LMSW:
	case X86_INS_CLTS:
	case X86_INS_INVD:
	case X86_INS_WBINVD:
	case X86_INS_INVLPG:
	case X86_INS_RDMSR:
	case X86_INS_WRMSR:
	case X86_INS_SWAPGS:
		return BROKEN;
	case X86_INS_NOP:
		return NOTHING;
	default:
		return PLAIN;
	}
}

/* mov, lea and xchg that leave a 64-bit register as it is: NOPs by another name, as variants use them. */
static bool leaves_all(const uint8_t *at, size_t length)
{
	if (length < 3 || (at[0] & 0xf8) != 0x48)
		return false;
	bool r = at[0] & 4, x = at[0] & 2, b = at[0] & 1;
	uint8_t mod = at[2] >> 6, reg = at[2] >> 3 & 7, rm = at[2] & 7;
	if (length == 3 && (at[1] == 0x89 || at[1] == 0x8b || at[1] == 0x87))
		return mod == 3 && reg == rm && r == b;
	if (at[1] != 0x8d || reg != (rm == 4 ? at[3] & 7 : rm) || r != b || mod == 3)
		return false;
	if (rm == 4 && (x || (at[3] >> 3 & 7) != 4)) /* an index */
		return false;
	size_t displacement = mod == 1 ? 1 : mod == 2 ? 4 : 0, head = rm == 4 ? 4 : 3;
	if (length != head + displacement || (mod == 0 && (rm == 5 || (rm == 4 && reg == 5)))) /* rip or absolute */
		return false;
	for (size_t i = head; i < length; i++)
		if (at[i])
			return false;
	return true;
}

static uint64_t hash_of(const uint8_t *at, size_t length)
{
	uint64_t words[2] = {0, 0};
	memcpy(words, at, vb_min(length, (size_t)15));
	return gadget_mix(words[0], words[1] | (uint64_t)length << 56);
}

struct scan {
	csh capstone;
	cs_insn *instruction;
	unsigned depth;
	const uint8_t *bytes;
	size_t size;
	struct run *runs; /* one a byte */
};

static void find_at(struct scan *s, size_t at)
{
	struct run *run = &s->runs[at];
	size_t left = s->size - at;
	bool terminator = may_be_terminator(s->bytes + at, left);
	/* Only what leads to a run can start one. */
	bool leads = terminator;
	for (size_t i = 1; i <= MAX_INSTRUCTION_BYTES && i < left && !leads; i++)
		leads = run[i].count && run[i].count < s->depth;
	if (!leads)
		return;
	const uint8_t *code = s->bytes + at;
	uint64_t address = at;
	size_t length = vb_min(left, (size_t)MAX_INSTRUCTION_BYTES);
	if (!cs_disasm_iter(s->capstone, &code, &length, &address, s->instruction))
		return;
	length = s->instruction->size;
	uint64_t hash = hash_of(s->bytes + at, length);
	if (terminator) {
		*run = (struct run){
			.content = hash, .effect = hash, .bytes = (uint16_t)length, .count = 1, .useful = 1, .terminator = (uint8_t)length};
		return;
	}
	const struct run *next = &run[length];
	if (length >= left || !next->count || next->count >= s->depth)
		return;
	enum kind kind = classify(s->instruction);
	if (kind == BROKEN)
		return;
	bool nothing = kind == NOTHING || leaves_all(s->bytes + at, length);
	*run = (struct run){.content = gadget_mix(next->content, hash),
		.effect = nothing ? next->effect : gadget_mix(next->effect, hash),
		.bytes = (uint16_t)(next->bytes + length),
		.count = next->count + 1,
		.useful = next->useful + !nothing,
		.terminator = next->terminator};
}

static int append(struct gadgets *g, const struct scan *s, uint64_t vaddr)
{
	size_t count = 0;
	for (size_t i = 0; i < s->size; i++)
		count += s->runs[i].count != 0;
	struct gadget *at = realloc(g->at, (g->count + count + 1) * sizeof(*at));
	if (!at)
		return -ENOMEM;
	g->at = at;
	for (size_t i = 0; i < s->size; i++) {
		const struct run *r = &s->runs[i];
		if (r->count)
			g->at[g->count++] = (struct gadget){.address = vaddr + i,
				.content = r->content,
				.effect = r->useful > 1 ? r->effect : 0,
				.bytes = r->bytes,
				.instructions = r->count,
				.terminator = r->terminator};
	}
	return 0;
}

int gadgets_find(const struct binary *b, unsigned depth, struct gadgets *ret, struct vb_error *err)
{
	struct gadgets found = {0};
	struct scan s = {.depth = depth};
	if (cs_open(CS_ARCH_X86, CS_MODE_64, &s.capstone) != CS_ERR_OK)
		return vb_error_set(err, -EIO, "capstone doesn't start");
	cs_option(s.capstone, CS_OPT_DETAIL, CS_OPT_OFF);
	s.instruction = cs_malloc(s.capstone);
	int r = s.instruction ? 0 : -ENOMEM;
	for (uint32_t i = 0; i < b->elf.load_count && r == 0; i++) {
		const struct elf_segment *segment = &b->elf.load[i];
		if (!(segment->flags & ELF_EXECUTE) || !segment->filesz)
			continue;
		s.bytes = b->bytes + segment->offset;
		s.size = segment->filesz;
		s.runs = calloc(s.size, sizeof(*s.runs));
		if (!s.runs) {
			r = -ENOMEM;
			break;
		}
		for (size_t at = s.size; at-- > 0;)
			find_at(&s, at);
		r = append(&found, &s, segment->vaddr);
		free(s.runs);
	}
	if (s.instruction)
		cs_free(s.instruction, 1);
	cs_close(&s.capstone);
	if (r < 0) {
		gadgets_release(&found);
		return vb_error_set(err, r, "%s: out of memory", b->path);
	}
	*ret = found;
	return 0;
}

void gadgets_release(struct gadgets *g)
{
	free(g->at);
	*g = (struct gadgets){0};
}
