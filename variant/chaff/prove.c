/* Owns what is to be proved of a bug. */
#include "variant/chaff/prove.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/types.h"
#include "host/error.h"
#include "variant/binary.h"
#include "variant/chaff/machine.h"

#define MAX_STEPS   20000
#define MAX_WAITING 512 /* ways not walked yet */
#define MAX_SPILLS  32
#define MAX_FAULTS  128
#define QUERY_MS    "5000"
#define RED_ZONE    128

/* What belongs to one way. */
struct path {
	Z3_ast window; /* address of the eight bytes; NULL: not there yet */
	Z3_ast memory; /* the bug's own; NULL: not there yet */
	bool freed;
	unsigned spills;
	struct {
		int64_t offset; /* from the stack pointer at the start */
		Z3_ast value;   /* 64 bits */
	} spilled[MAX_SPILLS];
};

struct proof {
	struct machine machine;
	const struct chaff_bug *bug;
	const struct chaff_site *site;
	const struct binary *binary;
	struct code code;
	Z3_ast rsp;                   /* at the start */
	struct place start;           /* the same in the frame */
	bool *own;                    /* by instruction: walked */
	struct place place;           /* of the bug's memory */
	uint64_t faulted[MAX_FAULTS]; /* what stands behind faults */
	unsigned fault_count;
	bool placed;
	struct chaff_proof *result;
};

static bool is_note(const struct chaff_site *s, enum chaff_note_kind kind, uint64_t address)
{
	for (unsigned n = 0; n < s->note_count[kind]; n++) {
		if (s->notes[kind][n] == address)
			return true;
	}
	return false;
}

/* Its distance from `from` if that is the same for all inputs. */
static bool is_constant_distance(struct machine *m, Z3_ast address, Z3_ast from, int64_t *ret)
{
	uint64_t n;
	Z3_ast distance = Z3_simplify(m->z3, Z3_mk_bvsub(m->z3, address, from));
	if (!Z3_is_numeral_ast(m->z3, distance) || !Z3_get_numeral_uint64(m->z3, distance, &n))
		return false;
	*ret = (int64_t)n;
	return true;
}

/* [address, address + bytes) within [base, base + size) */
static bool is_within(struct machine *m, const struct machine_state *s, Z3_ast address, unsigned bytes, Z3_ast base, unsigned size)
{
	Z3_ast distance = Z3_mk_bvsub(m->z3, address, base);
	return bytes <= size && machine_must(m, s, Z3_mk_bvule(m->z3, distance, machine_number(m, size - bytes, 64)));
}

/* The top eight bits neither all 0 nor all 1: canonical neither with 48 nor with 57 bits. */
static Z3_ast not_canonical(struct machine *m, Z3_ast address)
{
	Z3_ast top = Z3_mk_extract(m->z3, 63, 56, address);
	Z3_ast both[2] = {Z3_mk_not(m->z3, Z3_mk_eq(m->z3, top, machine_number(m, 0, 8))),
		Z3_mk_not(m->z3, Z3_mk_eq(m->z3, top, machine_number(m, 255, 8)))};
	return Z3_mk_and(m->z3, 2, both);
}

/* A place of the compiler's in the frame: it may be stored to, and gives back what was stored. */
static enum machine_answer spill(
	struct proof *p, struct path *path, const struct instruction *i, int64_t offset, unsigned bytes, bool write, Z3_ast *value)
{
	struct machine *m = &p->machine;
	struct place start = p->start;
	int64_t top = start.from == PLACE_ENTRY     ? -start.offset
		      : start.from == PLACE_ALIGNED ? -start.offset - p->code.aligned_from
						    : INT64_MIN;
	if (offset < -RED_ZONE - 64 || offset + bytes > top) {
		vb_error_set(m->why, 0, "the access at 0x%lx is outside of the frame", i->address);
		return MACHINE_REFUSED;
	}
	unsigned n = 0;
	while (n < path->spills && path->spilled[n].offset != offset)
		n++;
	if (!write) {
		if (n < path->spills && bytes == 8)
			*value = path->spilled[n].value;
		return MACHINE_GO_ON;
	}
	/* What it overlaps is forgotten. */
	unsigned kept = 0;
	for (unsigned k = 0; k < path->spills; k++) {
		if (path->spilled[k].offset >= offset + bytes || path->spilled[k].offset + 8 <= offset)
			path->spilled[kept++] = path->spilled[k];
	}
	path->spills = kept;
	if (*value && bytes == 8 && kept < MAX_SPILLS) {
		path->spilled[kept].offset = offset;
		path->spilled[kept].value = *value;
		path->spills++;
	}
	return MACHINE_GO_ON;
}

