/* The dependency closure. Owns nothing beyond a call; ELF files are hostile, the host's ld.so.cache is not (root writes it), but
 * is bounds-checked all the same.
 */
#include "image/closure.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/elf.h"

enum { DT_NEEDED = 1, DT_STRTAB = 5, DT_STRSZ = 10, DT_RPATH = 15, DT_RUNPATH = 29 };
enum { SCRIPT_DEPTH_MAX = 4, NEEDED_MAX = 512, LOADERS_MAX = 64 };

#define CACHE_PATH   "/etc/ld.so.cache"
#define CACHE_MAGIC  "glibc-ld.so.cache1.1"
#define CACHE_X86_64 0x0303 /* FLAG_ELF_LIBC6 | FLAG_X8664_LIB64 */

static const char *const glibc_directories[] = {
	"/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib", NULL};
static const char *const musl_directories[] = {
	"/lib", "/usr/local/lib", "/usr/lib", "/lib/x86_64-linux-musl", "/usr/lib/x86_64-linux-musl", NULL};

struct mapped {
	const uint8_t *bytes;
	size_t size;
};

static int map_file(const char *path, struct mapped *ret)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), r = 0;
	void *p;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		r = -EINVAL;
	else if (!st.st_size)
		*ret = (struct mapped){0};
	else if ((p = mmap(NULL, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0)) == MAP_FAILED)
		r = -errno;
	else
		*ret = (struct mapped){.bytes = p, .size = st.st_size};
	close(fd);
	return r;
}

static void unmap_file(struct mapped *m)
{
	if (m->size)
		munmap((void *)m->bytes, m->size);
}

/* --- the dynamic section --- */

struct dynamic {
	const char *strings; /* terminated within their size */
	size_t strings_size;
	const char *rpath, *runpath;        /* NULL: none */
	const char *needed[NEEDED_MAX + 1]; /* NULL-terminated */
};

static const char *dynamic_string(const struct dynamic *d, uint64_t offset)
{
	return offset < d->strings_size ? d->strings + offset : NULL;
}

static bool dynamic_strings(const struct mapped *m, const struct elf_image *elf, uint64_t vaddr, uint64_t size, struct dynamic *ret)
{
	for (uint32_t i = 0; i < elf->load_count; i++) {
		const struct elf_segment *l = &elf->load[i];
		uint64_t at = vaddr - l->vaddr;

		if (at >= l->filesz || !size || !vb_range_within(at, size, l->filesz))
			continue;
		ret->strings = (const char *)m->bytes + l->offset + at;
		ret->strings_size = size;
		return !ret->strings[size - 1];
	}
	return false;
}

/* False: the section contradicts itself. A file without one needs nothing. */
static bool dynamic_decode(const struct mapped *m, const struct elf_image *elf, struct dynamic *ret)
{
	uint64_t strtab = 0, strsz = 0, entry[2];
	size_t count = elf->has_dynamic ? elf->dynamic.filesz / sizeof(entry) : 0, needed = 0;

	memset(ret, 0, sizeof(*ret));
	for (int pass = 0; pass < 2; pass++) { /* the string table may come after what refers to it */
		for (size_t i = 0; i < count; i++) {
			memcpy(entry, m->bytes + elf->dynamic.offset + i * sizeof(entry), sizeof(entry));
			if (!entry[0])
				break;
			if (entry[0] == DT_STRTAB)
				strtab = entry[1];
			else if (entry[0] == DT_STRSZ)
				strsz = entry[1];
			else if (pass && entry[0] == DT_RPATH)
				ret->rpath = dynamic_string(ret, entry[1]);
			else if (pass && entry[0] == DT_RUNPATH)
				ret->runpath = dynamic_string(ret, entry[1]);
			else if (pass && entry[0] == DT_NEEDED && needed < NEEDED_MAX)
				if (!(ret->needed[needed++] = dynamic_string(ret, entry[1])))
					return false;
		}
		if (!pass && !dynamic_strings(m, elf, strtab, strsz, ret))
			return !strtab;
	}
	return true;
}

/* --- searching --- */

static bool is_library(const char *path)
{
	uint8_t head[ELF_HEADER_BYTES];
	struct elf_image elf;
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	bool yes;

	if (fd < 0)
		return false;
	yes = !fstat(fd, &st) && S_ISREG(st.st_mode) && read(fd, head, sizeof(head)) == sizeof(head) &&
	      !elf_decode_header(head, sizeof(head), st.st_size, &elf, NULL);
	close(fd);
	return yes;
}

