/* What ELF files and scripts need to run: interpreters and shared libraries, found as ld.so would find them, without running
 * anything. */
#ifndef IMAGE_CLOSURE_H
#define IMAGE_CLOSURE_H

#include "image/tree.h"

/* Adds the program with what it needs; errors say what is missing and why it can't run. Scripts bring their interpreters. */
int closure_add_program(struct tree *t, const char *path, struct vb_error *err);
/* Adds what the ELF files that the tree holds need, and what that needs, until nothing is missing. */
int closure_complete(struct tree *t, struct vb_error *err);

#endif
