/* Owns `vauban chaff plan`: reads traces (as runtime.c writes them; decoded in full) and chooses bugs, evenly over data and places. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "base/types.h"
#include "host/file.h"
#include "host/parse.h"
#include "variant/chaff/chaff.h"
#include "variant/random.h"

#define MAX_TRACE_BYTES (1u << 30)
#define MAX_OFFSETS     (1u << 24)

struct candidate {
	const char *input, *module, *function;
	uint64_t hash, executions, branches;
	unsigned load, source, place; /* numbers of its data and of its place */
	int32_t window[CHAFF_WINDOW_BYTES];
	uint8_t quiet[CHAFF_WINDOW_BYTES]; /* may be a trigger */
	unsigned quiet_count, used;
};

/* A place that runs too often, in any of the traces. */
struct hot {
	const char *module, *function;
	uint64_t hash;
	unsigned load;
};

struct choice {
	struct hot *hot;
	unsigned hot_count, hot_capacity;
	struct candidate *list;
	unsigned count, capacity, sources, places;
	uint64_t max_branches, max_executions;
	unsigned *source_used, *place_used;
};

/* One field of a line, up to a tab or the end. */
static char *field(char **line)
{
	char *at = *line, *tab = at ? strchr(at, '\t') : NULL;
	if (tab)
		*tab = 0;
	*line = tab ? tab + 1 : NULL;
	return at;
}

static int number(char **line, int base, uint64_t max, uint64_t *ret)
{
	char *text = field(line), *end = NULL;
	errno = 0;
	if (!text || !((*text >= '0' && *text <= '9') || (base == 16 && *text >= 'a' && *text <= 'f')))
		return -EINVAL;
	*ret = strtoull(text, &end, base);
	return *end || errno || *ret > max ? -EINVAL : 0;
}

static bool same_window(const struct candidate *a, const struct candidate *b)
{
	return a->input == b->input && memcmp(a->window, b->window, sizeof(a->window)) == 0;
}

static int add(struct choice *c, const struct candidate *new)
{
	if (c->count == c->capacity) {
		c->capacity = c->capacity ? 2 * c->capacity : 256;
		void *more = realloc(c->list, c->capacity * sizeof(*c->list));
		if (!more)
			return -ENOMEM;
		c->list = more;
	}
	struct candidate *n = &c->list[c->count];
	*n = *new;
	n->source = c->sources, n->place = c->places;
	for (unsigned i = 0; i < c->count; i++) {
		const struct candidate *o = &c->list[i];
		if (same_window(o, n))
			n->source = o->source;
		if (o->hash == n->hash && o->load == n->load && !strcmp(o->module, n->module) && !strcmp(o->function, n->function))
			n->place = o->place;
	}
	c->sources += n->source == c->sources;
	c->places += n->place == c->places;
	c->count++;
	return 0;
}

/* A window of the place whose line came before it. */
static int take_window(struct choice *c, struct candidate *place, char *line, const uint64_t *used)
{
	uint64_t at, executions;
	struct candidate new = *place;
	if (!place->module || number(&line, 10, 7, &at) < 0 || number(&line, 10, UINT64_MAX, &executions) < 0)
		return -EINVAL;
	for (unsigned i = 0; i < CHAFF_WINDOW_BYTES; i++) {
		char *text = line;
		uint64_t offset;
		if (text && strncmp(text, "-1", 2) == 0) {
			field(&line);
			new.window[i] = -1;
			continue;
		}
		if (number(&line, 10, MAX_OFFSETS - 1, &offset) < 0)
			return -EINVAL;
		new.window[i] = (int32_t)offset;
		/* The same byte twice in a window can't be two bytes of a trigger. */
		bool twice = false;
		for (unsigned k = 0; k < i; k++)
			twice = twice || new.window[k] == new.window[i];
		if (twice || used[offset] > c->max_branches)
			continue;
		new.branches = used[offset] > new.branches ? used[offset] : new.branches;
		new.quiet[new.quiet_count++] = (uint8_t)i;
	}
	if (new.quiet_count < CHAFF_TRIGGER_BYTES)
		return 0;
	return add(c, &new);
}

