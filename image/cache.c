/* The fast path of the image cache, and its index files. Owns the index format; trusts what lies in a directory that is the user's
 * alone, as far as that goes: an index is decoded with bounds, since a crash of the machine may have torn it. */
#include "image/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define INDEX_MAGIC    0x31786469696276ull
#define INDEX_REVISION 4u /* to be raised when the builder would put other things into an image of the same program */

enum { IMAGE_NAME_BYTES = 72, INDEX_MAX_BYTES = 65536, TOUCH_SECONDS = 600 };

struct index_head {
	uint64_t magic;
	uint32_t revision, count;
	char image[IMAGE_NAME_BYTES];
	/* then the program's path with its NUL, then for each of count files: struct index_stamp, its path with its NUL */
};
struct index_stamp {
	uint64_t dev, ino, size;
	int64_t mtime_ns, ctime_ns;
};

uint64_t image_cache_key(const char *program)
{
	uint64_t h = 14695981039346656037ull; /* FNV-1a; the index names the program, so a collision is a miss */

	while (*program)
		h = (h ^ (uint8_t)*program++) * 1099511628211ull;
	return h;
}

static int directory_name(char *ret, size_t size, struct vb_error *err)
{
	const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	struct stat st;
	int n;

	/* Not another user's, as after su: he could put another directory in the place of ours. */
	if (xdg && *xdg == '/' && (stat(xdg, &st) || st.st_uid == geteuid()))
		n = snprintf(ret, size, "%s/vauban", xdg);
	else if (geteuid() == 0)
		n = snprintf(ret, size, "/var/cache/vauban");
	else if (home && *home == '/')
		n = snprintf(ret, size, "%s/.cache/vauban", home);
	else
		return vb_error_set(err, -ENOENT, "no place for cached images: set HOME or XDG_CACHE_HOME");
	return (size_t)n < size ? 0 : vb_error_set(err, -ENAMETOOLONG, "the cache directory's name is too long");
}

/* Others who could write there could make us run their programs. */
static int check_owner(const char *dir, struct vb_error *err)
{
	struct stat st;

	if (lstat(dir, &st))
		return vb_error_set(err, -errno, "%s: %s", dir, strerror(errno));
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 0077))
		return vb_error_set(err, -EPERM, "%s must be a directory of yours with mode 0700: mend or remove it", dir);
	return 0;
}

/* mkdir -p: for what lies above ours, the usual mode. */
static void make_directory(char *dir)
{
	for (char *slash = strchr(dir + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		mkdir(dir, 0755);
		*slash = '/';
	}
	mkdir(dir, 0700);
}

/* Finds the directory, making it if asked to. A user whose home can't be written to has his cache in /tmp. */
static int locate(char *ret, size_t size, bool make, struct vb_error *err)
{
	int r = directory_name(ret, size, err);

	for (unsigned attempt = 0;; attempt++) {
		if (!r && make)
			make_directory(ret); /* what went wrong shows next */
		if (!r)
			r = check_owner(ret, err);
		if (attempt || (r != -ENOENT && r != -EACCES))
			return r;
		r = (size_t)snprintf(ret, size, "/tmp/vauban-cache-%u", geteuid()) < size ? 0 : -ENAMETOOLONG;
	}
}

int image_cache_directory(char *ret_dir, size_t size, struct vb_error *err)
{
	static const char *const below[] = {"index", "images", "lock"};
	char path[PATH_MAX + 16];
	int r = locate(ret_dir, size, true, err);

	for (size_t i = 0; i < 3 && !r; i++) {
		snprintf(path, sizeof(path), "%s/%s", ret_dir, below[i]);
		if (mkdir(path, 0700) && errno != EEXIST)
			r = vb_error_set(err, -errno, "can't make %s: %s", path, strerror(errno));
	}
	return r;
}

static void read_stamp(const char *path, struct index_stamp *ret)
{
	struct stat st;

	memset(ret, 0, sizeof(*ret));
	if (stat(path, &st))
		return;
	ret->dev = st.st_dev;
	ret->ino = st.st_ino;
	ret->size = st.st_size;
	ret->mtime_ns = st.st_mtim.tv_sec * 1000000000ll + st.st_mtim.tv_nsec;
	ret->ctime_ns = st.st_ctim.tv_sec * 1000000000ll + st.st_ctim.tv_nsec;
}

bool image_cache_stamp(const char *path, struct image_cache_stamp *ret)
{
	struct index_stamp s;

	read_stamp(path, &s);
	snprintf(ret->path, sizeof(ret->path), "%s", path);
	ret->dev = s.dev;
	ret->ino = s.ino;
	ret->size = s.size;
	ret->mtime_ns = s.mtime_ns;
	ret->ctime_ns = s.ctime_ns;
	return s.ino != 0;
}

/* The string at *at, which then stands behind it; NULL if it isn't terminated before end. */
static const char *take_string(const char **at, const char *end)
{
	const char *s = *at, *nul = memchr(s, 0, end - s);

	if (nul)
		*at = nul + 1;
	return nul ? s : NULL;
}

/* The name of the image if the index is the program's and nothing that it was made of has changed. */
static const char *check_index(const char *bytes, size_t len, const char *program)
{
	const struct index_head *head = (const void *)bytes;
	const char *at = bytes + sizeof(*head), *end = bytes + len, *name;

	if (len < sizeof(*head) || head->magic != INDEX_MAGIC || head->revision != INDEX_REVISION || head->count > IMAGE_CACHE_MAX_STAMPS ||
		!memchr(head->image, 0, sizeof(head->image)) || strchr(head->image, '/'))
		return NULL;
	name = take_string(&at, end);
	if (!name || strcmp(name, program))
		return NULL;
	for (uint32_t i = 0; i < head->count; i++) {
		struct index_stamp was, is;

		if ((size_t)(end - at) < sizeof(was))
			return NULL;
		memcpy(&was, at, sizeof(was));
		at += sizeof(was);
		name = take_string(&at, end);
		if (!name)
			return NULL;
		read_stamp(name, &is);
		if (memcmp(&was, &is, sizeof(was)))
			return NULL;
	}
	return head->image;
}

/* Eviction goes by the time of last use, which many file systems don't keep by themselves. */
static bool touch_image(const char *path)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_NOW}, {.tv_nsec = UTIME_OMIT}};
	struct stat st;

	if (stat(path, &st))
		return false;
	if (time(NULL) - st.st_atim.tv_sec > TOUCH_SECONDS)
		utimensat(AT_FDCWD, path, times, 0);
	return true;
}

