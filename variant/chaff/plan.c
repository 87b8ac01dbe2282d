/* Owns the plan's form in JSON. What it reads is the user's, but may be damaged: every field is checked. */
#include "variant/chaff/plan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "base/types.h"
#include "host/error.h"
#include "host/file.h"

#define MAX_PLAN_BYTES (256u << 20)

static const char *const kinds[2][3] = {
	{"stack-unused", "stack-write", "stack-call"},
	{"heap-unused", "heap-write", "heap-call"},
};
static const char *const compares[] = {"bytes", "word"};
static const char *const copies[] = {"index", "loop"};
static const char *const constraints[] = {"bits", "scaled", "shifted"};
static const char *const note_names[CHAFF_NOTE_KINDS] = {"start", "hit", "end"};

const char *chaff_kind(const struct chaff_bug *b)
{
	return kinds[b->storage][b->effect];
}

/* --- reading; a field that is bad sets bad --- */

static const json_t *member(const json_t *object, const char *name, const char **bad)
{
	const json_t *value = json_object_get(object, name);
	if (!value && !*bad)
		*bad = name;
	return value;
}

static uint64_t get_number(const json_t *object, const char *name, uint64_t max, const char **bad)
{
	const json_t *value = member(object, name, bad);
	json_int_t n = json_integer_value(value);
	if (!json_is_integer(value) || n < 0 || (uint64_t)n > max) {
		*bad = *bad ? *bad : name;
		return 0;
	}
	return (uint64_t)n;
}

/* 64 bits as text: JSON's numbers lose some. */
static uint64_t get_hex(const json_t *object, const char *name, const char **bad)
{
	const char *text = json_string_value(member(object, name, bad));
	char *end = NULL;
	uint64_t n = text && text[0] == '0' && text[1] == 'x' ? strtoull(text, &end, 16) : 0;
	if (!end || *end || end - text > 18)
		*bad = *bad ? *bad : name;
	return n;
}

static char *get_text(const json_t *object, const char *name, const char **bad)
{
	const char *text = json_string_value(member(object, name, bad));
	if (!text || strlen(text) > 4096)
		*bad = *bad ? *bad : name;
	return strdup(*bad ? "" : text);
}

static unsigned get_choice(const json_t *object, const char *name, const char *const *choices, unsigned count, const char **bad)
{
	const char *text = json_string_value(member(object, name, bad));
	for (unsigned c = 0; text && c < count; c++) {
		if (strcmp(text, choices[c]) == 0)
			return c;
	}
	*bad = *bad ? *bad : name;
	return 0;
}

static const json_t *get_array(const json_t *object, const char *name, size_t min, size_t max, const char **bad)
{
	const json_t *value = member(object, name, bad);
	if (!json_is_array(value) || json_array_size(value) < min || json_array_size(value) > max)
		*bad = *bad ? *bad : name;
	return *bad ? NULL : value;
}

static bool is_power_of_two(unsigned n)
{
	return n && !(n & (n - 1));
}

static void read_bug(struct chaff_bug *b, const json_t *o, const char **bad)
{
	b->id = (unsigned)get_number(o, "id", CHAFF_MAX_BUGS, bad);
	unsigned kind = get_choice(o, "kind", &kinds[0][0], 6, bad);
	b->storage = kind / 3, b->effect = kind % 3;
	b->module = get_text(o, "module", bad);
	b->function = get_text(o, "function", bad);
	b->hash = get_hex(o, "hash", bad);
	b->load = (unsigned)get_number(o, "load", UINT32_MAX - 1, bad);
	b->input = get_text(o, "input", bad);
	b->branches = get_number(o, "branches", INT64_MAX, bad);
	b->size = (unsigned)get_number(o, "size", CHAFF_MAX_SIZE, bad);
	b->buffer = (unsigned)get_number(o, "buffer", CHAFF_MAX_SIZE, bad);
	b->word = get_choice(o, "compare", compares, VB_ARRAY_LEN(compares), bad);
	b->copy = get_choice(o, "copy", copies, VB_ARRAY_LEN(copies), bad);
	b->multiplier = get_hex(o, "multiplier", bad);
	b->rotate = (unsigned)get_number(o, "rotate", 56, bad);
	b->constraint = get_choice(o, "constraint", constraints, VB_ARRAY_LEN(constraints), bad);
	b->scale = get_hex(o, "scale", bad);
	b->constant = get_hex(o, "constant", bad);
	b->dropped = json_is_true(json_object_get(o, "dropped"));
	if (!*bad && (!is_power_of_two(b->size) || b->size < 16 || b->buffer < 1 || b->buffer > b->size - 8))
		*bad = "size";
	const json_t *window = get_array(o, "window", CHAFF_WINDOW_BYTES, CHAFF_WINDOW_BYTES, bad);
	const json_t *trigger = get_array(o, "trigger", CHAFF_TRIGGER_BYTES, CHAFF_TRIGGER_BYTES, bad);
	for (unsigned i = 0; window && i < CHAFF_WINDOW_BYTES; i++) {
		json_int_t offset = json_integer_value(json_array_get(window, i));
		b->window[i] = offset < 0 || offset > INT32_MAX ? -1 : (int32_t)offset;
	}
	for (unsigned i = 0; trigger && i < CHAFF_TRIGGER_BYTES; i++) {
		const json_t *pair = json_array_get(trigger, i);
		json_int_t at = json_integer_value(json_array_get(pair, 0)), value = json_integer_value(json_array_get(pair, 1));
		if (at < 0 || at >= CHAFF_WINDOW_BYTES || value < 0 || value > 255 || b->window[at] < 0)
			*bad = *bad ? *bad : "trigger";
		else
			b->trigger[i] = (struct chaff_trigger){(uint8_t)at, (uint8_t)value};
		if (b->word && b->trigger[i].at != b->trigger[0].at + i)
			*bad = *bad ? *bad : "compare";
	}
}

