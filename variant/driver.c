/* Plans the work of one command line of `vauban cc`: what is for the compiler alone, what is compiled, what is linked. */
#include "variant/driver.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/error.h"
#include "host/log.h"
#include "host/paths.h"

enum { STATUS_FAILED = 1 };

int driver_fail(const struct vb_error *err)
{
	log_error("cc: %s", err->text);
	return STATUS_FAILED;
}

/* --- which compiler --- */

/* "gcc-12" to "g++-12", "clang-19" to "clang++-19". */
static const char *cplusplus_name(const char *path)
{
	const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path, *at;
	if (strstr(name, "++"))
		return path;
	if ((at = strstr(name, "clang")))
		return words_text("%.*s++%s", (int)(at + 5 - path), path, at + 5);
	if ((at = strstr(name, "gcc")))
		return words_text("%.*sg++%s", (int)(at - path), path, at + 3);
	return path;
}

static int choose_compiler(struct driver *d, const char *cc, struct vb_error *err)
{
	const char *name = strcmp(cc, "clang") ? cc : "clang-19", *base = strrchr(cc, '/') ? strrchr(cc, '/') + 1 : cc;
	d->clang = strstr(base, "clang");
	if (!d->clang && !strstr(base, "gcc") && !strstr(base, "g++") && strcmp(base, "cc") != 0 && strcmp(base, "c++") != 0)
		return vb_error_set(err, -EINVAL, "--cc wants gcc, clang or the path of one of them, not \"%s\"", cc);
	return driver_find(d->cplusplus ? cplusplus_name(name) : name, &d->compiler, err);
}

/* --- options --- */

/* Takes our options out of the words; the rest, in order, is the compiler's. A value of one of its options is never taken for ours. */
static int take_options(struct driver *d, char *const *words, struct words *rest, const char **cc, struct vb_error *err)
{
	while (*words) {
		if (argument_takes_value(words[0]) && words[1]) {
			words_add(rest, words[0]);
			words_add(rest, words[1]);
			words += 2;
			continue;
		}
		if (!strncmp(words[0], "--cc=", 5) || (!strcmp(words[0], "--cc") && words[1])) {
			*cc = words[0][4] ? words[0] + 5 : words[1];
			words += words[0][4] ? 1 : 2;
			continue;
		}
		int taken = variant_options_parse(&d->options, (char **)words, err);
		if (taken < 0)
			return taken;
		if (taken == 0)
			words_add(rest, words[0]);
		words += taken ? taken : 1;
	}
	return 0;
}

/* $VAUBAN_CC: options for builds that have no place for them. */
static int take_environment(struct driver *d, const char **cc, struct vb_error *err)
{
	const char *text = getenv("VAUBAN_CC");
	struct words words = {0}, rest = {0};
	if (!text || !*text)
		return 0;
	for (char *save = NULL, *copy = words_text("%s", text), *word; (word = strtok_r(copy, " \t\n", &save)); copy = NULL)
		words_add(&words, word);
	int r = words.count ? take_options(d, (char *const *)words.at, &rest, cc, err) : 0;
	if (r == 0 && rest.count)
		r = vb_error_set(err, -EINVAL, "%s is no option of vauban cc", rest.at[0]);
	words_free(&words);
	words_free(&rest);
	return r < 0 ? vb_error_wrap(err, r, "VAUBAN_CC") : 0;
}

static int find_structs(struct driver *d, struct vb_error *err)
{
	char header[PATH_MAX];
	int r = path_helper("variant/structs/stdio.h", header, sizeof(header), err);
	if (r == 0)
		d->structs = words_text("%.*s", (int)(strrchr(header, '/') - header), header);
	return r;
}