static bool try_directory(const char *dir, size_t dir_len, const char *name, char *ret_path)
{
	return snprintf(ret_path, PATH_MAX, "%.*s/%s", (int)dir_len, dir, name) < PATH_MAX && is_library(ret_path);
}

/* Expands $ORIGIN and its like in one directory of a search path. */
static bool expand(const char *dir, size_t len, const char *origin, char *ret)
{
	static const struct {
		const char *name, *value;
	} known[] = {{"ORIGIN", NULL}, {"LIB", "lib/x86_64-linux-gnu"}, {"PLATFORM", "x86_64"}};
	size_t out = 0;

	for (size_t i = 0; i < len;) {
		const char *value = NULL;
		size_t k, name_len, braces = dir[i] == '$' && i + 1 < len && dir[i + 1] == '{';

		for (k = 0; dir[i] == '$' && k < VB_ARRAY_LEN(known); k++) {
			name_len = strlen(known[k].name);
			if (i + 1 + braces + name_len <= len && !memcmp(dir + i + 1 + braces, known[k].name, name_len)) {
				value = known[k].value ? known[k].value : origin;
				i += 1 + name_len + 2 * braces;
				break;
			}
		}
		if (value ? out + strlen(value) >= PATH_MAX : out + 1 >= PATH_MAX)
			return false;
		if (value)
			out = stpcpy(ret + out, value) - ret;
		else
			ret[out++] = dir[i++];
	}
	ret[out] = 0;
	return out && ret[0] == '/';
}

/* Searches "DIR:DIR..." of an object found at `object`. */
static bool try_search_path(const char *list, const char *object, const char *name, char *ret_path)
{
	char origin[PATH_MAX], dir[PATH_MAX];

	if (!realpath(object, origin))
		return false;
	*strrchr(origin, '/') = 0;
	while (list) {
		size_t len = strcspn(list, ":");

		if (expand(list, len, origin, dir) && try_directory(dir, strlen(dir), name, ret_path))
			return true;
		list = list[len] ? list + len + 1 : NULL;
	}
	return false;
}

struct cache_head {
	char magic[20];
	uint32_t count, strings_bytes;
	uint8_t flags, padding[3];
	uint32_t extension, unused[3];
};
struct cache_entry {
	int32_t flags;
	uint32_t key, value, os_version;
	uint64_t hwcap;
};

static bool try_cache(const char *name, char *ret_path)
{
	struct mapped m = {0};
	struct cache_head head;
	bool found = false;

	if (map_file(CACHE_PATH, &m))
		return false;
	if (m.size > sizeof(head) && !m.bytes[m.size - 1]) {
		memcpy(&head, m.bytes, sizeof(head));
		if (memcmp(head.magic, CACHE_MAGIC, sizeof(head.magic)) ||
			!vb_range_within(sizeof(head), head.count * sizeof(struct cache_entry), m.size))
			head.count = 0;
		for (uint32_t i = 0; i < head.count && !found; i++) {
			struct cache_entry e;

			memcpy(&e, m.bytes + sizeof(head) + i * sizeof(e), sizeof(e));
			/* hwcap: a copy for newer processors only, which the image does without */
			found = e.flags == CACHE_X86_64 && !e.hwcap && e.key < m.size && e.value < m.size &&
				!strcmp((const char *)m.bytes + e.key, name) &&
				snprintf(ret_path, PATH_MAX, "%s", m.bytes + e.value) < PATH_MAX && is_library(ret_path);
		}
	}
	unmap_file(&m);
	return found;
}

/* The host path of a library as ld.so finds it for a program without rpath. -ENOENT. */
static int find_library(const char *name, char *ret_path)
{
	if (try_cache(name, ret_path))
		return 0;
	for (const char *const *dir = glibc_directories; *dir; dir++)
		if (try_directory(*dir, strlen(*dir), name, ret_path))
			return 0;
	return -ENOENT;
}

/* musl's loader knows no cache, but a file of directories. */
static bool find_musl_library(const char *name, char *ret_path)
{
	FILE *f = fopen("/etc/ld-musl-x86_64.path", "re");
	char dir[PATH_MAX];
	bool found = false;

	while (f && !found && fscanf(f, " %4095[^:\n]%*[:\n]", dir) == 1)
		found = try_directory(dir, strlen(dir), name, ret_path);
	if (f)
		fclose(f);
	for (const char *const *d = musl_directories; *d && !found; d++)
		found = try_directory(*d, strlen(*d), name, ret_path);
	return found;
}

/* --- one file --- */

struct needy { /* an ELF file and the search paths that count for it */
	const char *path;
	const struct dynamic *dynamic;
	struct tree *tree;
	int index;
};

