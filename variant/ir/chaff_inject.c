/* Owns the injection of chaff bugs. Each becomes, behind a load of the program:
 *
 *	and $-8, P                            start: the eight aligned bytes around what was loaded, on the same page
 *	cmpl, jne, or four times cmpb, jne    the trigger, so that a fuzzer finds it
 *	lea MEMORY, or malloc                 hit: {buffer, rest} as one object, so that the layout is certain
 *	...                                   runs over the buffer into the rest
 *	for pointers: makes it non-canonical, writes there or calls it
 *	                                      end
 * The three marked points leave notes in CHAFF_SECTION for the proof (variant/chaff/prove.c), which trusts nothing of this
 * file. What enters behind "start" and "hit" goes through inline assembly: the compiler can't compute with it before. */
#include "variant/ir/chaff.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/types.h"
#include "host/error.h"
#include "variant/chaff/plan.h"
#include "variant/ir/ir.h"
#include "variant/options.h"

#define GAP_BYTES 16

struct injector {
	struct ir *ir;
	LLVMBuilderRef at;
	LLVMTypeRef i8, i32, i64, ptr, void_type;
	const struct chaff_bug *bug;
	LLVMValueRef function;
	LLVMBasicBlockRef tail; /* where the program goes on */
};

static LLVMValueRef number(struct injector *in, uint64_t n)
{
	return LLVMConstInt(in->i64, n, 0);
}

/* `text` in assembly, with a note in front of it. */
static LLVMValueRef marked(struct injector *in, enum chaff_note_kind kind, const char *text, const char *constraints, LLVMTypeRef result,
	LLVMValueRef *arguments, unsigned count)
{
	char assembly[400];
	LLVMTypeRef types[2];
	for (unsigned a = 0; a < count; a++)
		types[a] = LLVMTypeOf(arguments[a]);
	int length = snprintf(assembly, sizeof(assembly),
		".Lvauban_chaff_${:uid}:\n\t.pushsection " CHAFF_SECTION
		",\"\",@progbits\n\t.quad .Lvauban_chaff_${:uid}\n\t.long %u\n\t.long %u\n\t.popsection\n\t%s",
		in->bug->id, kind, text);
	LLVMTypeRef type = LLVMFunctionType(result, types, count, 0);
	LLVMValueRef callee =
		LLVMGetInlineAsm(type, assembly, (size_t)length, constraints, strlen(constraints), 1, 0, LLVMInlineAsmDialectATT, 0);
	return LLVMBuildCall2(in->at, type, callee, arguments, count, "");
}

/* A number that is made here: the compiler would make it in front of loops, where the proof can't see it and the program pays for it. */
static LLVMValueRef fixed(struct injector *in, uint64_t n)
{
	static const char text[] = "movabsq $1, $0", constraints[] = "=r,i,~{dirflag},~{fpsr},~{flags}";
	LLVMTypeRef type = LLVMFunctionType(in->i64, &in->i64, 1, 0);
	LLVMValueRef value = number(in, n);
	LLVMValueRef callee =
		LLVMGetInlineAsm(type, text, sizeof(text) - 1, constraints, sizeof(constraints) - 1, 1, 0, LLVMInlineAsmDialectATT, 0);
	return LLVMBuildCall2(in->at, type, callee, &value, 1, "");
}

static LLVMValueRef element(struct injector *in, LLVMValueRef base, LLVMValueRef index)
{
	return LLVMBuildGEP2(in->at, in->i8, base, &index, 1, "");
}

static LLVMValueRef load(struct injector *in, LLVMTypeRef type, LLVMValueRef from)
{
	LLVMValueRef value = LLVMBuildLoad2(in->at, type, from, "");
	LLVMSetVolatile(value, 1);
	LLVMSetAlignment(value, 1);
	return value;
}

static void store(struct injector *in, LLVMValueRef value, LLVMValueRef to)
{
	LLVMValueRef i = LLVMBuildStore(in->at, value, to);
	LLVMSetVolatile(i, 1);
	LLVMSetAlignment(i, 1);
}

