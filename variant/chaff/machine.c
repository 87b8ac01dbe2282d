/* Owns the meaning of instructions. */
#include "variant/chaff/machine.h"

#include <stdio.h>
#include <string.h>

#include "host/error.h"

Z3_ast machine_number(struct machine *m, uint64_t n, unsigned bits)
{
	return Z3_mk_unsigned_int64(m->z3, n, Z3_mk_bv_sort(m->z3, bits));
}

Z3_ast machine_fresh(struct machine *m, unsigned bits)
{
	return Z3_mk_const(m->z3, Z3_mk_int_symbol(m->z3, (int)m->fresh++), Z3_mk_bv_sort(m->z3, bits));
}

static Z3_lbool check(struct machine *m, const struct machine_state *s, Z3_ast condition)
{
	Z3_solver_push(m->z3, m->solver);
	Z3_solver_assert(m->z3, m->solver, s->assumed);
	Z3_solver_assert(m->z3, m->solver, condition);
	Z3_lbool r = Z3_solver_check(m->z3, m->solver);
	Z3_solver_pop(m->z3, m->solver, 1);
	return r;
}

bool machine_may(struct machine *m, const struct machine_state *s, Z3_ast condition)
{
	return check(m, s, condition) != Z3_L_FALSE;
}

bool machine_must(struct machine *m, const struct machine_state *s, Z3_ast condition)
{
	return check(m, s, Z3_mk_not(m->z3, condition)) == Z3_L_FALSE;
}

static void forget_flags(struct machine_state *s)
{
	memset(s->flags, 0, sizeof(s->flags));
}

void machine_forget_call(struct machine *m, struct machine_state *s)
{
	static const unsigned lost[] = {0, 1, 2, 6, 7, 8, 9, 10, 11}; /* by the calling convention */
	for (unsigned r = 0; r < sizeof(lost) / sizeof(lost[0]); r++)
		s->registers[lost[r]] = machine_fresh(m, 64);
	forget_flags(s);
}

/* --- operands --- */

static unsigned width(Z3_context z3, Z3_ast a)
{
	return Z3_get_bv_sort_size(z3, Z3_get_sort(z3, a));
}

static bool is_high_byte(ZydisRegister r)
{
	return r >= ZYDIS_REGISTER_AH && r <= ZYDIS_REGISTER_BH;
}

static Z3_ast read_register(struct machine *m, const struct machine_state *s, ZydisRegister r)
{
	int n = code_register(r);
	unsigned bits = ZydisRegisterGetWidth(ZYDIS_MACHINE_MODE_LONG_64, r), low = is_high_byte(r) ? 8 : 0;
	if (n < 0)
		return NULL;
	return bits == 64 ? s->registers[n] : Z3_mk_extract(m->z3, low + bits - 1, low, s->registers[n]);
}

static void write_register(struct machine *m, struct machine_state *s, ZydisRegister r, Z3_ast value)
{
	int n = code_register(r);
	unsigned bits = ZydisRegisterGetWidth(ZYDIS_MACHINE_MODE_LONG_64, r);
	if (n < 0)
		return;
	Z3_ast old = s->registers[n];
	if (bits == 64)
		s->registers[n] = value;
	else if (bits == 32)
		s->registers[n] = Z3_mk_zero_ext(m->z3, 32, value);
	else if (is_high_byte(r))
		s->registers[n] =
			Z3_mk_concat(m->z3, Z3_mk_extract(m->z3, 63, 16, old), Z3_mk_concat(m->z3, value, Z3_mk_extract(m->z3, 7, 0, old)));
	else
		s->registers[n] = Z3_mk_concat(m->z3, Z3_mk_extract(m->z3, 63, bits, old), value);
}

