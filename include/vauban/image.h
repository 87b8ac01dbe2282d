/* The image file: an EROFS file system (block size 4096, uncompressed, no inline file data, so that every file page is
 * one page of the image), then the manifest (JSON), then the site table, then the trailer in the last 4096 bytes.
 * Linux mounts it as it is: EROFS ignores what follows its own blocks.
 */
#ifndef VAUBAN_IMAGE_H
#define VAUBAN_IMAGE_H

#include <stdint.h>

#define VB_IMAGE_MAGIC              0x31676d6976726266ull
#define VB_IMAGE_VERSION            1u
#define VB_IMAGE_TRAILER_BYTES      4096u
#define VB_IMAGE_MANIFEST_MAX_BYTES (1u << 20)

/* At the start of the last 4096 bytes of the file; the rest of them is zero. */
struct vb_image_trailer {
	uint64_t magic;
	uint32_t version;
	uint32_t reserved;
	uint64_t erofs_bytes; /* the file system is [0, erofs_bytes), a multiple of 4096 */
	uint64_t manifest_offset, manifest_bytes;
	uint64_t sites_offset, sites_bytes; /* array of struct vb_site */
	uint8_t sha256[32];                 /* of everything before the trailer: checked by `vauban image verify`, not at start */
};

/* A site of `syscall` (or, of the same length, `cpuid`) that may be rewritten to a jump, found by the image builder (image/sites.c), used by the kernel.
 *
 * The `length` bytes at `offset` of file `nid` are whole instructions, `syscall` among them at `syscall_at`; all others
 * are position independent and no branch, and nothing branches to any byte after the first. length >= 5.
 * The kernel replaces the first 5 by a jump to a trampoline that runs the instructions before `syscall`, enters the
 * kernel, runs those after it, and jumps back to offset + length.
 * Sorted by (nid, offset), ranges do not overlap and do not cross a 4096-byte boundary. */
enum vb_site_kind { VB_SITE_SYSCALL = 0, VB_SITE_CPUID = 1 };
struct vb_site {
	uint64_t nid;    /* EROFS inode */
	uint64_t offset; /* in the file */
	uint8_t syscall_at;
	uint8_t length; /* at most VB_SITE_MAX_BYTES */
	uint8_t kind;   /* enum vb_site_kind */
	uint8_t reserved[5];
};

#define VB_SITE_MAX_BYTES 32u

_Static_assert(sizeof(struct vb_image_trailer) == 88, "frozen layout");
_Static_assert(sizeof(struct vb_site) == 24, "frozen layout");

#endif
