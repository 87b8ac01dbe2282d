/* VARIANT_PARAMETERS: the order of parameters of functions that only this file calls, and with it the registers that
 * hold them in every caller and at every entry. It is the one choice of caller-saved registers that is sound whatever the register
 * allocator does: nobody else can know the order. */
#include "variant/ir/ir.h"

#include <llvm-c/Core.h>
#include <llvm-c/DebugInfo.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/types.h"
#include "host/error.h"
#include "variant/options.h"
#include "variant/random.h"

/* Functions with more parameters keep them in order. */
#define MAX_PARAMETERS 32

/* Attributes that tie a parameter to its place, or that name a parameter by number. */
static const char *const tying[] = {"byval", "sret", "inalloca", "preallocated", "nest", "inreg", "swiftself", "swifterror", "swiftasync"};
static unsigned tying_kinds[VB_ARRAY_LEN(tying)];
static unsigned allocsize, coroutine, naked;

struct change {
	struct ir *ir;
	LLVMValueRef old, new;
	LLVMTypeRef type;
	unsigned count;
	unsigned order[MAX_PARAMETERS]; /* order[i]: where parameter i goes */
	LLVMBuilderRef builder;
};

static unsigned attribute(const char *name)
{
	return LLVMGetEnumAttributeKindForName(name, strlen(name));
}

static bool has(LLVMValueRef function, LLVMAttributeIndex at, unsigned kind)
{
	return LLVMGetEnumAttributeAtIndex(function, at, kind);
}

static bool is_musttail(LLVMValueRef instruction)
{
	return LLVMIsACallInst(instruction) && LLVMGetTailCallKind(instruction) == LLVMTailCallKindMustTail;
}

/* Every use is a call, with this function's type. */
static bool is_only_called(LLVMValueRef function)
{
	for (LLVMUseRef use = LLVMGetFirstUse(function); use; use = LLVMGetNextUse(use)) {
		LLVMValueRef call = LLVMGetUser(use);
		if ((!LLVMIsACallInst(call) && !LLVMIsAInvokeInst(call)) || LLVMGetCalledValue(call) != function || is_musttail(call) ||
			LLVMGetCalledFunctionType(call) != LLVMGlobalGetValueType(function))
			return false;
		for (int i = 0; i < LLVMGetNumOperands(call) - 1; i++)
			if (LLVMGetOperand(call, (unsigned)i) == function)
				return false;
	}
	return true;
}

/* Blocks can move to another function: nobody has taken their addresses, and no call depends on the signature around it. */
static bool can_move(LLVMValueRef function)
{
	for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(function); b; b = LLVMGetNextBasicBlock(b)) {
		for (LLVMUseRef use = LLVMGetFirstUse(LLVMBasicBlockAsValue(b)); use; use = LLVMGetNextUse(use))
			if (!LLVMIsAInstruction(LLVMGetUser(use)))
				return false;
		for (LLVMValueRef i = LLVMGetFirstInstruction(b); i; i = LLVMGetNextInstruction(i))
			if (is_musttail(i))
				return false;
	}
	return true;
}

static bool is_candidate(LLVMValueRef function)
{
	unsigned count = LLVMCountParams(function);
	LLVMLinkage linkage = LLVMGetLinkage(function);
	if ((linkage != LLVMInternalLinkage && linkage != LLVMPrivateLinkage) || !ir_may_change(function) || count < 2 ||
		count > MAX_PARAMETERS || LLVMIsFunctionVarArg(LLVMGlobalGetValueType(function)) || LLVMHasPrefixData(function) ||
		LLVMHasPrologueData(function))
		return false;
	const unsigned kinds[] = {allocsize, coroutine, naked};
	for (unsigned k = 0; k < VB_ARRAY_LEN(kinds); k++)
		if (has(function, LLVMAttributeFunctionIndex, kinds[k]))
			return false;
	for (unsigned p = 1; p <= count; p++)
		for (unsigned k = 0; k < VB_ARRAY_LEN(tying_kinds); k++)
			if (has(function, p, tying_kinds[k]))
				return false;
	return is_only_called(function) && can_move(function);
}

/* Where the attributes at an index of the old function go. */
static LLVMAttributeIndex moved_index(const struct change *c, unsigned index)
{
	return index == 0 || index > c->count ? index : c->order[index - 1] + 1;
}