static bool is_constant_data(struct proof *p, Z3_ast address, unsigned bytes)
{
	int64_t at;
	if (!is_constant_distance(&p->machine, address, machine_number(&p->machine, 0, 64), &at))
		return false;
	return binary_at(p->binary, (uint64_t)at, bytes);
}

static enum machine_answer access_memory(
	struct machine *m, struct machine_state *s, const struct instruction *i, Z3_ast address, unsigned bytes, bool write, Z3_ast *value)
{
	struct proof *p = m->user;
	struct path *path = s->more;
	int64_t offset;
	p->result->accesses++;
	bool alive = path->memory && !path->freed;
	if (is_constant_distance(m, address, p->rsp, &offset)) {
		int64_t own;
		if (alive && p->bug->storage == CHAFF_STACK && is_constant_distance(m, address, path->memory, &own) &&
			own > -(int64_t)bytes && own < p->bug->size) {
			if (own >= 0 && own + bytes <= p->bug->size)
				return MACHINE_GO_ON;
			vb_error_set(m->why, 0, "the access at 0x%lx is beyond the bug's memory", i->address);
			return MACHINE_REFUSED;
		}
		return spill(p, path, i, offset, bytes, write, value);
	}
	if (alive && is_within(m, s, address, bytes, path->memory, p->bug->size) &&
		(p->bug->storage == CHAFF_STACK ||
			machine_must(m, s, Z3_mk_not(m->z3, Z3_mk_eq(m->z3, path->memory, machine_number(m, 0, 64))))))
		return MACHINE_GO_ON;
	if (!write && path->window && is_within(m, s, address, bytes, path->window, CHAFF_WINDOW_BYTES))
		return MACHINE_GO_ON;
	if (!write && is_constant_data(p, address, bytes))
		return MACHINE_GO_ON;
	if (write && p->bug->effect == CHAFF_WRITE && machine_must(m, s, not_canonical(m, address)) &&
		machine_must(m, s, not_canonical(m, Z3_mk_bvadd(m->z3, address, machine_number(m, bytes - 1, 64)))))
		return MACHINE_FAULTS;
	vb_error_set(m->why, 0, "the %s at 0x%lx may go anywhere", write ? "store" : "load", i->address);
	return MACHINE_REFUSED;
}

static enum machine_answer call_function(struct machine *m, struct machine_state *s, const struct instruction *i, Z3_ast target)
{
	struct proof *p = m->user;
	struct path *path = s->more;
	Z3_ast argument = s->registers[7]; /* rdi */
	if (p->bug->effect == CHAFF_CALL && target && machine_must(m, s, not_canonical(m, target)))
		return MACHINE_FAULTS;
	if (p->bug->storage == CHAFF_HEAP && !path->memory && code_calls(p->binary, i, "malloc")) {
		if (!machine_must(m, s, Z3_mk_eq(m->z3, argument, machine_number(m, p->bug->size, 64)))) {
			vb_error_set(m->why, 0, "the call at 0x%lx may allocate another size", i->address);
			return MACHINE_REFUSED;
		}
		machine_forget_call(m, s);
		path->memory = s->registers[0];
		return MACHINE_GO_ON;
	}
	if (p->bug->storage == CHAFF_HEAP && path->memory && !path->freed && code_calls(p->binary, i, "free")) {
		if (!machine_must(m, s, Z3_mk_eq(m->z3, argument, path->memory))) {
			vb_error_set(m->why, 0, "the call at 0x%lx may free something else", i->address);
			return MACHINE_REFUSED;
		}
		machine_forget_call(m, s);
		path->freed = true;
		return MACHINE_GO_ON;
	}
	vb_error_set(m->why, 0, "the call at 0x%lx may do anything", i->address);
	return MACHINE_REFUSED;
}

