/* The EROFS decoder. Owns nothing: it reads an image that its caller keeps mapped, and trusts none of it.
 *
 * On-disk layout after the Linux kernel's fs/erofs/erofs_fs.h (documented in Documentation/filesystems/erofs.rst).
 */
#include "base/erofs.h"
#include "base/string.h"

#include <asm/errno.h>

enum { SUPER_OFFSET = 1024, SUPER_BYTES = 128, SLOT = 32, DIRENT_BYTES = 12, MAX_ENTRIES = EROFS_BLOCK / DIRENT_BYTES };
enum { FLAT_PLAIN = 0, FLAT_INLINE = 2, CHUNK_BASED = 4 };
enum { COMPAT_CHECKSUM = 1 };
enum { INCOMPAT_ZERO_PADDING = 1, INCOMPAT_CHUNKED = 4 }; /* the first says something about compressed data only */
enum { TYPE_MASK = 0170000, TYPE_DIRECTORY = 0040000, TYPE_REGULAR = 0100000, TYPE_LINK = 0120000 };

#define MAGIC    0xE0F5E1E2u
#define NO_BLOCK 0xffffffffu

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}
static uint32_t get32(const uint8_t *p)
{
	return get16(p) | (uint32_t)get16(p + 2) << 16;
}
static uint64_t get64(const uint8_t *p)
{
	return get32(p) | (uint64_t)get32(p + 4) << 32;
}

static uint32_t crc32c(uint32_t crc, const uint8_t *p, size_t n)
{
	while (n--) {
		crc ^= *p++;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
	}
	return crc;
}

int erofs_open(struct erofs *fs, const void *image, uint64_t bytes)
{
	const uint8_t *base = image, *sb = base + SUPER_OFFSET;
	static const uint8_t zero[4];

	if (bytes < EROFS_BLOCK || get32(sb) != MAGIC)
		return -EINVAL;
	if (sb[12] != 12 || get32(sb + 80) & ~(uint32_t)(INCOMPAT_ZERO_PADDING | INCOMPAT_CHUNKED) || get16(sb + 86))
		return -EOPNOTSUPP;
	if (get32(sb + 8) & COMPAT_CHECKSUM) {
		uint32_t crc = crc32c(~0u, sb, 4);

		crc = crc32c(crc, zero, sizeof(zero));
		if (crc32c(crc, sb + 8, EROFS_BLOCK - SUPER_OFFSET - 8) != get32(sb + 4))
			return -EUCLEAN;
	}
	uint64_t size = (uint64_t)get32(sb + 36) * EROFS_BLOCK;

	if (size < EROFS_BLOCK || size > bytes)
		return -EUCLEAN;
	*fs = (struct erofs){
		.base = base,
		.bytes = size,
		.meta = (uint64_t)get32(sb + 40) * EROFS_BLOCK,
		.xattrs = (uint64_t)get32(sb + 44) * EROFS_BLOCK,
		.root_nid = get16(sb + 14),
		.build_time_ns = get64(sb + 24) * 1000000000ull + get32(sb + 32),
	};
	struct erofs_inode root;
	int r = erofs_inode(fs, fs->root_nid, &root);

	return r ? r : (root.mode & TYPE_MASK) == TYPE_DIRECTORY ? 0 : -EUCLEAN;
}

