/* A processor whose registers hold formulas (z3 bit vectors): as much of x86-64 as the code of bugs uses. What an instruction outside
 * of that does to registers and flags is taken as arbitrary; what it does to memory is asked of the caller, always. */
#ifndef VARIANT_CHAFF_MACHINE_H
#define VARIANT_CHAFF_MACHINE_H

#include <z3.h>

#include "variant/chaff/code.h"

struct vb_error;

enum machine_flag { FLAG_ZERO, FLAG_SIGN, FLAG_CARRY, FLAG_OVERFLOW, FLAGS };

struct machine_state {
	uint64_t pc;
	Z3_ast registers[CODE_REGISTERS];
	Z3_ast flags[FLAGS]; /* Booleans; NULL: arbitrary */
	Z3_ast assumed;      /* what brought us here */
	void *more;          /* the caller's: copied with the state */
};

/* What the caller says to an access. */
enum machine_answer {
	MACHINE_GO_ON,
	MACHINE_FAULTS, /* it can only fault: the path ends here */
	MACHINE_REFUSED /* the reason is set */
};

struct machine {
	Z3_context z3;
	Z3_solver solver;
	unsigned fresh; /* names given */
	const struct code *code;
	/* Of `bytes` bytes at address; *value: what a load gives if not arbitrary, what a store stores. */
	enum machine_answer (*access)(struct machine *m, struct machine_state *s, const struct instruction *i, Z3_ast address,
		unsigned bytes, bool write, Z3_ast *value);
	enum machine_answer (*call)(struct machine *m, struct machine_state *s, const struct instruction *i, Z3_ast target);
	void *user;
	struct vb_error *why;
};

Z3_ast machine_number(struct machine *m, uint64_t n, unsigned bits);
Z3_ast machine_fresh(struct machine *m, unsigned bits);
/* Can the condition hold, too? Unknown counts as yes. */
bool machine_may(struct machine *m, const struct machine_state *s, Z3_ast condition);
/* Must it, whatever the inputs are? */
bool machine_must(struct machine *m, const struct machine_state *s, Z3_ast condition);
/* Registers that a function may change, and the flags, become arbitrary. */
void machine_forget_call(struct machine *m, struct machine_state *s);
/* Executes the instruction at s->pc. A conditional jump leaves the other way in *other and sets *ret_forked, if it is possible. */
enum machine_answer machine_step(struct machine *m, struct machine_state *s, struct machine_state *other, bool *ret_forked);

#endif
