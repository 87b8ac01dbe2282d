/* The dpkg database, read directly: /var/lib/dpkg/status and info/NAME.list. Owns the text of the status file for the length of a
 * call. The database is root's and trusted not to be hostile, but may be absent or half-written.
 *
 * Which packages: those of the program's source package reachable through Depends, Pre-Depends, Recommends and Suggests, and
 * the packages of data (architecture all) that these depend on. So
 * python3.11-minimal brings libpython3.11-stdlib, perl-base brings perl-modules, file brings libmagic-mgc, and no library's
 * own dependencies are dragged in: what they need to run, closure.c finds.
 */
#include "image/package.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/types.h"

#define DPKG "/var/lib/dpkg"

struct package {
	const char *name, *source, *architecture, *priority; /* within the text, each terminated */
	const char *relations[4];                            /* Pre-Depends, Depends, Recommends, Suggests; may be NULL */
	bool wanted;
};

struct database {
	char *text;
	struct package *at;
	size_t count;
};

static char *read_file(const char *path, size_t *ret_len)
{
	FILE *f = fopen(path, "re");
	struct stat st;
	char *text = NULL;

	if (f && !fstat(fileno(f), &st) && (text = malloc(st.st_size + 2))) {
		*ret_len = fread(text + 1, 1, st.st_size, f) + 1;
		text[0] = '\n'; /* every line then has one before it and, if whole, one after it */
		text[*ret_len] = 0;
	}
	if (f)
		fclose(f);
	return text;
}

/* --- the status file --- */

static void take_field(struct package *p, const char *name, char *value)
{
	static const char *const relations[] = {"Pre-Depends", "Depends", "Recommends", "Suggests"};

	if (!strcmp(name, "Package"))
		p->name = value;
	else if (!strcmp(name, "Architecture"))
		p->architecture = value;
	else if (!strcmp(name, "Priority"))
		p->priority = value;
	else if (!strcmp(name, "Source")) {
		value[strcspn(value, " ")] = 0; /* "name (version)" */
		p->source = value;
	}
	for (size_t i = 0; i < VB_ARRAY_LEN(relations); i++)
		if (!strcmp(name, relations[i]))
			p->relations[i] = value;
}

static int add_package(struct database *db, const struct package *p)
{
	if (db->count % 512 == 0) {
		struct package *grown = realloc(db->at, (db->count + 512) * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		db->at = grown;
	}
	db->at[db->count] = *p;
	if (!db->at[db->count].source)
		db->at[db->count].source = p->name;
	db->count++;
	return 0;
}

static int database_open(struct database *db)
{
	struct package p = {0};
	size_t len;

	*db = (struct database){.text = read_file(DPKG "/status", &len)};
	if (!db->text)
		return -ENOENT;
	for (char *line = db->text + 1, *end; (end = strchr(line, '\n')); line = end + 1) {
		char *colon;

		*end = 0;
		if (!*line) { /* end of a paragraph */
			if (p.name && p.architecture && add_package(db, &p))
				return -ENOMEM;
			p = (struct package){0};
		} else if (*line != ' ' && (colon = strstr(line, ": "))) {
			*colon = 0;
			take_field(&p, line, colon + 2);
		}
	}
	return p.name && p.architecture ? add_package(db, &p) : 0;
}

static void database_close(struct database *db)
{
	free(db->text);
	free(db->at);
}

/* --- which packages --- */

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n >= m && !strcmp(s + n - m, end);
}

/* Packages that no running program needs. */
static bool for_people(const char *name)
{
	static const char *const ends[] = {"-dev", "-doc", "-dbg", "-dbgsym", "-examples", "-l10n", "-locales", "-i18n", "-lang"};

	for (size_t i = 0; i < VB_ARRAY_LEN(ends); i++)
		if (ends_with(name, ends[i]))
			return true;
	return !strcmp(name, "locales") || !strcmp(name, "locales-all");
}

/* q is named in one of p's relations: is it a part of the program, or data that the program depends on (the scripts that
 * Debian's node loads)? What every Debian has anyway is neither. */
static bool belongs(const struct package *p, const struct package *q, size_t relation)
{
	bool data = !strcmp(q->architecture, "all") && q->priority && !strcmp(q->priority, "optional");

	return !for_people(q->name) && (!strcmp(q->source, p->source) || (data && relation <= 1));
}

/* Marks what `p` names in its relations and belongs to it. True if something new is marked. */
static bool mark_related(struct database *db, const struct package *p)
{
	bool marked = false;

	for (size_t i = 0; i < VB_ARRAY_LEN(p->relations); i++)
		for (const char *s = p->relations[i]; s && *s;) {
			size_t len = strcspn(s, " ,|(:");

			for (size_t k = 0; k < db->count && len; k++) {
				struct package *q = &db->at[k];

				if (q->wanted || strlen(q->name) != len || memcmp(q->name, s, len) || !belongs(p, q, i))
					continue;
				q->wanted = marked = true;
			}
			s += strcspn(s, ",|");
			s += strspn(s, ",| ");
		}
	return marked;
}

/* --- file lists --- */