static int add_hot(struct choice *c, const struct candidate *place)
{
	if (c->hot_count == c->hot_capacity) {
		c->hot_capacity = c->hot_capacity ? 2 * c->hot_capacity : 256;
		void *more = realloc(c->hot, c->hot_capacity * sizeof(*c->hot));
		if (!more)
			return -ENOMEM;
		c->hot = more;
	}
	c->hot[c->hot_count++] = (struct hot){place->module, place->function, place->hash, place->load};
	return 0;
}

static bool is_hot(const struct choice *c, const struct candidate *n)
{
	for (unsigned h = 0; h < c->hot_count; h++) {
		const struct hot *o = &c->hot[h];
		if (o->hash == n->hash && o->load == n->load && !strcmp(o->module, n->module) && !strcmp(o->function, n->function))
			return true;
	}
	return false;
}

static int take_line(struct choice *c, struct candidate *place, uint64_t *used, char *line)
{
	uint64_t offset, load;
	char *what = field(&line);
	if (strcmp(what, "input") == 0 && line) {
		place->input = line;
		return 0;
	}
	if (strcmp(what, "bytes") == 0)
		return number(&line, 10, MAX_OFFSETS, &offset);
	if (strcmp(what, "used") == 0)
		return number(&line, 10, MAX_OFFSETS - 1, &offset) < 0 ? -EINVAL : number(&line, 10, UINT64_MAX, &used[offset]);
	if (strcmp(what, "window") == 0)
		return take_window(c, place, line, used);
	if (strcmp(what, "place") != 0 || !place->input)
		return -EINVAL;
	place->module = field(&line);
	place->function = field(&line);
	if (!line || number(&line, 16, UINT64_MAX, &place->hash) < 0 || number(&line, 10, UINT32_MAX - 1, &load) < 0)
		return -EINVAL;
	place->load = (unsigned)load;
	if (number(&line, 10, UINT64_MAX, &place->executions) < 0)
		return -EINVAL;
	return place->executions > c->max_executions ? add_hot(c, place) : 0;
}

/* The text stays: candidates point into it. */
static int read_trace(struct choice *c, const char *path, struct vb_error *err)
{
	char *text, *line, *rest;
	size_t length;
	int r = file_read(AT_FDCWD, path, MAX_TRACE_BYTES, &text, &length);
	if (r < 0)
		return vb_error_set(err, r, "%s: %s", path, strerror(-r));
	uint64_t *used = calloc(MAX_OFFSETS, sizeof(*used));
	struct candidate place = {0};
	unsigned n = 1;
	line = strsep(&text, "\n");
	r = !used ? -ENOMEM : strcmp(line, "vauban-chaff-trace 1") == 0 ? 0 : -EINVAL;
	for (rest = text; r == 0 && (line = strsep(&rest, "\n")) && *line; n++)
		r = take_line(c, &place, used, line);
	free(used);
	return r == -ENOMEM ? vb_error_set(err, r, "no memory left")
	       : r < 0      ? vb_error_set(err, r, "%s: line %u: no trace of `vauban chaff trace`", path, n)
			    : 0;
}

/* Fewest uses of its data first, then of its place, then the quietest, then the coldest. */
static bool better(const struct choice *c, const struct candidate *a, const struct candidate *b)
{
	unsigned long x[4] = {c->source_used[a->source], c->place_used[a->place], a->branches, a->executions};
	unsigned long y[4] = {c->source_used[b->source], c->place_used[b->place], b->branches, b->executions};
	for (unsigned i = 0; i < 4; i++) {
		if (x[i] != y[i])
			return x[i] < y[i];
	}
	return false;
}

/* Bytes that texts don't hold, mostly. */
static uint8_t trigger_byte(struct variant_random *r)
{
	if (variant_random_percent(r, 75))
		return (uint8_t)(0x80 + variant_random_below(r, 0x80));
	static const char others[] = "#%&*+0123456789<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ^_abcdefghijklmnopqrstuvwxyz|~";
	return (uint8_t)others[variant_random_below(r, sizeof(others) - 1)];
}