/* What can't be done with these options; finds what they need. */
static int check_options(struct driver *d, struct vb_error *err)
{
	const struct variant_options *o = &d->options;
	if (!o->seeded && !o->plain && !o->chaff_trace)
		return vb_error_set(err, -EINVAL,
			"which variant? give --seed N, or --plain for none (in front of the compiler's arguments, or in VAUBAN_CC)");
	if (variant_wants(o, VARIANT_STRUCTS) && !d->clang)
		return vb_error_set(err, -EINVAL, "--structs needs --cc clang: gcc can't reorder fields");
	if (variant_wants(o, VARIANT_STRUCTS) && d->cplusplus)
		return vb_error_set(err, -EINVAL, "--structs is for C: clang does not reorder the fields of classes");
	if (variant_wants(o, VARIANT_STRUCTS) && find_structs(d, err) < 0)
		return -ENOENT;
	if (o->chaff && !o->chaff_plan)
		return vb_error_set(err, -EINVAL, "--chaff wants --chaff-plan FILE: make it by `vauban chaff plan`");
	if (o->chaff_plan && !o->chaff)
		return vb_error_set(err, -EINVAL, "--chaff-plan wants --chaff N: how many of its bugs to inject");
	if ((o->chaff || o->chaff_trace) && !d->clang)
		return vb_error_set(err, -EINVAL, "--chaff needs --cc clang: it works on LLVM's bitcode");
	if (o->profile_generate && o->profile)
		return vb_error_set(
			err, -EINVAL, "--profile and --profile-generate exclude each other: a profile is made first, and then used");
	return 0;
}

static int check_arguments(const struct driver *d, struct vb_error *err)
{
	const struct arguments *a = &d->args;
	if (a->lto)
		return vb_error_set(err, -EINVAL, "-flto: a variant is made file by file, but this compiles when linking: leave it out");
	if (a->other_target)
		return vb_error_set(err, -EINVAL, "%s: variants are for x86-64 only; use %s itself for this", a->other_target, d->compiler);
	if (a->refused)
		return vb_error_set(err, -EINVAL, "%s: %s", a->refused, a->refused_why);
	if (a->fixed_register && variant_wants(&d->options, VARIANT_REGISTERS))
		return vb_error_set(err, -EINVAL, "%s: registers can't be permuted then: add --no-registers", a->fixed_register);
	if (d->options.libc && d->cplusplus)
		return vb_error_set(err, -EINVAL, "--libc musl is for C: Debian's libstdc++ needs glibc");
	if (d->options.libc && a->shared)
		return vb_error_set(err, -EINVAL, "--libc musl links statically: -shared does not go with it");
	return 0;
}

/* --- the plan --- */

/* The compiler in our place, with its arguments as they were. */
static int become_compiler(const struct driver *d, struct vb_error *err)
{
	struct words w = {0};
	words_add(&w, d->compiler);
	libc_add_compile(d, &w);
	for (char **a = d->plain_argv; *a; a++)
		words_add(&w, *a);
	driver_signals_restore();
	execv(d->compiler, (char **)w.at);
	return vb_error_errno(err, "can't start %s", d->compiler);
}

/* For what isn't compiled by us: assembly, other languages. */
static int compile_other(struct driver *d, const struct argument *input, const char *output)
{
	struct driver_child child = {.input = -1};
	struct words w = {0};
	struct vb_error err;
	words_add(&w, d->compiler);
	libc_add_compile(d, &w);
	for (size_t i = 0; i < d->args.count; i++) {
		const struct argument *a = &d->args.all[i];
		if (a->kind == ARGUMENT_INPUT || a->kind == ARGUMENT_OUTPUT || a->kind == ARGUMENT_MODE || a->kind == ARGUMENT_LINK ||
			a->kind == ARGUMENT_LANGUAGE)
			continue;
		words_add(&w, a->text);
		if (a->value)
			words_add(&w, a->value);
	}
	if (input->language) {
		words_add(&w, "-x");
		words_add(&w, input->language);
	}
	words_add(&w, "-c");
	words_add(&w, input->text);
	words_add(&w, "-o");
	words_add(&w, output);
	int r = driver_run(w.at, &child, &err);
	words_free(&w);
	return r < 0 ? driver_fail(&err) : r;
}

/* -c or -S: each source to its own file. */
static int compile_all(struct driver *d)
{
	bool assembly = d->args.mode == ARGUMENTS_ASSEMBLY;
	int status = 0;
	for (size_t i = 0; i < d->args.count; i++) {
		const struct argument *a = &d->args.all[i];
		char name[PATH_MAX];
		if (a->kind != ARGUMENT_INPUT)
			continue;
		if (argument_source(a) == SOURCE_LINKED) {
			log_error("cc: warning: %s: linker input file unused because linking not done", a->text);
			continue;
		}
		if (argument_base(a->text, assembly ? ".s" : ".o", name, sizeof(name)) < 0) {
			log_error("cc: %s: the name is too long", a->text);
			return STATUS_FAILED;
		}
		const char *output = d->args.output ? d->args.output : name;
		int r = argument_source(a) == SOURCE_OTHER && !assembly ? compile_other(d, a, output)
									: driver_compile(d, a, output, assembly);
		status = r ? r : status;
		if (driver_signal())
			break;
	}
	return status;
}