/* The package whose list names the path, or NULL. */
static struct package *owner_in(struct database *db, const char *list_name)
{
	/* "NAME.list" or "NAME:ARCH.list"; names may hold dots */
	const char *arch = strchr(list_name, ':');
	size_t len = arch ? (size_t)(arch - list_name) : strlen(list_name) - strlen(".list");
	for (size_t i = 0; i < db->count; i++) {
		struct package *p = &db->at[i];

		if (strlen(p->name) == len && !memcmp(p->name, list_name, len) &&
			(!arch || !strncmp(arch + 1, p->architecture, strlen(p->architecture))))
			return p;
	}
	return NULL;
}

static struct package *find_owner(struct database *db, const char *program)
{
	char usual[PATH_MAX + 2], unmerged[PATH_MAX + 2] = "\n/", path[PATH_MAX];
	struct package *owner = NULL;
	DIR *dir = opendir(DPKG "/info");
	struct dirent *e;

	/* "/usr/bin/ls" is listed as "/bin/ls": packages were built before the directories were merged */
	snprintf(usual, sizeof(usual), "\n%s\n", program);
	snprintf(unmerged, sizeof(unmerged), "\n%s\n", strncmp(program, "/usr/", 5) ? program : program + 4);
	while (dir && !owner && (e = readdir(dir))) {
		size_t len;
		char *text;

		if (!ends_with(e->d_name, ".list"))
			continue;
		snprintf(path, sizeof(path), DPKG "/info/%s", e->d_name);
		text = read_file(path, &len);
		if (text && (memmem(text, len, usual, strlen(usual)) || memmem(text, len, unmerged, strlen(unmerged))))
			owner = owner_in(db, e->d_name);
		free(text);
	}
	if (dir)
		closedir(dir);
	return owner;
}

/* Listed, but of no use to a running program. */
static bool left_out(const char *path)
{
	static const char *const below[] = {"/bin/", "/sbin/", "/usr/bin/", "/usr/sbin/", "/usr/games/", "/usr/include/", "/usr/share/doc/",
		"/usr/share/man/", "/usr/share/info/", "/usr/share/locale/", "/usr/share/lintian/", "/usr/share/bash-completion/",
		"/usr/share/zsh/", "/usr/share/bug/", "/usr/share/doc-base/", "/usr/share/applications/", "/usr/share/icons/",
		"/usr/share/pixmaps/", "/usr/share/gtk-doc/", "/usr/lib/node_modules/", "/etc/init.d/", "/etc/cron.", "/lib/systemd/",
		"/usr/lib/systemd/", "/usr/lib/debug/", "/var/"};

	for (size_t i = 0; i < VB_ARRAY_LEN(below); i++)
		if (!strncmp(path, below[i], strlen(below[i])))
			return true;
	return ends_with(path, ".a") || strstr(path, "/CORE/"); /* Perl's headers */
}

/* The compiled modules beside Python sources are made at installation: no list has them. */
static int add_compiled_python(struct tree *t, const char *dir, struct vb_error *err)
{
	char cache[PATH_MAX];

	if (strncmp(dir, "/usr/lib/python", 15) || strstr(dir, "-packages") ||
		snprintf(cache, sizeof(cache), "%s/__pycache__", dir) >= (int)sizeof(cache) || access(cache, R_OK))
		return 0;
	return tree_add_recursive(t, cache, cache, err);
}

static int add_listed(struct tree *t, const char *path, struct vb_error *err)
{
	struct stat st;
	int r;

	if (left_out(path) || stat(path, &st)) /* gone, or a link to nowhere */
		return 0;
	if (S_ISDIR(st.st_mode) && (r = add_compiled_python(t, path, err)))
		return r;
	r = tree_add_path(t, path, NULL, err);
	return r == -ENOMEM ? r : 0;
}

static int add_package_files(struct tree *t, const struct package *p, struct vb_error *err)
{
	char path[PATH_MAX], *text;
	size_t len;
	int r = 0;

	snprintf(path, sizeof(path), DPKG "/info/%s.list", p->name);
	if (access(path, R_OK))
		snprintf(path, sizeof(path), DPKG "/info/%s:%s.list", p->name, p->architecture);
	text = read_file(path, &len);
	for (char *line = text, *end; text && !r && (end = strchr(line, '\n')); line = end + 1) {
		*end = 0;
		if (line[0] == '/' && line[1] != '.')
			r = add_listed(t, line, err);
	}
	free(text);
	return r;
}

int package_add_files(struct tree *t, const char *program, struct vb_error *err)
{
	struct database db;
	struct package *owner;
	int r = database_open(&db);

	if (!r && (owner = find_owner(&db, program))) {
		bool more = owner->wanted = true;

		while (more) {
			more = false;
			for (size_t i = 0; i < db.count; i++)
				if (db.at[i].wanted && mark_related(&db, &db.at[i]))
					more = true;
		}
		for (size_t i = 0; i < db.count && !r; i++)
			if (db.at[i].wanted)
				r = add_package_files(t, &db.at[i], err);
	}
	database_close(&db);
	if (r == -ENOMEM)
		return vb_error_set(err, r, "out of memory");
	return r == -ENOENT ? 0 : r;
}
