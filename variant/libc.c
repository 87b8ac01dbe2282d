/* Builds musl as a variant and says how to compile and link with it. Owns DIR/libc in the store's folder. The source package is
 * trusted: its configure and make are run. */
#include "variant/libc.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/types.h"
#include "host/error.h"
#include "host/file.h"
#include "host/log.h"
#include "host/paths.h"
#include "variant/driver.h"

extern char **environ;

/* --- what it depends on --- */

static void add_file_identity(struct store_key *k, const char *path)
{
	struct stat st = {0};
	if (stat(path, &st) < 0)
		st.st_size = -1;
	uint64_t identity[3] = {(uint64_t)st.st_size, (uint64_t)st.st_mtim.tv_sec, (uint64_t)st.st_mtim.tv_nsec};
	store_key_add_text(k, path);
	store_key_add(k, identity, sizeof(identity));
}

/* Our own options for the compiler of musl, as words. */
static void add_options(const struct driver *d, struct words *w)
{
	static char storage[16384];
	char *at[64], path[PATH_MAX];
	struct variant_options o = d->options;
	o.chaff = 0, o.chaff_plan = o.chaff_skip = NULL, o.chaff_trace = o.supervised = false;        /* the program's matter */
	int count = variant_options_format(&o, storage, sizeof(storage), at, VB_ARRAY_LEN(at), NULL); /* without names of files it fits */
	for (int i = 0; i < count; i++)
		words_add(w, at[i]);
	words_addf(w, "--nop-rate=%u", o.nop_percent);
	if (o.map)
		words_add(w, "--map");
	if (o.profile) /* as seen from the folder that musl is built in */
		words_addf(w, "--profile=%s", realpath(o.profile, path) ? path : o.profile);
	words_addf(w, "--cc=%s", d->compiler);
}

static int source_folder(const struct driver *d, char *ret, struct vb_error *err)
{
	char self[PATH_MAX], candidate[PATH_MAX + 64];
	static const char *const places[] = {"%s/../deps/musl", "%s/../share/vauban/musl"};
	if (d->options.libc_source) {
		snprintf(candidate, sizeof(candidate), "%s/configure", d->options.libc_source);
		if (!realpath(d->options.libc_source, ret) || access(candidate, X_OK) < 0)
			return vb_error_set(err, -ENOENT, "--libc-source %s: there is no musl in it (no program \"configure\")",
				d->options.libc_source);
		return 0;
	}
	int r = path_helper("vauban", self, sizeof(self), err);
	if (r < 0)
		return r;
	*strrchr(self, '/') = 0;
	for (unsigned i = 0; i < VB_ARRAY_LEN(places); i++) {
		snprintf(candidate, sizeof(candidate), places[i], self);
		if (realpath(candidate, ret))
			return 0;
	}
	return vb_error_set(err, -ENOENT,
		"--libc musl: its sources are missing: fetch them (apt-get source musl, or tools/deps in Vauban's own tree) and name their "
		"folder by --libc-source");
}

static int make_key(const struct driver *d, const char *source, char name[2 * STORE_KEY_BYTES + 1], struct vb_error *err)
{
	struct store_key k;
	struct words w = {0};
	char path[PATH_MAX + 16];
	int r = path_helper("vauban", path, PATH_MAX, err);
	if (r < 0)
		return r;
	store_key_init(&k);
	store_key_add_text(&k, "libc 1");
	add_file_identity(&k, path); /* another Vauban may make other variants */
	if (d->clang && path_helper("vauban-ir", path, PATH_MAX, err) == 0)
		add_file_identity(&k, path);
	snprintf(path, sizeof(path), "%s/VERSION", source);
	add_file_identity(&k, path);
	add_file_identity(&k, d->compiler);
	if (d->options.profile)
		add_file_identity(&k, d->options.profile);
	add_options(d, &w);
	for (size_t i = 0; i < w.count; i++)
		store_key_add_text(&k, w.at[i]);
	words_free(&w);
	store_key_done(&k);
	for (unsigned i = 0; i < STORE_KEY_BYTES; i++)
		snprintf(name + 2 * i, 3, "%02x", k.bytes[i]);
	return 0;
}

