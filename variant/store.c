/* Owns the files of the store. Trusts nobody but the user whose folder it is, and him only to have written it: a crash of the
 * machine may have torn an entry, so each is checked as a whole before use. */
#include "variant/store.h"

#include <dirent.h>
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
#include "image/cache.h"

#define MAGIC           0x3165726f74736276ull /* "vbstore1" */
#define FOLDERS         64
#define ENTRY_MAX_BYTES (1ull << 30)
#define NAME_BYTES      (2 * STORE_KEY_BYTES + 1)

struct store_head {
	uint64_t magic;
	uint8_t key[STORE_KEY_BYTES];
	uint64_t diagnostics_bytes, result_bytes;
	uint8_t digest[32]; /* of both */
};

static int check_owner(int fd, const char *dir, struct vb_error *err)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return vb_error_errno(err, "%s", dir);
	if (st.st_uid != geteuid() || st.st_mode & 0022) /* its entries become programs of ours */
		return vb_error_set(err, -EPERM, "%s must be a folder of yours that nobody else can write to: mend or remove it", dir);
	return 0;
}

int store_folder(const char *dir, char *ret, size_t size, struct vb_error *err)
{
	char cache[PATH_MAX];
	if (!dir) {
		int r = image_cache_directory(cache, sizeof(cache), err);
		if (r < 0)
			return r;
	}
	int n = dir ? snprintf(ret, size, "%s", dir) : snprintf(ret, size, "%s/variants", cache);
	return (size_t)n < size ? 0 : vb_error_set(err, -ENAMETOOLONG, "the name of the store's folder is too long");
}

int store_open(struct store *s, const char *dir, uint64_t max_bytes, struct vb_error *err)
{
	char path[PATH_MAX];
	int r = store_folder(dir, path, sizeof(path), err);
	if (r < 0)
		return r;
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return vb_error_errno(err, "can't make the store %s", path);
	s->max_bytes = max_bytes;
	s->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->fd < 0)
		return vb_error_errno(err, "can't open the store %s", path);
	r = check_owner(s->fd, path, err);
	if (r < 0)
		fd_close(&s->fd);
	return r;
}

void store_close(struct store *s)
{
	fd_close(&s->fd);
}

/* --- keys --- */

void store_key_init(struct store_key *k)
{
	blake2b_init(&k->hash, STORE_KEY_BYTES);
	store_key_add_text(k, "vauban store 1");
}

void store_key_add(struct store_key *k, const void *data, size_t len)
{
	uint64_t bytes = len;
	blake2b_update(&k->hash, &bytes, sizeof(bytes));
	blake2b_update(&k->hash, data, len);
}

void store_key_add_text(struct store_key *k, const char *text)
{
	if (text)
		store_key_add(k, text, strlen(text) + 1);
	else
		store_key_add(k, "", 0);
}

void store_key_done(struct store_key *k)
{
	blake2b_final(&k->hash, k->bytes);
}

