/* Builds variant sets. Owns the folder SET.building until it is renamed to SET; a lock on it, which dies with its holder, tells a
 * running build from one that was killed. All builds happen in one place, SET.building/tree, one after the other: so paths that
 * get into the programs, or are asked for by the store, are the same for all. The command is the user's and trusted. */
#include "variant/variants.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/blake2b.h"
#include "host/error.h"
#include "host/file.h"
#include "host/log.h"
#include "host/paths.h"
#include "variant/driver.h"
#include "variant/variants_tree.h"

extern char **environ;

struct building {
	const struct variants_request *request;
	char *folder, *tree; /* SET.building, and the copy in it */
	char vauban[PATH_MAX];
	json_t *variants;
};

/* The driver as a build script calls it. */
static char *compiler_words(const struct building *b, const char *verb, const char *which)
{
	char *text = words_text("%s %s %s --map", b->vauban, verb, which);
	for (char *const *o = b->request->options; *o; o++)
		text = words_text("%s %s", text, *o);
	return text;
}

static bool is_make(const char *command)
{
	const char *name = strrchr(command, '/') ? strrchr(command, '/') + 1 : command;
	return !strcmp(name, "make") || !strcmp(name, "gmake");
}

static int run_command(const struct building *b, const char *which, const char *log, struct vb_error *err)
{
	struct words command = {0}, environment = {0};
	char *cc = compiler_words(b, "cc", which), *cxx = compiler_words(b, "c++", which);
	char *const *given = b->request->command;
	for (char **e = environ; *e; e++)
		if (strncmp(*e, "CC=", 3) != 0 && strncmp(*e, "CXX=", 4) != 0 && strncmp(*e, "VAUBAN_CC=", 10) != 0)
			words_add(&environment, *e);
	words_addf(&environment, "CC=%s", cc);
	words_addf(&environment, "CXX=%s", cxx);
	words_add(&command, *given);
	if (is_make(*given)) { /* variables of a makefile go before those of the environment, but not before these */
		words_addf(&command, "CC=%s", cc);
		words_addf(&command, "CXX=%s", cxx);
	}
	while (*++given)
		words_add(&command, *given);
	struct driver_child child = {
		.input = -1, .output = words_text("%s.out", log), .errors = log, .folder = b->tree, .environment = (char **)environment.at};
	int r = driver_run(command.at, &child, err);
	words_free(&command);
	words_free(&environment);
	return r > 0 ? vb_error_set(err, -EIO, "the build of %s failed with status %d: see %s and %s.out", which, r, log, log) : r;
}

/* objcopy takes the map out: it is for whoever looks into crashes, not for whoever gets the program. */
static int take_map(const char *from, const char *to, struct vb_error *err)
{
	struct driver_child child = {.input = -1};
	const char *objcopy;
	int r = driver_find("objcopy", &objcopy, err);
	if (r < 0)
		return r;
	const char *const argv[] = {objcopy, words_text("--dump-section=.vauban.map=%s.map", to), "--remove-section=.vauban.map", from, to, NULL};
	r = driver_run(argv, &child, err);
	return r > 0 ? vb_error_set(err, -EIO, "objcopy of %s failed with status %d", from, r) : r;
}

