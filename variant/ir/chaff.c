/* Owns how places in a module are named. */
#include "variant/ir/chaff.h"

#include <string.h>

#include "base/types.h"
#include "variant/ir/ir.h"

bool chaff_is_place(LLVMValueRef i, LLVMTargetDataRef layout)
{
	if (LLVMGetInstructionOpcode(i) != LLVMLoad || LLVMGetVolatile(i) || LLVMGetOrdering(i) != LLVMAtomicOrderingNotAtomic)
		return false;
	if (LLVMGetPointerAddressSpace(LLVMTypeOf(LLVMGetOperand(i, 0))))
		return false;
	LLVMTypeKind kind = LLVMGetTypeKind(LLVMTypeOf(i));
	if (kind != LLVMIntegerTypeKind && kind != LLVMPointerTypeKind && kind != LLVMFloatTypeKind && kind != LLVMDoubleTypeKind)
		return false;
	return LLVMABISizeOfType(layout, LLVMTypeOf(i)) <= 8;
}

const char *chaff_module_name(LLVMModuleRef m)
{
	size_t length;
	const char *name = LLVMGetSourceFileName(m, &length), *slash = strrchr(name, '/');
	return slash ? slash + 1 : name;
}

static uint64_t fnv(uint64_t hash, const void *data, size_t bytes)
{
	for (const uint8_t *at = data; bytes--; at++)
		hash = (hash ^ *at) * 0x100000001b3;
	return hash;
}

uint64_t chaff_hash(LLVMValueRef f)
{
	uint64_t hash = 0xcbf29ce484222325;
	for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(f); b; b = LLVMGetNextBasicBlock(b)) {
		for (LLVMValueRef i = LLVMGetFirstInstruction(b); i; i = LLVMGetNextInstruction(i)) {
			unsigned word[3] = {LLVMGetInstructionOpcode(i), (unsigned)LLVMGetNumOperands(i), LLVMGetTypeKind(LLVMTypeOf(i))};
			hash = fnv(hash, word, sizeof(word));
			LLVMValueRef callee = word[0] == LLVMCall ? LLVMGetCalledValue(i) : NULL;
			if (callee && LLVMIsAFunction(callee)) {
				size_t length;
				const char *name = LLVMGetValueName2(callee, &length);
				hash = fnv(hash, name, length);
			}
		}
	}
	return hash;
}

bool chaff_may_change(LLVMValueRef f)
{
	static const char *const never[] = {"naked", "presplitcoroutine"};
	for (unsigned n = 0; n < VB_ARRAY_LEN(never); n++) {
		unsigned kind = LLVMGetEnumAttributeKindForName(never[n], strlen(never[n]));
		if (LLVMGetEnumAttributeAtIndex(f, LLVMAttributeFunctionIndex, kind))
			return false;
	}
	return ir_may_change(f);
}
