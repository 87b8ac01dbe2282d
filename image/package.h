/* The files of the Debian package that a program is from, and of the packages of the same source that it depends on: its modules
 * and data. Documentation, headers and other programs are left out. */
#ifndef IMAGE_PACKAGE_H
#define IMAGE_PACKAGE_H

#include "image/tree.h"

/* program: canonical host path. Adds nothing if no package owns it or this is no Debian system. Files that can't be reached are
 * left out. 0 or -errno. */
int package_add_files(struct tree *t, const char *program, struct vb_error *err);

#endif