/* The RPATHs of the object and of those that brought it in: only where it has no RUNPATH. */
static bool try_rpaths(const struct needy *o, const char *name, char *ret_path)
{
	int index = o->index;

	for (unsigned i = 0; i < LOADERS_MAX && index >= 0; i++, index = o->tree->at[index].loader) {
		const char *source = o->tree->at[index].source;
		struct elf_image elf;
		struct dynamic *d = malloc(sizeof(*d));
		struct mapped m = {0};
		bool found = false;

		if (d && !map_file(source, &m)) {
			if (!elf_decode(m.bytes, m.size, m.size, &elf, NULL) && dynamic_decode(&m, &elf, d) && d->rpath && !d->runpath)
				found = try_search_path(d->rpath, source, name, ret_path);
			unmap_file(&m);
		}
		free(d);
		if (found)
			return true;
	}
	return false;
}

static bool uses_musl(const struct needy *o)
{
	for (const char *const *n = o->dynamic->needed; *n; n++)
		if (!strcmp(*n, "libc.so") || !strncmp(*n, "libc.musl-", 10))
			return true;
	return false;
}

static bool find_needed(const struct needy *o, const char *name, char *ret_path)
{
	if (strchr(name, '/'))
		return snprintf(ret_path, PATH_MAX, "%s", name) < PATH_MAX && name[0] == '/' && is_library(ret_path);
	if (!o->dynamic->runpath && try_rpaths(o, name, ret_path))
		return true;
	if (o->dynamic->runpath && try_search_path(o->dynamic->runpath, o->path, name, ret_path))
		return true;
	return uses_musl(o) ? find_musl_library(name, ret_path) : !find_library(name, ret_path);
}

static int add_needed(const struct needy *o, struct vb_error *err)
{
	bool required = o->tree->at[o->index].required;

	for (const char *const *name = o->dynamic->needed; *name; name++) {
		char path[PATH_MAX];
		size_t index;
		int r;

		if (!strcmp(*name, "libc.so") || !strncmp(*name, "libc.musl-", 10) || !strcmp(*name, "ld-linux-x86-64.so.2"))
			continue; /* the interpreter itself */
		if (!find_needed(o, *name, path)) {
			if (!required)
				continue; /* a plug-in whose library isn't installed */
			return vb_error_set(err, -ENOENT, "%s needs %s, which is not installed", o->path, *name);
		}
		if ((r = tree_add_path(o->tree, path, &index, err)))
			return r;
		o->tree->at[index].required |= required;
		if (o->tree->at[index].loader < 0 && (int)index != o->index)
			o->tree->at[index].loader = o->index;
	}
	return 0;
}

static int add_interpreter(
	struct tree *t, const char *path, const struct mapped *m, const struct elf_image *elf, bool required, struct vb_error *err)
{
	const char *interp = (const char *)m->bytes + elf->interp_offset;
	size_t index;
	int r;

	if (!elf->interp_bytes)
		return 0;
	if (interp[elf->interp_bytes - 1] || interp[0] != '/')
		return required ? vb_error_set(err, -ENOEXEC, "%s: a broken interpreter path", path) : 0;
	r = tree_add_path(t, interp, &index, err);
	if (r && required)
		return vb_error_set(err, r, "%s needs the interpreter %s: %s; install the package that has it", path, interp, strerror(-r));
	if (!r)
		t->at[index].required |= required;
	return 0;
}

/* Adds what the file of a node needs. Files that are not ELF need nothing. */
static int scan(struct tree *t, int index, struct vb_error *err)
{
	bool required = t->at[index].required;
	char path[PATH_MAX];
	struct dynamic *dynamic;
	struct elf_image elf;
	struct mapped m = {0};
	const char *why;
	int r = 0;

	snprintf(path, sizeof(path), "%s", t->at[index].source);
	r = map_file(path, &m);
	if (r)
		return required ? vb_error_set(err, r, "%s: %s", path, strerror(-r)) : 0; /* staging says what it can't read */
	if (m.size < 4 || memcmp(m.bytes, "\177ELF", 4)) {
		unmap_file(&m);
		return 0;
	}
	dynamic = malloc(sizeof(*dynamic));
	if (!dynamic)
		r = vb_error_set(err, -ENOMEM, "out of memory");
	else if ((r = elf_decode(m.bytes, m.size, m.size, &elf, &why)))
		r = required ? vb_error_set(err, r, "%s: %s", path, why) : 0;
	else if (!dynamic_decode(&m, &elf, dynamic))
		r = required ? vb_error_set(err, -ENOEXEC, "%s: a broken dynamic section", path) : 0;
	else if (!(r = add_interpreter(t, path, &m, &elf, required, err)))
		r = add_needed(&(struct needy){.path = path, .dynamic = dynamic, .tree = t, .index = index}, err);
	free(dynamic);
	unmap_file(&m);
	return r;
}