/* NULL: a segment with a base of its own. */
static Z3_ast address_of(struct machine *m, const struct machine_state *s, const struct instruction *i, const ZydisDecodedOperand *o)
{
	Z3_ast sum = machine_number(m, o->mem.disp.has_displacement ? (uint64_t)o->mem.disp.value : 0, 64);
	if (o->mem.segment == ZYDIS_REGISTER_FS || o->mem.segment == ZYDIS_REGISTER_GS || i->is.address_width != 64)
		return NULL;
	if (o->mem.base == ZYDIS_REGISTER_RIP)
		sum = machine_number(m, i->address + i->is.length + (uint64_t)o->mem.disp.value, 64);
	else if (o->mem.base != ZYDIS_REGISTER_NONE)
		sum = Z3_mk_bvadd(m->z3, read_register(m, s, o->mem.base), sum);
	if (o->mem.index != ZYDIS_REGISTER_NONE) {
		if (code_register(o->mem.index) < 0)
			return NULL; /* a vector */
		sum = Z3_mk_bvadd(m->z3, sum, Z3_mk_bvmul(m->z3, read_register(m, s, o->mem.index), machine_number(m, o->mem.scale, 64)));
	}
	return sum;
}

static enum machine_answer read_operand(
	struct machine *m, struct machine_state *s, const struct instruction *i, const ZydisDecodedOperand *o, Z3_ast *ret)
{
	*ret = NULL;
	if (o->type == ZYDIS_OPERAND_TYPE_REGISTER) {
		*ret = read_register(m, s, o->reg.value);
	} else if (o->type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
		*ret = machine_number(m, o->size < 64 ? o->imm.value.u & ((1ull << o->size) - 1) : o->imm.value.u, o->size);
	} else if (o->type == ZYDIS_OPERAND_TYPE_MEMORY && o->size && o->size <= 64) {
		Z3_ast address = address_of(m, s, i, o);
		if (address) {
			enum machine_answer a = m->access(m, s, i, address, o->size / 8, false, ret);
			if (!*ret)
				*ret = machine_fresh(m, o->size);
			return a;
		}
	}
	return *ret ? MACHINE_GO_ON : (vb_error_set(m->why, 0, "an operand at 0x%lx isn't understood", i->address), MACHINE_REFUSED);
}

static enum machine_answer write_operand(
	struct machine *m, struct machine_state *s, const struct instruction *i, const ZydisDecodedOperand *o, Z3_ast value)
{
	if (o->type == ZYDIS_OPERAND_TYPE_REGISTER) {
		write_register(m, s, o->reg.value, value);
		return MACHINE_GO_ON;
	}
	Z3_ast address = o->type == ZYDIS_OPERAND_TYPE_MEMORY ? address_of(m, s, i, o) : NULL;
	if (address)
		return m->access(m, s, i, address, o->size / 8, true, &value);
	vb_error_set(m->why, 0, "a store at 0x%lx isn't understood", i->address);
	return MACHINE_REFUSED;
}

/* To the width of another operand: immediates are written short. */
static Z3_ast fit(struct machine *m, Z3_ast a, unsigned bits, bool is_signed)
{
	unsigned has = width(m->z3, a);
	if (has == bits)
		return a;
	if (has > bits)
		return Z3_mk_extract(m->z3, bits - 1, 0, a);
	return is_signed ? Z3_mk_sign_ext(m->z3, bits - has, a) : Z3_mk_zero_ext(m->z3, bits - has, a);
}

/* --- flags --- */

static Z3_ast top_bit(struct machine *m, Z3_ast a)
{
	unsigned bits = width(m->z3, a);
	return Z3_mk_eq(m->z3, Z3_mk_extract(m->z3, bits - 1, bits - 1, a), machine_number(m, 1, 1));
}

static void flags_of(struct machine *m, struct machine_state *s, Z3_ast result, Z3_ast carry, Z3_ast overflow)
{
	s->flags[FLAG_ZERO] = Z3_mk_eq(m->z3, result, machine_number(m, 0, width(m->z3, result)));
	s->flags[FLAG_SIGN] = top_bit(m, result);
	s->flags[FLAG_CARRY] = carry;
	s->flags[FLAG_OVERFLOW] = overflow;
}

