/* What an image of a program holds: the program's closure, its package's files, and what programs expect of a system. */
#ifndef IMAGE_PLAN_H
#define IMAGE_PLAN_H

#include "image/manifest.h"
#include "image/tree.h"

/* name as a shell takes it: a path, or a name to be looked for in PATH. ret_path (PATH_MAX bytes): absolute, links kept. */
int plan_find_program(const char *name, char *ret_path, struct vb_error *err);
/* The root's usual shape and the host's small files of names, time zone and locale. Before anything else is added. */
int plan_add_base(struct tree *t, struct vb_error *err);
/* The program (absolute path) and what its package has for it. */
int plan_add_program(struct tree *t, const char *program, struct vb_error *err);
/* After the last addition: the needs of all that was added, and the files that some libraries always look for. */
int plan_complete(struct tree *t, struct vb_error *err);
/* Sets what a manifest for the program has unless it is told otherwise; what is set already stays. */
int plan_manifest(struct image_manifest *m, const char *program, const char *created_from, struct vb_error *err);

#endif
