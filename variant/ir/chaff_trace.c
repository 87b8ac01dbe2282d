/* Owns the instrumentation of a module for byte-level taint tracking. Every scalar value gets a second one, its label (see
 * variant/chaff/runtime.c, which keeps the labels of memory); labels go from caller to callee through thread-local variables. */
#include "variant/ir/chaff.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/types.h"
#include "host/error.h"
#include "variant/ir/ir.h"
#include "variant/options.h"

#define PREFIX    "__vauban_chaff_"
#define ARGUMENTS 16 /* that labels are handed over of */

enum helper { HELP_LOAD, HELP_PLACE, HELP_STORE, HELP_FILL, HELP_COPY, HELP_UNION, HELP_PART, HELP_BRANCH, HELPERS };
static const struct {
	const char *name;
	const char *signature; /* result, then parameters: v void, p pointer, i 32 bits, l 64 bits */
} helpers[HELPERS] = {
	[HELP_LOAD] = {PREFIX "load", "ipl"},
	[HELP_PLACE] = {PREFIX "place", "ippi"},
	[HELP_STORE] = {PREFIX "store", "vpli"},
	[HELP_FILL] = {PREFIX "fill", "vpli"},
	[HELP_COPY] = {PREFIX "copy", "vppl"},
	[HELP_UNION] = {PREFIX "union", "iii"},
	[HELP_PART] = {PREFIX "part", "iil"},
	[HELP_BRANCH] = {PREFIX "branch", "vi"},
};

/* Functions of the C library that read input, move memory or decide by what they read: the runtime stands in for them. */
static const char *const stand_ins[] = {"read", "pread", "pread64", "recv", "recvfrom", "fread", "fread_unlocked", "fgets", "fgetc", "getc",
	"getc_unlocked", "fgetc_unlocked", "getchar", "__uflow", "memcpy", "memmove", "mempcpy", "memset", "strcpy", "strncpy", "stpcpy",
	"strcat", "strdup", "malloc", "calloc", "realloc", "memcmp", "bcmp", "strcmp", "strncmp", "strcasecmp", "strncasecmp", "strcoll",
	"strlen", "strchr", "strrchr", "memchr", "strpbrk", "strspn", "strcspn", "strstr", "strtol", "strtoul", "strtoll", "strtoull",
	"strtod", "atoi", "atol", "_exit"};

/* Of pointers, open addressing, never full: as large as the function. */
struct map {
	struct pair {
		const void *key;
		void *value;
	} * pairs;
	size_t capacity;
};

struct tracer {
	LLVMModuleRef module;
	LLVMContextRef context;
	LLVMBuilderRef at;
	LLVMTargetDataRef layout;
	LLVMTypeRef i32, i64, ptr, types[HELPERS];
	LLVMValueRef functions[HELPERS], none, arguments, callee, result;
	LLVMTypeRef arguments_type;
	LLVMValueRef place; /* of the function: what the runtime knows it by */
	struct map labels;  /* label by value */
	struct map places;  /* number of a load, by the load: 1 + n as a pointer */
};

static struct pair *slot(const struct map *m, const void *key)
{
	size_t i = ((uintptr_t)key >> 4) * 0x9e3779b97f4a7c15 >> 20;
	for (i &= m->capacity - 1; m->pairs[i].key && m->pairs[i].key != key;)
		i = (i + 1) & (m->capacity - 1);
	return &m->pairs[i];
}

static int map_init(struct map *m, size_t count)
{
	for (m->capacity = 64; m->capacity < 4 * count;)
		m->capacity *= 2;
	m->pairs = calloc(m->capacity, sizeof(*m->pairs));
	return m->pairs ? 0 : -ENOMEM;
}

static void *get(const struct map *m, const void *key)
{
	return slot(m, key)->value;
}

static void put(struct map *m, const void *key, void *value)
{
	*slot(m, key) = (struct pair){key, value};
}