static void flags_of_sub(struct machine *m, struct machine_state *s, Z3_ast a, Z3_ast b, Z3_ast result)
{
	Z3_ast overflow = top_bit(m, Z3_mk_bvand(m->z3, Z3_mk_bvxor(m->z3, a, b), Z3_mk_bvxor(m->z3, a, result)));
	flags_of(m, s, result, Z3_mk_bvult(m->z3, a, b), overflow);
}

static Z3_ast flag(struct machine *m, struct machine_state *s, enum machine_flag f)
{
	if (!s->flags[f])
		s->flags[f] = Z3_mk_eq(m->z3, machine_fresh(m, 1), machine_number(m, 1, 1));
	return s->flags[f];
}

static Z3_ast either(struct machine *m, Z3_ast a, Z3_ast b)
{
	Z3_ast both[2] = {a, b};
	return Z3_mk_or(m->z3, 2, both);
}

/* The condition that the low four bits of a conditional instruction's opcode name. */
static Z3_ast condition(struct machine *m, struct machine_state *s, unsigned code)
{
	Z3_ast c;
	switch (code >> 1) {
	case 0:
		c = flag(m, s, FLAG_OVERFLOW);
		break;
	case 1:
		c = flag(m, s, FLAG_CARRY);
		break;
	case 2:
		c = flag(m, s, FLAG_ZERO);
		break;
	case 3:
		c = either(m, flag(m, s, FLAG_CARRY), flag(m, s, FLAG_ZERO));
		break;
	case 4:
		c = flag(m, s, FLAG_SIGN);
		break;
	case 5:
		c = Z3_mk_eq(m->z3, machine_fresh(m, 1), machine_number(m, 1, 1)); /* parity isn't kept */
		return c;
	case 6:
		c = Z3_mk_xor(m->z3, flag(m, s, FLAG_SIGN), flag(m, s, FLAG_OVERFLOW));
		break;
	default:
		c = either(m, flag(m, s, FLAG_ZERO), Z3_mk_xor(m->z3, flag(m, s, FLAG_SIGN), flag(m, s, FLAG_OVERFLOW)));
		break;
	}
	return code & 1 ? Z3_mk_not(m->z3, c) : c;
}

/* --- instructions --- */

#define TRY(expression)                                                                                                                    \
	do {                                                                                                                               \
		enum machine_answer try_ = expression;                                                                                     \
		if (try_ != MACHINE_GO_ON)                                                                                                 \
			return try_;                                                                                                       \
	} while (0)

static enum machine_answer arithmetic(struct machine *m, struct machine_state *s, const struct instruction *i)
{
	const ZydisDecodedOperand *to = &i->operands[0], *from = &i->operands[1];
	Z3_ast a, b, r;
	TRY(read_operand(m, s, i, to, &a));
	TRY(read_operand(m, s, i, from, &b));
	b = fit(m, b, to->size, true);
	Z3_ast no = Z3_mk_false(m->z3);
	switch (i->is.mnemonic) {
	case ZYDIS_MNEMONIC_ADD:
		r = Z3_mk_bvadd(m->z3, a, b);
		flags_of(m, s, r, Z3_mk_bvult(m->z3, r, a),
			top_bit(m, Z3_mk_bvand(m->z3, Z3_mk_bvxor(m->z3, a, r), Z3_mk_bvxor(m->z3, b, r))));
		break;
	case ZYDIS_MNEMONIC_SUB:
	case ZYDIS_MNEMONIC_CMP:
		r = Z3_mk_bvsub(m->z3, a, b);
		flags_of_sub(m, s, a, b, r);
		break;
	case ZYDIS_MNEMONIC_AND:
	case ZYDIS_MNEMONIC_TEST:
		r = Z3_mk_bvand(m->z3, a, b);
		flags_of(m, s, r, no, no);
		break;
	case ZYDIS_MNEMONIC_OR:
		r = Z3_mk_bvor(m->z3, a, b);
		flags_of(m, s, r, no, no);
		break;
	default: /* xor */
		r = to->type == ZYDIS_OPERAND_TYPE_REGISTER && from->type == to->type && to->reg.value == from->reg.value
			    ? machine_number(m, 0, to->size)
			    : Z3_mk_bvxor(m->z3, a, b);
		flags_of(m, s, r, no, no);
	}
	if (i->is.mnemonic == ZYDIS_MNEMONIC_CMP || i->is.mnemonic == ZYDIS_MNEMONIC_TEST)
		return MACHINE_GO_ON;
	return write_operand(m, s, i, to, r);
}

