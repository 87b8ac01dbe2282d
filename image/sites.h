/* Finds the system-call sites of an ELF file that the kernel may rewrite to jumps (struct vb_site has the rules). */
#ifndef IMAGE_SITES_H
#define IMAGE_SITES_H

#include <stddef.h>
#include <stdint.h>

#include "vauban/image.h"

struct sites {
	struct vb_site *at;
	size_t count;
	size_t calls; /* `syscall` instructions seen, rewritable or not */
};

/* Appends the sites of one file, ascending by offset. A file that is no ELF file or has no such instruction adds nothing.
 * 0 or -ENOMEM. Files must come in ascending order of nid. */
int sites_find(const uint8_t *file, size_t size, uint64_t nid, struct sites *ret);
void sites_release(struct sites *s);

#endif
