/* The contents of an image of a program, as tables. Owns nothing. */
#include "image/plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/types.h"
#include "image/closure.h"
#include "image/package.h"

static const struct {
	const char *path;
	uint32_t mode;
} directories[] = {
	{"/dev", 0755},
	{"/home", 0755},
	{"/mnt", 0755},
	{"/proc", 0555},
	{"/root", 0700},
	{"/run", 0755},
	{"/sys", 0555},
	{"/tmp", 01777},
	{"/usr/local", 0755},
	{"/var/lib", 0755},
	{"/var/tmp", 01777},
};

/* Host files that go in where they exist. */
static const char *const base_files[] = {"/bin", "/sbin", "/lib", "/lib64", "/etc/passwd", "/etc/group", "/etc/hosts", "/etc/hostname",
	"/etc/nsswitch.conf", "/etc/host.conf", "/etc/resolv.conf", "/etc/localtime", "/etc/timezone", "/etc/ld.so.cache", "/etc/services",
	"/etc/protocols", "/etc/mtab", "/etc/os-release", "/etc/debian_version", "/etc/shells", "/usr/share/zoneinfo/UTC",
	"/usr/share/zoneinfo/Etc/UTC"};
static const char *const base_trees[] = {"/usr/lib/locale/C.utf8"};

/* Libraries that look for files by themselves. */
static const struct {
	const char *library; /* start of its name */
	const char *files[12];
} extras[] = {
	{"libtinfo.so", {"/lib/terminfo", "/etc/terminfo"}},
	{"libncurses", {"/lib/terminfo", "/etc/terminfo"}},
	{"libssl.so", {"/etc/ssl/openssl.cnf", "/usr/lib/ssl", "/etc/ssl/certs/ca-certificates.crt"}},
	{"libcrypto.so", {"/etc/ssl/openssl.cnf", "/usr/lib/ssl/openssl.cnf", "/usr/lib/x86_64-linux-gnu/ossl-modules"}},
	{"libgnutls.so", {"/etc/ssl/certs/ca-certificates.crt"}},
	{"libmagic.so", {"/etc/magic", "/usr/share/misc/magic.mgc", "/usr/lib/file/magic.mgc"}},
	{"libfontconfig.so", {"/etc/fonts", "/usr/share/fontconfig"}},
	{"libreadline.so", {"/etc/inputrc"}},
};

/* Libraries that are useless without the modules and data of their package: embedded interpreters and their like. */
static const char *const with_package[] = {
	"libpython3.", "libperl.so", "libruby-", "libtcl8", "libMagickCore-", "libmagic.so", "libgs.so", "libjvm.so"};

static int only_memory(int r)
{
	return r == -ENOMEM ? r : 0;
}

/* A host file or directory with all in it, and what links lead to, if it is there. */
static int add_all(struct tree *t, const char *path, struct vb_error *err)
{
	char real[PATH_MAX];
	size_t index;
	int r;

	if (access(path, R_OK) || !realpath(path, real))
		return 0;
	r = tree_add_path(t, path, &index, err);
	if (!r && S_ISDIR(t->at[index].mode))
		r = tree_add_recursive(t, real, real, err);
	return only_memory(r);
}

int plan_add_base(struct tree *t, struct vb_error *err)
{
	int r = 0;

	for (size_t i = 0; i < VB_ARRAY_LEN(base_files) && !r; i++) {
		struct stat st;

		if (!strcmp(base_files[i], "/etc/mtab") ? !lstat(base_files[i], &st) : !access(base_files[i], R_OK))
			r = only_memory(tree_add_path(t, base_files[i], NULL, err));
	}
	for (size_t i = 0; i < VB_ARRAY_LEN(base_trees) && !r; i++)
		r = add_all(t, base_trees[i], err);
	for (size_t i = 0; i < VB_ARRAY_LEN(directories) && !r; i++)
		r = tree_add_directory(t, directories[i].path, directories[i].mode, err);
	return r;
}