/* Where the data of an inode lies: `at` is the first byte after the inode and its xattrs. */
static int decode_layout(const struct erofs *fs, struct erofs_inode *i, uint64_t at, uint32_t u)
{
	uint32_t type = i->mode & TYPE_MASK;
	uint64_t whole;

	if (type != TYPE_REGULAR && type != TYPE_DIRECTORY && type != TYPE_LINK) {
		i->rdev = u;
		i->size = 0;
		return 0;
	}
	if (i->size > (uint64_t)INT64_MAX - EROFS_BLOCK)
		return -EUCLEAN;
	switch (i->layout) {
	case FLAT_PLAIN:
	case FLAT_INLINE:
		i->data = (uint64_t)u * EROFS_BLOCK;
		whole = i->layout == FLAT_PLAIN ? vb_page_up(i->size) : vb_page_down(i->size);
		if (whole && !vb_range_within(i->data, whole, fs->bytes))
			return -EUCLEAN;
		if (i->layout == FLAT_INLINE && i->size % EROFS_BLOCK) {
			i->tail = at;
			if (at % EROFS_BLOCK + i->size % EROFS_BLOCK > EROFS_BLOCK ||
				!vb_range_within(at, i->size % EROFS_BLOCK, fs->bytes))
				return -EUCLEAN;
		}
		return 0;
	case CHUNK_BASED:
		i->chunk_bits = u & 31;
		i->chunk_indexes = u & 32;
		i->tail = i->chunk_indexes ? (at + 7) & ~7ull : (at + 3) & ~3ull;
		uint64_t chunks = i->size ? ((i->size - 1) >> 12 >> i->chunk_bits) + 1 : 0;

		return (u & 0xffff) >> 6 || !vb_range_within(i->tail, chunks * (i->chunk_indexes ? 8 : 4), fs->bytes) ? -EUCLEAN : 0;
	default:
		return -EOPNOTSUPP;
	}
}

int erofs_inode(const struct erofs *fs, uint64_t nid, struct erofs_inode *ret)
{
	if (nid > fs->bytes / SLOT)
		return -EUCLEAN;
	uint64_t at = fs->meta + nid * SLOT;

	if (!vb_range_within(at, SLOT, fs->bytes))
		return -EUCLEAN;
	const uint8_t *p = fs->base + at;
	uint16_t format = get16(p), xattr_count = get16(p + 2);
	uint32_t u = get32(p + 16);
	struct erofs_inode i = {.nid = nid, .layout = format >> 1 & 7, .mode = get16(p + 4), .ino = get32(p + 20)};

	if (format >> 4)
		return -EOPNOTSUPP;
	if (format & 1) {
		if (!vb_range_within(at, 2 * SLOT, fs->bytes))
			return -EUCLEAN;
		i.size = get64(p + 8);
		i.uid = get32(p + 24);
		i.gid = get32(p + 28);
		i.mtime_ns = get64(p + 32) * 1000000000ull + get32(p + 40);
		i.nlink = get32(p + 44);
		at += 2 * SLOT;
	} else {
		i.nlink = get16(p + 6);
		i.size = get32(p + 8);
		i.uid = get16(p + 24);
		i.gid = get16(p + 26);
		i.mtime_ns = fs->build_time_ns;
		at += SLOT;
	}
	if (xattr_count) {
		i.xattr = at;
		i.xattr_bytes = 12 + (xattr_count - 1u) * 4;
		at += i.xattr_bytes;
		if (!vb_range_within(i.xattr, i.xattr_bytes, fs->bytes))
			return -EUCLEAN;
	}
	int r = decode_layout(fs, &i, at, u);

	if (!r)
		*ret = i;
	return r;
}

/* The block at which a chunk begins, as a byte offset within the image; EROFS_NO_OFFSET: a hole. */
static uint64_t chunk_offset(const struct erofs *fs, const struct erofs_inode *inode, uint64_t chunk)
{
	const uint8_t *p = fs->base + inode->tail + chunk * (inode->chunk_indexes ? 8 : 4);
	uint32_t block = get32(inode->chunk_indexes ? p + 4 : p);

	return block == NO_BLOCK ? EROFS_NO_OFFSET : (uint64_t)block * EROFS_BLOCK;
}

const uint8_t *erofs_span(const struct erofs *fs, const struct erofs_inode *inode, uint64_t offset, uint64_t *ret_run)
{
	uint64_t at, run;

	*ret_run = 0;
	if (offset >= inode->size)
		return NULL;
	if (inode->layout == CHUNK_BASED) {
		unsigned shift = 12 + inode->chunk_bits;
		uint64_t within = offset & ((1ull << shift) - 1);

		run = vb_min((1ull << shift) - within, inode->size - offset);
		at = chunk_offset(fs, inode, offset >> shift);
		if (at == EROFS_NO_OFFSET) {
			*ret_run = run;
			return NULL;
		}
		at += within;
	} else if (inode->tail && offset >= vb_page_down(inode->size)) {
		at = inode->tail + offset % EROFS_BLOCK;
		run = inode->size - offset;
	} else {
		at = inode->data + offset;
		run = (inode->tail ? vb_page_down(inode->size) : inode->size) - offset;
	}
	if (!vb_range_within(at, run, fs->bytes))
		return NULL;
	*ret_run = run;
	return fs->base + at;
}

