/* Owns the table of options. */
#include "variant/options.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/types.h"
#include "host/error.h"
#include "host/parse.h"

#define FAST 1
#define FULL 2
static const struct {
	const char *name;
	int levels; /* that it is part of */
} transformations[VARIANT_TRANSFORMATIONS] = {
	[VARIANT_FUNCTIONS] = {"functions", FAST | FULL},
	[VARIANT_DATA] = {"data", FAST | FULL},
	[VARIANT_PADDING] = {"padding", FAST | FULL},
	[VARIANT_BLOCKS] = {"blocks", FAST | FULL},
	[VARIANT_STACK] = {"stack", FAST | FULL},
	[VARIANT_NOPS] = {"nops", FAST | FULL},
	[VARIANT_ENCODINGS] = {"encodings", FAST | FULL},
	[VARIANT_REGISTERS] = {"registers", FAST | FULL},
	[VARIANT_TRAPS] = {"traps", FAST | FULL},
	[VARIANT_PARAMETERS] = {"parameters", FULL}, /* other moves around calls: demap finds fewer instructions again */
	[VARIANT_STRUCTS] = {"structs", 0},          /* changes layouts that other binaries may know */
};

static unsigned of_level(int level)
{
	unsigned set = 0;
	for (unsigned t = 0; t < VARIANT_TRANSFORMATIONS; t++)
		set |= transformations[t].levels & level ? 1u << t : 0;
	return set;
}

void variant_options_init(struct variant_options *o)
{
	*o = (struct variant_options){.transformations = of_level(FAST), .nop_percent = 5, .store_bytes = 5ull << 30};
}

bool variant_wants(const struct variant_options *o, enum variant_transformation t)
{
	return !o->plain && o->transformations >> t & 1;
}

static int parse_u64(const char *text, uint64_t *ret)
{
	char *end;
	errno = 0;
	uint64_t value = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno)
		return -EINVAL;
	*ret = value;
	return 0;
}

static int set_seed(struct variant_options *o, const char *value)
{
	o->seeded = true;
	return parse_u64(value, &o->seed);
}

static int set_level(struct variant_options *o, const char *value)
{
	if (strcmp(value, "fast") && strcmp(value, "full"))
		return -EINVAL;
	o->transformations = of_level(value[1] == 'a' ? FAST : FULL);
	o->nop_percent = value[1] == 'a' ? 5 : 30;
	return 0;
}

static int set_libc(struct variant_options *o, const char *value)
{
	o->libc = value;
	return strcmp(value, "musl") ? -EINVAL : 0;
}

static int set_nop_rate(struct variant_options *o, const char *value)
{
	long percent;
	if (parse_number(value, 0, 100, &percent) < 0)
		return -EINVAL;
	o->nop_percent = (unsigned)percent;
	return 0;
}

static int set_chaff(struct variant_options *o, const char *value)
{
	long count;
	if (parse_number(value, 0, 1000000, &count) < 0)
		return -EINVAL;
	o->chaff = (unsigned)count;
	return 0;
}

static int set_store_size(struct variant_options *o, const char *value)
{
	return parse_size(value, &o->store_bytes);
}

/* One of flag, text and set. */
static const struct {
	const char *name;
	const char *wants; /* of a value, for errors */
	bool is_flag;
	size_t offset;
	int (*set)(struct variant_options *o, const char *value);
} options[] = {
#define FLAG(name, field)                                                                                                                  \
	{                                                                                                                                  \
		name, NULL, true, offsetof(struct variant_options, field), NULL                                                            \
	}
#define TEXT(name, field, wants)                                                                                                           \
	{                                                                                                                                  \
		name, wants, false, offsetof(struct variant_options, field), NULL                                                          \
	}
	{"--seed", "a number below 2^64", false, 0, set_seed},
	{"--level", "fast or full", false, 0, set_level},
	FLAG("--plain", plain),
	FLAG("--map", map),
	{"--nop-rate", "a number from 0 to 100", false, 0, set_nop_rate},
	TEXT("--profile", profile, "a file that a run of a --profile-generate build wrote"),
	FLAG("--profile-generate", profile_generate),
	{"--libc", "musl", false, 0, set_libc},
	TEXT("--libc-source", libc_source, "the folder of musl's source package"),
	TEXT("--store", store, "a folder"),
	{"--store-size", "a size such as 5G", false, 0, set_store_size},
	{"--chaff", "how many bugs to inject", false, 0, set_chaff},
	TEXT("--chaff-plan", chaff_plan, "a file"),
	TEXT("--chaff-skip", chaff_skip, "numbers of bugs"),
	FLAG("--chaff-trace", chaff_trace),
	FLAG("--supervised", supervised),
};