static LLVMBasicBlockRef new_block(struct injector *in)
{
	return LLVMInsertBasicBlockInContext(in->ir->context, in->tail, "");
}

/* Everything up to `last` moves into a new block in front of its own, which keeps its name, so that the PHIs of its successors stay right. */
static LLVMBasicBlockRef split_after(struct injector *in, LLVMValueRef last)
{
	in->tail = LLVMGetInstructionParent(last);
	LLVMBasicBlockRef head = new_block(in);
	for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(in->function); b; b = LLVMGetNextBasicBlock(b)) {
		LLVMValueRef end = LLVMGetBasicBlockTerminator(b);
		for (unsigned s = 0; end && s < LLVMGetNumSuccessors(end); s++) {
			if (LLVMGetSuccessor(end, s) == in->tail)
				LLVMSetSuccessor(end, s, head);
		}
	}
	LLVMPositionBuilderAtEnd(in->at, head);
	for (LLVMValueRef i, next = LLVMGetFirstInstruction(in->tail);;) {
		i = next;
		next = LLVMGetNextInstruction(i);
		LLVMInstructionRemoveFromParent(i);
		LLVMInsertIntoBuilder(in->at, i);
		if (i == last)
			return head;
	}
}

static void branch_if_rare(struct injector *in, LLVMValueRef condition, LLVMBasicBlockRef rare, LLVMBasicBlockRef usual)
{
	LLVMContextRef c = in->ir->context;
	LLVMValueRef branch = LLVMBuildCondBr(in->at, condition, rare, usual);
	LLVMMetadataRef weights[3] = {LLVMMDStringInContext2(c, "branch_weights", 14), LLVMValueAsMetadata(LLVMConstInt(in->i32, 1, 0)),
		LLVMValueAsMetadata(LLVMConstInt(in->i32, 1u << 20, 0))};
	LLVMSetMetadata(branch, LLVMGetMDKindIDInContext(c, "prof", 4), LLVMMetadataAsValue(c, LLVMMDNodeInContext2(c, weights, 3)));
}

/* Runs over the buffer: one byte at an index, or bytes up to a length, which the input chooses within the object. */
static void overflow(struct injector *in, LLVMValueRef memory, LLVMValueRef w)
{
	const struct chaff_bug *b = in->bug;
	unsigned bits = (unsigned)__builtin_ctz(b->size);
	LLVMValueRef much = LLVMBuildLShr(in->at, LLVMBuildMul(in->at, w, fixed(in, b->multiplier | 1), ""), number(in, 64 - bits), "");
	if (b->copy == CHAFF_INDEX) {
		LLVMValueRef byte = LLVMBuildTrunc(in->at, LLVMBuildLShr(in->at, w, number(in, b->rotate), ""), in->i8, "");
		store(in, byte, element(in, memory, much));
		return;
	}
	LLVMBasicBlockRef before = LLVMGetInsertBlock(in->at), loop = new_block(in), after = new_block(in);
	LLVMBuildBr(in->at, loop);
	LLVMPositionBuilderAtEnd(in->at, loop);
	LLVMValueRef i = LLVMBuildPhi(in->at, in->i64, "");
	LLVMValueRef shift = LLVMBuildShl(in->at, LLVMBuildAnd(in->at, i, number(in, 7), ""), number(in, 3), "");
	store(in, LLVMBuildTrunc(in->at, LLVMBuildLShr(in->at, w, shift, ""), in->i8, ""), element(in, memory, i));
	LLVMValueRef next = LLVMBuildAdd(in->at, i, number(in, 1), "");
	LLVMBuildCondBr(in->at, LLVMBuildICmp(in->at, LLVMIntULE, next, much, ""), loop, after);
	LLVMValueRef values[2] = {number(in, 0), next};
	LLVMBasicBlockRef blocks[2] = {before, loop};
	LLVMAddIncoming(i, values, blocks, 2);
	LLVMPositionBuilderAtEnd(in->at, after);
}