int image_cache_find(const char *program, char *ret_path, size_t size, struct vb_error *err)
{
	_Alignas(struct index_head) char bytes[INDEX_MAX_BYTES];
	char dir[PATH_MAX], path[PATH_MAX + 64];
	const char *image;
	ssize_t len;
	int fd, r = locate(dir, sizeof(dir), false, err);

	if (r) /* not made yet? */
		return r == -ENOENT || r == -EACCES ? 0 : r;
	snprintf(path, sizeof(path), "%s/index/%016llx", dir, (unsigned long long)image_cache_key(program));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	len = read(fd, bytes, sizeof(bytes));
	close(fd);
	image = len > 0 ? check_index(bytes, len, program) : NULL;
	if (!image)
		return 0;
	if ((size_t)snprintf(ret_path, size, "%s/images/%s", dir, image) >= size)
		return vb_error_set(err, -ENAMETOOLONG, "the cached image's path is too long");
	return touch_image(ret_path);
}

static bool put(char *bytes, size_t *len, const void *what, size_t n)
{
	if (n > INDEX_MAX_BYTES - *len)
		return false;
	memcpy(bytes + *len, what, n);
	*len += n;
	return true;
}

static int write_index(const char *path, const char *bytes, size_t len, struct vb_error *err)
{
	char temp[PATH_MAX + 96];
	int fd, r = 0;

	snprintf(temp, sizeof(temp), "%s.%ld", path, (long)getpid());
	fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || write(fd, bytes, len) != (ssize_t)len || rename(temp, path)) {
		r = vb_error_set(err, errno ? -errno : -EIO, "can't write %s: %s", path, strerror(errno));
		unlink(temp);
	}
	if (fd >= 0)
		close(fd);
	return r;
}

int image_cache_store(
	const char *dir, const char *program, const char *image, const struct image_cache_stamp *stamps, size_t count, struct vb_error *err)
{
	struct index_head head = {.magic = INDEX_MAGIC, .revision = INDEX_REVISION, .count = count};
	char bytes[INDEX_MAX_BYTES], path[PATH_MAX + 64];
	size_t len = 0;
	bool fits;

	snprintf(head.image, sizeof(head.image), "%s", image);
	fits = count <= IMAGE_CACHE_MAX_STAMPS && put(bytes, &len, &head, sizeof(head)) && put(bytes, &len, program, strlen(program) + 1);
	for (size_t i = 0; i < count && fits; i++) {
		const struct image_cache_stamp *s = &stamps[i];
		struct index_stamp out = {s->dev, s->ino, s->size, s->mtime_ns, s->ctime_ns};

		fits = put(bytes, &len, &out, sizeof(out)) && put(bytes, &len, s->path, strlen(s->path) + 1);
	}
	if (!fits)
		return vb_error_set(err, -E2BIG, "the cache index of %s would be too long", program);
	snprintf(path, sizeof(path), "%s/index/%016llx", dir, (unsigned long long)image_cache_key(program));
	return write_index(path, bytes, len, err);
}
