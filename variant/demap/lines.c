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

const char *lines_find(struct lines *l, uint64_t address, int *ret_line)
{
	Dwfl_Line *line = dwfl_module_getsrc(l->module, address + l->bias);
	const char *file = line ? dwfl_lineinfo(line, NULL, ret_line, NULL, NULL, NULL) : NULL;
	const char *slash = file ? strrchr(file, '/') : NULL;
	return slash ? slash + 1 : file;
}

const char *demap_line(const struct demap *d, const struct translation *t, uint64_t variant_address, bool returns, int *ret_line)
{
	if (t->match >= MATCH_COUNT)
		return d->lines ? lines_find(d->lines, t->address - returns, ret_line) : NULL;
	return d->variant_lines ? lines_find(d->variant_lines, variant_address - returns, ret_line) : NULL;
}