static LLVMValueRef constrain(struct injector *in, LLVMValueRef p)
{
	const struct chaff_bug *b = in->bug;
	LLVMBuilderRef at = in->at;
	switch (b->constraint) {
	case CHAFF_SCALED:
		p = LLVMBuildMul(at, LLVMBuildAnd(at, p, number(in, UINT32_MAX), ""), fixed(in, b->scale), "");
		return LLVMBuildAdd(at, p, fixed(in, b->constant), "");
	case CHAFF_SHIFTED:
		return LLVMBuildAdd(at, LLVMBuildLShr(at, p, number(in, 2), ""), fixed(in, 1ull << 63), "");
	default:
		return LLVMBuildOr(at, LLVMBuildAnd(at, p, fixed(in, ~(1ull << 62)), ""), fixed(in, 1ull << 63), "");
	}
}

static void payload(struct injector *in, LLVMValueRef memory, LLVMValueRef w)
{
	LLVMValueRef field = element(in, memory, number(in, in->bug->size - 8));
	if (in->bug->effect != CHAFF_UNUSED)
		store(in, memory, field);
	overflow(in, memory, w);
	if (in->bug->effect == CHAFF_UNUSED)
		return;
	LLVMValueRef p = LLVMBuildIntToPtr(in->at, constrain(in, load(in, in->i64, field)), in->ptr, "");
	if (in->bug->effect == CHAFF_WRITE)
		store(in, w, p);
	else
		LLVMBuildCall2(in->at, LLVMFunctionType(in->void_type, NULL, 0, 0), p, NULL, 0, "");
}

static LLVMValueRef library(struct injector *in, const char *name, LLVMTypeRef result, LLVMTypeRef parameter, LLVMTypeRef *ret_type)
{
	LLVMValueRef f = LLVMGetNamedFunction(in->ir->module, name);
	*ret_type = LLVMFunctionType(result, &parameter, 1, 0);
	return f ? f : LLVMAddFunction(in->ir->module, name, *ret_type);
}

static void hit_heap(struct injector *in, LLVMValueRef w)
{
	LLVMTypeRef malloc_type, free_type;
	LLVMValueRef malloc_function = library(in, "malloc", in->ptr, in->i64, &malloc_type), size = number(in, in->bug->size);
	LLVMValueRef free_function = library(in, "free", in->void_type, in->ptr, &free_type);
	w = marked(in, CHAFF_HIT, "", "=r,0,~{memory},~{dirflag},~{fpsr},~{flags}", in->i64, &w, 1);
	LLVMValueRef memory = LLVMBuildCall2(in->at, malloc_type, malloc_function, &size, 1, "");
	LLVMBasicBlockRef use = new_block(in);
	LLVMBuildCondBr(in->at, LLVMBuildIsNull(in->at, memory, ""), in->tail, use);
	LLVMPositionBuilderAtEnd(in->at, use);
	payload(in, memory, w);
	LLVMBuildCall2(in->at, free_type, free_function, &memory, 1, "");
	LLVMBuildBr(in->at, in->tail);
}

static void hit_stack(struct injector *in, LLVMValueRef w, LLVMValueRef object)
{
	LLVMTypeRef both[2] = {in->ptr, in->i64};
	LLVMValueRef arguments[2] = {element(in, object, number(in, GAP_BYTES)), w};
	unsigned kind = LLVMGetEnumAttributeKindForName("elementtype", 11);
	LLVMValueRef out = marked(in, CHAFF_HIT, "leaq $2, $0", "=&r,=r,*m,1,~{memory},~{dirflag},~{fpsr},~{flags}",
		LLVMStructTypeInContext(in->ir->context, both, 2, 0), arguments, 2);
	LLVMAddCallSiteAttribute(out, 1, LLVMCreateTypeAttribute(in->ir->context, kind, LLVMArrayType2(in->i8, in->bug->size)));
	payload(in, LLVMBuildExtractValue(in->at, out, 0, ""), LLVMBuildExtractValue(in->at, out, 1, ""));
	LLVMBuildBr(in->at, in->tail);
}

/* The object on the stack. No lifetime markers: it shares its place with nothing. A gap in front of it, so that pointers behind the
 * end of an object of the program don't look as if they pointed into it. */