static void read_site(struct chaff_site *s, const json_t *o, const char **bad)
{
	s->bug = (unsigned)get_number(o, "bug", CHAFF_MAX_BUGS, bad);
	s->function = get_hex(o, "function", bad);
	s->function_bytes = get_number(o, "function-bytes", 1u << 30, bad);
	s->proved = json_is_true(json_object_get(o, "proved"));
	for (unsigned k = 0; k < CHAFF_NOTE_KINDS; k++) {
		const json_t *list = get_array(o, note_names[k], 0, 1000, bad);
		s->notes[k] = calloc(json_array_size(list) + 1, sizeof(uint64_t));
		for (size_t n = 0; s->notes[k] && n < json_array_size(list); n++)
			s->notes[k][s->note_count[k]++] = (uint64_t)json_integer_value(json_array_get(list, n));
	}
}

static void read_binary(struct chaff_binary *b, const json_t *o, const char **bad)
{
	b->name = get_text(o, "name", bad);
	b->code = get_text(o, "code", bad);
	const json_t *sites = get_array(o, "sites", 0, CHAFF_MAX_BUGS, bad);
	b->sites = calloc(json_array_size(sites) + 1, sizeof(*b->sites));
	for (size_t s = 0; b->sites && s < json_array_size(sites); s++)
		read_site(&b->sites[b->site_count++], json_array_get(sites, s), bad);
}

static int by_id(const void *a, const void *b)
{
	const struct chaff_bug *x = a, *y = b;
	return x->id < y->id ? -1 : x->id > y->id;
}

static int decode(struct chaff_plan *plan, const json_t *root, struct vb_error *err)
{
	const char *bad = NULL;
	if (get_number(root, "chaff-plan", 1, &bad) != 1)
		bad = "chaff-plan";
	const json_t *bugs = get_array(root, "bugs", 0, CHAFF_MAX_BUGS, &bad);
	const json_t *binaries = get_array(root, "binaries", 0, 10000, &bad);
	plan->bugs = calloc(json_array_size(bugs) + 1, sizeof(*plan->bugs));
	plan->binaries = calloc(json_array_size(binaries) + 1, sizeof(*plan->binaries));
	for (size_t i = 0; plan->bugs && i < json_array_size(bugs); i++)
		read_bug(&plan->bugs[plan->bug_count++], json_array_get(bugs, i), &bad);
	for (size_t i = 0; plan->binaries && i < json_array_size(binaries); i++)
		read_binary(&plan->binaries[plan->binary_count++], json_array_get(binaries, i), &bad);
	if (bad)
		return vb_error_set(err, -EINVAL, "no plan of `vauban chaff plan`: \"%s\" is bad or missing", bad);
	qsort(plan->bugs, plan->bug_count, sizeof(*plan->bugs), by_id);
	for (unsigned i = 1; i < plan->bug_count; i++) {
		if (plan->bugs[i].id == plan->bugs[i - 1].id)
			return vb_error_set(err, -EINVAL, "two bugs have the number %u", plan->bugs[i].id);
	}
	return 0;
}

int chaff_plan_read(struct chaff_plan *plan, const char *path, struct vb_error *err)
{
	char *text;
	size_t length;
	json_error_t why;
	*plan = (struct chaff_plan){0};
	int r = file_read(AT_FDCWD, path, MAX_PLAN_BYTES, &text, &length);
	if (r < 0)
		return vb_error_set(err, r, "%s: %s", path, strerror(-r));
	json_t *root = json_loadb(text, length, JSON_REJECT_DUPLICATES, &why);
	r = root ? decode(plan, root, err) : vb_error_set(err, -EINVAL, "line %d: %s", why.line, why.text);
	json_decref(root);
	free(text);
	if (r < 0) {
		chaff_plan_release(plan);
		return vb_error_wrap(err, r, "%s", path);
	}
	return 0;
}

