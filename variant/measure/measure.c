/* `vauban measure`: owns its options and the order of work. */
#include "variant/measure/measure.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/types.h"
#include "host/parse.h"
#include "variant/commands.h"
#include "variant/measure/plot.h"

#define MAX_VARIANTS 1000

/* Files are taken one by one by as many threads as there are processors. */
struct work {
	struct measured *at;
	char **paths;
	unsigned count, depth;
	atomic_uint next;
	atomic_int failed; /* index + 1 of a file that couldn't be read */
	struct vb_error err;
};

static int measure_one(struct measured *m, const char *path, unsigned depth, struct vb_error *err)
{
	char map[sizeof(m->map.path)];
	int r = binary_load(path, &m->binary, err);
	if (r < 0)
		return r;
	if (snprintf(map, sizeof(map), "%s.map", path) >= (int)sizeof(map))
		return vb_error_set(err, -ENAMETOOLONG, "the name %.40s... is too long", path);
	memcpy(m->map.path, map, sizeof(map));
	if ((r = places_load_map(&m->map, &m->binary, map, false, err)) < 0)
		return r;
	if ((r = gadgets_find(&m->binary, depth, &m->gadgets, err)) < 0)
		return r;
	for (size_t i = 0; i < m->gadgets.count; i++)
		m->trivial += m->gadgets.at[i].instructions == 1;
	m->text_bytes = binary_text_bytes(&m->binary);
	if ((r = survival_keys_init(&m->keys, &m->binary, &m->gadgets)) < 0)
		return vb_error_set(err, r, "%s: out of memory", path);
	return 0;
}

static void *work_main(void *arg)
{
	struct work *w = arg;
	for (unsigned i; (i = atomic_fetch_add(&w->next, 1)) < w->count;) {
		struct vb_error err;
		int none = 0;
		if (measure_one(&w->at[i], w->paths[i], w->depth, &err) < 0 &&
			atomic_compare_exchange_strong(&w->failed, &none, (int)i + 1))
			w->err = err;
	}
	return NULL;
}

static int measure_files(struct work *w, struct vb_error *err)
{
	pthread_t threads[15];
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned started = 0;
	while (started < VB_ARRAY_LEN(threads) && started + 1 < w->count && started + 1 < processors &&
		pthread_create(&threads[started], NULL, work_main, w) == 0)
		started++;
	work_main(w);
	while (started)
		pthread_join(threads[--started], NULL);
	if (!w->failed)
		return 0;
	*err = w->err;
	return -EINVAL;
}

static int compare_all(struct measurement *m, enum survival kind)
{
	struct survivors *s = &m->survival[kind];
	unsigned n = m->count;
	struct survival_keys *keys = malloc(n * sizeof(*keys));
	s->fractions = calloc((size_t)n * n, sizeof(*s->fractions));
	s->in_many = calloc(n, sizeof(*s->in_many));
	if (!keys || !s->fractions || !s->in_many) {
		free(keys);
		return -ENOMEM;
	}
	s->least = 1;
	for (unsigned a = 0; a < n; a++) {
		keys[a] = m->variants[a].keys;
		s->mean_keys += (double)keys[a].count[kind] / n;
		for (unsigned b = 0; b < n; b++) {
			if (a == b || !m->variants[a].keys.count[kind])
				continue;
			double common = (double)survival_common(&m->variants[a].keys, &m->variants[b].keys, kind);
			s->fractions[a * n + b] = common / (double)m->variants[a].keys.count[kind];
		}
	}
	for (unsigned a = 0; a < n; a++) {
		for (unsigned b = 0; b < n; b++) {
			if (a == b)
				continue;
			double f = s->fractions[a * n + b];
			s->mean += f / ((double)n * (n - 1));
			s->max = vb_max(s->max, f);
			s->least = vb_min(s->least, f);
		}
	}
	int r = kind == SURVIVES_PLACES ? 0 : survival_in_many(keys, n, kind, s->in_many);
	free(keys);
	return r;
}