static LLVMValueRef label_of(struct tracer *t, LLVMValueRef value)
{
	LLVMValueRef label = get(&t->labels, value);
	return label ? label : t->none;
}

static void set_label(struct tracer *t, LLVMValueRef value, LLVMValueRef label)
{
	if (label != t->none)
		put(&t->labels, value, label);
}

static LLVMTypeRef type_of(struct tracer *t, char c)
{
	return c == 'i' ? t->i32 : c == 'l' ? t->i64 : c == 'p' ? t->ptr : LLVMVoidTypeInContext(t->context);
}

static LLVMValueRef call(struct tracer *t, enum helper h, LLVMValueRef a, LLVMValueRef b, LLVMValueRef c)
{
	LLVMValueRef arguments[3] = {a, b, c};
	return LLVMBuildCall2(t->at, t->types[h], t->functions[h], arguments, (unsigned)strlen(helpers[h].signature) - 1, "");
}

static LLVMValueRef number(struct tracer *t, uint64_t n)
{
	return LLVMConstInt(t->i64, n, 0);
}

static LLVMValueRef size_of(struct tracer *t, LLVMTypeRef type)
{
	return number(t, LLVMStoreSizeOfType(t->layout, type));
}

static void decides(struct tracer *t, LLVMValueRef value)
{
	LLVMValueRef label = label_of(t, value);
	if (label != t->none)
		call(t, HELP_BRANCH, label, NULL, NULL);
}

static LLVMValueRef unite(struct tracer *t, LLVMValueRef a, LLVMValueRef b)
{
	if (a == t->none && b == t->none)
		return t->none;
	return call(t, HELP_UNION, a, b, NULL);
}

static LLVMValueRef unite_operands(struct tracer *t, LLVMValueRef i, unsigned count)
{
	LLVMValueRef label = t->none;
	for (unsigned o = 0; o < count; o++)
		label = unite(t, label, label_of(t, LLVMGetOperand(i, o)));
	return label;
}

static LLVMValueRef declare_tls(struct tracer *t, const char *name, LLVMTypeRef type)
{
	LLVMValueRef v = LLVMAddGlobal(t->module, type, name);
	LLVMSetThreadLocalMode(v, LLVMInitialExecTLSModel);
	return v;
}

static LLVMValueRef argument_slot(struct tracer *t, unsigned n)
{
	LLVMValueRef index[2] = {number(t, 0), number(t, n)};
	return LLVMConstInBoundsGEP2(t->arguments_type, t->arguments, index, 2);
}

static void trace_intrinsic(struct tracer *t, LLVMValueRef i, const char *name)
{
	unsigned count = LLVMGetNumArgOperands(i);
	if (strncmp(name, "llvm.memcpy", 11) == 0 || strncmp(name, "llvm.memmove", 12) == 0) {
		call(t, HELP_COPY, LLVMGetOperand(i, 0), LLVMGetOperand(i, 1),
			LLVMBuildZExtOrBitCast(t->at, LLVMGetOperand(i, 2), t->i64, ""));
	} else if (strncmp(name, "llvm.memset", 11) == 0) {
		call(t, HELP_FILL, LLVMGetOperand(i, 0), LLVMBuildZExtOrBitCast(t->at, LLVMGetOperand(i, 2), t->i64, ""),
			label_of(t, LLVMGetOperand(i, 1)));
	} else if (LLVMGetTypeKind(LLVMTypeOf(i)) != LLVMVoidTypeKind && strncmp(name, "llvm.dbg", 8) != 0) {
		set_label(t, i, unite_operands(t, i, count));
	}
}