static LLVMValueRef reserve(struct injector *in)
{
	const struct chaff_bug *b = in->bug;
	LLVMTypeRef parts[3] = {
		LLVMArrayType2(in->i8, GAP_BYTES), LLVMArrayType2(in->i8, b->buffer), LLVMArrayType2(in->i8, b->size - b->buffer)};
	LLVMPositionBuilderBefore(in->at, LLVMGetFirstInstruction(LLVMGetEntryBasicBlock(in->function)));
	LLVMValueRef object = LLVMBuildAlloca(in->at, LLVMStructTypeInContext(in->ir->context, parts, 3, 0), "");
	LLVMSetAlignment(object, 16);
	return object;
}

static void inject(struct injector *in, LLVMValueRef place)
{
	const struct chaff_bug *b = in->bug;
	LLVMValueRef object = b->storage == CHAFF_STACK ? reserve(in) : NULL, p = LLVMGetOperand(place, 0);
	LLVMBasicBlockRef head = split_after(in, place);
	LLVMPositionBuilderBefore(in->at, LLVMGetFirstInstruction(in->tail));
	marked(in, CHAFF_END, "", "~{memory},~{dirflag},~{fpsr},~{flags}", in->void_type, NULL, 0);
	LLVMPositionBuilderAtEnd(in->at, head);
	LLVMValueRef window = marked(in, CHAFF_START, "andq $$-8, $0", "=r,0,~{memory},~{dirflag},~{fpsr},~{flags}", in->ptr, &p, 1);
	uint32_t word = 0;
	for (unsigned t = 0; t < CHAFF_TRIGGER_BYTES; t++) {
		word |= (uint32_t)b->trigger[t].value << 8 * t;
		if (b->word && t < CHAFF_TRIGGER_BYTES - 1)
			continue;
		LLVMTypeRef type_of = b->word ? in->i32 : in->i8;
		LLVMValueRef got = load(in, type_of, element(in, window, number(in, b->trigger[b->word ? 0 : t].at)));
		LLVMValueRef want = LLVMConstInt(type_of, b->word ? word : b->trigger[t].value, 0);
		LLVMBasicBlockRef next = new_block(in);
		branch_if_rare(in, LLVMBuildICmp(in->at, LLVMIntEQ, got, want, ""), next, in->tail);
		LLVMPositionBuilderAtEnd(in->at, next);
	}
	LLVMValueRef w = load(in, in->i64, window);
	if (object)
		hit_stack(in, w, object);
	else
		hit_heap(in, w);
}

/* --- which --- */

static bool is_skipped(const struct variant_options *o, const struct chaff_bug *b)
{
	if (b->dropped || (b->effect != CHAFF_UNUSED && !o->supervised))
		return true;
	for (const char *at = o->chaff_skip; at && *at; at += strspn(at, ",")) {
		char *end;
		unsigned long id = strtoul(at, &end, 10);
		if (end == at)
			return false;
		if (id == b->id)
			return true;
		at = end;
	}
	return false;
}

static LLVMValueRef find_place(struct ir *ir, const struct chaff_bug *b, LLVMValueRef *ret_function)
{
	LLVMValueRef f = LLVMGetNamedFunction(ir->module, b->function);
	unsigned n = 0;
	if (!f || !chaff_may_change(f) || strcmp(chaff_module_name(ir->module), b->module) != 0 || chaff_hash(f) != b->hash)
		return NULL;
	for (LLVMBasicBlockRef block = LLVMGetFirstBasicBlock(f); block; block = LLVMGetNextBasicBlock(block)) {
		if (LLVMGetFirstUse(LLVMBasicBlockAsValue(block)) &&
			LLVMIsABlockAddress(LLVMGetUser(LLVMGetFirstUse(LLVMBasicBlockAsValue(block)))))
			return NULL;
	}
	*ret_function = f;
	for (LLVMBasicBlockRef block = LLVMGetFirstBasicBlock(f); block; block = LLVMGetNextBasicBlock(block)) {
		for (LLVMValueRef i = LLVMGetFirstInstruction(block); i; i = LLVMGetNextInstruction(i)) {
			if (chaff_is_place(i, ir->layout) && n++ == b->load)
				return i;
		}
	}
	return NULL;
}

