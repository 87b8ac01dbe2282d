/* Owns the rewriting of backtraces in text: gdb's ("#1  0x... in f (...)", "<f+12>"), the sanitizers' ("#1 0x... in f ...
 * (program+0x...)") and glibc's ("program(f+0x15) [0x...]", "program(+0x15)"). All other text is kept as it is. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/types.h"
#include "host/error.h"
#include "variant/demap/demap.h"

#define MAX_TEXT_BYTES (64u << 20)

static uint64_t end_of_code(const struct places *p)
{
	if (p->has_binary)
		return p->binary.elf.high;
	return p->count ? p->by_address[p->count - 1].address + p->by_address[p->count - 1].bytes : 0;
}

static bool moves(const struct demap *d)
{
	return d->variant.has_binary && d->variant.binary.elf.position_independent;
}

static const char *base_name(const struct demap *d)
{
	const char *slash = strrchr(d->variant.path, '/');
	return slash ? slash + 1 : d->variant.path;
}

/* "0x" and at least one digit, at most 16. Returns the length, 0: none. */
static size_t take_hex(const char *at, const char *end, uint64_t *ret)
{
	size_t n = 2;
	uint64_t value = 0;
	if (end - at < 3 || at[0] != '0' || at[1] != 'x')
		return 0;
	for (; at + n < end; n++) {
		char c = at[n];
		unsigned digit = c >= '0' && c <= '9' ? (unsigned)(c - '0') : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 : 16;
		if (digit == 16)
			break;
		value = value << 4 | digit;
	}
	*ret = value;
	return n > 2 && n <= 18 ? n : 0;
}

/* "NAME+OFFSET", as in (f+0x15), <f+12>, (program+0x1234), (+0x1234). */
struct sum {
	const char *name;
	size_t name_length, length;
	uint64_t offset;
	bool hex;
};

static bool take_sum(const char *at, const char *end, struct sum *ret)
{
	const char *plus = at;
	while (plus < end && *plus != '+' && *plus != '\n' && *plus != ')' && *plus != '>' && plus - at < 4096)
		plus++;
	if (plus == end || *plus != '+' || plus + 1 == end)
		return false;
	*ret = (struct sum){.name = at, .name_length = (size_t)(plus - at)};
	size_t digits = take_hex(plus + 1, end, &ret->offset);
	ret->hex = digits != 0;
	for (const char *c = plus + 1; !ret->hex && c < end && *c >= '0' && *c <= '9' && digits < 10; c++, digits++)
		ret->offset = ret->offset * 10 + (uint64_t)(*c - '0');
	ret->length = (size_t)(plus + 1 - at) + digits;
	return digits && at + ret->length < end && (at[ret->length] == ')' || at[ret->length] == '>');
}

static const struct binary_symbol *symbol_of(const struct demap *d, const struct sum *s)
{
	const struct binary *b = &d->variant.binary;
	for (size_t i = 0; d->variant.has_binary && s->name_length && i < b->symbol_count; i++)
		if (b->symbols[i].type == STT_FUNC && strlen(b->symbols[i].name) == s->name_length &&
			memcmp(b->symbols[i].name, s->name, s->name_length) == 0)
			return &b->symbols[i];
	return NULL;
}

static bool is_program(const struct demap *d, const char *name, size_t length)
{
	const char *slash = memrchr(name, '/', length);
	if (slash) {
		length -= (size_t)(slash + 1 - name);
		name = slash + 1;
	}
	return length == strlen(base_name(d)) && memcmp(name, base_name(d), length) == 0;
}

/* The address as linked that a sum means; UINT64_MAX: something else. In front of it, and of its bracket, may stand the name of its file. */
static uint64_t address_of(const struct demap *d, const struct sum *s, const char *line)
{
	const char *file_end = s->name - 1, *file = file_end;
	while (file > line && file[-1] != ' ' && file[-1] != '\t')
		file--;
	bool elsewhere = *file_end == '(' && file < file_end && !is_program(d, file, (size_t)(file_end - file));
	const struct binary_symbol *symbol = symbol_of(d, s);
	if (elsewhere)
		return UINT64_MAX;
	if (symbol)
		return symbol->value + s->offset;
	bool of_program = s->name_length ? is_program(d, s->name, s->name_length) : file < file_end;
	return of_program && s->hex ? s->offset : UINT64_MAX;
}

struct output {
	FILE *file;
	const struct demap *d;
	uint64_t base;
	bool returns; /* the frame of the line is one that called another */
};

static bool put_address(struct output *o, uint64_t address, size_t width, bool returns)
{
	struct translation t = translate(&o->d->variant, &o->d->plain, address - o->base, returns);
	if (t.match == MATCH_NONE)
		return false;
	fprintf(o->file, "0x%0*" PRIx64, (int)width, o->base + t.address);
	return true;
}

static bool put_sum(struct output *o, const struct sum *s, const char *line)
{
	uint64_t address = address_of(o->d, s, line);
	if (address == UINT64_MAX)
		return false;
	struct translation t = translate(&o->d->variant, &o->d->plain, address, o->returns);
	if (t.match == MATCH_NONE)
		return false;
	bool named = symbol_of(o->d, s) != NULL;
	if (named)
		fprintf(o->file, s->hex ? "%s+0x%" PRIx64 : "%s+%" PRIu64, t.function, t.offset);
	else
		fprintf(o->file, "%.*s+0x%" PRIx64, (int)s->name_length, s->name, t.address);
	return true;
}