/* Rotates and shifts; their flags depend on whether the count is 0 and are taken as arbitrary. */
static enum machine_answer shift(struct machine *m, struct machine_state *s, const struct instruction *i)
{
	const ZydisDecodedOperand *to = &i->operands[0];
	bool three = i->is.mnemonic == ZYDIS_MNEMONIC_SHLX || i->is.mnemonic == ZYDIS_MNEMONIC_SHRX ||
		     i->is.mnemonic == ZYDIS_MNEMONIC_SARX || i->is.mnemonic == ZYDIS_MNEMONIC_RORX;
	Z3_ast a, n, r;
	TRY(read_operand(m, s, i, &i->operands[three], &a));
	TRY(read_operand(m, s, i, &i->operands[1 + three], &n));
	n = Z3_mk_bvand(m->z3, fit(m, n, to->size, false), machine_number(m, to->size == 64 ? 63 : 31, to->size));
	switch (i->is.mnemonic) {
	case ZYDIS_MNEMONIC_SHL:
	case ZYDIS_MNEMONIC_SHLX:
		r = Z3_mk_bvshl(m->z3, a, n);
		break;
	case ZYDIS_MNEMONIC_SHR:
	case ZYDIS_MNEMONIC_SHRX:
		r = Z3_mk_bvlshr(m->z3, a, n);
		break;
	case ZYDIS_MNEMONIC_SAR:
	case ZYDIS_MNEMONIC_SARX:
		r = Z3_mk_bvashr(m->z3, a, n);
		break;
	case ZYDIS_MNEMONIC_ROL:
		r = Z3_mk_ext_rotate_left(m->z3, a, n);
		break;
	default:
		r = Z3_mk_ext_rotate_right(m->z3, a, n);
	}
	if (!three)
		forget_flags(s);
	return write_operand(m, s, i, to, r);
}

static bool is_numeral(struct machine *m, Z3_ast a, uint64_t *ret)
{
	a = Z3_simplify(m->z3, a);
	return Z3_is_numeral_ast(m->z3, a) && Z3_get_numeral_uint64(m->z3, a, ret);
}

static Z3_ast both(struct machine *m, Z3_ast a, Z3_ast b)
{
	Z3_ast list[2] = {a, b};
	return Z3_mk_and(m->z3, 2, list);
}

/* Formulas with products are slow to solve. An arbitrary number takes the product's place: within bounds if it is a constant times what
 * was extended from 32 bits or fewer. */
static Z3_ast product(struct machine *m, struct machine_state *s, Z3_ast a, Z3_ast b, unsigned bits)
{
	uint64_t x, y;
	bool a_known = is_numeral(m, a, &x), b_known = is_numeral(m, b, &y);
	if (a_known && b_known)
		return machine_number(m, bits < 64 ? x * y & ((1ull << bits) - 1) : x * y, bits);
	Z3_ast r = machine_fresh(m, bits), wide = a_known ? b : a;
	uint64_t factor = a_known ? x : y;
	Z3_app app = Z3_to_app(m->z3, wide);
	if ((a_known || b_known) && bits == 64 && factor >> 31 == 0 &&
		Z3_get_decl_kind(m->z3, Z3_get_app_decl(m->z3, app)) == Z3_OP_ZERO_EXT) {
		unsigned used = width(m->z3, Z3_get_app_arg(m->z3, app, 0));
		if (used <= 32)
			s->assumed = both(m, s->assumed, Z3_mk_bvule(m->z3, r, machine_number(m, ((1ull << used) - 1) * factor, 64)));
	}
	return r;
}

