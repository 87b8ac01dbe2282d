/* An image file as it is opened: trailer and manifest, checked. Shared by the image tool and the monitor. */
#ifndef IMAGE_FILE_H
#define IMAGE_FILE_H

#include "host/error.h"
#include "image/manifest.h"
#include "vauban/image.h"

struct image_file {
	int fd; /* read-only, close-on-exec */
	uint64_t size;
	struct vb_image_trailer trailer; /* all ranges lie within the file, in order, and don't overlap */
	struct image_manifest manifest;
};

/* 0 or -errno; -ENOEXEC: a regular file that is no image at all. The checksum is not computed. */
int image_file_open(const char *path, struct image_file *ret, struct vb_error *err);
void image_file_close(struct image_file *f);

#endif