static int compare_variants(struct measurement *m)
{
	int r = 0;
	for (unsigned kind = 0; kind < SURVIVES_KINDS && r == 0; kind++)
		r = compare_all(m, kind);
	const struct binary **binaries = malloc(m->count * sizeof(*binaries));
	const struct places **maps = malloc(m->count * sizeof(*maps));
	for (unsigned i = 0; i < m->count && binaries && maps; i++) {
		binaries[i] = &m->variants[i].binary;
		maps[i] = &m->variants[i].map;
	}
	if (r == 0)
		r = binaries && maps ? entropy_estimate(binaries, maps, m->count, m->entropy) : -ENOMEM;
	free(binaries);
	free(maps);
	if (r == 0)
		r = survival_places(&m->variants[0].binary, &m->variants[0].gadgets, &m->variants[1].keys, &m->places, &m->place_count);
	return r;
}

static void measurement_release(struct measurement *m)
{
	for (unsigned i = 0; i < m->count + (m->plain != NULL); i++) {
		binary_release(&m->variants[i].binary);
		places_release(&m->variants[i].map);
		gadgets_release(&m->variants[i].gadgets);
		survival_keys_release(&m->variants[i].keys);
	}
	for (unsigned kind = 0; kind < SURVIVES_KINDS; kind++) {
		free(m->survival[kind].fractions);
		free(m->survival[kind].in_many);
	}
	free(m->places);
	free(m->variants);
}

struct request {
	unsigned depth;
	size_t places;
	bool json, list;
	char *plain;
	const char *plot;
	enum survival plotted;
};

static void list_gadgets(const struct measured *m)
{
	for (size_t i = 0; i < m->gadgets.count; i++) {
		const struct gadget *g = &m->gadgets.at[i];
		const uint8_t *bytes = binary_at(&m->binary, g->address, g->bytes);
		printf("0x%016llx %u ", (unsigned long long)g->address, g->instructions);
		for (unsigned k = 0; bytes && k < g->bytes; k++)
			printf("%02x", bytes[k]);
		printf(" %u\n", g->terminator);
	}
}

static int plot(const struct measurement *m, const struct request *q, struct vb_error *err)
{
	char title[128];
	const char **labels = calloc(m->count, sizeof(*labels));
	char(*numbered)[32] = calloc(m->count, sizeof(*numbered));
	int r = -ENOMEM;
	if (labels && numbered) {
		for (unsigned i = 0; i < m->count; i++) {
			/* The last two parts of its path, as far as there is room: FOLDER/NAME. */
			const char *path = m->variants[i].binary.path, *from = path + strlen(path);
			for (unsigned slashes = 0; from > path && (from[-1] != '/' || ++slashes < 2);)
				from--;
			snprintf(numbered[i], sizeof(numbered[i]), "%.17s %u", from, i + 1);
			labels[i] = numbered[i];
		}
		snprintf(title, sizeof(title), "Gadgets that survive %s, mean %.3f%%", survival_titles[q->plotted],
			100 * m->survival[q->plotted].mean);
		r = plot_matrix(q->plot, title, m->survival[q->plotted].fractions, labels, m->count, err);
	} else {
		vb_error_set(err, r, "out of memory");
	}
	free(labels);
	free(numbered);
	return r;
}

static int measure_and_report(const struct command *self, const struct request *q, char **paths, unsigned count)
{
	struct vb_error err;
	struct measurement m = {.depth = q->depth, .count = count};
	unsigned files = count + (q->plain != NULL);
	struct work w = {.paths = malloc((files + 1) * sizeof(*w.paths)), .count = files, .depth = q->depth};
	m.variants = w.at = calloc(files, sizeof(*m.variants));
	int r = -ENOMEM;
	if (w.paths && w.at) {
		memcpy(w.paths, paths, count * sizeof(*paths));
		w.paths[count] = q->plain;
		m.plain = q->plain ? &m.variants[count] : NULL;
		r = measure_files(&w, &err);
	} else {
		vb_error_set(&err, r, "out of memory");
	}
	if (r == 0 && q->list)
		list_gadgets(&m.variants[0]);
	if (r == 0 && !q->list) {
		for (unsigned i = 0; i < count; i++)
			if (m.variants[i].binary.stripped)
				fprintf(stderr,
					"vauban measure: %s is stripped: what survives relative to symbols can't be told; measure it "
					"before `strip`\n",
					m.variants[i].binary.path);
		if ((r = compare_variants(&m)) < 0)
			vb_error_set(&err, r, "out of memory");
		if (r == 0 && q->plot)
			r = plot(&m, q, &err);
		if (r == 0 && q->json && (r = report_json(stdout, &m, q->places)) < 0)
			vb_error_set(&err, r, "out of memory");
		if (r == 0 && !q->json)
			report_text(stdout, &m, q->places);
	}
	if (w.at)
		measurement_release(&m);
	free(w.paths);
	return r < 0 ? command_fail(self, &err) : 0;
}