static int digest_file(const char *path, char hex[65], json_int_t *ret_bytes, struct vb_error *err)
{
	struct blake2b hash;
	uint8_t digest[32];
	char *bytes;
	size_t len;
	int r = file_read(AT_FDCWD, path, 1ull << 32, &bytes, &len);
	if (r < 0)
		return vb_error_set(err, r, "%s: %s", path, strerror(-r));
	blake2b_init(&hash, sizeof(digest));
	blake2b_update(&hash, bytes, len);
	blake2b_final(&hash, digest);
	free(bytes);
	for (unsigned i = 0; i < sizeof(digest); i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
	*ret_bytes = (json_int_t)len;
	return 0;
}

static int collect_one(const struct building *b, const char *name, const char *path, const char *folder, json_t *files, struct vb_error *err)
{
	char *from = words_text("%s/%s", b->tree, path), *to = words_text("%s/%s", folder, name), hex[65];
	json_int_t bytes = 0;
	bool has_map;
	int r = tree_has_section(from, ".vauban.map", &has_map, err);
	if (r == 0)
		r = has_map ? take_map(from, to, err) : tree_copy_file(from, to, err);
	if (r == 0)
		r = digest_file(to, hex, &bytes, err);
	if (r == 0)
		json_array_append_new(files, json_pack("{s:s, s:s, s:I, s:s, s:b}", "name", name, "built_as", path, "bytes", bytes,
							   "blake2b_256", hex, "map", has_map));
	return r;
}

static int collect(struct building *b, const char *variant, const char *original, struct vb_error *err)
{
	struct tree_files found = {0};
	char *folder = words_text("%s/%s", b->folder, variant);
	json_t *files = json_array();
	int r = mkdir(folder, 0755) < 0 ? vb_error_errno(err, "%s", folder) : tree_find_built(b->tree, original, &found, err);
	if (r == 0 && !found.count)
		r = vb_error_set(err, -ENOENT,
			"the build of %s made no program or shared library: is the tree built already? Clean it first (make clean)", variant);
	for (size_t i = 0; i < found.count && r == 0; i++)
		r = collect_one(b, found.at[i].name, found.at[i].path, folder, files, err);
	tree_files_release(&found);
	if (r == 0)
		json_array_append_new(b->variants, json_pack("{s:s, s:O}", "name", variant, "files", files));
	json_decref(files);
	return r;
}

static int build_one(struct building *b, const char *variant, const char *which, struct vb_error *err)
{
	char original[PATH_MAX];
	const char *log = words_text("%s/%s.log", b->folder, variant);
	if (!getcwd(original, sizeof(original)))
		return vb_error_errno(err, "the current folder");
	log_error("variants: building %s", variant);
	tree_remove(b->tree);
	int r = tree_copy(original, b->tree, (const char *const[]){b->folder, NULL}, err);
	if (r == 0)
		r = run_command(b, which, log, err);
	if (r == 0)
		r = collect(b, variant, original, err);
	if (driver_signal())
		r = vb_error_set(err, -EINTR, "stopped");
	return r;
}

/* The programs of one variant must be those of the other. */
static int check_names(const json_t *variants, struct vb_error *err)
{
	const json_t *plain = json_object_get(json_array_get(variants, 0), "files");
	for (size_t i = 1; i < json_array_size(variants); i++) {
		const json_t *v = json_array_get(variants, i), *files = json_object_get(v, "files");
		const char *name = json_string_value(json_object_get(v, "name"));
		if (json_array_size(files) != json_array_size(plain))
			return vb_error_set(err, -EIO, "the build of %s made %zu files, the plain one %zu", name, json_array_size(files), json_array_size(plain));
		for (size_t f = 0; f < json_array_size(files); f++)
			if (!json_equal(json_object_get(json_array_get(files, f), "name"), json_object_get(json_array_get(plain, f), "name")))
				return vb_error_set(err, -EIO, "the build of %s made %s, which the plain one did not", name,
					json_string_value(json_object_get(json_array_get(files, f), "name")));
	}
	return 0;
}

static json_t *strings(char *const *list)
{
	json_t *array = json_array();
	for (; *list; list++)
		json_array_append_new(array, json_string(*list));
	return array;
}

static int write_json(const struct building *b, struct vb_error *err)
{
	json_t *root = json_pack("{s:i, s:o, s:o, s:O}", "version", 1, "command", strings(b->request->command), "options", strings(b->request->options),
		"variants", b->variants);
	char *path = words_text("%s/set.json", b->folder);
	int r = root && json_dump_file(root, path, JSON_INDENT(2)) == 0 ? 0 : vb_error_set(err, -EIO, "can't write %s", path);
	json_decref(root);
	return r;
}

static int build_all(struct building *b, struct vb_error *err)
{
	int r = build_one(b, "plain", "--plain", err);
	for (size_t i = 0; i < b->request->count && r == 0; i++) {
		char *seed = words_text("%" PRIu64, b->request->seeds[i]);
		r = build_one(b, seed, words_text("--seed=%s", seed), err);
	}
	if (r == 0)
		r = check_names(b->variants, err);
	if (r == 0)
		r = write_json(b, err);
	return r;
}

/* SET.building, empty and locked. */
static int claim(struct building *b, int *ret_lock, struct vb_error *err)
{
	const char *set = b->request->set, *lock_name = words_text("%s.lock", set);
	struct stat st;
	if (lstat(set, &st) == 0)
		return vb_error_set(err, -EEXIST, "%s exists: remove it, or name another folder by -o", set);
	*ret_lock = open(lock_name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (*ret_lock < 0)
		return vb_error_errno(err, "%s", lock_name);
	if (flock(*ret_lock, LOCK_EX | LOCK_NB) < 0)
		return vb_error_set(err, -EBUSY, "another `vauban variants build` makes %s", set);
	char *folder = words_text("%s.building", set);
	tree_remove(folder); /* of one that was killed */
	if (mkdir(folder, 0755) < 0)
		return vb_error_errno(err, "can't make %s", folder);
	b->folder = realpath(folder, NULL);
	b->tree = words_text("%s/tree", b->folder ? b->folder : folder);
	return b->folder ? 0 : vb_error_errno(err, "%s", folder);
}

int variants_build(const struct variants_request *request, struct vb_error *err)
{
	struct building b = {.request = request, .variants = json_array()};
	int lock = -1;
	driver_signals_init();
	int r = path_helper("vauban", b.vauban, sizeof(b.vauban), err);
	if (r == 0 && strpbrk(b.vauban, " \t\n"))
		r = vb_error_set(err, -EINVAL, "%s: a path with blanks can't be a compiler", b.vauban);
	if (r == 0)
		r = claim(&b, &lock, err);
	if (r == 0)
		r = build_all(&b, err);
	if (r == 0) {
		tree_remove(b.tree);
		for (const char *const *end = (const char *const[]){".log", ".log.out", NULL}; *end; end++)
			for (size_t i = 0; i <= request->count; i++)
				unlink(i ? words_text("%s/%" PRIu64 "%s", b.folder, request->seeds[i - 1], *end) : words_text("%s/plain%s", b.folder, *end));
		if (rename(b.folder, request->set) < 0)
			r = vb_error_errno(err, "can't rename %s to %s", b.folder, request->set);
	}
	if (lock >= 0 && (r == 0 || r != -EBUSY))
		unlink(words_text("%s.lock", request->set));
	fd_close(&lock);
	if (driver_signal() && b.folder)
		tree_remove(b.folder);
	driver_cleanup();
	free(b.folder);
	json_decref(b.variants);
	driver_signals_restore();
	return r;
}
