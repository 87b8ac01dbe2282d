/* VARIANT_STACK: the slots of a frame, shuffled and padded. The x86 back end sorts allocas as it likes, so their order in the IR
 * says nothing; all of a function's fixed-size slots become one alloca of a struct, whose inside it leaves alone.
 *
 * Two rules of the stack protector hold inside the struct as they did among slots. Buffers (what contains an array) lie above
 * everything else, so that an overflow, which goes up, meets other buffers and then the guard, never a pointer. And the struct's
 * type contains just the arrays that were there, since the StackProtector pass goes by types: it guards the functions that it
 * guarded before, and puts the struct next to the guard.
 *
 * A slot stays an alloca of its own where that is part of its meaning, or where stack colouring lays it over another one. If such
 * a one is a buffer in a guarded function, buffers and the rest get a struct each, which LLVM then orders by the same rule. */
#include "variant/ir/ir.h"

#include <llvm-c/Core.h>
#include <llvm-c/DebugInfo.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/types.h"
#include "host/error.h"
#include "variant/ir/lifetime.h"
#include "variant/options.h"
#include "variant/random.h"

#define MAX_SLOT_BYTES (1ull << 31)
#define SHARING_BYTES  48 /* slots of this size on are left to stack colouring if it can save one */

enum part { STRUCT, BUFFERS, ALONE }; /* BUFFERS: where there are two structs */

struct slot {
	LLVMValueRef alloca;
	LLVMTypeRef type;
	uint64_t bytes, offset;
	unsigned align;
	enum part part;
	bool buffer;
	LLVMBasicBlockRef block; /* in which address is known */
	LLVMValueRef address;
};

struct frame {
	struct ir *ir;
	LLVMValueRef function;
	struct slot *slots;
	unsigned count;
	unsigned *table, table_mask; /* slots by alloca: index + 1, or 0 */
	struct lifetime_marker *markers;
	unsigned marker_count;
	bool guarded; /* has one of the ssp attributes */
	struct {
		uint64_t bytes;
		unsigned align;
		LLVMValueRef alloca;
	} parts[ALONE];
	LLVMBuilderRef builder;
};

/* What is looked for by name, as this LLVM numbers it. */
static struct {
	unsigned lifetime_start, lifetime_end, objectsize, localescape, gcroot; /* intrinsics */
	unsigned swifterror, inalloca, coroutine, naked, safestack, ssp[3];     /* attributes */
} known;

static unsigned intrinsic(const char *name)
{
	return LLVMLookupIntrinsicID(name, strlen(name));
}

static unsigned attribute(const char *name)
{
	return LLVMGetEnumAttributeKindForName(name, strlen(name));
}

static void look_up_names(void)
{
	known.lifetime_start = intrinsic("llvm.lifetime.start");
	known.lifetime_end = intrinsic("llvm.lifetime.end");
	known.objectsize = intrinsic("llvm.objectsize");
	known.localescape = intrinsic("llvm.localescape");
	known.gcroot = intrinsic("llvm.gcroot");
	known.swifterror = attribute("swifterror");
	known.inalloca = attribute("inalloca");
	known.coroutine = attribute("presplitcoroutine");
	known.naked = attribute("naked");
	known.safestack = attribute("safestack");
	known.ssp[0] = attribute("ssp");
	known.ssp[1] = attribute("sspstrong");
	known.ssp[2] = attribute("sspreq");
}

static bool function_has(LLVMValueRef function, unsigned kind)
{
	return LLVMGetEnumAttributeAtIndex(function, LLVMAttributeFunctionIndex, kind);
}

/* 0: no call of an intrinsic. */
static unsigned intrinsic_of(LLVMValueRef instruction)
{
	LLVMValueRef called = LLVMIsACallInst(instruction) ? LLVMGetCalledValue(instruction) : NULL;
	return called && LLVMIsAFunction(called) ? LLVMGetIntrinsicID(called) : 0;
}

static bool is_marker(LLVMValueRef instruction)
{
	unsigned id = intrinsic_of(instruction);
	return id && (id == known.lifetime_start || id == known.lifetime_end);
}

static bool has_array(LLVMTypeRef type)
{
	LLVMTypeKind kind = LLVMGetTypeKind(type);
	if (kind == LLVMStructTypeKind)
		for (unsigned i = 0; i < LLVMCountStructElementTypes(type); i++)
			if (has_array(LLVMStructGetTypeAtIndex(type, i)))
				return true;
	return kind == LLVMArrayTypeKind;
}

