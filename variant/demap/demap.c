/* `vauban demap`: owns its options and the choice of files. */
#include "variant/demap/demap.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "variant/commands.h"

struct request {
	const char *variant, *plain, *program, *backtrace, *core;
	bool json, based;
	uint64_t base;
	char variant_path[PATH_MAX], plain_path[PATH_MAX]; /* of a set */
};

/* The only program of a variant in a set: NAME with NAME.map, or, if there are no maps, the only executable. */
static int only_program(const char *folder, char name[NAME_MAX + 1], struct vb_error *err)
{
	DIR *d = opendir(folder);
	unsigned found = 0;
	if (!d)
		return vb_error_errno(err, "can't read %s", folder);
	for (struct dirent *e; (e = readdir(d));) {
		size_t length = strlen(e->d_name);
		if (length <= 4 || strcmp(e->d_name + length - 4, ".map") != 0)
			continue;
		found++;
		memcpy(name, e->d_name, length - 4);
		name[length - 4] = 0;
	}
	closedir(d);
	if (found == 1)
		return 0;
	return vb_error_set(err, -EINVAL,
		found ? "%s has several programs: say which with --program NAME" : "%s has no maps: say which program with --program NAME",
		folder);
}

static int choose_of_set(struct request *q, const char *set, const char *seed, struct vb_error *err)
{
	char folder[PATH_MAX], name[NAME_MAX + 1];
	int r = 0;
	if (snprintf(folder, sizeof(folder), "%s/%s", set, seed) >= (int)sizeof(folder))
		return vb_error_set(err, -ENAMETOOLONG, "the name %.40s... is too long", set);
	if (!q->program)
		r = only_program(folder, name, err);
	if (r < 0)
		return r;
	const char *program = q->program ? q->program : name;
	if (snprintf(q->variant_path, sizeof(q->variant_path), "%s/%s", folder, program) >= (int)sizeof(q->variant_path) ||
		snprintf(q->plain_path, sizeof(q->plain_path), "%s/plain/%s", set, program) >= (int)sizeof(q->plain_path))
		return vb_error_set(err, -ENAMETOOLONG, "the name %.40s... is too long", set);
	q->variant = q->variant_path;
	q->plain = q->plain_path;
	return 0;
}

static int parse_address(const char *text, uint64_t *ret)
{
	char *end;
	errno = 0;
	*ret = strtoull(text, &end, 16);
	return *text == '-' || end == text || *end || errno ? -EINVAL : 0;
}

static json_t *json_of(uint64_t asked, const struct translation *t, const char *file, int line)
{
	json_t *j = json_pack("{s:I, s:s}", "variant_address", (json_int_t)asked, "match", match_names[t->match]);
	if (t->match)
		json_object_set_new(j, "address", json_integer((json_int_t)t->address));
	if (t->function)
		json_object_set_new(j, "function", json_string(t->function));
	if (t->match >= MATCH_COUNT)
		json_object_set_new(j, "offset", json_integer((json_int_t)t->offset));
	if (file) {
		json_object_set_new(j, "file", json_string(file));
		json_object_set_new(j, "line", json_integer(line));
	}
	return j;
}

/* Returns how many are in no function of both. */
static unsigned translate_addresses(const struct demap *d, const uint64_t *addresses, unsigned count, bool json)
{
	unsigned unknown = 0;
	json_t *all = json_array();
	for (unsigned i = 0; i < count; i++) {
		int line = 0;
		struct translation t = translate(&d->variant, &d->plain, addresses[i] - d->base, false);
		const char *file = demap_line(d, &t, addresses[i] - d->base, false, &line);
		unknown += t.match == MATCH_NONE;
		if (json) {
			json_array_append_new(all, json_of(addresses[i], &t, file, line));
			continue;
		}
		printf("0x%" PRIx64, addresses[i]);
		if (t.match == MATCH_NONE)
			printf(" is not in the variant's code, or the plain build doesn't have it\n");
		else
			printf(" is 0x%" PRIx64, t.address + d->base);
		if (t.match != MATCH_NONE) {
			printf(t.match == MATCH_NAME ? " %s" : " %s+0x%" PRIx64, t.function ? t.function : "?", t.offset);
			if (file)
				printf(" at %s:%d", file, line);
			printf("%s\n", t.match == MATCH_IDENTITY ? ""
				       : t.match == MATCH_COUNT  ? " (likely)"
								 : " (only the function is known)");
		}
	}
	if (json) {
		json_dumpf(all, stdout, JSON_INDENT(1));
		putchar('\n');
	}
	json_decref(all);
	return unknown;
}

static int run_backtrace(const struct demap *d, const char *path, struct vb_error *err)
{
	FILE *in = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	if (!in)
		return vb_error_errno(err, "can't read %s", path);
	int r = demap_text(d, in, stdout, err);
	if (in != stdin)
		fclose(in);
	return r;
}

