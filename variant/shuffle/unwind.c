/* Owns .eh_frame and .eh_frame_hdr: the tables that C++ exceptions and backtraces go by. LSB, "Exception Frames"; DWARF 5, 6.4. */
#include "variant/shuffle/shuffle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/types.h"
#include "host/error.h"

/* DW_EH_PE_: how a pointer is written. */
enum {
	PE_ABSOLUTE = 0x00,
	PE_RELATIVE = 0x10,
	PE_DATA_RELATIVE = 0x30,
	PE_INDIRECT = 0x80,
	PE_OMIT = 0xff,
	PE_SIZE = 0x0f,
	PE_BASE = 0x70
};
enum { PE_UDATA4 = 0x03, PE_SDATA4 = 0x0b };

static unsigned pointer_bytes(uint8_t encoding)
{
	switch (encoding & PE_SIZE) {
	case 0x00:
	case 0x04:
	case 0x0c:
		return 8;
	case PE_UDATA4:
	case PE_SDATA4:
		return 4;
	case 0x02:
	case 0x0a:
		return 2;
	default:
		return 0;
	}
}

/* Reads on within a record; failed once something was missing. */
struct cursor {
	const uint8_t *at, *end;
	bool failed;
};

static uint64_t take(struct cursor *c, unsigned bytes, bool is_signed)
{
	if ((size_t)(c->end - c->at) < bytes) {
		c->failed = true;
		return 0;
	}
	c->at += bytes;
	return get_number(c->at - bytes, bytes, is_signed);
}

static void skip_leb128(struct cursor *c)
{
	while (!c->failed && take(c, 1, false) & 0x80)
		;
}

/* A place in .eh_frame that holds a pointer to code, or that may. */
struct pointer {
	uint64_t at; /* address */
	uint8_t bytes;
	bool relative;
	uint64_t target;
};

struct cie {
	uint8_t code_encoding;
	bool has_personality;
	struct pointer personality;
	const char *why; /* it can't be understood */
};

static bool take_pointer(struct cursor *c, const uint8_t *section, uint64_t address, uint8_t encoding, struct pointer *ret)
{
	unsigned bytes = pointer_bytes(encoding);
	*ret = (struct pointer){
		.at = address + (uint64_t)(c->at - section), .bytes = (uint8_t)bytes, .relative = (encoding & PE_BASE) == PE_RELATIVE};
	bool is_signed = (encoding & 0x08) || bytes < 8;
	ret->target = take(c, bytes, is_signed && ret->relative) + (ret->relative ? ret->at : 0);
	return bytes && !c->failed && ((encoding & PE_BASE) == PE_ABSOLUTE || ret->relative);
}

/* at: behind the CIE's id. */
static struct cie decode_cie(struct cursor c, const uint8_t *section, uint64_t address)
{
	struct cie cie = {.code_encoding = PE_ABSOLUTE};
	uint8_t version = (uint8_t)take(&c, 1, false), encoding;
	const char *augmentation = (const char *)c.at;
	if ((version != 1 && version != 3) || !memchr(c.at, 0, (size_t)(c.end - c.at)))
		return (struct cie){.why = "an unknown version"};
	c.at += strlen(augmentation) + 1;
	skip_leb128(&c);
	skip_leb128(&c);
	if (version == 1)
		take(&c, 1, false);
	else
		skip_leb128(&c);
	if (augmentation[0] && augmentation[0] != 'z')
		return (struct cie){.why = "an unknown augmentation"};
	if (augmentation[0])
		skip_leb128(&c);
	for (const char *a = augmentation; *a && !c.failed; a++) {
		switch (*a) {
		case 'z':
		case 'S':
		case 'B':
			break;
		case 'R':
			cie.code_encoding = (uint8_t)take(&c, 1, false);
			break;
		case 'L':
			take(&c, 1, false);
			break;
		case 'P':
			encoding = (uint8_t)take(&c, 1, false);
			if (encoding == PE_OMIT)
				break;
			if (!take_pointer(&c, section, address, encoding, &cie.personality))
				return (struct cie){.why = "a personality that is written in an unknown way"};
			cie.has_personality = !(encoding & PE_INDIRECT);
			break;
		default:
			return (struct cie){.why = "an unknown augmentation"};
		}
	}
	if (c.failed)
		cie.why = "a record that is cut short";
	return cie;
}

