/* What goes into an image: a set of directories, regular files and symbolic links with where they come from on the host.
 * Each path is in the set once; a directory holds every parent of what is in it. */
#ifndef IMAGE_TREE_H
#define IMAGE_TREE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/error.h"

struct tree_node {
	char *path;    /* in the image: absolute, no symbolic link among its directories */
	char *source;  /* on the host; NULL: an empty directory made for the image */
	char *target;  /* of a symbolic link */
	uint32_t mode; /* st_mode */
	bool scanned;  /* by closure_complete */
	bool required; /* what this file needs must exist */
	int loader;    /* index of the node whose need brought this library in, or -1 */
};

struct tree {
	struct tree_node *at; /* in order of addition: indexes stay, pointers don't */
	size_t count;
	uint32_t *slots; /* hash of path to index + 1 */
	size_t slot_count;
};

/* Functions return 0 or -errno with a text in err. */

/* An empty directory; parents are made as needed. */
int tree_add_directory(struct tree *t, const char *path, uint32_t mode, struct vb_error *err);
/* A host path under the same name, with every symbolic link on the way; a directory without its contents. ret_index (may be NULL):
 * the node of what it leads to. -ENOENT, -EACCES, -ELOOP ... as the host says; -EINVAL: neither file nor directory. */
int tree_add_path(struct tree *t, const char *path, size_t *ret_index, struct vb_error *err);
/* A host file or directory with all below it, as `path` of the image, replacing what is there. Devices, sockets and pipes are left
 * out; links stay links. */
int tree_add_recursive(struct tree *t, const char *source, const char *path, struct vb_error *err);
/* NULL: not in the set. Valid until the next addition. */
struct tree_node *tree_find(const struct tree *t, const char *path);
/* By path: parents come before children. Indexes change; nothing may be added afterwards. */
void tree_sort(struct tree *t);
void tree_release(struct tree *t);

#endif
