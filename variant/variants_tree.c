/* Copies and searches trees of a build. Owns nothing; files that a build made are decoded with bounds. nftw() has no argument for its
 * callbacks: they work on `walk`, so one walk at a time. */
#include "variant/variants_tree.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/error.h"
#include "host/file.h"

static struct {
	const char *from, *to;
	const char *const *skip;
	struct vb_error *err;
	struct tree_files found;
	int r;
} walk;

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	remove(path);
	return 0;
}

static int allow_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	if (type == FTW_D || type == FTW_DNR)
		chmod(path, 0700); /* a build may have made folders read-only */
	return 0;
}

void tree_remove(const char *path)
{
	nftw(path, allow_one, 32, FTW_PHYS);
	nftw(path, remove_one, 32, FTW_PHYS | FTW_DEPTH);
}

int tree_copy_file(const char *from, const char *to, struct vb_error *err)
{
	struct stat st;
	int in = open(from, O_RDONLY | O_CLOEXEC), r = 0;
	if (in < 0 || fstat(in, &st) < 0) {
		r = vb_error_errno(err, "can't read %s", from);
		fd_close(&in);
		return r;
	}
	int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ssize_t n = 1;
	while (out >= 0 && n > 0)
		n = sendfile(out, in, NULL, 1 << 30);
	struct timespec times[2] = {st.st_atim, st.st_mtim};
	if (out < 0 || n < 0 || fchmod(out, st.st_mode & 07777) < 0 || futimens(out, times) < 0)
		r = vb_error_errno(err, "can't copy to %s", to);
	if (out >= 0 && close(out) < 0 && r == 0)
		r = vb_error_errno(err, "can't copy to %s", to);
	close(in);
	return r;
}

static int copy_link(const char *from, const char *to, struct vb_error *err)
{
	char target[PATH_MAX];
	ssize_t n = readlink(from, target, sizeof(target) - 1);
	if (n < 0)
		return vb_error_errno(err, "%s", from);
	target[n] = 0;
	return symlink(target, to) < 0 ? vb_error_errno(err, "%s", to) : 0;
}

static int copy_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	char to[PATH_MAX];
	for (const char *const *s = walk.skip; *s; s++)
		if (!strncmp(*s, path, strlen(*s)) && (!path[strlen(*s)] || path[strlen(*s)] == '/'))
			return 0;
	if (snprintf(to, sizeof(to), "%s%s", walk.to, path + strlen(walk.from)) >= (int)sizeof(to))
		walk.r = vb_error_set(walk.err, -ENAMETOOLONG, "%s: the name is too long", path);
	else if (type == FTW_D)
		walk.r = mkdir(to, (st->st_mode & 07777) | 0700) < 0 ? vb_error_errno(walk.err, "can't make %s", to) : 0;
	else if (type == FTW_DNR || type == FTW_NS)
		walk.r = vb_error_set(walk.err, -EACCES, "can't read %s", path);
	else if (type == FTW_SL)
		walk.r = copy_link(path, to, walk.err);
	else if (S_ISREG(st->st_mode))
		walk.r = tree_copy_file(path, to, walk.err);
	return walk.r;
}

/* Times of folders: make looks at these, too. After the copy, since each file in them changes them. */
static int set_time(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	struct stat original;
	char from[PATH_MAX];
	if (type == FTW_DP && snprintf(from, sizeof(from), "%s%s", walk.from, path + strlen(walk.to)) < (int)sizeof(from) &&
		stat(from, &original) == 0)
		utimensat(AT_FDCWD, path, (struct timespec[2]){original.st_atim, original.st_mtim}, 0);
	return 0;
}

int tree_copy(const char *from, const char *to, const char *const *skip, struct vb_error *err)
{
	walk.from = from, walk.to = to, walk.skip = skip, walk.err = err, walk.r = 0;
	if (nftw(from, copy_one, 32, FTW_PHYS) < 0)
		return vb_error_errno(err, "can't copy %s", from);
	if (walk.r == 0)
		nftw(to, set_time, 32, FTW_PHYS | FTW_DEPTH);
	return walk.r;
}

/* --- what was built --- */

