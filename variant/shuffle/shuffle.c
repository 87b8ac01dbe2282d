/* Owns the order of the stages, and what is asked of a program before the first. */
#include "variant/shuffle/shuffle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/types.h"
#include "host/error.h"
#include "variant/random.h"

size_t file_offset(const struct shuffle *s, uint64_t address, uint64_t bytes)
{
	const uint8_t *at = binary_at(&s->b, address, bytes);
	return at ? (size_t)(at - s->b.bytes) : SIZE_MAX;
}

uint64_t get_number(const uint8_t *at, unsigned bytes, bool is_signed)
{
	uint64_t value = 0;
	memcpy(&value, at, bytes);
	if (is_signed && bytes && bytes < 8 && value >> (8 * bytes - 1) & 1)
		value |= UINT64_MAX << 8 * bytes;
	return value;
}

void put_number(uint8_t *at, unsigned bytes, uint64_t value)
{
	memcpy(at, &value, bytes);
}

bool fits(int64_t value, unsigned bytes)
{
	return bytes >= 8 || (value >= -(INT64_C(1) << (8 * bytes - 1)) && value < INT64_C(1) << (8 * bytes - 1));
}

/* What would need more than moving code, each with the way out. */
static int check(struct shuffle *s, struct vb_error *err)
{
	static const char *const holds_addresses[] = {".gdb_index", ".stab", ".note.bolt_info"};
	if (s->b.section_count == 0 || s->b.stripped)
		return vb_error_set(
			err, -ENOTSUP, "%s is stripped: where functions start can't be told; shuffle it before `strip`", s->b.path);
	const struct binary_section *text = binary_section(&s->b, ".text");
	if (!text || text->type != SHT_PROGBITS || !(text->flags & SHF_EXECINSTR) || !text->size)
		return vb_error_set(err, -ENOTSUP, "%s has no code in .text", s->b.path);
	s->text = (uint32_t)(text - s->b.sections);
	s->start = text->address;
	s->end = text->address + text->size;
	if (binary_at(&s->b, s->start, text->size) != s->b.bytes + text->offset)
		return vb_error_set(err, -EINVAL, "%s: its sections contradict its segments", s->b.path);
	if (s->end >= INT32_MAX)
		return vb_error_set(err, -ENOTSUP, "%s can't be shuffled: its code lies above 2 GiB", s->b.path);
	for (unsigned i = 0; i < VB_ARRAY_LEN(holds_addresses); i++)
		if (binary_section(&s->b, holds_addresses[i]))
			return vb_error_set(err, -ENOTSUP,
				"%s can't be shuffled: it has %s, whose addresses have no relocations; link it without", s->b.path,
				holds_addresses[i]);
	return 0;
}

/* Another program gets another identity: debuggers and crash reporters find symbols by it. */
static void change_build_id(struct shuffle *s, uint64_t seed)
{
	const struct binary_section *note = binary_section(&s->b, ".note.gnu.build-id");
	struct variant_random random, of_id;
	if (!note || note->type != SHT_NOTE || note->size <= 16)
		return;
	variant_random_init(&random, seed, (const char *const[]){"shuffle", "build-id", NULL});
	variant_random_fork(&of_id, &random, s->b.bytes + note->offset, note->size);
	for (uint64_t i = 16; i < note->size; i++)
		s->new_bytes[note->offset + i] = (uint8_t)variant_random_u64(&of_id);
}

int shuffle_image(struct shuffle *s, uint64_t seed, struct vb_error *err)
{
	int r = check(s, err);
	if (r < 0 || (r = references_load(s, err)) < 0 || (r = pieces_find(s, err)) < 0 || (r = code_decode(s, err)) < 0 ||
		(r = unwind_glue(s, err)) < 0 || (r = references_glue(s, err)) < 0 || (r = pieces_place(s, seed, err)) < 0)
		return r;
	s->new_bytes = malloc(s->b.size);
	s->patched = calloc(s->b.size / 8 + 1, 1);
	if (!s->new_bytes || !s->patched)
		return vb_error_set(err, -ENOMEM, "out of memory");
	memcpy(s->new_bytes, s->b.bytes, s->b.size);
	if ((r = code_move(s, err)) < 0 || (r = unwind_move(s, err)) < 0 || (r = references_move(s, err)) < 0)
		return r;
	change_build_id(s, seed);
	return 0;
}

void shuffle_release(struct shuffle *s)
{
	binary_release(&s->b);
	free(s->pieces);
	free(s->operands);
	free(s->instruction_starts);
	free(s->patched);
	free(s->references);
	free(s->data_referred);
	free(s->new_bytes);
}