/* Before the call: hand over; after it: take the result's label. */
static void trace_call(struct tracer *t, LLVMValueRef i, LLVMValueRef next)
{
	LLVMValueRef callee = LLVMGetCalledValue(i);
	size_t length;
	const char *name = LLVMIsAFunction(callee) ? LLVMGetValueName2(callee, &length) : "";
	if (strncmp(name, "llvm.", 5) == 0) {
		trace_intrinsic(t, i, name);
		return;
	}
	bool plain = LLVMGetInstructionOpcode(i) == LLVMCall;
	if (LLVMIsAInlineAsm(callee)) {
		if (plain && LLVMGetTypeKind(LLVMTypeOf(i)) != LLVMVoidTypeKind)
			set_label(t, i, unite_operands(t, i, LLVMGetNumArgOperands(i)));
		return;
	}
	LLVMPositionBuilderBefore(t->at, i);
	decides(t, callee);
	unsigned count = LLVMGetNumArgOperands(i);
	for (unsigned a = 0; a < count && a < ARGUMENTS; a++)
		LLVMBuildStore(t->at, label_of(t, LLVMGetOperand(i, a)), argument_slot(t, a));
	LLVMBuildStore(t->at, callee, t->callee);
	LLVMBuildStore(t->at, t->none, t->result);
	if (!plain || LLVMGetTypeKind(LLVMTypeOf(i)) == LLVMVoidTypeKind || LLVMGetTailCallKind(i) == LLVMTailCallKindMustTail)
		return;
	LLVMPositionBuilderBefore(t->at, next);
	set_label(t, i, LLVMBuildLoad2(t->at, t->i32, t->result, ""));
}

static void trace_load(struct tracer *t, LLVMValueRef i)
{
	uintptr_t place = (uintptr_t)get(&t->places, i);
	LLVMValueRef p = LLVMGetOperand(i, 0);
	if (LLVMGetPointerAddressSpace(LLVMTypeOf(p)))
		return;
	LLVMValueRef label = call(t, HELP_LOAD, p, size_of(t, LLVMTypeOf(i)), NULL), address = label_of(t, p);
	set_label(t, i, address == t->none ? label : unite(t, label, address)); /* which element of a table is chosen, too */
	if (place)
		call(t, HELP_PLACE, p, t->place, LLVMConstInt(t->i32, place - 1, 0));
}

static void trace_alloca(struct tracer *t, LLVMValueRef i)
{
	LLVMValueRef count = LLVMBuildZExtOrBitCast(t->at, LLVMGetOperand(i, 0), t->i64, "");
	call(t, HELP_FILL, i, LLVMBuildMul(t->at, count, number(t, LLVMABISizeOfType(t->layout, LLVMGetAllocatedType(i))), ""), t->none);
}

static bool ends_with_tail_call(LLVMValueRef ret)
{
	LLVMValueRef before = LLVMGetPreviousInstruction(ret);
	return before && LLVMGetInstructionOpcode(before) == LLVMCall && LLVMGetTailCallKind(before) == LLVMTailCallKindMustTail;
}