/* What the optimiser found out about the function holds no longer. */
static void forget_attributes(LLVMValueRef f)
{
	static const char *const names[] = {"memory", "nofree", "nosync", "willreturn", "norecurse", "speculatable"};
	for (unsigned n = 0; n < VB_ARRAY_LEN(names); n++)
		LLVMRemoveEnumAttributeAtIndex(f, LLVMAttributeFunctionIndex, LLVMGetEnumAttributeKindForName(names[n], strlen(names[n])));
}

/* Behind calls that don't return stands an instruction that ends: otherwise the machine code looks as if they returned into what the
 * compiler put there, which may be a bug. */
static void end_calls(struct injector *in)
{
	unsigned id = LLVMLookupIntrinsicID("llvm.trap", 9);
	LLVMValueRef trap = LLVMGetIntrinsicDeclaration(in->ir->module, id, NULL, 0);
	LLVMTypeRef type = LLVMIntrinsicGetType(in->ir->context, id, NULL, 0);
	for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(in->function); b; b = LLVMGetNextBasicBlock(b)) {
		LLVMValueRef end = LLVMGetBasicBlockTerminator(b), before = LLVMGetPreviousInstruction(end);
		if (LLVMGetInstructionOpcode(end) != LLVMUnreachable || !before || LLVMGetInstructionOpcode(before) != LLVMCall ||
			LLVMGetTailCallKind(before) == LLVMTailCallKindMustTail || LLVMGetCalledValue(before) == trap)
			continue;
		LLVMPositionBuilderBefore(in->at, end);
		LLVMBuildCall2(in->at, type, trap, NULL, 0, "");
	}
}

static bool defines_allocator(LLVMModuleRef m)
{
	LLVMValueRef f = LLVMGetNamedFunction(m, "malloc"), g = LLVMGetNamedFunction(m, "free");
	return (f && !LLVMIsDeclaration(f)) || (g && !LLVMIsDeclaration(g));
}

static int inject_module(struct ir *ir, struct vb_error *err)
{
	struct chaff_plan plan;
	const struct variant_options *o = ir->options;
	if (!o->chaff_plan)
		return vb_error_set(err, -EINVAL, "--chaff wants --chaff-plan FILE: make it by `vauban chaff plan`");
	int r = chaff_plan_read(&plan, o->chaff_plan, err);
	if (r < 0)
		return r;
	struct injector in = {.ir = ir,
		.at = LLVMCreateBuilderInContext(ir->context),
		.i8 = LLVMInt8TypeInContext(ir->context),
		.i32 = LLVMInt32TypeInContext(ir->context),
		.i64 = LLVMInt64TypeInContext(ir->context),
		.ptr = LLVMPointerTypeInContext(ir->context, 0),
		.void_type = LLVMVoidTypeInContext(ir->context)};
	struct {
		LLVMValueRef place, function;
	} *found = calloc(plan.bug_count + 1, sizeof(*found));
	/* All are found before the first is injected. --chaff N: the first N of those that may be used. */
	unsigned used = 0;
	for (unsigned i = 0; found && i < plan.bug_count; i++) {
		const struct chaff_bug *b = &plan.bugs[i];
		if (is_skipped(o, b) || used++ >= o->chaff || (b->storage == CHAFF_HEAP && defines_allocator(ir->module)))
			continue;
		found[i].place = find_place(ir, b, &found[i].function);
	}
	for (unsigned i = 0; found && i < plan.bug_count; i++) {
		if (!found[i].place)
			continue;
		in.bug = &plan.bugs[i];
		in.function = found[i].function;
		inject(&in, found[i].place);
		forget_attributes(in.function);
		end_calls(&in);
	}
	free(found);
	LLVMDisposeBuilder(in.at);
	chaff_plan_release(&plan);
	return found ? 0 : vb_error_set(err, -ENOMEM, "no memory left");
}

static bool wanted(const struct variant_options *options)
{
	return options->chaff || options->chaff_plan;
}

const struct ir_pass ir_chaff_pass = {"chaff", wanted, inject_module};
