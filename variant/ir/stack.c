/* Owns nothing yet. */
#include "variant/ir/ir.h"

#include "variant/options.h"

static bool wanted(const struct variant_options *options)
{
	return variant_wants(options, VARIANT_STACK);
}

static int run(struct ir *ir, struct vb_error *err)
{
	return 0;
}

const struct ir_pass ir_stack_pass = {.name = "stack", .wanted = wanted, .run = run};
