/* Reads an EROFS image that lies in memory. Freestanding: the kernel and the hosted image tool share it.
 *
 * The image is hostile: every offset is checked against its length, nothing recurses, and no function trusts what an
 * earlier one has seen. Functions return 0 or a value >= 0, or -errno (-EUCLEAN: the image contradicts itself,
 * -EOPNOTSUPP: a feature that we don't read, e.g. compression). Block size is 4096 only.
 */
#ifndef BASE_EROFS_H
#define BASE_EROFS_H

#include "base/types.h"

#define EROFS_BLOCK     4096u
#define EROFS_NAME_MAX  255u
#define EROFS_NO_OFFSET UINT64_MAX

struct erofs {
	const uint8_t *base;
	uint64_t bytes;        /* of the file system: what lies beyond is never read */
	uint64_t meta, xattrs; /* byte offsets */
	uint64_t root_nid;
	uint64_t build_time_ns;
};

struct erofs_inode {
	uint64_t nid, size, ino;
	uint64_t mtime_ns;
	uint32_t mode, nlink, uid, gid;
	uint32_t rdev;      /* as Linux encodes 32-bit device numbers */
	uint8_t layout;     /* enum in erofs.c */
	uint8_t chunk_bits; /* chunk-based: log2 of pages a chunk */
	bool chunk_indexes;
	uint64_t data;        /* byte offset of the whole blocks */
	uint64_t tail;        /* byte offset of the inline tail, or of the chunk map */
	uint64_t xattr;       /* byte offset of the inline xattrs */
	uint32_t xattr_bytes; /* 0: none */
};

/* A directory entry; name is not terminated. position is that of the entry, stable for the life of the image. */
struct erofs_entry {
	uint64_t nid, position, next;
	const char *name;
	uint32_t len;
	uint8_t type; /* DT_* */
};

struct erofs_xattr {
	const char *prefix; /* "user." ..., terminated */
	const char *name;   /* rest of the name, not terminated */
	const uint8_t *value;
	uint32_t name_len, value_len;
};

int erofs_open(struct erofs *fs, const void *image, uint64_t bytes);
int erofs_inode(const struct erofs *fs, uint64_t nid, struct erofs_inode *ret);
/* -ENOENT when the directory has no such entry. "." and ".." are found as stored. */
int erofs_lookup(const struct erofs *fs, const struct erofs_inode *dir, const char *name, size_t len, struct erofs_entry *ret);
/* The first entry at or after position (0 at the start; then entry.next). 1: found, 0: end. Entries "." and ".." are included. */
int erofs_next(const struct erofs *fs, const struct erofs_inode *dir, uint64_t position, struct erofs_entry *ret);
/* Offset in the image of a whole page of a file, page aligned. EROFS_NO_OFFSET: the page is a hole, an inline tail, or broken. */
uint64_t erofs_data_offset(const struct erofs *fs, const struct erofs_inode *inode, uint64_t page);
/* Bytes at offset that lie contiguously in the image, up to the end of file: *ret_run of them. NULL with *ret_run > 0: a hole of
 * zeros. NULL with *ret_run == 0: end of file, or a broken image. */
const uint8_t *erofs_span(const struct erofs *fs, const struct erofs_inode *inode, uint64_t offset, uint64_t *ret_run);
/* Bytes read (short only at the end of file), or -errno. */
int64_t erofs_read(const struct erofs *fs, const struct erofs_inode *inode, uint64_t offset, void *buf, uint64_t len);
/* The i-th xattr. 1: found, 0: no more, or -errno. */
int erofs_xattr(const struct erofs *fs, const struct erofs_inode *inode, uint32_t i, struct erofs_xattr *ret);

#endif