static int link_all(struct driver *d)
{
	const char **objects = calloc(d->args.count + 1, sizeof(*objects));
	struct vb_error err;
	int status = objects ? 0 : STATUS_FAILED;
	for (size_t i = 0; i < d->args.count && !driver_signal() && objects; i++) {
		const struct argument *a = &d->args.all[i];
		if (a->kind != ARGUMENT_INPUT || argument_source(a) == SOURCE_LINKED)
			continue;
		objects[i] = driver_temporary(".o", &err);
		if (!*objects[i]) {
			status = driver_fail(&err);
			break;
		}
		int r = argument_source(a) == SOURCE_COMPILED ? driver_compile(d, a, objects[i], false) : compile_other(d, a, objects[i]);
		status = r ? r : status;
	}
	if (!status)
		status = driver_link(d, objects);
	free(objects);
	return status;
}

/* True if there is nothing here for us: the compiler may as well have been called itself. */
static bool is_compilers(const struct arguments *a)
{
	unsigned compiled = 0, other = 0;
	if (a->mode == ARGUMENTS_OTHER || !a->inputs)
		return true;
	for (size_t i = 0; i < a->count; i++) {
		if (a->all[i].kind != ARGUMENT_INPUT)
			continue;
		enum source_kind kind = argument_source(&a->all[i]);
		compiled += kind == SOURCE_COMPILED;
		other += kind == SOURCE_OTHER;
		if (kind == SOURCE_COMPILED && !strcmp(a->all[i].text, "-") && !a->all[i].language)
			return true;
	}
	if (a->mode == ARGUMENTS_LINK)
		return false;
	/* -c x.S, and what is an error: let the compiler say so. A mixture of both kinds is rare, and refused by nobody. */
	return !compiled || (a->output && a->inputs > 1);
}

/* gcc compiles a header alone to one it can load. */
static bool makes_header(const struct arguments *a)
{
	for (size_t i = 0; i < a->count; i++) {
		const char *text = a->all[i].text, *language = a->all[i].language, *dot = strrchr(text, '.');
		if (a->all[i].kind != ARGUMENT_INPUT)
			continue;
		if (language ? strstr(language, "-header") != NULL : dot && (dot[1] == 'h' || dot[1] == 'H'))
			return true;
	}
	return false;
}

static int work(struct driver *d, struct vb_error *err)
{
	bool simple = is_compilers(&d->args) || makes_header(&d->args);
	if (simple && (!d->options.libc || !d->args.inputs))
		return become_compiler(d, err);
	int r = check_options(d, err);
	if (r == 0)
		r = check_arguments(d, err);
	if (r < 0)
		return r;
	d->has_store = d->options.store_bytes > 0 && store_open(&d->store, d->options.store, d->options.store_bytes, err) == 0;
	if (!d->has_store && d->options.store_bytes > 0 && d->options.store)
		return -EINVAL; /* one that was asked for */
	if (d->options.libc && (r = libc_prepare(d, err)) < 0)
		return r;
	if (simple)
		return become_compiler(d, err);
	return d->args.mode == ARGUMENTS_LINK ? link_all(d) : compile_all(d);
}

int driver_main(char **argv, bool cplusplus)
{
	struct driver d = {.cplusplus = cplusplus};
	struct vb_error err;
	struct words rest = {0};
	const char *cc = "gcc";
	variant_options_init(&d.options);
	driver_signals_init();
	int r = take_environment(&d, &cc, &err);
	if (r == 0)
		r = take_options(&d, argv, &rest, &cc, &err);
	if (d.options.chaff_trace && !d.options.seeded)
		d.options.plain = true;
	if (r == 0)
		r = choose_compiler(&d, cc, &err);
	if (!rest.at)
		words_add(&rest, ""), rest.at[--rest.count] = NULL;
	d.plain_argv = (char **)rest.at;
	if (r == 0)
		r = arguments_parse(d.plain_argv, &d.args, &err);
	if (r == 0)
		r = work(&d, &err);
	if (r < 0)
		r = driver_fail(&err);
	driver_cleanup();
	if (d.has_store)
		store_close(&d.store);
	arguments_release(&d.args);
	if (driver_signal())
		r = -driver_signal();
	driver_signals_restore();
	return r;
}