static int open_folder(const struct store *s, const struct store_key *k, char name[NAME_BYTES], bool make)
{
	char folder[3];
	for (unsigned i = 0; i < STORE_KEY_BYTES; i++)
		snprintf(name + 2 * i, 3, "%02x", k->bytes[i]);
	snprintf(folder, sizeof(folder), "%02x", k->bytes[0] % FOLDERS);
	if (make)
		mkdirat(s->fd, folder, 0700);
	int fd = openat(s->fd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? -errno : fd;
}

/* --- entries --- */

static void digest_of(const char *bytes, size_t size, uint8_t digest[32])
{
	struct blake2b b;
	blake2b_init(&b, 32);
	blake2b_update(&b, bytes, size);
	blake2b_final(&b, digest);
}

int store_decode(const uint8_t key[STORE_KEY_BYTES], char *bytes, size_t size, struct store_entry *ret)
{
	struct store_head head;
	uint8_t digest[32];
	if (size < sizeof(head))
		return -EBADMSG;
	memcpy(&head, bytes, sizeof(head));
	size -= sizeof(head), bytes += sizeof(head);
	if (head.magic != MAGIC || memcmp(head.key, key, STORE_KEY_BYTES) != 0 || head.diagnostics_bytes > size ||
		head.result_bytes != size - head.diagnostics_bytes)
		return -EBADMSG;
	digest_of(bytes, size, digest);
	if (memcmp(digest, head.digest, sizeof(digest)) != 0)
		return -EBADMSG;
	*ret = (struct store_entry){.diagnostics = bytes,
		.result = bytes + head.diagnostics_bytes,
		.diagnostics_bytes = head.diagnostics_bytes,
		.result_bytes = head.result_bytes};
	return 0;
}

int store_get(const struct store *s, const struct store_key *k, struct store_entry *ret)
{
	char name[NAME_BYTES], *bytes;
	size_t size;
	int folder = open_folder(s, k, name, false);
	if (folder < 0)
		return -ENOENT;
	int r = file_read(folder, name, ENTRY_MAX_BYTES, &bytes, &size);
	if (r == 0 && store_decode(k->bytes, bytes, size, ret) < 0) {
		free(bytes);
		r = -ENOENT;
	}
	if (r == 0) {
		ret->diagnostics = memmove(bytes, ret->diagnostics, ret->diagnostics_bytes + ret->result_bytes);
		ret->result = bytes + ret->diagnostics_bytes;
		ret->result[ret->result_bytes] = 0; /* file_read() left room */
		utimensat(folder, name, NULL, 0);   /* used just now; on failure it only goes sooner */
	}
	close(folder);
	return r < 0 ? -ENOENT : 0;
}

struct candidate {
	char name[NAME_MAX + 1];
	uint64_t bytes;
	struct timespec used;
};

static int compare_use(const void *a, const void *b)
{
	const struct timespec *x = &((const struct candidate *)a)->used, *y = &((const struct candidate *)b)->used;
	if (x->tv_sec != y->tv_sec)
		return x->tv_sec < y->tv_sec ? -1 : 1;
	return (x->tv_nsec > y->tv_nsec) - (x->tv_nsec < y->tv_nsec);
}

/* All files of the folder, half-written ones of killed processes among them: they are used least. */
static size_t list_entries(DIR *d, struct candidate **ret, uint64_t *total)
{
	struct candidate *all = NULL;
	size_t count = 0, room = 0;
	struct stat st;
	for (struct dirent *e; (e = readdir(d));) {
		if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
			continue;
		if (count == room) {
			struct candidate *more = realloc(all, (room = room ? room * 2 : 256) * sizeof(*all));
			if (!more)
				break;
			all = more;
		}
		snprintf(all[count].name, sizeof(all[count].name), "%s", e->d_name);
		all[count].bytes = (uint64_t)st.st_blocks * 512;
		all[count].used = st.st_mtim;
		*total += all[count++].bytes;
	}
	*ret = all;
	return count;
}

/* Others may do the same at the same time: then a little more goes than need be. */
static void evict(int folder, uint64_t max_bytes)
{
	struct candidate *all;
	uint64_t total = 0;
	int fd = dup(folder);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		fd_close(&fd);
		return;
	}
	rewinddir(d);
	size_t count = list_entries(d, &all, &total);
	if (total > max_bytes) {
		qsort(all, count, sizeof(*all), compare_use);
		for (size_t i = 0; i < count && total > max_bytes - max_bytes / 8; i++) {
			if (unlinkat(folder, all[i].name, 0) == 0 || errno == ENOENT)
				total -= all[i].bytes;
		}
	}
	free(all);
	closedir(d);
}

static int write_entry(int folder, const char *name, const struct store_head *head, const struct store_entry *e)
{
	int fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	int r = fd_write_all(fd, head, sizeof(*head));
	if (r == 0)
		r = fd_write_all(fd, e->diagnostics, e->diagnostics_bytes);
	if (r == 0)
		r = fd_write_all(fd, e->result, e->result_bytes);
	if (close(fd) < 0 && r == 0)
		r = -errno;
	return r;
}

int store_put(const struct store *s, const struct store_key *k, const struct store_entry *e)
{
	struct store_head head = {.magic = MAGIC, .diagnostics_bytes = e->diagnostics_bytes, .result_bytes = e->result_bytes};
	struct blake2b b;
	char name[NAME_BYTES], temporary[NAME_BYTES + 32];
	uint64_t share = s->max_bytes / FOLDERS;
	if (e->diagnostics_bytes + e->result_bytes > (share < ENTRY_MAX_BYTES ? share : ENTRY_MAX_BYTES) - sizeof(head))
		return -EFBIG;
	memcpy(head.key, k->bytes, sizeof(head.key));
	blake2b_init(&b, sizeof(head.digest));
	blake2b_update(&b, e->diagnostics, e->diagnostics_bytes);
	blake2b_update(&b, e->result, e->result_bytes);
	blake2b_final(&b, head.digest);
	int folder = open_folder(s, k, name, true);
	if (folder < 0)
		return folder;
	snprintf(temporary, sizeof(temporary), "%s.%d", name, getpid());
	unlinkat(folder, temporary, 0); /* of a process of the same number that was killed */
	int r = write_entry(folder, temporary, &head, e);
	if (r == 0 && renameat(folder, temporary, folder, name) < 0)
		r = -errno;
	if (r < 0)
		unlinkat(folder, temporary, 0);
	evict(folder, share);
	close(folder);
	return r;
}
