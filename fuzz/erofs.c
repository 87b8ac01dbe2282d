/* Fuzzes the EROFS decoder: opens the image, walks its tree within a budget, reads everything that it finds.
 * Sources: base/erofs.c. */
#include <stdlib.h>
#include <string.h>

#include "base/erofs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void read_contents(const struct erofs *fs, const struct erofs_inode *inode)
{
	static uint8_t buf[10000];
	uint64_t run;

	for (uint64_t page = 0; page < 20; page++) {
		uint64_t at = erofs_data_offset(fs, inode, page);

		check(at == EROFS_NO_OFFSET || (at % EROFS_BLOCK == 0 && vb_range_within(at, EROFS_BLOCK, fs->bytes)));
	}
	for (uint64_t offset = 0, i = 0; i < 50; i++, offset += run) {
		const uint8_t *p = erofs_span(fs, inode, offset, &run);

		if (!run)
			break;
		check(run <= inode->size - offset && (!p || vb_range_within((uint64_t)(p - fs->base), run, fs->bytes)));
	}
	int64_t n = erofs_read(fs, inode, 1, buf, sizeof(buf));

	check(n <= (int64_t)sizeof(buf));
	check(erofs_read(fs, inode, inode->size, buf, 1) == 0);
}

static void read_xattrs(const struct erofs *fs, const struct erofs_inode *inode)
{
	struct erofs_xattr x;
	volatile uint8_t sum = 0;

	for (uint32_t i = 0; i < 300 && erofs_xattr(fs, inode, i, &x) > 0; i++) {
		check(x.prefix);
		for (uint32_t k = 0; k < x.name_len; k++)
			sum += (uint8_t)x.name[k];
		for (uint32_t k = 0; k < x.value_len; k++)
			sum += x.value[k];
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum { BUDGET = 200 };
	uint64_t pending[BUDGET];
	unsigned count = 0;
	struct erofs fs;
	uint8_t *image = malloc(size ? size : 1); /* exact, so that the sanitizer sees each byte beyond */

	memcpy(image, data, size);
	if (!erofs_open(&fs, image, size)) {
		check(fs.bytes <= size);
		pending[count++] = fs.root_nid;
	}
	for (unsigned i = 0; i < count; i++) {
		struct erofs_inode inode;
		struct erofs_entry e, found;

		if (erofs_inode(&fs, pending[i], &inode))
			continue;
		read_contents(&fs, &inode);
		read_xattrs(&fs, &inode);
		erofs_lookup(&fs, &inode, "name", 4, &found);
		for (uint64_t position = 0, n = 0; n < 1000 && erofs_next(&fs, &inode, position, &e) > 0; position = e.next, n++) {
			check(e.len && e.len <= EROFS_NAME_MAX && e.next > position && e.position >= position);
			if (!erofs_lookup(&fs, &inode, e.name, e.len, &found))
				check(found.len == e.len && !memcmp(found.name, e.name, e.len));
			if (count < BUDGET)
				pending[count++] = e.nid;
		}
	}
	free(image);
	return 0;
}