/* --- writing --- */

static json_t *hex(uint64_t n)
{
	return json_sprintf("0x%lx", n);
}

static json_t *bug_json(const struct chaff_bug *b)
{
	json_t *window = json_array(), *trigger = json_array();
	for (unsigned i = 0; i < CHAFF_WINDOW_BYTES; i++)
		json_array_append_new(window, json_integer(b->window[i]));
	for (unsigned i = 0; i < CHAFF_TRIGGER_BYTES; i++)
		json_array_append_new(trigger, json_pack("[i,i]", b->trigger[i].at, b->trigger[i].value));
	return json_pack("{s:i, s:s, s:s, s:s, s:o, s:i, s:s, s:o, s:o, s:s, s:I, s:i, s:i, s:s, s:o, s:i, s:s, s:o, s:o, s:b}", "id",
		b->id, "kind", chaff_kind(b), "module", b->module, "function", b->function, "hash", hex(b->hash), "load", b->load, "input",
		b->input, "window", window, "trigger", trigger, "compare", compares[b->word], "branches", (json_int_t)b->branches, "size",
		b->size, "buffer", b->buffer, "copy", copies[b->copy], "multiplier", hex(b->multiplier), "rotate", b->rotate, "constraint",
		constraints[b->constraint], "scale", hex(b->scale), "constant", hex(b->constant), "dropped", b->dropped);
}

static json_t *site_json(const struct chaff_site *s)
{
	json_t *o = json_pack("{s:i, s:o, s:I, s:b}", "bug", s->bug, "function", hex(s->function), "function-bytes",
		(json_int_t)s->function_bytes, "proved", s->proved);
	for (unsigned k = 0; k < CHAFF_NOTE_KINDS; k++) {
		json_t *list = json_array();
		for (unsigned n = 0; n < s->note_count[k]; n++)
			json_array_append_new(list, json_integer((json_int_t)s->notes[k][n]));
		json_object_set_new(o, note_names[k], list);
	}
	return o;
}

int chaff_plan_write(const struct chaff_plan *plan, const char *path, struct vb_error *err)
{
	json_t *bugs = json_array(), *binaries = json_array();
	for (unsigned i = 0; i < plan->bug_count; i++)
		json_array_append_new(bugs, bug_json(&plan->bugs[i]));
	for (unsigned i = 0; i < plan->binary_count; i++) {
		const struct chaff_binary *b = &plan->binaries[i];
		json_t *sites = json_array();
		for (unsigned s = 0; s < b->site_count; s++)
			json_array_append_new(sites, site_json(&b->sites[s]));
		json_array_append_new(binaries, json_pack("{s:s, s:s, s:o}", "name", b->name, "code", b->code, "sites", sites));
	}
	json_t *root = json_pack("{s:i, s:o, s:o}", "chaff-plan", 1, "bugs", bugs, "binaries", binaries);
	char *text = root ? json_dumps(root, JSON_INDENT(1)) : NULL;
	json_decref(root);
	if (!text)
		return vb_error_set(err, -ENOMEM, "no memory left to write %s", path);
	mode_t mask = umask(077); /* secret */
	int r = file_replace(AT_FDCWD, path, text, strlen(text));
	umask(mask);
	free(text);
	if (r < 0)
		return vb_error_set(err, r, "can't write %s: %s", path, strerror(-r));
	return chmod(path, 0600) < 0 ? vb_error_errno(err, "can't make %s secret", path) : 0;
}

void chaff_plan_release(struct chaff_plan *plan)
{
	for (unsigned i = 0; i < plan->bug_count; i++)
		free(plan->bugs[i].module), free(plan->bugs[i].function), free(plan->bugs[i].input);
	for (unsigned i = 0; i < plan->binary_count; i++) {
		struct chaff_binary *b = &plan->binaries[i];
		for (unsigned s = 0; s < b->site_count; s++)
			for (unsigned k = 0; k < CHAFF_NOTE_KINDS; k++)
				free(b->sites[s].notes[k]);
		free(b->sites), free(b->name), free(b->code);
	}
	free(plan->bugs), free(plan->binaries);
	*plan = (struct chaff_plan){0};
}

const struct chaff_bug *chaff_plan_bug(const struct chaff_plan *plan, unsigned id)
{
	struct chaff_bug key = {.id = id};
	return plan->bug_count ? bsearch(&key, plan->bugs, plan->bug_count, sizeof(key), by_id) : NULL;
}