/* --- building --- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static void remove_tree(const char *path)
{
	nftw(path, remove_one, 32, FTW_DEPTH | FTW_PHYS);
}

/* Ours, without what is meant for the build that goes on around. */
static char **environment(const char *cc)
{
	static const char *const dropped[] = {"CC=", "CFLAGS=", "CPPFLAGS=", "LDFLAGS=", "LIBCC=", "MAKEFLAGS=", "MFLAGS=", "MAKELEVEL=",
		"VAUBAN_CC=", "DESTDIR=", "AR=", "RANLIB=", "CROSS_COMPILE=", "LC_ALL=", "DEPENDENCIES_OUTPUT=", "SUNPRO_DEPENDENCIES="};
	struct words w = {0};
	for (char **e = environ; *e; e++) {
		bool drop = false;
		for (unsigned i = 0; i < VB_ARRAY_LEN(dropped); i++)
			drop |= !strncmp(*e, dropped[i], strlen(dropped[i]));
		if (!drop)
			words_add(&w, *e);
	}
	words_add(&w, "LC_ALL=C");
	words_addf(&w, "CC=%s", cc);
	return (char **)w.at;
}

static int step(const char *const *argv, const char *folder, const char *log, char *const *env, struct vb_error *err)
{
	struct driver_child child = {.input = -1, .output = words_text("%s.out", log), .errors = log, .folder = folder, .environment = env};
	int r = driver_run(argv, &child, err);
	return r > 0 ? vb_error_set(err, -EIO, "%s in %s ended with status %d: see %s", argv[0], folder, r, log) : r;
}

static int configure_and_make(const struct driver *d, const char *source, const char *work, const char *dir, struct vb_error *err)
{
	char vauban[PATH_MAX], folder[PATH_MAX];
	struct words options = {0};
	struct words cc = {0};
	const char *make, *log = words_text("%s/log", work), *build = words_text("%s/build", work);
	int r = path_helper("vauban", vauban, sizeof(vauban), err);
	if (r == 0)
		r = driver_find("make", &make, err);
	if (r == 0)
		r = store_folder(dir, folder, sizeof(folder), err);
	if (r < 0)
		return r;
	add_options(d, &options);
	char *store = realpath(folder, NULL), *text = words_text("%s cc --store=%s", vauban, store ? store : folder);
	free(store);
	for (size_t i = 0; i < options.count; i++)
		text = words_text("%s %s", text, options.at[i]);
	words_free(&options);
	char **env = environment(text);
	if (mkdir(build, 0700) < 0)
		return vb_error_errno(err, "%s", build);
	words_addf(&cc, "%s/configure", source);
	words_add(&cc, "--prefix=/");
	words_add(&cc, "--disable-shared");
	r = step(cc.at, build, log, env, err);
	words_free(&cc);
	if (r < 0)
		return r;
	words_add(&cc, make);
	words_addf(&cc, "-j%ld", sysconf(_SC_NPROCESSORS_ONLN));
	words_addf(&cc, "DESTDIR=%s/root", work);
	words_add(&cc, "install-libs");
	words_add(&cc, "install-headers");
	r = step(cc.at, build, log, env, err);
	words_free(&cc);
	free(env);
	return r;
}

static int ask_compiler(const struct driver *d, const char *option, const char *work, char *ret, size_t size, struct vb_error *err)
{
	const char *out = words_text("%s/answer", work);
	struct driver_child child = {.input = -1, .output = out};
	char *text;
	size_t len;
	const char *const argv[] = {d->compiler, option, NULL};
	int r = driver_run(argv, &child, err);
	if (r > 0)
		return vb_error_set(err, -EIO, "%s %s: status %d", d->compiler, option, r);
	if (r == 0 && (r = file_read(AT_FDCWD, out, PATH_MAX, &text, &len)) < 0)
		return vb_error_set(err, r, "%s: %s", out, strerror(-r));
	if (r < 0)
		return r;
	text[strcspn(text, "\n")] = 0;
	snprintf(ret, size, "%s", text);
	free(text);
	return 0;
}

/* The compiler's own files and the kernel's headers, as links: musl's folders are all that a build with it sees. */
static int add_links(const struct driver *d, const char *work, struct vb_error *err)
{
	static const char *const files[] = {"crtbeginT.o", "crtbeginS.o", "crtend.o", "crtendS.o", "libgcc.a", "libgcc_eh.a"};
	static const struct {
		const char *name, *target;
	} headers[] = {{"linux", "/usr/include/linux"}, {"asm", "/usr/include/x86_64-linux-gnu/asm"},
		{"asm-generic", "/usr/include/asm-generic"}, {"mtd", "/usr/include/mtd"}};
	char found[PATH_MAX], path[PATH_MAX];
	for (unsigned i = 0; i < VB_ARRAY_LEN(files); i++) {
		int r = ask_compiler(d, words_text("-print-file-name=%s", files[i]), work, found, sizeof(found), err);
		if (r < 0)
			return r;
		if (*found != '/')
			return vb_error_set(err, -ENOENT, "%s has no %s: is its package complete?", d->compiler, files[i]);
		snprintf(path, sizeof(path), "%s/root/lib/%s", work, files[i]);
		if (symlink(found, path) < 0)
			return vb_error_errno(err, "%s", path);
	}
	for (unsigned i = 0; i < VB_ARRAY_LEN(headers); i++) {
		snprintf(path, sizeof(path), "%s/root/include/%s", work, headers[i].name);
		if (symlink(headers[i].target, path) < 0)
			return vb_error_errno(err, "%s", path);
	}
	int r = ask_compiler(d, d->clang ? "-print-resource-dir" : "-print-file-name=include", work, found, sizeof(found), err);
	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "%s/root/compiler", work);
	return symlink(words_text(d->clang ? "%s/include" : "%s", found), path) < 0 ? vb_error_errno(err, "%s", path) : 0;
}

