/* Walks the file system of an image, which may be hostile: no cycle, no depth and no name in it leads the walk astray. */
#ifndef IMAGE_WALK_H
#define IMAGE_WALK_H

#include "base/erofs.h"
#include "host/error.h"
#include "image/file.h"

struct image_map { /* an image's EROFS part in memory */
	void *bytes;
	uint64_t size;
	struct erofs fs;
};

struct walk_entry {
	const char *path; /* absolute; "/" is the root; every name in it is one, never "." or "..", without '/' and NUL */
	const struct erofs_inode *inode;
	char target[4096]; /* of a symbolic link, else "" */
};

int image_map(int fd, uint64_t erofs_bytes, struct image_map *ret, struct vb_error *err);
void image_unmap(struct image_map *m);

/* The entry at an absolute path; no link is followed. */
int walk_find(const struct image_map *m, const char *path, struct erofs_inode *ret, struct vb_error *err);
/* Visits what is at path and, if deep, everything below it, directories before what they hold, else just one level. visit returns
 * 0 to go on. -EUCLEAN: the image contradicts itself. */
typedef int walk_visit(void *arg, const struct image_map *m, const struct walk_entry *e, struct vb_error *err);
int walk_image(const struct image_map *m, const char *path, bool deep, walk_visit *visit, void *arg, struct vb_error *err);

#endif