/* Notes say where something begins; what it is, the instruction there must show. */
static int look_at_note(struct proof *p, struct machine_state *s, const struct instruction *i, bool starts)
{
	struct machine *m = &p->machine;
	struct path *path = s->more;
	const ZydisDecodedOperand *to = &i->operands[0], *from = &i->operands[1];
	int r = i->is.operand_count_visible == 2 && to->type == ZYDIS_OPERAND_TYPE_REGISTER && to->size == 64 ? code_register(to->reg.value)
													      : -1;
	if (starts) {
		if (i->is.mnemonic != ZYDIS_MNEMONIC_AND || r < 0 || from->type != ZYDIS_OPERAND_TYPE_IMMEDIATE || from->imm.value.s != -8)
			return vb_error_set(m->why, -EINVAL, "no bug starts at 0x%lx", i->address);
		path->window = Z3_mk_bvand(m->z3, s->registers[r], machine_number(m, ~7ull, 64));
		return 0;
	}
	if (p->bug->storage == CHAFF_HEAP)
		return 0;
	int base = from->type == ZYDIS_OPERAND_TYPE_MEMORY ? code_register(from->mem.base) : -1;
	if (i->is.mnemonic != ZYDIS_MNEMONIC_LEA || r < 0 || base < 0 || from->mem.index != ZYDIS_REGISTER_NONE || path->memory)
		return vb_error_set(m->why, -EINVAL, "the bug at 0x%lx does not say where its memory is", i->address);
	path->memory = Z3_mk_bvadd(m->z3, s->registers[base], machine_number(m, (uint64_t)from->mem.disp.value, 64));
	struct place place = p->code.frames[i - p->code.instructions].registers[base];
	place.offset += from->mem.disp.value;
	if (p->placed && (place.from != p->place.from || place.offset != p->place.offset))
		return vb_error_set(m->why, -EINVAL, "the memory of the bug at 0x%lx is not always the same", i->address);
	p->place = place;
	p->placed = true;
	struct place rsp = p->code.frames[i - p->code.instructions].registers[CODE_RSP];
	if (place.from == PLACE_UNKNOWN || rsp.from != place.from)
		return vb_error_set(m->why, -EINVAL, "where the memory of the bug at 0x%lx lies in the frame can't be told", i->address);
	if (place.offset < rsp.offset - RED_ZONE)
		return vb_error_set(m->why, -EINVAL, "the memory of the bug at 0x%lx lies below the stack", i->address);
	return 0;
}

/* What stands behind an instruction that can only fault is never executed, but belongs to the bug, up to where it joins the rest. */
static void mark_dead(struct proof *p, uint64_t from)
{
	uint64_t list[64] = {from};
	for (unsigned count = 1; count;) {
		const struct instruction *i = code_at(&p->code, list[--count]);
		if (!i || p->own[i - p->code.instructions] || is_note(p->site, CHAFF_END, i->address))
			continue;
		p->own[i - p->code.instructions] = true;
		if (!code_ends(i) && count < VB_ARRAY_LEN(list))
			list[count++] = i->address + i->is.length;
		if (i->is.meta.category != ZYDIS_CATEGORY_CALL && code_target(i) && count < VB_ARRAY_LEN(list))
			list[count++] = code_target(i);
	}
}

/* From one start: all ways, depth first. */
static int walk(struct proof *p, uint64_t from)
{
	struct machine *m = &p->machine;
	struct waiting {
		struct machine_state state;
		struct path path;
	} *list = calloc(MAX_WAITING, sizeof(*list));
	unsigned count = 1, steps = 0;
	if (!list)
		return vb_error_set(m->why, -ENOMEM, "no memory left");
	list[0].state.pc = from;
	list[0].state.assumed = Z3_mk_true(m->z3);
	/* Anything is in the registers, but for those that hold places in the frame. */
	const struct instruction *first = code_at(&p->code, from);
	for (unsigned r = 0; first && r < CODE_REGISTERS; r++) {
		const struct place *places = p->code.frames[first - p->code.instructions].registers, rsp = places[CODE_RSP];
		bool known = (rsp.from == PLACE_ENTRY || rsp.from == PLACE_ALIGNED) && places[r].from == rsp.from;
		Z3_ast distance = machine_number(m, (uint64_t)(places[r].offset - rsp.offset), 64);
		list[0].state.registers[r] = known || r == CODE_RSP ? Z3_mk_bvadd(m->z3, p->rsp, distance) : machine_fresh(m, 64);
	}
	int result = 0;
	if (first)
		p->start = p->code.frames[first - p->code.instructions].registers[CODE_RSP];
	while (count && result == 0) {
		struct waiting at = list[--count];
		at.state.more = &at.path;
		for (;;) {
			const struct instruction *i = code_at(&p->code, at.state.pc);
			if (is_note(p->site, CHAFF_END, at.state.pc)) {
				p->result->paths++;
				break;
			}
			if (!i || ++steps > MAX_STEPS) {
				result = vb_error_set(m->why, -EINVAL, i ? "it takes too many steps" : "it leads out of its function");
				break;
			}
			p->own[i - p->code.instructions] = true;
			bool starts = at.state.pc == from && !at.path.window;
			if ((starts || is_note(p->site, CHAFF_HIT, at.state.pc)) && (result = look_at_note(p, &at.state, i, starts)) < 0)
				break;
			struct machine_state other;
			bool forked;
			enum machine_answer answer = machine_step(m, &at.state, &other, &forked);
			if (answer == MACHINE_FAULTS) {
				p->result->faults++;
				p->faulted[p->fault_count < MAX_FAULTS ? p->fault_count++ : 0] = i->address + i->is.length;
			}
			if (answer == MACHINE_REFUSED)
				result = -EINVAL;
			if (answer != MACHINE_GO_ON)
				break;
			if (forked && count == MAX_WAITING) {
				result = vb_error_set(m->why, -EINVAL, "it has too many ways");
				break;
			}
			if (forked)
				list[count++] = (struct waiting){other, at.path};
		}
	}
	free(list);
	return result;
}