static int build(const struct driver *d, const char *source, const char *final, struct vb_error *err)
{
	char *work = words_text("%s.%d", final, getpid());
	remove_tree(work); /* of a process of the same number that was killed */
	if (mkdir(work, 0700) < 0)
		return vb_error_errno(err, "%s", work);
	log_error("cc: building the C library for this variant, once: musl, from %s", source);
	int r = configure_and_make(d, source, work, d->options.store, err);
	if (r == 0)
		r = add_links(d, work, err);
	if (r == 0 && rename(words_text("%s/root", work), final) < 0)
		r = vb_error_errno(err, "%s", final);
	if (r == 0 || driver_signal())
		remove_tree(work);
	return r < 0 ? vb_error_wrap(err, r, "--libc musl") : 0;
}

int libc_prepare(struct driver *d, struct vb_error *err)
{
	char source[PATH_MAX], folder[PATH_MAX], name[2 * STORE_KEY_BYTES + 1];
	if (!d->has_store)
		return vb_error_set(err, -EINVAL, "--libc musl needs the store to keep it in: give --store DIR and no --store-size 0");
	int r = source_folder(d, source, err);
	if (r == 0)
		r = make_key(d, source, name, err);
	if (r == 0)
		r = store_folder(d->options.store, folder, sizeof(folder), err);
	if (r < 0)
		return r;
	char *libcs = words_text("%s/libc", folder), *final = words_text("%s/%.32s", libcs, name);
	char *absolute = mkdir(libcs, 0700) < 0 && errno != EEXIST ? NULL : realpath(libcs, NULL);
	if (!absolute)
		return vb_error_errno(err, "can't make %s", libcs);
	final = words_text("%s/%.32s", absolute, name);
	if (access(final, R_OK) < 0) {
		int lock = open(words_text("%s.lock", final), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		if (lock < 0 || flock(lock, LOCK_EX) < 0)
			return vb_error_errno(err, "%s.lock", final);
		if (access(final, R_OK) < 0) /* or another has built it meanwhile */
			r = build(d, source, final, err);
		close(lock);
	}
	free(absolute);
	d->libc.include = final;
	d->libc.lib = words_text("%s/lib", final);
	return r;
}

/* --- using --- */

void libc_add_compile(const struct driver *d, struct words *w)
{
	if (!d->libc.include)
		return;
	words_add(w, "-nostdinc");
	words_add(w, "-isystem");
	words_addf(w, "%s/include", d->libc.include);
	words_add(w, "-isystem");
	words_addf(w, "%s/compiler", d->libc.include);
}

static bool is_pie(const struct driver *d)
{
	return !d->args.no_pie && (!d->args.is_static || d->args.static_pie);
}

int libc_add_link_front(const struct driver *d, struct words *w, struct vb_error *err)
{
	if (d->args.relocatable)
		return 0;
	words_add(w, "-nostdlib");
	words_add(w, is_pie(d) ? "-static-pie" : "-static");
	words_addf(w, "-L%s", d->libc.lib);
	if (d->args.no_startfiles)
		return 0;
	words_addf(w, "%s/%s", d->libc.lib, is_pie(d) ? "rcrt1.o" : "crt1.o");
	words_addf(w, "%s/crti.o", d->libc.lib);
	words_addf(w, "%s/%s", d->libc.lib, is_pie(d) ? "crtbeginS.o" : "crtbeginT.o");
	return 0;
}

void libc_add_link_back(const struct driver *d, struct words *w, struct vb_error *err)
{
	if (d->args.relocatable)
		return;
	if (!d->args.no_default_libraries) {
		const char *const libraries[] = {"-Wl,--start-group", "-lgcc", "-lgcc_eh", "-lc", "-Wl,--end-group"};
		for (unsigned i = 0; i < VB_ARRAY_LEN(libraries); i++)
			words_add(w, libraries[i]);
	}
	if (d->args.no_startfiles)
		return;
	words_addf(w, "%s/%s", d->libc.lib, is_pie(d) ? "crtendS.o" : "crtend.o");
	words_addf(w, "%s/crtn.o", d->libc.lib);
}