/* Libraries that glibc opens by itself: names of hosts and users, and the unwinder when a thread is cancelled. */
static int add_glibc_helpers(struct tree *t, struct vb_error *err)
{
	static const char *const helpers[] = {"libgcc_s.so.1", "libnss_files.so.2", "libnss_dns.so.2"};

	for (size_t i = 0; i < VB_ARRAY_LEN(helpers); i++) {
		char path[PATH_MAX];
		int r = find_library(helpers[i], path) ? 0 : tree_add_path(t, path, NULL, err);

		if (r)
			return r;
	}
	return 0;
}

int closure_complete(struct tree *t, struct vb_error *err)
{
	for (size_t i = 0; i < t->count; i++) {
		struct tree_node *n = &t->at[i];
		const char *name = strrchr(n->path, '/') + 1;
		int r;

		if (n->scanned || !S_ISREG(n->mode))
			continue;
		n->scanned = true;
		if (!strcmp(name, "libc.so.6") && (r = add_glibc_helpers(t, err)))
			return r;
		if ((r = scan(t, i, err)))
			return r;
	}
	return 0;
}

/* The interpreter of a "#!" line: its path in ret, "" if there is none. */
static int script_interpreter(const struct mapped *m, char *ret)
{
	size_t i = 2, len = 0;

	*ret = 0;
	if (m->size < 2 || memcmp(m->bytes, "#!", 2))
		return 0;
	while (i < m->size && (m->bytes[i] == ' ' || m->bytes[i] == '\t'))
		i++;
	while (i < m->size && len < PATH_MAX - 1 && !strchr(" \t\r\n", m->bytes[i]))
		ret[len++] = m->bytes[i++];
	ret[len] = 0;
	return len ? 0 : -ENOEXEC;
}

/* "#!/usr/bin/env python3" needs env and python3. */
static void env_argument(const struct mapped *m, char *ret)
{
	char line[256];
	const char *name;

	snprintf(line, sizeof(line), "%.*s", (int)vb_min(m->size, sizeof(line) - 1), (const char *)m->bytes);
	line[strcspn(line, "\n")] = 0;
	name = strstr(line, "/env ");
	*ret = 0;
	if (!name)
		return;
	name += 5;
	name += strspn(name, " \t");
	if (!strncmp(name, "-S", 2))
		name += 2 + strspn(name + 2, " \t");
	for (const char *dir = "/usr/bin:/bin:/usr/local/bin"; dir; dir = strchr(dir, ':') ? strchr(dir, ':') + 1 : NULL) {
		snprintf(ret, PATH_MAX, "%.*s/%.*s", (int)strcspn(dir, ":"), dir, (int)strcspn(name, " \t"), name);
		if (!access(ret, X_OK))
			return;
	}
	*ret = 0;
}

static int add_program(struct tree *t, const char *path, unsigned depth, struct vb_error *err)
{
	char interpreter[PATH_MAX], argument[PATH_MAX];
	struct elf_image elf;
	struct mapped m = {0};
	const char *why = "";
	size_t index;
	int r = tree_add_path(t, path, &index, err);

	if (r)
		return r;
	if (!S_ISREG(t->at[index].mode))
		return vb_error_set(err, -EACCES, "%s: not a regular file", path);
	if (!(t->at[index].mode & 0111))
		return vb_error_set(err, -EACCES, "%s: not executable (chmod +x?)", path);
	t->at[index].required = true;
	if ((r = map_file(t->at[index].source, &m)))
		return vb_error_set(err, r, "%s: %s", path, strerror(-r));
	r = script_interpreter(&m, interpreter);
	env_argument(&m, argument);
	if (!r && !*interpreter)
		r = elf_decode(m.bytes, m.size, m.size, &elf, &why);
	unmap_file(&m);
	if (r && !*interpreter)
		return vb_error_set(
			err, r, "%s: %s", path, *why && strcmp(why, "not an ELF file") ? why : "neither an ELF program nor a #! script");
	if (!*interpreter)
		return 0;
	if (depth == SCRIPT_DEPTH_MAX)
		return vb_error_set(err, -ELOOP, "%s: too many #! interpreters", path);
	r = add_program(t, interpreter, depth + 1, err);
	if (!r && *argument)
		r = add_program(t, argument, depth + 1, err);
	return r ? vb_error_wrap(err, r, "%s", path) : 0;
}

int closure_add_program(struct tree *t, const char *path, struct vb_error *err)
{
	return add_program(t, path, 0, err);
}
