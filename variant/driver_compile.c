/* Compiles one source: the compiler, the store, the stages, the assembler. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/error.h"
#include "host/file.h"
#include "host/log.h"
#include "host/paths.h"
#include "variant/assembly/assembly.h"
#include "variant/driver.h"
#include "variant/random.h"

#define TEXT_MAX_BYTES (2ull << 30)

struct compilation {
	struct driver *d;
	const struct argument *input;
	const char *output; /* as the user named it, or would have */
	bool assembly;
	int stdin_copy;    /* of an input "-", else -1 */
	bool preprocessed; /* dependencies are written already */
	struct store_key key;
	struct store_entry front; /* the seed-independent half: text of gcc, bitcode of clang */
	char *text;               /* of clang's second half */
	size_t text_bytes;
};

/* --- command lines --- */

/* Where the compiler would put the files it makes beside the object: "dir/name", to which suffixes are added. */
static void by_product_name(const struct compilation *c, char *ret, size_t size)
{
	char base[PATH_MAX];
	const char *output = c->d->args.output;
	argument_base(c->input->text, "", base, sizeof(base));
	if (c->d->args.mode == ARGUMENTS_LINK) {
		snprintf(ret, size, "%s-%s", output ? output : "a", base);
		return;
	}
	const char *slash = output ? strrchr(output, '/') : NULL;
	if (output)
		argument_base(output, "", base, sizeof(base));
	snprintf(ret, size, "%.*s%s", slash ? (int)(slash + 1 - output) : 0, output ? output : "", base);
}

/* Names in by-products must be those of the user's object, not of our temporaries. */
static void add_by_products(const struct compilation *c, struct words *w)
{
	char name[2 * PATH_MAX], cwd[PATH_MAX];
	const struct arguments *a = &c->d->args;
	if (!a->coverage && !a->by_products)
		return;
	by_product_name(c, name, sizeof(name));
	if (c->d->clang) {
		if (!a->coverage || !getcwd(cwd, sizeof(cwd)))
			return;
		words_add(w, "-Xclang");
		words_addf(w, "-coverage-notes-file=%s%s%s.gcno", *name == '/' ? "" : cwd, *name == '/' ? "" : "/", name);
		words_add(w, "-Xclang");
		words_addf(w, "-coverage-data-file=%s%s%s.gcda", *name == '/' ? "" : cwd, *name == '/' ? "" : "/", name);
		return;
	}
	const char *slash = strrchr(name, '/');
	words_add(w, "-dumpdir");
	words_addf(w, "%.*s", slash ? (int)(slash + 1 - name) : 2, slash ? name : "./");
	words_add(w, "-dumpbase");
	words_addf(w, "%s.c", slash ? slash + 1 : name);
	words_add(w, "-dumpbase-ext");
	words_add(w, ".c");
}

static void add_dependencies(const struct compilation *c, struct words *w)
{
	const struct arguments *a = &c->d->args;
	char base[PATH_MAX];
	if (!a->dependencies)
		return;
	if (!a->dependency_file) {
		const char *slash = a->output ? strrchr(a->output, '/') : NULL;
		argument_base(a->output ? a->output : c->input->text, ".d", base, sizeof(base));
		words_add(w, "-MF");
		words_addf(w, "%.*s%s", slash ? (int)(slash + 1 - a->output) : 0, a->output ? a->output : "", base);
	}
	if (!a->dependency_target) {
		argument_base(c->input->text, ".o", base, sizeof(base));
		words_add(w, "-MQ");
		words_addf(w, "%s", a->output ? a->output : base);
	}
}

static void add_kind(const struct compilation *c, struct words *w, unsigned kinds)
{
	for (size_t i = 0; i < c->d->args.count; i++) {
		const struct argument *a = &c->d->args.all[i];
		if (!(kinds >> a->kind & 1) || !strcmp(a->text, "-save-temps") || !strcmp(a->text, "--save-temps"))
			continue;
		words_add(w, a->text);
		if (a->value)
			words_add(w, a->value);
	}
}