static enum machine_answer multiply(struct machine *m, struct machine_state *s, const struct instruction *i)
{
	const ZydisDecodedOperand *to = &i->operands[0];
	bool three = i->is.operand_count_visible == 3;
	Z3_ast a, b;
	TRY(read_operand(m, s, i, &i->operands[three], &a));
	TRY(read_operand(m, s, i, &i->operands[1 + three], &b));
	forget_flags(s);
	return write_operand(m, s, i, to, product(m, s, a, fit(m, b, to->size, true), to->size));
}

static enum machine_answer unary(struct machine *m, struct machine_state *s, const struct instruction *i)
{
	const ZydisDecodedOperand *to = &i->operands[0];
	Z3_ast a, r, one = machine_number(m, 1, to->size), carry = s->flags[FLAG_CARRY];
	TRY(read_operand(m, s, i, to, &a));
	switch (i->is.mnemonic) {
	case ZYDIS_MNEMONIC_INC:
		r = Z3_mk_bvadd(m->z3, a, one);
		flags_of(m, s, r, carry, NULL);
		break;
	case ZYDIS_MNEMONIC_DEC:
		r = Z3_mk_bvsub(m->z3, a, one);
		flags_of(m, s, r, carry, NULL);
		break;
	case ZYDIS_MNEMONIC_NEG:
		r = Z3_mk_bvneg(m->z3, a);
		flags_of(m, s, r, NULL, NULL);
		break;
	default:
		r = Z3_mk_bvnot(m->z3, a);
	}
	return write_operand(m, s, i, to, r);
}

/* bts, btr, btc of a bit with a constant number */
static enum machine_answer set_bit(struct machine *m, struct machine_state *s, const struct instruction *i)
{
	const ZydisDecodedOperand *to = &i->operands[0];
	Z3_ast a, r;
	TRY(read_operand(m, s, i, to, &a));
	uint64_t bit = 1ull << (i->operands[1].imm.value.u & (to->size - 1u)), all = to->size == 64 ? UINT64_MAX : (1ull << to->size) - 1;
	if (i->is.mnemonic == ZYDIS_MNEMONIC_BTS)
		r = Z3_mk_bvor(m->z3, a, machine_number(m, bit, to->size));
	else if (i->is.mnemonic == ZYDIS_MNEMONIC_BTR)
		r = Z3_mk_bvand(m->z3, a, machine_number(m, ~bit & all, to->size));
	else
		r = Z3_mk_bvxor(m->z3, a, machine_number(m, bit, to->size));
	forget_flags(s);
	return write_operand(m, s, i, to, r);
}

static enum machine_answer push_pop(struct machine *m, struct machine_state *s, const struct instruction *i)
{
	Z3_ast eight = machine_number(m, 8, 64), value;
	if (i->operands[0].size != 64) {
		vb_error_set(m->why, 0, "a push or pop at 0x%lx isn't understood", i->address);
		return MACHINE_REFUSED;
	}
	if (i->is.mnemonic == ZYDIS_MNEMONIC_PUSH) {
		TRY(read_operand(m, s, i, &i->operands[0], &value));
		s->registers[CODE_RSP] = Z3_mk_bvsub(m->z3, s->registers[CODE_RSP], eight);
		return m->access(m, s, i, s->registers[CODE_RSP], 8, true, &value);
	}
	value = NULL;
	TRY(m->access(m, s, i, s->registers[CODE_RSP], 8, false, &value));
	s->registers[CODE_RSP] = Z3_mk_bvadd(m->z3, s->registers[CODE_RSP], eight);
	return write_operand(m, s, i, &i->operands[0], value ? value : machine_fresh(m, 64));
}

