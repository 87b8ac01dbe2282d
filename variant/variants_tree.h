/* Trees of a build: copied, looked through for what was built, removed. */
#ifndef VARIANT_VARIANTS_TREE_H
#define VARIANT_VARIANTS_TREE_H

#include <stdbool.h>
#include <stddef.h>

struct vb_error;

struct tree_file {
	char *path; /* below the tree */
	char *name; /* its last part or, if another has the same, all of it with '-' for '/' */
};
struct tree_files {
	struct tree_file *at;
	size_t count;
};

/* With modes and times; links as links, hard links as files of their own; devices and sockets are left out. skip: folders that are not
 * copied, absolute, ends with a NULL. */
int tree_copy(const char *from, const char *to, const char *const *skip, struct vb_error *err);
int tree_copy_file(const char *from, const char *to, struct vb_error *err);
void tree_remove(const char *path);
/* Executables and shared libraries in `tree` that `original` doesn't have with the same size and time, ordered by path. */
int tree_find_built(const char *tree, const char *original, struct tree_files *ret, struct vb_error *err);
void tree_files_release(struct tree_files *f);
/* Is there a section of that name in the ELF file? */
int tree_has_section(const char *path, const char *name, bool *ret, struct vb_error *err);

#endif
