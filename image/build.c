/* `vauban image build`: its options, and from which of the three sources the image comes. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/types.h"
#include "host/parse.h"
#include "image/commands.h"
#include "image/plan.h"
#include "image/trace.h"
#include "image/write.h"

struct build {
	const char *output, *program, *root;
	const char *variants, *seed; /* the program is one of a variant set (variant/variants.h) */
	char **trace; /* command */
	struct image_strings adds;
	bool keep_times;
	struct image_manifest manifest;
};

enum {
	OPT_PROGRAM = 256,
	OPT_VARIANTS,
	OPT_SEED,
	OPT_ADD,
	OPT_ROOT,
	OPT_KEEP_TIMES,
	OPT_TRACE,
	OPT_ENV,
	OPT_CWD,
	OPT_USER,
	OPT_MEMORY,
	OPT_JIT,
	OPT_ENTRY,
	OPT_ARG
};

static const struct option options[] = {
	{"output", required_argument, NULL, 'o'},
	{"program", required_argument, NULL, OPT_PROGRAM},
	{"variants", required_argument, NULL, OPT_VARIANTS},
	{"seed", required_argument, NULL, OPT_SEED},
	{"add", required_argument, NULL, OPT_ADD},
	{"root", required_argument, NULL, OPT_ROOT},
	{"keep-times", no_argument, NULL, OPT_KEEP_TIMES},
	{"trace", no_argument, NULL, OPT_TRACE},
	{"env", required_argument, NULL, OPT_ENV},
	{"cwd", required_argument, NULL, OPT_CWD},
	{"user", required_argument, NULL, OPT_USER},
	{"memory", required_argument, NULL, OPT_MEMORY},
	{"jit", no_argument, NULL, OPT_JIT},
	{"entry", required_argument, NULL, OPT_ENTRY},
	{"arg", required_argument, NULL, OPT_ARG},
	{0},
};

static bool parse_user(const char *s, struct image_manifest *m)
{
	unsigned long long uid, gid;
	char *end;

	if (*s < '0' || *s > '9')
		return false;
	uid = gid = strtoull(s, &end, 10);
	if (*end == ':' && end[1] >= '0' && end[1] <= '9')
		gid = strtoull(end + 1, &end, 10);
	m->uid = uid;
	m->gid = gid;
	return !*end && uid < UINT32_MAX && gid < UINT32_MAX;
}

static bool parse_memory(const char *s, uint64_t *ret)
{
	uint64_t bytes;

	if (parse_size(s, &bytes) || bytes < IMAGE_MEMORY_MIN_BYTES || bytes > IMAGE_MEMORY_MAX_BYTES)
		return false;
	*ret = vb_page_up(bytes);
	return true;
}

static const char *set_cwd(struct image_manifest *m, const char *dir)
{
	free(m->cwd);
	m->cwd = strdup(dir);
	return dir[0] == '/' && m->cwd ? NULL : "--cwd needs an absolute path";
}

/* What is wrong with the option, or NULL. */
static const char *take_option(struct build *b, int option)
{
	switch (option) {
	case 'o':
		b->output = optarg;
		return NULL;
	case OPT_PROGRAM:
		b->program = optarg;
		return NULL;
	case OPT_VARIANTS:
		b->variants = optarg;
		return NULL;
	case OPT_SEED:
		b->seed = optarg;
		return NULL;
	case OPT_ADD:
		return image_strings_add(&b->adds, optarg) ? "out of memory" : NULL;
	case OPT_ROOT:
		b->root = optarg;
		return NULL;
	case OPT_KEEP_TIMES:
		b->keep_times = true;
		return NULL;
	case OPT_ENV:
		return image_environment_set(&b->manifest.environment, optarg) ? "--env needs NAME=VALUE" : NULL;
	case OPT_CWD:
		return set_cwd(&b->manifest, optarg);
	case OPT_USER:
		return parse_user(optarg, &b->manifest) ? NULL : "--user needs UID or UID:GID, as numbers";
	case OPT_MEMORY:
		return parse_memory(optarg, &b->manifest.memory_bytes) ? NULL : "--memory needs a size from 4M to 1024G, such as 64M";
	case OPT_JIT:
		b->manifest.jit = true;
		return NULL;
	case OPT_ENTRY:
		return image_strings_add(&b->manifest.entry, optarg) ? "out of memory" : NULL;
	case OPT_ARG:
		return image_strings_add(&b->manifest.arguments, optarg) ? "out of memory" : NULL;
	default:
		return ""; /* getopt has said it */
	}
}

static const char *take_options(struct build *b, int argc, char **argv)
{
	int option;

	while ((option = getopt_long(argc, argv, "+o:", options, NULL)) != -1) {
		const char *wrong;

		if (option == OPT_TRACE) { /* the rest is the command */
			if (optind == argc)
				return "--trace needs a command";
			b->trace = argv + optind;
			optind = argc;
			break;
		}
		wrong = take_option(b, option);
		if (wrong)
			return wrong;
	}
	if (optind < argc)
		return "an argument too many; options take their values directly";
	if (!b->output)
		return "-o FILE is missing";
	if (!!b->program + !!b->root + !!b->trace != 1)
		return "one of --program, --root and --trace is needed";
	if (!b->variants != !b->seed || (b->variants && !b->program))
		return "--variants SET goes with --seed N and --program NAME: which variant of which program";
	if (b->variants && (strchr(b->program, '/') || strchr(b->seed, '/')))
		return "with --variants, --program and --seed are names in the set";
	if (b->root && b->adds.count)
		return "--add doesn't go with --root: put the files into the directory";
	if (b->root && !b->manifest.entry.count)
		return "--root needs --entry PATH: the program inside";
	if (b->root && b->manifest.entry.at[0][0] != '/')
		return "--entry needs an absolute path first, as seen inside the image";
	return NULL;
}

