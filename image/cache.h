/* The cache of images built on the fly, one for each program that was run without an image. Compiled into the static front too: a
 * hit needs no other process.
 *
 *   DIR/index/KEY        which image a program (KEY: hash of its absolute path) has, and the state of the host files it was made of
 *   DIR/images/HASH.img  images by the SHA-256 of their contents
 *   DIR/lock/KEY         locked while the image of a program is made
 *
 * DIR is $XDG_CACHE_HOME/vauban, /var/cache/vauban for root, ~/.cache/vauban, or if that can't be made /tmp/vauban-cache-UID; it
 * belongs to the user alone (0700). Files appear whole, by rename, so readers need no lock. An image may be evicted between being found and being opened: then look again.
 */
#ifndef IMAGE_CACHE_H
#define IMAGE_CACHE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/error.h"

#define IMAGE_CACHE_MAX_STAMPS 64u

/* 1: ret_path is a fitting image of the program (absolute path). 0: there is none; vauban-image cached PROGRAM makes it. Or -errno:
 * the cache can't be used. */
int image_cache_find(const char *program, char *ret_path, size_t size, struct vb_error *err);

/* --- for those who fill it --- */

struct image_cache_stamp { /* state of a host file */
	char path[PATH_MAX];
	uint64_t dev, ino, size;
	int64_t mtime_ns, ctime_ns;
};

/* The directory with its three subdirectories, made if need be. */
int image_cache_directory(char *ret_dir, size_t size, struct vb_error *err);
uint64_t image_cache_key(const char *program);
/* False: the file is not there, which is a state too: all zero. */
bool image_cache_stamp(const char *path, struct image_cache_stamp *ret);
/* Says that `image` (a name in DIR/images) is the program's, while the stamps hold. */
int image_cache_store(const char *dir, const char *program, const char *image, const struct image_cache_stamp *stamps, size_t count,
	struct vb_error *err);

#endif
