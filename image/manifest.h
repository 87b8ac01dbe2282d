/* The manifest of an image: what to run and how, as JSON. The builder writes it, the monitor and the image tool read it.
 *
 * {
 *   "version": 1,
 *   "program": "/usr/bin/python3",          absolute path inside the image
 *   "entry": ["/usr/bin/python3"],          first arguments, argv[0] among them: always given
 *   "arguments": ["-V"],                    further arguments: `vauban run IMAGE ARGS...` replaces them
 *   "environment": ["LANG=C.UTF-8"],        each name once
 *   "cwd": "/",
 *   "user": {"uid": 0, "gid": 0},
 *   "memory_bytes": 67108864,
 *   "jit": false,                           may the program make new executable memory?
 *   "created_from": "program /usr/bin/python3"   for people; no effect
 * }
 *
 * All keys but version and program may be missing; no others are allowed. A manifest is hostile input: it is decoded as a
 * whole with every bound checked, or refused with the key and its line named.
 */
#ifndef IMAGE_MANIFEST_H
#define IMAGE_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/error.h"

#define IMAGE_MANIFEST_VERSION     1
#define IMAGE_MANIFEST_MAX_STRINGS 4096u /* of one list */
#define IMAGE_MEMORY_MIN_BYTES     (4ull << 20)
#define IMAGE_MEMORY_MAX_BYTES     (1ull << 40)
#define IMAGE_MEMORY_DEFAULT_BYTES (256ull << 20)

struct image_strings {
	size_t count;
	char **at; /* NULL-terminated */
};

struct image_manifest {
	char *program;
	struct image_strings entry; /* at least one */
	struct image_strings arguments;
	struct image_strings environment;
	char *cwd;
	uint32_t uid, gid;
	uint64_t memory_bytes; /* a multiple of 4096; 0 before load: the default */
	bool jit;
	char *created_from;
};

/* Fills *ret, which the caller releases; untouched on failure. */
int image_manifest_load(const char *bytes, size_t len, struct image_manifest *ret, struct vb_error *err);
/* The JSON text (free it): the same manifest gives the same text. */
int image_manifest_format(const struct image_manifest *m, char **ret_text, struct vb_error *err);
void image_manifest_release(struct image_manifest *m);

/* Appends a copy of s. -ENOMEM. */
int image_strings_add(struct image_strings *list, const char *s);
void image_strings_release(struct image_strings *list);
/* Sets name=value, replacing an older value of the same name. -EINVAL: no '=' or no name before it. */
int image_environment_set(struct image_strings *list, const char *assignment);

#endif