static void trace_instruction(struct tracer *t, LLVMValueRef i, LLVMValueRef next)
{
	LLVMOpcode op = LLVMGetInstructionOpcode(i);
	bool ends = LLVMIsATerminatorInst(i), before = ends || op == LLVMStore;
	LLVMPositionBuilderBefore(t->at, before ? i : next);
	switch (op) {
	case LLVMPHI: /* its incoming labels follow when all are known */
		LLVMPositionBuilderBefore(t->at, i);
		set_label(t, i, LLVMBuildPhi(t->at, t->i32, ""));
		break;
	case LLVMLandingPad:
	case LLVMVAArg:
	case LLVMFence:
		break;
	case LLVMLoad:
		trace_load(t, i);
		break;
	case LLVMStore:
		if (!LLVMGetPointerAddressSpace(LLVMTypeOf(LLVMGetOperand(i, 1))))
			call(t, HELP_STORE, LLVMGetOperand(i, 1), size_of(t, LLVMTypeOf(LLVMGetOperand(i, 0))),
				label_of(t, LLVMGetOperand(i, 0)));
		break;
	case LLVMAtomicRMW:
	case LLVMAtomicCmpXchg:
		call(t, HELP_STORE, LLVMGetOperand(i, 0), size_of(t, LLVMTypeOf(LLVMGetOperand(i, op == LLVMAtomicRMW ? 1 : 2))), t->none);
		break;
	case LLVMAlloca:
		trace_alloca(t, i);
		break;
	case LLVMCall:
	case LLVMInvoke:
		trace_call(t, i, next);
		break;
	case LLVMZExt:
	case LLVMSExt:
	case LLVMBitCast:
	case LLVMFreeze:
	case LLVMPtrToInt:
	case LLVMIntToPtr:
		set_label(t, i, label_of(t, LLVMGetOperand(i, 0)));
		break;
	case LLVMTrunc:
		if (label_of(t, LLVMGetOperand(i, 0)) != t->none)
			set_label(t, i, call(t, HELP_PART, label_of(t, LLVMGetOperand(i, 0)), size_of(t, LLVMTypeOf(i)), NULL));
		break;
	case LLVMSelect:
		decides(t, LLVMGetOperand(i, 0));
		LLVMValueRef yes = label_of(t, LLVMGetOperand(i, 1)), no = label_of(t, LLVMGetOperand(i, 2));
		if (LLVMGetTypeKind(LLVMTypeOf(LLVMGetOperand(i, 0))) == LLVMVectorTypeKind)
			set_label(t, i, unite(t, yes, no));
		else if (yes != t->none || no != t->none)
			set_label(t, i, LLVMBuildSelect(t->at, LLVMGetOperand(i, 0), yes, no, ""));
		break;
	case LLVMBr:
		if (LLVMIsConditional(i))
			decides(t, LLVMGetCondition(i));
		break;
	case LLVMSwitch:
	case LLVMIndirectBr:
		decides(t, LLVMGetOperand(i, 0));
		break;
	case LLVMRet:
		if (LLVMGetNumOperands(i) && !ends_with_tail_call(i))
			LLVMBuildStore(t->at, label_of(t, LLVMGetOperand(i, 0)), t->result);
		break;
	default:
		if (!ends && LLVMGetTypeKind(LLVMTypeOf(i)) != LLVMVoidTypeKind)
			set_label(t, i, unite_operands(t, i, (unsigned)LLVMGetNumOperands(i)));
	}
}

/* {module, function, hash, loads, records[loads]}: the runtime hangs what it learns into the records. */
static LLVMValueRef describe(struct tracer *t, LLVMValueRef f, const char *module_name, uint64_t hash, unsigned loads)
{
	size_t length;
	const char *name = LLVMGetValueName2(f, &length);
	LLVMTypeRef records_type = LLVMArrayType2(t->ptr, loads);
	LLVMPositionBuilderBefore(t->at, LLVMGetFirstInstruction(LLVMGetEntryBasicBlock(f)));
	LLVMValueRef fields[5] = {LLVMBuildGlobalStringPtr(t->at, module_name, ""), LLVMBuildGlobalStringPtr(t->at, name, ""),
		number(t, hash), number(t, loads), LLVMConstNull(records_type)};
	LLVMValueRef value = LLVMConstStructInContext(t->context, fields, 5, 0);
	LLVMValueRef global = LLVMAddGlobal(t->module, LLVMTypeOf(value), "");
	LLVMSetInitializer(global, value);
	LLVMSetLinkage(global, LLVMInternalLinkage);
	return global;
}