static void shape(struct chaff_bug *b, struct variant_random *r, bool supervised)
{
	b->storage = variant_random_percent(r, 40) ? CHAFF_HEAP : CHAFF_STACK;
	b->effect = supervised ? (enum chaff_effect)variant_random_below(r, 3) : CHAFF_UNUSED;
	b->copy = variant_random_percent(r, 50) ? CHAFF_LOOP : CHAFF_INDEX;
	b->size = b->copy == CHAFF_LOOP ? 16 : 16u << variant_random_below(r, 3);
	b->buffer = b->size - 8;
	if (b->effect == CHAFF_UNUSED)
		b->buffer = b->size / 4 + (unsigned)variant_random_below(r, b->size / 2 - 3);
	b->multiplier = variant_random_u64(r) | 1;
	b->rotate = (unsigned)variant_random_below(r, 57);
	b->constraint = (enum chaff_constraint)variant_random_below(r, 3);
	/* (2^32 - 1) * scale + constant stays within [2^63, 2^63 + 2^62) */
	b->scale = variant_random_below(r, 1u << 20) * 8 + 24;
	b->constant = 0x8000000000000000 + variant_random_below(r, 1ull << 61);
}

static int fill(struct chaff_bug *b, const struct candidate *c, struct variant_random *r)
{
	unsigned order[CHAFF_WINDOW_BYTES];
	b->module = strdup(c->module), b->function = strdup(c->function), b->input = strdup(c->input);
	b->hash = c->hash, b->load = c->load, b->branches = c->branches;
	memcpy(b->window, c->window, sizeof(b->window));
	/* Four in a row, where there are, are mostly compared at once: fuzzers that know of comparisons find that soonest. */
	unsigned starts[CHAFF_WINDOW_BYTES], start_count = 0;
	for (unsigned q = 0; q + CHAFF_TRIGGER_BYTES <= c->quiet_count; q++) {
		if (c->quiet[q + CHAFF_TRIGGER_BYTES - 1] == c->quiet[q] + CHAFF_TRIGGER_BYTES - 1)
			starts[start_count++] = q;
	}
	b->word = start_count && variant_random_percent(r, 75);
	unsigned first = b->word ? starts[variant_random_below(r, start_count)] : 0;
	variant_random_order(r, order, c->quiet_count);
	for (unsigned t = 0; t < CHAFF_TRIGGER_BYTES; t++)
		b->trigger[t] = (struct chaff_trigger){c->quiet[b->word ? first + t : order[t]], trigger_byte(r)};
	b->trigger[variant_random_below(r, CHAFF_TRIGGER_BYTES)].value |= 0x80;
	return b->module && b->function && b->input ? 0 : -ENOMEM;
}