int plan_add_program(struct tree *t, const char *program, struct vb_error *err)
{
	size_t count = t->count;
	int r = closure_add_program(t, program, err);

	/* each file that this brought - the program, or a script's interpreters - may have a package */
	for (size_t i = count, end = t->count; i < end && !r; i++)
		if (S_ISREG(t->at[i].mode) && t->at[i].required)
			r = package_add_files(t, t->at[i].source, err);
	return r;
}

/* What the library of a node needs beside other libraries. */
static int complete_library(struct tree *t, size_t index, struct vb_error *err)
{
	char source[PATH_MAX];
	const char *name = strrchr(t->at[index].path, '/') + 1; /* stays where it is, unlike nodes */
	int r = 0;

	for (size_t k = 0; k < VB_ARRAY_LEN(extras) && !r; k++)
		for (const char *const *f = extras[k].files; *f && !r; f++)
			if (!strncmp(name, extras[k].library, strlen(extras[k].library)) && !tree_find(t, *f))
				r = add_all(t, *f, err);
	for (size_t k = 0; k < VB_ARRAY_LEN(with_package) && !r; k++)
		if (!strncmp(name, with_package[k], strlen(with_package[k])) && t->at[index].source && S_ISREG(t->at[index].mode)) {
			snprintf(source, sizeof(source), "%s", t->at[index].source);
			r = package_add_files(t, source, err);
		}
	return r;
}

int plan_complete(struct tree *t, struct vb_error *err)
{
	int r = closure_complete(t, err);

	for (size_t i = 0; i < t->count && !r;) {
		r = complete_library(t, i++, err);
		if (!r && i == t->count)
			r = closure_complete(t, err); /* may add libraries to look at */
	}
	return r;
}

int plan_find_program(const char *name, char *ret_path, struct vb_error *err)
{
	const char *dir = getenv("PATH");
	char cwd[PATH_MAX];

	if (strchr(name, '/')) {
		while (!strncmp(name, "./", 2))
			name += 2;
		if (name[0] != '/' && !getcwd(cwd, sizeof(cwd)))
			return vb_error_errno(err, "can't tell the working directory");
		if (snprintf(ret_path, PATH_MAX, "%s%s%s", name[0] == '/' ? "" : cwd, name[0] == '/' ? "" : "/", name) >= PATH_MAX)
			return vb_error_set(err, -ENAMETOOLONG, "%s: %s", name, strerror(ENAMETOOLONG));
		return access(ret_path, F_OK) ? vb_error_errno(err, "%s", name) : 0;
	}
	for (dir = dir ? dir : "/usr/local/bin:/usr/bin:/bin"; dir; dir = strchr(dir, ':') ? strchr(dir, ':') + 1 : NULL) {
		struct stat st;
		int len = strcspn(dir, ":");

		if (*dir == '/' && snprintf(ret_path, PATH_MAX, "%.*s/%s", len, dir, name) < PATH_MAX && !access(ret_path, X_OK) &&
			!stat(ret_path, &st) && S_ISREG(st.st_mode))
			return 0;
	}
	return vb_error_set(err, -ENOENT, "%s: not found in PATH", name);
}

static bool sets_path(const struct image_strings *environment)
{
	for (size_t i = 0; i < environment->count; i++)
		if (!strncmp(environment->at[i], "PATH=", 5))
			return true;
	return false;
}

int plan_manifest(struct image_manifest *m, const char *program, const char *created_from, struct vb_error *err)
{
	static const char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

	if ((!m->program && !(m->program = strdup(program))) || (!m->created_from && !(m->created_from = strdup(created_from))) ||
		(!m->entry.count && image_strings_add(&m->entry, m->program)) ||
		(!sets_path(&m->environment) && image_strings_add(&m->environment, path)))
		return vb_error_set(err, -ENOMEM, "out of memory");
	return 0;
}
