/* Chaff: bugs that cannot be exploited, to waste an attacker's time (Hu, Hu, Dolan-Gavitt, "Chaff Bugs", 2018; data found as in LAVA,
 * Dolan-Gavitt et al., 2016). Two passes over a module as the compiler front end left it, each alone and before any other:
 * --chaff-trace adds byte-level taint tracking, --chaff-plan injects the bugs that `vauban chaff plan` chose. Both name a
 * place by module, function, a hash of the function's shape and the number of a load in it, so they must see the same bitcode.
 * After injection nothing may optimise the module again, and each object is proved (variant/chaff/prove.h). */
#ifndef VARIANT_IR_CHAFF_H
#define VARIANT_IR_CHAFF_H

#include <stdbool.h>
#include <stdint.h>

#include <llvm-c/Core.h>
#include <llvm-c/Target.h>

/* A place: a load of one to eight bytes that is neither volatile nor atomic, in the default address space. */
bool chaff_is_place(LLVMValueRef instruction, LLVMTargetDataRef layout);
/* The source file without its folder. Valid as long as the module. */
const char *chaff_module_name(LLVMModuleRef module);
/* FNV-1a of the function's operations and of the names it calls. */
uint64_t chaff_hash(LLVMValueRef function);
/* ir_may_change(), and its body is what it seems. */
bool chaff_may_change(LLVMValueRef function);

#endif