/* True where the text of -g would tell lies: of variables that lie elsewhere, of ranges that are in pieces. */
static bool lines_only(const struct driver *d)
{
	const struct variant_options *o = &d->options;
	return d->args.debug > 1 && (variant_wants(o, VARIANT_BLOCKS) || variant_wants(o, VARIANT_REGISTERS) ||
					    variant_wants(o, VARIANT_STACK) || variant_wants(o, VARIANT_PARAMETERS));
}

/* The order of fields is one for all files of a program: the seed's. The C library's own structures keep theirs. */
static void add_structs(const struct driver *d, struct words *w)
{
	struct variant_random r;
	variant_random_init(&r, d->options.seed, (const char *const[]){"structs", NULL});
	words_addf(w, "-frandomize-layout-seed=%016llx", (unsigned long long)variant_random_u64(&r));
	words_add(w, "-isystem");
	words_add(w, d->structs);
}

/* What the first half is made with: nothing here depends on the seed, except the order of fields. */
static void add_front_options(const struct compilation *c, struct words *w, bool preprocessing)
{
	const struct driver *d = c->d;
	libc_add_compile(d, w);
	add_kind(c, w, 1u << ARGUMENT_COMPILE | 1u << ARGUMENT_DEBUG | (preprocessing ? 1u << ARGUMENT_PREPROCESS : 0));
	if (d->args.mode != ARGUMENTS_LINK && !d->clang)
		add_kind(c, w, 1u << ARGUMENT_LINK);
	if (isatty(STDERR_FILENO) && !getenv("NO_COLOR")) /* it would see a file, and be plain */
		words_add(w, "-fdiagnostics-color=always");
	words_add(w, "-ffunction-sections");
	words_add(w, "-fdata-sections");
	if (lines_only(d))
		words_add(w, "-g1");
	if (!d->clang)
		words_addf(w, "-frandom-seed=%s", c->input->text); /* or names of things without one would differ each time */
	if (variant_wants(&d->options, VARIANT_STRUCTS))
		add_structs(d, w);
	words_add(w, "-x");
	words_add(w, argument_language(c->input, d->cplusplus));
}

static int run(const struct compilation *c, struct words *w, const char *errors)
{
	struct vb_error err;
	struct driver_child child = {.input = c->stdin_copy, .errors = errors};
	int r = driver_run(w->at, &child, &err);
	words_free(w);
	return r < 0 ? driver_fail(&err) : r;
}

/* --- the store --- */

static bool storable(const struct compilation *c)
{
	const struct arguments *a = &c->d->args;
	return c->d->has_store && !a->coverage && !a->by_products && !getenv("DEPENDENCIES_OUTPUT") && !getenv("SUNPRO_DEPENDENCIES");
}

static void add_environment(struct store_key *k)
{
	static const char *const names[] = {"LANG", "LC_ALL", "LC_CTYPE", "LC_MESSAGES", "GCC_COLORS", "GCC_EXEC_PREFIX", "COMPILER_PATH",
		"SOURCE_DATE_EPOCH", "GCC_COMPARE_DEBUG", "CCC_OVERRIDE_OPTIONS"};
	for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++)
		store_key_add_text(k, getenv(names[i]));
}

static void add_compiler(struct store_key *k, const struct driver *d)
{
	char real[PATH_MAX];
	struct stat st = {0};
	uint64_t identity[3];
	if (!realpath(d->compiler, real) || stat(real, &st) < 0)
		snprintf(real, sizeof(real), "%s", d->compiler);
	identity[0] = (uint64_t)st.st_size;
	identity[1] = (uint64_t)st.st_mtim.tv_sec;
	identity[2] = (uint64_t)st.st_mtim.tv_nsec;
	store_key_add_text(k, real);
	store_key_add(k, identity, sizeof(identity));
}