static int run(const struct command *self, const struct request *q, const uint64_t *addresses, unsigned count)
{
	struct vb_error err;
	struct demap d = {.based = q->based, .base = q->base};
	unsigned unknown = 0;
	int r = places_load(q->variant, &d.variant, &err);
	if (r == 0)
		r = places_load(q->plain, &d.plain, &err);
	if (r == 0 && (!d.variant.count || !d.plain.count))
		fprintf(stderr, "vauban demap: %s has no map: functions are matched by their symbols alone (build with --map)\n",
			d.variant.count ? d.plain.path : d.variant.path);
	if (r == 0) {
		d.lines = d.plain.has_binary ? lines_open(d.plain.path) : NULL;
		d.variant_lines = d.variant.has_binary ? lines_open(d.variant.path) : NULL;
		if (q->core)
			r = demap_core(&d, q->core, q->json, stdout, &err);
		else if (q->backtrace)
			r = run_backtrace(&d, q->backtrace, &err);
		else
			unknown = translate_addresses(&d, addresses, count, q->json);
	}
	lines_close(d.lines);
	lines_close(d.variant_lines);
	places_release(&d.variant);
	places_release(&d.plain);
	if (r < 0)
		return command_fail(self, &err);
	return unknown ? EXIT_FAILED : 0;
}

enum { OPT_VARIANT = 1, OPT_PLAIN, OPT_PROGRAM, OPT_BACKTRACE, OPT_CORE, OPT_BASE, OPT_JSON };
static const struct option options[] = {{"variant", required_argument, NULL, OPT_VARIANT}, {"plain", required_argument, NULL, OPT_PLAIN},
	{"program", required_argument, NULL, OPT_PROGRAM}, {"backtrace", required_argument, NULL, OPT_BACKTRACE},
	{"core", required_argument, NULL, OPT_CORE}, {"base", required_argument, NULL, OPT_BASE}, {"json", no_argument, NULL, OPT_JSON},
	{0}};

static int demap_main(const struct command *self, int argc, char **argv)
{
	struct request q = {0};
	struct vb_error err;
	for (int c; (c = command_option(self, argc, argv, options)) >= 0;) {
		switch (c) {
		case OPT_VARIANT:
			q.variant = optarg;
			break;
		case OPT_PLAIN:
			q.plain = optarg;
			break;
		case OPT_PROGRAM:
			q.program = optarg;
			break;
		case OPT_BACKTRACE:
			q.backtrace = optarg;
			break;
		case OPT_CORE:
			q.core = optarg;
			break;
		case OPT_BASE:
			if (parse_address(optarg, &q.base) < 0)
				return command_usage(self, "--base is where the program was loaded, in hexadecimal, not \"%s\"", optarg);
			q.based = true;
			break;
		case OPT_JSON:
			q.json = true;
			break;
		}
	}
	argv += optind;
	argc -= optind;
	if (!q.variant != !q.plain)
		return command_usage(self, "give both --variant and --plain, or a set and a seed");
	if (!q.variant) {
		if (argc < 2)
			return command_usage(self, "name a set and a seed, or give --variant and --plain");
		if (choose_of_set(&q, argv[0], argv[1], &err) < 0)
			return command_fail(self, &err);
		argv += 2;
		argc -= 2;
	}
	if ((argc > 0) + (q.backtrace != NULL) + (q.core != NULL) != 1)
		return command_usage(self, "give addresses, or --backtrace, or --core");
	if (q.backtrace && q.json)
		return command_usage(self, "--backtrace keeps the text as it is: there is no --json of it");
	if (q.core && q.based)
		return command_usage(self, "a core file tells the base itself: leave out --base");
	uint64_t *addresses = calloc((size_t)argc + 1, sizeof(*addresses));
	for (int i = 0; i < argc && addresses; i++) {
		if (parse_address(argv[i], &addresses[i]) < 0) {
			free(addresses);
			return command_usage(self, "\"%s\" is no hexadecimal address", argv[i]);
		}
	}
	int status = addresses ? run(self, &q, addresses, (unsigned)argc) : EXIT_FAILED;
	free(addresses);
	return status;
}

const struct command command_demap = {
	.name = "demap",
	.arguments = "SET SEED | --variant FILE --plain FILE  ADDRESS... | --backtrace FILE | --core FILE",
	.about = "translate addresses and crashes of a variant into those of the plain build",
	.help = "  SET SEED            a folder made by `vauban variants build`, and the seed of the variant in it\n"
		"  --program NAME      which program of the set, if it has several\n"
		"  --variant FILE      the variant: a binary with FILE.map beside it, or a map\n"
		"  --plain FILE        the plain build, likewise\n"
		"  --base ADDRESS      where the program was loaded (position-independent programs)\n"
		"  --backtrace FILE    rewrite a backtrace of gdb, a sanitizer or glibc; - is standard input\n"
		"  --core FILE         backtraces of a core file, and a hash of the crash that all variants share\n"
		"  --json              for programs\n"
		"\n"
		"examples: vauban demap set 7 401136\n"
		"          vauban demap set 7 --core core.1234\n"
		"          vauban demap --variant lua.7 --plain lua --backtrace - <report\n",
	.run = demap_main,
};
