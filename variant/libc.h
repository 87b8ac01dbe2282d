/* `--libc musl`: the C library as a variant, too. Built once for each seed, options and compiler from the source package, by the
 * driver itself, and kept in the store's folder:
 *
 *   DIR/libc/KEY/{include,lib}   made beside and renamed, under a lock that dies with its holder */
#ifndef VARIANT_LIBC_H
#define VARIANT_LIBC_H

#include <stdbool.h>

struct driver;
struct vb_error;
struct words;

struct libc {
	char *include, *lib; /* NULL: the compiler's own C library */
};

/* Builds it if need be. */
int libc_prepare(struct driver *d, struct vb_error *err);
/* What goes into every compilation. */
void libc_add_compile(const struct driver *d, struct words *w);
/* What goes in front of and behind the objects of a link. */
int libc_add_link_front(const struct driver *d, struct words *w, struct vb_error *err);
void libc_add_link_back(const struct driver *d, struct words *w, struct vb_error *err);

#endif