/* Of the return value, the parameters, or (LLVMAttributeFunctionIndex) all. */
static int copy_attributes(const struct change *c, LLVMAttributeIndex index, LLVMValueRef from, LLVMValueRef to, bool call)
{
	unsigned count = call ? LLVMGetCallSiteAttributeCount(from, index) : LLVMGetAttributeCountAtIndex(from, index);
	LLVMAttributeRef *list = calloc(count + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	if (call)
		LLVMGetCallSiteAttributes(from, index, list);
	else
		LLVMGetAttributesAtIndex(from, index, list);
	for (unsigned i = 0; i < count; i++) {
		LLVMAttributeIndex at = moved_index(c, index);
		call ? LLVMAddCallSiteAttribute(to, at, list[i]) : LLVMAddAttributeAtIndex(to, at, list[i]);
	}
	free(list);
	return 0;
}

static int copy_all_attributes(const struct change *c, LLVMValueRef from, LLVMValueRef to, bool call)
{
	int r = copy_attributes(c, LLVMAttributeFunctionIndex, from, to, call);
	for (unsigned i = 0; r == 0 && i <= c->count; i++)
		r = copy_attributes(c, i, from, to, call);
	return r;
}

/* An empty function of the new type, with all else of the old one. */
static int make_function(struct change *c)
{
	LLVMTypeRef old_type = LLVMGlobalGetValueType(c->old), types[MAX_PARAMETERS], new_types[MAX_PARAMETERS];
	size_t name_bytes, count;
	LLVMGetParamTypes(old_type, types);
	for (unsigned i = 0; i < c->count; i++)
		new_types[c->order[i]] = types[i];
	c->type = LLVMFunctionType(LLVMGetReturnType(old_type), new_types, c->count, false);
	c->new = LLVMAddFunction(c->ir->module, "", c->type);
	LLVMSetLinkage(c->new, LLVMGetLinkage(c->old));
	LLVMSetVisibility(c->new, LLVMGetVisibility(c->old));
	LLVMSetUnnamedAddress(c->new, LLVMGetUnnamedAddress(c->old));
	LLVMSetFunctionCallConv(c->new, LLVMGetFunctionCallConv(c->old));
	LLVMSetAlignment(c->new, LLVMGetAlignment(c->old));
	if (LLVMGetSection(c->old))
		LLVMSetSection(c->new, LLVMGetSection(c->old));
	if (LLVMGetGC(c->old))
		LLVMSetGC(c->new, LLVMGetGC(c->old));
	if (LLVMHasPersonalityFn(c->old))
		LLVMSetPersonalityFn(c->new, LLVMGetPersonalityFn(c->old));
	LLVMValueMetadataEntry *entries = LLVMGlobalCopyAllMetadata(c->old, &count);
	for (unsigned i = 0; i < count; i++)
		LLVMGlobalSetMetadata(c->new, LLVMValueMetadataEntriesGetKind(entries, i), LLVMValueMetadataEntriesGetMetadata(entries, i));
	LLVMDisposeValueMetadataEntries(entries);
	const char *name = LLVMGetValueName2(c->old, &name_bytes);
	char *copy = strndup(name, name_bytes);
	if (!copy)
		return -ENOMEM;
	LLVMSetValueName2(c->old, "", 0);
	LLVMSetValueName2(c->new, copy, name_bytes);
	free(copy);
	return copy_all_attributes(c, c->old, c->new, false);
}

static void move_body(struct change *c)
{
	LLVMBasicBlockRef first = LLVMAppendBasicBlockInContext(c->ir->context, c->new, ""), last = first, next;
	for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(c->old); b; b = next) {
		next = LLVMGetNextBasicBlock(b);
		LLVMMoveBasicBlockAfter(b, last);
		last = b;
	}
	LLVMDeleteBasicBlock(first);
	for (unsigned i = 0; i < c->count; i++)
		LLVMReplaceAllUsesWith(LLVMGetParam(c->old, i), LLVMGetParam(c->new, c->order[i]));
}