/* PATH or PATH:DEST. */
static int add_one(struct tree *t, const char *add, struct vb_error *err)
{
	char path[PATH_MAX], full[PATH_MAX], real[PATH_MAX];
	const char *colon = strrchr(add, ':');
	size_t index;
	int r;

	if (snprintf(path, sizeof(path), "%.*s", (int)(colon ? colon - add : (ptrdiff_t)strlen(add)), add) >= (int)sizeof(path))
		return vb_error_set(err, -ENAMETOOLONG, "%s: %s", add, strerror(ENAMETOOLONG));
	if (colon)
		return tree_add_recursive(t, path, colon + 1, err);
	if (!realpath(path, real))
		return vb_error_errno(err, "%s", path);
	if (path[0] != '/') { /* links on the way stay, so no realpath */
		char cwd[PATH_MAX / 2];

		if (!getcwd(cwd, sizeof(cwd)) || snprintf(full, sizeof(full), "%s/%s", cwd, path) >= (int)sizeof(full))
			return vb_error_set(err, -ENAMETOOLONG, "%s: %s", path, strerror(ENAMETOOLONG));
	} else {
		strcpy(full, path);
	}
	r = tree_add_path(t, full, &index, err);
	return r || !S_ISDIR(t->at[index].mode) ? r : tree_add_recursive(t, real, real, err);
}

static int run_traced(struct build *b, struct tree *t, struct vb_error *err)
{
	int status = 0, r = trace_command(t, b->trace, &status, err);

	if (r)
		return r;
	if (WIFSIGNALED(status))
		fprintf(stderr, "vauban image: warning: %s was ended by signal %d\n", b->trace[0], WTERMSIG(status));
	else if (WEXITSTATUS(status) == 127)
		return vb_error_set(err, -ENOENT, "%s could not be run", b->trace[0]);
	else if (WEXITSTATUS(status))
		fprintf(stderr, "vauban image: warning: %s ended with status %d\n", b->trace[0], WEXITSTATUS(status));
	for (char **arg = b->trace + 1; *arg; arg++)
		if (image_strings_add(&b->manifest.arguments, *arg))
			return vb_error_set(err, -ENOMEM, "out of memory");
	return 0;
}

static int build_program(struct build *b, struct vb_error *err)
{
	char program[PATH_MAX], from[PATH_MAX + 16];
	struct tree tree = {0};
	struct image_source source = {.tree = &tree};
	char variant[PATH_MAX];
	int r = 0;

	if (b->variants && snprintf(variant, sizeof(variant), "%s%s/%s/%s", strchr(b->variants, '/') ? "" : "./", b->variants, b->seed, b->program) >=
				   (int)sizeof(variant))
		return vb_error_set(err, -ENAMETOOLONG, "%.40s...: %s", b->variants, strerror(ENAMETOOLONG));
	if (b->variants && access(variant, R_OK))
		return vb_error_errno(err, "%s: the set has no such variant or program", variant);
	r = plan_find_program(b->variants ? variant : b->program ? b->program : b->trace[0], program, err);

	if (!r)
		r = plan_add_base(&tree, err);
	if (!r)
		r = plan_add_program(&tree, program, err);
	if (!r && b->trace)
		r = run_traced(b, &tree, err);
	for (size_t i = 0; i < b->adds.count && !r; i++)
		r = add_one(&tree, b->adds.at[i], err);
	if (!r && b->manifest.cwd)
		r = tree_add_directory(&tree, b->manifest.cwd, 0755, err);
	if (!r)
		r = plan_complete(&tree, err);
	if (b->variants)
		snprintf(from, sizeof(from), "variant %s of %s", b->seed, b->program);
	else
		snprintf(from, sizeof(from), "%s %s", b->trace ? "trace" : "program", program);
	if (!r)
		r = plan_manifest(&b->manifest, program, from, err);
	if (!r) {
		source.manifest = b->manifest;
		r = image_write(&source, b->output, err);
	}
	tree_release(&tree);
	return r;
}

static int build_root(struct build *b, struct vb_error *err)
{
	struct image_source source = {.root = b->root, .keep_times = b->keep_times};
	struct stat st;
	int r;

	if (stat(b->root, &st))
		return vb_error_errno(err, "%s", b->root);
	if (!S_ISDIR(st.st_mode))
		return vb_error_set(err, -ENOTDIR, "%s: %s", b->root, strerror(ENOTDIR));
	r = plan_manifest(&b->manifest, b->manifest.entry.at[0], "root", err);
	source.manifest = b->manifest;
	return r ? r : image_write(&source, b->output, err);
}

int command_build(int argc, char **argv)
{
	struct build b = {0};
	struct vb_error err;
	const char *wrong = take_options(&b, argc, argv);
	int r;

	if (wrong) {
		r = command_usage("build", *wrong ? wrong : NULL);
	} else {
		r = b.root ? build_root(&b, &err) : build_program(&b, &err);
		r = r ? command_fail(&err) : 0;
	}
	image_strings_release(&b.adds);
	image_manifest_release(&b.manifest);
	return r;
}
