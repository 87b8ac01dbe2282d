/* Links by way of the compiler, with lld: the order of sections is the seed's. Archives of the system are shuffled, too, by
 * section: that is by object, since they were compiled without -ffunction-sections. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/types.h"
#include "host/error.h"
#include "host/log.h"
#include "host/paths.h"
#include "variant/driver.h"
#include "variant/random.h"

/* Never .init_array and the like: their order means something. */
static const struct {
	const char *glob;
	enum variant_transformation of;
} shuffled[] = {
	{".text*", VARIANT_FUNCTIONS},
	{".data*", VARIANT_DATA},
	{".bss*", VARIANT_DATA},
	{".rodata*", VARIANT_DATA},
};

static void add_order(const struct variant_options *o, struct words *w)
{
	for (unsigned i = 0; i < VB_ARRAY_LEN(shuffled); i++) {
		struct variant_random r;
		if (!variant_wants(o, shuffled[i].of))
			continue;
		variant_random_init(&r, o->seed, (const char *const[]){"link", shuffled[i].glob, NULL});
		/* lld: 0 would be another order each time, 2^32 - 1 the reverse one */
		words_addf(w, "-Wl,--shuffle-sections=%s=%llu", shuffled[i].glob,
			(unsigned long long)(1 + variant_random_below(&r, UINT32_MAX - 1)));
	}
}

/* ld.lld of LLVM 19: Debian's plain ld.lld is an older one. */
static int add_linker(const struct driver *d, struct words *w, struct vb_error *err)
{
	static const char folder[] = "/usr/lib/llvm-19/bin/";
	const char *path;
	if (access("/usr/lib/llvm-19/bin/ld.lld", X_OK) == 0) {
		if (!d->clang)
			words_addf(w, "-B%s", folder);
		else
			words_add(w, "--ld-path=/usr/lib/llvm-19/bin/ld.lld");
	} else {
		int r = driver_find("ld.lld", &path, err);
		if (r < 0)
			return r;
	}
	words_add(w, "-fuse-ld=lld");
	return 0;
}

/* lld takes options that GNU ld has, but is stricter with version scripts: GNU ld accepts names that nothing defines. */
static void add_agreement(struct words *w)
{
	words_add(w, "-Wl,--undefined-version");
	words_add(w, "-Wl,-z,dead-reloc-in-nonalloc=.vauban.map=0");
}

static void add_arguments(const struct driver *d, const char *const *objects, struct words *w)
{
	for (size_t i = 0; i < d->args.count; i++) {
		const struct argument *a = &d->args.all[i];
		if (a->kind == ARGUMENT_LANGUAGE || a->kind == ARGUMENT_PREPROCESS || a->kind == ARGUMENT_DEPENDENCY || a->kind == ARGUMENT_ASSEMBLE)
			continue;
		if (!strcmp(a->text, "-save-temps") || !strcmp(a->text, "--save-temps"))
			continue;
		if (d->options.libc && (!strcmp(a->text, "-static-pie") || !strcmp(a->text, "-pie")))
			continue; /* libc_add_link_front() has said what it is */
		words_add(w, objects[i] ? objects[i] : a->text);
		if (a->value)
			words_add(w, a->value);
	}
}

int driver_link(struct driver *d, const char *const *objects)
{
	struct driver_child child = {.input = -1};
	struct words w = {0};
	struct vb_error err;
	char runtime[PATH_MAX], chaff_runtime[PATH_MAX];
	bool shuffles = variant_wants(&d->options, VARIANT_FUNCTIONS) || variant_wants(&d->options, VARIANT_DATA);
	int r = 0;
	if (d->args.linker && strcmp(d->args.linker, "lld") && !strstr(d->args.linker, "ld.lld") && shuffles && !d->args.relocatable)
		return driver_fail((vb_error_set(&err, -EINVAL,
					    "-fuse-ld=%s: only lld can shuffle: leave it out, or link with --no-functions --no-data", d->args.linker),
			&err));
	words_add(&w, d->compiler);
	if (d->options.libc)
		r = libc_add_link_front(d, &w, &err);
	add_arguments(d, objects, &w);
	if (!d->args.linker && r == 0)
		r = add_linker(d, &w, &err);
	if (r == 0 && (!d->args.linker || strstr(d->args.linker, "lld"))) {
		if (!d->args.relocatable) /* an unfinished object: it will be shuffled when it is linked */
			add_order(&d->options, &w);
		add_agreement(&w);
	}
	if (d->options.profile_generate && !d->args.relocatable && r == 0) {
		r = path_helper("vauban-profile-runtime.o", runtime, sizeof(runtime), &err);
		words_add(&w, runtime);
	}
	if (d->options.chaff_trace && !d->args.relocatable && !d->args.shared && r == 0) {
		r = path_helper("vauban-chaff-runtime.o", chaff_runtime, sizeof(chaff_runtime), &err);
		words_add(&w, chaff_runtime);
	}
	if (d->options.libc && r == 0)
		libc_add_link_back(d, &w, &err);
	if (r == 0)
		r = driver_run(w.at, &child, &err);
	if (r == 0 && d->options.chaff && !d->args.relocatable)
		r = driver_chaff_seal(d, d->args.output ? d->args.output : "a.out");
	words_free(&w);
	return r < 0 ? driver_fail(&err) : r;
}