static bool is_program(const char *path)
{
	Elf64_Ehdr head;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t n = fd < 0 ? -1 : read(fd, &head, sizeof(head));
	fd_close(&fd);
	return n == (ssize_t)sizeof(head) && !memcmp(head.e_ident, ELFMAG, SELFMAG) && head.e_ident[EI_CLASS] == ELFCLASS64 &&
	       (head.e_type == ET_EXEC || head.e_type == ET_DYN);
}

static int note_built(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	struct stat old;
	char original[PATH_MAX];
	const char *below = path + strlen(walk.to) + 1;
	if (type != FTW_F || !S_ISREG(st->st_mode) || !is_program(path))
		return 0;
	if (snprintf(original, sizeof(original), "%s/%s", walk.from, below) < (int)sizeof(original) && lstat(original, &old) == 0 &&
		old.st_size == st->st_size && old.st_mtim.tv_sec == st->st_mtim.tv_sec && old.st_mtim.tv_nsec == st->st_mtim.tv_nsec)
		return 0;
	struct tree_file *more = realloc(walk.found.at, (walk.found.count + 1) * sizeof(*more));
	char *copy = strdup(below);
	if (more)
		walk.found.at = more;
	if (!more || !copy) {
		free(copy);
		return walk.r = vb_error_set(walk.err, -ENOMEM, "out of memory");
	}
	walk.found.at[walk.found.count++] = (struct tree_file){.path = copy};
	return 0;
}

static int compare_files(const void *a, const void *b)
{
	return strcmp(((const struct tree_file *)a)->path, ((const struct tree_file *)b)->path);
}

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

static int name_files(struct tree_files *f, struct vb_error *err)
{
	for (size_t i = 0; i < f->count; i++) {
		bool twice = false;
		for (size_t j = 0; j < f->count; j++)
			twice |= i != j && !strcmp(last_part(f->at[i].path), last_part(f->at[j].path));
		f->at[i].name = strdup(twice ? f->at[i].path : last_part(f->at[i].path));
		if (!f->at[i].name)
			return vb_error_set(err, -ENOMEM, "out of memory");
		for (char *c = f->at[i].name; *c; c++)
			*c = *c == '/' ? '-' : *c;
	}
	return 0;
}

int tree_find_built(const char *tree, const char *original, struct tree_files *ret, struct vb_error *err)
{
	walk.from = original, walk.to = tree, walk.err = err, walk.r = 0, walk.found = (struct tree_files){0};
	if (nftw(tree, note_built, 32, FTW_PHYS) < 0)
		return vb_error_errno(err, "can't look through %s", tree);
	*ret = walk.found;
	if (ret->count)
		qsort(ret->at, ret->count, sizeof(*ret->at), compare_files);
	return walk.r < 0 ? walk.r : name_files(ret, err);
}

void tree_files_release(struct tree_files *f)
{
	for (size_t i = 0; i < f->count; i++) {
		free(f->at[i].path);
		free(f->at[i].name);
	}
	free(f->at);
	*f = (struct tree_files){0};
}

static bool find_section(const char *bytes, size_t size, const char *name)
{
	Elf64_Ehdr head;
	Elf64_Shdr names, section;
	memcpy(&head, bytes, sizeof(head));
	if (head.e_shentsize != sizeof(section) || head.e_shoff > size || head.e_shnum > (size - head.e_shoff) / sizeof(section) ||
		head.e_shstrndx >= head.e_shnum)
		return false;
	memcpy(&names, bytes + head.e_shoff + head.e_shstrndx * sizeof(names), sizeof(names));
	if (names.sh_offset > size || names.sh_size > size - names.sh_offset)
		return false;
	size_t wanted = strlen(name) + 1;
	for (unsigned i = 0; i < head.e_shnum; i++) {
		memcpy(&section, bytes + head.e_shoff + i * sizeof(section), sizeof(section));
		if (section.sh_name < names.sh_size && wanted <= names.sh_size - section.sh_name &&
			!memcmp(bytes + names.sh_offset + section.sh_name, name, wanted))
			return true;
	}
	return false;
}

int tree_has_section(const char *path, const char *name, bool *ret, struct vb_error *err)
{
	char *bytes;
	size_t size;
	int r = file_read(AT_FDCWD, path, 1ull << 32, &bytes, &size);
	if (r < 0)
		return vb_error_set(err, r, "%s: %s", path, strerror(-r));
	*ret = size >= sizeof(Elf64_Ehdr) && find_section(bytes, size, name);
	free(bytes);
	return 0;
}
