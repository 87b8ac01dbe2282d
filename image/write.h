/* Writes image files. */
#ifndef IMAGE_WRITE_H
#define IMAGE_WRITE_H

#include "image/manifest.h"
#include "image/tree.h"

struct image_source {
	struct tree *tree; /* sorted by writing; or */
	const char *root;  /* a host directory as it is */
	bool keep_times;   /* of root's files; those of a tree are always kept */
	struct image_manifest manifest;
};

/* Writes the image and gives it its name only when it is whole and on disk: a failure, a signal or a crash leaves nothing behind.
 * Files that can't be read are left out with a warning, unless the program needs them. */
int image_write(struct image_source *source, const char *output, struct vb_error *err);

#endif