/* Calls fn for each pointer to code: of FDEs with the size of their range, of personalities with 0. */
static int each_pointer(const struct shuffle *s,
	int (*fn)(struct shuffle *s, const struct pointer *p, uint64_t range, struct vb_error *err), struct vb_error *err)
{
	const struct binary_section *frames = binary_section(&s->b, ".eh_frame");
	if (!frames || frames->type == SHT_NOBITS)
		return 0;
	const uint8_t *bytes = s->b.bytes + frames->offset;
	const char *why = NULL;
	for (uint64_t at = 0, length; at + 4 <= frames->size && !why; at += 4 + length) {
		struct pointer pointer;
		struct cursor c = {bytes + at, bytes + frames->size, false};
		length = take(&c, 4, false);
		if (!length)
			continue;
		if (length == UINT32_MAX || length > (uint64_t)(c.end - c.at) || length < 4) {
			why = "a record of an impossible length";
			break;
		}
		c.end = c.at + length;
		uint64_t id_at = at + 4, id = take(&c, 4, false);
		struct cie cie;
		int r = 0;
		if (id == 0) {
			cie = decode_cie(c, bytes, frames->address);
			why = cie.why;
			if (!why && cie.has_personality)
				r = fn((struct shuffle *)s, &cie.personality, 0, err);
		} else {
			if (id > id_at || id_at - id + 8 > frames->size) {
				why = "an FDE without CIE";
				break;
			}
			struct cursor of_cie = {bytes + id_at - id, bytes + frames->size, false};
			uint64_t cie_length = take(&of_cie, 4, false);
			if (cie_length < 4 || cie_length > (uint64_t)(of_cie.end - of_cie.at) || take(&of_cie, 4, false) != 0) {
				why = "an FDE without CIE";
				break;
			}
			of_cie.end = of_cie.at - 4 + cie_length;
			cie = decode_cie(of_cie, bytes, frames->address);
			why = cie.why;
			if (!why && !take_pointer(&c, bytes, frames->address, cie.code_encoding, &pointer))
				why = "an address that is written in an unknown way";
			uint64_t range = why ? 0 : take(&c, pointer.bytes, false);
			if (!why && c.failed)
				why = "a record that is cut short";
			if (!why)
				r = fn((struct shuffle *)s, &pointer, range, err);
		}
		if (r < 0)
			return r;
	}
	return why ? vb_error_set(err, -ENOTSUP, "%s can't be shuffled: its .eh_frame has %s", s->b.path, why) : 0;
}

static int glue(struct shuffle *s, const struct pointer *p, uint64_t range, struct vb_error *err)
{
	(void)err;
	if (range && piece_at(s, p->target))
		pieces_glue(s, p->target, vb_min(p->target + range, s->end) - 1);
	return 0;
}

int unwind_glue(struct shuffle *s, struct vb_error *err)
{
	return each_pointer(s, glue, err);
}

static int mend(struct shuffle *s, const struct pointer *p, uint64_t range, struct vb_error *err)
{
	(void)range;
	uint64_t shift = piece_shift(s, p->target);
	size_t at = file_offset(s, p->at, p->bytes);
	if (!shift || at == SIZE_MAX)
		return 0;
	int64_t value = (int64_t)(get_number(s->b.bytes + at, p->bytes, p->relative) + shift);
	if (!fits(value, p->bytes))
		return vb_error_set(err, -ENOTSUP, "%s: an entry of .eh_frame doesn't reach its function any more", s->b.path);
	put_number(s->new_bytes + at, p->bytes, (uint64_t)value);
	return 0;
}

static int by_location(const void *a, const void *b)
{
	int32_t x, y;
	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return (x > y) - (x < y);
}

/* The table to search in: pairs of function and FDE, both relative to the section, ascending. FDEs haven't moved. */
static int mend_header(struct shuffle *s, struct vb_error *err)
{
	const struct binary_section *header = binary_section(&s->b, ".eh_frame_hdr");
	if (!header || header->type == SHT_NOBITS)
		return 0;
	uint8_t *bytes = s->new_bytes + header->offset;
	uint64_t count = header->size >= 12 ? get_number(bytes + 8, 4, false) : 0;
	if (header->size < 8 || bytes[0] != 1 || pointer_bytes(bytes[1]) != 4)
		return vb_error_set(err, -ENOTSUP, "%s can't be shuffled: its .eh_frame_hdr is unknown", s->b.path);
	if (bytes[2] == PE_OMIT || bytes[3] == PE_OMIT)
		return 0; /* no table: .eh_frame is searched from end to end */
	if (bytes[2] != PE_UDATA4 || bytes[3] != (PE_DATA_RELATIVE | PE_SDATA4) || count > (header->size - 12) / 8)
		return vb_error_set(err, -ENOTSUP, "%s can't be shuffled: its .eh_frame_hdr is unknown", s->b.path);
	for (uint64_t i = 0; i < count; i++) {
		uint8_t *entry = bytes + 12 + 8 * i;
		uint64_t target = header->address + get_number(entry, 4, true);
		int64_t value = (int64_t)(get_number(entry, 4, true) + piece_shift(s, target));
		if (!fits(value, 4))
			return vb_error_set(err, -ENOTSUP, "%s: .eh_frame_hdr doesn't reach its function any more", s->b.path);
		put_number(entry, 4, (uint64_t)value);
	}
	qsort(bytes + 12, count, 8, by_location);
	return 0;
}

int unwind_move(struct shuffle *s, struct vb_error *err)
{
	int r = each_pointer(s, mend, err);
	return r < 0 ? r : mend_header(s, err);
}