uint64_t erofs_data_offset(const struct erofs *fs, const struct erofs_inode *inode, uint64_t page)
{
	uint64_t run;
	const uint8_t *p = page >> 52 ? NULL : erofs_span(fs, inode, page * EROFS_BLOCK, &run);
	uint64_t at = p ? (uint64_t)(p - fs->base) : EROFS_NO_OFFSET;

	return p && at % EROFS_BLOCK == 0 && vb_range_within(at, EROFS_BLOCK, fs->bytes) &&
			       !(inode->tail && inode->layout == FLAT_INLINE && page == inode->size / EROFS_BLOCK)
		       ? at
		       : EROFS_NO_OFFSET;
}

int64_t erofs_read(const struct erofs *fs, const struct erofs_inode *inode, uint64_t offset, void *buf, uint64_t len)
{
	uint64_t done = 0, run;

	if (offset >= inode->size)
		return 0;
	len = vb_min(len, inode->size - offset);
	while (done < len) {
		const uint8_t *p = erofs_span(fs, inode, offset + done, &run);

		if (!run)
			return -EUCLEAN;
		run = vb_min(run, len - done);
		if (p)
			memcpy((uint8_t *)buf + done, p, run);
		else
			memset((uint8_t *)buf + done, 0, run);
		done += run;
	}
	return (int64_t)done;
}

/* One block of a directory: entries first, then their names. Returns the number of entries, 0: broken or at the end. */
static unsigned directory_block(
	const struct erofs *fs, const struct erofs_inode *dir, uint64_t block, const uint8_t **ret, unsigned *ret_bytes)
{
	uint64_t run;
	const uint8_t *p = block >> 40 ? NULL : erofs_span(fs, dir, block * EROFS_BLOCK, &run);

	if (!p)
		return 0;
	unsigned bytes = (unsigned)vb_min(run, (uint64_t)EROFS_BLOCK);

	if (bytes < DIRENT_BYTES)
		return 0;
	unsigned names = get16(p + 8);

	if (names < DIRENT_BYTES || names > bytes || names % DIRENT_BYTES)
		return 0;
	*ret = p;
	*ret_bytes = bytes;
	return names / DIRENT_BYTES;
}

/* The i-th of n entries of a block; false: broken. */
static bool directory_entry(const uint8_t *p, unsigned bytes, unsigned n, unsigned i, struct erofs_entry *ret)
{
	static const uint8_t types[] = {0, 8, 4, 2, 6, 1, 12, 10}; /* EROFS_FT_* to DT_* */
	const uint8_t *entry = p + i * DIRENT_BYTES;
	unsigned start = get16(entry + 8), end = i + 1 < n ? get16(entry + DIRENT_BYTES + 8) : bytes;

	if (start < n * DIRENT_BYTES || start >= end || end > bytes)
		return false;
	ret->nid = get64(entry);
	ret->name = (const char *)p + start;
	ret->len = (uint32_t)(end - start);
	const void *nul = memchr(ret->name, 0, ret->len); /* only the last name of a block is padded */

	if (nul)
		ret->len = (uint32_t)((const char *)nul - ret->name);
	ret->type = entry[10] < sizeof(types) ? types[entry[10]] : 0;
	return ret->len && ret->len <= EROFS_NAME_MAX && !memchr(ret->name, '/', ret->len);
}

static int compare_names(const char *a, size_t a_len, const char *b, size_t b_len)
{
	int c = memcmp(a, b, vb_min(a_len, b_len));

	return c ? c : a_len < b_len ? -1 : a_len > b_len;
}