/* Accesses beyond the slot that are plain to see are a reason for a guard; within the struct they wouldn't be seen. */
static bool leaves_slot(const struct ir *ir, LLVMValueRef user, uint64_t bytes)
{
	if (LLVMIsALoadInst(user))
		return LLVMStoreSizeOfType(ir->layout, LLVMTypeOf(user)) > bytes;
	if (LLVMIsAStoreInst(user))
		return LLVMStoreSizeOfType(ir->layout, LLVMTypeOf(LLVMGetOperand(user, 0))) > bytes;
	if (!LLVMIsAGetElementPtrInst(user) || !LLVMIsAConstantInt(LLVMGetOperand(user, 1)))
		return false;
	int64_t index = LLVMConstIntGetSExtValue(LLVMGetOperand(user, 1));
	uint64_t element = LLVMABISizeOfType(ir->layout, LLVMGetGEPSourceElementType(user));
	return index < 0 || (index && element >= bytes) || (element && (uint64_t)index >= (bytes + element - 1) / element);
}

/* Something about the slot is known by its being an alloca of its own. */
static bool must_stay(const struct ir *ir, LLVMValueRef alloca, uint64_t bytes)
{
	for (LLVMUseRef use = LLVMGetFirstUse(alloca); use; use = LLVMGetNextUse(use)) {
		LLVMValueRef user = LLVMGetUser(use);
		if (!LLVMIsAInstruction(user) || LLVMIsAFuncletPadInst(user) || leaves_slot(ir, user, bytes))
			return true;
		unsigned id = intrinsic_of(user);
		if (id && (id == known.localescape || id == known.gcroot))
			return true;
		if (id || (!LLVMIsACallInst(user) && !LLVMIsAInvokeInst(user)))
			continue;
		for (unsigned i = 0; i < LLVMGetNumArgOperands(user); i++)
			if (LLVMGetOperand(user, i) == alloca && (LLVMGetCallSiteEnumAttribute(user, i + 1, known.swifterror) ||
									 LLVMGetCallSiteEnumAttribute(user, i + 1, known.inalloca)))
				return true;
	}
	return false;
}

/* Whether the alloca has a size. Then *ret says all about it but its place. */
static bool read_slot(const struct ir *ir, LLVMValueRef alloca, struct slot *ret)
{
	LLVMValueRef count = LLVMGetOperand(alloca, 0);
	LLVMTypeRef type = LLVMGetAllocatedType(alloca);
	if (!LLVMIsAConstantInt(count) || !LLVMTypeIsSized(type) || LLVMGetTypeKind(type) == LLVMScalableVectorTypeKind)
		return false;
	unsigned long long elements = LLVMConstIntGetZExtValue(count);
	if (elements > MAX_SLOT_BYTES)
		return false;
	if (elements != 1)
		type = LLVMArrayType2(type, elements);
	unsigned long long bytes = LLVMABISizeOfType(ir->layout, type);
	*ret = (struct slot){.alloca = alloca, .type = type, .bytes = bytes, .align = LLVMGetAlignment(alloca), .buffer = has_array(type)};
	if (bytes == 0 || bytes > MAX_SLOT_BYTES || LLVMGetPointerAddressSpace(LLVMTypeOf(alloca)) != 0 || must_stay(ir, alloca, bytes))
		ret->part = ALONE;
	return true;
}

/* Of pointers as keys. Only used to look up, never walked: addresses must not choose. */
static unsigned hash(const struct frame *f, LLVMValueRef alloca)
{
	return (unsigned)((uintptr_t)alloca * 0x9e3779b97f4a7c15ull >> 40) & f->table_mask;
}

static struct slot *find_slot(const struct frame *f, LLVMValueRef value)
{
	if (!LLVMIsAAllocaInst(value))
		return NULL;
	for (unsigned at = hash(f, value); f->table[at]; at = (at + 1) & f->table_mask)
		if (f->slots[f->table[at] - 1].alloca == value)
			return &f->slots[f->table[at] - 1];
	return NULL;
}