/* Labels of parameters count only if an instrumented caller meant this function. */
static void trace_parameters(struct tracer *t, LLVMValueRef f, LLVMValueRef first)
{
	LLVMPositionBuilderBefore(t->at, first);
	LLVMValueRef meant = LLVMBuildICmp(t->at, LLVMIntEQ, LLVMBuildLoad2(t->at, t->ptr, t->callee, ""), f, "");
	for (unsigned p = 0; p < LLVMCountParams(f) && p < ARGUMENTS; p++)
		set_label(t, LLVMGetParam(f, p),
			LLVMBuildSelect(t->at, meant, LLVMBuildLoad2(t->at, t->i32, argument_slot(t, p), ""), t->none, ""));
	LLVMBuildStore(t->at, LLVMConstNull(t->ptr), t->callee);
}

static void fill_phis(struct tracer *t, LLVMBasicBlockRef b)
{
	for (LLVMValueRef i = LLVMGetFirstInstruction(b); i && LLVMGetInstructionOpcode(i) == LLVMPHI; i = LLVMGetNextInstruction(i)) {
		LLVMValueRef phi = get(&t->labels, i);
		for (unsigned n = 0; phi && n < LLVMCountIncoming(i); n++) {
			LLVMValueRef label = label_of(t, LLVMGetIncomingValue(i, n));
			LLVMBasicBlockRef block = LLVMGetIncomingBlock(i, n);
			LLVMAddIncoming(phi, &label, &block, 1);
		}
	}
}

/* Reverse post-order, so that a label is known before it is used. What can't be reached is left out. Returns how many. */
static size_t order_blocks(LLVMValueRef f, const struct map *storage, LLVMBasicBlockRef *order, unsigned *next, LLVMBasicBlockRef *stack)
{
	struct map seen = *storage;
	size_t depth = 0, done = LLVMCountBasicBlocks(f), blocks = done;
	stack[depth] = LLVMGetEntryBasicBlock(f);
	next[depth++] = 0;
	put(&seen, stack[0], stack[0]);
	while (depth) {
		LLVMValueRef end = LLVMGetBasicBlockTerminator(stack[depth - 1]);
		if (next[depth - 1] == LLVMGetNumSuccessors(end)) {
			order[--done] = stack[--depth];
			continue;
		}
		LLVMBasicBlockRef to = LLVMGetSuccessor(end, next[depth - 1]++);
		if (!get(&seen, to)) {
			put(&seen, to, to);
			stack[depth] = to;
			next[depth++] = 0;
		}
	}
	memmove(order, order + done, (blocks - done) * sizeof(*order));
	return blocks - done;
}

static void trace_block(struct tracer *t, LLVMBasicBlockRef b, LLVMValueRef f, LLVMValueRef *storage)
{
	size_t count = 0;
	for (LLVMValueRef i = LLVMGetFirstInstruction(b); i; i = LLVMGetNextInstruction(i))
		storage[count++] = i;
	if (b == LLVMGetEntryBasicBlock(f))
		trace_parameters(t, f, storage[0]);
	for (size_t n = 0; n < count; n++)
		trace_instruction(t, storage[n], n + 1 < count ? storage[n + 1] : NULL);
}

static int trace_function(struct tracer *t, LLVMValueRef f, const char *module_name)
{
	size_t count = LLVMCountParams(f), blocks = LLVMCountBasicBlocks(f);
	uintptr_t loads = 0;
	for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(f); b; b = LLVMGetNextBasicBlock(b))
		for (LLVMValueRef i = LLVMGetFirstInstruction(b); i; i = LLVMGetNextInstruction(i))
			count++;
	struct map seen = {0};
	LLVMValueRef *instructions = malloc(count * sizeof(*instructions));
	LLVMBasicBlockRef *order = malloc(2 * blocks * sizeof(*order));
	unsigned *next = malloc(blocks * sizeof(*next));
	t->labels = t->places = seen;
	int r = instructions && order && next ? 0 : -ENOMEM;
	if (r == 0 && (map_init(&seen, blocks) < 0 || map_init(&t->labels, count) < 0 || map_init(&t->places, count) < 0))
		r = -ENOMEM;
	if (r == 0) {
		for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(f); b; b = LLVMGetNextBasicBlock(b))
			for (LLVMValueRef i = LLVMGetFirstInstruction(b); i; i = LLVMGetNextInstruction(i))
				if (chaff_is_place(i, t->layout))
					put(&t->places, i, (void *)++loads);
		t->place = describe(t, f, module_name, chaff_hash(f), (unsigned)loads);
		blocks = order_blocks(f, &seen, order, next, order + blocks);
		for (size_t b = 0; b < blocks; b++)
			trace_block(t, order[b], f, instructions);
		for (size_t b = 0; b < blocks; b++)
			fill_phis(t, order[b]);
	}
	free(seen.pairs), free(t->labels.pairs), free(t->places.pairs);
	free(instructions), free(order), free(next);
	return r;
}