/* All that the first half is a function of: the preprocessed source and what isn't in it. */
static int make_key(struct compilation *c, const char *preprocessed)
{
	const struct driver *d = c->d;
	struct words w = {0};
	char cwd[PATH_MAX], *text;
	size_t bytes;
	if (file_read(AT_FDCWD, preprocessed, TEXT_MAX_BYTES, &text, &bytes) < 0)
		return -EIO;
	store_key_init(&c->key);
	add_compiler(&c->key, d);
	add_environment(&c->key);
	add_front_options(c, &w, d->args.debug > 2); /* -g3 describes macros; else they are in the text */
	for (size_t i = 0; i < w.count; i++)
		store_key_add_text(&c->key, w.at[i]);
	words_free(&w);
	store_key_add_text(&c->key, d->args.debug && getcwd(cwd, sizeof(cwd)) ? cwd : NULL);
	store_key_add_text(&c->key, c->input->text);
	store_key_add(&c->key, text, bytes);
	store_key_done(&c->key);
	free(text);
	return 0;
}

/* Runs the preprocessor to find the result in the store; its diagnostics come again with the compiler's, or from the store. */
static bool find_stored(struct compilation *c)
{
	struct vb_error err;
	struct words w = {0};
	const char *out = driver_temporary(".i", &err), *errors = driver_temporary(".err", &err);
	if (!*out || !*errors)
		return false;
	words_add(&w, c->d->compiler);
	add_kind(c, &w, 1u << ARGUMENT_DEPENDENCY);
	add_dependencies(c, &w);
	add_front_options(c, &w, true);
	words_add(&w, "-E");
	words_add(&w, "-o");
	words_add(&w, out);
	words_add(&w, c->input->text);
	if (run(c, &w, errors) != 0 || make_key(c, out) < 0)
		return false;
	c->preprocessed = true;
	unlink(out);
	return store_get(&c->d->store, &c->key, &c->front) == 0;
}

/* --- the first half --- */

static void print_diagnostics(const struct store_entry *e)
{
	fflush(stderr);
	fd_write_all(STDERR_FILENO, e->diagnostics, e->diagnostics_bytes);
}

static int join(struct store_entry *ret, const char *errors, const char *result, struct vb_error *err)
{
	char *diagnostics, *bytes;
	size_t diagnostics_len, len;
	int r = file_read(AT_FDCWD, errors, TEXT_MAX_BYTES, &diagnostics, &diagnostics_len);
	if (r < 0)
		return vb_error_set(err, r, "%s: %s", errors, strerror(-r));
	r = file_read(AT_FDCWD, result, TEXT_MAX_BYTES, &bytes, &len);
	char *both = r < 0 ? NULL : realloc(diagnostics, diagnostics_len + len + 1);
	if (!both) {
		free(diagnostics);
		if (r == 0)
			free(bytes);
		return vb_error_set(err, r < 0 ? r : -ENOMEM, "%s: %s", result, strerror(r < 0 ? -r : ENOMEM));
	}
	memcpy(both + diagnostics_len, bytes, len + 1);
	free(bytes);
	*ret = (struct store_entry){both, both + diagnostics_len, diagnostics_len, len};
	return 0;
}

