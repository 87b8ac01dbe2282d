/* `vauban image cached`: fills the cache of images. One builder a program at a time (a lock); kill it whenever you like, what is
 * left is at worst an unnamed temporary directory, which a later eviction removes. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/types.h"
#include "image/cache.h"
#include "image/commands.h"
#include "image/file.h"
#include "image/plan.h"
#include "image/write.h"

#define CACHE_MAX_BYTES (4ull << 30)
enum { STALE_SECONDS = 3600 };
enum { EXIT_NO_IMAGE = 125, EXIT_NOT_EXECUTABLE = 126, EXIT_NOT_FOUND = 127 }; /* `vauban run` passes them on, as shells do */

/* Changes here change what an image holds, besides the ELF files themselves. */
static const char *const watched[] = {"/var/lib/dpkg/status", "/etc/ld.so.cache", "/etc/passwd", "/etc/group", "/etc/hosts",
	"/etc/hostname", "/etc/resolv.conf", "/etc/localtime"};

/* The program first, then the packages' and the system's state, then its libraries as far as there is room: libraries of packages
 * only change with the state. */
static size_t take_stamps(const char *program, const struct tree *t, struct image_cache_stamp *ret)
{
	size_t n = 0;

	image_cache_stamp(program, &ret[n++]);
	for (size_t i = 0; i < VB_ARRAY_LEN(watched); i++)
		image_cache_stamp(watched[i], &ret[n++]);
	for (size_t i = 0; i < t->count && n < IMAGE_CACHE_MAX_STAMPS; i++)
		if (t->at[i].required && S_ISREG(t->at[i].mode))
			image_cache_stamp(t->at[i].source, &ret[n++]);
	return n;
}

/* --- eviction --- */

struct cached_image {
	char name[NAME_MAX + 1];
	uint64_t bytes;
	time_t used;
};

static int older_first(const void *a, const void *b)
{
	time_t x = ((const struct cached_image *)a)->used, y = ((const struct cached_image *)b)->used;

	return x < y ? -1 : x > y;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	remove(path);
	return 0;
}

/* Removes the longest unused images until the rest fits, and what killed builders left. Failures only leave more behind. */
static void evict(const char *dir, const char *keep)
{
	struct cached_image *all = NULL, *grown;
	char path[2 * PATH_MAX];
	size_t count = 0;
	uint64_t bytes = 0;
	struct dirent *e;
	struct stat st;
	DIR *d;

	snprintf(path, sizeof(path), "%s/images", dir);
	d = opendir(path);
	while (d && (e = readdir(d))) {
		snprintf(path, sizeof(path), "%s/images/%s", dir, e->d_name);
		if (lstat(path, &st))
			continue;
		if (e->d_name[0] == '.') {
			if (strlen(e->d_name) > 2 && time(NULL) - st.st_mtime > STALE_SECONDS)
				nftw(path, remove_one, 32, FTW_DEPTH | FTW_PHYS);
			continue;
		}
		bytes += st.st_size;
		if (!strcmp(e->d_name, keep) || !(grown = realloc(all, (count + 1) * sizeof(*all))))
			continue;
		all = grown;
		snprintf(all[count].name, sizeof(all[count].name), "%s", e->d_name);
		all[count].bytes = st.st_size;
		all[count++].used = st.st_atime;
	}
	if (d)
		closedir(d);
	if (count)
		qsort(all, count, sizeof(*all), older_first);
	for (size_t i = 0; i < count && bytes > CACHE_MAX_BYTES; i++) {
		snprintf(path, sizeof(path), "%s/images/%s", dir, all[i].name);
		if (!unlink(path))
			bytes -= all[i].bytes;
	}
	free(all);
}

/* --- building --- */

/* Gives the new image the name of its contents. */
static int name_by_content(const char *dir, const char *built, char *ret_name, struct vb_error *err)
{
	char path[2 * PATH_MAX];
	struct image_file f;
	int r = image_file_open(built, &f, err);

	if (r)
		return r;
	for (size_t i = 0; i < sizeof(f.trailer.sha256); i++)
		sprintf(ret_name + 2 * i, "%02x", f.trailer.sha256[i]);
	strcat(ret_name, ".img");
	image_file_close(&f);
	snprintf(path, sizeof(path), "%s/images/%s", dir, ret_name);
	return rename(built, path) ? vb_error_errno(err, "can't name %s", path) : 0;
}

/* ret_status: how to exit if it fails. */
static int build(const char *dir, const char *program, int *ret_status, struct vb_error *err)
{
	char built[PATH_MAX + 64], name[80] = "", from[PATH_MAX + 16];
	struct image_cache_stamp *stamps = calloc(IMAGE_CACHE_MAX_STAMPS, sizeof(*stamps));
	struct tree tree = {0};
	struct image_source source = {.tree = &tree};
	size_t count = 0;
	int r = stamps ? plan_add_base(&tree, err) : vb_error_set(err, -ENOMEM, "out of memory");

	if (!r && ((r = plan_add_program(&tree, program, err)) || (r = plan_complete(&tree, err))))
		*ret_status = r == -ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
	snprintf(from, sizeof(from), "program %s", program);
	if (!r)
		r = plan_manifest(&source.manifest, program, from, err);
	snprintf(built, sizeof(built), "%s/images/.%016llx", dir, (unsigned long long)image_cache_key(program));
	if (!r) {
		count = take_stamps(program, &tree, stamps); /* before copying: what changes meanwhile makes the index not fit */
		r = image_write(&source, built, err);
	}
	if (!r)
		r = name_by_content(dir, built, name, err);
	if (!r)
		r = image_cache_store(dir, program, name, stamps, count, err);
	if (!r)
		evict(dir, name);
	image_manifest_release(&source.manifest);
	tree_release(&tree);
	free(stamps);
	return r;
}

static int find_or_build(const char *program, char *ret_path, int *ret_status, struct vb_error *err)
{
	char dir[PATH_MAX], lock[PATH_MAX + 64];
	int fd, r = image_cache_directory(dir, sizeof(dir), err);

	if (r)
		return r;
	snprintf(lock, sizeof(lock), "%s/lock/%016llx", dir, (unsigned long long)image_cache_key(program));
	fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return vb_error_errno(err, "can't open %s", lock);
	while ((r = flock(fd, LOCK_EX)) && errno == EINTR)
		;
	if (r)
		r = vb_error_errno(err, "can't lock %s", lock);
	else
		r = image_cache_find(program, ret_path, PATH_MAX, err); /* another may have built it meanwhile */
	if (!r && !(r = build(dir, program, ret_status, err))) {
		r = image_cache_find(program, ret_path, PATH_MAX, err);
		if (!r)
			r = vb_error_set(err, -EAGAIN, "%s or its libraries change while its image is made; try again", program);
	}
	close(fd); /* and unlock */
	return r < 0 ? r : 0;
}

int command_cached(int argc, char **argv)
{
	char program[PATH_MAX], path[PATH_MAX];
	struct vb_error err;
	int status = EXIT_NO_IMAGE;

	if (argc != 2 || argv[1][0] == '-')
		return command_usage("cached", "one PROGRAM is needed");
	if (plan_find_program(argv[1], program, &err))
		status = EXIT_NOT_FOUND;
	else if (!find_or_build(program, path, &status, &err))
		status = 0;
	if (status) {
		command_fail(&err);
		return status;
	}
	puts(path);
	return 0;
}