/* Of a frame, the first address is where it goes on; others, arguments, are what they are. */
static void rewrite_line(struct output *o, const char *line, const char *end, bool is_frame)
{
	bool first = true;
	for (const char *at = line; at < end;) {
		uint64_t value;
		struct sum sum;
		bool starts = at == line || !strchr("0123456789abcdefx", at[-1]);
		size_t n = starts ? take_hex(at, end, &value) : 0;
		bool rewritten = n && put_address(o, value, n - 2, o->returns && (first || !is_frame));
		first &= n == 0;
		if (rewritten) {
			at += n;
			continue;
		}
		if (at > line && (at[-1] == '(' || at[-1] == '<') && take_sum(at, end, &sum) && put_sum(o, &sum, line)) {
			at += sum.length;
			continue;
		}
		fputc(*at++, o->file);
	}
}

/* "0x... in f": a base is a whole number of pages, so that at most one makes the address lie in f, if f is no longer than a page. */
static bool base_of_frame(const struct demap *d, const char *line, const char *end, uint64_t *ret)
{
	const char *in = memmem(line, (size_t)(end - line), " in ", 4), *hex = in;
	uint64_t address;
	while (hex && hex > line && hex[-1] != ' ')
		hex--;
	if (!in || !take_hex(hex, in, &address))
		return false;
	struct sum s = {.name = in + 4, .name_length = strcspn(in + 4, " (\n")};
	s.name_length = vb_min(s.name_length, (size_t)(end - s.name));
	const struct binary_symbol *f = symbol_of(d, &s);
	if (!f || !f->size || f->size > VB_PAGE_SIZE)
		return false;
	uint64_t within = (address - f->value) % VB_PAGE_SIZE;
	if (within > f->size || address < f->value + within)
		return false;
	*ret = address - f->value - within;
	return true;
}

/* The base that a line gives away, by an address both absolute and relative: glibc's and the sanitizers' do. */
static bool base_of_line(const struct demap *d, const char *line, const char *end, uint64_t *ret)
{
	uint64_t absolute = 0, relative = UINT64_MAX;
	for (const char *at = line; at < end; at++) {
		struct sum sum;
		uint64_t value;
		if ((at == line || at[-1] == ' ' || at[-1] == '[') && take_hex(at, end, &value))
			absolute = value;
		if (at > line && at[-1] == '(' && take_sum(at, end, &sum) && address_of(d, &sum, line) != UINT64_MAX)
			relative = address_of(d, &sum, line);
	}
	if (!absolute || relative > absolute || (absolute - relative) % VB_PAGE_SIZE)
		return base_of_frame(d, line, end, ret);
	*ret = absolute - relative;
	return true;
}

static uint64_t find_base(const struct demap *d, const char *text, size_t size)
{
	static const uint64_t of_gdb = 0x555555554000; /* of programs that gdb starts */
	uint64_t base = 0;
	if (d->based || !moves(d))
		return d->base;
	for (const char *line = text, *end; line < text + size; line = end + 1) {
		end = memchr(line, '\n', (size_t)(text + size - line));
		end = end ? end : text + size;
		if (base_of_line(d, line, end, &base))
			return base;
	}
	for (const char *at = text; at < text + size; at++) {
		uint64_t value;
		if (take_hex(at, text + size, &value) && value > of_gdb && value - of_gdb < end_of_code(&d->variant))
			return of_gdb;
	}
	fprintf(stderr,
		"vauban demap: where the program was loaded can't be told from the text: if its addresses stay as they are, give --base\n");
	return 0;
}

int demap_text(const struct demap *d, FILE *in, FILE *out, struct vb_error *err)
{
	char *text = calloc(1, MAX_TEXT_BYTES + 2); /* ends with a NUL for string functions */
	if (!text)
		return vb_error_set(err, -ENOMEM, "out of memory");
	size_t size = fread(text, 1, MAX_TEXT_BYTES + 1, in);
	if (ferror(in) || size > MAX_TEXT_BYTES) {
		free(text);
		return ferror(in) ? vb_error_errno(err, "can't read the backtrace")
				  : vb_error_set(err, -EFBIG, "the backtrace has more than 64 MiB");
	}
	struct output o = {.file = out, .d = d, .base = find_base(d, text, size)};
	bool after_signal = false;
	for (const char *line = text, *end; line < text + size; line = end + (end < text + size)) {
		end = memchr(line, '\n', (size_t)(text + size - line));
		end = end ? end : text + size;
		size_t indent = strspn(line, " \t");
		bool numbered = line + indent + 1 < end && line[indent] == '#';
		bool first = numbered && line[indent + 1] == '0' && (line + indent + 2 == end || line[indent + 2] == ' ');
		if (numbered)
			o.returns = !first && !after_signal;
		else
			o.returns = memchr(line, '[', (size_t)(end - line)) != NULL; /* glibc's: of callers only */
		rewrite_line(&o, line, end, numbered);
		if (end < text + size)
			fputc('\n', out);
		after_signal = memmem(line, (size_t)(end - line), "<signal handler called>", 23) != NULL;
	}
	free(text);
	return 0;
}