enum { OPT_JSON = 1, OPT_PLAIN, OPT_PLOT, OPT_PLOTTED, OPT_DEPTH, OPT_LIST, OPT_FUNCTIONS };
static const struct option options[] = {{"json", no_argument, NULL, OPT_JSON}, {"plain", required_argument, NULL, OPT_PLAIN},
	{"plot", required_argument, NULL, OPT_PLOT}, {"plotted", required_argument, NULL, OPT_PLOTTED},
	{"depth", required_argument, NULL, OPT_DEPTH}, {"list", no_argument, NULL, OPT_LIST},
	{"functions", required_argument, NULL, OPT_FUNCTIONS}, {0}};

static int measure_main(const struct command *self, int argc, char **argv)
{
	struct request q = {.depth = GADGET_DEFAULT_DEPTH, .plotted = SURVIVES_SYMBOL};
	long number;
	for (int c; (c = command_option(self, argc, argv, options)) >= 0;) {
		switch (c) {
		case OPT_JSON:
			q.json = true;
			break;
		case OPT_PLAIN:
			q.plain = optarg;
			break;
		case OPT_PLOT:
			q.plot = optarg;
			if (strlen(optarg) <= 4 ||
				(strcmp(optarg + strlen(optarg) - 4, ".svg") != 0 && strcmp(optarg + strlen(optarg) - 4, ".png") != 0))
				return command_usage(
					self, "--plot writes SVG or PNG: name a file that ends in .svg or .png, not \"%s\"", optarg);
			break;
		case OPT_PLOTTED:
			for (q.plotted = 0; q.plotted < SURVIVES_KINDS && strcmp(optarg, survival_names[q.plotted]) != 0;)
				q.plotted++;
			if (q.plotted == SURVIVES_KINDS)
				return command_usage(self, "--plotted is address, symbol, anywhere, effect or places, not \"%s\"", optarg);
			break;
		case OPT_DEPTH:
			if (parse_number(optarg, 2, GADGET_MAX_DEPTH, &number) < 0)
				return command_usage(self, "--depth is a number from 2 to %d, not \"%s\"", GADGET_MAX_DEPTH, optarg);
			q.depth = (unsigned)number;
			break;
		case OPT_LIST:
			q.list = true;
			break;
		case OPT_FUNCTIONS:
			if (parse_number(optarg, 1, 1000000, &number) < 0)
				return command_usage(self, "--functions is how many to list, not \"%s\"", optarg);
			q.places = (size_t)number;
			break;
		}
	}
	int count = argc - optind;
	if (q.list && count != 1)
		return command_usage(self, "--list takes one file");
	if (!q.list && (count < 2 || count > MAX_VARIANTS))
		return command_usage(self, count < 2 ? "name two variants or more" : "too many variants, at most %d", MAX_VARIANTS);
	return measure_and_report(self, &q, argv + optind, (unsigned)count);
}

const struct command command_measure = {
	.name = "measure",
	.arguments = "[OPTIONS] VARIANT VARIANT...",
	.about = "tell which gadgets survive between variants of a program",
	.help = "  --plain FILE        the build without transformations: tells how much the text grew\n"
		"  --depth N           longest gadgets, in instructions with the terminator (5)\n"
		"  --functions N       list the N functions with most survivors relative to them, of the first pair\n"
		"  --plot FILE         draw the survivors of each pair, FILE ends in .svg or .png\n"
		"  --plotted KIND      which: address, symbol (default), anywhere, effect, places\n"
		"  --list              print the gadgets of one file: address, instructions, bytes, length of the terminator\n"
		"  --json              for programs\n"
		"\n"
		"Gadgets are decoded at every byte of executable segments. Bare terminators don't count. vauban-measure(1) defines each "
		"number.\n"
		"\n"
		"example: vauban measure --plain SET/plain/redis-server SET/*/redis-server\n",
	.run = measure_main,
};