static int collect_slots(struct frame *f)
{
	LLVMBasicBlockRef entry = LLVMGetEntryBasicBlock(f->function);
	unsigned max = 0;
	for (LLVMValueRef i = LLVMGetFirstInstruction(entry); i; i = LLVMGetNextInstruction(i))
		max += LLVMIsAAllocaInst(i) != NULL;
	if (!max)
		return 0;
	for (f->table_mask = 1; f->table_mask < max * 2; f->table_mask <<= 1)
		;
	f->slots = calloc(max, sizeof(*f->slots));
	f->table = calloc(f->table_mask, sizeof(*f->table));
	if (!f->slots || !f->table)
		return -ENOMEM;
	f->table_mask--;
	for (LLVMValueRef i = LLVMGetFirstInstruction(entry); i; i = LLVMGetNextInstruction(i)) {
		if (!LLVMIsAAllocaInst(i) || !read_slot(f->ir, i, &f->slots[f->count]))
			continue;
		unsigned at = hash(f, i);
		while (f->table[at])
			at = (at + 1) & f->table_mask;
		f->table[at] = ++f->count;
	}
	return 0;
}

/* Finds the lifetime markers, in order. -EOPNOTSUPP: the function is to be left alone. */
static int survey(struct frame *f)
{
	unsigned room = 0;
	for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(f->function); b; b = LLVMGetNextBasicBlock(b)) {
		for (LLVMValueRef i = LLVMGetFirstInstruction(b); i; i = LLVMGetNextInstruction(i)) {
			unsigned id = intrinsic_of(i);
			if (id && id == known.objectsize) /* not known yet: it would become the size of the struct */
				return -EOPNOTSUPP;
			if (!is_marker(i))
				continue;
			if (f->marker_count == room) {
				room = room ? room * 2 : 16;
				struct lifetime_marker *more = realloc(f->markers, room * sizeof(*more));
				if (!more)
					return -ENOMEM;
				f->markers = more;
			}
			f->markers[f->marker_count++] =
				(struct lifetime_marker){.call = i, .block = b, .slot = -1, .start = id == known.lifetime_start};
		}
	}
	return 0;
}

/* Leaves out the large slots that stack colouring can lay over each other, if there are at least two. */
static int leave_out_sharing(struct frame *f)
{
	struct slot *large[64];
	uint64_t disjoint[64];
	unsigned count = 0;
	for (unsigned i = 0; i < f->marker_count; i++) {
		struct slot *s = find_slot(f, LLVMGetOperand(f->markers[i].call, 1));
		unsigned n = 0;
		if (!s || s->part == ALONE || s->bytes < SHARING_BYTES)
			continue;
		while (n < count && large[n] != s)
			n++;
		if (n == VB_ARRAY_LEN(large))
			continue; /* packed, whatever it would save */
		large[n] = s;
		count += n == count;
		f->markers[i].slot = (int)n;
	}
	if (count < 2)
		return 0;
	int r = lifetime_disjoint(f->function, f->markers, f->marker_count, UINT64_MAX >> (64 - count), disjoint);
	for (unsigned n = 0; r == 0 && n < count; n++)
		large[n]->part = disjoint[n] ? ALONE : large[n]->part;
	return r;
}

/* Which struct each slot goes into. Returns how many go into one. */
static unsigned choose_parts(struct frame *f)
{
	unsigned packed = 0;
	bool apart = false;
	for (unsigned i = 0; i < f->count; i++)
		apart |= f->guarded && f->slots[i].buffer && f->slots[i].part == ALONE;
	for (unsigned i = 0; i < f->count; i++) {
		if (f->slots[i].part == ALONE)
			continue;
		f->slots[i].part = apart && f->slots[i].buffer ? BUFFERS : STRUCT;
		packed++;
	}
	return packed;
}

/* A marker of a slot inside the struct would tell stack colouring that the whole struct is dead there. One that doesn't name an
 * alloca outright may mean any. */
static void drop_markers(struct frame *f)
{
	bool all = false;
	for (unsigned i = 0; i < f->marker_count; i++)
		all |= !LLVMIsAAllocaInst(LLVMGetOperand(f->markers[i].call, 1));
	for (unsigned i = 0; i < f->marker_count; i++) {
		const struct slot *s = find_slot(f, LLVMGetOperand(f->markers[i].call, 1));
		if (all || (s && s->part != ALONE))
			LLVMInstructionEraseFromParent(f->markers[i].call);
	}
}

static uint64_t align_up(uint64_t at, unsigned align)
{
	return (at + align - 1) / align * align;
}

/* Chooses each slot's place: scalars in some order, then buffers in some order, with units of 8 bytes strewn among them. Over a
 * guarded function's slots there is no padding, for the guard is to see an overflow's first byte. */
