/* The IR stage: what must be done before the compiler chooses frames and registers. A list of passes over one module, each a
 * choice of the options; they see optimised IR and nothing optimises it afterwards (the driver runs clang with
 * -Xclang -disable-llvm-passes). LLVM-C only. */
#ifndef VARIANT_IR_H
#define VARIANT_IR_H

#include <llvm-c/Target.h>
#include <llvm-c/Types.h>
#include <stdbool.h>

struct variant_options;
struct vb_error;

struct ir {
	LLVMContextRef context;
	LLVMModuleRef module;
	LLVMTargetDataRef layout; /* the module's */
	const struct variant_options *options;
};

struct ir_pass {
	const char *name;
	bool (*wanted)(const struct variant_options *options);
	/* 0, or -errno with why. The module is verified after each pass. */
	int (*run)(struct ir *ir, struct vb_error *err);
};

/* In main.c's table, in the order in which they run. */
extern const struct ir_pass ir_chaff_trace_pass; /* chaff_trace.c */
extern const struct ir_pass ir_chaff_pass;       /* chaff_inject.c */
extern const struct ir_pass ir_parameters_pass;  /* parameters.c */
extern const struct ir_pass ir_stack_pass;       /* stack.c */

/* The function has a body that ends up in this object, and its author didn't opt out. */
bool ir_may_change(LLVMValueRef function);

#endif