static bool set_transformation(struct variant_options *o, const char *name)
{
	bool off = strncmp(name, "no-", 3) == 0;
	for (unsigned t = 0; t < VARIANT_TRANSFORMATIONS; t++) {
		if (strcmp(name + (off ? 3 : 0), transformations[t].name) == 0) {
			o->transformations = off ? o->transformations & ~(1u << t) : o->transformations | 1u << t;
			return true;
		}
	}
	return false;
}

int variant_options_parse(struct variant_options *o, char **argv, struct vb_error *err)
{
	const char *name = argv[0];
	if (strncmp(name, "--", 2) != 0)
		return 0;
	if (set_transformation(o, name + 2))
		return 1;
	size_t length = strcspn(name, "=");
	for (unsigned i = 0; i < VB_ARRAY_LEN(options); i++) {
		if (strlen(options[i].name) != length || strncmp(options[i].name, name, length) != 0)
			continue;
		char *field = (char *)o + options[i].offset;
		if (options[i].is_flag) {
			if (name[length])
				return vb_error_set(err, -EINVAL, "%s takes no value", options[i].name);
			*(bool *)field = true;
			return 1;
		}
		const char *value = name[length] ? name + length + 1 : argv[1];
		if (!value)
			return vb_error_set(err, -EINVAL, "%s wants %s", options[i].name, options[i].wants);
		if (options[i].set ? options[i].set(o, value) < 0 : !*value)
			return vb_error_set(err, -EINVAL, "%s wants %s, not \"%s\"", options[i].name, options[i].wants, value);
		if (!options[i].set)
			*(const char **)field = value;
		return name[length] ? 1 : 2;
	}
	return 0;
}

int variant_options_format(const struct variant_options *o, char *storage, size_t storage_bytes, char **argv, int max, struct vb_error *err)
{
	int count = 0;
	size_t used = 0;
#define ADD(...)                                                                                                                           \
	do {                                                                                                                               \
		int n = snprintf(storage + used, storage_bytes - used, __VA_ARGS__);                                                       \
		if (count >= max || n < 0 || (size_t)n >= storage_bytes - used)                                                            \
			return vb_error_set(                                                                                               \
				err, -E2BIG, "the options are longer than %zu bytes: give shorter names of files", storage_bytes);         \
		argv[count++] = storage + used;                                                                                            \
		used += (size_t)n + 1;                                                                                                     \
	} while (0)
	if (o->seeded)
		ADD("--seed=%" PRIu64, o->seed);
	for (unsigned t = 0; t < VARIANT_TRANSFORMATIONS; t++)
		ADD("--%s%s", o->transformations >> t & 1 ? "" : "no-", transformations[t].name);
	if (o->plain)
		ADD("--plain");
	if (o->chaff)
		ADD("--chaff=%u", o->chaff);
	if (o->chaff_plan)
		ADD("--chaff-plan=%s", o->chaff_plan);
	if (o->chaff_skip)
		ADD("--chaff-skip=%s", o->chaff_skip);
	if (o->chaff_trace)
		ADD("--chaff-trace");
	if (o->supervised)
		ADD("--supervised");
#undef ADD
	return count;
}
