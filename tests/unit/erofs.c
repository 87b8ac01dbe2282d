/* Unit tests of base/erofs.c: images made by mkfs.erofs in each layout are read back and compared with the tree they came
 * from; then every byte that matters is broken.
 * Sources: base/erofs.c; needs mkfs.erofs. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/erofs.h"

static int tap_count, tap_failed;
#define OK(cond)                                                                                                                           \
	do {                                                                                                                               \
		bool ok_ = (cond);                                                                                                         \
		tap_failed += !ok_;                                                                                                        \
		printf("%sok %d - %s: %s\n", ok_ ? "" : "not ", ++tap_count, what, #cond);                                                 \
	} while (0)

static char base[] = "/tmp/erofs-test-XXXXXX";
static const char *what;
static unsigned files, directories, differences;

static void differs(const char *path, const char *how)
{
	printf("# %s: %s %s\n", what, path, how);
	differences++;
}

static void write_file(const char *path, size_t bytes, unsigned seed)
{
	FILE *f = fopen(path, "w");

	for (size_t i = 0; i < bytes; i++)
		fputc((int)((i * 7 + i / 4096 + seed) & 255), f);
	fclose(f);
}

static void make_tree(void)
{
	static const size_t sizes[] = {0, 1, 100, 4095, 4096, 4097, 8192, 12345, 100000};
	char path[100];

	mkdir("tree", 0755), mkdir("tree/many", 0700), mkdir("tree/deep", 0755), mkdir("tree/deep/er", 01777), mkdir("tree/empty", 0755);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		sprintf(path, "tree/deep/file%zu", i);
		write_file(path, sizes[i], (unsigned)i);
	}
	for (int i = 0; i < 2000; i++) { /* several blocks of entries, names of all lengths */
		sprintf(path, "tree/many/%04d%.*s", i * 7919 % 10000, i % 60,
			"abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefgh");
		write_file(path, 0, 0);
	}
	memset(path, 0, sizeof(path));
	if (symlink("deep/file1", "tree/short") || symlink("/a/very/long/target/that/leads/nowhere/at/all", "tree/deep/er/long") ||
		link("tree/deep/file2", "tree/hard"))
		exit(2);
	mkfifo("tree/fifo", 0640);
	if (!geteuid())
		mknod("tree/device", S_IFCHR | 0666, 0x12345);
	setxattr("tree/deep/file2", "user.colour", "blue", 4, 0);
	setxattr("tree/deep/file3", "user.colour", "blue", 4, 0); /* the same twice: may be shared */
	setxattr("tree/deep/file4", "user.colour", "blue", 4, 0);
	setxattr("tree/deep", "user.empty", "", 0, 0);
	char big[300];

	memset(big, 'v', sizeof(big));
	setxattr("tree/deep/file2", "user.big", big, sizeof(big), 0);
}

static void compare_file(const struct erofs *fs, const struct erofs_inode *inode, const char *path)
{
	int fd = open(path, O_RDONLY);
	size_t size = inode->size;
	uint8_t *theirs = malloc(size + 1), *ours = malloc(size + 1);

	if (read(fd, theirs, size) != (ssize_t)size || erofs_read(fs, inode, 0, ours, size + 1) != (int64_t)size ||
		memcmp(ours, theirs, size))
		differs(path, "has other contents");
	for (uint64_t page = 0; page <= size / 4096; page++) {
		uint64_t at = erofs_data_offset(fs, inode, page);
		size_t len = page < size / 4096 ? 4096 : size % 4096;

		if (at != EROFS_NO_OFFSET && memcmp(fs->base + at, theirs + page * 4096, len))
			differs(path, "has another page");
		if (at == EROFS_NO_OFFSET && len == 4096 && inode->size > 4096)
			differs(path, "has a whole page nowhere");
	}
	if (size > 10 && (erofs_read(fs, inode, size - 5, ours, 100) != 5 || memcmp(ours, theirs + size - 5, 5)))
		differs(path, "has another end");
	free(theirs);
	free(ours);
	close(fd);
}

static void compare_xattrs(const struct erofs *fs, const struct erofs_inode *inode, const char *path)
{
	char names[1000], value[1000], name[300];
	ssize_t len = llistxattr(path, names, sizeof(names));
	struct erofs_xattr x;
	unsigned theirs = 0, ours = 0;

	for (ssize_t i = 0; i < len; i += (ssize_t)strlen(names + i) + 1)
		theirs += !strncmp(names + i, "user.", 5);
	for (uint32_t i = 0; erofs_xattr(fs, inode, i, &x) > 0; i++) {
		sprintf(name, "%s%.*s", x.prefix, (int)x.name_len, x.name);
		ssize_t n = lgetxattr(path, name, value, sizeof(value));

		if (n != (ssize_t)x.value_len || memcmp(value, x.value, x.value_len))
			differs(path, "has another xattr");
		ours++;
	}
	if (ours < theirs)
		differs(path, "lacks xattrs");
}