int erofs_lookup(const struct erofs *fs, const struct erofs_inode *dir, const char *name, size_t len, struct erofs_entry *ret)
{
	uint64_t low = 0, high = vb_page_up(dir->size) / EROFS_BLOCK;
	const uint8_t *p;
	unsigned bytes, n;
	struct erofs_entry e;

	while (low < high) { /* the last block whose first name is not above ours */
		uint64_t middle = low + (high - low) / 2;

		n = directory_block(fs, dir, middle, &p, &bytes);
		if (!n || !directory_entry(p, bytes, n, 0, &e))
			return -EUCLEAN;
		if (compare_names(e.name, e.len, name, len) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low)
		return -ENOENT;
	uint64_t block = low - 1;
	unsigned first = 0;

	n = directory_block(fs, dir, block, &p, &bytes);
	for (unsigned last = n; first < last;) {
		unsigned middle = (first + last) / 2;

		if (!directory_entry(p, bytes, n, middle, &e))
			return -EUCLEAN;
		int c = compare_names(e.name, e.len, name, len);

		if (!c) {
			e.position = block * 512 + middle;
			e.next = e.position + 1;
			*ret = e;
			return 0;
		}
		if (c < 0)
			first = middle + 1;
		else
			last = middle;
	}
	return -ENOENT;
}

int erofs_next(const struct erofs *fs, const struct erofs_inode *dir, uint64_t position, struct erofs_entry *ret)
{
	for (uint64_t block = position / 512; block * EROFS_BLOCK < dir->size; block++, position = block * 512) {
		const uint8_t *p;
		unsigned bytes, n = directory_block(fs, dir, block, &p, &bytes), i = (unsigned)(position % 512);

		if (!n)
			return -EUCLEAN;
		if (i >= n)
			continue;
		if (!directory_entry(p, bytes, n, i, ret))
			return -EUCLEAN;
		ret->position = position;
		ret->next = position + 1;
		return 1;
	}
	return 0;
}

/* Decodes the xattr entry at `at`, which must end by `end`. Returns its padded length, or -errno. */
static int64_t decode_xattr(const struct erofs *fs, uint64_t at, uint64_t end, struct erofs_xattr *ret)
{
	static const char *const prefixes[] = {
		NULL, "user.", "system.posix_acl_access", "system.posix_acl_default", "trusted.", NULL, "security."};

	if (end > fs->bytes || at > end || end - at < 4)
		return -EUCLEAN;
	const uint8_t *p = fs->base + at;
	uint32_t name_len = p[0], value_len = get16(p + 2), total = 4 + name_len + value_len;

	if (total > end - at)
		return -EUCLEAN;
	*ret = (struct erofs_xattr){
		.prefix = p[1] < VB_ARRAY_LEN(prefixes) ? prefixes[p[1]] : NULL,
		.name = (const char *)p + 4,
		.value = p + 4 + name_len,
		.name_len = name_len,
		.value_len = value_len,
	};
	return (total + 3) & ~3u;
}

int erofs_xattr(const struct erofs *fs, const struct erofs_inode *inode, uint32_t i, struct erofs_xattr *ret)
{
	if (!inode->xattr_bytes)
		return 0;
	uint64_t at = inode->xattr, end = at + inode->xattr_bytes;
	uint32_t shared = fs->base[at + 4];
	int64_t r;

	at += 12;
	if (shared * 4 > end - at)
		return -EUCLEAN;
	if (i < shared) {
		r = decode_xattr(fs, fs->xattrs + (uint64_t)get32(fs->base + at + i * 4) * 4, fs->bytes, ret);
	} else {
		at += shared * 4;
		for (i -= shared;; i--) {
			if (end - at < 4 || (!fs->base[at] && !fs->base[at + 1])) /* the rest is padding */
				return 0;
			r = decode_xattr(fs, at, end, ret);
			if (r < 0 || !i)
				break;
			at += vb_min((uint64_t)r, end - at);
		}
	}
	return r < 0 ? (int)r : ret->prefix ? 1 : -EUCLEAN;
}