/* The compiler itself. Returns its exit status. */
static int compile_front(struct compilation *c)
{
	struct vb_error err;
	struct words w = {0};
	bool keep = c->d->args.save_temps && !c->d->clang;
	const char *out = driver_temporary(c->d->clang ? ".bc" : ".s", &err), *errors = driver_temporary(".err", &err);
	if (!*out || !*errors)
		return driver_fail(&err);
	words_add(&w, c->d->compiler);
	if (!c->preprocessed) {
		add_kind(c, &w, 1u << ARGUMENT_DEPENDENCY);
		add_dependencies(c, &w);
	}
	add_front_options(c, &w, true);
	add_by_products(c, &w);
	if (keep)
		words_add(&w, "-save-temps");
	if (c->d->clang)
		words_add(&w, "-emit-llvm");
	words_add(&w, c->d->clang ? "-c" : "-S");
	words_add(&w, "-o");
	words_add(&w, out);
	words_add(&w, c->input->text);
	int status = run(c, &w, storable(c) ? errors : NULL);
	if (!storable(c))
		close(open(errors, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	if (status) {
		c->front = (struct store_entry){0};
		if (file_read(AT_FDCWD, errors, TEXT_MAX_BYTES, &c->front.diagnostics, &c->front.diagnostics_bytes) == 0)
			print_diagnostics(&c->front);
		return status;
	}
	if (join(&c->front, errors, out, &err) < 0)
		return driver_fail(&err);
	print_diagnostics(&c->front);
	unlink(out);
	if (c->preprocessed)
		store_put(&c->d->store, &c->key, &c->front);
	return 0;
}

/* --- clang's second half --- */

static int run_ir_stage(struct compilation *c, const char *in, const char *out)
{
	char helper[PATH_MAX], storage[16384], *options[64];
	struct vb_error err;
	struct words w = {0};
	if (path_helper("vauban-ir", helper, sizeof(helper), &err) < 0)
		return driver_fail(&err);
	int count = variant_options_format(&c->d->options, storage, sizeof(storage), options, sizeof(options) / sizeof(*options), &err);
	if (count < 0)
		return driver_fail(&err);
	words_add(&w, helper);
	for (int i = 0; i < count; i++)
		words_add(&w, options[i]);
	words_add(&w, in);
	words_add(&w, out);
	return run(c, &w, NULL);
}

static int write_file(const char *path, const char *bytes, size_t len, struct vb_error *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	int r = fd < 0 ? -errno : fd_write_all(fd, bytes, len);
	if (fd >= 0 && close(fd) < 0 && r == 0)
		r = -errno;
	return r < 0 ? vb_error_set(err, r, "can't write %s: %s", path, strerror(-r)) : 0;
}

/* Bitcode to text. The optimiser must not run again: it would undo what the IR stage did. Text for GNU as, whose start is quick. */
static int compile_back(struct compilation *c)
{
	struct vb_error err;
	struct words w = {0};
	const char *in = driver_temporary(".bc", &err), *changed = driver_temporary(".bc", &err), *out = driver_temporary(".s", &err);
	if (!*in || !*changed || !*out || write_file(in, c->front.result, c->front.result_bytes, &err) < 0)
		return driver_fail(&err);
	const struct variant_options *o = &c->d->options;
	bool wanted = !o->plain || o->chaff || o->chaff_trace;
	int status = wanted ? run_ir_stage(c, in, changed) : 0;
	if (status)
		return status;
	words_add(&w, c->d->compiler);
	add_kind(c, &w, 1u << ARGUMENT_COMPILE);
	const char *const fixed[] = {"-Qunused-arguments", "-Xclang", "-disable-llvm-passes", "-fno-integrated-as", "-fno-addrsig",
		"-ffunction-sections", "-fdata-sections", "-S", "-x", "ir", wanted ? changed : in, "-o", out};
	for (unsigned i = 0; i < sizeof(fixed) / sizeof(*fixed); i++)
		words_add(&w, fixed[i]);
	status = run(c, &w, NULL);
	if (status)
		return status;
	int r = file_read(AT_FDCWD, out, TEXT_MAX_BYTES, &c->text, &c->text_bytes);
	unlink(in), unlink(changed), unlink(out);
	return r < 0 ? driver_fail((vb_error_set(&err, r, "%s: %s", out, strerror(-r)), &err)) : 0;
}

/* --- assembly --- */

static void add_assembler_words(struct words *w, const char *list)
{
	for (char *save = NULL, *copy = words_text("%s", list), *word; (word = strtok_r(copy, ",", &save)); copy = NULL)
		words_add(w, word);
}

static void add_assembler_options(const struct driver *d, struct words *w)
{
	int version = 5;
	for (size_t i = 0; i < d->args.count; i++) {
		const struct argument *a = &d->args.all[i];
		if (!strncmp(a->text, "-Wa,", 4))
			add_assembler_words(w, a->text + 4);
		else if (!strcmp(a->text, "-Xassembler") && a->value)
			words_add(w, a->value);
		else if (!strcmp(a->text, "-gz"))
			words_add(w, "--compress-debug-sections=zlib");
		else if (!strncmp(a->text, "-gz=", 4))
			words_addf(w, "--compress-debug-sections=%s", a->text + 4);
		else if (!strncmp(a->text, "-ffile-prefix-map=", 18) || !strncmp(a->text, "-fdebug-prefix-map=", 19))
			words_add(w, "--debug-prefix-map"), words_add(w, strchr(a->text, '=') + 1);
		else if (!strncmp(a->text, "-gdwarf-", 8) && a->text[8] >= '2' && a->text[8] <= '5')
			version = a->text[8] - '0';
	}
	if (d->args.debug)
		words_addf(w, "--gdwarf-%d", version);
}

static int assemble(struct compilation *c, const char *text, size_t len)
{
	struct vb_error err;
	struct words w = {0};
	const char *as, *in = driver_temporary(".s", &err), *out = driver_beside(c->output, &err);
	if (!*in || !*out || driver_find("as", &as, &err) < 0 || write_file(in, text, len, &err) < 0)
		return driver_fail(&err);
	words_add(&w, as);
	words_add(&w, "--64");
	add_assembler_options(c->d, &w);
	words_add(&w, "-o");
	words_add(&w, out);
	words_add(&w, in);
	int status = run(c, &w, NULL);
	unlink(in);
	if (status == 0 && c->d->options.chaff)
		status = driver_chaff_prove(c->d, out);
	if (status == 0 && driver_commit(out, c->output, &err) < 0)
		status = driver_fail(&err);
	return status;
}

static int write_text(struct compilation *c, const char *text, size_t len)
{
	struct vb_error err;
	const char *out = driver_beside(c->output, &err);
	if (!*out || write_file(out, text, len, &err) < 0 || driver_commit(out, c->output, &err) < 0)
		return driver_fail(&err);
	return 0;
}

static int finish(struct compilation *c)
{
	struct vb_error err;
	const char *text = c->d->clang ? c->text : c->front.result;
	size_t len = c->d->clang ? c->text_bytes : c->front.result_bytes, changed_len = len;
	char *changed = NULL, name[2 * PATH_MAX];
	if (c->d->args.intel_syntax)
		log_error("cc: note: %s: not transformed: -masm=intel is not understood (only its place is shuffled)", c->input->text);
	else if (assembly_transform(&c->d->options, c->input->text, text, len, &changed, &changed_len, &err) < 0)
		return driver_fail(&err);
	text = changed ? changed : text;
	int status = c->assembly ? write_text(c, text, changed_len) : assemble(c, text, changed_len);
	if (!status && c->d->args.save_temps && !c->assembly) {
		by_product_name(c, name, sizeof(name) - 3);
		strcat(name, ".s");
		status = write_file(name, text, changed_len, &err) < 0 ? driver_fail(&err) : 0;
	}
	free(changed);
	return status;
}

/* Standard input is read by the preprocessor and by the compiler. */
static int copy_stdin(struct compilation *c)
{
	struct vb_error err;
	char *bytes;
	size_t len;
	const char *path = driver_temporary(".in", &err);
	if (!*path)
		return driver_fail(&err);
	int r = file_read(AT_FDCWD, "/dev/stdin", TEXT_MAX_BYTES, &bytes, &len);
	if (r < 0)
		return driver_fail((vb_error_set(&err, r, "standard input: %s", strerror(-r)), &err));
	r = write_file(path, bytes, len, &err);
	free(bytes);
	c->stdin_copy = r < 0 ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	return r < 0 ? driver_fail(&err) : 0;
}

int driver_compile(struct driver *d, const struct argument *input, const char *output, bool assembly)
{
	struct compilation c = {.d = d, .input = input, .output = output, .assembly = assembly, .stdin_copy = -1};
	int status = strcmp(input->text, "-") ? 0 : copy_stdin(&c);
	if (!status && storable(&c) && find_stored(&c))
		print_diagnostics(&c.front);
	else if (!status)
		status = compile_front(&c);
	const char *skip = d->options.chaff_skip; /* of this file alone */
	for (bool again = !status; again; again = status == DRIVER_AGAIN) {
		free(c.text);
		c.text = NULL;
		status = d->clang ? compile_back(&c) : 0;
		if (!status)
			status = finish(&c);
	}
	d->options.chaff_skip = skip;
	free(c.front.diagnostics);
	free(c.text);
	fd_close(&c.stdin_copy);
	return status;
}