static void compare(const struct erofs *fs, uint64_t nid, const char *path)
{
	struct erofs_inode inode;
	struct erofs_entry e;
	struct stat st;
	char target[300], child[5000];
	unsigned listed = 0;

	if (erofs_inode(fs, nid, &inode) || lstat(path, &st)) {
		differs(path, "has no inode");
		return;
	}
	if (inode.mode != st.st_mode || inode.uid != st.st_uid || inode.gid != st.st_gid)
		differs(path, "has other attributes");
	if (inode.nlink != st.st_nlink || (S_ISREG(st.st_mode) && inode.size != (uint64_t)st.st_size))
		differs(path, "has other links or size");
	if (S_ISCHR(st.st_mode) && inode.rdev != st.st_rdev)
		differs(path, "is another device");
	compare_xattrs(fs, &inode, path);
	if (S_ISREG(st.st_mode)) {
		files++;
		compare_file(fs, &inode, path);
	} else if (S_ISLNK(st.st_mode)) {
		ssize_t n = readlink(path, child, sizeof(child));

		if (erofs_read(fs, &inode, 0, target, sizeof(target)) != n || memcmp(child, target, (size_t)n))
			differs(path, "leads elsewhere");
	}
	if (!S_ISDIR(st.st_mode))
		return;
	directories++;
	for (uint64_t position = 0; erofs_next(fs, &inode, position, &e) > 0; position = e.next, listed++) {
		if (e.name[0] == '.')
			continue;
		snprintf(child, sizeof(child), "%s/%.*s", path, (int)e.len, e.name);
		if (lstat(child, &st) || e.type != st.st_mode >> 12)
			differs(child, "is listed wrongly");
	}
	DIR *dir = opendir(path);

	for (struct dirent *d; (d = readdir(dir)); listed--) {
		if (erofs_lookup(fs, &inode, d->d_name, strlen(d->d_name), &e)) {
			differs(d->d_name, "is not found");
			continue;
		}
		snprintf(child, sizeof(child), "%s/%s", path, d->d_name);
		if (d->d_name[0] != '.')
			compare(fs, e.nid, child);
	}
	closedir(dir);
	if (listed)
		differs(path, "lists another number of names");
	for (const char *none[] = {"", "0", "zzzz", "file", "~", "0000"}, **n = none; n < none + 6; n++) {
		snprintf(child, sizeof(child), "%s/%s", path, *n);
		if (**n && lstat(child, &st) && erofs_lookup(fs, &inode, *n, strlen(*n), &e) != -ENOENT)
			differs(path, "finds what isn't there");
	}
}

static void walk_broken(const struct erofs *fs, uint64_t nid, unsigned depth)
{
	struct erofs_inode inode;
	struct erofs_entry e;
	struct erofs_xattr x;
	char buf[5000];

	if (erofs_inode(fs, nid, &inode))
		return;
	erofs_read(fs, &inode, 0, buf, sizeof(buf));
	for (uint32_t i = 0; i < 10 && erofs_xattr(fs, &inode, i, &x) > 0; i++)
		;
	uint64_t position = 0;

	for (unsigned n = 0; depth && n < 50 && erofs_next(fs, &inode, position, &e) > 0; n++, position = e.next)
		walk_broken(fs, e.nid, depth - 1);
}

/* Cuts and random damage: nothing may crash (the copy has exactly the bytes there are, so that the sanitizer watches the end). */
static void damage(const uint8_t *image, size_t bytes)
{
	struct erofs fs;
	unsigned opened = 0;

	for (size_t keep = 0; keep < bytes; keep += keep < 2048 ? 97 : 4096) {
		uint8_t *copy = malloc(keep + 1);

		memcpy(copy, image, keep);
		opened += !erofs_open(&fs, copy, keep);
		free(copy);
	}
	OK(!opened);
	uint8_t *copy = malloc(bytes);

	for (unsigned round = 0; round < 3000; round++) {
		memcpy(copy, image, bytes);
		copy[1024 + 8] = 0; /* no checksum */
		for (unsigned i = 0; i <= round % 8; i++)
			copy[(size_t)rand() % vb_min(bytes, (size_t)40000)] = (uint8_t)rand();
		if (!erofs_open(&fs, copy, bytes))
			walk_broken(&fs, fs.root_nid, 3);
	}
	free(copy);
}

static void one_image(const char *options)
{
	char command[300];
	struct stat st;
	struct erofs fs;

	what = options;
	snprintf(command, sizeof(command), "mkfs.erofs -x1 -T0 -U00000000-0000-0000-0000-000000000000 %s image tree >mkfs.log 2>&1",
		options);
	OK(!system(command));
	int fd = open("image", O_RDONLY);

	fstat(fd, &st);
	uint8_t *image = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	int r = erofs_open(&fs, image, (uint64_t)st.st_size);

	OK(r == 0);
	files = directories = differences = 0;
	if (!r)
		compare(&fs, fs.root_nid, "tree");
	OK(files == 2010 && directories == 5);
	OK(differences == 0);
	image[1024 + 100] ^= 1;
	OK(erofs_open(&fs, image, (uint64_t)st.st_size) == -EUCLEAN);
	image[1024 + 100] ^= 1;
	image[1024] ^= 1;
	OK(erofs_open(&fs, image, (uint64_t)st.st_size) == -EINVAL);
	image[1024] ^= 1;
	image[1024 + 80] |= 16;
	OK(erofs_open(&fs, image, (uint64_t)st.st_size) == -EOPNOTSUPP);
	image[1024 + 80] &= (uint8_t)~16;
	damage(image, (size_t)st.st_size);
	munmap(image, (size_t)st.st_size);
	close(fd);
}

int main(void)
{
	if (!mkdtemp(base) || chdir(base))
		return 2;
	make_tree();
	one_image("-Enoinline_data");
	one_image("-Enoinline_data,force-inode-extended");
	one_image("-Eforce-inode-compact");
	one_image("--chunksize=4096");
	one_image("--chunksize=16384");
	char command[100];

	snprintf(command, sizeof(command), "rm -rf %s", base);
	if (chdir("/") || system(command))
		return 2;
	printf("1..%d\n", tap_count);
	return tap_failed != 0;
}