static LLVMValueRef build_call(
	struct change *c, LLVMValueRef old, LLVMValueRef *arguments, LLVMOperandBundleRef *bundles, unsigned bundle_count)
{
	if (LLVMIsAInvokeInst(old))
		return LLVMBuildInvokeWithOperandBundles(c->builder, c->type, c->new, arguments, c->count, LLVMGetNormalDest(old),
			LLVMGetUnwindDest(old), bundles, bundle_count, "");
	LLVMValueRef call = LLVMBuildCallWithOperandBundles(c->builder, c->type, c->new, arguments, c->count, bundles, bundle_count, "");
	LLVMSetTailCallKind(call, LLVMGetTailCallKind(old));
	if (LLVMCanValueUseFastMathFlags(old))
		LLVMSetFastMathFlags(call, LLVMGetFastMathFlags(old));
	return call;
}

static int replace_call(struct change *c, LLVMValueRef old)
{
	LLVMValueRef arguments[MAX_PARAMETERS];
	unsigned bundle_count = LLVMGetNumOperandBundles(old);
	LLVMOperandBundleRef *bundles = calloc(bundle_count + 1, sizeof(*bundles));
	size_t count;
	if (!bundles)
		return -ENOMEM;
	for (unsigned i = 0; i < bundle_count; i++)
		bundles[i] = LLVMGetOperandBundleAtIndex(old, i);
	for (unsigned i = 0; i < c->count; i++)
		arguments[c->order[i]] = LLVMGetOperand(old, i);
	LLVMPositionBuilderBefore(c->builder, old);
	LLVMValueRef call = build_call(c, old, arguments, bundles, bundle_count);
	for (unsigned i = 0; i < bundle_count; i++)
		LLVMDisposeOperandBundle(bundles[i]);
	free(bundles);
	LLVMSetInstructionCallConv(call, LLVMGetInstructionCallConv(old));
	LLVMInstructionSetDebugLoc(call, LLVMInstructionGetDebugLoc(old));
	LLVMValueMetadataEntry *entries = LLVMInstructionGetAllMetadataOtherThanDebugLoc(old, &count);
	for (unsigned i = 0; i < count; i++)
		LLVMSetMetadata(call, LLVMValueMetadataEntriesGetKind(entries, i),
			LLVMMetadataAsValue(c->ir->context, LLVMValueMetadataEntriesGetMetadata(entries, i)));
	LLVMDisposeValueMetadataEntries(entries);
	int r = copy_all_attributes(c, old, call, true);
	LLVMReplaceAllUsesWith(old, call);
	LLVMInstructionEraseFromParent(old);
	return r;
}

static int reorder(struct ir *ir, LLVMValueRef function, const struct variant_random *parent)
{
	struct change c = {.ir = ir, .old = function, .count = LLVMCountParams(function)};
	struct variant_random random;
	size_t name_bytes;
	const char *name = LLVMGetValueName2(function, &name_bytes);
	variant_random_fork(&random, parent, name, name_bytes);
	variant_random_order(&random, c.order, c.count);
	int r = make_function(&c);
	if (r < 0)
		return r;
	c.builder = LLVMCreateBuilderInContext(ir->context);
	move_body(&c);
	for (LLVMUseRef use; r == 0 && (use = LLVMGetFirstUse(function));)
		r = replace_call(&c, LLVMGetUser(use));
	LLVMDisposeBuilder(c.builder);
	if (r == 0)
		LLVMDeleteFunction(function);
	return r;
}

static int run(struct ir *ir, struct vb_error *err)
{
	struct variant_random random;
	for (unsigned k = 0; k < VB_ARRAY_LEN(tying); k++)
		tying_kinds[k] = attribute(tying[k]);
	allocsize = attribute("allocsize"), coroutine = attribute("presplitcoroutine"), naked = attribute("naked");
	variant_random_init(&random, ir->options->seed, (const char *const[]){"parameters", NULL});
	LLVMValueRef last = LLVMGetLastFunction(ir->module), next; /* what is new comes behind it */
	for (LLVMValueRef f = LLVMGetFirstFunction(ir->module); f; f = next) {
		next = f == last ? NULL : LLVMGetNextFunction(f);
		if (is_candidate(f) && reorder(ir, f, &random) < 0)
			return vb_error_set(err, -ENOMEM, "out of memory");
	}
	return 0;
}

static bool wanted(const struct variant_options *options)
{
	return variant_wants(options, VARIANT_PARAMETERS);
}

const struct ir_pass ir_parameters_pass = {.name = "parameters", .wanted = wanted, .run = run};