static int nothing_enters(struct proof *p, struct vb_error *err)
{
	for (unsigned n = 0; n < p->code.count; n++) {
		const struct instruction *i = &p->code.instructions[n], *to[2] = {NULL, NULL};
		if (p->own[n] || p->code.frames[n].registers[CODE_RSP].from == PLACE_UNSEEN)
			continue;
		if (!code_ends(i))
			to[0] = code_at(&p->code, i->address + i->is.length);
		if (i->is.meta.category != ZYDIS_CATEGORY_CALL && code_target(i))
			to[1] = code_at(&p->code, code_target(i));
		for (unsigned k = 0; k < 2; k++) {
			if (to[k] && p->own[to[k] - p->code.instructions] && !is_note(p->site, CHAFF_START, to[k]->address))
				return vb_error_set(err, -EINVAL, "0x%lx leads into the middle of it", i->address);
		}
	}
	return 0;
}

static int prove(struct proof *p, struct vb_error *err)
{
	int r = code_init(&p->code, p->binary, p->site->function, p->site->function_bytes, err);
	if (r < 0)
		return r;
	p->own = calloc(p->code.count, 1);
	if (!p->own)
		return vb_error_set(err, -ENOMEM, "no memory left");
	p->machine.code = &p->code;
	p->rsp = machine_fresh(&p->machine, 64);
	for (unsigned n = 0; n < p->site->note_count[CHAFF_START] && r == 0; n++)
		r = walk(p, p->site->notes[CHAFF_START][n]);
	for (unsigned n = 0; n < p->fault_count; n++)
		mark_dead(p, p->faulted[n]);
	if (r == 0)
		r = nothing_enters(p, err);
	if (r == 0 && p->bug->storage == CHAFF_STACK && (!p->placed || code_uses(&p->code, p->place, p->bug->size, p->own, err)))
		r = p->placed ? -EINVAL : vb_error_set(err, -EINVAL, "no way leads to its memory");
	return r;
}

int chaff_prove(
	const struct binary *b, const struct chaff_bug *bug, const struct chaff_site *site, struct chaff_proof *ret, struct vb_error *err)
{
	if (!site->note_count[CHAFF_START] || !site->note_count[CHAFF_HIT] || !site->note_count[CHAFF_END])
		return vb_error_set(err, -EINVAL, "its start, hit or end is not noted");
	struct proof p = {.bug = bug, .site = site, .binary = b, .result = ret};
	*ret = (struct chaff_proof){0};
	Z3_config config = Z3_mk_config();
	Z3_set_param_value(config, "timeout", QUERY_MS);
	p.machine = (struct machine){.z3 = Z3_mk_context(config), .access = access_memory, .call = call_function, .user = &p, .why = err};
	p.machine.solver = Z3_mk_solver_for_logic(p.machine.z3, Z3_mk_string_symbol(p.machine.z3, "QF_BV"));
	Z3_solver_inc_ref(p.machine.z3, p.machine.solver);
	int r = prove(&p, err);
	Z3_solver_dec_ref(p.machine.z3, p.machine.solver);
	Z3_del_context(p.machine.z3);
	Z3_del_config(config);
	code_release(&p.code);
	free(p.own);
	return r < 0 ? -EINVAL : 0;
}
