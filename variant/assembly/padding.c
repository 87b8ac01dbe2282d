/* Owns the padding between variables. Only where the compiler has put a variable into a section of its own (-fdata-sections), named after it:
 * in any other section, neighbours may be meant (arrays that the linker collects, start and stop symbols, mergeable strings). */
#include "variant/assembly/unit.h"

#include <string.h>

static bool own_section(const struct section *section, struct slice symbol)
{
	static const char *const kinds[] = {
		".data.rel.ro.local", ".data.rel.ro", ".data.rel.local", ".data.rel", ".data", ".bss", ".rodata"};
	for (unsigned i = 0; i < VB_ARRAY_LEN(kinds); i++) {
		size_t length = strlen(kinds[i]);
		if (slice_starts(section->name, kinds[i]) && section->name.length == length + 1 + symbol.length &&
			section->name.at[length] == '.' && memcmp(section->name.at + length + 1, symbol.at, symbol.length) == 0)
			return true;
	}
	return false;
}

static void pad_object(struct unit *u, uint32_t label, const struct variant_random *all)
{
	struct variant_random r;
	const struct statement *object = &u->statements[label];
	int64_t size = 0;
	uint32_t at = label;
	for (uint32_t i = label; i-- > 0 && label - i < 8 && u->statements[i].section == object->section;) {
		const struct statement *st = &u->statements[i];
		if (st->kind != STATEMENT_DIRECTIVE || st->directive == DIR_DATA || st->directive == DIR_SPACE ||
			st->directive == DIR_SECTION)
			break;
		if (st->directive == DIR_ALIGN)
			at = i;
		const char *comma = st->directive == DIR_SIZE ? memchr(st->arguments.at, ',', st->arguments.length) : NULL;
		if (comma)
			slice_number(slice_trim((struct slice){comma + 1, (uint32_t)(st->arguments.at + st->arguments.length - comma - 1)}),
				&size);
	}
	variant_random_fork(&r, all, object->name.at, object->name.length);
	unsigned padding = 8 * (unsigned)variant_random_below(&r, size >= 1024 ? 64 : size >= 128 ? 16 : 4);
	if (padding)
		statement_insert(u, &u->statements[at], arena_format(&u->arena, ".zero %u", padding));
}

void assembly_padding(struct unit *u)
{
	struct variant_random all;
	variant_random_init(&all, u->options->seed, (const char *const[]){"padding", NULL});
	for (uint32_t i = 0; i < u->count; i++) {
		const struct statement *st = &u->statements[i];
		if (st->kind == STATEMENT_LABEL && own_section(&u->sections[st->section], st->name))
			pad_object(u, i, &all);
	}
}
