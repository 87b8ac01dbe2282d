/* `vauban image extract`: writes an image's files below one directory. The image is hostile: every name is one component (walk.c
 * checks), every directory is opened from its parent without following links, nothing that exists is written to, devices are left
 * out, and set-user-ID bits are dropped. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/commands.h"
#include "image/walk.h"

struct extract {
	int root;
	uint64_t left_out;
};

/* The directory that holds path, which we have made ourselves, or -errno. *ret_name: the last component. */
static int open_parent(int root, const char *path, const char **ret_name)
{
	int fd = dup(root);

	for (path += strspn(path, "/");;) {
		size_t len = strcspn(path, "/");
		char name[NAME_MAX + 1];
		int next;

		if (fd < 0 || len >= sizeof(name))
			break;
		if (!path[len]) {
			*ret_name = path;
			return fd;
		}
		memcpy(name, path, len);
		name[len] = 0;
		next = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		close(fd);
		fd = next;
		path += len + 1;
	}
	return fd < 0 ? -errno : (close(fd), -ENAMETOOLONG);
}

static int write_file(int dir, const char *name, const struct image_map *m, const struct walk_entry *e, struct vb_error *err)
{
	static const uint8_t zeros[65536];
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600), r = 0;
	uint64_t run;

	if (fd < 0)
		return vb_error_errno(err, "can't create %s", e->path);
	for (uint64_t at = 0; at < e->inode->size && !r;) {
		const uint8_t *bytes = erofs_span(&m->fs, e->inode, at, &run);
		ssize_t n;

		if (!run) {
			r = vb_error_set(err, -EUCLEAN, "broken image: %s: its data lie outside", e->path);
			break;
		}
		n = write(fd, bytes ? bytes : zeros, bytes || run < sizeof(zeros) ? run : sizeof(zeros));
		if (n < 0 && errno != EINTR)
			r = vb_error_errno(err, "can't write %s", e->path);
		at += n > 0 ? n : 0;
	}
	if (!r) {
		struct timespec t = {.tv_sec = e->inode->mtime_ns / 1000000000, .tv_nsec = e->inode->mtime_ns % 1000000000};

		if (fchmod(fd, e->inode->mode & 01777) || futimens(fd, (struct timespec[]){t, t}))
			r = vb_error_errno(err, "can't set the mode of %s", e->path);
	}
	close(fd);
	return r;
}

static int extract_entry(void *arg, const struct image_map *m, const struct walk_entry *e, struct vb_error *err)
{
	struct extract *x = arg;
	const char *name;
	int dir, r = 0;

	if (!strcmp(e->path, "/"))
		return 0;
	dir = open_parent(x->root, e->path, &name);
	if (dir < 0)
		return vb_error_set(err, dir, "can't create %s: %s", e->path, strerror(-dir));
	if (S_ISREG(e->inode->mode))
		r = write_file(dir, name, m, e, err);
	else if (S_ISDIR(e->inode->mode)) /* writable by its owner: what it holds is still to come */
		r = mkdirat(dir, name, 0700) || fchmodat(dir, name, (e->inode->mode & 01777) | 0700, 0)
			    ? vb_error_errno(err, "can't create %s", e->path)
			    : 0;
	else if (S_ISLNK(e->inode->mode))
		r = symlinkat(e->target, dir, name) ? vb_error_errno(err, "can't create %s", e->path) : 0;
	else
		x->left_out++;
	close(dir);
	return r;
}

static bool is_empty(int fd)
{
	_Alignas(struct dirent64) char buf[4096];
	bool empty = true;
	ssize_t n = getdents64(fd, buf, sizeof(buf));

	for (ssize_t at = 0; at < n;) {
		const struct dirent64 *d = (void *)(buf + at);

		empty &= !strcmp(d->d_name, ".") || !strcmp(d->d_name, "..");
		at += d->d_reclen;
	}
	return empty;
}

static int extract(const char *image, const char *to, struct vb_error *err)
{
	struct extract x = {0};
	struct image_file f;
	struct image_map m;
	int r = image_file_open(image, &f, err);

	if (r)
		return r;
	r = image_map(f.fd, f.trailer.erofs_bytes, &m, err);
	if (!r) {
		mkdir(to, 0755); /* if it is there, it must be empty */
		x.root = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (x.root < 0)
			r = vb_error_errno(err, "%s", to);
		else if (!is_empty(x.root))
			r = vb_error_set(err, -ENOTEMPTY, "%s: not empty; give a new directory", to);
		else
			r = walk_image(&m, "/", true, extract_entry, &x, err);
		if (x.root >= 0)
			close(x.root);
		image_unmap(&m);
	}
	image_file_close(&f);
	if (x.left_out)
		fprintf(stderr, "vauban image: %llu devices, pipes and sockets are left out\n", (unsigned long long)x.left_out);
	return r;
}

int command_extract(int argc, char **argv)
{
	struct vb_error err;

	if (argc != 3 || argv[1][0] == '-')
		return command_usage("extract", "FILE and DIR are needed");
	return extract(argv[1], argv[2], &err) ? command_fail(&err) : 0;
}