static int choose(struct choice *c, struct chaff_plan *plan, unsigned wanted, unsigned each, bool supervised, struct variant_random *r)
{
	c->source_used = calloc(c->sources + 1, sizeof(unsigned));
	c->place_used = calloc(c->places + 1, sizeof(unsigned));
	plan->bugs = calloc(wanted + 1, sizeof(*plan->bugs));
	if (!c->source_used || !c->place_used || !plan->bugs)
		return -ENOMEM;
	unsigned cold = 0;
	for (unsigned i = 0; i < c->count; i++) {
		if (!is_hot(c, &c->list[i]))
			c->list[cold++] = c->list[i];
	}
	c->count = cold;
	for (; plan->bug_count < wanted; plan->bug_count++) {
		struct candidate *best = NULL;
		for (unsigned i = 0; i < c->count; i++) {
			if (c->list[i].used < each && (!best || better(c, &c->list[i], best)))
				best = &c->list[i];
		}
		if (!best)
			return 0;
		best->used++;
		c->source_used[best->source]++;
		c->place_used[best->place]++;
		struct chaff_bug *b = &plan->bugs[plan->bug_count];
		b->id = plan->bug_count + 1;
		shape(b, r, supervised);
		if (fill(b, best, r) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int run_plan(const struct chaff_verb *self, int argc, char **argv)
{
	static const struct option options[] = {{"supervised", no_argument, NULL, 's'}, {"max-branches", required_argument, NULL, 'b'},
		{"max-executions", required_argument, NULL, 'e'}, {"each", required_argument, NULL, 'k'},
		{"seed", required_argument, NULL, 'r'}, {0}};
	long n = 0, branches = 0, executions = 1000, each = 2, seed = -1;
	bool supervised = false;
	const char *out = NULL;
	struct vb_error err;
	for (int c; (c = chaff_option(self, argc, argv, options)) >= 0;) {
		long *to = c == 'n' ? &n : c == 'b' ? &branches : c == 'e' ? &executions : c == 'k' ? &each : c == 'r' ? &seed : NULL;
		if (c == 'o')
			out = optarg;
		else if (c == 's')
			supervised = true;
		else if (parse_number(optarg, 0, c == 'n' || c == 'k' ? CHAFF_MAX_BUGS : INT64_MAX, to) < 0)
			return chaff_usage(self, "\"%s\" is not such a number", optarg);
	}
	if (!out || n < 1 || optind == argc)
		return chaff_usage(self, "say how many bugs (-n), the plan to write (-o), and the traces");
	struct choice choice = {.max_branches = (uint64_t)branches, .max_executions = (uint64_t)executions};
	for (; optind < argc; optind++) {
		if (read_trace(&choice, argv[optind], &err) < 0)
			return chaff_fail(self, &err);
	}
	struct chaff_plan plan = {0};
	struct variant_random r;
	uint64_t secret = (uint64_t)seed;
	static const char *const names[] = {"chaff", NULL};
	if (seed < 0 && getrandom(&secret, sizeof(secret), 0) != sizeof(secret)) {
		vb_error_errno(&err, "getrandom");
		return chaff_fail(self, &err);
	}
	variant_random_init(&r, secret, names);
	if (choose(&choice, &plan, (unsigned)n, (unsigned)each, supervised, &r) < 0) {
		vb_error_set(&err, -ENOMEM, "no memory left");
		return chaff_fail(self, &err);
	}
	if (!plan.bug_count) {
		vb_error_set(&err, -ENOENT,
			"no place in these traces has %d bytes of the input that decide at most %ld branches: trace other inputs, or raise "
			"--max-branches",
			CHAFF_TRIGGER_BYTES, branches);
		return chaff_fail(self, &err);
	}
	if (chaff_plan_write(&plan, out, &err) < 0)
		return chaff_fail(self, &err);
	unsigned sources = 0, places = 0;
	for (unsigned i = 0; i < choice.sources; i++)
		sources += choice.source_used[i] > 0;
	for (unsigned i = 0; i < choice.places; i++)
		places += choice.place_used[i] > 0;
	printf("%u bugs, %u sources of data, %u places (of %u and %u found)\n", plan.bug_count, sources, places, choice.sources,
		choice.places);
	if (plan.bug_count < n)
		fprintf(stderr,
			"vauban chaff plan: only %u of %ld bugs found data: trace other inputs, or raise --max-branches, --max-executions "
			"or --each\n",
			plan.bug_count, n);
	return CHAFF_OK;
}

const struct chaff_verb chaff_plan_verb = {"plan", "-n N -o PLAN [OPTION]... TRACE...", "choose bugs by traces and write the secret plan",
	"  -n N                 bugs to choose\n"
	"  -o PLAN              the file to write, for you alone\n"
	"  --supervised         kinds that crash, too: for programs that something restarts\n"
	"  --max-branches N     bytes that decide more branches than this in the traced run are no data for bugs (0)\n"
	"  --max-executions N   places that ran more often than this in any of the traces are too hot (1000): trace a long run, too\n"
	"  --each N             bugs at most for one place and data (2)\n"
	"  --seed N             choose by a number, for tests; whoever knows it knows the plan\n"
	"example: vauban chaff plan -n 40 -o plan trace1 trace2\n",
	run_plan};