static void declare(struct tracer *t)
{
	for (unsigned h = 0; h < HELPERS; h++) {
		const char *s = helpers[h].signature;
		LLVMTypeRef parameters[4];
		unsigned count = (unsigned)strlen(s) - 1;
		for (unsigned p = 0; p < count; p++)
			parameters[p] = type_of(t, s[p + 1]);
		t->types[h] = LLVMFunctionType(type_of(t, s[0]), parameters, count, 0);
		t->functions[h] = LLVMAddFunction(t->module, helpers[h].name, t->types[h]);
	}
	t->arguments_type = LLVMArrayType2(t->i32, ARGUMENTS);
	t->arguments = declare_tls(t, PREFIX "arguments", t->arguments_type);
	t->callee = declare_tls(t, PREFIX "callee", t->ptr);
	t->result = declare_tls(t, PREFIX "result", t->i32);
}

static void use_stand_ins(LLVMModuleRef m)
{
	for (unsigned s = 0; s < VB_ARRAY_LEN(stand_ins); s++) {
		LLVMValueRef f = LLVMGetNamedFunction(m, stand_ins[s]);
		char name[64] = PREFIX "of_";
		if (!f || !LLVMIsDeclaration(f))
			continue;
		strncat(name, stand_ins[s], sizeof(name) - strlen(name) - 1);
		LLVMReplaceAllUsesWith(f, LLVMAddFunction(m, name, LLVMGlobalGetValueType(f)));
	}
}

static int trace_module(struct ir *ir, struct vb_error *err)
{
	LLVMModuleRef m = ir->module;
	struct tracer t = {.module = m, .context = ir->context, .layout = ir->layout};
	size_t count = 0;
	const char *module_name = chaff_module_name(m);
	t.at = LLVMCreateBuilderInContext(t.context);
	t.i32 = LLVMInt32TypeInContext(t.context);
	t.i64 = LLVMInt64TypeInContext(t.context);
	t.ptr = LLVMPointerTypeInContext(t.context, 0);
	t.none = LLVMConstNull(t.i32);
	for (LLVMValueRef f = LLVMGetFirstFunction(m); f; f = LLVMGetNextFunction(f))
		count++;
	LLVMValueRef *functions = malloc((count + 1) * sizeof(*functions));
	if (!functions)
		return vb_error_set(err, -ENOMEM, "no memory left");
	count = 0;
	for (LLVMValueRef f = LLVMGetFirstFunction(m); f; f = LLVMGetNextFunction(f)) {
		if (chaff_may_change(f))
			functions[count++] = f;
	}
	declare(&t);
	int r = 0;
	for (size_t f = 0; f < count && r == 0; f++)
		r = trace_function(&t, functions[f], module_name);
	if (r == 0)
		use_stand_ins(m); /* last: shapes are hashed with the names as they are */
	free(functions);
	LLVMDisposeBuilder(t.at);
	return r < 0 ? vb_error_set(err, r, "no memory left") : 0;
}

static bool wanted(const struct variant_options *options)
{
	return options->chaff_trace;
}

const struct ir_pass ir_chaff_trace_pass = {"chaff-trace", wanted, trace_module};