/* Not known: it may do anything to the registers and flags that it names, and touch the memory that it names. */
static enum machine_answer unknown(struct machine *m, struct machine_state *s, const struct instruction *i)
{
	ZydisInstructionCategory kind = i->is.meta.category;
	if (i->is.attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE) || code_ends(i) ||
		kind == ZYDIS_CATEGORY_SYSCALL || kind == ZYDIS_CATEGORY_SYSTEM || kind == ZYDIS_CATEGORY_INTERRUPT ||
		kind == ZYDIS_CATEGORY_IO) {
		vb_error_set(m->why, 0, "the instruction at 0x%lx isn't understood", i->address);
		return MACHINE_REFUSED;
	}
	for (unsigned n = 0; n < i->is.operand_count; n++) {
		const ZydisDecodedOperand *o = &i->operands[n];
		if (o->type != ZYDIS_OPERAND_TYPE_MEMORY ||
			!(o->actions & (ZYDIS_OPERAND_ACTION_MASK_READ | ZYDIS_OPERAND_ACTION_MASK_WRITE)))
			continue;
		Z3_ast address = address_of(m, s, i, o), value = NULL;
		if (!address || !o->size) {
			vb_error_set(m->why, 0, "the instruction at 0x%lx isn't understood", i->address);
			return MACHINE_REFUSED;
		}
		TRY(m->access(m, s, i, address, o->size / 8, o->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE, &value));
	}
	for (unsigned n = 0; n < i->is.operand_count; n++) {
		const ZydisDecodedOperand *o = &i->operands[n];
		int r = o->type == ZYDIS_OPERAND_TYPE_REGISTER ? code_register(o->reg.value) : -1;
		if (r >= 0 && o->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE)
			s->registers[r] = machine_fresh(m, 64);
	}
	forget_flags(s);
	return MACHINE_GO_ON;
}

static enum machine_answer move(struct machine *m, struct machine_state *s, const struct instruction *i)
{
	const ZydisDecodedOperand *to = &i->operands[0];
	Z3_ast value;
	if ((to->type == ZYDIS_OPERAND_TYPE_REGISTER && code_register(to->reg.value) < 0) ||
		(i->operands[1].type == ZYDIS_OPERAND_TYPE_REGISTER && code_register(i->operands[1].reg.value) < 0))
		return unknown(m, s, i);
	TRY(read_operand(m, s, i, &i->operands[1], &value));
	return write_operand(m, s, i, to, fit(m, value, to->size, i->is.mnemonic != ZYDIS_MNEMONIC_MOVZX));
}

static enum machine_answer conditional(struct machine *m, struct machine_state *s, const struct instruction *i)
{
	const ZydisDecodedOperand *to = &i->operands[0];
	Z3_ast c = condition(m, s, i->is.opcode & 15), yes, no;
	if (i->is.meta.category == ZYDIS_CATEGORY_SETCC)
		return write_operand(m, s, i, to, Z3_mk_ite(m->z3, c, machine_number(m, 1, 8), machine_number(m, 0, 8)));
	TRY(read_operand(m, s, i, &i->operands[1], &yes));
	TRY(read_operand(m, s, i, to, &no));
	return write_operand(m, s, i, to, Z3_mk_ite(m->z3, c, yes, no));
}