static int lay_out(struct frame *f, struct variant_random *random)
{
	unsigned *order = calloc(f->count, sizeof(*order)), *units = calloc(f->count + 1, sizeof(*units));
	if (!order || !units) {
		free(order), free(units);
		return -ENOMEM;
	}
	variant_random_order(random, order, f->count);
	uint64_t bytes = 0;
	for (unsigned i = 0; i < f->count; i++)
		bytes += f->slots[i].part == ALONE ? 0 : f->slots[i].bytes;
	uint64_t most = bytes / 64 < 4 ? 4 : bytes / 64 > 64 ? 64 : bytes / 64;
	for (uint64_t n = most / 2 + variant_random_below(random, most / 2 + 1); n; n--)
		units[variant_random_below(random, f->count + !f->guarded)]++;
	for (unsigned pass = 0; pass < 2; pass++) {
		for (unsigned i = 0; i < f->count; i++) {
			struct slot *s = &f->slots[order[i]];
			if (s->buffer != pass || s->part == ALONE)
				continue;
			s->offset = align_up(f->parts[s->part].bytes + 8 * units[i], s->align);
			f->parts[s->part].bytes = s->offset + s->bytes;
			if (s->align > f->parts[s->part].align)
				f->parts[s->part].align = s->align;
		}
	}
	f->parts[STRUCT].bytes += f->parts[STRUCT].bytes ? 8 * units[f->count] : 0;
	free(order), free(units);
	return 0;
}

static unsigned add_padding(const struct ir *ir, uint64_t bytes, LLVMTypeRef *fields)
{
	unsigned count = 0;
	for (unsigned size = 8; size; size /= 2)
		for (; bytes >= size; bytes -= size)
			fields[count++] = LLVMIntTypeInContext(ir->context, size * 8);
	return count;
}

static int by_offset(const void *a, const void *b)
{
	const struct slot *const *x = a, *const *y = b;
	return (*x)->offset < (*y)->offset ? -1 : (*x)->offset > (*y)->offset;
}

/* The struct: packed, since its padding is written out, as integers (an array would count as a buffer). */
static LLVMTypeRef make_type(const struct frame *f, enum part part)
{
	const struct slot **sorted = calloc(f->count, sizeof(struct slot *));
	uint64_t padding = f->parts[part].bytes;
	unsigned count = 0;
	for (unsigned i = 0; sorted && i < f->count; i++) {
		if (f->slots[i].part == part) {
			sorted[count++] = &f->slots[i];
			padding -= f->slots[i].bytes;
		}
	}
	LLVMTypeRef *fields = calloc(padding + count + 1, sizeof(LLVMTypeRef)), type = NULL;
	if (sorted && fields) {
		uint64_t at = 0;
		unsigned n = 0;
		qsort(sorted, count, sizeof(struct slot *), by_offset);
		for (unsigned i = 0; i < count; i++) {
			n += add_padding(f->ir, sorted[i]->offset - at, fields + n);
			fields[n++] = sorted[i]->type;
			at = sorted[i]->offset + sorted[i]->bytes;
		}
		n += add_padding(f->ir, f->parts[part].bytes - at, fields + n);
		type = LLVMStructTypeInContext(f->ir->context, fields, n, true);
	}
	free(sorted), free(fields);
	return type;
}

/* The address of a slot, computed in front of an instruction. */
static LLVMValueRef address_before(struct frame *f, const struct slot *s, LLVMValueRef instruction)
{
	LLVMValueRef offset = LLVMConstInt(LLVMInt64TypeInContext(f->ir->context), s->offset, false);
	if (!s->offset)
		return f->parts[s->part].alloca;
	LLVMPositionBuilderBefore(f->builder, instruction);
	return LLVMBuildInBoundsGEP2(f->builder, LLVMInt8TypeInContext(f->ir->context), f->parts[s->part].alloca, &offset, 1, "");
}

/* The slot whose address the operand is, if it has moved into a struct. */
static struct slot *moved_slot(const struct frame *f, LLVMValueRef operand)
{
	struct slot *s = find_slot(f, operand);
	return s && s->part != ALONE ? s : NULL;
}

/* The incoming value of one block must be the same one each time that the block is named. */
static void redirect_phi(struct frame *f, LLVMValueRef phi)
{
	for (unsigned i = 0, n = LLVMCountIncoming(phi); i < n; i++) {
		const struct slot *s = moved_slot(f, LLVMGetIncomingValue(phi, i));
		if (!s)
			continue;
		LLVMBasicBlockRef block = LLVMGetIncomingBlock(phi, i);
		LLVMValueRef address = address_before(f, s, LLVMGetBasicBlockTerminator(block));
		for (unsigned j = i; j < n; j++)
			if (LLVMGetIncomingBlock(phi, j) == block)
				LLVMSetOperand(phi, j, address);
	}
}

