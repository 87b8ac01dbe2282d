/* Owns the look-up of source lines, by libdw. */
#include <elfutils/libdwfl.h>
#include <stdlib.h>
#include <string.h>

#include "variant/demap/demap.h"

struct lines {
	Dwfl *dwfl;
	Dwfl_Module *module;
	GElf_Addr bias;
};

static const Dwfl_Callbacks callbacks = {.find_elf = dwfl_build_id_find_elf,
	.find_debuginfo = dwfl_standard_find_debuginfo,
	.section_address = dwfl_offline_section_address};

struct lines *lines_open(const char *path)
{
	struct lines *l = calloc(1, sizeof(*l));
	if (!l)
		return NULL;
	l->dwfl = dwfl_begin(&callbacks);
	if (l->dwfl) {
		dwfl_report_begin(l->dwfl);
		l->module = dwfl_report_elf(l->dwfl, path, path, -1, 0, true);
		dwfl_report_end(l->dwfl, NULL, NULL);
	}
	if (!l->module || !dwfl_module_getdwarf(l->module, &l->bias)) {
		lines_close(l);
		return NULL;
	}
	return l;
}

void lines_close(struct lines *l)
{
	if (l && l->dwfl)
		dwfl_end(l->dwfl);
	free(l);
}

/* clang writes no .debug_aranges, by which libdw finds the unit of an address: then units are asked one by one. */
static Dwarf_Line *search_units(struct lines *l, uint64_t address)
{
	Dwarf_Addr bias = 0;
	for (Dwarf_Die *unit = NULL; (unit = dwfl_module_nextcu(l->module, unit, &bias));)
		if (dwarf_haspc(unit, address) > 0)
			return dwarf_getsrc_die(unit, address);
	return NULL;
}

const char *lines_find(struct lines *l, uint64_t address, int *ret_line)
{
	Dwfl_Line *known = dwfl_module_getsrc(l->module, address + l->bias);
	Dwarf_Line *line = known ? NULL : search_units(l, address);
	const char *file = known ? dwfl_lineinfo(known, NULL, ret_line, NULL, NULL, NULL) : line ? dwarf_linesrc(line, NULL, NULL) : NULL;
	if (line && file && dwarf_lineno(line, ret_line) != 0)
		return NULL;
	const char *slash = file ? strrchr(file, '/') : NULL;
	return slash ? slash + 1 : file;
}

const char *demap_line(const struct demap *d, const struct translation *t, uint64_t variant_address, bool returns, int *ret_line)
{
	if (t->match >= MATCH_COUNT)
		return d->lines ? lines_find(d->lines, t->address - returns, ret_line) : NULL;
	return d->variant_lines ? lines_find(d->variant_lines, variant_address - returns, ret_line) : NULL;
}