static enum machine_answer execute(struct machine *m, struct machine_state *s, const struct instruction *i)
{
	Z3_ast value;
	switch (i->is.mnemonic) {
	case ZYDIS_MNEMONIC_NOP:
	case ZYDIS_MNEMONIC_ENDBR64:
		return MACHINE_GO_ON;
	case ZYDIS_MNEMONIC_MOV:
	case ZYDIS_MNEMONIC_MOVZX:
	case ZYDIS_MNEMONIC_MOVSX:
	case ZYDIS_MNEMONIC_MOVSXD:
		return move(m, s, i);
	case ZYDIS_MNEMONIC_LEA:
		value = address_of(m, s, i, &i->operands[1]);
		return value ? write_operand(m, s, i, &i->operands[0], fit(m, value, i->operands[0].size, false)) : unknown(m, s, i);
	case ZYDIS_MNEMONIC_ADD:
	case ZYDIS_MNEMONIC_SUB:
	case ZYDIS_MNEMONIC_CMP:
	case ZYDIS_MNEMONIC_AND:
	case ZYDIS_MNEMONIC_TEST:
	case ZYDIS_MNEMONIC_OR:
	case ZYDIS_MNEMONIC_XOR:
		return arithmetic(m, s, i);
	case ZYDIS_MNEMONIC_SHL:
	case ZYDIS_MNEMONIC_SHR:
	case ZYDIS_MNEMONIC_SAR:
	case ZYDIS_MNEMONIC_ROL:
	case ZYDIS_MNEMONIC_ROR:
	case ZYDIS_MNEMONIC_SHLX:
	case ZYDIS_MNEMONIC_SHRX:
	case ZYDIS_MNEMONIC_SARX:
	case ZYDIS_MNEMONIC_RORX:
		return i->is.operand_count_visible >= 2 ? shift(m, s, i) : unknown(m, s, i);
	case ZYDIS_MNEMONIC_IMUL:
		return i->is.operand_count_visible >= 2 ? multiply(m, s, i) : unknown(m, s, i);
	case ZYDIS_MNEMONIC_INC:
	case ZYDIS_MNEMONIC_DEC:
	case ZYDIS_MNEMONIC_NEG:
	case ZYDIS_MNEMONIC_NOT:
		return unary(m, s, i);
	case ZYDIS_MNEMONIC_BTS:
	case ZYDIS_MNEMONIC_BTR:
	case ZYDIS_MNEMONIC_BTC:
		return i->operands[0].type == ZYDIS_OPERAND_TYPE_REGISTER && i->operands[1].type == ZYDIS_OPERAND_TYPE_IMMEDIATE
			       ? set_bit(m, s, i)
			       : unknown(m, s, i);
	case ZYDIS_MNEMONIC_PUSH:
	case ZYDIS_MNEMONIC_POP:
		return push_pop(m, s, i);
	default:
		if (i->is.meta.category == ZYDIS_CATEGORY_SETCC || i->is.meta.category == ZYDIS_CATEGORY_CMOV)
			return conditional(m, s, i);
		return unknown(m, s, i);
	}
}

enum machine_answer machine_step(struct machine *m, struct machine_state *s, struct machine_state *other, bool *ret_forked)
{
	const struct instruction *i = code_at(m->code, s->pc);
	*ret_forked = false;
	if (!i) {
		vb_error_set(m->why, 0, "it leads out of its function, to 0x%lx", s->pc);
		return MACHINE_REFUSED;
	}
	uint64_t next = i->address + i->is.length, to = code_target(i);
	if (i->is.meta.category == ZYDIS_CATEGORY_CALL) {
		Z3_ast target = to ? machine_number(m, to, 64) : NULL;
		if (!to && i->operands[0].type == ZYDIS_OPERAND_TYPE_REGISTER)
			target = read_register(m, s, i->operands[0].reg.value);
		s->pc = next;
		return m->call(m, s, i, target);
	}
	if (i->is.meta.category == ZYDIS_CATEGORY_COND_BR) {
		if (!to || !((i->is.opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && i->is.opcode >> 4 == 7) ||
				   (i->is.opcode_map == ZYDIS_OPCODE_MAP_0F && i->is.opcode >> 4 == 8))) {
			vb_error_set(m->why, 0, "the jump at 0x%lx isn't understood", i->address);
			return MACHINE_REFUSED;
		}
		Z3_ast taken = condition(m, s, i->is.opcode & 15), not_taken = Z3_mk_not(m->z3, taken);
		bool may_take = machine_may(m, s, taken), may_pass = machine_may(m, s, not_taken);
		if (may_take && may_pass) {
			*other = *s;
			other->pc = to;
			other->assumed = both(m, s->assumed, taken);
			*ret_forked = true;
		}
		s->assumed = both(m, s->assumed, may_pass ? not_taken : taken);
		s->pc = may_pass ? next : to;
		return MACHINE_GO_ON;
	}
	if (i->is.mnemonic == ZYDIS_MNEMONIC_JMP && to) {
		s->pc = to;
		return MACHINE_GO_ON;
	}
	s->pc = next;
	return execute(m, s, i);
}
