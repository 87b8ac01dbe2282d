/* Owns the reading of the unwinder's rules (.cfi_...). */
#include <string.h>

#include "variant/assembly/unit.h"

const uint8_t dwarf_numbers[16] = {0, 2, 1, 3, 7, 6, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15};

bool cfi_register(struct slice s, int *ret)
{
	int64_t n;
	struct reg reg;
	s = slice_trim(s);
	if (slice_number(s, &n) && n >= 0 && n < CFI_REGISTERS) {
		*ret = (int)n;
		return true;
	}
	if (s.length && s.at[0] == '%' && register_parse((struct slice){s.at + 1, s.length - 1}, &reg) && reg.class == REG_GENERAL) {
		*ret = dwarf_numbers[reg.number];
		return true;
	}
	return false;
}

static bool register_and_number(struct slice s, int *ret_register, int64_t *ret_number)
{
	const char *comma = s.length ? memchr(s.at, ',', s.length) : NULL;
	if (!comma)
		return false;
	uint32_t n = (uint32_t)(comma - s.at);
	return cfi_register((struct slice){s.at, n}, ret_register) &&
	       slice_number(slice_trim((struct slice){comma + 1, s.length - n - 1}), ret_number);
}

bool cfi_step(struct cfi_walk *w, const struct statement *st)
{
	int reg;
	int64_t number;
	switch (st->directive) {
	case DIR_CFI_STARTPROC:
		*w = (struct cfi_walk){.state = CFI_AT_ENTRY};
		return true;
	case DIR_CFI_DEF_CFA:
		return register_and_number(st->arguments, &w->state.cfa_register, &w->state.cfa_offset);
	case DIR_CFI_DEF_CFA_OFFSET:
		return slice_number(st->arguments, &w->state.cfa_offset);
	case DIR_CFI_DEF_CFA_REGISTER:
		return cfi_register(st->arguments, &w->state.cfa_register);
	case DIR_CFI_OFFSET:
		if (!register_and_number(st->arguments, &reg, &number))
			return false;
		w->state.saved[reg] = true;
		w->state.offset[reg] = number;
		return true;
	case DIR_CFI_RESTORE:
		if (!cfi_register(st->arguments, &reg))
			return false;
		w->state.saved[reg] = false;
		return true;
	case DIR_CFI_REMEMBER:
		if (w->depth == VB_ARRAY_LEN(w->stack))
			return false;
		w->stack[w->depth++] = w->state;
		return true;
	case DIR_CFI_RESTORE_STATE:
		if (!w->depth)
			return false;
		w->state = w->stack[--w->depth];
		return true;
	default:
		return true;
	}
}