/* Each block gets addresses of its own, at the first use: instruction selection folds them into the accesses there, while an
 * address that came from another block would take a register. */
static void redirect_uses(struct frame *f)
{
	for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(f->function); b; b = LLVMGetNextBasicBlock(b)) {
		for (LLVMValueRef i = LLVMGetFirstInstruction(b); i; i = LLVMGetNextInstruction(i)) {
			if (LLVMIsAPHINode(i)) {
				redirect_phi(f, i);
				continue;
			}
			for (int o = 0, n = LLVMGetNumOperands(i); o < n; o++) {
				struct slot *s = moved_slot(f, LLVMGetOperand(i, o));
				if (!s)
					continue;
				if (s->block != b)
					s->block = b, s->address = address_before(f, s, i);
				LLVMSetOperand(i, o, s->address);
			}
		}
	}
}

/* Only debug information still names the allocas: it follows the replacement. */
static void remove_allocas(struct frame *f)
{
	LLVMValueRef last = f->parts[BUFFERS].alloca ? f->parts[BUFFERS].alloca : f->parts[STRUCT].alloca;
	LLVMValueRef after = LLVMGetNextInstruction(last);
	for (unsigned i = 0; i < f->count; i++) {
		struct slot *s = &f->slots[i];
		if (s->part == ALONE)
			continue;
		if (s->alloca == after)
			after = LLVMGetNextInstruction(after);
		if (LLVMGetSubprogram(f->function))
			LLVMReplaceAllUsesWith(s->alloca, address_before(f, s, after));
		LLVMInstructionEraseFromParent(s->alloca);
	}
}

static int pack(struct frame *f, struct variant_random *random)
{
	LLVMTypeRef types[ALONE] = {NULL, NULL};
	int r = lay_out(f, random);
	for (unsigned p = 0; r == 0 && p < ALONE; p++) {
		if (f->parts[p].bytes && !(types[p] = make_type(f, p)))
			r = -ENOMEM;
	}
	if (r < 0)
		return r;
	drop_markers(f);
	f->builder = LLVMCreateBuilderInContext(f->ir->context);
	for (unsigned p = ALONE; p-- > 0;) {
		if (!types[p])
			continue;
		LLVMPositionBuilderBefore(f->builder, LLVMGetFirstInstruction(LLVMGetEntryBasicBlock(f->function)));
		f->parts[p].alloca = LLVMBuildAlloca(f->builder, types[p], "");
		LLVMSetAlignment(f->parts[p].alloca, f->parts[p].align);
	}
	redirect_uses(f);
	remove_allocas(f);
	LLVMDisposeBuilder(f->builder);
	return 0;
}

static int pack_function(struct ir *ir, LLVMValueRef function, const struct variant_random *parent)
{
	struct frame f = {.ir = ir, .function = function};
	for (unsigned i = 0; i < VB_ARRAY_LEN(known.ssp); i++)
		f.guarded |= function_has(function, known.ssp[i]);
	int r = collect_slots(&f);
	if (r == 0 && f.count)
		r = survey(&f);
	if (r == 0 && f.count)
		r = leave_out_sharing(&f);
	if (r == 0 && f.count && choose_parts(&f)) {
		struct variant_random random;
		size_t name_bytes;
		const char *name = LLVMGetValueName2(function, &name_bytes);
		variant_random_fork(&random, parent, name, name_bytes);
		r = pack(&f, &random);
	}
	free(f.slots), free(f.table), free(f.markers);
	return r == -EOPNOTSUPP ? 0 : r;
}

static int run(struct ir *ir, struct vb_error *err)
{
	struct variant_random random;
	look_up_names();
	variant_random_init(&random, ir->options->seed, (const char *const[]){"stack slots", NULL});
	for (LLVMValueRef f = LLVMGetFirstFunction(ir->module); f; f = LLVMGetNextFunction(f)) {
		if (!ir_may_change(f) || function_has(f, known.coroutine) || function_has(f, known.naked) ||
			function_has(f, known.safestack))
			continue;
		if (pack_function(ir, f, &random) < 0)
			return vb_error_set(err, -ENOMEM, "out of memory");
	}
	return 0;
}

static bool wanted(const struct variant_options *options)
{
	return variant_wants(options, VARIANT_STACK);
}

const struct ir_pass ir_stack_pass = {.name = "stack", .wanted = wanted, .run = run};
